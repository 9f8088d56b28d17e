"""Recordings on devices: played for one viewer, with seek, pause and speed, or downloaded whole.

A playback is one conversation with the viewer that may take several invitations of the device: where a device will not
seek or pause inside its call, it is asked anew from the wanted moment. What the viewer sees is told apart by *epochs*:
each begins with a text message that says which recorded moment its time zero is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from anwang.access import Pause, Resume, Scale, Seek, Stream, Stretch
from anwang.kernel.errors import AnwangError, Conflict, Invalid, NotFound, Unavailable, Unsupported
from anwang.kernel.ids import PointId
from anwang.kernel.times import parse_rfc3339, rfc3339
from anwang.media.control import Begin, Cut, FrameKind, Quiet
from anwang.media.live import Feed, Lease, Streams
from anwang.media.watch import LONGEST_REPORT, Socket, Watched
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.wire.fmp4 import with_comment
from anwang.wire.units import CLOCK_HZ

log = logs.get(__name__)

SLOWEST, FASTEST = 0.125, 16.0
#: a viewer who neither plays nor says anything for so long has forgotten it
FORGOTTEN_SECONDS = 600.0
#: a device that claims to stand still, or to go faster, is looked at after SETTLE for so long
SETTLE_SECONDS, LOOK_SECONDS = 2.0, 3.0
STILL_FRAMES = 12
#: a download without the device's word is whole where so little is missing
WHOLE_WITHIN_SECONDS = 3.0
Source = Callable[[Lease], AsyncIterator[tuple[FrameKind, bytes]]]
_WONT = (Unsupported, Unavailable, Conflict, NotFound)
"""What a device answers that can't be steered inside its call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a viewer asked for, in whole seconds. begin: where to begin within it."""

    point: PointId
    stream: Stream
    start: datetime
    end: datetime
    actor: str
    begin: datetime | None = None


