"""Real footage from GStreamer's RTSP server: live, recorded, played back, cut; and what a kill -9 costs."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.flow.pictures import decoded, ffmpeg, footage, is_run, view
from tests.flow.served import Served, start, until, write_config


@contextmanager
def camera(movie: Path, *options: str) -> Iterator[int]:
    """GStreamer's RTSP server with the movie; its port. options: as rtspserver.py says."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        found = subprocess.run(["/usr/bin/python3", "-c", probe], capture_output=True, timeout=60, check=False)
        good = found.returncode == 0
    except OSError:
        good = False
    if not good:
        missing("GStreamer's RTSP server")
    script = Path(__file__).with_name("rtspserver.py")
    with subprocess.Popen(
        ["/usr/bin/python3", str(script), str(movie), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stdin is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return footage(tmp_path_factory.mktemp("movie"))


@pytest.fixture(scope="module")
def pictures(movie: Path) -> list[str]:
    return decoded(movie)


def add_source(served: Served, code: str, port: int, path: str = "/cam", **more: str) -> dict[str, Any]:
    """A camera by address; its point."""
    url = f"rtsp://127.0.0.1:{port}{path}"
    named = {"code": code, "name": code, "organisation": served.organisation, "url_main": url}
    served.post("/rtsp-sources", {**named, **more})
    return until(lambda: served.point(code), "the source is a point")


def record(served: Served, point: str) -> None:
    served.post("/recording-plans", {"point": point, "point_class": None, "mode": "continuous"})


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def axis(served: Served, point: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    found = served.get(
        "/timeline",
        points=point,
        **{"from": (now - timedelta(hours=1)).isoformat(), "to": (now + timedelta(minutes=1)).isoformat()},
    )["points"][0]
    assert isinstance(found, dict)
    return found


def seconds_of(found: dict[str, Any]) -> float:
    return sum((moment(s["end"]) - moment(s["start"])).total_seconds() for s in found["spans"])


def clip(served: Served, point: str, start: str, end: str) -> bytes:
    answer = served.operator.get(f"/api/v1/points/{point}/clip.mp4", params={"from": start, "to": end})
    assert answer.status_code == 200, answer.text
    return answer.content


def test_footage_from_the_camera_to_the_clip(served: Served, movie: Path, pictures: list[str], tmp_path: Path) -> None:
    with camera(movie) as port:
        point = add_source(served, "gst-1", port)
        seen = view(served, point["id"], fragments=20)
        assert seen.error == {} and is_run(decoded(seen.data), pictures)
        record(served, point["id"])
        until(lambda: seconds_of(axis(served, point["id"])) >= 9, "nine seconds are on the axis", 50)
        found = axis(served, point["id"])
        until(lambda: axis(served, point["id"])["growing"], "it says that it goes on")
        first, last = found["spans"][0]["start"], found["spans"][-1]["end"]
        begin, end = found["spans"][0]["start"], (moment(first) + timedelta(seconds=8)).isoformat()

        data = clip(served, point["id"], begin, end)
        (tmp_path / "clip.mp4").write_bytes(data)
        cut = decoded(data)
        assert len(cut) > 30 and is_run(cut, pictures), "the clip is a run of the source's pictures"

        url = f"{served.url}/api/v1/points/{point['id']}/playback.m3u8"
        text = served.operator.get(url, params={"from": first, "to": last}).text
        assert text.startswith("#EXTM3U") and ".m4s" in text
        header = f"Authorization: Bearer {served.token}\r\n"
        played = ffmpeg(
            "-headers", header, "-allowed_extensions", "ALL", "-t", "5",
            "-i", str(served.operator.build_request("GET", url, params={"from": first, "to": end}).url),
            "-map", "0:v:0", "-pix_fmt", "gray", "-f", "framemd5", "-",
        ).decode()  # fmt: skip
        shown = [line.rsplit(",", 1)[1].strip() for line in played.splitlines() if line and not line.startswith("#")]
        assert len(shown) > 30 and shown[5:20] == cut[5:20], "HLS shows the same pictures as the clip"

        # evidence: the device is reached, and the point is online
        assert until(lambda: served.state("gst-1") == "online", "online")
        told = served.device("gst-1")
        assert told is not None and told["evidence"]["state"] == "online"


def test_a_camera_that_sends_over_udp_only(served: Served, movie: Path, pictures: list[str]) -> None:
    with camera(movie, "--udp") as port:
        point = add_source(served, "gst-udp", port, transport="udp")
        seen = view(served, point["id"], fragments=40)
        assert seen.error == {} and is_run(decoded(seen.data), pictures)
        play = served.get(f"/plays/{seen.hello['play']}")
        assert any(s["step"] == "invited" and s["detail"].startswith("udp rtsp://") for s in play["steps"])
        other = add_source(served, "gst-no-tcp", port, transport="tcp")
        refused = view(served, other["id"], fragments=1)
        assert refused.error["kind"] == "unavailable" and refused.data == b"", "it was UDP that worked"


def test_sources_nobody_watches_are_probed(served: Served, movie: Path) -> None:
    with camera(movie) as port:
        add_source(served, "gst-2", port)
        until(lambda: served.state("gst-2") == "online", "a source that answers is online")
        told = served.device("gst-2")
        assert told is not None and any(i["detail"] == "it answers" for i in told["evidence"]["items"])
    until(lambda: served.state("gst-2") == "offline", "one that does not is offline", 30)


def test_a_server_without_the_stream_is_not_online(served: Served, movie: Path) -> None:
    with camera(movie) as port:
        point = add_source(served, "gst-3", port, "/no-such-stream")
        seen = view(served, point["id"], fragments=1)
        assert seen.error["kind"] == "unavailable" and "/no-such-stream" in seen.error["reason"]
        until(lambda: served.state("gst-3") == "offline", "the failed play is evidence")


def rows(served: Served) -> list[tuple[int, int]]:
    """Start and end of all indexed segments, and that the database is whole."""
    with contextlib.closing(sqlite3.connect(f"file:{served.data}/media.db?mode=ro", uri=True)) as base:
        assert base.execute("pragma integrity_check").fetchone() == ("ok",)
        return base.execute("select start_us, end_us from segment order by start_us").fetchall()


def children_of(pid: int) -> set[int]:
    """Processes below a process."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False).stdout
    own = {int(line) for line in found.split()}
    return own.union(*(children_of(child) for child in own)) if own else own


def lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.timeout(240)
def test_kill_9(movie: Path, pictures: list[str], tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with camera(movie) as port:
        served = start(tmp_path, config)
        try:
            point = add_source(served, "gst-9", port)["id"]
            record(served, point)
            until(lambda: seconds_of(axis(served, point)) >= 5, "it records", 60)

            # a media child: the stream comes back, the gap says why, and what was being written is not lost
            [child] = served.children
            before = axis(served, point)
            died = datetime.now(UTC)
            os.kill(child, signal.SIGKILL)

            def resumed() -> dict[str, Any] | None:
                found = axis(served, point)
                fresh = [s for s in found["spans"] if moment(s["end"]) > died + timedelta(seconds=2)]
                return found if fresh and any(g["cause"] == "child_died" for g in found["gaps"]) else None

            found = until(resumed, "recording goes on after the child's death", 60)
            [gap] = [g for g in found["gaps"] if g["cause"] == "child_died"]
            assert moment(gap["start"]) > moment(before["spans"][-1]["end"]) - timedelta(seconds=2)
            until(
                lambda: died - moment(axis(served, point)["spans"][0]["end"]) < timedelta(seconds=2),
                "the torn segment is saved",
                20,
            )

            # the main process
            until(
                lambda: moment(axis(served, point)["spans"][-1]["end"]) > died + timedelta(seconds=8),
                "it records on",
                60,
            )
            below = children_of(served.process.pid)
            assert len(below) >= 2
            killed = datetime.now(UTC)
            served.process.kill()
            served.process.wait()
            until(lambda: not any(lives(pid) for pid in below), "all processes below it end, too", 30)
        finally:
            served.close()
        rows(served)
        served = start(tmp_path, config)
        try:
            last = until(lambda: [s for s in axis(served, point)["spans"] if moment(s["start"]) < killed][-1], "spans")
            assert killed - moment(last["end"]) < timedelta(seconds=2), "at most two seconds are lost"
            assert served.get("/health", by="admin")["status"] != "down"
            indexed = rows(served)
            files = sorted((served.data / "objects").rglob("*.mp4"))
            assert indexed and all(start_us < end_us for start_us, end_us in indexed) and len(files) >= len(indexed)
            for file in files:
                assert is_run(decoded(file), pictures), file
            assert not list((served.data / "objects").rglob("*.part"))
            until(lambda: axis(served, point)["spans"][-1]["end"] > last["end"], "it records again", 60)
            stopped = [g for g in axis(served, point)["gaps"] if g["cause"] == "platform_stopped"]
            assert [abs(moment(g["start"]) - moment(last["end"])) < timedelta(seconds=1) for g in stopped] == [True]
        finally:
            served.close()
