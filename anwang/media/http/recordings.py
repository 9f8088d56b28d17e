"""Routes of recordings: time axis, calendar, playback, clips, pictures, play traces and recording plans."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from anwang.governance import (
    CITY,
    CITY_PATH,
    Action,
    Actor,
    Cursor,
    Governance,
    Limit,
    Object,
    Scope,
    Shape,
    Shared,
    allow,
    governance_of,
)
from anwang.kernel.errors import Invalid, NotFound
from anwang.kernel.ids import PlayId, PointId, SegmentId, parse_uuid
from anwang.kernel.times import Span, from_micros, parse_rfc3339, rfc3339, to_micros
from anwang.media.conversions import As
from anwang.media.export import Clip, Drawing, Export, file_name
from anwang.media.http import asked
from anwang.media.http.streamed import Streamed, byte_range
from anwang.media.looks import RecordingLooks, WhereIs
from anwang.media.model import GapCause
from anwang.media.plans import Hours, Mode, Plan, Plans
from anwang.media.playback import Playback
from anwang.media.plays import Play, Plays
from anwang.media.sight import Sight, mark_of, sign
from anwang.media.snapshot import Snapshots
from anwang.media.timeline import DEFAULT_PIXELS, MOST_POINTS, Axes, Missing, Timeline
from anwang.wire.jpeg import with_comment

PLAYLIST = "application/vnd.apple.mpegurl"
MOST_TOLD_GAPS = 20
#: what is cached belongs to one session, and says the same for as long as its token holds
PIECE_HEADERS = {"cache-control": "private, max-age=3600, immutable"}
FRESH = {"cache-control": "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """What the routes need. plans_changed: told after a plan was changed."""

    timeline: Timeline
    playback: Playback
    export: Export
    snapshots: Snapshots
    sight: Sight
    looks: RecordingLooks
    plans: Plans
    plays: Plays
    where: WhereIs
    plans_changed: Callable[[], None]


class SpanDto(Shape):
    """A recorded stretch, half-open."""

    start: datetime
    end: datetime


class GapDto(Shape):
    """A missing stretch, half-open, and why."""

    start: datetime
    end: datetime
    cause: GapCause
    detail: str


class EventDto(Shape):
    """A mark above the axis. end: null for a moment. count: reports that it stands for, the last at its end."""

    id: str
    kind: str
    at: datetime
    end: datetime | None
    text: str
    count: int


class HoldDto(Shape):
    """A stretch that may not be deleted."""

    id: str
    start: datetime
    end: datetime
    reason: str


class AxisDto(Shape):
    """One point's part of the time axis. growing: it is being recorded now. causes_cut: some old causes were left out,
    their gaps say "unknown". events_cut: there may be older marks than these.
    """

    id: str
    spans: list[SpanDto]
    gaps: list[GapDto]
    events: list[EventDto]
    holds: list[HoldDto]
    growing: bool
    causes_cut: bool
    events_cut: bool


class TimelineDto(Shape):
    """The time axis. resolution_ms: shorter interruptions are not told apart. until: from here on lies the future."""

    start: datetime
    end: datetime
    until: datetime
    resolution_ms: int
    points: list[AxisDto]


class DayDto(Shape):
    """A civil day: whole seconds recorded, and seconds that the plan wanted so far."""

    date: str
    recorded_seconds: int
    planned_seconds: int


class CalendarDto(Shape):
    """The days of a month in the city's civil time."""

    month: str
    days: list[DayDto]


class PlayStepDto(Shape):
    """A step on the way to the first picture."""

    at: datetime
    step: str
    detail: str


class PlayMessageDto(Shape):
    """A wire message, secrets redacted. cut: bytes left out at its end. skipped: messages left out right before it."""

    at: datetime
    outgoing: bool
    text: str
    cut: int
    skipped: int


class PlaySummaryDto(Shape):
    """A play in a list. attempts: more than one where it is a whole outage of a recorded camera."""

    id: str
    point: str
    kind: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str
    verdict: str
    first_picture_ms: int | None
    attempts: int


class PlayDto(PlaySummaryDto):
    """The whole trace of a play."""

    steps: list[PlayStepDto]
    messages: list[PlayMessageDto]


class PlaysDto(Shape):
    """A page of plays, newest first."""

    items: list[PlaySummaryDto]
    next: str | None


