"""The map's vector tiles: a million points, clustered on the server.

All points lie sorted along a Morton curve, so that every square of a zoom level, tile or cluster cell, is one stretch
of the array. Clusters are the cells of a grid (`8 x 8` a tile); their sums are differences of running sums, so building
all zoom levels means finding where the cells change. Live states are not part of it: counts of states come from running
sums that are renewed when states changed, and nothing is sorted again. A changed point is kept beside the base (its old
place counts -1, its new place +1) until a thread has built a new base.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anwang.governance import EVERYTHING, Scope
from anwang.kernel.errors import Invalid
from anwang.kernel.geo import MERCATOR_MAX_LAT, Box, unmercator
from anwang.registry.columns import CLASSES, KINDS, NO_ANGLE, NOWHERE, WORLD_BITS, Mask, PointColumns, Rows, state_mask
from anwang.registry.facts import OFFLINE, ONLINE, STATES, UNKNOWN
from anwang.registry.live import Live
from anwang.registry.model import PointFilter, State
from anwang.wire import mvt

CELL_BITS = 3
"""Clusters are cells of 2**CELL_BITS a side of a tile: 64 px where a tile is drawn at 512."""
CLUSTER_ZOOMS = 16
"""From this zoom on every point is drawn by itself."""
MAX_ZOOM = 22
FEATURES = 5000
"""Points by themselves in a tile; what is over is left out, evenly, and said."""
TILES = 4096
"""Encoded tiles that are kept; each is proved to be what it would be now before it is given away."""
VIEWS = 32
"""Combinations of filter and scope whose cells are kept."""

_KIND_TEXTS, _STATE_TEXTS = [str(kind) for kind in KINDS], [str(state) for state in STATES]
_CLASS_NUMBERS = [int(number) for number in CLASSES]

_Key = tuple[int, int, int, PointFilter, Scope]
Codes = NDArray[np.int64]
Sums = NDArray[np.int64]
Counts = NDArray[np.int32]


def morton(x: NDArray[Any], y: NDArray[Any]) -> Codes:
    """Interleave the bits of two numbers of 31 bits; y takes the higher bit."""

    def spread(v: NDArray[np.uint64]) -> NDArray[np.uint64]:
        for shift, mask in (
            (16, 0x0000FFFF0000FFFF),
            (8, 0x00FF00FF00FF00FF),
            (4, 0x0F0F0F0F0F0F0F0F),
            (2, 0x3333333333333333),
            (1, 0x5555555555555555),
        ):
            v = (v | (v << np.uint64(shift))) & np.uint64(mask)
        return v

    return (spread(x.astype(np.uint64)) | (spread(y.astype(np.uint64)) << np.uint64(1))).astype(np.int64)


def _morton(x: int, y: int) -> int:
    """As `morton`, of one pair."""
    return sum((x >> bit & 1) << 2 * bit | (y >> bit & 1) << 2 * bit + 1 for bit in range(max(x, y).bit_length()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A tile's bytes. left_out: points that were too many to draw. etag: of the bytes. cursor: of the states in it."""

    data: bytes
    left_out: int
    cursor: str

    @property
    def etag(self) -> str:
        """A strong tag of the bytes."""
        return '"' + blake2b(self.data, digest_size=12).hexdigest() + '"'


@dataclass(frozen=True, slots=True)
class Cells:
    """Clusters of one tile: their cell codes, sums of positions, numbers of points by state, and where they start."""

    code: Codes
    sum_x: Sums
    sum_y: Sums
    by_state: Sums
    """Shape (n, 3)."""

    @property
    def count(self) -> Sums:
        """Points of each."""
        total: Sums = self.by_state.sum(axis=1)
        return total


class Base:
    """All placed points along the curve. Never changes once built; safe to read from any thread."""

    def __init__(self, ix: Rows, x: Rows, y: Rows) -> None:
        placed = np.flatnonzero(x != NOWHERE)
        codes = morton(x[placed], y[placed])
        order = np.argsort(codes, kind="stable")
        self.codes = codes[order]
        chosen = placed[order]
        self.ix = ix[chosen]
        self.x, self.y = x[chosen], y[chosen]
        self.place = np.full(int(ix.max()) + 1 if len(ix) else 0, -1, np.int32)
        self.place[self.ix] = np.arange(len(self.ix), dtype=np.int32)

    def __len__(self) -> int:
        return len(self.ix)

    def places(self, ix: Rows) -> Rows:
        """Where points stand in it, -1 for those that are not in it."""
        known = ix < len(self.place)
        out = np.full(len(ix), -1, np.int32)
        out[known] = self.place[ix[known]]
        return out


