"""The cameras' pictures: a still of its own scene at once, its loop as soon as a process of its own has drawn it.

Nothing is drawn that nobody looks at. Loops are kept in the data folder; who comes later finds them.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext

from anwang.democity.pictures import first
from anwang.democity.pictures.clips import EDITION, FORMATS, Clip, Frame, fingerprint, path_of, split
from anwang.democity.pictures.live import Looped, Source, Spliced, Still
from anwang.democity.pictures.scenes import HEVC_SCENES, SCENES, WIDE
from anwang.democity.pictures.turning import Head, Turning
from anwang.kernel.errors import Invalid
from anwang.runtime import logs
from anwang.wire.units import Codec

#: what a camera shows whose scene has no loop in its codec, or that has none at all
ANY_SCENE = "crossing"
TRIES = 3
PAUSE_S = 5.0
DRAW_S = 900.0
TOLD_BYTES = 4096

log = logs.get("democity.pictures")
Draw = tuple[str, bool]  # a scene, empty for the loops of all stills, and whether in H.265
STILLS: Draw = ("", False)


class Library:
    """Gives cameras their pictures. folder: where loops are kept."""

    def __init__(self, folder: Path, *, video: Path | None = None) -> None:
        self._folder = folder / f"{fingerprint()}-{EDITION}"
        self._video = _load_video(video) if video else None
        self._clips: dict[Path, Clip] = {}
        self._wanted: dict[Draw, None] = {}
        self._failed: Counter[Draw] = Counter()
        self._wish = asyncio.Event()

    @property
    def folder(self) -> Path:
        """Where this version's loops are."""
        return self._folder

    @property
    def made(self) -> int:
        """How many loops are there, H.265 ones counted apart."""
        draws = [*((name, False) for name in (*SCENES, *WIDE)), *((name, True) for name in HEVC_SCENES)]
        return sum(self._is_made(*draw) for draw in draws)

    @property
    def wanted(self) -> tuple[Draw, ...]:
        """What is looked at and not drawn yet, in the order in which it will be."""
        return tuple(self._wanted)

    def _is_made(self, name: str, hevc: bool) -> bool:
        if not name:
            stills = (path_of(self._folder, each, one, is_still=True) for each in (*SCENES, *WIDE) for one in FORMATS)
            return all(path.exists() for path in stills)
        return all(path_of(self._folder, name, one, hevc=hevc).exists() for one in FORMATS)

    async def make(self) -> None:
        """Draw what is looked at, one scene after the other, until cancelled; a process that dies is tried again."""
        while True:
            await self._wish.wait()
            self._wish.clear()
            while draw := next(iter(self._wanted), None):
                if self._is_made(*draw) or not (why := await self._draw(*draw)):
                    del self._wanted[draw]
                    continue
                self._failed[draw] += 1
                del self._wanted[draw]
                if self._failed[draw] < TRIES:
                    self._wanted[draw] = None
                log.error(
                    "a picture could not be drawn", scene=draw[0] or "stills", tries=self._failed[draw], reason=why
                )
                await asyncio.sleep(PAUSE_S)

    async def _draw(self, name: str, hevc: bool) -> str:
        """Run the process that draws a scene; why it failed, empty where it did not."""
        # the parser wants what stands alone before what has a name
        command = [sys.executable, "-m", "anwang.democity.pictures", str(self._folder), *([name] if name else [])]
        command += ["--with-parent", *(["--h265"] if hevc else [])]
        child = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(DRAW_S):
                said = await _tail(child.stderr)
                code = await child.wait()
        except TimeoutError:
            return f"not done after {DRAW_S:.0f} s"
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if code == 0:
            return ""
        ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return f"{ended}: {said}" if said else ended

    def source(self, scene: str, stream: str, codec: Codec, name: str, head: Head, *, offset: int = 0) -> Source:
        """A camera's stream, beginning with a key frame."""
        if self._video:
            frames, own, durations = self._video
            return Looped(frames, own, durations)
        if codec is Codec.H265:
            shown = scene if scene in HEVC_SCENES else ANY_SCENE
            loop = self._loop(shown, stream, True)
            still = first.clip(shown, stream)
            newer = None if loop else self._when_drawn(shown, stream, True)
            chosen = loop or still
            return Looped(chosen.frames, Codec.H265, [chosen.duration_90k] * len(chosen.frames), newer=newer)
        shown = scene if scene in SCENES or scene in WIDE else ANY_SCENE
        spliced = self._spliced(shown, stream, name, offset)
        if shown in WIDE:
            return Turning(WIDE[shown](), first.picture(shown), FORMATS[stream], name, head, at_rest=spliced)
        return spliced() or Still(first.planes(shown, stream), FORMATS[stream], name, newer=spliced)

    def _spliced(self, scene: str, stream: str, name: str, offset: int) -> Callable[[], Spliced | None]:
        """Gives the cheapest source there is: the loop, else the loop of the still until the loop is drawn."""
        newer = None if self._is_made(scene, False) else self._when_drawn(scene, stream, False)

        def found() -> Spliced | None:
            if loop := self._loop(scene, stream, False):
                return Spliced(loop, name, offset=offset)
            still = self._read(path_of(self._folder, scene, stream, is_still=True))
            return Spliced(still, name, newer=newer) if still else None

        return found

    def _when_drawn(self, scene: str, stream: str, hevc: bool) -> Callable[[], Clip | None]:
        """Asks for a loop; what it returns tells whether it is there."""
        for draw in (STILLS, (scene, hevc)):
            if draw == STILLS and (hevc or self._is_made(*STILLS)):
                continue
            if self._failed[draw] < TRIES:
                self._wanted.setdefault(draw)
                self._wish.set()
        return lambda: self._loop(scene, stream, hevc)

    def _loop(self, scene: str, stream: str, hevc: bool) -> Clip | None:
        return self._read(path_of(self._folder, scene, stream, hevc=hevc)) if self._is_made(scene, hevc) else None

    def _read(self, path: Path) -> Clip | None:
        if path not in self._clips and path.exists():
            try:
                self._clips[path] = Clip.load(path)
            except (Invalid, OSError) as err:
                log.error("a drawn loop can't be read", path=path.name, reason=str(err))
                with contextlib.suppress(OSError):
                    path.unlink()
        return self._clips.get(path)


