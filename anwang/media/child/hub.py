"""Viewers of the streams of one child: a Unix socket, the cached group of pictures first, then every fragment.

A slow viewer costs only itself: past the bound (fragments, or bytes where they are large) its fragments are dropped
until the next key frame, and counted.
A recording from a device has one viewer and loses nothing: `WholeOutlet`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from anwang.kernel.errors import WireError
from anwang.media.control import Codec, FrameKind, ToChild, Watch

BACKLOG_BYTES = 4 << 20
QUEUED = 250
MOST_KEPT_BYTES = 64 << 20
"""Of a recording whose sender does not wait."""
MOST_CACHED_BYTES = 32 << 20
"""Of one group of pictures: half a minute of 8 Mb/s. A sender that gives no key frame for longer shall not fill us."""
MOST_VIEWERS = 4096


def frame(kind: FrameKind, size: int) -> bytes:
    """The five bytes before a raw frame of `size` bytes."""
    return (size + 1).to_bytes(4, "big") + bytes((kind,))


class Outlet:
    """The viewers of one stream and its cached group of pictures."""

    def __init__(self, watched: Callable[[], None] = lambda: None) -> None:
        """watched: told when a viewer comes."""
        self._watched = watched
        self.viewers: set[Viewer] = set()
        self.dropped = 0
        self._hello: bytes = b""
        self._init: bytes = b""
        self._cached: list[tuple[bytes, bytes]] = []
        self._cached_bytes = 0
        self._is_cut = False

    @property
    def is_free(self) -> bool:
        """Whether one more may watch."""
        return len(self.viewers) < MOST_VIEWERS

    def begin(self, hello: bytes, init: bytes) -> None:
        """New parameters: viewers get `hello` (JSON) and the init segment."""
        self._hello, self._init = hello, init
        self.forget()
        for viewer in self.viewers:
            viewer.begin(self._opening())

    def push(self, data: bytes, *, is_key: bool) -> None:
        """One fragment to everyone, and into the cache."""
        kind = FrameKind.KEY if is_key else FrameKind.FRAGMENT
        if is_key:
            self.forget()
        entry = (frame(kind, len(data)), data)
        if not self._is_cut:  # without its beginning a group is of no use
            self._cached.append(entry)
            self._cached_bytes += len(data)
        if self._cached_bytes > MOST_CACHED_BYTES:
            self.forget()
            self._is_cut = True
        for viewer in self.viewers:
            if not viewer.push(entry, is_key=is_key):
                self.dropped += 1

    def forget(self) -> None:
        """What is cached is not to be shown any more; the next fragment is a key frame."""
        self._cached.clear()
        self._cached_bytes, self._is_cut = 0, False

    def attach(self, viewer: Viewer) -> None:
        """A new viewer: at once everything from the last key frame on."""
        self.viewers.add(viewer)
        self._watched()
        if self._init:
            viewer.begin(self._opening())
            for entry in self._cached:
                viewer.push(entry, is_key=entry[0][4] == FrameKind.KEY)
            if self._is_cut:
                viewer.wait()

    def end(self) -> None:
        """The stream is over: viewers see the end of their connection."""
        for viewer in list(self.viewers):
            viewer.close()
        self.viewers.clear()

    def cached(self) -> tuple[bytes, list[bytes]]:
        """Init and fragments from the last key frame on."""
        return self._init, [data for _, data in self._cached]

    def _opening(self) -> list[bytes]:
        return [
            frame(FrameKind.TEXT, len(self._hello)),
            self._hello,
            frame(FrameKind.INIT, len(self._init)),
            self._init,
        ]


class WholeOutlet(Outlet):
    """The one viewer of a recording, who gets everything; what comes before the viewer does is kept.

    hold: told when the sender should wait (True) or go on. overrun: told when it did not wait and too much is kept.
    """

    def __init__(self, *, hold: Callable[[bool], None], overrun: Callable[[], None]) -> None:
        super().__init__()
        self._hold, self._overrun = hold, overrun
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._is_held = False
        self.is_taken = False
        """The viewer has come."""

    @property
    def is_free(self) -> bool:
        """See Outlet."""
        return not self.is_taken

    def begin(self, hello: bytes, init: bytes) -> None:
        """See Outlet."""
        self._hello, self._init = hello, init
        self._put(self._opening())

    def push(self, data: bytes, *, is_key: bool) -> None:
        """See Outlet; nothing is ever left out."""
        self._put([frame(FrameKind.KEY if is_key else FrameKind.FRAGMENT, len(data)), data])

    def attach(self, viewer: Viewer) -> None:
        """The viewer: everything from the beginning."""
        self.is_taken = True
        self.viewers.add(viewer)
        viewer.on_slow = self._slow
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._slow(False)
        viewer.write(waiting)

    def _put(self, parts: list[bytes]) -> None:
        for viewer in self.viewers:
            if viewer.write(parts) > MOST_KEPT_BYTES:
                self._overrun()
            return
        if self.is_taken:
            return  # the viewer has gone
        self._waiting += parts
        self._waiting_bytes += sum(map(len, parts))
        if self._waiting_bytes > MOST_KEPT_BYTES:
            self._overrun()
        elif self._waiting_bytes > BACKLOG_BYTES:
            self._slow(True)

    def _slow(self, is_slow: bool) -> None:
        if is_slow is not self._is_held:
            self._is_held = is_slow
            self._hold(is_slow)


class Viewer(asyncio.Protocol):
    """One connection of the viewers' socket."""

    def __init__(self, find: Callable[[str], Outlet | None], *, most_queued: int = QUEUED) -> None:
        """most_queued: fragments that may wait for a slow reader."""
        self._find = find
        self._most_queued = most_queued
        self._codec: Codec[ToChild] = Codec(ToChild)
        self._outlet: Outlet | None = None
        self._transport: asyncio.Transport | None = None
        self._waits_for_key = False
        self._written = 0
        self._ends: deque[int] = deque()
        """Where each fragment that may still be queued ends, in bytes written."""
        self.on_slow: Callable[[bool], None] = lambda is_slow: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        # uvloop's transports are no subclass of asyncio.Transport
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=BACKLOG_BYTES)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol: the only message is Watch."""
        try:
            for message in self._codec.feed(data):
                if isinstance(message, Watch) and self._outlet is None:
                    self._watch(message.stream)
        except WireError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._transport = None
        if self._outlet is not None:
            self._outlet.viewers.discard(self)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self.on_slow(True)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self.on_slow(False)

    def write(self, parts: list[bytes]) -> int:
        """Send it all; how many bytes wait to go out."""
        if self._transport is None:
            return 0
        if parts:
            self._transport.writelines(parts)
        return self._transport.get_write_buffer_size()

    def begin(self, opening: list[bytes]) -> None:
        """Send what precedes fragments."""
        self._waits_for_key = False
        if self._transport is not None:
            self._written += sum(map(len, opening))
            self._transport.writelines(opening)

    def wait(self) -> None:
        """Nothing is of use before the next key frame."""
        self._waits_for_key = True

    def push(self, entry: tuple[bytes, bytes], *, is_key: bool) -> bool:
        """Send one fragment; False where it was dropped because the viewer is too slow."""
        if self._transport is None:
            return True
        if self._waits_for_key and not is_key:
            return False
        if self._is_behind(self._transport.get_write_buffer_size()):
            self._waits_for_key = True
            return False
        self._waits_for_key = False
        self._written += len(entry[0]) + len(entry[1])
        self._ends.append(self._written)
        self._transport.writelines(entry)
        return True

    def _is_behind(self, waiting: int) -> bool:
        """Whether no further fragment may be queued. waiting: bytes that the transport holds."""
        gone, ends = self._written - waiting, self._ends
        while ends and ends[0] <= gone:
            ends.popleft()
        return waiting > BACKLOG_BYTES or len(ends) >= self._most_queued

    def close(self) -> None:
        """Send what is queued, then end."""
        if self._transport is not None:
            self._transport.close()

    def _watch(self, stream: str) -> None:
        outlet = self._find(stream)
        if outlet is None or not outlet.is_free:
            reason = b"no such stream" if outlet is None else b"too many viewers"
            if self._transport is not None:
                self._transport.writelines([frame(FrameKind.ERROR, len(reason)), reason])
            self.close()
            return
        self._outlet = outlet
        outlet.attach(self)
