"""Routes of purposes and approvals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, Field

from anwang.governance.actions import Action
from anwang.governance.cases.approvals import MOST_OBJECTS, Wanted
from anwang.governance.http import Cursor, Limit, NamedDto, PurposeDto, Shape, allow, governance_of
from anwang.governance.model import Actor
from anwang.governance.reasons import AWAITED, Approval, ApprovalState, PurposeKind
from anwang.governance.scopes import Object, Owned
from anwang.governance.service import Governance
from anwang.kernel.errors import Invalid, NotFound
from anwang.kernel.ids import PointId, parse_uuid
from anwang.kernel.times import Span, from_micros, to_micros

Names = Mapping[PointId, Object]


class NewPurposeDto(Shape):
    """A purpose to state. unit: whose case it is. minutes: how long it holds."""

    kind: PurposeKind
    case_no: str = Field(max_length=200)
    unit: str = Field(max_length=200)
    note: str = Field(max_length=1000, default="")
    minutes: int = Field(ge=1)


class PurposesDto(Shape):
    """A page of purposes, latest first."""

    items: list[PurposeDto]
    next: str | None


class NewApprovalDto(Shape):
    """What a second person is asked for. objects: ids of points; from, to: of the footage.

    urgent: it is used before anybody has decided, and must be made good in time.
    """

    action: Action
    objects: list[str] = Field(min_length=1, max_length=MOST_OBJECTS)
    start: AwareDatetime = Field(alias="from")
    end: AwareDatetime = Field(alias="to")
    reason: str = Field(max_length=1000)
    urgent: bool = False


class ApprovalDto(Shape):
    """A request and what became of it. mine: the reader asked for it. may_decide: the reader can be the second person.

    expires_at: of the wait for a decision, or of the right to use it. uses: looks that were opened with it. senior: the
    content is so old that somebody of a unit above decides.
    """

    id: str
    user: NamedDto
    unit: str
    action: Action
    objects: list[NamedDto]
    start: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")
    purpose: PurposeDto
    reason: str
    state: ApprovalState
    urgent: bool
    senior: bool
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str
    decision: str
    uses: int
    mine: bool
    may_decide: bool


class ApprovalsDto(Shape):
    """A page of requests, latest first."""

    items: list[ApprovalDto]
    next: str | None


class DecisionDto(Shape):
    """The second person's word. reason: needed for a no."""

    yes: bool
    reason: str = Field(max_length=1000, default="")


Opener = Annotated[Actor, allow(Action.OPEN_PURPOSE)]
Asker = Annotated[Actor, allow(Action.ASK_APPROVAL)]
Service = Annotated[Governance, Depends(governance_of)]


def build_router(owned: Owned) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["governance"])
    _add_purposes(router)
    _add_approvals(router, owned)
    return router


def _add_purposes(router: APIRouter) -> None:
    @router.post("/purposes", status_code=201)
    async def open_purpose(actor: Opener, governance: Service, body: NewPurposeDto) -> PurposeDto:
        """State why one is going to look; the session remembers it until it ends."""
        made = await governance.open_purpose(
            actor, kind=body.kind, case_no=body.case_no, unit=body.unit, note=body.note, minutes=body.minutes
        )
        return PurposeDto.of(made)

    @router.get("/purposes")
    async def list_purposes(actor: Opener, governance: Service, cursor: Cursor = "", limit: Limit = 50) -> PurposesDto:
        """One's own purposes, latest first."""
        page = await governance.purposes(actor, cursor=cursor, limit=limit)
        return PurposesDto(items=[PurposeDto.of(each) for each in page.items], next=page.next)

    @router.delete("/purposes/{purpose_id}", status_code=204, response_class=Response)
    async def close_purpose(actor: Opener, governance: Service, purpose_id: str) -> None:
        """End one's own purpose; what was opened for it ends, too."""
        await governance.close_purpose(actor, purpose_id)


def _dto(actor: Actor, governance: Governance, one: Approval, known: Names) -> ApprovalDto:
    return ApprovalDto(
        id=one.id,
        user=NamedDto(id=one.user_id, name=one.username),
        unit=one.user_unit,
        action=one.action,
        # a point may have been removed meanwhile
        objects=[
            NamedDto(id=each, name=known[PointId(each)].name if PointId(each) in known else "") for each in one.objects
        ],
        start=from_micros(one.span.start),
        end=from_micros(one.span.end),
        purpose=PurposeDto.of(one.purpose),
        reason=one.why,
        state=one.state,
        urgent=one.is_urgent,
        senior=one.is_aged,
        created_at=one.created_at,
        expires_at=one.expires_at,
        decided_at=one.decided_at,
        decided_by=one.decided_by,
        decision=one.decision,
        uses=one.uses,
        mine=one.user_id == actor.user_id,
        may_decide=governance.approvals.may_decide(actor, one),
    )


def _add_approvals(router: APIRouter, owned: Owned) -> None:
    async def dto(actor: Actor, governance: Governance, one: Approval) -> ApprovalDto:
        return _dto(actor, governance, one, await owned([PointId(each) for each in one.objects]))

    @router.post("/approvals", status_code=201)
    async def ask_approval(actor: Asker, governance: Service, body: NewApprovalDto) -> ApprovalDto:
        """Ask for a second person, for the active purpose."""
        points = list(dict.fromkeys(point_of(text) for text in body.objects))
        known = await owned(points)
        if len(known) < len(points):
            raise no_object()
        wanted = Wanted(
            action=body.action,
            objects=[known[point] for point in points],
            span=Span(to_micros(body.start), to_micros(body.end)),
            why=body.reason,
            is_urgent=body.urgent,
        )
        return await dto(actor, governance, await governance.approvals.ask(actor, wanted))

    @router.get("/approvals")
    async def list_approvals(
        actor: Asker,
        governance: Service,
        state: Annotated[list[ApprovalState] | None, Query()] = None,
        inbox: Annotated[bool, Query(description="only what waits for a decision that one can make")] = False,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> ApprovalsDto:
        """One's own requests and those one may decide, latest first."""
        states = AWAITED if inbox else state or []
        page = await governance.approvals.page(actor, states=states, cursor=cursor, limit=limit, is_inbox=inbox)
        names = await owned(list({PointId(point) for each in page.items for point in each.objects}))
        return ApprovalsDto(items=[_dto(actor, governance, each, names) for each in page.items], next=page.next)

    @router.get("/approvals/{approval_id}")
    async def read_approval(actor: Asker, governance: Service, approval_id: str) -> ApprovalDto:
        """One request."""
        return await dto(actor, governance, await governance.approvals.one(actor, approval_id))

    @router.delete("/approvals/{approval_id}", status_code=204, response_class=Response)
    async def withdraw_approval(actor: Asker, governance: Service, approval_id: str) -> None:
        """Take one's own request back while it waits."""
        await governance.approvals.withdraw(actor, approval_id)

    @router.post("/approvals/{approval_id}/decision")
    async def decide_approval(
        actor: Annotated[Actor, allow(Action.APPROVE)], governance: Service, approval_id: str, body: DecisionDto
    ) -> ApprovalDto:
        """Be the second person."""
        done = await governance.approvals.decide(actor, approval_id, yes=body.yes, reason=body.reason)
        return await dto(actor, governance, done)


def point_of(text: str) -> PointId:
    """The id of a point. Raises NotFound where it can't be one."""
    try:
        return PointId(parse_uuid(text))
    except Invalid:
        raise no_object() from None


def no_object() -> NotFound:
    """Unseen and unknown look alike."""
    return NotFound("there is no such object", "check the id")
