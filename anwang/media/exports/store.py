"""The table of exports, and its queries."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Row,
    Table,
    Text,
    and_,
    func,
    insert,
    or_,
    select,
    update,
)

from anwang.governance import Scope
from anwang.kernel.ids import PointId, UserId
from anwang.kernel.times import Span
from anwang.media.export import Redaction
from anwang.media.exports.model import UNDER_WAY, Choice, Covered, Export, ExportForm, ExportId, ExportState, Item, Why
from anwang.stores.state import Json, Moment, Tx, metadata

exports = Table(
    "exports",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("user_id", Text, nullable=False),  # who asked
    Column("username", Text, nullable=False),  # copy
    Column("display_name", Text, nullable=False),  # copy
    Column("role", Text, nullable=False),  # then
    Column("unit", Text, nullable=False),  # copy of the organisation's name
    Column("org_path", Text, nullable=False),  # of the organisation above all its points
    Column("state", Text, nullable=False),  # model.ExportState
    Column("choice", Json, nullable=False),  # model.Choice
    Column("why", Json, nullable=False),  # model.Why
    Column("items", Json, nullable=False),  # list of point, code, name, start and end in µs, is_clear
    Column("covered", Json, nullable=False),  # list of point, start and end in µs, polygon
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),  # NULL: it is under way
    Column("expires_at", Moment),  # of the package; NULL: there never was one
    Column("reason", Text, nullable=False),  # why it failed; "": it did not
    Column("hint", Text, nullable=False),
    Column("bytes_done", BigInteger, nullable=False),  # size of the package
    Column("seconds_done", Float, nullable=False),  # of footage
    Column("sha256", Text, nullable=False),  # of the package's manifest, hex; "": there never was one
)
Index("ix_exports_user_id", exports.c.user_id, exports.c.id)
Index("ix_exports_org_path", exports.c.org_path, exports.c.id)
Index("ix_exports_state", exports.c.state, exports.c.expires_at)


def _values(one: Export) -> dict[str, object]:
    return {
        "state": one.state.value,
        "ended_at": one.ended_at,
        "expires_at": one.expires_at,
        "reason": one.reason,
        "hint": one.hint,
        "bytes_done": one.bytes_done,
        "seconds_done": one.seconds_done,
        "sha256": one.sha256,
    }


async def add(tx: Tx, one: Export) -> None:
    """Insert an export."""
    choice, why = one.choice, one.why
    await tx.execute(
        insert(exports).values(
            id=one.id,
            user_id=one.user_id,
            username=one.username,
            display_name=one.display_name,
            role=one.role,
            unit=one.unit,
            org_path=one.org_path,
            choice={
                "form": choice.form.value,
                "with_mark": choice.with_mark,
                "with_sound": choice.with_sound,
                "note": choice.note,
                "recipient": choice.recipient,
            },
            why={"id": why.id, "kind": why.kind, "case_no": why.case_no, "unit": why.unit},
            items=[[x.point, x.code, x.name, x.span.start, x.span.end, x.is_clear] for x in one.items],
            covered=[
                [x.point, x.redaction.span.start, x.redaction.span.end, [list(v) for v in x.redaction.polygon]]
                for x in one.covered
            ],
            created_at=one.created_at,
            **_values(one),
        )
    )


async def save(tx: Tx, one: Export) -> None:
    """What has become of it."""
    await tx.execute(update(exports).where(exports.c.id == one.id).values(**_values(one)))


async def get(tx: Tx, export_id: str, *, seen_by: Scope, user_id: str, lock: bool = False) -> Export | None:
    """One of that person's own, or one within the scope."""
    found = select(exports).where(
        exports.c.id == export_id, or_(exports.c.user_id == user_id, seen_by.where(exports.c.org_path))
    )
    row = (await tx.execute(found.with_for_update() if lock else found)).first()
    return None if row is None else _export(row)


async def page(tx: Tx, *, seen_by: Scope, user_id: str, before: str, limit: int) -> list[Export]:
    """That person's own and those within the scope, latest first, before that id."""
    found = select(exports).where(or_(exports.c.user_id == user_id, seen_by.where(exports.c.org_path)))
    if before:
        found = found.where(exports.c.id < before)
    return [_export(row) for row in await tx.execute(found.order_by(exports.c.id.desc()).limit(limit))]


async def under_way(tx: Tx, *, user_id: str = "") -> int:
    """How many wait or run, of everybody or of one person."""
    found = select(func.count()).where(exports.c.state.in_(sorted(state.value for state in UNDER_WAY)))
    if user_id:
        found = found.where(exports.c.user_id == user_id)
    return int((await tx.execute(found)).scalar_one())


async def in_states(tx: Tx, states: Collection[ExportState], *, limit: int) -> list[Export]:
    """Those in these states, whoever asked: what the program itself must go on with."""
    found = select(exports).where(exports.c.state.in_(sorted(state.value for state in states)))
    return [_export(row) for row in await tx.execute(found.order_by(exports.c.id).limit(limit))]


async def expired(tx: Tx, now: datetime, *, after: tuple[datetime, str] | None, limit: int) -> list[Export]:
    """Packages whose time is over, whoever asked, oldest first. after: end and id of the last one seen."""
    found = select(exports).where(exports.c.state == ExportState.READY.value, exports.c.expires_at <= now)
    if after is not None:
        ends, last = after
        later = and_(exports.c.expires_at == ends, exports.c.id > last)
        found = found.where(or_(exports.c.expires_at > ends, later))
    rows = await tx.execute(found.order_by(exports.c.expires_at, exports.c.id).limit(limit))
    return [_export(row) for row in rows]


def _export(row: Row[Any]) -> Export:
    return Export(
        id=ExportId(row.id),
        user_id=UserId(row.user_id),
        username=row.username,
        display_name=row.display_name,
        role=row.role,
        unit=row.unit,
        org_path=row.org_path,
        choice=Choice(
            form=ExportForm(row.choice["form"]),
            with_mark=row.choice["with_mark"],
            with_sound=row.choice["with_sound"],
            note=row.choice["note"],
            recipient=row.choice["recipient"],
        ),
        why=Why(**row.why),
        items=tuple(
            Item(point=PointId(point), code=code, name=name, span=Span(start, end), is_clear=is_clear)
            for point, code, name, start, end, is_clear in row.items
        ),
        covered=tuple(
            Covered(
                point=PointId(point),
                redaction=Redaction(span=Span(start, end), polygon=tuple((x, y) for x, y in polygon)),
            )
            for point, start, end, polygon in row.covered
        ),
        state=ExportState(row.state),
        created_at=row.created_at,
        ended_at=row.ended_at,
        expires_at=row.expires_at,
        reason=row.reason,
        hint=row.hint,
        bytes_done=row.bytes_done,
        seconds_done=row.seconds_done,
        sha256=row.sha256,
    )
