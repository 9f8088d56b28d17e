"""Accounts and video systems carry copies of their organisation's name and path; they follow when the registry changes
those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from anwang.kernel.errors import AnwangError
from anwang.registry import Fact, ImportMoved
from anwang.runtime import logs
from anwang.runtime.clock import Clock

log = logs.get(__name__)

RETRY_SECONDS = 60.0


class AccountsFollow:
    """Hears what the registry announces; a task lets the copies follow, once at the start too. follow: renew some."""

    def __init__(self, follow: Sequence[Callable[[], Awaitable[None]]], clock: Clock) -> None:
        self._follow = follow
        self._clock = clock
        self._due = asyncio.Event()
        self._due.set()

    def registry_fact(self, fact: Fact) -> None:
        """Organisations change by import only."""
        if isinstance(fact, ImportMoved) and (fact.kind, fact.status) == ("organisations", "published"):
            self._due.set()

    async def run(self) -> None:
        """For ever. What could not be written is tried again."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                for renew in self._follow:
                    await renew()
            except AnwangError as err:
                log.error("copies could not follow their organisations, next try in a minute", reason=err.reason)
                await self._clock.sleep(RETRY_SECONDS)
                self._due.set()
