"""Requests to see recordings, and complaints (domain.md G14), over a real database. All names are invented."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from anwang.governance import Action, Actor, Governance, Object, Requests, Role, WorkingDays, reseal_askers
from anwang.governance.http import requests as requests_http
from anwang.governance.requests import store
from anwang.governance.requests.model import (
    CLOSED,
    NEXT,
    PURPOSES,
    Asker,
    Channel,
    Ground,
    Place,
    Refusal,
    Request,
    RequestAct,
    RequestKind,
    RequestState,
    acts_of,
    after,
)
from anwang.governance.requests.service import Wanted
from anwang.kernel.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from anwang.kernel.ids import PointId
from anwang.kernel.times import Span
from anwang.runtime.clock import FakeClock
from anwang.runtime.secrets import MasterKey, Sealer
from anwang.stores.state import State as Database
from anwang.web.api import build_api
from anwang.web.health import Health
from tests.contract.test_governance import clock
from tests.governed import NORTH, SOUTH, TwoDistricts, account, actor_of, everyone, governed, token_of

__all__ = ["clock"]

POINT, FAR = PointId("0198a0de-0000-7000-8000-000000000001"), PointId("0198a0de-0000-7000-8000-000000000002")
COPY, UNDONE = "0198a0de-0000-7000-8000-00000000000c", "0198a0de-0000-7000-8000-00000000000d"
FOREIGN, LONGER = "0198a0de-0000-7000-8000-00000000000e", "0198a0de-0000-7000-8000-00000000000f"
OLD_KEY, NEW_KEY = MasterKey(b"old!", b"o" * 32), MasterKey(b"new!", b"n" * 32)
ASKER = Asker("张三（合成）", "13800000000")


class Shelf:
    """Export packages."""

    async def redacted(self, actor: Actor, export_id: str) -> Sequence[tuple[str, Span]] | None:
        """See Packages."""
        if export_id not in (COPY, UNDONE, FOREIGN, LONGER):
            raise NotFound("there is no such export")
        span = place().span
        return {
            COPY: [(POINT, span)],
            FOREIGN: [(POINT, span), (FAR, span)],
            LONGER: [(POINT, Span(span.start, span.end + 1))],
        }.get(export_id)


async def owned(points: Sequence[PointId]) -> dict[PointId, Object]:
    known = {POINT: NORTH.path, FAR: SOUTH.path}
    return {point: Object(point, known[point]) for point in points if point in known}


@pytest.fixture
async def governance(state: Database, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Governance]:
    async with governed(state, tmp_path, clock) as opened:
        await everyone(opened)
        await opened.seed(
            [
                account("north.officer", Role.OFFICER, NORTH.id),
                account("north.leader", Role.OFFICER, NORTH.id),
                account("south.officer", Role.OFFICER, SOUTH.id),
            ]
        )
        yield opened


@pytest.fixture
def requests(state: Database, clock: FakeClock, governance: Governance) -> Requests:
    return Requests(
        state=state,
        clock=clock,
        sealer=Sealer([OLD_KEY]),
        write=governance.note_deed,
        place=TwoDistricts().organisation,
        owned=owned,
        packages=Shelf(),
        calendar=WorkingDays(),
        days=15,
        kept=timedelta(days=180),
    )


def wanted(clock: FakeClock, **other: Any) -> Wanted:
    now = clock.now()
    plain = Wanted(
        kind=RequestKind.REQUEST,
        org_id=NORTH.id,
        received_on=now.date(),
        channel=Channel.COUNTER,
        ground=Ground.PROPERTY,
        what="停在路边的电动车被撞",
        place="北门路 1 号门前",
        start_at=now - timedelta(hours=3),
        end_at=now - timedelta(hours=2),
        asker=ASKER,
    )
    return replace(plain, **other)


def complaint(clock: FakeClock, **other: Any) -> Wanted:
    return wanted(clock, kind=RequestKind.COMPLAINT, ground=None, place="", start_at=None, end_at=None, **other)


def place(point: str = POINT) -> Place:
    return Place(point=point, span=Span(1_795_305_480_000_000, 1_795_305_540_000_000))


async def searching(requests: Requests, actor: Actor, clock: FakeClock) -> Request:
    made = await requests.enter(actor, wanted(clock))
    await requests.identify(actor, made.id, how="身份证原件")
    return await requests.search(actor, made.id, [place()])


async def deeds(governance: Governance) -> list[str]:
    reader = await actor_of(governance, "audit_administrator.one")
    page = await governance.read_ledger(reader, cursor=None, limit=200, kind="changed")
    return [row.detail for _, row in page.rows if row.action == Action.HANDLE_REQUESTS][::-1]


# --- the model -------------------------------------------------------------------------------------------------------


def test_g14_what_the_table_does_not_have_is_refused() -> None:
    for kind in RequestKind:
        for at in RequestState:
            assert at not in CLOSED or acts_of(kind, at) == []
            for act in RequestAct:
                if (kind, at, act) in NEXT:
                    assert after(kind, at, act) is NEXT[kind, at, act]
                else:
                    with pytest.raises(Conflict):
                        after(kind, at, act)
    assert {at for _, at, _ in NEXT}.isdisjoint(CLOSED)
    assert set(NEXT.values()) >= CLOSED
    assert set(PURPOSES) == set(Ground)


def test_g14_fifteen_working_days() -> None:
    plain = WorkingDays()
    assert plain.after(date(2026, 11, 30), 15) == date(2026, 12, 21)  # Mondays
    assert plain.after(date(2026, 11, 28), 1) == date(2026, 11, 30)  # from a Saturday
    days = WorkingDays.of(["2026-10-01", "2026-10-02", "2026-10-05"], ["2026-10-10"])
    assert days.after(date(2026, 9, 30), 1) == date(2026, 10, 6)
    assert days.after(date(2026, 10, 9), 1) == date(2026, 10, 10), "a Saturday that is worked"
    for wrong in ("1 October", "2026-13-01", ""):
        with pytest.raises(Invalid):
            WorkingDays.of([wrong], [])


@given(
    st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(1, 40),
    st.frozensets(st.dates(date(2020, 1, 1), date(2030, 6, 1)), max_size=9),
)  # fmt: skip
def test_g14_so_many_working_days_lie_in_between(day: date, count: int, holidays: frozenset[date]) -> None:
    days = WorkingDays(holidays)
    due = days.after(day, count)
    between = [day + timedelta(days=n) for n in range(1, (due - day).days + 1)]
    assert sum(map(days.is_worked, between)) == count and days.is_worked(due)


# --- a request, from its day to its end ------------------------------------------------------------------------------


async def test_g14_from_its_day_to_the_handing_over(
    requests: Requests, governance: Governance, clock: FakeClock
) -> None:
    officer = await actor_of(governance, "north.officer")
    made = await requests.enter(officer, wanted(clock))
    assert (made.state, made.handler, made.org_path) == (RequestState.RECEIVED, "north.officer", NORTH.path)
    assert made.due_on == requests.calendar.after(made.received_on, 15)
    assert made.number.startswith(f"GR{made.received_on:%Y%m%d}-")
    with pytest.raises(Conflict):
        await requests.search(officer, made.id, [place()])
    with pytest.raises(Conflict):
        await requests.purpose(officer, made.id)
    done = await requests.identify(officer, made.id, how=" 身份证  原件 ")
    assert (done.state, done.identity, done.identified_by) == (RequestState.IDENTIFIED, "身份证 原件", "north.officer")
    done = await requests.search(officer, made.id, [place()])
    assert (done.state, done.places) == (RequestState.SEARCHING, (place(),))
    kind, found = await requests.purpose(officer, made.id)
    assert (kind, found.number) == (PURPOSES[Ground.PROPERTY], made.number)
    with pytest.raises(Conflict):
        await requests.propose(officer, made.id, export_id=UNDONE, how="当面")
    with pytest.raises(NotFound):
        await requests.propose(officer, made.id, export_id="another", how="当面")
    for export_id in (FOREIGN, LONGER):
        with pytest.raises(Conflict, match="not looked through for this request"):
            await requests.propose(officer, made.id, export_id=export_id, how="当面")
    done = await requests.propose(officer, made.id, export_id=COPY, how="当面交付光盘")
    assert (done.state, done.export_id, done.proposed_by) == (RequestState.PROPOSED, COPY, "north.officer")
    leader = await actor_of(governance, "north.leader")
    assert requests.may_decide(leader, done) and not requests.may_decide(officer, done)
    done = await requests.decide(leader, made.id, yes=True, reason="")
    assert (done.state, done.decided_by, done.closed_at) == (RequestState.DELIVERED, "north.leader", clock.now())
    told = await deeds(governance)
    assert [line.partition(":")[0] for line in told[1:]] == [made.number] * 4
    assert "handing over consented to" in told[-1]
    assert not any(ASKER.name in line or ASKER.contact in line for line in told)


async def test_g14_nobody_decides_what_they_propose(
    requests: Requests, governance: Governance, clock: FakeClock
) -> None:
    officer, leader = await actor_of(governance, "north.officer"), await actor_of(governance, "north.leader")
    one = await searching(requests, officer, clock)
    one = await requests.propose(officer, one.id, export_id=COPY, how="当面")
    for actor in (officer, replace(leader, service=True)):
        with pytest.raises(Denied):
            await requests.decide(actor, one.id, yes=True, reason="")
    with pytest.raises(Conflict):
        await requests.take_over(leader, one.id)
    with pytest.raises(Invalid):
        await requests.decide(leader, one.id, yes=False, reason="")
    back = await requests.decide(leader, one.id, yes=False, reason="另一人未遮挡")
    assert (back.state, back.answer, back.closed_at) == (RequestState.SEARCHING, "另一人未遮挡", None)
    one = await requests.take_over(leader, one.id)
    one = await requests.propose(leader, one.id, export_id=COPY, how="当面")
    assert (one.handler, one.answer, requests.may_decide(leader, one)) == ("north.leader", "", False)
    assert requests.may_decide(officer, one)


async def test_g14_who_asks_is_shown_to_the_handler_alone(
    requests: Requests, governance: Governance, state: Database, clock: FakeClock
) -> None:
    officer, leader = await actor_of(governance, "north.officer"), await actor_of(governance, "north.leader")
    one = await requests.enter(officer, wanted(clock))
    assert await requests.asker(officer, one.id) == ASKER
    assert (await deeds(governance))[-1] == f"{one.number}: name and contact shown"
    with pytest.raises(Denied):
        await requests.asker(leader, one.id)
    for name in ("audit_administrator.one", "operator.one", "administrator.one"):
        with pytest.raises(Denied):
            await requests.asker(await actor_of(governance, name), one.id)
    with pytest.raises(Denied):
        await requests.identify(leader, one.id, how="认识")
    await requests.take_over(leader, one.id)
    assert await requests.asker(leader, one.id) == ASKER
    with pytest.raises(Denied):
        await requests.asker(officer, one.id)
    async with state.read() as tx:
        [row] = (await tx.execute(select(store.requests))).all()
    assert all(text.encode() not in bytes(row.sealed_asker) for text in (ASKER.name, ASKER.contact))
    assert ASKER.name not in str(row) and ASKER.contact not in str(row)


async def test_g14_who_asked_is_deleted_a_while_after_the_end(
    requests: Requests, governance: Governance, clock: FakeClock
) -> None:
    officer = await actor_of(governance, "north.officer")
    closed, still = await requests.enter(officer, wanted(clock)), await requests.enter(officer, wanted(clock))
    await requests.withdraw(officer, closed.id)
    await clock.advance(180 * 86_400.0)
    assert await requests.turn() == 0
    await clock.advance(1.0)
    assert await requests.turn() == 1
    officer = await actor_of(governance, "north.officer")
    with pytest.raises(NotFound):
        await requests.asker(officer, closed.id)
    assert await requests.asker(officer, still.id) == ASKER
    assert [(await requests.one(officer, one.id)).has_asker for one in (closed, still)] == [False, True]


async def test_g14_a_new_master_key_seals_who_asks(
    requests: Requests, governance: Governance, state: Database, clock: FakeClock
) -> None:
    officer = await actor_of(governance, "north.officer")
    one = await requests.enter(officer, wanted(clock))
    assert await reseal_askers(state, Sealer([NEW_KEY, OLD_KEY])) == 1
    with pytest.raises(Unavailable):
        await requests.asker(officer, one.id)
    requests.sealer = Sealer([NEW_KEY])
    assert await requests.asker(officer, one.id) == ASKER


async def test_g14_a_refusal_says_why(requests: Requests, governance: Governance, clock: FakeClock) -> None:
    officer = await actor_of(governance, "north.officer")
    one = await requests.enter(officer, wanted(clock))
    with pytest.raises(Invalid):
        await requests.refuse(officer, one.id, reason=Refusal.OTHER, text=" ")
    done = await requests.refuse(officer, one.id, reason=Refusal.NOT_RECORDED, text="该处无摄像机")
    assert (done.state, done.reason, done.answer) == (RequestState.REFUSED, Refusal.NOT_RECORDED, "该处无摄像机")
    for step in (requests.withdraw(officer, one.id), requests.identify(officer, one.id, how="x")):
        with pytest.raises(Conflict):
            await step


async def test_g14_a_complaint_is_registered_and_answered(
    requests: Requests, governance: Governance, clock: FakeClock
) -> None:
    officer = await actor_of(governance, "north.officer")
    one = await requests.enter(officer, complaint(clock, what="摄像机正对窗户"))
    assert one.number.startswith("TS")
    with pytest.raises(Conflict):
        await requests.identify(officer, one.id, how="身份证")
    done = await requests.answer(officer, one.id, text="已加隐私遮挡")
    assert (done.state, done.answer) == (RequestState.ANSWERED, "已加隐私遮挡")


async def test_g14_what_is_entered_is_looked_at(requests: Requests, governance: Governance, clock: FakeClock) -> None:
    officer = await actor_of(governance, "north.officer")
    now = clock.now()
    for wrong in (
        wanted(clock, received_on=now.date() + timedelta(days=2)),
        wanted(clock, received_on=now.date() - timedelta(days=400)),
        wanted(clock, ground=None),
        replace(complaint(clock), ground=Ground.LIFE),
        wanted(clock, place=""),
        wanted(clock, start_at=None),
        wanted(clock, start_at=now, end_at=now),
        wanted(clock, what=" "),
        wanted(clock, what="x" * 1001),
        wanted(clock, asker=Asker("", "1")),
        wanted(clock, asker=Asker("a\0b", "1")),
    ):
        with pytest.raises(Invalid):
            await requests.enter(officer, wrong)
    with pytest.raises(NotFound):
        await requests.enter(officer, wanted(clock, org_id=SOUTH.id))
    one = await requests.enter(officer, wanted(clock))
    await requests.identify(officer, one.id, how="身份证")
    for places, error in (([], Invalid), ([place()] * 65, Invalid), ([place(FAR)], NotFound), ([place("x")], NotFound)):
        with pytest.raises(error):
            await requests.search(officer, one.id, places)


async def test_g14_units_do_not_see_each_others(requests: Requests, governance: Governance, clock: FakeClock) -> None:
    officer, other = await actor_of(governance, "north.officer"), await actor_of(governance, "south.officer")
    one = await requests.enter(officer, wanted(clock))
    with pytest.raises(NotFound):
        await requests.one(other, one.id)
    with pytest.raises(NotFound):
        await requests.take_over(other, one.id)
    found = await requests.page(other, kind=None, states=[], is_overdue=False, cursor="", limit=9)
    assert found.items == []
    everywhere = await actor_of(governance, "audit_administrator.one")
    assert (await requests.one(everywhere, one.id)).number == one.number


async def test_g14_the_list_begins_with_what_is_due_first(
    requests: Requests, governance: Governance, clock: FakeClock
) -> None:
    officer = await actor_of(governance, "north.officer")
    today = clock.now().date()
    made = []
    for days, kind in ((0, wanted), (40, wanted), (20, complaint), (30, wanted), (50, wanted)):
        made.append(await requests.enter(officer, kind(clock, received_on=today - timedelta(days=days))))
        await clock.advance(1)
    await requests.withdraw(officer, made[4].id)
    wished = [made[1], made[3], made[2], made[0], made[4]]
    found, cursor = [], ""
    while True:
        page = await requests.page(officer, kind=None, states=[], is_overdue=False, cursor=cursor, limit=2)
        found += [one.number for one in page.items]
        if page.next is None:
            break
        cursor = page.next
    assert found == [one.number for one in wished]
    late = await requests.page(officer, kind=None, states=[], is_overdue=True, cursor="", limit=9)
    assert [one.number for one in late.items] == [made[1].number, made[3].number]
    await requests.turn()
    assert requests.overdue == 2
    some = await requests.page(
        officer, kind=RequestKind.COMPLAINT, states=[RequestState.RECEIVED], is_overdue=False, cursor="", limit=9
    )
    assert [one.number for one in some.items] == [made[2].number]
    async with requests.state.read() as tx:
        span = Span(0, 1 << 53)
        assert await store.counts(tx, seen_by=officer.scope, span=span) == {
            ("complaint", "received"): 1, ("request", "received"): 3, ("request", "withdrawn"): 1,
        }  # fmt: skip


async def test_g14_requests_follow_their_unit(requests: Requests, governance: Governance, clock: FakeClock) -> None:
    officer = await actor_of(governance, "north.officer")
    one = await requests.enter(officer, wanted(clock))

    async def moved(org_id: str) -> Any:
        return replace(NORTH, name="新北区", path="/city/north/new/")

    requests.place = moved
    await requests.organisations_changed()
    found = await requests.one(officer, one.id)
    assert (found.org_name, found.org_path) == ("新北区", "/city/north/new/")


async def test_the_routes(requests: Requests, governance: Governance, clock: FakeClock) -> None:
    app = build_api(
        governance=governance, routers=[requests_http.build_router(requests)], health=Health(clock=clock),
        metrics=CollectorRegistry(), describe=list,
    )  # fmt: skip

    async def client(name: str) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {await token_of(governance, name)}"}
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x/api/v1", headers=headers)

    def iso(moment: datetime) -> str:
        return moment.isoformat()

    now = clock.now()
    body = {
        "kind": "request", "organisation": NORTH.id, "received_on": now.date().isoformat(), "channel": "phone",
        "ground": "health", "what": "摔倒", "place": "北门", "from": iso(now - timedelta(hours=1)), "to": iso(now),
        "asker": {"name": ASKER.name, "contact": ASKER.contact},
    }  # fmt: skip
    async with await client("north.officer") as officer, await client("north.leader") as leader:
        made = await officer.post("/requests", json=body)
        assert made.status_code == 201, made.text
        assert ASKER.name not in made.text
        address = f"/requests/{made.json()['id']}"
        assert (made.json()["mine"], made.json()["acts"]) == (True, ["identify", "refuse", "withdraw"])
        assert (await officer.get(f"{address}/asker")).json() == {"name": ASKER.name, "contact": ASKER.contact}
        assert (await leader.get(f"{address}/asker")).status_code == 403
        assert (await officer.post(f"{address}/purpose", json={"minutes": 60})).status_code == 409
        assert (await officer.post(f"{address}/identity", json={"text": "身份证"})).status_code == 200
        stretch = {"point": POINT, "from": iso(now - timedelta(hours=1)), "to": iso(now)}
        for wrong in ({**stretch, "to": stretch["from"]}, {**stretch, "colour": 1}):
            assert (await officer.post(f"{address}/places", json={"items": [wrong]})).status_code == 400
        told = await officer.post(f"{address}/places", json={"items": [stretch]})
        assert told.json()["places"][0]["point"] == POINT, told.text
        purpose = await officer.post(f"{address}/purpose", json={"minutes": 60})
        assert (purpose.status_code, purpose.json()["kind"], purpose.json()["case_no"]) == (
            201, "rescue", made.json()["number"],
        )  # fmt: skip
        assert (await officer.post(f"{address}/proposal", json={"export": COPY, "how": "当面"})).status_code == 200
        assert (await officer.post(f"{address}/decision", json={"yes": True})).status_code == 403
        assert (await leader.get(address)).json()["may_decide"] is True
        done = (await leader.post(f"{address}/decision", json={"yes": True})).json()
        assert (done["state"], done["days_left"], done["acts"]) == ("delivered", None, [])
        assert (await officer.post(f"{address}/withdrawal")).status_code == 409
        bad = {**body, "ground": None}
        assert (await officer.post("/requests", json=bad)).status_code == 400
        assert (await officer.get("/requests", params={"cursor": "x"})).status_code == 400
        assert (await officer.get("/requests/none")).status_code == 404
        assert [one["number"] for one in (await leader.get("/requests")).json()["items"]] == [done["number"]]
    for name, status in (
        ("viewer.one", 403), ("contractor.one", 403), ("operator.one", 403), ("administrator.one", 403),
        ("audit_administrator.one", 200),
    ):  # fmt: skip
        async with await client(name) as somebody:
            assert (await somebody.get("/requests")).status_code == status, name
            assert (await somebody.post("/requests", json=body)).status_code == 403, name
            assert (await somebody.get(f"{address}/asker")).status_code == 403, name
