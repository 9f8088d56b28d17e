"""A clip of ten minutes out of stored segments: time to its first byte, and to its last, against FFmpeg's concat.

    python -m benchmarks.media_clip [--rounds 5] [--folder F]

Ten segments of 60 s, 1280x720, 25 pictures a second, about 2 Mb/s, key frame every 2 s, one picture a fragment as the
recorder writes them; with and without sound. The peer is `ffmpeg -f concat -c copy`: with +faststart into a file, which
is the same kind of file as ours and can be sent when it is done; and as fragments into a pipe, which is not (no size,
no seeking) but begins earlier. Turns A B B A, files in the page cache; gate: the same number of pictures in all.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from anwang.kernel.ids import PointId, SegmentId, uuid7
from anwang.kernel.times import Span
from anwang.media.export import Export
from anwang.media.footage import Footage
from anwang.media.index import SegmentIndex
from anwang.media.looks import Look
from anwang.media.masks.paint import NOTHING, Paint
from anwang.media.plans import Plans
from anwang.media.timeline import Timeline
from anwang.runtime.clock import SystemClock
from anwang.stores.objects import Objects
from anwang.stores.state import MEDIA, State, migrate
from benchmarks.ratio import Row, of_pairs, table
from tests.recordings import cut, segment_of

START_US = 1_793_491_200_000_000
POINT = PointId(uuid7(START_US // 1000))


class Free:
    """Looks that nobody asks for."""

    async def open(self, actor: Any, action: Any, point: PointId, span: Span, stream: str = "") -> Look:
        """A look of its own each time, so that nothing is remembered."""
        return Look(id=uuid7(0), token="", point=point, span=span, stream=stream)  # type: ignore[arg-type]

    def serve(self, look: Look, sent: int) -> None:
        """Nothing to count."""


class Bare:
    """No point has masks."""

    def past(self, *_: object) -> Paint:
        """Nothing is drawn."""
        return NOTHING

    def check(self, *_: object, **__: object) -> None:
        """Everything may be shown."""


def encode(path: Path, *, sound: bool) -> None:
    """A minute of noise moving over a test picture, at 2 Mb/s."""
    command = ["ffmpeg", "-v", "quiet", "-y", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25"]
    command += ["-f", "lavfi", "-i", "sine=sample_rate=16000"] if sound else []
    command += ["-t", "60", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-bf", "0"]
    command += ["-keyint_min", "50", "-sc_threshold", "0", "-b:v", "2M", "-maxrate", "2M", "-bufsize", "2M"]
    command += ["-c:a", "aac", "-b:a", "32k"] if sound else []
    subprocess.run([*command, str(path)], check=True, stdin=subprocess.DEVNULL)


def pictures(path: Path) -> int:
    """Pictures in a file, counted by FFmpeg without decoding."""
    command = ["ffprobe", "-v", "quiet", "-select_streams", "v", "-count_packets", "-show_entries"]
    out = subprocess.run(
        [*command, "stream=nb_read_packets", "-of", "csv=p=0", str(path)], check=True, capture_output=True
    )
    return int(out.stdout.split()[0].strip(b","))


def concat(listed: Path, target: Path) -> float:
    """Seconds until the file is there."""
    begun = time.perf_counter()
    command = ["ffmpeg", "-v", "quiet", "-y", "-f", "concat", "-safe", "0", "-i", str(listed), "-c", "copy"]
    subprocess.run([*command, "-movflags", "+faststart", str(target)], check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - begun


def concat_pipe(listed: Path) -> float:
    """Seconds until the first byte of a fragmented stream."""
    begun = time.perf_counter()
    command = ["ffmpeg", "-v", "quiet", "-f", "concat", "-safe", "0", "-i", str(listed), "-c", "copy", "-f", "mp4"]
    with subprocess.Popen(
        [*command, "-movflags", "frag_keyframe+empty_moov", "-"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        taken = time.perf_counter() - begun
        process.kill()
    return taken


async def ours(export: Export, target: Path) -> tuple[float, float]:
    """Seconds until the first byte and until the file is there."""
    begun = time.perf_counter()
    first = 0.0
    clip, look = await export.clip(None, POINT, Span(START_US, START_US + 600_000_000))  # type: ignore[arg-type]
    with target.open("wb") as file:
        async for block in export.read(clip, look, 0, clip.size):
            first = first or time.perf_counter() - begun
            file.write(block)
    return first, time.perf_counter() - begun


async def clips(folder: Path, rounds: int, *, sound: bool) -> list[Row]:
    """One kind of clip."""
    folder.mkdir()
    encode(folder / "minute.mp4", sound=sound)
    ((_, data),) = cut(folder / "minute.mp4", every_gops=1000)
    state = await State.open(f"sqlite:///{folder}/media.db", durable=False)
    await migrate(state, schema=MEDIA)
    objects = Objects.open(f"file://{folder}/objects")
    index, clock = SegmentIndex(state), SystemClock()
    paths = []
    for number in range(10):
        one, whole = segment_of(data, start_us=START_US + number * 60_000_000, point=POINT, continues=number > 0)
        assert one.id != SegmentId("")
        await objects.put(one.key, whole)
        await index.add([one])
        paths.append(objects.local_path(one.key))
    listed = folder / "list.txt"
    listed.write_text("".join(f"file '{path}'\n" for path in paths))
    footage = Footage(index=index, objects=objects, growing=lambda _: [])
    timeline = Timeline(index=index, plans=Plans(state, clock, lambda _: None), clock=clock, growing=lambda _: [])
    times: dict[str, list[float]] = {"first": [], "last": [], "file": [], "pipe": []}
    for number in range(rounds + 1):
        export = Export(footage=footage, causes=timeline, looks=Free(), clock=clock, sight=Bare())  # type: ignore[arg-type]

        async def mine(export: Export = export) -> None:
            first, last = await ours(export, folder / "ours.mp4")
            times["first"].append(first)
            times["last"].append(last)

        def theirs() -> None:
            times["file"].append(concat(listed, folder / "theirs.mp4"))
            times["pipe"].append(concat_pipe(listed))

        if number % 2:
            theirs()
            await mine()
        else:
            await mine()
            theirs()
    counts = pictures(folder / "ours.mp4"), pictures(folder / "theirs.mp4")
    assert counts[0] == counts[1] == 15_000, counts
    middle = {name: statistics.median(taken[1:]) for name, taken in times.items()}
    megabytes = (folder / "ours.mp4").stat().st_size / 1e6
    rows = []
    for what, own, peer, target in (
        ("first byte, concat into a file", "first", "file", 0.1),
        ("first byte, concat into a pipe", "first", "pipe", None),
        ("whole file, concat into a file", "last", "file", None),
    ):
        ratio = of_pairs(times[own], times[peer])
        rows.append(
            Row(
                what=f"10 minutes {'with' if sound else 'without'} sound, {megabytes:.0f} MB: {what}",
                ours=f"{middle[own] * 1000:.0f} ms", peer=f"{middle[peer] * 1000:.0f} ms", ratio=str(ratio),
                target="" if target is None else f"<= {target}", holds=None if target is None else ratio.high <= target,
                gate="15,000 pictures in each",
            )
        )  # fmt: skip
    await state.close()
    objects.close()
    return rows


def measure(quick: bool) -> list[Row]:
    """With and without sound."""
    return asyncio.run(both(1 if quick else 8, None))


async def both(rounds: int, under: Path | None) -> list[Row]:
    """Both kinds, in a folder that goes away."""
    folder = Path(tempfile.mkdtemp(prefix="media-clip-", dir=under))
    try:
        return [row for sound in (False, True) for row in await clips(folder / f"sound-{sound}", rounds, sound=sound)]
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=6)
    options.add_argument("--folder", type=Path)
    chosen = options.parse_args()
    print(table(asyncio.run(both(chosen.rounds, chosen.folder))))


if __name__ == "__main__":
    main()
