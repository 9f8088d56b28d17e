"""`GET /api/v1/events`: what happens, as server-sent events, each person within their scope.

The cursor is the bus's number, which never restarts; a browser that comes back with its last one gets what it missed,
or `lagged` where that is no longer kept, and then reads the lists anew. Quiet streams get their cursor with the
keep-alive, so that a person with a small scope does not fall out of the window of the whole city.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from anwang.governance import Action, Actor, Governance, allow
from anwang.kernel.errors import Exhausted, Invalid
from anwang.kernel.ids import SessionId
from anwang.runtime import logs
from anwang.stores.bus import Bus, Lagged, Message

log = logs.get(__name__)

SUBJECT = "events."
KEEPALIVE_SECONDS = 15.0
RETRY_MS = 2000
_TYPE = re.compile(r"[a-z][a-z0-9_]{0,40}")


@dataclass(frozen=True, slots=True)
class Notice:
    """One event. org_path: whose it is; None: everybody's. data: what the browser gets, as JSON values."""

    type: str
    org_path: str | None
    data: Any


class _Packed(msgspec.Struct, array_like=True):
    org_path: str | None
    data: Any


Shape = Callable[[Actor, Notice], Any]


def as_it_is(actor: Actor, notice: Notice) -> Any:
    """The plain rule: the data, for those whose scope covers its organisation; None for everybody else."""
    if notice.org_path is not None and not actor.scope.covers_path(notice.org_path):
        return None
    return notice.data


@dataclass(eq=False, slots=True)
class _Connection:
    session: SessionId
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Events:
    """Publishing, and the route. shape: what an actor gets of a notice, None for nothing."""

    def __init__(
        self,
        *,
        bus: Bus,
        governance: Governance,
        shape: Shape = as_it_is,
        keepalive_s: float = KEEPALIVE_SECONDS,
        most: int = 5000,
        most_per_session: int = 30,
    ) -> None:
        self._bus = bus
        self._governance = governance
        self._shape = shape
        self._keepalive_s = keepalive_s
        self._most = most
        self._most_per_session = most_per_session
        self._open: set[_Connection] = set()
        self._decoded: OrderedDict[int, Notice | None] = OrderedDict()
        self.refused = 0  # streams turned away since the start
        self.lagged = 0  # `lagged` events sent since the start
        self.router = self._routes()
        governance.on_session_end(self._session_ended)

    @property
    def open_now(self) -> int:
        """Streams that are open."""
        return len(self._open)

    async def publish(self, notice: Notice) -> int:
        """Send to everybody who may see it; its number. Raises Invalid, Unavailable."""
        if _TYPE.fullmatch(notice.type) is None:
            raise Invalid(f"{notice.type!r} is no type of event")
        return await self._bus.publish(
            SUBJECT + notice.type, msgspec.json.encode(_Packed(notice.org_path, notice.data))
        )

    async def close(self) -> None:
        """End all streams; browsers come back by themselves."""
        for connection in self._open:
            connection.ended.set()

    async def _session_ended(self, session: SessionId) -> None:
        for connection in self._open:
            if connection.session == session:
                connection.ended.set()

    def _routes(self) -> APIRouter:
        router = APIRouter(prefix="/api/v1", tags=["events"])

        @router.get("/events", response_class=StreamingResponse)
        async def read_events(
            actor: Annotated[Actor, allow(Action.READ_POINTS, use=None)],
            after: Annotated[str, Query(max_length=20, description="id of the last event seen")] = "",
            last_event_id: Annotated[str, Header(max_length=20)] = "",
        ) -> StreamingResponse:
            """The event stream (text/event-stream). Last-Event-ID wins over `after`."""
            cursor = _cursor(last_event_id or after)
            self._admit(actor)
            self._governance.count_use(actor, "events", self._governance.scope(actor, Action.READ_POINTS))
            headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
            return StreamingResponse(
                self.stream(actor, cursor), media_type="text/event-stream; charset=utf-8", headers=headers
            )

        return router

    def _admit(self, actor: Actor) -> None:
        mine = sum(connection.session == actor.session_id for connection in self._open)
        if len(self._open) >= self._most or mine >= self._most_per_session:
            self.refused += 1
            raise Exhausted("too many event streams are open", "close some windows")

    async def stream(self, actor: Actor, after: int | None) -> AsyncIterator[bytes]:
        """The text of the stream. after: number of the last event seen; None: only what is new."""
        connection = _Connection(actor.session_id)
        self._open.add(connection)
        ended = asyncio.create_task(connection.ended.wait())
        try:
            async with (
                self._bus.subscribe(SUBJECT + ">", after=after) as events,
                aclosing(self._texts(actor, events, ended, after)) as texts,
            ):
                async for text in texts:
                    yield text
        finally:
            self._open.discard(connection)
            ended.cancel()

    async def _texts(
        self, actor: Actor, events: AsyncIterator[Message | Lagged], ended: asyncio.Task[Any], after: int | None
    ) -> AsyncGenerator[bytes, None]:
        yield f"retry: {RETRY_MS}\n\n".encode()
        seen = after
        coming: asyncio.Task[Message | Lagged | None] | None = None
        try:
            while True:
                if coming is None:
                    coming = asyncio.create_task(_next(events))
                await asyncio.wait({coming, ended}, timeout=self._keepalive_s, return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    return
                if not coming.done():
                    yield b": keep-alive\n\n" if seen is None else f": keep-alive\nid: {seen}\n\n".encode()
                    continue
                event, coming = coming.result(), None
                if event is None:
                    return
                if isinstance(event, Lagged):
                    self.lagged += 1
                    yield f'event: lagged\ndata: {{"count":{event.count}}}\n\n'.encode()
                    continue
                seen = event.seq
                text = self._text(actor, event)
                if text is not None:
                    yield text
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.wait([coming])

    def _text(self, actor: Actor, message: Message) -> bytes | None:
        notice = self._notice(message)
        data = None if notice is None else self._shape(actor, notice)
        if notice is None or data is None:
            return None
        # JSON has no raw line ends, so one `data` line holds it
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (message.seq, notice.type.encode(), msgspec.json.encode(data))

    def _notice(self, message: Message) -> Notice | None:
        """Decoded once for all streams; None for what is not ours."""
        if message.seq in self._decoded:
            return self._decoded[message.seq]
        try:
            packed = msgspec.json.decode(message.payload, type=_Packed)
            notice = Notice(message.subject.removeprefix(SUBJECT), packed.org_path, packed.data)
        except msgspec.DecodeError as err:
            log.warning("a message on the bus is no event", subject=message.subject, error=str(err))
            notice = None
        self._decoded[message.seq] = notice
        while len(self._decoded) > 1024:
            self._decoded.popitem(last=False)
        return notice


async def _next(events: AsyncIterator[Message | Lagged]) -> Message | Lagged | None:
    return await anext(events, None)


def _cursor(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise Invalid(f"{text!r} is no cursor of ours", "begin without one")
    return int(text)
