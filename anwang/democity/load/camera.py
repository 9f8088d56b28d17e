"""A camera of the load: what it is called, where it hangs, what it sees. Made when somebody asks, and forgotten."""

from __future__ import annotations

from math import cos, pi, sin, sqrt

from anwang.democity.pictures.scenes import SCENES
from anwang.democity.world import City, Device, Point, plan

#: cameras lie on a sunflower's spiral around the middle of the city, so far apart
APART_M = 90.0
GOLDEN = pi * (3 - sqrt(5))
CITY = City(
    seed=0,
    name="安澜市",
    divisions=(),
    organisations=(),
    roads=(),
    water=(),
    grounds=(),
    places=(),
    points=(),
    devices=(),
)


def camera(code: str, channel: str, transport: str) -> tuple[Device, Point]:
    """The device of a code and its one point, whose code is `channel` (its own, unless it claims another's)."""
    index = int(code[14:])
    reach = APART_M * sqrt(index)
    name = f"外接摄像机 {code[12:]}"
    point = Point(
        code=channel,
        name=name,
        kind="camera",
        point_class=3,
        at=plan.offset(plan.CENTRE, reach * cos(GOLDEN * index), reach * sin(GOLDEN * index)),
        division=code[:6],
        street="",
        organisation="",
        police=f"{code[:6]}000000",
        address=f"安澜市（模拟）外接区 {index // 100 + 1} 排 {index % 100 + 1} 号",
        common_name="",
        maker=99,
        model="ALS-L",
        camera_type=3,
        functions="5",
        fill_light=1,
        place_types="99",
        heading_deg=round(GOLDEN * index * 180 / pi % 360, 1),
        network="已联网",
        installed="2026-01-01",
        manager="安澜市（模拟）",
        phone="",
        retention_days=30,
        lifecycle=1,
        departments="",
        indoor=False,
        industry=code[8:10],
        paid_by="安澜市（模拟）",
        owned_by="安澜市（模拟）",
        kept_by="安澜市（模拟）",
        visible_to="",
        ipv4="",
        mac="",
        height_m=4.0,
        fov_deg=62,
        scene=sorted(SCENES)[index % len(SCENES)],
        gateway="gb28181",
        device=code,
        channel=channel,
    )
    device = Device(
        code=code,
        name=name,
        kind="camera",
        maker="安澜模拟",
        model="ALS-L",
        firmware="V1.0.0",
        division=code[:6],
        channels=(channel,),
        transport=transport.upper(),
    )
    return device, point
