"""The tables of sharing agreements and their queries. Nothing here deletes an agreement."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ForeignKey, Index, Integer, Row, Table, Text, delete, insert, or_, select, update

from anwang.governance.actions import Action
from anwang.governance.reasons import PurposeKind
from anwang.governance.scopes import Area, Scope
from anwang.governance.sharing.model import (
    Account,
    Agreement,
    AgreementState,
    AgreementStep,
    Done,
    Said,
)
from anwang.governance.terms import AgreementId, Terms
from anwang.kernel.ids import OrgId, UserId
from anwang.kernel.times import parse_rfc3339, rfc3339
from anwang.stores.state import Json, Moment, Tx, metadata

agreements = Table(
    "agreements",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("number", Text, nullable=False),  # of the document
    Column("department", Text, nullable=False),  # the partner's
    Column("unit", Text, nullable=False),  # the partner's
    Column("contact", Text, nullable=False),  # the partner's
    Column("legal_basis", Text, nullable=False),
    Column("kind", Text, nullable=False),  # reasons.PurposeKind
    Column("purpose", Text, nullable=False),  # in words
    Column("org_id", Text, nullable=False),  # points below it
    Column("org_name", Text, nullable=False),  # copy
    Column("org_path", Text, nullable=False),  # copy
    Column("departments", Json, nullable=False),  # only those of one of these codes; empty: of all
    Column("classes", Json, nullable=False),  # point classes, likewise
    Column("kinds", Json, nullable=False),  # kinds of points, likewise
    Column("zones", Json, nullable=False),  # network zones, likewise
    Column("actions", Json, nullable=False),  # list of actions.Action
    Column("fields", Json, nullable=False),  # keys of fields of points that may leave
    Column("starts_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),  # not included
    Column("state", Text, nullable=False),  # model.AgreementState as people made it, without what the days make of it
    Column("steps", Json, nullable=False),  # list of step, moment, user name, note
    Column("written_by", Text, nullable=False),  # account of whoever wrote it last
    Column("writer", Text, nullable=False),  # and the user name
    Column("created_at", Moment, nullable=False),
    Column("version", Integer, nullable=False),  # counts changes
)
Index("ix_agreements_org_id", agreements.c.org_id)

agreement_accounts = Table(
    "agreement_accounts",
    metadata,
    Column("agreement_id", Text, ForeignKey("agreements.id"), primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("username", Text, nullable=False),  # copy; it never changes
)
Index("ix_agreement_accounts_user_id", agreement_accounts.c.user_id)

GIVES = (AgreementState.AGREED.value,)
"""Stored states in which it lets its accounts do something on its days."""
HOLDS = (AgreementState.AGREED.value, AgreementState.SUSPENDED.value)
"""Stored states in which it keeps its accounts for itself on its days."""


def _agreement(row: Row[Any], accounts: Iterable[Account]) -> Agreement:
    return Agreement(
        id=AgreementId(row.id),
        said=Said(
            number=row.number,
            department=row.department,
            unit=row.unit,
            contact=row.contact,
            legal_basis=row.legal_basis,
            kind=PurposeKind(row.kind),
            purpose=row.purpose,
            org_id=OrgId(row.org_id),
            org_name=row.org_name,
            area=Area(
                row.org_path,
                departments=frozenset(row.departments),
                classes=frozenset(row.classes),
                kinds=frozenset(row.kinds),
                zones=frozenset(row.zones),
            ),
            actions=frozenset(Action(each) for each in row.actions),
            fields=frozenset(row.fields),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
        ),
        accounts=tuple(accounts),
        stored=AgreementState(row.state),
        written_by=UserId(row.written_by),
        writer=row.writer,
        created_at=row.created_at,
        steps=tuple(
            Done(step=AgreementStep(step), at=parse_rfc3339(at), by=by, note=note) for step, at, by, note in row.steps
        ),
        version=row.version,
    )


def _values(one: Agreement) -> Mapping[str, object]:
    said = one.said
    return {
        "number": said.number,
        "department": said.department,
        "unit": said.unit,
        "contact": said.contact,
        "legal_basis": said.legal_basis,
        "kind": said.kind.value,
        "purpose": said.purpose,
        "org_id": said.org_id,
        "org_name": said.org_name,
        "org_path": said.area.org_path,
        "departments": sorted(said.area.departments),
        "classes": sorted(said.area.classes),
        "kinds": sorted(said.area.kinds),
        "zones": sorted(said.area.zones),
        "actions": sorted(said.actions),
        "fields": sorted(said.fields),
        "starts_at": said.starts_at,
        "ends_at": said.ends_at,
        "state": one.stored.value,
        "steps": [[each.step.value, rfc3339(each.at), each.by, each.note] for each in one.steps],
        "written_by": one.written_by,
        "writer": one.writer,
        "version": one.version,
    }


async def add(tx: Tx, one: Agreement) -> None:
    """Insert a draft."""
    await tx.execute(insert(agreements).values(id=one.id, created_at=one.created_at, **_values(one)))
    await _put_accounts(tx, one)


async def save(tx: Tx, one: Agreement) -> None:
    """What has become of it."""
    await tx.execute(update(agreements).where(agreements.c.id == one.id).values(**_values(one)))
    await tx.execute(delete(agreement_accounts).where(agreement_accounts.c.agreement_id == one.id))
    await _put_accounts(tx, one)


async def _put_accounts(tx: Tx, one: Agreement) -> None:
    rows = [{"agreement_id": one.id, "user_id": each.id, "username": each.username} for each in one.accounts]
    if rows:
        await tx.execute(insert(agreement_accounts), rows)


async def _accounts(tx: Tx, ids: Collection[str]) -> dict[str, list[Account]]:
    found = (
        select(agreement_accounts)
        .where(agreement_accounts.c.agreement_id.in_(list(ids)))
        .order_by(agreement_accounts.c.username)
    )
    by_agreement: dict[str, list[Account]] = {}
    for row in await tx.execute(found):
        by_agreement.setdefault(row.agreement_id, []).append(Account(UserId(row.user_id), row.username))
    return by_agreement


async def one(tx: Tx, agreement_id: str, *, seen_by: Scope, lock: bool = False) -> Agreement | None:
    """One whose points lie within the scope."""
    found = select(agreements).where(agreements.c.id == agreement_id, seen_by.where(agreements.c.org_path))
    row = (await tx.execute(found.with_for_update() if lock else found)).first()
    return None if row is None else _agreement(row, (await _accounts(tx, [row.id])).get(row.id, []))


async def page(tx: Tx, *, seen_by: Scope, before: str, limit: int) -> list[Agreement]:
    """Those whose points lie within the scope, latest first, before that id ("" begins)."""
    found = select(agreements).where(seen_by.where(agreements.c.org_path))
    if before:
        found = found.where(agreements.c.id < before)
    rows = (await tx.execute(found.order_by(agreements.c.id.desc()).limit(limit))).all()
    accounts = await _accounts(tx, [row.id for row in rows])
    return [_agreement(row, accounts.get(row.id, [])) for row in rows]


async def terms_of(tx: Tx, user_id: str) -> list[Terms]:
    """What agreements let an account do, past and coming ones, too; for the service alone: it makes an actor."""
    found = (
        select(agreements)
        .join(agreement_accounts, agreement_accounts.c.agreement_id == agreements.c.id)
        .where(agreement_accounts.c.user_id == user_id, agreements.c.state.in_(GIVES))
        .order_by(agreements.c.starts_at)
    )
    return [_agreement(row, ()).terms for row in await tx.execute(found)]


async def taken(tx: Tx, ids: Collection[str], *, start: datetime, end: datetime, besides: str) -> list[tuple[str, str]]:
    """User names of those of the accounts that another agreement has on some of these days, with its number."""
    found = (
        select(agreement_accounts.c.username, agreements.c.number)
        .join(agreements, agreements.c.id == agreement_accounts.c.agreement_id)
        .where(
            agreement_accounts.c.user_id.in_(list(ids)),
            agreements.c.id != besides,
            agreements.c.state.in_(HOLDS),
            agreements.c.starts_at < end,
            agreements.c.ends_at > start,
        )
        .order_by(agreement_accounts.c.username)
    )
    return [(row.username, row.number) for row in await tx.execute(found)]


async def organisations(tx: Tx) -> list[OrgId]:
    """Those whose points are shared."""
    return [OrgId(row.org_id) for row in await tx.execute(select(agreements.c.org_id).distinct())]


async def move(tx: Tx, org_id: str, *, name: str, path: str) -> list[tuple[AgreementId, UserId]]:
    """Renew the copies of an organisation's name and path; the agreements that changed, with their accounts."""
    other = or_(agreements.c.org_name != name, agreements.c.org_path != path)
    changed = [row.id for row in await tx.execute(select(agreements.c.id).where(agreements.c.org_id == org_id, other))]
    if not changed:
        return []
    await tx.execute(update(agreements).where(agreements.c.id.in_(changed)).values(org_name=name, org_path=path))
    accounts = await _accounts(tx, changed)
    return [(AgreementId(each), account.id) for each in changed for account in accounts.get(each, [])]
