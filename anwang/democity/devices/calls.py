"""Calls that ask devices for streams, and what is sent in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from anwang.democity.devices import media
from anwang.democity.devices.device import Camera, Simulated
from anwang.democity.devices.faults import Fault
from anwang.democity.devices.media import Sending, TcpOutlet, UdpOutlet
from anwang.democity.devices.wheel import Wheel
from anwang.democity.pictures import Head, Library
from anwang.kernel.errors import AnwangError, WireError
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.wire import gb28181 as gb
from anwang.wire import sdp, sip
from anwang.wire.gb28181 import mansrtsp
from anwang.wire.units import Codec

log = logs.get("democity.calls")
MAX_STREAMS_PER_CAMERA = 6
FASTEST = 8.0
HISTORY = (sdp.SessionName.PLAYBACK, sdp.SessionName.DOWNLOAD)


class Way(NamedTuple):
    """How a platform is reached. key: the device's code on a connection of its own, empty on the shared socket."""

    transport: str
    host: str
    port: int
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Where devices register. host must be an address, not a name. local_host: ours, as the platform sees it."""

    host: str
    port: int
    server_id: str
    domain: str
    password: str = field(repr=False)
    local_host: str = "127.0.0.1"
    heartbeat_s: float = 60.0
    expires_s: int = 86400


@dataclass(slots=True)
class Session:
    """A call that sends, or will."""

    device: Simulated
    camera: Camera
    identity: str
    sending: Sending | None = None
    ready: Callable[[], None] | None = None
    task: asyncio.Task[None] | None = None
    server: asyncio.Server | None = None
    is_confirmed: bool = False


class Calls:
    """The calls of one line. spawn: runs a coroutine; flush: carries what the SIP machine has to send."""

    def __init__(
        self,
        endpoint: sip.Endpoint[Way],
        platform: Platform,
        library: Library,
        wheel: Wheel,
        clock: Clock,
        rng: Random,
        *,
        spawn: Callable[[Coroutine[None, None, None]], None],
        flush: Callable[[], None],
    ) -> None:
        self._endpoint, self._platform, self._library = endpoint, platform, library
        self._wheel, self._clock, self._rng = wheel, clock, rng
        self._spawn, self._flush = spawn, flush
        self._sessions: dict[int, Session] = {}
        self.refused_calls = self.taken_calls = 0
        self._ended_frames = self._ended_bytes = 0

    @property
    def sent_frames(self) -> int:
        """Frames sent in all calls so far."""
        return self._ended_frames + sum(one.sent_frames for one in self._sent())

    @property
    def sent_bytes(self) -> int:
        """Bytes of RTP sent in all calls so far."""
        return self._ended_bytes + sum(one.sent_bytes for one in self._sent())

    @property
    def streams(self) -> list[Sending]:
        """What is being sent."""
        return [one.sending for one in self._sessions.values() if one.sending and one.sending.is_running]

    def _sent(self) -> list[Sending]:
        return [one.sending for one in self._sessions.values() if one.sending]

    def drop(self, mind: Simulated | None) -> None:
        """Stop sending for a device (None: for all), as after a power cut: no BYE."""
        for call, session in list(self._sessions.items()):
            if mind is None or session.device is mind:
                self.end(call)

    def give_keys(self, mind: Simulated) -> None:
        """Key frames where 强制关键帧 asked for them."""
        for session in self._sessions.values():
            if session.device is mind and session.camera.wants_key and session.sending:
                session.sending.source.restart()
        for camera in mind.cameras.values():
            camera.wants_key = False

    def _own_ssrc(self, mind: Simulated) -> str:
        return str(gb.Ssrc.make(gb.StreamKind.LIVE, mind.code, self._rng.randrange(10_000)))

    def invited(self, invited: sip.Invited[Way], mind: Simulated | None, now: float) -> None:
        """Someone wants a stream of a device, None where nobody here is meant."""
        request, call = invited.request, invited.call
        if mind is None:
            self._endpoint.reject(call, 404, now)
            return
        if mind.faults.has(Fault.SILENT):
            return
        try:
            self._take(call, request, mind, now)
        except _Refused as refused:
            self.refused_calls += 1
            self._endpoint.reject(call, refused.status, now)

    def _take(self, call: int, request: sip.Request, mind: Simulated, now: float) -> None:
        try:
            offer = sdp.Sdp.parse(request.body)
        except WireError as err:
            raise _Refused(488) from err
        block = offer.block("video")
        subject = _subject_of(request)
        camera = mind.camera(subject.sender if subject else "") or mind.camera(user_of(request))
        if camera is None:
            raise _Refused(404)
        if block is None or (not block.is_tcp and not block.port):
            raise _Refused(488)
        identity = f"{subject.sender}:{subject.sender_seq}" if subject else ""
        for other, session in list(self._sessions.items()):
            if session.device is mind and identity and session.identity == identity:
                self._endpoint.hang_up(other, now)  # the same stream again replaces the older one (2016 annex M)
                self.end(other)
        if sum(one.camera is camera for one in self._sessions.values()) >= MAX_STREAMS_PER_CAMERA:
            raise _Refused(486)
        if offer.name in HISTORY and not _has(mind, offer):
            raise _Refused(404)
        session = Session(mind, camera, identity)
        self._sessions[call] = session
        self._spawn(self._answer(call, session, offer, block))

    async def _answer(self, call: int, session: Session, offer: sdp.Sdp, block: sdp.Media) -> None:
        try:
            answer = await self._prepare(call, session, offer, block)
        except (AnwangError, OSError) as err:
            log.warning("a call can't be answered", device=session.device.code, reason=str(err))
            self._refuse(call, 500)
            return
        if self._sessions.get(call) is not session:
            return
        try:
            self._endpoint.accept(call, self._wheel.now(), body=bytes(answer))
        except AnwangError:
            self.end(call)
        self._flush()

    def _refuse(self, call: int, status: int) -> None:
        self.end(call)
        self.refused_calls += 1
        with suppress(AnwangError):
            self._endpoint.reject(call, status, self._wheel.now())
        self._flush()

    async def _prepare(self, call: int, session: Session, offer: sdp.Sdp, block: sdp.Media) -> sdp.Sdp:
        """The answer; `session.ready` begins to send once the ACK has come."""
        mind, point = session.device, session.camera.point
        stream = _stream_of(offer, block)
        ssrc = offer.ssrc_number
        y = (
            offer.ssrc
            if offer.ssrc and len(offer.ssrc) == 10
            else f"{0:01}{mind.code[3:8]}{self._rng.randrange(10_000):04}"
        )
        used = ssrc if ssrc is not None else int(y)
        if mind.faults.has(Fault.WRONG_SSRC):
            used = int(mind.faults.value(Fault.WRONG_SSRC))
        codec = Codec.H265 if point.codec == "h265" else Codec.H264
        history = offer.name in HISTORY
        # where it looked then is not kept; a head of its own does not disturb the live one's clock
        head = Head() if history else session.camera.head
        offset = offer.start * 25 if history else self._rng.randrange(200)
        source = self._library.source(point.scene, stream, codec, point.name, head, offset=offset)
        host = offer.address_of(block)
        seed = self._rng.getrandbits(30)
        answer_port, setup = 0, None
        audio = Codec.AAC if mind.device.audio == "aac" else Codec.G711A if mind.device.audio == "g711a" else None

        def begin(outlet: media.Outlet) -> None:
            sending = Sending(
                source, outlet, self._wheel, mind.faults, micros=self._clock.micros, sound=audio,
                start_micros=offer.start * 1_000_000 if history and offer.start else None,
                until_micros=offer.stop * 1_000_000 if history and offer.stop else None,
                ended=lambda: self._history_over(call),
            )  # fmt: skip
            if offer.name == sdp.SessionName.DOWNLOAD:
                sending.speed = float(min(8, max(1, block.download_speed or 1)))
            session.sending = sending
            sending.start()

        if not block.is_tcp:
            outlet = UdpOutlet(host, block.port, used, mind.faults, seed=seed)
            answer_port = outlet.port
            session.ready = lambda: begin(outlet)
        elif block.setup is sdp.Setup.ACTIVE:
            setup = sdp.Setup.PASSIVE

            def made(transport: asyncio.Transport) -> None:
                if session.server:
                    session.server.close()
                if session.sending is None and self._sessions.get(call) is session:
                    begin(TcpOutlet(transport, used, mind.faults, seed=seed))
                else:
                    transport.abort()

            any_host = "::" if ":" in self._platform.local_host else "0.0.0.0"  # noqa: S104
            session.server, answer_port = await media.listen(any_host, made, lambda: self._media_lost(call))
        else:
            setup, answer_port = sdp.Setup.ACTIVE, 9

            async def reach() -> None:
                try:
                    transport = await media.connect(host, block.port, lambda: self._media_lost(call))
                except OSError as err:
                    log.warning("no media connection", device=mind.code, reason=str(err))
                    self._media_lost(call)
                    return
                if self._sessions.get(call) is session:
                    begin(TcpOutlet(transport, used, mind.faults, seed=seed))
                else:
                    transport.abort()

            session.ready = lambda: self._spawn(reach())
        return sdp.Sdp(
            owner=mind.code, address=self._platform.local_host, name=offer.name, start=offer.start, stop=offer.stop,
            media=(
                sdp.Media(
                    kind="video", port=answer_port, protocol=block.protocol, payloads=(96,), rtpmaps=(sdp.PS,),
                    direction=sdp.Direction.SENDONLY, setup=setup, connection="new" if setup else "",
                    stream_number=block.stream_number,
                ),
            ),
            ssrc=y,
            format=sdp.MediaFormat(codec="5" if codec is Codec.H265 else "2", resolution="5", fps="25", rate_type="2"),
        )  # fmt: skip

    def confirmed(self, call: int) -> None:
        """The ACK came."""
        session = self._sessions.get(call)
        if session and not session.is_confirmed:
            session.is_confirmed = True
            self.taken_calls += 1
            if session.ready:
                session.ready()

    def _history_over(self, call: int) -> None:
        """A recording was sent to its end: say so inside the dialog (媒体通知, 121)."""
        session = self._sessions.get(call)
        if session is None:
            return
        notice = gb.MediaStatus(sn=session.device.next_sn(), device_id=session.camera.point.code)
        body = gb.serialize(notice, session.device.version, session.device.device.charset)
        try:
            self._endpoint.ask_in_call(call, "MESSAGE", self._wheel.now(), content_type=gb.CONTENT_TYPE, body=body)
        except AnwangError:
            self.end(call)
        self._flush()

    def controlled(self, asked: sip.Asked[Way], now: float) -> bool:
        """Playback control in one of our calls; False where it belongs to none."""
        session = self._sessions.get(asked.call)
        if session is None:
            return False
        try:
            command = mansrtsp.parse_command(asked.request.body)
        except WireError:
            self._endpoint.reply(asked.transaction, 400, now)
            return True
        body = mansrtsp.serialize_answer(_steer(session.sending, command))
        self._endpoint.reply(asked.transaction, 200, now, content_type=mansrtsp.CONTENT_TYPE, body=body)
        return True

    def _media_lost(self, call: int) -> None:
        if call in self._sessions:
            with suppress(AnwangError):
                self._endpoint.hang_up(call, self._wheel.now())
            self.end(call)
            self._flush()

    def end(self, call: int) -> None:
        """A call is over."""
        session = self._sessions.pop(call, None)
        if session is None:
            return
        if session.server:
            session.server.close()
        if session.sending:
            self._ended_frames += session.sending.sent_frames
            self._ended_bytes += session.sending.sent_bytes
            session.sending.stop()


class _Refused(Exception):
    """A call that can't be taken."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _has(mind: Simulated, offer: sdp.Sdp) -> bool:
    """Whether something of the time that is asked for is recorded."""
    oldest, newest = (round(moment.timestamp()) for moment in mind.recorded())
    return offer.start < offer.stop and offer.start < newest and offer.stop > oldest


