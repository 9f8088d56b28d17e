"""The second try: JSON that is not as the standard wants it, brought into the shape of our objects.

Numbers and booleans as text, codes as numbers, one object where an array belongs, members in another spelling, list
wrappers under either name, empty texts. What no member can hold goes to `extras`, so nothing is lost and nothing fails.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import inspect

from anwang.wire.viid import refused
from anwang.wire.viid.objects import EXTRAS, MAX_FLOAT, MAX_INT, MAX_OBJECTS, Extras, Wire

T = TypeVar("T", bound=Wire)

#: unknown members of one object, as JSON; more is not kept
MAX_EXTRAS: Final = 65_536
MAX_IMAGES: Final = 64
_TRUE: Final = frozenset({"1", "true", "yes", "y", "是"})
_FALSE: Final = frozenset({"0", "false", "no", "n", "否"})
#: spellings that differ by more than letter case
_ALIASES: Final[Mapping[str, str]] = {
    "ipv4addr": "IPAddr",
    "devicelistobject": "DeviceList",
    "apeobjectlist": "DeviceList",
    "apelistobject": "DeviceList",
    "apestatusobjectlist": "DeviceStatusList",
    "tollgatelistobject": "TollgateObjectList",
    "lanelistobject": "LaneObjectList",
    "motorvehiclelistobject": "MotorVehicleObjectList",
    "motorvehiclelist": "MotorVehicleObjectList",
    "subimageinfolist": "SubImageList",
    "subimagelistobject": "SubImageList",
    "subimageinfoobject": "SubImageList",
}


class Misfit(Exception):
    """A value that its member cannot hold."""


def _text(value: object, longest: int) -> str:
    if isinstance(value, bool):
        value = "1" if value else "0"
    elif isinstance(value, float) and value.is_integer():
        value = str(int(value))
    elif isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str) or len(value) > longest:
        raise Misfit
    return value


def _int(value: object) -> int:
    if isinstance(value, str):
        value = _number(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or not -MAX_INT <= value <= MAX_INT:
        raise Misfit
    return int(value)


def _float(value: object) -> float:
    if isinstance(value, str):
        value = _number(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_FLOAT <= value <= MAX_FLOAT:
        raise Misfit
    return float(value)


def _number(text: str) -> float:
    try:
        value = float(text) if len(text) <= 40 and "_" not in text else math.nan
    except ValueError:
        raise Misfit from None
    if not math.isfinite(value):
        raise Misfit
    return value


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise Misfit


@dataclass(frozen=True, slots=True)
class _Member:
    """One member of an object. nested: the type of an object; listed: the type in its array, for a list wrapper."""

    name: str
    read: Callable[[object], object] | None
    nested: type[Wire] | None = None
    listed: type[Wire] | None = None
    is_text: bool = False

    def is_absent(self, value: object) -> bool:
        """Null and, where it is no text, an empty one are as good as nothing."""
        return value is None or (value == "" and not self.is_text)


@cache
def _members(kind: type[Wire]) -> Mapping[str, _Member]:
    """By name and by name in lower case."""
    found: dict[str, _Member] = {}
    described = _described(kind)
    for field in described.fields:
        if field.encode_name != EXTRAS:
            member = _member(field.encode_name, _inner(field.type))
            found[field.encode_name] = found[field.encode_name.lower()] = member
    by_name = {member.name: member for member in found.values()}
    for spelling, name in _ALIASES.items():
        if name in by_name:
            found.setdefault(spelling, by_name[name])
    return found


@cache
def _names(kind: type[Wire]) -> frozenset[str]:
    return frozenset(kind.__struct_encode_fields__) - {EXTRAS}


def _described(kind: type[Wire]) -> inspect.StructType:
    return cast("inspect.StructType", inspect.type_info(kind))


def _wire(type_: inspect.StructType) -> type[Wire]:
    return cast("type[Wire]", type_.cls)


def _inner(type_: inspect.Type) -> inspect.Type:
    if isinstance(type_, inspect.UnionType):
        return next(one for one in type_.types if not isinstance(one, inspect.NoneType))
    return type_


def _member(name: str, type_: inspect.Type) -> _Member:
    if isinstance(type_, inspect.StrType):
        longest = type_.max_length or sys.maxsize
        return _Member(name, lambda value: _text(value, longest), is_text=True)
    if isinstance(type_, inspect.StructType):
        nested = _wire(type_)
        return _Member(name, None, nested, _listed(nested))
    readers: dict[type, Callable[[object], object]] = {
        inspect.IntType: _int,
        inspect.FloatType: _float,
        inspect.BoolType: _bool,
    }
    return _Member(name, readers[type(type_)])


@cache
def _listed(kind: type[Wire]) -> type[Wire] | None:
    """What a list wrapper holds; None of a type that is none."""
    for field in _described(kind).fields:
        inner = _inner(field.type)
        if isinstance(inner, inspect.ListType) and isinstance(inner.item_type, inspect.StructType):
            return _wire(inner.item_type)
    return None


@dataclass(slots=True)
class Mender:
    """Mends the objects of one body. refused: how many objects of people it has thrown away so far."""

    refused: int = 0

    def mended(self, kind: type[T], given: Mapping[str, Any]) -> T:
        """Never fails: what does not fit is among the extras."""
        return self._nearly_right(kind, given) or msgspec.convert(self._members(kind, given), kind)

    def _nearly_right(self, kind: type[T], given: Mapping[str, Any]) -> T | None:
        """What only has members of its maker's own, as whole product lines do: looked at one by one are only those."""
        known = _members(kind)
        strange = given.keys() - _names(kind)
        if any(name.lower() in known for name in strange):
            return None
        try:
            one = msgspec.convert({name: given[name] for name in given if name not in strange}, kind, strict=False)
        except msgspec.ValidationError:
            return None
        extras = self._members(kind, {name: given[name] for name in strange}).get(EXTRAS) if strange else None
        return one if extras is None else msgspec.structs.replace(one, extras=extras)

    def items(self, kind: type[Wire], value: object) -> list[object] | None:
        """The objects in what should be a list wrapper of `kind`: one alone, or a bare array; None where none are."""
        if isinstance(value, list):
            return value
        if not isinstance(value, dict):
            return None
        name = f"{kind.wire}Object".lower()
        for key, inner in value.items():
            if key.lower() == name:
                self.refused += sum(refused.count(each) for other, each in value.items() if refused.is_refused(other))
                return inner if isinstance(inner, list) else [inner]
        known = _members(kind)
        return [value] if any(key in known for key in value) else None

    def _members(self, kind: type[Wire], given: Mapping[str, Any]) -> dict[str, object]:
        known = _members(kind)
        fitting: dict[str, object] = {}
        extras: dict[str, object] = {}
        for name, value in given.items():
            member = known.get(name) or known.get(name.lower())
            if member is None and refused.is_refused(name):
                self.refused += refused.count(value)
            elif name == EXTRAS or refused.is_dropped(name) or (member is not None and member.is_absent(value)):
                continue
            elif member is None or (member.name in fitting and member.name != name):
                extras[name] = value
            else:
                try:
                    fitting[member.name] = self._value(member, value)
                except Misfit:
                    extras[name] = value
        extras = {name: value for name, value in extras.items() if name not in fitting}
        if extras and (kept := self._kept(extras)):
            fitting[EXTRAS] = kept
        return fitting

    def _value(self, member: _Member, value: object) -> object:
        if member.read is not None:
            return member.read(value)
        if member.listed is not None:
            found = self.items(member.listed, value)
            if found is None and isinstance(value, dict):
                left, number = refused.without(value)
                if not left:
                    self.refused += number
                    found = []
            if found is None or len(found) > (MAX_IMAGES if member.name == "SubImageList" else MAX_OBJECTS):
                raise Misfit
            listed = member.listed
            objects = [self._members(listed, each) for each in found if isinstance(each, dict)]
            return {f"{listed.wire}Object": objects}
        if member.nested is None or not isinstance(value, dict):
            raise Misfit
        return self._members(member.nested, value)

    def _kept(self, extras: Mapping[str, object]) -> Extras | None:
        without, number = refused.without(dict(extras))
        self.refused += number
        clean = Extras(cast("dict[str, object]", without))
        try:
            return clean if len(msgspec.json.encode(clean)) <= MAX_EXTRAS else None
        except OverflowError:  # a number of hundreds of digits can be read and not written
            return None
