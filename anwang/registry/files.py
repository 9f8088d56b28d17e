"""From the fields of a camera file to a point and back, with what is computed once when it is written."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from anwang.kernel.codes.camera import FACING_DEG, MOVABLE
from anwang.registry.fields import FILE_KEYS, default_lifecycle, kind_of
from anwang.registry.model import FileValue, Point
from anwang.registry.text import search_text

Record = Mapping[str, FileValue]
"""Parsed values of one file by field key; a missing key or None means that the file does not say."""


def heading_of(record: Record) -> float | None:
    """Where it looks: the angle if the file has one, else the compass point."""
    angle = record.get("heading_deg")
    if angle is not None:
        return float(angle) % 360.0
    return FACING_DEG.get(str(record.get("facing") or ""))


def columns_of(record: Record) -> dict[str, Any]:
    """The columns of `points` that come from the file alone: not ids, organisation, owners and paths."""
    code = str(record.get("code") or "")
    name = str(record.get("name") or "")
    address = record.get("address")
    camera_type = record.get("camera_type")
    kind = kind_of(code, record.get("kind"))
    lifecycle = default_lifecycle(record.get("lifecycle"))
    common_name = record.get("common_name")
    return {
        "code": code,
        "name": name,
        "search": search_text(name, code, str(address or ""), str(common_name or "")),
        "kind": str(kind),
        "point_class": int(record.get("point_class") or 9),
        "lifecycle": str(lifecycle),
        "longitude": record.get("longitude"),
        "latitude": record.get("latitude"),
        "division": record.get("division"),
        "department": record.get("department"),
        "zone": str(record.get("zone") or "default"),
        "address": address,
        "camera_type": camera_type,
        "ptz": camera_type in MOVABLE,
        "heading_deg": heading_of(record),
        "fov_deg": record.get("fov_deg"),
        "streams": str(record.get("streams") or "main"),
        "file": {key: value for key, value in record.items() if value is not None and key in FILE_KEYS},
    }


def row_hash(values: Mapping[str, Any]) -> str:
    """Of everything a file says, so that equal means nothing changed. values: columns, with organisation and owners."""
    file: Mapping[str, FileValue] = values["file"]
    told = [
        values[name]
        for name in (
            "code", "name", "kind", "point_class", "lifecycle", "longitude", "latitude", "division", "org_id",
            "department", "zone", "address", "camera_type", "heading_deg", "fov_deg", "paid", "owns", "maintains",
            "streams",
        )
    ]  # fmt: skip
    whole = msgspec.json.encode([told, sorted(values["may_see"]), sorted(file.items())])
    return blake2b(whole, digest_size=12).hexdigest()


def record_of(point: Point) -> dict[str, FileValue]:
    """The file of a point by field key; organisations as their ids."""
    record: dict[str, FileValue] = dict(point.file)
    for name in (
        "code", "name", "division", "camera_type", "address", "longitude", "latitude", "department", "zone",
        "heading_deg", "fov_deg",
    ):  # fmt: skip
        record[name] = getattr(point, name)
    record["point_class"] = int(point.point_class)
    record["kind"] = str(point.kind)
    record["lifecycle"] = str(point.lifecycle)
    record["streams"] = ",".join(point.streams)
    record["organisation"] = point.org_id
    record["paid"], record["owns"], record["maintains"] = point.owners.paid, point.owners.owns, point.owners.maintains
    record["may_see"] = "/".join(point.owners.may_see) or None
    if record.get("facing") is not None and FACING_DEG.get(str(record["facing"])) == point.heading_deg:
        del record["heading_deg"]
    return {key: value for key, value in record.items() if value is not None}


def differences(before: Record, after: Record) -> dict[str, tuple[object, object]]:
    """Fields that differ, with what was and what is."""
    keys = sorted({*before, *after})
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}
