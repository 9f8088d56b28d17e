"""Use cases on the configuration of devices: taking what they say, finding drifts, accepting them (domain.md G24).

The first answer becomes the baseline. Whoever can write the database can't sign, so a row that was changed there shows
by its signature: when its device answers next, and once a day for all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from anwang.governance import EVERYTHING, Scope
from anwang.kernel.errors import Conflict, Invalid, NotFound
from anwang.kernel.ids import uuid7
from anwang.registry import store as registry_store
from anwang.registry.drift import store
from anwang.registry.drift.model import (
    CLOCK,
    Answer,
    Baseline,
    Changes,
    ClockState,
    Drift,
    DriftId,
    Kind,
    Origin,
    Seal,
    compared,
    judge_clock,
    off_text,
    still,
)
from anwang.registry.facts import DriftChanged, Fact
from anwang.registry.model import DeviceStatus, Page
from anwang.registry.roll import Admission
from anwang.registry.service import cursor_of, limited, read_cursor
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.stores.state import State, Tx

log = logs.get(__name__)

DAY_S = 86_400.0
PAGE = 500
LEAST_REASON, MOST_REASON = 3, 500

Write = Callable[[str, str], Awaitable[None]]
"""Writes a row of the ledger: device, detail."""


class Listed(NamedTuple):
    """A drift with its device's code and name."""

    drift: Drift
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a device's configuration stands. baseline, told_at None: it never answered. is_intact: the signature of the
    baseline fits. open: its open drifts.
    """

    baseline: Baseline | None
    told_at: datetime | None
    is_intact: bool
    open: tuple[Listed, ...]


class Drifts:
    """See the module. admission: of a device by gateway and code. announce: takes every fact; must not wait. ask: have
    a device (gateway, code) asked anew; set by whoever can.
    """

    def __init__(
        self,
        *,
        state: State,
        clock: Clock,
        seal: Seal,
        admission: Callable[[str, str], Admission | None],
        announce: Callable[[Fact], None],
    ) -> None:
        self._state = state
        self._clock = clock
        self._seal = seal
        self._admission = admission
        self._announce = announce
        self.ask: Callable[[str, str], None] = lambda gateway, code: None
        self.opened = dict.fromkeys(Kind, 0)
        """Drifts opened, by kind, since the start."""
        self.answers = 0
        """Answers compared since the start."""

    # --- what devices say -----------------------------------------------------------------------------------------

    async def take(self, gateway: str, code: str, answer: Answer) -> None:
        """A device said how it is set; of one that nobody let in nothing is kept."""
        admission = self._admission(gateway, code)
        if admission is None or admission.status is not DeviceStatus.ADOPTED:
            return
        facts: list[DriftChanged] = []
        async with self._state.begin() as tx:
            if await registry_store.lock_device(tx, admission.id) is None:
                return
            found = await self._found(tx, admission.id, answer)
            open_ = await store.open_drifts(tx, admission.id)
            for kind, changes in found.items():
                if await self._settle(tx, admission.id, kind, changes, open_.get(kind)):
                    facts.append(DriftChanged(gateway=gateway, device_id=code, kind=kind.value, is_open=bool(changes)))
        self.answers += 1
        self._tell(facts)

    async def _found(self, tx: Tx, device: str, answer: Answer) -> dict[Kind, Changes | None]:
        """The drifts that there are now, by kind: empty where there is none any more; kinds left out stay as they are.
        None stands for a drift without values.
        """
        now, held = self._clock.now(), await store.held(tx, device)
        if held is None:
            first = Baseline(device=device, values=answer.values, origin=Origin.FIRST_SEEN, made_at=now)
            await store.put_baseline(tx, self._seal.signed(first), told_at=now)
            held = first, None, 0
        elif not self._seal.fits(held[0]):
            await store.heard(tx, device, {"told_at": now})
            return {Kind.BASELINE: None}
        elif (wider := held[0].widened(answer)) != held[0]:
            await store.put_baseline(tx, self._seal.signed(wider), told_at=now)
        baseline, before_s, before_us = held
        found: dict[Kind, Changes | None] = {Kind.BASELINE: {}}
        differs, open_ = compared(baseline.values, answer), await store.open_drifts(tx, device)
        for kind in (Kind.SETTINGS, Kind.FIRMWARE, Kind.CHANNELS):
            unsaid = still(open_[kind].changes, answer.groups) if kind in open_ else {}
            found[kind] = {**unsaid, **differs.get(kind, {})}
        told: dict[str, object] = {"told_at": now}
        if answer.clock_off_s is not None:
            told |= {"clock_off_s": answer.clock_off_s, "clock_at_us": answer.clock_at_us}
            elapsed_s = (answer.clock_at_us - before_us) / 1e6
            accepted_s = baseline.accepted_off_s
            verdict = judge_clock(answer.clock_off_s, accepted_s=accepted_s, before_s=before_s, elapsed_s=elapsed_s)
            if verdict is not ClockState.UNSURE:
                changed = {CLOCK: (off_text(accepted_s), off_text(answer.clock_off_s))}
                found[Kind.CLOCK] = changed if verdict is ClockState.WRONG else {}
        await store.heard(tx, device, told)
        return found

    async def _settle(self, tx: Tx, device: str, kind: Kind, changes: Changes | None, open_: Drift | None) -> bool:
        """Open, renew or close a drift; whether one was opened or closed."""
        now, holds = self._clock.now(), changes is None or bool(changes)
        if open_ is None and holds:
            new = DriftId(uuid7(self._clock.micros() // 1000))
            one = Drift(id=new, device=device, kind=kind, changes=changes or {}, opened_at=now, seen_at=now)
            await store.add_drift(tx, one)
            self.opened[kind] += 1
            return True
        if open_ is None:
            return False
        if holds:
            await store.save_drift(tx, replace(open_, changes=changes or {}, seen_at=now))
            return False
        await store.save_drift(tx, replace(open_, closed_at=now))
        return True

    # --- what people see and decide -------------------------------------------------------------------------------

    async def of(self, seen: Scope, device: str) -> Standing:
        """Where a device's configuration stands. Raises NotFound."""
        async with self._state.read() as tx:
            if await registry_store.device_by_id(tx, seen, device) is None:
                raise NotFound(f"there is no device {device[:64]}")
            found = await store.baseline(tx, device, seen_by=seen)
            listed = await store.page(tx, seen_by=seen, is_open=True, device=device, before="", limit=len(Kind))
        baseline, told_at = found or (None, None)
        is_intact = baseline is None or self._seal.fits(baseline)
        return Standing(baseline, told_at, is_intact, tuple(Listed(*each) for each in listed))

    async def page(
        self, seen: Scope, *, is_open: bool | None = None, device: str = "", limit: int = 50, cursor: str | None = None
    ) -> Page[Listed]:
        """Drifts, newest first. is_open None: all. Raises Invalid."""
        limit, before = limited(limit), read_cursor(cursor, "")
        async with self._state.read() as tx:
            found = await store.page(tx, seen_by=seen, is_open=is_open, device=device, before=before, limit=limit + 1)
        shown = [Listed(*each) for each in found[:limit]]
        return Page(shown, cursor_of(shown[-1].drift.id) if len(found) > limit else None)

    async def count_open(self, seen: Scope) -> int:
        """How many are open."""
        async with self._state.read() as tx:
            return await store.count_open(tx, seen_by=seen)

    async def count_broken(self) -> int:
        """Baselines whose signature does not fit, as far as it was noticed."""
        async with self._state.read() as tx:
            return await store.count_open(tx, seen_by=EVERYTHING, kind=Kind.BASELINE)

    async def accept(self, seen: Scope, drift_id: str, *, by: str, reason: str, write: Write) -> Listed:
        """What the device says now is what it should say. A baseline that was changed in the database is thrown away,
        and the device's next answer is the first again. Raises NotFound, Conflict, Invalid, Unavailable (ledger).
        """
        why = " ".join(reason.split())
        if not LEAST_REASON <= len(why) <= MOST_REASON or not why.isprintable():
            raise Invalid(f"a reason has {LEAST_REASON} to {MOST_REASON} printable characters")
        async with self._state.begin() as tx:
            asked = await store.drift(tx, drift_id, seen_by=seen)
            device = None if asked is None else await registry_store.lock_device(tx, asked[0].device)
            found = None if asked is None else await store.drift(tx, drift_id, seen_by=seen)  # as the lock shows it
            one, code, name = found or (None, "", "")
            if one is None or device is None:
                raise NotFound(f"there is no drift {drift_id[:64]}")
            if one.closed_at is not None:
                raise Conflict("this drift is closed already", "read the list again")
            now = self._clock.now()
            await self._take_over(tx, one, at=now, by=by)
            closed = replace(one, closed_at=now, closed_by=by, reason=why)
            named = Listed(closed, code, name)
            await store.save_drift(tx, closed)
            await write(one.device, f"drift accepted: {_said(one)}; {why}")
        self._tell(
            [DriftChanged(gateway=device.gateway, device_id=device.device_id, kind=one.kind.value, is_open=False)]
        )
        if one.kind is Kind.BASELINE:
            self.ask(device.gateway, device.device_id)
        return named

    async def _take_over(self, tx: Tx, one: Drift, *, at: datetime, by: str) -> None:
        if one.kind is Kind.BASELINE:
            await store.drop_baseline(tx, one.device)
            return
        held = await store.held(tx, one.device)
        if held is None or not self._seal.fits(held[0]):
            raise Conflict(
                "the baseline of this device was changed in the database, so nothing is accepted into it",
                "settle that first: the device's next answer becomes its baseline",
            )
        await store.put_baseline(tx, self._seal.signed(held[0].patched(one.changes, at=at, by=by)))

    # --- signatures -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look at all signatures once a day; until cancelled."""
        while True:
            try:
                await self.review()
            except Exception:
                log.exception("the signatures of baselines could not be looked at")
            await self._clock.sleep(DAY_S)

    async def review(self) -> int:
        """Look at the signature of every baseline: how many do not fit. After a rotation of keys they are made anew."""
        after, broken = "", 0
        while True:
            async with self._state.read() as tx:
                found = await store.baselines(tx, after=after, limit=PAGE)
            for one in found:
                if not self._seal.fits(one):
                    broken += 1
                    await self._note_broken(one.device)
                elif not self._seal.is_newest(one):
                    async with self._state.begin() as tx:
                        await store.sign_again(tx, self._seal.signed(one), before=one.signature)
            if len(found) < PAGE:
                return broken
            after = found[-1].device

    async def _note_broken(self, device: str) -> None:
        async with self._state.begin() as tx:
            known = await registry_store.lock_device(tx, device)
            held = await store.held(tx, device)
            if known is None or held is None or self._seal.fits(held[0]):
                return
            open_ = await store.open_drifts(tx, device)
            is_new = await self._settle(tx, device, Kind.BASELINE, None, open_.get(Kind.BASELINE))
        if is_new:
            self._tell(
                [DriftChanged(gateway=known.gateway, device_id=known.device_id, kind=Kind.BASELINE, is_open=True)]
            )

    def _tell(self, facts: list[DriftChanged]) -> None:
        for fact in facts:
            self._announce(fact)


def _said(one: Drift) -> str:
    """In a line of the ledger."""
    return f"{one.kind}: {_pairs(one.changes)}"[:400] if one.changes else str(one.kind)


def _pairs(changes: Mapping[str, tuple[str, str]]) -> str:
    return ", ".join(f"{key} {before or '-'} → {after or '-'}" for key, (before, after) in changes.items())
