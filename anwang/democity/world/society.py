"""Divisions, organisations and departments."""

from __future__ import annotations

from anwang.democity.world import names, plan
from anwang.democity.world.model import Division, Organisation

CITY = "990100"
BUREAU = "990100000000"
TRAFFIC = "990100170000"
PARK = "990104401"

_U: dict[str, tuple[float, float]] = {
    "990101": (0, 5400),
    "990102": (-4800, 0),
    "990103": (-9600, -4800),
    "990104": (5400, 9600),
}


def divisions() -> list[Division]:
    """City, districts, and their streets and towns; children tile their parent."""
    bottom, middle, top = -plan.URBAN_V, plan.URBAN_V, plan.NORTH_V
    west, east = -plan.URBAN_U, plan.URBAN_U
    found = [Division(code=CITY, name="安澜市", parent="", level="city", ring=plan.box(west, bottom, east, top))]
    for code, (name, towns) in names.DISTRICTS.items():
        if code == "990121":
            found.append(
                Division(code=code, name=name, parent=CITY, level="county", ring=plan.box(west, middle, east, top))
            )
            width = (east - west) / len(towns)
            for index, town in enumerate(towns):
                ring = plan.box(west + width * index, middle, west + width * (index + 1), top)
                kind = "乡" if town == "云岭" else "镇"
                found.append(
                    Division(code=f"{code}{100 + index}", name=town + kind, parent=code, level="town", ring=ring)
                )
            continue
        low, high = _U[code]
        cells: list[tuple[float, float, float, float]]
        found.append(
            Division(code=code, name=name, parent=CITY, level="county", ring=plan.box(low, bottom, high, middle))
        )
        if code == "990104":
            bands = ((1400, middle), (-1800, 1400), (bottom, -1800))
            cells = [(low, south, high, north) for south, north in bands]
        else:
            split, cut = (low + high) // 200 * 100.0, 0.0
            cells = [
                (low, cut, split, middle),
                (split, cut, high, middle),
                (low, bottom, split, cut),
                (split, bottom, high, cut),
            ]
            if code == "990101":  # 建安 and 滨河 lie on the bank, where the names of their streets are
                cells = [cells[1], cells[0], cells[2], cells[3]]
        for index, (town, cell) in enumerate(zip(towns, cells, strict=True)):
            found.append(
                Division(
                    code=f"{code}{index + 1:03}", name=f"{town}街道", parent=code, level="town", ring=plan.box(*cell)
                )
            )
    return found


def organisations(areas: list[Division]) -> list[Organisation]:
    """三级四层 without its enterprises, and beside it police and departments."""
    found = [
        Organisation(code="9901", name="安澜市", kind="city", parent="", division=CITY, gb_code="99010000002000000001"),
        Organisation(
            code=BUREAU,
            name="安澜市公安局",
            kind="police_bureau",
            parent="9901",
            division=CITY,
            department="1",
            police_code=BUREAU,
            phone="0990-5550110",
        ),
        Organisation(
            code=TRAFFIC,
            name="交通警察支队",
            kind="police_branch",
            parent=BUREAU,
            division=CITY,
            department="1",
            police_code=TRAFFIC,
            phone="0990-5550122",
        ),
    ]
    for index, (name, department) in enumerate(names.DEPARTMENTS, 1):
        found.append(
            Organisation(
                code=f"9901D{index:02}",
                name=f"安澜市{name}",
                kind="department",
                parent="9901",
                division=CITY,
                department=department,
                phone=f"0990-55501{index:02}",
            )
        )
    for area in areas:
        if area.level == "county":
            branch = f"{area.code}000000"
            title = "县公安局" if area.code == "990121" else "分局"
            found += [
                Organisation(code=area.code, name=area.name, kind="district", parent="9901", division=area.code),
                Organisation(
                    code=branch,
                    name=area.name.removesuffix("区").removesuffix("县") + title,
                    kind="police_branch",
                    parent=BUREAU,
                    division=area.code,
                    department="1",
                    police_code=branch,
                ),
            ]
        elif area.level == "town":
            station = f"{area.parent}{50 + int(area.code[-2:]) % 50:02}0000"
            plain = area.name.removesuffix("街道").removesuffix("镇").removesuffix("乡")
            found += [
                Organisation(code=area.code, name=area.name, kind="town", parent=area.parent, division=area.code),
                Organisation(
                    code=station,
                    name=f"{plain}派出所",
                    kind="police_station",
                    parent=f"{area.parent}000000",
                    division=area.code,
                    department="1",
                    police_code=station,
                    phone=f"0990-55{station[4:6]}{station[6:8]}0",
                ),
            ]
    found += [
        Organisation(code=f"9901K{number:02}", name=name, kind="enterprise", parent="9901", division=CITY)
        for number, name in enumerate(names.KEEPERS, 1)
    ]
    found.append(
        Organisation(
            code=PARK,
            name="安澜化工园区",
            kind="park",
            parent="990104",
            division="990104003",
            department="16",
            gb_code="99010400002000000001",
            phone="0990-5550401",
        )
    )
    return found


SHORT = {
    "公安": "安澜市公安局",
    "应急": "安澜市应急管理局",
    "交通": "安澜市交通运输局",
    "住建": "安澜市住房和城乡建设局",
    "城管": "安澜市城市管理局",
    "水务": "安澜市水务局",
    "环保": "安澜市生态环境局",
    "教育": "安澜市教育局",
    "卫健": "安澜市卫生健康委员会",
    "工信": "安澜市工业和信息化局",
    "消防": "安澜市消防救援支队",
}


def full_names(short: str) -> str:
    """Names of the departments that `公安/应急` stands for, joined by a slash."""
    return "/".join(SHORT[one] for one in short.split("/"))


def station_of(street: Division) -> str:
    """The code of the police station that a street or town belongs to."""
    return f"{street.parent}{50 + int(street.code[-2:]) % 50:02}0000"
