"""A SIP end without sockets or clocks: transactions, calls and subscriptions as one machine.

It serves both ends: a platform, a lower platform in a cascade and a simulated device run the same one. One endpoint may
speak for any number of users (each request names its own `local`); it keeps nothing for a user or peer that is silent.

    endpoint.receive(data, peer, now)
    for event in endpoint.events(): ...
    for data, peer in endpoint.to_send(now): ...
    wake_at = endpoint.timer()               # then endpoint.tick(now)
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Generic

from anwang.kernel.errors import WireError
from anwang.wire.sip.calls import Calls, CallState
from anwang.wire.sip.dialogs import DialogNames, compose
from anwang.wire.sip.events import Acked, Answered, Asked, Cancelled, Event, Refused, Stray, Unanswered
from anwang.wire.sip.message import Message, Request
from anwang.wire.sip.network import Network, P
from anwang.wire.sip.subscriptions import Subscriptions, SubscriptionState
from anwang.wire.sip.transactions import Counters, Credentials, Transactions
from anwang.wire.sip.values import Address, EventType, Uri

ALLOW: Final = "INVITE, ACK, INFO, CANCEL, BYE, OPTIONS, MESSAGE, REGISTER, SUBSCRIBE, NOTIFY"
#: what `Asked` may bring to the owner; the rest is answered here
_FOR_OWNER: Final = frozenset({"REGISTER", "MESSAGE"})
#: event packages of GB/T 28181 as devices write them
PACKAGES: Final = ("presence", "Catalog", "Alarm", "MobilePosition", "PTZPosition")


class Endpoint(Generic[P]):
    """The machine. network: who peers are. For the other settings see `Transactions`.

    packages: event packages that may be subscribed to here. max_calls, max_subscriptions: open ones, and what ended
    less than 32 s ago. OPTIONS, BYE, refreshes and requests outside their dialogs are answered here; whatever is an
    event has to be answered by the owner.
    """

    def __init__(
        self,
        network: Network[P],
        *,
        noise: Callable[[int], bytes] = os.urandom,
        credentials: Credentials | None = None,
        packages: tuple[str, ...] = PACKAGES,
        max_answers: int = 65536,
        max_open: int = 65536,
        max_queue: int = 65536,
        max_calls: int = 20_000,
        max_subscriptions: int = 20_000,
    ) -> None:
        self._transactions: Transactions[P] = Transactions(
            network,
            noise=noise,
            credentials=credentials,
            max_answers=max_answers,
            max_open=max_open,
            max_queue=max_queue,
        )
        self._max_queue = max_queue
        self._events: deque[Event[P]] = deque()
        self._calls: Calls[P] = Calls(self._transactions, self._events, max_calls)
        self._subscriptions: Subscriptions[P] = Subscriptions(
            self._transactions, self._events, packages, max_subscriptions
        )

    # ---- the driver's side

    def receive(self, data: bytes, peer: P, now: float) -> None:
        """One datagram, or one message that a StreamFramer has cut out. Never raises."""
        if len(self._events) >= self._max_queue:
            self.counters.received += 1
            self.counters.refused += 1
            return
        self._transactions.receive(data, peer, now)
        self._sort(now)

    def receive_message(self, message: Message, peer: P, now: float) -> None:
        """The same for a message that is parsed already."""
        self._transactions.receive_message(message, peer, now)
        self._sort(now)

    def turn_away(self, data: bytes, peer: P, status: int, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Answer a request that is not taken, without keeping anything of it. Never raises."""
        self._transactions.turn_away(data, peer, status, headers)

    def tick(self, now: float) -> None:
        """Do what is due. Harmless at any time."""
        self._transactions.tick(now)
        self._calls.tick(now)
        self._subscriptions.tick(now)
        self._sort(now)

    def timer(self) -> float | None:
        """When to call `tick` next, None where nothing waits."""
        found = (self._transactions.timer(), self._calls.timer(), self._subscriptions.timer())
        return min((one for one in found if one is not None), default=None)

    def to_send(self, now: float) -> Iterator[tuple[bytes, P]]:
        """What goes out, in order; each is given once."""
        return self._transactions.to_send(now)

    def events(self) -> Iterator[Event[P]]:
        """What happened, in order; each is given once."""
        while self._events:
            yield self._events.popleft()

    def lost(self, peer: P, now: float) -> None:
        """A connection is gone, with all that ran over it."""
        self._transactions.lost(peer, now)
        self._sort(now)
        self._calls.lost(peer, now)
        self._subscriptions.lost(peer, now)

    @property
    def counters(self) -> Counters:
        """Counts since the start."""
        return self._transactions.counters

    @property
    def open_count(self) -> int:
        """Transactions in progress, both ways."""
        return self._transactions.open_count

    @property
    def call_count(self) -> int:
        """Calls that are not over."""
        return len(self._calls)

    def token(self) -> str:
        """A fresh name of 64 random bits, for a Call-ID or a tag."""
        return self._transactions.token()

    # ---- requests outside dialogs

    def request(self, request: Request, peer: P, now: float) -> int:
        """Send a request that has all but its Via; `Answered` or `Unanswered` follows. Raises Exhausted."""
        return self._transactions.request(request, peer, now)

    def ask(
        self,
        method: str,
        *,
        local: Uri,
        remote: Uri,
        peer: P,
        now: float,
        target: Uri | None = None,
        headers: Iterable[tuple[str, str]] = (),
        content_type: str = "",
        body: bytes = b"",
    ) -> int:
        """A MESSAGE or the like from one of our users. target: the Request-URI, where it isn't `remote`."""
        request = compose(
            method,
            target or remote,
            from_=Address(local, (("tag", self.token()),)),
            to=Address(remote),
            call_id=self.token(),
            cseq=1,
            headers=headers,
            content_type=content_type,
            body=body,
        )
        return self._transactions.request(request, peer, now)

    def reply(
        self,
        transaction: int,
        status: int,
        now: float,
        *,
        reason: str = "",
        headers: Iterable[tuple[str, str]] = (),
        content_type: str = "",
        body: bytes = b"",
    ) -> None:
        """Answer an `Asked` or `Notified`. Raises Conflict where it is answered already, or too old."""
        self._transactions.reply(
            transaction, status, now, reason=reason, headers=headers, content_type=content_type, body=body
        )

    # ---- calls

    def invite(
        self,
        *,
        local: Uri,
        remote: Uri,
        peer: P,
        now: float,
        body: bytes,
        target: Uri | None = None,
        headers: Iterable[tuple[str, str]] = (),
        content_type: str = "application/sdp",
    ) -> int:
        """Call someone; returns the call. Put `Subject` into headers. Raises Exhausted."""
        return self._calls.invite(
            local=local,
            remote=remote,
            target=target or remote,
            peer=peer,
            now=now,
            headers=headers,
            content_type=content_type,
            body=body,
        )

    def ask_in_call(
        self,
        call: int,
        method: str,
        now: float,
        *,
        headers: Iterable[tuple[str, str]] = (),
        content_type: str = "",
        body: bytes = b"",
    ) -> int:
        """INFO or MESSAGE inside a call that stands; returns the transaction. Raises NotFound, Conflict, Exhausted."""
        return self._calls.ask(call, method, now, headers=headers, content_type=content_type, body=body)

    def progress(self, call: int, now: float, status: int = 180) -> None:
        """A provisional answer to `Invited`. Raises NotFound, Conflict."""
        self._calls.progress(call, status, now)

    def accept(
        self,
        call: int,
        now: float,
        *,
        body: bytes,
        content_type: str = "application/sdp",
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Take a call; `Confirmed` follows, or `Ended` where no ACK comes. Raises NotFound, Conflict."""
        self._calls.accept(call, now, body=body, content_type=content_type, headers=headers)

    def reject(
        self, call: int, status: int, now: float, *, reason: str = "", headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Refuse a call. Raises NotFound, Conflict."""
        self._calls.reject(call, status, now, reason=reason, headers=headers)

    def hang_up(self, call: int, now: float) -> None:
        """End a call in whatever state; `Ended` follows once it is over on the wire. Raises NotFound."""
        self._calls.hang_up(call, now)

    def call_state(self, call: int) -> CallState:
        """Where a call is."""
        return self._calls.state(call)

    def call_id(self, call: int) -> str:
        """The Call-ID of a call. Raises NotFound."""
        return self._calls.call_id(call)

    def dialog_of(self, call: int) -> DialogNames:
        """What another process would need to end it. Raises NotFound."""
        return self._calls.names(call)

    def end_left(self, names: DialogNames, peer: P, now: float) -> None:
        """BYE to a call that another process left; its answer changes nothing. Raises WireError, Exhausted."""
        self._calls.end_left(names, peer, now)

    def find_call(self, call_id: str) -> int:
        """The open call of a Call-ID, 0 where there is none."""
        return self._calls.find(call_id)

    # ---- subscriptions

    def subscribe(
        self,
        *,
        local: Uri,
        remote: Uri,
        peer: P,
        now: float,
        event: EventType,
        body: bytes,
        expires_s: int,
        target: Uri | None = None,
        content_type: str = "Application/MANSCDP+xml",
        headers: Iterable[tuple[str, str]] = (),
    ) -> int:
        """Ask to be told; returns the subscription, which refreshes itself until it ends. Raises Exhausted."""
        return self._subscriptions.subscribe(
            local=local,
            remote=remote,
            target=target or remote,
            peer=peer,
            now=now,
            event=event,
            expires_s=expires_s,
            headers=headers,
            content_type=content_type,
            body=body,
        )

    def unsubscribe(self, subscription: int, now: float, peer: P | None = None) -> None:
        """Ask no longer; `SubscriptionEnded` follows. peer: where the other side is now, if it has moved.

        Raises NotFound, Conflict.
        """
        self._subscriptions.unsubscribe(subscription, now, peer)

    def accept_subscription(
        self,
        subscription: int,
        now: float,
        *,
        expires_s: int | None = None,
        content_type: str = "",
        body: bytes = b"",
    ) -> None:
        """Take a subscriber, for at most expires_s. body: only for those who expect one (≤2016).

        Raises NotFound, Conflict.
        """
        self._subscriptions.accept(subscription, now, expires_s, content_type, body)

    def reject_subscription(self, subscription: int, status: int, now: float) -> None:
        """Refuse a subscriber. Raises NotFound, Conflict."""
        self._subscriptions.reject(subscription, status, now)

    def notify(
        self, subscription: int, now: float, *, body: bytes, content_type: str = "Application/MANSCDP+xml"
    ) -> int:
        """Tell a subscriber; returns the transaction. Wait for its answer before the next.

        Raises NotFound, Conflict.
        """
        return self._subscriptions.notify(subscription, now, content_type, body)

    def end_subscription(self, subscription: int, now: float, reason: str = "deactivated") -> None:
        """Tell a subscriber that it is over. Raises NotFound, Conflict."""
        self._subscriptions.finish(subscription, now, reason)

    def subscription_state(self, subscription: int) -> SubscriptionState:
        """Where a subscription is."""
        return self._subscriptions.state(subscription)

    # ---- inside

    def _sort(self, now: float) -> None:
        for event in self._transactions.events():
            try:
                self._take(event, now)
            except WireError:
                self.counters.malformed += 1

    def _take(self, event: object, now: float) -> None:
        match event:
            case Asked():
                if not (self._calls.asked(event, now) or self._subscriptions.asked(event, now)):
                    self._asked(event, now)
            case Answered():
                if not (self._calls.answered(event, now) or self._subscriptions.answered(event, now)):
                    self._events.append(event)
            case Unanswered():
                if not (self._calls.unanswered(event, now) or self._subscriptions.unanswered(event, now)):
                    self._events.append(event)
            case Acked():
                self._calls.acked(event, now)
            case Cancelled():
                self._calls.cancelled(event, now)
            case Stray():
                self._calls.stray(event, now)
            case _:
                self._events.append(event)  # type: ignore[arg-type]

    def _asked(self, event: Asked[P], now: float) -> None:
        method = event.request.method
        if method == "OPTIONS":
            self._transactions.reply(event.transaction, 200, now, headers=(("Allow", ALLOW),))
        elif method in {"INFO", "BYE"}:
            self._transactions.reply(event.transaction, 481, now)
            if method == "INFO":  # a BYE for what is over is no fault: both sides may hang up at once
                self._events.append(Refused(event.request, event.peer, 481))
        elif method in _FOR_OWNER:
            self._events.append(event)
        else:
            self._transactions.reply(event.transaction, 405, now, headers=(("Allow", ALLOW),))
            self._events.append(Refused(event.request, event.peer, 405))
