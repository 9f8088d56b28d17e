"""The turns that the platform makes by itself, over a real index."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from anwang.app.upkeep import TURN_SECONDS, Upkeep
from anwang.governance import Rule, Rules, Watch
from anwang.kernel.errors import NotFound, Unavailable
from anwang.kernel.ids import PlayId, uuid7
from anwang.kernel.times import Span
from anwang.media import Play, Plays, PlayStep, RecordingKeeper
from anwang.media.index import DAY_US, Gap
from anwang.media.model import GapCause
from anwang.media.plays import message_of
from anwang.media.signals import Signals
from anwang.runtime.settings import Media, Retention, Settings
from tests.archive import Archive, fill
from tests.recordings import POINT, START_US


def upkeep_of(archive: Archive, settings: Settings, plays: Plays, watch: Watch | None = None) -> Upkeep:
    month = timedelta(days=30)
    keeper = RecordingKeeper(
        index=archive.index,
        objects=archive.objects,
        clock=archive.clock,
        rules=Rules({3: Rule(minimum=month, maximum=month)}),
        class_of=lambda point: 3,
        plans=archive.plans,
    )
    return Upkeep.of(
        settings,
        clock=archive.clock,
        plays=plays,
        index=archive.index,
        signals=Signals(archive.media, archive.clock, wake=lambda point: None),
        keeper=keeper,
        watch=watch,
    )


async def plant(archive: Archive, plays: Plays, *days: int) -> None:
    """A play and a gap of an hour so many days ago."""
    now = archive.clock.micros()
    for number in days:
        at = now - number * DAY_US
        await plays.put(Play(id=PlayId(uuid7(at // 1000)), point=POINT, kind="live", started_us=at))
        gap = Gap(point=POINT, start_us=at - 3_600_000_000, end_us=at, cause=GapCause.STREAM_LOST)
        await archive.index.add_gaps([gap])


async def left(archive: Archive, plays: Plays) -> tuple[list[int], list[int]]:
    """How many days old the plays and the gaps are that are left."""
    now = archive.clock.micros()
    found = await plays.of(POINT, limit=100)
    gaps = (await archive.index.gaps([POINT], Span(now - 1000 * DAY_US, now)))[POINT]
    days = sorted(round((now - (gap.end_us or now)) / DAY_US) for gap in gaps)
    return sorted(round((now - one.started_us) / DAY_US) for one in found), days


async def test_a_turn_forgets_what_is_old_and_finishes_deletions(archive: Archive, source: Path) -> None:
    settings = Settings(media=Media(trace_days=7), retention=Retention(gap_days=20, class_1_days=60))
    plays = Plays(archive.media, kept_days=settings.media.trace_days)
    segments = await fill(archive, source)
    await archive.index.remove([segments[0].id], at_us=archive.clock.micros(), cause=None)  # a crash before the object
    await plant(archive, plays, 1, 6, 8, 30, 59, 61, 200)
    upkeep = upkeep_of(archive, settings, plays)
    await upkeep.turn()
    # causes live as long as the recordings of class I beside them, although twenty days are set
    assert await left(archive, plays) == ([1, 6], [1, 6, 8, 30, 59])
    assert upkeep.forgotten == {"plays": 5, "gaps": 2, "marks": 0}
    assert not (archive.folder / segments[0].key).exists()
    assert (upkeep.left_objects, upkeep.failing) == (0, {})


async def test_a_turn_is_bounded_and_a_fault_stops_nothing_else(archive: Archive, source: Path) -> None:
    segments = await fill(archive, source)
    plays = Plays(archive.media)
    await plant(archive, plays, 400, 401, 402)
    assert await plays.forget(archive.clock.micros(), limit=2) == 2
    assert await archive.index.forget_gaps(archive.clock.micros(), limit=2) == 2
    assert await left(archive, plays) == ([400], [402])
    archive.objects.broken = {segments[0].key}
    await archive.index.remove([segments[0].id], at_us=archive.clock.micros(), cause=None)
    upkeep = upkeep_of(archive, Settings(), plays)
    await upkeep.turn()
    assert upkeep.left_objects == 1
    assert upkeep.forgotten == {"plays": 1, "gaps": 1, "marks": 0}

    async def fails(*, most: int = 0) -> int:
        raise Unavailable("the database is away")

    upkeep._keeper.sweep = fails  # type: ignore[method-assign]
    await plant(archive, plays, 400)
    await upkeep.turn()
    assert upkeep.failing == {"sweep": "the database is away"}
    assert upkeep.forgotten == {"plays": 2, "gaps": 2, "marks": 0}


async def test_it_turns_at_start_and_then_every_hour(archive: Archive) -> None:
    plays = Plays(archive.media)
    upkeep = upkeep_of(archive, Settings(), plays)
    await plant(archive, plays, 400)
    running = asyncio.create_task(upkeep.run())
    try:
        async with asyncio.timeout(30):
            while upkeep.forgotten["gaps"] < 1:
                await asyncio.sleep(0.01)
            await plant(archive, plays, 400)
            while upkeep.forgotten["gaps"] < 2:
                await archive.clock.advance(TURN_SECONDS)
                await asyncio.sleep(0.01)
    finally:
        running.cancel()


async def test_a_store_that_is_away_ends_the_sweep_and_not_after_every_object(archive: Archive, source: Path) -> None:
    segments = await fill(archive, source)
    keys = [one.key for one in segments]
    await archive.index.remove([one.id for one in segments], at_us=archive.clock.micros(), cause=None)
    archive.objects.broken = set(keys)
    keeper = upkeep_of(archive, Settings(), Plays(archive.media))._keeper
    assert await keeper.sweep() == len(keys)
    archive.objects.broken = set()
    assert await keeper.sweep(most=1) == 0
    assert await archive.index.trash() == []


def attempt(number: int, kind: str, *, outcome: str = "failed", is_over: bool = True) -> Play:
    at = START_US + number * 30_000_000
    return Play(
        id=PlayId(uuid7(at // 1000)),
        point=POINT,
        kind=kind,
        started_us=at,
        finished_us=at + 5_000_000 if is_over else None,
        outcome=outcome,
        verdict=f"try {number}",
        steps=(PlayStep(at_us=at, step="asked"),),
    )


async def test_an_outage_of_a_recorded_camera_is_one_row_and_leaves_room_for_others(archive: Archive) -> None:
    """A dead camera's 2,880 attempts a day once filled the bound, and no live play kept its steps any more."""
    plays = Plays(archive.media, per_day=5)
    for number in range(40):
        one = attempt(number, "record")
        assert await plays.put(msgspec.structs.replace(one, finished_us=None))  # under way
        assert await plays.put(one)
    [row] = await plays.of(POINT)
    assert (row.id[:8], row.attempts, row.verdict) == (attempt(0, "record").id[:8], 40, "try 39")
    assert row.finished_us == attempt(39, "record").finished_us and row.started_us == START_US
    assert await plays.put(attempt(40, "record", outcome="playing", is_over=False))
    assert await plays.put(attempt(41, "record"))
    assert [one.attempts for one in await plays.of(POINT)] == [1, 1, 40], "after it worked, another outage"

    live = [attempt(50 + number, "live") for number in range(6)]
    assert [await plays.put(one) for one in live] == [True] * 5 + [False]
    assert await plays.put(attempt(60, "snapshot")), "each kind has a bound of its own"
    with pytest.raises(NotFound, match="was not kept: 5 of its kind"):
        await plays.get(live[-1].id)


