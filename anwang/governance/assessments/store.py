"""The table of impact assessments and its queries. Nothing here deletes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    ForeignKey,
    Index,
    Integer,
    Row,
    Table,
    Text,
    and_,
    case,
    func,
    insert,
    or_,
    select,
    update,
)

from anwang.governance.assessments.model import Approval, Assessment, AssessmentId, AssessmentState, Said
from anwang.governance.duties.model import SystemId
from anwang.governance.scopes import Scope
from anwang.kernel.ids import OrgId, UserId
from anwang.stores.state import Json, Moment, Tx, metadata

assessments = Table(
    "assessments",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("first_id", Text, ForeignKey("assessments.id"), nullable=False),  # of the first edition, which is its own
    Column("edition", Integer, nullable=False),  # from 1
    Column("subject", Text, nullable=False),  # the project, or the video system's name
    Column("org_id", Text, nullable=False),  # the responsible organisation
    Column("org_name", Text, nullable=False),  # copy
    Column("org_path", Text, nullable=False),  # copy
    Column("system_id", Text, ForeignKey("video_systems.id")),  # NULL: about no video system
    Column("system_name", Text, nullable=False),  # as it was when this was written; "": about none
    Column("necessity", Text, nullable=False),  # why it is necessary and in proportion
    Column("risks", Text, nullable=False),
    Column("measures", Text, nullable=False),
    Column("conclusion", Text, nullable=False),
    Column("made_on", Date, nullable=False),  # civil day
    Column("review_by", Date, nullable=False),  # civil day, the last one for the next look
    Column("state", Text, nullable=False),  # model.AssessmentState
    Column("writers", Json, nullable=False),  # list of accounts of all who wrote in it
    Column("author", Text, nullable=False),  # user name of whoever wrote it last
    Column("created_at", Moment, nullable=False),
    Column("approved_at", Moment),  # NULL: nobody has approved it
    Column("approved_by", Text, nullable=False),  # user name; "": nobody has
    Column("note", Text, nullable=False),  # of who approved it
    Column("version", Integer, nullable=False),  # counts changes
)
Index("ix_assessments_first_id", assessments.c.first_id, assessments.c.edition, unique=True)
Index("ix_assessments_org_id", assessments.c.org_id)
Index("ix_assessments_review_by", assessments.c.state, assessments.c.review_by)

Rank = tuple[int, date, str]
"""A place in the list: its group, the last day for its review, its id."""
OVERDUE, DRAFTS, APPROVED, SUPERSEDED = range(4)


def _assessment(row: Row[Any]) -> Assessment:
    return Assessment(
        id=AssessmentId(row.id),
        first_id=AssessmentId(row.first_id),
        edition=row.edition,
        said=Said(
            subject=row.subject,
            org_id=OrgId(row.org_id),
            org_name=row.org_name,
            org_path=row.org_path,
            system_id=None if row.system_id is None else SystemId(row.system_id),
            system_name=row.system_name,
            necessity=row.necessity,
            risks=row.risks,
            measures=row.measures,
            conclusion=row.conclusion,
            made_on=row.made_on,
            review_by=row.review_by,
        ),
        state=AssessmentState(row.state),
        writers=tuple(UserId(each) for each in row.writers),
        author=row.author,
        created_at=row.created_at,
        approval=None if row.approved_at is None else Approval(at=row.approved_at, by=row.approved_by, note=row.note),
        version=row.version,
    )


def _values(one: Assessment) -> Mapping[str, object]:
    said, approval = one.said, one.approval
    return {
        "subject": said.subject,
        "org_id": said.org_id,
        "org_name": said.org_name,
        "org_path": said.org_path,
        "system_id": said.system_id,
        "system_name": said.system_name,
        "necessity": said.necessity,
        "risks": said.risks,
        "measures": said.measures,
        "conclusion": said.conclusion,
        "made_on": said.made_on,
        "review_by": said.review_by,
        "state": one.state.value,
        "writers": list(one.writers),
        "author": one.author,
        "approved_at": approval.at if approval else None,
        "approved_by": approval.by if approval else "",
        "note": approval.note if approval else "",
        "version": one.version,
    }


async def add(tx: Tx, one: Assessment) -> None:
    """Insert a draft."""
    values = {"id": one.id, "first_id": one.first_id, "edition": one.edition, "created_at": one.created_at}
    await tx.execute(insert(assessments).values(**values, **_values(one)))


async def save(tx: Tx, one: Assessment) -> None:
    """What has become of it."""
    await tx.execute(update(assessments).where(assessments.c.id == one.id).values(**_values(one)))


async def one(tx: Tx, assessment_id: str, *, seen_by: Scope, lock: bool = False) -> Assessment | None:
    """One within the scope."""
    found = select(assessments).where(assessments.c.id == assessment_id, seen_by.where(assessments.c.org_path))
    row = (await tx.execute(found.with_for_update() if lock else found)).first()
    return None if row is None else _assessment(row)


async def edition_in(
    tx: Tx, first_id: AssessmentId, state: AssessmentState, *, seen_by: Scope, lock: bool = False
) -> Assessment | None:
    """The edition of an assessment that is a draft, or the one that is approved; there is one of each at most."""
    found = select(assessments).where(
        assessments.c.first_id == first_id, assessments.c.state == state.value, seen_by.where(assessments.c.org_path)
    )
    row = (await tx.execute(found.with_for_update() if lock else found)).first()
    return None if row is None else _assessment(row)


def _group(today: date) -> ColumnElement[int]:
    """Overdue ones, drafts, the other approved ones, superseded ones."""
    state = assessments.c.state
    late = and_(state == AssessmentState.APPROVED.value, assessments.c.review_by < today)
    return case(
        (late, OVERDUE),
        (state == AssessmentState.DRAFT.value, DRAFTS),
        (state == AssessmentState.APPROVED.value, APPROVED),
        else_=SUPERSEDED,
    )


def rank_of(one: Assessment, today: date) -> Rank:
    """Its place in the list on that day."""
    if one.state is AssessmentState.APPROVED:
        group = OVERDUE if one.said.review_by < today else APPROVED
    else:
        group = DRAFTS if one.state is AssessmentState.DRAFT else SUPERSEDED
    return group, one.said.review_by, one.id


async def page(
    tx: Tx, *, seen_by: Scope, today: date, first_id: str, after: Rank | None, limit: int
) -> list[Assessment]:
    """Those within the scope, overdue ones first, then drafts, then by the day of review, after that place. first_id:
    editions of this one only; "" for all.
    """
    group, day, key = _group(today), assessments.c.review_by, assessments.c.id
    found = select(assessments).where(seen_by.where(assessments.c.org_path))
    if first_id:
        found = found.where(assessments.c.first_id == first_id)
    if after is not None:
        number, since, last = after
        later = or_(day > since, and_(day == since, key > last))
        found = found.where(or_(group > number, and_(group == number, later)))
    return [_assessment(row) for row in await tx.execute(found.order_by(group, day, key).limit(limit))]


async def overdue(tx: Tx, today: date) -> int:
    """How many are, whoever is responsible."""
    found = select(func.count()).where(
        assessments.c.state == AssessmentState.APPROVED.value, assessments.c.review_by < today
    )
    return int((await tx.execute(found)).scalar_one())


async def organisations(tx: Tx) -> list[OrgId]:
    """Those that are responsible for something assessed."""
    return [OrgId(row.org_id) for row in await tx.execute(select(assessments.c.org_id).distinct())]


async def move(tx: Tx, org_id: str, *, name: str, path: str) -> None:
    """Renew the copies of an organisation's name and path."""
    other = or_(assessments.c.org_name != name, assessments.c.org_path != path)
    await tx.execute(
        update(assessments).where(assessments.c.org_id == org_id, other).values(org_name=name, org_path=path)
    )
