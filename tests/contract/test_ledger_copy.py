"""The ledger's searchable copy: it finds what the files say, misses nothing new, and outlives every crash."""

from __future__ import annotations

import asyncio
import multiprocessing
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anwang.governance import Action, Object, Role
from anwang.governance.ledger import (
    LEDGER_STEPS,
    Asked,
    CopyUse,
    Entry,
    Ledger,
    LedgerCopy,
    LedgerPage,
    Place,
    Row,
)
from anwang.governance.ledger import copy as module
from anwang.governance.ledger.rows import Found
from anwang.kernel.errors import AnwangError, Denied, Unavailable
from anwang.runtime.clock import FakeClock
from anwang.stores.series import EmbeddedSeries, Series, spawn_embedded
from anwang.stores.state import State
from tests.contract.crashers import write
from tests.governed import account, actor_of, everyone, governed
from tests.ledgers import MemoryHeads


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedSeries]:
    started = await spawn_embedded(tmp_path_factory.mktemp("series") / "db")
    yield started
    await started.stop()


@pytest.fixture
async def series(engine: EmbeddedSeries) -> AsyncIterator[Series]:
    opened = await Series.open(engine.url, engine.token)
    await opened.migrate(LEDGER_STEPS)
    await opened.execute("TRUNCATE TABLE ledger_rows")
    yield opened
    await opened.close()


async def opened(folder: Path, heads: MemoryHeads | None = None, *, clock: FakeClock | None = None) -> Ledger:
    return await Ledger.open(
        folder, writer="main", heads=heads or MemoryHeads(), clock=clock or FakeClock(), rotate_bytes=2000
    )


def copy_of(series: Series, ledger: Ledger) -> LedgerCopy:
    return LedgerCopy(series=series, ledger=ledger, clock=FakeClock())


def anything(row: Row) -> bool:
    return True


async def asked(
    copy: LedgerCopy, question: Asked = Asked(), *, under: Sequence[str] | None = None, limit: int = 50
) -> LedgerPage:
    return await copy.page(question, under=under, limit=limit, place=None, wanted=question.fits)


def seqs(page: LedgerPage) -> list[int]:
    return [row.seq for _, row in page.rows]


async def counted(series: Series) -> tuple[int, int]:
    """Rows in the table, and different ones."""
    ((rows, different),) = await series.query("SELECT count(), uniqExact(chain, seq) FROM ledger_rows")
    return rows, different


async def test_the_newest_row_is_found_before_and_after_it_is_copied(series: Series, tmp_path: Path) -> None:
    ledger = await opened(tmp_path)
    copy = copy_of(series, ledger)
    await ledger.append(*(Entry(kind="opened", user="li", objects=("p1",)) for _ in range(30)))
    assert (seqs(page := await asked(copy, limit=3)), page.copy) == ([30, 29, 28], CopyUse.AWAY)  # nobody looked yet
    assert (await copy.catch_up(), copy.behind) == (30, 0)
    await ledger.append(Entry(kind="closed", user="li"))
    page = await asked(copy, limit=3)
    assert (seqs(page), page.copy, copy.behind) == ([31, 30, 29], CopyUse.USED, 1)
    assert page.scanned == 3
    assert (await copy.catch_up(), await copy.catch_up()) == (1, 0)
    assert seqs(await asked(copy, Asked(object="p1"), limit=2)) == [30, 29]
    assert await counted(series) == (31, 31)
    await ledger.close()


WORDS = st.sampled_from(["", "li", "wang", "p1", "p2", "A-1", "看", "a'b\\", "\n\t\0", "🚦", "/city/north/", "/city/"])
ENTRIES = st.builds(
    Entry,
    kind=st.sampled_from(["opened", "closed", "used"]),
    user=WORDS, name=WORDS, role=WORDS, org=WORDS, session=WORDS, terminal=WORDS, action=WORDS,
    objects=st.lists(WORDS, max_size=3).map(tuple),
    scope=WORDS, look=WORDS, count=st.integers(0, 2**62), bytes=st.integers(0, 2**62),
    seconds=st.floats(0, 1e9), outcome=WORDS, detail=st.text(max_size=20), unit=WORDS, purpose=WORDS, reason=WORDS,
    case=WORDS, approval=WORDS, recipient=WORDS,
)  # fmt: skip
QUESTIONS = st.builds(
    Asked,
    kind=st.sampled_from(["", "", "opened", "nothing"]),
    actor=WORDS, object=WORDS, action=WORDS, case=WORDS,
    since=st.integers(0, 12), until=st.integers(0, 12),
)  # fmt: skip


