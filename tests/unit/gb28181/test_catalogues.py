"""Catalogue syncs: what counts as complete, and how many devices are asked at once."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from anwang.gateways.gb28181.catalogue import Catalogues, Rounds
from anwang.gateways.gb28181.sessions import UNMET, Peer, Session, Sessions
from anwang.kernel.errors import Unavailable
from anwang.registry import CatalogueItem
from anwang.runtime.clock import FakeClock
from anwang.wire.gb28181 import CatalogItem, CatalogResponse

NVR = "34020000001180000001"


def camera(number: int) -> str:
    return f"3402000000132{number:07d}"


def page(sn: int, numbers: range, total: int, device: str = NVR) -> CatalogResponse:
    items = tuple(CatalogItem(device_id=camera(n), name=str(n)) for n in numbers)
    return CatalogResponse(sn=sn, device_id=device, total=total, items=items)


class Bench:
    """Catalogues between a scripted device and a registry that only remembers."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.asked: list[tuple[str, int]] = []
        self.taken: list[tuple[str, list[str], bool]] = []
        self.items: list[CatalogueItem] = []
        self.answer: Callable[[str, int], object] = lambda device, sn: None
        self.refusal: Unavailable | None = None
        numbers = itertools.count(1)
        self.calm = asyncio.Event()
        self.calm.set()
        self.catalogues = Catalogues(
            clock=self.clock, ask=self._ask, take=self._take, next_sn=lambda: next(numbers), calm=self.calm
        )

    async def _ask(self, device: str, sn: int) -> None:
        self.asked.append((device, sn))
        self.answer(device, sn)
        if self.refusal is not None:
            raise self.refusal

    async def _take(self, device: str, items: list[CatalogueItem], complete: bool, asked_us: int) -> None:
        self.taken.append((device, [item.channel_id for item in items], complete))
        self.items = items


@asynccontextmanager
async def running() -> AsyncIterator[Bench]:
    bench = Bench()
    task = asyncio.create_task(bench.catalogues.run())
    await bench.clock.advance(0)
    try:
        yield bench
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_messages_that_count_only_themselves_are_never_complete() -> None:
    """Taken for complete after the first, two such syncs removed all other channels of the recorder."""
    async with running() as bench:
        bench.answer = lambda device, sn: bench.catalogues.received(device, page(sn, range(1), 1))
        bench.catalogues.want(NVR)
        await bench.clock.advance(1)
        assert bench.catalogues.received(NVR, page(1, range(1, 2), 1))
        await bench.clock.advance(1)
        assert bench.catalogues.received(NVR, page(1, range(2, 3), 1))
        await bench.clock.advance(30)
        assert bench.taken == [(NVR, [camera(0), camera(1), camera(2)], False)]
        assert (bench.catalogues.complete, bench.catalogues.partial) == (0, 1)


async def test_a_whole_answer_in_pages_is_complete_at_once() -> None:
    async with running() as bench:
        bench.catalogues.want(NVR)
        await bench.clock.advance(1)
        [(_, sn)] = bench.asked
        for first in range(0, 25, 10):
            assert bench.catalogues.received(NVR, page(sn, range(first, min(first + 10, 25)), 25))
        await bench.clock.advance(0)
        [(_, channels, is_complete)] = bench.taken
        assert (len(channels), is_complete) == (25, True)
        assert not bench.catalogues.received(NVR, page(sn, range(25), 25)), "it is over"


async def test_a_lost_page_is_partial() -> None:
    async with running() as bench:
        bench.answer = lambda device, sn: bench.catalogues.received(device, page(sn, range(10), 25))
        bench.catalogues.want(NVR)
        await bench.clock.advance(20)
        assert bench.taken == [(NVR, [camera(n) for n in range(10)], False)]


async def test_an_item_keeps_the_moment_when_it_came() -> None:
    """A notice that overtakes the end of a long answer is newer than what the answer said before it."""
    async with running() as bench:
        bench.answer = lambda device, sn: bench.catalogues.received(device, page(sn, range(1), 2))
        bench.catalogues.want(NVR)
        await bench.clock.advance(0)
        first = bench.clock.micros()
        await bench.clock.advance(4)
        bench.catalogues.received(NVR, page(1, range(1, 2), 2))
        await bench.clock.advance(0)
        assert [item.at_us - first for item in bench.items] == [0, 4_000_000]


