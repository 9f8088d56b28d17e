"""The searchable copy of the ledger in the series store, and searching both as one.

The files are the truth. About once a second what was added to them is copied, chain by chain in order; how far a chain
was copied is what the table says, so that a crash repeats and skips nothing, and a row that is copied twice (an insert
whose answer was lost) is shown once. A search asks the copy and reads what it does not have yet from the files, so that
the newest row is never missing. Where the copy does not answer, the files alone are read, a part at a time; the page
says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import msgspec

from anwang.governance.ledger.reading import Reader, start_of
from anwang.governance.ledger.rows import Asked, CopyUse, Found, LedgerPage, Place, Row
from anwang.governance.ledger.service import Ledger
from anwang.kernel.errors import AnwangError
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.stores.series import DURABLE, Series, Step

log = logs.get(__name__)

LEDGER_STEPS = (
    Step(
        name="governance 0001 ledger_rows",
        sql=f"""
CREATE TABLE IF NOT EXISTS ledger_rows (
    chain LowCardinality(String),
    seq UInt64,                        -- number in its chain; (chain, seq) is the row
    at Int64,                          -- microseconds since 1970 UTC, as in the files
    skew_us Int64,
    kind LowCardinality(String),
    user LowCardinality(String),
    name LowCardinality(String),
    role LowCardinality(String),
    org LowCardinality(String),        -- organisation path; empty: the program itself
    session String,
    terminal LowCardinality(String),
    action LowCardinality(String),
    objects Array(String),
    scope LowCardinality(String),
    look String,
    count Int64,
    bytes Int64,
    seconds Float64,
    outcome LowCardinality(String),
    detail String,
    unit LowCardinality(String),
    purpose String,
    reason LowCardinality(String),
    `case` String,
    approval String,
    recipient String,
    about Array(UInt64) MATERIALIZED   -- hashes of what a search for an object finds: a fifth to read
        arrayMap(x -> sipHash64(x), arrayFilter(x -> x != '', arrayConcat(objects, [look, purpose, approval]))),
    INDEX ix_about about TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX ix_case `case` TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = ReplacingMergeTree ORDER BY (at, chain, seq)
SETTINGS index_granularity = 1024, {DURABLE}
""",
    ),
)
FIELDS = Row.__struct_fields__
SEQ = 1 + FIELDS.index("seq")
COLUMNS = ", ".join(f"`{name}`" for name in FIELDS)
BATCH = 20_000
PAUSE_S = 1.0
FIND_SECONDS = 5.0
"""So long a search waits for the copy before it reads the files."""
MOST_BEHIND = 20_000
"""Rows that the copy may lack and a page still reads from the files."""


class LedgerCopy:
    """Copies the ledger's rows and answers questions. Keep `run` running."""

    def __init__(self, *, series: Series, ledger: Ledger, clock: Clock) -> None:
        self._series = series
        self._ledger = ledger
        self._clock = clock
        self._copied: dict[str, int] | None = None
        self._readers: dict[str, Reader] = {}
        self._is_whole = False
        self.failing = ""
        """Why rows are not copied; empty while all is well."""

    @property
    def behind(self) -> int:
        """Rows of this process that are not copied yet."""
        head = self._ledger.head
        return head.seq - (self._copied or {}).get(head.chain, 0)

    async def run(self) -> None:
        """Copy about once a second, until cancelled."""
        while True:
            await self._clock.sleep(PAUSE_S)
            try:
                await self.catch_up()
            except Exception as err:  # the next second tries again; the files are the truth
                if not self.failing:  # one line when it begins, not one a second
                    log.warning("the ledger is not copied to the series store", error=str(err), behind=self.behind)
                self.failing = str(err)

    async def catch_up(self) -> int:
        """Copy what is durable and not copied yet; how many rows. Raises what Series.insert raises."""
        copied = await self._known() if self._copied is None else self._copied
        count = 0
        try:
            for chain, end in (await self._ledger.ends()).items():
                count += await self._copy_chain(chain, end, copied)
        except BaseException:
            # the answer to an insert may have been lost: only the table knows
            self._copied, self._readers, self._is_whole = None, {}, False
            raise
        self._is_whole, self.failing = True, ""
        return count

    async def _copy_chain(self, chain: str, end: int, copied: dict[str, int]) -> int:
        if copied.get(chain, 0) >= end:
            return 0
        reader = self._readers.setdefault(chain, Reader(self._ledger.folder / chain, copied.get(chain, 0)))
        head = b'{"chain":' + msgspec.json.encode(chain) + b","
        count = 0
        while rows := await asyncio.to_thread(reader.read, BATCH, end):
            # a row's text is an object: its first brace gives way to the chain's name
            lines = b"".join(head + text[1:] + b"\n" for _, text in rows)
            await self._series.insert_lines("ledger_rows", lines)
            copied[chain] = reader.seq
            count += len(rows)
        return count

    async def _known(self) -> dict[str, int]:
        """How far each chain was copied. Rows of another ledger whose chain had the same name are forgotten."""
        found: dict[str, int] = {}
        for chain, seq, at in await self._series.query(
            "SELECT chain, max(seq), min(at) FROM ledger_rows GROUP BY chain"
        ):
            first = await asyncio.to_thread(Reader(self._ledger.folder / chain, 0).read, 1)
            if first and first[0][0].at != at:
                log.warning("the series store has rows of another ledger, they are copied anew", chain=chain)
                await self._series.execute(
                    "ALTER TABLE ledger_rows DELETE WHERE chain = {chain:String} SETTINGS mutations_sync = 2",
                    {"chain": chain},
                )
            else:
                found[chain] = seq
        self._copied = found
        return found

    async def page(
        self,
        asked: Asked,
        *,
        under: Sequence[str] | None,
        limit: int,
        place: Place | None,
        wanted: Callable[[Row], bool],
    ) -> LedgerPage:
        """As Ledger.page. asked, under: what `wanted` lets pass at most; under: paths of organisations; None: all.

        `wanted` has the last word: the copy may find a little more (two objects' hashes may be one).
        """
        copied = None if self._copied is None else dict(self._copied)
        use = CopyUse.USED if self._is_whole and self.behind <= MOST_BEHIND else CopyUse.BEHIND
        begin = place if place is not None else await asyncio.to_thread(start_of, self._ledger.folder)
        found: Sequence[Found] = ()
        if copied is not None:
            try:
                async with asyncio.timeout(FIND_SECONDS):
                    found = await self._find(asked, under, begin, limit + 1)
            except (AnwangError, TimeoutError) as err:
                log.warning("the ledger's copy does not answer, the files are read", error=str(err))
                copied = None
        if copied is None:
            copied, use = {}, CopyUse.AWAY
        page = await self._ledger.page(
            limit=limit, place=begin, wanted=wanted, since=asked.since, copied=copied, found=found
        )
        return replace(page, copy=use)

    async def _find(self, asked: Asked, under: Sequence[str] | None, place: Place, limit: int) -> list[Found]:
        where, bound = _condition(asked, under, place)
        text = f"SELECT chain, {COLUMNS} FROM ledger_rows WHERE {where} ORDER BY at DESC, chain, seq DESC"  # noqa: S608
        bound["limit"] = limit
        rows = await self._series.query(text + " LIMIT {limit:UInt32}", bound)
        if len({(row[0], row[SEQ]) for row in rows}) < len(rows):
            # some are there twice and not merged yet; asked like this the engine looks at all rows, so not at first
            rows = await self._series.query(text + " LIMIT 1 BY chain, seq LIMIT {limit:UInt32}", bound)
        return [(chain, msgspec.convert(dict(zip(FIELDS, values, strict=True)), Row)) for chain, *values in rows]


def _condition(asked: Asked, under: Sequence[str] | None, place: Place) -> tuple[str, dict[str, object]]:
    """The WHERE of a question and its values."""
    bound: dict[str, object] = {"since": asked.since, "until": min(asked.until or place.at + 1, place.at + 1)}
    where = ["at >= {since:Int64}", "at < {until:Int64}"]
    chains = []
    for number, (chain, before) in enumerate(place.before.items()):
        bound |= {f"chain{number}": chain, f"before{number}": before}
        chains.append(f"(chain = {{chain{number}:String}} AND seq < {{before{number}:UInt64}})")
    where.append(f"({' OR '.join(chains) or '0'})")
    told: Mapping[str, tuple[str, str]] = {
        "kind": (asked.kind, "kind = {kind:String}"),
        "actor": (asked.actor, "(user = {actor:String} OR name = {actor:String})"),
        "action": (asked.action, "action = {action:String}"),
        "case": (asked.case, "`case` = {case:String}"),
        "object": (asked.object, "has(about, sipHash64({object:String}))"),
    }
    for name, (value, condition) in told.items():
        if value:
            bound[name] = value
            where.append(condition)
    if under is not None:
        paths = {f"path{number}": path for number, path in enumerate(under)}
        bound |= paths
        where.append(f"({' OR '.join(f'startsWith(org, {{{name}:String}})' for name in paths) or '0'})")
    return " AND ".join(where), bound
