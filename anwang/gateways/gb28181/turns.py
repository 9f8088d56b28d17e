"""Names that wait for their turn: each once, few at a time, held back while the house is busy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from anwang.kernel.errors import AnwangError
from anwang.runtime import logs

log = logs.get(__name__)


class Turns:
    """Does `work` for each name that is wanted, `together` at once, at most `most` waiting."""

    def __init__(
        self, work: Callable[[str], Awaitable[None]], *, what: str, together: int, most: int, calm: asyncio.Event
    ) -> None:
        """what: the work's name in the log. calm: nobody's turn comes while it is clear."""
        self._work = work
        self._what = what
        self._together = together
        self._calm = calm
        self._queue: asyncio.Queue[str] = asyncio.Queue(most)
        self._waiting: set[str] = set()
        self.refused = 0
        """Names that found the queue full."""

    def __len__(self) -> int:
        return len(self._waiting)

    def want(self, name: str) -> bool:
        """Do it soon; wanting twice is once. False where too many wait."""
        if name in self._waiting:
            return True
        try:
            self._queue.put_nowait(name)
        except asyncio.QueueFull:
            self.refused += 1
            return False
        self._waiting.add(name)
        return True

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._together):
                group.create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            name = await self._queue.get()
            await self._calm.wait()
            self._waiting.discard(name)
            try:
                await self._work(name)
            except AnwangError as err:
                log.info("a device could not be served", what=self._what, name=name, reason=err.reason)
            except Exception:
                log.exception("serving a device failed by our own fault", what=self._what, name=name)
