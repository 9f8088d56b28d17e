"""The lower side of a registration: a device's, or a platform's in a cascade (GB/T 28181-2016 9.1, -2022 9.1).

    Idle → Registering → Challenged → Registered → (refresh) → Registered
    failure → Backoff (60 s or more, with jitter) → Registering
    three keep-alives unanswered, or one refused → a new registration under a new Call-ID
    302 → Registering at another server; where that fails, back to the first

The machine makes requests and is told their answers; who owns an `Endpoint` carries them:

    for request in registration.to_ask(now): transactions[endpoint.request(request, peer, now)] = registration
    case Answered(): registration.answered(event.request, event.response, now)
    case Unanswered(): registration.unanswered(event.request, now)
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from anwang.kernel.errors import WireError
from anwang.wire import digest
from anwang.wire.gb28181.codes import V2016, V2022, Version, parse_date, parse_version
from anwang.wire.gb28181.manscdp import CONTENT_TYPE, serialize
from anwang.wire.gb28181.messages import Keepalive
from anwang.wire.sip.dialogs import compose
from anwang.wire.sip.message import Request, Response
from anwang.wire.sip.values import Address, Uri, seconds

#: the standard's least wait after a failed registration
RETRY: Final = 60.0
#: of the granted time, after which we refresh
REFRESH_AT: Final = 0.8
#: keep-alives that may be under way at once
MAX_BEATS: Final = 16
#: servers that may send us on, one after the other
MAX_REDIRECTS: Final = 3
#: what a server may make us ask for
MAX_EXPIRES: Final = 30 * 86400
#: how long a server may make us wait
MAX_RETRY: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who registers where. contact: where the server reaches us. heartbeat_s, heartbeat_misses: as the server has them.

    username: empty means the id. charset: declared instead of the version's. reuses_challenge: refresh with the last
    nonce in one round trip; a server that wants a new one says so.
    """

    local: Uri
    server: Uri
    contact: Uri
    password: str
    username: str = ""
    expires_s: int = 86400
    heartbeat_s: float = 60.0
    heartbeat_misses: int = 3
    version: Version = V2016
    charset: str = ""
    reuses_challenge: bool = True
    user_agent: str = ""

    def __repr__(self) -> str:
        return f"Account(local={self.local}, server={self.server}, password=***)"


class RegistrationState(StrEnum):
    """Where a registration is."""

    IDLE = "idle"
    REGISTERING = "registering"
    CHALLENGED = "challenged"
    REGISTERED = "registered"
    REFRESHING = "refreshing"
    BACKOFF = "backoff"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class Registered:
    """The server took us. clock: its Date, to set our clock by. version: its X-GB-Ver."""

    expires_s: int
    clock: datetime | None
    version: Version | None
    is_refresh: bool


@dataclass(frozen=True, slots=True)
class RegistrationFailed:
    """It did not. status: 0 where nothing came. retry_at: when we try again, on the caller's clock."""

    status: int
    retry_at: float


@dataclass(frozen=True, slots=True)
class Redirected:
    """From now on requests go to that server (2022 9.1.2.3)."""

    server: Uri


@dataclass(frozen=True, slots=True)
class ServerLost:
    """It answers no keep-alives, or refuses them; we register again. status: 0 where nothing came."""

    status: int


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """We are out, whether the server said so (is_confirmed) or was silent."""

    is_confirmed: bool


RegistrationEvent = Registered | RegistrationFailed | Redirected | ServerLost | LoggedOut


