"""What a listing tells about an object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One object. modified_at: when it was stored, in UTC."""

    key: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Part of a listing, in order of keys. next: give it as `after` for what follows; None at the end."""

    entries: tuple[Entry, ...]
    next: str | None
