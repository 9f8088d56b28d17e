"""Places on the earth: datums by name, Mercator, distances, boxes and polygons.

Inside all is WGS-84. GCJ-02 is the offset datum that public maps in China use, BD-09 another offset on top of it.
The offset is the published polynomial on the Krasovsky 1940 ellipsoid; the way back is found by iteration and agrees to
about a centimetre. Outside a rough box around China both datums equal WGS-84.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from anwang.kernel.errors import Invalid

EARTH_RADIUS_M = 6_371_008.8
MERCATOR_RADIUS_M = 6_378_137.0
MERCATOR_MAX_LAT = 85.051128779806604
_KRASOVSKY_A = 6_378_245.0
_KRASOVSKY_EE = 0.00669342162296594323
_BD = math.pi * 3000.0 / 180.0


class Datum(StrEnum):
    """Which ellipsoid or offset a longitude and latitude refer to."""

    WGS84 = "wgs84"
    GCJ02 = "gcj02"
    BD09 = "bd09"


def in_offset_area(longitude: float, latitude: float) -> bool:
    """Whether GCJ-02 differs from WGS-84 there."""
    return 72.004 <= longitude <= 137.8347 and 0.8293 <= latitude <= 55.8271


def _offset(longitude: float, latitude: float) -> tuple[float, float]:
    x, y = longitude - 105.0, latitude - 35.0
    root = math.sqrt(abs(x))
    wave = (20.0 * math.sin(6.0 * x * math.pi) + 20.0 * math.sin(2.0 * x * math.pi)) * 2.0 / 3.0
    d_lat = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + wave
    d_lat += (20.0 * math.sin(y * math.pi) + 40.0 * math.sin(y / 3.0 * math.pi)) * 2.0 / 3.0
    d_lat += (160.0 * math.sin(y / 12.0 * math.pi) + 320.0 * math.sin(y * math.pi / 30.0)) * 2.0 / 3.0
    d_lon = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + wave
    d_lon += (20.0 * math.sin(x * math.pi) + 40.0 * math.sin(x / 3.0 * math.pi)) * 2.0 / 3.0
    d_lon += (150.0 * math.sin(x / 12.0 * math.pi) + 300.0 * math.sin(x / 30.0 * math.pi)) * 2.0 / 3.0
    radians = math.radians(latitude)
    magic = 1 - _KRASOVSKY_EE * math.sin(radians) ** 2
    d_lat = math.degrees(d_lat / (_KRASOVSKY_A * (1 - _KRASOVSKY_EE) / (magic * math.sqrt(magic))))
    d_lon = math.degrees(d_lon / (_KRASOVSKY_A / math.sqrt(magic) * math.cos(radians)))
    return d_lon, d_lat


def wgs84_to_gcj02(longitude: float, latitude: float) -> tuple[float, float]:
    """Degrees in, degrees out."""
    if not in_offset_area(longitude, latitude):
        return longitude, latitude
    d_lon, d_lat = _offset(longitude, latitude)
    return longitude + d_lon, latitude + d_lat


def gcj02_to_wgs84(longitude: float, latitude: float) -> tuple[float, float]:
    """Degrees in, degrees out; the reverse of wgs84_to_gcj02 to about 1e-8 degrees."""
    if not in_offset_area(longitude, latitude):
        return longitude, latitude
    lon, lat = longitude, latitude
    for _ in range(6):
        d_lon, d_lat = _offset(lon, lat)
        lon, lat = longitude - d_lon, latitude - d_lat
    return lon, lat


def gcj02_to_bd09(longitude: float, latitude: float) -> tuple[float, float]:
    """Degrees in, degrees out."""
    radius = math.hypot(longitude, latitude) + 0.00002 * math.sin(latitude * _BD)
    angle = math.atan2(latitude, longitude) + 0.000003 * math.cos(longitude * _BD)
    return radius * math.cos(angle) + 0.0065, radius * math.sin(angle) + 0.006


def bd09_to_gcj02(longitude: float, latitude: float) -> tuple[float, float]:
    """Degrees in, degrees out; the reverse of gcj02_to_bd09 to about 1e-9 degrees."""
    lon, lat = longitude - 0.0065, latitude - 0.006
    for _ in range(6):
        there_lon, there_lat = gcj02_to_bd09(lon, lat)
        lon, lat = lon + longitude - there_lon, lat + latitude - there_lat
    return lon, lat


def convert(longitude: float, latitude: float, *, source: Datum, target: Datum) -> tuple[float, float]:
    """A position in another datum, by name."""
    if source is target:
        return longitude, latitude
    if source is Datum.BD09:
        longitude, latitude = bd09_to_gcj02(longitude, latitude)
        source = Datum.GCJ02
    if source is Datum.GCJ02 and target is Datum.WGS84:
        return gcj02_to_wgs84(longitude, latitude)
    if source is Datum.WGS84:
        longitude, latitude = wgs84_to_gcj02(longitude, latitude)
    return gcj02_to_bd09(longitude, latitude) if target is Datum.BD09 else (longitude, latitude)


def mercator(longitude: float, latitude: float) -> tuple[float, float]:
    """Web Mercator as fractions of the world, x east and y south from the north-west corner, 0..1 each.

    Latitudes beyond 85.05° are cut to it.
    """
    lat = math.radians(min(max(latitude, -MERCATOR_MAX_LAT), MERCATOR_MAX_LAT))
    y = 0.5 - math.asinh(math.tan(lat)) / (2 * math.pi)
    return longitude / 360.0 + 0.5, min(max(y, 0.0), 1.0)


def unmercator(x: float, y: float) -> tuple[float, float]:
    """Longitude and latitude of fractions of the world; the reverse of mercator."""
    return (x - 0.5) * 360.0, math.degrees(math.atan(math.sinh((0.5 - y) * 2 * math.pi)))


def distance_m(lon_a: float, lat_a: float, lon_b: float, lat_b: float) -> float:
    """Great-circle distance in metres (haversine on the mean sphere; within 0.5 % of the ellipsoid)."""
    a, b = math.radians(lat_a), math.radians(lat_b)
    h = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, h)))


def bearing_deg(lon_a: float, lat_a: float, lon_b: float, lat_b: float) -> float:
    """The direction from a to b at a, degrees clockwise from north, 0 <= b < 360."""
    a, b, d = math.radians(lat_a), math.radians(lat_b), math.radians(lon_b - lon_a)
    y = math.sin(d) * math.cos(b)
    x = math.cos(a) * math.sin(b) - math.sin(a) * math.cos(b) * math.cos(d)
    bearing = math.degrees(math.atan2(y, x)) % 360.0
    return 0.0 if bearing >= 360.0 else bearing


@dataclass(frozen=True, slots=True)
class Box:
    """West, south, east, north in degrees, edges included. It does not cross the date line."""

    west: float
    south: float
    east: float
    north: float

    def __post_init__(self) -> None:
        if not (-180 <= self.west <= self.east <= 180 and -90 <= self.south <= self.north <= 90):
            raise Invalid("a box is west,south,east,north in degrees", "for example 117.1,39.0,117.4,39.2")

    @classmethod
    def parse(cls, text: str) -> Box:
        """`west,south,east,north`. Raises Invalid."""
        try:
            west, south, east, north = (float(part) for part in text.split(","))
        except ValueError:
            raise Invalid(f"{text[:64]!r} is not a box", "west,south,east,north in degrees") from None
        return cls(west, south, east, north)

    @classmethod
    def around(cls, positions: Sequence[tuple[float, float]]) -> Box:
        """The smallest box that holds them all. Raises Invalid for none."""
        if not positions:
            raise Invalid("no position, no box")
        longitudes, latitudes = [p[0] for p in positions], [p[1] for p in positions]
        return cls(min(longitudes), min(latitudes), max(longitudes), max(latitudes))

    def contains(self, longitude: float, latitude: float) -> bool:
        """Whether the position lies in it or on its edge."""
        return self.west <= longitude <= self.east and self.south <= latitude <= self.north

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of its middle."""
        return (self.west + self.east) / 2, (self.south + self.north) / 2


