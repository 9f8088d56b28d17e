"""Governance on both engines: signing in, sessions, accounts, looks, retention."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from anwang.governance import (
    ADMINISTRATORS,
    CITY,
    EVERYTHING,
    Action,
    Actor,
    Entry,
    Governance,
    Ledger,
    NewUser,
    Object,
    Organisation,
    Role,
    Scope,
    SessionKind,
    Terminal,
    User,
    UserChange,
    store,
)
from anwang.governance.ledger import Row
from anwang.governance.store import StateHeads, sessions, users
from anwang.kernel.errors import (
    AnwangError,
    Conflict,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from anwang.kernel.ids import OrgId, SessionId, UserId
from anwang.runtime import logs
from anwang.runtime.clock import FakeClock
from anwang.stores.state import State, Tx
from tests.governed import (
    HERE,
    NORTH,
    PASSWORD,
    TwoDistricts,
    account,
    actor_of,
    everyone,
    governed,
    make_tables,
    token_of,
)
from tests.scanned import ledger_text, said_of, saying_everything

NORTH_CAMERA = Object("p-north", "/city/north/station/")
SOUTH_CAMERA = Object("p-south", "/city/south/")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def governance(state: State, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Governance]:
    async with governed(state, tmp_path / "data", clock) as opened:
        yield opened


async def rows_of(governance: Governance) -> list[Row]:
    """All rows of the ledger, oldest first; those posted without waiting have arrived."""
    await governance.ledger.append(Entry(kind="fence"))
    return [row async for _, rows in governance.ledger.rows({}) for row in rows if row.kind != "fence"]


async def kinds(governance: Governance) -> list[str]:
    return [row.kind for row in await rows_of(governance)]


# --- signing in ---------------------------------------------------------------------------------------------------


async def test_signing_in_and_out(governance: Governance) -> None:
    await everyone(governance)
    opened = await governance.sign_in("  OPERATOR.one ", PASSWORD, terminal=HERE)
    actor = await governance.actor(opened.token, terminal="192.0.2.9")
    assert (actor.username, actor.role, actor.service, actor.terminal) == (
        "operator.one", Role.OPERATOR, False, "192.0.2.9",
    )  # fmt: skip
    assert (actor.org_id, actor.org_name, actor.org_path) == (CITY, "安澜市", "/")
    await governance.sign_out(actor)
    with pytest.raises(Unauthenticated):
        await governance.actor(opened.token)
    assert (await kinds(governance))[-2:] == ["signed_in", "changed"]


async def test_wrong_password_unknown_user_and_disabled_user_look_alike(
    governance: Governance, clock: FakeClock
) -> None:
    await everyone(governance)
    admin = await actor_of(governance, "security_administrator.one")
    viewer = await actor_of(governance, "viewer.one")
    await governance.change_user(admin, viewer.user_id, UserChange(disabled=True))
    before = governance._passwords.verified
    refusals = []
    for name, password in [
        ("operator.one", "wrong password"),
        ("nobody", PASSWORD),
        ("viewer.one", PASSWORD),
        ("<>", "x"),
    ]:
        with pytest.raises(Unauthenticated) as refused:
            await governance.sign_in(name, password, terminal=HERE)
        refusals.append((refused.value.reason, refused.value.hint))
    assert len(set(refusals)) == 1
    assert governance._passwords.verified - before == 4
    refused_rows = [row for row in await rows_of(governance) if row.kind == "refused"]
    assert [row.name for row in refused_rows] == ["operator.one", "", "viewer.one", ""]


async def test_rights_taken_away_while_they_are_read_are_not_kept(
    governance: Governance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read just before a change was remembered just after it, until the session ended."""
    await everyone(governance)
    admin = await actor_of(governance, "security_administrator.one")
    token = await token_of(governance, "operator.one")
    operator = await governance.actor(token)
    governance._live.clear()  # as for a session that nobody used for long
    read = store.session_by_hash
    changed: list[UserId] = []

    async def slowly(tx: Tx, token_hash: bytes, now: datetime) -> object:
        found = await read(tx, token_hash, now)
        if not changed:
            changed.append(operator.user_id)
            await governance.change_user(admin, operator.user_id, UserChange(role=Role.VIEWER))
        return found

    monkeypatch.setattr(store, "session_by_hash", slowly)
    assert (await governance.actor(token)).role is Role.VIEWER
    assert (await governance.actor(token)).role is Role.VIEWER


