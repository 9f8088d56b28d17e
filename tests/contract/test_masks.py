"""Privacy masks over real stores: who draws, who lifts them, and what recordings show either way, by their pixels."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from prometheus_client import CollectorRegistry

from anwang.governance import Action, Actor, Governance, Object, Wanted
from anwang.kernel.errors import ApprovalNeeded, Conflict, Denied, NotFound, PurposeNeeded, Unavailable
from anwang.kernel.times import Span
from anwang.media import conversions
from anwang.media.export import Drawing
from anwang.media.http import masks as masks_http
from anwang.media.http.recordings import Recordings, build_router
from anwang.media.made import Made
from anwang.media.masks.drawing import SHOWN
from anwang.media.masks.model import Drawn, parse_polygon, version_of
from anwang.media.masks.service import Masks
from anwang.media.plays import Plays
from anwang.media.snapshot import DecodePool, Snapshots
from anwang.runtime.clock import FakeClock
from anwang.web.api import build_api
from anwang.web.health import Health
from anwang.wire import fmp4, jpeg
from tests.archive import SECOND, Archive, fill, where
from tests.governed import account, actor_of, token_of, with_purpose
from tests.recordings import POINT, START_US

HERE = Object(POINT, "/city/north/")
WINDOW = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]
#: rows and columns of 320 by 180 that are surely inside, and surely outside
INSIDE, OUTSIDE = (slice(50, 130), slice(85, 235)), (slice(0, 40), slice(0, 320))
SPAN = Span(START_US, START_US + 24 * SECOND)


def drawn(
    id: str = "", *, preset: int | None = None, name: str = "window", polygon: list[list[float]] = WINDOW
) -> Drawn:
    return Drawn(id=id, preset=preset, name=name, why="a flat", polygon=parse_polygon(polygon))


async def officer(governance: Governance, name: str = "officer.one") -> Actor:
    return await with_purpose(governance, await actor_of(governance, name))


async def set_masks(archive: Archive, *wanted: Drawn) -> None:
    actor = await officer(archive.governance)
    await archive.masks.set(actor, HERE, wanted, seen=version_of(archive.masks.of(POINT)))


async def approve(governance: Governance, actor: Actor, span: Span, action: Action = Action.UNMASK) -> None:
    wanted = Wanted(action=action, objects=[HERE], span=span, why="who went in", is_urgent=False)
    asked = await governance.approvals.ask(actor, wanted)
    await governance.approvals.decide(await actor_of(governance, "officer.one"), asked.id, yes=True, reason="")


def lumas(data: bytes) -> list[np.ndarray]:
    with av.open(io.BytesIO(data)) as movie:
        return [frame.to_ndarray(format="gray") for frame in movie.decode(video=0)]


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    error = float(np.mean((one.astype(float) - other.astype(float)) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def is_covered(luma: np.ndarray) -> bool:
    area = luma[INSIDE].astype(int)
    return bool(abs(area - SHOWN).max() <= 12 and area.std() < 3)


def assert_covered(shown: list[np.ndarray], source: list[np.ndarray], begins: int = 0) -> None:
    """Flat inside, the source's own pictures outside. begins: of which of them the first is."""
    assert shown
    for number, luma in enumerate(shown):
        assert is_covered(luma), number
        assert likeness(luma[OUTSIDE], source[begins + number][OUTSIDE]) > 24, number


@pytest.fixture(scope="module")
def films(source: Path) -> list[np.ndarray]:
    return lumas(source.read_bytes())


# --- who may


