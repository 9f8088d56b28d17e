"""What a program says while it runs, at DEBUG, to be searched for secrets (pains.md 36)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from anwang.runtime import logs


@contextmanager
def saying_everything() -> Iterator[None]:
    """Logs as a process writes them, at DEBUG, to what pytest captures."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure(level="DEBUG")
    try:
        yield
    finally:
        root.handlers[:], level = before
        root.setLevel(level)


def ledger_text(folder: Path) -> str:
    """All that stands in the ledgers below a folder."""
    return "".join(file.read_text("utf-8") for file in folder.rglob("*.ledger"))


def said_of(secrets: Iterable[str], said: str) -> list[str]:
    """Those of the secrets that a text tells, plainly, in JSON or in an address."""
    return [one for one in secrets if any(form in said for form in (one, json.dumps(one), quote(one)))]
