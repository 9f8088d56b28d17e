"""Findings: all of them, as long as they hold, and to nobody more than they may see."""

from __future__ import annotations

import pytest

from anwang.governance import EVERYTHING, Area, Scope
from anwang.kernel.errors import Denied, Invalid
from anwang.kernel.geo import wgs84_to_gcj02
from anwang.kernel.ids import PointId
from anwang.registry import (
    CatalogueItem,
    Division,
    Lifecycle,
    Organisation,
    OrgKind,
    PointFilter,
    PointForbidden,
    Registry,
)
from anwang.registry.model import FindingFilter
from anwang.runtime.clock import FakeClock
from tests.contract.test_registry import CAMERAS, clock, item, registry

__all__ = ["clock", "registry"]


@pytest.fixture
async def city(registry: Registry) -> Organisation:
    return await registry.add_organisation(name="安澜市", kind=OrgKind.CITY)


async def listed(registry: Registry, org: Organisation, number: int, codes: list[str], name: str) -> None:
    """A device of an organisation with cameras of these codes."""
    device = await registry.meet("gb28181", f"3402000000118000000{number}", address="10.0.0.2:5060", transport="udp")
    now = registry._clock.micros()
    news = [item(code, now) for code in codes]
    await registry.reconcile(device.id, [type(one)(channel_id=one.channel_id, name=name, at_us=now) for one in news],
                             complete=True)  # fmt: skip
    await registry.adopt(EVERYTHING, device.id, org.id)


async def test_a_duplicate_code_names_only_what_its_reader_may_see(registry: Registry, city: Organisation) -> None:
    east = await registry.add_organisation(name="东区", kind=OrgKind.DISTRICT, parent=city.id)
    west = await registry.add_organisation(name="西区", kind=OrgKind.DISTRICT, parent=city.id)
    await listed(registry, east, 1, CAMERAS[:1], "东门")
    await listed(registry, west, 2, CAMERAS[:1], "西区金库")
    [seen] = (await registry.findings(Scope.below(east.org_path), rule="DQ03")).items
    assert seen.message == f"编码 {CAMERAS[0]} 被 2 个点位使用"
    of_all = (await registry.findings(EVERYTHING, rule="DQ03")).items
    assert sorted(one.message.partition("：")[2] for one in of_all) == ["东门", "西区金库"]


async def test_every_duplicate_is_found_however_many_there_are(registry: Registry, city: Organisation) -> None:
    east = await registry.add_organisation(name="东区", kind=OrgKind.DISTRICT, parent=city.id)
    west = await registry.add_organisation(name="西区", kind=OrgKind.DISTRICT, parent=city.id)
    codes = [f"340200000013200{n:05d}" for n in range(1100)]
    await listed(registry, east, 1, codes, "东")
    await listed(registry, west, 2, codes, "西")

    async def found() -> int:
        count, cursor = 0, None
        while True:
            page = await registry.findings(EVERYTHING, rule="DQ03", limit=1000, cursor=cursor)
            count, cursor = count + len(page.items), page.next
            if cursor is None:
                return count

    assert await found() == 2200
    assert await registry.find_all_duplicates(step=250) == 1100


async def test_what_others_share_has_findings_for_its_owner_alone(registry: Registry, city: Organisation) -> None:
    east = await registry.add_organisation(name="东区", kind=OrgKind.DISTRICT, parent=city.id)
    west = await registry.add_organisation(name="西区", kind=OrgKind.DISTRICT, parent=city.id)
    await listed(registry, west, 2, CAMERAS[:1], "西门")
    [view] = (await registry.points(EVERYTHING, PointFilter())).items
    await edit(registry, view.point.id, may_see=east.id, point_class=2, ipv4="127.0.0.1")
    for area in (Area(east.org_path), Area(east.org_path, classes=frozenset({2}))):
        reader = Scope((area,), shared=True)
        assert [one.point.id for one in (await registry.points(reader, PointFilter())).items] == [view.point.id]
        assert (await registry.findings(reader)).items == []
        counts = await registry.finding_counts(reader, FindingFilter())
        assert (counts.points, counts.faulty, dict(counts.rules)) == (0, 0, {})
    owner = Scope((Area(west.org_path),), shared=True)
    counts = await registry.finding_counts(owner, FindingFilter())
    assert (counts.points, counts.faulty, counts.rules["DQ10"]) == (1, 1, 1)


async def fault(registry: Registry, point: str, rule: str) -> str:
    """What an open finding of a point says; empty where there is none."""
    found = (await registry.findings(EVERYTHING, point=point, rule=rule)).items
    return found[0].message if found else ""


async def edit(registry: Registry, point: str, **changes: object) -> None:
    version = (await registry.point(EVERYTHING, point)).point.version
    await registry.edit_point(EVERYTHING, point, changes, version=version, by="tester")  # type: ignore[arg-type]


