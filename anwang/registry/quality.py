"""Rules for the camera file (DQ01-DQ12, DQ23): each has an id, a severity, a predicate and a hint how to put it right.

A rule that looks at one file is a function of its record. Rules about many files (a code used twice, too many at one
place) are functions of the record and of what is `Around` it in the whole registry; while a file is imported they count
in a `Census`, which knows that file only. In an import, E-rules whose value cannot be kept stop the row; the others
become findings.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from anwang.kernel.codes import gb28181
from anwang.kernel.codes.gb28181 import DeviceCode
from anwang.kernel.errors import Invalid
from anwang.kernel.geo import EARTH_RADIUS_M, gcj02_to_wgs84
from anwang.registry.fields import BY_KEY, FIELDS, PLACEHOLDER_IS_VALUE, PLACEHOLDER_LENGTH, PLACEHOLDERS
from anwang.registry.files import Record
from anwang.registry.model import PointKind, Severity
from anwang.registry.outlines import Outline
from anwang.registry.siting import Restricted, is_in_use, misplaced

CHINA = (73.5, 3.8, 135.1, 53.6)
BUFFER_M = 500.0
SITING = "DQ23"
"""The rule that keeps a point from being put into use, and not only its values from being kept."""
SAME_PLACE = 8
"""More points than this at one coordinate are suspicious (DQ09)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a rule found. column: key of the field, "" for the whole file. blocks: the row cannot be imported."""

    rule: str
    severity: Severity
    column: str
    value: str
    message: str
    blocks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What rules need to know beside the record. divisions: code to name; empty: not known, and not checked. retired:
    code to the day since which it is no longer in force (ISO). restricted: areas where consent is needed.
    """

    today: date
    divisions: Mapping[str, str] = field(default_factory=dict)
    retired: Mapping[str, str] = field(default_factory=dict)
    restricted: Sequence[Restricted] = ()
    edition: gb28181.Edition = gb28181.Edition.E2022


@dataclass(frozen=True, slots=True)
class Around:
    """How many points of the whole registry, this one among them, share what it has; 0 where it has none. address: in
    its network zone. name: under its organisation. outside: a sentence where it lies outside its division.
    """

    codes: int = 0
    addresses: int = 0
    macs: int = 0
    names: int = 0
    places: int = 0
    outside: str = ""


Predicate = Callable[[Record, Setting], Iterable[tuple[str, str, bool]]]
"""Yields field key, message and whether it blocks an import."""
Across = Callable[[Record, Around], Iterable[tuple[str, str]]]
"""Yields field key and message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of the house for camera files."""

    id: str
    severity: Severity
    title: str
    hint: str
    predicate: Predicate | None = None
    """What it says of one file; None: nothing."""
    across: Across | None = None
    """What it says of a file among all others; None: nothing."""

    @property
    def is_renewed(self) -> bool:
        """Whether a look at a point decides it. Not so for what only an import or a catalogue can see: values that
        were not kept (DQ05), and a shift that only many points together show (DQ08).
        """
        return self.predicate is not None or self.across is not None


def _dq01(record: Record, setting: Setting) -> Iterator[tuple[str, str, bool]]:
    text = str(record.get("code") or "")
    try:
        code = DeviceCode.parse(text)
    except Invalid:
        yield "code", "设备编码应为 20 位数字", True
        return
    if code.type not in gb28181.TYPES_2022:
        yield "code", f"类型编码 {code.type} 不在国标表中", False
    if code.industry not in gb28181.industries(setting.edition):
        other = gb28181.industries(gb28181.Edition.E2016)
        where = "（2016 版有，2022 版已取消）" if code.industry in other else ""
        yield "code", f"行业编码 {code.industry} 不在国标表中{where}", False
    if setting.divisions and code.division not in setting.divisions:
        yield "code", f"编码前 6 位 {code.division} 不是已知行政区划", False
    if code.division in setting.retired:
        yield "code", f"编码前 6 位 {code.division} 的行政区划自 {setting.retired[code.division]} 起停用", False
    division = str(record.get("division") or "")
    if division and setting.divisions and division not in setting.divisions:
        yield "division", f"行政区域 {division} 不在区划表中", False
    if division in setting.retired:
        yield "division", f"行政区域 {division} 自 {setting.retired[division]} 起停用", False


