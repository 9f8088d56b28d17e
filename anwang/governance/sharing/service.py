"""Use cases on sharing agreements (domain.md G19).

A draft is written by one person and approved by another; what is approved never changes, so that what the second
person has read is what holds. Approving makes its accounts partners for good: when the agreement is over, they can do
nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Protocol

from anwang.governance import store as accounts_store
from anwang.governance.actions import Action
from anwang.governance.duties.service import Write
from anwang.governance.ledger import Asked, LedgerPage, Place
from anwang.governance.model import CONTENT, Actor, Organisation, Page, User, scope_of, within
from anwang.governance.reasons import PurposeKind
from anwang.governance.scopes import EVERYTHING, Area
from anwang.governance.sharing import store
from anwang.governance.sharing.model import (
    SECOND,
    Account,
    Agreement,
    AgreementState,
    AgreementStep,
    Done,
    Said,
    after,
)
from anwang.governance.terms import SHAREABLE, AgreementId
from anwang.governance.words import one_line, paragraphs
from anwang.kernel.errors import Conflict, Denied, Invalid, NotFound
from anwang.kernel.ids import OrgId, UserId, uuid7
from anwang.kernel.times import BEIJING, civil_day
from anwang.runtime.clock import Clock
from anwang.stores.state import State, Tx

CONTENT_SHARED = SHAREABLE & CONTENT
MOST_DAYS = 366
AHEAD_DAYS = 366
MOST_ACCOUNTS = 20
MOST_WORDS = 200
MOST_PULLS = 10_000
"""That one file lists."""


class ReadLedger(Protocol):
    """`Governance.read_ledger`."""

    async def __call__(self, actor: Actor, *, cursor: Place | None, limit: int, asked: Asked | None) -> LedgerPage:
        """Rows within the actor's scope, latest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an agreement shall say; see Said. from_on, until_on: civil days, both included."""

    number: str
    department: str
    unit: str
    contact: str
    legal_basis: str
    kind: PurposeKind
    purpose: str
    org_id: OrgId
    departments: frozenset[str] = frozenset()
    classes: frozenset[int] = frozenset()
    kinds: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    accounts: frozenset[UserId]
    actions: frozenset[Action]
    fields: frozenset[str]
    from_on: date
    until_on: date


