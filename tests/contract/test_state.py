"""The promises of the state store, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from anwang.kernel.errors import Conflict, Exhausted, Internal, Invalid, Unavailable
from anwang.stores.state import Json, Moment, Serial, State, upsert

META = MetaData()
sites = Table("site", META, Column("id", Integer, primary_key=True), Column("name", Text), Column("seen_at", Moment))
posts = Table(
    "post",
    META,
    Column("id", Serial, primary_key=True),
    Column("site", Integer, ForeignKey("site.id"), nullable=False),
    Column("about", Json),
)


@pytest.fixture(autouse=True)
async def tables(state: State) -> None:
    async with state.begin() as tx:
        await tx.run_sync(META.create_all)


async def count(state: State) -> int:
    async with state.read() as tx:
        return int(await tx.scalar(select(func.count()).select_from(sites)) or 0)


async def test_a_block_commits_and_a_raise_rolls_back(state: State) -> None:
    async with state.begin() as tx:
        await tx.execute(insert(sites).values(id=1, name="东门"))
    with pytest.raises(ZeroDivisionError):
        async with state.begin() as tx:
            await tx.execute(insert(sites).values(id=2, name="西门"))
            raise ZeroDivisionError
    async with state.read() as tx:
        assert [row.name for row in await tx.execute(select(sites))] == ["东门"]


async def test_a_read_is_one_snapshot_while_others_write(state: State) -> None:
    async with state.begin() as tx:
        await tx.execute(insert(sites).values(id=1))
    async with state.read() as look:
        first = await look.scalar(select(func.count()).select_from(sites))
        async with state.begin() as tx:
            await tx.execute(insert(sites).values(id=2))
        assert await look.scalar(select(func.count()).select_from(sites)) == first == 1
    assert await count(state) == 2


async def test_a_read_goes_on_while_a_writer_holds_its_transaction_open(state: State) -> None:
    async with state.begin() as tx:
        await tx.execute(insert(sites).values(id=1))
        assert await count(state) == 0


async def test_a_read_cannot_write(state: State) -> None:
    with pytest.raises(DBAPIError):
        async with state.read() as tx:
            await tx.execute(insert(sites).values(id=1))
    assert await count(state) == 0


async def test_writers_beside_each_other_all_succeed(state: State) -> None:
    async with state.begin() as tx:
        await tx.execute(insert(sites).values(id=0, name="0"))

    async def one(number: int) -> None:
        async with state.begin() as tx:
            row = (await tx.execute(select(sites.c.name).where(sites.c.id == 0).with_for_update())).one()
            await tx.execute(update(sites).where(sites.c.id == 0).values(name=str(int(row.name) + 1)))
            await tx.execute(insert(sites).values(id=number))

    await asyncio.gather(*(one(number) for number in range(1, 61)))
    assert await count(state) == 61
    async with state.read() as tx:
        assert await tx.scalar(select(sites.c.name).where(sites.c.id == 0)) == "60"


async def test_a_cancelled_writer_leaves_nothing_and_blocks_nobody(state: State) -> None:
    inside = asyncio.Event()

    async def hang() -> None:
        async with state.begin() as tx:
            await tx.execute(insert(sites).values(id=1))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with state.begin() as tx:
        await tx.execute(insert(sites).values(id=2))
    assert await count(state) == 1


async def test_cancelling_at_any_moment_never_breaks_the_next_writer(state: State) -> None:
    for turns in range(30):

        async def write(number: int) -> None:
            async with state.begin() as tx:
                await tx.execute(insert(sites).values(id=number))

        task = asyncio.create_task(write(turns))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with state.begin() as tx:
            await tx.execute(insert(sites).values(id=1000 + turns))
    async with state.read() as tx:
        assert await tx.scalar(select(func.count()).where(sites.c.id >= 1000)) == 30


async def test_a_writer_cancelled_inside_a_statement_lets_go_though_its_exception_is_kept(state: State) -> None:
    slow = (
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 200000000) SELECT max(x) FROM c"
        if state.is_sqlite
        else "SELECT pg_sleep(60)"
    )

    async def write(begun: asyncio.Event) -> None:
        async with state.begin() as tx:
            await tx.execute(insert(sites).values(id=1))
            begun.set()
            await tx.execute(text(slow))

    kept: list[BaseException] = []
    for turn in range(4):
        begun = asyncio.Event()
        task = asyncio.create_task(write(begun))
        async with asyncio.timeout(10):
            await begun.wait()
        await asyncio.sleep(0.01 * turn)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as err:
            kept.append(err)  # with its traceback and whatever that holds
        async with asyncio.timeout(5):
            async with state.begin() as tx:
                await tx.execute(insert(sites).values(id=100 + turn))
    assert len(kept) == 4
    async with state.read() as tx:
        assert (await tx.execute(select(sites.c.id).order_by(sites.c.id))).scalars().all() == [100, 101, 102, 103]


async def test_foreign_keys_are_enforced(state: State) -> None:
    with pytest.raises(Internal) as caught:
        async with state.begin() as tx:
            await tx.execute(insert(posts).values(site=404))
    assert isinstance(caught.value.__cause__, IntegrityError)


async def test_a_row_that_is_there_already_is_a_conflict(state: State) -> None:
    for number in range(2):
        with pytest.raises(Conflict) if number else contextlib.nullcontext():
            async with state.begin() as tx:
                await tx.execute(insert(sites).values(id=1))
    assert await count(state) == 1


@pytest.mark.parametrize("how", ["begin", "read", "fetch"])
async def test_wrong_sql_stays_the_drivers_error(state: State, how: str) -> None:
    wrong = select(literal_column("no_such_column")).select_from(sites)
    with pytest.raises(DBAPIError):
        if how == "fetch":
            await state.fetch(wrong)
        else:
            async with state.begin() if how == "begin" else state.read() as tx:
                await tx.execute(wrong)
    await count(state)


async def test_a_full_database_is_unavailable_and_goes_on_when_there_is_room(state: State) -> None:
    if not state.is_sqlite:
        return  # a limit of pages is SQLite's
    async with state.begin() as tx:
        pages = int(await tx.scalar(text("PRAGMA page_count")) or 0)
        await tx.execute(text(f"PRAGMA max_page_count = {pages + 1}"))
    with pytest.raises(Unavailable, match="full"):
        async with state.begin() as tx:
            await tx.execute(insert(sites), [{"id": number, "name": "x" * 1000} for number in range(100)])
    assert await count(state) == 0
    async with state.begin() as tx:
        await tx.execute(text("PRAGMA max_page_count = 1000000"))
        await tx.execute(insert(sites), [{"id": number, "name": "x" * 1000} for number in range(100)])
    assert await count(state) == 100


@pytest.mark.parametrize("how", ["begin", "read"])
async def test_a_connection_that_is_cut_is_unavailable_and_the_next_one_serves(state: State, how: str) -> None:
    if state.is_sqlite:
        return  # connections are PostgreSQL's
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = :pid")
    for moment in ("in a statement", "between", "at the end"):
        with pytest.raises(Unavailable):
            async with state.begin() if how == "begin" else state.read() as tx:
                pid = await tx.scalar(text("SELECT pg_backend_pid()"))
                if moment == "in a statement":
                    await tx.execute(cut, {"pid": pid})
                else:
                    async with state.begin() as other:
                        await other.execute(cut, {"pid": pid})
                    if moment == "between":
                        await tx.execute(select(sites))
                    elif how == "read":
                        raise Unavailable("a snapshot that was read needs no end")
        assert await count(state) == 0


async def test_moments_and_documents_come_back_as_they_went(state: State) -> None:
    moment = datetime(2026, 11, 22, 8, 0, 0, 123456, tzinfo=timezone(timedelta(hours=8)))
    about = {"类型": "球机", "height_m": 6.5, "tags": [1, None, True]}
    async with state.begin() as tx:
        await tx.execute(insert(sites).values(id=1, seen_at=moment))
        key = (await tx.execute(insert(posts).values(site=1, about=about))).inserted_primary_key
    assert key is not None
    async with state.read() as tx:
        seen = await tx.scalar(select(sites.c.seen_at).where(sites.c.seen_at >= moment - timedelta(microseconds=1)))
        assert seen == moment
        assert seen is not None
        assert seen.tzinfo is UTC
        assert await tx.scalar(select(posts.c.about).where(posts.c.id == key[0])) == about


async def test_a_naive_moment_is_refused(state: State) -> None:
    with pytest.raises(Exception, match="time zone"):
        async with state.begin() as tx:
            await tx.execute(insert(sites).values(id=1, seen_at=datetime(2026, 1, 1)))  # noqa: DTZ001


async def test_upsert_inserts_updates_or_keeps(state: State) -> None:
    rows = [{"id": number, "name": f"{number} 号"} for number in range(2000)]
    async with state.begin() as tx:
        await upsert(tx, sites, rows, key_columns=["id"], update_columns=["name"])
        await upsert(tx, sites, [], key_columns=["id"], update_columns=["name"])
        await upsert(tx, sites, [{"id": 1, "name": "new"}], key_columns=["id"], update_columns=["name"])
        await upsert(tx, sites, [{"id": 2, "name": "new"}], key_columns=["id"], update_columns=[])
    async with state.read() as tx:
        names = [row.name for row in await tx.execute(select(sites.c.name).order_by(sites.c.id).limit(3))]
    assert names == ["0 号", "new", "2 号"]
    assert await count(state) == 2000


async def test_what_was_committed_is_there_after_closing(state: State, state_url: str) -> None:
    async with state.begin() as tx:
        await tx.execute(insert(sites).values(id=7))
    await state.close()
    again = await State.open(state_url)
    assert await count(again) == 1
    await again.close()


async def test_urls_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    for url in ("sqlite://", "sqlite:///:memory:", "mysql://host/db", "nonsense", "sqlite:///x.db?mode=ro"):
        with pytest.raises(Invalid):
            await State.open(url)
    (tmp_path / "text.db").write_text("this is no database, " * 100)
    for url in (f"sqlite:///{tmp_path}/text.db", "postgresql://postgres:geheim@127.0.0.1:1/none"):
        with pytest.raises(Unavailable) as refused:
            await State.open(url)
        assert "geheim" not in str(refused.value)


class TestOnlySqlite:
    """What only the engine with one writer has."""

    @pytest.fixture
    def state_url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/state.db"

    async def test_begin_inside_begin_says_so_instead_of_waiting_for_itself(self, state: State) -> None:
        async with state.begin():
            with pytest.raises(Internal, match="begin"):
                async with state.begin():
                    pass
        async with state.begin():
            pass

    async def test_the_queue_of_writers_is_bounded_in_length_and_time(self, tmp_path: Path) -> None:
        state = await State.open(f"sqlite:///{tmp_path}/other.db", wait_s=0.05, max_waiting=1)

        async def write() -> None:
            async with state.begin():
                pass

        async with state.begin():
            first = asyncio.create_task(write())
            while not state.waiting:
                await asyncio.sleep(0)
            with pytest.raises(Exhausted):
                await asyncio.create_task(write())
            with pytest.raises(Unavailable):
                await first
        assert state.refused == 2
        assert state.waiting == 0
        await write()
        await state.close()

    async def test_nobody_else_may_read_the_files(self, state: State, tmp_path: Path) -> None:
        assert {path.name for path in tmp_path.iterdir()} >= {"state.db", "state.db-wal"}
        assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())

    async def test_it_is_wal_and_a_commit_is_on_disk(self, state: State, tmp_path: Path) -> None:
        async with state.begin() as tx:
            assert (await tx.exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"
            assert (await tx.exec_driver_sql("PRAGMA synchronous")).scalar() == 2
        light = await State.open(f"sqlite:///{tmp_path}/light.db", durable=False)
        async with light.begin() as tx:
            assert (await tx.exec_driver_sql("PRAGMA synchronous")).scalar() == 1
        await light.close()

    async def test_a_writer_from_another_process_is_waited_for(self, state: State, tmp_path: Path) -> None:
        other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO site (id) VALUES (1)")

        async def write() -> None:
            async with state.begin() as tx:
                await tx.execute(insert(sites).values(id=2))

        task = asyncio.create_task(write())
        await asyncio.sleep(0)
        assert await count(state) == 0
        other.execute("COMMIT")
        other.close()
        await task
        assert await count(state) == 2


async def test_a_single_question_sees_what_is_committed_and_changes_nothing(state: State) -> None:
    async with state.begin() as tx:
        await tx.execute(insert(sites).values(id=1, name="东门"))
    by_id = select(sites.c.name).where(sites.c.id == bindparam("id"))
    assert [row.name for row in await state.fetch(by_id, {"id": 1})] == ["东门"]
    assert await state.fetch(by_id, {"id": 2}) == []
    async with state.begin() as tx:
        await tx.execute(insert(sites).values(id=2, name="西门"))
        assert await state.fetch(by_id, {"id": 2}) == []
    many = await asyncio.gather(*(state.fetch(by_id, {"id": number % 2 + 1}) for number in range(50)))
    assert [rows[0].name for rows in many] == ["东门", "西门"] * 25
