"""Routes of holds: recordings that retention must leave alone until somebody lets them go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, Field

from anwang.governance import Action, Actor, Governance, Hold, Object, Retention, Shape, allow, governance_of
from anwang.media.http.asked import seen
from anwang.media.looks import WhereIs

Governed = Annotated[Governance, Depends(governance_of)]
Holds = Annotated[Actor, allow(Action.HOLD)]
ReadsAxis = Annotated[Actor, allow(Action.READ_TIMELINE)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the routes need."""

    retention: Retention
    where: WhereIs


class NewHoldDto(Shape):
    """What to keep of a point, [start, end), why, and by when somebody must look at it again, within a year."""

    point: str = Field(max_length=64)
    start: AwareDatetime
    end: AwareDatetime
    reason: str = Field(min_length=3, max_length=500)
    review_at: AwareDatetime


class KeptDto(Shape):
    """A hold. owner: id of the account that placed it. It holds on after review_at until it is let go."""

    id: str
    point: str
    start: AwareDatetime
    end: AwareDatetime
    owner: str
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
    async def place_hold(actor: Holds, governance: Governed, body: NewHoldDto) -> KeptDto:
        """Keep what is recorded of a point, whatever its age."""
        point, path, _ = await seen(kept.where, governance, actor, Action.HOLD, body.point)
        made = await kept.retention.hold(
            actor,
            Object(point, path),
            start_at=body.start,
            end_at=body.end,
            reason=body.reason,
            review_at=body.review_at,
        )
        return _dto(made)

    @router.get("/holds")
    async def list_holds(
        actor: ReadsAxis,
        governance: Governed,
        point: Annotated[str, Query(max_length=64, description="only of this point")] = "",
        cursor: Annotated[str, Query(max_length=64, description="`next` of the page before")] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> HoldsDto:
        """The holds of points that one may see."""
        wanted = (await seen(kept.where, governance, actor, Action.READ_TIMELINE, point))[0] if point else None
        governance.count_use(actor, "holds", governance.scope(actor, Action.READ_TIMELINE))
        page = await kept.retention.holds(actor, point=wanted, cursor=cursor, limit=limit)
        return HoldsDto(items=[_dto(one) for one in page.items], next=page.next)

    @router.delete("/holds/{hold_id}", status_code=204)
    async def release_hold(actor: Holds, hold_id: str) -> None:
        """Let it go: retention may delete what has expired."""
        await kept.retention.release(actor, hold_id)

    return router


def _dto(one: Hold) -> KeptDto:
    return KeptDto(
        id=one.id,
        point=one.point,
        start=one.start_at,
        end=one.end_at,
        owner=one.owner_id,
        reason=one.reason,
        review_at=one.review_at,
        created_at=one.created_at,
    )
