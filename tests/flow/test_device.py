"""A device that shares no code with us: from a wrong password to decoded live pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.flow.device import ScriptDevice
from tests.flow.pictures import decoded, is_run, view
from tests.flow.served import Served, until

Ps = tuple[bytes, list[str]]


def code(kind: int, number: int) -> str:
    return f"34010000{kind:05}{number:07}"


def steps(play: dict[str, Any]) -> list[str]:
    return [step["step"] for step in play["steps"]]


@contextmanager
def adopted(served: Served, number: int, **options: Any) -> Iterator[tuple[ScriptDevice, dict[str, Any]]]:
    """A registered and adopted recorder with one camera; the device and the camera's point."""
    own, camera = code(118, number), code(132, number)
    with ScriptDevice(served.sip_port, own, channels=[(camera, f"相机{number}")], **options) as device:
        assert device.register() == 200
        found = until(lambda: served.device(own), "the device is listed")
        served.post(f"/devices/{found['id']}/adopt", {"organisation": served.organisation})
        yield device, until(lambda: served.point(camera), "its camera is a point")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_from_a_stranger_to_an_online_point_and_offline_again(served: Served, transport: str) -> None:
    number = 10 if transport == "udp" else 11
    own = code(118, number)
    cameras = [(code(132, number * 10 + i), f"路口{number}{i}") for i in range(5)]
    with ScriptDevice(served.sip_port, own, transport=transport, channels=cameras) as device:
        assert device.keepalive() == 403, "who is not registered is not heard"
        assert served.refused(device=own, reason="not registered")
        assert device.register("a wrong password") == 403
        [row] = served.refused(device=own, reason="wrong password")
        assert row["peer"] == f"127.0.0.1/{transport}" and row["count"] == 1

        assert device.register() == 200
        found = until(lambda: served.device(own), "the device waits")
        assert found["status"] == "waiting" and found["transport"] == transport
        assert served.point(cameras[0][0]) is None, "nothing of a device that waits is a point"
        served.post(f"/devices/{found['id']}/adopt", {"organisation": served.organisation})
        for camera, name in cameras:
            point = until(lambda camera=camera: served.point(camera), f"{camera} is a point")  # type: ignore[misc]
            assert point["name"] == name

        def state() -> Any:
            assert device.keepalive() == 200
            return served.state(cameras[4][0]) == "online"

        until(state, "the point is online")
        evidence = served.get(f"/points/{point['id']}/evidence")
        kinds = {item["kind"] for item in evidence["items"] if item["at"]}
        assert evidence["state"] == "online" and "catalogue" in kinds
        told = served.device(own)
        assert told is not None
        [catalogue] = [item for item in told["evidence"]["items"] if item["kind"] == "catalogue"]
        assert (catalogue["ok"], catalogue["detail"]) == (True, "5 listed")

        # three keep-alives missed
        until(lambda: served.state(cameras[4][0]) == "offline", "silence makes it offline", 40)
        told = served.device(own)
        assert told is not None and told["evidence"]["state"] == "offline"
        assert any("keep-alives missed" in (item["detail"] or "") for item in told["evidence"]["items"])


@pytest.mark.parametrize("how", ["udp", "tcp passive", "tcp active"])
def test_live_pictures_are_those_that_were_sent(served: Served, ps: Ps, how: str) -> None:
    stream, pictures = ps
    number = 20 + ["udp", "tcp passive", "tcp active"].index(how)
    with adopted(served, number, ps=stream, takes_tcp=how != "udp") as (device, point):
        if how == "tcp active":
            served.order(device=device.code, transport="tcp-active")
        seen = view(served, point["id"], fragments=40)
        assert seen.error == {} and seen.hello["width"] == 320
        got = decoded(seen.data)
        assert len(got) >= 40 and is_run(got, pictures)
        call = device.calls[-1]
        assert call.how == {"udp": "udp", "tcp passive": "we connect", "tcp active": "we listen"}[how]
        assert call.bye.wait(15), "nobody watches, so the platform hangs up"

        play = until(lambda: (p := served.get(f"/plays/{seen.hello['play']}"))["finished_at"] and p, "the trace ends")
        wanted = [
            "asked",
            "reserved",
            "invited",
            "answered",
            "acknowledged",
            "first_packet",
            "first_key_frame",
            "stopped",
        ]
        at = [steps(play).index(step) for step in wanted]
        assert at == sorted(at)
        assert "first key frame came after" in play["verdict"] and play["outcome"] == "stopped"
        assert any(m["outgoing"] and "y=" in m["text"] for m in play["messages"])


