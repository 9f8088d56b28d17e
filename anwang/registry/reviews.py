"""Findings kept true: a point is judged again when its file changes, and all of them once a night or on demand.

What a look at a point decides (`Rule.is_renewed`) is opened, renewed and settled here; other findings are left alone.
The survey walks through all points by their number, a page at a time: it judges in a thread, writes only what is
different from what stands there, and lets others have their turn in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np

from anwang.governance import EVERYTHING
from anwang.kernel.times import BEIJING, civil_day
from anwang.registry import store
from anwang.registry.columns import PointColumns, Rows, degrees
from anwang.registry.files import record_of
from anwang.registry.model import Division, Organisation, Point, Severity
from anwang.registry.outlines import Outline, rings_of
from anwang.registry.quality import (
    BY_ID,
    RULES,
    Around,
    Fault,
    Outlines,
    Setting,
    judge,
    shift_suspected,
    told,
)
from anwang.registry.siting import RESTRICTED, Restricted, buffer_of
from anwang.registry.tiles import BaseMap
from anwang.registry.twins import Said, Twins, count_all, said_by
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.stores.state import State as Database
from anwang.stores.state import Tx

log = logs.get(__name__)

RENEWED = frozenset(rule.id for rule in RULES if rule.is_renewed)
PAGE = 500
PAUSE_S = 0.02
"""Between two pages, so that the survey takes no more than a part of the machine."""
NIGHT_HOUR = 3
SHIFT_LEAST = 20
STEP = 400
"""Rows that one statement names or writes."""
T = TypeVar("T")


def in_steps(rows: Sequence[T], step: int = STEP) -> Iterator[Sequence[T]]:
    """All of them, some at a time: statements have a bound, what is done has none."""
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A walk through all points. finished_at None: it goes on, or was interrupted. opened: findings that are new or say
    something else now; settled: that no longer hold.
    """

    started_at: datetime | None = None
    finished_at: datetime | None = None
    total: int = 0
    done: int = 0
    opened: int = 0
    settled: int = 0


