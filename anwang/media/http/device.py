"""Routes of what devices keep themselves: their recordings, cruises, home position, and pictures they take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import Field

from anwang.access import (
    Access,
    Address,
    Answered,
    DeviceRecord,
    DeviceRecords,
    Heads,
    Ptz,
    PtzOrder,
    RecordSort,
    Stream,
)
from anwang.governance import Action, Actor, Governance, Object, Scope, Shape, allow, public
from anwang.kernel.errors import AnwangError, Exhausted, Invalid, Unavailable, Unsupported, WireError
from anwang.kernel.ids import PointId
from anwang.kernel.times import BEIJING, Span, parse_rfc3339, rfc3339, to_micros
from anwang.media.door import LARGEST_BYTES, UploadDoor
from anwang.media.export import file_name
from anwang.media.http.asked import hang_up, seen, viewing
from anwang.media.http.live import ReadsHead, picture_headers, rank_of
from anwang.media.live import Streams
from anwang.media.looks import WhereIs
from anwang.media.past import DeviceClip, DevicePlayback, Wanted
from anwang.media.sight import Sight, mark_of, sign
from anwang.media.snapshot import DecodePool
from anwang.runtime.clock import Clock
from anwang.wire.jpeg import with_comment

UPLOADS, UPLOAD_BYTES = "/api/v1/device-uploads", LARGEST_BYTES
LONGEST_SEARCH = timedelta(days=31)
LONGEST_PLAYBACK = timedelta(hours=24)
LONGEST_CLIP = timedelta(hours=6)
#: civil days that one page asks a device for, each a question of its own
DAYS_A_PAGE = 7
MOST_SILENCES = 2
SNAPSHOT_SECONDS = 20.0
FRESH = {"cache-control": "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSide:
    """What the routes need. upload_url: where devices reach our HTTP, given our host as a device sees it."""

    streams: Streams
    access: Access
    heads: Heads
    governance: Governance
    door: UploadDoor
    decoders: DecodePool
    sight: Sight
    clock: Clock
    where: WhereIs
    address_of: Callable[[PointId], Awaitable[Address]]
    upload_url: Callable[[str], str]


class DeviceRecordDto(Shape):
    """A file on the device, clipped to what was asked for. kind: time, alarm, manual, or the device's own word."""

    start: datetime
    end: datetime
    name: str
    kind: str
    size_bytes: int | None
    place: str


class DeviceRecordsDto(Shape):
    """A page of a device's recordings. answered: the worst of this page's answers. announced: how many files the device
    spoke of. unusable: entries without a readable time, left out. asked_until: up to where this page asked.
    """

    items: list[DeviceRecordDto]
    next: str | None
    answered: Answered
    announced: int
    unusable: int
    asked_until: datetime


class CruiseStopDto(Shape):
    """A stop of a cruise. stay_s, speed (1..15): null where the device does not say."""

    preset: int
    stay_s: int | None
    speed: int | None


class CruiseDto(Shape):
    """A cruise (巡航轨迹)."""

    track: int
    name: str
    stops: list[CruiseStopDto]


class CruisesDto(Shape):
    """The cruises of a head. listed: false where the device can't tell them; they can be started by number even so."""

    items: list[CruiseDto]
    next: None
    listed: bool
    reason: str


class CruiseAct(StrEnum):
    """What to do with a cruise."""

    START = "start"
    STOP = "stop"
    ADD = "add"
    REMOVE = "remove"
    CLEAR = "clear"
    SPEED = "speed"
    DWELL = "dwell"


class CruiseOrderDto(Shape):
    """One order to a cruise. preset: for add and remove. value: speed, or seconds at each stop, for speed and dwell."""

    act: CruiseAct
    track: int = Field(0, ge=0, le=255)
    preset: int = Field(0, ge=0, le=255)
    value: int = Field(0, ge=0, le=4095)
    name: str = Field("", max_length=32)


class HomeDto(Shape):
    """The home position (看守位). known: false where the device can't tell it; it can be set even so."""

    known: bool
    is_on: bool
    reset_s: int | None
    preset: int | None
    reason: str


class UploadedDto(Shape):
    """What a device's upload was taken for."""

    bytes: int


From = Annotated[str, Query(alias="from", max_length=40, description="RFC 3339, with offset")]
To = Annotated[str, Query(max_length=40, description="RFC 3339, with offset; not included")]


