"""The screens as a person uses them: real Chromium, the real platform, real video of the simulated city."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable
from datetime import timedelta
from math import asinh, cos, hypot, pi, radians, tan
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Download, Locator, Page, expect

from tests.browser.city import PATIENCE_MS, City, moment, until
from tests.browser.conftest import Open
from tests.flow.device import ScriptDevice

# one demo for all, on one worker (tests/conftest.py); the first test waits for it
pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]
expect.set_options(timeout=PATIENCE_MS)
IMAGES = Path(__file__).parents[2] / "docs/images"
LARGE = {"width": 1600, "height": 900} if os.environ.get("SCREENSHOTS") else {}
TOKENS = [
    *("3fb6c9", "4fb286", "d9a441", "d8574f", "6b7885", "e5484d", "ee8433"),
    *("e2c044", "4b8fe0", "5c7690", "9a7fd1", "ffffff", "000000"),
]
"""Colours that mean something: too rare on the screen for a palette to keep them by itself."""
GREEN = (0x4F, 0xB2, 0x86)
"""What stands for online in the dark theme."""
VIOLET = (0x9A, 0x7F, 0xD1)
"""What stands for held there."""


def picture(page: Page, name: str) -> None:
    """With SCREENSHOTS=1: the window as it is now, for the README."""
    if os.environ.get("SCREENSHOTS"):
        IMAGES.mkdir(parents=True, exist_ok=True)
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        found = image.quantize(256 - len(TOKENS), dither=Image.Dither.NONE).getpalette() or []
        colours = Image.new("P", (1, 1))
        colours.putpalette([*found, *(part for token in TOKENS for part in bytes.fromhex(token))])
        image.quantize(palette=colours, dither=Image.Dither.NONE).save(IMAGES / f"{name}.png", optimize=True)


def near(page: Page, colour: tuple[int, int, int], box: Locator) -> int:
    """How many pixels of an element are about that colour."""
    image = Image.open(io.BytesIO(box.screenshot())).convert("RGB")
    pixels: Any = image.get_flattened_data() if hasattr(image, "get_flattened_data") else image.getdata()
    return sum(all(abs(a - b) <= 12 for a, b in zip(pixel, colour, strict=True)) for pixel in pixels)


def shown(video: Locator) -> tuple[float, int]:
    """Where a video element stands, and how many frames it has decoded to show."""
    found: list[float] = video.evaluate(
        "v => { const q = v.getVideoPlaybackQuality(); return [v.currentTime, q.totalVideoFrames] }"
    )
    return found[0], int(found[1])


def plays(video: Locator, frames: int = 12) -> None:
    """The element shows so many more frames, and its clock moves with them."""
    until(lambda: shown(video)[1] > 0, "a first frame")
    at, before = shown(video)
    until(lambda: shown(video)[1] >= before + frames, f"{frames} more frames")
    assert shown(video)[0] > at


def showcase(city: City) -> list[dict[str, Any]]:
    """The four cameras that the demo records, for the README: a crossing in the city among them."""
    with city.client("operator") as api:
        return [api.get(f"/points/{span['id']}").json() for span in city.recorded(4, 5)]


def test_who_signs_in_comes_to_the_map_and_opens_a_camera(city: City, enter: Open) -> None:
    [camera] = city.cameras(1)
    if LARGE:
        camera = next(one for one in showcase(city) if "街口" in one["name"])
    page = enter(None, **LARGE)
    page.goto(f"{city.url}/map?list=1")
    account = city.accounts["operator"]
    page.get_by_label("用户名").fill(account["username"])
    page.get_by_label("密码").fill("not this one")
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("alert")).to_contain_text("用户名或密码不正确")
    page.get_by_label("密码").fill(account["password"])
    page.get_by_role("button", name="登录").click()
    expect(page).to_have_url(re.compile(r"/map\?list=1"))
    expect(page.get_by_role("grid")).to_be_visible()

    page.get_by_role("tab", name="图层").click()
    canvas = page.locator(".map-canvas canvas")
    until(lambda: near(page, GREEN, canvas) > 400, "rings of clusters are drawn")

    # a chosen point comes to stand where the panels leave room
    page.goto(f"{city.url}/map?point={camera['id']}")
    card = page.locator(".map-right")
    expect(card.get_by_role("heading", name=camera["name"])).to_be_visible()
    plays(card.locator("video"))  # by then the map has come to rest
    page.keyboard.press("Escape")
    expect(card.get_by_role("heading")).to_have_count(0)
    box = canvas.bounding_box()
    assert box is not None

    def clicked() -> bool:
        page.mouse.click(box["x"] + box["width"] / 2 - 60, box["y"] + box["height"] / 2 - 20)
        page.wait_for_timeout(300)
        return card.get_by_role("heading").count() > 0

    until(clicked, "a click on its symbol opens the card")
    plays(card.locator("video"))
    expect(card.get_by_text(camera["code"]).first).to_be_visible()
    expect(card.locator(".stale-badge")).to_have_count(0)
    card.get_by_role("button", name="证据", exact=True).click()
    expect(card.get_by_text("保活").first).to_be_visible()
    card.get_by_role("button", name="历史", exact=True).click()
    today = card.locator(".history-day").first
    expect(today).to_contain_text("%")
    today.click()
    expect(card.locator(".history-changes")).to_contain_text("在线")
    card.get_by_role("button", name="证据", exact=True).click()
    if os.environ.get("SCREENSHOTS"):
        card.get_by_role("button", name="证据", exact=True).click()
        for _ in range(4):
            page.get_by_role("button", name="缩小").click()
            page.wait_for_timeout(600)
        page.mouse.move(700, 600)
        until(lambda: near(page, GREEN, canvas) > 400, "clusters again")
        page.wait_for_timeout(3000)
    picture(page, "map")


def on_the_map(page: Page, place: tuple[float, float]) -> tuple[float, float]:
    """Where a position is in the window now, by the view that the map keeps for the next visit."""
    view = page.evaluate("JSON.parse(sessionStorage.getItem('anwang.map.view'))")
    box = page.locator(".map-canvas canvas").bounding_box()
    assert box is not None

    def world(longitude: float, latitude: float) -> tuple[float, float]:
        size = 512 * 2 ** view["zoom"]
        return (longitude / 360 + 0.5) * size, (0.5 - asinh(tan(radians(latitude))) / (2 * pi)) * size

    (x, y), (x0, y0) = world(*place), world(*view["center"])
    return box["x"] + box["width"] / 2 + x - x0, box["y"] + box["height"] / 2 + y - y0


def test_a_body_worn_camera_is_followed_on_the_map(city: City, enter: Open) -> None:
    with city.client("operator") as api:
        [point, *_] = until(lambda: api.get("/points", params={"q": "执法记录仪"}).json()["items"], "one is there")
        home = point["longitude"], point["latitude"]

        def told() -> tuple[float, float] | None:
            items = api.get("/positions").json()["items"]
            return next(((one["longitude"], one["latitude"]) for one in items if one["point"] == point["id"]), None)

        first = until(told, "it tells where it is")
        page = enter("operator")
        page.goto(f"{city.url}/map?point={point['id']}")
        card = page.locator(".map-right")
        name = card.get_by_role("heading", name=point["name"])
        expect(name).to_be_visible()
        card.get_by_role("button", name="证据", exact=True).click()
        expect(card.get_by_role("row").filter(has_text="位置")).to_contain_text("km/h")
        page.wait_for_timeout(1500)  # the map flies there
        page.keyboard.press("Escape")
        expect(card.get_by_role("heading")).to_have_count(0)

        def opens(place: tuple[float, float]) -> bool:
            page.mouse.click(*on_the_map(page, place))
            page.wait_for_timeout(400)
            found = name.count() > 0
            if card.get_by_role("heading").count():
                page.keyboard.press("Escape")
                expect(card.get_by_role("heading")).to_have_count(0)
            return found

        until(lambda: opens(told() or first), "its symbol is where it said it is")
        until(lambda: away_m(told() or first, first) > 25, "it goes on")
        until(lambda: opens(told() or first), "its symbol has gone with it")
        assert not opens(first) and away_m(told() or first, home) > 25
        assert not opens(home), "nothing is left where it is registered"


def away_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Metres between two positions of a city."""
    return hypot((a[0] - b[0]) * cos(radians(a[1])), a[1] - b[1]) * 111_319