async def _tail(said: asyncio.StreamReader | None) -> str:
    """The last line of what a process says, read to its end."""
    kept = b""
    while said is not None and (part := await said.read(TOLD_BYTES)):
        kept = (kept + part)[-TOLD_BYTES:]
    return kept.decode("utf-8", "replace").strip().rpartition("\n")[2][-300:]


def _load_video(path: Path) -> tuple[list[Frame], Codec, list[int]]:
    """The first video stream of a file as a loop. Raises Invalid where it is neither H.264 nor H.265."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        names = {"h264": (Codec.H264, "h264_mp4toannexb"), "hevc": (Codec.H265, "hevc_mp4toannexb")}
        if stream.codec_context.name not in names:
            raise Invalid(f"{path.name} holds {stream.codec_context.name}", "give a file with H.264 or H.265")
        codec, filter_name = names[stream.codec_context.name]
        annexb = BitStreamFilterContext(filter_name, stream)
        frames: list[Frame] = []
        stamps: list[int] = []
        for packet in container.demux(stream):
            if packet.dts is None or packet.size == 0:
                continue
            for unit in annexb.filter(packet):
                frames.append(split(codec, bytes(unit)))
                stamps.append(round((unit.dts or 0) * float(stream.time_base or 0) * 90_000))
    if not frames or not frames[0].is_key:
        raise Invalid(f"{path.name} does not begin with a key frame")
    durations = [max(1, after - before) for before, after in pairwise(stamps)]
    return frames, codec, [*durations, durations[-1] if durations else 3600]
