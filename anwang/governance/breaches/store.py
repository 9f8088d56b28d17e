"""The table of breaches and its queries. Nothing here deletes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Column, Index, Integer, Row, Table, Text, func, insert, or_, select, update

from anwang.governance.breaches.model import Breach, BreachId, BreachKind, BreachState, BreachStep, Done, Told
from anwang.governance.scopes import Scope
from anwang.kernel.ids import OrgId
from anwang.kernel.times import Span, from_micros, parse_rfc3339, rfc3339
from anwang.stores.state import Json, Moment, Tx, metadata

breaches = Table(
    "breaches",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("org_id", Text, nullable=False),  # the responsible organisation
    Column("org_name", Text, nullable=False),  # copy
    Column("org_path", Text, nullable=False),  # copy
    Column("title", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("found_at", Moment, nullable=False),
    Column("from_at", Moment, nullable=False),  # when it happened
    Column("until_at", Moment),  # NULL: it goes on, or nobody knows
    Column("kinds", Json, nullable=False),  # list of model.BreachKind
    Column("affected", Integer),  # people; NULL: not known yet
    Column("cause", Text, nullable=False),  # "", as the three below: nobody has written it yet
    Column("harm", Text, nullable=False),
    Column("measures", Text, nullable=False),
    Column("advice", Text, nullable=False),  # what people can do themselves
    Column("contact", Text, nullable=False),
    Column("state", Text, nullable=False),  # model.BreachState
    Column("steps", Json, nullable=False),  # list of step, moment, user name, note
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),  # user name
    Column("version", Integer, nullable=False),  # counts changes
)
Index("ix_breaches_found_at", breaches.c.found_at)
Index("ix_breaches_org_id", breaches.c.org_id)


def _breach(row: Row[Any]) -> Breach:
    return Breach(
        id=BreachId(row.id),
        org_id=OrgId(row.org_id),
        org_name=row.org_name,
        org_path=row.org_path,
        told=Told(
            title=row.title,
            what=row.what,
            found_at=row.found_at,
            from_at=row.from_at,
            until_at=row.until_at,
            kinds=tuple(BreachKind(each) for each in row.kinds),
            affected=row.affected,
            cause=row.cause,
            harm=row.harm,
            measures=row.measures,
            advice=row.advice,
            contact=row.contact,
        ),
        state=BreachState(row.state),
        created_at=row.created_at,
        created_by=row.created_by,
        steps=tuple(
            Done(step=BreachStep(step), at=parse_rfc3339(at), by=by, note=note) for step, at, by, note in row.steps
        ),
        version=row.version,
    )


def _values(one: Breach) -> Mapping[str, object]:
    told = one.told
    return {
        "org_id": one.org_id,
        "org_name": one.org_name,
        "org_path": one.org_path,
        "title": told.title,
        "what": told.what,
        "found_at": told.found_at,
        "from_at": told.from_at,
        "until_at": told.until_at,
        "kinds": [each.value for each in told.kinds],
        "affected": told.affected,
        "cause": told.cause,
        "harm": told.harm,
        "measures": told.measures,
        "advice": told.advice,
        "contact": told.contact,
        "state": one.state.value,
        "steps": [[each.step.value, rfc3339(each.at), each.by, each.note] for each in one.steps],
        "version": one.version,
    }


async def add(tx: Tx, one: Breach) -> None:
    """Insert a record."""
    await tx.execute(
        insert(breaches).values(id=one.id, created_at=one.created_at, created_by=one.created_by, **_values(one))
    )


async def save(tx: Tx, one: Breach) -> None:
    """What has become of it."""
    await tx.execute(update(breaches).where(breaches.c.id == one.id).values(**_values(one)))


async def one(tx: Tx, breach_id: str, *, seen_by: Scope, lock: bool = False) -> Breach | None:
    """One within the scope."""
    found = select(breaches).where(breaches.c.id == breach_id, seen_by.where(breaches.c.org_path))
    row = (await tx.execute(found.with_for_update() if lock else found)).first()
    return None if row is None else _breach(row)


async def page(tx: Tx, *, seen_by: Scope, states: Collection[BreachState], before: str, limit: int) -> list[Breach]:
    """Those within the scope, latest first, before that id ("" begins). states: empty for all."""
    found = select(breaches).where(seen_by.where(breaches.c.org_path))
    if states:
        found = found.where(breaches.c.state.in_([state.value for state in states]))
    if before:
        found = found.where(breaches.c.id < before)
    return [_breach(row) for row in await tx.execute(found.order_by(breaches.c.id.desc()).limit(limit))]


async def count(tx: Tx, *, seen_by: Scope, span: Span) -> dict[tuple[str, ...], int]:
    """How many in the scope were found in a span, by state."""
    found = (
        select(breaches.c.state, func.count().label("number"))
        .where(
            breaches.c.found_at >= from_micros(span.start),
            breaches.c.found_at < from_micros(span.end),
            seen_by.where(breaches.c.org_path),
        )
        .group_by(breaches.c.state)
    )
    return {(row.state,): row.number for row in await tx.execute(found)}


async def organisations(tx: Tx) -> list[OrgId]:
    """Those that are responsible for one."""
    return [OrgId(row.org_id) for row in await tx.execute(select(breaches.c.org_id).distinct())]


async def move(tx: Tx, org_id: str, *, name: str, path: str) -> None:
    """Renew the copies of an organisation's name and path."""
    other = or_(breaches.c.org_name != name, breaches.c.org_path != path)
    await tx.execute(update(breaches).where(breaches.c.org_id == org_id, other).values(org_name=name, org_path=path))
