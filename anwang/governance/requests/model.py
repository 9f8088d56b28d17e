"""Requests of people to see recordings (查阅申请), and complaints (投诉): their steps and their clock. Pure.

Regulation 799 (国务院令第799号) lets a natural person, relatives and guardians view recordings to protect life, health
or property, with the consent of who manages the system [K]. Others in the picture must not be recognised in what is
handed out. Fifteen working days is our own clock [D].
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NewType

from anwang.governance.reasons import PurposeKind
from anwang.kernel.errors import Conflict, Invalid
from anwang.kernel.ids import OrgId, UserId
from anwang.kernel.times import Span

RequestId = NewType("RequestId", str)
MOST_PLACES = 64
SATURDAY = 5


class RequestKind(StrEnum):
    """What somebody brings."""

    REQUEST = "request"
    """To be shown recordings."""
    COMPLAINT = "complaint"
    """It is registered and answered, no more."""


class Channel(StrEnum):
    """How it came."""

    COUNTER = "counter"
    LETTER = "letter"
    PHONE = "phone"
    ONLINE = "online"
    OTHER = "other"


class Ground(StrEnum):
    """What recordings are to protect."""

    LIFE = "life"
    HEALTH = "health"
    PROPERTY = "property"


PURPOSES: Mapping[Ground, PurposeKind] = {
    Ground.LIFE: PurposeKind.RESCUE,
    Ground.HEALTH: PurposeKind.RESCUE,
    Ground.PROPERTY: PurposeKind.ASSISTANCE,
}
"""The purpose of the looks that a request needs."""


class Refusal(StrEnum):
    """Why recordings are not handed out."""

    IDENTITY = "identity"
    """Who asks was not proved."""
    NOT_ENTITLED = "not_entitled"
    """Neither concerned, nor a relative or guardian of who is."""
    NO_GROUND = "no_ground"
    """Neither life, health nor property is to be protected."""
    NOT_RECORDED = "not_recorded"
    EXPIRED = "expired"
    """It has been deleted, as the law wants it."""
    OTHERS = "others"
    """Others' rights would be harmed, and cannot be kept by covering them."""
    INVESTIGATION = "investigation"
    """A case would be harmed."""
    OTHER = "other"


class RequestState(StrEnum):
    """Where a request or complaint stands."""

    RECEIVED = "received"
    IDENTIFIED = "identified"
    SEARCHING = "searching"
    PROPOSED = "proposed"
    """A redacted copy was chosen; a second officer decides."""
    DELIVERED = "delivered"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    ANSWERED = "answered"
    """Of a complaint."""


class RequestAct(StrEnum):
    """What happens to it."""

    IDENTIFY = "identify"
    SEARCH = "search"
    PROPOSE = "propose"
    CONSENT = "consent"
    SEND_BACK = "send_back"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    ANSWER = "answer"


NEXT: Mapping[tuple[RequestKind, RequestState, RequestAct], RequestState] = {
    (RequestKind.REQUEST, RequestState.RECEIVED, RequestAct.IDENTIFY): RequestState.IDENTIFIED,
    (RequestKind.REQUEST, RequestState.IDENTIFIED, RequestAct.SEARCH): RequestState.SEARCHING,
    (RequestKind.REQUEST, RequestState.SEARCHING, RequestAct.SEARCH): RequestState.SEARCHING,
    (RequestKind.REQUEST, RequestState.SEARCHING, RequestAct.PROPOSE): RequestState.PROPOSED,
    (RequestKind.REQUEST, RequestState.PROPOSED, RequestAct.CONSENT): RequestState.DELIVERED,
    (RequestKind.REQUEST, RequestState.PROPOSED, RequestAct.SEND_BACK): RequestState.SEARCHING,
    (RequestKind.REQUEST, RequestState.RECEIVED, RequestAct.REFUSE): RequestState.REFUSED,
    (RequestKind.REQUEST, RequestState.IDENTIFIED, RequestAct.REFUSE): RequestState.REFUSED,
    (RequestKind.REQUEST, RequestState.SEARCHING, RequestAct.REFUSE): RequestState.REFUSED,
    (RequestKind.REQUEST, RequestState.RECEIVED, RequestAct.WITHDRAW): RequestState.WITHDRAWN,
    (RequestKind.REQUEST, RequestState.IDENTIFIED, RequestAct.WITHDRAW): RequestState.WITHDRAWN,
    (RequestKind.REQUEST, RequestState.SEARCHING, RequestAct.WITHDRAW): RequestState.WITHDRAWN,
    (RequestKind.REQUEST, RequestState.PROPOSED, RequestAct.WITHDRAW): RequestState.WITHDRAWN,
    (RequestKind.COMPLAINT, RequestState.RECEIVED, RequestAct.ANSWER): RequestState.ANSWERED,
    (RequestKind.COMPLAINT, RequestState.RECEIVED, RequestAct.WITHDRAW): RequestState.WITHDRAWN,
}

