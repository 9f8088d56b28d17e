"""What runs over whom: a lost connection finds its own without a look at all others, however many are lost at once."""

from __future__ import annotations

from typing import Generic

from anwang.wire.sip.network import P


class Routes(Generic[P]):
    """Handles by the peer that they run over."""

    def __init__(self) -> None:
        self._over: dict[P, dict[int, None]] = {}

    def put(self, number: int, peer: P) -> None:
        """It runs over this peer from now on."""
        self._over.setdefault(peer, {})[number] = None

    def drop(self, number: int, peer: P) -> None:
        """It runs over that peer no longer; harmless where it never did."""
        own = self._over.get(peer)
        if own is not None:
            own.pop(number, None)
            if not own:
                del self._over[peer]

    def over(self, peer: P) -> list[int]:
        """All that run over a peer, the oldest first."""
        return sorted(self._over.get(peer, ()))
