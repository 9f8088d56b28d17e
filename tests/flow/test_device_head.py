"""Cruises, home position, switches and the device's own snapshot, with a device that shares no code with us."""

from __future__ import annotations

import io
import re
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.flow.device import ScriptDevice, Sip
from tests.flow.served import DOOR_KEY, Served, serving, until
from tests.flow.test_device import adopted


def jpeg(side: int = 64) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), (200, 30, 30)).save(out, "JPEG")
    return out.getvalue()


def lumas(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).convert("L").tobytes()


def jpeg_comments(data: bytes) -> list[str]:
    comment = Image.open(io.BytesIO(data)).info.get("comment")
    return [comment.decode()] if isinstance(comment, bytes) else []


def control(device: ScriptDevice, text: bytes, seconds: float = 10) -> Sip:
    return device.wait(lambda m: m.method == "MESSAGE" and text in m.body, seconds)


def register_2022(device: ScriptDevice) -> None:
    """Once more, under the edition of 2022."""
    sending = device.send

    def send(text: str, body: bytes = b"") -> None:
        sending(text + "X-GB-Ver: 3.0\r\n" if text.startswith("REGISTER") else text, body)

    device.send = send  # type: ignore[method-assign]
    assert device.register(DOOR_KEY, call_id=f"again-{device.code}") == 200


def response(kind: str, channel: str, rest: str) -> str:
    return f"<Response><CmdType>{kind}</CmdType><SN>{{sn}}</SN><DeviceID>{channel}</DeviceID>{rest}</Response>"


def test_cruises_are_listed_started_made_and_stopped(served: Served) -> None:
    with adopted(served, 80) as (device, point):
        register_2022(device)
        channel, path = point["code"], f"/points/{point['id']}/ptz/cruise"
        device.answers[b"<CmdType>CruiseTrackListQuery<"] = response(
            "CruiseTrackListQuery", channel,
            '<SumNum>2</SumNum><CruiseTrackList Num="2"><CruiseTrack><Number>0</Number><Name>Gate</Name></CruiseTrack>'
            "<CruiseTrack><Number>3</Number></CruiseTrack></CruiseTrackList>",
        )  # fmt: skip
        device.answers[b"<Number>0</Number>"] = response(
            "CruiseTrackQuery", channel,
            '<Number>0</Number><SumNum>1</SumNum><CruisePointList Num="1"><CruisePoint><PresetIndex>4</PresetIndex>'
            "<StayTime>9</StayTime><Speed>7</Speed></CruisePoint></CruisePointList>",
        )  # fmt: skip
        device.answers[b"<Number>3</Number>"] = response("CruiseTrackQuery", channel, "<Result>ERROR</Result>")
        assert served.get(path) == {
            "items": [
                {"track": 0, "name": "Gate", "stops": [{"preset": 4, "stay_s": 9, "speed": 7}]},
                {"track": 3, "name": "", "stops": []},
            ],
            "next": None, "listed": True, "reason": "",
        }  # fmt: skip
        for order, code in (
            ({"act": "start", "track": 1}, b"A50F01880100003E"),
            ({"act": "add", "track": 1, "preset": 5}, b"A50F01840105003F"),
            ({"act": "remove", "track": 1, "preset": 5}, b"A50F018501050040"),
            ({"act": "clear", "track": 1}, b"A50F01850100003B"),
            ({"act": "speed", "track": 1, "value": 300}, b"A50F0186012C1078"),
            ({"act": "dwell", "track": 1, "value": 30}, b"A50F0187011E005B"),
            ({"act": "stop"}, b"A50F0100000000B5"),
        ):
            served.post(path, order, by="operator")
            control(device, code)
        for wrong in ({"act": "add", "track": 1}, {"act": "dwell", "track": 1}):
            answer = served.operator.post(f"/api/v1{path}", json=wrong)
            assert answer.json()["kind"] == "unsupported", answer.text
        deeds = [row["detail"] for row in served.get("/ledger", by="audit", limit=500)["items"]
                 if row["action"] == "ptz" and point["id"] in row["objects"]]  # fmt: skip
        assert "cruise_start 1" in deeds


