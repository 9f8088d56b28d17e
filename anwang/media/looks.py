"""Looks at recordings: opened in the ledger before the first byte, one for each range that a player or download asks.

The token that rides in URLs says what was opened (point, span, stream) and is bound by governance to exactly that and
to the session; so a piece is checked without any database, by every process.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from anwang import governance
from anwang.governance import Action, Actor, LookId, Object, Redeemed, Verdict
from anwang.kernel.errors import Denied
from anwang.kernel.ids import PointId, SessionId
from anwang.kernel.times import Span
from anwang.runtime.clock import Clock

IDLE_SECONDS = 600.0
"""A paused player comes back within this, or opens its range again."""
TOKEN_SECONDS = 12 * 3600.0
MOST_SHARED = 10_000
_BARE = "bare"
"""In a token: a second person lifted the masks."""


class Governs(Protocol):
    """What is needed of governance.Governance."""

    async def unmasking(self, actor: Actor, objects: Sequence[Object], span: Span | None) -> list[governance.Decision]:
        """Of each, whether the actor sees it without privacy masks now."""

    async def open_look(
        self,
        actor: Actor,
        action: Action,
        objects: Sequence[Object],
        *,
        span: Span | None = None,
        detail: str = "",
        idle_seconds: float | None = None,
    ) -> governance.Look:
        """Decide, and write the row. Raises NotFound, Denied, PurposeNeeded, ApprovalNeeded, Unavailable."""

    async def would_open(self, actor: Actor, action: Action, objects: Sequence[Object], *, span: Span | None) -> None:
        """Decide as open_look does, and open nothing. Raises as open_look."""

    def require(self, actor: Actor, action: Action, one: Object, *, span: Span | None = None) -> governance.Decision:
        """The decision, reasons apart. Raises NotFound, Denied."""

    async def close_look(self, look: governance.Look, *, outcome: str | None = None) -> None:
        """Write the closed row."""

    def serve_look(self, look_id: LookId, bytes: int) -> None:
        """Count what goes out. Raises Denied where the look is over."""

    def mint(self, look: governance.Look, *, subject: str, seconds: float) -> str:
        """A token for pieces of the look."""

    def redeem(self, token: str, *, session: SessionId, subject: str) -> Redeemed:
        """Check a token. Raises Denied."""


WhereIs = Callable[[PointId], Awaitable[Object]]
"""The registry's knowledge of a point; raises NotFound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """An open look at a recording. token: what URLs carry. stream: "" leaves the choice to us. masked: what the point's
    privacy masks cover must be covered.
    """

    id: LookId
    token: str
    point: PointId
    span: Span
    stream: str
    masked: bool = True
    approval: governance.Approval | None = None
    """The second person's yes that it was opened with; None: it needed none, or is one of another process."""


@dataclass(slots=True)
class _Shared:
    look: Look
    since: float


class RecordingLooks:
    """Opens looks and checks their tokens. Requests of one session for the same thing share one look."""

    def __init__(self, *, governs: Governs, clock: Clock, where: WhereIs) -> None:
        self._governs = governs
        self._clock = clock
        self._where = where
        self._shared: OrderedDict[tuple[object, ...], _Shared] = OrderedDict()
        self._opening: dict[tuple[object, ...], asyncio.Lock] = {}

    async def open(self, actor: Actor, action: Action, point: PointId, span: Span, stream: str = "") -> Look:
        """The look of this session at exactly this, opened now if it isn't. Raises NotFound, Denied, Unavailable,
        Exhausted.
        """
        key = (actor.session_id, actor.purpose and actor.purpose.id, action, point, span, stream)
        async with self._opening.setdefault(key, asyncio.Lock()):
            try:
                shared = self._shared.get(key)
                if shared is not None and self._is_open(shared) and not await self._is_lifted(actor, shared.look):
                    return shared.look
                made = await self._open(actor, action, point, span, stream)
                self._shared[key] = _Shared(made, self._clock.monotonic())
                self._shared.move_to_end(key)
                while len(self._shared) > MOST_SHARED:  # the look itself stays open until it is idle
                    self._shared.popitem(last=False)
                return made
            finally:
                self._opening.pop(key, None)

    async def foresee(self, actor: Actor, action: Action, point: PointId, span: Span) -> Object:
        """The point, where a look at exactly this would be opened now. Raises NotFound, Denied, PurposeNeeded,
        ApprovalNeeded.
        """
        one = await self._where(point)
        await self._governs.would_open(actor, action, [one], span=span)
        return one

    async def still(self, actor: Actor, action: Action, point: PointId, span: Span) -> None:
        """Whether the actor has the rights to this, reasons apart. Raises NotFound, Denied."""
        self._governs.require(actor, action, await self._where(point), span=span)

    @asynccontextmanager
    async def alone(self, actor: Actor, action: Action, point: PointId, span: Span, why: str) -> AsyncIterator[Look]:
        """A look of its own, closed with the block, which makes one file. why: for the ledger. Raises as `open`."""
        detail = f"{span.told()} {why}"
        opened = await self._governs.open_look(actor, action, [await self._where(point)], span=span, detail=detail)
        outcome = "ended"
        try:
            yield Look(
                id=opened.id, token="", point=point, span=span, stream="", masked=opened.masked,
                approval=opened.approval,
            )  # fmt: skip
            opened.count = 1
        except BaseException as err:
            outcome = "cancelled" if isinstance(err, asyncio.CancelledError) else type(err).__name__
            raise
        finally:
            await asyncio.shield(self._governs.close_look(opened, outcome=outcome))

    def _is_open(self, shared: _Shared) -> bool:
        if self._clock.monotonic() - shared.since > TOKEN_SECONDS / 2:
            return False
        try:
            self._governs.serve_look(shared.look.id, 0)
        except Denied:
            return False
        return True

    async def _is_lifted(self, actor: Actor, look: Look) -> bool:
        """Whether what it had to cover may be seen since."""
        if not look.masked or actor.purpose is None:
            return False
        found = await self._governs.unmasking(actor, [await self._where(look.point)], look.span)
        return all(decision.verdict is Verdict.ALLOWED for decision in found)

    async def _open(self, actor: Actor, action: Action, point: PointId, span: Span, stream: str) -> Look:
        detail = f"{span.told()} {stream}".strip()
        objects = [await self._where(point)]
        opened = await self._governs.open_look(
            actor, action, objects, span=span, detail=detail, idle_seconds=IDLE_SECONDS
        )
        said = f"{point}~{span.start}~{span.end}~{stream}~{_BARE if not opened.masked else ''}"
        token = f"{said}~{self._governs.mint(opened, subject=f'recording {said}', seconds=TOKEN_SECONDS)}"
        return Look(id=opened.id, token=token, point=point, span=span, stream=stream, masked=opened.masked)

    def redeem(self, actor: Actor, token: str) -> Look:
        """The look of a token that this session was given. Raises Denied."""
        said, _, proof = token.rpartition("~")
        redeemed = self._governs.redeem(proof, session=actor.session_id, subject=f"recording {said}")
        # what the proof covers was written by us
        point, start, end, stream, bare = said.split("~")
        return Look(
            id=redeemed.look,
            token=token,
            point=PointId(point),
            span=Span(int(start), int(end)),
            stream=stream,
            masked=bare != _BARE,
        )

    def serve(self, look: Look, sent: int) -> None:
        """So many bytes go out now. Raises Denied where the look is over."""
        self._governs.serve_look(look.id, sent)
