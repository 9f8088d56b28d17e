"""SIP's sockets: UDP and one TCP listener on the same port, IPv6 and IPv4.

Thin: bytes in, peer beside them; bytes out to a peer. A device that came over TCP is answered and asked over that same
connection only, so that one behind NAT is reached.

UDP has a socket for each family: one for both would cost every IPv4 datagram its way through IPv6 addresses.

A connection is a stranger's until a device has registered over it (`settle`). Strangers may stay for a while only, and
only so many at once from one address; those of registered devices are bounded together.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections import Counter
from collections.abc import Callable
from typing import cast

from anwang.gateways.gb28181.sessions import Peer
from anwang.kernel.errors import Unavailable, WireError
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.wire.sip import StreamFramer

log = logs.get(__name__)

PORT_TRIES = 64
DRAIN = 512
DATAGRAM_BYTES = 65_536
MOST_CONNECTIONS = 200_000
SEND_BACKLOG_BYTES = 1 << 20
STRANGER_SECONDS = 60.0
STRANGERS_PER_ADDRESS = 1024
"""A district's cameras may share one address behind their NAT, and come all at once after a power cut."""


def plain(host: str) -> str:
    """An IPv4 address that came in through an IPv6 socket, as IPv4."""
    return host[7:] if host.startswith("::ffff:") and "." in host else host


