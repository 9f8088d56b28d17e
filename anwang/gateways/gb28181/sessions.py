"""Registered devices, held in memory: half a million of them in one process.

One slotted object per device and no timer of its own; expiry is found by a sweep that looks at a slice of all devices
each second. What a keep-alive costs here is one dictionary look-up, two assignments and one set insertion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from anwang.wire.gb28181 import V2016, Version

Peer = tuple[str, str, int]
"""transport ("udp" or "tcp"), host, port."""
UNMET = -1


@dataclass(slots=True, eq=False)
class Session:
    """One registered device. Times: `_us` on the wall clock, `_s` on the monotonic clock."""

    device: str
    peer: Peer
    """Change it with `Sessions.move` only."""
    call: int
    """Hash of its registrations' Call-ID, of which nothing is asked but whether it is another one."""
    expires_s: float
    heard_s: float
    slot: int = UNMET
    """The registry's number of the device; until the registry has met it, what it says is kept here."""
    version: Version = V2016
    is_lost: bool = False
    is_told: bool = False
    """Whether the registry knows where its keep-alives come from."""
    silence_s: float = 0.0
    """Its own allowed silence; 0: the usual one."""


class Sessions:
    """All of them, by code, and those over a connection by its peer too."""

    def __init__(self, *, keepalive_s: float, misses: int) -> None:
        self._silence_s = keepalive_s * misses
        self.by_code: dict[str, Session] = {}
        self._by_connection: dict[Peer, set[Session]] = {}
        self._fresh: set[Session] = set()
        self._sweep: Iterator[Session] = iter(())

    def __len__(self) -> int:
        return len(self.by_code)

    def get(self, device: str) -> Session | None:
        """The session of a device, lost ones included, or None."""
        return self.by_code.get(device)

    def is_used(self, peer: Peer) -> bool:
        """Whether a device is registered over this connection."""
        return peer in self._by_connection

    def lost(self, peer: Peer) -> list[Session]:
        """A connection is gone: those that were heard over it, marked as lost. They stay until their time is over."""
        gone = [session for session in self._by_connection.pop(peer, ()) if not session.is_lost]
        for session in gone:
            session.is_lost = True
        return gone

    def put(self, session: Session) -> None:
        """A device has registered; it takes the place of its session before."""
        before = self.by_code.get(session.device)
        if before is not None and before is not session:
            self._leave(before)
        self.by_code[session.device] = session
        if session.peer[0] != "udp":
            self._by_connection.setdefault(session.peer, set()).add(session)

    def move(self, session: Session, peer: Peer) -> None:
        """A device speaks from another address or over another connection."""
        self._disconnect(session)
        session.peer = peer
        session.is_told = False
        if peer[0] != "udp":
            self._by_connection.setdefault(peer, set()).add(session)

    def drop(self, device: str) -> Session | None:
        """A device has logged out or its registration is over."""
        session = self.by_code.pop(device, None)
        if session is not None:
            self._leave(session)
        return session

    def alive(self, session: Session, now_s: float) -> None:
        """A keep-alive came."""
        session.heard_s = now_s
        session.is_lost = False
        self._fresh.add(session)

    def take_fresh(self) -> list[Session]:
        """Those with a keep-alive since the last call that the registry has met, for the batch of evidence."""
        fresh, self._fresh = self._fresh, set()
        met = [session for session in fresh if session.slot >= 0]
        if len(met) < len(fresh):
            self._fresh = {session for session in fresh if session.slot < 0}
        return met

    def sweep(self, now_s: float, most: int) -> list[tuple[Session, str]]:
        """Look at up to `most` devices: those newly silent or expired, with the reason; expired ones are dropped."""
        found: list[tuple[Session, str]] = []
        for _ in range(most):
            session = next(self._sweep, None)
            if session is None:
                self._sweep = iter(list(self.by_code.values()))
                break
            if self.by_code.get(session.device) is not session:
                continue
            if session.expires_s <= now_s:
                self.drop(session.device)
                found.append((session, "registration expired"))
            elif not session.is_lost and now_s - session.heard_s > (session.silence_s or self._silence_s):
                session.is_lost = True
                found.append((session, "keep-alives missed"))
        return found

    def sweep_size(self, seconds: float) -> int:
        """How many devices one sweep must look at so that each is seen at least every `seconds`."""
        return max(1000, int(len(self.by_code) / seconds) + 1)

    def _leave(self, session: Session) -> None:
        self._fresh.discard(session)
        if session.peer[0] != "udp":
            self._disconnect(session)

    def _disconnect(self, session: Session) -> None:
        over = self._by_connection.get(session.peer)
        if over is not None:
            over.discard(session)
            if not over:
                del self._by_connection[session.peer]
