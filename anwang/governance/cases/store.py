"""The tables of purposes and approvals, and their queries."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Row,
    Select,
    Table,
    Text,
    and_,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from anwang.governance.actions import Action
from anwang.governance.reasons import USABLE, Approval, ApprovalId, ApprovalState, Purpose, PurposeId, PurposeKind
from anwang.governance.scopes import CITY_PATH, Scope
from anwang.governance.store import users
from anwang.kernel.ids import UserId
from anwang.kernel.times import Span, from_micros, to_micros
from anwang.stores.state import Json, Moment, Tx, metadata

purposes = Table(
    "purposes",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("kind", Text, nullable=False),  # reasons.PurposeKind
    Column("case_no", Text, nullable=False),
    Column("unit", Text, nullable=False),  # whose case it is
    Column("note", Text, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),  # brought forward when it is closed
)
Index("ix_purposes_user_id", purposes.c.user_id, purposes.c.expires_at)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),  # who asks
    Column("username", Text, nullable=False),  # copy
    Column("user_unit", Text, nullable=False),  # copy of the organisation's name
    Column("action", Text, nullable=False),  # actions.Action
    Column("objects", Json, nullable=False),  # ids of points
    Column("org_path", Text, nullable=False),  # of the organisation above all of them
    Column("start_at", Moment, nullable=False),  # of the content: [start_at, end_at)
    Column("end_at", Moment, nullable=False),
    Column("purpose_id", Text, ForeignKey("purposes.id"), nullable=False),
    Column("why", Text, nullable=False),
    Column("state", Text, nullable=False),  # reasons.ApprovalState
    Column("is_urgent", Boolean, nullable=False),
    Column("is_aged", Boolean, nullable=False, server_default="0"),  # the content is so old that a senior decides
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),  # of the wait for a decision, or of the right to use it
    Column("decided_at", Moment),  # NULL: not decided
    Column("decided_by", Text),  # user name
    Column("decision", Text, nullable=False),  # the second person's words
    Column("uses", Integer, nullable=False),  # looks that were opened with it
)
Index("ix_approvals_state", approvals.c.state, approvals.c.expires_at)
Index("ix_approvals_user_id", approvals.c.user_id, approvals.c.id)


async def add_purpose(tx: Tx, one: Purpose) -> None:
    """Insert a purpose."""
    await tx.execute(
        insert(purposes).values(
            id=one.id,
            user_id=one.user_id,
            kind=one.kind.value,
            case_no=one.case_no,
            unit=one.unit,
            note=one.note,
            opened_at=one.opened_at,
            expires_at=one.expires_at,
        )
    )


def _purpose(row: Row[Any], prefix: str = "") -> Purpose:
    """prefix: of the columns' names in a row that holds more than the purpose."""

    def of(name: str) -> Any:
        return getattr(row, prefix + name)

    return Purpose(
        id=PurposeId(of("id")),
        user_id=UserId(of("user_id")),
        kind=PurposeKind(of("kind")),
        case_no=of("case_no"),
        unit=of("unit"),
        note=of("note"),
        opened_at=of("opened_at"),
        expires_at=of("expires_at"),
    )


async def purpose(tx: Tx, purpose_id: str, user_id: str) -> Purpose | None:
    """A purpose of that person, over or not."""
    found = select(purposes).where(purposes.c.id == purpose_id, purposes.c.user_id == user_id)
    row = (await tx.execute(found)).first()
    return None if row is None else _purpose(row)


async def purposes_page(tx: Tx, user_id: str, *, before: str, limit: int) -> list[Purpose]:
    """A person's purposes, latest first, before that id ("" begins)."""
    found = select(purposes).where(purposes.c.user_id == user_id)
    if before:
        found = found.where(purposes.c.id < before)
    return [_purpose(row) for row in await tx.execute(found.order_by(purposes.c.id.desc()).limit(limit))]


async def end_purpose(tx: Tx, purpose_id: str, now: datetime) -> None:
    """It is over now."""
    await tx.execute(
        update(purposes).where(purposes.c.id == purpose_id, purposes.c.expires_at > now).values(expires_at=now)
    )


async def add_approval(tx: Tx, one: Approval) -> None:
    """Insert a request."""
    await tx.execute(
        insert(approvals).values(
            id=one.id,
            user_id=one.user_id,
            username=one.username,
            user_unit=one.user_unit,
            action=one.action.value,
            objects=list(one.objects),
            org_path=one.org_path,
            start_at=from_micros(one.span.start),
            end_at=from_micros(one.span.end),
            purpose_id=one.purpose.id,
            why=one.why,
            state=one.state.value,
            is_urgent=one.is_urgent,
            is_aged=one.is_aged,
            created_at=one.created_at,
            expires_at=one.expires_at,
            decision=one.decision,
            uses=one.uses,
        )
    )


def _with_purpose() -> Select[Any]:
    names = [column.label(f"purpose_{column.name}") for column in purposes.c if column.name != "id"]
    return (
        select(approvals, users.c.org_path.label("user_path"), *names)
        .join(purposes, purposes.c.id == approvals.c.purpose_id)
        .join(users, users.c.id == approvals.c.user_id)
    )


