"""The recorder's list of segments that the index does not have yet, over a real index, real objects and recovery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from anwang.access import Stream
from anwang.kernel.errors import Unavailable
from anwang.kernel.ids import PointId
from anwang.kernel.times import Span
from anwang.media.control import Progress, Sealed
from anwang.media.footage import Footage
from anwang.media.index import SegmentIndex
from anwang.media.model import GapCause, Segment, pack_key_frames
from anwang.media.plans import Mode, Plan
from anwang.media.recorder import Recorder
from anwang.media.reindex import Reindex
from anwang.media.timeline import Timeline
from anwang.registry import Evidence, EvidenceKind
from anwang.registry.columns import PointColumns, Row
from anwang.registry.live import Live
from anwang.registry.model import Lifecycle, PointKind
from anwang.wire.fmp4 import table_size
from tests.archive import Archive
from tests.recordings import POINT, START_US, cut, plain, segment_of

SECOND = 1_000_000
WHOLE = Span(START_US, START_US + 60 * SECOND)


class Sulking(SegmentIndex):
    """An index that takes nothing while it is told so."""

    is_away = False

    async def add(self, segments: Sequence[Segment]) -> None:
        if self.is_away:
            raise Unavailable("the database is away")
        await super().add(segments)


class Recorded:
    """A recorder, what reads beside it, and the streams that are open."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.index = Sulking(archive.media)
        self.feeds: set[str] = set()
        self.recorder = Recorder(
            index=self.index,
            plans=archive.plans,
            clock=archive.clock,
            segment_seconds=60.0,
            points_of=self._none,
            may_write=lambda: True,
            on_recording=lambda point, on: None,
        )
        streams: Any = SimpleNamespace(feeds=lambda: [SimpleNamespace(id=id) for id in self.feeds])
        self.recorder.attach(streams)
        self.footage = Footage(index=self.index, objects=archive.objects, growing=self.recorder.growing)
        self.timeline = Timeline(
            index=self.index, plans=archive.plans, clock=archive.clock, growing=self.recorder.growing
        )

    async def _none(self, name: str) -> Sequence[PointId]:
        return []

    def progress(self, one: Segment, *, feed: str, path: Path) -> None:
        self.feeds.add(feed)
        self.recorder.progress(Progress(stream=feed, path=str(path), **said(one)))

    def sealed(self, one: Segment, *, feed: str) -> None:
        self.recorder.sealed(Sealed(stream=feed, key=one.key, sha256=bytes.fromhex(one.sha256), **said(one)))

    async def listed(self) -> list[tuple[Segment, bool]]:
        return [(one, grows) for one, grows in await self.footage.segments(POINT, WHOLE, "main")]

    async def recover(self) -> None:
        """As the platform does."""
        reindex = Reindex(index=self.index, objects=self.archive.objects)
        abandoned = self.recorder.abandoned()
        await reindex.recover()
        self.recorder.settled(await reindex.settle(abandoned))


def said(one: Segment) -> dict[str, Any]:
    return {
        "point": one.point,
        "name": one.stream,
        "segment": one.id,
        "start_us": one.start_us,
        "end_us": one.end_us,
        "size_bytes": one.size_bytes,
        "init_bytes": one.init_bytes,
        "codec": one.codec,
        "width": one.width,
        "height": one.height,
        "key_frames": pack_key_frames(one.key_frames),
        "continues": one.continues,
    }


@pytest.fixture
def recorded(archive: Archive) -> Recorded:
    return Recorded(archive)


async def test_a_segment_is_never_missing_between_its_writing_and_the_index(
    recorded: Recorded, archive: Archive, source: Path
) -> None:
    one, whole = segment_of(cut(source, every_gops=4)[0][1], start_us=START_US)
    spool = archive.objects.open_segment(one.key)
    spool.write(whole)
    recorded.progress(one, feed="f1", path=spool.path)
    [(seen, grows)] = await recorded.listed()
    assert (seen.id, grows) == (one.id, True)
    assert await recorded.footage.read(seen, 0, one.size_bytes) == whole
    assert (await recorded.timeline.of([POINT], WHOLE)).points[0].growing
    spool.seal()
    recorded.sealed(one, feed="f1")
    recorded.index.is_away = True
    with pytest.raises(Unavailable):
        await recorded.recorder.flush()
    # the index is away: what was sealed can still be found, read, and is complete
    [(seen, grows)] = await recorded.listed()
    assert (seen.id, grows, seen.key) == (one.id, False, one.key)
    assert await recorded.footage.read(seen, 0, one.size_bytes) == whole
    axis = (await recorded.timeline.of([POINT], WHOLE)).points[0]
    assert (axis.spans, axis.growing) == ([Span(one.start_us, one.end_us)], False)
    recorded.index.is_away = False
    await recorded.recorder.flush()
    assert recorded.recorder.growing(POINT) == []
    [(seen, grows)] = await recorded.listed()
    assert (seen, grows) == (one, False)


