"""Use cases on approvals: a second person's yes to what the first one asks for, and to nothing else (G03, G04).

Who may decide: whoever holds `approve` over the organisation above all the objects, and is not who asked. About old
content (G05) a senior decides: somebody of an organisation above the requester's, or of the city itself, above which
there is none. An urgent request may be used at once and must be decided within its time; when it is not, the account is
suspended. A refusal ends what was opened with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from anwang.governance import store as accounts
from anwang.governance.actions import Action
from anwang.governance.cases import store
from anwang.governance.cases.purposes import Write
from anwang.governance.ledger import Entry, Ledger
from anwang.governance.model import Actor, Page, decide, scope_of
from anwang.governance.reasons import (
    AGED,
    AWAITED,
    FOUR_EYES,
    NEVER_URGENT,
    NEXT,
    Approval,
    ApprovalId,
    ApprovalState,
    Customs,
    Step,
    after,
    asked_as,
    lack_of_purpose,
)
from anwang.governance.scopes import CITY_PATH, NOTHING, Object, Scope, above
from anwang.governance.words import one_line
from anwang.kernel.errors import Conflict, Denied, Invalid, NotFound, PurposeNeeded
from anwang.kernel.ids import SessionId, UserId, uuid7
from anwang.kernel.times import Span
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.stores.state import State

log = logs.get(__name__)

MOST_OBJECTS = 100
LONGEST_US = 31 * 24 * 3_600_000_000
BATCH = 100
LAPSING = [state for state, step in NEXT if step is Step.LAPSE]
OVERDUE = "an urgent look was not made good in time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for. objects: the points, with the paths of their owners. span: of the content."""

    action: Action
    objects: Sequence[Object]
    span: Span
    why: str
    is_urgent: bool


