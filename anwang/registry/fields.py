"""The camera file (一机一档): its fields, and how two generations write them.

A is the police point-attribute table (c. 2016), B is GB/T 28181-2022 (catalogue Item and Info). Inside, values are
words or the code that both share; `parse` and `write` turn them from and into each generation's text. A value given as
its Chinese term is understood as well as its code.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from anwang.kernel.codes import camera, places
from anwang.kernel.codes.table import CodeTable
from anwang.kernel.errors import Invalid
from anwang.registry.model import FileValue, Lifecycle, PointKind


class Generation(StrEnum):
    """Which table a file follows."""

    A = "A"
    B = "B"


class NotInDomain(Invalid):
    """A value that its table does not have."""


Reader = Callable[[str, Generation], FileValue]
Writer = Callable[[FileValue, Generation], str]
Need = Literal["M", "1", "12", "O"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. needed: M always, 1 for class I, 12 for classes I and II, O never. column: of `points`, None where it
    lives in the JSON document `file`.
    """

    key: str
    label: str
    a: tuple[str, ...] = ()
    """Its names in generation A; the first is written."""
    b: tuple[str, ...] = ()
    """Its names in generation B; the first is written."""
    needed: Need = "O"
    column: str | None = None
    parse: Reader
    write: Writer


def _text(limit: int) -> Reader:
    def read(text: str, _: Generation) -> FileValue:
        if len(text) > limit:
            raise NotInDomain(f"超过 {limit} 个字符")
        return text

    return read


def _plain(value: FileValue, _: Generation) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.7f}".rstrip("0").rstrip(".")
    return str(value)


def _number(low: float, high: float, *, above: bool = False) -> Reader:
    def read(text: str, _: Generation) -> FileValue:
        try:
            value = float(text)
        except ValueError:
            raise NotInDomain("不是数字") from None
        if not low <= value <= high or (above and value == low):
            raise NotInDomain(f"应在 {low:g} 到 {high:g} 之间")
        return value

    return read


def _whole(low: int, high: int) -> Reader:
    def read(text: str, _: Generation) -> FileValue:
        if re.fullmatch(r"\d{1,9}", text, re.ASCII) is None or not low <= int(text) <= high:
            raise NotInDomain(f"应为 {low} 到 {high} 的整数")
        return int(text)

    return read


def _code(a: CodeTable | None, b: CodeTable | None) -> tuple[Reader, Writer]:
    """One code, the same in both generations where both have it."""

    def read(text: str, generation: Generation) -> FileValue:
        own, other = (a, b) if generation is Generation.A else (b, a)
        for table in (own, other):
            if table is None:
                continue
            if text in table:
                return text
            if (code := table.code_of(text)) is not None:
                return code
            if text.isascii() and text.isdigit() and (code := text.lstrip("0") or "0") in table:
                return code
        raise NotInDomain("不在代码表中")

    def write(value: FileValue, generation: Generation) -> str:
        table = a if generation is Generation.A else b
        text = _plain(value, generation)
        return text if table is None or text in table else ""

    return read, write


def _several(read_one: Reader, write_one: Writer) -> tuple[Reader, Writer]:
    """Values joined by a slash."""

    def read(text: str, generation: Generation) -> FileValue:
        parts = [part.strip() for part in text.split("/")]
        if len(parts) > 16:
            raise NotInDomain("多值过多")
        return "/".join(dict.fromkeys(str(read_one(part, generation)) for part in parts))

    def write(value: FileValue, generation: Generation) -> str:
        parts = [write_one(part, generation) for part in str(value or "").split("/") if part]
        return "/".join(dict.fromkeys(part for part in parts if part))

    return read, write


