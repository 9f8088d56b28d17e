"""What the land is used for: fields, woods, works, and the railway; so that a map is no bare net of streets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import cos, pi, sin
from random import Random

from anwang.democity.world import plan
from anwang.democity.world.model import LonLat, Place, Road

Spot = tuple[float, float]
# name, kind, corners in the plan: large grounds on which other things stand
_GROUNDS: Sequence[tuple[str, str, tuple[float, float, float, float]]] = (
    ("安澜化工园区", "industrial", (5600, -5050, 8950, -1900)),
    ("港城物流园区", "industrial", (6100, 2600, 8300, 5000)),
    ("金谷工业园", "industrial", (-8900, -5050, -6200, -3000)),
    ("创新谷产业园", "industrial", (5600, -1500, 7100, 1100)),
    ("建安老城", "residential", (400, 100, 2300, 2300)),
    ("文昌片区", "residential", (-4700, 100, -2500, 3500)),
    ("长宁新城", "residential", (2500, -5050, 5300, -2900)),
    ("澜北县城", "residential", (150, 7250, 2700, 9250)),
    ("新华商业区", "commercial", (2450, 50, 3550, 2350)),
    ("河西中央商务区", "commercial", (-2350, -1350, -1250, 1150)),
    ("云台山林场", "forest", (-9550, 2500, -7300, 5050)),
    ("城西湿地", "wetland", (-7100, 700, -5900, 2700)),
)
_WOODS = (("北山林区", -3200, 11_500, 3600, 800), ("云岭林场", -8300, 10_900, 1200, 1300))
_RAIL_V, _STATION = 5950.0, (2400.0, 5950.0)


def grounds(rng: Random, hamlets: Sequence[tuple[str, float, float]]) -> list[Place]:
    """Large grounds first, then woods, river banks and the fields around each village."""
    found = [
        Place(name=name, kind=kind, at=plan.place((a + c) / 2, (b + d) / 2), ring=plan.box(a, b, c, d))
        for name, kind, (a, b, c, d) in _GROUNDS
    ]
    found += [_grown(rng, name, "forest", u, v, a, b, 0.16) for name, u, v, a, b in _WOODS]
    for side, name in ((-1, "河西滨水绿带"), (1, "河东滨水绿带")):
        near = [(side * (plan.river_half_width(v) + 15), float(v)) for v in range(-5100, 5101, 300)]
        far = [(side * (plan.river_half_width(v) + 105), v) for _, v in reversed(near)]
        ring = plan.positions([*near, *far, near[0]])
        found.append(Place(name=name, kind="green", at=plan.place(near[0][0], 0), ring=_anticlockwise(ring)))
    for name, u, v in hamlets:
        for index in range(rng.randrange(2, 5)):
            turn, away = 2 * pi * index / 4 + rng.uniform(-0.4, 0.4), rng.uniform(420, 620)
            kind = rng.choice(("farmland", "farmland", "farmland", "orchard"))
            a, b = rng.uniform(190, 340), rng.uniform(150, 290)
            spot = u + away * cos(turn), v + away * sin(turn)
            found.append(_grown(rng, f"{name}村{'果园' if kind == 'orchard' else '农田'}", kind, *spot, a, b, 0.12))
        found.append(_grown(rng, f"{name}村", "residential", u, v, 210, 150, 0.1))
    return found


def railways() -> list[Road]:
    """The line past the city's north with a station, and a spur to the chemical park."""
    main = plan.line((-9590, _RAIL_V), (9590, _RAIL_V))
    spur = [*plan.line((6200, _RAIL_V), (9300, 5300)), *plan.line((9300, 5300), (9300, -2200)), (8900, -2600)]
    return [
        Road(name="安澜铁路", kind="railway", width_m=12, path=main),
        Road(name="化工园区铁路专用线", kind="railway", width_m=6, path=tuple(spur)),
    ]


def reservoir() -> Place:
    """澜北水库, in the hills."""
    ring = plan.positions(plan.ellipse(5200, 11_000, 900, 520, 2.3, 60))
    return Place(name="澜北水库", kind="reservoir", at=plan.place(5200, 11_000), ring=ring)


def _grown(rng: Random, name: str, kind: str, u: float, v: float, a: float, b: float, rough: float) -> Place:
    """A rounded patch with a rim that nobody drew with a ruler."""
    waves = [(rng.uniform(0, 2 * pi), rng.uniform(0.3, 1.0) * rough / (n + 1)) for n in range(4)]
    spots: list[Spot] = []
    for step in range(36):
        turn = 2 * pi * step / 36
        swell = 1 + sum(size * sin((n + 2) * turn + shift) for n, (shift, size) in enumerate(waves))
        spots.append((u + a * swell * cos(turn), v + b * swell * sin(turn)))
    return Place(name=name, kind=kind, at=plan.place(u, v), ring=plan.positions([*spots, spots[0]]))


def _anticlockwise(ring: tuple[LonLat, ...]) -> tuple[LonLat, ...]:
    area = sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairwise(ring))
    return ring if area > 0 else tuple(reversed(ring))
