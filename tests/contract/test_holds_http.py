"""Holds through the API: placed, seen on the axis, let go; each a row in the ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from anwang.app.marks import AxisMarks
from anwang.governance import Retention, Rule, Rules
from anwang.kernel.times import Span, from_micros, rfc3339
from anwang.media.http import holds
from anwang.media.signals import Signals
from anwang.media.timeline import Timeline
from anwang.web.api import build_api
from anwang.web.health import Health
from tests.archive import Archive, where
from tests.governed import token_of
from tests.recordings import POINT, START_US

HOUR_US = 3_600_000_000


@pytest.fixture
def retention(archive: Archive) -> Retention:
    month = timedelta(days=30)
    return Retention(
        state=archive.main,
        ledger=archive.governance.ledger,
        clock=archive.clock,
        rules=Rules({3: Rule(minimum=month, maximum=month)}),
    )


async def asking(archive: Archive, retention: Retention, role: str) -> httpx.AsyncClient:
    app = build_api(
        governance=archive.governance,
        routers=[holds.build_router(holds.Kept(retention=retention, where=where))],
        health=Health(clock=archive.clock),
        metrics=CollectorRegistry(),
        describe=list,
    )
    headers = {"authorization": f"Bearer {await token_of(archive.governance, f'{role}.one')}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://site/api/v1", headers=headers)


async def test_a_hold_is_placed_shown_and_let_go(archive: Archive, retention: Retention) -> None:
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
        marks=AxisMarks(Signals(archive.media, archive.clock, wake=lambda point: None), retention.held),
    )
    span = Span(START_US - HOUR_US, START_US + HOUR_US)
    async with await asking(archive, retention, "operator") as operator:
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
        assert {name: made[name] for name in wanted} == wanted and made["owner"] == archive.actor.user_id
        assert (await operator.get("/holds", params={"point": POINT})).json() == {"items": [made], "next": None}
        [shown] = (await timeline.of([POINT], span)).points[0].holds
        assert (shown.id, shown.reason, shown.start_us, shown.end_us) == (
            made["id"],
            "case 17",
            START_US,
            START_US + HOUR_US,
        )
        assert (await timeline.of([POINT], Span(START_US - HOUR_US, START_US))).points[0].holds == []
        async with await asking(archive, retention, "viewer") as viewer:
            assert (await viewer.post("/holds", json=wanted)).status_code == 403
            assert (await viewer.delete(f"/holds/{made['id']}")).status_code == 403
            assert len((await viewer.get("/holds")).json()["items"]) == 1
        assert (await operator.delete(f"/holds/{made['id']}")).status_code == 204
        assert (await operator.delete(f"/holds/{made['id']}")).status_code == 404
        assert (await operator.get("/holds")).json()["items"] == []
        assert (await timeline.of([POINT], span)).points[0].holds == []
    rows = [row.detail for row in await archive.ledger("changed") if row.action == "hold"]
    assert [made["id"] in detail for detail in rows] == [True, True] and rows[1].endswith("released")
