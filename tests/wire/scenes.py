"""Pictures and sound to test with, encoded and decoded by FFmpeg's libraries (the oracle), and real footage where
there is any.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream

from anwang.wire.units import Codec, Kind, Unit

FOOTAGE = next(
    (up / "shared/videos/car-detection.mp4" for up in Path(__file__).parents if (up / "shared/videos").is_dir()),
    Path("absent"),
)
STEP = 3600


@dataclass(frozen=True)
class Scene:
    """Access units in decoding order, with what FFmpeg decodes from them: (pts in 90 kHz, MD5 of the picture)."""

    units: list[Unit]
    pictures: list[tuple[int, str]]

    @property
    def video(self) -> list[Unit]:
        return [unit for unit in self.units if unit.kind is Kind.VIDEO]


def _picture(number: int, width: int, height: int) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack(
        [(rows + 3 * number) % 256, (columns + 5 * number) % 256, (rows * columns // 64 + 7 * number) % 256], axis=-1
    ).astype(np.uint8)


@cache
def scene(
    codec: Codec = Codec.H264, *, frames: int = 50, width: int = 320, height: int = 180, gop: int = 25, b: int = 0,
    slices: int = 1, sound: bool = False,
) -> Scene:  # fmt: skip
    """A generated scene at 25 pictures a second."""
    units = [*_encode(codec, frames, width, height, gop, b, slices)]
    if sound:
        units = sorted([*units, *tone(frames * STEP)], key=lambda unit: (unit.dts_90k or 0, unit.kind is Kind.AUDIO))
    return Scene(units, decode_units(units))


def _encode(codec: Codec, frames: int, width: int, height: int, gop: int, b: int, slices: int) -> list[Unit]:
    out = io.BytesIO()
    with av.open(out, "w", format="mpegts") as container:
        name = {Codec.H264: "libx264", Codec.H265: "libx265"}[codec]
        stream = container.add_stream(name, rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        params = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b}:repeat-headers=1:slices={slices}"
        options = {"preset": "veryfast", "threads": "1"}
        if codec is Codec.H264:
            options |= {"x264-params": params + ":threads=1"}
        else:
            options |= {"x265-params": params + ":pools=1:frame-threads=1:log-level=none:wpp=0"}
        stream.options = options
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(_picture(number, width, height), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    out.seek(0)
    return demux(out, "mpegts")


def demux(source: io.BytesIO | str, format: str | None = None) -> list[Unit]:
    """The video and audio of a container as FFmpeg reads it, from zero on, in decoding order."""
    units: list[Unit] = []
    with av.open(source, "r", format=format) as container:
        filters = {}
        for stream in container.streams:
            if isinstance(stream, VideoStream) and stream.codec_context.extradata and container.format.name != "mpegts":
                filters[stream.index] = BitStreamFilterContext(f"{stream.codec_context.name}_mp4toannexb", stream)
        for packet in container.demux():
            stream = packet.stream
            if packet.dts is None or not isinstance(stream, (VideoStream, AudioStream)):
                continue
            filtered = filters[stream.index].filter(packet) if stream.index in filters else [packet]
            for one in filtered:
                base = one.time_base or Fraction(1)
                pts, dts = (round((value or 0) * base * 90000) for value in (one.pts, one.dts))
                is_video = isinstance(stream, VideoStream)
                codec = Codec(stream.codec_context.name.replace("hevc", "h265")) if is_video else Codec.AAC
                data = bytes(one)
                if not is_video:
                    data = _adts(data, stream.codec_context.sample_rate, stream.codec_context.channels)
                units.append(
                    Unit(
                        kind=Kind.VIDEO if is_video else Kind.AUDIO, codec=codec, data=data, pts_90k=pts, dts_90k=dts,
                        is_key=is_video and one.is_keyframe,
                    )
                )  # fmt: skip
    start = min((unit.dts_90k or 0) for unit in units)
    return [
        Unit(
            kind=unit.kind, codec=unit.codec, data=unit.data, is_key=unit.is_key,
            pts_90k=(unit.pts_90k or 0) - start, dts_90k=(unit.dts_90k or 0) - start,
        )
        for unit in units
    ]  # fmt: skip


def _adts(frame: bytes, rate: int, channels: int) -> bytes:
    """Written a second time, apart from the product's, by the table of ISO/IEC 14496-3 1.A.2.2."""
    if frame[:1] == b"\xff" and frame[1] & 0xF6 == 0xF0:
        return frame
    index = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350].index(rate)
    bits = f"{0xFFF:012b}0001{1:02b}{index:04b}0{channels:03b}0000{len(frame) + 7:013b}{0x7FF:011b}00"
    return int(bits, 2).to_bytes(7, "big") + frame


