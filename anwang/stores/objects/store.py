"""The port: one face for both engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from anwang.kernel.errors import Exhausted, Invalid
from anwang.stores.objects.entry import Entry, Page
from anwang.stores.objects.folder import Folder
from anwang.stores.objects.keys import check_key, check_prefix
from anwang.stores.objects.s3 import S3
from anwang.stores.objects.spool import Segment, Spool

__all__ = ["Entry", "Objects", "Page"]

LONGEST_PAGE = 1000
Answer = TypeVar("Answer")


class Objects:
    """Whole objects by key, and segments on their way there. Make it with `open`."""

    def __init__(self, engine: Folder | S3, spool: Path, *, threads: int = 8, most_waiting: int = 4096) -> None:
        self._engine = engine
        self._spool = Spool(spool, engine.adopt)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="objects")
        self._most_waiting = most_waiting
        self.waiting = 0  # calls that run or wait for a thread
        self.refused = 0

    @classmethod
    def open(
        cls, url: str, *, spool: Path | None = None, access_key: str | None = None, secret_key: str | None = None
    ) -> Objects:
        """Open the store; nothing is asked of a server yet.

        url: `file:///folder`, or `s3://bucket[/prefix]?endpoint=https://...&region=...`. spool: where segments are
        written; for a folder it must be on the same file system (default: `.spool` inside), for S3 it is required.
        access_key, secret_key: for S3; without them the usual environment (AWS_ACCESS_KEY_ID, ...) is asked. Raises
        Invalid.
        """
        parts = urlsplit(url)
        if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
            root = Path(unquote(parts.path))
            folder = spool or root / ".spool"
            return cls(Folder(root, folder), folder)
        if parts.scheme == "s3" and parts.hostname:
            if parts.username or parts.password:
                raise Invalid("the objects URL holds a key", "give access_key and secret_key as secrets of their own")
            if spool is None:
                raise Invalid("objects in S3 need a spool folder for segments being written")
            asked = parse_qs(parts.query)
            spool.mkdir(parents=True, exist_ok=True)
            engine = S3(
                bucket=parts.netloc,
                prefix=check_prefix(parts.path.strip("/")),
                endpoint=asked.get("endpoint", [None])[0],
                region=asked.get("region", ["us-east-1"])[0] or "us-east-1",
                access_key=access_key,
                secret_key=secret_key,
                spool=spool,
            )
            return cls(engine, spool)
        raise Invalid("the objects URL cannot be read", "file:///folder or s3://bucket?endpoint=...&region=...")

    async def put(self, key: str, data: bytes | memoryview) -> None:
        """Store an object, replacing one of that key; durable when it returns. Raises Unavailable."""
        check_key(key)
        await self._run(lambda: self._engine.put(key, data))

    async def get(self, key: str) -> bytes:
        """The whole object. Raises NotFound, Unavailable."""
        check_key(key)
        return await self._run(lambda: self._engine.read(key, 0, None))

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        """Bytes [start, end), fewer where the object ends. Raises Invalid for a start beyond it, NotFound."""
        check_key(key)
        if not 0 <= start <= end:
            raise Invalid(f"[{start}, {end}) is no range")
        return await self._run(lambda: self._engine.read(key, start, end))

    async def size(self, key: str) -> int:
        """Bytes of the object. Raises NotFound."""
        check_key(key)
        return await self._run(lambda: self._engine.size(key))

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete those that exist."""
        for key in keys:
            check_key(key)
        await self._run(lambda: self._engine.delete(keys))

    async def list(self, prefix: str = "", *, limit: int = LONGEST_PAGE, after: str | None = None) -> Page:
        """Objects below the folder `prefix` (whole parts: `a/b` has `a/b/c`, not `a/bc`), ordered by key.

        limit: 1..1000. after: `Page.next` of the page before.
        """
        folder = check_prefix(prefix)
        if not 1 <= limit <= LONGEST_PAGE:
            raise Invalid(f"a page has 1 to {LONGEST_PAGE} objects, not {limit}")
        start = check_key(after) if after else ""
        found = await self._run(lambda: self._engine.list(folder, limit + 1, start))
        return Page(entries=tuple(found[:limit]), next=found[limit - 1].key if len(found) > limit else None)

    def local_path(self, key: str) -> Path | None:
        """The object's file for reading without a copy, whether it exists or not; None where objects are remote."""
        return self._engine.path(check_key(key))

    def open_segment(self, key: str) -> Segment:
        """Begin a segment that will be the object `key`. Blocks briefly. Raises Conflict if one is being written."""
        return self._spool.open(check_key(key))

    def unsealed(self) -> tuple[Segment, ...]:
        """What crashed writers left, oldest first, now ours; segments that a living process writes are not touched."""
        return tuple(self._spool.left())

    def free_bytes(self) -> int:
        """Room left for segments, and in a folder for objects too."""
        return self._engine.free_bytes()

    def close(self) -> None:
        """Wait for what runs."""
        self._threads.shutdown(wait=True)

    async def _run(self, call: Callable[[], Answer]) -> Answer:
        if self.waiting >= self._most_waiting:
            self.refused += 1
            raise Exhausted(f"{self.waiting} calls already wait for the object store")
        self.waiting += 1
        running = asyncio.get_running_loop().run_in_executor(self._threads, call)
        running.add_done_callback(self._ended)
        return await asyncio.shield(running)

    def _ended(self, running: asyncio.Future[Answer]) -> None:
        self.waiting -= 1
        if not running.cancelled():
            running.exception()  # the caller may be gone
