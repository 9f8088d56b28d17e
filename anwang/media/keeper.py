"""Retention of recordings: what may be deleted, and deleting it so that a crash leaves nothing half gone.

The order, and what a crash leaves after each step: 1. in one transaction the rows of segments go, their keys enter the
garbage table and gaps with cause `deleted` are written (after: objects that nobody can reach, remembered as garbage);
2. the objects are deleted; 3. their keys leave the garbage table (a crash before leaves keys of objects that are gone
already, which deletes nothing a second time). `sweep` at start and now and then finishes what was begun. So no row
ever points to nothing, and no object is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from anwang.governance import Deleted, Expirable, Rules
from anwang.kernel.errors import Unavailable
from anwang.kernel.ids import PointId, SegmentId
from anwang.kernel.times import Span, to_micros
from anwang.media.index import MOST_ROWS, SegmentIndex
from anwang.runtime import logs
from anwang.runtime.clock import Clock

log = logs.get(__name__)

MOST_FAILED = 3


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
    ) -> None:
        """class_of: the class 1, 2 or 3 of a point; of one that the registry has forgotten, the class to go by."""
        self.name = "recordings"
        self._index = index
        self._objects = objects
        self._clock = clock
        self._rules = rules
        self._class_of = class_of

    async def expired(self, now: datetime, limit: int, after: Expirable | None) -> Sequence[Expirable]:
        """See Keeper: segments that ended before their class's limit, oldest first."""
        classes = {point: self._class_of(point) for point in await self._index.points()}
        place = None if after is None else (after.span.start, SegmentId(after.id))
        limits = {number: to_micros(self._rules.expires_before(number, now)) for number in set(classes.values())}
        cutoffs = {point: limits[number] for point, number in classes.items()}
        return [
            Expirable(
                id=one.id,
                point=one.point,
                point_class=classes[one.point],
                span=Span(one.start_us, one.end_us),
                bytes=one.size_bytes,
            )
            for one in await self._index.older_than(cutoffs, limit=limit, after=place)
        ]

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
