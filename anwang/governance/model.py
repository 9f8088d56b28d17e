"""Who may do what where: roles, actions, decisions. Pure; nothing here reads or writes.

The golden table is `GRANTS`; where and when it holds for someone, their grants say (`scopes`). A decision comes out in
three ways (design law 11): *unseen* objects look unknown, *refused* ones say why and what would be right, *allowed*
ones carry on. What a look lacks, a purpose or a second person, is refused here, too (`reasons`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Generic, NewType, TypeVar

from anwang.governance.actions import Action
from anwang.governance.reasons import Because, Lack, Purpose, lack
from anwang.governance.scopes import Grant, Object, Scope, scope_of_grants
from anwang.governance.terms import Terms
from anwang.kernel.errors import ApprovalNeeded, Denied, NotFound, PurposeNeeded
from anwang.kernel.ids import OrgId, SessionId, UserId
from anwang.kernel.times import Span, rfc3339

LookId = NewType("LookId", str)
T = TypeVar("T")

CITY = OrgId("city")
"""The organisation above all others: the city itself, whose path is `/`. It exists before any other is imported."""


class Role(StrEnum):
    """What a person is here for. The first three are 三员分立: none of them looks at content, none does another's work
    (GB/T 22239-2019 8.1.5).
    """

    ADMINISTRATOR = "administrator"
    """系统管理员: devices, points, settings."""
    SECURITY = "security_administrator"
    """安全管理员: accounts and their rights."""
    AUDIT = "audit_administrator"
    """审计管理员: reads the ledger and settles what is unusual in it, changes nothing else."""
    OPERATOR = "operator"
    VIEWER = "viewer"
    INVESTIGATOR = "investigator"
    """办案人员: looks at what a case needs, steers nothing."""
    OFFICER = "officer"
    """值班领导: an operator who also decides what others ask approval for."""
    CONTRACTOR = "contractor"
    """外包运维: keeps devices running until a fixed day, without a look at content (Regulation 799 art. 15)."""


ADMINISTRATORS = (Role.ADMINISTRATOR, Role.SECURITY, Role.AUDIT)
"""The three that an installation must have."""


SHOWS = frozenset({Action.VIEW_LIVE, Action.VIEW_PLAYBACK, Action.SNAPSHOT, Action.EXPORT})
"""By these pictures leave the platform: they carry the obligation to mask."""
CONTENT = SHOWS | {Action.PTZ, Action.HOLD, Action.UNMASK}
"""Looking at pictures, or steering and keeping them. No administrator has any of these, nor `DELETE`."""

DARK = SHOWS | {Action.PTZ}
"""What is not done at a point where no camera may stand (G25)."""

_EVERYONE = frozenset({Action.OWN_ACCOUNT, Action.READ_POINTS, Action.READ_TIMELINE})
_LOOKS = _EVERYONE | {Action.VIEW_LIVE, Action.VIEW_PLAYBACK, Action.OPEN_PURPOSE, Action.ASK_APPROVAL}
_OPERATES = _LOOKS | CONTENT | {Action.READ_TRACE, Action.READ_SYSTEM}

GRANTS: Mapping[Role, frozenset[Action]] = {
    Role.ADMINISTRATOR: _EVERYONE
    | {
        Action.READ_TRACE,
        Action.IMPORT_POINTS,
        Action.EDIT_POINTS,
        Action.ADOPT,
        Action.READ_SYSTEM,
        Action.ADMINISTER,
        Action.READ_DUTIES,
        Action.MANAGE_DUTIES,
    },
    Role.SECURITY: _EVERYONE | {Action.MANAGE_USERS, Action.READ_BREACHES, Action.MANAGE_BREACHES},
    Role.AUDIT: _EVERYONE
    | {Action.READ_LEDGER, Action.READ_DUTIES, Action.SETTLE_ANOMALIES, Action.READ_BREACHES, Action.READ_REQUESTS},
    Role.OPERATOR: _OPERATES,
    Role.VIEWER: _LOOKS,
    Role.INVESTIGATOR: _LOOKS | {Action.SNAPSHOT, Action.EXPORT, Action.HOLD, Action.UNMASK, Action.READ_TRACE},
    Role.OFFICER: _OPERATES
    | {
        Action.DELETE,
        Action.APPROVE,
        Action.EDIT_MASKS,
        Action.READ_DUTIES,
        Action.READ_BREACHES,
        Action.MANAGE_BREACHES,
        Action.READ_REQUESTS,
        Action.HANDLE_REQUESTS,
    },
    Role.CONTRACTOR: _EVERYONE | {Action.READ_TRACE, Action.READ_SYSTEM},
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
    grants: tuple[Grant, ...]
    """Those in force when the request came."""
    only: frozenset[Action] | None = None
    """All that a token is good for; None: for everything that its account may do."""
    terminal: str = ""
    must_enrol: bool = False
    """Nothing may be done before a second factor is set up."""
    purpose: Purpose | None = None
    """Why this person looks, as far as the session remembers or the request says."""
    is_partner: bool = False
    """A program of another department: it can do what an agreement says, and without one nothing."""
    terms: Terms | None = None
    """Of a partner, those of the agreement in force."""
    looks: bool = False
    """What is asked is only looked at, so that what others share is in the scope, too."""

    @property
    def fields(self) -> frozenset[str] | None:
        """Keys of the fields of points that may leave; None: all."""
        if not self.is_partner:
            return None
        return frozenset() if self.terms is None else self.terms.fields

    @property
    def scope(self) -> Scope:
        """Where all that the role may do may be done."""
        return self.sight if self.looks else self.reach

    @property
    def reach(self) -> Scope:
        """Where something may be done, whatever is asked."""
        return scope_of_grants(self.grants)

    @property
    def sight(self) -> Scope:
        """What may be looked at: the scope, and what others let its organisations see."""
        return self.reach if self.is_partner else replace(self.reach, shared=True)

    def may(self, action: Action) -> bool:
        """Whether it may be done somewhere."""
        return _no_right(self, action) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """单位, as far as governance must know it. path: the ids from the city down, `/city/district/`."""

    id: OrgId
    name: str
    path: str


class Verdict(StrEnum):
    """How a decision came out."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One answer of `decide`. reason and hint: for the person, empty when allowed. lack: what would turn it.

    masked: the obligation to cover what the point's privacy masks cover; it holds unless a second person lifted it.
    """

    actor: Actor
    action: Action
    verdict: Verdict
    reason: str = ""
    hint: str = ""
    lack: Lack | None = None
    masked: bool = True

    def enforce(self) -> Decision:
        """Itself when allowed. Raises NotFound when unseen, Denied, PurposeNeeded or ApprovalNeeded when refused."""
        if self.verdict is Verdict.UNSEEN:
            raise NotFound(self.reason, self.hint)
        if self.lack in (Lack.APPROVAL, Lack.SENIOR):
            raise ApprovalNeeded(self.reason, self.hint)
        if self.lack is not None:
            raise PurposeNeeded(self.reason, self.hint)
        if self.verdict is Verdict.REFUSED:
            raise Denied(self.reason, self.hint)
        return self


def may(role: Role, action: Action) -> bool:
    """The golden table."""
    return action in GRANTS[role]


STEERS = frozenset({Action.VIEW_LIVE, Action.SNAPSHOT, Action.PTZ})
"""What is done to the picture of this moment, within a grant's hours."""
PLAYS = frozenset({Action.VIEW_PLAYBACK, Action.SNAPSHOT, Action.EXPORT})
"""What is done to recordings, within a grant's history."""


