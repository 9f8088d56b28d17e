"""What a video system owes under Regulation 799, and how far it is with it. Pure; days are China's civil days.

The regulation is the 公共安全视频图像信息系统管理条例 (国务院令第799号), in force since 2025-04-01. Its article 14 says
what is filed (备案) and when: unit, places, number and types of devices, retention; within 30 days after the system was
put into use, within 90 days of 2025-04-01 for those that were there before. Article 9 frees the systems it is about
from articles 11, 14, 15, 16(2) and 17, not from signs (article 13).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NewType, Protocol

from anwang.kernel.ids import OrgId

SystemId = NewType("SystemId", str)
FormId = NewType("FormId", str)
SignId = NewType("SignId", str)

IN_FORCE = date(2025, 4, 1)
DAYS = 30
LEGACY_DAYS = 90
LEAST_RETENTION_DAYS = 30
"""Article 17."""
CITY_ID = "city"
"""The organisation whose path has no steps."""


class Regime(StrEnum):
    """Which articles a system (视频图像信息系统) falls under."""

    ART7 = "art7"
    """Public places where the regulation wants a system."""
    ART9 = "art9"
    """Other public places, by who is responsible for them and where it is needed."""
    NONPUBLIC = "nonpublic"
    """No public place (article 33)."""

    @property
    def is_filed(self) -> bool:
        """Whether it is filed with the county police (article 14)."""
        return self is Regime.ART7

    @property
    def has_signs(self) -> bool:
        """Whether signs must tell of it (article 13)."""
        return self is not Regime.NONPUBLIC

    @property
    def least_retention_days(self) -> int:
        """How long it must keep at least (article 17)."""
        return LEAST_RETENTION_DAYS if self is Regime.ART7 else 1


Devices = Mapping[str, int]
"""How many of each kind; kinds are the registry's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a filing says. unit: the responsible organisation's name. places: the devices by the organisation (its id)
    that owns them, because that is how a system knows its points, and it keeps its id when it moves.
    """

    name: str
    unit: str
    contact: str
    retention_days: int
    legal_basis: str
    in_use_on: date
    places: Mapping[str, Devices]

    @property
    def devices(self) -> dict[str, int]:
        """Of all places."""
        return added(self.places.values())

    @property
    def total(self) -> int:
        """All devices."""
        return sum(self.devices.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A filing form that was made, as it stood then; with its receipt once the police gave one."""

    id: FormId
    system_id: SystemId
    made_at: datetime
    made_by: str
    filed: Snapshot
    receipt_no: str = ""
    filed_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A video system and who answers for it. org_path: everything below it is its equipment."""

    id: SystemId
    name: str
    org_id: OrgId
    org_name: str
    org_path: str
    regime: Regime
    legal_basis: str
    in_use_on: date
    retention_days: int
    contact: str
    created_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A sign that tells of a system. longitude, latitude: WGS-84 degrees; both None where only the place is known.
    checked_on: when somebody last saw it. photo_key: of the object; "" while there is none.
    """

    id: SignId
    system_id: SystemId
    system_name: str
    place: str
    longitude: float | None
    latitude: float | None
    wording: str
    language: str
    contact: str
    checked_on: date
    photo_key: str = ""
    version: int = 1


class FilingState(StrEnum):
    """How far a system is with its filing."""

    OVERDUE = "overdue"
    CHANGED = "changed"
    """It was filed, and something that was filed is not so any more."""
    DUE = "due"
    FILED = "filed"
    NOT_NEEDED = "not_needed"


FIRST = tuple(FilingState)
"""The order of lists: what presses most comes first."""