def build_router(side: DeviceSide) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["devices' own recordings"])
    _add_records(router, side)
    _add_heads(router, side)
    _add_snapshot(router, side)
    return router


async def _seen(side: DeviceSide, actor: Actor, action: Action, text: str) -> tuple[PointId, Object]:
    return await seen(side.where, side.governance, actor, action, text)


def _span(start: str, end: str, longest: timedelta) -> tuple[datetime, datetime]:
    """Whole seconds, widened. Raises Invalid."""
    first, last = parse_rfc3339(start), parse_rfc3339(end)
    if last <= first:
        raise Invalid("the range is empty", "`to` must be after `from`")
    first = first.replace(microsecond=0)
    if last.microsecond:
        last = last.replace(microsecond=0) + timedelta(seconds=1)
    if last - first > longest:
        raise Invalid(f"a range of {last - first}", f"ask for at most {longest} at once")
    return first, last


def _micros(first: datetime, last: datetime) -> Span:
    return Span(to_micros(first), to_micros(last))


def _said(start: datetime, end: datetime, more: str = "") -> str:
    return f"on the device {rfc3339(start)}/{rfc3339(end)} {more}".rstrip()


# --- recordings ------------------------------------------------------------------------------------------------------


def _add_records(router: APIRouter, side: DeviceSide) -> None:
    @router.get("/points/{point_id}/device-records")
    async def device_records(
        actor: Annotated[Actor, allow(Action.READ_TIMELINE, use=None)],
        point_id: str,
        start: From,
        to: To,
        kind: RecordSort = RecordSort.ALL,
        limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
        cursor: Annotated[str, Query(max_length=40)] = "",
    ) -> DeviceRecordsDto:
        """What the device itself has recorded, asked of it now, day by day, of at most 31 days."""
        point, place = await _seen(side, actor, Action.READ_TIMELINE, point_id)
        first, last = _span(start, to, LONGEST_SEARCH)
        if cursor:
            first = max(first, parse_rfc3339(cursor))
            if first >= last:
                raise Invalid("this cursor is not of this range", "begin without one")
        side.governance.count_use(actor, "device_records", Scope.below(place.org_path))
        return await _search(side, await side.address_of(point), first, last, kind, limit)

    @router.websocket("/points/{point_id}/device-playback")
    async def play_device(
        websocket: WebSocket,
        actor: Annotated[Actor, allow(Action.VIEW_PLAYBACK)],
        point_id: str,
        start: From = "",
        to: To = "",
        at: Annotated[str, Query(max_length=40, description="where to begin; left out: at from")] = "",
        stream: Stream = Stream.MAIN,
    ) -> None:
        """A recording of at most 24 hours from the device: text and fMP4 as `/live` has them, with `position` (the
        recorded moment at time zero), `from`, `to`, `scale`. The viewer steers with {"act": "seek", "at"}, {"act":
        "pause"}, {"act": "resume", "at"}, {"act": "scale", "factor"}; answers are {done}, {refused}, {note}, {ended}.
        """
        await _play(side, websocket, actor, point_id, (start, to, at), stream)

    @router.get("/points/{point_id}/device-clip.mp4", response_class=StreamingResponse)
    async def device_clip(
        actor: Annotated[Actor, allow(Action.EXPORT, use=None)],
        point_id: str,
        start: From,
        to: To,
        stream: Stream = Stream.MAIN,
        speed: Annotated[int, Query(ge=1, le=16, description="times real time; the device may know fewer")] = 4,
    ) -> Response:
        """A recording of at most six hours downloaded from the device as fragmented MP4, at its own speed.

        X-Anwang-Device-Bytes: its size, where the device tells it. A connection that breaks off is a file that is not
        whole.
        """
        point, place = await _seen(side, actor, Action.READ_TIMELINE, point_id)
        first, last = _span(start, to, LONGEST_CLIP)
        look = await side.governance.open_look(
            actor,
            Action.EXPORT,
            [place],
            span=_micros(first, last),
            detail=_said(first, last, stream.value),
        )
        outcome = "the device did not send"

        async def close(said: str) -> None:
            await asyncio.shield(side.governance.close_look(look, outcome=said))

        try:
            wanted = Wanted(point=point, stream=stream, start=first, end=last, actor=actor.username)
            clip = await DeviceClip.open(
                side.streams,
                wanted,
                speed=speed,
                source=lambda lease: side.sight.device_frames(lease, look),
                comment=sign(look.id),
                served=lambda size: side.governance.serve_look(look.id, size),
            )
        except AnwangError as err:
            await close(err.reason)
            raise
        except BaseException:
            await close(outcome)
            raise
        span = _micros(first, last)
        headers = FRESH | {
            "content-disposition": f"attachment; filename*=UTF-8''{quote(file_name(place.name, span))}",
            "x-anwang-span": span.told(),
        }
        if clip.file_bytes is not None:
            headers["x-anwang-device-bytes"] = str(clip.file_bytes)
        return _Download(clip, close, headers)


