"""Segments being written: append-only files that become objects.

Who writes a segment holds a lock on its file (flock), which the kernel lets go when the process dies. So recovery can
tell a segment that a crash left from one that another child is still writing, and never takes the second.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from anwang.kernel.errors import Conflict, Internal, Unavailable
from anwang.stores.objects.keys import key_of, spool_name

Buffer = bytes | bytearray | memoryview
LONGEST_PUT_S = 3600  # a file on its way for longer belongs to a put that died
MOST_BUFFERS = 1024  # IOV_MAX of Linux


def _written_at(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:  # done in this moment
        return time.time()


class Segment:
    """One open segment. path: the spool file, which others may read up to `size` at any time."""

    def __init__(
        self, *, key: str, path: Path, descriptor: int, size: int, finish: Callable[[str, Path], None]
    ) -> None:
        self.key = key
        self.path = path
        self.size = size
        self._hash = None if size else hashlib.sha256()
        self._descriptor: int | None = descriptor
        self._finish = finish

    @property
    def is_open(self) -> bool:
        """Whether it can still be written."""
        return self._descriptor is not None

    def write(self, data: Buffer | Sequence[Buffer]) -> int:
        """Append; the new size. kill -9 of this process does not undo it; for power loss see `sync`.

        Raises Unavailable where the disk refuses; `size` then tells how much of the data is there.
        """
        buffers = [data] if isinstance(data, bytes | bytearray | memoryview) else list(data)
        views = [memoryview(buffer).cast("B") for buffer in buffers if len(buffer)]
        descriptor = self._opened()
        while views:
            try:
                written = os.writev(descriptor, views[:MOST_BUFFERS])
            except OSError as err:
                raise Unavailable(f"segment {self.key} cannot be written: {err.strerror}") from err
            self.size += written
            while views and written >= len(views[0]):
                written -= len(views[0])
                self._count(views.pop(0))
            if written:
                self._count(views[0][:written])
                views[0] = views[0][written:]
        return self.size

    def sha256(self) -> bytes:
        """Of what is written so far. Costs nothing where this process wrote it all, else the file is read."""
        if self._hash is None:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
        return self._hash.digest()

    def _count(self, data: memoryview) -> None:
        if self._hash is not None:
            self._hash.update(data)

    def sync(self) -> None:
        """Put what was written onto the disk: survives power loss."""
        os.fdatasync(self._opened())

    def overwrite(self, at: int, data: bytes) -> None:
        """Put other bytes in the place of some that were written. Raises Unavailable."""
        self._opened()
        if not 0 <= at <= at + len(data) <= self.size:
            raise Internal(f"segment {self.key} has {self.size} bytes, and these are not among them")
        try:
            with open(self.path, "r+b", buffering=0) as file:  # ours appends wherever it is told to write
                file.seek(at)
                file.write(data)
        except OSError as err:
            raise Unavailable(f"segment {self.key} cannot be written: {err.strerror}") from err

    def truncate(self, size: int) -> None:
        """Cut what a crash left behind the last whole piece."""
        if not 0 <= size <= self.size:
            raise Internal(f"segment {self.key} has {self.size} bytes and cannot be cut to {size}")
        os.ftruncate(self._opened(), size)
        if size != self.size:
            self._hash = None
        self.size = size

    def seal(self) -> None:
        """Make it the object `key`, durably; the spool file is gone afterwards. Blocks (S3: for the upload).

        Raises Unavailable if the store can't take it now: the segment stays open, try again or leave it for recovery.
        """
        os.fsync(self._opened())
        self._finish(self.key, self.path)
        self._close()

    def abandon(self) -> None:
        """Forget it: nobody wants these bytes."""
        self._opened()
        self.path.unlink(missing_ok=True)
        self._close()

    def leave(self) -> None:
        """Let go without sealing; `Objects.unsealed` finds it again."""
        self._opened()
        self._close()

    def _opened(self) -> int:
        if self._descriptor is None:
            raise Internal(f"segment {self.key} is closed")
        return self._descriptor

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class Spool:
    """The folder of segments being written. finish: turns a complete file into its object."""

    def __init__(self, folder: Path, finish: Callable[[str, Path], None]) -> None:
        self.folder = folder
        self._finish = finish
        folder.mkdir(parents=True, exist_ok=True)

    def open(self, key: str) -> Segment:
        """Begin a segment. Raises Conflict if one for the key exists already."""
        path = self.folder / spool_name(key)
        fresh = self.folder / f"{uuid.uuid4().hex}.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # before anybody can see it
            os.link(fresh, path)
        except FileExistsError:
            os.close(descriptor)
            raise Conflict(f"a segment for {key} is being written, or was left by a crash") from None
        except BaseException:
            os.close(descriptor)
            raise
        finally:
            fresh.unlink(missing_ok=True)
        return Segment(key=key, path=path, descriptor=descriptor, size=0, finish=self._finish)

    def left(self) -> list[Segment]:
        """Segments whose writer is gone, oldest first, now held by the caller: cut, seal or abandon each."""
        found: list[tuple[int, Segment]] = []
        for entry in os.scandir(self.folder):
            key = key_of(entry.name)
            if key is not None:
                found += self._adopt(key, Path(entry.path))
            elif entry.name.endswith((".part", ".new")) and time.time() - _written_at(entry) > LONGEST_PUT_S:
                Path(entry.path).unlink(missing_ok=True)
        return [segment for _, segment in sorted(found, key=lambda pair: (pair[0], pair[1].key))]

    def _adopt(self, key: str, path: Path) -> list[tuple[int, Segment]]:
        """The segment and when it was last written; nothing if its writer lives or has just sealed it."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(descriptor)
            if path.stat().st_ino != status.st_ino:
                raise FileNotFoundError
        except (BlockingIOError, FileNotFoundError):
            os.close(descriptor)
            return []
        segment = Segment(key=key, path=path, descriptor=descriptor, size=status.st_size, finish=self._finish)
        return [(status.st_mtime_ns, segment)]
