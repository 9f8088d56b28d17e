"""What devices report, as the device-neutral signal that slices know (domain words out of wire words)."""

from __future__ import annotations

import asyncio

from anwang.access import Signal, SignalKind
from anwang.kernel.errors import AnwangError, Invalid
from anwang.kernel.times import to_micros
from anwang.media import Signals
from anwang.registry import Registry
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.wire.gb28181 import AlarmNotify

log = logs.get(__name__)

MOST_WAITING = 5_000
GATEWAY = "gb28181"
MOTION, VIDEO, FAULT, DEVICE = 2, 5, 6, 2
FAULTS_OF_DEVICES = frozenset({1, 3, 4, 5})
"""AlarmType of method 2: video lost, disk full, too hot, too cold; 2 is tampering, which is an alarm."""


def kind_of(alarm: AlarmNotify) -> SignalKind:
    """The kind of an alarm notice (GB/T 28181-2016 A.2.5, AlarmMethod and AlarmType)."""
    if alarm.method == VIDEO:
        return SignalKind.MOTION if alarm.alarm_type == MOTION else SignalKind.ANALYSIS
    if alarm.method == FAULT or (alarm.method == DEVICE and alarm.alarm_type in FAULTS_OF_DEVICES):
        return SignalKind.FAULT
    return SignalKind.ALARM


class Heard:
    """Finds the point of each alarm notice and passes it on as a signal. Bounded; what found no room is counted."""

    def __init__(self, registry: Registry, signals: Signals, clock: Clock) -> None:
        self._registry = registry
        self._signals = signals
        self._clock = clock
        self._queue: asyncio.Queue[tuple[str, AlarmNotify, int]] = asyncio.Queue(MOST_WAITING)
        self.dropped = 0
        """Notices that came while too many waited."""
        self.unplaced = 0
        """Notices of what is no point, such as a whole recorder."""

    def alarm(self, device: str, alarm: AlarmNotify) -> None:
        """A device's alarm notice; never waits."""
        try:
            self._queue.put_nowait((device, alarm, self._clock.micros()))
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Pass on what comes, until cancelled."""
        while True:
            device, alarm, received_us = await self._queue.get()
            try:
                await self._pass_on(device, alarm, received_us)
            except AnwangError as err:
                self.dropped += 1
                log.warning("an alarm notice could not be placed", device=device, reason=err.reason)

    async def _pass_on(self, device: str, alarm: AlarmNotify, received_us: int) -> None:
        point = await self._registry.point_of_channel(GATEWAY, device, alarm.device_id)
        if point is None:
            self.unplaced += 1
            return
        try:
            at_us = received_us if alarm.at is None else to_micros(alarm.at)
        except (Invalid, OverflowError):
            at_us = received_us
        self._signals.heard(
            Signal(point=point, kind=kind_of(alarm), at_us=at_us, received_us=received_us, text=alarm.description)
        )
