"""The registry's words: who owns what where, and what was heard of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Generic, NamedTuple, TypeVar

from anwang.kernel.errors import Invalid
from anwang.kernel.geo import Box, Ring
from anwang.kernel.ids import OrgId, PointId
from anwang.registry.told import Place, SelfReport

T = TypeVar("T")


CITY = OrgId("city")
"""The organisation above all others: the city itself, whose path is `/`. It is there before any other."""


class PointKind(StrEnum):
    """What senses at a point (点位)."""

    CAMERA = "camera"
    CHECKPOINT = "checkpoint"
    ALARM_POINT = "alarm_point"
    SENSOR = "sensor"
    WATCHTOWER = "watchtower"


class PointClass(IntEnum):
    """监控点位类型. I: police or government in key areas; II: key units in public areas; III: other social ones.

    INSIDE (公安内部) stands in the police table only; GB/T 28181-2022 has no such class and gets 9.
    """

    I = 1  # noqa: E741 - the field's own numeral
    II = 2
    III = 3
    INSIDE = 4
    OTHER = 9


class Lifecycle(StrEnum):
    """设备状态 of the file: what people decided, apart from whether it answers (live state)."""

    PLANNED = "planned"
    IN_USE = "in_use"
    REPAIR = "repair"
    REMOVED = "removed"


class State(StrEnum):
    """Live state, computed from evidence only."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNKNOWN = "unknown"


class EvidenceKind(StrEnum):
    """What can be heard of a device or a point."""

    REGISTRATION = "registration"
    KEEPALIVE = "keepalive"
    CATALOGUE = "catalogue"
    PACKET = "packet"
    PICTURE = "picture"
    RECORDING = "recording"

    # Enum hashes its name in Python; the text's own hash is five times faster, and this is looked up per message
    __hash__ = str.__hash__


class DeviceStatus(StrEnum):
    """Whether people let a device in."""

    WAITING = "waiting"
    ADOPTED = "adopted"
    REFUSED = "refused"


class Severity(StrEnum):
    """How bad a fault is. Errors stop the row of an import; both become findings."""

    ERROR = "error"
    WARNING = "warning"


class OrgKind(StrEnum):
    """Kinds of organisations (单位), of the three-level four-layer tree and of the police tree."""

    CITY = "city"
    DISTRICT = "district"
    PARK = "park"
    TOWN = "town"
    ENTERPRISE = "enterprise"
    POLICE_BUREAU = "police_bureau"
    POLICE_BRANCH = "police_branch"
    POLICE_STATION = "police_station"
    DEPARTMENT = "department"
    OTHER = "other"


#: layers of the safety network (安防网 三级四层); None: outside of it
LAYERS: Mapping[OrgKind, int | None] = {
    OrgKind.CITY: 1,
    OrgKind.DISTRICT: 2,
    OrgKind.PARK: 3,
    OrgKind.TOWN: 3,
    OrgKind.ENTERPRISE: 4,
}


def device_key(gateway: str, device_id: str) -> str:
    """How evidence names a device. Keep the text: making it anew for every message costs more than noting it."""
    return f"{gateway}/{device_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """行政区划: a legal division (GB/T 2260, GB/T 10114, 12 digits for villages) or a virtual one (a park, a zone)."""

    code: str
    name: str
    level: int
    parent: str | None
    is_virtual: bool = False
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """单位: a node of the tree. org_path: ids from the root to itself, `/city/district/`."""

    id: OrgId
    name: str
    kind: OrgKind
    parent: OrgId | None
    org_path: str
    division: str | None = None
    police_code: str | None = None
    gb_id: str | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """An id with its name."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """The four roles around a point; they are seldom the same: who paid, owns, maintains, and may see."""

    paid: OrgId | None = None
    owns: OrgId | None = None
    maintains: OrgId | None = None
    may_see: tuple[OrgId, ...] = ()


FileValue = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """点位: anything placed in the city that senses.

    ix: a small number that never changes, for arrays and map tiles. longitude, latitude: WGS-84 degrees, None where the
    file has none. heading_deg: where it looks, clockwise from north. file: the rest of its 一机一档, by field key of
    `registry.fields`. version: counts changes of the file.
    """

    id: PointId
    ix: int
    code: str
    name: str
    kind: PointKind
    point_class: PointClass
    lifecycle: Lifecycle
    longitude: float | None
    latitude: float | None
    division: str | None
    org_id: OrgId
    org_path: str
    department: str | None
    zone: str
    address: str | None
    camera_type: str | None
    ptz: bool
    heading_deg: float | None
    fov_deg: float | None
    owners: Owners
    gateway: str | None
    device_id: str | None
    channel_id: str | None
    streams: tuple[str, ...]
    file: Mapping[str, FileValue]
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How a point is reached; `access` makes its Address of it."""

    point: PointId
    gateway: str
    device_id: str
    channel_id: str
    zone: str
    streams: tuple[str, ...]
    org_path: str


