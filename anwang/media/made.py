"""What was made of recordings for a moment's use: kept a short while, and made once however many wait for it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from anwang.runtime.clock import Clock

KEPT_SECONDS = 60.0
MOST_BYTES = 64 << 20


@dataclass(eq=False, slots=True)
class _Making:
    task: asyncio.Task[bytes]
    waiting: int = 0


class Made:
    """Bytes by what they were made from. Making ends when the last who waits for it goes."""

    def __init__(self, clock: Clock, *, most_bytes: int = MOST_BYTES, seconds: float = KEPT_SECONDS) -> None:
        self._clock = clock
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._kept: OrderedDict[Hashable, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0
        self._making: dict[Hashable, _Making] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """What is kept, or is being made, or is made now. Raises as `make`."""
        self._forget()
        if (kept := self._kept.get(key)) is not None:
            return kept[0]
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = _Making(asyncio.create_task(self._make(key, make)))
        making.waiting += 1
        try:
            return await asyncio.shield(making.task)
        finally:
            making.waiting -= 1
            if not making.waiting:
                making.task.cancel()
                if self._making.get(key) is making:
                    del self._making[key]

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        data = await make()
        if len(data) <= self._most_bytes and key not in self._kept:
            self._kept[key] = data, self._clock.monotonic() + self._seconds
            self._bytes += len(data)
        return data

    def _forget(self) -> None:
        """What is too old, and the oldest of too much."""
        now = self._clock.monotonic()
        while self._kept:
            key, (data, until) = next(iter(self._kept.items()))
            if until > now and self._bytes <= self._most_bytes:
                break
            del self._kept[key]
            self._bytes -= len(data)
