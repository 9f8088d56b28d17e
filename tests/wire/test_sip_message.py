"""SIP messages: what we read, what we write, what we refuse. Torture items are our own, after RFC 4475."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.kernel.errors import WireError
from anwang.wire import sip
from anwang.wire.digest import Authorization, ha1, verify
from anwang.wire.sip.message import MAX_BODY, MAX_HEAD, MAX_LINE
from anwang.wire.sip.transactions import stamp, tag_of
from anwang.wire.sip.values import split_outside

CORPUS = Path(__file__).parent / "corpus" / "gb28181"
DEVICE = "34020000001320000001"


def request(data: bytes) -> sip.Request:
    """A message that must be a request."""
    found = sip.parse(data)
    assert isinstance(found, sip.Request)
    return found


def response(data: bytes) -> sip.Response:
    """A message that must be a response."""
    found = sip.parse(data)
    assert isinstance(found, sip.Response)
    return found


def test_register_as_an_old_device_writes_it() -> None:
    """LF only, `Register`, folded and half quoted Authorization with an upper-case response: it still proves itself."""
    found = request((CORPUS / "register_lf_only_mixed_case.sip").read_bytes())
    assert (found.method, found.cseq) == ("REGISTER", sip.CSeq(2, "REGISTER"))
    assert found.from_.uri.user == found.to.uri.user == DEVICE
    assert found.from_.tag == "a17f"
    assert found.expires == 3600  # the Contact's, before the header's 86400
    assert found.headers.get("X-GB-Ver") == "3.0"
    proof = Authorization.parse(found.headers.get("Authorization"))
    assert verify(proof, method=found.method, ha1_hex=ha1(DEVICE, "3402000000", "12345678"))


def test_compact_names_and_mixed_cases() -> None:
    found = request((CORPUS / "keepalive_compact_headers.sip").read_bytes())
    assert found.via.branch == "z9hG4bKka2"
    assert found.from_.display == "NVR"
    assert found.content_type == "application/manscdp+xml"
    assert [name for name, _ in found.headers.items] == [
        "Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Type", "Content-Length",
    ]  # fmt: skip


def test_event_with_a_space() -> None:
    found = request((CORPUS / "subscribe_catalog_event_with_space.sip").read_bytes())
    event = sip.EventType.parse(found.headers.get("Event"))
    assert event == sip.EventType("Catalog", "1894")
    assert str(event) == "Catalog;id=1894"


def test_what_we_write() -> None:
    made = sip.compose(
        "MESSAGE",
        sip.Uri(DEVICE, "192.0.2.20", 5060),
        from_=sip.Address(sip.Uri("34020000002000000001", "3402000000"), (("tag", "t1"),)),
        to=sip.Address(sip.Uri(DEVICE, "3402000000")),
        call_id="c",
        cseq=7,
        content_type="Application/MANSCDP+xml",
        body="北".encode("gb18030"),
    )
    assert sip.serialize(made) == (
        b"MESSAGE sip:34020000001320000001@192.0.2.20:5060 SIP/2.0\r\n"
        b"From: <sip:34020000002000000001@3402000000>;tag=t1\r\n"
        b"To: <sip:34020000001320000001@3402000000>\r\n"
        b"Call-ID: c\r\n"
        b"CSeq: 7 MESSAGE\r\n"
        b"Max-Forwards: 70\r\n"
        b"Content-Type: Application/MANSCDP+xml\r\n"
        b"Content-Length: 2\r\n\r\n\xb1\xb1"
    )


def test_a_response_repeats_what_it_must() -> None:
    asked = request(
        b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h1;branch=z9hG4bK1, SIP/2.0/TCP h2;branch=z9hG4bK2\r\n"
        b"Via: SIP/2.0/UDP h3\r\nRecord-Route: <sip:p1;lr>\r\nFrom: sip:x@y;tag=1\r\nTo: <sip:a@b>\r\n"
        b"Call-ID: i\r\nCSeq: 1 INVITE\r\nSubject: s\r\nContent-Length: 0\r\n\r\n"
    )
    assert [sip.Via.parse(value).host for value in asked.vias] == ["h1", "h2", "h3"]
    ok = sip.response_to(asked, 200, to_tag="n", headers=(("Contact", "<sip:a@c>"),), content_type="x/y", body=b"b")
    text = sip.serialize(ok).decode()
    assert text.startswith("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h1;branch=z9hG4bK1, SIP/2.0/TCP h2")
    assert "To: <sip:a@b>;tag=n\r\n" in text
    assert "Record-Route: <sip:p1;lr>\r\n" in text
    assert "Subject" not in text
    trying = sip.serialize(sip.response_to(asked, 100, to_tag="n")).decode()
    assert "tag=n" not in trying
    assert "Record-Route" not in trying
    again = sip.response_to(request(b"A b SIP/2.0\r\nTo: <sip:a@b>;TAG=old\r\n\r\n"), 200, to_tag="n")
    assert again.to.tag == "old"


def test_bytes_that_are_no_utf8_are_echoed_as_they_came() -> None:
    """A display name in GB2312 must come back unchanged, or the device does not know its own From."""
    name = "海康".encode("gb2312")
    data = (
        b'OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: "'
        + name
        + b'" <sip:a@b>;tag=1\r\n\r\n'
    )
    found = request(data)
    assert b'From: "' + name + b'" <sip:a@b>;tag=1\r\n' in sip.serialize(sip.response_to(found, 200))
    assert sip.parse(sip.serialize(found)) == sip.parse(data.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"))


def test_a_line_end_in_a_value_cannot_become_a_header() -> None:
    made = sip.Request(
        method="MESSAGE", uri="sip:a@b", headers=sip.Headers.of((("Subject", "x\r\nEvil: 1\r\n\r\nbody"),))
    )
    again = request(sip.serialize(made))
    assert not again.headers.has("Evil")
    assert again.body == b""
    smuggled = request(b"MESSAGE sip:a@b SIP/2.0\r\nSubject: a\rEvil: 1\r\n\r\n")
    assert not smuggled.headers.has("Evil")
    assert b"\rE" not in sip.serialize(smuggled)


# ---- torture


TORTURE = (
    b"invite sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n"
    b"TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n"
    b'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n'
    b"MaX-fOrWaRdS: 0068\r\n"
    b"Call-ID: wsinv.ndaksdj@192.0.2.1\r\n"
    b"cseq: 0009\r\n  INVITE\r\n"
    b"Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n"
    b"s :\r\n"
    b"NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
    b"v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
    b" SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
    b'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n'
    b"  secondparam ; q = 0.33\r\n"
    b"l: 4\r\n\r\nbody and what follows the datagram's end"
)


def test_short_tortuous_invite() -> None:
    found = request(TORTURE)
    assert found.method == "INVITE"
    assert found.to.tag == "1918181833n"
    assert found.from_.display == 'J Rosenberg \\"'
    assert found.from_.tag == "98asjd8"
    assert found.cseq == sip.CSeq(9, "INVITE")
    assert found.body == b"body"
    assert found.headers.get("Subject") == ""
    assert found.headers.get("newfangledheader") == "newfangled value continued newfangled value"
    vias = [sip.Via.parse(value) for value in found.vias]
    assert [(via.transport, via.host, via.branch) for via in vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert found.contacts[0].display == 'Quoted string ""'
    assert ("secondparam", None) in found.contacts[0].params
    assert sip.parse(sip.serialize(found)).headers.without("Content-Length") == found.headers.without("Content-Length")


def test_unusual_but_right() -> None:
    odd = request(b"!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual@example.com SIP/2.0\r\nX: y\r\n\r\n")
    assert odd.method == "!INTERESTING-METHOD0123456789_*+`.%INDEED'~"
    assert response(b"SIP/2.0 200 = 2**3 * 5**2 but\r\nl:0\r\n\r\n").reason == "= 2**3 * 5**2 but"
    assert response(b"SIP/2.0 100\r\n\r\n").reason == ""
    assert response(b"sip/2.0 404 \xe4\xb8\x8d\xe5\xad\x98\xe5\x9c\xa8\r\n\r\n").reason == "不存在"
    assert request(b"\r\n\x00\r\nOPTIONS sip:a@b sip/2.0\r\n\r\n").method == "OPTIONS"
    assert request(b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h").via.host == "h"  # no empty line, no body
    assert request(b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabcdef").body == b"abc"
    assert sip.Via.parse("SIP/2.0/UDP [2001:db8::9:1]:5061;received=2001:db8::9:255;branch=z9hG4bK1").port == 5061


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"hello",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"INVITE sip:a@b SIP/7.0\r\n\r\n",
        b"SIP/7.0 200 OK\r\n\r\n",
        b"SIP/2.0 4294967301 better not break\r\n\r\n",
        b"SIP/2.0 99 low\r\n\r\n",
        b"SIP/2.0 \xb2\xb2\xb2 x\r\n\r\n",
        b"INVITE  SIP/2.0\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0 \x00\r\n\r\n",
        b"IN,VITE sip:a@b SIP/2.0\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\nno colon here\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\n folded: first\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\nVia\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\nBad Name: x\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\nContent-Length: -999\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\nContent-Length: 9999\r\n\r\nshort",
        b"INVITE sip:a@b SIP/2.0\r\nContent-Length: 99999999999\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\nab",
        b"INVITE sip:a@b SIP/2.0\r\nSubject: " + b"x" * (MAX_LINE + 1) + b"\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\nSubject: x\r\n" + b" y" * 500 + b"\r\n " + b"z" * MAX_LINE + b"\r\n\r\n",
        b"INVITE sip:" + b"x" * (MAX_LINE + 1) + b" SIP/2.0\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 300 + b"\r\n",
        b"INVITE sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * (MAX_HEAD // 6) + b"\r\n",
        b"INVITE sip:a@b SIP/2.0\r\n\r\n" + b"x" * (MAX_BODY + 1),
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        sip.parse(data)


@pytest.mark.parametrize("text", ["", "tel:1", "sip:", "sip:a@", "sip:a@b:0", "sip:a@b:99999", "sip:a@b:x", "<sip:a@b"])
def test_broken_addresses(text: str) -> None:
    with pytest.raises(WireError):
        sip.Address.parse(text)


@pytest.mark.parametrize("text", ["", "UDP h", "SIP/2.0 h", "SIP/2.0/UDP", "SIP/2.0/UDP h:0", "HTTP/1.1/UDP h"])
def test_broken_vias(text: str) -> None:
    with pytest.raises(WireError):
        sip.Via.parse(text)


@pytest.mark.parametrize("text", ["", "1", "x INVITE", "2147483648 INVITE", "1 INVITE x", "-1 INVITE", "99999999999 A"])
def test_broken_cseqs(text: str) -> None:
    with pytest.raises(WireError):
        sip.CSeq.parse(text)


def test_addresses() -> None:
    plain = sip.Address.parse("sip:34020000001320000001@3402000000;tag=5")
    assert (plain.uri.params, plain.tag) == ((), "5")
    full = sip.Address.parse('"A, \\"B\\"" <sips:u:secret@[2001:db8::1]:5061;transport=tcp?x=y>;tag=a;expires=60')
    assert (full.display, full.uri.user, full.uri.host, full.uri.port) == ('A, "B"', "u", "[2001:db8::1]", 5061)
    assert full.expires == 60
    assert "secret" not in str(full)
    assert sip.Address.parse(str(full)) == full
    assert str(full.with_tag("")) == '"A, \\"B\\"" <sips:u@[2001:db8::1]:5061;transport=tcp>;expires=60'
    assert split_outside('a "x,\\",y" <b,c>,d', ",") == ['a "x,\\",y" <b,c>', "d"]
    star = request(b"REGISTER sip:x SIP/2.0\r\nContact: *\r\nExpires: 0\r\n\r\n")
    assert (star.contacts, star.expires) == ([], 0)
    assert request(b"REGISTER sip:x SIP/2.0\r\nContact: <sip:a@b>;expires=x\r\n\r\n").expires is None


def test_source_is_written_into_the_via() -> None:
    assert stamp("SIP/2.0/UDP 10.0.0.9:5060;rport;branch=b", "192.0.2.1", 99) == (
        "SIP/2.0/UDP 10.0.0.9:5060;rport=99;received=192.0.2.1;branch=b"
    )
    assert stamp("SIP/2.0/UDP 192.0.2.1:5060;branch=b", "192.0.2.1", 99) == "SIP/2.0/UDP 192.0.2.1:5060;branch=b"
    assert stamp("SIP/2.0/UDP h;branch=b, SIP/2.0/UDP g;rport", "192.0.2.1", 99) == (
        "SIP/2.0/UDP h;branch=b;received=192.0.2.1,SIP/2.0/UDP g;rport"
    )
    assert stamp("SIP/2.0/UDP [2001:db8::1];branch=b", "2001:db8::1", 99) == "SIP/2.0/UDP [2001:db8::1];branch=b"
    assert tag_of('"tag=x;tag=y" <sip:a;tag=b@c;tag=q> ; Tag = z ;x') == "z"
    assert tag_of("sip:a@b") == ""


_ADDRESS_PART = st.sampled_from(
    [
        '"',
        "a b",
        '" ',
        "<sip:",
        "3402000000",
        "@",
        "h.x",
        ":",
        "5060",
        "0",
        "99999",
        ">",
        ";tag=",
        "x'1",
        ";",
        "lr",
        "=",
        "SIP/2.0/UDP ",
        " ",
    ]
)


@given(st.lists(_ADDRESS_PART, max_size=14).map("".join))
def test_the_short_way_means_what_the_long_way_means(text: str) -> None:
    for kind in (sip.Address, sip.Via):
        for candidate in (text, f"<sip:1@{text}>", f"SIP/2.0/UDP {text}"):
            try:
                long = kind._parse_any(candidate.strip())
            except WireError:
                with pytest.raises(WireError):
                    kind.parse(candidate)
            else:
                assert kind.parse(candidate) == long


@given(st.text(max_size=60), st.text(max_size=20))
def test_any_text_as_a_value(text: str, prefix: str) -> None:
    for parse in (sip.Address.parse, sip.Via.parse, sip.CSeq.parse, sip.EventType.parse, sip.Uri.parse):
        for candidate in (text, f"sip:{text}", f'"{prefix}" <sip:{text}>', f"SIP/2.0/UDP {text}", f"1 {text}"):
            try:
                found = parse(candidate)
            except WireError:
                continue
            assert str(found) != ""


# ---- framing


def frame(data: bytes, cuts: list[int]) -> list[bytes]:
    """What a framer makes of data that arrives in pieces."""
    framer = sip.StreamFramer()
    out: list[bytes] = []
    last = 0
    for cut in [*sorted(cuts), len(data)]:
        framer.receive(data[last:cut])
        out.extend(framer.messages())
        last = cut
    assert framer.held == 0
    return out


STREAM = [
    b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 5\r\n\r\n\r\n\r\nx",
    b"MESSAGE sip:a@b SIP/2.0\nl :\t3\n\nabc",
    b"SIP/2.0 200 OK\r\nCONTENT-LENGTH:\r\n 2\r\n\r\nhi",
    b"SIP/2.0 100 Trying\r\nX: Content-Length: 7\r\n\r\n",
]


@given(st.lists(st.integers(0, sum(map(len, STREAM)) + 8), max_size=30))
def test_a_stream_in_any_pieces(cuts: list[int]) -> None:
    data = b"\r\n\r\n".join(STREAM)
    assert frame(data, [min(cut, len(data)) for cut in cuts]) == STREAM


@pytest.mark.parametrize(
    "data",
    [
        b"x" * (MAX_HEAD + 1),
        b"A b SIP/2.0\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        b"A b SIP/2.0\r\nContent-Length: 1048577\r\n\r\n",
        b"A b SIP/2.0\r\nContent-Length: x\r\n\r\n",
        b"A b SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\n",
    ],
)
def test_streams_that_lost_their_frame(data: bytes) -> None:
    framer = sip.StreamFramer()
    framer.receive(data)
    with pytest.raises(WireError):
        list(framer.messages())
    with pytest.raises(WireError):
        framer.receive(b"OPTIONS sip:a@b SIP/2.0\r\n\r\n")
    with pytest.raises(WireError):
        list(framer.messages())


def test_what_the_framer_cuts_the_parser_reads_alike() -> None:
    for data in STREAM:
        if b"abc" not in data:
            continue
        assert request(data).body == b"abc"
    assert response(STREAM[2]).body == b"hi"


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_stream_is_no_worse_than_a_wire_error(pieces: list[bytes]) -> None:
    framer = sip.StreamFramer()
    try:
        for piece in pieces:
            framer.receive(piece)
            for message in framer.messages():
                sip.parse(message)
    except WireError:
        return


_PIECE = st.sampled_from(
    [
        b"INVITE sip:a@b SIP/2.0",
        b"SIP/2.0 200 OK",
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"<",
        b">",
        b'"',
        b"Via: SIP/2.0/UDP h;branch=z9hG4bK1",
        b"From: <sip:a@b>;tag=1",
        b"To: sip:a@b",
        b"Call-ID: x",
        b"CSeq: 1 INVITE",
        b"l: 3",
        b"Content-Length: 0",
        b"\x00",
        b"\xff\xfe",
        b"abc",
        b"Contact: *",
        b"m: <sip:",
    ]
)


@given(st.one_of(st.binary(max_size=200), st.lists(_PIECE, max_size=30).map(b"".join)))
def test_any_bytes_are_no_worse_than_a_wire_error(data: bytes) -> None:
    try:
        found = sip.parse(data)
    except WireError:
        return
    again = sip.parse(sip.serialize(found))
    assert type(again) is type(found)
    assert again.body == found.body
    assert again.headers.without("Content-Length") == found.headers.without("Content-Length")