class _Download(StreamingResponse):
    """Bytes as the device sends them; its call ends with the connection, whoever ends that."""

    def __init__(self, clip: DeviceClip, close: Callable[[str], Awaitable[None]], headers: dict[str, str]) -> None:
        self._clip = clip
        self._close = close
        self._outcome = "the viewer has gone"
        super().__init__(self._data(), media_type="video/mp4", headers=headers)

    async def _data(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._clip.data():
                yield part
        except AnwangError as err:
            self._outcome = err.reason
            raise
        self._outcome = "ended"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """See Response."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._clip.close()
            await self._close(self._outcome)


async def _search(
    side: DeviceSide, address: Address, first: datetime, last: datetime, kind: RecordSort, limit: int
) -> DeviceRecordsDto:
    """Day by day, until the page is full, the range is over or the device has been silent too often.

    Some devices say nothing where a day is empty, so one silence ends nothing, but costs its patience.
    """
    archive = side.access.archive(address)
    items: dict[tuple[datetime, datetime, str], DeviceRecord] = {}
    answered: set[Answered] = set()
    announced = unusable = silences = 0
    at = first
    for _ in range(DAYS_A_PAGE):
        midnight = (at.astimezone(BEIJING) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        until = min(last, midnight)
        found: DeviceRecords = await archive.records(address, at, until, kind)
        # recorders repeat files, and tell those that cross midnight twice: clipped, they are two
        items |= {(one.start, one.end, one.sort): one for one in found.items}
        announced += found.announced or 0
        unusable += found.unusable
        at = until
        answered.add(found.answered)
        silences += found.answered is Answered.SILENT
        if silences >= MOST_SILENCES or at >= last or len(items) >= limit:
            break
    worst = next(one for one in (Answered.PARTIAL, Answered.SILENT, Answered.COMPLETE) if one in answered)
    return DeviceRecordsDto(
        items=[
            DeviceRecordDto(
                start=one.start, end=one.end, name=one.name, kind=one.sort, size_bytes=one.size_bytes, place=one.place
            )
            for one in items.values()
        ],
        next=None if at >= last else rfc3339(at),
        answered=worst,
        announced=announced,
        unusable=unusable,
        asked_until=at,
    )


async def _play(
    side: DeviceSide, websocket: WebSocket, actor: Actor, point_id: str, times: tuple[str, str, str], stream: Stream
) -> None:
    await websocket.accept()
    async with viewing(websocket, side.governance, actor) as one:
        point, place = await _seen(side, actor, Action.VIEW_PLAYBACK, point_id)
        first, last = _span(times[0], times[1], LONGEST_PLAYBACK)
        begin = parse_rfc3339(times[2]) if times[2] else first
        if not first <= begin < last:
            raise Invalid("`at` is outside of the range", "from <= at < to")
        one.look = await side.governance.open_look(
            actor,
            Action.VIEW_PLAYBACK,
            [place],
            span=_micros(first, last),
            detail=_said(first, last, stream.value),
        )
        wanted = Wanted(point=point, stream=stream, start=first, end=last, actor=actor.username, begin=begin)
        look = one.look
        playback = DevicePlayback(
            websocket, side.streams, side.clock, wanted, one.serve, lambda lease: side.sight.device_frames(lease, look)
        )
        one.seen = playback.seen
        await playback.run()
        await hang_up(websocket)


# --- heads -----------------------------------------------------------------------------------------------------------


def _add_heads(router: APIRouter, side: DeviceSide) -> None:
    @router.get("/points/{point_id}/ptz/cruise")
    async def read_cruises(actor: ReadsHead, point_id: str) -> CruisesDto:
        """The cruises of a head, asked of the device; before the edition of 2022 none can be listed."""
        point, _ = await _seen(side, actor, Action.PTZ, point_id)
        address = await side.address_of(point)
        try:
            found = await side.access.archive(address).cruises(address)
        except Unsupported as err:
            return CruisesDto(items=[], next=None, listed=False, reason=err.reason)
        return CruisesDto(
            items=[
                CruiseDto(
                    track=one.number,
                    name=one.name,
                    stops=[CruiseStopDto(preset=s.preset, stay_s=s.stay_s, speed=s.speed) for s in one.stops],
                )
                for one in found
            ],
            next=None,
            listed=True,
            reason="",
        )

    @router.post("/points/{point_id}/ptz/cruise", status_code=204)
    async def order_cruise(actor: Annotated[Actor, allow(Action.PTZ)], point_id: str, order: CruiseOrderDto) -> None:
        """Start, stop and make cruises. Raises 409 while somebody else holds the head."""
        point, _ = await _seen(side, actor, Action.PTZ, point_id)
        act = Ptz(f"cruise_{order.act.value}")
        made = PtzOrder(act=act, preset=order.preset, name=order.name, track=order.track, value=order.value)
        address = await side.address_of(point)

        async def note() -> None:
            await side.governance.note_deed(actor, Action.PTZ, [point], f"{act.value} {order.track}")

        if order.act is not CruiseAct.STOP:
            await note()
        await side.heads.order(address, made, actor=actor.user_id, name=actor.display_name, rank=rank_of(actor))
        if order.act is CruiseAct.STOP:  # a head that moves must stop, whatever can be written
            await note()

    @router.get("/points/{point_id}/ptz/home")
    async def read_home(actor: ReadsHead, point_id: str) -> HomeDto:
        """The home position, asked of the device; set it with the acts home_on and home_off of `/ptz`."""
        point, _ = await _seen(side, actor, Action.PTZ, point_id)
        address = await side.address_of(point)
        try:
            found = await side.access.archive(address).home(address)
        except Unsupported as err:
            return HomeDto(known=False, is_on=False, reset_s=None, preset=None, reason=err.reason)
        if found is None:
            return HomeDto(known=True, is_on=False, reset_s=None, preset=None, reason="")
        return HomeDto(known=True, is_on=found.is_on, reset_s=found.reset_s, preset=found.preset, reason="")


# --- pictures that devices take --------------------------------------------------------------------------------------


def _add_snapshot(router: APIRouter, side: DeviceSide) -> None:
    @router.post("/points/{point_id}/device-snapshot", response_class=Response)
    async def take_device_snapshot(
        actor: Annotated[Actor, allow(Action.SNAPSHOT)],
        point_id: str,
        mark: Annotated[
            bool, Query(description="draw on it who takes it, of which unit, when, and the look's id")
        ] = False,
    ) -> Response:
        """A picture that the device takes and uploads itself (2022), as JPEG in its full size."""
        point, place = await _seen(side, actor, Action.SNAPSHOT, point_id)
        address = await side.address_of(point)
        archive = side.access.archive(address)
        async with side.governance.look(actor, Action.SNAPSHOT, [place], detail="taken by the device") as look:
            with side.door.expect(address.device) as visit:
                base = side.upload_url(archive.our_host(address))
                await archive.snap(address, url=f"{base}{UPLOADS}/{visit.token}", session=visit.session)
                taken = await visit.wait(SNAPSHOT_SECONDS)
            at_us = side.clock.micros()
            paint = side.sight.picture(point, look, mark_of(actor, look.id) if mark else None)
            if paint:
                taken = (await side.decoders.picture(taken, paint=paint, at_us=at_us)).jpeg
            try:
                signed = with_comment(taken, sign(look.id))
            except WireError as err:
                raise Unavailable("the picture of the device is broken", "let it take another") from err
            side.governance.serve_look(look.id, len(signed))
        return Response(signed, media_type="image/jpeg", headers=picture_headers(at_us, paint))

    async def upload(token: str, request: Request) -> UploadedDto:
        """A picture from a device that was asked for one; the address is good for one picture."""
        side.door.check(token)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_BYTES:
                raise Exhausted(f"a picture above {LARGEST_BYTES} bytes", "send a smaller one")
        return UploadedDto(bytes=side.door.take(token, bytes(body), request.headers.get("content-type", "")))

    reason = public("devices have no account: an unguessable address, good for one picture, is their key")
    for method in ("POST", "PUT"):
        router.add_api_route(
            "/device-uploads/{token}", upload, methods=[method], dependencies=[reason], status_code=200,
            operation_id=f"upload_device_picture_{method.lower()}",
        )  # fmt: skip
