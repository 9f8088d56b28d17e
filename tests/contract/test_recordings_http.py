"""The routes of recordings, by their status, headers and bodies; and a real browser that plays them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CollectorRegistry

from anwang.governance import Action, may
from anwang.kernel.ids import PlayId, uuid7
from anwang.media.http.recordings import Recordings, build_router
from anwang.media.plans import Plans
from anwang.media.plays import Play, Plays, PlayStep, message_of
from anwang.media.snapshot import DecodePool, Snapshots
from anwang.web.api import build_api
from anwang.web.health import Health
from tests.archive import SECOND, Archive, fill, where
from tests.conftest import missing
from tests.governed import token_of, with_purpose
from tests.recordings import POINT, START_US

ROOT = Path(__file__).parents[2]
START, END = "2026-11-21T23:58:00Z", "2026-11-21T23:58:24Z"
UNKNOWN = "0198a0de-0000-7000-8000-00000000ffff"


@dataclass
class Site:
    """The application, and what lies behind it."""

    app: FastAPI
    router: APIRouter
    archive: Archive
    plays: Plays
    plans: Plans
    told: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def as_(self, role: str) -> AsyncIterator[httpx.AsyncClient]:
        token = await token_of(self.archive.governance, f"{role}.one")
        transport = httpx.ASGITransport(self.app)
        headers = {"authorization": f"Bearer {token}"}
        actor = await self.archive.governance.actor(token)
        if may(actor.role, Action.OPEN_PURPOSE):
            purpose = (await with_purpose(self.archive.governance, actor)).purpose
            headers["x-purpose"] = purpose.id if purpose else ""
        async with httpx.AsyncClient(transport=transport, base_url="http://site/api/v1", headers=headers) as client:
            yield client


@pytest.fixture
async def site(archive: Archive) -> AsyncIterator[Site]:
    pool = DecodePool(timeout_s=30)
    told: list[str] = []
    plays = Plays(archive.media)
    router = build_router(
        Recordings(
            timeline=archive.timeline,
            playback=archive.playback,
            export=archive.export,
            snapshots=Snapshots(index=archive.index, footage=archive.footage, pool=pool, growing=archive.live),
            sight=archive.sight,
            looks=archive.looks,
            plans=archive.plans,
            plays=plays,
            where=where,
            plans_changed=lambda: told.append("changed"),
        )
    )
    app = build_api(
        governance=archive.governance,
        routers=[router],
        health=Health(clock=archive.clock),
        metrics=CollectorRegistry(),
        describe=list,
    )
    yield Site(app=app, router=router, archive=archive, plays=plays, plans=archive.plans, told=told)
    await pool.close()


async def test_the_time_axis(site: Site, source: Path) -> None:
    await fill(site.archive, source, gap_after=0)
    async with site.as_("viewer") as client:
        answer = await client.get(
            "/timeline", params={"points": POINT, "from": START, "to": "2026-11-22T08:01:00+08:00"}
        )
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert said["resolution_ms"] == 90
        (axis,) = said["points"]
        assert axis["spans"] == [
            {"start": START, "end": "2026-11-21T23:58:08Z"},
            {"start": "2026-11-21T23:59:08Z", "end": "2026-11-21T23:59:24Z"},
        ]
        assert [gap["cause"] for gap in axis["gaps"]] == ["not_planned", "not_planned"]
        schema = site.app.openapi()["components"]["schemas"]["AxisDto"]["properties"]
        assert set(axis) == set(schema)
        for params in (
            {"points": "", "from": START, "to": END},
            {"points": POINT, "from": "2026-11-21T23:58:00", "to": END},
            {"points": POINT, "from": "1795305480", "to": END},
            {"points": POINT, "from": END, "to": START},
            {"points": POINT, "from": "2026-01-01T00:00:00Z", "to": END},
            {"points": ",".join([POINT[:-2] + f"{n:02d}" for n in range(17)]), "from": START, "to": END},
        ):
            answer = await client.get("/timeline", params=params)
            assert answer.status_code == 400, params
            assert set(answer.json()) == {"kind", "reason", "hint"}
        for unseen in (UNKNOWN, "no-id"):
            assert (
                await client.get("/timeline", params={"points": unseen, "from": START, "to": END})
            ).status_code == 404
        month = (await client.get(f"/points/{POINT}/calendar", params={"month": "2026-11"})).json()
        assert [day for day in month["days"] if day["recorded_seconds"]] == [
            {"date": "2026-11-22", "recorded_seconds": 24, "planned_seconds": 0}
        ]
        assert (await client.get(f"/points/{POINT}/calendar", params={"month": "2026-13"})).status_code == 400


async def test_the_playlist_and_its_pieces(site: Site, source: Path) -> None:
    await fill(site.archive, source)
    address = f"/points/{POINT}/playback.m3u8"
    async with site.as_("operator") as client:
        answer = await client.get(address, params={"from": START, "to": END})
        assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
        assert answer.headers["cache-control"] == "no-store"
        uris = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
        piece = await client.get(str(answer.url.join(uris[0])))
        assert (piece.status_code, piece.headers["content-type"]) == (200, "video/mp4")
        assert piece.content[4:8] == b"moof"
        init = answer.text.split('URI="')[1].split('"')[0]
        assert (await client.get(str(answer.url.join(init)))).content[4:8] == b"ftyp"
        nothing = await client.get(address, params={"from": "2026-11-20T00:00:00Z", "to": "2026-11-20T01:00:00Z"})
        assert nothing.status_code == 404
        assert "not_planned" in nothing.json()["reason"]
        assert (await client.get(str(answer.url.join(uris[0].replace(".m4s", "9.m4s"))))).status_code == 404
        assert (await client.get(str(answer.url.join(uris[0][:-3])))).status_code == 403
        assert (await client.get("/media/x/init.mp4", params={"look": "x"})).status_code in (403, 404)
    async with site.as_("viewer") as client:  # another session, with the right itself
        assert (await client.get(str(answer.url.join(uris[0])))).status_code == 403
    async with site.as_("administrator") as client:
        assert (await client.get(address, params={"from": START, "to": END})).status_code == 403


async def test_a_clip_is_a_file_to_download(site: Site, source: Path) -> None:
    await fill(site.archive, source, gap_after=1)
    address = f"/points/{POINT}/clip.mp4"
    params = {"from": "2026-11-21T23:58:01Z", "to": "2026-11-22T00:00:00Z"}
    async with site.as_("operator") as client:
        whole = await client.get(address, params=params)
        assert whole.status_code == 200
        size = int(whole.headers["content-length"])
        assert len(whole.content) == size
        name = unquote(whole.headers["content-disposition"].split("UTF-8''")[1])
        assert name == "北门_1号_20261122-075801_075924.mp4"
        assert whole.headers["x-anwang-gaps"] == (
            "2026-11-21T23:58:16Z/2026-11-21T23:59:16Z;not_planned, "
            "2026-11-21T23:59:24Z/2026-11-22T00:00:00Z;not_planned"
        )
        head = await client.head(address, params=params)
        assert (head.headers["content-length"], head.content) == (str(size), b"")
        for asked, first, last in (
            ("bytes=0-99", 0, 100),
            ("bytes=1000-", 1000, size),
            ("bytes=-10", size - 10, size),
            (f"bytes=5-{size * 2}", 5, size),
        ):
            part = await client.get(address, params=params, headers={"range": asked})
            assert part.status_code == 206
            assert part.headers["content-range"] == f"bytes {first}-{last - 1}/{size}"
            assert part.content == whole.content[first:last]
        for asked in ("bytes=9-2", "bytes=0-1,5-6", "items=0-5", "bytes=x-", "bytes=-"):
            assert (await client.get(address, params=params, headers={"range": asked})).status_code == 200
        outside = await client.get(address, params=params, headers={"range": f"bytes={size}-"})
        assert (outside.status_code, outside.headers["content-range"]) == (416, f"bytes */{size}")
        tag = whole.headers["etag"]
        for sent, status in ((tag, 206), ('"other"', 200)):
            part = await client.get(address, params=params, headers={"range": "bytes=0-9", "if-range": sent})
            assert part.status_code == status
    async with site.as_("viewer") as client:
        assert (await client.get(address, params=params)).status_code == 403


async def test_a_picture(site: Site, source: Path) -> None:
    await fill(site.archive, source)
    async with site.as_("operator") as client:
        answer = await client.get(
            f"/points/{POINT}/snapshot.jpg", params={"at": "2026-11-21T23:58:13.13Z", "width": 160}
        )
        assert answer.status_code == 200, answer.text
        assert answer.content.startswith(b"\xff\xd8")
        assert answer.headers["x-anwang-time"] == "2026-11-21T23:58:13.120000Z"
        assert (
            await client.get(f"/points/{POINT}/snapshot.jpg", params={"at": "2026-11-21T20:00:00Z"})
        ).status_code == 404
    assert [row.action for row in await site.archive.ledger("opened")] == ["snapshot"] * 2


async def test_traces(site: Site) -> None:
    ids = []
    for number in range(3):
        one = Play(
            id=PlayId(uuid7(START_US // 1000 + number)),
            point=POINT,
            kind="live",
            started_us=START_US + number * SECOND,
            outcome="failed",
            verdict="The device did not answer the invitation.",
            steps=(PlayStep(at_us=START_US, step="asked"),),
            messages=(message_of(START_US, b"INVITE sip:x SIP/2.0\r\n", outgoing=True),),
        )
        ids.append(one.id)
        await site.plays.put(one)
    async with site.as_("operator") as client:
        first = (await client.get("/plays", params={"point": POINT, "limit": 2})).json()
        rest = (await client.get("/plays", params={"point": POINT, "limit": 2, "cursor": first["next"]})).json()
        assert [one["id"] for one in first["items"] + rest["items"]] == ids[::-1]
        assert rest["next"] is None
        one = (await client.get(f"/plays/{ids[0]}")).json()
        [message] = one["messages"]
        assert message["text"] == "INVITE sip:x SIP/2.0\r\n" and message["outgoing"] is True
        assert (message["at"], message["cut"], message["skipped"]) == (START, 0, 0)
        assert one["steps"][0]["step"] == "asked"
        assert (await client.get("/plays/none")).status_code == 404
        assert (await client.get("/plays", params={"point": POINT, "cursor": "!"})).status_code == 400
    async with site.as_("viewer") as client:
        assert (await client.get(f"/plays/{ids[0]}")).status_code == 403


async def test_plans(site: Site) -> None:
    async with site.as_("administrator") as client:
        body = {"point": None, "point_class": "I", "mode": "continuous"}
        made = await client.post("/recording-plans", json=body)
        assert made.status_code == 201, made.text
        plan = made.json()
        assert (plan["version"], plan["priority"], plan["stream"]) == (1, 5, "main")
        weekly = [{"weekdays": [1, 2], "start_min": 0, "end_min": 720}]
        change = {"version": 1, "mode": "schedule", "weekly": weekly}
        changed = await client.put(f"/recording-plans/{plan['id']}", json=change)
        assert changed.json()["version"] == 2
        assert (await client.put(f"/recording-plans/{plan['id']}", json=change)).status_code == 409
        own = await client.post(
            "/recording-plans",
            json={
                "point": POINT,
                "point_class": None,
                "mode": "on_event",
                "on_event": {"pre": 0, "post": 20, "most": 60},
            },
        )
        assert own.status_code == 201 and plan["on_event"] is None
        assert own.json()["on_event"] == {"pre": 0, "post": 20, "most": 60}
        kept = await client.put(f"/recording-plans/{own.json()['id']}", json={"version": 1, "mode": "on_event"})
        assert kept.json()["on_event"] == {"pre": 0, "post": 20, "most": 60}, "what is not named stays"
        listed = (await client.get("/recording-plans", params={"limit": 1})).json()
        rest = (await client.get("/recording-plans", params={"cursor": listed["next"]})).json()
        assert {one["id"] for one in listed["items"] + rest["items"]} == {plan["id"], own.json()["id"]}
        for bad, status in (
            ({"point": UNKNOWN, "point_class": None, "mode": "continuous"}, 404),
            ({"point": None, "point_class": None, "mode": "continuous"}, 400),
            ({"point": None, "point_class": "I", "mode": "schedule"}, 400),
            ({"point": None, "point_class": "I", "mode": "sometimes"}, 400),
            (
                {
                    "point": None,
                    "point_class": "I",
                    "mode": "on_event",
                    "on_event": {"pre": 5, "post": 60, "most": 30},
                },
                400,
            ),
            ({"point": None, "point_class": "I", "mode": "continuous", "colour": "red"}, 400),
        ):
            assert (await client.post("/recording-plans", json=bad)).status_code == status, bad
        assert (await client.delete(f"/recording-plans/{plan['id']}", params={"version": 1})).status_code == 409
        assert (await client.delete(f"/recording-plans/{plan['id']}", params={"version": 2})).status_code == 204
        assert (await client.delete(f"/recording-plans/{plan['id']}", params={"version": 2})).status_code == 404
    assert len(site.told) == 5
    assert len(await site.archive.ledger("changed")) >= 4
    async with site.as_("operator") as client:
        assert (await client.post("/recording-plans", json=body)).status_code == 403


def test_every_route_asks_governance(site: Site) -> None:
    routes = site.router.routes
    assert len(routes) > 10
    for route in routes:
        asked = [call for dependant in [route.dependant] for call in _calls(dependant)]  # type: ignore[attr-defined]
        assert any(hasattr(call, "governed_by") for call in asked), route


def _calls(dependant) -> list[object]:  # type: ignore[no-untyped-def]
    return [dependant.call] + [call for inner in dependant.dependencies for call in _calls(inner)]


# --- a browser -------------------------------------------------------------------------------------------------------

PAGE = """<!doctype html><video muted></video><script src="/hls.js"></script><script>
const video = document.querySelector('video'), errors = []
const hls = new Hls()
hls.on(Hls.Events.ERROR, (_, data) => errors.push([data.type, data.details, data.fatal, data.error?.message]))
hls.attachMedia(video)
window.load = address => hls.loadSource(address)
window.state = () => ({
  time: video.currentTime, date: hls.playingDate?.getTime(), errors, ended: video.ended, duration: video.duration,
  frames: video.getVideoPlaybackQuality().totalVideoFrames, dropped: video.getVideoPlaybackQuality().droppedVideoFrames,
  seeking: video.seeking, ready: video.readyState, width: video.videoWidth, media: video.error?.message,
  buffered: [...Array(video.buffered.length).keys()].map(i => [video.buffered.start(i), video.buffered.end(i)]),
})
</script>"""


@pytest.mark.browser
@pytest.mark.parametrize("gap", [None, 1])
async def test_chromium_plays_and_seeks(site: Site, source: Path, gap: int | None) -> None:
    library = ROOT / "ui/node_modules/hls.js/dist/hls.min.js"
    if not library.exists():
        missing("hls.js in ui/node_modules")
    if not Path("/usr/bin/chromium").exists():
        missing("Chromium")
    from playwright.async_api import async_playwright

    await fill(site.archive, source, gap_after=gap)
    pages = FastAPI()
    pages.get("/hls.js")(lambda: Response(library.read_bytes(), media_type="text/javascript"))
    pages.get("/player")(lambda: Response(PAGE, media_type="text/html"))
    pages.mount("/", site.app)
    server = uvicorn.Server(uvicorn.Config(pages, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(100), async_playwright() as playwright:
            while not server.started:
                await asyncio.sleep(0.01)
            base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
            browser = await playwright.chromium.launch(
                executable_path="/usr/bin/chromium",
                args=["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-gpu"],
            )
            context = await browser.new_context()
            token = await token_of(site.archive.governance, "operator.one")
            await context.add_cookies([{"name": "anwang", "value": token, "url": base}])
            page = await context.new_page()
            await page.goto(base + "/player")
            span = f"from={quote(START)}&to={quote('2026-11-22T00:00:00Z' if gap else END)}"
            await page.evaluate(f"load('/api/v1/points/{POINT}/playback.m3u8?{span}')")
            await page.wait_for_function("state().ready >= 3 || state().errors.some(error => error[2])")
            # seek to the right second, on the wall clock
            await page.evaluate("video.currentTime = 17.4")
            await page.wait_for_function("!state().seeking && state().ready >= 2 && state().date")
            found = await page.evaluate("state()")
            assert not [error for error in found["errors"] if error[2]], found
            late = 60 * SECOND if gap else 0
            assert abs(found["date"] * 1000 - (START_US + 17_400_000 + late)) < 20_000, found
            # play all of it, faster than time
            await page.evaluate("video.currentTime = 0; video.playbackRate = 8; video.play()")
            await page.wait_for_function("state().ended || state().errors.some(error => error[2])", timeout=60_000)
            found = await page.evaluate("state()")
            await browser.close()
    finally:
        server.should_exit = True
        await serving
    assert not [error for error in found["errors"] if error[2]], json.dumps(found)
    assert found["ended"]
    assert abs(found["duration"] - 24) < 0.1
    assert len(found["buffered"]) == 1, found
    assert found["frames"] > 100
    assert (found["width"], found["media"]) == (320, None)