def _running(values: NDArray[Any], dtype: type) -> NDArray[Any]:
    out: NDArray[Any] = np.zeros(len(values) + 1, dtype)
    np.cumsum(values, out=out[1:])
    return out


class View:
    """The cells of the points that one filter and one scope leave."""

    def __init__(self, base: Base, places: Rows | None, cell_bits: int, zooms: int) -> None:
        """places: chosen places in the base, growing; None: all."""
        self.base = base
        self.places = places
        self.cell_bits = cell_bits
        self.codes = base.codes if places is None else base.codes[places]
        self.ix = base.ix if places is None else base.ix[places]
        x, y = (base.x, base.y) if places is None else (base.x[places], base.y[places])
        self._sum_x, self._sum_y = _running(x, np.int64), _running(y, np.int64)
        self._starts: list[Rows] = self._cells(zooms)
        self._state_sums: NDArray[np.int32] | None = None
        self._state_mark: object = None

    def _cells(self, zooms: int) -> list[Rows]:
        """By zoom: where a new cell begins. Coarser cells begin only where finer ones do."""
        codes, starts = self.codes, np.arange(len(self.codes), dtype=np.int32)
        out: list[Rows] = []
        for zoom in range(zooms - 1, -1, -1):
            cells = codes[starts] >> np.int64(self.shift(zoom))
            begins = np.ones(len(cells), np.bool_)
            np.not_equal(cells[1:], cells[:-1], out=begins[1:])
            starts = starts[begins]
            out.append(starts)
        return out[::-1]

    def shift(self, zoom: int) -> int:
        """Bits of a code below a cell of this zoom."""
        return 2 * (WORLD_BITS - min(zoom + self.cell_bits, WORLD_BITS))

    def __len__(self) -> int:
        return len(self.codes)

    def stretch(self, zoom: int, x: int, y: int) -> tuple[int, int]:
        """First and last (exclusive) place of a tile's points."""
        low = _morton(x, y) << 2 * (WORLD_BITS - zoom)
        high = low + (1 << 2 * (WORLD_BITS - zoom))
        first, last = np.searchsorted(self.codes, np.array([low, high], np.int64))
        return int(first), int(last)

    def cells(self, zoom: int, first: int, last: int, states: NDArray[np.uint8], mark: object) -> tuple[Cells, Rows]:
        """The clusters of a stretch that is a tile of this zoom, and the place where each begins.

        states: live states by number of the point. mark: changes when they do.
        """
        starts = self._starts[zoom]
        begin, end = np.searchsorted(starts, np.array([first, last], np.int32))
        chosen = starts[begin:end]
        bounds = np.append(chosen, np.int32(last))
        by_state = self._by_state(bounds, states, mark)
        sum_x, sum_y = self._sum_x[bounds], self._sum_y[bounds]
        return (
            Cells(
                self.codes[chosen] >> np.int64(self.shift(zoom)),
                sum_x[1:] - sum_x[:-1],
                sum_y[1:] - sum_y[:-1],
                by_state,
            ),
            chosen,
        )

    def _by_state(self, bounds: Rows, states: NDArray[np.uint8], mark: object) -> Sums:
        out = np.zeros((len(bounds) - 1, 3), np.int64)
        if not len(out):
            return out
        first, last = int(bounds[0]), int(bounds[-1])
        if last - first > 16_384:
            if self._state_sums is None or mark != self._state_mark:
                mine = states[self.ix]
                self._state_sums = np.stack([_running(mine == state, np.int32) for state in (ONLINE, OFFLINE)])
                self._state_mark = mark
            sums = self._state_sums[:, bounds]
            out[:, (ONLINE, OFFLINE)] = (sums[:, 1:] - sums[:, :-1]).T
        else:
            mine = states[self.ix[first:last]]
            for state in (ONLINE, OFFLINE):
                out[:, state] = np.add.reduceat((mine == state).astype(np.int64), bounds[:-1] - first)
        out[:, UNKNOWN] = np.diff(bounds) - out[:, ONLINE] - out[:, OFFLINE]
        return out


