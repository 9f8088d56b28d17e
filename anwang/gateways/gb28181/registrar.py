"""REGISTER as the upper platform (GB/T 28181-2022 9.1): digest, refresh, log-out, version, time.

Guessing is slowed down, and an unknown device costs the same work as a wrong password.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from anwang.gateways.gb28181.sessions import Peer, Session, Sessions
from anwang.kernel.errors import Unsupported
from anwang.runtime.clock import Clock
from anwang.wire import digest
from anwang.wire.gb28181 import (
    V2016,
    V2022,
    Login,
    NonceAge,
    Nonces,
    RegisterAsked,
    Version,
    challenge_headers,
    challenge_lines,
    granted_expires,
    granted_headers,
    granted_lines,
    is_code,
    parse_version,
)

MOST_GUESSERS = 20_000
MOST_EXPIRES_S = 7 * 86400
BACKOFF_S = (0.0, 0.0, 0.0, 5.0, 15.0, 60.0, 300.0)
"""Seconds without an answer after so many wrong digests of one device from one address."""
ADDRESS_BURST, ADDRESS_LEAK_S = 60, 10.0
"""Wrong digests that one address may send at once for devices that are not registered, and seconds until one more is
let pass: the domain's password is the same for all codes, so a guesser would take another code each time. Behind one
address may be a whole site, so registered devices are never held up by it."""


class Outcome(StrEnum):
    """What a REGISTER led to."""

    CHALLENGED = "challenged"
    REGISTERED = "registered"
    REFRESHED = "refreshed"
    LOGGED_OUT = "logged_out"
    REFUSED = "refused"


class Verdict(StrEnum):
    """What is to be said of a REGISTER before it is answered."""

    RIGHT = "right"
    UNPROVEN = "unproven"
    STALE = "stale"
    WRONG = "wrong"
    BACKED_OFF = "backed_off"
    NO_CODE = "no_code"


#: verdicts that change the same however often the request comes: they may be answered without a transaction
REPEATABLE = (Verdict.UNPROVEN, Verdict.RIGHT, Verdict.STALE)


class Answer(NamedTuple):
    """Status and headers of the response, what happened, and for whom. reason: for the list of refusals."""

    status: int
    headers: tuple[tuple[str, str], ...]
    outcome: Outcome
    device: str = ""
    session: Session | None = None
    reason: str = ""


@dataclass(slots=True)
class _Guesser:
    failures: int = 0
    silent_until_s: float = 0.0


@dataclass(slots=True)
class _Address:
    """A bucket that leaks: failures in it, and when they were last counted."""

    level: float = 0.0
    at_s: float = 0.0

    def left(self, now_s: float) -> float:
        """Failures that have not leaked away."""
        return max(0.0, self.level - (now_s - self.at_s) / ADDRESS_LEAK_S)

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next try is looked at; 0: at once."""
        return max(0.0, self.left(now_s) - (ADDRESS_BURST - 1)) * ADDRESS_LEAK_S


