"""Grants of accounts on both engines: what they open and close, how long they hold, and how they are explained."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter

from anwang.governance import (
    CITY,
    Action,
    Actor,
    Governance,
    Grant,
    Hours,
    NewGrant,
    Object,
    Role,
    Scope,
    UserChange,
    Verdict,
    allow,
)
from anwang.governance.rights import OLD, RECENT
from anwang.governance.scopes import Area, Miss
from anwang.kernel.errors import Conflict, Denied, Invalid, NotFound, Unauthenticated
from anwang.kernel.ids import OrgId, UserId
from anwang.kernel.times import Span, to_micros
from anwang.runtime.clock import FakeClock
from anwang.runtime.settings import Governance as Rules
from anwang.stores.state import State
from tests.assembled import build_test_app, client_of
from tests.contract.test_governance import rows_of
from tests.governed import HERE, PASSWORD, account, actor_of, everyone, governed, token_of

GATE = Object("p-1", "/city/north/", department="0101", point_class=1, kind="camera", zone="video")
SHOP = Object("p-2", "/city/north/", point_class=3, kind="camera", zone="internet")
FAR = Object("p-3", "/city/south/", point_class=1, kind="camera", zone="video")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 11, 30, 4, tzinfo=UTC))  # Monday noon in Beijing


@pytest.fixture
async def governance(state: State, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Governance]:
    async with governed(state, tmp_path, clock, rules=Rules()) as opened:
        await everyone(opened)
        yield opened


async def security(governance: Governance) -> Actor:
    return await actor_of(governance, "security_administrator.one")


async def granted(governance: Governance, username: str, *wanted: NewGrant) -> list[Grant]:
    who = (await actor_of(governance, username)).user_id
    return await governance.rights.replace(await security(governance), who, wanted)


def north(**more: Any) -> NewGrant:
    return NewGrant(org_id=OrgId("north"), **more)


async def verdict(governance: Governance, actor: Actor, action: Action, one: Object, span: Span | None = None) -> str:
    """What comes of an attempt: allowed, or the kind of the refusal."""
    try:
        look = await governance.open_look(actor, action, [one], span=span)
    except (NotFound, Denied) as err:
        return err.kind.value
    await governance.close_look(look)
    return "allowed"


async def test_g12_a_new_account_sees_all_below_its_organisation_and_recordings_from_then_on(
    governance: Governance, clock: FakeClock
) -> None:
    made = await governance.create_user(await security(governance), account("li", Role.VIEWER, "north"))
    viewer = await actor_of(governance, "li")
    [grant] = await governance.rights.of(viewer, made.id)
    assert grant.area == Area("/city/north/")
    assert grant.history_from == made.created_at == clock.now()
    assert viewer.scope == Scope.below("/city/north/")
    now = to_micros(clock.now())
    hour = 3_600_000_000
    assert await verdict(governance, viewer, Action.VIEW_LIVE, GATE) == "allowed"
    assert await verdict(governance, viewer, Action.VIEW_LIVE, FAR) == "not_found"
    assert await verdict(governance, viewer, Action.VIEW_PLAYBACK, GATE, Span(now - hour, now)) == "denied"
    await clock.advance(3600)
    assert await verdict(governance, viewer, Action.VIEW_PLAYBACK, GATE, Span(now, now + hour)) == "allowed"
    past = await governance.create_user(
        await security(governance), account("wang", Role.VIEWER, "north", has_past=True)
    )
    assert [one.history_from for one in await governance.rights.of(await actor_of(governance, "wang"), past.id)] == [
        None
    ]


async def test_g12_what_a_grant_narrows_is_seen_no_more_and_takes_effect_at_once(governance: Governance) -> None:
    token = await token_of(governance, "operator.one")
    before = await governance.actor(token)
    assert {await verdict(governance, before, Action.VIEW_LIVE, one) for one in (GATE, SHOP, FAR)} == {"allowed"}
    ended = asyncio.Event()
    async with governance.while_open(before, ended.set):
        await granted(governance, "operator.one", north(classes=frozenset({1}), zones=frozenset({"video"})))
        assert ended.is_set(), "what was open with wider rights ends"
    after = await governance.actor(token)
    assert [await verdict(governance, after, Action.VIEW_LIVE, one) for one in (GATE, SHOP, FAR)] == [
        "allowed", "not_found", "not_found",
    ]  # fmt: skip
    await granted(governance, "operator.one")
    nothing = await governance.actor(token)
    assert nothing.scope.areas == ()
    assert await verdict(governance, nothing, Action.VIEW_LIVE, GATE) == "not_found"


async def test_g12_a_grant_ends_and_begins_by_the_clock(governance: Governance, clock: FakeClock) -> None:
    noon = clock.now()
    await granted(
        governance,
        "viewer.one",
        north(ends_at=noon + timedelta(hours=1)),
        NewGrant(org_id=OrgId("south"), starts_at=noon + timedelta(hours=2)),
    )
    token = await token_of(governance, "viewer.one")
    viewer = await governance.actor(token)
    assert [await verdict(governance, viewer, Action.VIEW_LIVE, one) for one in (GATE, FAR)] == ["allowed", "not_found"]
    ended = asyncio.Event()
    async with governance.while_open(viewer, ended.set):
        await clock.advance(3599)
        await governance.check_connections()
        assert not ended.is_set()
        await clock.advance(1)
        await governance.check_connections()
        assert ended.is_set()
    viewer = await governance.actor(token)
    assert [await verdict(governance, viewer, Action.VIEW_LIVE, one) for one in (GATE, FAR)] == ["not_found"] * 2
    await clock.advance(3600)
    viewer = await governance.actor(token)
    assert [await verdict(governance, viewer, Action.VIEW_LIVE, one) for one in (GATE, FAR)] == ["not_found", "allowed"]


async def test_g12_a_live_look_ends_with_its_hours(governance: Governance, clock: FakeClock) -> None:
    await granted(governance, "viewer.one", north(live=Hours(frozenset({0}), 8 * 60, 13 * 60)))
    viewer = await actor_of(governance, "viewer.one")
    look = await governance.open_look(viewer, Action.VIEW_LIVE, [GATE])
    await clock.advance(3599)
    await governance._looks.tick()
    governance.serve_look(look.id, 1)
    await clock.advance(1)
    await governance._looks.tick()
    with pytest.raises(Denied, match="over"):
        governance.serve_look(look.id, 1)
    with pytest.raises(Denied, match="hour"):
        await governance.open_look(viewer, Action.VIEW_LIVE, [GATE])
    auditor = await actor_of(governance, "audit_administrator.one")
    page = await governance.read_ledger(auditor, cursor=None, limit=10, kind="closed")
    assert [row.outcome for _, row in page.rows] == ["hours ended"]


async def test_who_may_change_rights(governance: Governance) -> None:
    admin = await security(governance)
    operator = await actor_of(governance, "operator.one")
    with pytest.raises(Denied):
        await governance.rights.replace(operator, operator.user_id, [north()])
    with pytest.raises(Conflict, match="own"):
        await governance.rights.replace(admin, admin.user_id, [north()])
    auditor = await actor_of(governance, "audit_administrator.one")
    with pytest.raises(Conflict, match="administrator's rights"):
        await governance.rights.replace(admin, auditor.user_id, [north()])
    await governance.create_user(admin, account("north.admin", Role.SECURITY, "north"))
    await governance.create_user(admin, account("north.viewer", Role.VIEWER, "north"))
    local = await actor_of(governance, "north.admin")
    viewer = (await actor_of(governance, "north.viewer")).user_id
    with pytest.raises(NotFound, match="organisation"):
        await governance.rights.replace(local, viewer, [NewGrant(org_id=OrgId("south"))])
    with pytest.raises(NotFound, match="user"):
        await governance.rights.replace(local, operator.user_id, [north()])
    await governance.rights.replace(admin, viewer, [NewGrant(org_id=CITY)])
    with pytest.raises(Denied, match="not yours"):
        await governance.rights.replace(local, viewer, [north()])
    with pytest.raises(NotFound):
        await governance.rights.of(operator, viewer)


@pytest.mark.parametrize(
    "wrong",
    [
        north(departments=frozenset({"01/02"})),
        north(kinds=frozenset({""})),
        north(zones=frozenset({"x" * 65})),
        north(ends_at=datetime(2026, 11, 30, 4, tzinfo=UTC)),
        north(starts_at=datetime(2027, 1, 2, tzinfo=UTC), ends_at=datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
async def test_grants_that_make_no_sense_are_refused(governance: Governance, wrong: NewGrant) -> None:
    with pytest.raises(Invalid):
        await granted(governance, "viewer.one", wrong)


async def test_too_many_grants_are_refused(governance: Governance) -> None:
    with pytest.raises(Invalid, match="50"):
        await granted(governance, "viewer.one", *[north()] * 51)


async def test_a_change_of_rights_is_in_the_ledger(governance: Governance) -> None:
    await granted(
        governance,
        "viewer.one",
        north(classes=frozenset({1, 2}), has_history=False, ends_at=datetime(2027, 1, 1, tzinfo=UTC)),
        NewGrant(org_id=OrgId("south"), live=Hours(frozenset({0}), 0, 60)),
    )
    auditor = await actor_of(governance, "audit_administrator.one")
    page = await governance.read_ledger(auditor, cursor=None, limit=5, kind="changed")
    assert page.rows[0][1].detail == (
        "grants: /city/north/ class=1,2 until 2027-01-01 00:00Z no recordings; /city/south/ live by hours"
    )


async def test_grants_follow_the_account_s_organisation(governance: Governance) -> None:
    admin = await security(governance)
    made = await governance.create_user(admin, account("li", Role.VIEWER, "north"))
    await governance.rights.replace(
        admin, made.id, [north(classes=frozenset({1})), NewGrant(org_id=CITY, kinds=frozenset({"sensor"}))]
    )
    await governance.change_user(admin, made.id, UserChange(org_id=OrgId("south")))
    assert [one.area.told() for one in await governance.rights.of(admin, made.id)] == [
        "/city/south/ class=1", "/ kind=sensor",
    ]  # fmt: skip
    await governance.change_user(admin, made.id, UserChange(role=Role.AUDIT))
    assert [one.area for one in await governance.rights.of(admin, made.id)] == [Area("/city/south/")]


# --- accounts with an end --------------------------------------------------------------------------------------------


async def test_g20_a_contractor_is_accompanied_and_all_they_ask_for_is_written(
    governance: Governance, clock: FakeClock, tmp_path: Path
) -> None:
    admin = await actor_of(governance, "security_administrator.one")
    end = clock.now() + timedelta(days=30)
    made = await governance.create_user(admin, account("qian", Role.CONTRACTOR, ends_at=end))
    officer, operator = await actor_of(governance, "officer.one"), await actor_of(governance, "operator.one")
    await clock.advance(16 * 60)
    token = await token_of(governance, "qian")
    router = APIRouter(prefix="/api/v1")

    @router.get("/things")
    async def things(_: Annotated[Actor, allow(Action.READ_SYSTEM)]) -> str:
        return "seen"

    async with build_test_app(governance, tmp_path, routers=[router]) as app, client_of(app) as client:

        async def asks(path: str) -> tuple[int, str]:
            answer = await client.get(f"/api/v1{path}", headers={"authorization": f"Bearer {token}"})
            return answer.status_code, answer.json().get("reason", "") if answer.status_code >= 400 else ""

        assert (await asks("/session"))[0] == 200, "one's own account needs nobody"
        assert await asks("/things?n=1") == (403, "nobody is named who accompanies you")
        with pytest.raises(Invalid, match="person of the house"):
            await governance.change_user(admin, made.id, UserChange(escort=made.id))
        with pytest.raises(Invalid, match="only a contractor"):
            await governance.change_user(admin, operator.user_id, UserChange(escort=officer.user_id))
        with pytest.raises(NotFound):
            await governance.change_user(admin, made.id, UserChange(escort="nobody"))
        with pytest.raises(Invalid, match="person of the house"):  # as an operator still, and a contractor with it
            await governance.change_user(
                admin, operator.user_id, UserChange(role=Role.CONTRACTOR, ends_at=end, escort=operator.user_id)
            )
        named = await governance.change_user(admin, made.id, UserChange(escort=officer.user_id))
        assert named.escort == officer.user_id
        assert await asks("/things?n=2") == (403, "who accompanies you is not signed in")
        await token_of(governance, "officer.one")
        assert (await asks("/things?n=3"))[0] == 200
        await clock.advance(16 * 60)
        assert await asks("/things?n=4") == (403, "who accompanies you is not signed in")
        ended = asyncio.Event()
        contractor = await governance.actor(token)
        async with governance.while_open(contractor, ended.set):
            await governance.check_connections()
            assert ended.is_set(), "what is open ends when they are alone"
        plain = await governance.change_user(admin, made.id, UserChange(role=Role.OPERATOR))
        assert plain.escort == "", "nobody else is accompanied"
    rows = [row for row in await rows_of(governance) if row.kind == "escorted"]
    alone = "nobody is there"
    assert [(row.user, row.action, row.detail[-1], row.outcome) for row in rows] == [
        (made.id, "read_system", "1", alone), (made.id, "read_system", "2", alone), (made.id, "read_system", "3", ""),
        (made.id, "read_system", "4", alone),
    ]  # fmt: skip
    assert rows[0].detail == "GET /api/v1/things?n=1"


async def test_g20_a_contractor_s_account_ends_and_sees_no_content(governance: Governance, clock: FakeClock) -> None:
    admin = await security(governance)
    with pytest.raises(Invalid, match="contractor"):
        await governance.create_user(admin, account("zhao", Role.CONTRACTOR))
    with pytest.raises(Invalid, match="within a year"):
        late = clock.now() + timedelta(days=367)
        await governance.create_user(admin, account("zhao", Role.CONTRACTOR, ends_at=late))
    end = clock.now() + timedelta(hours=2)
    made = await governance.create_user(admin, account("zhao", Role.CONTRACTOR, ends_at=end))
    token = await token_of(governance, "zhao")
    contractor = await governance.actor(token)
    for action in (Action.VIEW_LIVE, Action.VIEW_PLAYBACK, Action.SNAPSHOT, Action.PTZ):
        assert await verdict(governance, contractor, action, GATE) == "denied"
    ended = asyncio.Event()
    async with governance.while_open(contractor, ended.set):
        await clock.advance(7200)
        await governance.check_connections()
        assert ended.is_set()
    with pytest.raises(Unauthenticated):
        await governance.actor(token)
    with pytest.raises(Unauthenticated, match="has ended"):
        await governance.sign_in("zhao", PASSWORD, terminal=HERE)
    with pytest.raises(Unauthenticated, match="wrong"):
        await governance.sign_in("zhao", "not the password", terminal=HERE)
    admin = await security(governance)
    with pytest.raises(Invalid, match="contractor"):
        await governance.change_user(admin, made.id, UserChange(never_ends=True))
    longer = await governance.change_user(admin, made.id, UserChange(ends_at=clock.now() + timedelta(days=1)))
    assert longer.ends_at == clock.now() + timedelta(days=1)
    await governance.actor(await token_of(governance, "zhao"))
    viewer = await governance.change_user(admin, made.id, UserChange(role=Role.VIEWER, never_ends=True))
    assert (viewer.role, viewer.ends_at) == (Role.VIEWER, None)


# --- the explanation -------------------------------------------------------------------------------------------------


async def test_g12_the_explanation_says_what_decisions_say_and_why(governance: Governance, clock: FakeClock) -> None:
    await granted(
        governance,
        "operator.one",
        north(classes=frozenset({1})),
        NewGrant(org_id=OrgId("south")),
        north(starts_at=clock.now() - timedelta(days=2), ends_at=clock.now() - timedelta(days=1)),
    )
    admin = await security(governance)
    who = (await actor_of(governance, "operator.one")).user_id
    found = await governance.rights.explain(admin, who, GATE)
    assert [(reach.is_in_force, reach.miss) for reach in found.grants] == [
        (True, None), (True, Miss.ORGANISATION), (False, None),
    ]  # fmt: skip
    told = {(one.action, one.about): (one.decision.verdict, one.decision.lack) for one in found.answers}
    assert told[Action.VIEW_LIVE, "live"] == (Verdict.ALLOWED, None)
    assert told[Action.VIEW_PLAYBACK, RECENT] == (Verdict.ALLOWED, None)
    assert told[Action.VIEW_PLAYBACK, OLD] == (Verdict.REFUSED, "purpose")
    assert told[Action.EXPORT, RECENT] == (Verdict.REFUSED, "purpose")
    assert told[Action.EDIT_POINTS, "live"] == (Verdict.REFUSED, None)
    unseen = await governance.rights.explain(admin, who, SHOP)
    assert {one.decision.verdict for one in unseen.answers} == {Verdict.UNSEEN}
    assert [reach.miss for reach in unseen.grants] == [Miss.CLASS, Miss.ORGANISATION, None]


async def test_who_may_ask_for_an_explanation(governance: Governance) -> None:
    await granted(governance, "viewer.one", north())
    viewer = await actor_of(governance, "viewer.one")
    assert (await governance.rights.explain(viewer, viewer.user_id, GATE)).user.username == "viewer.one"
    operator = await actor_of(governance, "operator.one")
    with pytest.raises(Denied):
        await governance.rights.explain(viewer, operator.user_id, GATE)
    with pytest.raises(NotFound):
        await governance.rights.explain(viewer, viewer.user_id, FAR)
    auditor = await actor_of(governance, "audit_administrator.one")
    assert (await governance.rights.explain(auditor, operator.user_id, FAR)).user.username == "operator.one"
    with pytest.raises(NotFound):
        await governance.rights.explain(auditor, UserId("nobody"), FAR)


# --- programs --------------------------------------------------------------------------------------------------------


async def test_a_program_s_account_has_tokens_and_no_password(governance: Governance, clock: FakeClock) -> None:
    admin = await security(governance)
    wanted = dataclasses.replace(account("bridge", Role.VIEWER, "north", is_service=True), password="")
    made = await governance.create_user(admin, wanted)
    with pytest.raises(Unauthenticated):
        await governance.sign_in("bridge", "", terminal=HERE)
    with pytest.raises(Conflict, match="no password"):
        await governance.set_password(admin, made.id, PASSWORD)
    with pytest.raises(Invalid, match="no administrator"):
        await governance.create_user(admin, account("robot", Role.ADMINISTRATOR, is_service=True))
    with pytest.raises(Invalid, match="no administrator"):
        await governance.change_user(admin, made.id, UserChange(role=Role.AUDIT))
    with pytest.raises(Conflict, match="people"):
        who = (await actor_of(governance, "viewer.one")).user_id
        await governance.make_token(admin, of=who, name="x", days=1, terminal=HERE)
    only = frozenset({Action.READ_POINTS})
    opened = await governance.make_token(admin, of=made.id, name="桥接", days=1, only=only, terminal=HERE)
    program = await governance.actor(opened.token)
    assert (program.username, program.service, program.scope) == ("bridge", True, Scope.below("/city/north/"))
    [listed] = (await governance.sessions(admin, user_id=made.id)).items
    assert listed.only == only
    await clock.advance(86_400)
    with pytest.raises(Unauthenticated):
        await governance.actor(opened.token)


async def test_a_token_is_good_for_what_it_was_made_for(governance: Governance) -> None:
    operator = await actor_of(governance, "operator.one")
    with pytest.raises(Invalid, match="good for something"):
        await governance.make_token(operator, name="x", days=1, only=frozenset(), terminal=HERE)
    only = frozenset({Action.READ_POINTS, Action.VIEW_LIVE, Action.READ_LEDGER})
    opened = await governance.make_token(operator, name="wall", days=1, only=only, terminal=HERE)
    program = await governance.actor(opened.token)
    assert await verdict(governance, program, Action.VIEW_LIVE, GATE) == "allowed"
    for action in (Action.SNAPSHOT, Action.PTZ):
        with pytest.raises(Denied, match="this token is not good for this"):
            await governance.open_look(program, action, [GATE])
    assert {action for action in Action if program.may(action)} == {Action.READ_POINTS, Action.VIEW_LIVE}, (
        "a token gives nothing that its account has not"
    )
    auditor = await actor_of(governance, "audit_administrator.one")
    page = await governance.read_ledger(auditor, cursor=None, limit=20, kind="changed")
    assert page.rows[0][1].detail == "API token of operator.one made, good for read_ledger, read_points, view_live"
