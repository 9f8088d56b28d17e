"""Routes of the registry. Every route asks governance first and begins its query with what the asker may see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Any, Literal, Protocol

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from anwang.governance import EVERYTHING, Scope
from anwang.kernel.errors import Denied, Invalid
from anwang.kernel.geo import Box, Datum
from anwang.kernel.times import from_micros, parse_rfc3339, to_micros
from anwang.registry.drift import Drift, Drifts, Standing
from anwang.registry.drift.model import Changes, Kind, Origin
from anwang.registry.export import Columns, as_csv, as_xlsx
from anwang.registry.fields import FIELDS, SHAREABLE, STATE, Generation
from anwang.registry.files import record_of
from anwang.registry.history import StateHistory
from anwang.registry.imports import Import, ImportKind, ImportOptions, Imports, ImportStatus
from anwang.registry.model import (
    Counts,
    Device,
    DeviceStatus,
    FileValue,
    FileVersion,
    FindingFilter,
    FindingView,
    Lifecycle,
    LiveState,
    Moving,
    Named,
    Organisation,
    OrgKind,
    Point,
    PointClass,
    PointFilter,
    PointKind,
    PointView,
    Policies,
    Severity,
    State,
    Tally,
)
from anwang.registry.quality import BY_ID, RULES
from anwang.registry.service import Registry, cursor_of, read_cursor
from anwang.registry.told import Place, SelfReport
from anwang.registry.vocabulary import ENTRIES, Entry, Form

TILE = "application/vnd.mapbox-vector-tile"
FORMS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
WEEK_US = 7 * 86_400_000_000
SNAPSHOT = 20_000
"""States sent at once to a reader without a cursor."""
NONE = "none"
"""What a filter says when nothing of a sort is to be shown."""


class Person(Protocol):
    """What routes need of governance's actor. user_id: written where someone changes something."""

    @property
    def scope(self) -> Scope:
        """What is seen."""

    @property
    def user_id(self) -> str:
        """The account."""

    @property
    def fields(self) -> Collection[str] | None:
        """Keys of what may be told of a point; None: all."""

    @property
    def username(self) -> str:
        """What the account is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Governance, as routes need it.

    allow: a dependency that yields the Person, by the action's name, and as what a GET is counted ("": the first word
    of its path, None: it is not); shared: one that lets programs of other departments in, too. deed: writes what
    someone is about to change, exported what someone is about to take away as a file; both raise Unavailable when they
    can't.
    """

    allow: Callable[[str, str | None], Any]
    shared: Callable[[str, str | None], Any]
    deed: Callable[[Any, str, Sequence[str], str], Awaitable[None]]
    exported: Callable[[Any, str], Awaitable[None]]


# --- shapes ----------------------------------------------------------------------------------------------------------


class Shape(BaseModel):
    """Base of DTOs: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=4096)


class NamedDto(Shape):
    """An id with its name."""

    id: str
    name: str


class PlaceDto(Shape):
    """A division's code and name."""

    code: str
    name: str


class OrgDto(NamedDto):
    """An organisation with the way to it from the city."""

    path: list[NamedDto]


class PointDto(Shape):
    """A point as a list shows it. class: 1, 2, 3, 4 (inside police premises), 9. longitude, latitude: WGS-84."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    id: str
    code: str
    name: str
    kind: str
    point_class: int = Field(alias="class")
    longitude: float | None
    latitude: float | None
    state: str
    state_since: datetime | None
    ptz: bool
    camera_type: str | None
    lifecycle: str
    division: PlaceDto | None
    organisation: OrgDto | None
    owner_role_names: list[str]
    streams: list[str]
    address: str | None
    recording: bool
    heading: float | None
    fov: float | None
    version: int


class FieldDto(Shape):
    """One field of a camera file."""

    key: str
    label: str
    value: str | int | float | bool | None


class OwnersDto(Shape):
    """Who paid, owns, maintains, and may see."""

    paid: NamedDto | None
    owns: NamedDto | None
    maintains: NamedDto | None
    may_see: list[NamedDto]


class PointDetailDto(PointDto):
    """A point with its file."""

    file: list[FieldDto]
    owners: OwnersDto
    gateway: str | None
    device_id: str | None
    channel_id: str | None


class PointsDto(Shape):
    """Points, and the cursor of the next ones."""

    items: list[PointDto]
    next: str | None


class SharedPointDto(Shape):
    """A point as another department's program gets it: file has the agreed fields that are known, and no others."""

    id: str
    code: str
    file: list[FieldDto]


class SharedPointsDto(Shape):
    """Such points, and the cursor of the next ones."""

    items: list[SharedPointDto]
    next: str | None


class EvidenceItemDto(Shape):
    """The newest evidence of a kind; at is null where there never was any."""

    kind: str
    at: datetime | None
    age_s: float | None
    source: str | None
    detail: str | None
    ok: bool


class PositionDto(Shape):
    """Where a moving point said it was last; WGS-84. at: when it was there, as it says."""

    longitude: float
    latitude: float
    speed_kmh: float | None
    direction_deg: float | None
    altitude_m: float | None
    at: datetime | None
    received_at: datetime
    age_s: float


class DutyDto(Shape):
    """An alarm input of a device: armed (ONDUTY), disarmed (OFFDUTY) or in alarm (ALARM)."""

    input: str
    duty: str


class SelfReportDto(Shape):
    """What a device answered when it was asked how it is; null where it said nothing of it.

    clock_off_s: its clock less ours. clock_wrong: by more than is explained by the way of the answer.
    """

    online: bool | None
    healthy: bool | None
    reason: str | None
    encoding: bool | None
    recording: bool | None
    clock_off_s: float | None
    clock_wrong: bool
    alarms: list[DutyDto]
    received_at: datetime
    age_s: float


class EvidenceDto(Shape):
    """What is believed and why. position: of a moving point. report: of a device that was asked how it is."""

    state: str
    since: datetime | None
    items: list[EvidenceItemDto]
    verdict: str
    position: PositionDto | None
    report: SelfReportDto | None


class SpanDto(Shape):
    """A stretch of one state; end is null where it lasts. reason: what decided it, unwatched where the platform did not
    run, empty where nothing is written down. cause: the device that took the point along.
    """

    start: datetime
    end: datetime | None
    state: str
    reason: str
    cause: str


class HistoryDto(Shape):
    """Stretches in their order. next: what to ask for as cursor to go on."""

    spans: list[SpanDto]
    next: str | None


class OnlineDayDto(Shape):
    """Seconds of a day (of China's calendar) in each state; unknown is never counted as good."""

    day: date
    online_s: float
    offline_s: float
    unknown_s: float


class OnlineDto(Shape):
    """Days in their order, as far as the time that was asked for touches them."""

    days: list[OnlineDayDto]


class VersionDto(Shape):
    """A change of a file: [before, after] by field."""

    version: int
    at: datetime
    by: str
    reason: str
    changes: dict[str, tuple[Any, Any]]


class VersionsDto(Shape):
    """Changes, newest first."""

    items: list[VersionDto]
    next: str | None


class EditDto(Shape):
    """What to change of a file. version: the one that was read."""

    version: int = Field(ge=1)
    changes: dict[str, str | int | float | bool | None]
    reason: str = Field(default="", max_length=500)


class TallyDto(Shape):
    """How many points are in each state."""

    online: int
    offline: int
    unknown: int
    total: int


class SomePointsDto(Shape):
    """How many points there are below an organisation."""

    total: int
    online: int


class NodeDto(NamedDto):
    """A node of the tree of organisations."""

    kind: str
    parent: str | None
    children_count: int
    points: SomePointsDto


class NodesDto(Shape):
    """All children of a node."""

    items: list[NodeDto]
    next: str | None


class NewOrgDto(Shape):
    """An organisation to make."""

    name: str = Field(min_length=1, max_length=100)
    kind: OrgKind
    parent: str | None = None
    division: str | None = Field(default=None, max_length=12)
    police_code: str | None = Field(default=None, pattern=r"^\d{12}$")
    gb_id: str | None = Field(default=None, pattern=r"^\d{20}$")


