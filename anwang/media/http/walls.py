"""Routes of saved walls: layouts and tours, one's own and those shared in the organisation."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from anwang.governance import Action, Actor, Cursor, Limit, NamedDto, Shape, allow
from anwang.kernel.errors import Internal
from anwang.kernel.ids import PointId, parse_uuid
from anwang.media.walls import (
    LONGEST_SECONDS,
    MOST_STEPS,
    SHORTEST_SECONDS,
    Kept,
    LayoutBody,
    Saved,
    Step,
    Tile,
    TourBody,
    Walls,
)

Watcher = Annotated[Actor, allow(Action.VIEW_LIVE)]
Name = Annotated[str, Field(min_length=1, max_length=60)]


class TileDto(Shape):
    """What stands on a tile. stream auto: the wall chooses by its grid."""

    point: str
    stream: Literal["main", "sub", "auto"]


class NewLayoutDto(Shape):
    """A grid (1, 4, 6, 8, 9, 16) and its tiles; null: an empty one. shared: with one's organisation."""

    name: Name
    grid: int
    tiles: list[TileDto | None] = Field(max_length=16)
    shared: bool = False


class LayoutDto(Shape):
    """A saved layout. mine: one may change it."""

    id: str
    name: str
    grid: int
    tiles: list[TileDto | None]
    shared: bool
    owner: NamedDto
    mine: bool


class LayoutsDto(Shape):
    """By id, oldest first."""

    items: list[LayoutDto]
    next: str | None


class StepDto(Shape):
    """A layout of a tour, and the seconds it stays."""

    layout: str
    seconds: int = Field(ge=SHORTEST_SECONDS, le=LONGEST_SECONDS)


class NewTourDto(Shape):
    """Layouts one after another. shared: with one's organisation, which needs its layouts shared as well."""

    name: Name
    steps: list[StepDto] = Field(min_length=1, max_length=MOST_STEPS)
    shared: bool = False


class TourDto(Shape):
    """A saved tour. mine: one may change it."""

    id: str
    name: str
    steps: list[StepDto]
    shared: bool
    owner: NamedDto
    mine: bool


class ToursDto(Shape):
    """By id, oldest first."""

    items: list[TourDto]
    next: str | None


def build_router(walls: Walls) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["walls"])

    @router.get("/layouts")
    async def list_layouts(actor: Watcher, cursor: Cursor = "", limit: Limit = 200) -> LayoutsDto:
        """One's own layouts and those shared with one."""
        found = await walls.page(actor, Kept.LAYOUT, limit=limit + 1, after=cursor)
        return LayoutsDto(items=[_layout(one, actor) for one in found[:limit]], next=_next(found, limit))

    @router.get("/layouts/{layout_id}")
    async def read_layout(actor: Watcher, layout_id: str) -> LayoutDto:
        """One layout."""
        return _layout(await walls.get(actor, Kept.LAYOUT, parse_uuid(layout_id)), actor)

    @router.put("/layouts")
    async def save_layout(actor: Watcher, wanted: NewLayoutDto) -> LayoutDto:
        """Keep a layout under its name; one's own of that name is written anew."""
        return _layout(await walls.save(actor, wanted.name, _body(wanted), is_shared=wanted.shared), actor)

    @router.put("/layouts/{layout_id}")
    async def change_layout(actor: Watcher, layout_id: str, wanted: NewLayoutDto) -> LayoutDto:
        """Change one's own layout, its name too."""
        id = parse_uuid(layout_id)
        return _layout(await walls.save(actor, wanted.name, _body(wanted), is_shared=wanted.shared, id=id), actor)

    @router.delete("/layouts/{layout_id}", status_code=204)
    async def delete_layout(actor: Watcher, layout_id: str) -> None:
        """Delete one's own layout; tours pass over it."""
        await walls.delete(actor, Kept.LAYOUT, parse_uuid(layout_id))

    @router.get("/tours")
    async def list_tours(actor: Watcher, cursor: Cursor = "", limit: Limit = 200) -> ToursDto:
        """One's own tours and those shared with one."""
        found = await walls.page(actor, Kept.TOUR, limit=limit + 1, after=cursor)
        return ToursDto(items=[_tour(one, actor) for one in found[:limit]], next=_next(found, limit))

    @router.put("/tours")
    async def save_tour(actor: Watcher, wanted: NewTourDto) -> TourDto:
        """Keep a tour under its name; one's own of that name is written anew."""
        return _tour(await walls.save(actor, wanted.name, _steps(wanted), is_shared=wanted.shared), actor)

    @router.put("/tours/{tour_id}")
    async def change_tour(actor: Watcher, tour_id: str, wanted: NewTourDto) -> TourDto:
        """Change one's own tour, its name too."""
        id = parse_uuid(tour_id)
        return _tour(await walls.save(actor, wanted.name, _steps(wanted), is_shared=wanted.shared, id=id), actor)

    @router.delete("/tours/{tour_id}", status_code=204)
    async def delete_tour(actor: Watcher, tour_id: str) -> None:
        """Delete one's own tour."""
        await walls.delete(actor, Kept.TOUR, parse_uuid(tour_id))

    return router


def _next(found: list[Saved], limit: int) -> str | None:
    return found[limit - 1].id if len(found) > limit else None


def _body(wanted: NewLayoutDto) -> LayoutBody:
    tiles = (
        None if tile is None else Tile(point=PointId(parse_uuid(tile.point)), stream=tile.stream)
        for tile in wanted.tiles
    )
    return LayoutBody(grid=wanted.grid, tiles=tuple(tiles))


def _steps(wanted: NewTourDto) -> TourBody:
    return TourBody(steps=tuple(Step(layout=parse_uuid(one.layout), seconds=one.seconds) for one in wanted.steps))


def _layout(one: Saved, actor: Actor) -> LayoutDto:
    if not isinstance(one.body, LayoutBody):
        raise Internal(f"{one.id} is no layout")
    tiles = [
        None if tile is None else TileDto(point=tile.point, stream=tile.stream)  # type: ignore[arg-type]  # as checked
        for tile in one.body.tiles
    ]
    return LayoutDto(
        id=one.id,
        name=one.name,
        grid=one.body.grid,
        tiles=tiles,
        shared=one.is_shared,
        owner=NamedDto(id=one.owner, name=one.owner_name),
        mine=one.owner == actor.user_id,
    )


def _tour(one: Saved, actor: Actor) -> TourDto:
    if not isinstance(one.body, TourBody):
        raise Internal(f"{one.id} is no tour")
    return TourDto(
        id=one.id,
        name=one.name,
        steps=[StepDto(layout=step.layout, seconds=step.seconds) for step in one.body.steps],
        shared=one.is_shared,
        owner=NamedDto(id=one.owner, name=one.owner_name),
        mine=one.owner == actor.user_id,
    )
