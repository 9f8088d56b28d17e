"""Moves a database from any released schema to this program's, or says why it can't.

Revisions are numbered 0001, 0002, ... and only go forward; each says the oldest program (by its head revision) that may
open the database afterwards, and `schema_note` keeps the largest of these. So a program meets one of three databases:
an older one (backed up, then migrated in one transaction), its own, or a newer one, which it opens only if the note
lets it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.autogenerate.api import AutogenContext
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, Table, TypeDecorator, create_engine, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import StaticPool

from anwang.kernel.errors import Internal, Invalid, Unsupported
from anwang.stores.state.engine import State
from anwang.stores.state.schema import Json, media_metadata, media_schema_note, metadata, schema_note

HERE = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """One database's tables and the folder of revisions that lead to them.

    version_table: where Alembic keeps the current revision. note: the table with the oldest program.
    """

    name: str
    metadata: MetaData
    versions: Path
    version_table: str
    note: Table

    def scripts(self) -> ScriptDirectory:
        """The revisions, as Alembic sees them."""
        return ScriptDirectory.from_config(self.config())

    def config(self, **options: Any) -> Config:
        """Alembic's configuration for a command on this schema. options: for `context.configure`."""
        config = Config(attributes={"options": {**self.options(), **options}})
        config.set_main_option("script_location", str(HERE).replace("%", "%%"))
        config.set_main_option("version_locations", str(self.versions).replace("%", "%%"))
        config.set_main_option("path_separator", "newline")
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        return config

    def options(self) -> dict[str, Any]:
        """How tables are compared and rendered."""
        return {
            "target_metadata": self.metadata,
            "version_table": self.version_table,
            "render_as_batch": True,
            "render_item": _render_item,
            "compare_type": True,
            "compare_server_default": True,
        }

    def revisions(self) -> list[str]:
        """All revisions, oldest first."""
        return [script.revision for script in self.scripts().walk_revisions()][::-1]

    def head(self) -> str:
        """The revision this program knows. Raises Internal if the folder has none, or branches."""
        heads = self.scripts().get_heads()
        if len(heads) != 1:
            raise Internal(f"the migrations of {self.name} have {len(heads)} heads", "renumber the newer script")
        return heads[0]


MAIN = Schema(
    name="main",
    metadata=metadata,
    versions=HERE / "versions",
    version_table="schema_version",
    note=schema_note,
)
MEDIA = Schema(
    name="media",
    metadata=media_metadata,
    versions=HERE / "media" / "versions",
    version_table="media_schema_version",
    note=media_schema_note,
)


async def migrate(
    state: State,
    *,
    backup: Callable[[], Awaitable[object]] | None = None,
    schema: Schema = MAIN,
    to: str | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Bring the database to revision `to` (None: the newest) in one transaction.

    backup: called before a database that already holds something is changed. Raises Unsupported if the database is
    newer than this program and its note forbids opening. Run one migration at a time in a process.
    """
    target = to or schema.head()
    current, oldest = await _standing(state, schema)
    if current == target:
        return
    if current is not None and current not in schema.revisions():
        _check_newer(current, oldest, schema)
        return
    if current is not None and backup is not None:
        await backup()
    async with state.alone() as tx:
        await tx.run_sync(_upgrade, schema, target, now())


async def revision_of(state: State, schema: Schema = MAIN) -> str | None:
    """The database's revision; None if it is empty."""
    return (await _standing(state, schema))[0]


async def _standing(state: State, schema: Schema) -> tuple[str | None, int]:
    async with state.read() as tx:
        return await tx.run_sync(_read_standing, schema)


def _read_standing(connection: Connection, schema: Schema) -> tuple[str | None, int]:
    context = MigrationContext.configure(connection, opts={"version_table": schema.version_table})
    current = context.get_current_revision()
    oldest = 0
    if current is not None and inspect(connection).has_table(schema.note.name):
        oldest = connection.scalar(select(schema.note.c.oldest_program)) or 0
    return current, oldest


def _check_newer(current: str, oldest: int, schema: Schema) -> None:
    own = int(schema.head())
    if own < oldest or oldest == 0:
        raise Unsupported(
            f"the {schema.name} database is at revision {current} and wants a program of {oldest:04d} or newer; "
            f"this one is {own:04d}",
            "start the newer program, or restore the backup that was made before the upgrade",
        )


def _upgrade(connection: Connection, schema: Schema, target: str, now: datetime) -> None:
    if connection.dialect.name == "postgresql":  # roles that start together migrate one after the other
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": schema.version_table})
    before, oldest = _read_standing(connection, schema)
    command.upgrade(schema.config(connection=connection), target)
    after, _ = _read_standing(connection, schema)
    if after == before:
        return
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(5)
        if broken:
            raise Internal(
                f"the migration to {after} leaves rows whose parent is missing: {[tuple(row) for row in broken]}"
            )
    steps = list(schema.scripts().walk_revisions(base="base", head=target))
    oldest = max([oldest, *(int(step.module.oldest_program) for step in steps)])
    values = {"oldest_program": oldest, "migrated_at": now}
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(schema.note)
    connection.execute(insert.values(id=1, **values).on_conflict_do_update(index_elements=["id"], set_=values))


async def drift(state: State, schema: Schema = MAIN) -> list[str]:
    """Where the database's tables differ from what the program declares; empty when they agree."""
    async with state.read() as tx:
        return await tx.run_sync(_drift, schema)


def _drift(connection: Connection, schema: Schema) -> list[str]:
    options = {name: value for name, value in schema.options().items() if name != "target_metadata"}
    context = MigrationContext.configure(connection, opts=options)
    return [repr(difference) for difference in compare_metadata(context, schema.metadata)]


def make_revision(message: str, *, schema: Schema = MAIN, empty: bool = False) -> Path:
    """Write the next script into the folder: the difference between what the scripts make and what is declared now.

    Import every slice's `store` first; `scripts/revision.py` does. empty: write a script without steps, for a hand to
    fill. Raises Invalid if nothing differs. Read what it wrote: renames look like a drop and an add.
    """
    number = f"{len(schema.revisions()) + 1:04d}"
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        with engine.begin() as connection:
            if number != "0001":
                command.upgrade(schema.config(connection=connection), "head")
            if not empty and not _drift(connection, schema):
                raise Invalid("tables and migrations already agree")
            config = schema.config(connection=connection)
            script = command.revision(config, message, autogenerate=not empty, rev_id=number)
    finally:
        engine.dispose()
    if script is None or isinstance(script, list):
        raise Internal("Alembic wrote no single script")
    return Path(script.path)


def _render_item(kind: str, item: object, context: AutogenContext) -> str | bool:
    if kind == "type" and item is Json:  # what Alembic writes for it by itself lacks a name
        context.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl!r}"  # scripts import nothing of ours
    return False
