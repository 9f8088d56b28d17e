"""SIPp as a device: its registration, keep-alive, catalogue and answer to an INVITE are not ours."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from tests.conftest import missing
from tests.flow.pictures import view
from tests.flow.served import DOMAIN, DOOR_KEY, SERVER, Served, until
from tests.flow.test_device import code, steps

SCENARIOS = Path(__file__).parent / "sipp"


def sipp(folder: Path, served: Served, scenario: str, port: int, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["sipp", f"127.0.0.1:{served.sip_port}", "-sf", str(SCENARIOS / scenario), "-i", "127.0.0.1", "-p", str(port),
         "-nostdin", "-trace_err", "-timeout", "60s", *arguments],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def test_sipp_is_a_device(served: Served, tmp_path: Path) -> None:
    if shutil.which("sipp") is None:
        missing("SIPp")
    own, camera = code(118, 950), code(132, 950)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    users = tmp_path / "users.csv"
    users.write_text(
        f"SEQUENTIAL\n{own};{SERVER};{DOMAIN};[authentication username={own} password={DOOR_KEY}]\n", "ascii"
    )
    with sipp(tmp_path, served, "device.xml", port, "-inf", str(users), "-m", "1") as caller:
        assert caller.wait(60) == 0, [p.read_text() for p in tmp_path.glob("*errors.log")]
    found = until(lambda: served.device(own), "SIPp is listed")
    assert found["status"] == "waiting"

    def heard(kind: str) -> bool:
        listed = served.device(own)
        return listed is not None and any(
            i["kind"] == kind and i["ok"] and i["at"] for i in listed["evidence"]["items"]
        )

    # SIPp sends its one keep-alive at once, often before its registration is written down
    assert until(lambda: heard("registration") and heard("keepalive"), "both are evidence")
    keys = [
        part
        for k, v in (("device", own), ("camera", camera), ("server", SERVER), ("domain", DOMAIN))
        for part in ("-key", k, v)
    ]
    with sipp(tmp_path, served, "called.xml", port, *keys) as called:
        try:
            served.post(f"/devices/{found['id']}/adopt", {"organisation": served.organisation})
            served.post(f"/devices/{found['id']}/sync", None)
            point = until(lambda: served.point(camera), "SIPp's camera is a point", 30)
            assert point["name"] == "SIPp"
            seen = view(served, point["id"], fragments=1)
            assert "no media arrived" in seen.error["reason"], "SIPp agrees and sends no media"
            play = served.get(f"/plays/{seen.error['play']}")
            assert {"invited", "answered", "acknowledged"} <= set(steps(play))
        finally:
            called.terminate()
