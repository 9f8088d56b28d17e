"""`anwang sim devices` against the real platform: it counts as they do, and names what is wrong with them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.flow.pictures import decoded, view
from tests.flow.served import DOOR_KEY, ROOT, SERVER, Served, serving, until

PATIENCE_S = 120
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A platform of our own, for hundreds of devices stay behind; it expects a keep-alive each second, misses three."""
    patient: dict[str, object] = {"first_packet_seconds": 12.0}
    with serving(tmp_path_factory.mktemp("sim"), gb28181={"keepalive_seconds": 1.5}, media=patient) as made:
        yield made


class Sim:
    """The command as a process, and its reports."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.reports: list[dict[str, Any]] = []

    def until(self, name: str, least: int) -> dict[str, Any]:
        """The first report in which this figure is so high."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.reports.append(json.loads(line))
            if self.reports[-1][name] >= least:
                return self.reports[-1]
        raise AssertionError(f"it ended with {self.reports[-1:]}")

    def end(self) -> dict[str, Any]:
        """Ctrl+C, and the last report."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stdout is not None
        self.reports += [json.loads(line) for line in self.process.stdout]
        assert self.process.wait(PATIENCE_S) == 0
        assert self.reports[-1]["event"] == "result"
        return self.reports[-1]


@contextmanager
def sim(served: Served, *arguments: str) -> Iterator[Sim]:
    """`anwang sim devices … --json` while the context lasts."""
    command = [sys.executable, "-m", "anwang", "sim", "devices", "--json", "--port", str(served.sip_port)]
    command += ["--server-id", SERVER, "--keepalive", "1", *arguments]
    environment = {**os.environ, "ANWANG_GB28181_PASSWORD": DOOR_KEY}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment, text=True) as process:
        try:
            yield Sim(process)
        finally:
            if process.poll() is None:
                process.kill()


def stem(number: int) -> str:
    """The first 14 digits of a test's own devices."""
    return f"990101{number:02}001327"


def metric(served: Served, name: str) -> float:
    """A figure of the platform's own."""
    text = served.admin.get("/metrics").text
    found = re.search(rf"^{name}(?:_total)? (\S+)$", text, re.M)
    assert found, f"no metric {name}"
    return float(found[1])


def adopted(served: Served, code: str, *, channel: str = "") -> dict[str, Any]:
    """The point of a device that waited."""
    found = until(lambda: served.device(code), f"{code} waits", PATIENCE_S)
    served.post(f"/devices/{found['id']}/adopt", {"organisation": served.organisation})
    return until(lambda: served.point(channel or code), f"{code} is a point", PATIENCE_S)


@pytest.mark.parametrize(("transport", "number"), [("udp", 10), ("tcp", 11)])
def test_the_platform_counts_the_same(platform: Served, transport: str, number: int) -> None:
    before = metric(platform, "anwang_sip_registered_devices")
    arguments = ["--count", "200", "--sockets", "4", "--transport", transport, "--codes", stem(number)]
    with sim(platform, *arguments) as devices:
        devices.until("registered", 200)
        until(
            lambda: metric(platform, "anwang_sip_registered_devices") == before + 200, "it counts 200 more", PATIENCE_S
        )
        told = devices.until("keepalives_answered", 400)
        assert metric(platform, "anwang_sip_keepalives") >= told["keepalives_answered"]

        def listed() -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = platform.get("/devices", by="admin", q=stem(number), limit=1000)["items"]
            return rows if len(rows) == 200 else []

        waiting = until(listed, "all of them wait", PATIENCE_S)
        assert {one["device_id"] for one in waiting} == {f"{stem(number)}{index:06}" for index in range(200)}
        assert {one["status"] for one in waiting} == {"waiting"}
        assert {one["transport"] for one in waiting} == {transport}
        assert len({one["address"] for one in waiting}) == 4, "they share four sockets"

        code = f"{stem(number)}000007"
        point = adopted(platform, code)
        assert point["name"] == f"外接摄像机 {code[12:]}"
        seen = view(platform, point["id"], fragments=20, stream="sub")
        assert seen.error == {}
        assert len(decoded(seen.data)) >= 20
        last = devices.end()
    assert last["logged_out"] == 200
    assert (last["refused"], last["refused_by_reason"]) == (0, {})
    assert last["calls"] == 1 and last["frames"] >= 20 and last["media_bytes"] > 10_000
    assert last["keepalives_answered"] + last["lost"] >= last["keepalives"]
    until(lambda: metric(platform, "anwang_sip_registered_devices") == before, "they have logged out", PATIENCE_S)


def test_refusals_are_told_with_their_reason(platform: Served) -> None:
    with sim(platform, "--count", "3", "--codes", stem(12), "--password", "not the one") as devices:
        devices.until("refused", 3)
        last = devices.end()
    assert last["registered"] == 0
    assert last["refused_by_reason"] == {"REGISTER: 403 Forbidden": 3}
    assert platform.refused(device=stem(12), reason="wrong password")


def test_a_platform_that_is_not_there_is_said(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "anwang", "sim", "devices", "--count", "2", "--transport", "tcp", "--port", "1"]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1
    assert "127.0.0.1:1/tcp can't be reached" in done.stderr
    command[command.index("--port") + 1 :] = ["5060", "--profile", "rain"]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1
    assert "no profile is called 'rain'" in done.stderr and "half_open" in done.stderr


# ---- profiles: each is named by a verdict, a finding or a counter


