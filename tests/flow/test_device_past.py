"""What a device that shares no code with us keeps: searched, played, steered, downloaded; and what may go wrong."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.flow.pictures import decoded, is_run
from tests.flow.served import Served, until
from tests.flow.test_device import adopted

Ps = tuple[bytes, list[str]]

#: a fixed hour of yesterday, so that a day's end never falls into a test
HOUR = (datetime.now(UTC) - timedelta(days=1)).replace(hour=4, minute=0, second=0, microsecond=0)
SECONDS = 20


def iso(seconds: float) -> str:
    return (HOUR + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def local(minutes: int) -> str:
    """A time as devices write it: civil, without a zone."""
    return f"{HOUR + timedelta(minutes=minutes, hours=8):%Y-%m-%dT%H:%M:%S}"


def item(start: int, end: int, kind: str = "time", name: str = "f") -> str:
    """A file from minute to minute."""
    return (
        f"<Item>\r\n<DeviceID>34010000001320000051</DeviceID>\r\n<Name>{name}</Name>\r\n<FilePath>/d/{start}</FilePath>\r\n"
        f"<Address>a</Address>\r\n<StartTime>{local(start)}</StartTime>\r\n<EndTime>{local(end)}</EndTime>\r\n"
        f"<Secrecy>0</Secrecy>\r\n<Type>{kind}</Type>\r\n<FileSize>1000</FileSize>\r\n</Item>\r\n"
    )


def search(served: Served, point: dict[str, Any], **more: Any) -> Any:
    return served.get(f"/points/{point['id']}/device-records", **{"from": iso(0), "to": iso(3600), **more})


# ---- search


def test_an_answer_in_three_messages_out_of_order(served: Served) -> None:
    with adopted(served, 51) as (device, point):
        device.records = ([item(40, 50), item(0, 10) + item(10, 20, "alarm"), item(20, 40) + item(0, 10)], 4)
        found = search(served, point)
        assert found["answered"] == "complete" and found["announced"] == 4 and found["next"] is None
        assert [(one["start"], one["end"], one["kind"]) for one in found["items"]] == [
            (iso(0), iso(600), "time"),
            (iso(600), iso(1200), "alarm"),
            (iso(1200), iso(2400), "time"),
            (iso(2400), iso(3000), "time"),
        ]
        [query] = [m for m in device.heard if b"<CmdType>RecordInfo<" in m.body]
        assert f"sip:{device.code}@" in query["To"], "the recorder itself is asked: its disks, not a centre's"
        text = query.body.decode("gb18030")
        assert f"<DeviceID>{point['code']}</DeviceID>" in text and "<Type>all</Type>" in text
        assert f"<StartTime>{local(0)}</StartTime>" in text and f"<EndTime>{local(60)}</EndTime>" in text


def test_a_lost_message_is_a_partial_answer_and_said_so(served: Served) -> None:
    with adopted(served, 52) as (device, point):
        device.records = ([item(0, 10) + item(10, 20), item(30, 40)], 4)
        found = search(served, point, kind="time")
        assert found["answered"] == "partial" and found["announced"] == 4 and len(found["items"]) == 3
        assert b"<Type>time</Type>" in next(m for m in device.heard if b"RecordInfo" in m.body).body


def test_nothing_found_nothing_said_and_refused(served: Served) -> None:
    with adopted(served, 53) as (device, point):
        device.records = ([""], 0)
        assert search(served, point) | {"asked_until": ""} == {
            "items": [], "next": None, "answered": "complete", "announced": 0, "unusable": 0, "asked_until": "",
        }  # fmt: skip
        device.records = None
        assert search(served, point)["answered"] == "silent"
        device.answers[b"<CmdType>RecordInfo<"] = (
            f"<Response><CmdType>RecordInfo</CmdType><SN>{{sn}}</SN><DeviceID>{point['code']}</DeviceID>"
            "<Result>ERROR</Result></Response>"
        )
        answer = served.operator.get(
            f"/api/v1/points/{point['id']}/device-records", params={"from": iso(0), "to": iso(60)}
        )
        assert answer.status_code == 422 or answer.json()["kind"] == "unsupported", answer.text
        assert "refuses to search" in answer.json()["reason"]


def test_a_long_range_is_asked_day_by_day_and_paged(served: Served) -> None:
    with adopted(served, 54) as (device, point):
        device.records = ([""], 0)
        first = search(served, point, **{"from": iso(-9 * 86400)})
        assert first["next"] is not None
        queries = [m.body.decode("gb18030") for m in device.heard if b"<CmdType>RecordInfo<" in m.body]
        assert len(queries) == 7
        assert all("T00:00:00</StartTime>" in text for text in queries[1:]), "civil days, a question each"
        second = search(served, point, **{"from": iso(-9 * 86400), "cursor": first["next"]})
        assert second["next"] is None and second["asked_until"] == iso(3600)


# ---- playback


class Player:
    """A viewer of a device's recording; reads in a thread of its own."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.told: list[dict[str, Any]] = []
        self.epochs: list[bytearray] = []
        self.fragments = 0
        self.closed = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            for message in self.socket:
                if isinstance(message, str):
                    self.told.append(json.loads(message))
                    if "mime" in self.told[-1]:
                        self.epochs.append(bytearray())
                else:
                    self.epochs[-1] += message
                    self.fragments += b"moof" in message[:64]
        self.closed.set()

    def do(self, act: str, **more: Any) -> dict[str, Any]:
        """Send an order; what it was answered."""
        before = len(self.told)
        self.socket.send(json.dumps({"act": act, **more}))
        return until(
            lambda: next((t for t in self.told[before:] if "done" in t or "refused" in t), None), f"{act} is answered"
        )

    def heard(self, key: str, seconds: float = 30) -> Any:
        """The first message of that kind."""
        return until(lambda: next((t[key] for t in self.told if key in t), None), f"{key} is told", seconds)

    def is_still(self) -> bool:
        """Whether nothing comes for half a second."""
        before = self.fragments
        time.sleep(0.5)
        return self.fragments == before

    def gets(self, count: int) -> None:
        """Wait for so many more fragments."""
        goal = self.fragments + count
        until(lambda: self.fragments >= goal, f"{count} fragments", 40)


