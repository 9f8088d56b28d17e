"""What a privacy mask costs: a live stream decoded, drawn on and encoded, against the same with nothing drawn on it.

    python -m benchmarks.masks [--rounds 5]

Ten seconds of a camera's H.264 (noise over a test picture, 25 pictures a second, key frame every 2 s), fed fragment by
fragment to the code that the child runs, in this process. Four masks cover a fifth of the picture. The share of a core
is CPU time by the stream's own time: it is paid once for all viewers of a stream, and by a viewer without masks not at
all. Turns A B B A. Gate: every picture comes out, and what is covered is flat.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tempfile
import time
from pathlib import Path

import av
import numpy as np

from anwang.media.convert import Converter
from anwang.media.masks.drawing import SHOWN, stencil
from anwang.media.masks.model import Polygon
from anwang.media.masks.paint import NOTHING, Mark, Paint
from anwang.wire.fmp4 import Init, read_movie, scan
from benchmarks.ratio import Row, in_turns, table
from tests.recordings import cut

FPS = 25
SIZES = ((640, 360, "600k"), (1280, 720, "2M"), (1920, 1080, "4M"))


def _box(x: int, y: int, width: int, height: int) -> Polygon:
    return ((x, y), (x + width, y), (x + width, y + height), (x, y + height))


MASKS = (
    _box(500, 500, 2500, 2000),
    _box(6000, 1000, 2500, 2000),
    _box(1000, 6000, 2500, 2000),
    _box(6500, 6000, 2500, 2000),
)
PAINTS = {
    "four masks": Paint(MASKS),
    "four masks and a mark": Paint(MASKS, Mark(text="李 li · 北区分局", id="0123abcd", zero_us=0)),
}


def encode(path: Path, width: int, height: int, rate: str, seconds: int) -> None:
    """A camera's stream."""
    command = ["ffmpeg", "-v", "quiet", "-y", "-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate={FPS}"]
    command += ["-vf", "noise=alls=8:allf=t", "-t", str(seconds), "-c:v", "libx264", "-preset", "fast", "-bf", "0"]
    command += ["-g", "50", "-pix_fmt", "yuv420p", "-b:v", rate, "-maxrate", rate, "-bufsize", rate, str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def pieces(path: Path) -> tuple[bytes, list[bytes]]:
    """Init part and fragments, as a media child gives them."""
    ((_, data),) = cut(path, every_gops=10_000)
    movie = read_movie(data)
    return data[: movie.size], [data[one.offset : one.offset + one.size] for one in scan(data).fragments]


def converted(init: bytes, fragments: list[bytes], paint: Paint) -> tuple[float, bytes, int]:
    """Seconds of CPU, what came out, pictures."""
    converter, out, count = Converter(init, paint), [], 0
    begun = time.process_time()
    for fragment in fragments:
        for one in converter.push(fragment):
            out.append(one.data)
            count += not isinstance(one, Init)
    for one in converter.flush():
        out.append(one.data)
        count += not isinstance(one, Init)
    return time.process_time() - begun, b"".join(out), count


def check(data: bytes, width: int, height: int) -> None:
    """What is covered is flat."""
    inside = stencil(MASKS, width, height)
    with av.open(io.BytesIO(data)) as movie:
        for picture in movie.decode(video=0):
            area = picture.to_ndarray(format="gray")[inside].astype(int)
            assert abs(np.percentile(area, (1, 99)) - SHOWN).max() <= 8, "the mask is not flat"


def measure(quick: bool) -> list[Row]:
    """Each size, with masks and with masks and mark."""
    return run(rounds=1 if quick else 7, seconds=2 if quick else 10)


def run(*, rounds: int, seconds: int) -> list[Row]:
    """rounds: pairs that count. seconds: of stream."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="masks-") as folder:
        for width, height, rate in SIZES:
            path = Path(folder) / f"{height}.mp4"
            encode(path, width, height, rate, seconds)
            rows += [one(path, f"{width}×{height}, {what}", paint, rounds, seconds) for what, paint in PAINTS.items()]
    return rows


def one(path: Path, what: str, paint: Paint, rounds: int, seconds: int) -> Row:
    """One stream with one paint."""
    init, fragments = pieces(path)
    video = read_movie(init).tracks[0]
    _, data, count = converted(init, fragments, paint)
    assert count == seconds * FPS, count
    check(data, video.width, video.height)
    ratio = in_turns(
        lambda: converted(init, fragments, paint)[0], lambda: converted(init, fragments, NOTHING)[0], rounds
    )
    return Row(
        what=what,
        ours=f"{ratio.ours / seconds * 100:.1f} % of a core",
        peer=f"{ratio.peer / seconds * 100:.1f} % of a core",
        ratio=str(ratio),
        target="<= 1.25",
        holds=ratio.high <= 1.25,
        gate=f"{count} pictures, flat where covered",
    )


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    print(table(run(rounds=parser.parse_args().rounds, seconds=10)))


if __name__ == "__main__":
    main()
