"""The table of RTSP sources."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Column, LargeBinary, Table, Text

from anwang.stores.state import Moment, Tx, metadata, upsert

source = Table(
    "rtsp_source",
    metadata,
    Column("code", Text, primary_key=True),  # the device's code, as the registry knows it
    Column("url_main", Text, nullable=False),  # without credentials
    Column("url_sub", Text, nullable=False),  # empty: there is no sub stream
    Column("username", Text, nullable=False),  # empty: no authentication
    Column("sealed_password", LargeBinary, nullable=False),  # sealed with the master key, context rtsp:<code>
    Column("transport", Text, nullable=False),  # tcp or udp
    Column("changed_at", Moment, nullable=False),
)


async def put_source(tx: Tx, row: dict[str, object]) -> None:
    """Add or replace one."""
    await upsert(tx, source, [row], key_columns=["code"], update_columns=[c.name for c in source.c if c.name != "code"])


async def all_sources(tx: Tx) -> list[sa.Row[tuple[object, ...]]]:
    """Every source."""
    return list((await tx.execute(sa.select(source))).all())


async def remove_source(tx: Tx, code: str) -> None:
    """Forget one."""
    await tx.execute(sa.delete(source).where(source.c.code == code))
