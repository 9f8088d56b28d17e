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
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from anwang.governance import store
from anwang.governance.actions import Action
from anwang.governance.cases import store as cases_store
from anwang.governance.cases.approvals import Approvals
from anwang.governance.cases.purposes import Purposes
from anwang.governance.factors import NewFactor, SecondFactors
from anwang.governance.ledger import (
    AnchorWriter,
    Asked,
    Entry,
    Head,
    Ledger,
    LedgerCopy,
    LedgerPage,
    Place,
    Row,
    Signer,
)
from anwang.governance.looks import KEEP_SECONDS, Look, Looks, Redeemed, actor_entry
from anwang.governance.model import (
    ADMINISTRATORS,
    CITY,
    ENROL,
    SHOWS,
    Actor,
    Decision,
    LookId,
    NewUser,
    Opened,
    Organisation,
    Page,
    Role,
    Session,
    SessionKind,
    Terminal,
    User,
    Verdict,
    actor_for,
    decide,
    may,
    scope_of,
    within,
)
from anwang.governance.oversight.report import Oversight, Report
from anwang.governance.reasons import Because, Customs, Lack, Purpose, PurposeId, lack
from anwang.governance.rights import Rights, first_grant
from anwang.governance.scopes import CITY_PATH, EVERYTHING, NOTHING, Grant, Object, Scope, check_path
from anwang.governance.sharing import store as sharing_store
from anwang.governance.signin import Passwords, Throttle, check_password, normal_name, source_of
from anwang.governance.terms import Terms, terms_at
from anwang.governance.words import one_line
from anwang.kernel.errors import (
    ApprovalNeeded,
    Conflict,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    PurposeNeeded,
    SecondFactorNeeded,
    Unauthenticated,
    Unavailable,
)
from anwang.kernel.ids import OrgId, SessionId, UserId, uuid7
from anwang.kernel.times import Span
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.runtime.secrets import Sealer
from anwang.runtime.settings import Settings
from anwang.stores.series import Series
from anwang.stores.state import State, Tx

if TYPE_CHECKING:
    from anwang.governance.oidc import SignOn, Vouched

log = logs.get(__name__)

TOKEN = re.compile(r"anw_[stl]_[A-Za-z0-9_-]{43}")
MOST_CACHED = 100_000
MOST_TOKENS = 50
SETUP_HOURS = 24
TOKEN_DAYS = 366
KNOWN_SOURCE_DAYS = 30
CONTRACT_DAYS = 366
ESCORT_AWAY = timedelta(minutes=15)
FORGET_DAYS = 190
"""Ended sessions are kept for half a year (Cybersecurity Law of the PRC art. 23(3): network logs, six months)."""
SHORT_CLIP = timedelta(minutes=10)
TICK_SECONDS = 5.0
SEEN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Trail:
    """Rows of the ledger with their chains, and the last row of this process's chain when they were asked for."""

    rows: Sequence[tuple[str, Row]]
    head: Head


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
    """What to change of an account; None leaves it. never_ends: take its end away, instead of setting `ends_at`."""

    display_name: str | None = None
    role: Role | None = None
    org_id: OrgId | None = None
    disabled: bool | None = None
    ends_at: datetime | None = None
    never_ends: bool = False
    unlink: bool = False
    """The next one whom the provider vouches for by this name is the account's."""
    escort: str | None = None
    """Who accompanies a contractor; "" takes the name away."""


@dataclass(slots=True)
class _Live:
    """A session in memory. checked: when it was last read from the database, on the interval clock. until: when the
    account ends, or one of its grants or agreements begins or ends.
    """

    actor: Actor
    session: Session
    seen_at: datetime
    checked: float
    until: datetime | None


