"""Holds, the proofs of what was deleted, and the daily reports."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    Row,
    Select,
    Table,
    Text,
    and_,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    type_coerce,
    update,
)

from anwang.governance.retention.model import Finding, FindingKind, Gone, Hold, Proof, Report
from anwang.governance.scopes import Scope
from anwang.governance.store import users
from anwang.kernel.ids import PointId
from anwang.stores.state import Json, Moment, Serial, Tx, metadata

ROWS = 1000
"""Rows of one statement."""

holds = Table(
    "holds",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("point_id", Text, nullable=False),
    Column("org_path", Text, nullable=False),  # the point's organisation when the hold was made
    Column("start_at", Moment, nullable=False),  # [start_at, end_at)
    Column("end_at", Moment, nullable=False),
    Column("owner_id", Text, ForeignKey("users.id"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("review_at", Moment, nullable=False),  # someone must look at it again by then; it holds on until released
    Column("created_at", Moment, nullable=False),
    Column("released_at", Moment),  # NULL: it holds
    Column("released_by", Text),
)
Index("ix_holds_point_id", holds.c.point_id, holds.c.end_at)

deletions = Table(
    "deletions",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("keeper", Text, nullable=False),  # whose objects
    Column("at", Moment, nullable=False),
    Column("count", Integer, nullable=False),
    Column("bytes", Serial, nullable=False),
    Column("first_at", Moment, nullable=False),  # the content's span
    Column("last_at", Moment, nullable=False),
    Column("objects", Json, nullable=False),  # [id, bytes, SHA-256] each, at most one batch; before 0008 ids alone
    Column("digest", Text, nullable=False),  # model.digest of them, as the ledger has it
    Column("org_path", Text, nullable=False, server_default=text("'/'")),  # above all its points; before 0008 the root
    Column("by_name", Text, nullable=False, server_default=text("''")),  # who deleted early; empty: the engine
    Column("second", Text, nullable=False, server_default=text("''")),  # who agreed to that
    Column("approval", Text, nullable=False, server_default=text("''")),
    Column("why", Text, nullable=False, server_default=text("''")),
)
Index("ix_deletions_at", deletions.c.at)

reports = Table(
    "retention_reports",
    metadata,
    Column("day", Text, primary_key=True),  # civil day in China, YYYY-MM-DD
    Column("made_at", Moment, nullable=False),
    Column("failed", Json, nullable=False),  # {keeper: why} of the engine's last run then
    Column("left_out", Integer, nullable=False),  # findings beyond those that are listed
    Column("digest", Text, nullable=False),  # report.digest, as the ledger has it
)

findings = Table(
    "retention_findings",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("day", Text, ForeignKey("retention_reports.day"), nullable=False),
    Column("kind", Text, nullable=False),  # model.FindingKind
    Column("keeper", Text, nullable=False),
    Column("point_id", Text, nullable=False),  # empty where the content has no point
    Column("org_path", Text, nullable=False),  # the point's organisation on that day
    Column("point_class", Integer, nullable=False),
    Column("count", Integer, nullable=False),  # objects
    Column("bytes", Serial, nullable=False),
    Column("since", Moment, nullable=False),  # where its oldest content begins
    Column("why", Text, nullable=False),
)
Index("ix_retention_findings_day", findings.c.day, findings.c.kind, findings.c.id)


async def add_hold(tx: Tx, **values: object) -> None:
    """Insert a hold."""
    await tx.execute(insert(holds).values(**values))


async def release_hold(tx: Tx, hold_id: str, *, seen_by: Scope, now: datetime, by: str) -> PointId | None:
    """End a hold within the scope; the point that it was of, None where there was none."""
    done = await tx.execute(
        update(holds)
        .where(holds.c.id == hold_id, holds.c.released_at.is_(None), seen_by.where(holds.c.org_path))
        .values(released_at=now, released_by=by)
        .returning(holds.c.point_id)
    )
    row = done.first()
    return None if row is None else PointId(row.point_id)


def _holding() -> Select[Any]:
    """Holds that hold, with the name of who placed them: a removed account keeps its row."""
    joined = holds.join(users, users.c.id == holds.c.owner_id)
    chosen = select(holds, users.c.display_name.label("owner_name"))
    return chosen.select_from(joined).where(holds.c.released_at.is_(None))


async def holds_page(
    tx: Tx, *, seen_by: Scope, point_id: str | None, review_until: datetime | None, after: str, limit: int
) -> list[dict[str, Any]]:
    """Holds that hold, by id after this one. review_until: only those to be looked at again by then."""
    found = _holding().where(seen_by.where(holds.c.org_path), holds.c.id > after)
    if point_id is not None:
        found = found.where(holds.c.point_id == point_id)
    if review_until is not None:
        found = found.where(holds.c.review_at <= review_until)
    rows = await tx.execute(found.order_by(holds.c.id).limit(limit))
    return [dict(row._mapping) for row in rows]


async def held_spans(tx: Tx, points: Sequence[PointId]) -> list[tuple[PointId, datetime, datetime]]:
    """The spans that are held of these points, whoever asks: retention must see all."""
    found = select(holds.c.point_id, holds.c.start_at, holds.c.end_at).where(
        holds.c.released_at.is_(None), holds.c.point_id.in_(list(points))
    )
    return [(PointId(row.point_id), row.start_at, row.end_at) for row in await tx.execute(found)]


async def holds_within(
    tx: Tx, points: Sequence[PointId], *, start_at: datetime, end_at: datetime
) -> list[dict[str, Any]]:
    """Holds of these points that reach into [start_at, end_at); who may see the points was decided before."""
    found = _holding().where(
        holds.c.point_id.in_(list(points)),
        holds.c.start_at < end_at,
        holds.c.end_at > start_at,
    )
    return [dict(row._mapping) for row in await tx.execute(found.order_by(holds.c.start_at, holds.c.id))]


def hold(row: Mapping[str, Any]) -> Hold:
    """A row of `holds_page` or `holds_within`."""
    return Hold(
        id=row["id"],
        point=PointId(row["point_id"]),
        org_path=row["org_path"],
        start_at=row["start_at"],
        end_at=row["end_at"],
        owner_id=row["owner_id"],
        owner_name=row["owner_name"],
        reason=row["reason"],
        review_at=row["review_at"],
        created_at=row["created_at"],
    )


async def add_proof(tx: Tx, proof: Proof) -> None:
    """Insert the proof of a deletion."""
    values: dict[str, object] = {
        "id": proof.id,
        "keeper": proof.keeper,
        "at": proof.at,
        "count": proof.count,
        "bytes": proof.bytes,
        "first_at": proof.first_at,
        "last_at": proof.last_at,
        "org_path": proof.org_path,
        "objects": [[one.id, one.bytes, one.sha256] for one in proof.objects],
        "digest": proof.digest,
        "by_name": proof.by,
        "second": proof.second,
        "approval": proof.approval,
        "why": proof.why,
    }
    await tx.execute(insert(deletions).values(values))


_HEADS = [column for column in deletions.c if column.name != "objects"]


async def proofs_page(
    tx: Tx,
    *,
    seen_by: Scope,
    by_hand: bool = False,
    start_at: datetime | None,
    end_at: datetime | None,
    before: str = "",
    limit: int,
) -> list[Proof]:
    """Proofs without their objects, latest first. by_hand: only what persons deleted. [start_at, end_at): of when."""
    found = select(*_HEADS).where(seen_by.where(deletions.c.org_path))
    if by_hand:
        found = found.where(deletions.c.by_name != "")
    if start_at is not None:
        found = found.where(deletions.c.at >= start_at)
    if end_at is not None:
        found = found.where(deletions.c.at < end_at)
    if before:
        found = found.where(deletions.c.id < before)
    return [_proof(row) for row in await tx.execute(found.order_by(deletions.c.id.desc()).limit(limit))]


async def odd_proofs(
    tx: Tx, *, start_at: datetime, end_at: datetime, minimum: timedelta, copies: Collection[str], limit: int
) -> list[Proof]:
    """Proofs of [start_at, end_at) that persons left, or that took what was younger than the minimum; no objects.

    copies: keepers for which there is no minimum.
    """
    least = minimum // timedelta(microseconds=1)
    is_young = type_coerce(deletions.c.last_at, BigInteger) > type_coerce(deletions.c.at, BigInteger) - least
    early = and_(is_young, deletions.c.keeper.not_in(sorted(copies)))
    found = (
        select(*_HEADS)
        .where(deletions.c.at >= start_at, deletions.c.at < end_at, or_(deletions.c.by_name != "", early))
        .order_by(deletions.c.id)
        .limit(limit)
    )
    return [_proof(row) for row in await tx.execute(found)]


async def proof(tx: Tx, proof_id: str, *, seen_by: Scope) -> Proof | None:
    """One proof with its objects."""
    found = select(deletions).where(deletions.c.id == proof_id, seen_by.where(deletions.c.org_path))
    row = (await tx.execute(found)).first()
    return None if row is None else replace(_proof(row), objects=[_gone(one) for one in row.objects])


def _gone(told: Any) -> Gone:  # as it stands in the column
    return Gone(told, None, None) if isinstance(told, str) else Gone(*told)


def _proof(row: Row[Any]) -> Proof:
    return Proof(
        id=row.id,
        keeper=row.keeper,
        at=row.at,
        count=row._mapping["count"],
        bytes=row.bytes,
        first_at=row.first_at,
        last_at=row.last_at,
        org_path=row.org_path,
        digest=row.digest,
        by=row.by_name,
        second=row.second,
        approval=row.approval,
        why=row.why,
    )


async def add_report(tx: Tx, report: Report, found: Sequence[Finding]) -> None:
    """Insert a day's report with its findings."""
    head = {"day": report.day.isoformat(), "made_at": report.made_at, "failed": dict(report.failed)}
    await tx.execute(insert(reports).values(**head, left_out=report.left_out, digest=report.digest))
    rows = [
        {
            "id": one.id,
            "day": report.day.isoformat(),
            "kind": one.kind.value,
            "keeper": one.keeper,
            "point_id": one.point or "",
            "org_path": one.org_path,
            "point_class": one.point_class,
            "count": one.count,
            "bytes": one.bytes,
            "since": one.since,
            "why": one.why,
        }
        for one in found
    ]
    for at in range(0, len(rows), ROWS):
        await tx.execute(insert(findings), rows[at : at + ROWS])


