"""One-time codes by time (RFC 6238): SHA-1, steps of 30 s, six digits, as every authenticator app knows them.

Twenty lines with the vectors of the RFC; a dependency for them would cost more than it saves.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from urllib.parse import quote

STEP_SECONDS = 30
DIGITS = 6
SECRET_BYTES = 20
#: steps before and after the present one that are taken, for clocks that are a little off
TOLERANCE = 1


def new_secret() -> str:
    """A random secret in base32, as apps want it typed in."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def code_of(secret: str, step: int, *, digits: int = DIGITS) -> str:
    """The code of a step (RFC 4226 5.3). secret: base32."""
    digest = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), "sha1")
    at = digest[-1] & 15
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**digits:0{digits}d}"


def step_of(secret: str, code: str, now: float, *, after: int) -> int | None:
    """The step that the code belongs to, if it is near now and later than `after`, the last one used. now: Unix time.

    All steps are compared, in time that does not tell which fits.
    """
    present = int(now // STEP_SECONDS)
    given = "".join(code.split()).encode("utf-8", "replace")
    found = None
    for step in range(present - TOLERANCE, present + TOLERANCE + 1):
        if hmac.compare_digest(code_of(secret, step).encode(), given) and step > after:
            found = step
    return found


def address(secret: str, *, issuer: str, account: str) -> str:
    """What an app reads from the square code: otpauth://totp/…"""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer, safe='')}&period={STEP_SECONDS}"
