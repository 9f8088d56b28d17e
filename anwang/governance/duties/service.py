"""Use cases on video systems and their filing (domain.md G16).

A form is made before it is handed in, and keeps what it said: devices may come and go before the receipt does, and what
was filed is what the form said, not what there was on the day of the receipt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from anwang.governance.actions import Action
from anwang.governance.duties import store
from anwang.governance.duties.model import (
    FIRST,
    IN_FORCE,
    Devices,
    Equipment,
    Filing,
    FilingState,
    Form,
    FormId,
    Regime,
    Snapshot,
    Spot,
    System,
    SystemId,
    by_system,
    due_on,
    filing_of,
)
from anwang.governance.model import Actor, Organisation, Page, scope_of, within
from anwang.governance.scopes import EVERYTHING
from anwang.governance.words import one_line
from anwang.kernel.errors import Conflict, Invalid, NotFound
from anwang.kernel.ids import OrgId, uuid7
from anwang.kernel.times import civil_day
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.stores.state import State, Tx

log = logs.get(__name__)

TURN_SECONDS = 3600.0
MOST_SPOTS = 20_000
"""Places that a form lists one by one."""
MOST_RETENTION_DAYS = 3_660
OLDEST = date(1980, 1, 1)
FARTHEST = timedelta(days=1_830)

Write = Callable[[Actor, Action, Sequence[str], str], Awaitable[None]]
"""Writes a row of the ledger: actor, action, objects, detail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a system shall be; see System."""

    name: str
    org_id: OrgId
    regime: Regime
    legal_basis: str
    in_use_on: date
    retention_days: int
    contact: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A system, what it has now, and where its filing stands."""

    system: System
    devices: Devices
    filing: Filing
    signs: int

    @property
    def lacks_sign(self) -> bool:
        """Whether there must be a sign and is none (article 13)."""
        return self.system.regime.has_signs and self.signs == 0

    def key(self) -> str:
        """What presses most comes first, then what is due first."""
        due = self.filing.due_on.isoformat() if self.filing.due_on else ""
        return f"{FIRST.index(self.filing.state)}{due}/{self.system.id}"


