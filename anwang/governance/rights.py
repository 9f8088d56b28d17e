"""Grants of accounts, and the explanation of what someone may do with a point and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from anwang.governance import store
from anwang.governance.actions import Action
from anwang.governance.cases.purposes import Write
from anwang.governance.model import (
    ADMINISTRATORS,
    Actor,
    Decision,
    Organisation,
    User,
    actor_for,
    decide,
    scope_of,
    within,
)
from anwang.governance.reasons import Because, Customs
from anwang.governance.scopes import EVERYTHING, NOTHING, Area, Grant, GrantId, Hours, Miss, Object, Scope
from anwang.governance.sharing import store as sharing_store
from anwang.governance.terms import Terms, terms_at
from anwang.kernel.errors import Conflict, Denied, Invalid, NotFound
from anwang.kernel.ids import OrgId, SessionId, UserId, uuid7
from anwang.kernel.times import Span, to_micros
from anwang.runtime.clock import Clock
from anwang.stores.state import State, Tx

MOST_GRANTS = 50
MOST_WORDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """What a grant shall be; see Grant and Area. starts_at None: now."""

    org_id: OrgId
    departments: frozenset[str] = frozenset()
    classes: frozenset[int] = frozenset()
    kinds: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    live: Hours | None = None
    has_history: bool = True
    history_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """A grant and what it has to do with a point: whether it holds now, and why it does not reach the point."""

    grant: Grant
    is_in_force: bool
    miss: Miss | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What someone may do with the point. about: `live`, or recordings that are `recent` or `old` (before what daily
    duty needs).
    """

    action: Action
    about: str
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why someone can see a point, or can't."""

    user: User
    grants: tuple[Reach, ...]
    answers: tuple[Answer, ...]


LIVE, RECENT, OLD = "live", "recent", "old"
ASKED: tuple[tuple[Action, str], ...] = (
    (Action.READ_POINTS, LIVE),
    (Action.READ_TIMELINE, LIVE),
    (Action.VIEW_LIVE, LIVE),
    (Action.SNAPSHOT, LIVE),
    (Action.PTZ, LIVE),
    (Action.VIEW_PLAYBACK, RECENT),
    (Action.VIEW_PLAYBACK, OLD),
    (Action.EXPORT, RECENT),
    (Action.EXPORT, OLD),
    (Action.UNMASK, RECENT),
    (Action.HOLD, LIVE),
    (Action.EDIT_POINTS, LIVE),
)
"""What an explanation is about."""


def explain(
    account: User,
    grants: Sequence[Grant],
    one: Object,
    *,
    now: datetime,
    customs: Customs,
    terms: Terms | None = None,
) -> Explanation:
    """By the same decisions as every look, for somebody who has stated no purpose yet. terms: of a partner, those in
    force.
    """
    holding = (grant for grant in grants if grant.in_force(now))
    actor = actor_for(account, holding, session_id=SessionId(""), terms=terms)
    end = to_micros(now)
    minute = 60_000_000
    old = to_micros(now - customs.duty) - minute
    spans = {LIVE: None, RECENT: Span(end - minute, end), OLD: Span(old, old + minute)}

    def answer(action: Action, about: str) -> Answer:
        span = spans[about]
        because = Because(now=now, customs=customs, purpose=actor.purpose, span=span)
        return Answer(action, about, decide(actor, action, one, now=now, span=span, because=because))

    return Explanation(
        user=account,
        grants=tuple(
            Reach(grant, grant.in_force(now), grant.area.miss(one, shared=not account.is_partner)) for grant in grants
        ),
        answers=tuple(answer(action, about) for action, about in ASKED),
    )


