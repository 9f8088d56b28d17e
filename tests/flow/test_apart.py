"""A stream that ends the process which carries it, with others that must not suffer for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from anwang.access import Access, Address, Gateway, Pushed, Receiver, Stream, Trace, Transport
from anwang.kernel.errors import AnwangError
from anwang.kernel.ids import PointId
from anwang.media import children as supervision
from anwang.media.children import Children
from anwang.media.live import Lease, Streams
from anwang.media.trace import PlayTrace
from anwang.runtime.clock import SystemClock
from anwang.runtime.settings import Media
from anwang.wire import h26x
from anwang.wire.mpegps import Muxer
from anwang.wire.rtp import Packetiser
from anwang.wire.units import Codec
from tests.flow.fragile_child import CRASH, HANG
from tests.flow.test_media_child import FPS, clip

GOOD = [PointId(f"0198a0de-0000-7000-8000-00000000000{n}") for n in range(3)]
BAD = PointId("0198a0de-0000-7000-8000-00000000000f")


def with_note(unit: bytes, note: bytes) -> bytes:
    """The picture with user data before it (ITU-T H.264 D.1.6)."""
    sei = b"\x06\x05" + bytes([16 + len(note)]) + bytes(range(1, 17)) + note + b"\x80"
    return b"\0\0\0\1" + sei + unit


class Cameras:
    """A gateway whose cameras send a clip over and over; the bad one's has a picture that is not digested."""

    name = "cameras"

    def __init__(self, note: bytes) -> None:
        self._units = clip(2.0)
        self._bad = [*self._units[:30], with_note(self._units[30], note), *self._units[31:]]
        self._sending: dict[str, asyncio.Task[None]] = {}
        self.opened: list[PointId] = []

    def transports(self, address: Address) -> list[Transport]:
        return [Transport.UDP]

    async def open_stream(self, address: Address, stream: Stream, receiver: Receiver, trace: Trace) -> Pushed:
        self.opened.append(address.point)
        units = self._bad if address.point == BAD else self._units
        self._sending[receiver.id] = asyncio.create_task(self._send(units, receiver))
        return Pushed(dialog=receiver.id)

    async def close_stream(self, dialog: str) -> None:
        self._sending.pop(dialog).cancel()

    async def request_key_frame(self, address: Address) -> None:
        return

    def stop(self) -> None:
        for task in self._sending.values():
            task.cancel()

    async def _send(self, units: list[bytes], receiver: Receiver) -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", receiver.port)
        )
        muxer, packets, number = Muxer(video=Codec.H264), Packetiser(ssrc=receiver.ssrc), 0
        try:
            while True:
                unit = units[number % len(units)]
                pts = 90_000 + number * 90_000 // FPS
                ps = muxer.video(unit, pts_90k=pts, is_key=h26x.is_key(Codec.H264, unit))
                for packet in packets.split(ps, pts):
                    transport.sendto(packet)
                number += 1
                await asyncio.sleep(1 / FPS)
        finally:
            transport.close()


class House:
    """Streams and children as the platform joins them."""

    def __init__(self, folder: Path, note: bytes) -> None:
        self.cameras = Cameras(note)
        self.traces: dict[str, PlayTrace] = {}
        access = Access()
        access.register(cast(Gateway, self.cameras))
        self.children = Children(
            1,
            arguments=["--objects", f"file://{folder}/objects", "--rtp-ports", "43000", "43400"],
            run=folder,
            apart=1,
            module="tests.flow.fragile_child",
        )
        ssrcs = iter(range(200_100_000, 200_200_000))
        self.streams = Streams(
            access=access,
            children=self.children,
            clock=SystemClock(),
            settings=Media(host="127.0.0.1", linger_seconds=0.2),
            address_of=self._address_of,
            media_host=lambda zone: "127.0.0.1",
            next_ssrc=lambda past: next(ssrcs),
            seals=cast(Any, SimpleNamespace()),
            on_evidence=lambda point, packet, picture: None,
            on_play=lambda trace: self.traces.update({trace.id: trace}),
        )
        self.children.attach(on_event=self.streams.handle, on_death=self.streams.child_died)

    async def _address_of(self, point: PointId) -> Address:
        return Address(point=point, gateway="cameras", device=point, channel=point, streams=(Stream.MAIN,))

    async def view(self, point: PointId) -> Lease:
        """As a viewer who comes back until there is a picture."""
        while True:
            try:
                return await self.streams.open(point, Stream.MAIN, why="live")
            except AnwangError:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running(folder: Path, note: bytes) -> AsyncIterator[House]:
    house = House(folder, note)
    task = asyncio.create_task(house.children.run())
    try:
        await house.children.ready()
        async with asyncio.timeout(90):
            yield house
        await house.streams.stop()
        await house.children.stop()
    finally:
        house.cameras.stop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_stream_that_ended_two_processes_ends_no_other_s_again(tmp_path: Path) -> None:
    async with running(tmp_path, CRASH) as house:
        good = [await house.view(point) for point in GOOD]
        for _ in range(2):
            bad = await house.view(BAD)
            assert not bad.feed.child.is_apart
            for lease in (bad, *good):
                await lease.lost()
            assert bad.feed.child.has_crashed and bad.feed.child.at_work == bad.feed.id
            good = [await house.view(point) for point in GOOD]
        assert house.children.deaths == 2
        for _ in range(2):
            bad = await house.view(BAD)
            assert bad.feed.child.is_apart and house.children.apart == 1
            assert "so it has one of its own" in bad.feed.trace.noticed["apart"]
            await bad.lost()
        while house.children.deaths < 4:
            await asyncio.sleep(0.01)
        assert all(lease.feed.cause is None and not lease.feed.child.is_apart for lease in good)
        assert house.children.apart == 0, "the process goes with its stream"


async def test_such_a_process_leaves_when_nobody_watches_its_stream(tmp_path: Path) -> None:
    async with running(tmp_path, b"") as house:
        house.children.blame([f"{BAD} main"] * 2)
        lease = await house.view(BAD)
        child = lease.feed.child
        assert child.is_apart and child.alive
        lease.close()
        await lease.lost()
        while child.alive or house.children.apart:
            await asyncio.sleep(0.01)
        assert house.children.deaths == 0
        again = await house.view(BAD)
        assert again.feed.child.is_apart


async def test_a_process_that_a_stream_keeps_busy_for_ever_is_killed_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "STUCK_SECONDS", 2)
    async with running(tmp_path, HANG) as house:
        good = await house.view(GOOD[0])
        bad = await house.view(BAD)
        await good.lost()
        assert bad.feed.child.at_work == bad.feed.id and not bad.feed.child.has_crashed
        await house.view(GOOD[0])
        assert house.children.deaths == 1
