"""Clips: a range of a recording as one ordinary MP4 file, without decoding anything.

The file's front is made from the segments' tables, and behind it come the stored samples as they are. So a file
of any length needs only its front computed, has a known size, and any byte range of it can be served.

Time is never invented: at a gap the file goes on with the next recording, and the gap is told beside the file. An edit
list lets the presentation begin at the moment asked for, although decoding must begin at the key frame before it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from anwang.governance import Action, Actor, LookId
from anwang.kernel.errors import NotFound
from anwang.kernel.ids import PointId
from anwang.kernel.times import BEIJING, Span, from_micros
from anwang.media.footage import Footage
from anwang.media.index import place_in
from anwang.media.looks import Look, RecordingLooks
from anwang.media.model import Segment
from anwang.media.playback import Causes, nothing_there
from anwang.media.timeline import Missing, check_range
from anwang.runtime.clock import Clock
from anwang.wire.fmp4 import Flat, Movie, Stored, Table, delays_90k, flatten, times_90k

LONGEST_CLIP_US = 6 * 3_600_000_000
READ_BYTES = 1 << 20
CLIPS_KEPT = 32
SCANS = 2
"""Segments whose tables are read at once."""


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


def _assemble(sources: Sequence[_Source], span: Span) -> tuple[Flat, list[Part], Span]:
    """(front and size, parts, shown wall clock) of a clip from its sources, which are in order."""
    first, last = sources[0], sources[-1]
    begins_90k = _ticks(max(0, span.start - first.segment.start_us))
    skip = max(0, begins_90k - first.begins_90k)
    length = -skip
    for source in sources:
        upto = min(_ticks(span.end - source.segment.start_us), source.ends_90k)
        length += max(0, upto - source.begins_90k)
    flat = flatten([Stored(source.movie, source.table) for source in sources], skip_90k=skip, length_90k=length)
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
    _kept: OrderedDict[LookId, Clip] = field(default_factory=OrderedDict)

    async def clip(self, actor: Actor, point: PointId, span: Span, *, stream: str | None = None) -> tuple[Clip, Look]:
        """The clip of a range of at most six hours, and the look that it was opened under.

        Raises Invalid; NotFound where nothing is recorded, naming the cause; and as RecordingLooks.open.
        """
        check_range(span, LONGEST_CLIP_US)
        look = await self.looks.open(actor, Action.EXPORT, point, span, stream or "")
        kept = self._kept.get(look.id)
        if kept is None:
            kept = await self._make(point, span, stream)
            if span.end < self.clock.micros():
                self._kept[look.id] = kept
                while len(self._kept) > CLIPS_KEPT:
                    self._kept.popitem(last=False)
        return kept, look

    async def _make(self, point: PointId, span: Span, stream: str | None) -> Clip:
        chosen = await self.footage.stream_for(point, span, stream)
        found = await self.footage.segments(point, span, chosen)
        gaps = await self.causes.missing(point, span)
        slots = asyncio.Semaphore(SCANS)
        taken = await asyncio.gather(*(self._take(one, span, slots) for one, _ in found))
        sources = [source for source in taken if source is not None]
        if not sources:
            raise NotFound(*nothing_there(gaps))
        flat, parts, shown = await asyncio.to_thread(_assemble, sources, span)
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
        segment was deleted meanwhile.
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
            block = b"".join([data[offset - base : offset - base + size] for offset, size in part.ranges])[first:last]
            self.looks.serve(look, len(block))
            yield block


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
