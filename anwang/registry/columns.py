"""All points as columns in memory: what the map, live states and their filters need, about 66 bytes a point.

A point's number `ix` is its row here and never changes; a removed point leaves a hole. The database stays the truth:
this is filled from it at start and follows every commit of this process.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anwang.governance import Area, Object, Scope
from anwang.kernel.errors import Invalid
from anwang.kernel.geo import MERCATOR_MAX_LAT
from anwang.kernel.ids import PointId
from anwang.registry.facts import STATES
from anwang.registry.model import Lifecycle, PointClass, PointFilter, PointKind, State

KINDS = tuple(PointKind)
CLASSES = tuple(PointClass)
LIFECYCLES = tuple(Lifecycle)
KIND_NUMBER = {kind: number for number, kind in enumerate(KINDS)}
CLASS_NUMBER = {int(point_class): number for number, point_class in enumerate(CLASSES)}
LIFECYCLE_NUMBER = {lifecycle: number for number, lifecycle in enumerate(LIFECYCLES)}

WORLD_BITS = 31
"""Map positions are integers of 31 bits per axis: 2 cm at the equator."""
NOWHERE = np.int32(-1)
#: heading and field of view that the file does not have
NO_ANGLE = np.int16(-1)

MOST_SEEN = 64
"""Scopes whose sight is kept: a byte a point each."""

Mask = NDArray[np.bool_]
Rows = NDArray[np.int32]


def world(longitude: NDArray[np.float64], latitude: NDArray[np.float64]) -> tuple[Rows, Rows]:
    """Web Mercator on the integer grid of 31 bits; NOWHERE where a coordinate is not a number."""
    size = float(1 << WORLD_BITS)
    with np.errstate(invalid="ignore"):
        lat = np.radians(np.clip(latitude, -MERCATOR_MAX_LAT, MERCATOR_MAX_LAT))
        x = (longitude / 360.0 + 0.5) * size
        y = (0.5 - np.arcsinh(np.tan(lat)) / (2 * np.pi)) * size
        placed = np.isfinite(x) & np.isfinite(y)
        xi = np.where(placed, np.clip(x, 0, size - 1), -1).astype(np.int32)
        yi = np.where(placed, np.clip(y, 0, size - 1), -1).astype(np.int32)
    return xi, yi


def degrees(x: Rows, y: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude and latitude of positions on the grid."""
    size = float(1 << WORLD_BITS)
    return (x / size - 0.5) * 360.0, np.degrees(np.arctan(np.sinh((0.5 - y / size) * 2 * np.pi)))


