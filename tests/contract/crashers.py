"""Programs that write without end and say what was acknowledged, until somebody kills them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, func, insert, select

from anwang.governance.ledger import Entry, Ledger, LedgerCopy
from anwang.runtime.clock import SystemClock
from anwang.stores.bus import LocalBus
from anwang.stores.objects import Objects
from anwang.stores.series import Series
from anwang.stores.state import State
from tests.ledgers import MemoryHeads

META = MetaData()
PIECES = Table("piece", META, Column("id", Integer, primary_key=True), Column("data", LargeBinary))
HALVES = Table("half", META, Column("id", Integer, primary_key=True))
NUMBER = struct.Struct("<Q")
SEGMENT_PIECES = 20  # numbers per segment


def write_state(folder: Path, said: Connection) -> None:
    """Pairs of rows in two tables, one transaction each; says each id after its commit."""

    async def main() -> None:
        state = await State.open(f"sqlite:///{folder}/state.db")
        async with state.begin() as tx:
            await tx.run_sync(META.create_all)
            number = int(await tx.scalar(select(func.max(PIECES.c.id))) or 0)
        while True:
            number += 1
            async with state.begin() as tx:
                await tx.execute(insert(PIECES).values(id=number, data=b"x" * (number * 997 % 20_000)))
                await tx.execute(insert(HALVES).values(id=number))
            said.send(number)

    asyncio.run(main())


def write_segments(folder: Path, said: Connection) -> None:
    """Growing numbers into segments of 20; says each number once it is written."""
    objects = Objects.open(f"file://{folder}/objects")
    start = int((folder / "start").read_text())
    while True:
        segment = objects.open_segment(f"video/{start:012d}")
        for number in range(start, start + SEGMENT_PIECES):
            segment.write([NUMBER.pack(number), b"-" * 50_000])
            said.send(number)
        segment.seal()
        start += SEGMENT_PIECES


def write_bus(folder: Path, said: Connection) -> None:
    """Messages; says each number the bus gave."""

    async def main() -> None:
        bus = await LocalBus.open(folder / "bus", keep=1_000_000)
        while True:
            said.send(await bus.publish("crash.test", b"x" * 300))

    asyncio.run(main())


def write_ledger(folder: Path, said: Connection) -> None:
    """Rows of a ledger, copied to the series beside it; says each number once it is durable."""

    async def main() -> None:
        url, token = (folder / "series").read_text().split("\n")
        series, clock = await Series.open(url, token), SystemClock()
        ledger = await Ledger.open(folder / "ledger", writer="main", heads=MemoryHeads(), clock=clock)
        copy = LedgerCopy(series=series, ledger=ledger, clock=clock)

        async def follow() -> None:
            while True:
                await copy.catch_up()

        following = asyncio.create_task(follow())
        while not following.done():
            rows = await ledger.append(*(Entry(kind="opened", user="li") for _ in range(7)))
            said.send(rows[-1].seq)
        await following

    asyncio.run(main())


WRITERS: dict[str, Callable[[Path, Connection], None]] = {
    "state": write_state,
    "segments": write_segments,
    "bus": write_bus,
    "ledger": write_ledger,
}


def write(name: str, folder: str, said: Connection) -> None:
    """Where the process begins."""
    WRITERS[name](Path(folder), said)
