"""Tables of imports and their queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Row,
    SmallInteger,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from anwang.governance import Scope
from anwang.registry import store
from anwang.registry.imports.model import (
    AT_WORK,
    Import,
    ImportFault,
    ImportKind,
    ImportOptions,
    ImportStatus,
    PreviewRow,
)
from anwang.registry.model import Severity
from anwang.registry.store import file_columns, open_batches, point_versions, points
from anwang.stores.state import Json, Moment, Tx, metadata

imports = Table(
    "imports",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # ImportKind
    Column("status", Text, nullable=False, index=True),  # ImportStatus
    Column("filename", Text, nullable=False),  # as the browser named it, for people; never a path of ours
    Column("by", Text, nullable=False),  # id of the user
    Column("org_path", store.Bytewise, nullable=False),  # scope of the user: rows outside it are faults
    Column("options", Json, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("finished_at", Moment),  # NULL: not published and not cancelled
    Column("rows", Integer, nullable=False),  # in the file, an estimate until all were looked at
    Column("done", Integer, nullable=False),  # looked at; while publishing: the last row made
    Column("error_rows", Integer, nullable=False),  # rows that cannot be kept
    Column("fault_count", Integer, nullable=False),  # all faults
    Column("faults_kept", Integer, nullable=False),  # of them in import_faults
    Column("added", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("batch", Integer, nullable=False),  # marks its new points; 0 until publishing began
    Column("first_ix", Integer, nullable=False),  # number of its first new point; -1 until publishing began
    Column("checked_at", Moment),  # when its rows were compared with the points; NULL: not yet
    Column("changes", Integer, nullable=False),  # how often points had been changed by then
    Column("reason", Text, nullable=False),
    Column("holds", Boolean, nullable=False),  # its file, staged rows or hidden points are still there
)

import_rows = Table(
    "import_rows",
    metadata,
    Column("import_id", Text, ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    Column("row", Integer, primary_key=True),  # line of the file, 1 is the first
    Column("change", SmallInteger, nullable=False),  # 0 unchanged, 1 added, 2 changed
    Column("seq", Integer, nullable=False),  # number among the added ones, from 0; -1 for others
    Column("ix", Integer, nullable=False),  # of the point that changes; -1 for others
    Column("base_version", Integer, nullable=False),  # of that point when the row was compared; 0 for others
    Column("diff", Json),  # {field: [before, after]} of a changed row
    *file_columns(),
)
Index("ix_import_rows_change", import_rows.c.import_id, import_rows.c.change, import_rows.c.row)

import_faults = Table(
    "import_faults",
    metadata,
    Column("import_id", Text, ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    Column("n", Integer, primary_key=True),  # order of finding
    Column("row", Integer, nullable=False),
    Column("column", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("message", Text, nullable=False),
)

UNCHANGED, ADDED, CHANGED = 0, 1, 2
FILE_NAMES = tuple(column.name for column in file_columns())
STAGED_NAMES = ("import_id", "row", "change", "seq", "ix", "base_version", "diff", *FILE_NAMES)
FAULT_NAMES = ("import_id", "n", "row", "column", "value", "rule", "severity", "message")


def import_of(row: Row[Any]) -> Import:
    """A row of `imports` as a value."""
    return Import(
        id=row.id,
        kind=ImportKind(row.kind),
        status=ImportStatus(row.status),
        filename=row.filename,
        by=row.by,
        org_path=row.org_path,
        options=msgspec.convert(row.options, ImportOptions),
        created_at=row.created_at,
        finished_at=row.finished_at,
        rows=row._mapping["rows"],
        done=row.done,
        error_rows=row.error_rows,
        fault_count=row.fault_count,
        faults_kept=row.faults_kept,
        added=row.added,
        changed=row.changed,
        unchanged=row.unchanged,
        skipped=row.skipped,
        reason=row.reason,
    )


async def add_import(tx: Tx, values: Mapping[str, object]) -> None:
    """Insert an import."""
    blank = dict.fromkeys(
        (
            "rows",
            "done",
            "error_rows",
            "fault_count",
            "faults_kept",
            "added",
            "changed",
            "unchanged",
            "skipped",
            "batch",
            "changes",
        ),
        0,
    )
    await tx.execute(insert(imports).values(**blank, first_ix=-1, reason="", holds=True, **values))


async def get_import(tx: Tx, import_id: str, *, lock: bool = False) -> tuple[Import, Row[Any]] | None:
    """One import, and its row."""
    statement = select(imports).where(imports.c.id == import_id)
    row = (await tx.execute(statement.with_for_update() if lock else statement)).one_or_none()
    return (import_of(row), row) if row else None


async def list_imports(tx: Tx, scope: Scope, *, before: str, limit: int) -> list[Import]:
    """Imports that a scope sees, newest first, older than `before` ("" for the newest)."""
    statement = select(imports).where(scope.where(imports.c.org_path))
    if before:
        statement = statement.where(imports.c.id < before)
    return [import_of(row) for row in await tx.execute(statement.order_by(imports.c.id.desc()).limit(limit))]


async def count_imports(tx: Tx, statuses: Sequence[ImportStatus]) -> int:
    """How many imports have one of these statuses."""
    chosen = [str(status) for status in statuses]
    return int(await tx.scalar(select(func.count()).where(imports.c.status.in_(chosen))) or 0)


async def untidied(tx: Tx) -> list[Import]:
    """Imports that are over and have left something behind."""
    over = [str(ImportStatus.CANCELLED), str(ImportStatus.PUBLISHED)]
    rows = await tx.execute(
        select(imports).where(imports.c.status.in_(over), imports.c.holds).order_by(imports.c.id).limit(100)
    )
    return [import_of(row) for row in rows]


async def next_at_work(tx: Tx) -> str | None:
    """The oldest import that has work to do."""
    found = await tx.scalar(
        select(imports.c.id)
        .where(imports.c.status.in_([str(status) for status in AT_WORK]))
        .order_by(imports.c.id)
        .limit(1)
    )
    return str(found) if found else None


async def change_import(tx: Tx, import_id: str, **values: object) -> None:
    """Change columns of an import."""
    await tx.execute(update(imports).where(imports.c.id == import_id).values(**values))


async def move_import(
    tx: Tx, import_id: str, *, to: ImportStatus, only_from: Iterable[ImportStatus], **values: object
) -> bool:
    """Change the status if it is one of these; whether it was."""
    result = await tx.execute(
        update(imports)
        .where(imports.c.id == import_id, imports.c.status.in_([str(status) for status in only_from]))
        .values(status=str(to), **values)
    )
    return result.rowcount == 1


async def insert_raw(tx: Tx, table: Table, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Insert very many rows whose values the driver takes as they are (times as integers, documents as text).

    SQLAlchemy writes the statement; its handling of every single value, a second per hundred thousand rows, is left
    out.
    """
    if not rows:
        return
    compiled = insert(table).compile(dialect=tx.dialect, column_keys=list(names))
    order = list(compiled.positiontup or names)
    places = [list(names).index(name) for name in order]
    statement = str(compiled)
    if places == list(range(len(names))):
        await tx.exec_driver_sql(statement, [tuple(row) for row in rows])
    else:
        await tx.exec_driver_sql(statement, [tuple(row[place] for place in places) for row in rows])


