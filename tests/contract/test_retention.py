"""Retention on both engines: rules, holds, proofs, early deletion, daily reports (domain.md G10, G11)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta

import httpx
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select, update

from anwang.governance import (
    Action,
    Deleted,
    Expirable,
    Governance,
    Holds,
    Object,
    PurposeKind,
    Retention,
    RetentionReports,
    Role,
    Rules,
    Short,
    Sign,
)
from anwang.governance.cases.approvals import Wanted
from anwang.governance.duties import store as duties
from anwang.governance.duties.model import Regime, System, SystemId
from anwang.governance.http import retention as retention_http
from anwang.governance.retention.service import BATCH, RETRY_SECONDS, STEP
from anwang.governance.retention.store import deletions, findings
from anwang.kernel.errors import Denied, Invalid, NotFound
from anwang.kernel.ids import OrgId, PointId
from anwang.kernel.times import Span, civil_day, rfc3339, to_micros
from anwang.runtime.clock import FakeClock
from anwang.runtime.settings import Retention as RetentionSettings
from anwang.stores.state import State
from anwang.web.api import build_api
from anwang.web.health import Health
from tests.contract.test_governance import clock, governance, rows_of
from tests.governed import NORTH, SOUTH, account, actor_of, everyone, token_of, with_purpose

__all__ = ["clock", "governance"]

A, B = PointId("0198a0de-0000-7000-8000-00000000000a"), PointId("0198a0de-0000-7000-8000-00000000000b")


async def owned(points: Sequence[PointId]) -> Mapping[PointId, Object]:
    places = {A: Object(A, NORTH.path, name="北门 1 号"), B: Object(B, SOUTH.path)}
    return {point: places[point] for point in points if point in places}


DAY = timedelta(days=1)


def sha_of(id: str) -> str:
    return hashlib.sha256(id.encode()).hexdigest()


class Videos:
    """A keeper of objects in memory: one a day per point."""

    name = "videos"

    def __init__(self, now: datetime, days: int, classes: dict[str, int]) -> None:
        self.now = now
        self.broken = False
        self.objects = {
            f"{point}/{day}": Expirable(
                id=f"{point}/{day}", point=PointId(point), point_class=number, bytes=100,
                span=Span(to_micros(now - DAY * (day + 1)), to_micros(now - DAY * day)),
                sha256=sha_of(f"{point}/{day}"),
            )
            for point, number in classes.items() for day in range(days)
        }  # fmt: skip

    async def expired(self, now: datetime, limit: int, after: Expirable | None) -> Sequence[Expirable]:
        place = ("", 0) if after is None else (after.id, after.span.start)
        found = sorted(self.objects.values(), key=lambda each: (each.span.start, each.id))
        return [each for each in found if after is None or (each.span.start, each.id) > place[::-1]][:limit]

    async def delete(self, items: Sequence[Expirable]) -> Deleted:
        if self.broken:
            raise OSError("disk on fire")
        for item in items:
            self.objects.pop(item.id, None)
        return Deleted(count=len(items), bytes=sum(item.bytes for item in items), ids=[item.id for item in items])

    async def within(self, point: PointId, span: Span, limit: int, after: Expirable | None) -> Sequence[Expirable]:
        found = [
            each
            for each in sorted(self.objects.values(), key=lambda each: each.span.start)
            if each.point == point and each.span.start < span.end and span.start < each.span.end
        ]
        return [each for each in found if after is None or each.span.start > after.span.start][:limit]

    async def short(self, now: datetime, limit: int, after: PointId | None) -> tuple[Sequence[Short], PointId | None]:
        return [], None


@pytest.fixture
def retention(governance: Governance, state: State, clock: FakeClock) -> Retention:
    return Retention(
        state=state, ledger=governance.ledger, clock=clock, rules=Rules.of(RetentionSettings()), owned=owned
    )


@pytest.fixture
def holds(governance: Governance, state: State, clock: FakeClock) -> Holds:
    return Holds(state=state, ledger=governance.ledger, clock=clock)


async def test_g10_each_class_is_kept_as_long_as_its_rule_says(retention: Retention, clock: FakeClock) -> None:
    videos = Videos(clock.now(), 120, {"a": 1, "b": 2, "c": 3, "d": 9})
    retention.register(videos)
    run = await retention.run_once()
    assert {point: sum(key.startswith(point) for key in videos.objects) for point in "abcd"} == {
        "a": 90, "b": 30, "c": 30, "d": 30,
    }  # fmt: skip
    assert run.deleted == {"videos": 30 + 90 * 3}
    assert run.bytes == {"videos": 100 * (30 + 90 * 3)}
    assert (await retention.run_once()).deleted == {}


async def test_g10_a_kind_has_its_own_rule_and_a_video_system_its_promise(
    governance: Governance, state: State, clock: FakeClock
) -> None:
    """Points in a system that was entered with 120 days are kept so long, whatever their class; the nearest counts."""
    places = {
        PointId("a"): Object("a", "/city/north/gate/", kind="camera"),
        PointId("b"): Object("b", "/city/south/", kind="camera"),
        PointId("c"): Object("c", "/city/south/", kind="checkpoint"),
        PointId("d"): Object("d", "/city/north/", kind="checkpoint"),
    }
    async with state.begin() as tx:
        for number, (path, days) in enumerate((("/city/north/", 120), ("/city/north/gate/", 60), ("/city/n/", 300))):
            await duties.add_system(tx, System(
                id=SystemId(str(number)), name="北区", org_id=OrgId(f"o{number}"), org_name="北区", org_path=path,
                regime=Regime.ART7, legal_basis="条例第七条", in_use_on=date(2025, 5, 1), retention_days=days,
                contact="张三", version=1, created_at=clock.now(),
            ))  # fmt: skip
    rules = Rules.of(RetentionSettings(kind_days={"checkpoint": 90}), places.get)
    engine = Retention(state=state, ledger=governance.ledger, clock=clock, rules=rules, owned=owned)
    videos = Videos(clock.now(), 150, dict.fromkeys("abcd", 3))
    engine.register(videos)
    await engine.run_once()
    assert {point: sum(key.startswith(point) for key in videos.objects) for point in "abcd"} == {
        "a": 60, "b": 30, "c": 90, "d": 120,
    }  # fmt: skip
    span = Span(to_micros(clock.now() - DAY * 50), to_micros(clock.now() - DAY * 40))
    with pytest.raises(Invalid, match="before 60 days"):
        await engine.delete_early(places[PointId("a")], span, Sign(actor=None, second="y", approval="z", why="w"))
    with pytest.raises(Invalid, match="checkpoint is 7"):
        Rules.of(RetentionSettings(kind_days={"checkpoint": 7}))


async def test_g10_a_hold_keeps_and_its_release_lets_go(
    governance: Governance, retention: Retention, holds: Holds, clock: FakeClock
) -> None:
    await everyone(governance)
    operator, viewer = await actor_of(governance, "operator.one"), await actor_of(governance, "viewer.one")
    videos = Videos(clock.now(), 1500, {"a": 3})
    retention.register(videos)
    start, end = clock.now() - DAY * 1500, clock.now() - DAY * 700
    about = {"start_at": start, "end_at": end, "review_at": clock.now() + DAY * 30}
    with pytest.raises(Denied):
        await holds.place(viewer, Object("a", "/"), reason="case 17", **about)
    with pytest.raises(Invalid):
        await holds.place(operator, Object("a", "/"), reason="case 17", **{**about, "review_at": clock.now()})
    hold = await holds.place(operator, Object("a", "/"), reason="case 17", **about)
    run = await retention.run_once()
    assert (run.deleted["videos"], run.held["videos"]) == (670, 800 + 30)
    assert len(videos.objects) == 830
    assert [each.id for each in (await holds.page(viewer)).items] == [hold.id]
    with pytest.raises(Invalid):
        await holds.release(operator, hold.id, reason=" ok ")
    await holds.release(operator, hold.id, reason="case 17 is closed")
    with pytest.raises(NotFound):
        await holds.release(operator, hold.id, reason="case 17 is closed")
    await retention.run_once()
    assert len(videos.objects) == 30


async def test_g11_deletions_leave_proofs(
    governance: Governance, retention: Retention, clock: FakeClock, state: State
) -> None:
    videos = Videos(clock.now(), 34, {"a": 3})
    retention.register(videos)
    await retention.run_once()
    async with state.read() as tx:
        (proof,) = (await tx.execute(select(deletions))).all()
    expected = [[f"a/{day}", 100, sha_of(f"a/{day}")] for day in range(30, 34)]
    assert sorted(proof.objects) == expected
    lines = "\n".join(" ".join(map(str, one)) for one in expected)
    assert proof.digest == hashlib.sha256(lines.encode()).hexdigest()
    assert (proof.keeper, proof.count, proof.bytes) == ("videos", 4, 400)
    rows = [row for row in await rows_of(governance) if row.kind in ("deleting", "deleted")]
    assert [(row.kind, row.count, row.bytes, row.objects) for row in rows] == [
        ("deleting", 4, 400, ("a",)), ("deleted", 4, 400, ("a",)),
    ]  # fmt: skip
    assert all(proof.digest in row.detail for row in rows)


async def test_one_keepers_trouble_is_its_own(retention: Retention, clock: FakeClock) -> None:
    bad, good = Videos(clock.now(), 40, {"a": 3}), Videos(clock.now(), 40, {"b": 3})
    bad.broken, good.name = True, "pictures"
    retention.register(bad)
    retention.register(good)
    run = await retention.run_once()
    assert (run.failed, run.deleted) == ({"videos": "disk on fire"}, {"pictures": 10})
    with pytest.raises(Invalid):
        retention.register(good)


async def test_a_run_goes_on_until_all_that_has_expired_is_gone(
    retention: Retention, holds: Holds, governance: Governance, clock: FakeClock
) -> None:
    """A run once stopped at so many objects, or as soon as many were held, and said nothing."""
    await everyone(governance)
    operator = await actor_of(governance, "operator.one")
    many = Videos(clock.now(), BATCH * (STEP + 3) + 30, {"a": 3})
    few = Videos(clock.now(), 40, {"b": 3})
    few.name = "pictures"
    for keeper in (many, few):
        retention.register(keeper)
    start = clock.now() - DAY * (BATCH * (STEP + 3) + 31)
    await holds.place(
        operator, Object("a", "/"), reason="case 18", start_at=start, end_at=start + DAY * BATCH * 2,
        review_at=clock.now() + DAY,
    )  # fmt: skip
    running = asyncio.create_task(retention.run())
    try:
        async with asyncio.timeout(60):
            while retention.deleted < BATCH * (STEP + 1) + 10 or retention.last.behind:
                await asyncio.sleep(0.01)
        assert len(many.objects) in range(BATCH * 2 + 29, BATCH * 2 + 32) and len(few.objects) == 30
        assert retention.last.held["videos"] == len(many.objects)
        few.broken = True
        async with asyncio.timeout(60):
            while not retention.failures:
                await clock.advance(3600)
                await asyncio.sleep(0.01)
        assert retention.last.failed == {"pictures": "disk on fire"}
        few.broken = False
        async with asyncio.timeout(60):
            while retention.last.failed or retention.last.behind or len(few.objects) > 29:
                await clock.advance(RETRY_SECONDS)
                await asyncio.sleep(0.01)
    finally:
        running.cancel()


def test_g10_a_maximum_below_the_minimum_is_refused() -> None:
    with pytest.raises(Invalid, match="class_2_days"):
        Rules.of(RetentionSettings(minimum_days=60))


# --- before its time ------------------------------------------------------------------------------------------------


@pytest.fixture
def reports(governance: Governance, retention: Retention, state: State, clock: FakeClock) -> RetentionReports:
    return RetentionReports(state=state, ledger=governance.ledger, clock=clock, retention=retention, owned=owned)


@pytest.fixture
async def api(
    governance: Governance, retention: Retention, reports: RetentionReports, clock: FakeClock
) -> AsyncIterator[httpx.AsyncClient]:
    engine = retention_http.Engine(retention=retention, reports=reports, owned=owned)
    app = build_api(
        governance=governance,
        routers=[retention_http.build_router(engine)],
        health=Health(clock=clock),
        metrics=CollectorRegistry(),
        describe=list,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://site/api/v1") as client:
        yield client


def as_(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def agreed(governance: Governance, api: httpx.AsyncClient, span: tuple[datetime, datetime]) -> str:
    """An officer's token for which another one has agreed that this of A is deleted."""
    await governance.seed([account("officer.two", Role.OFFICER)])
    asking = await with_purpose(governance, await actor_of(governance, "officer.one"))
    wanted = Wanted(
        action=Action.DELETE, objects=[Object(A, NORTH.path)], span=Span(to_micros(span[0]), to_micros(span[1])),
        why="filmed into a flat", is_urgent=False,
    )  # fmt: skip
    asked = await governance.approvals.ask(asking, wanted)
    await governance.approvals.decide(await actor_of(governance, "officer.two"), asked.id, yes=True, reason="")
    token = await token_of(governance, "officer.one")
    again = await governance.actor(token)
    await governance.open_purpose(
        again, kind=PurposeKind.CRIMINAL_CASE, case_no="A9901010000002026110001", unit="北区分局", note="", minutes=60
    )
    return token


