"""Playback: HLS over the stored segments (RFC 8216), on wall-clock time.

A playlist names pieces of segments, cut at key frames, about four seconds each. A piece is served with one read; the
decode times of its fragments, which count from the segment's start, are moved to count from 1970, so that pieces of
all segments lie on one time line and a player sees a break only where there was one.

The playlist opens a look, whose token rides in the URL of each piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from anwang.governance import Action, Actor
from anwang.kernel.errors import NotFound
from anwang.kernel.ids import PointId, SegmentId
from anwang.kernel.times import Span, from_micros, rfc3339
from anwang.media.conversions import is_h265
from anwang.media.footage import Footage
from anwang.media.looks import Look, RecordingLooks
from anwang.media.model import Segment
from anwang.media.sight import Sight
from anwang.media.timeline import SETTLE_US, Missing, check_range
from anwang.runtime.clock import Clock
from anwang.wire.fmp4 import rebase_all

PIECE_US = 4_000_000
LONGEST_RANGE_US = 24 * 3_600_000_000
TOUCH_US = 500_000
LARGEST_PIECE = 128 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Bytes [first, last) of a segment, beginning with a key frame, and the time they cover."""

    segment: Segment
    first: int
    last: int
    start_us: int
    end_us: int


def pieces_of(one: Segment, *, is_open: bool = False) -> list[Piece]:
    """A segment in pieces of PIECE_US or the next key frame after that; the last may be shorter.

    is_open: it still grows, and the piece that may grow with it is left out; pieces never change once they are named.
    """
    pieces: list[Piece] = []
    frames = one.key_frames
    begin = 0
    for index in range(1, len(frames)):
        if frames[index].offset_us - frames[begin].offset_us >= PIECE_US:
            pieces.append(_piece(one, begin, frames[index].position, one.start_us + frames[index].offset_us))
            begin = index
    if not is_open:
        pieces.append(_piece(one, begin, one.size_bytes, one.end_us))
    return pieces


def _piece(one: Segment, begin: int, last: int, end_us: int) -> Piece:
    frame = one.key_frames[begin]
    # the first piece begins with the segment even if its first frame's time is rounded otherwise
    start = one.start_us if begin == 0 else one.start_us + frame.offset_us
    return Piece(segment=one, first=frame.position, last=last, start_us=start, end_us=max(end_us, start + 1000))


def follows(before: Segment, after: Segment) -> bool:
    """Whether a decoder may go on from one segment to the next as if nothing had happened."""
    return (
        after.continues
        and abs(after.start_us - before.end_us) <= TOUCH_US
        and (before.codec, before.width, before.height) == (after.codec, after.width, after.height)
    )


