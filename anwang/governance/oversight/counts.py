"""Counting in the ledger's searchable copy what the rules ask about. The engine counts; what comes back is small.

New rows are those of a chain after the number up to which it was gone through. They say which windows must be counted
(again): a row that comes late, of a process whose end of the chain was not known for a day, opens its old window once
more, and what was found of it before is not found twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from anwang.governance.ledger.copy import COLUMNS, FIELDS
from anwang.governance.ledger.rows import Found, Row
from anwang.governance.model import CONTENT
from anwang.governance.oversight.model import (
    DAY_US,
    HOUR_US,
    MOST_EVIDENCE,
    OFFSET_US,
    RECORDED,
    SEARCHES,
    SLOT_US,
    USUAL_DAYS,
    AnomalyRule,
    Evidence,
    Suspect,
    Window,
    start_of_day,
)
from anwang.kernel.times import Span
from anwang.stores.series import Series

HOUR_TEXT = 11
"""Where in the detail of a counted hour its moment begins: `hour from 2026-11-30T00:00:00Z`."""
HAPPENED = (
    f"if(kind = 'used', coalesce(toUnixTimestamp64Micro(parseDateTime64BestEffortOrNull(substring(detail, {HOUR_TEXT}),"
    " 6, 'UTC')), at), at)"
)
"""When it was: a counted hour is written after it is over."""
LATEST = 2 * HOUR_US
"""After the end of an hour its counts are written within this, where the ledger works."""


def _words(names: Collection[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))


LOOKS = "kind = 'opened'"
CONDITIONS: Mapping[AnomalyRule, str] = {
    AnomalyRule.BURST: LOOKS,
    AnomalyRule.SEARCHES: f"kind = 'used' AND action IN ({_words(SEARCHES)})",
    AnomalyRule.REFUSED: "kind = 'denied'",
    AnomalyRule.OFF_HOURS: f"{LOOKS} AND action IN ({_words([each.value for each in CONTENT])})",
    AnomalyRule.REPEATED: f"{LOOKS} AND action IN ({_words([each.value for each in RECORDED])})",
}
"""Which rows each rule counts."""
LIVE_TOO = CONDITIONS[AnomalyRule.OFF_HOURS]
"""Of `repeated`, where live looks count as well."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a chain was gone through: number and time (microseconds) of its last row."""

    seq: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Rows that no pass has seen: those of these chains after these numbers, up to `until`. since: none is older.

    ends: where each of these chains stands afterwards.
    """

    after: Mapping[str, int]
    ends: Mapping[str, Mark]
    since: int
    until: int

    def where(self) -> tuple[str, dict[str, object]]:
        """As a condition with its values."""
        bound: dict[str, object] = {"since": self.since, "until": self.until}
        parts = []
        for number, (chain, seq) in enumerate(sorted(self.after.items())):
            bound |= {f"chain{number}": chain, f"after{number}": seq}
            parts.append(f"(chain = {{chain{number}:String}} AND seq > {{after{number}:UInt64}})")
        conditions = ["at >= {since:Int64}", "at < {until:Int64}", "user != ''", f"({' OR '.join(parts)})"]
        return " AND ".join(conditions), bound


async def news(series: Series, marks: Mapping[str, Mark], *, first: int, until: int) -> News | None:
    """What is new before a moment; None: nothing. first: how far back the very first pass goes."""
    least = 0 if marks else first
    rows = await series.query(
        "SELECT chain, max(seq), max(at), min(at) FROM ledger_rows WHERE at >= {least:Int64} AND at < {until:Int64}"
        " GROUP BY chain",
        {"least": least, "until": until},
    )
    after: dict[str, int] = {}
    ends: dict[str, Mark] = {}
    since = until
    for chain, seq, at, oldest in rows:
        mark = marks.get(chain)
        if mark is not None and mark.seq > seq:
            mark = None  # another ledger had a chain of this name
        if mark is None or seq > mark.seq:
            after[chain] = 0 if mark is None else mark.seq
            ends[chain] = Mark(seq, at)
            since = min(since, oldest if mark is None else mark.at)
    return News(after=after, ends=ends, since=since, until=until) if after else None


def _window(length: int) -> str:
    return f"intDiv({HAPPENED} + {OFFSET_US}, {length})"


async def windows(series: Series, new: News, length: int) -> list[int]:
    """Numbers of the civil hours or days that new rows lie in, in order."""
    where, bound = new.where()
    rows = await series.query(
        f"SELECT DISTINCT {_window(length)} AS number FROM ledger_rows WHERE {where} ORDER BY number",  # noqa: S608
        bound,
    )
    return [number for (number,) in rows]


async def by_hour(
    series: Series, rule: AnomalyRule, new: News, touched: Sequence[int], least: int
) -> list[tuple[str, int, int]]:
    """Account, start of the hour and how many, for those hours of new rows with more than `least`."""
    where, bound = new.where()
    number = "sum(count)" if rule is AnomalyRule.SEARCHES else "count()"
    rows = await series.query(
        f"SELECT user, {_window(HOUR_US)} AS hour, {number} AS many FROM ledger_rows FINAL"  # noqa: S608
        f" WHERE at >= {{begin:Int64}} AND at < {{until:Int64}} AND user != '' AND {CONDITIONS[rule]} AND hour IN"
        f" (SELECT {_window(HOUR_US)} FROM ledger_rows WHERE {where})"
        " GROUP BY user, hour HAVING many > {least:Int64} ORDER BY hour, user",
        {**bound, "begin": touched[0] * HOUR_US - OFFSET_US, "least": least},
    )
    return [(user, hour * HOUR_US - OFFSET_US, int(many)) for user, hour, many in rows]


async def hours_before(series: Series, asked: Collection[tuple[str, int]]) -> dict[tuple[str, int], list[int]]:
    """Of accounts and hours, how many looks were opened in each of the USUAL_DAYS before, hours without any left out.

    Asked hour by hour: after a day without power these are a few dozen questions.
    """
    found: dict[tuple[str, int], list[int]] = {}
    for start in sorted({each for _, each in asked}):
        users = sorted({user for user, each in asked if each == start})
        rows = await series.query(
            "SELECT user, groupArray(many) FROM (SELECT user, intDiv(at, {hour:Int64}) AS number, count() AS many"  # noqa: S608
            " FROM ledger_rows FINAL WHERE at >= {since:Int64} AND at < {until:Int64}"
            f" AND {LOOKS} AND has({{users:Array(String)}}, user) GROUP BY user, number) GROUP BY user",
            {"hour": HOUR_US, "since": start - USUAL_DAYS * DAY_US, "until": start, "users": users},
        )
        found |= {(user, start): [int(each) for each in counts] for user, counts in rows}
    return found


async def by_slot(series: Series, day: int, least: int) -> dict[str, dict[int, int]]:
    """Of accounts with at least so many looks at content on a day, how many in each slot."""
    rows = await series.query(
        "SELECT user, groupArray((slot, many)) FROM (SELECT user, intDiv(at, {slot:Int64}) AS slot, count() AS many"  # noqa: S608
        " FROM ledger_rows FINAL WHERE at >= {since:Int64} AND at < {until:Int64} AND user != ''"
        f" AND {CONDITIONS[AnomalyRule.OFF_HOURS]} GROUP BY user, slot)"
        " GROUP BY user HAVING sum(many) >= {least:Int64}",
        {"slot": SLOT_US, "since": start_of_day(day), "until": start_of_day(day + 1), "least": least},
    )
    return {user: {slot * SLOT_US: int(many) for slot, many in slots} for user, slots in rows}


async def by_day(
    series: Series, days: Sequence[int], *, length: int, least: int, live: bool
) -> dict[tuple[str, str], dict[int, frozenset[str]]]:
    """Of accounts and points that came together on so many days, and on one of the last ones: case numbers by day.

    days: those that are new. length: how many days before each of them count, too. live: whether live looks count.
    """
    condition = LIVE_TOO if live else CONDITIONS[AnomalyRule.REPEATED]
    rows = await series.query(
        "SELECT user, object, groupArray((day, cases)) FROM (SELECT user, arrayJoin(objects) AS object,"  # noqa: S608
        f" intDiv(at + {OFFSET_US}, {DAY_US}) AS day, groupUniqArray(`case`) AS cases FROM ledger_rows FINAL"
        f" WHERE at >= {{since:Int64}} AND at < {{until:Int64}} AND user != '' AND {condition}"
        " GROUP BY user, object, day) GROUP BY user, object"
        " HAVING count() >= {least:Int64} AND max(day) >= {first:Int64}"
        " AND (has(arrayFlatten(groupArray(cases)), '') OR length(groupUniqArrayArray(cases)) > 1)",
        {
            "since": start_of_day(days[0] - length + 1),
            "until": start_of_day(days[-1] + 1),
            "least": least,
            "first": days[0],
        },
    )
    return {(user, object): {day: frozenset(cases) for day, cases in stretch} for user, object, stretch in rows}


@dataclass(frozen=True, slots=True)
class Proof:
    """The first rows of what was found, and name, unit and organisation path of the account in the last of them."""

    evidence: Sequence[Evidence]
    name: str
    unit: str
    org: str


async def proofs(series: Series, window: Window, found: Sequence[Suspect], *, live: bool) -> dict[Suspect, Proof]:
    """Of all that was found in one window. One question for many of them: a bad day may bring hundreds."""
    condition = LIVE_TOO if window.rule is AnomalyRule.REPEATED and live else CONDITIONS[window.rule]
    bound: dict[str, object] = {"start": window.start, "end": window.end, "until": window.end}
    if window.rule is AnomalyRule.SEARCHES:
        bound["until"] = window.end + LATEST
    if window.spans:
        inside = " OR ".join(f"(at >= {one.start} AND at < {one.end})" for one in window.spans)
        condition += f" AND ({inside})"
    subject = "arrayJoin(arrayIntersect(objects, {subjects:Array(String)}))" if found[0].subject else "''"
    bound["users"] = sorted({each.user for each in found})
    bound["subjects"] = sorted({each.subject for each in found})
    rows = await series.query(
        f"SELECT user, {subject} AS subject, chain, seq, look, name, unit, org FROM ledger_rows FINAL"  # noqa: S608
        f" WHERE at >= {{start:Int64}} AND at < {{until:Int64}} AND has({{users:Array(String)}}, user) AND {condition}"
        f" AND {HAPPENED} >= {{start:Int64}} AND {HAPPENED} < {{end:Int64}}"
        f" ORDER BY at, chain, seq LIMIT {MOST_EVIDENCE} BY user, subject",
        bound,
    )
    by: dict[tuple[str, str], list[Sequence[str]]] = {}
    for user, about, *values in rows:
        by.setdefault((user, about), []).append(values)
    told: dict[Suspect, Proof] = {}
    for each in found:
        own = by.get((each.user, each.subject), [])
        evidence = [Evidence(chain, int(seq), look) for chain, seq, look, *_ in own]
        name, unit, org = own[-1][3:] if own else ("", "", "")
        told[each] = Proof(evidence, name, unit, org)
    return told


async def rows_named(series: Series, named: Sequence[Evidence], span: Span) -> list[Found]:
    """Rows by chain and number, oldest first. span: that they lie in."""
    bound: dict[str, object] = {"start": span.start, "until": span.end + LATEST}
    parts = []
    for number, chain in enumerate(sorted({each.chain for each in named})):
        bound[f"chain{number}"] = chain
        bound[f"seqs{number}"] = [each.seq for each in named if each.chain == chain]
        parts.append(f"(chain = {{chain{number}:String}} AND has({{seqs{number}:Array(UInt64)}}, seq))")
    if not parts:
        return []
    rows = await series.query(
        f"SELECT chain, {COLUMNS} FROM ledger_rows FINAL WHERE at >= {{start:Int64}} AND at < {{until:Int64}}"  # noqa: S608
        f" AND ({' OR '.join(parts)}) ORDER BY at, chain, seq",
        bound,
    )
    return _rows(rows)


def _rows(rows: Sequence[Sequence[object]]) -> list[Found]:
    return [(str(chain), msgspec.convert(dict(zip(FIELDS, values, strict=True)), Row)) for chain, *values in rows]