def _steer(sending: Sending | None, command: mansrtsp.Command) -> mansrtsp.Answer:
    """Obey, and say so; backwards it can't go."""
    if sending is None or sending.begun_micros is None:
        return mansrtsp.Answer(cseq=command.cseq, status=454, reason="Session Not Found")
    match command:
        case mansrtsp.Play(scale=scale) if scale is not None and scale <= 0:
            return mansrtsp.Answer(cseq=command.cseq, status=400, reason="Scale Not Supported")
        case mansrtsp.Play(start=start, scale=scale):
            taken = None
            if start is not None:
                wanted = sending.begun_micros + round(start * 1e6)
                if sending.until_micros is not None and wanted >= sending.until_micros:
                    return mansrtsp.Answer(cseq=command.cseq, status=457, reason="Invalid Range")
                sending.seek(wanted)
            if scale is not None:
                taken = sending.speed = min(FASTEST, scale)
            elif sending.speed == 0:
                sending.speed = 1.0
            return mansrtsp.Answer(cseq=command.cseq, start=start, scale=taken)
        case mansrtsp.Pause():
            sending.speed = 0.0
    return mansrtsp.Answer(cseq=command.cseq)


def _subject_of(request: sip.Request) -> gb.Subject | None:
    try:
        return gb.Subject.parse(request.headers.get("Subject"))
    except WireError:
        return None


def _stream_of(offer: sdp.Sdp, block: sdp.Media) -> str:
    """Which stream an offer asks for, in the standard's way and in the vendors'."""
    if block.stream_number is not None:
        return "sub" if block.stream_number else "main"
    for name in ("streamprofile", "stream", "streamMode"):
        value = block.attribute(name)
        if value is not None:
            return "sub" if value.lower() in ("1", "sub") else "main"
    if offer.format and offer.format.resolution in ("1", "2", "640x360", "640*360"):
        return "sub"
    return "main"


def user_of(request: sip.Request) -> str:
    """Whom a request is for: the Request-URI's user, else To's."""
    for text in (request.uri, str(request.to.uri)):
        try:
            if user := sip.Uri.parse(text).user:
                return user
        except WireError:
            continue
    return ""
