"""Filing of video systems (domain.md G16), over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from anwang.app.equipment import RegistryEquipment
from anwang.governance import EVERYTHING, Action, Devices, Duties, Governance, Organisation, Role, Spot
from anwang.governance.duties.model import FilingState, Regime, What, by_system, due_on
from anwang.governance.duties.service import Standing, Wanted
from anwang.governance.http import duties as duties_http
from anwang.kernel.errors import Conflict, Denied, Invalid, NotFound
from anwang.kernel.ids import OrgId
from anwang.kernel.times import BEIJING
from anwang.registry import CatalogueItem, OrgKind, Registry, as_table
from anwang.registry.sheets import Book
from anwang.runtime.clock import FakeClock
from anwang.stores.state import State
from anwang.web.api import build_api
from anwang.web.health import Health
from tests.contract.test_governance import clock
from tests.governed import NORTH, SOUTH, account, actor_of, everyone, governed, make_tables, token_of

__all__ = ["clock"]

GATE = Organisation(id=OrgId("gate"), name="北门街道", path="/city/north/gate/")


class Yard:
    """Equipment that tests put up and take down."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, int]] = {NORTH.path: {"camera": 3}, GATE.path: {"camera": 2, "checkpoint": 1}}
        self.known = {one.id: one for one in (NORTH, SOUTH, GATE)}

    async def counted(self) -> Mapping[str, Devices]:
        """See Equipment."""
        return self.counts

    async def spots(self, org_path: str, besides: Sequence[str], limit: int) -> Sequence[Spot]:
        """See Equipment."""
        return [
            Spot(path, "北门路 1 号", kind, count)
            for path, devices in self.counts.items()
            if path.startswith(org_path) and not any(path.startswith(other) for other in besides)
            for kind, count in devices.items()
        ][:limit]

    async def place(self, org_id: OrgId) -> Organisation | None:
        """An organisation."""
        return self.known.get(org_id)


@pytest.fixture
async def governance(state: State, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Governance]:
    async with governed(state, tmp_path, clock) as opened:
        await everyone(opened)
        await opened.seed([account("north.admin", Role.ADMINISTRATOR, NORTH.id)])
        yield opened


@pytest.fixture
def yard() -> Yard:
    return Yard()


@pytest.fixture
def duties(state: State, clock: FakeClock, governance: Governance, yard: Yard) -> Duties:
    return Duties(state=state, clock=clock, write=governance.note_deed, place=yard.place, equipment=yard)


def wanted(clock: FakeClock, *, days_ago: int = 10, **other: object) -> Wanted:
    in_use_on = clock.now().astimezone(BEIJING).date() - timedelta(days=days_ago)
    plain = Wanted(
        name="北区公共视频",
        org_id=NORTH.id,
        regime=Regime.ART7,
        legal_basis="条例第七条",
        in_use_on=in_use_on,
        retention_days=30,
        contact="李明 022-12345678",
    )
    return replace(plain, **other)  # type: ignore[arg-type]  # fields of Wanted


async def told(governance: Governance) -> list[str]:
    reader = await actor_of(governance, "audit_administrator.one")
    page = await governance.read_ledger(reader, cursor=None, limit=200, kind="changed")
    return [row.detail for _, row in page.rows if row.action == Action.MANAGE_DUTIES][::-1]


async def filed(duties: Duties, governance: Governance, one: Standing) -> Standing:
    assert isinstance(duties.clock, FakeClock)
    await duties.clock.advance(1)
    admin = await actor_of(governance, "administrator.one")
    form = await duties.make_form(admin, one.system.id)
    await duties.file(admin, form.id, receipt_no="津公备 1", filed_on=duties.today())
    return await duties.one(admin, one.system.id)


@pytest.mark.parametrize(
    ("in_use_on", "due"),
    [
        (date(2025, 4, 1), date(2025, 5, 1)),
        (date(2026, 11, 30), date(2026, 12, 30)),
        (date(2025, 3, 31), date(2025, 6, 30)),
        (date(2009, 1, 1), date(2025, 6, 30)),
    ],
)
def test_g16_thirty_days_and_ninety_for_what_was_there_before(in_use_on: date, due: date) -> None:
    assert due_on(in_use_on) == due


def test_g16_devices_belong_to_the_nearest_system_above_them() -> None:
    counted = {"/": {"camera": 1}, "/a/": {"camera": 2}, "/a/b/": {"sensor": 3}, "/ab/": {"camera": 9}}
    assert by_system(counted, ["/", "/a/"]) == {
        "/": {"city": {"camera": 1}, "ab": {"camera": 9}},
        "/a/": {"a": {"camera": 2}, "b": {"sensor": 3}},
    }
    assert by_system(counted, ["/a/b/"]) == {"/a/b/": {"b": {"sensor": 3}}}


