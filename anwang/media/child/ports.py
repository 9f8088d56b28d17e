"""RTP ports: a configured range, handed out in turn so that a port rests before it is used again."""

from __future__ import annotations

import socket

from anwang.kernel.errors import Exhausted

RECEIVE_BUFFER_BYTES = 2 << 20


class Ports:
    """Even ports of first..last, for one child its own share. Port + 1 is left free for RTCP."""

    def __init__(self, first: int, last: int, *, share: int = 0, shares: int = 1) -> None:
        even = range(first + first % 2, last, 2)
        self._ports = list(even)[share::shares]
        self._next = 0
        self._used: set[int] = set()

    def udp(self, host: str) -> socket.socket:
        """A bound datagram socket. Raises Exhausted."""
        return self._bind(host, socket.SOCK_DGRAM)

    def tcp(self, host: str) -> socket.socket:
        """A bound stream socket, not yet listening. Raises Exhausted."""
        return self._bind(host, socket.SOCK_STREAM)

    def free(self, port: int) -> None:
        """The port may be used again."""
        self._used.discard(port)

    def _bind(self, host: str, kind: socket.SocketKind) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for _ in range(len(self._ports)):
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            if port in self._used:
                continue
            found = socket.socket(family, kind)
            try:
                if family is socket.AF_INET6:
                    found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
                if kind == socket.SOCK_STREAM:
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                found.setblocking(False)
                found.bind((host, port))
            except OSError:
                found.close()
                continue
            self._used.add(port)
            return found
        raise Exhausted("no RTP port is free", "widen media.rtp_ports, or look for what holds them")
