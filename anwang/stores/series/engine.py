"""The embedded engine: chDB handles, who may use them when, and what bounds a statement.

A process may open a database once; inside it, a handle runs one statement at a time and a second handle beside it is
free (chDB 4.4.0, tried). So inserts have a handle of their own that no slow query can hold up, and queries share a few.
Each handle has its own thread. What a request sets (settings, database) stays on its handle only as long as the next
request wants the same; the difference is applied before each statement.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import chdb

from anwang.kernel.errors import Exhausted, Invalid
from anwang.stores.series.statement import Statement

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
CODE = re.compile(r"Code: (\d+)\.")


class EngineError(Exception):
    """What the engine refused. code: ClickHouse's number for it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one statement may cost, and how many may wait.

    statement_s: longest run. memory_bytes, result_bytes: per statement. queue: most statements waiting per lane.
    wait_s: longest wait for a handle. readers: handles for queries.
    """

    statement_s: int = 60
    memory_bytes: int = 2 << 30
    result_bytes: int = 256 << 20
    queue: int = 256
    wait_s: float = 30.0
    readers: int = 3

    def settings(self) -> dict[str, str]:
        """As the engine's settings. An insert is answered when its part is written, not when it is queued."""
        return {
            "async_insert": "0",
            "max_execution_time": str(self.statement_s),
            "max_memory_usage": str(self.memory_bytes),
            "max_result_bytes": str(self.result_bytes),
            "result_overflow_mode": "throw",
            "timeout_overflow_mode": "throw",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a statement gave: the result in its format, and how much was read or written."""

    body: bytes
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0


class Handle:
    """One chDB connection and its thread. Methods named in the plain are called on that thread only."""

    def __init__(self, path: Path, base: Mapping[str, str]) -> None:
        self._path = str(path)
        self._base = dict(base)
        self._applied: dict[str, str] = {}
        self._database = "default"
        self._connection: chdb.state.sqlitelike.Connection | None = None
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="chdb")

    def open(self) -> None:
        """Connect and set the limits."""
        self._connection = chdb.connect(self._path)  # type: ignore[no-untyped-call]  # the library has no types here
        self._applied = {}
        self._database = "default"
        self._set(self._base)

    def close(self) -> None:
        """Disconnect; the last handle shuts the engine down."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def run(
        self,
        statement: Statement,
        params: Mapping[str, str],
        settings: Mapping[str, str],
        database: str,
        result_format: str,
    ) -> Outcome:
        """Execute one statement. Raises EngineError."""
        try:
            self._prepare(settings, database)
            if statement.data is not None:
                return self._insert(statement)
            result = self._connected().query(statement.text, result_format, params=dict(params))
            return Outcome(
                body=result.bytes() or b"",
                read_rows=result.storage_rows_read() or 0,
                read_bytes=result.storage_bytes_read() or 0,
                written_rows=result.rows_written() or 0,
                written_bytes=result.bytes_written() or 0,
            )
        except (RuntimeError, chdb.ChdbError) as err:
            text = str(err)
            found = CODE.search(text)
            raise EngineError(int(found.group(1)) if found else 1002, text[found.start() if found else 0 :]) from None

    def _insert(self, statement: Statement) -> Outcome:
        stream = self._connected().send_insert(statement.text, statement.format or "Native")
        try:
            data = statement.data
            if data is not None and len(data):
                stream.append(bytes(data))
            done = stream.finish()
        except BaseException:
            with suppress(RuntimeError):
                stream.cancel()
            raise
        return Outcome(body=b"", written_rows=done.rows_written, written_bytes=done.bytes_written)

    def _prepare(self, settings: Mapping[str, str], database: str) -> None:
        wanted = {**self._base, **settings}
        changes = {name: value for name, value in wanted.items() if self._applied.get(name) != value}
        stale = [name for name in self._applied if name not in wanted]
        try:
            if changes or stale:
                self._set(changes, stale)
            if database != self._database:
                self._connected().query(f"USE {quoted(database)}")
                self._database = database
        except (RuntimeError, chdb.ChdbError):  # half of it may have been applied: begin with a clean handle
            self.close()
            self.open()
            raise

    def _set(self, values: Mapping[str, str], defaults: list[str] | None = None) -> None:
        parts = [f"{name} = {literal(value)}" for name, value in values.items()]
        parts += [f"{name} = DEFAULT" for name in defaults or []]
        self._connected().query("SET " + ", ".join(parts))
        self._applied.update(values)
        for name in defaults or []:
            self._applied.pop(name, None)

    def _connected(self) -> chdb.state.sqlitelike.Connection:
        if self._connection is None:
            self.open()
        if self._connection is None:
            raise EngineError(1002, "the engine does not open")
        return self._connection


