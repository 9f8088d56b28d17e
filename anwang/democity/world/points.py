"""Points: cameras of all classes and owners, checkpoints, alarm points, watchtowers, sensors.

A `Spot` says what a camera looks at and from where; `_Registry` gives it its code, file and owners.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import cos, radians, sin
from random import Random

from anwang.democity.world import names, plan, society
from anwang.democity.world.model import Division, LonLat, Organisation, Place, Point
from anwang.democity.world.roads import Junction, Straight

DOME, HALF, BULLET, TURNING, CHECK = 1, 2, 3, 4, 5  # 摄像机类型, generation A
FACING = {0: "北", 90: "东", 180: "南", 270: "西"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One camera to be."""

    name: str
    at: LonLat
    scene: str
    camera_type: int = BULLET
    heading_deg: float | None = None
    address: str = ""
    indoor: bool = False
    common: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """Who paid, owns, keeps and may see."""

    organisation: str
    paid_by: str
    owned_by: str
    kept_by: str
    visible_to: str
    departments: str
    manager: str
    phone: str


@dataclass(slots=True)
class Census:
    """Collects points, giving out codes, addresses and file entries in order."""

    rng: Random
    areas: Sequence[Division]
    organisations: list[Organisation]
    points: list[Point] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    sites: dict[str, list[str]] = field(default_factory=dict)
    _serial: dict[str, int] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def street_of(self, at: LonLat) -> Division:
        """The street or town around a position; the nearest one for a spot on the rim."""
        for area in self.areas:
            if area.level == "town" and plan.inside(at, area.ring):
                return area
        towns = [area for area in self.areas if area.level == "town"]
        return min(towns, key=lambda a: min(plan.distance_m(at, corner) for corner in a.ring))

    def enterprise(self, name: str, at: LonLat, *, parent: str = "") -> Organisation:
        """A firm or institution that owns points."""
        street = self.street_of(at)
        number = sum(1 for one in self.organisations if one.code.startswith("9901E")) + 1
        found = Organisation(
            code=f"9901E{number:04}",
            name=name,
            kind="enterprise",
            parent=parent or street.code,
            division=street.code,
            phone=f"0990-6{self.rng.randrange(100000, 999999)}",
        )
        self.organisations.append(found)
        return found

    def police(self, at: LonLat, *, traffic: bool = False) -> Owners:
        """Owners of a class I point."""
        station = society.TRAFFIC if traffic else society.station_of(self.street_of(at))
        title = next(one.name for one in self.organisations if one.code == station)
        return Owners(
            organisation=station,
            paid_by="安澜市公安局",
            owned_by="安澜市公安局",
            kept_by=self.rng.choice(names.KEEPERS),
            visible_to=society.full_names("公安/交通" if traffic else "公安"),
            departments="1/12" if traffic else "1",
            manager=title,
            phone=f"0990-555{self.rng.randrange(1000, 9999)}",
        )

    def private(self, owner: Organisation, *, department: str, visible: str) -> Owners:
        """Owners of a class II or III point: the firm paid and owns, departments may look."""
        kept = self.rng.choice((owner.name, *names.KEEPERS[:2]))
        return Owners(
            organisation=owner.code,
            paid_by=owner.name,
            owned_by=owner.name,
            kept_by=kept,
            visible_to=society.full_names(visible),
            departments=department,
            manager=owner.name,
            phone=owner.phone,
        )

    def add(
        self,
        spot: Spot,
        owners: Owners,
        *,
        kind: str = "camera",
        point_class: int,
        site: str,
        industry: str = "00",
        type_code: str = "132",
        place_types: str,
        functions: str = "5",
    ) -> Point:
        """Register one point; `site` names what stands together and may share an NVR."""
        rng, street = self.rng, self.street_of(spot.at)
        stem = f"{street.parent}00{industry}{type_code}{0 if point_class == 1 else 2}"
        self._serial[stem] = self._serial.get(stem, 0) + 1
        code = f"{stem}{self._serial[stem]:06}"
        number = len(self.points) + 1
        name, again = spot.name, 2
        while name in self._names:
            name, again = f"{spot.name}{again}", again + 1
        self._names.add(name)
        police = society.station_of(street)
        area = next(one.name for one in self.areas if one.code == street.parent)
        point = Point(
            code=code,
            name=name,
            kind=kind,
            point_class=point_class,
            at=spot.at,
            division=street.parent,
            street=street.code,
            organisation=owners.organisation,
            police=police,
            address=f"安澜市{area}{street.name}{spot.address or spot.name}",
            common_name=spot.common,
            maker=rng.choice((1, 1, 2, 2, 9, 15, 3, 99)),
            model=_model(rng, spot.camera_type, kind),
            camera_type=spot.camera_type,
            functions=functions,
            fill_light=rng.choice((2, 2, 2, 3, 1)),
            place_types=place_types,
            heading_deg=spot.heading_deg,
            network="已联网",
            installed=f"{rng.randrange(2017, 2026)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}",
            manager=owners.manager,
            phone=owners.phone,
            retention_days=90 if point_class == 1 else 30,
            lifecycle=2 if rng.random() < 0.012 else 1,
            departments=owners.departments,
            indoor=spot.indoor,
            industry=industry,
            paid_by=owners.paid_by,
            owned_by=owners.owned_by,
            kept_by=owners.kept_by,
            visible_to=owners.visible_to,
            ipv4=f"10.{99 + number // 60000}.{number // 240 % 250}.{number % 240 + 10}",
            mac=f"02-99-01-{number >> 16:02X}-{number >> 8 & 255:02X}-{number & 255:02X}",
            height_m=round(rng.uniform(3.5, 8), 1),
            fov_deg=_view(spot.camera_type, rng),
            scene=spot.scene,
        )
        self.points.append(point)
        self.sites.setdefault(site, []).append(code)
        return point


