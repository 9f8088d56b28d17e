"""The map's tiles: every point in exactly one cluster, whatever is filtered, changed, or goes offline."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anwang.governance import EVERYTHING, NOTHING, Area, Scope
from anwang.kernel.errors import Invalid
from anwang.kernel.geo import mercator
from anwang.kernel.ids import uuid7
from anwang.registry.columns import PointColumns, Row
from anwang.registry.live import Live
from anwang.registry.model import Evidence, EvidenceKind, PointFilter, PointKind, State
from anwang.registry.tiles import FEATURES, BaseMap, TileIndex, drawn

ALL = PointFilter()
KINDS = list(PointKind)


def row(ix: int, lon: float | None, lat: float | None, kind: str = "camera", path: str = "/a/") -> Row:
    return Row(
        ix=ix, id=uuid7(1_700_000_000_000 + ix), longitude=lon, latitude=lat, kind=kind, point_class=1,
        lifecycle="in_use", org_path=path, owns=None, division="990101", department=None, zone="default",
        heading_deg=90.0 if ix % 2 else None, fov_deg=None,
    )  # fmt: skip


def city(n: int, seed: int = 1) -> tuple[PointColumns, Live, TileIndex, list[Row]]:
    rng = np.random.default_rng(seed)
    lon, lat = 117.2 + rng.normal(0, 0.1, n), 39.1 + rng.normal(0, 0.1, n)
    rows = [row(i, float(lon[i]), float(lat[i]), str(KINDS[i % 5]), f"/a/{i % 3}/") for i in range(n)]
    columns = PointColumns()
    columns.put(rows)
    live = Live(columns)
    index = TileIndex(columns, live)
    index.build()
    return columns, live, index, rows


def read(data: bytes) -> dict[str, list[dict[str, Any]]]:
    decoded = mapbox_vector_tile.decode(data, default_options={"y_coord_down": True})
    return {name: layer["features"] for name, layer in decoded.items()}


async def census(
    index: TileIndex, zoom: int, rows: list[Row], chosen: PointFilter = ALL, scope: Scope = EVERYTHING
) -> tuple[int, int]:
    """Points drawn or counted on all tiles of a zoom, and features."""
    tiles = set()
    for point in rows:
        if point.longitude is not None and point.latitude is not None:
            x, y = mercator(point.longitude, point.latitude)
            tiles.add((int(x * 2**zoom), int(y * 2**zoom)))
    points = features = 0
    for x, y in tiles:
        layers = read((await index.tile(zoom, x, y, chosen, scope)).data)
        for feature in layers.get("clusters", []):
            p = feature["properties"]
            assert p["count"] == p["n_online"] + p["n_offline"] + p["n_unknown"]
            points += p["count"]
        points += len(layers.get("points", []))
        features += sum(map(len, layers.values()))
    return points, features


@pytest.mark.parametrize("zoom", [0, 5, 8, 10, 12, 15, 16, 18])
async def test_every_point_is_in_exactly_one_cluster_at_every_zoom(zoom: int) -> None:
    _, _, index, rows = city(3000)
    points, features = await census(index, zoom, rows)
    assert points == 3000
    assert features <= 3000


async def test_filters_and_scopes_leave_what_they_should() -> None:
    _, _, index, rows = city(1500)
    cameras = PointFilter(kinds=frozenset({PointKind.CAMERA}))
    assert (await census(index, 8, rows, cameras))[0] == 300
    assert (await census(index, 8, rows, ALL, Scope.below("/a/1/")))[0] == 500
    assert (await census(index, 8, rows, cameras, Scope.below("/a/1/")))[0] == 100
    narrow = Area("/a/1/", kinds=frozenset({"camera"}))
    assert (await census(index, 8, rows, ALL, Scope((narrow,))))[0] == 100
    assert (await census(index, 8, rows, ALL, Scope((narrow, Area("/a/2/")))))[0] == 600
    assert (await census(index, 8, rows, ALL, Scope.below("/a/9/")))[0] == 0
    assert (await census(index, 8, rows, ALL, NOTHING))[0] == 0
    with pytest.raises(Invalid):
        await index.tile(3, 8, 0, ALL, EVERYTHING)


async def test_a_cluster_lies_where_its_points_are() -> None:
    columns, _, index, rows = city(2000)
    for feature_zoom in (6, 9, 12):
        x, y = mercator(117.2, 39.1)
        tx, ty = int(x * 2**feature_zoom), int(y * 2**feature_zoom)
        for feature in read((await index.tile(feature_zoom, tx, ty, ALL, EVERYTHING)).data)["clusters"]:
            cell = feature["properties"]["cid"] >> 5
            px, py = feature["geometry"]["coordinates"]
            col = sum(((cell >> (2 * b)) & 1) << b for b in range(30))
            line = sum(((cell >> (2 * b + 1)) & 1) << b for b in range(30))
            assert 0 <= px - (col - tx * 8) * 512 < 512
            assert 0 <= py - (line - ty * 8) * 512 < 512
    assert columns.count == len(rows)


async def test_a_state_change_is_drawn_without_building_anew() -> None:
    columns, live, index, rows = city(6_000)
    live.add_device("g/d")
    live.bind(np.arange(6_000, dtype=np.int32), np.zeros(6_000, np.int32))
    assert await census(index, 8, rows) == await census(index, 8, rows)
    live.note([Evidence("g/d", EvidenceKind.KEEPALIVE, 10**15)])
    live.note(
        [
            Evidence(point, EvidenceKind.CATALOGUE, 10**15, number % 4 != 0)
            for number, point in enumerate(columns.ids(np.arange(6_000, dtype=np.int32)))
        ]
    )
    live.tick(10**15)
    live.tick(10**15 + 10 * 10**6)
    online = PointFilter(states=frozenset({State.ONLINE}))
    offline = PointFilter(states=frozenset({State.OFFLINE}))
    for zoom in (4, 9, 12):
        assert (await census(index, zoom, rows, online))[0] == 4_500
        assert (await census(index, zoom, rows, offline))[0] == 1_500
    assert index.built == 1


change = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 60), st.floats(117.0, 117.4), st.floats(39.0, 39.2)),
    st.tuples(st.just("drop"), st.integers(0, 60), st.just(0.0), st.just(0.0)),
    st.tuples(st.just("kind"), st.integers(0, 60), st.floats(117.0, 117.4), st.floats(39.0, 39.2)),
    st.tuples(st.just("build"), st.just(0), st.just(0.0), st.just(0.0)),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(change, max_size=25))
def test_changes_are_drawn_at_once_and_the_same_after_building_anew(
    changes: list[tuple[str, int, float, float]],
) -> None:
    async def go() -> None:
        columns, _, index, rows = city(40)
        now = {r.ix: r for r in rows}
        cameras = PointFilter(kinds=frozenset({PointKind.CAMERA}))
        for what, ix, lon, lat in changes:
            await index.view(cameras, Scope.below("/a/"))
            if what == "build":
                await index.rebuild()
                continue
            if what == "drop":
                if ix in now:
                    columns.drop(np.array([ix], np.int32))
                    del now[ix]
            else:
                now[ix] = row(ix, lon, lat, "camera" if what == "kind" else "sensor")
                columns.put([now[ix]])
            index.changed(np.array([ix], np.int32))
        for _ in range(2):
            everyone = rows + list(now.values())
            for zoom in (3, 9, 13, 17):
                assert (await census(index, zoom, everyone))[0] == len(now)
                few = sum(r.kind == "camera" and r.org_path.startswith("/a/") for r in now.values())
                assert (await census(index, zoom, everyone, cameras, Scope.below("/a/")))[0] == few
            drawn_ids = Counter()
            x, y = mercator(117.2, 39.1)
            for dx in range(-2, 3):
                for dy in range(-2, 3):
                    tile = await index.tile(12, int(x * 4096) + dx, int(y * 4096) + dy, ALL, EVERYTHING)
                    drawn_ids.update(f["properties"]["pid"] for f in read(tile.data).get("points", []))
            assert set(drawn_ids) <= {r.id for r in now.values()}
            assert not drawn_ids or max(drawn_ids.values()) == 1
            await index.rebuild()
            assert not index.is_behind

    asyncio.run(go())


async def test_a_tile_is_encoded_again_only_when_something_in_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    columns, live, index, rows = city(400)
    x, y = mercator(117.2, 39.1)
    tile = (9, int(x * 2**9), int(y * 2**9))
    encoded = []
    draw = index._draw

    def counted(*given: Any) -> Any:
        encoded.append(given[:3])
        return draw(*given)

    monkeypatch.setattr(index, "_draw", counted)
    first = await index.tile(*tile, ALL, EVERYTHING)
    assert (await index.tile(*tile, ALL, EVERYTHING)).data == first.data
    assert len(encoded) == 1
    near = next(r for r in rows if [int(v * 2**9) for v in mercator(r.longitude or 0, r.latitude or 0)] == [*tile[1:]])
    live.note([Evidence(near.id, EvidenceKind.PACKET, 1_800_000_000_000_000)])
    live.tick(1_800_000_000_000_000)
    second = await index.tile(*tile, ALL, EVERYTHING)
    assert len(encoded) == 2
    assert second.data != first.data
    assert second.cursor != first.cursor
    index.changed(columns.put([row(near.ix, near.longitude, near.latitude, "sensor")]))
    third = await index.tile(*tile, PointFilter(kinds=frozenset({PointKind.SENSOR})), EVERYTHING)
    assert len(encoded) == 3
    assert read(third.data) != read(second.data)


async def test_too_many_points_in_one_tile_are_cut_and_said() -> None:
    columns = PointColumns()
    columns.put([row(i, 117.2, 39.1) for i in range(FEATURES + 7)])
    index = TileIndex(columns, Live(columns))
    index.build()
    x, y = mercator(117.2, 39.1)
    tile = await index.tile(18, int(x * 2**18), int(y * 2**18), ALL, EVERYTHING)
    assert tile.left_out == 7
    layers = read(tile.data)
    assert len(layers["points"]) == FEATURES
    assert layers["truncated"][0]["properties"] == {"left_out": 7}


async def test_points_without_a_place_are_not_on_the_map() -> None:
    columns = PointColumns()
    columns.put([row(0, None, None), row(1, 117.2, 39.1)])
    index = TileIndex(columns, Live(columns))
    index.build()
    assert (await census(index, 0, [row(1, 117.2, 39.1)]))[0] == 1
    assert columns.count == 2


def test_the_base_map_is_cut_into_tiles() -> None:
    base = BaseMap()
    ring = [[117.0, 39.0], [117.4, 39.0], [117.4, 39.2], [117.0, 39.2], [117.0, 39.0]]
    base.fill(
        [
            drawn(1, "divisions", "990101", "东区", "", {"type": "Polygon", "coordinates": [ring]}),
            drawn(
                2,
                "roads",
                None,
                "环路",
                "primary",
                {"type": "LineString", "coordinates": [[116.0, 39.1], [118.0, 39.1]]},
            ),
            drawn(
                3,
                "roads",
                None,
                "小路",
                "service",
                {"type": "LineString", "coordinates": [[117.1, 39.1], [117.2, 39.1]]},
            ),
            drawn(4, "places", None, "安澜", "city", {"type": "Point", "coordinates": [117.2, 39.1]}),
        ]
    )
    x, y = mercator(117.2, 39.1)
    layers = read(base.tile(9, int(x * 512), int(y * 512)))
    assert {name: len(features) for name, features in layers.items()} == {"divisions": 1, "roads": 1, "places": 1}
    assert layers["places"][0]["properties"] == {"name": "安澜", "class": "city"}
    close = read(base.tile(15, int(x * 2**15), int(y * 2**15)))
    assert {f["properties"]["name"] for f in close["roads"]} >= {"环路"}
    assert read(base.tile(9, 0, 0)) == {}
    assert base.tile(9, int(x * 512), int(y * 512)) is base.tile(9, int(x * 512), int(y * 512))
    box = base.bounds()
    assert box is not None
    assert abs(box.west - 116.0) < 1e-6
    assert len(base.roads()) == 2
    for bad in (
        {"type": "Circle"},
        {"type": "Point", "coordinates": [999, 0]},
        {"type": "LineString", "coordinates": "x"},
    ):
        with pytest.raises(Invalid):
            drawn(9, "roads", None, "", "", bad)
