"""DQ23: where no camera may stand (Regulation 799 art. 8), and where none may without consent (art. 10).

A name can only raise the question: 卫生间门口 is a corridor, and a guest house has a lobby. So a name that means such a
room keeps a point from being put into use until an inspection has said what is true, in the field `siting`; and what
an inspection has found forbidden shows nothing any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from anwang.registry.files import Record
from anwang.registry.model import Lifecycle, PointKind
from anwang.registry.outlines import Outline

LAWFUL, PROHIBITED = "lawful", "prohibited"
"""Of the field `siting`."""
ROOMS = {
    "客房": "客房",
    "包间": "包间",
    "包厢": "包间",
    "包房": "包间",
    "宿舍": "宿舍",
    "寝室": "宿舍",
    "休息室": "休息室",
    "浴室": "浴室",
    "澡堂": "浴室",
    "淋浴": "浴室",
    "卫生间": "卫生间",
    "洗手间": "卫生间",
    "厕所": "卫生间",
    "更衣": "更衣室",
    "试衣": "试衣间",
    "哺乳": "哺乳室",
    "母婴室": "哺乳室",
}
"""Words for the rooms of article 8, and what each means."""
RESTRICTED = "restricted"
"""The layer of the base map that holds areas with secrets; it is never drawn. Its class is the distance in metres."""
_ROOM = re.compile("|".join(ROOMS))
_BESIDE = re.compile(
    "(?<=宿舍)区|(?<=客房)部|"
    "[室间的之第主正大东南西北左右后0-9一二三四五六七八九十A-Za-z号栋幢座层 ]*"
    "(?:外|门|口|走廊|通道|过道|楼|院|周边|附近|前|旁|对面|侧|路|街|厅|电梯)"
)
"""Right behind the word for a room, which side or number apart: the point stands beside it, not in it."""
MOST_BUFFER_M = 5000.0
_DEGREE_M = 111_000.0
_SEES = frozenset({PointKind.CAMERA, PointKind.CHECKPOINT, PointKind.WATCHTOWER})


def room_named(text: str) -> str:
    """The forbidden room that a name or an address means; "" where it means none."""
    return next((ROOMS[one[0]] for one in _ROOM.finditer(text) if not _BESIDE.match(text, one.end())), "")


def buffer_of(text: str) -> float:
    """How far around an area consent is needed, metres: its class on the map; 0 where that says nothing."""
    try:
        metres = float(text)
    except ValueError:
        return 0.0
    return metres if 0.0 <= metres <= MOST_BUFFER_M else 0.0


@dataclass(frozen=True, slots=True)
class Restricted:
    """An area with secrets, and how far around it consent is needed, metres. bounds: of both, WGS-84 degrees."""

    outline: Outline
    buffer_m: float
    bounds: tuple[float, float, float, float]

    @classmethod
    def of(cls, name: str, rings: Sequence[Sequence[Sequence[float]]], buffer_m: float) -> Restricted:
        """rings: at least one."""
        corners = np.concatenate([np.asarray(ring, np.float64)[:, :2] for ring in rings])
        (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
        high = buffer_m / _DEGREE_M
        wide = high / max(0.1, float(np.cos(np.radians(max(abs(south), abs(north))))))
        bounds = float(west - wide), float(south - high), float(east + wide), float(north + high)
        return cls(Outline("", name, rings), buffer_m, bounds)

    def reaches(self, longitude: float, latitude: float) -> bool:
        """Whether a point there needs consent."""
        west, south, east, north = self.bounds
        if not (west <= longitude <= east and south <= latitude <= north):
            return False
        inside = bool(self.outline.holds(np.array([[longitude, latitude]]))[0])
        return inside or self.outline.distance_m(longitude, latitude) <= self.buffer_m


def misplaced(record: Record, restricted: Sequence[Restricted]) -> Iterator[tuple[str, str]]:
    """Field and sentence for each reason why a camera may not be put into use here."""
    if PointKind(str(record.get("kind") or "camera")) not in _SEES:
        return
    siting = record.get("siting")
    if siting == PROHIBITED:
        yield "siting", "经核查位于禁止安装区域（条例第八条）"
    elif siting != LAWFUL:
        for key, label in (("name", "名称"), ("address", "安装地址")):
            room = room_named(str(record.get(key) or ""))
            if room:
                yield key, f"{label}指向禁止安装区域（{room}），须现场核查"
    longitude, latitude = record.get("longitude"), record.get("latitude")
    if restricted and not record.get("consent") and isinstance(longitude, float) and isinstance(latitude, float):
        for area in restricted:
            if area.reaches(longitude, latitude):
                yield "consent", f"位于 {area.outline.name} 周边 {area.buffer_m:.0f} 米内，缺少同意文号（条例第十条）"


def is_in_use(record: Record) -> bool:
    """Whether the file says so; it does where it says nothing."""
    return str(record.get("lifecycle") or Lifecycle.IN_USE) == Lifecycle.IN_USE


def is_forbidden(file: Record) -> bool:
    """Whether an inspection found that no camera may stand there."""
    return file.get("siting") == PROHIBITED
