"""The index made from the objects, and recordings saved that a crash left open.

A segment says in its init part where it belongs (`model.Origin`), and its moof boxes say the rest; so nothing in the
index is the only copy of anything but causes and plans.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from anwang.kernel.errors import AnwangError, Invalid, NotFound, WireError
from anwang.kernel.ids import PointId, SegmentId
from anwang.media.index import SegmentIndex
from anwang.media.model import Growing, KeyFrame, Segment, parse_segment_key, read_origin, segment_key
from anwang.media.tables import add_table, mapped
from anwang.runtime import logs
from anwang.stores.objects import Objects
from anwang.stores.objects import Segment as Unsealed
from anwang.wire.fmp4 import FragmentAt, Movie, Track, boxes, read_movie, read_table, scan, table_size
from anwang.wire.units import Kind

log = logs.get(__name__)

PREFIX = "video"
BATCH = 200
MOST_FAULTS = 1000
LARGEST_INIT = 64 * 1024
CATCH_UP_US = 600_000_000
"""How long before a recovered segment's start others may have been sealed and not indexed: longer than any segment."""
_HOLE = bytes(4)


@dataclass(frozen=True, slots=True)
class Salvage:
    """What the bytes of a segment are worth. keep: how many of them are whole; its table not counted. segment: None
    where nothing can be shown of it, so that it may be thrown away; its size_bytes is `keep`. table_bytes: length of
    the table that follows, if it is whole.
    """

    keep: int
    segment: Segment | None
    fault: str = ""
    table_bytes: int = 0


@dataclass(slots=True)
class Rebuilt:
    """What a reindex did. faults: (key, why) of objects that could not be taken, at most MOST_FAULTS of them."""

    seen: int = 0
    added: int = 0
    known: int = 0
    trash: int = 0
    faulty: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Recovered:
    """What recovery did with the spool files of a crash. cut_bytes: what was cut off behind their last fragments.

    indexed: segments that the crash had sealed, but not indexed any more.
    """

    sealed: int = 0
    dropped: int = 0
    indexed: int = 0
    cut_bytes: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)


Bytes = bytes | memoryview


