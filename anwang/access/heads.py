"""Pan-tilt heads: who holds one, and a stop that comes even when nobody sends it (dead-man)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from anwang.access.model import Address, Ptz, PtzOrder
from anwang.access.service import Access
from anwang.kernel.errors import AnwangError, Conflict
from anwang.kernel.ids import PointId
from anwang.runtime import logs

log = logs.get(__name__)

DEFAULT_MS = 2_000
LONGEST_MS = 5_000
HOLD_SECONDS = 8.0
"""A head stays with whoever moved it last for so long."""

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
        self._stops: dict[PointId, asyncio.TimerHandle] = {}
        self._ends: dict[PointId, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def holder(self, point: PointId) -> Holder | None:
        """Who holds a head now, or None."""
        found = self._holders.get(point)
        return None if found is None or found.until <= asyncio.get_running_loop().time() else found

    async def order(
        self, address: Address, order: PtzOrder, *, actor: str, name: str, rank: int = 0, ms: int = DEFAULT_MS
    ) -> None:
        """Send an order; a movement stops by itself after `ms` (at most LONGEST_MS) unless it is renewed.

        Raises Conflict while somebody of the same or a higher rank holds the head, and as Gateway.ptz.
        """
        loop = asyncio.get_running_loop()
        held = self.holder(address.point)
        if held is not None and held.actor != actor and held.rank >= rank:
            raise Conflict(f"{held.name} moves this camera", f"wait {held.until - loop.time():.0f} s or ask them")
        self._before(address.point, order)
        await self._access.ptz(address, order)
        self._hold(address.point, Holder(actor=actor, name=name, rank=rank, until=loop.time() + self._hold_seconds))
        if (timer := self._stops.pop(address.point, None)) is not None:
            timer.cancel()
        stop = _STOPPED_BY.get(order.act)
        if stop is not None:
            seconds = min(max(ms, 100), LONGEST_MS) / 1000
            self._stops[address.point] = loop.call_later(seconds, self._stop, address, stop)

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

    def close(self) -> None:
        """Forget all timers; nobody is told."""
        for timer in (*self._ends.values(), *self._stops.values()):
            timer.cancel()
        self._ends.clear()
        self._stops.clear()

    def _stop(self, address: Address, act: Ptz) -> None:
        self._stops.pop(address.point, None)
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
