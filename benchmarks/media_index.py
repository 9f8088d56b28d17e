"""The media index at city scale, against a re-creation of Moonfire's published layout in SQLite, in the same run.

    python -m benchmarks.media_index [--cameras 1000] [--days 30] [--peer-cameras 20] [--folder F]

Ours holds cameras x days of 60 s segments with a key frame every two seconds. The first --through minutes of the city
are written through SegmentIndex.add in batches as a recorder does (one batch a minute), which gives the insert rate;
the rest is written as the same rows with plain sqlite3, because 43 million through the product take hours.

The peer holds what its design/schema.md describes: a recording row with a covering index on (camera, start), and a
playback row whose blob has two varints per frame (25 frames a second, duration delta with key bit, size delta against
the frame before of the same kind). It is written with plain sqlite3 and executemany, which is faster than a server
would be; its seek scans the blob in Python.

Each question is asked at random of both, in turns: A B B A. A month's listing of ours goes through SQLAlchemy and
asyncio as in the product; the peer's is a bare cursor.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from anwang.kernel.ids import PointId, SegmentId, uuid7
from anwang.kernel.times import Span
from anwang.media.index import DAY_US, SegmentIndex, join
from anwang.media.model import KeyFrame, Segment, pack_key_frames, segment_key
from anwang.stores.state import MEDIA, State, migrate
from benchmarks.ratio import Row, of_pairs, table

START_US = 1_793_491_200_000_000  # 2026-11-01 UTC
MINUTE_US = 60_000_000
FPS, GOP = 25, 50


def segment(camera: PointId, start_us: int, dice: random.Random) -> Segment:
    """A minute of 2 Mb/s: thirty key frames, object about 15 MB."""
    id = SegmentId(uuid7(start_us // 1000))
    position = 1300
    frames = []
    for number in range(60 * FPS // GOP):
        frames.append(KeyFrame(number * GOP * 1_000_000 // FPS, position))
        position += 500_000 + dice.randrange(-40_000, 40_000)
    return Segment(
        id=id,
        point=camera,
        stream="main",
        key=segment_key(camera, "main", start_us, id),
        start_us=start_us,
        end_us=start_us + MINUTE_US,
        size_bytes=position,
        init_bytes=1300,
        codec="avc1.64001f,mp4a.40.2",
        width=1920,
        height=1080,
        key_frames=frames,
        continues=True,
    )


def is_missed(minute: int, number: int) -> bool:
    """One minute in a hundred is missing, each camera's own."""
    return (minute * 7919 + number * 104_729) % 100 == 0