def test_before_2022_cruises_cannot_be_listed_but_started(served: Served) -> None:
    with adopted(served, 81) as (device, point):
        path = f"/points/{point['id']}/ptz/cruise"
        told = served.get(path)
        assert told["listed"] is False and "before 2022" in told["reason"]
        served.post(path, {"act": "start", "track": 1}, by="operator")
        control(device, b"A50F01880100003E")
        assert served.get(f"/points/{point['id']}/ptz/home")["known"] is False
        answer = served.operator.post(f"/api/v1/points/{point['id']}/device-snapshot")
        assert answer.json()["kind"] == "unsupported"


def test_a_head_that_moves_is_stopped_when_the_platform_ends(tmp_path: Path) -> None:
    with serving(tmp_path) as served, adopted(served, 81) as (device, point):
        served.post(f"/points/{point['id']}/ptz", {"act": "move", "pan": 1.0, "ms": 5000}, by="operator")
        control(device, b"<PTZCmd>A50F0101")
        served.close()
        control(device, b"<PTZCmd>A50F0100")


def test_home_position_and_switches(served: Served) -> None:
    with adopted(served, 82) as (device, point):
        register_2022(device)
        channel, path = point["code"], f"/points/{point['id']}/ptz"
        device.answers[b"<CmdType>HomePositionQuery<"] = response(
            "HomePositionQuery", channel,
            "<HomePosition><Enabled>1</Enabled><ResetTime>45</ResetTime><PresetIndex>2</PresetIndex></HomePosition>",
        )  # fmt: skip
        assert served.get(f"{path}/home") == {
            "known": True, "is_on": True, "reset_s": 45, "preset": 2, "reason": "",
        }  # fmt: skip
        device.answers[b"<HomePosition>"] = response("DeviceControl", channel, "<Result>OK</Result>")
        served.post(path, {"act": "home_on", "preset": 3, "value": 60}, by="operator")
        text = re.sub(rb"\s+", b"", control(device, b"<Enabled>1").body)
        assert b"<HomePosition><Enabled>1</Enabled><ResetTime>60</ResetTime><PresetIndex>3</PresetIndex>" in text
        device.answers[b"<HomePosition>"] = response("DeviceControl", channel, "<Result>ERROR</Result>")
        answer = served.operator.post(f"/api/v1{path}", json={"act": "home_off"})
        assert answer.json()["kind"] == "unsupported" and "refuses" in answer.json()["reason"]

        served.post(path, {"act": "switch_on", "value": 1}, by="operator")
        control(device, b"A50F018C01000042")
        served.post(path, {"act": "switch_off", "value": 1}, by="operator")
        control(device, b"A50F018D01000043")
        assert served.operator.post(f"/api/v1{path}", json={"act": "cruise_start"}).json()["kind"] == "invalid"


class Shooter:
    """The device's side of 图像抓拍. how: its way to upload, called with address and session."""

    def __init__(self, served: Served, device: ScriptDevice, channel: str) -> None:
        self.served, self.device, self.channel = served, device, channel
        self.answer: httpx.Response | None = None
        device.answers[b"<SnapShotConfig>"] = response("DeviceConfig", channel, "<Result>OK</Result>")

    def shoot(self) -> None:
        def ask() -> None:
            self.answer = self.served.operator.post(f"/api/v1/points/{self.point['id']}/device-snapshot", timeout=60)

        point = self.served.point(self.channel)
        assert point is not None
        self.point = point
        self._thread = threading.Thread(target=ask)
        self._thread.start()

    def ordered(self, seen: int = 0) -> tuple[str, str]:
        """Address and session of the newest order."""

        def newest() -> tuple[str, str] | None:
            orders = [m.body.decode("gb18030") for m in self.device.heard if b"<SnapShotConfig>" in m.body]
            if len(orders) <= seen:
                return None
            url = re.search(r"<UploadURL>([^<]+)<", orders[-1])
            session = re.search(r"<SessionID>([A-Za-z0-9-]{32,128})<", orders[-1])
            assert url and session and "<SnapNum>1<" in orders[-1], orders[-1]
            return url[1], session[1]

        return until(newest, "the order for a picture")

    def says(self, session: str, *files: str) -> None:
        listed = "".join(f"<SnapShotFileID>{one}</SnapShotFileID>" for one in files)
        status = self.device.message(
            f"<Notify><CmdType>UploadSnapShotFinished</CmdType><SN>3</SN><DeviceID>{self.channel}</DeviceID>"
            f"<SessionID>{session}</SessionID><SnapShotList>{listed}</SnapShotList></Notify>"
        )
        assert status == 200

    def got(self) -> httpx.Response:
        self._thread.join(40)
        assert self.answer is not None
        return self.answer


