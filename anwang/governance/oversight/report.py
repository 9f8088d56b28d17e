"""What people did in a month, in numbers: for the supervisor, and in a form that may be published (domain.md G21).

Rows are counted in the ledger's searchable copy, requests for a second person where they are kept. The form that may be
published names no unit, and tells no number below ten: a few looks may tell of a single person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from anwang.governance.breaches import store as breaches
from anwang.governance.cases import store as cases
from anwang.governance.oversight import store
from anwang.governance.reasons import ApprovalState
from anwang.governance.requests import store as requests
from anwang.governance.retention import store as retention
from anwang.governance.scopes import Scope
from anwang.kernel.errors import Unavailable
from anwang.kernel.times import Span, civil_day, from_micros
from anwang.stores.series import Series
from anwang.stores.state import State

FEWEST = 10
MOST_CELLS = 5000
URGENT = {
    ApprovalState.URGENT: "waiting",
    ApprovalState.GRANTED: "made_good",
    ApprovalState.EXPIRED: "made_good",
    ApprovalState.REFUSED: "refused",
    ApprovalState.OVERDUE: "overdue",
}
"""What became of an urgent look. Its time runs out only after somebody has granted it: until then it is overdue."""
TABLES: Mapping[str, tuple[str, str, str]] = {
    "looks": ("action, reason, unit", "kind = 'opened'", "count()"),
    "refusals": ("action, outcome", "kind = 'denied'", "count()"),
    "uses": ("action", "kind = 'used'", "sum(count)"),
    "deletions": ("action", "kind = 'deleted'", "sum(count)"),
    "events": ("kind", "kind NOT IN ('opened', 'closed', 'denied', 'used', 'deleted')", "count()"),
}
"""What is counted of the ledger's rows: names, condition, number."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A number. names: what it is of, by column of its table. count None: too small to be published."""

    names: tuple[str, ...]
    count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A month. tables: looks by action, kind of purpose and unit; refusals of looks by action and why; uses of lists
    and maps; deletions of what was too old; events by kind of row; requests for a second person by action, what became
    of them, and urgent or not; urgent looks by what became of them; anomalies by rule and what auditors found; breaches
    of personal information by how far they are; points whose recordings were kept too long, too short or deleted too
    early, by which; what people brought, requests to see recordings and complaints, by what
    became of it. waiting: rows of the ledger that are not counted yet.
    """

    tables: Mapping[str, Sequence[Cell]]
    waiting: int

    def publishable(self) -> Report:
        """Without units, and without numbers that are small."""
        looks: dict[tuple[str, ...], int] = {}
        for cell in self.tables["looks"]:
            looks[cell.names[:2]] = looks.get(cell.names[:2], 0) + (cell.count or 0)
        plain = {**self.tables, "looks": _ordered(Cell(names, count) for names, count in looks.items())}
        return replace(self, tables={name: [_told(cell) for cell in cells] for name, cells in plain.items()})


def _told(cell: Cell) -> Cell:
    return cell if cell.count is None or cell.count == 0 or cell.count >= FEWEST else replace(cell, count=None)


def _ordered(cells: Iterable[Cell]) -> list[Cell]:
    return sorted(cells, key=lambda cell: (-(cell.count or 0), cell.names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Oversight:
    """Counts. series: of the ledger's copy, None where there is none. waiting: rows that it lacks."""

    state: State
    series: Series | None

    async def report(self, scope: Scope, span: Span, *, waiting: int) -> Report:
        """Of people in a scope. Raises Unavailable without the copy, or where it does not answer."""
        if self.series is None:
            raise Unavailable("the ledger's searchable copy is not kept here", "set up the series store")
        tables: dict[str, Sequence[Cell]] = {}
        paths = {f"path{number}": area.org_path for number, area in enumerate(scope.areas) if area.is_whole}
        seen = "1" if scope.sees_all else " OR ".join(f"startsWith(org, {{{name}:String}})" for name in paths) or "0"
        for name, (columns, condition, number) in TABLES.items():
            rows = await self.series.query(
                # FINAL: a row that was copied twice counts once
                f"SELECT {columns}, {number} FROM ledger_rows FINAL"  # noqa: S608 - words of TABLES
                " WHERE at >= {start:Int64} AND at < {end:Int64}"
                f" AND ({condition}) AND ({seen}) GROUP BY {columns} LIMIT {MOST_CELLS + 1}",
                {"start": span.start, "end": span.end, **({} if scope.sees_all else paths)},
            )
            if len(rows) > MOST_CELLS:
                raise Unavailable(f"a month has more than {MOST_CELLS} different {name}", "ask for fewer units")
            tables[name] = _ordered(Cell(tuple(map(str, names)), int(count)) for *names, count in rows)
        async with self.state.read() as tx:
            found = await cases.count_approvals(tx, seen_by=scope, span=span)
            unusual = await store.count(tx, seen_by=scope, span=span)
            lost = await breaches.count(tx, seen_by=scope, span=span)
            brought = await requests.counts(tx, seen_by=scope, span=span)
            days = [civil_day(from_micros(at)) for at in (span.start, span.end)]
            kept = await retention.breaches(tx, *days, seen_by=scope)
        urgent: dict[tuple[str, ...], int] = {}
        for (_, state, kind), count in found.items():
            if kind == "urgent" and state in URGENT:
                became = (URGENT[ApprovalState(state)],)
                urgent[became] = urgent.get(became, 0) + count
        counted = {"requests": found, "urgent": urgent, "anomalies": unusual, "breaches": lost, "brought": brought}
        counted["retention"] = kept
        tables |= {
            name: _ordered(Cell(names, count) for names, count in cells.items()) for name, cells in counted.items()
        }
        return Report(tables=tables, waiting=waiting)
