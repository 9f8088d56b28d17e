"""What /metrics counts of devices: each thing is made to happen, and its number moves."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.flow.device import ScriptDevice
from tests.flow.served import Served, until
from tests.flow.test_device import adopted, code


class Watch:
    """Numbers as they were, to compare with."""

    def __init__(self, served: Served, name: str, label: str, *values: str) -> None:
        self._read: Callable[[], dict[str, float]] = lambda: {
            value: served.metric(name, **{label: value}) for value in values
        }
        self._before = self._read()

    def moved(self) -> dict[str, float]:
        """What has grown, and by how much."""
        now = self._read()
        return {value: now[value] - before for value, before in self._before.items() if now[value] != before}

    def until(self, moved: dict[str, float]) -> None:
        """Wait until exactly this has moved."""
        until(lambda: self.moved() == moved, str(moved))


@contextmanager
def waiting(served: Served, number: int) -> Iterator[ScriptDevice]:
    """A registered recorder that nobody has let in."""
    with ScriptDevice(served.sip_port, code(118, number)) as device:
        assert device.register() == 200
        until(lambda: served.device(device.code), "it waits")
        yield device


def response(device: ScriptDevice, kind: str, rest: str) -> str:
    return (
        f"<Response>\r\n<CmdType>{kind}</CmdType>\r\n<SN>999999</SN>\r\n<DeviceID>{device.code}</DeviceID>\r\n"
        f"{rest}</Response>\r\n"
    )


def alarm(device: ScriptDevice, second: int) -> str:
    return (
        f"<Notify>\r\n<CmdType>Alarm</CmdType>\r\n<SN>5</SN>\r\n<DeviceID>{device.code}</DeviceID>\r\n"
        f"<AlarmPriority>1</AlarmPriority>\r\n<AlarmMethod>2</AlarmMethod>\r\n"
        f"<AlarmTime>2026-11-22T08:00:{second:02}</AlarmTime>\r\n</Notify>\r\n"
    )


def test_answers_that_nobody_waits_for_are_counted_by_what_they_answer(served: Served) -> None:
    with waiting(served, 800) as device:
        watch = Watch(served, "anwang_sip_strays_total", "of", "queries", "record searches")
        assert device.message(response(device, "DeviceInfo", "<Result>OK</Result>\r\n")) == 200
        watch.until({"queries": 1})
        assert device.message(response(device, "RecordInfo", "<Name>x</Name>\r\n<SumNum>0</SumNum>\r\n")) == 200
        watch.until({"queries": 1, "record searches": 1})
        assert device.message(response(device, "RecordInfo", "<Result>ERROR</Result>\r\n")) == 200
        watch.until({"queries": 1, "record searches": 2})


def test_alarms_are_counted_by_what_became_of_them(served: Served) -> None:
    watch = Watch(served, "anwang_sip_alarms_total", "became", "announced", "repeated", "not_adopted")
    with waiting(served, 801) as device:
        assert device.message(alarm(device, 1)) == 200
        watch.until({"not_adopted": 1})
    with adopted(served, 802) as (device, _):
        assert device.message(alarm(device, 1)) == 200
        watch.until({"not_adopted": 1, "announced": 1})
        for _ in range(3):
            assert device.message(alarm(device, 1)) == 200
        watch.until({"not_adopted": 1, "announced": 1, "repeated": 3})
        assert device.message(alarm(device, 2)) == 200
        watch.until({"not_adopted": 1, "announced": 2, "repeated": 3})
        answers = [one for one in device.heard if b"<CmdType>Alarm" in one.body and b"<Response" in one.body]
        assert answers, "each is answered all the same"


def test_catalogues_are_counted_whole_and_in_part(served: Served) -> None:
    cameras = [(code(132, 8030 + number), f"camera {number}") for number in range(3)]
    with ScriptDevice(served.sip_port, code(118, 803), channels=cameras) as device:
        watch = Watch(served, "anwang_sip_catalogues_total", "extent", "complete", "partial")
        assert device.register() == 200
        watch.until({"complete": 1})
        device.withheld = 2
        found = until(lambda: served.device(device.code), "it waits")
        assert served.admin.post(f"/api/v1/devices/{found['id']}/sync").status_code == 202
        watch.until({"complete": 1, "partial": 1})
        device.withheld = 0
        assert served.admin.post(f"/api/v1/devices/{found['id']}/sync").status_code == 202
        watch.until({"complete": 2, "partial": 1})


def test_notices_of_catalogue_changes_are_counted(served: Served) -> None:
    with waiting(served, 804) as device:
        before = served.metric("anwang_sip_catalogue_notices_total")
        item = f"<Item>\r\n<DeviceID>{code(132, 804)}</DeviceID>\r\n<Event>OFF</Event>\r\n</Item>\r\n"
        notice = (
            f"<Notify>\r\n<CmdType>Catalog</CmdType>\r\n<SN>7</SN>\r\n<DeviceID>{device.code}</DeviceID>\r\n"
            f'<SumNum>1</SumNum>\r\n<DeviceList Num="1">\r\n{item}</DeviceList>\r\n</Notify>\r\n'
        )
        for expected in (before + 1, before + 2):
            assert device.message(notice) == 200
            until(lambda n=expected: served.metric("anwang_sip_catalogue_notices_total") == n, "it is counted")  # type: ignore[misc]


@pytest.mark.timeout(300)
def test_messages_that_a_slow_watcher_missed_are_counted(served: Served) -> None:
    """A browser that reads no more than its buffers hold, of a device that talks on."""
    with waiting(served, 805) as device:
        found = served.device(device.code)
        assert found is not None
        before = served.metric("anwang_sip_capture_overruns_total")
        head = f"From: <sip:{device.code}@x>;tag=1\r\n"  # enough to know whose message it is
        host, port = served.url.removeprefix("http://").split(":")
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect((host, int(port)))
            slow.sendall(
                f"GET /api/v1/devices/{found['id']}/messages HTTP/1.1\r\nHost: {host}\r\n"
                f"{_authorization(served)}\r\n\r\n".encode()
            )
            assert slow.recv(12) == b"HTTP/1.1 200"

            def talks() -> bool:
                for number in range(60):
                    device.send(f"OPTIONS sip:x SIP/2.0\r\nNote: {number} {'long ' * 1400}\r\n{head}")
                assert device.keepalive() == 200, "what is sent first has been taken"
                return served.metric("anwang_sip_capture_overruns_total") > before

            until(talks, "messages are missed", 200)
        assert device.keepalive() == 200


def _authorization(served: Served) -> str:
    return f"Authorization: {served.admin.headers['authorization']}"
