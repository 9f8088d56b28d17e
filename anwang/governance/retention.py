"""Retention: what must be kept is kept, what has served its purpose is deleted, and each deletion leaves a proof.

Regulation 799 art. 17 (国务院令第799号): at least 30 days, then deleted. Classes have maxima of their own; a hold
overrides both until it is released. Slices that keep content are `Keeper`s: they name what has expired and delete it;
the engine decides, writes, and never lets one keeper's failure stop another.

Order of a deletion: ledger row "deleting" (durable) → the keeper deletes → proof in the state database → ledger row
"deleted". A crash in between leaves a "deleting" without "deleted"; the keeper finds the rest again in the next run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec.structs import replace

from anwang.governance import store
from anwang.governance.ledger import Entry, Ledger
from anwang.governance.looks import actor_entry
from anwang.governance.model import Action, Actor, Object, Page, decide, scope_of
from anwang.kernel.errors import Invalid, NotFound, Unavailable
from anwang.kernel.ids import PointId, uuid7
from anwang.kernel.times import Span, from_micros, rfc3339, to_micros
from anwang.runtime import logs
from anwang.runtime import settings as runtime_settings
from anwang.runtime.clock import Clock
from anwang.stores.state import State

log = logs.get(__name__)

BATCH = 500
STEP = 20
"""Batches of one keeper before another has its turn."""
TURN_SECONDS = 3600.0
RETRY_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How long content of one class is kept: never less than minimum, never more than maximum (without a hold)."""

    minimum: timedelta
    maximum: timedelta


