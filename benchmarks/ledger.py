"""The ledger: appending, what it adds to a live start, verifying, copying and searching a year of it.

    python -m benchmarks.ledger [--quick] [--rows 5000000] [--folder F]

*Appending*: 256 callers, one row each at a time, each waiting until its row is on the disk. The baseline writes the
same bytes with bare write and fdatasync, in as many pieces as the ledger made groups: what no program in front of that
disk could go below. *In the path of a live start*: one row, awaited, as `open_look` writes it before the first byte,
alone and beside 500 other rows a second; the baseline is a bare write and fdatasync of one such line on a thread. One
more line holds 10,000 rows a second while the searchable copy follows.

*Verifying*: every row of the year. The baseline is the least that could check the same lines: SHA-256 over the hash
before and the text, compared, and the JSON decoded, in a bare loop. *Copying*: the same rows from the files into the
series store, as the product does it when it is behind.

*Searching*: that year, once copied, asked through the product for the latest 50 rows of a person, an object, a case, an
action, a time, and of several of them together; of the many and of the rare, and of what is not there. The baseline
reads the files, latest row first, as the product does where it has no copy; its time is that of 100,000 rows, times the
rows that it would have to look at.

Gates: the chain verifies whole after appending, with as many rows as were acknowledged, and with its anchors; every
search gives exactly the rows that a plain look over the generated year gives.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from anwang.governance.ledger import (
    LEDGER_STEPS,
    AnchorWriter,
    Asked,
    CopyUse,
    Entry,
    Head,
    Ledger,
    LedgerCopy,
    Row,
    Signer,
    verify,
)
from anwang.governance.ledger.chain import HEX, genesis
from anwang.governance.ledger.writer import ChainWriter
from anwang.runtime import logs
from anwang.runtime.clock import SystemClock
from anwang.stores.series import Series, spawn_embedded
from benchmarks.ratio import Row as Line
from benchmarks.ratio import interval, of_pairs, table

Mask = NDArray[np.bool_]
START_US = 1_764_547_200_000_000  # 2025-12-01 UTC
YEAR_US = 365 * 86_400_000_000
PAGE = 50
SIGNER = Signer([bytes(range(32))])


class MemoryHeads:
    """Heads kept in memory: the state database is not what is measured."""

    def __init__(self) -> None:
        self.kept: dict[str, Head] = {}

    async def load(self) -> Mapping[str, Head]:
        """See Heads."""
        return dict(self.kept)

    async def save(self, head: Head) -> None:
        """See Heads."""
        self.kept[head.chain] = head


class Year:
    """Rows of a year, made of columns, so that what must be found can be told without reading any.

    Each column holds, by the row's number less one, which of the words stands in it; -1: none.
    """

    KINDS = ("opened", "closed", "opened", "closed", "used", "denied")
    ACTIONS = ("view_live", "view_playback", "export", "snapshot")

    def __init__(self, rows: int) -> None:
        self.rows = rows
        dice = random.Random(1)
        ids = [str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in range(20_000)]
        self.users, self.points, self.ids = ids[:400], ids[400:8400], ids[8400:]
        number = np.arange(1, rows + 1, dtype=np.uint64)
        self.mixed = (number * np.uint64(2_654_435_761) % np.uint64(1 << 32)).astype(np.int64)
        number = number.astype(np.int64)
        self.at = START_US + number * (YEAR_US // (rows + 1))
        self.kind = number % 6
        self.user = np.where(self.mixed % 1009 == 0, 399, self.mixed % 397)
        self.action = self.mixed // 7 % 4
        self.point = np.where(self.kind == 4, -1, self.mixed // 3 % 8000)
        self.look = np.where(self.kind < 4, 5000 + self.mixed % 6000, -1)
        self.case = np.where(number % 3 == 0, self.mixed % 200_000, -1)
        self.purpose = np.where(self.case >= 0, self.mixed % 11_000, -1)

    def entries(self, first: int, last: int) -> Iterator[Entry]:
        """Rows `first` to `last`, from 1: two thirds are looks, the others counted or denied."""
        columns = (self.mixed, self.kind, self.user, self.action, self.point, self.look, self.case, self.purpose)
        for mixed, kind, user, action, point, look, case, purpose in zip(
            *(column[first - 1 : last].tolist() for column in columns), strict=True
        ):
            yield Entry(
                kind=self.KINDS[kind],
                user=self.users[user],
                name=f"user.{user:03d}",
                role="operator" if user % 5 else "investigator",
                org=f"/city/{user % 20}/",
                session=self.ids[mixed % 5000],
                terminal=f"10.0.{user % 20}.{user % 250}",
                action=self.ACTIONS[action],
                objects=(self.points[point],) if point >= 0 else (),
                look=self.ids[look] if look >= 0 else "",
                count=mixed % 90 if kind == 4 else 0,
                bytes=mixed if kind in (1, 3) else 0,
                seconds=mixed % 3_600_000 / 1000 if kind in (1, 3) else 0.0,
                detail="2026-11-22T08:00:00Z/2026-11-22T09:00:00Z" if kind in (0, 2) else "",
                unit=f"unit {user % 20}",
                purpose=self.ids[purpose] if case >= 0 else "",
                reason="criminal_case" if case >= 0 else "",
                case=f"A9901{case:09d}" if case >= 0 else "",
            )

    def found(self, fits: Mask) -> list[int]:
        """The numbers of the latest rows that fit, as many as a page holds."""
        return [int(at) + 1 for at in np.flatnonzero(fits)[: -PAGE - 1 : -1]]


class YearClock(SystemClock):
    """A clock that goes through the year row by row."""

    def __init__(self, year: Year) -> None:
        self._year = year
        self._number = 0

    def micros(self) -> int:
        """See Clock."""
        self._number += 1
        return int(self._year.at[self._number - 1])


def fill(folder: Path, year: Year) -> Head:
    """Write the year through the chain's own writer, without waiting for the disk."""
    writer = ChainWriter(
        folder=folder, writer="main", clock=YearClock(year), rotate_bytes=16 << 20, sync=lambda descriptor: None
    )
    writer.open({})
    encode = msgspec.json.Encoder().encode
    for first in range(1, year.rows + 1, 5000):
        writer.write([[encode(entry)] for entry in year.entries(first, first + 4999)])
    writer.close()
    return writer.head