class HoursDto(Shape):
    """A stretch of every week: ISO weekdays (1 is Monday) and minutes of the day, half-open."""

    weekdays: list[Annotated[int, Field(ge=1, le=7)]] = Field(min_length=1, max_length=7)
    start_min: int = Field(ge=0, le=1440)
    end_min: int = Field(ge=0, le=1440)


class OnEventDto(Shape):
    """Of a plan on event, in seconds. pre: recorded from before the event, 0: the stream is opened only then. post:
    after the last event. most: after which it ends in any case, until the point was quiet for `post`.
    """

    pre: int = Field(ge=0, le=60)
    post: int = Field(ge=5, le=3600)
    most: int = Field(ge=5, le=86_400)


class NewPlanDto(Shape):
    """A plan to begin, for a point or for a class. priority: 1 is given up last. on_event: for that mode only."""

    point: str | None
    point_class: str | None = Field(max_length=64)
    mode: Mode
    weekly: list[HoursDto] = Field(default_factory=list, max_length=64)
    stream: str = Field(default="main", max_length=16)
    priority: int = Field(default=5, ge=1, le=9)
    on_event: OnEventDto | None = None


class ChangePlanDto(Shape):
    """What the plan shall be from now on. version: the one that was seen."""

    version: int
    mode: Mode
    weekly: list[HoursDto] = Field(default_factory=list, max_length=64)
    stream: str = Field(default="main", max_length=16)
    priority: int = Field(default=5, ge=1, le=9)
    on_event: OnEventDto | None = None


class PlanDto(Shape):
    """A recording plan that holds now. on_event: null in other modes."""

    id: str
    version: int
    point: str | None
    point_class: str | None
    mode: Mode
    weekly: list[HoursDto]
    stream: str
    priority: int
    on_event: OnEventDto | None
    since: datetime


class PlansDto(Shape):
    """A page of plans, by id."""

    items: list[PlanDto]
    next: str | None


From = Annotated[str, Query(alias="from", max_length=40, description="RFC 3339, with offset")]
To = Annotated[str, Query(max_length=40, description="RFC 3339, with offset; not included")]
StreamName = Annotated[str | None, Query(max_length=16, description="main or sub; left out: main where it has any")]
Wanted = Annotated[As | None, Query(alias="as", description="h264: H.265 is converted, for a browser without it")]
Marked = Annotated[bool, Query(description="draw on it who takes it, of which unit, when, and the look's id")]
Token = Annotated[str, Query(max_length=2000, description="of the look, as the playlist says")]
Governed = Annotated[Governance, Depends(governance_of)]
ReadsAxis = Annotated[Actor, allow(Action.READ_TIMELINE, use=None)]
ReadsPlans = Annotated[Actor, allow(Action.READ_TIMELINE)]
Exports = Annotated[Actor, allow(Action.EXPORT, use=None)]
Pictures = Annotated[Actor, allow(Action.SNAPSHOT, shared=Shared.PULL, use=None)]
ReadsDays = Annotated[Actor, allow(Action.READ_TIMELINE, shared=Shared.PULL, use=None)]
Begins = Annotated[Actor, allow(Action.VIEW_PLAYBACK, shared=Shared.PULL, use=None)]
Continues = Annotated[Actor, allow(Action.VIEW_PLAYBACK, shared=Shared.PIECE, use=None)]
ReadsTraces = Annotated[Actor, allow(Action.READ_TRACE)]
Administers = Annotated[Actor, allow(Action.ADMINISTER)]


def build_router(recordings: Recordings) -> APIRouter:
    """The routes, over what `app` has made."""
    router = APIRouter(prefix="/api/v1", tags=["recordings"])
    _add_axis(router, recordings)
    _add_playback(router, recordings)
    _add_clips(router, recordings)
    _add_plays(router, recordings)
    _add_plans(router, recordings)
    return router


async def _seen(
    recordings: Recordings, governance: Governance, actor: Actor, action: Action, text: str
) -> tuple[PointId, Object]:
    return await asked.seen(recordings.where, governance, actor, action, text)


def _span(start: str, end: str) -> Span:
    first, last = to_micros(parse_rfc3339(start)), to_micros(parse_rfc3339(end))
    if last <= first:
        raise Invalid("the range is empty", "`to` must be after `from`")
    return Span(first, last)


