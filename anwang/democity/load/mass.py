"""Many devices from few sockets: registrations and keep-alives, to load a platform from outside.

Nothing here is a full SIP machine: requests are filled-in templates and answers are found by their Call-ID, so that one
core makes some ten thousand messages a second. Retransmission and patience are those of RFC 3261 17.1.2. What the
platform asks is answered 200, and a catalogue or device information query gets its short answer, as from a camera. Only
calls go to a real machine, one for each socket (see desk).

A device that was refused, or that nobody answered, tries again after a minute (GB/T 28181-2022 9.1.2.1); one whose
keep-alive is refused or lost registers anew at once.
"""

from __future__ import annotations

import asyncio
import heapq
import re
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import cast

from anwang.democity.devices import catalogue
from anwang.democity.devices.calls import Platform, Way
from anwang.democity.devices.device import Simulated
from anwang.democity.devices.faults import LEAST_PAUSE_S, MOST_NOTICES, Fault
from anwang.democity.devices.line import outgoing_host
from anwang.democity.devices.wheel import Wheel
from anwang.democity.load.camera import CITY, camera
from anwang.democity.load.desk import Desk
from anwang.democity.load.options import LoadOptions
from anwang.democity.load.tally import Report, Tally
from anwang.democity.pictures import Library
from anwang.kernel.errors import AnwangError, Unavailable, WireError
from anwang.runtime.clock import Clock, SystemClock
from anwang.wire import digest, sip
from anwang.wire import gb28181 as gb

T1_S, T2_S = 0.5, 4.0
PATIENCE_S = 64 * T1_S
EXPIRES_S = 86_400
REFRESH_S = 0.8 * EXPIRES_S
AGAIN_S = 60.0
RECONNECT_S = 5.0
CONNECT_S = 10.0
LOGOUT_S = 60.0
TELL_S = 1.0
STEP_S = 0.01
UDP_BUFFER_BYTES = 4 << 20
_CALL_ID = re.compile(rb"(?im)^(?:call-id|i)[ \t]*:[ \t]*([0-9a-f]+)-([0-9a-f]+)-load")
_CHALLENGE = re.compile(rb"(?im)^www-authenticate[ \t]*:[ \t]*([^\r\n]+)")
#: requests that the short answers here know; the others are for the desk
_SHORT = (b"MESSAGE ", b"OPTIONS ")


@dataclass(slots=True)
class _Wait:
    """A request under way. kind: register, login (with proof), keepalive, notice or answer. expires_s: asked for.

    sent: when it was sent first; first: when what it belongs to began.
    """

    kind: str
    data: bytes
    sent: float
    first: float
    tries: int
    expires_s: int = EXPIRES_S