async def test_g11_nothing_is_deleted_early_without_a_second_person(
    governance: Governance, retention: Retention, holds: Holds, api: httpx.AsyncClient, clock: FakeClock, state: State
) -> None:
    tokens = await everyone(governance)
    videos = Videos(clock.now(), 80, {A: 1, B: 1})  # kept for 90 days
    retention.register(videos)
    start, end = clock.now() - DAY * 50, clock.now() - DAY * 40
    body = {"start": rfc3339(start), "end": rfc3339(end), "why": "filmed into a flat"}
    url = f"/points/{A}/deletions"
    for role, token in tokens.items():
        answer = await api.post(url, json=body, headers=as_(token))
        assert answer.status_code == 403, role
        if role == "officer":
            assert answer.json()["kind"] == "purpose_needed"
    token = await agreed(governance, api, (start, end))
    for wrong in ({"end": body["start"]}, {"why": " "}, {"start": "2026-01-01T00:00:00"}):
        assert (await api.post(url, json=body | wrong, headers=as_(token))).status_code == 400, wrong
    for beyond in ({"start": rfc3339(start - DAY)}, {"end": rfc3339(end + DAY)}):  # nobody agreed to that
        assert (await api.post(url, json=body | beyond, headers=as_(token))).json()["kind"] == "approval_needed"
    assert (await api.post(f"/points/{B}/deletions", json=body, headers=as_(token))).status_code == 403
    assert (await api.post("/points/none/deletions", json=body, headers=as_(token))).status_code == 404
    assert len(videos.objects) == 160
    officer = await actor_of(governance, "officer.one")
    await holds.place(
        officer, Object(A, NORTH.path), start_at=start, end_at=start + DAY * 2, reason="case 17",
        review_at=clock.now() + DAY,
    )  # fmt: skip
    part = body | {"end": rfc3339(end - timedelta(hours=1))}  # the last day reaches beyond
    answer = await api.post(url, json=part, headers=as_(token))
    assert answer.status_code == 201, answer.text
    done = answer.json()
    assert (done["count"], done["bytes"], done["held"], done["reaching"]) == (7, 700, 2, 1)
    assert sorted(set(range(80)) - {int(id.partition("/")[2]) for id in videos.objects if id.startswith(A)}) == [
        41, 42, 43, 44, 45, 46, 47,
    ]  # fmt: skip
    (proof_id,) = done["proofs"]
    proof = (await api.get(f"/deletions/{proof_id}", headers=as_(token))).json()
    assert (proof["by"], proof["second"], proof["why"]) == ("officer.one", "officer.two", "filmed into a flat")
    assert {(one["id"], one["bytes"], one["sha256"]) for one in proof["objects"]} == {
        (f"{A}/{day}", 100, sha_of(f"{A}/{day}")) for day in range(41, 48)
    }
    rows = await rows_of(governance)
    (deleted,) = [row for row in rows if row.kind == "deleted"]
    assert (deleted.approval, deleted.name, deleted.user) == (proof["approval"], "officer.one", officer.user_id)
    assert (deleted.case, deleted.unit, deleted.role) == ("A9901010000002026110001", "安澜市", "officer")
    assert deleted.terminal
    assert proof["digest"] in deleted.detail
    (opened,) = [row for row in rows if row.kind == "opened" and row.action == "delete"]
    (closed,) = [row for row in rows if row.kind == "closed" and row.action == "delete"]
    assert opened.approval == proof["approval"] and (closed.bytes, closed.outcome) == (700, "ended")


