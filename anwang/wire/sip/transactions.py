"""SIP transactions of both ends, without sockets or clocks (RFC 3261 17, RFC 6026, RFC 3581).

Client side: retransmission on UDP, time-outs, ACK to failed INVITEs, CANCEL when it may be sent, one retry after a
challenge. Server side: a request is announced once; its retransmissions are answered from a bounded cache.

The machine holds nothing per peer: only transactions in progress and, for 32 s, answers on UDP. Drive it with `receive`
and `tick`, then take `to_send` and `events`. `now` is seconds on the caller's monotonic clock.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic
from zlib import crc32

from anwang.kernel.errors import Conflict, Exhausted, Unsupported, WireError
from anwang.kernel.hosts import bracketed
from anwang.wire import digest
from anwang.wire.sip.events import Acked, Answered, Asked, Broken, Cancelled, Stray, TransactionEvent, Unanswered
from anwang.wire.sip.message import (
    Headers,
    Message,
    Request,
    Response,
    is_noise,
    parse,
    response_to,
    serialize,
)
from anwang.wire.sip.network import Network, P
from anwang.wire.sip.routes import Routes
from anwang.wire.sip.timers import Timers
from anwang.wire.sip.values import CSeq, Via, split_outside

T1: Final = 0.5
T2: Final = 4.0
#: 64·T1: how long either side may wait
PATIENCE: Final = 32.0
#: how long an INVITE may ring (timer C)
RINGING: Final = 180.0


@dataclass(slots=True)
class Counters:
    """What happened, as counts since the start.

    absorbed: retransmissions that came and were not processed again. evicted: cached answers dropped early for want of
    room. neglected: requests nobody answered. refused: datagrams dropped because events were not taken. overflowed:
    datagrams not sent because `to_send` was not taken. strays: responses to nothing.
    """

    received: int = 0
    noise: int = 0
    malformed: int = 0
    absorbed: int = 0
    retransmitted: int = 0
    strays: int = 0
    evicted: int = 0
    neglected: int = 0
    refused: int = 0
    overflowed: int = 0


#: username and password for a challenge, None where there are none
Credentials = Callable[[Request, digest.Challenge], "tuple[str, str] | None"]


class _Client(Generic[P]):
    __slots__ = (
        "attempts", "branch", "data", "deadline", "id", "interval", "is_cancel_sent", "is_cancelled",
        "is_proceeding", "is_reliable",
        "is_silent", "method", "next_cseq", "peer", "request",
    )  # fmt: skip

    def __init__(self, number: int, request: Request, peer: P, next_cseq: Callable[[], int] | None) -> None:
        self.id = number
        self.request = request
        self.peer = peer
        self.next_cseq = next_cseq
        self.method = request.method
        self.attempts = 0
        self.is_cancelled = False
        self.is_cancel_sent = False
        self.is_silent = False
        self.branch = ""
        self.data = b""
        self.is_reliable = False
        self.is_proceeding = False
        self.interval = T1
        self.deadline = 0.0


class _Server(Generic[P]):
    __slots__ = ("deadline", "id", "interval", "is_final", "key", "last", "peer", "request", "since")

    def __init__(self, number: int, key: str, request: Request, peer: P, since: float) -> None:
        self.id = number
        self.key = key
        self.request = request
        self.peer = peer
        self.since = since
        self.last = b""
        self.is_final = False
        self.interval = T1
        self.deadline = 0.0


_RPORT: Final = re.compile(r";\s*rport\s*(?=;|$)", re.IGNORECASE)
_TAG: Final = re.compile(r";\s*tag\s*=\s*([^;,\s>]+)", re.IGNORECASE)


def stamp(value: str, host: str, port: int) -> str:
    """A nearest Via with `received` and `rport` as its request's source asks for (RFC 3261 18.2.1, RFC 3581 4)."""
    first, *others = split_outside(value, ",") if "," in value else (value,)
    marked, count = _RPORT.subn(f";rport={port};received={host}", first, count=1)
    if not count:
        via = Via.parse(first)
        if via.host == bracketed(host):
            return value
        marked = f"{first};received={host}"
    return ",".join((marked, *others))


def tag_of(value: str) -> str:
    """The tag of a From or To value without parsing the rest; empty where there is none."""
    found = _TAG.search(value, value.rfind(">") + 1)
    return found[1] if found else ""


def stateless_tag(request: Request) -> str:
    """A To tag that is the same for every copy of a request (RFC 3261 8.2.7), for answers that open no dialog."""
    return f"{crc32(request.call_id.encode(request.charset, 'replace')):x}"


