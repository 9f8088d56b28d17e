"""Routes of breaches of personal information, and the notices about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, Field

from anwang.governance.actions import Action
from anwang.governance.breaches.model import Breach, BreachKind, BreachState, BreachStep, Done, Told, lacking
from anwang.governance.breaches.notice import NoticeLanguage, NoticeTo, page_of, text_of
from anwang.governance.breaches.service import Breaches
from anwang.governance.http import Cursor, Limit, NamedDto, Shape, allow
from anwang.governance.model import Actor
from anwang.kernel.errors import Invalid
from anwang.kernel.ids import OrgId
from anwang.kernel.times import Span, to_micros

Reader = Annotated[Actor, allow(Action.READ_BREACHES)]
Taker = Annotated[Actor, allow(Action.READ_BREACHES, use=None)]
Keeper = Annotated[Actor, allow(Action.MANAGE_BREACHES)]


class NoticeKind(StrEnum):
    """As what a notice is taken away."""

    HTML = "html"
    """To print."""
    TXT = "txt"


MEDIA_TYPES = {NoticeKind.HTML: "text/html; charset=utf-8", NoticeKind.TXT: "text/plain; charset=utf-8"}


class NewBreachDto(Shape):
    """What is known of a breach. organisation: who is responsible. to: when it was over, null while it goes on or
    nobody knows. affected: people concerned, null while nobody knows. cause, harm, measures, advice (what people can do
    themselves): "" while nobody has written it.
    """

    title: str = Field(max_length=200)
    organisation: str = Field(max_length=100)
    what: str = Field(max_length=4096)
    found_at: AwareDatetime
    start: AwareDatetime = Field(alias="from")
    end: AwareDatetime | None = Field(default=None, alias="to")
    kinds: list[BreachKind] = Field(max_length=len(BreachKind))
    affected: int | None = None
    cause: str = Field(default="", max_length=4096)
    harm: str = Field(default="", max_length=4096)
    measures: str = Field(default="", max_length=4096)
    advice: str = Field(default="", max_length=4096)
    contact: str = Field(max_length=400)

    def told(self) -> Told:
        """As the service takes it."""
        return Told(
            title=self.title,
            what=self.what,
            found_at=self.found_at,
            from_at=self.start,
            until_at=self.end,
            kinds=tuple(self.kinds),
            affected=self.affected,
            cause=self.cause,
            harm=self.harm,
            measures=self.measures,
            advice=self.advice,
            contact=self.contact,
        )


class ChangedBreachDto(NewBreachDto):
    """What a breach is from now on. version: of what was read."""

    version: int


class BreachStepDto(Shape):
    """A step to be written: report (to the authority), notify (the people concerned), close. at: when it was done.
    note: to whom and how, or why it is closed. version: of what was read.
    """

    step: BreachStep
    at: AwareDatetime
    note: str = Field(max_length=2000)
    version: int


class BreachDoneDto(Shape):
    """A step that was done. by: user name."""

    step: BreachStep
    at: datetime
    by: str
    note: str

    @classmethod
    def of(cls, done: Done) -> Self:
        """As it goes out."""
        return cls(step=done.step, at=done.at, by=done.by, note=done.note)


class BreachDto(Shape):
    """A breach. unreported_seconds: how long the authority did not know, or has not known since it was found. lacking:
    what a notice needs and nobody has written yet. kept_until: the record is kept until then at least; null: it is not
    closed.
    """

    id: str
    organisation: NamedDto
    title: str
    what: str
    found_at: datetime
    start: datetime = Field(serialization_alias="from")
    end: datetime | None = Field(serialization_alias="to")
    kinds: list[BreachKind]
    affected: int | None
    cause: str
    harm: str
    measures: str
    advice: str
    contact: str
    state: BreachState
    steps: list[BreachDoneDto]
    created_at: datetime
    created_by: str
    version: int
    unreported_seconds: int
    lacking: list[str]
    kept_until: datetime | None


class BreachesDto(Shape):
    """A page of breaches, latest first."""

    items: list[BreachDto]
    next: str | None


class BreachExtentDto(Shape):
    """What the ledger knows of a span: points looked at, looks opened, accounts that looked, bytes that left. waiting:
    rows that are not counted yet.
    """

    points: int
    looks: int
    accounts: int
    bytes: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the routes need."""

    breaches: Breaches
    exported: Callable[[Actor, Action, str], Awaitable[None]]