# --- time axis -------------------------------------------------------------------------------------------------------


def _add_axis(router: APIRouter, recordings: Recordings) -> None:
    @router.get("/timeline", response_model=TimelineDto)
    async def timeline(
        actor: ReadsAxis,
        governance: Governed,
        points: Annotated[str, Query(max_length=1000, description="1 to 16 ids, comma between")],
        start: From,
        to: To,
        pixels: Annotated[int, Query(ge=100, le=20_000, description="width of the axis")] = DEFAULT_PIXELS,
    ) -> Response:
        """What is recorded, what is missing and why, with events and holds, of at most 31 days."""
        ids = [text for text in dict.fromkeys(points.split(",")) if text]
        if not 1 <= len(ids) <= MOST_POINTS:
            raise Invalid(f"{len(ids)} points at once", f"1 to {MOST_POINTS}")
        seen = [await _seen(recordings, governance, actor, Action.READ_TIMELINE, text) for text in ids]
        for _, place in seen:
            governance.count_use(actor, "timeline", Scope.below(place.org_path))
        axes = await recordings.timeline.of([point for point, _ in seen], _span(start, to), pixels=pixels)
        # up to 64,000 stretches: written at once instead of through a model of each
        return Response(msgspec.json.encode(_axes(axes)), media_type="application/json", headers=FRESH)

    @router.get("/points/{point_id}/calendar")
    async def calendar(
        actor: ReadsDays,
        governance: Governed,
        point_id: str,
        month: Annotated[str, Query(max_length=7, description="such as 2026-11, in the city's civil time")],
    ) -> CalendarDto:
        """On which days of a month something is recorded, and how much."""
        point, place = await _seen(recordings, governance, actor, Action.READ_TIMELINE, point_id)
        governance.count_use(actor, "timeline", Scope.below(place.org_path))
        days = await recordings.timeline.calendar(point, month)
        return CalendarDto(
            month=month,
            days=[
                DayDto(date=day.date, recorded_seconds=day.recorded_s, planned_seconds=day.planned_s) for day in days
            ],
        )


def _iso(micros: int) -> str:
    return rfc3339(from_micros(micros))


def _axes(axes: Axes) -> dict[str, Any]:
    """The shape of TimelineDto."""
    return {
        "start": _iso(axes.span.start),
        "end": _iso(axes.span.end),
        "until": _iso(axes.until_us),
        "resolution_ms": axes.resolution_us // 1000,
        "points": [
            {
                "id": axis.point,
                "spans": [{"start": _iso(one.start), "end": _iso(one.end)} for one in axis.spans],
                "gaps": [
                    {"start": _iso(one.start_us), "end": _iso(one.end_us), "cause": one.cause, "detail": one.detail}
                    for one in axis.gaps
                ],
                "events": [
                    {
                        "id": one.id,
                        "kind": one.kind,
                        "at": _iso(one.at_us),
                        "end": None if one.end_us is None else _iso(one.end_us),
                        "text": one.text,
                        "count": one.count,
                    }
                    for one in axis.events
                ],
                "holds": [
                    {"id": one.id, "start": _iso(one.start_us), "end": _iso(one.end_us), "reason": one.reason}
                    for one in axis.holds
                ],
                "growing": axis.growing,
                "causes_cut": axis.causes_cut,
                "events_cut": axis.events_cut,
            }
            for axis in axes.points
        ],
    }


# --- playback --------------------------------------------------------------------------------------------------------


