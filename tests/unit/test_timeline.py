"""The maths of the time axis: spans and gaps partition a range; plans in civil time."""

from __future__ import annotations

import itertools
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.kernel.errors import Invalid
from anwang.kernel.ids import PointId
from anwang.kernel.times import BEIJING, Span, month_span, to_micros
from anwang.media.index import Gap, join
from anwang.media.model import GapCause
from anwang.media.plans import Hours, Mode, Plan, check, planned, waiting
from anwang.media.timeline import Missing, check_range, complement, explain

POINT = PointId("p")
BASE = 1_795_305_480_000_000

pairs = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 60)).map(lambda p: (p[0], p[0] + p[1])), max_size=30)
causes = st.sampled_from([GapCause.DEVICE_OFFLINE, GapCause.STREAM_LOST, GapCause.DELETED, GapCause.OPEN_FAILED])


def spans(values: list[tuple[int, int]]) -> list[Span]:
    return [Span(start, end) for start, end in join(values)]


def seconds(values: list[Span]) -> set[int]:
    return {moment for one in values for moment in range(one.start, one.end)}


@given(pairs, st.integers(0, 50))
def test_joining_covers_the_same_and_is_disjoint(values: list[tuple[int, int]], within: int) -> None:
    joined = join(values, within=within)
    assert all(b[0] - a[1] > within for a, b in itertools.pairwise(joined))
    assert seconds(spans(values)) <= seconds([Span(*pair) for pair in joined])
    if within == 0:
        assert seconds([Span(*pair) for pair in joined]) == {m for start, end in values for m in range(start, end)}


@given(pairs, pairs, st.lists(st.tuples(st.integers(-50, 1000), st.integers(1, 200) | st.none(), causes), max_size=12))
def test_spans_and_gaps_partition_the_range(
    recorded: list[tuple[int, int]],
    wanted: list[tuple[int, int]],
    written: list[tuple[int, int | None, GapCause]],
) -> None:
    span = Span(100, 900)
    inside = [one for one in (whole.overlap(span) for whole in spans(recorded)) if one is not None]
    missing = complement(inside, span)
    assert seconds(inside) | seconds(missing) == set(range(100, 900))
    assert not seconds(inside) & seconds(missing)
    gaps = sorted(
        (
            Gap(point=POINT, start_us=start, end_us=None if length is None else start + length, cause=cause)
            for start, length, cause in written
        ),
        key=lambda gap: gap.start_us,
    )
    told = explain(missing, spans(wanted), gaps)
    assert [moment for one in told for moment in range(one.start_us, one.end_us)] == sorted(seconds(missing))
    planned_moments = seconds(spans(wanted))
    for one in told:
        for moment in (one.start_us, one.end_us - 1):
            covering = [g for g in gaps if g.start_us <= moment and (g.end_us is None or g.end_us > moment)]
            if moment not in planned_moments:
                deleted = any(gap.cause is GapCause.DELETED for gap in covering)
                assert one.cause is (GapCause.DELETED if deleted else GapCause.NOT_PLANNED)
            elif covering:
                latest = max(gap.start_us for gap in covering)
                assert one.cause in {gap.cause for gap in covering if gap.start_us == latest}
            else:
                assert one.cause is GapCause.UNKNOWN
    coarse = explain(missing, spans(wanted), gaps, finest_us=40)
    assert [moment for one in coarse for moment in range(one.start_us, one.end_us)] == sorted(seconds(missing))
    assert len(coarse) <= len(told)


def test_a_cause_is_told_only_inside_the_plan() -> None:
    gaps = [Gap(point=POINT, start_us=0, end_us=None, cause=GapCause.DEVICE_OFFLINE, detail="no keep-alive")]
    told = explain([Span(0, 100)], [Span(20, 60)], gaps)
    assert told == [
        Missing(start_us=0, end_us=20, cause=GapCause.NOT_PLANNED),
        Missing(start_us=20, end_us=60, cause=GapCause.DEVICE_OFFLINE, detail="no keep-alive"),
        Missing(start_us=60, end_us=100, cause=GapCause.NOT_PLANNED),
    ]


def test_what_is_unknown_beside_a_cause_has_it_too() -> None:
    died = GapCause.CHILD_DIED
    gaps = [Gap(point=POINT, start_us=20, end_us=30, cause=died), Gap(point=POINT, start_us=90, end_us=95, cause=died)]
    whole = [Span(0, 200)]
    assert explain([Span(15, 55)], whole, gaps, notice_us=25, finest_us=20) == [
        Missing(start_us=15, end_us=55, cause=died)
    ]
    told = explain([Span(15, 55), Span(60, 100)], whole, gaps, notice_us=24)
    assert [(one.start_us, one.end_us, one.cause) for one in told] == [
        (15, 30, died), (30, 55, GapCause.UNKNOWN), (60, 90, GapCause.UNKNOWN), (90, 100, died),
    ]  # fmt: skip
    unplanned = explain([Span(0, 60)], [Span(10, 20)], [], notice_us=25)
    assert [one.cause for one in unplanned] == [GapCause.NOT_PLANNED, GapCause.UNKNOWN, GapCause.NOT_PLANNED]


