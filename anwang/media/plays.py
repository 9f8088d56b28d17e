"""The traces of plays: what happened between the wish to see a camera and its first picture, and why it failed.

Kept for some days (`media.trace_days`), so many of a kind a day at most; what goes beyond is counted in `refused`, and
who asks for such a trace is told. What the recorder tries again and again while a camera is away is one row:
the outage, with the number of attempts and the steps of the last.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Integer, Row, Table, Text

from anwang.kernel.errors import NotFound
from anwang.kernel.ids import PlayId, PointId
from anwang.media.index import DAY_US
from anwang.stores.state import Json, State, Tx, media_metadata, upsert

play = Table(
    "play",
    media_metadata,
    Column("id", Text, primary_key=True),  # PlayId
    Column("point", Text, nullable=False),
    Column("kind", Text, nullable=False),  # live, record, playback, snapshot ...
    Column("started_us", BigInteger, nullable=False),
    Column("finished_us", BigInteger),  # NULL: it still goes on, or the platform died
    Column("outcome", Text, nullable=False),  # playing, stopped, failed
    Column("verdict", Text, nullable=False),  # one sentence for people, and the next step
    Column("first_picture_ms", Integer),  # from the wish to the first picture; NULL: never came
    Column("attempts", Integer, nullable=False, server_default="1"),  # of the recorder, while the camera was away
    Column("steps", Json, nullable=False),  # list of PlayStep
    Column("messages", Json, nullable=False),  # list of PlayMessage, secrets already redacted
)
sa.Index("ix_play_point", play.c.point, play.c.started_us)
sa.Index("ix_play_started", play.c.started_us)
sa.Index("ix_play_kind", play.c.kind, play.c.started_us)

KEPT_DAYS = 30
PER_DAY = 20_000
"""Of each kind."""
MOST_REFUSED = 10_000
RECORD, FAILED = "record", "failed"
LONGEST_MESSAGE = 8192
MOST_STEPS = 200


class PlayStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step on the way (access.Step). detail: for people."""

    at_us: int
    step: str
    detail: str = ""


class PlayMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A wire message, redacted. cut: bytes left out at its end. skipped: messages left out right before it."""

    at_us: int
    outgoing: bool
    text: str
    cut: int = 0
    skipped: int = 0


class Play(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one play; at most MOST_STEPS steps and messages are kept.

    attempts: more than one where a row stands for a whole outage of a recorded camera, the last at finished_us.
    """

    id: PlayId
    point: PointId
    kind: str
    started_us: int
    finished_us: int | None = None
    outcome: str = "playing"
    verdict: str = ""
    first_picture_ms: int | None = None
    attempts: int = 1
    steps: tuple[PlayStep, ...] = ()
    messages: tuple[PlayMessage, ...] = ()


def message_of(at_us: int, data: bytes, *, outgoing: bool) -> PlayMessage:
    """A wire message as a trace keeps it: text, at most LONGEST_MESSAGE bytes of it."""
    text = data[:LONGEST_MESSAGE].decode("utf-8", "replace").replace("\x00", "\ufffd")
    return PlayMessage(at_us=at_us, outgoing=outgoing, text=text, cut=max(0, len(data) - LONGEST_MESSAGE))


