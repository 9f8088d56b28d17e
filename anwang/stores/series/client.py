"""The client's side: the same over HTTP to the embedded process and to a cluster.

The stock client blocks, so calls run on threads: a few for queries, and others for inserts, so that a slow query cannot
hold intake up on this side either.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver import options
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from anwang.kernel.errors import AnwangError, Exhausted, Internal, Invalid, Unauthenticated, Unavailable, Unsupported

DURABLE = "fsync_after_insert = 1, fsync_part_directory = 1"
"""For the SETTINGS of a table whose write-ahead log is cut once an insert is answered: its part is on the disk then."""

TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?\Z")
BOUND = re.compile(r"\{\s*[A-Za-z_]\w*\s*:")
# The client looks at its first insert whether it was given a pandas frame, and imports pandas and pyarrow for that
# (chDB brings them along): a second of a held interpreter and tens of megabytes. This is its state without pandas.
options.__dict__.update(pd=None, pd_time_test=None)
# its warnings repeat, with a stack, what it raises anyway
logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
# ClickHouse error codes: what the caller can do about them
EXHAUSTED = {158, 202, 241, 252, 307, 396}  # too many rows, queries, memory, parts, bytes, result
UNAVAILABLE = {159, 209, 210, 279, 394, 425, 999}  # time, network, replicas, cancelled
UNAUTHENTICATED = {192, 193, 194, 516}

# what the client lets through when a value cannot be written as its column's type
UNFIT = (ValueError, TypeError, AttributeError, OverflowError, struct.error)

Answer = TypeVar("Answer")


class Rows(list[tuple[Any, ...]]):
    """A result: rows as tuples. names: of the columns, in their order."""

    def __init__(self, rows: Iterable[Sequence[Any]], names: Sequence[str]) -> None:
        super().__init__(tuple(row) for row in rows)
        self.names = tuple(names)

    def named(self) -> list[dict[str, Any]]:
        """Each row under its columns' names."""
        return [dict(zip(self.names, row, strict=True)) for row in self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One idempotent DDL statement. name: unique for ever, begins with its slice: `checkpoints 0001 passes`."""

    name: str
    sql: str


class Series:
    """A ClickHouse database. Make it with `open`."""

    def __init__(self, client: Client, *, queries: int, wait_s: float, most_waiting: int) -> None:
        self._client = client
        self._querying = _Lane("queries", queries, wait_s, most_waiting)
        self._inserting = _Lane("inserts", 2, wait_s, most_waiting)
        self._types: dict[str, dict[str, str]] = {}

    @classmethod
    async def open(
        cls,
        url: str,
        token: str | None,
        *,
        queries: int = 8,
        wait_s: float = 30.0,
        most_waiting: int = 512,
        statement_s: int = 120,
    ) -> Series:
        """Connect. url: `http[s]://[user@]host:port/?database=name`; token: the password, or the process's token.

        queries: how many run at once. wait_s: longest wait for a turn. most_waiting: most calls that may queue.
        statement_s: when an answer is given up. Raises Invalid, Unauthenticated, Unavailable.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid("the series URL cannot be read", "http://user@host:8123/?database=name")
        if parts.password:
            raise Invalid("the series URL holds a password", "give it as a secret of its own")
        host = parts.hostname

        def connect() -> Client:
            return clickhouse_connect.get_client(
                host=host,
                port=parts.port or (8443 if parts.scheme == "https" else 8123),
                interface=parts.scheme,
                username=unquote(parts.username or "default"),
                password=token or "",
                database=parse_qs(parts.query).get("database", ["default"])[0],
                compress=host not in LOOPBACK,
                autogenerate_session_id=False,
                dedicated_pool=True,
                query_retries=0,
                connect_timeout=10,
                send_receive_timeout=statement_s,
                show_clickhouse_errors="scrub",
                tz_mode="aware",
            )

        try:
            client = await asyncio.to_thread(connect)
        except ClickHouseError as err:
            raise _translated(err, "connecting to the series engine") from err
        return cls(client, queries=queries, wait_s=wait_s, most_waiting=most_waiting)

    async def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run a statement whose result nobody wants (DDL, ALTER)."""
        _check_bound(sql, parameters)
        await self._querying.run(lambda: self._client.command(sql, parameters=dict(parameters or {})), sql)

    async def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> Rows:
        """The rows of a SELECT. Raises Exhausted where a bound on memory or size is hit, never cuts silently."""
        _check_bound(sql, parameters)

        def ask() -> Rows:
            result = self._client.query(sql, parameters=dict(parameters or {}))
            return Rows(result.result_rows, result.column_names)

        return await self._querying.run(ask, sql)

    async def insert(
        self,
        table: str,
        columns: Sequence[str],
        column_data: Sequence[Sequence[Any]],
        *,
        once: str | None = None,
    ) -> int:
        """Append rows given column by column; how many. Answered when the engine has them, never before.

        once: a token by which the engine recognises the same insert sent again and does nothing (the table needs
        `non_replicated_deduplication_window`, or is replicated). Such a table takes equal rows for the same insert even
        without a token. One insert a second of many rows, not many small ones.
        """
        if not TABLE.match(table):
            raise Invalid(f"{table[:64]!r} is no name of a table")
        if len(columns) != len(column_data) or not columns:
            raise Invalid(f"{len(columns)} column names for {len(column_data)} columns")
        count = len(column_data[0])
        if any(len(column) != count for column in column_data):
            raise Invalid(f"the columns for {table} differ in length")
        if not count:
            return 0
        settings = {"async_insert": "0", **({"insert_deduplication_token": once} if once else {})}

        def append() -> None:
            types = self._types_of(table, columns)
            try:
                self._client.insert(
                    table,
                    column_data,
                    column_names=list(columns),
                    column_type_names=types,
                    column_oriented=True,
                    settings=settings,
                )
            except UNFIT as err:
                raise Invalid(f"values for {table} do not fit its columns: {err}") from err

        try:
            await self._inserting.run(append, f"insert into {table}")
        except AnwangError:
            self._types.pop(table, None)  # the table may have changed
            raise
        return count

    async def query_native(self, sql: str, parameters: Mapping[str, object] | None = None) -> bytes:
        """The result of a SELECT as bytes in ClickHouse's Native format, for copying: exact types, columns by name."""
        _check_bound(sql, parameters)
        return await self._querying.run(
            lambda: bytes(self._client.raw_query(sql, parameters=dict(parameters or {}), fmt="Native")), sql
        )

    async def insert_native(self, table: str, data: bytes) -> None:
        """Append what `query_native` gave, equal blocks as often as they come."""
        if not TABLE.match(table):
            raise Invalid(f"{table[:64]!r} is no name of a table")
        settings = {"async_insert": "0", "insert_deduplicate": "0"}
        await self._inserting.run(
            lambda: self._client.raw_insert(table, insert_block=data, fmt="Native", settings=settings),
            f"insert into {table}",
        )

    async def insert_lines(self, table: str, lines: bytes) -> None:
        """Append rows given as JSON objects, one a line: the whole of them or nothing, up to a million.

        A column that an object does not name has its default; a name that is no column's is passed over.
        """
        if not TABLE.match(table):
            raise Invalid(f"{table[:64]!r} is no name of a table")
        settings = {
            "async_insert": "0",
            "input_format_parallel_parsing": "0",
            "input_format_skip_unknown_fields": "1",
            "precise_float_parsing": "1",
        }
        await self._inserting.run(
            lambda: self._client.raw_insert(table, insert_block=lines, fmt="JSONEachRow", settings=settings),
            f"insert into {table}",
        )

    def _types_of(self, table: str, columns: Sequence[str]) -> list[str]:
        known = self._types.get(table)
        if known is None or any(column not in known for column in columns):
            described = self._client.query(f"DESCRIBE TABLE {table}")
            known = {row[0]: row[1] for row in described.result_rows}
            self._types[table] = known
        missing = [column for column in columns if column not in known]
        if missing:
            raise Internal(f"the table {table} has no column {missing[0]}")
        return [known[column] for column in columns]

    async def migrate(self, steps: Sequence[Step]) -> list[str]:
        """Apply the steps that were not applied yet, in order; their names.

        Each is one statement that does no harm when it runs twice (a crash may come between the step and its note).
        Raises Internal if an applied step was edited, Unsupported if the database has steps this program doesn't know.
        """
        names = [step.name for step in steps]
        if len(set(names)) != len(names):
            raise Internal("two series steps have the same name")
        await self.execute(
            "CREATE TABLE IF NOT EXISTS schema_step (name String, digest String, applied_at DateTime64(3, 'UTC'))"
            f" ENGINE = MergeTree ORDER BY name SETTINGS {DURABLE}"
        )
        applied = {row[0]: row[1] for row in await self.query("SELECT name, digest FROM schema_step")}
        unknown = sorted(set(applied) - set(names))
        if unknown:
            raise Unsupported(
                f"the series database knows the step {unknown[0]!r}, this program does not", "start the newer program"
            )
        done = []
        for step in steps:
            digest = hashlib.sha256(step.sql.encode()).hexdigest()
            if step.name in applied:
                if applied[step.name] != digest:
                    raise Internal(f"the series step {step.name!r} was edited after it was applied", "add a new step")
                continue
            await self.execute(step.sql)
            await self.execute(
                "INSERT INTO schema_step SELECT {name:String}, {digest:String}, now64(3)",
                {"name": step.name, "digest": digest},
            )
            self._types.clear()
            done.append(step.name)
        return done

    async def close(self) -> None:
        """Let running calls end and give the connections back."""
        await asyncio.to_thread(self._querying.close)
        await asyncio.to_thread(self._inserting.close)
        await asyncio.to_thread(self._client.close)

    def counters(self) -> dict[str, int]:
        """Calls waiting and refused on this side."""
        return {
            "queries_waiting": self._querying.waiting,
            "queries_refused": self._querying.refused,
            "inserts_waiting": self._inserting.waiting,
            "inserts_refused": self._inserting.refused,
        }


class _Lane:
    """Threads behind a bounded queue."""

    def __init__(self, name: str, threads: int, wait_s: float, most_waiting: int) -> None:
        self._name = name
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"series-{name}")
        self._turns = asyncio.Semaphore(threads)
        self._wait_s = wait_s
        self._most_waiting = most_waiting
        self.waiting = 0
        self.refused = 0

    async def run(self, call: Callable[[], Answer], what: str) -> Answer:
        """Wait for a turn, then call on a thread. Raises Exhausted, Unavailable, or what the call's error means."""
        if self.waiting >= self._most_waiting:
            self.refused += 1
            raise Exhausted(f"{self.waiting} series {self._name} already wait")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._turns.acquire()
        except TimeoutError:
            self.refused += 1
            raise Unavailable(f"no turn for series {self._name} within {self._wait_s:g} s") from None
        finally:
            self.waiting -= 1
        running = asyncio.get_running_loop().run_in_executor(self._threads, call)
        running.add_done_callback(self._ended)
        try:
            return await asyncio.shield(running)
        except ClickHouseError as err:
            raise _translated(err, what) from err

    def _ended(self, running: asyncio.Future[Any]) -> None:
        self._turns.release()
        if not running.cancelled():
            running.exception()  # nobody may be left to hear it

    def close(self) -> None:
        """Wait for the calls that run."""
        self._threads.shutdown(wait=True)


def _check_bound(sql: str, parameters: Mapping[str, object] | None) -> None:
    if parameters and not BOUND.search(sql):
        raise Internal("parameters without {name:Type} in the SQL would be pasted into the text")


def _translated(err: ClickHouseError, what: str) -> AnwangError:
    code = getattr(err, "code", None)
    text = f"{what.strip()[:120]}: {str(err)[:600]}"
    if code in UNAUTHENTICATED:
        return Unauthenticated(text, "check the series token")
    if code in EXHAUSTED:
        return Exhausted(text)
    if code in UNAVAILABLE or (code is None and isinstance(err, OperationalError)):
        return Unavailable(text)
    if code is None and not isinstance(err, DatabaseError):
        return Invalid(text)
    return Internal(text)
