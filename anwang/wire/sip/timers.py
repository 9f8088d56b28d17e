"""When to wake up, for many things at once: a heap with lazy deletion."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Timers(Generic[Key]):
    """One moment per key, in seconds on the caller's clock; setting a key again moves it."""

    def __init__(self) -> None:
        self._when: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._made = 0

    def __len__(self) -> int:
        return len(self._when)

    def set(self, key: Key, when: float) -> None:
        """Wake for that key then."""
        self._when[key] = when
        self._made += 1
        heapq.heappush(self._heap, (when, self._made, key))
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._when):
            self._rebuild()

    def drop(self, key: Key) -> None:
        """Don't wake for that key."""
        self._when.pop(key, None)

    def next(self) -> float | None:
        """The earliest moment, None where nothing is set."""
        while self._heap:
            when, _, key = self._heap[0]
            if self._when.get(key) == when:
                return when
            heapq.heappop(self._heap)
        return None

    def due(self, now: float) -> Iterator[Key]:
        """Keys whose moment has come, in order; each is taken out before it is given."""
        while (when := self.next()) is not None and when <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._when[key]
            yield key

    def _rebuild(self) -> None:
        self._heap = [(when, index, key) for index, (key, when) in enumerate(self._when.items())]
        self._made = len(self._heap)
        heapq.heapify(self._heap)
