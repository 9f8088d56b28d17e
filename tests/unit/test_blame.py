"""Whose fault a dead media process may be."""

from __future__ import annotations

import os

from anwang.media.atwork import AtWork, Handling
from anwang.media.blame import DEATHS, FORGIVEN_SECONDS, MOST_BLAMED, Blame


def test_twice_within_an_hour_and_a_stream_stands_apart() -> None:
    blame = Blame()
    blame.put(["a", "b"], 0.0)
    assert not blame.is_apart("a", 1.0)
    blame.put(["a"], 10.0)
    assert blame.is_apart("a", 11.0) and not blame.is_apart("b", 11.0)
    assert blame.is_apart("a", FORGIVEN_SECONDS)
    assert not blame.is_apart("a", FORGIVEN_SECONDS + 1)
    blame.put(["a"], FORGIVEN_SECONDS + 2)
    assert blame.is_apart("a", FORGIVEN_SECONDS + 3), "the second death is not forgiven yet"
    assert not blame.is_apart("a", 3 * FORGIVEN_SECONDS)


def test_the_longest_unblamed_are_forgotten_first() -> None:
    blame = Blame()
    for _ in range(DEATHS):
        blame.put(["old"], 0.0)
    for _ in range(DEATHS):
        blame.put((f"s{n}" for n in range(MOST_BLAMED)), 1.0)
    assert not blame.is_apart("old", 2.0)
    assert blame.is_apart("s0", 2.0) and blame.is_apart(f"s{MOST_BLAMED - 1}", 2.0)


def test_the_page_tells_the_other_side_who_is_at_work() -> None:
    descriptor = AtWork.create()
    child, main = AtWork(descriptor), AtWork(descriptor)
    os.close(descriptor)
    feed = "0198a0de-0000-7000-8000-000000000001"
    assert main.stream() == ""
    with Handling(child, feed):
        assert main.stream() == feed
    assert main.stream() == ""
    with Handling(child, "x" * 100):
        assert main.stream() == "x" * 64
    child.close()
    main.close()
