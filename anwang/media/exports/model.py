"""What an export is, and how far it may be. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from anwang.kernel.errors import Conflict, Invalid
from anwang.kernel.ids import PointId, UserId
from anwang.kernel.times import Span
from anwang.media.export import LONGEST_CLIP_US, Redaction

ExportId = NewType("ExportId", str)

MOST_ITEMS = 32
MOST_REDACTIONS = 256
LONGEST_US = 24 * 3_600_000_000
"""Of all items together."""


class ExportForm(StrEnum):
    """What a package holds."""

    ORIGINAL = "original"
    """What may be seen of the recordings, as it is."""
    REDACTED = "redacted"
    """Made anew, with what an operator drew and all privacy masks covered for good."""


class ExportState(StrEnum):
    """Where an export stands."""

    WAITING = "waiting"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DISCARDED = "discarded"
    EXPIRED = "expired"


class ExportAct(StrEnum):
    """What happens to an export."""

    START = "start"
    FINISH = "finish"
    FAIL = "fail"
    CANCEL = "cancel"
    DISCARD = "discard"
    EXPIRE = "expire"


NEXT: Mapping[tuple[ExportState, ExportAct], ExportState] = {
    (ExportState.WAITING, ExportAct.START): ExportState.RUNNING,
    (ExportState.WAITING, ExportAct.CANCEL): ExportState.CANCELLED,
    (ExportState.WAITING, ExportAct.FAIL): ExportState.FAILED,
    (ExportState.RUNNING, ExportAct.FINISH): ExportState.READY,
    (ExportState.RUNNING, ExportAct.CANCEL): ExportState.CANCELLED,
    (ExportState.RUNNING, ExportAct.FAIL): ExportState.FAILED,
    (ExportState.READY, ExportAct.DISCARD): ExportState.DISCARDED,
    (ExportState.READY, ExportAct.EXPIRE): ExportState.EXPIRED,
}

UNDER_WAY = frozenset({ExportState.WAITING, ExportState.RUNNING})


def after(state: ExportState, act: ExportAct) -> ExportState:
    """Raises Conflict where the table has no such step."""
    try:
        return NEXT[state, act]
    except KeyError:
        raise Conflict(f"this export is {state} and cannot be changed so", "look at it again") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One clip that is asked for. is_clear: somebody looked through it, and nothing needs to be covered."""

    point: PointId
    span: Span
    is_clear: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One clip of an export. code, name: of the point when it was asked for."""

    point: PointId
    code: str
    name: str
    span: Span
    is_clear: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """What is covered of a point's picture in a redacted copy."""

    point: PointId
    redaction: Redaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How an export is made. with_mark: who took it is drawn on the pictures. with_sound: of a redacted copy; an
    original has the sound that there is. recipient: to whom it is given; "": to who asks.
    """

    form: ExportForm
    with_mark: bool
    with_sound: bool
    note: str
    recipient: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The purpose that an export was asked for; empty where there was none. kind: governance.PurposeKind."""

    id: str = ""
    kind: str = ""
    case_no: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export and what became of it. org_path: of the organisation above all its points. reason, hint: why it failed.
    bytes_done: of the package; seconds_done: of the footage. sha256: of the whole package. expires_at: when a finished
    one is deleted.
    """

    id: ExportId
    user_id: UserId
    username: str
    display_name: str
    role: str
    unit: str
    org_path: str
    choice: Choice
    why: Why
    items: Sequence[Item]
    covered: Sequence[Covered]
    state: ExportState
    created_at: datetime
    ended_at: datetime | None = None
    expires_at: datetime | None = None
    reason: str = ""
    hint: str = ""
    bytes_done: int = 0
    seconds_done: float = 0.0
    sha256: str = ""

    @property
    def key(self) -> str:
        """Of the package among the objects."""
        return f"exports/{self.id}.zip"

    @property
    def seconds(self) -> float:
        """Of footage that is asked for."""
        return sum(item.span.micros for item in self.items) / 1_000_000

    @property
    def points(self) -> tuple[PointId, ...]:
        """Each once."""
        return tuple(dict.fromkeys(item.point for item in self.items))

    def covering(self, item: Item) -> tuple[Redaction, ...]:
        """What is drawn over one of its clips."""
        return tuple(
            one.redaction
            for one in self.covered
            if one.point == item.point and one.redaction.span.overlap(item.span) is not None
        )


def check(form: ExportForm, items: Sequence[Wanted], covered: Sequence[Covered]) -> None:
    """Raises Invalid."""
    if not 1 <= len(items) <= MOST_ITEMS:
        raise Invalid(f"an export has 1 to {MOST_ITEMS} clips", "ask for it in parts")
    if any(not 0 < item.span.micros <= LONGEST_CLIP_US for item in items):
        raise Invalid("a clip of an export lasts up to six hours", "ask for it in parts")
    if sum(item.span.micros for item in items) > LONGEST_US:
        raise Invalid("an export holds up to 24 hours of footage", "ask for it in parts")
    if len(covered) > MOST_REDACTIONS:
        raise Invalid(f"an export has at most {MOST_REDACTIONS} covered areas", "join some of them")
    if form is ExportForm.ORIGINAL:
        if covered:
            raise Invalid("an original is not drawn on", "ask for a redacted copy")
        return
    for one in covered:
        if not any(_meet(one, item) for item in items):
            raise Invalid("an area covers nothing of any clip", "check its point and its times")
    if any(not item.is_clear and not any(_meet(one, item) for one in covered) for item in items):
        raise Invalid(
            "nothing is covered in one of the clips", "draw what must not be recognised, or say that there is nothing"
        )


def _meet(one: Covered, item: Wanted) -> bool:
    return one.point == item.point and one.redaction.span.overlap(item.span) is not None
