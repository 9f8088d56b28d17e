"""HTTP digest for SIP and RTSP, both ends (RFC 2617 with qop=auth, RFC 2069 without, RFC 7616 algorithms).

A platform stores HA1, never a password: `ha1` makes it once, `verify` needs two hashes. Making nonces and judging
their age is the caller's. The method counts in upper case even where the request line says `Register` (as in the
samples of GB/T 28181).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, Self

from anwang.kernel.errors import Unsupported, WireError

#: its copy costs half of a new one, where OpenSSL looks the algorithm up
_EMPTY_MD5: Final = hashlib.md5(usedforsecurity=False)


def _md5(data: bytes) -> str:
    begun = _EMPTY_MD5.copy()
    begun.update(data)
    return begun.hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sm3(data: bytes) -> str:
    return hashlib.new("sm3", data).hexdigest()


#: algorithm in upper case → hash; SM3 (GB/T 32905) only where this machine's OpenSSL has it
HASHES: Final[dict[str, Callable[[bytes], str]]] = {"MD5": _md5, "SHA-256": _sha256}
if "sm3" in hashlib.algorithms_available:
    HASHES["SM3"] = _sm3
#: best first, for choosing among several challenges
STRENGTH: Final = ("SM3", "SHA-256", "MD5")

MAX_FIELD: Final = 4096
_PAIR: Final = re.compile(r'\s*([A-Za-z][A-Za-z0-9_-]{0,31})\s*=\s*("(?:[^"\\]|\\.)*"|[^",\s]*)\s*(?:,|$)')
_PAIRS: Final = re.compile(f"(?:{_PAIR.pattern})*")

#: an Authorization as most devices write it, read by one pattern; the rest goes the long way and means the same
_PLAIN: Final = re.compile(
    r'Digest username="([^"\\]*)", ?realm="([^"\\]*)", ?nonce="([^"\\]+)", ?uri="([^"\\]*)", ?response="([0-9a-f]*)"'
    r'(?:, ?algorithm=([0-9A-Za-z-]+))?(?:, ?qop=auth, ?nc=([0-9a-f]{8}), ?cnonce="([^"\\]*)")?'
)


def _hash(algorithm: str) -> Callable[[bytes], str]:
    try:
        return HASHES[algorithm if algorithm in HASHES else algorithm.upper()]
    except KeyError:
        raise Unsupported(f"digest algorithm {algorithm[:40]!r}", f"one of {', '.join(HASHES)}") from None


def ha1(username: str, realm: str, password: str, algorithm: str = "MD5") -> str:
    """H(username:realm:password) in lower-case hex: what a server stores. Raises Unsupported."""
    return _hash(algorithm)(f"{username}:{realm}:{password}".encode())


def _fields(text: str) -> tuple[str, dict[str, str]]:
    """Scheme and parameters; names in lower case, quotes undone, the first of a name counts."""
    if len(text) > MAX_FIELD:
        raise WireError(f"a digest header of {len(text)} characters is above {MAX_FIELD}")
    scheme, _, rest = text.strip().partition(" ")
    found: dict[str, str] = {}
    if _PAIRS.fullmatch(rest):
        for name, value in _PAIR.findall(rest):
            found.setdefault(name.lower(), _unquoted(value))
        return scheme, found
    position = 0
    while position < len(rest):
        match = _PAIR.match(rest, position)
        if match is None:
            raise WireError("a digest parameter is broken", data=text.encode(errors="replace"), offset=position)
        position = match.end()
    return scheme, found


def _unquoted(value: str) -> str:
    if value[:1] != '"':
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if "\\" in value else value[1:-1]


def _quoted(text: str) -> str:
    clean = re.sub(r"[\r\n\x00]", "", text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{clean}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What stands in WWW-Authenticate. qop: offered qualities, empty for the RFC 2069 form that old devices want."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: tuple[str, ...] = ()
    opaque: str = ""
    is_stale: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises WireError for another scheme or a missing realm or nonce."""
        scheme, found = _fields(text)
        if scheme.lower() != "digest":
            raise WireError(f"{scheme[:40]!r} is not the digest scheme")
        if "realm" not in found or not found.get("nonce"):
            raise WireError("a challenge lacks realm or nonce")
        return cls(
            realm=found["realm"],
            nonce=found["nonce"],
            algorithm=found.get("algorithm") or "MD5",
            qop=tuple(part.strip().lower() for part in found.get("qop", "").split(",") if part.strip()),
            opaque=found.get("opaque", ""),
            is_stale=found.get("stale", "").lower() == "true",
        )

    def __str__(self) -> str:
        parts = [f"realm={_quoted(self.realm)}", f"nonce={_quoted(self.nonce)}"]
        if self.opaque:
            parts.append(f"opaque={_quoted(self.opaque)}")
        if self.is_stale:
            parts.append("stale=TRUE")
        parts.append(f"algorithm={self.algorithm}")
        if self.qop:
            parts.append(f"qop={_quoted(','.join(self.qop))}")
        return "Digest " + ", ".join(parts)