async def test_drawing_is_written_and_kept(archive: Archive) -> None:
    actor = await officer(archive.governance)
    assert archive.masks.of(POINT) == ()
    made = await archive.masks.set(actor, HERE, [drawn(), drawn(preset=3, name="door")], seen=version_of([]))
    assert [(one.name, one.preset, one.created_by) for one in made] == [
        ("window", None, "officer.one"), ("door", 3, "officer.one"),
    ]  # fmt: skip
    again = Masks(state=archive.main, clock=archive.clock, governs=archive.governance)
    await again.load()
    assert list(again.of(POINT)) == list(made)
    with pytest.raises(Conflict, match="somebody else"):
        await archive.masks.set(actor, HERE, [], seen=version_of([]))
    with pytest.raises(NotFound, match="no mask"):
        await archive.masks.set(actor, HERE, [*map(as_drawn, made), drawn("none")], seen=version_of(made))
    [row] = [row for row in await archive.ledger("changed") if row.action == "edit_masks"]
    assert (row.action, row.objects, row.name) == ("edit_masks", (POINT,), "officer.one")
    assert row.detail == "2 privacy masks; added door, window"


def as_drawn(mask) -> Drawn:  # type: ignore[no-untyped-def]
    return Drawn(id=mask.id, preset=mask.preset, name=mask.name, why=mask.why, polygon=mask.polygon)


async def test_g03_to_take_a_mask_away_needs_a_second_person(archive: Archive) -> None:
    actor = await officer(archive.governance)
    [made] = await archive.masks.set(actor, HERE, [drawn()], seen=version_of([]))
    more = await archive.masks.set(actor, HERE, [as_drawn(made), drawn(name="door")], seen=version_of([made]))
    with pytest.raises(ApprovalNeeded):
        await archive.masks.set(actor, HERE, [as_drawn(made)], seen=version_of(more))
    with pytest.raises(PurposeNeeded):
        without = await actor_of(archive.governance, "officer.one")
        await archive.masks.set(without, HERE, [], seen=version_of(more))
    assert len(archive.masks.of(POINT)) == 2
    await archive.governance.seed([account("officer.two", actor.role)])
    now = archive.clock.micros()
    wanted = Wanted(
        action=Action.UNMASK, objects=[HERE], span=Span(now, now + SECOND), why="drawn wrong", is_urgent=False
    )
    asked = await archive.governance.approvals.ask(actor, wanted)
    with pytest.raises(Denied, match="themselves"):
        await archive.governance.approvals.decide(actor, asked.id, yes=True, reason="")
    other = await actor_of(archive.governance, "officer.two")
    await archive.governance.approvals.decide(other, asked.id, yes=True, reason="")
    assert await archive.masks.set(actor, HERE, [], seen=version_of(more)) == []
    assert archive.masks.of(POINT) == ()


async def test_g09_a_look_is_obliged_unless_a_second_person_lifts_it(archive: Archive) -> None:
    governance, actor = archive.governance, archive.actor
    now = archive.clock.micros()
    for span in (None, SPAN):
        look = await governance.open_look(actor, Action.VIEW_PLAYBACK if span else Action.VIEW_LIVE, [HERE], span=span)
        assert look.masked and look.bare_until is None
        await governance.close_look(look)
    await approve(governance, actor, Span(now - SECOND, now + 60 * SECOND))
    live = await governance.open_look(actor, Action.VIEW_LIVE, [HERE])
    assert not live.masked and live.needs == actor.purpose
    past = await governance.open_look(actor, Action.VIEW_PLAYBACK, [HERE], span=SPAN)
    assert past.masked, "the approval is for another time"
    elsewhere = await governance.open_look(actor, Action.VIEW_LIVE, [HERE, Object("other", "/city/north/")])
    assert elsewhere.masked, "and for this point only"
    without = await actor_of(governance, "operator.one")
    assert (await governance.open_look(without, Action.VIEW_LIVE, [HERE])).masked, (
        "nobody sees behind without a purpose"
    )
    narrow = replace(actor, only=frozenset({Action.VIEW_LIVE}))
    assert (await governance.open_look(narrow, Action.VIEW_LIVE, [HERE])).masked, "nor with a token that is not for it"
    viewer = await with_purpose(governance, await actor_of(governance, "viewer.one"))
    with pytest.raises(Denied):
        await approve(governance, viewer, Span(now, now + SECOND))
    await archive.clock.advance(61)
    await governance._looks.tick()
    with pytest.raises(Denied, match="over"):
        governance.serve_look(live.id, 1)
    rows = [row for row in await archive.ledger("closed") if row.look == live.id]
    assert [row.outcome for row in rows] == ["approval ended"]
    [opened] = [row for row in await archive.ledger("opened") if row.look == live.id]
    assert "without masks" in opened.detail and opened.approval


