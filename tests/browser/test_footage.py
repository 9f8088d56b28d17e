"""Real footage, sent by a server that is not ours, in real Chromium: live, then out of the recording."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import pytest
from playwright.sync_api import Locator

from tests.browser.city import City, length, moment, until
from tests.browser.conftest import Open
from tests.flow.pictures import footage
from tests.flow.test_footage import camera

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


def size(video: Locator) -> tuple[int, int]:
    """Of the pictures that a video element shows."""
    width, height = video.evaluate("v => [v.videoWidth, v.videoHeight]")
    return int(width), int(height)


def counted(video: Locator) -> int:
    """Pictures presented so far."""
    seen = "v => { const q = v.getVideoPlaybackQuality(); return q.totalVideoFrames - q.droppedVideoFrames }"
    return int(video.evaluate(seen))


def test_real_footage_is_seen_live_and_again(city: City, enter: Open, tmp_path: Path) -> None:
    movie = footage(tmp_path)
    with av.open(str(movie)) as opened:
        wanted = opened.streams.video[0].width, opened.streams.video[0].height
    with camera(movie) as port, city.client("administrator") as admin, city.client("operator") as operator:
        [organisation] = admin.get("/organisations").json()["items"][:1]
        source = {"code": "footage-1", "name": "停车场实景", "organisation": organisation["id"]}
        answer = admin.post("/rtsp-sources", json={**source, "url_main": f"rtsp://127.0.0.1:{port}/cam"})
        assert answer.status_code == 201, answer.text

        def found() -> dict[str, Any] | None:
            rows: list[dict[str, Any]] = operator.get("/points", params={"q": "footage-1"}).json()["items"]
            return rows[0] if rows else None

        point = until(found, "the source is a point")
        plan = {"point": point["id"], "point_class": None, "mode": "continuous"}
        answer = admin.post("/recording-plans", json=plan)
        assert answer.status_code == 201, answer.text
        page = enter("operator")
        page.goto(f"{city.url}/wall?grid=1&points={point['id']}~main")
        video = page.locator(".tile video")
        until(lambda: counted(video) >= 60, "five seconds of it")
        assert size(video) == wanted

        def span() -> dict[str, Any] | None:
            now = datetime.now(UTC)
            query = {"points": point["id"], "from": (now - timedelta(hours=1)).isoformat(), "to": now.isoformat()}
            spans = operator.get("/timeline", params=query).json()["points"][0]["spans"]
            return next((one for one in spans if length(one) > 12), None)

        recorded = until(span, "twelve seconds are recorded", 120)
        at = (moment(recorded["start"]) + timedelta(seconds=3)).isoformat().replace("+00:00", "Z")
        page.goto(f"{city.url}/playback?span=30&at={at}&points={point['id']}")
        again = page.locator(".tile video")
        until(lambda: counted(again) >= 40, "its recording plays")
        assert size(again) == wanted
        page.close()
        ended = admin.delete(f"/recording-plans/{answer.json()['id']}", params={"version": answer.json()["version"]})
        assert ended.status_code == 204, ended.text
        assert admin.delete("/rtsp-sources/footage-1").status_code == 204