def _words(
    read_a: Mapping[str, str], read_b: Mapping[str, str], write_a: Mapping[str, str], write_b: Mapping[str, str],
    labels: Mapping[str, str],
) -> tuple[Reader, Writer]:  # fmt: skip
    """Codes whose meaning differs between the generations, kept as words."""
    by_label = {label: word for word, label in labels.items()}

    def read(text: str, generation: Generation) -> FileValue:
        own = read_a if generation is Generation.A else read_b
        word = own.get(text) or by_label.get(text) or (text if text in labels else None)
        if word is None and text.isascii() and text.isdigit():
            word = own.get(text.lstrip("0")) or own.get(text.zfill(2))
        if word is None:
            raise NotInDomain("不在代码表中")
        return word

    def write(value: FileValue, generation: Generation) -> str:
        return (write_a if generation is Generation.A else write_b).get(str(value or ""), "")

    return read, write


FUNCTION_LABELS: Mapping[str, str] = {
    "vehicle": "车辆卡口",
    "person": "人员卡口",
    "micro": "微卡口",
    "feature": "特征摄像机",
    "ordinary": "普通监控",
    "lookout": "高空瞭望",
    "face": "人脸卡口",
    "non_motor": "非机动车卡口",
    "thing": "物品卡口",
    "other": "其他",
}
_FUNCTIONS_A = {
    "1": "vehicle",
    "2": "person",
    "3": "micro",
    "4": "feature",
    "5": "ordinary",
    "6": "lookout",
    "99": "other",
}
_FUNCTIONS_B = {"01": "face", "02": "person", "03": "vehicle", "04": "non_motor", "05": "thing", "99": "other"}
_FUNCTIONS_TO_A = {word: code for code, word in _FUNCTIONS_A.items()} | {"face": "2", "non_motor": "99", "thing": "99"}
_FUNCTIONS_TO_B = {word: code for code, word in _FUNCTIONS_B.items()} | dict.fromkeys(
    ("micro", "feature", "ordinary", "lookout"), "99"
)
_CODECS_A = {"1": "MPEG-4", "2": "H.264", "3": "SVAC", "4": "H.265"}
_CODECS_B = {"1": "MPEG-4", "2": "H.264", "3": "SVAC", "4": "3GP", "5": "H.265"}
CODEC_LABELS: Mapping[str, str] = {word: word for word in ("MPEG-4", "H.264", "SVAC", "H.265", "3GP")}
_LIFECYCLES = {word: code for code, word in camera.LIFECYCLE_WORDS_A.items()}
LIFECYCLE_LABELS: Mapping[str, str] = {"planned": "规划", "in_use": "在用", "repair": "维修", "removed": "拆除"}
SITING_LABELS: Mapping[str, str] = {"lawful": "经核查可布设", "prohibited": "经核查禁止布设"}
NETWORKING_LABELS: Mapping[str, str] = {"networked": "已联网", "not_networked": "未联网", "other": "其他"}
USE_LABELS: Mapping[str, str] = {"security": "治安", "traffic": "交通", "key_point": "重点"}
_USES = {"1": "security", "2": "traffic", "3": "key_point"}
KIND_LABELS: Mapping[str, str] = {
    "camera": "摄像机",
    "checkpoint": "卡口",
    "alarm_point": "报警点",
    "sensor": "传感器",
    "watchtower": "瞭望塔",
}
_CLASSES_A = {"1": "1", "2": "2", "3": "3", "4": "4", "9": "9"}
CLASS_LABELS: Mapping[str, str] = {"1": "一类", "2": "二类", "3": "三类", "4": "公安内部", "9": "其他"}
_CLASS_LONG = {code.label: code.code for code in camera.POINT_CLASSES_A}


def _read_class(text: str, generation: Generation) -> FileValue:
    code = _CLASS_LONG.get(text) or {label: code for code, label in CLASS_LABELS.items()}.get(text) or text
    if code not in _CLASSES_A:
        raise NotInDomain("应为 1、2、3、4 或 9")
    return int(code)


def _write_class(value: FileValue, generation: Generation) -> str:
    return "9" if generation is Generation.B and value == 4 else _plain(value, generation)


