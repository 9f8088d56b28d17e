"""INVITE sessions of both ends (RFC 3261 13 to 15): the part of an `Endpoint` that knows about calls.

A 2xx is acknowledged at once and always; who dislikes its SDP hangs up. A call that was given up and accepted at the
same moment is acknowledged and ended. What is over is remembered for 32 s, so that late answers still find their end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from typing import Final, Generic

from anwang.kernel.errors import Conflict, Exhausted, NotFound, WireError
from anwang.wire.sip.dialogs import Dialog, DialogNames, compose
from anwang.wire.sip.events import (
    Accepted,
    Acked,
    Answered,
    Asked,
    Cancelled,
    Cause,
    Confirmed,
    Ended,
    Event,
    Invited,
    Progress,
    Stray,
    Unanswered,
)
from anwang.wire.sip.message import Request, Response
from anwang.wire.sip.network import P, contact
from anwang.wire.sip.routes import Routes
from anwang.wire.sip.timers import Timers
from anwang.wire.sip.transactions import PATIENCE, RINGING, T1, T2, Transactions
from anwang.wire.sip.values import Address, Uri


class CallState(StrEnum):
    """Where a call is. The first three are ours to be answered, INVITED and ACCEPTED the other side's."""

    CALLING = "calling"
    PROCEEDING = "proceeding"
    CANCELLING = "cancelling"
    INVITED = "invited"
    ACCEPTED = "accepted"
    TALKING = "talking"
    ENDING = "ending"
    ENDED = "ended"


class _Call(Generic[P]):
    __slots__ = ("ack", "dialog", "id", "interval", "is_ending", "ok", "ok_until", "request", "state", "transaction")

    def __init__(self, number: int, dialog: Dialog[P], state: CallState, request: Request, transaction: int) -> None:
        self.id = number
        self.dialog = dialog
        self.state = state
        self.request = request
        self.transaction = transaction
        self.ack = b""
        self.ok = b""
        self.ok_until = 0.0
        self.interval = T1
        #: hang up as soon as the ACK has come (RFC 3261 15: the called side may not send BYE before)
        self.is_ending = False


#: methods that live inside a call
IN_CALL: Final = frozenset({"INFO", "MESSAGE", "BYE", "INVITE", "OPTIONS", "UPDATE"})


