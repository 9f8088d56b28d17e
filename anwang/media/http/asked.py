"""What the routes of media share: which point is meant and whether one may, and the end of a viewer's socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi import Request, WebSocket, WebSocketDisconnect

from anwang.governance import Action, Actor, Governance, Look, Object
from anwang.kernel.errors import AnwangError, Denied, Invalid, Kind, NotFound, Unauthenticated, Unavailable
from anwang.kernel.ids import PointId, parse_uuid
from anwang.media.looks import WhereIs
from anwang.media.watch import Watched

T = TypeVar("T")
CLOSE_SECONDS = 5.0
"""How long a peer that takes nothing more may delay the end of its socket."""
#: private close codes (RFC 6455 7.4.2): 4000 plus the HTTP status of the error
_CODES = {
    Kind.INVALID: 4400,
    Kind.UNAUTHENTICATED: 4401,
    Kind.SECOND_FACTOR_NEEDED: 4401,
    Kind.DENIED: 4403,
    Kind.PURPOSE_NEEDED: 4403,
    Kind.APPROVAL_NEEDED: 4403,
    Kind.NOT_FOUND: 4404,
    Kind.CONFLICT: 4409,
    Kind.UNSUPPORTED: 4415,
    Kind.EXHAUSTED: 4429,
    Kind.UNAVAILABLE: 4503,
    Kind.INTERNAL: 4500,
}


async def allowed(where: WhereIs, governance: Governance, actor: Actor, action: Action, point: PointId) -> Object:
    """A point that the actor may do this to. Raises NotFound, Denied."""
    one = await where(point)
    governance.require(actor, action, one)
    return one


async def seen(
    where: WhereIs, governance: Governance, actor: Actor, action: Action, text: str
) -> tuple[PointId, Object]:
    """The id of a point that the actor may do this to, and the point. Raises NotFound, Denied."""
    try:
        point = PointId(parse_uuid(text))
    except Invalid:
        raise NotFound("there is no such object", "check the id") from None
    return point, await allowed(where, governance, actor, action, point)


async def while_there(request: Request, work: Awaitable[T]) -> T:
    """What the work makes; it ends with the connection of whoever asked for it. Raises as it does."""
    doing: asyncio.Future[T] = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hangs_up(request))
    both: set[asyncio.Future[Any]] = {doing, gone}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise Unavailable("whoever asked for this has gone")
        return doing.result()
    finally:
        for task in both:
            task.cancel()
        await asyncio.wait(both)


async def _hangs_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@dataclass(slots=True)
class Viewing:
    """What one viewer's socket was used for. look: set once it is open."""

    governance: Governance
    look: Look | None = None
    seen: Watched = field(default_factory=Watched)

    def serve(self, size: int) -> None:
        """So many bytes go out now. Raises Denied where the look is over."""
        if self.look is None:
            raise Denied("nothing was opened", "open it again")
        self.governance.serve_look(self.look.id, size)


@contextlib.asynccontextmanager
async def viewing(websocket: WebSocket, governance: Governance, actor: Actor) -> AsyncIterator[Viewing]:
    """One viewer, from the acceptance on: what goes wrong is said before the socket closes, and the look is closed.

    The block is cancelled when the actor's session ends or its rights change; the socket closes with that reason.
    """
    one = Viewing(governance)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as limit:
            async with governance.while_open(actor, lambda: limit.reschedule(loop.time())):
                yield one
    except TimeoutError:
        if not limit.expired():
            raise
        one.seen.outcome = "session ended"
        await refuse(websocket, Unauthenticated("your session ended, or its rights changed", "sign in again"), play="")
    except AnwangError as err:
        one.seen.outcome = err.reason
        await refuse(websocket, err, play=err.hint.rpartition("play ")[2] if "play " in err.hint else "")
    except (WebSocketDisconnect, RuntimeError):
        one.seen.outcome = "the viewer has gone"
    finally:
        if one.look is not None:
            await asyncio.shield(governance.close_look(one.look, outcome=one.seen.outcome))


async def refuse(websocket: WebSocket, err: AnwangError, *, play: str) -> None:
    """Say why in a last text message, then close with a code that programs understand."""
    hint = err.hint.replace(f"play {play}", "").strip() if play else err.hint
    told = {"error": {"kind": err.kind.value, "reason": err.reason, "hint": hint, "play": play}}
    with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await websocket.send_text(json.dumps(told, ensure_ascii=False))
            await websocket.close(_CODES[err.kind])


async def hang_up(websocket: WebSocket) -> None:
    """Close in order; one that is closed already stays so."""
    with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await websocket.close(1000)