# --- what recordings show


@dataclass
class Site:
    """The application over a masked archive."""

    app: FastAPI
    archive: Archive

    @contextlib.asynccontextmanager
    async def as_(self, name: str) -> AsyncIterator[httpx.AsyncClient]:
        token = await token_of(self.archive.governance, name)
        actor = await self.archive.governance.actor(token)
        purpose = (await with_purpose(self.archive.governance, actor)).purpose
        headers = {"authorization": f"Bearer {token}", "x-purpose": purpose.id if purpose else ""}
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://site/api/v1", headers=headers) as client:
            yield client


@pytest.fixture
async def site(archive: Archive, source: Path) -> AsyncIterator[Site]:
    await fill(archive, source)
    pool = DecodePool(timeout_s=30)
    app = build_api(
        governance=archive.governance,
        routers=[
            build_router(
                Recordings(
                    timeline=archive.timeline,
                    playback=archive.playback,
                    export=archive.export,
                    snapshots=Snapshots(index=archive.index, footage=archive.footage, pool=pool, growing=archive.live),
                    sight=archive.sight,
                    looks=archive.looks,
                    plans=archive.plans,
                    plays=Plays(archive.media),
                    where=where,
                    plans_changed=lambda: None,
                )
            ),
            masks_http.build_router(
                masks_http.Masking(masks=archive.masks, governance=archive.governance, where=where)
            ),
        ],
        health=Health(clock=archive.clock),
        metrics=CollectorRegistry(),
        describe=list,
    )
    yield Site(app, archive)
    await pool.close()


PARAMS = {"from": "2026-11-21T23:58:00Z", "to": "2026-11-21T23:58:24Z"}
CLIP = {"from": "2026-11-21T23:58:03Z", "to": "2026-11-21T23:58:11Z"}


async def played(client: httpx.AsyncClient, **more: str) -> tuple[str, bytes]:
    """The playlist, and what a player makes of its first segment."""
    answer = await client.get(f"/points/{POINT}/playback.m3u8", params={**PARAMS, **more})
    assert answer.status_code == 200, answer.text
    first = answer.text.split('URI="')[1].split('"')[0]
    uris = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    parts = [await client.get(str(answer.url.join(uri))) for uri in [first, *uris[:2]]]
    assert {part.status_code for part in parts} == {200}
    return answer.text, b"".join(part.content for part in parts)


async def test_playback_pictures_and_clips_are_covered_and_the_original_is_sealed(
    site: Site, films: list[np.ndarray]
) -> None:
    await set_masks(site.archive, drawn())
    async with site.as_("operator.one") as client:
        text, data = await played(client)
        assert "&cover=" in text
        assert_covered(lumas(data), films)
        again, _ = await played(client)
        assert again == text
        for params in ({"width": 0}, {"exact": "false"}):
            at = "2026-11-21T23:58:13.13Z"
            answer = await client.get(f"/points/{POINT}/snapshot.jpg", params={"at": at, **params})
            assert answer.headers["x-anwang-masked"] == "true" and answer.headers["cache-control"] == "no-store"
            luma = np.asarray(Image.open(io.BytesIO(answer.content)).convert("L"))
            assert is_covered(luma) and not is_covered(luma[:, ::-1][:, :200].repeat(2, 1)[:, :320])
        clip = await client.get(f"/points/{POINT}/clip.mp4", params=CLIP)
        assert clip.status_code == 200 and clip.headers["x-anwang-drawn"] == "true"
        assert "content-length" not in clip.headers and "accept-ranges" not in clip.headers
        shown = lumas(clip.content)
        assert len(shown) == 200, "eight seconds, beginning between key frames, across two segments"
        assert_covered(shown, films, begins=75)
        with av.open(io.BytesIO(clip.content)) as movie:
            times = [float(p.dts * p.time_base) for p in movie.demux(video=0) if p.dts is not None]
            assert times == pytest.approx([number / 25 for number in range(200)], abs=0.02)
        with av.open(io.BytesIO(clip.content)) as movie:
            assert movie.streams.video[0].codec_context.name == "h264"
            sound = sum(frame.samples for frame in movie.decode(audio=0)) / 16_000
        assert abs(sound - 8) < 0.3, "with its sound"
    [segment] = await site.archive.index.segments(POINT, Span(START_US, START_US + 1), limit=5)
    stored = (site.archive.folder / segment.key).read_bytes()
    assert likeness(lumas(stored)[5], films[5]) > 60, "what is stored is what was recorded"


