"""How a device is let in: announced before it comes, with a password of its own, or by its address."""

from __future__ import annotations

import socket

from tests.flow.device import ScriptDevice
from tests.flow.served import DOOR_KEY, Served, until
from tests.flow.test_device import code

OWN = "only for this one"


def test_an_announced_device_has_its_own_password(served: Served) -> None:
    number = code(118, 940)
    wanted = {"device_id": number, "name": "北门硬盘录像机", "organisation": served.organisation, "password": OWN}
    device = served.post("/devices", wanted)["device"]
    before = served.get(f"/devices/{device}", by="admin")
    assert (before["status"], before["state"], before["last_seen"]) == ("adopted", "unknown", None)
    assert served.admin.post("/api/v1/devices", json=wanted).status_code == 409
    with ScriptDevice(served.sip_port, number) as stranger:
        assert stranger.register(DOOR_KEY) in (401, 403)
    with ScriptDevice(served.sip_port, number) as known:
        assert known.register(OWN) == 200
        until(lambda: (served.device(number) or {})["state"] == "online", "it is online")
    assert served.get(f"/devices/{device}/password", by="admin") == {"own": True}
    assert OWN not in served.admin.get(f"/api/v1/devices/{device}").text
    assert served.admin.delete(f"/api/v1/devices/{device}/password").json() == {"own": False}
    with ScriptDevice(served.sip_port, number) as known:
        assert known.register(DOOR_KEY) == 200
    short = served.admin.put(f"/api/v1/devices/{device}/password", json={"password": ""})
    assert short.status_code == 400
    assert served.operator.get(f"/api/v1/devices/{device}/password").status_code == 403


def test_a_camera_by_address_can_be_seen_changed_and_let_go(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/cam"
        wanted = {
            "code": "doors-1", "name": "门口", "organisation": served.organisation, "url_main": url,
            "username": "viewer", "password": "a camera's",
        }  # fmt: skip
        device = served.post("/rtsp-sources", wanted)["device"]
        until(lambda: served.point("doors-1"), "it is a point")
        shown = served.get("/rtsp-sources/doors-1", by="admin")
        assert shown == {
            "code": "doors-1", "device": device, "url_main": url, "url_sub": "", "username": "viewer",
            "has_password": True, "transport": "tcp",
        }  # fmt: skip
        assert shown in served.get("/rtsp-sources", by="admin", cursor="doors-0", limit=1)["items"]
        changed = served.admin.patch("/api/v1/rtsp-sources/doors-1", json={"url_sub": url + "2", "password": ""})
        assert changed.json() == {**shown, "url_sub": url + "2", "has_password": False}
        assert served.admin.patch("/api/v1/rtsp-sources/doors-1", json={"url_main": "file:///x"}).status_code == 400
        assert served.operator.get("/api/v1/rtsp-sources").status_code == 403
        assert served.admin.delete("/api/v1/rtsp-sources/doors-1").status_code == 204
        assert served.admin.get("/api/v1/rtsp-sources/doors-1").status_code == 404
        assert served.get(f"/devices/{device}", by="admin")["status"] == "refused"
        assert served.point("doors-1") is not None  # with its history
        served.post("/rtsp-sources", wanted)
        assert served.get(f"/devices/{device}", by="admin")["status"] == "adopted"
    deeds = [row for row in served.get("/ledger", by="audit", limit=200)["items"] if row["action"] == "adopt"]
    assert any("RTSP source removed" in row["detail"] for row in deeds)
    assert all("a camera's" not in row["detail"] and OWN not in row["detail"] for row in deeds)