def _read_place(text: str, generation: Generation) -> FileValue:
    if re.fullmatch(r"\d{7}", text, re.ASCII):
        return text
    for table in (places.PLACE_TYPES_A, places.PLACE_TYPES_LOCAL):
        if text in table:
            return text
        if (code := table.code_of(text)) is not None:
            return code
        if text.isascii() and text.isdigit() and text.lstrip("0") in table:
            return text.lstrip("0")
    raise NotInDomain("不在位置类型表中（1–15、96–99、地方扩展 100–137，或 7 位代码）")


def _write_place(value: FileValue, generation: Generation) -> str:
    text = str(value or "")
    return text if (len(text) == 7) == (generation is Generation.B) else ""


_MAC = re.compile("[0-9A-F]{2}(?:-[0-9A-F]{2}){5}")


def _read_mac(text: str, _: Generation) -> FileValue:
    if _MAC.fullmatch(text):
        return text
    digits = re.sub(r"[-:.]", "", text).upper()
    if re.fullmatch(r"[0-9A-F]{12}", digits) is None:
        raise NotInDomain("MAC 地址应为 XX-XX-XX-XX-XX-XX")
    return "-".join(digits[i : i + 2] for i in range(0, 12, 2))


_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")


def _read_ip(version: int) -> Reader:
    def read(text: str, _: Generation) -> FileValue:
        if version == 4 and _IPV4.fullmatch(text):
            return text  # a tenth of what the library takes, and nearly every cell
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise NotInDomain(f"不是 IPv{version} 地址") from None
        if address.version != version:
            raise NotInDomain(f"不是 IPv{version} 地址")
        return str(address)

    return read


_DAY = re.compile(r"(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?(?:[ T](\d{1,2}:\d{2}(?::\d{2})?))?", re.ASCII)


def _read_day(text: str, _: Generation) -> FileValue:
    from datetime import date

    found = _DAY.fullmatch(text)
    if found is None:
        raise NotInDomain("应为 2026-11-22 或 2026-11-22 08:00:00")
    try:
        day = date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        raise NotInDomain("没有这一天") from None
    return f"{day.isoformat()} {found[4]}" if found[4] else day.isoformat()


def _read_digits(length: int) -> Reader:
    def read(text: str, _: Generation) -> FileValue:
        if re.fullmatch(rf"\d{{{length}}}", text, re.ASCII) is None:
            raise NotInDomain(f"应为 {length} 位数字")
        return text

    return read


def _read_device_code(text: str, _: Generation) -> FileValue:
    if re.fullmatch(r"\d(\.\d+)?[eE]\+\d+", text, re.ASCII):
        raise NotInDomain("被表格软件当作数字，末尾几位已丢失，请把该列设为文本后重新填写")
    return text.lstrip("'`\t").strip()  # spreadsheets are told with a leading mark that it is text


def _read_networking(text: str, _: Generation) -> FileValue:
    for word, label in NETWORKING_LABELS.items():
        if text in (word, label):
            return word
    if text in ("0", "1", "9"):
        return text  # what a digit means differs between cities; the import says
    raise NotInDomain("应为 已联网、未联网 或 其他")


def _one_of(labels: Mapping[str, str]) -> tuple[Reader, Writer]:
    by_label = {label: word for word, label in labels.items()}

    def read(text: str, _: Generation) -> FileValue:
        word = by_label.get(text) or (text if text in labels else None)
        if word is None:
            raise NotInDomain("应为 " + "、".join(labels.values()))
        return word

    def write(value: FileValue, _: Generation) -> str:
        return labels.get(str(value or ""), "")

    return read, write


def _read_streams(text: str, _: Generation) -> FileValue:
    names = {"main": "main", "sub": "sub", "主码流": "main", "子码流": "sub", "辅码流": "sub", "0": "main", "1": "sub"}
    try:
        return ",".join(dict.fromkeys(names[part.strip()] for part in re.split(r"[/,，]", text)))
    except KeyError:
        raise NotInDomain("应为 主码流 或 主码流/子码流") from None


