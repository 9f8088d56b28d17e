"""The road network, and the water that it crosses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from random import Random

from anwang.democity.world import names, plan
from anwang.democity.world.model import Place, Road

Spot = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Straight:
    """A street along one axis of the plan, from `low` to `high` on the other."""

    name: str
    kind: str
    at: float
    low: float
    high: float
    north_south: bool

    def spot(self, along: float) -> Spot:
        """The spot of the plan at this distance along the axis."""
        return (self.at, along) if self.north_south else (along, self.at)


@dataclass(frozen=True, slots=True)
class Junction:
    """Where two streets meet; the first runs north and south."""

    u: float
    v: float
    first: Straight
    second: Straight

    @property
    def rank(self) -> int:
        """How many of the two are arterials."""
        return (self.first.kind == "arterial") + (self.second.kind == "arterial")


WIDTH = {"expressway": 28.0, "arterial": 24.0, "street": 14.0, "lane": 8.0, "national": 16.0, "village": 5.0}


def straights(rng: Random) -> list[Straight]:
    """The grid: named streets through the city, lanes between them that run from arterial to arterial."""
    grid = [Straight(name, kind, at, -5200, 5200, True) for at, name, kind in names.NORTH_SOUTH]
    for at, name, kind in names.EAST_WEST:
        if kind == "arterial":
            grid.append(Straight(name, kind, at, -9000, 9000, False))
        else:
            grid += [Straight(name, kind, at, -9000, -300, False), Straight(name, kind, at, 300, 9000, False)]
    lanes = list(names.LANES)
    rng.shuffle(lanes)
    columns: list[float] = [at for at, _, _ in names.NORTH_SOUTH]
    rows: list[float] = [at for at, _, _ in names.EAST_WEST]
    for index, name in enumerate(lanes):
        if index % 2:  # north and south: "…巷"
            west = rng.choice([c for c in range(len(columns) - 1) if columns[c + 1] - columns[c] > 700])
            low = rng.randrange(len(rows) - 2)
            high = min(len(rows) - 1, low + rng.choice((1, 2, 2, 3)))
            spot = columns[west] + (columns[west + 1] - columns[west]) * rng.choice((1 / 3, 1 / 2, 2 / 3))
            grid.append(Straight(f"{name}巷", "lane", round(spot), rows[low], rows[high], True))
        else:
            south = rng.randrange(len(rows) - 1)
            west = rng.choice([c for c in range(len(columns) - 3) if columns[c] != -300])
            east = min(len(columns) - 1, west + rng.choice((2, 3, 3, 4)))
            if columns[west] < 0 < columns[east]:
                east = columns.index(-300)
            spot = rows[south] + (rows[south + 1] - rows[south]) * rng.choice((1 / 3, 1 / 2, 2 / 3))
            grid.append(Straight(f"{name}街", "lane", round(spot), columns[west], columns[east], False))
    # the county town
    for at, name in ((400, "县前路"), (1300, "钟楼路"), (2200, "青年路")):
        grid.append(Straight(name, "street", at, 7300, 9300, True))
    for at, name in ((7600, "朝阳街"), (8300, "县府街"), (9000, "北关街")):
        grid.append(Straight(name, "street", at, 100, 2700, False))
    return grid


def junctions(grid: Sequence[Straight]) -> list[Junction]:
    """All meetings of the grid's streets, larger ones first, then from the middle of the city outwards."""
    found = [
        Junction(first.at, second.at, first, second)
        for first in grid
        if first.north_south
        for second in grid
        if not second.north_south
        and first.low - 1 <= second.at <= first.high + 1
        and second.low - 1 <= first.at <= second.high + 1
    ]
    return sorted(found, key=lambda j: (-j.rank, abs(j.u - 1500) + 1.6 * abs(j.v), j.u, j.v))


def bridges(grid: Sequence[Straight]) -> list[Road]:
    """Where arterials cross the river, south to north."""
    crossing = sorted((s for s in grid if not s.north_south and s.low < 0 < s.high), key=lambda s: s.at)
    crossing = [street for street in crossing if street.at < plan.URBAN_V]
    found = []
    for name, street in zip(names.BRIDGES, crossing, strict=True):
        half = plan.river_half_width(street.at) + 40
        path = plan.line((-half, street.at), (half, street.at), 60)
        found.append(Road(name=name, kind="arterial", width_m=26, path=path, bridge=True))
    return found


