"""Ids, versions and times of GB/T 28181 as they stand on the wire."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from anwang.kernel.errors import Invalid
from anwang.kernel.times import BEIJING


class Version(NamedTuple):
    """An edition as `X-GB-Ver` names it (GB/T 28181-2022 annex I)."""

    major: int
    minor: int

    @property
    def charset(self) -> str:
        """What an XML declaration says in this edition; the bytes are GB18030 in either case."""
        return "GB18030" if self >= V2022 else "GB2312"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


V2011: Final = Version(1, 0)
V2014: Final = Version(1, 1)
V2016: Final = Version(2, 0)
V2022: Final = Version(3, 0)


@lru_cache(maxsize=64)
def parse_version(text: str) -> Version | None:
    """`3.0` and the like; None for anything else."""
    match = re.fullmatch(r"\s*([0-9]{1,3})\.([0-9]{1,3})\s*", text, re.ASCII)
    return Version(int(match[1]), int(match[2])) if match else None


def effective(own: Version, header: str) -> Version:
    """What both sides understand, from the peer's X-GB-Ver; without one (or a broken one) the peer is 2016 or older."""
    return min(own, parse_version(header) or V2016)


def is_code(text: str) -> bool:
    """Whether it is a 20-digit id (coding rule A, the only one since 2022)."""
    return len(text) == 20 and text.isascii() and text.isdigit()


def is_region(text: str) -> bool:
    """Whether it is a region code of 2, 4, 6 or 8 digits, as catalog nodes carry."""
    return len(text) in {2, 4, 6, 8} and text.isascii() and text.isdigit()


def type_of(code: str) -> str:
    """Digits 11 to 13, such as `132` for an IP camera; empty where it is no 20-digit id."""
    return code[10:13] if is_code(code) else ""


def domain_of(code: str) -> str:
    """The SIP domain of a server: the first ten digits of its id."""
    return code[:10]


def split_parents(text: str) -> tuple[str, ...]:
    """The parts of a ParentID that several parents share, joined by `/`."""
    return tuple(part.strip() for part in text.split("/") if part.strip())


_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})[T ]+([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,:]([0-9]{1,9}))?"
    r"\s*(Z|z|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)


def parse_time(text: str) -> datetime | None:
    """A moment as XML and the Date header carry it, in UTC; None where it is no time.

    Without a zone it is Beijing time, as the standard says. `24:00:00` is midnight of the next day, a leap second the
    second after.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[index]) for index in range(1, 7))
    micros = int((match[7] or "0")[:6].ljust(6, "0"))
    extra = timedelta()
    if hour == 24 and not (minute or second):
        hour, extra = 0, timedelta(days=1)
    if second == 60:
        second, extra = 59, extra + timedelta(seconds=1)
    zone = match[8] or "+08:00"
    offset = timedelta()
    if zone not in {"Z", "z"}:
        digits = zone[1:].replace(":", "")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        offset = -offset if zone[0] == "-" else offset
    try:
        return datetime(year, month, day, hour, minute, second, micros, UTC) - offset + extra
    except (ValueError, OverflowError):
        return None


def format_time(moment: datetime) -> str:
    """`2026-11-22T08:00:00` in Beijing time. Raises Invalid for a naive datetime."""
    if moment.tzinfo is None:
        raise Invalid("a moment needs a time zone")
    return moment.astimezone(BEIJING).strftime("%Y-%m-%dT%H:%M:%S")


def format_date(moment: datetime) -> str:
    """The Date header of a registration's 200: Beijing time to the millisecond, no zone."""
    return f"{_second(moment.replace(microsecond=0))}.{moment.microsecond // 1000:03d}"


@lru_cache(maxsize=4)
def _second(moment: datetime) -> str:
    return format_time(moment)


_RFC1123: Final = re.compile(
    r"(?:[A-Za-z]{3,9},?\s+)?([0-9]{1,2})[ -]([A-Za-z]{3})[ -]([0-9]{4})\s+"
    r"([0-9]{2}:[0-9]{2}:[0-9]{2})\s*(?:GMT|UTC|Z)?",
    re.ASCII,
)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def parse_date(text: str) -> datetime | None:
    """A Date header of either form, Beijing time or RFC 1123; None where it is neither."""
    match = _RFC1123.fullmatch(text.strip())
    if match is None:
        return parse_time(text)
    day, month, year, clock = match.groups()
    if month.lower() not in _MONTHS:
        return None
    return parse_time(f"{year}-{_MONTHS.index(month.lower()) + 1}-{day} {clock}Z")


def split_path(header: str) -> tuple[str, ...]:
    """The platform ids of X-RoutePath or X-PreferredPath (GB/T 28181-2022 annex H)."""
    return tuple(part.strip() for part in header.split("-") if part.strip())


def join_path(ids: tuple[str, ...]) -> str:
    """The header value of a path; empty means that the header is left out."""
    return "-".join(ids)
