"""Moments and spans. UTC inside; civil time (Asia/Shanghai) only where wire and ui need it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone

from anwang.kernel.errors import Invalid

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC. Raises Invalid for a naive datetime."""
    if moment.tzinfo is None:
        raise Invalid("a moment needs a time zone")
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The aware UTC moment of an integer of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)


def parse_rfc3339(text: str) -> datetime:
    """A moment with offset (RFC 3339), in UTC. Raises Invalid; a missing offset is refused, not guessed."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{text[:64]!r} is not a time", "write it as 2026-11-22T08:00:00Z") from None
    if moment.tzinfo is None:
        raise Invalid(f"{text[:64]!r} has no offset from UTC", "add Z or +08:00")
    return moment.astimezone(UTC)


def rfc3339(moment: datetime) -> str:
    """The moment in Z, to the microsecond only where it has one."""
    if moment.tzinfo is None:
        raise Invalid("a moment needs a time zone")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open stretch of time [start, end), in microseconds since 1970 UTC."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise Invalid("a span ends before it starts")

    @property
    def micros(self) -> int:
        """Its length in microseconds."""
        return self.end - self.start

    def told(self) -> str:
        """As an interval of two moments, `start/end` (ISO 8601)."""
        return f"{rfc3339(from_micros(self.start))}/{rfc3339(from_micros(self.end))}"

    def overlap(self, other: Span) -> Span | None:
        """What both cover, or None."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Span(start, end) if start < end else None


def civil_day(moment: datetime) -> date:
    """The day that it is then, in Asia/Shanghai."""
    return moment.astimezone(BEIJING).date()


def month_span(month: str) -> Span:
    """A month such as 2026-11 in Asia/Shanghai. Raises Invalid."""
    try:
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=BEIJING)
    except ValueError:
        raise Invalid(f"{month[:32]!r} is not a month", "write it as 2026-11") from None
    if not 1970 < first.year < 2200:
        raise Invalid(f"{month[:32]!r} is out of reach", "choose a month of this century")
    following = (first + timedelta(days=32)).replace(day=1)
    return Span(to_micros(first), to_micros(following))
