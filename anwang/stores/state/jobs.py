"""Jobs that outlive a process: when each is due, how far it has come, who runs it now.

For what slices do on their own (their `jobs`) where several processes share one state database; none has any yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update

from anwang.kernel.errors import Conflict
from anwang.stores.state.engine import State, upsert
from anwang.stores.state.schema import jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job's standing. cursor: how far it has come, in its own encoding. failures: in a row."""

    name: str
    due_at: datetime
    cursor: bytes | None
    held_by: str | None
    held_until: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    failures: int
    last_error: str | None


class Jobs:
    """The standing of all jobs; one holder at a time runs each, on any engine."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def declare(self, name: str, *, first_due: datetime) -> None:
        """Make the job known; one that is known keeps its standing."""
        async with self._state.begin() as tx:
            await upsert(tx, jobs, [{"name": name, "due_at": first_due}], key_columns=["name"], update_columns=[])

    async def claim(self, *, names: Sequence[str], holder: str, now: datetime, lease: timedelta) -> Job | None:
        """Take the job that is due longest among `names`, until now + lease; None if none is due and free."""
        free = or_(jobs.c.held_until.is_(None), jobs.c.held_until <= now, jobs.c.held_by == holder)
        async with self._state.begin() as tx:
            row = (
                await tx.execute(
                    select(jobs)
                    .where(jobs.c.name.in_(list(names)), jobs.c.due_at <= now, free)
                    .order_by(jobs.c.due_at, jobs.c.name)
                    .limit(1)
                    .with_for_update(skip_locked=True)
                )
            ).one_or_none()
            if row is None:
                return None
            held = {"held_by": holder, "held_until": now + lease, "started_at": now}
            await tx.execute(update(jobs).where(jobs.c.name == row.name).values(**held))
        return Job(**{**row._mapping, **held})

    async def progress(self, name: str, *, holder: str, cursor: bytes, now: datetime, lease: timedelta) -> None:
        """Save how far the job has come and hold it longer. Raises Conflict if another has taken it over."""
        await self._change(name, holder, cursor=cursor, held_until=now + lease)

    async def finish(
        self, name: str, *, holder: str, now: datetime, due_at: datetime, cursor: bytes | None, error: str | None = None
    ) -> None:
        """Let the job go until due_at. error: why this run failed; None: it did not. Raises Conflict as `progress`."""
        failed: object = 0 if error is None else jobs.c.failures + 1
        await self._change(
            name,
            holder,
            due_at=due_at,
            cursor=cursor,
            held_by=None,
            held_until=None,
            finished_at=now,
            failures=failed,
            last_error=None if error is None else error[:500],
        )

    async def _change(self, name: str, holder: str, **values: object) -> None:
        async with self._state.begin() as tx:
            done = await tx.execute(update(jobs).where(jobs.c.name == name, jobs.c.held_by == holder).values(**values))
            if not done.rowcount:
                raise Conflict(f"the job {name} is no longer held by {holder}")

    async def run_now(self, name: str, *, now: datetime) -> None:
        """Make the job due at once."""
        async with self._state.begin() as tx:
            await tx.execute(update(jobs).where(jobs.c.name == name).values(due_at=now))

    async def all(self) -> list[Job]:
        """Every job that was ever declared, by name: a few dozen, so no cursor."""
        async with self._state.read() as tx:
            return [Job(**row._mapping) for row in await tx.execute(select(jobs).order_by(jobs.c.name))]