Ring = Sequence[tuple[float, float]]


def in_ring(longitude: float, latitude: float, ring: Ring) -> bool:
    """Whether a position lies in a closed ring (even-odd rule; the last corner may or may not repeat the first)."""
    inside = False
    j = len(ring) - 1
    for i in range(len(ring)):
        (xi, yi), (xj, yj) = ring[i], ring[j]
        if (yi > latitude) != (yj > latitude) and longitude < (xj - xi) * (latitude - yi) / (yj - yi) + xi:
            inside = not inside
        j = i
    return inside


def in_polygon(longitude: float, latitude: float, rings: Sequence[Ring]) -> bool:
    """Whether a position lies in a polygon: the first ring is the outer one, the others are holes."""
    if not rings or not in_ring(longitude, latitude, rings[0]):
        return False
    return not any(in_ring(longitude, latitude, hole) for hole in rings[1:])


def ring_distance_m(longitude: float, latitude: float, ring: Ring) -> float:
    """Distance in metres from a position to the nearest edge of a ring; exact enough within tens of kilometres."""
    k = math.cos(math.radians(latitude))
    metre = math.radians(1.0) * EARTH_RADIUS_M
    best = math.inf
    j = len(ring) - 1
    for i in range(len(ring)):
        ax, ay = (ring[j][0] - longitude) * k, ring[j][1] - latitude
        bx, by = (ring[i][0] - longitude) * k, ring[i][1] - latitude
        dx, dy = bx - ax, by - ay
        length = dx * dx + dy * dy
        t = 0.0 if length == 0 else min(1.0, max(0.0, -(ax * dx + ay * dy) / length))
        best = min(best, math.hypot(ax + t * dx, ay + t * dy))
        j = i
    return best * metre
