"""Facts that must arrive: written in the transaction that made them true, relayed at least once after it.

A relay claims rows by a lease, hands each to its receiver and marks it delivered. If the process dies in between, the
lease runs out and the row is delivered again: receivers are idempotent. Rows go out in order of writing; one whose
receiver fails waits (1 s, doubled up to 5 min) while later ones overtake it.

For hits, signals, alarms and incidents: the slices that announce them come next, none puts anything here yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, or_, select, update

from anwang.stores.state.engine import State, Tx
from anwang.stores.state.schema import outbox

LEASE = timedelta(seconds=60)
BATCH = 64
LONGEST_PAUSE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """One row on its way. id: unique for ever, for receivers that remember what they have seen."""

    id: int
    topic: str
    payload: bytes
    created_at: datetime
    attempts: int


class Outbox:
    """Where a use case puts what must arrive. now: the program's clock."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self.written = asyncio.Event()

    async def put(self, tx: Tx, topic: str, payload: bytes) -> None:
        """Add a fact to the transaction; it leaves after the commit, or never."""
        await tx.execute(insert(outbox).values(topic=topic, payload=payload, created_at=self._now()))
        self.written.set()


class Relay:
    """Delivers the outbox. deliver: the receiver; what it raises counts as not delivered.

    deliver_s: the longest one delivery may take. keep: how long delivered rows stay for a look back.
    """

    def __init__(
        self,
        *,
        state: State,
        outbox: Outbox,
        deliver: Callable[[Posted], Awaitable[None]],
        now: Callable[[], datetime],
        deliver_s: float = 10.0,
        keep: timedelta = timedelta(days=2),
    ) -> None:
        self._state = state
        self._outbox = outbox
        self._deliver = deliver
        self._now = now
        self._deliver_s = deliver_s
        self._keep = keep
        self.delivered = 0
        self.failed = 0

    async def run(self, *, pause_s: float = 1.0) -> None:
        """Relay for ever: at once when this process wrote a fact, every pause_s for what others wrote."""
        if self._state.is_sqlite:
            await self.take_over()
        while True:
            self._outbox.written.clear()
            while await self.drain():
                pass
            try:
                async with asyncio.timeout(pause_s):
                    await self._outbox.written.wait()
            except TimeoutError:
                await self.forget()

    async def take_over(self) -> None:
        """Drop the leases of a process that died: only where no other process relays (SQLite)."""
        async with self._state.begin() as tx:
            await tx.execute(
                update(outbox).where(outbox.c.delivered_at.is_(None), outbox.c.attempts == 0).values(not_before=None)
            )

    async def drain(self) -> int:
        """Deliver one batch of what is due; how many rows were tried."""
        claimed = await self._claim()
        if not claimed:
            return 0
        deadline = self._now() + LEASE / 2
        done: list[int] = []
        tried = 0
        try:
            for posted in claimed:
                if self._now() >= deadline:
                    break
                tried += 1
                try:
                    async with asyncio.timeout(self._deliver_s):
                        await self._deliver(posted)
                except Exception as err:  # a receiver's fault must not stop the others' facts
                    await self._put_off(posted, err)
                else:
                    done.append(posted.id)
        finally:
            await self._mark(done, [posted.id for posted in claimed[tried:]])
        return tried

    async def _claim(self) -> list[Posted]:
        now = self._now()
        due = or_(outbox.c.not_before.is_(None), outbox.c.not_before <= now)
        async with self._state.begin() as tx:
            rows = (
                await tx.execute(
                    select(outbox.c.id, outbox.c.topic, outbox.c.payload, outbox.c.created_at, outbox.c.attempts)
                    .where(outbox.c.delivered_at.is_(None), due)
                    .order_by(outbox.c.id)
                    .limit(BATCH)
                    .with_for_update(skip_locked=True)
                )
            ).all()
            if rows:
                ids = [row.id for row in rows]
                await tx.execute(update(outbox).where(outbox.c.id.in_(ids)).values(not_before=now + LEASE))
        return [
            Posted(id=row.id, topic=row.topic, payload=row.payload, created_at=row.created_at, attempts=row.attempts)
            for row in rows
        ]

    async def _put_off(self, posted: Posted, err: Exception) -> None:
        self.failed += 1
        pause = min(timedelta(seconds=2 ** min(posted.attempts, 16)), LONGEST_PAUSE)
        async with self._state.begin() as tx:
            await tx.execute(
                update(outbox)
                .where(outbox.c.id == posted.id)
                .values(
                    attempts=outbox.c.attempts + 1,
                    not_before=self._now() + pause,
                    last_error=f"{type(err).__name__}: {err}"[:500],
                )
            )

    async def _mark(self, done: list[int], untried: list[int]) -> None:
        if not done and not untried:
            return
        async with self._state.begin() as tx:
            if done:
                await tx.execute(update(outbox).where(outbox.c.id.in_(done)).values(delivered_at=self._now()))
            if untried:
                await tx.execute(update(outbox).where(outbox.c.id.in_(untried)).values(not_before=None))
        self.delivered += len(done)

    async def forget(self) -> int:
        """Delete rows delivered longer than `keep` ago; how many."""
        async with self._state.read() as tx:
            old = outbox.c.delivered_at < self._now() - self._keep
            if not await tx.scalar(
                select(func.count()).select_from(select(outbox.c.id).where(old).limit(1).subquery())
            ):
                return 0
        async with self._state.begin() as tx:
            return (await tx.execute(delete(outbox).where(old))).rowcount

    async def waiting(self) -> int:
        """Facts not yet delivered."""
        async with self._state.read() as tx:
            count = await tx.scalar(select(func.count()).where(outbox.c.delivered_at.is_(None)))
        return int(count or 0)