SIGHT = frozenset({Action.READ_POINTS, Action.READ_TIMELINE, Action.VIEW_LIVE, Action.VIEW_PLAYBACK, Action.SNAPSHOT})
"""What a point's owner lets other organisations do (授权单位): look, and no more."""


def decide(
    actor: Actor,
    action: Action,
    one: Object,
    *,
    now: datetime,
    span: Span | None = None,
    because: Because | None = None,
) -> Decision:
    """May this actor do this to that object now? The one place that says so (design law 7).

    span: of recorded content; None: it is live. because: the reasons, for a look at content; without them only sight,
    role and hours are decided.
    """
    shared = action in SIGHT and not actor.is_partner
    reaching = [grant for grant in actor.grants if grant.area.miss(one, shared=shared) is None]
    if (
        not reaching
        and not actor.is_partner
        and any(grant.area.miss(one, shared=True) is None for grant in actor.grants)
    ):
        reason, hint = _LENT
        return Decision(actor=actor, action=action, verdict=Verdict.REFUSED, reason=reason, hint=hint)
    if not reaching:
        return Decision(
            actor=actor, action=action, verdict=Verdict.UNSEEN, reason="there is no such object", hint="check the id"
        )
    told, missing = _refusal(actor, action, reaching, now, span), None
    if told is None and one.is_forbidden and action in DARK:
        told = _FORBIDDEN
    if told is None and because is not None:
        missing = lack(action, because)
        told = _TELL[missing] if missing is not None else None
    if told is not None:
        reason, hint = told
        return Decision(actor=actor, action=action, verdict=Verdict.REFUSED, reason=reason, hint=hint, lack=missing)
    masked = because is None or because.unmask is None
    return Decision(actor=actor, action=action, verdict=Verdict.ALLOWED, masked=masked)


