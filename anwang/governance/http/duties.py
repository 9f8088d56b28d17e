"""Routes of the duties of Regulation 799: video systems and their filing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from anwang.governance.actions import Action
from anwang.governance.duties.form import HEADER, TITLE, Cell, page_of, rows_of
from anwang.governance.duties.model import Change, FilingState, Form, Regime, What
from anwang.governance.duties.service import Duties, Standing, Wanted
from anwang.governance.http import Cursor, Limit, NamedDto, Shape, allow
from anwang.governance.model import Actor
from anwang.kernel.ids import OrgId


class FormKind(StrEnum):
    """As what a filing form is taken away."""

    CSV = "csv"
    XLSX = "xlsx"
    HTML = "html"
    """To print."""


MEDIA_TYPES = {
    FormKind.CSV: "text/csv; charset=utf-8",
    FormKind.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    FormKind.HTML: "text/html; charset=utf-8",
}

AsTable = Callable[[str, str, Sequence[str], Sequence[Sequence[Cell]]], bytes]
"""Writes a table: csv or xlsx, its title, header, rows."""


class NewSystemDto(Shape):
    """A video system to enter. organisation: who answers for it; all that is below it is its equipment. in_use_on: the
    civil day on which it was or will be put into use.
    """

    name: str = Field(max_length=200)
    organisation: str = Field(max_length=100)
    regime: Regime
    legal_basis: str = Field(max_length=600)
    in_use_on: date
    retention_days: int
    contact: str = Field(max_length=400)

    def wanted(self) -> Wanted:
        """As the service takes it."""
        return Wanted(
            name=self.name,
            org_id=OrgId(self.organisation),
            regime=self.regime,
            legal_basis=self.legal_basis,
            in_use_on=self.in_use_on,
            retention_days=self.retention_days,
            contact=self.contact,
        )


class ChangedSystemDto(NewSystemDto):
    """What a video system is from now on. version: of what was read."""

    version: int


class ChangeDto(Shape):
    """One thing that was filed otherwise. kind: of devices; "" for everything else."""

    what: What
    kind: str
    before: str
    now: str

    @classmethod
    def of(cls, one: Change) -> ChangeDto:
        """As it goes out."""
        return cls(what=one.what, kind=one.kind, before=one.before, now=one.now)


class FilingDto(Shape):
    """Where the filing of a system stands. due_on: the last day for the first one; days_left: until then, negative when
    it is over. changes: what must be filed anew.
    """

    state: FilingState
    due_on: date | None
    days_left: int | None
    receipt_no: str
    filed_on: date | None
    changes: list[ChangeDto]


class SystemDto(Shape):
    """A video system. devices: how many of each kind are in use now; total: all of them. lacks_sign: there
    must be one and is none.
    """

    id: str
    name: str
    organisation: NamedDto
    regime: Regime
    legal_basis: str
    in_use_on: date
    retention_days: int
    contact: str
    version: int
    created_at: datetime
    devices: dict[str, int]
    total: int
    filing: FilingDto
    signs: int
    lacks_sign: bool


class SystemsDto(Shape):
    """A page of video systems, what presses most first."""

    items: list[SystemDto]
    next: str | None


class FormDto(Shape):
    """A filing form that was made, as it stood then. receipt_no: "" while there is none."""

    id: str
    made_at: datetime
    made_by: str
    unit: str
    contact: str
    retention_days: int
    devices: dict[str, int]
    total: int
    receipt_no: str
    filed_on: date | None

    @classmethod
    def of(cls, one: Form) -> FormDto:
        """As it goes out."""
        return cls(
            id=one.id,
            made_at=one.made_at,
            made_by=one.made_by,
            unit=one.filed.unit,
            contact=one.filed.contact,
            retention_days=one.filed.retention_days,
            devices=one.filed.devices,
            total=one.filed.total,
            receipt_no=one.receipt_no,
            filed_on=one.filed_on,
        )


class FormsDto(Shape):
    """A page of a system's filing forms, latest first."""

    items: list[FormDto]
    next: str | None


class ReceiptDto(Shape):
    """What the police gave for a form."""

    receipt_no: str = Field(max_length=200)
    filed_on: date


