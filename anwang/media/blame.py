"""Which streams were being handled when a media process died: twice, and a stream gets a process of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

#: deaths longer ago than this are forgiven
FORGIVEN_SECONDS = 3600.0
DEATHS = 2
#: a stream that ends its own process again and again is remembered; streams beyond this are the longest unblamed
MOST_BLAMED = 4096


class Blame:
    """Deaths by stream. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._deaths: dict[str, deque[float]] = {}

    def put(self, streams: Iterable[str], now: float) -> None:
        """Each of them may have ended a process."""
        for stream in streams:
            deaths = self._deaths.pop(stream, deque(maxlen=DEATHS))
            deaths.append(now)
            self._deaths[stream] = deaths
        while len(self._deaths) > MOST_BLAMED:
            del self._deaths[next(iter(self._deaths))]

    def is_apart(self, stream: str, now: float) -> bool:
        """Whether it is to be carried by a process of its own."""
        deaths = self._deaths.get(stream)
        if deaths is None:
            return False
        while deaths and deaths[0] < now - FORGIVEN_SECONDS:
            deaths.popleft()
        if not deaths:
            del self._deaths[stream]
        return len(deaths) >= DEATHS