async def test_an_impossible_segment_keeps_no_others_from_the_index(recorded: Recorded) -> None:
    good = plain(START_US, START_US + 4 * SECOND)
    bad = plain(START_US + 4 * SECOND, START_US + 4 * SECOND)
    for one in (bad, good):
        recorded.sealed(one, feed="f1")
    await recorded.recorder.flush()
    assert await recorded.index.known([good.id, bad.id]) == {good.id}
    assert recorded.recorder.dropped == 1
    assert recorded.recorder.growing(POINT) == []


async def test_what_a_dead_child_left_open_is_recovered_and_no_longer_listed(
    recorded: Recorded, archive: Archive, source: Path
) -> None:
    one, whole = segment_of(cut(source, every_gops=4)[0][1], start_us=START_US)
    spool = archive.objects.open_segment(one.key)
    spool.write(whole[: -table_size(whole) - 10])
    recorded.progress(one, feed="f1", path=spool.path)
    assert recorded.recorder.abandoned() == []  # its stream goes on
    await recorded.recover()
    assert len(recorded.recorder.growing(POINT)) == 1
    recorded.feeds.clear()  # the child died, but its file is still locked: nothing is done before it is free
    await recorded.recover()
    assert len(recorded.recorder.growing(POINT)) == 1
    spool.leave()
    await recorded.recover()
    assert recorded.recorder.growing(POINT) == []
    [(seen, grows)] = await recorded.listed()
    assert (seen.id, grows) == (one.id, False)
    assert seen.size_bytes < one.size_bytes  # the last picture was torn


async def test_what_a_child_sealed_in_its_last_moment_is_found_under_its_key(
    recorded: Recorded, archive: Archive, source: Path
) -> None:
    one, whole = segment_of(cut(source, every_gops=4)[0][1], start_us=START_US)
    spool = archive.objects.open_segment(one.key)
    spool.write(whole)
    recorded.progress(one, feed="f1", path=spool.path)
    spool.seal()  # and then the child died, before it could say so
    recorded.feeds.clear()
    await recorded.recover()
    assert recorded.recorder.growing(POINT) == []
    assert await recorded.index.get(one.id) == replace(one, sha256=""), "nobody read all of it again"


async def test_a_segment_left_behind_by_a_stream_that_goes_on_is_recovered(
    recorded: Recorded, archive: Archive, source: Path
) -> None:
    pieces = cut(source, every_gops=4)
    first, whole = segment_of(pieces[0][1], start_us=START_US)
    second, _ = segment_of(pieces[1][1], start_us=START_US + 8 * SECOND)
    spool = archive.objects.open_segment(first.key)
    spool.write(whole)
    recorded.progress(first, feed="f1", path=spool.path)
    spool.leave()  # sealing failed
    recorded.progress(second, feed="f1", path=archive.folder / "elsewhere")
    await recorded.recover()
    assert [one.segment.id for one in recorded.recorder.growing(POINT)] == [second.id]
    assert await recorded.index.get(first.id) == first


async def test_a_file_with_nothing_in_it_tells_where_to_look_for_what_was_sealed(
    recorded: Recorded, archive: Archive, source: Path
) -> None:
    """All died between sealing one segment and indexing it; of the next there is only a head."""
    pieces = cut(source, every_gops=4)
    first, whole = segment_of(pieces[0][1], start_us=START_US)
    second, following = segment_of(pieces[1][1], start_us=START_US + 8 * SECOND)
    await archive.objects.put(first.key, whole)
    spool = archive.objects.open_segment(second.key)
    spool.write(following[: second.init_bytes])
    spool.leave()
    done = await Reindex(index=recorded.index, objects=archive.objects).recover()
    assert (done.dropped, done.indexed) == (1, 1)
    assert await recorded.index.get(first.id) == replace(first, sha256=""), "nobody read all of it again"


# --- following the plans ----------------------------------------------------------------------------------------------


