"""Use cases on holds: recordings that must not be deleted until somebody lets them go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from anwang.governance.actions import Action
from anwang.governance.ledger import Ledger
from anwang.governance.looks import actor_entry
from anwang.governance.model import Actor, Page, decide, scope_of
from anwang.governance.retention import store
from anwang.governance.retention.model import Hold
from anwang.governance.scopes import Object
from anwang.kernel.errors import Invalid, NotFound
from anwang.kernel.ids import PointId, uuid7
from anwang.kernel.times import Span, from_micros, rfc3339
from anwang.runtime.clock import Clock
from anwang.stores.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """Use cases on holds."""

    state: State
    ledger: Ledger
    clock: Clock

    async def place(
        self, actor: Actor, point: Object, *, start_at: datetime, end_at: datetime, reason: str, review_at: datetime
    ) -> Hold:
        """Keep [start_at, end_at) of a point, whatever its age. Raises NotFound, Denied, Invalid, Unavailable."""
        now = self.clock.now()
        decide(actor, Action.HOLD, point, now=now).enforce()
        if end_at <= start_at:
            raise Invalid("a hold ends after it starts")
        if not _is_said(reason):
            raise Invalid("a hold needs a reason of 3 to 500 characters", "say for which case it is kept")
        if not now < review_at <= now + timedelta(days=366):
            raise Invalid("a hold is reviewed within a year", "choose a date after today and before then")
        made = Hold(
            id=uuid7(self.clock.micros() // 1000),
            point=PointId(point.id),
            org_path=point.org_path,
            start_at=start_at,
            end_at=end_at,
            owner_id=actor.user_id,
            owner_name=actor.display_name,
            reason=reason.strip(),
            review_at=review_at,
            created_at=now,
        )
        async with self.state.begin() as tx:
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

    async def release(self, actor: Actor, hold_id: str, *, reason: str) -> None:
        """End a hold; retention may delete what has expired. The ledger keeps the reason.

        Raises Denied, Invalid, NotFound, Unavailable.
        """
        scope = scope_of(actor, Action.HOLD)
        if not _is_said(reason):
            raise Invalid("releasing a hold needs a reason of 3 to 500 characters", "say why it may be deleted")
        async with self.state.begin() as tx:
            point = await store.release_hold(tx, hold_id, seen_by=scope, now=self.clock.now(), by=actor.user_id)
            if point is None:
                raise NotFound("there is no such hold", "it may have been released")
            await self._note(actor, point, f"hold {hold_id} released: {reason.strip()}")

    async def page(
        self,
        actor: Actor,
        *,
        point: PointId | None = None,
        is_overdue: bool = False,
        cursor: str = "",
        limit: int = 50,
    ) -> Page[Hold]:
        """Holds within the actor's scope, oldest first. is_overdue: only those whose review is. Raises Denied."""
        scope = scope_of(actor, Action.READ_TIMELINE)
        until = self.clock.now() if is_overdue else None
        async with self.state.read() as tx:
            rows = await store.holds_page(
                tx, seen_by=scope, point_id=point, review_until=until, after=cursor, limit=limit + 1
            )
        return Page.cut([store.hold(row) for row in rows], limit, lambda each: each.id)

    async def within(self, points: Sequence[PointId], span: Span) -> dict[PointId, list[Hold]]:
        """What is held of these points and reaches into the span, for those who may see the points."""
        start, end = from_micros(span.start), from_micros(span.end)
        async with self.state.read() as tx:
            rows = await store.holds_within(tx, points, start_at=start, end_at=end)
        found: dict[PointId, list[Hold]] = {point: [] for point in points}
        for row in rows:
            found[PointId(row["point_id"])].append(store.hold(row))
        return found

    async def _note(self, actor: Actor, object_id: str, detail: str) -> None:
        await self.ledger.append(
            actor_entry(actor, "changed", action=Action.HOLD.value, objects=(object_id,), detail=detail)
        )


def _is_said(reason: str) -> bool:
    return 3 <= len(reason.strip()) <= 500
