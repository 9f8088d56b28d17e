"""Routes of privacy masks: read and draw them, and whether one sees a point without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from anwang.governance import Action, Actor, Governance, Object, Shape, allow
from anwang.kernel.errors import Invalid
from anwang.kernel.ids import PointId
from anwang.kernel.times import Span, parse_rfc3339, to_micros
from anwang.media.http.asked import seen
from anwang.media.looks import WhereIs
from anwang.media.masks.model import (
    LONGEST_NAME,
    LONGEST_WHY,
    MOST_MASKS,
    MOST_VERTICES,
    Drawn,
    Mask,
    parse_polygon,
    shares,
    version_of,
)
from anwang.media.masks.service import Masks

Corner = Annotated[list[float], Field(min_length=2, max_length=2)]
Corners = Annotated[list[Corner], Field(max_length=MOST_VERTICES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Masking:
    """What the routes need."""

    masks: Masks
    governance: Governance
    where: WhereIs


class DrawnMaskDto(Shape):
    """A mask as it is drawn. id: of the one that it changes, null for a new one. preset: the stored view that it
    belongs to; null: every view. polygon: corners, each as shares (0 to 1) of the picture's width and height.
    """

    id: str | None = None
    preset: int | None = None
    name: str = Field("", max_length=LONGEST_NAME)
    why: str = Field("", max_length=LONGEST_WHY)
    polygon: Corners


class MasksChangeDto(Shape):
    """All masks that the point shall have, in their order. version: of what they were drawn over."""

    version: str = Field(max_length=64)
    items: list[DrawnMaskDto] = Field(max_length=MOST_MASKS)


class MaskDto(Shape):
    """A privacy mask. covers_now: it applies to the picture of now."""

    id: str
    preset: int | None
    name: str
    why: str
    polygon: list[list[float]]
    covers_now: bool
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str


class MasksDto(Shape):
    """A point's masks, in their order. preset: where its head is as far as we steered it; null: not known, and then the
    masks of all presets apply.
    """

    items: list[MaskDto]
    next: None
    version: str
    preset: int | None


def build_router(masking: Masking) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["privacy masks"])

    async def placed(actor: Actor, action: Action, point_id: str) -> Object:
        _, place = await seen(masking.where, masking.governance, actor, action, point_id)
        return place

    @router.get("/points/{point_id}/masks")
    async def read_masks(actor: Annotated[Actor, allow(Action.READ_POINTS, use="masks")], point_id: str) -> MasksDto:
        """What is covered in a point's pictures, for whoever sees them."""
        point = await placed(actor, Action.READ_POINTS, point_id)
        return _dto(masking.masks, PointId(point.id), masking.masks.of(PointId(point.id)))

    @router.put("/points/{point_id}/masks")
    async def set_masks(
        actor: Annotated[Actor, allow(Action.EDIT_MASKS)], point_id: str, body: MasksChangeDto
    ) -> MasksDto:
        """Draw them; they count at once. To change or remove one needs a second person, as seeing behind it does."""
        point = await placed(actor, Action.EDIT_MASKS, point_id)
        drawn = [
            Drawn(id=one.id or "", preset=one.preset, name=one.name, why=one.why, polygon=parse_polygon(one.polygon))
            for one in body.items
        ]
        made = await masking.masks.set(actor, point, drawn, seen=body.version)
        return _dto(masking.masks, PointId(point.id), made)

    @router.get("/points/{point_id}/unmasked", status_code=204)
    async def ask_unmasked(
        actor: Annotated[Actor, allow(Action.UNMASK, use="masks")],
        point_id: str,
        start: Annotated[str, Query(alias="from", max_length=40, description="RFC 3339; left out: live")] = "",
        to: Annotated[str, Query(max_length=40)] = "",
    ) -> None:
        """Whether one sees it without masks; 403 says what is missing: a purpose, or a second person's yes."""
        point = await placed(actor, Action.UNMASK, point_id)
        span = Span(to_micros(parse_rfc3339(start)), to_micros(parse_rfc3339(to))) if start else None
        if span is not None and span.end <= span.start:
            raise Invalid("the range is empty", "`to` must be after `from`")
        for decision in await masking.governance.unmasking(actor, [point], span):
            decision.enforce()

    return router


def _dto(masks: Masks, point: PointId, items: Sequence[Mask]) -> MasksDto:
    preset = masks.aims.preset(point)
    return MasksDto(
        items=[
            MaskDto(
                id=mask.id,
                preset=mask.preset,
                name=mask.name,
                why=mask.why,
                polygon=shares(mask.polygon),
                covers_now=preset is None or mask.preset in (None, preset),
                created_at=mask.created_at,
                created_by=mask.created_by,
                changed_at=mask.changed_at,
                changed_by=mask.changed_by,
            )
            for mask in items
        ],
        next=None,
        version=version_of(items),
        preset=preset,
    )
