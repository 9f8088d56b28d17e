"""Where someone's rights reach, and when: areas of the city, narrowed by what a point is. Pure.

A *grant* lets one account do what its role may in one *area*: everything below an organisation, or of that only what
belongs to some departments, classes, kinds or network zones. Live pictures may be limited to hours of the week, and
recordings to what was recorded since a moment. The areas of all grants in force are the account's *scope*, which
every query takes as a condition of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from posixpath import commonpath
from typing import Any, NewType

from sqlalchemy import ColumnElement, Text, and_, false, func, or_, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from anwang.kernel.errors import Invalid
from anwang.kernel.ids import OrgId, PointId
from anwang.kernel.times import BEIJING, Span, to_micros

GrantId = NewType("GrantId", str)

CITY_PATH = "/"
DAY = 24 * 60


def above(paths: Sequence[str]) -> str:
    """The path of the nearest organisation above all of these: /a/b/, /a/c/d/ → /a/; the root's where there is none."""
    return commonpath(paths).rstrip("/") + "/" if paths else CITY_PATH


def check_path(org_path: str) -> str:
    """The same path. Raises Invalid unless it begins and ends with a slash and names no empty step."""
    if not org_path.startswith("/") or not org_path.endswith("/") or "//" in org_path:
        raise Invalid(f"{org_path[:80]!r} is not the path of an organisation", "write it as /city/district/")
    return org_path


@dataclass(frozen=True, slots=True)
class Object:
    """What is looked at or acted on: its id, and what rights may depend on, as it is today.

    org_path: of the organisation that owns it. department: codes joined by a slash. What is no point (a device, an
    account) has nothing but its path. name: for people; "" where nobody asked. is_forbidden: no camera may stand
    there, so that nothing of it is shown (Regulation 799 art. 8). may_see: paths of organisations that its owner lets
    look at it, and do nothing else.
    """

    id: str
    org_path: str
    department: str = ""
    point_class: int = 0
    kind: str = ""
    zone: str = ""
    name: str = ""
    is_forbidden: bool = False
    may_see: tuple[str, ...] = ()


Owned = Callable[[Sequence[PointId]], Awaitable[Mapping[PointId, Object]]]
"""The registry's knowledge of those of the points that there are."""


class Miss(StrEnum):
    """Why an area does not reach a point: the first thing that does not fit."""

    ORGANISATION = "organisation"
    DEPARTMENT = "department"
    CLASS = "class"
    KIND = "kind"
    ZONE = "zone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of a table of points that areas are about."""

    org_path: ColumnElement[Any]
    department: ColumnElement[Any]
    point_class: ColumnElement[Any]
    kind: ColumnElement[Any]
    zone: ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Area:
    """Everything below an organisation; of that only what is in each set that is not empty."""

    org_path: str
    departments: frozenset[str] = frozenset()
    classes: frozenset[int] = frozenset()
    kinds: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether nothing narrows it, so that it reaches what is no point, too."""
        return not (self.departments or self.classes or self.kinds or self.zones)

    def miss(self, one: Object, *, shared: bool = False) -> Miss | None:
        """What keeps the object out of the area, or None. shared: what organisations in it may see counts, too."""
        if not one.org_path.startswith(self.org_path) and not (shared and self.may_see(one)):
            return Miss.ORGANISATION
        if self.departments and self.departments.isdisjoint(one.department.split("/")):
            return Miss.DEPARTMENT
        if self.classes and one.point_class not in self.classes:
            return Miss.CLASS
        if self.kinds and one.kind not in self.kinds:
            return Miss.KIND
        if self.zones and one.zone not in self.zones:
            return Miss.ZONE
        return None

    def may_see(self, one: Object) -> bool:
        """Whether an organisation here is let to look at it."""
        return any(path.startswith(self.org_path) for path in one.may_see)

    def meet(self, other: Area) -> Area | None:
        """What lies in both; None: nothing does. A point of several departments must have one that both name."""
        if self.org_path.startswith(other.org_path):
            org_path = self.org_path
        elif other.org_path.startswith(self.org_path):
            org_path = other.org_path
        else:
            return None
        met: list[frozenset[Any]] = []
        for mine, theirs in zip(self._sets(), other._sets(), strict=True):
            both = mine & theirs if mine and theirs else mine | theirs
            if not both and (mine or theirs):
                return None
            met.append(both)
        return Area(org_path, *met)

    def _sets(self) -> tuple[frozenset[Any], ...]:
        return self.departments, self.classes, self.kinds, self.zones

    def where(self, columns: Columns) -> ColumnElement[bool]:
        """`miss` as a condition."""
        conditions = [_below(columns.org_path, self.org_path)]
        if self.departments:
            listed = "/" + func.coalesce(columns.department, "") + "/"
            conditions.append(or_(*(listed.contains(f"/{one}/", autoescape=True) for one in sorted(self.departments))))
        if self.classes:
            conditions.append(columns.point_class.in_(sorted(self.classes)))
        if self.kinds:
            conditions.append(columns.kind.in_(sorted(self.kinds)))
        if self.zones:
            conditions.append(columns.zone.in_(sorted(self.zones)))
        return and_(*conditions)

    def told(self) -> str:
        """For the ledger: `/city/district/ class=1,2`."""
        sets = (
            ("department", self.departments),
            ("class", [str(one) for one in self.classes]),
            ("kind", self.kinds),
            ("zone", self.zones),
        )
        return " ".join([self.org_path, *(f"{name}={','.join(sorted(chosen))}" for name, chosen in sets if chosen)])


class _bytewise(FunctionElement[str]):  # noqa: N801 - reads as the SQL it makes
    """A text column compared byte by byte, whatever the database's collation."""

    name = "bytewise"
    inherit_cache = True
    type = Text()


