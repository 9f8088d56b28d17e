"""Routes of exports: asking for a package, following it, taking it away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from pydantic import Field

from anwang.governance import Action, Actor, Cursor, Limit, Shape, allow
from anwang.kernel.errors import Invalid, NotFound
from anwang.kernel.ids import PointId, parse_uuid
from anwang.kernel.times import Span, from_micros, parse_rfc3339, to_micros
from anwang.media.export import Redaction
from anwang.media.exports.model import (
    MOST_ITEMS,
    MOST_REDACTIONS,
    UNDER_WAY,
    Choice,
    Covered,
    Export,
    ExportForm,
    ExportState,
    Wanted,
)
from anwang.media.exports.service import Exports, span_of
from anwang.media.http.streamed import Streamed, byte_range
from anwang.media.masks.model import MOST_VERTICES, parse_polygon

Exporter = Annotated[Actor, allow(Action.EXPORT)]
Taker = Annotated[Actor, allow(Action.EXPORT, use=None)]
Corner = Annotated[list[float], Field(min_length=2, max_length=2)]
Moment = Annotated[str, Field(max_length=40, description="RFC 3339, with offset")]


class ExportStretchDto(Shape):
    """A stretch of a point's recordings, half-open."""

    point: str = Field(max_length=64)
    start: Moment = Field(alias="from")
    end: Moment = Field(alias="to")


class NewItemDto(ExportStretchDto):
    """A clip, up to six hours. clear: for a redacted copy, somebody looked through it, and nothing must be covered."""

    clear: bool = False


class NewRedactionDto(ExportStretchDto):
    """An area to cover for good, while it is needed. polygon: corners as shares of width and height, 0 to 1."""

    polygon: list[Corner] = Field(max_length=MOST_VERTICES)


class NewExportDto(Shape):
    """An export to make. recipient: to whom it will be given; "" for oneself. mark: draw on it who took it. sound: of a
    redacted copy, which has none otherwise.
    """

    items: list[NewItemDto] = Field(max_length=MOST_ITEMS)
    form: ExportForm
    redactions: list[NewRedactionDto] = Field(default_factory=list, max_length=MOST_REDACTIONS)
    mark: bool = False
    sound: bool = False
    recipient: str = Field(default="", max_length=200)
    note: str = Field(default="", max_length=500)


class ExportItemDto(Shape):
    """A clip of an export. point, code, name: as they were when it was asked for. redactions: areas over it."""

    point: str
    code: str
    name: str
    start: datetime
    end: datetime
    redactions: int


class ExportDto(Shape):
    """An export and what became of it. mine: one asked for it. seconds: of footage; seconds_done, bytes_done: so far.
    manifest_sha256: "" until it is ready. reason, hint: why it failed.
    """

    id: str
    state: ExportState
    form: ExportForm
    by: str
    unit: str
    mine: bool
    items: list[ExportItemDto]
    mark: bool
    sound: bool
    recipient: str
    note: str
    purpose: str
    case_no: str
    created_at: datetime
    ended_at: datetime | None
    expires_at: datetime | None
    seconds: float
    seconds_done: float
    bytes_done: int
    manifest_sha256: str
    reason: str
    hint: str
    under_way: bool


class ExportsDto(Shape):
    """A page of exports, latest first."""

    items: list[ExportDto]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """What the routes need."""

    exports: Exports


