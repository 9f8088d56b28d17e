"""The bytes behind the index: stored and still growing segments, read by range, and the fragments inside them."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from anwang.kernel.errors import Invalid, NotFound, WireError
from anwang.kernel.ids import PointId, SegmentId
from anwang.kernel.times import Span
from anwang.media.index import SegmentIndex
from anwang.media.model import Growing, Segment, segment_key
from anwang.media.tables import mapped
from anwang.runtime import logs
from anwang.wire.fmp4 import Movie, Table, read_movie, read_table, scan, table_of, table_size

log = logs.get(__name__)

MOST_SEGMENTS = 10_000
LONGEST_READ = 256 << 20
TAIL = 16 << 10
"""Read from a segment's end to find its table: more than a minute of pictures and sound needs."""
_KEPT = 512
Value = TypeVar("Value")


class Store(Protocol):
    """What is needed of the object store; `stores.objects` has it."""

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        """Bytes [start, end) of an object. Raises NotFound."""

    def local_path(self, key: str) -> Path | None:
        """Where the object lies on this machine; None where it lies elsewhere."""


class Footage:
    """Reads segments, whether sealed or still growing. Who may look is decided before."""

    def __init__(self, *, index: SegmentIndex, objects: Store, growing: Callable[[PointId], Sequence[Growing]]) -> None:
        self._index = index
        self._objects = objects
        self._growing = growing
        self._movies: OrderedDict[SegmentId, Movie] = OrderedDict()
        self._sealed: OrderedDict[SegmentId, Segment] = OrderedDict()

    async def stream_for(self, point: PointId, span: Span, wanted: str | None) -> str:
        """The stream asked for; else "main" where it has anything in the span, else another that has."""
        if wanted is not None:
            if wanted not in ("main", "sub"):
                raise Invalid(f"no stream {wanted[:32]!r}", "main or sub")
            return wanted
        for stream in ("main", "sub"):
            if any(one.segment.stream == stream and _overlaps(one.segment, span) for one in self._growing(point)):
                return stream
            if (await self._index.spans([point], span, stream=stream))[point]:
                return stream
        return "main"

    async def segments(self, point: PointId, span: Span, stream: str) -> list[tuple[Segment, bool]]:
        """(segment, is it still growing) in order of start. Raises Invalid where there are more than MOST_SEGMENTS."""
        found: list[tuple[Segment, bool]] = []
        after: int | None = None
        while True:
            page = await self._index.segments(point, span, stream=stream, limit=1500, after_us=after)
            found += [(one, False) for one in page]
            if len(page) < 1500:
                break
            after = page[-1].start_us
            if len(found) > MOST_SEGMENTS:
                raise Invalid(f"more than {MOST_SEGMENTS} segments in this range", "ask for a shorter one")
        sealed = {one.id for one, _ in found}
        for growing in self._growing(point):
            one = growing.segment
            if one.stream == stream and one.id not in sealed and _overlaps(one, span) and one.key_frames:
                found.append((one, growing.is_open))
        return sorted(found, key=lambda pair: pair[0].start_us)

    async def find(self, point: PointId, id: SegmentId) -> tuple[Segment, bool]:
        """A point's segment and whether it grows. Raises NotFound."""
        one = self._sealed.get(id) or await self._index.get(id)
        if one is not None and one.point == point:
            _keep(self._sealed, id, one)  # a sealed segment never changes; when it is deleted, reading it says so
            return one, False
        for growing in self._growing(point):
            if growing.segment.id == id:
                return growing.segment, growing.is_open
        raise NotFound("this piece of video does not exist", "it may have been deleted since")

    async def read(self, one: Segment, start: int, end: int) -> bytes:
        """Bytes [start, end) of a segment. Raises NotFound, Invalid."""
        if not 0 <= start < end <= start + LONGEST_READ:
            raise Invalid(f"bytes {start} to {end}")
        path = self._path(one)
        if path is not None:
            try:
                return await asyncio.to_thread(_read_file, path, start, end)
            except FileNotFoundError:
                pass  # sealed or deleted a moment ago: the store knows
        return await self._objects.get_range(_key(one), start, end)

    async def init(self, one: Segment) -> bytes:
        """The init part."""
        return await self.read(one, 0, one.init_bytes)

    async def movie(self, one: Segment) -> Movie:
        """What the init part says; remembered for the last few hundred segments."""
        found = self._movies.get(one.id)
        if found is None:
            found = read_movie(await self.init(one))
        _keep(self._movies, one.id, found)
        return found

    async def table(self, one: Segment, start: int) -> tuple[Movie, Table]:
        """Where the samples are, from the fragment that begins at byte `start` on. Raises NotFound.

        From the table behind the fragments, or, where there is none that fits (the segment still grows, is from
        before there were tables, is damaged), from the fragments.
        """
        movie = await self.movie(one)
        found = await self._stored_table(one, start, movie)
        if found is not None:
            return movie, found
        path = self._path(one) or self._objects.local_path(_key(one))
        if path is not None:
            with suppress(FileNotFoundError):
                return movie, await asyncio.to_thread(_scan_file, path, start, one.size_bytes, movie)
        data = await self._objects.get_range(_key(one), start, one.size_bytes)
        return movie, await asyncio.to_thread(_scan, data, start, movie)

    async def _stored_table(self, one: Segment, start: int, movie: Movie) -> Table | None:
        """The table that the segment ends in, from byte `start` on; None where it has none that fits."""
        end = one.size_bytes
        tail = await self.read(one, max(one.init_bytes, end - TAIL), end) if end > one.init_bytes else b""
        size = table_size(tail)
        if not 0 < size <= end - one.init_bytes:
            return None
        if size > len(tail):
            tail = await self.read(one, end - size, end)
        try:
            table = await asyncio.to_thread(read_table, tail[-size:], movie, offset=end - size)
        except WireError as err:
            log.warning("a segment's table cannot be used, its fragments are read", object=_key(one), reason=err.reason)
            return None
        first = int(table.fragment_at.searchsorted(start))
        if first < len(table.fragment_at) and int(table.fragment_at[first]) == start:
            return table.part(first, len(table.fragment_at))
        log.warning("a segment's table does not know its key frames, its fragments are read", object=_key(one))
        return None

    def _path(self, one: Segment) -> Path | None:
        found = (grow.path for grow in self._growing(one.point) if grow.segment.id == one.id and grow.path)
        return next(map(Path, found), None)


def _key(one: Segment) -> str:
    """What the object is or will be called; a growing segment need not say."""
    return one.key or segment_key(one.point, one.stream, one.start_us, one.id)


def _keep(kept: OrderedDict[SegmentId, Value], id: SegmentId, value: Value) -> None:
    kept[id] = value
    kept.move_to_end(id)
    if len(kept) > _KEPT:
        kept.popitem(last=False)


def _overlaps(one: Segment, span: Span) -> bool:
    return one.start_us < span.end and one.end_us > span.start


def _read_file(path: Path, start: int, end: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.pread(descriptor, end - start, start)
    finally:
        os.close(descriptor)


def _scan_file(path: Path, start: int, end: int, movie: Movie) -> Table:
    with mapped(path) as data:
        return _scan(data[start:end], start, movie)


def _scan(data: bytes | memoryview, start: int, movie: Movie) -> Table:
    return table_of(scan(data, movie=movie).fragments, at=start)
