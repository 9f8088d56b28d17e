"""Devices' alarm notices as signals of points."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import cast

import pytest

from anwang.access import Signal, SignalKind
from anwang.app import heard as subject
from anwang.app.heard import Heard, kind_of
from anwang.kernel.ids import PointId
from anwang.kernel.times import to_micros
from anwang.media import Signals
from anwang.registry import Registry
from anwang.runtime.clock import FakeClock
from anwang.wire.gb28181 import AlarmNotify

DEVICE, CAMERA = "34020000001180000001", "34020000001320000001"


class City:
    """A registry that knows one camera, and what hears its signals."""

    def __init__(self) -> None:
        self.signals: list[Signal] = []

    async def point_of_channel(self, gateway: str, device: str, channel: str) -> PointId | None:
        return PointId("p1") if (gateway, device, channel) == ("gb28181", DEVICE, CAMERA) else None

    def heard(self, signal: Signal) -> None:
        self.signals.append(signal)


def notice(channel: str = CAMERA, **more: object) -> AlarmNotify:
    return AlarmNotify(**({"sn": 1, "device_id": channel, "method": 5, "alarm_type": 2} | more))  # type: ignore[arg-type]


@pytest.fixture
def city() -> City:
    return City()


@pytest.fixture
def heard(city: City) -> Heard:
    return Heard(cast(Registry, city), cast(Signals, city), FakeClock())


async def passed_on(heard: Heard) -> None:
    task = asyncio.create_task(heard.run())
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()


async def test_a_notice_of_a_camera_is_a_signal_of_its_point(heard: Heard, city: City) -> None:
    said = datetime(2026, 11, 22, 4, tzinfo=UTC)
    heard.alarm(DEVICE, notice(at=said, description="移动侦测"))
    heard.alarm(DEVICE, notice(at=None))
    heard.alarm(DEVICE, notice(DEVICE))
    await passed_on(heard)
    now = FakeClock().micros()
    assert city.signals == [
        Signal(point=PointId("p1"), kind=SignalKind.MOTION, at_us=to_micros(said), received_us=now, text="移动侦测"),
        Signal(point=PointId("p1"), kind=SignalKind.MOTION, at_us=now, received_us=now),
    ]
    assert heard.unplaced == 1


async def test_a_storm_is_bounded_and_counted(heard: Heard, city: City) -> None:
    for _ in range(subject.MOST_WAITING + 5):
        heard.alarm(DEVICE, notice())
    assert heard.dropped == 5


@pytest.mark.parametrize(
    ("method", "type_", "kind"),
    [
        (5, 2, "motion"), (5, 6, "analysis"), (5, None, "analysis"), (2, None, "alarm"), (2, 2, "alarm"),
        (2, 1, "fault"), (6, 1, "fault"), (7, None, "alarm"), (None, None, "alarm"), (99, 99, "alarm"),
    ],
)  # fmt: skip
def test_kinds_follow_the_tables(method: int | None, type_: int | None, kind: str) -> None:
    assert kind_of(notice(method=method, alarm_type=type_)) == kind