def trace_of(served: Served, point: str) -> dict[str, Any]:
    [newest, *_] = until(lambda: served.get("/plays", point=point)["items"], "a play is stored")
    found = served.get(f"/plays/{newest['id']}")
    assert isinstance(found, dict)
    return found


def test_a_device_that_agrees_and_sends_nothing(served: Served) -> None:
    with adopted(served, 30) as (device, point):
        seen = view(served, point["id"], fragments=1)
        assert seen.data == b"" and seen.error["kind"] == "unavailable" and seen.code == 4503
        assert "no media arrived" in seen.error["reason"]
        assert device.calls[-1].bye.wait(10)
        play = served.get(f"/plays/{seen.error['play']}")
        assert play["outcome"] == "failed" and "no media arrived" in play["verdict"] and "firewall" in play["verdict"]
        assert "first_packet" not in steps(play)


def test_wrong_ssrc_is_said(served: Served, ps: Ps) -> None:
    """It announces another SSRC in its answer than was asked: then that one counts."""
    with adopted(served, 31, ps=ps[0], change_ssrc=True) as (_, point):
        seen = view(served, point["id"], fragments=10)
        assert seen.error == {} and is_run(decoded(seen.data), ps[1])


@pytest.mark.parametrize(
    ("status", "kind", "closed"), [(486, "exhausted", 4429), (488, "unsupported", 4415), (404, "unavailable", 4503)]
)
def test_a_refusal_is_told_as_it_is(served: Served, status: int, kind: str, closed: int) -> None:
    with adopted(served, status, answer=status) as (_, point):
        seen = view(served, point["id"], fragments=1)
        assert seen.error["kind"] == kind and seen.code == closed
        assert str(status) in seen.error["reason"]
        play = trace_of(served, point["id"])
        assert "refused" in steps(play) and f"The device refused: {status}" in play["verdict"]


def spoken(play: dict[str, Any]) -> list[tuple[str, str]]:
    """Which way each message went, and what it was: its method, or its status and what it answers."""
    found = []
    for message in play["messages"]:
        first, text = message["text"].split("\r\n")[0], message["text"]
        answered = re.search(r"(?m)^CSeq: \d+ (\w+)", text)
        assert answered
        what = f"{first.split()[1]} {answered[1]}" if first.startswith("SIP/2.0") else first.split()[0]
        found.append(("out" if message["outgoing"] else "in", what))
    return found


def test_the_trace_holds_what_was_said_when_the_device_refuses(served: Served) -> None:
    """Its verdict says where to look for the answer; two bodies of SDP were all that was kept."""
    with adopted(served, 43, answer=486) as (_, point):
        view(served, point["id"], fragments=1)
        play = trace_of(served, point["id"])
        assert spoken(play) == [("out", "INVITE"), ("in", "100 INVITE"), ("in", "486 INVITE"), ("out", "ACK")]
        assert "Subject: " in play["messages"][0]["text"] and "m=video" in play["messages"][0]["text"]
        assert play["messages"][2]["text"].startswith("SIP/2.0 486 No\r\n")
        at = [message["at"] for message in play["messages"]]
        assert at == sorted(at) and play["started_at"] <= at[0]


