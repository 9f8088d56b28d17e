"""The stream that a media child is handling, in memory that outlives the child: it names who was at work at a crash."""

from __future__ import annotations

import mmap
import os
from types import TracebackType

BYTES = 64


class AtWork:
    """One page shared by the main process, which reads, and a child, which writes. Feed ids are ASCII.

    Entered and left around everything a stream makes the child's loop do; never nested.
    """

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, BYTES)

    @staticmethod
    def create() -> int:
        """A descriptor of new memory, for both sides."""
        descriptor = os.memfd_create("at-work")
        os.ftruncate(descriptor, BYTES)
        return descriptor

    def enter(self, mark: bytes) -> None:
        """mark: of `mark`."""
        self._memory[:BYTES] = mark

    def leave(self) -> None:
        """Nothing is being handled."""
        self._memory[0] = 0

    def stream(self) -> str:
        """The feed that is being handled, or ""."""
        return "" if not self._memory[0] else self._memory[:BYTES].rstrip(b"\0").decode("ascii", "replace")

    def close(self) -> None:
        """Unmap."""
        self._memory.close()


def mark(stream: str) -> bytes:
    """What `AtWork.enter` writes for a feed."""
    return stream.encode()[:BYTES].ljust(BYTES, b"\0")


class Handling:
    """`with` it, around the handling of one stream."""

    __slots__ = ("_mark", "_work")

    def __init__(self, work: AtWork, stream: str) -> None:
        self._work, self._mark = work, mark(stream)

    def __enter__(self) -> None:
        self._work.enter(self._mark)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._work.leave()
