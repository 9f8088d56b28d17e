"""The drill: back up a running city, restore into empty stores, on each pair of engines."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, Text, insert, select

from anwang.kernel.errors import Conflict, Invalid, Unsupported
from anwang.stores.backup import backup, restore, verify
from anwang.stores.series import Series, spawn_embedded
from anwang.stores.state import Json, Moment, Outbox, Schema, Serial, State, drift, make_revision, migrate
from anwang.stores.state.schema import NAMES, _note
from tests.conftest import listening, missing
from tests.contract.conftest import POSTGRES

NOON = datetime(2026, 11, 22, 4, tzinfo=UTC)


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    """A schema with what is hard to copy: a tree, a counter, documents, moments, bytes of all kinds."""
    owner = MetaData(naming_convention=NAMES)
    note = _note("note", owner)
    Table(
        "organisation",
        owner,
        Column("id", Integer, primary_key=True),
        Column("parent", Integer, ForeignKey("organisation.id")),
        Column("name", Text, nullable=False, unique=True),
        Column("about", Json),
        Column("seen_at", Moment),
    )
    Table(
        "post",
        owner,
        Column("id", Serial, primary_key=True),
        Column("organisation", Integer, ForeignKey("organisation.id"), nullable=False),
    )
    folder = tmp_path / "versions"
    folder.mkdir()
    made = Schema(name="city", metadata=owner, versions=folder, version_table="city_version", note=note)
    make_revision("start", schema=made)
    return made


async def fill(state: State, schema: Schema) -> None:
    await migrate(state, schema=schema)
    tables = schema.metadata.tables
    rows = [
        {
            "id": number,
            "parent": None,
            "name": f"{number} 号院",
            "about": {"数": number, "x": [None, True]},
            "seen_at": NOON,
        }
        for number in range(1, 2500)
    ]
    async with state.begin() as tx:
        await tx.execute(insert(tables["organisation"]), rows)
        # a child with a smaller key than its parent: rows cannot simply be copied in order
        await tx.execute(tables["organisation"].update().where(tables["organisation"].c.id < 100).values(parent=2000))
        await tx.execute(insert(tables["post"]), [{"organisation": number} for number in range(1, 50)])


async def content(state: State, schema: Schema) -> dict[str, list[tuple[object, ...]]]:
    async with state.read() as tx:
        return {
            name: [tuple(row) for row in await tx.execute(select(table).order_by(*table.primary_key.columns))]
            for name, table in schema.metadata.tables.items()
        }


@pytest.fixture(params=["sqlite", "postgresql"])
async def other_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/other.db"
        return
    if not listening(5432):
        missing("PostgreSQL on 127.0.0.1:5432")
    name = f"anwang_test_{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(POSTGRES + "postgres")
    await admin.execute(f'CREATE DATABASE "{name}"')
    try:
        yield POSTGRES + name
    finally:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()


async def test_state_comes_back_on_either_engine(state: State, other_url: str, schema: Schema, tmp_path: Path) -> None:
    await fill(state, schema)
    done = await backup(tmp_path / "copy", states=[(state, schema)], now=lambda: NOON)
    assert done.made_at == "2026-11-22T04:00:00Z"
    assert done.states["city"].rows["organisation"] == 2499
    before = await content(state, schema)
    async with state.begin() as tx:  # later writes are not in it
        await tx.execute(insert(schema.metadata.tables["post"]).values(organisation=1))

    other = await State.open(other_url)
    assert await restore(tmp_path / "copy", states=[(other, schema)]) == done
    assert await content(other, schema) == before
    assert await drift(other, schema) == []
    async with other.begin() as tx:
        made = await tx.execute(insert(schema.metadata.tables["post"]).values(organisation=1))
        assert made.inserted_primary_key == (50,)
    with pytest.raises(Conflict):
        await restore(tmp_path / "copy", states=[(other, schema)])
    await other.close()
    assert verify(tmp_path / "copy") == done  # restoring left the backup as it was


async def test_a_backup_of_an_older_revision_is_restored_and_migrated(
    state: State, schema: Schema, tmp_path: Path
) -> None:
    await fill(state, schema)
    await backup(tmp_path / "copy", states=[(state, schema)])
    newer = make_revision("more", schema=schema, empty=True)
    newer.write_text(newer.read_text().replace("    pass", '    op.add_column("post", sa.Column("note", sa.Text()))'))
    again = await State.open(f"sqlite:///{tmp_path}/again.db")
    await restore(tmp_path / "copy", states=[(again, schema)])
    await migrate(again, schema=schema)
    shutil.rmtree(schema.versions / "__pycache__", ignore_errors=True)
    await backup(tmp_path / "newer", states=[(again, schema)])
    newer.unlink()
    empty = await State.open(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(Unsupported, match="0002"):
        await restore(tmp_path / "newer", states=[(empty, schema)])
    for opened in (again, empty):
        await opened.close()


async def test_a_backup_beside_a_busy_writer_is_one_moment(state: State, tmp_path: Path) -> None:
    await migrate(state)
    outbox = Outbox(now=lambda: NOON)
    stop = asyncio.Event()

    async def write() -> int:
        pairs = 0
        while not stop.is_set():
            async with state.begin() as tx:
                await outbox.put(tx, "left", b"%d" % pairs)
                await outbox.put(tx, "right", b"%d" % pairs)
            pairs += 1
        return pairs

    writer = asyncio.create_task(write())
    from anwang.stores.state import MAIN
    from anwang.stores.state.schema import outbox as table

    while True:
        async with state.read() as tx:
            if (await tx.execute(select(table.c.id).limit(1))).first():
                break
    done = await backup(tmp_path / "copy", states=[(state, MAIN)])
    stop.set()
    assert await writer >= 1
    assert done.states["main"].rows["outbox"] % 2 == 0
    assert done.states["main"].rows["outbox"] > 0


async def test_files_come_back_with_their_bytes_and_their_modes(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "2026").mkdir()
    (tmp_path / "ledger" / "2026" / "11.log").write_bytes(os.urandom(3_000_000))
    (tmp_path / "ledger" / "head").write_bytes(b"")
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "key").chmod(0o600)
    named = {"ledger": tmp_path / "ledger", "key": tmp_path / "key"}
    await backup(tmp_path / "copy", files=named)
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o700
    await restore(tmp_path / "copy", files={"ledger": tmp_path / "new" / "ledger", "key": tmp_path / "new" / "key"})
    assert (tmp_path / "new" / "key").read_bytes() == b"secret"
    assert (tmp_path / "new" / "key").stat().st_mode & 0o777 == 0o600
    for inner in ("2026/11.log", "head"):
        assert (tmp_path / "new" / "ledger" / inner).read_bytes() == (tmp_path / "ledger" / inner).read_bytes()
    with pytest.raises(Conflict):
        await restore(tmp_path / "copy", files={"key": tmp_path / "new" / "key"})
    with pytest.raises(Invalid, match="nothing"):
        await restore(tmp_path / "copy", files={"nothing": tmp_path / "x"})
    with pytest.raises(Conflict):
        await backup(tmp_path / "copy", files=named)
    for bad in ({"../x": tmp_path / "key"}, {"gone": tmp_path / "gone"}):
        with pytest.raises(Invalid):
            await backup(tmp_path / "other", files=bad)
    assert not list(tmp_path.glob("other*"))  # a failed backup leaves nothing


async def test_a_damaged_backup_restores_nothing(tmp_path: Path, schema: Schema) -> None:
    state = await State.open(f"sqlite:///{tmp_path}/state.db")
    await fill(state, schema)
    (tmp_path / "key").write_bytes(b"secret")
    await backup(tmp_path / "copy", states=[(state, schema)], files={"key": tmp_path / "key"})
    await state.close()

    def flip(copy: Path) -> None:
        path = copy / "state-city.sqlite"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    def point_outside(copy: Path) -> None:
        told = json.loads((copy / "manifest.json").read_text())
        told["files"]["key"]["paths"] = ["files/../../key"]
        (copy / "manifest.json").write_text(json.dumps(told))

    for number, damage in enumerate(
        (
            flip,
            point_outside,
            lambda copy: (copy / "manifest.json").unlink(),
            lambda copy: (copy / "manifest.json").write_text("[]"),
            lambda copy: (copy / "manifest.json").write_text('{"format": 1}'),
            lambda copy: (copy / "manifest.json").write_text('{"format": 2}'),
            lambda copy: (copy / "files" / "key").unlink(),
            lambda copy: (copy / "files" / "key").write_bytes(b"secreT"),
            lambda copy: (copy / "extra").write_bytes(b""),
        )
    ):
        broken = tmp_path / f"broken{number}"
        shutil.copytree(tmp_path / "copy", broken)
        damage(broken)
        empty = await State.open(f"sqlite:///{tmp_path}/empty{number}.db")
        with pytest.raises(Invalid):
            await restore(broken, states=[(empty, schema)], files={"key": tmp_path / "new"})
        async with empty.read() as tx:
            assert (await tx.exec_driver_sql("SELECT count(*) FROM sqlite_master")).scalar() == 0
        assert not (tmp_path / "new").exists()
        await empty.close()


async def test_series_come_back_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import anwang.stores.backup as module

    monkeypatch.setattr(module, "CHUNK_BYTES", 20_000)  # several chunks per part
    engine = await spawn_embedded(tmp_path / "one")
    series = await Series.open(engine.url, engine.token)
    await series.execute(
        "CREATE TABLE passes (id UInt64, plate LowCardinality(String), at DateTime64(6, 'UTC'), n Nullable(Int8),"
        " tags Array(String)) ENGINE = MergeTree PARTITION BY id % 2 ORDER BY (plate, id)"
        " SETTINGS non_replicated_deduplication_window = 100"
    )
    await series.execute("CREATE TABLE sums (k UInt8, n UInt64) ENGINE = SummingMergeTree ORDER BY k")
    await series.execute(
        "CREATE MATERIALIZED VIEW counting TO sums AS SELECT toUInt8(id % 3) AS k, count() AS n FROM passes GROUP BY k"
    )
    await series.execute("CREATE VIEW latest AS SELECT max(id) AS id FROM passes")
    for start in (0, 3000):
        await series.execute(
            "INSERT INTO passes SELECT number + {start:UInt64}, concat('安A', toString(number % 900)), now64(6),"
            " if(number % 5 = 0, NULL, number % 100), [toString(number), ''] FROM numbers(3000)",
            {"start": start},
        )
    looks = (
        "SELECT * FROM passes ORDER BY id",
        "SELECT k, sum(n) FROM sums GROUP BY k ORDER BY k",
        "SELECT id FROM latest",
    )
    before = [list(await series.query(look)) for look in looks]
    done = await backup(tmp_path / "copy", series=series)
    assert done.series["passes"].rows == 6000
    assert len(done.series["passes"].chunks) > 8
    merging = await series.query("SELECT count() FROM system.merges")  # and merges run again
    assert merging is not None
    await series.execute("OPTIMIZE TABLE passes FINAL")
    with pytest.raises(Conflict):
        await restore(tmp_path / "copy", series=series)
    await series.close()
    await engine.stop()

    engine = await spawn_embedded(tmp_path / "two")
    series = await Series.open(engine.url, engine.token)
    await restore(tmp_path / "copy", series=series)
    assert [list(await series.query(look)) for look in looks] == before
    await series.insert("passes", ["id", "plate"], [[9999], ["x"]])
    assert await series.query("SELECT id FROM latest") == [(9999,)]
    await series.execute("CREATE TABLE strange (a UInt8) ENGINE = Log")
    with pytest.raises(Unsupported, match="strange"):
        await backup(tmp_path / "copy2", series=series)
    await series.close()
    await engine.stop()
