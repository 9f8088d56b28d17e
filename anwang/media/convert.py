"""Video made into H.264, for browsers without H.265 and for what must be drawn on it: the only place where video is
encoded, in a process of its own.

    python -m anwang.media.convert --source S --stream ID --socket P    a running stream, for its viewers at P
    python -m anwang.media.convert                                      pieces of recordings, as a `worker`

A conversion uses at most one core. It keeps times and key frames, passes AAC through, and encodes with the quickest
settings of x264, of which the same picture size always gives the same parameter sets: so one init part fits all pieces
of a segment. What is drawn on a running stream comes as lines of JSON (`Paint`) on standard input, the first before
anything is shown; each later one counts from the next picture on, and nothing from before it is given to new viewers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import av.logging
import msgspec
from av.codec.context import Flags, ThreadType
from av.error import FFmpegError
from av.packet import Packet as AvPacket
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

from anwang.kernel.errors import AnwangError, Unsupported, WireError
from anwang.media.child.hub import QUEUED, Outlet, Viewer
from anwang.media.control import FrameKind
from anwang.media.framing import frames
from anwang.media.masks.drawing import Painter
from anwang.media.masks.paint import NOTHING, WHOLE, Cut, Paint, fitting
from anwang.media.worker import confine, serve
from anwang.wire import h26x
from anwang.wire.fmp4 import Fragment, Fragmenter, Init, RunAt, Track, read_movie, scan
from anwang.wire.units import CLOCK_HZ, Codec, Kind, Unit

MOST_WAITING = 50
"""Fragments that may wait for the encoder, about two seconds; beyond, it goes on at the next key frame."""
MOST_AT_START = 1000
"""The same until it has caught up with what was cached when it began."""
MEMORY_BYTES = 2 << 30
NICE = 5
_TIME_BASE = Fraction(1, CLOCK_HZ)


DECODERS = {Codec.H264: "h264", Codec.H265: "hevc"}


class Converter:
    """One stream: fragments of H.265 or H.264 in, init part and fragments of H.264 out, with the paint on each
    picture.
    """

    def __init__(self, init: bytes, paint: Paint = NOTHING, cut: Cut = WHOLE) -> None:
        """init: of the stream that comes in. Raises WireError, Unsupported."""
        self._movie = read_movie(init)
        video = self._movie.track(Kind.VIDEO)
        if video is None or video.sets is None or video.sets.codec not in DECODERS:
            raise Unsupported("this stream has no H.264 or H.265 video")
        self._video: Track = video
        self._codec = video.sets.codec
        self._sound = self._movie.track(Kind.AUDIO) if cut.with_sound else None
        self._sets = b"".join(b"\0\0\0\1" + nal for nal in video.sets)
        self._decoder = _decoder(self._codec)
        self._encoder: VideoCodecContext | None = None
        self._fragmenter: Fragmenter | None = None
        self._size = cut.size
        self._within = cut.within_90k or (-(1 << 62), 1 << 62)
        self._paint = paint
        self._painter: Painter | None = None
        self._wants_key = False
        self._shown_90k = -(1 << 62)

    def repaint(self, paint: Paint) -> None:
        """Draw this from the next picture on, which is a key frame."""
        self._paint, self._painter, self._wants_key = paint, None, True

    def _fitting(self, width: int, height: int) -> tuple[int, int]:
        return self._size or fitting(width, height)

    def opening(self) -> Init:
        """The init part that all of this stream's output begins with."""
        encoder = _encoder(*self._fitting(self._video.width, self._video.height))
        grey = VideoFrame(encoder.width, encoder.height, "yuv420p")
        grey.pts, grey.time_base = 0, _TIME_BASE
        for plane in grey.planes:
            plane.update(bytes((128,)) * plane.buffer_size)
        fragmenter = self._made(0)
        made = [one for packet in encoder.encode(grey) for one in fragmenter.push(_unit(packet))]
        for one in [*made, *fragmenter.flush()]:
            if isinstance(one, Init):
                return one
        raise Unsupported("the encoder made no picture")

    def push(self, fragment: bytes) -> list[Init | Fragment]:
        """What became ready. Raises WireError, FFmpegError."""
        out: list[Init | Fragment] = []
        for one in scan(fragment, movie=self._movie).fragments:
            for run in one.runs:
                if run.track == self._video.id:
                    for packet in self._packets(fragment, run):
                        out += self._pictures(self._decoder.decode(packet))
                elif self._sound is not None and run.track == self._sound.id:
                    out += self._hear(fragment, run, self._sound)
        return out

    def flush(self) -> list[Init | Fragment]:
        """What is still inside."""
        out = self._pictures(self._decoder.decode(None))
        if self._encoder is not None:
            out += self._packed(self._encoder.encode(None))
        return out + (self._fragmenter.flush() if self._fragmenter is not None else [])

    def skip(self) -> None:
        """Something was left out; the next fragment begins with a key frame."""
        self._decoder = _decoder(self._codec)

    def _packets(self, fragment: bytes, run: RunAt) -> Iterator[AvPacket]:  # type: ignore[type-arg]  # generic in stubs only
        time = run.decode_time
        for sample in run.samples:
            data = h26x.to_annexb(fragment[sample.offset : sample.offset + sample.size], self._video.length_size)
            packet: AvPacket = AvPacket(self._sets + data if sample.is_key else data)  # type: ignore[type-arg]
            packet.dts = self._video.to_90k(time)
            packet.pts = packet.dts + self._video.to_90k(sample.cts)
            packet.time_base = _TIME_BASE
            packet.is_keyframe = sample.is_key
            time += sample.duration
            yield packet

    def _pictures(self, pictures: list[VideoFrame]) -> list[Init | Fragment]:
        out: list[Init | Fragment] = []
        for picture in pictures:
            at = self._shown_90k + 1 if picture.pts is None else picture.pts
            if at <= self._shown_90k or not self._within[0] <= at < self._within[1]:
                continue  # a decoder that only then learns that pictures are reordered gives some too late
            self._shown_90k = at
            size = self._fitting(picture.width, picture.height)
            if self._encoder is None or (self._encoder.width, self._encoder.height) != size:
                self._encoder, self._painter = _encoder(*size), None
            ready = picture.reformat(*size, format="yuv420p")
            if self._paint:
                self._painter = self._painter or Painter(self._paint, *size)
                self._painter.planes(ready, at * 100 // 9)
            # a viewer can begin wherever it could before
            is_key = picture.key_frame or self._wants_key
            ready.pts, ready.time_base = at, _TIME_BASE
            ready.pict_type = PictureType.I if is_key else PictureType.NONE
            self._wants_key = False
            out += self._packed(self._encoder.encode(ready))
        return out

    def _packed(self, packets: list[AvPacket]) -> list[Init | Fragment]:  # type: ignore[type-arg]
        out: list[Init | Fragment] = []
        for packet in packets:
            if self._fragmenter is None:
                self._fragmenter = self._made(packet.pts or 0)
            out += self._fragmenter.push(_unit(packet))
        return out

    def _hear(self, fragment: bytes, run: RunAt, sound: Track) -> list[Init | Fragment]:
        pts = sound.to_90k(run.decode_time)
        if self._fragmenter is None or sound.aac is None or not self._within[0] <= pts < self._within[1]:
            return []
        frames = b"".join(
            sound.aac.adts(sample.size) + fragment[sample.offset : sample.offset + sample.size]
            for sample in run.samples
        )
        return self._fragmenter.push(Unit(kind=Kind.AUDIO, codec=Codec.AAC, data=frames, pts_90k=pts))

    def _made(self, start_90k: int) -> Fragmenter:
        return Fragmenter(start_90k=start_90k, audio=self._sound.aac if self._sound is not None else None)


def _decoder(codec: Codec) -> VideoCodecContext:
    made = av.CodecContext.create(DECODERS[codec], "r")
    if not isinstance(made, VideoCodecContext):
        raise Unsupported(f"this FFmpeg decodes no {DECODERS[codec]}")
    made.thread_count, made.thread_type = 1, ThreadType.NONE
    if codec is Codec.H265:  # with H.264 it would give reordered pictures in the order in which they were decoded
        made.flags |= Flags.low_delay
    return made


def _encoder(width: int, height: int) -> VideoCodecContext:
    made = av.CodecContext.create("libx264", "w")
    if not isinstance(made, VideoCodecContext):
        raise Unsupported("this FFmpeg encodes no H.264")
    made.width, made.height, made.pix_fmt = width, height, "yuv420p"
    made.time_base, made.framerate = _TIME_BASE, Fraction(25)
    made.thread_count = 1
    rate = 1000 + width * height // 350  # kbit/s: about 6.9 Mb/s at 1080p, 3.6 at 720p
    made.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "crf": "24",
        "maxrate": f"{rate}k",
        "bufsize": f"{rate}k",
        "forced-idr": "1",
        "x264-params": "keyint=600:scenecut=0:repeat-headers=1:annexb=1",
    }
    return made


