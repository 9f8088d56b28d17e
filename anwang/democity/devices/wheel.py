"""One timer for thousands of things that are due at times of their own."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from anwang.runtime import logs

log = logs.get("democity.wheel")


class Wheel:
    """Calls back at given times of the loop's clock, all of what is due within one grain together.

    grain_s: what is due within it is done at once, so that a thousand streams cost a hundred wake-ups a second, not
    twenty-five thousand.
    """

    def __init__(self, *, grain_s: float = 0.004) -> None:
        self._grain_s = grain_s
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._handle: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0

    def now(self) -> float:
        """The clock that times are given in."""
        return asyncio.get_running_loop().time()

    def at(self, due: float, call: Callable[[float], None]) -> None:
        """Call once, with the time. There is no taking back: who no longer cares does nothing."""
        heapq.heappush(self._heap, (due, next(self._order), call))
        if self._handle is None or due < self._wakes_at:
            self._sleep()

    def _sleep(self) -> None:
        if self._handle:
            self._handle.cancel()
        self._handle = None
        if self._heap:
            self._wakes_at = self._heap[0][0]
            self._handle = asyncio.get_running_loop().call_at(self._wakes_at, self._wake)

    def _wake(self) -> None:
        self._handle = None
        now = self.now()
        until = now + self._grain_s
        due: list[Callable[[float], None]] = []
        while self._heap and self._heap[0][0] <= until:
            due.append(heapq.heappop(self._heap)[2])
        for call in due:
            try:
                call(now)
            except Exception:
                log.exception("a timer failed")
        if self._handle is None:
            self._sleep()

    def close(self) -> None:
        """Forget everything."""
        self._heap.clear()
        if self._handle:
            self._handle.cancel()
            self._handle = None
