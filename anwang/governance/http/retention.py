"""Routes of what was deleted, of deleting before the time, and of the daily reports of retention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, Field

from anwang.governance.actions import Action
from anwang.governance.http import Cursor, Limit, NamedDto, Shape, allow, governance_of
from anwang.governance.http.cases import no_object, point_of
from anwang.governance.model import Actor
from anwang.governance.retention import FindingKind, Proof, Reports, Retention, Sign, Summary
from anwang.governance.scopes import Object, Owned
from anwang.governance.service import Governance
from anwang.governance.words import one_line
from anwang.kernel.errors import Invalid
from anwang.kernel.ids import PointId
from anwang.kernel.times import Span, to_micros

Reader = Annotated[Actor, allow(Action.READ_DUTIES)]
ReadsReports = Annotated[Actor, allow(Action.READ_DUTIES, use="retention reports")]
Deletes = Annotated[Actor, allow(Action.DELETE)]
Governed = Annotated[Governance, Depends(governance_of)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What the routes need."""

    retention: Retention
    reports: Reports
    owned: Owned


class NewDeletionDto(Shape):
    """What to delete of a point before its time: what lies wholly within [start, end), which must be older than the
    minimum. why: stands in the proof.
    """

    start: AwareDatetime
    end: AwareDatetime
    why: str = Field(max_length=500)


class EarlyDeletionDto(Shape):
    """What a deletion did. held: recordings that a hold keeps. reaching: those that reach beyond the range, and stay.
    proofs: ids.
    """

    count: int
    bytes: int
    held: int
    reaching: int
    proofs: list[str]


class ProofDto(Shape):
    """The proof of a deletion. start, end: of what was deleted. digest: SHA-256 over its objects, as the ledger has it.

    by, second, approval, why: of two persons' deletion before the time; empty where the rules of retention deleted.
    """

    id: str
    keeper: str
    at: datetime
    count: int
    bytes: int
    start: datetime
    end: datetime
    digest: str
    by: str
    second: str
    approval: str
    why: str


class ProofsDto(Shape):
    """A page of proofs, latest first."""

    items: list[ProofDto]
    next: str | None


class GoneDto(Shape):
    """An object that was deleted. bytes, sha256: null where nobody knows."""

    id: str
    bytes: int | None
    sha256: str | None


class WholeProofDto(ProofDto):
    """With the objects."""

    objects: list[GoneDto]


class RetentionReportDto(Shape):
    """A civil day's report. counts: findings by kind. deleted, deleted_bytes: on that day. failed: why keepers could
    not delete when it was made. left_out: findings beyond those that are listed. digest: as the ledger has it.
    """

    day: date
    made_at: datetime
    counts: dict[FindingKind, int]
    deleted: int
    deleted_bytes: int
    failed: dict[str, str]
    left_out: int
    digest: str


class RetentionReportsDto(Shape):
    """A page of reports, latest first."""

    items: list[RetentionReportDto]
    next: str | None


class RetentionFindingDto(Shape):
    """Content of one point that is kept too long or too short, or was deleted before its time. point: null where it is
    no single one's; without a name where the registry knows it no more. since: where the oldest of it begins.
    """

    id: str
    kind: FindingKind
    keeper: str
    point: NamedDto | None
    point_class: int
    count: int
    bytes: int
    since: datetime
    why: str


class RetentionFindingsDto(Shape):
    """A page of findings."""

    items: list[RetentionFindingDto]
    next: str | None


def build_router(engine: Engine) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["retention"])
    _add_deletions(router, engine)
    _add_reports(router, engine)
    return router


