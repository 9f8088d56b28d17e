"""The tables of video systems and their filing forms, and their queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    Row,
    Select,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from anwang.governance.duties.model import Form, FormId, Regime, Sign, SignId, Snapshot, Spot, System, SystemId
from anwang.governance.scopes import Scope
from anwang.kernel.ids import OrgId
from anwang.stores.state import Json, Moment, Tx, metadata

video_systems = Table(
    "video_systems",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("name", Text, nullable=False),
    Column("org_id", Text, nullable=False),  # the responsible organisation
    Column("org_name", Text, nullable=False),  # copy
    Column("org_path", Text, nullable=False),  # copy; everything below it is the system's equipment
    Column("regime", Text, nullable=False),  # model.Regime
    Column("legal_basis", Text, nullable=False),
    Column("in_use_on", Date, nullable=False),  # civil day
    Column("retention_days", Integer, nullable=False),
    Column("contact", Text, nullable=False),
    Column("version", Integer, nullable=False),  # counts changes
    Column("form_id", Text),  # the newest form with a receipt; NULL: not filed
    Column("created_at", Moment, nullable=False),
    Column("removed_at", Moment),  # NULL: there
)
Index("ix_video_systems_org_id", video_systems.c.org_id)

filing_forms = Table(
    "filing_forms",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("system_id", Text, ForeignKey("video_systems.id"), nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("made_by", Text, nullable=False),  # user name
    Column("filed", Json, nullable=False),  # model.Snapshot
    Column("spots", Json, nullable=False),  # list of unit, address, kind, count; of the moment when it was made
    Column("receipt_no", Text),  # NULL: no receipt yet
    Column("filed_on", Date),  # civil day of the receipt
)
Index("ix_filing_forms_system_id", filing_forms.c.system_id, filing_forms.c.id)

signs = Table(
    "signs",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("system_id", Text, ForeignKey("video_systems.id"), nullable=False),
    Column("place", Text, nullable=False),
    Column("longitude", Float),  # WGS-84 degrees; NULL, both: only the place is known
    Column("latitude", Float),
    Column("wording", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("contact", Text, nullable=False),  # as the sign shows it
    Column("checked_on", Date, nullable=False),  # civil day on which somebody last saw it
    Column("photo_key", Text, nullable=False),  # of an object; "": no photo
    Column("version", Integer, nullable=False),  # counts changes
)
Index("ix_signs_checked_on", signs.c.checked_on, signs.c.id)
Index("ix_signs_system_id", signs.c.system_id)

_FORM: tuple[Column[Any], ...] = (
    filing_forms.c.id,
    filing_forms.c.system_id,
    filing_forms.c.made_at,
    filing_forms.c.made_by,
    filing_forms.c.filed,
    filing_forms.c.receipt_no,
    filing_forms.c.filed_on,
)


def _there(seen_by: Scope) -> Any:
    return and_(video_systems.c.removed_at.is_(None), seen_by.where(video_systems.c.org_path))


def _system(row: Row[Any]) -> System:
    return System(
        id=SystemId(row.id),
        name=row.name,
        org_id=OrgId(row.org_id),
        org_name=row.org_name,
        org_path=row.org_path,
        regime=Regime(row.regime),
        legal_basis=row.legal_basis,
        in_use_on=row.in_use_on,
        retention_days=row.retention_days,
        contact=row.contact,
        version=row.version,
        created_at=row.created_at,
    )


def _values(one: System) -> dict[str, object]:
    return {
        "name": one.name,
        "org_id": one.org_id,
        "org_name": one.org_name,
        "org_path": one.org_path,
        "regime": one.regime.value,
        "legal_basis": one.legal_basis,
        "in_use_on": one.in_use_on,
        "retention_days": one.retention_days,
        "contact": one.contact,
        "version": one.version,
    }


def _form(row: Row[Any]) -> Form:
    filed: Mapping[str, Any] = row.filed
    return Form(
        id=FormId(row.id),
        system_id=SystemId(row.system_id),
        made_at=row.made_at,
        made_by=row.made_by,
        filed=Snapshot(
            name=filed["name"],
            unit=filed["unit"],
            contact=filed["contact"],
            retention_days=filed["retention_days"],
            legal_basis=filed["legal_basis"],
            in_use_on=date.fromisoformat(filed["in_use_on"]),
            places=filed["places"],
        ),
        receipt_no=row.receipt_no or "",
        filed_on=row.filed_on,
    )


async def add_system(tx: Tx, one: System) -> None:
    """Insert a system."""
    await tx.execute(insert(video_systems).values(id=one.id, created_at=one.created_at, **_values(one)))


async def save_system(tx: Tx, one: System) -> None:
    """What has become of it."""
    await tx.execute(update(video_systems).where(video_systems.c.id == one.id).values(**_values(one)))


async def remove_system(tx: Tx, system_id: SystemId, now: datetime) -> None:
    """It is not there any more; its forms stay as evidence."""
    await tx.execute(update(video_systems).where(video_systems.c.id == system_id).values(removed_at=now))


async def system(tx: Tx, system_id: str, *, seen_by: Scope, lock: bool = False) -> System | None:
    """One within the scope."""
    found = select(video_systems).where(video_systems.c.id == system_id, _there(seen_by))
    row = (await tx.execute(found.with_for_update() if lock else found)).first()
    return None if row is None else _system(row)


async def systems(tx: Tx, *, seen_by: Scope) -> list[System]:
    """All within the scope."""
    return [_system(row) for row in await tx.execute(select(video_systems).where(_there(seen_by)))]


async def paths(tx: Tx) -> dict[str, SystemId]:
    """The path of every system, whoever asks: what belongs to which depends on all of them."""
    found = select(video_systems.c.org_path, video_systems.c.id).where(video_systems.c.removed_at.is_(None))
    return {row.org_path: SystemId(row.id) for row in await tx.execute(found)}


async def promised_days(tx: Tx) -> dict[str, int]:
    """For how many days systems keep recordings, by the path of their organisation; the longest of several."""
    found = (
        select(video_systems.c.org_path, func.max(video_systems.c.retention_days))
        .where(video_systems.c.removed_at.is_(None))
        .group_by(video_systems.c.org_path)
    )
    return {row[0]: row[1] for row in await tx.execute(found)}


async def newest_forms(tx: Tx, *, seen_by: Scope) -> dict[SystemId, Form]:
    """The newest forms with a receipt, of the systems within the scope."""
    found: Select[Any] = (
        select(*_FORM).join(video_systems, video_systems.c.form_id == filing_forms.c.id).where(_there(seen_by))
    )
    return {form.system_id: form for form in map(_form, await tx.execute(found))}


async def move_systems(tx: Tx, org_id: str, *, name: str, path: str) -> None:
    """Renew the copies of an organisation's name and path."""
    other = or_(video_systems.c.org_name != name, video_systems.c.org_path != path)
    await tx.execute(
        update(video_systems).where(video_systems.c.org_id == org_id, other).values(org_name=name, org_path=path)
    )


