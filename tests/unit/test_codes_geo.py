"""National codes and places on the earth."""

from __future__ import annotations

import itertools
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Point, Polygon

from anwang.kernel import geo
from anwang.kernel.codes import DeviceCode, Edition, camera, gb28181, is_region, parent_division, places, vehicles
from anwang.kernel.codes.table import Code, CodeTable
from anwang.kernel.errors import Invalid

TABLES = [
    table
    for module in (camera, gb28181, places, vehicles)
    for table in vars(module).values()
    if isinstance(table, CodeTable)
]


def test_a_code_is_taken_apart() -> None:
    code = DeviceCode.parse("34020000001320000011")
    assert (code.centre, code.division, code.access_unit, code.industry, code.type, code.network, code.serial) == (
        "34020000", "340200", "00", "00", "132", "0", "000011",
    )  # fmt: skip
    assert code.is_camera
    assert not code.is_main_device
    assert DeviceCode.parse("13010000002000000001").domain == "1301000000"
    assert str(code) == "34020000001320000011"


@given(st.text(max_size=24))
def test_anything_but_twenty_digits_is_refused(text: str) -> None:
    if len(text) == 20 and text.isascii() and text.isdigit():
        assert DeviceCode.parse(text).text == text
        return
    with pytest.raises(Invalid):
        DeviceCode.parse(text)


def test_full_width_digits_are_no_digits() -> None:
    with pytest.raises(Invalid):
        DeviceCode.parse("３４０２０００００１３２００００１１")


def test_a_construction_site_changes_its_code_between_editions() -> None:
    assert gb28181.industries(Edition.E2016).label("46") == "建筑企业接入"
    assert gb28181.industries(Edition.E2022).label("44") == "建筑业接入"
    assert gb28181.types(Edition.E2022).label("121") == "视频卡口"
    assert "121" not in gb28181.types(Edition.E2016)
    assert gb28181.networks(Edition.E2022).label("8") == "专线"


def test_every_table_says_where_it_is_from_and_has_no_empty_term() -> None:
    assert len(TABLES) >= 25
    for table in TABLES:
        assert table.source
        assert len(table) == len({code.code for code in table})
        assert all(code.label for code in table)
        assert table.label("no such code") == "no such code"
        first = next(iter(table))
        found = table.code_of(first.label)
        assert found is not None
        assert table.label(found) == first.label


def test_entries_know_when_they_are_valid() -> None:
    code = Code(code="1", label="x", valid_from=date(2016, 8, 1), valid_to=date(2023, 7, 1))
    assert not code.valid_on(date(2016, 7, 31))
    assert code.valid_on(date(2016, 8, 1))
    assert not code.valid_on(date(2023, 7, 1))


def test_place_types_of_both_generations() -> None:
    assert [code.code for code in places.PLACE_TYPES_A] == [str(n) for n in (*range(1, 16), *range(96, 100))]
    assert places.place_b_label("0280100") == "危险物品场所"
    assert places.place_b_label("0179900") == "学校"
    assert places.place_b_label("7777777") == "7777777"


@pytest.mark.parametrize(
    ("code", "parent"),
    [("120000", None), ("370200", "370000"), ("370202", "370200"), ("469001", "460000"), ("370202001", "370202"),
     ("370202001002", "370202001"), ("12", None), ("3702", "370000"), ("37020201", "370202")],
)  # fmt: skip
def test_the_division_above(code: str, parent: str | None) -> None:
    assert parent_division(code) == parent


def test_what_is_no_division() -> None:
    for text in ("", "1", "37020", "３７０２", "37020x"):
        with pytest.raises(Invalid):
            parent_division(text)
    assert [is_region(text) for text in ("37", "3702", "370202", "37020201", "3", "37020", "x7")] == [True] * 4 + [
        False
    ] * 3


china = st.tuples(st.floats(73.5, 135.0), st.floats(4.0, 53.5))


@given(china, st.sampled_from(list(itertools.permutations(geo.Datum, 2))))
def test_every_datum_comes_back_from_every_other(
    place: tuple[float, float], datums: tuple[geo.Datum, geo.Datum]
) -> None:
    there = geo.convert(*place, source=datums[0], target=datums[1])
    back = geo.convert(*there, source=datums[1], target=datums[0])
    assert geo.distance_m(*place, *back) < 0.05


@given(china)
def test_gcj02_is_a_few_hundred_metres_off_and_equal_abroad(place: tuple[float, float]) -> None:
    assert 20 < geo.distance_m(*place, *geo.wgs84_to_gcj02(*place)) < 1500
    assert geo.wgs84_to_gcj02(2.35, 48.85) == (2.35, 48.85)
    assert geo.convert(1.0, 2.0, source=geo.Datum.WGS84, target=geo.Datum.WGS84) == (1.0, 2.0)


@given(st.floats(-180, 180), st.floats(-85, 85))
def test_mercator_comes_back(longitude: float, latitude: float) -> None:
    x, y = geo.mercator(longitude, latitude)
    assert 0 <= x <= 1
    assert 0 <= y <= 1
    back = geo.unmercator(x, y)
    assert abs(back[0] - longitude) < 1e-9
    assert abs(back[1] - latitude) < 1e-9


def test_known_distances_and_bearings() -> None:
    assert abs(geo.distance_m(0, 0, 1, 0) - 111_195.08) < 1
    assert abs(geo.distance_m(116.397, 39.909, 121.474, 31.230) - 1_067_900) < 2_000
    assert [round(geo.bearing_deg(0, 0, *to)) for to in ((0, 1), (1, 0), (0, -1), (-1, 0))] == [0, 90, 180, 270]


@given(china, china)
def test_bearings_and_distances_are_in_range(a: tuple[float, float], b: tuple[float, float]) -> None:
    assert 0 <= geo.bearing_deg(*a, *b) < 360
    assert geo.distance_m(*a, *b) == pytest.approx(geo.distance_m(*b, *a))


corner = st.tuples(st.integers(-50, 50), st.integers(-50, 50))


@given(st.lists(corner, min_size=3, max_size=9), st.floats(-60, 60), st.floats(-60, 60))
def test_a_point_is_in_a_polygon_where_another_library_says_so(
    corners: list[tuple[int, int]], x: float, y: float
) -> None:
    hull = Polygon(corners).convex_hull
    if hull.geom_type != "Polygon" or hull.boundary.distance(Point(x, y)) < 1e-9:
        return
    ring = list(hull.exterior.coords)
    assert geo.in_polygon(x, y, [ring]) == hull.contains(Point(x, y))
    assert not geo.in_polygon(x, y, [ring, ring])
    assert not geo.in_polygon(x, y, [])


def test_the_distance_to_an_edge() -> None:
    ring = [(117.0, 39.0), (117.2, 39.0), (117.2, 39.2), (117.0, 39.2)]
    assert abs(geo.ring_distance_m(117.1, 38.9, ring) - 11_119.5) < 30
    assert geo.ring_distance_m(117.0, 39.1, ring) < 1e-6


def test_boxes() -> None:
    box = geo.Box.parse("117.1,39.0,117.4,39.2")
    assert box.contains(117.1, 39.2)
    assert not box.contains(117.0, 39.1)
    assert box.centre == (117.25, 39.1)
    assert geo.Box.around([(1, 2), (3, 1)]) == geo.Box(1, 1, 3, 2)
    for bad in ("", "1,2,3", "3,1,1,2", "a,b,c,d", "nan,0,1,1", "-181,0,0,0"):
        with pytest.raises(Invalid):
            geo.Box.parse(bad)
    with pytest.raises(Invalid):
        geo.Box.around([])
