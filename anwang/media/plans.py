"""Recording plans (录像计划): what should be recorded, so that a missing second can be told from an unplanned one.

A plan holds for one point or for a point class; a point with plans of its own does not follow its class's. Changing a
plan ends its present version and begins another, so that the past keeps the plan it had and its gaps their cause.
Hours are civil time (Asia/Shanghai), as people write them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Integer, Row, Table, Text

from anwang.kernel.errors import Conflict, Invalid, NotFound
from anwang.kernel.ids import PointId, uuid7
from anwang.kernel.times import BEIJING, Span, civil_day, from_micros, to_micros
from anwang.media.index import join
from anwang.runtime.clock import Clock
from anwang.stores.state import Json, Serial, State, Tx, media_metadata

recording_plan = Table(
    "recording_plan",
    media_metadata,
    Column("number", Serial, primary_key=True),  # one row per version of a plan
    Column("id", Text, nullable=False),  # the plan's id, the same in all versions
    Column("version", Integer, nullable=False),  # 1, 2, ...
    Column("point", Text),  # the point it holds for; NULL: a class
    Column("point_class", Text),  # the class it holds for; NULL: a point
    Column("mode", Text, nullable=False),  # Mode
    Column("weekly", Json, nullable=False),  # list of Hours; empty unless mode is schedule
    Column("stream", Text, nullable=False),  # "main" or "sub"
    Column("priority", Integer, nullable=False),  # 1 is given up last when disk or bandwidth runs out, 9 first
    Column("pre_s", Integer, nullable=False, server_default="10"),  # on event: seconds recorded from before it
    Column("post_s", Integer, nullable=False, server_default="30"),  # on event: seconds recorded after the last one
    Column("most_s", Integer, nullable=False, server_default="1800"),  # on event: seconds after which it ends anyhow
    Column("since_us", BigInteger, nullable=False),  # from when this version holds
    Column("until_us", BigInteger),  # until when; NULL: it holds now
    sa.UniqueConstraint("id", "version"),
)
sa.Index("ix_recording_plan_point", recording_plan.c.point)

FULL_DAY_MIN = 1440
MOST_PRE_S = 60
"""What is kept from before an event lies in memory."""


class Mode(StrEnum):
    """When a plan records."""

    CONTINUOUS = "continuous"
    SCHEDULE = "schedule"
    ON_EVENT = "on_event"
    """Only while a signal of the point asks for it; so nothing is missing when nothing asked."""


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of every week: ISO weekdays (1 Monday to 7) and minutes of the day, half-open, 0..1440."""

    weekdays: tuple[int, ...]
    start_min: int
    end_min: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a recording plan. since_us, until_us: when this version holds; until_us None: it holds now.

    pre_s, post_s, most_s: of a plan on event. Recording begins so long before the event (the stream is kept running and
    its last seconds in memory; 0: the stream is opened only then), ends so long after the last event, and after most_s
    in any case: then it rests until the point was quiet for post_s.
    """

    id: str
    version: int
    point: PointId | None
    point_class: str | None
    mode: Mode
    weekly: tuple[Hours, ...] = ()
    stream: str = "main"
    priority: int = 5
    pre_s: int = 10
    post_s: int = 30
    most_s: int = 1800
    since_us: int = 0
    until_us: int | None = None


def planned(plans: Sequence[Plan], span: Span) -> list[Span]:
    """When these plans want a recording within the span; sorted, disjoint."""
    wanted: list[tuple[int, int]] = []
    for plan in plans:
        valid = _valid(plan, span)
        if valid is None:
            continue
        if plan.mode is Mode.CONTINUOUS:
            wanted.append((valid.start, valid.end))
        elif plan.mode is Mode.SCHEDULE:
            wanted += _hours_in(plan.weekly, valid)
    return [Span(start, end) for start, end in join(wanted)]


def waiting(plans: Sequence[Plan], span: Span) -> list[Span]:
    """When these plans wait for an event within the span; sorted, disjoint."""
    held = (_valid(plan, span) for plan in plans if plan.mode is Mode.ON_EVENT)
    return [Span(start, end) for start, end in join((one.start, one.end) for one in held if one is not None)]


def _valid(plan: Plan, span: Span) -> Span | None:
    return span.overlap(Span(plan.since_us, max(plan.since_us, span.end if plan.until_us is None else plan.until_us)))


def _hours_in(weekly: Sequence[Hours], span: Span) -> list[tuple[int, int]]:
    found = []
    date = civil_day(from_micros(span.start))
    last = civil_day(from_micros(span.end))
    while date <= last:
        # civil days in China have had 24 hours since 1991, so minutes count from midnight
        midnight = to_micros(datetime.combine(date, time(), BEIJING))
        for hours in weekly:
            if date.isoweekday() in hours.weekdays:
                part = Span(midnight + hours.start_min * 60_000_000, midnight + hours.end_min * 60_000_000).overlap(
                    span
                )
                if part is not None:
                    found.append((part.start, part.end))
        date += timedelta(days=1)
    return found


def check(plan: Plan) -> Plan:
    """The plan, if it can hold. Raises Invalid."""
    if (plan.point is None) == (plan.point_class is None):
        raise Invalid("a plan holds for a point or for a class", "give one of point and point_class")
    if plan.stream not in ("main", "sub"):
        raise Invalid(f"no stream {plan.stream[:32]!r}", "main or sub")
    if not 1 <= plan.priority <= 9:
        raise Invalid(f"priority {plan.priority}", "1 (kept longest) to 9")
    if not 0 <= plan.pre_s <= MOST_PRE_S:
        raise Invalid(f"{plan.pre_s} seconds before an event", f"0 to {MOST_PRE_S}")
    if not 5 <= plan.post_s <= 3600:
        raise Invalid(f"{plan.post_s} seconds after an event", "5 to 3600")
    if not plan.post_s <= plan.most_s <= 86_400:
        raise Invalid(f"at most {plan.most_s} seconds on event", "no less than after one event, up to 86400")
    if (plan.mode is Mode.SCHEDULE) != bool(plan.weekly):
        raise Invalid("weekly hours belong to a schedule, and a schedule needs them")
    if len(plan.weekly) > 64:
        raise Invalid("more than 64 stretches in a week")
    for hours in plan.weekly:
        if not hours.weekdays or not set(hours.weekdays) <= set(range(1, 8)):
            raise Invalid(f"weekdays {hours.weekdays}", "1 (Monday) to 7")
        if not 0 <= hours.start_min < hours.end_min <= FULL_DAY_MIN:
            raise Invalid(f"minutes {hours.start_min} to {hours.end_min}", "0 to 1440, the end after the start")
    return plan


class Plans:
    """The recording plans, with their past."""

    def __init__(self, state: State, clock: Clock, class_of: Callable[[PointId], str | None]) -> None:
        """class_of: the point class (类别) of a point, from the registry's memory; None: it has none."""
        self._state = state
        self._clock = clock
        self._class_of = class_of

    async def add(self, plan: Plan) -> Plan:
        """Begin a plan now; its id, version and times are given here. Raises Invalid."""
        now = self._clock.micros()
        made = msgspec.structs.replace(check(plan), id=uuid7(now // 1000), version=1, since_us=now, until_us=None)
        async with self._state.begin() as tx:
            await tx.execute(sa.insert(recording_plan).values(_row(made)))
        return made

    async def change(self, plan: Plan) -> Plan:
        """Let another version of plan.id begin now; plan.version is the one that was seen.

        Raises Invalid, NotFound, and Conflict if somebody else has changed it since.
        """
        check(plan)
        now = self._clock.micros()
        async with self._state.begin() as tx:
            old = await self._current(tx, plan.id, plan.version)
            if (old.point, old.point_class) != (plan.point, plan.point_class):
                raise Invalid("a plan cannot move to another point or class", "end this one and begin another")
            made = msgspec.structs.replace(
                plan, version=plan.version + 1, since_us=max(now, old.since_us), until_us=None
            )
            await self._end(tx, old, now)
            await tx.execute(sa.insert(recording_plan).values(_row(made)))
        return made

    async def end(self, id: str, version: int) -> None:
        """The plan ends now; it stays known for the past. Raises NotFound, Conflict."""
        async with self._state.begin() as tx:
            await self._end(tx, await self._current(tx, id, version), self._clock.micros())

    async def _current(self, tx: Tx, id: str, version: int) -> Plan:
        query = sa.select(recording_plan).where(recording_plan.c.id == id, recording_plan.c.until_us.is_(None))
        row = (await tx.execute(query.with_for_update())).first()
        if row is None:
            raise self.unknown(id)
        if row.version != version:
            raise Conflict(f"the plan is at version {row.version}, not {version}", "load it again")
        return _to_plan(row)

    async def _end(self, tx: Tx, plan: Plan, now: int) -> None:
        where = (recording_plan.c.id == plan.id) & (recording_plan.c.version == plan.version)
        await tx.execute(sa.update(recording_plan).where(where).values(until_us=max(now, plan.since_us)))

    async def get(self, id: str) -> Plan:
        """The version that holds now. Raises NotFound."""
        query = sa.select(recording_plan).where(recording_plan.c.id == id, recording_plan.c.until_us.is_(None))
        async with self._state.read() as tx:
            row = (await tx.execute(query)).first()
        if row is None:
            raise self.unknown(id)
        return _to_plan(row)

    @staticmethod
    def unknown(id: str) -> NotFound:
        """What is said of a plan that there is not, and of one that somebody does not see."""
        return NotFound(f"no recording plan {id[:64]} holds now")

    async def current(self, *, limit: int = 200, after: str = "") -> list[Plan]:
        """The plans that hold now, by id. after: the last id of the page before."""
        query = (
            sa.select(recording_plan)
            .where(recording_plan.c.until_us.is_(None), recording_plan.c.id > after)
            .order_by(recording_plan.c.id)
            .limit(limit)
        )
        async with self._state.read() as tx:
            return [_to_plan(row) for row in (await tx.execute(query)).all()]

    async def of(self, points: Sequence[PointId], span: Span) -> dict[PointId, list[Plan]]:
        """For each point the plans that held at some time within the span: its own, else its class's."""
        classes = {point: self._class_of(point) for point in points}
        wanted = {name for name in classes.values() if name is not None}
        query = sa.select(recording_plan).where(
            recording_plan.c.point.in_(points) | recording_plan.c.point_class.in_(wanted),
            recording_plan.c.since_us < span.end,
            recording_plan.c.until_us.is_(None) | (recording_plan.c.until_us > span.start),
        )
        own: Mapping[str, list[Plan]] = defaultdict(list)
        of_class: Mapping[str, list[Plan]] = defaultdict(list)
        async with self._state.read() as tx:
            for row in (await tx.execute(query.order_by(recording_plan.c.since_us))).all():
                plan = _to_plan(row)
                (own[plan.point] if plan.point is not None else of_class[plan.point_class or ""]).append(plan)
        return {point: _follow(own[point], of_class[classes[point] or ""], span) for point in points}


def _follow(own: Sequence[Plan], of_class: Sequence[Plan], span: Span) -> list[Plan]:
    """A point's own plans, and its class's for as long as it had none of its own."""
    taken = join((plan.since_us, span.end if plan.until_us is None else plan.until_us) for plan in own)
    followed = list(own)
    for plan in of_class:
        at = plan.since_us
        end = span.end if plan.until_us is None else plan.until_us
        for start, stop in [*taken, (end, end)]:
            free_until = min(start, end)
            if free_until > at:
                open_ended = plan.until_us is None and free_until == end and start == end
                until = None if open_ended else free_until
                followed.append(msgspec.structs.replace(plan, since_us=at, until_us=until))
            at = max(at, stop)
    return followed


def _row(plan: Plan) -> dict[str, Any]:
    row = {name: getattr(plan, name) for name in plan.__struct_fields__}
    return row | {"weekly": msgspec.to_builtins(plan.weekly)}


def _to_plan(row: Row[Any]) -> Plan:
    return Plan(
        id=row.id,
        version=row.version,
        point=row.point,
        point_class=row.point_class,
        mode=Mode(row.mode),
        weekly=msgspec.convert(row.weekly, tuple[Hours, ...]),
        stream=row.stream,
        priority=row.priority,
        pre_s=row.pre_s,
        post_s=row.post_s,
        most_s=row.most_s,
        since_us=row.since_us,
        until_us=row.until_us,
    )
