"""A media child as a process: packets in; viewers, segments and counters out. The pictures come from an encoder that is
not ours, and are decoded by FFmpeg at the other end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from anwang.democity.pictures.osd import draw_clock, read_clock
from anwang.media.children import Child
from anwang.media.control import (
    Amend,
    Arm,
    Drop,
    Fetch,
    FirstPacket,
    Flow,
    FrameKind,
    FromChild,
    Lost,
    Odd,
    Ready,
    Record,
    Reserve,
    Sealed,
)
from anwang.media.framing import frames
from anwang.media.http.live import latest
from anwang.media.masks.paint import NOTHING
from anwang.media.model import read_origin, unpack_key_frames
from anwang.media.snapshot import DecodePool
from anwang.runtime.clock import SystemClock
from anwang.wire import fmp4, h26x
from anwang.wire.mpegps import Muxer
from anwang.wire.rtp import Packetiser
from anwang.wire.units import Codec

FPS = 25
SSRC = 200_000_001


def clip(seconds: float, *, gop: int = 25) -> list[bytes]:
    """Access units (Annex B) of a moving picture, by x264 without B-frames."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.gop_size = gop
    encoder.options = {"tune": "zerolatency", "preset": "ultrafast", "x264-params": f"keyint={gop}:scenecut=0"}
    units: list[bytes] = []
    for number in range(round(seconds * FPS)):
        picture = np.full((180, 320, 3), 30, np.uint8)
        picture[:, (number * 3) % 320 : (number * 3) % 320 + 20] = 220
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        units += [bytes(p) for p in encoder.encode(frame)]
    units += [bytes(p) for p in encoder.encode(None)]
    return units


def decode(data: bytes) -> list[bytes]:
    """Luma of every picture of an MP4."""
    with av.open(io.BytesIO(data)) as movie:
        return [frame.to_ndarray(format="gray").tobytes() for frame in movie.decode(video=0)]


class Told:
    """What a child said, with waiting for the next of a kind."""

    def __init__(self) -> None:
        self.all: list[FromChild] = []
        self._more = asyncio.Event()

    def __call__(self, _: Child, message: FromChild) -> None:
        self.all.append(message)
        self._more.set()

    async def wait(self, found: Callable[[FromChild], bool], seconds: float = 20.0) -> FromChild:
        async with asyncio.timeout(seconds):
            while True:
                for message in self.all:
                    if found(message):
                        return message
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def running(folder: Path, *arguments: str) -> AsyncIterator[tuple[Child, Told]]:
    told = Told()
    child = Child(
        0,
        arguments=["--objects", f"file://{folder}/objects", "--rtp-ports", "42000", "42400", *arguments],
        run=folder,
        on_event=told,
    )
    task = asyncio.create_task(child.run())
    try:
        await child.ready()
        yield child, told
        await child.stop()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


Send = Callable[[bytes, int], Awaitable[None]]


async def play(units: list[bytes], send: Send, *, speed: float = 4.0) -> None:
    """Send frames as PS over RTP, faster than real time."""
    muxer = Muxer(video=Codec.H264)
    for number, unit in enumerate(units):
        pts = 90_000 + number * 90_000 // FPS
        await send(muxer.video(unit, pts_90k=pts, is_key=h26x.is_key(Codec.H264, unit)), pts)
        await asyncio.sleep(1 / FPS / speed)


async def play_to(port: int, transport: str, units: list[bytes], *, speed: float = 4.0) -> None:
    """Open the way, send everything, close it after the child had time to read."""
    async with (udp_sender if transport == "udp" else tcp_sender)(port) as send:
        await play(units, send, speed=speed)
        await asyncio.sleep(0.5)


async def reserve(child: Child, stream: str, transport: str) -> int:
    reserved = await child.ask(
        lambda ref: Reserve(ref=ref, stream=stream, transport=transport, bind="127.0.0.1", ssrc=SSRC, checking="strict")
    )
    return reserved.port


async def take(child: Child, stream: str, count: int) -> tuple[bytes, int]:
    """Init and fragments, as a viewer gets them, until so many fragments came."""
    data, seen = b"", 0
    async for kind, body in frames(child.viewers, stream):
        if kind in (FrameKind.INIT, FrameKind.FRAGMENT, FrameKind.KEY):
            data += body
        seen += kind in (FrameKind.FRAGMENT, FrameKind.KEY)
        if seen >= count:
            break
    return data, seen


