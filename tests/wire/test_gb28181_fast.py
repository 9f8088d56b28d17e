"""The fast ways: what they take, the full path answers alike; everything else they leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anwang.kernel.errors import WireError
from anwang.wire import gb28181 as gb
from anwang.wire import sip
from anwang.wire.digest import Authorization, ha1, verify

CORPUS = Path(__file__).parent / "corpus" / "gb28181"
PLAIN = (CORPUS / "keepalive_plain_2016.sip").read_bytes()
DEVICE = "34020000001180000001"
REGISTER = (
    b"REGISTER sip:34020000002000000001@3402000000 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.20:5060;rport;branch=z9hG4bK7d1a\r\n"
    b"From: <sip:34020000001320000001@3402000000>;tag=a17f\r\n"
    b"To: <sip:34020000001320000001@3402000000>\r\n"
    b"Call-ID: 5c0f2d@192.0.2.20\r\n"
    b"CSeq: 2 REGISTER\r\n"
    b"Contact: <sip:34020000001320000001@192.0.2.20:5060>\r\n"
    b'Authorization: Digest username="34020000001320000001", realm="3402000000", nonce="6fe9ba44a76be22a", '
    b'uri="sip:34020000002000000001@3402000000", response="6a2143ae65b119e276a75f0a4a8992b7", algorithm=MD5\r\n'
    b"Max-Forwards: 70\r\n"
    b"User-Agent: IPC V5.7\r\n"
    b"Expires: 86400\r\n"
    b"X-GB-Ver: 3.0\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def full_answer(
    data: bytes, host: str, port: int, headers: tuple[tuple[str, str], ...] = (), transport: str = "udp"
) -> sip.Response:
    """What the machine answers."""
    end: sip.Endpoint[sip.Peer] = sip.Endpoint(sip.Addresses("198.51.100.5", 5060))
    end.receive(data, sip.Peer(transport, host, port), 0.0)
    (event,) = end.events()
    assert isinstance(event, sip.Asked)
    end.reply(event.transaction, 200, 0.0, headers=headers)
    ((answer, _),) = end.to_send(0.0)
    found = sip.parse(answer)
    assert isinstance(found, sip.Response)
    return found


def same(fast: bytes, full: sip.Response) -> None:
    """Two answers with equal status, values and body."""
    found = sip.parse(fast)
    assert isinstance(found, sip.Response)
    assert (found.status, found.reason or "OK", found.body) == (full.status, full.reason or "OK", full.body)
    assert sorted(found.headers.items) == sorted(full.headers.items)


def test_a_plain_keepalive() -> None:
    found = gb.fast_keepalive(PLAIN)
    assert found is not None
    assert (found.device, found.sn, found.cseq) == (DEVICE.encode(), b"43", b"20 MESSAGE")
    assert gb.fast_ok(found, "203.0.113.9", 40000) == (
        b"SIP/2.0 200 OK\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.20:5060;rport=40000;received=203.0.113.9;branch=z9hG4bKka1\r\n"
        b"From: <sip:34020000001180000001@3402000000>;tag=b1\r\n"
        b"To: <sip:34020000002000000001@3402000000>;tag=6193b30d\r\n"
        b"Call-ID: c1@192.0.2.20\r\n"
        b"CSeq: 20 MESSAGE\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    same(gb.fast_ok(found, "203.0.113.9", 40000), full_answer(PLAIN, "203.0.113.9", 40000))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        (CORPUS / "keepalive_compact_headers.sip").read_bytes(),
        (CORPUS / "keepalive_faulty_children.sip").read_bytes(),
        (CORPUS / "mediastatus_without_content_type.sip").read_bytes(),
        PLAIN.replace(b"<Status>OK", b"<Status>ERROR"),
        PLAIN.replace(b"<DeviceID>34020000001180000001", b"<DeviceID>34020000001180000002"),
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"\r\nMax-", b"\r\n folded\r\nMax-"),
        PLAIN.replace(b"\r\nMax-", b"\r\nNote: Digest nonce=x\r\nMax-"),
        PLAIN.replace(b"\r\nMax-", b"\r\nFrom: <sip:34020000001180000001@3402000000>;tag=b1\r\nMax-"),
        PLAIN.replace(b"\r\nMax-", b"\r\nVia: SIP/2.0/UDP h\r\nMax-"),
        PLAIN.replace(b"@3402000000>\r\nCall", b"@3402000000>;tag=x\r\nCall"),
        PLAIN.replace(b"Content-Length: ", b"Content-Length: 1"),
        PLAIN.replace(b"</Notify>", b"<Info><DeviceID>34020000001320000009</DeviceID></Info></Notify>"),
        PLAIN + b"x",
        PLAIN[:-1],
        PLAIN.replace(b"MESSAGE", b"INVITE"),
        PLAIN.replace(b"Call-ID: c1@192.0.2.20\r\n", b""),
        PLAIN.replace(b"UDP", b"TLS"),
    ],
)
def test_what_is_unusual_is_left_to_the_parser(data: bytes) -> None:
    assert gb.fast_keepalive(data) is None


def test_any_order_and_no_rport() -> None:
    head, body = PLAIN.split(b"\r\n\r\n")
    start, *lines = head.split(b"\r\n")
    for shift in range(len(lines)):
        turned = b"\r\n".join([start, *lines[shift:], *lines[:shift]]) + b"\r\n\r\n" + body
        for data in (turned, turned.replace(b";rport", b"")):
            for host in ("192.0.2.20", "203.0.113.9"):
                found = gb.fast_keepalive(data)
                assert found is not None
                same(gb.fast_ok(found, host, 5060), full_answer(data, host, 5060))
                at_once = gb.keepalive_ok(data, host, 5060)
                assert at_once is not None and at_once[0] == DEVICE
                same(at_once[1], full_answer(data, host, 5060))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("written", [b"UDP", b"TCP"])
def test_over_tcp_too_whatever_the_via_says(transport: str, written: bytes) -> None:
    """Some devices write UDP into the Via of what they send over TCP; the answer goes back over the connection."""
    data = PLAIN.replace(b"UDP", written)
    at_once = gb.keepalive_ok(data, "203.0.113.9", 40000)
    assert at_once is not None
    same(at_once[1], full_answer(data, "203.0.113.9", 40000, transport=transport))
    login = gb.read_login(LOGIN.replace(b"UDP", written))
    assert login is not None
    full = full_answer(LOGIN.replace(b"UDP", written), "203.0.113.9", 40000, transport=transport)
    same(gb.login_reply(login, "203.0.113.9", 40000, b"200 OK", b""), full)


def test_a_plain_register() -> None:
    found = gb.fast_register(REGISTER)
    assert found is not None
    assert (found.device, found.expires, found.version) == (b"34020000001320000001", b"86400", b"3.0")
    proof = Authorization.parse(found.authorization.decode())
    assert verify(proof, method="REGISTER", ha1_hex=ha1("34020000001320000001", "3402000000", "12345678"))
    headers = (("Contact", found.contact.decode()), ("Expires", "3600"))
    lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in headers)
    same(gb.fast_reply(found, "192.0.2.20", 1, headers=lines), full_answer(REGISTER, "192.0.2.20", 1, headers))
    bare = gb.fast_register(REGISTER[: REGISTER.index(b"Authorization")] + b"Content-Length: 0\r\n\r\n")
    assert bare is not None
    assert (bare.authorization, bare.expires, bare.version) == (b"", b"", b"")
    assert gb.fast_reply(bare, "192.0.2.20", 1, b"401 Unauthorized").startswith(b"SIP/2.0 401 Unauthorized\r\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"To: <sip:34020000001320000001", b"To: <sip:34020000001320000002"),
        (b"Expires: 86400", b"Expires: -1"),
        (b":5060>", b":5060>;expires=60"),
        (b"Contact: <sip:34020000001320000001@", b"Contact: <sip:34020000001320000001:secret@"),
        (b"192.0.2.20:5060>", b"192.0.2.20:99999>"),
        (b"Content-Length: 0", b"Content-Length: 1"),
        (b"CSeq: 2 REGISTER", b"CSeq: 2 MESSAGE"),
        (b"Authorization: Digest", b"Authorization: Capability"),
        (b"Expires: 86400", b"Require: x"),
    ],
)
def test_an_unusual_register(old: bytes, new: bytes) -> None:
    assert old in REGISTER
    assert gb.fast_register(REGISTER.replace(old, new)) is None
    assert gb.read_login(LOGIN.replace(old, new)) is None


def check_login(login: gb.Login, data: bytes) -> None:
    """Every part of it is what the full path reads, and so is the answer."""
    message = sip.parse(data)
    assert isinstance(message, sip.Request)
    full = gb.read_register(message)
    assert (login.device.decode(), login.call_id.decode()) == (full.device_id, full.call_id)
    assert (login.contact or b"").decode() == full.contact
    assert (None if login.expires is None else int(login.expires)) == full.expires_s
    assert (None if login.version is None else gb.parse_version(login.version.decode())) == full.version
    given = full.authorization
    assert (login.nonce is None) == (given is None)
    if given is not None:
        parts = (login.username, login.realm, login.nonce, login.uri, login.response, login.nc, login.cnonce)
        said = (given.username, given.realm, given.nonce, given.uri, given.response, given.nc, given.cnonce)
        assert tuple((part or b"").decode() for part in parts) == said
        assert given.algorithm == "MD5" and given.qop == ("auth" if login.nc else "")
    same(gb.login_reply(login, "203.0.113.9", 777, b"200 OK", b""), full_answer(data, "203.0.113.9", 777))


def check(data: bytes) -> bool:
    """Whether a fast way takes the datagram; then the full path must say the same."""
    beat, login, usual = gb.fast_keepalive(data), gb.fast_register(data), gb.read_login(data)
    if usual is not None:
        check_login(usual, data)
    if beat is None and login is None:
        return False
    full = full_answer(data, "203.0.113.9", 777)
    message = sip.parse(data)
    assert isinstance(message, sip.Request)
    if beat is not None:
        parsed = gb.parse(message.body)
        assert parsed == gb.Keepalive(sn=int(beat.sn), device_id=beat.device.decode())
        assert message.from_.uri.user == parsed.device_id
        same(gb.fast_ok(beat, "203.0.113.9", 777), full)
        at_once = gb.keepalive_ok(data, "203.0.113.9", 777)
        assert at_once is not None and at_once[0] == parsed.device_id
        same(at_once[1], full)
    else:
        assert gb.keepalive_ok(data, "203.0.113.9", 777) is None
    if login is not None:
        assert gb.read_fast(login) == gb.read_register(message)
        same(gb.fast_reply(login, "203.0.113.9", 777), full)
    return True


_NAME = st.text(st.sampled_from("abzAZ019-_.~+*%!'"), min_size=1, max_size=12)
_DIGITS = st.text(st.sampled_from("0123456789"), min_size=20, max_size=20)
_HOST = st.from_regex(r"[0-9A-Za-z.-]{1,12}(:[0-9]{1,5})?", fullmatch=True)


@settings(max_examples=300, deadline=None)
@given(
    device=_DIGITS,
    host=_HOST,
    branch=_NAME,
    tag=_NAME,
    call_id=st.from_regex(r"[!-~]{1,20}", fullmatch=True),
    cseq=st.integers(0, 2**31),
    sn=st.integers(0, 10**19),
    rport=st.sampled_from(["", ";rport"]),
    display=st.sampled_from(["", '"NVR 1" ', '"a" ']),
    extra=st.lists(
        st.sampled_from(["Max-Forwards: 70", "User-Agent: x y", "User-Agent: ", "Contact: <sip:a@b>", "X-GB-Ver: 2.0"]),
        max_size=3,
    ),
    order=st.randoms(use_true_random=False),
    between=st.sampled_from(["", "\r\n", "\n ", "\t"]),
    declaration=st.sampled_from(["", '<?xml version="1.0"?>', "<?xml version='1.0' encoding='GB18030' ?>\r\n"]),
)
def test_fast_and_full_say_the_same_of_made_keepalives(
    device: str,
    host: str,
    branch: str,
    tag: str,
    call_id: str,
    cseq: int,
    sn: int,
    rport: str,
    display: str,
    extra: list[str],
    order: object,
    between: str,
    declaration: str,
) -> None:
    parts = [
        "<Notify>",
        "<CmdType>Keepalive</CmdType>",
        f"<SN>{sn}</SN>",
        f"<DeviceID>{device}</DeviceID>",
        "<Status>OK</Status>",
    ]
    body = declaration + between.join([*parts, "</Notify>"])
    lines = [
        f"Via: SIP/2.0/UDP {host}{rport};branch=z9hG4bK{branch}",
        f"From: {display}<sip:{device}@{host}>;tag={tag}",
        f"To: <sip:{device[::-1]}@{host}>",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} MESSAGE",
        "Content-Type: Application/MANSCDP+xml",
        f"Content-Length: {len(body)}",
        *extra,
    ]
    if order.random() < 0.5:  # type: ignore[attr-defined]
        order.shuffle(lines)  # type: ignore[attr-defined]
    else:  # the order that nearly all devices use, with what means nothing in between
        lines = [*lines[:5], *extra[:1], lines[5], *extra[1:], lines[6]]
    check(("\r\n".join([f"MESSAGE sip:{device}@x SIP/2.0", *lines]) + "\r\n\r\n" + body).encode())


#: with a nonce of our own length, which only `read_login` asks for
LOGIN = REGISTER.replace(b"6fe9ba44a76be22a", b"6fe9ba44" * 5)
LOGIN_QOP = LOGIN.replace(b"algorithm=MD5", b'algorithm=MD5, qop=auth, nc=00000001, cnonce="c"')


@pytest.mark.parametrize("data", [LOGIN, LOGIN_QOP, LOGIN.replace(b", algorithm=MD5", b"")])
def test_a_login_is_read_as_the_full_path_reads_it(data: bytes) -> None:
    login = gb.read_login(data)
    assert login is not None and login.username == b"34020000001320000001"
    check_login(login, data)
    assert gb.read_login(REGISTER) is None, "a nonce that is none of ours is left to the full path"


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([PLAIN, REGISTER, LOGIN, LOGIN_QOP]), st.data())
def test_fast_and_full_say_the_same_of_damaged_messages(base: bytes, data: st.DataObject) -> None:
    damaged = bytearray(base)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        piece = data.draw(
            st.sampled_from(
                [b"", b" ", b"\r\n", b"\n", b"\t", b"0", b"a", b";", b",", b'"', b">", b"\xff", b"\x00", b":"]
            )
        )
        damaged[at : at + data.draw(st.integers(0, 2))] = piece
    check(bytes(damaged))


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    for candidate in (data, b"MESSAGE sip:a@b SIP/2.0\r\n" + data, b"REGISTER sip:a@b SIP/2.0\r\n" + data):
        assert gb.fast_keepalive(candidate) is None and gb.keepalive_ok(candidate, "h", 1) is None
        assert gb.fast_register(candidate) is None and gb.read_login(candidate) is None


def test_a_long_line_of_one_letter_costs_no_more_than_its_length() -> None:
    """The patterns have no two ways to read one byte, so nothing multiplies; a wrong one would hang here."""
    for filler in (b"a" * 60000, b"<Info>" * 10000, b" " * 60000, b"Max-Forwards: 70\r\n" * 3000):
        start = PLAIN.index(b"Max-Forwards")
        assert gb.keepalive_ok(PLAIN[:start] + filler + PLAIN[start:] + b"x", "h", 1) is None
        assert gb.keepalive_ok(PLAIN[:-11] + filler, "h", 1) is None
        assert gb.fast_register(REGISTER[:-2] + filler) is None and gb.read_login(LOGIN[:-2] + filler) is None


def test_a_register_for_someone_else_is_refused_by_the_full_path_too() -> None:
    message = sip.parse(REGISTER.replace(b"To: <sip:34020000001320000001", b"To: <sip:34020000001320000002"))
    assert isinstance(message, sip.Request)
    with pytest.raises(WireError):
        gb.read_register(message)


@pytest.mark.parametrize(
    ("port", "is_fast"), [(5060, True), (10000, True), (45321, True), (64999, True), (99999, False)]
)
def test_devices_on_high_ports_take_the_fast_path(port: int, is_fast: bool) -> None:
    """A pattern of four digits once sent every device behind a NAT or on an ephemeral port through the full parser."""
    body = (
        b'<?xml version="1.0" encoding="GB2312"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>1</SN>\r\n'
        b"<DeviceID>34020000001320000001</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n"
    )
    head = (
        f"MESSAGE sip:34020000002000000001@3402000000 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bKa1\r\n"
        "From: <sip:34020000001320000001@3402000000>;tag=a\r\nTo: <sip:34020000002000000001@3402000000>\r\n"
        "Call-ID: c@x\r\nCSeq: 1 MESSAGE\r\nContent-Type: Application/MANSCDP+xml\r\nMax-Forwards: 70\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    assert (gb.fast_keepalive(head.encode() + body) is not None) is is_fast