def test_the_trace_holds_the_whole_call_to_the_answer_of_its_end(served: Served) -> None:
    secret = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=Play\r\nc=IN IP4 127.0.0.1\r\nk=clear:hidden\r\nt=0 0\r\n"
    answer = secret + b"m=video 15060 TCP/RTP/AVP 96\r\na=sendonly\r\na=setup:active\r\na=rtpmap:96 PS/90000\r\n"
    with adopted(served, 44, sdp=answer) as (device, point):
        view(served, point["id"], fragments=1)
        assert device.calls[-1].bye.wait(10)
        call = [("out", "INVITE"), ("in", "100 INVITE"), ("in", "200 INVITE"), ("out", "ACK")]
        end = [("out", "BYE"), ("in", "200 BYE")]

        def whole() -> Any:
            play = trace_of(served, point["id"])
            return play if spoken(play)[-1] == end[-1] else None

        play = until(whole, "what came after the end is kept, too")
        assert spoken(play) == call + end
        assert "k=[redacted]" in play["messages"][2]["text"] and "hidden" not in str(play)


def test_the_viewer_s_first_picture_is_a_step(served: Served, ps: Ps) -> None:
    with adopted(served, 45, ps=ps[0]) as (_, point):
        url = served.url.replace("http", "ws", 1) + f"/api/v1/points/{point['id']}/live"
        with connect(url, additional_headers={"Authorization": f"Bearer {served.token}"}, proxy=None) as socket:
            play = json.loads(socket.recv(20))["play"]
            nonsense = ["[" * 4000, "no JSON", "[1]", '{"first_picture": null}', '{"first_picture": 1e999}']
            nonsense += ['{"first_picture": -5}', '{"first_picture": "soon"}', "x" * 5000]
            for report in [*nonsense, '{"first_picture": 321.4}', '{"first_picture": 999}']:
                socket.send(report)

            def shown() -> Any:
                found = trace_of(served, point["id"])
                return found if found["id"] == play and "first_picture" in steps(found) else None

            told = until(shown, "the report is a step of the trace")
            assert [s["detail"] for s in told["steps"] if s["step"] == "first_picture"] == ["321 ms after the click"]
            assert told["verdict"].startswith("The first picture came after ")
            assert told["first_picture_ms"] > 0
            assert socket.recv(20), "nonsense before it has ended nothing"


def test_a_device_that_ends_its_registration_is_offline(served: Served) -> None:
    with adopted(served, 40) as (device, point):
        until(lambda: device.keepalive() == 200 and served.state(point["code"]) == "online", "online")
        assert device.register(expires=0) == 200
        until(lambda: served.state(point["code"]) == "offline", "offline")
        assert device.keepalive() == 403


def test_the_end_of_media_ends_the_play(served: Served, ps: Ps) -> None:
    """MediaStatus 121 and BYE of the device: the viewer hears at once, not after the silence."""
    with adopted(served, 41, ps=ps[0]) as (device, point):
        told: list[int] = []

        def end() -> None:
            invite = device.calls[-1].invite
            # a request of the device inside the call: From is its side, To is ours
            body = (
                '<?xml version="1.0"?>\r\n<Notify><CmdType>MediaStatus</CmdType><SN>9</SN>'
                f"<DeviceID>{point['code']}</DeviceID><NotifyType>121</NotifyType></Notify>"
            )
            told.append(device.request("MESSAGE", body.encode(), call_id=invite["Call-ID"]).status)

        seen = view(served, point["id"], fragments=10_000, seconds=8, after=(20, end))
        assert told == [200]
        assert seen.error["kind"] == "unavailable" and "the device ended the stream" in seen.error["reason"]


def test_messages_of_a_device_are_shown_without_secrets(served: Served) -> None:
    with adopted(served, 42) as (device, _):
        found = served.device(device.code)
        assert found is not None
        data = served.admin.get(f"/api/v1/devices/{found['id']}/messages.pcap").content
        assert data[:4] == b"\xd4\xc3\xb2\xa1" and b"REGISTER sip:" in data and b"<CmdType>Catalog" in data
        assert not re.search(rb'response="[0-9a-f]{32}"', data)
