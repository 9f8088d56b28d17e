"""Why someone looks: purposes, second persons' approvals, and which looks need them (domain.md G01 to G05). Pure.

A *duty window* is the latest stretch of footage that belongs to daily duty and needs no purpose to be played. What is
older, what leaves the platform and what unveils people needs one; some of it a second person as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from anwang.governance.actions import Action
from anwang.kernel.errors import Conflict
from anwang.kernel.ids import UserId
from anwang.kernel.times import Span, to_micros

PurposeId = NewType("PurposeId", str)
ApprovalId = NewType("ApprovalId", str)


class PurposeKind(StrEnum):
    """The legal reasons there are (G02). Commercial ones cannot be stated: PIPL art. 26."""

    CRIMINAL_CASE = "criminal_case"
    """刑事案件"""
    PUBLIC_ORDER_CASE = "public_order_case"
    """治安案件"""
    TRAFFIC = "traffic"
    """交通违法、事故"""
    RESCUE = "rescue"
    """应急救援"""
    MISSING_PERSON = "missing_person"
    """走失救助"""
    ASSISTANCE = "assistance"
    """协查函"""
    INSPECTION = "inspection"
    """检查审计"""
    MAINTENANCE = "maintenance"
    """系统维护: gives no sight of content"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """A stated purpose of one person. case_no, unit: whose case it is. Good in [opened_at, expires_at)."""

    id: PurposeId
    user_id: UserId
    kind: PurposeKind
    case_no: str
    unit: str
    note: str
    opened_at: datetime
    expires_at: datetime

    @property
    def shows_content(self) -> bool:
        """Whether content may be looked at for it."""
        return self.kind is not PurposeKind.MAINTENANCE

    def is_of(self, other: Purpose) -> bool:
        """Whether both are for the same case, opened anew or not."""
        return (self.kind, self.case_no, self.unit) == (other.kind, other.case_no, other.unit)


class ApprovalState(StrEnum):
    """Where a request for a second person stands."""

    OPEN = "open"
    """It waits for a decision."""
    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    URGENT = "urgent"
    """It is used already, and must be made good by a decision in time."""
    OVERDUE = "overdue"
    """Urgent, and nobody made it good in time: the account is suspended."""
    EXPIRED = "expired"


class Step(StrEnum):
    """What happens to a request."""

    GRANT = "grant"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    LAPSE = "lapse"
    """Its time has run out."""


NEXT: Mapping[tuple[ApprovalState, Step], ApprovalState] = {
    (ApprovalState.OPEN, Step.GRANT): ApprovalState.GRANTED,
    (ApprovalState.OPEN, Step.REFUSE): ApprovalState.REFUSED,
    (ApprovalState.OPEN, Step.WITHDRAW): ApprovalState.WITHDRAWN,
    (ApprovalState.OPEN, Step.LAPSE): ApprovalState.EXPIRED,
    (ApprovalState.URGENT, Step.GRANT): ApprovalState.GRANTED,
    (ApprovalState.URGENT, Step.REFUSE): ApprovalState.REFUSED,
    (ApprovalState.URGENT, Step.LAPSE): ApprovalState.OVERDUE,
    (ApprovalState.OVERDUE, Step.GRANT): ApprovalState.GRANTED,
    (ApprovalState.OVERDUE, Step.REFUSE): ApprovalState.REFUSED,
    (ApprovalState.GRANTED, Step.LAPSE): ApprovalState.EXPIRED,
}

AWAITED = frozenset({ApprovalState.OPEN, ApprovalState.URGENT, ApprovalState.OVERDUE})
USABLE = frozenset({ApprovalState.GRANTED, ApprovalState.URGENT})


def after(state: ApprovalState, step: Step) -> ApprovalState:
    """Raises Conflict where the table has no such step."""
    try:
        return NEXT[state, step]
    except KeyError:
        raise Conflict(f"this request is {state} and cannot be changed so", "look at it again") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A request for a second person and what became of it. It covers what it names and nothing else.

    objects: ids of points. span: of the content. org_path: the organisation above all the objects. why: the
    requester's words. expires_at: of the decision still awaited, or of the right to use it. user_path: of the
    requester's organisation, as it is now. is_aged: it is for content so old that a senior must decide.
    """

    id: ApprovalId
    user_id: UserId
    username: str
    user_unit: str
    user_path: str
    action: Action
    objects: tuple[str, ...]
    org_path: str
    span: Span
    purpose: Purpose
    why: str
    state: ApprovalState
    is_urgent: bool
    is_aged: bool
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None = None
    decided_by: str = ""
    decision: str = ""
    uses: int = 0

    def covers(
        self, action: Action, objects: frozenset[str], span: Span, *, purpose: Purpose | None, now: datetime
    ) -> bool:
        """Whether it may be used for exactly this, now. purpose: the asker's; another case takes another yes."""
        return (
            self.state in USABLE
            and now < self.expires_at
            and purpose is not None
            and self.purpose.is_of(purpose)
            and self.action is asked_as(action)
            and objects <= frozenset(self.objects)
            and self.span.start <= span.start
            and span.end <= self.span.end
        )


