"""Holds through the API: placed, seen on the axis, let go; each a row in the ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from anwang.app.marks import AxisMarks
from anwang.governance import Holds, Object
from anwang.kernel.times import Span, from_micros, rfc3339
from anwang.media.http import holds
from anwang.media.signals import Signals
from anwang.media.timeline import Timeline
from anwang.web.api import build_api
from anwang.web.health import Health
from tests.archive import Archive, owned, where
from tests.governed import token_of
from tests.recordings import POINT, START_US

HOUR_US = 3_600_000_000


@pytest.fixture
def placed(archive: Archive) -> Holds:
    return Holds(state=archive.main, ledger=archive.governance.ledger, clock=archive.clock)


async def asking(archive: Archive, placed: Holds, role: str) -> httpx.AsyncClient:
    app = build_api(
        governance=archive.governance,
        routers=[holds.build_router(holds.Kept(holds=placed, where=where, owned=owned))],
        health=Health(clock=archive.clock),
        metrics=CollectorRegistry(),
        describe=list,
    )
    headers = {"authorization": f"Bearer {await token_of(archive.governance, f'{role}.one')}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://site/api/v1", headers=headers)


async def test_a_hold_is_placed_shown_and_let_go(archive: Archive, placed: Holds) -> None:
    wanted: dict[str, Any] = {
        "point": POINT,
        "start": rfc3339(from_micros(START_US)),
        "end": rfc3339(from_micros(START_US + HOUR_US)),
        "reason": "case 17",
        "review_at": rfc3339(archive.clock.now() + timedelta(days=30)),
    }
    timeline = Timeline(
        index=archive.index,
        plans=archive.plans,
        clock=archive.clock,
        growing=archive.live,
        marks=AxisMarks(Signals(archive.media, archive.clock, wake=lambda point: None), placed.within),
    )
    span = Span(START_US - HOUR_US, START_US + HOUR_US)
    async with await asking(archive, placed, "operator") as operator:
        for wrong in (
            {"review_at": wanted["start"]},
            {"end": wanted["start"]},
            {"reason": " "},
            {"start": "2026-11-01T00:00:00"},
        ):
            assert (await operator.post("/holds", json=wanted | wrong)).status_code == 400, wrong
        other = wanted | {"point": "0198a0de-0000-7000-8000-00000000ffff"}
        assert (await operator.post("/holds", json=other)).status_code == 404
        made = (await operator.post("/holds", json=wanted)).json()
        release, closed = f"/holds/{made['id']}/release", {"reason": "case 17 is closed"}
        named = {
            "point": {"id": POINT, "name": "北门/1号"},
            "owner": {"id": archive.actor.user_id, "name": "operator.one"},
        }
        assert made == wanted | named | {"id": made["id"], "created_at": rfc3339(archive.clock.now())}
        assert (await operator.get("/holds", params={"point": POINT})).json() == {"items": [made], "next": None}
        [shown] = (await timeline.of([POINT], span)).points[0].holds
        assert (shown.id, shown.reason, shown.start_us, shown.end_us) == (
            made["id"],
            "case 17",
            START_US,
            START_US + HOUR_US,
        )
        assert (await timeline.of([POINT], Span(START_US - HOUR_US, START_US))).points[0].holds == []
        async with await asking(archive, placed, "viewer") as viewer:
            assert (await viewer.post("/holds", json=wanted)).status_code == 403
            assert (await viewer.post(release, json=closed)).status_code == 403
            assert len((await viewer.get("/holds")).json()["items"]) == 1
        assert (await operator.post(release, json={})).status_code == 400
        assert (await operator.post(release, json={"reason": "   "})).status_code == 400
        assert len((await operator.get("/holds")).json()["items"]) == 1
        assert (await operator.post(release, json=closed)).status_code == 204
        assert (await operator.post(release, json=closed)).status_code == 404
        assert (await operator.get("/holds")).json()["items"] == []
        assert (await timeline.of([POINT], span)).points[0].holds == []
    begun, released = [row for row in await archive.ledger("changed") if row.action == "hold"]
    assert begun.objects == released.objects == (POINT,)
    assert made["id"] in begun.detail and begun.detail.endswith("case 17")
    assert released.detail == f"hold {made['id']} released: case 17 is closed"


async def listed(client: httpx.AsyncClient, **query: Any) -> list[list[str]]:
    """The reasons of the holds on each page of one."""
    pages, cursor = [], ""
    while True:
        page = (await client.get("/holds", params={"limit": 1, "cursor": cursor, **query})).json()
        pages.append([one["reason"] for one in page["items"]])
        if page["next"] is None:
            return pages
        cursor = page["next"]


async def test_what_is_overdue_is_listed_alone_page_by_page(archive: Archive, placed: Holds) -> None:
    hour = {"start": rfc3339(from_micros(START_US)), "end": rfc3339(from_micros(START_US + HOUR_US))}
    async with await asking(archive, placed, "operator") as operator:
        for days in (1, 30, 2):
            due = rfc3339(archive.clock.now() + timedelta(days=days))
            body = {"point": POINT, **hour, "reason": f"in {days} days", "review_at": due}
            assert (await operator.post("/holds", json=body)).status_code == 201
            await archive.clock.advance(1)
        assert await listed(operator) == [["in 1 days"], ["in 30 days"], ["in 2 days"]]
        assert await listed(operator, overdue=True) == [[]]
    await archive.clock.advance(timedelta(days=3).total_seconds())
    async with await asking(archive, placed, "viewer") as viewer:
        assert await listed(viewer, overdue=True, point=POINT) == [["in 1 days"], ["in 2 days"]]


async def test_a_hold_outlives_what_the_registry_knows_of_its_point(archive: Archive, placed: Holds) -> None:
    now = archive.clock.now()
    await placed.place(
        archive.actor, Object("gone", "/city/north/"), start_at=now, end_at=now + timedelta(hours=1), reason="case 18",
        review_at=now + timedelta(days=1),
    )  # fmt: skip
    async with await asking(archive, placed, "operator") as operator:
        [shown] = (await operator.get("/holds")).json()["items"]
        assert shown["point"] == {"id": "gone", "name": ""}