def salvage(data: Bytes, *, is_torn: bool = False) -> Salvage:
    """What the bytes of a segment hold: a whole one, or one that broke off anywhere.

    is_torn: power may have failed, so that blocks inside may never have been written; then the media is read, too.
    Never raises for what the bytes are.
    """
    try:
        movie = read_movie(data)
        init_bytes = _init_bytes(data, movie.size)
        origin = read_origin(bytes(data[:init_bytes]))
        video = movie.track(Kind.VIDEO)
        found = scan(data, start=init_bytes, movie=movie).fragments
    except WireError as err:
        return Salvage(0, None, err.reason)
    if video is None:
        return Salvage(0, None, "no video track")
    keep, end, fault, keys = init_bytes, 0, "", list[KeyFrame]()
    for fragment in found:
        if is_torn and _has_hole(data, fragment, video):
            fault = "a block that was never written"
            break
        # the index counts from the segment's start, and so do decode times
        if fragment.is_key and (not keys or fragment.decode_time_90k * 100 // 9 >= keys[-1].offset_us):
            keys.append(KeyFrame(fragment.decode_time_90k * 100 // 9, fragment.offset))
        keep = fragment.offset + fragment.size
        end = max(end, (fragment.decode_time_90k + fragment.duration_90k) * 100 // 9)
    if not keys or end <= 0:
        return Salvage(0, None, fault or "not one whole fragment with a key frame")
    point, id = PointId(origin.point), SegmentId(origin.segment)
    segment = Segment(
        id=id,
        point=point,
        stream=origin.stream,
        key=segment_key(point, origin.stream, origin.start_us, id),
        start_us=origin.start_us,
        end_us=origin.start_us + end,
        size_bytes=keep,
        init_bytes=init_bytes,
        codec=movie.codecs,
        width=video.width,
        height=video.height,
        key_frames=keys,
        device_start_us=origin.device_start_us,
        continues=origin.continues,
    )
    return Salvage(keep, segment, fault, _table_bytes(data, keep, movie))


def _table_bytes(data: Bytes, at: int, movie: Movie) -> int:
    """Length of the table that stands behind the last fragment and ends the file; 0 where none does."""
    size = len(data) - at
    if size < 24 or table_size(bytes(data[len(data) - 4 :])) != size:
        return 0
    try:
        read_table(bytes(data[at:]), movie, offset=at)
    except WireError:
        return 0
    return size


def _init_bytes(data: Bytes, at: int) -> int:
    """Where the first fragment begins: behind the moov and what follows it, such as the origin. Raises WireError."""
    for box in boxes(data, at, min(len(data), at + LARGEST_INIT)):
        if box.kind in (b"moof", b"mdat", b"styp", b"sidx"):
            break
        at = box.end
    return at


def _has_hole(data: Bytes, fragment: FragmentAt, video: Track) -> bool:
    """Whether the media of a fragment has blocks that were never written, which read as zeros.

    Video has no four zero bytes in a row: inside a NAL unit three are escaped (H.264 7.4.1), none ends with one, and a
    length has at most three. Of sound only the end is looked at; losing a good one costs a frame.
    """
    for run in fragment.runs:
        for sample in run.samples:
            part = bytes(data[sample.offset : sample.offset + sample.size])
            if part.endswith(_HOLE) or (run.track == video.id and _HOLE in part):
                return True
    return False


def salvage_file(path: Path, *, is_torn: bool = False) -> Salvage:
    """As salvage, for a file."""
    with mapped(path) as data:
        return salvage(data, is_torn=is_torn)


class Reindex:
    """Both procedures. They may run while the platform records: a segment that is known changes nothing."""

    def __init__(self, *, index: SegmentIndex, objects: Objects) -> None:
        self._index = index
        self._objects = objects

    async def rebuild(self, prefix: str = PREFIX) -> Rebuilt:
        """Index all segments in the object store that the index lacks.

        Objects that wait for deletion stay deleted. Faulty ones are counted, told, and left alone.
        """
        done = Rebuilt()
        after: str | None = None
        while True:
            page = await self._objects.list(prefix, limit=BATCH, after=after)
            await self._rebuild([(entry.key, entry.size) for entry in page.entries], done)
            after = page.next
            if after is None:
                return done

    async def _rebuild(self, batch: Sequence[tuple[str, int]], done: Rebuilt) -> None:
        trash = await self._index.is_trash([key for key, _ in batch])
        found: dict[SegmentId, tuple[str, int]] = {}
        for key, size in batch:
            done.seen += 1
            if key in trash:
                done.trash += 1
                continue
            try:
                init = await self._objects.get_range(key, 0, LARGEST_INIT)
                found[SegmentId(read_origin(init).segment)] = key, size
            except (WireError, NotFound, Invalid) as err:
                self._fault(done, key, err.reason)
        known = await self._index.known(list(found))
        done.known += len(known)
        segments = []
        for id in found.keys() - known:
            key, size = found[id]
            try:
                result = await self._salvage(key, size)
            except NotFound as err:
                self._fault(done, key, err.reason)
                continue
            if result.segment is None:
                self._fault(done, key, result.fault)
                continue
            whole = result.keep + result.table_bytes
            if whole < size:
                log.info("an object is longer than its whole fragments", object=key, extra=size - whole)
            segments.append(replace(result.segment, key=key, size_bytes=whole))
        await self._index.add(segments)
        done.added += len(segments)

    async def _salvage(self, key: str, size: int) -> Salvage:
        path = self._objects.local_path(key)
        if path is not None:
            try:
                return await asyncio.to_thread(salvage_file, path)
            except FileNotFoundError:
                raise NotFound(f"{key} is gone") from None
        data = await self._objects.get_range(key, 0, size)
        return await asyncio.to_thread(salvage, data)

    def _fault(self, done: Rebuilt, key: str, why: str) -> None:
        done.faulty += 1
        if len(done.faults) < MOST_FAULTS:
            done.faults.append((key, why))
        log.warning("an object is no segment that can be indexed", object=key, reason=why)

    async def recover(self) -> Recovered:
        """Cut the spool files of a crash to their last whole fragments, seal and index them; drop the worthless.

        Order: cut and fsync, seal, index. A crash in between leaves a sealed object without a row, which `rebuild`
        finds, or a spool file, which the next recovery takes.
        """
        done = Recovered()
        segments = []
        crashed: dict[tuple[PointId, str], int] = {}
        for left in await asyncio.to_thread(self._objects.unsealed):
            with suppress(Invalid):
                point, stream, start_us = parse_segment_key(left.key)
                crashed[point, stream] = min(start_us, crashed.get((point, stream), start_us))
            try:
                segment = await asyncio.to_thread(_finish, left, done)
            except (AnwangError, OSError) as err:
                done.faults.append((left.key, str(err)))
                log.warning("a recording that a crash left open could not be saved", object=left.key, error=str(err))
                continue
            if segment is not None:
                segments.append(segment)
        for at in range(0, len(segments), BATCH):
            await self._index.add(segments[at : at + BATCH])
        for (point, stream), start_us in sorted(crashed.items()):
            await self._catch_up(point, stream, start_us - CATCH_UP_US, done)
        return done

    async def settle(self, abandoned: Sequence[Growing]) -> list[Segment]:
        """Which of these segments, listed as growing and abandoned by their writer, need not be listed any more.

        After `recover`: they are indexed, or thrown away. One whose writer died between sealing and saying so is
        found under its key.
        """
        known = await self._index.known([one.segment.id for one in abandoned])
        settled = [one.segment for one in abandoned if one.segment.id in known]
        for one in abandoned:
            if one.segment.id in known or await asyncio.to_thread(Path(one.path).exists):
                continue
            segment = one.segment
            key = segment_key(segment.point, segment.stream, segment.start_us, segment.id)
            with suppress(NotFound):
                await self._rebuild([(key, await self._objects.size(key))], Rebuilt())
            settled.append(segment)
        return settled

    async def _catch_up(self, point: PointId, stream: str, since_us: int, done: Recovered) -> None:
        """Index what was sealed shortly before the crash and not indexed any more; the crash's stream tells where."""
        rebuilt = Rebuilt()
        # the key of a segment without an id sorts before all of that moment
        after: str | None = segment_key(point, stream, since_us, SegmentId(""))
        prefix = f"{PREFIX}/{point}/{stream}/"
        while after is not None:
            page = await self._objects.list(prefix, limit=BATCH, after=after)
            await self._rebuild([(entry.key, entry.size) for entry in page.entries], rebuilt)
            after = page.next
        done.indexed += rebuilt.added


def _finish(left: Unsealed, done: Recovered) -> Segment | None:
    """Cut, seal; the segment to index, or None where nothing is worth keeping."""
    result = salvage_file(left.path, is_torn=True)
    if result.segment is None:
        left.abandon()
        done.dropped += 1
        return None
    done.cut_bytes += left.size - result.keep
    left.truncate(result.keep)
    size = add_table(left)
    digest = left.sha256().hex()
    left.seal()
    done.sealed += 1
    return replace(result.segment, key=left.key, size_bytes=size, sha256=digest)
