"""The ledger (access record): append-only files, one hash chain per writing process (design law 7, domain.md G06, G07).

    <folder>/<writer>-<generation>/<number of its first row, 16 digits>.ledger

A line is `<SHA-256, 64 hex digits> <row as JSON>`; the hash covers the previous line's hash and the row's exact bytes,
and the first line's predecessor is the hash of the chain's name. The last number and hash (the head) are kept in the
state database, too, so that rows cut off at the end are missed. `verify` checks all of it.

Who appends waits until the row is on the disk. One thread writes: while it waits for fdatasync the next rows gather,
and go to the disk together (group commit). A failed write is cut off again and nobody's row was acknowledged; while it
fails, appending raises Unavailable and so nobody looks.

A process that dies leaves at most a torn last line, which nobody was told is durable: it is cut off and noted. Anything
else that does not fit (a row less than the head, a broken hash) is left untouched for `verify`, and a new generation of
the chain begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import heapq
import os
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

import msgspec

from anwang.kernel.errors import Conflict, Invalid, Unavailable
from anwang.runtime import logs
from anwang.runtime.clock import Clock

SUFFIX = ".ledger"
ROTATE_BYTES = 16 * 1024 * 1024
HEAD_SECONDS = 1.0
_CHAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}-[1-9][0-9]{0,8}")
_FILE = re.compile(r"\d{16}\.ledger")
_HEX = 64

log = logs.get(__name__)


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be written: who, unit, terminal, what, objects, result (Directive (EU) 2016/680 art. 25).

    kind: opened, closed, used (a counted hour), denied, signed_in, refused (a failed sign-in), changed, deleted, …
    user, name, role, org: the actor's id, user name, role and organisation path. scope: path of what was listed.
    objects: ids of points or accounts. look: the look's id. count, bytes, seconds: how much. outcome: how it ended.
    """

    kind: str
    user: str = ""
    name: str = ""
    role: str = ""
    org: str = ""
    session: str = ""
    terminal: str = ""
    action: str = ""
    objects: tuple[str, ...] = ()
    scope: str = ""
    look: str = ""
    count: int = 0
    bytes: int = 0
    seconds: float = 0.0
    outcome: str = ""
    detail: str = ""


class Row(Entry, frozen=True, kw_only=True, omit_defaults=True):
    """What was written. seq: from 1, without gaps. at: microseconds since 1970 UTC, never before the previous row's.

    skew_us: by how much the clock was behind the previous row, which `at` repeats; 0 when it was not.
    """

    seq: int
    at: int
    skew_us: int = 0


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


class _Batch:
    """Rows that one caller appends together."""

    __slots__ = ("entries", "written")

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.written: Future[list[Row]] = Future()