async def pages(turn: Callable[[Place | None], Any]) -> list[LedgerPage]:
    """All pages, one after another."""
    found = [await turn(None)]
    while found[-1].next is not None:
        found.append(await turn(found[-1].next))
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.lists(ENTRIES, min_size=1, max_size=6), st.integers(0, 3)), min_size=1, max_size=6),
    st.lists(QUESTIONS, min_size=1, max_size=6),
    st.sampled_from([None, [], ["/city/north/"], ["/city/north/", "/city/"]]),
    st.integers(1, 7),
    st.data(),
)
async def test_the_copy_answers_as_the_files_do(
    series: Series, batches: list[tuple[list[Entry], int]], questions: list[Asked], under: list[str] | None, limit: int,
    data: st.DataObject,
) -> None:  # fmt: skip
    """Every question, in pages of any size, whichever part of the rows is copied yet; two chains beside each other."""
    await series.execute("TRUNCATE TABLE ledger_rows")
    folder = Path(tempfile.mkdtemp())
    clock = FakeClock()
    start = clock.micros()
    try:
        heads = MemoryHeads()
        ledger = await opened(folder, heads, clock=clock)
        other = await Ledger.open(folder, writer="web-2", heads=heads, clock=clock)
        copy = copy_of(series, ledger)
        copied_after = data.draw(st.integers(0, len(batches)))
        for number, (entries, seconds) in enumerate(batches):
            if number == copied_after:
                await other.save_head()
                await copy.catch_up()
            await (other if seconds == 1 else ledger).append(*entries)
            await clock.advance(seconds)
        if copied_after == len(batches):
            await other.save_head()
            await copy.catch_up()
        for each in questions:
            question = replace(
                each,
                since=start + each.since * 1_000_000 if each.since else 0,
                until=start + each.until * 1_000_000 if each.until else 0,
            )

            def wanted(row: Row, question: Asked = question) -> bool:
                return question.fits(row) and (under is None or row.org.startswith(tuple(under)))

            async def by_copy(place: Place | None, question: Asked = question, fits: Any = wanted) -> LedgerPage:
                return await copy.page(question, under=under, limit=limit, place=place, wanted=fits)

            async def by_files(place: Place | None, question: Asked = question, fits: Any = wanted) -> LedgerPage:
                return await ledger.page(limit=limit, place=place, wanted=fits, since=question.since)

            mine, theirs = await pages(by_copy), await pages(by_files)
            assert {page.copy for page in mine} == {CopyUse.USED}
            assert [found for page in mine for found in page.rows] == [found for page in theirs for found in page.rows]
            assert all(len(page.rows) == limit for page in mine[:-1])
        await other.close()
        await ledger.close()
    finally:
        shutil.rmtree(folder)


async def test_what_may_not_be_seen_does_not_end_a_page(series: Series, tmp_path: Path) -> None:
    """The one who asks is judged row by row, whatever the copy was asked: pages get shorter, nothing is skipped."""
    ledger = await opened(tmp_path)
    copy = copy_of(series, ledger)
    await ledger.append(*(Entry(kind="opened", count=number) for number in range(1, 41)))
    await copy.catch_up()

    async def turn(place: Place | None) -> LedgerPage:
        return await copy.page(Asked(), under=None, limit=5, place=place, wanted=lambda row: row.count % 4 == 0)

    found = await pages(turn)
    assert [row.count for page in found for _, row in page.rows] == list(range(40, 0, -4))
    await ledger.close()


async def test_a_row_that_was_copied_twice_is_shown_once(series: Series, tmp_path: Path) -> None:
    ledger = await opened(tmp_path)
    await ledger.append(*(Entry(kind="opened") for _ in range(10)))
    first, second = copy_of(series, ledger), copy_of(series, ledger)
    await asyncio.gather(first._known(), second._known())
    await first.catch_up()
    await second.catch_up()  # as an insert whose answer was lost, sent again
    assert (await counted(series))[1] == 10

    async def turn(place: Place | None) -> LedgerPage:
        return await first.page(Asked(), under=None, limit=3, place=place, wanted=anything)

    assert [seqs(page) for page in await pages(turn)] == [[10, 9, 8], [7, 6, 5], [4, 3, 2], [1]]
    await series.execute("OPTIMIZE TABLE ledger_rows FINAL")
    assert await counted(series) == (10, 10)
    await ledger.close()


