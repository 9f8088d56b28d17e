"""Messages out of a TCP stream (RFC 3261 18.3): an empty line ends the head, `Content-Length` says the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from anwang.kernel.errors import WireError
from anwang.wire.sip.message import MAX_BODY, MAX_HEAD, NOISE, find_head

#: without the flag for letters of either case, a search skips from line end to line end: a third of the time
_NAME: Final = rb"(?:[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Ll][Ee][Nn][Gg][Tt][Hh]|[Ll])"
_LENGTH: Final = re.compile(rb"(?m)\n" + _NAME + rb"[ \t]*:(?:[ \t]|\r?\n[ \t])*([^\r\n]*?)[ \t]*\r?$")


class StreamFramer:
    """Cuts one connection's bytes into messages.

    Feed it with `receive`, then take whole messages from `messages`. After a WireError the stream has lost its frame
    and the connection must be closed; every later call raises the same error. Holds at most one unfinished message,
    bounded by 64 KiB of head and 1 MiB of body, beside what was fed last.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._scanned = 0
        self._needed = 0
        self._broken: WireError | None = None

    def receive(self, data: bytes) -> None:
        """Bytes as they came."""
        if self._broken:
            raise self._broken
        self._held += data

    def messages(self) -> Iterator[bytes]:
        """Each whole message that has come. Raises WireError where the stream can't be cut any more."""
        if self._broken:
            raise self._broken
        try:
            while (message := self._next()) is not None:
                yield message
        except WireError as broken:
            self._broken = broken
            self._held.clear()
            raise

    @property
    def held(self) -> int:
        """Bytes of a message that has not come whole."""
        return len(self._held)

    def _next(self) -> bytes | None:
        held = self._held
        if not self._needed:
            if not self._scanned and held[:1] and held[0] in NOISE:
                noise = len(held) - len(held.lstrip(NOISE))
                del held[:noise]
            found = find_head(held, max(0, self._scanned - 3))
            if found is None:
                if len(held) > MAX_HEAD:
                    raise WireError(f"no end of the head within {MAX_HEAD} bytes", data=bytes(held[:256]))
                self._scanned = len(held)
                return None
            if found[0] > MAX_HEAD:
                raise WireError(f"a head of {found[0]} bytes is above {MAX_HEAD}", data=bytes(held[:256]))
            self._needed = found[1] + _declared(bytes(held[: found[0]]))
        if len(held) < self._needed:
            return None
        message = bytes(held[: self._needed])
        del held[: self._needed]
        self._needed = self._scanned = 0
        return message


def _declared(head: bytes) -> int:
    """Body bytes that a head declares; 0 where it says nothing (RFC 3261 20.14 obliges TCP senders to say it)."""
    values = set(_LENGTH.findall(b"\n" + head))
    if not values:
        return 0
    if len(values) > 1:
        raise WireError("two different lengths of one body", data=head)
    text = values.pop()
    if not text.isdigit() or len(text) > 10:
        raise WireError(f"{text[:40]!r} is not a length", data=head)
    length = int(text)
    if length > MAX_BODY:
        raise WireError(f"a body of {length} bytes is above {MAX_BODY}", data=head)
    return length
