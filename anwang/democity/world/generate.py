"""A city from a seed."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from anwang.democity.world import devices, land, names, patrols, plan, points, roads, society
from anwang.democity.world.model import City, Place


def generate(seed: int = 1, scale: float = 1.0) -> City:
    """The city of a seed. scale: share of its points that is made, 0 < scale <= 1 (1 is about 1,300)."""
    rng = Random(f"anlan-{seed}")
    grid = roads.straights(rng)
    hamlets = roads.villages(rng)
    country = roads.country(rng, hamlets)
    areas = society.divisions()
    organisations = society.organisations(areas)
    census = points.Census(rng, areas, organisations)
    meetings = roads.junctions(grid)

    def share(count: int) -> int:
        return max(1, round(count * scale))

    large = [one for one in meetings if one.rank == 2]
    small = [one for one in meetings if one.rank == 1 and abs(one.v) < 5600]
    for index, meeting in enumerate([*large[: share(48)], *small[: share(44)]]):
        points.junction_cameras(census, meeting, index)
    points.street_cameras(census, grid, share(66))
    points.bridge_cameras(census, grid)
    points.towers(census)
    for kind in points.PREMISES:
        points.premises(census, kind, scale)
    points.shops(census, grid, share(42))
    points.rural(census, hamlets[: share(len(hamlets))])
    points.checkpoints(census, grid, share(61))
    census.places += [
        Place(name=name, kind="bridge", at=plan.place(0, street.at))
        for name, street in zip(
            names.BRIDGES,
            sorted((s for s in grid if not s.north_south and s.low < 0 < s.high and s.at < 5600), key=lambda s: s.at),
            strict=True,
        )
    ]
    census.places += [
        Place(name=area.name, kind=area.level, at=_middle(area.ring)) for area in areas if area.level != "city"
    ]
    connected, found = devices.assign(rng, census.points, census.sites)
    # with a chance of their own, and last: what stands is the same with them and without
    census.rng = chance = Random(f"patrols-{seed}")
    moving, carried = patrols.patrols(chance, census, grid, share(patrols.CARS), share(patrols.WALKERS))
    return City(
        seed=seed,
        name="安澜市",
        divisions=areas,
        organisations=organisations,
        roads=[*country, *roads.streets(grid), *roads.bridges(grid), *land.railways()],
        water=[*roads.water(), land.reservoir()],
        grounds=[*land.grounds(Random(f"land-{seed}"), hamlets), *(place for place in census.places if place.ring)],
        places=census.places,
        points=[replace(point) for point in [*connected, *moving]],
        devices=[*found, *carried],
        showcase=devices.showcase(connected),
    )


def _middle(ring: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    west, east = min(x for x, _ in ring), max(x for x, _ in ring)
    south, north = min(y for _, y in ring), max(y for _, y in ring)
    return round((west + east) / 2, 7), round((south + north) / 2, 7)
