"""A chain on the disk: its files, its lines, its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from anwang.governance.ledger.rows import CHAIN, Row

SUFFIX = ".ledger"
FILE = re.compile(r"\d{16}\.ledger")
HEX = 64


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: number, hash (hex) and time of its last row."""

    chain: str
    seq: int
    hash: str
    at: int


class Heads(Protocol):
    """Where heads are kept apart from the files: the state database."""

    async def load(self) -> Mapping[str, Head]:
        """All chains' heads by chain."""

    async def save(self, head: Head) -> None:
        """Keep this one, unless a later one of the chain is kept."""


class Stamp(NamedTuple):
    """What the chain adds to an entry; see Row."""

    seq: int
    at: int
    skew_us: int


def chained(
    batches: Sequence[Sequence[bytes]], head: Head, now: Callable[[], int]
) -> tuple[list[bytes], list[list[Stamp]], Head]:
    """The lines that follow the head, their stamps batch by batch, and the head after them.

    batches: entries as JSON. now: microseconds since 1970, asked once a batch. A line is put together from the entry's
    text, because encoding the row anew takes longer than hashing it.
    """
    lines: list[bytes] = []
    stamps: list[list[Stamp]] = []
    digest, seq, at = bytes.fromhex(head.hash), head.seq, head.at
    for entries in batches:
        moment = now()
        at = max(moment, at)
        skew_us = at - moment
        rest = b',"at":%d%b}' % (at, b',"skew_us":%d' % skew_us if skew_us else b"")
        stamped = []
        for entry in entries:
            seq += 1
            text = b'%b,"seq":%d%b' % (entry[:-1], seq, rest)
            hashed = sha256(digest + text)
            digest = hashed.digest()
            lines.append(b"%b %b\n" % (hashed.hexdigest().encode(), text))
            stamped.append(Stamp(seq, at, skew_us))
        stamps.append(stamped)
    return lines, stamps, Head(head.chain, seq, digest.hex(), at)


def genesis(chain: str) -> str:
    """What the first row of a chain follows."""
    return sha256(b"anwang ledger " + chain.encode()).hexdigest()


class BrokenLine(Exception):
    """A line that does not fit."""


row_decoder = msgspec.json.Decoder(Row)


class Trail:
    """How far a chain was checked. seq, at: of the last row that fits."""

    __slots__ = ("_digest", "at", "chain", "seq")

    def __init__(self, head: Head) -> None:
        self.chain = head.chain
        self.seq = head.seq
        self.at = head.at
        self._digest = bytes.fromhex(head.hash)

    @property
    def head(self) -> Head:
        """The same as a head."""
        return Head(self.chain, self.seq, self._digest.hex(), self.at)

    def follow(self, line: bytes) -> None:
        """Go on by a line. Raises BrokenLine, and stays where it is."""
        if line[-1:] != b"\n":
            raise BrokenLine("the line does not end")
        text = line[HEX + 1 : -1]
        hashed = sha256(self._digest + text)
        if hashed.hexdigest().encode() + b" " != line[: HEX + 1]:
            if line[HEX : HEX + 1] != b" ":
                raise BrokenLine("not a line of a ledger")
            raise BrokenLine("the hash does not fit: changed, removed or moved")
        try:
            row = row_decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BrokenLine("not a row") from None
        if row.seq != self.seq + 1:
            raise BrokenLine(f"its number is {row.seq}")
        if row.at < self.at:
            raise BrokenLine("it runs backwards in time")
        self._digest, self.seq, self.at = hashed.digest(), row.seq, row.at


def chains_in(folder: Path) -> list[str]:
    """The chains of a ledger's folder, by name."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and CHAIN.fullmatch(path.name))


def files_of(chain: Path) -> list[tuple[int, Path]]:
    """The files of a chain with the number of their first row, in order."""
    if not chain.is_dir():
        return []
    return sorted((int(path.stem), path) for path in chain.iterdir() if FILE.fullmatch(path.name))


@dataclass(frozen=True, slots=True)
class End:
    """Where a chain ends. size: bytes of the last file that hold whole rows. torn: what follows them."""

    head: Head
    file: Path | None
    size: int
    torn: bytes = b""
    fault: str = ""


def find_end(chain: Path, name: str, until: int | None = None) -> End:
    """The end of a chain, by its last file.

    until: ignore rows after this number, they were never acknowledged.
    """
    head = Head(name, 0, genesis(name), 0)
    files = files_of(chain)
    if not files:
        return End(head, None, 0)
    first, path = files[-1]
    if len(files) > 1 or first != 1:
        before = last_of(files[-2][1], name) if len(files) > 1 else None
        if before is None or before.seq != first - 1:
            return End(head, path, 0, fault=f"row {first - 1} is missing")
        head = before
    data = path.read_bytes()
    size = 0
    trail = Trail(head)
    for line in data.splitlines(keepends=True):
        if until is not None and trail.seq >= until:
            break
        try:
            trail.follow(line)
        except BrokenLine as err:
            rest = data[size:]
            if until is None and (b"\n" not in rest or b"\0" in rest):
                return End(trail.head, path, size, torn=rest)
            return End(trail.head, path, size, fault=f"row {trail.seq + 1}: {err}")
        size += len(line)
    return End(trail.head, path, size)


def last_of(path: Path, name: str) -> Head | None:
    """The head after a file's last line, as the line has it; None where there is none."""
    line = path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2]
    try:
        row = row_decoder.decode(line[HEX + 1 :])
        return Head(name, row.seq, bytes.fromhex(line[:HEX].decode("ascii")).hex(), row.at)
    except (ValueError, msgspec.DecodeError):
        return None
