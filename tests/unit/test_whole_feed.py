"""A recording inside a media child: nothing is lost for its one viewer, and a seek begins where it should."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.media.child import hub
from anwang.media.child.feed import Feed, _new_from
from anwang.media.child.hub import Viewer, WholeOutlet
from anwang.media.control import Done, Flow, FromChild, Lost
from anwang.runtime.clock import FakeClock
from anwang.wire.mpegps import Demuxed
from anwang.wire.rtp import Reception
from anwang.wire.units import Codec, Kind, Unit
from tests.flow.test_media_child import clip


def unit(pts: int, *, key: bool = False, jump: bool = False, data: bytes = b"x") -> Unit:
    return Unit(kind=Kind.VIDEO, codec=Codec.H264, data=data, pts_90k=pts, is_key=key, is_jump=jump)


@pytest.mark.parametrize(
    ("units", "start"),
    [
        ([], 0),
        ([unit(0), unit(3600)], 2),
        ([unit(0, key=True), unit(3600), unit(7200, key=True), unit(10800)], 2),
        # the clock jumped: what is before is old, key frame or not
        ([unit(0, key=True), unit(3600), unit(900_000, key=True), unit(903_600)], 2),
        ([unit(0, key=True), unit(900_000), unit(903_600, key=True)], 2),
        ([unit(0, key=True), unit(900_000), unit(903_600)], 3),
        ([unit(900_000), unit(3600, key=True, jump=True), unit(7200)], 1),
    ],
)
def test_where_the_new_place_begins(units: list[Unit], start: int) -> None:
    assert _new_from(units) == start


@given(st.lists(st.tuples(st.integers(0, 10**7), st.booleans(), st.booleans()), max_size=20))
def test_it_always_begins_with_a_key_frame(made: list[tuple[int, bool, bool]]) -> None:
    units = [unit(pts, key=key, jump=jump) for pts, key, jump in made]
    start = _new_from(units)
    assert start == len(units) or units[start].is_key


class Pipe:
    """A transport of a viewer, as full as the test says."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.waiting = 0
        self.closed = False

    def set_write_buffer_limits(self, high: int) -> None:
        """As asyncio's."""

    def writelines(self, parts: list[bytes]) -> None:
        self.parts += parts

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def close(self) -> None:
        self.closed = True


def viewer_of(outlet: WholeOutlet) -> tuple[Viewer, Pipe]:
    viewer, pipe = Viewer(lambda stream: outlet), Pipe()
    viewer.connection_made(pipe)  # type: ignore[arg-type]
    outlet.attach(viewer)
    return viewer, pipe


def test_what_came_before_the_viewer_is_kept_and_the_sender_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "BACKLOG_BYTES", 100)
    held: list[bool] = []
    outlet = WholeOutlet(hold=held.append, overrun=lambda: held.append(None))  # type: ignore[arg-type]
    outlet.begin(b"{}", b"init")
    for number in range(12):
        outlet.push(bytes([number]) * 10, is_key=number % 5 == 0)
    assert held == [True]
    viewer, pipe = viewer_of(outlet)
    assert held == [True, False]
    sent = b"".join(pipe.parts)
    assert all(bytes([number]) * 10 in sent for number in range(12)) and b"init" in sent
    assert not outlet.is_free
    viewer.pause_writing()
    assert held[-1] is True
    outlet.push(b"more", is_key=False)
    assert b"more" in b"".join(pipe.parts), "nothing is left out"
    viewer.resume_writing()
    assert held[-1] is False


def test_a_sender_that_does_not_wait_ends_in_an_overrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "MOST_KEPT_BYTES", 100)
    told: list[str] = []
    outlet = WholeOutlet(hold=lambda on: None, overrun=lambda: told.append("overrun"))
    for _ in range(4):
        outlet.push(bytes(20), is_key=False)
    assert told == []
    outlet.push(bytes(20), is_key=False)
    assert told == ["overrun"]


class Sender:
    """A receiver's place in a feed."""

    port = 0

    def __init__(self) -> None:
        self.holds: list[bool] = []

    def demuxed(self) -> Demuxed:
        return Demuxed()

    def seen(self) -> Reception:
        return Reception()

    def hold(self, on: bool) -> None:
        self.holds.append(on)

    def close(self) -> None:
        """Nothing."""


