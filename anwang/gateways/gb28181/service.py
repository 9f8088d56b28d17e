"""The GB/T 28181 gateway as the upper platform: one SIP endpoint, many devices, their sessions and calls.

Implements access.Gateway. What devices say becomes calls on the registry; orders go out as MESSAGE and INVITE.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from anwang.access import Address, Checking, Preset, PtzOrder, Pushed, Receiver, Step, Stream, Trace, Transport
from anwang.gateways.gb28181 import invite, translate
from anwang.gateways.gb28181.capture import Capture, Captured, redact
from anwang.gateways.gb28181.catalogue import Catalogues, Rounds
from anwang.gateways.gb28181.kept import KeptCalls
from anwang.gateways.gb28181.past import PastOfDevices
from anwang.gateways.gb28181.policies import AlarmPolicy, alarm_policy, position_interval_s
from anwang.gateways.gb28181.refusals import Refusals
from anwang.gateways.gb28181.registrar import REPEATABLE, Outcome, Registrar
from anwang.gateways.gb28181.sessions import Peer, Session, Sessions
from anwang.gateways.gb28181.sockets import Sockets
from anwang.gateways.gb28181.subscriptions import Subscriptions, Topic
from anwang.gateways.gb28181.turns import Turns
from anwang.gateways.gb28181.twins import Twins
from anwang.kernel.errors import AnwangError, Exhausted, Unavailable, Unsupported, WireError
from anwang.kernel.ids import OrgId
from anwang.registry import CatalogueItem, DeviceStatus, Evidence, EvidenceKind, Known, Place, Registry, device_key
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.runtime.settings import Gb28181
from anwang.wire import sdp
from anwang.wire.gb28181 import (
    CONTENT_TYPE,
    AlarmNotify,
    CatalogItem,
    CatalogNotify,
    CatalogQuery,
    CatalogResponse,
    Command,
    DeviceControl,
    DeviceInfoQuery,
    DeviceInfoResponse,
    DeviceStatusQuery,
    DeviceStatusResponse,
    Guard,
    IFrame,
    ItemEvent,
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
    parse,
    read_fast,
    read_login,
    read_register,
    serialize,
    type_of,
)
from anwang.wire.gb28181 import (
    Outcome as Result,
)
from anwang.wire.sip import (
    Accepted,
    Answered,
    Asked,
    Broken,
    Cause,
    Ended,
    Endpoint,
    Event,
    Invited,
    Notified,
    Progress,
    Refused,
    Request,
    Response,
    SubscribeAsked,
    SubscriptionEnded,
    Unanswered,
    Uri,
)

log = logs.get(__name__)

NAME = "gb28181"
M = TypeVar("M", bound=Manscdp)
FLUSH_SECONDS = 1.0
SWEEP_SECONDS = 10.0
"""Within so long every device is looked at, a slice each SLICE_SECONDS."""
SLICE_SECONDS = 0.1
ROUND_SECONDS = 30.0
"""Within so long it is found that a device's catalogue is due; the shortest interval is a minute."""
STORM_PER_SECOND = 300
"""Where more devices register in a second, nobody is asked anything: registrations and keep-alives go first."""
CALM_SECONDS = 2
"""A storm is over when it has not stormed for so long."""
LOGGED_LOSSES = 20
"""Lost devices named in the log each second; of a whole district's, the others are counted."""
MOST_EVIDENCE = 20_000
TOGETHER = 64
MOST_WAITING = 600_000
ASK_SECONDS = 5.0
MOST_TASKS = 10_000
SEEN_NOTICES = 4096
_TRANSPORTS = {
    "tcp-passive": Transport.TCP_PASSIVE,
    "tcp-active": Transport.TCP_ACTIVE,
    "udp": Transport.UDP,
}
_CAMERAS = frozenset({"131", "132"})
#: charset policies: what a device reads and writes whatever its declarations say; the others go by edition and bytes
_CHARSETS = {"gb18030": "GB18030", "utf-8": "UTF-8"}
#: why the SIP machine refuses by itself
_WHY = {
    405: "a method that nobody asked for",
    481: "a request for a dialog or subscription that is over or never was",
    489: "a subscription to something we do not tell of",
}
#: what a device says to an INVITE, as our errors
_REFUSALS: dict[int, type[AnwangError]] = {486: Exhausted, 488: Unsupported, 415: Unsupported}