class What(StrEnum):
    """What of a filing is not so any more."""

    NAME = "name"
    UNIT = "unit"
    CONTACT = "contact"
    RETENTION = "retention_days"
    DEVICES = "devices"
    """How many there are of a kind."""
    PLACES = "places"
    """Where they are, though there are as many."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was filed otherwise. kind: of devices; "" for everything else."""

    what: What
    before: str
    now: str
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """Where the filing of a system stands. due_on: the last day for it; None where none is set. form: the newest that
    has a receipt.
    """

    state: FilingState
    due_on: date | None = None
    form: Form | None = None
    changes: Sequence[Change] = field(default_factory=tuple)

    def days_left(self, today: date) -> int | None:
        """Until the last day, which counts; negative: it is over."""
        return None if self.due_on is None else (self.due_on - today).days


def due_on(in_use_on: date) -> date:
    """The last day of the first filing (article 14)."""
    if in_use_on < IN_FORCE:
        return IN_FORCE + timedelta(days=LEGACY_DAYS)
    return in_use_on + timedelta(days=DAYS)


def changes_of(filed: Snapshot, now: Snapshot) -> list[Change]:
    """What must be filed anew."""
    found = [
        Change(what, before, after)
        for what, before, after in (
            (What.NAME, filed.name, now.name),
            (What.UNIT, filed.unit, now.unit),
            (What.CONTACT, filed.contact, now.contact),
            (What.RETENTION, str(filed.retention_days), str(now.retention_days)),
        )
        if before != after
    ]
    then, today = filed.devices, now.devices
    moved = [
        Change(What.DEVICES, str(then.get(kind, 0)), str(today.get(kind, 0)), kind)
        for kind in sorted(then.keys() | today.keys())
        if then.get(kind, 0) != today.get(kind, 0)
    ]
    if not moved and _filled(filed.places) != _filled(now.places):
        moved = [Change(What.PLACES, str(len(_filled(filed.places))), str(len(_filled(now.places))))]
    return found + moved


def filing_of(system: System, form: Form | None, now: Snapshot, today: date) -> Filing:
    """Where it stands. form: the newest that has a receipt."""
    if not system.regime.is_filed:
        return Filing(state=FilingState.NOT_NEEDED, form=form)
    if form is None:
        last = due_on(system.in_use_on)
        return Filing(state=FilingState.OVERDUE if today > last else FilingState.DUE, due_on=last)
    changes = changes_of(form.filed, now)
    return Filing(state=FilingState.CHANGED if changes else FilingState.FILED, form=form, changes=changes)


def added(places: Iterable[Devices]) -> dict[str, int]:
    """Devices of several places together."""
    total: dict[str, int] = {}
    for devices in places:
        for kind, count in devices.items():
            total[kind] = total.get(kind, 0) + count
    return dict(sorted(total.items()))


def by_system(counted: Mapping[str, Devices], paths: Iterable[str]) -> dict[str, dict[str, Devices]]:
    """Each system's places, by the system's path. Devices belong to the nearest system above them: what has a system of
    its own is not counted with the one around it.
    """
    found: dict[str, dict[str, Devices]] = {path: {} for path in paths}
    for path, devices in counted.items():
        steps = path.split("/")[1:-1]
        above = ("/" + "".join(f"{step}/" for step in steps[:depth]) for depth in range(len(steps), -1, -1))
        nearest = next((each for each in above if each in found), None)
        if nearest is not None:
            found[nearest][steps[-1] if steps else CITY_ID] = devices
    return found


def _filled(places: Mapping[str, Devices]) -> dict[str, dict[str, int]]:
    return {path: dict(devices) for path, devices in places.items() if any(devices.values())}


# --- what it must know of others -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spot:
    """Devices of a kind at one address. unit: who owns them."""

    unit: str
    address: str
    kind: str
    count: int


class Equipment(Protocol):
    """What the register must know of devices in use; `registry` fulfils it."""

    async def counted(self) -> Mapping[str, Devices]:
        """All of them, by the path of the organisation that owns them."""

    async def spots(self, org_path: str, besides: Sequence[str], limit: int) -> Sequence[Spot]:
        """Where those below an organisation are, in the order of paths and addresses. besides: paths to leave out."""
