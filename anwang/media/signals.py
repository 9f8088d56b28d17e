"""Signals (信号) at points: each is a mark on the time axis, and a reason to record for plans on event.

Whoever hears of something at a point calls `Signals.heard`: gateways through `app` today, alarms later. It never waits.

Storms are bounded: reports of one kind at one point within a minute are one mark with their number. Marks are written
once a second; past MOST_WAITING of them new ones are not kept but counted, and still let the recorder begin.

A mark stands at the moment of its receipt, by the clock that recordings go by; what the device's clock claimed is kept
beside it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Integer, Row, Table, Text

from anwang.access import Signal, SignalKind
from anwang.kernel.ids import PointId, uuid7
from anwang.kernel.times import Span
from anwang.media.timeline import MOST_EVENTS, Event
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.stores.state import State, media_metadata, upsert

log = logs.get(__name__)

mark = Table(
    "mark",
    media_metadata,
    Column("id", Text, primary_key=True),
    Column("point", Text, nullable=False),  # PointId
    Column("kind", Text, nullable=False),  # access.SignalKind
    Column("at_us", BigInteger, nullable=False),  # receipt of the first report, µs since 1970 UTC
    Column("last_us", BigInteger, nullable=False),  # receipt of the last one; at_us where there was one
    Column("device_us", BigInteger, nullable=False),  # of the first, by the device's clock
    Column("reports", Integer, nullable=False),  # 1 or more
    Column("text", Text, nullable=False),  # the device's words of the first; may be empty
)
sa.Index("ix_mark_point", mark.c.point, mark.c.at_us)
sa.Index("ix_mark_at", mark.c.at_us)

ONE_MARK_US = 60_000_000
MOST_WAITING = 20_000
MOST_ROWS = 500
TEXT_LETTERS = 200
WRITE_SECONDS = 1.0
RETRY_SECONDS = 10.0


@dataclass(slots=True)
class _Mark:
    id: str
    signal: Signal
    last_us: int
    count: int = 1


class Signals:
    """What was heard at points."""

    def __init__(self, state: State, clock: Clock, *, wake: Callable[[PointId], None]) -> None:
        """wake: told at once of every signal's point (the recorder)."""
        self._state = state
        self._clock = clock
        self._wake = wake
        self._open: OrderedDict[tuple[PointId, SignalKind], _Mark] = OrderedDict()
        self._due: dict[str, _Mark] = {}
        self.heard_of: Counter[str] = Counter(dict.fromkeys(SignalKind, 0))
        """Signals since the start, by kind."""
        self.merged = 0
        """Of these, those that became part of a mark that was there."""
        self.unmarked = 0
        """Of these, those that left no mark: too many waited to be written."""
        self.failures = 0
        """Writes that the database did not take and that were tried again."""

    @property
    def waiting(self) -> int:
        """Marks to be written."""
        return len(self._due)

    def heard(self, signal: Signal) -> None:
        """Something was reported at a point."""
        self.heard_of[signal.kind] += 1
        self._wake(signal.point)
        key = (signal.point, signal.kind)
        known = self._open.get(key)
        if known is not None and 0 <= signal.received_us - known.signal.received_us < ONE_MARK_US:
            known.count += 1
            known.last_us = max(known.last_us, signal.received_us)
            self.merged += 1
        elif len(self._due) >= MOST_WAITING:
            self.unmarked += 1
            return
        else:
            known = self._open[key] = _Mark(uuid7(signal.received_us // 1000), signal, signal.received_us)
            self._open.move_to_end(key)
            if len(self._open) > MOST_WAITING:
                self._open.popitem(last=False)
        self._due[known.id] = known

    async def run(self) -> None:
        """Write marks until cancelled."""
        while True:
            await self._clock.sleep(WRITE_SECONDS)
            try:
                await self.flush()
            except Exception as err:  # a full disk, a database that restarts: marks wait, within their bound
                self.failures += 1
                log.error("marks could not be written, trying again", waiting=len(self._due), error=str(err)[:300])
                await self._clock.sleep(RETRY_SECONDS)

    async def flush(self) -> None:
        """Write what waits. Raises Unavailable when the database does not take it; nothing is lost then."""
        due, self._due = self._due, {}
        while due:
            some = [due[id] for id in list(due)[:MOST_ROWS]]
            try:
                async with self._state.begin() as tx:
                    rows = [_row(one) for one in some]
                    await upsert(tx, mark, rows, key_columns=["id"], update_columns=["last_us", "reports"])
            except BaseException:
                self._due = due | self._due
                raise
            for one in some:
                del due[one.id]

    async def of(self, points: Sequence[PointId], span: Span) -> Mapping[PointId, Sequence[Event]]:
        """The newest MOST_EVENTS marks of each point that lie in the span, oldest first."""
        found = {}
        async with self._state.read() as tx:
            for point in points:
                query = (
                    sa.select(mark)
                    .where(mark.c.point == point, mark.c.at_us < span.end, mark.c.at_us >= span.start - ONE_MARK_US)
                    .where(mark.c.last_us >= span.start)
                    .order_by(mark.c.at_us.desc())
                    .limit(MOST_EVENTS)
                )
                found[point] = [_event(row) for row in (await tx.execute(query)).all()][::-1]
        return found

    async def forget(self, before_us: int, *, limit: int = 5000) -> int:
        """Delete marks from before a moment, at most `limit`. Returns how many."""
        old = sa.select(mark.c.id).where(mark.c.at_us < before_us).order_by(mark.c.at_us).limit(limit)
        async with self._state.begin() as tx:
            return (await tx.execute(sa.delete(mark).where(mark.c.id.in_(old)))).rowcount


def _row(one: _Mark) -> dict[str, object]:
    return {
        "id": one.id,
        "point": one.signal.point,
        "kind": one.signal.kind,
        "at_us": one.signal.received_us,
        "last_us": one.last_us,
        "device_us": one.signal.at_us,
        "reports": one.count,
        "text": one.signal.text[:TEXT_LETTERS],
    }


def _event(row: Row[Any]) -> Event:
    return Event(
        at_us=row.at_us,
        end_us=row.last_us if row.reports > 1 else None,
        kind=row.kind,
        id=row.id,
        text=row.text,
        count=row.reports,
    )
