"""The objects of GA/T 1400.3-2017 that a checkpoint platform takes, as they stand on the wire.

Every member may be absent: devices leave out what the standard requires, and who takes an object decides what it needs.
Absent, null and empty mean the same. Codes, times and ids are text here; `times` and `ids` read them. What we have no
name for is kept in `extras` and written again.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, ClassVar, Final

import msgspec

MAX_TEXT: Final = 1024
MAX_INT: Final = 2**31 - 1
MAX_FLOAT: Final = 1e9
MAX_OBJECTS: Final = 10_000
"""In one list: more than fits in 32 MB with any picture."""

Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Int = Annotated[int, msgspec.Meta(ge=-MAX_INT, le=MAX_INT)]
Float = Annotated[float, msgspec.Meta(ge=-MAX_FLOAT, le=MAX_FLOAT)]

EXTRAS: Final = "+"
"""The member under which extras stand until they are written among the others; what a peer sends by it is dropped."""

_WORDS: Final = {"id": "ID", "ids": "IDs", "uri": "URI", "ipaddr": "IPAddr", "ipv6addr": "IPV6Addr", "viid": "VIID"}


def _wire_name(name: str) -> str:
    """`source_id` → `SourceID`."""
    return "".join(_WORDS.get(part, part[:1].upper() + part[1:]) for part in name.split("_"))


class Extras(dict[str, object]):
    """Members that an object has no name for: a type of its own, so that no JSON becomes one unseen."""


class Wire(
    msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename=_wire_name
):
    """Base of all objects. wire: its name, from which `<X>Object`, `<X>ListObject` and `<X>ObjectList` are made.

    required: members that the standard wants (R), for `lacking`.
    """

    wire: ClassVar[str] = ""
    required: ClassVar[tuple[str, ...]] = ()

    extras: Extras | None = msgspec.field(default=None, name=EXTRAS)


def lacking(one: Wire) -> list[str]:
    """Members that the standard requires and this object has not, by their wire names. An empty text is there."""
    names = dict(zip(one.__struct_fields__, one.__struct_encode_fields__, strict=True))
    return [names[name] for name in one.required if getattr(one, name) is None]


class StatusCode(IntEnum):
    """What became of an object (StatusCode of ResponseStatus)."""

    OK = 0
    OTHER_ERROR = 1
    BUSY = 2
    DEVICE_ERROR = 3
    INVALID_OPERATION = 4
    INVALID_XML_FORMAT = 5
    INVALID_XML_CONTENT = 6
    INVALID_JSON_FORMAT = 7
    INVALID_JSON_CONTENT = 8
    REBOOT = 9


STATUS_TEXTS: Final = {
    StatusCode.OK: "OK",
    StatusCode.OTHER_ERROR: "OtherError",
    StatusCode.BUSY: "Device Busy",
    StatusCode.DEVICE_ERROR: "Device Error",
    StatusCode.INVALID_OPERATION: "Invalid Operation",
    StatusCode.INVALID_XML_FORMAT: "Invalid XML Format",
    StatusCode.INVALID_XML_CONTENT: "Invalid XML Content",
    StatusCode.INVALID_JSON_FORMAT: "Invalid JSON Format",
    StatusCode.INVALID_JSON_CONTENT: "Invalid JSON Content",
    StatusCode.REBOOT: "Reboot",
}


class ResponseStatus(Wire, kw_only=True, frozen=True):
    """What became of one request or object. status_code: a number that we may not know; id: of the object."""

    wire: ClassVar[str] = "ResponseStatus"
    required: ClassVar[tuple[str, ...]] = ("request_url", "status_code", "status_string")

    request_url: Text | None = msgspec.field(default=None, name="RequestURL")
    status_code: Int | None = None
    status_string: Text | None = None
    id: Text | None = msgspec.field(default=None, name="Id")
    local_time: Text | None = None


class Register(Wire, kw_only=True, frozen=True):
    """注册."""

    wire: ClassVar[str] = "Register"
    required: ClassVar[tuple[str, ...]] = ("device_id",)

    device_id: Text | None = None
    protocol_version: Text | None = None


class UnRegister(Wire, kw_only=True, frozen=True):
    """注销."""

    wire: ClassVar[str] = "UnRegister"
    required: ClassVar[tuple[str, ...]] = ("device_id",)

    device_id: Text | None = None


class Keepalive(Wire, kw_only=True, frozen=True):
    """保活."""

    wire: ClassVar[str] = "Keepalive"
    required: ClassVar[tuple[str, ...]] = ("device_id",)

    device_id: Text | None = None


class SystemTime(Wire, kw_only=True, frozen=True):
    """校时. time_mode: 1 calibrated by network, 2 by hand."""

    wire: ClassVar[str] = "SystemTime"
    required: ClassVar[tuple[str, ...]] = ("viid_server_id", "time_mode", "local_time")

    viid_server_id: Text | None = msgspec.field(default=None, name="VIIDServerID")
    time_mode: Text | None = None
    local_time: Text | None = None
    time_zone: Text | None = None


class SubImage(Wire, kw_only=True, frozen=True):
    """A picture of an object. type: 01 scene, 02 plate, 09 close-up …; data: base64, or storage_path: where it is."""

    wire: ClassVar[str] = "SubImageInfo"
    required: ClassVar[tuple[str, ...]] = ("image_id", "type", "file_format", "shot_time")

    image_id: Text | None = None
    event_sort: Int | None = None
    device_id: Text | None = None
    storage_path: Text | None = None
    type: Text | None = None
    file_format: Text | None = None
    shot_time: Text | None = None
    width: Int | None = None
    height: Int | None = None
    data: str | None = None

    def __repr__(self) -> str:
        return f"SubImage(image_id={self.image_id!r}, type={self.type!r}, data={len(self.data or '')} characters)"


class SubImages(Wire, kw_only=True, frozen=True):
    """SubImageList."""

    items: Annotated[list[SubImage], msgspec.Meta(max_length=64)] | None = msgspec.field(
        default=None, name="SubImageInfoObject"
    )


class MotorVehicle(Wire, kw_only=True, frozen=True):
    """机动车: one pass of one vehicle. speed: km/h; length, width, height: mm; rectangle: pixels of its picture."""

    wire: ClassVar[str] = "MotorVehicle"
    required: ClassVar[tuple[str, ...]] = (
        "motor_vehicle_id",
        "info_kind",
        "source_id",
        "storage_url1",
        "has_plate",
        "plate_class",
        "plate_color",
        "vehicle_color",
    )

    motor_vehicle_id: Text | None = None
    info_kind: Int | None = None
    source_id: Text | None = None
    tollgate_id: Text | None = None
    device_id: Text | None = None
    storage_url1: Text | None = None
    storage_url2: Text | None = None
    storage_url3: Text | None = None
    storage_url4: Text | None = None
    storage_url5: Text | None = None
    left_top_x: Int | None = None
    left_top_y: Int | None = None
    right_btm_x: Int | None = None
    right_btm_y: Int | None = None
    mark_time: Text | None = None
    appear_time: Text | None = None
    disappear_time: Text | None = None
    lane_no: Int | None = None
    has_plate: bool | None = None
    plate_class: Text | None = None
    plate_color: Text | None = None
    plate_no: Text | None = None
    plate_no_attach: Text | None = None
    plate_describe: Text | None = None
    is_decked: bool | None = None
    is_altered: bool | None = None
    is_covered: bool | None = None
    speed: Float | None = None
    direction: Text | None = None
    driving_status_code: Text | None = None
    using_properties_code: Int | None = None
    vehicle_class: Text | None = None
    vehicle_brand: Text | None = None
    vehicle_model: Text | None = None
    vehicle_styles: Text | None = None
    vehicle_length: Int | None = None
    vehicle_width: Int | None = None
    vehicle_height: Int | None = None
    vehicle_color: Text | None = None
    vehicle_color_depth: Text | None = None
    vehicle_hood: Text | None = None
    vehicle_trunk: Text | None = None
    vehicle_wheel: Text | None = None
    vehicle_window: Text | None = None
    vehicle_roof: Text | None = None
    vehicle_door: Text | None = None
    side_of_vehicle: Text | None = None
    car_of_vehicle: Text | None = None
    rearview_mirror: Text | None = None
    vehicle_chassis: Text | None = None
    vehicle_shielding: Text | None = None
    wheel_printed_pattern: Text | None = None
    film_color: Text | None = None
    is_modified: bool | None = None
    hit_mark_info: Text | None = None
    vehicle_body_desc: Text | None = None
    vehicle_front_item: Text | None = None
    desc_of_front_item: Text | None = None
    vehicle_rear_item: Text | None = None
    desc_of_rear_item: Text | None = None
    num_of_passenger: Int | None = None
    pass_time: Text | None = None
    name_of_passed_road: Text | None = None
    is_suspicious: bool | None = None
    sunvisor: Int | None = None
    safety_belt: Int | None = None
    calling: Int | None = None
    plate_reliability: Text | None = None
    plate_char_reliability: Text | None = None
    brand_reliability: Text | None = None
    sub_image_list: SubImages | None = None
    longitude: Float | None = None
    latitude: Float | None = None


class Ape(Wire, kw_only=True, frozen=True):
    """采集设备. is_online: 1 yes, 2 no, 9 other; password: of the device, never to be shown."""

    wire: ClassVar[str] = "APE"
    required: ClassVar[tuple[str, ...]] = (
        "ape_id",
        "name",
        "model",
        "ipaddr",
        "port",
        "longitude",
        "latitude",
        "place_code",
        "is_online",
    )

    ape_id: Text | None = None
    name: Text | None = None
    model: Text | None = None
    ipaddr: Text | None = None
    ipv6addr: Text | None = None
    port: Int | None = None
    longitude: Float | None = None
    latitude: Float | None = None
    place_code: Text | None = None
    place: Text | None = None
    org_code: Text | None = None
    cap_direction: Int | None = None
    monitor_direction: Text | None = None
    monitor_area_desc: Text | None = None
    is_online: Text | None = None
    owner_aps_id: Text | None = None
    user_id: Text | None = msgspec.field(default=None, name="UserId")
    password: Text | None = None
    function_type: Text | None = None
    position_type: Text | None = None

    def __repr__(self) -> str:
        return f"Ape(ape_id={self.ape_id!r}, name={self.name!r}, password=***)"


class ApeStatus(Wire, kw_only=True, frozen=True):
    """采集设备状态."""

    wire: ClassVar[str] = "APEStatus"
    required: ClassVar[tuple[str, ...]] = ("ape_id", "is_online", "current_time")

    ape_id: Text | None = None
    is_online: Text | None = None
    current_time: Text | None = None


class Tollgate(Wire, kw_only=True, frozen=True):
    """卡口. status: 1 normal, 2 disabled, 9 other; tollgate_usage: 80 security, 81 traffic, 82 other."""

    wire: ClassVar[str] = "Tollgate"
    required: ClassVar[tuple[str, ...]] = (
        "tollgate_id",
        "name",
        "longitude",
        "latitude",
        "place_code",
        "status",
        "tollgate_cat",
        "tollgate_usage",
    )

    tollgate_id: Text | None = None
    name: Text | None = None
    longitude: Float | None = None
    latitude: Float | None = None
    place_code: Text | None = None
    place: Text | None = None
    status: Text | None = None
    tollgate_cat: Text | None = None
    tollgate_usage: Int | None = None
    lane_num: Int | None = None
    org_code: Text | None = None
    active_time: Text | None = None


class Lane(Wire, kw_only=True, frozen=True):
    """车道. lane_no: leftmost 1; max_speed: km/h; city_pass: 1 inbound, 2 outbound, 3 none, 4 mixed."""

    wire: ClassVar[str] = "Lane"
    required: ClassVar[tuple[str, ...]] = ("tollgate_id", "lane_id", "lane_no", "name", "direction")

    tollgate_id: Text | None = None
    lane_id: Int | None = msgspec.field(default=None, name="LaneId")
    lane_no: Int | None = None
    name: Text | None = None
    direction: Text | None = None
    desc: Text | None = None
    max_speed: Int | None = None
    city_pass: Int | None = None
    ape_id: Text | None = None


class Subscribe(Wire, kw_only=True, frozen=True):
    """订阅. operate_type: 0 subscribe, 1 cancel; report_interval: s; subscribe_detail: kinds joined by commas."""

    wire: ClassVar[str] = "Subscribe"
    required: ClassVar[tuple[str, ...]] = (
        "subscribe_id",
        "title",
        "subscribe_detail",
        "resource_uri",
        "applicant_name",
        "applicant_org",
        "begin_time",
        "end_time",
        "receive_addr",
        "operate_type",
    )

    subscribe_id: Text | None = None
    title: Text | None = None
    subscribe_detail: Text | None = None
    resource_uri: Text | None = None
    applicant_name: Text | None = None
    applicant_org: Text | None = None
    begin_time: Text | None = None
    end_time: Text | None = None
    receive_addr: Text | None = None
    report_interval: Int | None = None
    reason: Text | None = None
    operate_type: Int | None = None
    subscribe_status: Int | None = None
    subscribe_cancel_org: Text | None = None
    subscribe_cancel_person: Text | None = None
    cancel_time: Text | None = None
    cancel_reason: Text | None = None
    resource_class: Int | None = None
    result_image_declare: Text | None = None
    result_feature_declare: Int | None = None
    tab_id: Text | None = None


class Apes(Wire, kw_only=True, frozen=True):
    """DeviceList."""

    items: Annotated[list[Ape], msgspec.Meta(max_length=MAX_OBJECTS)] | None = msgspec.field(
        default=None, name="APEObject"
    )


class ApeStatuses(Wire, kw_only=True, frozen=True):
    """DeviceStatusList."""

    items: Annotated[list[ApeStatus], msgspec.Meta(max_length=MAX_OBJECTS)] | None = msgspec.field(
        default=None, name="APEStatusObject"
    )


class Tollgates(Wire, kw_only=True, frozen=True):
    """TollgateObjectList."""

    items: Annotated[list[Tollgate], msgspec.Meta(max_length=MAX_OBJECTS)] | None = msgspec.field(
        default=None, name="TollgateObject"
    )


class Lanes(Wire, kw_only=True, frozen=True):
    """LaneObjectList."""

    items: Annotated[list[Lane], msgspec.Meta(max_length=MAX_OBJECTS)] | None = msgspec.field(
        default=None, name="LaneObject"
    )


class MotorVehicles(Wire, kw_only=True, frozen=True):
    """MotorVehicleObjectList."""

    items: Annotated[list[MotorVehicle], msgspec.Meta(max_length=MAX_OBJECTS)] | None = msgspec.field(
        default=None, name="MotorVehicleObject"
    )


class SubscribeNotification(Wire, kw_only=True, frozen=True):
    """订阅通知. info_ids: ids of what it carries, joined by commas; execute_operation: 1 add, 2 update, 3 delete."""

    wire: ClassVar[str] = "SubscribeNotification"
    required: ClassVar[tuple[str, ...]] = ("notification_id", "subscribe_id", "title", "trigger_time", "info_ids")

    notification_id: Text | None = None
    subscribe_id: Text | None = None
    title: Text | None = None
    trigger_time: Text | None = None
    info_ids: str | None = None
    device_list: Apes | None = None
    device_status_list: ApeStatuses | None = None
    tollgate_object_list: Tollgates | None = None
    lane_object_list: Lanes | None = None
    motor_vehicle_object_list: MotorVehicles | None = None
    execute_operation: Int | None = None


class Disposition(Wire, kw_only=True, frozen=True):
    """布控. disposition_category: 3 motor vehicle; priority_level: 1 highest to 3; operate_type: 0 set, 1 cancel.

    disposition_range: 1 tollgates (tollgate_list, joined by semicolons), 2 area (disposition_area, region codes).
    """

    wire: ClassVar[str] = "Disposition"
    required: ClassVar[tuple[str, ...]] = (
        "disposition_id",
        "title",
        "disposition_category",
        "target_feature",
        "priority_level",
        "applicant_name",
        "applicant_info",
        "applicant_org",
        "begin_time",
        "end_time",
        "create_time",
        "operate_type",
        "disposition_range",
        "receive_addr",
    )

    disposition_id: Text | None = None
    title: Text | None = None
    disposition_category: Text | None = None
    target_feature: Text | None = None
    target_image_uri: Text | None = None
    priority_level: Int | None = None
    applicant_name: Text | None = None
    applicant_info: Text | None = None
    applicant_org: Text | None = None
    begin_time: Text | None = None
    end_time: Text | None = None
    create_time: Text | None = None
    operate_type: Int | None = None
    disposition_status: Int | None = None
    disposition_range: Text | None = None
    tollgate_list: str | None = None
    disposition_area: Text | None = None
    receive_addr: Text | None = None
    receive_mobile: Text | None = None
    reason: Text | None = None
    disposition_remove_org: Text | None = None
    disposition_remove_person: Text | None = None
    disposition_remove_time: Text | None = None
    disposition_remove_reason: Text | None = None
    sub_image_list: SubImages | None = None


class DispositionNotification(Wire, kw_only=True, frozen=True):
    """布控告警: a hit. cnt_object_id: the id of the vehicle object that it carries."""

    wire: ClassVar[str] = "DispositionNotification"
    required: ClassVar[tuple[str, ...]] = (
        "notification_id",
        "disposition_id",
        "title",
        "trigger_time",
        "cnt_object_id",
    )

    notification_id: Text | None = None
    disposition_id: Text | None = None
    title: Text | None = None
    trigger_time: Text | None = None
    cnt_object_id: Text | None = None
    motor_vehicle_object: MotorVehicle | None = None