def _add_playback(router: APIRouter, recordings: Recordings) -> None:
    @router.get("/points/{point_id}/playback.m3u8", response_class=Response)
    async def playlist(
        actor: Begins,
        governance: Governed,
        point_id: str,
        start: From,
        to: To,
        stream: StreamName = None,
        wanted: Wanted = None,
    ) -> Response:
        """HLS over at most 24 hours of recordings; grows while the range reaches into the future.

        as=h264: H.265 is converted as it is asked for.
        """
        point, _ = await _seen(recordings, governance, actor, Action.READ_TIMELINE, point_id)
        text = await recordings.playback.playlist(
            actor, point, _span(start, to), stream=stream, as_h264=wanted is As.H264
        )
        return Response(text, media_type=PLAYLIST, headers=FRESH)

    @router.get("/media/{segment_id}/init.mp4", response_class=Response)
    async def init(request: Request, actor: Continues, segment_id: str, look: Token, wanted: Wanted = None) -> Response:
        """The init part of a segment."""
        as_h264 = wanted is As.H264
        work = recordings.playback.init(actor, look, _segment(segment_id), as_h264=as_h264)
        data = await asked.while_there(request, work)
        return Response(data, media_type="video/mp4", headers=PIECE_HEADERS)

    @router.get("/media/{segment_id}/{first}-{last}.m4s", response_class=Response)
    async def piece(
        request: Request, actor: Continues, segment_id: str, first: int, last: int, look: Token, wanted: Wanted = None
    ) -> Response:
        """Bytes [first, last) of a segment, as the playlist names them, with their times on the wall clock."""
        as_h264 = wanted is As.H264
        work = recordings.playback.piece(actor, look, _segment(segment_id), first, last, as_h264=as_h264)
        data = await asked.while_there(request, work)
        return Response(data, media_type="video/mp4", headers=PIECE_HEADERS)

    @router.get("/points/{point_id}/snapshot.jpg", response_class=Response)
    async def snapshot(
        actor: Pictures,
        governance: Governed,
        point_id: str,
        at: Annotated[str, Query(max_length=40, description="RFC 3339, with offset")],
        width: Annotated[int, Query(ge=0, le=8192, description="pixels; 0: as recorded")] = 0,
        exact: Annotated[bool, Query(description="false: the key frame before, which is faster")] = True,
        mark: Marked = False,
    ) -> Response:
        """The recorded picture of a moment, as JPEG; `X-Anwang-Masked` says whether masks are drawn on it."""
        point, _ = await _seen(recordings, governance, actor, Action.READ_TIMELINE, point_id)
        moment = to_micros(parse_rfc3339(at))
        look = await recordings.looks.open(actor, Action.SNAPSHOT, point, Span(moment, moment + 1000))
        paint = recordings.sight.past(point, look, mark_of(actor, look.id) if mark else None)
        picture = await recordings.snapshots.at(point, moment, paint=paint, width=width, exact=exact)
        signed = with_comment(picture.jpeg, sign(look.id))
        recordings.looks.serve(look, len(signed))
        headers = FRESH if paint else PIECE_HEADERS
        told = {"x-anwang-time": _iso(picture.at_us), "x-anwang-masked": str(bool(paint.polygons)).lower()}
        return Response(signed, media_type="image/jpeg", headers=headers | told)


def _segment(text: str) -> SegmentId:
    try:
        return SegmentId(parse_uuid(text))
    except Invalid:
        raise NotFound("this piece of video does not exist", "load the playlist again") from None


# --- clips -----------------------------------------------------------------------------------------------------------


def _add_clips(router: APIRouter, recordings: Recordings) -> None:
    @router.head("/points/{point_id}/clip.mp4", response_class=StreamingResponse, include_in_schema=False)
    @router.get("/points/{point_id}/clip.mp4", response_class=StreamingResponse)
    async def clip(
        request: Request,
        actor: Exports,
        governance: Governed,
        point_id: str,
        start: From,
        to: To,
        stream: StreamName = None,
        mark: Marked = False,
        range: Annotated[str, Header(max_length=200)] = "",
        if_range: Annotated[str, Header(max_length=200)] = "",
    ) -> Response:
        """A range of at most six hours as one MP4, as recorded; gaps are left out and told in X-Anwang-Gaps.

        Where masks or a mark are drawn on it, it is H.264, made while it is sent, without a length or ranges.
        """
        point, place = await _seen(recordings, governance, actor, Action.READ_TIMELINE, point_id)
        span = _span(start, to)
        made, look = await recordings.export.clip(actor, point, span, stream=stream, marked=mark)
        if isinstance(made, Drawing):
            told = FRESH | _clip_headers(place.name, made) | {"x-anwang-drawn": "true"}
            film = recordings.export.draw(made, look)
            # what cannot even be begun is refused in words, not by a connection that breaks off
            begun = b"" if request.method == "HEAD" else await asked.while_there(request, anext(film))
            return Streamed(_from(begun, film), told, 200, media_type="video/mp4")
        first, last = 0, made.size
        tag = f'"{made.tag}"'
        wanted = byte_range(range, made.size) if not if_range or if_range == tag else None
        headers = {
            "accept-ranges": "bytes",
            "etag": tag,
            "cache-control": "private, no-cache",
            **_clip_headers(place.name, made),
        }
        if wanted is not None:
            first, last = wanted
            if first >= last:
                return Response(status_code=416, headers={"content-range": f"bytes */{made.size}"})
            headers["content-range"] = f"bytes {first}-{last - 1}/{made.size}"
        headers["content-length"] = str(last - first)
        read = recordings.export.read(made, look, first, last)
        return Streamed(read, headers, 200 if wanted is None else 206, media_type="video/mp4")


