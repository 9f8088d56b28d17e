"""Recording beside FFmpeg, and what a kill -9 costs.

Streams of 1080p25, 2 Mb/s, a key frame every 2 s, sent over UDP in real time to whoever records. Ours: recorder and
index in the main process and one media child, as in the product, program streams over RTP as GB/T 28181 has it. Peer:
one `ffmpeg -c copy` a stream into fragmented MP4, from RTP (RFC 6184), because FFmpeg takes no program stream over RTP;
the elementary bytes are the same. Turns A B B A. Processor time is that of the recording processes, ours both of them,
without the sender's. Memory is PSS: all of the child's, and what the main process has grown by since it was ready.
Gate: every file of both sides holds consecutive pictures.

The kills: four small streams are recorded in the same way; at random moments the media child or the main process is
killed with -9, and what is missing then is found by a number inside each picture. Gate: afterwards each file decodes
with FFmpeg without a word, each has its row in the index with its size, the database is whole, and nothing is left in
the spool.

    python -m benchmarks.recording [--quick] [--streams 50] [--kills 50]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import av

from anwang.access import Access, Address, Preset, PtzOrder, Pushed, Receiver, Stream, Trace, Transport
from anwang.kernel.ids import PointId, uuid7
from anwang.media.children import Child, Children
from anwang.media.index import SegmentIndex
from anwang.media.live import Streams
from anwang.media.plans import Mode, Plan, Plans
from anwang.media.recorder import Recorder
from anwang.media.reindex import Reindex
from anwang.runtime import logs
from anwang.runtime.clock import SystemClock
from anwang.runtime.settings import Media
from anwang.stores.objects import Objects
from anwang.stores.state import MEDIA, State, migrate
from anwang.wire import h26x
from anwang.wire.fmp4 import read_movie, scan
from anwang.wire.mpegps import Muxer
from anwang.wire.payloads import pack_video
from anwang.wire.rtp import Packetiser
from anwang.wire.units import Codec, Kind
from benchmarks.ratio import Row, cpu_seconds, of_pairs, table

FPS = 25
MARK = bytes.fromhex("616e77616e674265a1c3e5f701b4d2c6")
"""User data (H.264 D.1.6) with this name and twelve digits numbers each picture."""
POINTS = [PointId(f"0198a0de-0000-7000-8000-{number:012d}") for number in range(64)]


def encode(path: Path, *, size: str, rate: str, gop: int) -> None:
    """Ten seconds of a moving test picture."""
    command = ["ffmpeg", "-v", "quiet", "-y", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={FPS}", "-t", "10"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-bf", "0", "-g", str(gop)]
    command += ["-keyint_min", str(gop), "-sc_threshold", "0", "-b:v", rate, "-maxrate", rate, "-bufsize", rate]
    subprocess.run([*command, str(path)], check=True, stdin=subprocess.DEVNULL)


def units_of(path: Path) -> list[bytes]:
    """Access units (Annex B), parameter sets with each key frame."""
    units = []
    with av.open(str(path)) as movie:
        video = movie.streams.video[0]
        sets, length = h26x.parse_avcc(bytes(video.codec_context.extradata or b""))
        head = b"".join(b"\0\0\0\1" + nal for nal in sets)
        for packet in movie.demux(video):
            if packet.size:
                data = h26x.to_annexb(bytes(packet), length)
                units.append(head + data if packet.is_keyframe else data)
    return units


def numbered(unit: bytes, number: int) -> bytes:
    """The access unit with its number in front of its pictures."""
    text = MARK + b"%012d" % number
    return b"\0\0\0\1\x06\x05" + bytes((len(text),)) + text + b"\x80" + unit


# --- the sender, a process of its own --------------------------------------------------------------------------------


def send(movie: Path) -> None:
    """Lines of JSON are orders: {id, port, ssrc, kind} begins a stream, {id} ends it. Says when it began."""
    units, muxer = units_of(movie), Muxer(video=Codec.H264)
    keys = [h26x.is_key(Codec.H264, unit) for unit in units]
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    streams: dict[str, tuple[tuple[str, int], bytes, str]] = {}
    packers = {"ps": Packetiser(ssrc=0), "h264": Packetiser(ssrc=0)}
    os.set_blocking(0, False)
    begun, rest = time.time(), b""
    print(json.dumps({"begun": begun}), flush=True)
    for number in range(1 << 40):
        with contextlib.suppress(BlockingIOError):
            data = os.read(0, 1 << 16)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                order = json.loads(line)
                streams.pop(order["id"], None)
                if "port" in order:
                    address = ("127.0.0.1", order["port"])
                    streams[order["id"]] = address, order["ssrc"].to_bytes(4, "big"), order["kind"]
        at = number % len(units)
        unit, pts = numbered(units[at], number), 90_000 + number * 90_000 // FPS
        packets: dict[str, list[bytes]] = {}
        wanted = {kind for _, _, kind in streams.values()}
        if "ps" in wanted:
            packets["ps"] = list(packers["ps"].split(muxer.video(unit, pts_90k=pts, is_key=keys[at]), pts))
        if "h264" in wanted:
            packets["h264"] = []
            for payload, is_last in pack_video(Codec.H264, unit):
                packets["h264"] += packers["h264"].split(payload, pts)
                if not is_last:  # the marker stands on the picture's last packet only
                    head = bytearray(packets["h264"][-1])
                    head[1] &= 0x7F
                    packets["h264"][-1] = bytes(head)
        for address, ssrc, kind in streams.values():
            for packet in packets[kind]:
                with contextlib.suppress(OSError):  # nobody is there any more
                    out.sendto(packet[:8] + ssrc + packet[12:], address)
        time.sleep(max(0.0, begun + (number + 1) / FPS - time.time()))


class Sender:
    """The benchmark's side of it."""

    def __init__(self, movie: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.recording", "--role", "send", "--movie", str(movie)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.begun = float(json.loads(self._process.stdout.readline())["begun"])

    def order(self, **wanted: Any) -> None:
        """Begin or end a stream."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(wanted).encode() + b"\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def sending(movie: Path) -> Iterator[Sender]:
    """A sender while the context lasts."""
    sender = Sender(movie)
    try:
        yield sender
    finally:
        sender.close()


# --- how much a recorded stream costs --------------------------------------------------------------------------------


def pss_bytes(pid: int) -> int:
    """Memory of a process, shared pages counted by their share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


class Cost:
    """What a turn cost: CPU seconds per second of one stream, PSS of all, bytes on disk per byte of video."""

    def __init__(self, cpu: float, pss: int, overhead: float) -> None:
        self.cpu, self.pss, self.overhead = cpu, pss, overhead


def check(files: Sequence[Path], count: int) -> float:
    """Every file holds consecutive pictures; bytes on disk per byte of video."""
    on_disk = video_bytes = 0
    if len(files) < count:
        raise AssertionError(f"{len(files)} files of {count} streams")
    for path in files:
        numbers, size = numbers_of(path)
        if len(numbers) < FPS or any(after != before + 1 for before, after in pairwise(numbers)):
            raise AssertionError(f"{path} has {len(numbers)} pictures, and not one after the other")
        on_disk += path.stat().st_size
        video_bytes += size
    return on_disk / video_bytes


def numbers_of(path: Path) -> tuple[list[int], int]:
    """The numbers of a file's pictures, and the bytes of their samples."""
    data = path.read_bytes()
    movie = read_movie(data)
    track = movie.track(Kind.VIDEO)
    assert track is not None
    numbers, size = [], 0
    for fragment in scan(data, movie=movie).fragments:
        for run in fragment.runs:
            for sample in run.samples if run.track == track.id else ():
                size += sample.size
                head = data[sample.offset : sample.offset + 64]
                at = head.index(MARK) + len(MARK)
                numbers.append(int(head[at : at + 12]))
    return numbers, size


async def ours(folder: Path, sender: Sender, count: int, seconds: float) -> Cost:
    """One turn of the product: the main process and its media child."""
    running = await Host.start(folder, sender, count, segment_seconds=60.0)
    try:
        await running.until(count)

        def written() -> int:
            return sum(1 for path in (folder / "objects").rglob("*") if "video," in path.name and path.stat().st_size)

        main = running.process.pid
        spent, pss = await measured([main, child_of(main)], seconds, written, count)
        await running.end(signal.SIGTERM)
    finally:
        await running.end(signal.SIGKILL)
    for point in POINTS[:count]:
        sender.order(id=point)
    files = sorted((folder / "objects" / "video").rglob("*.mp4"))
    return Cost(spent / count, pss - running.idle_pss, check(files, count))


async def measured(pids: Sequence[int], seconds: float, written: Callable[[], int], count: int) -> tuple[float, int]:
    """(CPU seconds per second, PSS) of these processes, from two seconds after the last stream is on the disk."""
    async with asyncio.timeout(120):
        while written() < count:
            await asyncio.sleep(0.2)
    await asyncio.sleep(2.0)
    before, began = sum(map(cpu_seconds, pids)), time.monotonic()
    await asyncio.sleep(seconds)
    spent = (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - began)
    return spent, sum(map(pss_bytes, pids))


def sdp(port: int, sets: h26x.ParameterSets) -> str:
    """What FFmpeg must know of an RTP stream."""
    import base64

    told = ",".join(base64.b64encode(nal).decode() for nal in sets)
    return (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=video {port} RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
        f"a=fmtp:96 packetization-mode=1; sprop-parameter-sets={told}\r\n"
    )


async def theirs(folder: Path, sender: Sender, movie: Path, count: int, seconds: float) -> Cost:
    """One turn of FFmpeg, a process a stream."""
    with av.open(str(movie)) as opened:
        sets, _ = h26x.parse_avcc(bytes(opened.streams.video[0].codec_context.extradata or b""))
    processes = []
    for number in range(count):
        port = 26_000 + number * 2
        (folder / f"{number}.sdp").write_text(sdp(port, sets))
        command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-protocol_whitelist", "file,udp,rtp"]
        command += ["-buffer_size", "2097152", "-i", str(folder / f"{number}.sdp"), "-c", "copy"]
        command += ["-movflags", "frag_keyframe+empty_moov+default_base_moof", str(folder / f"{number}.mp4")]
        processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        sender.order(id=f"p{number}", port=port, ssrc=300_000_000 + number, kind="h264")
    try:
        pids = [process.pid for process in processes]
        cpu, pss = await measured(
            pids, seconds, lambda: sum(1 for path in folder.glob("*.mp4") if path.stat().st_size > 2000), count
        )
    finally:
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            await asyncio.to_thread(process.wait, 30)
    for number in range(count):
        sender.order(id=f"p{number}")
    return Cost(cpu / count, pss, check([folder / f"{number}.mp4" for number in range(count)], count))


async def compare(folder: Path, *, count: int, pairs: int, seconds: float) -> list[Row]:
    """The rows of the first table."""
    movie = folder / "hd.mp4"
    encode(movie, size="1920x1080", rate="2M", gop=2 * FPS)
    mine: list[Cost] = []
    peer: list[Cost] = []
    with sending(movie) as sender:
        for number in range(pairs):
            for turn in "ab" if number % 2 == 0 else "ba":
                place = Path(tempfile.mkdtemp(dir=folder))
                if turn == "a":
                    mine.append(await ours(place, sender, count, seconds))
                else:
                    peer.append(await theirs(place, sender, movie, count, seconds))
                shutil.rmtree(place)
    cpu = of_pairs([one.cpu for one in mine], [one.cpu for one in peer])
    pss = of_pairs([one.pss for one in mine], [one.pss for one in peer])
    overhead = max(one.overhead for one in mine)
    gate = f"{count} streams on both sides, all pictures one after the other"
    return [
        row(
            "CPU per recorded 1080p25 stream of 2 Mb/s, main process and media child",
            f"{cpu.ours * 1000:.2f} ms/s",
            f"{cpu.peer * 1000:.2f} ms/s, ffmpeg -c copy",
            str(cpu),
            "≤ 1.0×",
            cpu.high <= 1.0,
            gate,
        ),
        row(
            f"memory (PSS) at {count} streams",
            f"{pss.ours / 2**20:.0f} MiB",
            f"{pss.peer / 2**20:.0f} MiB, ffmpeg -c copy",
            str(pss),
            "≤ 0.2×",
            pss.high <= 0.2,
            gate,
        ),
        row(
            "bytes in the files per byte of video",
            f"{overhead:.4f}",
            f"{max(one.overhead for one in peer):.4f}",
            "",
            "≤ 1.02",
            overhead <= 1.02,
            gate,
        ),
    ]


def row(what: str, ours: str, peer: str, ratio: str, target: str, holds: bool, gate: str) -> Row:
    """One line of a table."""
    return Row(what=what, ours=ours, peer=peer, ratio=ratio, target=target, holds=holds, gate=gate)


# --- what a kill costs -----------------------------------------------------------------------------------------------


class Pushes:
    """A gateway whose devices send at once: it prints where to."""

    name = "bench"

    async def open_stream(self, address: Address, stream: Stream, receiver: Receiver, trace: Trace) -> Pushed:
        """See Gateway."""
        order = {"id": address.point, "port": receiver.port, "ssrc": receiver.ssrc, "kind": "ps"}
        print(json.dumps(order), flush=True)
        return Pushed(dialog=receiver.id)

    async def close_stream(self, dialog: str) -> None:
        """See Gateway."""

    async def ptz(self, address: Address, order: PtzOrder) -> None:
        """See Gateway."""

    async def presets(self, address: Address) -> Sequence[Preset]:
        """See Gateway."""
        return []

    async def request_key_frame(self, address: Address) -> None:
        """See Gateway."""

    def transports(self, address: Address) -> Sequence[Transport]:
        """See Gateway."""
        return [Transport.UDP]


async def host(folder: Path, count: int, segment_seconds: float) -> None:
    """Recorder, index and media child as the product joins them; until SIGTERM."""
    logs.configure(level="ERROR", as_json=True)
    clock = SystemClock()
    state = await State.open(f"sqlite:///{folder}/media.db")
    await migrate(state, schema=MEDIA)
    objects, index = Objects.open(f"file://{folder}/objects"), SegmentIndex(state)
    plans = Plans(state, clock, lambda point: None)
    access = Access()
    access.register(Pushes())

    async def nobody(name: str) -> Sequence[PointId]:
        return []

    async def address_of(point: PointId) -> Address:
        return Address(point=point, gateway="bench", device=point, channel=point)

    recorder = Recorder(
        index=index,
        plans=plans,
        clock=clock,
        segment_seconds=segment_seconds,
        points_of=nobody,
        may_write=lambda: True,
        on_recording=lambda point, on: print(json.dumps({"id": point, "recording": on}), flush=True),
    )
    reindex, died = Reindex(index=index, objects=objects), asyncio.Event()

    async def recover() -> None:
        abandoned = recorder.abandoned()
        await reindex.recover()
        recorder.settled(await reindex.settle(abandoned))

    async def on_death(child: Child) -> None:
        await streams.child_died(child)
        died.set()

    children = Children(
        1,
        arguments=["--objects", f"file://{folder}/objects", "--rtp-ports", "24002", "25998"],
        run=folder,
    )
    ssrcs = iter(range(200_000_000 + os.getpid() % 1000 * 10_000, 1 << 32))
    streams = Streams(
        access=access,
        children=children,
        clock=clock,
        settings=Media(host="127.0.0.1"),
        address_of=address_of,
        media_host=lambda zone: "127.0.0.1",
        next_ssrc=lambda is_past: next(ssrcs),
        seals=recorder,
        on_evidence=lambda point, packet, picture: None,
        on_play=lambda trace: None,
    )
    children.attach(on_event=streams.handle, on_death=on_death)
    recorder.attach(streams)
    await recover()
    if not await plans.current(limit=1, after=""):
        for point in POINTS[:count]:
            await plans.add(Plan(id=uuid7(0), version=1, point=point, point_class=None, mode=Mode.CONTINUOUS))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    tending = asyncio.create_task(children.run())
    await children.ready()
    print(json.dumps({"idle_pss": pss_bytes(os.getpid())}), flush=True)
    recording = asyncio.create_task(recorder.run())

    async def salvage() -> None:
        while True:
            await died.wait()
            died.clear()
            await recover()

    salvaging = asyncio.create_task(salvage())
    await stop.wait()
    recording.cancel()
    await asyncio.wait({recording})
    await streams.stop()
    await children.stop()
    await recorder.flush()
    salvaging.cancel()
    tending.cancel()
    await recover()
    await state.close()
    objects.close()


class Host:
    """The benchmark's side of it: relays its orders to the sender."""

    def __init__(self, process: asyncio.subprocess.Process, sender: Sender) -> None:
        self.process = process
        self._sender = sender
        self.recorded: set[str] = set()
        self.idle_pss = 0
        """Memory of the main process before it recorded."""

    @classmethod
    async def start(cls, folder: Path, sender: Sender, count: int, *, segment_seconds: float = 4.0) -> Host:
        """Run it."""
        command = [sys.executable, "-m", "benchmarks.recording", "--role", "host", "--folder", str(folder)]
        command += ["--streams", str(count), "--segment-seconds", str(segment_seconds)]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        return cls(process, sender)

    async def until(self, count: int, seconds: float = 90.0) -> None:
        """Relay until so many streams are recorded."""
        async with asyncio.timeout(seconds):
            while len(self.recorded) < count:
                assert self.process.stdout is not None
                line = await self.process.stdout.readline()
                if not line:
                    raise AssertionError("the recording process ended")
                said = json.loads(line)
                if "idle_pss" in said:
                    self.idle_pss = said["idle_pss"]
                elif "port" in said:
                    self._sender.order(**said)
                elif said["recording"]:
                    self.recorded.add(said["id"])
                else:
                    self.recorded.discard(said["id"])

    async def end(self, number: int) -> None:
        """A signal, and wait."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        async with asyncio.timeout(60):
            await self.process.wait()


def child_of(pid: int) -> int:
    """The media child below a process."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return int(found[0]) if found else 0


async def kill(folder: Path, *, kills: int, count: int = 4, seed: int = 7) -> list[Row]:
    """The rows of the second table."""
    movie, dice = folder / "small.mp4", random.Random(seed)
    encode(movie, size="320x180", rate="400k", gop=FPS)
    place = folder / "host"
    place.mkdir()
    killed: list[tuple[str, float]] = []
    with sending(movie) as sender:
        running = await Host.start(place, sender, count)
        try:
            await running.until(count)
            for _ in range(kills):
                # a recording begins with the next key frame, within a second; only what was begun can be lost
                await asyncio.sleep(dice.uniform(2.0, 5.0))
                running.recorded.clear()
                child = child_of(running.process.pid)
                if dice.random() < 0.6:
                    killed.append(("media child", time.time()))
                    os.kill(child, signal.SIGKILL)
                else:
                    killed.append(("main process", time.time()))
                    await running.end(signal.SIGKILL)
                    while Path(f"/proc/{child}").exists():  # it leaves what it has written, by itself
                        await asyncio.sleep(0.02)
                    running = await Host.start(place, sender, count)
                await running.until(count)
            await asyncio.sleep(3.0)
            await running.end(signal.SIGTERM)
        finally:
            await running.end(signal.SIGKILL)
        begun = sender.begun
    files = sorted((place / "objects" / "video").rglob("*.mp4"))
    verify(place, files)
    losses = lost(files, killed, begun, count)
    worst = max(losses)
    mains = sum(1 for what, _ in killed if what == "main process")
    return [
        row(
            f"lost by a kill -9, {kills} times at random, {count} streams",
            f"worst {worst:.2f} s, median {statistics.median(losses):.2f} s",
            "",
            "",
            "≤ 2 s",
            worst <= 2.0,
            f"{mains} of them the main process; {len(files)} files decode whole, all indexed, nothing left over",
        )
    ]


def lost(files: Sequence[Path], killed: Sequence[tuple[str, float]], begun: float, count: int) -> list[float]:
    """Seconds sent before each kill and not there afterwards, for each kill and stream."""
    by_point: dict[str, set[int]] = {}
    for path in files:
        by_point.setdefault(path.parts[-4], set()).update(numbers_of(path)[0])
    if len(by_point) != count:
        raise AssertionError(f"{len(by_point)} points have recordings, {count} were recorded")
    losses = []
    for _, moment in killed:
        last_sent = int((moment - begun) * FPS)
        for numbers in by_point.values():
            newest = max((number for number in numbers if number <= last_sent), default=0)
            losses.append((last_sent - newest) / FPS)
    return losses


def verify(place: Path, files: Sequence[Path]) -> None:
    """Every file decodes, every file has its row and every row its file. Raises AssertionError."""
    with contextlib.closing(sqlite3.connect(place / "media.db")) as base:
        if base.execute("pragma integrity_check").fetchone() != ("ok",):
            raise AssertionError("the database is damaged")
        rows = {str(UUID(bytes=id)): size for id, size in base.execute("select id, size_bytes from segment")}
    found = {path.stem.partition("-")[2]: path.stat().st_size for path in files}
    if rows != found:
        raise AssertionError(f"{len(rows.keys() ^ found.keys())} rows or files are alone, or their sizes differ")
    left = [path for path in (place / "objects").rglob("*") if path.is_file() and path not in set(files)]
    if left:
        raise AssertionError(f"left over: {left[:3]}")
    for path in files:
        command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-f", "null", "-"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or done.stderr:
            raise AssertionError(f"{path}: {done.stderr[:300]}")


def measure(quick: bool, *, streams: int = 50, kills: int = 50) -> list[Row]:
    """All rows."""
    folder = Path(tempfile.mkdtemp(prefix="recording-"))
    try:
        if quick:
            rows = asyncio.run(compare(folder, count=min(streams, 4), pairs=1, seconds=4.0))
            return rows + asyncio.run(kill(folder, kills=min(kills, 3)))
        rows = asyncio.run(compare(folder, count=streams, pairs=6, seconds=8.0))
        return rows + asyncio.run(kill(folder, kills=kills))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Print the rows."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--streams", type=int, default=50)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--role", default="", help=argparse.SUPPRESS)
    options.add_argument("--movie", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--segment-seconds", type=float, default=4.0, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.role == "send":
        send(chosen.movie)
    elif chosen.role == "host":
        asyncio.run(host(chosen.folder, chosen.streams, chosen.segment_seconds))
    else:
        print(table(measure(chosen.quick, streams=chosen.streams, kills=chosen.kills)))


if __name__ == "__main__":
    main()
