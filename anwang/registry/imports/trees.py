"""Small files read whole: organisations as CSV, divisions and the base map as GeoJSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anwang.kernel.codes import parent_division
from anwang.kernel.errors import Invalid
from anwang.kernel.ids import OrgId
from anwang.registry.imports.model import ImportFault, ImportKind
from anwang.registry.imports.reading import Unreadable, open_rows
from anwang.registry.model import CITY, Division, Organisation, OrgKind, Severity
from anwang.registry.siting import MOST_BUFFER_M, buffer_of
from anwang.registry.tiles import drawn

ROWS = 200_000
LARGEST = 200 * 1024 * 1024
WORKBOOK = 64 * 1024 * 1024
"""What a workbook of organisations may unpack to; it is read here, not in a process of its own."""

KIND_WORDS: Mapping[str, OrgKind] = {
    "市": OrgKind.CITY, "市级": OrgKind.CITY, "区县": OrgKind.DISTRICT, "区县级": OrgKind.DISTRICT,
    "园区": OrgKind.PARK, "街镇": OrgKind.TOWN, "街道": OrgKind.TOWN, "乡镇": OrgKind.TOWN, "企业": OrgKind.ENTERPRISE,
    "市公安局": OrgKind.POLICE_BUREAU, "公安分局": OrgKind.POLICE_BRANCH, "分局": OrgKind.POLICE_BRANCH,
    "派出所": OrgKind.POLICE_STATION, "部门": OrgKind.DEPARTMENT, "其他": OrgKind.OTHER,
}  # fmt: skip
_COLUMNS = {
    "名称": "name", "单位名称": "name", "name": "name", "上级": "parent", "上级单位": "parent", "parent": "parent",
    "类型": "kind", "单位类型": "kind", "kind": "kind", "国标编码": "gb_id", "编码": "gb_id", "gb_id": "gb_id",
    "公安机关代码": "police_code", "机构代码": "police_code", "police_code": "police_code", "行政区域": "division",
    "行政区划": "division", "division": "division", "id": "id",
}  # fmt: skip
_SHAPES = {
    ImportKind.DIVISIONS: "polygon",
    ImportKind.RESTRICTED: "polygon",
    ImportKind.ROADS: "line",
    ImportKind.PLACES: "point",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeRow:
    """One row or feature. key: what it is known by (id of an existing organisation, else ""; code of a division)."""

    line: int
    key: str
    values: Mapping[str, Any]


@dataclass(slots=True)
class Read:
    """What a file holds. errors: rows that cannot be kept."""

    rows: list[TreeRow] = field(default_factory=list)
    faults: list[ImportFault] = field(default_factory=list)
    errors: int = 0

    def wrong(self, line: int, column: str, value: object, message: str) -> None:
        """A row that cannot be kept."""
        self.errors += 1
        self.faults.append(
            ImportFault(
                row=line, column=column, value=str(value)[:100], rule="FILE", severity=Severity.ERROR, message=message
            )
        )


def read(kind: ImportKind, path: Path, known: Mapping[str, Organisation]) -> Read:
    """Any of the small kinds. Raises Invalid if the file as a whole cannot be read."""
    if kind is ImportKind.ORGANISATIONS:
        return _organisations(path, known)
    return _geojson(kind, path)


# --- organisations ---------------------------------------------------------------------------------------------------


def _organisations(path: Path, known: Mapping[str, Organisation]) -> Read:
    text, rows = open_rows(path, largest=WORKBOOK)
    out = Read()
    with text:
        names = [_COLUMNS.get(cell.strip().lower()) for cell in next(rows, [])]
        if "name" not in names:
            raise Unreadable("没有找到表头：第一行应包含 名称（可选 上级、类型、国标编码、公安机关代码、行政区域）")
        above = {_path(org, known): org.id for org in known.values()}
        above |= {org.gb_id: org.id for org in known.values() if org.gb_id}
        above |= {org.id: org.id for org in known.values()}
        coming: set[str] = set()
        city = known[CITY].name if CITY in known else ""
        for line, cells in enumerate(rows, 2):
            if len(out.rows) + out.errors >= ROWS:
                raise Unreadable(f"超过 {ROWS} 行")
            values = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name and cell.strip()}
            if values:
                _organisation(out, line, values, above, coming, city)
    return out


def _path(org: Organisation, known: Mapping[str, Organisation]) -> str:
    """Names from below the city, joined by a slash; the city's own name for itself."""
    parts = [known[part].name for part in org.org_path.split("/") if part in known]
    return "/".join(parts) or org.name


def _organisation(
    out: Read, line: int, values: dict[str, str], above: Mapping[str, str], coming: set[str], city: str
) -> None:
    name = values.get("name", "")
    if not name or len(name) > 100 or "/" in name:
        out.wrong(line, "名称", name, "名称应为 1–100 个字符，且不含 /")
        return
    kind = values.get("kind", "其他")
    if kind not in KIND_WORDS and kind not in set(OrgKind):
        out.wrong(line, "类型", kind, "类型应为 " + "、".join(KIND_WORDS))
        return
    parent = values.get("parent", "").strip("/").removeprefix(f"{city}/")
    if parent and parent not in above and parent not in coming:
        out.wrong(line, "上级", parent, "上级应写完整路径（如 安澜市/东区）或国标编码，且排在本行之前")
        return
    code = values.get("police_code", "")
    if code and not (code.isascii() and code.isdigit() and len(code) == 12):
        out.wrong(line, "公安机关代码", code, "应为 12 位数字")
        return
    full = f"{parent}/{name}" if parent and parent != city else name
    if full in coming:
        out.wrong(line, "名称", full, "与前面的行重复")
        return
    coming.add(full)
    if values.get("gb_id"):
        coming.add(values["gb_id"])
    out.rows.append(TreeRow(line=line, key=above.get(full, ""), values={**values, "path": full, "parent": parent}))


