"""What rights cost a query: the same questions with and without a scope, on a city's points.

    python -m benchmarks.rights [--points 580000] [--organisations 2000]

Points lie in organisations of three levels, drawn with a fixed seed. Each question is asked of the registry with
everything in sight and with a scope, in turns: A B B A. The scopes are a district (a tenth of the city); a district's
cameras of class I and II in one network zone; and five such areas at once, of different kinds. What a scope sees is
kept until a point changes; "after a change" tells what the first question costs then. Gate, before any time counts: a
scope's counts and pages hold exactly what a plain loop over all points finds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from anwang.governance import EVERYTHING, Area, Object, Scope
from anwang.kernel.ids import OrgId, uuid7
from anwang.registry import Organisation, OrgKind, PointFilter, PointKind, Registry
from anwang.registry.text import search_text
from anwang.runtime.clock import SystemClock
from anwang.stores.state import State, metadata
from benchmarks.ratio import Row, of_pairs

KINDS = ("camera", "camera", "camera", "camera", "sensor", "checkpoint")
ZONES = ("video", "internet")
PAIRS = 40
AFTER_A_CHANGE = "a page of 50 cameras, after a change"
DISTRICTS = 10


def organisations(amount: int) -> list[Organisation]:
    """Ten districts, and below each its share of stations."""
    made = []
    for number in range(DISTRICTS):
        district = f"d{number}"
        path = f"/{district}/"
        made.append(_organisation(district, "city", path, OrgKind.DISTRICT))
        for below in range(amount // DISTRICTS - 1):
            station = f"{district}-{below}"
            made.append(_organisation(station, district, f"{path}{station}/", OrgKind.TOWN))
    return made


def _organisation(org: str, parent: str, path: str, kind: OrgKind) -> Organisation:
    return Organisation(id=OrgId(org), name=org, kind=kind, parent=OrgId(parent), org_path=path)


def objects(amount: int, places: list[Organisation]) -> list[Object]:
    """What rights depend on, of each point."""
    dice = random.Random(7)
    return [
        Object(
            uuid7(1_700_000_000_000 + number),
            dice.choice(places).org_path,
            department=dice.choice(("0101", "0102", "0201/0101", "")),
            point_class=dice.choice((1, 2, 3, 3, 3)),
            kind=dice.choice(KINDS),
            zone=dice.choice(ZONES),
        )
        for number in range(amount)
    ]


def fill(path: Path, points: list[Object]) -> None:
    """Write the points into the state database as plain rows."""
    dice = random.Random(8)
    database = sqlite3.connect(path)
    rows = (
        (
            number, one.id, f"{number:020d}", f"点位{number}",
            search_text(f"点位{number}", f"{number:020d}", "", ""), one.kind, one.point_class, "in_use",
            117.2 + dice.gauss(0, 0.1), 39.1 + dice.gauss(0, 0.1), one.org_path.split("/")[-2], one.org_path,
            one.department or None, one.zone, 0, "[]", "main", "{}", "", 1, 0, 0, 0,
        )
        for number, one in enumerate(points)
    )  # fmt: skip
    columns = (
        "ix, id, code, name, search, kind, point_class, lifecycle, longitude, latitude, org_id, org_path, department,"
        " zone, ptz, may_see, streams, file, row_hash, version, batch, created_at, updated_at"
    )
    marks = ",".join("?" * 23)
    with database:
        database.executemany(f"INSERT INTO points ({columns}) VALUES ({marks})", rows)
    database.close()


def scopes() -> list[tuple[str, Scope]]:
    """By what they are called."""
    narrow = Area("/d1/", classes=frozenset({1, 2}), kinds=frozenset({"camera"}), zones=frozenset({"video"}))
    five = (
        Area("/d1/"),
        narrow,
        Area("/d2/", departments=frozenset({"0101"})),
        Area("/d3/", kinds=frozenset({"sensor", "checkpoint"})),
        Area("/", classes=frozenset({1})),
    )
    return [("a district", Scope.below("/d1/")), ("a narrowed district", Scope((narrow,))), ("five areas", Scope(five))]


async def check(registry: Registry, points: list[Object], scope: Scope) -> int:
    """The gate: how many points the scope covers. Raises AssertionError where an answer is not exactly those."""
    seen = [one for one in points if scope.covers(one)]
    assert registry.counts(scope).all.total == len(seen)
    page = await registry.points(scope, PointFilter(), limit=1000)
    assert [view.point.id for view in page.items] == [one.id for one in seen[:1000]]
    cameras = await registry.points(scope, PointFilter(kinds=frozenset({PointKind.CAMERA})), limit=1000)
    assert [view.point.id for view in cameras.items] == [one.id for one in seen if one.kind == "camera"][:1000]
    return len(seen)


async def turns(
    ours: Callable[[], Awaitable[object]], peer: Callable[[], Awaitable[object]]
) -> tuple[list[float], list[float]]:
    """Seconds of both, A B B A."""
    mine: list[float] = []
    theirs: list[float] = []
    for number in range(PAIRS):
        order = ((mine, ours), (theirs, peer))
        for kept, ask in order if number % 2 == 0 else order[::-1]:
            begun = time.process_time()
            await ask()
            kept.append(time.process_time() - begun)
    return mine, theirs


async def run(points: int, orgs: int) -> list[Row]:
    """All questions of all scopes."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-rights-") as folder:
        path = Path(folder) / "state.db"
        state = await State.open(f"sqlite:///{path}")
        try:
            async with state.begin() as tx:
                await tx.run_sync(metadata.create_all)
            registry = Registry(state=state, clock=SystemClock(), folder=Path(folder) / "registry")
            await registry.load()
            places = organisations(orgs)
            await registry.put_organisations(places)
            made = objects(points, places)
            fill(path, made)
            registry = Registry(state=state, clock=SystemClock(), folder=Path(folder) / "registry")
            await registry.load()
            for name, scope in scopes():
                covered = await check(registry, made, scope)
                gate = f"{covered:,} of {points:,} points, exactly those that a plain loop finds"
                for what, ask in questions(registry):
                    ratio = of_pairs(
                        *await turns(lambda ask=ask, scope=scope: ask(scope), lambda ask=ask: ask(EVERYTHING))
                    )
                    rows.append(
                        Row(
                            what=f"{what}, {name}",
                            ours=f"{ratio.ours * 1000:.2f} ms",
                            peer=f"{ratio.peer * 1000:.2f} ms, everything in sight",
                            ratio=str(ratio),
                            target="" if what == AFTER_A_CHANGE else "<= 1.3",
                            holds=None if what == AFTER_A_CHANGE else ratio.high <= 1.3,
                            gate=gate,
                        )
                    )
        finally:
            await state.close()
    return rows


def questions(registry: Registry) -> list[tuple[str, Callable[[Scope], Awaitable[object]]]]:
    """What is asked, by its name."""
    cameras = PointFilter(kinds=frozenset({PointKind.CAMERA}))

    async def page(scope: Scope) -> object:
        return await registry.points(scope, cameras, limit=50)

    async def search(scope: Scope) -> object:
        return await registry.search(scope, "点位4711", limit=10)

    async def states(scope: Scope) -> object:
        return registry.states_in(scope, cameras, 1000)

    async def anew(scope: Scope) -> object:
        registry.columns.version += 1
        return await registry.points(scope, cameras, limit=50)

    return [
        ("a page of 50 cameras", page),
        ("a search", search),
        ("states of 1,000 cameras", states),
        (AFTER_A_CHANGE, anew),
    ]


def measure(quick: bool) -> list[Row]:
    """Authorised queries beside unscoped ones."""
    return asyncio.run(run(20_000 if quick else 580_000, 200 if quick else 2_000))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=580_000)
    parser.add_argument("--organisations", type=int, default=2_000)
    chosen = parser.parse_args()
    for row in asyncio.run(run(chosen.points, chosen.organisations)):
        print(row)