async def has_report(tx: Tx, day: date) -> bool:
    """Whether a day has its report."""
    return (await tx.execute(select(reports.c.day).where(reports.c.day == day.isoformat()))).first() is not None


async def report(tx: Tx, day: date) -> Report | None:
    """A day's report, without its findings."""
    row = (await tx.execute(select(reports).where(reports.c.day == day.isoformat()))).first()
    return None if row is None else _report(row)


async def reports_page(tx: Tx, *, before: str, limit: int) -> list[Report]:
    """Reports, latest first."""
    found = select(reports).order_by(reports.c.day.desc()).limit(limit)
    if before:
        found = found.where(reports.c.day < before)
    return [_report(row) for row in await tx.execute(found)]


async def counts(tx: Tx, days: Sequence[date], *, seen_by: Scope) -> dict[date, dict[FindingKind, int]]:
    """How many findings of each kind the days have within the scope."""
    found = (
        select(findings.c.day, findings.c.kind, func.count().label("found"))
        .where(findings.c.day.in_([day.isoformat() for day in days]), seen_by.where(findings.c.org_path))
        .group_by(findings.c.day, findings.c.kind)
    )
    counted: dict[date, dict[FindingKind, int]] = {day: {} for day in days}
    for row in await tx.execute(found):
        counted[date.fromisoformat(row.day)][FindingKind(row.kind)] = row.found
    return counted