class Authorization(NamedTuple):
    """What stands in Authorization. qop, nc, cnonce are empty in the RFC 2069 form; nc is eight hex digits."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = "MD5"
    qop: str = ""
    nc: str = ""
    cnonce: str = ""
    opaque: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises WireError for another scheme or a missing username, realm, nonce, uri or response."""
        plain = _PLAIN.fullmatch(text)
        if plain is not None and len(text) <= MAX_FIELD:
            username, realm, nonce, uri, response, algorithm, nc, cnonce = plain.groups()
            return cls(
                username=username,
                realm=realm,
                nonce=nonce,
                uri=uri,
                response=response,
                algorithm=algorithm or "MD5",
                qop="auth" if nc else "",
                nc=nc or "",
                cnonce=cnonce or "",
            )
        return cls._parse_any(text)

    @classmethod
    def _parse_any(cls, text: str) -> Self:
        scheme, found = _fields(text)
        if scheme.lower() != "digest":
            raise WireError(f"{scheme[:40]!r} is not the digest scheme")
        lacking = [name for name in ("username", "realm", "nonce", "uri", "response") if name not in found]
        if lacking:
            raise WireError(f"an Authorization lacks {', '.join(lacking)}")
        return cls(
            username=found["username"],
            realm=found["realm"],
            nonce=found["nonce"],
            uri=found["uri"],
            response=found["response"].lower(),
            algorithm=found.get("algorithm") or "MD5",
            qop=found.get("qop", "").lower(),
            nc=found.get("nc", ""),
            cnonce=found.get("cnonce", ""),
            opaque=found.get("opaque", ""),
        )

    def __str__(self) -> str:
        parts = [
            f"username={_quoted(self.username)}",
            f"realm={_quoted(self.realm)}",
            f"nonce={_quoted(self.nonce)}",
            f"uri={_quoted(self.uri)}",
            f"response={_quoted(self.response)}",
            f"algorithm={self.algorithm}",
        ]
        if self.qop:
            parts += [f"qop={self.qop}", f"nc={self.nc}", f"cnonce={_quoted(self.cnonce)}"]
        if self.opaque:
            parts.append(f"opaque={_quoted(self.opaque)}")
        return "Digest " + ", ".join(parts)

    def __repr__(self) -> str:
        return f"Authorization(username={self.username!r}, realm={self.realm!r}, uri={self.uri!r}, response=***)"


@lru_cache(maxsize=256)
def _ha2(algorithm: str, method: str, uri: str) -> str:
    """The same for all who register at one platform."""
    return _hash(algorithm)(f"{method.upper()}:{uri}".encode())


def digest(ha1_hex: str, method: str, given: Authorization) -> str:
    """The response that `given` should carry, in its own form and algorithm. Raises Unsupported, also for auth-int."""
    hashed = _hash(given.algorithm)
    ha2 = _ha2(given.algorithm, method, given.uri)
    if not given.qop:
        return hashed(f"{ha1_hex}:{given.nonce}:{ha2}".encode())
    if given.qop != "auth":
        raise Unsupported(f"digest qop {given.qop[:40]!r}", "auth, or none")
    return hashed(f"{ha1_hex}:{given.nonce}:{given.nc}:{given.cnonce}:auth:{ha2}".encode())


def verify(given: Authorization, *, method: str, ha1_hex: str) -> bool:
    """Whether the response proves knowledge of HA1, compared in constant time.

    The caller has checked realm, nonce and its age, and that HA1 was made with `given.algorithm`. An algorithm or qop
    that we don't speak is False, not an error: a peer must not choose its way past the check.
    """
    try:
        expected = digest(ha1_hex, method, given)
    except Unsupported:
        return False
    return hmac.compare_digest(expected.encode(), given.response.encode())


def proves(
    response: bytes,
    method: bytes,
    username: bytes,
    realm: bytes,
    password: bytes,
    nonce: bytes,
    uri: bytes,
    nc: bytes = b"",
    cnonce: bytes = b"",
) -> bool:
    """`verify` for MD5 and a password, of parts that are bytes already. nc: empty without qop. response: lower case."""
    known = _md5(b"%b:%b:%b" % (username, realm, password)).encode()
    asked = _raw_ha2(method, uri)
    if nc:
        expected = _md5(b"%b:%b:%b:%b:auth:%b" % (known, nonce, nc, cnonce, asked))
    else:
        expected = _md5(b"%b:%b:%b" % (known, nonce, asked))
    return hmac.compare_digest(expected.encode(), response)


@lru_cache(maxsize=256)
def _raw_ha2(method: bytes, uri: bytes) -> bytes:
    return _md5(b"%b:%b" % (method, uri)).encode()


def answer(
    challenge: Challenge, *, method: str, uri: str, username: str, password: str, cnonce: str = "", nc: int = 1
) -> Authorization:
    """The client's side. cnonce: fresh random text, used only where the server offers qop=auth; nc: uses of this nonce.

    Raises Unsupported for an algorithm we don't speak, or a server that insists on auth-int.
    """
    if challenge.qop and "auth" not in challenge.qop:
        raise Unsupported(f"digest qop {','.join(challenge.qop)[:40]!r}", "auth, or none")
    with_qop = "auth" in challenge.qop
    draft = Authorization(
        username=username,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=uri,
        response="",
        algorithm=challenge.algorithm,
        qop="auth" if with_qop else "",
        nc=f"{nc:08x}" if with_qop else "",
        cnonce=cnonce if with_qop else "",
        opaque=challenge.opaque,
    )
    known = ha1(username, challenge.realm, password, challenge.algorithm)
    return draft._replace(response=digest(known, method, draft))


def best(challenges: list[Challenge]) -> Challenge | None:
    """The strongest challenge that we can answer, None where there is none."""
    able = [one for one in challenges if one.algorithm.upper() in HASHES and (not one.qop or "auth" in one.qop)]
    return min(able, key=lambda one: STRENGTH.index(one.algorithm.upper()), default=None)
