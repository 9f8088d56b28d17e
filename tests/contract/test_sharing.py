"""Sharing agreements between departments (domain.md G19), over a real database. Departments and people are made up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.governance import (
    Action,
    Actor,
    Area,
    Governance,
    Grant,
    NewGrant,
    NewUser,
    Object,
    Organisation,
    PurposeKind,
    Role,
    Sharing,
)
from anwang.governance.rights import RECENT
from anwang.governance.scopes import GrantId
from anwang.governance.sharing.model import (
    NEXT,
    AgreementState,
    AgreementStep,
    after,
)
from anwang.governance.sharing.service import Wanted
from anwang.governance.terms import SHAREABLE, AgreementId, Terms
from anwang.kernel.errors import Conflict, Denied, Invalid, NotFound, Unauthenticated
from anwang.kernel.ids import OrgId, UserId
from anwang.kernel.times import Span, to_micros
from anwang.runtime.clock import FakeClock
from anwang.stores.state import State
from tests.governed import HERE, NORTH, SOUTH, TwoDistricts, account, actor_of, everyone, governed

NOON = datetime(2026, 11, 30, 4, tzinfo=UTC)
TODAY = date(2026, 11, 30)
GATE = Object("p-1", "/city/north/", point_class=1, kind="camera")
SHOP = Object("p-2", "/city/north/", point_class=3, kind="camera")
FAR = Object("p-3", "/city/south/", point_class=1, kind="camera")
FIELDS = {"name": "设备名称", "longitude": "经度", "latitude": "纬度", "state": "在线状态"}
STATES, STEPS = AgreementState, AgreementStep


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
async def governance(state: State, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Governance]:
    async with governed(state, tmp_path, clock) as opened:
        await everyone(opened)
        await opened.seed([account("north.officer", Role.OFFICER, NORTH.id)])
        yield opened


class Places(TwoDistricts):
    """Places that a test may move."""

    def __init__(self) -> None:
        self.moved: dict[OrgId, Organisation] = {}

    async def organisation(self, org_id: OrgId) -> Organisation | None:
        """See Places."""
        return self.moved.get(org_id) or await super().organisation(org_id)


@pytest.fixture
def places() -> Places:
    return Places()


@pytest.fixture
def sharing(state: State, clock: FakeClock, governance: Governance, places: Places) -> Sharing:
    return Sharing(
        state=state,
        clock=clock,
        write=governance.note_deed,
        place=places.organisation,
        fields=FIELDS,
        changed=governance.agreement_changed,
        ledger=governance.read_ledger,
    )


async def service(governance: Governance, username: str, *, is_partner: bool = False, past: bool = True) -> UserId:
    """A service account of the whole city, of an operator's role."""
    wanted = NewUser(
        username=username, display_name=username, role=Role.OPERATOR, org_id=OrgId("city"), password="",
        is_service=True, is_partner=is_partner, has_past=past,
    )  # fmt: skip
    return (await governance.create_user(await actor_of(governance, "security_administrator.one"), wanted)).id


async def token_for(governance: Governance, user_id: UserId, **more: Any) -> str:
    admin = await actor_of(governance, "security_administrator.one")
    return (await governance.make_token(admin, of=user_id, name="演练", days=366, terminal=HERE, **more)).token


def wanted(*accounts: UserId, **other: Any) -> Wanted:
    plain = Wanted(
        number="应急共享〔2026〕7号",
        department="应急管理局",
        unit="指挥中心",
        contact="周某 022-12345678",
        legal_basis="市政务数据共享办法第十条",
        kind=PurposeKind.RESCUE,
        purpose="险情时查看周边点位",
        org_id=NORTH.id,
        classes=frozenset({1}),
        accounts=frozenset(accounts),
        actions=frozenset({Action.READ_POINTS, Action.VIEW_LIVE, Action.VIEW_PLAYBACK}),
        fields=frozenset({"name", "state"}),
        from_on=TODAY,
        until_on=TODAY + timedelta(days=30),
    )
    return replace(plain, **other)


