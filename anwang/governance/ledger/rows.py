"""What stands in the ledger, and what may be asked of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import msgspec

CHAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}-[1-9][0-9]{0,8}")
"""The name of a chain: its writer's, and a generation."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What is to be written: who, unit, terminal, why, what, objects, result, recipient (国务院令第799号
    art. 16, Directive (EU) 2016/680 art. 25).

    kind: opened, closed, used (a counted hour), denied, signed_in, refused (a failed sign-in), changed, deleted, …
    user, name, role, org: the actor's id, user name, role and organisation path. scope: path of what was listed.
    objects: ids of points or accounts. look: the look's id. count, bytes, seconds: how much. outcome: how it ended.
    unit: the organisation's name. purpose, reason, case: the purpose's id, kind and case number. approval: its id.
    recipient: to whom it was given, where that is not the actor.
    """

    kind: str
    user: str = ""
    name: str = ""
    role: str = ""
    org: str = ""
    session: str = ""
    terminal: str = ""
    action: str = ""
    objects: tuple[str, ...] = ()
    scope: str = ""
    look: str = ""
    count: int = 0
    bytes: int = 0
    seconds: float = 0.0
    outcome: str = ""
    detail: str = ""
    unit: str = ""
    purpose: str = ""
    reason: str = ""
    case: str = ""
    approval: str = ""
    recipient: str = ""


class Row(Entry, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What was written. seq: from 1, without gaps. at: microseconds since 1970 UTC, never before the previous row's.

    skew_us: by how much the clock was behind the previous row, which `at` repeats; 0 when it was not.
    """

    seq: int
    at: int
    skew_us: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows are looked for; empty: any. actor: id or user name. object: an id of a point or an account, a look, a
    purpose, an approval. since, until: microseconds since 1970, [since, until); 0: open.
    """

    kind: str = ""
    actor: str = ""
    object: str = ""
    action: str = ""
    case: str = ""
    since: int = 0
    until: int = 0

    def fits(self, row: Row) -> bool:
        """Whether the row is one of them."""
        return (
            (not self.kind or row.kind == self.kind)
            and (not self.actor or self.actor in (row.user, row.name))
            and (not self.action or row.action == self.action)
            and (not self.case or row.case == self.case)
            and (not self.object or self.object in row.objects or self.object in (row.look, row.purpose, row.approval))
            and row.at >= self.since
            and (not self.until or row.at < self.until)
        )


END = 1 << 62
"""Later than any moment, higher than any number."""

Found = tuple[str, Row]
"""A row with its chain."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page ended. at: time of the last row looked at. before: by chain, what is left is below this number."""

    at: Annotated[int, msgspec.Meta(ge=0, le=END)]
    before: dict[Annotated[str, msgspec.Meta(pattern=f"^{CHAIN.pattern}$")], Annotated[int, msgspec.Meta(ge=0, le=END)]]


class CopyUse(StrEnum):
    """What the searchable copy did for a page.

    used: all of it was asked, and the newest rows came from the files. behind: it is still being made; what it lacks is
    read from the files, a part at a time. away: it does not answer; the files alone are read, a part at a time.
    """

    USED = "used"
    BEHIND = "behind"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """rows: latest first. next: where to go on, None at the end. scanned: rows looked at one by one."""

    rows: list[Found]
    next: Place | None
    scanned: int
    copy: CopyUse = CopyUse.AWAY
