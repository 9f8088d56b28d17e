"""The engine behind a state database: who may write when, what a read sees, what a commit promises.

SQLite allows one writer. Instead of letting connections find that out by "database is locked", one connection writes
and an asyncio lock queues for it; a few others read, each inside a snapshot that no writer disturbs (WAL).

A commit is durable when it returns: WAL with synchronous=FULL costs one fdatasync per transaction (0.1 ms on flash,
5-10 ms on a disk) and survives kill -9 and power loss. synchronous=NORMAL survives kill -9 but may forget the last
transactions at a power loss; `durable=False` chooses it for a database that can be rebuilt (the media index).

What goes wrong in the database is told apart here once: a disk that is full, a server that restarts and a connection
that is cut are Unavailable and pass; a row that is there already is a Conflict; any other broken constraint is our own
fault (Internal). Wrong SQL stays the driver's error, for it is a mistake in a program and nobody is to live with it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from anwang.kernel.errors import AnwangError, Conflict, Exhausted, Internal, Invalid, Unavailable
from anwang.stores.state.tidy import connect

Tx = AsyncConnection
"""What a use case hands to its store: an open transaction. Nobody inside commits."""

READERS = 4
BUSY_MS = 10_000

_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}
"""Primary result codes of SQLite that are no fault of a statement."""
_TAKEN = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID}
_PASSING_CLASSES = ("08", "40", "53", "55", "57", "58", "XX")
"""Classes of PostgreSQL's SQLSTATE (manual, appendix A): connection, rollback, resources, locks, operator, system."""