class OrgDetailDto(NamedDto):
    """An organisation with what it is known by; path: from the city down to it."""

    kind: OrgKind
    parent: str | None
    division: PlaceDto | None
    police_code: str | None
    gb_id: str | None
    path: list[NamedDto]
    children_count: int
    points: SomePointsDto


class ChangedOrgDto(Shape):
    """What to change of an organisation; what is left out stays, null empties it. Its place in the tree stays."""

    name: str = Field(default="", max_length=100)
    kind: OrgKind | None = None
    division: str | None = Field(default=None, max_length=12)
    police_code: str | None = Field(default=None, pattern=r"^\d{12}$")
    gb_id: str | None = Field(default=None, pattern=r"^\d{20}$")


class DivisionDto(PlaceDto):
    """A division with the one above it."""

    parent: str | None


class DivisionsDto(Shape):
    """All that were asked for."""

    items: list[DivisionDto]
    next: str | None


class OwnerCountDto(NamedDto):
    """How many points an organisation owns."""

    counts: TallyDto


class CountsDto(TallyDto):
    """Sums over what the asker sees."""

    kinds: dict[str, TallyDto]
    classes: dict[str, TallyDto]
    owners: list[OwnerCountDto]
    waiting_devices: int


class HitDto(Shape):
    """Something that a search found. state: of points only."""

    type: Literal["point", "organisation", "device"]
    id: str
    title: str
    subtitle: str | None
    state: str | None


class HitsDto(Shape):
    """What a search found."""

    items: list[HitDto]


class StatesDto(Shape):
    """Changes of live states as [point, state, since]. reset: begin anew, the cursor was too old; truncated: there are
    more points than were sent.
    """

    changes: list[tuple[str, str, datetime]]
    cursor: str
    reset: bool
    truncated: bool


class MovingDto(Shape):
    """A point that tells where it is. received_at: when it did so last."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    point: str
    kind: str
    point_class: int = Field(alias="class")
    state: str
    longitude: float
    latitude: float
    direction_deg: float | None
    received_at: datetime


class PositionsDto(Shape):
    """Points that move. truncated: there are more than were sent."""

    items: list[MovingDto]
    truncated: bool


class MapDto(Shape):
    """Where the map begins, and what lies under the points."""

    bounds: tuple[float, float, float, float]
    center: tuple[float, float]
    zoom: float
    style: str | None
    base: Literal["builtin", "style"]


class PoliciesDto(Shape):
    """How a device is treated."""

    transport: str
    charset: str
    keepalive_s: float
    catalogue_interval_s: float
    audio: bool
    extra: dict[str, str]


class PoliciesChangeDto(Shape):
    """What to change of it."""

    transport: str | None = None
    charset: str | None = None
    keepalive_s: float | None = None
    catalogue_interval_s: float | None = None
    audio: bool | None = None
    extra: dict[str, str] | None = Field(default=None, max_length=32)


class DeviceDto(Shape):
    """A device."""

    id: str
    gateway: str
    device_id: str
    name: str
    vendor: str | None
    model: str | None
    version: str | None
    transport: str
    address: str
    status: str
    state: str
    first_seen: datetime
    last_seen: datetime | None
    point_count: int
    policies: PoliciesDto


class DeviceDetailDto(DeviceDto):
    """A device with its evidence."""

    organisation: NamedDto | None
    evidence: EvidenceDto


class DevicesDto(Shape):
    """Devices, and the cursor of the next ones."""

    items: list[DeviceDto]
    next: str | None


class ValueDto(Shape):
    """One thing that a device says of its configuration."""

    name: str
    value: str


class ValueChangeDto(Shape):
    """What a device should say and what it says; null where there is nothing."""

    name: str
    before: str | None
    after: str | None


class DriftDto(Shape):
    """A device says something else than its baseline. seen_at: when it last said so. closed_at: null while it does.
    closed_by: who accepted it; null where it ended by itself.
    """

    id: str
    device: NamedDto
    device_id: str
    kind: Kind
    changes: list[ValueChangeDto]
    opened_at: datetime
    seen_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    reason: str


class DriftsDto(Shape):
    """Drifts, newest first. open: how many of those that the reader sees are open."""

    items: list[DriftDto]
    open: int
    next: str | None


class BaselineDto(Shape):
    """What a device should say. made_by: who accepted it; null where it was the first answer. intact: its signature
    fits; otherwise somebody changed it in the database.
    """

    origin: Origin
    made_at: datetime
    made_by: str | None
    intact: bool
    values: list[ValueDto]


class ConfigurationDto(Shape):
    """Where a device's configuration stands. baseline: null where it never said anything. told_at: when it last did."""

    baseline: BaselineDto | None
    told_at: datetime | None
    drifts: list[DriftDto]


class AcceptDto(Shape):
    """Why what a device says now is right."""

    reason: str = Field(min_length=1, max_length=1000)


class AdoptDto(Shape):
    """Under which organisation a device is let in, and what it is called from now on."""

    organisation: str
    name: str = Field(default="", max_length=100)


class ChannelDto(Shape):
    """An entry of a device's catalogue. point, state: of what was made of it; null where nothing was."""

    channel_id: str
    name: str
    is_on: bool | None
    leaf: bool
    parents: list[str]
    point: str | None
    state: str | None
    missed: int
    seen_at: datetime


class ChannelsDto(Shape):
    """Channels, and the cursor of the next ones."""

    items: list[ChannelDto]
    next: str | None


class FaultDto(Shape):
    """A fault by row and column of the file."""

    row: int
    column: str
    value: str
    rule: str
    severity: Literal["error", "warning"]
    message: str


class FaultsDto(Shape):
    """Faults in the order of the file."""

    items: list[FaultDto]
    next: str | None


class PreviewRowDto(Shape):
    """What publishing would do to a row."""

    row: int
    change: str
    code: str
    name: str
    fields: list[str]


class PreviewDto(Shape):
    """What publishing would do; rows are the first ones."""

    added: int
    changed: int
    unchanged: int
    rows: list[PreviewRowDto]


class ImportDto(Shape):
    """An import. faults: the first ones; fault_count: all; faults_kept: how many can be listed. error_rows: rows that
    cannot be kept; skipped: rows left out when it was published. reason: why it failed as a whole.
    """

    id: str
    kind: str
    status: str
    filename: str
    created_at: datetime
    rows: int
    done: int
    faults: list[FaultDto]
    fault_count: int
    faults_kept: int
    error_rows: int
    skipped: int
    reason: str
    preview: PreviewDto | None


class ImportsDto(Shape):
    """Imports, newest first, without their faults and previews."""

    items: list[ImportDto]
    next: str | None


class PublishDto(Shape):
    """How to publish."""

    skip_faulty: bool = False


class FaultAtDto(Shape):
    """What is wrong with one field of a file; field: its key."""

    field: str
    message: str


class TwinDto(NamedDto):
    """A point with the same code as another. device_id, channel_id: null where none is connected."""

    code: str
    organisation: NamedDto | None
    state: str
    lifecycle: str
    address: str | None
    gateway: str | None
    device_id: str | None
    channel_id: str | None
    version: int


class FindingDto(Shape):
    """Something that a person should settle. point, name, code: null where it is not about one point.

    faults: by field, as the file is now. hint: how to put it right. twins: the first points with the same code, this
    one before the others; empty for other rules.
    """

    id: str
    rule: str
    severity: Literal["error", "warning"]
    point: str | None
    name: str | None
    code: str | None
    organisation: NamedDto | None
    message: str
    hint: str
    faults: list[FaultAtDto]
    twins: list[TwinDto]
    found_at: datetime
    settled_at: datetime | None
    settled_by: str | None