def _model(rng: Random, camera_type: int, kind: str) -> str:
    letter = {"alarm_point": "AL", "sensor": "SN", "checkpoint": "CK"}.get(kind, "DB H B T C"[camera_type % 5])
    return f"ALS-{letter.strip() or 'X'}{rng.choice((2, 4, 8))}{rng.randrange(10, 99)}"


def _view(camera_type: int, rng: Random) -> int:
    return {DOME: 62, HALF: 92, TURNING: 55}.get(camera_type, rng.choice((42, 56, 70)))


def _moved(at: LonLat, heading_deg: float, metres: float) -> LonLat:
    return plan.offset(at, sin(radians(heading_deg)) * metres, cos(radians(heading_deg)) * metres)


def _compass(heading_deg: float) -> str:
    return FACING[round(heading_deg / 90) * 90 % 360]


def _along(street: Straight, along: float, *, low_to_high: bool) -> float:
    step = 30.0 if low_to_high else -30.0
    return round(plan.heading_deg(street.spot(along), street.spot(along + step)), 1)


def junction_cameras(census: Census, meeting: Junction, index: int) -> None:
    """Two to five class I cameras at one crossing: a bullet down each street, a dome where arterials meet."""
    rng = census.rng
    middle = plan.place(meeting.u, meeting.v)
    title = f"{meeting.first.name}与{meeting.second.name}口"
    headings = {
        "北": _along(meeting.first, meeting.v, low_to_high=True),
        "南": _along(meeting.first, meeting.v, low_to_high=False),
        "东": _along(meeting.second, meeting.u, low_to_high=True),
        "西": _along(meeting.second, meeting.u, low_to_high=False),
    }
    sides = ["南", "北", "东", "西"] if meeting.rank == 2 else rng.sample(["南", "北", "东", "西"], 2)
    owners = census.police(middle, traffic=meeting.rank == 2 and index % 3 == 2)
    site = f"路口:{title}"
    for order, side in enumerate(sides):
        # the pole stands on the far side, to the right of those who come towards it
        at = _moved(_moved(middle, headings[side] + 180, 16), headings[side] + 90, 13)
        scene = (
            ("crossing", "avenue", "night", "crossing")[order] if meeting.rank == 2 else rng.choice(("avenue", "night"))
        )
        spot = Spot(name=f"{title} {side}枪", at=at, scene=scene, heading_deg=headings[side], address=title)
        census.add(spot, owners, point_class=1, site=site, place_types="10")
    if meeting.rank == 2 and index % 2 == 0:
        spot = Spot(name=f"{title} 球机", at=_moved(middle, 45, 20), scene="panorama", camera_type=DOME, address=title)
        census.add(spot, owners, point_class=1, site=site, place_types="10")