async def organisations(tx: Tx) -> list[OrgId]:
    """Those that answer for a system."""
    found = select(video_systems.c.org_id).where(video_systems.c.removed_at.is_(None)).distinct()
    return [OrgId(row.org_id) for row in await tx.execute(found)]


async def add_form(tx: Tx, one: Form, spots: Sequence[Spot]) -> None:
    """Insert a form as it was made."""
    filed = one.filed
    await tx.execute(
        insert(filing_forms).values(
            id=one.id,
            system_id=one.system_id,
            made_at=one.made_at,
            made_by=one.made_by,
            filed={
                "name": filed.name,
                "unit": filed.unit,
                "contact": filed.contact,
                "retention_days": filed.retention_days,
                "legal_basis": filed.legal_basis,
                "in_use_on": filed.in_use_on.isoformat(),
                "places": {place: dict(devices) for place, devices in filed.places.items()},
            },
            spots=[[each.unit, each.address, each.kind, each.count] for each in spots],
        )
    )


async def form(tx: Tx, form_id: str, *, seen_by: Scope) -> Form | None:
    """One of a system within the scope."""
    found: Select[Any] = (
        select(*_FORM)
        .join(video_systems, video_systems.c.id == filing_forms.c.system_id)
        .where(filing_forms.c.id == form_id, _there(seen_by))
    )
    row = (await tx.execute(found)).first()
    return None if row is None else _form(row)


