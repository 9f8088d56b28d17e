"""The city as files: what people would type in or import (CSV, GeoJSON), and the truth for oracles (JSON).

`points.csv` is a 视频监控点位基础信息采集表 of generation A (domain §1.5) with local columns for owners and connection.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from anwang.democity.world import plan
from anwang.democity.world.model import City, LonLat, Point

KINDS = {"camera": "摄像机", "checkpoint": "卡口", "alarm_point": "报警点", "watchtower": "瞭望塔", "sensor": "传感器"}
POINT_COLUMNS = (
    "设备编码",
    "设备名称",
    "点位种类",
    "设备厂商",
    "行政区域",
    "监控点位类型",
    "设备型号",
    "点位俗称",
    "IPV4地址",
    "IPV6地址",
    "MAC地址",
    "摄像机类型",
    "摄像机功能类型",
    "补光属性",
    "摄像机编码格式",
    "安装地址",
    "经度",
    "纬度",
    "摄像机位置类型",
    "监控方位",
    "联网属性",
    "所属辖区公安机关",
    "安装时间",
    "管理单位",
    "管理单位联系方式",
    "录像保存天数",
    "设备状态",
    "所属部门/行业",
    "安装位置",
    "架设高度",
    "方位角",
    "水平视场角",
    "街道",
    "所属组织",
    "建设单位",
    "产权单位",
    "维护单位",
    "授权单位",
    "可用码流",
    "接入方式",
    "父设备编码",
    "通道编码",
    "移动采集设备类型",
    "基层组织编码",
)
ORGANISATION_COLUMNS = ("名称", "类型", "上级", "行政区域", "公安机关代码", "国标编码", "部门", "联系电话", "本地编号")
# 监控方位: 1 east, 2 west, 3 south, 4 north, 5 south-east, 6 north-east, 7 south-west, 8 north-west, 9 all round
_SECTORS = (4, 6, 1, 5, 3, 7, 2, 8)


def direction(heading_deg: float | None) -> int:
    """The 监控方位 of a heading; 9 for a camera that turns."""
    return 9 if heading_deg is None else _SECTORS[round(heading_deg / 45) % 8]


def write(city: City, folder: Path) -> list[Path]:
    """Write all files of the city into a folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "divisions.geojson": _collection(
            _feature("Polygon", [area.ring], {"code": area.code, "name": area.name, "parent": area.parent}, area.level)
            for area in city.divisions
        ),
        "roads.geojson": _collection(
            _feature(
                "LineString",
                plan.positions(road.path),
                {"name": road.name, "width_m": road.width_m, "bridge": road.bridge},
                road.kind,
            )
            for road in city.roads
        ),
        "water.geojson": _collection(
            _feature("Polygon", [one.ring], {"name": one.name}, one.kind) for one in city.water
        ),
        "places.geojson": _collection(_feature("Point", one.at, {"name": one.name}, one.kind) for one in city.places),
        "grounds.geojson": _collection(
            _feature("Polygon", [one.ring], {"name": one.name}, one.kind) for one in city.grounds
        ),
    }
    paths = []
    for name, text in files.items():
        paths.append(folder / name)
        paths[-1].write_text(text, encoding="utf-8")
    truth = folder / "truth.json"
    truth.write_text(json.dumps(_truth(city), ensure_ascii=False, indent=1), encoding="utf-8")
    points, organisations = folder / "points.csv", folder / "organisations.csv"
    paths_of = _name_paths(city)
    _table(points, POINT_COLUMNS, (_point(point, paths_of[point.organisation]) for point in city.points))
    _table(
        organisations,
        ORGANISATION_COLUMNS,
        (
            (
                o.name,
                o.kind,
                paths_of.get(o.parent, ""),
                o.division,
                o.police_code,
                o.gb_code,
                o.department,
                o.phone,
                o.code,
            )
            for o in city.organisations
        ),
    )
    return [*paths, truth, points, organisations]


def _table(path: Path, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _name_paths(city: City) -> Mapping[str, str]:
    """Names from the root down to each organisation, by its code."""
    by_code = {one.code: one for one in city.organisations}

    def path(code: str) -> str:
        one = by_code[code]
        return f"{path(one.parent)}/{one.name}" if one.parent else one.name

    return {code: path(code) for code in by_code}


def _point(point: Point, organisation: str) -> tuple[object, ...]:
    camera = point.has_video or point.kind == "checkpoint"
    return (
        point.code,
        point.name,
        KINDS[point.kind],
        point.maker,
        point.division,
        point.point_class,
        point.model,
        point.common_name,
        point.ipv4,
        "",
        point.mac,
        point.camera_type,
        point.functions,
        point.fill_light if camera else 1,
        4 if point.codec == "h265" else 2,
        point.address,
        f"{point.at[0]:.7f}",
        f"{point.at[1]:.7f}",
        point.place_types,
        direction(point.heading_deg),
        point.network,
        point.police,
        point.installed,
        point.manager,
        point.phone,
        point.retention_days,
        point.lifecycle,
        point.departments,
        2 if point.indoor else 1,
        point.height_m,
        "" if point.heading_deg is None else point.heading_deg,
        point.fov_deg,
        point.street,
        organisation,
        point.paid_by,
        point.owned_by,
        point.kept_by,
        point.visible_to,
        "主码流/子码流" if point.has_video else "",
        point.gateway,
        point.device,
        point.channel,
        point.mobile,
        "000000",
    )


def _truth(city: City) -> Mapping[str, object]:
    return {
        "what": "安澜市 is invented and generated; nothing in it exists. Truth of the simulated city, for oracles.",
        "seed": city.seed,
        "city": city.name,
        "centre": plan.CENTRE,
        "showcase": list(city.showcase),
        "points": {
            p.code: {
                "name": p.name,
                "kind": p.kind,
                "class": p.point_class,
                "gateway": p.gateway,
                "device": p.device,
                "channel": p.channel,
                "scene": p.scene,
                "codec": p.codec if p.has_video else "",
                "turns": p.can_turn,
                "organisation": p.organisation,
                "division": p.division,
            }
            for p in city.points
        },
        "devices": {
            d.code: {
                "name": d.name,
                "kind": d.kind,
                "maker": d.maker,
                "model": d.model,
                "version": d.version,
                "transport": d.transport,
                "charset": d.charset,
                "channels": list(d.channels),
                "path": d.path,
                "audio": d.audio,
                **({} if d.beat is None else {"beat": asdict(d.beat)}),
            }
            for d in city.devices
        },
    }


def _feature(kind: str, coordinates: object, properties: Mapping[str, object], what: str) -> Mapping[str, object]:
    whole = {**properties, "class": what, "virtual": True}
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": whole}


def _collection(features: Iterable[Mapping[str, object]]) -> str:
    lines = ",\n".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in features)
    return f'{{"type":"FeatureCollection","features":[\n{lines}\n]}}\n'


def bounds(city: City) -> tuple[LonLat, LonLat]:
    """South-west and north-east corners of the city."""
    spots = [spot for area in city.divisions for spot in area.ring]
    return (min(x for x, _ in spots), min(y for _, y in spots)), (max(x for x, _ in spots), max(y for _, y in spots))