class Line:
    """Streams of a device that the test controls: it delivers, or refuses to."""

    def __init__(self) -> None:
        self.refusal: Exception | None = None
        self.open_now: list[Any] = []
        self.orders: list[bool] = []
        self.armed: list[float] = []
        self.asked = 0

    def feeds(self) -> list[Any]:
        return self.open_now

    async def open(self, point: PointId, stream: Stream, *, why: str) -> Any:
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal
        over = asyncio.Event()
        child = SimpleNamespace(alive=True)
        feed = SimpleNamespace(id=f"f{self.asked}", over=over, cause=None, detail="", child=child)
        self.open_now.append(feed)
        return SimpleNamespace(
            feed=feed,
            lost=over.wait,
            record=lambda on, segment_seconds=60.0: self.orders.append(on),
            arm=self.armed.append,
            close=lambda: self.open_now.remove(feed),
        )

    def lose(self, cause: GapCause) -> None:
        for feed in self.open_now:
            feed.cause = cause
            feed.over.set()


class Followed:
    """A recorder with a plan for one point, which follows it."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.line = Line()
        self.may_write = True
        self.offline = False
        self.evidence: list[tuple[PointId, bool]] = []
        self.recorder = self.make()
        self.task: asyncio.Task[None] | None = None

    def make(self) -> Recorder:
        async def none(name: str) -> Sequence[PointId]:
            return []

        recorder = Recorder(
            index=self.archive.index,
            plans=self.archive.plans,
            clock=self.archive.clock,
            segment_seconds=60.0,
            points_of=none,
            may_write=lambda: self.may_write,
            on_recording=lambda point, on: self.evidence.append((point, on)),
            is_offline=lambda point: self.offline,
        )
        streams: Any = self.line
        recorder.attach(streams)
        return recorder

    async def turn(self) -> None:
        await self.recorder.turn()
        await self.rest()

    async def rest(self) -> None:
        """Let the recording tasks and the database's threads do what is due."""
        for _ in range(20):
            await asyncio.sleep(0.005)

    async def causes(self) -> list[tuple[GapCause, float, float | None]]:
        """The written gaps: cause, seconds since the start until begin and end."""
        base = START_US + 7_200_000_000
        found = (await self.archive.index.gaps([POINT], Span(START_US, base + 100_000 * SECOND)))[POINT]
        return [
            (g.cause, (g.start_us - base) / SECOND, None if g.end_us is None else (g.end_us - base) / SECOND)
            for g in found
        ]


@pytest.fixture
async def followed(archive: Archive) -> AsyncIterator[Followed]:
    await archive.plans.add(Plan(id="", version=0, point=POINT, point_class=None, mode=Mode.CONTINUOUS))
    one = Followed(archive)
    yield one
    await one.recorder._stop()


async def test_the_disk_guard_is_the_cause_of_its_gap(followed: Followed, archive: Archive) -> None:
    await followed.turn()
    assert followed.recorder.is_recording(POINT) and followed.line.orders == [True]
    await archive.clock.advance(60)
    followed.may_write = False
    await followed.turn()
    assert not followed.recorder.is_recording(POINT) and followed.line.orders == [True, False]
    await archive.clock.advance(60)
    await followed.turn()
    assert await followed.causes() == [(GapCause.DISK_GUARD, 60, None)]
    followed.may_write = True
    await followed.turn()
    assert followed.recorder.is_recording(POINT)
    assert await followed.causes() == [(GapCause.DISK_GUARD, 60, 120)]
    said = await archive.timeline.missing(POINT, Span(START_US + 7260 * SECOND, START_US + 7320 * SECOND))
    assert [one.cause for one in said] == [GapCause.DISK_GUARD]


async def test_a_device_that_is_offline_is_the_cause_of_its_gap(followed: Followed, archive: Archive) -> None:
    followed.line.refusal = Unavailable("it does not answer")
    await followed.turn()
    followed.offline = True  # the keep-alives are missed only later
    await archive.clock.advance(1)
    await followed.rest()
    followed.line.refusal = None
    await archive.clock.advance(2)
    await followed.rest()
    assert await followed.causes() == [(GapCause.OPEN_FAILED, 0, 1), (GapCause.DEVICE_OFFLINE, 1, 3)]


async def test_a_platform_that_stops_in_order_says_so(followed: Followed, archive: Archive) -> None:
    await followed.turn()
    await archive.clock.advance(100)
    await followed.recorder._stop()
    await archive.clock.advance(1000)
    followed.recorder = followed.make()
    followed.line.refusal = Unavailable("it does not answer yet")
    await followed.turn()
    followed.line.refusal = None
    await archive.clock.advance(1)
    await followed.rest()
    assert await followed.causes() == [(GapCause.PLATFORM_STOPPED, 100, 1100), (GapCause.OPEN_FAILED, 1100, 1101)]


