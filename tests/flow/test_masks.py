"""Privacy masks on a whole platform: every way by which pictures leave it, each proved by the pixels that come out."""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.flow.device import ScriptDevice
from tests.flow.pictures import Viewed, ffmpeg, program_stream, repeated, scene, view
from tests.flow.served import PASSWORD, PURPOSE, ROOT, Served, serving, until
from tests.flow.test_convert import likeness, lumas, running
from tests.flow.test_device import adopted
from tests.flow.test_device_head import Shooter, register_2022
from tests.flow.test_device_past import iso
from tests.flow.test_footage import add_source, axis, camera, moment, record, seconds_of

GREY = 56
WINDOW = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]
INSIDE, ABOVE = (slice(50, 130), slice(85, 235)), (slice(0, 40), slice(0, 320))
#: routes under these actions that answer with names and numbers, never with pictures
WITHOUT_PICTURES = re.compile(r"/api/v1/(layouts|tours|exports)")
"""Export packages are made by what makes clips; tests/contract/test_exports.py looks at theirs (G09)."""
SHOWS = {"view_live", "view_playback", "snapshot", "export"}


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def source(movie: Path) -> list[np.ndarray]:
    return lumas(movie)


@contextmanager
def officers(served: Served) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Two people who draw masks and decide about each other's wishes."""
    clients = []
    for name in ("flow.officer", "flow.officer2"):
        body = {"username": name, "display_name": name, "role": "officer", "organisation": "city", "password": PASSWORD}
        made = served.security.post("/api/v1/users", json=body)
        assert made.status_code in (201, 409), made.text
        client = served.sign_in(name)
        assert client.post("/api/v1/purposes", json=PURPOSE).status_code == 201
        clients.append(client)
    try:
        yield clients[0], clients[1]
    finally:
        for client in clients:
            client.close()


def cover(served: Served, point: str, *polygons: list[list[float]], preset: int | None = None) -> dict[str, Any]:
    """Give a point these masks beside those that it has."""
    with officers(served) as (officer, _):
        url = f"/api/v1/points/{point}/masks"
        now = officer.get(url).json()
        kept = [{key: one[key] for key in ("id", "preset", "name", "why", "polygon")} for one in now["items"]]
        more = [{"preset": preset, "name": "window", "why": "a flat", "polygon": polygon} for polygon in polygons]
        answer = officer.put(url, json={"version": now["version"], "items": [*kept, *more]})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def lift(served: Served, point: str) -> None:
    """The operator asks to see it without masks, and a second person says yes."""
    now = datetime.now(UTC)
    wanted = {
        "action": "unmask", "objects": [point], "reason": "who went in",
        "from": (now - timedelta(days=3)).isoformat(), "to": (now + timedelta(hours=1)).isoformat(),
    }  # fmt: skip
    asked = served.post("/approvals", wanted, by="operator")
    with officers(served) as (officer, _):
        answer = officer.post(f"/api/v1/approvals/{asked['id']}/decision", json={"yes": True, "reason": ""})
        assert answer.status_code == 200, answer.text


def is_covered(luma: np.ndarray) -> bool:
    area = luma[INSIDE].astype(int)
    return bool(abs(area - GREY).max() <= 12 and area.std() < 4)


def still(data: bytes) -> list[np.ndarray]:
    return [np.asarray(Image.open(io.BytesIO(data)).convert("L"))]