NEEDS_PURPOSE = frozenset({Action.EXPORT, Action.UNMASK, Action.DELETE})
NEEDS_PURPOSE_IF_OLD = frozenset({Action.VIEW_PLAYBACK, Action.SNAPSHOT})
FOUR_EYES = frozenset({Action.EXPORT, Action.UNMASK, Action.DELETE})
"""Of G03, what there is yet."""
AGED = frozenset({Action.VIEW_PLAYBACK, Action.SNAPSHOT, Action.EXPORT})
"""What takes a senior's yes where the content is old (G05)."""
NEVER_URGENT = frozenset({Action.DELETE})
"""What cannot be made good afterwards."""
SHORT_ALONE = frozenset({Action.EXPORT})
"""Of those, what an installation may leave to one person where it is short and of the duty window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customs:
    """What the installation has settled. short_clip: clips up to this long, out of the duty window, need no second
    person; None: they do. aged: content older than this takes a senior's yes (G05).
    """

    duty: timedelta
    short_clip: timedelta | None
    aged: timedelta

    def is_aged(self, span: Span | None, now: datetime) -> bool:
        """Whether some of the content is so old."""
        return span is not None and span.start < to_micros(now - self.aged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """With what reasons something is asked, and when. span: of the content that is asked for; None: it is live.

    unmask: the second person's yes to seeing it without privacy masks.
    """

    now: datetime
    customs: Customs
    purpose: Purpose | None
    span: Span | None = None
    approval: Approval | None = None
    unmask: Approval | None = None


class Lack(StrEnum):
    """What is missing for a look that the person may take."""

    PURPOSE = "purpose"
    CONTENT_PURPOSE = "content_purpose"
    """There is a purpose, and it gives no sight of content."""
    APPROVAL = "approval"
    SENIOR = "senior"
    """A second person's who stands above the unit of the one who asks."""


def lack(action: Action, because: Because) -> Lack | None:
    """What is missing, or None."""
    duty_starts = to_micros(because.now - because.customs.duty)
    is_old = because.span is not None and because.span.start < duty_starts
    is_aged = action in AGED and because.customs.is_aged(because.span, because.now)
    if action in NEEDS_PURPOSE or is_aged or (is_old and action in NEEDS_PURPOSE_IF_OLD):
        missing = lack_of_purpose(because.purpose, because.now)
        if missing is not None:
            return missing
    if is_aged and because.approval is None:
        return Lack.SENIOR
    if action in FOUR_EYES and because.approval is None:
        alone = action in SHORT_ALONE and not is_old and _is_short(because)
        return None if alone else Lack.APPROVAL
    return None


def asked_as(action: Action) -> Action:
    """What a second person is asked for: a still of what may be played is not asked for apart."""
    return Action.VIEW_PLAYBACK if action is Action.SNAPSHOT else action


def lack_of_purpose(purpose: Purpose | None, now: datetime) -> Lack | None:
    """What is missing of a purpose that lets content be seen now, or None."""
    if purpose is None or now >= purpose.expires_at:
        return Lack.PURPOSE
    return None if purpose.shows_content else Lack.CONTENT_PURPOSE


def _is_short(because: Because) -> bool:
    longest, span = because.customs.short_clip, because.span
    return longest is not None and span is not None and span.end - span.start <= longest / timedelta(microseconds=1)