class Load:
    """The devices."""

    def __init__(self, options: LoadOptions, *, library: Library | None = None, clock: Clock | None = None) -> None:
        self._options = options
        self._domain = options.domain or gb.domain_of(options.server_id)
        self._library = library or Library(Path("pictures"))
        self._clock = clock or SystemClock()
        self._host = options.host
        self._ways: list[_Way] = []
        self._waits: dict[tuple[int, int], _Wait] = {}
        self._due: list[tuple[float, tuple[int, int]]] = []
        self._number = 0
        self._beats: deque[tuple[float, int]] = deque()
        self._refreshes: deque[tuple[float, int]] = deque()
        self._again: list[tuple[float, int]] = []
        self._gusts: list[tuple[float, int, Fault]] = []
        self._met: set[int] = set()
        self._minds: dict[str, Simulated] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._is_leaving = False
        self._wheel = Wheel()
        self.registered: set[int] = set()
        self.tally = Tally()

    def code(self, index: int) -> str:
        """Of a device."""
        return f"{self._options.stem}{index:06}"

    @property
    def is_stopping(self) -> bool:
        """Whether it comes to an end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Come to an end; `run` returns its last report."""
        self._stopping.set()

    # ---- life

    async def run(self, tell: Callable[[Report], None]) -> Report:
        """Register everybody, keep alive until the time is over, and say how it went (each second, and at last).

        Raises Unavailable where the platform can't be reached at all.
        """
        options, loop = self._options, asyncio.get_running_loop()
        await self._open()
        start, begun, said = loop.time(), 0, 0.0
        try:
            while (now := loop.time()) < start + options.seconds and not self._stopping.is_set():
                wanted = min(options.count, int((now - start) * options.rate) + 1)
                while begun < wanted:
                    self._register(begun, None)
                    begun += 1
                self._beat(now)
                self._renew(now)
                self._blow(now)
                self._retry(now)
                if now - said >= TELL_S:
                    said = now
                    tell(self.report(now - start))
                await asyncio.sleep(STEP_S)
            registered = len(self.registered)
            if options.is_polite:
                await self._leave()
            return self.report(loop.time() - start, is_last=True) | {"registered": registered}
        finally:
            for way in self._ways:
                way.close()
            self._wheel.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _open(self) -> None:
        options, loop = self._options, asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(options.host, options.port, type=socket.SOCK_DGRAM)
            self._host = str(found[0][4][0])
            platform = Platform(
                host=self._host,
                port=options.port,
                server_id=options.server_id,
                domain=self._domain,
                password=options.password,
                local_host=outgoing_host(self._host, options.port),
                heartbeat_s=options.heartbeat_s,
            )
            for number in range(options.ways):
                way = _Way(self, number)
                way.desk = Desk(
                    platform,
                    Way(options.transport.upper(), self._host, options.port),
                    self._library,
                    self._wheel,
                    self._clock,
                    Random(f"desk-{options.stem}-{number}"),
                    mind_of=self._mind_of,
                    send=way.send,
                    address=way.address,
                    spawn=self._spawn,
                )
                await self._connect(way)
                self._ways.append(way)
        except OSError as err:
            raise Unavailable(
                f"{options.host}:{options.port}/{options.transport} can't be reached: {err.strerror or err}",
                "check address, port and transport",
            ) from err

    async def _connect(self, way: _Way) -> None:
        loop, options = asyncio.get_running_loop(), self._options
        async with asyncio.timeout(CONNECT_S):
            if options.transport == "udp":
                await loop.create_datagram_endpoint(lambda: way, remote_addr=(self._host, options.port))
            else:
                await loop.create_connection(lambda: way, self._host, options.port)

    async def _leave(self) -> None:
        """Log everybody out, within a bounded time."""
        loop = asyncio.get_running_loop()
        self._is_leaving = True
        for way in self._ways:
            way.desk.calls.drop(None)
        end, begin = loop.time() + LOGOUT_S, loop.time()
        leaving, done = sorted(self._met), 0  # those too whose last keep-alive got lost: the platform may count on them
        rate = max(self._options.rate, len(leaving) / (LOGOUT_S / 4))
        while loop.time() < end and (done < len(leaving) or self._waits):
            wanted = min(len(leaving), int((loop.time() - begin) * rate) + 1)
            for index in leaving[done:wanted]:
                self._register(index, None, expires_s=0)
            done = max(done, wanted)
            self._retry(loop.time())
            await asyncio.sleep(STEP_S)

    def report(self, seconds: float, *, is_last: bool = False) -> Report:
        """Counts, rates and latencies so far."""
        calls = [way.desk.calls for way in self._ways]
        streams = [stream for one in calls for stream in one.streams]
        media = {
            "streams": len(streams),
            "calls": sum(one.taken_calls for one in calls),
            "calls_refused": sum(one.refused_calls for one in calls),
            "frames": sum(one.sent_frames for one in calls),
            "media_bytes": sum(one.sent_bytes for one in calls),
        }
        return self.tally.report(
            seconds,
            devices=self._options.count,
            registered=len(self.registered),
            waiting=len(self._waits),
            media=media,
            is_last=is_last,
        )

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- what is wrong with them

    def has(self, index: int, fault: Fault) -> bool:
        """Whether a device misbehaves so."""
        return fault in self._options.profiles and index < self._options.faulty

    def _is_mute(self, index: int) -> bool:
        """Whether nothing comes from a device once it has registered."""
        is_half_open = self._options.transport == "tcp" and self.has(index, Fault.HALF_OPEN)
        return index in self.registered and (is_half_open or self.has(index, Fault.SILENT))

    def _channel(self, index: int) -> str:
        """The code of a device's camera: its own, or that of the device before it."""
        return self.code(index - 1 if index % 2 and self.has(index, Fault.DUPLICATE_CODE) else index)

    def _blow(self, now: float) -> None:
        """Storms: another registration, or notices, of those whose turn it is."""
        while self._gusts and self._gusts[0][0] <= now and not self._is_leaving:
            due, index, fault = heapq.heappop(self._gusts)
            value = self._options.profiles[fault]
            if fault is Fault.REGISTER_STORM:
                pause = max(LEAST_PAUSE_S, value)
                self._register(index, None)
            else:
                pause = 1 / min(MOST_NOTICES, max(0.01, value))
                if index in self.registered:
                    self._notify(index)
            heapq.heappush(self._gusts, (max(due + pause, now), index, fault))

    def _notify(self, index: int) -> None:
        self.tally.counts["notices"] += 1
        event = gb.ItemEvent.OFF if self.tally.counts["notices"] % 2 else gb.ItemEvent.ON
        item = gb.CatalogItem(device_id=self._channel(index), event=event)
        notice = gb.CatalogNotify(sn=self._number + 1, device_id=self.code(index), total=1, items=(item,))
        self._tell("notice", index, gb.serialize(notice))

    # ---- requests

    def _send(
        self,
        kind: str,
        index: int,
        method: str,
        cseq: int,
        headers: str,
        body: bytes,
        first: float | None,
        expires_s: int = EXPIRES_S,
    ) -> None:
        self._number += 1
        key = (index, self._number)
        way, code, options = self._ways[index % len(self._ways)], self.code(index), self._options
        target = f"sip:{options.server_id}@{self._domain}"
        about = f"sip:{code}@{self._domain}"
        to = about if method == "REGISTER" else target
        head = (
            f"{method} {target} SIP/2.0\r\n"
            f"Via: SIP/2.0/{options.transport.upper()} {way.shown};rport"
            f";branch=z9hG4bK{index:x}x{self._number:x}\r\n"
            f"From: <{about}>;tag={index:x}\r\nTo: <{to}>\r\nCall-ID: {index:x}-{self._number:x}-load\r\n"
            f"CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        )
        data = head.encode() + body
        now = asyncio.get_running_loop().time()
        self._waits[key] = _Wait(kind, data, now, first or now, 1, expires_s)
        heapq.heappush(self._due, (now + T1_S, key))
        self.tally.counts["sent"] += 1
        way.send(data)

    def _tell(self, kind: str, index: int, body: bytes) -> None:
        self._send(kind, index, "MESSAGE", 1, f"Content-Type: {gb.CONTENT_TYPE}\r\n", body, None)

    def _register(
        self,
        index: int,
        proof: digest.Authorization | None,
        first: float | None = None,
        *,
        expires_s: int = EXPIRES_S,
    ) -> None:
        way = self._ways[index % len(self._ways)]
        headers = f"Contact: <sip:{self.code(index)}@{way.shown}>\r\nExpires: {expires_s}\r\n"
        if proof:
            headers += f"Authorization: {proof}\r\n"
        kind, cseq = ("login", 2) if proof else ("register", 1)
        self._send(kind, index, "REGISTER", cseq, headers, b"", first, expires_s)

    def _beat(self, now: float) -> None:
        while self._beats and self._beats[0][0] <= now:
            due, index = self._beats.popleft()
            self._beats.append((max(due + self._options.heartbeat_s, now), index))
            if index not in self.registered or self._is_mute(index):
                continue
            body = (
                '<?xml version="1.0" encoding="GB2312"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n'
                f"<SN>{self._number % 2_000_000_000 + 1}</SN>\r\n<DeviceID>{self.code(index)}</DeviceID>\r\n"
                "<Status>OK</Status>\r\n</Notify>\r\n"
            )
            self.tally.counts["keepalives"] += 1
            self._tell("keepalive", index, body.encode())

    def _renew(self, now: float) -> None:
        """Registrations that are due again."""
        while self._refreshes and self._refreshes[0][0] <= now:
            index = self._refreshes.popleft()[1]
            self._refreshes.append((now + REFRESH_S, index))
            if index in self.registered and not self._is_mute(index):
                self._register(index, None)
        while self._again and self._again[0][0] <= now:
            index = heapq.heappop(self._again)[1]
            if index not in self.registered:
                self._register(index, None)

    def _retry(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            _, key = heapq.heappop(self._due)
            wait = self._waits.get(key)
            if wait is None:
                continue
            if now - wait.sent >= PATIENCE_S:
                del self._waits[key]
                self.tally.counts["lost"] += 1
                self._failed(key[0], wait, now, is_answered=False)
                continue
            heapq.heappush(self._due, (now + min(T2_S, T1_S * 2**wait.tries), key))
            wait.tries += 1
            if self._options.transport == "udp":
                self.tally.counts["resent"] += 1
                self._ways[key[0] % len(self._ways)].send(wait.data)

    def _failed(self, index: int, wait: _Wait, now: float, *, is_answered: bool) -> None:
        if self._is_leaving or wait.kind in ("answer", "notice"):
            return
        self.registered.discard(index)
        # the platform that answers a keep-alive with a refusal does not know us any more; it is there
        at_once = wait.kind == "keepalive" and is_answered
        heapq.heappush(self._again, (now if at_once else now + AGAIN_S, index))

    # ---- what comes back

    def take(self, data: bytes, way: _Way) -> None:
        """One message from the platform."""
        if not data.startswith(b"SIP/2.0 "):
            if data.startswith(_SHORT):
                self._asked(data, way)
            else:
                self.tally.counts["asked"] += data.startswith((b"INVITE ", b"SUBSCRIBE "))
                way.desk.receive(data)
            return
        found = _CALL_ID.search(data)
        if found is None:
            way.desk.receive(data)
            return
        status = int(data[8:11]) if data[8:11].isdigit() else 0
        if status < 200:
            return
        key = (int(found[1], 16), int(found[2], 16))
        wait = self._waits.pop(key, None)
        if wait is None:
            return
        now = asyncio.get_running_loop().time()
        if status == 401 and wait.kind == "register":
            self._login(key[0], data, wait)
        elif status != 200 and self._is_leaving and wait.kind not in ("register", "login"):
            pass  # it crossed its device's logging out
        elif status != 200:
            method = "REGISTER" if wait.kind in ("register", "login") else wait.kind
            reason = data[8:80].splitlines()[0].decode("latin-1")
            self.tally.refused(f"{method}: {reason}")
            self._failed(key[0], wait, now, is_answered=True)
        elif wait.kind == "answer":
            self.tally.counts["answered"] += 1
        elif wait.kind == "keepalive":
            self.tally.keepalive_times.add(now - wait.first)
        elif wait.kind in ("register", "login"):
            self._welcome(key[0], wait, now)

    def _welcome(self, index: int, wait: _Wait, now: float) -> None:
        if wait.expires_s == 0:
            self.registered.discard(index)
            self.tally.counts["logged_out"] += 1
            return
        self.tally.register_times.add(now - wait.first)
        self.registered.add(index)
        if index in self._met:
            return
        self._met.add(index)
        self._beats.append((now + self._options.heartbeat_s, index))
        self._refreshes.append((now + REFRESH_S, index))
        for fault in (Fault.REGISTER_STORM, Fault.CATALOGUE_STORM):
            if self.has(index, fault):
                heapq.heappush(self._gusts, (now, index, fault))

    def _login(self, index: int, data: bytes, wait: _Wait) -> None:
        found = _CHALLENGE.search(data)
        try:
            challenge = digest.Challenge.parse(found[1].decode("latin-1") if found else "")
            proof = digest.answer(
                challenge, method="REGISTER", uri=f"sip:{self._options.server_id}@{self._domain}",
                username=self.code(index), password=self._options.password, cnonce=f"{index:08x}",
            )  # fmt: skip
        except AnwangError as err:
            self.tally.refused(f"REGISTER: {err.reason[:80]}")
            self._failed(index, wait, asyncio.get_running_loop().time(), is_answered=True)
            return
        self._register(index, proof, wait.first, expires_s=wait.expires_s)

    def disconnected(self, way: _Way) -> None:
        """A TCP connection broke: its devices register anew over another one."""
        if self._stopping.is_set() or self._is_leaving:
            return
        self.tally.counts["disconnected"] += 1
        way.desk.lost()
        for key in [key for key in self._waits if key[0] % len(self._ways) == way.number]:
            del self._waits[key]
        mine = [index for index in self.registered if index % len(self._ways) == way.number]
        self.registered.difference_update(mine)
        self._spawn(self._reconnect(way))

    async def _reconnect(self, way: _Way) -> None:
        while not self._stopping.is_set():
            await asyncio.sleep(RECONNECT_S)
            with suppress(OSError, TimeoutError):
                await self._connect(way)
                break
        else:
            return
        now = asyncio.get_running_loop().time()
        mine = range(way.number, self._options.count, len(self._ways))
        pause = 1 / self._options.rate
        for number, index in enumerate(mine):
            heapq.heappush(self._again, (now + pause * number, index))

    # ---- questions

    def _index_of(self, code: str) -> int:
        """The device that a code means; -1 where it is none of ours."""
        mine = code.startswith(self._options.stem) and len(code) == 20 and code[14:].isdigit()
        return int(code[14:]) if mine and int(code[14:]) < self._options.count else -1

    def _mind_of(self, code: str) -> Simulated | None:
        """The whole device behind a code, made once for those that are called."""
        index = self._index_of(code)
        if index < 0:
            return None
        found = self._minds.get(code)
        if found is None:
            device, point = camera(code, code, self._options.transport)
            found = self._minds[code] = Simulated(device, {point.code: point}, CITY, now=self._clock.now)
            if index < self._options.faulty:
                for fault, value in self._options.profiles.items():
                    found.faults.set(fault, value)
        return found

    def _asked(self, data: bytes, way: _Way) -> None:
        """A question: 200, and what a camera with one channel would say."""
        try:
            request = sip.parse(data)
            if not isinstance(request, sip.Request):
                return
            message = gb.parse(request.body) if request.method == "MESSAGE" else None
        except (AnwangError, WireError):
            return
        index = self._index_of(message.device_id if message else "")
        if index >= 0 and self._is_mute(index):
            return
        self.tally.counts["asked"] += 1
        way.send(sip.serialize(sip.response_to(request, 200, to_tag="load")))
        if message is None or index < 0:
            return
        code, channel = self.code(index), self._channel(index)
        device, point = camera(code, channel, self._options.transport)
        answer: gb.Manscdp
        if isinstance(message, gb.CatalogQuery):
            parents = (code,) if channel != code else ()
            item = catalogue.channel(point, parents, gb.V2016)
            answer = gb.CatalogResponse(sn=message.sn, device_id=code, total=1, items=(item,))
        elif isinstance(message, gb.DeviceInfoQuery):
            answer = gb.DeviceInfoResponse(
                sn=message.sn, device_id=code, is_ok=True, name=device.name, manufacturer=device.maker,
                model=device.model, firmware=device.firmware, channels=1,
            )  # fmt: skip
        else:
            mind = self._mind_of(code)
            for one in mind.answers(message) if mind else ():
                self._tell("answer", index, gb.serialize(one))
            if mind and isinstance(message, gb.DeviceControl):
                way.desk.calls.give_keys(mind)
            return
        self._tell("answer", index, gb.serialize(answer))


class _Way(asyncio.DatagramProtocol, asyncio.Protocol):
    """A socket, UDP or TCP."""

    desk: Desk

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._framer = sip.StreamFramer()
        self._transport: asyncio.BaseTransport | None = None
        self._is_udp = True
        self.number = number
        self.host, self.port = "127.0.0.1", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = transport
        self._framer = sip.StreamFramer()
        own = transport.get_extra_info("socket")
        self._is_udp = own is not None and own.type == socket.SOCK_DGRAM
        if self._is_udp:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER_BYTES)
        self.host, self.port = transport.get_extra_info("sockname")[:2]

    @property
    def shown(self) -> str:
        """Our address as SIP writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def address(self) -> tuple[str, int]:
        """Ours, as the platform sees it."""
        return self.host, self.port

    def send(self, data: bytes) -> None:
        """To the platform."""
        # not isinstance: the selector loop's datagram transport is no asyncio.DatagramTransport
        if self._transport is None or self._transport.is_closing():
            return
        if self._is_udp:
            cast(asyncio.DatagramTransport, self._transport).sendto(data)
        else:
            cast(asyncio.Transport, self._transport).write(data)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """See asyncio."""
        self._load.take(data, self)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        try:
            self._framer.receive(data)
            for message in self._framer.messages():
                self._load.take(message, self)
        except WireError:
            self.close()

    def error_received(self, exc: Exception) -> None:
        """See asyncio: nobody listens there; the retries say so."""

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._transport = None
        if not self._is_udp:
            self._load.disconnected(self)

    def close(self) -> None:
        """No more."""
        if self._transport is not None:
            cast(asyncio.Transport, self._transport).abort()


async def load(options: LoadOptions, *, tell: Callable[[Report], None], library: Library | None = None) -> Report:
    """Load a platform. tell: called each second. Returns the last report. Raises Unavailable."""
    return await Load(options, library=library).run(tell)
