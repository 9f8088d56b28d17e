"""The last seconds of a stream, for recordings that begin before they were asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from anwang.wire.fmp4 import Fragment

MOST_BYTES = 32 << 20
"""Of one stream; what is older goes, whatever was asked for."""


class Before:
    """Whole groups of pictures, the oldest of which began no later than so many seconds ago, if it is there at all.

    The bytes are those that viewers get, nothing is copied.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._groups: deque[list[tuple[Fragment, int]]] = deque()
        self._bytes = 0

    def push(self, fragment: Fragment, now_us: int) -> None:
        """One fragment, received now; what comes before the first key frame is of no use."""
        if fragment.is_key:
            self._groups.append([])
        elif not self._groups:
            return
        self._groups[-1].append((fragment, now_us))
        self._bytes += len(fragment.data)
        since_us = now_us - round(self.seconds * 1e6)
        while len(self._groups) > 1 and (self._groups[1][0][1] <= since_us or self._bytes > MOST_BYTES):
            self._bytes -= sum(len(old.data) for old, _ in self._groups.popleft())
        if self._bytes > MOST_BYTES:  # one group alone: it can't be kept, and without its start it is worth nothing
            self.clear()

    def clear(self) -> None:
        """Begin anew with the next key frame."""
        self._groups.clear()
        self._bytes = 0

    def taken(self) -> Iterator[tuple[Fragment, int]]:
        """All that is kept with its times of receipt, oldest first; it is kept no more."""
        groups, self._groups, self._bytes = self._groups, deque(), 0
        for group in groups:
            yield from group
