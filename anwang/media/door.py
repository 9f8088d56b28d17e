"""The door for pictures that devices take themselves (图像抓拍): a one-time, unguessable address each.

The standard leaves method and body of the upload open (GB/T 28181-2022 9.14), so POST and PUT, a bare JPEG and a form
with files are taken. Nothing is kept: the picture goes to whoever waits for it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from anwang.kernel.errors import Exhausted, Invalid, NotFound, Unavailable

MOST_OPEN = 200
LARGEST_BYTES = 16 << 20
#: between the word that it is done and the picture itself
LAST_SECONDS = 3.0
_START = b"\xff\xd8\xff"


@dataclass(slots=True)
class Visit:
    """One picture that is waited for. token: the address's secret. session: what the device is told and repeats."""

    token: str
    session: str
    device: str
    picture: asyncio.Future[bytes] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    said: asyncio.Event = field(default_factory=asyncio.Event)
    files: Sequence[str] = ()

    async def wait(self, seconds: float) -> bytes:
        """The picture. Raises Unavailable."""
        told: asyncio.Future[bool] = asyncio.ensure_future(self.said.wait())
        first: set[asyncio.Future[Any]] = {told, self.picture}
        try:
            await asyncio.wait(first, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not self.picture.done() and self.said.is_set() and self.files:
                await asyncio.wait({self.picture}, timeout=LAST_SECONDS)
        finally:
            told.cancel()
        if self.picture.done():
            return self.picture.result()
        if self.said.is_set():
            what = "says it has uploaded, but nothing came" if self.files else "could not take or upload the picture"
            raise Unavailable(f"device {self.device} {what}", "check that it reaches the upload address")
        raise Unavailable(
            f"device {self.device} did not upload in {seconds:.0f} s", "check that it reaches the upload address"
        )


class UploadDoor:
    """Who is expected."""

    def __init__(self) -> None:
        self._by_token: dict[str, Visit] = {}
        self._by_session: dict[str, Visit] = {}
        self.refused = 0
        """Uploads that nobody waited for, or that were no picture."""

    @contextmanager
    def expect(self, device: str) -> Iterator[Visit]:
        """An address for one picture of a device, good while the context lasts. Raises Exhausted."""
        if len(self._by_token) >= MOST_OPEN:
            raise Exhausted(f"{MOST_OPEN} pictures are waited for already", "try again in a moment")
        visit = Visit(token=secrets.token_urlsafe(60), session=secrets.token_hex(24), device=device)
        self._by_token[visit.token] = self._by_session[visit.session] = visit
        try:
            yield visit
        finally:
            self._by_token.pop(visit.token, None)
            self._by_session.pop(visit.session, None)
            visit.picture.cancel()

    def check(self, token: str) -> None:
        """Before the body is read. Raises NotFound where nobody waits at this address, or no more."""
        if token not in self._by_token:
            self.refused += 1
            raise NotFound("nothing is expected here", "this address is good for one picture")

    def take(self, token: str, body: bytes, content_type: str) -> int:
        """An upload; answers the size of its picture. Raises NotFound, Invalid; after that the address is used up."""
        self.check(token)
        picture = _picture(body, content_type)
        if picture is None:
            self.refused += 1
            raise Invalid("the upload holds no JPEG picture", "send one as the body, or as a file of a form")
        visit = self._by_token.pop(token)
        if not visit.picture.done():
            visit.picture.set_result(picture)
        return len(picture)

    def finished(self, device: str, session: str, files: Sequence[str]) -> None:
        """The device says that it has uploaded so much."""
        visit = self._by_session.get(session)
        if visit is not None and visit.device == device:
            visit.files = tuple(files)
            visit.said.set()


def _picture(body: bytes, content_type: str) -> bytes | None:
    """The JPEG in a body: bare, or the first one among a form's parts."""
    if body.startswith(_START):
        return body
    kind, _, parameters = content_type.partition(";")
    if kind.strip().lower() != "multipart/form-data":
        return None
    boundary = next(
        (
            value.strip().strip('"')
            for name, _, value in (one.partition("=") for one in parameters.split(";"))
            if name.strip().lower() == "boundary"
        ),
        "",
    )
    if not 1 <= len(boundary) <= 200:
        return None
    for part in body.split(b"--" + boundary.encode("utf-8", "replace"))[1:]:
        _, gap, data = part.partition(b"\r\n\r\n")
        if gap and data.startswith(_START):
            return data.removesuffix(b"\r\n")
    return None
