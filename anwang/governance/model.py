"""Who may do what where: roles, actions, scopes, decisions. Pure; nothing here reads or writes.

The golden table is `GRANTS`. A decision comes out in three ways (design law 11): *unseen* objects look unknown,
*refused* ones say why and what would be right, *allowed* ones carry on. Purposes, approvals and masks will refuse or
oblige in `decide`, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, NewType, TypeVar

from sqlalchemy import ColumnElement, Text, and_, false, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from anwang.kernel.errors import Denied, Invalid, NotFound
from anwang.kernel.ids import OrgId, SessionId, UserId

LookId = NewType("LookId", str)
T = TypeVar("T")

CITY = OrgId("city")
"""The organisation above all others: the city itself, whose path is `/`. It exists before any other is imported."""
CITY_PATH = "/"


class Role(StrEnum):
    """What a person is here for. 三员分立 comes with the next issue; until then administrators read the ledger."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    VIEWER = "viewer"


class Action(StrEnum):
    """What can be done. Each route names one."""

    OWN_ACCOUNT = "own_account"
    READ_POINTS = "read_points"
    READ_TIMELINE = "read_timeline"
    """Which stretches are recorded, without a picture."""
    READ_TRACE = "read_trace"
    VIEW_LIVE = "view_live"
    VIEW_PLAYBACK = "view_playback"
    SNAPSHOT = "snapshot"
    EXPORT = "export"
    PTZ = "ptz"
    HOLD = "hold"
    """Protect recordings from deletion."""
    IMPORT_POINTS = "import_points"
    EDIT_POINTS = "edit_points"
    ADOPT = "adopt"
    READ_SYSTEM = "read_system"
    MANAGE_USERS = "manage_users"
    READ_LEDGER = "read_ledger"
    ADMINISTER = "administer"


CONTENT = frozenset({Action.VIEW_LIVE, Action.VIEW_PLAYBACK, Action.SNAPSHOT, Action.EXPORT, Action.PTZ, Action.HOLD})
"""Looking at pictures, or steering and keeping them. No administrator has any of these."""

_EVERYONE = frozenset({Action.OWN_ACCOUNT, Action.READ_POINTS, Action.READ_TIMELINE})