def test_four_tiles_of_the_wall_play(city: City, enter: Open) -> None:
    cameras = showcase(city) if LARGE else city.cameras(4)
    page = enter("operator", **LARGE)
    stream = "main" if LARGE else "sub"
    page.goto(f"{city.url}/wall?grid=4&points=" + ",".join(f"{one['id']}~{stream}" for one in cameras))
    wall = page.get_by_role("listbox", name="视频墙")
    tiles = wall.get_by_role("option")
    expect(tiles).to_have_count(4)
    for n, camera in enumerate(cameras):
        tile = tiles.nth(n)
        plays(tile.locator("video"))
        expect(tile.locator(".tile-head")).to_contain_text(camera["name"])
        expect(tile.locator(".tile-foot")).to_contain_text("H.264")
        expect(tile.locator(".tile-foot")).to_contain_text(re.compile(r"[1-9]\d* fps"))
        expect(tile.locator(".stale-badge")).to_have_count(0)
    if LARGE:
        page.wait_for_timeout(6000)
    picture(page, "wall")

    tiles.nth(1).click()
    page.keyboard.press("Enter")
    expect(tiles.nth(1)).to_have_class(re.compile("tile-big"))
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+f")  # alone on the screen, and what opens over it is seen
    expect(tiles.nth(1)).to_have_class(re.compile("tile-big"))
    expect(page.locator(".topbar")).to_be_hidden()
    tiles.nth(1).click(button="right")
    expect(page.get_by_role("menuitem", name="关闭")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+f")
    expect(page.locator(".topbar")).to_be_visible()
    expect(tiles.nth(1)).not_to_have_class(re.compile("tile-big"))
    saved: list[Download] = []
    page.on("download", lambda one: saved.append(one))

    def snapped() -> bool:
        page.keyboard.press("s")
        page.wait_for_timeout(2000)
        return bool(saved)

    until(snapped, "a snapshot is saved")
    assert saved[0].suggested_filename.endswith(".jpg")
    with Image.open(saved[0].path()) as still:
        assert still.size[0] >= 320

    page.keyboard.press("Delete")
    expect(tiles.nth(1)).to_contain_text("空闲画面")


def test_a_recorded_range_plays_and_is_sought(city: City, enter: Open) -> None:
    spans = city.recorded(2, 16)
    ids = [span["id"] for span in spans]
    at = (max(moment(span["start"]) for span in spans) + timedelta(seconds=7)).isoformat().replace("+00:00", "Z")
    page = enter("operator", **LARGE)
    page.goto(f"{city.url}/playback?span=30&at={at}&points={','.join(ids)}")
    videos = page.locator(".tile video")
    expect(videos).to_have_count(2)
    for n in range(2):
        plays(videos.nth(n), 10)
    picture(page, "playback")

    page.keyboard.press("k")  # pause
    typed = page.get_by_label("跳转到时间")
    before = typed.input_value()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    until(lambda: typed.input_value() < before, "five seconds back")
    stood = shown(videos.first)[0]
    page.keyboard.press(".")
    until(lambda: shown(videos.first)[0] != stood, "the next frame")
    page.keyboard.press("Space")
    plays(videos.first, 5)

    # a clip of ten seconds by dragging with Ctrl around the playhead
    page.keyboard.press("k")
    page.keyboard.press("i")
    expect(page.locator(".clip-range")).to_be_visible()
    page.keyboard.press("Alt+p")
    purpose = page.get_by_role("dialog", name="登记事由")
    purpose.get_by_text("治安案件", exact=True).click()
    purpose.get_by_label("案件/警情/工单编号").fill("ZA-2026-0398")
    page.keyboard.press("Enter")
    expect(purpose).to_be_hidden()
    with page.expect_download() as download:
        page.get_by_role("button", name="下载片段").click()
    data = download.value.path().read_bytes()
    assert data[4:8] == b"ftyp" and b"moov" in data


def test_footage_is_kept_shown_on_the_axis_listed_and_let_go(city: City, enter: Open) -> None:
    [span] = city.recorded(1, 16)
    start = moment(span["start"])
    from_, at, to = ((start + timedelta(seconds=s)).isoformat().replace("+00:00", "Z") for s in (3, 6, 9))
    page = enter("operator")
    page.goto(f"{city.url}/playback?span=30&at={at}&points={span['id']}&clip={from_}~{to}")
    page.get_by_role("button", name="锁定这段录像").click()
    form = page.get_by_role("dialog")
    form.get_by_role("button", name="锁定", exact=True).click()
    expect(form).to_contain_text("请写明理由")
    form.get_by_label("理由").fill("案件 17")
    form.get_by_role("button", name="锁定", exact=True).click()
    expect(form).to_be_hidden()
    page.keyboard.press("Escape")  # the range is no longer chosen: nothing tints the axis
    axis = page.locator(".axis-bars canvas")
    until(lambda: near(page, VIOLET, axis) > 20, "what is held is drawn")
    box = axis.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 58)
    expect(page.locator(".axis-hint")).to_contain_text("锁定：案件 17")

    page.goto(f"{city.url}/system?tab=holds")
    row = page.get_by_role("row").filter(has_text="案件 17")
    expect(row).to_contain_text("值班员")
    expect(row.get_by_role("link")).to_have_attribute("href", re.compile(rf"^/playback\?points={span['id']}"))
    row.get_by_role("button", name="解除锁定").click()
    form.get_by_label("为什么可以解除").fill("案件 17 已结")
    form.get_by_role("button", name="解除锁定").click()
    expect(row).to_have_count(0)
    with city.client("operator") as api:
        assert api.get("/holds").json()["items"] == []


