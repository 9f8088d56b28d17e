"""The ledger: durable before it answers, and nothing that was done to its files goes unseen."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anwang.governance.ledger import Entry, Head, Ledger, verify
from anwang.governance.ledger.chain import HEX, chained, genesis, row_decoder
from anwang.kernel.errors import Conflict, Invalid, Unavailable
from anwang.runtime.clock import FakeClock
from tests.ledgers import MemoryHeads, files_of

SECOND = 1_000_000


class Disk:
    """`fdatasync` that can be broken and counts."""

    def __init__(self) -> None:
        self.broken = False
        self.syncs = 0

    def __call__(self, descriptor: int) -> None:
        self.syncs += 1
        if self.broken:
            raise OSError(28, "No space left on device")
        os.fdatasync(descriptor)


async def opened(folder: Path, heads: MemoryHeads, **options: Any) -> Ledger:
    return await Ledger.open(folder, **{"writer": "main", "heads": heads, "clock": FakeClock(), **options})


async def written(
    folder: Path, count: int, *, rotate_bytes: int = 700, heads: MemoryHeads | None = None
) -> MemoryHeads:
    """A closed ledger of `count` rows in several files."""
    heads = heads or MemoryHeads()
    ledger = await opened(folder, heads, rotate_bytes=rotate_bytes)
    for number in range(count):
        await ledger.append(Entry(kind="opened", user=f"u{number}", objects=("p1", "p2"), detail="看"))
    await ledger.close()
    return heads


async def test_a_chain_is_known_before_its_first_row(tmp_path: Path) -> None:
    heads = MemoryHeads()
    ledger = await opened(tmp_path, heads)
    copied = await heads.load()  # as a backup in the first second has it
    await ledger.append(Entry(kind="opened", user="u"))
    assert verify(tmp_path, copied).faults == []
    assert [fault.what for fault in verify(tmp_path, {}).faults] == ["the state database does not know this chain"]
    await ledger.close()


async def test_rows_come_back_and_verify(tmp_path: Path) -> None:
    heads = await written(tmp_path, 20)
    assert len(files_of(tmp_path)) > 2
    result = verify(tmp_path, heads.kept)
    assert (result.rows, result.faults) == (20, [])
    assert result.heads == heads.kept
    ledger = await opened(tmp_path, heads, rotate_bytes=700)
    (row,) = await ledger.append(Entry(kind="closed", bytes=5))
    assert row.seq == 21
    page = await ledger.page(limit=4)
    assert [each.seq for _, each in page.rows] == [21, 20, 19, 18]
    rest = []
    while page.next is not None:
        page = await ledger.page(limit=7, place=page.next)
        rest += [each.seq for _, each in page.rows]
    assert rest == list(range(17, 0, -1))
    forward = [row.seq async for _, rows in ledger.rows({"main-1": 5}, batch=3) for row in rows]
    assert forward == list(range(6, 22))
    assert (await ledger.verify()).faults == []
    await ledger.close()


async def test_a_page_says_how_far_it_looked(tmp_path: Path) -> None:
    ledger = await opened(tmp_path, MemoryHeads())
    await ledger.append(*(Entry(kind="rare" if number == 0 else "common") for number in range(50)))
    page = await ledger.page(limit=5, wanted=lambda row: row.kind == "rare", scan=30)
    assert (page.rows, page.scanned) == ([], 30)
    assert page.next is not None
    page = await ledger.page(limit=5, place=page.next, wanted=lambda row: row.kind == "rare", scan=30)
    assert ([row.seq for _, row in page.rows], page.next) == ([1], None)
    await ledger.close()


async def test_many_at_once_share_a_sync(tmp_path: Path) -> None:
    disk = Disk()
    ledger = await opened(tmp_path, MemoryHeads(), sync=disk)
    rows = await asyncio.gather(*(ledger.append(Entry(kind="opened", look=str(n))) for n in range(300)))
    assert sorted(row.seq for (row,) in rows) == list(range(1, 301))
    assert {row.look: row.seq for (row,) in rows} == {str(n): n + 1 for n in range(300)}
    assert disk.syncs < 300
    assert ledger.head.seq == 300
    await ledger.close()


async def test_what_is_acknowledged_is_on_the_disk(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def sync(descriptor: int) -> None:
        os.fdatasync(descriptor)
        seen.append(files_of(tmp_path)[-1].read_bytes())

    ledger = await opened(tmp_path, MemoryHeads(), sync=sync)
    await ledger.append(Entry(kind="opened", look="the one"))
    assert b"the one" in seen[-1]
    await ledger.close()


async def test_a_full_disk_means_nobody_looks_until_it_works_again(tmp_path: Path) -> None:
    disk, heads = Disk(), MemoryHeads()
    ledger = await opened(tmp_path, heads, sync=disk)
    await ledger.append(Entry(kind="opened", look="1"))
    before = files_of(tmp_path)[0].read_bytes()
    disk.broken = True
    for look in ("2", "3"):
        with pytest.raises(Unavailable, match="No space left"):
            await ledger.append(Entry(kind="opened", look=look))
    assert "No space left" in ledger.failing
    assert files_of(tmp_path)[0].read_bytes() == before
    disk.broken = False
    (row,) = await ledger.append(Entry(kind="opened", look="4"))
    assert (row.seq, ledger.failing) == (2, "")
    await ledger.close()
    assert verify(tmp_path, heads.kept).faults == []


async def test_one_callers_unwritable_text_does_not_cost_the_others(tmp_path: Path) -> None:
    ledger = await opened(tmp_path, MemoryHeads())
    with pytest.raises(Invalid):
        await ledger.append(Entry(kind="opened", detail="\ud800"))
    await ledger.append(Entry(kind="opened"))
    await ledger.close()
    with pytest.raises(Unavailable, match="closed"):
        await ledger.append(Entry(kind="opened"))


async def test_too_many_waiting_are_refused_and_counted(tmp_path: Path) -> None:
    ledger = await opened(tmp_path, MemoryHeads(), max_waiting=2)
    answers = await asyncio.gather(*(ledger.append(Entry(kind="opened")) for _ in range(10)), return_exceptions=True)
    assert [isinstance(each, Unavailable) for each in answers] == [False] * 2 + [True] * 8
    assert ledger.refused == 8
    await ledger.close()


async def test_a_disk_that_hangs_is_not_waited_for_and_the_rows_come_all_the_same(tmp_path: Path) -> None:
    go = threading.Event()
    heads = MemoryHeads()
    ledger = await opened(tmp_path, heads, sync=lambda descriptor: (go.wait(30), os.fdatasync(descriptor)), wait_s=0.05)
    with pytest.raises(Unavailable, match=r"did not answer within 0\.05 s"):
        await ledger.append(Entry(kind="opened", look="late"))
    cancelled = asyncio.create_task(ledger.append(Entry(kind="opened", look="cancelled")))
    await asyncio.sleep(0)
    cancelled.cancel()
    ledger.post(Entry(kind="opened", look="posted"))
    assert (ledger.refused, ledger.waiting) == (1, 3)
    go.set()
    (row,) = await ledger.append(Entry(kind="opened", look="in time"))
    assert (row.seq, ledger.waiting) == (4, 0)
    page = await ledger.page(limit=9)
    assert [each.look for _, each in page.rows] == ["in time", "posted", "cancelled", "late"]
    await ledger.close()
    assert verify(tmp_path, heads.kept).faults == []


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Entry,
        kind=st.text(max_size=9), user=st.text(max_size=9), detail=st.text(max_size=30),
        objects=st.lists(st.text(max_size=5), max_size=3).map(tuple),
        count=st.integers(0, 2**62), seconds=st.floats(0, 1e9),
    ),
    st.integers(-5, 5),
)  # fmt: skip
def test_a_line_is_what_the_row_would_be_written_as(entry: Entry, seconds: int) -> None:
    """A row's text is put together from its entry's, because that takes a third of the time."""
    head = Head("main-1", 41, genesis("main-1"), 5 * SECOND)
    now = 5 * SECOND + seconds * SECOND
    (line,), ((stamp,),), after = chained([[msgspec.json.encode(entry)]], head, lambda: now)
    row = row_decoder.decode(line[HEX + 1 :])
    assert line[HEX + 1 : -1] == msgspec.json.encode(row)
    assert {name: getattr(row, name) for name in Entry.__struct_fields__} == msgspec.structs.asdict(entry)
    assert (row.seq, row.at, row.skew_us) == stamp == (42, max(now, head.at), max(0, head.at - now))
    assert after == Head("main-1", 42, line[:HEX].decode(), row.at)


async def test_it_does_not_run_backwards(tmp_path: Path) -> None:
    clock = FakeClock()
    ledger = await opened(tmp_path, MemoryHeads(), clock=clock)
    (first,) = await ledger.append(Entry(kind="opened"))
    clock._now -= timedelta(seconds=90)
    (second,) = await ledger.append(Entry(kind="opened"))
    assert (second.at, second.skew_us, first.skew_us) == (first.at, 90 * SECOND, 0)
    await clock.advance(100)
    (third,) = await ledger.append(Entry(kind="opened"))
    assert (third.at, third.skew_us) == (first.at + 10 * SECOND, 0)
    await ledger.close()
    ledger = await opened(tmp_path, MemoryHeads(), clock=FakeClock(clock.now() - timedelta(days=1)))
    (fourth,) = await ledger.append(Entry(kind="opened"))
    assert fourth.at == third.at
    await ledger.close()


async def test_two_processes_do_not_share_a_chain(tmp_path: Path) -> None:
    heads = MemoryHeads()
    ledger = await opened(tmp_path, heads)
    with pytest.raises(Conflict, match="main"):
        await opened(tmp_path, heads)
    other = await opened(tmp_path, heads, writer="web-2")
    await asyncio.gather(ledger.append(Entry(kind="opened")), other.append(Entry(kind="opened")))
    assert (await ledger.verify()).rows == 2
    await other.close()
    await ledger.close()
    assert verify(tmp_path, heads.kept).faults == []


async def test_a_torn_last_line_is_cut_off_and_noted(tmp_path: Path) -> None:
    heads = await written(tmp_path, 5, rotate_bytes=1 << 20)
    (file,) = files_of(tmp_path)
    with file.open("ab") as torn:
        torn.write(file.read_bytes().splitlines()[-1][:50])
    assert verify(tmp_path, heads.kept).faults  # until the writer has been started again
    ledger = await opened(tmp_path, heads)
    page = await ledger.page(limit=1)
    assert (page.rows[0][1].kind, page.rows[0][1].seq, page.rows[0][1].bytes) == ("recovered", 6, 50)
    await ledger.close()
    assert verify(tmp_path, heads.kept).faults == []


async def test_an_empty_last_file_is_no_fault(tmp_path: Path) -> None:
    """The process died between making the next file and writing to it."""
    heads = await written(tmp_path, 5, rotate_bytes=1 << 20)
    (files_of(tmp_path)[0].parent / f"{6:016d}.ledger").touch()
    heads = await written(tmp_path, 3, rotate_bytes=1 << 20, heads=heads)
    result = verify(tmp_path, heads.kept)
    assert (result.rows, result.faults) == (8, [])
    assert len(files_of(tmp_path)) == 2


async def test_a_chain_that_was_cut_is_left_alone_and_a_new_one_begins(tmp_path: Path) -> None:
    heads = await written(tmp_path, 5, rotate_bytes=1 << 20)
    (file,) = files_of(tmp_path)
    short = b"".join(file.read_bytes().splitlines(keepends=True)[:3])
    file.write_bytes(short)
    heads = await written(tmp_path, 2, heads=heads)
    assert file.read_bytes() == short
    result = verify(tmp_path, heads.kept)
    assert [(fault.chain, fault.what) for fault in result.faults] == [
        ("main-1", "the chain ends here, but row 5 was written")
    ]
    assert heads.kept["main-2"].seq == 3
    assert b'"broken"' in (tmp_path / "main-2" / f"{1:016d}.ledger").read_bytes()


def tampered(change: Callable[[Path], object], count: int = 12) -> list[object]:
    """Faults found after `change(folder)` on a closed ledger of several files."""
    folder = Path(tempfile.mkdtemp())
    try:
        heads = asyncio.run(written(folder, count))
        assert verify(folder, heads.kept).faults == []
        if change(folder) is False:
            return [None]  # the change changed nothing
        return list(verify(folder, heads.kept).faults)
    finally:
        shutil.rmtree(folder)


tamper = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@tamper
@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_g06_any_changed_bit_is_found(which: float, where: float, bit: int) -> None:
    def flip(folder: Path) -> None:
        files = files_of(folder)
        file = files[int(which * len(files))]
        data = bytearray(file.read_bytes())
        data[int(where * len(data))] ^= 1 << bit
        file.write_bytes(data)

    assert tampered(flip)


@tamper
@given(st.data())
def test_g06_any_truncation_is_found(data: st.DataObject) -> None:
    """At any byte, row ends too; and of any number of last files."""

    def cut(folder: Path) -> None:
        files = files_of(folder)
        keep = data.draw(st.integers(0, len(files) - 1))
        for file in files[keep + 1 :]:
            file.unlink()
        text = files[keep].read_bytes()
        size = data.draw(st.integers(0, len(text) - 1))
        ends = [at + 1 for at, byte in enumerate(text[:-1]) if byte == 10]
        if data.draw(st.booleans()) and ends:
            size = data.draw(st.sampled_from(ends))
        files[keep].write_bytes(text[:size])

    assert tampered(cut)


@tamper
@given(st.data())
def test_g06_any_removed_moved_or_doubled_row_is_found(data: st.DataObject) -> None:
    def change(folder: Path) -> bool:
        files = files_of(folder)
        rows = [line for file in files for line in file.read_bytes().splitlines(keepends=True)]
        counts = [len(file.read_bytes().splitlines()) for file in files]
        changed = list(rows)
        what = data.draw(st.sampled_from(["remove", "swap", "double", "shuffle"]))
        at = data.draw(st.integers(0, len(rows) - 1))
        other = data.draw(st.integers(0, len(rows) - 1))
        if what == "remove":
            del changed[at]
        elif what == "swap":
            changed[at], changed[other] = changed[other], changed[at]
        elif what == "double":
            changed.insert(other, changed[at])
        else:
            changed = data.draw(st.permutations(rows))
        for file, count in zip(files, counts, strict=True):
            part, changed = changed[:count], changed[count:]
            file.write_bytes(b"".join(part))
        with files[-1].open("ab") as last:
            last.write(b"".join(changed))
        return [line for file in files for line in file.read_bytes().splitlines(keepends=True)] != rows

    assert tampered(change)


@tamper
@given(st.data())
def test_any_removed_or_renamed_file_is_found(data: st.DataObject) -> None:
    def change(folder: Path) -> None:
        files = files_of(folder)
        file = data.draw(st.sampled_from(files))
        match data.draw(st.sampled_from(["remove", "rename", "stranger", "chain"])):
            case "remove":
                file.unlink()
            case "rename":
                file.rename(file.with_name(f"{data.draw(st.integers(100, 999)):016d}.ledger"))
            case "stranger":
                shutil.copy(file, file.with_suffix(".copy"))
            case "chain":
                file.parent.rename(folder / "other-1")

    assert tampered(change)


async def test_a_chain_rebuilt_with_other_rows_is_found(tmp_path: Path) -> None:
    """Whoever can write the files can compute hashes; the head in the database is what he has not changed."""
    heads = await written(tmp_path, 6)
    shutil.rmtree(tmp_path / "main-1")
    ledger = await opened(tmp_path, MemoryHeads())
    for number in range(7):
        await ledger.append(Entry(kind="opened", user=f"somebody else {number}"))
    await ledger.close()
    assert [fault.what for fault in verify(tmp_path, heads.kept).faults] == ["is not the row that was written"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([f"{1:016d}.ledger", f"{2:016d}.ledger", "x"]), st.binary(max_size=200))))
def test_random_files_are_faults_and_never_worse(files: list[tuple[str, bytes]]) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / "main-1").mkdir()
        for name, data in files:
            (folder / "main-1" / name).write_bytes(data)
        result = verify(folder, {"main-1": Head("main-1", 3, "00" * 32, 0)})
        assert result.faults

        async def start() -> None:
            ledger = await opened(folder, MemoryHeads())
            await ledger.append(Entry(kind="opened"))
            await ledger.close()

        asyncio.run(start())
    finally:
        shutil.rmtree(folder)


async def test_a_name_is_checked(tmp_path: Path) -> None:
    for name in ("../up", "", "A", "x" * 60, "a/b"):
        with pytest.raises(Invalid):
            await opened(tmp_path, MemoryHeads(), writer=name)