def street_cameras(census: Census, grid: Sequence[Straight], count: int) -> None:
    """Class I cameras between crossings."""
    rng = census.rng
    urban = [s for s in grid if s.high - s.low > 1500]
    for _ in range(count):
        street = rng.choice(urban)
        along = rng.uniform(street.low + 250, street.high - 250)
        if not street.north_south and abs(along) < 400:
            along += 700
        forward = rng.random() < 0.5
        heading = _along(street, along, low_to_high=forward)
        at = _moved(plan.place(*street.spot(along)), heading + 90, 8)
        number = round((along - street.low) / 10) * 2 + (1 if forward else 2)
        name = f"{street.name}{number}号门前 {_compass(heading)}枪"
        scene = rng.choice(("avenue", "avenue", "night", "parking"))
        spot = Spot(name=name, at=at, scene=scene, heading_deg=heading, address=f"{street.name}{number}号")
        census.add(
            spot, census.police(at), point_class=1, site=f"街道:{name}", place_types=rng.choice(("10", "9", "6/10"))
        )


def bridge_cameras(census: Census, grid: Sequence[Straight]) -> None:
    """Class I cameras at bridgeheads, and one that looks over the river."""
    crossing = sorted((s for s in grid if not s.north_south and s.low < 0 < s.high), key=lambda s: s.at)
    crossing = [street for street in crossing if street.at < plan.URBAN_V]
    for bridge, street in zip(names.BRIDGES, crossing, strict=True):
        for side, u in (("西", -230.0), ("东", 230.0)):
            heading = _along(street, u, low_to_high=u < 0)
            at = _moved(plan.place(u, street.at), heading + 90, 15)
            spot = Spot(name=f"{bridge}{side}桥头 枪机", at=at, scene="avenue", heading_deg=heading, address=bridge)
            census.add(spot, census.police(at), point_class=1, site=f"桥:{bridge}", place_types="10/15")
        at = _moved(plan.place(0, street.at), 180, 16)
        spot = Spot(name=f"{bridge} 河面球机", at=at, scene="river", camera_type=DOME, address=bridge)
        census.add(spot, census.police(at), point_class=1, site=f"桥:{bridge}", place_types="15")


def checkpoints(census: Census, grid: Sequence[Straight], count: int) -> None:
    """治安卡口 on roads into the city, on bridges and arterials; each knows its direction."""
    rng = census.rng
    arterial = [s for s in grid if s.kind == "arterial"]
    spots: list[tuple[str, Straight, float, bool]] = []
    for street in arterial:
        for end, forward in ((street.low + 180, True), (street.high - 180, False)):
            spots.append((f"{street.name}{'进城' if forward else '出城'}卡口", street, end, forward))
    while len(spots) < count:
        street = rng.choice(arterial)
        along = rng.uniform(street.low + 600, street.high - 600)
        spots.append((f"{street.name}{rng.randrange(2, 20)}号杆卡口", street, along, rng.random() < 0.5))
    for name, street, along, forward in spots[:count]:
        heading = _along(street, along, low_to_high=not forward)
        at = plan.place(*street.spot(along))
        spot = Spot(
            name=f"{name} {_compass(heading + 180)}向{_compass(heading)}",
            at=at,
            scene="avenue",
            camera_type=CHECK,
            heading_deg=heading,
            address=street.name,
        )
        census.add(
            spot,
            census.police(at, traffic=True),
            kind="checkpoint",
            point_class=1,
            site=f"卡口:{name}",
            industry="05",
            type_code="121",
            place_types="10",
            functions="1",
        )


