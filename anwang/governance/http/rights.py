"""Routes of grants, and of the explanation of what someone may do with a point."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, Field

from anwang.governance.actions import Action
from anwang.governance.http import NamedDto, Shape, UserDto, allow, governance_of, user_dto
from anwang.governance.http.cases import no_object, point_of
from anwang.governance.model import Actor, Role, Verdict
from anwang.governance.reasons import Lack
from anwang.governance.rights import MOST_GRANTS, MOST_WORDS, Answer, NewGrant
from anwang.governance.rights import Reach as Reached
from anwang.governance.scopes import Grant, Hours, Miss, Owned
from anwang.governance.service import Governance
from anwang.kernel.ids import OrgId, UserId

Word = Annotated[str, Field(min_length=1, max_length=64)]
Words = Annotated[list[Word], Field(max_length=MOST_WORDS)]


class HoursDto(Shape):
    """Hours of the week in civil time (Asia/Shanghai). days: 0 is Monday. start, end: minutes of the day; an end at or
    before the start is on the day after.
    """

    days: list[Annotated[int, Field(ge=0, le=6)]] = Field(min_length=1, max_length=7)
    start: int = Field(ge=0, lt=1440)
    end: int = Field(gt=0, le=1440)


class NewGrantDto(Shape):
    """Everything below an organisation; of that only what is in each list that is not empty.

    classes: point classes 1, 2, 3, 4, 9. zones: network zones of the settings. live: hours of live pictures and
    steering, null for all. has_history: whether recordings may be seen; history_from: only those from then on, null
    for all. starts_at null: now; ends_at null: no end.
    """

    organisation: str = Field(max_length=100)
    departments: Words = Field(default_factory=list)
    classes: list[int] = Field(default_factory=list, max_length=10)
    kinds: Words = Field(default_factory=list)
    zones: Words = Field(default_factory=list)
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    live: HoursDto | None = None
    has_history: bool = True
    history_from: AwareDatetime | None = None

    def wanted(self) -> NewGrant:
        """As the service takes it. Raises Invalid."""
        live = self.live
        return NewGrant(
            org_id=OrgId(self.organisation),
            departments=frozenset(self.departments),
            classes=frozenset(self.classes),
            kinds=frozenset(self.kinds),
            zones=frozenset(self.zones),
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            live=None if live is None else Hours(frozenset(live.days), live.start, live.end),
            has_history=self.has_history,
            history_from=self.history_from,
        )


class GrantDto(Shape):
    """A grant; see what makes one."""

    id: str
    organisation: NamedDto
    departments: list[str]
    classes: list[int]
    kinds: list[str]
    zones: list[str]
    starts_at: datetime
    ends_at: datetime | None
    live: HoursDto | None
    has_history: bool
    history_from: datetime | None

    @classmethod
    def of(cls, one: Grant) -> GrantDto:
        """As the reader gets it."""
        live = one.live
        return cls(
            id=one.id,
            organisation=NamedDto(id=one.org_id, name=one.org_name),
            departments=sorted(one.area.departments),
            classes=sorted(one.area.classes),
            kinds=sorted(one.area.kinds),
            zones=sorted(one.area.zones),
            starts_at=one.starts_at,
            ends_at=one.ends_at,
            live=None if live is None else HoursDto(days=sorted(live.days), start=live.start, end=live.end),
            has_history=one.has_history,
            history_from=one.history_from,
        )


class GrantsDto(Shape):
    """All grants of an account."""

    items: list[GrantDto]


class NewGrantsDto(Shape):
    """What an account's grants are from now on; none takes all rights away."""

    items: list[NewGrantDto] = Field(max_length=MOST_GRANTS)


class ReachDto(Shape):
    """A grant and the point: whether it holds now, and why it does not reach the point (null: it does)."""

    grant: GrantDto
    in_force: bool
    miss: Miss | None


class AnswerDto(Shape):
    """What somebody may do with the point. about: `live`, or recordings that are `recent` or `old`.

    lack: a purpose or an approval would turn a refusal.
    """

    action: Action
    about: str
    verdict: Verdict
    reason: str
    hint: str
    lack: Lack | None


class RightsDto(Shape):
    """Why somebody can see a point, or can't."""

    user: UserDto
    point: NamedDto
    role: Role
    grants: list[ReachDto]
    answers: list[AnswerDto]


Own = Annotated[Actor, allow(Action.OWN_ACCOUNT)]
Reader = Annotated[Actor, allow(Action.READ_POINTS)]
UserAdmin = Annotated[Actor, allow(Action.MANAGE_USERS)]
Service = Annotated[Governance, Depends(governance_of)]


def build_router(owned: Owned) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["governance"])

    @router.get("/users/{user_id}/grants")
    async def list_grants(actor: Own, governance: Service, user_id: str) -> GrantsDto:
        """Where and when an account may do what its role may: one's own, or of accounts that one manages."""
        return GrantsDto(items=[GrantDto.of(one) for one in await governance.rights.of(actor, UserId(user_id))])

    @router.put("/users/{user_id}/grants")
    async def replace_grants(actor: UserAdmin, governance: Service, user_id: str, body: NewGrantsDto) -> GrantsDto:
        """Replace all grants of an account; it takes effect at once."""
        wanted = [one.wanted() for one in body.items]
        return GrantsDto(
            items=[GrantDto.of(one) for one in await governance.rights.replace(actor, UserId(user_id), wanted)]
        )

    @router.get("/rights")
    async def explain_rights(
        actor: Reader,
        governance: Service,
        point: Annotated[str, Query(max_length=64)],
        user: Annotated[str, Query(max_length=64, description="id of an account; without it, one's own")] = "",
    ) -> RightsDto:
        """Why somebody can see a point, or can't, by the same decisions as every look."""
        asked = point_of(point)
        known = await owned([asked])
        if asked not in known:
            raise no_object()
        one = known[asked]
        found = await governance.rights.explain(actor, UserId(user or actor.user_id), one)
        return RightsDto(
            user=user_dto(found.user),
            point=NamedDto(id=one.id, name=one.name),
            role=found.user.role,
            grants=[_reach(each) for each in found.grants],
            answers=[_answer(each) for each in found.answers],
        )

    return router


def _reach(one: Reached) -> ReachDto:
    return ReachDto(grant=GrantDto.of(one.grant), in_force=one.is_in_force, miss=one.miss)


def _answer(one: Answer) -> AnswerDto:
    decision = one.decision
    return AnswerDto(
        action=one.action,
        about=one.about,
        verdict=decision.verdict,
        reason=decision.reason,
        hint=decision.hint,
        lack=decision.lack,
    )
