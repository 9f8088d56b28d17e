"""The simulated city's world: the same seed gives the same bytes, and its files hold what the registry asks for."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import atan2, cos, degrees, hypot, inf, radians
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from anwang.democity.devices.faults import plan as plan_faults
from anwang.democity.world import City, Round, generate, patrols, plan, write
from anwang.democity.world.files import ORGANISATION_COLUMNS, POINT_COLUMNS, direction
from anwang.runtime.fonts import CHINESE

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def city() -> City:
    return generate(1)


@pytest.fixture(scope="module")
def folder(city: City, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("city")
    write(city, folder)
    return folder


def test_a_seed_makes_the_same_bytes(city: City, folder: Path, tmp_path: Path) -> None:
    again = write(generate(1), tmp_path / "again")
    assert {path.name: path.read_bytes() for path in again} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }
    other = {path.name: path.read_bytes() for path in write(generate(2), tmp_path / "other")}
    assert other["points.csv"] != (folder / "points.csv").read_bytes()


def test_bytes_come_from_the_seed_alone(folder: Path, tmp_path: Path) -> None:
    """Another process, another day, another order of hashes: the same bytes."""
    program = (
        "import sys, time, os\n"
        "from pathlib import Path\n"
        "from anwang.democity.world import generate, write\n"
        "def never(*_): raise AssertionError('no wall clock, no noise in generation')\n"
        "time.time = time.time_ns = os.urandom = never\n"
        "write(generate(1), Path(sys.argv[1]))\n"
    )
    for number in (1, 2):
        environment = {**os.environ, "PYTHONHASHSEED": str(number), "TZ": ("UTC", "Asia/Tokyo")[number % 2]}
        target = tmp_path / str(number)
        subprocess.run([sys.executable, "-c", program, str(target)], env=environment, cwd=ROOT, check=True, timeout=120)
        made = {path.name: path.read_bytes() for path in target.iterdir()}
        assert made == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_has_the_size_and_the_mix_of_a_city(city: City) -> None:
    kinds = Counter(point.kind for point in city.points)
    cameras = [point for point in city.points if point.has_video]
    assert 1150 <= len(cameras) <= 1260
    assert kinds["checkpoint"] == 61
    assert kinds["watchtower"] == 7
    assert kinds["alarm_point"] >= 39
    assert kinds["sensor"] >= 40
    classes = Counter(point.point_class for point in cameras)
    assert all(classes[number] > 200 for number in (1, 2, 3))
    share = sum(point.codec == "h265" for point in cameras) / len(cameras)
    assert 0.05 <= share <= 0.12
    assert Counter(device.kind for device in city.devices)["platform"] == 1
    [platform] = [device for device in city.devices if device.kind == "platform"]
    assert 280 <= len(platform.channels) <= 360
    assert sum(device.kind == "rtsp" for device in city.devices) == 12


def test_codes_are_unique_and_well_formed(city: City) -> None:
    codes = [point.code for point in city.points]
    assert len(set(codes)) == len(codes)
    devices = [device.code for device in city.devices]
    assert len(set(devices)) == len(devices)
    names = [point.name for point in city.points]
    assert len(set(names)) == len(names)
    assert all(len(code) == 20 and code.startswith("9901") and code.isdigit() for code in codes + devices)
    kinds = {"checkpoint": "121", "alarm_point": "134", "sensor": "139", "camera": "132", "watchtower": "132"}
    assert all(point.code[10:13] == kinds[point.kind] for point in city.points)


def test_every_channel_has_one_device(city: City) -> None:
    behind = Counter(channel for device in city.devices for channel in device.channels)
    assert set(behind.values()) == {1}
    for point in city.points:
        assert bool(point.gateway) == (point.code in behind)
    assert sum(not point.gateway for point in city.points if point.has_video) >= 20
    assert all(point.network == "未联网" for point in city.points if point.has_video and not point.gateway)


def test_points_lie_in_their_division_and_nobody_lives_there(city: City) -> None:
    rings = {area.code: area.ring for area in city.divisions}
    stray = [
        point.name for point in city.points
        if not plan.inside(point.at, rings[point.division])
        and min(plan.distance_m(point.at, corner) for corner in rings[point.division]) > 500
    ]  # fmt: skip
    assert not stray
    assert all(73.5 < point.at[0] < 135.1 and 3.8 < point.at[1] < 53.6 for point in city.points)
    assert plan.distance_m(plan.CENTRE, (91.5, 40.0)) < 1


def test_headings_follow_the_road(city: City) -> None:
    south = next(point for point in city.points if point.name == "滨河路与建安街口 南枪")
    assert south.heading_deg is not None
    assert direction(south.heading_deg) == 3
    assert (direction(0.0), direction(90.0), direction(225.0), direction(None)) == (4, 1, 7, 9)


def test_the_first_picture_is_the_known_one(city: City) -> None:
    by_code = {point.code: point for point in city.points}
    first = [by_code[code] for code in city.showcase]
    assert first[0].name == "滨河路与建安街口 南枪"
    assert len(first) == 16
    assert all(point.codec == "h264" and point.gateway == "gb28181" and point.lifecycle == 1 for point in first)
    assert len({point.scene for point in first}) >= 10


def test_tables_have_the_columns_and_refer_to_each_other(city: City, folder: Path) -> None:
    with (folder / "points.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == POINT_COLUMNS
    with (folder / "organisations.csv").open(encoding="utf-8-sig", newline="") as file:
        organisations = list(csv.DictReader(file))
    assert tuple(organisations[0]) == ORGANISATION_COLUMNS
    paths: list[str] = []
    for row in organisations:
        assert not row["上级"] or row["上级"] in paths, "parents come first"
        paths.append(f"{row['上级']}/{row['名称']}".strip("/"))
    assert len(set(paths)) == len(paths)
    names = Counter(row["名称"] for row in organisations)
    for row in rows:
        assert row["所属组织"] in paths
        for column in ("建设单位", "产权单位", "维护单位"):
            assert names[row[column]] == 1, row[column]
        assert all(names[part] == 1 for part in row["授权单位"].split("/"))


def test_geojson_is_closed_and_named(folder: Path) -> None:
    divisions = json.loads((folder / "divisions.geojson").read_text("utf-8"))["features"]
    assert {len(one["properties"]["code"]) for one in divisions} == {6, 9}
    for one in divisions:
        ring = one["geometry"]["coordinates"][0]
        assert ring[0] == ring[-1]
        area = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))
        assert area > 0, "outer rings run anticlockwise (RFC 7946 3.1.6)"
    places = json.loads((folder / "places.geojson").read_text("utf-8"))["features"]
    assert {one["geometry"]["type"] for one in places} == {"Point"}
    roads = json.loads((folder / "roads.geojson").read_text("utf-8"))["features"]
    assert sum(one["properties"]["bridge"] for one in roads) == 7
    assert sum(one["properties"]["class"] == "railway" for one in roads) == 2
    grounds = json.loads((folder / "grounds.geojson").read_text("utf-8"))["features"]
    kinds = Counter(one["properties"]["class"] for one in grounds)
    wanted = {"industrial", "residential", "commercial", "forest", "wetland", "green", "farmland", "school", "chemical"}
    assert wanted | {"hospital", "site", "park", "station"} <= set(kinds)
    assert kinds["farmland"] > 20
    for one in grounds:
        ring = one["geometry"]["coordinates"][0]
        assert ring[0] == ring[-1] and sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring)) > 0


def test_truth_names_every_point_and_device(city: City, folder: Path) -> None:
    truth = json.loads((folder / "truth.json").read_text("utf-8"))
    assert set(truth["points"]) == {point.code for point in city.points}
    assert set(truth["devices"]) == {device.code for device in city.devices}
    for code, point in truth["points"].items():
        assert not point["device"] or code in truth["devices"][point["device"]]["channels"]


def test_no_name_renders_as_a_box(city: City) -> None:
    known = set(TTFont(CHINESE).getBestCmap())
    texts = [
        *(point.name for point in city.points),
        *(one.name for one in city.organisations),
        "星期一二三四五六日年月 0123456789-:",
    ]
    missing = {character for text in texts for character in text if ord(character) not in known}
    assert not missing


def test_faults_are_planned_by_seed(city: City) -> None:
    assert plan_faults(1, city.devices, 0.05) == plan_faults(1, city.devices, 0.05)
    assert plan_faults(1, city.devices, 0.05) != plan_faults(2, city.devices, 0.05)
    assert not plan_faults(1, city.devices, 0.0)
    assert len(set(plan_faults(1, city.devices, 0.05).values())) >= 6


def test_a_small_city_is_whole(tmp_path: Path) -> None:
    small = generate(3, scale=0.05)
    assert 60 < len(small.points) < 400
    assert {device.kind for device in small.devices} == {"camera", "nvr", "platform", "rtsp"}
    assert write(small, tmp_path)


def test_what_moves_keeps_to_the_streets_at_its_speed(city: City) -> None:
    moving = [device for device in city.devices if device.beat]
    assert Counter(device.kind for device in moving) == {"nvr": 4, "camera": 4}
    assert {device.version for device in moving} == {"2.0", "3.0"}
    assert {point.code for point in city.points if point.mobile} == {code for d in moving for code in d.channels}
    streets = [plan.positions(road.path) for road in city.roads if road.kind in ("arterial", "street")]
    for device in moving:
        assert device.beat is not None
        walk = Round(device.beat)
        assert 600 < walk.lap_s < 7200
        assert walk.at(0) == walk.at(walk.lap_s) == Round(device.beat).at(0), "the time alone says where"
        for at_s in range(1_800_000_000, 1_800_000_000 + round(walk.lap_s), 61):
            here, after = walk.at(at_s), walk.at(at_s + 2)
            assert min(_away(here.at, street) for street in streets) < 6
            metres = plan.distance_m(here.at, after.at)
            # straight on, or round a corner, which is shorter
            assert metres <= device.beat.speed_kmh / 3.6 * 2 + 0.1
            if abs(here.direction_deg - after.direction_deg) < 1:
                assert metres >= device.beat.speed_kmh / 3.6 * 2 - 0.1
                assert abs((_bearing(here.at, after.at) - here.direction_deg + 180) % 360 - 180) < 3


def test_what_stands_is_the_same_whatever_moves(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patrols, "CARS", 1)
    other = generate(1)
    assert [p for p in other.points if not p.mobile] == [p for p in city.points if not p.mobile]
    assert [d for d in other.devices if not d.beat] == [d for d in city.devices if not d.beat]
    assert other.showcase == city.showcase


def _away(at: tuple[float, float], street: Sequence[tuple[float, float]]) -> float:
    """Metres from a position to the nearest stretch of a street."""
    best = inf
    for a, b in pairwise(street):
        (ax, ay), (bx, by) = (_metres(at, a), _metres(at, b))
        length = (bx - ax) ** 2 + (by - ay) ** 2
        part = min(1.0, max(0.0, -(ax * (bx - ax) + ay * (by - ay)) / length)) if length else 0.0
        best = min(best, hypot(ax + (bx - ax) * part, ay + (by - ay) * part))
    return best


def _metres(origin: tuple[float, float], to: tuple[float, float]) -> tuple[float, float]:
    scale = plan.METRES_PER_DEGREE
    return (to[0] - origin[0]) * scale * cos(radians(origin[1])), (to[1] - origin[1]) * scale


def _bearing(a: tuple[float, float], b: tuple[float, float]) -> float:
    east, north = _metres(a, b)
    return degrees(atan2(east, north)) % 360
