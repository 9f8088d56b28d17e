"""A helper process that answers one request at a time over its standard input and output.

It is a module run as a program; each request and each answer is a 4-byte big-endian length and so many bytes. Whoever
asks decides how long to wait, and kills a worker that is late or broken.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
from collections.abc import Callable, MutableSequence
from typing import BinaryIO

LONGEST_MESSAGE = 256 << 20


class Worker:
    """The asking side."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, module: str, *arguments: str) -> Worker:
        """Run the module."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=1 << 20,
        )
        return cls(process)

    @classmethod
    async def waiting(cls, idle: MutableSequence[Worker], module: str) -> Worker:
        """One of those that wait for work, else a new one; who died while it waited is let go."""
        while idle:
            found = idle.pop()
            if found._process.returncode is None:
                return found
            await found.kill()
        return await cls.start(module)

    async def ask(self, body: bytes) -> bytes:
        """The answer. Raises ConnectionError, IncompleteReadError where the worker breaks."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None or stdin.is_closing():
            raise ConnectionError("the worker has no pipes")
        stdin.write(len(body).to_bytes(4, "big") + body)
        await stdin.drain()
        size = int.from_bytes(await stdout.readexactly(4), "big")
        if size > LONGEST_MESSAGE:
            raise ConnectionError("the worker answers nonsense")
        return await stdout.readexactly(size)

    async def kill(self) -> None:
        """End it now."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        transport = getattr(self._process, "_transport", None)
        if transport is not None:  # else its pipes stay open until the garbage collector finds them
            transport.close()


def confine(memory_bytes: int) -> None:
    """So much memory and no more, and no core files."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def serve(answer: Callable[[bytes], bytes], source: BinaryIO, sink: BinaryIO) -> None:
    """The answering side: until `source` ends."""
    while len(head := source.read(4)) == 4:
        body = answer(source.read(int.from_bytes(head, "big")))
        sink.write(len(body).to_bytes(4, "big") + body)
        sink.flush()