class State:
    """One SQL database. Make it with `open`; use `begin` to write and `read` to read."""

    def __init__(
        self, *, url: URL, writer: AsyncEngine, reader: AsyncEngine, wait_s: float, max_waiting: int, serial: bool
    ) -> None:
        self.url = url
        self._writer = writer
        self._reader = reader
        self._wait_s = wait_s
        self._max_waiting = max_waiting
        self._turn = asyncio.Lock() if serial else None
        self._turn_of: asyncio.Task[Any] | None = None
        self._quick = _Quick(url) if serial else None
        self.waiting = 0  # writers that queue now
        self.refused = 0  # writers turned away, by bound or by time, since the start

    @classmethod
    async def open(
        cls, url: str, *, echo: bool = False, durable: bool = True, wait_s: float = 30.0, max_waiting: int = 1024
    ) -> State:
        """Open (SQLite: create) the database.

        url: `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user@host/name`. durable: see the
        module's text. wait_s: longest wait for a turn to write or a free connection. max_waiting: most writers that
        may queue. Raises Invalid for another kind of URL, Unavailable if the database does not answer.
        """
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise Invalid("the state URL cannot be read", "sqlite:///path or postgresql://user@host/name") from None
        backend = parsed.get_backend_name()
        if backend == "sqlite":
            writer, reader = _open_sqlite(parsed, echo=echo, durable=durable, wait_s=wait_s)
        elif backend == "postgresql":
            writer, reader = _open_postgresql(parsed, echo=echo, durable=durable, wait_s=wait_s)
        else:
            raise Invalid(f"state cannot live in {backend}", "sqlite:///path or postgresql://user@host/name")
        state = cls(
            url=parsed,
            writer=writer,
            reader=reader,
            wait_s=wait_s,
            max_waiting=max_waiting,
            serial=backend == "sqlite",
        )
        try:
            async with writer.connect():
                pass
        except Exception as err:
            await state.close()
            raise Unavailable(f"the state database {parsed.render_as_string()} does not open: {err}") from err
        return state

    @property
    def is_sqlite(self) -> bool:
        """Whether the embedded engine serves this database."""
        return self._turn is not None

    @property
    def path(self) -> Path | None:
        """The database's file; None on PostgreSQL."""
        return Path(self.url.database or "") if self.is_sqlite else None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        """A write transaction: commits when the block ends, rolls back when it raises or is cancelled.

        Raises Exhausted when too many writers queue, Unavailable when the turn does not come in time or the database
        can't be written, Conflict for a row that is there already. On SQLite a second `begin` inside the block would
        wait for itself and raises Internal instead.
        """
        if self._turn is None:
            with _told():
                async with self._connect(self._writer) as tx, tx.begin():
                    yield tx
            return
        await self._take_turn(self._turn)
        try:
            with _told():
                async with self._connect(self._writer) as tx, tx.begin():
                    yield tx
        finally:
            self._turn_of = None
            self._turn.release()

    async def _take_turn(self, turn: asyncio.Lock) -> None:
        task = asyncio.current_task()
        if task is not None and self._turn_of is task:
            raise Internal("begin() inside begin(): hand the open transaction on instead")
        if self.waiting >= self._max_waiting:
            self.refused += 1
            raise Exhausted(f"{self.waiting} writers already wait for the state database")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await turn.acquire()
        except TimeoutError:
            self.refused += 1
            raise Unavailable(f"no turn to write to the state database within {self._wait_s:g} s") from None
        finally:
            self.waiting -= 1
        self._turn_of = task

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """A consistent snapshot, read-only; on SQLite it never waits for a writer. Raises Unavailable."""
        with _told():
            async with self._connect(self._reader) as tx, tx.begin():
                yield tx

    async def fetch(self, statement: Select[Any], parameters: Mapping[str, object] | None = None) -> Sequence[Row[Any]]:
        """The rows of one SELECT, as of now, outside of any transaction. Raises Unavailable.

        For questions that a finger waits for: on SQLite it is one hop to one thread instead of the ten that a
        transaction takes through the asynchronous driver.
        """
        if self._quick is not None:
            with _told():
                return await self._quick.fetch(statement, parameters or {})
        async with self.read() as tx:
            rows: Sequence[Row[Any]] = (await tx.execute(statement, parameters or {})).all()
        return rows

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[Tx]:
        """`begin` for a migration: SQLite does not enforce foreign keys inside, so that tables can be made anew."""
        if self._turn is None:
            async with self.begin() as tx:
                yield tx
            return
        await self._take_turn(self._turn)
        try:
            async with self._connect(self._writer) as tx:
                driver = (await tx.get_raw_connection()).driver_connection
                if driver is None:
                    raise Internal("the pool handed out a closed connection")
                await driver.execute("PRAGMA foreign_keys = OFF")  # heard only outside a transaction
                try:
                    async with tx.begin():
                        yield tx
                finally:
                    await driver.execute("PRAGMA foreign_keys = ON")
        finally:
            self._turn_of = None
            self._turn.release()

    @asynccontextmanager
    async def _connect(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        # a cancellation in the middle of connecting would lose the half-made connection: let it end, then give it back
        task = asyncio.ensure_future(_connected(engine))
        try:
            connection = await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_give_back)
            raise
        except PoolTimeout:
            raise Unavailable(f"no connection to the state database within {self._wait_s:g} s") from None
        except DBAPIError:
            raise
        except Exception as err:  # asyncpg's own kinds, too: a server that restarts refuses in several ways
            raise Unavailable(f"the state database does not answer: {err}") from err
        try:
            yield connection
        finally:
            await asyncio.shield(_closing(connection))

    async def close(self) -> None:
        """Give all connections back; the last SQLite connection folds the log into the database."""
        if self._quick is not None:
            await self._quick.close()
        await self._reader.dispose()
        await self._writer.dispose()


async def upsert(
    tx: Tx,
    table: Table,
    rows: Sequence[Mapping[str, object]],
    *,
    key_columns: Sequence[str],
    update_columns: Sequence[str],
) -> None:
    """Insert rows; where `key_columns` (a unique constraint) already has one, set `update_columns` from the new row.

    Without update columns an existing row stays as it is. All rows have the same keys.
    """
    if not rows:
        return
    insert = sqlite.insert(table) if tx.dialect.name == "sqlite" else postgresql.insert(table)
    if update_columns:
        statement = insert.on_conflict_do_update(
            index_elements=list(key_columns), set_={name: insert.excluded[name] for name in update_columns}
        )
    else:
        statement = insert.on_conflict_do_nothing(index_elements=list(key_columns))
    await tx.execute(statement, [dict(row) for row in rows])


@contextmanager
def _told() -> Iterator[None]:
    """The driver's errors, in our words; see the module's text."""
    try:
        yield
    except DBAPIError as err:
        told = _in_our_words(err)
        if told is None:
            raise
        raise told from err


