"""How the fields of a camera file are filled in: which have a table to choose from, and what each generation writes.

The labels here are the Chinese terms of the tables; whoever shows them in another language goes by key and value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from anwang.kernel.codes import camera, places
from anwang.kernel.codes.table import CodeTable
from anwang.registry.fields import (
    CLASS_LABELS,
    CODEC_LABELS,
    FIELDS,
    FUNCTION_LABELS,
    KIND_LABELS,
    LIFECYCLE_LABELS,
    NETWORKING_LABELS,
    SITING_LABELS,
    USE_LABELS,
    Field,
    Generation,
)
from anwang.registry.model import FileValue, PointClass
from anwang.registry.quality import OF_SEEING


class Form(StrEnum):
    """How a field is filled in."""

    TEXT = "text"
    NUMBER = "number"
    CHOICE = "choice"
    CHOICES = "choices"
    """Several of a table, joined by a slash."""
    DIVISION = "division"
    ORGANISATION = "organisation"
    ORGANISATIONS = "organisations"


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a table. a, b: what each generation writes for it; empty where it has no word for it."""

    value: str
    label: str
    a: str
    b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A field as a form has it. classes: of points that must have it. of_seeing: only of what sees. is_free: values
    that its table does not have are taken as well.
    """

    field: Field
    form: Form
    classes: tuple[PointClass, ...]
    of_seeing: bool
    is_free: bool
    choices: tuple[Choice, ...]


def _labels(*tables: CodeTable) -> Mapping[str, str]:
    return {code.code: code.label for one in tables for code in one}


TABLES: Mapping[str, Mapping[str, str]] = {
    "maker": _labels(camera.MAKERS),
    "point_class": CLASS_LABELS,
    "camera_type": camera.CAMERA_TYPE_LABELS,
    "function_type": FUNCTION_LABELS,
    "fill_light": _labels(camera.FILL_LIGHTS_A, camera.FILL_LIGHTS_B),
    "codec": CODEC_LABELS,
    "place_type": _labels(places.PLACE_TYPES_A, places.PLACE_TYPES_LOCAL),
    "use_type": USE_LABELS,
    "facing": _labels(camera.FACINGS_A),
    "networking": NETWORKING_LABELS,
    "lifecycle": LIFECYCLE_LABELS,
    "siting": SITING_LABELS,
    "department": _labels(camera.DEPARTMENTS),
    "room_type": _labels(camera.ROOM_TYPES),
    "imaging": _labels(camera.IMAGING_TYPES),
    "mobile_type": _labels(camera.MOBILE_TYPES),
    "security_level": _labels(camera.SECURITY_LEVELS),
    "kind": KIND_LABELS,
    "streams": {"main": "主码流", "main,sub": "主码流、子码流"},
}
"""By field: the values it may have, with their terms."""
_SEVERAL = frozenset({"function_type", "place_type", "department", "imaging"})
_FREE = frozenset({"maker", "place_type"})
_NUMBERS = frozenset(
    {
        "longitude", "latitude", "retention_days", "fov_deg", "vertical_fov_deg", "view_distance_m", "height_m",
        "heading_deg",
    }
)  # fmt: skip
_ORGANISATIONS = {
    "organisation": Form.ORGANISATION,
    "paid": Form.ORGANISATION,
    "owns": Form.ORGANISATION,
    "maintains": Form.ORGANISATION,
    "may_see": Form.ORGANISATIONS,
}
_CLASSES = {
    "M": tuple(PointClass),
    "1": (PointClass.I,),
    "12": (PointClass.I, PointClass.II),
    "O": (),
}


def _form(key: str) -> Form:
    if key in _ORGANISATIONS:
        return _ORGANISATIONS[key]
    if key == "division":
        return Form.DIVISION
    if key in TABLES:
        return Form.CHOICES if key in _SEVERAL else Form.CHOICE
    return Form.NUMBER if key in _NUMBERS else Form.TEXT


def _choices(field: Field) -> Iterable[Choice]:
    for value, label in TABLES.get(field.key, {}).items():
        inner: FileValue = int(value) if field.key == "point_class" else value
        yield Choice(
            value,
            label,
            field.write(inner, Generation.A) if field.a else "",
            field.write(inner, Generation.B) if field.b else "",
        )


ENTRIES: tuple[Entry, ...] = tuple(
    Entry(
        field=field,
        form=_form(field.key),
        classes=_CLASSES[field.needed],
        of_seeing=field.key in OF_SEEING,
        is_free=field.key in _FREE,
        choices=tuple(_choices(field)),
    )
    for field in FIELDS
)
"""All fields in the order of the table."""
