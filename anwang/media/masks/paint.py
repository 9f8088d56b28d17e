"""What is drawn onto pictures before they leave: masks that must be there, and a mark where one is wanted. Values only:
they go to the children that decode.
"""

from __future__ import annotations

import msgspec

from anwang.media.masks.model import Polygon


class Mark(msgspec.Struct, frozen=True):
    """The burnt-in mark (水印, G08). text: who looks, of which unit, and in a line of its own for which
    case. id: short form of the look's. zero_us: wall clock
    of the media's time zero.
    """

    text: str
    id: str
    zero_us: int


class Timed(msgspec.Struct, frozen=True):
    """An area that is covered for a while: in pictures shown in [start_us, end_us) of the media's time."""

    polygon: Polygon
    start_us: int
    end_us: int


class Paint(msgspec.Struct, frozen=True):
    """All that is drawn. polygons: covered in every picture."""

    polygons: tuple[Polygon, ...] = ()
    mark: Mark | None = None
    timed: tuple[Timed, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.polygons or self.timed) or self.mark is not None


NOTHING = Paint()


class Cut(msgspec.Struct, frozen=True):
    """What is wanted of a piece. size: of its pictures, None: as they are where that is not too large. within_90k: only
    what is shown in [from, to) of the media's time; None: all. with_sound: where it has any.
    """

    size: tuple[int, int] | None = None
    within_90k: tuple[int, int] | None = None
    with_sound: bool = True


WHOLE = Cut()

LARGEST = (1920, 1088)
"""Larger pictures are made smaller: the cost of a conversion is bounded."""


def fitting(width: int, height: int) -> tuple[int, int]:
    """The size of the picture made from one of this size: even, and not above LARGEST."""
    scale = min(1.0, LARGEST[0] / max(width, 1), LARGEST[1] / max(height, 1))
    if scale == 1.0 and not (width | height) & 1:
        return width, height
    return max(16, round(width * scale) // 2 * 2), max(16, round(height * scale) // 2 * 2)
