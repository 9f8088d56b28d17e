"""Tables of the registry and their queries.

A scope is one condition on one table: every row that a person may see carries `org_path`, points what else rights
depend on, and a query begins with it. Rows of an import that is being published lie in `points` already, but hidden:
their batch is still open.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    Row,
    Select,
    SmallInteger,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from anwang.governance import EVERYTHING, Columns, Scope
from anwang.kernel.ids import OrgId, PointId
from anwang.registry.columns import division_prefix
from anwang.registry.model import (
    Channel,
    Device,
    DeviceStatus,
    Division,
    FileVersion,
    Finding,
    FindingFilter,
    Lifecycle,
    Organisation,
    OrgKind,
    Owners,
    Point,
    PointClass,
    PointKind,
    Policies,
    Severity,
)
from anwang.stores.state import Json, Moment, Tx, metadata, upsert

#: sorted by bytes on both engines, so that a prefix is a range that an index serves
Bytewise = Text().with_variant(Text(collation="C"), "postgresql")

divisions = Table(
    "divisions",
    metadata,
    Column("code", Bytewise, primary_key=True),  # GB/T 2260, GB/T 10114, 12 digits; virtual ones as the city likes
    Column("name", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),  # 1 province, 2 prefecture, 3 county, 4 township, 5 village
    Column("parent", Bytewise),  # code of the division above; NULL: none
    Column("is_virtual", Boolean, nullable=False),  # no legal division: a park, a development zone
    Column("valid_from", Moment),  # NULL: since ever
    Column("valid_to", Moment),  # NULL: still in force; retired codes are reported, not refused
)

organisations = Table(
    "organisations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # OrgKind
    Column("parent", Text, ForeignKey("organisations.id")),  # NULL: a root
    Column("org_path", Bytewise, nullable=False, unique=True),  # ids from the root to itself: /a/b/
    Column("division", Bytewise),  # NULL: not of one division
    Column("police_code", Bytewise, index=True),  # 12 digits of GA 380; NULL: no police unit
    Column("gb_id", Bytewise, index=True),  # 20-digit code, type 200 or 216; NULL: none
    Column("created_at", Moment, nullable=False),
)


def file_columns() -> list[Column[Any]]:
    """The columns of a camera file that `points` and the staging table of imports share."""
    return [
        Column("id", Text, nullable=False),  # UUIDv7
        Column("code", Bytewise, nullable=False),  # 20 digits; not unique: a duplicate is a finding
        Column("name", Text, nullable=False),
        Column("search", Text, nullable=False),  # what `registry.text` looks through: six fields, lower-case
        Column("kind", Text, nullable=False),  # PointKind
        Column("point_class", SmallInteger, nullable=False),  # PointClass
        Column("lifecycle", Text, nullable=False),  # Lifecycle
        Column("longitude", Float),  # WGS-84 degrees; NULL: not in the file
        Column("latitude", Float),
        Column("division", Bytewise),  # code, known or not; NULL: not in the file
        Column("org_id", Text, nullable=False),
        Column("org_path", Bytewise, nullable=False),
        Column("department", Text),  # codes of the department table, joined by /
        Column("zone", Text, nullable=False),  # network zone of the settings
        Column("address", Text),
        Column("camera_type", Text),  # a word of CAMERA_TYPE_LABELS; NULL: no camera, or not in the file
        Column("ptz", Boolean, nullable=False),
        Column("heading_deg", Float),  # clockwise from north; NULL: unknown or all round
        Column("fov_deg", Float),
        Column("paid", Text),  # organisation that paid; NULL: not known
        Column("owns", Text),
        Column("maintains", Text),
        Column("may_see", Json, nullable=False),  # list of organisation ids
        Column("streams", Text, nullable=False),  # main, or main,sub
        Column("file", Json, nullable=False),  # the other fields of the file, by key
        Column("row_hash", Text, nullable=False),  # of all above but the ids; equal means nothing changed
    ]


points = Table(
    "points",
    metadata,
    Column("ix", Integer, primary_key=True, autoincrement=False),  # small number for arrays and map tiles; never reused
    *file_columns(),
    Column("gateway", Text),  # NULL: not connected
    Column("device_id", Bytewise),
    Column("channel_id", Bytewise),
    Column("version", Integer, nullable=False),  # counts changes of the file
    Column("batch", Integer, nullable=False, server_default="0"),  # import that brought it; 0: none
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("removed_at", Moment),  # NULL: there
)
Index("uq_points_id", points.c.id, unique=True)

RIGHTS = Columns(
    org_path=points.c.org_path,
    department=points.c.department,
    point_class=points.c.point_class,
    kind=points.c.kind,
    zone=points.c.zone,
)
Index("ix_points_code", points.c.code)
Index("ix_points_org_path", points.c.org_path)
Index("ix_points_division", points.c.division)
Index("ix_points_updated_at", points.c.updated_at)
Index("ix_points_device", points.c.gateway, points.c.device_id, points.c.channel_id)

open_batches = Table(
    "open_batches",
    metadata,
    Column("batch", Integer, primary_key=True, autoincrement=False),  # an import whose new points are still hidden
)

numbers = Table(
    "numbers",
    metadata,
    Column("name", Text, primary_key=True),  # points.ix, points.changes, imports.batch, base_features.id
    Column("next", Integer, nullable=False),  # the next number to give away; never goes back
)

point_versions = Table(
    "point_versions",
    metadata,
    Column("point_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),  # the version that the change made
    Column("at", Moment, nullable=False),
    Column("by", Text, nullable=False),  # user name, a copy, or the name of what did it
    Column("reason", Text, nullable=False),
    Column("changes", Json, nullable=False),  # {field: [before, after]}
)

devices = Table(
    "devices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("gateway", Text, nullable=False),
    Column("device_id", Bytewise, nullable=False),
    Column("name", Text, nullable=False),
    Column("vendor", Text),  # NULL: never said
    Column("model", Text),
    Column("version", Text),
    Column("transport", Text, nullable=False),  # as last heard: udp, tcp
    Column("address", Text, nullable=False),  # host:port as last heard
    Column("status", Text, nullable=False),  # DeviceStatus
    Column("org_id", Text),  # NULL: not adopted
    Column("org_path", Bytewise, nullable=False),  # "/" until adopted: only who sees all sees the waiting list
    Column("policies", Json, nullable=False),
    Column("first_seen", Moment, nullable=False),
    Column("last_seen", Moment),  # written now and then; live evidence is newer
    Column("synced_at", Moment),  # when the last complete catalogue was asked for; NULL: never
    Index("uq_devices_device", "gateway", "device_id", unique=True),
    Index("ix_devices_status", "status", "id"),
    Index("ix_devices_org_path", "org_path"),
)

channels = Table(
    "channels",
    metadata,
    Column("device", Text, ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    Column("channel_id", Bytewise, primary_key=True),
    Column("name", Text, nullable=False),
    Column("is_on", Boolean),  # as the catalogue said last; NULL: it said nothing
    Column("on_at", Moment),  # when it said so
    Column("leaf", Boolean, nullable=False),  # may become a point
    Column("parents", Json, nullable=False),
    Column("about", Json, nullable=False),  # what else the entry said, for the point made of it
    Column("point_id", Text, index=True),  # NULL: no point yet
    Column("seen_at", Moment, nullable=False),  # when an answer or a notice last had it
    Column("missed", SmallInteger, nullable=False),  # complete answers in a row without it
    Column("missed_at", Moment),  # when the last such answer was asked for, so that none counts twice
    Column("removed_at", Moment),  # NULL: there
)

findings = Table(
    "findings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("rule", Text, nullable=False),  # DQ01 …
    Column("subject", Text, nullable=False),  # what it is about: a point's id, a code; with the rule unique
    Column("severity", Text, nullable=False),
    Column("point_id", Text),  # NULL: not about one point
    Column("org_path", Bytewise, nullable=False),
    Column("message", Text, nullable=False),
    Column("found_at", Moment, nullable=False),
    Column("settled_at", Moment),  # NULL: open
    Column("settled_by", Text),
    Index("uq_findings_subject", "rule", "subject", unique=True),
    Index("ix_findings_point", "point_id"),
    Index("ix_findings_org_path", "org_path"),
    Index("ix_findings_open", "settled_at", "rule", "id"),
)

base_features = Table(
    "base_features",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("layer", Text, nullable=False, index=True),  # divisions, roads, water, places
    Column("code", Bytewise),  # of a division; NULL: none
    Column("name", Text, nullable=False),
    Column("class", Text, nullable=False),  # of a road (motorway … service), of a place (city, town …)
    Column("geometry", Json, nullable=False),  # GeoJSON geometry, WGS-84
)


class within(GenericFunction[int]):  # noqa: N801 - it reads as SQL
    """Place of the second text in the first, from 1; 0 where it does not occur. Case counts."""

    name = "within"
    inherit_cache = True


@compiles(within, "sqlite")
def _instr(element: within, compiler: SQLCompiler, **kw: Any) -> str:
    return f"instr({compiler.process(element.clauses, **kw)})"


@compiles(within, "postgresql")
def _strpos(element: within, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **kw)})"


def _seen(scope: Scope) -> ColumnElement[bool]:
    """Points that a scope covers; where it holds what others share, all that is shared with anybody: whoever asks
    looks at those again, because only the organisations' paths of today say with whom.
    """
    covered = scope.where_point(RIGHTS)
    return or_(covered, _is_shared()) if scope.shared else covered


def _is_shared() -> ColumnElement[bool]:
    return cast(points.c.may_see, Text) != "[]"


def starting(column: Column[Any], prefix: str) -> ColumnElement[bool]:
    """Texts that start with an ASCII prefix, as a range."""
    return and_(column >= prefix, column < prefix[:-1] + chr(ord(prefix[-1]) + 1))


def _there() -> ColumnElement[bool]:
    return and_(points.c.removed_at.is_(None), points.c.batch.not_in(select(open_batches.c.batch)))


# --- numbers ---------------------------------------------------------------------------------------------------------


async def take_numbers(tx: Tx, name: str, count: int) -> int:
    """Reserve `count` numbers; the first of them. They are never given twice, even to two processes."""
    first = await tx.scalar(
        update(numbers).where(numbers.c.name == name).values(next=numbers.c.next + count).returning(numbers.c.next)
    )
    if first is None:
        start = 1 if name != "points.ix" else 0
        await upsert(tx, numbers, [{"name": name, "next": start}], key_columns=["name"], update_columns=[])
        return await take_numbers(tx, name, count)
    return int(first) - count


# --- divisions and organisations -------------------------------------------------------------------------------------


async def all_divisions(tx: Tx) -> list[Division]:
    """Every division, by code."""
    rows = await tx.execute(select(divisions).order_by(divisions.c.code))
    return [
        Division(
            code=row.code,
            name=row.name,
            level=row.level,
            parent=row.parent,
            is_virtual=row.is_virtual,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
        )
        for row in rows
    ]


async def put_divisions(tx: Tx, rows: Sequence[Division]) -> None:
    """Add divisions or replace those of the same code."""
    columns = ["name", "level", "parent", "is_virtual", "valid_from", "valid_to"]
    values = [{"code": row.code, **{name: getattr(row, name) for name in columns}} for row in rows]
    await upsert(tx, divisions, values, key_columns=["code"], update_columns=columns)


async def all_organisations(tx: Tx) -> list[Organisation]:
    """Every organisation, parents before children."""
    rows = await tx.execute(select(organisations).order_by(func.length(organisations.c.org_path), organisations.c.id))
    return [
        Organisation(
            id=OrgId(row.id),
            name=row.name,
            kind=OrgKind(row.kind),
            parent=OrgId(row.parent) if row.parent else None,
            org_path=row.org_path,
            division=row.division,
            police_code=row.police_code,
            gb_id=row.gb_id,
        )
        for row in rows
    ]


async def put_organisations(tx: Tx, rows: Sequence[Organisation], now: datetime) -> None:
    """Add organisations, parents first, or replace those of the same id; a path that exists never changes here."""
    columns = ["name", "kind", "division", "police_code", "gb_id"]
    values = [
        {
            "id": row.id,
            "parent": row.parent,
            "org_path": row.org_path,
            "created_at": now,
            **{name: getattr(row, name) for name in columns},
        }
        for row in rows
    ]
    await upsert(tx, organisations, values, key_columns=["id"], update_columns=columns)


# --- points ----------------------------------------------------------------------------------------------------------


def point_of(row: Row[Any]) -> Point:
    """A row of `points` as a value."""
    return Point(
        id=PointId(row.id),
        ix=row.ix,
        code=row.code,
        name=row.name,
        kind=PointKind(row.kind),
        point_class=PointClass(row.point_class),
        lifecycle=Lifecycle(row.lifecycle),
        longitude=row.longitude,
        latitude=row.latitude,
        division=row.division,
        org_id=OrgId(row.org_id),
        org_path=row.org_path,
        department=row.department,
        zone=row.zone,
        address=row.address,
        camera_type=row.camera_type,
        ptz=row.ptz,
        heading_deg=row.heading_deg,
        fov_deg=row.fov_deg,
        owners=Owners(paid=row.paid, owns=row.owns, maintains=row.maintains, may_see=tuple(row.may_see)),
        gateway=row.gateway,
        device_id=row.device_id,
        channel_id=row.channel_id,
        streams=tuple(row.streams.split(",")),
        file=row.file,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def point_values(point: Point, *, search: str, row_hash: str) -> dict[str, object]:
    """A point as a row of `points`."""
    return {
        **{
            name: getattr(point, name)
            for name in (
                "ix", "id", "code", "name", "longitude", "latitude", "division", "org_id", "org_path", "department",
                "zone", "address", "camera_type", "ptz", "heading_deg", "fov_deg", "gateway", "device_id", "channel_id",
                "version", "created_at", "updated_at",
            )
        },
        "search": search,
        "kind": str(point.kind),
        "point_class": int(point.point_class),
        "lifecycle": str(point.lifecycle),
        "paid": point.owners.paid,
        "owns": point.owners.owns,
        "maintains": point.owners.maintains,
        "may_see": list(point.owners.may_see),
        "streams": ",".join(point.streams),
        "file": dict(point.file),
        "row_hash": row_hash,
    }  # fmt: skip


async def any_point(tx: Tx) -> bool:
    """Whether there is a point at all."""
    return await tx.scalar(select(points.c.ix).where(_there()).limit(1)) is not None


async def points_by_ix(tx: Tx, scope: Scope, numbers_: Sequence[int]) -> list[Point]:
    """Points of these numbers, by number; at most a thousand."""
    rows = await tx.execute(
        select(points).where(_seen(scope), _there(), points.c.ix.in_(numbers_)).order_by(points.c.ix)
    )
    return [point_of(row) for row in rows]


async def point_by_id(tx: Tx, scope: Scope, point_id: str, *, lock: bool = False) -> Point | None:
    """One point."""
    statement = select(points).where(points.c.id == point_id, _seen(scope), _there())
    row = (await tx.execute(statement.with_for_update() if lock else statement)).one_or_none()
    return point_of(row) if row else None


async def points_of_device(
    tx: Tx, gateway: str, device_id: str, channel_id: str | None, *, limit: int
) -> list[PointId]:
    """The points behind a device, or behind one of its channels."""
    wanted = select(points.c.id).where(points.c.gateway == gateway, points.c.device_id == device_id, _there())
    if channel_id is not None:
        wanted = wanted.where(points.c.channel_id == channel_id)
    return [PointId(found) for found in await tx.scalars(wanted.order_by(points.c.ix).limit(limit))]


async def point_of_channel(tx: Tx, gateway: str, device_id: str, channel_id: str) -> PointId | None:
    """The point behind a channel."""
    found = await tx.scalar(
        select(points.c.id)
        .where(
            points.c.gateway == gateway,
            points.c.device_id == device_id,
            points.c.channel_id == channel_id,
            _there(),
        )
        .order_by(points.c.ix)
        .limit(1)
    )
    return PointId(found) if found else None


async def points_of_codes(tx: Tx, codes: Iterable[str], scope: Scope = EVERYTHING) -> list[Point]:
    """All points of a scope that have one of these codes, by number. At most some hundred codes."""
    rows = await tx.execute(
        select(points).where(points.c.code.in_(sorted(set(codes))), _seen(scope), _there()).order_by(points.c.ix)
    )
    return [point_of(row) for row in rows]


async def codes_of(tx: Tx, ids: Sequence[str]) -> dict[str, str]:
    """The codes of points by their ids. At most some hundred."""
    rows = await tx.execute(select(points.c.id, points.c.code).where(points.c.id.in_(ids), _there()))
    return {row.id: row.code for row in rows}


async def points_by_ids(tx: Tx, ids: Sequence[str], scope: Scope = EVERYTHING, *, lock: bool = False) -> list[Point]:
    """Points with these ids, by number. lock: held until the transaction ends. At most some hundred ids."""
    found = select(points).where(_seen(scope), points.c.id.in_(ids), _there()).order_by(points.c.ix)
    return [point_of(row) for row in await tx.execute(found.with_for_update() if lock else found)]


async def note_change(tx: Tx) -> None:
    """Count a change of the points that are seen, so that an import knows whether its comparison still holds."""
    await take_numbers(tx, "points.changes", 1)


async def changes(tx: Tx) -> int:
    """How often the points that are seen were changed."""
    return int(await tx.scalar(select(numbers.c.next).where(numbers.c.name == "points.changes")) or 0)


async def add_points(tx: Tx, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows made by `point_values`."""
    if rows:
        await note_change(tx)
        await tx.execute(insert(points), [dict(row) for row in rows])


