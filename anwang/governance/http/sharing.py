"""Routes of sharing agreements, and of what was pulled by them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query, Response
from pydantic import Field

from anwang.governance.actions import Action
from anwang.governance.duties.form import Cell
from anwang.governance.http import Cursor, LedgerDto, Limit, NamedDto, Shape, allow, ledger_dto, unpacked
from anwang.governance.http.duties import AsTable, Keeper, Reader
from anwang.governance.http.rights import Words
from anwang.governance.ledger import Place, Row
from anwang.governance.model import Actor
from anwang.governance.reasons import PurposeKind
from anwang.governance.sharing.model import Agreement, AgreementState, AgreementStep, Done
from anwang.governance.sharing.service import MOST_ACCOUNTS, MOST_PULLS, Sharing, Wanted, last_day
from anwang.governance.terms import SHAREABLE
from anwang.kernel.ids import OrgId, UserId
from anwang.kernel.times import BEIJING, civil_day, from_micros

PULLS = ("时间", "编号", "账号", "接收方", "终端", "操作", "点位", "协议编号", "请求")
Auditor = Annotated[Actor, allow(Action.READ_LEDGER, use=None)]


class NewAgreementDto(Shape):
    """What an agreement shall say. department, unit, contact: of the partner. accounts: ids of service accounts that
    its programs use. organisation: points below it, of these only what is in each list that is not empty. fields: keys
    of fields of points that may leave. from, until: civil days, both included, a year at most.
    """

    number: str = Field(max_length=200)
    department: str = Field(max_length=200)
    unit: str = Field(max_length=200)
    contact: str = Field(max_length=400)
    legal_basis: str = Field(max_length=600)
    kind: PurposeKind
    purpose: str = Field(max_length=2000)
    organisation: str = Field(max_length=100)
    departments: Words = Field(default_factory=list)
    classes: list[int] = Field(default_factory=list, max_length=10)
    kinds: Words = Field(default_factory=list)
    zones: Words = Field(default_factory=list)
    accounts: list[Annotated[str, Field(max_length=64)]] = Field(max_length=MOST_ACCOUNTS)
    actions: list[Action] = Field(max_length=len(Action))
    fields: list[Annotated[str, Field(max_length=64)]] = Field(max_length=200)
    first: date = Field(alias="from")
    last: date = Field(alias="until")

    def wanted(self) -> Wanted:
        """As the service takes it."""
        return Wanted(
            number=self.number,
            department=self.department,
            unit=self.unit,
            contact=self.contact,
            legal_basis=self.legal_basis,
            kind=self.kind,
            purpose=self.purpose,
            org_id=OrgId(self.organisation),
            departments=frozenset(self.departments),
            classes=frozenset(self.classes),
            kinds=frozenset(self.kinds),
            zones=frozenset(self.zones),
            accounts=frozenset(UserId(each) for each in self.accounts),
            actions=frozenset(self.actions),
            fields=frozenset(self.fields),
            from_on=self.first,
            until_on=self.last,
        )


class ChangedAgreementDto(NewAgreementDto):
    """What a draft says from now on. version: of what was read."""

    version: int


class AgreementStepDto(Shape):
    """A step to take: approve, suspend, resume, end. note: why. version: of what was read."""

    step: AgreementStep
    note: str = Field(default="", max_length=2000)
    version: int


class AgreementDoneDto(Shape):
    """A step that was taken. by: user name."""

    step: AgreementStep
    at: datetime
    by: str
    note: str

    @classmethod
    def of(cls, done: Done) -> Self:
        """As it goes out."""
        return cls(step=done.step, at=done.at, by=done.by, note=done.note)


class AgreementDto(Shape):
    """A sharing agreement. written_by: who wrote it last, and does not approve it."""

    id: str
    number: str
    department: str
    unit: str
    contact: str
    legal_basis: str
    kind: PurposeKind
    purpose: str
    organisation: NamedDto
    departments: list[str]
    classes: list[int]
    kinds: list[str]
    zones: list[str]
    accounts: list[NamedDto]
    actions: list[Action]
    fields: list[str]
    first: date = Field(serialization_alias="from")
    last: date = Field(serialization_alias="until")
    state: AgreementState
    steps: list[AgreementDoneDto]
    written_by: NamedDto
    created_at: datetime
    version: int


class AgreementsDto(Shape):
    """A page of agreements, latest first."""

    items: list[AgreementDto]
    next: str | None


class ShareableDto(Shape):
    """A field of points that may leave."""

    key: str
    label: str


class ShareablesDto(Shape):
    """What an agreement may name."""

    fields: list[ShareableDto]
    actions: list[Action]


class PartnerAccountDto(Shape):
    """A service account. is_partner: it can do nothing without an agreement."""

    id: str
    username: str
    display_name: str
    is_partner: bool


class PartnerAccountsDto(Shape):
    """A page of service accounts, by user name."""

    items: list[PartnerAccountDto]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What the routes need."""

    sharing: Sharing
    as_table: AsTable
    exported: Callable[[Actor, Action, str], Awaitable[None]]


def build_router(shares: Shares) -> APIRouter:
    """The routes. There is none that deletes."""
    router = APIRouter(prefix="/api/v1", tags=["governance"])
    _add_agreements(router, shares.sharing)
    _add_pulls(router, shares)
    return router


