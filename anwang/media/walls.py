"""What people keep of the video wall: layouts (a grid and its tiles) and tours (layouts one after another, 轮巡).

Each belongs to the person who saved it. Shared, the people of that person's organisation and of all beneath it may use
it, too; only its owner changes it. It holds ids of points, never pictures: who opens it sees what they may see anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Index, Row, Table, Text, UniqueConstraint

from anwang.governance import Actor
from anwang.kernel.errors import Exhausted, Invalid, NotFound
from anwang.kernel.ids import PointId, UserId, parse_uuid, uuid7
from anwang.runtime.clock import Clock
from anwang.stores.state import Json, Moment, State, Tx, metadata

GRIDS = (1, 4, 6, 8, 9, 16)
MOST_KEPT = 200
"""Layouts, and tours, of one person."""
MOST_STEPS = 64
SHORTEST_SECONDS, LONGEST_SECONDS = 5, 3600

saved_wall = Table(
    "saved_wall",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("kind", Text, nullable=False),  # Kept
    Column("owner_id", Text, nullable=False),  # user who saved it, and alone may change it
    Column("owner_name", Text, nullable=False),  # copy of their name when it was last saved
    Column("org_path", Text, nullable=False),  # their organisation then: it and those beneath see what is shared
    Column("name", Text, nullable=False),
    Column("is_shared", Boolean, nullable=False),
    Column("body", Json, nullable=False),  # LayoutBody or TourBody
    Column("changed_at", Moment, nullable=False),
    UniqueConstraint("owner_id", "kind", "name"),
)
Index("ix_saved_wall_org_path", saved_wall.c.kind, saved_wall.c.org_path)


class Kept(StrEnum):
    """What is kept."""

    LAYOUT = "layout"
    TOUR = "tour"


class Tile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands on a tile. stream: main, sub, or auto (the wall chooses by its grid)."""

    point: PointId
    stream: str = "auto"