class Sockets:
    """The wire below the SIP machine."""

    def __init__(
        self,
        *,
        clock: Clock,
        datagram: Callable[[bytes, Peer, float], None],
        lost: Callable[[Peer], None],
        broken: Callable[[Peer, WireError], None],
        stranger_s: float = STRANGER_SECONDS,
        strangers_per_address: int = STRANGERS_PER_ADDRESS,
    ) -> None:
        """datagram: a whole message, who sent it, and when (monotonic; one reading for all that came together).

        lost: a connection is gone. broken: a stream that is no SIP, or a connection that was not taken.
        """
        self._clock = clock
        self._datagram = datagram
        self._lost = lost
        self._broken = broken
        self._stranger_s = stranger_s
        self._strangers_per_address = strangers_per_address
        self._strangers: dict[Peer, float] = {}
        self._strangers_from: Counter[str] = Counter()
        self._four: socket.socket | None = None
        self._six: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._connections: dict[Peer, _Connection] = {}
        self.port = 0
        self.receive_buffer_bytes = 0
        self.dropped = 0
        """Messages that could not be sent: the kernel's buffer or a connection's backlog was full."""
        self.crowded = 0
        """Connections refused because too many stood already, from that address or in all."""
        self.outstayed = 0
        """Connections closed because no device registered over them."""
        self.faults = 0
        """Times that receiving failed, mostly because an earlier answer could not be delivered."""
        self._fault: tuple[str, float] | None = None

    async def open(self, host: str, port: int, *, buffer_bytes: int) -> None:
        """Bind both to one number; port 0: any that is free for both. Raises Unavailable with what is in the way."""
        loop = asyncio.get_running_loop()
        for left in reversed(range(1 if port else PORT_TRIES)):
            try:
                udp, tcp = self._bound(host, port, buffer_bytes)
                break
            except OSError as err:
                if not left or err.errno != errno.EADDRINUSE:
                    raise Unavailable(f"SIP port {port} cannot be opened: {err.strerror}", "see anwang doctor") from err
        for one in udp:
            if one.family is socket.AF_INET6:
                self._six = one
            else:
                self._four = one
            loop.add_reader(one.fileno(), self._readable, one)
        self._server = await loop.create_server(lambda: _Connection(self), sock=tcp, backlog=4096)

    def _bound(self, host: str, port: int, buffer_bytes: int) -> tuple[list[socket.socket], socket.socket]:
        """The datagram sockets and a listening one on the same port number, or OSError and none."""
        hosts = [host, "0.0.0.0"] if host == "::" else [host]  # noqa: S104 - what `::` means
        udp: list[socket.socket] = []
        with contextlib.ExitStack() as undo:
            for one in hosts:
                family = socket.AF_INET6 if ":" in one else socket.AF_INET
                made = undo.enter_context(socket.socket(family, socket.SOCK_DGRAM))
                if family is socket.AF_INET6:
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                made.setblocking(False)
                self.receive_buffer_bytes = _grow(made, buffer_bytes)
                made.bind((one, port))
                port = made.getsockname()[1]
                udp.append(made)
            tcp = undo.enter_context(socket.socket(udp[0].family, socket.SOCK_STREAM))
            if tcp.family is socket.AF_INET6:
                tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((host, port))
            tcp.listen(4096)
            undo.pop_all()
        self.port = port
        return udp, tcp

    def close(self) -> None:
        """Close everything."""
        for udp in (self._four, self._six):
            if udp is not None:
                asyncio.get_running_loop().remove_reader(udp.fileno())
                udp.close()
        self._four = self._six = None
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections.values()):
            connection.abort()

    def send(self, data: bytes, peer: Peer) -> None:
        """One message to a peer; never blocks, what can't go is counted."""
        if peer[0] == "tcp":
            connection = self._connections.get(peer)
            if connection is None or not connection.send(data):
                self.dropped += 1
            return
        udp = self._six if ":" in peer[1] else self._four
        if udp is None:
            self.dropped += 1
            return
        try:
            udp.sendto(data, peer[1:])
        except OSError:
            self.dropped += 1

    def has(self, peer: Peer) -> bool:
        """Whether there is a way to the peer now."""
        return peer[0] == "udp" or peer in self._connections

    def local_address(self, peer: Peer) -> str:
        """Our address as packets to the peer carry it, by the connection or the routing table."""
        connection = self._connections.get(peer)
        if connection is not None:
            return connection.local
        family = socket.AF_INET6 if ":" in peer[1] else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((peer[1], peer[2] or 5060))
            address: str = probe.getsockname()[0]
            return address.partition("%")[0]  # whose interface it is, is nobody's business but ours
        return ""

    def hang_up(self, peer: Peer) -> None:
        """Close a TCP connection."""
        connection = self._connections.get(peer)
        if connection is not None:
            connection.abort()

    def settle(self, peer: Peer) -> None:
        """A device has registered over this connection: it may stay."""
        if self._strangers.pop(peer, None) is not None:
            self._one_less(peer)

    def unsettle(self, peer: Peer) -> None:
        """Nobody is registered over this connection any more."""
        if peer in self._connections and peer not in self._strangers:
            self._strangers[peer] = self._clock.monotonic() + self._stranger_s
            self._strangers_from[peer[1]] += 1

    def sweep(self, now_s: float) -> None:
        """Close the connections of strangers that have stayed too long; call it about once a second."""
        late: list[Peer] = []
        for peer, until_s in self._strangers.items():
            if until_s > now_s:
                break  # they stand in the order in which they must go
            late.append(peer)
        for peer in late:
            self.outstayed += 1
            self._broken(peer, WireError(f"no device registered over the connection within {self._stranger_s:.0f} s"))
            self._connections[peer].abort()
            self.settle(peer)

    def last_fault(self, now_s: float) -> tuple[str, float] | None:
        """Why receiving failed last and how many seconds ago, None where it never did."""
        return None if self._fault is None else (self._fault[0], now_s - self._fault[1])

    @property
    def strangers(self) -> int:
        """Connections over which nobody is registered."""
        return len(self._strangers)

    def _one_less(self, peer: Peer) -> None:
        self._strangers_from[peer[1]] -= 1
        if not self._strangers_from[peer[1]]:
            del self._strangers_from[peer[1]]

    def _readable(self, udp: socket.socket) -> None:
        receive, datagram, now_s = udp.recvfrom, self._datagram, self._clock.monotonic()
        for _ in range(DRAIN):
            try:
                data, source = receive(DATAGRAM_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as err:
                # an ICMP error of an earlier answer surfaces here; the socket goes on
                self.faults += 1
                self._fault = err.strerror or type(err).__name__, now_s
                log.debug("receiving SIP failed", error=str(err))
                return
            datagram(data, ("udp", source[0], source[1]), now_s)

    def _opened(self, connection: _Connection) -> bool:
        peer = connection.peer
        if len(self._connections) >= MOST_CONNECTIONS or self._strangers_from[peer[1]] >= self._strangers_per_address:
            self.crowded += 1
            self._broken(peer, WireError("too many connections, over which nobody has registered yet"))
            return False
        self._connections[peer] = connection
        self.unsettle(peer)
        return True

    def _closed(self, connection: _Connection) -> None:
        if self._connections.get(connection.peer) is connection:
            del self._connections[connection.peer]
            self.settle(connection.peer)
            self._lost(connection.peer)

    def _message(self, data: bytes, peer: Peer) -> None:
        self._datagram(data, peer, self._clock.monotonic())

    def _no_sip(self, peer: Peer, err: WireError) -> None:
        self._broken(peer, err)


class _Connection(asyncio.Protocol):
    """One device over TCP."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self.peer: Peer = ("tcp", "", 0)
        self.local = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio.Transport
        self._transport = cast(asyncio.Transport, transport)
        name, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.peer = ("tcp", plain(name[0]), name[1])
        self.local = plain(own[0]).partition("%")[0]
        if not self._sockets._opened(self):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._framer.receive(data)
            for message in self._framer.messages():
                self._sockets._message(message, self.peer)
        except WireError as err:
            self._sockets._no_sip(self.peer, err)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._sockets._closed(self)

    def send(self, data: bytes) -> bool:
        if self._transport is None or self._transport.get_write_buffer_size() > SEND_BACKLOG_BYTES:
            return False
        self._transport.write(data)
        return True

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _grow(udp: socket.socket, wanted: int) -> int:
    """Ask for a large receive buffer, by force where the process may; what the kernel gave, in bytes."""
    for option in (getattr(socket, "SO_RCVBUFFORCE", 33), socket.SO_RCVBUF):
        with contextlib.suppress(OSError):
            udp.setsockopt(socket.SOL_SOCKET, option, wanted)
            break
    with contextlib.suppress(OSError):
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    return udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
