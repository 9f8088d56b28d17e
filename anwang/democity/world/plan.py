"""The ground plan: a flat square grid (u east, v north, metres), bent so that it looks grown, then put on the earth.

Roads, borders and the river are straight lines in (u, v): u = 0 is the middle of the river. Because everything goes
through the same bend, a border that runs along a street still does so on the map, and a bridge stands where road and
river cross.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import atan2, copysign, cos, degrees, exp, hypot, pi, pow, radians, sin

from anwang.democity.world.model import LonLat

# The dunes of the Kumtag desert, some 180 km from the next town.
CENTRE: LonLat = (91.5, 40.0)
METRES_PER_DEGREE = 111_319.49
_EAST = METRES_PER_DEGREE * cos(radians(CENTRE[1]))
URBAN_U, URBAN_V, NORTH_V = 9600.0, 5600.0, 12_400.0


def bend(u: float, v: float) -> tuple[float, float]:
    """Metres east and north of the centre."""
    meander = 820 * sin(v / 2900 + 0.5) + 260 * sin(v / 1150 + 2.0)
    x = u + meander * exp(-((u / 3600) ** 2)) + 170 * sin(v / 3900 + 1.3) + 60 * sin(v / 1500 + u / 5200)
    y = v + 210 * sin(u / 4300 + 0.6) + 80 * sin(u / 1700 + v / 3600) + 0.02 * u
    return x, y


def place(u: float, v: float) -> LonLat:
    """Where a spot of the plan lies, to seven decimals (about a centimetre)."""
    x, y = bend(u, v)
    return offset(CENTRE, x, y)


def offset(at: LonLat, east_m: float, north_m: float) -> LonLat:
    """A position moved by metres; good for distances within a city."""
    return round(at[0] + east_m / _EAST, 7), round(at[1] + north_m / METRES_PER_DEGREE, 7)


def distance_m(a: LonLat, b: LonLat) -> float:
    """Metres between two positions of the city."""
    return hypot((b[0] - a[0]) * _EAST, (b[1] - a[1]) * METRES_PER_DEGREE)


def heading_deg(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The direction from one spot of the plan to another as it lies on the ground."""
    (ax, ay), (bx, by) = bend(*a), bend(*b)
    return degrees(atan2(bx - ax, by - ay)) % 360


def line(start: tuple[float, float], end: tuple[float, float], step_m: float = 150) -> tuple[tuple[float, float], ...]:
    """Spots along a straight line of the plan, ends included."""
    steps = max(1, round(hypot(end[0] - start[0], end[1] - start[1]) / step_m))
    return tuple(
        (start[0] + (end[0] - start[0]) * i / steps, start[1] + (end[1] - start[1]) * i / steps)
        for i in range(steps + 1)
    )


def outline(corners: Sequence[tuple[float, float]]) -> tuple[LonLat, ...]:
    """A polygon of the plan as a ring of positions, closed."""
    ring: list[LonLat] = []
    for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
        ring += [place(*spot) for spot in line(start, end, 300)[:-1]]
    return (*ring, ring[0])


def box(u0: float, v0: float, u1: float, v1: float) -> tuple[LonLat, ...]:
    """A rectangle of the plan, anticlockwise (RFC 7946 3.1.6)."""
    return outline(((u0, v0), (u1, v0), (u1, v1), (u0, v1)))


def ellipse(u: float, v: float, a: float, b: float, power: float = 2.0, steps: int = 96) -> list[tuple[float, float]]:
    """A (super)ellipse of the plan, closed; power 2 is round, more is squarer."""

    def side(value: float) -> float:
        return copysign(pow(abs(value), 2 / power), value)

    return [(u + a * side(cos(2 * pi * i / steps)), v + b * side(sin(2 * pi * i / steps))) for i in range(steps)] + [
        (u + a, v)
    ]


def river_half_width(v: float) -> float:
    """Half the river's width there, in metres."""
    return 150 + 35 * sin(v / 2100 + 1) + 20 * sin(v / 900)


def positions(path: Iterable[tuple[float, float]]) -> tuple[LonLat, ...]:
    """A path of the plan on the earth."""
    return tuple(place(u, v) for u, v in path)


def inside(at: LonLat, ring: Sequence[LonLat]) -> bool:
    """Whether a position lies in a ring (even-odd rule)."""
    x, y = at
    found = False
    for (ax, ay), (bx, by) in pairwise(ring):
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            found = not found
    return found