def test_waiting_for_an_event_is_no_fault_unless_one_was_written() -> None:
    gaps = [Gap(point=POINT, start_us=40, end_us=50, cause=GapCause.STREAM_LOST)]
    told = explain([Span(0, 100)], [Span(70, 80)], gaps, awaits=[Span(20, 90)], notice_us=30)
    assert [(one.start_us, one.end_us, one.cause) for one in told] == [
        (0, 20, GapCause.NOT_PLANNED),
        (20, 40, GapCause.NO_EVENT),
        (40, 50, GapCause.STREAM_LOST),
        (50, 70, GapCause.NO_EVENT),
        (70, 80, GapCause.UNKNOWN),
        (80, 90, GapCause.NO_EVENT),
        (90, 100, GapCause.NOT_PLANNED),
    ]


def test_units_of_a_range_are_checked() -> None:
    assert check_range(Span(BASE, BASE + 5)) == Span(BASE, BASE + 5)
    with pytest.raises(Invalid, match="milliseconds"):
        check_range(Span(BASE // 1000, BASE // 1000 + 60))
    with pytest.raises(Invalid, match="seconds"):
        check_range(Span(BASE // 1_000_000, BASE))
    with pytest.raises(Invalid, match="empty"):
        check_range(Span(BASE, BASE))
    with pytest.raises(Invalid, match="longer"):
        check_range(Span(BASE, BASE + 40 * 86_400_000_000))


def at(text: str) -> int:
    return to_micros(datetime.fromisoformat(text).replace(tzinfo=BEIJING))


def test_a_month_is_the_citys() -> None:
    assert month_span("2026-12") == Span(at("2026-12-01"), at("2027-01-01"))
    assert month_span("2028-02").micros == 29 * 86_400_000_000
    for bad in ("2026-13", "202611", "2026-11-01", "", "0001-01"):
        with pytest.raises(Invalid):
            month_span(bad)


def plan(**more: object) -> Plan:
    values: dict[str, object] = {"id": "a", "version": 1, "point": POINT, "point_class": None, "mode": Mode.CONTINUOUS}
    return Plan(**(values | more))  # type: ignore[arg-type]


def test_a_weekly_plan_follows_civil_time() -> None:
    weekly = (Hours(weekdays=(1, 2), start_min=480, end_min=1200), Hours(weekdays=(1,), start_min=1200, end_min=1440))
    one = plan(mode=Mode.SCHEDULE, weekly=weekly)
    # 2026-11-23 is a Monday
    week = Span(at("2026-11-22T00:00"), at("2026-11-29T00:00"))
    assert planned([one], week) == [
        Span(at("2026-11-23T08:00"), at("2026-11-24T00:00")),
        Span(at("2026-11-24T08:00"), at("2026-11-24T20:00")),
    ]
    part = Span(at("2026-11-23T09:00"), at("2026-11-23T09:30"))
    assert planned([one], part) == [part]
    on_event = plan(mode=Mode.ON_EVENT, since_us=week.start + 5)
    assert planned([on_event], week) == []
    assert waiting([on_event, one], week) == [Span(week.start + 5, week.end)]


def test_only_the_version_that_held_counts() -> None:
    span = Span(BASE, BASE + 100)
    assert planned([plan(since_us=BASE + 40, until_us=BASE + 60)], span) == [Span(BASE + 40, BASE + 60)]
    assert planned([plan(since_us=BASE + 40)], span) == [Span(BASE + 40, BASE + 100)]
    assert planned([plan(since_us=BASE + 140)], span) == []
    assert planned([], span) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"point": None},
        {"point_class": "I"},
        {"stream": "third"},
        {"priority": 0},
        {"mode": Mode.ON_EVENT, "pre_s": 61},
        {"mode": Mode.ON_EVENT, "post_s": 4},
        {"mode": Mode.ON_EVENT, "post_s": 60, "most_s": 59},
        {"mode": Mode.SCHEDULE},
        {"weekly": (Hours(weekdays=(1,), start_min=0, end_min=60),)},
        {"mode": Mode.SCHEDULE, "weekly": (Hours(weekdays=(8,), start_min=0, end_min=60),)},
        {"mode": Mode.SCHEDULE, "weekly": (Hours(weekdays=(), start_min=0, end_min=60),)},
        {"mode": Mode.SCHEDULE, "weekly": (Hours(weekdays=(1,), start_min=60, end_min=60),)},
        {"mode": Mode.SCHEDULE, "weekly": (Hours(weekdays=(1,), start_min=0, end_min=1441),)},
    ],
)
def test_plans_that_cannot_be(bad: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        check(plan(**bad))
