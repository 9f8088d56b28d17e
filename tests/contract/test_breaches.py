"""Breaches of personal information (PIPL article 57, domain.md G23), over a real database. All of it is made up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from anwang.governance import Action, Breaches, Governance, Object, Role
from anwang.governance.breaches.model import (
    KEPT,
    Breach,
    BreachKind,
    BreachState,
    BreachStep,
    Extent,
    Told,
    after,
    lacking,
)
from anwang.governance.breaches.notice import NoticeLanguage, NoticeTo, page_of, rows_of, text_of
from anwang.governance.http import breaches as breaches_http
from anwang.governance.ledger import LEDGER_STEPS
from anwang.governance.words import paragraphs
from anwang.kernel.errors import Conflict, Denied, Invalid, NotFound
from anwang.kernel.ids import OrgId
from anwang.kernel.times import BEIJING, Span, month_span, rfc3339, to_micros
from anwang.runtime.clock import FakeClock
from anwang.stores.series import EmbeddedSeries, Series, spawn_embedded
from anwang.stores.state import State
from anwang.web.api import build_api
from anwang.web.health import Health
from tests.governed import NORTH, SOUTH, TwoDistricts, account, actor_of, everyone, governed, token_of

NOON = datetime(2026, 11, 20, 12, tzinfo=BEIJING)
TOLD = Told(
    title="北区值班室录像外传",
    what="一段路口录像出现在聊天群中。\n视频为合成数据。",
    found_at=NOON - timedelta(hours=2),
    from_at=NOON - timedelta(days=3),
    until_at=NOON - timedelta(days=2),
    kinds=(BreachKind.VIDEO, BreachKind.PLATES),
    affected=None,
    cause="",
    harm="",
    measures="已停用账号",
    advice="",
    contact="北区分局 022-12345678",
)
WHOLE = replace(TOLD, cause="账号被借用", harm="可能被骚扰", advice="留意陌生来电", affected=37)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedSeries]:
    started = await spawn_embedded(tmp_path_factory.mktemp("series") / "db")
    yield started
    await started.stop()


@pytest.fixture
async def series(engine: EmbeddedSeries) -> AsyncIterator[Series]:
    opened = await Series.open(engine.url, engine.token)
    await opened.migrate(LEDGER_STEPS)
    await opened.execute("TRUNCATE TABLE ledger_rows")
    yield opened
    await opened.close()


@pytest.fixture
async def governance(state: State, tmp_path: Path, clock: FakeClock, series: Series) -> AsyncIterator[Governance]:
    async with governed(state, tmp_path, clock, series=series) as opened:
        await everyone(opened)
        await opened.seed([account("north.officer", Role.OFFICER, "north"), account("north.li", Role.VIEWER, "north")])
        yield opened


@pytest.fixture
def breaches(state: State, clock: FakeClock, governance: Governance, series: Series) -> Breaches:
    assert governance.copy is not None
    copy = governance.copy
    return Breaches(
        state=state,
        series=series,
        clock=clock,
        write=governance.note_deed,
        place=TwoDistricts().organisation,
        waiting=lambda: copy.behind,
    )


async def security(governance: Governance) -> Any:
    return await actor_of(governance, "security_administrator.one")


async def test_g23_from_being_found_to_being_closed(
    breaches: Breaches, governance: Governance, clock: FakeClock
) -> None:
    officer = await actor_of(governance, "north.officer")
    made = await breaches.add(officer, NORTH.id, TOLD)
    assert (made.state, made.unreported_us(clock.now()) // 3_600_000_000) == (BreachState.DRAFT, 2)
    assert lacking(made.told) == ["cause", "harm", "advice"]
    await clock.advance(3600.0)
    assert made.unreported_us(clock.now()) // 3_600_000_000 == 3, "the clock runs"
    reported = await breaches.step(
        officer, made.id, BreachStep.REPORT, at=clock.now(), note="网信办，电话", version=made.version
    )
    await clock.advance(7200.0)
    assert (reported.state, reported.unreported_us(clock.now()) // 3_600_000_000) == (BreachState.REPORTED, 3), (
        "it stands"
    )
    with pytest.raises(Invalid, match="cause, harm, advice"):
        await breaches.step(officer, made.id, BreachStep.NOTIFY, at=clock.now(), note="短信", version=reported.version)
    changed = await breaches.change(officer, made.id, NORTH.id, WHOLE, version=reported.version)
    notified = await breaches.step(
        officer, made.id, BreachStep.NOTIFY, at=clock.now(), note="短信", version=changed.version
    )
    closed = await breaches.step(
        officer, made.id, BreachStep.CLOSE, at=clock.now(), note="处理完毕", version=notified.version
    )
    assert (closed.state, closed.kept_until) == (BreachState.CLOSED, clock.now() + KEPT)
    assert timedelta(days=3 * 365) <= KEPT
    assert await breaches.one(officer, made.id) == closed
    assert [(done.step, done.by) for done in closed.steps] == [
        (step, "north.officer") for step in (BreachStep.REPORT, BreachStep.NOTIFY, BreachStep.CLOSE)
    ]
    with pytest.raises(Conflict, match="stays as it is"):
        await breaches.change(officer, made.id, NORTH.id, TOLD, version=closed.version)
    auditor = await actor_of(governance, "audit_administrator.one")
    rows = (await governance.read_ledger(auditor, cursor=None, limit=50, kind="changed")).rows
    written = [row.detail.partition(":")[0] for _, row in rows if row.action == Action.MANAGE_BREACHES]
    assert written[::-1] == ["breach entered", "breach report", "breach changed", "breach notify", "breach close"]


def test_g23_steps_that_the_table_does_not_have() -> None:
    may = {f"{state} {step}" for state in BreachState for step in BreachStep if _goes(state, step)}
    assert may == {"draft report", "draft close", "reported notify", "reported close", "notified close"}


def _goes(state: BreachState, step: BreachStep) -> bool:
    try:
        after(state, step)
    except Conflict:
        return False
    return True


async def test_g23_who_may_write_and_read_and_where(breaches: Breaches, governance: Governance) -> None:
    admin, north = await security(governance), await actor_of(governance, "north.officer")
    far = await breaches.add(admin, SOUTH.id, TOLD)
    near = await breaches.add(north, NORTH.id, TOLD)
    assert [each.id for each in (await breaches.page(north, states=[], cursor="", limit=9)).items] == [near.id]
    for refused in (
        breaches.one(north, far.id),
        breaches.change(north, far.id, NORTH.id, TOLD, version=1),
        breaches.change(north, near.id, SOUTH.id, TOLD, version=1),
        breaches.step(north, far.id, BreachStep.REPORT, at=NOON, note="ok", version=1),
        breaches.add(north, SOUTH.id, TOLD),
        breaches.add(admin, OrgId("nowhere"), TOLD),
    ):
        with pytest.raises(NotFound):
            await refused
    for role in Role:
        actor = await actor_of(governance, f"{role.value}.one")
        writes = role in (Role.SECURITY, Role.OFFICER)
        if writes or role is Role.AUDIT:
            assert len((await breaches.page(actor, states=[BreachState.DRAFT], cursor="", limit=9)).items) >= 2
            assert (await breaches.page(actor, states=[BreachState.CLOSED], cursor="", limit=9)).items == []
        else:
            with pytest.raises(Denied):
                await breaches.page(actor, states=[], cursor="", limit=9)
        if not writes:
            with pytest.raises(Denied):
                await breaches.add(actor, NORTH.id, TOLD)


async def test_g23_what_cannot_be_is_refused(breaches: Breaches, governance: Governance, clock: FakeClock) -> None:
    admin = await security(governance)
    wrong: list[dict[str, Any]] = [
        {"title": " "}, {"title": "x" * 101}, {"what": ""}, {"what": "x" * 4001}, {"contact": ""}, {"kinds": ()},
        {"affected": -1}, {"found_at": NOON + timedelta(hours=1)}, {"found_at": NOON - timedelta(days=4)},
        {"from_at": NOON - timedelta(days=4000)}, {"until_at": NOON - timedelta(days=4)}, {"cause": "a\x00b"},
    ]  # fmt: skip
    for each in wrong:
        with pytest.raises(Invalid):
            await breaches.add(admin, NORTH.id, replace(TOLD, **each))
    made = await breaches.add(admin, NORTH.id, TOLD)
    for at in (TOLD.found_at - timedelta(seconds=1), NOON + timedelta(hours=1)):
        with pytest.raises(Invalid, match="between"):
            await breaches.step(admin, made.id, BreachStep.REPORT, at=at, note="网信办", version=1)
    with pytest.raises(Invalid):
        await breaches.step(admin, made.id, BreachStep.REPORT, at=NOON, note=" ", version=1)
    with pytest.raises(Conflict, match="no step"):
        await breaches.step(admin, made.id, BreachStep.NOTIFY, at=NOON, note="短信", version=1)
    await breaches.change(admin, made.id, NORTH.id, TOLD, version=1)
    for stale in (
        breaches.change(admin, made.id, NORTH.id, TOLD, version=1),
        breaches.step(admin, made.id, BreachStep.REPORT, at=NOON, note="网信办", version=1),
    ):
        with pytest.raises(Conflict, match="meanwhile"):
            await stale


async def test_g23_the_ledger_helps_to_count(breaches: Breaches, governance: Governance) -> None:
    for username, points in (("viewer.one", ("p-1", "p-2")), ("north.li", ("p-1",)), ("north.li", ("p-3",))):
        actor = await actor_of(governance, username)
        look = await governance.open_look(actor, Action.VIEW_LIVE, [Object(each, NORTH.path) for each in points])
        await governance.close_look(look, bytes=1000)
    assert governance.copy is not None
    await governance.copy.catch_up()
    span = Span(to_micros(NOON), to_micros(NOON + timedelta(minutes=1)))
    assert await breaches.extent(await security(governance), span) == Extent(3, 3, 2, 3000, breaches.waiting())
    north = await breaches.extent(await actor_of(governance, "north.officer"), span)
    assert (north.points, north.looks, north.accounts, north.bytes) == (2, 2, 1, 2000)
    for start, end in ((0, 0), (0, to_micros(NOON))):
        with pytest.raises(Invalid):
            await breaches.extent(await security(governance), Span(start, end))


def _breach(told: Told) -> Breach:
    return Breach(
        id="b", org_id=NORTH.id, org_name="北区<分局>", org_path=NORTH.path, told=told, state=BreachState.DRAFT,  # type: ignore[arg-type]
        created_at=NOON, created_by="li",
    )  # fmt: skip


@pytest.mark.parametrize("language", list(NoticeLanguage))
@pytest.mark.parametrize("to", list(NoticeTo))
def test_g23_a_notice_says_what_article_57_names(to: NoticeTo, language: NoticeLanguage) -> None:
    names = [name for name, _ in rows_of(_breach(WHOLE), to, language)]
    text, page = text_of(_breach(WHOLE), to, language), page_of(_breach(WHOLE), to, language)
    for part in ("账号被借用", "可能被骚扰", "已停用账号", "留意陌生来电", "022-12345678"):
        assert part in text and part in page
    assert ("车辆号牌" if language is NoticeLanguage.CHINESE else "number plates") in text
    assert "2026-11-17 12:00" in text and f'lang="{language.value}"' in page
    assert "北区&lt;分局&gt;" in page and "<分局>" not in page and "<script" not in page
    assert ("37" in [value for _, value in rows_of(_breach(WHOLE), to, language)]) == (to is NoticeTo.AUTHORITY)
    assert len(set(names)) == len(names)
    draft = text_of(_breach(TOLD), to, language)
    assert draft.count("【待填写】" if language is NoticeLanguage.CHINESE else "[to be written]") == 3


async def test_g23_over_http(breaches: Breaches, governance: Governance, clock: FakeClock) -> None:
    app = build_api(
        governance=governance,
        routers=[breaches_http.build_router(breaches_http.Kept(breaches=breaches, exported=governance.note_export))],
        health=Health(clock=clock),
        metrics=CollectorRegistry(),
        describe=list,
    )
    headers = {"authorization": f"Bearer {await token_of(governance, 'security_administrator.one')}"}
    asked = {
        "title": "录像外传", "organisation": NORTH.id, "what": "合成", "found_at": rfc3339(NOON - timedelta(hours=1)),
        "from": rfc3339(NOON - timedelta(days=1)), "to": None, "kinds": ["video"], "contact": "022",
    }  # fmt: skip
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://site/api/v1", headers=headers
    ) as client:
        made = (await client.post("/breaches", json=asked)).json()
        assert (made["state"], made["unreported_seconds"], made["affected"], made["version"]) == (
            "draft",
            3600,
            None,
            1,
        )
        assert made["lacking"] == ["cause", "harm", "measures", "advice"] and made["to"] is None
        for field, value in (
            ("kinds", ["faces"]),
            ("from", "yesterday"),
            ("more", 1),
            ("found_at", "2026-11-20T12:00"),
        ):
            assert (await client.post("/breaches", json=asked | {field: value})).status_code == 400
        changed = (await client.put(f"/breaches/{made['id']}", json=asked | {"version": 1, "affected": 5})).json()
        assert (changed["affected"], changed["version"]) == (5, 2)
        step = {"step": "report", "at": rfc3339(NOON), "note": "网信办", "version": 2}
        assert (await client.post(f"/breaches/{made['id']}/steps", json=step)).json()["state"] == "reported"
        assert (await client.get("/breaches?state=reported")).json()["items"][0]["id"] == made["id"]
        extent = {"from": rfc3339(NOON - timedelta(days=1)), "to": rfc3339(NOON)}
        assert (await client.get("/breaches/extent", params=extent)).json()["looks"] == 0
        backwards = {"from": extent["to"], "to": extent["from"]}
        assert (await client.get("/breaches/extent", params=backwards)).status_code == 400
        path = f"/breaches/{made['id']}"
        page = await client.get(f"{path}/authority-notice.html")
        assert "个人信息安全事件报告" in page.text and page.headers["content-type"].startswith("text/html")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        text = await client.get(f"{path}/people-notice.txt?language=en")
        assert text.text.startswith("Notice of a personal information incident")
        assert "attachment" in text.headers["content-disposition"]
        for other in ("police-notice.html", "people-notice.pdf"):
            assert (await client.get(f"{path}/{other}")).status_code in (400, 404)
        assert (await client.get(f"{path}/people-notice.txt?language=fr")).status_code == 400
        assert (await client.delete(path)).status_code == 405, "records are kept"
    auditor = await actor_of(governance, "audit_administrator.one")
    exported = (await governance.read_ledger(auditor, cursor=None, limit=50, kind="exported")).rows
    assert len(exported) == 2
    report = await governance.oversee(auditor, month_span("2026-11"))
    assert [(cell.names, cell.count) for cell in report.tables["breaches"]] == [(("reported",), 1)]


async def test_g23_lists_go_on_by_cursor_and_follow_their_unit(
    breaches: Breaches, governance: Governance, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await security(governance)
    made = []
    for _ in range(5):
        await clock.advance(1)
        made.append((await breaches.add(admin, NORTH.id, TOLD)).id)
    found, cursor = [], ""
    while True:
        page = await breaches.page(admin, states=[], cursor=cursor, limit=2)
        found += [each.id for each in page.items]
        if page.next is None:
            break
        cursor = page.next
    assert found == made[::-1]
    moved = replace(NORTH, name="新北区", path="/city/south/north/")
    monkeypatch.setitem(TwoDistricts.known, NORTH.id, moved)
    await breaches.organisations_changed()
    one = await breaches.one(admin, made[0])
    assert (one.org_name, one.org_path) == (moved.name, moved.path)
    with pytest.raises(NotFound):
        await breaches.one(await actor_of(governance, "north.officer"), made[0])


@given(st.text(max_size=300))
def test_paragraphs_are_printable_and_bounded(text: str) -> None:
    try:
        told = paragraphs(text, "a text", most=200)
    except Invalid:
        return
    assert 1 <= len(told) <= 200 and all(line.isprintable() for line in told.split("\n"))
    assert "\n\n\n" not in told and told == told.strip() == paragraphs(told, "a text", most=200)
