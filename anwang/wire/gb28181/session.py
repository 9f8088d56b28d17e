"""Names of a media session: Subject and the SSRC in `y=`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from anwang.kernel.errors import Invalid, WireError


class StreamKind(StrEnum):
    """First digit of an SSRC and of a sender sequence."""

    LIVE = "0"
    HISTORY = "1"


@dataclass(frozen=True, slots=True)
class Ssrc:
    """Ten decimal digits that are also the RTP SSRC (GB/T 28181-2016 annex F note 4).

    domain: digits 4 to 8 of the SIP domain's 20-digit id. number: 0..9999, unique among the domain's current streams.
    """

    kind: StreamKind
    domain: str
    number: int

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9]{5}", self.domain, re.ASCII) or not 0 <= self.number <= 9999:
            raise Invalid(f"no SSRC has domain {self.domain!r} and number {self.number}")

    @classmethod
    def make(cls, kind: StreamKind, server_id: str, number: int) -> Self:
        """In the domain of a server's 20-digit id. Raises Invalid."""
        return cls(kind, server_id[3:8], number)

    @property
    def value(self) -> int:
        """What stands in RTP, an unsigned 32-bit number."""
        return int(str(self))

    def __str__(self) -> str:
        return f"{self.kind.value}{self.domain}{self.number:04d}"


def parse_ssrc(text: str) -> int | None:
    """`y=` as a number, None where it is none or above 32 bits. Leading zeros get lost: compare as numbers."""
    text = text.strip()
    if not re.fullmatch(r"[0-9]{1,10}", text, re.ASCII) or int(text) >= 1 << 32:
        return None
    return int(text)


_SUBJECT: Final = re.compile(r"\s*([^:,\s]+)\s*:\s*([^:,\s]*)\s*,\s*([^:,\s]+)\s*:\s*([^:,\s]*)\s*")


@dataclass(frozen=True, slots=True)
class Subject:
    """`sender:sequence,receiver:sequence` of an INVITE (GB/T 28181-2016 annex K).

    The same sender and sender_seq again means: the older stream is to be released. sequences: at most 20 characters,
    the sender's begins with 0 for live, 1 for history.
    """

    sender: str
    sender_seq: str
    receiver: str
    receiver_seq: str = "0"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises WireError. Sequences are taken at any length up to 64 characters."""
        match = _SUBJECT.fullmatch(text[:512])
        if match is None or max(map(len, match.groups())) > 64:
            raise WireError(f"{text[:80]!r} is not a media Subject")
        return cls(*match.groups())

    def __str__(self) -> str:
        return f"{self.sender}:{self.sender_seq},{self.receiver}:{self.receiver_seq}"
