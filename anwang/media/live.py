"""Streams on demand: opened once per point and stream however many need them, closed when nobody does.

A *feed* is one stream as it comes in. Viewers, the recorder and snapshots hold a *lease* on it. The packets never
come here: a media child carries them, this module only steers it and knows what happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from anwang.access import (
    Access,
    Address,
    Checking,
    Pull,
    Pushed,
    Receiver,
    Steer,
    Steered,
    Step,
    Stream,
    Stretch,
    Transport,
)
from anwang.kernel.errors import AnwangError, Exhausted, Internal, Unavailable, Unsupported
from anwang.kernel.hosts import bracketed
from anwang.kernel.ids import PlayId, PointId, uuid7
from anwang.media.children import Child, Children
from anwang.media.control import (
    NO_KEY,
    Alive,
    Amend,
    Arm,
    Connected,
    Done,
    Drop,
    Fetch,
    Finish,
    FirstPacket,
    Flow,
    FromChild,
    Hello,
    Lost,
    Odd,
    Progress,
    Ready,
    Record,
    Refused,
    Reserve,
    Reserved,
    Sealed,
)
from anwang.media.model import GapCause
from anwang.media.trace import PlayTrace, judge
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.runtime.settings import Media

log = logs.get(__name__)

#: after the first packet, a key frame must come within this time; GB/T 28181 cameras send one every 2 to 5 s
KEY_FRAME_SECONDS = 12.0
ASK_KEY_FRAME_SECONDS = 1.5
TRACES_KEPT = 2000
TOLD_BYTES = 4096
"""Some makers' streams begin with a header of their own, which is skipped and of which nobody need know."""
#: kinds of odd media (control.Odd) of which nothing is taken
REFUSALS = ("malformed", "ssrc", "stranger", "framing")
#: how long the device's word that it has sent everything may take after its media ended
LAST_WORD_SECONDS = 1.5


class Seals(Protocol):
    """Who is told about written segments (the recorder)."""

    def sealed(self, message: Sealed) -> None:
        """A segment is an object now."""

    def progress(self, message: Progress) -> None:
        """The open segment has grown."""


@dataclass(slots=True, kw_only=True)
class Feed:
    """One stream of one point as it comes in."""

    id: str
    address: Address
    stream: Stream
    child: Child
    trace: PlayTrace
    started: asyncio.Future[Ready]
    leases: int = 0
    dialog: str = ""
    is_fetched: bool = False
    ready: Ready | None = None
    flow: Flow | None = None
    first_packet: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    cause: GapCause | None = None
    detail: str = ""
    linger: asyncio.TimerHandle | None = None
    recorders: int = 0
    """Leases that want it written; plans for both streams of a point that has one share it."""
    armed: dict[Lease, float] = field(default_factory=dict)
    """Leases that want the last seconds kept, and how many."""
    stretch: Stretch | None = None
    """Of a recording on the device: what was asked for. Such a feed has one lease and ends with it."""
    sent: asyncio.Event = field(default_factory=asyncio.Event)
    """The device says that it has sent all of the recording."""
    file_bytes: int | None = None

    @property
    def name(self) -> str:
        """What it is called from one play to the next."""
        return _called(self.address, self.stream)

    @property
    def point(self) -> PointId:
        """Whose stream it is."""
        return self.address.point


class Lease:
    """The right to use a feed; give it back with close() (idempotent)."""

    def __init__(self, streams: Streams, feed: Feed, ready: Ready) -> None:
        self._streams = streams
        self.feed = feed
        self.ready = ready
        self._closed = False
        self._records = False

    async def lost(self) -> None:
        """Wait until the feed is over, whoever ended it."""
        await self.feed.over.wait()

    def record(self, on: bool, *, segment_seconds: float = 60.0) -> None:
        """Have the child write segments of this feed, or stop it when no other lease wants them. Raises Unavailable."""
        feed = self.feed
        if on == self._records:
            return
        self._records = on
        feed.recorders += 1 if on else -1
        if feed.recorders != int(on):  # another lease wants it written, before and after
            return
        feed.child.send(
            Record(stream=feed.id, on=on, point=feed.point, name=feed.stream.value, segment_seconds=segment_seconds)
        )

    def arm(self, seconds: float) -> None:
        """Have the child keep the last seconds for a recording to begin with. Raises Unavailable."""
        self.feed.armed[self] = seconds
        self._tell_arm()

    def _tell_arm(self) -> None:
        self.feed.child.send(Arm(stream=self.feed.id, seconds=max(self.feed.armed.values(), default=0.0)))

    def close(self) -> None:
        """Give it back."""
        if not self._closed:
            self._closed = True
            if self.feed.armed.pop(self, None) is not None and not self.feed.over.is_set() and self.feed.child.alive:
                self._tell_arm()
            self._streams._release(self.feed)