def build_router(taking: Taking) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["exports"])
    exports = taking.exports

    @router.post("/exports", status_code=202)
    async def ask_for_export(actor: Exporter, body: NewExportDto) -> ExportDto:
        """Ask for a package of clips, made in the background; each clip is decided as one that is taken at once."""
        made = await exports.ask(
            actor,
            [Wanted(point=_point(one.point), span=_span(one), is_clear=one.clear) for one in body.items],
            [
                Covered(
                    point=_point(one.point), redaction=Redaction(span=_span(one), polygon=parse_polygon(one.polygon))
                )
                for one in body.redactions
            ],
            Choice(
                form=body.form,
                with_mark=body.mark,
                with_sound=body.sound,
                note=_line(body.note),
                recipient=_line(body.recipient),
            ),
        )
        return _dto(made, actor)

    @router.get("/exports")
    async def list_exports(actor: Taker, cursor: Cursor = "", limit: Limit = 50) -> ExportsDto:
        """One's own exports and those of points that one may export, latest first."""
        page = await exports.page(actor, cursor=cursor, limit=limit)
        return ExportsDto(items=[_dto(one, actor) for one in page.items], next=page.next)

    @router.get("/exports/{export_id}")
    async def read_export(actor: Exporter, export_id: str) -> ExportDto:
        """One export, and how far it is."""
        return _dto(await exports.one(actor, export_id), actor)

    @router.delete("/exports/{export_id}")
    async def give_export_up(actor: Exporter, export_id: str) -> ExportDto:
        """Cancel it while it is made, discard it when it is ready."""
        return _dto(await exports.give_up(actor, export_id), actor)

    @router.head("/exports/{export_id}/package.zip", response_class=Response, include_in_schema=False)
    @router.get("/exports/{export_id}/package.zip", response_class=Response)
    async def take_package(
        request: Request,
        actor: Taker,
        export_id: str,
        range: Annotated[str, Header(max_length=200)] = "",
        if_range: Annotated[str, Header(max_length=200)] = "",
    ) -> Response:
        """The package, whole or in ranges; each request is a row of the ledger. Whoever did not ask for the export
        needs a purpose and a second person of their own.
        """
        one = await exports.take(actor, export_id)
        size, tag = one.bytes_done, f'"{one.sha256}"'
        headers = {
            "accept-ranges": "bytes",
            "etag": tag,
            "cache-control": "private, no-store",
            "content-disposition": f'attachment; filename="anwang-export-{one.id}.zip"',
        }
        first, last = 0, size
        wanted = byte_range(range, size) if not if_range or if_range == tag else None
        if wanted is not None:
            first, last = wanted
            if first >= last:
                return Response(status_code=416, headers={"content-range": f"bytes */{size}"})
            headers["content-range"] = f"bytes {first}-{last - 1}/{size}"
        headers["content-length"] = str(last - first)
        if request.method == "HEAD":
            return Streamed(exports.read(one, 0, 0), headers, 200, media_type="application/zip")
        await exports.note(actor, one, first, last)
        data = exports.read(one, first, last)
        return Streamed(data, headers, 200 if wanted is None else 206, media_type="application/zip")

    return router


def _point(text: str) -> PointId:
    try:
        return PointId(parse_uuid(text))
    except Invalid:
        raise NotFound("there is no such object", "check the id") from None


def _span(one: ExportStretchDto) -> Span:
    return span_of(to_micros(parse_rfc3339(one.start)), to_micros(parse_rfc3339(one.end)))


def _line(text: str) -> str:
    return " ".join(text.split())


def _dto(one: Export, actor: Actor) -> ExportDto:
    return ExportDto(
        id=one.id,
        state=one.state,
        form=one.choice.form,
        by=one.display_name,
        unit=one.unit,
        mine=one.user_id == actor.user_id,
        items=[
            ExportItemDto(
                point=item.point,
                code=item.code,
                name=item.name,
                start=from_micros(item.span.start),
                end=from_micros(item.span.end),
                redactions=len(one.covering(item)),
            )
            for item in one.items
        ],
        mark=one.choice.with_mark,
        sound=one.choice.with_sound,
        recipient=one.choice.recipient,
        note=one.choice.note,
        purpose=one.why.kind,
        case_no=one.why.case_no,
        created_at=one.created_at,
        ended_at=one.ended_at,
        expires_at=one.expires_at,
        seconds=one.seconds,
        seconds_done=round(one.seconds_done, 1),
        bytes_done=one.bytes_done,
        manifest_sha256=one.sha256,
        reason=one.reason,
        hint=one.hint,
        under_way=one.state in UNDER_WAY,
    )