class RuleCountDto(Shape):
    """A rule with how many of its findings are open. title: in Chinese."""

    rule: str
    severity: Literal["error", "warning"]
    title: str
    hint: str
    open: int


class FindingCountsDto(Shape):
    """All rules. points: how many there are where was asked for; faulty: how many of them have an open error.

    surveyed_at: when all files were last judged; null: not since the start, so that more may be wrong than is known.
    """

    rules: list[RuleCountDto]
    points: int
    faulty: int
    surveyed_at: datetime | None


class ChoiceDto(Shape):
    """A value of a field's table. label: its Chinese term. a, b: what generation A (the police table) and B (GB/T
    28181-2022) write for it; empty where one has no word for it.
    """

    value: str
    label: str
    a: str
    b: str


class FileFieldDto(Shape):
    """A field of the camera file, and how it is filled in. a, b: its name in each generation; null where it has none.

    classes: of points that must have it. of_seeing: only cameras and the like have it. is_free: other values than its
    choices are taken as well.
    """

    key: str
    label: str
    a: str | None
    b: str | None
    form: Form
    classes: list[int]
    of_seeing: bool
    is_free: bool
    choices: list[ChoiceDto]


class FileFieldsDto(Shape):
    """All fields, in the order of the table."""

    items: list[FileFieldDto]
    next: str | None


class SurveyDto(Shape):
    """A walk through all camera files. finished_at null: it goes on, or none was made since the start. opened: findings
    that are new or say something else; settled: that no longer hold.
    """

    is_wanted: bool
    started_at: datetime | None
    finished_at: datetime | None
    total: int
    done: int
    opened: int
    settled: int


class FindingsDto(Shape):
    """Findings, oldest first."""

    items: list[FindingDto]
    next: str | None


# --- from values to shapes -------------------------------------------------------------------------------------------


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _named(named: Named) -> NamedDto:
    return NamedDto(id=named.id, name=named.name)


def _point_values(view: PointView) -> dict[str, Any]:
    point = view.point
    path = view.organisation_path
    own = path[-1] if path else None
    return {
        "id": point.id,
        "code": point.code,
        "name": point.name,
        "kind": str(point.kind),
        "class": int(point.point_class),
        "longitude": point.longitude,
        "latitude": point.latitude,
        "state": str(view.state),
        "state_since": _moment(view.state_since_us),
        "ptz": point.ptz,
        "camera_type": point.camera_type,
        "lifecycle": str(point.lifecycle),
        "division": PlaceDto(code=point.division, name=view.division_name or point.division)
        if point.division
        else None,
        "organisation": OrgDto(id=own.id, name=own.name, path=[_named(named) for named in path]) if own else None,
        "owner_role_names": list(view.owner_role_names),
        "streams": list(point.streams),
        "address": point.address,
        "recording": view.recording,
        "heading": point.heading_deg,
        "fov": point.fov_deg,
        "version": point.version,
    }


FILTERED_BY: Mapping[str, frozenset[str]] = {
    "kinds": frozenset({"kind"}),
    "classes": frozenset({"point_class"}),
    "states": frozenset({STATE}),
    "owners": frozenset({"owns"}),
    "divisions": frozenset({"division"}),
    "organisation": frozenset({"organisation"}),
    "lifecycles": frozenset({"lifecycle"}),
    "q": frozenset({"name", "common_name", "address"}),
    "box": frozenset({"longitude", "latitude"}),
}
"""What each part of a filter tells of the points that it finds."""


def _check_asked(chosen: PointFilter, may_tell: Collection[str]) -> None:
    """Raises Denied for a filter that would tell what is not shared."""
    told = {key for f in fields(chosen) if getattr(chosen, f.name) for key in FILTERED_BY.get(f.name, {f.name})}
    missing = sorted(told.difference(may_tell))
    if missing:
        raise Denied(f"the sharing agreement does not let out {', '.join(missing)}", "leave that out of the filter")


def _shared(view: PointView, may_tell: Collection[str], known: Mapping[str, Organisation]) -> SharedPointDto:
    """Of a point what may be told, and nothing else."""
    record: dict[str, FileValue] = {**record_of(view.point), STATE: str(view.state)}
    for key in ("organisation", "paid", "owns", "maintains"):
        found = known.get(str(record.get(key) or ""))
        record[key] = found.name if found else None
    return SharedPointDto(
        id=view.point.id,
        code=view.point.code,
        file=[
            FieldDto(key=key, label=label, value=record[key])
            for key, label in SHAREABLE.items()
            if key in may_tell and record.get(key) is not None
        ],
    )


def _text(q: str | None) -> str:
    """What is searched for. Raises Invalid where it is longer than anything that is kept."""
    if q and len(q) > 100:
        raise Invalid("a search text has at most 100 characters")
    return q or ""


def _tally(tally: Tally) -> TallyDto:
    return TallyDto(online=tally.online, offline=tally.offline, unknown=tally.unknown, total=tally.total)


def _counts(counts: Counts) -> CountsDto:
    return CountsDto(
        **_tally(counts.all).model_dump(),
        kinds={str(kind): _tally(tally) for kind, tally in counts.kinds.items()},
        classes={str(int(number)): _tally(tally) for number, tally in counts.classes.items()},
        owners=[OwnerCountDto(id=named.id, name=named.name, counts=_tally(tally)) for named, tally in counts.owners],
        waiting_devices=counts.waiting_devices,
    )


def _evidence(live: LiveState, now_us: int, *, chinese: bool) -> EvidenceDto:
    return EvidenceDto(
        state=str(live.state),
        since=_moment(live.since_us),
        items=[
            EvidenceItemDto(
                kind=str(item.kind),
                at=_moment(item.at_us),
                age_s=None if item.at_us is None else round(max(0, now_us - item.at_us) / 1e6, 1),
                source=item.source or None,
                detail=item.detail or None,
                ok=item.ok,
            )
            for item in live.evidence
        ],
        verdict=live.verdict.sentence(chinese=chinese),
        position=None if live.place is None else _position(live.place, now_us),
        report=None if live.report is None else _report(live.report, now_us),
    )


def _position(place: Place, now_us: int) -> PositionDto:
    return PositionDto(
        longitude=place.longitude,
        latitude=place.latitude,
        speed_kmh=place.speed_kmh,
        direction_deg=place.direction_deg,
        altitude_m=place.altitude_m,
        at=_moment(place.at_us),
        received_at=from_micros(place.received_us),
        age_s=round(max(0, now_us - place.received_us) / 1e6, 1),
    )


def _moving(one: Moving) -> MovingDto:
    place = one.place
    return MovingDto(
        point=one.point,
        kind=str(one.kind),
        **{"class": int(one.point_class)},
        state=str(one.state),
        longitude=place.longitude,
        latitude=place.latitude,
        direction_deg=place.direction_deg,
        received_at=from_micros(place.received_us),
    )


def _report(report: SelfReport, now_us: int) -> SelfReportDto:
    return SelfReportDto(
        online=report.is_online,
        healthy=report.is_healthy,
        reason=report.reason or None,
        encoding=report.is_encoding,
        recording=report.is_recording,
        clock_off_s=report.clock_off_s,
        clock_wrong=report.is_clock_wrong,
        alarms=[DutyDto(input=code, duty=duty) for code, duty in report.alarms],
        received_at=from_micros(report.received_us),
        age_s=round(max(0, now_us - report.received_us) / 1e6, 1),
    )


def _policies(policies: Policies) -> PoliciesDto:
    return PoliciesDto(
        transport=policies.transport,
        charset=policies.charset,
        keepalive_s=policies.keepalive_s,
        catalogue_interval_s=policies.catalogue_interval_s,
        audio=policies.audio,
        extra=dict(policies.extra),
    )


