"""The time axis (时间轴): what is recorded, what is missing and why, for one to sixteen points on one clock.

Every range asked for is partitioned: a moment up to now is recorded, or it stands in a gap with a cause. The rest lies
in the future and is neither.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from anwang.kernel.errors import Invalid
from anwang.kernel.ids import PointId
from anwang.kernel.times import Span, civil_day, from_micros, month_span
from anwang.media.index import Gap, SegmentIndex, join
from anwang.media.model import GapCause, Growing, check_micros
from anwang.media.plans import Plans, planned, waiting
from anwang.runtime.clock import Clock

MOST_POINTS = 16
LONGEST_US = 31 * 86_400_000_000 + 3_600_000_000
DEFAULT_PIXELS = 2000
SETTLE_US = 10_000_000
"""What a stream that is being recorded has received but not yet reported is not missing for so long."""
NOTICE_US = 30_000_000
"""So late a lost stream may be noticed, and so long may the next take from its lease to its first picture."""
MOST_GAPS = 5000
MOST_EVENTS = 2000
"""Of each point; the newest."""
_NOT_NOTICED = (GapCause.UNKNOWN, GapCause.NOT_PLANNED, GapCause.NO_EVENT, GapCause.DELETED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A stretch without recording, [start_us, end_us), and its cause. detail: for people."""

    start_us: int
    end_us: int
    cause: GapCause
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at a point, for the marks above the axis. end_us: None for a moment.

    count: more than one where it stands for several reports, the last at end_us.
    """

    at_us: int
    end_us: int | None
    kind: str
    id: str
    text: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A stretch that may not be deleted."""

    start_us: int
    end_us: int
    id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One point's part of the answer. growing: it is being recorded now. causes_cut: there were more than MOST_GAPS
    written gaps, so the oldest missing stretches may say "unknown". events_cut: there may be more than MOST_EVENTS, of
    which these are the newest.
    """

    point: PointId
    spans: Sequence[Span]
    gaps: Sequence[Missing]
    events: Sequence[Event]
    holds: Sequence[Hold]
    growing: bool
    causes_cut: bool
    events_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """The answer. resolution_us: shorter interruptions are not told apart. until_us: from here on lies the future."""

    span: Span
    resolution_us: int
    until_us: int
    points: Sequence[Axis]


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A civil day (Asia/Shanghai) of a month: whole seconds recorded, and seconds that the plan wanted so far."""

    date: str
    recorded_s: int
    planned_s: int


class Marks(Protocol):
    """What others know about these points and times; fulfilled through `app`."""

    async def events(self, points: Sequence[PointId], span: Span) -> Mapping[PointId, Sequence[Event]]:
        """Alarms and other events, of each point the newest MOST_EVENTS."""

    async def holds(self, points: Sequence[PointId], span: Span) -> Mapping[PointId, Sequence[Hold]]:
        """Protected stretches."""


GrowingOf = Callable[[PointId], Sequence[Growing]]
"""The segments of a point that are being written now; the live side knows them."""


def complement(recorded: Sequence[Span], span: Span) -> list[Span]:
    """What is left of a span without the recorded spans, which are sorted and disjoint."""
    left = []
    at = span.start
    for one in recorded:
        if one.start > at:
            left.append(Span(at, min(one.start, span.end)))
        at = max(at, one.end)
        if at >= span.end:
            break
    if at < span.end:
        left.append(Span(at, span.end))
    return left


