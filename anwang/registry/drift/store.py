"""The tables of baselines and drifts, and their queries. Who sees a device sees what became of its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Row,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from anwang.governance import Scope
from anwang.registry.drift.model import Baseline, Drift, DriftId, Kind, Origin, ordered
from anwang.registry.store import devices
from anwang.stores.state import Json, Moment, Tx, metadata, upsert

device_baselines = Table(
    "device_baselines",
    metadata,
    Column("device", Text, ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    Column("settings", Json, nullable=False),  # name: text; at most model.MOST_KEYS
    Column("origin", Text, nullable=False),  # model.Origin
    Column("made_at", Moment, nullable=False),
    Column("made_by", Text, nullable=False),  # user name; "": the first answer
    Column("signature", Text, nullable=False),  # over all that is above
    Column("told_at", Moment, nullable=False),  # when the device last answered; not signed, like what follows
    Column("clock_off_s", Float),  # its clock less ours in its last report; NULL: it never said
    Column("clock_at_us", BigInteger),  # when that report came, microseconds since 1970
)

device_drifts = Table(
    "device_drifts",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("device", Text, ForeignKey("devices.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),  # model.Kind
    Column("changes", Json, nullable=False),  # name: [before, after]
    Column("opened_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),  # when the device last said so
    Column("closed_at", Moment),  # NULL: open
    Column("closed_by", Text, nullable=False),  # user name; "": open, or ended by itself
    Column("reason", Text, nullable=False),  # why it was accepted; ""
)
_OPEN = device_drifts.c.closed_at.is_(None)
Index(
    "uq_device_drifts_open",
    device_drifts.c.device,
    device_drifts.c.kind,
    unique=True,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
Index("ix_device_drifts_device", device_drifts.c.device, device_drifts.c.id)

Named = tuple[Drift, str, str]
"""A drift with its device's code and name."""


def _baseline(row: Row[Any]) -> Baseline:
    return Baseline(
        device=row.device,
        values=ordered(row.settings),
        origin=Origin(row.origin),
        made_at=row.made_at,
        made_by=row.made_by,
        signature=row.signature,
    )


def _drift(row: Row[Any]) -> Drift:
    return Drift(
        id=DriftId(row.id),
        device=row.device,
        kind=Kind(row.kind),
        changes=ordered({key: (before, after) for key, (before, after) in row.changes.items()}),
        opened_at=row.opened_at,
        seen_at=row.seen_at,
        closed_at=row.closed_at,
        closed_by=row.closed_by,
        reason=row.reason,
    )


# --- baselines -------------------------------------------------------------------------------------------------------


async def held(tx: Tx, device: str) -> tuple[Baseline, float | None, int] | None:
    """The baseline of a device, its row held, with what its clock was off by, and when."""
    found = await tx.execute(select(device_baselines).where(device_baselines.c.device == device).with_for_update())
    row = found.one_or_none()
    return None if row is None else (_baseline(row), row.clock_off_s, row.clock_at_us or 0)


async def baseline(tx: Tx, device: str, *, seen_by: Scope) -> tuple[Baseline, datetime] | None:
    """The baseline of a device, and when the device last answered."""
    found = await tx.execute(
        select(device_baselines)
        .join(devices, devices.c.id == device_baselines.c.device)
        .where(device_baselines.c.device == device, seen_by.where(devices.c.org_path))
    )
    row = found.one_or_none()
    return None if row is None else (_baseline(row), row.told_at)


async def baselines(tx: Tx, *, after: str, limit: int) -> list[Baseline]:
    """Of all devices, by device: for the platform itself, which looks at their signatures."""
    statement = select(device_baselines).where(device_baselines.c.device > after)
    found = await tx.execute(statement.order_by(device_baselines.c.device).limit(limit))
    return [_baseline(row) for row in found]