async def save_point(tx: Tx, row: Mapping[str, object], *, version: int) -> bool:
    """Replace a point if it still has the version; whether it had."""
    await note_change(tx)
    values = {name: value for name, value in row.items() if name not in ("ix", "id", "created_at")}
    result = await tx.execute(
        update(points).where(points.c.id == row["id"], points.c.version == version).values(**values)
    )
    return result.rowcount == 1


async def bind_points(tx: Tx, rows: Sequence[tuple[PointId, str, str, str]], now: datetime) -> None:
    """Say how points are reached: point, gateway, device, channel. Not a change of the file."""
    if rows:
        await tx.execute(
            update(points)
            .where(points.c.id == bindparam("which"))
            .values(
                gateway=bindparam("g"), device_id=bindparam("d"), channel_id=bindparam("c"), updated_at=bindparam("now")
            ),
            [{"which": p, "g": g, "d": d, "c": c, "now": now} for p, g, d, c in rows],
        )


async def add_version(tx: Tx, version: FileVersion) -> None:
    """Write down a change of a file."""
    await tx.execute(
        insert(point_versions).values(
            point_id=version.point_id,
            version=version.version,
            at=version.at,
            by=version.by,
            reason=version.reason,
            changes={name: list(pair) for name, pair in version.changes.items()},
        )
    )


