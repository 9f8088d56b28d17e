"""What a look is shown: the one place that decides which source serves it.

A look is obliged to cover what a point's privacy masks cover, unless a second person lifted that (G09, G03). Whatever
leaves the platform asks here, and is given either what the camera sent or the same with the masks drawn on; the masks
are asked for again with every fragment, so that a new one stops what is bare at once.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Hashable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from anwang.governance import Actor, LookId
from anwang.kernel.errors import Unavailable, Unsupported
from anwang.kernel.ids import PointId
from anwang.media.control import FrameKind
from anwang.media.conversions import Conversions, is_h265
from anwang.media.framing import Tap, frames
from anwang.media.live import Lease
from anwang.media.made import Made
from anwang.media.masks.paint import Cut, Mark, Paint
from anwang.media.masks.service import Masks, Obliged
from anwang.media.model import Segment
from anwang.runtime.clock import Clock
from anwang.wire.fmp4 import read_movie
from anwang.wire.units import Kind

LARGEST_GROUP = 64 << 20
"""Bytes from one key frame to the next."""
SHORT_ID = 8
"""Letters of a look's id in a mark; its last ones, which are random."""


def sign(look_id: LookId) -> str:
    """What stands in the metadata of every picture and clip that leaves: `anwang ledger trace` finds the look by it."""
    return f"anwang look {look_id}"


def mark_of(actor: Actor, look_id: LookId) -> Mark:
    """The visible mark, on media whose time is wall clock."""
    text = f"{actor.display_name} {actor.username} · {actor.org_name}"
    if actor.purpose is not None:
        text += f"\n{actor.purpose.case_no} · {actor.purpose.unit}"
    return Mark(text=text, id=look_id[-SHORT_ID:], zero_us=0)


@dataclass(frozen=True, slots=True)
class Shown:
    """A source that may serve one look at a live stream. is_drawn: masks are drawn on it."""

    sight: Sight
    tap: Tap
    point: PointId
    look: Obliged
    is_drawn: bool
    is_converted: bool

    def check(self) -> None:
        """Raises Unavailable where it may serve no more, because the point has masks now."""
        self.sight.check(self.point, self.look, is_drawn=self.is_drawn)


class Sight:
    """The choice of sources, over masks and conversions."""

    def __init__(self, *, masks: Masks, conversions: Conversions, clock: Clock) -> None:
        self.masks = masks
        self._conversions = conversions
        self._made = Made(clock)
        masks.follow(self._masks_changed)

    def _masks_changed(self, point: PointId) -> None:
        self._conversions.repaint(point, Paint(self.masks.now(point).polygons))

    def check(self, point: PointId, look: Obliged, *, is_drawn: bool) -> None:
        """Raises Unavailable where a look is served bare, and has to be no more."""
        if self.masks.has(point, look) and not is_drawn:
            raise Unavailable("this point was given privacy masks", "open it again")

    # --- now

    @asynccontextmanager
    async def live(self, lease: Lease, look: Obliged, *, as_h264: bool) -> AsyncIterator[Shown]:
        """Where a leased stream is taken from for this look. as_h264: H.265 is converted.

        Raises Exhausted, Unavailable. A point that has masks is converted even while none of them applies: its head
        may turn in the next moment.
        """
        point = lease.feed.point
        if self.masks.has(point, look):
            async with self._conversions.converted(lease, Paint(self.masks.now(point).polygons)) as one:
                yield Shown(self, one.tap, point, look, is_drawn=True, is_converted=True)
        elif as_h264 and is_h265(lease.ready.codec):
            async with self._conversions.converted(lease) as one:
                yield Shown(self, one.tap, point, look, is_drawn=False, is_converted=True)
        else:
            tap = Tap(lease.feed.child.viewers, lease.feed.id)
            yield Shown(self, tap, point, look, is_drawn=False, is_converted=False)

    def picture(self, point: PointId, look: Obliged, mark: Mark | None = None) -> Paint:
        """What to draw on a picture of now."""
        return Paint(self.masks.live(point, look).polygons, mark)

    # --- what was recorded

    def past(self, point: PointId, look: Obliged, mark: Mark | None = None) -> Paint:
        """What to draw on recordings."""
        return Paint(self.masks.past(point, look).polygons, mark)

    async def piece(self, one: Segment, init: bytes, data: bytes, paint: Paint, *, key: Hashable) -> bytes:
        """A piece of a segment, or its init part where data is empty, as H.264 with the paint on it; kept a moment.

        key: which piece it is. Raises as Conversions.piece.
        """
        return await self._made.get((one.id, key, paint), lambda: self._conversions.piece(init, data, paint))

    async def cut(self, init: bytes, data: bytes, paint: Paint, cut: Cut) -> bytes:
        """The same, made for one file and not kept."""
        return await self._conversions.piece(init, data, paint, cut)

    async def device_frames(self, lease: Lease, look: Obliged) -> AsyncGenerator[tuple[FrameKind, bytes], None]:
        """What a device sends of its recording: bare, or drawn on from one key frame to the next.

        Raises as framing.frames and Conversions.piece; Unavailable where it was bare, and has to be no more.
        """
        point = lease.feed.point
        is_drawn = self.masks.has(point, look)
        async with aclosing(frames(lease.feed.child.viewers, lease.feed.id)) as source:
            async for frame in self._drawn(source, point, look) if is_drawn else source:
                self.check(point, look, is_drawn=is_drawn)
                yield frame

    async def _drawn(
        self, source: AsyncIterator[tuple[FrameKind, bytes]], point: PointId, look: Obliged
    ) -> AsyncIterator[tuple[FrameKind, bytes]]:
        group: list[bytes] = []
        hello: dict[str, object] = {}
        init = b""

        async def made() -> bytes:
            data = b"".join(group)
            group.clear()
            return await self._conversions.piece(init, data, self.past(point, look))

        async for kind, data in source:
            if kind is not FrameKind.FRAGMENT and group:
                yield FrameKind.KEY, await made()
            if kind is FrameKind.TEXT:
                hello = json.loads(data)
            elif kind is FrameKind.INIT:
                init = data
                head = await made()
                yield FrameKind.TEXT, json.dumps(hello | _described(head, hello)).encode()
                yield FrameKind.INIT, head
            else:
                group.append(data)
                if sum(map(len, group)) > LARGEST_GROUP:
                    raise Unsupported("the key frames of this recording are too far apart to draw masks on it")
        if group:
            yield FrameKind.KEY, await made()


def _described(init: bytes, hello: dict[str, object]) -> dict[str, object]:
    """What a hello says of a converted stream."""
    movie = read_movie(init)
    video = movie.track(Kind.VIDEO)
    return {
        "mime": f'video/mp4; codecs="{movie.codecs}"',
        "codec": movie.codecs,
        "width": video.width if video is not None else 0,
        "height": video.height if video is not None else 0,
        "converted_from": hello.get("codec", ""),
        "masked": True,
    }
