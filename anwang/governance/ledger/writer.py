"""The chain that a process writes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from anwang.governance.ledger.chain import SUFFIX, Head, Stamp, chained, chains_in, find_end, genesis
from anwang.governance.ledger.files import sync_folder, write_all
from anwang.governance.ledger.rows import CHAIN, Entry
from anwang.kernel.errors import Conflict, Invalid, Unavailable
from anwang.runtime.clock import Clock


class ChainWriter:
    """The file that is written; used by one thread at a time."""

    def __init__(
        self, *, folder: Path, writer: str, clock: Clock, rotate_bytes: int, sync: Callable[[int], None]
    ) -> None:
        if CHAIN.fullmatch(f"{writer}-1") is None:
            raise Invalid(f"{writer!r} is no name for a ledger's writer", "small letters, digits, - and _")
        self._folder = folder
        self._writer = writer
        self._clock = clock
        self._rotate_bytes = rotate_bytes
        self._sync = sync
        self._descriptor = -1
        self._lock = -1
        self._size = 0
        self.name = ""
        self.head = Head("", 0, "", 0)
        self.failing = ""

    def open(self, heads: Mapping[str, Head]) -> list[Entry]:
        """Take the newest generation, or the one after it where that one is broken; what is to be noted about it."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._take_lock()
            return self._continue(heads)
        except OSError as err:
            self.close()
            raise Unavailable(f"the ledger's folder {self._folder} cannot be used: {err.strerror}") from err
        except BaseException:
            self.close()
            raise

    def _take_lock(self) -> None:
        self._lock = os.open(self._folder / f".{self._writer}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"another process writes the ledger as {self._writer!r}", "give each process its own name"
            ) from None

    def _continue(self, heads: Mapping[str, Head]) -> list[Entry]:
        chains = {chain for chain in {*heads, *chains_in(self._folder)} if CHAIN.fullmatch(chain)}
        known = {chain for chain in chains if chain.rpartition("-")[0] == self._writer}
        generation = max((int(chain.rpartition("-")[2]) for chain in known), default=1)
        name = f"{self._writer}-{generation}"
        end = find_end(self._folder / name, name)
        head = heads.get(name)
        broken = end.fault
        if not broken and head is not None and (end.head.seq < head.seq):
            broken = f"ends at row {end.head.seq}, but row {head.seq} was written"
        if broken:
            self._begin(f"{self._writer}-{generation + 1}")
            return [Entry(kind="broken", objects=(name,), outcome="new generation", detail=f"{name} {broken}")]
        self.name, self.head = name, end.head
        if end.file is None:
            self._begin(name)
            return []
        self._descriptor = os.open(end.file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._size = end.size
        if not end.torn:
            return []
        os.ftruncate(self._descriptor, end.size)
        self._sync(self._descriptor)
        digest = hashlib.sha256(end.torn).hexdigest()
        return [
            Entry(kind="recovered", objects=(name,), bytes=len(end.torn), detail=f"torn last line, SHA-256 {digest}")
        ]

    def _begin(self, name: str) -> None:
        (self._folder / name).mkdir(exist_ok=True, mode=0o700)
        sync_folder(self._folder)
        self.name, self.head = name, Head(name, 0, genesis(name), 0)
        self._next_file()

    def _next_file(self) -> None:
        path = self._folder / self.name / f"{self.head.seq + 1:016d}{SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        sync_folder(path.parent)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._size = descriptor, os.fstat(descriptor).st_size

    def write(self, batches: Sequence[Sequence[bytes]]) -> list[list[Stamp]]:
        """Append entries, given as JSON, and sync; their stamps. Raises Unavailable; then nothing of it stays."""
        if not batches:
            return []
        lines, stamps, head = chained(batches, self.head, self._clock.micros)
        data = b"".join(lines)
        try:
            if self._descriptor < 0:
                self._reopen()
            if self._size and self._size + len(data) > self._rotate_bytes:
                self._next_file()
            write_all(self._descriptor, data)
            self._sync(self._descriptor)
        except OSError as err:
            self.failing = f"the ledger cannot be written: {err.strerror}"
            self._give_up()
            raise Unavailable(self.failing, "nobody may look until it can; check the disk of its folder") from err
        self._size += len(data)
        self.head = head
        self.failing = ""
        return stamps

    def _give_up(self) -> None:
        """Cut the failed rows off; if even that fails, `_reopen` does it before the next write."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self._size)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        self._descriptor = -1

    def _reopen(self) -> None:
        """After a failed sync the cache can't be trusted: the last row is read again before a new one follows it."""
        end = find_end(self._folder / self.name, self.name, until=self.head.seq)
        if end.fault or end.head != self.head or end.file is None:
            raise OSError(0, "its last row is not on the disk any more", str(self._folder))
        self._descriptor = os.open(end.file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        os.ftruncate(self._descriptor, end.size)
        self._size = end.size

    def close(self) -> None:
        """Let the file and the lock go."""
        for descriptor in (self._descriptor, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._lock = -1
