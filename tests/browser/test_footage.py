"""Real footage, sent by a server that is not ours, in real Chromium: live, then out of the recording."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import av
import pytest
from playwright.sync_api import Locator, Page

from anwang.kernel.times import BEIJING
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


CASE_NO = "A9901010000002026110001"


def stated(page: Page) -> dict[str, Any]:
    """The session of the page's person, who has stated a purpose."""
    ask = """async case_no => {
        const body = { kind: 'criminal_case', case_no, unit: '北区分局', minutes: 60 }
        const sent = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
        const stated = await fetch('/api/v1/purposes', sent)
        if (!stated.ok) throw new Error(await stated.text())
        return (await fetch('/api/v1/session')).json()
    }"""
    session: dict[str, Any] = page.evaluate(ask, CASE_NO)
    return session


def check_marked(tile: Locator, session: dict[str, Any]) -> None:
    """The visible watermark lies over the whole picture: who looks, of which unit, when, for which case."""
    mark = tile.locator(".watermark")
    picture, box = tile.locator("video").bounding_box(), mark.bounding_box()
    assert picture is not None and box is not None
    middle = (picture["x"] + picture["width"] / 2, picture["y"] + picture["height"] / 2)
    assert box["x"] < middle[0] < box["x"] + box["width"] and box["y"] < middle[1] < box["y"] + box["height"]
    assert box["width"] > 0.9 * picture["width"] and box["height"] > 0.9 * picture["height"]
    above = """mark => {
        const { x, y, width, height } = mark.getBoundingClientRect()
        const style = mark.getAttribute('style')
        mark.style.pointerEvents = 'auto'  // to find it where it lets clicks through
        const there = document.elementsFromPoint(x + width / 2, y + height / 2)
        mark.setAttribute('style', style)
        const video = there.findIndex(each => each.tagName === 'VIDEO')
        return there.includes(mark) && video >= 0 && there.indexOf(mark) < video
    }"""
    assert mark.evaluate(above), "it is drawn over the video, not under it"
    told = unquote(mark.evaluate("mark => getComputedStyle(mark).backgroundImage"))
    now = datetime.now(BEIJING)
    minutes = [f"{now - timedelta(minutes=back):%m-%d %H:%M}" for back in (0, 1, 2)]
    assert session["user"]["display_name"] in told
    assert session["user"]["organisation"]["name"] in told
    assert any(minute in told for minute in minutes), told
    assert CASE_NO in told


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
        page.goto(f"{city.url}/wall")
        session = stated(page)
        page.goto(f"{city.url}/wall?grid=1&points={point['id']}~main")
        video = page.locator(".tile video")
        until(lambda: counted(video) >= 60, "five seconds of it")
        assert size(video) == wanted
        check_marked(page.locator(".tile"), session)

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
        check_marked(page.locator(".tile"), session)
        page.close()
        ended = admin.delete(f"/recording-plans/{answer.json()['id']}", params={"version": answer.json()["version"]})
        assert ended.status_code == 204, ended.text
        assert admin.delete("/rtsp-sources/footage-1").status_code == 204
