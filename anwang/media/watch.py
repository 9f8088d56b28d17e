"""Live video to one viewer: a WebSocket whose first message is text, then binary fMP4 beginning with the init segment.

The bytes come from the media child over its viewers' socket and go on as they are. A viewer that is too slow makes the
child skip to the next key frame; nothing queues up here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from anwang.kernel.errors import AnwangError
from anwang.kernel.times import from_micros, rfc3339
from anwang.media.control import Flow, FrameKind
from anwang.media.framing import frames
from anwang.media.live import Lease, Streams
from anwang.media.sight import Shown

LONGEST_REPORT = 4096
LONGEST_WAIT_MS = 600_000
TELL_SECONDS = 1.0
LOSS_SECONDS = 10
"""Loss is told of so long: of a whole day it would hide what goes on now."""


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
    with_flow: bool = False,
) -> Watched:
    """Relay a leased stream until either side ends; closes nothing but its own connection to the child.

    serve: told how many bytes go out, before they do; where it raises Denied they don't. shown: where to take it from.

    The first text message is `{mime, width, height, started_at, play, masked, …}`; another one follows when parameters
    change. with_flow: once a second `{"flow": …}` says how the stream comes in, see `flow_of`. The viewer may send
    `{"first_picture": <ms since it asked>}` once, which completes the trace.
    """
    seen = Watched()
    tasks = [asyncio.create_task(_tell(socket, lease, seen, is_drawn=shown.is_drawn))] if with_flow else []
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
        for task in (*tasks, sender, listener):
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


async def _tell(socket: Socket, lease: Lease, seen: Watched, *, is_drawn: bool) -> None:
    """How the stream comes in, as often as its child counts, once the viewer knows what comes."""
    past: deque[Flow] = deque(maxlen=LOSS_SECONDS + 1)
    while True:
        await asyncio.sleep(TELL_SECONDS)
        flow = lease.feed.flow
        if flow is None or not seen.fragments or (past and flow.at_us == past[-1].at_us):
            continue
        past.append(flow)
        await socket.send_text(json.dumps({"flow": flow_of(past[0], flow, is_drawn=is_drawn)}))


def flow_of(before: Flow, now: Flow, *, is_drawn: bool) -> dict[str, float | int | str | None]:
    """How a stream comes in. at: the server's time of it. loss: share of the packets between the two that did not
    arrive. received_at: when the newest picture came, and media: where it ends on the time axis of this epoch's
    fragments, seconds; null where pictures are drawn anew and have an axis of their own.
    """
    came, lost = now.packets - before.packets, now.lost - before.lost
    if before is now:
        came, lost = now.packets, now.lost
    total = came + lost
    return {
        "at": rfc3339(from_micros(now.at_us)),
        "loss": round(max(0, lost) / total, 5) if total > 0 else 0.0,
        "lost": now.lost,
        "received_at": rfc3339(from_micros(now.picture_us)) if now.picture_us else None,
        "media": None if is_drawn or not now.picture_us else round(now.media_90k / 90_000, 3),
    }


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
