"""Secrets in tables: sealed with the master key, one column, the row's key in the seal's context."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy import Table

from anwang.runtime.secrets import Sealer
from anwang.stores.state.engine import State


async def reseal(state: State, sealer: Sealer, table: Table, *, key: str, context: Callable[[str], str]) -> int:
    """Seal `sealed_password` of every row with the newest key, in one transaction; how many.

    key: the primary key's column. context: a row's, by its key. For a platform that does not run. Raises Unavailable
    where a secret's key is not in the key file.
    """
    async with state.begin() as tx:
        rows = (await tx.execute(sa.select(table.c[key], table.c.sealed_password))).all()
        for which, sealed in rows:
            changed = sealer.reseal(sealed, context=context(which))
            await tx.execute(sa.update(table).where(table.c[key] == which).values(sealed_password=changed))
    return len(rows)