# --- appending -------------------------------------------------------------------------------------------------------


async def append(folder: Path, year: Year, count: int, callers: int) -> tuple[float, int]:
    """Seconds for so many rows by so many callers, and groups that went to the disk."""
    groups = 0

    def sync(descriptor: int) -> None:
        nonlocal groups
        groups += 1
        os.fdatasync(descriptor)

    heads = MemoryHeads()
    anchors = AnchorWriter(folder=folder / "anchors", writer="main", signer=SIGNER)
    ledger = await Ledger.open(
        folder / "ledger", writer="main", heads=heads, clock=SystemClock(), sync=sync, anchors=anchors
    )
    entries = list(year.entries(1, 5000))
    running = asyncio.create_task(ledger.run())

    async def caller(first: int) -> None:
        for number in range(first, count, callers):
            await ledger.append(entries[number % 5000])

    begun = time.perf_counter()
    await asyncio.gather(*(caller(first) for first in range(callers)))
    taken = time.perf_counter() - begun
    running.cancel()
    await asyncio.wait({running})
    await ledger.close()
    result = verify(folder / "ledger", heads.kept, anchors=folder / "anchors", keys=SIGNER.keys)
    if result.faults or result.rows != count or not result.anchors:
        raise AssertionError(f"{result.rows} of {count} rows, {result.faults[:3]}")
    return taken, groups


