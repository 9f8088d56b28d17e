"""Routes of governance, and what every other router needs: `current_actor`, `allow(action)`, `public(reason)`.

Browsers carry the token in the cookie `anwang`, programs in `Authorization: Bearer`. With the cookie, unsafe methods
and WebSockets must come from our own pages (Origin).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from http.cookies import CookieError, SimpleCookie
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from fastapi.requests import HTTPConnection
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr

from anwang.governance.actions import Action
from anwang.governance.ledger import Asked, CopyUse, LedgerPage, Place, Row
from anwang.governance.model import (
    SIGHT,
    Actor,
    NewUser,
    Opened,
    Role,
    Session,
    SessionKind,
    Terminal,
    User,
    scope_of,
)
from anwang.governance.reasons import Purpose, PurposeKind
from anwang.governance.service import Governance, UserChange
from anwang.kernel.errors import Conflict, Denied, Invalid, Unauthenticated
from anwang.kernel.ids import OrgId, SessionId, UserId
from anwang.kernel.times import from_micros, month_span, to_micros

COOKIE = "anwang"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

# --- who asks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request as far as its credentials go; whatever server took it.

    headers: names in lower case. method: WEBSOCKET for an upgrade. is_tls: whether the connection is encrypted.
    """

    method: str
    is_tls: bool
    address: str
    headers: dict[str, str]

    @classmethod
    def of(cls, *, method: str, is_tls: bool, address: str, headers: Iterable[tuple[bytes, bytes]]) -> Arrival:
        """From raw headers. A header given twice counts joined by a comma, as HTTP has it (cookies by a semicolon)."""
        joined: dict[str, str] = {}
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            between = "; " if name == "cookie" else ", "
            joined[name] = joined[name] + between + value if name in joined else value
        return cls(method=method, is_tls=is_tls, address=address, headers=joined)