class DevicePlayback:
    """One viewer's playback from a device."""

    def __init__(
        self,
        socket: Socket,
        streams: Streams,
        clock: Clock,
        wanted: Wanted,
        serve: Callable[[int], None],
        source: Source,
    ) -> None:
        """serve: told how many bytes go out, before they do; where it raises Denied they don't. source: what of a
        leased recording the viewer is shown.
        """
        self._serve = serve
        self._source = source
        self._socket = socket
        self._streams = streams
        self._clock = clock
        self._wanted = wanted
        self._lease: Lease | None = None
        self._from = wanted.start
        self._epoch = 0
        self._begins: dict[int, datetime] = {}
        self._scale = 1.0
        self._is_paused = False
        self._relay: asyncio.Task[None] | None = None
        self._looks: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()
        self.seen = Watched()

    async def run(self) -> None:
        """Play until the viewer goes or forgets. Raises as Streams.open_past where it can't even begin."""
        await self._open(self._wanted.begin or self._wanted.start)
        heard: asyncio.Task[str] | None = None
        try:
            while True:
                heard = heard or asyncio.create_task(self._socket.receive_text())
                due = {heard, self._relay} if self._relay is not None else {heard}
                idle = FORGOTTEN_SECONDS if self._relay is None or self._is_paused else None
                done, _ = await asyncio.wait(due, timeout=idle, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    self.seen.outcome = "forgotten by the viewer"
                    return
                if self._relay in done and self._relay is not None:
                    await self._ended(self._relay)
                if heard in done:
                    text, heard = heard.result(), None
                    await self._obey(text)
        finally:
            for task in (heard, *self._looks):
                if task is not None:
                    task.cancel()
            await self._close()

    # --- what the viewer says

    async def _obey(self, text: str) -> None:
        act = ""
        try:
            order = _order(text)
            act = str(order.get("act", ""))
            match act:
                case "seek":
                    await self._seek(self._moment(order))
                case "pause":
                    await self._pause(order)
                case "resume":
                    await self._resume(order)
                case "scale":
                    await self._rescale(order)
                case "" if "first_picture" in order:
                    if self._lease is not None:
                        self._streams.picture_shown(self._lease.feed, f"{order['first_picture']} ms after the click")
                    return
                case _:
                    raise Invalid(f"{act[:40]!r} is no way to steer a playback", "seek, pause, resume or scale")
        except AnwangError as err:
            await self._tell(
                {"refused": {"act": act[:40], "kind": err.kind.value, "reason": err.reason, "hint": err.hint}}
            )
        else:
            await self._tell({"done": {"act": act, "scale": self._scale, "paused": self._is_paused}})

    def _moment(self, order: dict[str, Any]) -> datetime:
        at = order.get("at")
        if not isinstance(at, str):
            raise Invalid("a moment is missing", 'send "at" as RFC 3339, with offset')
        latest = self._wanted.end - timedelta(seconds=1)
        return min(max(parse_rfc3339(at), self._wanted.start), latest)

    async def _seek(self, to: datetime) -> None:
        self._is_paused = False
        feed = self._living()
        if feed is None or to < self._from:
            await self._reopen(to)
            return
        offset = (to - self._from).total_seconds()
        feed.child.send(Cut(stream=feed.id))
        try:
            steered = await self._streams.steer(feed, Seek(offset))
        except _WONT as err:
            log.info("a device does not seek; it is invited anew", point=feed.point, reason=err.reason)
            await self._reopen(to)
            return
        if steered.seconds is not None and 0 <= steered.seconds <= offset + 60:
            to = self._from + timedelta(seconds=steered.seconds)  # where it really goes on: its key frame before
        self._epoch += 1
        self._begins[self._epoch] = to
        feed.child.send(Quiet(stream=feed.id, on=False))
        feed.child.send(Begin(stream=feed.id, epoch=self._epoch))

    async def _pause(self, order: dict[str, Any]) -> None:
        feed = self._living()
        if feed is None or self._is_paused:
            self._is_paused = True
            return
        try:
            await self._streams.steer(feed, Pause())
        except _WONT as err:
            log.info("a device does not pause; its call is ended", point=feed.point, reason=err.reason)
            await self._close()
        else:
            feed.child.send(Quiet(stream=feed.id, on=True))
            self._look_at(self._does_it_stand_still(feed))
        self._is_paused = True

    async def _resume(self, order: dict[str, Any]) -> None:
        feed = self._living()
        if feed is None:
            self._is_paused = False
            await self._reopen(self._moment(order))
            return
        if not self._is_paused:
            return
        feed.child.send(Quiet(stream=feed.id, on=False))
        try:
            await self._streams.steer(feed, Resume())
            if self._scale != 1.0:
                await self._streams.steer(feed, Scale(self._scale))
        except _WONT:
            await self._reopen(self._moment(order))
        self._is_paused = False

    async def _rescale(self, order: dict[str, Any]) -> None:
        factor = order.get("factor")
        if not isinstance(factor, int | float) or isinstance(factor, bool) or not SLOWEST <= factor <= FASTEST:
            raise Invalid(f"a speed of {str(factor)[:20]}", f"a number from {SLOWEST} to {FASTEST:g}")
        feed = self._living()
        if feed is not None:
            steered = await self._streams.steer(feed, Scale(float(factor)))
            factor = steered.scale if steered.scale is not None and steered.scale > 0 else factor
            # an order to play ends a pause on most devices
            feed.child.send(Quiet(stream=feed.id, on=False))
            self._is_paused = False
            self._look_at(self._does_it_keep_pace(feed, float(factor)))
        self._scale = float(factor)

    # --- the device

    def _living(self) -> Feed | None:
        if self._lease is None or self._lease.feed.over.is_set():
            return None
        return self._lease.feed

    async def _reopen(self, at: datetime) -> None:
        await self._close()
        await self._open(at)

    async def _open(self, at: datetime) -> None:
        wanted = self._wanted
        start = at.replace(microsecond=0)
        lease = await self._streams.open_past(
            wanted.point,
            wanted.stream,
            Stretch(start=start, end=wanted.end),
            why="device_playback",
            actor=wanted.actor,
        )
        self._lease, self._from, self._epoch = lease, start, 0
        self._begins = {0: start}
        self._relay = asyncio.create_task(self._pass_on(lease))
        if self._scale != 1.0:
            with contextlib.suppress(*_WONT):
                await self._streams.steer(lease.feed, Scale(self._scale))

    async def _close(self) -> None:
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.cancel()
            await asyncio.wait({relay})
            if not relay.cancelled():
                relay.exception()
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.close()

    async def _ended(self, relay: asyncio.Task[None]) -> None:
        """The device's stream is over; the viewer may still go elsewhere in the recording."""
        self._relay = None
        if (error := relay.exception()) is not None and not isinstance(error, AnwangError):
            raise error  # the viewer has gone
        lease, self._lease = self._lease, None
        if lease is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await lease.lost()
        feed = lease.feed
        lease.close()
        complete = feed.sent.is_set()
        said = error.reason if isinstance(error, AnwangError) else feed.detail
        self.seen.outcome = said or "the device ended the recording"
        await self._tell({"ended": {"complete": complete, "reason": self.seen.outcome, "play": feed.trace.id}})

    async def _pass_on(self, lease: Lease) -> None:
        feed = lease.feed
        async for kind, data in self._source(lease):
            if kind is FrameKind.TEXT:
                await self._tell(self._hello(json.loads(data), feed))
            else:
                async with self._sending:
                    self._serve(len(data))
                    await self._socket.send_bytes(data)
                self.seen.bytes += len(data)
                self.seen.fragments += kind is not FrameKind.INIT

    def _hello(self, told: dict[str, Any], feed: Feed) -> dict[str, Any]:
        begins = self._begins.get(told.pop("epoch", 0), self._from)
        return told | {
            "play": feed.trace.id,
            "position": rfc3339(begins),
            "from": rfc3339(self._wanted.start),
            "to": rfc3339(self._wanted.end),
            "scale": self._scale,
            "masked": told.get("masked", False),
        }

    # --- whether it does what it says

    def _look_at(self, look: Awaitable[None]) -> None:
        for task in self._looks:
            task.cancel()
        task = asyncio.ensure_future(look)
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)

    async def _does_it_stand_still(self, feed: Feed) -> None:
        """Some recorders confirm a pause and go on: then their call is ended, and asked anew when it goes on."""
        await self._clock.sleep(SETTLE_SECONDS)
        before = feed.flow.frames if feed.flow is not None else 0
        await self._clock.sleep(LOOK_SECONDS)
        after = feed.flow.frames if feed.flow is not None else 0
        if after - before > STILL_FRAMES and self._is_paused and self._living() is feed:
            await self._close()
            await self._tell({"note": {"kind": "pause_ignored", "measured": None}})

    async def _does_it_keep_pace(self, feed: Feed, factor: float) -> None:
        """Some recorders confirm a speed and keep their own, or can't reach it: the viewer is told what is measured."""
        await self._clock.sleep(SETTLE_SECONDS)
        before, epoch = feed.flow, self._epoch
        await self._clock.sleep(LOOK_SECONDS)
        after = feed.flow
        if before is None or after is None or after.at_us <= before.at_us or epoch != self._epoch or self._is_paused:
            return
        measured = (after.media_90k - before.media_90k) / CLOCK_HZ / ((after.at_us - before.at_us) / 1e6)
        if abs(measured - factor) > 0.35 * factor:
            kind = "scale_ignored" if abs(measured - 1.0) < 0.35 else "scale_missed"
            await self._tell({"note": {"kind": kind, "measured": round(measured, 2)}})

    async def _tell(self, message: dict[str, Any]) -> None:
        async with self._sending:
            await self._socket.send_text(json.dumps(message, ensure_ascii=False))


