"""The dialogs of calls that stand, in the state store: a platform that was killed ends them when it is back.

A device that was sending goes on after our end, holds its place for it, and may refuse the next invitation. So what a
BYE needs is kept, written within a second of the answer, and the BYE is sent when its device shows up again.
"""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy import Column, Integer, Table, Text

from anwang.runtime.clock import Clock
from anwang.stores.state import Moment, State, metadata, upsert
from anwang.wire.sip import DialogNames

MOST = 50_000
LONGEST = timedelta(days=7)
"""No registration is longer: a device that has not come back since then has forgotten too."""
LATER_CSEQ = 10_000
"""Requests that may have followed inside the call since it was written."""
STEP = 500

call = Table(
    "gb28181_call",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("device_id", Text, nullable=False),  # 20 digits, of the device that registered
    Column("local", Text, nullable=False),  # our address with its tag, as From has it
    Column("remote", Text, nullable=False),  # the channel's with its tag, as To has it
    Column("target", Text, nullable=False),  # the Request-URI
    Column("cseq", Integer, nullable=False),  # of our last request when this was written
    Column("began_at", Moment, nullable=False),
)


class KeptCalls:
    """What stands now is written in batches; what a run before left is handed out by device, once."""

    def __init__(self, *, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._fresh: dict[str, dict[str, object]] = {}
        self._over: set[str] = set()
        self._written: set[str] = set()
        self._left: dict[str, list[DialogNames]] = {}
        self.unkept = 0
        """Calls that are not kept for want of room."""

    async def load(self) -> None:
        """Read what the run before left."""
        since = self._clock.now() - LONGEST
        async with self._state.begin() as tx:
            await tx.execute(sa.delete(call).where(call.c.began_at < since))
            rows = (await tx.execute(sa.select(call).order_by(call.c.began_at).limit(MOST))).all()
        for row in rows:
            names = DialogNames(row.call_id, row.local, row.remote, row.target, row.cseq + LATER_CSEQ)
            self._left.setdefault(row.device_id, []).append(names)
            self._written.add(row.call_id)

    def began(self, device: str, names: DialogNames) -> None:
        """A call stands."""
        if len(self._written) + len(self._fresh) >= MOST:
            self.unkept += 1
            return
        self._fresh[names.call_id] = {
            "call_id": names.call_id, "device_id": device, "local": names.local, "remote": names.remote,
            "target": names.target, "cseq": names.cseq, "began_at": self._clock.now(),
        }  # fmt: skip

    def ended(self, call_id: str) -> None:
        """It is over."""
        if self._fresh.pop(call_id, None) is None and call_id in self._written:
            self._over.add(call_id)

    def left(self, device: str) -> list[DialogNames]:
        """The calls of this device that a run before left standing; told once."""
        found = self._left.pop(device, []) if self._left else []
        for names in found:
            self.ended(names.call_id)
        return found

    async def flush(self) -> None:
        """Write what has changed. Raises Unavailable; what is not written is tried again."""
        fresh, over = list(self._fresh.values())[:STEP], list(self._over)[:STEP]
        if not fresh and not over:
            return
        columns = [name for name in call.c.keys() if name != "call_id"]  # noqa: SIM118 - it has no __iter__ of names
        async with self._state.begin() as tx:
            if over:
                await tx.execute(sa.delete(call).where(call.c.call_id.in_(over)))
            if fresh:
                await upsert(tx, call, fresh, key_columns=["call_id"], update_columns=columns)
        self._over.difference_update(over)
        self._written.difference_update(over)
        for row in fresh:
            name = str(row["call_id"])
            self._written.add(name)
            if self._fresh.pop(name, None) is None:
                self._over.add(name)  # it ended while it was written