class Plays:
    """The kept traces."""

    def __init__(self, state: State, *, per_day: int = PER_DAY, kept_days: int = KEPT_DAYS) -> None:
        self._state = state
        self._per_day = per_day
        self._kept_days = kept_days
        self._log = logging.getLogger(__name__)
        self.refused = 0
        self._not_kept: OrderedDict[PlayId, str] = OrderedDict()

    async def put(self, one: Play, *, is_late: bool = False) -> bool:
        """Write a play, or write it anew with what has become known since. False: the day's bound is reached.

        is_late: it was written when it had ended; of an outage this is no further attempt.
        """
        row = {name: getattr(one, name) for name in one.__struct_fields__}
        row["steps"] = msgspec.to_builtins(one.steps[:MOST_STEPS])
        row["messages"] = msgspec.to_builtins(one.messages[:MOST_STEPS])
        start = one.started_us // DAY_US * DAY_US
        async with self._state.begin() as tx:
            if one.kind == RECORD and one.outcome == FAILED:
                outage = await self._outage(tx, one.point)
                if outage is not None and (outage[0] != one.id or (is_late and outage[1] > 1)):
                    if one.finished_us is not None:
                        fresh = {name: row[name] for name in ("finished_us", "verdict", "steps", "messages")}
                        more = sa.update(play).where(play.c.id == outage[0])
                        if is_late:  # unless the next attempt stands there already
                            more = more.where(play.c.finished_us == one.finished_us)
                        await tx.execute(more.values(**fresh, attempts=outage[1] + (not is_late)))
                    return True
                row["attempts"] = 1 if outage is None else outage[1]
            known = await tx.scalar(sa.select(play.c.id).where(play.c.id == one.id))
            if known is None:
                within = (play.c.kind == one.kind) & play.c.started_us.between(start, start + DAY_US - 1)
                if (await tx.scalar(sa.select(sa.func.count()).where(within)) or 0) >= self._per_day:
                    self._refuse(one)
                    return False
            changing = [name for name in row if name not in ("id", "point", "kind", "started_us")]
            await upsert(tx, play, [row], key_columns=["id"], update_columns=changing)
        return True

    async def _outage(self, tx: Tx, point: PointId) -> tuple[str, int] | None:
        """The recorder's last play of a point and its attempts, if it failed: the outage that lasts."""
        query = (
            sa.select(play.c.id, play.c.outcome, play.c.attempts)
            .where(play.c.point == point, play.c.kind == RECORD)
            .order_by(play.c.started_us.desc(), play.c.id.desc())
            .limit(1)
        )
        row = (await tx.execute(query)).first()
        return None if row is None or row.outcome != FAILED else (row.id, row.attempts)

    def _refuse(self, one: Play) -> None:
        self.refused += 1
        self._not_kept[one.id] = one.kind
        while len(self._not_kept) > MOST_REFUSED:
            self._not_kept.popitem(last=False)
        if self.refused % 1000 == 1:
            self._log.warning("play traces beyond the day's bound are not kept: %d so far", self.refused)

    async def get(self, id: PlayId) -> Play:
        """Raises NotFound."""
        async with self._state.read() as tx:
            row = (await tx.execute(sa.select(play).where(play.c.id == id))).first()
        if row is None and id in self._not_kept:
            raise NotFound(
                f"the trace of this play was not kept: {self._per_day} of its kind are kept a day",
                "play it again later",
            )
        if row is None:
            raise self.unknown(id)
        return _to_play(row)

    def unknown(self, id: PlayId) -> NotFound:
        """What is said of a play that there is not, and of one that somebody does not see."""
        return NotFound(f"no play {id[:64]}", f"traces are kept for {self._kept_days} days")

    async def of(self, point: PointId, *, limit: int = 50, before: tuple[int, PlayId] | None = None) -> Sequence[Play]:
        """A point's plays, newest first. before: start and id of the last one of the page before."""
        query = sa.select(play).where(play.c.point == point)
        if before is not None:
            query = query.where(
                (play.c.started_us < before[0]) | ((play.c.started_us == before[0]) & (play.c.id < before[1]))
            )
        query = query.order_by(play.c.started_us.desc(), play.c.id.desc()).limit(limit)
        async with self._state.read() as tx:
            return [_to_play(row) for row in (await tx.execute(query)).all()]

    async def forget(self, now_us: int, *, limit: int = 5000) -> int:
        """Delete what is older than they are kept, the oldest first, at most `limit`. Returns how many."""
        old = (
            sa.select(play.c.id)
            .where(play.c.started_us < now_us - self._kept_days * DAY_US)
            .order_by(play.c.started_us)
            .limit(limit)
        )
        async with self._state.begin() as tx:
            return (await tx.execute(sa.delete(play).where(play.c.id.in_(old)))).rowcount


def _to_play(row: Row[Any]) -> Play:
    return Play(
        id=row.id,
        point=row.point,
        kind=row.kind,
        started_us=row.started_us,
        finished_us=row.finished_us,
        outcome=row.outcome,
        verdict=row.verdict,
        first_picture_ms=row.first_picture_ms,
        attempts=row.attempts,
        steps=msgspec.convert(row.steps, tuple[PlayStep, ...]),
        messages=msgspec.convert(row.messages, tuple[PlayMessage, ...]),
    )