async def test_guessing_is_slowed_and_the_owner_gets_in(governance: Governance, clock: FakeClock) -> None:
    await everyone(governance)
    before = governance._passwords.verified
    outcomes = []
    for number in range(60):
        try:
            await governance.sign_in("operator.one", f"guess {number}", terminal=Terminal(f"198.51.100.{number}"))
        except AnwangError as err:
            outcomes.append(type(err))
    assert outcomes[0] is Unauthenticated
    assert outcomes[-1] is Exhausted
    assert governance._passwords.verified - before < 25
    await token_of(governance, "operator.one")  # from where the owner signed in before
    await clock.advance(400)
    await governance.sign_in("operator.one", PASSWORD, terminal=Terminal("203.0.113.5"))


async def test_a_session_ends_by_idleness_and_by_age(governance: Governance, clock: FakeClock) -> None:
    tokens = await everyone(governance)
    minutes = governance.settings.http.idle_minutes
    for _ in range(int(governance.settings.http.session_hours * 60 / minutes) - 1):
        await clock.advance((minutes - 1) * 60)
        await governance.actor(tokens["operator"])
    with pytest.raises(Unauthenticated):
        await governance.actor(tokens["viewer"])  # idle
    while clock.now() < FakeClock().now() + timedelta(hours=governance.settings.http.session_hours):
        await governance.actor(tokens["operator"])
        await clock.advance(1800)
    with pytest.raises(Unauthenticated):
        await governance.actor(tokens["operator"])  # age


