"""Between the words of MANSCDP and ours: catalogue entries to points, orders to front-end commands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, time
from itertools import islice

from anwang.access import Ptz, PtzOrder
from anwang.kernel.errors import Unsupported
from anwang.kernel.times import BEIJING, to_micros
from anwang.registry import CatalogueItem, Generation, Place, PointKind, SelfReport, read_texts
from anwang.wire.gb28181 import (
    CatalogItem,
    Command,
    ConfigResponse,
    Cruise,
    CruiseAct,
    DeviceInfoResponse,
    DeviceStatusResponse,
    HomePosition,
    ItemDetail,
    ItemEvent,
    Lens,
    MobilePositionNotify,
    Move,
    Node,
    Preset,
    PresetAct,
    PtzCommand,
    Switch,
    frame_of,
    is_code,
    type_of,
)
from anwang.wire.gb28181 import (
    Ptz as PtzCmd,
)

LENS_SPEED = 128
_KINDS = {"121": PointKind.CHECKPOINT, "134": PointKind.ALARM_POINT}
_CAMERAS = frozenset({"131", "132", "122", "140"})
_STATES = frozenset({ItemEvent.ON, ItemEvent.OFF, ItemEvent.VLOST, ItemEvent.DEFECT})
#: Resolution of GB/T 28181-2016 A.2.1.9; the 2022 edition writes the size itself
_RESOLUTIONS = {"1": "QCIF", "2": "CIF", "3": "4CIF", "4": "D1", "5": "720P", "6": "1080P"}
#: names that some peers give to fields of Info
_VARIANTS = {
    "potype": "point_class",
    "monitorpointtype": "point_class",
    "pocommonname": "common_name",
}


def item(found: CatalogItem, *, root: str, at_us: int) -> CatalogueItem | None:
    """One catalogue entry, or None for the queried node itself.

    root: the queried node. It is its own only channel where a camera registers as itself, so a camera type is kept.
    """
    kind = type_of(found.device_id)
    if found.device_id == root and kind not in _CAMERAS:
        return None
    status = None
    if found.event in _STATES:
        status = found.event is ItemEvent.ON
    elif found.status:
        status = found.is_online
    file, unread = read_texts(texts(found), generation(found))
    return CatalogueItem(
        channel_id=found.device_id,
        name=found.name,
        at_us=at_us,
        is_on=status,
        leaf=is_code(found.device_id) and (kind in _CAMERAS or kind in _KINDS),
        kind=_KINDS.get(kind, PointKind.CAMERA),
        parents=found.parents,
        gone=found.event is ItemEvent.DEL,
        brief=found.event in _STATES and not found.name,
        file=file,
        unread=tuple((each.key, each.value, each.reason) for each in unread),
    )


MOST_PLACES = 256
"""Positions taken of one message."""


def places(notice: MobilePositionNotify, *, device: str, at_us: int) -> list[tuple[str, Place]]:
    """Channels and where they were; a position that names nobody is the device's. Without a place it is left out."""
    found = []
    for one in notice.positions[:MOST_PLACES]:
        if one.longitude is None or one.latitude is None:
            continue
        moment = one.at or notice.at
        place = Place(
            longitude=one.longitude,
            latitude=one.latitude,
            at_us=None if moment is None else to_micros(moment),
            received_us=at_us,
            speed_kmh=one.speed_kmh,
            direction_deg=one.direction_deg,
            altitude_m=one.altitude_m,
        )
        found.append((one.device_id or notice.device_id or device, place))
    return found


def report(told: DeviceStatusResponse, at_us: int) -> SelfReport:
    """What a device says of itself. at_us: when its answer came."""
    off_s = None if told.device_time is None else round((to_micros(told.device_time) - at_us) / 1e6, 1)
    return SelfReport(
        received_us=at_us,
        is_online=told.is_online,
        is_healthy=told.is_healthy,
        reason=told.reason[:200],
        is_encoding=told.is_encoding,
        is_recording=told.is_recording,
        clock_off_s=off_s,
        alarms=tuple((code[:20], duty.value) for code, duty in told.alarms[:MOST_DUTIES]),
    )


MOST_DUTIES = 256


def description(told: DeviceInfoResponse) -> list[tuple[str, str]]:
    """What DeviceInfo says of the device itself; nothing where it says that it can't."""
    if told.is_ok is False:
        return []
    known = [
        ("name", told.name),
        ("manufacturer", told.manufacturer),
        ("model", told.model),
        ("firmware", told.firmware),
        ("channels", _number(told.channels)),
        ("device_type", told.device_type),
        ("max_camera", _number(told.max_camera)),
        ("max_alarm", _number(told.max_alarm)),
    ]
    return [(key, text) for key, text in known if text] + [(_snake(name), text) for name, text in told.extra]