class Registration:
    """The machine. noise: random bytes for names and nonces. jitter: a random share of 1, for waits."""

    __slots__ = (
        "_account", "_beats", "_call_id", "_challenge", "_challenges", "_cseq", "_due", "_events", "_expires_s",
        "_faulty", "_heartbeat_due", "_jitter", "_misses", "_nc", "_noise", "_out", "_redirects", "_server",
        "_sn", "_tag", "state",
    )  # fmt: skip

    def __init__(self, account: Account, *, noise: Callable[[int], bytes], jitter: Callable[[], float]) -> None:
        self._account = account
        self._noise, self._jitter = noise, jitter
        self.state = RegistrationState.IDLE
        self._server = account.server
        self._expires_s = account.expires_s
        self._call_id = self._tag = ""
        self._cseq = self._sn = self._misses = self._nc = self._challenges = 0
        self._redirects = 0
        self._challenge: digest.Challenge | None = None
        self._due: float | None = None
        self._heartbeat_due: float | None = None
        self._beats: dict[str, None] = {}
        self._faulty: tuple[str, ...] = ()
        self._out: deque[Request] = deque()
        self._events: deque[RegistrationEvent] = deque()

    # ---- the owner's side

    @property
    def server(self) -> Uri:
        """Where requests go now: the account's server, or the one it has redirected us to."""
        return self._server

    @property
    def is_registered(self) -> bool:
        """Whether the server knows us, as far as we can tell."""
        return self.state in {RegistrationState.REGISTERED, RegistrationState.REFRESHING}

    def next_sn(self) -> int:
        """A number for a MANSCDP message of ours, 1..2**31-1."""
        self._sn = self._sn % (2**31 - 1) + 1
        return self._sn

    def start(self, now: float) -> None:
        """Register. Does nothing where we are at it already."""
        if self.state is RegistrationState.IDLE:
            self._begin(now)

    def stop(self, now: float) -> None:
        """Log out; `LoggedOut` follows."""
        if self.is_registered:
            self._heartbeat_due = None
            self._challenges = 0
            self.state = RegistrationState.LEAVING
            self._register(0)
            self._due = None
        elif self.state is not RegistrationState.LEAVING and self.state is not RegistrationState.IDLE:
            self._leave(is_confirmed=False)

    def report(self, faulty: tuple[str, ...], now: float) -> None:
        """Sub-devices that don't work; a change is told at once with the next keep-alive (2016 9.6)."""
        if faulty != self._faulty:
            self._faulty = faulty
            if self.is_registered:
                self._beat(now)

    def disconnected(self, now: float) -> None:
        """Our connection to the server is gone: register again after the retry time (2022 9.1.1 f)."""
        if self.state not in {RegistrationState.IDLE, RegistrationState.BACKOFF}:
            if self.state is RegistrationState.LEAVING:
                self._leave(is_confirmed=False)
            else:
                self._fail(0, now)

    def to_ask(self, now: float) -> Iterator[Request]:
        """Requests to send to `server`; each is given once."""
        while self._out:
            yield self._out.popleft()

    def events(self) -> Iterator[RegistrationEvent]:
        """What happened; each is given once."""
        while self._events:
            yield self._events.popleft()

    def timer(self) -> float | None:
        """When to call `tick` next."""
        return min((one for one in (self._due, self._heartbeat_due) if one is not None), default=None)

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self._due is not None and now >= self._due:
            self._due = None
            if self.state is RegistrationState.REGISTERED:
                self.state = RegistrationState.REFRESHING
                self._challenges = 0
                self._register(self._expires_s)
            elif self.state is RegistrationState.BACKOFF:
                self._begin(now)
        if self._heartbeat_due is not None and now >= self._heartbeat_due:
            self._beat(now)

    # ---- answers

    def answered(self, request: Request, response: Response, now: float) -> None:
        """A response to a request of ours; provisional ones and those to older requests are ignored."""
        if not response.is_final:
            return
        if request.method == "MESSAGE":
            self._beat_answered(request, response.status, now)
        elif request.call_id == self._call_id and request.cseq.number == self._cseq:
            self._register_answered(response, now)

    def unanswered(self, request: Request, now: float) -> None:
        """Nothing came."""
        if request.method == "MESSAGE":
            self._beat_answered(request, 0, now)
        elif request.call_id == self._call_id and request.cseq.number == self._cseq:
            if self.state is RegistrationState.LEAVING:
                self._leave(is_confirmed=False)
            else:
                self._fail(0, now)

    # ---- inside: REGISTER

    def _begin(self, now: float) -> None:
        """Register under a new Call-ID, as after a restart."""
        self._call_id = f"{self._noise(8).hex()}@{self._account.contact.host}"
        self._tag = self._noise(8).hex()
        self._cseq = self._misses = self._challenges = 0
        self._challenge = None
        self._beats.clear()
        self._heartbeat_due = self._due = None
        self.state = RegistrationState.REGISTERING
        self._register(self._expires_s)

    def _register(self, expires_s: int) -> None:
        account = self._account
        self._cseq += 1
        user = Address(account.local, (("tag", self._tag),))
        headers = [("Contact", f"<{account.contact}>"), ("Expires", str(expires_s))]
        if account.version >= V2022:
            headers.append(("X-GB-Ver", str(account.version)))
        if account.user_agent:
            headers.append(("User-Agent", account.user_agent))
        if self._challenge is not None:
            self._nc += 1
            proof = digest.answer(
                self._challenge,
                method="REGISTER",
                uri=str(self._server),
                username=account.username or account.local.user,
                password=account.password,
                cnonce=self._noise(8).hex(),
                nc=self._nc,
            )
            headers.append(("Authorization", str(proof)))
        self._out.append(
            compose(
                "REGISTER",
                self._server,
                from_=user,
                to=Address(account.local),
                call_id=self._call_id,
                cseq=self._cseq,
                headers=headers,
            )
        )

    def _register_answered(self, response: Response, now: float) -> None:
        is_leaving = self.state is RegistrationState.LEAVING
        if response.status == 401 and self._challenges < 2 and self._met(response):
            if self.state is RegistrationState.REGISTERING:
                self.state = RegistrationState.CHALLENGED
            self._register(0 if is_leaving else self._expires_s)
        elif is_leaving:
            self._leave(is_confirmed=response.is_ok)
        elif response.is_ok:
            self._granted(response, now)
        elif (
            response.status in {301, 302} and self._redirects < MAX_REDIRECTS and (server := self._elsewhere(response))
        ):
            self._redirects += 1
            self._server = server
            self._events.append(Redirected(server))
            self._begin(now)
        elif response.status == 423 and (least := seconds(response.headers.get("Min-Expires"))):
            if self._expires_s < least <= MAX_EXPIRES:
                self._expires_s = least
                self._register(least)
            else:
                self._fail(423, now)
        else:
            asked = re.match(r"\s*[0-9]{1,9}", response.headers.get("Retry-After"), re.ASCII)
            self._fail(response.status, now, min(float(asked[0]), MAX_RETRY) if asked else 0.0)

    def _met(self, response: Response) -> bool:
        """Whether we can answer the challenge, and it isn't the one that we have just failed."""
        found: list[digest.Challenge] = []
        for value in response.headers.all("WWW-Authenticate"):
            try:
                found.append(digest.Challenge.parse(value))
            except WireError:
                continue
        challenge = digest.best(found)
        if challenge is None:
            return False
        # a proof made with a fresh nonce was refused: the password is wrong, not the nonce old
        if self._challenges and not challenge.is_stale:
            return False
        self._challenge, self._nc = challenge, 0
        self._challenges += 1
        return True

    def _granted(self, response: Response, now: float) -> None:
        was_known = self.state is RegistrationState.REFRESHING
        own = next((one for one in response.contacts if one.uri.user == self._account.local.user), None)
        granted = own.expires if own is not None and own.expires is not None else None
        if granted is None and response.headers.has("Expires"):
            granted = seconds(response.headers.get("Expires"))
        granted = self._expires_s if granted is None else granted
        if granted <= 0:
            self._fail(response.status, now)
            return
        self.state = RegistrationState.REGISTERED
        self._challenges = self._misses = self._redirects = 0
        if not self._account.reuses_challenge:
            self._challenge = None
        self._due = now + REFRESH_AT * granted
        if not was_known:
            self._heartbeat_due = now + self._account.heartbeat_s
        self._events.append(
            Registered(
                granted,
                parse_date(response.headers.get("Date")),
                parse_version(response.headers.get("X-GB-Ver")),
                was_known,
            )
        )

    def _elsewhere(self, response: Response) -> Uri | None:
        contacts = response.contacts
        if not contacts or contacts[0].uri == self._server:
            return None
        return replace(contacts[0].uri, params=())

    def _fail(self, status: int, now: float, least_s: float = 0.0) -> None:
        self.state = RegistrationState.BACKOFF
        self._heartbeat_due = None
        self._redirects = 0
        self._beats.clear()
        self._server = self._account.server
        self._expires_s = self._account.expires_s
        self._call_id = ""
        self._due = now + max(RETRY, least_s) + RETRY * self._jitter()
        self._events.append(RegistrationFailed(status, self._due))

    def _leave(self, *, is_confirmed: bool) -> None:
        self.state = RegistrationState.IDLE
        self._due = self._heartbeat_due = None
        self._call_id = ""
        self._beats.clear()
        self._out.clear()
        self._server = self._account.server
        self._events.append(LoggedOut(is_confirmed))

    # ---- inside: keep-alives

    def _beat(self, now: float) -> None:
        account = self._account
        self._heartbeat_due = now + account.heartbeat_s
        if len(self._beats) >= MAX_BEATS:
            return
        call_id = f"{self._noise(8).hex()}@{account.contact.host}"
        self._beats[call_id] = None
        body = serialize(
            Keepalive(sn=self.next_sn(), device_id=account.local.user, is_ok=not self._faulty, faulty=self._faulty),
            account.version,
            account.charset,
        )
        self._out.append(
            compose(
                "MESSAGE",
                self._server,
                from_=Address(account.local, (("tag", self._noise(8).hex()),)),
                to=Address(self._server),
                call_id=call_id,
                cseq=1,
                content_type=CONTENT_TYPE,
                body=body,
            )
        )

    def _beat_answered(self, request: Request, status: int, now: float) -> None:
        if request.call_id not in self._beats:
            return
        del self._beats[request.call_id]
        if not self.is_registered:
            return
        if 200 <= status < 300:
            self._misses = 0
            return
        self._misses += 1
        if status in {401, 403, 404}:
            # the server has forgotten us, and perhaps everyone else: don't all come back at once
            self._events.append(ServerLost(status))
            self.state = RegistrationState.BACKOFF
            self._heartbeat_due = None
            self._beats.clear()
            self._due = now + 5.0 * self._jitter()
        elif self._misses >= self._account.heartbeat_misses:
            self._events.append(ServerLost(status))
            self._begin(now)
