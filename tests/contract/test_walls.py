"""Saved layouts and tours of the video wall, over HTTP, on both engines: whose, seen by whom, how many."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from anwang.governance import CITY, Governance, Role
from anwang.media.http.walls import build_router
from anwang.media.walls import MOST_KEPT, saved_wall
from anwang.runtime.clock import FakeClock
from anwang.stores.state import State, metadata
from tests.assembled import build_test_app, client_of
from tests.governed import account, governed, token_of

PEOPLE = {"city.one": CITY, "north.one": "north", "north.two": "north", "south.one": "south"}


class Room:
    """The application and its people."""

    def __init__(self, app: FastAPI, governance: Governance) -> None:
        self.app, self.governance = app, governance

    async def ask(self, who: str, method: str, path: str, body: Any = None, expect: int = 200) -> Any:
        async with client_of(self.app, await token_of(self.governance, who)) as client:
            answer = await client.request(method, f"/api/v1{path}", json=body)
        assert answer.status_code == expect, answer.text
        return answer.json() if answer.content else None

    async def names(self, who: str, of: str = "layouts") -> list[str]:
        return [one["name"] for one in (await self.ask(who, "GET", f"/{of}"))["items"]]


@pytest.fixture
async def room(state: State, tmp_path: Path) -> AsyncIterator[Room]:
    from anwang.media.walls import Walls

    assert saved_wall.metadata is metadata
    async with governed(state, tmp_path / "data", FakeClock()) as governance:
        await governance.seed([account(name, Role.OPERATOR, org) for name, org in PEOPLE.items()])
        await governance.seed([account("admin.one", Role.ADMINISTRATOR)])
        async with build_test_app(governance, tmp_path, routers=[build_router(Walls(state, FakeClock()))]) as app:
            yield Room(app, governance)


def point(n: int) -> str:
    return f"00000000-0000-7000-8000-{n:012d}"


def layout(name: str, *, shared: bool = False, grid: int = 4, points: tuple[int, ...] = (1, 2)) -> dict[str, Any]:
    tiles: list[Any] = [{"point": point(n), "stream": "auto"} for n in points]
    return {"name": name, "grid": grid, "tiles": [*tiles[:1], None, *tiles[1:]], "shared": shared}


async def test_a_layout_is_kept_changed_renamed_and_deleted(room: Room) -> None:
    made = await room.ask("north.one", "PUT", "/layouts", layout("早高峰"))
    assert made["mine"] and made["owner"]["name"] == "north.one" and made["tiles"][1] is None
    again = await room.ask("north.one", "PUT", "/layouts", layout("早高峰", points=(5, 6)))
    assert again["id"] == made["id"] and again["tiles"][2]["point"] == point(6)
    assert await room.ask("north.one", "GET", f"/layouts/{made['id']}") == again
    renamed = await room.ask("north.one", "PUT", f"/layouts/{made['id']}", layout("晚高峰"))
    assert renamed["id"] == made["id"] and await room.names("north.one") == ["晚高峰"]
    await room.ask("north.one", "PUT", "/layouts", layout("另一个"))
    taken = await room.ask("north.one", "PUT", f"/layouts/{made['id']}", layout("另一个"), expect=400)
    assert "另一个" in taken["reason"]
    await room.ask("north.one", "DELETE", f"/layouts/{made['id']}", expect=204)
    await room.ask("north.one", "GET", f"/layouts/{made['id']}", expect=404)
    assert await room.names("north.one") == ["另一个"]


async def test_it_is_ones_own_until_it_is_shared_with_those_beneath(room: Room) -> None:
    own = await room.ask("north.one", "PUT", "/layouts", layout("自己的"))
    await room.ask("north.one", "PUT", "/layouts", layout("本区的", shared=True))
    citys = await room.ask("city.one", "PUT", "/layouts", layout("全市的", shared=True))
    assert set(await room.names("north.one")) == {"自己的", "本区的", "全市的"}
    assert set(await room.names("north.two")) == {"本区的", "全市的"}
    assert await room.names("south.one") == ["全市的"]
    assert await room.names("city.one") == ["全市的"], "a district's walls do not fill the city's list"
    seen = await room.ask("south.one", "GET", f"/layouts/{citys['id']}")
    assert not seen["mine"] and seen["owner"]["name"] == "city.one"
    for method in ("PUT", "DELETE"):
        body = layout("x") if method == "PUT" else None
        await room.ask("south.one", method, f"/layouts/{citys['id']}", body, expect=404)
        await room.ask("north.two", method, f"/layouts/{own['id']}", body, expect=404)
    await room.ask("north.two", "GET", f"/layouts/{own['id']}", expect=404)
    await room.ask("admin.one", "GET", "/layouts", expect=403)


@pytest.mark.parametrize(
    "wrong",
    [
        layout("x", grid=5),
        layout("x", grid=1),
        layout("x", points=(1, 1)),
        layout(" "),
        layout("x" * 61),
        {**layout("x"), "tiles": [{"point": "not an id", "stream": "auto"}]},
        {**layout("x"), "tiles": [{"point": point(1), "stream": "third"}]},
        {**layout("x"), "colour": "red"},
    ],
)
async def test_what_no_wall_could_show_is_refused(room: Room, wrong: dict[str, Any]) -> None:
    await room.ask("north.one", "PUT", "/layouts", wrong, expect=400)
    assert await room.names("north.one") == []


async def test_a_tour_goes_through_layouts(room: Room) -> None:
    first = await room.ask("north.one", "PUT", "/layouts", layout("一", shared=True))
    second = await room.ask("north.one", "PUT", "/layouts", layout("二", shared=True))
    steps = [{"layout": first["id"], "seconds": 10}, {"layout": second["id"], "seconds": 30}]
    made = await room.ask("north.one", "PUT", "/tours", {"name": "巡查", "steps": steps, "shared": True})
    assert made["steps"] == steps and await room.names("north.two", "tours") == ["巡查"]
    assert await room.names("south.one", "tours") == []
    changed = {"name": "巡查", "steps": steps[:1], "shared": False}
    await room.ask("north.two", "PUT", f"/tours/{made['id']}", changed, expect=404)
    assert (await room.ask("north.one", "PUT", f"/tours/{made['id']}", changed))["steps"] == steps[:1]
    assert await room.names("north.two", "tours") == []
    await room.ask("north.one", "GET", f"/layouts/{made['id']}", expect=404)
    for bad in ([], [{"layout": first["id"], "seconds": 4}], [{"layout": "x", "seconds": 10}], steps[:1] * 65):
        await room.ask("north.one", "PUT", "/tours", {"name": "y", "steps": bad, "shared": False}, expect=400)
    await room.ask("north.one", "DELETE", f"/tours/{made['id']}", expect=204)
    assert await room.names("north.one", "tours") == []


async def test_nobody_fills_the_database_and_lists_have_a_cursor(room: Room) -> None:
    async with client_of(room.app, await token_of(room.governance, "north.one")) as client:
        for n in range(MOST_KEPT):
            assert (await client.put("/api/v1/layouts", json=layout(f"第{n}"))).status_code == 200
        full = await client.put("/api/v1/layouts", json=layout("一个太多"))
        assert full.status_code == 429 and "delete" in full.json()["hint"]
        assert (await client.put("/api/v1/layouts", json=layout("第3"))).status_code == 200, "changing goes on"
        seen, cursor = [], ""
        while True:
            page = (await client.get("/api/v1/layouts", params={"limit": 70, "cursor": cursor})).json()
            seen += [one["name"] for one in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert sorted(seen) == sorted(f"第{n}" for n in range(MOST_KEPT))
