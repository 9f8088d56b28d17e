"""A platform of a hundred lines for tests: registrar, questions, calls, receivers; made of the wire machines."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from anwang.wire import digest, rtp, sdp, sip
from anwang.wire import gb28181 as gb
from anwang.wire.gb28181.registrar import NonceAge, Nonces, challenge_headers, granted_headers, read_register
from anwang.wire.mpegps import Demuxer
from anwang.wire.sip import Peer
from anwang.wire.units import Unit

SERVER = "99010000002000000001"
DOMAIN = SERVER[:10]
PASSWORD = "a-password-for-tests"
E = TypeVar("E")


@dataclass
class Received:
    """A stream as it comes in."""

    units: list[Unit] = field(default_factory=list)
    packets: int = 0
    ssrcs: set[int] = field(default_factory=set)
    raw: bytearray = field(default_factory=bytearray)
    demuxer: Demuxer = field(default_factory=Demuxer)

    def take(self, packet: rtp.Packet) -> None:
        self.packets += 1
        self.ssrcs.add(packet.ssrc)
        payload = bytes(packet.payload)
        self.raw += payload
        self.units += self.demuxer.feed(payload, packet.timestamp, packet.marker, packet.lost)


class SmallPlatform(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.sip: sip.Endpoint[Peer] = sip.Endpoint(self)
        self.nonces = Nonces(b"0123456789abcdef")
        self.registered: dict[str, Peer] = {}
        self.versions: dict[str, gb.Version | None] = {}
        self.call_ids: dict[str, str] = {}
        self.told: list[gb.Manscdp] = []
        self.keepalives: Counter[str] = Counter()
        self.events: list[object] = []
        self.changed = asyncio.Condition()
        self._connections: dict[Peer, asyncio.Transport] = {}
        self._closers: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Future[None]] = set()
        self._sn = 0
        self.port = 0

    # ---- sip.Network

    def is_reliable(self, peer: Peer) -> bool:
        return peer.transport == "tcp"

    def transport(self, peer: Peer) -> str:
        return peer.transport.upper()

    def local(self, peer: Peer) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def source(self, peer: Peer) -> tuple[str, int]:
        return peer.host, peer.port

    # ---- life

    async def __aenter__(self) -> SmallPlatform:
        loop = asyncio.get_running_loop()
        while not self.port:  # any port that is free for both
            udp, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
            port = udp.get_extra_info("sockname")[1]
            try:
                self._tcp = await loop.create_server(lambda: _Stream(self), "127.0.0.1", port)
            except OSError:
                udp.close()
                continue
            self._udp, self.port = udp, port
        self._ticker = asyncio.ensure_future(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ticker.cancel()
        self._tcp.close()
        for transport in self._connections.values():
            transport.abort()
        for close in self._closers:
            close()
        self._udp.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            self.sip.tick(self.now())
            await self.flush()

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.receive(data, Peer("udp", *addr))

    def receive(self, data: bytes, peer: Peer) -> None:
        self.sip.receive(data, peer, self.now())
        task = asyncio.ensure_future(self.flush())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def flush(self) -> None:
        for event in self.sip.events():
            self._handle(event)
        for data, peer in self.sip.to_send(self.now()):
            if peer.transport == "udp":
                self._udp.sendto(data, (peer.host, peer.port))
            elif peer in self._connections:
                self._connections[peer].write(data)
        async with self.changed:
            self.changed.notify_all()

    async def until(self, condition: Callable[[], object], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            async with self.changed:
                await self.changed.wait_for(lambda: bool(condition()))

    # ---- what comes

    def _handle(self, event: object) -> None:
        self.events.append(event)
        now = self.now()
        match event:
            case sip.Asked(request=request) if request.method == "REGISTER":
                self._register(event, now)
            case sip.Asked(request=request):
                message = gb.parse(request.body)
                self.told.append(message)
                if isinstance(message, gb.Keepalive):
                    self.keepalives[message.device_id] += 1
                self.sip.reply(event.transaction, 200, now)
            case sip.Notified(request=request, transaction=transaction):
                self.told.append(gb.parse(request.body))
                self.sip.reply(transaction, 200, now)

    def _register(self, event: sip.Asked[Peer], now: float) -> None:
        asked = read_register(event.request)
        given, host = asked.authorization, event.peer.host
        fresh = given and self.nonces.check(given.nonce, asked.device_id, host, now) is NonceAge.FRESH
        if given is None or not fresh:
            nonce = self.nonces.make(asked.device_id, host, now)
            self.sip.reply(event.transaction, 401, now, headers=challenge_headers(DOMAIN, nonce, version=gb.V2022))
            return
        proof = digest.ha1(asked.device_id, DOMAIN, PASSWORD)
        if not digest.verify(given, method="REGISTER", ha1_hex=proof):
            self.sip.reply(event.transaction, 403, now)
            return
        headers = granted_headers(asked, 3600, datetime.now(UTC), version=gb.V2022)
        self.sip.reply(event.transaction, 200, now, headers=headers)
        self.registered[asked.device_id] = event.peer
        self.versions[asked.device_id] = asked.version
        self.call_ids[asked.device_id] = asked.call_id

    # ---- what we want

    def next_sn(self) -> int:
        self._sn += 1
        return self._sn

    async def ask(self, device: str, message: gb.Manscdp) -> None:
        """Send a MESSAGE; returns when it is answered."""
        number = self.sip.ask(
            "MESSAGE", local=sip.Uri(SERVER, DOMAIN), remote=sip.Uri(device, DOMAIN), peer=self.registered[device],
            now=self.now(), content_type=gb.CONTENT_TYPE, body=gb.serialize(message),
        )  # fmt: skip
        await self.flush()
        ends = sip.Answered | sip.Unanswered
        await self.until(lambda: any(isinstance(one, ends) and one.transaction == number for one in self.events))

    def answers(self, kind: type[E], sn: int) -> list[E]:
        return [one for one in self.told if isinstance(one, kind) and one.sn == sn]  # type: ignore[attr-defined]

    async def catalogue(self, device: str, node: str = "") -> list[gb.CatalogItem]:
        sn = self.next_sn()
        await self.ask(device, gb.CatalogQuery(sn=sn, device_id=node or device))

        def items() -> list[gb.CatalogItem]:
            return [item for one in self.answers(gb.CatalogResponse, sn) for item in one.items]

        await self.until(lambda: (found := self.answers(gb.CatalogResponse, sn)) and len(items()) >= found[0].total)
        return items()

    def offer(
        self, channel: str, port: int, setup: sdp.Setup | None, *, stream: int = 0, name: str = "Play", start: int = 0,
        stop: int = 0, ssrc: str = "0100000001",
    ) -> sdp.Sdp:  # fmt: skip
        media = sdp.Media(
            kind="video", port=port, protocol="TCP/RTP/AVP" if setup else "RTP/AVP", payloads=(96,), rtpmaps=(sdp.PS,),
            direction=sdp.Direction.RECVONLY, setup=setup, connection="new" if setup else "", stream_number=stream,
        )  # fmt: skip
        uri = f"{channel}:0" if start else ""
        return sdp.Sdp(
            owner=SERVER, address="127.0.0.1", name=name, uri=uri, start=start, stop=stop, media=(media,), ssrc=ssrc
        )

    async def invite(
        self,
        device: str,
        channel: str,
        how: str,
        *,
        stream: int = 0,
        name: str = "Play",
        start: int = 0,
        stop: int = 0,
        number: int = 1,
    ) -> tuple[int, Received, sdp.Sdp]:
        """how: udp, passive (they connect to us) or active (we connect to them). Returns call, stream, answer."""
        loop = asyncio.get_running_loop()
        received = Received()
        setup, port, ssrc = None, 0, f"01000{number:05}"
        if how == "udp":
            transport, _ = await loop.create_datagram_endpoint(lambda: _UdpIn(received), local_addr=("127.0.0.1", 0))
            port = transport.get_extra_info("sockname")[1]
            self._closers.append(transport.close)
        elif how == "passive":
            setup = sdp.Setup.PASSIVE
            server = await loop.create_server(lambda: _TcpIn(received, self), "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            self._closers.append(server.close)
        else:
            setup, port = sdp.Setup.ACTIVE, 9
        offer = self.offer(channel, port, setup, stream=stream, name=name, start=start, stop=stop, ssrc=ssrc)
        kind = gb.StreamKind.HISTORY if start else gb.StreamKind.LIVE
        subject = gb.Subject(channel, f"{kind}{number:06}", SERVER)
        call = self.sip.invite(
            local=sip.Uri(SERVER, DOMAIN),
            remote=sip.Uri(channel, DOMAIN),
            peer=self.registered[device],
            now=self.now(),
            body=bytes(offer),
            headers=(("Subject", str(subject)),),
        )
        await self.flush()

        def final() -> list[object]:
            return [e for e in self.events if isinstance(e, sip.Accepted | sip.Ended) and e.call == call]

        await self.until(final)
        [event] = final()[:1]
        assert isinstance(event, sip.Accepted), event
        answer = sdp.Sdp.parse(event.response.body)
        if how == "active":
            block = answer.block()
            assert block and block.setup is sdp.Setup.PASSIVE
            await loop.create_connection(lambda: _TcpIn(received, self), "127.0.0.1", block.port)
        return call, received, answer

    async def hang_up(self, call: int) -> None:
        self.sip.hang_up(call, self.now())
        await self.flush()
        await self.until(lambda: any(isinstance(e, sip.Ended) and e.call == call for e in self.events))


class _Stream(asyncio.Protocol):
    def __init__(self, platform: SmallPlatform) -> None:
        self.platform, self.framer = platform, sip.StreamFramer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.peer = Peer("tcp", *transport.get_extra_info("peername")[:2])
        self.platform._connections[self.peer] = transport

    def data_received(self, data: bytes) -> None:
        self.framer.receive(data)
        for message in self.framer.messages():
            self.platform.receive(message, self.peer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.platform._connections.pop(self.peer, None)


class _UdpIn(asyncio.DatagramProtocol):
    def __init__(self, received: Received) -> None:
        self.received = received

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.take(rtp.parse(data))


class _TcpIn(asyncio.Protocol):
    def __init__(self, received: Received, platform: SmallPlatform) -> None:
        self.received, self.framing, self.platform = received, rtp.TcpFraming(policy=rtp.SsrcPolicy.ANY), platform

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.platform._closers.append(transport.abort)

    def data_received(self, data: bytes) -> None:
        for packet in self.framing.feed(data):
            self.received.take(packet)
