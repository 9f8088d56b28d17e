"""What moves: patrol cars with two cameras and a recorder each, and body-worn cameras (执法记录仪), on their beats.

A beat is a closed way along streets of the grid, gone round and round. Where somebody is follows from the time alone,
so the city may be asked about any moment, and an oracle knows it too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from math import atan2, cos, degrees, radians
from random import Random
from typing import NamedTuple

from anwang.democity.world import plan
from anwang.democity.world.model import Beat, Device, LonLat, Point
from anwang.democity.world.points import BULLET, Census, Spot
from anwang.democity.world.roads import Straight

VEHICLE, BODY_WORN = "4", "2"
"""MobileDeviceType of GB/T 28181-2022 A.2.1.9."""
STEP_M = 40.0
CARS, WALKERS = 4, 4


class Fix(NamedTuple):
    """Where somebody is on a beat, and whither."""

    at: LonLat
    direction_deg: float


class Round:
    """A beat with its lengths, to be asked often."""

    def __init__(self, beat: Beat) -> None:
        self._beat = beat
        self._reached = [0.0, *accumulate(plan.distance_m(a, b) for a, b in pairwise(beat.path))]

    @property
    def lap_s(self) -> float:
        """Seconds once round."""
        return self._reached[-1] * 3.6 / self._beat.speed_kmh

    def at(self, at_s: float) -> Fix:
        """Where one is so many seconds after the epoch."""
        metres = (at_s + self._beat.offset_s) % self.lap_s * self._beat.speed_kmh / 3.6
        number = min(bisect_right(self._reached, metres), len(self._reached) - 1)
        (ax, ay), (bx, by) = self._beat.path[number - 1], self._beat.path[number]
        part = (metres - self._reached[number - 1]) / (self._reached[number] - self._reached[number - 1])
        east = (bx - ax) * cos(radians(ay))
        return Fix(
            (round(ax + (bx - ax) * part, 7), round(ay + (by - ay) * part, 7)),
            round(degrees(atan2(east, by - ay)) % 360, 1),
        )


def patrols(
    rng: Random, census: Census, grid: Sequence[Straight], cars: int, walkers: int
) -> tuple[list[Point], list[Device]]:
    """So many of each with their points; they belong to the police station where their beat begins."""
    points: list[Point] = []
    devices: list[Device] = []
    for number in range(1, cars + 1):
        beat = _beat(rng, grid, blocks=2, speed_kmh=float(rng.randrange(28, 44)))
        points += _car(rng, census, beat, number, devices)
    for number in range(1, walkers + 1):
        beat = _beat(rng, grid, blocks=1, speed_kmh=round(rng.uniform(4.2, 5.6), 1))
        points.append(_walker(rng, census, beat, number, devices))
    return points, devices


def _beat(rng: Random, grid: Sequence[Straight], *, blocks: int, speed_kmh: float) -> Beat:
    """Round so many blocks each way, on one bank of the river."""
    columns = sorted(s.at for s in grid if s.north_south and s.kind != "lane" and s.low < -5000)
    rows = sorted({s.at for s in grid if not s.north_south and s.kind != "lane" and s.at < plan.URBAN_V})
    bank = [at for at in columns if at > 0] if rng.random() < 0.5 else [at for at in columns if at < 0]
    west, south = rng.randrange(len(bank) - blocks), rng.randrange(len(rows) - blocks)
    u0, u1, v0, v1 = bank[west], bank[west + blocks], rows[south], rows[south + blocks]
    corners = [(u0, v0), (u1, v0), (u1, v1), (u0, v1)]
    if rng.random() < 0.5:
        corners.reverse()
    spots = [spot for a, b in pairwise([*corners, corners[0]]) for spot in plan.line(a, b, STEP_M)[:-1]]
    path = plan.positions(spots)
    return Beat(path=(*path, path[0]), speed_kmh=speed_kmh, offset_s=float(rng.randrange(7200)))


def _car(rng: Random, census: Census, beat: Beat, number: int, devices: list[Device]) -> list[Point]:
    title = f"巡逻车 {number:02}"
    made = [
        _add(census, beat, f"{title} {side}", VEHICLE, scene) for side, scene in (("车前", "avenue"), ("车内", "gate"))
    ]
    code = f"{made[0].division}000011829{number:05}"
    newer = number % 2 == 1
    devices.append(
        Device(
            code=code,
            name=title,
            kind="nvr",
            maker="安澜市（模拟）",
            model="ALS-M2",
            firmware=f"V2.{rng.randrange(1, 9)}",
            division=made[0].division,
            channels=tuple(point.code for point in made),
            version="3.0" if newer else "2.0",
            transport="TCP" if newer else "UDP",
            charset="GB18030" if newer else "GB2312",
            beat=beat,
        )
    )
    return [replace(point, gateway="gb28181", device=code, channel=point.code) for point in made]


def _walker(rng: Random, census: Census, beat: Beat, number: int, devices: list[Device]) -> Point:
    point = _add(census, beat, f"执法记录仪 {number:02}", BODY_WORN, rng.choice(("gate", "avenue", "parking")))
    devices.append(
        Device(
            code=point.code,
            name=point.name,
            kind="camera",
            maker="安澜市（模拟）",
            model="ALS-W1",
            firmware=f"V1.{rng.randrange(1, 9)}",
            division=point.division,
            channels=(point.code,),
            version="3.0",
            charset="GB18030",
            audio="g711a",
            beat=beat,
        )
    )
    return replace(point, gateway="gb28181", device=point.code, channel=point.code)


def _add(census: Census, beat: Beat, name: str, mobile: str, scene: str) -> Point:
    at = beat.path[0]
    spot = Spot(name=name, at=at, scene=scene, camera_type=BULLET, address="移动")
    point = census.add(spot, census.police(at), point_class=1, site=f"移动:{name}", place_types="10")
    return replace(point, mobile=mobile, lifecycle=1)
