"""Notices of catalogue changes, gathered by device: however many come, a device's are written about once a second.

The first notice is taken at once; what follows within a second waits for the rest of it. A device that floods fills its
own share of the room and no more, and costs everybody else one short transaction a second.
"""

from __future__ import annotations

from collections.abc import Sequence

from anwang.kernel.errors import Exhausted
from anwang.registry.model import CatalogueItem

GATHER_S = 1.0
EACH = 20_000
"""Entries of one device that may wait; the next complete catalogue brings what is refused."""
MOST = 200_000
"""Entries of all devices that may wait."""


class Gathering:
    """Entries that wait, by our id of the device, in the order in which they came. now: seconds, monotonic."""

    def __init__(self, *, each: int = EACH, most: int = MOST) -> None:
        self._each = each
        self._most = most
        self._waiting: dict[str, list[CatalogueItem]] = {}
        self._taken: dict[str, float] = {}
        self.size = 0
        """Entries that wait now."""
        self.refused = 0
        """Entries turned away for want of room."""

    def is_turn(self, device: str, now: float) -> bool:
        """Whether a device that none waits of may be taken from now; if so, its second begins."""
        if device in self._waiting or now - self._taken.get(device, now - GATHER_S) < GATHER_S:
            return False
        if len(self._taken) > 4096:
            self._taken = {name: at for name, at in self._taken.items() if now - at < GATHER_S}
        self._taken[device] = now
        return True

    def put(self, device: str, items: Sequence[CatalogueItem]) -> None:
        """Let entries wait. Raises Exhausted where there is no room: none of them is kept."""
        if not items:
            return
        if len(self._waiting.get(device, ())) + len(items) > self._each or self.size + len(items) > self._most:
            self.refused += len(items)
            raise Exhausted(
                f"{len(items)} catalogue notices of device {device} found no room",
                "its next complete catalogue brings them",
            )
        self._waiting.setdefault(device, []).extend(items)
        self.size += len(items)

    def take(self, device: str, now: float) -> list[CatalogueItem]:
        """All that wait of a device; its next second begins."""
        items = self._waiting.pop(device, [])
        self.size -= len(items)
        if items:
            self._taken[device] = now
        return items

    def due(self, now: float) -> list[str]:
        """Devices whose second is over, the longest waiting first."""
        return [name for name in self._waiting if now - self._taken.get(name, now - GATHER_S) >= GATHER_S]

    @property
    def devices(self) -> list[str]:
        """All devices of which something waits."""
        return list(self._waiting)
