"""The values that a city is made of. Metres, degrees clockwise from north, positions in WGS-84."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

LonLat = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """行政区划. code: 4, 6 or 9 digits; ring: its outline, first position repeated at the end."""

    code: str
    name: str
    parent: str
    level: str
    ring: tuple[LonLat, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """单位. code: unique in the city; police organisations have the 12 digits of GA 380. kind: as in domain §1.8."""

    code: str
    name: str
    kind: str
    parent: str
    division: str
    department: str = ""
    police_code: str = ""
    gb_code: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """道路. path: in the plan's own coordinates (see plan)."""

    name: str
    kind: str
    width_m: float
    path: tuple[tuple[float, float], ...]
    bridge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """地点: what a map labels. ring: its outline, or empty where it is a mere spot."""

    name: str
    kind: str
    at: LonLat
    ring: tuple[LonLat, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """巡逻路线: a closed way along roads, gone round and round without a stop.

    path: positions, the first one repeated at the end. offset_s: how far into its lap it was at the epoch, in seconds.
    """

    path: tuple[LonLat, ...]
    speed_kmh: float
    offset_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """点位 with its camera file 一机一档; the fields are those of generation A (see files for the columns).

    mobile: 移动采集设备类型 by the digits of GB/T 28181-2022, empty for what stands. at: where it stands, or its beat
    begins.
    """

    code: str
    name: str
    kind: str
    point_class: int
    at: LonLat
    division: str
    street: str
    organisation: str
    police: str
    address: str
    common_name: str
    maker: int
    model: str
    camera_type: int
    functions: str
    fill_light: int
    place_types: str
    heading_deg: float | None
    network: str
    installed: str
    manager: str
    phone: str
    retention_days: int
    lifecycle: int
    departments: str
    indoor: bool
    industry: str
    paid_by: str
    owned_by: str
    kept_by: str
    visible_to: str
    ipv4: str
    mac: str
    height_m: float
    fov_deg: int
    scene: str
    codec: str = "h264"
    gateway: str = ""
    device: str = ""
    channel: str = ""
    mobile: str = ""

    @property
    def has_video(self) -> bool:
        """Whether it sends pictures."""
        return self.kind in ("camera", "watchtower")

    @property
    def can_turn(self) -> bool:
        """Whether it obeys PTZ commands."""
        return self.has_video and self.camera_type in (1, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What registers: a camera, an NVR or a lower platform over GB/T 28181, or an RTSP camera.

    version: 2.0 is GB/T 28181-2016, 3.0 is 2022; empty for RTSP. transport: UDP or TCP of its signalling. beat: of what
    moves, and all its channels with it.
    """

    code: str
    name: str
    kind: str
    maker: str
    model: str
    firmware: str
    division: str
    channels: tuple[str, ...]
    version: str = "2.0"
    transport: str = "UDP"
    charset: str = "GB2312"
    path: str = ""
    audio: str = ""
    beat: Beat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """The whole of it."""

    seed: int
    name: str
    divisions: Sequence[Division]
    organisations: Sequence[Organisation]
    roads: Sequence[Road]
    water: Sequence[Place]
    grounds: Sequence[Place]
    places: Sequence[Place]
    points: Sequence[Point]
    devices: Sequence[Device]
    showcase: Sequence[str] = field(default=())
