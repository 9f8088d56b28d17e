"""Sharing agreements (共享协议) between departments, and their steps. What one cuts from rights is in `terms`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from anwang.governance.actions import Action
from anwang.governance.reasons import PurposeKind
from anwang.governance.scopes import Area
from anwang.governance.terms import AgreementId, Terms
from anwang.kernel.errors import Conflict
from anwang.kernel.ids import OrgId, UserId


class AgreementState(StrEnum):
    """How far an agreement is."""

    DRAFT = "draft"
    AGREED = "agreed"
    """A second person has approved it; its first day is yet to come."""
    IN_FORCE = "in_force"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    ENDED = "ended"
    """Before its last day, or never approved."""


class AgreementStep(StrEnum):
    """What happens to an agreement."""

    APPROVE = "approve"
    SUSPEND = "suspend"
    RESUME = "resume"
    END = "end"
    BEGIN = "begin"
    """Its first day has come."""
    LAPSE = "lapse"
    """Its last day is over."""


NEXT: Mapping[tuple[AgreementState, AgreementStep], AgreementState] = {
    (AgreementState.DRAFT, AgreementStep.APPROVE): AgreementState.AGREED,
    (AgreementState.DRAFT, AgreementStep.END): AgreementState.ENDED,
    (AgreementState.AGREED, AgreementStep.BEGIN): AgreementState.IN_FORCE,
    (AgreementState.AGREED, AgreementStep.SUSPEND): AgreementState.SUSPENDED,
    (AgreementState.AGREED, AgreementStep.END): AgreementState.ENDED,
    (AgreementState.IN_FORCE, AgreementStep.SUSPEND): AgreementState.SUSPENDED,
    (AgreementState.IN_FORCE, AgreementStep.END): AgreementState.ENDED,
    (AgreementState.IN_FORCE, AgreementStep.LAPSE): AgreementState.EXPIRED,
    (AgreementState.SUSPENDED, AgreementStep.RESUME): AgreementState.AGREED,
    (AgreementState.SUSPENDED, AgreementStep.END): AgreementState.ENDED,
    (AgreementState.SUSPENDED, AgreementStep.LAPSE): AgreementState.EXPIRED,
}
SECOND = frozenset({AgreementStep.APPROVE, AgreementStep.RESUME})
"""Steps that give rights: taken by another person than who wrote the agreement."""


def after(state: AgreementState, step: AgreementStep) -> AgreementState:
    """Raises Conflict where the table has no such step."""
    try:
        return NEXT[state, step]
    except KeyError:
        raise Conflict(f"an agreement that is {state} knows no step {step}", "look at it again") from None


@dataclass(frozen=True, slots=True)
class Account:
    """A service account that the partner's programs use."""

    id: UserId
    username: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A step that was taken. by: user name."""

    step: AgreementStep
    at: datetime
    by: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an agreement says. department, unit, contact: of the partner. number: of the document, under which looks are
    written. area: which points. starts_at, ends_at: of civil days.
    """

    number: str
    department: str
    unit: str
    contact: str
    legal_basis: str
    kind: PurposeKind
    purpose: str
    org_id: OrgId
    org_name: str
    area: Area
    actions: frozenset[Action]
    fields: frozenset[str]
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A sharing agreement. written_by, writer: account and user name of whoever wrote it last. version: counts changes.
    stored: its state as people made it; what the days make of it, `state` says.
    """

    id: AgreementId
    said: Said
    accounts: Sequence[Account]
    stored: AgreementState
    written_by: UserId
    writer: str
    created_at: datetime
    steps: Sequence[Done] = ()
    version: int = 1

    def state(self, now: datetime) -> AgreementState:
        """How far it is then."""
        found = self.stored
        if found is AgreementState.AGREED and now >= self.said.starts_at:
            found = after(found, AgreementStep.BEGIN)
        if found in (AgreementState.IN_FORCE, AgreementState.SUSPENDED) and now >= self.said.ends_at:
            found = after(found, AgreementStep.LAPSE)
        return found

    @property
    def terms(self) -> Terms:
        """What it lets its accounts do while it is in force."""
        said = self.said
        return Terms(
            agreement=self.id,
            number=said.number,
            recipient=f"{said.department}, {said.unit}",
            unit=said.unit,
            kind=said.kind,
            area=said.area,
            actions=said.actions,
            fields=said.fields,
            starts_at=said.starts_at,
            ends_at=said.ends_at,
        )