def test_one_picture_is_heard_at_a_time(city: City, enter: Open) -> None:
    """Of a camera with G.711, which the server makes AAC of, and of one with AAC."""
    channels = {device["audio"]: device["channels"][0] for device in city.truth["devices"].values()}
    page = enter("operator")
    with city.client("operator") as api:

        def found() -> list[str] | None:
            items = [api.get("/points", params={"q": channels[kind]}).json()["items"] for kind in ("g711a", "aac")]
            return (
                [item["id"] for [item] in items] if all(one and one[0]["state"] == "online" for one in items) else None
            )

        ids = until(found, "both are online")
    page.goto(f"{city.url}/wall?grid=4&points=" + ",".join(f"{id}~main" for id in ids))
    tiles = page.get_by_role("listbox", name="视频墙").get_by_role("option")
    pictures = [tiles.nth(n).locator("video").first for n in range(2)]

    def is_heard(n: int) -> bool:
        return bool(pictures[n].evaluate("v => !v.muted && v.volume > 0 && !v.paused"))

    def decoded(n: int) -> int:
        return int(pictures[n].evaluate("v => v.webkitAudioDecodedByteCount"))

    for n in range(2):
        plays(pictures[n])
        expect(tiles.nth(n).get_by_role("img", name="有声音，已静音（M）")).to_be_visible()
    assert [is_heard(n) for n in range(2)] == [False, False]
    for n in range(2):
        tiles.nth(n).click()
        page.keyboard.press("m")
        until(lambda n=n: is_heard(n), "it is heard")  # type: ignore[misc]
        before = decoded(n)
        until(lambda n=n, before=before: decoded(n) > before, "its sound is decoded")  # type: ignore[misc]
        assert not is_heard(1 - n), "one at a time"
    page.keyboard.press("m")
    until(lambda: not is_heard(1), "silence again")