def towers(census: Census) -> None:
    """高空瞭望: cameras that turn, high above the city."""
    for name, u, v in names.TOWERS:
        at = plan.place(u, v)
        spot = Spot(name=f"{name} 高空瞭望", at=at, scene="panorama", camera_type=DOME, address=name)
        census.add(
            spot,
            census.police(at),
            kind="watchtower",
            point_class=1,
            site=f"瞭望:{name}",
            place_types="4",
            functions="6",
        )
        census.places.append(Place(name=name, kind="tower", at=at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Premises:
    """A kind of site whose owner has cameras: where they hang, and how it is filed."""

    kind: str
    titles: Sequence[str]
    cameras: Sequence[tuple[str, str, int]]  # name, scene, camera type
    point_class: int
    industry: str
    place_types: str
    department: str
    visible: str
    size_m: float
    zone: tuple[float, float, float, float]
    sensors: Sequence[str] = ()
    alarm: str = ""
    alarm_from: int = 0


URBAN = (-8600.0, -4900.0, 8800.0, 4900.0)
COUNTY = (-9000.0, 6200.0, 9000.0, 11_800.0)
PREMISES = (
    Premises(
        kind="chemical",
        titles=[f"安澜{name}{names.TRADES[i % len(names.TRADES)]}有限公司" for i, name in enumerate(names.CHEMICALS)],
        cameras=(
            ("1#罐区 枪机", "tanks", BULLET),
            ("2#罐区 枪机", "tanks", BULLET),
            ("罐区 球机", "plant", DOME),
            ("装卸台 枪机", "tanks", BULLET),
            ("厂区大门 枪机", "gate", BULLET),
            ("中控室 半球", "control", HALF),
        ),
        point_class=2,
        industry="42",
        place_types="13",
        department="16",
        visible="应急/公安/消防/工信",
        size_m=120,
        zone=(5700, -5000, 8900, -2000),
        sensors=("罐区 可燃气体",),
        alarm="中控室 紧急报警",
        alarm_from=9,
    ),
    Premises(
        kind="school",
        titles=[
            *(f"安澜市第{n}中学" for n in "一二三四五六七八"),
            *(
                f"{n}小学"
                for n in (
                    "建安",
                    "文昌",
                    "滨河",
                    "光明",
                    "长宁",
                    "和平",
                    "春晖",
                    "东关",
                    "金谷",
                    "祥云",
                    "学府",
                    "港城",
                    "云岭",
                    "青禾",
                )
            ),
        ],
        cameras=(
            ("校门 枪机", "gate", BULLET),
            ("门前道路 枪机", "avenue", BULLET),
            ("操场 球机", "panorama", DOME),
            ("后门 枪机", "gate", BULLET),
        ),
        point_class=2,
        industry="11",
        place_types="8",
        department="8",
        visible="公安/教育",
        size_m=90,
        zone=URBAN,
        alarm="门卫室 一键报警",
        alarm_from=3,
    ),
    Premises(
        kind="hospital",
        titles=names.HOSPITALS,
        cameras=(
            ("急诊门前 枪机", "gate", BULLET),
            ("门诊大门 枪机", "gate", BULLET),
            ("停车场 枪机", "parking", BULLET),
            ("住院部门前 枪机", "gate", BULLET),
            ("停车场 球机", "panorama", DOME),
            ("北门 枪机", "avenue", BULLET),
        ),
        point_class=2,
        industry="09",
        place_types="11",
        department="4",
        visible="公安/卫健",
        size_m=110,
        zone=URBAN,
        alarm="急诊分诊台 一键报警",
    ),
    Premises(
        kind="station",
        titles=names.STATIONS,
        cameras=(
            ("站前广场 球机", "panorama", DOME),
            ("进站口 枪机", "gate", BULLET),
            ("出站口 枪机", "gate", BULLET),
            ("落客平台 枪机", "avenue", BULLET),
            ("停车场 1 枪机", "parking", BULLET),
            ("停车场 2 枪机", "parking", BULLET),
            ("公交场站 枪机", "avenue", BULLET),
            ("售票厅 半球", "control", HALF),
        ),
        point_class=2,
        industry="46",
        place_types="3",
        department="12",
        visible="公安/交通",
        size_m=150,
        zone=URBAN,
        alarm="值班室 一键报警",
    ),
    Premises(
        kind="hall",
        titles=names.HALLS,
        cameras=(
            ("正门 枪机", "gate", BULLET),
            ("东门 枪机", "gate", BULLET),
            ("广场 球机", "panorama", DOME),
            ("停车场 枪机", "parking", BULLET),
        ),
        point_class=2,
        industry="58",
        place_types="2",
        department="17",
        visible="公安",
        size_m=80,
        zone=URBAN,
        alarm="服务台 一键报警",
    ),
    Premises(
        kind="park",
        titles=names.PARKS,
        cameras=(
            ("南入口 枪机", "gate", BULLET),
            ("北入口 枪机", "gate", BULLET),
            ("湖心岛 球机", "river", DOME),
            ("步道 枪机", "village", BULLET),
        ),
        point_class=2,
        industry="08",
        place_types="4",
        department="17",
        visible="公安/城管",
        size_m=180,
        zone=URBAN,
    ),
    Premises(
        kind="mall",
        titles=names.MALLS,
        cameras=(
            ("正门 枪机", "gate", BULLET),
            ("地下车库入口 枪机", "parking", BULLET),
            ("广场 枪机", "crossing", BULLET),
            ("卸货区 枪机", "parking", BULLET),
        ),
        point_class=2,
        industry="45",
        place_types="6",
        department="17",
        visible="公安/消防",
        size_m=100,
        zone=URBAN,
    ),
    Premises(
        kind="petrol",
        titles=[
            f"安澜石油{name}加油站"
            for name in (
                "东环",
                "西环",
                "南环",
                "北环",
                "港城",
                "迎宾",
                "文昌",
                "金谷",
                "长宁",
                "春晖",
                "澜北",
                "化工路",
                "城西",
                "创新",
            )
        ],
        cameras=(
            ("加油区 枪机", "petrol", BULLET),
            ("卸油口 枪机", "petrol", BULLET),
            ("便利店 半球", "control", HALF),
        ),
        point_class=2,
        industry="45",
        place_types="13",
        department="16",
        visible="应急/公安",
        size_m=40,
        zone=URBAN,
        sensors=("卸油口 可燃气体",),
    ),
    Premises(
        kind="site",
        titles=[f"{name}工地" for name in names.SITES],
        cameras=(
            ("塔吊 枪机", "site", BULLET),
            ("大门 枪机", "gate", BULLET),
            ("基坑 枪机", "site", BULLET),
            ("洗车台 枪机", "site", BULLET),
        ),
        point_class=2,
        industry="44",
        place_types="99",
        department="13",
        visible="住建/城管/环保",
        size_m=110,
        zone=URBAN,
        sensors=("围挡 扬尘",),
    ),
    Premises(
        kind="utility",
        titles=names.UTILITIES,
        cameras=(("大门 枪机", "gate", BULLET), ("周界东 枪机", "village", BULLET), ("厂区 枪机", "tanks", BULLET)),
        point_class=2,
        industry="43",
        place_types="13",
        department="14",
        visible="公安/应急/水务",
        size_m=100,
        zone=URBAN,
        alarm="值班室 紧急报警",
    ),
    Premises(
        kind="homes",
        titles=names.HOMES,
        cameras=(
            ("南门 枪机", "gate", BULLET),
            ("北门 枪机", "gate", BULLET),
            ("车库入口 枪机", "parking", BULLET),
            ("中心花园 枪机", "village", BULLET),
        ),
        point_class=3,
        industry="50",
        place_types="9",
        department="13",
        visible="公安",
        size_m=110,
        zone=URBAN,
    ),
    Premises(
        kind="parking",
        titles=[
            f"{name}停车场"
            for name in (
                "万象",
                "建安",
                "文昌",
                "站前",
                "滨河",
                "学府",
                "长宁",
                "东关",
                "金谷",
                "港城",
                "丰和",
                "和平",
                "光明",
                "春晖",
            )
        ],
        cameras=(("入口 枪机", "parking", BULLET), ("出口 枪机", "parking", BULLET), ("场内 枪机", "parking", BULLET)),
        point_class=3,
        industry="54",
        place_types="6",
        department="12",
        visible="公安/交通",
        size_m=60,
        zone=URBAN,
    ),
    Premises(
        kind="hotel",
        titles=names.HOTELS,
        cameras=(("大门 枪机", "gate", BULLET), ("停车场 枪机", "parking", BULLET)),
        point_class=3,
        industry="47",
        place_types="9",
        department="5",
        visible="公安",
        size_m=50,
        zone=URBAN,
    ),
)


def premises(census: Census, what: Premises, scale: float) -> None:
    """All sites of a kind, spread over their zone, none on top of another."""
    rng = census.rng
    west, south, east, north = what.zone
    taken = [place.at for place in census.places]
    for index, title in enumerate(what.titles[: max(1, round(len(what.titles) * scale))]):
        for _ in range(200):
            u, v = rng.uniform(west, east), rng.uniform(south, north)
            at = plan.place(u, v)
            if abs(u) > 500 and all(plan.distance_m(at, other) > what.size_m * 1.6 for other in taken):
                break
        taken.append(at)
        half = what.size_m * rng.uniform(0.8, 1.2)
        census.places.append(
            Place(name=title, kind=what.kind, at=at, ring=plan.box(u - half, v - half * 0.8, u + half, v + half * 0.8))
        )
        parent = society.PARK if what.kind == "chemical" else ""
        owner = census.enterprise(title, at, parent=parent)
        owners = census.private(owner, department=what.department, visible=what.visible)
        for order, (name, scene, camera_type) in enumerate(what.cameras):
            turn = 360 * order / len(what.cameras) + rng.uniform(-25, 25)
            spot = Spot(
                name=f"{title} {name}",
                at=_moved(at, turn, half * rng.uniform(0.5, 0.95)),
                scene=scene,
                camera_type=camera_type,
                heading_deg=None if camera_type == DOME else round(turn % 360, 1),
                address=title,
                indoor=camera_type == HALF,
            )
            census.add(
                spot,
                owners,
                point_class=what.point_class,
                site=f"单位:{title}",
                industry=what.industry,
                place_types=what.place_types,
            )
        if what.alarm and index >= what.alarm_from:
            spot = Spot(
                name=f"{title} {what.alarm}",
                at=_moved(at, 200, 12),
                scene="",
                camera_type=99,
                address=title,
                indoor=True,
            )
            census.add(
                spot,
                owners,
                kind="alarm_point",
                point_class=what.point_class,
                site=f"单位:{title}",
                industry=what.industry,
                type_code="134",
                place_types=what.place_types,
                functions="99",
            )
        for sensor in what.sensors:
            spot = Spot(
                name=f"{title} {sensor}", at=_moved(at, 60, half * 0.6), scene="", camera_type=99, address=title
            )
            census.add(
                spot,
                owners,
                kind="sensor",
                point_class=what.point_class,
                site=f"传感:{title}",
                industry=what.industry,
                type_code="139",
                place_types=what.place_types,
                functions="99",
            )


def shops(census: Census, grid: Sequence[Straight], count: int) -> None:
    """Class III cameras of shops, one each, owned by their keepers."""
    rng = census.rng
    lanes = [s for s in grid if s.kind in ("lane", "street")]
    for _ in range(count):
        street = rng.choice(lanes)
        along = rng.uniform(street.low + 60, street.high - 60)
        if not street.north_south and abs(along) < 320:
            along = 420
        heading = _along(street, along, low_to_high=rng.random() < 0.5)
        at = _moved(plan.place(*street.spot(along)), heading + 90, 7)
        title = f"{rng.choice(names.FAMILY_NAMES)}记{rng.choice(names.SHOPS)}（{street.name}店）"
        owner = census.enterprise(title, at)
        owners = census.private(owner, department="17", visible="公安")
        spot = Spot(
            name=f"{title} 门前",
            at=at,
            scene=rng.choice(("avenue", "parking", "gate")),
            heading_deg=heading,
            address=street.name,
        )
        census.add(spot, owners, point_class=3, site=f"店:{title}", industry="45", place_types="9")


def rural(census: Census, hamlets: Iterable[tuple[str, float, float]]) -> None:
    """Class II and III cameras of villages: at the entrance, at the committee, on the road; river gauges."""
    rng = census.rng
    for index, (name, u, v) in enumerate(hamlets):
        at = plan.place(u, v)
        census.places.append(Place(name=f"{name}村", kind="village", at=at))
        owner = census.enterprise(f"{name}村村民委员会", at)
        owners = census.private(owner, department="12", visible="公安/交通")
        for order, (title, scene) in enumerate((("村口", "village"), ("村委会", "village"), ("村道", "village"))):
            heading = round(rng.uniform(0, 360), 1)
            spot = Spot(
                name=f"{name}村 {title}枪机",
                at=_moved(at, 120 * order + 30, 60 + 40 * order),
                scene=scene,
                heading_deg=heading,
                address=f"{name}村",
            )
            census.add(
                spot,
                owners,
                point_class=2 if order == 2 else 3,
                site=f"村:{name}",
                industry="40",
                place_types="10" if order == 2 else "9",
            )
        if index < 6:
            bank = plan.place(190.0, v)
            water = census.private(
                next(o for o in census.organisations if o.name.endswith("水务局")), department="14", visible="水务/应急"
            )
            spot = Spot(name=f"澜河{name}段 水位", at=bank, scene="", camera_type=99, address=f"澜河{name}段")
            census.add(
                spot,
                water,
                kind="sensor",
                point_class=2,
                site=f"水位:{name}",
                industry="53",
                type_code="139",
                place_types="15",
                functions="99",
            )
