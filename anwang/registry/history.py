"""Changes of live states in the series store: for ever, where memory keeps a day.

`StateHistory` hears every change of a point and a device, and writes them about once a second. Best effort towards the
store: what cannot be written waits, up to a bound, and what is lost beyond it is counted; the states themselves never
depend on it. A batch is sent with the same token until it is answered, so a lost answer writes nothing twice.

What a restart costs is written down as well: the time in which nobody watched is a gap, unknown for everyone, and where
the checkpoint believes otherwise than the last row does, a row says so.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from anwang.kernel.errors import AnwangError, Exhausted, Invalid
from anwang.kernel.times import BEIJING, civil_day, from_micros, to_micros
from anwang.registry.facts import STATES, DeviceStateChanged, StateChanges
from anwang.registry.live import Live
from anwang.registry.model import REASONS, DayOnline, HistorySpan, State
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.stores.series import Series, Step

log = logs.get(__name__)

HISTORY_STEPS = (
    Step(
        name="registry 0001 state_changes",
        sql="""
CREATE TABLE IF NOT EXISTS state_changes (
    at DateTime64(6, 'UTC'),           -- when the change was announced
    subject UUID,                      -- point or device, by our id; never the sorting key alone: UUIDs order oddly
    before Enum8('unknown' = 0, 'online' = 1, 'offline' = 2),
    after Enum8('unknown' = 0, 'online' = 1, 'offline' = 2),
    reason LowCardinality(String),     -- what decided: a key of the verdicts, or restart
    cause String                       -- device that took the point along; empty: the subject itself
) ENGINE = MergeTree PARTITION BY toYYYYMM(at) ORDER BY (sipHash64(subject), at)
SETTINGS non_replicated_deduplication_window = 1000
""",
    ),
    Step(
        name="registry 0002 state_gaps",
        sql="""
