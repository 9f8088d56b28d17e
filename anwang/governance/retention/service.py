"""Retention: what must be kept is kept, what has served its purpose is deleted, and each deletion leaves a proof.

Regulation 799 art. 17 (国务院令第799号): at least 30 days, then deleted. Classes have maxima of their own; a hold
overrides both until it is released. Slices that keep content are `Keeper`s: they name what has expired and delete it;
the engine decides, writes, and never lets one keeper's failure stop another. A person may delete what has served its
purpose before its maximum, with a second person's yes, and never before the minimum.

Order of a deletion: ledger row "deleting" (durable) → the keeper deletes → proof in the state database → ledger row
"deleted". A crash in between leaves a "deleting" without "deleted"; the keeper finds the rest again in the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec.structs import replace

from anwang.governance.actions import Action
from anwang.governance.duties import store as duties
from anwang.governance.ledger import Entry, Ledger
from anwang.governance.looks import actor_entry
from anwang.governance.model import Actor, Page, scope_of
from anwang.governance.retention import store
from anwang.governance.retention.model import Deleted, Expirable, Gone, Keeper, Proof, Rules, digest
from anwang.governance.scopes import Object, Owned, above
from anwang.kernel.errors import Invalid, NotFound, Unavailable
from anwang.kernel.ids import PointId, uuid7
from anwang.kernel.times import Span, from_micros, rfc3339, to_micros
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.stores.state import State

log = logs.get(__name__)

BATCH = 500
STEP = 20
"""Batches of one keeper before another has its turn."""
TURN_SECONDS = 3600.0
RETRY_SECONDS = 300.0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Who deletes before the time (None: nobody, it is time), who agreed, with which approval, and why."""

    actor: Actor | None
    second: str
    approval: str
    why: str

    @property
    def by(self) -> str:
        """User name, "" for nobody."""
        return "" if self.actor is None else self.actor.username


BY_RULE = Sign(actor=None, second="", approval="", why="")


@dataclass(slots=True, kw_only=True)
class Early:
    """What a person's deletion did. held: objects that a hold keeps. reaching: objects that reach beyond the span."""

    count: int = 0
    bytes: int = 0
    held: int = 0
    reaching: int = 0
    proofs: list[str] = field(default_factory=list)


