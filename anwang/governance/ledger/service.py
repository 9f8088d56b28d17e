"""The ledger of a process: appending to its own chain, reading all of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import MappingProxyType

import msgspec

from anwang.governance.ledger.anchors import Anchor, AnchorWriter
from anwang.governance.ledger.chain import Head, Heads, Stamp, chains_in
from anwang.governance.ledger.reading import Reader, page_of, start_of
from anwang.governance.ledger.rows import END, Entry, Found, LedgerPage, Place, Row
from anwang.governance.ledger.verification import Verified, verify
from anwang.governance.ledger.writer import ChainWriter
from anwang.kernel.errors import Invalid, Unavailable
from anwang.runtime import logs
from anwang.runtime.clock import Clock

ROTATE_BYTES = 16 * 1024 * 1024
HEAD_SECONDS = 1.0
ANCHOR_SECONDS = 3600.0
RETRY_SECONDS = 60.0

log = logs.get(__name__)
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows that one caller appends together. texts: as JSON. written: who waits for them; None: nobody."""

    entries: Sequence[Entry]
    texts: Sequence[bytes]
    written: asyncio.Future[list[Row]] | None


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
        anchors: AnchorWriter | None,
    ) -> None:
        self.folder = folder
        self._heads = heads
        self._clock = clock
        self._max_waiting = max_waiting
        self._wait_s = wait_s
        self._chain = ChainWriter(folder=folder, writer=writer, clock=clock, rotate_bytes=rotate_bytes, sync=sync)
        self._queue: SimpleQueue[_Batch | None] = SimpleQueue()
        self._waiting = 0
        self._thread: threading.Thread | None = None
        self._loop = asyncio.get_running_loop()
        self._saved: Head | None = None
        self._anchors = anchors
        self._anchor_due = clock.monotonic()
        self.anchors_failing = ""
        """Why the last anchor could not be made; empty while all is well."""
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
        anchors: AnchorWriter | None = None,
    ) -> Ledger:
        """Continue the writer's chain and its list of anchors, or begin them.

        writer: name of the writing process, for example `main` or `web-2`; only one process may use it at a time.
        max_waiting: batches that may wait for the disk. wait_s: longest wait for it. sync: makes a file durable.
        anchors: signs every hour how far the chain has come; None: nothing does. Raises Conflict (another process
        writes the chain), Unavailable (disk; the anchors' key is missing), Invalid (name).
        """
        ledger = cls(
            folder=folder, writer=writer, heads=heads, clock=clock, rotate_bytes=rotate_bytes,
            max_waiting=max_waiting, wait_s=wait_s, sync=sync, anchors=anchors,
        )  # fmt: skip
        known = await heads.load()
        notes = await asyncio.to_thread(ledger._open, known)
        try:
            for head in (ledger.head, *([anchors.head] if anchors else ())):
                if not head.seq and head.chain not in known:  # a copy made, or a crash, in its first second knows it
                    await heads.save(head)
        except BaseException:
            ledger._chain.close()
            raise
        ledger._thread = threading.Thread(target=ledger._write, name="ledger", daemon=True)
        ledger._thread.start()
        if notes:
            await ledger.append(*notes)
        return ledger

    def _open(self, known: Mapping[str, Head]) -> list[Entry]:
        notes = self._chain.open(known)
        if self._anchors is None:
            return notes
        try:
            notes += self._anchors.open(known)
        except BaseException:
            self._chain.close()
            raise
        if (last := self._anchors.last) is not None:
            age_s = (self._clock.micros() - last.at) / 1_000_000
            if 0 <= age_s < ANCHOR_SECONDS:
                self._anchor_due += ANCHOR_SECONDS - age_s
        return notes

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

    async def append(self, *entries: Entry) -> list[Row]:
        """Write the entries beside each other; durable when this returns. Raises Unavailable.

        When it raises for a wait too long, the rows may still be written: too much in the ledger, never too little.
        """
        written: asyncio.Future[list[Row]] = asyncio.get_running_loop().create_future()
        self._put(entries, written)
        late = self._loop.call_later(self._wait_s, self._too_late, written)  # a timeout block costs as much as the rest
        try:
            return await written
        finally:
            late.cancel()

    def _too_late(self, written: asyncio.Future[list[Row]]) -> None:
        if not written.done():
            self.refused += 1
            reason = f"the ledger did not answer within {self._wait_s:g} s"
            written.set_exception(Unavailable(reason, "nobody may look until it does; check its disk"))

    def post(self, *entries: Entry) -> None:
        """Write the entries without waiting for the disk. Raises Unavailable when too many wait already."""
        self._put(entries, None)

    def _put(self, entries: Sequence[Entry], written: asyncio.Future[list[Row]] | None) -> None:
        if self._thread is None or self._waiting >= self._max_waiting:
            self.refused += 1
            why = "is closed" if self._thread is None else "is too slow"
            raise Unavailable(f"the ledger {why}, so nobody may look", "check the disk of the ledger's folder")
        try:
            # one caller's text that can't be written must not cost the others' rows
            texts = [_encoder.encode(entry) for entry in entries]
        except (UnicodeError, ValueError, TypeError) as err:
            raise Invalid(f"this cannot be written to the ledger: {err}") from None
        self._waiting += 1
        self._queue.put(_Batch(entries, texts, written))

    def _write(self) -> None:
        """The writing thread: everything that waits goes to the disk with one sync, and is told with one call."""
        while True:
            batches = [self._queue.get()]
            while not self._queue.empty():
                batches.append(self._queue.get())
            work = [batch for batch in batches if batch is not None]
            try:
                outcome: list[list[Stamp]] | Unavailable = self._chain.write([batch.texts for batch in work])
            except Unavailable as err:
                outcome = err
            except Exception as err:  # whatever it was, who waits must not wait for ever
                outcome = Unavailable(f"the ledger cannot be written: {err}")
            with contextlib.suppress(RuntimeError):  # the loop closed meanwhile
                self._loop.call_soon_threadsafe(self._settle, work, outcome)
            if None in batches:
                return

    def _settle(self, work: Sequence[_Batch], outcome: Sequence[Sequence[Stamp]] | Unavailable) -> None:
        self._waiting -= len(work)
        if isinstance(outcome, Unavailable):
            self.refused += len(work)
            for batch in work:
                if batch.written is None:
                    log.error("rows that nobody waited for could not be written to the ledger", error=str(outcome))
                elif not batch.written.done():
                    batch.written.set_exception(outcome)
            return
        for batch, stamps in zip(work, outcome, strict=True):
            # who was cancelled or waited too long is not there any more; the rows are written all the same
            if batch.written is not None and not batch.written.done():
                batch.written.set_result(list(map(_row, batch.entries, stamps)))

    @property
    def last_anchor(self) -> Anchor | None:
        """The newest anchor of this process; None before the first, and where nothing signs."""
        return self._anchors.last if self._anchors else None

    async def run(self) -> None:
        """Keep the head in the state database at most a second behind, and make an anchor every hour, for ever."""
        while True:
            await self._clock.sleep(HEAD_SECONDS)
            try:
                await self.save_head()
            except Exception as err:  # the next second tries again; the rows themselves are safe
                log.warning("the ledger's head could not be saved", error=str(err))
            if self._clock.monotonic() >= self._anchor_due:
                await self._anchor()

    async def _anchor(self) -> None:
        """Sign how far the chain has come."""
        if self._anchors is None or not self.head.seq:
            return
        try:
            await asyncio.to_thread(self._anchors.add, self.head, self._clock.micros())
            await self._heads.save(self._anchors.head)
        except Exception as err:  # the rows themselves are safe; the next minute tries again, and health tells
            self._anchor_due = self._clock.monotonic() + RETRY_SECONDS
            self.anchors_failing = str(err)
            log.warning("the ledger's anchor could not be made", error=str(err))
        else:
            self._anchor_due = self._clock.monotonic() + ANCHOR_SECONDS
            self.anchors_failing = ""

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
        try:
            await self.save_head()
            last = self.last_anchor
            if last is None or (last.chain, last.seq) != (self.head.chain, self.head.seq):
                await self._anchor()
        finally:
            self._chain.close()

    async def verify(self) -> Verified:
        """Check every chain in the folder against the heads and the anchors."""
        await self.save_head()
        heads, anchors = await self._heads.load(), self._anchors
        if anchors is None:
            return await asyncio.to_thread(verify, self.folder, heads)
        return await asyncio.to_thread(verify, self.folder, heads, anchors=anchors.folder, keys=anchors.signer.keys)

    async def page(
        self,
        *,
        limit: int,
        place: Place | None = None,
        wanted: Callable[[Row], bool] = lambda row: True,
        since: int = 0,
        scan: int = 20_000,
        copied: Mapping[str, int] = MappingProxyType({}),
        found: Sequence[Found] = (),
    ) -> LedgerPage:
        """Rows of all chains, latest first; at most `limit` wanted ones out of the next `scan`.

        place: `next` of the page before. since: it ends there, microseconds since 1970. copied, found: what a copy has
        of each chain, and what it found: one row more than `limit` where there are more.
        """
        begin = place if place is not None else await asyncio.to_thread(start_of, self.folder)
        return await asyncio.to_thread(
            page_of,
            self.folder,
            limit=limit,
            place=begin,
            wanted=wanted,
            since=since,
            scan=scan,
            copied=copied,
            found=found,
        )

    async def ends(self) -> dict[str, int]:
        """By chain, the number up to which its rows are durable: ours, those that ended, those of other processes."""
        writer = self.chain.rpartition("-")[0]
        chains = await asyncio.to_thread(chains_in, self.folder)
        foreign = [chain for chain in chains if chain.rpartition("-")[0] != writer]
        heads = await self._heads.load() if foreign else {}
        known = {chain: heads[chain].seq for chain in foreign if chain in heads}
        ended = dict.fromkeys((chain for chain in chains if chain.rpartition("-")[0] == writer), END)
        return {**known, **ended, self.chain: self.head.seq}

    async def rows(
        self, after: Mapping[str, int], *, chains: Sequence[str] | None = None, batch: int = 500
    ) -> AsyncIterator[tuple[str, list[Row]]]:
        """Chain by chain the rows after these numbers, oldest first.

        chains: only these; None: all in the folder.
        """
        for chain in await asyncio.to_thread(chains_in, self.folder) if chains is None else chains:
            reader = Reader(self.folder / chain, after.get(chain, 0))
            while found := await asyncio.to_thread(reader.read, batch):
                yield chain, [row for row, _ in found]


def _row(entry: Entry, stamp: Stamp) -> Row:
    return Row(**msgspec.structs.asdict(entry), seq=stamp.seq, at=stamp.at, skew_us=stamp.skew_us)
