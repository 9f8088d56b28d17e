"""Two SIP ends on a network that loses, doubles and reorders, with time moved by the test."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from typing import TypeVar

from anwang.wire import sip

PLATFORM = sip.Uri("34020000002000000001", "3402000000")
DEVICE = sip.Uri("34020000001320000001", "3402000000")
E = TypeVar("E")


def quiet(seed: int) -> Callable[[int], bytes]:
    """Random bytes that are the same in every run."""
    return random.Random(seed).randbytes


class End:
    """An endpoint, its address, and all it was told."""

    def __init__(self, name: str, transport: str, host: str, **settings: object) -> None:
        self.name = name
        self.peer = sip.Peer(transport, host, 5060)
        self.sip: sip.Endpoint[sip.Peer] = sip.Endpoint(
            sip.Addresses(host, 5060),
            noise=quiet(sum(name.encode())),
            **settings,  # type: ignore[arg-type]
        )
        self.told: list[sip.Event[sip.Peer]] = []
        self.sent: list[bytes] = []
        self.on: Callable[[sip.Event[sip.Peer], float], None] = lambda event, now: None

    def of(self, kind: type[E]) -> list[E]:
        """Every event of a kind so far."""
        return [event for event in self.told if isinstance(event, kind)]

    def methods(self) -> list[str]:
        """First words of what was sent: methods and statuses."""
        lines = [data.split(b"\r\n")[0].decode() for data in self.sent]
        return [line.split()[1] if line.startswith("SIP/") else line.split()[0] for line in lines]


class World:
    """Carries datagrams between two ends. loss, double: shares of 1. spread: most seconds a datagram takes."""

    def __init__(
        self, a: End, b: End, *, seed: int = 0, loss: float = 0.0, double: float = 0.0, spread: float = 0.0
    ) -> None:
        self.now = 0.0
        self.a, self.b = a, b
        self.loss, self.double, self.spread = loss, double, spread
        self._random = random.Random(seed)
        self._flying: list[tuple[float, int, bytes, End, End]] = []
        self._count = 0
        #: drops what it says True for, once more to choose exactly what is lost
        self.drop: Callable[[bytes], bool] = lambda data: False

    def _take_off(self) -> bool:
        moved = False
        for source, target in ((self.a, self.b), (self.b, self.a)):
            for data, _peer in source.sip.to_send(self.now):
                moved = True
                source.sent.append(data)
                if self.drop(data):
                    continue
                copies = 0 if self._random.random() < self.loss else 1 + (self._random.random() < self.double)
                for _ in range(copies):
                    self._count += 1
                    at = self.now + self._random.random() * self.spread
                    heapq.heappush(self._flying, (at, self._count, data, source, target))
        return moved

    def _tell(self, ends: Iterable[End]) -> None:
        for end in ends:
            for event in end.sip.events():
                end.told.append(event)
                end.on(event, self.now)

    def settle(self) -> None:
        """All that happens at this moment."""
        while True:
            self._tell((self.a, self.b))
            moved = self._take_off()
            while self._flying and self._flying[0][0] <= self.now:
                _, _, data, source, target = heapq.heappop(self._flying)
                target.sip.receive(data, source.peer, self.now)
                moved = True
            if not moved:
                return

    def run(self, seconds: float) -> None:
        """Let that much time pass, waking up only where something is due."""
        until = self.now + seconds
        self.settle()
        while True:
            moments = [self.a.sip.timer(), self.b.sip.timer(), self._flying[0][0] if self._flying else None]
            due = min((moment for moment in moments if moment is not None), default=until)
            if due >= until:
                break
            assert due >= self.now - 1e-9, "a timer lies in the past"
            self.now = max(self.now, due)
            self.a.sip.tick(self.now)
            self.b.sip.tick(self.now)
            self.settle()
        self.now = until
        self.a.sip.tick(self.now)
        self.b.sip.tick(self.now)
        self.settle()


def pair(transport: str = "udp", **settings: object) -> tuple[End, End]:
    """A platform and a device."""
    return End("platform", transport, "198.51.100.5", **settings), End("device", transport, "192.0.2.20")
