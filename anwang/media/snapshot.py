"""Single pictures from video. Decoding happens in child processes only: a broken stream may crash one, never us.

A child is `decode` run as a program; requests and answers are msgpack arrays. It may use so much memory and time and no
more; one that is late or broken is killed, and another takes its place with the next request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

import msgspec

from anwang.kernel.errors import Exhausted, Invalid, NotFound, Unavailable, Unsupported
from anwang.kernel.ids import PointId
from anwang.kernel.times import from_micros, rfc3339
from anwang.media.decode import LARGEST_SIDE, Answer, Ask
from anwang.media.footage import Footage
from anwang.media.index import Place, SegmentIndex, place_in
from anwang.media.masks.paint import Paint
from anwang.media.timeline import GrowingOf
from anwang.media.worker import Worker

LONGEST_INPUT = 64 << 20
LONGEST_DECODE_SECONDS = 6.0


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
        paint: Paint,
        media_us: int | None = None,
        width: int = 0,
        at_us: int = 0,
        budget_s: float = LONGEST_DECODE_SECONDS,
    ) -> Picture:
        """One picture as JPEG.

        data: init part and whole fragments, beginning with a key frame, or a JPEG. paint: what is drawn on it, as
        `sight.Sight` says; a mark's time zero is 0 here. media_us: the picture at or before this time of the media,
        None: the first. width: pixels, smaller than the original; 0: as it is. at_us: wall clock of media_us (or of
        the first picture), for the metadata and the mark. budget_s: where decoding up to media_us takes longer, the
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
            answer = await self._ask(msgspec.msgpack.encode(Ask(data, media_us, width, at_us, budget_s, paint)))
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

    async def _ask(self, body: bytes) -> Answer:
        child = await Worker.waiting(self._idle, "anwang.media.decode")
        self._busy.add(child)
        done = False
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = msgspec.msgpack.decode(await child.ask(body), type=Answer)
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

    async def at(self, point: PointId, at_us: int, *, paint: Paint, width: int = 0, exact: bool = True) -> Picture:
        """The picture that a point showed at a moment; with exact=False the key frame before it, which is faster.

        paint: see DecodePool.picture.

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
        return await self._pool.picture(
            init + fragments, paint=paint, media_us=wanted, width=width, at_us=one.start_us + wanted
        )

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
