"""The tables of anomalies and of how far the ledger was gone through, and their queries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    Row,
    Select,
    Table,
    Text,
    UniqueConstraint,
    func,
    or_,
    select,
    update,
)

from anwang.governance.oversight.model import Anomaly, AnomalyId, AnomalyRule, AnomalyState, Evidence
from anwang.governance.scopes import Hours, Scope
from anwang.governance.store import grants, users
from anwang.kernel.ids import UserId
from anwang.kernel.times import Span, from_micros
from anwang.stores.state import Json, Moment, Serial, Tx, metadata, upsert

anomalies = Table(
    "anomalies",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("rule", Text, nullable=False),  # model.AnomalyRule
    Column("user_id", Text, nullable=False),  # of the ledger; the account may be gone
    Column("username", Text, nullable=False),  # copy
    Column("unit", Text, nullable=False),  # copy of the organisation's name, as the ledger has it
    Column("org_path", Text, nullable=False),  # likewise; where there is the account, its own path counts
    Column("subject", Text, nullable=False),  # id of the point that came back; "": none
    Column("start_at", Moment, nullable=False),  # the window: [start_at, end_at)
    Column("end_at", Moment, nullable=False),
    Column("counted", Integer, nullable=False),
    Column("bound", Integer, nullable=False),  # that it passed
    Column("usual", Float),  # looks in the account's usual hour; NULL: not asked
    Column("evidence", Json, nullable=False),  # list of chain, number, look: the first rows
    Column("found_at", Moment, nullable=False),
    Column("state", Text, nullable=False),  # model.State
    Column("note", Text, nullable=False),  # the auditor's words
    Column("decided_at", Moment),  # NULL: open
    Column("decided_by", Text),  # user name
    UniqueConstraint("rule", "user_id", "subject", "start_at"),
)
Index("ix_anomalies_state", anomalies.c.state, anomalies.c.id)
Index("ix_anomalies_start_at", anomalies.c.start_at)

anomaly_marks = Table(
    "anomaly_marks",
    metadata,
    Column("pace", Text, primary_key=True),  # hour or day: how often such rules are asked
    Column("chain", Text, primary_key=True),  # of the ledger
    Column("seq", Serial, nullable=False),  # number of the last row that was gone through
    Column("at", Serial, nullable=False),  # its time, microseconds since 1970 UTC
)

KEY = ("rule", "user_id", "subject", "start_at")


def _path() -> ColumnElement[Any]:
    """Today's path of the account; the one in the ledger where it is gone."""
    return func.coalesce(users.c.org_path, anomalies.c.org_path)


def _found(seen_by: Scope) -> Select[Any]:
    joined = select(anomalies).join(users, users.c.id == anomalies.c.user_id, isouter=True)
    return joined.where(seen_by.where(_path()))


def _anomaly(row: Row[Any]) -> Anomaly:
    return Anomaly(
        id=AnomalyId(row.id),
        rule=AnomalyRule(row.rule),
        user_id=UserId(row.user_id),
        username=row.username,
        unit=row.unit,
        org_path=row.org_path,
        subject=row.subject,
        start=row.start_at,
        end=row.end_at,
        count=row.counted,
        bound=row.bound,
        usual=row.usual,
        evidence=tuple(Evidence(chain, seq, look) for chain, seq, look in row.evidence),
        found_at=row.found_at,
        state=AnomalyState(row.state),
        note=row.note,
        decided_at=row.decided_at,
        decided_by=row.decided_by or "",
    )


async def add(tx: Tx, found: Sequence[Anomaly]) -> None:
    """Insert those of which there is none yet with this rule, account, subject and window."""
    rows = [
        {
            "id": one.id,
            "rule": one.rule.value,
            "user_id": one.user_id,
            "username": one.username,
            "unit": one.unit,
            "org_path": one.org_path,
            "subject": one.subject,
            "start_at": one.start,
            "end_at": one.end,
            "counted": one.count,
            "bound": one.bound,
            "usual": one.usual,
            "evidence": [[each.chain, each.seq, each.look] for each in one.evidence],
            "found_at": one.found_at,
            "state": one.state.value,
            "note": one.note,
        }
        for one in found
    ]
    await upsert(tx, anomalies, rows, key_columns=KEY, update_columns=())


