"""Answers that come in several messages put together again: Catalog and RecordInfo (GB/T 28181-2016 annex N, -2022
annex M).

`SumNum` says how many items there are over all messages, and is often wrong: too high because items come twice, or only
what stands in the one message. So an answer is complete when as many different items came as it says; else it ends when
it has been quiet, and is partial: what is missing then must not be taken for deleted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from anwang.kernel.errors import Exhausted
from anwang.wire.gb28181.messages import CatalogItem, RecordItem
from anwang.wire.sip.timers import Timers

T = TypeVar("T")

MAX_ITEMS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Assembled(Generic[T]):
    """An answer at its end. items: each once, the last of its kind, in the order they came first.

    total: what the device said last, None where nothing came. is_complete: as many came as it said. packets: messages.
    """

    device_id: str
    sn: int
    items: tuple[T, ...]
    total: int | None
    is_complete: bool
    packets: int


@dataclass(slots=True)
class _Open(Generic[T]):
    items: dict[Hashable, T]
    total: int | None = None
    packets: int = 0
    #: every message so far has said its own count: then it says nothing about the whole
    says_own_count: bool = True


class Assembly(Generic[T]):
    """Collects answers by (device, sn). Tell it what is expected before the query goes out, for answers overtake.

    identity: what makes two items the same one. first_s: patience for the first message. quiet_s: silence after which
    an answer is over. settle_s: how long a single message that seems complete is doubted, for devices whose SumNum
    counts only that message; 0 where nothing depends on it.
    """

    def __init__(
        self,
        identity: Callable[[T], Hashable],
        *,
        first_s: float = 120.0,
        quiet_s: float = 8.0,
        settle_s: float = 2.0,
        max_open: int = 4096,
        max_items: int = MAX_ITEMS,
    ) -> None:
        self._identity = identity
        self._first_s, self._quiet_s, self._settle_s = first_s, quiet_s, settle_s
        self._max_open, self._max_items = max_open, max_items
        self._open: dict[tuple[str, int], _Open[T]] = {}
        self._timers: Timers[tuple[str, int]] = Timers()
        self._events: deque[Assembled[T]] = deque()
        #: messages nobody waited for; items beyond max_items
        self.strays = 0
        self.cut = 0

    def __len__(self) -> int:
        return len(self._open)

    def expect(self, device_id: str, sn: int, now: float) -> None:
        """A query goes out. One that is open under the same name begins anew. Raises Exhausted."""
        key = (device_id, sn)
        if key not in self._open and len(self._open) >= self._max_open:
            raise Exhausted(f"{self._max_open} answers are being put together")
        self._open[key] = _Open({})
        self._timers.set(key, now + self._first_s)

    def drop(self, device_id: str, sn: int) -> None:
        """Nobody waits any more; no event follows."""
        self._open.pop((device_id, sn), None)
        self._timers.drop((device_id, sn))

    def add(self, device_id: str, sn: int, total: int, items: Sequence[T], now: float) -> bool:
        """A message of an answer. False where nobody waits for it."""
        key = (device_id, sn)
        found = self._open.get(key)
        if found is None:
            self.strays += 1
            return False
        found.packets += 1
        found.total = total
        found.says_own_count = found.says_own_count and total == len(items)
        for item in items:
            name = self._identity(item)
            if name in found.items or len(found.items) < self._max_items:
                found.items[name] = item
            else:
                self.cut += 1
        if total == 0:
            self._finish(key, is_complete=not found.items)
        elif len(found.items) != total:
            self._timers.set(key, now + self._quiet_s)
        elif found.says_own_count and self._settle_s > 0:
            self._timers.set(key, now + self._settle_s)
        else:
            self._finish(key, is_complete=True)
        return True

    def is_settling(self, device_id: str, sn: int) -> bool:
        """Whether that answer seems to be complete and is only doubted."""
        found = self._open.get((device_id, sn))
        return found is not None and found.says_own_count and len(found.items) == found.total

    def tick(self, now: float) -> None:
        """End what has been quiet for too long."""
        for key in self._timers.due(now):
            found = self._open[key]
            self._finish(key, is_complete=found.total is not None and len(found.items) == found.total)

    def timer(self) -> float | None:
        """When to call `tick` next."""
        return self._timers.next()

    def events(self) -> Iterator[Assembled[T]]:
        """What has ended, each given once."""
        while self._events:
            yield self._events.popleft()

    def _finish(self, key: tuple[str, int], *, is_complete: bool) -> None:
        found = self._open.pop(key)
        self._timers.drop(key)
        self._events.append(
            Assembled(key[0], key[1], tuple(found.items.values()), found.total, is_complete, found.packets)
        )


def item_identity(item: CatalogItem) -> Hashable:
    """A catalog lists each id once."""
    return item.device_id


def record_identity(item: RecordItem) -> Hashable:
    """Recorders repeat files under one path and give different files none."""
    return item.device_id, item.start, item.end, item.file_path


def pages(items: Sequence[T], size: int) -> Iterator[tuple[T, ...]]:
    """The items of each message of an answer, at most `size` of them; one empty page where there is nothing.

    Send the next page only after the SIP answer to the one before.
    """
    if not items:
        yield ()
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])
