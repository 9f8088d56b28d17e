"""Use cases of the registry: looking at points, keeping their files, letting devices in, taking their catalogues."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anwang.governance import CITY_PATH, EVERYTHING, Object, Scope
from anwang.kernel.codes import DeviceCode
from anwang.kernel.errors import Conflict, Denied, Exhausted, Invalid, NotFound, Unavailable
from anwang.kernel.ids import OrgId, PointId, uuid7
from anwang.kernel.times import from_micros, to_micros
from anwang.registry import store
from anwang.registry.catalogue import ChannelRow, News, by_channel, compare, streams_of
from anwang.registry.columns import CLASSES, KINDS, LOADED, Mask, PointColumns, Row, Rows, state_mask
from anwang.registry.facts import (
    OFFLINE,
    ONLINE,
    UNKNOWN,
    DeviceAdopted,
    Fact,
    PointForbidden,
    PointsChanged,
    PointsMoved,
    PoliciesChanged,
    WaitingChanged,
)
from anwang.registry.fields import BY_KEY, Generation, NotInDomain
from anwang.registry.files import Record, columns_of, differences, record_of, row_hash
from anwang.registry.gathering import Gathering
from anwang.registry.live import DAY, Live, Rules, write_checkpoint
from anwang.registry.model import (
    CITY,
    CatalogueItem,
    Channel,
    Counts,
    Device,
    DeviceStatus,
    Division,
    Evidence,
    EvidenceKind,
    FaultAt,
    FileValue,
    FileVersion,
    Finding,
    FindingCounts,
    FindingFilter,
    FindingView,
    Lifecycle,
    LiveState,
    Moving,
    Named,
    Organisation,
    OrgKind,
    Owners,
    Page,
    Point,
    PointClass,
    PointFilter,
    PointKind,
    PointView,
    Policies,
    Reach,
    Reconciled,
    Severity,
    State,
    StateSpan,
    Tally,
    device_key,
)
from anwang.registry.quality import SITING, Fault, check
from anwang.registry.reviews import Reviews, in_steps, unread_subject
from anwang.registry.roll import Admission, Known, Roll
from anwang.registry.siting import is_forbidden, misplaced
from anwang.registry.text import TextIndex, pinyin
from anwang.registry.tiles import BaseMap, TileIndex, drawn
from anwang.registry.told import Place, SelfReport, Taken, Told, is_plausible
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.stores.state import State as Database
from anwang.stores.state import Tx

log = logs.get(__name__)

LIMIT = 1000
CHECKPOINT_S = 60.0
CLOSE_S = 5.0
TICK_S = 1.0
MAP_S = 5.0
"""Changed points are drawn at once; this often they are sorted in."""
MOST_TWINS = 8
"""Points that are shown beside one which has the same code."""
MOST_MOVING = 64
"""Points that one position of a device moves: the cameras of a vehicle."""


def limited(limit: int) -> int:
    """A page size in bounds. Raises Invalid."""
    if not 1 <= limit <= LIMIT:
        raise Invalid(f"limit must lie between 1 and {LIMIT}")
    return limit


def cursor_of(value: object) -> str:
    """A cursor that people do not mistake for something to build by hand."""
    return base64.urlsafe_b64encode(str(value).encode()).decode().rstrip("=")


def read_cursor(text: str | None, start: str) -> str:
    """What a cursor holds; `start` for none. Raises Invalid."""
    if not text:
        return start
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise Invalid("this cursor is not one of ours", "begin again without a cursor") from None


def _number_cursor(text: str | None, first: int = -1) -> int:
    plain = read_cursor(text, str(first))
    if re.fullmatch(r"-?[0-9]{1,12}", plain) is None:
        raise Invalid("this cursor is not one of ours", "begin again without a cursor")
    return int(plain)


class _Made:
    """What was done to points inside a transaction."""

    def __init__(self) -> None:
        self.new: list[Point] = []
        self.bound: list[Point] = []
        self.changed: list[Point] = []
        self.states: dict[PointId, tuple[bool, datetime | None]] = {}


class Registry:
    """Who owns what where, and what is alive. Open it with `load`, keep `run` running, `close` it at the end.

    folder: for the checkpoint of live states. city: its name, the root of all organisations. announce: takes every
    fact; must not wait. waiting_bound: devices on the waiting list; one more is refused and counted.
    """

    def __init__(
        self,
        *,
        state: Database,
        clock: Clock,
        folder: Path,
        city: str = "安网",
        rules: Rules | None = None,
        waiting_bound: int = 10_000,
        announce: Callable[[Fact], None] | None = None,
    ) -> None:
        self._state = state
        self._clock = clock
        self.folder = folder
        self._city = city
        self._waiting_bound = waiting_bound
        self._announce = announce or (lambda _: None)
        self.columns = PointColumns(path_of=self._path_of)
        self.live = Live(self.columns, rules)
        self.roll = Roll()
        self.told = Told()
        self.tiles = TileIndex(self.columns, self.live)
        self.base_map = BaseMap()
        self.texts = TextIndex()
        self.reviews = Reviews(
            state=state,
            clock=clock,
            columns=self.columns,
            base_map=self.base_map,
            new_id=self._new_id,
            divisions=lambda: self._divisions,
            organisations=lambda: self._organisations.values(),
        )
        self._has_texts = False
        self._texts_turn = asyncio.Lock()
        self.refused_waiting = 0
        """Devices turned away because the waiting list was full."""
        self.notices = Gathering()
        self.lost_notices = 0
        """Times that the notices of a device could not be written."""
        self._organisations: dict[str, Organisation] = {}
        self._org_of_path: dict[str, Organisation] = {}
        self._children: dict[str | None, int] = {}
        self._divisions: dict[str, Division] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._touched: set[int] = set()
        self._moved: dict[int, tuple[str, str]] = {}
        self._counts: dict[Scope, tuple[tuple[int, str], Counts]] = {}
        self.live.subscribe(self._announce)
        self.live.subscribe_devices(self._announce)

    # --- life ----------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Fill the memory from the database and believe the last checkpoint."""
        async with self._state.read() as tx:
            self._take_divisions(await store.all_divisions(tx))
            self._take_organisations(await store.all_organisations(tx))
            async for devices in store.device_pages(tx):
                for row in devices:
                    policies = Policies(**row.policies)
                    slot = self.live.add_device(device_key(row.gateway, row.device_id), policies.own_keepalive_s)
                    self.roll.put(slot, row.id, DeviceStatus(row.status), row.org_path, policies)
                    self.roll.moved(slot, row.address, row.transport)
            await self._take_columns(tx)
            self.base_map.fill(drawn(i, *row) for i, row in enumerate(await store.all_base(tx)))
        if self._organisations.get(CITY) is None or self._organisations[CITY].name != self._city:
            city = Organisation(id=CITY, name=self._city, kind=OrgKind.CITY, parent=None, org_path=CITY_PATH)
            await self.put_organisations([city])
        self.columns.settle()
        await self.tiles.rebuild()
        path = self.folder / "live.npz"
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            await self._take_channels()
            return
        try:
            self.live.restore(data, self._clock.micros())
        except Invalid as err:
            log.warning("checkpoint ignored", reason=err.reason)

    def _path_of(self, org: str) -> str | None:
        found = self._organisations.get(OrgId(org))
        return None if found is None else found.org_path

    def _kept(self, seen: Scope, found: Sequence[Point]) -> list[Point]:
        """Those of the points that a scope covers by what others share with it today; see store._seen."""
        return [one for one in found if seen.covers(self._object(one))] if seen.shared else list(found)

    def _object(self, point: Point) -> Object:
        return Object(
            point.id,
            point.org_path,
            department=point.department or "",
            point_class=int(point.point_class),
            kind=str(point.kind),
            zone=point.zone,
            name=point.name,
            is_forbidden=is_forbidden(point.file),
            may_see=self.columns.paths(point.owners.may_see),
        )

    async def _one(self, tx: Tx, seen: Scope, point: str) -> Point:
        """Raises NotFound, also when it lies outside the scope."""
        found = await store.point_by_id(tx, seen, point)
        if found is None or not self._kept(seen, [found]):
            raise NotFound(f"there is no point {point[:64]}")
        return found

    async def _take_columns(self, tx: Tx, *, batch: int | None = None, page: int = 20_000) -> int:
        taken = 0
        async for rows in store.column_pages(tx, batch=batch, page=page):
            ix = self.columns.load({name: rows[name] for name in LOADED})
            slots = [
                self.live.device(device_key(gateway, device)) if gateway else -1
                for gateway, device in zip(rows["gateway"], rows["device_id"], strict=True)
            ]
            self.live.bind(ix, np.array(slots, np.int32))
            taken += len(ix)
            await asyncio.sleep(0)
        for number, may_see in await store.shared_points(tx, batch=batch):
            self.columns.share(number, may_see)
        self.columns.version += 1
        return taken

    async def _take_channels(self) -> None:
        """Without a checkpoint, at least what catalogues said last."""
        async with self._state.read() as tx:
            async for page in store.channel_states(tx):
                self.live.note([Evidence(point, EvidenceKind.CATALOGUE, to_micros(at), on) for point, on, at in page])
                await asyncio.sleep(0)

    async def take_batch(self, batch: int) -> int:
        """Take the points of a published import into memory; how many."""
        async with self._state.read() as tx:
            taken = await self._take_columns(tx, batch=batch, page=2_000)
        self.columns.use(*await asyncio.to_thread(self.columns.sorted_ids))
        await self.tiles.rebuild()
        async with self._texts_turn:
            if self._has_texts:
                await self._load_texts(batch=batch)
        await self.reviews.take_batch(batch)
        return taken

    async def run(self) -> None:
        """Tick, write checkpoints, write down who was heard; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_ticks())
            group.create_task(self._run_checkpoints())
            group.create_task(self._run_map())
            group.create_task(self._run_notices())
            group.create_task(self._run_texts())
            group.create_task(self.reviews.run())

    async def _run_ticks(self) -> None:
        while True:
            self.live.tick(self._clock.micros())
            await self._clock.sleep(0.01 if self.live.behind else TICK_S)

    async def _run_checkpoints(self) -> None:
        while True:
            await self._clock.sleep(CHECKPOINT_S)
            try:
                await self.flush()
                await self.checkpoint()
            except Exception:
                log.exception("checkpoint failed")

    async def _run_map(self) -> None:
        while True:
            await self._clock.sleep(MAP_S)
            if self.tiles.is_behind:
                await self.tiles.rebuild()

    async def _run_texts(self) -> None:
        await self._take_texts()
        while True:
            await self._clock.sleep(MAP_S)
            if self.texts.is_behind:
                async with self._texts_turn:
                    await asyncio.to_thread(self.texts.settle)

    async def checkpoint(self) -> None:
        """Write down what is believed, so that a restart does not turn the city red."""
        snapshot = self.live.snapshot(self._clock.micros())
        await asyncio.to_thread(lambda: write_checkpoint(self.folder / "live.npz", snapshot.pack()))

    async def flush(self) -> None:
        """Write down where and when devices were last heard; nothing of it is needed to know who is online."""
        moved, self._moved = self._moved, {}
        slots = sorted(self._touched | set(moved))
        self._touched = set()
        for start in range(0, len(slots), 500):
            async with self._state.begin() as tx:
                part = slots[start : start + 500]
                heard = [(self.roll.id(slot), self.live.last_heard(self.live.keys[slot])) for slot in part]
                await store.touch_devices(tx, [(device, from_micros(at)) for device, at in heard if at is not None])
                await store.move_devices(tx, [(self.roll.id(slot), *moved[slot]) for slot in part if slot in moved])

    async def close(self) -> None:
        """Write down the last of it. What is not written in time comes with the next catalogue."""
        try:
            async with asyncio.timeout(CLOSE_S):
                for device in self.notices.devices:
                    await self._take_gathered(device)
        except TimeoutError:
            log.warning("not all notices of devices were written at the end", waiting=len(self.notices.devices))
        await self.flush()
        await self.checkpoint()

    # --- evidence ------------------------------------------------------------------------------------------------

    def note(self, batch: Sequence[Evidence]) -> None:
        """Take evidence, in memory only; see `Live.note`. For hot paths; never waits, never raises for strangers."""
        self.live.note(batch)

    def note_alive(self, devices: Sequence[int], at_us: Sequence[int]) -> None:
        """Keep-alives of devices by their number (see `greet`), each once. For the hottest path of all."""
        self.live.note_alive(np.array(devices, np.int32), np.array(at_us, np.int64))

    def note_registered(self, devices: Sequence[int], at_us: Sequence[int], sources: Sequence[str]) -> None:
        """Registrations of devices by their number (see `greet`), in the order of time. sources: where from."""
        self.live.note_registered(devices, np.array(devices, np.int32), np.array(at_us, np.int64), sources)

    def note_report(self, gateway: str, device_id: str, report: SelfReport) -> None:
        """A device said how it is; of one that was never met nothing is kept."""
        key = device_key(gateway, device_id)
        if self.live.device(key) >= 0:
            self.told.put_report(key, report)

    async def note_place(self, gateway: str, device_id: str, channel_id: str, place: Place) -> Taken:
        """A moving device said where it is. channel_id: which of its channels; itself means all its points.

        Counted by what became of it; of a device or channel that nobody adopted nothing is stored.
        """
        taken = await self._take_place(gateway, device_id, channel_id, place)
        self.told.positions[taken] += 1
        return taken

    async def _take_place(self, gateway: str, device_id: str, channel_id: str, place: Place) -> Taken:
        admission = self.roll.get(self.live.device(device_key(gateway, device_id)))
        if admission is None or admission.status is not DeviceStatus.ADOPTED:
            return Taken.NOT_ADOPTED
        if not is_plausible(place):
            return Taken.IMPLAUSIBLE
        one = None if channel_id == device_id else channel_id
        async with self._state.read() as tx:
            moving = await store.points_of_device(tx, gateway, device_id, one, limit=MOST_MOVING)
        became = [self.told.put_place(point, place) for point in moving]
        moved = [point for point, taken in zip(moving, became, strict=True) if taken is Taken.TAKEN]
        if moved:
            self._announce(PointsMoved(points=moved, place=place))
        return Taken.NOT_ADOPTED if not became else Taken.TAKEN if Taken.TAKEN in became else became[0]

    def state_of(self, point: PointId) -> LiveState:
        """What is believed of a point and why. Raises NotFound."""
        found = self.live.explain(self._ix(point), self._clock.micros())
        return replace(found, place=self.told.place(point))

    def class_of(self, point: PointId) -> PointClass | None:
        """The class of a point, from memory; None for an unknown one."""
        ix = self.columns.find(point)
        return None if ix < 0 else CLASSES[int(self.columns.point_class[ix])]

    def known(self, point: PointId) -> Object | None:
        """What rights to a point depend on, from memory, without names; None for an unknown one."""
        ix = self.columns.find(point)
        return None if ix < 0 else self.columns.object(ix)

    def sees(self, scope: Scope, point: PointId) -> bool:
        """Whether a scope covers a point, from memory; not one that is gone."""
        ix = self.columns.find(point)
        return ix >= 0 and scope.covers(self.columns.object(ix))

    def points_of_class(self, wanted: PointClass) -> list[PointId]:
        """All cameras of a class, for those who act for the platform itself."""
        chosen = PointFilter(classes=frozenset((wanted,)), kinds=frozenset((PointKind.CAMERA,)))
        mask = self.columns.matching(chosen, EVERYTHING)
        return self.columns.ids(np.flatnonzero(mask).astype(np.int32))

    def _ix(self, point: str) -> int:
        ix = self.columns.find(point)
        if ix < 0:
            raise NotFound(f"there is no point {point[:64]}")
        return ix

    # --- divisions and organisations -----------------------------------------------------------------------------

    def _take_divisions(self, rows: Iterable[Division]) -> None:
        for row in rows:
            self._divisions[row.code] = row

    def _take_organisations(self, rows: Iterable[Organisation]) -> None:
        for row in rows:
            self._organisations[row.id] = row
            self._org_of_path[row.org_path] = row
        self._children = {}
        for row in self._organisations.values():
            self._children[row.parent] = self._children.get(row.parent, 0) + 1

    @property
    def division_codes(self) -> Mapping[str, Division]:
        """All divisions by code."""
        return self._divisions

    @property
    def all_organisations(self) -> Mapping[str, Organisation]:
        """All organisations by id. For callers inside the platform; people get `organisations`."""
        return self._organisations

    def organisation(self, seen: Scope, org: str) -> Organisation:
        """One organisation. Raises NotFound, also when it lies outside the scope."""
        found = self._organisations.get(org)
        if found is None or not seen.reaches(found.org_path):
            raise NotFound(f"there is no organisation {org[:64]}")
        return found

    def organisations(self, seen: Scope, parent: str | None) -> list[tuple[Organisation, int, Tally]]:
        """The children of an organisation that a scope sees, by name, with how many children and points each has.

        Without a parent: the top of what is seen.
        """
        if parent is not None:
            self.organisation(seen, parent)
            chosen = [org for org in self._organisations.values() if org.parent == parent]
        else:
            chosen = [self._org_of_path[path] for path in seen.paths if path in self._org_of_path]
        by_org = self._tally_by_org()
        return [(org, *self._counts_of(org, by_org)) for org in sorted(chosen, key=lambda org: (org.name, org.id))]

    def organisation_counts(self, org: Organisation) -> tuple[int, Tally]:
        """How many children and points an organisation has."""
        return self._counts_of(org, self._tally_by_org())

    def _counts_of(self, org: Organisation, by_org: Rows) -> tuple[int, Tally]:
        below = self.columns.orgs.starting([org.org_path])
        return self._children.get(org.id, 0), _tally(by_org[: len(below)][below].sum(axis=0))

    def _tally_by_org(self) -> Rows:
        n = self.columns.size
        states = self.live.states()[:n]
        both = self.columns.org[:n].astype(np.int64) * 3 + states
        sums = np.bincount(both[self.columns.alive[:n]], minlength=len(self.columns.orgs.texts) * 3)
        return sums.reshape(-1, 3).astype(np.int32)

    def organisation_path(self, org_path: str) -> tuple[Named, ...]:
        """The organisations of a path, from the city down."""
        ids = [CITY, *(part for part in org_path.split("/") if part)]
        return tuple(Named(org, self._organisations[org].name) for org in ids if org in self._organisations)

    async def add_organisation(
        self,
        *,
        name: str,
        kind: OrgKind,
        parent: str | None = None,
        division: str | None = None,
        police_code: str | None = None,
        gb_id: str | None = None,
    ) -> Organisation:
        """Make an organisation under another, or right under the city. Raises NotFound for the parent, Invalid for an
        empty name.
        """
        if not name.strip() or len(name) > 100:
            raise Invalid("an organisation needs a name of at most 100 characters")
        above = self._organisations.get(parent or CITY)
        if above is None:
            raise NotFound(f"there is no organisation {str(parent)[:64]}")
        new = OrgId(self._new_id())
        org = Organisation(
            id=new,
            name=name.strip(),
            kind=kind,
            parent=above.id,
            org_path=f"{above.org_path}{new}/",
            division=division,
            police_code=police_code,
            gb_id=gb_id,
        )
        await self.put_organisations([org])
        return org

    async def change_organisation(self, seen: Scope, org: str, changes: Mapping[str, str | None]) -> Organisation:
        """Change what an organisation is called and is known by. Raises NotFound, Invalid for an empty name, Conflict
        for the city itself: its name is a setting.

        changes: name, kind, division, police_code, gb_id. Where it stands in the tree does not change: rights, points
        and devices carry that place.
        """
        before = self.organisation(seen, org)
        if before.id == CITY:
            raise Conflict("the city is called as the settings say", "change it in the settings")
        name = changes.get("name", before.name)
        if not name or not name.strip() or len(name) > 100:
            raise Invalid("an organisation needs a name of at most 100 characters")
        kind = OrgKind(changes.get("kind") or before.kind)
        after = replace(before, **{**changes, "name": name.strip(), "kind": kind})  # type: ignore[arg-type]
        if after != before:
            await self.put_organisations([after])
        return after

    async def put_organisations(self, rows: Sequence[Organisation]) -> None:
        """Add or change organisations, parents first."""
        async with self._state.begin() as tx:
            await store.put_organisations(tx, rows, self._clock.now())
        self._take_organisations(rows)
        self.columns.version += 1  # with whom points are shared may be somewhere else now

    def divisions(self, parent: str | None = None) -> list[Division]:
        """Divisions by code; below a parent if one is given."""
        found = self._divisions.values()
        return sorted((d for d in found if parent is None or d.parent == parent), key=lambda d: d.code)

    async def put_divisions(self, rows: Sequence[Division]) -> None:
        """Add or change divisions."""
        async with self._state.begin() as tx:
            await store.put_divisions(tx, rows)
        self._take_divisions(rows)

    # --- points --------------------------------------------------------------------------------------------------

    def resolved(self, seen: Scope, chosen: PointFilter) -> PointFilter:
        """The filter with its organisation as a path. Raises NotFound for an organisation out of sight."""
        if chosen.organisation is None or chosen.organisation.startswith("/"):
            return chosen
        return replace(chosen, organisation=self.organisation(seen, chosen.organisation).org_path)

    async def points(
        self, seen: Scope, chosen: PointFilter, *, limit: int = 50, cursor: str | None = None
    ) -> Page[PointView]:
        """Points by their number. Raises Invalid for a limit above 1000 or a foreign cursor."""
        limit, after = limited(limit), _number_cursor(cursor)
        chosen = self.resolved(seen, chosen)
        mask = await self._matching(seen, chosen)
        numbers = np.flatnonzero(mask[after + 1 :])[: limit + 1] + after + 1
        async with self._state.read() as tx:
            found = self._kept(seen, await store.points_by_ix(tx, seen, numbers.tolist()))
        found = found[:limit]
        return Page(self._views(found), cursor_of(numbers[limit - 1]) if len(numbers) > limit else None)

    async def all_of(self, seen: Scope, chosen: PointFilter, *, page: int = 1000) -> AsyncIterator[Sequence[Point]]:
        """Every point that a scope sees and a filter leaves, by number, page by page, for taking away as a file.

        Each page is a snapshot of its own, so that a slow reader holds none open; what is removed meanwhile is missing.
        """
        chosen = self.resolved(seen, chosen)
        numbers = np.flatnonzero(await self._matching(seen, chosen))
        for start in range(0, len(numbers), page):
            async with self._state.read() as tx:
                found = await store.points_by_ix(tx, seen, numbers[start : start + page].tolist())
            yield self._kept(seen, found)

    def _mask(self, seen: Scope, chosen: PointFilter) -> Mask:
        """By number of the point: whether it is wanted, text apart. Memory knows what no index of a database serves:
        live state, place, and any combination of the others.
        """
        mask = self.columns.matching(chosen, seen)
        if chosen.states:
            mask &= state_mask(chosen.states)[self.live.states()[: len(mask)]]
        return mask

    async def _matching(self, seen: Scope, chosen: PointFilter) -> Mask:
        """As `_mask`, with the text."""
        if not chosen.q.strip():
            return self._mask(seen, chosen)
        hits, _ = await self._find(chosen.q)
        mask = self._mask(seen, chosen)
        wanted = np.zeros(len(mask), np.bool_)
        wanted[hits[hits < len(mask)]] = True
        return mask & wanted

    async def _find(self, q: str) -> tuple[Rows, NDArray[np.uint8]]:
        """Numbers of all points that a text fits, removed and unseen ones too, and how well."""
        await self._take_texts()
        return await asyncio.to_thread(self.texts.search, q)

    async def _take_texts(self) -> None:
        """Fill the index of texts, once; who searches earlier waits for it."""
        if self._has_texts:
            return
        async with self._texts_turn:
            if not self._has_texts:
                await self._load_texts()
                self._has_texts = True

    async def _load_texts(self, *, batch: int | None = None) -> None:
        numbers: list[int] = []
        texts = bytearray()
        async with self._state.read() as tx:
            async for ix, page in store.text_pages(tx, batch=batch, page=2_000 if batch is not None else 10_000):
                numbers += ix
                texts += "".join(page).encode(errors="replace")
                await asyncio.sleep(0)
        if numbers:
            await asyncio.to_thread(self.texts.add, np.array(numbers, np.int32), texts)

    def _views(self, found: Sequence[Point]) -> list[PointView]:
        ix = np.array([point.ix for point in found], np.int32)
        known = ix < self.columns.size
        recording = np.zeros(len(ix), np.bool_)
        recording[known] = self.live.recording(ix[known], self._clock.micros())
        return [self._view(point, bool(flag)) for point, flag in zip(found, recording, strict=True)]

    def _view(self, point: Point, recording: bool) -> PointView:
        state, since = self.live.state(point.ix)
        division = self._divisions.get(point.division or "")
        roles = (("paid", point.owners.paid), ("owns", point.owners.owns), ("maintains", point.owners.maintains))
        return PointView(
            point=point,
            state=state,
            state_since_us=since,
            division_name=division.name if division else None,
            organisation_path=self.organisation_path(point.org_path),
            owner_role_names=tuple(self._organisations[org].name for _, org in roles if org in self._organisations),
            recording=recording,
        )

    async def point(self, seen: Scope, point: str) -> PointView:
        """One point. Raises NotFound, also when it lies outside the scope."""
        async with self._state.read() as tx:
            found = await self._one(tx, seen, point)
        return self._views([found])[0]

    async def by_code(self, seen: Scope, code: str) -> list[PointView]:
        """Points with a 20-digit code; more than one where the code is a duplicate."""
        async with self._state.read() as tx:
            return self._views(self._kept(seen, await store.points_of_codes(tx, [code], seen)))

    async def address_of(self, point: str, seen: Scope | None = None) -> Reach:
        """How a point is reached. Raises NotFound, Conflict if no device is connected to it.

        Without `seen` nothing is hidden: for recorders and others that act for the platform itself.
        """
        async with self._state.read() as tx:
            found = await self._one(tx, EVERYTHING if seen is None else seen, point)
        if found.gateway is None or found.device_id is None or found.channel_id is None:
            raise Conflict(f"no device is connected to {found.name}", "adopt its device, or check its code")
        if is_forbidden(found.file):
            raise Denied("no camera may stand at this place", "an inspection has found so; see the point's file")
        return Reach(
            point=found.id,
            gateway=found.gateway,
            device_id=found.device_id,
            channel_id=found.channel_id,
            zone=found.zone,
            streams=found.streams,
            org_path=found.org_path,
        )

    async def point_of_channel(self, gateway: str, device_id: str, channel_id: str) -> PointId | None:
        """The point behind a channel, for gateways; None where there is none."""
        async with self._state.read() as tx:
            return await store.point_of_channel(tx, gateway, device_id, channel_id)

    async def versions(
        self, seen: Scope, point: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[FileVersion]:
        """Changes of a file, newest first. Raises NotFound."""
        limit, before = limited(limit), _number_cursor(cursor, 1 << 30)
        async with self._state.read() as tx:
            await self._one(tx, seen, point)
            found = await store.versions_of(tx, point, before=before, limit=limit + 1)
        more = len(found) > limit
        return Page(found[:limit], cursor_of(found[limit - 1].version) if more else None)

    async def edit_point(
        self, seen: Scope, point: str, changes: Mapping[str, FileValue], *, version: int, by: str, reason: str = ""
    ) -> PointView:
        """Change fields of a file, by key of `registry.fields`; None empties one.

        Values are the inner ones (words, codes, numbers) or text as generation B or A writes it. organisation, paid,
        owns, maintains and may_see take ids. Raises NotFound, Conflict if someone else changed it since, Invalid with
        all wrong fields at once.
        """
        parsed = self._parse_changes(seen, changes)
        then = await self.reviews.before(self._ix(point))
        async with self._state.begin() as tx:
            before = await store.point_by_id(tx, replace(seen, shared=False), point, lock=True)
            if before is None:
                raise NotFound(f"there is no point {point[:64]}")
            if before.version != version:
                raise Conflict(
                    f"{before.name} is at version {before.version}, not {version}",
                    "load it again and repeat the change",
                )
            old = record_of(before)
            record = {key: value for key, value in {**old, **parsed}.items() if value is not None}
            diff = differences(old, record)
            if not diff:
                return self._views([before])[0]
            found = check(record, self.reviews.setting())
            bad = [fault for fault in found if fault.blocks and (fault.column in diff or fault.rule == SITING)]
            if bad:
                raise Invalid("; ".join(f"{fault.column}: {fault.message}" for fault in bad))
            now = self._clock.now()
            after = self._changed(before, record, now)
            values = self.point_row(after, record)
            if not await store.save_point(tx, values, version=version):
                raise Conflict(f"{before.name} was changed by someone else", "load it again and repeat the change")
            change = FileVersion(point_id=before.id, version=after.version, at=now, by=by, reason=reason, changes=diff)
            await store.add_version(tx, change)
            await self._find_duplicates(tx, [point.code for point in (before, after)])
        self.put_columns([after])
        try:
            await self.reviews.after(then, after.ix, diff)
        except (Exhausted, Unavailable) as err:
            log.warning("findings of a changed point wait for the next survey", point=point, reason=err.reason)
        self._announce(PointsChanged(points=(after.id,), changed=1))
        if is_forbidden(after.file):
            self._announce(PointForbidden(point=after.id))
        return self._views([after])[0]

    def _parse_changes(self, seen: Scope, changes: Mapping[str, FileValue]) -> dict[str, FileValue]:
        wrong: list[str] = []
        parsed: dict[str, FileValue] = {}
        for key, value in changes.items():
            field = BY_KEY.get(key)
            if field is None:
                wrong.append(f"{key}: no such field")
                continue
            if value is None or value == "":
                parsed[key] = None
                if key in ("code", "name", "organisation", "kind", "point_class"):
                    wrong.append(f"{key}: must not be empty")
                continue
            if key in ("organisation", "paid", "owns", "maintains", "may_see"):
                for org in str(value).split("/"):
                    self.organisation(seen, org)
                parsed[key] = str(value)
                continue
            for generation in (Generation.B, Generation.A):
                try:
                    parsed[key] = field.parse(str(value).strip(), generation)
                    break
                except NotInDomain as err:
                    fault = err.reason
            else:
                wrong.append(f"{key}: {fault}")
        if parsed.get("code"):
            try:
                DeviceCode.parse(str(parsed["code"]))
            except Invalid as err:
                wrong.append(f"code: {err.reason}")
        if wrong:
            raise Invalid("; ".join(wrong))
        return parsed

    def _changed(self, before: Point, record: Record, now: datetime) -> Point:
        org = self._organisations[str(record["organisation"])]
        columns = columns_of(record)
        may_see = tuple(OrgId(text) for text in str(record.get("may_see") or "").split("/") if text)
        owners = Owners(
            paid=_org(record.get("paid")),
            owns=_org(record.get("owns")),
            maintains=_org(record.get("maintains")),
            may_see=may_see,
        )
        return point_from(columns, before, org=org, owners=owners, version=before.version + 1, now=now)

    def point_row(self, point: Point, record: Record) -> dict[str, object]:
        """A point as a row of the store."""
        columns = columns_of(record)
        values = store.point_values(point, search=columns["search"], row_hash="")
        values["row_hash"] = row_hash(values)
        return values

    def put_columns(self, changed: Sequence[Point]) -> None:
        """Follow a commit in memory."""
        ix = self.columns.put(
            [
                Row(
                    ix=point.ix,
                    id=point.id,
                    longitude=point.longitude,
                    latitude=point.latitude,
                    kind=point.kind,
                    point_class=int(point.point_class),
                    lifecycle=point.lifecycle,
                    org_path=point.org_path,
                    owns=point.owners.owns,
                    division=point.division,
                    department=point.department,
                    zone=point.zone,
                    heading_deg=point.heading_deg,
                    fov_deg=point.fov_deg,
                    may_see=point.owners.may_see,
                )
                for point in changed
            ]
        )
        self.tiles.changed(ix)
        for point in changed:
            self.texts.put(point.ix, columns_of(record_of(point))["search"])
        self.reviews.put(changed)

    async def _find_duplicates(self, tx: Tx, codes: Sequence[str]) -> None:
        """A code that several points have is a finding of each of them; both stay.

        The finding says how many: who reads it sees the names of those in his scope (see `findings`).
        """
        by_code: dict[str, list[Point]] = {}
        for point in await store.points_of_codes(tx, [code for code in codes if code]):
            by_code.setdefault(point.code, []).append(point)
        rows = [
            self.reviews.row(
                "DQ03",
                point.id,
                Severity.ERROR,
                f"编码 {code} 被 {len(twins)} 个点位使用",
                point.id,
                point.org_path,
            )
            for code, twins in by_code.items()
            if len(twins) > 1
            for point in twins
        ]
        await store.put_findings(tx, rows)
        single = [("DQ03", twins[0].id) for twins in by_code.values() if len(twins) == 1]
        await store.settle_findings(tx, single, by="registry", now=self._clock.now())

    async def find_all_duplicates(self, *, step: int = 100) -> int:
        """Write a finding for every code that several points have; how many codes."""
        found, after = 0, ""
        while True:
            async with self._state.read() as tx:
                codes = await store.duplicate_codes(tx, after=after, limit=step)
            if not codes:
                return found
            async with self._state.begin() as tx:
                await self._find_duplicates(tx, codes)
            found, after = found + len(codes), codes[-1]

    async def replace_base(self, layer: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Put a layer of the base map in place of the old one. rows: code, name, class, geometry (GeoJSON)."""
        async with self._state.begin() as tx:
            await store.replace_base(tx, layer, [{"layer": layer, **row} for row in rows])
            base = await store.all_base(tx)
        self.base_map.fill(drawn(i, *row) for i, row in enumerate(base))
        self.reviews.forget_outlines()

    async def findings(
        self,
        seen: Scope,
        *,
        rule: str | None = None,
        point: str | None = None,
        is_open: bool = True,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Finding]:
        """What a person should settle, oldest first. is_open: otherwise settled ones as well."""
        wanted = FindingFilter(rules=frozenset({rule} if rule else ()), point=point, is_open=True if is_open else None)
        return await self.chosen_findings(seen, wanted, limit=limit, cursor=cursor)

    async def chosen_findings(
        self, seen: Scope, wanted: FindingFilter, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Finding]:
        """Findings that a filter leaves, oldest first. Raises NotFound for an organisation out of sight."""
        limit, after = limited(limit), read_cursor(cursor, "")
        wanted = self._resolved(seen, wanted)
        async with self._state.read() as tx:
            found = await store.list_findings(tx, seen, wanted, after=after, limit=limit + 1)
            twins = await self._twins_of(tx, seen, found[:limit])
        page = [replace(one, message=one.message + _named(twins.get(one.id, ()))) for one in found[:limit]]
        return Page(page, cursor_of(found[limit - 1].id) if len(found) > limit else None)

    async def finding_views(self, seen: Scope, found: Sequence[Finding]) -> list[FindingView]:
        """Findings with their points, what is wrong with which field now, and who else has the code."""
        points: dict[str, Point] = {}
        async with self._state.read() as tx:
            for part in in_steps(sorted({one.point_id for one in found if one.point_id})):
                points.update((one.id, one) for one in self._kept(seen, await store.points_by_ids(tx, part, seen)))
            twins = await self._twins_of(tx, seen, found)
        open_now = {one.point_id for one in found if one.settled_at is None}
        faults = await self.reviews.faults_of([point for point in points.values() if point.id in open_now])
        return [self._finding_view(one, points, faults, twins.get(one.id, ())) for one in found]

    def _finding_view(
        self,
        one: Finding,
        points: Mapping[str, Point],
        faults: Mapping[str, Sequence[Fault]],
        twins: Sequence[Point],
    ) -> FindingView:
        point = points.get(one.point_id or "")
        at: list[FaultAt] = []
        if one.settled_at is None and point is not None:
            at = [FaultAt(fault.column, fault.message) for fault in faults[point.id] if fault.rule == one.rule]
            if not at and one.subject.startswith(f"{point.id}/"):
                at = [FaultAt(one.subject.partition("/")[2], one.message)]
        org = self._org_of_path.get(one.org_path)
        return FindingView(
            finding=one,
            point=point,
            organisation=Named(org.id, org.name) if org else None,
            faults=tuple(at),
            twins=tuple(twins[:MOST_TWINS]),
        )

    async def finding_counts(self, seen: Scope, wanted: FindingFilter) -> FindingCounts:
        """How many findings of each rule there are, and how many points of those that the filter means are faulty.

        Raises NotFound for an organisation out of sight.
        """
        wanted = self._resolved(seen, wanted)
        async with self._state.read() as tx:
            rules, faulty = await store.count_findings(tx, seen, wanted)
        meant = PointFilter(divisions=wanted.divisions, organisation=wanted.organisation)
        return FindingCounts(
            rules=rules,
            # what others only share has findings for its owner alone, and counts for nothing here
            points=int(np.count_nonzero(self._mask(replace(seen, shared=False), meant))),
            faulty=faulty,
            surveyed_at=self.reviews.surveyed_at,
        )

    def _resolved(self, seen: Scope, wanted: FindingFilter) -> FindingFilter:
        """The filter with its organisation as a path. Raises NotFound for one out of sight."""
        if wanted.organisation is None or wanted.organisation.startswith("/"):
            return wanted
        return replace(wanted, organisation=self.organisation(seen, wanted.organisation).org_path)

    async def _twins_of(self, tx: Tx, seen: Scope, found: Sequence[Finding]) -> dict[str, list[Point]]:
        """By finding about a code used twice: the other points with it that the reader sees."""
        codes: dict[str, str] = {}
        twins: dict[str, list[Point]] = {}
        asked = [one for one in found if one.rule == "DQ03" and one.settled_at is None and one.point_id]
        for part in in_steps(asked):
            codes.update(await store.codes_of(tx, [one.point_id for one in part if one.point_id]))
        for some in in_steps(sorted(set(codes.values()))):
            for point in self._kept(seen, await store.points_of_codes(tx, some, seen)):
                twins.setdefault(point.code, []).append(point)
        return {
            one.id: [twin for twin in twins.get(codes.get(one.point_id or "", ""), ()) if twin.id != one.point_id]
            for one in asked
        }

    # --- live ----------------------------------------------------------------------------------------------------

    async def evidence(self, seen: Scope, point: str) -> LiveState:
        """What is believed of a point and why. Raises NotFound."""
        await self.point(seen, point)
        return self.state_of(PointId(point))

    def believed(self, subject: str) -> State | None:
        """The state of a point or a device by our id; None for one that is gone."""
        ix = self.columns.find(subject)
        if ix >= 0:
            return self.live.state(ix)[0]
        slot = self.roll.find(subject)
        return None if slot is None else self.live.device_state(self.live.keys[slot])[0]

    def device_of(self, key: str) -> str | None:
        """Our id of a device by its key."""
        admission = self.roll.get(self.live.device(key))
        return None if admission is None else admission.id

    async def history(self, seen: Scope, point: str, *, hours: float = 24.0) -> list[StateSpan]:
        """What was believed over the last hours, at most 24. Raises NotFound, Invalid."""
        if not 0 < hours <= 24:
            raise Invalid("hours must lie between 0 and 24", "older states are in the series store")
        await self.point(seen, point)
        now = self._clock.micros()
        return self.live.history(self._ix(point), now - round(hours * DAY / 24), now)

    def states_since(self, seen: Scope, cursor: str | None) -> tuple[list[tuple[PointId, State, int]], str, bool]:
        """What changed after a cursor, the cursor after it, and whether the reader must start anew (its cursor is too
        old or of another run). Without a cursor: nothing, and where things stand.
        """
        if not cursor:
            return [], self.live.cursor, False
        found = self.live.changes_since(cursor)
        if found is None:
            return [], self.live.cursor, True
        ix, new, at, after = found
        visible = self.columns.seen_by(seen)[ix]
        ix, new, at = ix[visible], new[visible], at[visible]
        rows = [
            (point, STATE_OF[state], moment)
            for point, state, moment in zip(self.columns.ids(ix), new.tolist(), at.tolist(), strict=True)
        ]
        return rows, after, False

    def states_in(
        self, seen: Scope, chosen: PointFilter, limit: int = 20_000
    ) -> tuple[list[tuple[PointId, State, int]], bool]:
        """States of the points that a filter leaves (live state and text apart), and whether `limit` cut them."""
        mask = self.columns.matching(self.resolved(seen, chosen), seen)
        ix = np.flatnonzero(mask).astype(np.int32)
        is_cut = len(ix) > limit
        ix = ix[:limit]
        rows = []
        for point, number in zip(self.columns.ids(ix), ix.tolist(), strict=True):
            state, since = self.live.state(number)
            rows.append((point, state, since or 0))
        return rows, is_cut

    def moving_in(self, seen: Scope, chosen: PointFilter, limit: int = 20_000) -> tuple[list[Moving], bool]:
        """Points that a filter leaves (live state and text apart) and that have said where they are, and whether
        `limit` cut them.
        """
        mask = self.columns.matching(self.resolved(seen, chosen), seen)
        rows: list[Moving] = []
        for point, place in self.told.places():
            ix = self.columns.find(point)
            if ix < 0 or not mask[ix]:
                continue
            if len(rows) == limit:
                return rows, True
            kind, point_class = KINDS[self.columns.kind[ix]], CLASSES[self.columns.point_class[ix]]
            rows.append(Moving(point, kind, point_class, self.live.state(ix)[0], place))
        return rows, False

    def counts(self, seen: Scope) -> Counts:
        """Sums over what a scope sees; a second old at most."""
        mark = (self.columns.version, self.live.cursor)
        kept = self._counts.get(seen)
        if kept is None or kept[0] != mark:
            if len(self._counts) > 256:
                self._counts.clear()
            kept = self._counts[seen] = (mark, self._count(seen))
        waiting = self.roll.waiting if seen.sees_all else 0
        return replace(kept[1], waiting_devices=waiting)

    def _count(self, seen: Scope) -> Counts:
        ix = np.flatnonzero(self.columns.seen_by(seen))
        states = self.live.states()[ix]

        def by(numbers: Any, size: int) -> Any:
            return np.bincount(numbers[ix].astype(np.int64) * 3 + states, minlength=size * 3).reshape(-1, 3)

        kinds = by(self.columns.kind, len(KINDS))
        classes = by(self.columns.point_class, len(CLASSES))
        owners = by(self.columns.owns, len(self.columns.owners.texts))
        named = [
            (Named(org, self._organisations[org].name), _tally(owners[number]))
            for number, org in enumerate(self.columns.owners.texts)
            if org in self._organisations and owners[number].any()
        ]
        return Counts(
            all=_tally(np.bincount(states, minlength=3)),
            kinds={kind: _tally(kinds[number]) for number, kind in enumerate(KINDS) if kinds[number].any()},
            classes={c: _tally(classes[number]) for number, c in enumerate(CLASSES) if classes[number].any()},
            owners=sorted(named, key=lambda pair: -pair[1].total),
            waiting_devices=0,
        )

    async def installed(self) -> list[tuple[str, PointKind, int]]:
        """How many points are in use or repair, by path of the organisation and kind."""
        async with self._state.read() as tx:
            return [(path, PointKind(kind), count) for path, kind, count in await store.installed(tx)]

    async def installed_at(
        self, org_path: str, besides: Sequence[str], *, limit: int
    ) -> list[tuple[str, str, PointKind, int]]:
        """Where those below an organisation are: the owner's path, address ("" where the file has none), kind, how
        many. besides: paths that are left out.
        """
        async with self._state.read() as tx:
            found = await store.installed_at(tx, org_path, besides, limit=limit)
        return [(path, address or "", PointKind(kind), count) for path, address, kind, count in found]

    # --- devices -------------------------------------------------------------------------------------------------

    async def owned(self, ids: Sequence[PointId]) -> dict[PointId, Object]:
        """What rights to these points depend on, whoever asks; unknown ones are left out."""
        async with self._state.read() as tx:
            found = await store.points_by_ids(tx, ids)
        return {point.id: self._object(point) for point in found}

    async def codes(self, ids: Sequence[PointId]) -> dict[PointId, str]:
        """The 20-digit codes of these points, whoever asks; unknown ones are left out."""
        async with self._state.read() as tx:
            return {point.id: point.code for point in await store.points_by_ids(tx, ids)}

    async def where_is(self, point: PointId) -> Object:
        """What rights to a point depend on. Raises NotFound."""
        found = await self.owned([point])
        if point not in found:
            raise NotFound("there is no such object", "check the id")  # as of one that is out of sight
        return found[point]

    def admission(self, gateway: str, device_id: str) -> Admission | None:
        """What a gateway must know of a device before it lets it in; None if it was never met. Memory only."""
        return self.roll.get(self.live.device(device_key(gateway, device_id)))

    def policies(self, gateway: str, device_id: str) -> Policies | None:
        """How a device is to be treated; None for one that was never met. Memory only."""
        return self.roll.policies(self.live.device(device_key(gateway, device_id)))

    def greet(self, gateway: str, device_id: str, *, address: str, transport: str) -> Known | None:
        """A known device has shown up. None for one to `meet` first. A whole city may do so within a minute."""
        key = device_key(gateway, device_id)
        slot = self.live.device(key)
        standing = self.roll.standing(slot)
        if standing is None:
            return None
        self._touched.add(slot)
        if self.roll.moved(slot, address, transport):
            self._moved[slot] = address[:100], transport[:16]
        return Known(slot, key, *standing)

    async def meet(
        self,
        gateway: str,
        device_id: str,
        *,
        address: str,
        transport: str,
        name: str = "",
        vendor: str | None = None,
        model: str | None = None,
        version: str | None = None,
        adopt_under: OrgId | None = None,
        is_there: bool = True,
    ) -> Admission:
        """A device has shown up, authenticated or not yet known. Idempotent; a known one costs no database.

        adopt_under: let an unknown one in at once. is_there: false where somebody announces one that has yet to come.
        Raises Exhausted when the waiting list is full.
        """
        key = device_key(gateway, device_id)
        known = self.greet(gateway, device_id, address=address, transport=transport)
        if known is not None and (admission := self.roll.get(known.slot)) is not None:
            return admission
        org = self._organisations.get(adopt_under) if adopt_under else None
        if org is None and self.roll.waiting >= self._waiting_bound:
            self.refused_waiting += 1
            raise Exhausted(
                f"{self._waiting_bound} devices wait already; {device_id[:64]} is not put on the list",
                "adopt or refuse the waiting ones",
            )
        now = self._clock.now()
        values: dict[str, object] = {
            "id": self._new_id(),
            "gateway": gateway,
            "device_id": device_id,
            "name": (name or device_id)[:100],
            "vendor": vendor and vendor[:100],
            "model": model and model[:100],
            "version": version and version[:100],
            "transport": transport[:16],
            "address": address[:100],
            "status": str(DeviceStatus.ADOPTED if org else DeviceStatus.WAITING),
            "org_id": org.id if org else None,
            "org_path": org.org_path if org else CITY_PATH,
            "policies": {},
            "first_seen": now,
            "last_seen": now if is_there else None,
        }
        async with self._state.begin() as tx:
            await store.add_device(tx, values)
            device = await store.device_by_key(tx, gateway, device_id)
        if device is None:
            raise NotFound(f"device {device_id[:64]} vanished while it was added")
        self._take_device(device)
        if is_there:
            self.roll.moved(self.live.device(key), address, transport)
        self._announce(WaitingChanged(waiting=self.roll.waiting))
        return Admission(id=device.id, status=device.status, org_path=device.org_path, policies=device.policies)

    def _take_device(self, device: Device) -> None:
        slot = self.live.add_device(device_key(device.gateway, device.device_id), device.policies.own_keepalive_s)
        self.roll.put(slot, device.id, device.status, device.org_path, device.policies)

    async def describe(
        self,
        device: str,
        *,
        name: str | None = None,
        vendor: str | None = None,
        model: str | None = None,
        version: str | None = None,
    ) -> None:
        """What a device says about itself."""
        told = {"name": name, "vendor": vendor, "model": model, "version": version}
        values = {key: text[:100] for key, text in told.items() if text}
        if values:
            async with self._state.begin() as tx:
                await store.change_device(tx, device, values)

    async def devices(
        self,
        seen: Scope,
        *,
        status: DeviceStatus | None = None,
        q: str = "",
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Device]:
        """Devices in the order in which they first appeared. Waiting ones are seen only by who sees all."""
        limit, after = limited(limit), read_cursor(cursor, "")
        async with self._state.read() as tx:
            found = await store.list_devices(tx, seen, status=status, q=q, after=after, limit=limit + 1)
        more = len(found) > limit
        return Page(found[:limit], cursor_of(found[limit - 1].id) if more else None)

    async def device(self, seen: Scope, device: str) -> Device:
        """One device. Raises NotFound."""
        async with self._state.read() as tx:
            return await self._device(tx, seen, device)

    async def _device(self, tx: Tx, seen: Scope, device: str) -> Device:
        found = await store.device_by_id(tx, seen, device)
        if found is None:
            raise NotFound(f"there is no device {device[:64]}")
        return found

    def device_live(self, device: Device) -> LiveState:
        """What is believed of a device and why."""
        key = device_key(device.gateway, device.device_id)
        return replace(self.live.explain_device(key, self._clock.micros()), report=self.told.report(key))

    async def channels(self, seen: Scope, device: str, *, limit: int = 200, cursor: str | None = None) -> Page[Channel]:
        """What a device lists, by channel id. Raises NotFound."""
        limit, after = limited(limit), read_cursor(cursor, "")
        async with self._state.read() as tx:
            await self._device(tx, seen, device)
            found = await store.channel_page(tx, device, after=after, limit=limit + 1)
        more = len(found) > limit
        return Page(found[:limit], cursor_of(found[limit - 1].channel_id) if more else None)

    async def adopt(self, seen: Scope, device: str, org: str) -> tuple[Device, Reconciled]:
        """Let a device in under an organisation; points are made of its channels. Raises NotFound."""
        under = self.organisation(seen, org)
        await self.reviews.read_map()
        async with self._turn(device), self._state.begin() as tx:
            await self._device(tx, seen, device)
            held = await store.lock_device(tx, device)
            if held is None:
                raise NotFound(f"there is no device {device[:64]}")
            await store.change_device(
                tx,
                device,
                {"status": str(DeviceStatus.ADOPTED), "org_id": under.id, "org_path": under.org_path},
            )
            found = await self._device(tx, EVERYTHING, device)
            made = await self._make_points(tx, replace(held, org_id=under.id, org_path=under.org_path))
        self._take_device(found)
        self._follow(found, made)
        self._announce(WaitingChanged(waiting=self.roll.waiting))
        self._announce(DeviceAdopted(gateway=found.gateway, device_id=found.device_id))
        points = tuple(point.id for point in made.new)
        return await self.device(EVERYTHING, device), Reconciled(added=len(points), points=points)

    async def refuse(self, seen: Scope, device: str) -> Device:
        """Keep a device out; its points stay, with their history. Raises NotFound."""
        async with self._turn(device), self._state.begin() as tx:
            await self._device(tx, seen, device)
            await store.change_device(tx, device, {"status": str(DeviceStatus.REFUSED)})
            found = await self._device(tx, EVERYTHING, device)
        self._take_device(found)
        self._announce(WaitingChanged(waiting=self.roll.waiting))
        return found

    async def set_policies(self, seen: Scope, device: str, policies: Policies) -> Device:
        """Treat a device so. Raises NotFound."""
        values: dict[str, object] = {name: getattr(policies, name) for name in Policies.__dataclass_fields__}
        async with self._state.begin() as tx:
            await self._device(tx, seen, device)
            await store.change_device(tx, device, {"policies": values})
            found = await self._device(tx, EVERYTHING, device)
        self._take_device(found)
        self._announce(PoliciesChanged(gateway=found.gateway, device_id=found.device_id))
        return found

    # --- catalogues ----------------------------------------------------------------------------------------------

    def _turn(self, device: str) -> asyncio.Lock:
        """One catalogue of a device at a time in this process; the locked row holds it between processes."""
        if len(self._turns) > 4096:
            self._turns = {name: turn for name, turn in self._turns.items() if turn.locked()}
        return self._turns.setdefault(device, asyncio.Lock())

    async def reconcile(
        self, device: str, items: Sequence[CatalogueItem], *, complete: bool, asked_at_us: int | None = None
    ) -> Reconciled:
        """Take what a device (by our id) lists. Idempotent on (device, channel), whatever arrives twice or crosses.

        complete: the items are all there are; else they are a part or a notice, and nothing is missed; the first is
        taken at once, those that follow within a second are gathered (see `gathering`) and told as `waiting`.
        asked_at_us: when the complete answer was asked for: a channel heard of since then is not missed by it, and one
        answer counts once however often it is delivered. A channel that two complete answers in a row lack is removed
        (its point stays, offline). Older news never overwrite newer ones. Raises NotFound, Exhausted when too many
        notices wait.
        """
        if complete:
            now = self._clock.micros()
            asked = asked_at_us if asked_at_us is not None else min((item.at_us for item in items), default=now)
            return await self._take(device, (), items, asked)
        if not self.notices.is_turn(device, self._clock.monotonic()):
            self.notices.put(device, items)
            return Reconciled(waiting=len(items))
        return await self._take(device, items, None, 0)

    async def take_notices(self) -> int:
        """Write the notices of all devices whose second is over; how many devices."""
        due = self.notices.due(self._clock.monotonic())
        for device in due:
            await self._take_gathered(device)
        return len(due)

    async def _take_gathered(self, device: str) -> None:
        try:
            await self._take(device, (), None, 0)
        except NotFound:
            log.info("notices of a device that is gone were dropped", device=device)
        except Exception:
            self.lost_notices += 1
            log.exception("notices of a device were lost until its next catalogue", device=device)

    async def _run_notices(self) -> None:
        while True:
            await self._clock.sleep(TICK_S / 4)
            await self.take_notices()

    async def _take(
        self, device: str, notice: Sequence[CatalogueItem], answer: Sequence[CatalogueItem] | None, asked: int
    ) -> Reconciled:
        """Write what was gathered of a device, then a notice, then a complete answer, in one transaction."""
        async with self._turn(device):
            news = by_channel([*self.notices.take(device, self._clock.monotonic()), *notice])
            told = by_channel(answer or ())
            await self.reviews.read_map()
            async with self._state.begin() as tx:
                found = await store.lock_device(tx, device)
                if found is None:
                    raise NotFound(f"there is no device {device[:64]}")
                before = await self._known_channels(tx, device, list(news) if answer is None else None)
                now = self._clock.micros()
                first = compare(device, before, news, complete=False, asked_us=now, now_us=now)
                written, sums = first.written, first.sums()
                if answer is not None:
                    rows = {**before, **written}
                    outcome = compare(device, rows, told, complete=True, asked_us=asked, now_us=now)
                    written, sums = {**written, **outcome.written}, outcome.sums()
                    await store.change_device(tx, device, {"synced_at": from_micros(asked)})
                for part in in_steps(list(written.values())):
                    await store.put_channels(tx, part)
                made = _Made()
                if found.status is DeviceStatus.ADOPTED:
                    made = await self._make_points(tx, found, None if answer is not None else list(news))
                streams = {
                    PointId(row["point_id"]): streams_of(row)
                    for channel, row in written.items()
                    if row["point_id"] and streams_of(row) not in ("", streams_of(before.get(channel)))
                }
                made.changed += await self._set_streams(tx, found.gateway, streams)
            self._follow(found, made)
            self._note_channels({**before, **written}, {**news, **told}, list(written.values()))
        return replace(sums, points=tuple(point.id for point in made.new))

    async def _known_channels(self, tx: Tx, device: str, names: Sequence[str] | None) -> dict[str, ChannelRow]:
        """Channels by id: all of a device, or these."""
        if names is None:
            return {row.channel_id: dict(row._mapping) for row in await store.channels_of(tx, device)}
        rows: dict[str, ChannelRow] = {}
        for part in in_steps(names):
            rows.update((row.channel_id, dict(row._mapping)) for row in await store.channels_named(tx, device, part))
        return rows

    def _note_channels(self, rows: Mapping[str, ChannelRow], news: News, written: Sequence[ChannelRow]) -> None:
        batch = []
        for channel_id in news:
            row = rows.get(channel_id)
            if row and row["point_id"] and row["is_on"] is not None and row["removed_at"] is None:
                at = max(news[channel_id][-1].at_us, 0)
                batch.append(Evidence(row["point_id"], EvidenceKind.CATALOGUE, at, row["is_on"]))
        self.live.note(batch)
        for row in written:
            if row["removed_at"] is not None and row["point_id"]:
                ix = self.columns.find(row["point_id"])
                if ix >= 0:
                    self.live.note(
                        [Evidence(row["point_id"], EvidenceKind.CATALOGUE, self._clock.micros(), False, "", "removed")]
                    )

    async def _make_points(self, tx: Tx, device: store.HeldDevice, names: Sequence[str] | None = None) -> _Made:
        """Give the channels of an adopted device their points: the imported one with its code, or a new one. names: of
        these channels; None: of all.
        """
        made = _Made()
        if device.org_id is None:
            return made
        if names is None:
            waiting = await store.pointless_channels(tx, device.id)
        else:
            waiting = [row for part in in_steps(names) for row in await store.pointless_channels(tx, device.id, part)]
        now = self._clock.now()
        for part in in_steps(waiting):
            await self._make_some(tx, device, part, made, now)
            await self._find_duplicates(tx, [row.channel_id for row in part])
        return made

    async def _make_some(
        self, tx: Tx, device: store.HeldDevice, part: Sequence[Any], made: _Made, now: datetime
    ) -> None:
        free: dict[str, list[Point]] = {}
        for point in await store.points_of_codes(tx, [row.channel_id for row in part]):
            mine = (point.gateway, point.device_id) == (device.gateway, device.device_id)
            if (point.gateway is None or mine) and point.org_path.startswith(device.org_path):
                free.setdefault(point.code, []).append(point)
        new: list[tuple[Point, Record]] = []
        first = -1
        bound: list[tuple[PointId, str, str, str]] = []
        linked: list[dict[str, object]] = []
        unread: list[dict[str, object]] = []
        streams: dict[PointId, str] = {}
        for row in part:
            candidates = free.get(row.channel_id)
            if candidates:
                candidates.sort(key=lambda point: (point.gateway is None, point.ix))
                point = candidates.pop(0)
                bound.append((point.id, device.gateway, device.device_id, row.channel_id))
                point = replace(point, gateway=device.gateway, device_id=device.device_id, channel_id=row.channel_id)
                made.bound.append(point)
                if streams_of(dict(row._mapping)):
                    streams[point.id] = streams_of(dict(row._mapping))
            else:
                if first < 0:
                    first = await store.take_numbers(tx, "points.ix", len(part))
                point, record = self._point_of(device, row, first + len(new), now)
                new.append((point, record))
                made.new.append(point)
                if row.about.get("unread"):
                    unread += self._unread(point, row.about["unread"])
            linked.append({**row._mapping, "point_id": point.id})
            if row.is_on is not None:
                made.states[point.id] = (row.is_on, row.on_at)
        await store.add_points(tx, [self.point_row(point, record) for point, record in new])
        await store.put_findings(tx, unread)
        await store.bind_points(tx, bound, now)
        await store.put_channels(tx, linked)
        made.changed += await self._set_streams(tx, device.gateway, streams)

    async def _set_streams(self, tx: Tx, by: str, wanted: Mapping[PointId, str]) -> list[Point]:
        """Write down which streams devices say their channels have; a change of the file like any other. by: gateway.

        Called only when a device says something new, so that what a person wrote since then stays.
        """
        changed = []
        now = self._clock.now()
        for part in in_steps(list(wanted)):
            for point in await store.points_by_ids(tx, part, lock=True):
                old = record_of(point)
                record = {**old, "streams": wanted[point.id]}
                diff = differences(old, record)
                if not diff:
                    continue
                after = self._changed(point, record, now)
                await store.save_point(tx, self.point_row(after, record), version=point.version)
                await store.add_version(
                    tx,
                    FileVersion(
                        point_id=point.id, version=after.version, at=now, by=by, reason="码流取自设备目录", changes=diff
                    ),
                )
                changed.append(after)
        return changed

    def _unread(self, point: Point, unread: Sequence[Sequence[str]]) -> list[dict[str, object]]:
        """The findings about fields that a catalogue filled with what their table does not have."""
        return [
            self.reviews.row(
                "DQ05",
                unread_subject(point.id, key),
                Severity.WARNING,
                f"目录中的 {BY_KEY[key].label} {value}：{why}",
                point.id,
                point.org_path,
            )
            for key, value, why in unread
            if key in BY_KEY
        ]

    def _point_of(self, device: store.HeldDevice, row: Any, ix: int, now: datetime) -> tuple[Point, Record]:
        about: Mapping[str, Any] = row.about
        record: dict[str, FileValue] = {
            **about.get("file", {}),
            "code": row.channel_id[:20],
            "name": row.name[:100] or row.channel_id,
            "organisation": device.org_id,
        }
        for key in ("division", "longitude", "latitude", "model", "address", "camera_type", "kind", "point_class"):
            if about.get(key) is not None:
                record[key] = about[key]
        if about.get("vendor"):
            record.setdefault("maker", about["vendor"])
        if any(misplaced(record, self.reviews.restricted)):
            record["lifecycle"] = str(Lifecycle.PLANNED)  # until an inspection has said that it may be used
        org = self._organisations[str(device.org_id)]
        columns = columns_of(record)
        blank = Point(
            id=PointId(self._new_id()),
            ix=ix,
            code="",
            name="",
            kind=PointKind.CAMERA,
            point_class=PointClass.OTHER,
            lifecycle=Lifecycle.IN_USE,
            longitude=None,
            latitude=None,
            division=None,
            org_id=org.id,
            org_path=org.org_path,
            department=None,
            zone="default",
            address=None,
            camera_type=None,
            ptz=False,
            heading_deg=None,
            fov_deg=None,
            owners=Owners(),
            gateway=device.gateway,
            device_id=device.device_id,
            channel_id=row.channel_id,
            streams=("main",),
            file={},
            version=1,
            created_at=now,
            updated_at=now,
        )
        return point_from(columns, blank, org=org, owners=Owners(), version=1, now=now), record

    def _follow(self, device: Device | store.HeldDevice, made: _Made) -> None:
        """Follow in memory what a transaction did to points."""
        if not made.new and not made.bound and not made.changed:
            return
        self.put_columns([*made.new, *made.changed])
        changed = [*made.new, *made.bound]
        slot = self.live.device(device_key(device.gateway, device.device_id))
        self.live.bind(np.array([point.ix for point in changed], np.int32), np.full(len(changed), slot, np.int32))
        noted = [
            Evidence(point, EvidenceKind.CATALOGUE, to_micros(at) if at else 0, is_on)
            for point, (is_on, at) in made.states.items()
        ]
        self.live.note(noted)
        named = dict.fromkeys(point.id for point in (*changed, *made.changed))
        self._announce(
            PointsChanged(
                points=tuple(named) if len(named) <= LIMIT else (),
                added=len(made.new),
                changed=len(named) - len(made.new),
            )
        )

    # --- search --------------------------------------------------------------------------------------------------

    async def search(
        self, seen: Scope, q: str, *, limit: int = 20
    ) -> tuple[list[PointView], list[Organisation], list[Device]]:
        """Points, organisations and devices that a text fits, `limit` of each at most; points that fit best first."""
        q = q.strip()[:100]
        if not q:
            return [], [], []
        limit = limited(limit)
        numbers = await self._best(seen, q, limit)
        async with self._state.read() as tx:
            by_ix = {one.ix: one for one in self._kept(seen, await store.points_by_ix(tx, seen, numbers))}
            devices = await store.list_devices(tx, seen, status=None, q=q, after="", limit=limit)
        orgs = [
            org for org in self._organisations.values() if seen.reaches(org.org_path) and _is_called(org, q.lower())
        ]
        found = [by_ix[number] for number in numbers if number in by_ix]
        return self._views(found), sorted(orgs, key=lambda org: org.name)[:limit], devices

    async def _best(self, seen: Scope, q: str, limit: int) -> list[int]:
        """Numbers of the seen points that a text fits best: its code, then what begins with it, then the rest."""
        ix, rank = await self._find(q)
        mask = self.columns.seen_by(seen)
        known = ix < len(mask)
        known[known] = mask[ix[known]]
        keys = rank[known].astype(np.int64) << 32 | ix[known]
        if len(keys) > limit:
            keys = np.partition(keys, limit)[:limit]
        return [key & 0xFFFF_FFFF for key in sorted(keys.tolist())]

    def now_us(self) -> int:
        """The moment that ages are counted from."""
        return self._clock.micros()

    def _new_id(self) -> str:
        return uuid7(self._clock.micros() // 1000)


STATE_OF = {UNKNOWN: State.UNKNOWN, ONLINE: State.ONLINE, OFFLINE: State.OFFLINE}


def _named(twins: Sequence[Point]) -> str:
    """The names of some points beside one, for a sentence."""
    names = [twin.name for twin in twins]
    if not names:
        return ""
    return "：" + "、".join(names[:5]) + (f" 等 {len(names)} 个" if len(names) > 5 else "")


def _is_called(org: Organisation, q: str) -> bool:
    return q in org.name.lower() or any(q in sound for sound in pinyin(org.name))


def _tally(sums: Any) -> Tally:
    return Tally(online=int(sums[ONLINE]), offline=int(sums[OFFLINE]), unknown=int(sums[UNKNOWN]))


def _org(value: FileValue) -> OrgId | None:
    return OrgId(str(value)) if value else None


def point_from(
    columns: Mapping[str, Any], before: Point, *, org: Organisation, owners: Owners, version: int, now: datetime
) -> Point:
    """A point after its file changed; how it is reached stays."""
    return replace(
        before,
        **{
            name: columns[name]
            for name in (
                "code", "name", "longitude", "latitude", "division", "department", "zone", "address", "camera_type",
                "ptz", "heading_deg", "fov_deg", "file",
            )
        },
        kind=PointKind(columns["kind"]),
        point_class=PointClass(columns["point_class"]),
        lifecycle=Lifecycle(columns["lifecycle"]),
        streams=tuple(str(columns["streams"]).split(",")),
        org_id=org.id,
        org_path=org.org_path,
        owners=owners,
        version=version,
        updated_at=now,
    )  # fmt: skip
