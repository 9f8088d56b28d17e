"""The child that makes a single picture: decodes, draws on it what must be there, and writes a JPEG.

    python -m anwang.media.decode    as a `worker`

It loads little before it is asked: the first picture after a pause waits for it.
"""

from __future__ import annotations

import io
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

from anwang.kernel.times import BEIJING, from_micros
from anwang.media.masks.paint import Paint
from anwang.media.worker import confine, serve
from anwang.wire import jpeg

if TYPE_CHECKING:
    from PIL import Image

LARGEST_SIDE = 8192
MEMORY_BYTES = 2 << 30


class Ask(msgspec.Struct, array_like=True):
    """data: init and whole fragments that begin with a key frame, or a JPEG. ticks_us: the picture at or before this
    time of the media, None: the first. at_us: wall clock for the picture's metadata, 0: unknown. budget_s: after so
    long the last picture that was decoded is it. paint: drawn on it; its mark's time zero is what at_us says.
    """

    data: bytes
    ticks_us: int | None
    width: int
    at_us: int
    budget_s: float
    paint: Paint


class Answer(msgspec.Struct, array_like=True):
    """error empty: jpeg is the picture, shown at ticks_us of the media."""

    error: str
    jpeg: bytes = b""
    width: int = 0
    height: int = 0
    ticks_us: int = 0


def decode(ask: Ask) -> tuple[bytes, int, int, int]:
    """(JPEG, width, height, time in the media in µs) of one picture. Only for a child: it may crash or never end."""
    from anwang.media.masks import drawing

    image, shown_us = _still(ask.data) if ask.data.startswith(jpeg.START) else _frame(ask)
    moment_us = ask.at_us + (0 if ask.ticks_us is None else shown_us - ask.ticks_us) if ask.at_us else 0
    drawing.cover(image, ask.paint.polygons)
    if ask.width and ask.width < image.width:
        image = image.resize((ask.width, max(1, round(image.height * ask.width / image.width))))
    if ask.paint.mark is not None:
        drawing.stamp(image, ask.paint.mark, moment_us)
    exif = image.getexif()
    if moment_us:
        local = from_micros(moment_us).astimezone(BEIJING)
        exif[0x0132] = local.strftime("%Y:%m:%d %H:%M:%S")  # DateTime
        details = exif.get_ifd(0x8769)
        details[0x9003] = local.strftime("%Y:%m:%d %H:%M:%S")  # DateTimeOriginal
        details[0x9011] = "+08:00"  # OffsetTimeOriginal
        details[0x9291] = f"{local.microsecond // 1000:03d}"  # SubsecTimeOriginal
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88, exif=exif)
    return out.getvalue(), image.width, image.height, shown_us


def _frame(ask: Ask) -> tuple[Image.Image, int]:
    """The picture of a video, and its time in the media."""
    import av

    until = time.monotonic() + ask.budget_s
    with av.open(io.BytesIO(ask.data), mode="r") as container:
        if not container.streams.video:
            raise ValueError("no video track")
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        chosen: Any = None
        for frame in container.decode(stream):
            at = 0 if frame.pts is None or frame.time_base is None else int(frame.pts * frame.time_base * 1_000_000)
            # half a tick of 90 kHz: the index keeps whole milliseconds
            if chosen is not None and ask.ticks_us is not None and at > ask.ticks_us + 1000:
                break
            chosen = frame, at
            if ask.ticks_us is None or time.monotonic() > until:
                break
        if chosen is None:
            raise ValueError("no picture could be decoded")
        frame, shown_us = chosen
        return frame.to_image(), shown_us


def _still(data: bytes) -> tuple[Image.Image, int]:
    """A picture that is one already."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        if max(image.size) > LARGEST_SIDE:
            raise ValueError(f"a picture of {image.width}×{image.height}")
        return ImageOps.exif_transpose(image.convert("RGB")), 0


def _answer(body: bytes) -> bytes:
    ask = msgspec.msgpack.decode(body, type=Ask)
    try:
        answer = Answer("", *decode(ask))
    except Exception as err:  # whatever it is, it is an answer, and the next request is another
        answer = Answer(f"{type(err).__name__}: {err}"[:300])
    return msgspec.msgpack.encode(answer)


if __name__ == "__main__":
    confine(MEMORY_BYTES)
    serve(_answer, sys.stdin.buffer, sys.stdout.buffer)
