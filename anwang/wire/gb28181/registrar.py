"""The platform's side of REGISTER: reading it, challenging, granting. No state: nonces carry their own proof and age.

asked = read_register(request)          # or read_fast, where `fast_register` has read it; `Login` needs no reading
if asked.authorization is None: reply 401 with challenge_headers(nonces.make(…))
… nonces.check(…), digest.verify(…) … reply 200 with granted_headers(…)
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from anwang.kernel.errors import WireError
from anwang.wire.digest import Authorization, Challenge
from anwang.wire.gb28181.codes import Version, format_date, format_time, parse_version
from anwang.wire.gb28181.fast import FastRegister
from anwang.wire.sip.message import Request

#: shorter registrations are not granted, longer ones than a day neither
MIN_EXPIRES: Final = 60
MAX_EXPIRES: Final = 86400
DEFAULT_EXPIRES: Final = 3600


class RegisterAsked(NamedTuple):
    """What a REGISTER says. expires_s: 0 is a log-out, None where it says nothing. version: None is 2016 or older.

    contact: the address of its first Contact, empty where there is none. authorization: None where there is none that
    we can read (another scheme counts as none). A new call_id means that the device has restarted.
    """

    device_id: str
    expires_s: int | None
    contact: str
    authorization: Authorization | None
    version: Version | None
    call_id: str
    cseq: int
    user_agent: str

    @property
    def is_log_out(self) -> bool:
        """Whether the device leaves."""
        return self.expires_s == 0


def read_register(request: Request) -> RegisterAsked:
    """Raises WireError where From, To or CSeq is broken, or From and To name different devices."""
    sender, about = request.from_.uri.user, request.to.uri.user
    if not about or sender != about:
        raise WireError(f"a REGISTER from {sender[:40]!r} for {about[:40]!r}")
    proof: Authorization | None
    try:
        proof = Authorization.parse(request.headers.get("Authorization"))
    except WireError:
        proof = None
    contacts = request.contacts
    return RegisterAsked(
        device_id=about,
        expires_s=request.expires,
        contact=str(contacts[0].uri) if contacts else "",
        authorization=proof,
        version=parse_version(request.headers.get("X-GB-Ver")),
        call_id=request.call_id,
        cseq=request.cseq.number,
        user_agent=request.headers.get("User-Agent")[:256],
    )


def read_fast(fast: FastRegister) -> RegisterAsked:
    """The same of a REGISTER that one pattern has read. Never raises."""
    proof: Authorization | None = None
    if fast.authorization:
        try:
            proof = Authorization.parse(fast.authorization.decode())
        except WireError:
            proof = None
    return RegisterAsked(
        device_id=fast.device.decode(),
        expires_s=int(fast.expires) if fast.expires else None,
        contact=fast.contact[1:-1].decode(),
        authorization=proof,
        version=parse_version(fast.version.decode()) if fast.version else None,
        call_id=fast.call_id.decode(),
        cseq=int(fast.cseq.partition(b" ")[0]),
        user_agent=fast.user_agent[:256].decode(),
    )


def granted_expires(asked_s: int | None, *, most_s: int = MAX_EXPIRES) -> int:
    """What a device gets for what it asks: within [60, most_s]; an hour where it says nothing; 0 for a log-out."""
    if asked_s == 0:
        return 0
    return max(MIN_EXPIRES, min(DEFAULT_EXPIRES if asked_s is None else asked_s, most_s))


def _version(version: Version | None) -> Iterable[tuple[str, str]]:
    return (("X-GB-Ver", str(version)),) if version is not None else ()


def challenge_headers(
    realm: str,
    nonce: str,
    *,
    algorithm: str = "MD5",
    with_qop: bool = False,
    is_stale: bool = False,
    version: Version | None = None,
) -> tuple[tuple[str, str], ...]:
    """Headers of a 401. with_qop: breaks a few old devices. version: ours, for every answer (2022 annex I)."""
    if not (nonce.isascii() and nonce.isalnum()):
        offered = Challenge(
            realm=realm, nonce=nonce, algorithm=algorithm, qop=("auth",) if with_qop else (), is_stale=is_stale
        )
        return ("WWW-Authenticate", str(offered)), *_version(version)
    before, after = _around_nonce(realm, algorithm, with_qop, is_stale)
    return ("WWW-Authenticate", f"{before}{nonce}{after}"), *_version(version)


@lru_cache(maxsize=64)
def _around_nonce(realm: str, algorithm: str, with_qop: bool, is_stale: bool) -> tuple[str, str]:
    """What stands before and after the nonce of a challenge: all challenges of a platform differ only there."""
    mark = "0nonce0"
    offered = Challenge(
        realm=realm, nonce=mark, algorithm=algorithm, qop=("auth",) if with_qop else (), is_stale=is_stale
    )
    head, _, rest = str(offered).partition(', nonce="')
    return f'{head}, nonce="', rest.removeprefix(mark)


def challenge_lines(realm: str, nonce: bytes, *, with_qop: bool, is_stale: bool, version: Version) -> bytes:
    """`challenge_headers` of an MD5 challenge as lines. nonce: letters and digits."""
    before, after = _around_lines(realm, with_qop, is_stale, version)
    return before + nonce + after


@lru_cache(maxsize=64)
def _around_lines(realm: str, with_qop: bool, is_stale: bool, version: Version) -> tuple[bytes, bytes]:
    before, after = _around_nonce(realm, "MD5", with_qop, is_stale)
    return f"WWW-Authenticate: {before}".encode(), f"{after}\r\nX-GB-Ver: {version}\r\n".encode()


def granted_lines(contact: bytes | None, expires_s: int, now_us: int, *, version: Version) -> bytes:
    """`granted_headers` as lines. contact: the URI of the request's Contact. now_us: microseconds since 1970 UTC."""
    second, micros = divmod(now_us, 1_000_000)
    tail = b"Expires: %d\r\nDate: %b.%03d\r\n%b" % (expires_s, _second(second), micros // 1000, _version_line(version))
    return tail if contact is None else b"Contact: <%b>;expires=%d\r\n%b" % (contact, expires_s, tail)


@lru_cache(maxsize=4)
def _second(second: int) -> bytes:
    return format_time(datetime.fromtimestamp(second, UTC)).encode()


@lru_cache(maxsize=4)
def _version_line(version: Version) -> bytes:
    return f"X-GB-Ver: {version}\r\n".encode()


def granted_headers(
    asked: RegisterAsked, expires_s: int, now: datetime, *, version: Version | None = None
) -> tuple[tuple[str, str], ...]:
    """Headers of the 200: Contact, Expires and the Date that sets the device's clock; some devices want all three."""
    contact = (("Contact", f"<{asked.contact}>;expires={expires_s}"),) if asked.contact else ()
    return *contact, ("Expires", str(expires_s)), ("Date", format_date(now)), *_version(version)


class NonceAge(StrEnum):
    """What a nonce that came back is. FOREIGN: never given to that device at that address."""

    FRESH = "fresh"
    STALE = "stale"
    FOREIGN = "foreign"


class Nonces:
    """Makes nonces that need no memory: time and a keyed hash over time, device and source address.

    secret: 16 bytes or more, the same in all processes that answer for one platform. Within life_s a nonce may be used
    again, so that a refresh costs one round trip; whoever overhears a REGISTER can repeat just that request from the
    same address in that time.
    """

    def __init__(self, secret: bytes, *, life_s: int = 300) -> None:
        # a keyed hash that has taken in its key; each proof goes on from a copy
        self._keyed = blake2b(key=blake2b(secret, digest_size=32).digest(), digest_size=16)
        self._life_s = life_s

    def make(self, device_id: str, host: str, now: float) -> str:
        """40 hex digits. now: seconds on any clock that doesn't jump back."""
        return self.make_raw(_raw(device_id), _raw(host), now).decode()

    def make_raw(self, device_id: bytes, host: bytes, now: float) -> bytes:
        """The same of bytes, for a nonce that goes into a message at once."""
        return self._made(b"%08x" % (int(now) & 0xFFFFFFFF), device_id, host)

    def check(self, nonce: str, device_id: str, host: str, now: float) -> NonceAge:
        """Whether a nonce was made for that device and address, and how old it is. Never raises."""
        return self.check_raw(_raw(nonce), _raw(device_id), _raw(host), now)

    def check_raw(self, nonce: bytes, device_id: bytes, host: bytes, now: float) -> NonceAge:
        """The same of bytes."""
        moment = nonce[:8]
        if len(nonce) != 40 or not hmac.compare_digest(self._made(moment, device_id, host), nonce):
            return NonceAge.FOREIGN
        age = (int(now) - int(moment, 16)) & 0xFFFFFFFF
        return NonceAge.FRESH if age <= self._life_s else NonceAge.STALE

    def _made(self, moment: bytes, device_id: bytes, host: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(b"%b\n%b\n%b" % (moment, device_id, host))
        return moment + keyed.hexdigest().encode()


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "replace")