def _refusal(
    actor: Actor, action: Action, reaching: list[Grant], now: datetime, span: Span | None
) -> tuple[str, str] | None:
    """Reason and hint where the role or all of the grants that reach the object refuse."""
    told = _no_right(actor, action)
    if told is not None:
        return told
    if span is None:
        if action in STEERS and not any(grant.shows_live(now) for grant in reaching):
            return _LATER
    elif action in PLAYS and not any(grant.shows(span) for grant in reaching):
        since = [grant.history_from for grant in reaching if grant.has_history and grant.history_from is not None]
        return _NO_HISTORY if not since else _since(min(since))
    return None


def _no_right(actor: Actor, action: Action) -> tuple[str, str] | None:
    if actor.must_enrol and action is not Action.OWN_ACCOUNT:
        return ENROL
    if actor.is_partner and actor.terms is None:
        return _NO_AGREEMENT
    if not may(actor.role, action):
        return why_not(actor.role, action)
    if actor.terms is not None and action not in actor.terms.actions and action is not Action.OWN_ACCOUNT:
        return f"the sharing agreement does not cover this ({_words(action)})", "it takes an agreement that does"
    if actor.only is not None and action not in actor.only:
        return f"this token is not good for this ({_words(action)})", "make one that is"
    return None


def _since(moment: datetime) -> tuple[str, str]:
    return f"your rights reach recordings since {rfc3339(moment)} only", _ASK


_ASK = "a security administrator can extend them"
_LATER = ("your rights to live pictures here do not hold at this hour", _ASK)
_NO_HISTORY = ("your rights here do not reach recordings", _ASK)
_FORBIDDEN = ("no camera may stand at this place", "an inspection has found so; see the point's file")
_NO_AGREEMENT = (
    "no sharing agreement is in force for this account",
    "an agreement must be approved, have begun, and neither be suspended nor over",
)
ENROL = ("this installation wants a second factor of you first", "set it up on your account's page")
_LENT = ("its owner lets you look at this, and do nothing else", "ask the unit that owns it")
_TELL = {
    Lack.PURPOSE: ("a purpose must be stated for this", "open one with its case number and unit"),
    Lack.CONTENT_PURPOSE: ("system maintenance gives no sight of content", "open a purpose that does"),
    Lack.APPROVAL: ("a second person must approve this", "ask for approval of these points and this time"),
    Lack.SENIOR: ("a senior must approve looking at content as old as this", "ask for approval; a unit above decides"),
}