@dataclass(slots=True, kw_only=True)
class _Call:
    """One INVITE on its way or standing."""

    device: str
    trace: Trace
    answered: asyncio.Future[Accepted[Peer]]
    past: bool = False
    """A recording: it ends when everything has been sent."""
    call_id: str = ""
    """Once it stands."""


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
    ) -> None:
        """password_of: secret of a device. adopt_under: the organisation that adopts a new device at once, if any.

        sip_host: our address for a device (empty: as it reached us).

        on_signal: device and alarm notice. on_media_end: a call ended by the device, by its dialog.

        kept: what stands, for the run after this one.
        """
        self.settings = settings
        self._registry = registry
        self._clock = clock
        self._sip_host = sip_host
        self.adopt_under = adopt_under
        self._on_signal = on_signal
        self._on_media_end = on_media_end
        self.kept = kept
        self.left_calls = 0
        """Calls of a run before that were ended."""
        self.server_id = settings.server_id
        self.domain = settings.domain or domain_of(settings.server_id)
        self.sessions = Sessions(keepalive_s=settings.keepalive_seconds, misses=settings.keepalive_misses)
        self.capture = Capture()
        self.refusals = Refusals()
        self.registrar = Registrar(
            self.sessions,
            realm=settings.realm or self.domain,
            clock=clock,
            password_of=password_of,
            offer_qop=lambda device: self._policy(device, "offer_qop") == "yes",
        )
        self.sockets = Sockets(clock=clock, datagram=self._datagram, lost=self._lost, broken=self._broken)
        self._endpoint: Endpoint[Peer] = Endpoint(self, max_calls=50_000, max_subscriptions=60_000)
        self._calm = asyncio.Event()
        self._calm.set()
        self._calm_in = 0
        self._registrations = 0
        self.catalogues = Catalogues(
            clock=clock, ask=self._ask_catalogue, take=self._take_catalogue, next_sn=self._next_sn, calm=self._calm
        )
        self._rounds = Rounds(self.sessions, self._catalogue_interval_s)
        always = asyncio.Event()
        always.set()
        self.strangers = Turns(self._meet, what="admission", together=TOGETHER, most=MOST_WAITING, calm=always)
        self.introductions = Turns(
            self._introduce, what="introduction", together=TOGETHER, most=MOST_WAITING, calm=self._calm
        )
        self._sn = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Answered[Peer]]] = {}
        self._business: dict[tuple[str, int], tuple[type[Manscdp], asyncio.Future[Manscdp]]] = {}
        self._calls: dict[int, _Call] = {}
        self.past = PastOfDevices(self, first_s=settings.record_search_seconds)
        self.subscriptions = Subscriptions(
            self._endpoint,
            local=Uri(self.server_id, self.domain),
            next_sn=self._next_sn,
            written=self._written,
        )
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._local: dict[str, str] = {}
        self._notices: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self._twins = Twins()
        self.registrations = 0
        self.notices = 0
        self.alarms = dict.fromkeys(("announced", "repeated", "not_adopted"), 0)
        """Alarm notices by what became of them."""
        self.positions_unread = 0
        """Positions without a readable place, or more in one message than are taken."""
        self.strays = 0
        """Notices and answers that nobody waits for."""
        self._evidence: list[Evidence] = []
        self._arrived: tuple[list[int], list[int], list[str]] = ([], [], [])
        self._lost_now = 0
        self._unseen: set[bytes] = set()
        self._slow = 0
        self.fast = 0
        """Keep-alives that were answered without a parser."""
        self.refused_tasks = 0

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
            group.create_task(self.strangers.run())
            group.create_task(self.introductions.run())
            group.create_task(self.catalogues.run())

    def close(self) -> None:
        """Close the sockets; calls in progress are the streams' to end before."""
        for task in self._tasks:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self.sockets.close()
        self.flush()

    @property
    def keepalives(self) -> int:
        """Keep-alives taken."""
        return self.fast + self._slow

    @property
    def port(self) -> int:
        """The SIP port in use."""
        return self.sockets.port

    # --- wire.sip.Network -----------------------------------------------------------------------------------------

    def is_reliable(self, peer: Peer) -> bool:
        """See wire.sip.Network."""
        return peer[0] != "udp"

    def transport(self, peer: Peer) -> str:
        """See wire.sip.Network."""
        return peer[0].upper()

    def local(self, peer: Peer) -> tuple[str, int]:
        """See wire.sip.Network: our address as the peer must see it, the zone's before the routing table's."""
        told = self._sip_host(peer[1])
        if told:
            return told, self.port
        found = self._local.get(peer[1])
        if found is None:
            found = self.sockets.local_address(peer) or "127.0.0.1"
            if len(self._local) > 100_000:
                self._local.clear()
            self._local[peer[1]] = found
        return found, self.port

    def source(self, peer: Peer) -> tuple[str, int]:
        """See wire.sip.Network."""
        return peer[1], peer[2]

    # --- access.Gateway -------------------------------------------------------------------------------------------

    def transports(self, address: Address) -> Sequence[Transport]:
        """By the device's policy, then UDP where TCP is refused."""
        wanted = _TRANSPORTS[self._policy(address.device, "transport") or "tcp-passive"]
        return (wanted,) if wanted is Transport.UDP else (wanted, Transport.UDP)

    async def open_stream(self, address: Address, stream: Stream, receiver: Receiver, trace: Trace) -> Pushed:
        """INVITE the channel and wait for the answer. Raises as access.Gateway."""
        return await self.call(address, stream, receiver, trace)

    async def call(
        self,
        address: Address,
        stream: Stream,
        receiver: Receiver,
        trace: Trace,
        *,
        shape: Callable[[sdp.Sdp], sdp.Sdp] = lambda offer: offer,
        past: bool = False,
    ) -> Pushed:
        """One INVITE. shape: what becomes of the offer of a live stream. past: a recording is asked for.

        Raises as access.Gateway.
        """
        session = self._reach(address.device)
        host = receiver.host or self.local(session.peer)[0]
        offer = invite.offer(
            server_id=self.server_id,
            receiver=receiver,
            host=host,
            stream=stream,
            version=session.version,
            stream_numbers=len(address.streams) > 1,
        )
        subject = invite.subject(channel=address.channel, server_id=self.server_id, ssrc=receiver.ssrc)
        body = bytes(shape(offer))
        call = self._endpoint.invite(
            local=Uri(self.server_id, self.domain),
            remote=Uri(address.channel, self.domain),
            target=Uri(address.channel, session.peer[1], session.peer[2]),
            peer=session.peer,
            now=self._clock.monotonic(),
            body=body,
            headers=(("Subject", str(subject)),),
        )
        answered: asyncio.Future[Accepted[Peer]] = asyncio.get_running_loop().create_future()
        self._calls[call] = _Call(device=address.device, trace=trace, answered=answered, past=past)
        trace.step(
            Step.INVITED, f"to {session.peer[1]}:{session.peer[2]}/{session.peer[0]}", outgoing=True, message=body
        )
        self._pump()
        try:
            async with asyncio.timeout(self.settings.invite_seconds):
                accepted = await answered
        except TimeoutError:
            self._hang_up(call)
            raise Unavailable(
                f"device {address.device} did not answer the invitation in {self.settings.invite_seconds:.0f} s",
                "see its evidence and messages",
            ) from None
        except BaseException:
            self._hang_up(call)
            raise
        trace.step(Step.ANSWERED, "200 OK", message=accepted.response.body)
        try:
            answer = sdp.Sdp.parse(accepted.response.body)
            checking = Checking.ANY if self._policy(address.device, "ssrc") == "any" else Checking.STRICT
            pushed = invite.accept(
                answer,
                receiver=receiver,
                dialog=str(call),
                checking=checking,
                source=session.peer[1],
                any_source=self._policy(address.device, "media_source") == "any",
                with_sound=self._takes_sound(address.device),
            )
        except AnwangError:
            self._hang_up(call)
            raise
        trace.step(Step.ACKNOWLEDGED)
        return pushed

    def _takes_sound(self, device: str) -> bool:
        policies = self._registry.policies(NAME, device)
        return policies is None or policies.audio

    async def close_stream(self, dialog: str) -> None:
        """BYE. A dialog that is over is no fault."""
        self._hang_up(int(dialog))

    async def ptz(self, address: Address, order: PtzOrder) -> None:
        """DeviceControl with PTZCmd or HomePosition. Raises Unavailable, Unsupported."""
        control = DeviceControl(sn=self._next_sn(), device_id=address.channel, command=translate.control(order))
        if not control.wants_answer:
            await self._tell(address.device, control)
        elif not (await self._query(address.device, control, Result)).is_ok:
            raise Unsupported(f"device {address.device} refuses {order.act.value}")

    async def presets(self, address: Address) -> Sequence[Preset]:
        """PresetQuery. Raises Unavailable."""
        query = PresetQuery(sn=self._next_sn(), device_id=address.channel)
        answer = await self._query(address.device, query, PresetResponse)
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
        self._reach(address.device)
        control = DeviceControl(sn=self._next_sn(), device_id=address.channel, command=command)
        if not (await self._query(address.device, control, Result)).is_ok:
            raise Unsupported(f"device {address.device} refuses {what}")

    async def request_key_frame(self, address: Address) -> None:
        """IFameCmd (2016) or IFrameCmd (2022). Raises Unavailable."""
        await self._tell(address.device, DeviceControl(sn=self._next_sn(), device_id=address.channel, command=IFrame()))

    def sync(self, device: str) -> None:
        """Ask a device for its catalogue now."""
        self.catalogues.want(device)

    # --- packets in -----------------------------------------------------------------------------------------------

    def _datagram(self, data: bytes, peer: Peer, now: float) -> None:
        # this is nearly all of what comes: each step here is paid half a million times a minute
        is_register = data.startswith(b"REGISTER")
        beat = None if is_register else keepalive_ok(data, peer[1], peer[2])
        if beat is not None:
            session = self.sessions.by_code.get(beat[0])
            if session is not None and session.peer == peer:
                self.fast += 1
                self.sessions.alive(session, now)
                self.sockets.send(beat[1], peer)
                if self.capture.is_watched(beat[0]):
                    self._keep(beat[0], data, peer, outgoing=False)
                    self._keep(beat[0], beat[1], peer, outgoing=True)
                return
        elif is_register and (self._logged_in(data, peer, now) or self._registered_fast(data, peer)):
            return
        self._capture(data, peer, outgoing=False)
        self._endpoint.receive(data, peer, now)
        self._pump()

    def _logged_in(self, data: bytes, peer: Peer, now: float) -> bool:
        """Answer a REGISTER as most devices write it, without a transaction: the same again gets the same answer."""
        login = read_login(data)
        answer = None if login is None else self.registrar.login(login, peer, now)
        if login is None or answer is None:
            return False
        status, lines, outcome, session = answer
        self._answer_fast(login.device, data, login_reply(login, peer[1], peer[2], status, lines), peer)
        if session is not None:
            self._follow(session, outcome)
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
            self._follow(answer.session, answer.outcome)
        return True

    def _answer_fast(self, raw_device: bytes, data: bytes, reply: bytes, peer: Peer) -> None:
        self.sockets.send(reply, peer)
        # of a storm's messages none would last
        if self._calm.is_set() or self.capture.is_watched(raw_device.decode()):
            device = raw_device.decode()
            self._keep(device, data, peer, outgoing=False)
            self._keep(device, reply, peer, outgoing=True)

    def _lost(self, peer: Peer) -> None:
        """A TCP connection is gone: its devices are abnormally offline until they register again."""
        for session in self.sessions.lost(peer):
            self._note_lost(session, "its TCP connection is gone")
        self._endpoint.lost(peer, self._clock.monotonic())
        self._pump()

    def _broken(self, peer: Peer, err: WireError) -> None:
        self._refuse(peer, err.reason, sample=err.data)

    def _pump(self) -> None:
        """Handle what the machine says, send what it wants to send, wake up when it must."""
        now = self._clock.monotonic()
        for event in self._endpoint.events():
            try:
                self._handle(event, now)
            except AnwangError as err:
                log.info("a SIP event was not taken", reason=err.reason, what=type(event).__name__)
            except Exception:
                log.exception("a SIP event failed by our own fault", what=type(event).__name__)
        for data, peer in self._endpoint.to_send(now):
            if not self._unseen or _call_id(data) not in self._unseen:
                self._capture(data, peer, outgoing=True)
            self.sockets.send(data, peer)
        self._unseen.clear()
        due = self._endpoint.timer()
        if due is not None and (self._timer is None or due < self._timer_at - 0.005):
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = due
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._endpoint.tick(self._clock.monotonic())
        self._pump()

    def _capture(self, data: bytes, peer: Peer, *, outgoing: bool) -> None:
        device = _device_of(data, self.server_id)
        if device is not None and (b"<CmdType>Keepalive" not in data or self.capture.is_watched(device)):
            self._keep(device, data, peer, outgoing=outgoing)

    def _keep(self, device: str, data: bytes, peer: Peer, *, outgoing: bool) -> None:
        host = self._local.get(peer[1]) or "0.0.0.0"  # noqa: S104 - only for the capture's headers
        local = (host, self.sockets.port)
        self.capture.note(device, Captured(self._clock.micros(), outgoing, peer[0], local, peer[1:], data))

    def _handle(self, event: Event[Peer], now: float) -> None:
        match event:
            case Asked():
                self._asked(event, now)
            case Answered():
                future = self._answers.get(event.transaction)
                if future is not None and event.response.is_final and not future.done():
                    future.set_result(event)
            case Unanswered():
                future = self._answers.get(event.transaction)
                if future is not None and not future.done():
                    future.set_exception(Unavailable("the device does not answer", "see its evidence"))
            case Progress():
                if (call := self._calls.get(event.call)) is not None:
                    call.trace.step(Step.TRYING, f"{event.response.status} {event.response.reason}")
            case Accepted():
                call = self._calls.get(event.call)
                if call is None or call.answered.done():
                    self._endpoint.hang_up(event.call, now)
                else:
                    call.answered.set_result(event)
                    call.call_id = event.response.call_id
                    self.kept.began(call.device, self._endpoint.dialog_of(event.call))
            case Ended():
                self._ended(event)
            case Invited():
                # devices invite us only for voice, which comes with a later issue
                self._endpoint.reject(event.call, 488, now)
                self._refuse_request(event.request, event.peer, "an invitation that nobody asked for")
            case Refused():
                self._refuse_request(event.request, event.peer, _WHY.get(event.status, str(event.status)))
            case Notified():
                self._notified(event, now)
            case SubscribeAsked():
                self._endpoint.reject_subscription(event.subscription, 489, now)
                self._refuse_request(event.request, event.peer, "a subscription to us")
            case SubscriptionEnded():
                self.subscriptions.ended(event)
            case Broken():
                self._refuse(event.peer, event.error.reason, sample=event.error.data)
            case _:
                pass

    def _ended(self, event: Ended) -> None:
        call = self._calls.pop(event.call, None)
        if call is None:
            return
        if call.call_id:
            self.kept.ended(call.call_id)
        if call.answered.done():
            if event.cause is not Cause.LOCAL:
                self._on_media_end(str(event.call))
            return
        status = getattr(event.message, "status", 0)
        reason = getattr(event.message, "reason", "")
        if event.cause is Cause.REJECTED:
            call.trace.step(Step.REFUSED, f"{status} {reason}".strip())
            kind = _REFUSALS.get(status, Unavailable)
            call.answered.set_exception(kind(f"the device answered {status} {reason}".strip()))
        else:
            call.answered.set_exception(Unavailable(f"the invitation ended: {event.cause}"))

    # --- requests of devices --------------------------------------------------------------------------------------

    def _asked(self, event: Asked[Peer], now: float) -> None:
        method = event.request.method
        if method == "REGISTER":
            self._register(event, now)
        elif method == "MESSAGE":
            self._message(event, now)
        else:
            self._endpoint.reply(event.transaction, 405, now)
            self._refuse_request(event.request, event.peer, _WHY[405])

    def _register(self, event: Asked[Peer], now: float) -> None:
        try:
            asked = read_register(event.request)
        except WireError as err:
            self._endpoint.reply(event.transaction, 400, now)
            self._refuse(event.peer, err.reason, device=event.request.from_.uri.user, sample=err.data)
            return
        answer = self.registrar.answer(asked, event.peer)
        self._endpoint.reply(event.transaction, answer.status, now, headers=answer.headers)
        if answer.outcome is Outcome.REFUSED:
            self._refuse(event.peer, answer.reason, device=answer.device)
        if answer.session is not None:
            self._follow(answer.session, answer.outcome)

    def _follow(self, session: Session, outcome: Outcome) -> None:
        """What a REGISTER leads to once it is answered."""
        if outcome is Outcome.LOGGED_OUT:
            self._note_lost(session, "logged out")
            self._leave(session)
            return
        self.registrations += outcome is Outcome.REGISTERED
        self._registrations += 1
        if self._registrations > STORM_PER_SECOND:
            self._calm.clear()
            self._calm_in = CALM_SECONDS
        peer = session.peer
        if peer[0] == "tcp":
            self.sockets.settle(peer)
        address = f"{peer[1]}:{peer[2]}"
        known = self._registry.greet(NAME, session.device, address=address, transport=peer[0])
        if known is not None:
            self._welcome(session, known, address, is_new=outcome is Outcome.REGISTERED)
        elif not self.strangers.want(session.device):
            self._turn_away(session, "too many new devices wait to be written down")

    async def _meet(self, device: str) -> None:
        """Write a device down that the registry has never seen."""
        session = self.sessions.get(device)
        if session is None:
            return  # it has gone meanwhile
        peer = session.peer
        address = f"{peer[1]}:{peer[2]}"
        try:
            await self._registry.meet(
                NAME,
                device,
                address=address,
                transport=peer[0],
                version=str(session.version),
                adopt_under=self.adopt_under(device),
            )
        except AnwangError as err:
            self._turn_away(session, err.reason)
            return
        known = self._registry.greet(NAME, device, address=address, transport=peer[0])
        current = self.sessions.get(device)  # it may have registered anew while it was written down
        if known is not None and current is not None:
            self._welcome(current, known, address, is_new=True)

    def _welcome(self, session: Session, known: Known, address: str, *, is_new: bool) -> None:
        """The registry knows the device: what it says counts from now on, and a new one is asked about itself."""
        if known.status is DeviceStatus.REFUSED:
            self._turn_away(session, "an operator refused this device")
            return
        own = known.policies.own_keepalive_s
        session.silence_s = 0.0 if own is None else own * self.settings.keepalive_misses
        session.slot = known.slot
        slots, at_us, sources = self._arrived
        slots.append(known.slot)
        at_us.append(self._clock.micros())
        sources.append(f"{address}/{session.peer[0]}")
        if len(slots) >= MOST_EVIDENCE:
            self.flush()
        if is_new:
            self._end_left(session)
            self.subscriptions.drop(session, self._clock.monotonic())
            self._pump()
            self.catalogues.want(session.device)
            self.introductions.want(session.device)
        elif self.subscriptions.is_due(session.device):
            self.introductions.want(session.device)

    def _turn_away(self, session: Session, reason: str) -> None:
        """A device that proved itself, but may not stay."""
        self._refuse(session.peer, reason, device=session.device)
        self.sessions.drop(session.device)
        self._leave(session)

    def _leave(self, session: Session) -> None:
        """A device is registered no more: nothing is asked of it any longer, and what it sends ends."""
        self.subscriptions.drop(session, self._clock.monotonic())
        for number in [number for number, call in self._calls.items() if call.device == session.device]:
            is_standing = self._calls[number].answered.done()
            self._hang_up(number)
            if is_standing:
                self._on_media_end(str(number))
        self._pump()
        self._release(session)

    def _release(self, session: Session) -> None:
        """The last device that leaves a connection leaves it to a stranger."""
        if session.peer[0] == "tcp" and not self.sessions.is_used(session.peer):
            self.sockets.unsettle(session.peer)

    async def _introduce(self, device: str) -> None:
        """Ask a device who it is, how it is, and to tell of changes. Many don't answer; nothing depends on it."""
        for ask in (self._ask_who, self.ask_status):
            with contextlib.suppress(AnwangError):
                await ask(device)
        session = self.sessions.get(device)
        if session is not None:
            self._subscribe(session)

    async def ask_status(self, device: str) -> None:
        """DeviceStatus; the answer becomes the device's report. Raises Unavailable, Unsupported."""
        told = await self._query(device, DeviceStatusQuery(sn=self._next_sn(), device_id=device), DeviceStatusResponse)
        if told.is_online is None and told.is_healthy is None:
            raise Unsupported(f"device {device} does not say how it is")
        self._registry.note_report(NAME, device, translate.report(told, self._clock.micros()))

    async def _ask_who(self, device: str) -> None:
        query = DeviceInfoQuery(sn=self._next_sn(), device_id=device)
        told = await self._query(device, query, DeviceInfoResponse)
        session, admission = self.sessions.get(device), self._registry.admission(NAME, device)
        if session is None or admission is None:
            return
        await self._registry.describe(
            admission.id,
            name=told.name or None,
            vendor=told.manufacturer or None,
            model=told.model or None,
            version=f"{session.version} {told.firmware}".strip(),
        )

    def _message(self, event: Asked[Peer], now: float) -> None:
        request = event.request
        device = request.from_.uri.user
        session = self.sessions.get(device)
        if session is None and (call := self._calls.get(event.call)) is not None:
            # recorders of one maker write something else than their code into a notice inside a call
            device, session = call.device, self.sessions.get(call.device)
        if session is None or not self._is_from(session, event.peer):
            self._endpoint.reply(event.transaction, 403, now)
            self._refuse(event.peer, "a message from a device that is not registered here", device=device)
            return
        session.heard_s = now
        try:
            message = self._read(request.body, session.device)
        except WireError as err:
            self._endpoint.reply(event.transaction, 400, now)
            self._refuse(event.peer, err.reason, device=device, sample=err.data)
            return
        self._endpoint.reply(event.transaction, 200, now)
        self._take(session, message, event)

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
                    self._unseen.add(event.request.call_id.encode())
            case CatalogResponse():
                for code in self._twins.found(session.device, message):
                    self._refuse(event.peer, f"its catalogue lists {code} under two names", device=session.device)
                if not self.catalogues.received(session.device, message):
                    self._spawn(self._take_items(session.device, message.items, root=message.device_id))
            case AlarmNotify():
                self._alarm(session, message)
            case MediaStatus():
                if message.is_end_of_file:
                    self._media_ended(session, event.request.call_id)
            case RecordInfoResponse():
                self.past.came(session.device, message)
            case Result(cmd_type="RecordInfo"):
                self.past.refused(session.device, message)
            case UploadSnapShotFinished():
                self.past.snapped(session.device, message)
            case MobilePositionNotify() | CatalogNotify():
                self._notice(session, message)
            case _:
                self._settle(session.device, message)

    def _media_ended(self, session: Session, call_id: str) -> None:
        """The device says that it has sent everything: the play is over now, not after its silence.

        Where the notice lies outside its call's dialog, the device's only recording that plays is meant.
        """
        number = self._endpoint.find_call(call_id)
        call = self._calls.get(number)
        if call is None:
            playing = [n for n, c in self._calls.items() if c.past and c.device == session.device]
            if len(playing) != 1:
                return
            number, call = playing[0], self._calls[playing[0]]
        if call.device != session.device:
            return  # another device's
        if call.past and self.past.on_sent(str(number)):
            return  # whoever receives it hangs up when the last packets are in
        self._hang_up(number)
        self._on_media_end(str(number))

    def _settle(self, device: str, message: Manscdp) -> None:
        """An answer that somebody waits for; a bare OK or ERROR answers whatever was asked under its number."""
        waiting = self._business.get((device, message.sn))
        if waiting is None or waiting[1].done():
            self.strays += 1
            return
        if isinstance(message, waiting[0]):
            waiting[1].set_result(message)
        elif isinstance(message, Result):
            said = f"{'OK' if message.is_ok else 'ERROR'} {message.reason}".rstrip()
            waiting[1].set_exception(Unsupported(f"device {device} answered {said} and nothing more"))

    def _alarm(self, session: Session, message: AlarmNotify, *, is_answered: bool = False) -> None:
        """An alarm notice is announced once however often it comes. is_answered: it came as NOTIFY, whose SIP answer is
        all; one that came as MESSAGE gets a message back.
        """
        if not is_answered:
            answer = Result(sn=message.sn, device_id=message.device_id, cmd_type="Alarm", is_ok=True)
            self._spawn(self._send_quietly(session, self._written(session, answer)))
        moment = message.at or message.sn  # one without a time is told apart by its number
        key = (session.device, message.device_id, message.method, message.alarm_type, moment)
        if key in self._notices:
            self.alarms["repeated"] += 1
            return
        self._notices[key] = None
        if len(self._notices) > SEEN_NOTICES:
            self._notices.popitem(last=False)
        if not self._is_adopted(session.device):
            self.alarms["not_adopted"] += 1
            return
        self.alarms["announced"] += 1
        self._on_signal(session.device, message)

    def _notice(self, session: Session, message: Manscdp) -> None:
        if isinstance(message, CatalogNotify):
            self.notices += 1
            self._spawn(self._take_items(session.device, message.items, root=message.device_id))
        elif isinstance(message, MobilePositionNotify):
            places = translate.places(message, device=session.device, at_us=self._clock.micros())
            self.positions_unread += len(message.positions) - len(places) if message.positions else 1
            if places:
                self._spawn(self._take_places(session.device, places))

    async def _take_places(self, device: str, places: Sequence[tuple[str, Place]]) -> None:
        for channel, place in places:
            await self._registry.note_place(NAME, device, channel, place)

    def _notified(self, event: Notified[Peer], now: float) -> None:
        device = self.subscriptions.device_of(event.subscription) or event.request.from_.uri.user
        session = self.sessions.get(device)
        if session is None or not self._is_from(session, event.peer):
            self._endpoint.reply(event.transaction, 403, now)
            self._refuse(event.peer, "a notice from a device that is not registered here", device=device)
            return
        session.heard_s = now
        try:
            message = self._read(event.request.body, device) if event.request.body else None
        except WireError as err:
            self._endpoint.reply(event.transaction, 400, now)
            self._refuse(event.peer, err.reason, device=session.device, sample=err.data)
            return
        self._endpoint.reply(event.transaction, 200, now)
        if isinstance(message, CatalogResponse):
            self._spawn(self._take_items(session.device, message.items, root=message.device_id))
        elif isinstance(message, AlarmNotify):
            self._alarm(session, message, is_answered=True)
        elif message is not None:
            self._notice(session, message)

    # --- catalogues -----------------------------------------------------------------------------------------------

    async def _ask_catalogue(self, device: str, sn: int) -> None:
        await self._tell(device, CatalogQuery(sn=sn, device_id=device))

    async def _take_catalogue(self, device: str, items: list[CatalogueItem], complete: bool, asked_us: int) -> None:
        admission = self._registry.admission(NAME, device)
        if admission is None:
            return
        await self._registry.reconcile(admission.id, items, complete=complete, asked_at_us=asked_us)
        session = self.sessions.get(device)
        if session is not None:
            self._subscribe(session)

    async def _take_items(self, device: str, items: Sequence[CatalogItem], *, root: str) -> None:
        """Entries that came unasked: a notice of changes, never a complete catalogue."""
        admission = self._registry.admission(NAME, device)
        if admission is None:
            return
        at_us = self._clock.micros()
        found = [translate.item(i, root=root, at_us=at_us) for i in items]
        await self._registry.reconcile(admission.id, [i for i in found if i is not None], complete=False)
        if any(i.event is ItemEvent.ADD for i in items):
            self.catalogues.want(device)

    def _subscribe(self, session: Session) -> None:
        """Let the device have the subscriptions that its kind and its policies call for."""
        is_camera = type_of(session.device) in _CAMERAS
        policies = self._registry.policies(NAME, session.device)
        extra = policies.extra if policies is not None else {}
        wanted = {} if is_camera else {Topic.CATALOGUE: 0}
        alarms = alarm_policy(extra)
        if alarms is AlarmPolicy.YES or (alarms is AlarmPolicy.AUTO and not is_camera):
            wanted[Topic.ALARM] = 0
        if interval_s := position_interval_s(extra):
            wanted[Topic.POSITION] = interval_s
        self.subscriptions.keep(session, wanted, self._clock.monotonic())
        self._pump()

    # --- requests of ours -----------------------------------------------------------------------------------------

    def _reach(self, device: str) -> Session:
        session = self.sessions.get(device)
        if session is None:
            raise Unavailable(f"device {device} is not registered", "see its evidence; it must register first")
        if not self.sockets.has(session.peer):
            raise Unavailable(f"the connection of device {device} is gone", "it must register again")
        if not self._is_adopted(device):
            raise Unavailable(f"device {device} waits for adoption", "adopt it under Devices")
        return session

    async def _tell(self, device: str, message: Manscdp) -> None:
        """One MESSAGE, its SIP answer awaited. Raises Unavailable, Unsupported."""
        session = self.sessions.get(device)
        if session is None or not self.sockets.has(session.peer):
            raise Unavailable(f"device {device} is not registered", "see its evidence; it must register first")
        await self._send(session, self._written(session, message))

    async def _send(self, session: Session, body: bytes) -> None:
        transaction = self._endpoint.ask(
            "MESSAGE",
            local=Uri(self.server_id, self.domain),
            remote=Uri(session.device, self.domain),
            target=Uri(session.device, session.peer[1], session.peer[2]),
            peer=session.peer,
            now=self._clock.monotonic(),
            content_type=CONTENT_TYPE,
            body=body,
        )
        answer: asyncio.Future[Answered[Peer]] = asyncio.get_running_loop().create_future()
        self._answers[transaction] = answer
        self._pump()
        try:
            async with asyncio.timeout(ASK_SECONDS):
                answered = await answer
        except TimeoutError:
            raise Unavailable(f"device {session.device} does not answer", "see its evidence") from None
        finally:
            self._answers.pop(transaction, None)
        if not answered.response.is_ok:
            status = answered.response.status
            raise Unsupported(f"device {session.device} answered {status} {answered.response.reason}".rstrip())

    async def _send_quietly(self, session: Session, body: bytes) -> None:
        try:
            await self._send(session, body)
        except AnwangError as err:
            log.info("an answer did not reach its device", device=session.device, reason=err.reason)

    async def _query(self, device: str, query: Manscdp, kind: type[M]) -> M:
        """A query and its business answer, which may overtake the SIP one. Raises Unavailable, Unsupported."""
        key = (device, query.sn)
        waiting: asyncio.Future[Manscdp] = asyncio.get_running_loop().create_future()
        self._business[key] = (kind, waiting)
        try:
            await self._tell(device, query)
            async with asyncio.timeout(ASK_SECONDS):
                found = await waiting
        except TimeoutError:
            raise Unavailable(f"device {device} took the query, but does not answer it") from None
        finally:
            del self._business[key]
        if not isinstance(found, kind):
            raise Unavailable(f"device {device} answered something else")
        return found

    async def ask_in_call(self, call: int, method: str, *, content_type: str, body: bytes, seconds: float) -> Response:
        """A request inside a call and its final answer. Raises NotFound, Conflict, Unavailable."""
        transaction = self._endpoint.ask_in_call(
            call, method, self._clock.monotonic(), content_type=content_type, body=body
        )
        answer: asyncio.Future[Answered[Peer]] = asyncio.get_running_loop().create_future()
        self._answers[transaction] = answer
        self._pump()
        try:
            async with asyncio.timeout(seconds):
                return (await answer).response
        except TimeoutError:
            raise Unavailable(f"the device does not answer {method}", "see its messages") from None
        finally:
            self._answers.pop(transaction, None)

    def _hang_up(self, call: int) -> None:
        try:
            self._endpoint.hang_up(call, self._clock.monotonic())
        except AnwangError:
            return  # it is over already
        self._pump()

    # --- evidence -------------------------------------------------------------------------------------------------

    async def _flush_forever(self) -> None:
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            self.flush()
            self.sockets.sweep(self._clock.monotonic())
            if self._registrations <= STORM_PER_SECOND:
                self._calm_in -= 1
                if self._calm_in <= 0:
                    self._calm.set()
            self._registrations = 0

    async def _keep_forever(self) -> None:
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            try:
                await self.kept.flush()
            except AnwangError as err:
                log.warning("calls that stand were not written down", reason=err.reason)

    def _end_left(self, session: Session) -> None:
        """What a killed run before left standing ends now that its device is here."""
        for names in self.kept.left(session.device):
            try:
                self._endpoint.end_left(names, session.peer, self._clock.monotonic())
                self.left_calls += 1
            except AnwangError as err:
                log.info("a call of the run before was not ended", device=session.device, reason=err.reason)

    async def _sweep_forever(self) -> None:
        while True:
            await self._clock.sleep(SLICE_SECONDS)
            most = self.sessions.sweep_size(SWEEP_SECONDS / SLICE_SECONDS)
            for session, why in self.sessions.sweep(self._clock.monotonic(), most):
                self._note_lost(session, why)
                if self.sessions.get(session.device) is None:
                    self._leave(session)
            for device in self._rounds.due(
                self._clock.monotonic(), self.sessions.sweep_size(ROUND_SECONDS / SLICE_SECONDS)
            ):
                self.catalogues.want(device)

    def _catalogue_interval_s(self, slot: int) -> float | None:
        policies = self._registry.roll.policies(slot)
        return None if policies is None else policies.catalogue_interval_s

    def flush(self) -> None:
        """What was heard since the last call goes to the registry in one batch."""
        fresh = self.sessions.take_fresh()
        now_us, now_s = self._clock.micros(), self._clock.monotonic()
        heard = [now_us - round((now_s - session.heard_s) * 1_000_000) for session in fresh]
        for session, at_us in zip(fresh, heard, strict=True):
            if not session.is_told:  # where from is for people; it is told once, and again when it changes
                session.is_told = True
                source = f"{session.peer[1]}:{session.peer[2]}"
                key = device_key(NAME, session.device)
                self._evidence.append(Evidence(key, EvidenceKind.KEEPALIVE, at_us, True, source))
        if self._lost_now > LOGGED_LOSSES:
            log.info("more devices lost", count=self._lost_now - LOGGED_LOSSES)
        self._lost_now = 0
        evidence, self._evidence = self._evidence, []
        self._registry.note(evidence)
        self._flush_arrived()
        if fresh:
            self._registry.note_alive([session.slot for session in fresh], heard)

    def _note_lost(self, session: Session, why: str) -> None:
        self._lost_now += 1
        if self._lost_now <= LOGGED_LOSSES:
            log.info("device lost", device=session.device, why=why)
        key, source = device_key(NAME, session.device), f"{session.peer[1]}:{session.peer[2]}"
        self._note(Evidence(key, EvidenceKind.REGISTRATION, self._clock.micros(), False, source, why))

    def _flush_arrived(self) -> None:
        arrived, self._arrived = self._arrived, ([], [], [])
        if arrived[0]:
            self._registry.note_registered(*arrived)

    def _note(self, evidence: Evidence) -> None:
        self._flush_arrived()  # who registered before this keeps its place before it
        self._evidence.append(evidence)
        if len(self._evidence) >= MOST_EVIDENCE:
            self.flush()

    def _refuse(self, peer: Peer, reason: str, *, device: str = "", sample: bytes = b"") -> None:
        self.refusals.note(
            self._clock.micros(), peer=f"{peer[1]}/{peer[0]}", device=device[:40], reason=reason, sample=redact(sample)
        )

    def _refuse_request(self, request: Request, peer: Peer, why: str) -> None:
        self._refuse(peer, f"{request.method[:16]}: {why}", device=request.from_.uri.user)

    def _written(self, session: Session, message: Manscdp) -> bytes:
        """A message as this device reads it."""
        charset = self._policy(session.device, "charset")
        return serialize(message, session.version, _CHARSETS.get(charset, ""))

    def _read(self, body: bytes, device: str) -> Manscdp:
        """A body as this device writes it. Raises WireError."""
        return parse(body, _CHARSETS.get(self._policy(device, "charset"), ""))

    def _is_adopted(self, device: str) -> bool:
        admission = self._registry.admission(NAME, device)
        return admission is not None and admission.status is DeviceStatus.ADOPTED

    def _policy(self, device: str, name: str) -> str:
        policies = self._registry.policies(NAME, device)
        if policies is None:
            return ""
        match name:
            case "transport":
                return policies.transport
            case "charset":
                return policies.charset
            case _:
                return policies.extra.get(name, "")

    def _next_sn(self) -> int:
        return next(self._sn) & 0x7FFFFFFF or 1

    def _spawn(self, work: Awaitable[None]) -> None:
        if len(self._tasks) >= MOST_TASKS:
            self.refused_tasks += 1
            if asyncio.iscoroutine(work):
                work.close()
            return
        task = asyncio.ensure_future(_guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _guarded(work: Awaitable[None]) -> None:
    try:
        await work
    except AnwangError as err:
        log.info("what a device said was not taken", reason=err.reason)
    except Exception:
        log.exception("handling a device failed by our own fault")


def _call_id(data: bytes) -> bytes:
    start = data.find(b"\r\nCall-ID: ") + 11
    return data[start : data.find(b"\r\n", start)] if start > 10 else b""


def _device_of(data: bytes, own: str) -> str | None:
    """The device a message is about: the 20-digit code of From, or of To where we are the sender."""
    for name in (b"\nFrom:", b"\nTo:", b"\nf:", b"\nt:"):
        start = data.find(name)
        if start < 0:
            continue
        line = data[start : data.find(b"\n", start + 1)]
        at = line.find(b"sip:")
        code = line[at + 4 : at + 24]
        if at >= 0 and len(code) == 20 and code.isdigit() and code != own.encode():
            return code.decode()
    return None
