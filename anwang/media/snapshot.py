"""Single pictures from video. Decoding happens in child processes only: a broken stream may crash one, never us.

A child is this module run as a program (`worker`); requests and answers are msgpack arrays. It may use so much memory
and time and no more; one that is late or broken is killed, and another takes its place with the next request.
"""

from __future__ import annotations

import asyncio
import io
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec

from anwang.kernel.errors import Exhausted, Invalid, NotFound, Unavailable, Unsupported
from anwang.kernel.ids import PointId
from anwang.kernel.times import BEIJING, from_micros, rfc3339
from anwang.media.footage import Footage
from anwang.media.index import Place, SegmentIndex, place_in
from anwang.media.timeline import GrowingOf
from anwang.media.worker import Worker, confine, serve

LONGEST_INPUT = 64 << 20
LARGEST_SIDE = 8192
LONGEST_DECODE_SECONDS = 6.0
_MEMORY_BYTES = 2 << 30


class _Ask(msgspec.Struct, array_like=True):
    """data: init and whole fragments that begin with a key frame. ticks_us: the picture at or before this time of the
    media, None: the first. at_us: wall clock for the picture's metadata, 0: unknown. budget_s: after so long the last
    picture that was decoded is it.
    """

    data: bytes
    ticks_us: int | None
    width: int
    at_us: int
    budget_s: float


