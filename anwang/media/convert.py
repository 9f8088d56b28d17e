"""H.265 made into H.264 for browsers that lack it: the only place where video is encoded, in a process of its own.

    python -m anwang.media.convert --source S --stream ID --socket P    a running stream, for its viewers at P
    python -m anwang.media.convert                                      pieces of recordings, as a `worker`

A conversion uses at most one core. It keeps times and key frames, passes AAC through, and encodes with the quickest
settings of x264, of which the same picture size always gives the same parameter sets: so one init part fits all pieces
of a segment.
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
from anwang.media.worker import confine, serve
from anwang.wire import h26x
from anwang.wire.fmp4 import Fragment, Fragmenter, Init, RunAt, Track, read_movie, scan
from anwang.wire.units import CLOCK_HZ, Codec, Kind, Unit

LARGEST = (1920, 1088)
"""Larger pictures are made smaller: the cost of a conversion is bounded."""
MOST_WAITING = 50
"""Fragments that may wait for the encoder, about two seconds; beyond, it goes on at the next key frame."""
MOST_AT_START = 1000
"""The same until it has caught up with what was cached when it began."""
MEMORY_BYTES = 2 << 30
NICE = 5
_TIME_BASE = Fraction(1, CLOCK_HZ)


class Converter:
    """One stream: fragments of H.265 in, init part and fragments of H.264 out."""

    def __init__(self, init: bytes) -> None:
        """init: of the H.265 stream. Raises WireError, Unsupported."""
        self._movie = read_movie(init)
        video = self._movie.track(Kind.VIDEO)
        if video is None or video.sets is None or video.sets.codec is not Codec.H265:
            raise Unsupported("this stream has no H.265 video")
        self._video: Track = video
        self._sound = self._movie.track(Kind.AUDIO)
        self._sets = b"".join(b"\0\0\0\1" + nal for nal in video.sets)
        self._decoder = _decoder()
        self._encoder: VideoCodecContext | None = None
        self._fragmenter: Fragmenter | None = None

    def opening(self) -> Init:
        """The init part that all of this stream's output begins with."""
        encoder = _encoder(*fitting(self._video.width, self._video.height))
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
        self._decoder = _decoder()

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
            size = fitting(picture.width, picture.height)
            if self._encoder is None or (self._encoder.width, self._encoder.height) != size:
                self._encoder = _encoder(*size)
            ready = picture.reformat(*size, format="yuv420p")
            ready.pts, ready.time_base = picture.pts, _TIME_BASE
            # a viewer can begin wherever it could before
            ready.pict_type = PictureType.I if picture.key_frame else PictureType.NONE
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
        if self._fragmenter is None or sound.aac is None:
            return []
        frames = b"".join(
            sound.aac.adts(sample.size) + fragment[sample.offset : sample.offset + sample.size]
            for sample in run.samples
        )
        pts = sound.to_90k(run.decode_time)
        return self._fragmenter.push(Unit(kind=Kind.AUDIO, codec=Codec.AAC, data=frames, pts_90k=pts))

    def _made(self, start_90k: int) -> Fragmenter:
        return Fragmenter(start_90k=start_90k, audio=self._sound.aac if self._sound is not None else None)


def fitting(width: int, height: int) -> tuple[int, int]:
    """The size of the picture made from one of this size: even, and not above LARGEST."""
    scale = min(1.0, LARGEST[0] / max(width, 1), LARGEST[1] / max(height, 1))
    if scale == 1.0 and not (width | height) & 1:
        return width, height
    return max(16, round(width * scale) // 2 * 2), max(16, round(height * scale) // 2 * 2)


def _decoder() -> VideoCodecContext:
    made = av.CodecContext.create("hevc", "r")
    if not isinstance(made, VideoCodecContext):
        raise Unsupported("this FFmpeg decodes no H.265")
    made.thread_count, made.thread_type = 1, ThreadType.NONE
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

    def __init__(self, source: str, stream: str) -> None:
        self._source = source
        self._stream = stream
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
        converter: Converter | None = None
        try:
            while True:
                while self._waiting:
                    kind, data = self._waiting.popleft()
                    if kind is FrameKind.TEXT:
                        self._hello = json.loads(data)
                    elif kind is FrameKind.INIT:
                        converter = Converter(data)
                    elif converter is not None:
                        self._convert(converter, data, is_key=kind is FrameKind.KEY)
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
    stream = Stream(arguments.source, arguments.stream)
    loop = asyncio.get_running_loop()
    path: str = arguments.socket
    _remove(path)
    find = {arguments.stream: stream.outlet}.get
    server = await loop.create_unix_server(partial(Viewer, find, most_queued=arguments.viewer_queue), path)
    os.chmod(path, 0o600)
    running = asyncio.create_task(stream.run())
    loop.add_signal_handler(signal.SIGTERM, running.cancel)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # the parent decides when to stop
    orphaned = asyncio.create_task(_parent_ended())
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


async def _parent_ended() -> None:
    """Our standard input ends with the process that started us."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


# --- pieces of recordings --------------------------------------------------------------------------------------------


class Piece(msgspec.Struct, array_like=True):
    """init and whole fragments beginning with a key frame; without fragments the answer is the converted init part."""

    init: bytes
    data: bytes


class Converted(msgspec.Struct, array_like=True):
    """error empty: the converted bytes."""

    error: str
    data: bytes = b""


def convert(init: bytes, data: bytes) -> bytes:
    """The init part, or the fragments of a piece, as H.264. Raises WireError, Unsupported, FFmpegError."""
    converter = Converter(init)
    opening = converter.opening()
    if not data:
        return opening.data
    out: list[bytes] = []
    for one in [*converter.push(data), *converter.flush()]:
        if isinstance(one, Fragment):
            out.append(one.data)
        elif one.data != opening.data:
            raise Unsupported("the picture's size changes inside a segment")
    if not out:
        raise WireError("no picture could be decoded")
    return b"".join(out)


def _answer(body: bytes) -> bytes:
    piece = msgspec.msgpack.decode(body, type=Piece)
    try:
        answer = Converted("", convert(piece.init, piece.data))
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
