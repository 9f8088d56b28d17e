"""Ids of GA/T 1400, built and taken apart. A device's id of another shape is a foreign id, kept as it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from anwang.kernel.errors import WireError
from anwang.wire.viid.times import parse_time, time_text

_BASIC: Final = re.compile(r"([0-9]{20})([0-9]{2})([0-9]{14})([0-9]{5})", re.ASCII)
_CONTENT: Final = re.compile(r"([0-9]{41})([0-9]{2})([0-9]{5})", re.ASCII)
_BUSINESS: Final = re.compile(r"([0-9]{12})([0-9]{2})([0-9]{14})([0-9]{5})", re.ASCII)
LAST: Final = 99_999
"""Sequence numbers wrap after it."""


class BasicType(StrEnum):
    """What a BasicObjectID names; other codes are kept as text."""

    VIDEO_SLICE = "01"
    IMAGE = "02"
    FILE = "03"
    OTHER = "99"


class ContentType(StrEnum):
    """What an ImageCntObjectID names, of what we take; other codes are kept as text."""

    MOTOR_VEHICLE = "02"
    NON_MOTOR_VEHICLE = "03"
    THING = "04"
    SCENE = "05"
    OTHER = "99"


class BusinessType(StrEnum):
    """What a BusinessObjectID names; 01, 02 and 04 are not confirmed."""

    DISPOSITION = "01"
    DISPOSITION_NOTIFICATION = "02"
    SUBSCRIBE = "03"
    SUBSCRIBE_NOTIFICATION = "04"


def _moment(digits: str, text: str) -> datetime:
    moment = parse_time(digits)
    if moment is None:
        raise WireError(f"{text!r} has no time where its id should have one", data=text.encode())
    return moment


def _sequence(number: int) -> str:
    if not 0 <= number <= LAST:
        raise WireError(f"the sequence number {number} of an id is not in 0..{LAST}")
    return f"{number:05d}"


def _checked(text: str, length: int, what: str) -> str:
    if len(text) != length or not (text.isascii() and text.isdigit()):
        raise WireError(f"{text[:64]!r} is no {what} of {length} digits")
    return text


@dataclass(frozen=True, slots=True)
class BasicId:
    """BasicObjectID: 41 digits, of a picture or file. type: two digits; made_at: UTC, whole seconds."""

    device: str
    type: str
    made_at: datetime
    sequence: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises WireError."""
        match = _BASIC.fullmatch(text)
        if match is None:
            raise WireError(f"{text[:64]!r} is no id of 41 digits")
        return cls(match[1], match[2], _moment(match[3], text), int(match[4]))

    def __str__(self) -> str:
        device, kind = _checked(self.device, 20, "device"), _checked(self.type, 2, "type")
        return f"{device}{kind}{time_text(self.made_at)}{_sequence(self.sequence)}"


@dataclass(frozen=True, slots=True)
class ContentId:
    """ImageCntObjectID: 48 digits, of a vehicle in a picture. source: the picture; type: two digits."""

    source: BasicId
    type: str
    sequence: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises WireError."""
        match = _CONTENT.fullmatch(text)
        if match is None:
            raise WireError(f"{text[:64]!r} is no id of 48 digits")
        return cls(BasicId.parse(match[1]), match[2], int(match[3]))

    def __str__(self) -> str:
        return f"{self.source}{_checked(self.type, 2, 'type')}{_sequence(self.sequence)}"


@dataclass(frozen=True, slots=True)
class BusinessId:
    """BusinessObjectID: 33 digits, of subscriptions, controls and their notifications. org: 12 digits (GA/T 380)."""

    org: str
    type: str
    made_at: datetime
    sequence: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises WireError."""
        match = _BUSINESS.fullmatch(text)
        if match is None:
            raise WireError(f"{text[:64]!r} is no id of 33 digits")
        return cls(match[1], match[2], _moment(match[3], text), int(match[4]))

    def __str__(self) -> str:
        org, kind = _checked(self.org, 12, "organisation"), _checked(self.type, 2, "type")
        return f"{org}{kind}{time_text(self.made_at)}{_sequence(self.sequence)}"


def belongs(vehicle_id: str, source_id: str) -> bool:
    """Whether a content object is of this picture (MotorVehicleID[0:41] = SourceID); to be noted, not refused."""
    return len(vehicle_id) == 48 and vehicle_id[:41] == source_id
