"""The recorder (录像): leases what the plans want, indexes what children seal, gives every gap its cause."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from anwang.access import Stream
from anwang.kernel.errors import AnwangError, Exhausted, Unavailable
from anwang.kernel.ids import PointId, SegmentId
from anwang.kernel.times import Span
from anwang.media.control import Progress, Sealed
from anwang.media.index import Gap, SegmentIndex
from anwang.media.live import Lease, Streams
from anwang.media.model import GapCause, Growing, Segment, unpack_key_frames
from anwang.media.plans import Mode, Plan, Plans, planned
from anwang.runtime import logs
from anwang.runtime.clock import Clock

log = logs.get(__name__)

LOOK_SECONDS = 5.0
BATCH_SECONDS = 0.5
MOST_WAITING = 100_000
BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0)
HORIZON_US = 3_600_000_000
"""A point whose recording ended so long before the last sign of life had stopped for a reason of its own."""
STOP_SECONDS = 10.0
FLOOR_SAID = "too little room is left on the disk"
Key = tuple[PointId, Stream]


def segment_of(message: Sealed | Progress, key: str) -> Segment:
    """The index's value of what a child says."""
    return Segment(
        id=SegmentId(message.segment),
        point=PointId(message.point),
        stream=message.name,
        key=key,
        start_us=message.start_us,
        end_us=message.end_us,
        size_bytes=message.size_bytes,
        init_bytes=message.init_bytes,
        codec=message.codec,
        width=message.width,
        height=message.height,
        key_frames=unpack_key_frames(message.key_frames),
        continues=message.continues,
        sha256=message.sha256.hex() if isinstance(message, Sealed) else "",
    )


