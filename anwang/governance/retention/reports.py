"""The daily proof that retention does what its rules say (G10): what is kept too long or too short, and why.

A civil day's report is made once, after the day has ended, from what the keepers have then; its digest goes into the
ledger, so that nobody can make it better afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta

from anwang.governance import store as accounts
from anwang.governance.actions import Action
from anwang.governance.ledger import Entry, Ledger
from anwang.governance.model import Actor, Page, scope_of
from anwang.governance.retention import store
from anwang.governance.retention.model import Expirable, Finding, FindingKind, Hold, Keeper, Proof, Report
from anwang.governance.retention.service import BATCH, Retention
from anwang.governance.scopes import CITY_PATH, EVERYTHING, Object, Owned
from anwang.kernel.errors import NotFound
from anwang.kernel.ids import PointId, uuid7
from anwang.kernel.times import BEIJING, Span, civil_day, from_micros, to_micros
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.stores.state import State

log = logs.get(__name__)

TURN_SECONDS = 3600.0
MOST_FINDINGS = 20_000
KEPT = timedelta(days=3 * 366)
"""As long as the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A report as its reader may see it. counts: findings by kind. deleted, deleted_bytes: on that day."""

    report: Report
    counts: Mapping[FindingKind, int]
    deleted: int
    deleted_bytes: int


@dataclass(slots=True)
class _Sum:
    """What the objects of one point have in common."""

    kind: FindingKind
    point: PointId | None
    point_class: int
    why: str
    since_us: int
    count: int = 0
    bytes: int = 0


@dataclass(slots=True, kw_only=True)
class Reports:
    """Use cases on daily reports."""

    state: State
    ledger: Ledger
    clock: Clock
    retention: Retention
    owned: Owned
    failures: int = field(default=0, init=False)
    """Turns since the start that could make no report."""

    async def run(self) -> None:
        """Make each day's report after its end, until cancelled."""
        while True:
            try:
                await self.turn()
            except Exception as err:  # the next turn tries again
                self.failures += 1
                log.error("the daily report of retention failed", error=str(err))
            await self.clock.sleep(TURN_SECONDS)

    async def turn(self) -> Report | None:
        """Make yesterday's report where there is none, and forget what is too old. The report that was made.

        None of a day before there was an account: nothing was kept here then.
        """
        yesterday = civil_day(self.clock.now()) - timedelta(days=1)
        async with self.state.read() as tx:
            begun = await accounts.first_account_at(tx)
            if begun is None or civil_day(begun) > yesterday or await store.has_report(tx, yesterday):
                return None
        made = await self.make(yesterday)
        async with self.state.begin() as tx:
            await store.forget_reports(tx, yesterday - KEPT)
        return made

    async def make(self, day: date) -> Report:
        """Look at all that is kept, write down what is wrong, and put the digest into the ledger."""
        now = self.clock.now()
        sums: list[tuple[str, _Sum]] = []
        for name, keeper in self.retention.keepers.items():
            sums += [(name, one) for one in await self._long(keeper, now)]
            sums += [(name, one) for one in await self._short(keeper, now)]
        listed, left_out = sums[:MOST_FINDINGS], max(0, len(sums) - MOST_FINDINGS)
        found = [*await self._deleted(day), *await self._named(listed)]
        report = Report(day=day, made_at=now, failed=dict(self.retention.last.failed), left_out=left_out, digest="")
        report = replace(report, digest=digest(report, found))
        async with self.state.begin() as tx:
            await store.add_report(tx, report, found)
            await self.ledger.append(
                Entry(
                    kind="proof",
                    name="anwang",
                    action="retention report",
                    count=len(found),
                    detail=f"{day} digest {report.digest}",
                )
            )
        return report

    async def page(self, actor: Actor, *, cursor: str, limit: int) -> Page[Summary]:
        """Reports, latest first, with the numbers of the actor's scope. Raises Denied."""
        scope = scope_of(actor, Action.READ_DUTIES)
        async with self.state.read() as tx:
            found = Page.cut(
                await store.reports_page(tx, before=cursor, limit=limit + 1), limit, lambda one: one.day.isoformat()
            )
            counted = await store.counts(tx, [one.day for one in found.items], seen_by=scope)
            deleted = {one.day: await store.deleted_on(tx, hours(one.day), seen_by=scope) for one in found.items}
        items = [
            Summary(report=one, counts=counted[one.day], deleted=deleted[one.day][0], deleted_bytes=deleted[one.day][1])
            for one in found.items
        ]
        return Page(items, found.next)

    async def findings(
        self, actor: Actor, day: date, *, kind: FindingKind | None, cursor: str, limit: int
    ) -> Page[Finding]:
        """What a day's report found in the actor's scope. Raises Denied, NotFound."""
        scope = scope_of(actor, Action.READ_DUTIES)
        async with self.state.read() as tx:
            if not await store.has_report(tx, day):
                raise NotFound("there is no report of that day", "a day's report is made after its end")
            found = await store.findings_page(tx, day, kind=kind, seen_by=scope, after=cursor, limit=limit + 1)
        return Page.cut(found, limit, lambda one: one.id)

    async def check(self, day: date) -> bool:
        """Whether a report is what it was when its digest was written. Raises NotFound."""
        async with self.state.read() as tx:
            report = await store.report(tx, day)
            if report is None:
                raise NotFound("there is no report of that day", "a day's report is made after its end")
            found = await store.findings_page(tx, day, kind=None, seen_by=EVERYTHING, after="", limit=MOST_FINDINGS * 2)
        return digest(report, found) == report.digest

    async def _long(self, keeper: Keeper, now: datetime) -> list[_Sum]:
        """What is past its maximum."""
        sums: dict[tuple[FindingKind, PointId | None, str], _Sum] = {}
        after: Expirable | None = None
        while True:
            found = await keeper.expired(now, BATCH, after)
            late, kept = await self.retention.divide(found, now)
            holding = await self._holds(kept)
            why = self.retention.last.failed.get(keeper.name, "its turn has not come")
            for item in late:
                _add(sums, FindingKind.LATE, item, why)
            for item in kept:
                reasons = [one for one in holding.get(item.point, ()) if _touches(one, item)] if item.point else []
                is_past = item.span.end <= to_micros(
                    self.retention.rules.expires_before(item.point_class, now, item.point)
                )
                if reasons and is_past:
                    _add(sums, FindingKind.HELD, item, _held(reasons[0]))
            if len(found) < BATCH:
                return list(sums.values())
            after = found[-1]

    async def _holds(self, items: Sequence[Expirable]) -> Mapping[PointId, Sequence[Hold]]:
        points = sorted({item.point for item in items if item.point is not None})
        if not points:
            return {}
        span = Span(min(item.span.start for item in items), max(item.span.end for item in items))
        async with self.state.read() as tx:
            rows = await store.holds_within(tx, points, start_at=from_micros(span.start), end_at=from_micros(span.end))
        found: dict[PointId, list[Hold]] = {}
        for row in rows:
            found.setdefault(PointId(row["point_id"]), []).append(store.hold(row))
        return found

    async def _short(self, keeper: Keeper, now: datetime) -> list[_Sum]:
        """What reaches back less far than it must."""
        sums: list[_Sum] = []
        after: PointId | None = None
        while True:
            found, after = await keeper.short(now, BATCH, after)
            sums += [_Sum(FindingKind.SHORT, one.point, one.point_class, one.why, one.since_us) for one in found]
            if after is None:
                return sums

    async def _deleted(self, day: date) -> list[Finding]:
        """What persons deleted on the day, and what went before the minimum."""
        start, end = hours(day)
        async with self.state.read() as tx:
            found = await store.odd_proofs(
                tx,
                start_at=start,
                end_at=end,
                minimum=self.retention.rules.longest,
                copies=self.retention.copies,
                limit=MOST_FINDINGS,
            )
        return [self._of_proof(one) for one in found if one.by or self._is_early(one)]

    def _is_early(self, proof: Proof) -> bool:
        """Where a deletion was of several units, by what was promised for all of them."""
        rules = self.retention.rules
        return proof.last_at > proof.at - rules.least(rules.minimum, proof.org_path)

    def _of_proof(self, proof: Proof) -> Finding:
        return Finding(
            id=uuid7(self.clock.micros() // 1000),
            kind=FindingKind.EARLY if self._is_early(proof) else FindingKind.BY_HAND,
            keeper=proof.keeper,
            point=None,
            org_path=proof.org_path,
            point_class=0,
            count=proof.count,
            bytes=proof.bytes,
            since=proof.first_at,
            why=f"{proof.by}, {proof.second}: {proof.why}" if proof.by else f"proof {proof.id}",
        )

    async def _named(self, sums: Sequence[tuple[str, _Sum]]) -> list[Finding]:
        """With the organisations that the points have today."""
        places: dict[PointId, Object] = {}
        points = sorted({one.point for _, one in sums if one.point is not None})
        for at in range(0, len(points), BATCH):
            places |= await self.owned(points[at : at + BATCH])
        return [
            Finding(
                id=uuid7(self.clock.micros() // 1000),
                kind=one.kind,
                keeper=keeper,
                point=one.point,
                org_path=places[one.point].org_path if one.point in places else CITY_PATH,
                point_class=one.point_class,
                count=one.count,
                bytes=one.bytes,
                since=from_micros(one.since_us),
                why=one.why,
            )
            for keeper, one in sums
        ]


def hours(day: date) -> tuple[datetime, datetime]:
    """A civil day's beginning and end."""
    start = datetime.combine(day, time(), BEIJING)
    return start, start + timedelta(days=1)


def digest(report: Report, found: Sequence[Finding]) -> str:
    """SHA-256 over all that a report says."""
    head = [report.day.isoformat(), to_micros(report.made_at), sorted(report.failed.items()), report.left_out]
    rows = sorted(
        [
            one.id, one.kind.value, one.keeper, one.point or "", one.org_path, one.point_class, one.count, one.bytes,
            to_micros(one.since), one.why,
        ]
        for one in found
    )  # fmt: skip
    return hashlib.sha256(json.dumps([head, rows], ensure_ascii=False).encode()).hexdigest()


def _touches(hold: Hold, item: Expirable) -> bool:
    return to_micros(hold.start_at) < item.span.end and item.span.start < to_micros(hold.end_at)


def _held(hold: Hold) -> str:
    """Who holds it, why, and the day by which somebody must look at it again."""
    return f"{hold.owner_name}: {hold.reason} ({civil_day(hold.review_at)})"


def _add(
    sums: dict[tuple[FindingKind, PointId | None, str], _Sum], kind: FindingKind, item: Expirable, why: str
) -> None:
    one = sums.setdefault((kind, item.point, why), _Sum(kind, item.point, item.point_class, why, item.span.start))
    one.count += 1
    one.bytes += item.bytes
    one.since_us = min(one.since_us, item.span.start)
