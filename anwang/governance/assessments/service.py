"""Use cases on impact assessments (domain.md G18).

A draft is written by some and approved by another; what is approved never changes. A changed assessment is a new
edition of it, which supersedes the one before when it is approved, so that there is an approved one all the time. None
is ever deleted: the law asks for three years at least.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date

from anwang.governance.actions import Action
from anwang.governance.assessments import store
from anwang.governance.assessments.model import (
    IN_FORCE,
    Approval,
    Assessment,
    AssessmentId,
    AssessmentState,
    AssessmentStep,
    Said,
    after,
    latest_review,
)
from anwang.governance.duties import store as duties_store
from anwang.governance.duties.service import Write
from anwang.governance.model import Actor, Organisation, Page, scope_of, within
from anwang.governance.words import one_line, paragraphs
from anwang.kernel.errors import Conflict, Denied, Invalid, NotFound
from anwang.kernel.ids import OrgId, uuid7
from anwang.kernel.times import civil_day
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.stores.state import State, Tx

log = logs.get(__name__)

TURN_SECONDS = 3600.0
MOST_WRITERS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an assessment shall say; see Said. subject: "" for the name of the video system."""

    subject: str
    org_id: OrgId
    system_id: str | None
    necessity: str
    risks: str
    measures: str
    conclusion: str
    made_on: date
    review_by: date


