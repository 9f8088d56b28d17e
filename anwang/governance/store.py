"""The tables of governance and their queries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Row,
    Select,
    SmallInteger,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from anwang.governance.actions import Action
from anwang.governance.ledger import Head
from anwang.governance.model import Role, Session, SessionKind, User
from anwang.governance.scopes import Area, Grant, GrantId, Hours, Scope
from anwang.kernel.errors import Conflict
from anwang.kernel.ids import OrgId, SessionId, UserId
from anwang.stores.state import Json, Moment, Serial, State, Tx, metadata, upsert

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("username", Text, nullable=False, unique=True),  # NFKC, case folded; never given to another person
    Column("display_name", Text, nullable=False),
    Column("role", Text, nullable=False),  # model.Role
    Column("org_id", Text, nullable=False),  # registry's organisation, or "city"
    Column("org_name", Text, nullable=False),  # copy of its name
    Column("org_path", Text, nullable=False),  # copy of its path, /city/district/
    Column("password", Text, nullable=False),  # argon2id, encoded
    Column("disabled", Boolean, nullable=False),
    Column("suspended", Text),  # why the program disabled it; NULL: it did not
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment),  # last request with any session, to the minute; NULL: never
    Column("ends_at", Moment),  # can't be used from then on; NULL: it can
    Column("is_service", Boolean, nullable=False, server_default="0"),  # of a program: tokens, no password
    Column("is_partner", Boolean, nullable=False, server_default="0"),  # of another department's program; stays so
    Column("removed_at", Moment),  # NULL: not removed
    Column("sign_on", Text),  # issuer and subject of who signs in by another house's account; NULL: nobody has yet
    Column("escort_id", Text),  # of users: who accompanies a contractor; NULL: nobody is named
)
Index("ix_users_org_path", users.c.org_path)

grants = Table(
    "grants",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("org_id", Text, nullable=False),  # everything below it
    Column("org_name", Text, nullable=False),  # copy of its name
    Column("org_path", Text, nullable=False),  # copy of its path
    Column("departments", Json, nullable=False),  # only those of one of these codes; empty: of all
    Column("classes", Json, nullable=False),  # point classes, likewise
    Column("kinds", Json, nullable=False),  # kinds of points, likewise
    Column("zones", Json, nullable=False),  # network zones, likewise
    Column("starts_at", Moment, nullable=False),
    Column("ends_at", Moment),  # NULL: no end
    Column("live_days", SmallInteger),  # days with live pictures, 1 << 0 is Monday; NULL: all days and hours
    Column("live_start", SmallInteger),  # minutes of the day; NULL with live_days
    Column("live_end", SmallInteger),
    Column("has_history", Boolean, nullable=False),  # whether recordings may be seen
    Column("history_from", Moment),  # only those from then on; NULL: all
)
Index("ix_grants_user_id", grants.c.user_id)
Index("ix_grants_org_id", grants.c.org_id)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("kind", Text, nullable=False),  # model.SessionKind
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),  # what the owner calls an API token; empty for sign-ins
    Column("token_hash", LargeBinary, nullable=False, unique=True),  # SHA-256 of the token, which is not kept
    Column("source", Text, nullable=False),  # signin.source_of(terminal)
    Column("terminal", Text, nullable=False),  # address it was opened from
    Column("agent", Text, nullable=False),  # User-Agent, shortened
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),  # last request, to the minute
    Column("expires_at", Moment, nullable=False),  # absolute end
    Column("purpose_id", Text),  # what its person last stated; NULL: nothing, or taken back
    Column("actions", Json),  # all that a token is good for; NULL: everything its account may do
    Column("idle_seconds", Integer),  # ends so long after seen_at; NULL: only at expires_at
    Column("ended_at", Moment),  # NULL: may still be used
    Column("ended_by", Text),  # user id of who ended it, or why it ended
)
Index("ix_sessions_user_id", sessions.c.user_id, sessions.c.source)
Index("ix_sessions_ended_at", sessions.c.ended_at)

setup_links = Table(
    "setup_links",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),  # SHA-256
    Column("role", Text, nullable=False),  # of the administrator that it makes
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

ledger_heads = Table(
    "ledger_heads",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("seq", Serial, nullable=False),  # number of the last row; only grows
    Column("hash", Text, nullable=False),  # its hash, hex
    Column("at", Serial, nullable=False),  # its time, microseconds since 1970 UTC
)


def _user(row: Row[Any]) -> User:
    return User(
        id=UserId(row.id),
        username=row.username,
        display_name=row.display_name,
        role=Role(row.role),
        org_id=OrgId(row.org_id),
        org_name=row.org_name,
        org_path=row.org_path,
        disabled=row.disabled,
        suspended=row.suspended or "",
        created_at=row.created_at,
        seen_at=row.seen_at,
        ends_at=row.ends_at,
        is_service=row.is_service,
        is_partner=row.is_partner,
        sign_on=row.sign_on or "",
        escort=row.escort_id or "",
    )


def _grant(row: Row[Any]) -> Grant:
    return Grant(
        id=GrantId(row.id),
        org_id=OrgId(row.org_id),
        org_name=row.org_name,
        area=Area(
            row.org_path,
            departments=frozenset(row.departments),
            classes=frozenset(row.classes),
            kinds=frozenset(row.kinds),
            zones=frozenset(row.zones),
        ),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        live=None if row.live_days is None else Hours(_days(row.live_days), row.live_start, row.live_end),
        has_history=row.has_history,
        history_from=row.history_from,
    )


def _days(bits: int) -> frozenset[int]:
    return frozenset(day for day in range(7) if bits >> day & 1)


async def grants_of(tx: Tx, user_id: str, *, lock: bool = False) -> list[Grant]:
    """All grants of an account in the order in which they were given, past and future ones, too.

    lock: they are about to be replaced.
    """
    found = select(grants).where(grants.c.user_id == user_id).order_by(grants.c.id)
    return [_grant(row) for row in await tx.execute(found.with_for_update() if lock else found)]


async def put_grants(tx: Tx, user_id: str, wanted: Sequence[Grant]) -> None:
    """These are the account's grants from now on."""
    await tx.execute(delete(grants).where(grants.c.user_id == user_id))
    for one in wanted:
        await tx.execute(
            insert(grants).values(
                id=one.id,
                user_id=user_id,
                org_id=one.org_id,
                org_name=one.org_name,
                org_path=one.area.org_path,
                departments=sorted(one.area.departments),
                classes=sorted(one.area.classes),
                kinds=sorted(one.area.kinds),
                zones=sorted(one.area.zones),
                starts_at=one.starts_at,
                ends_at=one.ends_at,
                live_days=None if one.live is None else sum(1 << day for day in one.live.days),
                live_start=None if one.live is None else one.live.start,
                live_end=None if one.live is None else one.live.end,
                has_history=one.has_history,
                history_from=one.history_from,
            )
        )