class Transactions(Generic[P]):
    """The machine. See the module's docstring.

    noise: gives so many random bytes; tests give a seeded one. credentials: asked once per challenge. max_answers:
    cached answers; max_open: requests in progress, each way; max_queue: datagrams or events not yet taken.
    """

    def __init__(
        self,
        network: Network[P],
        *,
        noise: Callable[[int], bytes] = os.urandom,
        credentials: Credentials | None = None,
        max_answers: int = 65536,
        max_open: int = 65536,
        max_queue: int = 65536,
    ) -> None:
        self.network = network
        self.counters = Counters()
        self._noise = noise
        self._credentials = credentials
        self._max_answers, self._max_open, self._max_queue = max_answers, max_open, max_queue
        self._out: deque[tuple[bytes, P]] = deque()
        self._events: deque[TransactionEvent[P]] = deque()
        self._timers: Timers[tuple[str, int]] = Timers()
        self._made = 0
        self._clients: dict[int, _Client[P]] = {}
        self._clients_over: Routes[P] = Routes()
        self._branches: dict[tuple[str, str], _Client[P]] = {}
        #: ACKs to failed INVITEs, sent again when the failure comes again: (branch) → (until, bytes)
        self._acks: dict[str, tuple[float, bytes]] = {}
        self._servers: dict[int, _Server[P]] = {}
        self._servers_over: Routes[P] = Routes()
        self._keys: dict[str, _Server[P]] = {}
        #: final answers on UDP in the order given: key → (until, bytes)
        self._answers: dict[str, tuple[float, bytes]] = {}

    # ---- the driver's side

    def receive(self, data: bytes, peer: P, now: float) -> None:
        """One datagram, or one message that a StreamFramer has cut out."""
        self.counters.received += 1
        if len(self._events) >= self._max_queue:
            self.counters.refused += 1
            return
        if is_noise(data):
            self.counters.noise += 1
            return
        try:
            message = parse(data)
        except WireError as error:
            self._broken(error, peer)
            return
        self.receive_message(message, peer, now)

    def receive_message(self, message: Message, peer: P, now: float) -> None:
        """The same for a message that is parsed already."""
        try:
            if isinstance(message, Request):
                self._requested(message, peer, now)
            else:
                self._responded(message, peer, now)
        except WireError as error:
            self._broken(error, peer)

    def tick(self, now: float) -> None:
        """Do what is due. Harmless at any time."""
        for kind, number in self._timers.due(now):
            if kind == "client":
                self._client_due(self._clients[number], now)
            else:
                self._server_due(self._servers[number], now)
        for cache in (self._answers, self._acks):
            while cache and next(iter(cache.values()))[0] <= now:
                del cache[next(iter(cache))]

    def timer(self) -> float | None:
        """When to call `tick` next, None where nothing waits."""
        moments = [next(iter(cache.values()))[0] for cache in (self._answers, self._acks) if cache]
        first = self._timers.next()
        if first is not None:
            moments.append(first)
        return min(moments, default=None)

    def to_send(self, now: float) -> Iterator[tuple[bytes, P]]:
        """What goes out, in order; each is given once."""
        while self._out:
            yield self._out.popleft()

    def events(self) -> Iterator[TransactionEvent[P]]:
        """What happened, in order; each is given once."""
        while self._events:
            yield self._events.popleft()

    def lost(self, peer: P, now: float) -> None:
        """A connection is gone: what was asked over it stays unanswered."""
        for number in self._clients_over.over(peer):
            client = self._clients[number]
            self._forget_client(client)
            self._give_up(client, is_lost=True)
        for number in self._servers_over.over(peer):
            self._forget_server(self._servers[number])

    @property
    def open_count(self) -> int:
        """Transactions in progress, both ways."""
        return len(self._clients) + len(self._servers)

    # ---- asking

    def request(self, request: Request, peer: P, now: float, next_cseq: Callable[[], int] | None = None) -> int:
        """Send a request that has all but its Via. Returns the transaction's handle.

        next_cseq: where a retry with credentials takes its number from; its own number plus one where None. Raises
        Exhausted beyond max_open.
        """
        if len(self._clients) >= self._max_open:
            raise Exhausted(f"{self._max_open} SIP requests wait for answers")
        self._made += 1
        client = _Client(self._made, request, peer, next_cseq)
        self._clients[client.id] = client
        self._clients_over.put(client.id, peer)
        self._start(client, self.token("z9hG4bK"), now)
        return client.id

    def cancel(self, transaction: int, now: float) -> None:
        """Give up an INVITE: CANCEL goes out as soon as it may (RFC 3261 9.1). A final response still follows."""
        client = self._clients.get(transaction)
        if client is None or client.method != "INVITE" or client.is_cancelled:
            return
        client.is_cancelled = True
        if client.is_proceeding:
            self._send_cancel(client, now)

    def tell(self, request: Request, peer: P) -> bytes:
        """Send a request that nobody answers, an ACK to a 2xx. Returns its bytes, to be sent again with `send`."""
        data = serialize(self._with_via(request, peer, self.token("z9hG4bK")))
        self.send(data, peer)
        return data

    def send(self, data: bytes, peer: P) -> None:
        """Bytes as they are."""
        if len(self._out) >= self._max_queue:
            self.counters.overflowed += 1
            return
        self._out.append((data, peer))

    def token(self, prefix: str = "") -> str:
        """A fresh name of 64 random bits, for tags, branches and Call-IDs."""
        return prefix + self._noise(8).hex()

    # ---- answering

    def reply(
        self,
        transaction: int,
        status: int,
        now: float,
        *,
        reason: str = "",
        to_tag: str = "",
        headers: Iterable[tuple[str, str]] = (),
        content_type: str = "",
        body: bytes = b"",
    ) -> bytes:
        """Answer a request. Returns the bytes sent. Raises Conflict where it is answered already, or too old.

        to_tag: of the dialog this opens; without one To gets a tag that depends only on the request.
        """
        server = self._servers.get(transaction)
        if server is None or server.is_final:
            raise Conflict(f"request {transaction} has its answer already or is too old for one")
        request = server.request
        response = response_to(
            request,
            status,
            reason,
            to_tag=to_tag or stateless_tag(request),
            headers=headers,
            content_type=content_type,
            body=body,
        )
        server.last = serialize(response)
        self.send(server.last, server.peer)
        if status < 200:
            return server.last
        server.is_final = True
        if request.method == "INVITE" and status >= 300:
            server.deadline = now + PATIENCE
            is_reliable = self.network.is_reliable(server.peer)
            self._timers.set(("server", server.id), server.deadline if is_reliable else now + T1)
        else:
            self._remember(server, now)
        return server.last

    # ---- inside: requests that come

    def _requested(self, request: Request, peer: P, now: float) -> None:
        host, port = self.network.source(peer)
        try:
            via, cseq = request.via, request.cseq
            if cseq.method != request.method:
                raise WireError(f"CSeq says {cseq.method[:20]}, the request is a {request.method[:20]}")
            if not request.call_id:
                raise WireError("no Call-ID")
            key_from = tag_of(request.headers.get("From"))
            _ = request.from_, request.to
        except WireError as error:
            self._refuse(request, host, port, peer)
            raise error from None
        method = "INVITE" if request.method in {"ACK", "CANCEL"} else request.method
        key = f"{method}\n{via.branch}\n{via.sent_by}\n{request.call_id}\n{cseq.number}\n{key_from}"
        if request.method == "ACK":
            self._acked(key, request, peer, now)
            return
        if request.method == "CANCEL":
            invite, key = self._keys.get(key), f"CANCEL{key}"
        cached = self._answers.get(key)
        if cached is not None:
            self.counters.absorbed += 1
            self.send(cached[1], peer)
            return
        server = self._keys.get(key)
        if server is not None:
            self.counters.absorbed += 1
            if server.last:
                self.send(server.last, peer)
            return
        stamped = stamp(request.headers.get("Via"), host, port)
        request = Request(
            method=request.method,
            uri=request.uri,
            headers=_with_first_via(request.headers, stamped),
            body=request.body,
            charset=request.charset,
        )
        if len(self._servers) >= self._max_open:
            self.counters.refused += 1
            return
        self._made += 1
        server = _Server(self._made, key, request, peer, now)
        self._servers[server.id] = self._keys[key] = server
        self._servers_over.put(server.id, peer)
        self._timers.set(("server", server.id), now + (RINGING if request.method == "INVITE" else PATIENCE))
        if request.method != "CANCEL":
            self._events.append(Asked(server.id, request, peer))
        elif invite is None and key.removeprefix("CANCEL") not in self._answers:
            self.reply(server.id, 481, now)
        else:
            self.reply(server.id, 200, now)
            if invite is not None and not invite.is_final:
                self._events.append(Cancelled(invite.id, invite.request, peer))

    def _acked(self, key: str, request: Request, peer: P, now: float) -> None:
        server = self._keys.get(key)
        if server is not None and server.is_final:
            self._remember(server, now)
        else:
            self._events.append(Acked(request, peer))

    def _refuse(self, request: Request, host: str, port: int, peer: P) -> None:
        """400 to what lacks a mandatory header but says at least where it came from."""
        if request.method == "ACK" or not request.headers.has("Via"):
            return
        try:
            headers = _with_first_via(request.headers, stamp(request.headers.get("Via"), host, port))
        except WireError:
            return
        plain = Request(method=request.method, uri=request.uri, headers=headers, charset=request.charset)
        self.send(serialize(response_to(plain, 400)), peer)

    def turn_away(self, data: bytes, peer: P, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Answer a request that is not taken and of which nothing is kept; what is no whole request gets no answer."""
        try:
            request = parse(data)
            if not isinstance(request, Request) or request.method == "ACK":
                return
            host, port = self.network.source(peer)
            stamped = _with_first_via(request.headers, stamp(request.headers.get("Via"), host, port))
            plain = Request(method=request.method, uri=request.uri, headers=stamped, charset=request.charset)
            answer = serialize(response_to(plain, status, to_tag=stateless_tag(plain), headers=headers))
        except WireError:
            self.counters.malformed += 1
            return
        self.send(answer, peer)

    def _remember(self, server: _Server[P], now: float) -> None:
        self._forget_server(server)
        if self.network.is_reliable(server.peer):
            return
        if len(self._answers) >= self._max_answers:
            del self._answers[next(iter(self._answers))]
            self.counters.evicted += 1
        self._answers[server.key] = (now + PATIENCE, server.last)

    def _forget_server(self, server: _Server[P]) -> None:
        self._servers.pop(server.id, None)
        self._servers_over.drop(server.id, server.peer)
        self._keys.pop(server.key, None)
        self._timers.drop(("server", server.id))

    def _server_due(self, server: _Server[P], now: float) -> None:
        if not server.is_final:
            self.counters.neglected += 1
            self._forget_server(server)
        elif now >= server.deadline:
            self._remember(server, now)
        else:
            self.counters.retransmitted += 1
            self.send(server.last, server.peer)
            server.interval = min(2 * server.interval, T2)
            self._timers.set(("server", server.id), min(now + server.interval, server.deadline))

    # ---- inside: responses that come

    def _responded(self, response: Response, peer: P, now: float) -> None:
        branch, method = response.via.branch, response.cseq.method
        client = self._branches.get((branch, method))
        if client is None:
            if method == "INVITE" and response.is_ok:
                self._events.append(Stray(response, peer))
            elif method == "INVITE" and branch in self._acks and response.is_final:
                self.counters.absorbed += 1
                self.send(self._acks[branch][1], peer)
            else:
                self.counters.strays += 1
            return
        if not response.is_final:
            self._provisional(client, response, peer, now)
            return
        if client.method == "INVITE" and not response.is_ok:
            self._ack_failure(client, response, now)
        retry = self._authorised(client, response)
        if retry is not None:
            del self._branches[client.branch, client.method]
            client.request = retry
            client.attempts += 1
            self._start(client, self.token("z9hG4bK"), now)
            return
        self._forget_client(client)
        if not client.is_silent:
            self._events.append(Answered(client.id, response, client.request, peer))

    def _provisional(self, client: _Client[P], response: Response, peer: P, now: float) -> None:
        if client.method == "INVITE":
            client.is_proceeding = True
            if not client.is_cancelled:
                client.deadline = now + RINGING
                self._timers.set(("client", client.id), client.deadline)
            elif not client.is_cancel_sent:
                self._send_cancel(client, now)
        else:
            client.interval = T2
        if not client.is_silent and response.status > 100:
            self._events.append(Answered(client.id, response, client.request, peer))

    def _ack_failure(self, client: _Client[P], response: Response, now: float) -> None:
        sent = client.request
        number = sent.cseq.number
        headers = Headers(
            (
                ("Via", sent.headers.get("Via")),
                ("From", sent.headers.get("From")),
                ("To", response.headers.get("To")),
                ("Call-ID", sent.call_id),
                ("CSeq", f"{number} ACK"),
                ("Max-Forwards", "70"),
                *(("Route", value) for value in sent.headers.all("Route")),
            )
        )
        data = serialize(Request(method="ACK", uri=sent.uri, headers=headers, charset=sent.charset))
        self.send(data, client.peer)
        if not client.is_reliable:
            self._acks[client.branch] = (now + PATIENCE, data)
            if len(self._acks) > self._max_answers:
                del self._acks[next(iter(self._acks))]
                self.counters.evicted += 1

    def _authorised(self, client: _Client[P], response: Response) -> Request | None:
        """The request once more with credentials, where it was challenged, is not given up and we have some."""
        if response.status not in {401, 407} or self._credentials is None or client.is_cancelled or client.attempts > 1:
            return None
        asked, given = (
            ("WWW-Authenticate", "Authorization")
            if response.status == 401
            else ("Proxy-Authenticate", "Proxy-Authorization")
        )
        challenges: list[digest.Challenge] = []
        for value in response.headers.all(asked):
            try:
                challenges.append(digest.Challenge.parse(value))
            except WireError:
                continue
        challenge = digest.best(challenges)
        if challenge is None or (client.request.headers.has(given) and not challenge.is_stale):
            return None
        known = self._credentials(client.request, challenge)
        if known is None:
            return None
        try:
            proof = digest.answer(
                challenge,
                method=client.method,
                uri=client.request.uri,
                username=known[0],
                password=known[1],
                cnonce=self.token(),
            )
        except Unsupported:
            return None
        number = client.next_cseq() if client.next_cseq else client.request.cseq.number + 1
        plain = client.request.headers.without("Via")
        return Request(
            method=client.method,
            uri=client.request.uri,
            headers=plain.with_(("CSeq", str(CSeq(number, client.method))), (given, str(proof))),
            body=client.request.body,
            charset=client.request.charset,
        )

    # ---- inside: our requests

    def _start(self, client: _Client[P], branch: str, now: float) -> None:
        client.branch = branch
        client.is_reliable = self.network.is_reliable(client.peer)
        client.request = self._with_via(client.request, client.peer, branch)
        client.data = serialize(client.request)
        client.is_proceeding = False
        client.interval = T1
        client.deadline = now + PATIENCE
        self._branches[branch, client.method] = client
        self.send(client.data, client.peer)
        self._timers.set(("client", client.id), client.deadline if client.is_reliable else now + T1)

    def _with_via(self, request: Request, peer: P, branch: str) -> Request:
        host, port = self.network.local(peer)
        via = f"SIP/2.0/{self.network.transport(peer)} {bracketed(host)}:{port};rport;branch={branch}"
        headers = request.headers.without("Via").first(("Via", via))
        if not headers.has("Max-Forwards"):
            headers = headers.plus(("Max-Forwards", "70"))
        return Request(
            method=request.method, uri=request.uri, headers=headers, body=request.body, charset=request.charset
        )

    def _send_cancel(self, client: _Client[P], now: float) -> None:
        sent = client.request
        kept = tuple(pair for pair in sent.headers.items if pair[0] in {"Via", "From", "To", "Call-ID", "Route"})
        number = sent.cseq.number
        headers = Headers((*kept, ("CSeq", f"{number} CANCEL"), ("Max-Forwards", "70")))
        self._made += 1
        cancel = _Client(
            self._made,
            Request(method="CANCEL", uri=sent.uri, headers=headers, charset=sent.charset),
            client.peer,
            None,
        )
        cancel.is_silent = True
        cancel.attempts = 2  # a CANCEL can't be challenged
        self._clients[cancel.id] = cancel
        self._clients_over.put(cancel.id, cancel.peer)
        self._start(cancel, client.branch, now)
        client.is_cancel_sent = True
        client.deadline = now + PATIENCE
        self._timers.set(("client", client.id), client.deadline)

    def _client_due(self, client: _Client[P], now: float) -> None:
        if now >= client.deadline:
            if client.method == "INVITE" and client.is_proceeding and not client.is_cancelled:
                # rang too long: CANCEL it and wait for the end of that
                client.is_cancelled = True
                self._send_cancel(client, now)
                return
            self._forget_client(client)
            self._give_up(client, is_lost=False)
            return
        self.counters.retransmitted += 1
        self.send(client.data, client.peer)
        client.interval = 2 * client.interval if client.method == "INVITE" else min(2 * client.interval, T2)
        self._timers.set(("client", client.id), min(now + client.interval, client.deadline))

    def _give_up(self, client: _Client[P], *, is_lost: bool) -> None:
        if not client.is_silent:
            self._events.append(Unanswered(client.id, client.request, client.peer, is_lost))

    def _forget_client(self, client: _Client[P]) -> None:
        self._clients.pop(client.id, None)
        self._clients_over.drop(client.id, client.peer)
        self._branches.pop((client.branch, client.method), None)
        self._timers.drop(("client", client.id))

    def _broken(self, error: WireError, peer: P) -> None:
        self.counters.malformed += 1
        self._events.append(Broken(error, peer))


def _with_first_via(headers: Headers, via: str) -> Headers:
    items = list(headers.items)
    for index, (key, _) in enumerate(items):
        if key == "Via":
            items[index] = (key, via)
            break
    return Headers(tuple(items))