async def versions_of(tx: Tx, point_id: str, *, before: int, limit: int) -> list[FileVersion]:
    """Changes of a file older than a version, newest first."""
    rows = await tx.execute(
        select(point_versions)
        .where(point_versions.c.point_id == point_id, point_versions.c.version < before)
        .order_by(point_versions.c.version.desc())
        .limit(limit)
    )
    return [
        FileVersion(
            point_id=PointId(row.point_id),
            version=row.version,
            at=row.at,
            by=row.by,
            reason=row.reason,
            changes={name: (pair[0], pair[1]) for name, pair in row.changes.items()},
        )
        for row in rows
    ]


COLUMNS = (
    "ix", "id", "longitude", "latitude", "kind", "point_class", "lifecycle", "org_path", "owns", "division",
    "department", "zone",
    "heading_deg", "fov_deg", "gateway", "device_id",
)  # fmt: skip


async def _pages(
    tx: Tx, columns: Sequence[ColumnElement[Any]], *, batch: int | None, page: int, after: int = -1
) -> AsyncIterator[Sequence[Any]]:
    """Rows of all points (or of one import's), by number (`ix` is among the columns), page by page."""
    while True:
        clauses = [_there(), points.c.ix > after]
        if batch is not None:
            clauses.append(points.c.batch == batch)
        rows = (await tx.execute(select(*columns).where(*clauses).order_by(points.c.ix).limit(page))).all()
        if not rows:
            return
        yield rows
        after = rows[-1].ix