async def test_g10_the_minimum_blocks_even_two_persons(
    governance: Governance, retention: Retention, api: httpx.AsyncClient, clock: FakeClock
) -> None:
    await everyone(governance)
    videos = Videos(clock.now(), 80, {A: 1})
    retention.register(videos)
    start, end = clock.now() - DAY * 31, clock.now() - DAY * 29
    token = await agreed(governance, api, (start, end))
    body = {"start": rfc3339(start), "end": rfc3339(end), "why": "filmed into a flat"}
    answer = await api.post(f"/points/{A}/deletions", json=body, headers=as_(token))
    assert answer.status_code == 400 and "30 days" in answer.text
    assert len(videos.objects) == 80


async def test_g11_proofs_are_listed_page_by_page_and_within_the_scope(
    governance: Governance, retention: Retention, api: httpx.AsyncClient, clock: FakeClock
) -> None:
    tokens = await everyone(governance)
    await governance.seed([account("officer.south", Role.OFFICER, SOUTH.id)])
    south = as_(await token_of(governance, "officer.south"))
    for point in (A, B):
        one = Videos(clock.now(), 31, {point: 3})
        one.name = f"videos of {point}"
        retention.register(one)
    await retention.run_once()
    audit = as_(tokens["audit_administrator"])
    first = (await api.get("/deletions", params={"limit": 1}, headers=audit)).json()
    second = (await api.get("/deletions", params={"limit": 1, "cursor": first["next"]}, headers=audit)).json()
    both = [*first["items"], *second["items"]]
    assert {one["keeper"] for one in both} == {f"videos of {A}", f"videos of {B}"} and second["next"] is None
    seen = (await api.get("/deletions", headers=south)).json()["items"]
    assert [one["keeper"] for one in seen] == [f"videos of {B}"]
    (hidden,) = [one["id"] for one in both if one["keeper"] == f"videos of {A}"]
    assert (await api.get(f"/deletions/{hidden}", headers=south)).status_code == 404
    assert (await api.get("/deletions", params={"by_hand": True}, headers=audit)).json()["items"] == []
    later = {"since": rfc3339(clock.now() + DAY)}
    assert (await api.get("/deletions", params=later, headers=audit)).json()["items"] == []
    for role in ("operator", "viewer", "security_administrator", "contractor", "investigator"):
        assert (await api.get("/deletions", headers=as_(tokens[role]))).status_code == 403, role