GRANTS: Mapping[Role, frozenset[Action]] = {
    Role.ADMINISTRATOR: _EVERYONE
    | {
        Action.READ_TRACE,
        Action.IMPORT_POINTS,
        Action.EDIT_POINTS,
        Action.ADOPT,
        Action.READ_SYSTEM,
        Action.MANAGE_USERS,
        Action.READ_LEDGER,
        Action.ADMINISTER,
    },
    Role.OPERATOR: _EVERYONE | CONTENT | {Action.READ_TRACE, Action.READ_SYSTEM},
    Role.VIEWER: _EVERYONE | {Action.VIEW_LIVE, Action.VIEW_PLAYBACK},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who asks: a person, or a program with a token of that person (`service`). terminal: the address asked from."""

    user_id: UserId
    username: str
    display_name: str
    role: Role
    org_id: OrgId
    org_name: str
    org_path: str
    session_id: SessionId
    service: bool
    terminal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """单位, as far as governance must know it. path: the ids from the city down, `/city/district/`."""

    id: OrgId
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Object:
    """What is looked at or acted on: its id and the path of the organisation that owns it today."""

    id: str
    org_path: str


def check_path(org_path: str) -> str:
    """The same path. Raises Invalid unless it begins and ends with a slash and names no empty step."""
    if not org_path.startswith("/") or not org_path.endswith("/") or "//" in org_path:
        raise Invalid(f"{org_path[:80]!r} is not the path of an organisation", "write it as /city/district/")
    return org_path


class _bytewise(FunctionElement[str]):  # noqa: N801 - reads as the SQL it makes
    """A text column compared byte by byte, whatever the database's collation."""

    name = "bytewise"
    inherit_cache = True
    type = Text()


@compiles(_bytewise)
def _as_it_is(element: _bytewise, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(_bytewise, "postgresql")
def _collate_c(element: _bytewise, compiler: SQLCompiler, **kw: Any) -> str:
    return f'{compiler.process(element.clauses, **kw)} COLLATE "C"'


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows someone may see: those whose `org_path` begins with this one; `/` is all, None is nothing."""

    org_path: str | None

    def covers(self, org_path: str) -> bool:
        """Whether a row with that path is seen."""
        return self.org_path is not None and org_path.startswith(self.org_path)

    def where(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """The same as one SQL condition on a column of paths: a range, so that an index on the column serves it.

        On PostgreSQL the index needs `COLLATE "C"`; the condition is right without one, too.
        """
        if self.org_path is None:
            return false()
        if self.org_path == CITY_PATH:
            return true()
        path: ColumnElement[str] = _bytewise(column)
        return and_(path >= self.org_path, path < self.org_path[:-1] + chr(ord("/") + 1))


EVERYTHING = Scope(CITY_PATH)
NOTHING = Scope(None)


class Verdict(StrEnum):
    """How a decision came out."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One answer of `decide`. reason and hint: for the person, empty when allowed."""

    actor: Actor
    action: Action
    verdict: Verdict
    reason: str = ""
    hint: str = ""

    def enforce(self) -> Decision:
        """Itself when allowed. Raises NotFound when unseen, Denied when refused."""
        if self.verdict is Verdict.UNSEEN:
            raise NotFound(self.reason, self.hint)
        if self.verdict is Verdict.REFUSED:
            raise Denied(self.reason, self.hint)
        return self


def may(role: Role, action: Action) -> bool:
    """The golden table."""
    return action in GRANTS[role]


def decide(actor: Actor, action: Action, *, org_path: str) -> Decision:
    """May this actor do this to something that belongs there? The one place that says so (design law 7)."""
    if not Scope(actor.org_path).covers(org_path):
        return Decision(
            actor=actor, action=action, verdict=Verdict.UNSEEN, reason="there is no such object", hint="check the id"
        )
    if not may(actor.role, action):
        reason, hint = why_not(actor.role, action)
        return Decision(actor=actor, action=action, verdict=Verdict.REFUSED, reason=reason, hint=hint)
    return Decision(actor=actor, action=action, verdict=Verdict.ALLOWED)


def scope_of(actor: Actor, action: Action) -> Scope:
    """Which rows the actor may do this to. Raises Denied where the role may do it to none."""
    if not may(actor.role, action):
        raise Denied(*why_not(actor.role, action))
    return Scope(actor.org_path)


def why_not(role: Role, action: Action) -> tuple[str, str]:
    """Reason and hint of a refusal by the golden table."""
    who = ", ".join(f"{other}s" for other in Role if may(other, action))
    what = action.value.replace("_", " ")
    if role is Role.ADMINISTRATOR and action in CONTENT:
        return f"administrators have no right to content ({what})", f"{who} may; use an account made for looking"
    return f"{role}s may not do this ({what})", f"{who} may; ask your administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account. removed: it can never sign in again, and its name is never given to another."""

    id: UserId
    username: str
    display_name: str
    role: Role
    org_id: OrgId
    org_name: str
    org_path: str
    disabled: bool
    created_at: datetime
    seen_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """What is needed to make an account."""

    username: str
    display_name: str
    role: Role
    org_id: OrgId
    password: str


class SessionKind(StrEnum):
    """How a token came about."""

    SIGN_IN = "sign_in"
    API_TOKEN = "api_token"  # noqa: S105 - the name of a kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A sign-in or an API token, without its secret. idle_at: when it ends unless used before; None: it does not."""

    id: SessionId
    kind: SessionKind
    user_id: UserId
    username: str
    name: str
    terminal: str
    agent: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    idle_at: datetime | None

    @property
    def ends_at(self) -> datetime:
        """When it ends if nothing more is done with it."""
        return self.expires_at if self.idle_at is None else min(self.expires_at, self.idle_at)


@dataclass(frozen=True, slots=True)
class Opened:
    """A new session and its token, which is shown this once and not kept."""

    token: str
    session: Session


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a request comes from: address, and the program's own description of itself."""

    address: str
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list. next: cursor of the following part, None at the end."""

    items: list[T]
    next: str | None
