"""The bus inside one process: a ring of recent messages in memory and a window of more on disk.

A subscriber is a cursor, not a queue: it reads from the ring, from the window when it is further behind, and is told
`Lagged` when it is behind even that. So memory is bounded by the ring however many subscribers sleep.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from anwang.kernel.errors import AnwangError, Conflict, Exhausted, Internal, Unavailable
from anwang.stores.bus.log import Log
from anwang.stores.bus.port import Event, Handler, Lagged, Message, check_payload
from anwang.stores.bus.subjects import check_filter, check_subject, matches

RING_MESSAGES = 8192
RING_BYTES = 32 << 20
CHUNK = 1024  # messages read from the window at once
MOST_REQUESTS = 256  # running at once, per subject


class LocalBus:
    """The bus of one machine. Make it with `open`; everything runs on one event loop."""

    def __init__(
        self,
        log: Log,
        *,
        volatile: Sequence[str] = (),
        ring: int = RING_MESSAGES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._log = log
        self._volatile = [check_filter(text) for text in volatile]
        # every message of this process's life with a number above _ring_after, without holes, from index _ring_start
        self._ring: list[Message] = []
        self._ring_start = 0
        self._ring_size = ring
        self._ring_bytes = 0
        self._ring_after = log.last
        self._born = log.last
        self._now = now
        self._news = asyncio.Event()
        self._handlers: dict[str, _Service] = {}
        self._is_closed = False
        self.lagged = 0  # Lagged markers given out

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        keep: int = 100_000,
        volatile: Sequence[str] = (),
        ring: int = RING_MESSAGES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> LocalBus:
        """Open the bus whose window lies in `folder`.

        keep: messages that survive a restart. volatile: filters of subjects that never go to the disk (pointer
        positions and the like): live subscribers get them, a replay does not. ring: messages kept in memory.
        """
        log = await asyncio.to_thread(Log, folder, keep)
        return cls(log, volatile=volatile, ring=ring, now=now)

    async def publish(self, subject: str, payload: bytes) -> int:
        """See Bus. What is numbered survives kill -9; it is not synced to the disk one by one."""
        check_subject(subject)
        check_payload(payload)
        if self._is_closed:
            raise Unavailable("the bus is closed")
        message = Message(self._log.next(), subject, bytes(payload), self._now())
        if not any(matches(text, subject) for text in self._volatile):
            self._log.append(message)
        self._log.give(message.seq)
        self._ring.append(message)
        self._ring_bytes += len(payload)
        self._trim()
        self._wake()
        return message.seq

    def _trim(self) -> None:
        while len(self._ring) - self._ring_start > self._ring_size or self._ring_bytes > RING_BYTES:
            gone = self._ring[self._ring_start]
            self._ring_bytes -= len(gone.payload)
            self._ring_after = gone.seq
            self._ring_start += 1
        if self._ring_start >= max(64, self._ring_size // 2):
            del self._ring[: self._ring_start]
            self._ring_start = 0

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    @asynccontextmanager
    async def subscribe(self, subject_filter: str, *, after: int | None = None) -> AsyncIterator[AsyncIterator[Event]]:
        """See Bus."""
        check_filter(subject_filter)
        last = self._log.last  # settled here: the generator runs only when somebody listens
        ahead = 0 if after is None else max(0, after - last)
        async with aclosing(self._events(subject_filter, last if after is None else min(after, last), ahead)) as events:
            yield events

    async def _events(self, text: str, cursor: int, ahead: int) -> AsyncGenerator[Event, None]:
        if ahead:  # a cursor of another bus, or of this one before an older backup came back
            yield self._lag(ahead)
        while not self._is_closed:
            if cursor < self._ring_after:
                upto = self._ring_after
                async for event in self._behind(text, cursor, upto):
                    yield event
                cursor = upto
                continue
            news = self._news
            index = self._ring_start + cursor - self._ring_after
            batch = self._ring[index : index + CHUNK]
            if not batch:
                await news.wait()
            for message in batch:
                cursor = message.seq
                if matches(text, message.subject):
                    yield message

    async def _behind(self, text: str, cursor: int, upto: int) -> AsyncIterator[Event]:
        """From the window: what the ring has let go."""
        reader = self._log.read(cursor, upto)
        kept = 0
        while chunk := await asyncio.to_thread(lambda: list(islice(reader, CHUNK))):
            for event in chunk:
                if isinstance(event, Lagged):
                    kept += event.count
                    yield self._lag(event.count)
                    continue
                if event.seq > self._born:
                    kept += 1
                if matches(text, event.subject):
                    yield event
        # numbers of this process's life that the window does not have were volatile ones
        lost = upto - max(cursor, self._born) - kept
        if self._volatile and lost > 0:
            yield self._lag(lost)

    def _lag(self, count: int) -> Lagged:
        self.lagged += 1
        return Lagged(count)

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        """See Bus."""
        check_subject(subject)
        service = self._handlers.get(subject)
        if service is None:
            raise Unavailable(f"nobody serves {subject}")
        try:
            async with asyncio.timeout(timeout_s):
                return await service.answer(check_payload(payload))
        except TimeoutError:
            raise Unavailable(f"{subject} gave no answer within {timeout_s:g} s") from None

    async def serve(self, subject: str, handler: Handler) -> _Service:
        """See Bus. One handler per subject: in one process a second would be a mistake, and raises Conflict."""
        check_subject(subject)
        if subject in self._handlers:
            raise Conflict(f"{subject} is served already")
        service = _Service(handler, lambda: self._handlers.pop(subject, None))
        self._handlers[subject] = service
        return service

    async def close(self) -> None:
        """See Bus."""
        self._is_closed = True
        self._wake()
        for service in list(self._handlers.values()):
            await service.stop()
        await asyncio.to_thread(self._log.close)


class _Service:
    """One subject being served."""

    def __init__(self, handler: Handler, forget: Callable[[], object]) -> None:
        self._handler = handler
        self._forget = forget
        self._running = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def answer(self, payload: bytes) -> bytes:
        """Run the handler. Raises Exhausted when too many run already."""
        if self._running >= MOST_REQUESTS:
            raise Exhausted(f"{self._running} requests are being answered already")
        self._running += 1
        self._quiet.clear()
        try:
            return await self._handler(payload)
        except AnwangError:
            raise
        except Exception as err:  # a request ends here, as it would between machines
            raise Internal(f"{type(err).__name__}: {err}") from err
        finally:
            self._running -= 1
            if not self._running:
                self._quiet.set()

    async def stop(self) -> None:
        """See Service."""
        self._forget()
        await self._quiet.wait()
