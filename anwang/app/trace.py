"""Whose look a picture or clip comes from: its metadata or visible mark names the look, the ledger says the rest."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from anwang.app.engines import data_folder
from anwang.governance import Row, rows_of_look
from anwang.kernel.errors import NotFound, WireError
from anwang.runtime.settings import Settings
from anwang.wire import fmp4, jpeg

_SIGNED = re.compile(r"anwang look ([0-9a-f-]{36})")
_ID = re.compile(r"[0-9a-f-]{8,36}")
LARGEST_PICTURE = 64 << 20


def trace(settings: Settings, what: str) -> list[Row]:
    """The ledger's rows of the look that a file was taken in, oldest first; the platform may run.

    what: a JPEG or MP4 file, a look's id, or the letters that a visible mark shows. Raises NotFound.
    """
    path = Path(what)
    look = look_of(path) if path.is_file() else what
    if _ID.fullmatch(look) is None:
        raise NotFound(f"there is no file {what}", "name a picture, a clip, or a look's id")
    rows = rows_of_look(data_folder(settings) / "ledger", look)
    if not rows:
        raise NotFound(
            f"this ledger knows no look {look}", "it may be another installation's, or older than the ledger"
        )
    return rows


def look_of(path: Path) -> str:
    """The id of the look in a file's metadata. Raises NotFound."""
    try:
        with path.open("rb") as file:
            if file.read(2) == jpeg.START:
                file.seek(0)
                texts = jpeg.comments(file.read(LARGEST_PICTURE))
            else:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
                    texts = [fmp4.read_comment(view)]
    except (WireError, ValueError) as err:
        raise NotFound(f"{path.name} is neither a JPEG nor an MP4 file that can be read: {err}") from err
    found = next((match[1] for text in texts if (match := _SIGNED.search(text))), None)
    if found is None:
        raise NotFound(
            f"{path.name} says nothing of a look",
            "its metadata was taken away; the visible mark shows letters of the id",
        )
    return found