async def test_masks_of_a_preset_cover_recordings_too(site: Site, films: list[np.ndarray]) -> None:
    await set_masks(site.archive, drawn(preset=9))
    async with site.as_("operator.one") as client:
        assert_covered(lumas((await played(client))[1]), films)


async def test_with_a_second_person_s_yes_the_same_routes_show_everything(site: Site, films: list[np.ndarray]) -> None:
    archive = site.archive
    await set_masks(archive, drawn())
    async with site.as_("operator.one") as client:
        _, before = await played(client)
        assert is_covered(lumas(before)[0])
        refused = await client.get(f"/points/{POINT}/unmasked", params=PARAMS)
        assert (refused.status_code, refused.json()["kind"]) == (403, "approval_needed")
        await approve(archive.governance, archive.actor, SPAN)
        assert (await client.get(f"/points/{POINT}/unmasked", params=PARAMS)).status_code == 204
        text, after = await played(client)
        assert "&cover=" not in text, "the session's look is opened anew"
        assert likeness(lumas(after)[0], films[0]) > 60
        picture = await client.get(f"/points/{POINT}/snapshot.jpg", params={"at": "2026-11-21T23:58:13.13Z"})
        assert picture.headers["x-anwang-masked"] == "false"
        clip = await client.get(f"/points/{POINT}/clip.mp4", params=CLIP)
        assert "content-length" in clip.headers and not is_covered(lumas(clip.content)[0])
    async with site.as_("viewer.one") as client:
        assert is_covered(lumas((await played(client))[1])[0]), "for who asked, and nobody else"
        assert (await client.get(f"/points/{POINT}/unmasked")).status_code == 403


async def test_a_mask_stops_a_bare_download_that_is_on_its_way(site: Site) -> None:
    archive = site.archive
    clip, look = await archive.export.clip(archive.actor, POINT, SPAN)
    assert not isinstance(clip, Drawing)
    blocks = archive.export.read(clip, look, 0, clip.size)
    assert await anext(blocks)
    await set_masks(archive, drawn())
    with pytest.raises(Unavailable, match="privacy masks"):
        async for _ in blocks:
            pass


async def test_reordered_pictures_are_covered_in_order(archive: Archive, reordered: Path) -> None:
    segments = await fill(archive, reordered)
    await set_masks(archive, drawn())
    clip, look = await archive.export.clip(archive.actor, POINT, Span(START_US, segments[-1].end_us))
    assert isinstance(clip, Drawing)
    data = b"".join([block async for block in archive.export.draw(clip, look)])
    shown, source = lumas(data), lumas(reordered.read_bytes())
    assert len(shown) >= len(source) - 2 * len(segments)
    assert all(is_covered(luma) for luma in shown)
    places = [
        max(range(len(source)), key=lambda at: likeness(luma[OUTSIDE], source[at][OUTSIDE])) for luma in shown[:60]
    ]
    assert places == sorted(places)


