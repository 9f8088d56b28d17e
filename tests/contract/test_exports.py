"""Export packages (domain.md G15), over real recordings, stores and a real governance."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from anwang.governance import EVERYTHING, NOTHING, Action, Actor, NewGrant, Retention, Rule, Rules, Scope, Wanted
from anwang.governance.retention import store as retained
from anwang.kernel.errors import (
    ApprovalNeeded,
    Conflict,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    PurposeNeeded,
    Unavailable,
)
from anwang.kernel.ids import OrgId, PointId, UserId, uuid7
from anwang.kernel.times import Span, from_micros
from anwang.media import verify_package
from anwang.media.export import Clip, Drawing, Redaction
from anwang.media.export import Export as Clips
from anwang.media.exports import store
from anwang.media.exports.jobs import ExportKeeper, Making
from anwang.media.exports.model import Choice, Covered, Export, ExportForm, ExportId, ExportState, Item, Why
from anwang.media.exports.model import Wanted as WantedClip
from anwang.media.exports.package import CUSTODY, MANIFEST, Intact
from anwang.media.exports.packing import Packer
from anwang.media.exports.service import Exports
from anwang.media.http.exports import Taking, build_router
from anwang.media.masks.model import Drawn, version_of
from anwang.media.sight import sign
from anwang.stores.state import State as Database
from anwang.web.api import build_api
from anwang.web.health import Health
from anwang.wire.fmp4 import read_comment
from tests.archive import SECOND, Archive, fill, owned, where
from tests.governed import actor_of, make_tables, token_of, with_purpose
from tests.recordings import POINT, START_US

CODE = "34020000001320000001"
WINDOW = ((2500, 2500), (7500, 2500), (7500, 7500), (2500, 7500))
INSIDE, ABOVE = (slice(50, 130), slice(85, 235)), (slice(0, 40), slice(0, 320))
ORIGINAL = Choice(form=ExportForm.ORIGINAL, with_mark=False, with_sound=False, note="", recipient="")
REDACTED = replace(ORIGINAL, form=ExportForm.REDACTED)


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition, a minute at most."""
    async with asyncio.timeout(60):
        while not await is_so():
            await asyncio.sleep(0.01)


class Held(Clips):
    """Clips that are not made before the gate opens."""

    def __init__(self, inner: Clips) -> None:
        super().__init__(
            footage=inner.footage, causes=inner.causes, looks=inner.looks, clock=inner.clock, sight=inner.sight
        )
        self.gate = asyncio.Event()

    async def plan(self, *given: Any, **more: Any) -> Clip | Drawing:
        await self.gate.wait()
        return await super().plan(*given, **more)


@dataclass
class House:
    """Exports that are being made."""

    archive: Archive
    exports: Exports
    making: Making
    app: FastAPI
    room: bool = True

    @property
    def actor(self) -> Actor:
        return self.archive.actor

    async def ask(self, start_s: float, end_s: float, choice: Choice = ORIGINAL, *covered: Covered) -> Export:
        is_clear = choice.form is ExportForm.REDACTED and not covered
        return await self.exports.ask(self.actor, [clip(start_s, end_s, is_clear=is_clear)], covered, choice)

    def hold(self) -> asyncio.Event:
        """From now on nothing is made before the event is set."""
        held = Held(self.archive.export)
        self.making.packer = replace(self.making.packer, clips=held)
        return held.gate

    async def running(self, one: Export) -> None:
        """Wait until it runs and has opened its look."""

        async def is_running() -> bool:
            opened = [row for row in await self.archive.ledger("opened") if row.action == "export"]
            return (await self.exports.one(self.actor, one.id)).state is ExportState.RUNNING and bool(opened)

        await until(is_running)

    async def ended(self, one: Export) -> Export:
        """What became of it."""

        async def is_over() -> bool:
            return (await self.exports.one(self.actor, one.id)).ended_at is not None

        await until(is_over)
        return await self.exports.one(self.actor, one.id)

    async def made(self, *given: Any) -> tuple[Export, bytes]:
        """One that is ready, and its package."""
        one = await self.ended(await self.ask(*given))
        assert one.state is ExportState.READY, one.reason
        return one, await self.archive.objects.get(one.key)

    @contextlib.asynccontextmanager
    async def as_(self, username: str) -> AsyncIterator[httpx.AsyncClient]:
        governance = self.archive.governance
        token = await token_of(governance, username)
        actor = await governance.actor(token)
        headers = {"authorization": f"Bearer {token}"}
        if actor.may(Action.OPEN_PURPOSE):
            purpose = (await with_purpose(governance, actor)).purpose
            headers["x-purpose"] = purpose.id if purpose else ""
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://site/api/v1", headers=headers) as client:
            yield client


