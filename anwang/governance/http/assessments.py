"""Routes of impact assessments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from anwang.governance.actions import Action
from anwang.governance.assessments.form import PageLanguage, page_of
from anwang.governance.assessments.model import Approval, Assessment, AssessmentState, Review
from anwang.governance.assessments.service import Assessments, Wanted
from anwang.governance.http import Cursor, Limit, NamedDto, Shape, allow
from anwang.governance.http.duties import Keeper, Reader
from anwang.governance.model import Actor
from anwang.kernel.ids import OrgId

Approver = Annotated[Actor, allow(Action.APPROVE)]
Taker = Annotated[Actor, allow(Action.READ_DUTIES, use=None)]


class NewAssessmentDto(Shape):
    """An impact assessment to write. subject: the project; "" for the name of the video system. organisation: who is
    responsible. system: the video system that it is about, of that organisation; null where it is about none.
    necessity: why it is necessary and in proportion. made_on, review_by: civil days, three years apart at most.
    """

    subject: str = Field(max_length=400)
    organisation: str = Field(max_length=100)
    system: str | None = Field(default=None, max_length=100)
    necessity: str = Field(max_length=4096)
    risks: str = Field(max_length=4096)
    measures: str = Field(max_length=4096)
    conclusion: str = Field(max_length=4096)
    made_on: date
    review_by: date

    def wanted(self) -> Wanted:
        """As the service takes it."""
        return Wanted(
            subject=self.subject,
            org_id=OrgId(self.organisation),
            system_id=self.system,
            necessity=self.necessity,
            risks=self.risks,
            measures=self.measures,
            conclusion=self.conclusion,
            made_on=self.made_on,
            review_by=self.review_by,
        )


class ChangedAssessmentDto(NewAssessmentDto):
    """What a draft says from now on. version: of what was read."""

    version: int


class AssessmentApprovalDto(Shape):
    """The second person's yes. by: user name."""

    at: datetime
    by: str
    note: str

    @classmethod
    def of(cls, one: Approval) -> AssessmentApprovalDto:
        """As it goes out."""
        return cls(at=one.at, by=one.by, note=one.note)


class AssessmentDto(Shape):
    """An edition of an impact assessment. first: id of its first edition. system: named as it was then. review: where
    it stands with its review today; days_left: until its last day, negative when it is over. is_writer: the asking
    account wrote in it, and may not approve it. author: user name of whoever wrote it last.
    """

    id: str
    first: str
    edition: int
    subject: str
    organisation: NamedDto
    system: NamedDto | None
    necessity: str
    risks: str
    measures: str
    conclusion: str
    made_on: date
    review_by: date
    state: AssessmentState
    review: Review
    days_left: int
    author: str
    is_writer: bool
    created_at: datetime
    approval: AssessmentApprovalDto | None
    version: int


class AssessmentsDto(Shape):
    """A page of impact assessments, overdue ones first."""

    items: list[AssessmentDto]
    next: str | None


class ApproveAssessmentDto(Shape):
    """The second person's yes. version: of what was read."""

    note: str = Field(default="", max_length=2000)
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """What the routes need."""

    assessments: Assessments
    exported: Callable[[Actor, Action, str], Awaitable[None]]


def build_router(assessed: Assessed) -> APIRouter:
    """The routes. There is none that deletes."""
    router = APIRouter(prefix="/api/v1", tags=["governance"])
    _add_assessments(router, assessed.assessments)
    _add_page(router, assessed)
    return router


def _dto(assessments: Assessments, actor: Actor, one: Assessment) -> AssessmentDto:
    said, today = one.said, assessments.today()
    return AssessmentDto(
        id=one.id,
        first=one.first_id,
        edition=one.edition,
        subject=said.subject,
        organisation=NamedDto(id=said.org_id, name=said.org_name),
        system=None if said.system_id is None else NamedDto(id=said.system_id, name=said.system_name),
        necessity=said.necessity,
        risks=said.risks,
        measures=said.measures,
        conclusion=said.conclusion,
        made_on=said.made_on,
        review_by=said.review_by,
        state=one.state,
        review=one.review(today),
        days_left=one.days_left(today),
        author=one.author,
        is_writer=actor.user_id in one.writers,
        created_at=one.created_at,
        approval=AssessmentApprovalDto.of(one.approval) if one.approval else None,
        version=one.version,
    )


def _add_assessments(router: APIRouter, assessments: Assessments) -> None:
    @router.post("/assessments", status_code=201)
    async def add_assessment(actor: Keeper, body: NewAssessmentDto) -> AssessmentDto:
        """Write the draft of an impact assessment (个人信息保护影响评估)."""
        return _dto(assessments, actor, await assessments.add(actor, body.wanted()))

    @router.get("/assessments")
    async def list_assessments(
        actor: Reader,
        first: Annotated[str, Query(max_length=100, description="editions of this one only")] = "",
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> AssessmentsDto:
        """Impact assessments: overdue for review first, then drafts, then what is due first."""
        page = await assessments.page(actor, first_id=first, cursor=cursor, limit=limit)
        return AssessmentsDto(items=[_dto(assessments, actor, each) for each in page.items], next=page.next)

    @router.get("/assessments/{assessment_id}")
    async def read_assessment(actor: Reader, assessment_id: str) -> AssessmentDto:
        """One edition of an impact assessment."""
        return _dto(assessments, actor, await assessments.one(actor, assessment_id))

    @router.put("/assessments/{assessment_id}")
    async def change_assessment(actor: Keeper, assessment_id: str, body: ChangedAssessmentDto) -> AssessmentDto:
        """A draft says something else; what was approved does not change."""
        made = await assessments.change(actor, assessment_id, body.wanted(), version=body.version)
        return _dto(assessments, actor, made)

    @router.post("/assessments/{assessment_id}/editions", status_code=201)
    async def add_assessment_edition(actor: Keeper, assessment_id: str, body: NewAssessmentDto) -> AssessmentDto:
        """Write the draft of a new edition of the approved one, which stays approved until the new one is."""
        return _dto(assessments, actor, await assessments.revise(actor, assessment_id, body.wanted()))

    @router.post("/assessments/{assessment_id}/approval", status_code=201)
    async def approve_assessment(actor: Approver, assessment_id: str, body: ApproveAssessmentDto) -> AssessmentDto:
        """Another person than who wrote it approves it; the edition before is superseded."""
        made = await assessments.approve(actor, assessment_id, note=body.note, version=body.version)
        return _dto(assessments, actor, made)


def _add_page(router: APIRouter, assessed: Assessed) -> None:
    assessments = assessed.assessments

    @router.get("/assessments/{assessment_id}/assessment.html", response_class=Response)
    async def print_assessment(
        actor: Taker, assessment_id: str, language: PageLanguage = PageLanguage.CHINESE
    ) -> Response:
        """A page to print."""
        found = await assessments.one(actor, assessment_id)
        await assessed.exported(actor, Action.READ_DUTIES, f"impact assessment {found.id}, {language}")
        return Response(
            page_of(found, assessments.today(), language).encode(),
            media_type="text/html; charset=utf-8",
            headers={
                "content-disposition": f'inline; filename="assessment-{found.id}.html"',
                "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
            },
        )
