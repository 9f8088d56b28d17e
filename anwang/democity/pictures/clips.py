"""Loops encoded once, and the trick that gives each camera its own clock and name for a hundredth of a core.

An H.264 loop is encoded in slices of whole rows of macroblocks, the first of them as high as the strip that carries
time, name and clock, and without a deblocking filter. A second, tiny encoder with the same parameter sets makes the
strip alone; its slice has the same header as the loop's first one (same first macroblock, frame number and IDR id), so
it takes that slice's place. Neither may predict from the other's rows, which differ in the end: each encoder sees still
noise there, in which nothing is found again, and motion is in whole pixels, for what lies between two pixels is made of
the three rows above as well (a test decodes the splice and compares). A loop has an even number of
groups of pictures, because the IDR id alternates.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from hashlib import blake2b
from itertools import repeat
from pathlib import Path

import av
import msgspec
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from PIL import Image

from anwang.democity.pictures import moving, osd, paint, scenes
from anwang.democity.pictures.osd import Bytes
from anwang.democity.pictures.scenes import Scene
from anwang.kernel.errors import Internal, Invalid
from anwang.wire import h26x
from anwang.wire.units import Codec

FPS = 25
GROUP_S = 2
#: counted up with each change of the encoders' settings: loops of another edition are drawn anew
EDITION = 2


class Format(msgspec.Struct, frozen=True):
    """One of the two streams of a camera. step: every how many drawn frames it has one."""

    name: str
    width: int
    height: int
    step: int
    crf: int

    @property
    def strip(self) -> int:
        """Rows of the strip."""
        return osd.rows_of(self.width)

    @property
    def group(self) -> int:
        """Frames from one key frame to the next."""
        return FPS * GROUP_S // self.step

    @property
    def duration_90k(self) -> int:
        """Ticks from one frame to the next."""
        return 90_000 * self.step // FPS


MAIN = Format("main", 1280, 720, 1, 28)
SUB = Format("sub", 640, 360, 2, 29)
FORMATS = {one.name: one for one in (MAIN, SUB)}


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """One access unit of a loop, Annex B. head: parameter sets before it; first: the strip's slice; rest: others."""

    is_key: bool
    head: bytes
    first: bytes
    rest: bytes


