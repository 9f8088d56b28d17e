"""One family of errors, a kind each; every edge (HTTP, SIP, command line) maps kinds to its codes in one place."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What went wrong, as the caller must know it."""

    INVALID = "invalid"
    DENIED = "denied"
    PURPOSE_NEEDED = "purpose_needed"
    APPROVAL_NEEDED = "approval_needed"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"
    EXHAUSTED = "exhausted"
    INTERNAL = "internal"
    UNAUTHENTICATED = "unauthenticated"
    SECOND_FACTOR_NEEDED = "second_factor_needed"


class AnwangError(Exception):
    """Base of all errors that a person or a peer may see.

    reason: what was refused, naming the object. hint: what would be right; empty where nothing can be done.
    """

    kind: ClassVar[Kind] = Kind.INTERNAL

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class Invalid(AnwangError):
    """The request itself is wrong."""

    kind = Kind.INVALID


class Unauthenticated(AnwangError):
    """Nobody is known to ask."""

    kind = Kind.UNAUTHENTICATED


class SecondFactorNeeded(Unauthenticated):
    """Name and password are right; the code of the second factor is missing or wrong."""

    kind = Kind.SECOND_FACTOR_NEEDED


class Denied(AnwangError):
    """The actor may see the object but not do this, or a purpose or an approval is missing."""

    kind = Kind.DENIED


class PurposeNeeded(Denied):
    """The actor may do this for a stated purpose."""

    kind = Kind.PURPOSE_NEEDED


class ApprovalNeeded(Denied):
    """The actor may do this when a second person has approved it."""

    kind = Kind.APPROVAL_NEEDED


class NotFound(AnwangError):
    """Unknown, or unseen by this actor: both look alike (design law 11)."""

    kind = Kind.NOT_FOUND


class Conflict(AnwangError):
    """The object is not in a state that allows this."""

    kind = Kind.CONFLICT


class Unsupported(AnwangError):
    """The device or the build cannot do this."""

    kind = Kind.UNSUPPORTED


class Unavailable(AnwangError):
    """A part that is needed does not answer now."""

    kind = Kind.UNAVAILABLE


class Exhausted(AnwangError):
    """A stated bound is reached (queue, ports, rate)."""

    kind = Kind.EXHAUSTED


class Internal(AnwangError):
    """Our own fault."""

    kind = Kind.INTERNAL


class WireError(Invalid):
    """Bytes from a peer that break their protocol.

    offset: where in `data` the fault was seen, in bytes. data: at most 256 bytes around it, so that the packet can be
    found in a capture.
    """

    def __init__(self, reason: str, *, data: bytes = b"", offset: int = 0) -> None:
        super().__init__(reason)
        self.offset = offset
        start = max(0, offset - 64)
        self.data = bytes(data[start : start + 256])