class Registrar:
    """Answers REGISTER; keeps no state per challenge: a nonce proves itself."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        realm: str,
        clock: Clock,
        password_of: Callable[[str], str | None],
        offer_qop: Callable[[str], bool],
        nonces: Nonces | None = None,
    ) -> None:
        """password_of: the secret of a device (its own or the domain's), None where it may not register at all.

        nonces: None makes some with a key of their own.
        """
        self._sessions = sessions
        self._realm = realm
        self._raw_realm = realm.encode()
        self._clock = clock
        self._password_of = password_of
        self._offer_qop = offer_qop
        self._nonces = nonces or Nonces(secrets.token_bytes(32))
        self._guessers: OrderedDict[tuple[str, str], _Guesser] = OrderedDict()
        self._addresses: OrderedDict[str, _Address] = OrderedDict()

    def judge(self, asked: RegisterAsked, peer: Peer) -> Verdict:
        """Whether a REGISTER from `peer` may pass. Changes nothing."""
        device, now_s = asked.device_id, self._clock.monotonic()
        if not is_code(device):
            return Verdict.NO_CODE
        if self._guessers:
            guesser = self._guessers.get((device, peer[1]))
            if guesser is not None and guesser.silent_until_s > now_s:
                return Verdict.BACKED_OFF
        if self._address_wait_s(device, peer[1], now_s) > 0:
            return Verdict.BACKED_OFF
        given = asked.authorization
        if given is None or given.realm != self._realm:
            return Verdict.UNPROVEN
        age = self._nonces.check(given.nonce, device, peer[1], now_s)
        if age is not NonceAge.FRESH:
            return Verdict.STALE if age is NonceAge.STALE else Verdict.UNPROVEN
        password = self._password_of(device)
        try:
            # an unknown device costs the same work as a wrong password
            known = digest.ha1(given.username, self._realm, password or "", given.algorithm)
        except Unsupported:
            return Verdict.WRONG
        is_right = digest.verify(given, method="REGISTER", ha1_hex=known)
        return Verdict.RIGHT if is_right and password is not None else Verdict.WRONG

    def answer(self, asked: RegisterAsked, peer: Peer, verdict: Verdict | None = None) -> Answer:
        """The answer to a REGISTER from `peer`, and the session that follows. verdict: where it is judged already."""
        device, key = asked.device_id, (asked.device_id, peer[1])
        match verdict or self.judge(asked, peer):
            case Verdict.RIGHT:
                self._guessers.pop(key, None)
                return self._accept(asked, peer)
            case Verdict.UNPROVEN:
                return self._challenge(device, peer, stale=False)
            case Verdict.STALE:
                return self._challenge(device, peer, stale=True)
            case Verdict.NO_CODE:
                return self._refuse(403, device, f"{device[:40]!r} is no 20-digit code")
            case Verdict.BACKED_OFF:
                now_s = self._clock.monotonic()
                guesser = self._guessers.get(key)
                wait_s = 0.0 if guesser is None else guesser.silent_until_s - now_s
                if wait_s > 0:
                    return self._refuse(403, device, "too many wrong passwords", retry_s=wait_s)
                wait_s = self._address_wait_s(device, peer[1], now_s)
                return self._refuse(403, device, "too many wrong passwords from this address", retry_s=wait_s)
            case Verdict.WRONG:
                self._count_failure(key, self._clock.monotonic())
                return self._refuse(403, device, "wrong password")

    def login(self, login: Login, peer: Peer, now_s: float) -> tuple[bytes, bytes, Outcome, Session | None] | None:
        """`judge` and `answer` in one step where the answer is repeatable, else None: nothing is changed then.

        Status and lines of headers of the response, what happened, and the session that follows.
        """
        device, host = login.device.decode(), peer[1]
        if self._guessers and (device, host) in self._guessers:
            return None
        if self._addresses and self._address_wait_s(device, host, now_s) > 0:
            return None
        if login.nonce is None or login.realm != self._raw_realm:
            return self._challenge_login(login.device, device, host, now_s, stale=False)
        age = self._nonces.check_raw(login.nonce, login.device, host.encode(), now_s)
        if age is not NonceAge.FRESH:
            return self._challenge_login(login.device, device, host, now_s, stale=age is NonceAge.STALE)
        password = self._password_of(device)
        is_proven = digest.proves(
            login.response or b"",
            b"REGISTER",
            login.username or b"",
            self._raw_realm,
            (password or "").encode(),
            login.nonce,
            login.uri or b"",
            login.nc or b"",
            login.cnonce or b"",
        )
        if not is_proven or password is None:
            return None
        expires, version = login.expires, login.version
        granted, outcome, session = self._admit(
            device,
            login.call_id.decode(),
            None if expires is None else int(expires),
            None if version is None else parse_version(version.decode()),
            peer,
            now_s,
        )
        return (
            b"200 OK",
            granted_lines(login.contact, granted, self._clock.micros(), version=V2022),
            outcome,
            session,
        )

    def _challenge_login(
        self, raw_device: bytes, device: str, host: str, now_s: float, *, stale: bool
    ) -> tuple[bytes, bytes, Outcome, None]:
        nonce = self._nonces.make_raw(raw_device, host.encode(), now_s)
        lines = challenge_lines(self._realm, nonce, with_qop=self._offer_qop(device), is_stale=stale, version=V2022)
        return b"401 Unauthorized", lines, Outcome.CHALLENGED, None

    def _accept(self, asked: RegisterAsked, peer: Peer) -> Answer:
        device, now_s = asked.device_id, self._clock.monotonic()
        granted, outcome, session = self._admit(device, asked.call_id, asked.expires_s, asked.version, peer, now_s)
        headers = granted_headers(asked, granted, self._clock.now(), version=V2022)
        return Answer(status=200, headers=headers, outcome=outcome, device=device, session=session)

    def _admit(
        self, device: str, call_id: str, wanted_s: int | None, version: Version | None, peer: Peer, now_s: float
    ) -> tuple[int, Outcome, Session | None]:
        """Seconds granted to a device that has proved itself, what that was, and its session."""
        granted = granted_expires(wanted_s, most_s=MOST_EXPIRES_S)
        if granted == 0:
            return granted, Outcome.LOGGED_OUT, self._sessions.drop(device)
        session = self._sessions.get(device)
        is_refresh = session is not None and session.call == hash(call_id)
        if session is None or not is_refresh:
            # a restarted device keeps the text of its code: the table's key and the session share it
            session = Session(device if session is None else session.device, peer, hash(call_id), 0.0, now_s)
            self._sessions.put(session)
        elif session.peer != peer:
            self._sessions.move(session, peer)
        session.expires_s = now_s + granted
        session.heard_s = now_s
        session.is_lost = False
        session.version = V2016 if version is None else min(V2022, version)
        return granted, Outcome.REFRESHED if is_refresh else Outcome.REGISTERED, session

    def _challenge(self, device: str, peer: Peer, *, stale: bool) -> Answer:
        headers = challenge_headers(
            self._realm,
            self._nonces.make(device, peer[1], self._clock.monotonic()),
            with_qop=self._offer_qop(device),
            is_stale=stale,
            version=V2022,
        )
        return Answer(status=401, headers=headers, outcome=Outcome.CHALLENGED, device=device)

    def _refuse(self, status: int, device: str, reason: str, *, retry_s: float = 0.0) -> Answer:
        headers = [("X-GB-Ver", str(V2022))]
        if retry_s > 0:
            headers.append(("Retry-After", str(int(retry_s) + 1)))
        return Answer(status=status, headers=tuple(headers), outcome=Outcome.REFUSED, device=device, reason=reason)

    def _count_failure(self, key: tuple[str, str], now_s: float) -> None:
        guesser = self._guessers.setdefault(key, _Guesser())
        self._guessers.move_to_end(key)
        if len(self._guessers) > MOST_GUESSERS:
            self._guessers.popitem(last=False)
        guesser.failures += 1
        if self._sessions.get(key[0]) is None:
            address = self._addresses.setdefault(key[1], _Address())
            self._addresses.move_to_end(key[1])
            if len(self._addresses) > MOST_GUESSERS:
                self._addresses.popitem(last=False)
            address.level, address.at_s = min(address.left(now_s) + 1, ADDRESS_BURST), now_s
        guesser.silent_until_s = now_s + BACKOFF_S[min(guesser.failures, len(BACKOFF_S) - 1)]

    def _address_wait_s(self, device: str, host: str, now_s: float) -> float:
        """Seconds that an address has to wait for devices that are not registered; those that are don't wait."""
        address = self._addresses.get(host)
        if address is None or self._sessions.get(device) is not None:
            return 0.0
        return address.wait_s(now_s)
