"""The media index: which video exists, where its key frames are, and why the rest is missing.

Two sizes of question, two tables. *Which seconds exist?* (time axis, calendar, completeness) is answered from `day`:
one row per feed and UTC day with the merged spans, kept up to date by every insert, so that a month is 31 small rows
however many segments it has. *Where do I start reading?* (seek, playback, export) is answered from `segment` by one
descent of a narrow index and one row with its packed key frames. Listing never touches the rows with blobs.

Positions of single frames are not here: they stand in the segment's own `moof` boxes.

Deletion leaves by the garbage table: rows go and their keys enter `garbage` in one transaction, then the objects, then
the garbage rows. A crash anywhere leaves neither a row without its object nor an object nobody remembers.
"""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Row, Table, Text, UniqueConstraint

from anwang.kernel.errors import Invalid
from anwang.kernel.ids import PointId, SegmentId
from anwang.kernel.times import Span
from anwang.media.model import (
    GapCause,
    KeyFrame,
    Segment,
    check_micros,
    pack_key_frames,
    segment_key,
    unpack_key_frames,
)
from anwang.stores.state import Serial, State, Tx, media_metadata, upsert

feed = Table(
    "feed",
    media_metadata,
    Column("number", Serial, primary_key=True),  # our short name for a point's stream
    Column("point", Text, nullable=False),  # PointId
    Column("stream", Text, nullable=False),  # "main" or "sub"
    UniqueConstraint("point", "stream"),
)

coding = Table(
    "coding",
    media_metadata,
    Column("number", Serial, primary_key=True),
    Column("codec", Text, nullable=False),  # RFC 6381, such as avc1.640028
    Column("width", Integer, nullable=False),  # pixels
    Column("height", Integer, nullable=False),  # pixels
    UniqueConstraint("codec", "width", "height"),
)

segment = Table(
    "segment",
    media_metadata,
    Column("number", Serial, primary_key=True),
    Column("id", LargeBinary(16), nullable=False),  # SegmentId, a UUIDv7
    Column("feed", Integer, nullable=False),  # feed.number; no foreign key: nothing ever deletes a feed
    Column("start_us", BigInteger, nullable=False),  # wall clock of receipt, µs since 1970 UTC
    Column("end_us", BigInteger, nullable=False),  # end_us > start_us
    Column("size_bytes", BigInteger, nullable=False),  # of the whole object
    Column("init_bytes", Integer, nullable=False),  # of its init part; the first fragment follows
    Column("coding", Integer, nullable=False),  # coding.number
    Column("continues", Integer, nullable=False),  # 1: follows the segment before without a break
    Column("device_start_us", BigInteger),  # what the device's clock said; NULL: unknown
    Column("key", Text),  # object key; NULL: what model.segment_key makes of the row
    Column("key_frames", LargeBinary, nullable=False),  # model.pack_key_frames
    Column("sha256", LargeBinary(32)),  # of the whole object when it was sealed; NULL: nobody computed it
)
sa.Index("uq_segment_id", segment.c.id, unique=True)
# listing reads this and never the rows; `continues` is here because joining spans needs it
sa.Index("ix_segment_time", segment.c.feed, segment.c.start_us, segment.c.end_us, segment.c.continues)

day = Table(
    "day",
    media_metadata,
    Column("feed", Integer, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),  # whole days since 1970-01-01 UTC
    Column("spans", LargeBinary, nullable=False),  # pairs of 32-bit little-endian ms since the day's start, in order
    sqlite_with_rowid=False,
)

gap = Table(
    "gap",
    media_metadata,
    Column("number", Serial, primary_key=True),
    Column("point", Text, nullable=False),
    Column("start_us", BigInteger, nullable=False),
    Column("end_us", BigInteger),  # NULL: it lasts
    Column("cause", Text, nullable=False),  # model.GapCause
    Column("detail", Text, nullable=False),  # for people; may be empty
)
sa.Index("ix_gap_point", gap.c.point, gap.c.start_us)

garbage = Table(
    "garbage",
    media_metadata,
    Column("key", Text, primary_key=True),  # an object that no row names any more and that may still be there
    Column("since_us", BigInteger, nullable=False),
)

T = TypeVar("T")

