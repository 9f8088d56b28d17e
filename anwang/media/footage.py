"""The bytes behind the index: stored and still growing segments, read by range, and the fragments inside them."""

from __future__ import annotations

import asyncio
import mmap
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

from anwang.kernel.errors import Invalid, NotFound
from anwang.kernel.ids import PointId, SegmentId
from anwang.kernel.times import Span
from anwang.media.index import SegmentIndex
from anwang.media.model import Growing, Segment, segment_key
from anwang.wire.fmp4 import FragmentAt, Movie, read_movie, scan

MOST_SEGMENTS = 10_000
LONGEST_READ = 256 << 20
_KEPT = 512
Value = TypeVar("Value")


class Store(Protocol):
    """What is needed of the object store; `stores.objects` has it."""

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        """Bytes [start, end) of an object. Raises NotFound."""

    def local_path(self, key: str) -> Path | None:
        """Where the object lies on this machine; None where it lies elsewhere."""


@contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """A file's bytes, read where they are touched. Raises FileNotFoundError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if os.fstat(descriptor).st_size == 0:  # nothing can't be mapped
            yield memoryview(b"")
            return
        data = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    finally:
        os.close(descriptor)
    try:
        yield memoryview(data)
    finally:
        with suppress(BufferError):  # an error on its way up still points into it; it is closed with that
            data.close()


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

    async def fragments(self, one: Segment, start: int) -> tuple[Movie, Sequence[FragmentAt]]:
        """The whole fragments from byte `start` on, where one begins; offsets count from there. Raises NotFound."""
        movie = await self.movie(one)
        path = self._path(one) or self._objects.local_path(_key(one))
        if path is not None:
            try:
                return movie, await asyncio.to_thread(_scan_file, path, start, one.size_bytes, movie)
            except FileNotFoundError:
                pass
        data = await self._objects.get_range(_key(one), start, one.size_bytes)
        return movie, (await asyncio.to_thread(scan, data, movie=movie)).fragments

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


def _scan_file(path: Path, start: int, end: int, movie: Movie) -> Sequence[FragmentAt]:
    with mapped(path) as data:
        return scan(data[start:end], movie=movie).fragments