def configuration(told: ConfigResponse) -> list[tuple[str, str]]:
    """What ConfigDownload says, in one group an element. A position that a moving device reads from satellites is left
    out: it is no setting.
    """
    found: list[tuple[str, str]] = []
    if (basic := told.basic) is not None:
        found += [
            ("basic.name", basic.name),
            ("basic.expiration_s", _number(basic.expiration_s)),
            ("basic.heartbeat_interval_s", _number(basic.heartbeat_interval_s)),
            ("basic.heartbeat_count", _number(basic.heartbeat_count)),
            ("basic.position_capability", _number(basic.position_capability)),
        ]
        if not basic.position_capability:
            found += [("basic.longitude", _measure(basic.longitude)), ("basic.latitude", _measure(basic.latitude))]
        found += [(f"basic.{_snake(name)}", text) for name, text in basic.extra]
    if told.video is not None:
        found.append(("video_options.resolutions", "/".join(told.video.resolutions)))
        found.append(("video_options.download_speeds", "/".join(told.video.download_speeds)))
    for node in told.others[:MOST_ELEMENTS]:
        found += islice(_leaves(node, _GROUPS.get(node.key) or _snake(node.name)), MOST_LEAVES)
    return [(key, text) for key, text in found if text]


MOST_ELEMENTS, MOST_LEAVES = 8, 256
_GROUPS = {
    "videoparamattribute": "video",
    "videorecordplan": "record_plan",
    "videoalarmrecord": "alarm_record",
    "picturemask": "mask",
    "framemirror": "mirror",
    "alarmreport": "alarm_report",
    "osdconfig": "osd",
}


def _leaves(node: Node, prefix: str) -> Iterator[tuple[str, str]]:
    """The texts below an element, under a name each; of several elements of one name the second has a 2 and so on."""
    if not node.children:
        yield (prefix if "." in prefix else f"{prefix}.value"), node.text
    seen: Counter[str] = Counter()
    for child in node.children:
        seen[child.key] += 1
        number = f"_{seen[child.key]}" if seen[child.key] > 1 else ""
        yield from _leaves(child, f"{prefix}.{_snake(child.name)}{number}")


