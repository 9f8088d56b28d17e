"""Copies of everything a city cannot make again, and the way back.

A backup is a folder: one SQLite file per state database, compressed Native chunks per series table, named files (the
ledger, keys), and `manifest.json` with the hash of each. It is written beside its place and renamed at the end, so what
has the name is complete. Objects are not in it: video is bounded by retention, and evidence is exported.

State becomes SQLite whichever engine it came from, and is restored into whichever engine is open: the same drill moves
a city from one machine to PostgreSQL. Series are exported through the engine while it serves, table by table with
merges held, so that each table is a snapshot; nothing holds still across stores, and state is copied first.

Restoring checks every hash before it touches anything, and refuses a target that holds something.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import Connection, ForeignKeyConstraint, MetaData, Table, func, insert, inspect, select, text
from sqlalchemy.schema import AddConstraint, DropConstraint

from anwang.kernel.errors import Conflict, Internal, Invalid, Unsupported
from anwang.kernel.times import rfc3339
from anwang.stores.series import Series
from anwang.stores.state import Schema, State, migrate, revision_of

FORMAT = 1
ROWS = 1000  # copied at once between SQL databases
CHUNK_BYTES = 32 << 20  # of uncompressed series data per file
LARGEST_CHUNK = 1 << 30
PIECE = 1 << 20
CREATE = re.compile(r"CREATE (TABLE|MATERIALIZED VIEW|VIEW) (\S+?)\.(\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateCopy:
    """One SQL database. file: inside the backup. rows: by table."""

    file: str
    revision: str
    rows: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCopy:
    """One series table or view. create: its DDL. chunks: files in order; none for a view."""

    engine: str
    create: str
    rows: int
    chunks: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCopy:
    """One named file, or a folder of files. paths: inside the backup."""

    is_folder: bool
    paths: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds. hashes: SHA-256 of each file, by its path inside the backup."""

    made_at: str
    states: dict[str, StateCopy]
    series_database: str | None
    series: dict[str, TableCopy]
    files: dict[str, FileCopy]
    hashes: dict[str, str]
    format: int = field(default=FORMAT)


async def backup(
    target: Path,
    *,
    states: Sequence[tuple[State, Schema]] = (),
    series: Series | None = None,
    files: Mapping[str, Path] | None = None,
    whole_lines: Collection[str] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Manifest:
    """Write a backup into the new folder `target`, while everything runs.

    files: extra files or folders by name; a file that grows is copied as far as it reached. whole_lines: those of them
    whose files are lines; a line that is being written is left out. Raises Conflict if the target exists, Unsupported
    for a series table that cannot be copied.
    """
    part = target.with_name(target.name + ".part")
    await asyncio.to_thread(_new_folder, target, part)
    try:
        state_copies = {}
        for state, schema in states:
            state_copies[schema.name] = await _copy_out(state, schema, part)
        database, tables = await _export_series(series, part) if series is not None else (None, {})
        named = {
            name: await asyncio.to_thread(_copy_file, name, path, part, by_lines=name in whole_lines)
            for name, path in (files or {}).items()
        }
        manifest = Manifest(
            made_at=rfc3339(now()),
            states=state_copies,
            series_database=database,
            series=tables,
            files=named,
            hashes=await asyncio.to_thread(_hashes, part),
        )
        await asyncio.to_thread(_finish, part, target, manifest)
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)
        raise
    return manifest


def verify(source: Path) -> Manifest:
    """Read a backup's manifest and check every file against it. Raises Invalid, naming the first that differs."""
    try:
        told = json.loads((source / "manifest.json").read_text())
    except (OSError, ValueError) as err:
        raise Invalid(f"{source} is no complete backup: {err}") from None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise Invalid(
            f"the backup {source} has another format than {FORMAT}", "restore it with the program of its time"
        )
    try:
        told["states"] = {name: StateCopy(**copy) for name, copy in told["states"].items()}
        told["series"] = {name: TableCopy(**copy) for name, copy in told["series"].items()}
        told["files"] = {name: FileCopy(**copy) for name, copy in told["files"].items()}
        manifest = Manifest(**told)
        named = [copy.file for copy in manifest.states.values()]
        named += [path for table in manifest.series.values() for path in table.chunks]
        named += [path for copy in manifest.files.values() for path in copy.paths]
    except (TypeError, AttributeError, KeyError) as err:
        raise Invalid(f"the manifest of {source} cannot be read: {err}") from None
    found = _hashes(source)
    for path in named:
        if path not in found:  # so nothing outside the backup is ever read
            raise Invalid(f"the backup has no file {path}")
    for path in sorted(manifest.hashes.keys() | found.keys()):
        if manifest.hashes.get(path) != found.get(path):
            raise Invalid(f"the backup's file {path} is missing, added or not what it was")
    return manifest