async def _from(begun: bytes, film: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The whole film, of which the first block has been taken."""
    yield begun
    async for block in film:
        yield block


def _clip_headers(name: str, made: Clip | Drawing) -> dict[str, str]:
    return {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(file_name(name, made.span))}",
        "x-anwang-span": made.span.told(),
        "x-anwang-gaps": _told(made.gaps),
    }


def _told(gaps: Sequence[Missing]) -> str:
    told = [f"{_iso(gap.start_us)}/{_iso(gap.end_us)};{gap.cause}" for gap in gaps[:MOST_TOLD_GAPS]]
    if len(gaps) > MOST_TOLD_GAPS:
        told.append(f"and {len(gaps) - MOST_TOLD_GAPS} more")
    return ", ".join(told) or "none"


# --- traces ----------------------------------------------------------------------------------------------------------


def _add_plays(router: APIRouter, recordings: Recordings) -> None:
    @router.get("/plays")
    async def plays(
        actor: ReadsTraces,
        governance: Governed,
        point: Annotated[str, Query(max_length=64)],
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> PlaysDto:
        """The plays of a point in the last 30 days, newest first."""
        id, _ = await _seen(recordings, governance, actor, Action.READ_TRACE, point)
        found = await recordings.plays.of(id, limit=limit + 1, before=_unpacked(cursor))
        last = found[limit - 1] if len(found) > limit else None
        return PlaysDto(
            items=[PlaySummaryDto(**_summary(one)) for one in found[:limit]],
            next=None if last is None else _packed(last),
        )

    @router.get("/plays/{play_id}")
    async def play(actor: ReadsTraces, governance: Governed, play_id: str) -> PlayDto:
        """Every step and message of a play, and what it says."""
        one = await recordings.plays.get(PlayId(play_id))
        try:
            await _seen(recordings, governance, actor, Action.READ_TRACE, one.point)
        except NotFound:
            raise recordings.plays.unknown(one.id) from None
        return PlayDto(
            **_summary(one),
            steps=[PlayStepDto(at=from_micros(step.at_us), step=step.step, detail=step.detail) for step in one.steps],
            messages=[
                PlayMessageDto(
                    at=from_micros(told.at_us),
                    outgoing=told.outgoing,
                    text=told.text,
                    cut=told.cut,
                    skipped=told.skipped,
                )
                for told in one.messages
            ],
        )


def _summary(one: Play) -> dict[str, Any]:
    return {
        "id": one.id,
        "point": one.point,
        "kind": one.kind,
        "started_at": from_micros(one.started_us),
        "finished_at": None if one.finished_us is None else from_micros(one.finished_us),
        "outcome": one.outcome,
        "verdict": one.verdict,
        "first_picture_ms": one.first_picture_ms,
        "attempts": one.attempts,
    }


def _packed(one: Play) -> str:
    return base64.urlsafe_b64encode(f"{one.started_us} {one.id}".encode()).decode()


def _unpacked(cursor: str) -> tuple[int, PlayId] | None:
    if not cursor:
        return None
    try:
        started, id = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        return int(started), PlayId(id)
    except (ValueError, binascii.Error):
        raise Invalid("this cursor is not one of ours", "begin without one") from None


# --- plans -----------------------------------------------------------------------------------------------------------


def _add_plans(router: APIRouter, recordings: Recordings) -> None:
    async def owner(governance: Governance, actor: Actor, action: Action, plan: Plan) -> None:
        """Class-wide plans are the city's. Raises NotFound, Denied."""
        if plan.point is None:
            governance.require(actor, action, Object(CITY, CITY_PATH))
        else:
            await _seen(recordings, governance, actor, action, plan.point)

    async def held(governance: Governance, actor: Actor, plan_id: str) -> Plan:
        """A plan that the actor may change. Raises NotFound, Denied."""
        plan = await recordings.plans.get(plan_id)
        try:
            await owner(governance, actor, Action.ADMINISTER, plan)
        except NotFound:
            raise recordings.plans.unknown(plan_id) from None
        return plan

    @router.get("/recording-plans")
    async def plans(actor: ReadsPlans, governance: Governed, cursor: Cursor = "", limit: Limit = 200) -> PlansDto:
        """The plans that hold now: those of classes, and of points that one may see."""
        scope = governance.scope(actor, Action.READ_TIMELINE)
        found = await recordings.plans.current(limit=limit + 1, after=cursor)
        shown = [one for one in found[:limit] if one.point is None or await _covers(recordings, scope, one.point)]
        return PlansDto(items=[_plan(one) for one in shown], next=found[limit - 1].id if len(found) > limit else None)

    @router.post("/recording-plans", status_code=201)
    async def begin_plan(actor: Administers, governance: Governed, body: NewPlanDto) -> PlanDto:
        """Begin a plan now. A point with plans of its own does not follow its class's."""
        wanted = Plan(
            id="",
            version=0,
            point=None if body.point is None else PointId(body.point),
            point_class=body.point_class,
            mode=body.mode,
            weekly=_hours(body.weekly),
            stream=body.stream,
            priority=body.priority,
            **_seconds(body.on_event),
        )
        await owner(governance, actor, Action.ADMINISTER, wanted)
        await governance.note_deed(actor, Action.ADMINISTER, [_whom(wanted)], f"recording plan: {body.mode}")
        made = await recordings.plans.add(wanted)
        recordings.plans_changed()
        return _plan(made)

    @router.put("/recording-plans/{plan_id}")
    async def change_plan(actor: Administers, governance: Governed, plan_id: str, body: ChangePlanDto) -> PlanDto:
        """Let the plan be this from now on; the past keeps what it was."""
        old = await held(governance, actor, plan_id)
        wanted = msgspec.structs.replace(
            old,
            version=body.version,
            mode=body.mode,
            weekly=_hours(body.weekly),
            stream=body.stream,
            priority=body.priority,
            **_seconds(body.on_event),
        )
        await governance.note_deed(actor, Action.ADMINISTER, [_whom(old)], f"recording plan {old.id}: {body.mode}")
        made = await recordings.plans.change(wanted)
        recordings.plans_changed()
        return _plan(made)

    @router.delete("/recording-plans/{plan_id}", status_code=204)
    async def end_plan(
        actor: Administers, governance: Governed, plan_id: str, version: Annotated[int, Query(ge=1)]
    ) -> None:
        """The plan ends now."""
        old = await held(governance, actor, plan_id)
        await governance.note_deed(actor, Action.ADMINISTER, [_whom(old)], f"recording plan {old.id} ends")
        await recordings.plans.end(plan_id, version)
        recordings.plans_changed()


async def _covers(recordings: Recordings, scope: Scope, point: PointId) -> bool:
    try:
        return scope.covers(await recordings.where(point))
    except NotFound:
        return False


def _whom(plan: Plan) -> str:
    return plan.point or f"class {plan.point_class}"


def _seconds(wanted: OnEventDto | None) -> dict[str, int]:
    """As Plan says it; empty where nothing is asked for."""
    return {} if wanted is None else {"pre_s": wanted.pre, "post_s": wanted.post, "most_s": wanted.most}


def _hours(weekly: Sequence[HoursDto]) -> tuple[Hours, ...]:
    return tuple(Hours(weekdays=tuple(one.weekdays), start_min=one.start_min, end_min=one.end_min) for one in weekly)


def _plan(one: Plan) -> PlanDto:
    return PlanDto(
        id=one.id,
        version=one.version,
        point=one.point,
        point_class=one.point_class,
        mode=one.mode,
        weekly=[
            HoursDto(weekdays=list(each.weekdays), start_min=each.start_min, end_min=each.end_min)
            for each in one.weekly
        ],
        stream=one.stream,
        priority=one.priority,
        on_event=OnEventDto(pre=one.pre_s, post=one.post_s, most=one.most_s) if one.mode is Mode.ON_EVENT else None,
        since=from_micros(one.since_us),
    )
