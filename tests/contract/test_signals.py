"""What was heard at points: marks on the axis, however many reports come."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from anwang.access import Signal, SignalKind
from anwang.app.marks import AxisMarks
from anwang.kernel.ids import PointId
from anwang.kernel.times import Span
from anwang.media import signals as subject
from anwang.media.signals import Signals
from anwang.media.timeline import MOST_EVENTS, Timeline
from tests.archive import Archive
from tests.recordings import POINT, START_US

SECOND = 1_000_000
WHOLE = Span(START_US, START_US + 7_300 * SECOND)
NOW = START_US + 7_200 * SECOND


def report(after_s: float = 0, kind: SignalKind = SignalKind.ALARM, **more: object) -> Signal:
    at = NOW + round(after_s * SECOND)
    values: dict[str, object] = {"point": POINT, "kind": kind, "at_us": at - 3 * SECOND, "received_us": at}
    return Signal(**(values | more))  # type: ignore[arg-type]


@pytest.fixture
def woken() -> list[PointId]:
    return []


@pytest.fixture
def signals(archive: Archive, woken: list[PointId]) -> Signals:
    return Signals(archive.media, archive.clock, wake=woken.append)


async def test_a_storm_is_one_mark_a_minute_with_its_number(
    signals: Signals, archive: Archive, woken: list[PointId]
) -> None:
    for number in range(3000):
        signals.heard(report(number / 25, text="围栏"))
        if number == 100:
            await signals.flush()  # what was written grows
    signals.heard(report(1, SignalKind.MOTION))
    await signals.flush()
    found = (await signals.of([POINT], WHOLE))[POINT]
    assert [(one.kind, (one.at_us - NOW) / SECOND, one.count) for one in found] == [
        ("alarm", 0, 1500),
        ("motion", 1, 1),
        ("alarm", 60, 1500),
    ]
    assert found[0].end_us == NOW + 59_960_000 and found[1].end_us is None and found[0].text == "围栏"
    assert (signals.merged, signals.heard_of["alarm"], len(woken)) == (2998, 3000, 3001)


async def test_the_axis_shows_marks_beside_recordings_and_says_where_it_cuts(
    signals: Signals, archive: Archive
) -> None:
    async def none(points: object, span: object) -> dict[PointId, list[object]]:
        return {}

    timeline = Timeline(
        index=archive.index, plans=archive.plans, clock=archive.clock, growing=archive.live,
        marks=AxisMarks(signals, none),  # type: ignore[arg-type]
    )  # fmt: skip
    for number in range(MOST_EVENTS - 1):
        signals.heard(report(-60 * (MOST_EVENTS - number)))
    await signals.flush()
    span = Span(NOW - 31 * 86_400 * SECOND, NOW + SECOND)
    axis = (await timeline.of([POINT], span)).points[0]
    assert (len(axis.events), axis.events_cut) == (MOST_EVENTS - 1, False)
    signals.heard(report())
    await signals.flush()
    axis = (await timeline.of([POINT], span)).points[0]
    assert (len(axis.events), axis.events_cut, axis.events[-1].at_us) == (MOST_EVENTS, True, NOW)
    assert await signals.forget(NOW) == MOST_EVENTS - 1
    assert len((await timeline.of([POINT], span)).points[0].events) == 1


async def test_what_finds_no_room_is_counted_and_still_wakes(
    signals: Signals, woken: list[PointId], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "MOST_WAITING", 3)
    for number in range(5):
        signals.heard(report(point=PointId(f"0198a0de-0000-7000-8000-00000000000{number}")))
    assert (signals.waiting, signals.unmarked, len(woken)) == (3, 2, 5)


async def test_marks_wait_for_a_database_that_is_full(signals: Signals, archive: Archive) -> None:
    async with archive.media.begin() as tx:
        pages = int(await tx.scalar(text("PRAGMA page_count")) or 0)
        await tx.execute(text(f"PRAGMA max_page_count = {pages}"))
    for number in range(400):
        signals.heard(report(60 * number, text="x" * 500))
    with pytest.raises(Exception, match="full"):
        await signals.flush()
    assert signals.waiting == 400
    async with archive.media.begin() as tx:
        await tx.execute(text("PRAGMA max_page_count = 1000000"))
    await signals.flush()
    found = (await signals.of([POINT], Span(NOW, NOW + 86_400 * SECOND)))[POINT]
    assert (signals.waiting, len(found), len(found[0].text)) == (0, 400, subject.TEXT_LETTERS)