async def restore(
    source: Path,
    *,
    states: Sequence[tuple[State, Schema]] = (),
    series: Series | None = None,
    files: Mapping[str, Path] | None = None,
) -> Manifest:
    """Bring a backup back into empty stores; what is not named here stays in the backup.

    States end at the revision they had; `migrate` brings them further. Raises Invalid for a backup that is not whole,
    Conflict for a target that holds something (checked for all of them before any is written).
    """
    manifest = await asyncio.to_thread(verify, source)
    wanted = files or {}
    for kind, known, asked in (
        ("state", manifest.states, [schema.name for _, schema in states]),
        ("file", manifest.files, list(wanted)),
    ):
        for name in asked:
            if name not in known:
                raise Invalid(f"the backup has no {kind} {name!r}")
    for state, schema in states:
        await _check_empty(state, schema)
    if series is not None:
        await _check_series_empty(series, manifest)
    for name, path in wanted.items():
        if await asyncio.to_thread(os.path.lexists, path):
            raise Conflict(f"{name} exists already at {path}", "restore into empty stores")

    for state, schema in states:
        await _copy_in(state, schema, source, manifest.states[schema.name])
    if series is not None:
        await _import_series(series, source, manifest)
    for name, path in wanted.items():
        await asyncio.to_thread(_bring_back, source, name, manifest.files[name], path)
    return manifest


# state


async def _copy_out(state: State, schema: Schema, part: Path) -> StateCopy:
    revision = await revision_of(state, schema)
    if revision is None:
        raise Internal(f"the {schema.name} database is empty; migrate it before a backup")
    file = f"state-{schema.name}.sqlite"
    path = part / file
    source = state.path
    if source is not None:
        await asyncio.to_thread(_copy_sqlite, source, path)
        copy = await State.open(f"sqlite:///{path}")
        try:
            async with copy.read() as tx:
                rows = await tx.run_sync(_count_rows)
        finally:
            await copy.close()
    else:
        copy = await State.open(f"sqlite:///{path}")
        try:
            await migrate(copy, schema=schema, to=revision)
            async with state.read() as tx:
                rows = await _copy_tables(tx, copy, schema)
        finally:
            await copy.close()
    await asyncio.to_thread(_settle_sqlite, path)
    return StateCopy(file=file, revision=revision, rows=rows)


def _copy_sqlite(source: Path, path: Path) -> None:
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(path)) as copy:
        live.backup(copy)  # all pages in one step: readers and the writer go on beside it (WAL)


