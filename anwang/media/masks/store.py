"""The table of privacy masks, and its queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, Index, Integer, Row, Table, Text, delete, insert, select

from anwang.kernel.ids import PointId
from anwang.media.masks.model import Mask, MaskId
from anwang.stores.state import Json, Moment, Tx, metadata

masks = Table(
    "masks",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("point_id", Text, nullable=False),  # whose picture; the registry's id
    Column("place", Integer, nullable=False),  # in the order in which they are listed, from 0
    Column("preset", Integer),  # the stored view it belongs to, 1..255; NULL: it belongs to every view
    Column("name", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("polygon", Json, nullable=False),  # [[x, y], …] in ten-thousandths of width and height
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),  # user name, a copy
    Column("changed_at", Moment, nullable=False),
    Column("changed_by", Text, nullable=False),  # user name, a copy
)
Index("ix_masks_point_id", masks.c.point_id, masks.c.place)


async def every(tx: Tx) -> list[Mask]:
    """All masks of all points: what the program must cover, whoever looks."""
    rows = (await tx.execute(select(masks).order_by(masks.c.point_id, masks.c.place))).all()
    return [_mask(row) for row in rows]


async def of_point(tx: Tx, point: PointId, *, lock: bool = False) -> list[Mask]:
    """A point's masks in their order."""
    query = select(masks).where(masks.c.point_id == point).order_by(masks.c.place)
    return [_mask(row) for row in (await tx.execute(query.with_for_update() if lock else query)).all()]


async def replace(tx: Tx, point: PointId, wanted: Sequence[Mask]) -> None:
    """These are the point's masks now."""
    await tx.execute(delete(masks).where(masks.c.point_id == point))
    if wanted:
        await tx.execute(insert(masks), list(_rows(wanted)))


def _rows(wanted: Sequence[Mask]) -> Iterable[dict[str, Any]]:
    for place, mask in enumerate(wanted):
        yield {
            "id": mask.id,
            "point_id": mask.point,
            "place": place,
            "preset": mask.preset,
            "name": mask.name,
            "why": mask.why,
            "polygon": [list(vertex) for vertex in mask.polygon],
            "created_at": mask.created_at,
            "created_by": mask.created_by,
            "changed_at": mask.changed_at,
            "changed_by": mask.changed_by,
        }


def _mask(row: Row[Any]) -> Mask:
    return Mask(
        id=MaskId(row.id),
        point=PointId(row.point_id),
        preset=row.preset,
        name=row.name,
        why=row.why,
        polygon=tuple((x, y) for x, y in row.polygon),
        created_at=row.created_at,
        created_by=row.created_by,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
    )