async def put_baseline(tx: Tx, one: Baseline, *, told_at: datetime | None = None) -> None:
    """Set the baseline of a device. told_at: when it said so; None: it was not heard."""
    row = {
        "device": one.device,
        "settings": dict(one.values),
        "origin": one.origin.value,
        "made_at": one.made_at,
        "made_by": one.made_by,
        "signature": one.signature,
        "told_at": told_at or one.made_at,
    }
    names = [name for name in row if name != "device" and (told_at is not None or name != "told_at")]
    await upsert(tx, device_baselines, [row], key_columns=["device"], update_columns=names)


async def sign_again(tx: Tx, one: Baseline, *, before: str) -> None:
    """Give a baseline another signature, unless it was changed meanwhile."""
    await tx.execute(
        update(device_baselines)
        .where(device_baselines.c.device == one.device, device_baselines.c.signature == before)
        .values(signature=one.signature)
    )


async def heard(tx: Tx, device: str, values: Mapping[str, object]) -> None:
    """Write down when a device answered, and its clock."""
    await tx.execute(update(device_baselines).where(device_baselines.c.device == device).values(**values))


async def drop_baseline(tx: Tx, device: str) -> None:
    """Let the next answer be the first."""
    await tx.execute(delete(device_baselines).where(device_baselines.c.device == device))


# --- drifts ----------------------------------------------------------------------------------------------------------


async def open_drifts(tx: Tx, device: str) -> dict[Kind, Drift]:
    """Of a device whose baseline is held."""
    found = await tx.execute(select(device_drifts).where(device_drifts.c.device == device, _OPEN))
    return {Kind(row.kind): _drift(row) for row in found}


async def add_drift(tx: Tx, one: Drift) -> None:
    """Open one."""
    await tx.execute(insert(device_drifts).values(id=one.id, device=one.device, kind=one.kind.value, **_state(one)))


async def save_drift(tx: Tx, one: Drift) -> None:
    """It is otherwise."""
    await tx.execute(update(device_drifts).where(device_drifts.c.id == one.id).values(**_state(one)))


def _state(one: Drift) -> dict[str, object]:
    return {
        "changes": {key: list(change) for key, change in one.changes.items()},
        "opened_at": one.opened_at,
        "seen_at": one.seen_at,
        "closed_at": one.closed_at,
        "closed_by": one.closed_by,
        "reason": one.reason,
    }


async def drift(tx: Tx, drift_id: str, *, seen_by: Scope) -> Named | None:
    """One of them."""
    row = (await tx.execute(_named(seen_by).where(device_drifts.c.id == drift_id))).one_or_none()
    return None if row is None else (_drift(row), row.device_id, row.name)


async def page(
    tx: Tx, *, seen_by: Scope, is_open: bool | None, device: str, before: str, limit: int
) -> Sequence[Named]:
    """Newest first. is_open None: all. device: "" for all. before: the id to go on after; "" at the start."""
    statement = _named(seen_by)
    if is_open is not None:
        statement = statement.where(_OPEN if is_open else device_drifts.c.closed_at.is_not(None))
    if device:
        statement = statement.where(device_drifts.c.device == device)
    if before:
        statement = statement.where(device_drifts.c.id < before)
    found = await tx.execute(statement.order_by(device_drifts.c.id.desc()).limit(limit))
    return [(_drift(row), row.device_id, row.name) for row in found]


async def count_open(tx: Tx, *, seen_by: Scope, kind: Kind | None = None) -> int:
    """How many are open."""
    statement = (
        select(func.count())
        .select_from(device_drifts.join(devices, devices.c.id == device_drifts.c.device))
        .where(_OPEN, seen_by.where(devices.c.org_path))
    )
    if kind is not None:
        statement = statement.where(device_drifts.c.kind == kind.value)
    return int((await tx.execute(statement)).scalar_one())


def _named(seen_by: Scope) -> Any:
    return (
        select(device_drifts, devices.c.device_id, devices.c.name)
        .join(devices, devices.c.id == device_drifts.c.device)
        .where(seen_by.where(devices.c.org_path))
    )
