"""Streams are shared by what a point delivers, whatever was asked for."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from anwang.access import Access, Address, Gateway, Pull, Stream
from anwang.kernel.ids import PointId
from anwang.media.control import Ready, Record, Reserved
from anwang.media.live import Streams
from anwang.media.model import GapCause
from anwang.runtime.clock import SystemClock
from anwang.runtime.settings import Media

POINT = PointId("0198a0de-0000-7000-8000-000000000001")


class Source:
    """A gateway that the child pulls from; counts how often it is asked."""

    name = "source"

    def __init__(self) -> None:
        self.asked: list[Stream] = []

    def transports(self, address: Address) -> tuple[()]:
        return ()

    async def open_stream(self, address: Address, stream: Stream, receiver: Any, trace: Any) -> Pull:
        self.asked.append(stream)
        return Pull(dialog="", url="rtsp://192.0.2.1/m", username="", password="", transport="tcp")


class Process:
    """A media child that agrees to everything."""

    alive, number, viewers, is_apart = True, 0, "socket", False

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, message: Any) -> None:
        self.sent.append(message)

    async def ask(self, make: Any) -> Reserved:
        return Reserved(ref=1, stream=make(1).stream, port=0)

    async def living(self, load: Any, stream: str) -> Process:
        return self


def streams_of(source: Source, child: Process, *has: Stream) -> Streams:
    access = Access()
    access.register(cast(Gateway, source))

    async def address_of(point: PointId) -> Address:
        return Address(point=point, gateway="source", device="d", channel="c", streams=has)

    return Streams(
        access=access,
        children=cast(Any, child),
        clock=SystemClock(),
        settings=Media(),
        address_of=address_of,
        media_host=lambda zone: "",
        next_ssrc=lambda past: 1,
        seals=cast(Any, SimpleNamespace()),
        on_evidence=lambda point, packet, picture: None,
        on_play=lambda trace: None,
    )


@pytest.mark.parametrize("has", [(Stream.MAIN,), (Stream.MAIN, Stream.SUB)])
async def test_one_invitation_for_what_comes_in_once(has: tuple[Stream, ...]) -> None:
    source, child = Source(), Process()
    streams = streams_of(source, child, *has)
    opening = [asyncio.create_task(streams.open(POINT, one, why="live")) for one in (Stream.MAIN, Stream.SUB)]
    while len(source.asked) < len(has):
        await asyncio.sleep(0)
    for feed in streams.feeds():
        ready = Ready(stream=feed.id, mime="", codec="avc1", width=1, height=1, at_us=1)
        streams.handle(cast(Any, child), ready)
    main, sub = await asyncio.gather(*opening)
    assert source.asked == list(has)
    assert (main.feed is sub.feed) == (len(has) == 1)

    main.record(True)
    sub.record(True)
    main.record(False)
    orders = [message.on for message in child.sent if isinstance(message, Record) and message.stream == main.feed.id]
    assert orders == ([True] if len(has) == 1 else [True, False]), "written as long as one of them wants it"
    for feed in streams.feeds():
        streams._finish(feed, GapCause.STREAM_LOST, "gone")
    assert streams.feeds() == [] and streams._feeds == {}
    await streams.stop()
