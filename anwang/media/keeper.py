"""Retention of recordings: what may be deleted, and deleting it so that a crash leaves nothing half gone.

The order, and what a crash leaves after each step: 1. in one transaction the rows of segments go, their keys enter the
garbage table and gaps with cause `deleted` are written (after: objects that nobody can reach, remembered as garbage);
2. the objects are deleted; 3. their keys leave the garbage table (a crash before leaves keys of objects that are gone
already, which deletes nothing a second time). `sweep` at start and now and then finishes what was begun. So no row
ever points to nothing, and no object is forgotten.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from anwang.governance import Deleted, Expirable, Rules, Short
from anwang.kernel.errors import Invalid, Unavailable
from anwang.kernel.ids import PointId, SegmentId, made_ms
from anwang.kernel.times import Span, to_micros
from anwang.media.index import DAY_US, MOST_ROWS, SegmentIndex, Stored
from anwang.media.model import GapCause
from anwang.media.plans import Plans, planned
from anwang.media.timeline import NOTICE_US, Missing, explain
from anwang.runtime import logs
from anwang.runtime.clock import Clock

log = logs.get(__name__)

MOST_FAILED = 3
YIELD_POINTS = 5000


class Deletes(Protocol):
    """What is needed of the object store."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete those that exist. Raises Unavailable."""


class RecordingKeeper:
    """governance.Keeper for recordings. What is held, the retention engine leaves out."""

    def __init__(
        self,
        *,
        index: SegmentIndex,
        objects: Deletes,
        clock: Clock,
        rules: Rules,
        class_of: Callable[[PointId], int],
        plans: Plans,
    ) -> None:
        """class_of: the class 1, 2 or 3 of a point; of one that the registry has forgotten, the class to go by."""
        self.name = "recordings"
        self._index = index
        self._objects = objects
        self._clock = clock
        self._rules = rules
        self._class_of = class_of
        self._plans = plans
        self._cutoffs: tuple[datetime, dict[PointId, int]] | None = None

    async def expired(self, now: datetime, limit: int, after: Expirable | None) -> Sequence[Expirable]:
        """See Keeper: segments that ended before their class's limit, oldest first."""
        place = None if after is None else (after.span.start, SegmentId(after.id))
        found = await self._index.older_than(await self._cutoffs_at(now, after), limit=limit, after=place)
        return [_expirable(one, self._class_of(one.point)) for one in found]

    async def _cutoffs_at(self, now: datetime, after: Expirable | None) -> dict[PointId, int]:
        """The limit of each point. A run asks for one moment again and again: its first batch reckons them."""
        if after is None or self._cutoffs is None or self._cutoffs[0] != now:
            cutoffs: dict[PointId, int] = {}
            for number, point in enumerate(await self._index.points(), 1):
                cutoffs[point] = to_micros(self._rules.expires_before(self._class_of(point), now, point))
                if number % YIELD_POINTS == 0:
                    await asyncio.sleep(0)  # a city has half a million
            self._cutoffs = now, cutoffs
        return self._cutoffs[1]

    async def within(self, point: PointId, span: Span, limit: int, after: Expirable | None) -> Sequence[Expirable]:
        """See Keeper: of every stream of the point."""
        place = None if after is None else (after.span.start, SegmentId(after.id))
        number = self._class_of(point)
        return [_expirable(one, number) for one in await self._index.reaching(point, span, limit=limit, after=place)]

    async def short(self, now: datetime, limit: int, after: PointId | None) -> tuple[Sequence[Short], PointId | None]:
        """See Keeper: points whose plan wanted recordings for longer than a day before their oldest."""
        points = await self._index.planned_points(limit=limit, after=after)
        if not points:
            return [], None
        until = to_micros(now)
        begins = {point: self._wanted_since(point, now) for point in points}
        span = Span(min(begins.values()), until)
        plans = await self._plans.of(points, span)
        oldest = await self._index.first_start(points)
        found: list[Short] = []
        for point in points:
            wanted = planned(plans[point], Span(min(begins[point], until), until))
            since = oldest.get(point, until)
            if wanted and since - wanted[0].start > DAY_US:
                missing = Span(wanted[0].start, since)
                gaps = (await self._index.gaps([point], missing))[point]
                found.append(
                    Short(
                        point=point,
                        point_class=self._class_of(point),
                        since_us=since,
                        wanted_us=missing.start,
                        why=_most(explain([missing], wanted, gaps, notice_us=NOTICE_US)),
                    )
                )
        return found, points[-1] if len(points) == limit else None

    def _wanted_since(self, point: PointId, now: datetime) -> int:
        """No content of before is owed: the minimum of its class, and no longer than the registry knows the point."""
        least = to_micros(now - self._rules.rule(self._class_of(point), point).minimum)
        try:
            return max(least, made_ms(point) * 1000)
        except Invalid:  # not of ours: it does not say since when it is known
            return least

    async def delete(self, items: Sequence[Expirable]) -> Deleted:
        """See Keeper; in the module's order. Objects that cannot be deleted now are deleted by `sweep`."""
        ids = [SegmentId(item.id) for item in items]
        keys = await self._index.remove(ids, at_us=self._clock.micros())
        await self._empty(keys)
        return Deleted(count=len(items), bytes=sum(item.bytes for item in items), ids=[item.id for item in items])

    async def sweep(self, *, most: int = 20_000) -> int:
        """Finish deletions that were begun before, `most` objects at once. Returns how many of those are still left.

        Ends early where the store is away: the next sweep goes on.
        """
        left = done = 0
        while done < most and (keys := (await self._index.trash(limit=MOST_ROWS + left))[left:]):
            resisted = await self._empty(keys)
            left += resisted
            done += len(keys)
            if resisted == len(keys) >= MOST_FAILED:
                break
        return left

    async def _empty(self, keys: Sequence[str]) -> int:
        """Delete objects and forget their keys; one that resists keeps no others. Returns how many are left."""
        try:
            await self._objects.delete(keys)
        except Unavailable:
            return await self._empty_one_by_one(keys)
        await self._index.forget_trash(keys)
        return 0

    async def _empty_one_by_one(self, keys: Sequence[str]) -> int:
        gone: list[str] = []
        failed = 0
        for key in keys:
            try:
                await self._objects.delete([key])
                gone.append(key)
            except Unavailable as err:
                failed += 1
                log.warning("the object of a deleted recording is still there", object=key, reason=err.reason)
                if failed == MOST_FAILED:  # the store is away, not an object
                    break
        await self._index.forget_trash(gone)
        return len(keys) - len(gone)


def _expirable(one: Stored, point_class: int) -> Expirable:
    return Expirable(
        id=one.id,
        point=one.point,
        point_class=point_class,
        span=Span(one.start_us, one.end_us),
        bytes=one.size_bytes,
        sha256=one.sha256,
    )


def _most(missing: Sequence[Missing]) -> str:
    """The cause of the most of it."""
    micros: Counter[str] = Counter()
    for one in missing:
        if one.cause is not GapCause.NOT_PLANNED:
            micros[one.cause.value] += one.end_us - one.start_us
    return micros.most_common(1)[0][0] if micros else GapCause.UNKNOWN.value
