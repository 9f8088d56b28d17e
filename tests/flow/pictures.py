"""Video for flow tests, made and decoded by FFmpeg; and a live viewer."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.conftest import missing
from tests.flow.served import ROOT, Served


def ffmpeg(*arguments: str) -> bytes:
    """Run FFmpeg; its standard output."""
    if shutil.which("ffmpeg") is None:
        missing("FFmpeg")
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done.stdout


def scene(folder: Path, *, seconds: int = 20, codec: str = "libx264") -> Path:
    """A moving test picture, H.264 without B-frames, a key frame a second."""
    path = folder / "scene.mp4"
    if not path.exists():
        ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-t", str(seconds), "-c:v", codec,
               "-preset", "ultrafast",
               "-g", "25", "-bf", "0", "-pix_fmt", "yuv420p", str(path))  # fmt: skip
    return path


def footage(folder: Path) -> Path:
    """Real footage where the workbench has it, else a scene."""
    for name in ("../shared/videos/car-detection.mp4", "../../shared/videos/car-detection.mp4"):
        if (ROOT / name).exists():
            return (ROOT / name).resolve()
    return scene(folder)


def repeated(movie: Path, times: int) -> Path:
    """The movie's video so many times over, on one clock."""
    path = movie.with_stem(f"{movie.stem}-{times}")
    ffmpeg("-stream_loop", str(times - 1), "-i", str(movie), "-an", "-c:v", "copy", str(path))
    return path


def program_stream(movie: Path) -> bytes:
    """The movie's video as a program stream (MPEG-2 systems), by FFmpeg's muxer."""
    return ffmpeg("-i", str(movie), "-an", "-c:v", "copy", "-bsf:v", "h264_mp4toannexb", "-f", "vob", "-")


def decoded(data: bytes | Path) -> list[str]:
    """Digest of the luma of each picture, in order of display."""
    with av.open(io.BytesIO(data) if isinstance(data, bytes) else str(data)) as movie:
        assert isinstance(movie, av.container.InputContainer)
        movie.streams.video[0].thread_type = "AUTO"
        return [hashlib.md5(f.to_ndarray(format="gray").tobytes()).hexdigest() for f in movie.decode(video=0)]


def is_run(part: list[str], whole: list[str]) -> bool:
    """Whether the pictures are some consecutive pictures of the whole."""
    return bool(part) and any(whole[at : at + len(part)] == part for at in range(len(whole)))


class Viewed:
    """What a live viewer got. error: the last text message, where it was one. flows: how the stream came in."""

    def __init__(self) -> None:
        self.hello: dict[str, Any] = {}
        self.flows: list[dict[str, Any]] = []
        self.error: dict[str, Any] = {}
        self.data = b""
        self.fragments = 0
        self.code: int | None = None


def view(
    served: Served, point: str, *, fragments: int, seconds: float = 25, stream: str = "main",
    after: tuple[int, Callable[[], None]] | None = None, converted: bool = False,
) -> Viewed:  # fmt: skip
    """Watch live until so many fragments came, or it ended. after: what to do once, after how many fragments.

    converted: ask for H.264.
    """
    seen = Viewed()
    url = served.url.replace("http", "ws", 1) + f"/api/v1/points/{point}/live?stream={stream}&flow=true"
    url += "&as=h264" if converted else ""
    headers = {"Authorization": f"Bearer {served.token}"}
    with connect(url, additional_headers=headers, max_size=None, open_timeout=seconds, proxy=None) as socket:
        with contextlib.suppress(ConnectionClosed):
            while seen.fragments < fragments:
                message = socket.recv(seconds)
                if isinstance(message, str):
                    told = json.loads(message)
                    if "error" in told:
                        seen.error = told["error"]
                    elif "flow" in told:
                        seen.flows.append(told["flow"])
                    else:
                        seen.hello = told
                    continue
                seen.fragments += b"moof" in message[:64]
                seen.data += message
                if after is not None and seen.fragments == after[0] and b"moof" in message[:64]:
                    after[1]()
        seen.code = socket.protocol.close_code
    return seen
