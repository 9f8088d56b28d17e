"""Use cases on privacy masks: read them, set them, and what they cover now and in recordings.

All masks are kept in memory, for every picture that leaves asks for them. A change is written to the ledger before it
counts, and counts at once: whoever follows is told, and draws the next picture with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Protocol

from anwang.governance import Action, Actor, Decision, Object
from anwang.kernel.errors import Conflict, NotFound
from anwang.kernel.ids import PointId, uuid7
from anwang.kernel.times import Span
from anwang.media.masks import store
from anwang.media.masks.aim import Aims
from anwang.media.masks.model import (
    BARE,
    LONGEST_NAME,
    LONGEST_WHY,
    Cover,
    Drawn,
    Mask,
    MaskId,
    check_drawn,
    cover_of,
    loosens,
    version_of,
)
from anwang.runtime.clock import Clock
from anwang.stores.state import State


class Governs(Protocol):
    """What is needed of governance.Governance."""

    async def note_deed(self, actor: Actor | None, action: Action, objects: Sequence[str], detail: str) -> None:
        """Write what someone changes, before it takes effect. Raises Unavailable."""

    async def unmasking(self, actor: Actor, objects: Sequence[Object], span: Span | None) -> list[Decision]:
        """Of each, whether the actor sees it without privacy masks now."""


class Obliged(Protocol):
    """A look, as far as masks go."""

    @property
    def masked(self) -> bool:
        """Whether what the masks cover must be covered."""


class Masks:
    """The masks of all points. Call `load` once."""

    def __init__(self, *, state: State, clock: Clock, governs: Governs) -> None:
        self._state = state
        self._clock = clock
        self._governs = governs
        self._by_point: dict[PointId, tuple[Mask, ...]] = {}
        self._followers: list[Callable[[PointId], None]] = []
        self.aims = Aims(self._tell)

    async def load(self) -> None:
        """Read them all."""
        async with self._state.read() as tx:
            found = await store.every(tx)
        self._by_point = {point: tuple(each) for point, each in groupby(found, lambda mask: mask.point)}

    def follow(self, follower: Callable[[PointId], None]) -> None:
        """Told a point whenever what must be covered in its picture may be another."""
        self._followers.append(follower)

    def of(self, point: PointId) -> Sequence[Mask]:
        """A point's masks in their order."""
        return self._by_point.get(point, ())

    def has(self, point: PointId, look: Obliged) -> bool:
        """Whether a look at a point must go through the drawing, whatever the head points at."""
        return look.masked and point in self._by_point

    def now(self, point: PointId) -> Cover:
        """What is covered in the picture of now, in a look that is obliged to."""
        return cover_of(self.of(point), self.aims.preset(point))

    def live(self, point: PointId, look: Obliged) -> Cover:
        """What a look must cover in the picture of now."""
        return self.now(point) if look.masked else BARE

    def past(self, point: PointId, look: Obliged) -> Cover:
        """What a look must cover in recordings: everything, for where the head was then is not known."""
        return cover_of(self.of(point), None) if look.masked else BARE

    async def set(self, actor: Actor, point: Object, drawn: Sequence[Drawn], *, seen: str) -> Sequence[Mask]:
        """These are the point's masks from now on. seen: the version that they were drawn over.

        To take one away or to change what it covers is to unmask: it needs the second person's yes, as a look does.
        Raises Invalid, Exhausted, NotFound (an id that the point does not have), Conflict, PurposeNeeded,
        ApprovalNeeded, Unavailable.
        """
        check_drawn(drawn)
        id = PointId(point.id)
        async with self._state.begin() as tx:
            before = await store.of_point(tx, id, lock=True)
            if version_of(before) != seen:
                raise Conflict("these masks were changed by somebody else", "load them again")
            if loosens(before, drawn):
                for decision in await self._governs.unmasking(actor, [point], None):
                    decision.enforce()
            wanted = self._changed(actor, id, {mask.id: mask for mask in before}, drawn)
            await store.replace(tx, id, wanted)
            await self._governs.note_deed(actor, Action.EDIT_MASKS, [point.id], _told(before, wanted))
        self._by_point.pop(id, None)
        if wanted:
            self._by_point[id] = tuple(wanted)
        self._tell(id)
        return wanted

    def _changed(self, actor: Actor, point: PointId, before: dict[MaskId, Mask], drawn: Sequence[Drawn]) -> list[Mask]:
        now = self._clock.now()
        made = []
        for one in drawn:
            old = before.get(MaskId(one.id))
            if one.id and old is None:
                raise NotFound(f"this point has no mask {one.id[:64]}", "load its masks again")
            new = Mask(
                id=MaskId(uuid7(self._clock.micros() // 1000)) if old is None else old.id,
                point=point,
                preset=one.preset,
                name=one.name.strip()[:LONGEST_NAME],
                why=one.why.strip()[:LONGEST_WHY],
                polygon=one.polygon,
                created_at=now if old is None else old.created_at,
                created_by=actor.username if old is None else old.created_by,
                changed_at=now,
                changed_by=actor.username,
            )
            is_same = old is not None and replace(new, changed_at=old.changed_at, changed_by=old.changed_by) == old
            made.append(old if old is not None and is_same else new)
        return made

    def _tell(self, point: PointId) -> None:
        for follower in self._followers:
            follower(point)

    def close(self) -> None:
        """Forget all timers."""
        self.aims.close()


def _told(before: Sequence[Mask], after: Sequence[Mask]) -> str:
    """For the ledger: how many there are now, and which were added, changed, taken away."""
    old, new = {mask.id: mask for mask in before}, {mask.id: mask for mask in after}
    parts = [f"{len(after)} privacy masks"]
    for word, ids in (
        ("added", new.keys() - old.keys()),
        ("changed", [id for id in new.keys() & old.keys() if new[id] != old[id]]),
        ("removed", old.keys() - new.keys()),
    ):
        names = sorted((new.get(id) or old[id]).name or id for id in ids)
        if names:
            parts.append(f"{word} {', '.join(names)}")
    return "; ".join(parts)
