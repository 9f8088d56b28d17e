"""Privacy masks (隐私遮挡, G09): areas of a point's picture that nobody sees without a second person's yes. Pure.

A polygon's coordinates are shares of the picture's width and height, in whole ten-thousandths: so its tests are exact,
and the same mask fits main and sub stream.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations, pairwise
from typing import NewType, TypeAlias

from anwang.kernel.errors import Exhausted, Invalid
from anwang.kernel.ids import PointId

MaskId = NewType("MaskId", str)
Vertex: TypeAlias = tuple[int, int]
Polygon: TypeAlias = tuple[Vertex, ...]

UNITS = 10_000
"""Of the picture's width, and of its height."""
MOST_MASKS = 32
FEWEST_VERTICES, MOST_VERTICES = 3, 64
SMALLEST = UNITS * UNITS // 100_000
"""Area below which a polygon is a slip of the hand: nine pixels of 720p."""
LONGEST_NAME, LONGEST_WHY = 60, 300
PRESETS = range(1, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """One mask. preset: the stored view (预置位) that it belongs to; None: it belongs to every view."""

    id: MaskId
    point: PointId
    preset: int | None
    name: str
    why: str
    polygon: Polygon
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str

    @property
    def covers(self) -> tuple[int | None, Polygon]:
        """What it covers and when: all that a look depends on."""
        return self.preset, self.polygon


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A mask as somebody draws it. id: of the one that it changes, "" for a new one."""

    id: str
    preset: int | None
    name: str
    why: str
    polygon: Polygon


@dataclass(frozen=True, slots=True)
class Cover:
    """What must be covered in a picture. Empty: nothing."""

    polygons: tuple[Polygon, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.polygons)

    @property
    def tag(self) -> str:
        """Short, and another one for other polygons."""
        return tag_of(self.polygons)


BARE = Cover()


def tag_of(value: object) -> str:
    """A short digest of plain values."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def version_of(masks: Iterable[Mask]) -> str:
    """Of a point's masks as they stand: another one after every change."""
    return tag_of([(mask.id, mask.preset, mask.name, mask.why, mask.polygon) for mask in masks])


def parse_polygon(points: Sequence[Sequence[float]]) -> Polygon:
    """Shares of width and height, 0..1, as a polygon. Raises Invalid unless it is simple and has an area."""
    if not FEWEST_VERTICES <= len(points) <= MOST_VERTICES:
        raise Invalid(f"a mask has {FEWEST_VERTICES} to {MOST_VERTICES} corners, not {len(points)}")
    polygon = tuple(_vertex(point) for point in points)
    if abs(_area2(polygon)) < 2 * SMALLEST:
        raise Invalid("a mask covers next to nothing", "draw it larger")
    if not is_simple(polygon):
        raise Invalid("the edges of a mask cross or touch each other", "draw it as one area, or as two masks")
    return polygon


def _vertex(point: Sequence[float]) -> Vertex:
    if len(point) != 2 or not all(math.isfinite(value) and 0 <= value <= 1 for value in point):
        raise Invalid("a corner of a mask lies outside of the picture", "two numbers from 0 to 1")
    return round(point[0] * UNITS), round(point[1] * UNITS)


def shares(polygon: Polygon) -> list[list[float]]:
    """The reverse of parse_polygon."""
    return [[x / UNITS, y / UNITS] for x, y in polygon]


def _area2(polygon: Polygon) -> int:
    """Twice the area; negative where it runs anticlockwise on the screen."""
    return sum(x * v - u * y for (x, y), (u, v) in pairwise([*polygon, polygon[0]]))


def is_simple(polygon: Polygon) -> bool:
    """Whether no two edges share a point besides the corner between neighbours."""
    edges = list(pairwise([*polygon, polygon[0]]))
    if any(start == end for start, end in edges):
        return False
    last = len(edges) - 1
    for (i, one), (j, other) in combinations(enumerate(edges), 2):
        if j == i + 1 or (i == 0 and j == last):
            corner = one[1] if j == i + 1 else one[0]
            ahead, behind = (other[1], one[0]) if j == i + 1 else (one[1], other[0])
            if _turn(behind, corner, ahead) == 0 and _is_back(behind, corner, ahead):
                return False
        elif _meet(one, other):
            return False
    return True


def _turn(a: Vertex, b: Vertex, c: Vertex) -> int:
    """Positive, negative or 0: to which side a path from a over b goes on to c."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _is_back(a: Vertex, corner: Vertex, b: Vertex) -> bool:
    """Of three on a line: whether a and b lie on the same side of the corner."""
    return (a[0] - corner[0]) * (b[0] - corner[0]) + (a[1] - corner[1]) * (b[1] - corner[1]) > 0


def _meet(one: tuple[Vertex, Vertex], other: tuple[Vertex, Vertex]) -> bool:
    """Whether two closed segments have a point in common."""
    (a, b), (c, d) = one, other
    turns = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    ends = ((turns[0], c, a, b), (turns[1], d, a, b), (turns[2], a, c, d), (turns[3], b, c, d))
    return any(turn == 0 and _within(point, start, end) for turn, point, start, end in ends)


def _within(point: Vertex, start: Vertex, end: Vertex) -> bool:
    """Whether a point on the line through a segment lies in the segment's box."""
    return all(min(start[i], end[i]) <= point[i] <= max(start[i], end[i]) for i in (0, 1))


def check_drawn(drawn: Sequence[Drawn]) -> None:
    """Raises Invalid, Exhausted."""
    if len(drawn) > MOST_MASKS:
        raise Exhausted(f"a point has at most {MOST_MASKS} masks", "join some of them")
    kept = [one.id for one in drawn if one.id]
    if len(kept) != len(set(kept)):
        raise Invalid("a mask is named twice", "each id once")
    for one in drawn:
        if one.preset is not None and one.preset not in PRESETS:
            raise Invalid(f"there is no preset {one.preset}", "1 to 255, or none")


def loosens(before: Sequence[Mask], after: Sequence[Drawn]) -> bool:
    """Whether anything that is covered now might be seen: a mask was taken away, or changed in more than its words.

    Adding one covers more. Whether a changed one covers less is not looked into: a person says so, two of them.
    """
    left = {one.id: (one.preset, one.polygon) for one in after}
    return any(left.get(mask.id) != mask.covers for mask in before)


def cover_of(masks: Iterable[Mask], preset: int | None) -> Cover:
    """What to cover while the view is a preset; None: the view is not known, and all masks of all presets apply."""
    return Cover(tuple(m.polygon for m in masks if preset is None or m.preset is None or m.preset == preset))
