"""The second factor at the door, over a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from anwang.governance import Action, Actor, Governance, Object
from anwang.governance.factors.store import second_factors
from anwang.governance.factors.totp import STEP_SECONDS, code_of
from anwang.kernel.errors import Conflict, Denied, Exhausted, NotFound, SecondFactorNeeded, Unauthenticated, Unavailable
from anwang.runtime.clock import FakeClock
from anwang.runtime.settings import Governance as Rules
from anwang.stores.state import State
from tests.contract.test_governance import clock, rows_of
from tests.governed import HERE, PASSWORD, actor_of, everyone, governed, token_of

__all__ = ["clock"]

NORTH = Object("p-1", "/city/north/")


@pytest.fixture
async def governance(state: State, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Governance]:
    async with governed(state, tmp_path, clock) as opened:
        await everyone(opened)
        yield opened


def code(secret: str, clock: FakeClock, off: int = 0) -> str:
    return code_of(secret, int(clock.now().timestamp() // STEP_SECONDS) + off)


async def _cannot(*_: object) -> None:
    raise Unavailable("the disk is full")


async def with_app(governance: Governance, clock: FakeClock, who: str = "operator.one") -> tuple[Actor, str]:
    """An account that has set up its app; the actor and the secret."""
    actor = await actor_of(governance, who)
    made = await governance.begin_factor(actor)
    await governance.confirm_factor(actor, code(made.secret, clock))
    return actor, made.secret


async def test_a_sign_in_needs_the_code_once_it_is_confirmed(
    governance: Governance, clock: FakeClock, state: State
) -> None:
    actor, other = await actor_of(governance, "operator.one"), await token_of(governance, "operator.one")
    made = await governance.begin_factor(actor)
    await token_of(governance, "operator.one")  # not confirmed yet: a lost page locks nobody out
    for wrong in ("000000", "", "abc"):
        with pytest.raises(Denied):
            await governance.confirm_factor(actor, wrong)
    await governance.confirm_factor(actor, code(made.secret, clock))
    with pytest.raises(Unauthenticated):
        await governance.actor(other)
    async with state.read() as tx:
        row = (await tx.execute(second_factors.select())).one()
    assert made.secret.encode() not in row.sealed_password
    with pytest.raises(Conflict):
        await governance.begin_factor(actor)
    with pytest.raises(SecondFactorNeeded):
        await token_of(governance, "operator.one")
    await clock.advance(STEP_SECONDS)
    good = code(made.secret, clock)
    with pytest.raises(Unauthenticated) as refused:  # the code alone opens nothing, and says nothing of itself
        await governance.sign_in("operator.one", PASSWORD + "x", terminal=HERE, code=good)
    assert not isinstance(refused.value, SecondFactorNeeded)
    await governance.sign_in("operator.one", PASSWORD, terminal=HERE, code=good)
    with pytest.raises(SecondFactorNeeded, match="used already"):
        await governance.sign_in("operator.one", PASSWORD, terminal=HERE, code=good)
    said = "".join(row.detail for row in await rows_of(governance))
    assert "second factor set up" in said and made.secret not in said


async def test_one_code_opens_one_session_however_many_try(governance: Governance, clock: FakeClock) -> None:
    _, secret = await with_app(governance, clock)
    await clock.advance(STEP_SECONDS)
    tries = [governance.sign_in("operator.one", PASSWORD, terminal=HERE, code=code(secret, clock)) for _ in range(4)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(each, BaseException) for each in outcomes) == 1
    assert sum(isinstance(each, SecondFactorNeeded) for each in outcomes) == 3


async def test_guessing_codes_is_slowed_like_guessing_passwords(governance: Governance, clock: FakeClock) -> None:
    await with_app(governance, clock)
    with pytest.raises(Exhausted):
        for _ in range(30):
            with pytest.raises(SecondFactorNeeded):
                await governance.sign_in("operator.one", PASSWORD, terminal=HERE, code="000000")


async def test_it_is_removed_with_a_code_or_by_a_security_administrator(
    governance: Governance, clock: FakeClock
) -> None:
    actor, secret = await with_app(governance, clock)
    await clock.advance(STEP_SECONDS)
    with pytest.raises(Denied):
        await governance.remove_factor(actor, "000000")
    await governance.remove_factor(actor, code(secret, clock))
    await token_of(governance, "operator.one")
    await clock.advance(STEP_SECONDS)

    actor, _ = await with_app(governance, clock)
    viewer = await actor_of(governance, "viewer.one")
    with pytest.raises(Denied):
        await governance.reset_factor(viewer, actor.user_id)
    security = await actor_of(governance, "security_administrator.one")
    with pytest.raises(Conflict):
        await governance.reset_factor(security, security.user_id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(governance.ledger, "append", _cannot)
        with pytest.raises(Unavailable):
            await governance.reset_factor(security, actor.user_id)
    with pytest.raises(SecondFactorNeeded):  # what cannot be written is not done
        await token_of(governance, "operator.one")
    await governance.reset_factor(security, actor.user_id)
    with pytest.raises(NotFound):
        await governance.reset_factor(security, actor.user_id)
    await token_of(governance, "operator.one")


async def test_who_must_have_one_can_do_nothing_before(state: State, tmp_path: Path, clock: FakeClock) -> None:
    async with governed(state, tmp_path, clock, rules=Rules(second_factor="everybody")) as governance:
        await everyone(governance)
        token = await token_of(governance, "operator.one")
        actor = await governance.actor(token)
        with pytest.raises(Denied, match="second factor"):
            await governance.open_look(actor, Action.VIEW_LIVE, [NORTH])
        with pytest.raises(Denied, match="second factor"):
            governance.scope(actor, Action.READ_POINTS)
        governance.scope(actor, Action.OWN_ACCOUNT)
        with pytest.raises(Denied, match="second factor"):  # the password alone would open everything with it
            await governance.make_token(actor, name="cron", days=1, terminal=HERE)
        made = await governance.begin_factor(actor)
        await governance.confirm_factor(actor, code(made.secret, clock))
        actor = await governance.actor(token)
        await governance.open_look(actor, Action.VIEW_LIVE, [NORTH])
        await governance.make_token(actor, name="cron", days=1, terminal=HERE)
        with pytest.raises(Denied, match="wants a second factor"):
            await governance.remove_factor(actor, code(made.secret, clock, 1))
    async with governed(state, tmp_path, clock, rules=Rules(second_factor="administrators")) as governance:
        viewer = await actor_of(governance, "viewer.one")
        governance.scope(viewer, Action.READ_POINTS)
        audit = await actor_of(governance, "audit_administrator.one")
        with pytest.raises(Denied, match="second factor"):
            governance.scope(audit, Action.READ_LEDGER)