@dataclass(frozen=True, slots=True)
class Overlay:
    """What changed since the base was built, for one view: points taken away and points put, and where."""

    ix: Rows
    code: Codes
    x: Sums
    y: Sums
    weight: Sums
    """-1 for an old place in the base, +1 for where it is now."""
    mark: object


class TileIndex:
    """Tiles of points, for any filter and scope."""

    def __init__(
        self, columns: PointColumns, live: Live, *, cell_bits: int = CELL_BITS, cluster_zooms: int = CLUSTER_ZOOMS
    ) -> None:
        if not 0 <= cell_bits <= 8 or not 1 <= cluster_zooms <= MAX_ZOOM - cell_bits:
            raise Invalid("cell_bits must lie in 0..8, cluster_zooms in 1..22 less cell_bits")
        self._columns = columns
        self._live = live
        self._cell_bits = cell_bits
        self._zooms = cluster_zooms
        self._base = Base(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32))
        self._views: OrderedDict[tuple[PointFilter, Scope], View] = OrderedDict()
        self._overlays: dict[int, Overlay] = {}
        self._tiles: OrderedDict[_Key, tuple[tuple[object, ...], Tile]] = OrderedDict()
        self._changed: Rows = np.zeros(0, np.int32)
        self._late: list[Rows] | None = None
        """What changes while a new base is being built; None while none is."""
        self._building: asyncio.Task[None] | None = None
        self.built = 0
        """Bases built since the start."""

    # --- following the columns -----------------------------------------------------------------------------------

    def build(self) -> None:
        """Build the base here and now; for the start and for tests."""
        self._changed = np.zeros(0, np.int32)
        self._set(self._make(*self._copies()))

    def _copies(self) -> tuple[Rows, Rows, Rows]:
        ix = np.flatnonzero(self._columns.alive[: self._columns.size]).astype(np.int32)
        return ix, self._columns.x[ix], self._columns.y[ix]

    def _make(self, ix: Rows, x: Rows, y: Rows) -> tuple[Base, View]:
        base = Base(ix, x, y)
        return base, View(base, None, self._cell_bits, self._zooms)

    def _set(self, made: tuple[Base, View]) -> None:
        self._base = made[0]
        self._views.clear()
        self._overlays.clear()
        self._views[PointFilter(), EVERYTHING] = made[1]
        self.built += 1

    def changed(self, ix: Rows) -> None:
        """Points were put, changed or dropped in the columns. Their tiles are right at once."""
        ix = ix[ix < self._columns.size]
        if not len(ix):
            return
        self._changed = np.union1d(self._changed, np.asarray(ix, np.int32)).astype(np.int32)
        self._overlays.clear()
        if self._late is not None:
            self._late.append(np.array(ix, np.int32))

    @property
    def is_behind(self) -> bool:
        """Whether a new base is worth building."""
        return len(self._changed) > 0

    async def rebuild(self) -> None:
        """Build a new base in a thread; what changes meanwhile stays beside it. One at a time."""
        if self._building is not None:
            await asyncio.shield(self._building)
            return
        self._building = asyncio.create_task(self._rebuild())
        try:
            await asyncio.shield(self._building)
        finally:
            self._building = None

    async def _rebuild(self) -> None:
        copies = self._copies()
        self._late = []
        try:
            made = await asyncio.to_thread(self._make, *copies)
        except BaseException:
            self._late = None
            raise
        late, self._late = self._late, None
        self._set(made)
        self._changed = np.unique(np.concatenate([np.zeros(0, np.int32), *late]))

    # --- views ---------------------------------------------------------------------------------------------------

    async def view(self, chosen: PointFilter, scope: Scope) -> View:
        """The cells of a filter and a scope, made in a thread when they are asked for first."""
        key = (replace(chosen, states=frozenset(), box=None, q=""), scope)
        found = self._views.get(key)
        if found is None:
            base = self._base
            mask = self._columns.matching(key[0], scope)
            # what changed since the base was built is counted beside it
            mask[self._changed[self._changed < len(mask)]] = False
            known = base.ix < len(mask)
            found = await asyncio.to_thread(self._choose, base, mask, known)
            if base is not self._base:
                return await self.view(chosen, scope)
            self._views[key] = found
            while len(self._views) > VIEWS:
                self._overlays.pop(id(self._views.popitem(last=False)[1]), None)
        self._views.move_to_end(key)
        return found

    def _choose(self, base: Base, mask: Mask, known: Mask) -> View:
        wanted = np.zeros(len(base), np.bool_)
        wanted[known] = mask[base.ix[known]]
        places = None if wanted.all() else np.flatnonzero(wanted).astype(np.int32)
        return View(base, places, self._cell_bits, self._zooms)

    def _overlay(self, view: View, chosen: PointFilter, scope: Scope) -> Overlay | None:
        if not len(self._changed):
            return None
        mark = self._columns.version
        kept = self._overlays.get(id(view))
        if kept is not None and kept.mark == mark:
            return kept
        columns, changed = self._columns, self._changed
        place = self._base.places(changed)
        old = place >= 0
        if view.places is not None and old.any():
            where = np.searchsorted(view.places, place[old])
            where[where == len(view.places)] = 0
            held = view.places[where] == place[old] if len(view.places) else np.zeros(int(old.sum()), np.bool_)
            old[old] = held
        mask = columns.matching(replace(chosen, states=frozenset(), box=None), scope)
        new = mask[changed] & (columns.x[changed] != NOWHERE)
        gone = place[old]
        x = np.concatenate([self._base.x[gone], columns.x[changed[new]]]).astype(np.int64)
        y = np.concatenate([self._base.y[gone], columns.y[changed[new]]]).astype(np.int64)
        weight = np.concatenate([np.full(len(gone), -1), np.ones(int(new.sum()))]).astype(np.int64)
        made = Overlay(np.concatenate([changed[old], changed[new]]).astype(np.int32), morton(x, y), x, y, weight, mark)
        self._overlays[id(view)] = made
        return made

    # --- tiles ---------------------------------------------------------------------------------------------------

    async def tile(self, zoom: int, x: int, y: int, chosen: PointFilter, scope: Scope) -> Tile:
        """A tile with the layers `points` and `clusters`. Raises Invalid for a tile that does not exist.

        points: pid, kind, class, state, ix, and heading and fov where known; clusters: count, cid, n_online, n_offline,
        n_unknown. With `states` in the filter only such points are drawn and counted.
        """
        check_tile(zoom, x, y)
        return self.draw(await self.view(chosen, scope), zoom, x, y, chosen, scope)

    def draw(self, view: View, zoom: int, x: int, y: int, chosen: PointFilter, scope: Scope) -> Tile:
        """As `tile`, of a view that is there."""
        states = self._live.states()
        cursor = self._live.cursor
        first, last = view.stretch(zoom, x, y)
        overlay = self._overlay(view, chosen, scope)
        here = _in_tile(overlay, zoom, x, y) if overlay is not None else None
        wanted = state_mask(chosen.states or State)
        if zoom >= self._zooms:
            ix = self._alone(view.ix[first:last], overlay, here)
            ix = ix[wanted[states[ix]]]
            return self._draw(zoom, x, y, ix, None, cursor, states)
        cells, starts = view.cells(zoom, first, last, states, cursor)
        if overlay is not None and here is not None and here.any():
            cells, lone = self._merge(view, zoom, cells, starts, overlay, here, states)
        else:
            single = cells.count == 1
            lone = view.ix[starts[single]]
            cells = _pick(cells, ~single)
        lone = lone[wanted[states[lone]]]
        # what a tile shows is known before it is encoded: the same bytes serve until something in it changes
        key = (zoom, x, y, chosen, scope)
        shown = (cells.code, cells.sum_x, cells.sum_y, cells.by_state, lone, states[lone])
        proof = (self._columns.version, *(part.tobytes() for part in shown))
        kept = self._tiles.get(key)
        if kept is not None and kept[0] == proof:
            self._tiles.move_to_end(key)
            return replace(kept[1], cursor=cursor)
        tile = self._draw(zoom, x, y, lone, cells, cursor, states, wanted if chosen.states else None)
        self._tiles[key] = (proof, tile)
        while len(self._tiles) > TILES:
            self._tiles.popitem(last=False)
        return tile

    def _alone(self, ix: Rows, overlay: Overlay | None, here: Mask | None) -> Rows:
        if overlay is None or here is None:
            return ix
        gone = overlay.ix[overlay.weight < 0]
        if len(gone):
            ix = ix[~np.isin(ix, gone)]
        return np.concatenate([ix, overlay.ix[here & (overlay.weight > 0)]])

    def _merge(
        self, view: View, zoom: int, cells: Cells, starts: Rows, overlay: Overlay, here: Mask, states: NDArray[np.uint8]
    ) -> tuple[Cells, Rows]:
        """Add what lies beside the base; the clusters of more than one point, and the points that are alone."""
        code = overlay.code[here] >> np.int64(view.shift(zoom))
        weight = overlay.weight[here]
        mine = np.zeros((len(code), 3), np.int64)
        mine[np.arange(len(code)), states[overlay.ix[here]]] = weight
        all_codes = np.concatenate([cells.code, code])
        distinct, place = np.unique(all_codes, return_inverse=True)
        place = place.reshape(-1)

        def gather(base: Sums, beside: Sums) -> Sums:
            out = np.zeros((len(distinct), *base.shape[1:]), np.int64)
            np.add.at(out, place, np.concatenate([base, beside]))
            return out

        merged = Cells(
            distinct,
            gather(cells.sum_x, overlay.x[here] * weight),
            gather(cells.sum_y, overlay.y[here] * weight),
            gather(cells.by_state, mine),
        )
        count = merged.count
        touched = np.zeros(len(distinct), np.bool_)
        touched[place[len(cells.code) :]] = True
        first = np.full(len(distinct), -1, np.int64)
        first[place[: len(cells.code)]] = np.arange(len(cells.code))
        single = count == 1
        plain = single & ~touched
        lone = [view.ix[starts[first[plain]]]]
        gone = set(overlay.ix[overlay.weight < 0].tolist())
        beside = [
            self._only(view, zoom, distinct[cell], overlay, here, code, gone)
            for cell in np.flatnonzero(single & touched).tolist()
        ]
        return _pick(merged, count > 1), np.concatenate([*lone, beside]).astype(np.int32)

    def _only(
        self, view: View, zoom: int, cell: np.int64, overlay: Overlay, here: Mask, code: Codes, gone: set[int]
    ) -> int:
        """The one point of a cell that changes have touched."""
        put = overlay.ix[here][(code == cell) & (overlay.weight[here] > 0)]
        if len(put):
            return int(put[0])
        shift = view.shift(zoom)
        low = np.array([int(cell) << shift, (int(cell) + 1) << shift], np.int64)
        first, last = np.searchsorted(view.codes, low)
        return int(next(ix for ix in view.ix[first:last].tolist() if ix not in gone))

    def _draw(
        self,
        zoom: int,
        x: int,
        y: int,
        ix: Rows,
        cells: Cells | None,
        cursor: str,
        states: NDArray[np.uint8],
        wanted: Mask | None = None,
    ) -> Tile:
        left_out = max(0, len(ix) - FEATURES)
        if left_out:
            ix = ix[np.linspace(0, len(ix) - 1, FEATURES).astype(np.int64)]
        data = b""
        if cells is not None and len(cells.code):
            data += self._clusters(zoom, x, y, cells, wanted)
        data += self._points(zoom, x, y, ix, states)
        if left_out:
            data += mvt.point_layer(
                "truncated",
                np.array([mvt.EXTENT // 2]),
                np.array([mvt.EXTENT // 2]),
                attributes={"left_out": mvt.integers(np.array([left_out]))},
            )
        return Tile(data=data, left_out=left_out, cursor=cursor)

    def _clusters(self, zoom: int, x: int, y: int, cells: Cells, wanted: Mask | None) -> bytes:
        by_state = cells.by_state
        count = cells.count
        px, py = _in_units(cells.sum_x / count, zoom, x), _in_units(cells.sum_y / count, zoom, y)
        code = cells.code
        if wanted is not None:
            by_state = by_state * wanted
            count = by_state.sum(axis=1)
            kept = count > 0
            px, py, code, by_state, count = px[kept], py[kept], code[kept], by_state[kept], count[kept]
        cid = (code << np.int64(5)) | np.int64(zoom)
        if len(cid) <= mvt.FEW:
            numbers = cid.tolist()
            return mvt.few_points(
                "clusters",
                px.tolist(),
                py.tolist(),
                ids=numbers,
                attributes={
                    "count": count.tolist(),
                    "cid": numbers,
                    "n_online": by_state[:, ONLINE].tolist(),
                    "n_offline": by_state[:, OFFLINE].tolist(),
                    "n_unknown": by_state[:, UNKNOWN].tolist(),
                },
            )
        return mvt.point_layer(
            "clusters",
            px,
            py,
            ids=cid,
            attributes={
                "count": mvt.integers(count),
                "cid": mvt.unique_integers(cid),
                "n_online": mvt.integers(by_state[:, ONLINE]),
                "n_offline": mvt.integers(by_state[:, OFFLINE]),
                "n_unknown": mvt.integers(by_state[:, UNKNOWN]),
            },
        )

    def _points(self, zoom: int, x: int, y: int, ix: Rows, states: NDArray[np.uint8]) -> bytes:
        columns = self._columns
        if not len(ix):
            return b""
        heading, fov = columns.heading[ix], columns.fov[ix]
        px, py = _in_units(columns.x[ix], zoom, x), _in_units(columns.y[ix], zoom, y)
        if len(ix) <= mvt.FEW:
            numbers = ix.tolist()
            return mvt.few_points(
                "points",
                px.tolist(),
                py.tolist(),
                ids=numbers,
                attributes={
                    "pid": columns.ids(ix),
                    "kind": [_KIND_TEXTS[number] for number in columns.kind[ix].tolist()],
                    "class": [_CLASS_NUMBERS[number] for number in columns.point_class[ix].tolist()],
                    "state": [_STATE_TEXTS[number] for number in states[ix].tolist()],
                    "ix": numbers,
                    "heading": [None if angle == NO_ANGLE else angle for angle in heading.tolist()],
                    "fov": [None if angle == NO_ANGLE else angle for angle in fov.tolist()],
                },
            )
        attributes = {
            "pid": mvt.uuids(columns.hi[ix], columns.lo[ix]),
            "kind": mvt.texts(KINDS, columns.kind[ix]),
            "class": mvt.integers(np.array([int(c) for c in CLASSES])[columns.point_class[ix]]),
            "state": mvt.texts(STATES, states[ix]),
            "ix": mvt.unique_integers(ix),
        }
        for name, angle in (("heading", heading), ("fov", fov)):
            known = angle != NO_ANGLE
            if known.any():
                attributes[name] = mvt.integers(np.where(known, angle, 0), None if known.all() else known)
        return mvt.point_layer("points", px, py, ids=ix, attributes=attributes)

    def bounds(self, scope: Scope) -> Box | None:
        """The box around all placed points that a scope sees; None for none."""
        mask = self._columns.seen_by(scope) & (self._columns.x[: self._columns.size] != NOWHERE)
        if not mask.any():
            return None
        x, y = self._columns.x[: len(mask)][mask], self._columns.y[: len(mask)][mask]
        size = float(1 << WORLD_BITS)
        west, north = unmercator(int(x.min()) / size, int(y.min()) / size)
        east, south = unmercator(int(x.max()) / size, int(y.max()) / size)
        return Box(west, south, east, north)


def check_tile(zoom: int, x: int, y: int) -> None:
    """Raises Invalid for a tile that does not exist."""
    if not 0 <= zoom <= MAX_ZOOM or not 0 <= x < 1 << zoom or not 0 <= y < 1 << zoom:
        raise Invalid(f"there is no tile {zoom}/{x}/{y}", f"zoom 0..{MAX_ZOOM}, x and y below 2**zoom")


def _pick(cells: Cells, mask: Mask) -> Cells:
    return Cells(cells.code[mask], cells.sum_x[mask], cells.sum_y[mask], cells.by_state[mask])


def _in_tile(overlay: Overlay, zoom: int, x: int, y: int) -> Mask:
    shift = WORLD_BITS - zoom
    mask: Mask = (overlay.x >> shift == x) & (overlay.y >> shift == y)
    return mask


def _in_units(position: NDArray[Any], zoom: int, tile: int) -> NDArray[np.int64]:
    """World positions as coordinates of a tile."""
    size = 1 << (WORLD_BITS - zoom)
    units = np.floor((np.asarray(position, np.float64) - tile * size) * (mvt.EXTENT / size)).astype(np.int64)
    return np.clip(units, 0, mvt.EXTENT - 1)


# --- base map --------------------------------------------------------------------------------------------------------

BASE_LAYERS = ("grounds", "divisions", "water", "roads", "places")
#: from which zoom a class of road or place is worth drawing
FROM_ZOOM: Mapping[str, int] = {
    "motorway": 0, "trunk": 6, "primary": 8, "secondary": 10, "tertiary": 11, "residential": 13, "service": 14,
    "street": 11, "lane": 13, "farmland": 10, "orchard": 10,
    "city": 0, "district": 8, "town": 9, "village": 12, "suburb": 11, "poi": 14,
    **dict.fromkeys(("school", "hospital", "station", "hall", "mall", "site", "utility", "bridge", "tower"), 13),
    **dict.fromkeys(("chemical", "homes", "parking", "hotel", "petrol"), 14),
}  # fmt: skip
BUFFER = 64
KEPT_TILES = 4096


@dataclass(frozen=True, slots=True)
class Drawn:
    """A feature of the base map. parts: lines, points or rings in world fractions 0..1, with what they are."""

    id: int
    layer: str
    name: str
    road_class: str
    code: str
    geometry: str
    """point, line or polygon."""
    parts: tuple[tuple[NDArray[np.float64], ...], ...]


def drawn(number: int, layer: str, code: str | None, name: str, road_class: str, geometry: Mapping[str, Any]) -> Drawn:
    """A GeoJSON geometry as a feature. Raises Invalid for what is no Point, LineString or Polygon, single or multi."""
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    try:
        if kind == "Point":
            parts = [[_fractions([coordinates])]]
        elif kind == "MultiPoint" or kind == "LineString":
            parts = [[_fractions(coordinates)]]
        elif kind == "MultiLineString":
            parts = [[_fractions(line)] for line in coordinates]  # type: ignore[union-attr]
        elif kind == "Polygon":
            parts = [[_fractions(ring) for ring in coordinates]]  # type: ignore[union-attr]
        elif kind == "MultiPolygon":
            parts = [[_fractions(ring) for ring in rings] for rings in coordinates]  # type: ignore[union-attr]
        else:
            raise Invalid(f"{str(kind)[:32]} is no geometry for the base map", "Point, LineString, Polygon or Multi…")
    except (TypeError, ValueError, IndexError) as err:
        raise Invalid(f"the geometry of {name[:64]!r} cannot be read: {err}") from err
    sort = {"P": "point", "L": "line"}.get(str(kind).removeprefix("Multi")[0], "point")
    sort = "polygon" if str(kind).endswith("Polygon") else sort
    return Drawn(number, layer, name, road_class, code or "", sort, tuple(tuple(part) for part in parts if part))


def _fractions(positions: object) -> NDArray[np.float64]:
    array = np.asarray(positions, np.float64)
    if array.ndim != 2 or array.shape[1] < 2 or not np.isfinite(array[:, :2]).all():
        raise ValueError("positions are pairs of numbers")
    lon, lat = array[:, 0], np.clip(array[:, 1], -MERCATOR_MAX_LAT, MERCATOR_MAX_LAT)
    if (abs(lon) > 180).any() or (abs(array[:, 1]) > 90).any():
        raise ValueError("longitude and latitude are degrees")
    y = 0.5 - np.arcsinh(np.tan(np.radians(lat))) / (2 * np.pi)
    return np.column_stack([lon / 360.0 + 0.5, y])


class BaseMap:
    """Tiles of the imported base map; the same for everyone, cut when first asked for."""

    def __init__(self) -> None:
        self.version = 0
        """Grows with every filling."""
        self._features: Sequence[Drawn] = ()
        self._boxes: NDArray[np.float64] = np.zeros((0, 4))
        self._from_zoom: NDArray[np.int8] = np.zeros(0, np.int8)
        self._kept: OrderedDict[tuple[int, int, int], bytes] = OrderedDict()

    def fill(self, features: Iterable[Drawn]) -> None:
        """Put everything in place of what was."""
        self.version += 1
        self._features = sorted(features, key=lambda f: (BASE_LAYERS.index(f.layer), f.id))
        self._boxes = np.array(
            [
                [*np.concatenate(sum(f.parts, ())).min(axis=0), *np.concatenate(sum(f.parts, ())).max(axis=0)]
                for f in self._features
            ]
        ).reshape(-1, 4)
        self._from_zoom = np.array([FROM_ZOOM.get(f.road_class, 0) for f in self._features], np.int8)
        self._kept.clear()

    def __len__(self) -> int:
        return len(self._features)

    def bounds(self) -> Box | None:
        """The box around all of it; None for an empty map."""
        if not len(self._boxes):
            return None
        west, north = unmercator(self._boxes[:, 0].min(), self._boxes[:, 1].min())
        east, south = unmercator(self._boxes[:, 2].max(), self._boxes[:, 3].max())
        return Box(west, south, east, north)

    def roads(self) -> NDArray[np.float64]:
        """All road segments as (n, 4) degrees, for rules that compare points with roads."""
        lines = [part[0] for f in self._features if f.layer == "roads" for part in f.parts]
        if not lines:
            return np.zeros((0, 4))
        degrees = [
            np.column_stack(
                [(line[:, 0] - 0.5) * 360.0, np.degrees(np.arctan(np.sinh((0.5 - line[:, 1]) * 2 * np.pi)))]
            )
            for line in lines
        ]
        return np.concatenate([np.hstack([line[:-1], line[1:]]) for line in degrees])

    def tile(self, zoom: int, x: int, y: int) -> bytes:
        """The layers grounds, divisions, water, roads and places. Raises Invalid for a tile that does not exist."""
        check_tile(zoom, x, y)
        key = (zoom, x, y)
        data = self._kept.get(key)
        if data is None:
            data = self._kept[key] = self._cut(zoom, x, y)
            while len(self._kept) > KEPT_TILES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return data

    def _cut(self, zoom: int, x: int, y: int) -> bytes:
        if not len(self._features):
            return b""
        size = 1.0 / (1 << zoom)
        edge = size * BUFFER / mvt.EXTENT
        west, north = x * size - edge, y * size - edge
        east, south = (x + 1) * size + edge, (y + 1) * size + edge
        boxes = self._boxes
        near = (boxes[:, 2] >= west) & (boxes[:, 0] <= east) & (boxes[:, 3] >= north) & (boxes[:, 1] <= south)
        near &= self._from_zoom <= zoom
        # smaller than a pixel of a 512 px tile: nothing to see
        span = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
        near &= (span >= size / 512) | (span == 0)
        found = [self._features[i] for i in np.flatnonzero(near).tolist()]
        out = b""
        for layer in BASE_LAYERS:
            mine = [feature for feature in found if feature.layer == layer]
            shapes = [shape for f in mine if f.geometry != "point" for shape in _shapes(f, zoom, x, y)]
            if shapes:
                out += mvt.shape_layer(layer, shapes)
            dots = [f for f in mine if f.geometry == "point"]
            if dots:
                out += _dots(layer, dots, zoom, x, y)
        return out


def _attributes(feature: Drawn) -> dict[str, str | int]:
    named = {"name": feature.name, "class": feature.road_class, "code": feature.code}
    return {key: value for key, value in named.items() if value}


def _shapes(feature: Drawn, zoom: int, x: int, y: int) -> list[mvt.Feature]:
    scale = float(mvt.EXTENT << zoom)
    shift = np.array([x, y], np.float64) * mvt.EXTENT
    lines: list[NDArray[np.int64]] = []
    for part in feature.parts:
        local = [line * scale - shift for line in part]
        if feature.geometry == "polygon":
            rings = [mvt.clip_ring(ring, -BUFFER, mvt.EXTENT + BUFFER) for ring in local]
            rings = [_thin(ring) for ring in rings if len(ring) >= 3]
            if rings:
                lines += [ring.astype(np.int64) for ring in mvt.wind(rings)]
        else:
            for line in mvt.clip_line(_thin(local[0]), -BUFFER, mvt.EXTENT + BUFFER):
                lines.append(np.round(line).astype(np.int64))
    if not lines:
        return []
    return [
        mvt.Feature(
            id=feature.id, lines=lines, is_polygon=feature.geometry == "polygon", attributes=_attributes(feature)
        )
    ]


def _thin(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without corners nearer than half a pixel (4 units) to the last one kept."""
    if len(line) <= 2:
        return line
    rounded = np.round(line / 4.0)
    kept = np.concatenate([[True], (np.diff(rounded, axis=0) != 0).any(axis=1)])
    kept[-1] = True
    thin: NDArray[np.float64] = line[kept]
    return thin


def _dots(layer: str, dots: Sequence[Drawn], zoom: int, x: int, y: int) -> bytes:
    scale = float(mvt.EXTENT << zoom)
    place = np.array([f.parts[0][0][0] for f in dots]) * scale - np.array([x, y], np.float64) * mvt.EXTENT
    words = sorted({text for f in dots for text in (f.name, f.road_class)})
    number = {word: i for i, word in enumerate(words)}
    rounded = np.floor(place).astype(np.int64)
    return mvt.point_layer(
        layer,
        rounded[:, 0],
        rounded[:, 1],
        ids=np.array([f.id for f in dots]),
        attributes={
            "name": mvt.texts(words, np.array([number[f.name] for f in dots])),
            "class": mvt.texts(words, np.array([number[f.road_class] for f in dots])),
        },
    )
