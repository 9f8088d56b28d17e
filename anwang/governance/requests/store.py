"""The table of requests and complaints, and its queries."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    Row,
    Select,
    Table,
    Text,
    and_,
    func,
    insert,
    or_,
    select,
    update,
)

from anwang.governance.requests.model import (
    CLOSED,
    Channel,
    Ground,
    Place,
    Refusal,
    Request,
    RequestId,
    RequestKind,
    RequestState,
)
from anwang.governance.scopes import Scope
from anwang.kernel.ids import OrgId, UserId
from anwang.kernel.times import Span, from_micros
from anwang.stores.state import Json, Moment, Tx, metadata

requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("number", Text, nullable=False),  # the case number
    Column("kind", Text, nullable=False),  # model.RequestKind
    Column("org_id", Text, nullable=False),  # the unit that handles it
    Column("org_name", Text, nullable=False),  # copy
    Column("org_path", Text, nullable=False),  # copy
    Column("received_on", Date, nullable=False),  # civil day
    Column("due_on", Date, nullable=False),  # civil day, the last one
    Column("channel", Text, nullable=False),  # model.Channel
    Column("ground", Text),  # model.Ground; NULL: a complaint
    Column("what", Text, nullable=False),
    Column("place", Text, nullable=False),  # where it happened; "": not said
    Column("start_at", Moment),  # when it happened, [start_at, end_at); NULL, both: not said
    Column("end_at", Moment),
    Column("sealed_asker", LargeBinary),  # name and contact, sealed; NULL: deleted
    Column("handler_id", Text, nullable=False),  # user who deals with it
    Column("handler", Text, nullable=False),  # copy of their user name
    Column("state", Text, nullable=False),  # model.RequestState
    Column("identity", Text, nullable=False),  # how it was proved who asks
    Column("identified_by", Text, nullable=False),  # user name
    Column("places", Json, nullable=False),  # list of point, start and end in µs
    Column("export_id", Text, nullable=False),  # of the redacted copy; "": none
    Column("how", Text, nullable=False),  # it is handed over
    Column("proposed_by", Text, nullable=False),  # user name
    Column("decided_by", Text, nullable=False),  # user name of the second officer
    Column("reason", Text),  # model.Refusal; NULL: not refused
    Column("answer", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("closed_at", Moment),  # NULL: open
    Column("version", Integer, nullable=False),  # counts changes
)
Index("ix_requests_org_path", requests.c.org_path, requests.c.id)
Index("ix_requests_state", requests.c.state, requests.c.due_on)

_COLUMNS: tuple[Column[Any], ...] = tuple(column for column in requests.c if column.name != "sealed_asker")


def _values(one: Request) -> dict[str, object]:
    return {
        "handler_id": one.handler_id,
        "handler": one.handler,
        "state": one.state.value,
        "identity": one.identity,
        "identified_by": one.identified_by,
        "places": [[each.point, each.span.start, each.span.end] for each in one.places],
        "export_id": one.export_id,
        "how": one.how,
        "proposed_by": one.proposed_by,
        "decided_by": one.decided_by,
        "reason": None if one.reason is None else one.reason.value,
        "answer": one.answer,
        "closed_at": one.closed_at,
        "version": one.version,
    }


async def add(tx: Tx, one: Request, sealed_asker: bytes) -> None:
    """Insert one."""
    await tx.execute(
        insert(requests).values(
            id=one.id,
            number=one.number,
            kind=one.kind.value,
            org_id=one.org_id,
            org_name=one.org_name,
            org_path=one.org_path,
            received_on=one.received_on,
            due_on=one.due_on,
            channel=one.channel.value,
            ground=None if one.ground is None else one.ground.value,
            what=one.what,
            place=one.place,
            start_at=one.start_at,
            end_at=one.end_at,
            sealed_asker=sealed_asker,
            created_at=one.created_at,
            **_values(one),
        )
    )


async def save(tx: Tx, one: Request) -> None:
    """What has become of it."""
    await tx.execute(update(requests).where(requests.c.id == one.id).values(**_values(one)))


def _found(seen_by: Scope) -> Select[Any]:
    has_asker = requests.c.sealed_asker.is_not(None).label("has_asker")
    return select(*_COLUMNS, has_asker).where(seen_by.where(requests.c.org_path))


async def get(tx: Tx, request_id: str, *, seen_by: Scope, lock: bool = False) -> Request | None:
    """One within the scope."""
    found = _found(seen_by).where(requests.c.id == request_id)
    row = (await tx.execute(found.with_for_update() if lock else found)).first()
    return None if row is None else _request(row)


async def page(
    tx: Tx,
    *,
    seen_by: Scope,
    kind: RequestKind | None,
    states: Collection[RequestState],
    overdue_on: date | None,
    after: tuple[bool, date, str] | None,
    limit: int,
) -> list[Request]:
    """Those within the scope: open ones first, then what is due first. kind, states: None and empty for all.
    overdue_on: only what is overdue on that day. after: closed, due day and id of the last one seen.
    """
    is_closed = requests.c.state.in_(_closed())
    found = _found(seen_by)
    if kind is not None:
        found = found.where(requests.c.kind == kind.value)
    if states:
        found = found.where(requests.c.state.in_(sorted(state.value for state in states)))
    if overdue_on is not None:
        found = found.where(~is_closed, requests.c.due_on < overdue_on)
    if after is not None:
        was_closed, due, last = after
        later = or_(requests.c.due_on > due, and_(requests.c.due_on == due, requests.c.id > last))
        found = found.where(and_(is_closed, later) if was_closed else or_(is_closed, later))
    ordered = found.order_by(is_closed, requests.c.due_on, requests.c.id).limit(limit)
    return [_request(row) for row in await tx.execute(ordered)]


async def sealed_asker(tx: Tx, request_id: str) -> bytes | None:
    """Who asked, sealed; None where it was deleted. Of a request that was found by `get`."""
    found = select(requests.c.sealed_asker).where(requests.c.id == request_id)
    return (await tx.execute(found)).scalar_one_or_none()


async def forget_askers(tx: Tx, closed_before: datetime) -> int:
    """Who asked what was closed before then is deleted; how many."""
    old = and_(requests.c.closed_at < closed_before, requests.c.sealed_asker.is_not(None))
    return (await tx.execute(update(requests).where(old).values(sealed_asker=None))).rowcount


async def overdue(tx: Tx, today: date) -> int:
    """How many are, whoever handles them."""
    found = select(func.count()).where(requests.c.state.not_in(_closed()), requests.c.due_on < today)
    return int((await tx.execute(found)).scalar_one())


async def counts(tx: Tx, *, seen_by: Scope, span: Span) -> dict[tuple[str, ...], int]:
    """How many of each kind came in a span, by what became of them."""
    columns = (requests.c.kind, requests.c.state)
    found = (
        select(*columns, func.count().label("number"))
        .where(
            requests.c.created_at >= from_micros(span.start),
            requests.c.created_at < from_micros(span.end),
            seen_by.where(requests.c.org_path),
        )
        .group_by(*columns)
    )
    return {(row.kind, row.state): row.number for row in await tx.execute(found)}


async def every_asker(tx: Tx) -> dict[str, bytes]:
    """All that are kept, sealed: for a new master key."""
    found = select(requests.c.id, requests.c.sealed_asker).where(requests.c.sealed_asker.is_not(None))
    return {row.id: row.sealed_asker for row in await tx.execute(found)}


async def put_asker(tx: Tx, request_id: str, sealed: bytes) -> None:
    """Sealed anew."""
    await tx.execute(update(requests).where(requests.c.id == request_id).values(sealed_asker=sealed))


async def organisations(tx: Tx) -> list[OrgId]:
    """Those that handle one."""
    return [OrgId(row.org_id) for row in await tx.execute(select(requests.c.org_id).distinct())]


async def move(tx: Tx, org_id: str, *, name: str, path: str) -> None:
    """Renew the copies of an organisation's name and path."""
    other = or_(requests.c.org_name != name, requests.c.org_path != path)
    await tx.execute(update(requests).where(requests.c.org_id == org_id, other).values(org_name=name, org_path=path))


def _closed() -> list[str]:
    return sorted(state.value for state in CLOSED)


def _request(row: Row[Any]) -> Request:
    return Request(
        id=RequestId(row.id),
        number=row.number,
        kind=RequestKind(row.kind),
        org_id=OrgId(row.org_id),
        org_name=row.org_name,
        org_path=row.org_path,
        received_on=row.received_on,
        due_on=row.due_on,
        channel=Channel(row.channel),
        ground=None if row.ground is None else Ground(row.ground),
        what=row.what,
        place=row.place,
        start_at=row.start_at,
        end_at=row.end_at,
        handler_id=UserId(row.handler_id),
        handler=row.handler,
        state=RequestState(row.state),
        created_at=row.created_at,
        has_asker=row.has_asker,
        identity=row.identity,
        identified_by=row.identified_by,
        places=tuple(Place(point=point, span=Span(start, end)) for point, start, end in row.places),
        export_id=row.export_id,
        how=row.how,
        proposed_by=row.proposed_by,
        decided_by=row.decided_by,
        reason=None if row.reason is None else Refusal(row.reason),
        answer=row.answer,
        closed_at=row.closed_at,
        version=row.version,
    )
