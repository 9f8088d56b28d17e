"""Live video to one viewer: a WebSocket whose first message is text, then binary fMP4 beginning with the init segment.

The bytes come from the media child over its viewers' socket and go on as they are. A viewer that is too slow makes the
child skip to the next key frame; nothing queues up here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from anwang.kernel.errors import AnwangError
from anwang.media.control import FrameKind
from anwang.media.framing import frames
from anwang.media.live import Lease, Streams
from anwang.media.sight import Shown

LONGEST_REPORT = 4096
LONGEST_WAIT_MS = 600_000


class Socket(Protocol):
    """What is needed of a WebSocket (Starlette's fits)."""

    async def send_text(self, data: str) -> None:
        """Send one text message."""

    async def send_bytes(self, data: bytes) -> None:
        """Send one binary message."""

    async def receive_text(self) -> str:
        """The next text message; raises when the peer has gone."""


@dataclass(slots=True)
class Watched:
    """What a viewer got, for the ledger."""

    bytes: int = 0
    fragments: int = 0
    outcome: str = "closed by the viewer"
    is_ended: bool = False
    """The stream ended, not the viewer."""


async def watch(
    socket: Socket,
    lease: Lease,
    streams: Streams,
    *,
    play: str,
    serve: Callable[[int], None],
    shown: Shown,
) -> Watched:
    """Relay a leased stream until either side ends; closes nothing but its own connection to the child.

    serve: told how many bytes go out, before they do; where it raises Denied they don't. shown: where to take it from.

    The first text message is `{mime, width, height, started_at, play, masked, …}`; another one follows when parameters
    change. The viewer may send `{"first_picture": <ms since it asked>}` once, which completes the trace.
    """
    seen = Watched()
    sender = asyncio.create_task(_send(socket, shown, seen, play, serve))
    listener = asyncio.create_task(
        _listen(socket, lambda ms: streams.picture_shown(lease.feed, f"{ms} ms after the click"))
    )
    try:
        await asyncio.wait({sender, listener}, return_when=asyncio.FIRST_COMPLETED)
        seen.is_ended = sender.done()
        if sender.done() and not sender.cancelled() and (error := sender.exception()) is not None:
            seen.outcome = error.reason if isinstance(error, AnwangError) else "the connection broke"
        elif sender.done():
            seen.outcome = lease.feed.detail or "the stream ended"
    finally:
        for task in (sender, listener):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
    return seen


async def _send(socket: Socket, shown: Shown, seen: Watched, play: str, serve: Callable[[int], None]) -> None:
    async for kind, data in frames(shown.tap.path, shown.tap.stream):
        shown.check()
        if kind is FrameKind.TEXT:
            told = {**json.loads(data), "play": play, "masked": shown.is_drawn}
            await socket.send_text(json.dumps(told))
        else:
            serve(len(data))
            await socket.send_bytes(data)
            seen.bytes += len(data)
            seen.fragments += kind is not FrameKind.INIT


async def _listen(socket: Socket, first_picture: Callable[[int], None]) -> None:
    while True:
        text = await socket.receive_text()
        if len(text) > LONGEST_REPORT:
            continue
        with contextlib.suppress(ValueError, RecursionError):
            report = json.loads(text)
            told = report.get("first_picture") if isinstance(report, dict) else None
            if isinstance(told, int | float) and 0 <= told <= LONGEST_WAIT_MS:
                first_picture(round(told))
