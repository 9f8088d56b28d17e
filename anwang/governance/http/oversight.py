"""Routes of anomalies: what is unusual of how people look, for the auditors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import Field

from anwang.governance.actions import Action
from anwang.governance.http import Cursor, LedgerRowDto, Limit, NamedDto, Shape, allow, row_dto
from anwang.governance.model import Actor
from anwang.governance.oversight.model import Anomaly, AnomalyRule, AnomalyState
from anwang.governance.oversight.service import Anomalies

Reader = Annotated[Actor, allow(Action.READ_LEDGER, use=None)]
Settler = Annotated[Actor, allow(Action.SETTLE_ANOMALIES)]


class AnomalyDto(Shape):
    """A finding. from, to: its window. count passed bound; usual: looks in the account's own usual hour, null where
    that does not matter. subject: id of the point that came back, "" for none. mine: it is about the reader, who cannot
    decide it.
    """

    id: str
    rule: AnomalyRule
    user: NamedDto
    unit: str
    subject: str
    start: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")
    count: int
    bound: int
    usual: float | None
    found_at: datetime
    state: AnomalyState
    note: str
    decided_at: datetime | None
    decided_by: str
    mine: bool

    @classmethod
    def of(cls, one: Anomaly, actor: Actor) -> Self:
        """As it goes out."""
        return cls(
            id=one.id,
            rule=one.rule,
            user=NamedDto(id=one.user_id, name=one.username),
            unit=one.unit,
            subject=one.subject,
            start=one.start,
            end=one.end,
            count=one.count,
            bound=one.bound,
            usual=one.usual,
            found_at=one.found_at,
            state=one.state,
            note=one.note,
            decided_at=one.decided_at,
            decided_by=one.decided_by,
            mine=one.user_id == actor.user_id,
        )


class AnomaliesDto(Shape):
    """A page of anomalies, latest first."""

    items: list[AnomalyDto]
    next: str | None


class EvidencedAnomalyDto(AnomalyDto):
    """An anomaly with the first of its rows of the ledger, oldest first."""

    rows: list[LedgerRowDto]


class AnomalyVerdictDto(Shape):
    """What an anomaly was: explained, misconduct or dismissed; and why."""

    verdict: AnomalyState
    note: str = Field(max_length=1000)


def build_router(anomalies: Anomalies) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["governance"])

    @router.get("/anomalies")
    async def list_anomalies(
        actor: Reader,
        state: Annotated[list[AnomalyState] | None, Query()] = None,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> AnomaliesDto:
        """What was unusual of how people look, latest first."""
        page = await anomalies.page(actor, states=state or [], cursor=cursor, limit=limit)
        return AnomaliesDto(items=[AnomalyDto.of(each, actor) for each in page.items], next=page.next)

    @router.get("/anomalies/{anomaly_id}")
    async def read_anomaly(actor: Reader, anomaly_id: str) -> EvidencedAnomalyDto:
        """One of them with its rows of the ledger."""
        found, rows = await anomalies.one(actor, anomaly_id)
        plain = AnomalyDto.of(found, actor)
        evidence = [row_dto(chain, row) for chain, row in rows]
        return EvidencedAnomalyDto(**{name: getattr(plain, name) for name in AnomalyDto.model_fields}, rows=evidence)

    @router.post("/anomalies/{anomaly_id}/decision")
    async def decide_anomaly(actor: Settler, anomaly_id: str, body: AnomalyVerdictDto) -> AnomalyDto:
        """Say what it was; nobody decides about themselves."""
        found = await anomalies.decide(actor, anomaly_id, verdict=body.verdict, note=body.note)
        return AnomalyDto.of(found, actor)

    return router
