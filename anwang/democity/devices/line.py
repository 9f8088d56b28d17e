"""Devices on the network: one UDP socket for a hundred of them, a connection of its own for each that uses TCP.

A line is one SIP machine for many users. A device's Contact is its own code at the line's address, so a platform tells
devices apart by code, as it must behind any NAT.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import cast

from anwang.democity.devices import snapshot
from anwang.democity.devices.calls import Calls, Platform, Way, user_of
from anwang.democity.devices.device import Simulated
from anwang.democity.devices.faults import LEAST_PAUSE_S, MOST_NOTICES, Fault
from anwang.democity.devices.media import Sending
from anwang.democity.devices.wheel import Wheel
from anwang.democity.pictures import Library
from anwang.kernel.errors import AnwangError, WireError
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.wire import gb28181 as gb
from anwang.wire import sip
from anwang.wire.gb28181 import CatalogItem, ItemEvent
from anwang.wire.gb28181.registration import Account, Registered, Registration

MOST_QUEUED = 64
PACKAGES = ("presence", "Catalog", "Alarm", "MobilePosition")
#: what can be subscribed to: the word for it, and what it is called in the answer of editions before 2022
TOPICS: dict[type[object], tuple[str, str]] = {
    gb.CatalogQuery: ("catalog", "Catalog"),
    gb.AlarmQuery: ("alarm", "Alarm"),
    gb.MobilePositionQuery: ("position", "MobilePosition"),
}
POSITION_S, LEAST_POSITION_S = 5, 1
"""Between two positions where a subscriber names no interval, and at least."""
MUTE_LOOK_S = 0.5
"""How often a device that is silent looks whether it still is."""
log = logs.get("democity.line")


@dataclass(slots=True)
class Member:
    """A device on a line."""

    mind: Simulated
    registration: Registration
    way: Way
    connection: Connection | None = None
    timer_at: float | None = None
    subscriptions: dict[int, str] = field(default_factory=dict)
    queue: deque[gb.Manscdp] = field(default_factory=deque)
    is_asking: bool = False
    is_connecting: bool = False
    storms: set[Fault] = field(default_factory=set)
    changes: int = 0

    @property
    def is_mute(self) -> bool:
        """Whether nothing comes from it: power cut, or a connection with nobody behind it."""
        faults = self.mind.faults
        is_half_open = faults.has(Fault.HALF_OPEN) and bool(self.way.key) and self.registration.is_registered
        return is_half_open or faults.has(Fault.SILENT)


class Connection(asyncio.Protocol):
    """A device's TCP connection to the platform."""

    def __init__(self, line: Line, member: Member) -> None:
        self._line, self._member = line, member
        self._framer = sip.StreamFramer()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        # uvloop's transports are no subclass of asyncio.Transport
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._member.is_mute:
            return
        try:
            self._framer.receive(data)
            for message in self._framer.messages():
                self._line.receive(message, self._member.way)
        except WireError:
            log.warning("a platform's stream can't be read", device=self._member.mind.code)
            if self.transport:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._line.lost(self._member)


