"""What is unusual of how an account looks (操作异常, domain.md G22), and what the auditors find of it. Pure.

An *anomaly* is a count that passed its bound in a window of time. It says that a question should be asked, never that
somebody did wrong. Nobody is scored: what counts are rows of the ledger, each of which its reader can open.

Searches for plates of one's own and of colleagues belong here as a rule of their own once there are passes to search.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from statistics import median
from typing import NewType

from anwang.governance.actions import Action
from anwang.governance.scopes import Hours
from anwang.kernel.errors import Conflict
from anwang.kernel.ids import UserId
from anwang.kernel.times import Span, from_micros
from anwang.runtime.settings import Oversight as Bounds

AnomalyId = NewType("AnomalyId", str)

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
OFFSET_US = 8 * HOUR_US
"""Asia/Shanghai is ahead of UTC by so much; its days are the days here."""
SLOT_US = 300_000_000
"""Looks off duty are told apart by slots of five minutes."""
USUAL_DAYS = 28
LEAST_HOURS = 10
"""Hours with looks among the last USUAL_DAYS, without which an account has no usual."""
MOST_EVIDENCE = 100
"""Rows that an anomaly names; its count tells of all."""
SEARCHES = ("search", "points", "point", "timeline", "device_records")
"""Lists that a person asks for; maps, counts and events renew themselves."""
RECORDED = frozenset({Action.VIEW_PLAYBACK, Action.SNAPSHOT, Action.EXPORT, Action.UNMASK})
"""Looks that are repeats when they come back to the same point; live ones only where a setting says so."""


class AnomalyRule(StrEnum):
    """What was unusual."""

    BURST = "burst"
    """Many looks in an hour."""
    SEARCHES = "searches"
    """Many searches in an hour."""
    REFUSED = "refused"
    """Many refusals in an hour."""
    OFF_HOURS = "off_hours"
    """Content off duty, on one day."""
    REPEATED = "repeated"
    """The same point on many days, without one case number for all of them."""


class AnomalyState(StrEnum):
    """What the auditors found."""

    OPEN = "open"
    EXPLAINED = "explained"
    """There was a reason on duty."""
    MISCONDUCT = "misconduct"
    DISMISSED = "dismissed"
    """The rule was wrong here."""


NEXT: Mapping[tuple[AnomalyState, AnomalyState], AnomalyState] = {
    (AnomalyState.OPEN, verdict): verdict
    for verdict in (AnomalyState.EXPLAINED, AnomalyState.MISCONDUCT, AnomalyState.DISMISSED)
}


def after(state: AnomalyState, verdict: AnomalyState) -> AnomalyState:
    """Raises Conflict where the table has no such step."""
    try:
        return NEXT[state, verdict]
    except KeyError:
        raise Conflict(f"this anomaly is {state} and cannot become {verdict}", "look at it again") from None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A row of the ledger. look: its look's id; "" where it has none."""

    chain: str
    seq: int
    look: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One finding. start, end: its window, [start, end). count passed bound. usual: looks in the account's own usual
    hour, None where that does not matter. subject: id of the point that came back, else "". unit, org_path: of the
    account, as the ledger says. evidence: the first rows of it.
    """

    id: AnomalyId
    rule: AnomalyRule
    user_id: UserId
    username: str
    unit: str
    org_path: str
    subject: str
    start: datetime
    end: datetime
    count: int
    bound: int
    usual: float | None
    evidence: Sequence[Evidence]
    found_at: datetime
    state: AnomalyState = AnomalyState.OPEN
    note: str = ""
    decided_at: datetime | None = None
    decided_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Where rows count for a rule. start, end: microseconds. spans: where not all of the window counts, what does."""

    rule: AnomalyRule
    start: int
    end: int
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """What a rule has found, before its rows are read. See Anomaly."""

    window: Window
    user: str
    count: int
    bound: int
    subject: str = ""
    usual: float | None = None


def usual_of(hours: Collection[int]) -> float | None:
    """Looks in the usual one of these hours, those without any left out; None: there are too few to tell."""
    return float(median(hours)) if len(hours) >= LEAST_HOURS else None


def burst_bound(usual: float | None, bounds: Bounds) -> int:
    """How many looks in an hour are still usual for an account."""
    if usual is None:
        return bounds.looks_an_hour
    own = max(bounds.usual_looks, math.ceil(usual * bounds.usual_times))
    return min(bounds.looks_an_hour, own)


def duty_of(known: Sequence[Hours], bounds: Bounds) -> Sequence[Hours]:
    """The hours of an account: its own where some are known, else those of the settings."""
    return known or (Hours(frozenset(range(7)), bounds.duty_from * 60, bounds.duty_to * 60),)


def off_duty(day: int, hours: Sequence[Hours]) -> tuple[Span, ...]:
    """The stretches of a civil day that lie outside all the hours, to five minutes."""
    spans: list[Span] = []
    for start in range(start_of_day(day), start_of_day(day + 1), SLOT_US):
        moment = from_micros(start)
        if any(one.ends_at(moment) is not None for one in hours):
            continue
        if spans and spans[-1].end == start:
            spans[-1] = Span(spans[-1].start, start + SLOT_US)
        else:
            spans.append(Span(start, start + SLOT_US))
    return tuple(spans)


def within(slots: Mapping[int, int], spans: Sequence[Span]) -> int:
    """How many of the looks, given by the start of their slot, lie in one of the spans."""
    return sum(count for start, count in slots.items() if any(one.start <= start < one.end for one in spans))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days on which an account came back to a point: number of the first and of the last one, and how many."""

    first: int
    last: int
    days: int


def repeats(days: Mapping[int, frozenset[str]], *, after: int, bounds: Bounds) -> list[Stretch]:
    """Stretches of at most `repeat_days` with looks on `repeats` days or more that no single case explains.

    days: by number of the day, the case numbers of its looks, "" for none. after: number of the last day that was told
    of before; days up to it count no more, so that nothing is told of twice.
    """
    found: list[Stretch] = []
    recent: list[int] = []
    for day in sorted(each for each in days if each > after):
        recent = [*(each for each in recent if each > day - bounds.repeat_days), day]
        cases = frozenset().union(*(days[each] for each in recent))
        if len(recent) >= bounds.repeats and (len(cases) > 1 or "" in cases):
            found.append(Stretch(recent[0], day, len(recent)))
            recent = []
    return found


def start_of_window(at: int, length: int) -> int:
    """Start of the civil hour or day that a moment lies in. All in microseconds."""
    return (at + OFFSET_US) // length * length - OFFSET_US


def day_of(at: int) -> int:
    """Number of the civil day since 1970."""
    return (at + OFFSET_US) // DAY_US


def start_of_day(day: int) -> int:
    """Its first microsecond."""
    return day * DAY_US - OFFSET_US