@contextmanager
def playing(served: Served, point: dict[str, Any], seconds: float = SECONDS) -> Iterator[Player]:
    url = (
        served.url.replace("http", "ws", 1)
        + f"/api/v1/points/{point['id']}/device-playback?from={iso(0)}&to={iso(seconds)}"
    )
    headers = {"Authorization": f"Bearer {served.token}"}
    with connect(url, additional_headers=headers, max_size=None, open_timeout=20, proxy=None) as socket:
        yield Player(socket)


def looks_of(served: Served, point: str, action: str) -> list[dict[str, Any]]:
    rows = served.get("/ledger", by="audit", limit=500)["items"]
    return [row for row in rows if row["action"] == action and point in row["objects"]]


def both_rows(served: Served, point: str, action: str) -> list[dict[str, Any]]:
    """The opened and the closed row of the only look."""

    def both() -> list[dict[str, Any]] | None:
        rows = looks_of(served, point, action)
        return rows if len(rows) == 2 else None

    return until(both, "the look is opened and closed")


@pytest.mark.parametrize("how", ["udp", "tcp"])
def test_a_recording_is_played_to_its_end(served: Served, ps: Ps, how: str) -> None:
    number = 60 if how == "udp" else 61
    with adopted(served, number, ps=ps[0], takes_tcp=how == "tcp") as (device, point):
        with playing(served, point, 4) as player:
            assert player.heard("ended")["complete"] is True
            hello = player.heard("mime") and player.told[0]
            assert hello["position"] == iso(0) and (hello["from"], hello["to"]) == (iso(0), iso(4))
            got = decoded(bytes(player.epochs[0]))
            assert len(got) >= 98 and got == ps[1][: len(got)], "every picture of the four seconds, from the first on"
        call = device.calls[-1]
        offer = call.invite.body.decode()
        began = int(HOUR.timestamp())
        assert (
            "s=Playback\r\n" in offer and f"u={point['code']}:0\r\n" in offer and f"t={began} {began + 4}\r\n" in offer
        )
        assert re.search(r"y=1\d{9}\r", offer), "the SSRC of a recording begins with 1"
        assert re.match(rf"{point['code']}:1\d{{9}},", call.invite["Subject"])
        assert call.bye.wait(10), "121 is answered by BYE"
        rows = both_rows(served, point["id"], "view_playback")
        closed = next(row for row in rows if row["kind"] == "closed")
        assert closed["bytes"] == len(player.epochs[0])
        assert any(iso(0) in row["detail"] for row in rows)


