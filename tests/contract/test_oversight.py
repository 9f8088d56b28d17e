"""A month in numbers (G21), over the real series engine and both state engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from anwang.governance import Action, Governance, Object, Role, Wanted
from anwang.governance.ledger import LEDGER_STEPS
from anwang.governance.oversight.report import Cell
from anwang.kernel.errors import Denied, Invalid, PurposeNeeded, Unavailable
from anwang.kernel.times import Span, month_span, to_micros
from anwang.runtime.clock import FakeClock
from anwang.stores.series import EmbeddedSeries, Series, spawn_embedded
from anwang.stores.state import State
from tests.governed import account, actor_of, everyone, governed, with_purpose

NORTH = Object("p-1", "/city/north/")
NOVEMBER = month_span("2026-11")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedSeries]:
    started = await spawn_embedded(tmp_path_factory.mktemp("series") / "db")
    yield started
    await started.stop()


@pytest.fixture
async def governance(state: State, tmp_path: Path, engine: EmbeddedSeries) -> AsyncIterator[Governance]:
    series = await Series.open(engine.url, engine.token)
    await series.migrate(LEDGER_STEPS)
    await series.execute("TRUNCATE TABLE ledger_rows")
    clock = FakeClock(datetime(2026, 11, 20, tzinfo=UTC))
    async with governed(state, tmp_path, clock, series=series) as opened:
        await everyone(opened)
        yield opened
    await series.close()


async def looked(governance: Governance, username: str, times: int) -> None:
    actor = await actor_of(governance, username)
    for _ in range(times):
        await governance.close_look(await governance.open_look(actor, Action.VIEW_LIVE, [NORTH]))


async def caught_up(governance: Governance) -> None:
    assert governance.copy is not None
    await governance.copy.catch_up()


async def test_g21_looks_refusals_and_requests_are_counted(governance: Governance) -> None:
    admin = await actor_of(governance, "security_administrator.one")
    await governance.create_user(admin, account("north.viewer", Role.VIEWER, "north"))
    await looked(governance, "viewer.one", 12)
    await looked(governance, "north.viewer", 3)
    operator = await actor_of(governance, "operator.one")
    now = to_micros(governance.rights.clock.now())
    span = Span(now - 60_000_000, now)
    with pytest.raises(PurposeNeeded):
        await governance.open_look(operator, Action.EXPORT, [NORTH], span=span)
    stated = await with_purpose(governance, operator)
    for is_urgent in (False, True):
        wanted = Wanted(action=Action.EXPORT, objects=[NORTH], span=span, why="case", is_urgent=is_urgent)
        await governance.approvals.ask(stated, wanted)
    await caught_up(governance)
    auditor = await actor_of(governance, "audit_administrator.one")
    report = await governance.oversee(auditor, NOVEMBER)
    assert report.tables["looks"] == [Cell(("view_live", "", "安澜市"), 12), Cell(("view_live", "", "北区"), 3)]
    assert report.tables["refusals"] == [Cell(("export", "no purpose"), 1)]
    assert report.tables["requests"] == [
        Cell(("export", "open", "ordinary"), 1), Cell(("export", "urgent", "urgent"), 1),
    ]  # fmt: skip
    assert {cell.names[0]: cell.count for cell in report.tables["events"]}["purpose"] == 1
    october = await governance.oversee(auditor, month_span("2026-10"))
    assert not any(october.tables.values())

    told = report.publishable()
    assert told.tables["looks"] == [Cell(("view_live", ""), 15)], "no unit"
    assert told.tables["refusals"] == [Cell(("export", "no purpose"), None)]
    assert all(cell.count is None or cell.count >= 10 for cells in told.tables.values() for cell in cells)


async def test_g21_a_row_that_was_copied_twice_counts_once(governance: Governance) -> None:
    await looked(governance, "viewer.one", 2)
    await caught_up(governance)
    assert governance.copy is not None
    governance.copy._copied, governance.copy._readers = {}, {}
    await caught_up(governance)
    report = await governance.oversee(await actor_of(governance, "audit_administrator.one"), NOVEMBER)
    assert [cell.count for cell in report.tables["looks"]] == [2]


async def test_g21_of_one_s_own_people_only_and_for_auditors(governance: Governance) -> None:
    admin = await actor_of(governance, "security_administrator.one")
    await governance.create_user(admin, account("north.audit", Role.AUDIT, "north"))
    await governance.create_user(admin, account("north.viewer", Role.VIEWER, "north"))
    await looked(governance, "viewer.one", 2)
    await looked(governance, "north.viewer", 1)
    await caught_up(governance)
    report = await governance.oversee(await actor_of(governance, "north.audit"), NOVEMBER)
    assert report.tables["looks"] == [Cell(("view_live", "", "北区"), 1)]
    for username in ("operator.one", "administrator.one", "officer.one"):
        with pytest.raises(Denied):
            await governance.oversee(await actor_of(governance, username), NOVEMBER)


async def test_g21_what_is_not_counted_yet_is_said(governance: Governance) -> None:
    await looked(governance, "viewer.one", 1)
    auditor = await actor_of(governance, "audit_administrator.one")
    assert (await governance.oversee(auditor, NOVEMBER)).waiting > 0


async def test_without_the_copy_there_are_no_numbers(state: State, tmp_path: Path) -> None:
    async with governed(state, tmp_path, FakeClock()) as opened:
        await everyone(opened)
        with pytest.raises(Unavailable):
            await opened.oversee(await actor_of(opened, "audit_administrator.one"), NOVEMBER)


@pytest.mark.parametrize("month", ["", "2026", "2026-13", "0001-01", "9999-12", "2026-11-01", "x" * 10])
def test_a_month_that_is_none(month: str) -> None:
    with pytest.raises(Invalid):
        month_span(month)


def test_a_month_is_civil() -> None:
    start = datetime(2026, 10, 31, 16, tzinfo=UTC)
    assert (NOVEMBER.start, NOVEMBER.micros) == (to_micros(start), 30 * timedelta(days=1) // timedelta(microseconds=1))
