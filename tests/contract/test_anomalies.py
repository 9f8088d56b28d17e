"""Anomalies in how people look (domain.md G22), over the real series engine and both state engines.

Accounts and looks are made up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from anwang.governance import Action, Anomalies, Entry, Governance, Hours, NewGrant, Object, Role, Watch
from anwang.governance.http import oversight as oversight_http
from anwang.governance.ledger import LEDGER_STEPS
from anwang.governance.oversight.model import Anomaly, AnomalyRule, AnomalyState
from anwang.kernel.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from anwang.kernel.ids import OrgId
from anwang.kernel.times import BEIJING, month_span, rfc3339, to_micros
from anwang.runtime.clock import FakeClock
from anwang.runtime.settings import Oversight
from anwang.stores.series import EmbeddedSeries, Rows, Series, spawn_embedded
from anwang.stores.state import State
from anwang.web.api import build_api
from anwang.web.health import Health
from tests.governed import account, actor_of, everyone, governed, token_of

NOON = datetime(2026, 11, 20, 12, tzinfo=BEIJING)
BOUNDS = Oversight(
    looks_an_hour=20,
    usual_looks=5,
    searches_an_hour=50,
    refusals_an_hour=3,
    off_hours_looks=3,
    repeats=3,
    repeat_days=5,
)
PLAIN = Entry(kind="opened", role="viewer", unit="北区", org="/city/north/", action="view_playback", look="l")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedSeries]:
    started = await spawn_embedded(tmp_path_factory.mktemp("series") / "db")
    yield started
    await started.stop()


@dataclass(frozen=True, slots=True)
class Bench:
    """A ledger that tests write, its copy, and who watches it."""

    governance: Governance
    series: Series
    clock: FakeClock
    watch: Watch
    anomalies: Anomalies
    ids: dict[str, str]

    def entry(self, username: str, **more: object) -> Entry:
        return msgspec.structs.replace(PLAIN, user=self.ids[username], name=username, **more)

    async def rows(self, at: datetime, *entries: Entry) -> None:
        """Written at that moment, copied now."""
        await self.clock.advance(max(0.0, (at - self.clock.now()).total_seconds()))
        await self.governance.ledger.append(*entries)

    async def turn(self, at: datetime | None = None) -> int:
        if at is not None:
            await self.clock.advance(max(0.0, (at - self.clock.now()).total_seconds()))
        assert self.governance.copy is not None
        await self.governance.copy.catch_up()
        return await self.watch.turn()

    async def found(self, *states: AnomalyState) -> list[Anomaly]:
        auditor = await actor_of(self.governance, "audit_administrator.one")
        return (await self.anomalies.page(auditor, states=states, cursor="", limit=100)).items[::-1]


@pytest.fixture
async def bench(state: State, tmp_path: Path, engine: EmbeddedSeries) -> AsyncIterator[Bench]:
    series = await Series.open(engine.url, engine.token)
    await series.migrate(LEDGER_STEPS)
    await series.execute("TRUNCATE TABLE ledger_rows")
    clock = FakeClock(NOON)
    async with governed(state, tmp_path, clock, series=series) as governance:
        await everyone(governance)
        admin = await actor_of(governance, "security_administrator.one")
        made = [account("li", Role.VIEWER, "north"), account("wang", Role.VIEWER, "south")]
        users = [await governance.create_user(admin, each) for each in made]
        watch = Watch(state=state, series=series, clock=clock, bounds=BOUNDS)
        anomalies = Anomalies(
            state=state,
            series=series,
            clock=clock,
            write=governance.note_deed,
            use=governance.count_use,
            settled=watch.count,
        )
        yield Bench(governance, series, clock, watch, anomalies, {each.username: each.id for each in users})
    await series.close()


def told(found: Sequence[Anomaly]) -> list[tuple[AnomalyRule, str, int, int]]:
    return [(each.rule, each.username, each.count, each.bound) for each in found]


async def test_g22_many_looks_in_an_hour(bench: Bench) -> None:
    await bench.rows(NOON, *[bench.entry("li")] * 20, *[bench.entry("wang", look=f"w{n}") for n in range(21)])
    assert await bench.turn() == 0, "the hour is not over"
    assert await bench.turn(NOON + timedelta(minutes=74)) == 0, "its rows have time to arrive"
    assert await bench.turn(NOON + timedelta(minutes=76)) == 1
    [one] = await bench.found()
    assert told([one]) == [(AnomalyRule.BURST, "wang", 21, 20)]
    assert (one.start, one.end, one.usual) == (NOON, NOON + timedelta(hours=1), None)
    assert [each.look for each in one.evidence] == [f"w{n}" for n in range(21)]
    assert (one.unit, one.org_path, one.state) == ("北区", "/city/north/", AnomalyState.OPEN)
    assert (bench.watch.open, bench.watch.found) == (1, 1)
    assert await bench.turn() == 0, "it is found once"


async def test_g22_many_looks_for_this_account(bench: Bench) -> None:
    for hour in range(12):
        at = NOON + timedelta(hours=hour)
        await bench.rows(at, *[bench.entry("li")] * 2, *[bench.entry("wang")] * 4)
    last = NOON + timedelta(hours=12)
    await bench.rows(last, *[bench.entry("li")] * 9, *[bench.entry("wang")] * 9)
    await bench.turn(last + timedelta(hours=2))
    bursts = [each for each in await bench.found() if each.rule is AnomalyRule.BURST]
    assert told(bursts) == [(AnomalyRule.BURST, "li", 9, 8)], "four times of two; of four it would be sixteen"
    assert bursts[0].usual == 2.0


async def test_g22_searches_count_in_the_hour_in_which_they_were_made(bench: Bench) -> None:
    def used(hour: datetime, count: int, action: str = "search") -> Entry:
        utc = rfc3339(hour)
        return bench.entry("li", kind="used", action=action, count=count, detail=f"hour from {utc}", look="")

    following = NOON + timedelta(hours=1)
    await bench.rows(following + timedelta(seconds=5), used(NOON, 30), used(NOON, 21, "points"), used(NOON, 900, "map"))
    await bench.turn(following + timedelta(minutes=20))
    assert await bench.found() == [], "the hour in which it was written must be over"
    await bench.rows(following + timedelta(minutes=59), used(following, 50))
    await bench.turn(following + timedelta(hours=2))
    [one] = await bench.found()
    assert told([one]) == [(AnomalyRule.SEARCHES, "li", 51, 50)]
    assert one.start == NOON and len(one.evidence) == 2


async def test_g22_many_refusals(bench: Bench) -> None:
    refused = bench.entry("li", kind="denied", outcome="no purpose", look="")
    await bench.rows(NOON, *[refused] * 4, *[bench.entry("wang", kind="denied")] * 3)
    await bench.turn(NOON + timedelta(hours=2))
    assert told(await bench.found()) == [(AnomalyRule.REFUSED, "li", 4, 3)]


async def test_g22_content_off_duty(bench: Bench) -> None:
    governance = bench.governance
    admin = await actor_of(governance, "security_administrator.one")
    hours = Hours(frozenset(range(7)), 0, 1440)
    await governance.rights.replace(admin, bench.ids["wang"], [NewGrant(org_id=OrgId("south"), live=hours)])  # type: ignore[arg-type]
    evening = NOON.replace(hour=21)
    await bench.rows(NOON.replace(hour=20, minute=58), bench.entry("li"))
    await bench.rows(evening, *[bench.entry("li", look=f"late{n}") for n in range(2)], *[bench.entry("wang")] * 9)
    await bench.rows(evening, bench.entry("li", kind="used", action="map", count=50))
    await bench.rows(evening + timedelta(hours=2), bench.entry("li", look="late2", action="view_live"))
    await bench.turn(evening + timedelta(hours=3))
    assert await bench.found() == [], "the day has only just ended"
    await bench.turn(evening + timedelta(hours=4))
    [one] = await bench.found()
    assert told([one]) == [(AnomalyRule.OFF_HOURS, "li", 3, 3)], "wang's rights name all hours"
    assert [each.look for each in one.evidence] == ["late0", "late1", "late2"]
    assert one.start == NOON.replace(hour=0) and one.end == NOON.replace(hour=0) + timedelta(days=1)


async def test_g22_the_same_point_on_many_days(bench: Bench) -> None:
    for day in range(4):
        await bench.rows(
            NOON + timedelta(days=day),
            bench.entry("li", objects=("p-1", "p-2"), look=f"d{day}"),
            bench.entry("li", objects=("p-3",), case="A1"),
            bench.entry("li", objects=("p-4",), action="view_live"),
            bench.entry("wang", objects=("p-1",), case="A1" if day else "A2"),
        )
        await bench.turn(NOON + timedelta(days=day, hours=13))
    found = await bench.found()
    assert sorted((each.username, each.subject, each.count) for each in found) == [
        ("li", "p-1", 3), ("li", "p-2", 3), ("wang", "p-1", 3),
    ]  # fmt: skip
    one = next(each for each in found if each.subject == "p-2")
    assert [each.look for each in one.evidence] == ["d0", "d1", "d2"]
    assert (one.end - one.start).days == 3
    for day in (4, 5):
        await bench.rows(NOON + timedelta(days=day), bench.entry("li", objects=("p-1",)))
    await bench.turn(NOON + timedelta(days=7))
    again = [each for each in await bench.found() if (each.username, each.subject) == ("li", "p-1")]
    assert [(each.start.day, each.count) for each in again] == [(19, 3), (22, 3)], (
        "days that were told of count no more"
    )


async def test_g22_programs_have_no_hours_and_come_back_every_day(bench: Bench) -> None:
    admin = await actor_of(bench.governance, "security_administrator.one")
    made = await bench.governance.create_user(admin, account("robot", Role.VIEWER, "north", is_service=True))
    bench.ids["robot"] = made.id
    for day in range(3):
        await bench.rows(NOON.replace(hour=23) + timedelta(days=day), *[bench.entry("robot", objects=("p-1",))] * 7)
    await bench.turn(NOON + timedelta(days=5))
    assert await bench.found() == []


async def test_g22_after_downtime_each_row_is_gone_through_once(bench: Bench, state: State) -> None:
    for day in range(3):
        await bench.rows(NOON + timedelta(days=day), *[bench.entry("li")] * 21)
    later = NOON + timedelta(days=9)
    assert await bench.turn(later) == 3
    others = Watch(state=state, series=bench.series, clock=bench.clock, bounds=Oversight(looks_an_hour=1, repeats=3))
    assert await others.turn() == 0, "another process begins where this one ended, whatever its bounds"
    await bench.rows(later, *[bench.entry("li")] * 21)
    assert await bench.turn(later + timedelta(hours=2)) == 1
    assert len(await bench.found()) == 4


async def test_g22_a_row_that_comes_late_opens_its_hour_again(bench: Bench) -> None:
    await bench.rows(NOON, *[bench.entry("li")] * 20, *[bench.entry("wang")] * 21)
    await bench.turn(NOON + timedelta(hours=2))
    assert told(await bench.found()) == [(AnomalyRule.BURST, "wang", 21, 20)]
    late = msgspec.json.encode(
        {"chain": "web-1", "seq": 1, "at": to_micros(NOON) + 1, **msgspec.to_builtins(bench.entry("li"))}
    )
    await bench.series.insert_lines("ledger_rows", late)
    assert await bench.watch.turn() == 1
    assert {each.username for each in await bench.found()} == {"li", "wang"}


async def test_g22_rows_that_were_copied_twice_count_once(bench: Bench) -> None:
    await bench.rows(NOON, *[bench.entry("li")] * 20)
    await bench.turn()
    copy = bench.governance.copy
    assert copy is not None
    copy._copied, copy._readers = {}, {}
    await bench.turn(NOON + timedelta(hours=2))
    assert await bench.found() == []


async def test_g22_the_first_pass_looks_a_month_back(bench: Bench) -> None:
    await bench.rows(NOON, *[bench.entry("li")] * 21)
    await bench.rows(NOON + timedelta(days=40), *[bench.entry("wang")] * 21)
    await bench.turn(NOON + timedelta(days=50))
    assert told([each for each in await bench.found() if each.rule is AnomalyRule.BURST]) == [
        (AnomalyRule.BURST, "wang", 21, 20)
    ]


class Away(Series):
    """A series store that does not answer."""

    def __init__(self) -> None:
        """See Series."""

    async def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> Rows:
        """See Series."""
        raise Unavailable("the series store does not answer")


async def test_g22_while_the_series_store_is_away_nothing_is_lost(bench: Bench, state: State) -> None:
    await bench.rows(NOON, *[bench.entry("li")] * 21)
    assert bench.governance.copy is not None
    await bench.governance.copy.catch_up()
    await bench.clock.advance(2 * 3600.0)
    with pytest.raises(Unavailable):
        await Watch(state=state, series=Away(), clock=bench.clock, bounds=BOUNDS).turn()
    assert await bench.turn() == 1


async def test_g22_auditors_decide_and_nobody_about_themselves(bench: Bench) -> None:
    auditor = await actor_of(bench.governance, "audit_administrator.one")
    bench.ids[auditor.username] = auditor.user_id
    await bench.rows(NOON, *[bench.entry(auditor.username, org="/")] * 21, *[bench.entry("li")] * 21)
    await bench.turn(NOON + timedelta(hours=2))
    auditor = await actor_of(bench.governance, "audit_administrator.one")
    own = next(each for each in await bench.found() if each.username == auditor.username)
    other = next(each for each in await bench.found() if each.username == "li")
    with pytest.raises(Denied, match="their own"):
        await bench.anomalies.decide(auditor, own.id, verdict=AnomalyState.DISMISSED, note="nothing")
    for verdict, note in (
        (AnomalyState.OPEN, "why"),
        (AnomalyState.EXPLAINED, ""),
        (AnomalyState.EXPLAINED, "x" * 501),
    ):
        with pytest.raises(Invalid):
            await bench.anomalies.decide(auditor, other.id, verdict=verdict, note=note)
    made = await bench.anomalies.decide(auditor, other.id, verdict=AnomalyState.EXPLAINED, note=" 夜间  演练 ")
    assert (made.state, made.note, made.decided_by) == (AnomalyState.EXPLAINED, "夜间 演练", auditor.username)
    with pytest.raises(Conflict):
        await bench.anomalies.decide(auditor, other.id, verdict=AnomalyState.MISCONDUCT, note="on second thought")
    assert bench.watch.open == 1
    assert [each.id for each in await bench.found(AnomalyState.OPEN)] == [own.id]
    rows = (await bench.governance.read_ledger(auditor, cursor=None, limit=50, kind="changed")).rows
    assert any("anomaly burst of li is explained" in row.detail for _, row in rows)
    assert (await bench.turn(), len(await bench.found())) == (0, 2), "what was decided is not found again"


async def test_g22_of_one_s_own_people_only_and_for_auditors(bench: Bench) -> None:
    governance = bench.governance
    await governance.seed([account("north.audit", Role.AUDIT, "north")])
    wang = bench.entry("wang", org="/city/south/", unit="南区")
    await bench.rows(NOON, *[bench.entry("li")] * 21, *[wang] * 21)
    await bench.turn(NOON + timedelta(hours=2))
    north = await actor_of(governance, "north.audit")
    [seen] = (await bench.anomalies.page(north, states=[], cursor="", limit=9)).items
    assert seen.username == "li"
    unseen = next(each for each in await bench.found() if each.username == "wang")
    with pytest.raises(NotFound):
        await bench.anomalies.one(north, unseen.id)
    with pytest.raises(NotFound):
        await bench.anomalies.decide(north, unseen.id, verdict=AnomalyState.DISMISSED, note="not mine")
    for role in Role:
        if role is not Role.AUDIT:
            actor = await actor_of(governance, f"{role.value}.one")
            for refused in (
                bench.anomalies.page(actor, states=[], cursor="", limit=9),
                bench.anomalies.one(actor, seen.id),
                bench.anomalies.decide(actor, seen.id, verdict=AnomalyState.DISMISSED, note="no"),
            ):
                with pytest.raises(Denied):
                    await refused


async def test_g22_the_rows_behind_it_are_shown(bench: Bench) -> None:
    await bench.rows(NOON, *[bench.entry("li", objects=(f"p-{n}",)) for n in range(150)])
    await bench.turn(NOON + timedelta(hours=2))
    app = build_api(
        governance=bench.governance,
        routers=[oversight_http.build_router(bench.anomalies)],
        health=Health(clock=bench.clock),
        metrics=CollectorRegistry(),
        describe=list,
    )
    headers = {"authorization": f"Bearer {await token_of(bench.governance, 'audit_administrator.one')}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://site/api/v1", headers=headers
    ) as client:
        [listed] = (await client.get("/anomalies?state=open")).json()["items"]
        assert (listed["count"], listed["bound"], listed["user"]["name"], listed["mine"]) == (150, 20, "li", False)
        shown = (await client.get(f"/anomalies/{listed['id']}")).json()
        assert [row["objects"] for row in shown["rows"]] == [[f"p-{n}"] for n in range(100)]
        assert {name: shown[name] for name in listed} == listed
        for body in (
            {"verdict": "guilty", "note": "x"},
            {"verdict": "explained"},
            {"verdict": "explained", "note": ""},
        ):
            assert (await client.post(f"/anomalies/{listed['id']}/decision", json=body)).status_code == 400
        body = {"verdict": "misconduct", "note": "没有案件"}
        decided = (await client.post(f"/anomalies/{listed['id']}/decision", json=body)).json()
        assert (decided["state"], decided["note"]) == ("misconduct", "没有案件")
        assert (await client.get("/anomalies?state=open")).json() == {"items": [], "next": None}
    auditor = await actor_of(bench.governance, "audit_administrator.one")
    report = await bench.governance.oversee(auditor, month_span("2026-11"))
    assert [(cell.names, cell.count) for cell in report.tables["anomalies"]] == [(("burst", "misconduct"), 1)]


async def test_g22_lists_go_on_by_cursor(bench: Bench) -> None:
    for hour in range(5):
        await bench.rows(NOON + timedelta(hours=hour), *[bench.entry("li")] * 21)
    await bench.turn(NOON + timedelta(hours=7))
    auditor = await actor_of(bench.governance, "audit_administrator.one")
    found, cursor = [], ""
    while True:
        page = await bench.anomalies.page(auditor, states=[], cursor=cursor, limit=2)
        found += page.items
        if page.next is None:
            break
        cursor = page.next
    assert len({each.id for each in found}) == len(found) == 5


async def test_g22_a_look_through_the_front_door_counts(bench: Bench) -> None:
    actor = await actor_of(bench.governance, "li")
    for _ in range(21):
        look = await bench.governance.open_look(actor, Action.VIEW_LIVE, [Object("p-1", "/city/north/")])
        await bench.governance.close_look(look)
    await bench.turn(NOON + timedelta(hours=2))
    assert told(await bench.found()) == [(AnomalyRule.BURST, "li", 21, 20)]