def _device_values(device: Device, live: LiveState) -> dict[str, Any]:
    heard = max((item.at_us for item in live.evidence if item.at_us is not None), default=None)
    return {
        "id": device.id,
        "gateway": device.gateway,
        "device_id": device.device_id,
        "name": device.name,
        "vendor": device.vendor,
        "model": device.model,
        "version": device.version,
        "transport": device.transport,
        "address": device.address,
        "status": str(device.status),
        "state": str(live.state),
        "first_seen": device.first_seen,
        "last_seen": _moment(heard) or device.last_seen,
        "point_count": device.point_count,
        "policies": _policies(device.policies),
    }


def _finding(view: FindingView, registry: Registry) -> FindingDto:
    finding, point = view.finding, view.point
    alike = [point, *view.twins] if point is not None and view.twins else []
    return FindingDto(
        id=finding.id,
        rule=finding.rule,
        severity=finding.severity.value,
        point=finding.point_id,
        name=point.name if point else None,
        code=point.code if point else None,
        organisation=_named(view.organisation) if view.organisation else None,
        message=finding.message,
        hint=BY_ID[finding.rule].hint if finding.rule in BY_ID else "",
        faults=[FaultAtDto(field=fault.field, message=fault.message) for fault in view.faults],
        twins=[_twin(one, registry) for one in alike],
        found_at=finding.found_at,
        settled_at=finding.settled_at,
        settled_by=finding.settled_by,
    )


def _twin(point: Point, registry: Registry) -> TwinDto:
    org = registry.all_organisations.get(point.org_id)
    return TwinDto(
        id=point.id,
        name=point.name,
        code=point.code,
        organisation=NamedDto(id=org.id, name=org.name) if org else None,
        state=str(registry.state_of(point.id).state),
        lifecycle=str(point.lifecycle),
        address=point.address,
        gateway=point.gateway,
        device_id=point.device_id,
        channel_id=point.channel_id,
        version=point.version,
    )


def _entry(entry: Entry) -> FileFieldDto:
    field = entry.field
    return FileFieldDto(
        key=field.key,
        label=field.label,
        a=field.a[0] if field.a else None,
        b=field.b[0] if field.b else None,
        form=entry.form,
        classes=[int(one) for one in entry.classes],
        of_seeing=entry.of_seeing,
        is_free=entry.is_free,
        choices=[ChoiceDto(value=one.value, label=one.label, a=one.a, b=one.b) for one in entry.choices],
    )


FILE_FIELDS = FileFieldsDto(items=[_entry(entry) for entry in ENTRIES], next=None)
OWNERSHIP = frozenset({"organisation", "paid", "owns", "maintains", "may_see"})
"""Fields whose values are organisations, joined by a slash."""


def _version(version: FileVersion, known: Mapping[str, Organisation]) -> VersionDto:
    def told(key: str, value: object) -> object:
        if key not in OWNERSHIP or not isinstance(value, str):
            return value
        return "、".join(known[org].name if org in known else org for org in value.split("/"))

    return VersionDto(
        version=version.version,
        at=version.at,
        by=version.by,
        reason=version.reason,
        changes={key: (told(key, before), told(key, after)) for key, (before, after) in version.changes.items()},
    )


def _survey(registry: Registry) -> SurveyDto:
    survey = registry.reviews.survey
    return SurveyDto(
        is_wanted=registry.reviews.is_wanted,
        started_at=survey.started_at,
        finished_at=survey.finished_at,
        total=survey.total,
        done=survey.done,
        opened=survey.opened,
        settled=survey.settled,
    )


# --- queries ---------------------------------------------------------------------------------------------------------


CHOICES = 1000


def _several(*texts: str | None) -> list[str] | None:
    """Values of a query joined by commas, from the first of some names that is there; None for no restriction.

    Raises Invalid for more than CHOICES.
    """
    text = next((text for text in texts if text), None)
    if text is None:
        return None
    values = [part for part in text.split(",") if part]
    if len(values) > CHOICES:
        raise Invalid(f"a filter takes at most {CHOICES} values")
    return values


def _divisions(text: str | None) -> tuple[str, ...]:
    """Codes of divisions. Raises Invalid for what is none."""
    codes = tuple(_several(text) or ())
    if not all(code.isascii() and code.isalnum() for code in codes):
        raise Invalid("division has a value that is not known")
    return codes


def _choices(kind: Callable[[Any], Any], values: Sequence[str] | None, name: str) -> frozenset[Any]:
    try:
        return frozenset(kind(int(value) if kind is PointClass else value) for value in values or ())
    except ValueError:
        raise Invalid(f"{name} has a value that is not known") from None


def _filter(
    *,
    kind: str | None,
    point_class: str | None,
    state: str | None = None,
    owner: str | None = None,
    division: str | None = None,
    organisation: str | None = None,
    lifecycle: str | None = None,
    q: str | None = None,
    bbox: str | None = None,
) -> PointFilter | None:
    """The filter of a query; None where it says that nothing is to be shown."""
    if NONE in (kind, point_class, state, owner):
        return None
    return PointFilter(
        kinds=_choices(PointKind, _several(kind), "kind"),
        classes=_choices(PointClass, _several(point_class), "class"),
        states=_choices(State, _several(state), "state"),
        owners=frozenset(_several(owner) or ()),
        divisions=tuple(_several(division) or ()),
        organisation=organisation or None,
        lifecycles=_choices(Lifecycle, _several(lifecycle), "lifecycle"),
        q=_text(q),
        box=Box.parse(bbox) if bbox else None,
    )