@dataclass(slots=True, kw_only=True)
class Assessments:
    """place: an organisation, None for an unknown one. overdue: how many were at the last count."""

    state: State
    clock: Clock
    write: Write
    place: Callable[[OrgId], Awaitable[Organisation | None]]
    overdue: int = 0

    def today(self) -> date:
        """In China."""
        return civil_day(self.clock.now())

    async def add(self, actor: Actor, wanted: Wanted) -> Assessment:
        """Write a draft. Raises Denied, NotFound (organisation, video system), Invalid, Unavailable."""
        organisation = await self._organisation(actor, wanted)
        made_id = self._id()
        async with self.state.begin() as tx:
            said = await self._said(tx, actor, organisation, wanted)
            made = self._draft(actor, said, made_id, made_id, 1)
            await store.add(tx, made)
            await self.write(actor, Action.MANAGE_DUTIES, (made.id,), f"impact assessment written: {_told(made)}")
        return made

    async def change(self, actor: Actor, assessment_id: str, wanted: Wanted, *, version: int) -> Assessment:
        """A draft says something else. version: of what was read. Raises as `add`, and Conflict."""
        organisation = await self._organisation(actor, wanted)
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, assessment_id, Action.MANAGE_DUTIES, version=version)
            if found.state is not AssessmentState.DRAFT:
                raise Conflict("what was approved does not change", "write a new edition of this assessment")
            _check_unit(found, wanted)
            writers = tuple(dict.fromkeys((*found.writers, actor.user_id)))
            if len(writers) > MOST_WRITERS:
                raise Conflict(f"at most {MOST_WRITERS} people write in one assessment", "approve it first")
            made = replace(
                found,
                said=await self._said(tx, actor, organisation, wanted),
                writers=writers,
                author=actor.username,
                version=version + 1,
            )
            await store.save(tx, made)
            await self.write(actor, Action.MANAGE_DUTIES, (made.id,), f"impact assessment changed: {_told(made)}")
        return made

    async def revise(self, actor: Actor, assessment_id: str, wanted: Wanted) -> Assessment:
        """Write the draft of a new edition of the approved one. Raises as `add`, and Conflict (it is not the approved
        one; there is a draft already).
        """
        organisation = await self._organisation(actor, wanted)
        async with self.state.begin() as tx:
            scope = scope_of(actor, Action.MANAGE_DUTIES)
            found = await store.one(tx, assessment_id, seen_by=scope, lock=True)
            if found is None:
                raise _unknown()
            if found.state is not AssessmentState.APPROVED:
                raise Conflict("only the approved edition has a new one after it", "look for it in the list")
            if await store.edition_in(tx, found.first_id, AssessmentState.DRAFT, seen_by=scope) is not None:
                raise Conflict("a new edition of this assessment is being written", "change that draft")
            _check_unit(replace(found, edition=found.edition + 1), wanted)
            said = await self._said(tx, actor, organisation, wanted)
            made = self._draft(actor, said, self._id(), found.first_id, found.edition + 1)
            await store.add(tx, made)
            told = f"impact assessment, new edition written: {_told(made)}"
            await self.write(actor, Action.MANAGE_DUTIES, (made.id, found.id), told)
        return made

    async def approve(self, actor: Actor, assessment_id: str, *, note: str, version: int) -> Assessment:
        """The second person's yes; the edition before is superseded. version: of what was read.

        Raises Denied (one wrote in it oneself), NotFound, Conflict, Invalid, Unavailable.
        """
        if actor.service:
            raise Denied("an API token may not approve assessments", "sign in with user name and password")
        said = paragraphs(note, "the note", least=0, most=1000)
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, assessment_id, Action.APPROVE, version=version)
            state = after(found.state, AssessmentStep.APPROVE)
            if actor.user_id in found.writers:
                raise Denied("who wrote in an assessment does not approve it", "ask another person")
            scope = scope_of(actor, Action.APPROVE)
            before = await store.edition_in(tx, found.first_id, AssessmentState.APPROVED, seen_by=scope, lock=True)
            if before is not None:
                over = after(before.state, AssessmentStep.SUPERSEDE)
                await store.save(tx, replace(before, state=over, version=before.version + 1))
            approval = Approval(at=self.clock.now(), by=actor.username, note=said)
            made = replace(found, state=state, approval=approval, version=version + 1)
            await store.save(tx, made)
            objects = (made.id,) if before is None else (made.id, before.id)
            words = ", supersedes the one before" if before else ""
            await self.write(
                actor, Action.APPROVE, objects, f"impact assessment approved{words}: {_told(made)}; {said}"
            )
        return made

    async def one(self, actor: Actor, assessment_id: str) -> Assessment:
        """Raises Denied, NotFound."""
        async with self.state.read() as tx:
            return await self._get(tx, actor, assessment_id, Action.READ_DUTIES)

    async def page(self, actor: Actor, *, first_id: str, cursor: str, limit: int) -> Page[Assessment]:
        """Those in the actor's scope, overdue ones first. first_id: editions of this one only; "" for all.

        Raises Denied, Invalid.
        """
        scope, today = scope_of(actor, Action.READ_DUTIES), self.today()
        place = _unpacked(cursor)
        async with self.state.read() as tx:
            found = await store.page(tx, seen_by=scope, today=today, first_id=first_id, after=place, limit=limit + 1)
        return Page.cut(found, limit, lambda each: _packed(store.rank_of(each, today)))

    async def organisations_changed(self) -> None:
        """The registry may have renamed or moved organisations: the assessments follow."""
        async with self.state.read() as tx:
            used = await store.organisations(tx)
        found = [await self.place(each) for each in used]
        async with self.state.begin() as tx:
            for organisation in found:
                if organisation is not None:
                    await store.move(tx, organisation.id, name=organisation.name, path=organisation.path)

    async def turn(self) -> None:
        """Count what is overdue."""
        async with self.state.read() as tx:
            self.overdue = await store.overdue(tx, self.today())

    async def run(self) -> None:
        """Turn after turn, until cancelled."""
        while True:
            try:
                await self.turn()
            except Exception as err:  # the next turn tries again
                log.error("the turn of assessments failed", error=str(err))
            await self.clock.sleep(TURN_SECONDS)

    def _id(self) -> AssessmentId:
        return AssessmentId(uuid7(self.clock.micros() // 1000))

    def _draft(
        self, actor: Actor, said: Said, made_id: AssessmentId, first_id: AssessmentId, edition: int
    ) -> Assessment:
        return Assessment(
            id=made_id,
            first_id=first_id,
            edition=edition,
            said=said,
            state=AssessmentState.DRAFT,
            writers=(actor.user_id,),
            author=actor.username,
            created_at=self.clock.now(),
        )

    async def _organisation(self, actor: Actor, wanted: Wanted) -> Organisation:
        return within(await self.place(wanted.org_id), wanted.org_id, scope_of(actor, Action.MANAGE_DUTIES))

    async def _said(self, tx: Tx, actor: Actor, organisation: Organisation, wanted: Wanted) -> Said:
        system = None
        if wanted.system_id is not None:
            system = await duties_store.system(tx, wanted.system_id, seen_by=scope_of(actor, Action.MANAGE_DUTIES))
            if system is None:
                raise NotFound("there is no such video system", "it may have been removed")
            if system.org_id != organisation.id:
                raise Invalid("this video system belongs to another organisation", "choose the one that it belongs to")
        if not IN_FORCE <= wanted.made_on <= self.today():
            raise Invalid("the day of an assessment lies between 2021-11-01 and today", "write it as 2026-11-30")
        if not wanted.made_on < wanted.review_by <= latest_review(wanted.made_on):
            raise Invalid("the next review comes after the assessment, three years later at most", "look at both days")
        return Said(
            subject=one_line(wanted.subject or (system.name if system else ""), "a subject", most=200),
            org_id=organisation.id,
            org_name=organisation.name,
            org_path=organisation.path,
            system_id=system.id if system else None,
            system_name=system.name if system else "",
            necessity=paragraphs(wanted.necessity, "necessity"),
            risks=paragraphs(wanted.risks, "risks"),
            measures=paragraphs(wanted.measures, "measures"),
            conclusion=paragraphs(wanted.conclusion, "a conclusion", most=2000),
            made_on=wanted.made_on,
            review_by=wanted.review_by,
        )

    async def _get(
        self, tx: Tx, actor: Actor, assessment_id: str, action: Action, *, version: int | None = None
    ) -> Assessment:
        """version: of what was read, where it is about to be changed."""
        found = await store.one(tx, assessment_id, seen_by=scope_of(actor, action), lock=version is not None)
        if found is None:
            raise _unknown()
        if version not in (None, found.version):
            raise Conflict("someone else has changed this assessment meanwhile", "read it again, then change it")
        return found


def _unknown() -> NotFound:
    return NotFound("there is no such impact assessment", "look for it in the list")


def _check_unit(one: Assessment, wanted: Wanted) -> None:
    """Editions of one assessment lie in one organisation, so that who sees one sees all."""
    if one.edition > 1 and wanted.org_id != one.said.org_id:
        raise Conflict("a new edition stays with its organisation", "write another assessment for the other one")


def _packed(rank: store.Rank) -> str:
    group, day, key = rank
    return f"{group}/{day.isoformat()}/{key}"


def _unpacked(cursor: str) -> store.Rank | None:
    """Raises Invalid."""
    if not cursor:
        return None
    try:
        group, day, key = cursor.split("/")
        if group not in ("0", "1", "2", "3"):
            raise ValueError(group)
        return int(group), date.fromisoformat(day), key
    except ValueError:
        raise Invalid("this cursor is not one of ours", "begin without one") from None


def _told(one: Assessment) -> str:
    said = one.said
    return (
        f"{said.subject}, edition {one.edition}, {said.org_name}, made on {said.made_on.isoformat()}, "
        f"review by {said.review_by.isoformat()}"
    )