_camera = _words(
    camera.CAMERA_TYPE_WORDS_A,
    camera.CAMERA_TYPE_WORDS_B,
    camera.CAMERA_TYPE_TO_A,
    camera.CAMERA_TYPE_TO_B,
    camera.CAMERA_TYPE_LABELS,
)
_function = _several(*_words(_FUNCTIONS_A, _FUNCTIONS_B, _FUNCTIONS_TO_A, _FUNCTIONS_TO_B, FUNCTION_LABELS))
_codec = _words(
    _CODECS_A,
    _CODECS_B,
    {word: code for code, word in _CODECS_A.items()},
    {word: code for code, word in _CODECS_B.items()},
    CODEC_LABELS,
)
_lifecycle = _words(camera.LIFECYCLE_WORDS_A, {}, _LIFECYCLES, {}, LIFECYCLE_LABELS)
_siting = _words({}, {}, SITING_LABELS, {}, SITING_LABELS)
_place = _several(_read_place, _write_place)
_light = _code(camera.FILL_LIGHTS_A, camera.FILL_LIGHTS_B)
_facing = _code(camera.FACINGS_A, camera.FACINGS_B)
_maker = _code(camera.MAKERS, None)
_department = _several(*_code(camera.DEPARTMENTS, None))
_room = _code(camera.ROOM_TYPES, camera.ROOM_TYPES)
_imaging = _several(*_code(camera.IMAGING_TYPES, camera.IMAGING_TYPES))
_mobile = _code(camera.MOBILE_TYPES, camera.MOBILE_TYPES)
_level = _code(camera.SECURITY_LEVELS, camera.SECURITY_LEVELS)
# GB/T 28181-2016 A.2.1.9 UseType, withdrawn in 2022: read from old peers, written to none
_use = _words(_USES, _USES, {word: code for code, word in _USES.items()}, {}, USE_LABELS)
_kind = _one_of(KIND_LABELS)
_network = _one_of(NETWORKING_LABELS)


def _read_maker(text: str, generation: Generation) -> FileValue:
    """A code of the table, or any name: generation B writes names."""
    try:
        return _maker[0](text, generation)
    except NotInDomain:
        if generation is Generation.A and text.isascii() and text.isdigit():
            raise
        return _text(64)(text, generation)


def _write_maker(value: FileValue, generation: Generation) -> str:
    text = str(value or "")
    if generation is Generation.B:
        return camera.MAKERS.label(text)
    return text if text in camera.MAKERS else (camera.MAKERS.code_of(text) or ("99" if text else ""))


