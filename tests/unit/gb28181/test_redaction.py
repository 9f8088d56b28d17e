"""What can be used to sign in never leaves the capture, however a device writes it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.gateways.gb28181.capture import Capture, Captured, pcap, redact

SECRET = b"s3cr3tPROOF0"
SPACE = st.sampled_from(["", " ", "\t", "  "])


def cases(word: str) -> st.SearchStrategy[str]:
    """The word in any mix of capitals and small letters."""
    return st.lists(st.booleans(), min_size=len(word), max_size=len(word)).map(
        lambda up: "".join(c.upper() if u else c.lower() for c, u in zip(word, up, strict=True))
    )


@given(name=cases("response"), before=SPACE, after=SPACE, quoted=st.booleans(), header=cases("Authorization"))
def test_the_digest_s_proof_in_any_case_and_spacing(
    name: str, before: str, after: str, quoted: bool, header: str
) -> None:
    value = f'"{SECRET.decode()}"' if quoted else SECRET.decode()
    message = f'{header}: Digest username="u", realm="r", {name}{before}={after}{value}, algorithm=MD5\r\n'.encode()
    safe = redact(message)
    assert SECRET not in safe
    assert b'username="u"' in safe and b"algorithm=MD5" in safe, "what names the device may be seen"


@given(header=cases("Authorization"), proxy=st.booleans(), scheme=st.sampled_from(["Basic", "Bearer", "Unidirection"]))
def test_other_schemes_go_whole_folded_lines_too(header: str, proxy: bool, scheme: str) -> None:
    head = f"{'Proxy-' if proxy else ''}{header}: {scheme} a=b,\r\n {SECRET.decode()}\r\nCSeq: 1 REGISTER\r\n".encode()
    safe = redact(b"REGISTER sip:a@b SIP/2.0\r\n" + head)
    assert SECRET not in safe and b"CSeq: 1 REGISTER" in safe


@given(element=cases("Password"), before=SPACE, prefix=st.sampled_from(["", "gb:"]))
def test_passwords_in_bodies(element: str, before: str, prefix: str) -> None:
    body = f"<{prefix}{element}{before}>{SECRET.decode()}</{prefix}{element}{before}><Name>n</Name>".encode()
    assert SECRET not in redact(body) and b"<Name>n</Name>" in redact(body)
    attribute = f"<Item {element}{before}={before}'{SECRET.decode()}' a='b'/>".encode()
    assert SECRET not in redact(attribute) and b"a='b'" in redact(attribute)


@pytest.mark.parametrize(
    "line",
    [
        b"k=clear:" + SECRET,
        b"K = base64:" + SECRET,
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + SECRET,
        b"a=key-mgmt:mikey " + SECRET,
        b"From: <sip:340100:" + SECRET + b"@10.0.0.1>",
        b'SecurityInfo: Unidirection cryptkey="' + SECRET + b'", algorithm="x"',
    ],
)
def test_keys_in_sdp_and_addresses(line: bytes) -> None:
    safe = redact(b"v=0\r\n" + line + b"\r\nm=video 1 RTP/AVP 96\r\n")
    assert SECRET not in safe and safe.startswith(b"v=0\r\n") and safe.endswith(b"\r\nm=video 1 RTP/AVP 96\r\n")


@pytest.mark.parametrize(
    "line",
    [b"From: <sip:34010000001320000001@3401000000:5060>;tag=1", b"s=Play", b"y=0200000001", b"<Name>k=v</Name>"],
)
def test_what_is_no_secret_stays(line: bytes) -> None:
    assert redact(b"a\r\n" + line + b"\r\n") == b"a\r\n" + line + b"\r\n"


@given(st.binary(max_size=4000))
def test_anything_can_be_redacted_and_twice_is_once(data: bytes) -> None:
    safe = redact(data)
    assert redact(safe) == safe
    assert len(safe) < 20 * len(data) + 100


def test_a_file_for_an_analyser_is_redacted_too() -> None:
    capture = Capture()
    data = b"REGISTER sip:a SIP/2.0\r\nAuthorization: Digest RESPONSE = " + SECRET + b"\r\n\r\n"
    capture.note("d", Captured(1, False, "udp", ("127.0.0.1", 1), ("127.0.0.1", 2), data))
    assert SECRET not in pcap(capture.messages("d"))
    assert re.search(rb"RESPONSE = \"\[redacted\]\"", pcap(capture.messages("d")))