DAY_US = 86_400_000_000
TOUCH_MS = 500
"""Stretches nearer than this are one recording: less than a missing second, more than a receipt clock's jitter."""
CONTINUES_MS = 10_000
"""The same for a segment that says it continues the one before: a slow camera has seconds between frames."""
MOST_ROWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A missing stretch with its cause. end_us: None while it lasts."""

    point: PointId
    start_us: int
    end_us: int | None
    cause: GapCause
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where reading begins for a moment: the key frame at or before it.

    at_us: the moment that can be shown: the one asked for, or the start of the next recording where there is none.
    """

    segment: Segment
    key_frame: KeyFrame
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A segment as retention sees it: no key frames. sha256: see Segment."""

    id: SegmentId
    point: PointId
    stream: str
    key: str
    start_us: int
    end_us: int
    size_bytes: int
    sha256: str


def join(spans: Iterable[tuple[int, int]], *, within: int = 0) -> list[tuple[int, int]]:
    """Sorted, disjoint spans covering the same; those whose distance is at most `within` become one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] <= within:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        elif end > start:
            joined.append((start, end))
    return joined


class SegmentIndex:
    """Segments, gaps and what follows from them, in the media database.

    Writers pass their own transaction nowhere: every method is one transaction, because the recorder, the keeper and
    readers are apart. All times are microseconds since 1970 UTC.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._feeds: dict[tuple[str, str], int] = {}
        self._codings: dict[tuple[str, int, int], int] = {}

    # --- writing -----------------------------------------------------------------------------------------------------

    async def add(self, segments: Sequence[Segment]) -> None:
        """Index sealed segments in one transaction; those already there change nothing.

        Raises Invalid for impossible times or ids; then none of the batch is added.
        """
        for one in segments:
            _check(one)
        if not segments:
            return
        async with self._state.begin() as tx:
            feeds = await self._feed_numbers(tx, {(one.point, one.stream) for one in segments})
            codings = await self._coding_numbers(tx, {(one.codec, one.width, one.height) for one in segments})
            rows = [
                _row(one, feeds[one.point, one.stream], codings[one.codec, one.width, one.height]) for one in segments
            ]
            await upsert(tx, segment, rows, key_columns=["id"], update_columns=[])
            await self._widen_days(tx, feeds, segments)
        # only what is committed may be remembered
        self._feeds |= feeds
        self._codings |= codings

    async def _feed_numbers(self, tx: Tx, wanted: set[tuple[PointId, str]]) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {pair: self._feeds[pair] for pair in wanted if pair in self._feeds}
        new = sorted(wanted - found.keys())
        if new:
            rows = [{"point": point, "stream": stream} for point, stream in new]
            await upsert(tx, feed, rows, key_columns=["point", "stream"], update_columns=[])
            for some in _chunks(new):
                query = sa.select(feed).where(sa.tuple_(feed.c.point, feed.c.stream).in_(some))
                found |= {(row.point, row.stream): row.number for row in await tx.execute(query)}
        return found

    async def _coding_numbers(self, tx: Tx, wanted: set[tuple[str, int, int]]) -> dict[tuple[str, int, int], int]:
        found = {coded: self._codings[coded] for coded in wanted if coded in self._codings}
        new = sorted(wanted - found.keys())
        if new:
            names = ("codec", "width", "height")
            rows = [dict(zip(names, values, strict=True)) for values in new]
            await upsert(tx, coding, rows, key_columns=names, update_columns=[])
            for some in _chunks(new):
                query = sa.select(coding).where(sa.tuple_(coding.c.codec, coding.c.width, coding.c.height).in_(some))
                found |= {(row.codec, row.width, row.height): row.number for row in await tx.execute(query)}
        return found

    async def _widen_days(self, tx: Tx, feeds: Mapping[tuple[str, str], int], segments: Sequence[Segment]) -> None:
        pieces: dict[tuple[int, int], list[tuple[int, int, bool]]] = defaultdict(list)
        for one in segments:
            for number, start_ms, end_ms in _by_day(one.start_us, one.end_us):
                pieces[feeds[one.point, one.stream], number].append((start_ms, end_ms, one.continues))
        # the rows exist before they are locked, so that two writers of one feed can't both think they made the first
        keys = sorted(pieces)
        empty = [{"feed": number, "day": when, "spans": b""} for number, when in keys]
        await upsert(tx, day, empty, key_columns=["feed", "day"], update_columns=[])
        for some in _chunks(keys):
            query = sa.select(day).where(sa.tuple_(day.c.feed, day.c.day).in_(some)).order_by(day.c.feed, day.c.day)
            rows = []
            for row in await tx.execute(query.with_for_update()):
                spans = _add_pieces(_unpack_spans(row.spans), pieces[row.feed, row.day])
                rows.append({"feed": row.feed, "day": row.day, "spans": _pack_spans(spans)})
            await upsert(tx, day, rows, key_columns=["feed", "day"], update_columns=["spans"])

    async def remove(
        self, ids: Sequence[SegmentId], *, at_us: int, cause: GapCause | None = GapCause.DELETED
    ) -> list[str]:
        """Forget segments: their keys go to the garbage table, a gap with the cause stays. Returns the keys.

        The objects are deleted afterwards by the keeper; see the module's text for the order.
        """
        removed: list[str] = []
        for some in _chunks(list(ids)):
            async with self._state.begin() as tx:
                removed += await self._remove(tx, [_pack_id(one) for one in some], at_us, cause)
        return removed

    async def _remove(self, tx: Tx, ids: Sequence[bytes], at_us: int, cause: GapCause | None) -> list[str]:
        query = _stored().where(segment.c.id.in_(ids)).order_by(segment.c.feed, segment.c.start_us)
        rows = (await tx.execute(query.with_for_update(of=segment))).all()
        gone = [_to_stored(row) for row in rows]
        if not gone:
            return []
        trash = [{"key": one.key, "since_us": at_us} for one in gone]
        await upsert(tx, garbage, trash, key_columns=["key"], update_columns=[])
        await tx.execute(sa.delete(segment).where(segment.c.id.in_(ids)))
        touched = {(row.feed, when) for row in rows for when, _, _ in _by_day(row.start_us, row.end_us)}
        for number, when in sorted(touched):
            await _recount_day(tx, number, when)
        if cause is not None:
            by_point: dict[PointId, list[tuple[int, int]]] = defaultdict(list)
            for one in gone:
                by_point[one.point].append((one.start_us, one.end_us))
            for point, spans in by_point.items():
                await _leave_gaps(tx, point, join(spans, within=CONTINUES_MS * 1000), cause)
        return [one.key for one in gone]

    # --- gaps --------------------------------------------------------------------------------------------------------

    async def open_gap(self, point: PointId, at_us: int, cause: GapCause, detail: str = "") -> None:
        """From now on the point isn't recorded. Another cause that lasts ends here; the same one goes on."""
        await self.open_gaps({point: at_us}, cause, detail)

    async def open_gaps(self, since: Mapping[PointId, int], cause: GapCause, detail: str = "") -> None:
        """As open_gap, for many points, each since a moment of its own; MOST_ROWS of them in one transaction."""
        for some in _chunks([(point, check_micros(at_us, "at_us")) for point, at_us in since.items()]):
            async with self._state.begin() as tx:
                rows = await _lasting(tx, [point for point, _ in some])
                same = {row.point for row in rows if row.cause == cause}
                new = {point: at_us for point, at_us in some if point not in same}
                await _end_gaps(tx, [row for row in rows if row.point in new], new)
                opened = [
                    {"point": point, "start_us": at_us, "cause": cause, "detail": detail[:500]}
                    for point, at_us in new.items()
                ]
                if opened:
                    await tx.execute(sa.insert(gap), opened)

    async def close_gap(self, point: PointId, at_us: int) -> None:
        """The point is recorded again; nothing happens if no gap lasts."""
        await self.close_gaps([point], at_us)

    async def close_gaps(self, points: Sequence[PointId], at_us: int) -> None:
        """As close_gap, for many points."""
        check_micros(at_us, "at_us")
        for some in _chunks(points):
            async with self._state.begin() as tx:
                await _end_gaps(tx, await _lasting(tx, some), dict.fromkeys(some, at_us))

    async def lasting_gaps(self, points: Sequence[PointId]) -> dict[PointId, Gap]:
        """The gap that lasts at each point; points without one are missing."""
        found: dict[PointId, Gap] = {}
        async with self._state.read() as tx:
            for some in _chunks(points):
                query = sa.select(gap).where(gap.c.point.in_(some), gap.c.end_us.is_(None))
                found |= {PointId(row.point): _to_gap(row) for row in await tx.execute(query)}
        return found

    async def newest_gap_us(self) -> int:
        """When a gap last began or ended, 0 if there is none."""
        async with self._state.read() as tx:
            row = (await tx.execute(sa.select(sa.func.max(gap.c.start_us), sa.func.max(gap.c.end_us)))).one()
        return max(row[0] or 0, row[1] or 0)

    async def add_gaps(self, gaps: Sequence[Gap]) -> None:
        """Write down gaps whose cause became known afterwards."""
        rows = [
            {
                "point": one.point,
                "start_us": check_micros(one.start_us, "start_us"),
                "end_us": one.end_us,
                "cause": one.cause,
                "detail": one.detail[:500],
            }
            for one in gaps
        ]
        if rows:
            async with self._state.begin() as tx:
                await tx.execute(sa.insert(gap), rows)

    async def gaps(self, points: Sequence[PointId], span: Span, *, limit: int = 5000) -> dict[PointId, list[Gap]]:
        """Gaps that overlap the span, by point, oldest first; at most the newest `limit` for each point."""
        found: dict[PointId, list[Gap]] = {point: [] for point in points}
        async with self._state.read() as tx:
            for point in points:
                query = (
                    sa.select(gap)
                    .where(gap.c.point == point, gap.c.start_us < span.end)
                    .where(gap.c.end_us.is_(None) | (gap.c.end_us > span.start))
                    .order_by(gap.c.start_us.desc())
                    .limit(limit)
                )
                found[point] = [_to_gap(row) for row in (await tx.execute(query)).all()][::-1]
        return found

    async def forget_gaps(self, before_us: int, *, limit: int = 5000) -> int:
        """Delete gaps that ended before a moment, at most `limit`: their time then says "unknown". Returns how many."""
        old = sa.select(gap.c.number).where(gap.c.end_us < before_us).order_by(gap.c.number).limit(limit)
        async with self._state.begin() as tx:
            return (await tx.execute(sa.delete(gap).where(gap.c.number.in_(old)))).rowcount

    # --- reading -----------------------------------------------------------------------------------------------------

    async def spans(
        self, points: Sequence[PointId], span: Span, *, merge_us: int = 0, stream: str | None = None
    ) -> dict[PointId, list[Span]]:
        """What is recorded, by point, to the millisecond. merge_us: shorter interruptions are not told apart.

        Reads one row per feed and day, whatever the number of segments.
        """
        query = (
            sa.select(feed.c.point, day.c.day, day.c.spans)
            .join(day, day.c.feed == feed.c.number)
            .where(feed.c.point.in_(points))
            .where(day.c.day.between(span.start // DAY_US, max(span.start, span.end - 1) // DAY_US))
        )
        if stream is not None:
            query = query.where(feed.c.stream == stream)
        pieces: dict[PointId, list[tuple[int, int]]] = {point: [] for point in points}
        for row in await self._state.fetch(query):
            base = row.day * DAY_US
            pieces[row.point] += [(base + start * 1000, base + end * 1000) for start, end in _unpack_spans(row.spans)]
        return {point: _clip(join(found, within=merge_us), span) for point, found in pieces.items()}

    async def streams(self, point: PointId) -> list[str]:
        """Which streams of a point were ever recorded, "main" first."""
        async with self._state.read() as tx:
            query = sa.select(feed.c.stream).where(feed.c.point == point).order_by(feed.c.stream)
            return list((await tx.execute(query)).scalars())

    async def points(self) -> list[PointId]:
        """Every point that was ever recorded."""
        async with self._state.read() as tx:
            return list((await tx.execute(sa.select(feed.c.point).distinct().order_by(feed.c.point))).scalars())

    async def planned_points(self, *, limit: int, after: PointId | None = None) -> list[PointId]:
        """Points that were recorded, or missed in a plan, in order; at most `limit` of those behind this one."""
        found: set[PointId] = set()
        async with self._state.read() as tx:
            for column in (feed.c.point, gap.c.point):  # each by its own index, and no union of millions of rows
                query = sa.select(column).where(column > (after or "")).distinct().order_by(column).limit(limit)
                found |= set((await tx.execute(query)).scalars())
        return sorted(found)[:limit]

    async def last_end(self, points: Sequence[PointId]) -> dict[PointId, int]:
        """When each point's newest recording ends; points without any are missing."""
        ends: dict[PointId, int] = {}
        for point, when, spans in await self._days_at(points, sa.func.max):
            ends[point] = max(when * DAY_US + spans[-1][1] * 1000, ends.get(point, 0))
        return ends

    async def first_start(self, points: Sequence[PointId]) -> dict[PointId, int]:
        """When each point's oldest recording begins; points without any are missing."""
        starts: dict[PointId, int] = {}
        for point, when, spans in await self._days_at(points, sa.func.min):
            start = when * DAY_US + spans[0][0] * 1000
            starts[point] = min(start, starts.get(point, start))
        return starts

    async def _days_at(
        self, points: Sequence[PointId], end: Callable[[Any], sa.Function[Any]]
    ) -> list[tuple[PointId, int, list[tuple[int, int]]]]:
        """(point, day, spans) of the first or last day of each feed of these points."""
        found: list[tuple[PointId, int, list[tuple[int, int]]]] = []
        async with self._state.read() as tx:
            for some in _chunks(list(points)):
                feeds = sa.select(feed.c.number).where(feed.c.point.in_(some))
                edge = (
                    sa.select(day.c.feed, end(day.c.day).label("day"))
                    .where(day.c.feed.in_(feeds))
                    .group_by(day.c.feed)
                    .subquery()
                )
                query = (
                    sa.select(feed.c.point, day.c.day, day.c.spans)
                    .join(edge, edge.c.feed == feed.c.number)
                    .join(day, (day.c.feed == edge.c.feed) & (day.c.day == edge.c.day))
                )
                found += [(point, when, _unpack_spans(packed)) for point, when, packed in await tx.execute(query)]
        return found

    async def get(self, id: SegmentId) -> Segment | None:
        """A segment by its id."""
        rows = await self._state.fetch(_whole().where(segment.c.id == _pack_id(id)))
        return _to_segment(rows[0]) if rows else None

    async def known(self, ids: Sequence[SegmentId]) -> set[SegmentId]:
        """Which of these segments the index has."""
        found: set[SegmentId] = set()
        async with self._state.read() as tx:
            for some in _chunks([_pack_id(one) for one in ids]):
                query = sa.select(segment.c.id).where(segment.c.id.in_(some))
                found |= {SegmentId(str(UUID(bytes=value))) for value in (await tx.execute(query)).scalars()}
        return found

    async def seek(self, point: PointId, at_us: int, *, stream: str = "main") -> Place | None:
        """Where to start reading to show a moment; in a gap, the next recording; None if nothing follows."""
        check_micros(at_us, "time")
        number = await self._feed_number(point, stream)
        if number is None:
            return None
        rows = await self._state.fetch(_COVERING, {"feed": number, "at": at_us})
        rows = rows or await self._state.fetch(_FOLLOWING, {"feed": number, "at": at_us})
        if not rows:
            return None
        found = _to_segment(rows[0])
        return place_in(found, max(at_us, found.start_us))

    async def _feed_number(self, point: PointId, stream: str) -> int | None:
        number = self._feeds.get((point, stream))
        if number is None:
            query = sa.select(feed.c.number).where(feed.c.point == point, feed.c.stream == stream)
            for row in await self._state.fetch(query):
                number = self._feeds[point, stream] = row.number
        return number

    async def segments(
        self, point: PointId, span: Span, *, stream: str = "main", limit: int = 1500, after_us: int | None = None
    ) -> list[Segment]:
        """Segments that overlap the span, in order of start.

        Where exactly `limit` come back there may be more: ask again with the last one's start as after_us.
        """
        number = await self._feed_number(point, stream)
        if number is None or span.end <= span.start:
            return []
        found: list[Segment] = []
        if after_us is None:
            # a segment that began before the span may reach into it; ranges of one feed overlap rarely and little
            found += [
                _to_segment(row) for row in await self._state.fetch(_COVERING, {"feed": number, "at": span.start})
            ]
        query = (
            _whole()
            .where(segment.c.feed == number, segment.c.start_us > (span.start if after_us is None else after_us))
            .where(segment.c.start_us < span.end)
            .order_by(segment.c.start_us)
            .limit(limit - len(found))
        )
        return found + [_to_segment(row) for row in await self._state.fetch(query)]

    async def older_than(
        self, cutoffs: Mapping[PointId, int], *, limit: int, after: tuple[int, SegmentId] | None = None
    ) -> list[Stored]:
        """Segments that ended before their point's cutoff, oldest first, for retention.

        after: start and id of the last one seen. Reads the narrow index only as far as `limit`.
        """
        by_cutoff: dict[int, list[PointId]] = defaultdict(list)
        for point, cutoff in cutoffs.items():
            by_cutoff[cutoff].append(point)
        found: list[Stored] = []
        async with self._state.read() as tx:
            for cutoff, points in by_cutoff.items():
                for some in _chunks(points):
                    query = (
                        _stored()
                        .where(feed.c.point.in_(some), segment.c.start_us < cutoff, segment.c.end_us <= cutoff)
                        .order_by(segment.c.start_us, segment.c.id)
                        .limit(limit)
                    )
                    if after is not None:
                        query = query.where(_behind(after))
                    found += [_to_stored(row) for row in (await tx.execute(query)).all()]
        found.sort(key=lambda one: (one.start_us, one.id))
        return found[:limit]

    async def reaching(
        self, point: PointId, span: Span, *, limit: int, after: tuple[int, SegmentId] | None = None
    ) -> list[Stored]:
        """Segments of all streams of a point that reach into the span, oldest first; behind this one (start, id)."""
        query = (
            _stored()
            .where(feed.c.point == point, segment.c.start_us < span.end, segment.c.end_us > span.start)
            .order_by(segment.c.start_us, segment.c.id)
            .limit(limit)
        )
        if after is not None:
            query = query.where(_behind(after))
        async with self._state.read() as tx:
            return [_to_stored(row) for row in (await tx.execute(query)).all()]

    # --- garbage -----------------------------------------------------------------------------------------------------

    async def trash(self, limit: int = MOST_ROWS) -> list[str]:
        """Keys whose objects are still to be deleted, oldest first."""
        async with self._state.read() as tx:
            query = sa.select(garbage.c.key).order_by(garbage.c.since_us, garbage.c.key).limit(limit)
            return list((await tx.execute(query)).scalars())

    async def is_trash(self, keys: Sequence[str]) -> set[str]:
        """Which of these keys wait for deletion."""
        found: set[str] = set()
        async with self._state.read() as tx:
            for some in _chunks(list(keys)):
                query = sa.select(garbage.c.key).where(garbage.c.key.in_(some))
                found |= set((await tx.execute(query)).scalars())
        return found

    async def forget_trash(self, keys: Sequence[str]) -> None:
        """These objects are gone."""
        for some in _chunks(list(keys)):
            async with self._state.begin() as tx:
                await tx.execute(sa.delete(garbage).where(garbage.c.key.in_(some)))


def place_in(found: Segment, at_us: int) -> Place:
    """The key frame of a segment at or before a moment inside it; the first one where none is before."""
    offset = at_us - found.start_us
    low, high = 0, len(found.key_frames)
    while high - low > 1:
        middle = (low + high) // 2
        if found.key_frames[middle].offset_us <= offset:
            low = middle
        else:
            high = middle
    return Place(segment=found, key_frame=found.key_frames[low], at_us=at_us)


def _check(one: Segment) -> None:
    check_micros(one.start_us, "start_us")
    check_micros(one.end_us, "end_us")
    if one.end_us <= one.start_us:
        raise Invalid(f"segment {one.id} ends before it starts")
    if not one.key_frames:
        raise Invalid(f"segment {one.id} has no key frame")
    if not 0 < one.init_bytes <= one.key_frames[0].position or one.key_frames[-1].position >= one.size_bytes:
        raise Invalid(f"segment {one.id} has key frames outside its bytes")
    _pack_id(one.id)


def _row(one: Segment, feed_number: int, coding_number: int) -> dict[str, object]:
    return {
        "id": _pack_id(one.id),
        "feed": feed_number,
        "start_us": one.start_us,
        "end_us": one.end_us,
        "size_bytes": one.size_bytes,
        "init_bytes": one.init_bytes,
        "coding": coding_number,
        "continues": int(one.continues),
        "device_start_us": one.device_start_us,
        "key": None if one.key == segment_key(one.point, one.stream, one.start_us, one.id) else one.key,
        "key_frames": pack_key_frames(one.key_frames),
        "sha256": bytes.fromhex(one.sha256) or None,
    }


def _pack_id(id: SegmentId) -> bytes:
    try:
        return UUID(id).bytes
    except ValueError:
        raise Invalid(f"{id[:64]!r} is not a segment's id") from None


def _whole() -> sa.Select[Any]:
    return (
        sa.select(segment, feed.c.point, feed.c.stream, coding.c.codec, coding.c.width, coding.c.height)
        .join(feed, feed.c.number == segment.c.feed)
        .join(coding, coding.c.number == segment.c.coding)
    )


def _behind(place: tuple[int, SegmentId]) -> sa.ColumnElement[bool]:
    """Whether a segment comes after this start and id."""
    mark = sa.tuple_(sa.literal(place[0]), sa.literal(_pack_id(place[1]), LargeBinary))
    return sa.tuple_(segment.c.start_us, segment.c.id) > mark


def _stored() -> sa.Select[Any]:
    columns = ("id", "feed", "start_us", "end_us", "size_bytes", "key", "sha256")
    chosen = [segment.c[name] for name in columns]
    return sa.select(*chosen, feed.c.point, feed.c.stream).join(feed, feed.c.number == segment.c.feed)


#: of the few segments that begin last before a moment, the first that covers it
_BEFORE = (
    sa.select(segment.c.number, segment.c.start_us, segment.c.end_us)
    .where(segment.c.feed == sa.bindparam("feed"), segment.c.start_us <= sa.bindparam("at"))
    .order_by(segment.c.start_us.desc())
    .limit(4)
    .subquery()
)
_COVERING = (
    _whole()
    .join(_BEFORE, _BEFORE.c.number == segment.c.number)
    .where(_BEFORE.c.end_us > sa.bindparam("at"))
    .order_by(_BEFORE.c.start_us.desc())
    .limit(1)
)
_FOLLOWING = (
    _whole()
    .where(segment.c.feed == sa.bindparam("feed"), segment.c.start_us > sa.bindparam("at"))
    .order_by(segment.c.start_us)
    .limit(1)
)


def _to_segment(row: Row[Any]) -> Segment:
    id = SegmentId(str(UUID(bytes=row.id)))
    point = PointId(row.point)
    return Segment(
        id=id,
        point=point,
        stream=row.stream,
        key=row.key or segment_key(point, row.stream, row.start_us, id),
        start_us=row.start_us,
        end_us=row.end_us,
        size_bytes=row.size_bytes,
        init_bytes=row.init_bytes,
        codec=row.codec,
        width=row.width,
        height=row.height,
        key_frames=unpack_key_frames(row.key_frames),
        device_start_us=row.device_start_us,
        continues=bool(row.continues),
        sha256=(row.sha256 or b"").hex(),
    )


def _to_stored(row: Row[Any]) -> Stored:
    id = SegmentId(str(UUID(bytes=row.id)))
    point = PointId(row.point)
    return Stored(
        id=id,
        point=point,
        stream=row.stream,
        key=row.key or segment_key(point, row.stream, row.start_us, id),
        start_us=row.start_us,
        end_us=row.end_us,
        size_bytes=row.size_bytes,
        sha256=(row.sha256 or b"").hex(),
    )


def _to_gap(row: Row[Any]) -> Gap:
    cause = GapCause(row.cause)
    return Gap(point=PointId(row.point), start_us=row.start_us, end_us=row.end_us, cause=cause, detail=row.detail)


async def _lasting(tx: Tx, points: Sequence[PointId]) -> Sequence[Row[Any]]:
    lasting = sa.select(gap).where(gap.c.point.in_(points), gap.c.end_us.is_(None)).order_by(gap.c.number)
    rows: Sequence[Row[Any]] = (await tx.execute(lasting.with_for_update())).all()
    return rows


async def _end_gaps(tx: Tx, rows: Sequence[Row[Any]], at: Mapping[PointId, int]) -> None:
    """at: when each row's point is recorded again, or missing for another cause."""
    for row in rows:
        at_us = at[PointId(row.point)]
        if at_us > row.start_us:
            await tx.execute(sa.update(gap).where(gap.c.number == row.number).values(end_us=at_us))
        else:  # it never lasted
            await tx.execute(sa.delete(gap).where(gap.c.number == row.number))


async def _leave_gaps(tx: Tx, point: PointId, spans: Sequence[tuple[int, int]], cause: GapCause) -> None:
    """Write gaps, growing one of the same cause that ends where the first begins: retention deletes day by day."""
    for start, end in spans:
        query = (
            sa.select(gap.c.number, gap.c.end_us)
            .where(gap.c.point == point, gap.c.cause == cause, gap.c.start_us <= start)
            .order_by(gap.c.start_us.desc())
            .limit(1)
        )
        row = (await tx.execute(query)).first()
        if row is not None and row.end_us is not None and start - row.end_us <= CONTINUES_MS * 1000:
            wider = max(end, row.end_us)
            await tx.execute(sa.update(gap).where(gap.c.number == row.number).values(end_us=wider))
        else:
            await tx.execute(sa.insert(gap).values(point=point, start_us=start, end_us=end, cause=cause, detail=""))


async def _recount_day(tx: Tx, feed_number: int, number: int) -> None:
    """Make a day's row anew from the segments that are left; reads the narrow index only."""
    start, end = number * DAY_US, (number + 1) * DAY_US
    columns = (segment.c.start_us, segment.c.end_us, segment.c.continues)
    before = (
        sa.select(*columns)
        .where(segment.c.feed == feed_number, segment.c.start_us < start)
        .order_by(segment.c.start_us.desc())
        .limit(4)
    )
    inside = sa.select(*columns).where(
        segment.c.feed == feed_number, segment.c.start_us >= start, segment.c.start_us < end
    )
    rows = [row for row in await tx.execute(before) if row.end_us > start]
    rows += (await tx.execute(inside)).all()
    pieces = [
        (start_ms, end_ms, bool(row.continues))
        for row in sorted(rows, key=lambda row: int(row.start_us))
        for when, start_ms, end_ms in _by_day(row.start_us, row.end_us)
        if when == number
    ]
    where = (day.c.feed == feed_number) & (day.c.day == number)
    if pieces:
        spans = _pack_spans(_add_pieces([], pieces))
        await tx.execute(sa.update(day).where(where).values(spans=spans))
    else:
        await tx.execute(sa.delete(day).where(where))


def _by_day(start_us: int, end_us: int) -> list[tuple[int, int, int]]:
    """(day, start ms, end ms) for each UTC day that a stretch touches."""
    found = []
    for number in range(start_us // DAY_US, (end_us - 1) // DAY_US + 1):
        base = number * DAY_US
        start_ms = max(start_us - base, 0) // 1000
        end_ms = min(end_us - base, DAY_US) // 1000
        if end_ms > start_ms:
            found.append((number, start_ms, end_ms))
    return found


def _add_pieces(spans: list[tuple[int, int]], pieces: Sequence[tuple[int, int, bool]]) -> list[tuple[int, int]]:
    """Spans of a day with further pieces (start ms, end ms, continues), joined where no second is missing."""
    joined: list[tuple[int, int]] = []
    for start, end, continues in sorted([*((start, end, False) for start, end in spans), *pieces]):
        within = CONTINUES_MS if continues else TOUCH_MS
        if joined and start - joined[-1][1] <= within:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _pack_spans(spans: Sequence[tuple[int, int]]) -> bytes:
    packed = array("I", [value for pair in spans for value in pair])
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _unpack_spans(data: bytes) -> list[tuple[int, int]]:
    values = array("I")
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return list(zip(values[::2], values[1::2], strict=True))


def _clip(spans: Sequence[tuple[int, int]], span: Span) -> list[Span]:
    return [
        Span(max(start, span.start), min(end, span.end))
        for start, end in spans
        if min(end, span.end) > max(start, span.start)
    ]


def _chunks(items: Sequence[T]) -> Iterable[Sequence[T]]:
    for at in range(0, len(items), MOST_ROWS):
        yield items[at : at + MOST_ROWS]