async def test_after_a_crash_the_time_since_the_last_recording_is_explained(
    followed: Followed, archive: Archive
) -> None:
    base = START_US + 7200 * SECOND
    await archive.index.add([plain(base - 60 * SECOND, base - 2 * SECOND)])
    other = PointId("0198a0de-0000-7000-8000-000000000002")
    plan = await archive.plans.add(Plan(id="", version=0, point=other, point_class=None, mode=Mode.CONTINUOUS))
    await archive.index.open_gap(other, base - 600 * SECOND, GapCause.DEVICE_OFFLINE)
    followed.line.refusal = Unavailable("it does not answer yet")
    await followed.turn()
    first = await followed.causes()
    assert first[0][:2] == (GapCause.PLATFORM_STOPPED, -2)
    found = (await archive.index.gaps([other], Span(START_US, base + SECOND)))[other]
    assert [(g.cause, (g.end_us or base) - base) for g in found[:2]] == [
        (GapCause.DEVICE_OFFLINE, -2 * SECOND),  # the last sign of life of the whole recorder
        (GapCause.PLATFORM_STOPPED, 0),
    ]
    # once: what happens from now on has causes of its own
    await archive.plans.end(plan.id, plan.version)
    await archive.clock.advance(600)
    await followed.turn()
    assert [one[0] for one in await followed.causes()] == [GapCause.PLATFORM_STOPPED, GapCause.OPEN_FAILED]


async def test_recording_is_said_again_every_turn(followed: Followed, archive: Archive) -> None:
    columns = PointColumns()
    ix = columns.put(
        [
            Row(
                ix=0, id=POINT, longitude=None, latitude=None, kind=PointKind.CAMERA, point_class=1,
                lifecycle=Lifecycle.IN_USE, org_path="/", owns=None, division=None, department=None, zone="default",
                heading_deg=None, fov_deg=None,
            )
        ]
    )  # fmt: skip
    live = Live(columns)

    async def is_shown() -> bool:
        await followed.turn()
        now = archive.clock.micros()
        live.note([Evidence(point, EvidenceKind.RECORDING, now, on) for point, on in followed.evidence])
        followed.evidence.clear()
        return bool(live.recording(np.array(ix, np.int32), now)[0])

    assert await is_shown()
    for _ in range(30):  # five minutes, turn by turn
        await archive.clock.advance(10)
        assert await is_shown()
    followed.line.lose(GapCause.STREAM_LOST)
    followed.line.refusal = Unavailable("it does not answer")
    await followed.rest()
    assert not await is_shown()


async def test_a_database_that_is_full_ends_no_recording(followed: Followed, archive: Archive) -> None:
    await followed.turn()
    async with archive.media.begin() as tx:
        pages = int(await tx.scalar(text("PRAGMA page_count")) or 0)
        await tx.execute(text(f"PRAGMA max_page_count = {pages}"))
    started = START_US + 7200 * SECOND
    segments = [plain(started + n * SECOND, started + (n + 1) * SECOND) for n in range(0, 2000, 2)]
    for one in segments:
        followed.recorder.sealed(Sealed(stream="f1", key=one.key, **said(one)))
    indexing = asyncio.create_task(followed.recorder._index_sealed())
    try:
        for _ in range(3):
            await archive.clock.advance(40)
            await followed.rest()
        assert followed.recorder.waiting == 1000 and followed.recorder.failures["index"] >= 2
        assert "full" in followed.recorder.failing["index"]
        followed.line.lose(GapCause.STREAM_LOST)
        await followed.rest()
        await archive.clock.advance(60)
        await followed.rest()
        assert followed.recorder.is_recording(POINT), "it is recorded again, whatever the database says"
        assert len(followed.recorder.growing(POINT)) == 1000, "what waits can be played"
        async with archive.media.begin() as tx:
            await tx.execute(text("PRAGMA max_page_count = 1000000"))
        for _ in range(3):
            await archive.clock.advance(40)
            await followed.rest()
        assert followed.recorder.waiting == 0 and followed.recorder.failing == {}
        assert len(await archive.index.known([one.id for one in segments])) == 1000
    finally:
        indexing.cancel()


async def test_a_recording_whose_task_ended_begins_again(followed: Followed) -> None:
    await followed.turn()
    [kept] = followed.recorder._kept.values()
    assert kept.task is not None
    kept.task.cancel()
    await followed.rest()
    assert not followed.recorder.is_recording(POINT)
    await followed.turn()
    assert followed.recorder.is_recording(POINT)