async def test_g16_the_clock_runs_from_the_day_of_being_put_into_use(
    duties: Duties, governance: Governance, clock: FakeClock
) -> None:
    admin = await actor_of(governance, "administrator.one")
    made = await duties.add(admin, wanted(clock, days_ago=18))
    assert made.devices == {"camera": 5, "checkpoint": 1}
    assert (made.filing.state, made.filing.days_left(duties.today())) == (FilingState.DUE, 12)
    await clock.advance(12 * 86_400.0)
    admin = await actor_of(governance, "administrator.one")
    last = (await duties.one(admin, made.system.id)).filing
    assert (last.state, last.days_left(duties.today())) == (FilingState.DUE, 0), "the last day counts"
    await clock.advance(86_400.0)
    admin = await actor_of(governance, "administrator.one")
    over = (await duties.one(admin, made.system.id)).filing
    assert (over.state, over.days_left(duties.today())) == (FilingState.OVERDUE, -1)


async def test_g16_what_was_filed_is_what_the_form_said(
    duties: Duties, governance: Governance, yard: Yard, clock: FakeClock
) -> None:
    admin = await actor_of(governance, "administrator.one")
    made = await duties.add(admin, wanted(clock))
    form = await duties.make_form(admin, made.system.id)
    yard.counts[GATE.path] = {"camera": 4}
    done = await duties.file(admin, form.id, receipt_no=" 津公备  2026-17 ", filed_on=duties.today())
    assert (done.receipt_no, done.filed.devices) == ("津公备 2026-17", {"camera": 5, "checkpoint": 1})
    found = (await duties.one(admin, made.system.id)).filing
    assert found.state is FilingState.CHANGED
    assert [(each.what, each.kind, each.before, each.now) for each in found.changes] == [
        (What.DEVICES, "camera", "5", "7"),
        (What.DEVICES, "checkpoint", "1", "0"),
    ]
    kept, spots = await duties.form(admin, form.id)
    assert (kept, sum(spot.count for spot in spots)) == (done, 6)
    await clock.advance(1)
    again = await filed(duties, governance, made)
    assert (again.filing.state, again.filing.form and again.filing.form.filed.total) == (FilingState.FILED, 7)
    page = await duties.forms(admin, made.system.id, cursor="", limit=1)
    rest = await duties.forms(admin, made.system.id, cursor=page.next or "", limit=1)
    assert [each.receipt_no for each in (*page.items, *rest.items)] == ["津公备 1", "津公备 2026-17"]
    await duties.file(admin, form.id, receipt_no="津公备 2026-71", filed_on=duties.today())  # a slip is put right
    assert (await duties.one(admin, made.system.id)).filing == again.filing, "the newer form says what is filed"
    assert [line.partition(":")[0].partition(" on ")[0] for line in await told(governance)] == [
        "video system entered", "filing form made", "filed", "filing form made", "filed", "filed",
    ]  # fmt: skip


async def test_g16_each_change_of_what_was_filed_shows(
    duties: Duties, governance: Governance, yard: Yard, clock: FakeClock
) -> None:
    admin = await actor_of(governance, "administrator.one")
    made = await filed(duties, governance, await duties.add(admin, wanted(clock)))
    other = wanted(clock, retention_days=90, contact="王芳 022-87654321", name="北区视频网", legal_basis="另有依据")
    changed = await duties.change(admin, made.system.id, other, version=made.system.version)
    assert [each.what for each in changed.filing.changes] == [What.NAME, What.CONTACT, What.RETENTION]
    with pytest.raises(Conflict):
        await duties.change(admin, made.system.id, other, version=made.system.version)
    made = await filed(duties, governance, changed)
    yard.counts = {NORTH.path: {"camera": 4}, GATE.path: {"camera": 1, "checkpoint": 1}}
    assert [each.what for each in (await duties.one(admin, made.system.id)).filing.changes] == [What.PLACES]
    yard.known[NORTH.id] = Organisation(id=NORTH.id, name="新北区", path="/city/new/north/")
    yard.counts = {"/city/new/north/": {"camera": 3}, "/city/new/north/gate/": {"camera": 2, "checkpoint": 1}}
    await duties.organisations_changed()
    moved = await duties.one(admin, made.system.id)
    assert (moved.system.org_path, [each.what for each in moved.filing.changes]) == ("/city/new/north/", [What.UNIT])


