"""MANSCDP messages as typed values, each with `sn` and `device_id` (GB/T 28181-2016 annex A, -2022 annex A).

sn: chosen by the requester, 1..2**31-1, copied in the answer; 0 where a device left it out. device_id: whom it is
about. Moments are UTC. `extra` holds leaf elements we have no field for, as (name, text); they survive a round trip.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from anwang.wire.gb28181.ptz import PtzFrame
from anwang.wire.gb28181.xml import Node

Extra = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manscdp:
    """What all messages carry."""

    sn: int
    device_id: str = ""


# ---- notifications


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalive(Manscdp):
    """状态信息报送. faulty: ids of sub-devices that don't work."""

    is_ok: bool = True
    faulty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmNotify(Manscdp):
    """报警通知. priority: 1 highest to 4. method: 1 telephone .. 7 other. device_id may have ten digits.

    alarm_type, event_type: tables by method, since 2016. After a method-2 alarm the device stays silent until reset.
    """

    priority: int | None = None
    method: int | None = None
    at: datetime | None = None
    description: str = ""
    longitude: float | None = None
    latitude: float | None = None
    alarm_type: int | None = None
    event_type: int | None = None
    extra: Extra = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where something was. speed_kmh; direction_deg: clockwise from north; altitude_m; height_m: above ground."""

    device_id: str = ""
    at: datetime | None = None
    longitude: float | None = None
    latitude: float | None = None
    speed_kmh: float | None = None
    direction_deg: float | None = None
    altitude_m: float | None = None
    height_m: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MobilePositionNotify(Manscdp):
    """移动设备位置. device_id is empty in the 2016 form: take the dialog's.

    at: the report's time. positions: written in one element each in 2022, the first one flat in 2016.
    """

    at: datetime | None = None
    positions: tuple[Position, ...] = ()
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaStatus(Manscdp):
    """媒体通知. notify_type: `121` when a recording has been sent to its end."""

    notify_type: str = "121"

    @property
    def is_end_of_file(self) -> bool:
        """Whether playback or download is complete."""
        return self.notify_type == "121"


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastNotify(Manscdp):
    """语音广播通知. source_id: who will speak. target_id: an audio output, or a device with all."""

    source_id: str
    target_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSnapShotFinished(Manscdp):
    """图像抓拍传输完成. files: ids of what was uploaded; fewer than asked for is a partial failure."""

    session_id: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUpgradeResult(Manscdp):
    """设备软件升级结果. failed_reason: 01 time-out, 02 damaged, 03 system error, 99 other."""

    session_id: str = ""
    is_ok: bool | None = None
    firmware: str = ""
    failed_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoUploadNotify(Manscdp):
    """设备实时视音频回传: the device wants to be asked for live video."""

    at: datetime | None = None
    longitude: float | None = None
    latitude: float | None = None


# ---- catalog


class ItemEvent(StrEnum):
    """What happened to a catalog item."""

    ON = "ON"
    OFF = "OFF"
    VLOST = "VLOST"
    DEFECT = "DEFECT"
    ADD = "ADD"
    DEL = "DEL"
    UPDATE = "UPDATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDetail:
    """`Info` of a catalog item; texts as written, for the code tables differ between editions."""

    ptz_type: str = ""
    position_type: str = ""
    photoelectric_imaging_type: str = ""
    capture_position_type: str = ""
    room_type: str = ""
    use_type: str = ""
    supply_light_type: str = ""
    direction_type: str = ""
    resolution: str = ""
    stream_numbers: tuple[str, ...] = ()
    business_group_id: str = ""
    download_speeds: tuple[str, ...] = ()
    svc_space: str = ""
    svc_time: str = ""
    ssvc_ratios: tuple[str, ...] = ()
    mobile_device_type: str = ""
    horizontal_field_deg: float | None = None
    vertical_field_deg: float | None = None
    max_view_m: float | None = None
    grassroots_code: str = ""
    point_type: str = ""
    point_common_name: str = ""
    mac: str = ""
    function_type: str = ""
    encode_type: str = ""
    installed_at: datetime | None = None
    management_unit: str = ""
    contact: str = ""
    record_save_days: int | None = None
    industrial_classification: str = ""
    extra: Extra = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogItem:
    """A device, channel, region, group or system in a catalog.

    parents: ids of ParentID, which `/` joins. status: `ON` or `OFF` where the device said one of their spellings, else
    its own word in upper case; empty is ON. `Password` is never read. event: in NOTIFY only.
    """

    device_id: str
    event: ItemEvent | None = None
    name: str = ""
    manufacturer: str = ""
    model: str = ""
    owner: str = ""
    civil_code: str = ""
    block: str = ""
    address: str = ""
    is_parental: bool | None = None
    parents: tuple[str, ...] = ()
    safety_way: int | None = None
    register_way: int | None = None
    cert_num: str = ""
    certifiable: bool | None = None
    err_code: int | None = None
    certificate_ends: datetime | None = None
    security_level: str = ""
    secrecy: bool | None = None
    ip_address: str = ""
    port: int | None = None
    status: str = ""
    longitude: float | None = None
    latitude: float | None = None
    business_group_id: str = ""
    detail: ItemDetail | None = None
    extra: Extra = ()

    @property
    def is_online(self) -> bool:
        """What the status says; an absent one means yes."""
        return self.status in {"", "ON"}

    @property
    def group_id(self) -> str:
        """The business group, wherever the edition puts it."""
        return self.business_group_id or (self.detail.business_group_id if self.detail else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogQuery(Manscdp):
    """目录查询. start, end: when devices were added, open where None."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogResponse(Manscdp):
    """One message of an answer. total: items over all messages of this sn, as the device says (often wrong)."""

    total: int = 0
    items: tuple[CatalogItem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogNotify(Manscdp):
    """What changed. total counts this message only. Items without an event are to be taken as updates."""

    total: int = 0
    items: tuple[CatalogItem, ...] = ()


# ---- what a device is and how it is


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfoQuery(Manscdp):
    """设备信息查询."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfoResponse(Manscdp):
    """channels: video inputs. device_type, max_camera, max_alarm: 2011 devices instead of channels."""

    is_ok: bool | None = None
    name: str = ""
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    channels: int | None = None
    device_type: str = ""
    max_camera: int | None = None
    max_alarm: int | None = None
    extra: Extra = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatusQuery(Manscdp):
    """设备状态查询."""


class Duty(StrEnum):
    """Of an alarm input: armed, disarmed, or in alarm."""

    ONDUTY = "ONDUTY"
    OFFDUTY = "OFFDUTY"
    ALARM = "ALARM"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatusResponse(Manscdp):
    """is_online: presence. is_healthy: `Status`. alarms: alarm inputs and their duty."""

    is_ok: bool | None = None
    is_online: bool | None = None
    is_healthy: bool | None = None
    reason: str = ""
    is_encoding: bool | None = None
    is_recording: bool | None = None
    device_time: datetime | None = None
    alarms: tuple[tuple[str, Duty], ...] = ()
    extra: Extra = ()


# ---- recordings


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordInfoQuery(Manscdp):
    """文件目录检索. sort: time, alarm, manual or all; always send one, some recorders insist.

    The SIP To decides where is searched, unless is_fuzzy asks for both places.
    """

    start: datetime | None = None
    end: datetime | None = None
    file_path: str = ""
    address: str = ""
    secrecy: int | None = 0
    sort: str = "all"
    recorder_id: str = ""
    is_fuzzy: bool | None = None
    stream_number: int | None = None
    alarm_method: str = ""
    alarm_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordItem:
    """A recorded file. size_bytes: 2016. location: storing device or system (2022)."""

    device_id: str = ""
    name: str = ""
    file_path: str = ""
    address: str = ""
    start: datetime | None = None
    end: datetime | None = None
    secrecy: int | None = None
    sort: str = ""
    recorder_id: str = ""
    size_bytes: int | None = None
    location: str = ""
    stream_number: int | None = None
    extra: Extra = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordInfoResponse(Manscdp):
    """One message of an answer. total: files over all messages of this sn."""

    name: str = ""
    total: int = 0
    items: tuple[RecordItem, ...] = ()


# ---- subscriptions' bodies


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmQuery(Manscdp):
    """Body of an alarm SUBSCRIBE. method: `0` all, digits together (≤2016) or joined by `/` (2022)."""

    start_priority: int | None = None
    end_priority: int | None = None
    method: str = ""
    alarm_type: str = ""
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MobilePositionQuery(Manscdp):
    """Body of a position SUBSCRIBE. interval_s: 5 where None."""

    interval_s: int | None = None


# ---- presets, configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetQuery(Manscdp):
    """预置位查询 (the 2014 text misspells it `PersetQuery`, which we also read)."""


@dataclass(frozen=True, slots=True)
class PresetItem:
    """id: as the device numbers it, 1..255 in PTZ commands."""

    id: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetResponse(Manscdp):
    """The device's presets. total: since 2022."""

    presets: tuple[PresetItem, ...] = ()
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CruiseTrackListQuery(Manscdp):
    """巡航轨迹列表查询 (2022)."""


@dataclass(frozen=True, slots=True)
class CruiseTrack:
    """number: of the track, the first is 0. name: at most 32 bytes."""

    number: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CruiseTrackListResponse(Manscdp):
    """The device's cruises (2022). total: as the device says."""

    tracks: tuple[CruiseTrack, ...] = ()
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CruiseTrackQuery(Manscdp):
    """巡航轨迹查询 (2022): what one cruise consists of."""

    number: int = 0


@dataclass(frozen=True, slots=True)
class CruisePoint:
    """A stop of a cruise. stay_s: how long. speed: 1..15, on the way to it."""

    preset: int
    stay_s: int | None = None
    speed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CruiseTrackResponse(Manscdp):
    """One cruise (2022), its stops in order."""

    number: int = 0
    name: str = ""
    points: tuple[CruisePoint, ...] = ()
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HomePositionQuery(Manscdp):
    """看守位信息查询 (2022)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapShotConfig:
    """图像抓拍配置 (2022). count: 1..10. interval_s: at least 1. session_id: 32..128 of A-Za-z0-9-."""

    count: int = 1
    interval_s: int | None = None
    upload_url: str = ""
    session_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicParam:
    """What a device is told about its registration. A password in it is never read; extra: as of a message."""

    name: str = ""
    expiration_s: int | None = None
    heartbeat_interval_s: int | None = None
    heartbeat_count: int | None = None
    position_capability: int | None = None
    longitude: float | None = None
    latitude: float | None = None
    extra: Extra = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoParamOpt:
    """What a device can send. resolutions, download_speeds: coded as in `f=`."""

    download_speeds: tuple[str, ...] = ()
    resolutions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig(Manscdp):
    """设备配置. others: configuration elements as XML."""

    basic: BasicParam | None = None
    snapshot: SnapShotConfig | None = None
    others: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigQuery(Manscdp):
    """设备配置查询, ConfigDownload. kinds: BasicParam, VideoParamOpt, SnapShotConfig, …"""

    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigResponse(Manscdp):
    """One of perhaps several answers with the same sn, one per type asked for."""

    is_ok: bool | None = None
    basic: BasicParam | None = None
    video: VideoParamOpt | None = None
    snapshot: SnapShotConfig | None = None
    others: tuple[Node, ...] = ()


# ---- control


@dataclass(frozen=True, slots=True)
class Ptz:
    """PTZCmd: what to do with the eight bytes says `ptz.meaning`. preset_name, track_name: 2022."""

    frame: PtzFrame
    preset_name: str = ""
    track_name: str = ""


@dataclass(frozen=True, slots=True)
class TeleBoot:
    """远程启动: restart the device."""


@dataclass(frozen=True, slots=True)
class RecordControl:
    """Record on the device. stream_number: 2022."""

    is_on: bool
    stream_number: int | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """布防/撤防: arm or disarm alarms."""

    is_set: bool


@dataclass(frozen=True, slots=True)
class ResetAlarm:
    """报警复位. method, alarm_type: which, empty for all."""

    method: str = ""
    alarm_type: str = ""


@dataclass(frozen=True, slots=True)
class IFrame:
    """强制关键帧: a key frame now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DragZoom:
    """拉框放大/缩小. All in pixels of the play window, origin top left; length is horizontal."""

    is_in: bool
    length: int
    width: int
    mid_x: int
    mid_y: int
    length_x: int
    length_y: int


@dataclass(frozen=True, slots=True)
class HomePosition:
    """看守位. reset_s: idle seconds until it is called. preset: 0..255."""

    is_enabled: bool
    reset_s: int | None = None
    preset: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HomePositionResponse(Manscdp):
    """The device's home position (2022); None where it has none."""

    home: HomePosition | None = None


@dataclass(frozen=True, slots=True)
class PrecisePtz:
    """PTZ 精准控制 (2022). pan_deg: 0..360 clockwise from above. tilt_deg: -30..90, 0 level. zoom: above 1."""

    pan_deg: float | None = None
    tilt_deg: float | None = None
    zoom: float | None = None


@dataclass(frozen=True, slots=True)
class Upgrade:
    """设备软件升级 (2022)."""

    firmware: str
    file_url: str
    manufacturer: str
    session_id: str


@dataclass(frozen=True, slots=True)
class FormatCard:
    """存储卡格式化 (2022). card: from 1; 0 is all of them."""

    card: int


@dataclass(frozen=True, slots=True)
class UnknownControl:
    """A control we have no type for; it should be answered as unsupported."""

    name: str
    text: str = ""


Command = (
    Ptz | TeleBoot | RecordControl | Guard | ResetAlarm | IFrame | DragZoom | HomePosition | PrecisePtz | Upgrade
    | FormatCard | UnknownControl
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceControl(Manscdp):
    """设备控制. priority: of whoever controls, higher wins; optional."""

    command: Command
    priority: int | None = None

    @property
    def wants_answer(self) -> bool:
        """Whether a Response message follows the SIP 200."""
        return isinstance(self.command, RecordControl | Guard | ResetAlarm | HomePosition | Upgrade)


# ---- answers and the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Manscdp):
    """A Response that says no more than OK or ERROR. cmd_type: what was asked."""

    cmd_type: str
    is_ok: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(Manscdp):
    """A message we have no type for. root: Control, Query, Notify or Response. node: all of it."""

    root: str
    cmd_type: str
    node: Node
