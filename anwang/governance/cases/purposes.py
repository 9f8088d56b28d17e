"""Use cases on purposes: stated once, remembered by the session, over at their time or when their person says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from anwang.governance import store as accounts
from anwang.governance.actions import Action
from anwang.governance.cases import store
from anwang.governance.model import Actor, Page
from anwang.governance.reasons import Purpose, PurposeId, PurposeKind
from anwang.governance.words import one_line
from anwang.kernel.errors import Invalid, NotFound
from anwang.kernel.ids import uuid7
from anwang.runtime.clock import Clock
from anwang.stores.state import State

Write = Callable[[Actor, str, Action, tuple[str, ...], str], Awaitable[None]]
"""Writes a row of the ledger: actor, kind, action, objects, detail."""


@dataclass(slots=True, kw_only=True)
class Purposes:
    """most_minutes: the longest that one may last."""

    state: State
    clock: Clock
    most_minutes: int
    write: Write

    async def open(
        self, actor: Actor, *, kind: PurposeKind, case_no: str, unit: str, note: str, minutes: int
    ) -> Purpose:
        """State a purpose; the session remembers it. Raises Invalid, Unavailable."""
        if not 1 <= minutes <= self.most_minutes:
            raise Invalid(f"a purpose lasts 1 to {self.most_minutes} minutes", "state it again when it has ended")
        now = self.clock.now()
        made = Purpose(
            id=PurposeId(uuid7(self.clock.micros() // 1000)),
            user_id=actor.user_id,
            kind=kind,
            case_no=one_line(case_no, "a case number", most=100),
            unit=one_line(unit, "a unit", most=100),
            note=one_line(note, "a note", least=0, most=500),
            opened_at=now,
            expires_at=now + timedelta(minutes=minutes),
        )
        told = f"{made.kind}: {made.case_no}, {made.unit}, {minutes} min" + (f"; {made.note}" if made.note else "")
        async with self.state.begin() as tx:
            await store.add_purpose(tx, made)
            await accounts.remember_purpose(tx, actor.session_id, made.id)
            await self.write(replace(actor, purpose=made), "purpose", Action.OPEN_PURPOSE, (made.id,), told)
        return made

    async def close(self, actor: Actor, purpose_id: str) -> Purpose:
        """It is over now. Raises NotFound, Unavailable."""
        one = await self.of(actor, purpose_id)
        now = self.clock.now()
        async with self.state.begin() as tx:
            await store.end_purpose(tx, one.id, now)
            await self.write(replace(actor, purpose=one), "purpose", Action.OPEN_PURPOSE, (one.id,), "closed")
        return replace(one, expires_at=min(one.expires_at, now))

    async def of(self, actor: Actor, purpose_id: str) -> Purpose:
        """One of the actor's own, over or not. Raises NotFound."""
        async with self.state.read() as tx:
            found = await store.purpose(tx, purpose_id, actor.user_id)
        if found is None:
            raise NotFound("there is no such purpose of yours", "open one")
        return found

    async def page(self, actor: Actor, *, cursor: str, limit: int) -> Page[Purpose]:
        """The actor's own, latest first."""
        async with self.state.read() as tx:
            found = await store.purposes_page(tx, actor.user_id, before=cursor, limit=limit + 1)
        return Page.cut(found, limit, lambda each: each.id)