CLOSED = frozenset({RequestState.DELIVERED, RequestState.REFUSED, RequestState.WITHDRAWN, RequestState.ANSWERED})


def after(kind: RequestKind, state: RequestState, act: RequestAct) -> RequestState:
    """Raises Conflict where the table has no such step."""
    try:
        return NEXT[kind, state, act]
    except KeyError:
        raise Conflict(f"this {kind} is {state} and cannot be changed so", "look at it again") from None


def acts_of(kind: RequestKind, state: RequestState) -> list[RequestAct]:
    """What may happen next."""
    return [act for act in RequestAct if (kind, state, act) in NEXT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Recordings of a point that are looked through."""

    point: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request or a complaint. number: its case number. org_path: of the unit that handles it. what: in words. place,
    start_at, end_at: where and when what is asked for happened; "" and None for a complaint that says neither.

    handler: who deals with it; nobody else is shown who asked. has_asker: whether it is still known who asked.
    identity: how it was proved who asks. export_id: the redacted copy; how: the way it is handed over. reason, answer:
    of a refusal, a complaint's answer or why it was sent back.
    """

    id: RequestId
    number: str
    kind: RequestKind
    org_id: OrgId
    org_name: str
    org_path: str
    received_on: date
    due_on: date
    channel: Channel
    ground: Ground | None
    what: str
    place: str
    start_at: datetime | None
    end_at: datetime | None
    handler_id: UserId
    handler: str
    state: RequestState
    created_at: datetime
    has_asker: bool = True
    identity: str = ""
    identified_by: str = ""
    places: Sequence[Place] = ()
    export_id: str = ""
    how: str = ""
    proposed_by: str = ""
    decided_by: str = ""
    reason: Refusal | None = None
    answer: str = ""
    closed_at: datetime | None = None
    version: int = 1

    @property
    def is_closed(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in CLOSED

    def is_overdue(self, today: date) -> bool:
        """Whether it should have been closed."""
        return not self.is_closed and today > self.due_on


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks. contact: telephone, address."""

    name: str
    contact: str


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """Which days are worked. holidays: not, though from Monday to Friday. worked: Saturdays and Sundays that are."""

    holidays: frozenset[date] = frozenset()
    worked: frozenset[date] = frozenset()

    @classmethod
    def of(cls, holidays: Iterable[str], worked: Iterable[str]) -> WorkingDays:
        """From the settings, such as 2026-10-01. Raises Invalid."""
        try:
            return cls(frozenset(map(date.fromisoformat, holidays)), frozenset(map(date.fromisoformat, worked)))
        except ValueError as err:
            raise Invalid(f"a holiday is no day: {err}", "write it as 2026-10-01") from None

    def is_worked(self, day: date) -> bool:
        """Whether it is one."""
        return day in self.worked or (day.weekday() < SATURDAY and day not in self.holidays)

    def after(self, day: date, count: int) -> date:
        """The count-th working day after a day."""
        while count:
            day += timedelta(days=1)
            count -= self.is_worked(day)
        return day


def number_of(kind: RequestKind, received_on: date, request_id: str) -> str:
    """The case number: a letter, the day, and six letters of the id, which are random."""
    letter = {RequestKind.REQUEST: "GR", RequestKind.COMPLAINT: "TS"}[kind]
    return f"{letter}{received_on:%Y%m%d}-{request_id[-6:].upper()}"


def check_places(places: Collection[Place]) -> None:
    """Raises Invalid."""
    if not 1 <= len(places) <= MOST_PLACES:
        raise Invalid(f"a request is about 1 to {MOST_PLACES} stretches", "choose those that matter")
