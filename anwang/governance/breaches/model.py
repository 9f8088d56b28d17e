"""A breach of personal information (个人信息泄露事件, PIPL article 57) and how far it is with it. Pure.

Article 57 of the Personal Information Protection Law: at once measures are taken, and the authority and the people
concerned are told which kinds of information, from what causes, with what harm that may come of it; what measures were
taken and what people can do themselves; and how to reach who is responsible. People need not be told where measures
keep harm away; the authority may order it all the same. A record is kept for three years at least and never deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from anwang.kernel.errors import Conflict
from anwang.kernel.ids import OrgId

BreachId = NewType("BreachId", str)

KEPT = timedelta(days=3 * 366)
"""At least so long after it was closed."""


class BreachKind(StrEnum):
    """Kinds of information that got out, were altered or lost."""

    VIDEO = "video"
    """Recordings or live pictures."""
    PICTURES = "pictures"
    PLATES = "plates"
    POSITIONS = "positions"
    """Where somebody or a vehicle was."""
    CONTACTS = "contacts"
    """Names, telephone numbers."""
    ACCOUNTS = "accounts"
    """User names, passwords, rights."""
    CASES = "cases"
    """Case numbers and purposes."""
    OTHER = "other"


class BreachState(StrEnum):
    """How far it is."""

    DRAFT = "draft"
    """Found, and not reported yet."""
    REPORTED = "reported"
    """The authority knows."""
    NOTIFIED = "notified"
    """The people concerned know."""
    CLOSED = "closed"


class BreachStep(StrEnum):
    """What is done about it."""

    REPORT = "report"
    NOTIFY = "notify"
    CLOSE = "close"


NEXT: Mapping[tuple[BreachState, BreachStep], BreachState] = {
    (BreachState.DRAFT, BreachStep.REPORT): BreachState.REPORTED,
    (BreachState.DRAFT, BreachStep.CLOSE): BreachState.CLOSED,
    (BreachState.REPORTED, BreachStep.NOTIFY): BreachState.NOTIFIED,
    (BreachState.REPORTED, BreachStep.CLOSE): BreachState.CLOSED,
    (BreachState.NOTIFIED, BreachStep.CLOSE): BreachState.CLOSED,
}
"""Closed from draft: it was none. Closed from reported: harm was kept away, so that people need not be told."""


def after(state: BreachState, step: BreachStep) -> BreachState:
    """Raises Conflict where the table has no such step."""
    try:
        return NEXT[state, step]
    except KeyError:
        raise Conflict(f"a breach that is {state} knows no step {step}", "look at it again") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One step. at: when it was done, as who did it says. note: to whom and how, or why it is closed."""

    step: BreachStep
    at: datetime
    by: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is known of it. from_at, until_at: when it happened, until_at None: it goes on, or nobody knows. affected:
    people concerned, None: not known yet. advice: what people can do themselves.
    """

    title: str
    what: str
    found_at: datetime
    from_at: datetime
    until_at: datetime | None
    kinds: Sequence[BreachKind]
    affected: int | None
    cause: str
    harm: str
    measures: str
    advice: str
    contact: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A record. org: the unit that is responsible. version: counts changes."""

    id: BreachId
    org_id: OrgId
    org_name: str
    org_path: str
    told: Told
    state: BreachState
    created_at: datetime
    created_by: str
    steps: Sequence[Done] = field(default_factory=tuple)
    version: int = 1

    def step(self, step: BreachStep) -> Done | None:
        """The step as it was done, or None."""
        return next((done for done in self.steps if done.step is step), None)

    def unreported_us(self, now: datetime) -> int:
        """How long the authority did not know, or has not known since it was found, in microseconds."""
        done = self.step(BreachStep.REPORT) or self.step(BreachStep.CLOSE)
        return max(0, ((done.at if done else now) - self.told.found_at) // timedelta(microseconds=1))

    @property
    def kept_until(self) -> datetime | None:
        """The record is kept until then at least; None: it is not closed."""
        closed = self.step(BreachStep.CLOSE)
        return None if closed is None else closed.at + KEPT


def lacking(told: Told) -> list[str]:
    """Names of what a notice needs and nobody has written yet."""
    return [name for name in ("cause", "harm", "measures", "advice") if not getattr(told, name)]


@dataclass(frozen=True, slots=True)
class Extent:
    """What the ledger knows of a span: points looked at, looks opened, accounts that looked, bytes that left. waiting:
    rows that are not counted yet.
    """

    points: int
    looks: int
    accounts: int
    bytes: int
    waiting: int
