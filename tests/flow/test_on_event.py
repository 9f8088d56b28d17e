"""Recording on event, from a device's alarm notice to the clip: the whole program, and a device that shares no code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.flow.pictures import decoded, is_run
from tests.flow.served import Served, until
from tests.flow.test_device import adopted
from tests.flow.test_footage import axis, clip, moment, seconds_of

Ps = tuple[bytes, list[str]]


def notice(camera: str, number: int) -> str:
    """An alarm notice of motion (GB/T 28181-2016 A.2.5)."""
    at = datetime.now(UTC) + timedelta(hours=8, seconds=number)
    return (
        f"<Notify>\r\n<CmdType>Alarm</CmdType>\r\n<SN>{number}</SN>\r\n<DeviceID>{camera}</DeviceID>\r\n"
        "<AlarmPriority>3</AlarmPriority>\r\n<AlarmMethod>5</AlarmMethod>\r\n"
        f"<AlarmTime>{at:%Y-%m-%dT%H:%M:%S}</AlarmTime>\r\n"
        "<AlarmDescription>somebody at the gate</AlarmDescription>\r\n"
        "<Info>\r\n<AlarmType>2</AlarmType>\r\n</Info>\r\n</Notify>\r\n"
    )


def test_an_alarm_is_recorded_with_what_came_before_it(served: Served, ps: Ps) -> None:
    with adopted(served, 71, ps=ps[0]) as (device, point):
        plan = {
            "point": point["id"],
            "point_class": None,
            "mode": "on_event",
            "on_event": {"pre": 3, "post": 5, "most": 60},
        }
        made = served.post("/recording-plans", plan)
        until(lambda: device.calls or None, "the stream runs, for what comes before an event")
        began = datetime.now(UTC)
        until(lambda: datetime.now(UTC) - began > timedelta(seconds=5), "some seconds are kept")
        assert axis(served, point["id"])["spans"] == []
        asked = datetime.now(UTC)
        for number in range(3):
            assert device.message(notice(device.channels[0][0], 100 + number)) == 200

        def recorded() -> dict[str, Any] | None:
            found = axis(served, point["id"])
            return found if found["spans"] and not found["growing"] and seconds_of(found) > 5 else None

        found = until(recorded, "it is recorded, and ends by itself", 25)
        [span] = found["spans"]
        before = (asked - moment(span["start"])).total_seconds()
        after = (moment(span["end"]) - asked).total_seconds()
        assert 2 < before < 5.5 and 4 < after < 8, "three seconds and up to a group before, five after"
        data = decoded(clip(served, point["id"], span["start"], span["end"]))
        assert len(data) > 25 * 6 and is_run(data, ps[1])

        [mark] = until(lambda: axis(served, point["id"])["events"] or None, "the alarms are one mark")
        assert (mark["kind"], mark["count"], mark["text"]) == ("motion", 3, "somebody at the gate")
        assert moment(span["start"]) < moment(mark["at"]) < moment(span["end"])
        ours = [g for g in found["gaps"] if moment(g["end"]) > moment(made["since"]) + timedelta(seconds=1)]
        assert {gap["cause"] for gap in ours} == {"no_event"}, "nothing was missing"
