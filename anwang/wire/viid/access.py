"""Digest of the registration (GA/T 1400.4-2017, RFC 2617): a challenge that simple clients can take apart, both ends.

Making nonces, judging their age and the number of uses is the caller's; so is the look-up of the account by username.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from anwang.kernel.errors import Invalid
from anwang.wire.digest import Authorization, Challenge, answer, ha1, verify

__all__ = ["answered", "challenge", "ha1", "is_proved", "read_authorization"]

_HEX = re.compile(r"[0-9a-f]{8,64}", re.ASCII)
_PLAIN = re.compile(r"[\w.@-]{1,64}", re.ASCII)


def challenge(realm: str, nonce: str) -> str:
    """The value of WWW-Authenticate: realm first, no blank after a comma, a nonce of hex digits.

    Clients in the field split it at `,` and `=`, so it holds neither elsewhere. Raises Invalid for a realm or nonce
    that they could not read.
    """
    if not _PLAIN.fullmatch(realm) or not _HEX.fullmatch(nonce):
        raise Invalid("a challenge needs a plain realm and a nonce of 8 to 64 hex digits")
    return f'Digest realm="{realm}",qop="auth",nonce="{nonce}"'


def read_authorization(header: str) -> Authorization:
    """The value of Authorization. Raises WireError."""
    return Authorization.parse(header)


def is_proved(given: Authorization, *, method: str, target: str, ha1_hex: str) -> bool:
    """Whether a request was made by who knows the password.

    target: of the request line. `uri` may be that, or the whole address: it counts as the client wrote it, but must be
    of this path. The caller has checked realm and nonce.
    """
    return _path(given.uri) == _path(target) and verify(given, method=method, ha1_hex=ha1_hex)


def _path(uri: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    return parts.path.rstrip("/"), parts.query


def answered(header: str, *, method: str, uri: str, username: str, password: str, cnonce: str, nc: int = 1) -> str:
    """The value of Authorization for a WWW-Authenticate. cnonce: fresh hex digits. Raises WireError, Unsupported."""
    given = answer(
        Challenge.parse(header), method=method, uri=uri, username=username, password=password, cnonce=cnonce, nc=nc
    )
    return str(given)