class Evidence(NamedTuple):
    """One thing heard. subject: `device_key(...)` or the id of a point. at_us: when we received it.

    ok: whether it speaks for being online. Not ok are a registration that really ended (an authenticated log-out, a
    closed connection; never a stranger's refused attempt), a catalogue entry OFF, a stream that was asked for and did
    not come. A keep-alive always proves that the device lives, whatever status it reports.
    source: where from, for people (`10.1.2.3:5060/UDP`). detail: a sentence or a code, often empty.
    """

    subject: str
    kind: EvidenceKind
    at_us: int
    ok: bool = True
    source: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceItem:
    """The newest evidence of a kind. at_us None: never heard."""

    kind: EvidenceKind
    at_us: int | None
    ok: bool
    source: str = ""
    detail: str = ""


VERDICTS: Mapping[str, tuple[str, str]] = {
    "device_never_heard": ("从未收到该设备的任何消息", "Nothing was ever heard of this device"),
    "device_heard": ("设备按时发来注册或心跳", "The device registers or sends keep-alives in time"),
    "device_held": (
        "平台刚重启，设备在重启前在线，等待其下一次心跳",
        "The platform restarted; the device was online before and its next keep-alive is awaited",
    ),
    "device_left": ("设备已注销或连接已断开", "The device logged out or its connection closed"),
    "device_silent": (
        "设备已 {silent_s} 秒没有消息，超过允许的 {allowed_s} 秒",
        "The device has been silent for {silent_s} s; {allowed_s} s are allowed",
    ),
    "packet_fresh": ("正在收到媒体数据", "Media is arriving now"),
    "recording_fresh": ("正在录像", "It is being recorded now"),
    "picture_fresh": ("刚收到画面", "A picture arrived just now"),
    "no_device": ("该点位尚未接入任何设备", "No device is connected to this point yet"),
    "not_listed": ("设备在线，但其目录中没有该通道", "The device is online but does not list this channel"),
    "listed_off": ("设备在线，但目录报告该通道离线", "The device is online but reports this channel as off"),
    "no_media": (
        "设备在线且目录正常，但 {ago_s} 秒前点播没有收到媒体数据",
        "The device is online and lists the channel, but a play {ago_s} s ago brought no media",
    ),
    "listed_on": ("设备在线，目录报告该通道正常", "The device is online and lists this channel as on"),
}
"""Why a state is believed, in Chinese and English."""


