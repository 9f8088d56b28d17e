"""Receivers of pushed media: UDP, TCP that we listen on, TCP that we connect.

A receiver is reserved before the device is asked and amended when it has answered; what arrives in between waits,
within a bound, because the answer may say which SSRC is the true one.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import cast

from anwang.kernel.errors import WireError
from anwang.kernel.hosts import bracketed, plain
from anwang.media.child.datagrams import SLOT_BYTES, Batch, Rounds
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.wire.mpegps import Demuxed, Demuxer, Payload, sniff
from anwang.wire.rtp import Packet, Reception, SsrcPolicy, TcpFraming, UdpReorder
from anwang.wire.units import Unit

log = logs.get(__name__)

HELD_BYTES = 1 << 20
CANDIDATES = 4
"""Connections to a port of ours that may stand before the answer says whose is the true one."""
#: how much larger than the largest burst a socket's buffer must be before anything waits in it: the kernel counts its
#: own overhead too, and the next burst may be twice as large
ROOM = 4
#: a read of a connection that brought less leaves little behind
DRAINED_BYTES = 1 << 16
CONNECT_TRIES = 3
CONNECT_PAUSE_S = 1.0
TICK_S = 0.05


@dataclass(slots=True, kw_only=True)
class Hooks:
    """Where a receiver reports. ended: cause of the end for people."""

    connected: Callable[[str], None]
    first: Callable[[str, int], None]
    odd: Callable[[str, str], None]
    """kind (said once each) and sentence."""
    units: Callable[[list[Unit]], None]
    ended: Callable[[str], None]
    handling: AbstractContextManager[None]
    """Around whatever the stream makes the loop do; never nested."""


@dataclass(slots=True)
class Pipeline:
    """Packets to access units, with the counters that a person needs to see what is wrong."""

    hooks: Hooks
    demuxer: Demuxer = field(default_factory=Demuxer)
    payload: Payload = Payload.UNKNOWN
    looked_at: int = 0
    started: bool = False

    def feed(self, packets: list[Packet], peer: str) -> None:
        """Packets in order."""
        units: list[Unit] = []
        for packet in packets:
            if not self.started:
                self.started = True
                self.hooks.first(peer, packet.ssrc)
            if self.payload is not Payload.PS:
                self._sniff(packet)
            units += self.demuxer.feed(packet.payload, packet.timestamp, packet.marker, packet.lost)
        if units:
            self.hooks.units(units)

    def _sniff(self, packet: Packet) -> None:
        found = sniff(packet.payload, packet.payload_type)
        if found is not Payload.UNKNOWN:
            self.payload = found
            if found is not Payload.PS:
                self.hooks.odd("payload", f"the device sends {found.value} where a program stream was agreed")
        self.looked_at += 1
        if self.looked_at == 200:
            self.hooks.odd("payload", "200 packets and no program stream in them")


class UdpReceiver:
    """One socket for one stream, read in rounds."""

    def __init__(self, bound: socket.socket, hooks: Hooks, clock: Clock, rounds: Rounds) -> None:
        self._socket = bound
        self._hooks = hooks
        self._clock = clock
        self._pipeline = Pipeline(hooks)
        self._reorder: UdpReorder | None = None
        self._held: list[tuple[bytes, tuple[str, int], bytes]] = []
        self._held_bytes = 0
        self._name = b""
        """Of the source, as the kernel writes it; empty before it is known."""
        self._source = "", 0
        self._ssrc = 0
        self._timer: asyncio.TimerHandle | None = None
        self.port: int = bound.getsockname()[1]
        self.strangers = 0
        self._loop = asyncio.get_running_loop()
        self._rounds = rounds
        self._room_bytes = bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._burst_bytes = 0
        """The most that one read brought since `pace`."""
        rounds.add(bound, self._received, self._failed)

    def amend(
        self, ssrc: int, policy: SsrcPolicy, connect: tuple[str, int] | None, sources: Sequence[str] = ()
    ) -> None:
        """See feed.Amendable."""
        self._ssrc = ssrc
        self._reorder = UdpReorder(ssrc=ssrc if policy is SsrcPolicy.STRICT else None, policy=policy)
        held, self._held = self._held, []
        with self._hooks.handling:
            for one in held:
                self._take(*one)

    def seen(self) -> Reception:
        """See feed.Amendable."""
        return self._reorder.seen if self._reorder is not None else Reception()

    def demuxed(self) -> Demuxed:
        """See feed.Amendable."""
        return self._pipeline.demuxer.seen

    def hold(self, on: bool) -> None:
        """See feed.Amendable: datagrams come whether they are read or not."""

    def pace(self, is_patient: bool) -> None:
        """See feed.Source. Nothing waits where the kernel gives the socket too little room."""
        self._rounds.pace(self._socket, is_patient and self._burst_bytes * ROOM < self._room_bytes)
        self._burst_bytes = 0

    def close(self) -> None:
        """See feed.Amendable."""
        if self._timer is not None:
            self._timer.cancel()
        self._rounds.remove(self._socket)
        self._socket.close()

    def _failed(self, err: OSError) -> None:
        self._hooks.odd("socket", f"receiving failed: {err.strerror}")

    def _received(self, batch: Batch) -> None:
        with self._hooks.handling:
            self._receive(batch)

    def _receive(self, batch: Batch) -> None:
        reorder = self._reorder
        self._burst_bytes = max(self._burst_bytes, sum(batch.sizes))
        if reorder is None:
            self._keep(batch)
        elif self._name and batch.is_all_from(self._name):
            wrong, malformed = reorder.seen.wrong_ssrc, reorder.seen.malformed
            packets = reorder.receive_joined(batch.memory, SLOT_BYTES, batch.sizes, self._clock.monotonic())
            self._pass_on(reorder, packets)
            if reorder.seen.wrong_ssrc > wrong:
                self._say_wrong(batch)
            if reorder.seen.malformed > malformed:
                self._hooks.odd("malformed", f"packets from {self._source[0]} are no RTP: they are dropped")
        else:
            for number in range(len(batch.sizes)):
                self._take(batch.datagram(number), batch.source(number), batch.name(number))

    def _keep(self, batch: Batch) -> None:
        """Hold what comes before the answer says which SSRC is the true one."""
        for number, size in enumerate(batch.sizes):
            if self._held_bytes + size <= HELD_BYTES:
                self._held.append((batch.datagram(number), batch.source(number), batch.name(number)))
                self._held_bytes += size

    def _take(self, datagram: bytes, source: tuple[str, int], name: bytes) -> None:
        """One datagram, from whomever."""
        reorder = self._reorder
        if reorder is None:
            return
        if self._name and source[0] != self._source[0]:
            self.strangers += 1
            self._hooks.odd("stranger", f"packets from {source[0]} as well; they are ignored")
            return
        wrong, taken, malformed = reorder.seen.wrong_ssrc, reorder.seen.packets, reorder.seen.malformed
        packets = reorder.receive(datagram, self._clock.monotonic())
        if reorder.seen.packets > taken:
            # only who sends the agreed stream is its source: noise before it must not shut the device out
            self._source, self._name = source, name
        elif reorder.seen.wrong_ssrc > wrong:
            self._say_ssrc(datagram)
        elif reorder.seen.malformed > malformed:
            self._hooks.odd("malformed", f"packets from {source[0]} are no RTP: they are dropped")
        self._pass_on(reorder, packets)

    def _pass_on(self, reorder: UdpReorder, packets: list[Packet]) -> None:
        if packets:
            self._pipeline.feed(packets, f"{bracketed(self._source[0])}:{self._source[1]}")
        if self._timer is None and reorder.timer() is not None:
            self._timer = self._loop.call_later(TICK_S, self._tick)

    def _say_wrong(self, batch: Batch) -> None:
        """Say whose packets of a batch were refused; said once, so it may cost."""
        for number in range(len(batch.sizes)):
            datagram = batch.datagram(number)
            if int.from_bytes(datagram[8:12], "big") != self._ssrc:
                self._say_ssrc(datagram)
                return

    def _say_ssrc(self, datagram: bytes) -> None:
        ssrc = int.from_bytes(datagram[8:12], "big")
        self._hooks.odd("ssrc", f"packets carry SSRC {ssrc:010d}, agreed was {self._ssrc:010d}: they are refused")

    def _tick(self) -> None:
        self._timer = None
        if (reorder := self._reorder) is not None:
            with self._hooks.handling:
                self._pass_on(reorder, reorder.tick(self._clock.monotonic()))


class _Connection(asyncio.Protocol):
    """Media over TCP, whoever opened the connection. What comes before it is chosen is held."""

    def __init__(self, receiver: TcpReceiver) -> None:
        self._receiver = receiver
        self._transport: asyncio.Transport | None = None
        self._is_paused = False
        self.held = bytearray()
        self.host = ""
        self.peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio.Transport
        self._transport = cast(asyncio.Transport, transport)
        name = transport.get_extra_info("peername")
        if name:
            self.host = plain(name[0])
            self.peer = f"{bracketed(self.host)}:{name[1]}"
        self._receiver.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._receiver.chosen is self:
            self._receiver.received(data)
            is_drained = len(data) < DRAINED_BYTES
            if is_drained and self._receiver.is_patient and (transport := self._alive()) is not None:
                transport.pause_reading()
                self._receiver.rounds.later(self._go_on)
            return
        self.held += data
        if len(self.held) > HELD_BYTES // CANDIDATES and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._receiver.lost(self, exc)

    def pause(self) -> None:
        """Read no more for now."""
        self._is_paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on after a pause."""
        self._is_paused = False
        self._go_on()

    def _go_on(self) -> None:
        if not self._is_paused and (transport := self._alive()) is not None:
            transport.resume_reading()

    def _alive(self) -> asyncio.Transport | None:
        """The transport, unless it is on its way out."""
        return None if self._transport is None or self._transport.is_closing() else self._transport

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()


