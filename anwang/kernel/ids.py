"""Our own identifiers: UUIDv7 in text form, a type per kind so that one can't pass for another."""

from __future__ import annotations

import os
from typing import NewType
from uuid import UUID

from anwang.kernel.errors import Invalid

PointId = NewType("PointId", str)
OrgId = NewType("OrgId", str)
UserId = NewType("UserId", str)
SessionId = NewType("SessionId", str)
PlayId = NewType("PlayId", str)
SegmentId = NewType("SegmentId", str)


def uuid7(unix_ms: int) -> str:
    """A UUIDv7 (RFC 9562 5.7) for a moment, in lower-case text form; ids made later sort later by millisecond.

    unix_ms: milliseconds since 1970 UTC, 0..2**48-1.
    """
    if not 0 <= unix_ms < 1 << 48:
        raise Invalid(f"{unix_ms} ms is outside what a UUIDv7 can hold")
    noise = int.from_bytes(os.urandom(10), "big")
    value = unix_ms << 80 | 0x7 << 76 | (noise >> 68 & 0xFFF) << 64 | 0b10 << 62 | (noise & (1 << 62) - 1)
    return str(UUID(int=value))


def made_ms(id: str) -> int:
    """When an id of ours was made, milliseconds since 1970 UTC (RFC 9562 5.7). Raises Invalid for another kind."""
    value = UUID(parse_uuid(id))
    if value.version != 7:
        raise Invalid(f"{id[:64]!r} does not say when it was made")
    return value.int >> 80


def parse_uuid(text: str) -> str:
    """The canonical form of an id typed by a person or a program. Raises Invalid."""
    try:
        return str(UUID(text))
    except ValueError:
        raise Invalid(f"{text[:64]!r} is not an id") from None
