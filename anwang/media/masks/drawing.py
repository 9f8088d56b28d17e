"""Drawing onto decoded pictures: only for the children that decode.

A mask covers every pixel that its polygon touches and a rim around it, in one flat grey; colours are kept at half the
size, so each of theirs that a covered pixel belongs to is covered, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from anwang.kernel.times import BEIJING, from_micros
from anwang.media.masks.model import UNITS, Polygon
from anwang.media.masks.paint import Mark, Paint
from anwang.runtime.fonts import chinese

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Bits = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
GREY, NEUTRAL = 64, 128
SHOWN = 56
"""The same grey where brightness goes from 0 to 255, as in RGB."""
RIM = 5
"""Width of the pen that the outline is drawn with, in pixels: what a coarse coordinate might leave open."""
LETTER, BEHIND = 235, 20
SMALLEST_TEXT = 9


def stencil(polygons: tuple[Polygon, ...], width: int, height: int) -> Bits:
    """True where a picture of this size is covered: rows, columns."""
    image = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(image)
    for polygon in polygons:
        corners = [(x * width / UNITS, y * height / UNITS) for x, y in polygon]
        draw.polygon(corners, fill=255)
        draw.line([*corners, corners[0]], fill=255, width=RIM)
        for x, y in corners:
            draw.rectangle((x - RIM // 2, y - RIM // 2, x + RIM // 2, y + RIM // 2), fill=255)
    return np.asarray(image) > 0


def label(mark: Mark, at_us: int, width: int) -> Bytes:
    """The mark of a picture: brightness, with even sides, not wider than the picture."""
    moment = from_micros(at_us).astimezone(BEIJING)
    lines = [f"{moment:%Y-%m-%d %H:%M:%S}  {mark.id}", *mark.text.splitlines()]
    size = max(SMALLEST_TEXT, width // 64)
    while size > SMALLEST_TEXT and max(chinese(size).getlength(line) for line in lines) > width - size:
        size -= 1
    font, step, edge = chinese(size), round(size * 1.35), size // 3
    wide = min(width, int(max(font.getlength(line) for line in lines)) + 2 * edge + 2) & ~1
    image = Image.new("L", (wide, (step * len(lines) + 2 * edge) & ~1), BEHIND)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((edge, edge + number * step), line, fill=LETTER, font=font)
    return np.asarray(image)


def cover(image: Image.Image, polygons: tuple[Polygon, ...]) -> None:
    """The masks onto a picture in RGB, in place."""
    if polygons:
        image.paste((SHOWN, SHOWN, SHOWN), None, Image.fromarray(stencil(polygons, *image.size)))


def stamp(image: Image.Image, mark: Mark, at_us: int) -> None:
    """The mark onto a picture in RGB, in place. at_us: of the media whose time zero the mark tells."""
    drawn = label(mark, mark.zero_us + at_us, image.width)
    image.paste(Image.fromarray(drawn).convert("RGB"), (0, max(0, image.height - drawn.shape[0])))


class Painter:
    """Draws the same onto one picture after another, all of one size."""

    def __init__(self, paint: Paint, width: int, height: int) -> None:
        self._paint = paint
        self._width, self._height = width, height
        self._stencils = _by_plane(paint.polygons, width, height)
        self._timed = [(one, _by_plane((one.polygon,), width, height)) for one in paint.timed]
        self._second = -1
        self._label: Bytes = np.zeros((0, 0), np.uint8)

    def planes(self, frame: VideoFrame, at_us: int) -> None:
        """A picture in YUV 4:2:0 with even sides, in place. at_us: of the media."""
        frame.make_writable()  # the decoder may still need what it gave us
        _cover(frame, self._stencils)
        for one, stencils in self._timed:
            if one.start_us <= at_us < one.end_us:
                _cover(frame, stencils)
        if (drawn := self._labelled(at_us)) is not None:
            height, width = drawn.shape
            top = max(0, (self._height - height) & ~1)
            _plane(frame, 0)[top : top + height, :width] = drawn[: self._height]
            for number in (1, 2):
                _plane(frame, number)[top // 2 : (top + height) // 2, : width // 2] = NEUTRAL

    def _labelled(self, at_us: int) -> Bytes | None:
        mark = self._paint.mark
        if mark is None:
            return None
        moment = mark.zero_us + at_us
        if moment // 1_000_000 != self._second:
            self._second = moment // 1_000_000
            self._label = label(mark, moment, self._width)
        return self._label


_Found = list[tuple[slice, slice, Bits]]


def _cover(frame: VideoFrame, stencils: tuple[_Found, _Found, _Found]) -> None:
    for number, found in enumerate(stencils):
        plane = _plane(frame, number)
        for rows, columns, covered in found:
            np.copyto(plane[rows, columns], GREY if number == 0 else NEUTRAL, where=covered)


def _by_plane(polygons: tuple[Polygon, ...], width: int, height: int) -> tuple[_Found, _Found, _Found]:
    """For each plane the covered boxes, each with what of it is covered: one per mask, so that little is looked at."""
    bright: _Found = []
    colour: _Found = []
    for polygon in polygons:
        whole = stencil((polygon,), width, height)
        half = whole[::2, ::2] | whole[1::2, ::2] | whole[::2, 1::2] | whole[1::2, 1::2]
        for kept, covered in ((bright, whole), (colour, half)):
            rows, columns = np.nonzero(covered)
            if len(rows):
                down = slice(int(rows.min()), int(rows.max()) + 1)
                across = slice(int(columns.min()), int(columns.max()) + 1)
                kept.append((down, across, covered[down, across]))
    return bright, colour, colour


def _plane(frame: VideoFrame, number: int) -> Bytes:
    """The bytes of a plane, to be written to."""
    plane = frame.planes[number]
    rows: Bytes = np.frombuffer(memoryview(plane), np.uint8)
    return rows[: plane.height * plane.line_size].reshape(plane.height, plane.line_size)[:, : plane.width]