_TYPES_OF = {
    PointKind.CAMERA: {"131", "132", "121", "122"},
    PointKind.CHECKPOINT: {"121", "131", "132"},
    PointKind.ALARM_POINT: {"134", "117"},
    PointKind.WATCHTOWER: {"131", "132"},
}


def _dq02(record: Record, _: Setting) -> Iterator[tuple[str, str, bool]]:
    code = str(record.get("code") or "")
    kind = PointKind(str(record.get("kind") or "camera"))
    fits = _TYPES_OF.get(kind)
    if len(code) == 20 and fits and code[10:13] not in fits:
        yield "code", f"类型编码 {code[10:13]}（{gb28181.TYPES_2022.label(code[10:13])}）与点位种类不符", False


OF_SEEING = frozenset({"camera_type", "function_type", "fill_light", "codec", "place_type", "facing"})
"""Fields that only what sees has: no sensor or alarm point is asked for them."""
MOVING_TYPE = "138"
"""Type of a 20-digit code that means a mobile device (移动传输设备)."""
_SEEING = frozenset({PointKind.CAMERA, PointKind.CHECKPOINT, PointKind.WATCHTOWER})


def _needed(point_class: int, sees: bool) -> tuple[str, ...]:
    needs = {"M"} | ({"1"} if point_class == 1 else set()) | ({"12"} if point_class in (1, 2) else set())
    return tuple(
        column.key
        for column in FIELDS
        if column.needed in needs and column.key not in ("code", "name") and (sees or column.key not in OF_SEEING)
    )


_NEEDED = {(number, sees): _needed(number, sees) for number in (1, 2, 3, 4, 9) for sees in (True, False)}


def _dq04(record: Record, _: Setting) -> Iterator[tuple[str, str, bool]]:
    sees = (record.get("kind") or PointKind.CAMERA) in _SEEING
    number = record.get("point_class")
    for key in _NEEDED[number if number in (1, 2, 3, 4) else 9, sees]:  # type: ignore[index]
        value = record.get(key)
        if value is None or (isinstance(value, str) and len(value) <= PLACEHOLDER_LENGTH and is_empty(key, value)):
            yield key, f"缺少必填项 {BY_KEY[key].label}", False
    aims = record.get("facing") or record.get("heading_deg") is not None
    if sees and record.get("camera_type") == "bullet" and not aims:
        yield "facing", "固定枪机缺少监控方位", False
    if str(record.get("code") or "")[10:13] == MOVING_TYPE and not record.get("mobile_type"):
        yield "mobile_type", f"缺少必填项 {BY_KEY['mobile_type'].label}", False


def is_empty(key: str, value: object) -> bool:
    """Whether a value says nothing: missing, or a placeholder such as 未知 or test."""
    if value is None or value == "":
        return True
    return key not in PLACEHOLDER_IS_VALUE and isinstance(value, str) and value.strip().lower() in PLACEHOLDERS


def _dq06(record: Record, _: Setting) -> Iterator[tuple[str, str, bool]]:
    lon, lat = record.get("longitude"), record.get("latitude")
    if lon is None and lat is None:
        return
    if not isinstance(lon, (int, float)) or not isinstance(lat, (int, float)):
        yield "longitude" if lon is None else "latitude", "经度和纬度应同时填写", True
        return
    west, south, east, north = CHINA
    if lon == 0 and lat == 0:
        yield "longitude", "经纬度为 (0, 0)", True
    elif not (west <= lon <= east and south <= lat <= north):
        swapped = west <= lat <= east and south <= lon <= north
        yield "longitude", "经纬度似乎颠倒" if swapped else "经纬度不在合理范围（73.5–135.1，3.8–53.6）", True


