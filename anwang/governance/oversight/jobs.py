"""The pass over the ledger's copy that finds anomalies (domain.md G22).

A window is judged once it is over and its rows have had a quarter of an hour to arrive. How far each chain was gone
through is kept in the state database together with what was found, in one transaction, so that no row is passed over
while the platform or the series store is down and none counts twice: the next pass takes up where the last one ended.
The very first pass looks FIRST_DAYS back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TypeVar

from anwang.governance.oversight import counts, store
from anwang.governance.oversight.counts import Mark, News, Proof
from anwang.governance.oversight.model import (
    DAY_US,
    HOUR_US,
    Anomaly,
    AnomalyId,
    AnomalyRule,
    Suspect,
    Window,
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
from anwang.governance.scopes import CITY_PATH, Hours
from anwang.kernel.ids import UserId, uuid7
from anwang.kernel.times import from_micros, to_micros
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.runtime.settings import Oversight as Bounds
from anwang.stores.series import Series
from anwang.stores.state import State

log = logs.get(__name__)
T = TypeVar("T")

SETTLE_US = 15 * 60_000_000
FIRST_DAYS = 30
MOST = 500
"""Accounts or findings that one question is about."""


class Pace(StrEnum):
    """How long the windows of a rule are."""

    HOUR = "hour"
    DAY = "day"


LENGTH = {Pace.HOUR: HOUR_US, Pace.DAY: DAY_US}


class Watch:
    """Finds anomalies; call `turn` now and then."""

    def __init__(self, *, state: State, series: Series, clock: Clock, bounds: Bounds) -> None:
        self._state = state
        self._series = series
        self._clock = clock
        self._bounds = bounds
        self.found = 0
        """Since the start."""
        self.open = 0
        """That waited for an auditor when last counted."""

    async def turn(self) -> int:
        """One pass; how many were found. Raises Unavailable while the series store is away: the next one catches up."""
        found = sum([await self._pass(pace) for pace in Pace])
        self.found += found
        await self.count()
        return found

    async def count(self) -> None:
        """Count anew what waits for an auditor."""
        async with self._state.read() as tx:
            self.open = await store.count_open(tx)

    async def _pass(self, pace: Pace) -> int:
        now = self._clock.micros()
        until = start_of_window(now - SETTLE_US, LENGTH[pace])
        async with self._state.read() as tx:
            marks = {chain: Mark(*mark) for chain, mark in (await store.marks(tx, pace)).items()}
        new = await counts.news(self._series, marks, first=until - FIRST_DAYS * DAY_US, until=until)
        if new is None:
            return 0
        suspects = await (self._hourly(new) if pace is Pace.HOUR else self._daily(new))
        anomalies = await self._told(suspects)
        async with self._state.begin() as tx:
            before = await store.count_open(tx)
            await store.add(tx, anomalies)
            found = await store.count_open(tx) - before
            await store.put_marks(tx, pace, {chain: (mark.seq, mark.at) for chain, mark in new.ends.items()})
        if found:
            log.info("anomalies were found in the ledger", pace=pace.value, found=found)
        return found

    async def _hourly(self, new: News) -> list[Suspect]:
        touched = await counts.windows(self._series, new, HOUR_US)
        if not touched:
            return []
        bounds = self._bounds
        least = min(bounds.usual_looks, bounds.looks_an_hour)
        many = await counts.by_hour(self._series, AnomalyRule.BURST, new, touched, least)
        before = await counts.hours_before(self._series, [(user, start) for user, start, _ in many])
        suspects = []
        for user, start, count in many:
            usual = usual_of(before.get((user, start), []))
            bound = burst_bound(usual, bounds)
            if count > bound:
                suspects.append(_hour(AnomalyRule.BURST, user, start, count, bound, usual))
        for rule, bound in (
            (AnomalyRule.SEARCHES, bounds.searches_an_hour),
            (AnomalyRule.REFUSED, bounds.refusals_an_hour),
        ):
            for user, start, count in await counts.by_hour(self._series, rule, new, touched, bound):
                suspects.append(_hour(rule, user, start, count, bound))
        return suspects

    async def _daily(self, new: News) -> list[Suspect]:
        touched = await counts.windows(self._series, new, DAY_US)
        if not touched:
            return []
        found = [each for day in touched for each in await self._off_hours(day)]
        return found + await self._repeated(touched)

    async def _off_hours(self, day: int) -> list[Suspect]:
        least = self._bounds.off_hours_looks
        slots = await counts.by_slot(self._series, day, least)
        now = self._clock.now()
        plain = self._off_duty(day, ())
        found = []
        for ids in _batches(sorted(slots)):
            async with self._state.read() as tx:
                known = await store.hours_of(tx, ids, now)
                programs = await store.programs(tx, ids)
            for user in ids:
                window = self._off_duty(day, known[user]) if user in known else plain
                count = within(slots[user], window.spans)
                if user not in programs and count >= least:
                    found.append(Suspect(window=window, user=user, count=count, bound=least))
        return found

    def _off_duty(self, day: int, hours: Sequence[Hours]) -> Window:
        return Window(
            rule=AnomalyRule.OFF_HOURS,
            start=start_of_day(day),
            end=start_of_day(day + 1),
            spans=off_duty(day, duty_of(hours, self._bounds)),
        )

    async def _repeated(self, days: Sequence[int]) -> list[Suspect]:
        bounds = self._bounds
        since = from_micros(start_of_day(days[0] - bounds.repeat_days))
        async with self._state.read() as tx:
            told = await store.ends_of_repeats(tx, since)
        found: list[Suspect] = []
        pairs = await counts.by_day(
            self._series, days, length=bounds.repeat_days, least=bounds.repeats, live=bounds.repeat_live
        )
        for (user, point), cases in sorted(pairs.items()):
            last = told.get((user, point))
            after = -1 if last is None else day_of(to_micros(last) - 1)
            found += [
                Suspect(
                    window=Window(
                        rule=AnomalyRule.REPEATED, start=start_of_day(each.first), end=start_of_day(each.last + 1)
                    ),
                    user=user,
                    count=each.days,
                    bound=bounds.repeats,
                    subject=point,
                )
                for each in repeats(cases, after=after, bounds=bounds)
            ]
        programs: set[str] = set()
        for ids in _batches(sorted({each.user for each in found})):
            async with self._state.read() as tx:
                programs |= await store.programs(tx, ids)
        return [each for each in found if each.user not in programs]

    async def _told(self, suspects: Sequence[Suspect]) -> list[Anomaly]:
        """With their rows."""
        by: dict[Window, list[Suspect]] = {}
        for each in suspects:
            by.setdefault(each.window, []).append(each)
        told: list[Anomaly] = []
        for window, found in by.items():
            for some in _batches(found):
                proofs = await counts.proofs(self._series, window, some, live=self._bounds.repeat_live)
                told += [self._anomaly(each, proof) for each, proof in proofs.items()]
        return told

    def _anomaly(self, one: Suspect, proof: Proof) -> Anomaly:
        return Anomaly(
            id=AnomalyId(uuid7(self._clock.micros() // 1000)),
            rule=one.window.rule,
            user_id=UserId(one.user),
            username=proof.name,
            unit=proof.unit,
            org_path=proof.org or CITY_PATH,
            subject=one.subject,
            start=from_micros(one.window.start),
            end=from_micros(one.window.end),
            count=one.count,
            bound=one.bound,
            usual=one.usual,
            evidence=proof.evidence,
            found_at=self._clock.now(),
        )


def _hour(rule: AnomalyRule, user: str, start: int, count: int, bound: int, usual: float | None = None) -> Suspect:
    window = Window(rule=rule, start=start, end=start + HOUR_US)
    return Suspect(window=window, user=user, count=count, bound=bound, usual=usual)


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for begin in range(0, len(items), MOST):
        yield items[begin : begin + MOST]