def clip(start_s: float, end_s: float, *, is_clear: bool = False, point: PointId = POINT) -> WantedClip:
    span = Span(START_US + round(start_s * SECOND), START_US + round(end_s * SECOND))
    return WantedClip(point=point, span=span, is_clear=is_clear)


def window(start_s: float, end_s: float) -> Covered:
    return Covered(point=POINT, redaction=Redaction(span=clip(start_s, end_s).span, polygon=WINDOW))


def opened(data: bytes) -> Intact:
    return verify_package(io.BytesIO(data))


def film(data: bytes, number: int = 0) -> tuple[list[np.ndarray], list[float], int]:
    """Brightness and times of the pictures of a clip in a package, and its sound tracks."""
    name = opened(data).manifest.files[number].name
    with zipfile.ZipFile(io.BytesIO(data)) as package, av.open(io.BytesIO(package.read(name))) as container:
        frames = list(container.decode(video=0))
        lumas = [frame.to_ndarray(format="gray") for frame in frames]
        return lumas, [float(frame.time or 0) for frame in frames], len(container.streams.audio)


def is_covered(luma: np.ndarray) -> bool:
    area = luma[INSIDE].astype(int)
    return bool(area.std() < 4)


@pytest.fixture
async def house(archive: Archive, source: Path) -> AsyncIterator[House]:
    await fill(archive, source, gap_after=1)

    async def codes(points: Any) -> dict[PointId, str]:
        return dict.fromkeys(points, CODE)

    packer = Packer(
        clips=archive.export, looks=archive.looks, governs=archive.governance, clock=archive.clock, city="安澜市"
    )
    making = Making(
        state=archive.main, clock=archive.clock, objects=archive.objects, governs=archive.governance, packer=packer,
        most=1, kept=timedelta(days=7),
    )  # fmt: skip
    built: House
    exports = Exports(
        state=archive.main, clock=archive.clock, objects=archive.objects, governs=archive.governance,
        looks=archive.looks, making=making, codes=codes, may_write=lambda: built.room,
    )  # fmt: skip
    app = build_api(
        governance=archive.governance, routers=[build_router(Taking(exports=exports))],
        health=Health(clock=archive.clock), metrics=CollectorRegistry(), describe=list,
    )  # fmt: skip
    built = House(archive, exports, making, app)
    running = asyncio.create_task(making.run())
    yield built
    running.cancel()
    await asyncio.wait({running})


# --- originals -------------------------------------------------------------------------------------------------------


