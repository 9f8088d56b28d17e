"""Live events: what browsers must know is never crowded out by what is merely interesting."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from anwang.app import notices as subject
from anwang.app.notices import Notices
from anwang.governance import Actor, Object, Scope
from anwang.kernel.errors import Unavailable
from anwang.kernel.ids import PointId
from anwang.registry import (
    DeviceStateChanged,
    DriftChanged,
    Place,
    PointsChanged,
    PointsMoved,
    Registry,
    State,
    StateChanges,
    WaitingChanged,
)
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


@pytest.mark.parametrize(("count", "named"), [(2, ["0", "1"]), (3000, ["0 +2999"])])
async def test_g24_drifts_are_told_one_by_one_or_counted(
    notices: Notices, taken: Taken, count: int, named: list[str]
) -> None:
    for number in range(count):
        notices.registry_fact(DriftChanged(gateway="gb28181", device_id=str(number), kind="firmware", is_open=True))
    await notices.publish()
    assert [n.data["params"]["device"] for n in taken.of("note")] == named
    assert {n.data["text"] for n in taken.of("note")} == {"drift_firmware" if count < 3 else "drifts"}
    assert [n.data for n in taken.of("drift")] == [{}]
    notices.registry_fact(DriftChanged(gateway="gb28181", device_id="0", kind="firmware", is_open=False))
    await notices.publish()
    assert len(taken.of("drift")) == 2 and len(taken.of("note")) == len(named), "that one is over is no note"


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


def moved(longitude: float, *points: str) -> PointsMoved:
    place = Place(longitude=longitude, latitude=31.5, at_us=None, received_us=2_000_000, direction_deg=90.0)
    return PointsMoved(points=[PointId(point) for point in points], place=place)


async def test_places_are_told_once_a_second_and_the_newest_of_each(taken: Taken) -> None:
    clock = FakeClock()
    notices = Notices(clock)
    notices.attach(cast(Events, taken), cast(Registry, None))
    notices.registry_fact(moved(117.0, "p1", "p2"))
    await notices.publish()
    at = "1970-01-01T00:00:02Z"
    assert [n.data for n in taken.of("position")] == [
        {"changes": [["p1", 117.0, 31.5, 90.0, at], ["p2", 117.0, 31.5, 90.0, at]]}
    ]
    notices.registry_fact(moved(117.1, "p1"))
    notices.registry_fact(moved(117.2, "p1"))
    notices.registry_fact(changes(1, "e-1"))
    await notices.publish()
    assert (len(taken.of("position")), len(taken.of("state"))) == (1, 1), "what is urgent does not wait for it"
    await clock.advance(subject.MOVES_SECONDS)
    await notices.publish()
    assert taken.of("position")[-1].data == {"changes": [["p1", 117.2, 31.5, 90.0, at]]}
    await clock.advance(subject.MOVES_SECONDS)
    await notices.publish()
    assert len(taken.of("position")) == 2, "nobody has moved"


async def test_more_places_than_are_named_are_asked_for(notices: Notices, taken: Taken) -> None:
    for number in range(3):
        notices.registry_fact(moved(117.0, *(f"p{number * 900 + n}" for n in range(900))))
    await notices.publish()
    assert [n.data for n in taken.of("position")] == [{"changes": [], "many": 2700}]


async def test_everybody_is_told_of_their_own_points_only() -> None:
    owners = {"p1": "/a/", "p2": "/b/"}

    def sees(scope: Scope, point: str) -> bool:
        return point in owners and scope.covers(Object(point, owners[point]))

    shape = Notices(FakeClock()).shape(cast(Registry, SimpleNamespace(sees=sees)))
    notice = Notice("position", None, {"changes": [["p1", 1.0, 2.0, None, "t"], ["p2", 1.0, 2.0, None, "t"]]})

    def told(path: str) -> Any:
        return shape(
            cast(Actor, SimpleNamespace(scope=Scope.below(path), sight=Scope.below(path), may=lambda action: False)),
            notice,
        )

    assert told("/") == notice.data
    assert told("/a/") == {"changes": [["p1", 1.0, 2.0, None, "t"]]}
    assert told("/c/") is None
    many = Notice("position", None, {"changes": [], "many": 9})
    assert shape(cast(Actor, SimpleNamespace(scope=Scope.below("/c/"), may=lambda action: False)), many) == many.data