def _dto(sharing: Sharing, one: Agreement) -> AgreementDto:
    said = one.said
    return AgreementDto(
        id=one.id,
        number=said.number,
        department=said.department,
        unit=said.unit,
        contact=said.contact,
        legal_basis=said.legal_basis,
        kind=said.kind,
        purpose=said.purpose,
        organisation=NamedDto(id=said.org_id, name=said.org_name),
        departments=sorted(said.area.departments),
        classes=sorted(said.area.classes),
        kinds=sorted(said.area.kinds),
        zones=sorted(said.area.zones),
        accounts=[NamedDto(id=each.id, name=each.username) for each in one.accounts],
        actions=sorted(said.actions),
        fields=sorted(said.fields),
        first=civil_day(said.starts_at),
        last=last_day(said),
        state=one.state(sharing.clock.now()),
        steps=[AgreementDoneDto.of(each) for each in one.steps],
        written_by=NamedDto(id=one.written_by, name=one.writer),
        created_at=one.created_at,
        version=one.version,
    )


def _add_agreements(router: APIRouter, sharing: Sharing) -> None:
    @router.post("/sharing", status_code=201)
    async def add_agreement(actor: Keeper, body: NewAgreementDto) -> AgreementDto:
        """Write the draft of a sharing agreement (共享协议)."""
        return _dto(sharing, await sharing.add(actor, body.wanted()))

    @router.get("/sharing")
    async def list_agreements(actor: Reader, cursor: Cursor = "", limit: Limit = 50) -> AgreementsDto:
        """Sharing agreements, latest first."""
        page = await sharing.page(actor, cursor=cursor, limit=limit)
        return AgreementsDto(items=[_dto(sharing, each) for each in page.items], next=page.next)

    @router.get("/sharing/shareable")
    async def read_shareable(actor: Reader) -> ShareablesDto:
        """What an agreement may name: fields of points, and what may be done."""
        return ShareablesDto(
            fields=[ShareableDto(key=key, label=label) for key, label in sharing.fields.items()],
            actions=sorted(SHAREABLE),
        )

    @router.get("/sharing/accounts")
    async def list_partner_accounts(actor: Keeper, cursor: Cursor = "", limit: Limit = 50) -> PartnerAccountsDto:
        """Service accounts that an agreement may name."""
        page = await sharing.accounts(actor, cursor=cursor, limit=limit)
        return PartnerAccountsDto(
            items=[
                PartnerAccountDto(
                    id=each.id, username=each.username, display_name=each.display_name, is_partner=each.is_partner
                )
                for each in page.items
            ],
            next=page.next,
        )

    @router.get("/sharing/{agreement_id}")
    async def read_agreement(actor: Reader, agreement_id: str) -> AgreementDto:
        """One sharing agreement."""
        return _dto(sharing, await sharing.one(actor, agreement_id))

    @router.put("/sharing/{agreement_id}")
    async def change_agreement(actor: Keeper, agreement_id: str, body: ChangedAgreementDto) -> AgreementDto:
        """A draft says something else; what was approved does not change."""
        return _dto(sharing, await sharing.change(actor, agreement_id, body.wanted(), version=body.version))

    @router.post("/sharing/{agreement_id}/steps", status_code=201)
    async def add_agreement_step(actor: Reader, agreement_id: str, body: AgreementStepDto) -> AgreementDto:
        """Approve, suspend, resume or end it. It takes effect at once, also on what is open."""
        made = await sharing.step(actor, agreement_id, body.step, note=body.note, version=body.version)
        return _dto(sharing, made)


def _add_pulls(router: APIRouter, shares: Shares) -> None:
    sharing = shares.sharing

    @router.get("/sharing/{agreement_id}/pulls")
    async def list_pulls(actor: Auditor, agreement_id: str, cursor: Cursor = "", limit: Limit = 50) -> LedgerDto:
        """What the partner was answered, latest first: `look` is the id that the answer's X-Anwang-Look told."""
        return ledger_dto(await sharing.pulls(actor, agreement_id, cursor=unpacked(cursor), limit=limit))

    @router.get("/sharing/{agreement_id}/pulls.csv", response_class=Response)
    async def download_pulls(
        actor: Auditor,
        agreement_id: str,
        most: Annotated[int, Query(ge=1, le=MOST_PULLS, description="rows; of more, the latest")] = MOST_PULLS,
    ) -> Response:
        """The same as a file, to be compared with the partner's log. `X-Anwang-More: true`: there are older ones."""
        agreement = await sharing.one(actor, agreement_id)
        await shares.exported(actor, Action.READ_LEDGER, f"pulls of sharing agreement {agreement.id}, csv")
        found: list[tuple[str, Row]] = []
        place: Place | None = None
        while True:
            page = await sharing.pulls(actor, agreement_id, cursor=place, limit=min(500, most - len(found)))
            found += page.rows
            place = page.next
            if place is None or len(found) >= most:
                break
        return Response(
            shares.as_table("csv", "pulls", PULLS, [_cells(one) for one in found]),
            media_type="text/csv; charset=utf-8",
            headers={
                "content-disposition": f'attachment; filename="pulls-{agreement.id}.csv"',
                "x-anwang-more": str(place is not None).lower(),
            },
        )


def _cells(one: tuple[str, Row]) -> tuple[Cell, ...]:
    _, row = one
    return (
        from_micros(row.at).astimezone(BEIJING).isoformat(timespec="milliseconds"),
        row.look,
        row.name,
        row.recipient,
        row.terminal,
        row.action,
        ",".join(row.objects),
        row.case,
        row.detail,
    )