def _settle_sqlite(path: Path) -> None:
    """Make it one file that is sound and on the disk."""
    with closing(sqlite3.connect(path)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")
        ((verdict,),) = copy.execute("PRAGMA integrity_check(1)").fetchall()
    if verdict != "ok":
        raise Internal(f"the copy {path.name} is not sound: {verdict}")


def _count_rows(connection: Connection) -> dict[str, int]:
    tables = _reflected(connection).sorted_tables
    return {table.name: int(connection.scalar(select(func.count()).select_from(table)) or 0) for table in tables}


def _reflected(connection: Connection) -> MetaData:
    found = MetaData()
    found.reflect(connection)
    return found


async def _copy_tables(source: Any, target: State, schema: Schema) -> dict[str, int]:
    """Copy all rows of all tables; the target has the tables, and no rows but those a migration makes."""
    origin: MetaData = await source.run_sync(_reflected)
    rows: dict[str, int] = {}
    async with target.alone() as tx:
        place: MetaData = await tx.run_sync(_reflected)
        missing = set(origin.tables) ^ set(place.tables)
        if missing:
            raise Internal(f"the table {min(missing)} is not in both databases of schema {schema.name}")
        links = await tx.run_sync(_drop_links, place)
        for name, table in origin.tables.items():
            await tx.execute(place.tables[name].delete())
            rows[name] = await _copy_rows(source, table, tx, place.tables[name])
        await tx.run_sync(_restore_links, links)
        await tx.run_sync(_restore_counters, place)
    return rows


async def _copy_rows(source: Any, table: Table, tx: Any, place: Table) -> int:
    count = 0
    result = await source.stream(select(table).execution_options(yield_per=ROWS))
    async for batch in result.mappings().partitions(ROWS):
        await tx.execute(insert(place), [dict(row) for row in batch])
        count += len(batch)
    return count


def _drop_links(connection: Connection, place: MetaData) -> list[ForeignKeyConstraint]:
    """Take PostgreSQL's foreign keys away for the copy, so that rows may come in any order."""
    if connection.dialect.name == "sqlite":
        return []
    links = [link for table in place.tables.values() for link in table.foreign_key_constraints]
    for link in links:
        connection.execute(DropConstraint(link))
    return links


def _restore_links(connection: Connection, links: list[ForeignKeyConstraint]) -> None:
    for link in links:
        connection.execute(AddConstraint(link))  # checks every row
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(3)
        if broken:
            raise Internal(f"rows without their parent: {[tuple(row) for row in broken]}")


def _restore_counters(connection: Connection, place: MetaData) -> None:
    """Let PostgreSQL's counting keys go on after the largest that was copied; SQLite sees to that by itself."""
    if connection.dialect.name == "sqlite":
        return
    for table in place.tables.values():
        for column in table.primary_key.columns:
            sequence = connection.scalar(
                text("SELECT pg_get_serial_sequence(:table, :column)"),
                {"table": connection.dialect.identifier_preparer.format_table(table), "column": column.name},
            )
            largest = connection.scalar(select(func.max(column))) if sequence else None
            if largest is not None:
                connection.execute(
                    text("SELECT setval(:sequence, :largest)"), {"sequence": sequence, "largest": largest}
                )


async def _check_empty(state: State, schema: Schema) -> None:
    async with state.read() as tx:
        names = await tx.run_sync(lambda connection: set(inspect(connection).get_table_names()))
    own = {table.name for table in schema.metadata.tables.values()} | {schema.version_table}
    if names & own:
        raise Conflict(f"the {schema.name} database holds tables already", "restore into an empty database")


async def _copy_in(state: State, schema: Schema, source: Path, copy: StateCopy) -> None:
    if copy.revision not in schema.revisions():
        raise Unsupported(
            f"the backup's {schema.name} database is at revision {copy.revision}, which this program does not know",
            "restore it with the program of its time or a newer one",
        )
    await migrate(state, schema=schema, to=copy.revision)
    async with _unpacked(source / copy.file) as original, original.read() as tx:
        rows = await _copy_tables(tx, state, schema)
    if rows != copy.rows:
        raise Internal(f"the {schema.name} database did not come back whole")


@asynccontextmanager
async def _unpacked(path: Path) -> AsyncIterator[State]:
    """The backup's database opened through a copy: opening would change the file that has been hashed."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / path.name
        await asyncio.to_thread(shutil.copyfile, path, copy)
        opened = await State.open(f"sqlite:///{copy}")
        try:
            yield opened
        finally:
            await opened.close()


# series


async def _export_series(series: Series, part: Path) -> tuple[str, dict[str, TableCopy]]:
    ((database,),) = await series.query("SELECT currentDatabase()")
    found = await series.query(
        "SELECT name, engine, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    )
    tables = {}
    for name, engine, create in found:
        if engine.endswith("MergeTree") and not name.startswith("."):
            tables[name] = await _export_table(series, name, engine, create, part)
        elif (engine in ("View", "MaterializedView") and " TO " in create.partition(" AS ")[0]) or engine == "View":
            tables[name] = TableCopy(engine=engine, create=create, rows=0, chunks=[])
        else:
            raise Unsupported(
                f"the series table {name} ({engine}) cannot be backed up", "use MergeTree, views TO a table"
            )
    return str(database), tables


async def _export_table(series: Series, name: str, engine: str, create: str, part: Path) -> TableCopy:
    table = _quoted(name)  # the only thing pasted into SQL here
    folder = part / "series" / name
    await asyncio.to_thread(folder.mkdir, parents=True)
    chunks: list[str] = []
    rows = 0
    await series.execute(f"SYSTEM STOP MERGES {table}")  # parts stay what they are while they are read
    try:
        parts = await series.query(
            "SELECT name, rows, data_uncompressed_bytes FROM system.parts"
            " WHERE database = currentDatabase() AND table = {table:String} AND active ORDER BY name",
            {"table": name},
        )
        for part_name, part_rows, part_bytes in parts:
            step = max(1, int(part_rows * CHUNK_BYTES / max(part_bytes, 1)))
            for start in range(0, part_rows, step):
                bounds = {"part": part_name, "start": start, "end": min(start + step, part_rows)}
                where = "_part = {part:String} AND _part_offset >= {start:UInt64} AND _part_offset < {end:UInt64}"
                ((count,),) = await series.query(f"SELECT count() FROM {table} WHERE {where}", bounds)  # noqa: S608
                if count != bounds["end"] - start:
                    raise Internal(
                        f"the series table {name} changed its part {part_name} during the backup", "try again"
                    )
                data = await series.query_native(f"SELECT * FROM {table} WHERE {where}", bounds)  # noqa: S608
                file = f"series/{name}/{len(chunks):06d}.native.z"
                await asyncio.to_thread(_write_packed, part / file, data)
                chunks.append(file)
                rows += count
    finally:
        await series.execute(f"SYSTEM START MERGES {table}")
    return TableCopy(engine=engine, create=create, rows=rows, chunks=chunks)


async def _check_series_empty(series: Series, manifest: Manifest) -> None:
    ((count, database),) = await series.query(
        "SELECT count(), currentDatabase() FROM system.tables WHERE database = currentDatabase()"
    )
    if count:
        raise Conflict(f"the series database {database} holds {count} tables already", "restore into an empty database")
    views = [name for name, copy in manifest.series.items() if copy.engine.endswith("View")]
    if views and database != manifest.series_database:
        raise Conflict(
            f"the view {views[0]} belongs to the series database {manifest.series_database}, this one is {database}"
        )


async def _import_series(series: Series, source: Path, manifest: Manifest) -> None:
    ordered = sorted(manifest.series.items(), key=lambda item: item[1].engine.endswith("View"))
    for name, copy in ordered:  # views last: rows must not pass through them a second time
        create, replaced = CREATE.subn(lambda found: f"CREATE {found.group(1)} {found.group(3)}", copy.create, count=1)
        if not replaced:
            raise Invalid(f"the backup's statement for the series table {name} cannot be read")
        await series.execute(create)
        for file in copy.chunks:
            await series.insert_native(name, await asyncio.to_thread(_read_packed, source / file))
        if copy.chunks:
            ((count,),) = await series.query(f"SELECT count() FROM {_quoted(name)}")  # noqa: S608 - a checked name
            if count != copy.rows:
                raise Internal(f"the series table {name} has {count} rows after restoring {copy.rows}")


def _quoted(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise Unsupported(f"the series table {name[:64]!r} has a name that cannot be backed up")
    return f"`{name}`"


def _write_packed(path: Path, data: bytes) -> None:
    path.write_bytes(zlib.compress(data, 1))


def _read_packed(path: Path) -> bytes:
    machine = zlib.decompressobj()
    data = machine.decompress(path.read_bytes(), LARGEST_CHUNK)
    if not machine.eof:
        raise Invalid(f"the backup's file {path.name} holds more than {LARGEST_CHUNK} bytes")
    return data


# files


def _new_folder(target: Path, part: Path) -> None:
    if os.path.lexists(target):
        raise Conflict(f"{target} exists already", "name a new folder")
    shutil.rmtree(part, ignore_errors=True)  # left by a backup that died
    part.mkdir(parents=True, mode=0o700)


def _copy_file(name: str, path: Path, part: Path, *, by_lines: bool) -> FileCopy:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise Invalid(f"{name[:64]!r} is no name for a file in a backup")
    is_folder = path.is_dir()
    if not is_folder and not path.is_file():
        raise Invalid(f"{name} is not at {path}")
    inside = sorted(each for each in path.rglob("*") if each.is_file()) if is_folder else [path]
    copied = []
    for each in inside:
        relative = PurePosixPath("files", name, each.relative_to(path).as_posix())  # a file relative to itself is "."
        goal = part / relative
        goal.parent.mkdir(parents=True, exist_ok=True)
        _copy_bytes(each, goal, each.stat().st_size)
        if by_lines:
            _cut_line(goal)
        copied.append(str(relative))
    return FileCopy(is_folder=is_folder, paths=copied)


def _copy_bytes(source: Path, goal: Path, size: int) -> None:
    """The first `size` bytes, readable by whom the original was, on the disk."""
    mode = source.stat().st_mode & 0o777
    with (
        open(source, "rb") as original,
        open(goal, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as copy,
    ):
        while size > 0 and (piece := original.read(min(PIECE, size))):
            copy.write(piece)
            size -= len(piece)
        copy.flush()
        os.fsync(copy.fileno())


def _cut_line(path: Path) -> None:
    """Take a last line away that has no end yet."""
    with open(path, "r+b") as copy:
        size = copy.seek(0, os.SEEK_END)
        end = size
        while end > 0:
            start = max(0, end - PIECE)
            copy.seek(start)
            found = copy.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            copy.truncate(end)
            os.fsync(copy.fileno())


def _bring_back(source: Path, name: str, copy: FileCopy, path: Path) -> None:
    if copy.is_folder:
        path.mkdir(parents=True)
    for file in copy.paths:
        goal = path / PurePosixPath(file).relative_to(PurePosixPath("files", name))
        goal.parent.mkdir(parents=True, exist_ok=True)
        original = source / file
        _copy_bytes(original, goal, original.stat().st_size)


def _hashes(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != "manifest.json":
            with open(path, "rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _finish(part: Path, target: Path, manifest: Manifest) -> None:
    with open(part / "manifest.json", "x") as file:
        json.dump(asdict(manifest), file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    for path in part.rglob("*"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    part.rename(target)
    descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