def organisations(found: Read, known: Mapping[str, Organisation], new_id: Callable[[], str]) -> list[Organisation]:
    """The rows as organisations, parents first; existing ones keep their id and place."""
    by_path = {_path(org, known): org for org in known.values()}
    by_code = {org.gb_id: org for org in known.values() if org.gb_id}
    out = []
    for row in found.rows:
        values = row.values
        old = known.get(row.key)
        parent = by_path.get(values["parent"]) or by_code.get(values["parent"]) or known.get(values["parent"] or CITY)
        kind = values.get("kind", "其他")
        org_id = old.id if old else OrgId(new_id())
        org = Organisation(
            id=org_id,
            name=values["name"],
            kind=KIND_WORDS.get(kind) or OrgKind(kind),
            parent=old.parent if old else (parent.id if parent else None),
            org_path=old.org_path if old else f"{parent.org_path if parent else '/'}{org_id}/",
            division=values.get("division") or (old.division if old else None),
            police_code=values.get("police_code") or (old.police_code if old else None),
            gb_id=values.get("gb_id") or (old.gb_id if old else None),
        )
        by_path[values["path"]] = org
        if org.gb_id:
            by_code[org.gb_id] = org
        out.append(org)
    return out


# --- GeoJSON ---------------------------------------------------------------------------------------------------------


def _geojson(kind: ImportKind, path: Path) -> Read:
    if path.stat().st_size > LARGEST:
        raise Unreadable(f"文件大于 {LARGEST // 1024 // 1024} MB")
    try:
        whole = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as err:
        raise Unreadable(f"不是 GeoJSON：{err}"[:200]) from err
    if not isinstance(whole, dict) or not isinstance(whole.get("features"), list):
        raise Unreadable("应为 GeoJSON FeatureCollection")
    out = Read()
    if len(whole["features"]) > ROWS:
        raise Unreadable(f"超过 {ROWS} 行")
    for number, feature in enumerate(whole["features"], 1):
        _feature(out, kind, number, feature)
    return out


def _feature(out: Read, kind: ImportKind, number: int, feature: object) -> None:
    if not isinstance(feature, dict) or not isinstance(feature.get("geometry"), dict):
        out.wrong(number, "geometry", "", "没有几何")
        return
    properties = feature.get("properties")
    values = properties if isinstance(properties, dict) else {}
    name, code = str(values.get("name") or "")[:100], str(values.get("code") or "")
    try:
        shape = drawn(number, str(kind), code or None, name, str(values.get("class") or ""), feature["geometry"])
    except Invalid as err:
        out.wrong(number, "geometry", name, err.reason)
        return
    wanted = _SHAPES.get(kind)
    if wanted is not None and shape.geometry != wanted:
        out.wrong(number, "geometry", shape.geometry, f"应为 {wanted}")
        return
    if kind is ImportKind.RESTRICTED:
        metres = str(values.get("class") or "")
        if not name:
            out.wrong(number, "name", "", "区域应有名称")
            return
        if buffer_of(metres) == 0 and metres not in ("", "0"):
            out.wrong(number, "class", metres[:32], f"缓冲距离应为 0 至 {MOST_BUFFER_M:.0f} 的米数")
            return
    if kind is ImportKind.DIVISIONS:
        if not (code.isascii() and code.isdigit() and len(code) in (2, 4, 6, 8, 9, 12)):
            out.wrong(number, "code", code, "行政区域应有 2、4、6、9 或 12 位代码")
            return
        if not name:
            out.wrong(number, "name", "", "行政区域应有名称")
            return
    out.rows.append(
        TreeRow(
            line=number,
            key=code,
            values={
                "name": name,
                "code": code or None,
                "class": str(values.get("class") or "")[:32],
                "virtual": bool(values.get("virtual")),
                "parent": str(values.get("parent") or "") or None,
                "geometry": feature["geometry"],
            },
        )
    )


_LEVELS = {2: 1, 4: 2, 6: 3, 8: 4, 9: 4, 12: 5}


def divisions(found: Read) -> list[Division]:
    """The features as divisions."""
    out = []
    for row in found.rows:
        code = row.key
        level = _LEVELS[len(code)]
        if len(code) == 6 and code.endswith("00"):
            level = 1 if code.endswith("0000") else 2
        out.append(
            Division(
                code=code,
                name=row.values["name"],
                level=level,
                parent=row.values["parent"] or parent_division(code),
                is_virtual=row.values["virtual"],
            )
        )
    return out


def features(found: Read) -> list[dict[str, object]]:
    """The features as rows of the base map."""
    return [{name: row.values[name] for name in ("code", "name", "class", "geometry")} for row in found.rows]