async def test_a_masked_clip_that_cannot_begin_is_refused_in_words(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await set_masks(site.archive, drawn())
    monkeypatch.setattr(conversions, "WAIT_SECONDS", 0.05)
    site.archive.conversions.most = 0
    async with site.as_("operator.one") as client:
        answer = await client.get(f"/points/{POINT}/clip.mp4", params=CLIP)
        assert (answer.status_code, answer.json()["kind"]) == (429, "exhausted")
        assert (await client.head(f"/points/{POINT}/clip.mp4", params=CLIP)).status_code == 200


async def test_who_hangs_up_ends_what_was_made_for_them(site: Site) -> None:
    """A player that seeks away leaves requests behind; each would hold a place among the conversions."""
    archive = site.archive
    await set_masks(archive, drawn())
    token = await token_of(archive.governance, "viewer.one")
    look = await archive.looks.open(await archive.governance.actor(token), Action.VIEW_PLAYBACK, POINT, SPAN)
    [one, *_] = await archive.index.segments(POINT, SPAN, limit=5)
    gone, started = asyncio.Event(), asyncio.Event()

    async def endless(*_: object) -> tuple[str, bytes]:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    archive.conversions._ask = endless  # type: ignore[method-assign,assignment]
    sent = False

    async def receive() -> dict[str, object]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(_: object) -> None:
        """Nobody listens."""

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": f"/api/v1/media/{one.id}/init.mp4", "raw_path": b"", "query_string": f"look={look.token}".encode(),
        "root_path": "", "headers": [(b"host", b"site"), (b"authorization", f"Bearer {token}".encode())],
        "client": ("192.0.2.7", 5), "server": ("site", 80),
    }  # fmt: skip
    asked = asyncio.create_task(site.app(scope, receive, send))  # type: ignore[arg-type]
    await asyncio.wait_for(started.wait(), 10)
    assert archive.conversions.used == 1
    gone.set()
    await asyncio.wait_for(asked, 10)
    assert archive.conversions.used == 0


async def test_a_clip_that_nobody_reads_on_holds_no_place(archive: Archive, source: Path) -> None:
    await fill(archive, source)
    await set_masks(archive, drawn())
    clip, look = await archive.export.clip(archive.actor, POINT, SPAN)
    assert isinstance(clip, Drawing)
    film = archive.export.draw(clip, look)
    assert await anext(film) and await anext(film)
    assert archive.conversions.used == 0, "between two pieces others have their turn"
    await film.aclose()


# --- marks and ids


async def test_marks_are_burnt_in_and_every_file_names_its_look(site: Site, films: list[np.ndarray]) -> None:
    async with site.as_("operator.one") as client:
        plain = await client.get(f"/points/{POINT}/snapshot.jpg", params={"at": "2026-11-21T23:58:13.13Z"})
        marked = await client.get(
            f"/points/{POINT}/snapshot.jpg", params={"at": "2026-11-21T23:58:13.13Z", "mark": "true"}
        )
        looks = {row.look for row in await site.archive.ledger("opened")}
        for answer in (plain, marked):
            [said] = jpeg.comments(answer.content)
            assert said.removeprefix("anwang look ") in looks
        bare, stamped = (np.asarray(Image.open(io.BytesIO(one.content)).convert("L")) for one in (plain, marked))
        assert likeness(bare[:120], stamped[:120]) > 40 and likeness(bare[150:, :200], stamped[150:, :200]) < 20
        for params in (CLIP, {**CLIP, "mark": "true"}):
            clip = await client.get(f"/points/{POINT}/clip.mp4", params=params)
            assert fmp4.read_comment(clip.content).removeprefix("anwang look ") in {
                row.look for row in await site.archive.ledger("opened") if row.action == "export"
            }
        shown = lumas(clip.content)
        assert len(shown) == 200 and "content-length" not in clip.headers
        assert likeness(shown[10][:130], films[85][:130]) > 24
        first, later = shown[3][150:, :200], shown[60][150:, :200]
        assert likeness(first, films[78][150:, :200]) < 20 and (first != later).any(), "the time goes on"