class Racing(LedgerCopy):
    """Copies what it lacks just before the table is asked."""

    async def _find(self, asked: Asked, under: Sequence[str] | None, place: Place, limit: int) -> list[Found]:
        await self.catch_up()
        return await super()._find(asked, under, place, limit)


async def test_a_row_that_is_copied_while_the_copy_is_asked_is_shown_once(series: Series, tmp_path: Path) -> None:
    ledger = await opened(tmp_path)
    copy = Racing(series=series, ledger=ledger, clock=FakeClock())
    await copy.catch_up()
    await ledger.append(*(Entry(kind="opened") for _ in range(10)))

    async def turn(place: Place | None) -> LedgerPage:
        await ledger.append(Entry(kind="closed"))
        return await copy.page(Asked(kind="opened"), under=None, limit=4, place=place, wanted=Asked(kind="opened").fits)

    assert [seqs(page) for page in await pages(turn)] == [[10, 9, 8, 7], [6, 5, 4, 3], [2, 1]]
    await ledger.close()


async def test_it_goes_on_where_the_table_ends(series: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 7)
    heads = MemoryHeads()
    ledger = await opened(tmp_path, heads)
    await ledger.append(*(Entry(kind="opened") for _ in range(50)))
    assert await copy_of(series, ledger).catch_up() == 50
    await ledger.close()
    ledger = await opened(tmp_path, heads)  # another run of the process
    await ledger.append(*(Entry(kind="opened") for _ in range(25)))
    copy = copy_of(series, ledger)
    assert await copy.catch_up() == 25
    assert await counted(series) == (75, 75)
    assert seqs(await asked(copy, limit=500)) == list(range(75, 0, -1))
    await ledger.close()


async def test_an_engine_that_dies_costs_nothing_but_time(tmp_path: Path) -> None:
    engine = await spawn_embedded(tmp_path / "db")
    series = await Series.open(engine.url, engine.token)
    await series.migrate(LEDGER_STEPS)
    ledger = await opened(tmp_path / "ledger")
    copy = copy_of(series, ledger)
    await ledger.append(*(Entry(kind="opened") for _ in range(10)))
    await copy.catch_up()
    engine.process.kill()
    await engine.process.wait()
    await ledger.append(Entry(kind="opened"))
    page = await asked(copy)
    assert (seqs(page), page.copy) == (list(range(11, 0, -1)), CopyUse.AWAY)
    with pytest.raises(AnwangError):
        await copy.catch_up()
    page = await asked(copy)
    assert (seqs(page), page.copy) == (list(range(11, 0, -1)), CopyUse.AWAY)
    port = int(engine.url.rsplit(":", 1)[1].split("/")[0])
    again = await spawn_embedded(tmp_path / "db", port=port, token=engine.token)
    async with asyncio.timeout(30):
        while not await caught_up(copy):
            await asyncio.sleep(0.1)
    page = await asked(copy)
    assert (seqs(page), page.copy) == (list(range(11, 0, -1)), CopyUse.USED)
    assert await counted(series) == (11, 11)
    await ledger.close()
    await series.close()
    await again.stop()


async def caught_up(copy: LedgerCopy) -> bool:
    try:
        await copy.catch_up()
    except Unavailable:
        return False
    return True


