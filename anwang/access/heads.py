"""Pan-tilt heads: who holds one, and a stop that comes even when nobody sends it (dead-man)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from anwang.access.model import Address, Ptz, PtzOrder
from anwang.access.service import Access
from anwang.kernel.errors import AnwangError, Conflict, Unavailable
from anwang.kernel.ids import PointId
from anwang.runtime import logs

log = logs.get(__name__)

DEFAULT_MS = 2_000
LONGEST_MS = 5_000
HOLD_SECONDS = 8.0
"""A head stays with whoever moved it last for so long."""

STOP_SECONDS = 3.0
"""The platform's end waits so long for the stops of what still moves."""
_TAKES_OVER = (Ptz.PRESET_GO, Ptz.CRUISE_START, Ptz.STOP)
"""What ends a movement of the head by itself."""

_STOPPED_BY = {Ptz.MOVE: Ptz.STOP, Ptz.FOCUS_NEAR: Ptz.LENS_STOP, Ptz.FOCUS_FAR: Ptz.LENS_STOP}
_STOPPED_BY |= {Ptz.IRIS_OPEN: Ptz.LENS_STOP, Ptz.IRIS_CLOSE: Ptz.LENS_STOP}


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who moves a head now. rank: a higher one may take it over. until: on the loop's clock, seconds."""

    actor: str
    name: str
    rank: int
    until: float


class Heads:
    """Orders to heads, one holder each, every movement ended.

    on_change: told who holds a head now whenever that becomes another person, or None when nobody does any more.
    before: told of an order right before it is sent.
    """

    def __init__(
        self,
        access: Access,
        *,
        on_change: Callable[[PointId, Holder | None], None],
        hold_seconds: float = HOLD_SECONDS,
        before: Callable[[PointId, PtzOrder], None] = lambda point, order: None,
    ) -> None:
        self._hold_seconds = hold_seconds
        self._before = before
        self._access = access
        self._on_change = on_change
        self._holders: dict[PointId, Holder] = {}
        self._stops: dict[tuple[PointId, Ptz], tuple[asyncio.TimerHandle, Address]] = {}
        """What will be sent by itself: a head and its lens move at the same time."""
        self._ends: dict[PointId, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def holder(self, point: PointId) -> Holder | None:
        """Who holds a head now, or None."""
        found = self._holders.get(point)
        return None if found is None or found.until <= asyncio.get_running_loop().time() else found

    async def order(
        self, address: Address, order: PtzOrder, *, actor: str, name: str, rank: int = 0, ms: int = DEFAULT_MS
    ) -> None:
        """Send an order; a movement stops by itself after `ms` (at most LONGEST_MS) unless it is renewed.

        Raises Conflict while somebody of the same or a higher rank holds the head, and as Gateway.ptz: the movement is
        stopped all the same, for the device may have obeyed and its answer been lost.
        """
        if self._is_closed:
            raise Unavailable("the platform is stopping")
        loop = asyncio.get_running_loop()
        held = self.holder(address.point)
        if held is not None and held.actor != actor and held.rank >= rank:
            raise Conflict(f"{held.name} moves this camera", f"wait {held.until - loop.time():.0f} s or ask them")
        self._before(address.point, order)
        stop = _STOPPED_BY.get(order.act)
        seconds = min(max(ms, 100), LONGEST_MS) / 1000
        if stop is not None:
            self._arm(address, stop, seconds)
        try:
            await self._access.ptz(address, order)
        finally:
            # sent again for want of an answer, the order may have been obeyed after the stop that was meant for it
            if stop is not None and (address.point, stop) not in self._stops and not self._is_closed:
                self._arm(address, stop, seconds)
        self._hold(address.point, Holder(actor=actor, name=name, rank=rank, until=loop.time() + self._hold_seconds))
        if order.act in _TAKES_OVER:
            self._cancel(address.point, Ptz.STOP)
        elif order.act is Ptz.LENS_STOP:
            self._cancel(address.point, Ptz.LENS_STOP)

    def _arm(self, address: Address, stop: Ptz, seconds: float) -> None:
        self._cancel(address.point, stop)
        timer = asyncio.get_running_loop().call_later(seconds, self._stop, address, stop)
        self._stops[address.point, stop] = timer, address

    def _cancel(self, point: PointId, stop: Ptz) -> None:
        if (pending := self._stops.pop((point, stop), None)) is not None:
            pending[0].cancel()

    def _hold(self, point: PointId, holder: Holder) -> None:
        loop = asyncio.get_running_loop()
        before = self._holders.get(point)
        self._holders[point] = holder
        if (timer := self._ends.pop(point, None)) is not None:
            timer.cancel()
        self._ends[point] = loop.call_at(holder.until, self._end, point)
        if before is None or before.actor != holder.actor:
            self._on_change(point, holder)

    def _end(self, point: PointId) -> None:
        self._ends.pop(point, None)
        self._holders.pop(point, None)
        self._on_change(point, None)

    async def close(self) -> None:
        """Take no more orders, stop what still moves, within STOP_SECONDS; nobody is told who holds a head."""
        self._is_closed = True
        for timer in self._ends.values():
            timer.cancel()
        self._ends.clear()
        for (_, stop), (timer, address) in list(self._stops.items()):
            timer.cancel()
            self._stop(address, stop)
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=STOP_SECONDS)
        for task in self._tasks:
            task.cancel()

    def _stop(self, address: Address, act: Ptz) -> None:
        self._stops.pop((address.point, act), None)
        task = asyncio.get_running_loop().create_task(self._send_stop(address, act))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_stop(self, address: Address, act: Ptz) -> None:
        # twice: on UDP a lost stop would leave the camera turning
        for _ in range(2):
            try:
                await self._access.ptz(address, PtzOrder(act=act))
            except AnwangError as err:
                log.warning("a stop did not reach the head", point=address.point, reason=err.reason)
