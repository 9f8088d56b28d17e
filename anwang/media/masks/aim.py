"""Where a head points, as far as our own orders tell: at a preset that was recalled, with nothing moved since.

Everything else is *not known*, and then the masks of all presets apply: while it turns, after it was moved by hand, in
a cruise, under a home position, and after a start of the program. What others do to the head (its own schedule, another
platform) is not told to us; a camera that others may steer has its masks without a preset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from anwang.access import Ptz, PtzOrder
from anwang.kernel.ids import PointId

SETTLE_SECONDS = 12.0
"""A head has arrived at a preset, and no picture from before is cached any more, so long after the order."""
MOVING = frozenset({Ptz.MOVE, Ptz.PRESET_SET, Ptz.PRESET_GO, Ptz.CRUISE_START, Ptz.HOME_ON})
"""After these the view is another one; PRESET_SET leaves it, but makes the preset mean another one."""


class Aims:
    """The views of all heads. on_change: told before the order goes out, and when a head has settled."""

    def __init__(self, on_change: Callable[[PointId], None], *, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._on_change = on_change
        self._settle_seconds = settle_seconds
        self._presets: dict[PointId, int] = {}
        self._settling: dict[PointId, asyncio.TimerHandle] = {}
        self._goes_home: set[PointId] = set()

    def preset(self, point: PointId) -> int | None:
        """The preset that the head is at, or None where that is not known."""
        return self._presets.get(point)

    def ordered(self, point: PointId, order: PtzOrder) -> None:
        """An order goes to the head now."""
        if order.act is Ptz.HOME_ON:
            self._goes_home.add(point)
        elif order.act is Ptz.HOME_OFF:
            self._goes_home.discard(point)
        if order.act not in MOVING:
            return
        if (timer := self._settling.pop(point, None)) is not None:
            timer.cancel()
        if self._presets.pop(point, None) is not None:
            self._on_change(point)
        if order.act is Ptz.PRESET_GO:
            loop = asyncio.get_running_loop()
            self._settling[point] = loop.call_later(self._settle_seconds, self._settled, point, order.preset)

    def _settled(self, point: PointId, preset: int) -> None:
        del self._settling[point]
        if point not in self._goes_home:
            self._presets[point] = preset
            self._on_change(point)

    def close(self) -> None:
        """Forget all timers."""
        for timer in self._settling.values():
            timer.cancel()
        self._settling.clear()
