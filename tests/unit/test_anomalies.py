"""Rules about what is unusual of how people look (domain.md G22)."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.governance.oversight.model import (
    LEAST_HOURS,
    SLOT_US,
    AnomalyState,
    Stretch,
    after,
    burst_bound,
    day_of,
    duty_of,
    off_duty,
    repeats,
    start_of_day,
    start_of_window,
    usual_of,
    within,
)
from anwang.governance.scopes import Hours
from anwang.kernel.errors import Conflict, Invalid
from anwang.kernel.times import BEIJING, Span, to_micros
from anwang.runtime.settings import Oversight, load

BOUNDS = Oversight()
NO_CASE, CASE, OTHER = frozenset({""}), frozenset({"A1"}), frozenset({"A2"})


def at(hour: int, minute: int = 0, *, day: int = 30) -> int:
    return to_micros(datetime(2026, 11, day, hour, minute, tzinfo=BEIJING))


@pytest.mark.parametrize(
    ("usual", "bound"),
    [(None, 120), (0.0, 30), (7.5, 30), (7.6, 31), (20.0, 80), (30.0, 120), (500.0, 120)],
)
def test_g22_a_burst_is_measured_by_the_settings_and_by_the_account_s_own_usual(
    usual: float | None, bound: int
) -> None:
    assert burst_bound(usual, BOUNDS) == bound


def test_g22_an_account_without_enough_hours_has_no_usual() -> None:
    assert usual_of([5] * (LEAST_HOURS - 1)) is None
    assert usual_of([5] * LEAST_HOURS) == 5.0
    assert usual_of([1, 1, 1, 1, 1, 9, 9, 9, 9, 900]) == 5.0, "one wild hour moves it little"


TODAY = day_of(at(12))


def test_g22_hours_of_the_account_come_before_those_of_the_settings() -> None:
    slots = {at(6, 55): 1, at(7): 2, at(20, 55): 4, at(21): 8, at(3): 16}
    plain = off_duty(TODAY, duty_of((), BOUNDS))
    assert plain == (Span(at(0), at(7)), Span(at(21), at(24 - 1) + 3_600_000_000))
    assert within(slots, plain) == 1 + 8 + 16
    night = Hours(frozenset({6}), 20 * 60, 8 * 60)  # from Sunday evening; the 30th is a Monday
    assert within(slots, off_duty(TODAY, duty_of([night], BOUNDS))) == 4 + 8
    both = [night, Hours(frozenset({0}), 8 * 60, 24 * 60)]
    assert off_duty(TODAY, duty_of(both, BOUNDS)) == ()


def test_g22_the_same_hour_twice_is_around_the_clock() -> None:
    always = Oversight(duty_from=8, duty_to=8)
    assert off_duty(TODAY, duty_of((), always)) == ()


@pytest.mark.parametrize(
    ("days", "found"),
    [
        ({1: NO_CASE, 2: NO_CASE, 3: NO_CASE}, []),
        ({1: NO_CASE, 2: NO_CASE, 3: NO_CASE, 4: NO_CASE}, [Stretch(1, 4, 4)]),
        ({1: NO_CASE, 6: NO_CASE, 11: NO_CASE, 14: NO_CASE}, [Stretch(1, 14, 4)]),
        ({1: NO_CASE, 6: NO_CASE, 11: NO_CASE, 15: NO_CASE}, []),
        ({1: CASE, 2: CASE, 3: CASE, 4: CASE}, []),
        ({1: CASE, 2: CASE, 3: CASE, 4: CASE | NO_CASE}, [Stretch(1, 4, 4)]),
        ({1: CASE, 2: CASE, 3: CASE, 4: OTHER}, [Stretch(1, 4, 4)]),
        (dict.fromkeys(range(1, 10), NO_CASE), [Stretch(1, 4, 4), Stretch(5, 8, 4)]),
    ],
)
def test_g22_coming_back_without_one_case_for_all(days: dict[int, frozenset[str]], found: list[Stretch]) -> None:
    assert repeats(days, after=-1, bounds=BOUNDS) == found


DAYS = st.dictionaries(st.integers(0, 60), st.sampled_from([NO_CASE, CASE, OTHER, CASE | NO_CASE]), max_size=40)


@given(days=DAYS, length=st.integers(2, 30), least=st.integers(2, 10))
def test_g22_stretches_lie_apart_and_within_their_length(
    days: dict[int, frozenset[str]], length: int, least: int
) -> None:
    bounds = Oversight(repeat_days=length, repeats=least)
    found = repeats(days, after=-1, bounds=bounds)
    assert all(one.last < following.first for one, following in pairwise(found))
    for one in found:
        assert one.days >= least and one.last - one.first < length
        seen = [days[day] for day in days if one.first <= day <= one.last]
        assert len(seen) == one.days and set(seen) not in ({CASE}, {OTHER})


@given(days=DAYS, cut=st.integers(0, 60))
def test_g22_day_by_day_finds_what_all_days_at_once_find(days: dict[int, frozenset[str]], cut: int) -> None:
    told: list[Stretch] = []
    for day in range(61):
        recent = {each: cases for each, cases in days.items() if day - BOUNDS.repeat_days < each <= day}
        told += repeats(recent, after=told[-1].last if told else -1, bounds=BOUNDS)
    assert told == repeats(days, after=-1, bounds=BOUNDS)
    before = [each for each in told if each.last <= cut]
    last = before[-1].last if before else -1
    assert repeats(days, after=last, bounds=BOUNDS) == told[len(before) :], "nothing is told of twice"


@given(moment=st.integers(0, 2**52), slots=st.integers(1, 300))
def test_a_window_holds_its_moment(moment: int, slots: int) -> None:
    start = start_of_window(moment, slots * SLOT_US)
    assert start <= moment < start + slots * SLOT_US
    assert start_of_day(day_of(moment)) <= moment < start_of_day(day_of(moment) + 1)


def test_days_are_china_s() -> None:
    assert start_of_day(day_of(at(0, 5))) == at(0)
    assert start_of_window(at(8, 59), 3_600_000_000) == at(8)


def test_g22_a_decision_is_final() -> None:
    for verdict in (AnomalyState.EXPLAINED, AnomalyState.MISCONDUCT, AnomalyState.DISMISSED):
        assert after(AnomalyState.OPEN, verdict) is verdict
        for other in AnomalyState:
            with pytest.raises(Conflict):
                after(verdict, other)


def test_g22_bounds_that_cannot_be_are_refused() -> None:
    for name, value in (("REPEAT_DAYS", "1"), ("DUTY_FROM", "24"), ("LOOKS_AN_HOUR", "0"), ("REPEATS", "15")):
        with pytest.raises(Invalid):
            load(None, {f"ANWANG_OVERSIGHT__{name}": value})
