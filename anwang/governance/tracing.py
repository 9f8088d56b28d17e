"""From a look's id, as pictures and clips carry it, back to who looked."""

from __future__ import annotations

from pathlib import Path

from anwang.governance.ledger import Row
from anwang.governance.ledger.reading import page_of, start_of

SHORTEST = 8
"""Letters of an id's end that a visible mark shows."""
MOST = 20
_EVERYTHING = 1 << 62


def rows_of_look(folder: Path, look: str) -> list[Row]:
    """What the ledger in this folder says of a look, oldest first. look: its id, or at least its last 8 letters."""
    if len(look) < SHORTEST:
        return []
    page = page_of(
        folder,
        limit=MOST,
        place=start_of(folder),
        wanted=lambda row: row.look.endswith(look),
        since=0,
        scan=_EVERYTHING,
        copied={},
        found=(),
    )
    return [row for _, row in page.rows][::-1]