class Retention:
    """The engine."""

    def __init__(self, *, state: State, ledger: Ledger, clock: Clock, rules: Rules, owned: Owned) -> None:
        self.last = Run()
        """The run that goes on, or the last one."""
        self.deleted = self.deleted_bytes = self.failures = 0
        """Objects and bytes deleted, and runs in which something failed, since the start."""
        self._state = state
        self._ledger = ledger
        self._clock = clock
        self._owned = owned
        self.rules = rules
        self.keepers: dict[str, Keeper] = {}
        self.copies: set[str] = set()
        """Keepers of copies, by name."""

    def register(self, keeper: Keeper, *, keeps_copies: bool = False) -> None:
        """Add a keeper. keeps_copies: no minimum holds for what it keeps. Raises Invalid for a name that is taken."""
        if keeper.name in self.keepers:
            raise Invalid(f"two keepers are called {keeper.name!r}")
        self.keepers[keeper.name] = keeper
        if keeps_copies:
            self.copies.add(keeper.name)

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
        await self.renew_promises()
        run = self.last = Run()
        places: dict[str, Expirable | None] = dict.fromkeys(self.keepers)
        while places:
            run.behind = sorted(places)
            for name, after in list(places.items()):
                place = await self._try_step(self.keepers[name], moment, run, after)
                if place is None:
                    del places[name]
                else:
                    places[name] = place
        run.behind = []
        return run

    async def renew_promises(self) -> None:
        """Know what video systems have promised."""
        async with self._state.read() as tx:
            promised = await duties.promised_days(tx)
        self.rules.promised.clear()
        self.rules.promised.update({path: timedelta(days=days) for path, days in promised.items()})

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
            due, kept = await self.divide(candidates, now)
            run.held[keeper.name] = run.held.get(keeper.name, 0) + len(kept)
            if due:
                gone, _ = await self._delete(keeper, due, now)
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

    async def delete_early(self, point: Object, span: Span, sign: Sign) -> Early:
        """Delete what is recorded of a point wholly within the span, although its time has not come.

        Decided and written as a look before. Raises Invalid where some of it is younger than the minimum, Unavailable.
        """
        now = self._clock.now()
        minimum = self.rules.rule(point.point_class, PointId(point.id)).minimum
        youngest = now - minimum
        if span.end > to_micros(youngest):
            days = minimum.days
            raise Invalid(
                f"nothing may be deleted before {days} days", f"what ended before {rfc3339(youngest)} may be deleted"
            )
        early = Early()
        for keeper in self.keepers.values():
            after: Expirable | None = None
            while True:
                found = await keeper.within(PointId(point.id), span, BATCH, after)
                inside = [one for one in found if span.start <= one.span.start and one.span.end <= span.end]
                early.reaching += len(found) - len(inside)
                due, held = await self._sift(inside, now, lambda _: to_micros(youngest))
                early.held += len(held)
                if due:
                    gone, proof = await self._delete(keeper, due, now, sign)
                    early.count += gone.count
                    early.bytes += gone.bytes
                    early.proofs.append(proof)
                if len(found) < BATCH:
                    break
                after = found[-1]
        return early

    async def proofs(
        self, actor: Actor, *, by_hand: bool, span: tuple[datetime | None, datetime | None], cursor: str, limit: int
    ) -> Page[Proof]:
        """What was deleted in the actor's scope, latest first, without the objects. Raises Denied."""
        scope = scope_of(actor, Action.READ_DUTIES)
        async with self._state.read() as tx:
            found = await store.proofs_page(
                tx, seen_by=scope, by_hand=by_hand, start_at=span[0], end_at=span[1], before=cursor, limit=limit + 1
            )
        return Page.cut(found, limit, lambda each: each.id)

    async def proof(self, actor: Actor, proof_id: str) -> Proof:
        """With its objects. Raises Denied, NotFound."""
        async with self._state.read() as tx:
            found = await store.proof(tx, proof_id, seen_by=scope_of(actor, Action.READ_DUTIES))
        if found is None:
            raise NotFound("there is no such deletion", "check the id")
        return found

    async def divide(self, items: Sequence[Expirable], now: datetime) -> tuple[list[Expirable], list[Expirable]]:
        """What may go, and what is held or too young."""
        return await self._sift(items, now, lambda item: self._limit(item, now))

    def _limit(self, item: Expirable, now: datetime) -> int:
        return to_micros(self.rules.expires_before(item.point_class, now, item.point))

    async def _sift(
        self, items: Sequence[Expirable], now: datetime, limit: Callable[[Expirable], int]
    ) -> tuple[list[Expirable], list[Expirable]]:
        """Those that ended before their limit and are not held, and the others."""
        points = sorted({item.point for item in items if item.point is not None})
        async with self._state.read() as tx:
            held = await store.held_spans(tx, points)
        spans: dict[PointId, list[Span]] = {}
        for point, start, end in held:
            spans.setdefault(point, []).append(Span(to_micros(start), to_micros(end)))
        due: list[Expirable] = []
        kept: list[Expirable] = []
        for item in items:
            holding = spans.get(item.point, []) if item.point is not None else []
            is_held = any(span.start < item.span.end and item.span.start < span.end for span in holding)
            is_young = item.span.end > limit(item) if item.expires_at is None else item.expires_at > now
            (kept if is_held or is_young else due).append(item)
        return due, kept

    async def _delete(
        self, keeper: Keeper, items: Sequence[Expirable], now: datetime, sign: Sign = BY_RULE
    ) -> tuple[Deleted, str]:
        """What is gone, and the id of the proof."""
        points = sorted({item.point for item in items if item.point is not None})
        plain = Entry(kind="deleting", name="anwang") if sign.actor is None else actor_entry(sign.actor, "deleting")
        about = replace(plain, action=f"retention {keeper.name}", objects=tuple(points)[:1000], approval=sign.approval)
        span = Span(min(item.span.start for item in items), max(item.span.end for item in items))
        covered = span.told()
        planned = sum(item.bytes for item in items)
        intended = digest(_gone(items))
        await self._ledger.append(
            replace(about, count=len(items), bytes=planned, detail=f"{covered} digest {intended}")
        )
        gone = await keeper.delete(items)
        left = frozenset(gone.ids)
        objects = _gone(item for item in items if item.id in left)
        proof = Proof(
            id=uuid7(self._clock.micros() // 1000),
            keeper=keeper.name,
            at=now,
            count=gone.count,
            bytes=gone.bytes,
            first_at=from_micros(span.start),
            last_at=from_micros(span.end),
            org_path=above([each.org_path for each in (await self._owned(points)).values()]),
            digest=digest(objects),
            objects=objects,
            by=sign.by,
            second=sign.second,
            approval=sign.approval,
            why=sign.why,
        )
        if gone.count:
            async with self._state.begin() as tx:
                await store.add_proof(tx, proof)
        await self._ledger.append(
            replace(
                about, kind="deleted", count=gone.count, bytes=gone.bytes, detail=f"{covered} digest {proof.digest}"
            )
        )
        return gone, proof.id


def _gone(items: Iterable[Expirable]) -> list[Gone]:
    return [Gone(item.id, item.bytes, item.sha256 or None) for item in items]