def scope_of(actor: Actor, action: Action) -> Scope:
    """Which rows the actor may do this to. Raises Denied where the role may do it to none."""
    told = _no_right(actor, action)
    if told is not None:
        raise Denied(*told)
    return actor.sight if action in SIGHT else actor.reach


def why_not(role: Role, action: Action) -> tuple[str, str]:
    """Reason and hint of a refusal by the golden table."""
    who = ", ".join(f"{_plain(other)}s" for other in Role if may(other, action))
    what = _words(action)
    if role in ADMINISTRATORS and action in CONTENT:
        return f"{_plain(role)}s have no right to content ({what})", f"{who} may; use an account made for looking"
    return f"{_plain(role)}s may not do this ({what})", f"{who} may; ask your security administrator"


def _words(action: Action) -> str:
    return action.value.replace("_", " ")


def _plain(role: Role) -> str:
    return role.value.replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account. suspended: why the program disabled it, "" where it did not. ends_at: when it can no longer be used;
    None: it has no such end. is_service: of a program, which has tokens and no password. is_partner: of a program of
    another department. sign_on: who signs in to it by another house's account (issuer and subject), "" for nobody.
    escort: who of the house accompanies a contractor, "" where nobody is named.
    """

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
    suspended: str = ""
    ends_at: datetime | None = None
    is_service: bool = False
    is_partner: bool = False
    sign_on: str = ""
    escort: str = ""


def actor_for(
    account: User,
    grants: Iterable[Grant],
    *,
    session_id: SessionId,
    service: bool = False,
    only: frozenset[Action] | None = None,
    terminal: str = "",
    terms: Terms | None = None,
) -> Actor:
    """The account's person, or a program with a token of it. grants: those in force. terms: of the agreement in force,
    where it is a partner's; here, and nowhere else, they cut what it may reach. For the rest see Actor.
    """
    if account.is_partner:
        grants = () if terms is None else terms.cut(grants)
    else:
        terms = None
    return Actor(
        user_id=account.id,
        username=account.username,
        display_name=account.display_name,
        role=account.role,
        org_id=account.org_id,
        org_name=account.org_name,
        org_path=account.org_path,
        session_id=session_id,
        service=service,
        grants=tuple(grants),
        only=only,
        terminal=terminal,
        purpose=None if terms is None else terms.purpose(account.id),
        is_partner=account.is_partner,
        terms=terms,
    )


def within(found: Organisation | None, org_id: OrgId, scope: Scope) -> Organisation:
    """The organisation that somebody chose, where the scope covers all below it. Raises NotFound."""
    if found is None or not scope.covers_path(found.path):
        raise NotFound(f"there is no organisation {org_id[:64]!r}", "choose one from the list")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """What is needed to make an account, with a grant of all below its organisation.

    has_past: whether the grant reaches recordings from before it. ends_at, is_service, is_partner, escort: see User.
    password: none for a program.
    """

    username: str
    display_name: str
    role: Role
    org_id: OrgId
    password: str
    has_past: bool = False
    ends_at: datetime | None = None
    is_service: bool = False
    is_partner: bool = False
    escort: str = ""


class SessionKind(StrEnum):
    """How a token came about."""

    SIGN_IN = "sign_in"
    API_TOKEN = "api_token"  # noqa: S105 - the name of a kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A sign-in or an API token, without its secret. idle_at: when it ends unless used before; None: it does not.
    only: all that it is good for; None: for everything that its account may do.
    """

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
    purpose_id: str = ""
    only: frozenset[Action] | None = None

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

    @classmethod
    def cut(cls, found: list[T], limit: int, key: Callable[[T], str]) -> Page[T]:
        """The first `limit` of what was found; where there is more, the cursor is the last one's key."""
        return cls(found[:limit], key(found[limit - 1]) if len(found) > limit else None)