async def test_g15_a_package_holds_the_clips_and_what_they_are(house: House) -> None:
    choice = replace(ORIGINAL, note="案件材料", recipient="北区检察院")
    one, data = await house.made(1, 90, choice)
    assert (one.bytes_done, one.seconds_done, one.expires_at) == (
        len(data), 89.0, house.archive.clock.now() + timedelta(days=7),
    )  # fmt: skip
    key = house.archive.governance.signer.newest
    manifest = verify_package(io.BytesIO(data), key).manifest
    assert (manifest.export, manifest.form, manifest.note, manifest.recipient) == (
        one.id, "original", "案件材料", "北区检察院",
    )  # fmt: skip
    assert (manifest.asked_by.username, manifest.purpose and manifest.purpose.case_no) == (
        "operator.one", "A9901010000002026110001",
    )  # fmt: skip
    [file] = manifest.files
    assert (file.point.code, file.point.name, file.original, file.sound, file.second) == (
        CODE, "北门/1号", True, True, None,
    )  # fmt: skip
    assert [(gap.start, gap.end, gap.cause) for gap in file.gaps] == [
        ("2026-11-21T23:58:16Z", "2026-11-21T23:59:16Z", "not_planned"),
        ("2026-11-21T23:59:24Z", "2026-11-21T23:59:30Z", "not_planned"),
    ]
    assert (file.wanted.start, file.shown.end) == ("2026-11-21T23:58:01Z", "2026-11-21T23:59:24Z")
    objects = (await house.archive.objects.list("video")).entries
    assert len(file.sources) == len(objects) == 3
    assert {source.sha256 for source in file.sources} == {
        hashlib.sha256(await house.archive.objects.get(entry.key)).hexdigest() for entry in objects
    }
    assert [source.as_sealed for source in file.sources] == [True] * 3
    assert await house.archive.ledger("alert") == []
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        inside = package.read(file.name)
        assert read_comment(memoryview(inside)) == sign(file.look)  # type: ignore[arg-type]  # a LookId
        assert hashlib.sha256(package.read(MANIFEST)).hexdigest() == one.sha256
    assert len(film(data)[0]) > 500


async def test_g15_a_recording_that_was_changed_after_it_was_sealed_is_told(house: House) -> None:
    entry = (await house.archive.objects.list("video")).entries[0]
    stored = bytearray(await house.archive.objects.get(entry.key))
    stored[-2000] ^= 1  # within the samples of its last pictures
    await house.archive.objects.delete([entry.key])
    await house.archive.objects.put(entry.key, bytes(stored))
    _, data = await house.made(0, 12)
    told = [source.as_sealed for source in opened(data).manifest.files[0].sources]
    assert told == [False, True]
    (row,) = await house.archive.ledger("alert")
    assert row.objects[0] == POINT and row.objects[1] in entry.key


async def test_g15_the_chain_of_custody_ends_at_the_ledgers_head(house: House) -> None:
    one, data = await house.made(0, 5)
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        custody = json.loads(package.read(CUSTODY))
    rows = custody["rows"]
    assert [(row["kind"], row["action"]) for row in rows] == [
        ("changed", "export"), ("opened", "export"), ("closed", "export"),
    ]  # fmt: skip
    assert rows[-1]["count"] == 1 and rows[-1]["bytes"] == opened(data).manifest.files[0].size
    assert custody["ledger"]["row"] >= rows[-1]["seq"]
    assert len(custody["ledger"]["hash"]) == 64
    sealed = [row for row in await house.archive.ledger("changed") if one.id in row.objects]
    assert one.sha256 in sealed[-1].detail


async def test_g15_each_clip_is_decided_as_one_that_is_taken_at_once(house: House) -> None:
    governance = house.archive.governance
    viewer = await actor_of(governance, "viewer.one")
    bare = replace(house.actor, purpose=None)
    for actor, wanted, error in (
        (bare, clip(0, 5), PurposeNeeded),
        (house.actor, clip(0, 700), ApprovalNeeded),
        (house.actor, clip(0, 5, point=PointId("0198a0de-0000-7000-8000-00000000ffff")), NotFound),
        (house.actor, clip(0, 3 * 3600), Invalid),
        (viewer, clip(0, 5), Denied),
    ):
        with pytest.raises(error):
            await house.exports.ask(actor, [wanted], [], ORIGINAL)
    refused = await house.archive.ledger("denied")
    assert [row.outcome for row in refused] == ["no purpose", "no approval", "refused"]
    assert await house.archive.ledger("opened") == []
    house.room = False
    with pytest.raises(Unavailable):
        await house.ask(0, 5)


