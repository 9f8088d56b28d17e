"""What both engines promise."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from anwang.kernel import errors
from anwang.kernel.errors import AnwangError, Internal, Invalid, Unavailable

LARGEST_PAYLOAD = 256 << 10
"""Bytes. Media and pictures travel as object keys."""

Handler = Callable[[bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Message:
    """One message. seq: its number on this bus, growing for ever, with holes. at: when it was published, in UTC."""

    seq: int
    subject: str
    payload: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Lagged:
    """Something may be missing here: the subscriber fell behind what is kept, or its cursor is not of this bus.

    count: numbers that were passed over; at most so many messages of the subscriber's subjects.
    """

    count: int


Event = Message | Lagged


class Service(Protocol):
    """A subject being served."""

    async def stop(self) -> None:
        """Take no more requests and let running ones end."""


class Bus(Protocol):
    """Publish, subscribe with a cursor, request and reply. lagged: how often a subscriber got Lagged."""

    lagged: int

    async def publish(self, subject: str, payload: bytes) -> int:
        """Send; the message's number. Raises Invalid for a bad subject or more than LARGEST_PAYLOAD, Unavailable."""

    def subscribe(
        self, subject_filter: str, *, after: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Messages of matching subjects, in order of their numbers, from entering the context on.

        after: the number of the last message seen; what was kept since comes first. None: only what is new. A
        subscriber that falls behind what is kept gets Lagged and goes on from there.
        """

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        """Ask whoever serves the subject. Raises Unavailable for nobody or no answer in time, else what they raise.

        Health's round trip goes this way; commands between roles on several machines will.
        """

    async def serve(self, subject: str, handler: Handler) -> Service:
        """Answer requests; an AnwangError of the handler travels to who asked. Many may serve: one of them answers."""

    async def close(self) -> None:
        """End subscriptions and services."""


def check_payload(payload: bytes) -> bytes:
    """The payload itself. Raises Invalid if it is too large."""
    if len(payload) > LARGEST_PAYLOAD:
        raise Invalid(f"a message of {len(payload)} bytes is larger than {LARGEST_PAYLOAD}", "send an object's key")
    return payload


OK = b"\x00"
FAILED = b"\x01"
BY_KIND: dict[str, type[AnwangError]] = {
    str(each.kind): each
    for each in (
        errors.Invalid,
        errors.Denied,
        errors.NotFound,
        errors.Conflict,
        errors.Unsupported,
        errors.Unavailable,
        errors.Exhausted,
        errors.Internal,
        errors.Unauthenticated,
    )
}


def pack_error(err: AnwangError) -> bytes:
    """An answer that is an error."""
    return FAILED + json.dumps({"kind": err.kind, "reason": err.reason, "hint": err.hint}).encode()


def unpack_reply(data: bytes) -> bytes:
    """What was answered. Raises the error that travelled, Unavailable for bytes that are no answer of ours."""
    if data[:1] == OK:
        return data[1:]
    try:
        told = json.loads(data[1:])
        kind, reason, hint = told["kind"], str(told["reason"]), str(told["hint"])
    except (ValueError, TypeError, KeyError):
        raise Unavailable("the answer cannot be read") from None
    raise BY_KIND.get(kind, Internal)(reason, hint)
