"""SIP messages as values: `parse` and `serialize` for requests and responses (RFC 3261 7).

What we accept: any case of names and methods, compact names, folded lines, lines that end in LF, comma-joined Via,
noise before the start line. What we write: canonical names, CRLF, `Content-Length` in bytes.

Text is UTF-8 where it is valid, else Latin-1 byte for byte, and `charset` remembers which, so that a header which is
echoed goes back exactly as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from anwang.kernel.errors import WireError
from anwang.wire.sip.values import Address, CSeq, Via, addresses, seconds, split_outside

MAX_LINE: Final = 8 * 1024
MAX_HEAD: Final = 64 * 1024
MAX_BODY: Final = 1024 * 1024
MAX_HEADERS: Final = 256

_KNOWN = (
    "Accept", "Alert-Info", "Allow", "Allow-Events", "Authorization", "Call-ID", "Contact", "Content-Encoding",
    "Content-Length", "Content-Type", "CSeq", "Date", "Event", "Expires", "From", "Max-Forwards", "Min-Expires",
    "Monitor-User-Identity", "Note", "Proxy-Authenticate", "Proxy-Authorization", "Reason", "Record-Route", "Require",
    "Retry-After", "Route", "SecurityInfo", "Server", "Subject", "Subscription-State", "Supported", "To", "Unsupported",
    "User-Agent", "Via", "Warning", "WWW-Authenticate", "X-GB-Ver", "X-PreferredPath", "X-RoutePath",
)  # fmt: skip
_COMPACT = {
    "v": "Via", "f": "From", "t": "To", "i": "Call-ID", "m": "Contact", "l": "Content-Length", "c": "Content-Type",
    "s": "Subject", "o": "Event", "k": "Supported", "u": "Allow-Events", "e": "Content-Encoding",
}  # fmt: skip
#: every spelling seen so far that needs no work
_CANONICAL: dict[str, str] = {name: name for name in _KNOWN}
_LOWER: dict[str, str] = {name.lower(): name for name in _KNOWN} | _COMPACT

_TOKEN = re.compile(r"[A-Za-z0-9!%*_+`'.~-]+")
#: what may stand before a start line: line ends and the NULs of crude keep-alives
NOISE: Final = b"\r\n\x00 \t"

REASONS: Final[dict[int, str]] = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted", 302: "Moved Temporarily",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone", 413: "Request Entity Too Large",
    415: "Unsupported Media Type", 420: "Bad Extension", 423: "Interval Too Brief", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops", 486: "Busy Here",
    487: "Request Terminated", 488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending",
    500: "Server Internal Error", 501: "Not Implemented", 503: "Service Unavailable", 504: "Server Time-out",
    505: "Version Not Supported", 513: "Message Too Large", 600: "Busy Everywhere", 603: "Decline",
}  # fmt: skip


def canonical(name: str) -> str:
    """The name as we write it: known ones as the standards spell them, others `Like-This`."""
    found = _CANONICAL.get(name)
    if found is not None:
        return found
    lower = name.lower()
    return _LOWER.get(lower) or "-".join(part.capitalize() for part in lower.split("-"))


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in their order, names canonical. Looking up is case-insensitive; nothing changes in place."""

    items: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Headers:
        """From pairs in any spelling of the names."""
        return cls(tuple((canonical(name), value) for name, value in pairs))

    def get(self, name: str, default: str = "") -> str:
        """The first value of that name."""
        wanted = canonical(name)
        for key, value in self.items:
            if key == wanted:
                return value
        return default

    def has(self, name: str) -> bool:
        """Whether any such field is there."""
        wanted = canonical(name)
        return any(key == wanted for key, _ in self.items)

    def all(self, name: str) -> Iterator[str]:
        """Every value of that name, in order."""
        wanted = canonical(name)
        return (value for key, value in self.items if key == wanted)

    def with_(self, *pairs: tuple[str, str]) -> Headers:
        """The same with these fields set: the first of each name is replaced where it stands, others are appended."""
        fresh = {canonical(name): value for name, value in pairs}
        kept: list[tuple[str, str]] = []
        placed: set[str] = set()
        for key, value in self.items:
            if key not in fresh:
                kept.append((key, value))
            elif key not in placed:
                kept.append((key, fresh[key]))
                placed.add(key)
        kept.extend((key, value) for key, value in fresh.items() if key not in placed)
        return Headers(tuple(kept))

    def plus(self, *pairs: tuple[str, str]) -> Headers:
        """The same with these fields appended."""
        return Headers((*self.items, *((canonical(name), value) for name, value in pairs)))

    def first(self, *pairs: tuple[str, str]) -> Headers:
        """The same with these fields put before all others."""
        return Headers((*((canonical(name), value) for name, value in pairs), *self.items))

    def without(self, *names: str) -> Headers:
        """The same with no field of these names."""
        gone = {canonical(name) for name in names}
        return Headers(tuple(pair for pair in self.items if pair[0] not in gone))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    headers: Headers = Headers()
    body: bytes = b""
    #: how the header text was decoded: utf-8 or latin-1
    charset: str = field(default="utf-8", compare=False)

    @property
    def call_id(self) -> str:
        """The Call-ID, empty where it is missing."""
        return self.headers.get("Call-ID")

    @property
    def cseq(self) -> CSeq:
        """Raises WireError where it is missing or broken."""
        return CSeq.parse(self.headers.get("CSeq"))

    @property
    def from_(self) -> Address:
        """Who asks. Raises WireError."""
        return Address.parse(self.headers.get("From"))

    @property
    def to(self) -> Address:
        """Who is asked. Raises WireError."""
        return Address.parse(self.headers.get("To"))

    @property
    def vias(self) -> list[str]:
        """All hops, nearest first, comma-joined ones taken apart."""
        return [part for value in self.headers.all("Via") for part in split_outside(value, ",") if part]

    @property
    def via(self) -> Via:
        """The nearest hop. Raises WireError."""
        value = self.headers.get("Via")
        if not value:
            raise WireError("no Via")
        return Via.parse(split_outside(value, ",")[0] if "," in value else value)

    @property
    def contacts(self) -> list[Address]:
        """Every Contact that is an address; `*` and broken ones are left out."""
        found: list[Address] = []
        for value in self.headers.all("Contact"):
            try:
                found.extend(addresses(iter((value,))))
            except WireError:
                continue
        return found

    @property
    def expires(self) -> int | None:
        """Seconds asked for or granted: the Contact's parameter before the header (RFC 3261 10.2.1.1)."""
        for contact in self.contacts:
            if contact.expires is not None:
                return contact.expires
        return seconds(self.headers.get("Expires")) if self.headers.has("Expires") else None

    @property
    def content_type(self) -> str:
        """The media type in lower case without parameters; empty where it is missing."""
        return self.headers.get("Content-Type").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(_Common):
    """A request. method: in upper case. uri: as written."""

    method: str
    uri: str

    def with_headers(self, *pairs: tuple[str, str]) -> Request:
        """The same with these header fields set."""
        return replace(self, headers=self.headers.with_(*pairs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Response(_Common):
    """A response. status: 100..699."""

    status: int
    reason: str = ""

    @property
    def is_final(self) -> bool:
        """Whether no other answer follows."""
        return self.status >= 200

    @property
    def is_ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300

    def with_headers(self, *pairs: tuple[str, str]) -> Response:
        """The same with these header fields set."""
        return replace(self, headers=self.headers.with_(*pairs))


Message = Request | Response


def is_noise(data: bytes) -> bool:
    """Whether a datagram is no message at all but a crude keep-alive: nothing, line ends, NULs, up to four bytes."""
    return len(data) <= 4 or not data.strip(NOISE)


def find_head(data: bytes | bytearray, start: int = 0) -> tuple[int, int] | None:
    """Where the head ends and the body begins, or None while the empty line has not come."""
    crlf = data.find(b"\n\r\n", start)
    lf = data.find(b"\n\n", start) if crlf < 0 else data.find(b"\n\n", start, crlf + 1)
    if crlf < 0 and lf < 0:
        return None
    end, length = (crlf, 3) if lf < 0 or 0 <= crlf < lf else (lf, 2)
    return (end - 1 if end and data[end - 1] == 13 else end), end + length


def parse(data: bytes) -> Message:
    """One message in a buffer of its own, such as a datagram; bytes after `Content-Length` are ignored.

    Raises WireError: no start line, a line or head beyond its bound, a body shorter than declared or beyond 1 MiB.
    """
    skipped = len(data) - len(data.lstrip(NOISE))
    if skipped:
        data = data[skipped:]
    found = find_head(data)
    if found is None:
        # a message without the empty line: some devices leave it out where there is no body
        if not data or len(data) > MAX_HEAD:
            raise WireError("no end of the header section", data=data)
        head, rest = data, b""
    else:
        head, rest = data[: found[0]], data[found[1] :]
    start, headers, charset = parse_head(head)
    length = content_length(headers)
    if length is None:
        body = rest
    elif length > len(rest):
        raise WireError(f"the body has {len(rest)} of {length} bytes", data=data, offset=len(data))
    else:
        body = rest[:length]
    if len(body) > MAX_BODY:
        raise WireError(f"a body of {len(body)} bytes is above {MAX_BODY}", data=data)
    return assemble(start, headers, body, charset)


def parse_head(head: bytes) -> tuple[str, Headers, str]:
    """Start line, headers and charset of a head without its empty line. Raises WireError."""
    if len(head) > MAX_HEAD:
        raise WireError(f"a head of {len(head)} bytes is above {MAX_HEAD}", data=head, offset=MAX_HEAD)
    try:
        text, charset = head.decode(), "utf-8"
    except UnicodeDecodeError:
        text, charset = head.decode("latin-1"), "latin-1"
    if "\x00" in text:
        raise WireError("a NUL in the head", data=head, offset=head.index(b"\x00"))
    text = text.replace("\r\n", "\n")
    if "\r" in text:  # a lone CR ends no line and must not be echoed as one
        text = text.removesuffix("\r").replace("\r", " ")
    lines = text.split("\n")
    pairs: list[tuple[str, str]] = []
    is_long = len(text) > MAX_LINE
    for line in lines[1:]:
        raw, colon, value = line.partition(":")
        known = _CANONICAL.get(raw)
        if known is not None and colon and not is_long:
            pairs.append((known, value.strip()))
        elif line[:1] in {" ", "\t"}:
            if not pairs:
                raise WireError("a folded line before any header", data=head)
            name, value = pairs[-1]
            pairs[-1] = (name, f"{value} {line.strip()}".strip())
            if len(pairs[-1][1]) > MAX_LINE:
                raise WireError(f"a header above {MAX_LINE} bytes", data=head)
        elif len(line) > MAX_LINE:
            raise WireError(f"a line above {MAX_LINE} bytes", data=head)
        else:
            raw = raw.strip()
            if not colon or not _TOKEN.fullmatch(raw):
                raise WireError(f"{line[:80]!r} is not a header", data=head)
            pairs.append((canonical(raw), value.strip()))
    if len(pairs) > MAX_HEADERS:
        raise WireError(f"{len(pairs)} headers are above {MAX_HEADERS}", data=head)
    if len(lines[0]) > MAX_LINE:
        raise WireError(f"a start line above {MAX_LINE} bytes", data=head)
    return lines[0].strip(), Headers(tuple(pairs)), charset


def content_length(headers: Headers) -> int | None:
    """Bytes of body declared, None where nothing is. Raises WireError for no number or two that differ."""
    values = {value for key, value in headers.items if key == "Content-Length"}
    if not values:
        return None
    if len(values) > 1:
        raise WireError(f"{len(values)} different lengths of one body")
    (value,) = values
    if not (value.isascii() and value.isdigit() and len(value) <= 10):
        raise WireError(f"{value[:40]!r} is not a length")
    return int(value)


def assemble(start: str, headers: Headers, body: bytes, charset: str = "utf-8") -> Message:
    """A message from its parts. Raises WireError for a start line that is none."""
    if start[:4].upper() == "SIP/":
        version, _, rest = start.partition(" ")
        status, _, reason = rest.strip().partition(" ")
        if version.upper() != "SIP/2.0":
            raise WireError(f"{version[:40]!r} is not a version we speak", data=start.encode(errors="replace"))
        if not (status.isascii() and status.isdigit() and len(status) == 3 and 100 <= int(status) < 700):
            raise WireError(f"{status[:40]!r} is not a status", data=start.encode(errors="replace"))
        return Response(status=int(status), reason=reason.strip(), headers=headers, body=body, charset=charset)
    parts = start.split()
    if len(parts) != 3 or parts[2].upper() != "SIP/2.0" or not _TOKEN.fullmatch(parts[0]):
        raise WireError(f"{start[:80]!r} is not a start line", data=start.encode(errors="replace"))
    return Request(method=parts[0].upper(), uri=parts[1], headers=headers, body=body, charset=charset)


_LINE_END = re.compile(r"[\r\n\x00]+")


def serialize(message: Message) -> bytes:
    """The message's bytes. `Content-Length` is ours; a line end inside a value becomes a space."""
    if isinstance(message, Request):
        start = f"{message.method} {message.uri} SIP/2.0"
    else:
        start = f"SIP/2.0 {message.status} {message.reason or REASONS.get(message.status, 'Unknown')}"
    lines = [_LINE_END.sub(" ", start)]
    for name, value in message.headers.items:
        if name == "Content-Length":
            continue
        if "\n" in value or "\r" in value or "\x00" in value:
            value = _LINE_END.sub(" ", value)
        lines.append(f"{name}: {value}")
    lines.append(f"Content-Length: {len(message.body)}\r\n\r\n")
    return "\r\n".join(lines).encode(message.charset, "replace") + message.body


def response_to(
    request: Request,
    status: int,
    reason: str = "",
    *,
    to_tag: str = "",
    headers: Iterable[tuple[str, str]] = (),
    content_type: str = "",
    body: bytes = b"",
) -> Response:
    """A response with what must be copied from its request (RFC 3261 8.2.6.2).

    to_tag: put on To where the request had none and the status is above 100.
    """
    copied: list[tuple[str, str]] = []
    record: list[tuple[str, str]] = []
    for key, value in request.headers.items:
        if key == "To" and to_tag and status > 100 and not _has_tag(value):
            copied.append((key, f"{value};tag={to_tag}"))
        elif key in {"Via", "From", "To", "Call-ID", "CSeq"}:
            copied.append((key, value))
        elif key == "Record-Route":
            record.append((key, value))
    if status > 100 and request.method in {"INVITE", "SUBSCRIBE"}:
        copied.extend(record)
    fields = Headers(tuple(copied)).plus(*headers)
    if content_type:
        fields = fields.plus(("Content-Type", content_type))
    return Response(status=status, reason=reason, headers=fields, body=body, charset=request.charset)


def _has_tag(value: str) -> bool:
    lower = value.lower()
    return "tag" in lower and any(
        part.partition("=")[0].strip().lower() == "tag" for part in split_outside(value, ";")[1:]
    )