async def spots_of(tx: Tx, form_id: FormId) -> list[Spot]:
    """Where the devices were when the form was made."""
    found = (await tx.execute(select(filing_forms.c.spots).where(filing_forms.c.id == form_id))).scalar_one()
    return [Spot(unit, address, kind, count) for unit, address, kind, count in found]


async def forms_page(tx: Tx, system_id: str, *, before: str, limit: int) -> list[Form]:
    """A system's forms, latest first, before that id ("" begins)."""
    found: Select[Any] = select(*_FORM).where(filing_forms.c.system_id == system_id)
    if before:
        found = found.where(filing_forms.c.id < before)
    return [_form(row) for row in await tx.execute(found.order_by(filing_forms.c.id.desc()).limit(limit))]


async def put_receipt(tx: Tx, form_id: FormId, *, receipt_no: str, filed_on: date) -> None:
    """The police have it."""
    await tx.execute(
        update(filing_forms).where(filing_forms.c.id == form_id).values(receipt_no=receipt_no, filed_on=filed_on)
    )


async def set_newest(tx: Tx, system_id: SystemId, form_id: FormId) -> None:
    """That form says what is filed."""
    await tx.execute(update(video_systems).where(video_systems.c.id == system_id).values(form_id=form_id))


def _sign(row: Row[Any]) -> Sign:
    return Sign(
        id=SignId(row.id),
        system_id=SystemId(row.system_id),
        system_name=row.system_name,
        place=row.place,
        longitude=row.longitude,
        latitude=row.latitude,
        wording=row.wording,
        language=row.language,
        contact=row.contact,
        checked_on=row.checked_on,
        photo_key=row.photo_key,
        version=row.version,
    )


def _sign_values(one: Sign) -> dict[str, object]:
    return {
        "place": one.place,
        "longitude": one.longitude,
        "latitude": one.latitude,
        "wording": one.wording,
        "language": one.language,
        "contact": one.contact,
        "checked_on": one.checked_on,
        "photo_key": one.photo_key,
        "version": one.version,
    }


def _signs(seen_by: Scope) -> Select[Any]:
    named = select(signs, video_systems.c.name.label("system_name"))
    return named.join(video_systems, video_systems.c.id == signs.c.system_id).where(_there(seen_by))


async def add_sign(tx: Tx, one: Sign) -> None:
    """Insert a sign."""
    await tx.execute(insert(signs).values(id=one.id, system_id=one.system_id, **_sign_values(one)))


async def save_sign(tx: Tx, one: Sign) -> None:
    """What has become of it."""
    await tx.execute(update(signs).where(signs.c.id == one.id).values(**_sign_values(one)))


async def remove_sign(tx: Tx, sign_id: SignId) -> None:
    """It is not there any more."""
    await tx.execute(delete(signs).where(signs.c.id == sign_id))


async def sign(tx: Tx, sign_id: str, *, seen_by: Scope, lock: bool = False) -> Sign | None:
    """One of a system within the scope."""
    found = _signs(seen_by).where(signs.c.id == sign_id)
    row = (await tx.execute(found.with_for_update(of=signs) if lock else found)).first()
    return None if row is None else _sign(row)


async def signs_page(
    tx: Tx, *, seen_by: Scope, system_id: str, since: date | None, after: str, limit: int
) -> list[Sign]:
    """Signs by the day of their check, from that day and, on it, after that id. system_id: "" for all systems."""
    found = _signs(seen_by)
    if system_id:
        found = found.where(signs.c.system_id == system_id)
    if since is not None:
        found = found.where(or_(signs.c.checked_on > since, and_(signs.c.checked_on == since, signs.c.id > after)))
    return [_sign(row) for row in await tx.execute(found.order_by(signs.c.checked_on, signs.c.id).limit(limit))]


async def sign_counts(tx: Tx, *, seen_by: Scope) -> dict[SystemId, int]:
    """How many signs each system within the scope has; those without any are left out."""
    found = (
        select(signs.c.system_id, func.count())
        .join(video_systems, video_systems.c.id == signs.c.system_id)
        .where(_there(seen_by))
        .group_by(signs.c.system_id)
    )
    return {SystemId(row[0]): row[1] for row in await tx.execute(found)}
