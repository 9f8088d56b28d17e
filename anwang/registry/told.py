"""What devices say of themselves beyond being there: their status, and where a moving point is. The newest of each.

In memory: a device that restarts is asked again, and one that moves tells within seconds. It decides no state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from anwang.kernel.ids import PointId

LEAST_US = 900_000
"""Between two positions of one point that are taken: a second, less what a network may vary."""
MOST_STATUSES = 600_000
MOST_PLACES = 200_000
CLOCK_BOUND_S = 10.0
"""A device's clock is wrong when it is off by more: it is told in whole seconds, and its answer takes a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something was. at_us: when it was there, as it says; received_us: when we heard it."""

    longitude: float
    latitude: float
    at_us: int | None
    received_us: int
    speed_kmh: float | None = None
    direction_deg: float | None = None
    altitude_m: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfReport:
    """设备状态: a device's answer when asked how it is; None where it says nothing of it.

    clock_off_s: its clock less ours when the answer came. alarms: alarm inputs and their duty, as it writes it.
    """

    received_us: int
    is_online: bool | None = None
    is_healthy: bool | None = None
    reason: str = ""
    is_encoding: bool | None = None
    is_recording: bool | None = None
    clock_off_s: float | None = None
    alarms: tuple[tuple[str, str], ...] = ()

    @property
    def is_clock_wrong(self) -> bool:
        """Whether what it dates can't be believed."""
        return self.clock_off_s is not None and abs(self.clock_off_s) > CLOCK_BOUND_S


class Taken(StrEnum):
    """What became of a position."""

    TAKEN = "taken"
    TOO_SOON = "too_soon"
    NOT_ADOPTED = "not_adopted"
    IMPLAUSIBLE = "implausible"
    NO_ROOM = "no_room"


class Told:
    """The newest of each point and device."""

    def __init__(self) -> None:
        self._places: dict[PointId, Place] = {}
        self._reports: dict[str, SelfReport] = {}
        self.positions = dict.fromkeys(Taken, 0)
        """Positions by what became of them."""
        self.reports_refused = 0
        """Reports of devices for which there was no room."""

    def place(self, point: PointId) -> Place | None:
        """Where a point was last."""
        return self._places.get(point)

    def places(self) -> Iterator[tuple[PointId, Place]]:
        """All points that have ever said where they are, and where they were last."""
        return iter(self._places.items())

    def report(self, device: str) -> SelfReport | None:
        """What a device (by its key) said last."""
        return self._reports.get(device)

    def put_place(self, point: PointId, place: Place) -> Taken:
        """Take a position; those that follow too soon are dropped. The caller counts."""
        before = self._places.get(point)
        if before is not None and place.received_us - before.received_us < LEAST_US:
            return Taken.TOO_SOON
        if before is None and len(self._places) >= MOST_PLACES:
            return Taken.NO_ROOM
        self._places[point] = place
        return Taken.TAKEN

    def put_report(self, device: str, report: SelfReport) -> None:
        """Take what a device said."""
        if device not in self._reports and len(self._reports) >= MOST_STATUSES:
            self.reports_refused += 1
            return
        self._reports[device] = report


def is_plausible(place: Place) -> bool:
    """On earth, not at its zero point, and not faster than anything that carries a camera."""
    return (
        -180 <= place.longitude <= 180
        and -90 <= place.latitude <= 90
        and (place.longitude, place.latitude) != (0, 0)
        and (place.speed_kmh is None or 0 <= place.speed_kmh <= 1500)
        and (place.direction_deg is None or 0 <= place.direction_deg <= 360)
    )