async def agreed(sharing: Sharing, governance: Governance, *accounts: UserId, **other: Any) -> Any:
    admin = await actor_of(governance, "administrator.one")
    officer = await actor_of(governance, "officer.one")
    made = await sharing.add(admin, wanted(*accounts, **other))
    return await sharing.step(officer, made.id, STEPS.APPROVE, note="同意", version=made.version)


async def verdict(governance: Governance, actor: Actor, action: Action, one: Object, span: Span | None = None) -> str:
    try:
        look = await governance.open_look(actor, action, [one], span=span)
    except (NotFound, Denied) as err:
        return err.kind.value
    await governance.close_look(look)
    return "allowed"


def nothing(actor: Actor) -> None:
    """The actor can do nothing at all."""
    assert not any(actor.may(action) for action in Action)
    assert (actor.scope.areas, actor.fields, actor.purpose) == ((), frozenset(), None)


# --- what is pure -------------------------------------------------------------------------------------------------


def test_g19_steps_are_a_table() -> None:
    for state in STATES:
        for step in STEPS:
            if (state, step) in NEXT:
                assert after(state, step) is NEXT[state, step]
            else:
                with pytest.raises(Conflict):
                    after(state, step)
    over = {STATES.EXPIRED, STATES.ENDED}
    assert not any(state in over for state, _ in NEXT), "nothing brings it back"
    assert {state for state, step in NEXT if step is STEPS.APPROVE} == {STATES.DRAFT}


