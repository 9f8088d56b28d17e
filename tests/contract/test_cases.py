"""Purposes and second persons (domain.md G01 to G04), over a real database."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from anwang.governance import (
    Action,
    Actor,
    ApprovalState,
    Governance,
    Object,
    PurposeKind,
    Role,
    Row,
    UserChange,
    Wanted,
)
from anwang.governance.reasons import AWAITED, NEXT, Step, after
from anwang.kernel.errors import ApprovalNeeded, Conflict, Denied, Invalid, NotFound, PurposeNeeded, Unauthenticated
from anwang.kernel.times import Span, to_micros
from anwang.runtime.clock import FakeClock
from anwang.runtime.settings import Governance as Rules
from anwang.stores.state import State
from tests.contract.test_governance import clock
from tests.governed import HERE as TERMINAL
from tests.governed import PASSWORD, account, actor_of, everyone, governed, token_of, with_purpose

__all__ = ["clock"]

NORTH, NORTH_2, SOUTH = Object("p-1", "/city/north/"), Object("p-2", "/city/north/"), Object("p-3", "/city/south/")
HOUR = 3_600_000_000


@pytest.fixture(params=[False, True], ids=["four eyes always", "short clips alone"])
def short_clip(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
async def governance(
    state: State, tmp_path: Path, clock: FakeClock, request: pytest.FixtureRequest
) -> AsyncIterator[Governance]:
    short = bool(request.getfixturevalue("short_clip")) if "short_clip" in request.fixturenames else False
    async with governed(state, tmp_path, clock, rules=Rules(short_clip=short)) as opened:
        await everyone(opened)
        yield opened


def ago(clock: FakeClock, hours: float, minutes: float = 60.0) -> Span:
    """A stretch that began so long ago."""
    start = to_micros(clock.now()) - round(hours * HOUR)
    return Span(start, start + round(minutes * HOUR / 60))


async def rows(governance: Governance, kind: str) -> list[Row]:
    reader = await actor_of(governance, "audit_administrator.one")
    page = await governance.read_ledger(reader, cursor=None, limit=200, kind=kind)
    return [row for _, row in page.rows][::-1]


async def opens(governance: Governance, actor: Actor, action: Action, span: Span | None, *objects: Object) -> str:
    """Opens and closes a look; its id."""
    look = await governance.open_look(actor, action, objects or [NORTH], span=span)
    await governance.close_look(look)
    return look.id


# --- purposes --------------------------------------------------------------------------------------------------------


async def test_g01_what_leaves_the_platform_needs_a_purpose_and_a_refusal_is_written(
    governance: Governance, clock: FakeClock
) -> None:
    operator = await actor_of(governance, "operator.one")
    with pytest.raises(PurposeNeeded):
        await opens(governance, operator, Action.EXPORT, ago(clock, 1, 5))
    assert [(row.name, row.action, row.outcome) for row in await rows(governance, "denied")] == [
        ("operator.one", "export", "no purpose")
    ]


async def test_g01_footage_beyond_the_duty_window_needs_a_purpose(governance: Governance, clock: FakeClock) -> None:
    viewer = await actor_of(governance, "viewer.one")
    await opens(governance, viewer, Action.VIEW_LIVE, None)
    await opens(governance, viewer, Action.VIEW_PLAYBACK, ago(clock, 23.9))
    with pytest.raises(PurposeNeeded):
        await opens(governance, viewer, Action.VIEW_PLAYBACK, ago(clock, 24.1))
    stated = await with_purpose(governance, viewer)
    look = await opens(governance, stated, Action.VIEW_PLAYBACK, ago(clock, 24.1))
    opened = (await rows(governance, "opened"))[-1]
    assert stated.purpose is not None
    assert (opened.look, opened.purpose, opened.reason, opened.case, opened.unit) == (
        look,
        stated.purpose.id,
        "criminal_case",
        stated.purpose.case_no,
        "安澜市",
    )


async def test_g07_a_consultation_and_a_disclosure_say_who_where_when_why_what_and_to_whom(
    governance: Governance, clock: FakeClock
) -> None:
    """The fields of Regulation 799 art. 16 and Directive (EU) 2016/680 art. 25."""
    operator = await with_purpose(governance, await actor_of(governance, "operator.one"))
    assert operator.purpose is not None
    at = to_micros(clock.now())
    look = await governance.open_look(operator, Action.VIEW_PLAYBACK, [NORTH, NORTH_2], span=ago(clock, 48))
    governance.serve_look(look.id, 4096)
    await clock.advance(30)
    await governance.close_look(look)
    await governance.note_handed(
        operator, Action.EXPORT, (NORTH.id,), "package of an export", recipient="北区检察院", size=512
    )
    (opened,), (closed,), (handed,) = [await rows(governance, kind) for kind in ("opened", "closed", "exported")]
    for row in (opened, closed, handed):
        assert (row.user, row.name, row.role, row.org) == (operator.user_id, "operator.one", "operator", "/")
        assert (row.unit, row.terminal) == ("安澜市", TERMINAL.address)
        assert (row.purpose, row.reason, row.case) == (
            operator.purpose.id, "criminal_case", operator.purpose.case_no,
        )  # fmt: skip
    assert (opened.at, opened.objects, opened.action) == (at, (NORTH.id, NORTH_2.id), "view_playback")
    assert (closed.look, closed.bytes, closed.seconds, closed.outcome) == (look.id, 4096, 30.0, "ended")
    assert (handed.recipient, handed.bytes, handed.objects) == ("北区检察院", 512, (NORTH.id,))


async def test_g02_maintenance_shows_no_content_and_free_text_alone_is_no_purpose(
    governance: Governance, clock: FakeClock
) -> None:
    viewer = await actor_of(governance, "viewer.one")
    mending = await with_purpose(governance, viewer, PurposeKind.MAINTENANCE)
    with pytest.raises(PurposeNeeded, match="no sight of content"):
        await opens(governance, mending, Action.VIEW_PLAYBACK, ago(clock, 48))
    for case_no, unit, minutes in [
        ("", "北区分局", 60),
        ("A1", "  ", 60),
        ("A1", "北区分局", 0),
        ("A1", "北区分局", 721),
    ]:
        with pytest.raises(Invalid):
            await governance.open_purpose(
                viewer, kind=PurposeKind.TRAFFIC, case_no=case_no, unit=unit, note="because", minutes=minutes
            )


async def test_the_session_remembers_its_purpose_until_it_ends_and_no_other_session_does(
    governance: Governance, clock: FakeClock
) -> None:
    token, other = await token_of(governance, "viewer.one"), await token_of(governance, "viewer.one")
    assert (await governance.actor(token)).purpose is None
    await with_purpose(governance, await governance.actor(token))
    for remembered in (True, False):  # in memory, and as the database has it
        actor = await governance.actor(token)
        assert actor.purpose is not None and actor.purpose.kind is PurposeKind.CRIMINAL_CASE
        if remembered:
            governance._live.clear()
    assert (await governance.actor(other)).purpose is None
    look = await governance.open_look(actor, Action.VIEW_PLAYBACK, [NORTH], span=ago(clock, 48))
    lately = await governance.open_look(actor, Action.VIEW_PLAYBACK, [NORTH], span=ago(clock, 2))
    await clock.advance(3600)
    assert (await governance.actor(token)).purpose is None
    await governance._looks.tick()
    with pytest.raises(Denied):
        governance.serve_look(look.id, 1)
    governance.serve_look(lately.id, 1)  # it needed none
    assert [row.outcome for row in await rows(governance, "closed")] == ["purpose ended"]
    assert actor.purpose is not None
    with pytest.raises(PurposeNeeded):
        await governance.with_purpose(actor, actor.purpose.id)


async def test_a_purpose_that_is_taken_back_ends_what_it_opened(governance: Governance, clock: FakeClock) -> None:
    token = await token_of(governance, "viewer.one")
    actor = await with_purpose(governance, await governance.actor(token))
    assert actor.purpose is not None
    look = await governance.open_look(actor, Action.VIEW_PLAYBACK, [NORTH], span=ago(clock, 48))
    await governance.close_purpose(actor, actor.purpose.id)
    with pytest.raises(Denied):
        governance.serve_look(look.id, 1)
    assert (await governance.actor(token)).purpose is None
    stranger = await actor_of(governance, "operator.one")
    with pytest.raises(NotFound):
        await governance.with_purpose(stranger, actor.purpose.id)
    page = await governance.purposes(actor, cursor="", limit=10)
    assert [each.id for each in page.items] == [actor.purpose.id] and page.items[0].expires_at <= clock.now()
    assert [row.kind for row in await rows(governance, "purpose")] == ["purpose", "purpose"]


# --- approvals -------------------------------------------------------------------------------------------------------


def wanted(span: Span, *objects: Object, urgent: bool = False) -> Wanted:
    return Wanted(action=Action.EXPORT, objects=objects or [NORTH], span=span, why="evidence", is_urgent=urgent)


async def test_g03_a_short_clip_of_the_duty_window_needs_no_second_person_where_the_house_says_so(
    governance: Governance, clock: FakeClock, short_clip: bool
) -> None:
    operator = await with_purpose(governance, await actor_of(governance, "operator.one"))
    for span, is_short in [(ago(clock, 2, 10), True), (ago(clock, 2, 10.1), False), (ago(clock, 30, 5), False)]:
        if is_short and short_clip:
            await opens(governance, operator, Action.EXPORT, span)
        else:
            with pytest.raises(ApprovalNeeded):
                await opens(governance, operator, Action.EXPORT, span)


async def test_g03_an_approval_covers_what_was_asked_for_and_nothing_else(
    governance: Governance, clock: FakeClock
) -> None:
    operator = await with_purpose(governance, await actor_of(governance, "operator.one"))
    span = ago(clock, 40, 120)
    asked = await governance.approvals.ask(operator, wanted(span, NORTH, NORTH_2))
    with pytest.raises(ApprovalNeeded):
        await opens(governance, operator, Action.EXPORT, span)
    officer = await actor_of(governance, "officer.one")
    page = await governance.approvals.page(officer, states=[ApprovalState.OPEN], cursor="", limit=10)
    assert [(each.id, governance.approvals.may_decide(officer, each)) for each in page.items] == [(asked.id, True)]
    assert not governance.approvals.may_decide(operator, asked)
    given = await governance.approvals.decide(officer, asked.id, yes=True, reason="")
    assert (given.state, given.decided_by) == (ApprovalState.GRANTED, "officer.one")

    within = Span(span.start + HOUR // 2, span.end)
    look = await opens(governance, operator, Action.EXPORT, within, NORTH_2)
    assert [(row.look, row.approval) for row in await rows(governance, "opened")][-1] == (look, asked.id)
    assert (await governance.approvals.one(operator, asked.id)).uses == 1
    for objects, other in [
        ([SOUTH], within),
        ([NORTH, SOUTH], within),
        ([NORTH], Span(span.start - 1, span.end)),
        ([NORTH], Span(span.start, span.end + 1)),
    ]:
        with pytest.raises(ApprovalNeeded):
            await opens(governance, operator, Action.EXPORT, other, *objects)
    another = await with_purpose(governance, await actor_of(governance, "investigator.one"))
    with pytest.raises(ApprovalNeeded):
        await opens(governance, another, Action.EXPORT, within)
    await clock.advance(24 * 3600)
    operator = await with_purpose(governance, await actor_of(governance, "operator.one"))
    with pytest.raises(ApprovalNeeded):
        await opens(governance, operator, Action.EXPORT, within)
    assert await governance.approvals.lapse() == 1
    assert (await governance.approvals.one(operator, asked.id)).state is ApprovalState.EXPIRED


async def test_g03_the_second_person_is_another_one_with_the_role_and_the_unit(
    governance: Governance, clock: FakeClock
) -> None:
    security = await actor_of(governance, "security_administrator.one")
    await governance.create_user(security, account("north.officer", Role.OFFICER, "north"))
    await governance.create_user(security, account("south.officer", Role.OFFICER, "south"))
    officer = await with_purpose(governance, await actor_of(governance, "officer.one"))
    asked = await governance.approvals.ask(officer, wanted(ago(clock, 40), NORTH))
    with pytest.raises(Denied, match="themselves"):
        await governance.approvals.decide(officer, asked.id, yes=True, reason="")
    with pytest.raises(Denied, match="may not do this"):
        await governance.approvals.decide(await actor_of(governance, "operator.one"), asked.id, yes=True, reason="")
    south = await actor_of(governance, "south.officer")
    for unseen in (asked.id, "nothing"):
        with pytest.raises(NotFound):
            await governance.approvals.decide(south, unseen, yes=True, reason="")
        with pytest.raises(NotFound):
            await governance.approvals.one(south, unseen)
    both = await governance.approvals.ask(officer, wanted(ago(clock, 40), NORTH, SOUTH))
    north = await actor_of(governance, "north.officer")
    with pytest.raises(NotFound):  # half of it is not theirs
        await governance.approvals.decide(north, both.id, yes=True, reason="")
    with pytest.raises(Invalid):
        await governance.approvals.decide(north, asked.id, yes=False, reason=" ")
    refused = await governance.approvals.decide(north, asked.id, yes=False, reason="wrong case")
    assert (refused.state, refused.decision) == (ApprovalState.REFUSED, "wrong case")
    with pytest.raises(Conflict):
        await governance.approvals.decide(north, asked.id, yes=True, reason="")
    with pytest.raises(ApprovalNeeded):
        await opens(governance, officer, Action.EXPORT, ago(clock, 40))
    details = [row.detail for row in await rows(governance, "approval")]
    assert details[-1] == "refused export for officer.one: wrong case"


async def test_what_may_not_be_asked_for(governance: Governance, clock: FakeClock) -> None:
    plain = await actor_of(governance, "operator.one")
    with pytest.raises(PurposeNeeded):
        await governance.approvals.ask(plain, wanted(ago(clock, 1)))
    operator = await with_purpose(governance, plain)
    with pytest.raises(Invalid):
        await governance.approvals.ask(operator, wanted(ago(clock, 24 * 40, 24 * 60 * 32)))
    with pytest.raises(Invalid, match="needs no second person"):
        live = Wanted(action=Action.VIEW_LIVE, objects=[NORTH], span=ago(clock, 1), why="x", is_urgent=False)
        await governance.approvals.ask(operator, live)
    viewer = await with_purpose(governance, await actor_of(governance, "viewer.one"))
    with pytest.raises(Denied):  # no second person gives a right that the first one lacks
        await governance.approvals.ask(viewer, wanted(ago(clock, 1)))
    asked = await governance.approvals.ask(operator, wanted(ago(clock, 1)))
    await governance.approvals.withdraw(operator, asked.id)
    with pytest.raises(Conflict):
        await governance.approvals.decide(await actor_of(governance, "officer.one"), asked.id, yes=True, reason="")


async def test_g04_an_urgent_look_is_made_good_by_a_second_person(governance: Governance, clock: FakeClock) -> None:
    operator = await with_purpose(governance, await actor_of(governance, "operator.one"))
    span = ago(clock, 40)
    asked = await governance.approvals.ask(operator, wanted(span, urgent=True))
    await opens(governance, operator, Action.EXPORT, span)
    await clock.advance(23 * 3600)
    officer = await actor_of(governance, "officer.one")
    assert (await governance.approvals.decide(officer, asked.id, yes=True, reason="ok")).state is ApprovalState.GRANTED
    await clock.advance(2 * 3600)
    await governance.approvals.lapse()
    await actor_of(governance, "operator.one")  # still lets them in


async def test_g04_an_urgent_look_that_nobody_made_good_suspends_the_account(
    governance: Governance, clock: FakeClock
) -> None:
    token = await token_of(governance, "operator.one")
    operator = await with_purpose(governance, await governance.actor(token))
    asked = await governance.approvals.ask(operator, wanted(ago(clock, 40), urgent=True))
    await clock.advance(24 * 3600 - 1)
    assert await governance.approvals.lapse() == 0
    await clock.advance(1)
    officer = await actor_of(governance, "officer.one")
    with pytest.raises(Conflict):
        await governance.approvals.decide(officer, asked.id, yes=True, reason="")
    assert await governance.approvals.lapse() == 1
    assert await governance.approvals.lapse() == 0
    with pytest.raises(Unauthenticated):
        await governance.actor(token)
    with pytest.raises(Unauthenticated, match="suspended"):
        await token_of(governance, "operator.one")
    with pytest.raises(Unauthenticated, match="name or password is wrong"):
        await governance.sign_in("operator.one", PASSWORD + "x", terminal=TERMINAL)
    assert [(row.approval, row.objects[0]) for row in await rows(governance, "alert")] == [(asked.id, operator.user_id)]
    security = await actor_of(governance, "security_administrator.one")
    assert (await governance.user(security, operator.user_id)).suspended
    # what is overdue can still be judged, and the account be let in again
    await governance.approvals.decide(officer, asked.id, yes=False, reason="no need for it")
    lifted = await governance.change_user(security, operator.user_id, UserChange(disabled=False))
    assert not lifted.suspended
    await token_of(governance, "operator.one")


async def test_a_refusal_ends_what_was_opened_in_urgency(governance: Governance, clock: FakeClock) -> None:
    token = await token_of(governance, "operator.one")
    operator = await with_purpose(governance, await governance.actor(token))
    officer = await actor_of(governance, "officer.one")
    bare = Wanted(action=Action.UNMASK, objects=[NORTH], span=ago(clock, -1, 60), why="x", is_urgent=True)
    clip = await governance.approvals.ask(operator, wanted(ago(clock, 40), urgent=True))
    live = await governance.approvals.ask(operator, dataclasses.replace(bare, span=ago(clock, 1, 600)))
    exported = await governance.open_look(operator, Action.EXPORT, [NORTH], span=ago(clock, 40))
    unmasked = await governance.open_look(operator, Action.VIEW_LIVE, [NORTH])
    assert not unmasked.masked
    await governance.approvals.decide(officer, live.id, yes=False, reason="no need")
    governance.serve_look(exported.id, 1)
    with pytest.raises(Denied):
        governance.serve_look(unmasked.id, 1)
    await governance.approvals.decide(officer, clip.id, yes=False, reason="no need")
    with pytest.raises(Denied):
        governance.serve_look(exported.id, 1)
    assert [row.outcome for row in await rows(governance, "closed")] == ["approval refused"] * 2


async def test_a_refusal_in_the_same_moment_opens_nothing(
    governance: Governance, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = await with_purpose(governance, await actor_of(governance, "operator.one"))
    officer = await actor_of(governance, "officer.one")
    span = ago(clock, 40)
    asked = await governance.approvals.ask(operator, wanted(span, urgent=True))
    found = governance.approvals.matching

    async def matching(*of: Any) -> Any:
        approval = await found(*of)
        if approval is not None:
            await governance.approvals.decide(officer, asked.id, yes=False, reason="no need")
        return approval

    with monkeypatch.context() as patch:
        patch.setattr(type(governance.approvals), "matching", lambda self, *of: matching(*of))
        with pytest.raises(ApprovalNeeded, match="refused"):
            await governance.open_look(operator, Action.EXPORT, [NORTH], span=span)
    assert governance._looks.open_now == 0
    assert [row.outcome for row in await rows(governance, "closed")] == ["approval refused"]
    since = clock.now() - timedelta(minutes=1)
    told = [
        await governance.was_refused(operator.user_id, Action.EXPORT, one.id, each, since=when)
        for one, each, when in (
            (NORTH, span, since), (SOUTH, span, since), (NORTH, ago(clock, 300), since),
            (NORTH, span, clock.now() + timedelta(minutes=1)),
        )
    ]  # fmt: skip
    assert told == [True, False, False, False]


async def test_who_cannot_see_a_point_any_more_looks_at_it_no_longer(governance: Governance, clock: FakeClock) -> None:
    security = await actor_of(governance, "security_administrator.one")
    await governance.create_user(security, account("north.viewer", Role.VIEWER, "north"))
    viewer, chief = await actor_of(governance, "north.viewer"), await actor_of(governance, "viewer.one")
    lent = Object("p-9", "/city/south/", may_see=("/city/north/",))
    first = await governance.open_look(viewer, Action.VIEW_LIVE, [lent])
    second = await governance.open_look(chief, Action.VIEW_LIVE, [lent])
    await governance.recheck({"p-9": lent}.get)
    governance.serve_look(first.id, 1)
    await governance.recheck({"p-9": Object("p-9", "/city/south/")}.get)
    with pytest.raises(Denied):
        governance.serve_look(first.id, 1)
    governance.serve_look(second.id, 1)
    assert [row.outcome for row in await rows(governance, "closed")] == ["out of sight"]


async def test_g04_what_cannot_be_made_good_is_never_urgent(governance: Governance, clock: FakeClock) -> None:
    officer = await with_purpose(governance, await actor_of(governance, "officer.one"))
    deletion = Wanted(action=Action.DELETE, objects=[NORTH], span=ago(clock, 40), why="x", is_urgent=True)
    with pytest.raises(Invalid, match="cannot be made good"):
        await governance.approvals.ask(officer, deletion)
    await governance.approvals.ask(officer, dataclasses.replace(deletion, is_urgent=False))


async def test_g03_a_yes_for_one_case_is_none_for_another(governance: Governance, clock: FakeClock) -> None:
    operator = await with_purpose(governance, await actor_of(governance, "operator.one"))
    assert operator.purpose is not None
    span = ago(clock, 40)
    asked = await governance.approvals.ask(operator, wanted(span))
    await governance.approvals.decide(await actor_of(governance, "officer.one"), asked.id, yes=True, reason="")
    other = await with_purpose(governance, operator, PurposeKind.TRAFFIC)
    with pytest.raises(ApprovalNeeded):
        await opens(governance, other, Action.EXPORT, span)
    again = await with_purpose(governance, operator)  # the same case, opened anew
    assert again.purpose is not None and again.purpose.id != operator.purpose.id
    await opens(governance, again, Action.EXPORT, span)


async def test_g05_old_content_takes_the_yes_of_a_unit_above(governance: Governance, clock: FakeClock) -> None:
    security = await actor_of(governance, "security_administrator.one")
    for name, role in (
        ("north.officer", Role.OFFICER),
        ("north.operator", Role.OPERATOR),
        ("north.other", Role.OFFICER),
    ):
        await governance.create_user(security, dataclasses.replace(account(name, role, "north"), has_past=True))
    operator = await with_purpose(governance, await actor_of(governance, "north.operator"))
    young, old = ago(clock, 24 * 90), ago(clock, 24 * 90 + 1)
    await opens(governance, operator, Action.VIEW_PLAYBACK, young)
    for action in (Action.VIEW_PLAYBACK, Action.SNAPSHOT):
        with pytest.raises(ApprovalNeeded, match="senior"):
            await opens(governance, operator, action, old)
    assert {row.outcome for row in await rows(governance, "denied")} == {"no senior"}

    def playing(span: Span) -> Wanted:
        return Wanted(action=Action.VIEW_PLAYBACK, objects=[NORTH], span=span, why="old case", is_urgent=False)

    with pytest.raises(Invalid, match="needs no second person"):
        await governance.approvals.ask(operator, playing(young))
    asked = await governance.approvals.ask(operator, playing(old))
    assert asked.is_aged
    north, city = await actor_of(governance, "north.officer"), await actor_of(governance, "officer.one")
    assert not governance.approvals.may_decide(north, asked) and governance.approvals.may_decide(city, asked)
    for who, inbox in ((north, []), (city, [asked.id]), (operator, [])):
        page = await governance.approvals.page(who, states=AWAITED, cursor="", limit=10, is_inbox=True)
        assert [each.id for each in page.items] == inbox
    with pytest.raises(Denied, match="senior"):
        await governance.approvals.decide(north, asked.id, yes=True, reason="")
    await governance.approvals.decide(city, asked.id, yes=True, reason="")
    for action in (Action.VIEW_PLAYBACK, Action.SNAPSHOT):  # a still of what may be played is not asked for apart
        await opens(governance, operator, action, old)
    with pytest.raises(ApprovalNeeded):
        await opens(governance, operator, Action.VIEW_PLAYBACK, old, NORTH_2)
    watched = await governance.open_look(operator, Action.VIEW_PLAYBACK, [NORTH], span=old)
    # what was young when a colleague agreed is old now: his yes is none for it
    almost = ago(clock, 24 * 90 - 0.5)
    clip_of = await governance.approvals.ask(operator, wanted(almost))
    await governance.approvals.decide(north, clip_of.id, yes=True, reason="")
    await opens(governance, operator, Action.EXPORT, almost)
    await clock.advance(3600)
    operator = await with_purpose(governance, await actor_of(governance, "north.operator"))
    with pytest.raises(ApprovalNeeded, match="senior"):
        await opens(governance, operator, Action.EXPORT, almost)
    await clock.advance(23 * 3600)
    await governance._looks.tick()
    with pytest.raises(Denied):  # it ends with the yes for it
        governance.serve_look(watched.id, 1)
    operator = await with_purpose(governance, await actor_of(governance, "north.operator"))
    north, city = await actor_of(governance, "north.officer"), await actor_of(governance, "officer.one")
    old = ago(clock, 24 * 90 + 1)
    # a clip of a district's officer, too: another officer of the district is not enough
    officer = await with_purpose(governance, north)
    clip = await governance.approvals.ask(officer, wanted(old))
    with pytest.raises(Denied, match="senior"):
        await governance.approvals.decide(await actor_of(governance, "north.other"), clip.id, yes=True, reason="")
    # above the city there is nobody: another of the city decides
    own = await governance.approvals.ask(await with_purpose(governance, city), wanted(old))
    await governance.create_user(security, account("officer.two", Role.OFFICER))
    await governance.approvals.decide(await actor_of(governance, "officer.two"), own.id, yes=True, reason="")


def test_the_table_of_states_has_no_way_back() -> None:
    ends = {ApprovalState.REFUSED, ApprovalState.WITHDRAWN, ApprovalState.EXPIRED}
    for state in ApprovalState:
        for step in Step:
            if (state, step) in NEXT:
                assert state not in ends
            else:
                with pytest.raises(Conflict):
                    after(state, step)
