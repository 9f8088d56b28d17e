"""Engines the contract suites run on."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from anwang.stores.state import State
from tests.archive import archive, reordered, source
from tests.conftest import listening, missing

__all__ = ["archive", "reordered", "source"]

POSTGRES = "postgresql://postgres@127.0.0.1:5432/"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A database of this process's own; its address. Each test empties it: to make and drop one takes a second."""
    if not listening(5432):
        missing("PostgreSQL on 127.0.0.1:5432")
    name = f"anwang_test_{uuid.uuid4().hex[:12]}"
    asyncio.run(_execute(POSTGRES + "postgres", f'CREATE DATABASE "{name}"'))
    yield POSTGRES + name
    asyncio.run(_execute(POSTGRES + "postgres", f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database that no other test is using."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.db"
    url: str = request.getfixturevalue("postgres")
    # what a failed test left open would hold locks
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    end = f"SELECT pg_terminate_backend(pid) {others}"
    asyncio.run(_execute(url, end, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public"))
    return url


@pytest.fixture
async def state(state_url: str) -> AsyncIterator[State]:
    """The database, open and empty."""
    opened = await State.open(state_url)
    yield opened
    await opened.close()