async def drop_rows(tx: Tx, import_id: str, *, below: int | None = None, faults: bool = True) -> int:
    """Delete staged rows up to a line (None: all), and with the last of them the faults; how many."""
    clauses = [import_rows.c.import_id == import_id]
    if below is not None:
        clauses.append(import_rows.c.row <= below)
    count = (await tx.execute(delete(import_rows).where(*clauses))).rowcount
    if faults:
        await tx.execute(delete(import_faults).where(import_faults.c.import_id == import_id))
    return count


async def last_row(tx: Tx, import_id: str) -> int:
    """The highest line that is staged; 0 for none."""
    return int(await tx.scalar(select(func.max(import_rows.c.row)).where(import_rows.c.import_id == import_id)) or 0)


async def known_of_codes(tx: Tx, codes: Sequence[str]) -> list[Any]:
    """id, code, ix, version, row_hash and org_path of the points that have one of these codes, by number."""
    return list(
        (
            await tx.execute(
                select(points.c.id, points.c.code, points.c.ix, points.c.version, points.c.row_hash, points.c.org_path)
                .where(points.c.code.in_(codes), store._there())
                .order_by(points.c.ix)
            )
        ).all()
    )


async def faults_page(tx: Tx, import_id: str, *, after: int, limit: int) -> list[tuple[int, ImportFault]]:
    """Faults in the order of finding."""
    rows = await tx.execute(
        select(import_faults)
        .where(import_faults.c.import_id == import_id, import_faults.c.n > after)
        .order_by(import_faults.c.n)
        .limit(limit)
    )
    return [
        (
            row.n,
            ImportFault(
                row=row.row,
                column=row._mapping["column"],
                value=row.value,
                rule=row.rule,
                severity=Severity(row.severity),
                message=row.message,
            ),
        )
        for row in rows
    ]


async def preview_rows(tx: Tx, import_id: str, *, limit: int) -> list[PreviewRow]:
    """The first rows that change something: changed ones before added ones."""
    out: list[PreviewRow] = []
    for change, word in ((CHANGED, "changed"), (ADDED, "added"), (UNCHANGED, "unchanged")):
        rows = await tx.execute(
            select(import_rows.c.row, import_rows.c.code, import_rows.c.name, import_rows.c.diff)
            .where(import_rows.c.import_id == import_id, import_rows.c.change == change)
            .order_by(import_rows.c.row)
            .limit(limit - len(out))
        )
        out += [
            PreviewRow(row=row.row, change=word, code=row.code, name=row.name, fields=tuple(sorted(row.diff or {})))
            for row in rows
        ]
        if len(out) >= limit:
            break
    return out


# --- publishing ------------------------------------------------------------------------------------------------------


