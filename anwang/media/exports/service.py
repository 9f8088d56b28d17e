"""Use cases on exports: ask for one, follow it, take it away, give it up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from anwang.governance import Action, Actor, Page, Scope, above
from anwang.kernel.errors import Conflict, Denied, Exhausted, Invalid, NotFound, Unavailable
from anwang.kernel.ids import PointId, UserId, uuid7
from anwang.kernel.times import Span
from anwang.media.exports import store
from anwang.media.exports.jobs import Making
from anwang.media.exports.model import (
    Choice,
    Covered,
    Export,
    ExportAct,
    ExportForm,
    ExportId,
    ExportState,
    Item,
    Wanted,
    Why,
    after,
    check,
)
from anwang.media.looks import RecordingLooks
from anwang.runtime.clock import Clock
from anwang.stores.objects import Objects
from anwang.stores.state import State as Database
from anwang.stores.state import Tx

MOST_WAITING, MOST_OWN = 100, 10
"""Exports under way, of everybody and of one person."""
_BLOCK = 1 << 20


class Governs(Protocol):
    """What is needed of governance.Governance."""

    def scope(self, actor: Actor, action: Action) -> Scope:
        """Which rows the actor may do this to. Raises Denied."""

    def count_use(self, actor: Actor, kind: str, scope: Scope, n: int = 1) -> None:
        """Count that a list was read."""

    async def note_deed(self, actor: Actor | None, action: Action, objects: Sequence[str], detail: str) -> None:
        """Write what someone changes, before it takes effect. Raises Unavailable."""

    async def was_refused(
        self, user_id: UserId, action: Action, object_id: str, span: Span, *, since: datetime
    ) -> bool:
        """Whether somebody refused afterwards what that person did in urgency since a moment."""

    async def note_handed(
        self,
        actor: Actor,
        action: Action,
        objects: Sequence[str],
        detail: str,
        *,
        recipient: str,
        size: int,
        why: tuple[str, str, str] | None = None,
    ) -> None:
        """Write that a file is taken away, before its first byte. why: id, kind and case of the purpose that it was
        made for. Raises Unavailable.
        """


Codes = Callable[[Sequence[PointId]], Awaitable[dict[PointId, str]]]
"""The 20-digit codes of points."""


@dataclass(slots=True, kw_only=True)
class Exports:
    """may_write: whether the disk has room."""

    state: Database
    clock: Clock
    objects: Objects
    governs: Governs
    looks: RecordingLooks
    making: Making
    codes: Codes
    may_write: Callable[[], bool]

    async def ask(self, actor: Actor, wanted: Sequence[Wanted], covered: Sequence[Covered], choice: Choice) -> Export:
        """It is made in the background. Each clip is decided now as a clip that is taken at once, and again when its
        turn comes.

        Raises Invalid, NotFound, Denied, PurposeNeeded, ApprovalNeeded, Exhausted, Unavailable.
        """
        check(choice.form, wanted, covered)
        if any(one.span.end > self.clock.micros() for one in wanted):
            raise Invalid("a clip of an export ends in the future", "ask for what is recorded")
        places = {one.point: await self.looks.foresee(actor, Action.EXPORT, one.point, one.span) for one in wanted}
        if not self.may_write():
            raise Unavailable("the disk is too full for an export", "ask an administrator to make room")
        codes = await self.codes(list(places))
        purpose = actor.purpose
        made = Export(
            id=ExportId(uuid7(self.clock.micros() // 1000)),
            user_id=actor.user_id,
            username=actor.username,
            display_name=actor.display_name,
            role=actor.role.value,
            unit=actor.org_name,
            org_path=above([place.org_path for place in places.values()]),
            choice=choice,
            why=Why()
            if purpose is None
            else Why(id=purpose.id, kind=purpose.kind.value, case_no=purpose.case_no, unit=purpose.unit),
            items=tuple(
                Item(
                    point=one.point,
                    code=codes.get(one.point, ""),
                    name=places[one.point].name,
                    span=one.span,
                    is_clear=one.is_clear,
                )
                for one in wanted
            ),
            covered=tuple(covered),
            state=ExportState.WAITING,
            created_at=self.clock.now(),
        )
        async with self.state.begin() as tx:
            if await store.under_way(tx) >= MOST_WAITING:
                raise Exhausted(f"{MOST_WAITING} exports are under way already", "try again later")
            if await store.under_way(tx, user_id=actor.user_id) >= MOST_OWN:
                raise Exhausted(f"{MOST_OWN} exports of yours are under way already", "wait for them, or cancel some")
            await store.add(tx, made)
            await self.governs.note_deed(actor, Action.EXPORT, (made.id, *made.points), _told(made))
        self.making.put(made, actor)
        return made

    async def one(self, actor: Actor, export_id: str) -> Export:
        """One's own, or one of points that the actor may export. Raises NotFound, Denied."""
        return self.making.shown(await self._get(actor, export_id))

    async def page(self, actor: Actor, *, cursor: str, limit: int) -> Page[Export]:
        """One's own and those of points that the actor may export, latest first. Raises Denied."""
        scope = self.governs.scope(actor, Action.EXPORT)
        self.governs.count_use(actor, "exports", scope)
        async with self.state.read() as tx:
            found = await store.page(tx, seen_by=scope, user_id=actor.user_id, before=cursor, limit=limit + 1)
        return Page.cut([self.making.shown(one) for one in found], limit, lambda one: one.id)

    async def give_up(self, actor: Actor, export_id: str) -> Export:
        """Cancel what is under way, discard what is ready. Raises NotFound, Denied, Conflict (neither)."""
        async with self.state.begin() as tx:
            found = await self._get(actor, export_id, tx=tx)
            act = ExportAct.DISCARD if found.state is ExportState.READY else ExportAct.CANCEL
            changed = replace(found, state=after(found.state, act), ended_at=self.clock.now())
            await store.save(tx, changed)
            told = f"export {changed.state}, {found.bytes_done} bytes"
            if found.sha256:
                told += f", manifest {found.sha256}"
            await self.governs.note_deed(actor, Action.EXPORT, (found.id, *found.points), told)
        self.making.stop(found.id)
        if act is ExportAct.DISCARD:
            await self.objects.delete([found.key])
        return changed

    async def take(self, actor: Actor, export_id: str) -> Export:
        """One whose package the actor may have now: with the rights of today, and the reasons that it was made with;
        where somebody else asked for it, with reasons of one's own, as for a clip of each of its points.

        Raises NotFound, Conflict (it is not ready), Denied, PurposeNeeded, ApprovalNeeded.
        """
        found = await self._get(actor, export_id)
        if found.state is not ExportState.READY:
            raise Conflict(f"this export is {found.state} and cannot be fetched", "look at it again")
        decide = self.looks.still if found.user_id == actor.user_id else self.looks.foresee
        for item in found.items:
            await decide(actor, Action.EXPORT, item.point, item.span)
            if await self.governs.was_refused(
                found.user_id, Action.EXPORT, item.point, item.span, since=found.created_at
            ):
                raise Denied("a second person has refused this export afterwards", "it cannot be fetched any more")
        return found

    async def note(self, actor: Actor, one: Export, start: int, end: int) -> None:
        """Bytes [start, end) of a package are taken away now. Raises Unavailable."""
        told = f"package of export {one.id}, bytes {start} to {end} of {one.bytes_done}"
        await self.governs.note_handed(
            actor,
            Action.EXPORT,
            (one.id, *one.points),
            told,
            recipient=one.choice.recipient,
            size=end - start,
            why=None if actor.purpose is not None else (one.why.id, one.why.kind, one.why.case_no),
        )

    async def read(self, one: Export, start: int, end: int) -> AsyncIterator[bytes]:
        """Those bytes, after `take` and `note`. Raises NotFound, Unavailable."""
        for at in range(start, end, _BLOCK):
            yield await self.objects.get_range(one.key, at, min(end, at + _BLOCK))

    async def redacted(self, actor: Actor, export_id: str) -> list[tuple[str, Span]] | None:
        """Which points and when a redacted copy that is ready shows; None where it is none, or not ready. Raises
        NotFound, Denied.
        """
        found = await self._get(actor, export_id)
        if found.state is not ExportState.READY or found.choice.form is not ExportForm.REDACTED:
            return None
        return [(item.point, item.span) for item in found.items]

    async def _get(self, actor: Actor, export_id: str, tx: Tx | None = None) -> Export:
        scope = self.governs.scope(actor, Action.EXPORT)
        if tx is None:
            async with self.state.read() as reading:
                found = await store.get(reading, export_id, seen_by=scope, user_id=actor.user_id)
        else:
            found = await store.get(tx, export_id, seen_by=scope, user_id=actor.user_id, lock=True)
        if found is None:
            raise NotFound("there is no such export", "check the id")
        return found


def _told(one: Export) -> str:
    choice = one.choice
    spans = ", ".join(sorted({item.span.told() for item in one.items}))
    told = f"export asked for: {choice.form}, {len(one.items)} clips, {len(one.covered)} areas covered; {spans}"
    return "; ".join([told, *(text for text in (choice.recipient, choice.note) if text)])


def span_of(start: int, end: int) -> Span:
    """Raises Invalid where it is empty."""
    if end <= start:
        raise Invalid("the range is empty", "`to` must be after `from`")
    return Span(start, end)
