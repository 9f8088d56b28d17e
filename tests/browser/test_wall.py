"""The wall as an operator works it, with the keyboard: heads, traces, the last half minute, grids; days and speeds."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.city import PATIENCE_MS, City, moment, until
from tests.browser.conftest import Open
from tests.browser.test_screens import plays, shown

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]
expect.set_options(timeout=PATIENCE_MS)


def dome(city: City) -> dict[str, Any]:
    """A camera with a head that is online."""
    with city.client("operator") as api:

        def found() -> dict[str, Any] | None:
            items = api.get("/points", params={"q": "球机", "state": "online", "limit": 5}).json()["items"]
            return items[0] if items else None

        return until(found, "a dome camera is online")


def test_an_operator_turns_a_head_asks_why_and_looks_again(city: City, enter: Open) -> None:
    camera = dome(city)
    page = enter("operator")
    page.goto(f"{city.url}/wall?grid=4&points={camera['id']}~sub")
    tiles = page.get_by_role("listbox", name="视频墙").get_by_role("option")
    tile = tiles.first
    plays(tile.locator("video"))
    expect(tile.locator(".tile-foot")).to_contain_text(re.compile(r"延迟 \d"))
    tile.click()
    page.keyboard.press("p")
    pad = page.get_by_label("云台", exact=True)
    expect(pad.get_by_role("button", name="右", exact=True)).to_be_visible()
    with city.client("operator") as api:
        pad.get_by_role("button", name="右", exact=True).click(delay=400)
        holder = until(lambda: api.get(f"/points/{camera['id']}/ptz").json()["holder"], "the head is held")
        assert holder["mine"] and holder["name"] == "值班员"
    page.keyboard.press("p")
    expect(pad).to_have_count(0)

    page.keyboard.press("t")
    trace = page.get_by_role("dialog")
    expect(trace).to_contain_text("首个画面")
    expect(trace.get_by_text(re.compile("信令（[1-9]"))).to_be_visible()
    page.keyboard.press("Escape")
    expect(trace).to_be_hidden()
    tile.click()

    for tiles_now in (6, 8, 9, 16):
        page.keyboard.press("]")
        expect(tiles).to_have_count(tiles_now)
    page.keyboard.press("[")
    expect(tiles).to_have_count(9)
    plays(tile.locator("video"), 5)


def test_the_last_half_minute_a_day_and_a_speed(city: City, enter: Open) -> None:
    [span] = city.recorded(1, 20)
    page = enter("operator")
    page.goto(f"{city.url}/wall?grid=1&points={span['id']}~main")
    tile = page.get_by_role("listbox", name="视频墙").get_by_role("option").first
    plays(tile.locator("video").first)
    tile.click()
    page.keyboard.press("r")
    replay = tile.locator(".tile-replay")
    until(lambda: shown(replay.locator("video"))[1] >= 5, "it plays what was")  # its source may be renewed meanwhile
    page.keyboard.press("r")
    expect(replay).to_have_count(0)

    at = (moment(span["start"]) + timedelta(seconds=4)).isoformat().replace("+00:00", "Z")
    page.goto(f"{city.url}/playback?span=30&at={at}&points={span['id']}")
    video = page.locator(".tile video").first
    plays(video, 5)
    page.keyboard.press("c")
    days = page.locator(".days-grid")
    recorded = days.locator("button:not([disabled])")
    expect(recorded.first).to_be_visible()
    recorded.last.click()
    page.keyboard.press("Escape")
    page.goto(f"{city.url}/playback?span=30&at={at}&points={span['id']}")
    plays(video, 5)
    page.get_by_role("combobox", name=re.compile("倍速|速度")).click()
    page.get_by_text("4×", exact=True).click()
    typed = page.get_by_label("跳转到时间")
    before = typed.input_value()
    until(lambda: typed.input_value() > before, "the clock runs")
    assert video.evaluate("video => video.playbackRate") > 2