class Streams:
    """Opens, shares and closes feeds."""

    def __init__(
        self,
        *,
        access: Access,
        children: Children,
        clock: Clock,
        settings: Media,
        address_of: Callable[[PointId], Awaitable[Address]],
        media_host: Callable[[Address], str],
        next_ssrc: Callable[[bool], int],
        seals: Seals,
        on_evidence: Callable[[PointId, int, int], None],
        on_play: Callable[[PlayTrace], None],
        on_outcome: Callable[[Address, bool, str], None] = lambda address, ok, detail: None,
        on_refused: Callable[[Address, str], None] = lambda address, reason: None,
    ) -> None:
        """media_host: our address for media of a point's device ('' lets the gateway decide).

        next_ssrc: asked whether it is for a recording.

        on_evidence: called with point, time of last packet and of last picture (µs, 0 = never), once a second per feed.
        on_play: called when a play began, succeeded or ended, to store its trace.
        on_outcome: called once per play when the device delivered a picture, or failed to (our own faults left out).
        on_refused: called once per play and kind of media that was not taken, with a sentence that names its sender.
        """
        self.overruns = 0
        """Times a disk did not keep up with a recording."""
        self._access = access
        self._children = children
        self._clock = clock
        self._settings = settings
        self._address_of = address_of
        self._media_host = media_host
        self._next_ssrc = next_ssrc
        self._seals = seals
        self._on_evidence = on_evidence
        self._on_play = on_play
        self._on_outcome = on_outcome
        self._on_refused = on_refused
        self._feeds: dict[tuple[PointId, Stream], Feed] = {}
        self._by_id: dict[str, Feed] = {}
        self._locks: dict[tuple[PointId, Stream], asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def feeds(self) -> Sequence[Feed]:
        """All feeds that are open now."""
        return list(self._by_id.values())

    def load(self, child: Child) -> int:
        """How many feeds a child carries."""
        return sum(1 for feed in self._by_id.values() if feed.child is child)

    async def open(self, point: PointId, stream: Stream, *, why: str, actor: str = "") -> Lease:
        """A lease on a point's stream, which delivers key frames. Two openers at once share one invitation.

        why: "live", "record" or "snapshot".
        Raises NotFound, Unavailable, Unsupported, Exhausted; a failed play's trace is stored, its id is in the hint.
        """
        address = await self._address_of(point)
        stream = _served(address, stream)
        key = (point, stream)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            feed = self._feeds.get(key)
            if feed is None or feed.over.is_set():
                feed = await self._prepare(address, stream, why=why, actor=actor)
                self._feeds[key] = self._by_id[feed.id] = feed
                self._spawn(self._start(feed))
        feed.leases += 1
        if feed.linger is not None:
            feed.linger.cancel()
            feed.linger = None
        try:
            ready = await asyncio.shield(feed.started)
        except BaseException:
            self._release(feed)
            raise
        return Lease(self, feed, feed.ready or ready)

    async def open_past(self, point: PointId, stream: Stream, stretch: Stretch, *, why: str, actor: str = "") -> Lease:
        """A lease on a recording of the point's device, which sends from its first key frame on. Never shared.

        why: "device_playback" or "device_download". Raises as open().
        """
        if sum(feed.stretch is not None for feed in self._by_id.values()) >= self._settings.device_plays:
            raise Exhausted(f"{self._settings.device_plays} recordings of devices are open", "close one of them")
        address = await self._address_of(point)
        feed = await self._prepare(address, _served(address, stream), why=why, actor=actor)
        feed.stretch = stretch
        self._access.archive(feed.address)
        self._by_id[feed.id] = feed
        feed.leases = 1
        self._spawn(self._start(feed))
        try:
            ready = await asyncio.shield(feed.started)
        except BaseException:
            self._release(feed)
            raise
        return Lease(self, feed, feed.ready or ready)

    async def steer(self, feed: Feed, order: Steer) -> Steered:
        """Steer a recording on its device. Raises as access.DeviceArchive."""
        if feed.over.is_set() or not feed.dialog:
            raise Unavailable(feed.detail or "the device has ended this recording")
        return await self._access.archive(feed.address).steer(feed.dialog, order)

    def sent_by_device(self, dialog: str) -> bool:
        """The device has sent a recording to its end; False where nobody receives it."""
        for feed in self._by_id.values():
            if feed.stretch is not None and feed.dialog == dialog and not feed.over.is_set():
                feed.sent.set()
                feed.child.send(Finish(stream=feed.id))
                return True
        return False

    def picture_shown(self, feed: Feed, detail: str) -> None:
        """A viewer says that its first picture is on the screen."""
        if feed.trace.reached(Step.FIRST_PICTURE) is None:
            feed.trace.step(Step.FIRST_PICTURE, detail)
            self._on_play(feed.trace)

    def handle(self, child: Child, message: FromChild) -> None:
        """What a child says. Given to Children as on_event."""
        match message:
            case Sealed():
                self._seals.sealed(message)
                return
            case Progress():
                self._seals.progress(message)
                return
            case Hello() | Alive() | Reserved() | Refused():
                return
            case _:
                feed = self._by_id.get(message.stream)
        if feed is None or feed.child is not child:
            return
        match message:
            case Connected():
                feed.trace.step(Step.CONNECTED, message.peer)
            case Odd():
                feed.trace.notice(message.kind, message.detail)
                if message.kind in REFUSALS:
                    self._on_refused(feed.address, message.detail)
                if message.kind == NO_KEY:
                    self._spawn(self._ask_key_frame(feed))
            case FirstPacket():
                feed.trace.step(Step.FIRST_PACKET, f"from {message.peer}, SSRC {message.ssrc}")
                feed.first_packet.set()
                if feed.stretch is None:
                    self._on_evidence(feed.point, message.at_us, 0)
            case Ready():
                self._ready(feed, message)
            case Flow():
                feed.flow = message
                if feed.stretch is None:
                    self._on_evidence(feed.point, message.packet_us, message.picture_us)
            case Done():
                self._finish(feed, GapCause.NOT_PLANNED, "the recording was sent to its end")
            case Lost() if feed.stretch is not None and feed.ready is not None:
                self._spawn(self._last_word(feed, message))
            case Lost():
                self.overruns += message.cause == GapCause.DISK_GUARD
                if feed.ready is None:
                    feed.trace.step(Step.FAILED, message.detail)
                    self._on_outcome(feed.address, False, message.detail)
                self._finish(feed, GapCause(message.cause), message.detail)

    def ended_by_device(self, feed: Feed) -> None:
        """The device has hung up. What it has sent of a recording is passed on first."""
        feed.dialog = ""
        if feed.stretch is not None and feed.ready is not None and feed.child.alive:
            feed.child.send(Finish(stream=feed.id))
            return
        self._finish(feed, GapCause.STREAM_LOST, "the device ended the stream")

    def darken(self, point: PointId) -> None:
        """Nothing of a point is shown or recorded any more."""
        for feed in [feed for feed in self._by_id.values() if feed.point == point]:
            self._finish(feed, GapCause.OPEN_FAILED, "no camera may stand at this place")

    async def child_died(self, child: Child) -> None:
        """All feeds of a child are over. Given to Children as on_death."""
        carried = [f for f in self._by_id.values() if f.child is child]
        # FFmpeg reads each fetched stream in a thread of its own: a fault there may be of any of them
        at_work = [f for f in carried if f.id == child.at_work or (child.has_crashed and f.is_fetched)]
        self._children.blame(f.name for f in at_work)
        for feed in carried:
            self._finish(feed, GapCause.CHILD_DIED, f"media process {child.number} ended")

    async def stop(self) -> None:
        """End every feed, politely, within a bounded time."""
        feeds = list(self._by_id.values())
        for feed in feeds:
            self._finish(feed, GapCause.PLATFORM_STOPPED, "the platform stops")
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=3.0)
        for task in self._tasks:
            task.cancel()

    # --- inside ---------------------------------------------------------------------------------------------------

    async def _prepare(self, address: Address, stream: Stream, *, why: str, actor: str) -> Feed:
        trace = PlayTrace(
            id=PlayId(uuid7(self._clock.micros() // 1000)),
            point=address.point,
            stream=stream.value,
            why=why,
            actor=actor,
            clock=self._clock,
            late=self._on_play,
        )
        trace.step(Step.ASKED, why)
        child = await self._children.living(self.load, _called(address, stream))
        if child.is_apart:
            trace.notice("apart", "media processes ended while they handled this stream, so it has one of its own")
        started: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        started.add_done_callback(
            lambda f: f.cancelled() or f.exception()
        )  # a failed start nobody waits for is no fault
        return Feed(
            id=uuid7(self._clock.micros() // 1000),
            address=address,
            stream=stream,
            child=child,
            trace=trace,
            started=started,
        )

    async def _start(self, feed: Feed) -> None:
        try:
            await self._invite(feed)
            self._on_play(feed.trace)
            async with asyncio.timeout(self._settings.first_packet_seconds):
                await feed.first_packet.wait()
            self._spawn(self._nudge(feed))
            async with asyncio.timeout(KEY_FRAME_SECONDS):
                await asyncio.shield(feed.started)
        except TimeoutError:
            cause = GapCause.NO_KEY_FRAME if feed.first_packet.is_set() else GapCause.OPEN_FAILED
            if not feed.over.is_set():
                self._on_outcome(feed.address, False, "no key frame" if feed.first_packet.is_set() else "no packet")
            self._finish(feed, cause, "")
        except AnwangError as err:
            feed.trace.step(Step.FAILED, err.reason)
            self._finish(feed, GapCause.OPEN_FAILED, err.reason, error=err)
        except Exception as err:
            log.exception("a play failed by our own fault", point=feed.point, play=feed.trace.id)
            feed.trace.step(Step.FAILED, "our own fault; see the log")
            self._finish(
                feed, GapCause.OPEN_FAILED, type(err).__name__, error=Internal("the play failed by our own fault")
            )

    async def _last_word(self, feed: Feed, message: Lost) -> None:
        """The media of a recording ended; whether it was the end, the device may be just saying."""
        try:
            async with asyncio.timeout(LAST_WORD_SECONDS):
                await feed.sent.wait()
        except TimeoutError:
            self._finish(feed, GapCause(message.cause), message.detail)
        else:
            self._finish(feed, GapCause.NOT_PLANNED, "the recording was sent to its end")

    async def _invite(self, feed: Feed) -> None:
        transports = self._access.transports(feed.address)
        if not transports:
            opened = await self._access.open_stream(feed.address, feed.stream, _nowhere(feed), feed.trace)
            if not isinstance(opened, Pull):
                raise Internal(f"gateway {feed.address.gateway} names no transport, yet expects to push")
            await self._fetch(feed, opened)
            return
        for transport in transports[:-1]:
            try:
                await self._push(feed, transport)
            except Unsupported as err:
                feed.trace.step(Step.REFUSED, f"{transport}: {err.reason}")
                feed.child.send(Drop(stream=feed.id, why="refused"))
            else:
                return
        await self._push(feed, transports[-1])

    async def _push(self, feed: Feed, transport: Transport) -> None:
        ssrc = self._next_ssrc(feed.stretch is not None)
        host = self._media_host(feed.address)
        reserved = await feed.child.ask(
            lambda ref: Reserve(
                ref=ref,
                stream=feed.id,
                transport=transport.value,
                bind=_bound(self._settings.host, host),
                ssrc=ssrc,
                checking=Checking.STRICT.value,
                whole=feed.stretch is not None,
            )
        )
        told = bracketed(host) or "(as reached)"
        feed.trace.step(Step.RESERVED, f"{transport} {told}:{reserved.port}, SSRC {ssrc:010d}")
        receiver = Receiver(id=feed.id, host=host, port=reserved.port, transport=transport, ssrc=ssrc)
        opened: Pushed | Pull
        if feed.stretch is None:
            opened = await self._access.open_stream(feed.address, feed.stream, receiver, feed.trace)
        else:
            archive = self._access.archive(feed.address)
            opened = await archive.open_past(feed.address, feed.stream, feed.stretch, receiver, feed.trace)
        if isinstance(opened, Pull):
            raise Internal(f"gateway {feed.address.gateway} was offered a receiver, yet wants to pull")
        feed.dialog, feed.file_bytes = opened.dialog, opened.file_bytes
        if feed.over.is_set():
            await self._hang_up(feed)
            raise Unavailable("the play was ended while the device was asked")
        host, port = opened.connect or ("", 0)
        feed.child.send(
            Amend(
                stream=feed.id,
                ssrc=ssrc if opened.ssrc is None else opened.ssrc,
                checking=opened.checking.value,
                payload=opened.payload,
                connect_host=host,
                connect_port=port,
                sources=list(opened.sources),
                sound=opened.with_sound,
            )
        )

    async def _fetch(self, feed: Feed, pull: Pull) -> None:
        feed.dialog, feed.is_fetched = pull.dialog, True
        await feed.child.ask(
            lambda ref: Fetch(
                ref=ref,
                stream=feed.id,
                url=pull.url,
                username=pull.username,
                password=pull.password,
                transport=pull.transport,
            )
        )
        feed.trace.step(Step.INVITED, f"{pull.transport} {pull.url}")

    async def _nudge(self, feed: Feed) -> None:
        """Ask for a key frame when none came soon after the first packet."""
        await self._clock.sleep(ASK_KEY_FRAME_SECONDS)
        if feed.stretch is None and feed.ready is None and not feed.over.is_set():
            await self._ask_key_frame(feed)

    async def _ask_key_frame(self, feed: Feed) -> None:
        try:
            await self._access.request_key_frame(feed.address)
        except AnwangError as err:
            log.debug("no key frame on request", point=feed.point, reason=err.reason)

    def _ready(self, feed: Feed, message: Ready) -> None:
        again = feed.ready is not None
        feed.ready = message
        if again:
            return
        feed.trace.step(Step.FIRST_KEY_FRAME, f"{message.codec} {message.width}×{message.height}")
        if feed.stretch is None:
            self._on_evidence(feed.point, message.at_us, message.at_us)
        self._on_outcome(feed.address, True, "its stream delivers pictures")
        if not feed.started.done():
            feed.started.set_result(message)
        self._on_play(feed.trace)
        if feed.leases == 0 and feed.stretch is None:
            self._arm_linger(feed)

    def _release(self, feed: Feed) -> None:
        feed.leases -= 1
        if feed.stretch is not None:
            self._finish(feed, GapCause.NOT_PLANNED, "its viewer has gone")
        elif feed.leases == 0 and not feed.over.is_set() and feed.started.done():
            self._arm_linger(feed)

    def _arm_linger(self, feed: Feed) -> None:
        if feed.linger is None:
            loop = asyncio.get_running_loop()
            feed.linger = loop.call_later(self._settings.linger_seconds, self._unneeded, feed)

    def _unneeded(self, feed: Feed) -> None:
        feed.linger = None
        if feed.leases == 0:
            self._finish(feed, GapCause.NOT_PLANNED, "nobody needs it")

    def _finish(self, feed: Feed, cause: GapCause, detail: str, *, error: AnwangError | None = None) -> None:
        """The feed is over: tell everyone once, hang up."""
        if feed.over.is_set():
            return
        feed.cause, feed.detail = cause, detail
        if (flow := feed.flow) is not None and (
            flow.malformed or flow.skipped_bytes >= TOLD_BYTES or flow.dropped_units
        ):
            told = (
                f"{flow.malformed} packets, {flow.skipped_bytes} bytes and {flow.dropped_units} pictures were dropped"
            )
            feed.trace.notice("dropped", f"{told} in all")
        feed.trace.step(Step.STOPPED, f"{cause}: {detail}" if detail else cause.value)
        feed.trace.ended_us = self._clock.micros()
        feed.over.set()
        self._by_id.pop(feed.id, None)
        if self._feeds.get((feed.point, feed.stream)) is feed:
            del self._feeds[feed.point, feed.stream]
        if feed.linger is not None:
            feed.linger.cancel()
        if not feed.started.done():
            feed.started.set_exception(self._explain(feed, error))
        self._on_play(feed.trace)
        if feed.child.alive:
            feed.child.send(Drop(stream=feed.id, why=cause.value))
            if feed.child.is_apart and self.load(feed.child) == 0:
                self._spawn(self._children.dismiss(feed.child))
        if feed.dialog:
            self._spawn(self._hang_up(feed))

    def _explain(self, feed: Feed, error: AnwangError | None) -> AnwangError:
        verdict = judge(feed.trace)
        kind = type(error) if isinstance(error, Unsupported | Exhausted) else Unavailable
        return kind(verdict.sentence, f"{verdict.next_step} play {feed.trace.id}".strip())

    async def _hang_up(self, feed: Feed) -> None:
        try:
            async with asyncio.timeout(5.0):
                await self._access.close_stream(feed.address, feed.dialog)
        except (AnwangError, TimeoutError) as err:
            log.info("hanging up failed", point=feed.point, error=str(err))

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _served(address: Address, stream: Stream) -> Stream:
    """The stream that the point has for one that is asked for: feeds are shared by what comes in, not by the wish."""
    return stream if stream in address.streams else address.streams[0]


def _bound(listens: str, told: str) -> str:
    """The address to receive on, where the device is told this one of ours. `::` means both families, but a stream
    comes over one: its datagrams cost less through a socket of that.
    """
    return "0.0.0.0" if listens == "::" and ":" not in told else listens  # noqa: S104 - what `::` means


def _called(address: Address, stream: Stream) -> str:
    return f"{address.point} {stream}"


def _nowhere(feed: Feed) -> Receiver:
    """A receiver for gateways that pull: they ignore it."""
    return Receiver(id=feed.id, host="", port=0, transport=Transport.TCP_ACTIVE, ssrc=0)