class Line(asyncio.DatagramProtocol):
    """Some devices and their SIP machine. told: called with (device, whether it is registered) on each change."""

    def __init__(
        self,
        platform: Platform,
        minds: Iterable[Simulated],
        library: Library,
        wheel: Wheel,
        clock: Clock,
        *,
        seed: int,
        told: Callable[[str, bool], None] = lambda code, is_registered: None,
    ) -> None:
        self._platform, self._wheel = platform, wheel
        self._rng = Random(f"line-{seed}")
        self._told = told
        self._library = library
        self._udp: asyncio.DatagramTransport | None = None
        self._endpoint: sip.Endpoint[Way] = sip.Endpoint(self, packages=PACKAGES)
        self._minds = list(minds)
        self.members: dict[str, Member] = {}
        self._by_code: dict[str, Member] = {}
        self._asked: dict[int, Callable[[sip.Response | None], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer_at: float | None = None
        self._is_flushing = False
        self.calls = Calls(
            self._endpoint, platform, library, wheel, clock, self._rng, spawn=self._spawn, flush=self._flush
        )

    # ---- sip.Network

    def is_reliable(self, peer: Way) -> bool:
        """See sip.Network."""
        return peer.transport == "TCP"

    def transport(self, peer: Way) -> str:
        """See sip.Network."""
        return peer.transport

    def local(self, peer: Way) -> tuple[str, int]:
        """See sip.Network."""
        if peer.key:
            connection = self.members[peer.key].connection
            name = connection.transport.get_extra_info("sockname") if connection and connection.transport else None
            return (str(name[0]), int(name[1])) if name else (self._platform.local_host, 0)
        return self._platform.local_host, self.port

    def source(self, peer: Way) -> tuple[str, int]:
        """See sip.Network."""
        return peer.host, peer.port

    # ---- life

    @property
    def port(self) -> int:
        """Of the shared UDP socket."""
        return int(self._udp.get_extra_info("sockname")[1]) if self._udp else 0

    @property
    def streams(self) -> list[Sending]:
        """What is being sent."""
        return self.calls.streams

    @property
    def registered(self) -> int:
        """How many devices are registered."""
        return sum(member.registration.is_registered for member in self.members.values())

    async def open(self) -> None:
        """Open the shared socket and take the devices in; they don't register yet."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in self._platform.host else socket.AF_INET
        any_host = "::" if family == socket.AF_INET6 else "0.0.0.0"  # noqa: S104 - the platform may be elsewhere
        self._udp, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(any_host, 0), family=family)
        self._udp.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        for mind in self._minds:
            is_tcp = mind.device.transport == "TCP"
            way = Way(mind.device.transport, self._platform.host, self._platform.port, mind.code if is_tcp else "")
            member = Member(mind, self._registration(mind, 0 if is_tcp else self.port), way)
            self.members[mind.code] = member
            for code in (mind.code, *mind.device.channels):
                self._by_code[code] = member

    def _registration(self, mind: Simulated, port: int) -> Registration:
        platform = self._platform
        is_tcp = mind.device.transport == "TCP"
        account = Account(
            local=sip.Uri(mind.code, platform.domain),
            server=sip.Uri(platform.server_id, platform.domain),
            contact=sip.Uri(mind.code, platform.local_host, port, params=(("transport", "tcp"),) if is_tcp else ()),
            password=platform.password,
            expires_s=platform.expires_s,
            heartbeat_s=platform.heartbeat_s,
            version=mind.version,
            charset=mind.device.charset,
            user_agent=f"{mind.device.model} {mind.device.firmware}",
        )
        return Registration(account, noise=os.urandom, jitter=self._rng.random)

    def start(self, code: str) -> None:
        """Let a device register."""
        member = self.members[code]
        if member.way.key and member.connection is None:
            self._spawn(self._connect(member))
            return
        member.registration.start(self._wheel.now())
        self._flush(member)

    async def _connect(self, member: Member) -> None:
        if member.is_connecting:
            return
        member.is_connecting = True
        try:
            async with asyncio.timeout(10):
                connection = Connection(self, member)
                await asyncio.get_running_loop().create_connection(
                    lambda: connection, self._platform.host, self._platform.port
                )
        except (OSError, TimeoutError):
            retry = self._wheel.now() + 5 + 5 * self._rng.random()
            self._wheel.at(retry, lambda now: self._spawn(self._connect(member)))
            return
        finally:
            member.is_connecting = False
        member.connection = connection
        now = self._wheel.now()
        if member.registration.timer() is None:
            member.registration = self._registration(member.mind, self.local(member.way)[1])
            member.registration.start(now)
        else:
            member.registration.tick(now)
        self._flush(member)

    def lost(self, member: Member) -> None:
        """A device's connection is gone."""
        member.connection = None
        now = self._wheel.now()
        self._endpoint.lost(member.way, now)
        was_registered = member.registration.is_registered
        member.registration.disconnected(now)
        if was_registered:
            self._told(member.mind.code, False)
        self._flush(member)

    def restart(self, code: str) -> None:
        """Let a device register anew at once, as after a power cut: new Call-ID, streams gone."""
        member = self.members[code]
        self.calls.drop(member.mind)
        member.subscriptions.clear()
        member.queue.clear()
        member.is_asking = False
        self._told(code, False)
        member.registration = self._registration(member.mind, self.local(member.way)[1])
        self.start(code)

    def misbehave(self, code: str, fault: Fault, value: float | None) -> None:
        """Let a device misbehave from now on."""
        member = self.members[code]
        member.mind.faults.set(fault, value)
        if fault in (Fault.REGISTER_STORM, Fault.CATALOGUE_STORM) and fault not in member.storms:
            member.storms.add(fault)
            self._storm(member, fault)
        if fault is Fault.CONFIG_CHANGED:
            self._wheel.at(self._wheel.now() + member.mind.faults.value(fault), lambda now: self._alter(code))

    def _alter(self, code: str) -> None:
        """Somebody changes its settings; it registers anew as one that was restarted for it."""
        member = self.members[code]
        if member.mind.faults.has(Fault.CONFIG_CHANGED) and not member.mind.is_altered:
            member.mind.is_altered = True
            if member.registration.is_registered:
                self.restart(code)

    def _storm(self, member: Member, fault: Fault) -> None:
        """One gust, and the next one planned, while the fault lasts."""
        faults = member.mind.faults
        if not faults.has(fault):
            member.storms.discard(fault)
            return
        if fault is Fault.REGISTER_STORM:
            pause = max(LEAST_PAUSE_S, faults.value(fault))
            if member.registration.is_registered:
                self.restart(member.mind.code)
        else:
            pause = 1 / min(MOST_NOTICES, max(0.01, faults.value(fault)))
            if member.registration.is_registered:
                self.change(member.mind.code)
        self._wheel.at(self._wheel.now() + pause, lambda now: self._storm(member, fault))

    def change(self, code: str) -> bool:
        """Tell of a channel that went off or on again: to subscribers, else as a message. False: not yet, one waits."""
        member = self.members[code]
        mind = member.mind
        channels = list(mind.cameras) or [code]
        turn, member.changes = member.changes, member.changes + 1
        event = ItemEvent.OFF if turn % 2 == 0 else ItemEvent.ON
        notice = mind.notice([CatalogItem(device_id=channels[turn // 2 % len(channels)], event=event)])
        if "catalog" in member.subscriptions.values():
            return self.notify(code, "catalog", notice) > 0
        if len(member.queue) >= MOST_QUEUED:
            member.changes = turn
            return False
        self.tell(code, notice)
        return True

    async def close(self) -> None:
        """Stop sending and close everything; devices don't log out."""
        self.calls.drop(None)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for member in self.members.values():
            if member.connection and member.connection.transport:
                member.connection.transport.abort()
        if self._udp:
            self._udp.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- bytes

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """See asyncio.DatagramProtocol."""
        self.receive(data, Way("UDP", self._platform.host, self._platform.port))

    def error_received(self, exc: Exception) -> None:
        """See asyncio.DatagramProtocol: the platform's port is closed just now."""

    def receive(self, data: bytes, way: Way) -> None:
        """One SIP message."""
        self._endpoint.receive(data, way, self._wheel.now())
        self._flush()

    def _flush(self, *touched: Member) -> None:
        """Carry everything that waits: requests of registrations, events, bytes, timers."""
        if self._is_flushing:
            for member in touched:
                self._ask_for(member)
            return
        self._is_flushing = True
        now = self._wheel.now()
        try:
            for member in touched:
                self._ask_for(member)
            for event in self._endpoint.events():
                self._handle(event, now)
            for data, way in self._endpoint.to_send(now):
                self._send(data, way)
        finally:
            self._is_flushing = False
        due = self._endpoint.timer()
        if due is not None and (self._timer_at is None or due < self._timer_at):
            self._timer_at = due
            self._wheel.at(due, self._tick)

    def _tick(self, now: float) -> None:
        self._timer_at = None
        self._endpoint.tick(now)
        self._flush()

    def _send(self, data: bytes, way: Way) -> None:
        if way.key:
            member = self.members.get(way.key)
            if member and member.connection and member.connection.transport and not member.is_mute:
                member.connection.transport.write(data)
        elif self._udp:
            self._udp.sendto(data, (way.host, way.port))

    # ---- registrations

    def _ask_for(self, member: Member) -> None:
        now, registration = self._wheel.now(), member.registration
        for request in registration.to_ask(now):
            if member.is_mute:
                registration.unanswered(request, now)
                continue
            self._watch(self._endpoint.request(request, member.way, now), member, request)
        for event in registration.events():
            if isinstance(event, Registered):
                if not event.is_refresh:
                    self._told(member.mind.code, True)
            elif not registration.is_registered:
                self._told(member.mind.code, False)
        self._plan(member)

    def _watch(self, transaction: int, member: Member, request: sip.Request) -> None:
        registration = member.registration

        def answered(response: sip.Response | None) -> None:
            now = self._wheel.now()
            if response is None:
                registration.unanswered(request, now)
            else:
                registration.answered(request, response, now)
            if member.registration is registration:
                self._ask_for(member)

        self._asked[transaction] = answered

    def _plan(self, member: Member) -> None:
        due = member.registration.timer()
        if due is not None and due != member.timer_at:
            member.timer_at = due
            self._wheel.at(due, lambda now: self._due(member, due, now))

    def _due(self, member: Member, planned: float, now: float) -> None:
        if member.timer_at != planned:
            return
        member.timer_at = None
        if member.is_mute:  # what it does not send is not under way: it speaks at once when it may again
            member.timer_at = later = now + MUTE_LOOK_S
            self._wheel.at(later, lambda at: self._due(member, later, at))
            return
        if member.way.key and member.connection is None:
            self._spawn(self._connect(member))
            return
        member.registration.tick(now)
        self._flush(member)

    # ---- events

    def _handle(self, event: sip.Event[Way], now: float) -> None:
        match event:
            case sip.Answered(transaction=transaction, response=response):
                if response.is_final and (told := self._asked.pop(transaction, None)):
                    told(response)
            case sip.Unanswered(transaction=transaction):
                if told := self._asked.pop(transaction, None):
                    told(None)
            case sip.Asked():
                self._on_request(event, now)
            case sip.Invited():
                member = self._member_of(event.peer, "", event.request)
                self.calls.invited(event, member.mind if member else None, now)
            case sip.Confirmed(call=call):
                self.calls.confirmed(call)
            case sip.Ended(call=call):
                self.calls.end(call)
            case sip.SubscribeAsked():
                self._on_subscribe(event, now)
            case sip.SubscriptionEnded(subscription=subscription):
                for member in self.members.values():
                    member.subscriptions.pop(subscription, None)
            case _:
                pass

    def _on_request(self, asked: sip.Asked[Way], now: float) -> None:
        request = asked.request
        if request.method == "INFO" and self.calls.controlled(asked, now):
            return
        if request.method != "MESSAGE":
            self._endpoint.reply(asked.transaction, 405, now)
            return
        try:
            message = gb.parse(request.body)
        except WireError:
            self._endpoint.reply(asked.transaction, 400, now)
            return
        member = self._member_of(asked.peer, message.device_id, request)
        if member is None:
            self._endpoint.reply(asked.transaction, 404, now)
            return
        if member.is_mute:
            return
        self._endpoint.reply(asked.transaction, 200, now)
        answers = member.mind.answers(message)
        if isinstance(message, gb.DeviceControl):
            self._after_control(member, message)
        member.queue.extend(answers)
        self._tell_next(member)
        while member.mind.shots:
            channel, shot = member.mind.shots.pop(0)
            self._spawn(self._shoot(member, channel, shot))

    async def _shoot(self, member: Member, channel: str, shot: gb.SnapShotConfig) -> None:
        """Take pictures, upload them, say which arrived (GB/T 28181-2022 9.14)."""
        camera = member.mind.camera(channel)
        if camera is None:
            return
        files = await snapshot.take(camera, channel, shot, self._library, member.mind.clock)
        notice = gb.UploadSnapShotFinished(
            sn=member.mind.next_sn(), device_id=channel, session_id=shot.session_id, files=files
        )
        self.tell(member.mind.code, notice)

    def _member_of(self, peer: Way, device_id: str, request: sip.Request) -> Member | None:
        if peer.key:
            return self.members.get(peer.key)
        user = user_of(request)
        return self._by_code.get(user) or self._by_code.get(device_id)

    def _after_control(self, member: Member, control: gb.DeviceControl) -> None:
        self.calls.give_keys(member.mind)
        if isinstance(control.command, gb.TeleBoot):
            self._wheel.at(self._wheel.now() + 2, lambda now: self.restart(member.mind.code))

    # ---- messages of our own, one at a time for each device

    def tell(self, code: str, message: gb.Manscdp) -> None:
        """Send a message from a device, after those that wait."""
        member = self.members[code]
        member.queue.append(message)
        self._tell_next(member)
        self._flush()

    def _tell_next(self, member: Member) -> None:
        if member.is_asking or not member.queue or not (member.connection or not member.way.key):
            return
        message = member.queue.popleft()
        platform, mind = self._platform, member.mind
        body = gb.serialize(message, mind.version, mind.device.charset)
        try:
            transaction = self._endpoint.ask(
                "MESSAGE",
                local=sip.Uri(mind.code, platform.domain),
                remote=sip.Uri(platform.server_id, platform.domain),
                peer=member.way,
                now=self._wheel.now(),
                content_type=gb.CONTENT_TYPE,
                body=body,
            )
        except AnwangError as err:
            log.warning("a message can't be sent", device=mind.code, reason=str(err))
            return
        member.is_asking = True

        def answered(response: sip.Response | None) -> None:
            member.is_asking = False
            if response is None:
                member.queue.clear()
            self._tell_next(member)

        self._asked[transaction] = answered

    # ---- subscriptions

    def _on_subscribe(self, asked: sip.SubscribeAsked[Way], now: float) -> None:
        try:
            message = gb.parse(asked.request.body) if asked.request.body else None
        except WireError:
            message = None
        member = self._member_of(asked.peer, message.device_id if message else "", asked.request)
        topic = TOPICS.get(type(message))
        if member is None or message is None or topic is None or (topic[0] == "position" and not member.mind.moves):
            self._endpoint.reject_subscription(asked.subscription, 404 if member is None else 489, now)
            return
        kind, cmd_type = topic
        body = b""
        if member.mind.version < gb.V2022:
            outcome = gb.Outcome(sn=message.sn, device_id=message.device_id, cmd_type=cmd_type, is_ok=True)
            body = gb.serialize(outcome, member.mind.version, member.mind.device.charset)
        content_type = gb.CONTENT_TYPE if body else ""
        self._endpoint.accept_subscription(asked.subscription, now, content_type=content_type, body=body)
        member.subscriptions[asked.subscription] = kind
        if kind == "catalog" and (notice := member.mind.offline()):
            self.notify(member.mind.code, "catalog", notice)
        elif isinstance(message, gb.MobilePositionQuery):
            pause = max(LEAST_POSITION_S, message.interval_s or POSITION_S)
            self._tell_position(member, asked.subscription, pause, now)

    def _tell_position(self, member: Member, subscription: int, pause_s: float, now: float) -> None:
        """Where it is now, and again after the pause, as long as somebody listens."""
        if subscription not in member.subscriptions:
            return
        if not member.is_mute:
            self._notify(member, subscription, member.mind.whereabouts())
            self._flush()
        self._wheel.at(now + pause_s, lambda at: self._tell_position(member, subscription, pause_s, at))

    def _notify(self, member: Member, subscription: int, message: gb.Manscdp) -> bool:
        """Tell one subscriber; False where there is none any more."""
        body = gb.serialize(message, member.mind.version, member.mind.device.charset)
        try:
            self._endpoint.notify(subscription, self._wheel.now(), body=body)
        except AnwangError:
            member.subscriptions.pop(subscription, None)
            return False
        return True

    def notify(self, code: str, kind: str, message: gb.Manscdp) -> int:
        """Tell the subscribers of a device; returns how many there are."""
        member = self.members[code]
        listening = [number for number, wanted in member.subscriptions.items() if wanted == kind]
        count = sum(self._notify(member, number, message) for number in listening)
        self._flush()
        return count

    def alarm(self, code: str, **what: object) -> str:
        """Raise an alarm; says how it went out."""
        member = self.members[code]
        notice = member.mind.alarm(**what)  # type: ignore[arg-type]
        if notice is None:
            return "silent"
        if "alarm" in member.subscriptions.values():
            self.notify(code, "alarm", notice)
            return "notify"
        self.tell(code, notice)
        return "message"


def outgoing_host(host: str, port: int) -> str:
    """Our address as a platform at `host` sees it, without sending anything."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port or 5060))
        return str(probe.getsockname()[0])


def by_line(minds: Iterable[Simulated], size: int = 100) -> list[list[Simulated]]:
    """Devices in groups that share a line."""
    found: list[list[Simulated]] = []
    for mind in minds:
        if not found or len(found[-1]) >= size:
            found.append([])
        found[-1].append(mind)
    return found