def _order(text: str) -> dict[str, Any]:
    if len(text) > LONGEST_REPORT:
        raise Invalid(f"a message of {len(text)} characters")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Invalid("this is no order", 'send {"act": "seek", "at": "…"} or the like')
    return found


class DeviceClip:
    """A recording on its way from a device to a file: fragmented MP4."""

    def __init__(
        self, lease: Lease, span: timedelta, source: Source, comment: str, served: Callable[[int], None]
    ) -> None:
        self._lease = lease
        self._span = span
        self._source = source
        self._comment = comment
        self._served = served

    @classmethod
    async def open(
        cls,
        streams: Streams,
        wanted: Wanted,
        *,
        speed: int,
        source: Source,
        comment: str,
        served: Callable[[int], None],
    ) -> DeviceClip:
        """Ask the device. source: what of the leased recording goes out. comment: for the file's metadata. served: told
        how many bytes go out, may raise Denied. Raises as Streams.open_past.
        """
        stretch = Stretch(start=wanted.start, end=wanted.end, speed=speed)
        lease = await streams.open_past(wanted.point, wanted.stream, stretch, why="device_download", actor=wanted.actor)
        return cls(lease, wanted.end - wanted.start, source, comment, served)

    @property
    def file_bytes(self) -> int | None:
        """How much the device says it will send; the MP4 is a little smaller."""
        return self._lease.feed.file_bytes

    async def data(self) -> AsyncIterator[bytes]:
        """The file. Raises Unavailable at its end where it is not whole, so that nobody takes it for that."""
        feed = self._lease.feed
        is_begun = False
        try:
            async for kind, data in self._source(self._lease):
                if kind is FrameKind.TEXT:
                    continue
                if kind is FrameKind.INIT:
                    if is_begun:
                        raise Unavailable(
                            "the recording changes its format, which one file can't hold", "download it in parts"
                        )
                    is_begun = True
                    data = with_comment(data, self._comment)
                self._served(len(data))
                yield data
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._lease.lost()
            if not self._is_whole(feed):
                raise Unavailable(feed.detail or "the device ended the download early", f"play {feed.trace.id}")
        finally:
            self.close()

    def close(self) -> None:
        """Hang up, whether it was read or not."""
        self._lease.close()

    def _is_whole(self, feed: Feed) -> bool:
        if feed.sent.is_set():
            return True
        came = feed.flow.media_90k / CLOCK_HZ if feed.flow is not None else 0.0
        return came >= self._span.total_seconds() - WHOLE_WITHIN_SECONDS
