"""A governance for tests: cheap passwords, a clock that stands still, accounts of every role."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from anwang.governance import CITY, Actor, Governance, Ledger, NewUser, Organisation, Passwords, Role, Terminal
from anwang.kernel.ids import OrgId
from anwang.runtime.clock import Clock
from anwang.runtime.secrets import MasterKey, Sealer
from anwang.runtime.settings import Settings
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
    state: State, folder: Path, clock: Clock, *, ledger: Ledger | None = None, **http: Any
) -> AsyncIterator[Governance]:
    """A governance over the state, with tables made. http: settings of the section http."""
    await make_tables(state)
    plain = Settings(data=str(folder), city="安澜市")
    settings = msgspec.structs.replace(plain, http=msgspec.structs.replace(plain.http, **http))
    opened = await Governance.open(
        state=state,
        settings=settings,
        clock=clock,
        sealer=sealer(),
        places=TwoDistricts(),
        passwords=cheap(),
        ledger=ledger,
    )
    try:
        yield opened
    finally:
        await opened.close()


def account(username: str, role: Role, org_id: str = CITY) -> NewUser:
    """A new account with the tests' password."""
    return NewUser(username=username, display_name=username, role=role, org_id=OrgId(org_id), password=PASSWORD)


async def everyone(governance: Governance) -> dict[str, str]:
    """One account per role in the whole city; a token of each, by role."""
    await governance.seed([account(role.value + ".one", role) for role in Role])
    return {role.value: await token_of(governance, role.value + ".one") for role in Role}


async def token_of(governance: Governance, username: str) -> str:
    """A fresh session's token."""
    return (await governance.sign_in(username, PASSWORD, terminal=HERE)).token


async def actor_of(governance: Governance, username: str) -> Actor:
    """A fresh session's actor."""
    return await governance.actor(await token_of(governance, username))