def trace(served: Served, point: str, word: str) -> dict[str, Any]:
    """The newest play of a point once its verdict says this."""

    def found() -> dict[str, Any] | None:
        rows = served.get("/plays", point=point)["items"]
        return rows[0] if rows and word in rows[0]["verdict"] else None

    return until(found, f"a verdict with {word!r}: {served.get('/plays', point=point)['items'][:1]}", PATIENCE_S)


@pytest.mark.parametrize(
    ("profile", "transport", "number", "word"),
    [
        ("loss=0.02", "udp", 20, "packets did not arrive"),
        ("reorder=0.2", "udp", 21, "packets overtook others"),
        ("clock_jump", "tcp-passive", 22, "clock jumped"),
    ],
)
def test_what_disturbs_a_stream_is_noticed(
    platform: Served, profile: str, transport: str, number: int, word: str
) -> None:
    with sim(platform, "--count", "1", "--codes", stem(number), "--profile", profile) as devices:
        point = adopted(platform, f"{stem(number)}000000")
        platform.order(device=f"{stem(number)}000000", transport=transport)
        # the small stream, whose key frames often survive a loss of some packets
        view(platform, point["id"], fragments=40, seconds=PATIENCE_S, stream="sub")
        found = trace(platform, point["id"], word)
        assert found["outcome"] != "failed"
        devices.end()


def test_disorder_and_loss_are_counted_while_they_last(platform: Served) -> None:
    with sim(platform, "--count", "1", "--codes", stem(28), "--profile", "reorder=0.2", "--profile", "loss=0.02"):
        point = adopted(platform, f"{stem(28)}000000")
        platform.order(device=f"{stem(28)}000000", transport="udp")
        counted: list[float] = []

        def count() -> None:
            for name in ("anwang_open_streams_lost_packets", "anwang_open_streams_reordered_packets"):
                counted.append(until(lambda name=name: metric(platform, name), name, PATIENCE_S))  # type: ignore[misc]

        seen = view(platform, point["id"], fragments=60, seconds=PATIENCE_S, stream="sub", after=(10, count))
        assert len(counted) == 2
        assert any(0.001 < flow["loss"] < 0.2 and flow["lost"] for flow in seen.flows), "the viewer is told, too"


@pytest.mark.parametrize(
    ("profile", "number", "word"),
    [
        ("wrong_ssrc=4711", 23, "another SSRC than agreed"),
        ("no_key", 24, "no key frame"),
        ("no_media", 25, "no media arrived"),
        ("half_open", 26, "opened its media connection, but sent nothing"),
    ],
)
def test_what_prevents_a_stream_is_the_verdict(platform: Served, profile: str, number: int, word: str) -> None:
    with sim(platform, "--count", "1", "--codes", stem(number), "--profile", profile) as devices:
        point = adopted(platform, f"{stem(number)}000000")
        platform.order(device=f"{stem(number)}000000", transport="tcp-passive" if profile == "half_open" else "udp")
        seen = view(platform, point["id"], fragments=1, seconds=PATIENCE_S)
        assert seen.data == b"" and word in seen.error["reason"]
        assert platform.get(f"/plays/{seen.error['play']}")["outcome"] == "failed"
        devices.end()


@pytest.mark.parametrize(("profile", "transport", "number"), [("half_open", "tcp", 30), ("silent", "udp", 31)])
def test_a_connection_with_nobody_behind_it_is_offline(
    platform: Served, profile: str, transport: str, number: int
) -> None:
    arguments = ["--count", "2", "--share", "0.5", "--codes", stem(number), "--transport", transport]
    with sim(platform, *arguments, "--profile", profile) as devices:
        devices.until("registered", 2)

        def details() -> bool:
            gone, fine = (platform.device(f"{stem(number)}{index:06}") for index in range(2))
            if gone is None or fine is None or gone["evidence"]["state"] != "offline":
                return False
            assert any("keep-alives missed" in (item["detail"] or "") for item in gone["evidence"]["items"])
            return fine["evidence"]["state"] == "online"  # type: ignore[no-any-return]

        until(details, "one is offline for want of keep-alives, the other online", PATIENCE_S)


def test_a_code_of_another_device_is_a_finding(platform: Served) -> None:
    with sim(platform, "--count", "2", "--codes", stem(40), "--profile", "duplicate_code") as devices:
        mine, other = (f"{stem(40)}{index:06}" for index in range(2))
        adopted(platform, mine)
        adopted(platform, other, channel=mine)

        def findings() -> int:
            rows = platform.get("/findings", by="admin", rule="DQ03")["items"]
            return sum(mine in row["message"] for row in rows)

        until(lambda: findings() == 2, "each of the two points has it", PATIENCE_S)
        devices.end()


def test_storms_are_counted(platform: Served) -> None:
    registrations = metric(platform, "anwang_sip_registrations")
    notices = metric(platform, "anwang_sip_catalogue_notices")
    arguments = ["--count", "10", "--codes", stem(41)]
    with sim(platform, *arguments, "--profile", "register_storm=0.5", "--profile", "catalogue_storm=10") as devices:
        devices.until("registrations", 60)
        devices.until("notices", 300)
        last = devices.end()
    assert last["refused"] == 0
    assert metric(platform, "anwang_sip_registrations") - registrations >= 60
    assert metric(platform, "anwang_sip_catalogue_notices") - notices >= 200
    assert platform.process.poll() is None
