"""`parse` and `serialize` of MANSCDP bodies: XML to typed values and back (GB/T 28181-2016 and -2022 annex A).

Reading takes both editions from anyone; writing follows the version agreed at registration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from anwang.kernel.errors import WireError
from anwang.wire.gb28181 import messages as m
from anwang.wire.gb28181.codes import V2016, V2022, Version
from anwang.wire.gb28181.fields import (
    FLAG,
    FLOAT,
    INT,
    LATITUDE,
    LIST,
    LONGITUDE,
    ON,
    ONLINE,
    RESULT,
    TEXT,
    TIME,
    Field,
    Kind,
    Table,
    nodes,
    read_float,
    read_int,
)
from anwang.wire.gb28181.ptz import PtzFrame
from anwang.wire.gb28181.xml import Node, read, write

CONTENT_TYPE: Final = "Application/MANSCDP+xml"

_COMMON: Final = frozenset({"cmdtype", "sn", "deviceid"})


def _status(text: str) -> str | None:
    word = text.strip().upper()
    known = ON.read(word)
    return word[:32] or None if known is None else "ON" if known else "OFF"


_STATUS: Final = Kind(_status, str)
_EVENT: Final = Kind(lambda text: m.ItemEvent.__members__.get(text.strip().upper()), lambda value: value.value)

_PLACE = (Field("longitude", "Longitude", LONGITUDE), Field("latitude", "Latitude", LATITUDE))

_ITEM: Final = Table(
    Field("device_id", "DeviceID", TEXT),
    Field("event", "Event", _EVENT),
    Field("name", "Name", TEXT),
    Field("manufacturer", "Manufacturer", TEXT),
    Field("model", "Model", TEXT),
    Field("owner", "Owner", TEXT, until=V2016),
    Field("civil_code", "CivilCode", TEXT),
    Field("block", "Block", TEXT),
    Field("address", "Address", TEXT),
    Field("is_parental", "Parental", FLAG),
    Field("parents", "ParentID", LIST),
    Field("safety_way", "SafetyWay", INT, until=V2016),
    Field("register_way", "RegisterWay", INT),
    Field("cert_num", "CertNum", TEXT, until=V2016),
    Field("certifiable", "Certifiable", FLAG, until=V2016),
    Field("err_code", "ErrCode", INT, until=V2016),
    Field("certificate_ends", "EndTime", TIME, until=V2016),
    Field("security_level", "SecurityLevelCode", TEXT, since=V2022),
    Field("secrecy", "Secrecy", FLAG),
    Field("ip_address", "IPAddress", TEXT),
    Field("port", "Port", INT),
    Field("status", "Status", _STATUS),
    *_PLACE,
    Field("business_group_id", "BusinessGroupID", TEXT),
)

_DETAIL: Final = Table(
    Field("ptz_type", "PTZType", TEXT),
    Field("position_type", "PositionType", TEXT, until=V2016),
    Field("photoelectric_imaging_type", "PhotoelectricImagingType", TEXT, since=V2022),
    Field("capture_position_type", "CapturePositionType", TEXT, since=V2022),
    Field("room_type", "RoomType", TEXT),
    Field("use_type", "UseType", TEXT, until=V2016),
    Field("supply_light_type", "SupplyLightType", TEXT),
    Field("direction_type", "DirectionType", TEXT),
    Field("resolution", "Resolution", TEXT),
    Field("stream_numbers", "StreamNumberList", LIST, since=V2022),
    Field("business_group_id", "BusinessGroupID", TEXT, until=V2016),
    Field("download_speeds", "DownloadSpeed", LIST),
    Field("svc_space", "SVCSpaceSupportMode", TEXT),
    Field("svc_time", "SVCTimeSupportMode", TEXT),
    Field("ssvc_ratios", "SSVCRatioSupportList", LIST, since=V2022),
    Field("mobile_device_type", "MobileDeviceType", TEXT, since=V2022),
    Field("horizontal_field_deg", "HorizontalFieldAngle", FLOAT, since=V2022),
    Field("vertical_field_deg", "VerticalFieldAngle", FLOAT, since=V2022),
    Field("max_view_m", "MaxViewDistance", FLOAT, since=V2022),
    Field("grassroots_code", "GrassrootsCode", TEXT, since=V2022),
    Field("point_type", "PointType", TEXT, since=V2022),
    Field("point_common_name", "PointCommonName", TEXT, since=V2022),
    Field("mac", "MAC", TEXT, since=V2022),
    Field("function_type", "FunctionType", TEXT, since=V2022),
    Field("encode_type", "EncodeType", TEXT, since=V2022),
    Field("installed_at", "InstallTime", TIME, since=V2022),
    Field("management_unit", "ManagementUnit", TEXT, since=V2022),
    Field("contact", "ContactInfo", TEXT, since=V2022),
    Field("record_save_days", "RecordSaveDays", INT, since=V2022),
    Field("industrial_classification", "IndustrialClassification", TEXT, since=V2022),
)

_RECORD: Final = Table(
    Field("device_id", "DeviceID", TEXT),
    Field("name", "Name", TEXT),
    Field("file_path", "FilePath", TEXT),
    Field("address", "Address", TEXT),
    Field("start", "StartTime", TIME),
    Field("end", "EndTime", TIME),
    Field("secrecy", "Secrecy", INT),
    Field("sort", "Type", TEXT),
    Field("recorder_id", "RecorderID", TEXT),
    Field("size_bytes", "FileSize", INT, until=V2016),
    Field("location", "RecordLocation", TEXT, since=V2022),
    Field("stream_number", "StreamNumber", INT, since=V2022),
)

_MOTION: Final = (
    *_PLACE,
    Field("speed_kmh", "Speed", FLOAT),
    Field("direction_deg", "Direction", FLOAT),
    Field("altitude_m", "Altitude", FLOAT),
)
_POSITION_2016: Final = Table(Field("at", "Time", TIME), *_MOTION)
_POSITION: Final = Table(
    Field("device_id", "DeviceID", TEXT),
    Field("at", "CaptureTime", TIME),
    *_MOTION,
    Field("height_m", "Height", FLOAT),
)

_BASIC: Final = Table(
    Field("name", "Name", TEXT),
    Field("expiration_s", "Expiration", INT),
    Field("heartbeat_interval_s", "HeartBeatInterval", INT),
    Field("heartbeat_count", "HeartBeatCount", INT),
    Field("position_capability", "PositionCapability", INT),
    *_PLACE,
)
_VIDEO: Final = Table(Field("download_speeds", "DownloadSpeed", LIST), Field("resolutions", "Resolution", LIST))
_SNAPSHOT: Final = Table(
    Field("count", "SnapNum", INT),
    Field("interval_s", "Interval", INT),
    Field("upload_url", "UploadURL", TEXT),
    Field("session_id", "SessionID", TEXT),
)


# ---- lists and nested parts


def _item(node: Node) -> m.CatalogItem | None:
    found, extra = _ITEM.read(node, frozenset({"password", "info"}))
    if not found.get("device_id"):
        return None
    detail = node.find("Info")
    if detail is not None and detail.children:
        inner, rest = _DETAIL.read(detail)
        found["detail"] = m.ItemDetail(**inner, extra=rest)
    return m.CatalogItem(**found, extra=extra)


def _item_node(item: m.CatalogItem, version: Version) -> Node:
    out = [node for node in _ITEM.write(item, version) if node.name != "BusinessGroupID" or version >= V2022]
    if version >= V2022 and not item.business_group_id and item.group_id:
        out.append(Node("BusinessGroupID", item.group_id))
    inner = list(_DETAIL.write(item.detail, version)) + nodes(item.detail.extra) if item.detail else []
    if version < V2022 and item.business_group_id and not (item.detail and item.detail.business_group_id):
        inner.append(Node("BusinessGroupID", item.business_group_id))
    if inner:
        out.append(Node("Info", children=inner))
    return Node("Item", children=[*out, *nodes(item.extra)])


def _list(node: Node, name: str) -> Iterable[Node]:
    found = node.find(name)
    return found.all("Item") if found else ()


def _list_node(name: str, items: list[Node]) -> Node:
    return Node(name, children=items, attributes={"Num": str(len(items))})


def _catalog(node: Node) -> dict[str, Any]:
    items = tuple(item for child in _list(node, "DeviceList") if (item := _item(child)))
    total = read_int(node.get("SumNum"))
    return {"items": items, "total": len(items) if total is None or total < 0 else total}


def _catalog_nodes(value: Any, version: Version) -> list[Node]:
    out = [Node("SumNum", str(value.total))]
    if value.items:
        out.append(_list_node("DeviceList", [_item_node(item, version) for item in value.items]))
    return out


def _records(node: Node) -> dict[str, Any]:
    items = []
    for child in _list(node, "RecordList"):
        found, extra = _RECORD.read(child)
        items.append(m.RecordItem(**found, extra=extra))
    total = read_int(node.get("SumNum"))
    return {"items": tuple(items), "total": len(items) if total is None or total < 0 else total}


def _record_nodes(value: m.RecordInfoResponse, version: Version) -> list[Node]:
    out = [Node("SumNum", str(value.total))]
    if value.items:
        listed = [Node("Item", children=[*_RECORD.write(one, version), *nodes(one.extra)]) for one in value.items]
        out.append(_list_node("RecordList", listed))
    return out


def _faulty(node: Node) -> dict[str, Any]:
    inner = node.find("Info")
    return {"faulty": tuple(one.text for one in inner.all("DeviceID") if one.text) if inner else ()}


def _faulty_nodes(value: m.Keepalive, _version: Version) -> list[Node]:
    return [Node("Info", children=[Node("DeviceID", one) for one in value.faulty])] if value.faulty else []


def _alarm(node: Node) -> dict[str, Any]:
    inner = node.find("Info")
    if inner is None:
        return {}
    parameter = inner.find("AlarmTypeParam")
    return {
        "alarm_type": read_int(inner.get("AlarmType")),
        "event_type": read_int(parameter.get("EventType")) if parameter else None,
    }


def _alarm_nodes(value: m.AlarmNotify, version: Version) -> list[Node]:
    if value.alarm_type is None or version < V2016:
        return []
    inner = [Node("AlarmType", str(value.alarm_type))]
    if value.event_type is not None:
        inner.append(Node("AlarmTypeParam", children=[Node("EventType", str(value.event_type))]))
    return [Node("Info", children=inner)]


def _positions(node: Node) -> dict[str, Any]:
    found, _ = _POSITION_2016.read(node)
    listed = []
    for child in _list(node, "DeviceList"):
        inner, _ = _POSITION.read(child)
        listed.append(m.Position(**inner))
    if not listed and ("longitude" in found or "latitude" in found):
        listed.append(m.Position(device_id=node.get("DeviceID"), **found))
    return {"at": found.get("at"), "positions": tuple(listed), "total": read_int(node.get("SumNum"))}


def _position_nodes(value: m.MobilePositionNotify, version: Version) -> list[Node]:
    if version < V2022:
        if not value.positions:
            return []
        out = list(_POSITION_2016.write(value.positions[0], version))
        if value.positions[0].at is None and value.at is not None:
            out.insert(0, Node("Time", TIME.write(value.at)))
        return out
    out = [Node("Time", TIME.write(value.at))] if value.at is not None else []
    out.append(Node("SumNum", str(len(value.positions) if value.total is None else value.total)))
    if value.positions:
        listed = [Node("Item", children=_POSITION.write(one, version)) for one in value.positions]
        out.append(_list_node("DeviceList", listed))
    return out


def _duties(node: Node) -> dict[str, Any]:
    found = []
    for child in _list(node, "Alarmstatus"):
        duty = m.Duty.__members__.get(child.get("DutyStatus").upper())
        if child.get("DeviceID") and duty:
            found.append((child.get("DeviceID"), duty))
    return {"alarms": tuple(found)}


def _duty_nodes(value: m.DeviceStatusResponse, _version: Version) -> list[Node]:
    if not value.alarms:
        return []
    listed = [
        Node("Item", children=[Node("DeviceID", device), Node("DutyStatus", duty.value)])
        for device, duty in value.alarms
    ]
    return [_list_node("Alarmstatus", listed)]


def _presets(node: Node) -> dict[str, Any]:
    found = [m.PresetItem(one.get("PresetID"), one.get("PresetName")) for one in _list(node, "PresetList")]
    return {"presets": tuple(one for one in found if one.id), "total": read_int(node.get("SumNum"))}


def _preset_nodes(value: m.PresetResponse, version: Version) -> list[Node]:
    total = len(value.presets) if value.total is None else value.total
    out = [Node("SumNum", str(total))] if version >= V2022 else []
    listed = [Node("Item", children=[Node("PresetID", one.id), Node("PresetName", one.name)]) for one in value.presets]
    return [*out, _list_node("PresetList", listed)]


def _count(node: Node, listed: int) -> int:
    total = read_int(node.get("SumNum"))
    return listed if total is None or total < 0 else total


def _tracks(node: Node) -> dict[str, Any]:
    listed = node.find("CruiseTrackList")
    tracks = tuple(
        m.CruiseTrack(number, one.get("Name"))
        for one in (listed.all("CruiseTrack") if listed else ())
        if (number := read_int(one.get("Number"))) is not None
    )
    return {"tracks": tracks, "total": _count(node, len(tracks))}


def _track_nodes(value: m.CruiseTrackListResponse, _version: Version) -> list[Node]:
    out = [Node("SumNum", str(value.total))]
    if value.tracks:
        listed = [
            Node("CruiseTrack", children=[Node("Number", str(one.number)), *_leaf("Name", one.name)])
            for one in value.tracks
        ]
        out.append(_list_node("CruiseTrackList", listed))
    return out


def _stops(node: Node) -> dict[str, Any]:
    listed = node.find("CruisePointList")
    points = tuple(
        m.CruisePoint(preset, read_int(one.get("StayTime")), read_int(one.get("Speed")))
        for one in (listed.all("CruisePoint") if listed else ())
        if (preset := read_int(one.get("PresetIndex"))) is not None
    )
    return {"points": points, "total": _count(node, len(points))}


def _stop_nodes(value: m.CruiseTrackResponse, _version: Version) -> list[Node]:
    out = [Node("SumNum", str(value.total))]
    if value.points:
        listed = [
            Node("CruisePoint", children=[
                Node("PresetIndex", str(one.preset)), *_leaf("StayTime", one.stay_s), *_leaf("Speed", one.speed)])
            for one in value.points
        ]  # fmt: skip
        out.append(_list_node("CruisePointList", listed))
    return out


def _home_known(node: Node) -> dict[str, Any]:
    found = node.find("HomePosition")
    return {"home": _home(found) if found is not None and found.children else None}


def _home_nodes(value: m.HomePositionResponse, version: Version) -> list[Node]:
    return _command_nodes(value.home, version) if value.home is not None else []


def _files(node: Node) -> dict[str, Any]:
    listed = node.find("SnapShotList")
    return {"files": tuple(one.text for one in listed.all("SnapShotFileID") if one.text)[:100] if listed else ()}


def _file_nodes(value: m.UploadSnapShotFinished, _version: Version) -> list[Node]:
    return [Node("SnapShotList", children=[Node("SnapShotFileID", one) for one in value.files])]


def _upgrade_result(node: Node) -> dict[str, Any]:
    return {"is_ok": RESULT.read(node.get("UpgradeResult") or node.get("Result"))}


def _upgrade_nodes(value: m.DeviceUpgradeResult, _version: Version) -> list[Node]:
    out = [] if value.is_ok is None else [Node("UpgradeResult", RESULT.write(value.is_ok))]
    if value.firmware:
        out.append(Node("Firmware", value.firmware))
    return [*out, Node("UpgradeFailedReason", value.failed_reason)] if value.failed_reason else out


_CONFIGS: Final = frozenset({"basicparam", "videoparamopt", "snapshotconfig", "snapshot"})


#: what is no configuration element though it has no children; FrameMirror has none either
_NO_CONFIGS: Final = _COMMON | {"result", "reason", "configtype", "sumnum", "num"}
_SECRET: Final = frozenset({"password"})


def _configs(node: Node) -> dict[str, Any]:
    others = (
        c for c in node.children if c.key not in _CONFIGS and (c.children or (c.text and c.key not in _NO_CONFIGS))
    )
    found: dict[str, Any] = {"others": tuple(others)}
    basic, video = node.find("BasicParam"), node.find("VideoParamOpt")
    shot = node.find("SnapShotConfig") or node.find("SnapShot")
    if basic is not None:
        values, extra = _BASIC.read(basic, _SECRET)
        found["basic"] = m.BasicParam(**values, extra=extra)
    if video is not None:
        found["video"] = m.VideoParamOpt(**_VIDEO.read(video)[0])
    if shot is not None:
        found["snapshot"] = m.SnapShotConfig(**_SNAPSHOT.read(shot)[0])
    return found


def _config_to_set(node: Node) -> dict[str, Any]:
    found = _configs(node)
    found.pop("video", None)
    video = node.find("VideoParamOpt")
    return found | {"others": (*found["others"], video)} if video is not None else found


def _config_nodes(value: Any, version: Version) -> list[Node]:
    out = []
    if value.basic is not None:
        written = [*_BASIC.write(value.basic, version), *nodes(value.basic.extra)]
        out.append(Node("BasicParam", children=written))
    if isinstance(value, m.ConfigResponse) and value.video is not None:
        out.append(Node("VideoParamOpt", children=_VIDEO.write(value.video, version)))
    if value.snapshot is not None:
        # the answer to ConfigDownload names the same element differently (2022 A.2.6.9)
        name = "SnapShotConfig" if isinstance(value, m.DeviceConfig) else "SnapShot"
        out.append(Node(name, children=_SNAPSHOT.write(value.snapshot, version)))
    return [*out, *value.others]


# ---- control


def _pixels(node: Node, name: str) -> int:
    return read_int(node.get(name)) or 0


def _drag(node: Node) -> m.DragZoom:
    return m.DragZoom(
        is_in=node.key == "dragzoomin",
        length=_pixels(node, "Length"),
        width=_pixels(node, "Width"),
        mid_x=_pixels(node, "MidPointX"),
        mid_y=_pixels(node, "MidPointY"),
        length_x=_pixels(node, "LengthX"),
        length_y=_pixels(node, "LengthY"),
    )


def _ptz(node: Node, root: Node) -> m.Ptz:
    names = root.find("PTZCmdParams")
    return m.Ptz(
        PtzFrame.parse(node.text),
        names.get("PresetName") if names else "",
        names.get("CruiseTrackName") if names else "",
    )


def _home(node: Node) -> m.HomePosition:
    enabled = FLAG.read(node.get("Enabled"))
    return m.HomePosition(bool(enabled), read_int(node.get("ResetTime")), read_int(node.get("PresetIndex")))


def _reset(root: Node) -> m.ResetAlarm:
    inner = root.find("Info")
    return m.ResetAlarm(inner.get("AlarmMethod"), inner.get("AlarmType")) if inner else m.ResetAlarm()


def _upgrade(node: Node) -> m.Upgrade:
    return m.Upgrade(node.get("Firmware"), node.get("FileURL"), node.get("Manufacturer"), node.get("SessionID"))


def _precise(node: Node) -> m.PrecisePtz:
    return m.PrecisePtz(read_float(node.get("Pan")), read_float(node.get("Tilt")), read_float(node.get("Zoom")))


_COMMANDS: Final[dict[str, Callable[[Node, Node], m.Command]]] = {
    "ptzcmd": _ptz,
    "teleboot": lambda _node, _root: m.TeleBoot(),
    "recordcmd": lambda node, root: m.RecordControl(node.text.lower() == "record", read_int(root.get("StreamNumber"))),
    "guardcmd": lambda node, _root: m.Guard(node.text.lower() == "setguard"),
    "alarmcmd": lambda _node, root: _reset(root),
    "iframecmd": lambda _node, _root: m.IFrame(),
    "ifamecmd": lambda _node, _root: m.IFrame(),
    "dragzoomin": lambda node, _root: _drag(node),
    "dragzoomout": lambda node, _root: _drag(node),
    "homeposition": lambda node, _root: _home(node),
    "ptzprecisectrl": lambda node, _root: _precise(node),
    "deviceupgrade": lambda node, _root: _upgrade(node),
    "formatsdcard": lambda node, _root: m.FormatCard(read_int(node.text) or 0),
}


def _control(root: Node) -> dict[str, Any]:
    inner = root.find("Info")
    priority = read_int(inner.get("ControlPriority")) if inner else None
    unknown: m.Command | None = None
    for child in root.children:
        make = _COMMANDS.get(child.key)
        if make is not None:
            return {"command": make(child, root), "priority": priority}
        if unknown is None and child.key not in _COMMON and child.key != "info":
            unknown = m.UnknownControl(child.name, child.text)
    if unknown is None:
        raise WireError("a DeviceControl without a command")
    return {"command": unknown, "priority": priority}


def _leaf(name: str, value: object) -> list[Node]:
    return [] if value is None or value == "" else [Node(name, str(value))]


def _command_nodes(command: m.Command, version: Version) -> list[Node]:
    match command:
        case m.Ptz():
            names = _leaf("PresetName", command.preset_name) + _leaf("CruiseTrackName", command.track_name)
            extra = [Node("PTZCmdParams", children=names)] if names and version >= V2022 else []
            return [Node("PTZCmd", str(command.frame)), *extra]
        case m.TeleBoot():
            return [Node("TeleBoot", "Boot")]
        case m.RecordControl():
            stream = _leaf("StreamNumber", command.stream_number) if version >= V2022 else []
            return [Node("RecordCmd", "Record" if command.is_on else "StopRecord"), *stream]
        case m.Guard():
            return [Node("GuardCmd", "SetGuard" if command.is_set else "ResetGuard")]
        case m.ResetAlarm():
            which = _leaf("AlarmMethod", command.method) + _leaf("AlarmType", command.alarm_type)
            return [Node("AlarmCmd", "ResetAlarm"), *([Node("Info", children=which)] if which else [])]
        case m.IFrame():
            return [Node("IFrameCmd" if version >= V2022 else "IFameCmd", "Send")]
        case m.DragZoom():
            box = [
                Node("Length", str(command.length)),
                Node("Width", str(command.width)),
                Node("MidPointX", str(command.mid_x)),
                Node("MidPointY", str(command.mid_y)),
                Node("LengthX", str(command.length_x)),
                Node("LengthY", str(command.length_y)),
            ]
            return [Node("DragZoomIn" if command.is_in else "DragZoomOut", children=box)]
        case m.HomePosition():
            inner = [Node("Enabled", str(int(command.is_enabled)))]
            inner += _leaf("ResetTime", command.reset_s) + _leaf("PresetIndex", command.preset)
            return [Node("HomePosition", children=inner)]
        case m.PrecisePtz():
            angles = (("Pan", command.pan_deg), ("Tilt", command.tilt_deg), ("Zoom", command.zoom))
            inner = [Node(name, f"{value:.2f}") for name, value in angles if value is not None]
            return [Node("PTZPreciseCtrl", children=inner)]
        case m.Upgrade():
            inner = [
                Node("Firmware", command.firmware),
                Node("FileURL", command.file_url),
                Node("Manufacturer", command.manufacturer),
                Node("SessionID", command.session_id),
            ]
            return [Node("DeviceUpgrade", children=inner)]
        case m.FormatCard():
            return [Node("FormatSDCard", str(command.card))]
        case m.UnknownControl():
            return [Node(command.name, command.text)]


def _control_nodes(value: m.DeviceControl, version: Version) -> list[Node]:
    out = _command_nodes(value.command, version)
    if value.priority is None:
        return out
    level = Node("ControlPriority", str(value.priority))
    inner = next((node for node in out if node.name == "Info"), None)
    if inner is not None:
        inner.children.append(level)
        return out
    return [*out, Node("Info", children=[level])]


# ---- the table of all messages


_NO_FIELDS: Final = Table()


@dataclass(frozen=True, slots=True)
class _Shape:
    root: str
    cmd_type: str
    type: type[m.Manscdp]
    table: Table = _NO_FIELDS
    read: Callable[[Node], dict[str, Any]] | None = None
    write: Callable[[Any, Version], list[Node]] | None = None
    #: element names that `read` takes care of, in lower case
    known: frozenset[str] = frozenset()


_SHAPES: Final = (
    _Shape("Notify", "Keepalive", m.Keepalive, Table(Field("is_ok", "Status", RESULT)), _faulty, _faulty_nodes),
    _Shape("Notify", "Alarm", m.AlarmNotify, Table(
        Field("priority", "AlarmPriority", INT), Field("method", "AlarmMethod", INT), Field("at", "AlarmTime", TIME),
        Field("description", "AlarmDescription", TEXT), *_PLACE,
    ), _alarm, _alarm_nodes),
    _Shape("Notify", "MobilePosition", m.MobilePositionNotify, Table(), _positions, _position_nodes),
    _Shape("Notify", "MediaStatus", m.MediaStatus, Table(Field("notify_type", "NotifyType", TEXT))),
    _Shape("Notify", "Catalog", m.CatalogNotify, Table(), _catalog, _catalog_nodes),
    _Shape("Notify", "Broadcast", m.BroadcastNotify, Table(
        Field("source_id", "SourceID", TEXT), Field("target_id", "TargetID", TEXT))),
    _Shape("Notify", "UploadSnapShotFinished", m.UploadSnapShotFinished, Table(
        Field("session_id", "SessionID", TEXT)), _files, _file_nodes),
    _Shape("Notify", "DeviceUpgradeResult", m.DeviceUpgradeResult, Table(Field("session_id", "SessionID", TEXT)),
           lambda node: _upgrade_result(node) | {"firmware": node.get("Firmware"),
                                                 "failed_reason": node.get("UpgradeFailedReason")}, _upgrade_nodes),
    _Shape("Notify", "VideoUploadNotify", m.VideoUploadNotify, Table(Field("at", "Time", TIME), *_PLACE)),
    _Shape("Query", "Catalog", m.CatalogQuery, Table(Field("start", "StartTime", TIME), Field("end", "EndTime", TIME))),
    _Shape("Query", "DeviceInfo", m.DeviceInfoQuery),
    _Shape("Query", "DeviceStatus", m.DeviceStatusQuery),
    _Shape("Query", "RecordInfo", m.RecordInfoQuery, Table(
        Field("start", "StartTime", TIME), Field("end", "EndTime", TIME), Field("file_path", "FilePath", TEXT),
        Field("address", "Address", TEXT), Field("secrecy", "Secrecy", INT), Field("sort", "Type", TEXT),
        Field("recorder_id", "RecorderID", TEXT), Field("is_fuzzy", "IndistinctQuery", FLAG),
        Field("stream_number", "StreamNumber", INT, since=V2022),
        Field("alarm_method", "AlarmMethod", TEXT, since=V2022), Field("alarm_type", "AlarmType", TEXT, since=V2022),
    )),
    _Shape("Query", "Alarm", m.AlarmQuery, Table(
        Field("start_priority", "StartAlarmPriority", INT), Field("end_priority", "EndAlarmPriority", INT),
        Field("method", "AlarmMethod", TEXT), Field("alarm_type", "AlarmType", TEXT),
        Field("start", "StartAlarmTime", TIME), Field("end", "EndAlarmTime", TIME),
    )),
    _Shape("Query", "MobilePosition", m.MobilePositionQuery, Table(Field("interval_s", "Interval", INT))),
    _Shape("Query", "PresetQuery", m.PresetQuery),
    _Shape("Query", "CruiseTrackListQuery", m.CruiseTrackListQuery),
    _Shape("Query", "CruiseTrackQuery", m.CruiseTrackQuery, Table(Field("number", "Number", INT))),
    _Shape("Query", "HomePositionQuery", m.HomePositionQuery),
    _Shape("Query", "ConfigDownload", m.ConfigQuery, Table(Field("kinds", "ConfigType", LIST))),
    _Shape("Control", "DeviceControl", m.DeviceControl, Table(), _control, _control_nodes),
    _Shape("Control", "DeviceConfig", m.DeviceConfig, Table(), _config_to_set, _config_nodes),
    _Shape("Response", "Catalog", m.CatalogResponse, Table(), _catalog, _catalog_nodes),
    _Shape("Response", "DeviceInfo", m.DeviceInfoResponse, Table(
        Field("name", "DeviceName", TEXT), Field("is_ok", "Result", RESULT), Field("device_type", "DeviceType", TEXT),
        Field("manufacturer", "Manufacturer", TEXT), Field("model", "Model", TEXT), Field("firmware", "Firmware", TEXT),
        Field("channels", "Channel", INT), Field("max_camera", "MaxCamera", INT), Field("max_alarm", "MaxAlarm", INT),
    )),
    _Shape("Response", "DeviceStatus", m.DeviceStatusResponse, Table(
        Field("is_ok", "Result", RESULT), Field("is_online", "Online", ONLINE), Field("is_healthy", "Status", RESULT),
        Field("reason", "Reason", TEXT), Field("is_encoding", "Encode", ON), Field("is_recording", "Record", ON),
        Field("device_time", "DeviceTime", TIME),
    ), _duties, _duty_nodes),
    _Shape("Response", "RecordInfo", m.RecordInfoResponse, Table(Field("name", "Name", TEXT)), _records, _record_nodes,
           frozenset({"sumnum"})),
    _Shape("Response", "PresetQuery", m.PresetResponse, Table(), _presets, _preset_nodes),
    _Shape("Response", "CruiseTrackListQuery", m.CruiseTrackListResponse, Table(), _tracks, _track_nodes),
    _Shape("Response", "CruiseTrackQuery", m.CruiseTrackResponse, Table(
        Field("number", "Number", INT), Field("name", "Name", TEXT)), _stops, _stop_nodes),
    _Shape("Response", "HomePositionQuery", m.HomePositionResponse, Table(), _home_known, _home_nodes),
    _Shape("Response", "ConfigDownload", m.ConfigResponse, Table(Field("is_ok", "Result", RESULT)), _configs,
           _config_nodes),
)  # fmt: skip

_BY_NAME: Final = {(shape.root.lower(), shape.cmd_type.lower()): shape for shape in _SHAPES} | {
    # the 2014 supplement's misspelling
    ("query", "persetquery"): next(shape for shape in _SHAPES if shape.type is m.PresetQuery),
    ("response", "persetquery"): next(shape for shape in _SHAPES if shape.type is m.PresetResponse),
}
_BY_TYPE: Final[Mapping[type, _Shape]] = {shape.type: shape for shape in _SHAPES}
_ROOTS: Final = {"control": "Control", "query": "Query", "notify": "Notify", "response": "Response"}
#: response types whose list or content tells them from a bare OK
_CONTENT: Final = {
    m.CatalogResponse: ("SumNum", "DeviceList"),
    m.RecordInfoResponse: ("SumNum", "RecordList"),
    m.PresetResponse: ("PresetList", "SumNum"),
    m.CruiseTrackListResponse: ("SumNum", "CruiseTrackList"),
    m.CruiseTrackResponse: ("SumNum", "CruisePointList"),
    m.HomePositionResponse: ("HomePosition",),
}
#: fields of AlarmQuery under their 2011 names
_OLD_NAMES: Final = {"starttime": "start", "endtime": "end"}


def parse(body: bytes, charset: str = "") -> m.Manscdp:
    """The message of a body. charset: what the peer is known to write, whatever it declares.

    Raises WireError: no XML, no known root, no CmdType, a broken PTZCmd.
    """
    return from_node(read(body, charset))


def from_node(root: Node) -> m.Manscdp:
    """The message of a root element. Raises WireError."""
    name = _ROOTS.get(root.key)
    if name is None:
        raise WireError(f"{root.name[:40]!r} is not a MANSCDP root")
    cmd_type = root.get("CmdType")
    if not cmd_type:
        raise WireError(f"a {name} without CmdType")
    sn = read_int(root.get("SN")) or 0
    common: dict[str, Any] = {"sn": sn if 0 <= sn < 2**63 else 0, "device_id": root.get("DeviceID")}
    shape = _BY_NAME.get((root.key, cmd_type.lower()))
    if name == "Response":
        marks = _CONTENT.get(shape.type) if shape else ("",)
        if marks is not None and not any(root.find(mark) for mark in marks):
            is_ok = RESULT.read(root.get("Result"))
            if is_ok is not None:
                return m.Outcome(**common, cmd_type=cmd_type, is_ok=is_ok, reason=root.get("Reason"))
    if shape is None:
        return m.Other(**common, root=name, cmd_type=cmd_type, node=root)
    found, extra = shape.table.read(root, _COMMON)
    if shape.read is not None:
        found |= shape.read(root)
    if shape.type in _WITH_EXTRA:
        found["extra"] = extra
    if shape.type is m.AlarmQuery:
        for old, attribute in _OLD_NAMES.items():
            if attribute not in found and (value := TIME.read(root.get(old))):
                found[attribute] = value
    if shape.type is m.Keepalive:
        found.setdefault("is_ok", True)
    if shape.type is m.BroadcastNotify and not {"source_id", "target_id"} <= found.keys():
        raise WireError("a Broadcast without SourceID and TargetID")
    return shape.type(**common, **found)


_WITH_EXTRA: Final = frozenset({m.AlarmNotify, m.DeviceInfoResponse, m.DeviceStatusResponse})


def to_node(message: m.Manscdp, version: Version = V2016) -> Node:
    """The root element of a message, as that edition has it."""
    if isinstance(message, m.Other):
        return message.node
    if isinstance(message, m.Outcome):
        return _root("Response", message.cmd_type, message, [Node("Result", RESULT.write(message.is_ok))])
    shape = _BY_TYPE[type(message)]
    out = list(shape.table.write(message, version))
    if shape.write is not None:
        out += shape.write(message, version)
    if shape.type in _WITH_EXTRA:
        out += nodes(getattr(message, "extra"))  # noqa: B009
    return _root(shape.root, shape.cmd_type, message, out)


def _root(root: str, cmd_type: str, message: m.Manscdp, rest: list[Node]) -> Node:
    head = [Node("CmdType", cmd_type), Node("SN", str(message.sn))]
    if message.device_id:
        head.append(Node("DeviceID", message.device_id))
    return Node(root, children=[*head, *rest])


def serialize(message: m.Manscdp, version: Version = V2016, charset: str = "") -> bytes:
    """The body of a message as that edition has it. charset: declared and used instead of the edition's, e.g. UTF-8."""
    return write(to_node(message, version), charset or version.charset)