async def test_a_copy_that_is_being_made_says_so(
    series: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BEHIND", 5)
    ledger = await opened(tmp_path)
    copy = copy_of(series, ledger)
    await copy.catch_up()
    await ledger.append(*(Entry(kind="opened") for _ in range(6)))
    page = await asked(copy, limit=2)
    assert (seqs(page), page.copy) == ([6, 5], CopyUse.BEHIND)
    await copy.catch_up()
    assert (await asked(copy)).copy is CopyUse.USED
    await ledger.close()


async def test_rows_of_another_ledger_are_not_shown_as_ours(series: Series, tmp_path: Path) -> None:
    """The data folder was begun anew, and the series were left."""
    for folder, moment in (("old", 0), ("new", 77)):
        clock = FakeClock()
        await clock.advance(moment)
        ledger = await opened(tmp_path / folder, clock=clock)
        await ledger.append(*(Entry(kind="opened", user=folder) for _ in range(4 if folder == "new" else 9)))
        copy = copy_of(series, ledger)
        await copy.catch_up()
        assert {row.user for _, row in (await asked(copy)).rows} == {folder}
        await ledger.close()
    assert await counted(series) == (4, 4)


async def test_a_line_that_somebody_spoilt_is_left_out(series: Series, tmp_path: Path) -> None:
    heads = MemoryHeads()
    ledger = await opened(tmp_path, heads)
    await ledger.append(*(Entry(kind="opened") for _ in range(5)))
    await ledger.close()
    (file,) = tmp_path.glob("main-1/*")
    file.write_bytes(file.read_bytes().replace(b'"seq":3', b'"seq":x'))
    ledger = await opened(tmp_path, heads)  # a new generation, which says so
    copy = copy_of(series, ledger)
    await copy.catch_up()
    assert [(chain, row.seq) for chain, row in (await asked(copy)).rows] == [
        ("main-1", 5), ("main-1", 4), ("main-1", 2), ("main-1", 1), ("main-2", 1),
    ]  # fmt: skip
    await ledger.close()


async def test_kill_9_in_the_middle_of_it(series: Series, engine: EmbeddedSeries, tmp_path: Path) -> None:
    """A process appends and copies as fast as it can and is killed, again and again: nothing is lost or shown twice."""
    (tmp_path / "series").write_text(f"{engine.url}\n{engine.token}")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.contract.crashers"])
    acknowledged = 0
    for round_ in range(4):
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=write, args=("ledger", str(tmp_path), theirs), daemon=True)
        child.start()
        theirs.close()
        with ours:
            for _ in range(5 + 9 * round_):
                assert await asyncio.to_thread(ours.poll, 60), "it said nothing"
                acknowledged = int(ours.recv())
            child.kill()
        child.join(30)
        child.close()
    ledger = await opened(tmp_path / "ledger")
    copy = copy_of(series, ledger)
    await copy.catch_up()
    assert ledger.head.seq >= acknowledged

    async def turn(place: Place | None) -> LedgerPage:
        return await copy.page(Asked(), under=None, limit=200, place=place, wanted=anything)

    found = await pages(turn)
    assert [row.seq for page in found for _, row in page.rows] == list(range(ledger.head.seq, 0, -1))
    assert (await counted(series))[1] == ledger.head.seq
    await ledger.close()


async def test_the_task_copies_by_the_clock_and_says_once_what_is_wrong(series: Series, tmp_path: Path) -> None:
    clock = FakeClock()
    ledger = await opened(tmp_path, clock=clock)
    copy = LedgerCopy(series=series, ledger=ledger, clock=clock)
    running = asyncio.create_task(copy.run())

    async def until(done: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not done():
                await clock.advance(1)
                await asyncio.sleep(0.01)

    await ledger.append(Entry(kind="opened"))
    await until(lambda: copy.behind == 0)
    await series.execute("RENAME TABLE ledger_rows TO elsewhere")
    await ledger.append(Entry(kind="opened"))
    await until(lambda: copy.failing != "")
    await series.execute("RENAME TABLE elsewhere TO ledger_rows")
    await until(lambda: copy.failing == "")
    assert copy.behind == 0
    running.cancel()
    await asyncio.wait([running])
    await ledger.close()


@pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)
async def test_people_read_what_is_theirs_to_read(series: Series, state: State, tmp_path: Path) -> None:
    """Through governance, as the API does: whole city, a district; what is copied and what is not yet."""
    async with governed(state, tmp_path, FakeClock(), series=series) as governance:
        security = await governance.actor((await everyone(governance))["security_administrator"])
        await governance.create_user(security, account("north.audit", Role.AUDIT, "north"))
        await governance.create_user(security, account("north.viewer", Role.VIEWER, "north"))
        city, north = await actor_of(governance, "audit_administrator.one"), await actor_of(governance, "north.audit")
        viewer, operator = await actor_of(governance, "north.viewer"), await actor_of(governance, "operator.one")
        camera = Object("n1", "/city/north/")
        await governance.open_look(viewer, Action.VIEW_LIVE, [camera])
        assert governance.copy is not None
        await governance.copy.catch_up()
        await governance.open_look(operator, Action.VIEW_LIVE, [camera])
        opened = Asked(kind="opened")
        everything = await governance.read_ledger(city, cursor=None, limit=100, asked=opened)
        assert [row.name for _, row in everything.rows] == ["operator.one", "north.viewer"]
        theirs = await governance.read_ledger(north, cursor=None, limit=100, asked=opened)
        assert [row.name for _, row in theirs.rows] == ["north.viewer"]
        assert {everything.copy, theirs.copy} == {CopyUse.USED}
        of_program = await governance.read_ledger(city, cursor=None, limit=100, asked=Asked(actor="anwang"))
        assert of_program.rows
        with pytest.raises(Denied):
            await governance.read_ledger(operator, cursor=None, limit=1)