def test_a_stranger_waits_and_is_adopted(city: City, enter: Open) -> None:
    door = city.accounts["gb28181"]
    own, camera = "99010900001180000777", "99010900001320000777"
    page = enter("administrator")
    page.goto(f"{city.url}/devices?tab=waiting")
    with ScriptDevice(door["port"], own, channels=[(camera, "新装的相机")]) as device:
        assert device.register(door["password"]) == 200
        row = page.get_by_role("row").filter(has_text=own)
        row.get_by_role("button", name="接入", exact=True).click()
        expect(row).to_have_count(0)
        page.get_by_role("tab", name="已接入").click()
        page.get_by_label("名称、国标编号、厂商、地址").fill(own)
        row = page.get_by_role("row").filter(has_text=own)
        row.click()
        drawer = page.get_by_role("dialog")
        expect(drawer).to_contain_text("注册")
        drawer.get_by_role("tab", name="信令").click()
        expect(drawer).to_contain_text("REGISTER")
        drawer.get_by_role("tab", name="策略").click()
        expect(drawer).to_contain_text("字符集")
        with city.client("operator") as api:
            until(lambda: api.get("/points", params={"q": camera}).json()["items"], "its camera is a point")


def test_a_file_is_checked_before_it_is_published(city: City, enter: Open) -> None:
    with city.client("administrator") as api:
        rows = list(csv.DictReader(io.StringIO(api.get("/points.csv").content.decode("utf-8-sig"))))[:3]
    names = [column for column in rows[0] if "名称" in column]
    rows[0][names[0]] += "（改）"
    longitude = next(column for column in rows[0] if column == "经度")
    rows[1][longitude] = "1234.5"
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    page = enter("administrator")
    page.goto(f"{city.url}/devices?tab=import")
    page.locator("input[type=file]").set_input_files(
        {"name": "点位.csv", "mimeType": "text/csv", "buffer": out.getvalue().encode("utf-8")}
    )
    faults = page.get_by_role("table", name="问题")
    expect(faults).to_contain_text("1234.5")
    expect(faults).to_contain_text("经度")
    page.get_by_role("tab", name="变化").click()
    expect(page.get_by_role("table", name="变化")).to_contain_text("（改）")
    expect(page.get_by_role("button", name=re.compile("^发布"))).to_be_disabled()
    page.get_by_role("button", name="放弃").click()
    expect(page.get_by_role("button", name="选择文件")).to_be_visible()