def explain(
    missing: Sequence[Span],
    wanted: Sequence[Span],
    gaps: Sequence[Gap],
    *,
    awaits: Sequence[Span] = (),
    finest_us: int = 0,
    notice_us: int = 0,
) -> list[Missing]:
    """Why each missing stretch is missing; the answer covers `missing` exactly, in order.

    missing, wanted (what the plans ask for), awaits (when they wait for an event: there only what was written, while
    one was being recorded, is a fault): sorted and disjoint. gaps: written causes, sorted by start; of several at
    one moment the latest to begin counts. Outside the plan only a deletion is told. A cause is noticed a little after
    the last picture and ends a little before the next: what is unknown beside it, up to notice_us, has that cause, too.
    Parts shorter than finest_us join the part before them, or behind them at the start.
    """
    edges = sorted(
        {edge for one in (*wanted, *awaits) for edge in (one.start, one.end)}
        | {one.start_us for one in gaps}
        | {one.end_us for one in gaps if one.end_us is not None}
    )
    starts = [one.start for one in wanted]
    awaiting = [one.start for one in awaits]
    reasons = _Reasons(gaps)
    found: list[Missing] = []
    for stretch in missing:
        inner = edges[bisect_right(edges, stretch.start) : bisect_left(edges, stretch.end)]
        told: list[Missing] = []
        for start, end in zip([stretch.start, *inner], [*inner, stretch.end], strict=True):
            is_wanted, awaits_event = _covers(wanted, starts, start), _covers(awaits, awaiting, start)
            cause, detail = reasons.at(start, is_wanted=is_wanted or awaits_event)
            if cause is GapCause.UNKNOWN and awaits_event and not is_wanted:
                cause = GapCause.NO_EVENT
            told.append(Missing(start_us=start, end_us=end, cause=cause, detail=detail))
        parts: list[Missing] = []
        for part in _noticed(told, notice_us):
            _append(parts, part, finest_us)
        found += parts
    return found


def _covers(spans: Sequence[Span], starts: Sequence[int], moment: int) -> bool:
    index = bisect_right(starts, moment) - 1
    return index >= 0 and spans[index].end > moment


def _noticed(parts: Sequence[Missing], notice_us: int) -> list[Missing]:
    """Short unknown parts of a stretch have the cause of the part after them, or else of the part before them."""
    found = list(parts)
    for step, beside in ((-1, 1), (1, -1)):
        for at in range(len(found))[::step]:
            part = found[at]
            if part.cause is not GapCause.UNKNOWN or part.end_us - part.start_us > notice_us:
                continue
            other = found[at + beside] if 0 <= at + beside < len(found) else part
            if other.cause not in _NOT_NOTICED:
                found[at] = replace(part, cause=other.cause, detail=other.detail)
    return found


def _append(parts: list[Missing], part: Missing, finest_us: int) -> None:
    before = parts[-1] if parts else None
    if before is not None and (
        (before.cause, before.detail) == (part.cause, part.detail) or part.end_us - part.start_us < finest_us
    ):
        parts[-1] = Missing(start_us=before.start_us, end_us=part.end_us, cause=before.cause, detail=before.detail)
    elif before is not None and before.end_us - before.start_us < finest_us:
        parts[-1] = Missing(start_us=before.start_us, end_us=part.end_us, cause=part.cause, detail=part.detail)
    else:
        parts.append(part)


class _Reasons:
    """Written gaps, asked in order of time."""

    def __init__(self, gaps: Sequence[Gap]) -> None:
        self._coming = sorted(gaps, key=lambda gap: gap.start_us, reverse=True)
        self._begun: list[tuple[int, int, Gap]] = []

    def at(self, moment: int, *, is_wanted: bool) -> tuple[GapCause, str]:
        while self._coming and self._coming[-1].start_us <= moment:
            gap = self._coming.pop()
            heapq.heappush(self._begun, (-gap.start_us, len(self._coming), gap))
        while self._begun and _ends_before(self._begun[0][2], moment):
            heapq.heappop(self._begun)
        if not is_wanted:
            deleted = any(gap.cause is GapCause.DELETED and not _ends_before(gap, moment) for _, _, gap in self._begun)
            return (GapCause.DELETED if deleted else GapCause.NOT_PLANNED), ""
        if self._begun:
            gap = self._begun[0][2]
            return gap.cause, gap.detail
        return GapCause.UNKNOWN, ""


def _ends_before(gap: Gap, moment: int) -> bool:
    return gap.end_us is not None and gap.end_us <= moment


def check_range(span: Span, longest_us: int = LONGEST_US) -> Span:
    """The span, if it can be asked for. Raises Invalid."""
    check_micros(span.start, "from")
    check_micros(span.end, "to")
    if span.end <= span.start:
        raise Invalid("the range is empty", "`to` must be after `from`")
    if span.micros > longest_us:
        raise Invalid(f"the range is longer than {longest_us // 3_600_000_000} hours", "ask for less at once")
    return span


