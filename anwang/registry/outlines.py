"""Polygons of the base map, asked about many points at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anwang.kernel.geo import EARTH_RADIUS_M


class Outline:
    """The polygons of a division or an area."""

    def __init__(self, code: str, name: str, rings: Sequence[Sequence[Sequence[float]]]) -> None:
        self.code, self.name = code, name
        starts, ends = [], []
        for ring in rings:
            corners = np.asarray(ring, np.float64)[:, :2]
            starts.append(corners)
            ends.append(np.roll(corners, -1, axis=0))
        self._a: NDArray[np.float64] = np.concatenate(starts) if starts else np.zeros((0, 2))
        self._b: NDArray[np.float64] = np.concatenate(ends) if ends else np.zeros((0, 2))

    def holds(self, positions: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which positions (n, 2) lie inside; holes count by the even-odd rule."""
        inside = np.zeros(len(positions), np.bool_)
        (ax, ay), (bx, by) = self._a.T, self._b.T
        with np.errstate(divide="ignore", invalid="ignore"):
            for start in range(0, len(positions), 256):
                lon, lat = positions[start : start + 256, :1], positions[start : start + 256, 1:]
                crosses = (ay > lat) != (by > lat)
                left = lon < (bx - ax) * (lat - ay) / (by - ay) + ax
                inside[start : start + 256] = np.count_nonzero(crosses & left, axis=1) % 2 == 1
        return inside

    def distance_m(self, longitude: float, latitude: float) -> float:
        """To the nearest edge."""
        k = math.cos(math.radians(latitude))
        a = (self._a - (longitude, latitude)) * (k, 1.0)
        d = (self._b - self._a) * (k, 1.0)
        length = np.maximum((d * d).sum(axis=1), 1e-18)
        t = np.clip(-(a * d).sum(axis=1) / length, 0.0, 1.0)[:, None]
        nearest = np.hypot(*(a + t * d).T).min()
        return float(nearest) * math.radians(1.0) * EARTH_RADIUS_M


def rings_of(geometry: Mapping[str, Any]) -> list[list[list[float]]]:
    """All rings of a Polygon or MultiPolygon; none for other geometries. The even-odd rule tells holes."""
    coordinates: Sequence[Any] = geometry.get("coordinates") or []
    if geometry.get("type") == "Polygon":
        return [_ring(ring) for ring in coordinates]
    if geometry.get("type") == "MultiPolygon":
        return [_ring(ring) for rings in coordinates for ring in rings]
    return []


def _ring(ring: Iterable[Sequence[float]]) -> list[list[float]]:
    return [[float(position[0]), float(position[1])] for position in ring]