async def test_thousands_of_cameras_are_not_held_up_by_the_doubt_about_each() -> None:
    """Each camera lists itself in one message, which is doubted for two seconds; nobody else waits for that."""
    async with running() as bench:
        bench.answer = lambda device, sn: bench.catalogues.received(device, page(sn, range(1), 1, device=device))
        for number in range(2000):
            bench.catalogues.want(camera(number))
        for _ in range(400):
            await asyncio.sleep(0)
        assert len(bench.asked) == 2000, "no time has passed"
        await bench.clock.advance(3)
        for _ in range(400):
            await asyncio.sleep(0)
        assert len(bench.taken) == 2000 and all(is_complete for _, _, is_complete in bench.taken)


async def test_devices_that_are_slow_to_answer_are_few_at_once() -> None:
    async with running() as bench:
        for number in range(500):
            bench.catalogues.want(camera(number))
        await bench.clock.advance(1)
        assert 0 < len(bench.asked) < 500
        await bench.clock.advance(61)
        assert len(bench.asked) > 64, "those who say nothing give way in the end"
        assert bench.taken == []


async def test_a_device_that_cannot_be_asked_is_asked_again_when_it_is_wanted() -> None:
    async with running() as bench:
        bench.refusal = Unavailable("gone")
        bench.catalogues.want(NVR)
        await bench.clock.advance(1)
        bench.refusal = None
        bench.answer = lambda device, sn: bench.catalogues.received(device, page(sn, range(2), 2))
        bench.catalogues.want(NVR)
        await bench.clock.advance(5)
        assert [is_complete for _, _, is_complete in bench.taken] == [True]


async def test_what_is_wanted_while_an_answer_comes_is_asked_after_it() -> None:
    """A channel added after the device made its answer would else stay unknown until the next registration."""
    async with running() as bench:
        bench.answer = lambda device, sn: bench.catalogues.received(device, page(sn, range(2), 2))
        bench.catalogues.want(NVR)
        await bench.clock.advance(0)
        bench.catalogues.want(NVR)
        bench.catalogues.want(NVR)
        await bench.clock.advance(0)
        assert len(bench.asked) == 1
        await bench.clock.advance(10)
        assert len(bench.asked) == 2 and len(bench.taken) == 2


async def test_nobody_is_asked_while_the_house_is_busy() -> None:
    async with running() as bench:
        bench.calm.clear()
        bench.catalogues.want(NVR)
        await bench.clock.advance(60)
        assert bench.asked == []
        bench.calm.set()
        await bench.clock.advance(0)
        assert [device for device, _ in bench.asked] == [NVR]


@pytest.mark.parametrize("step_s", [1.0, 7.0])
def test_each_device_is_due_once_in_its_own_interval_and_the_city_is_spread(step_s: float) -> None:
    """The policy was stored, shown and changed for a release in which nobody read it."""
    sessions = Sessions(keepalive_s=60, misses=3)
    for number in range(300):
        peer: Peer = ("udp", "192.0.2.1", 5060)
        one = Session(device=camera(number), peer=peer, call=1, expires_s=1e9, heard_s=0.0, slot=number)
        sessions.put(one)
    sessions.by_code[camera(7)].is_lost = True
    sessions.by_code[camera(8)].slot = UNMET
    intervals = {number: 60.0 if number % 10 == 0 else 3600.0 for number in range(300)} | {9: None}
    rounds = Rounds(sessions, intervals.get)
    asked: Counter[str] = Counter()
    most_at_once, now_s = 0, 5000.0
    while now_s < 5000.0 + 3 * 3600:
        due = list(rounds.due(now_s, sessions.sweep_size(30 / step_s)))
        most_at_once = max(most_at_once, len(due))
        asked.update(due)
        now_s += step_s
    for number, interval in intervals.items():
        is_asked = interval is not None and number not in (7, 8)
        fits = 3 * 3600 / (interval or 1)
        assert fits - 2 <= asked[camera(number)] <= fits + 1 if is_asked else not asked[camera(number)]
    assert most_at_once < 60, "never all of them together"