@dataclass(slots=True, kw_only=True)
class Rights:
    """Use cases. write: a row of the ledger, in the transaction. changed: the account's sessions read their rights
    again. place: an organisation, None for an unknown one.
    """

    state: State
    clock: Clock
    customs: Customs
    write: Write
    changed: Callable[[UserId], Awaitable[None]]
    place: Callable[[OrgId], Awaitable[Organisation | None]]

    async def of(self, actor: Actor, user_id: UserId) -> list[Grant]:
        """All grants of an account: one's own, or of accounts that one manages. Raises NotFound."""
        async with self.state.read() as tx:
            if user_id != actor.user_id:
                await self._account(tx, user_id, actor.scope if actor.may(Action.MANAGE_USERS) else NOTHING)
            return await store.grants_of(tx, user_id)

    async def replace(self, actor: Actor, user_id: UserId, wanted: Sequence[NewGrant]) -> list[Grant]:
        """These are the account's grants from now on; what its sessions have open ends.

        Raises Denied, NotFound (account, organisation), Invalid, Conflict (one's own, or an administrator's).
        """
        scope = scope_of(actor, Action.MANAGE_USERS)
        if actor.service:
            raise Denied("an API token may not change rights", "sign in with user name and password")
        if len(wanted) > MOST_GRANTS:
            raise Invalid(f"an account has at most {MOST_GRANTS} grants")
        now = self.clock.now()
        ids = sorted(GrantId(uuid7(self.clock.micros() // 1000)) for _ in wanted)
        made = [await self._made(one, each, scope, now) for one, each in zip(ids, wanted, strict=True)]
        async with self.state.begin() as tx:
            account = await self._account(tx, user_id, scope)
            if account.id == actor.user_id:
                raise Conflict("you can't change your own rights", "ask another administrator")
            if account.role in ADMINISTRATORS:
                raise Conflict(
                    "an administrator's rights reach all below the organisation", "change the account's organisation"
                )
            before = await store.grants_of(tx, user_id, lock=True)
            if any(not scope.covers_path(grant.area.org_path) for grant in before):
                raise Denied("some of these rights are not yours to change", "ask an administrator of the whole city")
            await store.put_grants(tx, user_id, made)
            told = "grants: " + ("; ".join(map(_told, made)) or "none")
            await self.write(actor, "changed", Action.MANAGE_USERS, (user_id,), told)
        await self.changed(user_id)
        return made

    async def _account(self, tx: Tx, user_id: UserId, scope: Scope) -> User:
        account = await store.user(tx, user_id, seen_by=scope)
        if account is None:
            raise NotFound("there is no such user", "it may have ended or been removed")
        return account

    async def _made(self, grant_id: GrantId, wanted: NewGrant, scope: Scope, now: datetime) -> Grant:
        organisation = within(await self.place(wanted.org_id), wanted.org_id, scope)
        words = (wanted.departments, wanted.kinds, wanted.zones)
        if any(len(chosen) > MOST_WORDS or not all(0 < len(word) <= 64 for word in chosen) for chosen in words):
            raise Invalid(f"a grant names at most {MOST_WORDS} words of 1 to 64 characters each")
        if any("/" in department for department in wanted.departments):
            raise Invalid("a department is one code", "name several as several")
        starts_at = wanted.starts_at or now
        if wanted.ends_at is not None and wanted.ends_at <= starts_at:
            raise Invalid("a grant ends after it starts")
        return Grant(
            id=grant_id,
            org_id=organisation.id,
            org_name=organisation.name,
            area=Area(organisation.path, wanted.departments, wanted.classes, wanted.kinds, wanted.zones),
            starts_at=starts_at,
            ends_at=wanted.ends_at,
            live=wanted.live,
            has_history=wanted.has_history,
            history_from=wanted.history_from if wanted.has_history else None,
        )

    async def explain(self, actor: Actor, user_id: UserId, one: Object) -> Explanation:
        """Why the account can see the point, or can't. Everybody may ask about themselves.

        Raises NotFound, Denied, also for a point that the asker doesn't see.
        """
        if not actor.scope.covers(one):
            raise NotFound("there is no such object", "check the id")
        own = user_id == actor.user_id
        if not own and not (actor.may(Action.MANAGE_USERS) or actor.may(Action.READ_LEDGER)):
            scope_of(actor, Action.MANAGE_USERS)
        async with self.state.read() as tx:
            account = await self._account(tx, user_id, EVERYTHING if own else actor.scope)
            grants = await store.grants_of(tx, user_id)
            known = await sharing_store.terms_of(tx, user_id) if account.is_partner else []
        now = self.clock.now()
        return explain(account, grants, one, now=now, customs=self.customs, terms=terms_at(known, now))


def first_grant(account: User, *, has_past: bool) -> Grant:
    """What a new account has: all below its organisation, from now on."""
    return Grant(
        id=GrantId(account.id),
        org_id=account.org_id,
        org_name=account.org_name,
        area=Area(account.org_path),
        starts_at=account.created_at,
        history_from=None if has_past else account.created_at,
    )


def _told(grant: Grant) -> str:
    said = [grant.area.told()]
    if grant.ends_at is not None:
        said.append(f"until {grant.ends_at:%Y-%m-%d %H:%M}Z")
    if grant.live is not None:
        said.append("live by hours")
    if not grant.has_history:
        said.append("no recordings")
    elif grant.history_from is not None:
        said.append(f"recordings since {grant.history_from:%Y-%m-%d %H:%M}Z")
    return " ".join(said)