def _dto(breaches: Breaches, one: Breach) -> BreachDto:
    told = one.told
    return BreachDto(
        id=one.id,
        organisation=NamedDto(id=one.org_id, name=one.org_name),
        title=told.title,
        what=told.what,
        found_at=told.found_at,
        start=told.from_at,
        end=told.until_at,
        kinds=list(told.kinds),
        affected=told.affected,
        cause=told.cause,
        harm=told.harm,
        measures=told.measures,
        advice=told.advice,
        contact=told.contact,
        state=one.state,
        steps=[BreachDoneDto.of(each) for each in one.steps],
        created_at=one.created_at,
        created_by=one.created_by,
        version=one.version,
        unreported_seconds=one.unreported_us(breaches.clock.now()) // 1_000_000,
        lacking=lacking(told),
        kept_until=one.kept_until,
    )


def build_router(kept: Kept) -> APIRouter:
    """The routes. There is none that deletes."""
    router = APIRouter(prefix="/api/v1", tags=["governance"])
    _add_records(router, kept.breaches)
    _add_notices(router, kept)
    return router


def _add_records(router: APIRouter, breaches: Breaches) -> None:
    @router.post("/breaches", status_code=201)
    async def add_breach(actor: Keeper, body: NewBreachDto) -> BreachDto:
        """Begin the record of a breach (个人信息安全事件)."""
        return _dto(breaches, await breaches.add(actor, OrgId(body.organisation), body.told()))

    @router.get("/breaches")
    async def list_breaches(
        actor: Reader,
        state: Annotated[list[BreachState] | None, Query()] = None,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> BreachesDto:
        """Breaches, latest first."""
        page = await breaches.page(actor, states=state or [], cursor=cursor, limit=limit)
        return BreachesDto(items=[_dto(breaches, each) for each in page.items], next=page.next)

    @router.get("/breaches/extent")
    async def read_extent(
        actor: Reader,
        since: Annotated[AwareDatetime, Query(alias="from")],
        until: Annotated[AwareDatetime, Query(alias="to")],
    ) -> BreachExtentDto:
        """What was looked at in a span, as far as the ledger knows: a help for counting who is affected."""
        if until < since:
            raise Invalid("a span ends before it starts", "exchange the two")
        found = await breaches.extent(actor, Span(to_micros(since), to_micros(until)))
        return BreachExtentDto(
            points=found.points,
            looks=found.looks,
            accounts=found.accounts,
            bytes=found.bytes,
            waiting=found.waiting,
        )

    @router.get("/breaches/{breach_id}")
    async def read_breach(actor: Reader, breach_id: str) -> BreachDto:
        """One breach."""
        return _dto(breaches, await breaches.one(actor, breach_id))

    @router.put("/breaches/{breach_id}")
    async def change_breach(actor: Keeper, breach_id: str, body: ChangedBreachDto) -> BreachDto:
        """More is known of it."""
        organisation = OrgId(body.organisation)
        return _dto(breaches, await breaches.change(actor, breach_id, organisation, body.told(), version=body.version))

    @router.post("/breaches/{breach_id}/steps", status_code=201)
    async def add_breach_step(actor: Keeper, breach_id: str, body: BreachStepDto) -> BreachDto:
        """The authority or the people concerned were told, or it is closed."""
        made = await breaches.step(actor, breach_id, body.step, at=body.at, note=body.note, version=body.version)
        return _dto(breaches, made)


def _add_notices(router: APIRouter, kept: Kept) -> None:
    @router.get("/breaches/{breach_id}/{to}-notice.{kind}", response_class=Response)
    async def draft_notice(
        actor: Taker, breach_id: str, to: NoticeTo, kind: NoticeKind, language: NoticeLanguage = NoticeLanguage.CHINESE
    ) -> Response:
        """A draft of the notice to the authority or to the people concerned (PIPL article 57)."""
        found = await kept.breaches.one(actor, breach_id)
        await kept.exported(actor, Action.READ_BREACHES, f"breach {found.id} notice to {to}, {kind}, {language}")
        content = page_of(found, to, language) if kind is NoticeKind.HTML else text_of(found, to, language)
        place = "inline" if kind is NoticeKind.HTML else "attachment"
        return Response(
            content.encode(),
            media_type=MEDIA_TYPES[kind],
            headers={
                "content-disposition": f'{place}; filename="breach-{found.id}-{to}.{kind}"',
                "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
            },
        )