@asynccontextmanager
async def udp_sender(port: int) -> AsyncIterator[Send]:
    packets = Packetiser(ssrc=SSRC)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.connect(("127.0.0.1", port))

        async def send(frame: bytes, timestamp: int) -> None:
            for packet in packets.split(frame, timestamp):
                device.send(packet)

        yield send


@asynccontextmanager
async def tcp_sender(port: int) -> AsyncIterator[Send]:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    packets = Packetiser(ssrc=SSRC)

    async def send(frame: bytes, timestamp: int) -> None:
        writer.write(packets.framed(frame, timestamp))
        await writer.drain()

    yield send
    writer.close()


@pytest.mark.parametrize("transport", ["udp", "tcp_passive"])
async def test_what_is_sent_is_seen_and_stored(tmp_path: Path, transport: str) -> None:
    units = clip(4.0)
    async with running(tmp_path) as (child, told):
        port = await reserve(child, "s1", transport)
        child.send(Amend(stream="s1", ssrc=SSRC, checking="strict", payload="PS"))
        child.send(Record(stream="s1", on=True, point="p1", name="main", segment_seconds=2.0))
        playing = asyncio.create_task(play_to(port, transport, units, speed=1.0))
        ready = await told.wait(lambda m: isinstance(m, Ready))
        assert isinstance(ready, Ready)
        assert (ready.width, ready.height, ready.codec[:5]) == (320, 180, "avc1.")
        viewed, _ = await take(child, "s1", 30)
        await playing
        flow = await told.wait(lambda m: isinstance(m, Flow) and m.frames >= 90)
        assert isinstance(flow, Flow)
        assert flow.lost == 0
        child.send(Drop(stream="s1", why="test"))
        await told.wait(lambda m: isinstance(m, Sealed) and m is told.all[-1] and m.end_us - m.start_us < 2_100_000)
    sealed = [m for m in told.all if isinstance(m, Sealed)]
    sent = decode_units(units)
    stored: list[bytes] = []
    for message in sealed:
        data = (tmp_path / "objects" / message.key).read_bytes()
        assert len(data) == message.size_bytes
        assert hashlib.sha256(data).digest() == message.sha256
        listed, box = fmp4.scan(data), data[-fmp4.table_size(data) :]
        table = fmp4.read_table(box, listed.movie, offset=len(data) - len(box))
        assert table.at.tolist() == [one.offset for at in listed.fragments for run in at.runs for one in run.samples]
        assert read_origin(data).start_us == message.start_us
        assert [k.position for k in unpack_key_frames(message.key_frames)] == [
            f.offset for f in fmp4.scan(data).fragments if f.is_key
        ]
        stored += decode(data)
    assert stored == sent
    assert [m.continues for m in sealed][1:] == [True] * (len(sealed) - 1)
    shown = decode(viewed)
    assert len(shown) == 30
    assert any(sent[i : i + 30] == shown for i in range(len(sent)))


async def test_a_recording_begins_with_the_seconds_kept_before_it_and_none_is_stored_twice(tmp_path: Path) -> None:
    units = clip(9.0)
    async with running(tmp_path) as (child, told):
        port = await reserve(child, "s1", "udp")
        child.send(Amend(stream="s1", ssrc=SSRC, checking="strict", payload="PS"))
        child.send(Arm(stream="s1", seconds=2.0))
        playing = asyncio.create_task(play_to(port, "udp", units, speed=1.0))
        await told.wait(lambda m: isinstance(m, Flow) and m.frames >= 100)
        asked_us = SystemClock().micros()
        child.send(Record(stream="s1", on=True, point="p1", name="main"))
        await asyncio.sleep(1.0)
        child.send(Record(stream="s1", on=False, point="p1", name="main"))
        first = await told.wait(lambda m: isinstance(m, Sealed))
        assert isinstance(first, Sealed)
        await asyncio.sleep(0.4)
        child.send(Record(stream="s1", on=True, point="p1", name="main"))
        await playing
        child.send(Drop(stream="s1", why="test"))
        await told.wait(lambda m: isinstance(m, Sealed) and m is not first)
    second = next(m for m in told.all if isinstance(m, Sealed) and m is not first)
    # whole groups of one second each
    assert 1.9 <= (asked_us - first.start_us) / 1e6 <= 3.3
    assert 2.5 <= (first.end_us - first.start_us) / 1e6 <= 4.6
    assert second.start_us >= first.end_us - 100_000, "what was recorded is not recorded again"
    sent = decode_units(units)
    stored = [decode((tmp_path / "objects" / m.key).read_bytes()) for m in (first, second)]
    places = [sent.index(pictures[0]) for pictures in stored]
    for place, pictures in zip(places, stored, strict=True):
        assert sent[place : place + len(pictures)] == pictures
    assert places[1] >= places[0] + len(stored[0])