def _unit(packet: AvPacket) -> Unit:  # type: ignore[type-arg]
    data = bytes(packet)
    return Unit(
        kind=Kind.VIDEO,
        codec=Codec.H264,
        data=data,
        pts_90k=packet.pts,
        dts_90k=packet.dts,
        is_key=h26x.is_key(Codec.H264, data),
    )


# --- a running stream ------------------------------------------------------------------------------------------------


class Stats(msgspec.Struct):
    """What a conversion says once a second, as a line of JSON. frames: made; skipped: fragments left out because the
    encoder was late; dropped: fragments that slow viewers missed; cpu_s: of the process, since its start.
    """

    frames: int = 0
    skipped: int = 0
    dropped: int = 0
    viewers: int = 0
    cpu_s: float = 0.0


class Stream:
    """Takes a stream from a media child and gives it to viewers of its own."""

    def __init__(self, source: str, stream: str, paint: Paint) -> None:
        self._source = source
        self._stream = stream
        self._paint = paint
        self._converter: Converter | None = None
        self.outlet = Outlet()
        self.stats = Stats()
        self._waiting: deque[tuple[FrameKind, bytes]] = deque()
        self._more = asyncio.Event()
        self._waits_for_key = False
        self._was_cut = False
        self._has_caught_up = False
        self._hello: dict[str, object] = {}

    async def run(self) -> None:
        """Until the source ends. Raises Unavailable, WireError, Unsupported, FFmpegError."""
        reading = asyncio.create_task(self._read())
        try:
            while True:
                while self._waiting:
                    kind, data = self._waiting.popleft()
                    if kind is FrameKind.TEXT:
                        self._hello = json.loads(data)
                    elif kind is FrameKind.INIT:
                        self._converter = Converter(data, self._paint)
                    elif self._converter is not None:
                        self._convert(self._converter, data, is_key=kind is FrameKind.KEY)
                    await asyncio.sleep(0)
                self._has_caught_up = self._has_caught_up or self.stats.frames > 0
                if reading.done():
                    return await reading
                self._more.clear()
                waiting = asyncio.create_task(self._more.wait())
                await asyncio.wait({waiting, reading}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
        finally:
            reading.cancel()
            self.outlet.end()

    def repaint(self, paint: Paint) -> None:
        """Draw this from now on."""
        self._paint = paint
        self.outlet.forget()
        if self._converter is not None:
            self._converter.repaint(paint)

    async def _read(self) -> None:
        async for kind, data in frames(self._source, self._stream):
            self._take(kind, data)
            self._more.set()

    def _take(self, kind: FrameKind, data: bytes) -> None:
        """What is behind by too much is thrown away up to the next key frame."""
        if kind in (FrameKind.KEY, FrameKind.FRAGMENT):
            if len(self._waiting) >= (MOST_WAITING if self._has_caught_up else MOST_AT_START):
                kept = [one for one in self._waiting if one[0] in (FrameKind.TEXT, FrameKind.INIT)]
                self.stats.skipped += len(self._waiting) - len(kept)
                self._waiting = deque(kept)
                self._waits_for_key = self._was_cut = True
            if self._waits_for_key and kind is FrameKind.FRAGMENT:
                self.stats.skipped += 1
                return
            self._waits_for_key = False
        self._waiting.append((kind, data))

    def _convert(self, converter: Converter, data: bytes, *, is_key: bool) -> None:
        if is_key and self._was_cut:
            self._was_cut = False
            converter.skip()
        try:
            made = converter.push(data)
        except FFmpegError:
            self.stats.skipped += 1
            converter.skip()
            return
        for one in made:
            if isinstance(one, Init):
                self.outlet.begin(self._said(one), one.data)
            else:
                self.stats.frames += 1
                self.outlet.push(one.data, is_key=one.is_key)

    def _said(self, init: Init) -> bytes:
        said = {
            **self._hello,
            "mime": init.mime,
            "codec": init.codec,
            "width": init.width,
            "height": init.height,
            "converted_from": self._hello.get("codec", ""),
        }
        return json.dumps(said).encode()

    def measured(self) -> Stats:
        """The figures now."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        self.stats.cpu_s = round(used.ru_utime + used.ru_stime, 3)
        self.stats.dropped = self.outlet.dropped
        self.stats.viewers = len(self.outlet.viewers)
        return self.stats


async def _run(arguments: argparse.Namespace) -> None:
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    first = await orders.readline()
    if not first:
        return
    stream = Stream(arguments.source, arguments.stream, msgspec.json.decode(first, type=Paint))
    path: str = arguments.socket
    _remove(path)
    find = {arguments.stream: stream.outlet}.get
    server = await loop.create_unix_server(partial(Viewer, find, most_queued=arguments.viewer_queue), path)
    os.chmod(path, 0o600)
    running = asyncio.create_task(stream.run())
    loop.add_signal_handler(signal.SIGTERM, running.cancel)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # the parent decides when to stop
    orphaned = asyncio.create_task(_obey(orders, stream))
    try:
        while not running.done() and not orphaned.done():
            print(msgspec.json.encode(stream.measured()).decode(), flush=True)
            await asyncio.wait({running, orphaned}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        if running.done() and not running.cancelled() and (error := running.exception()) is not None:
            reason = error.reason if isinstance(error, AnwangError) else f"{type(error).__name__}: {error}"
            print(json.dumps({"error": reason[:300]}), flush=True)
        await asyncio.sleep(0)
    finally:
        orphaned.cancel()
        running.cancel()
        server.close()
        _remove(path)


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


async def _obey(orders: asyncio.StreamReader, stream: Stream) -> None:
    """What to draw, until our standard input ends with the process that started us."""
    while line := await orders.readline():
        stream.repaint(msgspec.json.decode(line, type=Paint))


# --- pieces of recordings --------------------------------------------------------------------------------------------


class Piece(msgspec.Struct, array_like=True):
    """init and whole fragments beginning with a key frame; without fragments the answer is the converted init part."""

    init: bytes
    data: bytes
    paint: Paint = NOTHING
    cut: Cut = WHOLE


class Converted(msgspec.Struct, array_like=True):
    """error empty: the converted bytes."""

    error: str
    data: bytes = b""


def convert(piece: Piece) -> bytes:
    """The init part, or the fragments of a piece, as H.264. Raises WireError, Unsupported, FFmpegError."""
    converter = Converter(piece.init, piece.paint, piece.cut)
    opening = converter.opening()
    if not piece.data:
        return opening.data
    out: list[bytes] = []
    for one in [*converter.push(piece.data), *converter.flush()]:
        if isinstance(one, Fragment):
            out.append(one.data)
        elif one.data != opening.data:
            raise Unsupported("the picture's size changes inside a segment")
    if not out and piece.cut.within_90k is None:
        raise WireError("no picture could be decoded")
    return b"".join(out)


def _answer(body: bytes) -> bytes:
    piece = msgspec.msgpack.decode(body, type=Piece)
    try:
        answer = Converted("", convert(piece))
    except Exception as err:  # whatever it is, it is an answer, and the next request is another
        answer = Converted(f"{type(err).__name__}: {err}"[:300])
    return msgspec.msgpack.encode(answer)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="anwang.media.convert")
    parser.add_argument("--source", default="", help="viewers' socket of the media child; left out: work as a worker")
    parser.add_argument("--stream", default="")
    parser.add_argument("--socket", default="", help="our own viewers' socket")
    parser.add_argument("--viewer-queue", type=int, default=QUEUED)
    arguments = parser.parse_args()
    av.logging.set_level(None)
    confine(MEMORY_BYTES)
    with contextlib.suppress(OSError):
        os.nice(NICE)  # recording comes first
    if arguments.source:
        asyncio.run(_run(arguments))
    else:
        serve(_answer, sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
