"""How the texts of XML elements become values: one `Kind` per sort of text, one table of `Field` per message.

Reading is generous: what can't be read is None, as if the element were absent. Writing is exact, and leaves None out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from anwang.wire.gb28181.codes import Version, format_time, parse_time, split_parents
from anwang.wire.gb28181.xml import Node

MAX_TEXT: Final = 4096


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of text. read: text → value or None. write: value → text."""

    read: Callable[[str], Any]
    write: Callable[[Any], str]


_FIRST: Final = Version(0, 0)
_LAST: Final = Version(99, 0)


@dataclass(frozen=True, slots=True)
class Field:
    """One element of a message. since, until: editions that have it, both included; reading ignores them."""

    attribute: str
    element: str
    kind: Kind
    since: Version = _FIRST
    until: Version = _LAST


def _text(text: str) -> str | None:
    return text[:MAX_TEXT] or None


_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{0,18})?", re.ASCII)


def read_int(text: str) -> int | None:
    """A whole number, also one written as `25.0` or with blanks."""
    text = text.strip()
    return int(text.partition(".")[0]) if _DECIMAL.fullmatch(text) else None


def read_float(text: str) -> float | None:
    """A finite decimal number."""
    try:
        value = float(text) if len(text) <= 40 else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def write_float(value: float) -> str:
    """At most seven decimals (a centimetre of latitude), no exponent."""
    text = f"{value:.7f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _bounded(least: float, most: float, *, is_place: bool = False) -> Callable[[str], float | None]:
    def read(text: str) -> float | None:
        value = read_float(text)
        if value is None or not least <= value <= most or (is_place and value == 0):
            return None
        return value

    return read


def _choice(table: Mapping[str, Any]) -> Callable[[str], Any]:
    return lambda text: table.get(text.strip().upper())


_YES: Final = {"OK": True, "ERROR": False, "ERR": False, "FAIL": False, "SUCCESS": True}
_ON: Final = {"ON": True, "OFF": False, "ONLINE": True, "OFFLINE": False, "OFFILE": False, "OK": True, "ERROR": False,
              "1": True, "0": False}  # fmt: skip

TEXT: Final = Kind(_text, str)
INT: Final = Kind(read_int, str)
#: any number but 0 means yes: a vendor sends 65535 for "has children"
FLAG: Final = Kind(lambda text: None if read_int(text) is None else bool(read_int(text)), lambda value: str(int(value)))
FLOAT: Final = Kind(read_float, write_float)
#: 0 is unknown
LONGITUDE: Final = Kind(_bounded(-180, 180, is_place=True), write_float)
LATITUDE: Final = Kind(_bounded(-90, 90, is_place=True), write_float)
TIME: Final = Kind(parse_time, format_time)
RESULT: Final = Kind(_choice(_YES), lambda value: "OK" if value else "ERROR")
ON: Final = Kind(_choice(_ON), lambda value: "ON" if value else "OFF")
ONLINE: Final = Kind(_choice(_ON), lambda value: "ONLINE" if value else "OFFLINE")
#: several values joined by `/`
LIST: Final = Kind(lambda text: split_parents(text[:MAX_TEXT]) or None, "/".join)


class Table:
    """The fields of one element, in the order of the standard's schema."""

    __slots__ = ("_by_key", "fields")

    def __init__(self, *fields: Field) -> None:
        self.fields: tuple[Field, ...] = fields
        self._by_key = {field.element.lower(): field for field in fields}

    def read(
        self, node: Node, known: frozenset[str] = frozenset()
    ) -> tuple[dict[str, Any], tuple[tuple[str, str], ...]]:
        """Values by attribute, and the (name, text) of leaf elements that are neither here nor in `known` (lower case).

        Of an element that comes twice the first readable one counts. Parents joined by repeated elements are not
        merged.
        """
        found: dict[str, Any] = {}
        extra: list[tuple[str, str]] = []
        by_key = self._by_key
        for child in node.children:
            field = by_key.get(child.key)
            if field is None:
                if child.text and not child.children and child.key not in known:
                    extra.append((child.name, child.text[:MAX_TEXT]))
            elif child.text and field.attribute not in found:
                value = field.kind.read(child.text)
                if value is not None:
                    found[field.attribute] = value
        return found, tuple(extra)

    def write(self, value: object, version: Version) -> Iterable[Node]:
        """The elements of a value, as that edition has them; what is None or empty is left out."""
        for field in self.fields:
            if field.since <= version <= field.until:
                content = getattr(value, field.attribute)
                if content is not None and content != "" and content != ():
                    yield Node(field.element, field.kind.write(content))


def nodes(pairs: Iterable[tuple[str, str]]) -> list[Node]:
    """Leaf elements of (name, text)."""
    return [Node(name, text) for name, text in pairs]
