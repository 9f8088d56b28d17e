"""A governance for tests: cheap passwords, a clock that stands still, accounts of every role."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from anwang.governance import (
    CITY,
    Actor,
    Governance,
    Ledger,
    NewUser,
    Organisation,
    Passwords,
    PurposeKind,
    Role,
    Terminal,
)
from anwang.kernel.ids import OrgId
from anwang.runtime.clock import Clock
from anwang.runtime.secrets import MasterKey, Sealer, open_keys
from anwang.runtime.settings import Governance as GovernanceSettings
from anwang.runtime.settings import Oidc, Settings
from anwang.stores.series import Series
from anwang.stores.state import State, metadata

PASSWORD = "correct horse battery"
HERE = Terminal("192.0.2.7", "test")
NORTH = Organisation(id=OrgId("north"), name="北区", path="/city/north/")
SOUTH = Organisation(id=OrgId("south"), name="南区", path="/city/south/")


class TwoDistricts:
    """Places of a small city."""

    known: ClassVar[dict[OrgId, Organisation]] = {NORTH.id: NORTH, SOUTH.id: SOUTH}

    async def organisation(self, org_id: OrgId) -> Organisation | None:
        """See Places."""
        return self.known.get(org_id)


def cheap() -> Passwords:
    """Argon2id at the least it can cost."""
    return Passwords(time_cost=1, memory_kib=8)


def sealer() -> Sealer:
    """A key of this test's own."""
    return Sealer([MasterKey(os.urandom(4), os.urandom(32))])


async def make_tables(state: State) -> None:
    """All tables as the models declare them."""
    async with state.begin() as tx:
        await tx.run_sync(metadata.create_all)


@asynccontextmanager
async def governed(
    state: State,
    folder: Path,
    clock: Clock,
    *,
    ledger: Ledger | None = None,
    rules: GovernanceSettings | None = None,
    oidc: Oidc | None = None,
    series: Series | None = None,
    **http: Any,
) -> AsyncIterator[Governance]:
    """A governance over the state, with tables made; the same key each time. http: settings of the section http."""
    await make_tables(state)
    plain = Settings(data=str(folder), city="安澜市")
    settings = msgspec.structs.replace(
        plain,
        http=msgspec.structs.replace(plain.http, **http),
        governance=rules or plain.governance,
        oidc=oidc or plain.oidc,
    )
    opened = await Governance.open(
        state=state,
        settings=settings,
        clock=clock,
        sealer=await asyncio.to_thread(open_keys, folder / "master.key"),
        places=TwoDistricts(),
        passwords=cheap(),
        ledger=ledger,
        series=series,
    )
    try:
        yield opened
    finally:
        await opened.close()


def account(username: str, role: Role, org_id: str = CITY, **more: Any) -> NewUser:
    """A new account with the tests' password."""
    return NewUser(username=username, display_name=username, role=role, org_id=OrgId(org_id), password=PASSWORD, **more)


async def everyone(governance: Governance) -> dict[str, str]:
    """One account per role in the whole city; a token of each, by role."""
    month = governance.rights.clock.now() + timedelta(days=30)
    ends = {Role.CONTRACTOR: month}
    house = [account(f"{role.value}.one", role) for role in Role if role is not Role.CONTRACTOR]
    escort = next((one.id for one in await governance.seed(house) if one.role is Role.OPERATOR), "")
    hired = account("contractor.one", Role.CONTRACTOR, ends_at=ends[Role.CONTRACTOR], escort=escort)
    await governance.seed([hired])
    return {role.value: await token_of(governance, role.value + ".one") for role in Role}


async def token_of(governance: Governance, username: str) -> str:
    """A fresh session's token."""
    return (await governance.sign_in(username, PASSWORD, terminal=HERE)).token


async def with_purpose(governance: Governance, actor: Actor, kind: PurposeKind = PurposeKind.CRIMINAL_CASE) -> Actor:
    """The actor, for a stated purpose."""
    made = await governance.open_purpose(
        actor, kind=kind, case_no="A9901010000002026110001", unit="北区分局", note="", minutes=60
    )
    return await governance.with_purpose(actor, made.id)


async def actor_of(governance: Governance, username: str) -> Actor:
    """A fresh session's actor."""
    return await governance.actor(await token_of(governance, username))