async def test_g15_a_second_persons_yes_stands_in_the_manifest(house: House) -> None:
    governance = house.archive.governance
    wanted = Wanted(
        action=Action.EXPORT, objects=[await where(POINT)], span=clip(0, 700).span, why="案件需要", is_urgent=False
    )
    asked = await governance.approvals.ask(house.actor, wanted)
    await governance.approvals.decide(await actor_of(governance, "officer.one"), asked.id, yes=True, reason="")
    one, data = await house.made(0, 700)
    second = opened(data).manifest.files[0].second
    assert second is not None and (second.approval, second.by) == (asked.id, "officer.one")
    [row] = [row for row in await house.archive.ledger("opened") if row.action == "export"]
    assert (row.approval, one.id in row.detail) == (asked.id, True)


async def test_g15_one_that_fails_says_why_and_leaves_nothing(house: House) -> None:
    nothing = await house.ended(await house.ask(3600, 3660))
    assert (nothing.state, "nothing" in nothing.reason) == (ExportState.FAILED, True), nothing.reason
    assert (await house.archive.objects.list("exports")).entries == ()
    assert house.archive.objects.unsealed() == ()
    [closed] = [row for row in await house.archive.ledger("closed") if row.action == "export"]
    assert (closed.outcome, closed.count) == ("NotFound", 0)
    with pytest.raises(Conflict):
        await house.exports.take(house.actor, nothing.id)
    with pytest.raises(Conflict):
        await house.exports.give_up(house.actor, nothing.id)


async def test_g15_it_ends_with_the_session_that_asked(house: House) -> None:
    gate = house.hold()
    one = await house.ask(0, 5)
    await house.running(one)
    await house.archive.governance.sign_out(house.actor)
    ended = await house.ended(one)
    assert (ended.state, ended.reason) == (ExportState.FAILED, "your session ended, or its rights changed")
    assert not gate.is_set()
    assert house.archive.objects.unsealed() == ()


async def test_g15_what_waits_and_what_runs_can_be_cancelled(house: House) -> None:
    gate = house.hold()
    first, second = await house.ask(0, 5), await house.ask(5, 9)
    await house.running(first)
    assert house.making.waiting == 1
    for one in (second, first):
        assert (await house.exports.give_up(house.actor, one.id)).state is ExportState.CANCELLED
    gate.set()
    third = await house.ended(await house.ask(0, 4))
    assert third.state is ExportState.READY
    assert [(await house.exports.one(house.actor, one.id)).state for one in (first, second)] == [
        ExportState.CANCELLED
    ] * 2
    assert [entry.key for entry in (await house.archive.objects.list("exports")).entries] == [third.key]
    assert house.archive.objects.unsealed() == ()
    deeds = [row.detail for row in await house.archive.ledger("changed") if row.action == "export"]
    assert deeds.count("export cancelled, 0 bytes") == 2


async def test_g15_a_person_has_so_many_under_way(house: House) -> None:
    house.hold()
    for _ in range(10):
        await house.ask(0, 5)
    with pytest.raises(Exhausted):
        await house.ask(0, 5)


async def test_g15_after_a_crash_it_has_failed_and_nothing_is_left(house: House) -> None:
    house.hold()
    first, second = await house.ask(0, 5), await house.ask(0, 6)
    await house.running(first)
    await house.archive.objects.put(second.key, b"half a package")
    assert await house.making.recover() == 2
    for one in (first, second):
        found = await house.exports.one(house.actor, one.id)
        assert (found.state, found.hint) == (ExportState.FAILED, "ask for it again")
    assert (await house.archive.objects.list("exports")).entries == ()