def villages(rng: Random) -> list[tuple[str, float, float]]:
    """Village name and spot, none nearer than 900 m to another or to the county town."""
    found: list[tuple[str, float, float]] = []
    pool = list(names.VILLAGES)
    while pool:
        u, v = rng.uniform(-9000, 9000), rng.uniform(6500, 12_000)
        crowded = any(abs(u - a) + abs(v - b) < 1300 for _, a, b in found)
        if crowded or (abs(u - 1300) < 1900 and abs(v - 8300) < 1700) or abs(u) < 500:
            continue
        found.append((pool.pop(0), u, v))
    return found


def country(rng: Random, hamlets: Sequence[tuple[str, float, float]]) -> list[Road]:
    """Ring expressway, the roads of the county, and the ways to the villages."""
    ring = tuple(plan.ellipse(0, 0, 9450, 5480, 12, 160))
    roads = [
        Road(name="绕城高速", kind="expressway", width_m=28, path=ring),
        Road(name="国道G939", kind="national", width_m=18, path=plan.line((2400, 5200), (2700, 12_400))),
        Road(name="省道S901", kind="national", width_m=14, path=_wavy((-9500, 8900), (9500, 8700), 260, 3)),
        Road(name="县道X902", kind="village", width_m=8, path=_wavy((-4800, 5200), (-5200, 12_000), 240, 2)),
        Road(name="县道X903", kind="village", width_m=8, path=_wavy((6000, 5200), (6400, 12_000), 240, 2)),
    ]
    trunks = [spot for road in roads[1:] for spot in road.path if spot[1] > 5800]
    for name, u, v in hamlets:
        near = min(trunks, key=lambda t: (t[0] - u) ** 2 + (t[1] - v) ** 2)
        wave = rng.uniform(-90, 90)
        path = _wavy(near, (u, v), wave, 1)
        last, before = path[-1], path[-2]
        tail = (last[0] + (last[0] - before[0]) * 2, last[1] + (last[1] - before[1]) * 2)
        roads.append(Road(name=f"{name}村路", kind="village", width_m=5, path=(*path, tail)))
        across = ((u - 170, v + 60), (u, v), (u + 190, v - 30))
        roads.append(Road(name=f"{name}村中街", kind="village", width_m=5, path=across))
    return roads


def streets(grid: Sequence[Straight]) -> list[Road]:
    """The grid as roads."""
    return [
        Road(name=s.name, kind=s.kind, width_m=WIDTH[s.kind], path=plan.line(s.spot(s.low), s.spot(s.high)))
        for s in grid
    ]


def water() -> list[Place]:
    """澜河, and a lake in a park."""
    low, high, step = -6400, 12_400, 200
    west = [(-plan.river_half_width(v), float(v)) for v in range(low, high + 1, step)]
    east = [(plan.river_half_width(v), float(v)) for v in range(high, low - 1, -step)]
    river = plan.positions([*west, *east, west[0]])
    lake = plan.positions(plan.ellipse(-6650, 1750, 420, 300, 2.4, 48))
    pond = plan.positions(plan.ellipse(4100, -2000, 260, 210, 2.2, 40))
    return [
        Place(name="澜河", kind="river", at=plan.place(0, 0), ring=tuple(reversed(river))),
        Place(name="澜湖", kind="lake", at=plan.place(-6650, 1750), ring=lake),
        Place(name="青年湖", kind="lake", at=plan.place(4100, -2000), ring=pond),
    ]


def _wavy(start: Spot, end: Spot, wave_m: float, bends: int) -> tuple[Spot, ...]:
    path = plan.line(start, end, 120)
    count = len(path) - 1
    du, dv = end[0] - start[0], end[1] - start[1]
    length = (du * du + dv * dv) ** 0.5 or 1.0
    swing = [wave_m * sin(pi * bends * i / count) * cos(0.4 * i / count) for i in range(count + 1)]
    return tuple((u - dv / length * s, v + du / length * s) for (u, v), s in zip(path, swing, strict=True))