async def breaches(tx: Tx, first: date, end: date, *, seen_by: Scope) -> dict[tuple[str, ...], int]:
    """Of the reports of days in [first, end): of how many points, by kind, something was kept wrongly, those that are
    wrong on several days once; what belongs to no point counts by itself.
    """
    wrong = [kind.value for kind in (FindingKind.LATE, FindingKind.SHORT, FindingKind.EARLY)]
    each = (
        select(
            findings.c.kind,
            findings.c.keeper,
            case((findings.c.point_id == "", findings.c.id), else_=findings.c.point_id).label("subject"),
        )
        .where(
            findings.c.day >= first.isoformat(),
            findings.c.day < end.isoformat(),
            findings.c.kind.in_(wrong),
            seen_by.where(findings.c.org_path),
        )
        .distinct()
        .subquery()
    )
    found = await tx.execute(select(each.c.kind, func.count().label("found")).group_by(each.c.kind))
    return {(row.kind,): row.found for row in found}


async def deleted_on(tx: Tx, span: tuple[datetime, datetime], *, seen_by: Scope) -> tuple[int, int]:
    """Objects and bytes that were deleted within [start, end), within the scope."""
    total = select(func.coalesce(func.sum(deletions.c.count), 0), func.coalesce(func.sum(deletions.c.bytes), 0))
    found = total.where(deletions.c.at >= span[0], deletions.c.at < span[1], seen_by.where(deletions.c.org_path))
    row = (await tx.execute(found)).one()
    return int(row[0]), int(row[1])


async def findings_page(
    tx: Tx, day: date, *, kind: FindingKind | None, seen_by: Scope, after: str, limit: int
) -> list[Finding]:
    """What a day's report found within the scope, in the order in which it was found."""
    found = select(findings).where(
        findings.c.day == day.isoformat(), findings.c.id > after, seen_by.where(findings.c.org_path)
    )
    if kind is not None:
        found = found.where(findings.c.kind == kind.value)
    return [_finding(row) for row in await tx.execute(found.order_by(findings.c.id).limit(limit))]


async def forget_reports(tx: Tx, before: date) -> None:
    """Drop the reports of days before this one."""
    await tx.execute(delete(findings).where(findings.c.day < before.isoformat()))
    await tx.execute(delete(reports).where(reports.c.day < before.isoformat()))


def _report(row: Row[Any]) -> Report:
    return Report(
        day=date.fromisoformat(row.day),
        made_at=row.made_at,
        failed=row.failed,
        left_out=row.left_out,
        digest=row.digest,
    )


def _finding(row: Row[Any]) -> Finding:
    return Finding(
        id=row.id,
        kind=FindingKind(row.kind),
        keeper=row.keeper,
        point=PointId(row.point_id) if row.point_id else None,
        org_path=row.org_path,
        point_class=row.point_class,
        count=row._mapping["count"],
        bytes=row.bytes,
        since=row.since,
        why=row.why,
    )