def playlist(
    pieces: Sequence[Piece],
    *,
    span: Span,
    token: str,
    is_final: bool,
    causes: Sequence[Missing] = (),
    as_h264: bool = False,
    cover: str = "",
) -> str:
    """The media playlist (RFC 8216 4.3) of these pieces, in order; at least one.

    is_final: nothing more will come. causes: the gaps, stated as date ranges of class anwang.gap (4.3.2.7). cover: tag
    of the masks that are drawn, so that what a player has kept with others is not taken for it.
    """
    longest = max(piece.end_us - piece.start_us for piece in pieces)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{-(-longest // 1_000_000)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        f"#EXT-X-PLAYLIST-TYPE:{'VOD' if is_final else 'EVENT'}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    early = span.start - pieces[0].start_us
    if early > 0:
        lines.append(f"#EXT-X-START:TIME-OFFSET={early / 1e6:.3f},PRECISE=YES")
    before: Segment | None = None
    for piece in pieces:
        one = piece.segment
        # only where there is something to convert, so that a player can tell what it shows
        ask = f"look={token}{'&as=h264' if as_h264 and is_h265(one.codec) else ''}{f'&cover={cover}' if cover else ''}"
        if one is not before:
            if before is not None and not follows(before, one):
                lines.append("#EXT-X-DISCONTINUITY")
            lines.append(f'#EXT-X-MAP:URI="../../media/{one.id}/init.mp4?{ask}"')
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_iso(piece.start_us)}")
            before = one
        lines.append(f"#EXTINF:{(piece.end_us - piece.start_us) / 1e6:.3f},")
        lines.append(f"../../media/{one.id}/{piece.first}-{piece.last}.m4s?{ask}")
    for number, cause in enumerate(causes):
        seconds = (cause.end_us - cause.start_us) / 1e6
        lines.append(
            f'#EXT-X-DATERANGE:ID="gap-{cause.start_us}-{number}",CLASS="anwang.gap",'
            f'START-DATE="{_iso(cause.start_us)}",DURATION={seconds:.3f},X-CAUSE="{cause.cause}"'
        )
    if is_final:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def _iso(micros: int) -> str:
    return from_micros(micros // 1000 * 1000).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Causes(Protocol):
    """Why parts of a range are missing; the time axis knows."""

    async def missing(self, point: PointId, span: Span) -> Sequence[Missing]:
        """In order, without what is recorded and without the future."""


@dataclass(slots=True, kw_only=True)
class Playback:
    """Playlists, init parts and pieces. as_h264 wherever it stands: H.265 is converted, the rest comes as it is. What
    masks must be drawn on is converted in any case.
    """

    footage: Footage
    causes: Causes
    looks: RecordingLooks
    clock: Clock
    sight: Sight

    async def playlist(
        self, actor: Actor, point: PointId, span: Span, *, stream: str | None = None, as_h264: bool = False
    ) -> str:
        """The playlist of a range of at most 24 hours; it grows while the range reaches into the future.

        Raises Invalid; NotFound where nothing is recorded, naming the cause; and as RecordingLooks.open.
        """
        check_range(span, LONGEST_RANGE_US)
        look = await self.looks.open(actor, Action.VIEW_PLAYBACK, point, span, stream or "")
        chosen = await self.footage.stream_for(point, span, stream)
        found = await self.footage.segments(point, span, chosen)
        is_final = self.clock.micros() >= span.end + SETTLE_US
        pieces = [
            piece
            for one, grows in found
            for piece in pieces_of(one, is_open=grows and not is_final)
            if piece.start_us < span.end and piece.end_us > span.start
        ]
        causes = await self.causes.missing(point, span)
        if not pieces:
            raise NotFound(*nothing_there(causes))
        is_final = is_final or pieces[-1].end_us >= span.end
        cover = self.sight.masks.past(point, look)
        return playlist(
            pieces,
            span=span,
            token=look.token,
            is_final=is_final,
            causes=causes,
            as_h264=as_h264,
            cover=cover.tag if cover else "",
        )

    async def init(self, actor: Actor, token: str, id: SegmentId, *, as_h264: bool = False) -> bytes:
        """The init part of a segment inside the look. Raises NotFound, Denied; and as Sight.piece."""
        look = self.looks.redeem(actor, token)
        one = await self._segment(look, id)
        data = await self.footage.init(one)
        paint = self.sight.past(look.point, look)
        if paint or (as_h264 and is_h265(one.codec)):
            data = await self.sight.piece(one, data, b"", paint, key=0)
        self.looks.serve(look, len(data))
        return data

    async def piece(
        self, actor: Actor, token: str, id: SegmentId, first: int, last: int, *, as_h264: bool = False
    ) -> bytes:
        """A piece with its decode times on the wall clock. Raises NotFound, Denied, Invalid; as Sight.piece."""
        look = self.looks.redeem(actor, token)
        one = await self._segment(look, id)
        start = next((frame.offset_us for frame in one.key_frames if frame.position == first), None)
        if start is None or not first < last <= one.size_bytes or last - first > LARGEST_PIECE:
            raise NotFound("this piece of video does not exist", "load the playlist again")
        ends = (frame.offset_us for frame in one.key_frames if frame.position >= last)
        end_us = one.start_us + next(ends, one.end_us - one.start_us)
        if one.start_us + start >= look.span.end or end_us <= look.span.start:
            raise NotFound("this piece of video does not exist", "it lies outside the range that was opened")
        data = await self.footage.read(one, first, last)
        paint = self.sight.past(look.point, look)
        if paint or (as_h264 and is_h265(one.codec)):
            data = await self.sight.piece(one, await self.footage.init(one), data, paint, key=(first, last))
        moved = rebase_all(data, one.start_us * 9 // 100)
        self.looks.serve(look, len(moved))
        return moved

    async def _segment(self, look: Look, id: SegmentId) -> Segment:
        one, _ = await self.footage.find(look.point, id)
        if one.start_us >= look.span.end or one.end_us <= look.span.start:
            raise NotFound("this piece of video does not exist", "it lies outside the range that was opened")
        return one


def nothing_there(causes: Sequence[Missing]) -> tuple[str, str]:
    """Reason and hint where a range has no recording at all."""
    if not causes:
        return "nothing is recorded in this range yet", "try again in a few seconds"
    longest = max(causes, key=lambda one: one.end_us - one.start_us)
    since = rfc3339(from_micros(longest.start_us))
    return f"nothing is recorded in this range: {longest.cause} since {since}", "the time axis shows what is recorded"