def test_seek_pause_and_speed(served: Served, ps: Ps) -> None:
    with adopted(served, 62, ps=ps[0]) as (device, point), playing(served, point) as player:
        player.gets(10)
        assert player.do("seek", at=iso(12))["done"] == {"act": "seek", "scale": 1.0, "paused": False}
        until(lambda: len(player.epochs) == 2 and len(player.epochs[1]) > 50_000, "the new place")
        hello = [t for t in player.told if "mime" in t][1]
        assert hello["position"] == iso(12)
        got = decoded(bytes(player.epochs[1]))
        assert is_run(got, ps[1]) and ps[1].index(got[0]) == 12 * 25, "it goes on with second 12"

        assert player.do("pause")["done"]["paused"] is True
        assert device.calls[-1].speed == 0
        until(lambda: player.is_still(), "it stands still")
        assert player.do("resume", at=iso(13))["done"]["paused"] is False
        player.gets(5)
        assert player.do("scale", factor=4)["done"]["scale"] == 4.0
        assert player.heard("ended", 20)["complete"] is True
        assert len(device.calls) == 1, "all of it inside one call"
        heard = [m.body.decode() for m in device.heard if m.method == "INFO"]
        assert [text.split()[0] for text in heard] == ["PLAY", "PAUSE", "PLAY", "PLAY"]
        assert "Range: npt=12-\r\n" in heard[0] and "Scale" not in heard[0]
        assert "Range: npt=now-\r\n" in heard[2] and "Scale: 4.0\r\n" in heard[3]

        # after its end one may still go back: the device is invited anew
        player.do("seek", at=iso(3))
        until(lambda: len(player.epochs) == 3 and len(player.epochs[2]) > 20_000, "it plays again")
        assert len(device.calls) == 2
        assert f"t={int(HOUR.timestamp()) + 3} " in device.calls[1].invite.body.decode()


@pytest.mark.parametrize(("info", "rtsp"), [(405, 200), (200, 454)])
def test_a_device_that_cannot_be_steered_is_invited_anew(served: Served, ps: Ps, info: int, rtsp: int) -> None:
    with adopted(served, 63 if info == 405 else 64, ps=ps[0]) as (device, point), playing(served, point) as player:
        device.info, device.rtsp = info, rtsp
        player.gets(5)
        assert "done" in player.do("seek", at=iso(7))
        until(lambda: len(player.epochs) == 2 and len(player.epochs[1]) > 20_000, "the new place")
        assert device.calls[0].bye.wait(10) and len(device.calls) == 2
        assert [t for t in player.told if "mime" in t][1]["position"] == iso(7)
        subjects = [call.invite["Subject"] for call in device.calls]
        assert subjects[0] != subjects[1], "the same subject would kill another viewer's recording"
        refused = player.do("scale", factor=2)["refused"]
        assert refused["kind"] == "unsupported" and str(info if info != 200 else rtsp) in refused["reason"]
        assert player.do("pause")["done"]["paused"] is True
        assert device.calls[1].bye.wait(10), "it can't stand still, so it is told to stop"
        player.do("resume", at=iso(9))
        until(lambda: len(player.epochs) == 3, "it goes on")


def test_orders_that_make_no_sense_change_nothing(served: Served, ps: Ps) -> None:
    with adopted(served, 65, ps=ps[0]) as (_, point), playing(served, point) as player:
        player.gets(3)
        orders: list[tuple[str, dict[str, Any]]] = [
            ("dance", {}), ("seek", {}), ("seek", {"at": "noon"}), ("scale", {"factor": 0}),
            ("scale", {"factor": "fast"}), ("scale", {"factor": True}), ("", {}),
        ]  # fmt: skip
        for act, more in orders:
            assert player.do(act, **more)["refused"]["kind"] == "invalid"
        player.socket.send("[]")
        player.gets(3)


def test_a_device_that_confirms_and_does_nothing_is_seen_through(served: Served, ps: Ps) -> None:
    with adopted(served, 66, ps=ps[0]) as (device, point), playing(served, point) as player:
        device.obeys = False
        player.gets(5)
        assert player.do("scale", factor=8)["done"]["scale"] == 8.0
        note = player.heard("note")
        # on a busy machine its one-fold speed is measured as less, which is not what was ordered, either
        assert note["kind"] in ("scale_ignored", "scale_missed") and 0.2 < note["measured"] < 3
        player.told.clear()
        assert player.do("pause")["done"]["paused"] is True
        assert player.heard("note")["kind"] == "pause_ignored"
        assert device.calls[0].bye.wait(10)


@pytest.mark.parametrize(
    ("number", "options", "kind", "reason"),
    [
        (486, {"answer": 486}, "exhausted", "486"),
        (488, {"answer": 488}, "unsupported", "488"),
        (404, {"answer": 404}, "unavailable", "404"),
        (67, {}, "unavailable", "no media arrived"),
    ],
)
def test_refusals_and_silence(served: Served, number: int, options: dict[str, Any], kind: str, reason: str) -> None:
    with adopted(served, 6000 + number, **options) as (_, point), playing(served, point) as player:
        error = player.heard("error")
        assert error["kind"] == kind and reason in error["reason"] and error["play"]
        assert player.closed.wait(10)
        listed = until(lambda: served.get("/plays", point=point["id"])["items"], "the trace is stored")
        [play] = [one for one in listed if one["id"] == error["play"]]
        assert play["kind"] == "device_playback" and play["outcome"] == "failed"