class Clip(msgspec.Struct, frozen=True):
    """A loop. strip: the strip's still rows, YUV 4:2:0 as PyAV lays them out; empty where it can't be replaced."""

    codec: str
    width: int
    height: int
    duration_90k: int
    strip: bytes
    frames: Sequence[Frame]

    def save(self, path: Path) -> None:
        """Write it, so that nobody sees half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(msgspec.msgpack.encode(self))
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Clip:
        """Raises Invalid for a file that is not a clip."""
        try:
            return msgspec.msgpack.decode(path.read_bytes(), type=cls)
        except msgspec.MsgspecError as err:
            raise Invalid(f"{path.name} is not a clip") from err


def fingerprint() -> str:
    """Of everything that shapes the pictures: a changed drawing makes new loops."""
    found = blake2b(digest_size=8)
    for module in (paint, moving, osd, scenes):
        found.update(Path(str(module.__file__)).read_bytes())
    for file in sorted(Path(str(scenes.__file__)).parent.glob("*.py")):
        found.update(file.read_bytes())
    return found.hexdigest()


def encoder(width: int, height: int, step: int, *, crf: int, preset: str, rows: int = 0) -> av.VideoCodecContext:
    """An x264 whose slices can be spliced. rows: height of a slice in pixels; 0: as many slices as threads, one."""
    context = _context("libx264")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.framerate, context.time_base = Fraction(FPS, step), Fraction(step, FPS)
    context.thread_count = 1
    _colours(context)
    group = FPS * GROUP_S // step
    sliced = f":slice-max-mbs={(width + 15) // 16 * (rows // 16)}" if rows else ""
    context.options = {
        "preset": preset,
        "tune": "zerolatency",
        "crf": str(crf),
        "profile": "main",
        "x264-params": (
            f"keyint={group}:min-keyint={group}:scenecut=0:bframes=0:ref=1:weightp=0:cabac=0:8x8dct=0:no-deblock=1:"
            f"no-psy=1:chroma-qp-offset=0:stitchable=1:threads=1:lookahead-threads=1:sliced-threads=0:rc-lookahead=0:"
            f"mbtree=0:level=3.1:me=dia:merange=8:subme=0:log-level=0{sliced}"
        ),
    }
    return context


def _context(name: str) -> av.VideoCodecContext:
    context = av.CodecContext.create(name, "w")
    if not isinstance(context, av.VideoCodecContext):
        raise Internal(f"{name} is no video encoder")
    return context


def _colours(context: av.VideoCodecContext) -> None:
    context.color_range = ColorRange.MPEG
    context.colorspace = Colorspace.ITU709
    context.color_primaries = context.color_trc = 1  # BT.709 (ITU-T H.273 tables 2 and 3)


def rgb_frame(picture: Image.Image) -> av.VideoFrame:
    """A drawn picture as a frame."""
    return av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")


def to_planes(picture: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """An RGB frame as YUV 4:2:0 of BT.709 in a size."""
    return picture.reformat(
        width=width,
        height=height,
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.FAST_BILINEAR,
    )


def halved(picture: av.VideoFrame) -> av.VideoFrame:
    """A YUV picture at half its size."""
    return picture.reformat(width=picture.width // 2, height=picture.height // 2, interpolation=Interpolation.AREA)


def split(codec: Codec, data: bytes) -> Frame:
    """An access unit taken apart."""
    head, slices = bytearray(), []
    is_key = False
    for nal in h26x.nals(data):
        kind = h26x.nal_type(codec, nal[0])
        if codec is Codec.H264:
            if kind in (7, 8):
                head += b"\0\0\0\1" + nal
            elif kind in (1, 5):
                slices.append(nal)
                is_key |= kind == 5
        elif kind in (32, 33, 34):
            head += b"\0\0\0\1" + nal
        elif kind < 32:
            slices.append(nal)
            is_key |= 16 <= kind <= 21
    if not slices:
        raise Internal("the encoder made a frame without a slice")
    first, rest = slices[0], slices[1:]
    return Frame(is_key, bytes(head), b"\0\0\0\1" + first, b"".join(b"\0\0\1" + nal for nal in rest))


def drawn(scene: Scene) -> Iterator[av.VideoFrame]:
    """All frames of a loop, in RGB."""
    still = scene.paint()
    for number in range(round(scene.period_s * FPS)):
        yield rgb_frame(scene.frame(still, number / FPS))


def make_clips(drawings: Iterable[av.VideoFrame]) -> dict[str, Clip]:
    """Both H.264 loops of drawings in RGB. The same drawing again is converted once.

    Raises Invalid where they are no even number of groups of pictures.
    """
    encoders = {
        one: encoder(one.width, one.height, one.step, crf=one.crf, preset="superfast", rows=one.strip)
        for one in FORMATS.values()
    }
    frames: dict[str, list[Frame]] = {one.name: [] for one in encoders}
    strips: dict[str, bytes] = {}
    before: av.VideoFrame | None = None
    sizes: dict[Format, av.VideoFrame] = {}
    for number, rgb in enumerate(drawings):
        if rgb is not before:
            before, sizes = rgb, {}
        for one in encoders:
            if number % one.step:
                continue
            if one not in sizes:
                picture = to_planes(rgb, MAIN.width, MAIN.height)
                sizes[one] = picture if one is MAIN else halved(picture)
                strips.setdefault(one.name, strip_of(pixels(sizes[one]), one.strip).tobytes())
                luma_rows(sizes[one], one.strip)[:] = poison(one.strip, one.width)
            planes = sizes[one]
            planes.pts = number // one.step
            frames[one.name] += [split(Codec.H264, bytes(packet)) for packet in encoders[one].encode(planes)]
    for one, context in encoders.items():
        frames[one.name] += [split(Codec.H264, bytes(packet)) for packet in context.encode(None)]
        if not frames[one.name] or len(frames[one.name]) % (2 * one.group):
            raise Invalid("a loop needs an even number of groups of pictures")
    return {
        one.name: Clip("h264", one.width, one.height, one.duration_90k, strips[one.name], frames[one.name])
        for one in encoders
    }


def make_hevc(scene: Scene, seconds: int = 6, *, is_still: bool = False) -> dict[str, Clip]:
    """Both H.265 loops of a scene: shorter, the same for all cameras, and saying that they are loops.

    is_still: of its first frame only.
    """
    first = rgb_frame(scene.frame(scene.paint(), 0.0)) if is_still else None
    contexts: dict[str, av.VideoCodecContext] = {}
    for one in FORMATS.values():
        context = _context("libx265")
        context.width, context.height, context.pix_fmt = one.width, one.height, "yuv420p"
        context.framerate, context.time_base = Fraction(FPS, one.step), Fraction(one.step, FPS)
        context.thread_count = 1
        _colours(context)
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": "30",
            "x265-params": f"keyint={one.group}:min-keyint={one.group}:scenecut=0:bframes=0:repeat-headers=1:"
            "pools=none:frame-threads=1:log-level=none:info=0",
        }
        contexts[one.name] = context
    frames: dict[str, list[Frame]] = {name: [] for name in contexts}
    for number, rgb in enumerate(repeat(first) if first else drawn(scene)):
        if number >= (GROUP_S if is_still else seconds) * FPS:
            break
        picture = to_planes(rgb, MAIN.width, MAIN.height)
        for one in FORMATS.values():
            if number % one.step:
                continue
            planes = pixels(picture if one is MAIN else halved(picture))
            osd.burn_osd(planes, one.height, name="安澜市 模拟画面（循环播放）")
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = number // one.step
            frames[one.name] += [split(Codec.H265, bytes(packet)) for packet in contexts[one.name].encode(frame)]
    for name, context in contexts.items():
        frames[name] += [split(Codec.H265, bytes(packet)) for packet in context.encode(None)]
    return {
        one.name: Clip("h265", one.width, one.height, one.duration_90k, b"", frames[one.name])
        for one in FORMATS.values()
    }


def pixels(picture: av.VideoFrame) -> Bytes:
    """A YUV 4:2:0 picture as an array, the colours below the brightness."""
    found: Bytes = np.asarray(picture.to_ndarray(), np.uint8)
    return found


@cache
def poison(rows: int, width: int) -> Bytes:
    """Brightness in which no block is found again."""
    noise = np.random.default_rng(7).integers(0, 2, (rows // 2, width // 2), dtype=np.uint8) * np.uint8(200) + np.uint8(
        20
    )
    return noise.repeat(2, 0).repeat(2, 1)


def luma_rows(picture: av.VideoFrame, rows: int) -> Bytes:
    """The top rows of a YUV picture's brightness, to read and write in place."""
    plane = picture.planes[0]
    whole: Bytes = np.frombuffer(memoryview(plane), np.uint8)
    found: Bytes = whole.reshape(plane.height, plane.line_size)[:rows, : plane.width]
    return found


def strip_of(planes: Bytes, rows: int) -> Bytes:
    """The top rows of a YUV 4:2:0 picture, in the same layout."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    u = planes[height : height + height // 4].reshape(height // 2, width // 2)
    v = planes[height + height // 4 :].reshape(height // 2, width // 2)
    return np.concatenate(
        [planes[:rows], u[: rows // 2].reshape(rows // 4, width), v[: rows // 2].reshape(rows // 4, width)]
    )


def put_strip(planes: Bytes, strip: Bytes, rows: int) -> None:
    """Put back what `strip_of` took, in place."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    planes[:rows] = strip[:rows]
    for start, at in ((height, rows), (height + height // 4, rows + rows // 4)):
        plane = planes[start : start + height // 4].reshape(height // 2, width // 2)
        plane[: rows // 2] = strip[at : at + rows // 4].reshape(rows // 2, width // 2)


def path_of(folder: Path, name: str, stream: str, *, hevc: bool = False, is_still: bool = False) -> Path:
    """Where a loop lies. is_still: of one picture, before the loop is drawn."""
    return folder / f"{name}-{stream}{'-still' if is_still else ''}{'-h265' if hevc else ''}.clip"
