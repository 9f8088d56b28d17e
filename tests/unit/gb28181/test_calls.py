"""Calls found by their device, against looking through all of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from anwang.access import Address, Receiver, Step, Stream, Transport
from anwang.gateways.gb28181.calls import Calls
from anwang.gateways.gb28181.capture import Capture
from anwang.gateways.gb28181.line import Line
from anwang.gateways.gb28181.policies import Manners
from anwang.gateways.gb28181.questions import Questions
from anwang.gateways.gb28181.sessions import Peer, Session, Sessions
from anwang.kernel.errors import AnwangError
from anwang.kernel.ids import PointId
from anwang.registry import DeviceStatus
from anwang.runtime.clock import FakeClock
from anwang.wire import sip

US = sip.Uri("34020000002000000001", "3402000000")
AT: Peer = ("udp", "192.0.2.9", 5060)
DEVICES = [f"3402000000118000000{number}" for number in range(5)]
ANSWER = (
    b"v=0\r\no=- 0 0 IN IP4 192.0.2.9\r\ns=Play\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=video 15060 RTP/AVP 96\r\n"
    b"a=sendonly\r\na=rtpmap:96 PS/90000\r\ny=0100000001\r\n"
)


class NoTrace:
    def message(self, data: bytes, *, outgoing: bool) -> None:
        """See access.Trace."""

    def step(self, step: Step, detail: str = "") -> None:
        """See access.Trace."""


@dataclass
class Sockets:
    """Keeps what is sent."""

    out: list[bytes] = field(default_factory=list)
    port: int = 5060

    def send(self, data: bytes, peer: Peer) -> bool:
        self.out.append(data)
        return True

    def has(self, peer: Peer) -> bool:
        return True

    def local_address(self, peer: Peer) -> str:
        return "192.0.2.1"


class Kept:
    def __init__(self) -> None:
        self.standing: set[str] = set()

    def began(self, device: str, names: sip.DialogNames) -> None:
        self.standing.add(names.call_id)

    def ended(self, call_id: str) -> None:
        self.standing.discard(call_id)


class Scene:
    """The platform's calls, and one end that stands for all devices. takes: whether it accepts what it is asked."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.sockets = Sockets()
        registry: Any = SimpleNamespace(
            policies=lambda gateway, device: None,
            admission=lambda gateway, device: SimpleNamespace(status=DeviceStatus.ADOPTED),
        )
        sessions = Sessions(keepalive_s=60, misses=3)
        for device in DEVICES:
            sessions.put(Session(device, AT, 1, 3600.0, 0.0))
        self.line = Line(
            us=US, clock=self.clock, sockets=cast(Any, self.sockets), capture=Capture(), sip_host=lambda host: "",
            handle=self.handle,
        )  # fmt: skip
        manners = Manners(registry)
        self.questions = Questions(self.line, sessions, manners)
        self.ended: list[str] = []
        self.kept = Kept()
        self.calls = Calls(
            self.line, self.questions, manners, invite_seconds=30, kept=cast(Any, self.kept),
            on_media_end=self.ended.append,
        )  # fmt: skip
        self.theirs: sip.Endpoint[sip.Peer] = sip.Endpoint(sip.Addresses("192.0.2.9", 5060))
        self.takes = True
        self.heard: Counter[tuple[str, str]] = Counter()
        self.tasks: list[asyncio.Task[Any]] = []

    def handle(self, event: sip.Event[Peer], now: float) -> None:
        match event:
            case sip.Accepted():
                self.calls.accepted(event, now)
            case sip.Ended():
                self.calls.ended(event)

    async def settle(self) -> None:
        for _ in range(4):
            out, self.sockets.out = self.sockets.out, []
            for data in out:
                request = sip.parse(data)
                if isinstance(request, sip.Request):
                    self.heard[request.method, sip.Uri.parse(request.uri).user] += 1
                self.theirs.receive(data, sip.Peer("udp", "192.0.2.1", 5060), 0.0)
            for event in self.theirs.events():
                if isinstance(event, sip.Invited) and self.takes:
                    self.theirs.accept(event.call, 0.0, body=ANSWER)
            for data, _ in self.theirs.to_send(0.0):
                self.line.receive(data, AT, 0.0, None)
            for _ in range(3):
                await asyncio.sleep(0)

    async def invite(self, device: str) -> None:
        address = Address(point=PointId("p"), gateway="gb28181", device=device, channel=device)
        receiver = Receiver(id="r", host="192.0.2.1", port=40000, transport=Transport.UDP, ssrc=100000001)
        work = self.calls.invite(address, Stream.MAIN, receiver, NoTrace())
        self.tasks.append(asyncio.create_task(work))
        await self.settle()

    def all_by_looking(self, device: str) -> list[int]:
        return [number for number, call in self.calls._calls.items() if call.device == device]

    def check(self) -> None:
        found = {device: self.all_by_looking(device) for device in DEVICES}
        assert {d: list(own) for d, own in self.calls._of_device.items()} == {d: own for d, own in found.items() if own}


@pytest.mark.parametrize("seed", range(12))
async def test_a_device_that_leaves_takes_its_own_calls_and_no_others(seed: int) -> None:
    scene, random = Scene(), Random(seed)
    for _ in range(60):
        device = random.choice(DEVICES)
        match random.randrange(5):
            case 0 | 1:
                scene.takes = random.random() < 0.7
                await scene.invite(device)
            case 2 if scene.calls._calls:
                scene.calls.hang_up(random.choice(list(scene.calls._calls)))
            case 3 if scene.kept.standing:  # the device's own BYE
                call = scene.theirs.find_call(random.choice(sorted(scene.kept.standing)))
                if call:
                    scene.theirs.hang_up(call, 0.0)
            case 4:
                due = scene.all_by_looking(device)
                standing = [str(n) for n in due if scene.calls._calls[n].answered.done()]
                before, heard = len(scene.ended), scene.heard.copy()
                scene.calls.leave(device)
                assert scene.ended[before:] == standing
                await scene.settle()
                told = {user for (method, user), n in (scene.heard - heard).items() if method in ("BYE", "CANCEL")}
                assert told <= {device}
                assert scene.ended[before:][: len(standing)] == standing
        await scene.settle()
        scene.check()
    for device in DEVICES:
        scene.calls.leave(device)
        await scene.settle()
    results = await asyncio.gather(*scene.tasks, return_exceptions=True)
    assert all(not isinstance(one, BaseException) or isinstance(one, AnwangError) for one in results), results
    assert scene.kept.standing == set()
    scene.check()
    assert scene.calls._calls == {} and scene.calls._of_device == {}


class Unwalked(dict[int, Any]):
    """A table that nobody may look through."""

    def __iter__(self) -> Any:
        raise AssertionError("all calls are looked through")

    items = values = keys = __iter__


async def test_thousands_of_devices_leave_without_looking_through_the_calls_of_others() -> None:
    scene = Scene()
    for _ in range(3):
        await scene.invite(DEVICES[0])
    scene.calls._calls = Unwalked(scene.calls._calls)
    for number in range(5000):
        scene.calls.leave(f"34020000001189{number:06d}")
    assert scene.ended == []
    scene.calls.leave(DEVICES[0])
    assert len(scene.ended) == 3
    for task in scene.tasks:
        await task
