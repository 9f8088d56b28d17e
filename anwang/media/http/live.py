"""Routes of live video: the WebSocket, the picture of now, heads and presets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Response, WebSocket
from pydantic import Field

from anwang.access import Access, Address, Heads, Preset, Ptz, PtzOrder, Stream
from anwang.governance import Action, Actor, Governance, Object, Role, Shape, Shared, allow
from anwang.kernel.errors import Invalid, NotFound, Unavailable
from anwang.kernel.ids import PointId, parse_uuid
from anwang.kernel.times import from_micros, rfc3339
from anwang.media.control import FrameKind
from anwang.media.conversions import As
from anwang.media.framing import frames
from anwang.media.http.asked import allowed, hang_up, refuse, viewing
from anwang.media.live import Lease, Streams
from anwang.media.looks import WhereIs
from anwang.media.masks.paint import Paint
from anwang.media.sight import Sight, mark_of, sign
from anwang.media.snapshot import LONGEST_INPUT, DecodePool
from anwang.media.watch import watch
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.wire.jpeg import with_comment

ReadsHead = Annotated[Actor, allow(Action.PTZ, use="head")]

log = logs.get(__name__)

END_SECONDS = 2.0
AT_ONCE_SECONDS = 0.03
"""What a media child has kept comes without such a pause."""
BEHIND_US = 3_600_000_000
"""Behind the newest picture, for sure."""
DECODE_SECONDS = 3.0
"""A group of pictures that takes longer gives the last of them that could be decoded, with its own time."""
ROLE_RANKS = {Role.OPERATOR: 100, Role.OFFICER: 200}
"""Of those who may steer."""


def rank_of(actor: Actor) -> int:
    """Who may take a head from whom: the role first, then the organisation, the city's before a district's."""
    return ROLE_RANKS.get(actor.role, 0) - actor.org_path.count("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What the routes need."""

    streams: Streams
    access: Access
    heads: Heads
    governance: Governance
    decoders: DecodePool
    sight: Sight
    clock: Clock
    where: WhereIs
    address_of: Callable[[PointId], Awaitable[Address]]


class PtzDto(Shape):
    """One order to a head. pan (+ right), tilt (+ up), zoom (+ in): -1..1. ms: a movement stops by itself after it.

    value: idle seconds until home for home_on, number of the switch for switch_on and switch_off (1 is the wiper).
    """

    act: Ptz
    pan: float = Field(0.0, ge=-1, le=1)
    tilt: float = Field(0.0, ge=-1, le=1)
    zoom: float = Field(0.0, ge=-1, le=1)
    preset: int = Field(0, ge=0, le=255)
    name: str = Field("", max_length=64)
    value: int = Field(0, ge=0, le=4095)
    ms: int = Field(2000, ge=100, le=5000)


class HolderDto(Shape):
    """Who moves a head. seconds: it is free after so long without an order. mine: it is the one who asks."""

    id: str
    name: str
    seconds: float
    mine: bool


class HeadDto(Shape):
    """A head now. may_take: the one who asks may move it, from another holder if there is one."""

    holder: HolderDto | None
    may_take: bool


class PresetDto(Shape):
    """A stored view (预置位), 1..255."""

    preset: int
    name: str


class PresetsDto(Shape):
    """Stored views of a head."""

    items: list[PresetDto]
    next: None


def build_router(live: Live) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["live"])

    @router.websocket("/points/{point_id}/live")
    async def watch_live(
        websocket: WebSocket,
        actor: Annotated[Actor, allow(Action.VIEW_LIVE, shared=Shared.PULL)],
        point_id: str,
        stream: Stream = Stream.MAIN,
        wanted: Annotated[As | None, Query(alias="as")] = None,
        flow: bool = False,
    ) -> None:
        """First a text message {mime, width, height, started_at, play}, then binary fMP4 beginning with the init.

        as=h264: H.265 is converted, and the message says so (converted_from); what is H.264 comes as it is. flow: once
        a second a text message {"flow": {at, loss, lost, received_at, media}} says how the stream comes in.
        """
        await _serve(live, websocket, actor, point_id, stream, as_h264=wanted is As.H264, with_flow=flow)

    @router.get("/points/{point_id}/snapshot", response_class=Response)
    async def take_snapshot(
        actor: Annotated[Actor, allow(Action.SNAPSHOT, shared=Shared.PULL, use=None)],
        point_id: str,
        stream: Stream = Stream.SUB,
        width: Annotated[int, Query(ge=0, le=3840)] = 0,
        mark: Annotated[
            bool, Query(description="draw on it who takes it, of which unit, when, and the look's id")
        ] = False,
    ) -> Response:
        """The picture of now as JPEG; `X-Anwang-At` says when it was received, `X-Anwang-Masked` whether masks are
        drawn on it.
        """
        point, place = await _allowed(live, actor, Action.SNAPSHOT, point_id)
        async with live.governance.look(actor, Action.SNAPSHOT, [place]) as look:
            lease = await live.streams.open(point, stream, why="snapshot", actor=actor.username)
            try:
                data, media_us, at_us = await latest(lease)
            finally:
                lease.close()
            paint = live.sight.picture(point, look, mark_of(actor, look.id) if mark else None)
            picture = await live.decoders.picture(
                data, paint=paint, media_us=media_us, width=width, at_us=at_us, budget_s=DECODE_SECONDS
            )
            signed = with_comment(picture.jpeg, sign(look.id))
            live.governance.serve_look(look.id, len(signed))
        return Response(signed, media_type="image/jpeg", headers=picture_headers(picture.at_us, paint))

    @router.post("/points/{point_id}/ptz", status_code=204)
    async def order_head(actor: Annotated[Actor, allow(Action.PTZ)], point_id: str, order: PtzDto) -> None:
        """Move, focus, presets, home position, switches. Raises 409 while somebody else holds the head."""
        if order.act.value.startswith("cruise"):
            raise Invalid(f"{order.act.value} is for a cruise", "send it to /ptz/cruise")
        point, _ = await _allowed(live, actor, Action.PTZ, point_id)
        made = PtzOrder(
            act=order.act,
            pan=order.pan,
            tilt=order.tilt,
            zoom=order.zoom,
            preset=order.preset,
            name=order.name,
            value=order.value,
        )
        address = await live.address_of(point)
        if order.act not in (Ptz.STOP, Ptz.LENS_STOP):  # a head that moves must stop, whatever can be written
            await live.governance.note_deed(actor, Action.PTZ, [point], order.act.value)
        await live.heads.order(
            address, made, actor=actor.user_id, name=actor.display_name, rank=rank_of(actor), ms=order.ms
        )

    @router.get("/points/{point_id}/ptz")
    async def read_head(actor: ReadsHead, point_id: str) -> HeadDto:
        """Who moves the head now, and whether one may take it over: a higher organisation's order goes first."""
        point, _ = await _allowed(live, actor, Action.PTZ, point_id)
        held = live.heads.holder(point)
        if held is None:
            return HeadDto(holder=None, may_take=True)
        mine = held.actor == actor.user_id
        left = max(0.0, held.until - asyncio.get_running_loop().time())
        told = HolderDto(id=held.actor, name=held.name, seconds=round(left, 1), mine=mine)
        return HeadDto(holder=told, may_take=mine or held.rank < rank_of(actor))

    @router.get("/points/{point_id}/presets")
    async def read_presets(actor: ReadsHead, point_id: str) -> PresetsDto:
        """Stored views of a head, asked of the device."""
        point, _ = await _allowed(live, actor, Action.PTZ, point_id)
        found: Sequence[Preset] = await live.access.presets(await live.address_of(point))
        return PresetsDto(items=[PresetDto(preset=p.number, name=p.name) for p in found], next=None)

    return router


