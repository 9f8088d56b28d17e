"""Clips: a range of a recording as one ordinary MP4 file, without decoding anything; or, where masks or a mark must be
drawn on it, as one that is made while it is sent.

The file's front is made from the segments' tables, and behind it come the stored samples as they are. So a file
of any length needs only its front computed, has a known size, and any byte range of it can be served.

Time is never invented: at a gap the file goes on with the next recording, and the gap is told beside the file. An edit
list lets the presentation begin at the moment asked for, although decoding must begin at the key frame before it.

A file that is drawn on is fragmented, of a size that nobody knows before, and made a few seconds of video at a time,
each taking its turn among the conversions: it costs what a viewer of it costs, and ends when the connection does.

Either kind carries the id of its look in its metadata.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from msgspec.structs import replace

from anwang.governance import Action, Actor, LookId
from anwang.kernel.errors import Exhausted, Internal, NotFound
from anwang.kernel.ids import PointId
from anwang.kernel.times import BEIJING, Span, from_micros
from anwang.media.footage import Footage
from anwang.media.index import place_in
from anwang.media.looks import Look, RecordingLooks
from anwang.media.masks.model import Polygon
from anwang.media.masks.paint import Cut, Mark, Paint, Timed, fitting
from anwang.media.model import Segment
from anwang.media.playback import Causes, Piece, nothing_there, pieces_of
from anwang.media.sight import Sight, mark_of, sign
from anwang.media.timeline import Missing, check_range
from anwang.runtime.clock import Clock
from anwang.wire.aac import AacConfig
from anwang.wire.fmp4 import (
    Flat,
    Movie,
    Stored,
    Table,
    delays_90k,
    flatten,
    read_movie,
    rebase_all,
    scan,
    times_90k,
    with_comment,
)
from anwang.wire.units import Kind

LONGEST_CLIP_US = 6 * 3_600_000_000
READ_BYTES = 1 << 20
CLIPS_KEPT = 32
SCANS = 2
"""Segments whose tables are read at once."""
EDGE_US = 200_000
"""A covered area begins so much earlier and ends so much later: what is shown between two pictures is covered, too."""
PATIENCE_SECONDS = 5.0
"""Between two tries of what waits for a conversion and has time."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a segment that stand side by side in the file: (offset in the segment, size) each."""

    segment: Segment
    ranges: Sequence[tuple[int, int]]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A file that can be served: its front, then the parts. size: of the whole file, bytes. gaps: what the range
    lacks. span: what the presentation shows, wall clock of its first and behind its last picture.
    """

    front: bytes
    parts: Sequence[Part]
    size: int
    gaps: Sequence[Missing]
    span: Span
    stream: str
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """An area that is covered for good, and when."""

    span: Span
    polygon: Polygon


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacting:
    """How a copy for others is made: all privacy masks are covered, and these areas."""

    redactions: tuple[Redaction, ...]
    with_sound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A file that is drawn on while it is sent. pieces: in order. wanted: what was asked for. span: what it shows.
    redacting: it is a copy for others; None: it is not.
    """

    pieces: Sequence[Piece]
    wanted: Span
    mark: Mark | None
    gaps: Sequence[Missing]
    span: Span
    stream: str
    redacting: Redacting | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """What a clip takes of one segment, at least one fragment. begins_90k, ends_90k: decode time of its first picture
    and the end of its last.
    """

    segment: Segment
    movie: Movie
    table: Table
    begins_90k: int
    ends_90k: int


def _assemble(sources: Sequence[_Source], span: Span, comment: str) -> tuple[Flat, list[Part], Span]:
    """(front and size, parts, shown wall clock) of a clip from its sources, which are in order."""
    first, last = sources[0], sources[-1]
    begins_90k = _ticks(max(0, span.start - first.segment.start_us))
    skip = max(0, begins_90k - first.begins_90k)
    length = -skip
    for source in sources:
        upto = min(_ticks(span.end - source.segment.start_us), source.ends_90k)
        length += max(0, upto - source.begins_90k)
    stored = [Stored(source.movie, source.table) for source in sources]
    flat = flatten(stored, skip_90k=skip, length_90k=length, comment=comment)
    starts = first.segment.start_us + (first.begins_90k + skip) * 100 // 9
    ends = last.segment.start_us + min(_ticks(span.end - last.segment.start_us), last.ends_90k) * 100 // 9
    return flat, _parts(flat, sources), Span(starts, max(starts, ends))


def _ticks(micros: int) -> int:
    """Microseconds in 90 kHz, to the nearest."""
    return (micros * 9 + 50) // 100


def _parts(flat: Flat, sources: Sequence[_Source]) -> list[Part]:
    """The file's pieces in portions that are read at once: of one segment, near each other, about READ_BYTES."""
    parts: list[Part] = []
    ranges: list[tuple[int, int]] = []
    source = size = 0
    base = limit = 0
    for number, offset, length in flat.pieces:
        if ranges and (number != source or offset + length > limit or offset < base):
            parts.append(Part(sources[source].segment, ranges, size))
            ranges, size = [], 0
        if not ranges:
            source, base, limit = number, offset, offset + READ_BYTES
        ranges.append((offset, length))
        size += length
    if ranges:
        parts.append(Part(sources[source].segment, ranges, size))
    return parts


