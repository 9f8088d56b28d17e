"""kill -9 at random moments: what was acknowledged is there, and the next start is clean."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from anwang.kernel.errors import AnwangError
from anwang.stores.bus import Lagged, LocalBus, Message
from anwang.stores.objects import Objects
from anwang.stores.series import Series, spawn_embedded
from anwang.stores.state import State
from tests.contract.crashers import HALVES, NUMBER, PIECES, SEGMENT_PIECES, write

ROUNDS = 12
PIECE = NUMBER.size + 50_000


@pytest.fixture(scope="module")
def spawn() -> multiprocessing.context.ForkServerContext:
    """Processes that start in milliseconds: one has imported everything, and forks."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.contract.crashers"])
    return context


def killed(spawn: multiprocessing.context.ForkServerContext, writer: str, folder: Path, seed: int) -> list[int]:
    """Let the writer work, kill it after a random number of acknowledgements; all it had said."""
    enough = random.Random(seed).randint(1, 60)
    ours, theirs = spawn.Pipe(duplex=False)
    child = spawn.Process(target=write, args=(writer, str(folder), theirs), daemon=True)
    child.start()
    theirs.close()
    said = []
    with ours:
        while len(said) < enough:
            assert ours.poll(60), "the writer said nothing"
            said.append(int(ours.recv()))
        child.kill()
        with suppress(EOFError, OSError):  # what it said between the last look and the kill
            while ours.poll(10):
                said.append(int(ours.recv()))
    child.join(30)
    assert child.exitcode == -9
    child.close()
    return said


async def test_state(spawn: multiprocessing.context.ForkServerContext, tmp_path: Path) -> None:
    acknowledged: set[int] = set()
    for seed in range(ROUNDS):
        acknowledged |= set(await asyncio.to_thread(killed, spawn, "state", tmp_path, seed))
        state = await State.open(f"sqlite:///{tmp_path}/state.db")
        async with state.read() as tx:
            found = set((await tx.scalars(select(PIECES.c.id))).all())
            assert found == set((await tx.scalars(select(HALVES.c.id))).all())  # whole transactions only
            assert (await tx.exec_driver_sql("PRAGMA integrity_check")).scalar() == "ok"
        assert acknowledged <= found
        assert len(found - acknowledged) <= seed + 1  # at most the one in flight at each kill
        async with state.begin() as tx:
            top = int(await tx.scalar(select(func.max(PIECES.c.id))) or 0)
            await tx.execute(insert(PIECES).values(id=top + 1))
            await tx.execute(insert(HALVES).values(id=top + 1))
        acknowledged.add(top + 1)
        await state.close()
    with sqlite3.connect(tmp_path / "state.db") as plain:
        assert plain.execute("SELECT count(*) FROM piece").fetchone()[0] == len(found) + 1
    plain.close()


async def test_segments(spawn: multiprocessing.context.ForkServerContext, tmp_path: Path) -> None:
    acknowledged: list[int] = []
    start = 0
    for seed in range(ROUNDS):
        (tmp_path / "start").write_text(str(start))
        acknowledged += await asyncio.to_thread(killed, spawn, "segments", tmp_path, seed)
        objects = Objects.open(f"file://{tmp_path}/objects")
        for left in objects.unsealed():
            left.truncate(left.size // PIECE * PIECE)  # a torn piece at the end
            left.seal()
        assert objects.unsealed() == ()
        found: list[int] = []
        after = None
        while True:
            page = await objects.list("video", limit=7, after=after)
            for entry in page.entries:
                data = await objects.get(entry.key)
                assert len(data) % PIECE == 0
                found += [NUMBER.unpack_from(data, offset)[0] for offset in range(0, len(data), PIECE)]
            after = page.next
            if after is None:
                break
        assert set(acknowledged) <= set(found)
        assert found == sorted(set(found))
        start = (max(found) // SEGMENT_PIECES + 1) * SEGMENT_PIECES
        objects.close()
        assert list((tmp_path / "objects" / ".spool").iterdir()) == []


async def test_bus(spawn: multiprocessing.context.ForkServerContext, tmp_path: Path) -> None:
    acknowledged: list[int] = []
    for seed in range(ROUNDS):
        said = await asyncio.to_thread(killed, spawn, "bus", tmp_path, seed)
        assert not acknowledged or said[0] > acknowledged[-1]  # numbers never come again
        acknowledged += said
        bus = await LocalBus.open(tmp_path / "bus", keep=1_000_000)
        last = await bus.publish("end", b"")
        assert last > acknowledged[-1]
        found = []
        async with asyncio.timeout(60), bus.subscribe(">", after=acknowledged[0] - 1) as events:
            async for event in events:
                assert not isinstance(event, Lagged)
                found.append(event)
                if isinstance(event, Message) and event.seq == last:
                    break
        assert set(acknowledged) <= {event.seq for event in found if event.subject == "crash.test"}
        assert all(event.payload == b"x" * 300 for event in found if event.subject == "crash.test")
        await bus.close()


async def test_series(tmp_path: Path) -> None:
    acknowledged: set[int] = set()
    number = 0
    for seed in range(10):
        chance = random.Random(seed)
        engine = await spawn_embedded(tmp_path / "db")
        series = await Series.open(engine.url, engine.token)
        await series.execute(
            "CREATE TABLE IF NOT EXISTS piece (batch UInt64, row UInt64) ENGINE = MergeTree ORDER BY (batch, row)"
        )
        rows = await series.query("SELECT batch, count(), uniqExact(row) FROM piece GROUP BY batch")
        assert all(row[1:] == (200, 200) for row in rows)  # whole inserts only
        assert acknowledged <= {row[0] for row in rows}
        assert len(rows) - len(acknowledged) <= 3 * seed  # at most those in flight at each kill

        async def put(opened: Series, batch: int) -> None:
            await opened.insert("piece", ["batch", "row"], [[batch] * 200, list(range(200))])
            acknowledged.add(batch)

        enough = len(acknowledged) + chance.randint(1, 25)
        running: set[asyncio.Task[None]] = set()
        while len(acknowledged) < enough:
            while len(running) < 3:
                number += 1
                running.add(asyncio.create_task(put(series, number)))
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        engine.process.kill()
        ends = await asyncio.gather(*running, return_exceptions=True)
        assert all(end is None or isinstance(end, AnwangError) for end in ends), ends
        await engine.process.wait()
        await series.close()
    assert len(acknowledged) >= 10