def _asked(
    kind: str | None = None,
    point_class: str | None = Query(None, alias="class"),
    state: str | None = None,
    owner: str | None = None,
    division: str | None = None,
    organisation: str | None = None,
    lifecycle: str | None = None,
    q: str | None = Query(None, max_length=100),
    bbox: str | None = None,
) -> PointFilter | None:
    """The filter that lists and exports share."""
    return _filter(
        kind=kind, point_class=point_class, state=state, owner=owner, division=division, organisation=organisation,
        lifecycle=lifecycle, q=q, bbox=bbox,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A stretch of time. start: None for the usual one. end: None for now."""

    start: int | None
    end: int | None

    def within(self, now_us: int, usual_us: int) -> tuple[int, int]:
        """Its ends; nothing lies in the future. Raises Invalid where it ends before it begins."""
        end = min(now_us, self.end if self.end is not None else now_us)
        start = self.start if self.start is not None else end - usual_us
        if start >= end:
            raise Invalid("from must lie before to, and in the past")
        return start, end


def _time(
    start: str | None = Query(None, alias="from", max_length=40),
    end: str | None = Query(None, alias="to", max_length=40),
    cursor: str | None = Query(None, max_length=40),
) -> Asked:
    """from, to: RFC 3339 with offset. cursor: `next` of the page before, in place of from. Raises Invalid."""
    begin = None if start is None else to_micros(parse_rfc3339(start))
    if cursor:
        text = read_cursor(cursor, "")
        if not (text.isascii() and text.isdigit() and len(text) < 18):
            raise Invalid("this cursor is not one of ours", "begin again without a cursor")
        begin = int(text)
    return Asked(begin, None if end is None else to_micros(parse_rfc3339(end)))


async def _written(history: StateHistory, subject: str, asked: Asked, limit: int, now_us: int) -> HistoryDto:
    start, end = asked.within(now_us, WEEK_US)
    spans, more = await history.spans(subject, start, end, limit=limit)
    return HistoryDto(
        spans=[
            SpanDto(
                start=from_micros(span.start_us),
                end=None if span.end_us >= now_us else from_micros(span.end_us),
                state=str(span.state),
                reason=span.reason,
                cause=span.cause,
            )
            for span in spans
        ],
        next=None if more is None else cursor_of(more),
    )


async def _days(history: StateHistory, subject: str, asked: Asked, now_us: int) -> OnlineDto:
    days = await history.days(subject, *asked.within(now_us, WEEK_US))
    return OnlineDto(
        days=[
            OnlineDayDto(
                day=day.day,
                online_s=day.online_us / 1e6,
                offline_s=day.offline_us / 1e6,
                unknown_s=day.unknown_us / 1e6,
            )
            for day in days
        ]
    )


def _told(chosen: PointFilter | None) -> str:
    """A filter in a line of the ledger."""
    if chosen is None:
        return "nothing"
    said = {f.name: value for f in fields(chosen) if (value := getattr(chosen, f.name))}
    return ", ".join(f"{name} {_words(value)}" for name, value in said.items()) or "all"


def _words(value: object) -> str:
    return "/".join(sorted(map(str, value))) if isinstance(value, (frozenset, tuple)) else str(value)


async def _nothing() -> AsyncIterator[Sequence[Point]]:
    nothing: tuple[Sequence[Point], ...] = ()
    for page in nothing:
        yield page


def _is_chinese(accept_language: str | None) -> bool:
    first = (accept_language or "zh").split(",")[0].strip().lower()
    return not first.startswith("en")


def router(
    registry: Registry, imports: Imports, history: StateHistory, guard: Guard, *, drifts: Drifts, style: str = ""
) -> APIRouter:
    """All routes. style: a MapLibre style's address for the base map; empty: what was imported is drawn."""
    api = APIRouter(prefix="/api/v1")
    _points(api, registry, history, guard)
    _trees(api, registry, guard)
    _map(api, registry, guard, style)
    _devices(api, registry, history, guard)
    _drifts(api, drifts, guard)
    _imports(api, registry, imports, guard)
    return api


def _points(api: APIRouter, registry: Registry, history: StateHistory, guard: Guard) -> None:
    state = guard.allow("read_points", "point_state")
    taken = guard.allow("read_points", None)

    def detail(view: PointView) -> PointDetailDto:
        point = view.point
        record = record_of(point)
        known = registry.all_organisations

        def org(org_id: str | None) -> NamedDto | None:
            found = known.get(org_id or "")
            return NamedDto(id=found.id, name=found.name) if found else None

        return PointDetailDto(
            **_point_values(view),
            file=[
                FieldDto(key=field.key, label=field.label, value=record[field.key])
                for field in FIELDS
                if field.key in record and field.key not in OWNERSHIP
            ],
            owners=OwnersDto(
                paid=org(point.owners.paid),
                owns=org(point.owners.owns),
                maintains=org(point.owners.maintains),
                may_see=[one for org_id in point.owners.may_see if (one := org(org_id))],
            ),
            gateway=point.gateway,
            device_id=point.device_id,
            channel_id=point.channel_id,
        )

    @api.get("/points", response_model=PointsDto | SharedPointsDto, tags=["points"])
    async def list_points(
        chosen: PointFilter | None = Depends(_asked),
        limit: int = Query(50, ge=1, le=1000),
        cursor: str | None = None,
        person: Person = guard.shared("read_points", ""),
    ) -> PointsDto | SharedPointsDto:
        """Points by their number. Several values of kind, class, state, owner, division are joined by commas. Programs
        of other departments get the fields of their agreement, and filter by those alone.
        """
        if chosen is None:
            return PointsDto(items=[], next=None)
        if person.fields is not None:
            _check_asked(chosen, person.fields)
        page = await registry.points(person.scope, chosen, limit=limit, cursor=cursor)
        if person.fields is not None:
            cut = [_shared(view, person.fields, registry.all_organisations) for view in page.items]
            return SharedPointsDto(items=cut, next=page.next)
        return PointsDto(items=[PointDto(**_point_values(view)) for view in page.items], next=page.next)

    async def export(form: str, generation: Generation, chosen: PointFilter | None, person: Person) -> Response:
        resolved = None if chosen is None else registry.resolved(person.scope, chosen)
        await guard.exported(person, f"points.{form}, generation {generation}, {_told(chosen)}")
        columns = Columns(generation, registry.all_organisations)
        own = replace(person.scope, shared=False)  # others let their points be looked at, not be taken away
        pages = _nothing() if resolved is None else registry.all_of(own, resolved)
        return StreamingResponse(
            as_csv(columns, pages) if form == "csv" else as_xlsx(columns, pages),
            media_type=FORMS[form],
            headers={"content-disposition": f'attachment; filename="points.{form}"'},
        )

    @api.get("/points.csv", response_class=StreamingResponse, tags=["points"])
    async def points_csv(
        generation: Generation = Generation.A, chosen: PointFilter | None = Depends(_asked), person: Person = taken
    ) -> Response:
        """Camera files as CSV, in the columns of generation A (Chinese) or B (GB/T 28181-2022), UTF-8 with a mark."""
        return await export("csv", generation, chosen, person)

    @api.get("/points.xlsx", response_class=StreamingResponse, tags=["points"])
    async def points_xlsx(
        generation: Generation = Generation.A, chosen: PointFilter | None = Depends(_asked), person: Person = taken
    ) -> Response:
        """Camera files as a workbook, in the same columns."""
        return await export("xlsx", generation, chosen, person)

    @api.get("/points/{point}", response_model=PointDetailDto | SharedPointDto, tags=["points"])
    async def one_point(
        point: str, person: Person = guard.shared("read_points", "point")
    ) -> PointDetailDto | SharedPointDto:
        """A point with its file and owners; for programs of other departments with the fields of their agreement."""
        view = await registry.point(person.scope, point)
        if person.fields is not None:
            return _shared(view, person.fields, registry.all_organisations)
        return detail(view)

    @api.patch("/points/{point}", response_model=PointDetailDto, tags=["points"])
    async def edit_point(point: str, body: EditDto, person: Person = guard.allow("edit_points", "")) -> PointDetailDto:
        """Change fields of a file."""
        await registry.point(person.scope, point)
        await guard.deed(person, "edit_points", [point], ",".join(sorted(body.changes))[:300])
        changes: dict[str, FileValue] = dict(body.changes)
        return detail(
            await registry.edit_point(
                person.scope, point, changes, version=body.version, by=person.username, reason=body.reason
            )
        )

    @api.get("/points/{point}/evidence", response_model=EvidenceDto, tags=["points"])
    async def evidence(point: str, accept_language: str | None = Header(None), person: Person = state) -> EvidenceDto:
        """What is believed of a point, and all evidence for and against it."""
        live = await registry.evidence(person.scope, point)
        return _evidence(live, registry.now_us(), chinese=_is_chinese(accept_language))

    @api.get("/points/{point}/history", response_model=HistoryDto, tags=["points"])
    async def point_history(
        point: str,
        asked: Asked = Depends(_time),
        hours: float = Query(24, gt=0, le=24),
        limit: int = Query(1000, ge=1, le=10_000),
        person: Person = state,
    ) -> HistoryDto:
        """States of the last hours, from memory; with `from` (and `to`), of any time, from what was written down."""
        if asked.start is None:
            spans = await registry.history(person.scope, point, hours=hours)
            return HistoryDto(
                spans=[
                    SpanDto(
                        start=from_micros(span.start_us), end=_moment(span.end_us), state=str(span.state), reason="",
                        cause="",
                    )
                    for span in spans
                ],
                next=None,
            )  # fmt: skip
        await registry.point(person.scope, point)
        return await _written(history, point, asked, limit, registry.now_us())

    @api.get("/points/{point}/online", response_model=OnlineDto, tags=["points"])
    async def point_online(point: str, asked: Asked = Depends(_time), person: Person = state) -> OnlineDto:
        """How long a point was online on each day; without `from`, of the last seven days."""
        await registry.point(person.scope, point)
        return await _days(history, point, asked, registry.now_us())

    @api.get("/points/{point}/versions", response_model=VersionsDto, tags=["points"])
    async def versions(
        point: str,
        limit: int = Query(50, ge=1, le=1000),
        cursor: str | None = None,
        person: Person = guard.allow("read_points", "versions"),
    ) -> VersionsDto:
        """Changes of a file, newest first; organisations by their names."""
        page = await registry.versions(person.scope, point, limit=limit, cursor=cursor)
        known = registry.all_organisations
        return VersionsDto(items=[_version(one, known) for one in page.items], next=page.next)

    @api.get("/file-fields", response_model=FileFieldsDto, tags=["points"])
    async def file_fields(person: Person = guard.allow("read_points", None)) -> FileFieldsDto:
        """The fields of the camera file with their tables."""
        del person
        return FILE_FIELDS

    @api.get("/findings", response_model=FindingsDto, tags=["points"])
    async def findings(
        rule: str | None = None,
        severity: str | None = None,
        point: str | None = None,
        division: str | None = None,
        organisation: str | None = None,
        settled: bool = False,
        state: Literal["open", "settled", "all"] | None = None,
        limit: int = Query(50, ge=1, le=1000),
        cursor: str | None = None,
        person: Person = guard.allow("read_points", ""),
    ) -> FindingsDto:
        """What is wrong with camera files, oldest first. Several values of rule, severity, division are joined by
        commas. settled: closed ones too; state says it more finely.
        """
        chosen = FindingFilter(
            rules=frozenset(_several(rule) or ()),
            severities=_choices(Severity, _several(severity), "severity"),
            point=point or None,
            divisions=_divisions(division),
            organisation=organisation or None,
            is_open={"open": True, "settled": False, "all": None}[state or ("all" if settled else "open")],
        )
        page = await registry.chosen_findings(person.scope, chosen, limit=limit, cursor=cursor)
        views = await registry.finding_views(person.scope, page.items)
        return FindingsDto(items=[_finding(view, registry) for view in views], next=page.next)

    @api.get("/findings/counts", response_model=FindingCountsDto, tags=["points"])
    async def finding_counts(
        division: str | None = None, organisation: str | None = None, person: Person = guard.allow("read_points", "")
    ) -> FindingCountsDto:
        """How many findings of each rule are open, and how many points have an error."""
        wanted = FindingFilter(divisions=_divisions(division), organisation=organisation or None)
        counts = await registry.finding_counts(person.scope, wanted)
        return FindingCountsDto(
            rules=[
                RuleCountDto(
                    rule=rule.id,
                    severity=rule.severity.value,
                    title=rule.title,
                    hint=rule.hint,
                    open=counts.rules.get(rule.id, 0),
                )
                for rule in RULES
            ],
            points=counts.points,
            faulty=counts.faulty,
            surveyed_at=counts.surveyed_at,
        )

    @api.get("/findings/survey", response_model=SurveyDto, tags=["points"])
    async def survey(person: Person = guard.allow("edit_points", "")) -> SurveyDto:
        """How far the walk is that renews all findings; it is made every night."""
        del person
        return _survey(registry)

    @api.post("/findings/survey", response_model=SurveyDto, status_code=202, tags=["points"])
    async def begin_survey(person: Person = guard.allow("edit_points", "")) -> SurveyDto:
        """Walk through all camera files now; asking while one goes on makes another after it."""
        await guard.deed(person, "edit_points", [], "survey of camera files")
        registry.reviews.want_survey()
        return _survey(registry)


def _trees(api: APIRouter, registry: Registry, guard: Guard) -> None:
    read = guard.allow("read_points", "")

    @api.get("/organisations", response_model=NodesDto, tags=["organisations"])
    async def organisations(parent: str | None = None, person: Person = read) -> NodesDto:
        """Children of an organisation; without a parent, the top of what the asker sees."""
        found = registry.organisations(person.scope, parent or None)
        return NodesDto(
            items=[
                NodeDto(
                    id=org.id,
                    name=org.name,
                    kind=str(org.kind),
                    parent=org.parent,
                    children_count=children,
                    points=SomePointsDto(total=tally.total, online=tally.online),
                )
                for org, children, tally in found
            ],
            next=None,
        )

    @api.post("/organisations", response_model=NamedDto, status_code=201, tags=["organisations"])
    async def add_organisation(body: NewOrgDto, person: Person = guard.allow("edit_points", "")) -> NamedDto:
        """Make an organisation below one that the asker sees."""
        top = registry.organisations(person.scope, None)
        above = registry.organisation(person.scope, body.parent or (top[0][0].id if top else ""))
        await guard.deed(person, "edit_points", [above.id], f"organisation {body.name}"[:300])
        made = await registry.add_organisation(
            name=body.name,
            kind=body.kind,
            parent=above.id,
            division=body.division,
            police_code=body.police_code,
            gb_id=body.gb_id,
        )
        return NamedDto(id=made.id, name=made.name)

    def org_detail(org: Organisation) -> OrgDetailDto:
        children, tally = registry.organisation_counts(org)
        division = registry.division_codes.get(org.division or "")
        place = PlaceDto(code=org.division, name=division.name if division else org.division) if org.division else None
        return OrgDetailDto(
            id=org.id,
            name=org.name,
            kind=org.kind,
            parent=org.parent,
            division=place,
            police_code=org.police_code,
            gb_id=org.gb_id,
            path=[_named(named) for named in registry.organisation_path(org.org_path)],
            children_count=children,
            points=SomePointsDto(total=tally.total, online=tally.online),
        )

    @api.get("/organisations/{organisation}", response_model=OrgDetailDto, tags=["organisations"])
    async def one_organisation(organisation: str, person: Person = read) -> OrgDetailDto:
        """An organisation with what it is known by."""
        return org_detail(registry.organisation(person.scope, organisation))

    @api.patch("/organisations/{organisation}", response_model=OrgDetailDto, tags=["organisations"])
    async def change_organisation(
        organisation: str, body: ChangedOrgDto, person: Person = guard.allow("edit_points", "")
    ) -> OrgDetailDto:
        """Change what an organisation is called and is known by; it stays where it is in the tree."""
        before = registry.organisation(person.scope, organisation)
        changes = body.model_dump(exclude_unset=True)
        await guard.deed(person, "edit_points", [before.id], f"organisation {','.join(sorted(changes))}")
        return org_detail(await registry.change_organisation(person.scope, organisation, changes))

    @api.get("/divisions", response_model=DivisionsDto, tags=["organisations"])
    async def divisions(parent: str | None = None, person: Person = read) -> DivisionsDto:
        """Divisions by code; below a parent if one is given."""
        del person
        found = registry.divisions(parent or None)
        return DivisionsDto(items=[DivisionDto(code=d.code, name=d.name, parent=d.parent) for d in found], next=None)

    @api.get("/counts", response_model=CountsDto, tags=["points"])
    async def counts(person: Person = read) -> CountsDto:
        """Sums by state, kind, class and owner."""
        return _counts(registry.counts(person.scope))

    @api.get("/search", response_model=HitsDto, tags=["points"])
    async def search(q: str = Query("", max_length=100), person: Person = read) -> HitsDto:
        """Points, organisations and devices by name, code, address or first letters."""
        points, orgs, devices = await registry.search(person.scope, q, limit=10)
        hits = [
            HitDto(
                type="point",
                id=view.point.id,
                title=view.point.name,
                subtitle=" · ".join(part for part in (view.point.code, view.point.address) if part),
                state=str(view.state),
            )
            for view in points
        ]
        for org in orgs:
            way = " › ".join(named.name for named in registry.organisation_path(org.org_path)[:-1])
            hits.append(HitDto(type="organisation", id=org.id, title=org.name, subtitle=way or None, state=None))
        for device in devices:
            where = f"{device.device_id} · {device.address}"
            hits.append(HitDto(type="device", id=device.id, title=device.name, subtitle=where, state=None))
        return HitsDto(items=hits)


def _map(api: APIRouter, registry: Registry, guard: Guard, style: str) -> None:
    read = guard.allow("read_points", "")

    @api.get("/map", response_model=MapDto, tags=["map"])
    async def the_map(person: Person = read) -> MapDto:
        """Where the map begins: around the points that the asker sees, else around the imported base map."""
        box = registry.tiles.bounds(person.scope) or registry.base_map.bounds() or Box(73.5, 18.0, 135.1, 53.6)
        span = max(box.east - box.west, (box.north - box.south) * 1.3, 0.02)
        zoom = next((zoom / 2 for zoom in range(32, 6, -1) if 360.0 / 2 ** (zoom / 2) * 2 >= span), 3.0)
        return MapDto(
            bounds=(box.west, box.south, box.east, box.north),
            center=box.centre,
            zoom=zoom,
            style=style or None,
            base="style" if style else "builtin",
        )

    @api.get("/tiles/points/{z}/{x}/{y}.mvt", response_class=Response, tags=["map"])
    async def points_tile(
        z: int,
        x: int,
        y: int,
        kind: str | None = None,
        kinds: str | None = None,
        point_class: str | None = Query(None, alias="class"),
        classes: str | None = None,
        owner: str | None = None,
        owners: str | None = None,
        state: str | None = None,
        division: str | None = None,
        organisation: str | None = None,
        if_none_match: str | None = Header(None),
        person: Person = guard.allow("read_points", "map"),
    ) -> Response:
        """Points and clusters as a vector tile. X-Cursor: where states stood; X-Left-Out: points too many to draw."""
        chosen = _filter(
            kind=kinds or kind,
            point_class=classes or point_class,
            owner=owners or owner,
            state=state,
            division=division,
            organisation=organisation,
        )
        if chosen is None:
            return Response(status_code=204, headers={"cache-control": "private, no-cache"})
        tile = await registry.tiles.tile(z, x, y, registry.resolved(person.scope, chosen), person.scope)
        headers = {
            "cache-control": "private, no-cache",
            "etag": tile.etag,
            "x-cursor": tile.cursor,
            "x-left-out": str(tile.left_out),
        }
        if if_none_match == tile.etag:
            return Response(status_code=304, headers=headers)
        return Response(tile.data, media_type=TILE, headers=headers)

    @api.get("/tiles/base/{z}/{x}/{y}.mvt", response_class=Response, tags=["map"])
    async def base_tile(
        z: int,
        x: int,
        y: int,
        if_none_match: str | None = Header(None),
        person: Person = guard.allow("read_points", None),
    ) -> Response:
        """The imported base map as a vector tile: divisions, water, roads, places."""
        del person
        data = registry.base_map.tile(z, x, y)
        tag = f'"{registry.base_map.version}-{len(data)}"'
        headers = {"cache-control": "private, max-age=300", "etag": tag}
        if if_none_match == tag:
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=TILE, headers=headers)

    @api.get("/states", response_model=StatesDto, tags=["map"])
    async def states(since: str | None = None, bbox: str | None = None, person: Person = read) -> StatesDto:
        """Live states that changed after a cursor. Without one: what is known now, of the box if one is given, at most
        20,000 points (`truncated` says when there are more: tiles carry the state of every point they draw).
        """
        changes, cursor, reset = registry.states_since(person.scope, since or None)
        truncated = False
        if not since or reset:
            box = Box.parse(bbox) if bbox else None
            changes, truncated = registry.states_in(person.scope, PointFilter(box=box), SNAPSHOT)
        return StatesDto(
            changes=[(point, str(state), from_micros(at)) for point, state, at in changes if at],
            cursor=cursor,
            reset=reset,
            truncated=truncated,
        )

    @api.get("/positions", response_model=PositionsDto, tags=["map"])
    async def positions(
        kinds: str | None = None,
        classes: str | None = None,
        owners: str | None = None,
        division: str | None = None,
        organisation: str | None = None,
        person: Person = read,
    ) -> PositionsDto:
        """Where the points that move were last, by the filter of the tiles; at most 20,000."""
        chosen = _filter(kind=kinds, point_class=classes, owner=owners, division=division, organisation=organisation)
        found, truncated = ([], False) if chosen is None else registry.moving_in(person.scope, chosen, SNAPSHOT)
        return PositionsDto(items=[_moving(one) for one in found], truncated=truncated)


