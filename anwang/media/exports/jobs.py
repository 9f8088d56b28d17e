"""Exports by themselves: made one after another beside each other, failed cleanly after a crash, deleted in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from anwang.governance import EVERYTHING, Action, Actor, Deleted, Expirable, Short
from anwang.kernel.errors import AnwangError, Conflict, Unauthenticated
from anwang.kernel.ids import PointId
from anwang.kernel.times import Span, from_micros, to_micros
from anwang.media.exports import store
from anwang.media.exports.model import UNDER_WAY, Export, ExportAct, ExportId, ExportState, after
from anwang.media.exports.packing import Packed, Packer, Progress, in_thread
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.stores.objects import Objects
from anwang.stores.state import State as Database

log = logs.get(__name__)

BATCH = 500
_STOPPED = ("the platform was stopped while this export was made", "ask for it again")


class Governs(Protocol):
    """What is needed of governance.Governance."""

    def while_open(self, actor: Actor, on_end: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """A block that must end with the actor's session."""

    async def note_deed(self, actor: Actor | None, action: Action, objects: Sequence[str], detail: str) -> None:
        """Write what someone changes, before it takes effect. Raises Unavailable."""


@dataclass(slots=True, kw_only=True)
class Making:
    """The exports that wait and run. most: at once. kept: how long a package can be fetched.

    An export goes on only while the session that asked for it is there and has the rights that it had: so a sign-out or
    a right taken away ends it, as it ends a download.
    """

    state: Database
    clock: Clock
    objects: Objects
    governs: Governs
    packer: Packer
    most: int
    kept: timedelta
    failures: int = 0
    _queue: asyncio.Queue[tuple[Export, Actor]] = field(default_factory=asyncio.Queue)
    _tasks: dict[ExportId, asyncio.Task[None]] = field(default_factory=dict)
    _progress: dict[ExportId, Progress] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Those that wait for their turn."""
        return self._queue.qsize()

    def put(self, one: Export, actor: Actor) -> None:
        """It waits for its turn."""
        self._queue.put_nowait((one, actor))

    def shown(self, one: Export) -> Export:
        """With how far it is by now."""
        progress = self._progress.get(one.id)
        if progress is None or one.state is not ExportState.RUNNING:
            return one
        return replace(one, bytes_done=progress.bytes_done, seconds_done=progress.seconds_done)

    def stop(self, export_id: ExportId) -> None:
        """It is not wanted any more."""
        task = self._tasks.get(export_id)
        if task is not None:
            task.cancel()

    async def recover(self) -> int:
        """Fail what a process that ended had under way, and delete what it left; how many."""
        async with self.state.read() as tx:
            found = await store.in_states(tx, UNDER_WAY, limit=BATCH)
        for one in found:
            await self.objects.delete([one.key])
            await self._fail(one, *_STOPPED)
        return len(found)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.most):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            one, actor = await self._queue.get()
            task = self._tasks[one.id] = asyncio.create_task(self._make(one, actor))
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()
                del self._tasks[one.id]
                self._progress.pop(one.id, None)
            if not task.cancelled() and (error := task.exception()) is not None:
                self.failures += 1
                log.error("an export could not be made", export=one.id, error=repr(error))

    async def _make(self, one: Export, actor: Actor) -> None:
        try:
            await self._step(one.id, ExportAct.START)
        except Conflict:
            return  # cancelled while it waited
        progress = self._progress[one.id] = Progress()
        try:
            async with self._while_there(actor):
                packed = await self._packed(one, actor, progress)
            await self._finish(one, actor, packed)
        except AnwangError as err:
            self.failures += 1
            log.warning("an export failed", export=one.id, reason=err.reason)
            await self._fail(one, err.reason, err.hint)
        except Exception:
            self.failures += 1
            log.exception("an export failed", export=one.id)
            await self._fail(one, "this export could not be made", "the log says why")

    @asynccontextmanager
    async def _while_there(self, actor: Actor) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:
                async with self.governs.while_open(actor, lambda: limit.reschedule(loop.time())):
                    yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise Unauthenticated("your session ended, or its rights changed", "sign in again") from None

    async def _packed(self, one: Export, actor: Actor, progress: Progress) -> Packed:
        sink = await in_thread(self.objects.open_segment, one.key)
        try:
            packed = await self.packer.pack(one, actor, sink, progress)
            await in_thread(sink.seal)
        except BaseException:
            if sink.is_open:
                await asyncio.shield(in_thread(sink.abandon))
            else:
                await asyncio.shield(self.objects.delete([one.key]))
            raise
        return packed

    async def _finish(self, one: Export, actor: Actor, packed: Packed) -> None:
        told = f"export sealed: {packed.size} bytes, manifest SHA-256 {packed.sha256}"
        try:
            await self.governs.note_deed(actor, Action.EXPORT, (one.id, *one.points), told)
            await self._step(
                one.id,
                ExportAct.FINISH,
                bytes_done=packed.size,
                seconds_done=one.seconds,
                sha256=packed.sha256,
                expires_at=self.clock.now() + self.kept,
            )
        except BaseException:
            await asyncio.shield(self.objects.delete([one.key]))
            raise

    async def _fail(self, one: Export, reason: str, hint: str) -> None:
        progress = self._progress.get(one.id, Progress())
        with suppress(Conflict):  # cancelled in the same moment
            await self._step(
                one.id,
                ExportAct.FAIL,
                reason=reason,
                hint=hint,
                bytes_done=progress.bytes_done,
                seconds_done=progress.seconds_done,
            )

    async def _step(self, export_id: ExportId, act: ExportAct, **changes: object) -> None:
        async with self.state.begin() as tx:
            found = await store.get(tx, export_id, seen_by=EVERYTHING, user_id="", lock=True)
            if found is None:
                raise Conflict("this export is gone", "ask for it again")
            state = after(found.state, act)
            ended = None if state in UNDER_WAY else self.clock.now()
            await store.save(tx, replace(found, state=state, ended_at=ended, **changes))  # type: ignore[arg-type]  # fields of Export


class ExportKeeper:
    """governance.Keeper for packages: copies, so what holds recordings does not hold them."""

    def __init__(self, *, state: Database, objects: Objects) -> None:
        self.name = "exports"
        self._state = state
        self._objects = objects

    async def expired(self, now: datetime, limit: int, after: Expirable | None) -> Sequence[Expirable]:
        """See Keeper."""
        place = None if after is None else (from_micros(after.span.end), after.id)
        async with self._state.read() as tx:
            found = await store.expired(tx, now, after=place, limit=limit)
        return [
            Expirable(
                id=one.id,
                point=None,
                point_class=0,
                span=Span(to_micros(one.created_at), to_micros(one.expires_at)),
                bytes=one.bytes_done,
                expires_at=one.expires_at,
            )
            for one in found
            if one.expires_at is not None
        ]

    async def within(self, point: PointId, span: Span, limit: int, after: Expirable | None) -> Sequence[Expirable]:
        """See Keeper: a package is a copy, which goes with its own end, or when somebody discards it."""
        return []

    async def short(self, now: datetime, limit: int, after: PointId | None) -> tuple[Sequence[Short], PointId | None]:
        """See Keeper: no package must be kept."""
        return [], None

    async def delete(self, items: Sequence[Expirable]) -> Deleted:
        """See Keeper: first the object, then what says that there is one; a crash in between repeats it."""
        gone: list[Expirable] = []
        for item in items:
            async with self._state.begin() as tx:
                found = await store.get(tx, item.id, seen_by=EVERYTHING, user_id="", lock=True)
                if found is not None and found.state is ExportState.READY:
                    await self._objects.delete([found.key])
                    await store.save(tx, replace(found, state=after(found.state, ExportAct.EXPIRE)))
            gone.append(item)
        return Deleted(count=len(gone), bytes=sum(one.bytes for one in gone), ids=[one.id for one in gone])
