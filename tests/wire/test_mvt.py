"""Vector tiles are what another decoder reads them to be."""

from __future__ import annotations

from itertools import pairwise

import mapbox_vector_tile
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import LineString, Polygon, box

from anwang.wire import mvt

unsigned = st.integers(0, 2**64 - 1)
coordinate = st.integers(-4096, 8192)


def slow_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@given(st.lists(unsigned, max_size=200))
def test_varints_are_packed_as_one_by_one(values: list[int]) -> None:
    packed = mvt.pack_varints(np.array(values, np.uint64))
    assert packed == b"".join(map(slow_varint, values))
    assert mvt.varint_lengths(np.array(values, np.uint64)).tolist() == [len(slow_varint(v)) for v in values]


@given(st.lists(st.integers(-(2**62), 2**62), max_size=50))
def test_zigzag_keeps_small_numbers_small(values: list[int]) -> None:
    expected = [v * 2 if v >= 0 else -v * 2 - 1 for v in values]
    assert mvt.zigzag(np.array(values, np.int64)).tolist() == expected


row = st.tuples(
    coordinate, coordinate, st.integers(0, 2**40), st.integers(-5, 400), st.booleans(), st.integers(0, 2), st.uuids()
)


@given(st.lists(row, min_size=1, max_size=60, unique_by=lambda r: str(r[6])))
def test_a_layer_of_points_is_read_back(rows: list[tuple[int, int, int, int, bool, int, object]]) -> None:
    x, y, ids, number, has, word, uuid = (list(column) for column in zip(*rows, strict=True))
    words = ("摄像机", "checkpoint", "")
    whole = [int(u) for u in uuid]  # type: ignore[call-overload]
    layer = mvt.point_layer(
        "points",
        np.array(x),
        np.array(y),
        ids=np.array(ids),
        attributes={
            "n": mvt.integers(np.array(number), np.array(has)),
            "w": mvt.texts(words, np.array(word)),
            "u": mvt.uuids(
                np.array([v >> 64 for v in whole], np.uint64), np.array([v & 2**64 - 1 for v in whole], np.uint64)
            ),
            "i": mvt.unique_integers(np.array(ids)),
        },
    )
    decoded = mapbox_vector_tile.decode(layer, default_options={"y_coord_down": True})["points"]
    assert (decoded["extent"], decoded["version"]) == (4096, 2)
    assert len(decoded["features"]) == len(rows)
    by_uuid = {feature["properties"]["u"]: feature for feature in decoded["features"]}
    for px, py, pid, n, present, w, u in rows:
        feature = by_uuid[str(u)]
        assert feature["geometry"] == {"type": "Point", "coordinates": [px, py]}
        assert feature["id"] == pid
        expected = {"w": words[w], "u": str(u), "i": pid} | ({"n": n} if present else {})
        assert feature["properties"] == expected


@given(st.lists(row, max_size=60, unique_by=lambda r: str(r[6])))
def test_few_points_are_read_back_as_many_are(rows: list[tuple[int, int, int, int, bool, int, object]]) -> None:
    if not rows:
        assert mvt.few_points("points", [], [], ids=[], attributes={}) == b""
        return
    x, y, ids, count, has, word, uuid = (list(column) for column in zip(*rows, strict=True))
    words = ("摄像机", "checkpoint", "")
    count = [abs(number) for number in count]
    few = mvt.few_points(
        "points", x, y, ids=ids,
        attributes={
            "n": [number if there else None for number, there in zip(count, has, strict=True)],
            "w": [words[number] for number in word], "u": [str(u) for u in uuid], "id": ids,
        },
    )  # fmt: skip
    whole = [int(u) for u in uuid]  # type: ignore[call-overload]
    many = mvt.point_layer(
        "points", np.array(x), np.array(y), ids=np.array(ids),
        attributes={
            "n": mvt.integers(np.array(count), np.array(has)), "w": mvt.texts(words, np.array(word)),
            "u": mvt.uuids(
                np.array([v >> 64 for v in whole], np.uint64), np.array([v & 2**64 - 1 for v in whole], np.uint64)
            ),
            "id": mvt.integers(np.array(ids)),
        },
    )  # fmt: skip

    def told(data: bytes) -> list[dict[str, object]]:
        features = mapbox_vector_tile.decode(data)["points"]["features"]
        return sorted(features, key=lambda feature: str(feature["properties"]["u"]))

    assert told(few) == told(many)
    assert mapbox_vector_tile.decode(few)["points"]["extent"] == mvt.EXTENT


def test_a_layer_without_ids_and_attributes_is_read_back() -> None:
    layer = mvt.point_layer("p", np.array([1]), np.array([2]), attributes={})
    decoded = mapbox_vector_tile.decode(layer, default_options={"y_coord_down": True})
    assert decoded["p"]["features"][0]["geometry"]["coordinates"] == [1, 2]
    assert mvt.point_layer("p", np.zeros(0), np.zeros(0), attributes={}) == b""


corner = st.tuples(st.integers(-9000, 9000), st.integers(-9000, 9000))


@given(st.lists(corner, min_size=2, max_size=20))
def test_a_clipped_line_is_what_geometry_says(corners: list[tuple[int, int]]) -> None:
    line = np.array(corners, np.float64)
    parts = mvt.clip_line(line, 0, 4096)
    assert all(((part >= -1e-6) & (part <= 4096 + 1e-6)).all() for part in parts)
    # summed per segment, because a line may run over itself
    expected = sum(LineString([a, b]).intersection(box(0, 0, 4096, 4096)).length
                   for a, b in pairwise(corners) if a != b)  # fmt: skip
    assert abs(sum(LineString(part).length for part in parts) - expected) < 1e-3


@given(st.lists(corner, min_size=3, max_size=8))
def test_a_clipped_ring_has_the_area_that_geometry_says(corners: list[tuple[int, int]]) -> None:
    convex = Polygon(corners).convex_hull
    if convex.geom_type != "Polygon":
        return
    ring = np.array(convex.exterior.coords[:-1])
    clipped = mvt.clip_ring(ring, 0, 4096)
    expected = convex.intersection(box(0, 0, 4096, 4096)).area
    area = Polygon(clipped).area if len(clipped) >= 3 else 0.0
    assert abs(area - expected) < 1e-3 * max(1.0, expected)


def test_polygons_and_lines_are_read_back_with_holes_as_holes() -> None:
    outer = np.array([[0, 0], [100, 0], [100, 100], [0, 100], [0, 0]])
    hole = np.array([[10, 10], [20, 10], [20, 20], [10, 20]])
    layer = mvt.shape_layer(
        "divisions",
        [
            mvt.Feature(
                id=7, lines=mvt.wind([outer[::-1], hole]), is_polygon=True, attributes={"name": "东区", "n": 3}
            ),
            mvt.Feature(id=8, lines=[np.array([[5, 5], [5, 5], [9, 9]])], is_polygon=False, attributes={"name": "路"}),
            mvt.Feature(id=9, lines=[np.array([[5, 5], [5, 5]])], is_polygon=False, attributes={"name": "nothing"}),
        ],
    )
    features = mapbox_vector_tile.decode(layer, default_options={"y_coord_down": True})["divisions"]["features"]
    assert [f["id"] for f in features] == [7, 8]
    assert features[0]["properties"] == {"name": "东区", "n": 3}
    assert features[0]["geometry"]["type"] == "Polygon"
    assert len(features[0]["geometry"]["coordinates"]) == 2
    assert Polygon(features[0]["geometry"]["coordinates"][0]).area == 10_000
    assert features[1]["geometry"]["coordinates"] == [[5, 5], [9, 9]]