@cache
def tone(length_90k: int, rate: int = 16000) -> list[Unit]:
    """A rising tone in AAC-LC, mono, as ADTS frames."""
    out = io.BytesIO()
    samples = length_90k * rate // 90000
    with av.open(out, "w", format="adts") as container:
        stream = container.add_stream("aac", rate=rate)
        assert isinstance(stream, AudioStream)
        stream.layout = "mono"
        wave = (np.sin(np.arange(samples) ** 1.5 / 500) * 8000).astype(np.int16).reshape(1, -1)
        for start in range(0, samples, 1024):
            frame = av.AudioFrame.from_ndarray(wave[:, start : start + 1024].astype(np.float32) / 32768, "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data, units, at = out.getvalue(), list[Unit](), 0
    while at < len(data):
        size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        pts = len(units) * 1024 * 90000 // rate
        units.append(Unit(kind=Kind.AUDIO, codec=Codec.AAC, data=data[at : at + size], pts_90k=pts, dts_90k=pts))
        at += size
    return units


@cache
def footage() -> Scene:
    """Real footage (cars seen from above, with sound) where the checkout has it, else a generated scene."""
    if not FOOTAGE.exists():
        return scene(frames=60, sound=True)
    units = demux(str(FOOTAGE))
    return Scene(units, decode_units(units))


def decode_units(units: list[Unit]) -> list[tuple[int, str]]:
    """(pts, MD5) of the pictures of Annex-B units, in showing order."""
    video = [unit for unit in units if unit.kind is Kind.VIDEO]
    context = av.CodecContext.create({Codec.H264: "h264", Codec.H265: "hevc"}[video[0].codec], "r")
    context.thread_count = 1
    frames = []
    for unit in video:
        packet = av.Packet(unit.data)
        packet.pts, packet.dts, packet.time_base = unit.pts_90k, unit.dts_90k, Fraction(1, 90000)
        frames += context.decode(packet)
    frames += context.decode(None)
    return [(frame.pts or 0, digest(frame)) for frame in frames]


def digest(frame: av.VideoFrame) -> str:
    """MD5 of a picture's planes."""
    return hashlib.md5(frame.to_ndarray().tobytes(), usedforsecurity=False).hexdigest()


def decode_file(data: bytes, format: str | None = None) -> list[tuple[int, str]]:
    """(pts in 90 kHz, MD5) of the pictures that FFmpeg finds in a file."""
    with av.open(io.BytesIO(data), "r", format=format) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return [
            (round((frame.pts or 0) * (frame.time_base or Fraction(1)) * 90000), digest(frame))
            for frame in container.decode(stream)
        ]


def decode_sound(data: bytes) -> tuple[int, int, str]:
    """(sample rate, samples, MD5 of the samples) of a file's first audio track."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        frames = [frame.to_ndarray() for frame in container.decode(stream)]
        samples = np.concatenate(frames, axis=1)
        return stream.rate or 0, samples.shape[1], hashlib.md5(samples.tobytes(), usedforsecurity=False).hexdigest()