# --- the daily report -------------------------------------------------------------------------------------------------


async def found_on(api: httpx.AsyncClient, headers: dict[str, str], day: str, **query: str) -> list[tuple[str, ...]]:
    answer = await api.get(f"/retention/reports/{day}", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return sorted((one["kind"], (one["point"] or {"name": ""})["name"], str(one["count"]), one["why"])
                  for one in answer.json()["items"])  # fmt: skip


async def test_g10_the_report_says_what_is_kept_too_long_or_too_short_and_why(
    governance: Governance, retention: Retention, holds: Holds, reports: RetentionReports, api: httpx.AsyncClient,
    clock: FakeClock,
) -> None:  # fmt: skip
    await everyone(governance)
    officer = await actor_of(governance, "officer.one")

    class Worried(Videos):
        async def short(
            self, now: datetime, limit: int, after: PointId | None
        ) -> tuple[Sequence[Short], PointId | None]:
            since = to_micros(now - DAY * 20)
            one = Short(point=B, point_class=3, since_us=since, wanted_us=to_micros(now - DAY * 30), why="offline")
            return ([one], B) if after is None else ([], None)

    videos = Worried(clock.now(), 34, {A: 3, B: 3})
    retention.register(videos)
    start = clock.now() - DAY * 40
    await holds.place(
        officer, Object(A, NORTH.path), start_at=start, end_at=clock.now(), reason="case 17",
        review_at=clock.now() + DAY * 3,
    )  # fmt: skip
    videos.broken = True
    await retention.run_once()
    await clock.advance(DAY.total_seconds())
    day = civil_day(clock.now()) - DAY
    report = await reports.turn()
    assert report is not None and report.day == day and report.failed == {"videos": "disk on fire"}
    assert await reports.turn() is None  # one a day
    audit = as_(await token_of(governance, "audit_administrator.one"))
    due = civil_day(clock.now() + DAY * 2)
    assert await found_on(api, audit, str(day)) == [
        ("held", "北门 1 号", "5", f"officer.one: case 17 ({due})"),
        ("late", "", "5", "disk on fire"),
        ("short", "", "0", "offline"),
    ]
    assert await found_on(api, audit, str(day), kind="short") == [("short", "", "0", "offline")]
    (told,) = (await api.get("/retention/reports", headers=audit)).json()["items"]
    assert told["counts"] == {"held": 1, "late": 1, "short": 1} and told["left_out"] == 0
    (row,) = [row for row in await rows_of(governance) if row.kind == "proof"]
    assert told["digest"] in row.detail
    assert (await api.get("/retention/reports/2020-01-01", headers=audit)).status_code == 404
    assert (
        await api.get("/retention/reports", headers=as_(await token_of(governance, "viewer.one")))
    ).status_code == 403


async def test_g10_no_report_of_a_day_before_there_was_anybody(
    governance: Governance, retention: Retention, reports: RetentionReports, clock: FakeClock
) -> None:
    assert await reports.turn() is None
    await everyone(governance)
    assert await reports.turn() is None
    await clock.advance(DAY.total_seconds())
    assert await reports.turn() is not None


async def test_g10_a_report_is_of_one_s_own_people_only(
    governance: Governance, retention: Retention, reports: RetentionReports, api: httpx.AsyncClient, clock: FakeClock
) -> None:
    await governance.seed([account("officer.south", Role.OFFICER, SOUTH.id)])
    south = as_(await token_of(governance, "officer.south"))
    videos = Videos(clock.now(), 34, {A: 3, B: 3})
    retention.register(videos)
    report = await reports.make(civil_day(clock.now()))
    assert await found_on(api, south, str(report.day)) == [("late", "", "4", "its turn has not come")]
    (told,) = (await api.get("/retention/reports", headers=south)).json()["items"]
    assert told["counts"] == {"late": 1}


async def test_g10_what_went_before_the_minimum_is_told(
    retention: Retention, reports: RetentionReports, clock: FakeClock, state: State
) -> None:
    videos = Videos(clock.now(), 34, {A: 3})
    retention.register(videos)
    await retention.run_once()
    day = civil_day(clock.now())
    assert (await reports.make(day)).digest
    async with state.begin() as tx:
        assert (await tx.execute(select(findings))).all() == []
        # as if a fault of ours had let it go three days after it was recorded
        await tx.execute(update(deletions).values(last_at=clock.now() - DAY * 3))
    await clock.advance(DAY.total_seconds())
    async with state.begin() as tx:
        await tx.execute(update(deletions).values(at=clock.now()))
    await reports.make(civil_day(clock.now()))
    async with state.read() as tx:
        (one,) = (await tx.execute(select(findings).where(findings.c.kind == "early"))).all()
    assert (one.kind, one.bytes) == ("early", 400)


async def test_g10_a_report_cannot_be_made_better_afterwards(
    retention: Retention, reports: RetentionReports, clock: FakeClock, state: State
) -> None:
    retention.register(Videos(clock.now(), 34, {A: 3, B: 3}))
    report = await reports.make(civil_day(clock.now()))
    assert await reports.check(report.day)
    async with state.begin() as tx:
        await tx.execute(update(findings).where(findings.c.point_id == A).values(why="it is held"))
    assert not await reports.check(report.day)
    with pytest.raises(NotFound):
        await reports.check(report.day - DAY)