@dataclass(eq=False, slots=True)
class _Connection:
    """Something that a session has open. token_hash, expires_at: of the session, once they are read. until: when the
    account ends, or one of the grants with which it was opened.
    """

    actor: Actor
    on_end: Callable[[], None]
    token_hash: bytes = b""
    expires_at: datetime | None = None
    until: datetime | None = None


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
        sealer: Sealer,
        recheck_seconds: float | None,
        copy: LedgerCopy | None = None,
        oversight: Oversight,
    ) -> None:
        self.signer = Signer.of(sealer)
        """Of the ledger's anchors, and of what else leaves with a signature."""
        self._state = state
        self._ledger = ledger
        self._oversight = oversight
        self.copy = copy
        """The ledger's rows for searching; None: the files are read."""
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
        wanted = settings.governance
        self.customs = Customs(
            duty=timedelta(hours=wanted.duty_hours),
            short_clip=SHORT_CLIP if wanted.short_clip else None,
            aged=timedelta(days=wanted.senior_days),
        )
        self._purposes = Purposes(state=state, clock=clock, most_minutes=wanted.purpose_minutes, write=self._write)
        self._factors = SecondFactors(state=state, clock=clock, sealer=sealer, issuer=f"Anwang {settings.city}")
        self.sign_on = _sign_on(settings, sealer, clock) if settings.oidc.issuer else None
        """Signing in by another house's account; None where the settings name no provider."""
        self.rights = Rights(
            state=state,
            clock=clock,
            customs=self.customs,
            write=self._write,
            changed=self._reload,
            place=self._place,
        )
        self.approvals = Approvals(
            state=state,
            clock=clock,
            ledger=ledger,
            valid=timedelta(hours=wanted.approval_hours),
            urgent=timedelta(hours=wanted.urgent_hours),
            customs=self.customs,
            write=self._write,
            suspended=self._put_out,
            ended=looks.end_approval,
        )

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
        series: Series | None = None,
    ) -> Governance:
        """Open the ledger in the data folder, close what a crash left open, and be ready.

        writer: this process's name in the ledger. places: who knows the organisations. passwords, ledger: other ones
        for tests. series: for the ledger's searchable copy; None: there is none. Sessions ended by another process are
        noticed within 5 s where the state store can be shared. Raises Unavailable, Conflict.
        """
        data = Path(settings.data)
        anchors = AnchorWriter(folder=data / "anchors", writer=writer, signer=Signer.of(sealer))
        opened = ledger or await Ledger.open(
            data / "ledger", writer=writer, heads=store.StateHeads(state), clock=clock, anchors=anchors
        )
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
            sealer=sealer,
            recheck_seconds=None if state.is_sqlite else 5.0,
            copy=None if series is None else LedgerCopy(series=series, ledger=opened, clock=clock),
            oversight=Oversight(state=state, series=series),
        )

    @property
    def settings(self) -> Settings:
        """The settings it was opened with."""
        return self._settings

    @property
    def ledger(self) -> Ledger:
        """For health (`failing`, `waiting`) and verification."""
        return self._ledger

    async def run(self) -> None:
        """What time does, for ever: idle looks, hourly counts, the ledger's head, when sessions were seen."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ledger.run())
            if self.copy is not None:
                group.create_task(self.copy.run())
            group.create_task(self._every(TICK_SECONDS, self._looks.tick))
            group.create_task(self._every(TICK_SECONDS, self.check_connections))
            group.create_task(self._every(KEEP_SECONDS, self._looks.keep))
            group.create_task(self._every(SEEN_SECONDS, self.save_seen))
            group.create_task(self._every(SEEN_SECONDS, self.approvals.lapse))
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

    async def sign_in(self, username: str, password: str, *, terminal: Terminal, code: str = "") -> Opened:
        """Open a session. code: of the second factor, where the account has one.

        Raises Unauthenticated (same words and work for unknown users), SecondFactorNeeded, Exhausted (throttled).
        """
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
        is_over = found is not None and _is_over(found[0], now)
        if not fits or found is None or found[0].disabled or found[0].is_service or is_over:
            # what was typed as an unknown name may be a password in the wrong field: it is not written down
            self._wrong_sign_ins += 1
            shown = found[0].username if found else ""
            self._post(Entry(kind="refused", name=shown, terminal=terminal.address, detail="sign-in"))
            if fits and is_over:
                raise Unauthenticated("this account has ended", "a security administrator can extend it")
            if fits and found is not None and found[0].suspended:
                raise Unauthenticated(
                    f"this account is suspended: {found[0].suspended}", "a security administrator can lift it"
                )
            raise Unauthenticated("user name or password is wrong", "check both; capital letters matter")
        account, encoded = found
        await self._second(account, code, source, terminal)
        self._throttle.succeeded(name, source)
        opened = await self._begin(account, terminal)
        if self._passwords.is_outdated(encoded):
            renewed = await self._passwords.hash(password)
            async with self._state.begin() as tx:
                await store.change_user(tx, account.id, password=renewed)
        return opened

    async def sign_in_as(self, vouched: Vouched, *, terminal: Terminal) -> Opened:
        """Open a session for somebody whom the provider vouches for.

        Raises NotFound (no account of that name that may be used), SecondFactorNeeded (it has one, and the provider
        asked for a password alone).
        """
        now = self._clock.now()
        try:
            name = normal_name(vouched.name)
        except Invalid:
            name = ""
        async with self._state.read() as tx:
            found = await store.user_by_name(tx, name)
        account = found[0] if found else None
        if account is None or account.disabled or account.is_service or _is_over(account, now):
            shown = account.username if account else ""
            self._post(Entry(kind="refused", name=shown, terminal=terminal.address, detail="sign-in by the provider"))
            raise NotFound("you have no account here that can be used", "ask a security administrator")
        if not vouched.is_strong and await self._factors.is_on(account.id):
            self._post(Entry(kind="refused", name=name, terminal=terminal.address, detail="second factor"))
            raise SecondFactorNeeded("your account has a second factor", "sign in with user name, password and code")
        await self._pin(account, vouched.subject, terminal)
        return await self._begin(account, terminal)

    async def _pin(self, account: User, subject: str, terminal: Terminal) -> None:
        """An account is for who signed in to it first, whatever names the provider gives to whom. Raises NotFound."""
        async with self._state.begin() as tx:
            held = await store.pin_sign_on(tx, account.id, subject)
        if held != subject:
            detail = "sign-in by the provider, as somebody else"
            self._post(Entry(kind="refused", name=account.username, terminal=terminal.address, detail=detail))
            raise NotFound(
                "the account of your name here is somebody else's", "a security administrator can unlink it from them"
            )

    async def _second(self, account: User, code: str, source: str, terminal: Terminal) -> None:
        if not await self._factors.is_on(account.id):
            return
        if not code:
            self._throttle.take_back(account.username, source)  # the guess was right, and only asks for the code
            raise SecondFactorNeeded("a code is needed as well", "type the six digits that your app shows")
        try:
            await self._factors.check(account.id, code)
        except Denied as err:
            self._wrong_sign_ins += 1
            self._post(Entry(kind="refused", name=account.username, terminal=terminal.address, detail="second factor"))
            raise SecondFactorNeeded(err.reason, err.hint) from None

    async def _begin(self, account: User, terminal: Terminal) -> Opened:
        """The session of somebody who has signed in."""
        return await self._open_session(
            account,
            SessionKind.SIGN_IN,
            terminal=terminal,
            expires_at=self._clock.now() + timedelta(hours=self._settings.http.session_hours),
            idle_seconds=int(self._settings.http.idle_minutes * 60),
        )

    async def _open_session(
        self,
        account: User,
        kind: SessionKind,
        *,
        terminal: Terminal,
        expires_at: datetime,
        idle_seconds: int | None,
        name: str = "",
        only: frozenset[Action] | None = None,
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
            only=only,
        )
        async with self._state.begin() as tx:
            if kind is SessionKind.API_TOKEN and await store.count_tokens(tx, account.id, now) >= MOST_TOKENS:
                raise Exhausted(f"an account has at most {MOST_TOKENS} tokens", "revoke one that is not needed")
            await store.add_session(
                tx, session, token_hash=_hash(token), source=source_of(terminal.address), idle_seconds=idle_seconds
            )
        actor = by or _actor(account, session, (), None)
        # signing in must be possible while the ledger is broken, or nobody could mend it; looking is not
        self._post(
            actor_entry(
                actor,
                "signed_in" if kind is SessionKind.SIGN_IN else "changed",
                action=Action.OWN_ACCOUNT.value,
                objects=(session.id,),
                detail="" if kind is SessionKind.SIGN_IN else _token_told(account, only),
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
        if live is None or self._is_stale(live, now):
            live = await self._load(token_hash, now)
        session = live.session
        idle = session.idle_at
        if now >= session.expires_at or (idle is not None and now >= live.seen_at + (idle - session.seen_at)):
            await self._end([(session.id, token_hash)], by="time")
            raise _unknown_session()
        live.seen_at = now
        self._seen[session.id] = (session.user_id, now)
        actor = live.actor
        if actor.purpose is not None and now >= actor.purpose.expires_at:
            actor = live.actor = dataclasses.replace(actor, purpose=None)
        if terminal and terminal != actor.terminal:
            return dataclasses.replace(actor, terminal=terminal)
        return actor

    def _is_stale(self, live: _Live, now: datetime) -> bool:
        if live.until is not None and now >= live.until:
            return True
        return self._recheck_seconds is not None and self._clock.monotonic() - live.checked > self._recheck_seconds

    async def _load(self, token_hash: bytes, now: datetime) -> _Live:
        known = self._live.pop(token_hash, None)
        read_at = None
        while read_at != self._changes:  # rights taken away while they were read would be kept until the session ends
            read_at = self._changes
            async with self._state.read() as tx:
                found = await store.session_by_hash(tx, token_hash, now)
                terms = await _terms(tx, found[1]) if found else []
                stated = found[0].purpose_id if found else ""
                purpose = await cases_store.purpose(tx, stated, found[1].id) if found and stated else None
        if found is None:
            if known is not None:  # ended by another process
                await self._gone(known.session.id)
            raise _unknown_session()
        session, account, grants = found
        seen_at = session.seen_at if known is None else max(known.seen_at, session.seen_at)
        must = session.kind is SessionKind.SIGN_IN and self._wants_factor(account.role)
        made = _actor(account, session, [grant for grant in grants if grant.in_force(now)], terms_at(terms, now))
        actor = dataclasses.replace(
            made,
            purpose=made.purpose if made.is_partner else purpose,
            must_enrol=must and not await self._factors.is_on(account.id),
        )
        live = _Live(actor, session, seen_at, self._clock.monotonic(), _next_change(account, [*grants, *terms], now))
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
            terms = await _terms(tx, known[1]) if known else []
        if found is None or known is None:
            raise _unknown_session()
        session, account, grants = known
        made = _actor(account, session, [grant for grant in grants if grant.in_force(now)], terms_at(terms, now))
        before = (one.actor.role, one.actor.org_path, one.actor.is_partner, one.actor.terms)
        same = (made.role, made.org_path, made.is_partner, made.terms) == before
        if not same or not set(one.actor.grants) <= set(made.grants):
            raise Unauthenticated("the rights of this session have changed", "open it again")
        one.token_hash, one.expires_at = found[1], session.expires_at
        one.until = _next_end(account, one.actor.grants)

    async def check_connections(self) -> None:
        """What has something open is in use; what is past its time ends, also where another process ended it."""
        now = self._clock.now()
        for one in {each.actor.session_id: each for each in self._connections}.values():
            session = one.actor.session_id
            if one.expires_at is not None and now >= one.expires_at:
                await self._end([(session, one.token_hash)], by="time")
                continue
            is_alone = one.actor.role is Role.CONTRACTOR and not (await self._escort(one.actor))[1]
            if is_alone or (one.until is not None and now >= one.until):
                await self._forget([(session, one.token_hash)])
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
        return Page.cut(found, limit, lambda each: each.id)

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
            return NOTHING

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

    async def _put_out(self, user_id: UserId, ended: Sequence[tuple[SessionId, bytes]]) -> None:
        """The account may do less or nothing any more, and these sessions of it have ended."""
        await self._reload(user_id)
        await self._forget(ended)

    async def agreement_changed(self, agreement_id: str, accounts: Iterable[UserId]) -> None:
        """What partners may do by an agreement changed: what they have open ends, also where it rests on a token."""
        for user_id in accounts:
            await self._reload(user_id)
        await self._looks.end_purpose(PurposeId(agreement_id))

    def _alter(self, session_id: SessionId, **changes: Any) -> None:
        """What this session's actor is like from now on, as its connections stay."""
        for live in self._live.values():
            if live.session.id == session_id:
                live.actor = dataclasses.replace(live.actor, **changes)

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

    # --- second factors --------------------------------------------------------------------------------------------

    def _wants_factor(self, role: Role) -> bool:
        wanted = self._settings.governance.second_factor
        return wanted == "everybody" or (wanted == "administrators" and role in ADMINISTRATORS)

    @contextmanager
    def _guessing(self, actor: Actor) -> Iterator[None]:
        """Around the comparing of what somebody may be guessing: an error is a wrong guess. Raises Exhausted."""
        source = source_of(actor.terminal)
        self._throttle.check(actor.username, source, is_known=True)
        self._throttle.count(actor.username, source)
        yield
        self._throttle.succeeded(actor.username, source)

    async def has_factor(self, actor: Actor) -> bool:
        """Whether the actor's account has a second factor."""
        return await self._factors.is_on(actor.user_id)

    async def begin_factor(self, actor: Actor) -> NewFactor:
        """A secret for the actor's app; it counts from its first code on. Raises Denied (to a token), Conflict."""
        self._in_person(actor, "set up a second factor")
        return await self._factors.begin(actor.user_id, actor.username)

    async def confirm_factor(self, actor: Actor, code: str) -> None:
        """From now on a sign-in needs a code. The account's other sessions end. Raises NotFound, Conflict, Denied."""
        self._in_person(actor, "set up a second factor")

        async def first() -> None:
            await self._write(actor, "changed", Action.OWN_ACCOUNT, [actor.user_id], "second factor set up")

        with self._guessing(actor):
            await self._factors.confirm(actor.user_id, code, first=first)
        await self._end_others(actor)

    async def remove_factor(self, actor: Actor, code: str) -> None:
        """Do without. Raises NotFound, Denied (wrong code, or it is wanted), Exhausted (too many wrong ones)."""
        self._in_person(actor, "remove a second factor")
        if self._wants_factor(actor.role):
            raise Denied("this installation wants a second factor of you", "a security administrator can remove it")
        with self._guessing(actor):
            await self._factors.check(actor.user_id, code)
        await self._write(actor, "changed", Action.OWN_ACCOUNT, [actor.user_id], "second factor removed")
        await self._factors.remove(actor.user_id)

    async def reset_factor(self, actor: Actor, user_id: UserId) -> None:
        """Another's app is lost: they sign in without, and set up a new one. Raises Denied, NotFound, Conflict."""
        self._in_person(actor, "remove a second factor")
        account = await self.user(actor, user_id)
        if account.id == actor.user_id:
            raise Conflict("your own second factor goes with its code", "use the account page")
        async with self._state.begin() as tx:
            await self._factors.drop(tx, user_id)
            ended = await store.end_sessions(tx, now=self._clock.now(), by=actor.user_id, user_id=user_id)
            await self._write(actor, "changed", Action.MANAGE_USERS, [user_id], "second factor removed")
        await self._put_out(user_id, ended)

    async def _end_others(self, actor: Actor) -> None:
        async with self._state.begin() as tx:
            ended = await store.end_sessions(
                tx, now=self._clock.now(), by=actor.user_id, user_id=actor.user_id, besides=actor.session_id
            )
        self._alter(actor.session_id, must_enrol=False)
        await self._forget(ended)

    # --- purposes ------------------------------------------------------------------------------------------------

    async def open_purpose(self, actor: Actor, **stated: Any) -> Purpose:
        """See Purposes.open. It holds from this session's next request on."""
        made = await self._purposes.open(actor, **stated)
        self._changes += 1
        self._alter(actor.session_id, purpose=made)
        return made

    async def close_purpose(self, actor: Actor, purpose_id: str) -> None:
        """See Purposes.close. What was opened for it ends now."""
        closed = await self._purposes.close(actor, purpose_id)
        for live in self._live.values():
            if live.actor.purpose is not None and live.actor.purpose.id == closed.id:
                live.actor = dataclasses.replace(live.actor, purpose=None)
        await self._looks.end_purpose(closed.id)

    async def purposes(self, actor: Actor, *, cursor: str, limit: int) -> Page[Purpose]:
        """See Purposes.page."""
        return await self._purposes.page(actor, cursor=cursor, limit=limit)

    async def with_purpose(self, actor: Actor, purpose_id: str) -> Actor:
        """The actor, asking for one of their own purposes. Raises NotFound, PurposeNeeded (it is over), Denied (to a
        partner, whose purpose is the agreement's).
        """
        if actor.is_partner:
            raise Denied("a partner looks for the purpose of its agreement", "name no other one")
        purpose = await self._purposes.of(actor, purpose_id)
        if self._clock.now() >= purpose.expires_at:
            raise PurposeNeeded("this purpose has ended", "open another one")
        return dataclasses.replace(actor, purpose=purpose)

    # --- API tokens ----------------------------------------------------------------------------------------------

    async def make_token(
        self,
        actor: Actor,
        *,
        name: str,
        days: int,
        terminal: Terminal,
        only: frozenset[Action] | None = None,
        of: UserId | None = None,
    ) -> Opened:
        """A token for a program. days: 1..366. only: all that it is good for, None for everything that its account may
        do. of: a service account that the actor manages; None: the actor's own.

        Raises Denied to a token itself and to who lacks a second factor, Invalid, NotFound, Conflict (people make their
        own).
        """
        self._in_person(actor, "make tokens")
        if actor.must_enrol:  # what the token opens would be open to the password alone
            raise Denied(*ENROL)
        if not 1 <= days <= TOKEN_DAYS:
            raise Invalid(f"a token lasts 1 to {TOKEN_DAYS} days")
        if only is not None and not only:
            raise Invalid("a token is good for something", "choose what it may do")
        if of is None:
            async with self._state.read() as tx:
                account = await store.user(tx, actor.user_id, seen_by=EVERYTHING)
            if account is None:
                raise _unknown_session()
        else:
            account = await self.user(actor, of)
            if not account.is_service:
                raise Conflict("people make their own tokens", "make a service account for a program")
        return await self._open_session(
            account,
            SessionKind.API_TOKEN,
            terminal=terminal,
            expires_at=self._clock.now() + timedelta(days=days),
            idle_seconds=None,
            name=one_line(name, "a token's name"),
            only=only,
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
        return Page.cut(found, limit, lambda each: each.username)

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
        account, encoded = await self._account(wanted, organisation)
        told = f"made {account.username} as {account.role.value}"
        async with self._state.begin() as tx:
            if wanted.escort:
                await self._check_escort(tx, by, wanted.role, wanted.escort)
            await store.add_user(tx, account, encoded)
            await store.put_grants(tx, account.id, [first_grant(account, has_past=wanted.has_past)])
            await self._write(by, "changed", Action.MANAGE_USERS, [account.id], told)
        return account

    async def _account(self, wanted: NewUser, organisation: Organisation) -> tuple[User, str]:
        """A new account and its encoded password, not kept yet. Raises Invalid."""
        name = normal_name(wanted.username)
        if wanted.is_partner and not wanted.is_service:
            raise Invalid("a partner is a program", "make a service account for it")
        if wanted.is_service:
            _check_service(wanted.role)
        else:
            check_password(wanted.password, username=name)
        self._check_end(wanted.role, wanted.ends_at)
        # nobody knows the password of a program's account, and signing in with it is refused besides
        encoded = await self._passwords.hash(os.urandom(32).hex() if wanted.is_service else wanted.password)
        account = User(
            id=UserId(self._new_id()),
            username=name,
            display_name=one_line(wanted.display_name or wanted.username, "a display name"),
            role=wanted.role,
            org_id=organisation.id,
            org_name=organisation.name,
            org_path=check_path(organisation.path),
            disabled=False,
            created_at=self._clock.now(),
            seen_at=None,
            ends_at=wanted.ends_at,
            is_service=wanted.is_service,
            is_partner=wanted.is_partner,
            escort=wanted.escort,
        )
        return account, encoded

    async def _check_escort(self, tx: Tx, actor: Actor | None, role: Role, escort: str) -> None:
        """Raises Invalid: only a contractor is accompanied, by a person of the house; NotFound."""
        if role is not Role.CONTRACTOR:
            raise Invalid("only a contractor is accompanied", "take the name away")
        found = await store.user(
            tx, escort, seen_by=EVERYTHING if actor is None else scope_of(actor, Action.MANAGE_USERS)
        )
        if found is None:
            raise _no("user")
        if found.is_service or found.role is Role.CONTRACTOR:
            raise Invalid("a contractor is accompanied by a person of the house", "name somebody else")

    async def accompany(self, actor: Actor, action: Action, asked: str) -> None:
        """A contractor asks for something: written down, word for word, and only while who accompanies them is there
        (domain.md G20). asked: method and address. Raises Denied, Unavailable.
        """
        escort, is_here = await self._escort(actor)
        entry = actor_entry(
            actor, "escorted", action=action.value, detail=asked[:1000], outcome="" if is_here else "nobody is there"
        )
        await self._ledger.append(entry)
        if not escort:
            raise Denied("nobody is named who accompanies you", "a security administrator names somebody")
        if not is_here:
            minutes = round(ESCORT_AWAY.total_seconds() / 60)
            raise Denied(
                "who accompanies you is not signed in", f"they must have used the platform in the last {minutes} min"
            )

    async def _escort(self, actor: Actor) -> tuple[str, bool]:
        """Who accompanies a contractor, and whether they are there. One who is no person of the house is nobody."""
        now = self._clock.now()
        async with self._state.read() as tx:
            account = await store.user(tx, actor.user_id, seen_by=EVERYTHING)
            named = await store.user(tx, account.escort, seen_by=EVERYTHING) if account and account.escort else None
            if named is None or named.is_service or named.disabled or named.role is Role.CONTRACTOR:
                return "", False
            since = now - ESCORT_AWAY
            return named.id, self._is_here(named.id, since) or await store.is_here(tx, named.id, since=since, now=now)

    def _is_here(self, user_id: str, since: datetime) -> bool:
        return any(
            live.actor.user_id == user_id and live.session.kind is SessionKind.SIGN_IN and live.seen_at >= since
            for live in self._live.values()
        )

    def _check_end(self, role: Role, ends_at: datetime | None) -> None:
        now = self._clock.now()
        if ends_at is not None and ends_at <= now:
            raise Invalid("an account ends in the future", "disable it if it shall end now")
        latest = now + timedelta(days=CONTRACT_DAYS)
        if role is Role.CONTRACTOR and (ends_at is None or ends_at > latest):
            raise Invalid("a contractor's account ends within a year", "choose its last day")

    async def _place(self, org_id: OrgId) -> Organisation | None:
        if org_id == CITY:
            return Organisation(id=CITY, name=self._settings.city, path=CITY_PATH)
        return await self._places.organisation(org_id)

    async def _organisation(self, org_id: OrgId, scope: Scope) -> Organisation:
        return within(await self._place(org_id), org_id, scope)

    async def change_user(self, actor: Actor, user_id: UserId, change: UserChange) -> User:
        """Change an account; it takes effect with its next request. Raises Denied, NotFound, Conflict, Invalid."""
        scope = scope_of(actor, Action.MANAGE_USERS)
        values: dict[str, object] = {}
        if change.display_name is not None:
            values["display_name"] = one_line(change.display_name, "a display name")
        if change.role is not None:
            values["role"] = change.role.value
        if change.org_id is not None:
            organisation = await self._organisation(change.org_id, scope)
            values |= {"org_id": organisation.id, "org_name": organisation.name, "org_path": organisation.path}
        if change.disabled is not None:
            values["disabled"] = change.disabled
            if not change.disabled:
                values["suspended"] = ""
        if change.never_ends or change.ends_at is not None:
            values["ends_at"] = change.ends_at
        if change.unlink:
            values["sign_on"] = ""
        if change.escort is not None:
            values["escort"] = change.escort
        ended: list[tuple[SessionId, bytes]] = []
        async with self._state.begin() as tx:
            account = await self._get(tx, actor, user_id)
            differs = {name: value for name, value in values.items() if getattr(account, name) != value}
            if not differs:
                return account
            if differs.keys() - {"display_name"}:
                await self._keep_an_administrator(tx, actor, account)
            if account.is_service and change.role is not None:
                _check_service(change.role)
            if differs.keys() & {"role", "ends_at"}:
                self._check_end(
                    change.role or account.role, None if change.never_ends else change.ends_at or account.ends_at
                )
            if "escort" in differs and change.escort:
                if change.escort == user_id:
                    raise Invalid("a contractor is accompanied by a person of the house", "name somebody else")
                await self._check_escort(tx, actor, change.role or account.role, change.escort)
            if differs.get("role", Role.CONTRACTOR.value) != Role.CONTRACTOR.value and account.escort:
                differs["escort"] = ""  # nobody else is accompanied
            columns = {name: None if name in ("suspended", "sign_on") else value for name, value in differs.items()}
            if "escort" in columns:
                columns["escort_id"] = columns.pop("escort") or None
            await store.change_user(tx, user_id, **columns)
            if differs.get("disabled") or change.unlink:
                ended = await store.end_sessions(tx, now=self._clock.now(), by=actor.user_id, user_id=user_id)
            changed = await self._get(tx, actor, user_id)
            await self._regrant(tx, account, changed)
            said = ", ".join(f"{name}={value}" for name, value in sorted(differs.items()))
            await self._write(actor, "changed", Action.MANAGE_USERS, [user_id], said)
        if differs.keys() - {"display_name"}:
            await self._put_out(user_id, ended)
        return changed

    async def _regrant(self, tx: Tx, before: User, after: User) -> None:
        """Grants of all below the account's own organisation follow it. An administrator has nothing but that."""
        if after.role in ADMINISTRATORS and (after.role is not before.role or after.org_id != before.org_id):
            await store.put_grants(tx, after.id, [first_grant(after, has_past=True)])
        elif after.org_id != before.org_id:
            kept = await store.grants_of(tx, after.id, lock=True)
            moved = [_moved(grant, before.org_id, after) for grant in kept]
            await store.put_grants(tx, after.id, moved)

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
        await self._put_out(user_id, ended)

    async def _keep_an_administrator(self, tx: Tx, actor: Actor, account: User) -> None:
        if account.id == actor.user_id:
            raise Conflict("you can't take your own rights away", "ask another administrator")
        is_one = account.role in ADMINISTRATORS and account.org_path == CITY_PATH and not account.disabled
        if is_one and await store.administrators(tx, account.role, besides=account.id) == 0:
            raise Conflict("this is the last administrator of this kind in the city", "make another one first")

    async def set_password(self, actor: Actor, user_id: UserId, password: str) -> None:
        """Give another's account a new password and end its sessions. Raises Denied, NotFound, Invalid, Conflict."""
        self._in_person(actor, "set passwords")
        account = await self.user(actor, user_id)
        if account.id == actor.user_id:
            raise Conflict("change your own password with the old one", "use the account page")
        if account.is_service:
            raise Conflict("a program's account has no password", "make a token for it")
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

    async def setup_links(self) -> dict[Role, str]:
        """New tokens for the pages that make the administrators whom the city lacks, each good for 24 hours."""
        now = self._clock.now()
        links: dict[Role, str] = {}
        async with self._state.begin() as tx:
            for role in ADMINISTRATORS:
                if await store.administrators(tx, role) == 0:
                    token = links[role] = _token("l")
                    expires_at = now + timedelta(hours=SETUP_HOURS)
                    await store.put_setup_link(tx, _hash(token), role, now=now, expires_at=expires_at)
        return links

    async def setup_of(self, token: str) -> tuple[Role, datetime]:
        """Whom the link makes, and when it ends. Raises NotFound."""
        async with self._state.read() as tx:
            found = await store.setup_link(tx, _hash(token), self._clock.now(), lock=False)
        if found is None:
            raise _no("set-up link")
        return found

    async def set_up(self, token: str, *, username: str, display_name: str, password: str) -> User:
        """Make the administrator of the link, which is used up. Raises NotFound, Invalid, Conflict."""
        role, _ = await self.setup_of(token)
        wanted = NewUser(username=username, display_name=display_name, role=role, org_id=CITY, password=password)
        account, encoded = await self._account(wanted, await self._organisation(CITY, EVERYTHING))
        async with self._state.begin() as tx:
            link = await store.setup_link(tx, _hash(token), self._clock.now(), lock=True)
            if link is None or await store.administrators(tx, role):
                raise _no("set-up link")
            await store.add_user(tx, account, encoded)
            await store.put_grants(tx, account.id, [first_grant(account, has_past=True)])
            await store.drop_setup_links(tx, role)
            await self._write(
                None, "changed", Action.MANAGE_USERS, [account.id], f"first {role.value} {account.username}"
            )
        return account

    async def seed(self, accounts: Sequence[NewUser]) -> list[User]:
        """Make those of the accounts whose names are free (the demo's); they may see all recordings. Raises Invalid."""
        made = []
        for wanted in accounts:
            async with self._state.read() as tx:
                taken = await store.name_is_taken(tx, normal_name(wanted.username))
            if not taken:
                organisation = await self._organisation(wanted.org_id, EVERYTHING)
                made.append(await self._create(dataclasses.replace(wanted, has_past=True), organisation, by=None))
                async with self._state.begin() as tx:
                    await store.drop_setup_links(tx, wanted.role)
        return made

    # --- decisions and looks -------------------------------------------------------------------------------------

    def scope(self, actor: Actor, action: Action) -> Scope:
        """Which rows the actor may do this to. Raises Denied where the role may do it to none."""
        return scope_of(actor, action)

    def require(self, actor: Actor, action: Action, one: Object, *, span: Span | None = None) -> Decision:
        """The decision, reasons apart. span: of recorded content; None: it is live, or none.

        Raises NotFound outside the scope, Denied where role, hours or the reach of recordings lack the right.
        """
        return decide(actor, action, one, now=self._clock.now(), span=span).enforce()

    async def open_look(
        self,
        actor: Actor,
        action: Action,
        objects: Sequence[Object],
        *,
        span: Span | None = None,
        detail: str = "",
        idle_seconds: float | None = None,
    ) -> Look:
        """See Looks.open. span: of the content; None: it is live. Raises PurposeNeeded, ApprovalNeeded, too."""
        because = await self._because(actor, action, objects, span)
        look = await self._looks.open(actor, action, objects, because=because, detail=detail, idle_seconds=idle_seconds)
        for used in (because.approval, because.unmask):
            if used is not None and not await self.approvals.count_use(used):
                await self._looks.close(look, outcome="approval refused")
                raise ApprovalNeeded("the approval for this has been refused", "ask for another one")
        return look

    async def would_open(self, actor: Actor, action: Action, objects: Sequence[Object], *, span: Span | None) -> None:
        """Decide as `open_look` does, and open nothing: for what is done later. A refusal is written. Raises as it."""
        because = await self._because(actor, action, objects, span)
        self._looks.check(actor, action, objects, because=because)

    async def _because(self, actor: Actor, action: Action, objects: Sequence[Object], span: Span | None) -> Because:
        because = Because(now=self._clock.now(), customs=self.customs, purpose=actor.purpose, span=span)
        if span is not None and lack(action, because) in (Lack.APPROVAL, Lack.SENIOR):
            found = await self.approvals.matching(actor, action, [each.id for each in objects], span)
            because = dataclasses.replace(because, approval=found)
        if action in SHOWS:
            lifting = await self._unmasking(actor, objects, span)
            if all(each.verdict is Verdict.ALLOWED for each in _may_unmask(actor, objects, lifting)):
                because = dataclasses.replace(because, unmask=lifting.approval)
        return because

    async def _unmasking(self, actor: Actor, objects: Sequence[Object], span: Span | None) -> Because:
        """The reasons to see these without privacy masks; its approval only where a purpose is stated, too."""
        because = Because(now=self._clock.now(), customs=self.customs, purpose=actor.purpose, span=span)
        if not may(actor.role, Action.UNMASK) or lack(Action.UNMASK, because) is not Lack.APPROVAL:
            return because
        now = self._clock.micros()
        ids = [each.id for each in objects]
        found = await self.approvals.matching(actor, Action.UNMASK, ids, span or Span(now, now + 1))
        return dataclasses.replace(because, approval=found)

    async def unmasking(self, actor: Actor, objects: Sequence[Object], span: Span | None) -> list[Decision]:
        """Of each, whether the actor sees it without privacy masks now. span: of the content; None: it is live."""
        return _may_unmask(actor, objects, await self._unmasking(actor, objects, span))

    async def was_refused(
        self, user_id: UserId, action: Action, object_id: str, span: Span, *, since: datetime
    ) -> bool:
        """See Approvals.was_refused."""
        return await self.approvals.was_refused(user_id, action, object_id, span, since=since)

    async def recheck(self, about: Callable[[str], Object | None]) -> None:
        """See Looks.recheck."""
        await self._looks.recheck(about)

    async def close_look(
        self, look: Look, *, bytes: int | None = None, seconds: float | None = None, outcome: str | None = None
    ) -> None:
        """See Looks.close."""
        await self._looks.close(look, bytes=bytes, seconds=seconds, outcome=outcome)

    @asynccontextmanager
    async def look(
        self, actor: Actor, action: Action, objects: Sequence[Object], *, span: Span | None = None, detail: str = ""
    ) -> AsyncIterator[Look]:
        """`open_look` and its end around a block; an exception's class becomes the outcome."""
        look = await self.open_look(actor, action, objects, span=span, detail=detail)
        async with self._looks.closing(look):
            yield look

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

    async def note_changed_content(self, point: str, object_id: str) -> None:
        """Write an alert: stored content is not what it was when it was sealed. Raises Unavailable."""
        await self.ledger.append(
            Entry(
                kind="alert",
                name="anwang",
                action=Action.EXPORT.value,
                objects=(point, object_id),
                detail="a recording is not what it was when it was sealed",
            )
        )

    async def note_handed(
        self,
        actor: Actor,
        action: Action,
        objects: Sequence[str],
        detail: str,
        *,
        recipient: str,
        size: int,
        why: tuple[str, str, str] | None = None,
    ) -> None:
        """Write that a file is taken away, before its first byte. size: of what is asked for, bytes. recipient: to whom
        it is given; "": to the actor. why: id, kind and case of the purpose that it was made for, instead of the one
        that the actor has stated. Raises Unavailable.
        """
        entry = actor_entry(
            actor,
            "exported",
            action=action.value,
            objects=tuple(objects),
            bytes=size,
            recipient=recipient,
            detail=detail[:1000],
        )
        if why is not None:
            purpose, reason, case = why
            entry = msgspec.structs.replace(entry, purpose=purpose, reason=reason, case=case)
        await self._ledger.append(entry)

    async def trail(self, ids: Collection[str], *, since: int, most: int) -> Trail:
        """What the ledger says of these (looks, objects) since a moment, oldest first, and how far it has come.

        since: microseconds since 1970. most: rows; of more, the latest.
        """
        head, wanted = self._ledger.head, frozenset(ids)
        rows: list[tuple[str, Row]] = []
        place: Place | None = None
        while True:
            page = await self._ledger.page(
                limit=most - len(rows),
                place=place,
                wanted=lambda row: row.look in wanted or not wanted.isdisjoint(row.objects),
                since=since,
            )
            rows += page.rows
            place = page.next
            if place is None or len(rows) >= most:
                return Trail(rows[::-1], head)

    async def note_pull(self, actor: Actor, action: Action, objects: Sequence[str], detail: str) -> LookId:
        """Write that a partner is given an answer, before it is; the pull's id, by which both sides name it.

        Raises Unavailable.
        """
        pull = LookId(self._new_id())
        entry = actor_entry(
            actor,
            "pulled",
            action=action.value,
            objects=tuple(objects),
            scope=actor.scope.told(),
            look=pull,
            detail=detail[:1000],
        )
        await self._ledger.append(entry)
        return pull

    async def note_export(self, actor: Actor, action: Action, detail: str) -> None:
        """Write what list someone takes away as a file, before its first byte. Raises Unavailable."""
        await self._write(actor, "exported", action, (), detail)

    async def read_ledger(
        self,
        actor: Actor,
        *,
        cursor: Place | None,
        limit: int,
        kind: str = "",
        asked: Asked | None = None,
    ) -> LedgerPage:
        """Rows of people in the actor's scope, latest first. Raises Denied, Unavailable (reading is written, too)."""
        scope = scope_of(actor, Action.READ_LEDGER)
        self.count_use(actor, "ledger", scope)
        chosen = asked or Asked(kind=kind)

        def wanted(row: Row) -> bool:
            return chosen.fits(row) and scope.covers_path(row.org or CITY_PATH)

        if self.copy is None:
            return await self._ledger.page(limit=limit, place=cursor, wanted=wanted, since=chosen.since)
        under = None if scope.sees_all else sorted({area.org_path for area in scope.areas if area.is_whole})
        return await self.copy.page(chosen, under=under, limit=limit, place=cursor, wanted=wanted)

    async def oversee(self, actor: Actor, span: Span) -> Report:
        """What people in the actor's scope did. Raises Denied, Unavailable (reading is written, too)."""
        scope = scope_of(actor, Action.READ_LEDGER)
        self.count_use(actor, "oversight", scope)
        waiting = 0 if self.copy is None else self.copy.behind
        return await self._oversight.report(scope, span, waiting=waiting)

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


def _may_unmask(actor: Actor, objects: Sequence[Object], because: Because) -> list[Decision]:
    return [decide(actor, Action.UNMASK, one, now=because.now, span=because.span, because=because) for one in objects]


def _token(kind: str) -> str:
    return f"anw_{kind}_" + base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _moved(grant: Grant, from_org: OrgId, to: User) -> Grant:
    if grant.org_id != from_org:
        return grant
    area = dataclasses.replace(grant.area, org_path=to.org_path)
    return dataclasses.replace(grant, org_id=to.org_id, org_name=to.org_name, area=area)


def _sign_on(settings: Settings, sealer: Sealer, clock: Clock) -> SignOn:
    # its libraries take a tenth of a second to read, and few use it
    from anwang.governance.oidc import SignOn

    return SignOn(settings=settings.oidc, sealer=sealer, clock=clock)


def _is_over(account: User, now: datetime) -> bool:
    return account.ends_at is not None and now >= account.ends_at


def _next_change(account: User, grants: Sequence[Grant | Terms], now: datetime) -> datetime | None:
    """When the next of the grants and agreements begins or ends, or the account."""
    moments = [account.ends_at, *(moment for grant in grants for moment in (grant.starts_at, grant.ends_at))]
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def _next_end(account: User, grants: Sequence[Grant]) -> datetime | None:
    ends = [account.ends_at, *(grant.ends_at for grant in grants)]
    return min((end for end in ends if end is not None), default=None)


async def _terms(tx: Tx, account: User) -> list[Terms]:
    return await sharing_store.terms_of(tx, account.id) if account.is_partner else []


def _actor(account: User, session: Session, grants: Sequence[Grant], terms: Terms | None) -> Actor:
    return actor_for(
        account,
        grants,
        terms=terms,
        session_id=session.id,
        service=session.kind is SessionKind.API_TOKEN,
        only=session.only,
        terminal=session.terminal,
    )


def _token_told(account: User, only: frozenset[Action] | None) -> str:
    good_for = "" if only is None else f", good for {', '.join(sorted(only))}"
    return f"API token of {account.username} made{good_for}"


def _check_service(role: Role) -> None:
    if role in ADMINISTRATORS:
        raise Invalid("a program is no administrator", "choose another role, or use the token of a person")


def _no(what: str) -> NotFound:
    return NotFound(f"there is no such {what}", "it may have ended or been removed")


def _unknown_session() -> Unauthenticated:
    return Unauthenticated("nobody is signed in with this session", "sign in again")