async def test_what_is_heard_after_the_end_is_no_further_attempt(archive: Archive) -> None:
    """The answer to our BYE comes when the play is over and written down."""
    plays, heard = Plays(archive.media), message_of(START_US, b"SIP/2.0 200 OK\r\n", outgoing=False)
    late = []
    for number in range(3):
        one = attempt(number, "record")
        await plays.put(one)
        late.append(msgspec.structs.replace(one, messages=(heard,) * (number + 1)))
        await plays.put(late[-1], is_late=True)
    [row] = await plays.of(POINT)
    assert (row.attempts, len(row.messages)) == (3, 3)
    for one in late[:2]:  # the next attempt stands there already
        await plays.put(one, is_late=True)
    [row] = await plays.of(POINT)
    assert (row.attempts, len(row.messages), row.verdict) == (3, 3, "try 2")


class Blind(Watch):
    """Goes through a ledger whose copy does not answer, until it does."""

    def __init__(self) -> None:
        """See Watch."""
        self.turns = 0

    async def turn(self) -> int:
        """See Watch."""
        self.turns += 1
        if self.turns == 1:
            raise Unavailable("the series store does not answer")
        return 0


async def test_g22_the_ledger_is_gone_through_and_a_store_that_is_away_stops_nothing_else(
    archive: Archive, source: Path
) -> None:
    plays = Plays(archive.media, kept_days=7)
    await plant(archive, plays, 8)
    watch = Blind()
    upkeep = upkeep_of(archive, Settings(media=Media(trace_days=7)), plays, watch)
    await upkeep.turn()
    assert upkeep.failing == {"anomalies": "the series store does not answer"}
    assert upkeep.forgotten["plays"] == 1, "what stands beside it went on"
    await upkeep.turn()
    assert (watch.turns, upkeep.failing, upkeep.failures["anomalies"]) == (2, {}, 1)