async def column_pages(
    tx: Tx, *, after: int = -1, batch: int | None = None, page: int = 20_000
) -> AsyncIterator[dict[str, Sequence[Any]]]:
    """What PointColumns keeps of all points (or of one import's), page by page, and how they are reached."""
    chosen = [points.c[name] for name in COLUMNS]
    async for rows in _pages(tx, chosen, batch=batch, page=page, after=after):
        yield dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))


async def shared_points(tx: Tx, *, batch: int | None = None) -> list[tuple[int, list[str]]]:
    """Numbers of the points (or of one import's) that others may see, and the ids of those organisations."""
    found = select(points.c.ix, points.c.may_see).where(_there(), _is_shared())
    if batch is not None:
        found = found.where(points.c.batch == batch)
    return [(row.ix, row.may_see) for row in await tx.execute(found)]


async def text_pages(
    tx: Tx, *, batch: int | None = None, page: int = 20_000
) -> AsyncIterator[tuple[list[int], list[str]]]:
    """Numbers and search texts of all points (or of one import's), page by page."""
    async for rows in _pages(tx, [points.c.ix, points.c.search], batch=batch, page=page):
        yield [row.ix for row in rows], [row.search for row in rows]


async def said_pages(
    tx: Tx, *, batch: int | None = None, page: int = 2_000
) -> AsyncIterator[Sequence[tuple[Any, ...]]]:
    """What points are compared by, in the order of `twins.Said`, of all points (or of one import's), page by page."""
    columns = [
        points.c.ix, points.c.code, points.c.zone, points.c.file["ipv4"].as_string(), points.c.file["mac"].as_string(),
        points.c.org_id, points.c.name, points.c.camera_type,
    ]  # fmt: skip
    async for rows in _pages(tx, columns, batch=batch, page=page):
        yield [tuple(row) for row in rows]


