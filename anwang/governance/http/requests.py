"""Routes of requests to see recordings, and of complaints."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, Field

from anwang.governance.actions import Action
from anwang.governance.http import Cursor, Limit, NamedDto, PurposeDto, Shape, allow, governance_of
from anwang.governance.http.cases import point_of
from anwang.governance.model import Actor
from anwang.governance.requests.model import (
    MOST_PLACES,
    Asker,
    Channel,
    Ground,
    Place,
    Refusal,
    Request,
    RequestAct,
    RequestKind,
    RequestState,
    acts_of,
)
from anwang.governance.requests.service import Requests, Wanted
from anwang.governance.service import Governance
from anwang.kernel.errors import Invalid
from anwang.kernel.ids import OrgId
from anwang.kernel.times import Span, from_micros, to_micros


class AskerDto(Shape):
    """Who asks. contact: telephone, address."""

    name: str = Field(max_length=200)
    contact: str = Field(max_length=400)


class NewRequestDto(Shape):
    """What was received. organisation: the unit that handles it. received_on: a civil day. ground: null for a
    complaint. place, start, end: where and when what is asked for happened; a request must say them.
    """

    kind: RequestKind
    organisation: str = Field(max_length=100)
    received_on: date
    channel: Channel
    ground: Ground | None = None
    what: str = Field(max_length=2000)
    place: str = Field(max_length=400, default="")
    start: AwareDatetime | None = Field(alias="from", default=None)
    end: AwareDatetime | None = Field(alias="to", default=None)
    asker: AskerDto

    def wanted(self) -> Wanted:
        """As the service takes it."""
        return Wanted(
            kind=self.kind,
            org_id=OrgId(self.organisation),
            received_on=self.received_on,
            channel=self.channel,
            ground=self.ground,
            what=self.what,
            place=self.place,
            start_at=self.start,
            end_at=self.end,
            asker=Asker(self.asker.name, self.asker.contact),
        )


class ToSearchDto(Shape):
    """Recordings of a point that are looked through, half-open."""

    point: str = Field(max_length=64)
    start: AwareDatetime = Field(alias="from")
    end: AwareDatetime = Field(alias="to")


class AllToSearchDto(Shape):
    """What is looked through."""

    items: list[ToSearchDto] = Field(min_length=1, max_length=MOST_PLACES)


class SaidDto(Shape):
    """What was found, answered or decided, in words."""

    text: str = Field(max_length=1000)


class RequestRefusalDto(Shape):
    """Why nothing is handed out."""

    reason: Refusal
    text: str = Field(max_length=1000)


class ProposalDto(Shape):
    """A redacted copy to hand over. export: its id. how: the way."""

    export: str = Field(max_length=64)
    how: str = Field(max_length=600)


class RequestDecisionDto(Shape):
    """The second officer's word. reason: needed for a no."""

    yes: bool
    reason: str = Field(max_length=1000, default="")


class MinutesDto(Shape):
    """How long a purpose holds."""

    minutes: int = Field(ge=1)


class SearchedDto(Shape):
    """Recordings that are looked through."""

    point: str
    start: datetime
    end: datetime


class RequestDto(Shape):
    """A request or a complaint. days_left: civil days until it is due, negative when it is overdue; null when it is
    closed. mine: the reader handles it. may_decide: the reader can be the second officer. acts: what may happen next.
    has_asker: it is still kept who asked.
    """

    id: str
    number: str
    kind: RequestKind
    organisation: NamedDto
    received_on: date
    due_on: date
    days_left: int | None
    overdue: bool
    channel: Channel
    ground: Ground | None
    what: str
    place: str
    start: datetime | None
    end: datetime | None
    handler: str
    mine: bool
    may_decide: bool
    state: RequestState
    acts: list[RequestAct]
    has_asker: bool
    identity: str
    identified_by: str
    places: list[SearchedDto]
    export: str
    how: str
    proposed_by: str
    decided_by: str
    reason: Refusal | None
    answer: str
    created_at: datetime
    closed_at: datetime | None


class RequestsDto(Shape):
    """A page of requests and complaints: open ones first, then what is due first."""

    items: list[RequestDto]
    next: str | None


Reader = Annotated[Actor, allow(Action.READ_REQUESTS)]
Handler = Annotated[Actor, allow(Action.HANDLE_REQUESTS)]
Service = Annotated[Governance, Depends(governance_of)]


def build_router(requests: Requests) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["governance"])
    _add_register(router, requests)
    _add_steps(router, requests)
    return router


