"""ZIP files of stored entries (APPNOTE.TXT 6.3.10), with 64-bit sizes (4.3.14, 4.5.3), and nothing that may vary.

Of names, sizes and checksums there is exactly one file that this module makes: no comments, no times, no gaps. So who
reads one can make its front and directory again and compare them byte by byte: nothing can hide between the entries.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from anwang.kernel.errors import WireError

MOST_ENTRIES = 10_000
LONGEST_NAME = 512
"""Bytes."""
LARGEST_DIRECTORY = 8 << 20
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
_SIZES = struct.Struct("<2H2Q")
_PLACE = struct.Struct("<2H3Q")
TAIL = _END64.size + _LOCATOR.size + _END.size
"""Bytes behind the directory."""
_VERSION, _UTF8, _STORED, _WIDE = 45, 1 << 11, 0, 1
_TIME, _DAY = 0, 0x21
"""Midnight of 1980-01-01: the first moment there is (4.4.6)."""
_FULL = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An entry. crc: CRC-32 of its bytes. offset: of its front in the file."""

    name: str
    crc: int
    size: int
    offset: int

    @property
    def begins(self) -> int:
        """Offset of its bytes."""
        return self.offset + _LOCAL.size + len(self.name.encode()) + _SIZES.size

    @property
    def ends(self) -> int:
        """Offset behind its bytes."""
        return self.begins + self.size


def front(name: str, *, crc: int = 0, size: int = 0) -> bytes:
    """What stands before an entry's bytes (4.3.7); of the same length whatever crc and size are."""
    raw = name.encode()
    head = _LOCAL.pack(
        b"PK\3\4", _VERSION, _UTF8, _STORED, _TIME, _DAY, crc, _FULL, _FULL, len(raw), _SIZES.size
    )  # fmt: skip
    return head + raw + _SIZES.pack(_WIDE, _SIZES.size - 4, size, size)


def directory(entries: Sequence[Stored], at: int) -> bytes:
    """What stands behind all entries (4.3.12, 4.3.14 to 4.3.16). at: where it begins."""
    found = b"".join(map(_listed, entries))
    count, size = len(entries), len(found)
    few = min(count, 0xFFFF)
    return b"".join(
        (
            found,
            _END64.pack(b"PK\6\6", _END64.size - 12, _VERSION, _VERSION, 0, 0, count, count, size, at),
            _LOCATOR.pack(b"PK\6\7", 0, at + size, 1),
            _END.pack(b"PK\5\6", 0, 0, few, few, min(size, _FULL), min(at, _FULL), 0),
        )
    )


def _listed(one: Stored) -> bytes:
    raw = one.name.encode()
    head = _CENTRAL.pack(
        b"PK\1\2", _VERSION, _VERSION, _UTF8, _STORED, _TIME, _DAY, one.crc, _FULL, _FULL, len(raw), _PLACE.size,
        0, 0, 0, 0, _FULL,
    )  # fmt: skip
    return head + raw + _PLACE.pack(_WIDE, _PLACE.size - 4, one.size, one.size, one.offset)


def place_of(tail: bytes, size: int) -> tuple[int, int]:
    """[start, end) of the directory's entries of a file of `size` bytes. tail: its last TAIL. Raises WireError."""
    try:
        end64 = _END64.unpack_from(tail, 0)
        locator = _LOCATOR.unpack_from(tail, _END64.size)
        end = _END.unpack_from(tail, _END64.size + _LOCATOR.size)
    except struct.error:
        raise WireError("the file is too short for a ZIP", data=tail) from None
    if (end64[0], locator[0], end[0]) != (b"PK\6\6", b"PK\6\7", b"PK\5\6"):
        raise WireError("the file does not end as our ZIP files do", data=tail)
    length, at = end64[8], end64[9]
    if length > LARGEST_DIRECTORY or at + length + TAIL != size:
        raise WireError("the directory does not stand where the file's end says", data=tail)
    return at, at + length


def entries_of(data: bytes, at: int, tail: bytes) -> list[Stored]:
    """The entries that a directory lists, side by side from the file's start up to `at`, where it begins.

    Raises WireError where a byte of it is another than `directory` makes.
    """
    found: list[Stored] = []
    place = ends = 0
    while place < len(data):
        if len(found) >= MOST_ENTRIES:
            raise WireError(f"more than {MOST_ENTRIES} entries", data=data, offset=place)
        try:
            head = _CENTRAL.unpack_from(data, place)
            length = head[10]
            raw = data[place + _CENTRAL.size : place + _CENTRAL.size + length]
            _, _, size, _, offset = _PLACE.unpack_from(data, place + _CENTRAL.size + length)
            name = raw.decode()
        except (struct.error, UnicodeDecodeError):
            raise WireError("the directory cannot be read", data=data, offset=place) from None
        if offset != ends or not 0 < length <= LONGEST_NAME:
            raise WireError("the entries do not stand side by side", data=data, offset=place)
        found.append(Stored(name=name, crc=head[7], size=size, offset=offset))
        ends = found[-1].ends
        place += _CENTRAL.size + length + _PLACE.size
    if ends != at or directory(found, at) != data + tail:
        raise WireError("the directory is not as it was made", data=data)
    if len({one.name for one in found}) != len(found):
        raise WireError("two entries have one name", data=data)
    return found
