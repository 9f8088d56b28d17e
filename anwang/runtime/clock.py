"""The clock that services are given; tests move theirs."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from anwang.kernel.times import to_micros


class Clock(Protocol):
    """Wall clock, interval clock and waiting."""

    def now(self) -> datetime:
        """The moment, aware, in UTC."""

    def micros(self) -> int:
        """The moment in microseconds since 1970 UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""

    async def sleep(self, seconds: float) -> None:
        """Wait that long on the interval clock."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """See Clock."""
        return datetime.now(UTC)

    def micros(self) -> int:
        """See Clock."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """See Clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(seconds)


class FakeClock:
    """A clock that stands still until a test advances it."""

    def __init__(self, start: datetime = datetime(2026, 11, 22, tzinfo=UTC)) -> None:
        self._now = start
        self._mono = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        """See Clock."""
        return self._now

    def micros(self) -> int:
        """See Clock."""
        return to_micros(self._now)

    def monotonic(self) -> float:
        """See Clock."""
        return self._mono

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has advanced this far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._mono + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move both clocks, waking sleepers in order and letting each run until it waits again."""
        target = self._mono + seconds
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, woken = heapq.heappop(self._sleepers)
            self._now += timedelta(seconds=due - self._mono)
            self._mono = due
            if not woken.done():
                woken.set_result(None)
            await self._settle()
        self._now += timedelta(seconds=target - self._mono)
        self._mono = target
        await self._settle()

    async def _settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
