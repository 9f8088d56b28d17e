"""Calls to the devices of one socket: the full SIP machine and real media, for those who are invited."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from random import Random

from anwang.democity.devices.calls import Calls, Platform, Way, user_of
from anwang.democity.devices.device import Simulated
from anwang.democity.devices.wheel import Wheel
from anwang.democity.pictures import Library
from anwang.kernel.errors import WireError
from anwang.runtime.clock import Clock
from anwang.wire import gb28181 as gb
from anwang.wire import sip


class Desk:
    """Implements sip.Network for its one peer, the platform. mind_of: the device of a code, None where it is nobody's.

    send: bytes to the platform. address: ours, as the platform sees it.
    """

    def __init__(
        self,
        platform: Platform,
        way: Way,
        library: Library,
        wheel: Wheel,
        clock: Clock,
        rng: Random,
        *,
        mind_of: Callable[[str], Simulated | None],
        send: Callable[[bytes], None],
        address: Callable[[], tuple[str, int]],
        spawn: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self._way, self._wheel = way, wheel
        self._mind_of, self._send, self._address = mind_of, send, address
        self._endpoint: sip.Endpoint[Way] = sip.Endpoint(self, packages=("presence", "Catalog", "Alarm"))
        self._timer_at: float | None = None
        self._is_flushing = False
        self.calls = Calls(self._endpoint, platform, library, wheel, clock, rng, spawn=spawn, flush=self.flush)

    # ---- sip.Network

    def is_reliable(self, peer: Way) -> bool:
        """See sip.Network."""
        return peer.transport == "TCP"

    def transport(self, peer: Way) -> str:
        """See sip.Network."""
        return peer.transport

    def local(self, peer: Way) -> tuple[str, int]:
        """See sip.Network."""
        return self._address()

    def source(self, peer: Way) -> tuple[str, int]:
        """See sip.Network."""
        return peer.host, peer.port

    # ---- messages

    def receive(self, data: bytes) -> None:
        """One message that belongs to calls or subscriptions."""
        self._endpoint.receive(data, self._way, self._wheel.now())
        self.flush()

    def flush(self) -> None:
        """Handle what the machine says, and send what it has to send."""
        if self._is_flushing:
            return
        self._is_flushing = True
        now = self._wheel.now()
        try:
            for event in self._endpoint.events():
                self._handle(event, now)
            for data, _ in self._endpoint.to_send(now):
                self._send(data)
        finally:
            self._is_flushing = False
        due = self._endpoint.timer()
        if due is not None and (self._timer_at is None or due < self._timer_at):
            self._timer_at = due
            self._wheel.at(due, self._tick)

    def lost(self) -> None:
        """The connection is gone."""
        self._endpoint.lost(self._way, self._wheel.now())
        self.flush()

    def _tick(self, now: float) -> None:
        self._timer_at = None
        self._endpoint.tick(now)
        self.flush()

    def _handle(self, event: sip.Event[Way], now: float) -> None:
        match event:
            case sip.Invited():
                self.calls.invited(event, self._mind_of(user_of(event.request)), now)
            case sip.Confirmed(call=call):
                self.calls.confirmed(call)
            case sip.Ended(call=call):
                self.calls.end(call)
            case sip.Asked():
                if not (event.request.method == "INFO" and self.calls.controlled(event, now)):
                    self._endpoint.reply(event.transaction, 405, now)
            case sip.SubscribeAsked():
                self._subscribed(event, now)
            case _:
                pass

    def _subscribed(self, asked: sip.SubscribeAsked[Way], now: float) -> None:
        """Taken, for nothing ever changes here by itself."""
        try:
            message = gb.parse(asked.request.body) if asked.request.body else None
        except WireError:
            message = None
        if isinstance(message, gb.CatalogQuery | gb.AlarmQuery):
            self._endpoint.accept_subscription(asked.subscription, now)
        else:
            self._endpoint.reject_subscription(asked.subscription, 489, now)