async def user_by_name(tx: Tx, username: str) -> tuple[User, str] | None:
    """An account and its encoded password, unless removed."""
    row = (await tx.execute(select(users).where(users.c.username == username, users.c.removed_at.is_(None)))).first()
    return None if row is None else (_user(row), row.password)


async def user(tx: Tx, user_id: str, *, seen_by: Scope) -> User | None:
    """An account within the scope, unless removed."""
    found = select(users).where(users.c.id == user_id, users.c.removed_at.is_(None), seen_by.where(users.c.org_path))
    row = (await tx.execute(found)).first()
    return None if row is None else _user(row)


async def password_of(tx: Tx, user_id: str) -> str:
    """The encoded password."""
    return str(await tx.scalar(select(users.c.password).where(users.c.id == user_id)))


async def users_page(tx: Tx, *, seen_by: Scope, query: str, after: str, limit: int) -> list[User]:
    """Accounts by user name after this one. query: part of user name or display name."""
    found = select(users).where(users.c.removed_at.is_(None), seen_by.where(users.c.org_path), users.c.username > after)
    if query:
        found = found.where(
            or_(
                users.c.username.icontains(query, autoescape=True),
                users.c.display_name.icontains(query, autoescape=True),
            )
        )
    rows = await tx.execute(found.order_by(users.c.username).limit(limit))
    return [_user(row) for row in rows]


