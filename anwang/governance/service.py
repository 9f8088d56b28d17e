"""Use cases: signing in, sessions and tokens, accounts, the first start, decisions, looks.

Tokens are 256 random bits; only their SHA-256 is kept. An open session is held in memory, so that a request costs no
database read; ending one takes effect at once in this process, and within `recheck_seconds` in others.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import os
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from anwang.governance import store
from anwang.governance.ledger import Entry, Ledger, LedgerPage, Row
from anwang.governance.looks import KEEP_SECONDS, Look, Looks, Redeemed, actor_entry
from anwang.governance.model import (
    CITY,
    CITY_PATH,
    EVERYTHING,
    Action,
    Actor,
    Decision,
    LookId,
    NewUser,
    Object,
    Opened,
    Organisation,
    Page,
    Role,
    Scope,
    Session,
    SessionKind,
    Terminal,
    User,
    check_path,
    decide,
    scope_of,
)
from anwang.governance.signin import Passwords, Throttle, check_password, normal_name, source_of
from anwang.kernel.errors import Conflict, Denied, Exhausted, Invalid, NotFound, Unauthenticated, Unavailable
from anwang.kernel.ids import OrgId, SessionId, UserId, uuid7
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.runtime.secrets import Sealer
from anwang.runtime.settings import Settings
from anwang.stores.state import State, Tx

log = logs.get(__name__)
T = TypeVar("T")

TOKEN = re.compile(r"anw_[stl]_[A-Za-z0-9_-]{43}")
MOST_CACHED = 100_000
MOST_TOKENS = 50
SETUP_HOURS = 24
TOKEN_DAYS = 366
KNOWN_SOURCE_DAYS = 30
FORGET_DAYS = 190
"""Ended sessions are kept for half a year (Cybersecurity Law of the PRC art. 23(3): network logs, six months)."""
TICK_SECONDS = 5.0
SEEN_SECONDS = 60.0


class Places(Protocol):
    """What governance must know about organisations; `registry` fulfils it."""

    async def organisation(self, org_id: OrgId) -> Organisation | None:
        """Name and path; None if unknown."""


class NoPlaces:
    """A city without imported organisations: there is only the city itself."""

    async def organisation(self, org_id: OrgId) -> Organisation | None:
        """See Places."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """What to change of an account; None leaves it."""

    display_name: str | None = None
    role: Role | None = None
    org_id: OrgId | None = None
    disabled: bool | None = None


@dataclass(slots=True)
class _Live:
    """A session in memory. checked: when it was last read from the database, on the interval clock."""

    actor: Actor
    session: Session
    seen_at: datetime
    checked: float


@dataclass(eq=False, slots=True)
class _Connection:
    """Something that a session has open. token_hash, expires_at: of the session, once they are read."""

    actor: Actor
    on_end: Callable[[], None]
    token_hash: bytes = b""
    expires_at: datetime | None = None


class Governance:
    """The face of the slice. Make it with `open`; run `run`; end with `close`."""

    def __init__(
        self,
        *,
        state: State,
        ledger: Ledger,
        looks: Looks,
        clock: Clock,
        passwords: Passwords,
        settings: Settings,
        places: Places,
        recheck_seconds: float | None,
    ) -> None:
        self._state = state
        self._ledger = ledger
        self._looks = looks
        self._clock = clock
        self._passwords = passwords
        self._throttle = Throttle(clock=clock)
        self._wrong_sign_ins = 0
        self._settings = settings
        self.origins = settings.origins()
        """Pages that may ask besides our own."""
        self._places = places
        self._recheck_seconds = recheck_seconds
        self._live: OrderedDict[bytes, _Live] = OrderedDict()
        self._changes = 0
        """Of accounts and sessions: what was read before the last one may be out of date."""
        self._seen: dict[SessionId, tuple[UserId, datetime]] = {}
        self._ended: list[Callable[[SessionId], Awaitable[None]]] = []
        self._connections: set[_Connection] = set()

    @classmethod
    async def open(
        cls,
        *,
        state: State,
        settings: Settings,
        clock: Clock,
        sealer: Sealer,
        writer: str = "main",
        places: Places | None = None,
        passwords: Passwords | None = None,
        ledger: Ledger | None = None,
    ) -> Governance:
        """Open the ledger in the data folder, close what a crash left open, and be ready.

        writer: this process's name in the ledger. places: who knows the organisations. passwords, ledger: other ones
        for tests. Sessions ended by another process are noticed within 5 s where the state store can be shared.
        Raises Unavailable, Conflict.
        """
        folder = Path(settings.data) / "ledger"
        opened = ledger or await Ledger.open(folder, writer=writer, heads=store.StateHeads(state), clock=clock)
        looks = Looks(
            ledger=opened, clock=clock, key=sealer.derive("look tokens"), kept=opened.folder / f".{writer}.open"
        )
        recovered = await looks.recover()
        if recovered:
            log.warning("looks of a process that died were closed", rows=recovered)
        return cls(
            state=state,
            ledger=opened,
            looks=looks,
            clock=clock,
            passwords=passwords or Passwords(),
            settings=settings,
            places=places or NoPlaces(),
            recheck_seconds=None if state.is_sqlite else 5.0,
        )

    @property
    def settings(self) -> Settings:
        """The settings it was opened with."""
        return self._settings

    @property
    def ledger(self) -> Ledger:
        """For health (`failing`, `waiting`), verification and the searchable copy (`follow`, `rows`)."""
        return self._ledger

    async def run(self) -> None:
        """What time does, for ever: idle looks, hourly counts, the ledger's head, when sessions were seen."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ledger.run())
            group.create_task(self._every(TICK_SECONDS, self._looks.tick))
            group.create_task(self._every(TICK_SECONDS, self.check_connections))
            group.create_task(self._every(KEEP_SECONDS, self._looks.keep))
            group.create_task(self._every(SEEN_SECONDS, self.save_seen))
            group.create_task(self._every(24 * 3600.0, self.forget))

    async def _every(self, seconds: float, job: Callable[[], Awaitable[object]]) -> None:
        while True:
            await self._clock.sleep(seconds)
            try:
                await job()
            except Exception as err:  # the next round tries again
                log.error("a job of governance failed", job=getattr(job, "__name__", "?"), error=str(err))

    async def close(self) -> None:
        """Close all looks in the ledger, save what is in memory, let the ledger go."""
        await self._looks.close_all("process ended in order")
        await self.save_seen()
        await self._ledger.close()

    # --- signing in ----------------------------------------------------------------------------------------------

    def refused_sign_ins(self) -> dict[str, int]:
        """Sign-ins refused since the start: wrong names or passwords, too many guesses, too many at one moment."""
        return {
            "wrong": self._wrong_sign_ins,
            "throttled": self._throttle.refused,
            "crowded": self._passwords.refused,
        }

    async def sign_in(self, username: str, password: str, *, terminal: Terminal) -> Opened:
        """Open a session. Raises Unauthenticated (same words and work for unknown users), Exhausted (throttled)."""
        now = self._clock.now()
        try:
            name = normal_name(username)
        except Invalid:
            name = username.casefold()[:64]
        source = source_of(terminal.address)
        async with self._state.read() as tx:
            found = await store.user_by_name(tx, name)
            known = await store.knows_source(tx, name, source, now - timedelta(days=KNOWN_SOURCE_DAYS))
        self._throttle.check(name, source, is_known=known)
        self._throttle.count(name, source)
        try:
            fits = await self._passwords.verify(found[1] if found else None, password)
        except BaseException:
            self._throttle.take_back(name, source)
            raise
        if not fits or found is None or found[0].disabled:
            # what was typed as an unknown name may be a password in the wrong field: it is not written down
            self._wrong_sign_ins += 1
            shown = found[0].username if found else ""
            self._post(Entry(kind="refused", name=shown, terminal=terminal.address, detail="sign-in"))
            raise Unauthenticated("user name or password is wrong", "check both; capital letters matter")
        self._throttle.succeeded(name, source)
        account, encoded = found
        opened = await self._open_session(
            account,
            SessionKind.SIGN_IN,
            terminal=terminal,
            expires_at=now + timedelta(hours=self._settings.http.session_hours),
            idle_seconds=int(self._settings.http.idle_minutes * 60),
        )
        if self._passwords.is_outdated(encoded):
            renewed = await self._passwords.hash(password)
            async with self._state.begin() as tx:
                await store.change_user(tx, account.id, password=renewed)
        return opened

    async def _open_session(
        self,
        account: User,
        kind: SessionKind,
        *,
        terminal: Terminal,
        expires_at: datetime,
        idle_seconds: int | None,
        name: str = "",
        by: Actor | None = None,
    ) -> Opened:
        now = self._clock.now()
        token = _token("s" if kind is SessionKind.SIGN_IN else "t")
        session = Session(
            id=SessionId(self._new_id()),
            kind=kind,
            user_id=account.id,
            username=account.username,
            name=name,
            terminal=terminal.address,
            agent=terminal.agent[:200],
            created_at=now,
            seen_at=now,
            expires_at=expires_at,
            idle_at=None if idle_seconds is None else now + timedelta(seconds=idle_seconds),
        )
        async with self._state.begin() as tx:
            if kind is SessionKind.API_TOKEN and await store.count_tokens(tx, account.id, now) >= MOST_TOKENS:
                raise Exhausted(f"an account has at most {MOST_TOKENS} tokens", "revoke one that is not needed")
            await store.add_session(
                tx, session, token_hash=_hash(token), source=source_of(terminal.address), idle_seconds=idle_seconds
            )
        actor = by or _actor(account, session)
        # signing in must be possible while the ledger is broken, or nobody could mend it; looking is not
        self._post(
            actor_entry(
                actor,
                "signed_in" if kind is SessionKind.SIGN_IN else "changed",
                action=Action.OWN_ACCOUNT.value,
                objects=(session.id,),
                detail="" if kind is SessionKind.SIGN_IN else "API token made",
            )
        )
        return Opened(token, session)

    async def actor(self, token: str, *, terminal: str = "") -> Actor:
        """Who a token belongs to. terminal: address of this request. Raises Unauthenticated.

        Costs no database read for a session that is in use.
        """
        if TOKEN.fullmatch(token) is None:
            raise _unknown_session()
        token_hash = _hash(token)
        now = self._clock.now()
        live = self._live.get(token_hash)
        if live is None or self._is_stale(live):
            live = await self._load(token_hash, now)
        session = live.session
        idle = session.idle_at
        if now >= session.expires_at or (idle is not None and now >= live.seen_at + (idle - session.seen_at)):
            await self._end([(session.id, token_hash)], by="time")
            raise _unknown_session()
        live.seen_at = now
        self._seen[session.id] = (session.user_id, now)
        if terminal and terminal != live.actor.terminal:
            return dataclasses.replace(live.actor, terminal=terminal)
        return live.actor

    def _is_stale(self, live: _Live) -> bool:
        return self._recheck_seconds is not None and self._clock.monotonic() - live.checked > self._recheck_seconds

    async def _load(self, token_hash: bytes, now: datetime) -> _Live:
        known = self._live.pop(token_hash, None)
        read_at = None
        while read_at != self._changes:  # rights taken away while they were read would be kept until the session ends
            read_at = self._changes
            async with self._state.read() as tx:
                found = await store.session_by_hash(tx, token_hash, now)
        if found is None:
            if known is not None:  # ended by another process
                await self._gone(known.session.id)
            raise _unknown_session()
        session, account = found
        seen_at = session.seen_at if known is None else max(known.seen_at, session.seen_at)
        live = _Live(_actor(account, session), session, seen_at, self._clock.monotonic())
        self._live[token_hash] = live
        while len(self._live) > MOST_CACHED:
            self._live.popitem(last=False)
        return live

    async def ends_at(self, actor: Actor) -> datetime:
        """When the actor's session ends if nothing more is done with it. Raises Unauthenticated."""
        async with self._state.read() as tx:
            found = await store.session(tx, actor.session_id, seen_by=EVERYTHING, now=self._clock.now())
        if found is None:
            raise _unknown_session()
        session = found[0]
        if session.idle_at is None:
            return session.expires_at
        return min(session.expires_at, self._clock.now() + (session.idle_at - session.seen_at))

    def on_session_end(self, listener: Callable[[SessionId], Awaitable[None]]) -> None:
        """Call when a session ends or its rights change, so that its live connections can be closed."""
        self._ended.append(listener)

    @asynccontextmanager
    async def while_open(self, actor: Actor, on_end: Callable[[], None]) -> AsyncIterator[None]:
        """A connection of the actor's session that lasts as long as the block, which counts as use of the session.

        on_end: called once if the session ends or its rights change meanwhile; the block must end then.
        Raises Unauthenticated where that has happened already, Unavailable.
        """
        one = _Connection(actor, on_end)
        self._connections.add(one)  # first, so that no end falls between the reading and the listening
        try:
            await self._read_connection(one)
            yield
        finally:
            self._connections.discard(one)

    async def _read_connection(self, one: _Connection) -> None:
        """Raises Unauthenticated where the session is over or has other rights than the connection was made with."""
        now = self._clock.now()
        async with self._state.read() as tx:
            found = await store.session(tx, one.actor.session_id, seen_by=EVERYTHING, now=now)
            known = None if found is None else await store.session_by_hash(tx, found[1], now)
        if found is None or known is None:
            raise _unknown_session()
        session, account = known
        if (account.role, account.org_path) != (one.actor.role, one.actor.org_path):
            raise Unauthenticated("the rights of this session have changed", "open it again")
        one.token_hash, one.expires_at = found[1], session.expires_at

    async def check_connections(self) -> None:
        """What has something open is in use; what is past its time ends, also where another process ended it."""
        now = self._clock.now()
        for one in {each.actor.session_id: each for each in self._connections}.values():
            session = one.actor.session_id
            if one.expires_at is not None and now >= one.expires_at:
                await self._end([(session, one.token_hash)], by="time")
                continue
            self._seen[session] = (one.actor.user_id, now)
            live = self._live.get(one.token_hash)
            if live is not None:
                live.seen_at = now
            if self._recheck_seconds is not None:
                try:
                    await self._read_connection(one)
                except Unauthenticated:
                    await self._forget([(session, one.token_hash)])

    async def sign_out(self, actor: Actor) -> None:
        """End the actor's own session."""
        await self._revoke([actor.session_id], by=actor)

    async def sessions(
        self,
        actor: Actor,
        *,
        user_id: UserId | None = None,
        kind: SessionKind | None = None,
        cursor: str = "",
        limit: int = 50,
    ) -> Page[Session]:
        """Open sessions: one's own, or another's or everybody's within the scope of an administrator (user_id None).

        Raises Denied.
        """
        own = user_id == actor.user_id
        scope = EVERYTHING if own else scope_of(actor, Action.MANAGE_USERS)
        async with self._state.read() as tx:
            found = await store.sessions_page(
                tx, seen_by=scope, user_id=user_id, kind=kind, now=self._clock.now(), after=cursor, limit=limit + 1
            )
        return _page(found, limit, lambda each: each.id)

    async def end_session(self, actor: Actor, session_id: SessionId) -> None:
        """End one's own session or API token, or as administrator another's. Raises NotFound."""
        now = self._clock.now()
        async with self._state.read() as tx:
            found = await store.session(tx, session_id, seen_by=EVERYTHING, now=now)
        if found is None:
            raise _no("session")
        if found[0].user_id != actor.user_id:
            async with self._state.read() as tx:
                if await store.user(tx, found[0].user_id, seen_by=self._scope_or_nothing(actor)) is None:
                    raise _no("session")
        await self._revoke([session_id], by=actor)

    def _scope_or_nothing(self, actor: Actor) -> Scope:
        try:
            return scope_of(actor, Action.MANAGE_USERS)
        except Denied:
            return Scope(None)

    async def _revoke(self, ids: Sequence[SessionId], *, by: Actor) -> None:
        await self._write(by, "changed", Action.OWN_ACCOUNT, ids, "session ended")
        async with self._state.begin() as tx:
            ended = await store.end_sessions(tx, now=self._clock.now(), by=by.user_id, ids=ids)
        await self._forget(ended)

    async def _end(self, ended: Sequence[tuple[SessionId, bytes]], *, by: str) -> None:
        async with self._state.begin() as tx:
            await store.end_sessions(tx, now=self._clock.now(), by=by, ids=[each for each, _ in ended])
        await self._forget(ended)

    async def _forget(self, ended: Sequence[tuple[SessionId, bytes]]) -> None:
        self._changes += 1
        for _, token_hash in ended:
            self._live.pop(token_hash, None)
        for session_id, _ in ended:
            await self._gone(session_id)

    async def _gone(self, session_id: SessionId) -> None:
        self._seen.pop(session_id, None)
        for one in [each for each in self._connections if each.actor.session_id == session_id]:
            self._connections.discard(one)
            one.on_end()
        for listener in self._ended:
            try:
                await listener(session_id)
            except Exception as err:  # one listener must not keep the others' connections open
                log.error("a listener to ended sessions failed", error=str(err))
        await self._looks.end_session(session_id)

    async def _reload(self, user_id: UserId) -> None:
        """The account's rights changed: what its sessions have open ends, and their next request reads them again."""
        self._changes += 1
        for token_hash, live in list(self._live.items()):
            if live.session.user_id == user_id:
                del self._live[token_hash]
                await self._gone(live.session.id)
        for session in {one.actor.session_id for one in self._connections if one.actor.user_id == user_id}:
            await self._gone(session)

    async def save_seen(self) -> None:
        """Write down when sessions were last used."""
        seen, self._seen = self._seen, {}
        if seen:
            async with self._state.begin() as tx:
                await store.touch_sessions(tx, [(sid, user, moment) for sid, (user, moment) in seen.items()])

    async def forget(self) -> int:
        """Delete sessions that ended half a year ago; how many."""
        async with self._state.begin() as tx:
            return await store.forget_sessions(tx, self._clock.now() - timedelta(days=FORGET_DAYS))

    # --- API tokens ----------------------------------------------------------------------------------------------

    async def make_token(self, actor: Actor, *, name: str, days: int, terminal: Terminal) -> Opened:
        """A token for programs with the actor's own rights. days: 1..366. Raises Denied to a token itself, Invalid."""
        self._in_person(actor, "make tokens")
        if not 1 <= days <= TOKEN_DAYS:
            raise Invalid(f"a token lasts 1 to {TOKEN_DAYS} days")
        async with self._state.read() as tx:
            account = await store.user(tx, actor.user_id, seen_by=EVERYTHING)
        if account is None:
            raise _unknown_session()
        return await self._open_session(
            account,
            SessionKind.API_TOKEN,
            terminal=terminal,
            expires_at=self._clock.now() + timedelta(days=days),
            idle_seconds=None,
            name=_label(name, "a token's name"),
            by=actor,
        )

    @staticmethod
    def _in_person(actor: Actor, what: str) -> None:
        if actor.service:
            raise Denied(f"an API token may not {what}", "sign in with user name and password")

    # --- accounts ------------------------------------------------------------------------------------------------

    async def users(self, actor: Actor, *, query: str = "", cursor: str = "", limit: int = 50) -> Page[User]:
        """Accounts within the actor's scope by user name. Raises Denied."""
        scope = scope_of(actor, Action.MANAGE_USERS)
        async with self._state.read() as tx:
            found = await store.users_page(tx, seen_by=scope, query=query, after=cursor, limit=limit + 1)
        return _page(found, limit, lambda each: each.username)

    async def user(self, actor: Actor, user_id: UserId) -> User:
        """One account. Raises Denied, NotFound."""
        async with self._state.read() as tx:
            return await self._get(tx, actor, user_id)

    async def _get(self, tx: Tx, actor: Actor, user_id: UserId) -> User:
        found = await store.user(tx, user_id, seen_by=scope_of(actor, Action.MANAGE_USERS))
        if found is None:
            raise _no("user")
        return found

    async def create_user(self, actor: Actor, wanted: NewUser) -> User:
        """Make an account in the actor's scope. Raises Denied, Invalid, NotFound (organisation), Conflict (name)."""
        scope = scope_of(actor, Action.MANAGE_USERS)
        organisation = await self._organisation(wanted.org_id, scope)
        return await self._create(wanted, organisation, by=actor)

    async def _create(self, wanted: NewUser, organisation: Organisation, *, by: Actor | None) -> User:
        name = normal_name(wanted.username)
        check_password(wanted.password, username=name)
        encoded = await self._passwords.hash(wanted.password)
        account = User(
            id=UserId(self._new_id()),
            username=name,
            display_name=_label(wanted.display_name or wanted.username, "a display name"),
            role=wanted.role,
            org_id=organisation.id,
            org_name=organisation.name,
            org_path=check_path(organisation.path),
            disabled=False,
            created_at=self._clock.now(),
            seen_at=None,
        )
        async with self._state.begin() as tx:
            await store.add_user(tx, account, encoded)
            await self._write(by, "changed", Action.MANAGE_USERS, [account.id], f"made {name} as {account.role.value}")
        return account

    async def _place(self, org_id: OrgId) -> Organisation | None:
        if org_id == CITY:
            return Organisation(id=CITY, name=self._settings.city, path=CITY_PATH)
        return await self._places.organisation(org_id)

    async def _organisation(self, org_id: OrgId, scope: Scope) -> Organisation:
        found = await self._place(org_id)
        if found is None or not scope.covers(found.path):
            raise NotFound(f"there is no organisation {org_id[:64]!r}", "choose one from the list")
        return found

    async def change_user(self, actor: Actor, user_id: UserId, change: UserChange) -> User:
        """Change an account; it takes effect with its next request. Raises Denied, NotFound, Conflict, Invalid."""
        scope = scope_of(actor, Action.MANAGE_USERS)
        values: dict[str, object] = {}
        if change.display_name is not None:
            values["display_name"] = _label(change.display_name, "a display name")
        if change.role is not None:
            values["role"] = change.role.value
        if change.org_id is not None:
            organisation = await self._organisation(change.org_id, scope)
            values |= {"org_id": organisation.id, "org_name": organisation.name, "org_path": organisation.path}
        if change.disabled is not None:
            values["disabled"] = change.disabled
        ended: list[tuple[SessionId, bytes]] = []
        async with self._state.begin() as tx:
            account = await self._get(tx, actor, user_id)
            differs = {name: value for name, value in values.items() if getattr(account, name) != value}
            if not differs:
                return account
            if differs.keys() - {"display_name"}:
                await self._keep_an_administrator(tx, actor, account)
            await store.change_user(tx, user_id, **differs)
            if differs.get("disabled"):
                ended = await store.end_sessions(tx, now=self._clock.now(), by=actor.user_id, user_id=user_id)
            changed = await self._get(tx, actor, user_id)
            said = ", ".join(f"{name}={value}" for name, value in sorted(differs.items()))
            await self._write(actor, "changed", Action.MANAGE_USERS, [user_id], said)
        if differs.keys() - {"display_name"}:
            await self._reload(user_id)
        await self._forget(ended)
        return changed

    async def remove_user(self, actor: Actor, user_id: UserId) -> None:
        """The account can never be used again; its name stays in the ledger and is not given to another.

        Raises Denied, NotFound, Conflict.
        """
        async with self._state.begin() as tx:
            account = await self._get(tx, actor, user_id)
            await self._keep_an_administrator(tx, actor, account)
            now = self._clock.now()
            await store.change_user(tx, user_id, removed_at=now, disabled=True)
            ended = await store.end_sessions(tx, now=now, by=actor.user_id, user_id=user_id)
            await self._write(actor, "changed", Action.MANAGE_USERS, [user_id], f"removed {account.username}")
        await self._reload(user_id)
        await self._forget(ended)

    async def _keep_an_administrator(self, tx: Tx, actor: Actor, account: User) -> None:
        if account.id == actor.user_id:
            raise Conflict("you can't take your own rights away", "ask another administrator")
        is_one = account.role is Role.ADMINISTRATOR and account.org_path == CITY_PATH and not account.disabled
        if is_one and await store.administrators(tx, besides=account.id) == 0:
            raise Conflict("this is the last administrator of the city", "make another one first")

    async def set_password(self, actor: Actor, user_id: UserId, password: str) -> None:
        """Give another's account a new password and end its sessions. Raises Denied, NotFound, Invalid, Conflict."""
        self._in_person(actor, "set passwords")
        account = await self.user(actor, user_id)
        if account.id == actor.user_id:
            raise Conflict("change your own password with the old one", "use the account page")
        check_password(password, username=account.username)
        encoded = await self._passwords.hash(password)
        async with self._state.begin() as tx:
            await self._get(tx, actor, user_id)
            await store.change_user(tx, user_id, password=encoded)
            ended = await store.end_sessions(tx, now=self._clock.now(), by=actor.user_id, user_id=user_id)
            await self._write(actor, "changed", Action.MANAGE_USERS, [user_id], "password set")
        await self._forget(ended)

    async def change_password(self, actor: Actor, *, old: str, new: str, terminal: Terminal) -> None:
        """Change one's own password; all other sessions and tokens of the account end.

        Raises Denied (wrong old one), Exhausted (too many wrong ones), Invalid.
        """
        self._in_person(actor, "change passwords")
        source = source_of(terminal.address)
        self._throttle.check(actor.username, source, is_known=True)
        check_password(new, username=actor.username)
        async with self._state.read() as tx:
            encoded = await store.password_of(tx, actor.user_id)
        self._throttle.count(actor.username, source)
        if not await self._passwords.verify(encoded, old):
            raise Denied("the old password is wrong", "if you forgot it, an administrator can set a new one")
        self._throttle.succeeded(actor.username, source)
        renewed = await self._passwords.hash(new)
        async with self._state.begin() as tx:
            await store.change_user(tx, actor.user_id, password=renewed)
            ended = await store.end_sessions(
                tx, now=self._clock.now(), by=actor.user_id, user_id=actor.user_id, besides=actor.session_id
            )
            await self._write(actor, "changed", Action.OWN_ACCOUNT, [actor.user_id], "password changed")
        await self._forget(ended)

    async def organisations_changed(self) -> None:
        """The registry may have renamed or moved organisations: accounts and open sessions follow at once."""
        async with self._state.read() as tx:
            used = await store.organisations_of_users(tx)
        found = [await self._place(each) for each in used]
        moved: list[UserId] = []
        async with self._state.begin() as tx:
            for organisation in found:
                if organisation is not None:
                    path = check_path(organisation.path)
                    moved += await store.move_users(tx, organisation.id, name=organisation.name, path=path)
        for user_id in moved:
            await self._reload(user_id)

    # --- the first start -----------------------------------------------------------------------------------------

    async def setup_link(self) -> str | None:
        """A new token for the page that makes the first administrator, good for 24 hours; None once there are users."""
        token = _token("l")
        now = self._clock.now()
        async with self._state.begin() as tx:
            if await store.any_user(tx):
                return None
            expires_at = now + timedelta(hours=SETUP_HOURS)
            await store.put_setup_link(tx, _hash(token), now=now, expires_at=expires_at)
        return token

    async def setup_ends_at(self, token: str) -> datetime:
        """When the link ends. Raises NotFound."""
        async with self._state.read() as tx:
            ends_at = await store.setup_link(tx, _hash(token), self._clock.now(), lock=False)
        if ends_at is None:
            raise _no("set-up link")
        return ends_at

    async def set_up(self, token: str, *, username: str, display_name: str, password: str) -> User:
        """Make the first administrator; the link is used up. Raises NotFound, Invalid, Conflict."""
        await self.setup_ends_at(token)
        name = normal_name(username)
        check_password(password, username=name)
        encoded = await self._passwords.hash(password)
        organisation = await self._organisation(CITY, EVERYTHING)
        account = User(
            id=UserId(self._new_id()),
            username=name,
            display_name=_label(display_name or username, "a display name"),
            role=Role.ADMINISTRATOR,
            org_id=organisation.id,
            org_name=organisation.name,
            org_path=organisation.path,
            disabled=False,
            created_at=self._clock.now(),
            seen_at=None,
        )
        async with self._state.begin() as tx:
            link = await store.setup_link(tx, _hash(token), self._clock.now(), lock=True)
            if link is None or await store.any_user(tx):
                raise _no("set-up link")
            await store.add_user(tx, account, encoded)
            await store.drop_setup_links(tx)
            await self._write(None, "changed", Action.MANAGE_USERS, [account.id], f"first administrator {name}")
        return account

    async def seed(self, accounts: Sequence[NewUser]) -> list[User]:
        """Make those of the accounts whose names are free (the demo's); the set-up link falls. Raises Invalid."""
        made = []
        for wanted in accounts:
            async with self._state.read() as tx:
                taken = await store.name_is_taken(tx, normal_name(wanted.username))
            if not taken:
                made.append(await self._create(wanted, await self._organisation(wanted.org_id, EVERYTHING), by=None))
        async with self._state.begin() as tx:
            await store.drop_setup_links(tx)
        return made

    # --- decisions and looks -------------------------------------------------------------------------------------

    def scope(self, actor: Actor, action: Action) -> Scope:
        """Which rows the actor may do this to. Raises Denied where the role may do it to none."""
        return scope_of(actor, action)

    def decide(self, actor: Actor, action: Action, *, org_path: str) -> Decision:
        """The decision itself, for lists of what may be done."""
        return decide(actor, action, org_path=org_path)

    def require(self, actor: Actor, action: Action, *, org_path: str) -> Decision:
        """The decision. Raises NotFound outside the scope, Denied where the role lacks the right."""
        return decide(actor, action, org_path=org_path).enforce()

    async def open_look(
        self,
        actor: Actor,
        action: Action,
        objects: Sequence[Object],
        *,
        detail: str = "",
        idle_seconds: float | None = None,
    ) -> Look:
        """See Looks.open."""
        return await self._looks.open(actor, action, objects, detail=detail, idle_seconds=idle_seconds)

    async def close_look(
        self, look: Look, *, bytes: int | None = None, seconds: float | None = None, outcome: str | None = None
    ) -> None:
        """See Looks.close."""
        await self._looks.close(look, bytes=bytes, seconds=seconds, outcome=outcome)

    def look(
        self, actor: Actor, action: Action, objects: Sequence[Object], *, detail: str = ""
    ) -> AbstractAsyncContextManager[Look]:
        """See Looks.look."""
        return self._looks.look(actor, action, objects, detail=detail)

    def serve_look(self, look_id: LookId, bytes: int) -> None:
        """See Looks.serve."""
        self._looks.serve(look_id, bytes)

    def mint(self, look: Look, *, subject: str, seconds: float) -> str:
        """See Looks.mint."""
        return self._looks.mint(look, subject=subject, seconds=seconds)

    def redeem(self, token: str, *, session: SessionId, subject: str) -> Redeemed:
        """See Looks.redeem."""
        return self._looks.redeem(token, session=session, subject=subject)

    def count_use(self, actor: Actor, kind: str, scope: Scope, n: int = 1) -> None:
        """See Looks.count_use."""
        self._looks.count_use(actor, kind, scope, n)

    async def note_deed(self, actor: Actor | None, action: Action, objects: Sequence[str], detail: str) -> None:
        """Write what someone changes (None: the program itself), before it takes effect. Raises Unavailable."""
        await self._write(actor, "changed", action, objects, detail)

    async def note_export(self, actor: Actor, action: Action, detail: str) -> None:
        """Write what list someone takes away as a file, before its first byte. Raises Unavailable."""
        await self._write(actor, "exported", action, (), detail)

    async def read_ledger(self, actor: Actor, *, cursor: dict[str, int] | None, limit: int, kind: str) -> LedgerPage:
        """Rows of people in the actor's scope, latest first. Raises Denied, Unavailable (reading is written, too)."""
        scope = scope_of(actor, Action.READ_LEDGER)
        self.count_use(actor, "ledger", scope)

        def wanted(row: Row) -> bool:
            return (not kind or row.kind == kind) and scope.covers(row.org or CITY_PATH)

        return await self._ledger.page(limit=limit, cursor=cursor, wanted=wanted)

    async def _write(self, actor: Actor | None, kind: str, action: Action, objects: Sequence[str], detail: str) -> None:
        program = Entry(kind=kind, name="anwang")
        entry = program if actor is None else actor_entry(actor, kind)
        await self._ledger.append(
            msgspec.structs.replace(entry, action=action.value, objects=tuple(objects), detail=detail[:1000])
        )

    def _post(self, entry: Entry) -> None:
        try:
            self._ledger.post(entry)
        except (Unavailable, Invalid) as err:
            log.error("a row could not be written to the ledger", kind=entry.kind, error=str(err))

    def _new_id(self) -> str:
        return uuid7(self._clock.micros() // 1000)


def _token(kind: str) -> str:
    return f"anw_{kind}_" + base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _actor(account: User, session: Session) -> Actor:
    return Actor(
        user_id=account.id,
        username=account.username,
        display_name=account.display_name,
        role=account.role,
        org_id=account.org_id,
        org_name=account.org_name,
        org_path=account.org_path,
        session_id=session.id,
        service=session.kind is SessionKind.API_TOKEN,
        terminal=session.terminal,
    )


def _label(text: str, what: str) -> str:
    label = " ".join(text.split())
    if not 1 <= len(label) <= 100 or not label.isprintable():
        raise Invalid(f"{what} has 1 to 100 printable characters")
    return label


def _page(found: list[T], limit: int, key: Callable[[T], str]) -> Page[T]:
    return Page(found[:limit], key(found[limit - 1]) if len(found) > limit else None)


def _no(what: str) -> NotFound:
    return NotFound(f"there is no such {what}", "it may have ended or been removed")


def _unknown_session() -> Unauthenticated:
    return Unauthenticated("nobody is signed in with this session", "sign in again")