def _devices(api: APIRouter, registry: Registry, history: StateHistory, guard: Guard) -> None:
    read = guard.allow("read_system", "")
    adopt = guard.allow("adopt", "")

    def dto(device: Device) -> DeviceDto:
        return DeviceDto(**_device_values(device, registry.device_live(device)))

    @api.get("/devices", response_model=DevicesDto, tags=["devices"])
    async def list_devices(
        status: DeviceStatus | None = None,
        q: str = Query("", max_length=100),
        limit: int = Query(50, ge=1, le=1000),
        cursor: str | None = None,
        person: Person = read,
    ) -> DevicesDto:
        """Devices in the order in which they first appeared."""
        page = await registry.devices(person.scope, status=status, q=q, limit=limit, cursor=cursor)
        return DevicesDto(items=[dto(device) for device in page.items], next=page.next)

    @api.get("/devices/{device}", response_model=DeviceDetailDto, tags=["devices"])
    async def one_device(
        device: str, accept_language: str | None = Header(None), person: Person = read
    ) -> DeviceDetailDto:
        """A device with its evidence."""
        found = await registry.device(person.scope, device)
        live = registry.device_live(found)
        org = registry.all_organisations.get(found.org_id or "")
        return DeviceDetailDto(
            **_device_values(found, live),
            organisation=NamedDto(id=org.id, name=org.name) if org else None,
            evidence=_evidence(live, registry.now_us(), chinese=_is_chinese(accept_language)),
        )

    @api.get("/devices/{device}/history", response_model=HistoryDto, tags=["devices"])
    async def device_history(
        device: str,
        asked: Asked = Depends(_time),
        limit: int = Query(1000, ge=1, le=10_000),
        person: Person = read,
    ) -> HistoryDto:
        """States of a device as they were written down; without `from`, of the last seven days."""
        await registry.device(person.scope, device)
        return await _written(history, device, asked, limit, registry.now_us())

    @api.get("/devices/{device}/online", response_model=OnlineDto, tags=["devices"])
    async def device_online(device: str, asked: Asked = Depends(_time), person: Person = read) -> OnlineDto:
        """How long a device was online on each day; without `from`, of the last seven days."""
        await registry.device(person.scope, device)
        return await _days(history, device, asked, registry.now_us())

    @api.get("/devices/{device}/channels", response_model=ChannelsDto, tags=["devices"])
    async def channels(
        device: str, limit: int = Query(200, ge=1, le=1000), cursor: str | None = None, person: Person = read
    ) -> ChannelsDto:
        """What a device lists."""
        page = await registry.channels(person.scope, device, limit=limit, cursor=cursor)
        return ChannelsDto(
            items=[
                ChannelDto(
                    channel_id=c.channel_id,
                    name=c.name,
                    is_on=c.is_on,
                    leaf=c.leaf,
                    parents=list(c.parents),
                    point=c.point_id,
                    state=str(registry.state_of(c.point_id).state) if c.point_id else None,
                    missed=c.missed,
                    seen_at=c.seen_at,
                )
                for c in page.items
            ],
            next=page.next,
        )

    @api.post("/devices/{device}/adopt", response_model=DeviceDto, tags=["devices"])
    async def adopt_device(device: str, body: AdoptDto, person: Person = adopt) -> DeviceDto:
        """Let a device in under an organisation; its channels become points."""
        await registry.device(person.scope, device)
        registry.organisation(person.scope, body.organisation)
        await guard.deed(person, "adopt", [device], f"under {body.organisation}")
        adopted, _ = await registry.adopt(person.scope, device, body.organisation)
        if body.name.strip():
            await registry.describe(device, name=body.name.strip())
            adopted = await registry.device(EVERYTHING, device)
        return dto(adopted)

    @api.post("/devices/{device}/refuse", response_model=DeviceDto, tags=["devices"])
    async def refuse_device(device: str, person: Person = adopt) -> DeviceDto:
        """Keep a device out."""
        await registry.device(person.scope, device)
        await guard.deed(person, "adopt", [device], "refused")
        return dto(await registry.refuse(person.scope, device))

    @api.patch("/devices/{device}/policies", response_model=PoliciesDto, tags=["devices"])
    async def set_policies(device: str, body: PoliciesChangeDto, person: Person = adopt) -> PoliciesDto:
        """Treat a device otherwise; what is not given stays."""
        found = await registry.device(person.scope, device)
        given = {name: value for name, value in body.model_dump().items() if value is not None}
        policies = replace(found.policies, **given)
        await guard.deed(person, "adopt", [device], f"policies {','.join(sorted(given))}")
        return _policies((await registry.set_policies(person.scope, device, policies)).policies)


