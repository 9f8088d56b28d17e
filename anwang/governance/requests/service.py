"""Use cases on requests and complaints (domain.md G14).

One officer handles a request, and another one decides whether the copy is handed over. Name and contact of who asks are
sealed as secrets are, opened for the handler alone, each time with a row in the ledger, and deleted a while after the
end. Nobody's face is looked for: the handler goes by the place and the time that were said.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Protocol

import msgspec

from anwang.governance.actions import Action
from anwang.governance.model import Actor, Organisation, Page, decide, scope_of, within
from anwang.governance.reasons import PurposeKind
from anwang.governance.requests import store
from anwang.governance.requests.model import (
    PURPOSES,
    Asker,
    Channel,
    Ground,
    Place,
    Refusal,
    Request,
    RequestAct,
    RequestId,
    RequestKind,
    RequestState,
    WorkingDays,
    after,
    check_places,
    number_of,
)
from anwang.governance.scopes import Object
from anwang.governance.words import one_line
from anwang.kernel.errors import Conflict, Denied, Invalid, NotFound
from anwang.kernel.ids import OrgId, PointId, uuid7
from anwang.kernel.times import Span, civil_day
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.runtime.secrets import Sealer
from anwang.stores.state import State as Database
from anwang.stores.state import Tx

log = logs.get(__name__)

TURN_SECONDS = 3600.0
OLDEST = timedelta(days=366)
"""How long ago one may have been received when it is entered."""

Write = Callable[[Actor, Action, Sequence[str], str], Awaitable[None]]
"""Writes a row of the ledger: actor, action, objects, detail."""
Owned = Callable[[Sequence[PointId]], Awaitable[dict[PointId, Object]]]


class Packages(Protocol):
    """What is known of export packages; `media` fulfils it."""

    async def redacted(self, actor: Actor, export_id: str) -> Sequence[tuple[str, Span]] | None:
        """Which points and when a redacted copy that is ready shows; None where it is none, or not ready. Raises
        NotFound, Denied.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was received; see Request."""

    kind: RequestKind
    org_id: OrgId
    received_on: date
    channel: Channel
    ground: Ground | None
    what: str
    place: str
    start_at: datetime | None
    end_at: datetime | None
    asker: Asker


@dataclass(slots=True, kw_only=True)
class Requests:
    """days: working days until one is overdue. kept: how long it is known who asked, after the end. overdue: how many
    were at the last count.
    """

    state: Database
    clock: Clock
    sealer: Sealer
    write: Write
    place: Callable[[OrgId], Awaitable[Organisation | None]]
    owned: Owned
    packages: Packages
    calendar: WorkingDays
    days: int
    kept: timedelta
    overdue: int = 0

    def today(self) -> date:
        """In China."""
        return civil_day(self.clock.now())

    async def enter(self, actor: Actor, wanted: Wanted) -> Request:
        """Register what came; who enters it handles it. Raises Denied, NotFound (organisation), Invalid."""
        scope = scope_of(actor, Action.HANDLE_REQUESTS)
        organisation = within(await self.place(wanted.org_id), wanted.org_id, scope)
        today = self.today()
        if not today - OLDEST <= wanted.received_on <= today:
            raise Invalid("it was received within the last year and not after today", "write it as 2026-11-30")
        if (wanted.ground is None) is (wanted.kind is RequestKind.REQUEST):
            raise Invalid("a request says what it is to protect, a complaint does not", "life, health or property")
        if wanted.kind is RequestKind.REQUEST and (
            wanted.start_at is None or wanted.end_at is None or not wanted.place
        ):
            raise Invalid("a request says where and when it happened", "name the place, from and to")
        if wanted.start_at is not None and wanted.end_at is not None and wanted.end_at <= wanted.start_at:
            raise Invalid("the range is empty", "`to` must be after `from`")
        request_id = RequestId(uuid7(self.clock.micros() // 1000))
        made = Request(
            id=request_id,
            number=number_of(wanted.kind, wanted.received_on, request_id),
            kind=wanted.kind,
            org_id=organisation.id,
            org_name=organisation.name,
            org_path=organisation.path,
            received_on=wanted.received_on,
            due_on=self.calendar.after(wanted.received_on, self.days),
            channel=wanted.channel,
            ground=wanted.ground,
            what=one_line(wanted.what, "what is wanted", most=1000),
            place=one_line(wanted.place, "a place", least=0, most=200),
            start_at=wanted.start_at,
            end_at=wanted.end_at,
            handler_id=actor.user_id,
            handler=actor.username,
            state=RequestState.RECEIVED,
            created_at=self.clock.now(),
        )
        asker = Asker(
            one_line(wanted.asker.name, "a name", most=100), one_line(wanted.asker.contact, "a contact", most=200)
        )
        sealed = self.sealer.seal(msgspec.json.encode(asker), context=_context(made.id))
        async with self.state.begin() as tx:
            await store.add(tx, made, sealed)
            told = f"{made.kind} {made.number} received by {made.channel}, due on {made.due_on.isoformat()}"
            await self.write(actor, Action.HANDLE_REQUESTS, (made.id,), told)
        return made

    async def one(self, actor: Actor, request_id: str) -> Request:
        """Raises Denied, NotFound."""
        async with self.state.read() as tx:
            return await self._get(tx, actor, request_id, Action.READ_REQUESTS)

    async def page(
        self,
        actor: Actor,
        *,
        kind: RequestKind | None,
        states: Collection[RequestState],
        is_overdue: bool,
        cursor: str,
        limit: int,
    ) -> Page[Request]:
        """Those in the actor's scope: open ones first, then what is due first. Raises Denied, Invalid."""
        scope = scope_of(actor, Action.READ_REQUESTS)
        async with self.state.read() as tx:
            found = await store.page(
                tx,
                seen_by=scope,
                kind=kind,
                states=states,
                overdue_on=self.today() if is_overdue else None,
                after=_unpacked(cursor),
                limit=limit + 1,
            )
        return Page.cut(found, limit, _packed)

    async def asker(self, actor: Actor, request_id: str) -> Asker:
        """Who asks, for the handler; a row in the ledger says that they were shown it. Raises Denied, NotFound."""
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, request_id, Action.HANDLE_REQUESTS)
            _check_handler(actor, found)
            sealed = await store.sealed_asker(tx, found.id)
            if sealed is None:
                raise NotFound("who asked is not kept any more", "it was deleted a while after the end")
            await self.write(actor, Action.HANDLE_REQUESTS, (found.id,), f"{found.number}: name and contact shown")
        return msgspec.json.decode(self.sealer.open(sealed, context=_context(found.id)), type=Asker)

    async def take_over(self, actor: Actor, request_id: str) -> Request:
        """The actor handles it from now on. Raises Denied, NotFound, Conflict (closed, or handled by them already)."""
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, request_id, Action.HANDLE_REQUESTS, lock=True)
            if found.is_closed or found.handler_id == actor.user_id:
                raise Conflict("there is nothing to take over", "look at it again")
            if found.state is RequestState.PROPOSED:
                raise Conflict("a second officer decides about it", "it can be taken over when it was sent back")
            told = f"{found.number} taken over from {found.handler}"
            return await self._save(tx, actor, replace(found, handler_id=actor.user_id, handler=actor.username), told)

    async def identify(self, actor: Actor, request_id: str, *, how: str) -> Request:
        """It was proved who asks. Raises Denied, NotFound, Conflict, Invalid."""
        said = one_line(how, "how it was proved", most=300)
        return await self._step(
            actor,
            request_id,
            RequestAct.IDENTIFY,
            f"identity checked: {said}",
            identity=said,
            identified_by=actor.username,
        )

    async def search(self, actor: Actor, request_id: str, places: Sequence[Place]) -> Request:
        """These recordings are looked through. Raises Denied, NotFound (a point), Conflict, Invalid."""
        check_places(places)
        known = await self.owned(list(dict.fromkeys(PointId(each.point) for each in places)))
        now = self.clock.now()
        for each in places:
            one = known.get(PointId(each.point))
            if one is None:
                raise NotFound("there is no such object", "check the id")
            decide(actor, Action.VIEW_PLAYBACK, one, now=now, span=each.span).enforce()
        told = "; ".join(f"{each.point} {each.span.told()}" for each in places)
        return await self._step(actor, request_id, RequestAct.SEARCH, f"looked through: {told}", places=tuple(places))

    async def purpose(self, actor: Actor, request_id: str) -> tuple[PurposeKind, Request]:
        """For which purpose its recordings may be looked at. Raises Denied, NotFound, Conflict (not being searched)."""
        scope_of(actor, Action.OPEN_PURPOSE)
        async with self.state.read() as tx:
            found = await self._get(tx, actor, request_id, Action.HANDLE_REQUESTS)
        _check_handler(actor, found)
        if found.state is not RequestState.SEARCHING or found.ground is None:
            raise Conflict("this request is not being searched for", "check who asks and choose the points first")
        kind = PURPOSES[found.ground]
        return kind, found

    async def propose(self, actor: Actor, request_id: str, *, export_id: str, how: str) -> Request:
        """A redacted copy is to be handed over; another officer decides. Raises Denied, NotFound, Conflict, Invalid."""
        said = one_line(how, "how it is handed over", most=300)
        shown = await self.packages.redacted(actor, export_id)
        if shown is None:
            raise Conflict("this is no redacted copy that is ready", "make one, and wait until it is done")
        async with self.state.read() as tx:
            found = await self._get(tx, actor, request_id, Action.HANDLE_REQUESTS)
        if not shown or any(not _is_within(*one, found.places) for one in shown):
            raise Conflict("this copy shows what was not looked through for this request", "make one of its points")
        told = f"redacted copy {export_id} to be handed over: {said}"
        changes = {"export_id": export_id, "how": said, "proposed_by": actor.username, "answer": ""}
        return await self._step(actor, request_id, RequestAct.PROPOSE, told, **changes)

    async def decide(self, actor: Actor, request_id: str, *, yes: bool, reason: str) -> Request:
        """Be the second person. Raises Denied, NotFound, Conflict, Invalid."""
        scope_of(actor, Action.APPROVE)
        if actor.service:
            raise Denied("an API token may not be the second person", "sign in with user name and password")
        said = one_line(reason, "the reason", least=0 if yes else 1, most=500)
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, request_id, Action.HANDLE_REQUESTS, lock=True)
            if _is_first(actor, found):
                raise Denied("nobody decides what they propose themselves", "another officer must decide")
            act = RequestAct.CONSENT if yes else RequestAct.SEND_BACK
            told = f"{found.number}: handing over {'consented to' if yes else 'sent back'}: {said}".rstrip(": ")
            return await self._save(tx, actor, self._after(found, act, decided_by=actor.username, answer=said), told)

    def may_decide(self, actor: Actor, one: Request) -> bool:
        """Whether the actor can be the second person, now."""
        is_able = actor.may(Action.APPROVE) and actor.may(Action.HANDLE_REQUESTS) and not actor.service
        return one.state is RequestState.PROPOSED and is_able and not _is_first(actor, one)

    async def refuse(self, actor: Actor, request_id: str, *, reason: Refusal, text: str) -> Request:
        """Nothing is handed out. Raises Denied, NotFound, Conflict, Invalid."""
        said = one_line(text, "the reason", most=500)
        return await self._step(
            actor, request_id, RequestAct.REFUSE, f"refused, {reason}: {said}", reason=reason, answer=said
        )

    async def withdraw(self, actor: Actor, request_id: str) -> Request:
        """Who asked does not want it any more. Raises Denied, NotFound, Conflict."""
        return await self._step(actor, request_id, RequestAct.WITHDRAW, "withdrawn")

    async def answer(self, actor: Actor, request_id: str, *, text: str) -> Request:
        """A complaint was answered. Raises Denied, NotFound, Conflict, Invalid."""
        said = one_line(text, "the answer", most=500)
        return await self._step(actor, request_id, RequestAct.ANSWER, f"answered: {said}", answer=said)

    async def _step(self, actor: Actor, request_id: str, act: RequestAct, told: str, **changes: object) -> Request:
        """By the handler."""
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, request_id, Action.HANDLE_REQUESTS, lock=True)
            _check_handler(actor, found)
            return await self._save(tx, actor, self._after(found, act, **changes), f"{found.number}: {told}")

    def _after(self, one: Request, act: RequestAct, **changes: object) -> Request:
        changed = replace(one, state=after(one.kind, one.state, act), **changes)  # type: ignore[arg-type]  # fields of Request
        return replace(changed, closed_at=self.clock.now() if changed.is_closed else None)

    async def _save(self, tx: Tx, actor: Actor, one: Request, told: str) -> Request:
        changed = replace(one, version=one.version + 1)
        await store.save(tx, changed)
        await self.write(actor, Action.HANDLE_REQUESTS, (changed.id,), told)
        return changed

    async def _get(self, tx: Tx, actor: Actor, request_id: str, action: Action, *, lock: bool = False) -> Request:
        found = await store.get(tx, request_id, seen_by=scope_of(actor, action), lock=lock)
        if found is None:
            raise NotFound("there is no such request", "check the id")
        return found

    async def organisations_changed(self) -> None:
        """The registry may have renamed or moved organisations: the requests follow."""
        async with self.state.read() as tx:
            used = await store.organisations(tx)
        found = [await self.place(each) for each in used]
        async with self.state.begin() as tx:
            for organisation in found:
                if organisation is not None:
                    await store.move(tx, organisation.id, name=organisation.name, path=organisation.path)

    async def turn(self) -> int:
        """Count what is overdue, and delete who asked what ended long ago; how many were deleted."""
        async with self.state.begin() as tx:
            self.overdue = await store.overdue(tx, self.today())
            return await store.forget_askers(tx, self.clock.now() - self.kept)

    async def run(self) -> None:
        """Turn after turn, until cancelled."""
        while True:
            try:
                await self.turn()
            except Exception as err:  # the next turn tries again
                log.error("the turn of requests failed", error=str(err))
            await self.clock.sleep(TURN_SECONDS)