@dataclass(slots=True, kw_only=True)
class Export:
    """Clips, and the recently made ones: a player or a download asks for the same file in many ranges."""

    footage: Footage
    causes: Causes
    looks: RecordingLooks
    clock: Clock
    sight: Sight
    _kept: OrderedDict[LookId, Clip] = field(default_factory=OrderedDict)

    async def clip(
        self, actor: Actor, point: PointId, span: Span, *, stream: str | None = None, marked: bool = False
    ) -> tuple[Clip | Drawing, Look]:
        """The clip of a range of at most six hours, and the look that it was opened under. marked: visibly.

        Raises Invalid; NotFound where nothing is recorded, naming the cause; and as RecordingLooks.open.
        """
        check_range(span, LONGEST_CLIP_US)
        look = await self.looks.open(actor, Action.EXPORT, point, span, stream or "")
        return await self.plan(look, mark_of(actor, look.id) if marked else None, stream=stream), look

    async def plan(
        self, look: Look, mark: Mark | None, *, stream: str | None = None, redacting: Redacting | None = None
    ) -> Clip | Drawing:
        """The clip that an open look is for; see `clip`."""
        point, span = look.point, look.span
        if redacting is not None or self.sight.past(point, look, mark):
            return await self._plan(point, span, stream, mark, redacting)
        kept = self._kept.get(look.id)
        if kept is None:
            kept = await self._make(point, span, stream, sign(look.id))
            if span.end < self.clock.micros():
                self._kept[look.id] = kept
                while len(self._kept) > CLIPS_KEPT:
                    self._kept.popitem(last=False)
        return kept

    async def _plan(
        self, point: PointId, span: Span, stream: str | None, mark: Mark | None, redacting: Redacting | None
    ) -> Drawing:
        chosen = await self.footage.stream_for(point, span, stream)
        found = await self.footage.segments(point, span, chosen)
        gaps = await self.causes.missing(point, span)
        pieces = [
            piece
            for one, _ in found
            for piece in pieces_of(one)
            if piece.start_us < span.end and piece.end_us > span.start
        ]
        if not pieces:
            raise NotFound(*nothing_there(gaps))
        shown = Span(max(span.start, pieces[0].start_us), min(span.end, pieces[-1].end_us))
        return Drawing(pieces=pieces, wanted=span, mark=mark, gaps=gaps, span=shown, stream=chosen, redacting=redacting)

    def paint(self, drawing: Drawing, look: Look, one: Segment) -> Paint:
        """What is drawn on a segment's pictures: a copy for others has all masks, whoever may see it without."""
        mark = drawing.mark and replace(drawing.mark, zero_us=one.start_us)
        redacting = drawing.redacting
        if redacting is None:
            return self.sight.past(look.point, look, mark)
        timed = tuple(
            Timed(each.polygon, each.span.start - one.start_us - EDGE_US, each.span.end - one.start_us + EDGE_US)
            for each in redacting.redactions
        )
        return replace(self.sight.past(look.point, dataclasses.replace(look, masked=True), mark), timed=timed)

    async def draw(self, drawing: Drawing, look: Look, *, is_patient: bool = False) -> AsyncIterator[bytes]:
        """The file, fragment by fragment. What goes out is counted under the look. is_patient: nobody waits for it, so
        it waits for its turn among the conversions.

        Raises NotFound where a segment was deleted meanwhile; and as Conversions.piece.
        """
        film = _Film(with_sound=drawing.redacting is None or drawing.redacting.with_sound)

        async def cut(init: bytes, data: bytes, paint: Paint, wanted: Cut) -> bytes:
            while True:
                try:
                    return await self.sight.cut(init, data, paint, wanted)
                except Exhausted:
                    if not is_patient:
                        raise
                    self.looks.serve(look, 0)
                    await self.clock.sleep(PATIENCE_SECONDS)

        for piece in drawing.pieces:
            one = piece.segment
            init = await self.footage.init(one)
            paint = self.paint(drawing, look, one)
            if not film.is_begun:
                head = film.begin(one, await cut(init, b"", paint, film.cut(one, init, drawing.wanted)))
                block = with_comment(head, sign(look.id))
                self.looks.serve(look, len(block))
                yield block
            data = await self.footage.read(one, piece.first, piece.last)
            made = await cut(init, data, paint, film.cut(one, init, drawing.wanted))
            if made:
                block = film.append(one, made)
                self.looks.serve(look, len(block))
                yield block

    async def _make(self, point: PointId, span: Span, stream: str | None, comment: str) -> Clip:
        chosen = await self.footage.stream_for(point, span, stream)
        found = await self.footage.segments(point, span, chosen)
        gaps = await self.causes.missing(point, span)
        slots = asyncio.Semaphore(SCANS)
        taken = await asyncio.gather(*(self._take(one, span, slots) for one, _ in found))
        sources = [source for source in taken if source is not None]
        if not sources:
            raise NotFound(*nothing_there(gaps))
        flat, parts, shown = await asyncio.to_thread(_assemble, sources, span, comment)
        return Clip(
            front=flat.head,
            parts=parts,
            size=flat.size,
            gaps=gaps,
            span=shown,
            stream=chosen,
            tag=hashlib.sha256(flat.head).hexdigest()[:32],
        )

    async def _take(self, one: Segment, span: Span, slots: asyncio.Semaphore) -> _Source | None:
        """The fragments of a segment from the key frame at or before the span's start up to its end."""
        frame = place_in(one, max(span.start, one.start_us)).key_frame
        end_90k = _ticks(span.end - one.start_us)
        async with slots:
            movie, table = await self.footage.table(one, frame.position)
        return _needed(one, movie, table, end_90k)

    async def read(self, clip: Clip, look: Look, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes [start, end) of the file, in blocks. What goes out is counted under the look. Raises NotFound where a
        segment was deleted meanwhile, Unavailable where the point was given masks.
        """
        if start < len(clip.front):
            block = clip.front[start:end]
            self.looks.serve(look, len(block))
            yield block
        at = len(clip.front)
        for part in clip.parts:
            first, last = max(start - at, 0), min(end - at, part.size)
            at += part.size
            if first >= last:
                continue
            base = part.ranges[0][0]
            offset, size = part.ranges[-1]
            data = await self.footage.read(part.segment, base, offset + size)
            self.sight.check(look.point, look, is_drawn=False)
            block = b"".join([data[offset - base : offset - base + size] for offset, size in part.ranges])[first:last]
            self.looks.serve(look, len(block))
            yield block


class _Film:
    """Converted pieces joined to one film: all of the first one's size and sound, without gaps, beginning at zero."""

    def __init__(self, *, with_sound: bool) -> None:
        self._with_sound = with_sound
        self._movie: Movie | None = None
        self._aac: AacConfig | None = None
        self._size: tuple[int, int] | None = None
        self._last: Segment | None = None
        self._shift_90k = 0
        self._ends_90k = 0

    @property
    def is_begun(self) -> bool:
        """Whether its head is known."""
        return self._movie is not None

    def cut(self, one: Segment, init: bytes, wanted: Span) -> Cut:
        """What is wanted of a piece of this segment."""
        sound = read_movie(init).track(Kind.AUDIO)
        return Cut(
            size=self._size or fitting(one.width, one.height),
            within_90k=(_ticks(max(0, wanted.start - one.start_us)), _ticks(wanted.end - one.start_us)),
            with_sound=self._with_sound and (not self.is_begun or (sound is not None and sound.aac == self._aac)),
        )

    def begin(self, one: Segment, head: bytes) -> bytes:
        """head: the converted init part of the first piece."""
        self._movie = read_movie(head)
        sound = self._movie.track(Kind.AUDIO)
        self._aac = None if sound is None else sound.aac
        self._size = fitting(one.width, one.height)
        return head

    def append(self, one: Segment, made: bytes) -> bytes:
        """Fragments that follow, moved to their place."""
        if self._movie is None:
            raise Internal("a film has no head yet")
        times = [
            (run.decode_time, run.decode_time + sum(sample.duration for sample in run.samples))
            for fragment in scan(made, movie=self._movie).fragments
            for run in fragment.runs
            if (track := self._movie.by_id(run.track)) is not None and track.kind is Kind.VIDEO
        ]
        begins, ends = min(times)[0], max(times)[1]
        if one is not self._last:
            self._shift_90k = self._ends_90k - begins
            self._last = one
        self._ends_90k = ends + self._shift_90k
        return rebase_all(made, self._shift_90k)


def _needed(one: Segment, movie: Movie, table: Table, end_90k: int) -> _Source | None:
    """What of a segment is shown before its time end_90k, and what that needs; None where nothing is."""
    if not len(table.fragment_at):
        return None
    begins, lasts = times_90k(table, movie)
    delays = delays_90k(table, movie)
    # pictures come in decoding order, so what is shown before the end may stand behind what is shown after it
    shown = np.flatnonzero(begins + delays - delays[0] < end_90k)
    if not len(shown):
        return None
    last = int(shown[-1])
    return _Source(one, movie, table.part(0, last + 1), int(begins[0]), int(begins[last] + lasts[last]))


def file_name(name: str, span: Span) -> str:
    """Name of a clip's file: the point's name and civil time (Asia/Shanghai), without letters that file systems
    forbid.
    """
    start, end = (from_micros(moment).astimezone(BEIJING) for moment in (span.start, span.end))
    safe = "".join("_" if letter in '\\/:*?"<>|' or not letter.isprintable() else letter for letter in name)[:80]
    return f"{safe.strip(' .') or 'clip'}_{start:%Y%m%d-%H%M%S}_{end:%H%M%S}.mp4"