def _changes(changes: Changes) -> list[ValueChangeDto]:
    return [
        ValueChangeDto(name=name, before=before or None, after=after or None)
        for name, (before, after) in changes.items()
    ]


def _drift(one: Drift, code: str, name: str) -> DriftDto:
    return DriftDto(
        id=one.id,
        device=NamedDto(id=one.device, name=name),
        device_id=code,
        kind=one.kind,
        changes=_changes(one.changes),
        opened_at=one.opened_at,
        seen_at=one.seen_at,
        closed_at=one.closed_at,
        closed_by=one.closed_by or None,
        reason=one.reason,
    )


def _baseline(standing: Standing) -> BaselineDto | None:
    one = standing.baseline
    if one is None:
        return None
    return BaselineDto(
        origin=one.origin,
        made_at=one.made_at,
        made_by=one.made_by or None,
        intact=standing.is_intact,
        values=[ValueDto(name=name, value=value) for name, value in one.values.items()],
    )


def _drifts(api: APIRouter, drifts: Drifts, guard: Guard) -> None:
    read = guard.allow("read_system", "")
    adopt = guard.allow("adopt", "")

    @api.get("/drifts", response_model=DriftsDto, tags=["devices"])
    async def list_drifts(
        state: Literal["open", "closed"] | None = None,
        device: str = Query("", max_length=64),
        limit: int = Query(50, ge=1, le=1000),
        cursor: str | None = None,
        person: Person = read,
    ) -> DriftsDto:
        """Devices that say something else of their configuration than they should, newest first."""
        is_open = None if state is None else state == "open"
        page = await drifts.page(person.scope, is_open=is_open, device=device, limit=limit, cursor=cursor)
        count = await drifts.count_open(person.scope)
        return DriftsDto(items=[_drift(*each) for each in page.items], open=count, next=page.next)

    @api.get("/devices/{device}/configuration", response_model=ConfigurationDto, tags=["devices"])
    async def configuration(device: str, person: Person = read) -> ConfigurationDto:
        """What a device should say of its configuration, and where it says something else."""
        found = await drifts.of(person.scope, device)
        return ConfigurationDto(
            baseline=_baseline(found), told_at=found.told_at, drifts=[_drift(*each) for each in found.open]
        )

    @api.post("/drifts/{drift}/accept", response_model=DriftDto, tags=["devices"])
    async def accept_drift(drift: str, body: AcceptDto, person: Person = adopt) -> DriftDto:
        """What the device says now is right: it becomes the baseline, and the drift is closed."""

        async def write(device: str, detail: str) -> None:
            await guard.deed(person, "adopt", [device], detail)

        return _drift(*await drifts.accept(person.scope, drift, by=person.username, reason=body.reason, write=write))


