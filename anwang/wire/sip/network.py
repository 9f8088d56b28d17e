"""What a machine must know of the world below it: who peers are and how we look to them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from anwang.wire.sip.values import Uri

P = TypeVar("P", bound=Hashable)
P_contra = TypeVar("P_contra", bound=Hashable, contravariant=True)


class Network(Protocol[P_contra]):
    """Answers about a peer; made by whoever owns the sockets."""

    def is_reliable(self, peer: P_contra) -> bool:
        """Whether the way to it is a connection: nothing is retransmitted there."""

    def transport(self, peer: P_contra) -> str:
        """The token of Via for the way to it, `UDP` or `TCP`."""

    def local(self, peer: P_contra) -> tuple[str, int]:
        """Our address as that peer must see it."""

    def source(self, peer: P_contra) -> tuple[str, int]:
        """Where its packets come from."""


class Peer(NamedTuple):
    """A peer for those who need no peers of their own. transport: `udp` or `tcp`."""

    transport: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Addresses:
    """A network of `Peer`s (or equal tuples) that all see us under one address."""

    host: str
    port: int

    def is_reliable(self, peer: tuple[str, str, int]) -> bool:
        """Everything but UDP."""
        return peer[0] != "udp"

    def transport(self, peer: tuple[str, str, int]) -> str:
        """As the peer says it."""
        return peer[0].upper()

    def local(self, peer: tuple[str, str, int]) -> tuple[str, int]:
        """The one address."""
        return self.host, self.port

    def source(self, peer: tuple[str, str, int]) -> tuple[str, int]:
        """As the peer says it."""
        return peer[1], peer[2]


def contact(network: Network[P], peer: P, user: str) -> Uri:
    """The address under which a peer reaches one of our users."""
    host, port = network.local(peer)
    transport = network.transport(peer)
    params = () if transport == "UDP" else (("transport", transport.lower()),)
    return Uri(user, host, port, "sip", params)
