"""Large files over HTTP: a range of them, and their bytes as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import StreamingResponse


class Streamed(StreamingResponse):
    """Bytes of a file, none for HEAD."""

    def __init__(self, data: AsyncIterator[bytes], headers: dict[str, str], status: int, *, media_type: str) -> None:
        super().__init__(data, media_type=media_type, headers=headers, status_code=status)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """See Response."""
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await super().__call__(scope, receive, send)


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """[first, last) of a Range header of one range (RFC 9110 14.2); None where it asks for nothing that we do, and an
    empty range where it lies outside.
    """
    unit, _, text = header.partition("=")
    first, dash, last = text.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or "," in text:
        return None
    if not all(part.isascii() and part.isdigit() for part in (first, last) if part) or not (first or last):
        return None
    if not first:
        return max(0, size - int(last)), size if int(last) else 0
    end = min(size, int(last) + 1) if last else size
    if last and int(last) < int(first):
        return None
    return (int(first), end) if int(first) < size else (0, 0)