async def fill_ours(index: SegmentIndex, cameras: Sequence[PointId], minutes: int, models: Sequence[Segment]) -> float:
    """Write the first minutes through the product; segments per second."""
    spent, written = 0.0, 0
    for minute in range(minutes):
        batch = []
        for number, camera in enumerate(cameras):
            # cameras don't cut at the same moment
            start = START_US + minute * MINUTE_US + number * MINUTE_US // len(cameras)
            if not is_missed(minute, number):
                id = SegmentId(uuid7(start // 1000))
                batch.append(
                    replace(
                        models[(minute * 31 + number) % len(models)],
                        id=id,
                        point=camera,
                        key=segment_key(camera, "main", start, id),
                        start_us=start,
                        end_us=start + MINUTE_US,
                    )
                )
        begun = time.perf_counter()
        await index.add(batch)
        spent += time.perf_counter() - begun
        written += len(batch)
    return written / spent


def fill_rest(path: Path, cameras: int, first: int, minutes: int, models: Sequence[Segment]) -> None:
    """The other minutes, as the same rows; then every day's row."""
    blobs = [pack_key_frames(model.key_frames) for model in models]
    base = sqlite3.connect(path, isolation_level=None)
    # thousands of feeds grow at once: with the usual two megabytes of cache each insert would read its page anew
    base.executescript("pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -400000")
    offsets = [number * MINUTE_US // cameras for number in range(cameras)]
    for minute in range(first, minutes):
        rows = []
        noise = os.urandom(10 * cameras)
        for number, offset in enumerate(offsets):
            if not is_missed(minute, number):
                start = START_US + minute * MINUTE_US + offset
                model = (minute * 31 + number) % len(models)
                id = (start // 1000).to_bytes(6, "big") + noise[number * 10 : number * 10 + 10]
                rows.append((id, number + 1, start, start + MINUTE_US, models[model].size_bytes, blobs[model]))
        if not base.in_transaction:
            base.execute("begin")
        base.executemany(
            "insert into segment (id, feed, start_us, end_us, size_bytes, init_bytes, coding, continues, key_frames)"
            " values (?, ?, ?, ?, ?, 1300, 1, 1, ?)",
            rows,
        )
        if minute % 1440 == 1439:
            base.execute("commit")
            print(f"  day {minute // 1440 + 1} is written", file=sys.stderr, flush=True)
    if not base.in_transaction:
        base.execute("begin")
    for number, offset in enumerate(offsets):
        pieces = [
            (minute * MINUTE_US + offset, (minute + 1) * MINUTE_US + offset)
            for minute in range(minutes)
            if not is_missed(minute, number)
        ]
        days: dict[int, list[tuple[int, int]]] = {}
        for start, end in join(pieces):
            for when in range(start // DAY_US, (end - 1) // DAY_US + 1):
                span = max(start - when * DAY_US, 0) // 1000, min(end - when * DAY_US, DAY_US) // 1000
                days.setdefault(when, []).append(span)
        base.executemany(
            "insert or replace into day values (?, ?, ?)",
            [
                (
                    number + 1,
                    START_US // DAY_US + when,
                    array("I", [value for pair in spans for value in pair]).tobytes(),
                )
                for when, spans in days.items()
            ],
        )
    base.execute("commit")
    base.execute("analyze")
    base.close()


PEER_SCHEMA = """
create table recording (
  composite_id integer primary key, open_id integer not null, stream_id integer not null, run_offset integer not null,
  flags integer not null, sample_file_bytes integer not null, start_time_90k integer not null,
  prev_media_duration_90k integer not null, prev_runs integer not null, wall_duration_90k integer not null,
  media_duration_delta_90k integer not null, video_samples integer not null, video_sync_samples integer not null,
  video_sample_entry_id integer not null);
create index recording_cover on recording (
  stream_id, start_time_90k, open_id, wall_duration_90k, media_duration_delta_90k, video_samples, video_sync_samples,
  video_sample_entry_id, sample_file_bytes, run_offset, flags);
create table recording_playback (composite_id integer primary key, video_index blob not null);
"""


def varint(out: bytearray, value: int) -> None:
    """Little-endian base 128."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def zigzag(value: int) -> int:
    """Signed as unsigned."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def video_index(dice: random.Random) -> bytes:
    """Two varints a frame, durations at 90 kHz with a receipt's jitter, as a camera over RTSP has."""
    out = bytearray()
    before = 0
    sizes = {True: 0, False: 0}
    for frame in range(60 * FPS):
        is_key = frame % GOP == 0
        duration = 3600 + dice.randrange(-15, 16)
        varint(out, zigzag(duration - before) << 1 | is_key)
        before = duration
        size = dice.randrange(80_000, 120_000) if is_key else dice.randrange(6_000, 10_600)
        varint(out, zigzag(size - sizes[is_key]))
        sizes[is_key] = size
    return bytes(out)


def fill_peer(path: Path, cameras: int, days: int) -> tuple[sqlite3.Connection, float]:
    """(connection, rows per second)."""
    dice = random.Random(2)
    pool = [video_index(dice) for _ in range(64)]
    base = sqlite3.connect(path, isolation_level=None)
    base.executescript("pragma journal_mode = wal; pragma synchronous = normal;" + PEER_SCHEMA)
    begun = time.perf_counter()
    for minute in range(days * 1440):
        rows, blobs = [], []
        for camera in range(cameras):
            id = camera << 32 | minute
            start = (START_US + minute * MINUTE_US + camera * MINUTE_US // cameras) * 9 // 100
            rows.append((id, 1, camera, minute, 0, 15_000_000, start, 0, 0, 5_400_000, 0, 1500, 30, 1))
            blobs.append((id, pool[dice.randrange(64)]))
        base.execute("begin")
        base.executemany("insert into recording values (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", rows)
        base.executemany("insert into recording_playback values (?,?)", blobs)
        base.execute("commit")
    return base, days * 1440 * cameras / (time.perf_counter() - begun)


def peer_month(base: sqlite3.Connection, camera: int, start: int, end: int) -> int:
    """List the camera's recordings and join what touches; the number of spans."""
    rows = base.execute(
        "select start_time_90k, wall_duration_90k, run_offset, open_id, sample_file_bytes from recording"
        " where stream_id = ? and start_time_90k between ? and ? order by start_time_90k",
        (camera, start - 5_400_000, end),
    )
    spans = last = 0
    for begin, length, *_ in rows:
        spans += begin > last + 45_000
        last = begin + length
    return spans


def peer_seek(base: sqlite3.Connection, camera: int, at: int) -> tuple[int, int]:
    """(byte offset, time) of the key frame at or before a moment."""
    id, start = base.execute(
        "select composite_id, start_time_90k from recording where stream_id = ? and start_time_90k <= ?"
        " order by start_time_90k desc limit 1",
        (camera, at),
    ).fetchone()
    (blob,) = base.execute("select video_index from recording_playback where composite_id = ?", (id,)).fetchone()
    time_90k = position = duration = 0
    sizes = [0, 0]
    found = (0, 0)
    index, end = 0, len(blob)
    while index < end:
        raw = shift = 0
        while blob[index] & 0x80:
            raw |= (blob[index] & 0x7F) << shift
            shift += 7
            index += 1
        raw |= blob[index] << shift
        index += 1
        is_key, delta = raw & 1, raw >> 1
        if is_key:
            if start + time_90k > at:
                break
            found = position, time_90k
        duration += delta >> 1 ^ -(delta & 1)
        time_90k += duration
        raw = shift = 0
        while blob[index] & 0x80:
            raw |= (blob[index] & 0x7F) << shift
            shift += 7
            index += 1
        raw |= blob[index] << shift
        index += 1
        sizes[is_key] += raw >> 1 ^ -(raw & 1)
        position += sizes[is_key]
    return found


def told(taken: Sequence[float]) -> str:
    """Median and 99th percentile in milliseconds."""
    ordered = sorted(taken)
    return f"p50 {statistics.median(ordered) * 1000:.3f} ms, p99 {ordered[int(len(ordered) * 0.99)] * 1000:.3f} ms"


def timed(taken: list[float], work: Callable[[], object]) -> None:
    """Add how long it took."""
    begun = time.perf_counter()
    work()
    taken.append(time.perf_counter() - begun)


def measure(quick: bool) -> list[Row]:
    """A city's month, beside twenty cameras' of the peer."""
    return asyncio.run(run(options().parse_args(QUICK if quick else [])))


QUICK = ["--cameras", "50", "--days", "2", "--peer-cameras", "4", "--through", "5", "--questions", "200"]


def options() -> argparse.ArgumentParser:
    """What may be chosen."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--cameras", type=int, default=1000)
    made.add_argument("--days", type=int, default=30)
    made.add_argument("--peer-cameras", type=int, default=20)
    made.add_argument("--through", type=int, default=60, help="minutes written through the product")
    made.add_argument("--questions", type=int, default=2000)
    made.add_argument("--folder", type=Path, help="where the databases go; deleted afterwards")
    return made


async def run(chosen: argparse.Namespace) -> list[Row]:
    """In a folder that goes away."""
    folder = Path(tempfile.mkdtemp(prefix="media-index-", dir=chosen.folder))
    try:
        return await fill_and_ask(folder, chosen)
    finally:
        shutil.rmtree(folder)


async def fill_and_ask(folder: Path, chosen: argparse.Namespace) -> list[Row]:
    """The run itself."""
    cameras = [PointId(uuid7(START_US // 1000 - number)) for number in range(chosen.cameras)]
    days, peers = chosen.days, chosen.peer_cameras
    state = await State.open(f"sqlite:///{folder}/ours.db", durable=False)
    await migrate(state, schema=MEDIA)
    index = SegmentIndex(state)
    models = [segment(cameras[0], START_US, random.Random(seed)) for seed in range(64)]
    through = min(chosen.through, days * 1440)
    ours_rate = await fill_ours(index, cameras, through, models)
    await state.close()
    fill_rest(folder / "ours.db", chosen.cameras, through, days * 1440, models)
    base, peer_rate = fill_peer(folder / "peer.db", peers, days)
    base.close()
    ours_bytes = os.path.getsize(folder / "ours.db") / (chosen.cameras * days)
    peer_bytes = os.path.getsize(folder / "peer.db") / (peers * days)

    state = await State.open(f"sqlite:///{folder}/ours.db", durable=False)
    index = SegmentIndex(state)
    base = sqlite3.connect(folder / "peer.db", isolation_level=None)
    dice = random.Random(3)
    whole = Span(START_US, START_US + days * DAY_US)
    times: dict[str, list[float]] = {name: [] for name in ("month", "peer month", "seek", "peer seek", "day")}
    found = missed = 0
    for number in range(chosen.questions):
        camera = cameras[dice.randrange(len(cameras))]
        at = START_US + dice.randrange(days * DAY_US - 2 * MINUTE_US) + MINUTE_US
        peer = dice.randrange(peers)
        begin = START_US + dice.randrange(days) * DAY_US

        async def ours(camera: PointId = camera, at: int = at, begin: int = begin) -> None:
            nonlocal found, missed
            start = time.perf_counter()
            spans = (await index.spans([camera], whole, merge_us=whole.micros // 2000))[camera]
            times["month"].append(time.perf_counter() - start)
            if not spans:
                missed += 1
            start = time.perf_counter()
            place = await index.seek(camera, at)
            times["seek"].append(time.perf_counter() - start)
            if place is not None and place.segment.start_us + place.key_frame.offset_us <= at:
                found += 1
            start = time.perf_counter()
            await index.spans([camera], Span(begin, begin + DAY_US))
            times["day"].append(time.perf_counter() - start)

        def theirs(peer: int = peer, at: int = at) -> None:
            first, last = (moment * 9 // 100 for moment in (whole.start, whole.end))
            timed(times["peer month"], lambda: peer_month(base, peer, first, last))
            timed(times["peer seek"], lambda: peer_seek(base, peer, at * 9 // 100))

        if number % 2:
            await ours()
            theirs()
        else:
            theirs()
            await ours()
    await state.close()
    base.close()
    ours_size = f"{chosen.cameras} cameras x {days} days, {int(chosen.cameras * days * 1440 * 0.99):,} segments"
    peer_size = f"{peers} cameras x {days} days, {peers * days * 1440:,} recordings"
    gate = f"{missed} months without a span; {found} of {chosen.questions} seeks at or before their moment"
    is_right = not missed and found > chosen.questions * 0.9
    rows = [
        Row(
            what="inserts per second (ours through the product, the peer's a bare executemany)",
            ours=f"{ours_rate:,.0f}", peer=f"{peer_rate:,.0f}", gate=f"ours: {ours_size}; peer: {peer_size}",
        ),
        Row(
            what="bytes per camera-day", ours=f"{ours_bytes:,.0f}", peer=f"{peer_bytes:,.0f}",
            ratio=f"{ours_bytes / peer_bytes:.3f}", target="<= 0.10", holds=is_right and ours_bytes / peer_bytes <= 0.1,
            gate=gate,
        ),
    ]  # fmt: skip
    limits = {"month": ("p99 <= 20 ms", 0.99, 0.020), "seek": ("p50 <= 1 ms", 0.5, 0.001)}
    for name, (target, part, limit) in limits.items():
        value = sorted(times[name])[int(len(times[name]) * part)]
        rows.append(
            Row(
                what=f"a {name}", ours=told(times[name]), peer=told(times[f"peer {name}"]),
                ratio=str(of_pairs(times[name], times[f"peer {name}"])), target=target,
                holds=is_right and value <= limit,
                gate=gate,
            )
        )  # fmt: skip
    rows.append(Row(what="a day", ours=told(times["day"]), gate=gate))
    return rows


if __name__ == "__main__":
    print(table(asyncio.run(run(options().parse_args()))))
