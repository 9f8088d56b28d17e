"""Typed header values of SIP (RFC 3261 20, 25): addresses, Via, CSeq, Event.

Parsing is generous (brackets, quotes and case as devices write them), writing is exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from anwang.kernel.errors import WireError
from anwang.kernel.hosts import bracketed

Params = tuple[tuple[str, str | None], ...]

_ESCAPED = re.compile(r"\\(.?)", re.DOTALL)

# The forms that nearly every device writes, taken apart by one pattern each; the rest goes the long way and means the
# same.
_WORD = r"[0-9A-Za-z_.~+*%!'-]+"
_PARAMS = rf"((?:;[0-9a-z_-]+(?:={_WORD})?)*)"
_HOST_PORT = r"([0-9A-Za-z.-]+)(?::([1-9][0-9]{0,3}))?"
_PLAIN_ADDRESS = re.compile(rf'(?:"([^"\\]*)" ?)?<sip:(?:([0-9A-Za-z_.-]*)@)?{_HOST_PORT}>{_PARAMS}')
_PLAIN_VIA = re.compile(rf"SIP/2\.0/([A-Z]+) {_HOST_PORT}{_PARAMS}")


def _plain_params(text: str) -> Params:
    return tuple([(name, value if equals else None) for name, equals, value in _parts(text)]) if text else ()


def _parts(text: str) -> list[tuple[str, str, str]]:
    return [part.partition("=") for part in text[1:].split(";")]


def split_outside(text: str, separator: str) -> list[str]:
    """Split where the separator stands outside double quotes and angle brackets; parts are stripped, empty kept."""
    if '"' not in text and "<" not in text:
        return [part.strip() for part in text.split(separator)]
    parts: list[str] = []
    start, quoted, depth, skip = 0, False, 0, False
    for index, char in enumerate(text):
        if skip:
            skip = False
        elif quoted:
            if char == "\\":
                skip = True
            elif char == '"':
                quoted = False
        elif char == '"':
            quoted = True
        elif char == "<":
            depth += 1
        elif char == ">":
            depth = max(0, depth - 1)
        elif char == separator and not depth:
            parts.append(text[start:index].strip())
            start = index + 1
    parts.append(text[start:].strip())
    return parts


def unquote(text: str) -> str:
    """The text inside double quotes with its escapes undone; anything else as it is."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        inner = text[1:-1]
        if "\\" not in inner:
            return inner
        return _ESCAPED.sub(r"\1", inner)
    return text


def quote(text: str) -> str:
    """The text in double quotes, its quotes and backslashes escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_params(parts: list[str]) -> Params:
    """`a=1`, `b`, `c="x y"` as pairs; names in lower case, values unquoted."""
    found: list[tuple[str, str | None]] = []
    for part in parts:
        if not part:
            continue
        name, equals, value = part.partition("=")
        found.append((name.strip().lower(), unquote(value.strip()) if equals else None))
    return tuple(found)


def write_params(params: Params) -> str:
    """`;a=1;b`, values quoted only where their characters ask for it."""
    return "".join(f";{name}" if value is None else f";{name}={_token_or_quoted(value)}" for name, value in params)


def _token_or_quoted(value: str) -> str:
    bare = value and not any(char in '";,=<> \t\\' for char in value)
    return value if bare else quote(value)


def param(params: Params, name: str) -> str | None:
    """The first value of that name; None where it is absent or has no value."""
    for key, value in params:
        if key == name:
            return value
    return None


@dataclass(frozen=True, slots=True)
class Uri:
    """A SIP URI (RFC 3261 19.1). port: 0 where none is written. Peers are matched by `user` alone."""

    user: str
    host: str
    port: int = 0
    scheme: str = "sip"
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises WireError. A password in the user part is dropped: it is never used and never kept."""
        scheme, colon, rest = text.strip().partition(":")
        scheme = scheme.lower()
        if not colon or scheme not in {"sip", "sips"}:
            raise WireError(f"{text[:80]!r} is not a SIP address")
        rest = rest.partition("?")[0]
        userinfo, at, hostpart = rest.rpartition("@")
        address, *parts = hostpart.split(";")
        host, port = split_host_port(address.strip())
        if not host:
            raise WireError(f"{text[:80]!r} names no host")
        user = userinfo.partition(":")[0].strip() if at else ""
        return cls(user, host, port, scheme, parse_params(parts))

    def __str__(self) -> str:
        at = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}:{at}{bracketed(self.host)}{port}{write_params(self.params)}"


def split_host_port(text: str) -> tuple[str, int]:
    """`host`, `host:port`, `[v6]:port`; port 0 where none is written. Raises WireError for a port that is no port."""
    if text.startswith("["):
        host, _, rest = text.partition("]")
        host += "]"
        tail = rest.removeprefix(":") if rest.startswith(":") else ""
    else:
        host, _, tail = text.partition(":")
    tail = tail.strip()
    if not tail:
        return host.strip(), 0
    if not (tail.isascii() and tail.isdigit() and len(tail) <= 5 and 0 < int(tail) < 65536):
        raise WireError(f"{text[:80]!r} has no valid port")
    return host.strip(), int(tail)