async def _serve(
    live: Live, websocket: WebSocket, actor: Actor, point_id: str, stream: Stream, *, as_h264: bool, with_flow: bool
) -> None:
    await websocket.accept()
    async with viewing(websocket, live.governance, actor) as one:
        point, place = await _allowed(live, actor, Action.VIEW_LIVE, point_id)
        one.look = await live.governance.open_look(actor, Action.VIEW_LIVE, [place], detail=stream.value)
        lease = await live.streams.open(point, stream, why="live", actor=actor.username)
        try:
            async with contextlib.AsyncExitStack() as stack:
                shown = await stack.enter_async_context(live.sight.live(lease, one.look, as_h264=as_h264))
                one.seen = await watch(
                    websocket,
                    lease,
                    live.streams,
                    play=lease.feed.trace.id,
                    serve=one.serve,
                    shown=shown,
                    with_flow=with_flow,
                )
                shown.check()
            if one.seen.is_ended:
                # the child closes its viewers and tells the main process on two ways: wait for why
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(END_SECONDS):
                        await lease.lost()
        finally:
            lease.close()
        if lease.feed.over.is_set():
            await refuse(websocket, Unavailable(lease.feed.detail or "the stream ended"), play=lease.feed.trace.id)
        elif one.seen.is_ended and shown.is_converted:
            await refuse(websocket, Unavailable("the conversion to H.264 ended"), play=lease.feed.trace.id)
        else:
            await hang_up(websocket)


def picture_headers(at_us: int, paint: Paint) -> dict[str, str]:
    """Of a picture of now."""
    return {
        "cache-control": "no-store",
        "x-anwang-at": rfc3339(from_micros(at_us)),
        "x-anwang-masked": str(bool(paint.polygons)).lower(),
    }


async def _allowed(live: Live, actor: Actor, action: Action, point_id: str) -> tuple[PointId, Object]:
    """A point that the actor may do this to. Raises Invalid, NotFound, Denied."""
    point = PointId(parse_uuid(point_id))
    return point, await allowed(live.where, live.governance, actor, action, point)


async def latest(lease: Lease) -> tuple[bytes, int, int]:
    """Init and the running group of pictures as far as it has come, and a moment behind its end: in the media, in µs,
    and on the wall clock.

    What the child has kept comes at once; the first wait is for what the camera has yet to send. Raises NotFound.
    """
    init, pieces, size = b"", list[bytes](), 0
    coming = frames(lease.feed.child.viewers, lease.feed.id)
    async with contextlib.aclosing(coming):
        while size < LONGEST_INPUT:
            try:
                async with asyncio.timeout(AT_ONCE_SECONDS if pieces else None):
                    kind, data = await anext(coming)
            except (TimeoutError, StopAsyncIteration):
                break
            if kind is FrameKind.INIT:
                init, pieces, size = data, [], len(data)
            elif kind is FrameKind.KEY:
                pieces, size = [data], len(init) + len(data)
            elif kind is FrameKind.FRAGMENT and pieces:
                pieces.append(data)
                size += len(data)
    if not pieces:
        raise NotFound("the stream ended before it showed a picture")
    if size > LONGEST_INPUT:
        pieces.pop()
    flow = lease.feed.flow
    if flow is not None and flow.picture_us:
        return init + b"".join(pieces), flow.media_90k * 100 // 9 + BEHIND_US, flow.picture_us + BEHIND_US
    return init + b"".join(pieces), BEHIND_US, lease.ready.at_us + BEHIND_US