def _imports(api: APIRouter, registry: Registry, imports: Imports, guard: Guard) -> None:
    allowed = guard.allow("import_points", "")

    async def dto(person: Person, one: Import, *, whole: bool = True) -> ImportDto:
        over = (ImportStatus.PUBLISHED, ImportStatus.CANCELLED)
        page = await imports.faults(person.scope, one.id, limit=200) if whole else None
        preview = await imports.preview(person.scope, one.id) if whole and one.status not in over else None
        shown: PreviewDto | None = None
        if preview is not None:
            shown = PreviewDto(
                added=preview.added,
                changed=preview.changed,
                unchanged=preview.unchanged,
                rows=[
                    PreviewRowDto(row=r.row, change=r.change, code=r.code, name=r.name, fields=list(r.fields))
                    for r in preview.rows
                ],
            )
        if one.status is ImportStatus.PUBLISHED:
            shown = PreviewDto(added=one.added, changed=one.changed, unchanged=one.unchanged, rows=[])
        return ImportDto(
            id=one.id,
            kind=str(one.kind),
            status=str(one.status),
            filename=one.filename,
            created_at=one.created_at,
            rows=one.rows,
            done=one.done,
            faults=[FaultDto(**_fault(fault)) for fault in page.items] if page else [],
            fault_count=one.fault_count,
            faults_kept=one.faults_kept,
            error_rows=one.error_rows,
            skipped=one.skipped,
            reason=one.reason,
            preview=shown,
        )

    def _fault(fault: Any) -> dict[str, Any]:
        return {
            "row": fault.row,
            "column": fault.column,
            "value": fault.value,
            "rule": fault.rule,
            "severity": str(fault.severity),
            "message": fault.message,
        }

    @api.post("/imports", response_model=ImportDto, status_code=201, tags=["imports"])
    async def stage(
        request: Request,
        kind: ImportKind = ImportKind.POINTS,
        filename: str = Query("", max_length=200),
        organisation: str | None = None,
        datum: Datum = Datum.WGS84,
        zone: str = Query("default", max_length=32),
        networking_zero: str = "",
        person: Person = allowed,
    ) -> ImportDto:
        """Take a file as the request's body: CSV of points or organisations, GeoJSON of the others.

        organisation: for rows that name none; without it, the top of what the asker sees.
        """
        if organisation is None and kind is ImportKind.POINTS:
            top = registry.organisations(person.scope, None)
            organisation = top[0][0].id if top else None
        await guard.deed(person, "import_points", [], f"stage {kind} {filename}"[:300])
        options = ImportOptions(organisation=organisation, datum=datum, zone=zone, networking_zero=networking_zero)
        one = await imports.stage(
            person.scope, kind, request.stream(), by=person.user_id, filename=filename, options=options
        )
        return await dto(person, one)

    @api.get("/imports", response_model=ImportsDto, tags=["imports"])
    async def list_imports(
        limit: int = Query(50, ge=1, le=1000), cursor: str | None = None, person: Person = allowed
    ) -> ImportsDto:
        """Imports, newest first, without faults and previews."""
        page = await imports.all(person.scope, limit=limit, cursor=cursor)
        return ImportsDto(items=[await dto(person, one, whole=False) for one in page.items], next=page.next)

    @api.get("/imports/{import_id}", response_model=ImportDto, tags=["imports"])
    async def one_import(import_id: str, person: Person = allowed) -> ImportDto:
        """An import with its first faults and what publishing would do."""
        return await dto(person, await imports.get(person.scope, import_id))

    @api.get("/imports/{import_id}/faults", response_model=FaultsDto, tags=["imports"])
    async def faults(
        import_id: str, limit: int = Query(200, ge=1, le=1000), cursor: str | None = None, person: Person = allowed
    ) -> FaultsDto:
        """All faults that are kept."""
        page = await imports.faults(person.scope, import_id, limit=limit, cursor=cursor)
        return FaultsDto(items=[FaultDto(**_fault(fault)) for fault in page.items], next=page.next)

    @api.post("/imports/{import_id}/publish", response_model=ImportDto, status_code=202, tags=["imports"])
    async def publish(import_id: str, body: PublishDto | None = None, person: Person = allowed) -> ImportDto:
        """Begin to publish; progress is told by events and by the import itself."""
        await imports.get(person.scope, import_id)
        await guard.deed(person, "import_points", [], f"publish {import_id}")
        skip = body is not None and body.skip_faulty
        return await dto(person, await imports.publish(person.scope, import_id, skip_faulty=skip))

    @api.delete("/imports/{import_id}", response_model=ImportDto, tags=["imports"])
    async def cancel(import_id: str, person: Person = allowed) -> ImportDto:
        """Give an import up; nothing of it stays."""
        return await dto(person, await imports.cancel(person.scope, import_id))