async def make_points(
    tx: Tx, import_id: str, *, batch: int, first_ix: int, after: int, until: int, now: datetime
) -> int:
    """Make the new points of some lines, hidden while the batch is open; how many."""
    chosen = select(
        (import_rows.c.seq + first_ix).label("ix"),
        *(import_rows.c[name] for name in FILE_NAMES),
        literal(1).label("version"),
        literal(batch).label("batch"),
        literal(now, Moment).label("created_at"),
        literal(now, Moment).label("updated_at"),
    ).where(
        import_rows.c.import_id == import_id,
        import_rows.c.change == ADDED,
        import_rows.c.row > after,
        import_rows.c.row <= until,
    )
    names = ["ix", *FILE_NAMES, "version", "batch", "created_at", "updated_at"]
    return (await tx.execute(insert(points).from_select(names, chosen, include_defaults=False))).rowcount


async def forget_points(tx: Tx, *, batch: int, below_ix: int) -> int:
    """Delete hidden points of a batch up to a number; how many."""
    result = await tx.execute(delete(points).where(points.c.batch == batch, points.c.ix <= below_ix))
    return result.rowcount


async def highest_ix(tx: Tx, *, batch: int, first_ix: int, count: int) -> int:
    """The highest number of a batch's points; -1 for none."""
    found = await tx.scalar(
        select(func.max(points.c.ix)).where(
            points.c.ix >= first_ix, points.c.ix < first_ix + count, points.c.batch == batch
        )
    )
    return -1 if found is None else int(found)


async def stale_rows(tx: Tx, import_id: str, checked_at: datetime) -> int:
    """Rows whose point was changed since they were compared, and new rows whose code a point got since then."""
    mine = import_rows.c.import_id == import_id
    moved = select(func.count()).where(
        mine,
        import_rows.c.change == CHANGED,
        ~select(points.c.ix)
        .where(points.c.ix == import_rows.c.ix, points.c.version == import_rows.c.base_version, store._there())
        .exists(),
    )
    recent = (
        select(points.c.code)
        .where(points.c.updated_at > checked_at, points.c.created_at > checked_at, store._there())
        .scalar_subquery()
    )
    taken = select(func.count()).where(mine, import_rows.c.change == ADDED, import_rows.c.code.in_(recent))
    return int(await tx.scalar(moved) or 0) + int(await tx.scalar(taken) or 0)


async def change_points(tx: Tx, import_id: str, *, by: str, reason: str, now: datetime) -> int:
    """Write the changed rows over their points, and the changes down; how many."""
    chosen = and_(import_rows.c.import_id == import_id, import_rows.c.change == CHANGED)
    version = import_rows.c.base_version + 1
    await tx.execute(
        insert(point_versions).from_select(
            ["point_id", "version", "at", "by", "reason", "changes"],
            select(
                import_rows.c.id, version, literal(now, Moment), literal(by), literal(reason), import_rows.c.diff
            ).where(chosen),
        )
    )
    written = [name for name in FILE_NAMES if name != "id"]
    source = select(
        import_rows.c.ix,
        *(import_rows.c[name] for name in FILE_NAMES),
        version.label("version"),
        literal(0).label("batch"),
        literal(now, Moment).label("created_at"),
        literal(now, Moment).label("updated_at"),
    ).where(chosen)
    names = ["ix", *FILE_NAMES, "version", "batch", "created_at", "updated_at"]
    dialect = sqlite if tx.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(points).from_select(names, source, include_defaults=False)
    statement = statement.on_conflict_do_update(
        index_elements=["ix"],
        set_={name: statement.excluded[name] for name in (*written, "version", "updated_at")},
    )
    return (await tx.execute(statement)).rowcount


async def open_batch(tx: Tx, batch: int) -> None:
    """Hide the points of a batch from everyone."""
    await tx.execute(insert(open_batches).values(batch=batch))


async def close_batch(tx: Tx, batch: int) -> None:
    """Show them, all at once."""
    await tx.execute(delete(open_batches).where(open_batches.c.batch == batch))


async def changed_numbers(tx: Tx, import_id: str) -> list[int]:
    """Numbers of the points that an import changed."""
    rows = await tx.execute(
        select(import_rows.c.ix).where(import_rows.c.import_id == import_id, import_rows.c.change == CHANGED)
    )
    return [row.ix for row in rows]


async def faulty_points(tx: Tx, import_id: str, *, after: int, limit: int, only: str | None = None) -> list[Any]:
    """Faults of rows that were published, with their points, in the order of finding. only: of this point."""
    return list(
        (
            await tx.execute(
                select(
                    import_faults.c.n,
                    import_faults.c.rule,
                    import_faults.c.severity,
                    import_faults.c.message,
                    import_rows.c.id,
                    import_rows.c.org_path,
                )
                .join(
                    import_rows,
                    and_(
                        import_rows.c.import_id == import_faults.c.import_id, import_rows.c.row == import_faults.c.row
                    ),
                )
                .where(
                    import_faults.c.import_id == import_id,
                    import_faults.c.n > after,
                    true() if only is None else import_rows.c.id == only,
                )
                .order_by(import_faults.c.n)
                .limit(limit)
            )
        ).all()
    )
