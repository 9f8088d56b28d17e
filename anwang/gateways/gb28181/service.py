"""The GB/T 28181 gateway as the upper platform: one SIP endpoint, many devices, their sessions and calls.

Implements access.Gateway. What devices say becomes calls on the registry; orders go out as MESSAGE and INVITE. The
parts stand in modules of their own: here they are joined, and what comes in is told apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from anwang.access import Address, Preset, PtzOrder, Pushed, Receiver, Stream, Trace, Transport
from anwang.gateways.gb28181 import translate
from anwang.gateways.gb28181.arrivals import Arrivals
from anwang.gateways.gb28181.calls import Calls
from anwang.gateways.gb28181.capture import Capture, redact
from anwang.gateways.gb28181.catalogue import Catalogues, Rounds
from anwang.gateways.gb28181.configurations import Configurations
from anwang.gateways.gb28181.evidence import Batches
from anwang.gateways.gb28181.floods import Floods
from anwang.gateways.gb28181.kept import KeptCalls
from anwang.gateways.gb28181.line import Line
from anwang.gateways.gb28181.notices import Notices
from anwang.gateways.gb28181.past import PastOfDevices
from anwang.gateways.gb28181.policies import NAME, Manners
from anwang.gateways.gb28181.questions import Questions
from anwang.gateways.gb28181.refusals import Refusals
from anwang.gateways.gb28181.registrar import REPEATABLE, Outcome, Registrar
from anwang.gateways.gb28181.sessions import Peer, Session, Sessions
from anwang.gateways.gb28181.sockets import Sockets
from anwang.gateways.gb28181.storms import Storms
from anwang.gateways.gb28181.subscriptions import Subscriptions
from anwang.gateways.gb28181.twins import Twins
from anwang.kernel.errors import AnwangError, Unsupported, WireError
from anwang.kernel.ids import OrgId
from anwang.registry import Answer, CatalogueItem, Registry
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.runtime.settings import Gb28181
from anwang.wire.gb28181 import (
    AlarmNotify,
    CatalogNotify,
    CatalogQuery,
    CatalogResponse,
    Command,
    DeviceControl,
    Guard,
    IFrame,
    Keepalive,
    Manscdp,
    MediaStatus,
    MobilePositionNotify,
    PresetQuery,
    PresetResponse,
    RecordInfoResponse,
    ResetAlarm,
    UploadSnapShotFinished,
    domain_of,
    fast_register,
    fast_reply,
    keepalive_ok,
    login_reply,
    read_fast,
    read_login,
    read_register,
)
from anwang.wire.gb28181 import (
    Outcome as Result,
)
from anwang.wire.sip import (
    Accepted,
    Answered,
    Asked,
    Broken,
    Ended,
    Event,
    Invited,
    Notified,
    Progress,
    Refused,
    Request,
    SubscribeAsked,
    SubscriptionEnded,
    Unanswered,
    Uri,
)

log = logs.get(__name__)

FLUSH_SECONDS = 1.0
SWEEP_SECONDS = 10.0
"""Within so long every device is looked at, a slice each SLICE_SECONDS."""
SLICE_SECONDS = 0.1
ROUND_SECONDS = 30.0
"""Within so long it is found that a device's catalogue is due; the shortest interval is a minute."""
QUICK_SECONDS = 0.005
"""A registered device whose keep-alives come no faster is not looked at for a flood."""
RETRY_SECONDS = 10
#: why the SIP machine refuses by itself
_WHY = {
    405: "a method that nobody asked for",
    481: "a request for a dialog or subscription that is over or never was",
    489: "a subscription to something we do not tell of",
}