class Ledger:
    """This process's chain, and reading of all chains in the folder. Begin with `open`, run `run`, end with `close`."""

    def __init__(
        self,
        *,
        folder: Path,
        writer: str,
        heads: Heads,
        clock: Clock,
        rotate_bytes: int,
        max_waiting: int,
        wait_s: float,
        sync: Callable[[int], None],
    ) -> None:
        self.folder = folder
        self._heads = heads
        self._clock = clock
        self._max_waiting = max_waiting
        self._wait_s = wait_s
        self._chain = _ChainWriter(folder=folder, writer=writer, clock=clock, rotate_bytes=rotate_bytes, sync=sync)
        self._queue: SimpleQueue[_Batch | None] = SimpleQueue()
        self._waiting = 0
        self._thread: threading.Thread | None = None
        self._followers: list[Callable[[Sequence[Row]], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._saved: Head | None = None
        self.refused = 0  # appends turned away, by bound, time or a failing disk

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        writer: str,
        heads: Heads,
        clock: Clock,
        rotate_bytes: int = ROTATE_BYTES,
        max_waiting: int = 10_000,
        wait_s: float = 5.0,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> Ledger:
        """Continue the writer's chain, or begin it.

        writer: name of the writing process, for example `main` or `web-2`; only one process may use it at a time.
        max_waiting: batches that may wait for the disk. wait_s: longest wait for it. sync: makes a file durable.
        Raises Conflict (another process writes the chain), Unavailable (disk), Invalid (name).
        """
        ledger = cls(
            folder=folder, writer=writer, heads=heads, clock=clock, rotate_bytes=rotate_bytes,
            max_waiting=max_waiting, wait_s=wait_s, sync=sync,
        )  # fmt: skip
        known = await heads.load()
        ledger._loop = asyncio.get_running_loop()
        notes = await asyncio.to_thread(ledger._chain.open, known)
        if not ledger.head.seq and ledger.chain not in known:  # a copy made, or a crash, in its first second knows it
            try:
                await heads.save(ledger.head)
            except BaseException:
                ledger._chain.close()
                raise
        ledger._thread = threading.Thread(target=ledger._write, name="ledger", daemon=True)
        ledger._thread.start()
        if notes:
            await ledger.append(*notes)
        return ledger

    @property
    def chain(self) -> str:
        """The name of the chain that is written."""
        return self._chain.name

    @property
    def head(self) -> Head:
        """The last durable row."""
        return self._chain.head

    @property
    def failing(self) -> str:
        """Why the last write failed; empty while all is well."""
        return self._chain.failing

    @property
    def waiting(self) -> int:
        """Batches that wait for the disk now."""
        return self._waiting

    def follow(self, follower: Callable[[Sequence[Row]], None]) -> None:
        """Call with all durable rows, in order, in the event loop: for the searchable copy. Must not block."""
        self._followers.append(follower)

    async def append(self, *entries: Entry) -> list[Row]:
        """Write the entries beside each other; durable when this returns. Raises Unavailable.

        When it raises for a wait too long, the rows may still be written: too much in the ledger, never too little.
        """
        batch = self._put(entries)
        try:
            async with asyncio.timeout(self._wait_s):
                return await asyncio.wrap_future(batch.written)
        except TimeoutError:
            self.refused += 1
            raise Unavailable(
                f"the ledger did not answer within {self._wait_s:g} s", "nobody may look until it does; check its disk"
            ) from None

    def post(self, *entries: Entry) -> None:
        """Write the entries without waiting for the disk. Raises Unavailable when too many wait already."""
        self._put(entries).written.add_done_callback(_report)

    def _put(self, entries: Sequence[Entry]) -> _Batch:
        if self._thread is None or self._waiting >= self._max_waiting:
            self.refused += 1
            why = "is closed" if self._thread is None else "is too slow"
            raise Unavailable(f"the ledger {why}, so nobody may look", "check the disk of the ledger's folder")
        try:
            msgspec.json.encode(entries)  # one caller's text that can't be written must not cost the others' rows
        except (UnicodeError, ValueError, TypeError) as err:
            raise Invalid(f"this cannot be written to the ledger: {err}") from None
        batch = _Batch(entries)
        self._waiting += 1
        batch.written.add_done_callback(self._settled)
        self._queue.put(batch)
        return batch

    def _settled(self, written: Future[list[Row]]) -> None:
        # called in the writing thread
        if self._loop is None or self._loop.is_closed():
            return
        rows = written.result() if not written.cancelled() and written.exception() is None else []
        with contextlib.suppress(RuntimeError):  # the loop closed meanwhile
            self._loop.call_soon_threadsafe(self._announce, rows)

    def _announce(self, rows: list[Row]) -> None:
        self._waiting -= 1
        if not rows:
            self.refused += 1
            return
        for follower in self._followers:
            follower(rows)

    def _write(self) -> None:
        """The writing thread: everything that waits goes to the disk with one sync."""
        while True:
            batches = [self._queue.get()]
            while not self._queue.empty():
                batches.append(self._queue.get())
            work = [batch for batch in batches if batch is not None]
            # asyncio.wrap_future cancels what it wraps; the rows are written all the same
            work_open = [batch for batch in work if batch.written.set_running_or_notify_cancel()]
            try:
                written = self._chain.write([batch.entries for batch in work_open])
            except Exception as err:  # whatever it was, who waits must not wait for ever
                for batch in work_open:
                    batch.written.set_exception(
                        err if isinstance(err, Unavailable) else Unavailable(f"the ledger cannot be written: {err}")
                    )
            else:
                for batch, rows in zip(work_open, written, strict=True):
                    batch.written.set_result(rows)
            if None in batches:
                return

    async def run(self) -> None:
        """Keep the head in the state database at most a second behind, for ever."""
        while True:
            await self._clock.sleep(HEAD_SECONDS)
            try:
                await self.save_head()
            except Exception as err:  # the next second tries again; the rows themselves are safe
                log.warning("the ledger's head could not be saved", error=str(err))

    async def save_head(self) -> None:
        """Keep the head now, if it moved."""
        head = self.head
        if head.seq and head != self._saved:
            await self._heads.save(head)
            self._saved = head

    async def close(self) -> None:
        """Write what waits, save the head, let the chain go."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        self._queue.put(None)
        await asyncio.to_thread(thread.join)
        await self.save_head()
        self._chain.close()

    async def verify(self) -> Verified:
        """Check every chain in the folder against the heads."""
        await self.save_head()
        return await asyncio.to_thread(verify, self.folder, await self._heads.load())

    async def page(
        self,
        *,
        limit: int,
        cursor: Mapping[str, int] | None = None,
        wanted: Callable[[Row], bool] = lambda row: True,
        scan: int = 20_000,
    ) -> LedgerPage:
        """Rows of all chains, latest first; at most `limit` wanted ones out of the next `scan`.

        cursor: `next` of the page before.
        """
        return await asyncio.to_thread(_page, self.folder, limit, cursor, wanted, scan)

    async def rows(
        self, after: Mapping[str, int], *, chains: Sequence[str] | None = None, batch: int = 500
    ) -> AsyncIterator[tuple[str, list[Row]]]:
        """Chain by chain the rows after these numbers, oldest first: how the searchable copy catches up.

        chains: only these; None: all in the folder.
        """
        for chain in await asyncio.to_thread(chains_in, self.folder) if chains is None else chains:
            seen = after.get(chain, 0)
            while found := await asyncio.to_thread(_forward, self.folder / chain, seen, batch):
                yield chain, found
                seen = found[-1].seq


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """rows: latest first, each with its chain. next: where to go on, None at the end. scanned: rows looked at."""

    rows: list[tuple[str, Row]]
    next: dict[str, int] | None
    scanned: int


def _report(written: Future[list[Row]]) -> None:
    if not written.cancelled() and (err := written.exception()) is not None:
        log.error("a row that nobody waited for could not be written to the ledger", error=str(err))


class _ChainWriter:
    """The file that is written; used by one thread at a time."""

    def __init__(
        self, *, folder: Path, writer: str, clock: Clock, rotate_bytes: int, sync: Callable[[int], None]
    ) -> None:
        if _CHAIN.fullmatch(f"{writer}-1") is None:
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
        known = {chain for chain in {*heads, *chains_in(self._folder)} if chain.rpartition("-")[0] == self._writer}
        generation = max((int(chain.rpartition("-")[2]) for chain in known), default=1)
        name = f"{self._writer}-{generation}"
        end = _find_end(self._folder / name, name)
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
        _sync_folder(self._folder)
        self.name, self.head = name, Head(name, 0, genesis(name), 0)
        self._next_file()

    def _next_file(self) -> None:
        path = self._folder / self.name / f"{self.head.seq + 1:016d}{SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _sync_folder(path.parent)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._size = descriptor, os.fstat(descriptor).st_size

    def write(self, batches: Sequence[Sequence[Entry]]) -> list[list[Row]]:
        """Append and sync. Raises Unavailable; then nothing of it stays."""
        if not batches:
            return []
        lines: list[bytes] = []
        written: list[list[Row]] = []
        head = self.head
        for entries in batches:
            rows = []
            for entry in entries:
                line, row, head = _chained(entry, head, self._clock.micros())
                lines.append(line)
                rows.append(row)
            written.append(rows)
        data = b"".join(lines)
        try:
            if self._descriptor < 0:
                self._reopen()
            if self._size and self._size + len(data) > self._rotate_bytes:
                self._next_file()
            _write_all(self._descriptor, data)
            self._sync(self._descriptor)
        except OSError as err:
            self.failing = f"the ledger cannot be written: {err.strerror}"
            self._give_up()
            raise Unavailable(self.failing, "nobody may look until it can; check the disk of its folder") from err
        self._size += len(data)
        self.head = head
        self.failing = ""
        return written

    def _give_up(self) -> None:
        """Cut the failed rows off; if even that fails, `_reopen` does it before the next write."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self._size)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        self._descriptor = -1

    def _reopen(self) -> None:
        """After a failed sync the cache can't be trusted: the last row is read again before a new one follows it."""
        end = _find_end(self._folder / self.name, self.name, until=self.head.seq)
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


def _chained(entry: Entry, head: Head, now: int) -> tuple[bytes, Row, Head]:
    at = max(now, head.at)
    fields = {name: getattr(entry, name) for name in Entry.__struct_fields__}
    row = Row(**fields, seq=head.seq + 1, at=at, skew_us=at - now)
    text = msgspec.json.encode(row)
    digest = _hash(head.hash, text)
    return digest.encode() + b" " + text + b"\n", row, Head(head.chain, row.seq, digest, at)


def genesis(chain: str) -> str:
    """What the first row of a chain follows."""
    return hashlib.sha256(b"anwang ledger " + chain.encode()).hexdigest()


def _hash(previous: str, text: bytes) -> str:
    return hashlib.sha256(bytes.fromhex(previous) + text).hexdigest()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def chains_in(folder: Path) -> list[str]:
    """The chains of a ledger's folder, by name."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and _CHAIN.fullmatch(path.name))


def _files(chain: Path) -> list[tuple[int, Path]]:
    """The files of a chain with the number of their first row, in order."""
    if not chain.is_dir():
        return []
    return sorted((int(path.stem), path) for path in chain.iterdir() if _FILE.fullmatch(path.name))


@dataclass(frozen=True, slots=True)
class _End:
    """Where a chain ends. size: bytes of the last file that hold whole rows. torn: what follows them."""

    head: Head
    file: Path | None
    size: int
    torn: bytes = b""
    fault: str = ""


def _find_end(chain: Path, name: str, until: int | None = None) -> _End:
    """The end of a chain, by its last file.

    until: ignore rows after this number, they were never acknowledged.
    """
    head = Head(name, 0, genesis(name), 0)
    files = _files(chain)
    if not files:
        return _End(head, None, 0)
    first, path = files[-1]
    if len(files) > 1 or first != 1:
        before = _last_of(files[-2][1], name) if len(files) > 1 else None
        if before is None or before.seq != first - 1:
            return _End(head, path, 0, fault=f"row {first - 1} is missing")
        head = before
    data = path.read_bytes()
    size = 0
    for line in data.splitlines(keepends=True):
        if until is not None and head.seq >= until:
            break
        try:
            head = _check(line, head)
        except _Fault as err:
            rest = data[size:]
            if until is None and (b"\n" not in rest or b"\0" in rest):
                return _End(head, path, size, torn=rest)
            return _End(head, path, size, fault=f"row {head.seq + 1}: {err}")
        size += len(line)
    return _End(head, path, size)


def _last_of(path: Path, name: str) -> Head | None:
    """The head after a file's last line, as the line has it; None where there is none."""
    line = path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2]
    try:
        row = _row.decode(line[_HEX + 1 :])
        return Head(name, row.seq, bytes.fromhex(line[:_HEX].decode("ascii")).hex(), row.at)
    except (ValueError, msgspec.DecodeError):
        return None


class _Fault(Exception):
    """A line that does not fit."""


_row = msgspec.json.Decoder(Row)


def _check(line: bytes, head: Head) -> Head:
    """The head after this line. Raises _Fault."""
    if not line.endswith(b"\n"):
        raise _Fault("the line does not end")
    digest, space, text = line[:_HEX], line[_HEX : _HEX + 1], line[_HEX + 1 : -1]
    if space != b" ":
        raise _Fault("not a line of a ledger")
    if digest.decode("ascii", "replace") != _hash(head.hash, text):
        raise _Fault("the hash does not fit: changed, removed or moved")
    try:
        row = _row.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _Fault("not a row") from None
    if row.seq != head.seq + 1:
        raise _Fault(f"its number is {row.seq}")
    if row.at < head.at:
        raise _Fault("it runs backwards in time")
    return Head(head.chain, row.seq, digest.decode("ascii", "replace"), row.at)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a chain: where (file, row) and what."""

    chain: str
    place: str
    what: str


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of `verify`. heads: the end of each chain as found; the ledger is sound when faults is empty."""

    rows: int
    heads: dict[str, Head]
    faults: list[Fault]


def verify(folder: Path, heads: Mapping[str, Head]) -> Verified:
    """Read every chain and find changed bits, removed, added and moved rows and files, and rows cut off at the end.

    heads: as kept in the state database; a chain is checked only by itself where its head is missing, which is a fault.
    A torn last line beyond the head is a fault until the writer has been started again.
    """
    faults: list[Fault] = []
    found: dict[str, Head] = {}
    rows = 0
    if folder.is_dir():
        faults += [
            Fault("", path.name, "does not belong into a ledger")
            for path in sorted(folder.iterdir())
            if not (path.is_dir() and _CHAIN.fullmatch(path.name)) and not path.name.startswith(".")
        ]
    for chain in sorted({*chains_in(folder), *heads}):
        end, chain_faults = _verify_chain(folder / chain, chain, heads.get(chain))
        faults += chain_faults
        found[chain] = end
        rows += end.seq
    return Verified(rows, found, faults)


def _verify_chain(path: Path, chain: str, kept: Head | None) -> tuple[Head, list[Fault]]:
    faults: list[Fault] = []
    head = Head(chain, 0, genesis(chain), 0)
    kept_seen = kept is None or kept.seq == 0
    files = _files(path)
    if path.is_dir():
        names = {file.name for _, file in files}
        faults += [
            Fault(chain, other.name, "does not belong into a chain")
            for other in sorted(path.iterdir())
            if other.name not in names
        ]
    for first, file in files:
        if first != head.seq + 1:
            faults.append(Fault(chain, file.name, f"rows {head.seq + 1} to {first - 1} are missing or misnamed"))
            return head, faults
        with file.open("rb") as lines:
            for line in lines:
                try:
                    head = _check(line, head)
                except _Fault as err:
                    being_written = not line.endswith(b"\n") and kept_seen and _is_written(path.parent, chain)
                    if not being_written:
                        faults.append(Fault(chain, f"{file.name} row {head.seq + 1}", str(err)))
                    return head, faults
                if kept is not None and head.seq == kept.seq:
                    kept_seen = True
                    if head.hash != kept.hash:
                        faults.append(Fault(chain, f"{file.name} row {head.seq}", "is not the row that was written"))
                        return head, faults
    if not kept_seen and kept is not None:
        faults.append(Fault(chain, f"row {head.seq}", f"the chain ends here, but row {kept.seq} was written"))
    if kept is None and head.seq:
        faults.append(Fault(chain, chain, "the state database does not know this chain"))
    return head, faults


def _is_written(folder: Path, chain: str) -> bool:
    """Whether a process has the chain open for writing now."""
    try:
        lock = os.open(folder / f".{chain.rpartition('-')[0]}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _backwards(chain: Path, before: int) -> Iterator[Row]:
    """The rows of a chain below this number, latest first. Lines that can't be read are left out: verify names them."""
    for first, path in reversed(_files(chain)):
        if first >= before:
            continue
        for line in reversed(path.read_bytes().splitlines()):
            try:
                row = _row.decode(line[_HEX + 1 :])
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if row.seq < before:
                yield row


def _forward(chain: Path, after: int, limit: int) -> list[Row]:
    found: list[Row] = []
    files = _files(chain)
    for index, (_, path) in enumerate(files):
        if index + 1 < len(files) and files[index + 1][0] <= after + 1:
            continue
        for line in path.read_bytes().splitlines():
            try:
                row = _row.decode(line[_HEX + 1 :])
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if row.seq > after:
                found.append(row)
                if len(found) >= limit:
                    return found
    return found


def _page(
    folder: Path, limit: int, cursor: Mapping[str, int] | None, wanted: Callable[[Row], bool], scan: int
) -> LedgerPage:
    def tagged(chain: str, before: int) -> Iterable[tuple[int, str, Row]]:
        return ((-row.at, chain, row) for row in _backwards(folder / chain, before))

    # a chain begun after the first page has nothing to add to the following ones
    before = dict.fromkeys(chains_in(folder), 1 << 62) if cursor is None else dict(cursor)
    merged = heapq.merge(*(tagged(chain, seq) for chain, seq in before.items()), key=lambda item: item[:2])
    rows: list[tuple[str, Row]] = []
    scanned = 0
    for _, chain, row in merged:
        if len(rows) >= limit or scanned >= scan:
            return LedgerPage(rows, before, scanned)
        scanned += 1
        before[chain] = row.seq
        if wanted(row):
            rows.append((chain, row))
    return LedgerPage(rows, None, scanned)