@dataclass(slots=True, kw_only=True)
class Duties:
    """place: an organisation, None for an unknown one. equipment: see there. overdue: filings that the police should
    have had, at the last count.
    """

    state: State
    clock: Clock
    write: Write
    place: Callable[[OrgId], Awaitable[Organisation | None]]
    equipment: Equipment
    overdue: int = 0

    def today(self) -> date:
        """In China."""
        return civil_day(self.clock.now())

    async def turn(self) -> None:
        """Count the filings that are overdue."""
        async with self.state.read() as tx:
            known = await store.systems(tx, seen_by=EVERYTHING)
            filed = await store.newest_forms(tx, seen_by=EVERYTHING)
        today = self.today()
        self.overdue = sum(
            one.regime.is_filed and one.id not in filed and today > due_on(one.in_use_on) for one in known
        )

    async def run(self) -> None:
        """Turn after turn, until cancelled."""
        while True:
            try:
                await self.turn()
            except Exception as err:  # the next turn tries again
                log.error("the turn of filings failed", error=str(err))
            await self.clock.sleep(TURN_SECONDS)

    # --- systems -------------------------------------------------------------------------------------------------

    async def add(self, actor: Actor, wanted: Wanted) -> Standing:
        """Enter a system. Raises Denied, NotFound (organisation), Invalid, Conflict (it has one), Unavailable."""
        now = self.clock.now()
        made = await self._made(actor, wanted, SystemId(uuid7(self.clock.micros() // 1000)), 1, now)
        async with self.state.begin() as tx:
            await self._check_alone(tx, made)
            await store.add_system(tx, made)
            await self.write(actor, Action.MANAGE_DUTIES, (made.id,), f"video system entered: {_told(made)}")
        return await self.one(actor, made.id)

    async def change(self, actor: Actor, system_id: str, wanted: Wanted, *, version: int) -> Standing:
        """It is otherwise. version: of what was read. Raises as `add`, and NotFound, Conflict (changed meanwhile)."""
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, system_id, Action.MANAGE_DUTIES, lock=True)
            if found.version != version:
                raise Conflict("someone else has changed this system meanwhile", "read it again, then change it")
            made = await self._made(actor, wanted, found.id, version + 1, found.created_at)
            await self._check_alone(tx, made)
            await store.save_system(tx, made)
            await self.write(actor, Action.MANAGE_DUTIES, (made.id,), f"video system changed: {_told(made)}")
        return await self.one(actor, made.id)

    async def remove(self, actor: Actor, system_id: str) -> None:
        """It is out of use; forms and receipts stay. Raises Denied, NotFound, Unavailable."""
        async with self.state.begin() as tx:
            found = await self._get(tx, actor, system_id, Action.MANAGE_DUTIES, lock=True)
            await store.remove_system(tx, found.id, self.clock.now())
            await self.write(actor, Action.MANAGE_DUTIES, (found.id,), f"video system removed: {_told(found)}")

    async def one(self, actor: Actor, system_id: str) -> Standing:
        """Raises Denied, NotFound."""
        async with self.state.read() as tx:
            found = await self._get(tx, actor, system_id, Action.READ_DUTIES)
            form = (await store.newest_forms(tx, seen_by=actor.scope)).get(found.id)
            paths = await store.paths(tx)
            signs = (await store.sign_counts(tx, seen_by=actor.scope)).get(found.id, 0)
        return self._standing(found, form, by_system(await self.equipment.counted(), paths)[found.org_path], signs)

    async def page(self, actor: Actor, *, states: Collection[FilingState], cursor: str, limit: int) -> Page[Standing]:
        """Those in the actor's scope, what presses most first. states: empty for all.

        Where a filing stands depends on what devices there are now, so each page looks at all systems; there are as
        many as units with a system, not as many as points.
        """
        scope = scope_of(actor, Action.READ_DUTIES)
        async with self.state.read() as tx:
            found = await store.systems(tx, seen_by=scope)
            forms = await store.newest_forms(tx, seen_by=scope)
            paths = await store.paths(tx)
            signs = await store.sign_counts(tx, seen_by=scope)
        places = by_system(await self.equipment.counted() if found else {}, paths)
        stand = [
            self._standing(each, forms.get(each.id), places[each.org_path], signs.get(each.id, 0)) for each in found
        ]
        wanted = [each for each in stand if (not states or each.filing.state in states) and each.key() > cursor]
        return Page.cut(sorted(wanted, key=Standing.key)[: limit + 1], limit, Standing.key)

    def _standing(self, system: System, form: Form | None, places: Mapping[str, Devices], signs: int) -> Standing:
        now = _snapshot(system, places)
        return Standing(system, now.devices, filing_of(system, form, now, self.today()), signs)

    async def _made(
        self, actor: Actor, wanted: Wanted, system_id: SystemId, version: int, created_at: datetime
    ) -> System:
        scope = scope_of(actor, Action.MANAGE_DUTIES)
        organisation = within(await self.place(wanted.org_id), wanted.org_id, scope)
        least = wanted.regime.least_retention_days
        if not least <= wanted.retention_days <= MOST_RETENTION_DAYS:
            raise Invalid(
                f"such a system keeps its recordings {least} to {MOST_RETENTION_DAYS} days",
                "article 17 of Regulation 799 asks for 30 days at least",
            )
        if not OLDEST <= wanted.in_use_on <= self.today() + FARTHEST:
            raise Invalid("the day of being put into use lies too far away", "write it as 2026-11-30")
        return System(
            id=system_id,
            name=one_line(wanted.name, "a name", most=100),
            org_id=organisation.id,
            org_name=organisation.name,
            org_path=organisation.path,
            regime=wanted.regime,
            legal_basis=one_line(wanted.legal_basis, "a legal basis", most=300),
            in_use_on=wanted.in_use_on,
            retention_days=wanted.retention_days,
            contact=one_line(wanted.contact, "a contact", most=200),
            version=version,
            created_at=created_at,
        )

    async def _check_alone(self, tx: Tx, made: System) -> None:
        other = (await store.paths(tx)).get(made.org_path)
        if other is not None and other != made.id:
            raise Conflict(
                "this organisation has a video system already",
                "points are told apart by their organisation; name a part of it",
            )

    async def _get(self, tx: Tx, actor: Actor, system_id: str, action: Action, *, lock: bool = False) -> System:
        found = await store.system(tx, system_id, seen_by=scope_of(actor, action), lock=lock)
        if found is None:
            raise NotFound("there is no such video system", "it may have been removed")
        return found

    async def organisations_changed(self) -> None:
        """The registry may have renamed or moved organisations: the systems follow."""
        async with self.state.read() as tx:
            used = await store.organisations(tx)
        found = [await self.place(each) for each in used]
        async with self.state.begin() as tx:
            for organisation in found:
                if organisation is not None:
                    await store.move_systems(tx, organisation.id, name=organisation.name, path=organisation.path)

    # --- filing --------------------------------------------------------------------------------------------------

    async def make_form(self, actor: Actor, system_id: str) -> Form:
        """Put down what there is now, to be filed. Raises Denied, NotFound, Conflict (not needed), Unavailable."""
        async with self.state.read() as tx:
            found = await self._get(tx, actor, system_id, Action.MANAGE_DUTIES)
            paths = await store.paths(tx)
        if not found.regime.is_filed:
            raise Conflict("a system of this regime is not filed", "article 14 of Regulation 799 is about article 7")
        places = by_system(await self.equipment.counted(), paths)[found.org_path]
        inner = [path for path in paths if path != found.org_path and path.startswith(found.org_path)]
        made = Form(
            id=FormId(uuid7(self.clock.micros() // 1000)),
            system_id=found.id,
            made_at=self.clock.now(),
            made_by=actor.username,
            filed=_snapshot(found, places),
        )
        spots = await self.equipment.spots(found.org_path, inner, MOST_SPOTS)
        async with self.state.begin() as tx:
            await store.add_form(tx, made, spots)
            told = f"filing form made: {made.filed.unit}, {made.filed.total} devices"
            await self.write(actor, Action.MANAGE_DUTIES, (found.id, made.id), told)
        return made

    async def forms(self, actor: Actor, system_id: str, *, cursor: str, limit: int) -> Page[Form]:
        """A system's forms, latest first. Raises Denied, NotFound."""
        async with self.state.read() as tx:
            found = await self._get(tx, actor, system_id, Action.READ_DUTIES)
            forms = await store.forms_page(tx, found.id, before=cursor, limit=limit + 1)
        return Page.cut(forms, limit, lambda each: each.id)

    async def form(self, actor: Actor, form_id: str) -> tuple[Form, Sequence[Spot]]:
        """A form, and where the devices were when it was made. Raises Denied, NotFound."""
        async with self.state.read() as tx:
            found = await self._form(tx, actor, form_id, Action.READ_DUTIES)
            return found, await store.spots_of(tx, found.id)

    async def file(self, actor: Actor, form_id: str, *, receipt_no: str, filed_on: date) -> Form:
        """The police gave a receipt for a form; entered wrongly, it is entered again.

        Raises Denied, NotFound, Invalid, Unavailable.
        """
        number = one_line(receipt_no, "a receipt number", most=100)
        async with self.state.begin() as tx:
            found = await self._form(tx, actor, form_id, Action.MANAGE_DUTIES)
            system = await self._get(tx, actor, found.system_id, Action.MANAGE_DUTIES, lock=True)
            if not IN_FORCE <= filed_on <= self.today():  # one may have filed before there was this register
                raise Invalid("the day of a receipt lies between 2025-04-01 and today", "write it as 2026-11-30")
            await store.put_receipt(tx, found.id, receipt_no=number, filed_on=filed_on)
            newest = (await store.newest_forms(tx, seen_by=actor.scope)).get(system.id)
            if newest is None or newest.id <= found.id:
                await store.set_newest(tx, system.id, found.id)
            told = f"filed on {filed_on.isoformat()}, receipt {number}"
            await self.write(actor, Action.MANAGE_DUTIES, (system.id, found.id), told)
        return replace(found, receipt_no=number, filed_on=filed_on)

    async def _form(self, tx: Tx, actor: Actor, form_id: str, action: Action) -> Form:
        found = await store.form(tx, form_id, seen_by=scope_of(actor, action))
        if found is None:
            raise NotFound("there is no such filing form", "its system may have been removed")
        return found


def _snapshot(system: System, places: Mapping[str, Devices]) -> Snapshot:
    return Snapshot(
        name=system.name,
        unit=system.org_name,
        contact=system.contact,
        retention_days=system.retention_days,
        legal_basis=system.legal_basis,
        in_use_on=system.in_use_on,
        places=places,
    )


def _told(system: System) -> str:
    return (
        f"{system.name}, {system.org_name}, {system.regime}, in use on {system.in_use_on.isoformat()}, "
        f"{system.retention_days} days, {system.legal_basis}"
    )