CREATE TABLE IF NOT EXISTS state_gaps (
    down DateTime64(6, 'UTC'),         -- nobody watched from here
    up DateTime64(6, 'UTC')            -- until here
) ENGINE = MergeTree ORDER BY down
""",
    ),
)
COLUMNS = ("at", "subject", "before", "after", "reason", "cause")
BOUND = 2_000_000
"""Changes that may wait for the store."""
BATCH = 50_000
PAUSE_S = 1.0
RESTART = "restart"
DAYS = 366
DAY_ROWS = 200_000
"""Changes that figures per day are made of; a subject with more must be asked about in parts."""

Change = tuple[int, str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class _Batch:
    token: str
    taken: Sequence[StateChanges | DeviceStateChanged]
    count: int


class StateHistory:
    """Writes what `Live` announces. `follow` it, keep `run` running. device_of: our id of a device by its key."""

    def __init__(
        self, *, series: Series, live: Live, clock: Clock, device_of: Callable[[str], str | None], bound: int = BOUND
    ) -> None:
        self._series = series
        self._live = live
        self._clock = clock
        self._device_of = device_of
        self._bound = bound
        self._waiting: deque[StateChanges | DeviceStateChanged] = deque()
        self._sending: _Batch | None = None
        self._turn = asyncio.Lock()
        self.waiting = 0
        """Changes not written yet."""
        self.lost = 0
        """Changes dropped because too many waited."""

    def follow(self) -> None:
        """Hear of every change from now on."""
        self._live.subscribe(self.take)
        self._live.subscribe_devices(self.take)

    def take(self, changes: StateChanges | DeviceStateChanged) -> None:
        """Remember a batch for the next insert; the oldest go when too many wait."""
        self._waiting.append(changes)
        self.waiting += _size(changes)
        while self.waiting > self._bound and self._waiting:
            dropped = _size(self._waiting.popleft())
            self.waiting -= dropped
            self.lost += dropped

    async def run(self) -> None:
        """Write about once a second, until cancelled."""
        failing = False
        while True:
            await self._clock.sleep(PAUSE_S)
            try:
                await self.flush()
                failing = False
            except AnwangError as err:
                if not failing:  # one line when it begins, not one a second
                    log.warning("state changes are not written", reason=err.reason, waiting=self.waiting)
                failing = True

    async def flush(self) -> int:
        """Write what waits; how many. Raises what Series.insert raises, and keeps them then."""
        written = 0
        async with self._turn:
            while (batch := self._next()) is not None:
                rows = [row for changes in batch.taken for row in self._rows(changes)]
                if rows:
                    await self._insert(rows, batch.token)
                self._sending = None
                self.waiting -= batch.count
                written += len(rows)
        return written

    def _next(self) -> _Batch | None:
        """The batch that was not answered, or the next one."""
        if self._sending is None:
            taken: list[StateChanges | DeviceStateChanged] = []
            count = 0
            while self._waiting and (not taken or count + _size(self._waiting[0]) <= BATCH):
                taken.append(self._waiting.popleft())
                count += _size(taken[-1])
            if taken:
                self._sending = _Batch(secrets.token_hex(8), taken, count)
        return self._sending

    def _rows(self, changes: StateChanges | DeviceStateChanged) -> list[Change]:
        if isinstance(changes, DeviceStateChanged):
            key = f"{changes.gateway}/{changes.device_id}"
            device = self._device_of(key)
            if device is None:
                return []  # nobody met it properly, so nobody can ask about it
            return [(changes.at_us, device, changes.before, changes.state, changes.reason, "")]
        return [
            (changes.at_us, point, STATES[old], STATES[new], REASONS[why], self._live.keys[slot] if slot >= 0 else "")
            for point, old, new, why, slot in zip(
                changes.ids(changes.ix),
                changes.old.tolist(),
                changes.new.tolist(),
                changes.why.tolist(),
                changes.cause.tolist(),
                strict=True,
            )
        ]

    async def _insert(self, rows: Sequence[Change], token: str) -> None:
        at, subject, before, after, reason, cause = (list(column) for column in zip(*rows, strict=True))
        moments = [from_micros(int(moment)) for moment in at]
        columns = [moments, subject, list(map(str, before)), list(map(str, after)), reason, cause]
        await self._series.insert("state_changes", COLUMNS, columns, once=token)

    # --- over a restart ------------------------------------------------------------------------------------------

    async def resume(self, taken_us: int, now_us: int, state_of: Callable[[str], State | None]) -> None:
        """Write down that nobody watched since a checkpoint, and where it believes otherwise than the last rows do.

        state_of: what is believed now of a subject; None for one that is gone.
        """
        rows = await self._series.query(
            "SELECT toString(subject), toString(argMax(after, at)), max(at) FROM state_changes"
            " WHERE at >= {since:DateTime64(6)} GROUP BY subject",
            {"since": from_micros(taken_us)},
        )
        down = max([taken_us, *(to_micros(at) for _, _, at in rows)])
        if down < now_us:
            await self._series.insert("state_gaps", ("down", "up"), [[from_micros(down)], [from_micros(now_us)]])
        wrong: list[Change] = []
        for subject, after, _ in rows:
            state = state_of(subject)
            if state is not None and str(state) != after:
                wrong.append((now_us, subject, after, str(state), RESTART, ""))
        if wrong:
            await self._insert(wrong, secrets.token_hex(8))

    # --- what is asked -------------------------------------------------------------------------------------------

    async def spans(
        self, subject: str, start_us: int, end_us: int, *, limit: int = 1000
    ) -> tuple[list[HistorySpan], int | None]:
        """States of a point or device, half-open, with why; unknown before the first change that was written and while
        nobody watched. At most `limit` changes: the second value is the moment to go on from, None at the end.
        """
        await self.flush()
        known = {"subject": subject, "start": from_micros(start_us), "end": from_micros(end_us)}
        where = "sipHash64(subject) = sipHash64(toUUID({subject:String})) AND subject = toUUID({subject:String})"
        first = await self._series.query(
            f"SELECT toString(after), reason, cause FROM state_changes WHERE {where}"  # noqa: S608 - our own text
            " AND at <= {start:DateTime64(6)} ORDER BY at DESC LIMIT 1",
            known,
        )
        rows = await self._series.query(
            f"SELECT at, toString(after), reason, cause FROM state_changes WHERE {where}"  # noqa: S608
            " AND at > {start:DateTime64(6)} AND at < {end:DateTime64(6)} ORDER BY at LIMIT {limit:UInt32}",
            {**known, "limit": limit + 1},
        )
        more = to_micros(rows[limit][0]) if len(rows) > limit else None
        last = end_us if more is None else more
        gaps = await self._series.query(
            "SELECT down, up FROM state_gaps WHERE down < {end:DateTime64(6)} AND up > {start:DateTime64(6)}"
            " ORDER BY down",
            {"start": from_micros(start_us), "end": from_micros(last)},
        )
        marks = [(start_us, *(first[0] if first else ("unknown", "", "")))]
        marks += [(to_micros(at), after, reason, cause) for at, after, reason, cause in rows[:limit]]
        spans = [
            HistorySpan(start_us=at, end_us=until, state=State(after), reason=reason, cause=cause)
            for (at, after, reason, cause), until in zip(marks, [*(m[0] for m in marks[1:]), last], strict=True)
            if until > at
        ]
        for down, up in gaps:
            spans = _without(spans, to_micros(down), to_micros(up))
        return _joined(spans), more

    async def days(self, subject: str, start_us: int, end_us: int) -> list[DayOnline]:
        """How long a subject was online, offline and unknown on each day of China's calendar. Raises Invalid for more
        than a year, Exhausted for one that changed too often.
        """
        if end_us - start_us > DAYS * 86_400_000_000:
            raise Invalid(f"at most {DAYS} days at once", "ask for a shorter time")
        spans, more = await self.spans(subject, start_us, end_us, limit=DAY_ROWS)
        if more is not None:
            raise Exhausted(f"more than {DAY_ROWS} changes in this time", "ask for fewer days")
        sums: dict[date, dict[State, int]] = {}
        for span in spans:
            at = span.start_us
            while at < span.end_us:
                day = civil_day(from_micros(at))
                midnight = datetime.combine(day + timedelta(days=1), datetime.min.time(), BEIJING)
                until = min(span.end_us, to_micros(midnight))
                own = sums.setdefault(day, dict.fromkeys(State, 0))
                own[span.state] += until - at
                at = until
        return [
            DayOnline(
                day=day, online_us=own[State.ONLINE], offline_us=own[State.OFFLINE], unknown_us=own[State.UNKNOWN]
            )
            for day, own in sorted(sums.items())
        ]


def _size(changes: StateChanges | DeviceStateChanged) -> int:
    return len(changes) if isinstance(changes, StateChanges) else 1


def _without(spans: Sequence[HistorySpan], down: int, up: int) -> list[HistorySpan]:
    """Spans with a stretch in them that nobody watched."""
    out: list[HistorySpan] = []
    for span in spans:
        begin, end = max(span.start_us, down), min(span.end_us, up)
        if begin >= end:
            out.append(span)
            continue
        if span.start_us < begin:
            out.append(span.between(span.start_us, begin))
        out.append(HistorySpan(start_us=begin, end_us=end, state=State.UNKNOWN, reason="unwatched", cause=""))
        if end < span.end_us:
            out.append(span.between(end, span.end_us))
    return out


def _joined(spans: Sequence[HistorySpan]) -> list[HistorySpan]:
    out: list[HistorySpan] = []
    for span in spans:
        last = out[-1] if out else None
        if last and (last.state, last.reason, last.cause) == (span.state, span.reason, span.cause):
            out[-1] = last.between(last.start_us, span.end_us)
        else:
            out.append(span)
    return out
