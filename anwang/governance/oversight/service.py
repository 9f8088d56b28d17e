"""Use cases on anomalies: auditors read what was found, and say what it was (domain.md G22).

Nobody decides about themselves (four eyes), and no token decides for a person. Reading is written in the ledger like
the reading of the ledger itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace

from anwang.governance.actions import Action
from anwang.governance.ledger.rows import Found
from anwang.governance.model import Actor, Page, scope_of
from anwang.governance.oversight import counts, store
from anwang.governance.oversight.model import Anomaly, AnomalyState, after
from anwang.governance.scopes import CITY_PATH, Scope
from anwang.governance.words import one_line
from anwang.kernel.errors import Denied, Invalid, NotFound
from anwang.kernel.times import Span, to_micros
from anwang.runtime.clock import Clock
from anwang.stores.series import Series
from anwang.stores.state import State, Tx


@dataclass(slots=True, kw_only=True)
class Anomalies:
    """write: a row of the ledger: actor, action, objects, detail. use: counts that somebody read a list.

    settled: called when one is open no longer.
    """

    state: State
    series: Series
    clock: Clock
    write: Callable[[Actor, Action, Sequence[str], str], Awaitable[None]]
    use: Callable[[Actor, str, Scope], None]
    settled: Callable[[], Awaitable[None]]

    async def page(self, actor: Actor, *, states: Collection[AnomalyState], cursor: str, limit: int) -> Page[Anomaly]:
        """Of people in the actor's scope, latest first. states: empty for all. Raises Denied, Unavailable."""
        scope = scope_of(actor, Action.READ_LEDGER)
        self.use(actor, "anomalies", scope)
        async with self.state.read() as tx:
            found = await store.page(tx, seen_by=scope, states=states, before=cursor, limit=limit + 1)
        return Page.cut(found, limit, lambda each: each.id)

    async def one(self, actor: Actor, anomaly_id: str) -> tuple[Anomaly, list[Found]]:
        """An anomaly and its rows of the ledger. Raises Denied, NotFound, Unavailable."""
        scope = scope_of(actor, Action.READ_LEDGER)
        self.use(actor, "anomalies", scope)
        async with self.state.read() as tx:
            found = await self._get(tx, anomaly_id, scope)
        span = Span(to_micros(found.start), to_micros(found.end))
        rows = await counts.rows_named(self.series, found.evidence, span)
        return found, [(chain, row) for chain, row in rows if scope.covers_path(row.org or CITY_PATH)]

    async def decide(self, actor: Actor, anomaly_id: str, *, verdict: AnomalyState, note: str) -> Anomaly:
        """Say what it was. Raises Denied, NotFound, Conflict, Invalid, Unavailable."""
        scope = scope_of(actor, Action.SETTLE_ANOMALIES)
        if actor.service:
            raise Denied("an API token may not decide about people", "sign in with user name and password")
        if verdict is AnomalyState.OPEN:
            raise Invalid("a decision is explained, misconduct or dismissed", "choose one of them")
        said = one_line(note, "the note", least=3, most=500)
        async with self.state.begin() as tx:
            found = await self._get(tx, anomaly_id, scope, lock=True)
            if found.user_id == actor.user_id:
                raise Denied("nobody decides about their own conduct", "another auditor must decide")
            made = replace(
                found,
                state=after(found.state, verdict),
                note=said,
                decided_at=self.clock.now(),
                decided_by=actor.username,
            )
            await store.settle(tx, made)
            told = f"anomaly {found.rule} of {found.username} is {verdict}: {said}"
            await self.write(actor, Action.SETTLE_ANOMALIES, (found.id, found.user_id), told)
        await self.settled()
        return made

    async def _get(self, tx: Tx, anomaly_id: str, scope: Scope, *, lock: bool = False) -> Anomaly:
        found = await store.one(tx, anomaly_id, seen_by=scope, lock=lock)
        if found is None:
            raise NotFound("there is no such anomaly", "look for it in the list")
        return found
