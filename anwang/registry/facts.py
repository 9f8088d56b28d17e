"""What the registry announces. Live states are best effort: who missed some asks for the rest by cursor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anwang.kernel.ids import PointId
from anwang.registry.model import State
from anwang.registry.told import Place

#: order of the states in arrays: the array's number is the place in this tuple
STATES = (State.UNKNOWN, State.ONLINE, State.OFFLINE)
UNKNOWN, ONLINE, OFFLINE = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanges:
    """A batch of changed live states, as arrays of one length; a whole district may be in it.

    ix: numbers of the points. old, new: places in STATES. cause: number of the device whose own change brought it, -1
    where the point changed by itself. why: places in REASONS. cursor: after this batch.
    """

    ix: NDArray[np.int32]
    old: NDArray[np.uint8]
    new: NDArray[np.uint8]
    at_us: int
    cause: NDArray[np.int32]
    why: NDArray[np.uint8]
    cursor: str
    ids: Callable[[NDArray[np.int32]], list[PointId]]
    """Turns numbers of points into ids; expensive for many, so it is the reader who decides."""

    def __len__(self) -> int:
        return len(self.ix)

    def rows(self, limit: int | None = None) -> list[tuple[PointId, State, int]]:
        """Point, new state and moment of the first `limit` changes."""
        chosen = slice(None, limit)
        return [
            (point, STATES[new], self.at_us)
            for point, new in zip(self.ids(self.ix[chosen]), self.new[chosen], strict=True)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStateChanged:
    """A device was lost or came back. reason: a key of VERDICTS."""

    gateway: str
    device_id: str
    before: State
    state: State
    reason: str
    at_us: int
    points: int
    """How many points it took along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingChanged:
    """The waiting list grew or shrank."""

    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAdopted:
    """A device was let in."""

    gateway: str
    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftChanged:
    """A drift of a device opened or closed. kind: of drift.Kind."""

    gateway: str
    device_id: str
    kind: str
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PoliciesChanged:
    """A device is treated otherwise from now on."""

    gateway: str
    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PointForbidden:
    """An inspection found that no camera may stand at a point."""

    point: PointId


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsMoved:
    """Points were at another place; the map follows."""

    points: Sequence[PointId]
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsChanged:
    """Points were made, changed or removed; map and lists follow. points: empty where there are too many to name."""

    points: Sequence[PointId]
    added: int = 0
    changed: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportMoved:
    """An import went on."""

    id: str
    kind: str
    status: str
    rows: int
    done: int


Fact = (
    StateChanges
    | DeviceStateChanged
    | WaitingChanged
    | DeviceAdopted
    | DriftChanged
    | PoliciesChanged
    | PointForbidden
    | PointsMoved
    | PointsChanged
    | ImportMoved
)