def decode_units(units: list[bytes]) -> list[bytes]:
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    pictures: list[bytes] = []
    for packet in [*(av.Packet(u) for u in units), None]:
        pictures += [f.to_ndarray(format="gray").tobytes() for f in decoder.decode(packet)]
    return pictures


async def test_tcp_active_connects_to_the_device(tmp_path: Path) -> None:
    units = clip(2.0)
    connected: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(lambda _, w: connected.set_result(w), "127.0.0.1", 0)
    async with running(tmp_path) as (child, told):
        assert await reserve(child, "s1", "tcp_active") == 0
        host, port = server.sockets[0].getsockname()[:2]
        child.send(Amend(stream="s1", ssrc=SSRC, checking="strict", payload="PS", connect_host=host, connect_port=port))
        writer = await connected
        packets = Packetiser(ssrc=SSRC)

        async def send(frame: bytes, timestamp: int) -> None:
            writer.write(packets.framed(frame, timestamp))

        await play(units, send, speed=10)
        await told.wait(lambda m: isinstance(m, Ready))
        writer.close()
        lost = await told.wait(lambda m: isinstance(m, Lost))
        assert isinstance(lost, Lost)
        assert "closed" in lost.detail
    server.close()


@pytest.mark.parametrize("is_early", [True, False], ids=["before the answer", "after it"])
async def test_only_who_was_announced_may_connect(tmp_path: Path, is_early: bool) -> None:
    """The first to connect was once taken for the device, whoever it was."""
    units = clip(2.0)
    amend = Amend(stream="s1", ssrc=SSRC, checking="strict", payload="PS", sources=["127.0.0.1", "192.0.2.1"])
    async with running(tmp_path) as (child, told):
        port = await reserve(child, "s1", "tcp_passive")
        if not is_early:
            child.send(amend)
        strangers = [
            await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)) for _ in range(2 + is_early)
        ]
        for _, writer in strangers:
            writer.write(os.urandom(400_000))
        if is_early:
            child.send(amend)
        for reader, _ in strangers:
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 20) == b"", "the stranger is sent away"
        await play_to(port, "tcp_passive", units, speed=10)
        await told.wait(lambda m: isinstance(m, Ready))
        odd = await told.wait(lambda m: isinstance(m, Odd))
        assert isinstance(odd, Odd)
        assert "127.0.0.2" in odd.detail and "127.0.0.1" in odd.detail
        for _, writer in strangers:
            writer.close()


async def test_another_ssrc_is_refused_and_said(tmp_path: Path) -> None:
    units = clip(1.0)
    async with running(tmp_path) as (child, told):
        port = await reserve(child, "s1", "udp")
        child.send(Amend(stream="s1", ssrc=SSRC + 1, checking="strict", payload="PS"))
        await play_to(port, "udp", units, speed=20)
        odd = await told.wait(lambda m: isinstance(m, Odd))
        assert isinstance(odd, Odd)
        assert str(SSRC) in odd.detail
        assert not any(isinstance(m, FirstPacket) for m in told.all)
        port = await reserve(child, "s2", "udp")
        child.send(Amend(stream="s2", ssrc=SSRC + 1, checking="any", payload="PS"))
        await play_to(port, "udp", units, speed=20)
        first = await told.wait(lambda m: isinstance(m, FirstPacket) and m.stream == "s2")
        assert isinstance(first, FirstPacket)
        assert first.ssrc == SSRC