# --- on event ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def on_event(archive: Archive) -> AsyncIterator[Followed]:
    """pre 10 s, post 30 s, at most 100 s."""
    plan = Plan(id="", version=0, point=POINT, point_class=None, mode=Mode.ON_EVENT, most_s=100)
    await archive.plans.add(plan)
    one = Followed(archive)
    await one.turn()
    yield one
    await one.recorder._stop()


async def test_an_event_begins_a_recording_that_ends_some_time_after_the_last_one(
    on_event: Followed, archive: Archive
) -> None:
    line, recorder = on_event.line, on_event.recorder
    assert (line.armed, line.orders, recorder.counts()) == ([10], [], (0, 0)), "the stream runs, nothing is missing"
    recorder.called(PointId("0198a0de-0000-7000-8000-000000000009"))  # another's
    await on_event.rest()
    assert line.orders == []
    recorder.called(POINT)
    await on_event.rest()
    assert (line.orders, recorder.counts()) == ([True], (1, 1))
    await archive.clock.advance(20)
    recorder.called(POINT)
    await archive.clock.advance(20)
    await on_event.rest()
    assert recorder.is_recording(POINT), "the second event prolonged it"
    await archive.clock.advance(11)
    await on_event.rest()
    assert (line.orders, recorder.counts(), line.asked) == ([True, False], (0, 0), 1)
    recorder.called(POINT)
    await on_event.rest()
    assert line.orders == [True, False, True] and recorder.calls == 2
    assert await on_event.causes() == []


async def test_an_event_that_never_ends_is_recorded_so_long_and_again_after_a_rest(
    on_event: Followed, archive: Archive
) -> None:
    recorder = on_event.recorder
    for second in range(140):
        recorder.called(POINT)
        await archive.clock.advance(1)
        if second % 10 == 9:
            await on_event.turn()
    assert on_event.line.orders == [True, False] and (recorder.calls, recorder.rested) == (1, 40)
    await archive.clock.advance(31)
    await on_event.turn()
    recorder.called(POINT)
    await on_event.rest()
    assert on_event.line.orders == [True, False, True]


async def test_a_stream_that_fails_is_missing_only_while_an_event_asks_for_it(
    on_event: Followed, archive: Archive
) -> None:
    on_event.line.refusal = Unavailable("it does not answer")
    on_event.line.lose(GapCause.STREAM_LOST)
    await on_event.rest()
    assert await on_event.causes() == [], "no event, no gap"
    await archive.clock.advance(5)
    on_event.recorder.called(POINT)
    await on_event.rest()
    for _ in range(8):
        await archive.clock.advance(5)
        await on_event.rest()
    [(cause, begun, ended)] = await on_event.causes()
    assert cause is GapCause.OPEN_FAILED and begun == 5 and ended is not None and 35 <= ended <= 40
    base = START_US + 7200 * SECOND
    told = await archive.timeline.missing(POINT, Span(base, base + 45 * SECOND))
    assert {one.cause for one in told} == {GapCause.NO_EVENT, GapCause.OPEN_FAILED}


async def test_without_seconds_before_the_stream_is_opened_only_by_the_event(archive: Archive) -> None:
    plan = Plan(id="", version=0, point=POINT, point_class=None, mode=Mode.ON_EVENT, pre_s=0)
    plan = await archive.plans.add(plan)
    one = Followed(archive)
    await one.turn()
    assert one.line.asked == 0
    one.recorder.called(POINT)
    await one.rest()
    assert one.line.orders == [True]
    await archive.clock.advance(31)
    await one.rest()
    assert (one.line.orders, one.line.open_now) == ([True, False], [])
    # the plan becomes continuous: the same task goes on
    await archive.plans.change(Plan(id=plan.id, version=1, point=POINT, point_class=None, mode=Mode.CONTINUOUS))
    await one.turn()
    assert one.line.orders == [True, False, True]
    await one.recorder._stop()


async def test_a_full_disk_and_a_stop_are_told_for_points_on_event_too(on_event: Followed, archive: Archive) -> None:
    on_event.may_write = False
    await on_event.turn()
    await archive.clock.advance(60)
    on_event.may_write = True
    await on_event.turn()
    assert await on_event.causes() == [(GapCause.DISK_GUARD, 0, 60)]
    await on_event.recorder._stop()
    await archive.clock.advance(40)
    on_event.recorder = on_event.make()
    await on_event.turn()
    assert (await on_event.causes())[1:] == [(GapCause.PLATFORM_STOPPED, 60, 100)]