class TcpReceiver:
    """One connection for one stream; `bound` listens, without it we connect after the answer.

    Anyone can connect to a port that listens. The answer says from where the device will, so nobody is chosen before.
    """

    def __init__(self, bound: socket.socket | None, hooks: Hooks, rounds: Rounds) -> None:
        self._hooks = hooks
        self.rounds = rounds
        self.is_patient = False
        self._pipeline = Pipeline(hooks)
        self._framing: TcpFraming | None = None
        self._sources: frozenset[str] = frozenset()
        self._candidates: list[_Connection] = []
        self._answered = asyncio.Event()
        self.chosen: _Connection | None = None
        self._closed = False
        self._is_held = False
        self._ssrc = 0
        self._task: asyncio.Task[None] | None = None
        self._bound = bound
        self.strangers = 0
        self.port: int = bound.getsockname()[1] if bound is not None else 0
        if bound is not None:
            bound.listen(16)
            self._task = asyncio.get_running_loop().create_task(self._accept(bound))

    def amend(
        self, ssrc: int, policy: SsrcPolicy, connect: tuple[str, int] | None, sources: Sequence[str] = ()
    ) -> None:
        """See feed.Amendable."""
        self._ssrc = ssrc
        self._framing = TcpFraming(ssrc=ssrc if policy is SsrcPolicy.STRICT else None, policy=policy)
        self._sources = frozenset(map(plain, sources))
        self._answered.set()
        candidates, self._candidates = self._candidates, []
        for one in candidates:
            self._consider(one)
        if self._bound is None and connect is not None:
            self._task = asyncio.get_running_loop().create_task(self._connect(*connect))

    def seen(self) -> Reception:
        """See feed.Amendable."""
        return self._framing.seen if self._framing is not None else Reception()

    def demuxed(self) -> Demuxed:
        """See feed.Amendable."""
        return self._pipeline.demuxer.seen

    def hold(self, on: bool) -> None:
        """See feed.Amendable."""
        self._is_held = on
        if self.chosen is None:
            return
        if on:
            self.chosen.pause()
        else:
            self.chosen.resume()

    def close(self) -> None:
        """See feed.Amendable."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        for one in (*self._candidates, self.chosen):
            if one is not None:
                one.abort()
        if self._bound is not None:
            self._bound.close()

    def pace(self, is_patient: bool) -> None:
        """See feed.Source."""
        self.is_patient = is_patient

    def opened(self, connection: _Connection) -> None:
        """A connection stands."""
        if self._closed:
            connection.abort()
        elif self._framing is None:
            self._candidates.append(connection)
        else:
            self._consider(connection)

    def _consider(self, connection: _Connection) -> None:
        """Choose it, or close it where it is not the device's."""
        if self.chosen is None and (self._bound is None or not self._sources or connection.host in self._sources):
            self.chosen = connection
            self._hooks.connected(connection.peer)
            held, connection.held = bytes(connection.held), bytearray()
            if held:
                self.received(held)
            if not self._is_held:
                connection.resume()
            return
        self.strangers += 1
        if self.chosen is None:
            awaited = " or ".join(sorted(self._sources))
            self._hooks.odd(
                "stranger",
                f"a connection from {connection.host}, where the device's answer says {awaited}: it is closed",
            )
        connection.abort()

    def received(self, data: bytes) -> None:
        """Bytes of the connection that was chosen."""
        framing, chosen = self._framing, self.chosen
        if framing is None or chosen is None:
            return
        wrong, malformed, resyncs = framing.seen.wrong_ssrc, framing.seen.malformed, framing.seen.resyncs
        with self._hooks.handling:
            try:
                packets = framing.feed(data)
            except WireError as err:
                self._end(f"no RTP on the connection: {err.reason}")
                return
            if packets:
                self._pipeline.feed(packets, chosen.peer)
        if framing.seen.wrong_ssrc > wrong:
            self._hooks.odd("ssrc", f"packets carry another SSRC than the agreed {self._ssrc:010d}: they are refused")
        if framing.seen.malformed > malformed:
            self._hooks.odd("malformed", f"packets from {chosen.host} are no RTP: they are dropped")
        if framing.seen.resyncs > resyncs:
            self._hooks.odd("framing", f"the connection from {chosen.host} lost its framing: bytes were skipped")

    def lost(self, connection: _Connection, exc: Exception | None) -> None:
        """The peer has closed, or the network has."""
        if connection in self._candidates:
            self._candidates.remove(connection)
        if connection is not self.chosen:
            return
        self._end("the device closed the media connection" if exc is None else f"the media connection broke: {exc}")

    def _end(self, why: str) -> None:
        if not self._closed:
            self._closed = True
            self._hooks.ended(why)

    async def _accept(self, bound: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while self.chosen is None:
            if len(self._candidates) >= CANDIDATES:
                await self._answered.wait()
            connection, _ = await loop.sock_accept(bound)
            await loop.connect_accepted_socket(lambda: _Connection(self), connection)
        bound.close()  # one connection per session

    async def _connect(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        for attempt in range(CONNECT_TRIES):
            if attempt:
                await asyncio.sleep(CONNECT_PAUSE_S)
            try:
                async with asyncio.timeout(5.0):
                    await loop.create_connection(lambda: _Connection(self), host, port)
            except TimeoutError:
                self._hooks.odd("connect", f"connecting to {bracketed(host)}:{port} timed out")
            except OSError as err:
                self._hooks.odd("connect", f"connecting to {bracketed(host)}:{port} failed: {err.strerror or err}")
            else:
                return
        self._end(f"no connection to {bracketed(host)}:{port} after {CONNECT_TRIES} tries")