Reader = Annotated[Actor, allow(Action.READ_DUTIES)]
Taker = Annotated[Actor, allow(Action.READ_DUTIES, use=None)]
Keeper = Annotated[Actor, allow(Action.MANAGE_DUTIES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """What the routes need."""

    duties: Duties
    as_table: AsTable
    exported: Callable[[Actor, Action, str], Awaitable[None]]


def build_router(register: Register) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["governance"])
    _add_systems(router, register.duties)
    _add_forms(router, register)
    return router


def _dto(duties: Duties, one: Standing) -> SystemDto:
    system, filing = one.system, one.filing
    return SystemDto(
        id=system.id,
        name=system.name,
        organisation=NamedDto(id=system.org_id, name=system.org_name),
        regime=system.regime,
        legal_basis=system.legal_basis,
        in_use_on=system.in_use_on,
        retention_days=system.retention_days,
        contact=system.contact,
        version=system.version,
        created_at=system.created_at,
        devices=dict(one.devices),
        total=sum(one.devices.values()),
        filing=FilingDto(
            state=filing.state,
            due_on=filing.due_on,
            days_left=filing.days_left(duties.today()),
            receipt_no=filing.form.receipt_no if filing.form else "",
            filed_on=filing.form.filed_on if filing.form else None,
            changes=[ChangeDto.of(each) for each in filing.changes],
        ),
        signs=one.signs,
        lacks_sign=one.lacks_sign,
    )


def _add_systems(router: APIRouter, duties: Duties) -> None:
    @router.post("/video-systems", status_code=201)
    async def add_system(actor: Keeper, body: NewSystemDto) -> SystemDto:
        """Enter a video system (视频图像信息系统)."""
        return _dto(duties, await duties.add(actor, body.wanted()))

    @router.get("/video-systems")
    async def list_systems(
        actor: Reader,
        state: Annotated[list[FilingState] | None, Query()] = None,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> SystemsDto:
        """Video systems, those that press most first."""
        page = await duties.page(actor, states=state or [], cursor=cursor, limit=limit)
        return SystemsDto(items=[_dto(duties, each) for each in page.items], next=page.next)

    @router.get("/video-systems/{system_id}")
    async def read_system(actor: Reader, system_id: str) -> SystemDto:
        """One video system."""
        return _dto(duties, await duties.one(actor, system_id))

    @router.put("/video-systems/{system_id}")
    async def change_system(actor: Keeper, system_id: str, body: ChangedSystemDto) -> SystemDto:
        """It is otherwise from now on."""
        return _dto(duties, await duties.change(actor, system_id, body.wanted(), version=body.version))

    @router.delete("/video-systems/{system_id}", status_code=204, response_class=Response)
    async def remove_system(actor: Keeper, system_id: str) -> None:
        """It is out of use; its forms and receipts stay in the database."""
        await duties.remove(actor, system_id)


def _add_forms(router: APIRouter, register: Register) -> None:
    duties = register.duties

    @router.post("/video-systems/{system_id}/forms", status_code=201)
    async def make_form(actor: Keeper, system_id: str) -> FormDto:
        """Put down what the system is now, to be filed."""
        return FormDto.of(await duties.make_form(actor, system_id))

    @router.get("/video-systems/{system_id}/forms")
    async def list_forms(actor: Reader, system_id: str, cursor: Cursor = "", limit: Limit = 50) -> FormsDto:
        """A system's filing forms, latest first."""
        page = await duties.forms(actor, system_id, cursor=cursor, limit=limit)
        return FormsDto(items=[FormDto.of(each) for each in page.items], next=page.next)

    @router.put("/filing-forms/{form_id}/receipt")
    async def enter_receipt(actor: Keeper, form_id: str, body: ReceiptDto) -> FormDto:
        """The police gave a receipt for it."""
        return FormDto.of(await duties.file(actor, form_id, receipt_no=body.receipt_no, filed_on=body.filed_on))

    @router.get("/filing-forms/{form_id}/form.{kind}", response_class=Response)
    async def download_form(actor: Taker, form_id: str, kind: FormKind) -> Response:
        """The form as a file, or as a page to print."""
        form, spots = await duties.form(actor, form_id)
        await register.exported(actor, Action.READ_DUTIES, f"filing form {form.id}.{kind}")
        if kind is FormKind.HTML:
            content, place = page_of(form, spots).encode(), "inline"
        else:
            content, place = register.as_table(kind, TITLE, HEADER, rows_of(form, spots)), "attachment"
        return Response(
            content,
            media_type=MEDIA_TYPES[kind],
            headers={
                "content-disposition": f'{place}; filename="filing-{form.id}.{kind}"',
                "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
            },
        )
