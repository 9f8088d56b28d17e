"""What devices say of their channels: catalogue items from the city's points, in either edition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from anwang.democity.world import City, Device, Point
from anwang.democity.world.files import direction
from anwang.kernel.times import BEIJING
from anwang.wire.gb28181 import V2022, CatalogItem, ItemDetail, Version

_MAKERS = {1: "海康威视", 2: "大华", 3: "天地伟业", 9: "宇视", 15: "华为", 99: "安澜模拟"}
# 摄像机类型 of generation A as PTZType of the standard
_TYPES = {1: "1", 2: "2", 3: "3", 4: "4", 5: "3"}


def channel(point: Point, parents: tuple[str, ...], version: Version, *, group: str = "") -> CatalogItem:
    """The item of a camera or an alarm input."""
    newer = version >= V2022
    detail = ItemDetail(
        ptz_type=_TYPES.get(point.camera_type, "3"),
        room_type="2" if point.indoor else "1",
        supply_light_type=str(point.fill_light),
        direction_type="" if point.heading_deg is None else str(direction(point.heading_deg)),
        resolution="5" if not newer else "1280x720/640x360",
        business_group_id="" if newer else group,
        stream_numbers=("0", "1") if newer else (),
        horizontal_field_deg=float(point.fov_deg) if newer else None,
        grassroots_code="000000" if newer else "",
        point_type=str(point.point_class) if newer else "",
        mac=point.mac if newer else "",
        mobile_device_type=point.mobile if newer else "",
        function_type="99" if newer else "",
        encode_type=("5" if point.codec == "h265" else "2") if newer else "",
        installed_at=datetime.fromisoformat(f"{point.installed}T00:00:00").replace(tzinfo=BEIJING) if newer else None,
        management_unit=point.manager if newer else "",
        contact=point.phone if newer else "",
        record_save_days=point.retention_days if newer else None,
    )  # fmt: skip
    return CatalogItem(
        device_id=point.channel or point.code,
        name=point.name,
        manufacturer=_MAKERS.get(point.maker, "安澜模拟"),
        model=point.model,
        owner="" if newer else point.owned_by,
        civil_code=point.division,
        block=point.police,
        address=point.address,
        is_parental=False,
        parents=parents,
        safety_way=None if newer else 0,
        register_way=1,
        secrecy=False,
        ip_address=point.ipv4,
        status="ON" if point.lifecycle == 1 else "OFF",
        longitude=point.at[0],
        latitude=point.at[1],
        business_group_id=group if newer else "",
        detail=detail if point.has_video else None,
    )


def system(device: Device, parents: tuple[str, ...] = ()) -> CatalogItem:
    """The item of a device with channels, or of a platform."""
    return CatalogItem(
        device_id=device.code, name=device.name, manufacturer=device.maker, model=device.model, owner="安澜市（模拟）",
        civil_code=device.division, address="安澜市（模拟）", is_parental=True, parents=parents, register_way=1,
        secrecy=False, status="ON",
    )  # fmt: skip


def items_of(device: Device, points: Mapping[str, Point], city: City, version: Version) -> list[CatalogItem]:
    """All items of a device's catalogue, parents before children."""
    own = [points[code] for code in device.channels]
    if device.kind == "platform":
        return _platform(device, own, city, version)
    if device.kind == "nvr":
        return [system(device), *(channel(point, (device.code,), version) for point in own)]
    return [channel(point, (device.code,) if point.code != device.code else (), version) for point in own]


def _platform(device: Device, own: Sequence[Point], city: City, version: Version) -> list[CatalogItem]:
    """Itself, its divisions, one business group, a virtual organisation per owner, and the cameras."""
    group = f"{device.code[:10]}2152000001"
    owners = list(dict.fromkeys(point.organisation for point in own))
    titles = {one.code: one.name for one in city.organisations}
    folders = {owner: f"{device.code[:10]}2162{number:06}" for number, owner in enumerate(owners, 1)}
    names = {area.code: area.name for area in city.divisions}
    divisions = sorted({point.division for point in own})
    found = [system(device)]
    found += [CatalogItem(device_id=code, name=names[code]) for code in divisions]
    found.append(
        CatalogItem(device_id=group, name="共享视频", civil_code=device.division if version >= V2022 else "",
                    parents=(device.code,))
    )  # fmt: skip
    found += [
        CatalogItem(device_id=folder, name=titles[owner], business_group_id=group) for owner, folder in folders.items()
    ]
    found += [channel(point, (device.code, folders[point.organisation]), version, group=group) for point in own]
    return found
