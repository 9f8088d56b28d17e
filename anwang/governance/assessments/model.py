"""Impact assessments (个人信息保护影响评估), their editions and steps. Pure; days are China's civil days.

PIPL article 55 asks for one before personal information is handled. Article 56 says what it holds: whether the handling
is lawful, legitimate and necessary; what it does to people and how it may harm them; whether what protects them
suffices. It is kept for three years at least; nothing here deletes one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NewType

from anwang.governance.duties.model import SystemId
from anwang.kernel.errors import Conflict
from anwang.kernel.ids import OrgId, UserId

AssessmentId = NewType("AssessmentId", str)

IN_FORCE = date(2021, 11, 1)
"""Of the law; no assessment is older."""
YEARS = 3
"""The longest time until the next review."""
SOON_DAYS = 30


class AssessmentState(StrEnum):
    """How far an edition of an assessment is."""

    DRAFT = "draft"
    APPROVED = "approved"
    SUPERSEDED = "superseded"
    """A later edition was approved."""


class AssessmentStep(StrEnum):
    """What happens to an edition."""

    APPROVE = "approve"
    SUPERSEDE = "supersede"


NEXT: Mapping[tuple[AssessmentState, AssessmentStep], AssessmentState] = {
    (AssessmentState.DRAFT, AssessmentStep.APPROVE): AssessmentState.APPROVED,
    (AssessmentState.APPROVED, AssessmentStep.SUPERSEDE): AssessmentState.SUPERSEDED,
}


def after(state: AssessmentState, step: AssessmentStep) -> AssessmentState:
    """Raises Conflict where the table has no such step."""
    try:
        return NEXT[state, step]
    except KeyError:
        raise Conflict(f"an assessment that is {state} knows no step {step}", "look at it again") from None


class Review(StrEnum):
    """Where an edition stands with its review."""

    OVERDUE = "overdue"
    DRAFT = "draft"
    """Nobody has approved it yet."""
    DUE = "due"
    """Within a month."""
    CURRENT = "current"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an edition says. subject: the project, or the video system's name. system_id, system_name: the video system
    that it is about, as it was named then; None and "" where it is about none. review_by: the last day for the next
    look.
    """

    subject: str
    org_id: OrgId
    org_name: str
    org_path: str
    system_id: SystemId | None
    system_name: str
    necessity: str
    risks: str
    measures: str
    conclusion: str
    made_on: date
    review_by: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """The second person's yes. by: user name."""

    at: datetime
    by: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """An edition of an impact assessment. first_id: of the first edition, which is its own. writers: accounts of all
    who wrote in it. author: user name of whoever wrote it last. version: counts changes.
    """

    id: AssessmentId
    first_id: AssessmentId
    edition: int
    said: Said
    state: AssessmentState
    writers: Sequence[UserId]
    author: str
    created_at: datetime
    approval: Approval | None = None
    version: int = 1

    def review(self, today: date) -> Review:
        """Where it stands on that day; the last day counts."""
        if self.state is not AssessmentState.APPROVED:
            return Review(self.state.value)
        left = self.days_left(today)
        return Review.OVERDUE if left < 0 else Review.DUE if left <= SOON_DAYS else Review.CURRENT

    def days_left(self, today: date) -> int:
        """Until the last day for its review; negative: it is over."""
        return (self.said.review_by - today).days


def latest_review(made_on: date) -> date:
    """The last day that may be chosen: three years later."""
    try:
        return made_on.replace(year=made_on.year + YEARS)
    except ValueError:  # the 29th of February
        return made_on.replace(year=made_on.year + YEARS, day=28)
