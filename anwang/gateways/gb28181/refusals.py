"""What was refused, counted under the peer's name: visible to the operator, one line a second in the log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from anwang.runtime import logs

log = logs.get(__name__)

MOST_PEERS = 10_000


@dataclass(slots=True, kw_only=True)
class Refusal:
    """One kind of refusal of one peer. device: the code that it claims, '' where none could be read."""

    peer: str
    device: str
    reason: str
    count: int = 0
    first_us: int = 0
    last_us: int = 0
    sample: str = ""


class Refusals:
    """Bounded: the peers least recently refused are forgotten first, and counted."""

    def __init__(self) -> None:
        self._rows: OrderedDict[tuple[str, str, str], Refusal] = OrderedDict()
        self.total = 0
        self.forgotten = 0
        self._last_logged_us = 0
        self._unlogged = 0

    def note(self, at_us: int, *, peer: str, reason: str, device: str = "", sample: bytes = b"") -> None:
        """Count a refusal."""
        self.total += 1
        key = (peer, device, reason)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Refusal(peer=peer, device=device, reason=reason, first_us=at_us)
            row.sample = sample[:256].decode("utf-8", "replace")
            if len(self._rows) > MOST_PEERS:
                self._rows.popitem(last=False)
                self.forgotten += 1
        else:
            self._rows.move_to_end(key)
        row.count += 1
        row.last_us = at_us
        if at_us - self._last_logged_us >= 1_000_000:
            log.warning("refused", peer=peer, device=device, reason=reason, more=self._unlogged)
            self._last_logged_us, self._unlogged = at_us, 0
        else:
            self._unlogged += 1

    def rows(self, *, limit: int = 200, after: int = 0) -> tuple[Sequence[Refusal], int | None]:
        """Newest first: at most `limit` from position `after`, and the next position or None."""
        rows = list(reversed(self._rows.values()))[after : after + limit + 1]
        return rows[:limit], after + limit if len(rows) > limit else None