def _add_register(router: APIRouter, requests: Requests) -> None:
    @router.post("/requests", status_code=201)
    async def enter_request(actor: Handler, body: NewRequestDto) -> RequestDto:
        """Register a request to see recordings, or a complaint; who enters it handles it."""
        return _dto(requests, actor, await requests.enter(actor, body.wanted()))

    @router.get("/requests")
    async def list_requests(
        actor: Reader,
        kind: RequestKind | None = None,
        state: Annotated[list[RequestState] | None, Query()] = None,
        overdue: Annotated[bool, Query(description="only what is overdue")] = False,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> RequestsDto:
        """Requests and complaints, without who asked."""
        page = await requests.page(actor, kind=kind, states=state or [], is_overdue=overdue, cursor=cursor, limit=limit)
        return RequestsDto(items=[_dto(requests, actor, each) for each in page.items], next=page.next)

    @router.get("/requests/{request_id}")
    async def read_request(actor: Reader, request_id: str) -> RequestDto:
        """One of them, without who asked."""
        return _dto(requests, actor, await requests.one(actor, request_id))

    @router.get("/requests/{request_id}/asker")
    async def read_asker(actor: Annotated[Actor, allow(Action.HANDLE_REQUESTS, use=None)], request_id: str) -> AskerDto:
        """Who asked, for the handler; the ledger says that it was shown."""
        found = await requests.asker(actor, request_id)
        return AskerDto(name=found.name, contact=found.contact)

    @router.post("/requests/{request_id}/handler")
    async def take_request_over(actor: Handler, request_id: str) -> RequestDto:
        """Handle it from now on."""
        return _dto(requests, actor, await requests.take_over(actor, request_id))

    @router.post("/requests/{request_id}/purpose", status_code=201)
    async def open_request_purpose(
        actor: Handler, governance: Service, request_id: str, body: MinutesDto
    ) -> PurposeDto:
        """RequestState the purpose of looking through its recordings; its number is the case number."""
        kind, one = await requests.purpose(actor, request_id)
        made = await governance.open_purpose(
            actor, kind=kind, case_no=one.number, unit=one.org_name, note="", minutes=body.minutes
        )
        return PurposeDto.of(made)


def _add_steps(router: APIRouter, requests: Requests) -> None:
    @router.post("/requests/{request_id}/identity")
    async def check_request_identity(actor: Handler, request_id: str, body: SaidDto) -> RequestDto:
        """It was proved who asks; text: how."""
        return _dto(requests, actor, await requests.identify(actor, request_id, how=body.text))

    @router.post("/requests/{request_id}/places")
    async def choose_request_places(actor: Handler, request_id: str, body: AllToSearchDto) -> RequestDto:
        """These recordings are looked through."""
        places = [Place(point=point_of(each.point), span=_span(each)) for each in body.items]
        return _dto(requests, actor, await requests.search(actor, request_id, places))

    @router.post("/requests/{request_id}/proposal")
    async def propose_delivery(actor: Handler, request_id: str, body: ProposalDto) -> RequestDto:
        """A redacted copy is to be handed over; another officer decides."""
        return _dto(requests, actor, await requests.propose(actor, request_id, export_id=body.export, how=body.how))

    @router.post("/requests/{request_id}/decision")
    async def decide_delivery(
        actor: Annotated[Actor, allow(Action.APPROVE)], request_id: str, body: RequestDecisionDto
    ) -> RequestDto:
        """Be the second officer: the copy is handed over, or it goes back to the handler."""
        return _dto(requests, actor, await requests.decide(actor, request_id, yes=body.yes, reason=body.reason))

    @router.post("/requests/{request_id}/refusal")
    async def refuse_request(actor: Handler, request_id: str, body: RequestRefusalDto) -> RequestDto:
        """Nothing is handed out."""
        return _dto(requests, actor, await requests.refuse(actor, request_id, reason=body.reason, text=body.text))

    @router.post("/requests/{request_id}/withdrawal")
    async def withdraw_request(actor: Handler, request_id: str) -> RequestDto:
        """Who asked does not want it any more."""
        return _dto(requests, actor, await requests.withdraw(actor, request_id))

    @router.post("/requests/{request_id}/answer")
    async def answer_complaint(actor: Handler, request_id: str, body: SaidDto) -> RequestDto:
        """A complaint was answered."""
        return _dto(requests, actor, await requests.answer(actor, request_id, text=body.text))


def _span(one: ToSearchDto) -> Span:
    start, end = to_micros(one.start), to_micros(one.end)
    if end <= start:
        raise Invalid("the range is empty", "`to` must be after `from`")
    return Span(start, end)


def _dto(requests: Requests, actor: Actor, one: Request) -> RequestDto:
    today = requests.today()
    return RequestDto(
        id=one.id,
        number=one.number,
        kind=one.kind,
        organisation=NamedDto(id=one.org_id, name=one.org_name),
        received_on=one.received_on,
        due_on=one.due_on,
        days_left=None if one.is_closed else (one.due_on - today).days,
        overdue=one.is_overdue(today),
        channel=one.channel,
        ground=one.ground,
        what=one.what,
        place=one.place,
        start=one.start_at,
        end=one.end_at,
        handler=one.handler,
        mine=one.handler_id == actor.user_id,
        may_decide=requests.may_decide(actor, one),
        state=one.state,
        acts=acts_of(one.kind, one.state),
        has_asker=one.has_asker,
        identity=one.identity,
        identified_by=one.identified_by,
        places=[
            SearchedDto(point=each.point, start=from_micros(each.span.start), end=from_micros(each.span.end))
            for each in one.places
        ],
        export=one.export_id,
        how=one.how,
        proposed_by=one.proposed_by,
        decided_by=one.decided_by,
        reason=one.reason,
        answer=one.answer,
        created_at=one.created_at,
        closed_at=one.closed_at,
    )