async def test_g15_a_package_is_kept_for_its_days_and_then_deleted(house: House) -> None:
    one, _ = await house.made(0, 5)
    archive = house.archive
    rule = Rule(minimum=timedelta(days=30), maximum=timedelta(days=30))
    retention = Retention(
        state=archive.main,
        ledger=archive.governance.ledger,
        clock=archive.clock,
        rules=Rules(dict.fromkeys((1, 2, 3), rule)),
        owned=owned,
    )
    keeper = ExportKeeper(state=archive.main, objects=archive.objects)
    retention.register(keeper, keeps_copies=True)
    now = archive.clock.now()
    assert (await retention.run_once(now + timedelta(days=7, seconds=-1))).deleted == {}
    assert (await retention.run_once(now + timedelta(days=7))).deleted == {"exports": 1}
    assert (await house.exports.one(house.actor, one.id)).state is ExportState.EXPIRED
    with pytest.raises(NotFound):
        await archive.objects.get(one.key)
    assert [(row.action, row.count) for row in await archive.ledger("deleted")] == [("retention exports", 1)]
    assert (await retention.run_once(now + timedelta(days=8))).deleted == {}
    assert await keeper.within(POINT, one.items[0].span, 9, None) == []
    assert await keeper.short(now, 9, None) == ([], None)
    days = {"start_at": now, "end_at": now + timedelta(days=9), "minimum": rule.minimum, "limit": 9}
    async with archive.main.read() as tx:
        assert await retained.odd_proofs(tx, copies=retention.copies, **days) == [], "no minimum holds for a copy"
        assert len(await retained.odd_proofs(tx, copies=(), **days)) == 1


# --- redacted copies -------------------------------------------------------------------------------------------------


async def test_g15_what_was_drawn_is_covered_while_it_is_needed(house: House) -> None:
    one, data = await house.made(0, 12, REDACTED, window(3, 6))
    assert one.seconds_done == 12
    lumas, times, sound = film(data)
    inside = [is_covered(luma) for luma, at in zip(lumas, times, strict=True) if 3 <= at < 6]
    outside = [is_covered(luma) for luma, at in zip(lumas, times, strict=True) if at < 2.7 or at >= 6.3]
    assert len(inside) > 60 and all(inside)
    assert len(outside) > 150 and not any(outside)
    assert all(luma[ABOVE].std() > 20 for luma in lumas), "the rest is still a picture"
    [file] = opened(data).manifest.files
    assert (file.original, file.sound, sound, file.drawn.redactions) == (False, False, 0, 1)
    assert all(source.sha256 == "" for source in file.sources)


async def test_g15_sound_is_in_a_redacted_copy_only_where_it_is_wanted(house: House) -> None:
    _, data = await house.made(0, 4, replace(REDACTED, with_sound=True))
    assert (film(data)[2], opened(data).manifest.files[0].sound) == (1, True)


async def test_g15_a_redacted_copy_has_all_masks_whoever_may_see_without(house: House) -> None:
    archive = house.archive
    officer = await with_purpose(archive.governance, await actor_of(archive.governance, "officer.one"))
    drawn = Drawn(id="", preset=3, name="window", why="", polygon=WINDOW)
    await archive.masks.set(officer, await where(POINT), [drawn], seen=version_of([]))
    wanted = Wanted(
        action=Action.UNMASK, objects=[await where(POINT)], span=clip(-10, 60).span, why="who went in", is_urgent=False
    )
    asked = await archive.governance.approvals.ask(house.actor, wanted)
    await archive.governance.approvals.decide(officer, asked.id, yes=True, reason="")
    _, bare = await house.made(0, 4)
    assert not any(map(is_covered, film(bare)[0])) and opened(bare).manifest.files[0].original
    _, covered = await house.made(0, 4, REDACTED)
    assert all(map(is_covered, film(covered)[0]))
    assert opened(covered).manifest.files[0].drawn.masks == 1


async def test_g09_an_original_of_a_masked_point_has_its_masks(house: House) -> None:
    archive = house.archive
    officer = await actor_of(archive.governance, "officer.one")
    drawn = Drawn(id="", preset=None, name="window", why="", polygon=WINDOW)
    await archive.masks.set(officer, await where(POINT), [drawn], seen=version_of([]))
    _, data = await house.made(0, 4, replace(ORIGINAL, with_mark=True))
    [file] = opened(data).manifest.files
    assert (file.original, file.drawn.masks, file.drawn.mark, file.sound) == (False, 1, True, True)
    assert all(map(is_covered, film(data)[0]))