def _add_deletions(router: APIRouter, engine: Engine) -> None:
    @router.post("/points/{point_id}/deletions", status_code=201)
    async def delete_early(
        actor: Deletes, governance: Governed, point_id: str, body: NewDeletionDto
    ) -> EarlyDeletionDto:
        """Delete recordings that have served their purpose, with a second person's yes. Nothing that is held."""
        found = await engine.owned([point_of(point_id)])
        if not found:
            raise no_object()
        (point,) = found.values()
        span = Span(to_micros(body.start), to_micros(body.end))
        if span.end <= span.start:
            raise Invalid("the range is empty", "`end` must be after `start`")
        why = one_line(body.why, "the reason", most=500)
        async with governance.look(actor, Action.DELETE, [point], span=span, detail=f"{span.told()}: {why}") as look:
            agreed = look.approval
            done = await engine.retention.delete_early(
                point,
                span,
                Sign(
                    actor=actor,
                    second=agreed.decided_by if agreed else "",
                    approval=agreed.id if agreed else "",
                    why=why,
                ),
            )
            look.bytes = done.bytes
        return EarlyDeletionDto(
            count=done.count, bytes=done.bytes, held=done.held, reaching=done.reaching, proofs=list(done.proofs)
        )

    @router.get("/deletions")
    async def list_deletions(
        actor: Reader,
        by_hand: Annotated[bool, Query(description="only what persons deleted before its time")] = False,
        since: Annotated[AwareDatetime | None, Query(description="deleted at or after")] = None,
        until: Annotated[AwareDatetime | None, Query(description="deleted before")] = None,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> ProofsDto:
        """The proofs of deletions, latest first."""
        page = await engine.retention.proofs(actor, by_hand=by_hand, span=(since, until), cursor=cursor, limit=limit)
        return ProofsDto(items=[_proof(one) for one in page.items], next=page.next)

    @router.get("/deletions/{deletion_id}")
    async def read_deletion(actor: Reader, deletion_id: str) -> WholeProofDto:
        """A proof with every object."""
        one = await engine.retention.proof(actor, deletion_id)
        gone = [GoneDto(id=each.id, bytes=each.bytes, sha256=each.sha256) for each in one.objects]
        return WholeProofDto(**_proof(one).model_dump(), objects=gone)


def _add_reports(router: APIRouter, engine: Engine) -> None:
    @router.get("/retention/reports")
    async def list_reports(actor: ReadsReports, cursor: Cursor = "", limit: Limit = 50) -> RetentionReportsDto:
        """The daily reports, latest first."""
        page = await engine.reports.page(actor, cursor=cursor, limit=limit)
        return RetentionReportsDto(items=[_report(one) for one in page.items], next=page.next)

    @router.get("/retention/reports/{day}")
    async def list_findings(
        actor: ReadsReports,
        day: date,
        kind: Annotated[FindingKind | None, Query(description="only of this kind")] = None,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> RetentionFindingsDto:
        """What a day's report found."""
        page = await engine.reports.findings(actor, day, kind=kind, cursor=cursor, limit=limit)
        known = await engine.owned(sorted({one.point for one in page.items if one.point is not None}))
        items = [
            RetentionFindingDto(
                id=one.id,
                kind=one.kind,
                keeper=one.keeper,
                point=None if one.point is None else _named(one.point, known),
                point_class=one.point_class,
                count=one.count,
                bytes=one.bytes,
                since=one.since,
                why=one.why,
            )
            for one in page.items
        ]
        return RetentionFindingsDto(items=items, next=page.next)


def _named(point: PointId, known: Mapping[PointId, Object]) -> NamedDto:
    return NamedDto(id=point, name=known[point].name if point in known else "")


def _proof(one: Proof) -> ProofDto:
    return ProofDto(
        id=one.id,
        keeper=one.keeper,
        at=one.at,
        count=one.count,
        bytes=one.bytes,
        start=one.first_at,
        end=one.last_at,
        digest=one.digest,
        by=one.by,
        second=one.second,
        approval=one.approval,
        why=one.why,
    )


def _report(one: Summary) -> RetentionReportDto:
    return RetentionReportDto(
        day=one.report.day,
        made_at=one.report.made_at,
        counts=dict(one.counts),
        deleted=one.deleted,
        deleted_bytes=one.deleted_bytes,
        failed=dict(one.report.failed),
        left_out=one.report.left_out,
        digest=one.report.digest,
    )