class LayoutBody(msgspec.Struct, frozen=True, kw_only=True):
    """A grid and what stands on its tiles; None: an empty one."""

    grid: int
    tiles: tuple[Tile | None, ...]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A layout of a tour and how long it stays."""

    layout: str
    seconds: int


class TourBody(msgspec.Struct, frozen=True, kw_only=True):
    """Layouts in their order; after the last comes the first."""

    steps: tuple[Step, ...]


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """A layout or tour as somebody saved it."""

    id: str
    kind: Kept
    owner: UserId
    owner_name: str
    name: str
    is_shared: bool
    body: LayoutBody | TourBody


def check_layout(body: LayoutBody) -> LayoutBody:
    """The same. Raises Invalid."""
    if body.grid not in GRIDS:
        raise Invalid(f"there is no grid of {body.grid}", f"choose one of {', '.join(map(str, GRIDS))}")
    if len(body.tiles) > body.grid:
        raise Invalid(f"a grid of {body.grid} has no room for {len(body.tiles)} tiles")
    points = [parse_uuid(tile.point) for tile in body.tiles if tile is not None]
    if len(points) != len(set(points)):
        raise Invalid("a point stands twice in the layout", "leave one of them out")
    return body


def check_tour(body: TourBody) -> TourBody:
    """The same. Raises Invalid."""
    if not 1 <= len(body.steps) <= MOST_STEPS:
        raise Invalid(f"a tour has 1 to {MOST_STEPS} steps")
    for step in body.steps:
        parse_uuid(step.layout)
        if not SHORTEST_SECONDS <= step.seconds <= LONGEST_SECONDS:
            raise Invalid(f"a step stays {SHORTEST_SECONDS} to {LONGEST_SECONDS} seconds, not {step.seconds}")
    return body


class Walls:
    """Use cases on saved walls."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    async def page(self, actor: Actor, kind: Kept, *, limit: int, after: str = "") -> list[Saved]:
        """One's own and those shared with one, by id. after: the last id of the page before."""
        query = (
            sa.select(saved_wall)
            .where(saved_wall.c.kind == kind.value, saved_wall.c.id > after, _seen_by(actor))
            .order_by(saved_wall.c.id)
            .limit(limit)
        )
        async with self._state.read() as tx:
            return [_saved(row) for row in (await tx.execute(query)).all()]

    async def get(self, actor: Actor, kind: Kept, id: str) -> Saved:
        """One of them. Raises NotFound."""
        query = sa.select(saved_wall).where(saved_wall.c.id == id, saved_wall.c.kind == kind.value, _seen_by(actor))
        async with self._state.read() as tx:
            row = (await tx.execute(query)).first()
        if row is None:
            raise NotFound(f"there is no {kind.value} {id[:64]}", "it may have been deleted, or is no longer shared")
        return _saved(row)

    async def save(
        self, actor: Actor, name: str, body: LayoutBody | TourBody, *, is_shared: bool, id: str = ""
    ) -> Saved:
        """Keep it: one's own of that id, or without one that of that name, is written anew.

        Raises Invalid, NotFound (no own one has that id), Exhausted.
        """
        kind = Kept.LAYOUT if isinstance(body, LayoutBody) else Kept.TOUR
        if isinstance(body, LayoutBody):
            check_layout(body)
        else:
            check_tour(body)
        name = name.strip()
        if not name:
            raise Invalid(f"the {kind.value} has no name")
        async with self._state.begin() as tx:
            mine = (saved_wall.c.owner_id == actor.user_id) & (saved_wall.c.kind == kind.value)
            rows = (await tx.execute(sa.select(saved_wall.c.id, saved_wall.c.name).where(mine).with_for_update())).all()
            names = {row.name: row.id for row in rows}
            if id and id not in names.values():
                raise NotFound(f"you have no {kind.value} {id[:64]}", "save it under a name of your own")
            if id and names.get(name, id) != id:
                raise Invalid(f"another {kind.value} of yours is called {name}", "choose another name")
            known = id or names.get(name, "")
            if not known and len(rows) >= MOST_KEPT:
                raise Exhausted(f"you keep {MOST_KEPT} of them already", "delete one that is not needed")
            return await self._write(tx, actor, known, kind, name, body, is_shared)

    async def _write(
        self,
        tx: Tx,
        actor: Actor,
        known: str,
        kind: Kept,
        name: str,
        body: LayoutBody | TourBody,
        is_shared: bool,
    ) -> Saved:
        values = {
            "owner_name": actor.display_name,
            "org_path": actor.org_path,
            "name": name,
            "is_shared": is_shared,
            "body": msgspec.to_builtins(body),
            "changed_at": self._clock.now(),
        }
        own = {"kind": kind.value, "owner_id": actor.user_id}
        made = known or uuid7(self._clock.micros() // 1000)
        if known:
            await tx.execute(sa.update(saved_wall).where(saved_wall.c.id == known).values(**values))
        else:
            await tx.execute(sa.insert(saved_wall).values(id=made, **own, **values))
        return Saved(
            id=made,
            kind=kind,
            owner=actor.user_id,
            owner_name=actor.display_name,
            name=name,
            is_shared=is_shared,
            body=body,
        )

    async def delete(self, actor: Actor, kind: Kept, id: str) -> None:
        """One's own; tours that name a deleted layout pass over it. Raises NotFound."""
        where = (saved_wall.c.id == id) & (saved_wall.c.kind == kind.value) & (saved_wall.c.owner_id == actor.user_id)
        async with self._state.begin() as tx:
            found = (await tx.execute(sa.delete(saved_wall).where(where).returning(saved_wall.c.id))).all()
        if not found:
            raise NotFound(f"you have no {kind.value} {id[:64]}", "only who saved it may delete it")


def _above(org_path: str) -> Sequence[str]:
    """The paths of an organisation and all above it: /a/b/ → /, /a/, /a/b/."""
    return [org_path[: at + 1] for at, letter in enumerate(org_path) if letter == "/"]


def _seen_by(actor: Actor) -> sa.ColumnElement[bool]:
    shared = saved_wall.c.is_shared & saved_wall.c.org_path.in_(_above(actor.org_path))
    return (saved_wall.c.owner_id == actor.user_id) | shared


def _saved(row: Row[Any]) -> Saved:
    kind = Kept(row.kind)
    body: LayoutBody | TourBody = (
        msgspec.convert(row.body, LayoutBody) if kind is Kept.LAYOUT else msgspec.convert(row.body, TourBody)
    )
    return Saved(
        id=row.id,
        kind=kind,
        owner=UserId(row.owner_id),
        owner_name=row.owner_name,
        name=row.name,
        is_shared=row.is_shared,
        body=body,
    )