@compiles(_bytewise)
def _as_it_is(element: _bytewise, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(_bytewise, "postgresql")
def _collate_c(element: _bytewise, compiler: SQLCompiler, **kw: Any) -> str:
    return f'{compiler.process(element.clauses, **kw)} COLLATE "C"'


def _below(column: ColumnElement[Any], org_path: str) -> ColumnElement[bool]:
    """A range, so that an index on the column serves it. On PostgreSQL the index needs `COLLATE "C"`."""
    if org_path == CITY_PATH:
        return true()
    path: ColumnElement[str] = _bytewise(column)
    return and_(path >= org_path, path < org_path[:-1] + chr(ord("/") + 1))


@dataclass(frozen=True, slots=True)
class Scope:
    """Which things someone may see: those in one of the areas. Without any, nothing. shared: and the points that others
    let organisations in the areas see; for looking, not for acting.
    """

    areas: tuple[Area, ...]
    shared: bool = False

    @classmethod
    def below(cls, org_path: str) -> Scope:
        """Everything below one organisation."""
        return cls((Area(org_path),))

    @property
    def sees_all(self) -> bool:
        """Whether nothing is hidden."""
        return any(area.org_path == CITY_PATH and area.is_whole for area in self.areas)

    @property
    def is_narrowed(self) -> bool:
        """Whether an area is less than all below its organisation."""
        return not all(area.is_whole for area in self.areas)

    @property
    def root(self) -> str | None:
        """The path of the one organisation that the scope is all of; None where it is anything else."""
        whole = Scope(tuple(area for area in self.areas if area.is_whole)).paths
        return whole[0] if len(whole) == 1 and self.paths == whole else None

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of the organisations below which the areas lie, none of them below another."""
        found: list[str] = []
        for path in sorted({area.org_path for area in self.areas}):
            if not any(path.startswith(above) for above in found):
                found.append(path)
        return tuple(found)

    def covers(self, one: Object) -> bool:
        """Whether the object is seen."""
        return any(area.miss(one, shared=self.shared) is None for area in self.areas)

    def covers_path(self, org_path: str) -> bool:
        """Whether everything that belongs to an organisation is seen."""
        return any(area.is_whole and org_path.startswith(area.org_path) for area in self.areas)

    def reaches(self, org_path: str) -> bool:
        """Whether an organisation lies in an area, so that its name may be known."""
        return any(org_path.startswith(area.org_path) for area in self.areas)

    def where(self, org_path: ColumnElement[Any]) -> ColumnElement[bool]:
        """`covers_path` as one condition, for tables that know no more of their rows."""
        whole = {area.org_path for area in self.areas if area.is_whole}
        return or_(false(), *(_below(org_path, path) for path in sorted(whole)))

    def where_point(self, columns: Columns) -> ColumnElement[bool]:
        """`covers` as one condition, for tables of points; what is shared apart."""
        return or_(false(), *(area.where(columns) for area in self.areas))

    def told(self) -> str:
        """For the ledger."""
        return "; ".join(area.told() for area in self.areas)


EVERYTHING = Scope.below(CITY_PATH)
NOTHING = Scope(())


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of the week in civil time (Asia/Shanghai). days: 0 is Monday. start, end: minutes of the day, [start, end);
    an end at or before the start is on the day after.
    """

    days: frozenset[int]
    start: int
    end: int

    def __post_init__(self) -> None:
        if not self.days or not self.days <= frozenset(range(7)):
            raise Invalid("hours need days of the week", "0 is Monday, 6 is Sunday")
        if not (0 <= self.start < DAY and 0 < self.end <= DAY):
            raise Invalid("hours lie within a day", "write them as minutes: 480 is 08:00, 1440 is midnight")

    def ends_at(self, now: datetime) -> datetime | None:
        """When the stretch ends that holds now; None where none does."""
        local = now.astimezone(BEIJING)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        length = timedelta(minutes=self.end - self.start + (DAY if self.end <= self.start else 0))
        for day in (midnight - timedelta(days=1), midnight):
            begins = day + timedelta(minutes=self.start)
            if day.weekday() in self.days and begins <= local < begins + length:
                return begins + length
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one account may reach, in [starts_at, ends_at). live: hours for live pictures and steering; None: all.

    has_history: whether recordings may be seen; history_from: only those from then on, None for all.
    """

    id: GrantId
    org_id: OrgId
    org_name: str
    area: Area
    starts_at: datetime
    ends_at: datetime | None = None
    live: Hours | None = None
    has_history: bool = True
    history_from: datetime | None = None

    def in_force(self, now: datetime) -> bool:
        """Whether it holds at that moment."""
        return self.starts_at <= now and (self.ends_at is None or now < self.ends_at)

    def shows_live(self, now: datetime) -> bool:
        """Whether live pictures may be seen then."""
        return self.live is None or self.live.ends_at(now) is not None

    def shows(self, span: Span) -> bool:
        """Whether recordings of the span may be seen."""
        return self.has_history and (self.history_from is None or to_micros(self.history_from) <= span.start)


def live_until(grants: Iterable[Grant], now: datetime) -> datetime | None:
    """When the last of the grants stops showing live pictures; None: no hour of theirs ends it."""
    ends = [now]
    for one in grants:
        if one.live is None:
            return None
        ends.append(one.live.ends_at(now) or now)
    return max(ends)


def scope_of_grants(grants: Iterable[Grant]) -> Scope:
    """The areas of the grants, each once."""
    return Scope(tuple(dict.fromkeys(one.area for one in grants)))