def _in_our_words(err: DBAPIError) -> AnwangError | None:
    """None: a mistake in the statement or its parameters."""
    cause: object = err.orig
    state = getattr(cause, "sqlstate", None)
    code = getattr(cause, "sqlite_errorcode", None)
    if isinstance(err, IntegrityError):
        if state == "23505" or code in _TAKEN:
            return Conflict("this is there already", "load it again")
        return Internal("the state database refuses a row that breaks its rules")
    if code is not None:
        passes = code & 0xFF in _PASSING
    elif state is not None:
        passes = str(state).startswith(_PASSING_CLASSES)
    else:  # the driver's own: no connection any more, or parameters that it can't send
        wrong = isinstance(getattr(cause, "__cause__", None), ValueError | TypeError)
        passes = err.connection_invalidated or not (wrong or isinstance(err, ProgrammingError))
    if not passes:
        return None
    said = " ".join(str(cause).split())[:200]
    return Unavailable(f"the state database cannot be used now: {said}", "see disk and stores in System health")


async def _connected(engine: AsyncEngine) -> AsyncConnection:
    return await engine.connect()


_closings: set[asyncio.Task[None]] = set()


def _closing(connection: AsyncConnection) -> asyncio.Task[None]:
    task = asyncio.ensure_future(connection.close())
    _closings.add(task)  # the loop keeps no strong reference
    task.add_done_callback(_closings.discard)
    return task


def _give_back(task: asyncio.Future[AsyncConnection]) -> None:
    if not task.cancelled() and task.exception() is None:
        _closing(task.result())


class _Quick:
    """A SQLite connection for single questions, in a thread of its own; made when first needed."""

    def __init__(self, url: URL) -> None:
        self._engine = create_engine(
            url.set(drivername="sqlite+pysqlite"),
            isolation_level="AUTOCOMMIT",
            poolclass=StaticPool,
            connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False},
        )
        event.listen(self._engine, "connect", _only_read)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="state-quick")

    async def fetch(self, statement: Select[Any], parameters: Mapping[str, object]) -> Sequence[Row[Any]]:
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._fetch, statement, dict(parameters))
        rows: Sequence[Row[Any]] = await running
        return rows

    def _fetch(self, statement: Select[Any], parameters: dict[str, object]) -> Sequence[Row[Any]]:
        with self._engine.connect() as connection:
            return connection.execute(statement, parameters).all()

    async def close(self) -> None:
        # the thread has nothing left to do once it is shut down, so the connection may be closed from here
        await asyncio.to_thread(self._thread.shutdown)
        self._engine.dispose()


def _only_read(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA query_only = ON")


def _open_sqlite(url: URL, *, echo: bool, durable: bool, wait_s: float) -> tuple[AsyncEngine, AsyncEngine]:
    if url.database in (None, "", ":memory:") or url.query:
        raise Invalid("SQLite state needs a file", "sqlite:///data/state.db, without options")
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    Path(url.database).touch(mode=0o600, exist_ok=True)  # log and index files take the mode of the database
    common = ("PRAGMA foreign_keys = ON", "PRAGMA temp_store = MEMORY", f"PRAGMA busy_timeout = {BUSY_MS}")
    write = (
        "PRAGMA journal_mode = WAL",
        f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}",
        "PRAGMA journal_size_limit = 67108864",
    )
    engines = []
    for size, begin, pragmas in ((1, "BEGIN IMMEDIATE", write), (READERS, "BEGIN", ("PRAGMA query_only = ON",))):
        engine = create_async_engine(
            url.set(drivername="sqlite+aiosqlite"),
            echo=echo,
            pool_size=size,
            max_overflow=0,
            pool_timeout=wait_s,
            # the driver must not open transactions of its own (PEP 249's way): `begin` below does
            connect_args={"isolation_level": None, "timeout": BUSY_MS / 1000, "async_creator_fn": connect},
        )
        _on_connect(engine, common + pragmas)
        _on_begin(engine, begin)
        engines.append(engine)
    return engines[0], engines[1]


def _on_connect(engine: AsyncEngine, pragmas: Sequence[str]) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def apply(connection: Any, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()


def _on_begin(engine: AsyncEngine, statement: str) -> None:
    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)


def _open_postgresql(url: URL, *, echo: bool, durable: bool, wait_s: float) -> tuple[AsyncEngine, AsyncEngine]:
    settings = {"application_name": "anwang", "synchronous_commit": "on" if durable else "off"}
    writer = create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        echo=echo,
        pool_size=8,
        max_overflow=8,
        pool_timeout=wait_s,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        connect_args={"server_settings": settings, "timeout": wait_s, "command_timeout": 300},
    )
    reader = writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return writer, reader
