"""The promises of the media index, its plans and traces, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anwang.kernel.errors import Conflict, Invalid, NotFound
from anwang.kernel.ids import PlayId, PointId, SegmentId, uuid7
from anwang.kernel.times import Span, from_micros
from anwang.media.index import DAY_US, Gap, SegmentIndex
from anwang.media.model import GapCause, Growing, KeyFrame
from anwang.media.plans import Hours, Mode, Plan, Plans
from anwang.media.plays import Play, Plays, PlayStep, message_of
from anwang.media.timeline import Event, Hold, Timeline
from anwang.runtime.clock import FakeClock
from anwang.stores.state import MEDIA, State, drift, migrate
from tests.recordings import POINT, START_US, Live, plain

SECOND = 1_000_000
MINUTE = 60 * SECOND
OTHER = PointId("0198a0de-0000-7000-8000-000000000002")


@pytest.fixture
async def media(state: State) -> AsyncIterator[State]:
    await migrate(state, schema=MEDIA)
    yield state


@pytest.fixture
def index(media: State) -> SegmentIndex:
    return SegmentIndex(media)


def minutes(count: int, start_us: int = START_US, **more: object) -> list:  # type: ignore[type-arg]
    return [
        plain(start_us + number * MINUTE, start_us + (number + 1) * MINUTE, continues=number > 0, **more)
        for number in range(count)
    ]


async def test_the_migrations_make_these_tables(media: State) -> None:
    assert await drift(media, MEDIA) == []


async def test_a_segment_comes_back_as_it_went_in(index: SegmentIndex) -> None:
    one = plain(START_US, START_US + MINUTE, device_start_us=START_US - 5, continues=True)
    odd = replace(plain(START_US + MINUTE, START_US + 2 * MINUTE), key="elsewhere/x.mp4", codec="hvc1.1.6.L93.B0")
    await index.add([one, odd])
    assert await index.get(one.id) == one
    assert await index.get(odd.id) == odd
    assert await index.get(SegmentId(uuid7(1))) is None
    assert await index.known([one.id, SegmentId(uuid7(1))]) == {one.id}


async def test_spans_join_what_touches_and_survive_repetition(index: SegmentIndex) -> None:
    batch = minutes(5)  # crosses a UTC midnight after two minutes
    later = minutes(2, START_US + 10 * MINUTE)
    jitter = plain(START_US + 12 * MINUTE + 400_000, START_US + 13 * MINUTE)
    missing = plain(START_US + 13 * MINUTE + 600_000, START_US + 14 * MINUTE)
    slow = plain(START_US + 14 * MINUTE + 4 * SECOND, START_US + 15 * MINUTE, continues=True)
    for _ in range(2):
        await index.add([*batch, *later, jitter, missing, slow])
    whole = Span(START_US - DAY_US, START_US + DAY_US)
    found = await index.spans([POINT, OTHER], whole)
    assert found[POINT] == [
        Span(START_US, START_US + 5 * MINUTE),
        Span(START_US + 10 * MINUTE, START_US + 13 * MINUTE),
        Span(START_US + 13 * MINUTE + 600_000, START_US + 15 * MINUTE),
    ]
    assert found[OTHER] == []
    merged = (await index.spans([POINT], whole, merge_us=MINUTE))[POINT]
    assert len(merged) == 2
    part = Span(START_US + 2 * MINUTE, START_US + 11 * MINUTE)
    assert (await index.spans([POINT], part))[POINT] == [
        Span(START_US + 2 * MINUTE, START_US + 5 * MINUTE),
        Span(START_US + 10 * MINUTE, START_US + 11 * MINUTE),
    ]
    assert await index.last_end([POINT, OTHER]) == {POINT: START_US + 15 * MINUTE}


async def test_streams_are_apart_and_a_point_has_both(index: SegmentIndex) -> None:
    await index.add([*minutes(2), *minutes(2, START_US + MINUTE, stream="sub")])
    whole = Span(START_US, START_US + DAY_US)
    assert (await index.spans([POINT], whole))[POINT] == [Span(START_US, START_US + 3 * MINUTE)]
    assert (await index.spans([POINT], whole, stream="sub"))[POINT] == [Span(START_US + MINUTE, START_US + 3 * MINUTE)]
    assert await index.streams(POINT) == ["main", "sub"]
    assert await index.points() == [POINT]


@pytest.mark.parametrize(
    "bad",
    [
        plain(START_US // 1000, START_US // 1000 + 60_000),
        plain(START_US, START_US + MINUTE, id="no id"),
        replace(plain(START_US, START_US + MINUTE), end_us=START_US),
        replace(plain(START_US, START_US + MINUTE), key_frames=[]),
        replace(plain(START_US, START_US + MINUTE), key_frames=[KeyFrame(0, 10)]),
        replace(plain(START_US, START_US + MINUTE), size_bytes=900),
    ],
)
async def test_an_impossible_segment_stops_its_batch(index: SegmentIndex, bad) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Invalid):
        await index.add([*minutes(1), bad])
    assert await index.points() == []


async def test_seeking_finds_the_key_frame_before(index: SegmentIndex) -> None:
    await index.add([*minutes(3), plain(START_US + 10 * MINUTE, START_US + 11 * MINUTE)])
    place = await index.seek(POINT, START_US + 75 * SECOND)
    assert place is not None
    assert (place.segment.start_us, place.key_frame.offset_us) == (START_US + MINUTE, 14 * SECOND)
    assert place.at_us == START_US + 75 * SECOND
    exact = await index.seek(POINT, START_US + MINUTE)
    assert exact is not None
    assert (exact.segment.start_us, exact.key_frame.offset_us) == (START_US + MINUTE, 0)
    after = await index.seek(POINT, START_US + 5 * MINUTE)  # in the gap: what comes next
    assert after is not None
    assert after.at_us == START_US + 10 * MINUTE
    assert await index.seek(POINT, START_US + 11 * MINUTE) is None
    assert await index.seek(OTHER, START_US) is None
    with pytest.raises(Invalid, match="milliseconds"):
        await index.seek(POINT, START_US // 1000)


async def test_a_long_segment_below_a_short_one_is_found(index: SegmentIndex) -> None:
    long = plain(START_US, START_US + 10 * MINUTE)
    await index.add([long, plain(START_US + MINUTE, START_US + 2 * MINUTE)])
    place = await index.seek(POINT, START_US + 5 * MINUTE)
    assert place is not None
    assert place.segment == long


async def test_segments_of_a_range_page_by_page(index: SegmentIndex) -> None:
    batch = minutes(9)
    await index.add(batch)
    span = Span(START_US + 90 * SECOND, START_US + 6 * MINUTE)
    assert await index.segments(POINT, span) == batch[1:6]
    first = await index.segments(POINT, span, limit=2)
    rest = await index.segments(POINT, span, after_us=first[-1].start_us)
    assert first + rest == batch[1:6]
    assert await index.segments(POINT, Span(START_US, START_US)) == []


async def test_removal_leaves_a_gap_and_garbage(index: SegmentIndex) -> None:
    batch = minutes(6)
    await index.add(batch)
    assert await index.remove([one.id for one in batch[:2]], at_us=START_US + DAY_US) == [one.key for one in batch[:2]]
    assert await index.remove([one.id for one in batch[:3]], at_us=START_US + DAY_US) == [batch[2].key]
    whole = Span(START_US, START_US + DAY_US)
    assert (await index.spans([POINT], whole))[POINT] == [Span(START_US + 3 * MINUTE, START_US + 6 * MINUTE)]
    (gap,) = (await index.gaps([POINT], whole))[POINT]
    assert (gap.start_us, gap.end_us, gap.cause) == (START_US, START_US + 3 * MINUTE, GapCause.DELETED)
    assert await index.trash() == [one.key for one in batch[:3]]
    assert await index.is_trash([batch[0].key, batch[5].key]) == {batch[0].key}
    await index.forget_trash([batch[0].key])
    assert await index.trash() == [one.key for one in batch[1:3]]
    await index.remove([one.id for one in batch], at_us=START_US + DAY_US)
    assert (await index.spans([POINT], whole))[POINT] == []
    assert await index.last_end([POINT]) == {}


async def test_days_are_the_same_whether_made_or_mended(index: SegmentIndex) -> None:
    """Inserting some segments, and inserting more and deleting them, must tell the same spans."""
    keep = [*minutes(3), plain(START_US + 4 * MINUTE + 5 * SECOND, START_US + 6 * MINUTE, continues=True)]
    drop = [plain(START_US + 3 * MINUTE, START_US + 4 * MINUTE), plain(START_US - 3 * MINUTE, START_US)]
    await index.add([*keep, *drop])
    await index.remove([one.id for one in drop], at_us=START_US + DAY_US)
    await index.add([replace(one, point=OTHER, id=SegmentId(uuid7(n))) for n, one in enumerate(keep)])
    whole = Span(START_US - DAY_US, START_US + DAY_US)
    found = await index.spans([POINT, OTHER], whole)
    assert found[POINT] == found[OTHER]


async def test_writers_of_one_feed_beside_each_other_lose_nothing(index: SegmentIndex, media: State) -> None:
    others = [SegmentIndex(media) for _ in range(4)]
    batch = minutes(40)
    await asyncio.gather(*(others[number % 4].add([one]) for number, one in enumerate(batch)))
    whole = Span(START_US, START_US + DAY_US)
    assert (await index.spans([POINT], whole))[POINT] == [Span(START_US, START_US + 40 * MINUTE)]
    assert len(await index.segments(POINT, whole)) == 40


async def test_retention_sees_the_oldest_first(index: SegmentIndex) -> None:
    await index.add([*minutes(4), *minutes(4, START_US + 30 * SECOND, point=OTHER)])
    cutoffs = {POINT: START_US + 3 * MINUTE, OTHER: START_US + 2 * MINUTE}
    found = await index.older_than(cutoffs, limit=10)
    assert [(one.point, (one.start_us - START_US) // SECOND) for one in found] == [
        (POINT, 0),
        (OTHER, 30),
        (POINT, 60),
        (POINT, 120),
    ]
    paged = []
    after = None
    while page := await index.older_than(cutoffs, limit=1, after=after):
        paged += page
        after = page[-1].start_us, page[-1].id
    assert paged == found


async def test_a_lasting_gap_is_ended_by_another_and_by_recording(index: SegmentIndex) -> None:
    await index.open_gap(POINT, START_US, GapCause.DEVICE_OFFLINE, "no keep-alive")
    await index.open_gap(POINT, START_US + SECOND, GapCause.DEVICE_OFFLINE)
    await index.open_gap(POINT, START_US + 2 * SECOND, GapCause.OPEN_FAILED)
    await index.close_gap(POINT, START_US + 3 * SECOND)
    await index.close_gap(POINT, START_US + 4 * SECOND)
    await index.open_gap(POINT, START_US + 5 * SECOND, GapCause.STREAM_LOST)
    await index.close_gap(POINT, START_US + 5 * SECOND)  # it never lasted
    await index.add_gaps([Gap(point=OTHER, start_us=START_US, end_us=None, cause=GapCause.DISK_GUARD)])
    found = await index.gaps([POINT, OTHER], Span(START_US, START_US + DAY_US))
    assert [(gap.start_us - START_US, (gap.end_us or 0) - START_US, gap.cause) for gap in found[POINT]] == [
        (0, 2 * SECOND, GapCause.DEVICE_OFFLINE),
        (2 * SECOND, 3 * SECOND, GapCause.OPEN_FAILED),
    ]
    assert found[POINT][0].detail == "no keep-alive"
    assert [gap.end_us for gap in found[OTHER]] == [None]
    assert (await index.gaps([POINT], Span(START_US + 3 * SECOND, START_US + DAY_US)))[POINT] == []
    assert await index.forget_gaps(START_US + DAY_US) == 2


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 90), st.booleans()), min_size=1, max_size=12),
    st.data(),
)
async def test_spans_are_what_the_segments_cover(
    index: SegmentIndex, pieces: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    """Whatever the order, the overlaps and the deletions: spans are the union of the segments that are left."""
    point = PointId(uuid7(1))
    rows = [
        plain(START_US + start * SECOND, START_US + (start + length) * SECOND, point=point)
        for start, length, _ in pieces
    ]
    for row in rows:
        await index.add([row])
    gone = [row.id for row, (_, _, goes) in zip(rows, pieces, strict=True) if goes]
    await index.remove(gone, at_us=START_US, cause=None)
    left = [one for one, (_, _, goes) in zip(pieces, pieces, strict=True) if not one[2]]
    covered = {moment for start, length, _ in left for moment in range(start, start + length)}
    start, end = sorted((data.draw(st.integers(0, 400)), data.draw(st.integers(0, 400))))
    span = Span(START_US + start * SECOND, START_US + end * SECOND)
    found = (await index.spans([point], span))[point]
    told = {
        moment for one in found for moment in range((one.start - START_US) // SECOND, (one.end - START_US) // SECOND)
    }
    assert told == {moment for moment in covered if start <= moment < end}


# --- plans and the axis ----------------------------------------------------------------------------------------------


class Told:
    """What others know."""

    async def events(self, points, span):  # type: ignore[no-untyped-def]
        return {POINT: [Event(at_us=START_US, end_us=None, kind="state", id="e", text="offline")]}

    async def holds(self, points, span):  # type: ignore[no-untyped-def]
        return {POINT: [Hold(start_us=START_US, end_us=START_US + 5, id="h", reason="case")]}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(from_micros(START_US))


@pytest.fixture
def plans(media: State, clock: FakeClock) -> Plans:
    return Plans(media, clock, {POINT: "I", OTHER: "II"}.get)


async def test_plans_are_versions(plans: Plans, clock: FakeClock) -> None:
    first = await plans.add(Plan(id="", version=0, point=None, point_class="I", mode=Mode.CONTINUOUS))
    await clock.advance(60)
    hours = (Hours(weekdays=(1, 2, 3, 4, 5, 6, 7), start_min=0, end_min=720),)
    second = await plans.change(msgspec.structs.replace(first, mode=Mode.SCHEDULE, weekly=hours))
    assert (second.id, second.version) == (first.id, 2)
    with pytest.raises(Conflict):
        await plans.change(msgspec.structs.replace(first, priority=1))
    with pytest.raises(Invalid):
        await plans.change(msgspec.structs.replace(second, point_class="II"))
    assert await plans.get(first.id) == second
    assert await plans.current() == [second]
    whole = Span(START_US, START_US + DAY_US)
    held = await plans.of([POINT, OTHER], whole)
    assert [(plan.version, plan.until_us) for plan in held[POINT]] == [(1, START_US + MINUTE), (2, None)]
    assert held[OTHER] == []
    await clock.advance(60)
    await plans.end(second.id, 2)
    with pytest.raises(NotFound):
        await plans.end(second.id, 2)
    with pytest.raises(NotFound):
        await plans.get(first.id)
    assert await plans.current() == []


async def test_a_points_own_plan_stands_before_its_classs(plans: Plans, clock: FakeClock) -> None:
    await plans.add(Plan(id="", version=0, point=None, point_class="I", mode=Mode.CONTINUOUS))
    await clock.advance(60)
    own = await plans.add(Plan(id="", version=0, point=POINT, point_class=None, mode=Mode.CONTINUOUS))
    await clock.advance(60)
    await plans.end(own.id, 1)
    held = (await plans.of([POINT], Span(START_US, START_US + DAY_US)))[POINT]
    of_class = [(plan.since_us - START_US, plan.until_us) for plan in held if plan.point_class]
    assert of_class == [(0, START_US + MINUTE), (2 * MINUTE, None)]


async def test_every_missing_second_has_a_cause(index: SegmentIndex, plans: Plans, clock: FakeClock) -> None:
    live = Live()
    axis = Timeline(index=index, plans=plans, clock=clock, growing=live, marks=Told())
    await plans.add(Plan(id="", version=0, point=None, point_class="I", mode=Mode.CONTINUOUS))
    await clock.advance(3600)
    await index.add(minutes(10, START_US + MINUTE))
    await index.open_gap(POINT, START_US + 20 * MINUTE, GapCause.DEVICE_OFFLINE)
    await index.close_gap(POINT, START_US + 30 * MINUTE)
    open_one = plain(START_US + 30 * MINUTE, START_US + 60 * MINUTE - 2 * SECOND)
    live.growing = [Growing(segment=open_one, path="/nowhere")]
    axes = await axis.of([POINT, OTHER], Span(START_US - MINUTE, START_US + 2 * 60 * MINUTE))
    one, other = axes.points
    assert axes.until_us == START_US + 60 * MINUTE
    assert one.growing
    assert not one.causes_cut
    assert [(s.start - START_US, s.end - START_US) for s in one.spans] == [
        (MINUTE, 11 * MINUTE),
        (30 * MINUTE, 60 * MINUTE - 2 * SECOND),
    ]
    assert [((g.start_us - START_US) // MINUTE, (g.end_us - START_US) // MINUTE, g.cause) for g in one.gaps] == [
        (-1, 0, GapCause.NOT_PLANNED),
        (0, 1, GapCause.UNKNOWN),
        (11, 20, GapCause.UNKNOWN),
        (20, 30, GapCause.DEVICE_OFFLINE),
    ]
    assert (one.events[0].text, one.holds[0].reason) == ("offline", "case")
    assert [gap.cause for gap in other.gaps] == [GapCause.NOT_PLANNED]
    # a stream that has fallen silent is missing
    live.growing = [Growing(segment=replace(open_one, end_us=START_US + 58 * MINUTE), path="/nowhere")]
    (late,) = (await axis.of([POINT], Span(START_US + 57 * MINUTE, START_US + 2 * 60 * MINUTE))).points
    assert [((g.start_us - START_US) // MINUTE, (g.end_us - START_US) // MINUTE) for g in late.gaps] == [(58, 60)]
    # the future is neither recorded nor missing
    (future,) = (await axis.of([POINT], Span(START_US + 61 * MINUTE, START_US + 2 * 60 * MINUTE))).points
    assert not future.spans
    assert not future.gaps


async def test_the_resolution_is_said_and_kept(index: SegmentIndex, plans: Plans, clock: FakeClock) -> None:
    await clock.advance(40 * 86_400)
    axis = Timeline(index=index, plans=plans, clock=clock, growing=Live())
    await index.add([plain(START_US + n * MINUTE, START_US + n * MINUTE + 50 * SECOND) for n in range(60)])
    month = Span(START_US, START_US + 31 * DAY_US)
    axes = await axis.of([POINT], month)
    assert axes.resolution_us == month.micros // 2000
    assert len(axes.points[0].spans) == 1
    hour = await axis.of([POINT], Span(START_US, START_US + 60 * MINUTE))
    assert len(hour.points[0].spans) == 60
    assert len(hour.points[0].gaps) == 60
    for bad in ({"pixels": 5}, {"pixels": 10**6}):
        with pytest.raises(Invalid):
            await axis.of([POINT], month, **bad)
    with pytest.raises(Invalid):
        await axis.of([], month)
    with pytest.raises(Invalid):
        await axis.of([PointId(str(n)) for n in range(17)], month)


async def test_the_calendar_counts_seconds_of_civil_days(index: SegmentIndex, plans: Plans, clock: FakeClock) -> None:
    axis = Timeline(index=index, plans=plans, clock=clock, growing=Live())
    await plans.add(Plan(id="", version=0, point=None, point_class="I", mode=Mode.CONTINUOUS))
    await clock.advance(86_400)
    # 2026-11-22 07:58 in Beijing; midnight there is at 16:02 hours from then
    midnight = START_US + 16 * 60 * MINUTE + 2 * MINUTE
    await index.add(minutes(2))
    await index.add([plain(midnight - 30 * SECOND, midnight + 30 * SECOND)])
    days = {day.date: (day.recorded_s, day.planned_s) for day in await axis.calendar(POINT, "2026-11")}
    assert len(days) == 30
    assert days["2026-11-22"] == (150, 16 * 3600 + 120)
    assert days["2026-11-23"] == (30, 86_400 - 16 * 3600 - 120)
    assert days["2026-11-24"] == (0, 0)


# --- traces ----------------------------------------------------------------------------------------------------------


def trace(number: int, **more: object) -> Play:
    values: dict[str, object] = {
        "id": PlayId(uuid7(START_US // 1000 + number)),
        "point": POINT,
        "kind": "live",
        "started_us": START_US + number * SECOND,
    }
    return Play(**(values | more))  # type: ignore[arg-type]


async def test_a_trace_is_written_again_when_more_is_known(media: State) -> None:
    plays = Plays(media)
    one = trace(0, steps=(PlayStep(at_us=START_US, step="asked"),))
    assert await plays.put(one)
    message = message_of(START_US, b"INVITE sip:34020000001320000001 SIP/2.0\r\n\xff\x00" + b"x" * 9000, outgoing=True)
    assert message.cut == 9043 - 8192
    done = msgspec.structs.replace(
        one, outcome="failed", verdict="没有收到视频包", finished_us=START_US + SECOND, messages=(message,)
    )
    assert await plays.put(done)
    assert await plays.get(one.id) == done
    with pytest.raises(NotFound):
        await plays.get(PlayId("x"))


async def test_traces_are_listed_bounded_and_forgotten(media: State) -> None:
    plays = Plays(media, per_day=5)
    written = [await plays.put(trace(number)) for number in range(7)]
    assert written == [True] * 5 + [False] * 2
    assert plays.refused == 2
    first = await plays.of(POINT, limit=3)
    rest = await plays.of(POINT, limit=3, before=(first[-1].started_us, first[-1].id))
    assert [(play.started_us - START_US) // SECOND for play in [*first, *rest]] == [4, 3, 2, 1, 0]
    assert await plays.of(OTHER) == []
    assert await plays.forget(START_US + timedelta(days=30) // timedelta(microseconds=1)) == 0
    assert await plays.forget(START_US + timedelta(days=30, seconds=2) // timedelta(microseconds=1)) == 2