#: what people say is there and works, or will again
_INSTALLED = (Lifecycle.IN_USE.value, Lifecycle.REPAIR.value)


async def installed(tx: Tx) -> list[tuple[str, str, int]]:
    """How many points there are in use, by path of the organisation and kind."""
    found = (
        select(points.c.org_path, points.c.kind, func.count())
        .where(_there(), points.c.lifecycle.in_(_INSTALLED))
        .group_by(points.c.org_path, points.c.kind)
    )
    return [(row[0], row[1], row[2]) for row in await tx.execute(found)]


async def installed_at(
    tx: Tx, org_path: str, besides: Sequence[str], *, limit: int
) -> list[tuple[str, str | None, str, int]]:
    """Where those below an organisation are: its path, address, kind, how many. besides: paths that are left out."""
    place = (points.c.org_path, points.c.address, points.c.kind)
    found = (
        select(*place, func.count())
        .where(
            _there(),
            points.c.lifecycle.in_(_INSTALLED),
            Scope.below(org_path).where(points.c.org_path),
            *(~Scope.below(path).where(points.c.org_path) for path in besides),
        )
        .group_by(*place)
        .order_by(*place)
        .limit(limit)
    )
    return [(row[0], row[1], row[2], row[3]) for row in await tx.execute(found)]


