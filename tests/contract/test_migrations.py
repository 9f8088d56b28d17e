"""Every folder of migrations leads to the declared tables, from every released revision, on both engines."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert, inspect, select, text

from anwang.kernel.errors import Internal, Invalid, Unsupported
from anwang.stores.state import MAIN, MEDIA, Schema, State, drift, make_revision, migrate, revision_of
from anwang.stores.state.schema import NAMES
from scripts.revision import import_stores

import_stores()

SCHEMAS = pytest.mark.parametrize("schema", [MAIN, MEDIA], ids=["main", "media"])


def shape(connection: Connection) -> dict[str, object]:
    """All that reflection tells about every table, in a form that compares."""
    look = inspect(connection)
    tables: dict[str, object] = {}
    for table in sorted(look.get_table_names()):
        if table.endswith("schema_version"):
            continue
        tables[table] = {
            "columns": {
                column["name"]: (str(column["type"]), column["nullable"], str(column["default"]).strip("'()"))
                for column in look.get_columns(table)
            },
            "pk": look.get_pk_constraint(table)["constrained_columns"],
            "fks": sorted(
                (fk["constrained_columns"], fk["referred_table"], fk["referred_columns"], sorted(fk["options"].items()))
                for fk in look.get_foreign_keys(table)
            ),
            "uniques": sorted(sorted(unique["column_names"]) for unique in look.get_unique_constraints(table)),
            "checks": sorted("".join(check["sqltext"].split()) for check in look.get_check_constraints(table)),
            "indexes": sorted(
                (
                    str(index["name"]),
                    index["column_names"],
                    bool(index["unique"]),
                    # each engine spells a partial index's condition in its own way, alike for both ways of making it
                    sorted((key, str(value)) for key, value in index.get("dialect_options", {}).items()),
                )
                for index in look.get_indexes(table)
            ),
        }
    return tables


async def shape_of(state: State) -> dict[str, object]:
    async with state.read() as tx:
        return await tx.run_sync(shape)


async def wipe(state: State) -> None:
    async with state.alone() as tx:

        def drop(connection: Connection) -> None:
            found = MetaData()
            found.reflect(connection)
            found.drop_all(connection)

        await tx.run_sync(drop)


@SCHEMAS
async def test_the_migrated_tables_are_the_declared_ones(state: State, schema: Schema) -> None:
    await migrate(state, schema=schema)
    assert await drift(state, schema) == []
    migrated = await shape_of(state)
    await wipe(state)
    async with state.begin() as tx:
        await tx.run_sync(schema.metadata.create_all)
    assert migrated == await shape_of(state)
    assert schema.note.name in migrated


@SCHEMAS
async def test_an_upgrade_from_every_revision_equals_a_fresh_database(state: State, schema: Schema) -> None:
    await migrate(state, schema=schema)
    fresh = await shape_of(state)
    for revision in schema.revisions():
        await wipe(state)
        await migrate(state, schema=schema, to=revision)
        assert await revision_of(state, schema) == revision
        await migrate(state, schema=schema)
        assert await shape_of(state) == fresh, f"from {revision}"
        assert await revision_of(state, schema) == schema.head()


@SCHEMAS
def test_the_scripts_are_numbered_without_gaps_and_import_nothing_of_ours(schema: Schema) -> None:
    assert schema.revisions() == [f"{number:04d}" for number in range(1, len(schema.revisions()) + 1)]
    for path in schema.versions.glob("0*.py"):
        assert "anwang" not in path.read_text(), path.name


async def test_both_schemas_may_share_one_database(state: State) -> None:
    await migrate(state, schema=MAIN)
    await migrate(state, schema=MEDIA)
    assert await revision_of(state, MAIN) == MAIN.head()
    assert await revision_of(state, MEDIA) == MEDIA.head()


@pytest.fixture
def grown(tmp_path: Path) -> Schema:
    """A schema of its own with a folder that grows during the test."""
    owner = MetaData(naming_convention=NAMES)
    note = Table("note", owner, *(column._copy() for column in MAIN.note.columns))  # the same columns as the real note
    Table("parent", owner, Column("id", Integer, primary_key=True), Column("name", Text, nullable=False))
    folder = tmp_path / "versions"
    folder.mkdir()
    return Schema(name="grown", metadata=owner, versions=folder, version_table="grown_version", note=note)


def as_of(schema: Schema, revision: str, folder: Path) -> Schema:
    """The same schema as a program that stopped at `revision` knows it."""
    folder.mkdir()
    for path in schema.versions.glob("0*.py"):
        if path.name[:4] <= revision:
            shutil.copy(path, folder)
    return replace(schema, versions=folder)


async def test_a_program_meets_older_equal_and_newer_databases(state: State, grown: Schema, tmp_path: Path) -> None:
    backups: list[str | None] = []

    async def backup() -> None:
        backups.append(await revision_of(state, grown))

    assert make_revision("start", schema=grown).name == "0001_start.py"
    await migrate(state, schema=grown, backup=backup)
    assert backups == []  # an empty database needs none
    first = as_of(grown, "0001", tmp_path / "first")

    async with state.begin() as tx:
        await tx.execute(insert(grown.metadata.tables["parent"]).values(id=1, name="a"))
    grown.metadata.tables["parent"].append_column(Column("height_m", Integer))
    assert await drift(state, grown)
    second_script = make_revision("add height", schema=grown)
    second_script.write_text(second_script.read_text().replace("int(revision)", "1"))
    await migrate(state, schema=grown, backup=backup)
    assert backups == ["0001"]
    assert await drift(state, grown) == []
    async with state.read() as tx:
        assert (await tx.execute(select(grown.metadata.tables["parent"]))).one() == (1, "a", None)

    await migrate(state, schema=first, backup=backup)  # the newer one allows the older program
    assert backups == ["0001"]

    Table("extra", grown.metadata, Column("id", Integer, primary_key=True))
    make_revision("add extra", schema=grown)
    await migrate(state, schema=grown, backup=backup)
    with pytest.raises(Unsupported, match="0003"):
        await migrate(state, schema=first)
    with pytest.raises(Invalid):
        make_revision("nothing new", schema=grown)
    assert make_revision("data only", schema=grown, empty=True).name == "0004_data_only.py"


async def test_a_failing_migration_changes_nothing(state: State, grown: Schema) -> None:
    make_revision("start", schema=grown)
    await migrate(state, schema=grown)
    before = await shape_of(state)
    script = make_revision("half", schema=grown, empty=True)
    script.write_text(
        script.read_text().replace(
            "    pass", '    op.add_column("parent", sa.Column("x", sa.Integer()))\n    raise OSError("disk")'
        )
    )
    with pytest.raises(OSError, match="disk"):
        await migrate(state, schema=grown)
    assert await shape_of(state) == before
    assert await revision_of(state, grown) == "0001"


async def test_remaking_a_table_on_sqlite_keeps_its_children(tmp_path: Path, grown: Schema) -> None:
    state = await State.open(f"sqlite:///{tmp_path}/a.db")
    make_revision("start", schema=grown)
    await migrate(state, schema=grown)
    async with state.begin() as tx:
        await tx.execute(text("INSERT INTO parent VALUES (1, 'a')"))
        await tx.execute(text("CREATE TABLE child (id INTEGER, p INTEGER REFERENCES parent(id) ON DELETE CASCADE)"))
        await tx.execute(text("INSERT INTO child VALUES (1, 1)"))
    steps = """    with op.batch_alter_table("parent", recreate="always") as batch:
        batch.alter_column("name", nullable=True)"""
    script = make_revision("remake", schema=grown, empty=True)
    script.write_text(script.read_text().replace("    pass", steps))
    await migrate(state, schema=grown)
    async with state.begin() as tx:
        assert await tx.scalar(text("SELECT count(*) FROM child")) == 1
        assert await tx.scalar(text("PRAGMA foreign_keys")) == 1
    orphan = make_revision("orphan", schema=grown, empty=True)
    orphan.write_text(orphan.read_text().replace("    pass", '    op.execute("DELETE FROM parent")'))
    with pytest.raises(Internal, match="parent is missing"):
        await migrate(state, schema=grown)
    async with state.read() as tx:
        assert await tx.scalar(text("SELECT count(*) FROM parent")) == 1
    await state.close()
