"""The tables of governance and their queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from anwang.governance.ledger import Head
from anwang.governance.model import Role, Scope, Session, SessionKind, User
from anwang.kernel.errors import Conflict
from anwang.kernel.ids import OrgId, PointId, SessionId, UserId
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
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment),  # last request with any session, to the minute; NULL: never
    Column("removed_at", Moment),  # NULL: not removed
)
Index("ix_users_org_path", users.c.org_path)

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

holds = Table(
    "holds",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("point_id", Text, nullable=False),
    Column("org_path", Text, nullable=False),  # the point's organisation when the hold was made
    Column("start_at", Moment, nullable=False),  # [start_at, end_at)
    Column("end_at", Moment, nullable=False),
    Column("owner_id", Text, ForeignKey("users.id"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("review_at", Moment, nullable=False),  # someone must look at it again by then; it holds on until released
    Column("created_at", Moment, nullable=False),
    Column("released_at", Moment),  # NULL: it holds
    Column("released_by", Text),
)
Index("ix_holds_point_id", holds.c.point_id, holds.c.end_at)

deletions = Table(
    "deletions",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("keeper", Text, nullable=False),  # whose objects
    Column("at", Moment, nullable=False),
    Column("count", Integer, nullable=False),
    Column("bytes", Serial, nullable=False),
    Column("first_at", Moment, nullable=False),  # the content's span
    Column("last_at", Moment, nullable=False),
    Column("ids", Json, nullable=False),  # ids of the objects, at most one batch
    Column("digest", Text, nullable=False),  # SHA-256 of the ids, as the ledger has it
)
Index("ix_deletions_at", deletions.c.at)


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
        created_at=row.created_at,
        seen_at=row.seen_at,
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
            )
        )
    except IntegrityError:  # another process was faster
        raise _taken(account.username) from None


def _taken(name: str) -> Conflict:
    return Conflict(f"the user name {name!r} is or was in use", "names are never used twice; choose another")


async def change_user(tx: Tx, user_id: str, **values: object) -> None:
    """Set columns of one account."""
    await tx.execute(update(users).where(users.c.id == user_id).values(**values))


async def organisations_of_users(tx: Tx) -> list[OrgId]:
    """Organisations that have accounts."""
    return [OrgId(row.org_id) for row in await tx.execute(select(users.c.org_id).distinct())]


async def move_users(tx: Tx, org_id: str, *, name: str, path: str) -> list[UserId]:
    """Renew the copies of an organisation's name and path; whose accounts changed."""
    changed = and_(users.c.org_id == org_id, or_(users.c.org_name != name, users.c.org_path != path))
    ids = [UserId(row.id) for row in await tx.execute(select(users.c.id).where(changed))]
    if ids:
        await tx.execute(update(users).where(users.c.id.in_(ids)).values(org_name=name, org_path=path))
    return ids


async def administrators(tx: Tx, *, besides: str) -> int:
    """How many enabled administrators of the whole city there are, without this account.

    All of them are locked in one order, so that two who remove each other at once don't both succeed.
    """
    found = (
        select(users.c.id)
        .where(
            users.c.role == Role.ADMINISTRATOR.value,
            users.c.org_path == "/",
            users.c.disabled.is_(False),
            users.c.removed_at.is_(None),
        )
        .order_by(users.c.id)
        .with_for_update()
    )
    return sum(row.id != besides for row in await tx.execute(found))


async def any_user(tx: Tx) -> bool:
    """Whether there is an account at all."""
    return await tx.scalar(select(users.c.id).limit(1)) is not None


def _session(row: Row[Any]) -> Session:
    return Session(
        id=SessionId(row.id),
        kind=SessionKind(row.kind),
        user_id=UserId(row.user_id),
        username=row.username,
        name=row.name,
        terminal=row.terminal,
        agent=row.agent,
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
        )
    )


async def session_by_hash(tx: Tx, token_hash: bytes, now: datetime) -> tuple[Session, User] | None:
    """An open session and its account, for the service alone: it is what makes an actor."""
    row = (await tx.execute(_open_sessions(now).where(sessions.c.token_hash == token_hash))).first()
    if row is None:
        return None
    owner = (await tx.execute(select(users).where(users.c.id == row.user_id))).one()
    return _session(row), _user(owner)


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
            idle_seconds=idle_seconds,
        )
    )


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


async def put_setup_link(tx: Tx, token_hash: bytes, *, now: datetime, expires_at: datetime) -> None:
    """Keep one set-up link, in place of any before it."""
    await tx.execute(delete(setup_links))
    await tx.execute(insert(setup_links).values(token_hash=token_hash, created_at=now, expires_at=expires_at))


async def setup_link(tx: Tx, token_hash: bytes, now: datetime, *, lock: bool) -> datetime | None:
    """When the link ends; None where there is none such. lock: it is about to be used up."""
    found = select(setup_links.c.expires_at).where(
        setup_links.c.token_hash == token_hash, setup_links.c.expires_at > now
    )
    return (await tx.execute(found.with_for_update() if lock else found)).scalar_one_or_none()


async def drop_setup_links(tx: Tx) -> None:
    """No link is valid any more."""
    await tx.execute(delete(setup_links))


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


async def add_hold(tx: Tx, **values: object) -> None:
    """Insert a hold."""
    await tx.execute(insert(holds).values(**values))


async def release_hold(tx: Tx, hold_id: str, *, seen_by: Scope, now: datetime, by: str) -> bool:
    """End a hold within the scope; whether there was one."""
    done = await tx.execute(
        update(holds)
        .where(holds.c.id == hold_id, holds.c.released_at.is_(None), seen_by.where(holds.c.org_path))
        .values(released_at=now, released_by=by)
    )
    return bool(done.rowcount)


async def holds_page(tx: Tx, *, seen_by: Scope, point_id: str | None, after: str, limit: int) -> list[dict[str, Any]]:
    """Holds that hold, by id after this one."""
    found = select(holds).where(holds.c.released_at.is_(None), seen_by.where(holds.c.org_path), holds.c.id > after)
    if point_id is not None:
        found = found.where(holds.c.point_id == point_id)
    rows = await tx.execute(found.order_by(holds.c.id).limit(limit))
    return [dict(row._mapping) for row in rows]


async def held_spans(tx: Tx, points: Sequence[PointId]) -> list[tuple[PointId, datetime, datetime]]:
    """The spans that are held of these points, whoever asks: retention must see all."""
    found = select(holds.c.point_id, holds.c.start_at, holds.c.end_at).where(
        holds.c.released_at.is_(None), holds.c.point_id.in_(list(points))
    )
    return [(PointId(row.point_id), row.start_at, row.end_at) for row in await tx.execute(found)]


async def holds_within(
    tx: Tx, points: Sequence[PointId], *, start_at: datetime, end_at: datetime
) -> list[dict[str, Any]]:
    """Holds of these points that reach into [start_at, end_at); who may see the points was decided before."""
    found = select(holds).where(
        holds.c.released_at.is_(None),
        holds.c.point_id.in_(list(points)),
        holds.c.start_at < end_at,
        holds.c.end_at > start_at,
    )
    return [dict(row._mapping) for row in await tx.execute(found.order_by(holds.c.start_at, holds.c.id))]


async def add_deletion(tx: Tx, **values: object) -> None:
    """Insert the proof of a deletion."""
    await tx.execute(insert(deletions).values(**values))