def _snake(name: str) -> str:
    """HeartBeatInterval as heart_beat_interval, SIPServerIP as sip_server_ip."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name[:64]).replace(".", "_").lower()


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def generation(found: CatalogItem) -> Generation:
    """Whose digits an entry writes: PTZType 5 is 卡口枪机 in the police table that 2016 peers follow, 遥控半球 in 2022.

    A field that only the older edition has tells of it, unless there is one of the newer as well.
    """
    detail = found.detail
    older = found.safety_way is not None or found.cert_num or found.certifiable is not None or found.owner
    if detail is None:
        return Generation.A if older and not found.security_level else Generation.B
    older = older or detail.position_type or detail.use_type or detail.business_group_id
    newer = (
        found.security_level, detail.photoelectric_imaging_type, detail.capture_position_type, detail.stream_numbers,
        detail.mobile_device_type, detail.grassroots_code, detail.point_type, detail.function_type, detail.encode_type,
    )  # fmt: skip
    return Generation.A if older and not any(newer) else Generation.B


def texts(found: CatalogItem) -> dict[str, str]:
    """What an entry says of the camera file (GB/T 28181 A.2.1.9 Item and Info), as written, by our field."""
    said = {
        "maker": found.manufacturer,
        "model": found.model,
        "division": found.civil_code,
        "address": found.address,
        "security_level": found.security_level,
        "ipv6" if ":" in found.ip_address else "ipv4": found.ip_address,
        "longitude": _measure(found.longitude),
        "latitude": _measure(found.latitude),
    }
    if len(found.block) == 12 and found.block.isdigit():  # 警区 is free text; a code of GA 380 says whose it is
        said["police_unit"] = found.block
    if found.detail is not None:
        said |= _detail(found.detail)
    return said


def _detail(detail: ItemDetail) -> dict[str, str]:
    said = {
        # several are joined where a channel can be several things: the first is what it is now
        "camera_type": detail.ptz_type.partition("/")[0],
        "place_type": detail.capture_position_type or detail.position_type,
        "use_type": detail.use_type,
        "imaging": detail.photoelectric_imaging_type,
        "room_type": detail.room_type,
        "fill_light": detail.supply_light_type,
        "facing": detail.direction_type,
        "resolution": "/".join(_RESOLUTIONS.get(part, part) for part in detail.resolution.split("/")),
        "stream_numbers": "/".join(detail.stream_numbers),
        "streams": _streams(detail.stream_numbers),
        "download_speed": "/".join(detail.download_speeds),
        "mobile_type": detail.mobile_device_type,
        "fov_deg": _measure(detail.horizontal_field_deg),
        "vertical_fov_deg": _measure(detail.vertical_field_deg),
        "view_distance_m": _measure(detail.max_view_m),
        "grassroots_code": detail.grassroots_code,
        "point_class": detail.point_type,
        "common_name": detail.point_common_name,
        "mac": detail.mac,
        "function_type": detail.function_type,
        "codec": detail.encode_type,
        "install_time": "" if detail.installed_at is None else _moment(detail.installed_at),
        "manager": detail.management_unit,
        "manager_phone": detail.contact,
        "retention_days": "" if detail.record_save_days is None else str(detail.record_save_days),
        "industry_class": detail.industrial_classification,
    }
    for name, text in detail.extra:
        key = _VARIANTS.get(name.lower())
        if key is not None:
            said[key] = said[key] or text
    return said


def _streams(numbers: tuple[str, ...]) -> str:
    """Main, and sub where the list has another number (0 is main). Without a list there is only main: neither edition
    lets a stream be chosen otherwise, and what vendors understand beyond that is told by no catalogue.
    """
    if not numbers:
        return ""
    return "0/1" if set(numbers) - {"0"} else "0"


def _measure(value: float | None) -> str:
    """A number as text; nothing for 0, which devices send for what they do not know."""
    return f"{value:.8f}" if value else ""


def _moment(at: datetime) -> str:
    civil = at.astimezone(BEIJING)
    return civil.strftime("%Y-%m-%d" if civil.time() == time() else "%Y-%m-%d %H:%M:%S")


def control(order: PtzOrder) -> Command:
    """What a DeviceControl for this order holds. Raises Unsupported."""
    match order.act:
        case Ptz.HOME_ON:
            if not 0 <= order.preset <= 255:
                raise Unsupported(f"preset {order.preset} does not exist in GB/T 28181", "0 to 255")
            return HomePosition(True, order.value or None, order.preset)
        case Ptz.HOME_OFF:
            return HomePosition(False)
        case Ptz.CRUISE_START:
            return PtzCmd(frame_of(command(order)), track_name=order.name)
        case _:
            return PtzCmd(frame_of(command(order)), preset_name=order.name)


def command(order: PtzOrder) -> PtzCommand:
    """The front-end command of an order (GB/T 28181-2016 A.3). Raises Unsupported."""
    match order.act:
        case Ptz.MOVE:
            pan, pan_speed = _speed(order.pan, 255)
            tilt, tilt_speed = _speed(order.tilt, 255)
            zoom, zoom_speed = _speed(order.zoom, 15)
            return Move(
                pan=pan, tilt=tilt, zoom=zoom, pan_speed=pan_speed, tilt_speed=tilt_speed, zoom_speed=zoom_speed
            )
        case Ptz.STOP | Ptz.CRUISE_STOP:
            return Move()
        case Ptz.FOCUS_NEAR:
            return Lens(focus=-1, focus_speed=LENS_SPEED)
        case Ptz.FOCUS_FAR:
            return Lens(focus=1, focus_speed=LENS_SPEED)
        case Ptz.IRIS_OPEN:
            return Lens(iris=1, iris_speed=LENS_SPEED)
        case Ptz.IRIS_CLOSE:
            return Lens(iris=-1, iris_speed=LENS_SPEED)
        case Ptz.LENS_STOP:
            return Lens()
        case Ptz.PRESET_SET | Ptz.PRESET_GO | Ptz.PRESET_DELETE:
            if not 1 <= order.preset <= 255:
                raise Unsupported(f"preset {order.preset} does not exist in GB/T 28181", "1 to 255")
            acts = {Ptz.PRESET_SET: PresetAct.SET, Ptz.PRESET_GO: PresetAct.CALL, Ptz.PRESET_DELETE: PresetAct.DELETE}
            return Preset(acts[order.act], order.preset)
        case Ptz.CRUISE_START:
            return _cruise(order, CruiseAct.START, 0, 0)
        case Ptz.CRUISE_ADD:
            return _cruise(order, CruiseAct.ADD, order.preset, 255, least=1)
        case Ptz.CRUISE_REMOVE:
            return _cruise(order, CruiseAct.REMOVE, order.preset, 255, least=1)
        case Ptz.CRUISE_CLEAR:
            return _cruise(order, CruiseAct.REMOVE, 0, 0)
        case Ptz.CRUISE_SPEED:
            return _cruise(order, CruiseAct.SPEED, order.value, 4095, least=1)
        case Ptz.CRUISE_DWELL:
            return _cruise(order, CruiseAct.DWELL, order.value, 4095, least=1)
        case Ptz.SWITCH_ON | Ptz.SWITCH_OFF:
            if not 1 <= order.value <= 255:
                raise Unsupported(f"switch {order.value} does not exist in GB/T 28181", "1 to 255; 1 is the wiper")
            return Switch(order.value, order.act is Ptz.SWITCH_ON)
        case Ptz.HOME_ON | Ptz.HOME_OFF:
            raise Unsupported("the home position is no front-end command")


def _cruise(order: PtzOrder, act: CruiseAct, value: int, most: int, *, least: int = 0) -> Cruise:
    if not 0 <= order.track <= 255:
        raise Unsupported(f"cruise {order.track} does not exist in GB/T 28181", "0 to 255")
    if not least <= value <= most:
        raise Unsupported(f"{order.act.value} can't take {value}", f"a number from {least} to {most}")
    return Cruise(act, order.track, value)


def _speed(value: float, most: int) -> tuple[int, int]:
    """-1..1 to a direction and a speed; anything but zero moves at least a little."""
    value = max(-1.0, min(1.0, value))
    if value == 0:
        return 0, 0
    return (1 if value > 0 else -1), max(1, round(abs(value) * most))
