"""Who asks too much is not heard, is named, and takes nobody along who is registered."""

from __future__ import annotations

import asyncio
import re

import pytest

from anwang.gateways.gb28181 import floods
from anwang.gateways.gb28181.floods import KNOWN, Floods
from anwang.gateways.gb28181.refusals import Refusal
from tests.flow.test_gateway import House, Line, code, house

__all__ = ["house"]
BURST = 30
SENT = 600


@pytest.fixture
def strict(house: House) -> House:
    """Ten requests a second, and so many at once."""
    house.gateway.floods = Floods(per_second=10, burst=BURST)
    return house


def told(house: House) -> list[Refusal]:
    return [row for row in house.gateway.refusals.rows()[0] if row.reason.startswith("more requests")]


async def silent(line: Line) -> None:
    """Nothing more is on its way to the device."""
    await asyncio.sleep(0.1)
    assert line.heard.empty()


async def test_a_flood_of_strangers_is_named_and_those_registered_at_its_address_are_heard(strict: House) -> None:
    async with strict.line() as line, strict.line() as flooder:
        assert (await line.register(code(1))).startswith(b"SIP/2.0 200")
        for number in range(300):
            flooder.send(flooder.keepalive(code(1000 + number)))
        answers = [await flooder.hear() for _ in range(BURST + 1)]
        assert {one[:11] for one in answers} == {b"SIP/2.0 403"}
        last = await flooder.hear()
        assert last.startswith(b"SIP/2.0 503") and b"Retry-After: 10\r\n" in last
        assert b";rport=%d;received=127.0.0.1" % flooder.port in last and re.search(rb"To: [^\r]*;tag=", last)
        await silent(flooder)
        assert strict.gateway.floods.refused == 300 - BURST - 1
        [row] = told(strict)
        assert (row.peer, row.device, row.count) == ("127.0.0.1/udp", "", 300 - BURST - 1)

        for _ in range(3):
            line.send(line.keepalive(code(1)))
            assert (await line.hear()).startswith(b"SIP/2.0 200"), "the flood is not its own"
        line.send(line.keepalive(code(1)).replace(b"Max-Forwards", b"Note: x\r\nMax-Forwards"))
        assert (await line.hear()).startswith(b"SIP/2.0 200"), "by the long way, too"
        line.send(line.request("REGISTER", code(2)))
        await silent(line)
        await strict.clock.advance(5)
        assert (await line.register(code(2))).startswith(b"SIP/2.0 200"), "it leaks"


async def test_a_district_behind_one_address_may_come_at_once(strict: House) -> None:
    """Each device costs its address until it is registered, and no longer."""
    async with strict.line() as line:
        for number in range(10 * BURST):
            answer = await line.register(code(number))
            assert answer.startswith(b"SIP/2.0 200"), answer
        assert strict.gateway.floods.refused == 0 and len(strict.gateway.sessions) == 10 * BURST


@pytest.mark.parametrize("way", ["fast", "long"])
async def test_a_registered_device_that_floods_costs_only_itself(strict: House, way: str) -> None:
    async with strict.line() as line, strict.line() as other:
        for one, device in ((line, code(1)), (other, code(2))):
            assert (await one.register(device)).startswith(b"SIP/2.0 200")
        spent = strict.gateway.floods.refused
        for number in range(SENT):
            beat = line.keepalive(code(1))
            line.send(beat if way == "fast" else beat.replace(b"Max-Forwards", b"Note: x\r\nMax-Forwards"))
            if number % 50 == 49:
                await asyncio.sleep(0.01)  # the kernel keeps only so many
        await strict.until(lambda: strict.gateway.floods.refused - spent >= SENT - KNOWN * BURST - 1)
        assert strict.gateway.floods.refused - spent <= SENT - KNOWN * BURST, (
            "what is registered may ask ten times as much"
        )
        [row] = told(strict)
        assert (row.peer, row.device) == ("127.0.0.1/udp", code(1))
        assert row.reason == "more requests of one device than are heard"
        other.send(other.keepalive(code(2)))
        assert (await other.hear()).startswith(b"SIP/2.0 200")
        await strict.clock.advance(20)
        while not line.heard.empty():
            line.heard.get_nowait()
        line.send(line.keepalive(code(1)))
        assert (await line.hear()).startswith(b"SIP/2.0 200")


async def test_what_is_no_request_gets_no_answer(strict: House) -> None:
    async with strict.line() as line:
        for data in (b"SIP/2.0 200 OK\r\n\r\n", b"ACK sip:x SIP/2.0\r\n\r\n", b"noise" * 20) * 50:
            line.send(data)
        await strict.until(lambda: strict.gateway.floods.refused >= 150 - BURST - 1)
        await silent(line)


def test_the_senders_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floods, "MOST_BUCKETS", 100)
    held = Floods(per_second=1, burst=5)
    for number in range(1000):
        for _ in range(7):  # who floods on is not forgotten for those who come after it
            held.takes("192.0.2.1", 0.0)
        assert held.takes(f"2001:db8::{number:x}", 0.0)
    assert len(held._buckets) == 100
    assert not held.takes("192.0.2.1", 0.0)