async def points_of(registry: Registry, org: Organisation, count: int) -> list[str]:
    await listed(registry, org, 1, CAMERAS[:count], "同名")
    views = (await registry.points(EVERYTHING, PointFilter())).items
    for number, view in enumerate(views):
        await edit(registry, view.point.id, name=f"点{number}")
    return [view.point.id for view in views]


async def test_an_edit_settles_what_it_mends_and_leaves_the_rest_open(registry: Registry, city: Organisation) -> None:
    device = await registry.meet("gb28181", "34020000001180000001", address="a:1", transport="udp")
    news = CatalogueItem(
        channel_id=CAMERAS[0], name="东门", at_us=1, unread=(("facing", "77", "不在代码表中"), ("mac", "x", "不对"))
    )
    await registry.reconcile(device.id, [news], complete=True)
    _, made = await registry.adopt(EVERYTHING, device.id, city.id)
    [point] = made.points
    await edit(registry, point, address="一号")
    assert len((await registry.findings(EVERYTHING, point=point, rule="DQ05")).items) == 2
    await edit(registry, point, facing="1")
    [left] = (await registry.findings(EVERYTHING, point=point, rule="DQ05")).items
    assert "MAC" in left.message
    missing = await fault(registry, point, "DQ04")
    assert "设备型号" in missing
    assert "安装地址" not in missing
    assert "管理单位" in missing, "all faults of a rule, not the last one"


async def test_twins_are_found_in_the_whole_registry_and_settled_when_either_changes(
    registry: Registry, city: Organisation
) -> None:
    one, two, three = await points_of(registry, city, 3)
    await edit(registry, one, ipv4="10.0.0.1", mac="AA-BB-CC-00-11-22", name="大门")
    await edit(registry, two, ipv4="10.0.0.1", mac="AA-BB-CC-00-11-22", name="大门")
    for point in (one, two):
        assert "10.0.0.1" in await fault(registry, point, "DQ10")
        assert "AA-BB-CC-00-11-22" in await fault(registry, point, "DQ10")
        assert await fault(registry, point, "DQ12")
    await edit(registry, three, ipv4="10.0.0.1", zone="police")
    assert not await fault(registry, three, "DQ10"), "addresses of another zone are others"
    await edit(registry, two, ipv4="10.0.0.2", mac="AA-BB-CC-00-11-33", name="后门")
    for point in (one, two):
        assert not await fault(registry, point, "DQ10")
        assert not await fault(registry, point, "DQ12")


async def test_a_crowded_place_is_one_unless_its_points_are_lenses_of_one_device(
    registry: Registry, city: Organisation
) -> None:
    codes = [f"340200000013200{n:05d}" for n in range(10)]
    await listed(registry, city, 1, codes, "同名")
    ids = [view.point.id for view in (await registry.points(EVERYTHING, PointFilter())).items]
    for point in ids[:8]:
        await edit(registry, point, longitude=117.2, latitude=39.1)
    assert not await fault(registry, ids[0], "DQ09")
    await edit(registry, ids[8], longitude=117.2, latitude=39.1)
    assert [bool(await fault(registry, point, "DQ09")) for point in ids] == [True] * 9 + [False]
    await edit(registry, ids[8], camera_type="split")
    assert not any([await fault(registry, point, "DQ09") for point in ids])


