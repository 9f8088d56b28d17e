"""Changes of live states reach the series engine, outlive its death, and come back as stretches and as days."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from anwang.kernel.errors import Exhausted, Invalid, Unavailable
from anwang.registry import history as module
from anwang.registry.columns import PointColumns, Row
from anwang.registry.history import HISTORY_STEPS, StateHistory
from anwang.registry.live import SECOND, Live
from anwang.registry.model import Evidence, EvidenceKind, State
from anwang.runtime.clock import FakeClock
from anwang.stores.series import EmbeddedSeries, Series, spawn_embedded

T0 = 1_800_000_000 * SECOND
POINTS = [f"018bcfe5-6800-7000-8000-{i:012x}" for i in range(3)]
DEVICE = "018bcfe5-6800-7000-8000-0000000000dd"


def city() -> Live:
    columns = PointColumns()
    columns.put(
        [
            Row(ix=i, id=p, longitude=None, latitude=None, kind="camera", point_class=1, lifecycle="in_use",
                org_path="/", owns=None, division=None, department=None, zone="default", heading_deg=None, fov_deg=None)
            for i, p in enumerate(POINTS)
        ]
    )  # fmt: skip
    live = Live(columns)
    live.add_device("gb28181/d")
    live.bind(np.arange(3, dtype=np.int32), np.zeros(3, np.int32))
    return live


def outage(live: Live) -> None:
    """Online at T0, lost three minutes later, back after ten."""
    for point in POINTS:
        live.note([Evidence(point, EvidenceKind.CATALOGUE, T0)])
    live.note([Evidence("gb28181/d", EvidenceKind.KEEPALIVE, T0)])
    for second in (0, 180, 186):
        live.tick(T0 + second * SECOND)
    live.note([Evidence("gb28181/d", EvidenceKind.KEEPALIVE, T0 + 600 * SECOND)])
    live.tick(T0 + 600 * SECOND)


def writer(series: Series, live: Live, **more: int) -> StateHistory:
    history = StateHistory(
        series=series, live=live, clock=FakeClock(), device_of=lambda key: DEVICE if key == "gb28181/d" else None,
        **more,
    )  # fmt: skip
    history.follow()
    return history


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EmbeddedSeries]:
    started = await spawn_embedded(tmp_path / "db")
    yield started
    await started.stop()


@pytest.fixture
async def series(engine: EmbeddedSeries) -> AsyncIterator[Series]:
    opened = await Series.open(engine.url, engine.token)
    await opened.migrate(HISTORY_STEPS)
    yield opened
    await opened.close()


async def test_changes_are_written_and_read_as_stretches(series: Series) -> None:
    live = city()
    history = writer(series, live)
    outage(live)
    assert history.waiting == 12
    assert await history.flush() == 12
    assert await history.flush() == 0
    assert history.waiting == 0
    spans, more = await history.spans(POINTS[1], T0 - 60 * SECOND, T0 + 900 * SECOND)
    assert more is None
    assert [(s.state, s.reason, s.cause, (s.start_us - T0) // SECOND, (s.end_us - T0) // SECOND) for s in spans] == [
        (State.UNKNOWN, "", "", -60, 0), (State.ONLINE, "listed_on", "gb28181/d", 0, 186),
        (State.OFFLINE, "device_silent", "gb28181/d", 186, 600), (State.ONLINE, "listed_on", "gb28181/d", 600, 900),
    ]  # fmt: skip
    middle, _ = await history.spans(POINTS[1], T0 + 200 * SECOND, T0 + 300 * SECOND)
    assert [s.state for s in middle] == [State.OFFLINE]
    of_device, _ = await history.spans(DEVICE, T0 - 1, T0 + 900 * SECOND)
    assert [(s.state, s.reason) for s in of_device] == [
        (State.UNKNOWN, ""), (State.ONLINE, "device_heard"), (State.OFFLINE, "device_silent"),
        (State.ONLINE, "device_heard"),
    ]  # fmt: skip


async def test_pages_join_to_the_whole(series: Series) -> None:
    live = city()
    history = writer(series, live)
    outage(live)
    whole, _ = await history.spans(POINTS[0], T0 - 60 * SECOND, T0 + 900 * SECOND)
    parts, at = [], T0 - 60 * SECOND
    for _ in range(10):
        page, more = await history.spans(POINTS[0], at, T0 + 900 * SECOND, limit=1)
        parts += page
        if more is None:
            break
        at = more
    assert module._joined(parts) == whole


async def test_what_was_answered_outlives_the_engines_death(engine: EmbeddedSeries, tmp_path: Path) -> None:
    series = await Series.open(engine.url, engine.token)
    await series.migrate(HISTORY_STEPS)
    live = city()
    history = writer(series, live)
    outage(live)
    assert await history.flush() == 12
    engine.process.kill()
    await engine.process.wait()
    live.note([Evidence("gb28181/d", EvidenceKind.REGISTRATION, T0 + 700 * SECOND, ok=False)])
    for second in (700, 706):
        live.tick(T0 + second * SECOND)
    with pytest.raises(Unavailable):
        await history.flush()
    assert history.waiting == 4
    await series.close()
    again = await spawn_embedded(tmp_path / "db", token=engine.token)
    reopened = await Series.open(again.url, again.token)
    try:
        history._series = reopened
        assert await history.flush() == 4
        spans, _ = await history.spans(POINTS[2], T0, T0 + 900 * SECOND)
        assert [s.state for s in spans] == [State.ONLINE, State.OFFLINE, State.ONLINE, State.OFFLINE]
        assert spans[-1].reason == "device_left"
    finally:
        await reopened.close()
        await again.stop()


async def test_a_lost_answer_writes_nothing_twice(series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    live = city()
    history = writer(series, live)
    outage(live)
    insert = series.insert

    async def lost(*given: object, **more: object) -> int:
        await insert(*given, **more)  # type: ignore[arg-type]
        raise Unavailable("the answer was lost")

    monkeypatch.setattr(series, "insert", lost)
    with pytest.raises(Unavailable):
        await history.flush()
    monkeypatch.setattr(series, "insert", insert)
    assert await history.flush() == 12
    assert list(await series.query("SELECT count() FROM state_changes")) == [(12,)]


async def test_a_restart_leaves_a_gap_and_says_what_it_believes(series: Series) -> None:
    live = city()
    history = writer(series, live)
    outage(live)
    await history.flush()
    believed = {POINTS[0]: State.OFFLINE, POINTS[1]: State.ONLINE, POINTS[2]: None, DEVICE: State.ONLINE}
    await history.resume(T0 + 100 * SECOND, T0 + 1000 * SECOND, lambda subject: believed[subject])
    spans, _ = await history.spans(POINTS[0], T0 + 590 * SECOND, T0 + 1100 * SECOND)
    assert [(s.state, s.reason, (s.start_us - T0) // SECOND) for s in spans] == [
        (State.OFFLINE, "device_silent", 590), (State.UNKNOWN, "unwatched", 600), (State.OFFLINE, "restart", 1000),
    ]  # fmt: skip
    spans, _ = await history.spans(POINTS[1], T0 + 700 * SECOND, T0 + 1100 * SECOND)
    assert [(s.state, s.reason) for s in spans] == [(State.UNKNOWN, "unwatched"), (State.ONLINE, "listed_on")]


async def test_days_add_up_and_unknown_is_no_good_time(series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    live = city()
    history = writer(series, live)
    outage(live)  # 2027-01-15 16:00 in Beijing
    start = T0 - 16 * 3600 * SECOND
    days = await history.days(POINTS[0], start, start + 2 * 86_400 * SECOND)
    assert [day.day for day in days] == [date(2027, 1, 15), date(2027, 1, 16)]
    assert all(day.online_us + day.offline_us + day.unknown_us == 86_400 * SECOND for day in days)
    first, second = days
    assert (first.unknown_us, first.offline_us) == (16 * 3600 * SECOND, 414 * SECOND)
    assert second.online_us == 86_400 * SECOND
    with pytest.raises(Invalid):
        await history.days(POINTS[0], start, start + 400 * 86_400 * SECOND)
    monkeypatch.setattr(module, "DAY_ROWS", 1)
    with pytest.raises(Exhausted):
        await history.days(POINTS[0], start, start + 86_400 * SECOND)


class Broken:
    """A store that does not answer."""

    async def insert(self, *_: object, **__: object) -> int:
        raise Unavailable("gone")


async def test_what_cannot_be_written_waits_and_what_is_lost_is_counted() -> None:
    live = city()
    history = writer(Broken(), live, bound=8)  # type: ignore[arg-type]
    outage(live)
    assert history.waiting <= 8
    assert history.waiting + history.lost == 12
    with pytest.raises(Unavailable):
        await history.flush()
    assert history.waiting + history.lost == 12
