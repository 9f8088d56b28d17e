"""The line to the devices: the SIP machine joined to its sockets and the clock, and what is captured of it.

What a part of the gateway has told the machine goes out with `pump`, and what the machine says is handed on there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from anwang.gateways.gb28181.capture import Capture, Captured
from anwang.gateways.gb28181.sessions import Peer
from anwang.gateways.gb28181.sockets import Sockets
from anwang.kernel.errors import AnwangError
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.wire.sip import Endpoint, Event, Uri

log = logs.get(__name__)

MOST_CALLS, MOST_SUBSCRIPTIONS = 50_000, 60_000
MOST_ADDRESSES = 100_000
#: as anybody may write it; headers come before the body
_CALL_ID = re.compile(rb"(?im)^(?:call-id|i)[ \t]*:[ \t]*([^\s]+)")


class Line:
    """See the module. Implements wire.sip.Network."""

    def __init__(
        self,
        *,
        us: Uri,
        clock: Clock,
        sockets: Sockets,
        capture: Capture,
        sip_host: Callable[[str], str],
        handle: Callable[[Event[Peer], float], None],
    ) -> None:
        """us: who we are. sip_host: our address for a device (empty: as it reached us). handle: takes an event."""
        self.us = us
        self._own = us.user.encode()
        self.sockets = sockets
        self.capture = capture
        self._clock = clock
        self._sip_host = sip_host
        self._handle = handle
        self.endpoint: Endpoint[Peer] = Endpoint(self, max_calls=MOST_CALLS, max_subscriptions=MOST_SUBSCRIPTIONS)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._local: dict[str, str] = {}
        self._unseen: set[bytes] = set()
        self._followed: dict[bytes, Callable[[bytes, bool], None]] = {}
        self._left: list[bytes] = []

    def now(self) -> float:
        """The machine's clock."""
        return self._clock.monotonic()

    def close(self) -> None:
        """Close the sockets."""
        if self._timer is not None:
            self._timer.cancel()
        self.sockets.close()

    # --- wire.sip.Network -----------------------------------------------------------------------------------------

    def is_reliable(self, peer: Peer) -> bool:
        """See wire.sip.Network."""
        return peer[0] != "udp"

    def transport(self, peer: Peer) -> str:
        """See wire.sip.Network."""
        return peer[0].upper()

    def local(self, peer: Peer) -> tuple[str, int]:
        """See wire.sip.Network: our address as the peer must see it, the zone's before the routing table's."""
        told = self._sip_host(peer[1])
        if told:
            return told, self.sockets.port
        found = self._local.get(peer[1])
        if found is None:
            found = self.sockets.local_address(peer) or "127.0.0.1"
            if len(self._local) > MOST_ADDRESSES:
                self._local.clear()
            self._local[peer[1]] = found
        return found, self.sockets.port

    def source(self, peer: Peer) -> tuple[str, int]:
        """See wire.sip.Network."""
        return peer[1], peer[2]

    # --- in and out -----------------------------------------------------------------------------------------------

    def receive(self, data: bytes, peer: Peer, now: float, device: str | None) -> None:
        """A message that nobody has answered yet. device: whom it is about (`device_of`)."""
        self._capture(device, data, peer, outgoing=False)
        if self._followed:
            self._tell(data, outgoing=False)
        self.endpoint.receive(data, peer, now)
        self.pump()

    def turn_away(self, data: bytes, peer: Peer, *, retry_s: int) -> None:
        """Tell the sender of a request that is not taken when to come again."""
        self.endpoint.turn_away(data, peer, 503, (("Retry-After", str(retry_s)),))
        self.pump()

    def lost(self, peer: Peer) -> None:
        """A connection is gone."""
        self.endpoint.lost(peer, self.now())
        self.pump()

    def pump(self) -> None:
        """Handle what the machine says, send what it wants to send, wake up when it must."""
        now = self.now()
        for event in self.endpoint.events():
            try:
                self._handle(event, now)
            except AnwangError as err:
                log.info("a SIP event was not taken", reason=err.reason, what=type(event).__name__)
            except Exception:
                log.exception("a SIP event failed by our own fault", what=type(event).__name__)
        for data, peer in self.endpoint.to_send(now):
            if not self._unseen or _call_id(data) not in self._unseen:
                self._capture(self.device_of(data), data, peer, outgoing=True)
            if self._followed:
                self._tell(data, outgoing=True)
            self.sockets.send(data, peer)
        self._unseen.clear()
        while self._left:
            self._followed.pop(self._left.pop(), None)
        due = self.endpoint.timer()
        if due is not None and (self._timer is None or due < self._timer_at - 0.005):
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = due
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self.wake)

    def wake(self) -> None:
        """Something is due."""
        self._timer = None
        self.endpoint.tick(self.now())
        self.pump()

    # --- calls that somebody follows -----------------------------------------------------------------------------

    def follow(self, call_id: str, take: Callable[[bytes, bool], None]) -> None:
        """Hand over each message with this Call-ID until `leave`. take: the message with its secrets, and whether it is
        ours.
        """
        self._followed[call_id.encode()] = take

    def leave(self, call_id: str) -> None:
        """No more of them, once what the machine has to say to the last one is on its way."""
        self._left.append(call_id.encode())

    def _tell(self, data: bytes, *, outgoing: bool) -> None:
        found = _CALL_ID.search(data)
        take = self._followed.get(found[1]) if found is not None else None
        if take is not None:
            take(data, outgoing)

    # --- capture --------------------------------------------------------------------------------------------------

    def overlook(self, call_id: str) -> None:
        """The answer with this Call-ID that goes out next is not captured."""
        self._unseen.add(call_id.encode())

    def device_of(self, data: bytes) -> str | None:
        """The device a message is about: the 20-digit code of From, or of To where we are the sender."""
        return _device_of(data, self._own)

    def keep(self, device: str, data: bytes, peer: Peer, *, outgoing: bool) -> None:
        """Capture a message of a device."""
        host = self._local.get(peer[1]) or "0.0.0.0"  # noqa: S104 - only for the capture's headers
        local = (host, self.sockets.port)
        self.capture.note(device, Captured(self._clock.micros(), outgoing, peer[0], local, peer[1:], data))

    def _capture(self, device: str | None, data: bytes, peer: Peer, *, outgoing: bool) -> None:
        if device is not None and (b"<CmdType>Keepalive" not in data or self.capture.is_watched(device)):
            self.keep(device, data, peer, outgoing=outgoing)


def _call_id(data: bytes) -> bytes:
    start = data.find(b"\r\nCall-ID: ") + 11
    return data[start : data.find(b"\r\n", start)] if start > 10 else b""


def _device_of(data: bytes, own: bytes) -> str | None:
    for name in (b"\nFrom:", b"\nTo:", b"\nf:", b"\nt:"):
        start = data.find(name)
        if start < 0:
            continue
        line = data[start : data.find(b"\n", start + 1)]
        at = line.find(b"sip:")
        code = line[at + 4 : at + 24]
        if at >= 0 and len(code) == 20 and code.isdigit() and code != own:
            return code.decode()
    return None
