"""The registry's promises, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import mapbox_vector_tile
import numpy as np
import pytest

from anwang.governance import EVERYTHING, NOTHING, Scope
from anwang.kernel.errors import Conflict, Exhausted, Invalid, NotFound
from anwang.kernel.geo import Box
from anwang.registry import (
    CatalogueItem,
    DeviceStatus,
    Division,
    Evidence,
    EvidenceKind,
    Organisation,
    OrgKind,
    PointClass,
    PointFilter,
    PointKind,
    Policies,
    Registry,
    State,
    device_key,
)
from anwang.registry.columns import WORLD_BITS, world
from anwang.runtime.clock import FakeClock
from anwang.stores.state import State as Database
from anwang.stores.state import metadata

NVR = "34020000001180000001"
CAMERAS = [f"3402000000132000000{n}" for n in range(1, 6)]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def registry(state: Database, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Registry]:
    async with state.begin() as tx:
        await tx.run_sync(metadata.create_all)
    opened = Registry(state=state, clock=clock, folder=tmp_path / "registry", waiting_bound=3)
    await opened.load()
    yield opened


@pytest.fixture
async def city(registry: Registry) -> Organisation:
    return await registry.add_organisation(name="安澜市", kind=OrgKind.CITY)


def tile_of(longitude: float, latitude: float, zoom: int) -> tuple[int, int]:
    x, y = world(np.array([longitude]), np.array([latitude]))
    return int(x[0]) >> (WORLD_BITS - zoom), int(y[0]) >> (WORLD_BITS - zoom)


def drawn(tile: bytes) -> int:
    """Points in a tile, alone or in clusters."""
    layers = mapbox_vector_tile.decode(tile)
    alone = len(layers.get("points", {"features": []})["features"])
    clusters = layers.get("clusters", {"features": []})["features"]
    return alone + sum(one["properties"]["count"] for one in clusters)


def item(code: str, at_us: int, **more: object) -> CatalogueItem:
    return CatalogueItem(channel_id=code, name=f"相机{code[-1]}", at_us=at_us, **more)  # type: ignore[arg-type]


async def adopted(registry: Registry, org: Organisation, codes: list[str], **more: object) -> str:
    device = await registry.meet("gb28181", NVR, address="10.0.0.2:5060", transport="udp")
    now = registry._clock.micros()
    await registry.reconcile(device.id, [item(code, now, is_on=True, **more) for code in codes], complete=True)
    await registry.adopt(EVERYTHING, device.id, org.id)
    return device.id


async def test_a_new_device_waits_and_its_cameras_become_points_when_it_is_adopted(
    registry: Registry, city: Organisation
) -> None:
    device = await registry.meet("gb28181", NVR, address="10.0.0.2:5060", transport="udp", name="北门录像机")
    assert device.status is DeviceStatus.WAITING
    assert registry.counts(EVERYTHING).waiting_devices == 1
    now = registry._clock.micros()
    first = await registry.reconcile(device.id, [item(CAMERAS[0], now), item(NVR, now, leaf=False)], complete=True)
    assert (first.added, first.points) == (2, ())
    shown, made = await registry.adopt(EVERYTHING, device.id, city.id)
    assert shown.status is DeviceStatus.ADOPTED
    assert shown.point_count == len(made.points) == 1
    page = await registry.points(EVERYTHING, PointFilter())
    assert [view.point.code for view in page.items] == [CAMERAS[0]]
    reach = await registry.address_of(made.points[0])
    assert (reach.gateway, reach.device_id, reach.channel_id) == ("gb28181", NVR, CAMERAS[0])
    assert await registry.point_of_channel("gb28181", NVR, CAMERAS[0]) == made.points[0]
    again = await registry.meet("gb28181", NVR, address="10.0.0.9:5060", transport="tcp")
    assert again.id == device.id
    await registry.flush()
    assert (await registry.device(EVERYTHING, device.id)).address == "10.0.0.9:5060"


async def test_the_waiting_list_is_bounded_and_refusals_are_counted(registry: Registry, city: Organisation) -> None:
    for n in range(3):
        await registry.meet("gb28181", f"3402000000118000001{n}", address="a:1", transport="udp")
    with pytest.raises(Exhausted):
        await registry.meet("gb28181", NVR, address="a:1", transport="udp")
    assert registry.refused_waiting == 1
    waiting = await registry.devices(EVERYTHING, status=DeviceStatus.WAITING)
    await registry.refuse(EVERYTHING, waiting.items[0].id)
    assert (await registry.meet("gb28181", NVR, address="a:1", transport="udp")).status is DeviceStatus.WAITING
    refused = registry.admission("gb28181", waiting.items[0].device_id)
    assert refused is not None
    assert refused.status is DeviceStatus.REFUSED


async def test_a_partial_answer_removes_nothing_and_two_complete_ones_do(
    registry: Registry, city: Organisation, clock: FakeClock
) -> None:
    device = await adopted(registry, city, CAMERAS[:2])
    for complete, removed in ((False, 0), (True, 0), (True, 1), (True, 0)):
        await clock.advance(10)
        found = await registry.reconcile(device, [item(CAMERAS[0], clock.micros(), is_on=True)], complete=complete)
        assert found.removed == removed
    assert [c.channel_id for c in (await registry.channels(EVERYTHING, device)).items] == [CAMERAS[0]]
    assert len((await registry.points(EVERYTHING, PointFilter())).items) == 2
    await clock.advance(10)
    back = await registry.reconcile(device, [item(CAMERAS[1], clock.micros(), is_on=True)], complete=False)
    assert (back.changed, back.points) == (1, ())


async def test_the_same_complete_answer_delivered_twice_counts_once(
    registry: Registry, city: Organisation, clock: FakeClock
) -> None:
    device = await adopted(registry, city, CAMERAS[:2])
    await clock.advance(10)
    asked = clock.micros()
    for _ in range(3):
        await clock.advance(1)
        found = await registry.reconcile(device, [item(CAMERAS[0], clock.micros())], complete=True, asked_at_us=asked)
        assert found.removed == 0


async def test_a_channel_announced_while_an_answer_was_under_way_is_not_missed(
    registry: Registry, city: Organisation, clock: FakeClock
) -> None:
    device = await adopted(registry, city, CAMERAS[:1])
    await clock.advance(10)
    asked = clock.micros()
    await clock.advance(1)
    await registry.reconcile(device, [item(CAMERAS[1], clock.micros())], complete=False)
    found = await registry.reconcile(device, [item(CAMERAS[0], clock.micros())], complete=True, asked_at_us=asked)
    assert found.missing == 0


async def test_an_imported_point_with_the_code_is_connected_instead_of_doubled(
    registry: Registry, city: Organisation
) -> None:
    device = await adopted(registry, city, CAMERAS[:1])
    await registry.refuse(EVERYTHING, device)
    other = await registry.meet("gb28181", "34020000001180000002", address="b:1", transport="udp")
    now = registry._clock.micros()
    await registry.reconcile(other.id, [item(CAMERAS[0], now)], complete=True)
    _, made = await registry.adopt(EVERYTHING, other.id, city.id)
    assert len(made.points) == 1  # the first one belongs to another device: both exist
    twins = await registry.by_code(EVERYTHING, CAMERAS[0])
    assert len(twins) == 2
    found = await registry.findings(EVERYTHING, rule="DQ03")
    assert {f.point_id for f in found.items} == {twin.point.id for twin in twins}
    await registry.edit_point(
        EVERYTHING, twins[1].point.id, {"code": CAMERAS[4]}, version=twins[1].point.version, by="tester"
    )
    still = await registry.findings(EVERYTHING, rule="DQ03")
    assert twins[1].point.id not in {f.point_id for f in still.items}


async def test_state_follows_the_device_and_the_catalogue(
    registry: Registry, city: Organisation, clock: FakeClock
) -> None:
    device = await adopted(registry, city, CAMERAS[:2])
    views = (await registry.points(EVERYTHING, PointFilter())).items
    registry.live.tick(clock.micros())
    assert {registry.state_of(v.point.id).state for v in views} == {State.UNKNOWN}
    registry.note([Evidence(device_key("gb28181", NVR), EvidenceKind.KEEPALIVE, clock.micros())])
    registry.live.tick(clock.micros())
    assert {registry.state_of(v.point.id).state for v in views} == {State.ONLINE}
    await clock.advance(1)
    await registry.reconcile(device, [item(CAMERAS[1], clock.micros(), is_on=False)], complete=False)
    for _ in range(2):
        await clock.advance(6)
        registry.live.tick(clock.micros())
    page = await registry.points(EVERYTHING, PointFilter(states=frozenset({State.OFFLINE})))
    assert [view.point.code for view in page.items] == [CAMERAS[1]]
    seen = await registry.evidence(EVERYTHING, page.items[0].point.id)
    assert seen.verdict.key == "listed_off"


async def test_who_sees_another_organisation_sees_nothing(registry: Registry, city: Organisation) -> None:
    east = await registry.add_organisation(name="东区", kind=OrgKind.DISTRICT, parent=city.id)
    west = await registry.add_organisation(name="西区", kind=OrgKind.DISTRICT, parent=city.id)
    device = await adopted(registry, east, CAMERAS[:2])
    point = (await registry.points(EVERYTHING, PointFilter())).items[0].point
    for scope, count in (
        (NOTHING, 0),
        (Scope.below(west.org_path), 0),
        (Scope.below(east.org_path), 2),
        (Scope.below(city.org_path), 2),
    ):
        assert len((await registry.points(scope, PointFilter())).items) == count
        assert registry.counts(scope).all.total == count
        assert len((await registry.devices(scope)).items) == bool(count)
        assert len((await registry.search(scope, "相机"))[0]) == count
    for scope in (NOTHING, Scope.below(west.org_path)):
        for ask in (
            registry.point(scope, point.id), registry.evidence(scope, point.id), registry.device(scope, device),
            registry.edit_point(scope, point.id, {"name": "x"}, version=1, by="y"),
            registry.address_of(point.id, scope),
            registry.history(scope, point.id), registry.channels(scope, device), registry.versions(scope, point.id),
            registry.refuse(scope, device), registry.set_policies(scope, device, Policies()),
        ):  # fmt: skip
            with pytest.raises(NotFound):
                await ask
    assert registry.organisations(NOTHING, None) == []
    assert [org.name for org, _, _ in registry.organisations(Scope.below(west.org_path), None)] == ["西区"]


async def test_who_may_see_a_point_finds_it_everywhere_and_changes_nothing(
    registry: Registry, city: Organisation, state: Database, clock: FakeClock
) -> None:
    east = await registry.add_organisation(name="东区", kind=OrgKind.DISTRICT, parent=city.id)
    west = await registry.add_organisation(name="西区", kind=OrgKind.DISTRICT, parent=city.id)
    await adopted(registry, east, CAMERAS[:3], longitude=117.1, latitude=39.1)
    points = [one.point for one in (await registry.points(EVERYTHING, PointFilter())).items]
    acts = Scope.below(west.org_path)
    looks = replace(acts, shared=True)
    await registry.edit_point(EVERYTHING, points[0].id, {"may_see": west.id}, version=1, by="x")
    again = Registry(state=state, clock=clock, folder=registry.folder)
    await again.load()
    for one in (registry, again):  # as it happens, and after a restart
        assert [view.point.id for view in (await one.points(looks, PointFilter())).items] == [points[0].id]
        assert one.counts(looks).all.total == 1
        assert len((await one.search(looks, "相机"))[0]) == 1
        assert (await one.point(looks, points[0].id)).point.id == points[0].id
        assert [view.point.id for view in await one.by_code(looks, CAMERAS[0])] == [points[0].id]
        assert one.sees(looks, points[0].id) and not one.sees(looks, points[1].id)
        assert [len(page) async for page in one.all_of(looks, PointFilter())] == [1]
        (owned,) = (await one.owned([points[0].id])).values()
        assert owned.may_see == (west.org_path,)
        tile = await one.tiles.tile(10, *tile_of(117.1, 39.1, 10), PointFilter(), looks)
        assert drawn(tile.data) == 1
        for hidden in (acts, replace(Scope.below(f"{west.org_path}unit/"), shared=True)):
            assert one.counts(hidden).all.total == 0
            with pytest.raises(NotFound):
                await one.point(hidden, points[0].id)
        with pytest.raises(NotFound):
            await one.point(looks, points[1].id)
        with pytest.raises(NotFound):
            await one.edit_point(looks, points[0].id, {"name": "x"}, version=2, by="y")
        assert await one.by_code(looks, CAMERAS[1]) == []
    await registry.edit_point(EVERYTHING, points[0].id, {"may_see": None}, version=2, by="x")
    assert registry.counts(looks).all.total == 0 and not await registry.by_code(looks, CAMERAS[0])


async def test_filters_search_and_pages(registry: Registry, city: Organisation) -> None:
    await registry.put_divisions([Division(code="990102", name="东区", level=3, parent="990100")])
    await adopted(registry, city, CAMERAS, longitude=117.2, latitude=39.1, division="990102")
    east = await registry.points(EVERYTHING, PointFilter(divisions=("990100",)), limit=2)
    assert len(east.items) == 2
    assert east.next is not None
    assert east.items[0].division_name == "东区"
    codes = [view.point.code for view in east.items]
    cursor: str | None = east.next
    while cursor:
        page = await registry.points(EVERYTHING, PointFilter(divisions=("990100",)), limit=2, cursor=cursor)
        codes += [view.point.code for view in page.items]
        cursor = page.next
    assert codes == CAMERAS
    for q, count in (("xj3", 1), ("相机", 5), ("3402000000132", 5), ("nichts", 0), ("相机 2", 5), ("XJ", 5)):
        assert len((await registry.points(EVERYTHING, PointFilter(q=q))).items) == count, q
    box = PointFilter(box=Box(117.1, 39.0, 117.3, 39.2))
    assert len((await registry.points(EVERYTHING, box, limit=3)).items) == 3
    assert len((await registry.points(EVERYTHING, PointFilter(box=Box(0, 0, 1, 1)))).items) == 0
    both = PointFilter(box=Box(117.1, 39.0, 117.3, 39.2), q="xj3")
    assert [v.point.code for v in (await registry.points(EVERYTHING, both)).items] == [CAMERAS[2]]
    assert not (await registry.points(EVERYTHING, PointFilter(kinds=frozenset({PointKind.SENSOR})))).items
    assert not (await registry.points(EVERYTHING, PointFilter(classes=frozenset({PointClass.I})))).items
    for limit in (0, 1001):
        with pytest.raises(Invalid):
            await registry.points(EVERYTHING, PointFilter(), limit=limit)
    with pytest.raises(Invalid):
        await registry.points(EVERYTHING, PointFilter(), cursor="ü")


async def test_a_file_is_changed_with_its_version_and_the_change_is_kept(
    registry: Registry, city: Organisation
) -> None:
    await adopted(registry, city, CAMERAS[:1])
    point = (await registry.points(EVERYTHING, PointFilter())).items[0].point
    changed = await registry.edit_point(
        EVERYTHING,
        point.id,
        {"name": "北门卡口", "camera_type": "1", "facing": "1", "ipv4": "10.1.1.1", "owns": city.id},
        version=1,
        by="u1",
        reason="现场核对",
    )
    assert (changed.point.name, changed.point.ptz, changed.point.heading_deg) == ("北门卡口", True, 90.0)
    assert changed.owner_role_names == ("安澜市",)
    with pytest.raises(Conflict):
        await registry.edit_point(EVERYTHING, point.id, {"name": "x"}, version=1, by="u2")
    with pytest.raises(Invalid) as caught:
        await registry.edit_point(EVERYTHING, point.id, {"ipv4": "999", "nope": "1", "name": ""}, version=2, by="u2")
    assert all(key in caught.value.reason for key in ("ipv4", "nope", "name"))
    versions = (await registry.versions(EVERYTHING, point.id)).items
    assert [(v.version, v.by, v.reason) for v in versions] == [(2, "u1", "现场核对")]
    assert versions[0].changes["ipv4"] == (None, "10.1.1.1")
    assert len((await registry.points(EVERYTHING, PointFilter(q="bmkk"))).items) == 1


async def test_a_restart_believes_what_was_believed(
    registry: Registry, city: Organisation, clock: FakeClock, state: Database
) -> None:
    await adopted(registry, city, CAMERAS)
    registry.note([Evidence(device_key("gb28181", NVR), EvidenceKind.KEEPALIVE, clock.micros())])
    registry.live.tick(clock.micros())
    assert registry.counts(EVERYTHING).all.online == 5
    await registry.close()
    await clock.advance(3600)
    second = Registry(state=state, clock=clock, folder=registry.folder)
    await second.load()
    second.live.tick(clock.micros())
    assert second.counts(EVERYTHING).all.online == 5
    await clock.advance(170)
    second.live.tick(clock.micros())
    assert second.counts(EVERYTHING).all.online == 5
    await clock.advance(30)
    second.live.tick(clock.micros())
    await clock.advance(10)
    second.live.tick(clock.micros())
    assert second.counts(EVERYTHING).all.offline == 5


async def test_running_ticks_writes_checkpoints_and_sorts_the_map(
    registry: Registry, city: Organisation, clock: FakeClock
) -> None:
    await adopted(registry, city, CAMERAS, longitude=117.2, latitude=39.1)
    assert registry.tiles.is_behind
    running = asyncio.create_task(registry.run())
    await clock.advance(0)
    registry.note([Evidence(device_key("gb28181", NVR), EvidenceKind.KEEPALIVE, clock.micros())])
    await clock.advance(2)
    assert registry.counts(EVERYTHING).all.online == 5
    path = registry.folder / "live.npz"
    async with asyncio.timeout(20):
        while not path.exists() or registry.tiles.is_behind:
            await clock.advance(5)
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert registry.counts(EVERYTHING).all.total == 5