class Timeline:
    """Answers for the time axis and the calendar. Who may ask is decided before."""

    def __init__(
        self, *, index: SegmentIndex, plans: Plans, clock: Clock, growing: GrowingOf, marks: Marks | None = None
    ) -> None:
        self._index = index
        self._plans = plans
        self._clock = clock
        self._growing = growing
        self._marks = marks

    async def of(self, points: Sequence[PointId], span: Span, *, pixels: int = DEFAULT_PIXELS) -> Axes:
        """Spans, gaps, events and holds of 1 to 16 points over at most 31 days.

        pixels: width of the axis; what would be narrower than one of them is not told apart. Raises Invalid.
        """
        check_range(span)
        if not 1 <= len(set(points)) <= MOST_POINTS:
            raise Invalid(f"{len(set(points))} points at once", f"1 to {MOST_POINTS}")
        if not 100 <= pixels <= 20_000:
            raise Invalid(f"an axis of {pixels} pixels", "100 to 20000")
        points = list(dict.fromkeys(points))
        resolution = max(span.micros // pixels, 1000)
        now = self._clock.micros()
        stored = await self._index.spans(points, span)
        gaps = await self._index.gaps(points, span, limit=MOST_GAPS)
        plans = await self._plans.of(points, span)
        events = await self._marks.events(points, span) if self._marks else {}
        holds = await self._marks.holds(points, span) if self._marks else {}
        axes = []
        for point in points:
            spans, until, growing = self._with_growing(point, stored[point], span, now, resolution)
            causes: list[Missing] = []
            if until > span.start:
                past = Span(span.start, min(until, span.end))
                missing = complement(spans, past)
                causes = explain(
                    missing,
                    planned(plans[point], past),
                    gaps[point],
                    awaits=waiting(plans[point], past),
                    finest_us=resolution,
                    notice_us=NOTICE_US,
                )
            axes.append(
                Axis(
                    point=point,
                    spans=spans,
                    gaps=causes,
                    events=events.get(point, ()),
                    holds=holds.get(point, ()),
                    growing=growing,
                    causes_cut=len(gaps[point]) == MOST_GAPS,
                    events_cut=len(events.get(point, ())) >= MOST_EVENTS,
                )
            )
        return Axes(span=span, resolution_us=resolution, until_us=min(now, span.end), points=axes)

    def _with_growing(
        self, point: PointId, stored: Sequence[Span], span: Span, now: int, resolution: int
    ) -> tuple[list[Span], int, bool]:
        """(recorded spans, the moment up to which something could have been recorded, whether it still is)."""
        listed = self._growing(point)
        growing = [one.segment for one in listed]
        pieces = [(one.start, one.end) for one in stored]
        pieces += [(max(one.start_us, span.start), min(one.end_us, span.end)) for one in growing]
        spans = [
            Span(start, end) for start, end in join((pair for pair in pieces if pair[1] > pair[0]), within=resolution)
        ]
        newest = max((one.end_us for one in growing), default=0)
        until = newest if now - SETTLE_US < newest < now else now
        return spans, until, any(one.is_open for one in listed)

    async def missing(self, point: PointId, span: Span) -> Sequence[Missing]:
        """What is missing in a range up to now, with causes, to the second."""
        pixels = max(100, min(20_000, span.micros // 1_000_000))
        return (await self.of([point], span, pixels=pixels)).points[0].gaps

    async def calendar(self, point: PointId, month: str) -> list[Day]:
        """The days of a month with what is recorded and what should be, in seconds. Raises Invalid."""
        span = month_span(month)
        now = self._clock.micros()
        stored = await self._index.spans([point], span)
        spans, _, _ = self._with_growing(point, stored[point], span, now, 0)
        wanted = planned(
            (await self._plans.of([point], span))[point], Span(span.start, max(span.start, min(span.end, now)))
        )
        days = []
        start = span.start
        while start < span.end:
            day = Span(start, start + 86_400_000_000)
            days.append(
                Day(
                    date=civil_day(from_micros(start)).isoformat(),
                    recorded_s=_within(spans, day) // 1_000_000,
                    planned_s=_within(wanted, day) // 1_000_000,
                )
            )
            start = day.end
        return days


def _within(spans: Sequence[Span], day: Span) -> int:
    parts = (one.overlap(day) for one in spans)
    return sum(part.micros for part in parts if part is not None)