REASONS = tuple(VERDICTS)
"""By number, as arrays have them."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The reason of a state: a key of VERDICTS and its numbers."""

    key: str
    numbers: Mapping[str, int] = field(default_factory=dict)

    def sentence(self, *, chinese: bool = True) -> str:
        """For people."""
        return VERDICTS[self.key][0 if chinese else 1].format(**self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveState:
    """What is believed now, since when, and why."""

    state: State
    since_us: int | None
    evidence: tuple[EvidenceItem, ...]
    verdict: Verdict
    recording: bool = False
    place: Place | None = None
    """Where a moving point said it was."""
    report: SelfReport | None = None
    """What a device said of itself."""


class Moving(NamedTuple):
    """A point that tells where it is, as a map draws it."""

    point: PointId
    kind: PointKind
    point_class: PointClass
    state: State
    place: Place


@dataclass(frozen=True, slots=True)
class StateSpan:
    """A stretch of one state, half-open; end_us None: still so."""

    start_us: int
    end_us: int | None
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySpan:
    """A stretch of one state as it was written down, half-open, and what decided it.

    reason: a key of VERDICTS; unwatched where the platform did not run, restart where it began to believe otherwise,
    empty before the first change. cause: key of the device that took the point along.
    """

    start_us: int
    end_us: int
    state: State
    reason: str
    cause: str

    def between(self, start_us: int, end_us: int) -> HistorySpan:
        """A part of it."""
        return replace(self, start_us=start_us, end_us=end_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOnline:
    """How long something was in each state on a day of China's calendar."""

    day: date
    online_us: int
    offline_us: int
    unknown_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PointView:
    """A point as a list shows it: with names and live state."""

    point: Point
    state: State
    state_since_us: int | None
    division_name: str | None
    organisation_path: tuple[Named, ...]
    owner_role_names: tuple[str, ...]
    recording: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PointFilter:
    """What a list or the map asks for; empty means everything. All of it is joined by "and"."""

    kinds: frozenset[PointKind] = frozenset()
    classes: frozenset[PointClass] = frozenset()
    states: frozenset[State] = frozenset()
    owners: frozenset[str] = frozenset()
    """Organisations that own the points."""
    divisions: tuple[str, ...] = ()
    """Division codes; one of a county holds its streets too."""
    organisation: str | None = None
    """An organisation with everything below it."""
    lifecycles: frozenset[Lifecycle] = frozenset()
    q: str = ""
    """Part of a name, address or code, or of the first letters of its pinyin."""
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list. next: the cursor of the following part; None at the end."""

    items: Sequence[T]
    next: str | None


USUAL_KEEPALIVE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """How one device is treated; each field is a named deviation from the standard with a default."""

    transport: str = "tcp-passive"
    charset: str = "auto"
    keepalive_s: float = USUAL_KEEPALIVE_S
    """60, the standard's interval, means the interval that the platform's settings say."""
    catalogue_interval_s: float = 3600.0
    audio: bool = True
    """Whether the sound that a device sends is taken, heard and recorded."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Policies that only the gateway knows, by name."""

    def __post_init__(self) -> None:
        if self.transport not in ("tcp-passive", "tcp-active", "udp"):
            raise Invalid(f"transport {self.transport!r} is unknown", "tcp-passive, tcp-active or udp")
        if self.charset not in ("auto", "gb18030", "utf-8"):
            raise Invalid(f"charset {self.charset!r} is unknown", "auto, gb18030 or utf-8")
        if not 5 <= self.keepalive_s <= 3600:
            raise Invalid("keepalive_s must lie between 5 and 3600")
        if not 60 <= self.catalogue_interval_s <= 7 * 86400:
            raise Invalid("catalogue_interval_s must lie between 60 and 604800")

    @property
    def own_keepalive_s(self) -> float | None:
        """The interval where this device has one of its own."""
        return None if self.keepalive_s == USUAL_KEEPALIVE_S else self.keepalive_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What registers at a gateway: a camera, a recorder, a lower platform. address: where it was last heard from."""

    id: str
    gateway: str
    device_id: str
    name: str
    vendor: str | None
    model: str | None
    version: str | None
    transport: str
    address: str
    status: DeviceStatus
    org_id: OrgId | None
    org_path: str
    policies: Policies
    first_seen: datetime
    last_seen: datetime | None
    point_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueItem:
    """One entry of a device's catalogue, without a word of its protocol.

    channel_id: as the device names it. is_on: what the device says of it, None where it says nothing. leaf: whether it
    may become a point (groups, regions and servers do not). parents: the ids it belongs to. gone: the device announced
    that it took the entry away. brief: it tells only whether the channel is on, nothing of its name and file. at_us:
    when we received it. file: fields of `registry.fields` that it carried, parsed. unread: fields whose value their
    table does not have: key, value, why; they become a finding of the point.
    """

    channel_id: str
    name: str
    at_us: int
    is_on: bool | None = None
    leaf: bool = True
    kind: PointKind = PointKind.CAMERA
    parents: tuple[str, ...] = ()
    division: str | None = None
    longitude: float | None = None
    latitude: float | None = None
    vendor: str | None = None
    model: str | None = None
    address: str | None = None
    camera_type: str | None = None
    point_class: PointClass | None = None
    gone: bool = False
    brief: bool = False
    file: Mapping[str, FileValue] = field(default_factory=dict)
    unread: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What a catalogue changed.

    removed: channels that two complete answers in a row no longer had. waiting: entries of a notice that are written
    within a second or two, together with others of their device.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    missing: int = 0
    removed: int = 0
    waiting: int = 0
    points: tuple[PointId, ...] = ()
    """Points made by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """An entry of a device's catalogue as we keep it. missed: complete answers in a row without it."""

    device: str
    channel_id: str
    name: str
    is_on: bool | None
    leaf: bool
    parents: tuple[str, ...]
    point_id: PointId | None
    missed: int
    seen_at: datetime
    removed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVersion:
    """A change of a camera file: who, when, and what was before and after, by field key."""

    point_id: PointId
    version: int
    at: datetime
    by: str
    reason: str
    changes: Mapping[str, tuple[object, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong that a person should settle. key: what it is about, so that finding it twice is one row."""

    id: str
    rule: str
    severity: Severity
    subject: str
    point_id: PointId | None
    org_path: str
    message: str
    found_at: datetime
    settled_at: datetime | None
    settled_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingFilter:
    """Which findings are asked for; empty means everything. All of it is joined by "and"."""

    rules: frozenset[str] = frozenset()
    severities: frozenset[Severity] = frozenset()
    point: str | None = None
    divisions: tuple[str, ...] = ()
    """Codes of divisions that the points lie in; one of a county holds its streets too."""
    organisation: str | None = None
    """An organisation with everything below it."""
    is_open: bool | None = True
    """None: settled ones as well."""


@dataclass(frozen=True, slots=True)
class FaultAt:
    """What is wrong with one field of a file. field: its key."""

    field: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """A finding as a list shows it. point: None where it is not about one. faults: by field, as the file is now; empty
    where it is settled or not about one field. twins: other points with its code, the first of them.
    """

    finding: Finding
    point: Point | None
    organisation: Named | None
    faults: tuple[FaultAt, ...]
    twins: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingCounts:
    """How many open findings there are by rule, of how many points, and how many of these have an open error.

    surveyed_at: when all files were last judged; None: not since the start, and files may be worse than it looks.
    """

    rules: Mapping[str, int]
    points: int
    faulty: int
    surveyed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Shape:
    """A polygon: the outer ring first, then its holes; WGS-84 degrees."""

    rings: tuple[Ring, ...]


@dataclass(slots=True)
class Tally:
    """How many points are in each state."""

    online: int = 0
    offline: int = 0
    unknown: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.online + self.offline + self.unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Sums over what an actor may see."""

    all: Tally
    kinds: Mapping[PointKind, Tally]
    classes: Mapping[PointClass, Tally]
    owners: Sequence[tuple[Named, Tally]]
    waiting_devices: int


def org_prefix_end(path: str) -> str:
    """The first text after all that start with `path` (which ends in "/"): a range instead of LIKE.

    Raises Invalid for a path of another shape, because a wrong scope must never widen.
    """
    if not path.startswith("/") or not path.endswith("/"):
        raise Invalid(f"{path!r} is not an organisation path", "/ or /id/…/id/")
    return path[:-1] + "0"
