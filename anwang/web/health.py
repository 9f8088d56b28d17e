"""Health: a tree of causes, one branch per part. A branch that does not answer in time is down.

A check that hangs is never asked a second time beside itself: however long a store is stuck and however many ask, it
holds one task (and one thread) per check, and those who ask are answered at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from anwang.kernel.errors import Invalid
from anwang.runtime import logs
from anwang.runtime.clock import Clock

log = logs.get(__name__)

CHECK_SECONDS = 3.0
FRESH_SECONDS = 1.0


class Status(StrEnum):
    """How a part is."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


_WORSE = [Status.OK, Status.DEGRADED, Status.DOWN]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A part and how it is. detail: one sentence, empty when all is well. causes: its own parts."""

    name: str
    status: Status
    detail: str = ""
    causes: Sequence[Cause] = field(default=())


Check = Callable[[], Awaitable[Cause]]


class Probe:
    """One check, asked at most once at a time and at most every `fresh_s` seconds.

    wait_s: longest wait for an answer; after that the part is down until the check that runs has ended.
    """

    def __init__(
        self, name: str, check: Check, *, clock: Clock, wait_s: float = CHECK_SECONDS, fresh_s: float = 0.0
    ) -> None:
        self.name = name
        self._check = check
        self._clock = clock
        self._wait_s = wait_s
        self._fresh_s = fresh_s
        self._running: asyncio.Task[Cause] | None = None
        self._since = 0.0
        self._last: tuple[float, Cause] | None = None

    async def cause(self) -> Cause:
        """The newest answer: the last one while it is fresh, down where there is none in time."""
        now = self._clock.monotonic()
        if self._last is not None and now < self._last[0] + self._fresh_s:
            return self._last[1]
        if self._running is None:
            self._running, self._since = asyncio.create_task(self._ask()), now
        left = self._since + self._wait_s - now
        done, _ = await asyncio.wait({self._running}, timeout=max(left, 0.0))
        if not done:
            return Cause(name=self.name, status=Status.DOWN, detail=f"no answer within {self._wait_s:g} s")
        return next(iter(done)).result()

    async def _ask(self) -> Cause:
        try:
            found = await self._check()
        except Exception as err:  # a check that fails says so in the tree
            log.warning("a health check failed", check=self.name, error=str(err))
            found = Cause(name=self.name, status=Status.DOWN, detail=str(err)[:300] or type(err).__name__)
        self._last, self._running = (self._clock.monotonic(), found), None
        return found


def worst(causes: Sequence[Cause]) -> Status:
    """The worst status of all; ok where there are none."""
    return max((cause.status for cause in causes), key=_WORSE.index, default=Status.OK)


class Health:
    """The registry of checks. Answers are shared for a second, however many ask."""

    def __init__(self, *, clock: Clock, check_seconds: float = CHECK_SECONDS) -> None:
        self._clock = clock
        self._check_seconds = check_seconds
        self._checks: dict[str, tuple[Probe, bool]] = {}
        self._asked: asyncio.Task[Cause] | None = None
        self._fresh_until = 0.0

    def register(self, name: str, check: Check, *, vital: bool = True) -> None:
        """Add a branch. vital: without it the whole is down, else only degraded. Raises Invalid for a name twice."""
        if name in self._checks:
            raise Invalid(f"two health checks are called {name!r}")
        self._checks[name] = (Probe(name, check, clock=self._clock, wait_s=self._check_seconds), vital)

    async def tree(self) -> Cause:
        """Ask every branch, or give the answer of less than a second ago."""
        now = self._clock.monotonic()
        if self._asked is None or (self._asked.done() and now >= self._fresh_until):
            self._asked = asyncio.create_task(self._ask())
            self._fresh_until = now + FRESH_SECONDS
        return await asyncio.shield(self._asked)

    async def _ask(self) -> Cause:
        names = list(self._checks)
        causes = await asyncio.gather(*(probe.cause() for probe, _ in self._checks.values()))
        felt = [
            Cause(name=cause.name, status=min(cause.status, self._cap(name), key=_WORSE.index))
            for name, cause in zip(names, causes, strict=True)
        ]
        status = worst(felt)
        bad = [cause.name for cause in causes if cause.status is not Status.OK]
        return Cause(name="anwang", status=status, detail=f"look at {', '.join(bad)}" if bad else "", causes=causes)

    def _cap(self, name: str) -> Status:
        return Status.DOWN if self._checks[name][1] else Status.DEGRADED