def bare(folder: Path, data: bytes, groups: int) -> float:
    """Seconds for the same bytes in as many pieces, each on the disk before the next."""
    size = len(data) // groups + 1
    begun = time.perf_counter()
    descriptor = os.open(folder / "bare", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for start in range(0, len(data), size):
        os.write(descriptor, data[start : start + size])
        os.fdatasync(descriptor)
    os.close(descriptor)
    return time.perf_counter() - begun


def appending(folder: Path, year: Year, *, count: int, pairs: int, callers: int = 256) -> list[Line]:
    """Rows a second, beside the bare disk."""
    ours: list[float] = []
    peer: list[float] = []
    groups = 0
    for number in range(pairs):
        place = Path(tempfile.mkdtemp(dir=folder))
        taken, groups = asyncio.run(append(place, year, count, callers))
        data = b"".join(file.read_bytes() for file in sorted(place.glob("ledger/main-1/*.ledger")))
        ours.append(taken)
        peer.append(bare(place, data, groups))
        shutil.rmtree(place)
        print(f"  appending {number + 1} of {pairs}", file=sys.stderr, flush=True)
    ratio = of_pairs(ours, peer)
    worst = count / max(ours)
    return [
        Line(
            what=f"rows appended per second, {callers} callers, each row awaited",
            ours=f"{count / ratio.ours:,.0f}, worst {worst:,.0f}; {count / groups:.0f} rows a sync",
            peer=f"{count / ratio.peer:,.0f}, bare write and fdatasync of the same bytes in as many pieces",
            ratio=f"{ratio} of its time",
            target=">= 10,000/s sustained",
            holds=worst >= 10_000,
            gate=f"{count:,} acknowledged, {count:,} verified, each time",
        )
    ]


async def starts(folder: Path, year: Year, count: int, others: float) -> list[float]:
    """Seconds that a row takes, one after another, every 10 ms. others: rows a second beside it."""
    heads = MemoryHeads()
    ledger = await Ledger.open(folder / "ledger", writer="main", heads=heads, clock=SystemClock())
    taken = []
    entries = list(year.entries(1, count))

    async def beside() -> None:
        while True:
            await asyncio.sleep(10 / others)
            await ledger.append(*entries[:10])

    busy = asyncio.create_task(beside()) if others else None
    for entry in entries:
        begun = time.perf_counter()
        await ledger.append(entry)
        taken.append(time.perf_counter() - begun)
        await asyncio.sleep(0.01)
    if busy is not None:
        busy.cancel()
        await asyncio.wait({busy})
    await ledger.close()
    if faults := verify(folder / "ledger", heads.kept).faults:
        raise AssertionError(f"{faults[:3]}")
    return taken


async def bare_starts(folder: Path, line: bytes, count: int) -> list[float]:
    """The same with a bare write and fdatasync on a thread."""
    descriptor = os.open(folder / "bare", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def put() -> None:
        os.write(descriptor, line)
        os.fdatasync(descriptor)

    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        await asyncio.to_thread(put)
        taken.append(time.perf_counter() - begun)
        await asyncio.sleep(0.01)
    os.close(descriptor)
    return taken


def starting(folder: Path, year: Year, count: int) -> list[Line]:
    """The ledger's part of a live start."""
    lines = []
    line = b"0" * HEX + b" " + msgspec.json.encode(next(year.entries(1, 1))) + b"\n"
    for others in (0.0, 500.0):
        place = Path(tempfile.mkdtemp(dir=folder))
        peer = asyncio.run(bare_starts(place, line, count))
        ours = asyncio.run(starts(place, year, count, others))
        shutil.rmtree(place)
        p95 = sorted(ours)[int(count * 0.95)]
        beside = "alone" if not others else f"beside {others:.0f} other rows a second"
        lines.append(
            Line(
                what=f"a row in the path of a live start, {beside}",
                ours=told(ours),
                peer=f"{told(peer)}, bare write and fdatasync on a thread",
                ratio=f"{statistics.median(ours) / statistics.median(peer):.2f} of its median",
                target="p95 <= 5 ms",
                holds=p95 <= 0.005,
                gate=f"{count:,} rows, verified",
            )
        )
    return lines


def told(taken: Sequence[float]) -> str:
    """Median, 95th and 99th percentile in milliseconds."""
    ordered = sorted(taken)
    parts = [f"p{int(part * 100)} {ordered[int(len(ordered) * part)] * 1000:.2f}" for part in (0.5, 0.95, 0.99)]
    return f"{', '.join(parts)} ms"


async def sustained(folder: Path, year: Year, seconds: int) -> list[Line]:
    """10,000 rows a second, each awaited by its own caller, while the copy follows in the same process."""
    engine = await spawn_embedded(folder / "series")
    series = await Series.open(engine.url, engine.token)
    heads = MemoryHeads()
    ledger = await Ledger.open(folder / "ledger", writer="main", heads=heads, clock=SystemClock())
    try:
        await series.migrate(LEDGER_STEPS)
        copy = LedgerCopy(series=series, ledger=ledger, clock=SystemClock())
        tasks = [asyncio.create_task(work) for work in (ledger.run(), copy.run())]
        entries = list(year.entries(1, 5000))
        taken: list[float] = []
        behind: list[int] = []

        async def one(entry: Entry) -> None:
            begun = time.perf_counter()
            await ledger.append(entry)
            taken.append(time.perf_counter() - begun)

        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for turn in range(seconds * 100):
                for entry in entries[turn % 50 * 100 :][:100]:
                    group.create_task(one(entry))
                behind.append(copy.behind)
                while ledger.waiting > 5000:  # a machine that does not keep up shows in the rate, not in refusals
                    await asyncio.sleep(0.01)
                await asyncio.sleep(max(0.0, begun + (turn + 1) / 100 - time.perf_counter()))
        rate = len(taken) / (time.perf_counter() - begun)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await copy.catch_up()
        ((count,),) = await series.query("SELECT uniqExact(chain, seq) FROM ledger_rows")
    finally:
        await ledger.close()
        await series.close()
        await engine.stop()
    result = verify(folder / "ledger", heads.kept)
    if result.faults or not result.rows == count == len(taken):
        raise AssertionError(f"{result.rows} and {count} of {len(taken)} rows, {result.faults[:3]}")
    return [
        Line(
            what=f"10,000 rows a second for {seconds} s, the copy following in the same process",
            ours=f"{rate:,.0f}/s; {told(taken)}; the copy at most {max(behind):,} rows behind",
            target=">= 10,000/s sustained",
            holds=rate >= 9_900 and max(behind) < 5 * 10_000,
            gate=f"{count:,} acknowledged, as many verified and copied",
        )
    ]


# --- verifying -------------------------------------------------------------------------------------------------------


def verifying(folder: Path, head: Head, year: Year, pairs: int) -> list[Line]:
    """Rows a second, beside a bare loop over the same lines."""

    def ours() -> float:
        begun = time.perf_counter()
        result = verify(folder, {head.chain: head})
        if result.faults or result.rows != year.rows:
            raise AssertionError(f"{result.rows} rows, {result.faults[:3]}")
        return time.perf_counter() - begun

    def bare() -> float:
        begun = time.perf_counter()
        digest, decode = bytes.fromhex(genesis(head.chain)), msgspec.json.Decoder(Row).decode
        for path in sorted(folder.glob("main-1/*.ledger")):
            with path.open("rb") as lines:
                for line in lines:
                    text = line[HEX + 1 : -1]
                    hashed = hashlib.sha256(digest + text)
                    if hashed.hexdigest() != line[:HEX].decode():
                        raise AssertionError("a hash does not fit")
                    decode(text)
                    digest = hashed.digest()
        return time.perf_counter() - begun

    mine: list[float] = []
    theirs: list[float] = []
    for number in range(pairs):
        for kept, turn in ((mine, ours), (theirs, bare)) if number % 2 == 0 else ((theirs, bare), (mine, ours)):
            kept.append(turn())
    ratio = of_pairs(mine, theirs)
    return [
        Line(
            what="rows verified per second",
            ours=f"{year.rows / ratio.ours:,.0f}",
            peer=f"{year.rows / ratio.peer:,.0f}, a bare loop of SHA-256, comparison and decoding",
            ratio=f"{ratio} of its time",
            gate=f"{year.rows:,} rows, sound",
        )
    ]


# --- searching -------------------------------------------------------------------------------------------------------


def questions(year: Year) -> dict[str, tuple[Asked, Mask]]:
    """What is asked of the year, and which rows fit."""
    every = np.ones(year.rows, dtype=np.bool_)
    half, month = year.rows // 2, year.rows // 12
    span = {"since": int(year.at[half]), "until": int(year.at[half + month])}
    in_span = (year.at >= span["since"]) & (year.at < span["until"])
    case = int(year.case[half // 3 * 3 - 1])
    told = f"A9901{case:09d}"
    common, rare, point, look = year.users[7], year.users[399], year.points[4321], year.ids[5017]
    by_look = (year.look == 5017) | (year.purpose == 5017)
    of_common, of_rare, of_point, of_case = year.user == 7, year.user == 399, year.point == 4321, year.case == case
    denied_export = (year.kind == 5) & (year.action == 2)
    return {
        "nothing, so the latest": (Asked(), every),
        "a person": (Asked(actor=common), of_common),
        "a person by user name": (Asked(actor="user.007"), of_common),
        "a person of whom there is little": (Asked(actor=rare), of_rare),
        "an object": (Asked(object=point), of_point),
        "a look": (Asked(object=look), by_look),
        "a case": (Asked(case=told), of_case),
        "an action and a kind": (Asked(action="export", kind="denied"), denied_export),
        "a month": (Asked(**span), in_span),
        "a person in a month": (Asked(actor=common, **span), of_common & in_span),
        "an object in a month": (Asked(object=point, **span), of_point & in_span),
        "a case in a month": (Asked(case=told, **span), of_case & in_span),
        "a person and an object": (Asked(actor=common, object=point), of_common & of_point),
        "a person and a case": (Asked(actor=common, case=told), of_common & of_case),
        "a rare person's denied exports": (
            Asked(actor=rare, action="export", kind="denied"),
            of_rare & denied_export,
        ),
        "a case that is not there": (Asked(case="none"), ~every),
        "an object that is not there": (Asked(object="none"), ~every),
        "a person who is not there": (Asked(actor="none"), ~every),
    }


async def searching(folder: Path, head: Head, year: Year, times: int) -> list[Line]:
    """Copy the year, then ask it."""
    engine = await spawn_embedded(folder / "series")
    series = await Series.open(engine.url, engine.token)
    heads = MemoryHeads()
    heads.kept[head.chain] = head
    ledger = await Ledger.open(folder / "ledger", writer="main", heads=heads, clock=SystemClock())
    try:
        await series.migrate(LEDGER_STEPS)
        copy = LedgerCopy(series=series, ledger=ledger, clock=SystemClock())
        begun = time.perf_counter()
        await copy.catch_up()
        taken = time.perf_counter() - begun
        ((count, size),) = await series.query(
            "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'ledger_rows'"
        )
        if count != year.rows:
            raise AssertionError(f"{count} of {year.rows} rows were copied")
        lines = [
            Line(
                what="rows copied per second, from the files to the series store",
                ours=f"{year.rows / taken:,.0f}; {size / count:.0f} B a row",
                target=">= 10,000/s",
                holds=year.rows / taken >= 10_000,
                gate=f"{count:,} rows are there",
            )
        ]
        per_row = await _file_seconds(ledger, min(year.rows, 100_000))
        for what, (asked, fits) in questions(year).items():
            lines.append(await _ask(copy, what, asked, year, fits, per_row, times))
        return lines
    finally:
        await ledger.close()
        await series.close()
        await engine.stop()


async def _file_seconds(ledger: Ledger, count: int) -> float:
    """Seconds a row of reading the files, by a question to which nothing fits."""
    begun = time.perf_counter()
    page = await ledger.page(limit=PAGE, wanted=Asked(case="none").fits, scan=count)
    return (time.perf_counter() - begun) / page.scanned


async def _ask(copy: LedgerCopy, what: str, asked: Asked, year: Year, fits: Mask, per_row: float, times: int) -> Line:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        page = await copy.page(asked, under=None, limit=PAGE, place=None, wanted=asked.fits)
        taken.append(time.perf_counter() - begun)
    expected = year.found(fits)
    if [row.seq for _, row in page.rows] != expected or page.copy is not CopyUse.USED:
        raise AssertionError(f"{what}: {[row.seq for _, row in page.rows][:5]}, not {expected[:5]}, {page.copy}")
    # the files are read until the page is full or the time asked for is over
    last = expected[-1] if len(expected) == PAGE else int(np.searchsorted(year.at, asked.since)) + 1
    looked_at = year.rows - last + 1
    median, low, high = interval(taken)
    files = looked_at * per_row
    return Line(
        what=f"search of {year.rows:,} rows: {what}",
        ours=f"{median * 1000:.0f} ms ({low * 1000:.0f} to {high * 1000:.0f}), worst {max(taken) * 1000:.0f} ms",
        peer=f"{files:.1f} s for reading {looked_at:,} rows of the files",
        ratio=f"{median / files:.4f} of its time" if looked_at > PAGE else "",
        target="<= 1 s",
        holds=max(taken) <= 1.0,
        gate=f"the {len(expected)} rows of a plain look over the year",
    )


# --- all of it -------------------------------------------------------------------------------------------------------


def measure(quick: bool, *, rows: int = 5_000_000, folder: Path | None = None) -> list[Line]:
    """All lines."""
    logs.configure(level="ERROR", as_json=True)
    place = Path(tempfile.mkdtemp(prefix="ledger-", dir=folder))
    try:
        return list(_measured(place, Year(min(rows, 100_000) if quick else rows), quick))
    finally:
        shutil.rmtree(place)


def _measured(folder: Path, year: Year, quick: bool) -> Iterator[Line]:
    yield from appending(folder, year, count=20_000 if quick else 200_000, pairs=2 if quick else 7)
    yield from asyncio.run(sustained(Path(tempfile.mkdtemp(dir=folder)), year, seconds=3 if quick else 30))
    yield from starting(folder, year, count=100 if quick else 1000)
    head = fill(folder / "ledger", year)
    print(f"  {year.rows:,} rows are written", file=sys.stderr, flush=True)
    yield from verifying(folder / "ledger", head, year, pairs=1 if quick else 2)
    yield from asyncio.run(searching(folder, head, year, times=3 if quick else 20))


def main() -> None:
    """Print the lines."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--rows", type=int, default=5_000_000)
    options.add_argument("--folder", type=Path, help="where the rows go; deleted afterwards")
    chosen = options.parse_args()
    print(table(measure(chosen.quick, rows=chosen.rows, folder=chosen.folder)))


if __name__ == "__main__":
    main()
