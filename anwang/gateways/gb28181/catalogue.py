"""Catalogue synchronisation: answers in many messages put together, one sync a device at a time, storms spread.

A partial answer only adds; what is missing is missed only after a complete one (the registry waits for two).

Few devices are asked at once, because a recorder's answer is long. An answer that seems complete after one message is
doubted for a moment (`wire.gb28181.Assembly`); that doubt is longer than the answer took, so it holds nobody else up: a
device gives its turn away as soon as nothing more is expected of it. What has ended is taken by workers of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from anwang.gateways.gb28181 import translate
from anwang.gateways.gb28181.sessions import Session, Sessions
from anwang.gateways.gb28181.turns import Turns
from anwang.kernel.errors import AnwangError
from anwang.registry import CatalogueItem
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.wire.gb28181 import Assembled, Assembly, CatalogItem, CatalogResponse

log = logs.get(__name__)

FIRST_SECONDS = 60.0
QUIET_SECONDS = 6.0
SETTLE_SECONDS = 2.0
TICK_SECONDS = 0.25
TOGETHER = 64
"""Devices that are asked, or in the middle of their answer."""
MOST_OPEN = 8192
"""Those, and the ones whose answers settle or wait to be taken."""
TAKERS = 8
MOST_WAITING = 600_000
MOST_ITEMS = 1_000_000
SPREAD = 7919
"""Seconds, a prime, between the moments of two devices that follow each other."""


class _Listed(NamedTuple):
    """An entry, the node it was listed under, and when it came: news since then are newer than it."""

    entry: CatalogItem
    root: str
    at_us: int


@dataclass(slots=True)
class _Sync:
    """One device's, from the query until its answer is taken. turn: set when nobody needs to wait for it any more."""

    sn: int
    asked_us: int = 0
    is_over: bool = False
    turn: asyncio.Event = field(default_factory=asyncio.Event)


class Rounds:
    """Whose catalogue is due again: each device once in its own interval, the whole city spread over it.

    No timer and no memory for a device: a device's moments follow from its number, and one walk over all of them after
    another looks for those whose moment fell between the last walk's begin and this one's.
    """

    def __init__(self, sessions: Sessions, interval_s: Callable[[int], float | None]) -> None:
        """interval_s: of the device with this number; None: not asked."""
        self._sessions = sessions
        self._interval_s = interval_s
        self._walk: Iterator[Session] = iter(())
        self._from_s: float | None = None
        self._until_s = 0.0

    def due(self, now_s: float, most: int) -> Iterator[str]:
        """Go on with the walk by up to `most` devices; those that are to be asked. A slice of each walk at a time."""
        for _ in range(most):
            session = next(self._walk, None)
            if session is None:
                self._from_s = now_s if self._from_s is None else self._until_s
                self._until_s = now_s
                self._walk = iter(list(self._sessions.by_code.values()))
                return
            if session.slot >= 0 and not session.is_lost and self._is_due(session.slot):
                yield session.device

    def _is_due(self, slot: int) -> bool:
        interval = self._interval_s(slot)
        if interval is None or self._from_s is None:
            return False
        offset = slot * SPREAD
        return (self._until_s + offset) // interval > (self._from_s + offset) // interval


class Catalogues:
    """Which devices are to be asked, and the answers coming in."""

    def __init__(
        self,
        *,
        clock: Clock,
        ask: Callable[[str, int], Awaitable[None]],
        take: Callable[[str, list[CatalogueItem], bool, int], Awaitable[None]],
        next_sn: Callable[[], int],
        calm: asyncio.Event,
    ) -> None:
        """ask: send a Catalog query to a device under a serial number. take: device, items, complete, asked at (µs).

        calm: nobody is asked while it is clear.
        """
        self._clock = clock
        self._ask = ask
        self._take = take
        self._next_sn = next_sn
        self._turns = Turns(self._sync, what="catalogue", together=TOGETHER, most=MOST_WAITING, calm=calm)
        self._again: set[str] = set()
        self._open: dict[str, _Sync] = {}
        self._room = asyncio.Semaphore(MOST_OPEN)
        self._over: asyncio.Queue[Assembled[_Listed]] = asyncio.Queue(MOST_OPEN)
        self._assembly: Assembly[_Listed] = Assembly(
            lambda listed: listed.entry.device_id,
            first_s=FIRST_SECONDS,
            quiet_s=QUIET_SECONDS,
            settle_s=SETTLE_SECONDS,
            max_open=MOST_OPEN,
            max_items=MOST_ITEMS,
        )
        self.partial = 0
        self.complete = 0

    def want(self, device: str) -> None:
        """Ask this device for its catalogue soon; asking twice is once. One that is just answering is asked again."""
        if device in self._open:
            self._again.add(device)
        else:
            self._turns.want(device)

    @property
    def refused(self) -> int:
        """Devices that were wanted while too many waited."""
        return self._turns.refused

    def received(self, device: str, message: CatalogResponse) -> bool:
        """A part of an answer; False when nobody asked."""
        sync = self._open.get(device)
        if sync is None or sync.sn != message.sn:
            return False
        at_us = self._clock.micros()
        listed = [_Listed(entry, message.device_id, at_us) for entry in message.items]
        is_ours = self._assembly.add(device, message.sn, message.total, listed, self._clock.monotonic())
        self._collect()
        if self._assembly.is_settling(device, message.sn):
            sync.turn.set()
        return is_ours

    async def run(self) -> None:
        """Ask those who wait, a bounded number at a time, and take what they answer; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick())
            group.create_task(self._turns.run())
            for _ in range(TAKERS):
                group.create_task(self._take_next())

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(TICK_SECONDS)
            self._assembly.tick(self._clock.monotonic())
            self._collect()

    def _collect(self) -> None:
        for answer in self._assembly.events():
            sync = self._open[answer.device_id]
            sync.is_over = True
            sync.turn.set()
            self._over.put_nowait(answer)  # has room: as many as may be open

    async def _sync(self, device: str) -> None:
        """Ask one device; over when nothing more needs to be waited for."""
        if device in self._open:
            self._again.add(device)
            return
        sync = self._open[device] = _Sync(sn=self._next_sn())
        await self._room.acquire()
        sync.asked_us = self._clock.micros()
        self._assembly.expect(device, sync.sn, self._clock.monotonic())
        try:
            await self._ask(device, sync.sn)
        except BaseException:
            self._give_up(device, sync)
            raise
        await sync.turn.wait()  # at the latest when the assembly's patience ends

    def _give_up(self, device: str, sync: _Sync) -> None:
        """Forget a query that failed; an answer that came all the same is taken."""
        if not sync.is_over:
            self._assembly.drop(device, sync.sn)
            self._end(device)

    def _end(self, device: str) -> None:
        del self._open[device]
        self._room.release()
        if device in self._again:
            self._again.discard(device)
            self.want(device)

    async def _take_next(self) -> None:
        while True:
            answer = await self._over.get()
            device = answer.device_id
            try:
                if answer.packets:
                    self.complete += answer.is_complete
                    self.partial += not answer.is_complete
                    made = [translate.item(one.entry, root=one.root, at_us=one.at_us) for one in answer.items]
                    items = [item for item in made if item is not None]
                    await self._take(device, items, answer.is_complete, self._open[device].asked_us)
            except AnwangError as err:
                log.info("a catalogue was not taken", device=device, reason=err.reason)
            except Exception:
                log.exception("taking a catalogue failed by our own fault", device=device)
            finally:
                self._end(device)