# a latitude above 90 is read, so that the rule about swapped coordinates can say what is wrong
FIELDS: tuple[Field, ...] = (
    Field(key="code", label="设备编码", a=("设备编码", "设备编号", "国标编码"), b=("DeviceID",), needed="M",
          column="code", parse=_read_device_code, write=_plain),
    Field(key="name", label="设备名称", a=("设备名称", "点位名称"), b=("Name",), needed="M", column="name",
          parse=_text(100), write=_plain),
    Field(key="maker", label="设备厂商", a=("设备厂商",), b=("Manufacturer",), needed="M", parse=_read_maker,
          write=_write_maker),
    Field(key="division", label="行政区域", a=("行政区域", "行政区划"), b=("CivilCode",), needed="M", column="division",
          parse=_text(12), write=_plain),
    Field(key="point_class", label="监控点位类型", a=("监控点位类型", "点位类型"),
          b=("PointType", "PoType", "MonitorPointType"), needed="M", column="point_class", parse=_read_class,
          write=_write_class),
    Field(key="model", label="设备型号", a=("设备型号",), b=("Model",), needed="M", parse=_text(64), write=_plain),
    Field(key="common_name", label="点位俗称", a=("点位俗称",), b=("PointCommonName", "PoCommonName"), parse=_text(100),
          write=_plain),
    Field(key="ipv4", label="IPv4 地址", a=("IPV4地址", "IPv4地址", "IP地址"), b=("IPAddress",), needed="M",
          parse=_read_ip(4), write=_plain),
    Field(key="ipv6", label="IPv6 地址", a=("IPV6地址", "IPv6地址"), parse=_read_ip(6), write=_plain),
    Field(key="mac", label="MAC 地址", a=("MAC地址",), b=("MAC", "Mac"), parse=_read_mac, write=_plain),
    Field(key="camera_type", label="摄像机类型", a=("摄像机类型",), b=("PTZType",), needed="M", column="camera_type",
          parse=_camera[0], write=_camera[1]),
    Field(key="function_type", label="摄像机功能类型", a=("摄像机功能类型",), b=("FunctionType",), needed="M",
          parse=_function[0], write=_function[1]),
    Field(key="fill_light", label="补光属性", a=("补光属性",), b=("SupplyLightType",), needed="M", parse=_light[0],
          write=_light[1]),
    Field(key="codec", label="摄像机编码格式", a=("摄像机编码格式",), b=("EncodeType",), needed="M", parse=_codec[0],
          write=_codec[1]),
    Field(key="address", label="安装地址", a=("安装地址",), b=("Address",), needed="M", column="address",
          parse=_text(200), write=_plain),
    Field(key="longitude", label="经度", a=("经度",), b=("Longitude",), needed="12", column="longitude",
          parse=_number(-180, 180), write=_plain),
    Field(key="latitude", label="纬度", a=("纬度",), b=("Latitude",), needed="12", column="latitude",
          parse=_number(-180, 180), write=_plain),
    Field(key="place_type", label="摄像机位置类型", a=("摄像机位置类型",), b=("CapturePositionType", "PositionType"),
          needed="M", parse=_place[0], write=_place[1]),
    Field(key="use_type", label="用途属性", a=("用途属性",), b=("UseType",), parse=_use[0], write=_use[1]),
    Field(key="facing", label="监控方位", a=("监控方位",), b=("DirectionType",), parse=_facing[0], write=_facing[1]),
    Field(key="networking", label="联网属性", a=("联网属性",), needed="M", parse=_read_networking, write=_network[1]),
    Field(key="police_unit", label="所属辖区公安机关", a=("所属辖区公安机关",), needed="M", parse=_read_digits(12),
          write=_plain),
    Field(key="install_time", label="安装时间", a=("安装时间",), b=("InstallTime",), needed="1", parse=_read_day,
          write=_plain),
    Field(key="manager", label="管理单位", a=("管理单位",), b=("ManagementUnit",), needed="M", parse=_text(100),
          write=_plain),
    Field(key="manager_phone", label="管理单位联系方式", a=("管理单位联系方式",), b=("ContactInfo",), needed="1",
          parse=_text(100), write=_plain),
    Field(key="retention_days", label="录像保存天数", a=("录像保存天数",), b=("RecordSaveDays",), needed="1",
          parse=_whole(0, 3650), write=_plain),
    Field(key="lifecycle", label="设备状态", a=("设备状态",), needed="M", column="lifecycle", parse=_lifecycle[0],
          write=_lifecycle[1]),
    Field(key="siting", label="布设核查", a=("布设核查",), parse=_siting[0], write=_siting[1]),
    Field(key="consent", label="涉密单位同意文号", a=("涉密单位同意文号",), parse=_text(100), write=_plain),
    Field(key="department", label="所属部门/行业", a=("所属部门/行业", "所属部门", "所属行业"), needed="M",
          column="department", parse=_department[0], write=_department[1]),
    Field(key="industry_class", label="行业分类", b=("IndustrialClassification",), parse=_text(32), write=_plain),
    Field(key="room_type", label="安装位置", a=("安装位置",), b=("RoomType",), parse=_room[0], write=_room[1]),
    Field(key="imaging", label="光电成像类型", a=("光电成像类型",), b=("PhotoelectricImagingType",), parse=_imaging[0],
          write=_imaging[1]),
    Field(key="mobile_type", label="移动采集设备类型", a=("移动采集设备类型",), b=("MobileDeviceType",),
          parse=_mobile[0], write=_mobile[1]),
    Field(key="security_level", label="安全能力等级", a=("安全能力等级",), b=("SecurityLevelCode",), parse=_level[0],
          write=_level[1]),
    Field(key="grassroots_code", label="基层组织编码", a=("基层组织编码",), b=("GrassrootsCode",), needed="M",
          parse=_read_digits(6), write=_plain),
    Field(key="fov_deg", label="水平视场角", a=("水平视场角",), b=("HorizontalFieldAngle",), column="fov_deg",
          parse=_number(0, 360, above=True), write=_plain),
    Field(key="vertical_fov_deg", label="垂直视场角", a=("垂直视场角",), b=("VerticalFieldAngle",),
          parse=_number(0, 360, above=True), write=_plain),
    Field(key="view_distance_m", label="最大可视距离", a=("最大可视距离",), b=("MaxViewDistance",),
          parse=_number(0, 100_000), write=_plain),
    Field(key="resolution", label="分辨率", a=("分辨率",), b=("Resolution",), parse=_text(64), write=_plain),
    Field(key="stream_numbers", label="码流编号列表", a=("码流编号列表",), b=("StreamNumberList",), parse=_text(32),
          write=_plain),
    Field(key="download_speed", label="下载倍速", a=("下载倍速",), b=("DownloadSpeed",), parse=_text(32), write=_plain),
    Field(key="height_m", label="架设高度", a=("架设高度",), parse=_number(0, 1000), write=_plain),
    Field(key="mounting", label="安装方式", a=("安装方式",), parse=_text(64), write=_plain),
    Field(key="box_mounting", label="机箱安装形式", a=("机箱安装形式",), parse=_text(32), write=_plain),
    Field(key="power", label="取电方式", a=("取电方式",), parse=_text(64), write=_plain),
    Field(key="lens", label="镜头参数", a=("镜头参数",), parse=_text(64), write=_plain),
    Field(key="firmware", label="软件版本", a=("软件版本",), parse=_text(64), write=_plain),
    Field(key="key_object", label="重点监控对象", a=("重点监控对象",), parse=_text(64), write=_plain),
    Field(key="community", label="社区", a=("社区",), parse=_text(64), write=_plain),
    Field(key="street", label="街道", a=("街道",), parse=_text(64), write=_plain),
    Field(key="aims_at", label="照射具体位置", a=("照射具体位置",), parse=_text(64), write=_plain),
    Field(key="phase", label="建设期数", a=("建设期数",), parse=_text(32), write=_plain),
    Field(key="project", label="项目名称", a=("项目名称",), parse=_text(100), write=_plain),
    Field(key="builder", label="承建单位", a=("承建单位",), parse=_text(100), write=_plain),
    Field(key="builder_phone", label="承建单位电话", a=("承建单位电话",), parse=_text(64), write=_plain),
    # ours: what neither generation has
    Field(key="kind", label="点位种类", a=("点位种类",), b=("PointKind",), column="kind", parse=_kind[0],
          write=_kind[1]),
    Field(key="organisation", label="所属组织", a=("所属组织",), b=("Organisation",), parse=_text(200), write=_plain),
    Field(key="paid", label="建设单位", a=("建设单位", "出资单位"), b=("PaidBy",), column="paid", parse=_text(200),
          write=_plain),
    Field(key="owns", label="产权单位", a=("产权单位",), b=("OwnedBy",), column="owns", parse=_text(200), write=_plain),
    Field(key="maintains", label="维护单位", a=("维护单位",), b=("MaintainedBy",), column="maintains", parse=_text(200),
          write=_plain),
    Field(key="may_see", label="授权单位", a=("授权单位",), b=("SharedWith",), column="may_see", parse=_text(1000),
          write=_plain),
    Field(key="zone", label="网络区域", a=("网络区域",), b=("NetworkZone",), column="zone", parse=_text(32),
          write=_plain),
    Field(key="streams", label="可用码流", a=("可用码流",), b=("Streams",), column="streams", parse=_read_streams,
          write=_plain),
    Field(key="heading_deg", label="方位角", a=("方位角",), b=("Heading",), column="heading_deg",
          parse=_number(0, 360), write=_plain),
)  # fmt: skip