class Gb28181Gateway:
    """See the module. `name` is what addresses of points carry."""

    name = NAME

    def __init__(
        self,
        *,
        settings: Gb28181,
        registry: Registry,
        clock: Clock,
        password_of: Callable[[str], str | None],
        sip_host: Callable[[str], str],
        adopt_under: Callable[[str], OrgId | None],
        on_signal: Callable[[str, AlarmNotify], None],
        on_media_end: Callable[[str], None],
        kept: KeptCalls,
        on_configuration: Callable[[str, Answer], Awaitable[None]] | None = None,
    ) -> None:
        """password_of: secret of a device. adopt_under: the organisation that adopts a new device at once, if any.

        sip_host: our address for a device (empty: as it reached us).

        on_signal: device and alarm notice. on_media_end: a call ended by the device, by its dialog.

        kept: what stands, for the run after this one.

        on_configuration: device and how it is set; None: nobody is asked.
        """
        self.settings = settings
        self._registry = registry
        self._clock = clock
        self.server_id = settings.server_id
        self.domain = settings.domain or domain_of(settings.server_id)
        self.sessions = Sessions(keepalive_s=settings.keepalive_seconds, misses=settings.keepalive_misses)
        self.capture = Capture()
        self.refusals = Refusals()
        self.floods = Floods(per_second=settings.requests_per_second, burst=settings.requests_burst)
        self.sockets = Sockets(clock=clock, datagram=self._datagram, lost=self._lost, broken=self._broken)
        self.line = Line(
            us=Uri(self.server_id, self.domain),
            clock=clock,
            sockets=self.sockets,
            capture=self.capture,
            sip_host=sip_host,
            handle=self._handle,
        )
        self._manners = Manners(registry)
        self.registrar = Registrar(
            self.sessions,
            realm=settings.realm or self.domain,
            clock=clock,
            password_of=password_of,
            offer_qop=self._manners.offers_qop,
        )
        self._storms = Storms()
        self._batches = Batches(registry, self.sessions, clock)
        self.questions = Questions(self.line, self.sessions, self._manners)
        self.catalogues = Catalogues(
            clock=clock,
            ask=self._ask_catalogue,
            take=self._take_catalogue,
            next_sn=self.questions.next_sn,
            calm=self._storms.calm,
        )
        self._rounds = Rounds(self.sessions, self._catalogue_interval_s)
        self.calls = Calls(
            self.line,
            self.questions,
            self._manners,
            invite_seconds=settings.invite_seconds,
            kept=kept,
            on_media_end=on_media_end,
        )
        self.past = PastOfDevices(self.line, self.questions, self.calls, first_s=settings.record_search_seconds)
        self.subscriptions = Subscriptions(
            self.line.endpoint,
            local=self.line.us,
            next_sn=self.questions.next_sn,
            written=self._manners.written,
        )
        self.notices = Notices(
            clock=clock,
            registry=registry,
            manners=self._manners,
            questions=self.questions,
            want_catalogue=lambda device: self.catalogues.want(device),
            on_signal=on_signal,
        )
        self.arrivals = Arrivals(
            line=self.line,
            clock=clock,
            registry=registry,
            sessions=self.sessions,
            manners=self._manners,
            batches=self._batches,
            calls=self.calls,
            subscriptions=self.subscriptions,
            questions=self.questions,
            storms=self._storms,
            adopt_under=adopt_under,
            misses=settings.keepalive_misses,
            want_catalogue=lambda device: self.catalogues.want(device),
            want_configuration=lambda device: self.configurations.want(device),
            refuse=lambda peer, reason, device: self._refuse(peer, reason, device=device),
        )
        self.configurations = Configurations(
            clock=clock,
            registry=registry,
            sessions=self.sessions,
            manners=self._manners,
            questions=self.questions,
            ask_status=self.arrivals.ask_status,
            take=on_configuration,
            per_second=settings.configurations_per_second,
            calm=self._storms.calm,
        )
        self._twins = Twins()
        self._slow = 0
        self.fast = 0
        """Keep-alives that were answered without a parser."""

    # --- life -----------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Bind the sockets. Raises Unavailable."""
        await self.sockets.open(self.settings.host, self.settings.port, buffer_bytes=self.settings.receive_buffer_bytes)

    async def run(self) -> None:
        """Batches of evidence, silent devices, catalogues; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._flush_forever())
            group.create_task(self._sweep_forever())
            group.create_task(self._keep_forever())
            group.create_task(self.arrivals.strangers.run())
            group.create_task(self.arrivals.introductions.run())
            group.create_task(self.catalogues.run())
            group.create_task(self.configurations.turns.run())

    def close(self) -> None:
        """Close the sockets; calls in progress are the streams' to end before."""
        self.notices.close()
        self.line.close()
        self._batches.flush()

    async def _flush_forever(self) -> None:
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            self._batches.flush()
            self.sockets.sweep(self._clock.monotonic())
            self._storms.second()

    async def _keep_forever(self) -> None:
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            try:
                await self.calls.kept.flush()
            except AnwangError as err:
                log.warning("calls that stand were not written down", reason=err.reason)

    async def _sweep_forever(self) -> None:
        while True:
            await self._clock.sleep(SLICE_SECONDS)
            most = self.sessions.sweep_size(SWEEP_SECONDS / SLICE_SECONDS)
            for session, why in self.sessions.sweep(self._clock.monotonic(), most):
                self._batches.lost(session, why)
                if self.sessions.get(session.device) is None:
                    self.arrivals.leave(session)
            most = self.sessions.sweep_size(ROUND_SECONDS / SLICE_SECONDS)
            for device in self._rounds.due(self._clock.monotonic(), most):
                self.catalogues.want(device)
            for device in self.configurations.due(self._clock.monotonic(), most):
                self.configurations.want(device)

    @property
    def keepalives(self) -> int:
        """Keep-alives taken."""
        return self.fast + self._slow

    def peer_of(self, device: str) -> Peer | None:
        """Where a registered device is, None for others."""
        session = self.sessions.get(device)
        return None if session is None else session.peer

    @property
    def port(self) -> int:
        """The SIP port in use."""
        return self.sockets.port

    # --- access.Gateway -------------------------------------------------------------------------------------------

    def transports(self, address: Address) -> Sequence[Transport]:
        """By the device's policy, then UDP where TCP is refused."""
        wanted = self._manners.transport(address.device)
        return (wanted,) if wanted is Transport.UDP else (wanted, Transport.UDP)

    async def open_stream(self, address: Address, stream: Stream, receiver: Receiver, trace: Trace) -> Pushed:
        """INVITE the channel and wait for the answer. Raises as access.Gateway."""
        return await self.calls.invite(address, stream, receiver, trace)

    async def close_stream(self, dialog: str) -> None:
        """BYE. A dialog that is over is no fault."""
        self.calls.hang_up(int(dialog))

    async def ptz(self, address: Address, order: PtzOrder) -> None:
        """DeviceControl with PTZCmd or HomePosition. Raises Unavailable, Unsupported."""
        control = self._control(address, translate.control(order))
        if not control.wants_answer:
            await self.questions.tell(address.device, control)
        elif not (await self.questions.query(address.device, control, Result)).is_ok:
            raise Unsupported(f"device {address.device} refuses {order.act.value}")

    async def presets(self, address: Address) -> Sequence[Preset]:
        """PresetQuery. Raises Unavailable."""
        query = PresetQuery(sn=self.questions.next_sn(), device_id=address.channel)
        answer = await self.questions.query(address.device, query, PresetResponse)
        return [
            Preset(number=int(p.id), name=p.name) for p in answer.presets if p.id.isdigit() and 1 <= int(p.id) <= 255
        ]

    async def reset_alarm(self, address: Address, *, method: int | None = None, alarm_type: int | None = None) -> None:
        """AlarmCmd=ResetAlarm; see access.DeviceAlarms. Raises Unavailable, Unsupported."""
        which = ResetAlarm("" if method is None else str(method), "" if alarm_type is None else str(alarm_type))
        await self._command(address, which, "to reset its alarm")

    async def set_guard(self, address: Address, is_armed: bool) -> None:
        """GuardCmd; see access.DeviceAlarms. Raises Unavailable, Unsupported."""
        await self._command(address, Guard(is_armed), "to be armed" if is_armed else "to be disarmed")

    async def _command(self, address: Address, command: Command, what: str) -> None:
        self.questions.reach(address.device)
        if not (await self.questions.query(address.device, self._control(address, command), Result)).is_ok:
            raise Unsupported(f"device {address.device} refuses {what}")

    async def request_key_frame(self, address: Address) -> None:
        """IFameCmd (2016) or IFrameCmd (2022). Raises Unavailable."""
        await self.questions.tell(address.device, self._control(address, IFrame()))

    def _control(self, address: Address, command: Command) -> DeviceControl:
        return DeviceControl(sn=self.questions.next_sn(), device_id=address.channel, command=command)

    # --- catalogues -----------------------------------------------------------------------------------------------

    def sync(self, device: str) -> None:
        """Ask a device for its catalogue now."""
        self.catalogues.want(device)

    async def _ask_catalogue(self, device: str, sn: int) -> None:
        await self.questions.tell(device, CatalogQuery(sn=sn, device_id=device))

    async def _take_catalogue(self, device: str, items: list[CatalogueItem], complete: bool, asked_us: int) -> None:
        admission = self._registry.admission(NAME, device)
        if admission is None:
            return
        await self._registry.reconcile(admission.id, items, complete=complete, asked_at_us=asked_us)
        self._batches.listed(device, len(items), complete=complete)
        session = self.sessions.get(device)
        if session is not None:
            self.arrivals.subscribe(session)

    def _catalogue_interval_s(self, slot: int) -> float | None:
        policies = self._registry.roll.policies(slot)
        return None if policies is None else policies.catalogue_interval_s

    # --- packets in -----------------------------------------------------------------------------------------------

    def _datagram(self, data: bytes, peer: Peer, now: float) -> None:
        # this is nearly all of what comes: each step here is paid half a million times a minute
        is_register = data.startswith(b"REGISTER")
        beat = None if is_register else keepalive_ok(data, peer[1], peer[2])
        if beat is not None:
            session = self.sessions.by_code.get(beat[0])
            if session is not None and session.peer == peer:
                if now - session.heard_s < QUICK_SECONDS and not self.floods.takes(beat[0], now, is_known=True):
                    self._too_many(data, peer, beat[0], now, is_known=True)
                    return
                self.fast += 1
                self.sessions.alive(session, now)
                self.sockets.send(beat[1], peer)
                if self.capture.is_watched(beat[0]):
                    self.line.keep(beat[0], data, peer, outgoing=False)
                    self.line.keep(beat[0], beat[1], peer, outgoing=True)
                return
        device = self.line.device_of(data)
        is_known = self._is_known(device, peer)
        sender = device if device is not None and is_known else peer[1]
        if not self.floods.takes(sender, now, is_known=is_known):
            self._too_many(data, peer, device or "", now, is_known=is_known)
        elif not is_register:
            self.line.receive(data, peer, now, device)
        else:
            if not (self._logged_in(data, peer, now) or self._registered_fast(data, peer)):
                self.line.receive(data, peer, now, device)
            if device is not None and not is_known and self._is_known(device, peer):
                self.floods.proven(peer[1], device, now)

    def _is_known(self, device: str | None, peer: Peer) -> bool:
        """Whether a device is registered from there."""
        session = None if device is None else self.sessions.by_code.get(device)
        return session is not None and session.peer[1] == peer[1]

    def _too_many(self, data: bytes, peer: Peer, device: str, now: float, *, is_known: bool) -> None:
        """A request beyond what its sender may ask; of an address the devices don't matter, they may be made up."""
        if is_known:
            self._refuse(peer, "more requests of one device than are heard", device=device)
        else:
            self._refuse(peer, "more requests from one address than are heard")
        if self.floods.is_told(device if is_known else peer[1], now):
            self.line.turn_away(data, peer, retry_s=RETRY_SECONDS)

    def _logged_in(self, data: bytes, peer: Peer, now: float) -> bool:
        """Answer a REGISTER as most devices write it, without a transaction: the same again gets the same answer."""
        login = read_login(data)
        answer = None if login is None else self.registrar.login(login, peer, now)
        if login is None or answer is None:
            return False
        status, lines, outcome, session = answer
        self._answer_fast(login.device, data, login_reply(login, peer[1], peer[2], status, lines), peer)
        if session is not None:
            self.arrivals.follow(session, outcome)
        return True

    def _registered_fast(self, data: bytes, peer: Peer) -> bool:
        """The same for a plain REGISTER in any order."""
        plain = fast_register(data)
        if plain is None:
            return False
        asked = read_fast(plain)
        verdict = self.registrar.judge(asked, peer)
        if verdict not in REPEATABLE:
            return False
        answer = self.registrar.answer(asked, peer, verdict)
        lines = "".join([f"{name}: {value}\r\n" for name, value in answer.headers]).encode()
        status = b"200 OK" if answer.status == 200 else b"401 Unauthorized"
        self._answer_fast(plain.device, data, fast_reply(plain, peer[1], peer[2], status, lines), peer)
        if answer.session is not None:
            self.arrivals.follow(answer.session, answer.outcome)
        return True

    def _answer_fast(self, raw_device: bytes, data: bytes, reply: bytes, peer: Peer) -> None:
        self.sockets.send(reply, peer)
        # of a storm's messages none would last
        if self._storms.calm.is_set() or self.capture.is_watched(raw_device.decode()):
            device = raw_device.decode()
            self.line.keep(device, data, peer, outgoing=False)
            self.line.keep(device, reply, peer, outgoing=True)

    def _lost(self, peer: Peer) -> None:
        """A TCP connection is gone: its devices are abnormally offline until they register again."""
        for session in self.sessions.lost(peer):
            self._batches.lost(session, "its TCP connection is gone")
        self.line.lost(peer)

    def _broken(self, peer: Peer, err: WireError) -> None:
        self._refuse(peer, err.reason, sample=err.data)

    # --- what the SIP machine says --------------------------------------------------------------------------------

    def _handle(self, event: Event[Peer], now: float) -> None:
        endpoint = self.line.endpoint
        match event:
            case Asked():
                self._asked(event, now)
            case Answered():
                self.questions.answered(event)
            case Unanswered():
                self.questions.unanswered(event)
            case Progress():
                self.calls.progressed(event)
            case Accepted():
                self.calls.accepted(event, now)
            case Ended():
                self.calls.ended(event)
            case Invited():
                # devices invite us only for voice, which comes with a later issue
                endpoint.reject(event.call, 488, now)
                self._refuse_request(event.request, event.peer, "an invitation that nobody asked for")
            case Refused():
                self._refuse_request(event.request, event.peer, _WHY.get(event.status, str(event.status)))
            case Notified():
                self._notified(event, now)
            case SubscribeAsked():
                endpoint.reject_subscription(event.subscription, 489, now)
                self._refuse_request(event.request, event.peer, "a subscription to us")
            case SubscriptionEnded():
                self.subscriptions.ended(event)
            case Broken():
                self._refuse(event.peer, event.error.reason, sample=event.error.data)
            case _:
                pass

    def _asked(self, event: Asked[Peer], now: float) -> None:
        method = event.request.method
        if method == "REGISTER":
            self._register(event, now)
        elif method == "MESSAGE":
            self._message(event, now)
        else:
            self.line.endpoint.reply(event.transaction, 405, now)
            self._refuse_request(event.request, event.peer, _WHY[405])

    def _register(self, event: Asked[Peer], now: float) -> None:
        try:
            asked = read_register(event.request)
        except WireError as err:
            self.line.endpoint.reply(event.transaction, 400, now)
            self._refuse(event.peer, err.reason, device=event.request.from_.uri.user, sample=err.data)
            return
        answer = self.registrar.answer(asked, event.peer)
        self.line.endpoint.reply(event.transaction, answer.status, now, headers=answer.headers)
        if answer.outcome is Outcome.REFUSED:
            self._refuse(event.peer, answer.reason, device=answer.device)
        if answer.session is not None:
            self.arrivals.follow(answer.session, answer.outcome)

    def _message(self, event: Asked[Peer], now: float) -> None:
        request = event.request
        device = request.from_.uri.user
        session = self.sessions.get(device)
        if session is None and (caller := self.calls.device_of(event.call)):
            # recorders of one maker write something else than their code into a notice inside a call
            device, session = caller, self.sessions.get(caller)
        if session is None or not self._is_from(session, event.peer):
            self.line.endpoint.reply(event.transaction, 403, now)
            self._refuse(event.peer, "a message from a device that is not registered here", device=device)
            return
        session.heard_s = now
        try:
            message = self._manners.read(request.body, session.device)
        except WireError as err:
            self.line.endpoint.reply(event.transaction, 400, now)
            self._refuse(event.peer, err.reason, device=device, sample=err.data)
            return
        self.line.endpoint.reply(event.transaction, 200, now)
        self._take(session, message, event)

    def _notified(self, event: Notified[Peer], now: float) -> None:
        device = self.subscriptions.device_of(event.subscription) or event.request.from_.uri.user
        session = self.sessions.get(device)
        if session is None or not self._is_from(session, event.peer):
            self.line.endpoint.reply(event.transaction, 403, now)
            self._refuse(event.peer, "a notice from a device that is not registered here", device=device)
            return
        session.heard_s = now
        try:
            message = self._manners.read(event.request.body, device) if event.request.body else None
        except WireError as err:
            self.line.endpoint.reply(event.transaction, 400, now)
            self._refuse(event.peer, err.reason, device=session.device, sample=err.data)
            return
        self.line.endpoint.reply(event.transaction, 200, now)
        if isinstance(message, CatalogResponse):
            self.notices.items(session.device, message)
        elif isinstance(message, AlarmNotify):
            self.notices.alarm(session, message, is_answered=True)
        elif message is not None:
            self.notices.notice(session, message)

    def _is_from(self, session: Session, peer: Peer) -> bool:
        """Whether the peer is the one that registered; a NAT may give a UDP device another port (it is followed)."""
        if session.peer == peer:
            return True
        if session.peer[0] == peer[0] == "udp" and session.peer[1] == peer[1]:
            self.sessions.move(session, peer)
            return True
        return False

    def _take(self, session: Session, message: Manscdp, event: Asked[Peer]) -> None:
        match message:
            case Keepalive():
                self._slow += 1
                self.sessions.alive(session, self._clock.monotonic())
                if not self.capture.is_watched(session.device):
                    self.line.overlook(event.request.call_id)
            case CatalogResponse():
                for code in self._twins.found(session.device, message):
                    self._refuse(event.peer, f"its catalogue lists {code} under two names", device=session.device)
                if not self.catalogues.received(session.device, message):
                    self.notices.items(session.device, message)
            case AlarmNotify():
                self.notices.alarm(session, message)
            case MediaStatus():
                if message.is_end_of_file:
                    self.calls.sent(session, event.request.call_id)
            case RecordInfoResponse():
                self.past.came(session.device, message)
            case Result(cmd_type="RecordInfo"):
                self.past.refused(session.device, message)
            case UploadSnapShotFinished():
                self.past.snapped(session.device, message)
            case MobilePositionNotify() | CatalogNotify():
                self.notices.notice(session, message)
            case _:
                self.questions.settle(session.device, message)

    # --- refusals -------------------------------------------------------------------------------------------------

    def refuse_media(self, device: str, reason: str) -> None:
        """What came to a receiver of a device's stream was not taken; the reason names who sent it."""
        peer = self.peer_of(device)
        self.refusals.note(self._clock.micros(), peer=f"{peer[1] if peer else '?'}/rtp", device=device, reason=reason)

    def _refuse(self, peer: Peer, reason: str, *, device: str = "", sample: bytes = b"") -> None:
        self.refusals.note(
            self._clock.micros(),
            peer=f"{peer[1]}/{peer[0]}",
            device=device[:40],
            reason=reason,
            sample=redact(sample) if sample else b"",
        )

    def _refuse_request(self, request: Request, peer: Peer, why: str) -> None:
        self._refuse(peer, f"{request.method[:16]}: {why}", device=request.from_.uri.user)
