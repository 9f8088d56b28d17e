"""Digest: the published sample, our computed ones, both ends against each other, and text that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.kernel.errors import Unsupported, WireError
from anwang.wire.digest import HASHES, Authorization, Challenge, answer, best, digest, ha1, proves, verify

NONCE = "6fe9ba44a76be22a"
OURS = "34020000001320000001"
URI = "sip:34020000002000000001@3402000000"


def test_published_sample_of_the_standard() -> None:
    """gb28181.md §21: printed in the national standard's REGISTER sample, password 12345678."""
    given_ = Authorization.parse(
        'Digest username="64010000002020000001", realm="64010000", nonce="6fe9ba44a76be22a", '
        'uri="sip:64010000002000000001@172.18.16.5:5060", response="9625d92d1bddea7a911926e0db054968", algorithm=MD5'
    )
    known = ha1("64010000002020000001", "64010000", "12345678")
    assert verify(given_, method="Register", ha1_hex=known)
    assert not verify(given_, method="INVITE", ha1_hex=known)


def test_computed_samples() -> None:
    """gb28181.md §21."""
    known = ha1(OURS, "3402000000", "12345678")
    assert known == "8258341d7dd730ce4d3b8fd2db050320"
    plain = Authorization(username=OURS, realm="3402000000", nonce=NONCE, uri=URI, response="")
    assert digest(known, "REGISTER", plain) == "6a2143ae65b119e276a75f0a4a8992b7"
    auth = Authorization(
        username=OURS, realm="3402000000", nonce=NONCE, uri=URI, response="",
        qop="auth", nc="00000001", cnonce="0a4f113b",
    )  # fmt: skip
    assert digest(known, "REGISTER", auth) == "fb6d2f768312116118c121c2608cf961"


def test_published_sample_of_rfc_7616() -> None:
    """RFC 7616 3.9.1, SHA-256 and MD5 with qop=auth."""
    common = {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "uri": "/dir/index.html",
        "qop": "auth",
        "nc": "00000001",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "response": "",
    }
    for algorithm, expected in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        known = ha1("Mufasa", "http-auth@example.org", "Circle of Life", algorithm)
        assert digest(known, "GET", Authorization(**common, algorithm=algorithm)) == expected


@pytest.mark.parametrize("algorithm", sorted(HASHES))
@pytest.mark.parametrize("qop", [(), ("auth",), ("auth-int", "auth")])
def test_both_ends_meet(algorithm: str, qop: tuple[str, ...]) -> None:
    offered = Challenge.parse(
        str(Challenge(realm="340200", nonce="n/1=", algorithm=algorithm, qop=qop, opaque='a"b', is_stale=True))
    )
    assert offered.is_stale
    assert offered.opaque == 'a"b'
    proof = answer(offered, method="OPTIONS", uri="rtsp://192.0.2.9/1", username="u", password="p", cnonce="c", nc=3)
    again = Authorization.parse(str(proof))
    assert again == proof
    assert again.nc == ("00000003" if qop else "")
    assert verify(again, method="OPTIONS", ha1_hex=ha1("u", "340200", "p", algorithm))
    assert not verify(again, method="OPTIONS", ha1_hex=ha1("u", "340200", "q", algorithm))


def test_loose_spelling_of_old_devices() -> None:
    found = Authorization.parse(
        'DIGEST UserName=a,realm=r , nonce = "n",uri="sip:x@y", Response="AB", algorithm="md5",qop=AUTH,nc=1,cnonce=z'
    )
    assert (found.username, found.realm, found.nonce, found.response, found.qop) == ("a", "r", "n", "ab", "auth")
    assert Challenge.parse('Digest realm="", nonce="n"').algorithm == "MD5"


def test_what_we_cannot_check_is_never_true() -> None:
    odd = Authorization(username="a", realm="r", nonce="n", uri="u", response="", algorithm="MD5-sess")
    assert not verify(odd, method="GET", ha1_hex="")
    with pytest.raises(Unsupported):
        digest("", "GET", odd)
    with pytest.raises(Unsupported):
        answer(Challenge(realm="r", nonce="n", qop=("auth-int",)), method="GET", uri="u", username="a", password="b")
    assert "response=***" in repr(odd)


def test_the_strongest_challenge_is_answered() -> None:
    weak, strong = Challenge(realm="r", nonce="1"), Challenge(realm="r", nonce="2", algorithm="sha-256")
    assert best([weak, strong, Challenge(realm="r", nonce="3", algorithm="X")]) is strong
    assert best([]) is None


@pytest.mark.parametrize(
    "text", ["", "Basic abc", "Digest", "Digest realm", 'Digest realm="a', "Digest =", "Digest ,,"]
)
def test_broken_headers(text: str) -> None:
    with pytest.raises(WireError):
        Authorization.parse(text)
    with pytest.raises(WireError):
        Challenge.parse(text)


_PART = st.sampled_from(
    [
        "Digest ",
        'username="a"',
        'username=""',
        'realm="r"',
        'nonce="n"',
        'nonce=""',
        'uri="u"',
        'response="0f"',
        'response=""',
        "algorithm=MD5",
        "algorithm=",
        "qop=auth",
        "nc=00000001",
        'cnonce="c"',
        "x=y",
        '"',
        "\\",
        ", ",
        ",",
        " ",
    ]
)
_ORDINARY = ['username="a"', 'realm="r"', 'nonce="n"', 'uri="u"', 'response="0f"']


@given(st.lists(_PART, max_size=12), st.sampled_from([", ", ","]))
def test_the_short_way_means_what_the_long_way_means(parts: list[str], comma: str) -> None:
    for text in ("".join(parts), "Digest " + comma.join(parts), "Digest " + comma.join([*_ORDINARY, *parts])):
        try:
            long = Authorization._parse_any(text)
        except WireError:
            with pytest.raises(WireError):
                Authorization.parse(text)
        else:
            assert Authorization.parse(text) == long


@given(st.text(max_size=300))
def test_any_text_is_no_worse_than_a_wire_error(text: str) -> None:
    for kind in (Authorization, Challenge):
        for candidate in (text, "Digest " + text):
            try:
                kind.parse(candidate)
            except WireError:
                continue


@given(st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]), max_size=30))
def test_quoting_survives(text: str) -> None:
    proof = Authorization(username=text, realm=text, nonce=text, uri=text, response="00")
    assert Authorization.parse(str(proof)) == proof


_PART = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\\\'), max_size=12)


@given(_PART, _PART, st.text(max_size=8), _PART, _PART, st.sampled_from(["", "00000001", "000000ff"]), st.booleans())
def test_bytes_prove_what_text_proves(
    username: str, realm: str, password: str, nonce: str, uri: str, nc: str, is_right: bool
) -> None:
    cnonce = "c" if nc else ""
    known = ha1(username, realm, password if is_right else password + "x")
    draft = Authorization(username, realm, nonce, uri, "", qop="auth" if nc else "", nc=nc, cnonce=cnonce)
    given_ = draft._replace(response=digest(known, "REGISTER", draft))
    proven = proves(
        given_.response.encode(), method=b"REGISTER", username=username.encode(), realm=realm.encode(),
        password=password.encode(), nonce=nonce.encode(), uri=uri.encode(), nc=nc.encode(), cnonce=cnonce.encode(),
    )  # fmt: skip
    assert proven is is_right
    assert proven is verify(given_, method="REGISTER", ha1_hex=ha1(username, realm, password))
