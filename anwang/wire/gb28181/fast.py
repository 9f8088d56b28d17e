"""The two messages that are most of all traffic, each recognised by one pattern and answered without a parser.

`fast_keepalive` knows the plain form of a keep-alive and nothing else: for whatever is unusual (another header, a
folded line, a faulty sub-device, a digest) it says None and the full parser runs. What it accepts, the full path would
answer with the same bytes in the same places; a property test holds that.

`keepalive_ok` is both in one step, with a pattern of its own for the one order of headers that nearly all devices use:
two thirds of a keep-alive's cost was trying the headers in any order. Whatever `fast_keepalive` takes, it takes too.

`fast_register` does the same for REGISTER with or without digest; what to answer is the caller's decision. `read_login`
knows the one order of headers that nearly all devices use, and leaves every part as the bytes that it came in: half a
million devices at once after a power cut are answered from slices.

No transaction is kept: keep-alives are idempotent and the reply is a function of the request and its source, so a
retransmission gets the same answer (RFC 3261 8.2.7). Who answers a REGISTER this way must see to the same: the same
Call-ID and CSeq again is the same registration.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from zlib import crc32


class FastKeepalive(NamedTuple):
    """Slices of a keep-alive. device: 20 digits, the same in From and in the body. sn: digits. The rest: header values.

    sent_by: host, with its port where one is written, of the Via.
    """

    via: bytes
    sent_by: bytes
    from_: bytes
    device: bytes
    to: bytes
    call_id: bytes
    cseq: bytes
    sn: bytes


def _once(group: int) -> bytes:
    """Fails where that group has matched before: a header that stands twice is unusual."""
    return rb"(?(%d)(?!))" % group


_HOST: Final = rb"[0-9A-Za-z.-]{1,128}(?::(?:6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?"
_TOKEN: Final = rb"[0-9A-Za-z_.~+*%!'-]{1,128}"
_NAME: Final = rb"(?:\"[0-9A-Za-z _.-]{0,64}\" ?)?"
#: two groups: all of it, and the host that sent it
_VIA: Final = rb"(SIP/2\.0/(?:UDP|TCP) (" + _HOST + rb")(?:;rport)?;branch=z9hG4bK" + _TOKEN + rb"(?:;rport)?)"
_MESSAGE: Final = re.compile(
    rb"MESSAGE sip:[0-9A-Za-z@.:_-]{1,128} SIP/2\.0\r\n(?:"
    rb"Via: " + _once(1) + _VIA + rb"\r\n"
    rb"|From: " + _once(3) + rb"(" + _NAME + rb"<sip:([0-9]{20})@" + _HOST + rb">;tag=" + _TOKEN + rb")\r\n"
    rb"|To: " + _once(5) + rb"(" + _NAME + rb"<sip:[0-9]{1,20}@" + _HOST + rb">)\r\n"
    rb"|Call-ID: " + _once(6) + rb"([!-~]{1,256})\r\n"
    rb"|CSeq: " + _once(7) + rb"([0-9]{1,9} MESSAGE)\r\n"
    rb"|Content-Type: " + _once(8) + rb"([Aa]pplication/MANSCDP\+xml)\r\n"
    rb"|Content-Length: " + _once(9) + rb"([0-9]{1,4})\r\n"
    rb"|(?:Max-Forwards|User-Agent|Contact|Allow|Supported|Expires|X-GB-Ver): [ -~]{0,1024}\r\n"
    rb")+\r\n()"
    rb"(?:<\?xml version=[\"']1\.0[\"'](?: encoding=[\"'][A-Za-z0-9-]{1,12}[\"'])? ?\?>)?\s*<Notify>\s*"
    rb"<CmdType>Keepalive</CmdType>\s*<SN>([0-9]{1,18})</SN>\s*<DeviceID>([0-9]{20})</DeviceID>\s*"
    rb"<Status>OK</Status>\s*(?:<Info>\s*</Info>\s*|<Info ?/>\s*)?</Notify>\s*"
)


def fast_keepalive(datagram: bytes) -> FastKeepalive | None:
    """The parts of a plain keep-alive, None for anything unusual. Never raises."""
    match = _MESSAGE.fullmatch(datagram)
    if match is None:
        return None
    via, sent_by, from_, device, to, call_id, cseq, content_type, length, _, sn, about = match.groups()
    if (
        about != device
        or via is None
        or to is None
        or call_id is None
        or cseq is None
        or content_type is None
        or length is None
        or int(length) != len(datagram) - match.start(10)
    ):
        return None
    return FastKeepalive(via, sent_by, from_, device, to, call_id, cseq, sn)


#: headers that mean nothing to us, any number of them
_OTHERS: Final = rb"(?:(?:Max-Forwards|User-Agent|Contact|Allow|Supported|Expires|X-GB-Ver): [ -~]{0,1024}+\r\n)*+"
#: groups: Via up to its rport; the rest to the end of To; device; Call-ID and CSeq; Call-ID; length; body; its device
_USUAL: Final = re.compile(
    rb"MESSAGE sip:[0-9A-Za-z@.:_-]{1,128}+ SIP/2\.0\r\n"
    rb"(Via: SIP/2\.0/(?:UDP|TCP) " + _HOST + rb");rport"
    rb"(;branch=z9hG4bK[0-9A-Za-z_.~+*%!'-]{1,128}+\r\n"
    rb"From: (?:\"[0-9A-Za-z _.-]{0,64}+\" ?)?<sip:([0-9]{20})@" + _HOST + rb">;tag=[0-9A-Za-z_.~+*%!'-]{1,128}+"
    rb"\r\n"
    rb"To: (?:\"[0-9A-Za-z _.-]{0,64}+\" ?)?<sip:[0-9]{1,20}+@" + _HOST + rb">)"
    rb"(\r\nCall-ID: ([!-~]{1,256}+)\r\nCSeq: [0-9]{1,9}+ MESSAGE\r\n)"
    + _OTHERS
    + rb"Content-Type: [Aa]pplication/MANSCDP\+xml"
    rb"\r\n" + _OTHERS + rb"Content-Length: ([0-9]{1,4}+)\r\n" + _OTHERS + rb"\r\n()"
    rb"(?:<\?xml version=[\"']1\.0[\"'](?: encoding=[\"'][A-Za-z0-9-]{1,12}[\"'])? ?\?>)?\s*<Notify>\s*"
    rb"<CmdType>Keepalive</CmdType>\s*<SN>[0-9]{1,18}</SN>\s*<DeviceID>([0-9]{20})</DeviceID>\s*"
    rb"<Status>OK</Status>\s*(?:<Info>\s*</Info>\s*|<Info ?/>\s*)?</Notify>\s*"
)


def keepalive_ok(datagram: bytes, host: str, port: int) -> tuple[str, bytes] | None:
    """The device of a plain keep-alive and the 200 for it; None for anything unusual. Never raises.

    host, port: where it came from.
    """
    match = _USUAL.fullmatch(datagram)
    if match is None:
        keepalive = fast_keepalive(datagram)
        return None if keepalive is None else (keepalive.device.decode(), fast_reply(keepalive, host, port))
    via, rest, device, names, call_id, length, _, about = match.groups()
    if about != device or int(length) != len(datagram) - match.start(7):
        return None
    return device.decode(), b"SIP/2.0 200 OK\r\n%b;rport=%d;received=%b%b;tag=%x%bContent-Length: 0\r\n\r\n" % (
        via,
        port,
        host.encode(),
        rest,
        crc32(call_id),
        names,
    )


def fast_ok(keepalive: FastKeepalive, host: str, port: int) -> bytes:
    """The 200 to a keep-alive. host, port: where it came from, for `received` and `rport` (RFC 3581)."""
    return fast_reply(keepalive, host, port)


class FastRegister(NamedTuple):
    """Slices of a REGISTER. device: 20 digits, the same in From and To. What is absent is empty."""

    via: bytes
    sent_by: bytes
    from_: bytes
    device: bytes
    to: bytes
    call_id: bytes
    cseq: bytes
    contact: bytes
    expires: bytes
    authorization: bytes
    version: bytes
    user_agent: bytes


_REGISTER: Final = re.compile(
    rb"REGISTER sip:[0-9A-Za-z@.:_-]{1,128} SIP/2\.0\r\n(?:"
    rb"Via: " + _once(1) + _VIA + rb"\r\n"
    rb"|From: " + _once(3) + rb"(" + _NAME + rb"<sip:([0-9]{20})@" + _HOST + rb">;tag=" + _TOKEN + rb")\r\n"
    rb"|To: " + _once(5) + rb"(" + _NAME + rb"<sip:([0-9]{20})@" + _HOST + rb">)\r\n"
    rb"|Call-ID: " + _once(7) + rb"([!-~]{1,256})\r\n"
    rb"|CSeq: " + _once(8) + rb"([0-9]{1,9} REGISTER)\r\n"
    rb"|Contact: " + _once(9) + rb"(<sip:(?:[0-9A-Za-z_.-]{1,64}@)?" + _HOST + rb">)\r\n"
    rb"|Expires: " + _once(10) + rb"([0-9]{1,9})\r\n"
    rb"|Authorization: " + _once(11) + rb"(Digest [!-~](?:[ -~]{0,2046}[!-~])?)\r\n"
    rb"|X-GB-Ver: " + _once(12) + rb"([0-9]\.[0-9])\r\n"
    rb"|User-Agent: " + _once(13) + rb"([!-~](?:[ -~]{0,1022}[!-~])?)\r\n"
    rb"|Content-Length: " + _once(14) + rb"(0)\r\n"
    rb"|(?:Max-Forwards|Allow|Supported): [ -~]{0,1024}\r\n"
    rb")+\r\n"
)


def fast_register(datagram: bytes) -> FastRegister | None:
    """The parts of a plain REGISTER, None for anything unusual. Never raises."""
    match = _REGISTER.fullmatch(datagram)
    if match is None:
        return None
    via, sent_by, from_, device, to, about, call_id, cseq, *rest, agent, length = match.groups()
    contact, expires, proof, version, agent = [one or b"" for one in (*rest, agent)]
    if via is None or call_id is None or cseq is None or length is None:
        return None
    if about != device or not device:
        return None
    return FastRegister(via, sent_by, from_, device, to, call_id, cseq, contact, expires, proof, version, agent)


class Login(NamedTuple):
    """Slices of a REGISTER as most devices write it. None: not there; username to cnonce are there together or not.

    via: the line of Via up to its rport. rest: from there to the end of To. device: 20 digits, the same in From and To.
    names: the lines of Call-ID and CSeq. nc, cnonce: empty where the digest has no qop. The proof is MD5's.
    """

    via: bytes
    rest: bytes
    device: bytes
    names: bytes
    call_id: bytes
    contact: bytes | None
    username: bytes | None
    realm: bytes | None
    nonce: bytes | None
    uri: bytes | None
    response: bytes | None
    nc: bytes | None
    cnonce: bytes | None
    expires: bytes | None
    version: bytes | None


_QUOTED: Final = rb"\"([ !#-\[\]-~]{0,128}+)\""
#: the order of headers, and of a proof's parts, that nearly all devices use; a nonce of our own length
_LOGIN: Final = re.compile(
    rb"REGISTER sip:[0-9A-Za-z@.:_-]{1,128}+ SIP/2\.0\r\n"
    rb"(Via: SIP/2\.0/(?:UDP|TCP) " + _HOST + rb");rport"
    rb"(;branch=z9hG4bK[0-9A-Za-z_.~+*%!'-]{1,128}+\r\n"
    rb"From: " + _NAME + rb"<sip:([0-9]{20})@" + _HOST + rb">;tag=[0-9A-Za-z_.~+*%!'-]{1,128}+\r\n"
    rb"To: " + _NAME + rb"<sip:\3@" + _HOST + rb">)"
    rb"(\r\nCall-ID: ([!-~]{1,256}+)\r\nCSeq: [0-9]{1,9}+ REGISTER\r\n)"
    rb"(?:Contact: <(sip:(?:[0-9A-Za-z_.-]{1,64}@)?" + _HOST + rb")>\r\n)?"
    rb"(?:Authorization: Digest username=" + _QUOTED + rb", realm=" + _QUOTED + rb", nonce=\"([0-9a-f]{40})\", "
    rb"uri=" + _QUOTED + rb", response=\"([0-9a-f]{32})\"(?:, algorithm=MD5)?"
    rb"(?:, qop=auth, nc=([0-9a-f]{8}), cnonce=" + _QUOTED + rb")?\r\n)?"
    rb"(?:Max-Forwards: [ -~]{0,1024}+\r\n)?"
    rb"(?:User-Agent: [!-~][ -~]{0,1023}+(?<! )\r\n)?"
    rb"(?:Expires: ([0-9]{1,9}+)\r\n)?"
    rb"(?:X-GB-Ver: ([0-9]\.[0-9])\r\n)?"
    rb"Content-Length: 0\r\n\r\n"
)


def read_login(datagram: bytes) -> Login | None:
    """The parts of a REGISTER as most devices write it, None for any other. Never raises."""
    match = _LOGIN.fullmatch(datagram)
    return None if match is None else Login._make(match.groups())


def login_reply(login: Login, host: str, port: int, status: bytes, headers: bytes) -> bytes:
    """An answer without body. status: code and reason. headers: whole lines, each with its CRLF."""
    return b"SIP/2.0 %b\r\n%b;rport=%d;received=%b%b;tag=%x%b%bContent-Length: 0\r\n\r\n" % (
        status,
        login.via,
        port,
        host.encode(),
        login.rest,
        crc32(login.call_id),
        login.names,
        headers,
    )


def fast_reply(
    request: FastKeepalive | FastRegister, host: str, port: int, status: bytes = b"200 OK", headers: bytes = b""
) -> bytes:
    """An answer without body. status: code and reason. headers: whole lines, each with its CRLF."""
    via, sent_by, from_, _, to, call_id, cseq = request[:7]
    if b";rport" in via:
        via = via.replace(b";rport", b";rport=%d;received=%b" % (port, host.encode()), 1)
    elif sent_by.partition(b":")[0] != host.encode():
        via = b"%b;received=%b" % (via, host.encode())
    return (
        b"SIP/2.0 %b\r\nVia: %b\r\nFrom: %b\r\nTo: %b;tag=%x\r\nCall-ID: %b\r\nCSeq: %b\r\n%bContent-Length: 0\r\n\r\n"
        % (status, via, from_, to, crc32(call_id), call_id, cseq, headers)
    )