async def admit(governance: Governance, arrival: Arrival) -> Actor:
    """Who asks. Raises Unauthenticated (nobody), Denied (the cookie came with a request from a foreign page)."""
    authorization = arrival.headers.get("authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(f"{scheme[:20]!r} credentials are not taken", "send Authorization: Bearer <token>")
        return await governance.actor(token.strip(), terminal=arrival.address)
    token = _cookie(arrival.headers.get("cookie", ""))
    if not token:
        raise Unauthenticated("nobody is signed in", "sign in first")
    if arrival.method not in SAFE:
        check_origin(arrival, governance.origins, needed=True)
    return await governance.actor(token, terminal=arrival.address)


def check_origin(arrival: Arrival, origins: Iterable[str], *, needed: bool) -> None:
    """Raises Denied unless the page that asks is ours or listed. needed: refuse when the browser does not say.

    Same origin means the Origin's host and port are those the request was sent to; over TLS it must be https, too.
    Without TLS both schemes pass, because a proxy in front may have ended it.
    """
    origin = arrival.headers.get("origin")
    if origin is None:
        if needed and arrival.headers.get("sec-fetch-site") not in ("same-origin", "none"):
            raise Denied("the request does not say which page it comes from", "send Origin, or use a token")
        return
    if origin in origins:
        return
    parts = urlsplit(origin)
    ports = {"http": ":80", "https": ":443"}
    ours = arrival.headers.get("host", "").lower().removesuffix(ports.get(parts.scheme, ""))
    theirs = parts.netloc.lower().removesuffix(ports.get(parts.scheme, ""))
    if theirs and theirs == ours and parts.scheme in (("https",) if arrival.is_tls else ("http", "https")):
        return
    raise Denied(f"the page at {origin[:80]} may not ask here", "add its origin to http.origins if it should")


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def arrival_of(connection: HTTPConnection) -> Arrival:
    """The arrival of a request or WebSocket of the ASGI stack."""
    scope = connection.scope
    return Arrival.of(
        method="WEBSOCKET" if scope["type"] == "websocket" else scope["method"],
        is_tls=scope["scheme"] in ("https", "wss"),
        address=connection.client.host if connection.client else "",
        headers=scope["headers"],
    )


def governance_of(connection: HTTPConnection) -> Governance:
    """The service, as `build_api` put it into the application's state."""
    governance: Governance = connection.app.state.governance
    return governance


async def current_actor(connection: HTTPConnection) -> Actor:
    """Dependency: who asks, and why: the session's purpose, or the one that the request names in the header
    `X-Purpose` or as `?purpose=`. Raises Unauthenticated, Denied, NotFound and PurposeNeeded (of the purpose named).
    """
    governance = governance_of(connection)
    actor = await admit(governance, arrival_of(connection))
    named = connection.headers.get("x-purpose") or connection.query_params.get("purpose")
    if named:
        actor = await governance.with_purpose(actor, named)
    connection.state.actor = actor
    return actor


class Shared(StrEnum):
    """How a route answers programs of other departments. A route that does not say so answers them nothing."""

    PULL = "pull"
    """Each answer is a row of the ledger of its own, whose id the header `X-Anwang-Look` tells."""
    PIECE = "piece"
    """It is part of a look that has its rows, or says nothing of the city."""


PULL_HEADER = "x-anwang-look"


class Allowed:
    """What `allow` puts on a route; the test of all routes looks for `governed_by`."""

    def __init__(self, action: Action, shared: Shared | None, use: str | None) -> None:
        self.action = action
        self.shared = shared
        self.use = use
        self.governed_by = f"allow {action.value}" + (f", shared as {shared}" if shared else "")

    async def __call__(self, connection: HTTPConnection) -> Actor:
        """The actor, whose role may do the action somewhere. Raises Unauthenticated, Denied, Unavailable."""
        actor = await current_actor(connection)
        if actor.is_partner:
            await self._check_partner(connection, actor)
        scope = scope_of(actor, self.action)
        if actor.role is Role.CONTRACTOR and self.action is not Action.OWN_ACCOUNT:
            asked = f"{connection.scope.get('method', 'WEBSOCKET')} {connection.url.path}?{connection.url.query}"
            await governance_of(connection).accompany(actor, self.action, asked.rstrip("?"))
        if self.use is not None and connection.scope.get("method") == "GET" and not actor.is_partner:
            governance_of(connection).count_use(actor, self.use or _first_word(connection), scope)
        return replace(actor, looks=True) if self.action in SIGHT else actor

    async def _check_partner(self, connection: HTTPConnection, actor: Actor) -> None:
        governance = governance_of(connection)
        try:
            scope_of(actor, self.action)
            if self.shared is None:
                raise Denied("this is not shared with other departments", "ask for points, live video or recordings")
        except Denied:
            governance.count_use(actor, "refused_pull", actor.scope)
            raise
        if self.shared is Shared.PULL:
            given = connection.path_params
            points = [str(given[name])[:64] for name in ("point", "point_id") if name in given]
            asked = f"{connection.scope.get('method', 'WEBSOCKET')} {connection.url.path}?{connection.url.query}"
            pull = await governance.note_pull(actor, self.action, points, asked.rstrip("?"))
            connection.state.answer_headers = [(PULL_HEADER.encode(), pull.encode())]


class Public:
    """What `public` puts on a route."""

    def __init__(self, reason: str) -> None:
        self.governed_by = f"public: {reason}"

    async def __call__(self) -> None:
        """Nobody is asked."""


def _first_word(connection: HTTPConnection) -> str:
    """Of the path, behind the version: it never is a parameter."""
    words = connection.url.path.split("/", 4)
    return words[3] if len(words) > 3 else words[-1]


def allow(action: Action, *, shared: Shared | None = None, use: str | None = "") -> Any:
    """Dependency of a route: yields the Actor if the role may do it at all. Objects are decided by `require`. shared:
    whether other departments' programs may ask it, too.

    use: as what a GET counts in the ledger (design law 7); "": the first word of its path. None: it does not, because
    it opens a look, writes a row or counts by itself, or says nothing but of the own account.
    """
    return Depends(Allowed(action, shared, use))


def public(reason: str) -> Any:
    """Dependency of a route that needs no session, and why."""
    return Depends(Public(reason))


# --- shapes ------------------------------------------------------------------------------------------------------


class Shape(BaseModel):
    """Base of DTOs: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=4096)


class NamedDto(Shape):
    """An id with its name."""

    id: str
    name: str


class SignInDto(Shape):
    """Who wants to sign in. code: of the second factor, where the account has one."""

    username: str = Field(max_length=200)
    password: SecretStr = Field(max_length=1000)
    code: str = Field(max_length=20, default="")


class OpenedDto(Shape):
    """A new session or API token. The token is shown this once."""

    token: str
    expires_at: datetime


class SessionUserDto(Shape):
    """The person behind the session."""

    id: str
    username: str
    display_name: str
    role: Role
    organisation: NamedDto


class AbilitiesDto(Shape):
    """What the person may do somewhere in the scope: one field per Action."""

    own_account: bool
    read_points: bool
    read_timeline: bool
    read_trace: bool
    view_live: bool
    view_playback: bool
    snapshot: bool
    export: bool
    ptz: bool
    hold: bool
    delete: bool
    unmask: bool
    edit_masks: bool
    import_points: bool
    edit_points: bool
    adopt: bool
    read_system: bool
    manage_users: bool
    read_ledger: bool
    administer: bool
    open_purpose: bool
    ask_approval: bool
    approve: bool
    read_duties: bool
    manage_duties: bool
    settle_anomalies: bool
    read_breaches: bool
    manage_breaches: bool
    read_requests: bool
    handle_requests: bool


class PurposeDto(Shape):
    """A purpose that somebody has stated."""

    id: str
    kind: PurposeKind
    case_no: str
    unit: str
    note: str
    opened_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, one: Purpose) -> Self:
        """As it goes out."""
        return cls(
            id=one.id,
            kind=one.kind,
            case_no=one.case_no,
            unit=one.unit,
            note=one.note,
            opened_at=one.opened_at,
            expires_at=one.expires_at,
        )


class CustomsDto(Shape):
    """What the installation has settled about reasons.

    purpose_minutes: the longest a purpose may last. approval_hours: a request waits so long, and an approval may be
    used so long. urgent_hours: an urgent look must be made good within.
    """

    purpose_minutes: int
    approval_hours: float
    urgent_hours: float


class CurrentSessionDto(Shape):
    """Who is signed in, what they may do, and the purpose that is active.

    must_enrol: nothing but the own account can be used before a second factor is set up.
    """

    user: SessionUserDto
    second_factor: bool
    must_enrol: bool
    purpose: PurposeDto | None
    can: AbilitiesDto
    customs: CustomsDto
    expires_at: datetime
    city: str


class SessionDto(Shape):
    """An open session or API token. current: it is the one that asks. actions: all that it is good for; null for
    everything that its account may do.
    """

    id: str
    kind: SessionKind
    user: NamedDto
    name: str
    terminal: str
    agent: str
    created_at: datetime
    last_seen: datetime
    expires_at: datetime
    current: bool
    actions: list[Action] | None


class SessionsDto(Shape):
    """A page of sessions."""

    items: list[SessionDto]
    next: str | None


class NewTokenDto(Shape):
    """An API token to make. actions: all that it is good for; null for everything that its account may do."""

    name: str = Field(max_length=200)
    days: int = Field(ge=1, le=366)
    actions: list[Action] | None = Field(default=None, max_length=len(Action))

    @property
    def only(self) -> frozenset[Action] | None:
        """As the service takes it."""
        return None if self.actions is None else frozenset(self.actions)


class UserDto(Shape):
    """An account. suspended: why the program disabled it, "" where it did not. ends_at: when it is over. is_partner: of
    another department's program, which can do nothing without an agreement. linked: somebody signs in to it by another
    house's account, and nobody else can. escort: id of who accompanies a contractor.
    """

    id: str
    username: str
    display_name: str
    role: Role
    organisation: NamedDto
    disabled: bool
    suspended: str
    created_at: datetime
    last_seen: datetime | None
    ends_at: datetime | None
    is_service: bool
    is_partner: bool
    linked: bool
    escort: str | None


class UsersDto(Shape):
    """A page of accounts."""

    items: list[UserDto]
    next: str | None


class NewUserDto(Shape):
    """An account to make. organisation: its id; `city` is the city itself. has_past: it may see recordings from before
    it was made. ends_at: when it can no longer be used; a contractor's must have an end. is_service: of a program,
    which gets tokens and no password. is_partner: of another department's program, which can do nothing without an
    agreement. escort: id of who accompanies a contractor, who can do nothing unless that person is signed in.
    """

    username: str = Field(max_length=200)
    display_name: str = Field(max_length=200, default="")
    role: Role
    organisation: str
    password: SecretStr = Field(max_length=1000, default=SecretStr(""))
    disabled: bool = False
    is_service: bool = False
    is_partner: bool = False
    has_past: bool = False
    ends_at: AwareDatetime | None = None
    escort: str | None = None


class ChangeUserDto(Shape):
    """What to change of an account; what is left out stays. password: a new one, ends the account's sessions.
    ends_at: null takes the account's end away. unlink: whoever signed in to it by another house's account no longer
    can, and the next one of this name becomes its owner. escort: who accompanies a contractor, "" takes the name away.

    username: only as it is; forms send it along.
    """

    username: str | None = Field(max_length=200, default=None)
    display_name: str | None = Field(max_length=200, default=None)
    role: Role | None = None
    organisation: str | None = None
    disabled: bool | None = None
    ends_at: AwareDatetime | None = None
    password: SecretStr | None = Field(max_length=1000, default=None)
    unlink: bool = False
    escort: str | None = None


class NewFactorDto(Shape):
    """A secret for an authenticator app, in base32 and as the address of a square code."""

    secret: str
    address: str


class CodeDto(Shape):
    """Six digits that an authenticator app shows."""

    code: str = Field(max_length=20)


class ChangePasswordDto(Shape):
    """One's own new password."""

    old: SecretStr = Field(max_length=1000)
    new: SecretStr = Field(max_length=1000)


class SetupStateDto(Shape):
    """A set-up link that is valid, and the administrator it makes."""

    valid: bool
    role: Role
    expires_at: datetime
    city: str


class SetUpDto(Shape):
    """The first administrator of a kind."""

    username: str = Field(max_length=200)
    display_name: str = Field(max_length=200, default="")
    password: SecretStr = Field(max_length=1000)


class LedgerRowDto(Shape):
    """One row of the ledger (domain.md G07). reason, case: kind and case number of the purpose."""

    chain: str
    seq: int
    at: datetime
    kind: str
    user: NamedDto
    role: str
    org_path: str
    session: str
    terminal: str
    action: str
    objects: list[str]
    scope: str
    look: str
    count: int
    bytes: int
    seconds: float
    outcome: str
    detail: str
    unit: str
    purpose: str
    reason: str
    case: str
    approval: str
    recipient: str
    skew_us: int


class LedgerDto(Shape):
    """A page of the ledger, latest first. scanned: rows looked at one by one; where few fit, go on with `next`.

    copy: `used`, all of it was searched; `behind`, what the searchable copy lacks is read from the files, a part at a
    time; `away`, the copy does not answer and the files alone are read, a part at a time.
    """

    items: list[LedgerRowDto]
    next: str | None
    scanned: int
    copy_: CopyUse = Field(alias="copy")


class CellDto(Shape):
    """A number. names: what it is of. count: null where it is too small to be published."""

    names: list[str]
    count: int | None


class OversightDto(Shape):
    """A month in numbers. tables: looks by action, kind of purpose and (unless publishable) unit; refusals by action
    and why; uses; deletions; events by kind of row; requests by action, state and urgency; urgent by what became of
    them; anomalies by rule and state; breaches by state. waiting: not counted yet.
    """

    month: str
    start: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")
    publishable: bool
    waiting: int
    tables: dict[str, list[CellDto]]


Cursor = Annotated[str, Query(max_length=2000, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=500)]

# --- routes ------------------------------------------------------------------------------------------------------

router = APIRouter(prefix="/api/v1", tags=["governance"])
Own = Annotated[Actor, allow(Action.OWN_ACCOUNT, use=None)]
OwnOrManaged = Annotated[Actor, allow(Action.OWN_ACCOUNT)]
UserAdmin = Annotated[Actor, allow(Action.MANAGE_USERS)]
Service = Annotated[Governance, Depends(governance_of)]


@router.post("/session", status_code=201, dependencies=[public("signing in is how a session comes about")])
async def sign_in(connection: HTTPConnection, governance: Service, body: SignInDto, response: Response) -> OpenedDto:
    """Sign in with user name and password; sets the cookie, too."""
    arrival = arrival_of(connection)
    check_origin(arrival, governance.origins, needed=False)
    opened = await governance.sign_in(
        body.username, body.password.get_secret_value(), terminal=terminal_of(arrival), code=body.code
    )
    keep_session(response, governance, arrival, opened)
    return OpenedDto(token=opened.token, expires_at=opened.session.ends_at)


@router.get("/session")
async def read_session(
    actor: Annotated[Actor, allow(Action.OWN_ACCOUNT, shared=Shared.PIECE, use=None)], governance: Service
) -> CurrentSessionDto:
    """Who is signed in and what they may do."""
    rules = governance.settings.governance
    return CurrentSessionDto(
        user=SessionUserDto(
            id=actor.user_id,
            username=actor.username,
            display_name=actor.display_name,
            role=actor.role,
            organisation=NamedDto(id=actor.org_id, name=actor.org_name),
        ),
        second_factor=await governance.has_factor(actor),
        must_enrol=actor.must_enrol,
        purpose=None if actor.purpose is None else PurposeDto.of(actor.purpose),
        can=AbilitiesDto(**{action.value: actor.may(action) for action in Action}),
        customs=CustomsDto(
            purpose_minutes=rules.purpose_minutes,
            approval_hours=rules.approval_hours,
            urgent_hours=rules.urgent_hours,
        ),
        expires_at=await governance.ends_at(actor),
        city=governance.settings.city,
    )


@router.delete("/session", status_code=204)
async def sign_out(connection: HTTPConnection, actor: Own, governance: Service, response: Response) -> None:
    """End this session."""
    await governance.sign_out(actor)
    response.delete_cookie(COOKIE, path="/", secure=arrival_of(connection).is_tls, httponly=True, samesite="lax")


@router.put("/session/password", status_code=204)
async def change_password(connection: HTTPConnection, actor: Own, governance: Service, body: ChangePasswordDto) -> None:
    """Change one's own password; one's other sessions and tokens end."""
    await governance.change_password(
        actor,
        old=body.old.get_secret_value(),
        new=body.new.get_secret_value(),
        terminal=terminal_of(arrival_of(connection)),
    )


@router.post("/session/totp", status_code=201)
async def begin_second_factor(actor: Own, governance: Service) -> NewFactorDto:
    """A secret for an authenticator app (RFC 6238), shown this once; it counts when its first code is confirmed."""
    made = await governance.begin_factor(actor)
    return NewFactorDto(secret=made.secret, address=made.address)


@router.put("/session/totp", status_code=204, response_class=Response)
async def confirm_second_factor(actor: Own, governance: Service, body: CodeDto) -> None:
    """The app works: from now on a sign-in needs its code. One's other sessions and tokens end."""
    await governance.confirm_factor(actor, body.code)


@router.post("/session/totp/removal", status_code=204, response_class=Response)
async def remove_second_factor(actor: Own, governance: Service, body: CodeDto) -> None:
    """Do without, with a last code."""
    await governance.remove_factor(actor, body.code)


@router.get("/sessions")
async def list_sessions(
    actor: OwnOrManaged, governance: Service, user: str | None = None, cursor: Cursor = "", limit: Limit = 50
) -> SessionsDto:
    """Open sessions and tokens: one's own; of `user`, or of everybody with `user=all`, for administrators."""
    user_id = None if user == "all" else UserId(user or actor.user_id)
    page = await governance.sessions(actor, user_id=user_id, cursor=cursor, limit=limit)
    return SessionsDto(items=[_session(each, actor) for each in page.items], next=page.next)


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(actor: Own, governance: Service, session_id: str) -> None:
    """End one's own session or token; administrators end those of the accounts they manage."""
    await governance.end_session(actor, SessionId(session_id))


@router.get("/tokens")
async def list_tokens(actor: Own, governance: Service, cursor: Cursor = "", limit: Limit = 50) -> SessionsDto:
    """One's own API tokens."""
    page = await governance.sessions(
        actor, user_id=actor.user_id, kind=SessionKind.API_TOKEN, cursor=cursor, limit=limit
    )
    return SessionsDto(items=[_session(each, actor) for each in page.items], next=page.next)


@router.post("/tokens", status_code=201)
async def make_token(connection: HTTPConnection, actor: Own, governance: Service, body: NewTokenDto) -> OpenedDto:
    """Make an API token with one's own rights."""
    opened = await governance.make_token(
        actor, name=body.name, days=body.days, only=body.only, terminal=terminal_of(arrival_of(connection))
    )
    return OpenedDto(token=opened.token, expires_at=opened.session.expires_at)


@router.delete("/tokens/{session_id}", status_code=204)
async def revoke_token(actor: Own, governance: Service, session_id: str) -> None:
    """Revoke a token."""
    await governance.end_session(actor, SessionId(session_id))


@router.get("/users")
async def list_users(
    actor: UserAdmin,
    governance: Service,
    query: Annotated[str, Query(max_length=100)] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> UsersDto:
    """Accounts within one's scope, by user name. query: part of a name."""
    page = await governance.users(actor, query=query, cursor=cursor, limit=limit)
    return UsersDto(items=[user_dto(each) for each in page.items], next=page.next)


@router.post("/users", status_code=201)
async def create_user(actor: UserAdmin, governance: Service, body: NewUserDto) -> UserDto:
    """Make an account."""
    made = await governance.create_user(
        actor,
        NewUser(
            username=body.username,
            display_name=body.display_name,
            role=body.role,
            org_id=OrgId(body.organisation),
            password=body.password.get_secret_value(),
            has_past=body.has_past,
            ends_at=body.ends_at,
            is_service=body.is_service,
            is_partner=body.is_partner,
            escort=body.escort or "",
        ),
    )
    if body.disabled:
        made = await governance.change_user(actor, made.id, UserChange(disabled=True))
    return user_dto(made)


@router.get("/users/{user_id}")
async def read_user(actor: UserAdmin, governance: Service, user_id: str) -> UserDto:
    """One account."""
    return user_dto(await governance.user(actor, UserId(user_id)))


@router.patch("/users/{user_id}")
async def change_user(actor: UserAdmin, governance: Service, user_id: str, body: ChangeUserDto) -> UserDto:
    """Change an account; it takes effect at once."""
    account = await governance.user(actor, UserId(user_id))
    if body.username not in (None, account.username):
        raise Conflict("a user name never changes", "make another account and remove this one")
    change = UserChange(
        display_name=body.display_name,
        role=body.role,
        org_id=None if body.organisation is None else OrgId(body.organisation),
        disabled=body.disabled,
        ends_at=body.ends_at,
        never_ends="ends_at" in body.model_fields_set and body.ends_at is None,
        unlink=body.unlink,
        escort=body.escort,
    )
    changed = await governance.change_user(actor, UserId(user_id), change)
    if body.password is not None:
        await governance.set_password(actor, UserId(user_id), body.password.get_secret_value())
    return user_dto(changed)


@router.post("/users/{user_id}/tokens", status_code=201)
async def make_service_token(
    connection: HTTPConnection, actor: UserAdmin, governance: Service, user_id: str, body: NewTokenDto
) -> OpenedDto:
    """Make an API token of a service account."""
    opened = await governance.make_token(
        actor,
        of=UserId(user_id),
        name=body.name,
        days=body.days,
        only=body.only,
        terminal=terminal_of(arrival_of(connection)),
    )
    return OpenedDto(token=opened.token, expires_at=opened.session.expires_at)


@router.delete("/users/{user_id}/totp", status_code=204, response_class=Response)
async def reset_second_factor(actor: UserAdmin, governance: Service, user_id: str) -> None:
    """Somebody's app is lost: they sign in without, and set up a new one. Their sessions end."""
    await governance.reset_factor(actor, UserId(user_id))


@router.delete("/users/{user_id}", status_code=204)
async def remove_user(actor: UserAdmin, governance: Service, user_id: str) -> None:
    """Remove an account for good; its name stays taken."""
    await governance.remove_user(actor, UserId(user_id))


@router.get("/setup/{token}", dependencies=[public("before the first account nobody can sign in")])
async def read_setup(governance: Service, token: str) -> SetupStateDto:
    """Whether the set-up link is valid; 404 if not."""
    role, ends_at = await governance.setup_of(token)
    return SetupStateDto(valid=True, role=role, expires_at=ends_at, city=governance.settings.city)


@router.post("/setup/{token}", status_code=201, dependencies=[public("before the first account nobody can sign in")])
async def set_up(connection: HTTPConnection, governance: Service, token: str, body: SetUpDto) -> UserDto:
    """Make the administrator that the link is for, and use it up."""
    check_origin(arrival_of(connection), governance.origins, needed=False)
    made = await governance.set_up(
        token, username=body.username, display_name=body.display_name, password=body.password.get_secret_value()
    )
    return user_dto(made)


@router.get("/ledger")
async def read_ledger(
    actor: Annotated[Actor, allow(Action.READ_LEDGER, use=None)],
    governance: Service,
    kind: Annotated[str, Query(max_length=40)] = "",
    who: Annotated[str, Query(alias="actor", max_length=100, description="id or user name")] = "",
    about: Annotated[
        str, Query(alias="object", max_length=100, description="id of a point, account, look, purpose or approval")
    ] = "",
    action: Annotated[str, Query(max_length=40)] = "",
    case: Annotated[str, Query(max_length=100, description="case number of the purpose")] = "",
    since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> LedgerDto:
    """The ledger, latest first. What is left out does not narrow it."""
    asked = Asked(
        kind=kind,
        actor=who,
        object=about,
        action=action,
        case=case,
        since=to_micros(since) if since else 0,
        until=to_micros(until) if until else 0,
    )
    return ledger_dto(await governance.read_ledger(actor, cursor=unpacked(cursor), limit=limit, asked=asked))


def ledger_dto(page: LedgerPage) -> LedgerDto:
    """As the reader gets it."""
    return LedgerDto(
        items=[row_dto(chain, row) for chain, row in page.rows],
        next=None if page.next is None else _packed(page.next),
        scanned=page.scanned,
        copy=page.copy,
    )


def keep_session(answer: Response, governance: Governance, arrival: Arrival, opened: Opened) -> None:
    """The browser sends the session along from now on."""
    answer.set_cookie(
        COOKIE,
        opened.token,
        max_age=int(governance.settings.http.session_hours * 3600),  # a browser's clock may be wrong
        path="/",
        secure=arrival.is_tls,
        httponly=True,
        samesite="lax",
    )


def terminal_of(arrival: Arrival) -> Terminal:
    """Where a request comes from."""
    return Terminal(arrival.address, arrival.headers.get("user-agent", "")[:200])


def _session(each: Session, actor: Actor) -> SessionDto:
    return SessionDto(
        id=each.id,
        kind=each.kind,
        user=NamedDto(id=each.user_id, name=each.username),
        name=each.name,
        terminal=each.terminal,
        agent=each.agent,
        created_at=each.created_at,
        last_seen=each.seen_at,
        expires_at=each.ends_at,
        current=each.id == actor.session_id,
        actions=None if each.only is None else sorted(each.only),
    )


def user_dto(each: User) -> UserDto:
    """As the reader gets it."""
    return UserDto(
        id=each.id,
        username=each.username,
        display_name=each.display_name,
        role=each.role,
        organisation=NamedDto(id=each.org_id, name=each.org_name),
        disabled=each.disabled,
        suspended=each.suspended,
        created_at=each.created_at,
        last_seen=each.seen_at,
        ends_at=each.ends_at,
        is_service=each.is_service,
        is_partner=each.is_partner,
        linked=each.sign_on != "",
        escort=each.escort or None,
    )


@router.get("/oversight")
async def read_oversight(
    actor: Annotated[Actor, allow(Action.READ_LEDGER, use=None)],
    governance: Service,
    month: Annotated[str, Query(max_length=10, description="a civil month (Asia/Shanghai) such as 2026-11")],
    publishable: Annotated[bool, Query(description="without units, and without numbers below ten")] = False,
) -> OversightDto:
    """What people did in a month, in numbers (domain.md G21)."""
    span = month_span(month)
    report = await governance.oversee(actor, span)
    told = report.publishable() if publishable else report
    return OversightDto(
        month=month,
        start=from_micros(span.start),
        end=from_micros(span.end),
        publishable=publishable,
        waiting=told.waiting,
        tables={
            name: [CellDto(names=list(cell.names), count=cell.count) for cell in cells]
            for name, cells in told.tables.items()
        },
    )


def row_dto(chain: str, row: Row) -> LedgerRowDto:
    """As the reader gets it."""
    return LedgerRowDto(
        chain=chain,
        seq=row.seq,
        at=from_micros(row.at),
        kind=row.kind,
        user=NamedDto(id=row.user, name=row.name),
        role=row.role,
        org_path=row.org,
        session=row.session,
        terminal=row.terminal,
        action=row.action,
        objects=list(row.objects),
        scope=row.scope,
        look=row.look,
        count=row.count,
        bytes=row.bytes,
        seconds=row.seconds,
        outcome=row.outcome,
        detail=row.detail,
        unit=row.unit,
        purpose=row.purpose,
        reason=row.reason,
        case=row.case,
        approval=row.approval,
        recipient=row.recipient,
        skew_us=row.skew_us,
    )


def _packed(cursor: Place) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode()


def unpacked(text: str) -> Place | None:
    """Where a page of the ledger begins; None: at the latest row. Raises Invalid."""
    if not text:
        return None
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(text), type=Place)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise Invalid("the cursor is not one of ours", "begin again without it") from None