paths = st.sampled_from(["/", "/city/", "/city/north/", "/city/north/gate/", "/city/south/"])
areas = st.builds(
    Area,
    paths,
    st.frozensets(st.sampled_from(["01", "02"]), max_size=2),
    st.frozensets(st.sampled_from([1, 2, 3]), max_size=2),
    st.frozensets(st.sampled_from(["camera", "sensor"]), max_size=2),
    st.frozensets(st.sampled_from(["video", "internet"]), max_size=2),
)
objects = st.builds(
    Object,
    st.just("p"),
    paths,
    st.sampled_from(["01", "02", "01/02", ""]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from(["camera", "sensor"]),
    st.sampled_from(["video", "internet"]),
)


@given(areas, areas, objects)
def test_g19_what_two_areas_share_lies_in_both(one: Area, other: Area, point: Object) -> None:
    met = one.meet(other)
    in_both = one.miss(point) is None and other.miss(point) is None
    in_met = met is not None and met.miss(point) is None
    assert in_met <= in_both, "never more than both"
    if "/" not in point.department:
        assert in_met == in_both
    assert other.meet(one) == met


def test_g19_terms_cut_grants_in_place_and_time() -> None:
    terms = Terms(
        agreement=AgreementId("a"), number="1", recipient="甲", unit="乙", kind=PurposeKind.RESCUE,
        area=Area("/city/north/"), actions=SHAREABLE, fields=frozenset(),
        starts_at=NOON, ends_at=NOON + timedelta(days=2),
    )  # fmt: skip
    plain = Grant(
        id=GrantId("g"), org_id=OrgId("city"), org_name="市", area=Area("/"), starts_at=NOON - timedelta(days=9)
    )
    shorter = replace(plain, id=GrantId("h"), ends_at=NOON + timedelta(days=1), has_history=False)
    elsewhere = replace(plain, id=GrantId("i"), area=Area("/city/south/"))
    first, second = terms.cut([plain, shorter, elsewhere])
    assert (first.area, first.starts_at, first.ends_at) == (Area("/city/north/"), terms.starts_at, terms.ends_at)
    assert (second.ends_at, second.has_history) == (shorter.ends_at, False)
    assert [terms.in_force(NOON + timedelta(days=days)) for days in (-1, 0, 2)] == [False, True, False]


# --- what is enforced ---------------------------------------------------------------------------------------------


async def test_g19_a_partner_without_an_agreement_can_do_nothing(sharing: Sharing, governance: Governance) -> None:
    partner = await service(governance, "fire.bureau", is_partner=True)
    token = await token_for(governance, partner)
    actor = await governance.actor(token)
    nothing(actor)
    with pytest.raises(Denied, match="no sharing agreement"):
        governance.scope(actor, Action.READ_POINTS)
    assert await verdict(governance, actor, Action.VIEW_LIVE, GATE) == "not_found"
    draft = await sharing.add(await actor_of(governance, "administrator.one"), wanted(partner))
    nothing(await governance.actor(token))
    officer = await actor_of(governance, "officer.one")
    await sharing.step(officer, draft.id, STEPS.APPROVE, note="", version=1)
    assert (await governance.actor(token)).may(Action.READ_POINTS)


async def test_g19_a_service_account_becomes_a_partner_when_an_agreement_names_it(
    sharing: Sharing, governance: Governance
) -> None:
    user_id = await service(governance, "weather.bureau")
    token = await token_for(governance, user_id)
    assert await verdict(governance, await governance.actor(token), Action.VIEW_LIVE, FAR) == "allowed"
    made = await agreed(sharing, governance, user_id)
    actor = await governance.actor(token)
    assert actor.is_partner
    assert [await verdict(governance, actor, Action.VIEW_LIVE, one) for one in (GATE, SHOP, FAR)] == [
        "allowed", "not_found", "not_found",
    ]  # fmt: skip
    await sharing.step(
        await actor_of(governance, "administrator.one"), made.id, STEPS.END, note="到期不再续", version=2
    )
    nothing(await governance.actor(token))


async def test_g19_what_neither_role_nor_agreement_gives_is_refused(
    sharing: Sharing, governance: Governance, clock: FakeClock
) -> None:
    user_id = await service(governance, "fire.bureau")
    admin = await actor_of(governance, "security_administrator.one")
    await governance.rights.replace(
        admin, user_id, [NewGrant(org_id=NORTH.id, has_history=False), NewGrant(org_id=SOUTH.id)]
    )
    actions = frozenset({Action.READ_POINTS, Action.VIEW_LIVE, Action.VIEW_PLAYBACK})
    await agreed(sharing, governance, user_id, actions=actions)
    actor = await governance.actor(await token_for(governance, user_id))
    now = to_micros(clock.now())
    assert await verdict(governance, actor, Action.SNAPSHOT, GATE) == "denied"
    assert await verdict(governance, actor, Action.PTZ, GATE) == "denied"
    assert await verdict(governance, actor, Action.VIEW_PLAYBACK, GATE, Span(now - 60_000_000, now)) == "denied"
    assert await verdict(governance, actor, Action.VIEW_LIVE, GATE) == "allowed"
    with pytest.raises(Denied, match="agreement does not cover"):
        governance.scope(actor, Action.SNAPSHOT)
    narrow = await governance.actor(
        await token_for(governance, user_id, only=frozenset({Action.READ_POINTS, Action.EXPORT}))
    )
    assert [a for a in Action if narrow.may(a)] == [Action.READ_POINTS]


async def test_g19_looks_carry_the_agreement(sharing: Sharing, governance: Governance, clock: FakeClock) -> None:
    user_id = await service(governance, "fire.bureau")
    made = await agreed(sharing, governance, user_id)
    actor = await governance.actor(await token_for(governance, user_id))
    auditor = await actor_of(governance, "audit_administrator.one")
    old = to_micros(clock.now() - timedelta(days=20))
    assert await verdict(governance, actor, Action.VIEW_PLAYBACK, GATE, Span(old, old + 1)) == "allowed"
    pull = await governance.note_pull(actor, Action.READ_POINTS, ["p-1"], "GET /api/v1/points/p-1")
    rows = [row for _, row in (await governance.read_ledger(auditor, cursor=None, limit=4)).rows]
    assert [row.kind for row in rows[:3]] == ["pulled", "closed", "opened"]
    for row in rows[:3]:
        assert (row.purpose, row.case, row.reason, row.recipient) == (
            made.id, "应急共享〔2026〕7号", "rescue", "应急管理局, 指挥中心",
        )  # fmt: skip
    page = await sharing.pulls(auditor, made.id, cursor=None, limit=9)
    assert [(row.look, row.objects) for _, row in page.rows] == [(pull, ("p-1",))]
    for username in ("administrator.one", "officer.one"):
        with pytest.raises(Denied):
            await sharing.pulls(await actor_of(governance, username), made.id, cursor=None, limit=9)
    with pytest.raises(Denied, match="purpose of its agreement"):
        await governance.with_purpose(actor, "x")


async def test_g19_an_agreement_ends_by_the_clock_in_the_middle_of_a_stream(
    sharing: Sharing, governance: Governance, clock: FakeClock
) -> None:
    user_id = await service(governance, "fire.bureau")
    made = await agreed(sharing, governance, user_id, until_on=TODAY)
    token = await token_for(governance, user_id)
    actor = await governance.actor(token)
    ended = asyncio.Event()
    async with governance.while_open(actor, ended.set):
        await governance.open_look(actor, Action.VIEW_LIVE, [GATE])
        await clock.advance(12 * 3600 - 1)  # until midnight in Beijing
        await governance.check_connections()
        assert not ended.is_set()
        await clock.advance(1)
        await governance.check_connections()
        assert ended.is_set()
    nothing(await governance.actor(token))
    assert made.state(clock.now()) is STATES.EXPIRED
    assert await closings(governance) == ["session ended"]


async def closings(governance: Governance) -> list[str]:
    auditor = await actor_of(governance, "audit_administrator.one")
    page = await governance.read_ledger(auditor, cursor=None, limit=10, kind="closed")
    return [row.outcome for _, row in page.rows]


async def test_g19_a_look_in_pieces_ends_with_the_agreement_too(
    sharing: Sharing, governance: Governance, clock: FakeClock
) -> None:
    user_id = await service(governance, "fire.bureau")
    await agreed(sharing, governance, user_id, until_on=TODAY)
    actor = await governance.actor(await token_for(governance, user_id))
    look = await governance.open_look(actor, Action.VIEW_LIVE, [GATE], idle_seconds=999_999)
    await clock.advance(12 * 3600)
    await governance._looks.tick()
    with pytest.raises(Denied, match="over"):
        governance.serve_look(look.id, 1)


@pytest.mark.parametrize("step", [STEPS.SUSPEND, STEPS.END])
async def test_g19_suspending_and_ending_stop_what_is_open_at_once(
    sharing: Sharing, governance: Governance, step: AgreementStep
) -> None:
    user_id = await service(governance, "fire.bureau")
    made = await agreed(sharing, governance, user_id)
    token = await token_for(governance, user_id)
    actor = await governance.actor(token)
    ended = asyncio.Event()
    officer = await actor_of(governance, "officer.one")
    async with governance.while_open(actor, ended.set):
        look = await governance.open_look(actor, Action.VIEW_LIVE, [GATE])
        stopped = await sharing.step(officer, made.id, step, note="核查中", version=made.version)
        assert ended.is_set()
    with pytest.raises(Denied):
        governance.serve_look(look.id, 1)
    nothing(await governance.actor(token))
    with pytest.raises(Unauthenticated):
        async with governance.while_open(actor, ended.set):
            pass
    if step is STEPS.END:
        with pytest.raises(Conflict):
            await sharing.step(officer, made.id, STEPS.RESUME, note="", version=stopped.version)
        return
    await sharing.step(officer, made.id, STEPS.RESUME, note="已核实", version=stopped.version)
    assert (await governance.actor(token)).may(Action.VIEW_LIVE)


async def test_g19_an_agreement_begins_on_its_first_day(
    sharing: Sharing, governance: Governance, clock: FakeClock
) -> None:
    user_id = await service(governance, "fire.bureau")
    tomorrow = TODAY + timedelta(days=1)
    made = await agreed(sharing, governance, user_id, from_on=tomorrow, until_on=tomorrow)
    token = await token_for(governance, user_id)
    nothing(await governance.actor(token))
    assert made.state(clock.now()) is STATES.AGREED
    await clock.advance(12 * 3600)
    assert (await governance.actor(token)).may(Action.VIEW_LIVE)
    assert made.state(clock.now()) is STATES.IN_FORCE


async def test_g19_rights_are_explained_as_they_are_cut(
    sharing: Sharing, governance: Governance, clock: FakeClock
) -> None:
    user_id = await service(governance, "fire.bureau")
    security = await actor_of(governance, "security_administrator.one")

    async def told() -> dict[tuple[Action, str], str]:
        found = await governance.rights.explain(security, user_id, GATE)
        return {(one.action, one.about): one.decision.verdict.value for one in found.answers}

    assert (await told())[Action.EXPORT, RECENT] != "unseen"
    made = await agreed(sharing, governance, user_id)
    assert ((await told())[Action.VIEW_LIVE, "live"], (await told())[Action.EXPORT, RECENT]) == ("allowed", "refused")
    await sharing.step(await actor_of(governance, "officer.one"), made.id, STEPS.SUSPEND, note="", version=2)
    assert set((await told()).values()) == {"unseen"}


# --- the register -------------------------------------------------------------------------------------------------


async def test_g19_who_writes_an_agreement_does_not_approve_it(sharing: Sharing, governance: Governance) -> None:
    user_id = await service(governance, "fire.bureau")
    admin = await actor_of(governance, "administrator.one")
    officer = await actor_of(governance, "officer.one")
    made = await sharing.add(admin, wanted(user_id))
    with pytest.raises(Denied, match="approve"):
        await sharing.step(admin, made.id, STEPS.APPROVE, note="", version=1)
    with pytest.raises(Denied):
        await sharing.add(officer, wanted(user_id))
    both = replace(officer, user_id=made.written_by)
    with pytest.raises(Denied, match="does not approve"):
        await sharing.step(both, made.id, STEPS.APPROVE, note="", version=1)
    with pytest.raises(Denied, match="token"):
        await sharing.step(replace(officer, service=True), made.id, STEPS.APPROVE, note="", version=1)
    for username in ("viewer.one", "audit_administrator.one", "security_administrator.one"):
        with pytest.raises(Denied):
            await sharing.step(await actor_of(governance, username), made.id, STEPS.END, note="", version=1)
    for step in (STEPS.BEGIN, STEPS.LAPSE):
        with pytest.raises(Invalid):
            await sharing.step(officer, made.id, step, note="", version=1)
    with pytest.raises(Conflict, match="meanwhile"):
        await sharing.step(officer, made.id, STEPS.APPROVE, note="", version=2)
    approved = await sharing.step(officer, made.id, STEPS.APPROVE, note="同意", version=1)
    assert [(done.step, done.by, done.note) for done in approved.steps] == [(STEPS.APPROVE, "officer.one", "同意")]
    with pytest.raises(Conflict, match="does not change"):
        await sharing.change(admin, made.id, wanted(user_id), version=approved.version)


async def test_g19_an_account_works_for_one_agreement_at_a_time(sharing: Sharing, governance: Governance) -> None:
    user_id = await service(governance, "fire.bureau")
    first = await agreed(sharing, governance, user_id)
    with pytest.raises(Conflict, match="works for agreement"):
        await agreed(sharing, governance, user_id, number="2号", org_id=SOUTH.id)
    later = TODAY + timedelta(days=31)
    await agreed(sharing, governance, user_id, number="3号", from_on=later, until_on=later)
    officer = await actor_of(governance, "officer.one")
    await sharing.step(officer, first.id, STEPS.END, note="", version=2)
    second = await agreed(sharing, governance, user_id, number="4号", org_id=SOUTH.id)
    actor = await governance.actor(await token_for(governance, user_id))
    assert actor.terms is not None and actor.terms.agreement == second.id


@pytest.mark.parametrize(
    "wrong",
    [
        {"fields": frozenset({"password"})},
        {"fields": frozenset({"ipv4"})},
        {"actions": frozenset()},
        {"actions": frozenset({Action.EXPORT})},
        {"actions": frozenset({Action.MANAGE_USERS})},
        {"kind": PurposeKind.MAINTENANCE},
        {"until_on": TODAY - timedelta(days=1)},
        {"from_on": TODAY + timedelta(days=1), "until_on": TODAY},
        {"until_on": TODAY + timedelta(days=366)},
        {"from_on": date.max, "until_on": date.max},
        {"from_on": date.min, "until_on": TODAY},
        {"number": ""},
        {"department": "x" * 101},
        {"purpose": " \n "},
        {"kinds": frozenset({"x" * 65})},
        {"accounts": frozenset()},
        {"accounts": frozenset(UserId(str(n)) for n in range(21))},
    ],
)
async def test_g19_agreements_that_make_no_sense_are_refused(
    sharing: Sharing, governance: Governance, wrong: dict[str, Any]
) -> None:
    user_id = await service(governance, "fire.bureau")
    admin = await actor_of(governance, "administrator.one")
    with pytest.raises(Invalid):
        await sharing.add(admin, wanted(user_id, **wrong))
    assert (await sharing.add(admin, wanted(user_id, until_on=TODAY + timedelta(days=365)))).version == 1


async def test_g19_only_service_accounts_within_sight_are_named(sharing: Sharing, governance: Governance) -> None:
    admin = await actor_of(governance, "administrator.one")
    person = (await actor_of(governance, "viewer.one")).user_id
    for unknown in (person, UserId("nobody")):
        with pytest.raises(NotFound, match="service account"):
            await sharing.add(admin, wanted(unknown))
    with pytest.raises(NotFound, match="organisation"):
        await sharing.add(admin, wanted(await service(governance, "a.b"), org_id=OrgId("nowhere")))
    page = await sharing.accounts(admin, cursor="", limit=9)
    assert [each.username for each in page.items] == ["a.b"]


async def test_g19_agreements_are_seen_within_the_scope_of_their_points(
    sharing: Sharing, governance: Governance, clock: FakeClock
) -> None:
    made = []
    for n, org in enumerate((NORTH.id, SOUTH.id, NORTH.id)):
        await clock.advance(1)
        user_id = await service(governance, f"bureau.{n}")
        made.append(await agreed(sharing, governance, user_id, number=f"{n}号", org_id=org))
    officer, north = await actor_of(governance, "officer.one"), await actor_of(governance, "north.officer")
    found, cursor = [], ""
    while True:
        page = await sharing.page(officer, cursor=cursor, limit=1)
        found += [each.said.number for each in page.items]
        if page.next is None:
            break
        cursor = page.next
    assert found == ["2号", "1号", "0号"]
    assert [each.said.number for each in (await sharing.page(north, cursor="", limit=9)).items] == ["2号", "0号"]
    with pytest.raises(NotFound):
        await sharing.one(north, made[1].id)
    with pytest.raises(NotFound):
        await sharing.step(north, made[1].id, STEPS.END, note="", version=2)
    assert [each.username for each in (await sharing.one(north, made[0].id)).accounts] == ["bureau.0"]


async def test_g19_an_agreement_follows_its_organisation(
    sharing: Sharing, governance: Governance, places: Places
) -> None:
    user_id = await service(governance, "fire.bureau")
    made = await agreed(sharing, governance, user_id)
    token = await token_for(governance, user_id)
    assert await verdict(governance, await governance.actor(token), Action.VIEW_LIVE, GATE) == "allowed"
    places.moved[NORTH.id] = replace(NORTH, path="/city/moved/", name="新北区")
    await sharing.organisations_changed()
    actor = await governance.actor(token)
    assert await verdict(governance, actor, Action.VIEW_LIVE, GATE) == "not_found"
    assert await verdict(governance, actor, Action.VIEW_LIVE, replace(GATE, org_path="/city/moved/")) == "allowed"
    assert (await sharing.one(await actor_of(governance, "officer.one"), made.id)).said.org_name == "新北区"


async def test_g19_every_step_is_in_the_ledger(sharing: Sharing, governance: Governance) -> None:
    user_id = await service(governance, "fire.bureau")
    made = await agreed(sharing, governance, user_id)
    auditor = await actor_of(governance, "audit_administrator.one")
    page = await governance.read_ledger(auditor, cursor=None, limit=9, kind="changed")
    told = [row.detail for _, row in page.rows if made.id in row.objects]
    assert [each.partition(":")[0] for each in told] == ["sharing agreement", "sharing agreement written"]
    assert "fields name,state; accounts fire.bureau; 2026-11-30 to 2026-12-30" in told[1]


async def test_g19_a_partner_is_a_program(governance: Governance) -> None:
    admin = await actor_of(governance, "security_administrator.one")
    with pytest.raises(Invalid, match="program"):
        await governance.create_user(admin, account("li", Role.VIEWER, is_partner=True))