@dataclass(frozen=True, slots=True)
class Rules:
    """The rule of each point class; classes without one follow class 3."""

    by_class: Mapping[int, Rule]

    @classmethod
    def of(cls, wanted: runtime_settings.Retention) -> Rules:
        """From the settings. Raises Invalid where a class would be kept shorter than the minimum."""
        minimum = timedelta(days=wanted.minimum_days)
        days = {1: wanted.class_1_days, 2: wanted.class_2_days, 3: wanted.class_3_days}
        for number, most in days.items():
            if most < wanted.minimum_days:
                raise Invalid(
                    f"retention.class_{number}_days is {most}, but nothing may be deleted before "
                    f"{wanted.minimum_days} days",
                    "raise it, or lower retention.minimum_days where the law lets you",
                )
        return cls({number: Rule(minimum=minimum, maximum=timedelta(days=most)) for number, most in days.items()})

    def rule(self, point_class: int) -> Rule:
        """The rule of a class."""
        return self.by_class.get(point_class, self.by_class[3])

    def expires_before(self, point_class: int, now: datetime) -> datetime:
        """Content of the class that ended before this has expired."""
        rule = self.rule(point_class)
        return now - max(rule.minimum, rule.maximum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expirable:
    """One object that may be deleted. id: the keeper's own. span: what it covers. point: None where it has no point."""

    id: str
    point: PointId | None
    point_class: int
    span: Span
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What a keeper did delete: count, bytes, and the ids of the objects that are gone."""

    count: int
    bytes: int
    ids: Sequence[str]


class Keeper(Protocol):
    """A slice that keeps content; fulfilled outside governance, registered by `app`.

    `expired` yields what ended before `Rules.expires_before` of its class, oldest first, and may yield more: the engine
    checks again. The same object is yielded until it is deleted.
    """

    name: str

    async def expired(self, now: datetime, limit: int, after: Expirable | None) -> Sequence[Expirable]:
        """At most `limit` objects that have expired, oldest first; after: the last one of the batch before."""

    async def delete(self, items: Sequence[Expirable]) -> Deleted:
        """Delete them, object and index; those already gone count as deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Content of a point that must not be deleted, whatever its age. review_at: someone must look at it by then."""

    id: str
    point: PointId
    org_path: str
    start_at: datetime
    end_at: datetime
    owner_id: str
    reason: str
    review_at: datetime
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class Run:
    """What one run did, by keeper: objects and bytes deleted; held back by a hold or because they are too young.

    behind: keepers that are not through yet.
    """

    deleted: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    behind: list[str] = field(default_factory=list)


class Retention:
    """The engine and its holds."""

    def __init__(self, *, state: State, ledger: Ledger, clock: Clock, rules: Rules) -> None:
        self.last = Run()
        """The run that goes on, or the last one."""
        self.deleted = self.deleted_bytes = self.failures = 0
        """Objects and bytes deleted, and runs in which something failed, since the start."""
        self._state = state
        self._ledger = ledger
        self._clock = clock
        self.rules = rules
        self._keepers: dict[str, Keeper] = {}

    def register(self, keeper: Keeper) -> None:
        """Add a keeper. Raises Invalid for a name that is taken."""
        if keeper.name in self._keepers:
            raise Invalid(f"two keepers are called {keeper.name!r}")
        self._keepers[keeper.name] = keeper

    async def run(self) -> None:
        """Run after run until cancelled: now, then every hour; sooner after trouble."""
        while True:
            try:
                await self.run_once()
            except Exception as err:  # the next run tries again
                self.last.failed["retention"] = str(err)
                log.error("retention failed", error=str(err))
            self.failures += bool(self.last.failed)
            await self._clock.sleep(RETRY_SECONDS if self.last.failed else TURN_SECONDS)

    async def run_once(self, now: datetime | None = None) -> Run:
        """Delete all that has expired, keeper by keeper in turns of STEP batches. now: for tests; else the clock's."""
        moment = self._clock.now() if now is None else now
        run = self.last = Run()
        places: dict[str, Expirable | None] = dict.fromkeys(self._keepers)
        while places:
            run.behind = sorted(places)
            for name, after in list(places.items()):
                place = await self._try_step(self._keepers[name], moment, run, after)
                if place is None:
                    del places[name]
                else:
                    places[name] = place
        run.behind = []
        return run

    async def _try_step(self, keeper: Keeper, now: datetime, run: Run, after: Expirable | None) -> Expirable | None:
        try:
            return await self._step(keeper, now, run, after)
        except Exception as err:  # one keeper's trouble is not the others'
            run.failed[keeper.name] = str(err)
            log.error("retention failed", keeper=keeper.name, error=str(err))
            return None

    async def _step(self, keeper: Keeper, now: datetime, run: Run, after: Expirable | None) -> Expirable | None:
        """At most STEP batches of what comes after this one; the last one seen, None when all have been."""
        for _ in range(STEP):
            candidates = await keeper.expired(now, BATCH, after)
            due, kept = await self._divide(candidates, now)
            run.held[keeper.name] = run.held.get(keeper.name, 0) + len(kept)
            if due:
                gone = await self._delete(keeper, due, now)
                run.deleted[keeper.name] = run.deleted.get(keeper.name, 0) + gone.count
                run.bytes[keeper.name] = run.bytes.get(keeper.name, 0) + gone.bytes
                self.deleted += gone.count
                self.deleted_bytes += gone.bytes
                if not gone.count:
                    raise Unavailable(f"{keeper.name} deleted nothing of what has expired")
            if len(candidates) < BATCH:
                return None
            after = candidates[-1]
        return after

    async def _divide(self, items: Sequence[Expirable], now: datetime) -> tuple[list[Expirable], list[Expirable]]:
        """What may go, and what is held or too young."""
        points = sorted({item.point for item in items if item.point is not None})
        async with self._state.read() as tx:
            held = await store.held_spans(tx, points)
        spans: dict[PointId, list[Span]] = {}
        for point, start, end in held:
            spans.setdefault(point, []).append(Span(to_micros(start), to_micros(end)))
        due: list[Expirable] = []
        kept: list[Expirable] = []
        for item in items:
            limit = to_micros(self.rules.expires_before(item.point_class, now))
            holding = spans.get(item.point, []) if item.point is not None else []
            is_held = any(span.start < item.span.end and item.span.start < span.end for span in holding)
            (kept if is_held or item.span.end > limit else due).append(item)
        return due, kept

    async def _delete(self, keeper: Keeper, items: Sequence[Expirable], now: datetime) -> Deleted:
        ids = [item.id for item in items]
        about = Entry(
            kind="deleting",
            name="anwang",
            action=f"retention {keeper.name}",
            objects=tuple(sorted({item.point for item in items if item.point is not None}))[:1000],
        )
        span = Span(min(item.span.start for item in items), max(item.span.end for item in items))
        covered = f"{rfc3339(from_micros(span.start))}/{rfc3339(from_micros(span.end))}"
        planned = sum(item.bytes for item in items)
        await self._ledger.append(
            replace(about, count=len(items), bytes=planned, detail=f"{covered} ids {digest(ids)}")
        )
        gone = await keeper.delete(items)
        proof = digest(gone.ids)
        if gone.count:
            async with self._state.begin() as tx:
                await store.add_deletion(
                    tx,
                    id=uuid7(self._clock.micros() // 1000),
                    keeper=keeper.name,
                    at=now,
                    count=gone.count,
                    bytes=gone.bytes,
                    first_at=from_micros(span.start),
                    last_at=from_micros(span.end),
                    ids=list(gone.ids),
                    digest=proof,
                )
        await self._ledger.append(
            replace(about, kind="deleted", count=gone.count, bytes=gone.bytes, detail=f"{covered} ids {proof}")
        )
        return gone

    async def hold(
        self, actor: Actor, point: Object, *, start_at: datetime, end_at: datetime, reason: str, review_at: datetime
    ) -> Hold:
        """Keep [start_at, end_at) of a point, whatever its age. Raises NotFound, Denied, Invalid, Unavailable."""
        decide(actor, Action.HOLD, org_path=point.org_path).enforce()
        now = self._clock.now()
        if end_at <= start_at:
            raise Invalid("a hold ends after it starts")
        if not 3 <= len(reason.strip()) <= 500:
            raise Invalid("a hold needs a reason of 3 to 500 characters", "say for which case it is kept")
        if not now < review_at <= now + timedelta(days=366):
            raise Invalid("a hold is reviewed within a year", "choose a date after today and before then")
        made = Hold(
            id=uuid7(self._clock.micros() // 1000),
            point=PointId(point.id),
            org_path=point.org_path,
            start_at=start_at,
            end_at=end_at,
            owner_id=actor.user_id,
            reason=reason.strip(),
            review_at=review_at,
            created_at=now,
        )
        async with self._state.begin() as tx:
            await store.add_hold(
                tx,
                id=made.id,
                point_id=made.point,
                org_path=made.org_path,
                start_at=made.start_at,
                end_at=made.end_at,
                owner_id=made.owner_id,
                reason=made.reason,
                review_at=made.review_at,
                created_at=made.created_at,
            )
            await self._note(actor, made.point, f"hold {made.id} {rfc3339(start_at)}/{rfc3339(end_at)}: {made.reason}")
        return made

    async def release(self, actor: Actor, hold_id: str) -> None:
        """End a hold; retention may delete what has expired. Raises Denied, NotFound, Unavailable."""
        scope = scope_of(actor, Action.HOLD)
        async with self._state.begin() as tx:
            done = await store.release_hold(tx, hold_id, seen_by=scope, now=self._clock.now(), by=actor.user_id)
            if not done:
                raise NotFound("there is no such hold", "it may have been released")
            await self._note(actor, hold_id, f"hold {hold_id} released")

    async def holds(
        self, actor: Actor, *, point: PointId | None = None, cursor: str = "", limit: int = 50
    ) -> Page[Hold]:
        """Holds within the actor's scope, oldest first. Raises Denied."""
        scope = scope_of(actor, Action.READ_TIMELINE)
        async with self._state.read() as tx:
            rows = await store.holds_page(tx, seen_by=scope, point_id=point, after=cursor, limit=limit + 1)
        found = [_hold(row) for row in rows]
        return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)

    async def held(self, points: Sequence[PointId], span: Span) -> dict[PointId, list[Hold]]:
        """What is held of these points and reaches into the span, for those who may see the points."""
        start, end = from_micros(span.start), from_micros(span.end)
        async with self._state.read() as tx:
            rows = await store.holds_within(tx, points, start_at=start, end_at=end)
        found: dict[PointId, list[Hold]] = {point: [] for point in points}
        for row in rows:
            found[PointId(row["point_id"])].append(_hold(row))
        return found

    async def _note(self, actor: Actor, object_id: str, detail: str) -> None:
        await self._ledger.append(
            actor_entry(actor, "changed", action=Action.HOLD.value, objects=(object_id,), detail=detail)
        )


def _hold(row: Mapping[str, Any]) -> Hold:
    return Hold(
        id=row["id"],
        point=PointId(row["point_id"]),
        org_path=row["org_path"],
        start_at=row["start_at"],
        end_at=row["end_at"],
        owner_id=row["owner_id"],
        reason=row["reason"],
        review_at=row["review_at"],
        created_at=row["created_at"],
    )


def digest(ids: Iterable[str]) -> str:
    """SHA-256 over sorted ids, one a line: what ledger and proof have in common."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()
