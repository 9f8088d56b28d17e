"""Whether so many devices register at once that nobody is asked anything: registrations and keep-alives go first."""

from __future__ import annotations

import asyncio

STORM_PER_SECOND = 300
"""Where more devices register in a second, it storms."""
CALM_SECONDS = 2
"""A storm is over when it has not stormed for so long."""


class Storms:
    """Counts registrations; `calm` is clear while it storms."""

    def __init__(self) -> None:
        self.calm = asyncio.Event()
        self.calm.set()
        self._calm_in = 0
        self._registrations = 0

    def registered(self) -> None:
        """A device has registered or refreshed."""
        self._registrations += 1
        if self._registrations > STORM_PER_SECOND:
            self.calm.clear()
            self._calm_in = CALM_SECONDS

    def second(self) -> None:
        """A second is over."""
        if self._registrations <= STORM_PER_SECOND:
            self._calm_in -= 1
            if self._calm_in <= 0:
                self.calm.set()
        self._registrations = 0
