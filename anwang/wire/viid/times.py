"""Times of GA/T 1400: fourteen digits of Beijing time by the standard, three other forms in the field."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

from anwang.kernel.times import BEIJING
from anwang.wire.viid.objects import MotorVehicle

_DIGITS: Final = re.compile(r"[0-9]{14}(?:[0-9]{3})?", re.ASCII)
_YEARS: Final = range(2000, 2100)


@lru_cache(maxsize=4096)
def parse_time(text: str) -> datetime | None:
    """A moment in UTC; None where it is none, or no year of this century.

    `20250601083015`, with milliseconds `20250601083015120`, `2025-06-01 08:30:15[.12]`, ISO 8601. Without an offset it
    is Beijing time.
    """
    text = text.strip()
    if len(text) > 40:
        return None
    try:
        if _DIGITS.fullmatch(text):
            year, month, day = int(text[:4]), int(text[4:6]), int(text[6:8])
            hour, minute, second = int(text[8:10]), int(text[10:12]), int(text[12:14])
            micros = int(text[14:]) * 1000 if len(text) == 17 else 0
            moment = datetime(year, month, day, hour, minute, second, micros, tzinfo=BEIJING)
        elif ":" in text or text[8:9] == "T":
            moment = datetime.fromisoformat(text.replace("/", "-"))
        else:
            return None
        if moment.year not in _YEARS:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=BEIJING)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def time_text(moment: datetime, *, with_millis: bool = False) -> str:
    """`20250601083015`, Beijing time, as the standard writes it; with_millis: seventeen digits."""
    local = moment.astimezone(BEIJING)
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}" if with_millis else f"{local:%Y%m%d%H%M%S}"


class TimeFrom(StrEnum):
    """Which member said when a vehicle passed."""

    PASS_TIME = "pass_time"  # noqa: S105
    APPEAR_TIME = "appear_time"
    SHOT_TIME = "shot_time"
    SOURCE_ID = "source_id"
    RECEIVED = "received"


def event_time(vehicle: MotorVehicle, received_at: datetime) -> tuple[datetime, TimeFrom]:
    """When it passed, in UTC, and where that is from: the first of the members, in this order, that says a time."""
    if vehicle.pass_time and (moment := parse_time(vehicle.pass_time)):
        return moment, TimeFrom.PASS_TIME
    if vehicle.appear_time and (moment := parse_time(vehicle.appear_time)):
        return moment, TimeFrom.APPEAR_TIME
    images = vehicle.sub_image_list.items if vehicle.sub_image_list else None
    for image in images or ():
        if image.shot_time and (moment := parse_time(image.shot_time)):
            return moment, TimeFrom.SHOT_TIME
    if vehicle.source_id and len(vehicle.source_id) >= 36 and (moment := parse_time(vehicle.source_id[22:36])):
        return moment, TimeFrom.SOURCE_ID
    return received_at.astimezone(UTC), TimeFrom.RECEIVED
