"""Front-end control commands, the eight bytes of PTZCmd (GB/T 28181-2016 A.3).

`PtzFrame` is the bytes; `meaning` and `frame_of` translate between them and what a person wants: move, focus, go to a
preset, patrol, scan, switch. The address is not used (the camera is named by the XML DeviceID), so we write 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from anwang.kernel.errors import Invalid, WireError


@dataclass(frozen=True, slots=True, kw_only=True)
class PtzFrame:
    """One command. address: 0..4095. command, data1, data2: a byte each. data3: 0..15."""

    command: int
    data1: int = 0
    data2: int = 0
    data3: int = 0
    address: int = 1

    def __post_init__(self) -> None:
        bytes_fit = all(0 <= value <= 255 for value in (self.command, self.data1, self.data2))
        if not bytes_fit or not 0 <= self.data3 <= 15 or not 0 <= self.address <= 4095:
            raise Invalid(f"a PTZ command can't hold {self.command}, {self.data1}, {self.data2}, {self.data3}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From 16 hex digits of either case. Raises WireError for a wrong length, head or checksum."""
        text = text.strip()
        try:
            data = bytes.fromhex(text) if len(text) == 16 and text.isascii() else b""
        except ValueError:
            data = b""
        if len(data) != 8:
            raise WireError(f"{text[:40]!r} is not a PTZCmd of eight bytes")
        if data[0] != 0xA5:
            raise WireError("a PTZCmd does not begin with A5", data=data)
        if sum(data[:7]) & 0xFF != data[7]:
            raise WireError(f"a PTZCmd's sum is {data[7]:02X}, not {sum(data[:7]) & 0xFF:02X}", data=data, offset=7)
        return cls(
            command=data[3],
            data1=data[4],
            data2=data[5],
            data3=data[6] >> 4,
            address=data[2] | (data[6] & 0x0F) << 8,
        )

    def __str__(self) -> str:
        head = (0xA5, 0x0F, self.address & 0xFF, self.command, self.data1, self.data2)
        data = bytes((*head, self.data3 << 4 | self.address >> 8))
        return (data + bytes((sum(data) & 0xFF,))).hex().upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Pan, tilt and zoom at once; none of them is the stop of all three, of cruise and of scan.

    pan: -1 left, 1 right. tilt: -1 down, 1 up. zoom: -1 out, 1 in. pan_speed, tilt_speed: 0..255. zoom_speed: 0..15.
    Directions as the picture moves on the monitor.
    """

    pan: int = 0
    tilt: int = 0
    zoom: int = 0
    pan_speed: int = 0
    tilt_speed: int = 0
    zoom_speed: int = 0

    @property
    def is_stop(self) -> bool:
        """Whether nothing is to move."""
        return not (self.pan or self.tilt or self.zoom)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """Focus and iris at once; neither is the stop of both. focus: -1 near, 1 far. iris: -1 close, 1 open.

    focus_speed, iris_speed: 0..255.
    """

    focus: int = 0
    iris: int = 0
    focus_speed: int = 0
    iris_speed: int = 0


class PresetAct(StrEnum):
    """What to do with a preset."""

    SET = "set"
    CALL = "call"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Preset:
    """A stored view. number: 1..255 (0 is reserved)."""

    act: PresetAct
    number: int


class CruiseAct(StrEnum):
    """What to do with a cruise. Stopping is `Move()`."""

    ADD = "add"
    REMOVE = "remove"
    SPEED = "speed"
    DWELL = "dwell"
    START = "start"


@dataclass(frozen=True, slots=True)
class Cruise:
    """A round of presets. track: 0..255. value: the preset for ADD and REMOVE (0 removes the track), speed or
    seconds 0..4095.
    """

    act: CruiseAct
    track: int
    value: int = 0


class ScanAct(StrEnum):
    """What to do with an automatic scan. Stopping is `Move()`."""

    START = "start"
    LEFT_EDGE = "left_edge"
    RIGHT_EDGE = "right_edge"
    SPEED = "speed"


@dataclass(frozen=True, slots=True)
class Scan:
    """An automatic scan. group: 0..255. speed: 0..4095, for SPEED."""

    act: ScanAct
    group: int
    speed: int = 0


@dataclass(frozen=True, slots=True)
class Switch:
    """An auxiliary switch. number: 0..255, 1 is the wiper."""

    number: int
    is_on: bool


PtzCommand = Move | Lens | Preset | Cruise | Scan | Switch

_PRESETS: Final = {PresetAct.SET: 0x81, PresetAct.CALL: 0x82, PresetAct.DELETE: 0x83}
_CRUISES: Final = {CruiseAct.ADD: 0x84, CruiseAct.REMOVE: 0x85, CruiseAct.SPEED: 0x86, CruiseAct.DWELL: 0x87,
                   CruiseAct.START: 0x88}  # fmt: skip
_EDGES: Final = {ScanAct.START: 0, ScanAct.LEFT_EDGE: 1, ScanAct.RIGHT_EDGE: 2}
_LONG: Final = {CruiseAct.SPEED, CruiseAct.DWELL}


def _pair(value: int, up: int, down: int) -> int:
    return up if value > 0 else down if value < 0 else 0


def frame_of(wish: PtzCommand, *, address: int = 1) -> PtzFrame:
    """The bytes of a command. Raises Invalid where a number does not fit."""
    match wish:
        case Move():
            command = _pair(wish.zoom, 0x10, 0x20) | _pair(wish.tilt, 0x08, 0x04) | _pair(wish.pan, 0x01, 0x02)
            return PtzFrame(
                command=command,
                data1=wish.pan_speed,
                data2=wish.tilt_speed,
                data3=wish.zoom_speed,
                address=address,
            )
        case Lens():
            command = 0x40 | _pair(wish.iris, 0x04, 0x08) | _pair(wish.focus, 0x01, 0x02)
            return PtzFrame(command=command, data1=wish.focus_speed, data2=wish.iris_speed, address=address)
        case Preset():
            if wish.number == 0:
                raise Invalid("preset 0 is reserved")
            return PtzFrame(command=_PRESETS[wish.act], data2=wish.number, address=address)
        case Cruise():
            high = wish.value >> 8 if wish.act in _LONG else 0
            low = wish.value & 0xFF if wish.act in _LONG else wish.value
            return PtzFrame(command=_CRUISES[wish.act], data1=wish.track, data2=low, data3=high, address=address)
        case Scan(act=ScanAct.SPEED):
            return PtzFrame(
                command=0x8A,
                data1=wish.group,
                data2=wish.speed & 0xFF,
                data3=wish.speed >> 8,
                address=address,
            )
        case Scan():
            return PtzFrame(command=0x89, data1=wish.group, data2=_EDGES[wish.act], address=address)
        case Switch():
            return PtzFrame(command=0x8C if wish.is_on else 0x8D, data1=wish.number, address=address)


def _sign(command: int, up: int, down: int) -> int | None:
    match bool(command & up), bool(command & down):
        case True, True:
            return None
        case True, False:
            return 1
        case False, True:
            return -1
        case _:
            return 0


def meaning(frame: PtzFrame) -> PtzCommand | None:
    """What the bytes ask for; None for reserved codes and for directions that exclude each other."""
    command, one, two, three = frame.command, frame.data1, frame.data2, frame.data3
    if command < 0x40:
        zoom, tilt, pan = _sign(command, 0x10, 0x20), _sign(command, 0x08, 0x04), _sign(command, 0x01, 0x02)
        if zoom is None or tilt is None or pan is None:
            return None
        return Move(pan=pan, tilt=tilt, zoom=zoom, pan_speed=one, tilt_speed=two, zoom_speed=three)
    if command < 0x50:
        iris, focus = _sign(command, 0x04, 0x08), _sign(command, 0x01, 0x02)
        if iris is None or focus is None:
            return None
        return Lens(focus=focus, iris=iris, focus_speed=one, iris_speed=two)
    for preset, code in _PRESETS.items():
        if code == command:
            return Preset(preset, two) if two else None
    for cruise, code in _CRUISES.items():
        if code == command:
            return Cruise(cruise, one, two | three << 8 if cruise in _LONG else two)
    if command == 0x89:
        for scan, edge in _EDGES.items():
            if edge == two:
                return Scan(scan, one)
        return None
    if command == 0x8A:
        return Scan(ScanAct.SPEED, one, two | three << 8)
    if command in {0x8C, 0x8D}:
        return Switch(one, command == 0x8C)
    return None
