"""Looks at recordings: opened in the ledger before the first byte, one for each range that a player or download asks.

The token that rides in URLs says what was opened (point, span, stream) and is bound by governance to exactly that and
to the session; so a piece is checked without any database, by every process.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from anwang import governance
from anwang.governance import Action, Actor, LookId, Object, Redeemed
from anwang.kernel.errors import Denied
from anwang.kernel.ids import PointId, SessionId
from anwang.kernel.times import Span, from_micros, rfc3339
from anwang.runtime.clock import Clock

IDLE_SECONDS = 600.0
"""A paused player comes back within this, or opens its range again."""
TOKEN_SECONDS = 12 * 3600.0
MOST_SHARED = 10_000


class Governs(Protocol):
    """What is needed of governance.Governance."""

    async def open_look(
        self,
        actor: Actor,
        action: Action,
        objects: Sequence[Object],
        *,
        detail: str = "",
        idle_seconds: float | None = None,
    ) -> governance.Look:
        """Decide, and write the row. Raises NotFound, Denied, Unavailable."""

    def serve_look(self, look_id: LookId, bytes: int) -> None:
        """Count what goes out. Raises Denied where the look is over."""

    def mint(self, look: governance.Look, *, subject: str, seconds: float) -> str:
        """A token for pieces of the look."""

    def redeem(self, token: str, *, session: SessionId, subject: str) -> Redeemed:
        """Check a token. Raises Denied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What must be known of a point: its name, and the path of the organisation that it belongs to today."""

    name: str
    org_path: str


WhereIs = Callable[[PointId], Awaitable[Placed]]
"""The registry's knowledge of a point; raises NotFound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """An open look at a recording. token: what URLs carry. stream: "" leaves the choice to us."""

    id: LookId
    token: str
    point: PointId
    span: Span
    stream: str


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
        key = (actor.session_id, action, point, span, stream)
        async with self._opening.setdefault(key, asyncio.Lock()):
            try:
                shared = self._shared.get(key)
                if shared is not None and self._is_open(shared):
                    return shared.look
                made = await self._open(actor, action, point, span, stream)
                self._shared[key] = _Shared(made, self._clock.monotonic())
                self._shared.move_to_end(key)
                while len(self._shared) > MOST_SHARED:  # the look itself stays open until it is idle
                    self._shared.popitem(last=False)
                return made
            finally:
                self._opening.pop(key, None)

    def _is_open(self, shared: _Shared) -> bool:
        if self._clock.monotonic() - shared.since > TOKEN_SECONDS / 2:
            return False
        try:
            self._governs.serve_look(shared.look.id, 0)
        except Denied:
            return False
        return True

    async def _open(self, actor: Actor, action: Action, point: PointId, span: Span, stream: str) -> Look:
        detail = f"{rfc3339(from_micros(span.start))}/{rfc3339(from_micros(span.end))} {stream}".strip()
        objects = [Object(point, (await self._where(point)).org_path)]
        opened = await self._governs.open_look(actor, action, objects, detail=detail, idle_seconds=IDLE_SECONDS)
        said = f"{point}~{span.start}~{span.end}~{stream}"
        token = f"{said}~{self._governs.mint(opened, subject=f'recording {said}', seconds=TOKEN_SECONDS)}"
        return Look(id=opened.id, token=token, point=point, span=span, stream=stream)

    def redeem(self, actor: Actor, token: str) -> Look:
        """The look of a token that this session was given. Raises Denied."""
        said, _, proof = token.rpartition("~")
        redeemed = self._governs.redeem(proof, session=actor.session_id, subject=f"recording {said}")
        # what the proof covers was written by us
        point, start, end, stream = said.split("~")
        return Look(id=redeemed.look, token=token, point=PointId(point), span=Span(int(start), int(end)), stream=stream)

    def serve(self, look: Look, sent: int) -> None:
        """So many bytes go out now. Raises Denied where the look is over."""
        self._governs.serve_look(look.id, sent)