@dataclass(slots=True)
class _Listed:
    """A segment that the index does not have yet. feed: the stream that writes it, "" once it is sealed."""

    growing: Growing
    feed: str


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the plans want of a stream now. always: recorded, whatever happens; else on event."""

    always: bool
    pre_s: int = 0


@dataclass(frozen=True, slots=True)
class _OnEvent:
    """How long a point is recorded after an event, and at most."""

    post_s: float
    most_s: float


@dataclass(slots=True)
class _Call:
    """A point was called by events: the first, and the last so far. Seconds of the monotonic clock."""

    since_s: float
    last_s: float


@dataclass(slots=True)
class _Kept:
    """One stream that is recorded, or will be on event.

    task: the loop that keeps its lease. is_missing: it could not be recorded although it was due, so a gap lasts.
    """

    point: PointId
    stream: Stream
    wish: _Wish
    task: asyncio.Task[None] | None = None
    recording: bool = False
    is_missing: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)


TASKS = ("plans", "stop", "index", "record", "gaps")
"""What goes on whatever happens; counted when it fails."""


class Recorder:
    """Makes the recordings follow the plans."""

    def __init__(
        self,
        *,
        index: SegmentIndex,
        plans: Plans,
        clock: Clock,
        segment_seconds: float,
        points_of: Callable[[str], Awaitable[Sequence[PointId]]],
        may_write: Callable[[], bool],
        on_recording: Callable[[PointId, bool], None],
        is_offline: Callable[[PointId], bool] = lambda point: False,
    ) -> None:
        """points_of: the points of a class. may_write: False while the disk guard forbids it.

        on_recording: told when a point's recording begins and ends, and once a turn that it goes on, for its evidence.
        is_offline: whether the evidence says that the point can't be reached.
        """
        self._index = index
        self._plans = plans
        self._clock = clock
        self._segment_seconds = segment_seconds
        self._points_of = points_of
        self._may_write = may_write
        self._on_recording = on_recording
        self._is_offline = is_offline
        self._streams: Streams | None = None
        self._kept: dict[Key, _Kept] = {}
        self._wanted_points: set[PointId] = set()
        self._guarded: set[PointId] = set()
        self._is_stop_explained = False
        self._on_event: dict[PointId, _OnEvent] = {}
        self._calls: dict[PointId, _Call] = {}
        self.calls = 0
        """Recordings that an event began, since the start."""
        self.rested = 0
        """Events that prolonged nothing, because their recording had lasted as long as its plan allows."""
        self._listed: dict[PointId, dict[SegmentId, _Listed]] = {}
        self._sealed: list[Segment] = []
        self._changed = asyncio.Event()
        self.dropped = 0
        """Sealed segments that could not be indexed in time; `anwang media reindex` finds them again."""
        self.recorded_bytes = 0
        self.failures: Counter[str] = Counter(dict.fromkeys(TASKS, 0))
        """What went wrong since the start and was tried again, by task."""
        self.failing: dict[str, str] = {}
        """What went wrong the last time that it was tried, by task."""

    def attach(self, streams: Streams) -> None:
        """The streams to lease from; they need the recorder and the recorder needs them."""
        self._streams = streams

    # --- what children say (live.Seals) ---------------------------------------------------------------------------

    def sealed(self, message: Sealed) -> None:
        """A segment is an object now; it stays listed until the index has it."""
        self.recorded_bytes += message.size_bytes
        one = segment_of(message, message.key)
        if len(self._sealed) >= MOST_WAITING:
            self.dropped += 1
            self._unlist(one)
            return
        self._sealed.append(one)
        self._list(one, Growing(segment=one, path="", is_open=False), feed="")

    def progress(self, message: Progress) -> None:
        """The open segment has grown."""
        one = segment_of(message, "")
        self._list(one, Growing(segment=one, path=message.path), feed=message.stream)

    def growing(self, point: PointId) -> Sequence[Growing]:
        """Segments of a point that the index does not have yet, for playback up to now."""
        return [one.growing for one in self._listed.get(point, {}).values()]

    def _list(self, one: Segment, growing: Growing, *, feed: str) -> None:
        self._listed.setdefault(one.point, {})[one.id] = _Listed(growing, feed)

    def _unlist(self, one: Segment) -> None:
        listed = self._listed.get(one.point, {})
        listed.pop(one.id, None)
        if not listed:
            self._listed.pop(one.point, None)

    def is_recording(self, point: PointId) -> bool:
        """Whether a stream of the point is being recorded now."""
        return any(kept.recording for kept in self._kept.values() if kept.point == point)

    def counts(self) -> tuple[int, int]:
        """How many streams are recorded now, and how many should be."""
        due = [kept for kept in self._kept.values() if self._is_due(kept)]
        return sum(1 for kept in due if kept.recording), len(due)

    def called(self, point: PointId) -> None:
        """Something happened at a point: where its plan says so, it is recorded now, or for longer. Never waits."""
        how = self._on_event.get(point)
        if how is None:
            return
        now = self._clock.monotonic()
        call = self._calls.get(point)
        if call is None or now - call.last_s >= how.post_s:
            self.calls += 1
            self._calls[point] = _Call(now, now)
        else:
            # what never stops is recorded for so long, and again when it has been quiet
            self.rested += now - call.since_s >= how.most_s
            call.last_s = now
        for kept in self._kept.values():
            if kept.point == point:
                kept.changed.set()

    def _called_for(self, point: PointId) -> float:
        """Seconds for which a point will still be recorded on event; 0 where it is not."""
        call, how = self._calls.get(point), self._on_event.get(point)
        if call is None or how is None:
            return 0.0
        return max(0.0, min(call.last_s + how.post_s, call.since_s + how.most_s) - self._clock.monotonic())

    def _is_due(self, kept: _Kept) -> bool:
        """Whether it should be recorded now."""
        return kept.wish.always or self._called_for(kept.point) > 0

    @property
    def waiting(self) -> int:
        """Sealed segments that the index does not have yet."""
        return len(self._sealed)

    def plans_changed(self) -> None:
        """Look at the plans now instead of at the next turn."""
        self._changed.set()

    # --- its life -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow the plans until cancelled; then every recording ends with its cause."""
        indexing = asyncio.create_task(self._index_sealed())
        try:
            while True:
                await self.turn()
                self._changed.clear()
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    continue
        finally:
            await self._stop()
            indexing.cancel()

    async def turn(self) -> None:
        """Follow the plans as they are now. Whatever goes wrong is tried again in the next turn."""
        try:
            plans = await self._current_plans()
            wanted = self._wanted(plans)
            await self._explain_the_stop(plans, wanted)
            self._wanted_points = {point for point, _ in wanted}
            await (self._follow(wanted) if self._may_write() else self._guard())
        except Exception as err:
            self._failed("plans", err)
        else:
            self.failing.pop("plans", None)
        for kept in self._kept.values():
            if kept.recording:
                self._on_recording(kept.point, True)

    def _failed(self, task: str, err: Exception) -> None:
        self.failures[task] += 1
        self.failing[task] = str(err)[:300]
        if isinstance(err, AnwangError):
            log.error("recording has trouble, trying again", task=task, reason=err.reason)
        else:
            log.error("recording failed by our own fault, trying again", task=task, exc_info=err)

    async def _stop(self) -> None:
        """Every recording ends, and says why; what is sealed is indexed if that can be done."""
        await self._let_go(list(self._kept))
        now = self._clock.micros()
        try:
            await self._index.open_gaps(dict.fromkeys(self._wanted_points, now), GapCause.PLATFORM_STOPPED)
            await self.flush()
        except Exception as err:
            self._failed("stop", err)

    async def flush(self) -> None:
        """Index what is sealed. Raises Unavailable when the database does not take it; nothing is lost then."""
        batch, self._sealed = self._sealed, []
        if not batch:
            return
        try:
            await self._add(batch)
        except BaseException:
            self._sealed[:0] = batch
            raise
        for one in batch:
            self._unlist(one)

    async def _add(self, batch: Sequence[Segment]) -> None:
        """Index all of them; one that the index refuses must not keep the others waiting for ever."""
        try:
            await self._index.add(batch)
        except (Unavailable, Exhausted):
            raise
        except Exception:
            for one in batch:
                await self._add_alone(one)

    async def _add_alone(self, one: Segment) -> None:
        try:
            await self._index.add([one])
        except (Unavailable, Exhausted):
            raise
        except Exception as err:
            self.dropped += 1
            log.error("a segment cannot be indexed", object=one.key, reason=str(err)[:300])

    def abandoned(self) -> Sequence[Growing]:
        """Listed segments that nobody writes any more and nobody has sealed: recovery seals and indexes them.

        Their stream has ended, or has gone on to another segment although this one could not be sealed.
        """
        feeds = {feed.id for feed in self._streams.feeds()} if self._streams is not None else set()
        found: list[Growing] = []
        for listed in self._listed.values():
            last = {one.feed: one for one in listed.values()}
            found += [
                one.growing
                for one in listed.values()
                if one.feed and (one.feed not in feeds or last[one.feed] is not one)
            ]
        return found

    def settled(self, segments: Sequence[Segment]) -> None:
        """Recovery has dealt with these, they need not be listed any more."""
        for one in segments:
            listed = self._listed.get(one.point, {}).get(one.id)
            if listed is not None and listed.feed:  # sealed meanwhile: `flush` takes it off
                self._unlist(one)

    async def _index_sealed(self) -> None:
        pauses = _pauses()
        while True:
            await self._clock.sleep(BATCH_SECONDS)
            try:
                await self.flush()
            except Exception as err:
                self._failed("index", err)
                await self._clock.sleep(next(pauses))
            else:
                self.failing.pop("index", None)
                pauses = _pauses()

    # --- what should be recorded ----------------------------------------------------------------------------------

    async def _current_plans(self) -> list[tuple[Plan, Sequence[PointId]]]:
        """The plans that hold now with their points, those that are given up last first."""
        plans: list[Plan] = []
        after = ""
        while page := await self._plans.current(limit=200, after=after):
            plans += page
            after = page[-1].id
        own = {plan.point for plan in plans if plan.point is not None}
        found: list[tuple[Plan, Sequence[PointId]]] = []
        for plan in sorted(plans, key=lambda p: p.priority):
            if plan.point is not None:
                found.append((plan, [PointId(plan.point)]))
            else:
                found.append((plan, [p for p in await self._points_of(plan.point_class or "") if p not in own]))
        return found

    def _wanted(self, plans: Sequence[tuple[Plan, Sequence[PointId]]]) -> dict[Key, _Wish]:
        """Every stream that a plan wants now, or when something happens."""
        now = self._clock.micros()
        wanted: dict[Key, _Wish] = {}
        on_event: dict[PointId, _OnEvent] = {}
        for plan, points in plans:
            always = bool(planned([plan], Span(now, now + 1)))
            if not always and plan.mode is not Mode.ON_EVENT:
                continue
            for point in points:
                before = wanted.get((point, Stream(plan.stream)), _Wish(False))
                pre_s = 0 if always else plan.pre_s
                wanted[point, Stream(plan.stream)] = _Wish(before.always or always, max(before.pre_s, pre_s))
                if not always:
                    on_event.setdefault(point, _OnEvent(plan.post_s, plan.most_s))
        self._on_event = on_event
        at_s = self._clock.monotonic()
        self._calls = {
            point: call
            for point, call in self._calls.items()
            if point in on_event and at_s - call.last_s < on_event[point].post_s
        }
        return wanted

    async def _follow(self, wanted: Mapping[Key, _Wish]) -> None:
        if self._guarded:
            await self._index.close_gaps(sorted(self._guarded - _always(wanted)), self._clock.micros())
            self._guarded.clear()
        for kept in self._kept.values():
            if kept.task is not None and kept.task.done():
                log.error("the recording of a stream had ended by itself and begins again", point=kept.point)
                kept.task = asyncio.create_task(self._keep(kept))
        for key, wish in wanted.items():
            if (known := self._kept.get(key)) is not None and known.wish != wish:
                known.wish = wish
                known.changed.set()
        for point, stream in wanted.keys() - self._kept.keys():
            kept = self._kept[point, stream] = _Kept(point=point, stream=stream, wish=wanted[point, stream])
            kept.task = asyncio.create_task(self._keep(kept))
        ended = self._kept.keys() - wanted.keys()
        if ended:
            await self._let_go(ended)
            # what no plan wants is not missing, whatever the cause was
            left = {point for point, _ in ended} - {point for point, _ in wanted}
            await self._index.close_gaps(sorted(left), self._clock.micros())

    async def _guard(self) -> None:
        """The disk is nearly full: nothing is recorded, and that is why."""
        await self._let_go(list(self._kept))
        new = self._wanted_points - self._guarded
        await self._index.open_gaps(dict.fromkeys(new, self._clock.micros()), GapCause.DISK_GUARD, FLOOR_SAID)
        self._guarded = set(self._wanted_points)

    async def _let_go(self, keys: Collection[Key]) -> None:
        """End these recordings, within a bounded time."""
        tasks = [kept.task for kept in (self._kept.pop(key) for key in list(keys)) if kept.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)

    async def _explain_the_stop(
        self, plans: Sequence[tuple[Plan, Sequence[PointId]]], wanted: Mapping[Key, _Wish]
    ) -> None:
        """Once after the start: from the end of their recordings until now the platform did not run.

        When it stopped is the last thing that the index knows of, for what was missing already before.
        """
        if self._is_stop_explained:
            return
        points = sorted({point for _, some in plans for point in some})
        now = self._clock.micros()
        ends = await self._index.last_end(points)
        lasting = await self._index.lasting_gaps(points)
        stopped_us = max([await self._index.newest_gap_us(), *ends.values()])
        since = {point: _stopped_at(ends.get(point), lasting.get(point), stopped_us) for point in points}
        if stopped_us:
            await self._index.open_gaps(
                {point: at for point, at in since.items() if at < now}, GapCause.PLATFORM_STOPPED
            )
            recorded = _always(wanted)
            await self._index.close_gaps([point for point in points if point not in recorded], now)
        self._is_stop_explained = True

    # --- one stream -----------------------------------------------------------------------------------------------

    async def _keep(self, kept: _Kept) -> None:
        """Keep one stream recorded until cancelled, whatever goes wrong."""
        while True:
            try:
                await self._keep_on(kept)
            except Exception as err:
                self._failed("record", err)
                await self._clock.sleep(BACKOFF[-1])

    async def _keep_on(self, kept: _Kept) -> None:
        """Lease where it is needed, record where it is due; where the stream is lost, try again with growing pauses."""
        streams = self._streams
        if streams is None:
            raise Unavailable("there is nothing to lease from")
        pauses = _pauses()
        while True:
            while not self._is_needed(kept):
                await self._close_call(kept)
                await self._wait(kept)
            try:
                lease = await streams.open(kept.point, kept.stream, why="record")
            except AnwangError as err:
                if self._is_due(kept):
                    await self._gap(kept, GapCause.OPEN_FAILED, err.reason)
                else:
                    await self._close_call(kept)
                await self._pause(kept, next(pauses))
                continue
            self.failing.pop("record", None)
            pauses = _pauses()
            try:
                await self._use(kept, lease)
            finally:
                lease.close()
            if not lease.feed.over.is_set():
                continue  # nothing needs it any more
            cause = lease.feed.cause or GapCause.UNKNOWN
            if self._is_due(kept):
                await self._gap(kept, cause, lease.feed.detail)
            # a dead child comes back at once: the stream must resume within 3 s
            await self._pause(kept, 0.2 if cause is GapCause.CHILD_DIED else next(pauses))

    def _is_needed(self, kept: _Kept) -> bool:
        """Whether its stream must run: it is recorded, or its last seconds are kept for the event that may come."""
        return self._is_due(kept) or kept.wish.pre_s > 0

    async def _pause(self, kept: _Kept, seconds: float) -> None:
        """Before the next attempt; cut short where an event begins or ends what is due, but not by each of a storm."""
        if not self._is_due(kept):
            await self._wait(kept, seconds)
            return
        left = seconds if kept.wish.always else min(seconds, self._called_for(kept.point))
        await self._clock.sleep(left)
        if not self._is_due(kept):
            await self._close_call(kept)

    async def _wait(self, kept: _Kept, most_s: float = 0.0) -> None:
        """Until something about it changes: the plan, an event, the end of its recording, its stream.

        most_s: no longer than this; 0: as long as it takes.
        """
        left = most_s or (0.0 if kept.wish.always else self._called_for(kept.point))
        due: list[asyncio.Task[object]] = [asyncio.create_task(kept.changed.wait())]
        if left:
            due.append(asyncio.create_task(self._clock.sleep(left)))
        try:
            await asyncio.wait(due, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in due:
                task.cancel()
        kept.changed.clear()

    async def _close_call(self, kept: _Kept) -> None:
        """A recording on event is over: what is missing from now on was not asked for."""
        if kept.is_missing:
            kept.is_missing = False
            await self._recorded_again(kept.point)

    async def _use(self, kept: _Kept, lease: Lease) -> None:
        """Record while it is due, until the stream is lost or nothing needs it."""
        lost = asyncio.create_task(lease.lost())
        armed_s = 0
        lost.add_done_callback(lambda _: kept.changed.set())
        try:
            while not lease.feed.over.is_set() and self._is_needed(kept):
                if armed_s != kept.wish.pre_s:
                    armed_s = kept.wish.pre_s
                    lease.arm(armed_s)
                if self._is_due(kept):
                    await self._record(kept, lease)
                else:
                    await self._close_call(kept)
                    await self._wait(kept)
        finally:
            lost.cancel()

    async def _record(self, kept: _Kept, lease: Lease) -> None:
        lease.record(True, segment_seconds=self._segment_seconds)
        kept.recording = True
        self._on_recording(kept.point, True)
        try:
            kept.is_missing = False
            await self._recorded_again(kept.point)
            while not lease.feed.over.is_set() and self._is_due(kept):
                await self._wait(kept)
        finally:
            if not lease.feed.over.is_set() and lease.feed.child.alive:
                lease.record(False)
            kept.recording = False
            self._on_recording(kept.point, False)

    async def _recorded_again(self, point: PointId) -> None:
        try:
            await self._index.close_gap(point, self._clock.micros())
        except Exception as err:  # the recording itself goes on, and what is recorded is not missing
            self._failed("gaps", err)

    async def _gap(self, kept: _Kept, cause: GapCause, detail: str) -> None:
        point = kept.point
        kept.is_missing = True
        if cause in (GapCause.OPEN_FAILED, GapCause.STREAM_LOST) and self._is_offline(point):
            cause = GapCause.DEVICE_OFFLINE
        try:
            await self._index.open_gap(point, self._clock.micros(), cause, detail)
        except Exception as err:
            self._failed("gaps", err)
        else:
            self.failing.pop("gaps", None)


def _always(wanted: Mapping[Key, _Wish]) -> set[PointId]:
    """The points that are recorded whatever happens."""
    return {point for (point, _), wish in wanted.items() if wish.always}


def _pauses() -> Iterator[float]:
    return itertools.chain(BACKOFF, itertools.repeat(BACKOFF[-1]))


def _stopped_at(end_us: int | None, lasting: Gap | None, stopped_us: int) -> int:
    """Since when a point is missing because the platform did not run. stopped_us: the last sign of life of any."""
    if lasting is not None:
        return max(lasting.start_us, stopped_us)
    if end_us is not None and stopped_us - end_us <= HORIZON_US:
        return end_us
    return stopped_us