async def test_g16_the_list_begins_with_what_presses_most(
    duties: Duties, governance: Governance, yard: Yard, clock: FakeClock
) -> None:
    admin = await actor_of(governance, "administrator.one")
    regimes = [Regime.ART7, Regime.ART7, Regime.ART9, Regime.ART7, Regime.ART7, Regime.NONPUBLIC]
    ages = [2, 40, 40, 5, 50, 10]
    for number, (regime, age) in enumerate(zip(regimes, ages, strict=True)):
        unit = Organisation(id=OrgId(f"u{number}"), name=f"单位{number}", path=f"/city/south/u{number}/")
        yard.known[unit.id] = unit
        await clock.advance(1)
        await duties.add(admin, wanted(clock, days_ago=age, org_id=unit.id, regime=regime, name=f"系统{number}"))
    found, cursor = [], ""
    while True:
        page = await duties.page(admin, states=[], cursor=cursor, limit=2)
        found += [(each.system.name, each.filing.state.value) for each in page.items]
        if page.next is None:
            break
        cursor = page.next
    assert found == [
        ("系统4", "overdue"), ("系统1", "overdue"), ("系统3", "due"), ("系统0", "due"), ("系统2", "not_needed"),
        ("系统5", "not_needed"),
    ]  # fmt: skip
    chosen = await duties.page(admin, states=[FilingState.OVERDUE], cursor="", limit=10)
    assert [each.system.name for each in chosen.items] == ["系统4", "系统1"]
    await duties.turn()
    assert duties.overdue == 2
    with pytest.raises(Conflict, match="not filed"):
        await duties.make_form(admin, (await duties.page(admin, states=[], cursor="", limit=9)).items[-1].system.id)


async def test_g16_who_may_read_and_write_and_where(
    duties: Duties, governance: Governance, yard: Yard, clock: FakeClock
) -> None:
    admin, north = await actor_of(governance, "administrator.one"), await actor_of(governance, "north.admin")
    south = await duties.add(admin, wanted(clock, org_id=SOUTH.id))
    made = await duties.add(north, wanted(clock))
    assert [each.system.id for each in (await duties.page(north, states=[], cursor="", limit=9)).items] == [
        made.system.id
    ]
    for refused in (duties.one(north, south.system.id), duties.remove(north, south.system.id)):
        with pytest.raises(NotFound):
            await refused
    with pytest.raises(NotFound):
        await duties.add(north, wanted(clock, org_id=SOUTH.id))
    form = await duties.make_form(admin, south.system.id)
    with pytest.raises(NotFound):
        await duties.form(north, form.id)
    with pytest.raises(NotFound):
        await duties.file(north, form.id, receipt_no="1", filed_on=duties.today())
    for role in Role:
        actor = await actor_of(governance, f"{role.value}.one")
        reads = role in (Role.ADMINISTRATOR, Role.AUDIT, Role.OFFICER)
        if reads:
            assert len((await duties.page(actor, states=[], cursor="", limit=9)).items) == 2
        else:
            with pytest.raises(Denied):
                await duties.page(actor, states=[], cursor="", limit=9)
        if role is not Role.ADMINISTRATOR:
            with pytest.raises(Denied):
                await duties.remove(actor, made.system.id)
    await duties.remove(admin, south.system.id)
    with pytest.raises(NotFound):
        await duties.one(admin, south.system.id)
    await duties.add(admin, wanted(clock, org_id=SOUTH.id))


async def test_g16_the_form_is_taken_away_as_a_table_and_as_a_page(
    duties: Duties, governance: Governance, yard: Yard, clock: FakeClock, tmp_path: Path
) -> None:
    app = build_api(
        governance=governance,
        routers=[
            duties_http.build_router(
                duties_http.Register(duties=duties, as_table=as_table, exported=governance.note_export)
            )
        ],
        health=Health(clock=clock),
        metrics=CollectorRegistry(),
        describe=list,
    )
    headers = {"authorization": f"Bearer {await token_of(governance, 'administrator.one')}"}
    asked = {
        "name": "<b>=1+1</b>", "organisation": NORTH.id, "regime": "art7", "legal_basis": "条例第七条",
        "in_use_on": duties.today().isoformat(), "retention_days": 30, "contact": "=cmd()",
    }  # fmt: skip
    yard.counts = {NORTH.path: {"camera": 3}, GATE.path: {"camera": 20_001}}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://site/api/v1", headers=headers
    ) as client:
        made = (await client.post("/video-systems", json=asked)).json()
        assert (made["total"], made["filing"]) == (
            20_004,
            {
                "state": "due", "due_on": (duties.today() + timedelta(days=30)).isoformat(), "days_left": 30,
                "receipt_no": "", "filed_on": None, "changes": [],
            },
        )  # fmt: skip
        for field, value in (("in_use_on", "30.11.2026"), ("regime", "art8"), ("more", 1)):
            assert (await client.post("/video-systems", json=asked | {field: value})).status_code == 400
        form = (await client.post(f"/video-systems/{made['id']}/forms")).json()
        receipt = {"receipt_no": "津公备 1", "filed_on": duties.today().isoformat()}
        assert (await client.put(f"/filing-forms/{form['id']}/receipt", json=receipt)).json() == form | receipt
        assert (await client.get("/video-systems")).json()["items"][0]["filing"]["state"] == "filed"
        path = f"/filing-forms/{form['id']}/form"
        table = await client.get(f"{path}.csv")
        lines = table.content.decode("utf-8-sig").splitlines()
        assert {"公共安全视频图像信息系统备案表,,,", "联系方式,'=cmd(),,", "采集设备总数,20004,,"} <= set(lines)
        assert "/city/north/gate/,北门路 1 号,摄像机,20001" in lines
        book = await client.get(f"{path}.xlsx")
        (tmp_path / "form.xlsx").write_bytes(book.content)
        opened = Book(tmp_path / "form.xlsx")
        rows = list(opened.rows())
        opened.close()
        assert ["采集设备总数", "20004"] in rows and ["备案回执编号", "津公备 1"] in rows
        page = await client.get(f"{path}.html")
        assert "&lt;b&gt;=1+1&lt;/b&gt;" in page.text and "<b>" not in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert (await client.get(f"{path}.pdf")).status_code == 400
        assert (await client.delete(f"/video-systems/{made['id']}")).status_code == 204
        assert (await client.get(f"{path}.csv")).status_code == 404
    reader = await actor_of(governance, "audit_administrator.one")
    rows_told = (await governance.read_ledger(reader, cursor=None, limit=50, kind="exported")).rows
    assert [row.detail.rpartition(".")[2] for _, row in rows_told][::-1] == ["csv", "xlsx", "html"]