async def points_after(tx: Tx, after: int, *, limit: int) -> list[Point]:
    """Points whose number is greater, by number."""
    rows = await tx.execute(select(points).where(_there(), points.c.ix > after).order_by(points.c.ix).limit(limit))
    return [point_of(row) for row in rows]


async def versions_now(tx: Tx, ids: Sequence[str]) -> dict[str, int]:
    """The versions of points by their ids. At most some hundred."""
    rows = await tx.execute(select(points.c.id, points.c.version).where(points.c.id.in_(ids), _there()))
    return {row.id: row.version for row in rows}


# --- devices and channels --------------------------------------------------------------------------------------------


def device_of(row: Row[Any]) -> Device:
    """A row of `devices` with its number of points as a value."""
    return Device(
        id=row.id,
        gateway=row.gateway,
        device_id=row.device_id,
        name=row.name,
        vendor=row.vendor,
        model=row.model,
        version=row.version,
        transport=row.transport,
        address=row.address,
        status=DeviceStatus(row.status),
        org_id=OrgId(row.org_id) if row.org_id else None,
        org_path=row.org_path,
        policies=Policies(**row.policies),
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        point_count=row.point_count,
    )


def _devices() -> Select[Any]:
    count = (
        select(func.count())
        .where(points.c.gateway == devices.c.gateway, points.c.device_id == devices.c.device_id, _there())
        .correlate(devices)
        .scalar_subquery()
    )
    return select(devices, count.label("point_count"))


async def list_devices(
    tx: Tx, scope: Scope, *, status: DeviceStatus | None, q: str, after: str, limit: int
) -> list[Device]:
    """Devices whose id is greater than `after`, by id (which is by first appearance)."""
    statement = _devices().where(scope.where(devices.c.org_path), devices.c.id > after)
    if status is not None:
        statement = statement.where(devices.c.status == str(status))
    for word in q.split()[:8]:
        statement = statement.where(
            or_(
                within(func.lower(devices.c.name), word.lower()) > 0,
                within(devices.c.device_id, word) > 0,
                within(devices.c.address, word) > 0,
            )
        )
    return [device_of(row) for row in await tx.execute(statement.order_by(devices.c.id).limit(limit))]


async def device_by_id(tx: Tx, scope: Scope, device: str) -> Device | None:
    """One device."""
    row = (await tx.execute(_devices().where(devices.c.id == device, scope.where(devices.c.org_path)))).one_or_none()
    return device_of(row) if row else None


async def device_by_key(tx: Tx, gateway: str, device_id: str) -> Device | None:
    """One device by what its gateway calls it."""
    row = (
        await tx.execute(_devices().where(devices.c.gateway == gateway, devices.c.device_id == device_id))
    ).one_or_none()
    return device_of(row) if row else None


async def device_pages(tx: Tx, *, page: int = 10_000) -> AsyncIterator[list[Row[Any]]]:
    """What memory holds of all devices, page by page."""
    after = ""
    names = ("id", "gateway", "device_id", "status", "org_path", "policies", "address", "transport")
    while True:
        rows = (
            await tx.execute(
                select(*(devices.c[name] for name in names))
                .where(devices.c.id > after)
                .order_by(devices.c.id)
                .limit(page)
            )
        ).all()
        if not rows:
            return
        yield list(rows)
        after = rows[-1].id


async def add_device(tx: Tx, values: Mapping[str, object]) -> None:
    """Insert a device unless its gateway has it already."""
    await upsert(tx, devices, [values], key_columns=["gateway", "device_id"], update_columns=[])


async def change_device(tx: Tx, device: str, values: Mapping[str, object]) -> None:
    """Change columns of a device."""
    await tx.execute(update(devices).where(devices.c.id == device).values(**values))


async def touch_devices(tx: Tx, rows: Sequence[tuple[str, datetime]]) -> None:
    """Write down when devices were last heard."""
    if rows:
        await tx.execute(
            update(devices).where(devices.c.id == bindparam("which")).values(last_seen=bindparam("heard")),
            [{"which": device, "heard": heard} for device, heard in rows],
        )


async def move_devices(tx: Tx, rows: Sequence[tuple[str, str, str]]) -> None:
    """Write down where devices were last heard: id, address, transport."""
    if rows:
        await tx.execute(
            update(devices)
            .where(devices.c.id == bindparam("which"))
            .values(address=bindparam("where_heard"), transport=bindparam("how")),
            [{"which": device, "where_heard": address, "how": transport} for device, address, transport in rows],
        )