async def test_random_bytes_cost_only_their_own_stream(tmp_path: Path) -> None:
    units = clip(2.0)
    async with running(tmp_path) as (child, told):
        ports = [await reserve(child, name, "udp") for name in ("bad", "good")]
        bad_tcp = await reserve(child, "badtcp", "tcp_passive")
        for name in ("bad", "good", "badtcp"):
            child.send(Amend(stream=name, ssrc=SSRC, checking="any", payload="PS"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
            for size in range(0, 1400, 7):
                noise.sendto(os.urandom(size), ("127.0.0.1", ports[0]))
        _, writer = await asyncio.open_connection("127.0.0.1", bad_tcp)
        writer.write(os.urandom(200_000))
        await play_to(ports[1], "udp", units, speed=10)
        await told.wait(lambda m: isinstance(m, Ready) and m.stream == "good")
        lost = await told.wait(lambda m: isinstance(m, Lost))
        assert isinstance(lost, Lost)
        assert lost.stream == "badtcp"
        assert child.alive
        writer.close()


async def test_a_killed_child_leaves_what_it_wrote(tmp_path: Path) -> None:
    units = clip(6.0)
    told = Told()
    child = Child(0, arguments=["--objects", f"file://{tmp_path}/objects"], run=tmp_path, on_event=told)
    task = asyncio.create_task(child.run())
    await child.ready()
    port = await reserve(child, "s1", "udp")
    child.send(Amend(stream="s1", ssrc=SSRC, checking="strict", payload="PS"))
    child.send(Record(stream="s1", on=True, point="p1", name="main"))
    playing = asyncio.create_task(play_to(port, "udp", units, speed=1.0))
    await told.wait(lambda m: isinstance(m, Flow) and m.frames >= 75)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    assert await task == -signal.SIGKILL
    playing.cancel()
    frames_seen = max(m.frames for m in told.all if isinstance(m, Flow))
    (spool,) = [p for p in (tmp_path / "objects").rglob("*") if p.is_file() and p.stat().st_size > 1000]
    data = spool.read_bytes()
    whole = fmp4.scan(data)
    # at most what was gathered for one write, a second's worth, and the last flow's age
    assert len(whole.fragments) >= frames_seen - FPS - 5
    pictures = decode(data[: whole.fragments[-1].offset + whole.fragments[-1].size])
    assert len(pictures) == len(whole.fragments)


async def test_a_source_that_is_not_there_is_lost_with_a_reason(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with running(tmp_path) as (child, told):
        await child.ask(
            lambda ref: Fetch(
                ref=ref,
                stream="r1",
                url=f"rtsp://127.0.0.1:{port}/live",
                username="admin",
                password="s3cr3t-word",
                transport="tcp",
            )
        )
        lost = await told.wait(lambda m: isinstance(m, Lost))
        assert isinstance(lost, Lost)
        assert "refused" in lost.detail.lower()
        assert "s3cr3t" not in lost.detail


async def test_the_picture_of_now_is_the_newest_and_says_when_it_was(tmp_path: Path) -> None:
    """With a key frame every forty seconds: the snapshot once was the key frame, under the time of the newest."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 640, 360, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.gop_size = 1000
    encoder.options = {"tune": "zerolatency", "preset": "ultrafast", "x264-params": "keyint=1000:scenecut=0"}
    clock, muxer, pool = SystemClock(), Muxer(video=Codec.H264), DecodePool(timeout_s=30)

    async def film(port: int) -> None:
        async with udp_sender(port) as send:
            for number in range(1000):
                luma = np.full((360, 640), 90, np.uint8)
                draw_clock(luma, clock.micros() // 1000, 640)
                chroma = np.full((180, 640), 128, np.uint8)
                frame = av.VideoFrame.from_ndarray(np.concatenate([luma, chroma]), format="yuv420p")
                frame.pts = number
                pts = 90_000 + number * 90_000 // FPS
                for packet in encoder.encode(frame):
                    await send(muxer.video(bytes(packet), pts_90k=pts, is_key=number == 0), pts)
                await asyncio.sleep(1 / FPS)

    async with running(tmp_path) as (child, told):
        port = await reserve(child, "s1", "udp")
        child.send(Amend(stream="s1", ssrc=SSRC, checking="strict", payload="PS"))
        filming = asyncio.create_task(film(port))
        ready = await told.wait(lambda m: isinstance(m, Ready))
        assert isinstance(ready, Ready)
        flow = await told.wait(lambda m: isinstance(m, Flow) and m.frames >= 75)
        feed = SimpleNamespace(id="s1", child=child, flow=flow)
        lease: Any = SimpleNamespace(feed=feed, ready=ready)
        for budget_s in (30.0, 0.0):
            data, media_us, at_us = await latest(lease)
            made = await pool.picture(data, paint=NOTHING, media_us=media_us, at_us=at_us, budget_s=budget_s)
            with av.open(io.BytesIO(made.jpeg)) as picture:
                shown = read_clock(next(picture.decode(video=0)).to_ndarray(format="gray"))
            # on its way it may have waited for a busy processor; the key frame is three seconds older than the newest
            assert shown is not None and abs(made.at_us // 1000 - shown) < 2500, "it says when it was"
            age_s = (made.at_us - ready.at_us) / 1e6
            assert age_s > 2.5 if budget_s else age_s < 2.0, "all of the group, or as much as could be decoded in time"
        filming.cancel()
    await pool.close()