def test_language_and_theme_change_and_stay(city: City, enter: Open) -> None:
    page = enter("operator")
    page.goto(f"{city.url}/system")
    background: Callable[[], str] = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
    dark = background()
    page.get_by_role("button", name="用户菜单").click()
    page.get_by_role("menuitem", name="浅色").click()
    until(lambda: background() != dark, "the page is light")
    page.get_by_role("button", name="用户菜单").click()
    page.get_by_role("menuitem", name="English").click()
    expect(page.get_by_role("link", name=re.compile("Replay"))).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name=re.compile("Replay"))).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "en"
    assert background() != dark


def test_everything_is_reached_without_a_mouse(city: City, enter: Open) -> None:
    [camera] = city.cameras(1)
    page = enter("operator")
    page.goto(f"{city.url}/map")
    expect(page.locator(".map-left")).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "跳到页面内容"
    seen = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent")
        )
    assert len(seen) == 12, "Tab walks on, never in a circle"
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="全部按键")
    expect(keys).to_contain_text("搜索")
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="搜索")).to_be_focused()
    page.keyboard.type(camera["code"])
    expect(page.get_by_role("option").first).to_contain_text(camera["name"])
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"point={camera['id']}"))
    expect(page.get_by_role("heading", name=camera["name"])).to_be_visible()
    page.keyboard.press("w")
    expect(page).to_have_url(re.compile(f"/wall.*{camera['id']}"))
    plays(page.locator(".tile video"))
    page.keyboard.press("g")
    page.keyboard.press("3")
    expect(page).to_have_url(re.compile("/playback"))