def _approval(row: Row[Any]) -> Approval:
    return Approval(
        id=ApprovalId(row.id),
        user_id=UserId(row.user_id),
        username=row.username,
        user_unit=row.user_unit,
        user_path=row.user_path,
        action=Action(row.action),
        objects=tuple(row.objects),
        org_path=row.org_path,
        span=Span(to_micros(row.start_at), to_micros(row.end_at)),
        purpose=_purpose(row, "purpose_"),
        why=row.why,
        state=ApprovalState(row.state),
        is_urgent=row.is_urgent,
        is_aged=row.is_aged,
        created_at=row.created_at,
        expires_at=row.expires_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by or "",
        decision=row.decision,
        uses=row.uses,
    )


async def approval(tx: Tx, approval_id: str, *, seen_by: Scope, user_id: str, lock: bool = False) -> Approval | None:
    """A request of that person's own, or one within the scope."""
    found = _with_purpose().where(
        approvals.c.id == approval_id, or_(approvals.c.user_id == user_id, seen_by.where(approvals.c.org_path))
    )
    row = (await tx.execute(found.with_for_update(of=approvals) if lock else found)).first()
    return None if row is None else _approval(row)


async def approvals_page(
    tx: Tx,
    *,
    seen_by: Scope,
    user_id: str,
    states: Collection[ApprovalState],
    before: str,
    limit: int,
    senior_path: str | None = None,
) -> list[Approval]:
    """That person's own and those within the scope, latest first, before that id. states: empty for all. senior_path:
    not their own, and of those about old content only the ones of units below this path.
    """
    is_own, is_seen = approvals.c.user_id == user_id, seen_by.where(approvals.c.org_path)
    if senior_path is None:
        found = _with_purpose().where(or_(is_own, is_seen))
    else:
        is_below = and_(users.c.org_path != senior_path, users.c.org_path.startswith(senior_path, autoescape=True))
        found = _with_purpose().where(not_(is_own), is_seen)
        if senior_path != CITY_PATH:
            found = found.where(or_(not_(approvals.c.is_aged), is_below))
    if states:
        found = found.where(approvals.c.state.in_([state.value for state in states]))
    if before:
        found = found.where(approvals.c.id < before)
    return [_approval(row) for row in await tx.execute(found.order_by(approvals.c.id.desc()).limit(limit))]


async def usable(tx: Tx, user_id: str, action: Action, now: datetime) -> list[Approval]:
    """What a person may use now for that action, latest first."""
    found = _with_purpose().where(
        approvals.c.user_id == user_id,
        approvals.c.action == action.value,
        approvals.c.state.in_([state.value for state in USABLE]),
        approvals.c.expires_at > now,
    )
    return [_approval(row) for row in await tx.execute(found.order_by(approvals.c.id.desc()))]


async def save_approval(tx: Tx, one: Approval) -> None:
    """What has become of a request."""
    await tx.execute(
        update(approvals)
        .where(approvals.c.id == one.id)
        .values(
            state=one.state.value,
            expires_at=one.expires_at,
            decided_at=one.decided_at,
            decided_by=one.decided_by or None,
            decision=one.decision,
        )
    )


async def count_approvals(tx: Tx, *, seen_by: Scope, span: Span) -> dict[tuple[str, ...], int]:
    """How many requests were made in a span of points in the scope: by action, state, and urgent or not."""
    columns = (approvals.c.action, approvals.c.state, approvals.c.is_urgent)
    found = (
        select(*columns, func.count().label("number"))
        .where(
            approvals.c.created_at >= from_micros(span.start),
            approvals.c.created_at < from_micros(span.end),
            seen_by.where(approvals.c.org_path),
        )
        .group_by(*columns)
    )
    return {
        (row.action, row.state, "urgent" if row.is_urgent else "ordinary"): row.number
        for row in await tx.execute(found)
    }


async def refused(tx: Tx, user_id: str, action: Action, since: datetime) -> list[Approval]:
    """What a person asked for in urgency, and somebody refused since that moment."""
    found = _with_purpose().where(
        approvals.c.user_id == user_id,
        approvals.c.action == action.value,
        approvals.c.is_urgent,
        approvals.c.state == ApprovalState.REFUSED.value,
        approvals.c.decided_at >= since,
    )
    return [_approval(row) for row in await tx.execute(found)]


async def count_use(tx: Tx, approval_id: str) -> bool:
    """One more look was opened with it; False where it may not be used any more."""
    usable = approvals.c.state.in_([state.value for state in USABLE])
    counted = update(approvals).where(approvals.c.id == approval_id, usable).values(uses=approvals.c.uses + 1)
    return (await tx.execute(counted)).rowcount == 1


async def lapsed(tx: Tx, states: Collection[ApprovalState], now: datetime, limit: int) -> list[Approval]:
    """Requests in these states whose time has run out, locked."""
    found = (
        _with_purpose()
        .where(approvals.c.state.in_([state.value for state in states]), approvals.c.expires_at <= now)
        .order_by(approvals.c.id)
        .limit(limit)
        .with_for_update(of=approvals)
    )
    return [_approval(row) for row in await tx.execute(found)]


async def suspend(tx: Tx, user_id: str, why: str) -> None:
    """The account may not be used until somebody lifts it."""
    await tx.execute(update(users).where(users.c.id == user_id).values(disabled=True, suspended=why))
