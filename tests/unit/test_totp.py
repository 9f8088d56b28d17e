"""Codes by time against the vectors of RFC 6238 (appendix B, SHA-1) and RFC 4226 (appendix D)."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from anwang.governance.factors.totp import STEP_SECONDS, address, code_of, new_secret, step_of

SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_rfc_6238(moment: int, code: str) -> None:
    assert code_of(SECRET, moment // STEP_SECONDS, digits=8) == code
    assert code_of(SECRET, moment // STEP_SECONDS) == code[2:]


def test_rfc_4226() -> None:
    codes = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
    assert [code_of(SECRET, count) for count in range(10)] == codes


def test_a_code_is_good_near_its_time_and_after_the_last_one() -> None:
    now = 1_000_000 * STEP_SECONDS + 7.0
    code = code_of(SECRET, 1_000_000)
    for off, fits in [(-2, False), (-1, True), (0, True), (1, True), (2, False)]:
        assert (step_of(SECRET, code, now + off * STEP_SECONDS, after=0) is not None) is fits
    assert step_of(SECRET, f"{code[:3]} {code[3:]}", now, after=999_999) == 1_000_000
    assert step_of(SECRET, code, now, after=1_000_000) is None
    for wrong in ("", "x", "１２３４５６", code + "0", code[:-1], "\ud800"):
        assert step_of(SECRET, wrong, now, after=0) is None


def test_what_the_app_reads() -> None:
    secret = new_secret()
    assert len(base64.b32decode(secret)) == 20 and secret != new_secret()
    found = urlsplit(address(secret, issuer="Anwang 安澜市", account="li.wei"))
    assert (found.scheme, found.netloc) == ("otpauth", "totp")
    assert parse_qs(found.query)["secret"] == [secret] and parse_qs(found.query)["issuer"] == ["Anwang 安澜市"]
