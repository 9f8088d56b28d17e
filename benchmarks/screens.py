"""What a person waits for on the screen: real Chromium, the demonstration city, everything on the same two cores.

    python -m benchmarks screens

A double click in the wall's tree on a GB/T 28181 camera that nobody watches, to the first picture that Chromium
presents (`requestVideoFrameCallback`); the same for a camera that another window shows already; how old a picture is
when it is presented, by the clock that the simulated cameras burn into it and the clock of the page, on a wall of four;
a wall of sixteen sub-streams; and a time typed on the playback page, to the first picture of that time. The simulated
cameras, the platform and the browser with its software rendering share the cores, so these are upper bounds.

Gate: every picture counted shows a burnt-in clock whose check sum holds; for a seek it is within two seconds of the
place that was asked for.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from anwang.democity.pictures import osd
from anwang.kernel.times import BEIJING
from benchmarks.ratio import Row
from tests.browser.city import CHROMIUM, City, moment, opened, until

WAIT_MS = 20_000
CLOCK = {
    "columns": osd.COLUMNS,
    "rows": osd.ROWS,
    "x": osd.BAR_X,
    "y": osd.BAR_Y,
    "full": osd.FULL_WIDTH,
    "share": osd.CELL_SHARE,
    "light": osd.LIGHT_ABOVE,
    "check": osd.CHECK_BITS,
    "polynomial": osd.POLYNOMIAL,
}
"""Where the burnt-in clock stands and how it is read, for the page."""
WATCH = """
((clock) => {
  const canvas = new OffscreenCanvas(1, 1)
  const pen = canvas.getContext('2d', { willReadFrequently: true })
  const crc8 = (bytes) => {
    let value = 0
    for (const byte of bytes) {
      value ^= byte
      for (let n = 0; n < 8; n++) value = value & 0x80 ? ((value << 1) ^ clock.polynomial) & 0xff : (value << 1) & 0xff
    }
    return value
  }
  // milliseconds since 1970 that stand in the picture, or null
  const burnt = (video) => {
    const cell = video.videoWidth / clock.share, scale = video.videoWidth / clock.full
    const left = Math.round(clock.x * scale), top = Math.round(clock.y * scale)
    const width = Math.ceil(clock.columns * cell), height = Math.ceil(clock.rows * cell)
    canvas.width = width
    canvas.height = height
    pen.drawImage(video, left, top, width, height, 0, 0, width, height)
    const { data } = pen.getImageData(0, 0, width, height)
    let value = 0n
    for (let row = 0; row < clock.rows; row++)
      for (let column = 0; column < clock.columns; column++) {
        const x = Math.min(width - 1, Math.round((column + 0.5) * cell))
        const y = Math.min(height - 1, Math.round((row + 0.5) * cell))
        value = (value << 1n) | (data[(y * width + x) * 4 + 1] > clock.light ? 1n : 0n)
      }
    const check = BigInt(clock.check)
    const ms = Number(value >> check)
    const bytes = []
    for (let n = 5; n >= 0; n--) bytes.push(Math.floor(ms / 256 ** n) % 256)
    return crc8(bytes) === Number(value & ((1n << check) - 1n)) ? ms : null
  }
  window.seen = []
  window.clicked = 0
  const watched = new WeakSet()
  const watch = (video) => {
    if (watched.has(video)) return
    watched.add(video)
    const next = () => video.requestVideoFrameCallback((now, { presentedFrames }) => {
      // reading pixels back costs the page time that it needs for pictures: the first few, then every eighth
      if (window.seen.length < 40 || presentedFrames % 8 === 0)
        window.seen.push({ at: now, wall: performance.timeOrigin + now, burnt: burnt(video), frame: presentedFrames })
      if (window.seen.length > 5000) window.seen.shift()
      next()
    })
    next()
  }
  const look = () => document.querySelectorAll('video').forEach(watch)
  new MutationObserver(look).observe(document, { childList: true, subtree: true })
  for (const kind of ['dblclick', 'pointerdown'])
    addEventListener(kind, () => { window.clicked = performance.now(); window.seen = [] }, true)
})"""


def _cameras(city: City, amount: int) -> list[dict[str, Any]]:
    """Cameras online whose sub-stream a browser can show, not recorded, so that nobody asks for them yet."""
    with city.client("operator") as api:

        def found() -> list[dict[str, Any]] | None:
            query = {"kind": "camera", "state": "online", "limit": "200"}
            items = api.get("/points", params=query).json()["items"]
            fit: list[dict[str, Any]] = []
            for item in items:
                if item["recording"] or "sub" not in item["streams"] or len(fit) == amount:
                    continue
                file = {one["key"]: one["value"] for one in api.get(f"/points/{item['id']}").json()["file"]}
                if file.get("codec") == "H.264":
                    fit.append(item)
            return fit if len(fit) == amount else None

        return until(found, f"{amount} cameras with H.264 that nobody watches")


def _page(browser: Browser, city: City) -> Page:
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    context.add_init_script(f"{WATCH}({json.dumps(CLOCK)})")
    city.sign_in(context, "operator")
    return context.new_page()


def _first(page: Page, is_right: str = "true") -> tuple[float, float] | None:
    """(milliseconds from the click to the first presented picture with a clock, its burnt-in time), None if none came.

    is_right: of a picture `one`, in JavaScript.
    """
    fits = f"one.at >= window.clicked && one.burnt !== null && {is_right}"
    find = f"() => window.clicked && window.seen.find((one) => {fits})"
    try:
        handle = page.wait_for_function(find, timeout=WAIT_MS, polling=50)
    except Exception:
        return None
    one = handle.json_value()
    clicked: float = page.evaluate("window.clicked")
    return one["at"] - clicked, one["burnt"]


def _opened(page: Page, city: City, camera: dict[str, Any]) -> float | None:
    """Milliseconds from the double click on a camera in the tree to its first picture."""
    page.goto(f"{city.url}/wall?grid=1")
    page.get_by_role("tree").wait_for()
    page.locator(".ptree input").first.fill(camera["code"])
    row = page.get_by_role("treeitem").filter(has_text=camera["name"]).first
    row.wait_for()
    page.wait_for_timeout(500)
    row.dblclick()
    found = _first(page)
    return None if found is None else found[0]


def _ages(page: Page, seconds: float) -> list[float]:
    """Ages in milliseconds of the pictures that are presented from now on."""
    page.wait_for_timeout(4000)
    page.evaluate("window.seen = Array(40).fill({ burnt: null })")
    page.wait_for_timeout(seconds * 1000)
    seen: list[dict[str, Any]] = page.evaluate("window.seen")
    return [one["wall"] - one["burnt"] for one in seen if one["burnt"] is not None]


QUALITY = """() => [...document.querySelectorAll('video')].map((video) => {
  const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality()
  return [totalVideoFrames, droppedVideoFrames]
})"""


def _wall(page: Page, city: City, cameras: Sequence[dict[str, Any]], seconds: float) -> Row:
    """A wall of sixteen sub-streams: does every tile move all the time?"""
    page.goto(f"{city.url}/wall?grid=16&points=" + ",".join(one["id"] for one in cameras))
    page.wait_for_function(f"() => ({QUALITY})().filter(([total]) => total > 10).length === 16", timeout=4 * WAIT_MS)
    page.wait_for_timeout(5_000)
    before: list[list[int]] = page.evaluate(QUALITY)
    stale = 0
    for _ in range(int(seconds)):
        page.wait_for_timeout(1000)
        stale = max(stale, page.locator(".stale-badge").count())
    after: list[list[int]] = page.evaluate(QUALITY)
    rates = sorted((b[0] - a[0]) / seconds for a, b in zip(before, after, strict=True))
    total = sum(b[0] - a[0] for a, b in zip(before, after, strict=True))
    dropped = sum(b[1] - a[1] for a, b in zip(before, after, strict=True))
    slowest = round(rates[0])
    return Row(
        what=f"wall of 16 sub-streams for {seconds:.0f} s beside the city on the same cores",
        ours=f"{slowest} to {rates[-1]:.0f} frames/s a tile, {dropped / max(1, total):.1%} dropped, {stale} stale",
        target="no tile stands still",
        holds=stale == 0 and slowest > 0,
        gate="frames counted by the video elements of all 16 tiles",
    )


def _seeks(page: Page, city: City, times: int) -> list[float | None]:
    """Milliseconds from Enter behind a typed time to a picture of that time."""
    span = city.recorded(1, 40)[0]
    start, end = moment(span["start"]), moment(span["end"])
    at = (start + timedelta(seconds=3)).isoformat().replace("+00:00", "Z")
    page.goto(f"{city.url}/playback?span=30&at={at}&points={span['id']}")
    page.locator(".tile video").wait_for()
    page.wait_for_function("() => window.seen.some((one) => one.burnt !== null)", timeout=WAIT_MS)
    told: list[float | None] = []
    length = (end - start).total_seconds() - 6
    for n in range(times):
        wanted = start + timedelta(seconds=3 + length * ((n * 0.618) % 1))
        page.get_by_label("跳转到时间").fill(_local(wanted))
        page.evaluate("() => { window.seen = []; window.clicked = performance.now() }")
        page.keyboard.press("Enter")
        ms = wanted.timestamp() * 1000
        found = _first(page, f"Math.abs(one.burnt - {ms:.0f}) < 2000")
        told.append(None if found is None else found[0])
        page.wait_for_timeout(700)
    return told


def _local(at: datetime) -> str:
    return at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def _p95(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def _row(what: str, told: Sequence[float | None], target: float, gate: str) -> Row:
    """Median and 95th percentile; what never showed a picture is told, and fails."""
    fit = [one for one in told if one is not None]
    if not fit:
        raise RuntimeError(f"{what}: no picture of {len(told)}")
    missed = f", {len(told) - len(fit)} never" if len(fit) < len(told) else ""
    return Row(
        what=what,
        ours=f"p50 {statistics.median(fit):.0f} ms, p95 {_p95(fit):.0f} ms, n {len(told)}{missed}",
        target=f"p95 ≤ {target:.0f} ms",
        holds=_p95(fit) <= target and not missed,
        gate=gate,
    )


def measure(quick: bool) -> list[Row]:
    """Click to picture, age of pictures, seeks."""
    program = shutil.which("chromium")
    if program is None:
        raise RuntimeError("no Chromium")
    times = 8 if quick else 24
    with (
        tempfile.TemporaryDirectory(prefix="bench-screens-") as folder,
        opened(Path(folder), points=120) as city,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        cameras = _cameras(city, max(times + 4, 16))
        page, other = _page(browser, city), _page(browser, city)
        page.goto(f"{city.url}/wall?grid=1")
        page.get_by_role("tree").wait_for()
        _opened(page, city, cameras[-1])  # the page's own code is loaded once
        cold = [_opened(page, city, camera) for camera in cameras[:times]]
        page.goto("about:blank")

        four = cameras[-4:]
        other.goto(f"{city.url}/wall?grid=4&points=" + ",".join(f"{one['id']}~sub" for one in four))
        other.wait_for_function("() => window.seen.length > 60", timeout=4 * WAIT_MS)
        ages = _ages(other, 5 if quick else 60)
        warm = []
        for camera in cameras[:times]:
            other.goto(f"{city.url}/wall?grid=1&points={camera['id']}~main")
            other.wait_for_function("() => window.seen.some((one) => one.burnt !== null)", timeout=4 * WAIT_MS)
            warm.append(_opened(page, city, camera))
        other.close()
        seeks = _seeks(page, city, times)
        wall = _wall(page, city, cameras[:16], 10 if quick else 60)
        browser.close()
    clock = "each first picture has a burnt-in clock that checks"
    middle = sorted(ages)
    return [
        _row("double click to first picture, GB/T 28181 camera that nobody watches, main stream", cold, 700, clock),
        _row("double click to first picture, main stream that another window shows", warm, 300, clock),
        Row(
            what="age of a picture when it is presented, wall of four sub-streams",
            ours=f"p50 {middle[len(middle) // 2]:.0f} ms, p95 {_p95(middle):.0f} ms, n {len(middle)}",
            target="p95 ≤ 500 ms",
            holds=_p95(middle) <= 500,
            gate="pictures whose burnt-in clock checks",
        ),
        wall,
        _row("a typed time to its picture, recorded main stream", seeks, 500, "the picture is of that time, ±2 s"),
    ]
