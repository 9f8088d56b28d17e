"""What keeps the house in order.

By itself, at start and then every hour: what nobody asks for any more is forgotten, deletions that were begun are
finished, the ledger is gone through for what is unusual (`Upkeep`). By command: rebuild the media index, rotate the
master key.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

from anwang.app.claim import Claim
from anwang.app.engines import data_folder, key_file, open_objects, open_state
from anwang.app.ledger import hand_anchors_over
from anwang.gateways import gb28181, rtsp
from anwang.governance import Watch, reseal_askers
from anwang.governance import reseal as reseal_factors
from anwang.kernel.errors import AnwangError, Conflict
from anwang.media import Plays, Rebuilt, RecordingKeeper, Reindex, SegmentIndex, Signals
from anwang.runtime import logs, secrets
from anwang.runtime.clock import Clock
from anwang.runtime.settings import Settings
from anwang.stores.state import MAIN, MEDIA, Schema, State, migrate, revision_of

log = logs.get(__name__)

TURN_SECONDS = 3600.0
BACKOFF = (60.0, 120.0, 300.0, 900.0)
"""Pauses after a turn in which something failed, before it is the hour again."""
MOST_ROWS = 5000
MOST_ROUNDS = 20
"""Deletions of MOST_ROWS in one turn: 100,000 rows an hour at most, so that others get to the database in between."""


TASKS = ("sweep", "plays", "gaps", "marks", "anomalies", "merges")


class Upkeep:
    """The turns that the platform makes by itself. Each is bounded; what is left waits for the next one."""

    def __init__(
        self,
        *,
        clock: Clock,
        plays: Plays,
        index: SegmentIndex,
        signals: Signals,
        keeper: RecordingKeeper,
        gaps_kept: timedelta,
        watch: Watch | None = None,
        resume_merges: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """watch: goes through the ledger; None: nothing does.

        resume_merges: what lets the series engine merge again after a backup that was killed; None: not ours.
        """
        self._clock = clock
        self._plays = plays
        self._index = index
        self._signals = signals
        self._keeper = keeper
        self._gaps_kept = gaps_kept
        self._watch = watch
        self._resume_merges = resume_merges
        self.forgotten: Counter[str] = Counter()
        """Rows deleted since the start, by what they were."""
        self.left_objects = 0
        """Objects of deleted recordings that the last turn could not delete."""
        self.failures: Counter[str] = Counter(dict.fromkeys(TASKS, 0))
        """What went wrong since the start, by task."""
        self.failing: dict[str, str] = {}
        """What went wrong in the last turn, by task."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        clock: Clock,
        plays: Plays,
        index: SegmentIndex,
        signals: Signals,
        keeper: RecordingKeeper,
        watch: Watch | None = None,
        resume_merges: Callable[[], Awaitable[None]] | None = None,
    ) -> Upkeep:
        """As the settings want it: causes of gaps and marks live as long as any recording beside them."""
        kept = settings.retention
        days = max(kept.gap_days, kept.minimum_days, kept.class_1_days, kept.class_2_days, kept.class_3_days)
        return cls(
            clock=clock,
            plays=plays,
            index=index,
            signals=signals,
            keeper=keeper,
            gaps_kept=timedelta(days=days),
            watch=watch,
            resume_merges=resume_merges,
        )

    async def run(self) -> None:
        """Turn after turn, until cancelled."""
        failed = 0
        while True:
            await self.turn()
            failed = failed + 1 if self.failing else 0
            await self._clock.sleep(BACKOFF[failed - 1] if 0 < failed <= len(BACKOFF) else TURN_SECONDS)

    async def turn(self) -> None:
        """One turn. A task that fails leaves the others alone and is tried again in the next turn, which comes soon."""
        now = self._clock.micros()
        gaps_before = now - self._gaps_kept // timedelta(microseconds=1)
        await self._task("sweep", self._sweep())
        await self._task("plays", self._forget("plays", lambda: self._plays.forget(now, limit=MOST_ROWS)))
        await self._task("gaps", self._forget("gaps", lambda: self._index.forget_gaps(gaps_before, limit=MOST_ROWS)))
        await self._task("marks", self._forget("marks", lambda: self._signals.forget(gaps_before, limit=MOST_ROWS)))
        if self._watch is not None:
            await self._task("anomalies", self._watch.turn())
        if self._resume_merges is not None:
            await self._task("merges", self._resume_merges())

    async def _sweep(self) -> None:
        self.left_objects = await self._keeper.sweep()

    async def _forget(self, what: str, some: Callable[[], Awaitable[int]]) -> None:
        for _ in range(MOST_ROUNDS):
            count = await some()
            self.forgotten[what] += count
            if count < MOST_ROWS:
                return

    async def _task(self, name: str, work: Awaitable[object]) -> None:
        try:
            await work
        except Exception as err:  # a full disk, a database that restarts, a fault of our own: the house goes on
            self.failures[name] += 1
            self.failing[name] = str(err)[:300]
            own = None if isinstance(err, AnwangError) else err
            log.error("upkeep failed, it is tried again", task=name, reason=self.failing[name], exc_info=own)
        else:
            self.failing.pop(name, None)


async def rebuild_media_index(settings: Settings) -> Rebuilt:
    """Index every stored segment that the media index lacks; a missing index is made. Raises Conflict (it runs)."""
    with Claim.take(data_folder(settings)):
        state = await open_state(settings, MEDIA)
        try:
            await _check_revision(state, MEDIA, may_be_empty=True)
            objects = open_objects(settings)
            try:
                return await Reindex(index=SegmentIndex(state), objects=objects).rebuild()
            finally:
                objects.close()
        finally:
            await state.close()


async def rotate_key(settings: Settings) -> tuple[str, int]:
    """Put a new master key on top of the key file and seal every secret with it; the key's id and how many secrets.

    Older keys stay in the file, so that a crash in between loses nothing. Raises Conflict (it runs), NotFound, Invalid.
    """
    with Claim.take(data_folder(settings)):
        state = await open_state(settings, MAIN, create=False)
        try:
            await _check_revision(state, MAIN)
            sealer = await asyncio.to_thread(secrets.rotate, key_file(settings))
            await hand_anchors_over(settings, state, sealer)
            return sealer.key_id, await _reseal_all(state, sealer)
        finally:
            await state.close()


async def _reseal_all(state: State, sealer: secrets.Sealer) -> int:
    return sum([await one(state, sealer) for one in (rtsp.reseal, gb28181.reseal, reseal_factors, reseal_askers)])


async def _check_revision(state: State, schema: Schema, *, may_be_empty: bool = False) -> None:
    """Only `serve` upgrades a database, for it takes a backup first. Raises Conflict where that is still to come."""
    found = await revision_of(state, schema)
    if found is None and may_be_empty:
        await migrate(state, schema=schema)
    elif found != schema.head():
        raise Conflict(
            f"the {schema.name} database is at revision {found}, this program at {schema.head()}",
            "start the platform once with this program, which upgrades it after a backup",
        )