async def service_accounts(tx: Tx, *, seen_by: Scope, after: str, limit: int) -> list[User]:
    """Programs' accounts that can be used, by user name after this one."""
    found = select(users).where(
        users.c.is_service.is_(True),
        users.c.removed_at.is_(None),
        seen_by.where(users.c.org_path),
        users.c.username > after,
    )
    return [_user(row) for row in await tx.execute(found.order_by(users.c.username).limit(limit))]


async def service_accounts_of(tx: Tx, ids: Collection[str], *, seen_by: Scope) -> list[User]:
    """Those of the accounts that are programs' and may be seen, by id; locked until the transaction ends."""
    found = select(users).where(
        users.c.id.in_(list(ids)),
        users.c.is_service.is_(True),
        users.c.removed_at.is_(None),
        seen_by.where(users.c.org_path),
    )
    return [_user(row) for row in await tx.execute(found.order_by(users.c.id).with_for_update())]


async def name_is_taken(tx: Tx, username: str) -> bool:
    """Whether an account has or had that name."""
    return await tx.scalar(select(users.c.id).where(users.c.username == username)) is not None


async def add_user(tx: Tx, account: User, password: str) -> None:
    """Insert an account with its encoded password. Raises Conflict if the name is or was in use."""
    if await name_is_taken(tx, account.username):
        raise _taken(account.username)
    try:
        await tx.execute(
            insert(users).values(
                id=account.id,
                username=account.username,
                display_name=account.display_name,
                role=account.role.value,
                org_id=account.org_id,
                org_name=account.org_name,
                org_path=account.org_path,
                password=password,
                disabled=account.disabled,
                created_at=account.created_at,
                ends_at=account.ends_at,
                is_service=account.is_service,
                is_partner=account.is_partner,
                escort_id=account.escort or None,
            )
        )
    except IntegrityError:  # another process was faster
        raise _taken(account.username) from None


def _taken(name: str) -> Conflict:
    return Conflict(f"the user name {name!r} is or was in use", "names are never used twice; choose another")


async def pin_sign_on(tx: Tx, user_id: str, subject: str) -> str:
    """Whose the account is by another house's sign-in: whoever came first."""
    first = update(users).where(users.c.id == user_id, users.c.sign_on.is_(None)).values(sign_on=subject)
    await tx.execute(first)
    return str(await tx.scalar(select(users.c.sign_on).where(users.c.id == user_id)))


async def change_user(tx: Tx, user_id: str, **values: object) -> None:
    """Set columns of one account."""
    await tx.execute(update(users).where(users.c.id == user_id).values(**values))


async def organisations_of_users(tx: Tx) -> list[OrgId]:
    """Organisations that have accounts, or grants."""
    both = select(users.c.org_id).union(select(grants.c.org_id))
    return [OrgId(row.org_id) for row in await tx.execute(both)]


async def move_users(tx: Tx, org_id: str, *, name: str, path: str) -> list[UserId]:
    """Renew the copies of an organisation's name and path; whose accounts or grants changed."""
    moved: set[UserId] = set()
    for table, owner in ((users, users.c.id), (grants, grants.c.user_id)):
        changed = and_(table.c.org_id == org_id, or_(table.c.org_name != name, table.c.org_path != path))
        ids = {UserId(user_id) for user_id in await tx.scalars(select(owner).where(changed))}
        if ids:
            await tx.execute(update(table).where(changed).values(org_name=name, org_path=path))
        moved |= ids
    return sorted(moved)


async def administrators(tx: Tx, role: Role, *, besides: str = "") -> int:
    """How many enabled administrators of that kind the whole city has, without this account.

    All of them are locked in one order, so that two who remove each other at once don't both succeed.
    """
    found = (
        select(users.c.id)
        .where(
            users.c.role == role.value,
            users.c.org_path == "/",
            users.c.disabled.is_(False),
            users.c.removed_at.is_(None),
        )
        .order_by(users.c.id)
        .with_for_update()
    )
    return sum(row.id != besides for row in await tx.execute(found))


