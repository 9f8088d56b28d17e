"""One process at a time has a data folder: two platforms on it, or a restore under a running one, would ruin it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from anwang.kernel.errors import Conflict

NAME = ".claim"
BACKUP = ".backup"
"""Of who makes a backup, beside the platform that runs."""


class Claim:
    """Held until `release` or the end of the process, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, data: Path, name: str = NAME) -> Claim:
        """Raises Conflict while another process has the folder, or makes a backup of it (name: BACKUP)."""
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(data / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            if name == BACKUP:
                raise Conflict(f"another backup of {data} is being made", "wait until it is done") from None
            raise Conflict(
                f"another process uses the data folder {data}", "stop the platform (or the other command) first"
            ) from None
        return cls(descriptor)

    def release(self) -> None:
        """Let others have the folder. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
