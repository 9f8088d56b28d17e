"""SQLite connections that leave nothing behind when they are given up.

A task that is cancelled while a statement runs makes SQLAlchemy close the connection. Python's `sqlite3` then leaves a
connection with an unfinished statement as it is until the statement's cursor is collected, with its transaction and its
lock; and the cursor lives as long as somebody keeps the cancelled task's exception. So these roll back and close their
cursors themselves, in the connection's thread, before they are closed.
"""

from __future__ import annotations

import contextlib
import sqlite3
import weakref
from typing import Any

import aiosqlite


class _Tidy(sqlite3.Connection):
    """Knows its cursors."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._cursors: weakref.WeakSet[sqlite3.Cursor] = weakref.WeakSet()

    def cursor(self, *args: Any, **options: Any) -> Any:
        """See sqlite3."""
        made = super().cursor(*args, **options)
        self._cursors.add(made)
        return made

    def close(self) -> None:
        """End statements and transaction, then close."""
        for cursor in list(self._cursors):
            with contextlib.suppress(sqlite3.Error):
                cursor.close()
        with contextlib.suppress(sqlite3.Error):
            self.rollback()
        super().close()


class _Connection(aiosqlite.Connection):
    """Does not wait for a statement that nobody wants any more."""

    async def close(self) -> None:
        """See aiosqlite."""
        self._interrupt()
        await super().close()

    def stop(self) -> Any:
        """See aiosqlite."""
        self._interrupt()
        return super().stop()

    def _interrupt(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.interrupt()  # the one call that another thread may make


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """As aiosqlite.connect, for SQLAlchemy's `async_creator_fn`."""

    def made() -> sqlite3.Connection:
        return sqlite3.connect(database, factory=_Tidy, **options)

    return _Connection(made, 64)