async def test_requests_cost_no_database_read(governance: Governance, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = await everyone(governance)
    await governance.actor(tokens["viewer"])
    monkeypatch.setattr(governance, "_state", None)
    for _ in range(100):
        await governance.actor(tokens["viewer"])
    monkeypatch.undo()


async def test_sessions_survive_a_restart_and_only_hashes_are_kept(
    state: State, tmp_path: Path, clock: FakeClock
) -> None:
    async with governed(state, tmp_path, clock) as governance:
        tokens = await everyone(governance)
        await clock.advance(600)
        await governance.actor(tokens["operator"])
    async with governed(state, tmp_path, clock) as governance:
        actor = await governance.actor(tokens["operator"])
        assert actor.role is Role.OPERATOR
        async with state.read() as tx:
            kept = str((await tx.execute(select(sessions))).all()) + str((await tx.execute(select(users))).all())
            (seen,) = (await tx.execute(select(sessions.c.seen_at).where(sessions.c.id == actor.session_id))).one()
        assert seen == clock.now()
        for secret in (*tokens.values(), PASSWORD):
            assert secret not in kept
            assert secret[6:] not in kept


async def test_a_made_up_token_is_nobody(governance: Governance) -> None:
    token = (await everyone(governance))["viewer"]
    for wrong in (
        "",
        "x",
        token[:-1],
        token + "A",
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        "anw_s_" + "é" * 43,
    ):
        with pytest.raises(Unauthenticated):
            await governance.actor(wrong)


async def test_revoking_is_immediate_and_told(governance: Governance) -> None:
    tokens = await everyone(governance)
    operator = await governance.actor(tokens["operator"])
    admin = await governance.actor(tokens["security_administrator"])
    viewer = await governance.actor(tokens["viewer"])
    told: list[SessionId] = []

    async def listener(session: SessionId) -> None:
        told.append(session)

    governance.on_session_end(listener)
    look = await governance.open_look(operator, Action.VIEW_LIVE, [NORTH_CAMERA])
    with pytest.raises(NotFound):
        await governance.end_session(viewer, operator.session_id)
    await governance.end_session(admin, operator.session_id)
    assert told == [operator.session_id]
    with pytest.raises(Unauthenticated):
        await governance.actor(tokens["operator"])
    with pytest.raises(Denied):
        governance.serve_look(look.id, 1)
    closed = [row for row in await rows_of(governance) if row.kind == "closed"]
    assert [(row.look, row.outcome) for row in closed] == [(look.id, "session ended")]


@pytest.mark.parametrize("how", ["signed out", "revoked", "disabled", "other role", "removed", "expired"])
async def test_connections_are_told_when_their_session_ends(governance: Governance, clock: FakeClock, how: str) -> None:
    tokens = await everyone(governance)
    admin = await governance.actor(tokens["security_administrator"])
    operator = await governance.actor(tokens["operator"])
    ended: list[int] = []
    look = await governance.open_look(operator, Action.VIEW_LIVE, [NORTH_CAMERA])
    async with governance.while_open(operator, lambda: ended.append(1)):
        governance.serve_look(look.id, 700)
        for _ in range(3):  # what is open is in use, so that it is not idle
            await clock.advance((governance.settings.http.idle_minutes - 1) * 60)
            await governance.check_connections()
        assert ended == []
        match how:
            case "signed out":
                await governance.sign_out(operator)
            case "revoked":
                admin = await governance.actor(await token_of(governance, "security_administrator.one"))
                await governance.end_session(admin, operator.session_id)
            case "disabled":
                await governance.change_user(admin, operator.user_id, UserChange(disabled=True))
            case "other role":
                await governance.change_user(admin, operator.user_id, UserChange(role=Role.VIEWER))
            case "removed":
                await governance.remove_user(admin, operator.user_id)
            case "expired":
                await clock.advance(governance.settings.http.session_hours * 3600)
                await governance.check_connections()
        assert ended == [1]
    closed = [row for row in await rows_of(governance) if row.kind == "closed"]
    assert [(row.bytes, row.outcome) for row in closed] == [(700, "session ended")]
    if how != "other role":
        with pytest.raises(Unauthenticated):
            async with governance.while_open(operator, lambda: ended.append(2)):
                pass
    with pytest.raises(Unauthenticated):  # it was decided with rights that are no more
        async with governance.while_open(operator, lambda: ended.append(3)):
            pass


async def test_a_connection_learns_that_another_process_ended_its_session(
    tmp_path: Path, clock: FakeClock, state: State
) -> None:
    async with governed(state, tmp_path / "a", clock) as here:
        token = (await everyone(here))["viewer"]
        there = await Governance.open(
            state=state,
            settings=here.settings,
            clock=clock,
            sealer=_sealer(),
            writer="web-2",
            passwords=here._passwords,
        )
        there._recheck_seconds = 5.0
        ended: list[int] = []
        async with there.while_open(await there.actor(token), lambda: ended.append(1)):
            await there.check_connections()
            assert ended == []
            await here.sign_out(await here.actor(token))
            await there.check_connections()
            assert ended == [1]
        await there.close()


async def test_another_process_notices_an_ended_session(tmp_path: Path, clock: FakeClock, state: State) -> None:
    async with governed(state, tmp_path / "a", clock) as here:
        token = (await everyone(here))["viewer"]
        there = await Governance.open(
            state=state,
            settings=here.settings,
            clock=clock,
            sealer=_sealer(),
            writer="web-2",
            passwords=here._passwords,
        )
        there._recheck_seconds = 5.0
        actor = await there.actor(token)
        await here.end_session(await here.actor(token), actor.session_id)
        await there.actor(token)
        await clock.advance(6)
        with pytest.raises(Unauthenticated):
            await there.actor(token)
        await there.close()


def _sealer() -> object:
    from tests.governed import sealer

    return sealer()


# --- tokens, accounts ---------------------------------------------------------------------------------------------


async def test_api_tokens(governance: Governance, clock: FakeClock) -> None:
    operator = await governance.actor((await everyone(governance))["operator"])
    made = await governance.make_token(operator, name=" wall  display ", days=2, terminal=HERE)
    program = await governance.actor(made.token)
    assert (program.user_id, program.service) == (operator.user_id, True)
    with pytest.raises(Denied, match="API token"):
        await governance.make_token(program, name="more", days=1, terminal=HERE)
    with pytest.raises(Denied, match="API token"):
        await governance.change_password(program, old=PASSWORD, new="another good one", terminal=HERE)
    page = await governance.sessions(operator, user_id=operator.user_id, kind=SessionKind.API_TOKEN)
    assert [(each.name, each.idle_at) for each in page.items] == [("wall display", None)]
    await clock.advance(2 * 86400 - 1)
    await governance.actor(made.token)
    await clock.advance(1)
    with pytest.raises(Unauthenticated):
        await governance.actor(made.token)
    for days in (0, 367):
        with pytest.raises(Invalid):
            await governance.make_token(operator, name="x", days=days, terminal=HERE)


async def test_administrators_manage_their_subtree_only(governance: Governance) -> None:
    city = await governance.actor((await everyone(governance))["security_administrator"])
    await governance.create_user(city, account("north.admin", Role.SECURITY, "north"))
    await governance.create_user(city, account("south.viewer", Role.VIEWER, "south"))
    north = await actor_of(governance, "north.admin")
    assert [each.username for each in (await governance.users(north)).items] == ["north.admin"]
    south = (await governance.users(city, query="SOUTH")).items[0]
    for attempt in (
        governance.user(north, south.id),
        governance.change_user(north, south.id, UserChange(disabled=True)),
        governance.remove_user(north, south.id),
        governance.set_password(north, south.id, "another good one"),
        governance.create_user(north, account("x.y", Role.VIEWER, "south")),
        governance.create_user(north, account("x.y", Role.SECURITY, CITY)),
        governance.create_user(north, account("x.y", Role.VIEWER, "nowhere")),
    ):
        with pytest.raises(NotFound):
            await attempt
    made = await governance.create_user(north, account("north.viewer", Role.VIEWER, "north"))
    assert made.org_path == NORTH.path
    with pytest.raises(NotFound):
        await governance.change_user(north, made.id, UserChange(org_id=OrgId("south")))
    for role in ("operator", "viewer"):
        other = await actor_of(governance, f"{role}.one")
        with pytest.raises(Denied):
            await governance.users(other)
        with pytest.raises(Denied):
            await governance.sessions(other, user_id=city.user_id)
    assert len((await governance.sessions(north)).items) == 1


async def test_lists_have_cursors(governance: Governance) -> None:
    admin = await governance.actor((await everyone(governance))["security_administrator"])
    for number in range(7):
        await governance.create_user(admin, account(f"user.{number}", Role.VIEWER))
    names, cursor = [], ""
    while True:
        page = await governance.users(admin, cursor=cursor, limit=3)
        assert len(page.items) <= 3
        names += [each.username for each in page.items]
        if page.next is None:
            break
        cursor = page.next
    assert names == sorted(names)
    assert len(names) == 7 + len(Role)
    first = await governance.sessions(admin, limit=2)
    assert first.next is not None
    second = await governance.sessions(admin, limit=2, cursor=first.next)
    assert {each.id for each in first.items}.isdisjoint({each.id for each in second.items})


async def test_a_change_of_rights_takes_effect_at_once(governance: Governance) -> None:
    tokens = await everyone(governance)
    admin = await governance.actor(tokens["security_administrator"])
    operator = await governance.actor(tokens["operator"])
    look = await governance.open_look(operator, Action.VIEW_LIVE, [NORTH_CAMERA])
    await governance.change_user(admin, operator.user_id, UserChange(role=Role.VIEWER, org_id=OrgId("south")))
    assert not governance._looks.is_open(look.id)
    now = await governance.actor(tokens["operator"])
    assert (now.role, now.org_path) == (Role.VIEWER, "/city/south/")
    await governance.change_user(admin, operator.user_id, UserChange(disabled=True))
    with pytest.raises(Unauthenticated):
        await governance.actor(tokens["operator"])
    await governance.change_user(admin, operator.user_id, UserChange(disabled=False))
    with pytest.raises(Unauthenticated):
        await governance.actor(tokens["operator"])


async def test_names_are_never_used_twice(governance: Governance) -> None:
    admin = await governance.actor((await everyone(governance))["security_administrator"])
    viewer = (await governance.users(admin, query="viewer.one")).items[0]
    with pytest.raises(Conflict):
        await governance.create_user(admin, account("VIEWER.one", Role.VIEWER))
    await governance.remove_user(admin, viewer.id)
    with pytest.raises(NotFound):
        await governance.user(admin, viewer.id)
    with pytest.raises(Conflict):
        await governance.create_user(admin, account("viewer.one", Role.VIEWER))
    with pytest.raises(Unauthenticated):
        await governance.sign_in("viewer.one", PASSWORD, terminal=HERE)


async def test_there_is_always_an_administrator(governance: Governance) -> None:
    admin = await governance.actor((await everyone(governance))["security_administrator"])
    for change in (UserChange(disabled=True), UserChange(role=Role.VIEWER), UserChange(org_id=OrgId("north"))):
        with pytest.raises(Conflict, match="your own rights"):
            await governance.change_user(admin, admin.user_id, change)
    with pytest.raises(Conflict):
        await governance.remove_user(admin, admin.user_id)
    assert (await governance.change_user(admin, admin.user_id, UserChange(display_name="陈"))).display_name == "陈"
    second = await governance.create_user(admin, account("second.admin", Role.SECURITY))
    other = await actor_of(governance, "second.admin")
    await governance.change_user(other, admin.user_id, UserChange(disabled=True))
    await governance.create_user(other, account("north.admin", Role.SECURITY, "north"))
    await governance.create_user(other, account("third.admin", Role.SECURITY))
    third = await actor_of(governance, "third.admin")
    await governance.remove_user(third, second.id)


async def test_passwords_change(governance: Governance) -> None:
    tokens = await everyone(governance)
    admin = await governance.actor(tokens["security_administrator"])
    viewer = await governance.actor(tokens["viewer"])
    second = await token_of(governance, "viewer.one")
    with pytest.raises(Denied, match="old password"):
        await governance.change_password(viewer, old="wrong", new="another good one", terminal=HERE)
    with pytest.raises(Invalid):
        await governance.change_password(viewer, old=PASSWORD, new="short", terminal=HERE)
    await governance.change_password(viewer, old=PASSWORD, new="another good one", terminal=HERE)
    await governance.actor(tokens["viewer"])
    with pytest.raises(Unauthenticated):
        await governance.actor(second)
    await governance.sign_in("viewer.one", "another good one", terminal=HERE)
    await governance.set_password(admin, viewer.user_id, "a third good one")
    with pytest.raises(Unauthenticated):
        await governance.actor(tokens["viewer"])
    await governance.sign_in("viewer.one", "a third good one", terminal=HERE)
    with pytest.raises(Conflict):
        await governance.set_password(admin, admin.user_id, "a third good one")


async def test_a_moved_organisation_takes_its_people_along(
    governance: Governance, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await governance.actor((await everyone(governance))["security_administrator"])
    await governance.create_user(admin, account("north.viewer", Role.VIEWER, "north"))
    token = await token_of(governance, "north.viewer")
    await governance.actor(token)
    moved = Organisation(id=OrgId("north"), name="新北区", path="/city/new/north/")
    monkeypatch.setattr(TwoDistricts, "known", {**TwoDistricts.known, moved.id: moved})
    await governance.organisations_changed()
    actor = await governance.actor(token)
    assert (actor.org_path, actor.org_name) == ("/city/new/north/", "新北区")


async def test_the_first_start(governance: Governance, clock: FakeClock) -> None:
    """Three links for three persons: none of them learns another's password, or makes two of the accounts."""
    first, links = await governance.setup_links(), await governance.setup_links()
    assert tuple(links) == ADMINISTRATORS
    for role, link in links.items():
        with pytest.raises(NotFound):
            await governance.setup_of(first[role])  # a newer link takes its place
        assert await governance.setup_of(link) == (role, clock.now() + timedelta(hours=24))
    link = links[Role.AUDIT]
    with pytest.raises(Invalid):
        await governance.set_up(link, username="chen", display_name="", password="short")
    made, *refused = await asyncio.gather(
        *(governance.set_up(link, username=name, display_name="", password=PASSWORD) for name in ("chen", "evil.twin")),
        return_exceptions=True,
    )
    assert {type(made), type(refused[0])} == {NotFound, User}
    account = made if isinstance(made, User) else refused[0]
    assert isinstance(account, User) and account.role is Role.AUDIT
    assert set(await governance.setup_links()) == {Role.ADMINISTRATOR, Role.SECURITY}
    with pytest.raises(NotFound):
        await governance.setup_of(link)


async def test_a_setup_link_runs_out(governance: Governance, clock: FakeClock) -> None:
    link = (await governance.setup_links())[Role.SECURITY]
    await clock.advance(24 * 3600)
    with pytest.raises(NotFound):
        await governance.set_up(link, username="chen", display_name="", password=PASSWORD)


async def test_demo_accounts_are_made_once(governance: Governance) -> None:
    wanted = [NewUser(username="demo", display_name="演示", role=Role.AUDIT, org_id=CITY, password=PASSWORD)]
    assert [each.username for each in await governance.seed(wanted)] == ["demo"]
    assert await governance.seed(wanted) == []
    assert Role.AUDIT not in await governance.setup_links()


# --- looks --------------------------------------------------------------------------------------------------------


async def test_a_look_is_two_rows_and_the_first_is_durable(governance: Governance, clock: FakeClock) -> None:
    operator = await governance.actor((await everyone(governance))["operator"], terminal="192.0.2.50")
    look = await governance.open_look(operator, Action.VIEW_LIVE, [NORTH_CAMERA, SOUTH_CAMERA], detail="main")
    opened = (await rows_of(governance))[-1]
    assert (opened.kind, opened.look, opened.objects, opened.detail) == (
        "opened",
        look.id,
        ("p-north", "p-south"),
        "main",
    )
    assert (opened.name, opened.role, opened.terminal, opened.session, opened.action) == (
        "operator.one", "operator", "192.0.2.50", operator.session_id, "view_live",
    )  # fmt: skip
    await clock.advance(12.5)
    governance.serve_look(look.id, 1000)
    governance.serve_look(look.id, 24)
    await governance.close_look(look)
    await governance.close_look(look)
    closed = [row for row in await rows_of(governance) if row.kind == "closed"]
    assert [(row.look, row.bytes, row.seconds, row.outcome) for row in closed] == [(look.id, 1024, 12.5, "ended")]


async def test_a_look_that_is_not_allowed_is_written_too(governance: Governance) -> None:
    tokens = await everyone(governance)
    admin = await governance.actor(tokens["security_administrator"])
    await governance.create_user(admin, account("north.viewer", Role.VIEWER, "north"))
    viewer = await actor_of(governance, "north.viewer")
    with pytest.raises(Denied, match="no right to content"):
        await governance.open_look(admin, Action.VIEW_LIVE, [NORTH_CAMERA])
    with pytest.raises(Denied):
        await governance.open_look(viewer, Action.EXPORT, [NORTH_CAMERA])
    with pytest.raises(NotFound):
        await governance.open_look(viewer, Action.VIEW_LIVE, [NORTH_CAMERA, SOUTH_CAMERA])
    with pytest.raises(Invalid):
        await governance.open_look(viewer, Action.VIEW_LIVE, [])
    denied = [row for row in await rows_of(governance) if row.kind == "denied"]
    assert [(row.name, row.action, row.objects, row.outcome) for row in denied] == [
        ("security_administrator.one", "view_live", ("p-north",), "refused"),
        ("north.viewer", "export", ("p-north",), "refused"),
        ("north.viewer", "view_live", ("p-south",), "unseen"),
    ]
    assert "opened" not in await kinds(governance)


async def test_a_look_as_a_block(governance: Governance) -> None:
    operator = await governance.actor((await everyone(governance))["operator"])
    with pytest.raises(ZeroDivisionError):
        async with governance.look(operator, Action.SNAPSHOT, [NORTH_CAMERA]) as look:
            look.bytes += 7
            raise ZeroDivisionError

    async def looking(started: asyncio.Event) -> None:
        async with governance.look(operator, Action.VIEW_LIVE, [NORTH_CAMERA]):
            started.set()
            await asyncio.Event().wait()

    started = asyncio.Event()
    task = asyncio.create_task(looking(started))
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    async with governance.look(operator, Action.PTZ, [NORTH_CAMERA]):
        pass
    closed = [(row.outcome, row.bytes) for row in await rows_of(governance) if row.kind == "closed"]
    assert closed == [("ZeroDivisionError", 7), ("cancelled", 0), ("ended", 0)]


class BreakableDisk:
    broken = False

    def __call__(self, descriptor: int) -> None:
        if self.broken:
            raise OSError(28, "No space left on device")


async def test_without_a_ledger_nobody_looks_but_people_sign_in(state: State, tmp_path: Path, clock: FakeClock) -> None:
    disk = BreakableDisk()
    await make_tables(state)
    ledger = await Ledger.open(tmp_path / "l", writer="main", heads=StateHeads(state), clock=clock, sync=disk)
    async with governed(state, tmp_path, clock, ledger=ledger) as governance:
        await everyone(governance)
        operator = await actor_of(governance, "operator.one")
        look = await governance.open_look(operator, Action.VIEW_LIVE, [NORTH_CAMERA])
        disk.broken = True
        with pytest.raises(Unavailable):
            await governance.open_look(operator, Action.VIEW_LIVE, [NORTH_CAMERA])
        with pytest.raises(Unavailable):
            governance.count_use(operator, "map", EVERYTHING)
        admin = await actor_of(governance, "security_administrator.one")
        with pytest.raises(Unavailable):
            await governance.create_user(admin, account("new.one", Role.VIEWER))
        await governance.close_look(look, bytes=5)
        disk.broken = False
        assert [each.username for each in (await governance.users(admin, query="new.one")).items] == []
        await governance._looks.tick()
        closed = [(row.look, row.bytes) for row in await rows_of(governance) if row.kind == "closed"]
        assert closed == [(look.id, 5)]
        assert (await governance.ledger.verify()).faults == []


async def test_look_tokens_are_bound(governance: Governance, clock: FakeClock) -> None:
    tokens = await everyone(governance)
    operator, viewer = await governance.actor(tokens["operator"]), await governance.actor(tokens["viewer"])
    look = await governance.open_look(operator, Action.VIEW_PLAYBACK, [NORTH_CAMERA])
    token = governance.mint(look, subject="p-north/main", seconds=60)
    found = governance.redeem(token, session=operator.session_id, subject="p-north/main")
    assert (found.look, found.session) == (look.id, operator.session_id)
    assert found.expires_at == clock.now() + timedelta(seconds=60)
    other = governance.mint(look, subject="p-south/main", seconds=60)
    mixed = other.split(".")[0] + "." + token.split(".")[1]
    for session, subject, text in [
        (viewer.session_id, "p-north/main", token),
        (operator.session_id, "p-south/main", token),
        (operator.session_id, "p-south/main", mixed),
        (operator.session_id, "p-north/main", ""),
        (operator.session_id, "p-north/main", "a.b.c"),
        (operator.session_id, "p-north/main", "é.é"),
        *((operator.session_id, "p-north/main", token[:at] + chr(ord(token[at]) ^ 1) + token[at + 1 :])
          for at in range(len(token) - 1)),
    ]:  # fmt: skip
        with pytest.raises(Denied):
            governance.redeem(text, session=session, subject=subject)
    await clock.advance(60)
    with pytest.raises(Denied):
        governance.redeem(token, session=operator.session_id, subject="p-north/main")


async def test_an_idle_look_closes_by_itself(governance: Governance, clock: FakeClock) -> None:
    operator = await governance.actor((await everyone(governance))["operator"])
    look = await governance.open_look(operator, Action.VIEW_PLAYBACK, [NORTH_CAMERA], idle_seconds=30)
    await clock.advance(20)
    governance.serve_look(look.id, 10)
    await clock.advance(29)
    await governance._looks.tick()
    assert governance._looks.is_open(look.id)
    await clock.advance(1)
    await governance._looks.tick()
    closed = [row for row in await rows_of(governance) if row.kind == "closed"]
    assert [(row.outcome, row.seconds, row.bytes) for row in closed] == [("idle", 20.0, 10)]


async def test_use_is_one_row_an_hour(governance: Governance, clock: FakeClock) -> None:
    tokens = await everyone(governance)
    operator, viewer = await governance.actor(tokens["operator"]), await governance.actor(tokens["viewer"])
    for _ in range(50):
        governance.count_use(operator, "map", EVERYTHING)
    governance.count_use(operator, "list", Scope.below("/city/north/"), 3)
    governance.count_use(viewer, "map", EVERYTHING)
    await governance._looks.tick()
    assert "used" not in await kinds(governance)
    await clock.advance(3600)
    governance.count_use(operator, "map", EVERYTHING)
    await governance._looks.tick()
    used = [(row.name, row.action, row.scope, row.count) for row in await rows_of(governance) if row.kind == "used"]
    assert sorted(used) == [
        ("operator.one", "list", "/city/north/", 3), ("operator.one", "map", "/", 50), ("viewer.one", "map", "/", 1),
    ]  # fmt: skip
    await governance.sign_out(operator)
    assert [row.count for row in await rows_of(governance) if row.kind == "used"][-1] == 1


async def test_what_a_crash_left_open_is_closed(state: State, tmp_path: Path, clock: FakeClock) -> None:
    async with governed(state, tmp_path, clock) as governance:
        operator = await governance.actor((await everyone(governance))["operator"])
        kept = await governance.open_look(operator, Action.VIEW_LIVE, [NORTH_CAMERA])
        done = await governance.open_look(operator, Action.VIEW_LIVE, [NORTH_CAMERA])
        governance.serve_look(kept.id, 77)
        governance.count_use(operator, "map", EVERYTHING, 9)
        governance.count_use(operator, "list", EVERYTHING, 2)
        await governance._looks.keep()
        left = governance._looks._kept.read_bytes()
        later = await governance.open_look(operator, Action.SNAPSHOT, [NORTH_CAMERA])
        await governance.close_look(done)
        await governance.ledger.close()  # the process dies here: nothing else is written
    governance._looks._kept.write_bytes(left)
    async with governed(state, tmp_path, clock) as governance:
        rows = await rows_of(governance)
        closed = {row.look: (row.outcome, row.bytes) for row in rows if row.kind == "closed"}
        assert closed == {
            kept.id: ("process ended", 77), done.id: ("ended", 0), later.id: ("process ended", 0),
        }  # fmt: skip
        assert sorted((row.action, row.count) for row in rows if row.kind == "used") == [("list", 2), ("map", 9)]
    async with governed(state, tmp_path, clock) as governance:
        assert len([row for row in await rows_of(governance) if row.kind in ("closed", "used")]) == 5


async def test_what_could_not_be_written_at_the_end_is_written_at_the_next_start(
    state: State, tmp_path: Path, clock: FakeClock
) -> None:
    async with governed(state, tmp_path, clock) as governance:
        operator = await governance.actor((await everyone(governance))["operator"])
        look = await governance.open_look(operator, Action.VIEW_LIVE, [NORTH_CAMERA])
        governance.count_use(operator, "map", EVERYTHING, 9)
        await governance.ledger.close()
    async with governed(state, tmp_path, clock) as governance:
        rows = await rows_of(governance)
        assert [(row.look, row.outcome) for row in rows if row.kind == "closed"] == [
            (look.id, "process ended in order")
        ]
        assert [row.count for row in rows if row.kind == "used"] == [9]


async def test_the_ledger_is_read_within_scope(governance: Governance) -> None:
    city = await governance.actor((await everyone(governance))["security_administrator"])
    await governance.create_user(city, account("north.audit", Role.AUDIT, "north"))
    await governance.create_user(city, account("north.viewer", Role.VIEWER, "north"))
    viewer, north = await actor_of(governance, "north.viewer"), await actor_of(governance, "north.audit")
    operator, city = await actor_of(governance, "operator.one"), await actor_of(governance, "audit_administrator.one")
    await governance.open_look(viewer, Action.VIEW_LIVE, [NORTH_CAMERA])
    await governance.open_look(operator, Action.VIEW_LIVE, [NORTH_CAMERA])
    seen = await governance.read_ledger(north, cursor=None, limit=100, kind="")
    assert {row.name for _, row in seen.rows} == {"north.audit", "north.viewer"}
    opened = await governance.read_ledger(city, cursor=None, limit=100, kind="opened")
    assert [row.name for _, row in opened.rows] == ["operator.one", "north.viewer"]
    with pytest.raises(Denied):
        await governance.read_ledger(operator, cursor=None, limit=1, kind="")


async def test_the_jobs_run_by_the_clock(governance: Governance, clock: FakeClock, state: State) -> None:
    operator = await governance.actor((await everyone(governance))["operator"])
    await governance.open_look(operator, Action.VIEW_PLAYBACK, [NORTH_CAMERA], idle_seconds=30)
    running = asyncio.create_task(governance.run())
    heads = StateHeads(state)

    async def eventually() -> None:
        async with asyncio.timeout(20):
            while True:
                await clock.advance(5)
                await asyncio.sleep(0.001)
                head = (await heads.load()).get("main-1")
                if head == governance.ledger.head and not governance._looks.open_now:
                    return

    await eventually()
    running.cancel()
    await asyncio.wait([running])
    assert "closed" in await kinds(governance)


# --- logs ---------------------------------------------------------------------------------------------------------


async def test_no_secret_in_logs_or_ledger(
    state: State, tmp_path: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log scanner: everything that signing in, tokens and passwords touch, at DEBUG (pains.md 36)."""
    with saying_everything():
        async with governed(state, tmp_path, clock) as governance:
            links = await governance.setup_links()
            tokens = await everyone(governance)
            operator = await governance.actor(tokens["operator"])
            made = await governance.make_token(operator, name="wall", days=1, terminal=HERE)
            await governance.change_password(operator, old=PASSWORD, new="another good one", terminal=HERE)
            for name, password in [("operator.one", "mistyped secret"), ("secret in the name field", "x")]:
                with pytest.raises(Unauthenticated):
                    await governance.sign_in(name, password, terminal=HERE)
            logs.get("test").info("about to fail", password=PASSWORD, token=made.token, nested={"api_key": PASSWORD})
    written = capsys.readouterr()
    said = written.out + written.err + ledger_text(tmp_path)
    assert "about to fail" in said
    assert "signed_in" in said
    secrets = [PASSWORD, "another good one", "mistyped secret", "secret in the name field", *links.values(), made.token]
    assert said_of([str(each) for each in [*secrets, *tokens.values()]], said) == []


def test_the_actor_can_be_shown(governance: Governance) -> None:
    """Actors end up in logs and tracebacks; they carry no secret."""
    assert {field for field in Actor.__dataclass_fields__ if "token" in field or "password" in field} == set()
    assert UserId("u") == "u"