async def reseal(state: Database, sealer: Sealer) -> int:
    """Seal who asks with the newest key; how many."""
    async with state.begin() as tx:
        found = await store.every_asker(tx)
        for request_id, sealed in found.items():
            await store.put_asker(tx, request_id, sealer.reseal(sealed, context=_context(request_id)))
    return len(found)


def _is_within(point: str, span: Span, places: Sequence[Place]) -> bool:
    return any(point == each.point and each.span.start <= span.start and span.end <= each.span.end for each in places)


def _is_first(actor: Actor, one: Request) -> bool:
    return actor.user_id == one.handler_id or actor.username == one.proposed_by


def _check_handler(actor: Actor, one: Request) -> None:
    if one.handler_id != actor.user_id:
        raise Denied(f"{one.handler} handles this request", "take it over first")


def _context(request_id: str) -> str:
    return f"requests.asker:{request_id}"


def _packed(one: Request) -> str:
    return f"{int(one.is_closed)}/{one.due_on.isoformat()}/{one.id}"


def _unpacked(cursor: str) -> tuple[bool, date, str] | None:
    if not cursor:
        return None
    try:
        closed, due, last = cursor.split("/")
        return closed == "1", date.fromisoformat(due), last
    except ValueError:
        raise Invalid("this cursor is not one of ours", "begin without one") from None
