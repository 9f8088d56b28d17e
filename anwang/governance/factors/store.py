"""The table of second factors and its queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, ForeignKey, LargeBinary, Table, Text, delete, select, update

from anwang.stores.state import Moment, Serial, Tx, metadata, upsert

second_factors = Table(
    "second_factors",
    metadata,
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("sealed_password", LargeBinary, nullable=False),  # the secret, sealed with the master key: totp:<user_id>
    Column("last_step", Serial, nullable=False),  # of the last code taken; only grows
    Column("begun_at", Moment, nullable=False),
    Column("confirmed_at", Moment),  # first code taken; NULL: it is not asked for yet
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """What is kept of one account's."""

    sealed: bytes
    last_step: int
    is_confirmed: bool


async def factor(tx: Tx, user_id: str) -> Factor | None:
    """An account's, confirmed or not."""
    row = (await tx.execute(select(second_factors).where(second_factors.c.user_id == user_id))).first()
    if row is None:
        return None
    return Factor(sealed=row.sealed_password, last_step=row.last_step, is_confirmed=row.confirmed_at is not None)


async def put(tx: Tx, user_id: str, sealed: bytes, now: datetime) -> None:
    """Begin anew, not confirmed."""
    values = {"sealed_password": sealed, "last_step": 0, "begun_at": now, "confirmed_at": None}
    await upsert(
        tx, second_factors, [{"user_id": user_id, **values}], key_columns=["user_id"], update_columns=list(values)
    )


async def take(tx: Tx, user_id: str, step: int, now: datetime, *, confirms: bool) -> bool:
    """Use up a step; False where it, or a later one, was used already."""
    values = {"last_step": step, **({"confirmed_at": now} if confirms else {})}
    done = await tx.execute(
        update(second_factors)
        .where(second_factors.c.user_id == user_id, second_factors.c.last_step < step)
        .values(**values)
    )
    return done.rowcount == 1


async def drop(tx: Tx, user_id: str) -> bool:
    """Whether there was one."""
    return (await tx.execute(delete(second_factors).where(second_factors.c.user_id == user_id))).rowcount == 1


async def confirmed(tx: Tx, users: Sequence[str]) -> set[str]:
    """Which of these accounts have one."""
    found = select(second_factors.c.user_id).where(
        second_factors.c.user_id.in_(list(users)), second_factors.c.confirmed_at.is_not(None)
    )
    return {row.user_id for row in await tx.execute(found)}