# --- routes ----------------------------------------------------------------------------------------------------------


def body(form: str = "original", **more: Any) -> dict[str, Any]:
    stretch = {"point": POINT, "from": "2026-11-21T23:58:00Z", "to": "2026-11-21T23:58:05Z"}
    return {"items": [stretch], "form": form, **more}


async def test_the_routes(house: House) -> None:
    async with house.as_("operator.one") as client:
        made = await client.post("/exports", json=body(note="  a  case ", recipient="北区检察院"))
        assert (made.status_code, made.json()["state"], made.json()["note"]) == (202, "waiting", "a case"), made.text
        address = f"/exports/{made.json()['id']}"

        async def is_ready() -> bool:
            return bool((await client.get(address)).json()["state"] == "ready")

        await until(is_ready)
        told = (await client.get(address)).json()
        assert (told["mine"], told["seconds"], told["seconds_done"], told["items"][0]["code"]) == (True, 5, 5, CODE)
        whole = await client.get(f"{address}/package.zip")
        assert (whole.status_code, int(whole.headers["content-length"])) == (200, told["bytes_done"])
        opened(whole.content)
        head = await client.head(f"{address}/package.zip")
        assert (head.headers["content-length"], head.content) == (str(told["bytes_done"]), b"")
        part = await client.get(f"{address}/package.zip", headers={"range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, whole.content[5:10])
        beyond = await client.get(f"{address}/package.zip", headers={"range": f"bytes={told['bytes_done']}-"})
        assert beyond.status_code == 416
        listed = (await client.get("/exports", params={"limit": 1})).json()
        assert [one["id"] for one in listed["items"]] == [told["id"]] and listed["next"] is None
        for wrong in (
            body("redacted"),
            body(redactions=[]) | {"items": []},
            body("original", redactions=[{**body()["items"][0], "polygon": [[0, 0], [0.5, 0], [0.5, 0.5]]}]),
            body("redacted", redactions=[{**body()["items"][0], "polygon": [[0, 0], [2, 0], [0.5, 0.5]]}]),
            body("redacted", redactions=[{**body()["items"][0], "polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}]),
            body("both"),
            body(colour="red"),
        ):
            assert (await client.post("/exports", json=wrong)).status_code == 400, wrong
        for point in ("no-id", "0198a0de-0000-7000-8000-00000000ffff"):
            unseen = body() | {"items": [{**body()["items"][0], "point": point}]}
            assert (await client.post("/exports", json=unseen)).status_code == 404
        assert (await client.get("/exports/none")).status_code == 404
        gone = await client.delete(address)
        assert (gone.status_code, gone.json()["state"]) == (200, "discarded")
        assert (await client.get(f"{address}/package.zip")).status_code == 409
        assert (await client.delete(address)).status_code == 409
    rows = await house.archive.ledger("exported")
    assert [(row.recipient, row.bytes, told["id"] in row.objects) for row in rows] == [
        ("北区检察院", told["bytes_done"], True), ("北区检察院", 5, True),
    ]  # fmt: skip
    async with house.as_("viewer.one") as client:
        for method, path in (("GET", "/exports"), ("POST", "/exports"), ("GET", address), ("DELETE", address)):
            assert (await client.request(method, path, json=body())).status_code == 403, path


async def test_g15_somebody_else_needs_reasons_of_their_own(house: House) -> None:
    one, _ = await house.made(0, 5)
    async with house.as_("officer.one") as client:
        address = f"/exports/{one.id}"
        assert (await client.get(address)).json()["mine"] is False
        assert (await client.get(f"{address}/package.zip")).status_code == 200, "short and of the duty hours"
        await house.archive.clock.advance(26 * 3600)
        async with house.as_("officer.one") as later:
            refused = await later.get(f"{address}/package.zip")
            assert (refused.status_code, refused.json()["kind"]) == (403, "approval_needed")
    async with house.as_("operator.one") as client:
        assert (await client.get(f"{address}/package.zip")).status_code == 200


async def test_g15_a_package_is_taken_with_the_rights_of_today(house: House) -> None:
    """Who asked for it could fetch it for days after the rights to its points were gone."""
    one, _ = await house.made(0, 5)
    governance = house.archive.governance
    security = await actor_of(governance, "security_administrator.one")
    await governance.rights.replace(security, house.actor.user_id, [NewGrant(org_id=OrgId("south"))])
    async with house.as_("operator.one") as client:
        address = f"/exports/{one.id}"
        assert (await client.get(address)).status_code == 200, "one's own stays listed"
        assert (await client.get(f"{address}/package.zip")).status_code == 404
    assert await house.archive.ledger("exported") == []


# --- the store, on both engines --------------------------------------------------------------------------------------


def row(number: int, **more: Any) -> Export:
    at = START_US // 1000 + number
    plain = Export(
        id=ExportId(uuid7(at)), user_id=UserId("u1"), username="op", display_name="值班员", role="operator",
        unit="北区", org_path="/city/north/", choice=replace(REDACTED, note="n"), why=Why(id="p", kind="rescue"),
        items=(Item(point=POINT, code=CODE, name="北门", span=clip(0, 5).span, is_clear=False),),
        covered=(window(1, 2),), state=ExportState.WAITING, created_at=_moment(number),
    )  # fmt: skip
    return replace(plain, **more)


def _moment(number: int) -> datetime:
    return from_micros(START_US) + timedelta(seconds=number)


async def test_exports_are_seen_by_who_asked_and_within_the_scope(state: Database) -> None:
    await make_tables(state)
    south = Scope.below("/city/south/")
    mine, theirs = row(1), row(2, user_id=UserId("u2"), org_path="/city/south/")
    async with state.begin() as tx:
        await store.add(tx, mine)
        await store.add(tx, theirs)
    async with state.read() as tx:
        assert await store.get(tx, mine.id, seen_by=NOTHING, user_id="u1") == mine
        assert await store.get(tx, theirs.id, seen_by=NOTHING, user_id="u1") is None
        assert await store.get(tx, theirs.id, seen_by=south, user_id="u1") == theirs
        assert await store.page(tx, seen_by=south, user_id="u1", before="", limit=9) == [theirs, mine]
        assert await store.page(tx, seen_by=NOTHING, user_id="u1", before="", limit=9) == [mine]
        assert await store.page(tx, seen_by=EVERYTHING, user_id="", before=theirs.id, limit=9) == [mine]
        assert (await store.under_way(tx), await store.under_way(tx, user_id="u2")) == (2, 1)


async def test_exports_that_ended_are_found_in_order(state: Database) -> None:
    await make_tables(state)
    ends = [_moment(100), _moment(100), _moment(50), _moment(200)]
    rows = [row(n, state=ExportState.READY, ended_at=_moment(n), expires_at=end) for n, end in enumerate(ends)]
    async with state.begin() as tx:
        for one in rows:
            await store.add(tx, one)
        await store.add(tx, row(9))
    async with state.read() as tx:
        first = await store.expired(tx, _moment(100), after=None, limit=2)
        assert first == [rows[2], rows[0]]
        last = (first[-1].expires_at, first[-1].id)
        assert await store.expired(tx, _moment(100), after=last, limit=2) == [rows[1]]  # type: ignore[arg-type]
        assert [one.created_at for one in await store.in_states(tx, {ExportState.WAITING}, limit=9)] == [_moment(9)]
    changed = replace(rows[3], state=ExportState.EXPIRED, bytes_done=1 << 40, seconds_done=1.5, reason="r", hint="h")
    async with state.begin() as tx:
        await store.save(tx, changed)
        assert await store.get(tx, changed.id, seen_by=EVERYTHING, user_id="") == changed