class _Answer(msgspec.Struct, array_like=True):
    """error empty: jpeg is the picture, shown at ticks_us of the media."""

    error: str
    jpeg: bytes = b""
    width: int = 0
    height: int = 0
    ticks_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A JPEG. at_us: wall clock of the picture, 0 if unknown. media_us: its time in the media that was given."""

    jpeg: bytes
    width: int
    height: int
    at_us: int
    media_us: int


class DecodePool:
    """A few decoder processes. Started when first needed; `close` ends them."""

    def __init__(self, *, children: int = 1, waiting: int = 64, timeout_s: float = 8.0) -> None:
        self._free = asyncio.Semaphore(children)
        self._idle: deque[Worker] = deque()
        self._busy: set[Worker] = set()
        self._bound = waiting
        self._timeout_s = timeout_s
        self.waiting = 0
        self.refused = 0
        self.killed = 0

    async def picture(
        self,
        data: bytes,
        *,
        media_us: int | None = None,
        width: int = 0,
        at_us: int = 0,
        budget_s: float = LONGEST_DECODE_SECONDS,
    ) -> Picture:
        """One picture as JPEG.

        data: init part and whole fragments, beginning with a key frame. media_us: the picture at or before this time
        of the media, None: the first. width: pixels, smaller than the original; 0: as it is. at_us: wall clock of
        media_us (or of the first picture), for the metadata. budget_s: where decoding up to media_us takes longer, the
        last picture before it that was decoded is the answer, with its own time.

        Raises Invalid, Unsupported (the codec), Unavailable (the decoder failed or was late), Exhausted.
        """
        if len(data) > LONGEST_INPUT:
            raise Invalid(f"{len(data)} bytes to find one picture in", "the stream's key frames are too far apart")
        if not 0 <= width <= LARGEST_SIDE:
            raise Invalid(f"a picture of {width} pixels", f"0 to {LARGEST_SIDE}")
        if self.waiting >= self._bound:
            self.refused += 1
            raise Exhausted(f"{self.waiting} pictures already wait to be decoded", "try again in a moment")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._timeout_s * 4):
                await self._free.acquire()
        except TimeoutError:
            self.refused += 1
            raise Exhausted("no decoder became free in time", "try again in a moment") from None
        finally:
            self.waiting -= 1
        try:
            answer = await self._ask(msgspec.msgpack.encode(_Ask(data, media_us, width, at_us, budget_s)))
        finally:
            self._free.release()
        if answer.error:
            raise Unsupported(f"no picture can be made of this: {answer.error}")
        shift = 0 if media_us is None else answer.ticks_us - media_us
        return Picture(
            jpeg=answer.jpeg,
            width=answer.width,
            height=answer.height,
            at_us=at_us + shift if at_us else 0,
            media_us=answer.ticks_us,
        )

    async def _ask(self, body: bytes) -> _Answer:
        child = self._idle.popleft() if self._idle else await Worker.start("anwang.media.snapshot")
        self._busy.add(child)
        done = False
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = msgspec.msgpack.decode(await child.ask(body), type=_Answer)
            done = True
        except TimeoutError:
            raise Unavailable(f"the decoder took longer than {self._timeout_s:g} s and was ended") from None
        except (ConnectionError, asyncio.IncompleteReadError, msgspec.MsgspecError):
            raise Unavailable("the decoder broke on this video") from None
        finally:
            self._busy.discard(child)
            if done:
                self._idle.append(child)
            else:
                self.killed += 1
                await asyncio.shield(child.kill())
        return answer

    async def close(self) -> None:
        """End all children."""
        for child in [*self._idle, *self._busy]:
            await child.kill()
        self._idle.clear()


class Snapshots:
    """Pictures from recordings at a moment. Who may look is decided before."""

    def __init__(self, *, index: SegmentIndex, footage: Footage, pool: DecodePool, growing: GrowingOf) -> None:
        self._index = index
        self._footage = footage
        self._pool = pool
        self._growing = growing

    async def at(self, point: PointId, at_us: int, *, width: int = 0, exact: bool = True) -> Picture:
        """The picture that a point showed at a moment; with exact=False the key frame before it, which is faster.

        Raises NotFound where nothing was recorded then, saying what comes next.
        """
        place = await self._place(point, at_us)
        one, frame = place.segment, place.key_frame
        ends = (other.position for other in one.key_frames if other.position > frame.position)
        init, fragments = (
            await self._footage.init(one),
            await self._footage.read(one, frame.position, next(ends, one.size_bytes)),
        )
        wanted = at_us - one.start_us if exact else frame.offset_us
        return await self._pool.picture(init + fragments, media_us=wanted, width=width, at_us=one.start_us + wanted)

    async def _place(self, point: PointId, at_us: int) -> Place:
        for growing in self._growing(point):
            one = growing.segment
            if one.start_us <= at_us < one.end_us and one.key_frames:
                return place_in(one, at_us)
        following: Place | None = None
        for stream in await self._index.streams(point):
            place = await self._index.seek(point, at_us, stream=stream)
            if place is not None and place.at_us == at_us:
                return place
            if place is not None and (following is None or place.at_us < following.at_us):
                following = place
        hint = "" if following is None else f"recording goes on at {rfc3339(from_micros(following.at_us))}"
        raise NotFound(f"nothing is recorded at {rfc3339(from_micros(at_us))}", hint)


# --- the child -------------------------------------------------------------------------------------------------------


def decode(
    data: bytes, *, media_us: int | None, width: int, at_us: int, budget_s: float = LONGEST_DECODE_SECONDS
) -> tuple[bytes, int, int, int]:
    """(JPEG, width, height, time in the media in µs) of one picture. Only for a child: it may crash or never end."""
    import av

    until = time.monotonic() + budget_s

    with av.open(io.BytesIO(data), mode="r") as container:
        if not container.streams.video:
            raise ValueError("no video track")
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        chosen: Any = None
        for frame in container.decode(stream):
            at = 0 if frame.pts is None or frame.time_base is None else int(frame.pts * frame.time_base * 1_000_000)
            # half a tick of 90 kHz: the index keeps whole milliseconds
            if chosen is not None and media_us is not None and at > media_us + 1000:
                break
            chosen = frame, at
            if media_us is None or time.monotonic() > until:
                break
        if chosen is None:
            raise ValueError("no picture could be decoded")
        frame, shown_us = chosen
        image = frame.to_image()
    if width and width < image.width:
        image = image.resize((width, max(1, round(image.height * width / image.width))))
    exif = image.getexif()
    if at_us:
        moment = from_micros(at_us + (0 if media_us is None else shown_us - media_us))
        local = moment.astimezone(BEIJING)
        exif[0x0132] = local.strftime("%Y:%m:%d %H:%M:%S")  # DateTime
        details = exif.get_ifd(0x8769)
        details[0x9003] = local.strftime("%Y:%m:%d %H:%M:%S")  # DateTimeOriginal
        details[0x9011] = "+08:00"  # OffsetTimeOriginal
        details[0x9291] = f"{local.microsecond // 1000:03d}"  # SubsecTimeOriginal
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88, exif=exif)
    return out.getvalue(), image.width, image.height, shown_us


def _answer(body: bytes) -> bytes:
    ask = msgspec.msgpack.decode(body, type=_Ask)
    try:
        jpeg, width, height, ticks = decode(
            ask.data, media_us=ask.ticks_us, width=ask.width, at_us=ask.at_us, budget_s=ask.budget_s
        )
        answer = _Answer("", jpeg, width, height, ticks)
    except Exception as err:  # whatever it is, it is an answer, and the next request is another
        answer = _Answer(f"{type(err).__name__}: {err}"[:300])
    return msgspec.msgpack.encode(answer)


if __name__ == "__main__":
    confine(_MEMORY_BYTES)
    serve(_answer, sys.stdin.buffer, sys.stdout.buffer)
