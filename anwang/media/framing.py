"""The reading end of a viewers' socket: raw frames of one stream, as `control.Watch` says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from anwang.kernel.errors import Unavailable, WireError
from anwang.media.control import Codec, FrameKind, Watch

LONGEST_FRAME = 16 << 20
READ_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Tap:
    """Where a stream can be watched: the path of a viewers' socket, and the stream's id there."""

    path: str
    stream: str


async def frames(path: str, stream: str) -> AsyncGenerator[tuple[FrameKind, bytes], None]:
    """The raw frames of a stream from a child's viewers' socket. Raises Unavailable, WireError."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=READ_LIMIT)
    except OSError as err:
        raise Unavailable("the media process is gone") from err
    try:
        writer.write(Codec.encode(Watch(stream=stream)))
        while True:
            try:
                size = int.from_bytes(await reader.readexactly(4), "big")
                if not 1 <= size <= LONGEST_FRAME:
                    raise WireError(f"a frame of {size} bytes from the media process")
                body = await reader.readexactly(size)
            except asyncio.IncompleteReadError:
                return
            kind = FrameKind(body[0])
            if kind is FrameKind.ERROR:
                raise Unavailable(body[1:].decode("utf-8", "replace"))
            yield kind, body[1:]
    finally:
        writer.close()