def test_two_viewers_have_a_call_each(served: Served, ps: Ps) -> None:
    with (
        adopted(served, 68, ps=ps[0]) as (device, point),
        playing(served, point) as one,
        playing(served, point) as other,
    ):
        one.gets(3)
        other.do("seek", at=iso(10))
        until(lambda: len(other.epochs) == 2, "the other is elsewhere")
        one.gets(5)
        assert len(one.epochs) == 1 and len(device.calls) == 2
        assert device.calls[0].ssrc != device.calls[1].ssrc


def test_the_end_told_under_a_foreign_name_is_understood(served: Served, ps: Ps) -> None:
    """A maker's recorders put something else than their code into From of the notice."""
    with adopted(served, 69, ps=ps[0]) as (device, point), playing(served, point) as player:
        player.gets(5)
        call = device.calls[-1]
        call.speed = 0.0
        assert device.end_of_file(call, from_code="34010000009990000001") == 200
        assert player.heard("ended")["complete"] is True


# ---- download


def clip(served: Served, point: dict[str, Any], seconds: float, **more: Any) -> httpx.Response:
    return served.operator.get(
        f"/api/v1/points/{point['id']}/device-clip.mp4", params={"from": iso(0), "to": iso(seconds), **more}, timeout=60
    )


@pytest.mark.parametrize("how", ["udp", "tcp"])
def test_a_recording_is_downloaded_whole(served: Served, ps: Ps, how: str) -> None:
    with adopted(served, 70 if how == "udp" else 71, ps=ps[0], takes_tcp=how == "tcp") as (device, point):
        answer = clip(served, point, 8, speed=4)
        assert answer.status_code == 200, answer.text
        got = decoded(answer.content)
        assert got == ps[1][: len(got)] and len(got) >= 198
        assert answer.headers["x-anwang-device-bytes"] == str(len(ps[0]))
        offer = device.calls[-1].invite.body.decode()
        assert "s=Download\r\n" in offer and "a=downloadspeed:4\r\n" in offer
        assert device.calls[-1].bye.wait(10)
        rows = both_rows(served, point["id"], "export")
        closed = next(row for row in rows if row["kind"] == "closed")
        assert closed["bytes"] == len(answer.content) and closed["outcome"] == "ended"


def test_a_download_that_breaks_off_is_no_file(served: Served, ps: Ps) -> None:
    with adopted(served, 72, ps=ps[0]) as (device, point):
        told: list[Exception] = []

        def load() -> None:
            try:
                clip(served, point, 20, speed=1)
            except httpx.HTTPError as err:
                told.append(err)

        thread = threading.Thread(target=load)
        thread.start()
        call = until(lambda: device.calls[-1] if device.calls else None, "it is called")
        until(lambda: served.get("/plays", point=point["id"])["items"], "it runs")
        time.sleep(1.0)  # some of it is out
        call.over.set()  # it hangs up its media connection without a word
        thread.join(30)
        assert told and isinstance(told[0], httpx.RemoteProtocolError), told


def test_who_goes_away_ends_the_call(served: Served, ps: Ps) -> None:
    with adopted(served, 73, ps=ps[0]) as (device, point):
        url = f"/api/v1/points/{point['id']}/device-clip.mp4"
        with served.operator.stream("GET", url, params={"from": iso(0), "to": iso(20), "speed": 1}) as answer:
            next(answer.iter_raw())
        assert device.calls[-1].bye.wait(10)
        rows = both_rows(served, point["id"], "export")
        assert "gone" in next(row["outcome"] for row in rows if row["kind"] == "closed")


def test_administrators_see_where_but_not_what(served: Served) -> None:
    with adopted(served, 74) as (device, point):
        device.records = ([""], 0)
        span = {"from": iso(0), "to": iso(60)}
        assert served.admin.get(f"/api/v1/points/{point['id']}/device-records", params=span).status_code == 200
        assert served.admin.get(f"/api/v1/points/{point['id']}/device-clip.mp4", params=span).status_code == 403
        assert served.admin.post(f"/api/v1/points/{point['id']}/device-snapshot").status_code == 403
        assert served.admin.get(f"/api/v1/points/{point['id']}/ptz/cruise").status_code == 403
        wrong = served.operator.get(
            f"/api/v1/points/{point['id']}/device-clip.mp4", params={"from": iso(0), "to": iso(7 * 3600)}
        )
        assert wrong.json()["kind"] == "invalid"
