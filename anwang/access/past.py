"""What a device keeps itself: recordings, played and downloaded from there; cruises, home position, its own snapshot.

A gateway that can do this hands a `DeviceArchive` to `Access`; what it answers is the device's word, so each answer
says whether it is whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from anwang.access.model import Address, Pushed, Receiver, Stream, Trace


class RecordSort(StrEnum):
    """Why a device recorded."""

    ALL = "all"
    TIME = "time"
    ALARM = "alarm"
    MANUAL = "manual"


class Answered(StrEnum):
    """What became of a search."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    """Fewer files came than the device announced: what is missing may exist."""
    SILENT = "silent"
    """The device took the question and said nothing: it has none, or can't search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    """A file on a device (录像文件). start, end: as the device says, aware. sort: in its words where it has others."""

    start: datetime
    end: datetime
    name: str = ""
    sort: str = ""
    size_bytes: int | None = None
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecords:
    """The answer to one search, by start. announced: files the device spoke of, None where it said nothing.

    unusable: entries without a readable time, left out.
    """

    items: Sequence[DeviceRecord]
    answered: Answered
    announced: int | None = None
    unusable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What to play from a device. speed: None to watch it at its own pace, else a download at so many times that."""

    start: datetime
    end: datetime
    speed: int | None = None


@dataclass(frozen=True, slots=True)
class Seek:
    """Go on from so many seconds after the stretch's start."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Stand still."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on from where it stands, at its own pace."""


@dataclass(frozen=True, slots=True)
class Scale:
    """So many times real time."""

    factor: float


Steer = Seek | Pause | Resume | Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """The device obeys. seconds: where it goes on, scale: how fast, where it said so itself."""

    seconds: float | None = None
    scale: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CruiseStop:
    """A preset on a cruise. stay_s: how long; speed: 1..15 on the way to it; None where the device does not say."""

    preset: int
    stay_s: int | None
    speed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CruiseTrack:
    """A cruise (巡航轨迹) of a head."""

    number: int
    name: str
    stops: Sequence[CruiseStop]


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The home position (看守位): a preset that the head returns to after so many idle seconds."""

    is_on: bool
    reset_s: int | None
    preset: int | None


class DeviceArchive(Protocol):
    """The part of a gateway that speaks of what devices keep."""

    async def records(self, address: Address, start: datetime, end: datetime, sort: RecordSort) -> DeviceRecords:
        """What the device has recorded of [start, end). Raises Unavailable, Unsupported, Conflict, Exhausted."""

    async def open_past(
        self, address: Address, stream: Stream, stretch: Stretch, receiver: Receiver, trace: Trace
    ) -> Pushed:
        """Ask the device to send a recording. Raises as Gateway.open_stream."""

    async def steer(self, dialog: str, order: Steer) -> Steered:
        """Steer what open_past began. Raises Unsupported (the device won't), Unavailable (no answer), NotFound."""

    async def cruises(self, address: Address) -> Sequence[CruiseTrack]:
        """The cruises of a head. Raises Unavailable, Unsupported where the device can't list them."""

    async def home(self, address: Address) -> Home | None:
        """The home position, None where there is none. Raises Unavailable, Unsupported where it can't be asked."""

    async def snap(self, address: Address, *, url: str, session: str) -> None:
        """Let the device take one picture and upload it. Raises Unavailable, Unsupported."""

    def our_host(self, address: Address) -> str:
        """Our address as this device reaches it. Raises Unavailable."""
