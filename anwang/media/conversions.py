"""Conversions to H.264 as the main process sees them: shared, counted, bounded; each is a process of its own.

A running stream is converted once, however many look at it, from its first such viewer to its last; where some see it
with its masks drawn on and others may see it bare, once for either. Recordings are converted piece by piece as a player
asks for them. Both come out of one budget, `media.transcodes`: a live viewer who finds it spent is refused at once, a
piece waits a moment for its turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path

import msgspec

from anwang.kernel.errors import Exhausted, Unavailable, Unsupported
from anwang.kernel.ids import PointId
from anwang.media.child.hub import QUEUED
from anwang.media.framing import Tap
from anwang.media.live import Lease
from anwang.media.masks.paint import NOTHING, WHOLE, Cut, Paint
from anwang.media.worker import Worker
from anwang.runtime import logs

log = logs.get(__name__)

START_SECONDS = 15.0
PIECE_SECONDS = 60.0
WAIT_SECONDS = 15.0
MOST_WAITING = 64
IDLE_WORKERS = 2


class As(StrEnum):
    """What a stream may be converted to."""

    H264 = "h264"


def is_h265(codec: str) -> bool:
    """Whether an RFC 6381 list names H.265."""
    return codec.startswith(("hvc1", "hev1"))


class Stats(msgspec.Struct):
    """See convert.Stats, of which this is the reading side; error: why it ended."""

    frames: int = 0
    skipped: int = 0
    dropped: int = 0
    viewers: int = 0
    cpu_s: float = 0.0
    error: str = ""


class Conversion:
    """One running stream that is being converted."""

    def __init__(self, lease: Lease, socket: Path, paint: Paint | None) -> None:
        """paint: what is drawn; None: nothing ever."""
        self.is_drawn = paint is not None
        self._paint = paint or NOTHING
        self._orders: asyncio.StreamWriter | None = None
        self.stream = lease.feed.id
        self.point = lease.feed.point
        self.tap = Tap(str(socket), lease.feed.id)
        self.viewers = 0
        self.stats = Stats()
        self.listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None

    async def run(self, source: str, most_queued: int) -> None:
        """The life of its process."""
        command = [sys.executable, "-m", "anwang.media.convert", "--source", source, "--stream", self.stream]
        command += ["--socket", self.tap.path, "--viewer-queue", str(most_queued)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        self._orders = process.stdin
        self.repaint(self._paint)
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._hear(process)
            while await self._hear(process):
                pass
        except TimeoutError:
            self.stats.error = "the conversion did not start in time"
        finally:
            self._orders = None
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            _remove(self.tap.path)
            if not self.listening.done():
                self.listening.set_exception(Unavailable(self.stats.error or "the conversion did not start"))
                self.listening.exception()  # nobody may wait for it any more

    def repaint(self, paint: Paint) -> None:
        """Draw this from the next picture on."""
        self._paint = paint
        if self._orders is not None:
            self._orders.write(msgspec.json.encode(paint) + b"\n")

    async def _hear(self, process: asyncio.subprocess.Process) -> bool:
        line = b"" if process.stdout is None else await process.stdout.readline()
        if not line:
            return False
        said = msgspec.json.decode(line, type=Stats)
        if said.error:
            self.stats.error = said.error
            log.warning("a conversion ended", stream=self.stream, point=self.point, reason=said.error)
        else:
            self.stats = said
        if not self.listening.done():
            self.listening.set_result(None)
        return True


class Conversions:
    """All of them."""

    def __init__(self, *, run: Path, most: int, most_queued: int = QUEUED) -> None:
        """run: a folder for sockets. most: conversions at once. most_queued: fragments for a slow viewer."""
        self.most = most
        self.refused = 0
        self.pieces = 0
        self._cpu_before = 0.0
        self._run = run
        self._most_queued = most_queued
        self._numbers = itertools.count()
        self._running: dict[tuple[str, bool], Conversion] = {}
        self._converting = 0
        self._waiting = 0
        self._freed = asyncio.Condition()
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()

    @property
    def live(self) -> list[Conversion]:
        """Streams that are being converted now."""
        return list(self._running.values())

    @property
    def used(self) -> int:
        """How much of the budget is taken: running streams, and pieces that are just being made."""
        return len(self._running) + self._converting

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU that running streams have cost, those that ended included."""
        return self._cpu_before + sum(one.stats.cpu_s for one in self._running.values())

    @asynccontextmanager
    async def converted(self, lease: Lease, paint: Paint | None = None) -> AsyncIterator[Conversion]:
        """A leased stream as H.264, for one viewer. paint: what is drawn on it, None: nothing. Raises Exhausted,
        Unavailable.
        """
        one = self._running.get((lease.feed.id, paint is not None))
        if one is None:
            one = self._begin(lease, paint)
        one.viewers += 1
        try:
            await asyncio.shield(one.listening)
            yield one
        finally:
            one.viewers -= 1
            if not one.viewers and one.task is not None:
                self._leave(one)  # whoever comes now begins another
                one.task.cancel()

    def repaint(self, point: PointId, paint: Paint) -> None:
        """Draw this on a point's streams that are drawn on, from the next picture on."""
        for one in self._running.values():
            if one.is_drawn and one.point == point:
                one.repaint(paint)

    def _leave(self, one: Conversion) -> None:
        key = (one.stream, one.is_drawn)
        if self._running.get(key) is one:
            del self._running[key]

    def _begin(self, lease: Lease, paint: Paint | None) -> Conversion:
        if self.used >= self.most:
            self.refused += 1
            raise Exhausted(
                f"all {self.most} conversions to H.264 are in use",
                "close another converted or masked picture, or raise media.transcodes",
            )
        one = Conversion(lease, self._run / f"convert-{next(self._numbers)}.sock", paint)
        self._running[one.stream, one.is_drawn] = one
        one.task = asyncio.create_task(one.run(lease.feed.child.viewers, self._most_queued))
        one.task.add_done_callback(lambda task: self._ended(one))
        return one

    def _ended(self, one: Conversion) -> None:
        self._leave(one)
        self._cpu_before += one.stats.cpu_s
        if one.task is not None and not one.task.cancelled() and (error := one.task.exception()) is not None:
            log.error("a conversion failed", stream=one.stream, error=repr(error))
        self._tell_freed()

    def _tell_freed(self) -> None:
        async def tell() -> None:
            async with self._freed:
                self._freed.notify_all()

        self._telling = asyncio.ensure_future(tell())

    # --- recordings

    async def piece(self, init: bytes, data: bytes, paint: Paint = NOTHING, cut: Cut = WHOLE) -> bytes:
        """Fragments of a recording as H.264, or the init part that fits them where data is empty.

        paint: what is drawn on each picture. cut: what of it is wanted, which may be nothing.
        Raises Exhausted, Unavailable, Unsupported.
        """
        await self._take_turn()
        self._converting += 1
        try:
            answer = await self._ask(msgspec.msgpack.encode([init, data, paint, cut]))
        finally:
            self._converting -= 1
            self._tell_freed()
        error, made = answer
        if error:
            raise Unsupported(f"this cannot be converted: {error}")
        self.pieces += 1
        return made

    async def _take_turn(self) -> None:
        if self._waiting >= MOST_WAITING:
            self.refused += 1
            raise Exhausted(f"{self._waiting} pieces already wait to be converted", "try again in a moment")
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._freed:
                await self._freed.wait_for(lambda: self.used < self.most)
        except TimeoutError:
            self.refused += 1
            raise Exhausted(
                f"all {self.most} conversions to H.264 are in use", "try again in a moment, or raise media.transcodes"
            ) from None
        finally:
            self._waiting -= 1

    async def _ask(self, body: bytes) -> tuple[str, bytes]:
        worker = await Worker.waiting(self._idle, "anwang.media.convert")
        self._busy.add(worker)
        done = False
        try:
            async with asyncio.timeout(PIECE_SECONDS):
                answer = msgspec.msgpack.decode(await worker.ask(body), type=tuple[str, bytes])
            done = True
        except TimeoutError:
            raise Unavailable(f"the conversion took longer than {PIECE_SECONDS:g} s and was ended") from None
        except (ConnectionError, asyncio.IncompleteReadError, msgspec.MsgspecError):
            raise Unavailable("the conversion broke on this video") from None
        finally:
            self._busy.discard(worker)
            if done and len(self._idle) < IDLE_WORKERS:
                self._idle.append(worker)
            else:
                await asyncio.shield(worker.kill())
        return answer

    async def close(self) -> None:
        """End everything."""
        tasks = [one.task for one in self._running.values() if one.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for worker in [*self._idle, *self._busy]:
            await worker.kill()
        self._idle.clear()


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)