async def test_g16_devices_are_counted_where_they_are(state: State, tmp_path: Path, clock: FakeClock) -> None:
    await make_tables(state)
    registry = Registry(state=state, clock=clock, folder=tmp_path / "registry", city="安澜市")
    await registry.load()
    north = await registry.add_organisation(name="北区", kind=OrgKind.DISTRICT)
    gate = await registry.add_organisation(name="北门街道", kind=OrgKind.TOWN, parent=north.id)
    for number, (org, state_of, address) in enumerate(
        [(north, "in_use", "甲路"), (gate, "in_use", "乙路"), (gate, "repair", "乙路"), (gate, "planned", "乙路"),
         (gate, "removed", "丙路")]
    ):  # fmt: skip
        nvr = f"3402000000118000000{number}"
        device = await registry.meet("gb28181", nvr, address="10.0.0.2:5060", transport="udp")
        code = f"3402000000132000000{number}"
        item = CatalogueItem(channel_id=code, name=f"点{number}", at_us=registry.now_us(), is_on=True)
        await registry.reconcile(device.id, [item], complete=True)
        await registry.adopt(EVERYTHING, device.id, org.id)
        [view] = await registry.by_code(EVERYTHING, code)
        changes = {"lifecycle": state_of, "address": address}
        await registry.edit_point(EVERYTHING, view.point.id, changes, version=view.point.version, by="test")
    equipment = RegistryEquipment(registry)
    assert await equipment.counted() == {north.org_path: {"camera": 1}, gate.org_path: {"camera": 2}}
    every = [Spot("北区", "甲路", "camera", 1), Spot("北门街道", "乙路", "camera", 2)]
    assert await equipment.spots(north.org_path, [], 10) == every
    assert await equipment.spots(north.org_path, [gate.org_path], 10) == every[:1]
    assert await equipment.spots(north.org_path, [], 1) == every[:1]


async def test_g16_what_cannot_be_is_refused(duties: Duties, governance: Governance, clock: FakeClock) -> None:
    admin = await actor_of(governance, "administrator.one")
    wrong: list[dict[str, object]] = [
        {"retention_days": 29}, {"retention_days": 4000}, {"regime": Regime.ART9, "retention_days": 0},
        {"in_use_on": date(1979, 12, 31)}, {"in_use_on": duties.today() + timedelta(days=2000)}, {"name": "  "},
        {"legal_basis": ""}, {"contact": "x" * 201},
    ]  # fmt: skip
    for each in wrong:
        with pytest.raises(Invalid):
            await duties.add(admin, wanted(clock, **each))
    with pytest.raises(NotFound):
        await duties.add(admin, wanted(clock, org_id=OrgId("nowhere")))
    made = await duties.add(admin, wanted(clock))
    with pytest.raises(Conflict, match="already"):
        await duties.add(admin, wanted(clock))
    form = await duties.make_form(admin, made.system.id)
    for number, day in (("", duties.today()), ("1", duties.today() + timedelta(days=1)), ("1", date(2025, 3, 31))):
        with pytest.raises(Invalid):
            await duties.file(admin, form.id, receipt_no=number, filed_on=day)