# --- kept a short while


async def test_pieces_are_made_once_for_all_and_forgotten(clock_: FakeClock) -> None:
    made, calls = Made(clock_, most_bytes=100, seconds=60), []
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow() -> bytes:
        calls.append(1)
        begun.set()
        await go.wait()
        return b"x" * 60

    waiting = [asyncio.create_task(made.get("a", slow)) for _ in range(3)]
    await begun.wait()
    go.set()
    assert await asyncio.gather(*waiting) == [b"x" * 60] * 3 and len(calls) == 1
    assert await made.get("a", slow) == b"x" * 60 and len(calls) == 1
    await made.get("b", slow)
    await made.get("c", slow)
    await made.get("a", slow)
    assert len(calls) == 4, "a hundred bytes hold one of them"
    await clock_.advance(61)
    await made.get("a", slow)
    assert len(calls) == 5


async def test_what_nobody_waits_for_any_more_is_not_made(clock_: FakeClock) -> None:
    made, ended = Made(clock_), asyncio.Event()
    begun = asyncio.Event()

    async def endless() -> bytes:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return b""

    both = [asyncio.create_task(made.get("a", endless)) for _ in range(2)]
    await begun.wait()
    both[0].cancel()
    await asyncio.wait({both[0]})
    assert not ended.is_set()
    both[1].cancel()
    await asyncio.wait({both[1]})
    await asyncio.wait_for(ended.wait(), 5)

    async def broken() -> bytes:
        raise Unavailable("no decoder")

    for _ in range(2):
        with pytest.raises(Unavailable):
            await made.get("a", broken)


@pytest.fixture
def clock_() -> FakeClock:
    return FakeClock()


# --- routes


async def test_the_routes(site: Site) -> None:
    address = f"/points/{POINT}/masks"
    async with site.as_("officer.one") as client:
        empty = (await client.get(address)).json()
        assert empty["items"] == [] and empty["preset"] is None
        body = {"version": empty["version"], "items": [{"name": "窗", "why": "住户", "polygon": WINDOW}]}
        made = await client.put(address, json=body)
        assert made.status_code == 200, made.text
        [mask] = made.json()["items"]
        assert (mask["name"], mask["polygon"], mask["covers_now"]) == ("窗", WINDOW, True)
        assert (await client.put(address, json=body)).status_code == 409
        body = {"version": made.json()["version"], "items": []}
        refused = await client.put(address, json=body)
        assert (refused.status_code, refused.json()["kind"]) == (403, "approval_needed")
        for polygon in ([[0, 0], [1, 1]], [[0, 0], [1, 1], [1, 0], [0, 1]], [[0, 0], [2, 0], [1, 1]], [[0], [1], [1]]):
            bad = {"version": made.json()["version"], "items": [{"polygon": polygon}]}
            answer = await client.put(address, json=bad)
            assert answer.status_code == 400 and set(answer.json()) == {"kind", "reason", "hint"}, polygon
        assert (await client.get("/points/0198a0de-0000-7000-8000-00000000ffff/masks")).status_code == 404
    async with site.as_("operator.one") as client:
        assert len((await client.get(address)).json()["items"]) == 1
        assert (await client.put(address, json=body)).status_code == 403


async def test_asking_for_h264_is_no_way_around(archive: Archive, source: Path, films: list[np.ndarray]) -> None:
    """The one conversion that there was before masks."""
    await fill(archive, source)
    await set_masks(archive, drawn())
    look = await archive.looks.open(archive.actor, Action.VIEW_PLAYBACK, POINT, SPAN)
    [one, *_] = await archive.index.segments(POINT, SPAN, limit=5)
    init = await archive.playback.init(archive.actor, look.token, one.id, as_h264=True)
    first, last = one.key_frames[0].position, one.size_bytes
    for as_h264 in (True, False):
        data = await archive.playback.piece(archive.actor, look.token, one.id, first, last, as_h264=as_h264)
        assert_covered(lumas(init + data), films)