class Lane:
    """Handles that share one bounded queue."""

    def __init__(self, handles: list[Handle], limits: Limits) -> None:
        self.handles = handles
        self._free: asyncio.Queue[Handle] = asyncio.Queue()
        for handle in handles:
            self._free.put_nowait(handle)
        self._limits = limits
        self.waiting = 0
        self.refused = 0
        self.is_closed = False

    async def take(self) -> Handle:
        """A free handle. Raises Exhausted when the queue is full, the wait too long or the engine closing."""
        if self.waiting >= self._limits.queue:
            self.refused += 1
            raise Exhausted(f"{self.waiting} statements already wait")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._limits.wait_s):
                handle = await self._free.get()
        except TimeoutError:
            self.refused += 1
            raise Exhausted(f"no handle became free within {self._limits.wait_s:g} s") from None
        finally:
            self.waiting -= 1
        if self.is_closed:
            self.give(handle)
            raise Exhausted("the engine is closing")
        return handle

    def give(self, handle: Handle) -> None:
        """The handle is free again."""
        self._free.put_nowait(handle)


class Engine:
    """The database in a folder. Make it, `open` it, `run` statements, `close` it."""

    def __init__(self, path: Path, limits: Limits) -> None:
        base = limits.settings()
        self._limits = limits
        self.writing = Lane([Handle(path, base)], limits)
        self.reading = Lane([Handle(path, base) for _ in range(limits.readers)], limits)
        self.done = 0

    @property
    def _handles(self) -> list[Handle]:
        return self.writing.handles + self.reading.handles

    async def open(self) -> None:
        """Open all handles; raises RuntimeError if another process has the database."""
        loop = asyncio.get_running_loop()
        for handle in self._handles:
            await loop.run_in_executor(handle.thread, handle.open)

    async def close(self) -> None:
        """Let running statements end, then close the engine."""
        self.writing.is_closed = self.reading.is_closed = True
        loop = asyncio.get_running_loop()
        for handle in self._handles:
            await loop.run_in_executor(handle.thread, handle.close)
            handle.thread.shutdown(wait=True)

    async def run(
        self,
        statement: Statement,
        *,
        params: Mapping[str, str],
        settings: Mapping[str, str],
        database: str,
        result_format: str,
    ) -> Outcome:
        """Execute a statement in its lane. Raises EngineError, Exhausted, Invalid."""
        self._check(settings)
        lane = self.writing if statement.writes else self.reading
        handle = await lane.take()
        # the thread cannot be interrupted: a caller who goes away must not free the handle before it is done
        running = asyncio.get_running_loop().run_in_executor(
            handle.thread, handle.run, statement, params, settings, database, result_format
        )
        running.add_done_callback(lambda _done: lane.give(handle))
        outcome = await asyncio.shield(running)
        self.done += 1
        return outcome

    def _check(self, settings: Mapping[str, str]) -> None:
        for name, value in settings.items():
            if not NAME.match(name):
                raise Invalid(f"{name[:64]!r} is no setting's name")
            bound = self._limits.settings().get(name)
            if bound is None or not bound.isdecimal() or name == "async_insert":
                continue
            try:
                excess = not 0 < float(value) <= int(bound)
            except ValueError:
                excess = True
            if excess:
                raise Invalid(f"{name} may be at most {bound} here, not {value[:32]!r}")

    def counters(self) -> dict[str, int]:
        """Statements done, waiting and refused."""
        return {
            "done": self.done,
            "inserts_waiting": self.writing.waiting,
            "inserts_refused": self.writing.refused,
            "queries_waiting": self.reading.waiting,
            "queries_refused": self.reading.refused,
        }


def literal(value: str) -> str:
    """A text as an SQL string."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quoted(name: str) -> str:
    """An identifier in back-ticks. Raises Invalid for what is no plain name."""
    if not NAME.match(name):
        raise Invalid(f"{name[:64]!r} is no name of a database or table")
    return f"`{name}`"