@dataclass(slots=True, kw_only=True)
class Sharing:
    """place: an organisation, None for an unknown one. fields: what may leave of a point, with labels. changed: what
    these accounts may do by an agreement has changed. ledger: see ReadLedger.
    """

    state: State
    clock: Clock
    write: Write
    place: Callable[[OrgId], Awaitable[Organisation | None]]
    fields: Mapping[str, str]
    changed: Callable[[str, Iterable[UserId]], Awaitable[None]]
    ledger: ReadLedger

    async def add(self, actor: Actor, wanted: Wanted) -> Agreement:
        """Write a draft. Raises Denied, NotFound (organisation, account), Invalid, Unavailable."""
        said = await self._said(actor, wanted)
        async with self.state.begin() as tx:
            made = Agreement(
                id=AgreementId(uuid7(self.clock.micros() // 1000)),
                said=said,
                accounts=await self._accounts(tx, actor, wanted.accounts),
                stored=AgreementState.DRAFT,
                written_by=actor.user_id,
                writer=actor.username,
                created_at=self.clock.now(),
            )
            await store.add(tx, made)
            await self.write(actor, Action.MANAGE_DUTIES, (made.id,), f"sharing agreement written: {_told(made)}")
        return made

    async def change(self, actor: Actor, agreement_id: str, wanted: Wanted, *, version: int) -> Agreement:
        """A draft says something else. version: of what was read. Raises as `add`, and Conflict."""
        said = await self._said(actor, wanted)
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, agreement_id, Action.MANAGE_DUTIES, version=version)
            if found.stored is not AgreementState.DRAFT:
                raise Conflict("what was approved does not change", "end this agreement and write another one")
            made = replace(
                found,
                said=said,
                accounts=await self._accounts(tx, actor, wanted.accounts),
                written_by=actor.user_id,
                writer=actor.username,
                version=version + 1,
            )
            await store.save(tx, made)
            await self.write(actor, Action.MANAGE_DUTIES, (made.id,), f"sharing agreement changed: {_told(made)}")
        return made

    async def step(self, actor: Actor, agreement_id: str, step: AgreementStep, *, note: str, version: int) -> Agreement:
        """Approve, suspend, resume or end it; what its accounts have open ends at once. note: why.

        To approve and to resume take the right to approve, and another person than who wrote it.
        Raises Denied, NotFound, Conflict (no such step now; changed meanwhile; an account is another's), Unavailable.
        """
        if step in (AgreementStep.BEGIN, AgreementStep.LAPSE):
            raise Invalid("an agreement begins and lapses by itself", "choose another step")
        action = Action.APPROVE if step in SECOND else self._may_stop(actor)
        if actor.service and step in SECOND:
            raise Denied("an API token may not approve agreements", "sign in with user name and password")
        said = paragraphs(note, "the note", least=0, most=1000)
        now = self.clock.now()
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, agreement_id, action, version=version)
            before = found.state(now)
            state = after(before, step)
            if step in SECOND:
                await self._check_second(tx, actor, found, now)
            done = Done(step=step, at=now, by=actor.username, note=said)
            made = replace(found, stored=state, steps=(*found.steps, done), version=version + 1)
            await store.save(tx, made)
            if step is AgreementStep.APPROVE:
                for account in found.accounts:
                    await accounts_store.change_user(tx, account.id, is_partner=True)
            await self.write(actor, action, (made.id,), f"sharing agreement: {step}, {_told(made)}; {said}")
        if before is not AgreementState.DRAFT or step is AgreementStep.APPROVE:
            await self.changed(made.id, [each.id for each in made.accounts])
        return made

    @staticmethod
    def _may_stop(actor: Actor) -> Action:
        """Whoever may give rights may take them away, and whoever keeps the register, too. Raises Denied."""
        if actor.may(Action.APPROVE):
            return Action.APPROVE
        scope_of(actor, Action.MANAGE_DUTIES)
        return Action.MANAGE_DUTIES

    async def _check_second(self, tx: Tx, actor: Actor, one: Agreement, now: datetime) -> None:
        if one.written_by == actor.user_id:
            raise Denied("who wrote an agreement does not approve it", "ask another person")
        if now >= one.said.ends_at:
            raise Conflict("the last day of this agreement is over", "write another one")
        ids = [each.id for each in one.accounts]
        there = await accounts_store.service_accounts_of(tx, ids, seen_by=EVERYTHING)
        if len(there) != len(ids):
            raise Conflict("an account of this agreement is not there any more", "change the draft")
        taken = await store.taken(tx, ids, start=one.said.starts_at, end=one.said.ends_at, besides=one.id)
        if taken:
            username, number = taken[0]
            raise Conflict(
                f"account {username} works for agreement {number} on some of these days",
                "give each agreement accounts of its own, or end the other one",
            )

    async def one(self, actor: Actor, agreement_id: str) -> Agreement:
        """Raises Denied, NotFound."""
        async with self.state.read() as tx:
            return await self._get(tx, actor, agreement_id, Action.READ_DUTIES)

    async def page(self, actor: Actor, *, cursor: str, limit: int) -> Page[Agreement]:
        """Those whose points lie in the actor's scope, latest first. Raises Denied."""
        scope = scope_of(actor, Action.READ_DUTIES)
        async with self.state.read() as tx:
            found = await store.page(tx, seen_by=scope, before=cursor, limit=limit + 1)
        return Page.cut(found, limit, lambda each: each.id)

    async def accounts(self, actor: Actor, *, cursor: str, limit: int) -> Page[User]:
        """Programs' accounts in the actor's scope, which an agreement may name. Raises Denied."""
        scope = scope_of(actor, Action.MANAGE_DUTIES)
        async with self.state.read() as tx:
            found = await accounts_store.service_accounts(tx, seen_by=scope, after=cursor, limit=limit + 1)
        return Page.cut(found, limit, lambda each: each.username)

    async def pulls(self, actor: Actor, agreement_id: str, *, cursor: Place | None, limit: int) -> LedgerPage:
        """What its accounts were answered, latest first: rows of the ledger. Raises Denied, NotFound, Unavailable."""
        scope_of(actor, Action.READ_LEDGER)
        found = await self.one(actor, agreement_id)
        return await self.ledger(actor, cursor=cursor, limit=limit, asked=Asked(kind="pulled", object=found.id))

    async def organisations_changed(self) -> None:
        """The registry may have renamed or moved organisations: the agreements follow."""
        async with self.state.read() as tx:
            used = await store.organisations(tx)
        found = [await self.place(each) for each in used]
        moved: list[tuple[AgreementId, UserId]] = []
        async with self.state.begin() as tx:
            for organisation in found:
                if organisation is not None:
                    moved += await store.move(tx, organisation.id, name=organisation.name, path=organisation.path)
        for agreement_id, user_id in moved:
            await self.changed(agreement_id, [user_id])

    async def _accounts(self, tx: Tx, actor: Actor, ids: Collection[UserId]) -> tuple[Account, ...]:
        if not 1 <= len(ids) <= MOST_ACCOUNTS:
            raise Invalid(f"an agreement names 1 to {MOST_ACCOUNTS} service accounts", "choose those of the partner")
        found = await accounts_store.service_accounts_of(tx, ids, seen_by=scope_of(actor, Action.MANAGE_DUTIES))
        if len(found) != len(ids):
            raise NotFound("there is no such service account", "choose one from the list")
        return tuple(Account(each.id, each.username) for each in found)

    async def _said(self, actor: Actor, wanted: Wanted) -> Said:
        scope = scope_of(actor, Action.MANAGE_DUTIES)
        organisation = within(await self.place(wanted.org_id), wanted.org_id, scope)
        words = (wanted.departments, wanted.kinds, wanted.zones)
        if any(len(chosen) > MOST_WORDS or not all(0 < len(word) <= 64 for word in chosen) for chosen in words):
            raise Invalid(f"an agreement names at most {MOST_WORDS} words of 1 to 64 characters each")
        if not wanted.actions or not wanted.actions <= SHAREABLE:
            raise Invalid("an agreement is about points, live pictures or recordings", "choose what may be pulled")
        if wanted.kind is PurposeKind.MAINTENANCE and wanted.actions & CONTENT_SHARED:
            raise Invalid("system maintenance gives no sight of content", "choose another purpose")
        unknown = sorted(wanted.fields - self.fields.keys())
        if unknown:
            raise Invalid(f"{unknown[0][:64]!r} is no field that may be shared", "choose fields from the list")
        starts_at, ends_at = self._days(wanted.from_on, wanted.until_on)
        return Said(
            number=one_line(wanted.number, "a document number", most=100),
            department=one_line(wanted.department, "a department", most=100),
            unit=one_line(wanted.unit, "a unit", most=100),
            contact=one_line(wanted.contact, "a contact", most=200),
            legal_basis=one_line(wanted.legal_basis, "a legal basis", most=300),
            kind=wanted.kind,
            purpose=paragraphs(wanted.purpose, "a purpose", most=1000),
            org_id=organisation.id,
            org_name=organisation.name,
            area=Area(organisation.path, wanted.departments, wanted.classes, wanted.kinds, wanted.zones),
            actions=wanted.actions,
            fields=wanted.fields,
            starts_at=starts_at,
            ends_at=ends_at,
        )

    def _days(self, first: date, last: date) -> tuple[datetime, datetime]:
        today = civil_day(self.clock.now())
        if not today <= last or not today - timedelta(days=MOST_DAYS) <= first <= today + timedelta(days=AHEAD_DAYS):
            raise Invalid("the days of an agreement lie too far away, or are over", "write them as 2026-11-30")
        if not 0 <= (last - first).days < MOST_DAYS:
            raise Invalid("an agreement lasts a year at most, and ends after it begins", "it can be made again then")
        return _midnight(first), _midnight(last + timedelta(days=1))

    async def _get(
        self, tx: Tx, actor: Actor, agreement_id: str, action: Action, *, version: int | None = None
    ) -> Agreement:
        """version: of what was read, where it is about to be changed."""
        found = await store.one(tx, agreement_id, seen_by=scope_of(actor, action), lock=version is not None)
        if found is None:
            raise NotFound("there is no such sharing agreement", "look for it in the list")
        if version not in (None, found.version):
            raise Conflict("someone else has changed this agreement meanwhile", "read it again, then change it")
        return found


def last_day(said: Said) -> date:
    """The civil day that is its last."""
    return civil_day(said.ends_at - timedelta(microseconds=1))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=BEIJING)


def _told(one: Agreement) -> str:
    said = one.said
    words: Sequence[str] = (
        f"{said.number} with {said.department}, {said.unit}",
        said.area.told(),
        f"actions {','.join(sorted(said.actions))}",
        f"fields {','.join(sorted(said.fields)) or 'none'}",
        f"accounts {','.join(each.username for each in one.accounts)}",
        f"{civil_day(said.starts_at).isoformat()} to {last_day(said).isoformat()}",
    )
    return "; ".join(words)