def _dq10(record: Record, _: Setting) -> Iterator[tuple[str, str, bool]]:
    if record.get("mac") in ("00-00-00-00-00-00", "FF-FF-FF-FF-FF-FF"):
        yield "mac", "MAC 地址无效", False
    if record.get("ipv4") in ("0.0.0.0", "255.255.255.255", "127.0.0.1"):  # noqa: S104 - an address in a file
        yield "ipv4", "IP 地址无效", False


def _dq11(record: Record, _: Setting) -> Iterator[tuple[str, str, bool]]:
    police, division = str(record.get("police_unit") or ""), str(record.get("division") or "")
    if police and len(division) >= 4 and police[:4] != division[:4]:
        yield "police_unit", f"公安机关代码前 4 位 {police[:4]} 与行政区域 {division[:4]} 不一致", False


def _dq12(record: Record, _: Setting) -> Iterator[tuple[str, str, bool]]:
    name = str(record.get("name") or "")
    if is_empty("name", name.strip()):
        yield "name", "名称为空", True
    elif not name.isprintable() and any(unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cs") for letter in name):
        yield "name", "名称含有控制字符", True


def _dq23(record: Record, setting: Setting) -> Iterator[tuple[str, str, bool]]:
    for key, message in misplaced(record, setting.restricted):
        yield key, message, is_in_use(record)


def has_many_eyes(code: str, camera_type: object) -> bool:
    """Whether a channel belongs to a device with several lenses, whose channels stand at one place on purpose."""
    return camera_type in ("panorama", "split") or code[10:13] == "122"


def _dq03_across(record: Record, around: Around) -> Iterator[tuple[str, str]]:
    if around.codes > 1:
        yield "code", f"编码 {record.get('code')} 被 {around.codes} 个点位使用"


def _dq07_across(_: Record, around: Around) -> Iterator[tuple[str, str]]:
    if around.outside:
        yield "longitude", around.outside


def _dq09_across(_: Record, around: Around) -> Iterator[tuple[str, str]]:
    if around.places > SAME_PLACE:
        yield "longitude", f"同一坐标有 {around.places} 个点位"


def _dq10_across(record: Record, around: Around) -> Iterator[tuple[str, str]]:
    if around.addresses > 1:
        yield "ipv4", f"IP 地址 {record.get('ipv4')} 在网络区域内被 {around.addresses} 个点位使用"
    if around.macs > 1:
        yield "mac", f"MAC 地址 {record.get('mac')} 被 {around.macs} 个点位使用"


def _dq12_across(_: Record, around: Around) -> Iterator[tuple[str, str]]:
    if around.names > 1:
        yield "name", f"同一组织内有 {around.names} 个点位使用该名称"


RULES: tuple[Rule, ...] = (
    Rule(id="DQ01", severity=Severity.ERROR, title="编码合规", hint="按 GB/T 28181 附录 E 重新编码", predicate=_dq01),
    Rule(id="DQ02", severity=Severity.WARNING, title="类型与编码一致", hint="核对类型编码与点位种类", predicate=_dq02),
    Rule(id="DQ03", severity=Severity.ERROR, title="编码唯一", hint="为其中一个点位重新编码，或为上级平台做映射",
         across=_dq03_across),
    Rule(id="DQ04", severity=Severity.ERROR, title="必填项完整", hint="补全该类点位的必填项", predicate=_dq04),
    Rule(id="DQ05", severity=Severity.ERROR, title="取值在代码表内", hint="按代码表填写，多值用 / 分隔"),
    Rule(id="DQ06", severity=Severity.ERROR, title="坐标合理", hint="填写 WGS-84 经纬度，经度在前", predicate=_dq06),
    Rule(id="DQ07", severity=Severity.WARNING, title="坐标在行政区域内", hint="核对坐标或行政区域",
         across=_dq07_across),
    Rule(id="DQ08", severity=Severity.WARNING, title="坐标疑似偏移", hint="导入时选择正确的坐标系（GCJ-02 / BD-09）"),
    Rule(id="DQ09", severity=Severity.WARNING, title="同一坐标点位过多", hint="核对坐标；多目设备请填写摄像机类型",
         across=_dq09_across),
    Rule(id="DQ10", severity=Severity.ERROR, title="网络地址有效且唯一", hint="核对 IP 与 MAC 地址", predicate=_dq10,
         across=_dq10_across),
    Rule(id="DQ11", severity=Severity.WARNING, title="公安机关与行政区域一致", hint="核对所属辖区公安机关代码",
         predicate=_dq11),
    Rule(id="DQ12", severity=Severity.WARNING, title="名称规范且在上级内唯一",
         hint="名称应与画面标注一致；平台不识别画面上的文字，请人工核对", predicate=_dq12, across=_dq12_across),
    Rule(id=SITING, severity=Severity.ERROR, title="不在禁止安装区域",
         hint="现场核查后填写布设核查；涉密单位周边填写同意文号；未办结前不得设为在用", predicate=_dq23),
)  # fmt: skip
BY_ID: Mapping[str, Rule] = {rule.id: rule for rule in RULES}


def check(record: Record, setting: Setting) -> list[Fault]:
    """What the rules about single files find."""
    faults = []
    for rule in RULES:
        if rule.predicate is None:
            continue
        for key, message, blocks in rule.predicate(record, setting):
            value = record.get(key)
            faults.append(
                Fault(rule.id, rule.severity, key, "" if value is None else str(value)[:100], message, blocks)
            )
    return faults


def judge(record: Record, setting: Setting, around: Around) -> list[Fault]:
    """What all rules that a look at one point decides find, those about many files by what is around it."""
    faults = check(record, setting)
    for rule in RULES:
        if rule.across is not None:
            for key, message in rule.across(record, around):
                faults.append(_fault(rule.id, key, str(record.get(key) or ""), message))
    return faults


def told(messages: Iterable[str], longest: int = 480) -> str:
    """Faults of one rule as one sentence; where they are too many for it, it says how many more there are."""
    every = list(dict.fromkeys(messages))
    text = every[0][:longest]
    for place, message in enumerate(every[1:], 1):
        if len(text) + len(message) >= longest:
            return f"{text}；另有 {len(every) - place} 项"
        text += f"；{message}"
    return text


class Census:
    """Rules about many files: codes, places, addresses and names used more than once. Remembers keys, not files."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._places: dict[tuple[int, int], int] = {}
        self._addresses: dict[str, int] = {}
        self._macs: dict[str, int] = {}
        self._names: set[int] = set()

    def check(self, record: Record, row: int, parent: str) -> list[Fault]:
        """What this file has in common with earlier ones. row: its line, for the message about the next."""
        faults = []
        code = str(record.get("code") or "")
        first = self._codes.setdefault(code, row) if code else row
        if first != row:
            faults.append(_fault("DQ03", "code", code, f"编码与第 {first} 行重复"))
        lon, lat = record.get("longitude"), record.get("latitude")
        stands_alone = not has_many_eyes(code, record.get("camera_type"))
        if isinstance(lon, (int, float)) and isinstance(lat, (int, float)) and stands_alone:
            place = (round(lon * 1e6), round(lat * 1e6))
            count = self._places[place] = self._places.get(place, 0) + 1
            if count == SAME_PLACE + 1:
                faults.append(_fault("DQ09", "longitude", f"{lon},{lat}", f"同一坐标已有 {SAME_PLACE} 个以上点位"))
        address = record.get("ipv4")
        if address:
            key = f"{record.get('zone') or 'default'}/{address}"
            first = self._addresses.setdefault(key, row)
            if first != row:
                faults.append(_fault("DQ10", "ipv4", str(address), f"IP 地址与第 {first} 行重复"))
        mac = record.get("mac")
        if mac:
            first = self._macs.setdefault(str(mac), row)
            if first != row:
                faults.append(_fault("DQ10", "mac", str(mac), f"MAC 地址与第 {first} 行重复"))
        name = hash((parent, record.get("name")))
        if name in self._names:
            faults.append(_fault("DQ12", "name", str(record.get("name") or ""), "同一上级内名称重复"))
        self._names.add(name)
        return faults


def _fault(rule: str, column: str, value: str, message: str) -> Fault:
    return Fault(rule, BY_ID[rule].severity, column, value[:100], message)


class Outlines:
    """DQ07: does a point lie in the division that its file names?"""

    def __init__(self, outlines: Iterable[Outline]) -> None:
        self._by_code = {outline.code: outline for outline in outlines}

    def check(self, records: Sequence[Record]) -> dict[int, Fault]:
        """Faults by the place in `records`."""
        groups: dict[str, list[int]] = {}
        for place, record in enumerate(records):
            code = str(record.get("division") or "")
            if record.get("longitude") is not None and record.get("latitude") is not None and code in self._by_code:
                groups.setdefault(code, []).append(place)
        faults: dict[int, Fault] = {}
        for code, places in groups.items():
            outline = self._by_code[code]
            positions = np.array([[records[i]["longitude"], records[i]["latitude"]] for i in places], np.float64)
            outside = np.flatnonzero(~outline.holds(positions))
            for place, position in ((places[i], positions[i]) for i in outside):
                away = outline.distance_m(*position)
                if away > BUFFER_M:
                    real = self._where(position)
                    where = f"，实际位于 {real.name}" if real else ""
                    faults[place] = _fault(
                        "DQ07", "longitude", f"{position[0]},{position[1]}",
                        f"坐标距 {outline.name} 边界 {away / 1000:.1f} 公里{where}",
                    )  # fmt: skip
        return faults

    def _where(self, position: NDArray[np.float64]) -> Outline | None:
        holding = [outline for outline in self._by_code.values() if outline.holds(position[None, :])[0]]
        return max(holding, key=lambda outline: len(outline.code.rstrip("0")), default=None)


def shift_suspected(positions: NDArray[np.float64], roads: NDArray[np.float64]) -> float | None:
    """DQ08: how many metres nearer to roads the points come when taken as GCJ-02; None where that explains nothing.

    positions: (n, 2) claimed WGS-84. roads: (m, 4) segments. Cameras stand at roads: if their median distance falls by
    half or more and by 50 m or more once the offset is taken out, the coordinates were not WGS-84.
    """
    if len(positions) < 20 or len(roads) == 0:
        return None
    sample = positions[:: max(1, len(positions) // 300)][:300]
    near = _near(roads, sample)
    if len(near) == 0:
        return None
    moved = np.array([gcj02_to_wgs84(lon, lat) for lon, lat in sample])
    before, after = _median_distance(sample, near), _median_distance(moved, near)
    return before - after if after <= before / 2 and before - after >= 50.0 else None


def _near(roads: NDArray[np.float64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Segments within about 2 km of the positions' box: no other can be nearest where the answer matters."""
    (west, south), (east, north) = positions.min(axis=0) - 0.02, positions.max(axis=0) + 0.02
    lon, lat = roads[:, 0::2], roads[:, 1::2]
    crosses = (lon.min(axis=1) <= east) & (lon.max(axis=1) >= west)
    crosses &= (lat.min(axis=1) <= north) & (lat.max(axis=1) >= south)
    found: NDArray[np.float64] = roads[crosses]
    return found


def _median_distance(positions: NDArray[np.float64], roads: NDArray[np.float64]) -> float:
    k = math.cos(math.radians(float(positions[:, 1].mean())))
    scale = np.array([k, 1.0]) * math.radians(1.0) * EARTH_RADIUS_M
    best = []
    for position in positions:
        a = (roads[:, :2] - position) * scale
        d = (roads[:, 2:] - roads[:, :2]) * scale
        length = np.maximum((d * d).sum(axis=1), 1e-9)
        t = np.clip(-(a * d).sum(axis=1) / length, 0.0, 1.0)[:, None]
        best.append(np.hypot(*(a + t * d).T).min())
    return float(np.median(best))