def channel_of(row: Row[Any]) -> Channel:
    """A row of `channels` as a value."""
    return Channel(
        device=row.device,
        channel_id=row.channel_id,
        name=row.name,
        is_on=row.is_on,
        leaf=row.leaf,
        parents=tuple(row.parents),
        point_id=PointId(row.point_id) if row.point_id else None,
        missed=row.missed,
        seen_at=row.seen_at,
        removed_at=row.removed_at,
    )


async def channels_of(tx: Tx, device: str) -> list[Row[Any]]:
    """All channels of a device, removed ones too, as rows."""
    return list((await tx.execute(select(channels).where(channels.c.device == device))).all())


async def channels_named(tx: Tx, device: str, names: Sequence[str]) -> list[Row[Any]]:
    """These channels of a device, removed ones too, as rows. At most some hundred names."""
    statement = select(channels).where(channels.c.device == device, channels.c.channel_id.in_(names))
    return list((await tx.execute(statement)).all())


async def pointless_channels(tx: Tx, device: str, names: Sequence[str] | None = None) -> list[Row[Any]]:
    """Channels of a device that may become points and are none yet, as rows; of these names (some hundred) if given."""
    clauses = [
        channels.c.device == device,
        channels.c.leaf.is_(True),
        channels.c.point_id.is_(None),
        channels.c.removed_at.is_(None),
    ]
    if names is not None:
        clauses.append(channels.c.channel_id.in_(names))
    return list((await tx.execute(select(channels).where(*clauses).order_by(channels.c.channel_id))).all())


async def channel_page(tx: Tx, device: str, *, after: str, limit: int) -> list[Channel]:
    """Channels of a device that are there, by their id."""
    rows = await tx.execute(
        select(channels)
        .where(channels.c.device == device, channels.c.removed_at.is_(None), channels.c.channel_id > after)
        .order_by(channels.c.channel_id)
        .limit(limit)
    )
    return [channel_of(row) for row in rows]


async def channel_states(tx: Tx, *, page: int = 10_000) -> AsyncIterator[list[tuple[str, bool, datetime]]]:
    """Point, ON or OFF, and when a catalogue said so, of all channels that are there, page by page."""
    after = ("", "")
    key = tuple_(channels.c.device, channels.c.channel_id)
    while True:
        rows = (
            await tx.execute(
                select(
                    channels.c.device, channels.c.channel_id, channels.c.point_id, channels.c.is_on, channels.c.on_at
                )
                .where(key > after, channels.c.removed_at.is_(None))
                .order_by(channels.c.device, channels.c.channel_id)
                .limit(page)
            )
        ).all()
        if not rows:
            return
        yield [(row.point_id, row.is_on, row.on_at) for row in rows if row.point_id and row.is_on is not None]
        after = (rows[-1].device, rows[-1].channel_id)


