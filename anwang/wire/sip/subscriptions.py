"""SUBSCRIBE and NOTIFY of both ends (RFC 6665): the part of an `Endpoint` that knows about subscriptions.

As subscriber we refresh at 80 % of what was granted, with the same body. As notifier we answer refreshes and end what
expires. A NOTIFY may come before the 200 to its SUBSCRIBE. Send one NOTIFY at a time: the next after the answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Final, Generic

from anwang.kernel.errors import Conflict, Exhausted, NotFound, WireError
from anwang.wire.sip.dialogs import Dialog
from anwang.wire.sip.events import (
    Answered,
    Asked,
    Cause,
    Event,
    Notified,
    Refreshed,
    Refused,
    SubscribeAsked,
    Subscribed,
    SubscriptionEnded,
    Unanswered,
)
from anwang.wire.sip.message import Request, Response
from anwang.wire.sip.network import P, contact
from anwang.wire.sip.routes import Routes
from anwang.wire.sip.timers import Timers
from anwang.wire.sip.transactions import PATIENCE, Transactions
from anwang.wire.sip.values import Address, EventType, Uri, param, parse_params, seconds, split_outside

#: what a subscriber gets where it asks for nothing (GB/T 28181: 600 s for the catalog)
DEFAULT_EXPIRES: Final = 600
#: answers to NOTIFY or a refresh that end the subscription (RFC 6665 4.1.2.2, 4.2.2; RFC 5057)
FATAL: Final = frozenset({404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604})


class SubscriptionState(StrEnum):
    """Where a subscription is, on either side."""

    PENDING = "pending"
    ACTIVE = "active"
    ENDING = "ending"
    ENDED = "ended"


class _Subscription(Generic[P]):
    __slots__ = (
        "body", "content_type", "dialog", "event", "expires_at", "expires_s", "headers", "id", "is_ours", "state",
        "transaction",
    )  # fmt: skip

    def __init__(self, number: int, dialog: Dialog[P], event: str, expires_s: int, *, is_ours: bool) -> None:
        self.id = number
        self.dialog = dialog
        self.event = event
        self.expires_s = expires_s
        self.is_ours = is_ours
        self.state = SubscriptionState.PENDING
        self.expires_at = 0.0
        self.transaction = 0
        self.content_type = ""
        self.body = b""
        self.headers: tuple[tuple[str, str], ...] = ()


class Subscriptions(Generic[P]):
    """All subscriptions of an endpoint. packages: event packages we notify about, in lower case; empty means none."""

    def __init__(
        self,
        transactions: Transactions[P],
        events: deque[Event[P]],
        packages: tuple[str, ...],
        max_subscriptions: int,
    ) -> None:
        self._transactions = transactions
        self._events = events
        self._packages = packages
        self._known = frozenset(package.lower() for package in packages)
        self._max = max_subscriptions
        self._made = 0
        self._all: dict[int, _Subscription[P]] = {}
        self._dialogs: dict[tuple[str, str], _Subscription[P]] = {}
        self._running: dict[int, _Subscription[P]] = {}
        self._over: Routes[P] = Routes()
        self._timers: Timers[int] = Timers()

    def __len__(self) -> int:
        return len(self._all)

    # ---- subscriber

    def subscribe(
        self,
        *,
        local: Uri,
        remote: Uri,
        target: Uri,
        peer: P,
        now: float,
        event: EventType,
        expires_s: int,
        headers: Iterable[tuple[str, str]],
        content_type: str,
        body: bytes,
    ) -> int:
        """Ask to be told. Raises Exhausted."""
        self._make_room()
        transactions = self._transactions
        tag, call_id = transactions.token(), transactions.token()
        dialog = Dialog(call_id, Address(local, (("tag", tag),)), Address(remote), str(target), peer)
        own = self._add(dialog, str(event), expires_s, is_ours=True)
        own.content_type, own.body, own.headers = content_type, body, tuple(headers)
        self._ask(own, expires_s, now)
        return own.id

    def unsubscribe(self, number: int, now: float, peer: P | None = None) -> None:
        """Ask no longer. peer: where the other side is now, if it has moved. Raises NotFound."""
        own = self._live(number)
        if peer is not None:
            self._moved(own, peer)
        if not own.is_ours:
            raise Conflict(f"subscription {number} is the other side's")
        if own.state is SubscriptionState.ENDING:
            return
        own.state = SubscriptionState.ENDING
        self._timers.drop(own.id)
        if own.dialog.remote.tag:
            self._ask(own, 0, now)
        # else: the SUBSCRIBE is unanswered; its answer, when it comes, is followed by the end

    # ---- notifier

    def accept(self, number: int, now: float, expires_s: int | None, content_type: str, body: bytes) -> None:
        """Answer 200 to a subscriber, for at most what it asked. Raises NotFound, Conflict."""
        theirs = self._expect(number)
        granted = theirs.expires_s if expires_s is None else min(expires_s, theirs.expires_s)
        self._grant(theirs, theirs.transaction, granted, now, content_type, body)

    def reject(self, number: int, status: int, now: float) -> None:
        """Answer 4xx to 6xx to a subscriber. Raises NotFound, Conflict."""
        theirs = self._expect(number)
        self._transactions.reply(theirs.transaction, status, now, to_tag=theirs.dialog.local.tag)
        self._forget(theirs)

    def notify(self, number: int, now: float, content_type: str, body: bytes) -> int:
        """Tell a subscriber. Returns the transaction; its answer comes as an event. Raises NotFound, Conflict."""
        theirs = self._live(number)
        if theirs.is_ours or theirs.state is not SubscriptionState.ACTIVE:
            raise Conflict(f"subscription {number} has nobody to tell")
        left = max(0, round(theirs.expires_at - now))
        return self._notify(theirs, f"active;expires={left}", now, content_type, body)

    def finish(self, number: int, now: float, reason: str) -> None:
        """End a subscriber's subscription from our side. Raises NotFound, Conflict."""
        theirs = self._live(number)
        if theirs.is_ours:
            raise Conflict(f"subscription {number} is ours: unsubscribe")
        if theirs.state is SubscriptionState.PENDING:
            self.reject(number, 480, now)
            return
        self._notify(theirs, f"terminated;reason={reason}", now, "", b"")
        self._end(theirs, Cause.LOCAL, now, reason)

    # ---- what the transactions tell; True where it was for a subscription

    def asked(self, event: Asked[P], now: float) -> bool:
        """SUBSCRIBE or NOTIFY."""
        request = event.request
        if request.method not in {"SUBSCRIBE", "NOTIFY"}:
            return False
        tag = request.to.tag
        found = self._dialogs.get((request.call_id, tag)) if tag else None
        if request.method == "NOTIFY":
            if found is None or not found.is_ours:
                self._refuse(event, 481, now)
            else:
                self._notified(found, event, now)
        elif found is not None and not found.is_ours and found.state is not SubscriptionState.ENDED:
            self._refreshed(found, event, now)
        elif tag:
            self._refuse(event, 481, now)
        else:
            self._subscribe_asked(event, now)
        return True

    def answered(self, event: Answered[P], now: float) -> bool:
        """A response to a SUBSCRIBE or NOTIFY of ours."""
        found = self._running.get(event.transaction)
        if found is None:
            return False
        response = event.response
        if not response.is_final:
            return True
        del self._running[event.transaction]
        if event.request.method == "NOTIFY":
            self._events.append(replace(event, subscription=found.id))
            if response.status in FATAL:
                self._end(found, Cause.REJECTED, now, "", response)
        elif response.is_ok:
            self._granted(found, event, now)
        elif found.state is SubscriptionState.ENDING:
            self._end(found, Cause.LOCAL, now, "", response)
        else:
            self._end(found, Cause.REJECTED, now, response.reason, response)
        return True

    def unanswered(self, event: Unanswered[P], now: float) -> bool:
        """Nobody answered a SUBSCRIBE or NOTIFY of ours: that ends it."""
        found = self._running.pop(event.transaction, None)
        if found is None:
            return False
        if event.request.method == "NOTIFY":
            self._events.append(replace(event, subscription=found.id))
        cause = Cause.LOST if event.is_lost else Cause.TIMEOUT
        self._end(found, Cause.LOCAL if found.state is SubscriptionState.ENDING else cause, now)
        return True

    # ---- time and connections

    def tick(self, now: float) -> None:
        """Refresh ours, end theirs that have expired, forget what is long over."""
        for number in self._timers.due(now):
            found = self._all[number]
            if found.state is SubscriptionState.ENDED:
                self._forget(found)
            elif found.is_ours:
                self._ask(found, found.expires_s, now)
            elif found.state is SubscriptionState.ACTIVE:
                self._notify(found, "terminated;reason=timeout", now, "", b"")
                self._end(found, Cause.EXPIRED, now, "timeout")
            else:
                self._forget(found)  # nobody answered the SUBSCRIBE

    def timer(self) -> float | None:
        """When to call `tick` next."""
        return self._timers.next()

    def lost(self, peer: P, now: float) -> None:
        """A connection is gone: subscriptions over it are over."""
        for number in self._over.over(peer):
            self._end(self._all[number], Cause.LOST, now)

    def state(self, number: int) -> SubscriptionState:
        """Where it is; ENDED for one that is forgotten."""
        found = self._all.get(number)
        return found.state if found else SubscriptionState.ENDED

    # ---- inside: subscriber

    def _ask(self, own: _Subscription[P], expires_s: int, now: float) -> None:
        dialog = own.dialog
        network = self._transactions.network
        headers = (
            ("Contact", f"<{contact(network, dialog.peer, dialog.local.uri.user)}>"),
            ("Event", own.event),
            ("Expires", str(expires_s)),
            *own.headers,
        )
        request = dialog.request("SUBSCRIBE", headers=headers, content_type=own.content_type, body=own.body)
        transaction = self._transactions.request(request, dialog.peer, now, dialog.next_cseq)
        self._running[transaction] = own

    def _granted(self, own: _Subscription[P], event: Answered[P], now: float) -> None:
        response = event.response
        own.dialog.answered(response)
        self._moved(own, event.peer)
        if own.state is SubscriptionState.ENDED:
            return
        if own.state is SubscriptionState.ENDING:
            if seconds(event.request.headers.get("Expires")):
                self._ask(own, 0, now)  # it was given up while its answer was under way
            else:
                self._end(own, Cause.LOCAL, now, "", response)
            return
        granted = seconds(response.headers.get("Expires")) if response.headers.has("Expires") else own.expires_s
        if not granted:
            self._end(own, Cause.REMOTE, now, "no time granted", response)
            return
        own.state = SubscriptionState.ACTIVE
        self._plan_refresh(own, granted, now)
        self._events.append(Subscribed(own.id, granted, response))

    def _plan_refresh(self, own: _Subscription[P], granted: int, now: float) -> None:
        own.expires_at = now + granted
        self._timers.set(own.id, now + 0.8 * granted)

    def _notified(self, own: _Subscription[P], event: Asked[P], now: float) -> None:
        request = event.request
        word, *parts = split_outside(request.headers.get("Subscription-State"), ";")
        state, params = word.strip().lower(), parse_params(parts)
        if own.state in {SubscriptionState.ENDED, SubscriptionState.ENDING} and state == "terminated":
            self._transactions.reply(event.transaction, 200, now)
            if own.state is SubscriptionState.ENDING:
                self._end(own, Cause.LOCAL, now, param(params, "reason") or "", request)
            return
        if own.state is SubscriptionState.ENDED:
            self._refuse(event, 481, now)
            return
        self._moved(own, event.peer)
        if not own.dialog.remote.tag:
            own.dialog.remote = request.from_  # it came before the 200
        self._events.append(Notified(own.id, event.transaction, request, event.peer, state))
        left = seconds(param(params, "expires"))
        if state == "terminated":
            self._end(own, Cause.REMOTE, now, param(params, "reason") or "", request)
        elif left and own.state is SubscriptionState.ACTIVE and now + left < own.expires_at - 1:
            self._plan_refresh(own, left, now)  # the notifier has shortened it

    def _refuse(self, event: Asked[P], status: int, now: float) -> None:
        self._transactions.reply(event.transaction, status, now)
        self._events.append(Refused(event.request, event.peer, status))

    # ---- inside: notifier

    def _subscribe_asked(self, event: Asked[P], now: float) -> None:
        request, reply = event.request, self._transactions.reply
        if not request.headers.has("Event"):
            reply(event.transaction, 400, now, reason="No Event")
            return
        try:
            package = EventType.parse(request.headers.get("Event"))
        except WireError:
            reply(event.transaction, 400, now, reason="Broken Event")
            return
        if package.package.lower() not in self._known:
            reply(event.transaction, 489, now, headers=(("Allow-Events", ", ".join(self._packages)),))
            self._events.append(Refused(request, event.peer, 489))
            return
        asked = request.expires
        if asked == 0:
            reply(event.transaction, 200, now, headers=(("Expires", "0"),))  # the end of what we don't know
            return
        try:
            self._make_room()
        except Exhausted:
            reply(event.transaction, 503, now)
            return
        dialog = Dialog.of_request(request, self._transactions.token(), event.peer)
        expires_s = DEFAULT_EXPIRES if asked is None else asked
        theirs = self._add(dialog, request.headers.get("Event"), expires_s, is_ours=False)
        theirs.transaction = event.transaction
        self._timers.set(theirs.id, now + PATIENCE)
        self._events.append(SubscribeAsked(theirs.id, request, event.peer, package, expires_s))

    def _refreshed(self, theirs: _Subscription[P], event: Asked[P], now: float) -> None:
        request = event.request
        if theirs.state is SubscriptionState.PENDING:
            self._transactions.reply(event.transaction, 491, now)
            return
        self._moved(theirs, event.peer)
        asked = request.expires
        if asked == 0:
            self._transactions.reply(
                event.transaction, 200, now, headers=(("Expires", "0"), ("Contact", self._reach(theirs)))
            )
            self._notify(theirs, "terminated;reason=timeout", now, "", b"")
            self._end(theirs, Cause.REMOTE, now, "", request)
            return
        granted = theirs.expires_s if asked is None else asked
        self._grant(theirs, event.transaction, granted, now, "", b"")
        self._events.append(Refreshed(theirs.id, granted, request))

    def _grant(
        self, theirs: _Subscription[P], transaction: int, granted: int, now: float, content_type: str, body: bytes
    ) -> None:
        self._transactions.reply(
            transaction,
            200,
            now,
            to_tag=theirs.dialog.local.tag,
            headers=(("Expires", str(granted)), ("Contact", self._reach(theirs))),
            content_type=content_type,
            body=body,
        )
        theirs.expires_s = granted
        theirs.expires_at = now + granted
        theirs.state = SubscriptionState.ACTIVE
        self._timers.set(theirs.id, theirs.expires_at)

    def _notify(self, theirs: _Subscription[P], state: str, now: float, content_type: str, body: bytes) -> int:
        dialog = theirs.dialog
        headers = (("Contact", self._reach(theirs)), ("Event", theirs.event), ("Subscription-State", state))
        request = dialog.request("NOTIFY", headers=headers, content_type=content_type, body=body)
        transaction = self._transactions.request(request, dialog.peer, now, dialog.next_cseq)
        self._running[transaction] = theirs
        return transaction

    # ---- inside: both

    def _reach(self, found: _Subscription[P]) -> str:
        return f"<{contact(self._transactions.network, found.dialog.peer, found.dialog.local.uri.user)}>"

    def _add(self, dialog: Dialog[P], event: str, expires_s: int, *, is_ours: bool) -> _Subscription[P]:
        self._made += 1
        found = _Subscription(self._made, dialog, event, expires_s, is_ours=is_ours)
        self._all[found.id] = self._dialogs[dialog.call_id, dialog.local.tag] = found
        self._over.put(found.id, dialog.peer)
        return found

    def _moved(self, found: _Subscription[P], peer: P) -> None:
        """The other side speaks from another address or over another connection."""
        if found.dialog.peer != peer:
            self._over.drop(found.id, found.dialog.peer)
            found.dialog.peer = peer
            if found.state is not SubscriptionState.ENDED:
                self._over.put(found.id, peer)

    def _make_room(self) -> None:
        if len(self._all) >= self._max:
            over = next((one for one in self._all.values() if one.state is SubscriptionState.ENDED), None)
            if over is None:
                raise Exhausted(f"{self._max} subscriptions are open")
            self._forget(over)

    def _end(
        self,
        found: _Subscription[P],
        cause: Cause,
        now: float,
        reason: str = "",
        message: Request | Response | None = None,
    ) -> None:
        if found.state is SubscriptionState.ENDED:
            return
        found.state = SubscriptionState.ENDED
        self._over.drop(found.id, found.dialog.peer)
        self._timers.set(found.id, now + PATIENCE)
        self._events.append(SubscriptionEnded(found.id, cause, reason, message))

    def _forget(self, found: _Subscription[P]) -> None:
        self._timers.drop(found.id)
        self._over.drop(found.id, found.dialog.peer)
        self._all.pop(found.id, None)
        self._dialogs.pop((found.dialog.call_id, found.dialog.local.tag), None)

    def _live(self, number: int) -> _Subscription[P]:
        found = self._all.get(number)
        if found is None or found.state is SubscriptionState.ENDED:
            raise NotFound(f"subscription {number} is over or never was")
        return found

    def _expect(self, number: int) -> _Subscription[P]:
        theirs = self._live(number)
        if theirs.is_ours or theirs.state is not SubscriptionState.PENDING:
            raise Conflict(f"subscription {number} is {theirs.state}")
        return theirs