class Calls(Generic[P]):
    """All calls of an endpoint, found by handle, by dialog (Call-ID and our tag) and by the transaction under way."""

    def __init__(self, transactions: Transactions[P], events: deque[Event[P]], max_calls: int) -> None:
        self._transactions = transactions
        self._events = events
        self._max = max_calls
        self._made = 0
        self._calls: dict[int, _Call[P]] = {}
        self._dialogs: dict[tuple[str, str], _Call[P]] = {}
        self._by_call_id: dict[str, _Call[P]] = {}
        self._running: dict[int, _Call[P]] = {}
        self._over: Routes[P] = Routes()
        self._timers: Timers[int] = Timers()

    def __len__(self) -> int:
        return sum(call.state is not CallState.ENDED for call in self._calls.values())

    # ---- ours

    def invite(
        self,
        *,
        local: Uri,
        remote: Uri,
        target: Uri,
        peer: P,
        now: float,
        headers: Iterable[tuple[str, str]],
        content_type: str,
        body: bytes,
    ) -> int:
        """Call someone. Raises Exhausted."""
        self._make_room()
        transactions = self._transactions
        tag, call_id = transactions.token(), transactions.token()
        dialog = Dialog(call_id, Address(local, (("tag", tag),)), Address(remote), str(target), peer, cseq=1)
        reach = Address(contact(transactions.network, peer, local.user))
        request = compose(
            "INVITE",
            target,
            from_=dialog.local,
            to=dialog.remote,
            call_id=call_id,
            cseq=1,
            headers=(("Contact", str(reach)), *headers),
            content_type=content_type,
            body=body,
        )
        transaction = transactions.request(request, peer, now, dialog.next_cseq)
        return self._add(dialog, CallState.CALLING, request, transaction).id

    def ask(
        self,
        number: int,
        method: str,
        now: float,
        *,
        headers: Iterable[tuple[str, str]] = (),
        content_type: str = "",
        body: bytes = b"",
    ) -> int:
        """A request inside a call that stands. Raises NotFound, Conflict."""
        call = self._live(number)
        if call.state is not CallState.TALKING:
            raise Conflict(f"call {number} is {call.state}")
        request = call.dialog.request(method, headers=headers, content_type=content_type, body=body)
        return self._send(call, request, now)

    def hang_up(self, number: int, now: float) -> None:
        """End a call in whatever state: CANCEL, a rejection, BYE, or BYE after the ACK. Raises NotFound."""
        call = self._live(number)
        match call.state:
            case CallState.CALLING | CallState.PROCEEDING:
                call.state = CallState.CANCELLING
                self._transactions.cancel(call.transaction, now)
            case CallState.INVITED:
                self.reject(number, 480, now)
            case CallState.ACCEPTED:
                call.is_ending = True
            case CallState.TALKING:
                self._bye(call, now)
            case _:
                pass

    # ---- theirs

    def progress(self, number: int, status: int, now: float) -> None:
        """A provisional response, such as 180. Raises NotFound, Conflict."""
        call = self._live(number)
        self._expect(call, CallState.INVITED)
        self._transactions.reply(call.transaction, status, now, to_tag=call.dialog.local.tag)

    def accept(
        self, number: int, now: float, *, body: bytes, content_type: str, headers: Iterable[tuple[str, str]]
    ) -> None:
        """Answer 200. Raises NotFound, Conflict."""
        call = self._live(number)
        self._expect(call, CallState.INVITED)
        reach = contact(self._transactions.network, call.dialog.peer, call.dialog.local.uri.user)
        call.ok = self._transactions.reply(
            call.transaction,
            200,
            now,
            to_tag=call.dialog.local.tag,
            headers=(("Contact", f"<{reach}>"), *headers),
            content_type=content_type,
            body=body,
        )
        self._running.pop(call.transaction, None)
        call.state = CallState.ACCEPTED
        call.ok_until = now + PATIENCE
        self._timers.set(call.id, now + call.interval)

    def reject(
        self, number: int, status: int, now: float, *, reason: str = "", headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Answer 3xx to 6xx. Raises NotFound, Conflict."""
        call = self._live(number)
        self._expect(call, CallState.INVITED)
        self._transactions.reply(
            call.transaction, status, now, reason=reason, to_tag=call.dialog.local.tag, headers=headers
        )
        self._end(call, Cause.LOCAL, None, now)

    # ---- what the transactions tell; True where it was for a call

    def asked(self, event: Asked[P], now: float) -> bool:
        """A request that is an INVITE or lies in a call's dialog."""
        request = event.request
        if request.method not in IN_CALL:
            return False
        tag = request.to.tag
        call = self._dialogs.get((request.call_id, tag)) if tag else None
        if call is None and not tag and request.method == "MESSAGE":
            # the end of a recording, sent under the call's Call-ID but outside its dialog
            call = self._by_call_id.get(request.call_id)
        if request.method == "INVITE":
            if call is None and not tag:
                self._invited(event, now)
            else:
                # a change of session, which GB/T 28181 has no use for; the session stays as it is
                self._transactions.reply(event.transaction, 488 if call else 481, now)
            return True
        if call is None or (call.state is CallState.ENDED and request.method != "MESSAGE"):
            if tag and request.method != "MESSAGE":
                # after both sides sent BYE the other one is answered as if it had come first
                status = 200 if call is not None and request.method == "BYE" else 481
                self._transactions.reply(event.transaction, status, now)
                return True
            return False
        if tag:  # who knows our tag has moved; anyone may copy a Call-ID
            self._moved(call, event.peer)
        if request.method == "BYE":
            self._transactions.reply(event.transaction, 200, now)
            if call.state is CallState.INVITED:
                self._terminated(call, 487, now)
            self._end(call, Cause.REMOTE, request, now)
            return True
        self._events.append(replace(event, call=call.id))
        return True

    def answered(self, event: Answered[P], now: float) -> bool:
        """A response to an INVITE, a BYE or another request in a call."""
        call = self._running.get(event.transaction)
        if call is None:
            return False
        response = event.response
        if not response.is_final:
            if call.state is CallState.CALLING:
                call.state = CallState.PROCEEDING
            if call.state is CallState.PROCEEDING:
                self._events.append(Progress(call.id, response))
            return True
        del self._running[event.transaction]
        method = event.request.method
        if method == "INVITE":
            call.request = event.request
            if response.is_ok:
                self._established(call, response, event.peer, now)
            else:
                cause = Cause.CANCELLED if call.state is CallState.CANCELLING else Cause.REJECTED
                self._end(call, cause, response, now)
        elif method == "BYE":
            self._end(call, Cause.LOCAL, response, now)
        else:
            self._events.append(replace(event, call=call.id))
            if response.status in {408, 481} and call.state is CallState.TALKING:
                self._bye(call, now)  # the dialog is gone over there (RFC 3261 12.2.1.2)
        return True

    def unanswered(self, event: Unanswered[P], now: float) -> bool:
        """No answer to a request in a call."""
        call = self._running.pop(event.transaction, None)
        if call is None:
            return False
        cause = Cause.LOST if event.is_lost else Cause.TIMEOUT
        if event.request.method == "BYE":
            self._end(call, Cause.LOCAL, None, now)
        elif event.request.method == "INVITE":
            self._end(call, Cause.CANCELLED if call.state is CallState.CANCELLING else cause, None, now)
        else:
            self._events.append(replace(event, call=call.id))
        return True

    def acked(self, event: Acked[P], now: float) -> None:
        """The ACK to a 2xx of ours."""
        call = self._dialogs.get((event.request.call_id, event.request.to.tag))
        if call is None or call.state is not CallState.ACCEPTED:
            return
        self._timers.drop(call.id)
        call.state = CallState.TALKING
        call.ok = b""
        self._events.append(Confirmed(call.id, event.request))
        if call.is_ending:
            self._bye(call, now)

    def cancelled(self, event: Cancelled[P], now: float) -> None:
        """The other side gave up before we answered."""
        call = self._running.get(event.transaction)
        if call is None or call.state is not CallState.INVITED:
            return
        self._terminated(call, 487, now)
        self._end(call, Cause.CANCELLED, event.request, now)

    def stray(self, event: Stray[P], now: float) -> None:
        """A 2xx again, or too late, or from a second place that answered."""
        response = event.response
        try:
            call = self._dialogs.get((response.call_id, response.from_.tag))
            tag = response.to.tag
            number = response.cseq.number
        except WireError:
            return
        if call is None:
            return
        if call.ack and tag == call.dialog.remote.tag:
            self._transactions.send(call.ack, call.dialog.peer)
            return
        other = Dialog(
            call.dialog.call_id, call.dialog.local, call.dialog.remote, call.dialog.target, event.peer, number
        )
        other.answered(response)
        self._transactions.tell(other.request("ACK", cseq=number), event.peer)
        self._transactions.request(other.request("BYE"), event.peer, now)

    # ---- time and connections

    def tick(self, now: float) -> None:
        """Send 2xx again, give up waiting for an ACK, forget what has long ended."""
        for number in self._timers.due(now):
            call = self._calls[number]
            if call.state is CallState.ENDED:
                del self._calls[number]
                self._dialogs.pop((call.dialog.call_id, call.dialog.local.tag), None)
                if self._by_call_id.get(call.dialog.call_id) is call:
                    del self._by_call_id[call.dialog.call_id]
            elif call.state is CallState.INVITED:
                self._terminated(call, 480, now)
                self._end(call, Cause.TIMEOUT, None, now)
            elif now >= call.ok_until:
                self._transactions.request(call.dialog.request("BYE"), call.dialog.peer, now)
                self._end(call, Cause.NO_ACK, None, now)
            else:
                self._transactions.counters.retransmitted += 1
                self._transactions.send(call.ok, call.dialog.peer)
                call.interval = min(2 * call.interval, T2)
                self._timers.set(number, min(now + call.interval, call.ok_until))

    def timer(self) -> float | None:
        """When to call `tick` next."""
        return self._timers.next()

    def lost(self, peer: P, now: float) -> None:
        """A connection is gone, and with it the calls that run over it."""
        for number in self._over.over(peer):
            self._end(self._calls[number], Cause.LOST, None, now)

    def state(self, number: int) -> CallState:
        """Where a call is; ENDED for one that is forgotten."""
        call = self._calls.get(number)
        return call.state if call else CallState.ENDED

    def find(self, call_id: str) -> int:
        """The call of a Call-ID, 0 where there is none."""
        call = self._by_call_id.get(call_id)
        return call.id if call and call.state is not CallState.ENDED else 0

    def call_id(self, number: int) -> str:
        """Its Call-ID. Raises NotFound."""
        return self._live(number).dialog.call_id

    def names(self, number: int) -> DialogNames:
        """What is to be remembered of its dialog. Raises NotFound."""
        return self._live(number).dialog.names

    def end_left(self, names: DialogNames, peer: P, now: float) -> None:
        """BYE in the dialog of a call that another process left. Raises WireError."""
        self._transactions.request(Dialog.of_names(names, peer).request("BYE"), peer, now)

    # ---- inside

    def _invited(self, event: Asked[P], now: float) -> None:
        transactions = self._transactions
        try:
            self._make_room()
        except Exhausted:
            transactions.reply(event.transaction, 486, now)
            return
        transactions.reply(event.transaction, 100, now)
        dialog = Dialog.of_request(event.request, transactions.token(), event.peer)
        call = self._add(dialog, CallState.INVITED, event.request, event.transaction)
        self._timers.set(call.id, now + RINGING - 1)
        self._events.append(Invited(call.id, event.request, event.peer))

    def _established(self, call: _Call[P], response: Response, peer: P, now: float) -> None:
        dialog = call.dialog
        dialog.answered(response)
        self._moved(call, peer)
        number = call.request.cseq.number
        dialog.cseq = max(dialog.cseq, number)
        call.ack = self._transactions.tell(dialog.request("ACK", cseq=number), peer)
        if call.state is CallState.CANCELLING:
            self._bye(call, now)
        else:
            call.state = CallState.TALKING
            self._events.append(Accepted(call.id, response, peer))

    def _bye(self, call: _Call[P], now: float) -> None:
        call.state = CallState.ENDING
        self._send(call, call.dialog.request("BYE"), now)

    def _send(self, call: _Call[P], request: Request, now: float) -> int:
        transaction = self._transactions.request(request, call.dialog.peer, now, call.dialog.next_cseq)
        self._running[transaction] = call
        return transaction

    def _add(self, dialog: Dialog[P], state: CallState, request: Request, transaction: int) -> _Call[P]:
        self._made += 1
        call = _Call(self._made, dialog, state, request, transaction)
        self._calls[call.id] = self._dialogs[dialog.call_id, dialog.local.tag] = call
        self._by_call_id[dialog.call_id] = self._running[transaction] = call
        self._over.put(call.id, dialog.peer)
        return call

    def _moved(self, call: _Call[P], peer: P) -> None:
        """The other side speaks from another address or over another connection."""
        if call.dialog.peer != peer:
            self._over.drop(call.id, call.dialog.peer)
            call.dialog.peer = peer
            if call.state is not CallState.ENDED:
                self._over.put(call.id, peer)

    def _terminated(self, call: _Call[P], status: int, now: float) -> None:
        """The last word on an INVITE that was not accepted; it may have had it already."""
        with suppress(Conflict):
            self._transactions.reply(call.transaction, status, now, to_tag=call.dialog.local.tag)

    def _make_room(self) -> None:
        if len(self._calls) < self._max:
            return
        # what is over gives way first: the oldest one
        for number, call in self._calls.items():
            if call.state is CallState.ENDED:
                self._timers.set(number, float("-inf"))
                self.tick(float("-inf"))
                return
        raise Exhausted(f"{self._max} calls are open")

    def _end(self, call: _Call[P], cause: Cause, message: Request | Response | None, now: float) -> None:
        if call.state is CallState.ENDED:
            return
        was_ending = call.state is CallState.ENDING
        if call.state is CallState.INVITED:
            self._running.pop(call.transaction, None)
        call.state = CallState.ENDED
        call.ok = b""
        self._over.drop(call.id, call.dialog.peer)
        self._timers.set(call.id, now + PATIENCE)
        self._events.append(Ended(call.id, Cause.LOCAL if was_ending and cause is Cause.REMOTE else cause, message))

    def _live(self, number: int) -> _Call[P]:
        call = self._calls.get(number)
        if call is None or call.state is CallState.ENDED:
            raise NotFound(f"call {number} is over or never was")
        return call

    def _expect(self, call: _Call[P], state: CallState) -> None:
        if call.state is not state:
            raise Conflict(f"call {call.id} is {call.state}")