def _session(row: Row[Any]) -> Session:
    return Session(
        id=SessionId(row.id),
        kind=SessionKind(row.kind),
        user_id=UserId(row.user_id),
        username=row.username,
        name=row.name,
        terminal=row.terminal,
        agent=row.agent,
        purpose_id=row.purpose_id or "",
        only=None if row.actions is None else frozenset(Action(action) for action in row.actions),
        created_at=row.created_at,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
        idle_at=None if row.idle_seconds is None else row.seen_at + timedelta(seconds=row.idle_seconds),
    )


def _open_sessions(now: datetime) -> Select[Any]:
    return (
        select(sessions, users.c.username)
        .join(users, users.c.id == sessions.c.user_id)
        .where(
            sessions.c.ended_at.is_(None),
            sessions.c.expires_at > now,
            users.c.disabled.is_(False),
            users.c.removed_at.is_(None),
            or_(users.c.ends_at.is_(None), users.c.ends_at > now),
        )
    )


async def session_by_hash(tx: Tx, token_hash: bytes, now: datetime) -> tuple[Session, User, list[Grant]] | None:
    """An open session, its account and all grants of that, for the service alone: it is what makes an actor."""
    row = (await tx.execute(_open_sessions(now).where(sessions.c.token_hash == token_hash))).first()
    if row is None:
        return None
    owner = (await tx.execute(select(users).where(users.c.id == row.user_id))).one()
    return _session(row), _user(owner), await grants_of(tx, row.user_id)


async def sessions_page(
    tx: Tx, *, seen_by: Scope, user_id: str | None, kind: SessionKind | None, now: datetime, after: str, limit: int
) -> list[Session]:
    """Open sessions of accounts within the scope, by id after this one."""
    found = _open_sessions(now).where(seen_by.where(users.c.org_path), sessions.c.id > after)
    if user_id is not None:
        found = found.where(sessions.c.user_id == user_id)
    if kind is not None:
        found = found.where(sessions.c.kind == kind.value)
    rows = await tx.execute(found.order_by(sessions.c.id).limit(limit))
    return [_session(row) for row in rows]


async def is_here(tx: Tx, user_id: str, *, since: datetime, now: datetime) -> bool:
    """Whether somebody is signed in and has asked for something since that moment."""
    found = _open_sessions(now).where(
        sessions.c.user_id == user_id, sessions.c.kind == SessionKind.SIGN_IN.value, sessions.c.seen_at >= since
    )
    return (await tx.execute(found.limit(1))).first() is not None


async def session(tx: Tx, session_id: str, *, seen_by: Scope, now: datetime) -> tuple[Session, bytes] | None:
    """An open session of an account within the scope, and the hash of its token."""
    found = _open_sessions(now).where(sessions.c.id == session_id, seen_by.where(users.c.org_path))
    row = (await tx.execute(found)).first()
    return None if row is None else (_session(row), bytes(row.token_hash))


async def add_session(tx: Tx, opened: Session, *, token_hash: bytes, source: str, idle_seconds: int | None) -> None:
    """Insert a session."""
    await tx.execute(
        insert(sessions).values(
            id=opened.id,
            kind=opened.kind.value,
            user_id=opened.user_id,
            name=opened.name,
            token_hash=token_hash,
            source=source,
            terminal=opened.terminal,
            agent=opened.agent,
            created_at=opened.created_at,
            seen_at=opened.seen_at,
            expires_at=opened.expires_at,
            actions=null() if opened.only is None else sorted(opened.only),
            idle_seconds=idle_seconds,
        )
    )


async def remember_purpose(tx: Tx, session_id: str, purpose_id: str | None) -> None:
    """What the session's person looks for from now on."""
    await tx.execute(update(sessions).where(sessions.c.id == session_id).values(purpose_id=purpose_id))


async def count_tokens(tx: Tx, user_id: str, now: datetime) -> int:
    """How many API tokens of the account may still be used."""
    count = await tx.scalar(
        select(func.count())
        .select_from(sessions)
        .where(
            sessions.c.user_id == user_id,
            sessions.c.kind == SessionKind.API_TOKEN.value,
            sessions.c.ended_at.is_(None),
            sessions.c.expires_at > now,
        )
    )
    return int(count or 0)