@dataclass(slots=True, kw_only=True)
class Approvals:
    """valid: how long a request waits and its approval may be used. urgent: until an urgent one must be made good.

    suspended: called with the account whose sessions end. ended: called with what may no longer be used.
    """

    state: State
    clock: Clock
    ledger: Ledger
    valid: timedelta
    urgent: timedelta
    customs: Customs
    write: Write
    suspended: Callable[[UserId, Sequence[tuple[SessionId, bytes]]], Awaitable[None]]
    ended: Callable[[ApprovalId], Awaitable[None]]

    async def ask(self, actor: Actor, wanted: Wanted) -> Approval:
        """Ask for a second person. Raises Invalid, NotFound, Denied, PurposeNeeded, Unavailable."""
        now = self.clock.now()
        is_aged = wanted.action in AGED and self.customs.is_aged(wanted.span, now)
        if wanted.action not in FOUR_EYES and not (is_aged and wanted.action is asked_as(wanted.action)):
            names = ", ".join(sorted(FOUR_EYES))
            raise Invalid(f"{wanted.action.value!r} needs no second person", f"ask for one of: {names}")
        if wanted.is_urgent and wanted.action in NEVER_URGENT:
            raise Invalid("what is deleted cannot be made good afterwards", "wait for the second person")
        objects = {each.id: each for each in wanted.objects}
        if not 1 <= len(objects) <= MOST_OBJECTS:
            raise Invalid(f"an approval is for 1 to {MOST_OBJECTS} points", "ask for them in parts")
        if not 0 < wanted.span.end - wanted.span.start <= LONGEST_US:
            raise Invalid("an approval is for footage of at most 31 days", "ask for it in parts")
        for each in objects.values():
            decide(actor, wanted.action, each, now=now, span=wanted.span).enforce()
        purpose = actor.purpose
        if purpose is None or lack_of_purpose(purpose, now) is not None:
            raise PurposeNeeded("an approval is asked for a purpose", "open one with its case number and unit")
        made = Approval(
            id=ApprovalId(uuid7(self.clock.micros() // 1000)),
            user_id=actor.user_id,
            username=actor.username,
            user_unit=actor.org_name,
            user_path=actor.org_path,
            action=wanted.action,
            objects=tuple(objects),
            org_path=above([each.org_path for each in objects.values()]),
            span=wanted.span,
            purpose=purpose,
            why=one_line(wanted.why, "the reason", most=500),
            state=ApprovalState.URGENT if wanted.is_urgent else ApprovalState.OPEN,
            is_urgent=wanted.is_urgent,
            is_aged=is_aged,
            created_at=now,
            expires_at=now + (self.urgent if wanted.is_urgent else self.valid),
        )
        urgent = ", urgent" if made.is_urgent else ""
        told = f"asked for {made.action}{urgent} of {made.span.told()}: {made.why}"
        async with self.state.begin() as tx:
            await store.add_approval(tx, made)
            await self.write(actor, "approval", made.action, (made.id, *made.objects), told)
        return made

    async def decide(self, actor: Actor, approval_id: str, *, yes: bool, reason: str) -> Approval:
        """Be the second person. Raises NotFound, Denied, Conflict, Invalid, Unavailable."""
        scope = scope_of(actor, Action.APPROVE)
        if actor.service:
            raise Denied("an API token may not be the second person", "sign in with user name and password")
        said = one_line(reason, "the reason", least=0 if yes else 1, most=500)
        now = self.clock.now()
        async with self.state.begin() as tx:
            found = await store.approval(tx, approval_id, seen_by=scope, user_id="", lock=True)
            if found is None:
                raise _unknown()
            if found.user_id == actor.user_id:
                raise Denied("nobody approves what they asked for themselves", "another person must decide")
            if found.is_aged and not _is_senior(actor, found):
                raise Denied(
                    "a senior decides about content as old as this", "it takes somebody of a unit above theirs"
                )
            if found.state in (ApprovalState.OPEN, ApprovalState.URGENT) and now >= found.expires_at:
                raise Conflict("this request's time has run out", "it can be asked for again")
            changed = replace(
                found,
                state=after(found.state, Step.GRANT if yes else Step.REFUSE),
                decided_at=now,
                decided_by=actor.username,
                decision=said,
                expires_at=now + self.valid if yes else now,
            )
            await store.save_approval(tx, changed)
            told = f"{'approved' if yes else 'refused'} {found.action} for {found.username}: {said}".rstrip(": ")
            await self.write(actor, "approval", found.action, (found.id, *found.objects), told)
        if not yes:
            await self.ended(found.id)
        return changed

    async def withdraw(self, actor: Actor, approval_id: str) -> Approval:
        """One does not want it any more. Raises NotFound, Conflict, Unavailable."""
        async with self.state.begin() as tx:
            found = await store.approval(tx, approval_id, seen_by=NOTHING, user_id=actor.user_id, lock=True)
            if found is None:
                raise _unknown()
            changed = replace(found, state=after(found.state, Step.WITHDRAW), expires_at=self.clock.now())
            await store.save_approval(tx, changed)
            await self.write(actor, "approval", found.action, (found.id, *found.objects), "withdrawn")
        return changed

    async def one(self, actor: Actor, approval_id: str) -> Approval:
        """One's own, or one that the actor may decide. Raises NotFound."""
        async with self.state.read() as tx:
            found = await store.approval(tx, approval_id, seen_by=_decides(actor), user_id=actor.user_id)
        if found is None:
            raise _unknown()
        return found

    async def page(
        self,
        actor: Actor,
        *,
        states: Collection[ApprovalState],
        cursor: str,
        limit: int,
        is_inbox: bool = False,
    ) -> Page[Approval]:
        """One's own and those of units whose requests the actor decides, latest first. is_inbox: only those that the
        actor can decide.
        """
        async with self.state.read() as tx:
            found = await store.approvals_page(
                tx,
                seen_by=_decides(actor),
                user_id=actor.user_id,
                states=states,
                before=cursor,
                limit=limit + 1,
                senior_path=actor.org_path if is_inbox else None,
            )
        return Page.cut(found, limit, lambda each: each.id)

    def may_decide(self, actor: Actor, one: Approval) -> bool:
        """Whether the actor can be the second person, now."""
        is_fit = one.user_id != actor.user_id and (not one.is_aged or _is_senior(actor, one))
        return one.state in AWAITED and is_fit and _decides(actor).covers_path(one.org_path)

    async def matching(self, actor: Actor, action: Action, objects: Collection[str], span: Span) -> Approval | None:
        """What the actor may use for exactly this."""
        now = self.clock.now()
        async with self.state.read() as tx:
            found = await store.usable(tx, actor.user_id, asked_as(action), now)
        asked = frozenset(objects)
        is_aged = action in AGED and self.customs.is_aged(span, now)
        fit = (
            each
            for each in found
            if each.covers(action, asked, span, purpose=actor.purpose, now=now) and (each.is_aged or not is_aged)
        )
        return next(fit, None)

    async def was_refused(
        self, user_id: UserId, action: Action, object_id: str, span: Span, *, since: datetime
    ) -> bool:
        """Whether somebody refused afterwards what that person did in urgency since a moment."""
        async with self.state.read() as tx:
            found = await store.refused(tx, user_id, action, since)
        return any(
            object_id in each.objects and each.span.start < span.end and span.start < each.span.end for each in found
        )

    async def count_use(self, approval: Approval) -> bool:
        """A look was opened with it. Whether it may be used still: a refusal may have come in between."""
        async with self.state.begin() as tx:
            return await store.count_use(tx, approval.id)

    async def lapse(self) -> int:
        """End what has run out of time; suspend whose urgent looks nobody made good. How many ended."""
        now = self.clock.now()
        overdue: list[Approval] = []
        ended: dict[UserId, list[tuple[SessionId, bytes]]] = {}
        async with self.state.begin() as tx:
            found = await store.lapsed(tx, LAPSING, now, BATCH)
            for each in found:
                lapsed = replace(each, state=after(each.state, Step.LAPSE))
                await store.save_approval(tx, lapsed)
                if lapsed.state is ApprovalState.OVERDUE:
                    overdue.append(lapsed)
            for each in overdue:
                await store.suspend(tx, each.user_id, OVERDUE)
                ended[each.user_id] = ended.get(each.user_id, []) + await accounts.end_sessions(
                    tx, now=now, by="suspended", user_id=each.user_id
                )
            if overdue:
                await self.ledger.append(*map(_suspension, overdue))
        for user_id, sessions in ended.items():
            log.error("an account was suspended", user=user_id, why=OVERDUE)
            await self.suspended(user_id, sessions)
        return len(found)


def _suspension(approval: Approval) -> Entry:
    return Entry(
        kind="alert",
        name="anwang",
        action=Action.MANAGE_USERS.value,
        objects=(approval.user_id, approval.id),
        approval=approval.id,
        detail=f"suspended {approval.username}: {OVERDUE}",
    )


def _is_senior(actor: Actor, one: Approval) -> bool:
    is_above = one.user_path != actor.org_path and one.user_path.startswith(actor.org_path)
    return is_above or actor.org_path == CITY_PATH


def _decides(actor: Actor) -> Scope:
    return scope_of(actor, Action.APPROVE) if actor.may(Action.APPROVE) else NOTHING


def _unknown() -> NotFound:
    return NotFound("there is no such request", "it may have been asked for by somebody outside of your scope")
