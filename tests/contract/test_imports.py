"""Imports, on SQLite and PostgreSQL alike: all faults at once, published whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from anwang.governance import EVERYTHING, Scope
from anwang.kernel.errors import Conflict, Exhausted, NotFound
from anwang.registry import Organisation, OrgKind, PointFilter, Registry
from anwang.registry.imports import Import, ImportKind, ImportOptions, Imports, ImportStatus
from anwang.registry.imports import service as imports_service
from anwang.registry.service import Registry as Service
from anwang.runtime.clock import FakeClock
from anwang.stores.state import State as Database
from anwang.stores.state import metadata

A = [
    "设备编码",
    "设备名称",
    "行政区域",
    "监控点位类型",
    "摄像机类型",
    "经度",
    "纬度",
    "监控方位",
    "安装地址",
    "IPV4地址",
    "录像保存天数",
]


def code(n: int) -> str:
    return f"99010200001320{n:06d}"


def row(n: int, **other: str) -> dict[str, str]:
    plain = {
        "设备编码": code(n), "设备名称": f"人民路{n}号路口", "行政区域": "990102", "监控点位类型": "1",
        "摄像机类型": "3",
        "经度": f"{117.2 + n * 1e-4:.6f}", "纬度": "39.1", "监控方位": "1", "安装地址": f"人民路{n}号",
        "IPV4地址": f"10.1.{n // 250}.{n % 250 + 1}", "录像保存天数": "90",
    }  # fmt: skip
    return {**plain, **other}


def table(rows: list[dict[str, str]], *, encoding: str = "utf-8", title: bool = False) -> bytes:
    out = io.StringIO()
    if title:
        out.write("视频监控点位基础信息采集表\n\n")
    writer = csv.DictWriter(out, A if not rows else list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode(encoding)


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


@pytest.fixture
async def registry(state: Database, tmp_path: Path) -> Registry:
    async with state.begin() as tx:
        await tx.run_sync(metadata.create_all)
    opened = Registry(state=state, clock=FakeClock(), folder=tmp_path / "registry")
    await opened.load()
    return opened


@pytest.fixture
async def city(registry: Registry) -> Organisation:
    return await registry.add_organisation(name="安澜市", kind=OrgKind.CITY)


@pytest.fixture
def imports(registry: Registry, state: Database, tmp_path: Path) -> Imports:
    return Imports(registry=registry, state=state, clock=registry._clock, folder=tmp_path / "imports")


async def staged(imports: Imports, data: bytes, city: Organisation, **options: str) -> Import:
    one = await imports.stage(
        EVERYTHING, ImportKind.POINTS, pieces(data), by="u1", filename="点位.csv",
        options=ImportOptions(organisation=city.id, **options),  # type: ignore[arg-type]
    )  # fmt: skip
    assert one.status is ImportStatus.STAGED
    while await imports.work():
        pass
    return await imports.get(EVERYTHING, one.id)


async def published(imports: Imports, data: bytes, city: Organisation) -> Import:
    one = await staged(imports, data, city)
    assert one.status is ImportStatus.READY, (await imports.faults(EVERYTHING, one.id)).items
    await imports.publish(EVERYTHING, one.id)
    while await imports.work():
        pass
    return await imports.get(EVERYTHING, one.id)


async def codes(registry: Registry) -> list[str]:
    return [view.point.code for view in (await registry.points(EVERYTHING, PointFilter(), limit=1000)).items]


async def test_a_file_becomes_points(registry: Registry, imports: Imports, city: Organisation) -> None:
    one = await published(imports, table([row(n) for n in range(30)], title=True), city)
    assert (one.status, one.added, one.rows, one.error_rows) == (ImportStatus.PUBLISHED, 30, 30, 0)
    page = await registry.points(EVERYTHING, PointFilter(), limit=100)
    assert [view.point.code for view in page.items] == [code(n) for n in range(30)]
    point = page.items[0].point
    assert (point.name, point.camera_type, point.heading_deg, point.org_id) == (
        "人民路0号路口",
        "bullet",
        90.0,
        city.id,
    )
    assert point.file["retention_days"] == 90
    assert registry.counts(EVERYTHING).all.total == 30
    assert len((await registry.points(EVERYTHING, PointFilter(q="rml7hlk"))).items) == 1
    tile = await registry.tiles.tile(0, 0, 0, PointFilter(), EVERYTHING)
    assert tile.data


async def test_gb18030_and_generation_b_are_understood(
    registry: Registry, imports: Imports, city: Organisation
) -> None:
    await published(imports, table([row(1)], encoding="gb18030"), city)
    b = "DeviceID,Name,CivilCode,PTZType,Longitude,Latitude\n" + f"{code(2)},北门,990102,5,117.3,39.2\n"
    await published(imports, b.encode("utf-8-sig"), city)
    found = {v.point.code: v.point for v in (await registry.points(EVERYTHING, PointFilter())).items}
    assert found[code(1)].name == "人民路1号路口"
    assert found[code(2)].camera_type == "ptz_hemisphere"  # 5 means 卡口枪机 in generation A


async def test_all_faults_are_told_at_once_by_row_and_column(imports: Imports, city: Organisation) -> None:
    rows = [
        row(1), row(2, 设备编码="123"), row(3, 经度="39.1", 纬度="117.2"), row(4, 摄像机类型="77", IPV4地址="1.2.3"),
        row(5, 设备名称=""), row(1, 设备名称="同码"),
    ]  # fmt: skip
    one = await staged(imports, table(rows), city)
    assert one.status is ImportStatus.FAILED
    assert (one.error_rows, one.added) == (4, 2)
    faults = (await imports.faults(EVERYTHING, one.id)).items
    blocking = {(f.row, f.column, f.rule) for f in faults if f.severity == "error"}
    assert blocking == {
        (3, "设备编码", "DQ01"), (4, "经度", "DQ06"), (5, "摄像机类型", "DQ05"), (5, "IPV4地址", "DQ10"),
        (6, "设备名称", "DQ12"),
    }  # fmt: skip
    assert any(f.rule == "DQ03" and f.row == 7 and f.severity == "warning" for f in faults)
    with pytest.raises(Conflict):
        await imports.publish(EVERYTHING, one.id)
    await imports.publish(EVERYTHING, one.id, skip_faulty=True)
    while await imports.work():
        pass
    after = await imports.get(EVERYTHING, one.id)
    assert (after.status, after.skipped) == (ImportStatus.PUBLISHED, 4)


async def test_a_duplicate_code_is_a_finding_and_both_points_exist(
    registry: Registry, imports: Imports, city: Organisation
) -> None:
    await published(imports, table([row(1), row(1, 设备名称="另一个")]), city)
    assert await codes(registry) == [code(1), code(1)]
    found = await registry.findings(EVERYTHING, rule="DQ03")
    assert len(found.items) == 2
    again = await staged(imports, table([row(1), row(1, 设备名称="另一个")]), city)
    assert (again.added, again.changed, again.unchanged) == (0, 0, 2)


async def test_importing_again_changes_only_what_the_file_says(
    registry: Registry, imports: Imports, city: Organisation
) -> None:
    await published(imports, table([row(n) for n in range(5)]), city)
    less = [
        {"设备编码": code(n), "设备名称": f"人民路{n}号路口", "安装地址": "新址" if n < 2 else ""} for n in range(5)
    ]
    one = await staged(imports, table([*less, {"设备编码": code(9), "设备名称": "新", "安装地址": ""}]), city)
    assert (one.added, one.changed, one.unchanged) == (1, 2, 3)
    preview = await imports.preview(EVERYTHING, one.id)
    assert preview is not None
    assert [(r.row, r.change, r.fields) for r in preview.rows[:2]] == [
        (2, "changed", ("address",)),
        (3, "changed", ("address",)),
    ]
    await imports.publish(EVERYTHING, one.id)
    while await imports.work():
        pass
    found = (await registry.points(EVERYTHING, PointFilter(), limit=10)).items
    assert [view.point.address for view in found] == ["新址", "新址", "人民路2号", "人民路3号", "人民路4号", None]
    assert found[0].point.file["retention_days"] == 90
    versions = (await registry.versions(EVERYTHING, found[0].point.id)).items
    assert [(v.version, v.by, dict(v.changes)) for v in versions] == [(2, "u1", {"address": ("人民路0号", "新址")})]


async def test_nothing_is_seen_until_all_is_there_and_a_cancelled_import_leaves_nothing(
    registry: Registry, imports: Imports, city: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports_service, "STEP", 5)
    one = await staged(imports, table([row(n) for n in range(23)]), city)
    await imports.publish(EVERYTHING, one.id)
    real = imports_service.store.make_points
    calls = 0

    async def stop_in_the_middle(*args: object, **more: object) -> int:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise ConnectionError("power cut")
        return await real(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(imports_service.store, "make_points", stop_in_the_middle)
    with pytest.raises(ConnectionError):
        await imports._publish(await imports.get(EVERYTHING, one.id))
    assert await codes(registry) == []
    monkeypatch.setattr(imports_service.store, "make_points", real)
    reborn = Service(state=registry._state, clock=registry._clock, folder=registry.folder)
    await reborn.load()
    assert reborn.counts(EVERYTHING).all.total == 0
    second = Imports(registry=reborn, state=registry._state, clock=registry._clock, folder=imports._folder)
    while await second.work():
        pass
    assert await codes(reborn) == [code(n) for n in range(23)]
    assert reborn.counts(EVERYTHING).all.total == 23


async def test_an_import_can_be_cancelled_while_it_publishes(
    registry: Registry, imports: Imports, city: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports_service, "STEP", 5)
    one = await staged(imports, table([row(n) for n in range(23)]), city)
    await imports.publish(EVERYTHING, one.id)
    real = imports_service.store.make_points

    async def cancel_then(*args: object, **more: object) -> int:
        made = await real(*args, **more)  # type: ignore[arg-type]
        imports._stopped.add(one.id)
        return made

    monkeypatch.setattr(imports_service.store, "make_points", cancel_then)
    with pytest.raises(imports_service._Stopped):
        await imports._publish(await imports.get(EVERYTHING, one.id))
    await imports.cancel(EVERYTHING, one.id)
    while await imports.work():
        pass
    assert (await imports.get(EVERYTHING, one.id)).status is ImportStatus.CANCELLED
    assert await codes(registry) == []
    async with registry._state.read() as tx:
        for name in ("points", "import_rows", "import_faults", "open_batches"):
            assert not (await tx.execute(metadata.tables[name].select())).all()
    assert not list(imports._folder.iterdir())
    with pytest.raises(Conflict):
        await imports.cancel(EVERYTHING, one.id)


async def test_points_changed_since_the_check_are_compared_again(
    registry: Registry, imports: Imports, city: Organisation
) -> None:
    await published(imports, table([row(1)]), city)
    one = await staged(imports, table([row(1, 安装地址="甲"), row(2)]), city)
    point = (await registry.points(EVERYTHING, PointFilter())).items[0].point
    await registry._clock.advance(1)  # type: ignore[attr-defined]
    await registry.edit_point(EVERYTHING, point.id, {"address": "乙"}, version=1, by="u2")
    await imports.publish(EVERYTHING, one.id)
    while await imports.work():
        pass
    after = await imports.get(EVERYTHING, one.id)
    assert after.status is ImportStatus.READY  # checked anew, for a person to look at
    assert await codes(registry) == [code(1)]
    await imports.publish(EVERYTHING, one.id)
    while await imports.work():
        pass
    assert (await registry.point(EVERYTHING, point.id)).point.address == "甲"
    assert [v.changes["address"] for v in (await registry.versions(EVERYTHING, point.id)).items] == [
        ("乙", "甲"),
        ("人民路1号", "乙"),
    ]


async def test_files_that_are_no_tables_fail_with_a_reason(imports: Imports, city: Organisation) -> None:
    for data in (b"", b"\xff\xfe\x00\x01" * 10, "甲,乙\n1,2\n".encode(), b"\x00" * 5000, table([])):
        one = await staged(imports, data, city)
        assert one.status is ImportStatus.FAILED
        assert one.reason
        with pytest.raises(Conflict):
            await imports.publish(EVERYTHING, one.id, skip_faulty=True)
        await imports.cancel(EVERYTHING, one.id)


async def test_a_scope_imports_only_below_itself(registry: Registry, imports: Imports, city: Organisation) -> None:
    east = await registry.add_organisation(name="东区", kind=OrgKind.DISTRICT, parent=city.id)
    west = await registry.add_organisation(name="西区", kind=OrgKind.DISTRICT, parent=city.id)
    scope = Scope.below(east.org_path)
    with pytest.raises(NotFound):
        await imports.stage(scope, ImportKind.POINTS, pieces(b""), by="u", options=ImportOptions(organisation=west.id))
    with pytest.raises(Conflict):
        await imports.stage(scope, ImportKind.DIVISIONS, pieces(b""), by="u")
    rows = [{**row(1), "所属组织": "安澜市/西区"}, {**row(2), "所属组织": "东区"}]
    one = await imports.stage(scope, ImportKind.POINTS, pieces(table(rows)), by="u")
    while await imports.work():
        pass
    found = await imports.get(scope, one.id)
    assert (found.status, found.error_rows, found.added) == (ImportStatus.FAILED, 1, 1)
    with pytest.raises(NotFound):
        await imports.get(Scope.below(west.org_path), one.id)
    assert (await imports.all(Scope.below(west.org_path))).items == []


async def test_too_large_a_file_and_too_many_files_are_refused(
    registry: Registry, state: Database, tmp_path: Path, city: Organisation
) -> None:
    small = Imports(registry=registry, state=state, clock=registry._clock, folder=tmp_path / "i", largest_bytes=1500)
    with pytest.raises(Exhausted):
        await small.stage(EVERYTHING, ImportKind.POINTS, pieces(b"x" * 3000), by="u")
    assert not list((tmp_path / "i").iterdir())
    for _ in range(imports_service.OPEN_IMPORTS):
        await small.stage(EVERYTHING, ImportKind.POINTS, pieces(b"x"), by="u")
    with pytest.raises(Exhausted):
        await small.stage(EVERYTHING, ImportKind.POINTS, pieces(b"x"), by="u")


async def test_coordinates_and_digits_are_read_as_the_options_say(
    registry: Registry, imports: Imports, city: Organisation
) -> None:
    shifted = {**row(1, 经度="117.2065", 纬度="39.1011"), "联网属性": "0"}
    one = await staged(imports, table([shifted]), city)
    assert one.status is ImportStatus.FAILED
    await imports.cancel(EVERYTHING, one.id)
    one = await staged(imports, table([shifted]), city, datum="gcj02", networking_zero="networked")
    await imports.publish(EVERYTHING, one.id)
    while await imports.work():
        pass
    point = (await registry.points(EVERYTHING, PointFilter())).items[0].point
    assert point.longitude is not None
    assert abs(point.longitude - 117.2003) < 0.001
    assert point.file["networking"] == "networked"


async def test_organisations_and_the_base_map_are_imported(
    registry: Registry, imports: Imports, city: Organisation
) -> None:
    text = "名称,上级,类型,公安机关代码\n东区,安澜市,区县,\n东区分局,安澜市/东区,公安分局,990102000000\n怪,没有,区县,\n"
    one = await imports.stage(EVERYTHING, ImportKind.ORGANISATIONS, pieces(text.encode()), by="u")
    while await imports.work():
        pass
    assert (await imports.get(EVERYTHING, one.id)).error_rows == 1
    await imports.publish(EVERYTHING, one.id, skip_faulty=True)
    while await imports.work():
        pass
    names = {org.name: org for org in registry.all_organisations.values()}
    assert names["东区分局"].parent == names["东区"].id
    assert names["东区分局"].org_path.startswith(names["东区"].org_path)
    ring = [[117.0, 39.0], [117.4, 39.0], [117.4, 39.2], [117.0, 39.2], [117.0, 39.0]]
    divisions = {"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"code": "990102", "name": "东区"},
         "geometry": {"type": "Polygon", "coordinates": [ring]}},
    ]}  # fmt: skip
    one = await imports.stage(EVERYTHING, ImportKind.DIVISIONS, pieces(json.dumps(divisions).encode()), by="u")
    while await imports.work():
        pass
    await imports.publish(EVERYTHING, one.id)
    while await imports.work():
        pass
    assert [d.name for d in registry.divisions()] == ["东区"]
    assert registry.base_map.tile(7, 105, 48)
    far = await staged(imports, table([{**row(1, 经度="118.5"), "所属辖区公安机关": "990102000000"}]), city)
    faults = (await imports.faults(EVERYTHING, far.id)).items
    assert [f.row for f in faults if f.rule == "DQ07"] == [2]
    await imports.publish(EVERYTHING, far.id)
    while await imports.work():
        pass
    assert (await registry.points(EVERYTHING, PointFilter())).items[0].point.org_id == names["东区分局"].id
    assert (await registry.findings(EVERYTHING, rule="DQ07")).items