@dataclass(frozen=True, slots=True)
class Address:
    """What From, To and Contact hold: `"name" <uri>;params` (RFC 3261 20.10)."""

    uri: Uri
    params: Params = ()
    display: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises WireError. Without brackets the parameters belong to the header, not to the URI."""
        plain = _PLAIN_ADDRESS.fullmatch(text)
        if plain is not None:
            display, user, host, port, params = plain.groups()
            return cls(Uri(user or "", host, int(port or 0)), _plain_params(params), display or "")
        return cls._parse_any(text.strip())

    @classmethod
    def _parse_any(cls, text: str) -> Self:
        first, *parts = split_outside(text, ";")
        opening = first.rfind("<")
        if opening >= 0:
            closing = first.find(">", opening)
            if closing < 0:
                raise WireError(f"{text[:80]!r} has an open bracket")
            return cls(Uri.parse(first[opening + 1 : closing]), parse_params(parts), unquote(first[:opening].strip()))
        return cls(Uri.parse(first), parse_params(parts))

    @property
    def tag(self) -> str:
        """The tag, empty where there is none."""
        return param(self.params, "tag") or ""

    @property
    def expires(self) -> int | None:
        """The `expires` parameter of a Contact, in seconds."""
        return seconds(param(self.params, "expires"))

    def with_tag(self, tag: str) -> Address:
        """The same address under another tag; an empty one removes it."""
        rest = tuple(pair for pair in self.params if pair[0] != "tag")
        return Address(self.uri, (*rest, ("tag", tag)) if tag else rest, self.display)

    def __str__(self) -> str:
        name = f"{quote(self.display)} " if self.display else ""
        return f"{name}<{self.uri}>{write_params(self.params)}"


def seconds(text: str | None) -> int | None:
    """Delta-seconds (RFC 3261 25.1), at most 2**32-1; None for anything else."""
    if text is None:
        return None
    text = text.strip()
    if not (text.isascii() and text.isdigit()):
        return None
    return min(int(text[:11]), 2**32 - 1)


@dataclass(frozen=True, slots=True)
class Via:
    """One hop (RFC 3261 20.42, RFC 3581). transport: `UDP`, `TCP`. port: 0 where none is written."""

    transport: str
    host: str
    port: int = 0
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises WireError."""
        plain = _PLAIN_VIA.fullmatch(text)
        if plain is not None:
            transport, host, port, params = plain.groups()
            return cls(transport, host, int(port or 0), _plain_params(params))
        return cls._parse_any(text)

    @classmethod
    def _parse_any(cls, text: str) -> Self:
        first, *parts = split_outside(text, ";")
        protocol, _, sent_by = first.strip().rpartition(" ")
        pieces = [piece.strip() for piece in protocol.split("/")]
        if len(pieces) != 3 or pieces[0].upper() != "SIP" or not pieces[2]:
            raise WireError(f"{text[:80]!r} is not a Via")
        host, port = split_host_port(sent_by)
        if not host:
            raise WireError(f"{text[:80]!r} names no host")
        return cls(pieces[2].upper(), host, port, parse_params(parts))

    @property
    def branch(self) -> str:
        """The transaction's name, empty where there is none."""
        return param(self.params, "branch") or ""

    @property
    def sent_by(self) -> str:
        """`host` or `host:port` as written."""
        return f"{self.host}:{self.port}" if self.port else self.host

    def __str__(self) -> str:
        return f"SIP/2.0/{self.transport} {self.sent_by}{write_params(self.params)}"


@dataclass(frozen=True, slots=True)
class CSeq:
    """Number and method (RFC 3261 20.16). number: 0..2**31-1; method in upper case."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises WireError."""
        parts = text.split()
        if len(parts) != 2 or not (parts[0].isascii() and parts[0].isdigit()) or len(parts[0]) > 10:
            raise WireError(f"{text[:80]!r} is not a CSeq")
        number = int(parts[0])
        if number >= 2**31:
            raise WireError(f"CSeq {number} is above 2**31-1")
        return cls(number, parts[1].upper())

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@dataclass(frozen=True, slots=True)
class EventType:
    """What is subscribed to (RFC 6665 8.2.1), `Catalog;id=1894` with or without a space."""

    package: str
    id: str = ""
    params: Params = field(default=(), compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises WireError for an empty package."""
        first, *parts = split_outside(text, ";")
        if not first:
            raise WireError("an Event names no package")
        params = parse_params(parts)
        return cls(first, param(params, "id") or "", params)

    def __str__(self) -> str:
        return f"{self.package};id={_token_or_quoted(self.id)}" if self.id else self.package


def addresses(values: Iterator[str]) -> Iterator[Address]:
    """All addresses of possibly comma-joined headers. Raises WireError."""
    for value in values:
        for part in split_outside(value, ","):
            if part:
                yield Address.parse(part)