def assert_shown(shown: list[np.ndarray], source: list[np.ndarray], *, covered: bool) -> None:
    """Whether the window is flat; around it, it is in any case a picture of the film."""
    assert shown
    for luma in shown[:: max(1, len(shown) // 12)]:
        assert is_covered(luma) is covered
        assert max(likeness(luma[ABOVE], picture[ABOVE]) for picture in source) > 24


# --- every way out


class House:
    """A recorder whose camera is recorded by us and by itself."""

    def __init__(self, served: Served, device: ScriptDevice, point: dict[str, Any], movie: Path) -> None:
        self.served, self.device, self.point = served, device, point["id"]
        self.code, self.movie = point["code"], movie

    def url(self, path: str) -> str:
        return f"/api/v1/points/{self.point}/{path}"

    def span(self) -> dict[str, str]:
        first = axis(self.served, self.point)["spans"][0]["start"]
        return {"from": first, "to": (moment(first) + timedelta(seconds=5)).isoformat()}

    def get(self, path: str, **params: Any) -> bytes:
        answer = self.served.operator.get(self.url(path), params=params, timeout=90)
        assert answer.status_code == 200, answer.text
        return answer.content

    def pieces(self) -> tuple[bytes, bytes]:
        """Init part and first piece of what is recorded."""
        client, asked = self.served.operator, self.url("playback.m3u8")
        text = client.get(asked, params=self.span()).text
        base = f"{self.served.url}{asked}"
        first = httpx.URL(base).join(text.split('URI="')[1].split('"')[0])
        uri = next(line for line in text.splitlines() if line and not line.startswith("#"))
        parts = [client.get(one, timeout=90) for one in (first, httpx.URL(base).join(uri))]
        assert [part.status_code for part in parts] == [200, 200], parts[-1].text
        return parts[0].content, parts[1].content


def live(house: House) -> list[np.ndarray]:
    shown = []
    for stream, converted in (("main", False), ("sub", False), ("main", True)):
        seen = view(house.served, house.point, fragments=30, stream=stream, converted=converted)
        assert seen.error == {}, seen.error
        shown += lumas(seen.data)
    return shown


def snapshot(house: House) -> list[np.ndarray]:
    return still(house.get("snapshot")) + still(house.get("snapshot", mark="true"))


def recorded(house: House) -> list[np.ndarray]:
    at = (moment(house.span()["from"]) + timedelta(seconds=3)).isoformat()
    return [
        picture
        for more in ({}, {"exact": "false"}, {"mark": "true"})
        for picture in still(house.get("snapshot.jpg", at=at, **more))
    ]


def playback(house: House) -> list[np.ndarray]:
    return lumas(b"".join(house.pieces()))


def clip(house: House) -> list[np.ndarray]:
    return lumas(house.get("clip.mp4", **house.span())) + lumas(house.get("clip.mp4", mark="true", **house.span()))


def device_clip(house: House) -> list[np.ndarray]:
    return lumas(house.get("device-clip.mp4", **{"from": iso(0), "to": iso(4), "speed": 4}))


def device_playback(house: House) -> list[np.ndarray]:
    url = house.served.url.replace("http", "ws", 1) + house.url(f"device-playback?from={iso(0)}&to={iso(4)}")
    headers = {"Authorization": f"Bearer {house.served.token}"}
    data, ended = b"", False
    with connect(url, additional_headers=headers, max_size=None, open_timeout=20, proxy=None) as socket:
        while not ended:
            message = socket.recv(60)
            if isinstance(message, str):
                told = json.loads(message)
                assert "error" not in told, told
                ended = "ended" in told
            else:
                data += message
    return lumas(data)


def device_snapshot(house: House) -> list[np.ndarray]:
    register_2022(house.device)
    shooter = Shooter(house.served, house.device, house.code)
    seen = sum(b"<SnapShotConfig>" in m.body for m in house.device.heard)
    shooter.shoot()
    url, session = shooter.ordered(seen)
    out = io.BytesIO()
    with av.open(str(house.movie)) as film:
        next(film.decode(video=0)).to_image().save(out, "JPEG", quality=92)
    with httpx.Client(trust_env=False) as camera_side:
        assert camera_side.post(url, content=out.getvalue()).status_code == 200
    shooter.says(session, f"{house.code}022026112212000000001")
    answer = shooter.got()
    assert answer.status_code == 200, answer.text
    return still(answer.content)


WAYS: dict[str, Callable[[House], list[np.ndarray]]] = {
    "WEBSOCKET /api/v1/points/{point_id}/live": live,
    "GET /api/v1/points/{point_id}/snapshot": snapshot,
    "GET /api/v1/points/{point_id}/snapshot.jpg": recorded,
    "GET /api/v1/points/{point_id}/playback.m3u8": playback,
    "GET /api/v1/media/{segment_id}/init.mp4": playback,
    "GET /api/v1/media/{segment_id}/{first}-{last}.m4s": playback,
    "GET /api/v1/points/{point_id}/clip.mp4": clip,
    "WEBSOCKET /api/v1/points/{point_id}/device-playback": device_playback,
    "GET /api/v1/points/{point_id}/device-clip.mp4": device_clip,
    "POST /api/v1/points/{point_id}/device-snapshot": device_snapshot,
}


def test_every_way_out_is_looked_at() -> None:
    """A route by which pictures leave, and that nobody walks here, fails: so none can forget the masks."""
    rows = (ROOT / "tests/golden/routes.txt").read_text("utf-8").splitlines()
    found = set()
    for row in rows:
        route, governed_by, _ = row.split(" | ")
        if governed_by.removeprefix("allow ").partition(",")[0] in SHOWS and not WITHOUT_PICTURES.search(route):
            found.add(route)
    assert found == set(WAYS)


@pytest.mark.timeout(400)
def test_g09_no_way_out_shows_what_is_covered_unless_two_want_it(
    tmp_path: Path, movie: Path, source: list[np.ndarray]
) -> None:
    film = program_stream(repeated(movie, 15))  # longer than this takes
    with serving(tmp_path, media={"transcodes": 3}) as served, adopted(served, 95, ps=film) as (device, point):
        house = House(served, device, point, movie)
        record(served, house.point)
        until(lambda: seconds_of(axis(served, house.point)) >= 9, "nine seconds are on the axis", 90)
        cover(served, house.point, WINDOW)
        for way in dict.fromkeys(WAYS.values()):
            assert_shown(way(house), source, covered=True)
        lift(served, house.point)
        for way in dict.fromkeys(WAYS.values()):
            assert_shown(way(house), source, covered=False)


# --- a running stream


def watching(served: Served, point: str, seconds: float, *, stream: str = "main") -> tuple[threading.Thread, Viewed]:
    """A viewer in a thread of its own, for so long."""
    seen = Viewed()
    url = served.url.replace("http", "ws", 1) + f"/api/v1/points/{point}/live?stream={stream}"

    def watch() -> None:
        until_at = time.monotonic() + seconds
        with connect(
            url,
            additional_headers={"Authorization": f"Bearer {served.token}"},
            max_size=None,
            open_timeout=25,
            proxy=None,
        ) as socket:
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                while time.monotonic() < until_at:
                    message = socket.recv(10)
                    if isinstance(message, str):
                        told = json.loads(message)
                        seen.error, seen.hello = told.get("error", seen.error), seen.hello or told
                    else:
                        seen.data += message
                        seen.fragments += b"moof" in message[:64]
            seen.code = socket.protocol.close_code

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread, seen


@pytest.mark.timeout(300)
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_masked_viewers_share_one_encoder_and_a_new_mask_counts_at_once(
    tmp_path: Path, source: list[np.ndarray], codec: str
) -> None:
    movie = scene(tmp_path, codec="libx264" if codec == "h264" else "libx265")
    options = () if codec == "h264" else ("--codec", "h265")
    corner = [[0.0, 0.8], [0.2, 0.8], [0.2, 1.0], [0.0, 1.0]]
    with serving(tmp_path, media={"transcodes": 1}) as served, camera(movie, *options) as port:
        point = add_source(served, f"masked-{codec}", port)["id"]
        bare, seen_bare = watching(served, point, 60)
        until(lambda: seen_bare.fragments > 10, "a bare viewer sees it", 40)
        assert seen_bare.hello["masked"] is False
        cover(served, point, WINDOW)
        bare.join(20)
        assert seen_bare.code == 4503 and "privacy masks" in seen_bare.error["reason"], "it is not shown on"

        threads = [watching(served, point, 14) for _ in range(3)]
        until(lambda: all(seen.fragments > 20 for _, seen in threads), "three viewers see it", 40)
        assert running(served) == 1, "one encoder for all"
        cover(served, point, corner)
        for thread, seen in threads:
            thread.join(30)
            assert seen.error == {} and seen.hello["masked"] is True and seen.hello["codec"].startswith("avc1")
            shown = lumas(seen.data)
            assert_shown(shown, source, covered=True)
            low = [abs(luma[148:176, 4:60].astype(int) - GREY).max() <= 12 for luma in shown]
            assert not low[0] and low[-1], "the new mask came while it ran"
            assert low[low.index(True) :] == [True] * (len(low) - low.index(True)), "and stayed"
        until(lambda: running(served) == 0, "it ends with its last viewer")
        seen = view(served, point, fragments=20)
        assert is_covered(lumas(seen.data)[0])

        lift(served, point)
        assert not is_covered(lumas(view(served, point, fragments=20).data)[0])


# --- whose picture it is


@pytest.mark.timeout(200)
def test_g08_a_picture_leads_back_to_who_took_it(tmp_path: Path, movie: Path) -> None:
    with serving(tmp_path) as served, camera(movie) as port:
        point = add_source(served, "traced", port)["id"]
        record(served, point)
        until(lambda: seconds_of(axis(served, point)) >= 5, "it is recorded", 60)
        span = axis(served, point)["spans"][0]
        clip = {"from": span["start"], "to": (moment(span["start"]) + timedelta(seconds=4)).isoformat()}
        (tmp_path / "p.jpg").write_bytes(served.operator.get(f"/api/v1/points/{point}/snapshot?mark=true").content)
        (tmp_path / "c.mp4").write_bytes(served.operator.get(f"/api/v1/points/{point}/clip.mp4", params=clip).content)
        marked = served.operator.get(f"/api/v1/points/{point}/clip.mp4", params={**clip, "mark": "true"}, timeout=60)
        (tmp_path / "m.mp4").write_bytes(marked.content)
        ffmpeg("-i", str(tmp_path / "m.mp4"), "-c", "copy", str(tmp_path / "again.mp4"))
        (tmp_path / "none.jpg").write_bytes(b"\xff\xd8\xff\xd9 no picture")

        def trace(what: str) -> subprocess.CompletedProcess[str]:
            command = [
                sys.executable,
                "-m",
                "anwang",
                "ledger",
                "trace",
                what,
                "--config",
                str(tmp_path / "settings.toml"),
            ]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)

        for name in ("p.jpg", "c.mp4", "m.mp4", "again.mp4"):
            said = trace(str(tmp_path / name))
            assert said.returncode == 0, said.stderr
            assert "flow.operator" in said.stdout and point in said.stdout, said.stdout
            assert PURPOSE["case_no"] in said.stdout or name == "p.jpg"
        look = re.findall(r"look ([0-9a-f-]{36})", said.stdout)[0]
        assert "flow.operator" in trace(look[-8:]).stdout, "the letters of the visible mark do, too"
        assert trace(str(tmp_path / "none.jpg")).returncode == 1
        assert "no look" in trace("00000000").stderr