BY_KEY: Mapping[str, Field] = {field.key: field for field in FIELDS}
#: fields that live in the document `file`
FILE_KEYS = frozenset(field.key for field in FIELDS if field.column is None and field.key != "organisation")
STATE = "state"
"""What may be shared of a point besides its file: whether it is online."""
_NEVER_SHARED = frozenset({"code", "ipv4", "ipv6", "mac", "may_see"})
#: what an agreement may let out of a point, with labels. The code always leaves: by it a point is named. The others
#: lead to the device past the platform, or say who else may see it
SHAREABLE: Mapping[str, str] = {
    **{field.key: field.label for field in FIELDS if field.key not in _NEVER_SHARED},
    STATE: "在线状态",
}
#: values that say nothing
PLACEHOLDERS = frozenset({"0", "-", "--", "/", "未知", "无", "test", "null", "none", "n/a"})
PLACEHOLDER_LENGTH = max(map(len, PLACEHOLDERS))
#: fields in which these are values all the same
PLACEHOLDER_IS_VALUE = frozenset({"networking", "retention_days", "heading_deg", "longitude", "latitude", "streams"})


@dataclass(frozen=True, slots=True)
class Unread:
    """A value that its table does not have. key: of the field."""

    key: str
    value: str
    reason: str


def read_texts(texts: Mapping[str, str], generation: Generation) -> tuple[dict[str, FileValue], list[Unread]]:
    """Values by field key from what a device or a form wrote, also by field key; what says nothing is left out, and
    what its table does not have is told.
    """
    record: dict[str, FileValue] = {}
    unread: list[Unread] = []
    for key, written in texts.items():
        text = written.strip()
        if not text or (
            len(text) <= PLACEHOLDER_LENGTH and text.lower() in PLACEHOLDERS and key not in PLACEHOLDER_IS_VALUE
        ):
            continue
        try:
            record[key] = BY_KEY[key].parse(text, generation)
        except NotInDomain as err:
            unread.append(Unread(key, text[:100], err.reason))
    return record, unread


def _headers() -> dict[str, tuple[Field, Generation]]:
    found: dict[str, tuple[Field, Generation]] = {}
    for field in FIELDS:
        for generation, names in ((Generation.A, field.a), (Generation.B, field.b)):
            for name in names:
                found[fold(name)] = (field, generation)
    return found


def fold(header: str) -> str:
    """A header without what people add to it: spaces, stars, units in brackets, case."""
    return re.sub(r"[\s*＊﻿]|[(（][^)）]*[)）]", "", header).lower()


HEADERS = _headers()


def default_lifecycle(value: FileValue) -> Lifecycle:
    """Of a file that says nothing: it is in use."""
    return Lifecycle(str(value)) if value else Lifecycle.IN_USE


def kind_of(code: str, value: FileValue) -> PointKind:
    """The kind that the file says, else what the type in the 20-digit code means."""
    if value:
        return PointKind(str(value))
    return {"121": PointKind.CHECKPOINT, "134": PointKind.ALARM_POINT}.get(code[10:13], PointKind.CAMERA)
