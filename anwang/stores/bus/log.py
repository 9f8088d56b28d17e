"""The window of the local bus: the last messages, in a few append-only files.

A file is named by the first number it may hold. A record is `length crc seq at subject payload`; each is written with
one write(), so kill -9 loses nothing that was published. Power loss may take the tail, which start-up cuts. Numbers are
reserved in blocks, each noted durably before the first of it is used: after any crash the next number is one that was
never given out, at the price of a hole.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from anwang.kernel.errors import Unavailable
from anwang.kernel.times import from_micros, to_micros
from anwang.stores.bus.port import LARGEST_PAYLOAD, Lagged, Message
from anwang.stores.bus.subjects import LONGEST

HEAD = struct.Struct("<II")  # length of the rest, crc32 of it
REST = struct.Struct("<QQH")  # number, microseconds since 1970 UTC, length of the subject
LARGEST_RECORD = REST.size + LONGEST + LARGEST_PAYLOAD
BLOCK = 1024  # numbers reserved at once
FILES = 8  # that the window is cut into


def pack(message: Message) -> bytes:
    """One record."""
    subject = message.subject.encode()
    rest = REST.pack(message.seq, to_micros(message.at), len(subject)) + subject + message.payload
    return HEAD.pack(len(rest), zlib.crc32(rest)) + rest


def unpack(data: bytes | mmap.mmap, offset: int) -> tuple[Message, int] | None:
    """The record at offset and where the next begins; None where there is no whole, sound record."""
    if offset + HEAD.size > len(data):
        return None
    length, crc = HEAD.unpack_from(data, offset)
    start = offset + HEAD.size
    if not REST.size <= length <= LARGEST_RECORD or start + length > len(data):
        return None
    rest = bytes(data[start : start + length])
    if zlib.crc32(rest) != crc:
        return None
    seq, at, size = REST.unpack_from(rest)
    body = REST.size + size
    try:
        message = Message(seq, rest[REST.size : body].decode(), rest[body:], from_micros(at))
    except (UnicodeDecodeError, OverflowError):
        return None
    return message, start + length


@dataclass(slots=True)
class _File:
    path: Path
    first: int  # the smallest number it may hold
    count: int


class Log:
    """The files of one window. All methods block for as long as a write into the page cache takes."""

    def __init__(self, folder: Path, keep: int) -> None:
        """Open the window of at least the last `keep` messages, cutting a torn tail."""
        self._folder = folder
        self._per_file = max(1, keep // FILES)
        self._keep = keep
        self.torn_bytes = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._files: list[_File] = []
        last = 0
        for path in sorted(folder.glob("bus-*.log")):
            file, end = self._check(path)
            self._files.append(file)
            last = max(last, end, file.first - 1)
        self._reserved = max(last, self._read_reserved())
        self.last = self._reserved
        """The largest number that may have been given out."""
        self._descriptor: int | None = None

    def _check(self, path: Path) -> tuple[_File, int]:
        data = path.read_bytes()
        offset = count = last = 0
        while (found := unpack(data, offset)) is not None:
            last, offset, count = found[0].seq, found[1], count + 1
        if offset < len(data):
            self.torn_bytes += len(data) - offset
            os.truncate(path, offset)
        return _File(path, int(path.stem.removeprefix("bus-")), count), last

    @property
    def first(self) -> int:
        """The smallest number that may be in the window."""
        return self._files[0].first if self._files else self.last + 1

    def _read_reserved(self) -> int:
        try:
            return int((self._folder / "bus.reserved").read_text())
        except FileNotFoundError:
            return 0
        except ValueError:
            raise Unavailable("bus.reserved holds no number", "write the largest number ever seen into it") from None

    def _reserve(self, upto: int) -> None:
        part = self._folder / "bus.reserved.part"
        with open(part, "w") as file:
            file.write(str(upto))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._folder / "bus.reserved")
        self._sync_folder()
        self._reserved = upto

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def next(self) -> int:
        """A number that was never given out before; `give` it out once its message is kept."""
        if self.last >= self._reserved:
            self._reserve(self.last + BLOCK)
        return self.last + 1

    def give(self, seq: int) -> None:
        """The number is used."""
        self.last = seq

    def append(self, message: Message) -> None:
        """Keep a message; its number is the largest so far. Raises Unavailable where the disk refuses."""
        if self._descriptor is None or self._files[-1].count >= self._per_file:
            self._begin(message.seq)
        descriptor = self._descriptor
        if descriptor is None:
            raise Unavailable("the bus has no file to write to")
        record = pack(message)
        start = os.lseek(descriptor, 0, os.SEEK_END)
        try:
            written = os.write(descriptor, record)
        except OSError as err:
            raise Unavailable(f"the bus cannot keep a message: {err.strerror}") from err
        if written < len(record):  # a full disk: take the half record back
            os.ftruncate(descriptor, start)
            raise Unavailable("the bus cannot keep a message: the disk is full")
        self._files[-1].count += 1

    def _begin(self, first: int) -> None:
        self._close_file()
        path = self._folder / f"bus-{first:020d}.log"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._files.append(_File(path, first, 0))
        while sum(file.count for file in self._files[1:]) >= self._keep:
            self._files.pop(0).path.unlink(missing_ok=True)

    def read(self, after: int, upto: int) -> Iterator[Message | Lagged]:
        """Messages with after < seq <= upto, and Lagged for what fell out of the window before it was reached.

        May be advanced on another thread than the one that appends.
        """
        files = list(self._files)
        start = files[0].first if files else upto + 1
        if after + 1 < start:
            yield Lagged(min(start - 1, upto) - after)
        for number, file in enumerate(files):
            following = files[number + 1].first if number + 1 < len(files) else None
            if (following is not None and following <= after + 1) or file.first > upto or not file.count:
                continue
            try:
                descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:  # fell out of the window in this moment
                yield Lagged(min((following or upto + 1) - 1, upto) - max(after, file.first - 1))
                continue
            try:
                mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
            finally:
                os.close(descriptor)
            with mapped as data:
                offset = 0
                while (found := unpack(data, offset)) is not None:
                    message, offset = found
                    if after < message.seq <= upto:
                        yield message

    def close(self) -> None:
        """Note the exact last number, so that a clean restart leaves no hole."""
        self._close_file()
        if self._reserved != self.last:
            self._reserve(self.last)

    def _close_file(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
