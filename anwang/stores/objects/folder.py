"""Objects as files. Written here and not by `obstore`, whose local store promises no fsync and lists in no order."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from anwang.kernel.errors import Invalid, NotFound, Unavailable
from anwang.kernel.times import from_micros
from anwang.runtime import machine
from anwang.stores.objects.entry import Entry


class Folder:
    """The engine for one machine. All methods block; errors of the disk are Unavailable."""

    def __init__(self, root: Path, spool: Path) -> None:
        self.root = root
        self._spool = spool
        root.mkdir(parents=True, exist_ok=True)
        spool.mkdir(parents=True, exist_ok=True)
        if os.stat(root).st_dev != os.stat(spool).st_dev:
            raise Invalid("spool and objects lie on different file systems", "a rename must be able to join them")

    def path(self, key: str) -> Path:
        """Where the object lies, or would."""
        return self.root / key

    def put(self, key: str, data: bytes | memoryview) -> None:
        """All or nothing, on the disk when it returns."""
        part = self._spool / f"{uuid.uuid4().hex}.part"
        try:
            with open(part, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self.adopt(key, part)
        except OSError as err:
            part.unlink(missing_ok=True)
            raise Unavailable(f"object {key} cannot be written: {err.strerror}") from err

    def adopt(self, key: str, path: Path) -> None:
        """Make a synced file the object."""
        target = self.path(key)
        for _ in range(16):
            try:
                _make_folders(target.parent, self.root)
                os.rename(path, target)
            except FileNotFoundError:  # another thread took an empty folder away in between
                if not path.exists():
                    raise Unavailable(f"the file for object {key} is gone") from None
                continue
            except OSError as err:
                raise Unavailable(f"object {key} cannot be stored: {err.strerror}") from err
            _sync_folder(target.parent)
            return
        raise Unavailable(f"the folder of {key} keeps vanishing")

    def read(self, key: str, start: int, end: int | None) -> bytes:
        """Bytes [start, end), cut at the object's end. Raises NotFound, Invalid beyond the end."""
        try:
            with open(self.path(key), "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                if start > size or (start == size and size > 0):
                    raise Invalid(f"object {key} has {size} bytes, not {start}")
                file.seek(start)
                return file.read((size if end is None else min(end, size)) - start) or b""
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFound(f"there is no object {key}") from None
        except OSError as err:
            raise Unavailable(f"object {key} cannot be read: {err.strerror}") from err

    def size(self, key: str) -> int:
        """Its bytes. Raises NotFound."""
        path = self.path(key)
        if not path.is_file():
            raise NotFound(f"there is no object {key}")
        return path.stat().st_size

    def delete(self, keys: Sequence[str]) -> None:
        """Those that exist; folders that become empty go too."""
        for key in keys:
            path = self.path(key)
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                path.unlink()
            folder = path.parent
            while folder != self.root:
                try:
                    folder.rmdir()
                except OSError:  # not empty, or gone
                    break
                folder = folder.parent

    def list(self, prefix: str, limit: int, after: str) -> list[Entry]:
        """Entries below the folder `prefix`, in order of their keys."""
        found: list[Entry] = []
        for entry in self._walk(prefix, after):
            found.append(entry)
            if len(found) == limit:
                break
        return found

    def _walk(self, prefix: str, after: str) -> Iterator[Entry]:
        try:
            entries = list(os.scandir(self.root / prefix))
        except (FileNotFoundError, NotADirectoryError):
            return
        start = f"{prefix}/" if prefix else ""
        named = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            # a folder sorts as its keys do, with the slash
            named.append((start + entry.name + ("/" if entry.is_dir() else ""), entry))
        for key, entry in sorted(named, key=lambda pair: pair[0]):
            if entry.is_dir():
                if key > after or after.startswith(key):
                    yield from self._walk(key[:-1], after)
            elif key > after:
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    yield Entry(key=key, size=status.st_size, modified_at=from_micros(status.st_mtime_ns // 1000))

    def free_bytes(self) -> int:
        """What can still be written."""
        return machine.free_bytes(self.root)


def _make_folders(folder: Path, root: Path) -> None:
    if folder.is_dir():
        return
    if folder != root:
        _make_folders(folder.parent, root)
    with suppress(FileExistsError):
        folder.mkdir()
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