class Reviews:
    """See the module's text. new_id: of findings. divisions, organisations: as they stand now."""

    def __init__(
        self,
        *,
        state: Database,
        clock: Clock,
        columns: PointColumns,
        base_map: BaseMap,
        new_id: Callable[[], str],
        divisions: Callable[[], Mapping[str, Division]],
        organisations: Callable[[], Iterable[Organisation]],
    ) -> None:
        self._state = state
        self._clock = clock
        self._columns = columns
        self._base_map = base_map
        self._new_id = new_id
        self._divisions = divisions
        self._organisations = organisations
        self._twins = Twins(columns)
        self._is_loaded = False
        self._fresh: set[int] | None = None
        self._turn = asyncio.Lock()
        self._outlines: Outlines | None = None
        self.restricted: tuple[Restricted, ...] = ()
        self._due = asyncio.Event()
        self.survey = Survey()
        self.surveyed_at: datetime | None = None
        """When the last walk that came to its end did so; None: none has since the start."""

    # --- memory --------------------------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Fill the memory, once; who comes earlier waits for it."""
        if not self._is_loaded:
            async with self._turn:
                if not self._is_loaded:
                    await self._load()
                    self._is_loaded = True

    async def take_batch(self, batch: int) -> None:
        """Take the points of a published import."""
        async with self._turn:
            if self._is_loaded:
                await self._load(batch=batch)

    async def _load(self, *, batch: int | None = None) -> None:
        self._fresh = set()
        try:
            async with self._state.read() as tx:
                async for page in store.said_pages(tx, batch=batch, page=2_000):
                    self._twins.put(said for said in map(Said._make, page) if said.ix not in self._fresh)
                    await asyncio.sleep(0)
        finally:
            self._fresh = None

    def put(self, changed: Sequence[Point]) -> None:
        """Follow a commit."""
        if self._is_loaded or self._fresh is not None:
            self._twins.put(map(said_by, changed))
            if self._fresh is not None:
                self._fresh.update(point.ix for point in changed)

    def forget_outlines(self) -> None:
        """The divisions and areas on the map are others now."""
        self._outlines = None

    async def read_map(self) -> None:
        """Know what is on the map, for `setting` and `restricted`."""
        await self._shapes()

    async def _shapes(self) -> Outlines:
        if self._outlines is None:
            async with self._state.read() as tx:
                base = await store.all_base(tx, layers=("divisions",))
                areas = await store.all_base(tx, layers=(RESTRICTED,))
            self.restricted = tuple(
                Restricted.of(name, rings_of(geometry), buffer_of(buffer)) for _, _, name, buffer, geometry in areas
            )
            self._outlines = Outlines(
                Outline(code, name, rings_of(geometry)) for _, code, name, _, geometry in base if code
            )
        return self._outlines

    def setting(self) -> Setting:
        """What rules about single files need to know."""
        now = self._clock.now()
        divisions = self._divisions()
        return Setting(
            today=now.date(),
            divisions={code: division.name for code, division in divisions.items()},
            retired={
                code: civil_day(division.valid_to).isoformat()
                for code, division in divisions.items()
                if division.valid_to is not None and division.valid_to <= now
            },
            restricted=self.restricted,
        )

    # --- one point -----------------------------------------------------------------------------------------------

    async def before(self, ix: int) -> list[int]:
        """What a point is compared by before it changes, for `after`."""
        await self.ready()
        await self._shapes()
        return self._twins.of(ix) if ix < self._columns.size else []

    async def after(self, before: Sequence[int], ix: int, changed: Iterable[str]) -> None:
        """Judge a point whose file has changed, and those that shared something with it or do now.

        changed: keys of its fields; values that a catalogue could not be read for are settled once there is another.
        """
        others = self._twins.touched(before, ix) if before else np.zeros(0, np.int32)
        numbers = [ix, *others.tolist()]
        shapes, setting = await self._shapes(), self.setting()
        async with self._state.begin() as tx:
            for part in in_steps(numbers):
                points = await store.points_by_ix(tx, EVERYTHING, part)
                around = [self._twins.around(point.ix) for point in points]
                found = _judge(points, around, setting, shapes)
                await self._write(tx, points, found, await _open(tx, points))
            point = await store.points_by_ix(tx, EVERYTHING, [ix])
            gone = [("DQ05", unread_subject(one.id, key)) for one in point for key in changed]
            await self._settle(tx, gone)

    async def faults_of(self, points: Sequence[Point]) -> dict[str, list[Fault]]:
        """By point: what is wrong with its file as it is now. At most some hundred points."""
        await self.ready()
        shapes, setting = await self._shapes(), self.setting()
        around = [self._twins.around(point.ix) for point in points]
        return await asyncio.to_thread(_faults, points, around, setting, shapes)

    # --- all of them ---------------------------------------------------------------------------------------------

    def want_survey(self) -> None:
        """Walk through all points soon; asking twice is once."""
        self._due.set()

    @property
    def is_wanted(self) -> bool:
        """Whether a walk is about to begin."""
        return self._due.is_set()

    async def run(self) -> None:
        """Walk when asked to, and every night; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.ready())
            group.create_task(self._run_nights())
            while True:
                await self._due.wait()
                self._due.clear()
                try:
                    await self.survey_all()
                except Exception:
                    log.exception("the survey of camera files failed")

    async def _run_nights(self) -> None:
        while True:
            civil = self._clock.now().astimezone(BEIJING)
            night = civil.replace(hour=NIGHT_HOUR, minute=0, second=0, microsecond=0)
            if night <= civil:
                night += timedelta(days=1)
            await self._clock.sleep((night - civil).total_seconds())
            self.want_survey()

    async def survey_all(self) -> Survey:
        """Judge every point anew; what it came to."""
        await self.ready()
        self.survey = Survey(started_at=self._clock.now(), total=self._columns.count)
        counts = await asyncio.to_thread(count_all, *self._twins.counts())
        shapes, setting = await self._shapes(), self.setting()
        async for points in self._pages():
            around = [
                Around(*counts[:, point.ix].tolist()) if point.ix < counts.shape[1] else self._twins.around(point.ix)
                for point in points
            ]
            found = await asyncio.to_thread(_judge, points, around, setting, shapes)
            await self._renew(points, found)
            self.survey = replace(self.survey, done=self.survey.done + len(points))
            await asyncio.sleep(PAUSE_S)
        await self._survey_shifts()
        self.survey = replace(self.survey, finished_at=self._clock.now())
        self.surveyed_at = self.survey.finished_at
        log.info(
            "camera files were surveyed",
            points=self.survey.done,
            opened=self.survey.opened,
            settled=self.survey.settled,
        )
        return self.survey

    async def _pages(self) -> AsyncIterator[Sequence[Point]]:
        """Each page is a snapshot of its own."""
        after = -1
        while True:
            async with self._state.read() as tx:
                points = await store.points_after(tx, after, limit=PAGE)
            if not points:
                return
            yield points
            after = points[-1].ix

    async def _renew(self, points: Sequence[Point], found: Mapping[str, dict[str, str]]) -> None:
        """Write what differs, of points that nobody has changed since they were read."""
        async with self._state.read() as tx:
            stands = await _open(tx, points)
        different = [point for point in points if found[point.id] != stands.get(point.id, {})]
        if not different:
            return
        async with self._state.begin() as tx:
            versions: dict[str, int] = {}
            for part in in_steps([point.id for point in different]):
                versions.update(await store.versions_now(tx, part))
            same = [point for point in different if versions.get(point.id) == point.version]
            opened, settled = await self._write(tx, same, found, await _open(tx, same))
        self.survey = replace(self.survey, opened=self.survey.opened + opened, settled=self.survey.settled + settled)

    async def _survey_shifts(self) -> None:
        """DQ08, by organisation: whose coordinates lie beside the roads as if they were GCJ-02."""
        roads = await asyncio.to_thread(self._base_map.roads)
        if not len(roads):
            return
        for organisation in list(self._organisations()):
            number = self._columns.orgs.known(organisation.org_path)
            if number is None:
                continue
            n = self._columns.size
            placed = self._columns.alive[:n] & (self._columns.org[:n] == number) & (self._columns.x[:n] >= 0)
            ix = np.flatnonzero(placed).astype(np.int32)
            if len(ix) < SHIFT_LEAST:
                continue
            metres = await asyncio.to_thread(shift_suspected, self._positions(ix), roads)
            await self._write_shift(organisation, metres)

    def _positions(self, ix: Rows) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.column_stack(degrees(self._columns.x[ix], self._columns.y[ix]))

    async def _write_shift(self, organisation: Organisation, metres: float | None) -> None:
        subject = f"organisation/{organisation.id}"
        async with self._state.begin() as tx:
            if metres is None:
                await self._settle(tx, [("DQ08", subject)])
                return
            message = f"{organisation.name} 的坐标疑似为 GCJ-02：按 GCJ-02 换算后距道路的中位距离减少 {metres:.0f} 米"
            rule = BY_ID["DQ08"]
            await store.put_findings(
                tx, [self.row(rule.id, subject, rule.severity, message, None, organisation.org_path)]
            )

    # --- what is written -----------------------------------------------------------------------------------------

    def row(
        self, rule: str, subject: str, severity: Severity, message: str, point: str | None, org_path: str
    ) -> dict[str, object]:
        """A finding as a row of the store."""
        return {
            "id": self._new_id(),
            "rule": rule,
            "subject": subject,
            "severity": str(severity),
            "point_id": point,
            "org_path": org_path,
            "message": message[:500],
            "found_at": self._clock.now(),
            "settled_at": None,
            "settled_by": None,
        }

    async def _write(
        self,
        tx: Tx,
        points: Sequence[Point],
        found: Mapping[str, dict[str, str]],
        stands: Mapping[str, dict[str, str]],
    ) -> tuple[int, int]:
        """How many findings were opened or renewed, and how many settled."""
        rows: list[dict[str, object]] = []
        gone: list[tuple[str, str]] = []
        for point in points:
            now, then = found[point.id], stands.get(point.id, {})
            rows += [
                self.row(rule, point.id, BY_ID[rule].severity, message, point.id, point.org_path)
                for rule, message in now.items()
                if then.get(rule) != message
            ]
            gone += [(rule, point.id) for rule in then if rule not in now]
        for part in in_steps(rows):
            await store.put_findings(tx, part)
        await self._settle(tx, gone)
        return len(rows), len(gone)

    async def _settle(self, tx: Tx, gone: Sequence[tuple[str, str]]) -> None:
        for part in in_steps(gone):
            await store.settle_findings(tx, part, by="registry", now=self._clock.now())


def unread_subject(point: str, key: str) -> str:
    """What a finding about a value that could not be read is about: one field of one point."""
    return f"{point}/{key}"


def messages(faults: Iterable[Fault]) -> dict[str, str]:
    """By rule: all its faults in one sentence."""
    by_rule: dict[str, list[str]] = {}
    for fault in faults:
        by_rule.setdefault(fault.rule, []).append(fault.message)
    return {rule: told(several) for rule, several in by_rule.items()}


def _faults(
    points: Sequence[Point], around: Sequence[Around], setting: Setting, shapes: Outlines
) -> dict[str, list[Fault]]:
    """By point: what is wrong. May run in a thread."""
    records = [record_of(point) for point in points]
    outside = shapes.check(records)
    return {
        point.id: judge(record, setting, replace(one, outside=outside[place].message) if place in outside else one)
        for place, (point, record, one) in enumerate(zip(points, records, around, strict=True))
    }


def _judge(
    points: Sequence[Point], around: Sequence[Around], setting: Setting, shapes: Outlines
) -> dict[str, dict[str, str]]:
    """By point, then by rule: what is wrong. May run in a thread."""
    return {point: messages(faults) for point, faults in _faults(points, around, setting, shapes).items()}


async def _open(tx: Tx, points: Sequence[Point]) -> dict[str, dict[str, str]]:
    """By point, then by rule: what stands there and is decided here."""
    stands: dict[str, dict[str, str]] = {}
    for part in in_steps([point.id for point in points]):
        for point, rule, message in await store.open_findings(tx, part):
            if rule in RENEWED:
                stands.setdefault(point, {})[rule] = message
    return stands
