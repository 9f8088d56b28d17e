"""Writes the segments of all recorded streams of one child.

The loop decides (when to cut, what is indexed), one thread writes. What waits for the disk is bounded: past the bound
fragments are thrown away up to the next key frame, and the loss is said as a gap, never silent.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import msgspec

from anwang.kernel.errors import AnwangError
from anwang.kernel.ids import PointId, SegmentId, uuid7
from anwang.media.control import NO_KEY, FromChild, Lost, Odd, Progress, Sealed
from anwang.media.model import GapCause, KeyFrame, Origin, origin_box, pack_key_frames, segment_key
from anwang.media.tables import add_table
from anwang.runtime import logs
from anwang.stores.objects import Objects
from anwang.stores.objects import Segment as SpoolSegment
from anwang.wire.fmp4 import Fragment, Init, rebase

log = logs.get(__name__)

FLUSH_BYTES = 256 * 1024
FLUSH_US = 1_000_000
PROGRESS_US = 2_000_000
WAITING_BYTES = 64 << 20
#: receipt and media clocks may drift apart by this much before a segment starts at its time of receipt again
DRIFT_US = 300_000
#: pictures that follow each other without a break may come this much too late, and still nothing is missing
JITTER_US = 2_000_000
#: after this many times its length a segment that finds no key frame asks for one
ASKS_AFTER = 2
#: after this many it is ended, and the stream with it: a new call brings one
ENDS_AFTER = 5
MICROS_PER_TICK = 1_000_000 / 90_000


@dataclass(slots=True, kw_only=True)
class _Open:
    """The segment being written, as the loop knows it; the thread owns `file`."""

    id: SegmentId
    key: str
    start_us: int
    base_90k: int
    init_bytes: int
    continues: bool
    file: SpoolSegment | None = None
    size: int = 0
    end_90k: int = 0
    keys: list[KeyFrame] = field(default_factory=list)
    pending: list[bytes] = field(default_factory=list)
    pending_bytes: int = 0
    flushed_us: int = 0
    told_us: int = 0
    has_asked: bool = False

    @property
    def end_us(self) -> int:
        return self.start_us + round((self.end_90k - self.base_90k) * MICROS_PER_TICK)


class Recording:
    """One recorded stream."""

    def __init__(self, writer: Writer, *, stream: str, point: str, name: str, seconds: float) -> None:
        self._writer = writer
        self.stream = stream
        self.point = PointId(point)
        self.name = name
        self._ticks = round(seconds * 90_000)
        self._init: Init | None = None
        self._segment: _Open | None = None
        self._last_end_us: int | None = None
        self._last_end_90k = 0
        self._overrun = False

    @property
    def is_begun(self) -> bool:
        """Whether a segment is being written."""
        return self._segment is not None

    def begin(self, init: Init) -> None:
        """New parameters: the segment so far is sealed, the next fragment opens another."""
        self._seal()
        self._init = init

    def push(self, fragment: Fragment, now_us: int) -> None:
        """One fragment, received now."""
        segment = self._segment
        if fragment.is_key and (segment is None or fragment.decode_time_90k - segment.base_90k >= self._ticks):
            segment = self._turn(fragment, now_us)
        if segment is None:
            return
        if fragment.decode_time_90k - segment.base_90k >= self._ticks * ASKS_AFTER and self._gives_up(segment, now_us):
            return
        if self._writer.waiting_bytes > WAITING_BYTES:
            self._overflow(now_us)
            return
        if fragment.is_key:
            offset = round((fragment.decode_time_90k - segment.base_90k) * MICROS_PER_TICK)
            segment.keys.append(KeyFrame(offset, segment.size))
        for piece in rebase(fragment.data, -segment.base_90k):
            segment.pending.append(piece)
            segment.pending_bytes += len(piece)
            segment.size += len(piece)
        segment.end_90k = fragment.decode_time_90k + fragment.duration_90k
        if segment.pending_bytes >= FLUSH_BYTES or now_us - segment.flushed_us >= FLUSH_US:
            self._flush(segment, now_us)

    def end(self) -> None:
        """Seal what is written."""
        self._seal()
        self._last_end_us = None

    def leave(self) -> None:
        """Write what is pending, but do not seal: nobody would index it. The next start's recovery does both."""
        segment, self._segment = self._segment, None
        if segment is not None:
            self._flush(segment, segment.flushed_us)
            self._writer.leave(segment)

    def _turn(self, fragment: Fragment, now_us: int) -> _Open | None:
        """Go on in a new segment.

        The new file is there before the old one is sealed: a crash at any moment leaves a file of this stream, which
        tells recovery where to look for what was sealed and not indexed any more.
        """
        finished = self._finish()
        segment = self._open(fragment, now_us)
        if segment is not None:
            self._flush(segment, now_us)
        if finished is not None:
            self._writer.seal(*finished)
        return segment

    def _open(self, fragment: Fragment, now_us: int) -> _Open | None:
        init = self._init
        if init is None:
            return None
        start = now_us
        continues = False
        if self._last_end_us is not None:
            drift = abs(now_us - self._last_end_us)
            start = self._last_end_us if drift <= DRIFT_US else max(now_us, self._last_end_us)
            follows = fragment.decode_time_90k == self._last_end_90k and not fragment.is_discontinuity
            continues = drift <= DRIFT_US or (follows and drift <= JITTER_US)
        identity = SegmentId(uuid7(start // 1000))
        head = init.data + origin_box(
            Origin(point=self.point, stream=self.name, segment=identity, start_us=start, continues=continues)
        )
        self._segment = segment = _Open(
            id=identity,
            key=segment_key(self.point, self.name, start, identity),
            start_us=start,
            base_90k=fragment.decode_time_90k,
            init_bytes=len(head),
            continues=continues,
            size=len(head),
            pending=[head],
            pending_bytes=len(head),
            flushed_us=now_us,
        )
        return segment

    def _flush(self, segment: _Open, now_us: int) -> None:
        pieces, segment.pending = segment.pending, []
        self._writer.write(segment, pieces, segment.pending_bytes)
        segment.pending_bytes = 0
        segment.flushed_us = now_us
        if segment.keys and now_us - segment.told_us >= PROGRESS_US:
            segment.told_us = now_us
            # as of now: the thread comes to it later, when more may be counted than is written
            self._writer.after(partial(self._progress, segment, segment.size, segment.end_us, list(segment.keys)))

    def _seal(self) -> None:
        finished = self._finish()
        if finished is not None:
            self._writer.seal(*finished)

    def _finish(self) -> tuple[_Open, Sealed] | None:
        """The segment so far, all of it on its way to the disk, and what is to be said when it is sealed."""
        segment, self._segment = self._segment, None
        if segment is None or self._init is None:
            return None
        self._flush(segment, segment.flushed_us)
        self._last_end_us, self._last_end_90k = segment.end_us, segment.end_90k
        init = self._init
        message = Sealed(
            stream=self.stream,
            point=self.point,
            name=self.name,
            segment=segment.id,
            key=segment.key,
            start_us=segment.start_us,
            end_us=segment.end_us,
            size_bytes=segment.size,
            init_bytes=segment.init_bytes,
            codec=init.codec,
            width=init.width,
            height=init.height,
            key_frames=pack_key_frames(segment.keys),
            continues=segment.continues,
        )
        return segment, message

    def _progress(self, segment: _Open, size: int, end_us: int, keys: list[KeyFrame]) -> FromChild | None:
        init = self._init
        if segment.file is None or init is None:
            return None
        return Progress(
            stream=self.stream,
            point=self.point,
            name=self.name,
            segment=segment.id,
            path=str(segment.file.path),
            start_us=segment.start_us,
            end_us=end_us,
            size_bytes=size,
            init_bytes=segment.init_bytes,
            codec=init.codec,
            width=init.width,
            height=init.height,
            key_frames=pack_key_frames(keys),
            continues=segment.continues,
        )

    def _gives_up(self, segment: _Open, now_us: int) -> bool:
        """The segment should have been over long ago, and no key frame comes. Whether it is ended."""
        seconds = round((segment.end_us - segment.start_us) / 1e6)
        if not segment.has_asked:
            segment.has_asked = True
            detail = f"no key frame for {seconds} s; the device is asked for one"
            self._writer.tell(Odd(stream=self.stream, detail=detail, at_us=now_us, kind=NO_KEY))
        if segment.end_90k - segment.base_90k < self._ticks * ENDS_AFTER:
            return False
        self._seal()
        detail = f"no key frame for {seconds} s"
        self._writer.tell(Lost(stream=self.stream, cause=GapCause.NO_KEY_FRAME, detail=detail, at_us=now_us))
        return True

    def _overflow(self, now_us: int) -> None:
        """The disk does not keep up: seal, and let the missing stretch be a gap with its cause."""
        self._seal()
        self._writer.overruns += 1
        self._writer.tell(
            Lost(stream=self.stream, cause=GapCause.DISK_GUARD, detail="the disk does not keep up", at_us=now_us)
        )


class Writer:
    """The one thread that writes."""

    def __init__(self, objects: Objects, tell: Callable[[FromChild], None]) -> None:
        """tell: passes a message to the main process; called from the thread."""
        self._objects = objects
        self.tell = tell
        self.waiting_bytes = 0
        self.overruns = 0
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="segments", daemon=False)
        self._thread.start()

    def write(self, segment: _Open, pieces: list[bytes], size: int) -> None:
        """Append pieces to a segment, opening its file first."""
        with self._lock:
            self.waiting_bytes += size
        self._queue.put(lambda: self._write(segment, pieces, size))

    def seal(self, segment: _Open, message: Sealed) -> None:
        """Seal a segment and say so."""
        self._queue.put(lambda: self._seal(segment, message))

    def leave(self, segment: _Open) -> None:
        """Let go of a segment, for recovery."""

        def let_go() -> None:
            if segment.file is not None:
                segment.file.leave()

        self._queue.put(let_go)

    def after(self, make: Callable[[], FromChild | None]) -> None:
        """Say something once everything before it is written."""

        def say() -> None:
            message = make()
            if message is not None:
                self.tell(message)

        self._queue.put(say)

    def stop(self) -> None:
        """Write and seal what is queued, then end the thread."""
        self._queue.put(None)
        self._thread.join(timeout=10.0)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except (OSError, AnwangError) as err:
                log.error("writing a segment failed", error=str(err))

    def _write(self, segment: _Open, pieces: list[bytes], size: int) -> None:
        try:
            if segment.file is None:
                segment.file = self._objects.open_segment(segment.key)
            segment.file.write(pieces)
        finally:
            with self._lock:
                self.waiting_bytes -= size

    def _seal(self, segment: _Open, message: Sealed) -> None:
        if segment.file is None:
            return
        if segment.file.size != message.size_bytes:
            # a write failed before: what is on disk is not what was counted; recovery reads the file itself
            log.error("a segment is incomplete and left for recovery", key=segment.key)
            segment.file.leave()
            return
        # what a crash leaves before the seal is cut off by recovery, which writes its own
        size = add_table(segment.file)
        digest = segment.file.sha256()
        try:
            segment.file.seal()
        except BaseException:
            segment.file.leave()  # as long as we hold it, nobody else can save it
            raise
        self.tell(msgspec.structs.replace(message, size_bytes=size, sha256=digest))
