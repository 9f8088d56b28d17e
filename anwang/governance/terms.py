"""What a sharing agreement cuts from the rights of an account. Pure.

A *partner* is a service account that another department's programs use. Without an agreement in force it can do
nothing. With one it can do what its role, its grants and the agreement all let it do: the agreement never gives more
than the account has. Its requests carry the agreement's purpose, and of a point only the agreed fields leave.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NewType

from anwang.governance.actions import Action
from anwang.governance.reasons import Purpose, PurposeId, PurposeKind
from anwang.governance.scopes import Area, Grant
from anwang.kernel.ids import UserId

AgreementId = NewType("AgreementId", str)

SHAREABLE = frozenset(
    {Action.READ_POINTS, Action.READ_TIMELINE, Action.VIEW_LIVE, Action.VIEW_PLAYBACK, Action.SNAPSHOT}
)
"""What may be agreed. Recordings that leave as files are approved one by one, whoever gets them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one agreement lets its accounts do, in [starts_at, ends_at). recipient: who gets what leaves. fields: keys
    of point fields that may leave.
    """

    agreement: AgreementId
    number: str
    recipient: str
    unit: str
    kind: PurposeKind
    area: Area
    actions: frozenset[Action]
    fields: frozenset[str]
    starts_at: datetime
    ends_at: datetime

    def in_force(self, now: datetime) -> bool:
        """Whether they hold at that moment."""
        return self.starts_at <= now < self.ends_at

    def purpose(self, user_id: UserId) -> Purpose:
        """Why the account looks, without its saying so."""
        return Purpose(
            id=PurposeId(self.agreement),
            user_id=user_id,
            kind=self.kind,
            case_no=self.number,
            unit=self.unit,
            note="",
            opened_at=self.starts_at,
            expires_at=self.ends_at,
        )

    def cut(self, grants: Iterable[Grant]) -> tuple[Grant, ...]:
        """What of the account's own grants lies within the terms."""
        met = [(grant, grant.area.meet(self.area)) for grant in grants]
        return tuple(
            replace(
                grant,
                area=area,
                starts_at=max(grant.starts_at, self.starts_at),
                ends_at=self.ends_at if grant.ends_at is None else min(grant.ends_at, self.ends_at),
            )
            for grant, area in met
            if area is not None
        )


def terms_at(terms: Iterable[Terms], now: datetime) -> Terms | None:
    """Those in force; there are none or one."""
    return next((one for one in terms if one.in_force(now)), None)