async def test_a_survey_renews_every_finding_and_writes_nothing_when_nothing_changed(
    registry: Registry, city: Organisation, clock: FakeClock
) -> None:
    ring = [[117.0, 39.0], [117.4, 39.0], [117.4, 39.2], [117.0, 39.2], [117.0, 39.0]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    one, two = await points_of(registry, city, 2)
    await edit(registry, one, longitude=118.5, latitude=39.1, division="990102")
    assert not await fault(registry, one, "DQ07")
    await registry.replace_base("divisions", [{"code": "990102", "name": "东区", "class": "", "geometry": shape}])
    await registry.put_divisions(
        [Division(code="340200", name="旧区", level=3, parent=None, valid_to=clock.now()),
         Division(code="990102", name="东区", level=3, parent=None)]
    )  # fmt: skip
    found = await registry.reviews.survey_all()
    assert (found.total, found.done) == (2, 2)
    assert "东区" in await fault(registry, one, "DQ07")
    for point in (one, two):
        assert "停用" in await fault(registry, point, "DQ01")
    again = await registry.reviews.survey_all()
    assert (again.opened, again.settled) == (0, 0)
    await edit(registry, one, longitude=117.1)
    assert not await fault(registry, one, "DQ07")


async def test_a_shift_of_an_organisation_s_coordinates_is_found_and_settled(
    registry: Registry, city: Organisation
) -> None:
    codes = [f"340200000013200{n:05d}" for n in range(24)]
    await listed(registry, city, 1, codes, "同名")
    streets = [
        {"code": None, "name": "", "class": "primary",
         "geometry": {"type": "LineString", "coordinates": [[117.0, lat], [117.4, lat]]}}
        for lat in (39.05, 39.06, 39.07, 39.08)
    ]  # fmt: skip
    await registry.replace_base("roads", streets)
    ids = [view.point.id for view in (await registry.points(EVERYTHING, PointFilter())).items]
    places = [(117.1 + n / 100, (39.05, 39.06, 39.07, 39.08)[n % 4]) for n in range(24)]
    for point, place in zip(ids, places, strict=True):
        lon, lat = wgs84_to_gcj02(*place)
        await edit(registry, point, longitude=lon, latitude=lat)
    await registry.reviews.survey_all()
    [shifted] = (await registry.findings(EVERYTHING, rule="DQ08")).items
    assert "GCJ-02" in shifted.message
    for point, place in zip(ids, places, strict=True):
        await edit(registry, point, longitude=place[0], latitude=place[1])
    await registry.reviews.survey_all()
    assert (await registry.findings(EVERYTHING, rule="DQ08")).items == []


# --- where no camera may stand ---------------------------------------------------------------------------------------


async def test_g25_a_point_is_put_into_use_only_where_it_may_stand(registry: Registry, city: Organisation) -> None:
    device = await registry.meet("gb28181", "34020000001180000009", address="a:1", transport="udp")
    news = [
        CatalogueItem(channel_id=code, name=name, at_us=1)
        for code, name in zip(CAMERAS, ("体育馆女更衣室", "体育馆大厅"), strict=False)
    ]
    await registry.reconcile(device.id, news, complete=True)
    await registry.adopt(EVERYTHING, device.id, city.id)
    room, hall = [(await registry.by_code(EVERYTHING, code))[0].point for code in CAMERAS[:2]]
    assert (room.lifecycle, hall.lifecycle) == (Lifecycle.PLANNED, Lifecycle.IN_USE)
    await edit(registry, room.id, address="体育路 1 号")
    assert "更衣室" in await fault(registry, room.id, "DQ23")
    with pytest.raises(Invalid, match="更衣室"):
        await edit(registry, room.id, lifecycle="in_use")
    await edit(registry, room.id, siting="lawful", lifecycle="in_use")  # it is called so, and hangs in the hall
    assert not await fault(registry, room.id, "DQ23")
    with pytest.raises(Invalid, match="更衣室"):
        await edit(registry, room.id, siting=None)
    with pytest.raises(Invalid, match="禁止安装区域"):
        await edit(registry, hall.id, siting="prohibited")  # while it is in use
    with pytest.raises(Invalid, match="卫生间"):
        await edit(registry, hall.id, name="卫生间")
    with pytest.raises(Invalid, match="siting"):
        await edit(registry, hall.id, siting="perhaps")


async def test_g25_near_a_restricted_area_consent_comes_before_use(registry: Registry, city: Organisation) -> None:
    [point] = await points_of(registry, city, 1)
    await edit(registry, point, longitude=117.2, latitude=39.1)
    ring = [[117.19, 39.09], [117.199, 39.09], [117.199, 39.11], [117.19, 39.11], [117.19, 39.09]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    rows = [{"code": None, "name": "某部营区", "class": "200", "geometry": shape}]
    await registry.replace_base("restricted", rows)
    await registry.reviews.survey_all()
    assert "某部营区" in await fault(registry, point, "DQ23")
    with pytest.raises(Invalid, match="同意文号"):
        await edit(registry, point, manager="西区")
    await edit(registry, point, consent="津军字 2026-1")
    assert not await fault(registry, point, "DQ23")
    there = 14, 13525, 6255  # zoom, x and y of 117.195 east, 39.1 north
    before = registry.base_map.tile(*there)
    await registry.replace_base("grounds", [{**rows[0], "name": "绿地", "class": "park"}])
    assert before == b"" != registry.base_map.tile(*there), "it is on no tile"


async def test_g25_what_is_forbidden_is_reached_no_more_and_said_at_once(
    registry: Registry, city: Organisation
) -> None:
    [point] = await points_of(registry, city, 1)
    assert (await registry.address_of(point)).point == point
    said: list[object] = []
    registry._announce = said.append  # what app does when it builds the registry
    await edit(registry, point, siting="prohibited", lifecycle="removed")
    assert PointForbidden(point=PointId(point)) in said
    with pytest.raises(Denied, match="no camera may stand"):
        await registry.address_of(point)
    assert (await registry.where_is(PointId(point))).is_forbidden