def whole_feed() -> tuple[Feed, list[FromChild], FakeClock]:
    told: list[FromChild] = []
    clock = FakeClock()

    def over(feed: Feed) -> None:
        feed.close()

    feed = Feed("s", tell=told.append, clock=clock, over=over, whole=True)
    feed.source = Sender()
    return feed, told, clock


def pictures(start: int, count: int = 10) -> list[Unit]:
    return [
        Unit(kind=Kind.VIDEO, codec=Codec.H264, data=data, pts_90k=start + n * 3600, is_key=n % 5 == 0)
        for n, data in enumerate(clip(count / 25, gop=5))
    ]


def outlet_of(feed: Feed) -> WholeOutlet:
    assert isinstance(feed.outlet, WholeOutlet)
    return feed.outlet


async def test_a_seek_begins_an_epoch_of_its_own() -> None:
    feed, told, _ = whole_feed()
    hooks = feed.hooks()
    hooks.units(pictures(0))
    _, pipe = viewer_of(outlet_of(feed))
    before = len(pipe.parts)
    feed.cut()
    between = len(pipe.parts)
    assert between > before, "the picture that was held back goes out"
    hooks.units(pictures(36_000, 3))
    assert len(pipe.parts) == between, "what comes while the device is asked goes nowhere"
    hooks.units(pictures(9_000_000))
    feed.begin(7)
    hooks.units(pictures(9_036_000, 5))
    rest = b"".join(pipe.parts[between:])
    assert b'"epoch": 7' in rest and rest.count(b"moof") == 14
    assert [type(one) for one in told].count(Lost) == 0


async def test_an_end_waits_for_the_viewer_and_for_silence() -> None:
    feed, told, clock = whole_feed()
    feed.hooks().units(pictures(0))
    feed.finish()
    await clock.advance(5)
    feed.settle()
    assert not any(isinstance(one, Done) for one in told), "the viewer has not come yet"
    _, pipe = viewer_of(outlet_of(feed))
    feed.settle()
    assert isinstance(told[-1], Done) and isinstance(told[-2], Flow)
    assert told[-2].media_90k == 10 * 3600, "the last picture, too"
    assert b"".join(pipe.parts).count(b"moof") == 10 and pipe.closed


async def test_a_connection_that_ends_before_the_viewer_came_loses_nothing() -> None:
    feed, told, _ = whole_feed()
    feed.hooks().units(pictures(0))
    feed.hooks().ended("the device closed the media connection")
    feed.settle()
    assert not any(isinstance(one, Lost) for one in told)
    _, pipe = viewer_of(outlet_of(feed))
    feed.settle()
    assert isinstance(told[-1], Lost) and b"".join(pipe.parts).count(b"moof") == 10
    feed.settle()
    assert sum(isinstance(one, Lost) for one in told) == 1


async def test_standing_still_is_no_loss() -> None:
    feed, _, clock = whole_feed()
    feed.hooks().units(pictures(0))
    feed.quiet(True)
    await clock.advance(100)
    assert feed.silent_seconds() == 0
    feed.quiet(False)
    await clock.advance(3)
    assert feed.silent_seconds() == pytest.approx(3)


async def test_a_slow_viewer_holds_the_sender() -> None:
    feed, _, clock = whole_feed()
    feed.hooks().units(pictures(0))
    viewer, _ = viewer_of(outlet_of(feed))
    viewer.pause_writing()
    sender: Any = feed.source
    assert sender.holds == [True]
    await clock.advance(60)
    assert feed.silent_seconds() == 0, "who is held says nothing"
    viewer.resume_writing()
    assert sender.holds == [True, False]


def heard(count: int) -> list[Unit]:
    """G.711 of 20 ms each."""
    return [
        Unit(kind=Kind.AUDIO, codec=Codec.G711A, data=b"\xd5" * 160, pts_90k=number * 1800) for number in range(count)
    ]


@pytest.mark.parametrize("muted", [False, True])
async def test_a_muted_feed_leaves_the_sound_out(muted: bool) -> None:
    feed, _, _ = whole_feed()
    if muted:
        feed.mute()
    feed.hooks().units([*heard(30), *pictures(54_000)])
    _, pipe = viewer_of(outlet_of(feed))
    assert (b"mp4a" in b"".join(pipe.parts)) is not muted
