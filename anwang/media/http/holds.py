"""Routes of holds: recordings that retention must leave alone until somebody lets them go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, Field

from anwang.governance import (
    Action,
    Actor,
    Cursor,
    Governance,
    Hold,
    Holds,
    Limit,
    NamedDto,
    Owned,
    Shape,
    allow,
    governance_of,
)
from anwang.media.http.asked import seen
from anwang.media.looks import WhereIs

Governed = Annotated[Governance, Depends(governance_of)]
Holding = Annotated[Actor, allow(Action.HOLD)]
ReadsAxis = Annotated[Actor, allow(Action.READ_TIMELINE)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the routes need."""

    holds: Holds
    where: WhereIs
    owned: Owned


class NewHoldDto(Shape):
    """What to keep of a point, [start, end), why, and by when somebody must look at it again, within a year."""

    point: str = Field(max_length=64)
    start: AwareDatetime
    end: AwareDatetime
    reason: str = Field(min_length=3, max_length=500)
    review_at: AwareDatetime


class ReleaseDto(Shape):
    """Why what was kept may be deleted again; the ledger keeps it."""

    reason: str = Field(min_length=3, max_length=500)


class KeptDto(Shape):
    """A hold, which holds on after review_at until it is let go.

    point: without a name where the registry knows it no more. owner: the account that placed it.
    """

    id: str
    point: NamedDto
    start: AwareDatetime
    end: AwareDatetime
    owner: NamedDto
    reason: str
    review_at: AwareDatetime
    created_at: AwareDatetime


class HoldsDto(Shape):
    """A page of holds, oldest first."""

    items: list[KeptDto]
    next: str | None


def build_router(kept: Kept) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["holds"])

    @router.post("/holds", status_code=201)
    async def place_hold(actor: Holding, governance: Governed, body: NewHoldDto) -> KeptDto:
        """Keep what is recorded of a point, whatever its age."""
        _, place = await seen(kept.where, governance, actor, Action.HOLD, body.point)
        made = await kept.holds.place(
            actor,
            place,
            start_at=body.start,
            end_at=body.end,
            reason=body.reason,
            review_at=body.review_at,
        )
        return _dto(made, place.name)

    @router.get("/holds")
    async def list_holds(
        actor: ReadsAxis,
        governance: Governed,
        point: Annotated[str, Query(max_length=64, description="only of this point")] = "",
        overdue: Annotated[bool, Query(description="only those whose review is overdue")] = False,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> HoldsDto:
        """The holds of points that one may see."""
        wanted = (await seen(kept.where, governance, actor, Action.READ_TIMELINE, point))[0] if point else None
        page = await kept.holds.page(actor, point=wanted, is_overdue=overdue, cursor=cursor, limit=limit)
        known = await kept.owned(list({one.point for one in page.items}))
        return HoldsDto(
            items=[_dto(one, known[one.point].name if one.point in known else "") for one in page.items], next=page.next
        )

    @router.post("/holds/{hold_id}/release", status_code=204)
    async def release_hold(actor: Holding, hold_id: str, body: ReleaseDto) -> None:
        """Let it go: retention may delete what has expired."""
        await kept.holds.release(actor, hold_id, reason=body.reason)

    return router


def _dto(one: Hold, name: str) -> KeptDto:
    return KeptDto(
        id=one.id,
        point=NamedDto(id=one.point, name=name),
        start=one.start_at,
        end=one.end_at,
        owner=NamedDto(id=one.owner_id, name=one.owner_name),
        reason=one.reason,
        review_at=one.review_at,
        created_at=one.created_at,
    )
