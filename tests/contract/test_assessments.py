"""Impact assessments of personal information (domain.md G18), over a real database. Units and texts are made up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from anwang.governance import Action, Assessments, Duties, Governance, Organisation, Role
from anwang.governance.assessments.model import (
    NEXT,
    Assessment,
    AssessmentState,
    AssessmentStep,
    after,
    latest_review,
)
from anwang.governance.assessments.service import Wanted, _unpacked
from anwang.governance.duties.model import Regime
from anwang.governance.duties.service import Wanted as WantedSystem
from anwang.governance.http import assessments as assessments_http
from anwang.kernel.errors import Conflict, Denied, Invalid, NotFound
from anwang.kernel.ids import OrgId
from anwang.runtime.clock import FakeClock
from anwang.stores.state import State
from anwang.web.api import build_api
from anwang.web.health import Health
from tests.contract.test_duties import Yard
from tests.governed import NORTH, SOUTH, account, actor_of, everyone, governed, token_of

NOON = datetime(2026, 11, 30, 4, tzinfo=UTC)
TODAY = date(2026, 11, 30)
STATES, STEPS = AssessmentState, AssessmentStep


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
async def governance(state: State, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Governance]:
    async with governed(state, tmp_path, clock) as opened:
        await everyone(opened)
        await opened.seed(
            [
                account("north.admin", Role.ADMINISTRATOR, NORTH.id),
                account("other.admin", Role.ADMINISTRATOR),
                account("south.officer", Role.OFFICER, SOUTH.id),
            ]
        )
        yield opened


@pytest.fixture
def yard() -> Yard:
    return Yard()


@pytest.fixture
def assessments(state: State, clock: FakeClock, governance: Governance, yard: Yard) -> Assessments:
    return Assessments(state=state, clock=clock, write=governance.note_deed, place=yard.place)


@pytest.fixture
def duties(state: State, clock: FakeClock, governance: Governance, yard: Yard) -> Duties:
    return Duties(state=state, clock=clock, write=governance.note_deed, place=yard.place, equipment=yard)


def wanted(**other: Any) -> Wanted:
    plain = Wanted(
        subject="北门广场视频建设",
        org_id=NORTH.id,
        system_id=None,
        necessity="广场客流大，仅为公共安全，点位限于出入口。",
        risks="可能拍到住户窗户。",
        measures="隐私遮挡；留存 30 日；双人审批。",
        conclusion="风险可控，可以实施。",
        made_on=TODAY,
        review_by=date(2027, 11, 30),
    )
    return replace(plain, **other)


async def approved(assessments: Assessments, governance: Governance, one: Assessment) -> Assessment:
    officer = await actor_of(governance, "officer.one")
    return await assessments.approve(officer, one.id, note="同意", version=one.version)


async def written(assessments: Assessments, governance: Governance, **other: Any) -> Assessment:
    return await assessments.add(await actor_of(governance, "administrator.one"), wanted(**other))


async def told(governance: Governance) -> list[tuple[str, tuple[str, ...], str]]:
    """What the ledger says was done, earliest first."""
    reader = await actor_of(governance, "audit_administrator.one")
    page = await governance.read_ledger(reader, cursor=None, limit=200, kind="changed")
    rows = [row for _, row in page.rows if row.detail.startswith("impact assessment")]
    return [(row.action, tuple(row.objects), row.detail.partition(":")[0]) for row in rows[::-1]]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("step", STEPS)
def test_g18_only_the_steps_of_the_table_are_taken(state: AssessmentState, step: AssessmentStep) -> None:
    allowed = {
        (STATES.DRAFT, STEPS.APPROVE): STATES.APPROVED,
        (STATES.APPROVED, STEPS.SUPERSEDE): STATES.SUPERSEDED,
    }
    assert allowed == NEXT
    if (state, step) in allowed:
        assert after(state, step) is allowed[state, step]
    else:
        with pytest.raises(Conflict, match="knows no step"):
            after(state, step)


@pytest.mark.parametrize(
    ("made_on", "latest"),
    [
        (date(2026, 11, 30), date(2029, 11, 30)),
        (date(2024, 2, 29), date(2027, 2, 28)),
        (date(2025, 2, 28), date(2028, 2, 28)),
    ],
)
def test_g18_a_review_comes_within_three_years(made_on: date, latest: date) -> None:
    assert latest_review(made_on) == latest


@given(st.text(max_size=60))
def test_g18_a_cursor_that_is_not_ours_is_refused(text: str) -> None:
    try:
        found = _unpacked(text)
    except Invalid:
        return
    assert found is None if not text else found is not None and 0 <= found[0] <= 3


async def test_g18_a_second_person_approves_and_nothing_changes_then(
    assessments: Assessments, governance: Governance
) -> None:
    admin, officer = await actor_of(governance, "administrator.one"), await actor_of(governance, "officer.one")
    made = await written(assessments, governance)
    assert (made.state, made.edition, made.first_id, made.author) == (STATES.DRAFT, 1, made.id, admin.username)
    with pytest.raises(Denied):
        await assessments.approve(admin, made.id, note="", version=1)  # keeps the register, approves nothing
    with pytest.raises(Conflict, match="meanwhile"):
        await assessments.approve(officer, made.id, note="", version=9)
    done = await approved(assessments, governance, made)
    assert done.approval is not None
    assert (done.state, done.approval.by, done.approval.at, done.approval.note) == (
        STATES.APPROVED, officer.username, NOON, "同意",
    )  # fmt: skip
    assert await assessments.one(admin, made.id) == done
    with pytest.raises(Conflict, match="does not change"):
        await assessments.change(admin, made.id, wanted(risks="无"), version=done.version)
    with pytest.raises(Conflict, match="knows no step"):
        await assessments.approve(officer, made.id, note="", version=done.version)
    assert await told(governance) == [
        ("manage_duties", (made.id,), "impact assessment written"),
        ("approve", (made.id,), "impact assessment approved"),
    ]


async def test_g18_who_wrote_in_it_at_any_time_does_not_approve_it(
    assessments: Assessments, governance: Governance
) -> None:
    """Else two would write by turns, each approving what the other touched last."""
    first = await written(assessments, governance)
    officer = await actor_of(governance, "officer.one")
    both = replace(officer, grants=(await actor_of(governance, "administrator.one")).grants, role=Role.ADMINISTRATOR)
    mine = await assessments.change(both, first.id, wanted(risks="有人改过"), version=1)
    again = await assessments.change(
        await actor_of(governance, "other.admin"), first.id, wanted(risks="又改了"), version=2
    )
    assert (mine.author, again.author, len(again.writers)) == (officer.username, "other.admin", 3)
    with pytest.raises(Denied, match="does not approve"):
        await assessments.approve(officer, first.id, note="", version=again.version)
    assert (await assessments.one(officer, first.id)).state is STATES.DRAFT


async def test_g18_a_program_does_not_approve(assessments: Assessments, governance: Governance) -> None:
    made = await written(assessments, governance)
    officer = replace(await actor_of(governance, "officer.one"), service=True)
    with pytest.raises(Denied, match="API token"):
        await assessments.approve(officer, made.id, note="", version=1)


async def test_g18_a_new_edition_supersedes_the_one_before_when_it_is_approved(
    assessments: Assessments, governance: Governance, clock: FakeClock
) -> None:
    admin = await actor_of(governance, "administrator.one")
    draft = await written(assessments, governance)
    with pytest.raises(Conflict, match="approved edition"):
        await assessments.revise(admin, draft.id, wanted())
    first = await approved(assessments, governance, draft)
    await clock.advance(1)
    second = await assessments.revise(admin, first.id, wanted(risks="新增两处高点"))
    assert (second.edition, second.first_id, second.state) == (2, first.id, STATES.DRAFT)
    assert (await assessments.one(admin, first.id)).state is STATES.APPROVED, "it holds until the new one does"
    with pytest.raises(Conflict, match="being written"):
        await assessments.revise(admin, first.id, wanted())
    with pytest.raises(Conflict, match="stays with its organisation"):
        await assessments.change(admin, second.id, wanted(org_id=SOUTH.id), version=1)
    done = await approved(assessments, governance, second)
    old = await assessments.one(admin, first.id)
    assert (done.state, old.state, old.said) == (STATES.APPROVED, STATES.SUPERSEDED, first.said)
    with pytest.raises(Conflict, match="approved edition"):
        await assessments.revise(admin, first.id, wanted())
    other = await written(assessments, governance, subject="南街")
    editions = await assessments.page(admin, first_id=first.id, cursor="", limit=9)
    assert [(each.edition, each.state.value) for each in editions.items] == [(2, "approved"), (1, "superseded")]
    assert other.id not in [each.id for each in editions.items]
    assert (await told(governance))[2:4] == [
        ("manage_duties", (second.id, first.id), "impact assessment, new edition written"),
        ("approve", (second.id, first.id), "impact assessment approved, supersedes the one before"),
    ]


async def test_g18_of_two_new_editions_at_once_one_is_written(assessments: Assessments, governance: Governance) -> None:
    admin = await actor_of(governance, "administrator.one")
    first = await approved(assessments, governance, await written(assessments, governance))
    both = await asyncio.gather(
        *(assessments.revise(admin, first.id, wanted()) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in both) == ["Assessment", "Conflict"]


async def test_g18_what_is_overdue_for_review_comes_first(
    assessments: Assessments, governance: Governance, clock: FakeClock
) -> None:
    admin = await actor_of(governance, "administrator.one")
    old = TODAY - timedelta(days=400)
    for name, days, is_approved in (
        ("远", 300, True), ("今", 0, True), ("迟", -1, True), ("草稿", 5, False), ("很迟", -30, True), ("近", 30, True),
        ("三十一", 31, True),
    ):  # fmt: skip
        await clock.advance(1)
        day = TODAY + timedelta(days=days)
        one = await written(assessments, governance, subject=name, made_on=old, review_by=day)
        if is_approved:
            one = await approved(assessments, governance, one)
        if name == "远":
            await clock.advance(1)
            newer = await assessments.revise(admin, one.id, wanted(subject="远二", review_by=TODAY + timedelta(500)))
            await approved(assessments, governance, newer)
    found, cursor = [], ""
    while True:
        page = await assessments.page(admin, first_id="", cursor=cursor, limit=2)
        found += [(each.said.subject, each.review(assessments.today()).value) for each in page.items]
        if page.next is None:
            break
        cursor = page.next
    assert found == [
        ("很迟", "overdue"), ("迟", "overdue"), ("草稿", "draft"), ("今", "due"), ("近", "due"), ("三十一", "current"),
        ("远二", "current"), ("远", "superseded"),
    ]  # fmt: skip
    await assessments.turn()
    assert assessments.overdue == 2
    await clock.advance(86_400.0)
    await assessments.turn()
    assert assessments.overdue == 3, "the last day counts, the day after it does not"
    for bad in ("x", "4/2026-11-30/a", "0/tomorrow/a", "0/2026-11-30"):
        with pytest.raises(Invalid, match="cursor"):
            await assessments.page(admin, first_id="", cursor=bad, limit=2)


@pytest.mark.parametrize(
    "other",
    [
        {"made_on": TODAY + timedelta(days=1), "review_by": TODAY + timedelta(days=9)},
        {"made_on": date(2021, 10, 31), "review_by": date(2022, 10, 31)},
        {"review_by": TODAY},
        {"review_by": date(2029, 12, 1)},
        {"subject": " "},
        {"subject": "长" * 201},
        {"necessity": ""},
        {"risks": "\n"},
        {"measures": "长" * 4001},
        {"conclusion": "a\x00b"},
    ],
)
async def test_g18_what_is_missing_or_too_long_or_too_far_away_is_refused(
    assessments: Assessments, governance: Governance, other: dict[str, Any]
) -> None:
    made = await written(assessments, governance, review_by=date(2029, 11, 30), subject="长" * 200)
    with pytest.raises(Invalid):
        await written(assessments, governance, **other)
    admin = await actor_of(governance, "administrator.one")
    with pytest.raises(Invalid):
        await assessments.change(admin, made.id, wanted(**other), version=1)
    assert len((await assessments.page(admin, first_id="", cursor="", limit=9)).items) == 1


async def test_g18_an_assessment_is_about_a_system_of_its_organisation(
    assessments: Assessments, duties: Duties, governance: Governance
) -> None:
    admin, north = await actor_of(governance, "administrator.one"), await actor_of(governance, "north.admin")
    system = WantedSystem(
        name="北区公共视频", org_id=NORTH.id, regime=Regime.ART7, legal_basis="条例第七条", in_use_on=TODAY,
        retention_days=30, contact="李明",
    )  # fmt: skip
    ours = (await duties.add(admin, system)).system
    theirs = (await duties.add(admin, replace(system, name="南区公共视频", org_id=SOUTH.id))).system
    made = await assessments.add(north, wanted(subject="", system_id=ours.id))
    assert (made.said.subject, made.said.system_id, made.said.system_name) == (ours.name, ours.id, ours.name)
    with pytest.raises(NotFound, match="video system"):
        await assessments.add(north, wanted(system_id=theirs.id))
    with pytest.raises(Invalid, match="another organisation"):
        await assessments.add(admin, wanted(system_id=theirs.id))
    await duties.remove(admin, ours.id)
    kept = await assessments.one(admin, made.id)
    assert kept == made, "it outlives its system"
    with pytest.raises(NotFound):
        await assessments.change(admin, made.id, wanted(system_id=ours.id), version=1)


async def test_g18_who_may_read_write_and_approve_and_where(assessments: Assessments, governance: Governance) -> None:
    north = await actor_of(governance, "north.admin")
    far = await written(assessments, governance, org_id=SOUTH.id)
    near = await assessments.add(north, wanted())
    page = await assessments.page(north, first_id="", cursor="", limit=9)
    assert [each.id for each in page.items] == [near.id]
    assert (await assessments.page(north, first_id=far.id, cursor="", limit=9)).items == []
    for refused in (
        assessments.one(north, far.id),
        assessments.change(north, far.id, wanted(), version=1),
        assessments.revise(north, far.id, wanted()),
        assessments.add(north, wanted(org_id=SOUTH.id)),
        assessments.approve(await actor_of(governance, "south.officer"), near.id, note="", version=1),
    ):
        with pytest.raises(NotFound):
            await refused
    for role in Role:
        actor = await actor_of(governance, f"{role.value}.one")
        if role in (Role.ADMINISTRATOR, Role.AUDIT, Role.OFFICER):
            assert len((await assessments.page(actor, first_id="", cursor="", limit=9)).items) == 2
        else:
            for unread in (assessments.page(actor, first_id="", cursor="", limit=9), assessments.one(actor, near.id)):
                with pytest.raises(Denied):
                    await unread
        if role is not Role.ADMINISTRATOR:
            for unwritten in (
                assessments.add(actor, wanted()),
                assessments.change(actor, near.id, wanted(), version=1),
                assessments.revise(actor, near.id, wanted()),
            ):
                with pytest.raises(Denied):
                    await unwritten
        if role is not Role.OFFICER:
            with pytest.raises(Denied):
                await assessments.approve(actor, near.id, note="", version=1)


async def test_g18_assessments_follow_their_unit(assessments: Assessments, governance: Governance, yard: Yard) -> None:
    made = await written(assessments, governance)
    yard.known[NORTH.id] = Organisation(id=OrgId(NORTH.id), name="新北区", path="/city/new/north/")
    await assessments.organisations_changed()
    admin = await actor_of(governance, "administrator.one")
    said = (await assessments.one(admin, made.id)).said
    assert (said.org_name, said.org_path) == ("新北区", "/city/new/north/")
    with pytest.raises(NotFound):
        await assessments.one(await actor_of(governance, "south.officer"), made.id)


async def test_g18_the_register_over_http_and_on_paper(
    assessments: Assessments, governance: Governance, clock: FakeClock
) -> None:
    router = assessments_http.build_router(
        assessments_http.Assessed(assessments=assessments, exported=governance.note_export)
    )
    assert not any("DELETE" in route.methods for route in router.routes), "kept for three years: no route deletes"  # type: ignore[attr-defined]  # APIRoute
    app = build_api(
        governance=governance,
        routers=[router],
        health=Health(clock=clock),
        metrics=CollectorRegistry(),
        describe=list,
    )
    headers = {
        name: {"authorization": f"Bearer {await token_of(governance, name)}"}
        for name in ("administrator.one", "officer.one")
    }
    admin, officer = headers["administrator.one"], headers["officer.one"]
    asked = {
        "subject": "<b>北门广场</b>", "organisation": NORTH.id, "system": None, "necessity": "一\n二", "risks": "三",
        "measures": "四", "conclusion": "五", "made_on": "2026-11-30", "review_by": "2027-11-30",
    }  # fmt: skip
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://site/api/v1") as client:
        made = (await client.post("/assessments", json=asked, headers=admin)).json()
        assert (made["state"], made["review"], made["days_left"], made["is_writer"]) == ("draft", "draft", 365, True)
        for field, value in (("made_on", "30.11.2026"), ("more", 1), ("risks", "x" * 4097)):
            refused = await client.post("/assessments", json=asked | {field: value}, headers=admin)
            assert refused.status_code == 400, field
        path = f"/assessments/{made['id']}"
        changed = await client.put(path, json=asked | {"risks": "六", "version": 1}, headers=admin)
        assert (changed.json()["risks"], changed.json()["version"]) == ("六", 2)
        assert (await client.post(f"{path}/approval", json={"version": 2}, headers=admin)).status_code == 403
        done = (await client.post(f"{path}/approval", json={"version": 2, "note": "同意"}, headers=officer)).json()
        assert (done["state"], done["approval"]["by"], done["is_writer"]) == ("approved", "officer.one", False)
        newer = await client.post(f"{path}/editions", json=asked, headers=admin)
        assert (newer.status_code, newer.json()["edition"], newer.json()["first"]) == (201, 2, made["id"])
        listed = (await client.get("/assessments", params={"first": made["id"]}, headers=officer)).json()
        assert [each["edition"] for each in listed["items"]] == [2, 1]
        assert (await client.delete(path, headers=admin)).status_code == 405
        assert (await client.get(path, headers=officer)).json() == done
        for language, words in (
            ("zh-CN", ("个人信息保护影响评估报告", "officer.one 2026-11-30 12:00")),
            ("en", ("Personal information impact assessment", "Note of the approval")),
        ):
            page = await client.get(f"{path}/assessment.html", params={"language": language}, headers=officer)
            assert all(word in page.text for word in (*words, "&lt;b&gt;北门广场&lt;/b&gt;", "同意"))
            assert "<b>" not in page.text
            assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert (await client.get("/assessments/unknown/assessment.html", headers=officer)).status_code == 404
    reader = await actor_of(governance, "audit_administrator.one")
    rows = (await governance.read_ledger(reader, cursor=None, limit=50, kind="exported")).rows
    assert [(row.action, row.detail.rpartition(", ")[2]) for _, row in rows][::-1] == [
        (Action.READ_DUTIES, "zh-CN"),
        (Action.READ_DUTIES, "en"),
    ]