class Words:
    """Texts that repeat (organisation paths, codes), each kept once and known by a number; "" is number 0."""

    def __init__(self) -> None:
        self.texts: list[str] = [""]
        self._numbers: dict[str, int] = {"": 0}

    def number(self, text: str | None) -> int:
        """The number of a text, new ones included."""
        text = text or ""
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return number

    def known(self, text: str) -> int | None:
        """The number of a text that is there already."""
        return self._numbers.get(text)

    def matching(self, wanted: Iterable[str]) -> Mask:
        """By number: whether the text is one of these."""
        chosen = np.zeros(len(self.texts), np.bool_)
        for text in wanted:
            number = self._numbers.get(text)
            if number:
                chosen[number] = True
        return chosen

    def starting(self, prefixes: Sequence[str]) -> Mask:
        """By number: whether the text starts with one of these."""
        starts = tuple(prefixes)
        return np.fromiter((text.startswith(starts) and text != "" for text in self.texts), np.bool_, len(self.texts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What the columns keep of one point."""

    ix: int
    id: str
    longitude: float | None
    latitude: float | None
    kind: str
    point_class: int
    lifecycle: str
    org_path: str
    owns: str | None
    division: str | None
    department: str | None
    zone: str
    heading_deg: float | None
    fov_deg: float | None
    may_see: Sequence[str] = ()


LOADED = tuple(field.name for field in fields(Row) if field.name != "may_see")
"""What `load` takes of each point; who else may see one is told apart, because of most it is nobody."""


class PointColumns:
    """See the module's text. Not for several threads: a builder in a thread works on copies."""

    def __init__(self, capacity: int = 1024, path_of: Callable[[str], str | None] = lambda _: None) -> None:
        """path_of: an organisation's path, by its id; None for an unknown one."""
        self._path_of = path_of
        self.circles: list[tuple[str, ...]] = [()]
        """Organisations that may see a point besides its owner's: each set of them once, nobody's is number 0."""
        self._circle_numbers: dict[tuple[str, ...], int] = {(): 0}
        self.circle = np.zeros(capacity, np.int32)
        self.size = 0
        """One more than the highest number."""
        self.version = 0
        """Grows with every change."""
        self.hi = np.zeros(capacity, np.uint64)
        self.lo = np.zeros(capacity, np.uint64)
        self.alive = np.zeros(capacity, np.bool_)
        self.x = np.full(capacity, NOWHERE, np.int32)
        self.y = np.full(capacity, NOWHERE, np.int32)
        self.kind = np.zeros(capacity, np.uint8)
        self.point_class = np.zeros(capacity, np.uint8)
        self.lifecycle = np.zeros(capacity, np.uint8)
        self.org = np.zeros(capacity, np.int32)
        self.owns = np.zeros(capacity, np.int32)
        self.division = np.zeros(capacity, np.int32)
        self.department = np.zeros(capacity, np.int32)
        self.zone = np.zeros(capacity, np.int16)
        self.heading = np.full(capacity, NO_ANGLE, np.int16)
        self.fov = np.full(capacity, NO_ANGLE, np.int16)
        self.orgs = Words()
        self.owners = Words()
        self.divisions = Words()
        self.departments = Words()
        self.zones = Words()
        self._seen: OrderedDict[Scope, tuple[int, Mask]] = OrderedDict()
        self._sorted_hi: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._sorted_ix: Rows = np.zeros(0, np.int32)
        self._recent: dict[int, int] = {}

    _FIELDS = (
        "hi",
        "lo",
        "alive",
        "x",
        "y",
        "kind",
        "point_class",
        "lifecycle",
        "org",
        "owns",
        "division",
        "department",
        "zone",
        "heading",
        "fov",
        "circle",
    )

    @property
    def count(self) -> int:
        """How many points there are."""
        return int(np.count_nonzero(self.alive[: self.size]))

    def _room(self, size: int) -> None:
        if size <= len(self.hi):
            return
        capacity = max(size, len(self.hi) * 3 // 2)
        for name in self._FIELDS:
            old = getattr(self, name)
            new = np.zeros(capacity, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)

    def put(self, rows: Sequence[Row]) -> Rows:
        """Add points, or replace those whose number is known; their numbers."""
        if not rows:
            return np.zeros(0, np.int32)
        ix = np.fromiter((row.ix for row in rows), np.int32, len(rows))
        if int(ix.min()) < 0:
            raise Invalid("a point's number is not negative")
        self._room(int(ix.max()) + 1)
        lon = np.array([row.longitude for row in rows], np.float64)
        lat = np.array([row.latitude for row in rows], np.float64)
        whole = [int(row.id.replace("-", ""), 16) for row in rows]
        self.hi[ix] = np.array([value >> 64 for value in whole], np.uint64)
        self.lo[ix] = np.array([value & 0xFFFF_FFFF_FFFF_FFFF for value in whole], np.uint64)
        self.x[ix], self.y[ix] = world(lon, lat)
        self.kind[ix] = [KIND_NUMBER[PointKind(row.kind)] for row in rows]
        self.point_class[ix] = [CLASS_NUMBER[row.point_class] for row in rows]
        self.lifecycle[ix] = [LIFECYCLE_NUMBER[Lifecycle(row.lifecycle)] for row in rows]
        self.org[ix] = [self.orgs.number(row.org_path) for row in rows]
        self.owns[ix] = [self.owners.number(row.owns) for row in rows]
        self.division[ix] = [self.divisions.number(row.division) for row in rows]
        self.department[ix] = [self.departments.number(row.department) for row in rows]
        self.zone[ix] = [self.zones.number(row.zone) for row in rows]
        self.heading[ix] = [-1 if row.heading_deg is None else round(row.heading_deg) % 360 for row in rows]
        self.fov[ix] = [-1 if row.fov_deg is None else round(row.fov_deg) for row in rows]
        self.alive[ix] = True
        self.size = max(self.size, int(ix.max()) + 1)
        self.version += 1
        for row in rows:
            self.share(row.ix, row.may_see)
        for value, number in zip(whole, ix.tolist(), strict=True):
            self._recent[value] = number
        if len(self._recent) > 65536:
            self.settle()
        return ix

    def load(self, columns: dict[str, Sequence[Any]]) -> Rows:
        """As `put`, for very many at once: one sequence per field of Row. Call `settle` after the last."""
        rows = len(columns["ix"])
        if rows == 0:
            return np.zeros(0, np.int32)
        ix = np.array(columns["ix"], np.int32)
        self._room(int(ix.max()) + 1)
        raw = np.frombuffer(bytes.fromhex("".join(columns["id"]).replace("-", "")), ">u8").reshape(rows, 2)
        self.hi[ix], self.lo[ix] = raw[:, 0], raw[:, 1]
        self.x[ix], self.y[ix] = world(
            np.array(columns["longitude"], np.float64), np.array(columns["latitude"], np.float64)
        )
        self.kind[ix] = [_KIND_TEXT[text] for text in columns["kind"]]
        self.point_class[ix] = [CLASS_NUMBER[number] for number in columns["point_class"]]
        self.lifecycle[ix] = [_LIFECYCLE_TEXT[text] for text in columns["lifecycle"]]
        self.org[ix] = list(map(self.orgs.number, columns["org_path"]))
        self.owns[ix] = list(map(self.owners.number, columns["owns"]))
        self.division[ix] = list(map(self.divisions.number, columns["division"]))
        self.department[ix] = list(map(self.departments.number, columns["department"]))
        self.zone[ix] = list(map(self.zones.number, columns["zone"]))
        for name, target in (("heading_deg", self.heading), ("fov_deg", self.fov)):
            angles = np.array(columns[name], np.float64)
            target[ix] = np.where(np.isfinite(angles), np.nan_to_num(angles), -1).round().astype(np.int16)
        self.alive[ix] = True
        self.size = max(self.size, int(ix.max()) + 1)
        self.version += 1
        return ix

    def share(self, ix: int, may_see: Sequence[str]) -> None:
        """Who may see a point besides its owner's organisation, by id."""
        circle = tuple(may_see)
        number = self._circle_numbers.get(circle)
        if number is None:
            number = self._circle_numbers[circle] = len(self.circles)
            self.circles.append(circle)
        self.circle[ix] = number

    def paths(self, may_see: Sequence[str]) -> tuple[str, ...]:
        """Of organisations by id; unknown ones are left out."""
        return tuple(path for one in may_see if (path := self._path_of(one)) is not None)

    def settle(self) -> None:
        """Sort the ids anew, so that `find` needs no dictionary of recent ones."""
        self.use(*self.sorted_ids())
        self._recent = {}

    def sorted_ids(self) -> tuple[NDArray[np.uint64], Rows]:
        """The upper halves of all ids in order, and whose they are; may run in a thread. See `use`."""
        live = np.flatnonzero(self.alive[: self.size]).astype(np.int32)
        hi = self.hi[live]
        order = np.argsort(hi)
        return hi[order], live[order]

    def use(self, hi: NDArray[np.uint64], ix: Rows) -> None:
        """Find ids by this order from now on; those put since it was made are still found."""
        self._sorted_hi, self._sorted_ix = hi, ix

    def drop(self, ix: Rows) -> None:
        """Forget removed points."""
        self.alive[ix] = False
        self.version += 1

    def find(self, point: str) -> int:
        """The number of a point, -1 for an unknown or removed one."""
        try:
            value = int(point.replace("-", ""), 16)
        except ValueError:
            return -1
        if value >> 128:
            return -1
        number = self._recent.get(value)
        if number is None:
            hi, lo = np.uint64(value >> 64), value & 0xFFFF_FFFF_FFFF_FFFF
            place = int(np.searchsorted(self._sorted_hi, hi))
            while place < len(self._sorted_hi) and self._sorted_hi[place] == hi:
                number = int(self._sorted_ix[place])
                if int(self.lo[number]) == lo:
                    break
                number, place = None, place + 1
        if number is None or not self.alive[number]:
            return -1
        return number

    def ids(self, ix: Rows) -> list[PointId]:
        """The ids of points."""
        out = []
        for hi, lo in zip(self.hi[ix].tolist(), self.lo[ix].tolist(), strict=True):
            text = f"{hi:016x}{lo:016x}"
            out.append(PointId(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"))
        return out

    def seen_by(self, scope: Scope) -> Mask:
        """Which rows a scope covers; kept until a point changes, because everybody asks all day within the same."""
        if scope.sees_all:
            return self.alive[: self.size].copy()
        kept = self._seen.get(scope)
        if kept is None or kept[0] != self.version:
            kept = self._seen[scope] = self.version, self._covered(scope)
            if len(self._seen) > MOST_SEEN:
                self._seen.popitem(last=False)
        self._seen.move_to_end(scope)
        return kept[1].copy()

    def _covered(self, scope: Scope) -> Mask:
        mask = np.zeros(self.size, np.bool_)
        whole = [area.org_path for area in scope.areas if area.is_whole]
        if whole:
            mask |= self._below(whole, shared=scope.shared)
        for area in scope.areas:
            if not area.is_whole:
                mask |= self._within(area, shared=scope.shared)
        mask &= self.alive[: self.size]
        return mask

    def _below(self, paths: Sequence[str], *, shared: bool) -> Mask:
        """Rows of these organisations; shared: and what others let any of them see."""
        n = self.size
        mask: Mask = self.orgs.starting(paths)[self.org[:n]]
        if shared and len(self.circles) > 1:
            starts = tuple(paths)
            fits = (any(path.startswith(starts) for path in self.paths(circle)) for circle in self.circles)
            mask |= np.fromiter(fits, np.bool_, len(self.circles))[self.circle[:n]]
        return mask

    def _within(self, area: Area, *, shared: bool) -> Mask:
        """Rows of a narrowed area, removed ones, too."""
        n = self.size
        mask = self._below([area.org_path], shared=shared)
        if area.departments:
            texts = self.departments.texts
            fits = (not area.departments.isdisjoint(text.split("/")) for text in texts)
            mask &= np.fromiter(fits, np.bool_, len(texts))[self.department[:n]]
        if area.classes:
            mask &= _one_of(len(CLASSES), (CLASS_NUMBER[c] for c in area.classes if c in CLASS_NUMBER))[
                self.point_class[:n]
            ]
        if area.kinds:
            mask &= _one_of(len(KINDS), (KIND_NUMBER[PointKind(k)] for k in area.kinds if k in _KIND_TEXT))[
                self.kind[:n]
            ]
        if area.zones:
            mask &= self.zones.matching(area.zones)[self.zone[:n]]
        return mask

    def object(self, ix: int) -> Object:
        """What rights may depend on, of one point; its id and name are not told."""
        return Object(
            "",
            self.orgs.texts[self.org[ix]],
            department=self.departments.texts[self.department[ix]],
            point_class=int(CLASSES[self.point_class[ix]]),
            kind=str(KINDS[self.kind[ix]]),
            zone=self.zones.texts[self.zone[ix]],
            may_see=self.paths(self.circles[self.circle[ix]]),
        )

    def matching(self, chosen: PointFilter, scope: Scope) -> Mask:
        """Which rows a filter and a scope leave, live state and text apart. organisation must be a path here."""
        mask = self.seen_by(scope)
        n = self.size
        if chosen.kinds:
            mask &= _one_of(len(KINDS), (KIND_NUMBER[kind] for kind in chosen.kinds))[self.kind[:n]]
        if chosen.classes:
            mask &= _one_of(len(CLASSES), (CLASS_NUMBER[int(c)] for c in chosen.classes))[self.point_class[:n]]
        if chosen.lifecycles:
            mask &= _one_of(len(LIFECYCLES), (LIFECYCLE_NUMBER[x] for x in chosen.lifecycles))[self.lifecycle[:n]]
        if chosen.owners:
            mask &= self.owners.matching(chosen.owners)[self.owns[:n]]
        if chosen.divisions:
            mask &= self.divisions.starting([division_prefix(code) for code in chosen.divisions])[self.division[:n]]
        if chosen.organisation is not None:
            mask &= self.orgs.starting([chosen.organisation])[self.org[:n]]
        if chosen.box is not None:
            box = chosen.box
            xs, ys = world(np.array([box.west, box.east]), np.array([box.north, box.south]))
            mask &= (self.x[:n] >= xs[0]) & (self.x[:n] <= xs[1]) & (self.y[:n] >= ys[0]) & (self.y[:n] <= ys[1])
            mask &= self.x[:n] != NOWHERE
        return mask


_KIND_TEXT = {str(kind): number for kind, number in KIND_NUMBER.items()}
_LIFECYCLE_TEXT = {str(lifecycle): number for lifecycle, number in LIFECYCLE_NUMBER.items()}


def division_prefix(code: str) -> str:
    """What the codes of a division and of all below it start with: 120000 → 12, 370200 → 3702, 370202 → itself."""
    if len(code) == 6:
        if code.endswith("0000"):
            return code[:2]
        if code.endswith("00"):
            return code[:4]
    return code


def _one_of(size: int, numbers: Iterable[int]) -> Mask:
    chosen = np.zeros(size, np.bool_)
    chosen[list(numbers)] = True
    return chosen


def state_mask(states: Iterable[State]) -> Mask:
    """By place in STATES: whether the state is one of these."""
    wanted = set(states)
    return np.array([state in wanted for state in STATES], np.bool_)
