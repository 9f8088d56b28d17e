"""Use cases on breaches (domain.md G23).

A record is changed until it is closed; each step is written with its moment, by whom, and to whom it was told. A notice
is drafted from the record as it stands and says what is still missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from anwang.governance.actions import Action
from anwang.governance.breaches import store
from anwang.governance.breaches.model import (
    Breach,
    BreachId,
    BreachState,
    BreachStep,
    Done,
    Extent,
    Told,
    after,
    lacking,
)
from anwang.governance.model import Actor, Organisation, Page, scope_of, within
from anwang.governance.scopes import Scope
from anwang.governance.words import one_line, paragraphs
from anwang.kernel.errors import Conflict, Invalid, NotFound
from anwang.kernel.ids import OrgId, uuid7
from anwang.kernel.times import Span
from anwang.runtime.clock import Clock
from anwang.stores.series import Series
from anwang.stores.state import State, Tx

OLDEST = timedelta(days=10 * 366)
LONGEST_US = 366 * 24 * 3_600_000_000
AHEAD = timedelta(minutes=5)
"""A clock of theirs may be ahead of ours."""
MOST_AFFECTED = 2_000_000_000


@dataclass(slots=True, kw_only=True)
class Breaches:
    """place: an organisation, None for an unknown one. write: a row of the ledger: actor, action, objects, detail.
    waiting: rows of the ledger that its copy in the series lacks.
    """

    state: State
    series: Series
    clock: Clock
    write: Callable[[Actor, Action, Sequence[str], str], Awaitable[None]]
    place: Callable[[OrgId], Awaitable[Organisation | None]]
    waiting: Callable[[], int]

    async def add(self, actor: Actor, org_id: OrgId, told: Told) -> Breach:
        """Begin a record. Raises Denied, NotFound (organisation), Invalid, Unavailable."""
        responsible = await self._responsible(actor, org_id)
        made = Breach(
            id=BreachId(uuid7(self.clock.micros() // 1000)),
            org_id=responsible.id,
            org_name=responsible.name,
            org_path=responsible.path,
            told=self._checked(told),
            state=BreachState.DRAFT,
            created_at=self.clock.now(),
            created_by=actor.username,
        )
        async with self.state.begin() as tx:
            await store.add(tx, made)
            await self.write(actor, Action.MANAGE_BREACHES, (made.id,), f"breach entered: {_told(made)}")
        return made

    async def change(self, actor: Actor, breach_id: str, org_id: OrgId, told: Told, *, version: int) -> Breach:
        """More is known, or it is otherwise. version: of what was read. Raises as `add`, and Conflict."""
        checked = self._checked(told)
        responsible = await self._responsible(actor, org_id)
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, breach_id, Action.MANAGE_BREACHES, lock=True)
            if found.version != version:
                raise Conflict("someone else has changed this breach meanwhile", "read it again, then change it")
            if found.state is BreachState.CLOSED:
                raise Conflict("a closed breach stays as it is", "enter another one")
            made = replace(
                found,
                org_id=responsible.id,
                org_name=responsible.name,
                org_path=responsible.path,
                told=checked,
                version=version + 1,
            )
            await store.save(tx, made)
            await self.write(actor, Action.MANAGE_BREACHES, (made.id,), f"breach changed: {_told(made)}")
        return made

    async def step(
        self, actor: Actor, breach_id: str, step: BreachStep, *, at: datetime, note: str, version: int
    ) -> Breach:
        """Something was done about it. at: when. note: to whom and how; why it is closed.

        Raises Denied, NotFound, Conflict (no such step now; changed meanwhile), Invalid (something must be said first).
        """
        said = paragraphs(note, "the note", least=2, most=1000)
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, breach_id, Action.MANAGE_BREACHES, lock=True)
            if found.version != version:
                raise Conflict("someone else has changed this breach meanwhile", "read it again, then change it")
            state = after(found.state, step)
            if step is BreachStep.NOTIFY and (missing := lacking(found.told)):
                raise Invalid(
                    f"people are told {', '.join(missing)}, too, and nobody has written it yet", "write it first"
                )
            earliest = max([found.told.found_at, *(done.at for done in found.steps)])
            if not earliest <= at <= self.clock.now() + AHEAD:
                raise Invalid("a step lies between the one before and now", "look at the day and the hour")
            done = Done(step=step, at=at, by=actor.username, note=said)
            made = replace(found, state=state, steps=(*found.steps, done), version=version + 1)
            await store.save(tx, made)
            await self.write(actor, Action.MANAGE_BREACHES, (made.id,), f"breach {step}: {_told(made)}; {said}")
        return made

    async def one(self, actor: Actor, breach_id: str) -> Breach:
        """Raises Denied, NotFound."""
        async with self.state.read() as tx:
            return await self._get(tx, actor, breach_id, Action.READ_BREACHES)

    async def page(self, actor: Actor, *, states: Collection[BreachState], cursor: str, limit: int) -> Page[Breach]:
        """Those in the actor's scope, latest first. states: empty for all. Raises Denied."""
        scope = scope_of(actor, Action.READ_BREACHES)
        async with self.state.read() as tx:
            found = await store.page(tx, seen_by=scope, states=states, before=cursor, limit=limit + 1)
        return Page.cut(found, limit, lambda each: each.id)

    async def extent(self, actor: Actor, span: Span) -> Extent:
        """What people in the actor's scope looked at in a span. Raises Denied, Invalid, Unavailable."""
        scope = scope_of(actor, Action.READ_BREACHES)
        if not 0 < span.micros <= LONGEST_US:
            raise Invalid("the ledger is counted over a year at most", "choose a shorter span")
        seen, bound = _seen(scope)
        [(points, looks, accounts, size)] = await self.series.query(
            "SELECT uniqExactArrayIf(objects, kind = 'opened'), countIf(kind = 'opened'),"  # noqa: S608 - names only
            " uniqExactIf(user, kind = 'opened' AND user != ''), sumIf(bytes, kind = 'closed')"
            " FROM ledger_rows FINAL WHERE kind IN ('opened', 'closed')"
            f" AND at >= {{start:Int64}} AND at < {{end:Int64}} AND ({seen})",
            {"start": span.start, "end": span.end, **bound},
        )
        return Extent(int(points), int(looks), int(accounts), int(size), self.waiting())

    async def organisations_changed(self) -> None:
        """The registry may have renamed or moved organisations: the records follow."""
        async with self.state.read() as tx:
            used = await store.organisations(tx)
        found = [await self.place(each) for each in used]
        async with self.state.begin() as tx:
            for organisation in found:
                if organisation is not None:
                    await store.move(tx, organisation.id, name=organisation.name, path=organisation.path)

    async def _responsible(self, actor: Actor, org_id: OrgId) -> Organisation:
        return within(await self.place(org_id), org_id, scope_of(actor, Action.MANAGE_BREACHES))

    def _checked(self, told: Told) -> Told:
        now = self.clock.now()
        until = told.until_at or told.from_at
        if not now - OLDEST <= told.from_at <= until <= now + AHEAD:
            raise Invalid("when it happened lies in the last ten years, and ends after it began", "look at the days")
        if not told.from_at <= told.found_at <= now + AHEAD:
            raise Invalid("it was found after it began and before now", "look at the day and the hour")
        if not told.kinds:
            raise Invalid("a breach is about some kind of information", "choose at least one")
        if told.affected is not None and not 0 <= told.affected <= MOST_AFFECTED:
            raise Invalid(f"affected people are 0 to {MOST_AFFECTED}", "leave it open while nobody knows")
        return replace(
            told,
            title=one_line(told.title, "a title", most=100),
            what=paragraphs(told.what, "what happened"),
            kinds=tuple(dict.fromkeys(told.kinds)),
            cause=paragraphs(told.cause, "a cause", least=0),
            harm=paragraphs(told.harm, "the harm", least=0),
            measures=paragraphs(told.measures, "measures", least=0),
            advice=paragraphs(told.advice, "advice", least=0),
            contact=one_line(told.contact, "a contact", most=200),
        )

    async def _get(self, tx: Tx, actor: Actor, breach_id: str, action: Action, *, lock: bool = False) -> Breach:
        found = await store.one(tx, breach_id, seen_by=scope_of(actor, action), lock=lock)
        if found is None:
            raise NotFound("there is no such breach", "look for it in the list")
        return found


def _seen(scope: Scope) -> tuple[str, dict[str, object]]:
    """The scope as a condition on rows of the ledger, with its values."""
    if scope.sees_all:
        return "1", {}
    paths = {f"path{number}": area.org_path for number, area in enumerate(scope.areas) if area.is_whole}
    return " OR ".join(f"startsWith(org, {{{name}:String}})" for name in paths) or "0", dict(paths)


def _told(one: Breach) -> str:
    affected = "unknown" if one.told.affected is None else str(one.told.affected)
    return f"{one.told.title}, {one.org_name}, {', '.join(one.told.kinds)}, affected {affected}"