async def put_channels(tx: Tx, rows: Sequence[Mapping[str, object]]) -> None:
    """Add channels, or replace them whole."""
    names = [column.name for column in channels.c if column.name not in ("device", "channel_id")]
    await upsert(tx, channels, rows, key_columns=["device", "channel_id"], update_columns=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDevice:
    """What a catalogue needs to know of its device, without counting its points."""

    id: str
    gateway: str
    device_id: str
    status: DeviceStatus
    org_id: OrgId | None
    org_path: str


async def lock_device(tx: Tx, device: str) -> HeldDevice | None:
    """A device, its row held until the transaction ends, so that two catalogues of it never mix."""
    row = (await tx.execute(select(devices).where(devices.c.id == device).with_for_update())).one_or_none()
    if row is None:
        return None
    return HeldDevice(
        id=row.id,
        gateway=row.gateway,
        device_id=row.device_id,
        status=DeviceStatus(row.status),
        org_id=OrgId(row.org_id) if row.org_id else None,
        org_path=row.org_path,
    )


# --- findings --------------------------------------------------------------------------------------------------------


def finding_of(row: Row[Any]) -> Finding:
    """A row of `findings` as a value."""
    return Finding(
        id=row.id,
        rule=row.rule,
        severity=Severity(row.severity),
        subject=row.subject,
        point_id=PointId(row.point_id) if row.point_id else None,
        org_path=row.org_path,
        message=row.message,
        found_at=row.found_at,
        settled_at=row.settled_at,
        settled_by=row.settled_by,
    )


async def put_findings(tx: Tx, rows: Sequence[Mapping[str, object]]) -> None:
    """Write findings down; one that is known is opened again with the new message, its first moment stays."""
    await upsert(
        tx,
        findings,
        rows,
        key_columns=["rule", "subject"],
        update_columns=["severity", "message", "org_path", "settled_at", "settled_by"],
    )


async def settle_findings(tx: Tx, keys: Sequence[tuple[str, str]], *, by: str, now: datetime) -> None:
    """Close open findings by rule and subject."""
    if keys:
        await tx.execute(
            update(findings)
            .where(tuple_(findings.c.rule, findings.c.subject).in_(list(keys)), findings.c.settled_at.is_(None))
            .values(settled_at=now, settled_by=by)
        )


async def open_findings(tx: Tx, ids: Sequence[str]) -> list[tuple[str, str, str]]:
    """Point, rule and message of the open findings of points. At most some hundred."""
    rows = await tx.execute(
        select(findings.c.point_id, findings.c.rule, findings.c.message).where(
            findings.c.point_id.in_(ids), findings.c.settled_at.is_(None)
        )
    )
    return [(row.point_id, row.rule, row.message) for row in rows]


def _found(scope: Scope, wanted: FindingFilter) -> ColumnElement[bool]:
    """Findings that a scope covers and a filter leaves; its organisation is a path. What others only share is theirs
    to put right.
    """
    seen = scope.where(findings.c.org_path)
    if scope.is_narrowed:
        seen = or_(seen, findings.c.point_id.in_(select(points.c.id).where(scope.where_point(RIGHTS))))
    parts = [seen]
    if wanted.rules:
        parts.append(findings.c.rule.in_(sorted(wanted.rules)))
    if wanted.severities:
        parts.append(findings.c.severity.in_(sorted(map(str, wanted.severities))))
    if wanted.point is not None:
        parts.append(findings.c.point_id == wanted.point)
    if wanted.organisation is not None:
        parts.append(starting(findings.c.org_path, wanted.organisation))
    if wanted.divisions:
        within_one = or_(*(starting(points.c.division, division_prefix(code)) for code in wanted.divisions))
        parts.append(findings.c.point_id.in_(select(points.c.id).where(within_one)))
    if wanted.is_open is not None:
        open_now = findings.c.settled_at.is_(None)
        parts.append(open_now if wanted.is_open else ~open_now)
    return and_(*parts)


async def list_findings(tx: Tx, scope: Scope, wanted: FindingFilter, *, after: str, limit: int) -> list[Finding]:
    """Findings whose id is greater than `after`, by id."""
    statement = select(findings).where(_found(scope, wanted), findings.c.id > after)
    return [finding_of(row) for row in await tx.execute(statement.order_by(findings.c.id).limit(limit))]


async def count_findings(tx: Tx, scope: Scope, wanted: FindingFilter) -> tuple[dict[str, int], int]:
    """How many findings there are by rule, and how many points have an error among them."""
    by_rule = await tx.execute(
        select(findings.c.rule, func.count().label("many")).where(_found(scope, wanted)).group_by(findings.c.rule)
    )
    faulty = await tx.scalar(
        select(func.count(findings.c.point_id.distinct())).where(
            _found(scope, wanted), findings.c.severity == Severity.ERROR
        )
    )
    return {row.rule: row.many for row in by_rule}, int(faulty or 0)


async def duplicate_codes(tx: Tx, *, after: str, limit: int) -> list[str]:
    """Codes greater than `after` that several points have, in order."""
    rows = await tx.execute(
        select(points.c.code)
        .where(_there(), points.c.code > after)
        .group_by(points.c.code)
        .having(func.count() > 1)
        .order_by(points.c.code)
        .limit(limit)
    )
    return [row.code for row in rows]


# --- base map --------------------------------------------------------------------------------------------------------


async def replace_base(tx: Tx, layer: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Put a layer of the base map in place of the old one."""
    await tx.execute(base_features.delete().where(base_features.c.layer == layer))
    for start in range(0, len(rows), 500):
        first = await take_numbers(tx, "base_features.id", len(rows[start : start + 500]))
        await tx.execute(
            insert(base_features),
            [{"id": first + i, **row} for i, row in enumerate(rows[start : start + 500])],
        )


async def all_base(
    tx: Tx, *, layers: Sequence[str] = ("grounds", "divisions", "roads", "water", "places")
) -> list[tuple[str, str | None, str, str, dict[str, Any]]]:
    """Layer, code, name, class and geometry of everything on the base map."""
    rows = await tx.execute(select(base_features).where(base_features.c.layer.in_(layers)).order_by(base_features.c.id))
    return [(row.layer, row.code, row.name, row._mapping["class"], _object(row.geometry)) for row in rows]


def _object(value: object) -> dict[str, Any]:
    return json.loads(value) if isinstance(value, str) else dict(value)  # type: ignore[no-any-return,call-overload]
