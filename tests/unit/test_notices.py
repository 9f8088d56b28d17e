"""Live events: what browsers must know is never crowded out by what is merely interesting."""

from __future__ import annotations

from collections import Counter
from typing import cast

import numpy as np
import pytest

from anwang.app import notices as subject
from anwang.app.notices import Notices
from anwang.kernel.errors import Unavailable
from anwang.kernel.ids import PointId
from anwang.registry import DeviceStateChanged, PointsChanged, Registry, State, StateChanges, WaitingChanged
from anwang.runtime.clock import FakeClock
from anwang.web.events import Events, Notice
from anwang.wire.gb28181 import AlarmNotify, parse


class Taken:
    """Takes what is published; refuses everything while it is broken."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.is_broken = False

    async def publish(self, notice: Notice) -> int:
        if self.is_broken:
            raise Unavailable("the bus is away")
        self.notices.append(notice)
        return len(self.notices)

    def of(self, type_: str) -> list[Notice]:
        return [notice for notice in self.notices if notice.type == type_]


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def notices(taken: Taken) -> Notices:
    made = Notices(FakeClock())
    made.attach(cast(Events, taken), cast(Registry, None))
    return made


def changes(count: int, cursor: str, state: int = 2, *, first: int = 0) -> StateChanges:
    ix = np.arange(first, first + count, dtype=np.int32)
    small = np.full(count, state, np.uint8)
    return StateChanges(
        ix=ix,
        old=small,
        new=small,
        at_us=1,
        cause=ix,
        why=small,
        cursor=cursor,
        ids=lambda numbers: [PointId(f"p{n}") for n in numbers],
    )


def lost(number: int) -> DeviceStateChanged:
    return DeviceStateChanged(
        gateway="gb28181",
        device_id=f"{number}",
        before=State.ONLINE,
        state=State.OFFLINE,
        reason="device_silent",
        at_us=1,
        points=2,
    )


def alarm() -> AlarmNotify:
    found = parse(
        b'<?xml version="1.0"?><Notify><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>34020000001340000001</DeviceID>'
        b"<AlarmPriority>1</AlarmPriority><AlarmMethod>2</AlarmMethod><AlarmTime>2026-01-01T00:00:00</AlarmTime>"
        b"</Notify>"
    )
    assert isinstance(found, AlarmNotify)
    return found


async def test_a_mass_loss_leaves_states_and_counts_in_place(notices: Notices, taken: Taken) -> None:
    notices.registry_fact(changes(3000, "e-1"))
    for number in range(3000):
        notices.registry_fact(lost(number))
    await notices.publish()
    assert Counter(n.type for n in taken.notices) == {"state": 1, "counts": 1, "note": 1}
    assert taken.of("state")[0].data == {"changes": [], "cursor": "e-1", "many": 3000}
    assert taken.of("note")[0].data["params"] == {"device": "0 +2999", "points": 6000, "devices": 3000}
    assert notices.dropped == 0


async def test_a_few_devices_are_named_one_by_one(notices: Notices, taken: Taken) -> None:
    for number in range(subject.MOST_NAMED):
        notices.registry_fact(lost(number))
    await notices.publish()
    assert [n.data["params"]["device"] for n in taken.notices] == [str(n) for n in range(subject.MOST_NAMED)]


async def test_of_two_changes_of_a_point_the_newest_is_told(notices: Notices, taken: Taken) -> None:
    notices.registry_fact(changes(2, "e-1", state=2))
    notices.registry_fact(changes(1, "e-2", state=1))
    notices.registry_fact(WaitingChanged(waiting=3))
    notices.registry_fact(WaitingChanged(waiting=4))
    notices.registry_fact(PointsChanged(points=(), added=1))
    notices.registry_fact(PointsChanged(points=(), added=2, removed=1))
    await notices.publish()
    told = taken.of("state")[0].data
    assert {point: state for point, state, _ in told["changes"]} == {"p0": "online", "p1": "offline"}
    assert told["cursor"] == "e-2"
    assert [n.data for n in taken.of("device")] == [{"waiting": 4}]
    assert [n.data for n in taken.of("points")] == [{"added": 3, "changed": 0, "removed": 1}]


async def test_small_batches_that_add_up_are_asked_for_by_cursor(notices: Notices, taken: Taken) -> None:
    for number in range(3):
        notices.registry_fact(changes(900, f"e-{number}", first=900 * number))
    await notices.publish()
    assert taken.of("state")[0].data == {"changes": [], "cursor": "e-2", "many": 2700}


async def test_alarms_beyond_the_bound_are_counted_and_said(notices: Notices, taken: Taken) -> None:
    for _ in range(subject.MOST_WAITING + 7):
        notices.signal("34020000001180000001", alarm())
    notices.registry_fact(changes(1, "e-1"))
    await notices.publish()
    assert taken.notices[0] == Notice("lagged", None, {"count": 7})
    assert len(taken.of("note")) == subject.MOST_WAITING
    assert (len(taken.of("state")), notices.dropped) == (1, 7)


async def test_what_the_bus_did_not_take_is_said_once_it_takes_again(notices: Notices, taken: Taken) -> None:
    taken.is_broken = True
    notices.registry_fact(changes(1, "e-1"))
    await notices.publish()
    assert notices.dropped == 2
    taken.is_broken = False
    await notices.publish()
    assert taken.notices == [Notice("lagged", None, {"count": 2})]
    await notices.publish()
    assert len(taken.notices) == 1
