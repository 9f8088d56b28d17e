"""Streams that the child fetches itself: RTSP through FFmpeg, one thread a stream, packets passed on one by one."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import av
import av.logging
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.packet import Packet as AvPacket
from av.video.stream import VideoStream

from anwang.kernel.errors import WireError
from anwang.media.child.receive import Hooks
from anwang.media.child.sound import RATE_HZ
from anwang.wire import h26x
from anwang.wire.aac import AacConfig
from anwang.wire.mpegps import Demuxed
from anwang.wire.rtp import Reception
from anwang.wire.units import Codec, Kind, Unit

OPEN_SECONDS = 8.0
READ_SECONDS = 10.0
_CODECS = {"h264": Codec.H264, "hevc": Codec.H265}
_LAWS = {"pcm_alaw": Codec.G711A, "pcm_mulaw": Codec.G711U}

av.logging.set_level(None)  # FFmpeg would print URLs with credentials


class Puller:
    """One RTSP source. Ends with the first error; who wants it again asks again."""

    port = 0

    def __init__(self, url: str, *, username: str, password: str, transport: str, hooks: Hooks) -> None:
        self._url = _with_credentials(url, username, password)
        self._shown = url
        self._transport = transport
        self._hooks = hooks
        self._loop = asyncio.get_running_loop()
        self._seen = Reception()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pull", daemon=True)
        self._thread.start()

    def seen(self) -> Reception:
        """Counters; packets are FFmpeg's, that is, frames."""
        return self._seen

    def demuxed(self) -> Demuxed:
        """See feed.Source: FFmpeg demultiplexes."""
        return Demuxed()

    def pace(self, is_patient: bool) -> None:
        """See feed.Source: its own thread reads, and waits for each packet."""

    def close(self) -> None:
        """Stop reading; the thread ends by itself within READ_SECONDS."""
        self._stop.set()

    def _run(self) -> None:
        why = "the source ended"
        try:
            self._read()
        except FFmpegError as err:
            why = f"{self._shown}: {_explain(err)}"
        except (ValueError, OSError) as err:
            why = f"{self._shown}: {err}"
        if not self._stop.is_set():
            self._loop.call_soon_threadsafe(self._hooks.ended, why)

    def _read(self) -> None:
        options = {
            "rtsp_transport": self._transport,
            "fflags": "nobuffer",
            "analyzeduration": "0",
            "probesize": "32768",
        }
        with av.open(self._url, options=options, timeout=(OPEN_SECONDS, READ_SECONDS)) as source:
            video = next(iter(source.streams.video), None)
            if video is None or video.codec_context.name not in _CODECS:
                name = "none" if video is None else video.codec_context.name
                raise ValueError(f"no H.264 or H.265 video there ({name})")
            self._loop.call_soon_threadsafe(self._hooks.connected, self._shown)
            codec = _CODECS[video.codec_context.name]
            sets = _parameter_sets(video.codec_context.extradata)
            sound = next((one for one in source.streams.audio if _is_carried(one)), None)
            first = True
            for packet in source.demux(*[one for one in (video, sound) if one is not None]):
                if self._stop.is_set():
                    return
                if isinstance(packet.stream, AudioStream):
                    unit = _sound(packet, packet.stream)
                else:
                    unit = _unit(packet, video, codec, sets)
                if unit is None:
                    self._seen.malformed += packet.size > 0
                    continue
                self._seen.packets += 1
                self._seen.payload_bytes += len(unit.data)
                if first:
                    first = False
                    self._loop.call_soon_threadsafe(self._hooks.first, self._shown, 0)
                self._loop.call_soon_threadsafe(self._deliver, unit)

    def _deliver(self, unit: Unit) -> None:
        with self._hooks.handling:
            self._hooks.units([unit])


def _unit(packet: AvPacket[Any], stream: VideoStream, codec: Codec, sets: bytes) -> Unit | None:
    if packet.size == 0 or packet.is_corrupt:
        return None
    data = bytes(packet)
    if not data.startswith((b"\0\0\1", b"\0\0\0\1")):
        data = h26x.to_annexb(data)
    is_key = h26x.is_key(codec, data)
    if is_key and sets and not _has_sets(codec, data):
        data = sets + data
    base = stream.time_base
    if base is None:
        return None
    pts, dts = (None if t is None else round(t * base * 90_000) for t in (packet.pts, packet.dts))
    return Unit(kind=Kind.VIDEO, codec=codec, data=data, pts_90k=pts, dts_90k=dts, is_key=is_key)


def _is_carried(stream: AudioStream) -> bool:
    """Whether this sound can go on: AAC, or G.711 as the standard has it."""
    context = stream.codec_context
    if context.name in _LAWS:
        return context.sample_rate == RATE_HZ and context.channels == 1
    return context.name == "aac" and bool(context.extradata)


def _sound(packet: AvPacket[Any], stream: AudioStream) -> Unit | None:
    base = stream.time_base
    if packet.size == 0 or packet.is_corrupt or base is None:
        return None
    pts = None if packet.pts is None else round(packet.pts * base * 90_000)
    context = stream.codec_context
    if context.name in _LAWS:
        return Unit(kind=Kind.AUDIO, codec=_LAWS[context.name], data=bytes(packet), pts_90k=pts)
    try:
        config = AacConfig.parse(context.extradata or b"")
        head = config.adts(packet.size)
    except WireError:
        return None
    return Unit(kind=Kind.AUDIO, codec=Codec.AAC, data=head + bytes(packet), pts_90k=pts)


def _has_sets(codec: Codec, data: bytes) -> bool:
    wanted = 7 if codec is Codec.H264 else 33
    return any(h26x.nal_type(codec, data[start]) == wanted for start, _ in h26x.nal_spans(data))


def _parameter_sets(extradata: bytes | None) -> bytes:
    """The SDP's parameter sets as Annex B, for cameras that do not repeat them in band."""
    return extradata if extradata and extradata.startswith((b"\0\0\1", b"\0\0\0\1")) else b""


def _with_credentials(url: str, username: str, password: str) -> str:
    if not username:
        return url
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(username, safe='')}:{quote(password, safe='')}@{host}"))


def _explain(err: FFmpegError) -> str:
    """FFmpeg's reason without its file name, which holds the credentials."""
    return err.strerror or type(err).__name__