async def end_sessions(
    tx: Tx, *, now: datetime, by: str, user_id: str | None = None, ids: Sequence[str] | None = None, besides: str = ""
) -> list[tuple[SessionId, bytes]]:
    """End the open sessions of an account, or these; ids and token hashes of those that were open."""
    open_ones = and_(sessions.c.ended_at.is_(None), sessions.c.id != besides)
    if user_id is not None:
        open_ones = and_(open_ones, sessions.c.user_id == user_id)
    if ids is not None:
        open_ones = and_(open_ones, sessions.c.id.in_(list(ids)))
    rows = (await tx.execute(select(sessions.c.id, sessions.c.token_hash).where(open_ones).with_for_update())).all()
    if rows:
        await tx.execute(
            update(sessions).where(sessions.c.id.in_([row.id for row in rows])).values(ended_at=now, ended_by=by)
        )
    return [(SessionId(row.id), bytes(row.token_hash)) for row in rows]


async def touch_sessions(tx: Tx, seen: Sequence[tuple[str, str, datetime]]) -> None:
    """Set when sessions and their accounts were last seen: (session id, user id, moment)."""
    for session_id, user_id, moment in seen:
        await tx.execute(update(sessions).where(sessions.c.id == session_id).values(seen_at=moment))
        await tx.execute(
            update(users)
            .where(users.c.id == user_id, or_(users.c.seen_at.is_(None), users.c.seen_at < moment))
            .values(seen_at=moment)
        )


async def knows_source(tx: Tx, username: str, source: str, since: datetime) -> bool:
    """Whether the account was signed in from there since that moment."""
    found = (
        select(sessions.c.id)
        .join(users, users.c.id == sessions.c.user_id)
        .where(users.c.username == username, sessions.c.source == source, sessions.c.created_at >= since)
        .limit(1)
    )
    return await tx.scalar(found) is not None


async def forget_sessions(tx: Tx, before: datetime) -> int:
    """Delete sessions that ended, or expired, before that moment; how many."""
    old = or_(sessions.c.ended_at < before, sessions.c.expires_at < before)
    return (await tx.execute(delete(sessions).where(old))).rowcount


async def put_setup_link(tx: Tx, token_hash: bytes, role: Role, *, now: datetime, expires_at: datetime) -> None:
    """Keep a set-up link, in place of any before it for that role."""
    await drop_setup_links(tx, role)
    row = {"token_hash": token_hash, "role": role.value, "created_at": now, "expires_at": expires_at}
    await tx.execute(insert(setup_links).values(**row))


async def setup_link(tx: Tx, token_hash: bytes, now: datetime, *, lock: bool) -> tuple[Role, datetime] | None:
    """Whom the link makes and when it ends; None where there is none such. lock: it is about to be used up."""
    found = select(setup_links.c.role, setup_links.c.expires_at).where(
        setup_links.c.token_hash == token_hash, setup_links.c.expires_at > now
    )
    row = (await tx.execute(found.with_for_update() if lock else found)).first()
    return None if row is None else (Role(row.role), row.expires_at)


async def first_account_at(tx: Tx) -> datetime | None:
    """When the first account was made."""
    found: datetime | None = await tx.scalar(select(func.min(users.c.created_at)))
    return found


async def drop_setup_links(tx: Tx, role: Role) -> None:
    """No link for that role is valid any more."""
    await tx.execute(delete(setup_links).where(setup_links.c.role == role.value))


class StateHeads:
    """The ledger's heads in the state database."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def load(self) -> Mapping[str, Head]:
        """See Heads."""
        async with self._state.read() as tx:
            rows = (await tx.execute(select(ledger_heads))).all()
        return {row.chain: Head(row.chain, row.seq, row.hash, row.at) for row in rows}

    async def save(self, head: Head) -> None:
        """See Heads."""
        values = {"seq": head.seq, "hash": head.hash, "at": head.at}
        async with self._state.begin() as tx:
            changed = await tx.execute(
                update(ledger_heads)
                .where(ledger_heads.c.chain == head.chain, ledger_heads.c.seq < head.seq)
                .values(**values)
            )
            if not changed.rowcount:
                row = {"chain": head.chain, **values}
                await upsert(tx, ledger_heads, [row], key_columns=["chain"], update_columns=[])