async def one(tx: Tx, anomaly_id: str, *, seen_by: Scope, lock: bool = False) -> Anomaly | None:
    """One within the scope."""
    found = _found(seen_by).where(anomalies.c.id == anomaly_id)
    row = (await tx.execute(found.with_for_update(of=anomalies) if lock else found)).first()
    return None if row is None else _anomaly(row)


async def page(tx: Tx, *, seen_by: Scope, states: Collection[AnomalyState], before: str, limit: int) -> list[Anomaly]:
    """Those within the scope, latest first, before that id ("" begins). states: empty for all."""
    found = _found(seen_by)
    if states:
        found = found.where(anomalies.c.state.in_([state.value for state in states]))
    if before:
        found = found.where(anomalies.c.id < before)
    return [_anomaly(row) for row in await tx.execute(found.order_by(anomalies.c.id.desc()).limit(limit))]


async def settle(tx: Tx, settled: Anomaly) -> None:
    """What an auditor has found of it."""
    await tx.execute(
        update(anomalies)
        .where(anomalies.c.id == settled.id)
        .values(
            state=settled.state.value,
            note=settled.note,
            decided_at=settled.decided_at,
            decided_by=settled.decided_by,
        )
    )


async def count_open(tx: Tx) -> int:
    """How many wait for an auditor, in the whole city: a number for the metrics."""
    found = select(func.count()).select_from(anomalies).where(anomalies.c.state == AnomalyState.OPEN.value)
    return int((await tx.execute(found)).scalar_one())


async def count(tx: Tx, *, seen_by: Scope, span: Span) -> dict[tuple[str, ...], int]:
    """How many there are in the scope whose window begins in the span, by rule and state."""
    columns = (anomalies.c.rule, anomalies.c.state)
    found = (
        select(*columns, func.count().label("number"))
        .join(users, users.c.id == anomalies.c.user_id, isouter=True)
        .where(
            anomalies.c.start_at >= from_micros(span.start),
            anomalies.c.start_at < from_micros(span.end),
            seen_by.where(_path()),
        )
        .group_by(*columns)
    )
    return {(row.rule, row.state): row.number for row in await tx.execute(found)}


async def ends_of_repeats(tx: Tx, since: datetime) -> dict[tuple[str, str], datetime]:
    """By account and point, the end of the newest repeat that ends after a moment, whoever asks."""
    found = (
        select(anomalies.c.user_id, anomalies.c.subject, func.max(anomalies.c.end_at).label("end_at"))
        .where(anomalies.c.rule == AnomalyRule.REPEATED.value, anomalies.c.end_at > since)
        .group_by(anomalies.c.user_id, anomalies.c.subject)
    )
    return {(row.user_id, row.subject): row.end_at for row in await tx.execute(found)}


async def marks(tx: Tx, pace: str) -> dict[str, tuple[int, int]]:
    """By chain, number and time of the last row that was gone through."""
    found = select(anomaly_marks).where(anomaly_marks.c.pace == pace)
    return {row.chain: (row.seq, row.at) for row in await tx.execute(found)}


async def put_marks(tx: Tx, pace: str, moved: Mapping[str, tuple[int, int]]) -> None:
    """The chains were gone through so far."""
    rows = [{"pace": pace, "chain": chain, "seq": seq, "at": at} for chain, (seq, at) in moved.items()]
    await upsert(tx, anomaly_marks, rows, key_columns=("pace", "chain"), update_columns=("seq", "at"))


async def hours_of(tx: Tx, ids: Sequence[str], now: datetime) -> dict[str, list[Hours]]:
    """Hours on duty of those accounts that have some: by their rights in force, where each of them names hours."""
    found = select(grants.c.user_id, grants.c.live_days, grants.c.live_start, grants.c.live_end).where(
        grants.c.user_id.in_(ids), grants.c.starts_at <= now, or_(grants.c.ends_at.is_(None), grants.c.ends_at > now)
    )
    known: dict[str, list[Hours]] = {}
    unlimited: set[str] = set()
    for row in await tx.execute(found):
        if row.live_days is None:
            unlimited.add(row.user_id)
        else:
            days = frozenset(day for day in range(7) if row.live_days >> day & 1)
            known.setdefault(row.user_id, []).append(Hours(days, row.live_start, row.live_end))
    return {user: hours for user, hours in known.items() if user not in unlimited}


async def programs(tx: Tx, ids: Sequence[str]) -> set[str]:
    """Those of the accounts that are programs'."""
    found = select(users.c.id).where(users.c.id.in_(ids), users.c.is_service.is_(True))
    return {row.id for row in await tx.execute(found)}
