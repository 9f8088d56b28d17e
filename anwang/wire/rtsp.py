"""RTSP 1.0 (RFC 2326), both ends: messages, the server of a simulated camera, a client. TCP interleaved and UDP.

The machines hold no sockets: bytes in by `receive`, bytes out by `to_send`, what happened as events. Media of an
interleaved connection comes and goes through the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self
from urllib.parse import unquote, urlsplit

from anwang.kernel.errors import Invalid, WireError
from anwang.wire import h26x
from anwang.wire.aac import AacConfig
from anwang.wire.h26x import ParameterSets
from anwang.wire.rtp import Buffer
from anwang.wire.units import Codec, Kind

MAX_HEAD = 16 * 1024
MAX_BODY = 256 * 1024
MAX_GARBAGE = 64 * 1024
MAX_TRACKS = 16

REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
    453: "Not Enough Bandwidth", 454: "Session Not Found", 455: "Method Not Valid in This State",
    459: "Aggregate Operation Not Allowed", 461: "Unsupported Transport", 501: "Not Implemented",
    551: "Option not supported",
}  # fmt: skip
_METHOD = re.compile(r"[A-Z_]{1,20}")
_ANY_START = re.compile(
    rb"RTSP/1\.0 [1-5]|(?:OPTIONS|DESCRIBE|SETUP|PLAY|PAUSE|TEARDOWN|GET_PARAMETER|SET_PARAMETER) (?:rtsp|\*)"
)
_LONGEST_START = len(b"GET_PARAMETER rtsp") - 1


# -- messages


def _clean(text: str) -> str:
    if any(sign in text for sign in "\r\n\x00"):
        raise Invalid("a line break can't stand in an RTSP header")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request. headers: in order, names as written; `header` finds them in any case."""

    method: str
    uri: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return _header(self.headers, name)

    def serialize(self) -> bytes:
        """The bytes. Raises Invalid for line breaks in a header."""
        return _serialize(f"{self.method} {self.uri} RTSP/1.0", self.headers, self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response."""

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return _header(self.headers, name)

    def all_headers(self, name: str) -> list[str]:
        """Every header of that name: servers send one challenge per scheme."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def serialize(self) -> bytes:
        """The bytes. Raises Invalid for line breaks in a header."""
        reason = self.reason or REASONS.get(self.status, "")
        return _serialize(f"RTSP/1.0 {self.status} {reason}", self.headers, self.body)


class Interleaved(NamedTuple):
    """A frame between messages (RFC 2326 10.12): RTP on even channels, RTCP on odd ones, as a rule."""

    channel: int
    data: Buffer


Message = Request | Response | Interleaved


def _header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    wanted = name.lower()
    return next((value for key, value in headers if key.lower() == wanted), None)


def _serialize(start: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    lines = [start, *(f"{key}: {value}" for key, value in headers)]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(map(_clean, lines)).encode() + b"\r\n\r\n" + body


def interleaved(channel: int, packet: Buffer) -> bytes:
    """A packet as it stands between messages. Raises WireError above 65535 bytes."""
    if len(packet) > 0xFFFF or not 0 <= channel <= 255:
        raise WireError(f"a packet of {len(packet)} bytes on channel {channel} can't be interleaved")
    return b"$" + bytes((channel,)) + len(packet).to_bytes(2, "big") + packet


class Decoder:
    """Messages and interleaved frames out of a TCP stream cut anywhere.

    Garbage between frames is passed over up to the next `$` on a channel in use, or message; more than MAX_GARBAGE of
    it ends the connection.
    """

    def __init__(self) -> None:
        self.skipped_bytes = 0
        self._tail = bytearray()
        self._need = 1
        self._channels: set[int] = set()
        self._garbage = 0
        self._is_lost = False

    def expect(self, channels: Iterable[int]) -> None:
        """The channels that were agreed: what a search after garbage may stop at."""
        self._channels.update(channels)

    def feed(self, data: Buffer) -> list[Message]:
        """What became complete; frames are views of the bytes fed. Raises WireError where the peer speaks no RTSP."""
        tail = self._tail
        if tail:
            tail += data
            if len(tail) < self._need:
                return []
            data = bytes(tail)
            tail.clear()
        elif not isinstance(data, bytes):
            data = bytes(data)
        view, at, end = memoryview(data), 0, len(data)
        found: list[Message] = []
        self._need = 1
        if self._is_lost:
            at = self._search(data, -1)
        while at < end and not self._is_lost:
            if data[at] == 0x24:
                if at + 4 > end:
                    self._need = 4
                    break
                stop = at + 4 + (data[at + 2] << 8 | data[at + 3])
                if stop > end:
                    self._need = stop - at
                    break
                found.append(Interleaved(data[at + 1], view[at + 4 : stop]))
                at, self._garbage = stop, 0
                continue
            if data[at] in b"\r\n":
                at += 1
                continue
            head = data.find(b"\r\n\r\n", at, at + MAX_HEAD)
            line = data[at : at + 64].split(b"\r\n", 1)[0]
            if not _may_start(line):
                at = self._search(data, at)
                continue
            if head < 0:
                if end - at >= MAX_HEAD:
                    raise WireError("an RTSP head of more than 16 KiB", data=data, offset=at)
                self._need = end - at + 1
                break
            start, headers = _head(data[at:head])
            size = _length(headers)
            stop = head + 4 + size
            if stop > end:
                self._need = stop - at
                break
            found.append(_message(start, headers, data[head + 4 : stop]))
            at, self._garbage = stop, 0
        if self._is_lost:
            self._need = end - at + 1
        tail += view[at:]
        return found

    def _search(self, data: bytes, start: int) -> int:
        """Where the next frame on a known channel or message begins; lost where none does, then what may become one."""
        best = -1
        for channel in self._channels or {0}:
            at = data.find(bytes((0x24, channel)), start + 1)
            if at >= 0 and (best < 0 or at < best):
                best = at
        message = _ANY_START.search(data, start + 1)
        if message and (best < 0 or message.start() < best):
            best = message.start()
        start = max(start, 0)
        stay = best if best >= 0 else max(start, len(data) - _LONGEST_START)
        self._garbage += stay - start
        self.skipped_bytes += stay - start
        if self._garbage > MAX_GARBAGE:
            raise WireError(f"{self._garbage} bytes that are no RTSP", data=data, offset=start)
        self._is_lost = best < 0
        return stay


def _may_start(line: bytes) -> bool:
    """Whether this can be the beginning of a request or response line; it may not be whole yet."""
    if b"RTSP/1.0 "[: len(line)] == line[:9]:
        return True
    word = line.split(b" ", 1)[0]
    return len(word) <= 20 and all(65 <= byte <= 90 or byte == 95 for byte in word)


def _head(raw: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    lines = raw.decode("utf-8", "replace").split("\r\n")
    headers: list[tuple[str, str]] = []
    for line in lines[1:]:
        if line[:1] in (" ", "\t") and headers:
            headers[-1] = (headers[-1][0], f"{headers[-1][1]} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        if colon:
            headers.append((name.strip(), value.strip()))
    return lines[0], tuple(headers)


def _length(headers: Iterable[tuple[str, str]]) -> int:
    text = _header(headers, "Content-Length")
    if text is None:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > MAX_BODY:
        raise WireError(f"a body of {text[:20]!r} bytes")
    return int(text)


def _message(start: str, headers: tuple[tuple[str, str], ...], body: bytes) -> Request | Response:
    parts = start.split(" ", 2)
    if start.startswith("RTSP/1.0 "):
        if not (len(parts[1]) == 3 and parts[1].isascii() and parts[1].isdigit()):
            raise WireError(f"a status line {start[:64]!r}")
        return Response(status=int(parts[1]), reason=parts[2] if len(parts) > 2 else "", headers=headers, body=body)
    if len(parts) != 3 or not _METHOD.fullmatch(parts[0]) or not parts[2].startswith("RTSP/"):
        raise WireError(f"a request line {start[:64]!r}")
    return Request(method=parts[0], uri=parts[1], headers=headers, body=body)


# -- transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """One choice of a Transport header (RFC 2326 12.39). Pairs are (RTP, RTCP)."""

    is_tcp: bool
    is_multicast: bool = False
    channels: tuple[int, int] | None = None
    client_port: tuple[int, int] | None = None
    server_port: tuple[int, int] | None = None
    ssrc: int | None = None

    @classmethod
    def parse(cls, text: str) -> list[Self]:
        """All choices in a header, in the sender's order; those that are no RTP/AVP are left out."""
        found = []
        for choice in text.split(",")[:8]:
            name, *options = [part.strip() for part in choice.split(";")]
            if name.upper() not in ("RTP/AVP", "RTP/AVP/UDP", "RTP/AVP/TCP"):
                continue
            fields = {key.strip().lower(): value.strip() for key, _, value in (one.partition("=") for one in options)}
            ssrc = fields.get("ssrc", "")
            found.append(
                cls(
                    is_tcp=name.upper() == "RTP/AVP/TCP",
                    is_multicast="multicast" in fields,
                    channels=_pair(fields.get("interleaved"), 255),
                    client_port=_pair(fields.get("client_port"), 65535),
                    server_port=_pair(fields.get("server_port"), 65535),
                    ssrc=int(ssrc, 16) if re.fullmatch(r"[0-9A-Fa-f]{1,8}", ssrc) else None,
                )
            )
        return found

    def __str__(self) -> str:
        parts = ["RTP/AVP/TCP" if self.is_tcp else "RTP/AVP", "multicast" if self.is_multicast else "unicast"]
        for name, pair in (
            ("interleaved", self.channels), ("client_port", self.client_port), ("server_port", self.server_port),
        ):  # fmt: skip
            if pair:
                parts.append(f"{name}={pair[0]}-{pair[1]}")
        if self.ssrc is not None:
            parts.append(f"ssrc={self.ssrc:08X}")
        return ";".join(parts)


def _pair(text: str | None, most: int) -> tuple[int, int] | None:
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text or "", re.ASCII)
    if not found:
        return None
    first = int(found[1])
    second = int(found[2]) if found[2] else first + 1
    return (first, second) if max(first, second) <= most else None


# -- session description


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaTrack:
    """One m= section of a session description, as far as media needs it.

    control: as written; the client makes it absolute. clock_hz: of the RTP timestamps. sets, aac: what the fmtp says.
    """

    kind: Kind
    codec: Codec
    payload_type: int
    clock_hz: int
    control: str
    channels: int = 1
    sets: ParameterSets | None = None
    aac: AacConfig | None = None


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def describe(tracks: Sequence[MediaTrack], *, name: str = "live") -> str:
    """A session description (RFC 4566) of live tracks; control lines as they stand in them. Raises Invalid."""
    lines = ["v=0", "o=- 0 0 IN IP4 0.0.0.0", f"s={name or '-'}", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*"]
    for track in tracks:
        kind, number = ("video" if track.kind is Kind.VIDEO else "audio"), track.payload_type
        names = {
            Codec.H264: "H264", Codec.H265: "H265", Codec.AAC: "MPEG4-GENERIC", Codec.G711A: "PCMA", Codec.G711U:
            "PCMU",
        }  # fmt: skip
        if track.codec not in names:
            raise Invalid(f"{track.codec} has no RTP payload here")
        suffix = f"/{track.channels}" if track.kind is Kind.AUDIO else ""
        lines += [f"m={kind} 0 RTP/AVP {number}", f"a=rtpmap:{number} {names[track.codec]}/{track.clock_hz}{suffix}"]
        if track.sets and track.codec is Codec.H264:
            both = ",".join(map(_base64, track.sets))
            profile = track.sets.sps[0][1:4].hex().upper()
            lines.append(f"a=fmtp:{number} packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={both}")
        elif track.sets:
            sets = {"vps": track.sets.vps, "sps": track.sets.sps, "pps": track.sets.pps}
            lines.append(
                f"a=fmtp:{number} "
                + ";".join(f"sprop-{key}={','.join(map(_base64, raw))}" for key, raw in sets.items())
            )
        elif track.aac:
            lines.append(
                f"a=fmtp:{number} profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;"
                f"config={track.aac.asc.hex().upper()}"
            )
        lines.append(f"a=control:{track.control}")
    return "".join(f"{_clean(line)}\r\n" for line in lines)


_STATIC = {0: ("PCMU", 8000), 8: ("PCMA", 8000)}


def parse_description(text: str) -> tuple[str, list[MediaTrack]]:
    """(session's own control, tracks of codecs we know) of a session description; anything else is passed over."""
    session, tracks = "*", list[MediaTrack]()
    sections: list[list[str]] = [[]]
    for line in text.replace("\r", "\n").split("\n"):
        if line.startswith("m="):
            if len(sections) > MAX_TRACKS:
                break
            sections.append([])
        if line:
            sections[-1].append(line)
    for line in sections[0]:
        if line.startswith("a=control:"):
            session = line[10:].strip()
    for section in sections[1:]:
        track = _track(section)
        if track:
            tracks.append(track)
    return session, tracks


def _track(lines: list[str]) -> MediaTrack | None:
    words = lines[0][2:].split()
    if len(words) < 4 or words[0] not in ("video", "audio") or not (words[3].isascii() and words[3].isdigit()):
        return None
    number = int(words[3]) if len(words[3]) < 4 else -1
    name, clock = _STATIC.get(number, ("", 0))
    channels, control = 1, ""
    params: dict[str, str] = {}
    for line in lines[1:]:
        key, _, value = line.partition(":")
        if key == "a=control":
            control = value.strip()
        elif key == "a=rtpmap" and value.split(" ", 1)[0] == str(number):
            found = re.match(r"\s*\d+\s+([\w.-]+)/(\d{1,7})(?:/(\d{1,2}))?", value, re.ASCII)
            if found:
                name, clock, channels = found[1].upper(), int(found[2]), int(found[3] or 1)
        elif key == "a=fmtp" and value.split(" ", 1)[0] == str(number):
            for pair in value.partition(" ")[2].split(";"):
                key, _, raw = pair.partition("=")
                params[key.strip().lower()] = raw.strip()
    codec = {
        "H264": Codec.H264, "H265": Codec.H265, "MPEG4-GENERIC": Codec.AAC, "PCMA": Codec.G711A, "PCMU": Codec.G711U,
    }.get(name)  # fmt: skip
    if codec is None or not clock:
        return None
    return MediaTrack(
        kind=Kind.VIDEO if words[0] == "video" else Kind.AUDIO, codec=codec, payload_type=number, clock_hz=clock,
        control=control, channels=channels, sets=_sprops(codec, params), aac=_aac(params) if codec is Codec.AAC else
        None,
    )  # fmt: skip


def _sprops(codec: Codec, params: Mapping[str, str]) -> ParameterSets | None:
    """Parameter sets of the fmtp; they may be missing or stale, so what cannot be read is no fault."""
    names = ("sprop-parameter-sets",) if codec is Codec.H264 else ("sprop-vps", "sprop-sps", "sprop-pps")
    if codec not in (Codec.H264, Codec.H265):
        return None
    units = []
    for text in ",".join(params.get(name, "") for name in names).split(","):
        try:
            units.append(base64.b64decode(text, validate=True))
        except binascii.Error:
            continue
    sets = h26x.parameter_sets(codec, units)
    return sets if sets.is_complete else None


def _aac(params: Mapping[str, str]) -> AacConfig | None:
    try:
        return AacConfig.parse(bytes.fromhex(params.get("config", "")))
    except (ValueError, WireError):
        return None


# -- digest


def _hash(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _digest(user: str, realm: str, password: str, nonce: str, method: str, uri: str) -> str:
    """The response of RFC 2617 3.2.2.1 without qop, as cameras use it."""
    return _hash(f"{_hash(f'{user}:{realm}:{password}')}:{nonce}:{_hash(f'{method}:{uri}')}")


_FIELD = re.compile(r'([A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


def _auth_fields(text: str) -> dict[str, str]:
    return {key.lower(): quoted or bare for key, quoted, bare in _FIELD.findall(text[:2048])}


# -- server


@dataclass(frozen=True, slots=True)
class Playing:
    """A client wants media from now on. transports: per track index, only those set up."""

    path: str
    transports: Mapping[int, Transport]


@dataclass(frozen=True, slots=True)
class Paused:
    """No media until the next Playing."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over. reason: in words."""

    reason: str


@dataclass(frozen=True, slots=True)
class FromClient:
    """An interleaved frame of a client: RTCP, as a rule."""

    channel: int
    data: bytes


ServerEvent = Playing | Paused | Closed | FromClient

_PUBLIC = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER"


class Server:
    """The camera's side of one connection.

    find: the tracks behind a path, None where there are none; their order gives the track indexes and their control
    lines must differ. credentials: password by user; empty lets everybody in. nonce, session: fresh random words for
    this connection. udp_ports: the (RTP, RTCP) ports that were opened for each track, empty where UDP is not offered.
    Requests without any for `timeout_s` end a session on UDP; on TCP the connection itself tells.
    """

    def __init__(
        self, find: Callable[[str], Sequence[MediaTrack] | None], *, nonce: str, session: str, realm: str = "camera",
        credentials: Mapping[str, str] | None = None, udp_ports: Sequence[tuple[int, int]] = (), timeout_s: float =
        60.0,
    ) -> None:  # fmt: skip
        self._find = find
        self._nonce = nonce
        self._session = session
        self._realm = realm
        self._credentials = dict(credentials or {})
        self._udp_ports = udp_ports
        self._timeout_s = timeout_s
        self._decoder = Decoder()
        self._out: list[bytes] = []
        self._events: list[ServerEvent] = []
        self._path: str | None = None
        self._transports: dict[int, Transport] = {}
        self._is_playing = False
        self._is_closed = False
        self._heard = 0.0

    def receive(self, data: Buffer, now: float) -> list[ServerEvent]:
        """What happened. now: seconds, monotonic. Raises WireError where the peer speaks no RTSP; then close."""
        self._heard = now
        for message in self._decoder.feed(data):
            if isinstance(message, Interleaved):
                self._events.append(FromClient(message.channel, bytes(message.data)))
            elif isinstance(message, Request):
                self._out.append(self._answer(message).serialize())
        events, self._events = self._events, []
        return events

    def to_send(self) -> bytes:
        """What to write to the connection."""
        out, self._out = b"".join(self._out), []
        return out

    def timer(self) -> float | None:
        """When to call `tick`, None where the connection itself tells whether the peer lives."""
        udp = any(not transport.is_tcp for transport in self._transports.values())
        return self._heard + self._timeout_s if udp and not self._is_closed else None

    def tick(self, now: float) -> list[ServerEvent]:
        """Closes a session whose client has gone silent."""
        due = self.timer()
        return [self._close("the client has gone silent")] if due is not None and now >= due else []

    def _close(self, reason: str) -> Closed:
        self._is_closed, self._is_playing = True, False
        self._transports.clear()
        return Closed(reason)

    def _answer(self, request: Request) -> Response:
        cseq = request.header("CSeq")
        if cseq is None:
            return Response(status=400)
        base = (("CSeq", cseq[:32]),)
        if request.method == "OPTIONS":
            return Response(status=200, headers=(*base, ("Public", _PUBLIC)))
        if self._credentials and not self._is_authorised(request):
            challenge = f'Digest realm="{self._realm}", nonce="{self._nonce}"'
            return Response(status=401, headers=(*base, ("WWW-Authenticate", challenge)))
        status, headers, body = self._handle(request)
        return Response(status=status, headers=(*base, *headers), body=body)

    def _is_authorised(self, request: Request) -> bool:
        scheme, _, rest = (request.header("Authorization") or "").partition(" ")
        fields = _auth_fields(rest)
        user = fields.get("username", "")
        password = self._credentials.get(user)
        if scheme.lower() != "digest" or password is None or fields.get("nonce") != self._nonce:
            return False
        wanted = _digest(user, self._realm, password, self._nonce, request.method, fields.get("uri", ""))
        return hmac.compare_digest(wanted.encode(), fields.get("response", "").encode())

    def _handle(self, request: Request) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        nothing: tuple[tuple[str, str], ...] = ()
        path = _path(request.uri)
        if request.method == "DESCRIBE":
            tracks = self._find(path)
            if tracks is None:
                return 404, nothing, b""
            base = request.uri if request.uri.endswith("/") else f"{request.uri}/"
            headers = (("Content-Base", base), ("Content-Type", "application/sdp"))
            return 200, headers, describe(tracks).encode()
        if request.method == "SETUP":
            return self._setup(request, path)
        wanted = request.header("Session")
        named = wanted is not None and wanted.split(";")[0].strip() == self._session and not self._is_closed
        session = (("Session", self._session),)
        if request.method in ("GET_PARAMETER", "SET_PARAMETER"):
            return (200, session if named else nothing, b"") if named or wanted is None else (454, nothing, b"")
        if request.method not in ("PLAY", "PAUSE", "TEARDOWN"):
            return (501 if request.method not in ("ANNOUNCE", "RECORD", "REDIRECT") else 405), nothing, b""
        if not named or self._path is None:
            return 454, nothing, b""
        if request.method == "TEARDOWN":
            self._events.append(self._close("the client has left"))
            return 200, session, b""
        if request.method == "PAUSE":
            self._is_playing = False
            self._events.append(Paused())
            return 200, session, b""
        if not self._transports:
            return 455, session, b""
        if not self._is_playing:
            self._is_playing = True
            self._events.append(Playing(self._path, dict(self._transports)))
        return 200, (*session, ("Range", "npt=0.000-")), b""

    def _setup(self, request: Request, path: str) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        nothing: tuple[tuple[str, str], ...] = ()
        wanted = request.header("Session")
        if wanted is not None and wanted.split(";")[0].strip() != self._session:
            return 454, nothing, b""
        if self._is_playing or self._is_closed:
            return 455, nothing, b""
        stem, _, control = path.rpartition("/")
        tracks = self._find(stem) or ()
        index = next((n for n, track in enumerate(tracks) if track.control == control), None)
        if index is None or (self._path is not None and self._path != stem):
            return 404, nothing, b""
        transport = self._choose(request.header("Transport") or "", index)
        if transport is None:
            return 461, nothing, b""
        self._path = stem
        self._transports[index] = transport
        session = f"{self._session};timeout={self._timeout_s:.0f}"
        return 200, (("Session", session), ("Transport", str(transport))), b""

    def _choose(self, text: str, index: int) -> Transport | None:
        taken = {
            channel for n, one in self._transports.items() if n != index and one.channels for channel in one.channels
        }  # fmt: skip
        for choice in Transport.parse(text):
            if choice.is_multicast:
                continue
            if choice.is_tcp:
                channels = choice.channels
                if channels is None or taken & set(channels):
                    channels = (2 * index, 2 * index + 1)
                if not taken & set(channels):
                    self._decoder.expect(channels)
                    return Transport(is_tcp=True, channels=channels)
            elif choice.client_port and index < len(self._udp_ports):
                return Transport(is_tcp=False, client_port=choice.client_port, server_port=self._udp_ports[index])
        return None


def _path(uri: str) -> str:
    """The path of a request's URI, decoded, without the slash at its end; queries are passed over."""
    try:
        return unquote(urlsplit(uri).path).rstrip("/")
    except ValueError:
        return ""


# -- client


@dataclass(frozen=True, slots=True)
class Described:
    """What the server offers; all of it is being set up."""

    tracks: Sequence[MediaTrack]


@dataclass(frozen=True, slots=True)
class Started:
    """PLAY was accepted. transports: per track, the server's own choice of channels or ports."""

    transports: Sequence[Transport]


@dataclass(frozen=True, slots=True)
class Media:
    """A packet of an interleaved connection. track: its index. is_rtcp: on the control channel."""

    track: int
    data: Buffer
    is_rtcp: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """The session can't go on. status: the server's, 0 where it made no sense. location: where a redirect points."""

    step: str
    status: int
    reason: str
    location: str = ""


ClientEvent = Described | Started | Media | Failed


@dataclass(slots=True)
class _Pending:
    method: str
    uri: str
    headers: tuple[tuple[str, str], ...]
    track: int = -1
    attempts: int = 0


@dataclass(slots=True)
class Client:
    """The platform's side of one connection: OPTIONS, DESCRIBE, SETUP of every track, PLAY, keep-alive, TEARDOWN.

    url: rtsp://host[:port]/path, without user and password. client_ports: the (RTP, RTCP) ports opened for each track,
    for media over UDP; empty asks for TCP interleaved. A wrong password is tried once, never again.
    """

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    client_ports: Sequence[tuple[int, int]] = ()
    tracks: list[MediaTrack] = field(default_factory=list)
    transports: list[Transport] = field(default_factory=list)
    is_playing: bool = False
    _decoder: Decoder = field(default_factory=Decoder)
    _out: list[bytes] = field(default_factory=list)
    _pending: dict[int, _Pending] = field(default_factory=dict)
    _cseq: int = 0
    _session: str = ""
    _timeout_s: float = 60.0
    _sent_at: float = 0.0
    _base: str = ""
    _control: str = "*"
    _realm: str = ""
    _nonce: str = ""
    _keeps_with: str = "OPTIONS"
    _channels: dict[int, tuple[int, bool]] = field(default_factory=dict)

    def start(self, now: float) -> None:
        """Begin. now: seconds, monotonic."""
        self._ask("OPTIONS", self.url, now)

    def stop(self, now: float) -> None:
        """Say good-bye; `to_send`, then close."""
        if self._session:
            self._ask("TEARDOWN", self._aggregate(), now)
        self.is_playing = False

    def to_send(self) -> bytes:
        """What to write to the connection."""
        out, self._out = b"".join(self._out), []
        return out

    def timer(self) -> float | None:
        """When to call `tick`: half the session's timeout after the last request."""
        return self._sent_at + self._timeout_s / 2 if self.is_playing else None

    def tick(self, now: float) -> None:
        """Keep the session alive where it is due."""
        due = self.timer()
        if due is not None and now >= due:
            self._pending = {number: one for number, one in self._pending.items() if one.method == "TEARDOWN"}
            self._ask(self._keeps_with, self._aggregate(), now)

    def receive(self, data: Buffer, now: float) -> list[ClientEvent]:
        """What happened. Raises WireError where the peer speaks no RTSP; then close."""
        events: list[ClientEvent] = []
        for message in self._decoder.feed(data):
            if isinstance(message, Interleaved):
                place = self._channels.get(message.channel)
                if place:
                    events.append(Media(place[0], message.data, place[1]))
            elif isinstance(message, Response):
                events += self._response(message, now)
            else:
                # a server may ask too (OPTIONS, SET_PARAMETER as keep-alive): a polite no to all
                cseq = message.header("CSeq") or "0"
                self._out.append(Response(status=501, headers=(("CSeq", cseq[:32]),)).serialize())
        return events

    def _ask(
        self,
        method: str,
        uri: str,
        now: float,
        headers: tuple[tuple[str, str], ...] = (),
        track: int = -1,
        attempts: int = 0,
    ) -> None:
        self._cseq += 1
        all_headers = [("CSeq", str(self._cseq)), ("User-Agent", "Anwang"), *headers]
        if self._session:
            all_headers.append(("Session", self._session))
        if self._nonce:
            answer = _digest(self.user, self._realm, self.password, self._nonce, method, uri)
            all_headers.append(
                (
                    "Authorization",
                    (
                        f'Digest username="{self.user}", realm="{self._realm}", nonce="{self._nonce}", uri="{uri}", '
                        f'response="{answer}"'
                    ),
                )
            )
        self._pending[self._cseq] = _Pending(method, uri, headers, track, attempts)
        self._sent_at = now
        self._out.append(Request(method=method, uri=uri, headers=tuple(all_headers)).serialize())

    def _response(self, response: Response, now: float) -> list[ClientEvent]:
        cseq = (response.header("CSeq") or "").strip()
        asked = self._pending.pop(int(cseq), None) if cseq.isascii() and cseq.isdigit() and len(cseq) < 10 else None
        if asked is None:
            return []
        if response.status == 401 and self._take_challenge(response, asked):
            self._ask(asked.method, asked.uri, now, asked.headers, asked.track, asked.attempts + 1)
            return []
        if asked.method in ("GET_PARAMETER", "TEARDOWN") or (asked.method == "OPTIONS" and self.is_playing):
            # a keep-alive is answered as each server likes, 454 alone says that the session is gone
            return [self._failed(asked, response)] if response.status == 454 else []
        if asked.method == "OPTIONS":
            if response.status == 200 and "GET_PARAMETER" in (response.header("Public") or ""):
                self._keeps_with = "GET_PARAMETER"
            self._ask("DESCRIBE", self.url, now, (("Accept", "application/sdp"),))
            return []
        if response.status != 200:
            return [self._failed(asked, response)]
        if asked.method == "DESCRIBE":
            return self._described(asked, response, now)
        if asked.method == "SETUP":
            return self._set_up(asked, response, now)
        self.is_playing = True
        return [Started(list(self.transports))]

    def _failed(self, asked: _Pending, response: Response) -> Failed:
        self.is_playing = False
        reason = response.reason or REASONS.get(response.status, "")
        return Failed(asked.method, response.status, reason, response.header("Location") or "")

    def _take_challenge(self, response: Response, asked: _Pending) -> bool:
        """Whether the request is worth repeating: once with the first nonce, and again where the server says stale."""
        for text in response.all_headers("WWW-Authenticate"):
            scheme, _, rest = text.partition(" ")
            fields = _auth_fields(rest)
            algorithm = fields.get("algorithm", "MD5").upper()
            if scheme.lower() != "digest" or not fields.get("nonce") or algorithm != "MD5" or not self.user:
                continue
            is_new = fields["nonce"] != self._nonce
            is_stale = fields.get("stale", "").lower() == "true" and is_new
            if (asked.attempts == 0 and (is_new or is_stale)) or (is_stale and asked.attempts < 3):
                self._realm, self._nonce = fields.get("realm", ""), fields["nonce"]
                return '"' not in self._realm + self._nonce
        return False

    def _described(self, asked: _Pending, response: Response, now: float) -> list[ClientEvent]:
        self._base = response.header("Content-Base") or response.header("Content-Location") or asked.uri
        self._control, tracks = parse_description(response.body.decode("utf-8", "replace"))
        if self.client_ports:
            tracks = tracks[: len(self.client_ports)]
        if not tracks:
            return [Failed("DESCRIBE", 0, "nothing in the description that we could play")]
        self.tracks = tracks
        self._set_up_next(now)
        return [Described(list(tracks))]

    def _set_up_next(self, now: float) -> None:
        index = len(self.transports)
        if index == len(self.tracks):
            self._ask("PLAY", self._aggregate(), now, (("Range", "npt=0.000-"),))
            return
        if self.client_ports:
            wanted = Transport(is_tcp=False, client_port=self.client_ports[index])
        else:
            wanted = Transport(is_tcp=True, channels=(2 * index, 2 * index + 1))
        uri = _join(self._base, self.tracks[index].control)
        self._ask("SETUP", uri, now, (("Transport", str(wanted)),), index)

    def _set_up(self, asked: _Pending, response: Response, now: float) -> list[ClientEvent]:
        session, _, options = (response.header("Session") or "").partition(";")
        self._session = self._session or session.strip()
        found = re.search(r"timeout\s*=\s*(\d{1,5})", options, re.ASCII)
        if found and int(found[1]):
            self._timeout_s = max(2.0, float(found[1]))
        choices = Transport.parse(response.header("Transport") or "")
        transport = choices[0] if choices else None
        if (
            transport is None
            or transport.is_tcp == bool(self.client_ports)
            or (transport.is_tcp and not transport.channels)
        ):
            return [Failed("SETUP", 0, f"the transport {(response.header('Transport') or '')[:80]!r}")]
        if transport.channels:
            # the server may have chosen other channels than we asked for
            self._channels[transport.channels[0]] = (asked.track, False)
            self._channels[transport.channels[1]] = (asked.track, True)
            self._decoder.expect(transport.channels)
        self.transports.append(transport)
        self._set_up_next(now)
        return []

    def _aggregate(self) -> str:
        return _join(self._base, self._control) if self._base else self.url


def _join(base: str, control: str) -> str:
    """A control line made absolute (RFC 2326 C.1.1), the query kept before it as cameras expect."""
    if control in ("", "*"):
        return base
    if control.lower().startswith(("rtsp://", "rtsps://")):
        return control
    return base + control if base.endswith("/") else f"{base}/{control}"