@pytest.mark.parametrize("how", ["POST bare", "PUT bare", "POST form"])
def test_the_device_takes_a_picture(served: Served, how: str) -> None:
    number = 83 + ["POST bare", "PUT bare", "POST form"].index(how)
    with adopted(served, number) as (device, point):
        register_2022(device)
        shooter = Shooter(served, device, point["code"])
        shooter.shoot()
        url, session = shooter.ordered()
        assert url.startswith("http://127.0.0.1:"), "where the device reaches us"
        picture = jpeg()
        with httpx.Client(trust_env=False) as camera:
            assert camera.post(url, content=b"not a picture").json()["kind"] == "invalid"
            if how == "POST form":
                files = [("note", ("n.txt", b"x")), ("file", (f"{point['code']}02.jpg", picture))]
                up = camera.post(url, files=files)
            else:
                up = camera.request(how.split()[0], url, content=picture)
            assert up.status_code == 200 and up.json() == {"bytes": len(picture)}
            again = camera.post(url, content=picture)
            assert again.status_code == 404, "the address is good for one picture"
        shooter.says(session, f"{point['code']}0220261122120000000" + "01")
        answer = shooter.got()
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "image/jpeg" and answer.headers["x-anwang-masked"] == "false"
        [comment] = jpeg_comments(answer.content)
        assert comment.startswith("anwang look ") and len(answer.content) == len(picture) + len(comment) + 4
        assert lumas(answer.content) == lumas(picture), "the picture itself is as the device took it"
        rows = [r for r in served.get("/ledger", by="audit", limit=500)["items"]
                if r["action"] == "snapshot" and point["id"] in r["objects"]]  # fmt: skip
        assert {row["kind"] for row in rows} == {"opened", "closed"}
        found = served.device(device.code)
        assert found is not None
        kept = served.admin.get(f"/api/v1/devices/{found['id']}/messages.pcap").content
        assert b"<UploadURL>[redacted]</UploadURL>" in kept and url.encode() not in kept


def test_pictures_that_do_not_come(served: Served) -> None:
    with adopted(served, 86) as (device, point):
        register_2022(device)
        shooter = Shooter(served, device, point["code"])
        shooter.shoot()
        _, session = shooter.ordered()
        shooter.says("a" * 32)  # somebody else's session changes nothing
        shooter.says(session)
        answer = shooter.got()
        assert answer.status_code == 503 and "could not take or upload" in answer.json()["reason"]

        device.answers[b"<SnapShotConfig>"] = response("DeviceConfig", point["code"], "<Result>ERROR</Result>")
        shooter.shoot()
        assert shooter.got().json()["kind"] == "unsupported"


def test_nobody_comes_in_by_guessing(served: Served) -> None:
    with httpx.Client(base_url=served.url, trust_env=False) as stranger:
        for method in ("POST", "PUT"):
            answer = stranger.request(method, "/api/v1/device-uploads/" + "x" * 80, content=jpeg())
            assert answer.status_code == 404
        large: Any = b"\xff\xd8\xff" + bytes(17 << 20)
        assert stranger.post("/api/v1/device-uploads/" + "y" * 80, content=large).status_code in (404, 413)
