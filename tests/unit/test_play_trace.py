"""What a play's trace keeps, and how much of it."""

from __future__ import annotations

from anwang.access import Step
from anwang.kernel.ids import PlayId, PointId
from anwang.media.trace import FIRST_MESSAGES, LAST_MESSAGES, PlayTrace
from anwang.runtime.clock import FakeClock


def trace(late: list[PlayTrace]) -> PlayTrace:
    made = PlayTrace(id=PlayId("p"), point=PointId("x"), stream="main", why="live", clock=FakeClock(), late=late.append)
    made.step(Step.ASKED)
    return made


def test_a_play_steered_for_hours_keeps_its_beginning_and_its_end() -> None:
    play = trace([])
    for number in range(1000):
        play.message(b"INFO %d" % number, outgoing=True)
    kept = [int(one.text.split()[1]) for one in play.messages]
    assert kept == [*range(FIRST_MESSAGES), *range(1000 - LAST_MESSAGES, 1000)]
    assert [one.skipped for one in play.messages if one.skipped] == [1000 - FIRST_MESSAGES - LAST_MESSAGES]
    assert play.messages[FIRST_MESSAGES].skipped, "it is told where they are missing"


def test_long_messages_are_bounded_by_their_size() -> None:
    play = trace([])
    for _ in range(100):
        play.message(b"x" * 60_000, outgoing=False)
    assert sum(len(one.text) for one in play.messages) <= 80_000
    assert len(play.messages) + sum(one.skipped for one in play.messages) == 100
    assert all(one.cut == 60_000 - len(one.text) for one in play.messages)


def test_who_keeps_it_is_told_of_what_comes_after_the_end_only() -> None:
    told: list[PlayTrace] = []
    play = trace(told)
    play.message(b"INVITE", outgoing=True)
    assert told == []
    play.ended_us = 1
    play.message(b"BYE", outgoing=True)
    assert told == [play] and [one.text for one in play.messages] == ["INVITE", "BYE"]
