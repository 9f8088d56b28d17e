"""Baselines and drifts of devices (domain.md G24), over a real database and over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest

from anwang.governance import EVERYTHING, Scope
from anwang.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from anwang.registry import Answer, DriftChanged, DriftMetrics, Drifts, Fact, OrgKind, Registry, Seal
from anwang.registry.drift import Kind, Listed, Origin
from anwang.registry.drift.service import PAGE
from anwang.registry.drift.store import device_baselines
from anwang.runtime.clock import FakeClock
from anwang.stores.state import State
from tests.contract.test_governance import clock
from tests.governed import make_tables

__all__ = ["clock"]

GATEWAY = "gb28181"
CODE, OTHER = "34020000001180000001", "34020000001180000002"
VALUES = {"firmware": "V5.7", "channels": "4", "basic.name": "北门", "basic.heartbeat_interval_s": "60"}


@dataclass
class Yard:
    """Two adopted devices, of two districts."""

    state: State
    clock: FakeClock
    registry: Registry
    drifts: Drifts
    facts: list[Fact] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    ledger: list[tuple[str, str]] = field(default_factory=list)

    async def say(
        self, *, code: str = CODE, groups: tuple[str, ...] = ("", "basic"), off_s: float | None = None, **changed: str
    ) -> None:
        """A device answers; what is "" it does not say."""
        await self.clock.advance(60)
        values = {**VALUES, **{key.replace("__", "."): text for key, text in changed.items()}}
        said = {key: text for key, text in values.items() if text and key.rpartition(".")[0] in groups}
        answer = Answer(
            values=said, groups=frozenset(groups), clock_off_s=off_s, clock_at_us=self.clock.micros() if off_s else 0
        )
        await self.drifts.take(GATEWAY, code, answer)

    async def open(self, seen: Scope = EVERYTHING) -> dict[Kind, Listed]:
        page = await self.drifts.page(seen, is_open=True)
        return {one.drift.kind: one for one in page.items}

    async def accept(self, kind: Kind, *, seen: Scope = EVERYTHING, reason: str = "升级后确认") -> Listed:
        async def write(device: str, detail: str) -> None:
            self.ledger.append((device, detail))

        one = (await self.open())[kind]
        return await self.drifts.accept(seen, one.drift.id, by="admin.one", reason=reason, write=write)

    async def change_row(self, **values: Any) -> None:
        """What somebody does who can write the database."""
        async with self.state.begin() as tx:
            await tx.execute(
                sa.update(device_baselines).where(device_baselines.c.device == self.ids[CODE]).values(values)
            )


@pytest.fixture
async def yard(state: State, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Yard]:
    await make_tables(state)
    registry = Registry(state=state, clock=clock, folder=tmp_path / "registry", city="安澜市")
    await registry.load()
    facts: list[Fact] = []
    seal = Seal([b"k" * 32])
    drifts = Drifts(state=state, clock=clock, seal=seal, admission=registry.admission, announce=facts.append)
    made = Yard(state, clock, registry, drifts, facts)
    drifts.ask = lambda gateway, code: made.asked.append((gateway, code))
    for code, name in ((CODE, "北区"), (OTHER, "南区")):
        org = await registry.add_organisation(name=name, kind=OrgKind.DISTRICT)
        admission = await registry.meet(GATEWAY, code, address="10.0.0.2:5060", transport="udp")
        await registry.adopt(EVERYTHING, admission.id, org.id)
        made.ids[code], made.scopes[code] = admission.id, Scope.below(org.org_path)
    yield made
    await registry.close()


async def test_g24_the_first_answer_becomes_a_signed_baseline(yard: Yard) -> None:
    assert (await yard.drifts.of(EVERYTHING, yard.ids[CODE])).baseline is None
    await yard.say()
    found = await yard.drifts.of(EVERYTHING, yard.ids[CODE])
    assert found.baseline is not None and found.is_intact and found.open == ()
    assert (dict(found.baseline.values), found.baseline.origin) == (VALUES, Origin.FIRST_SEEN)
    assert (found.baseline.made_at, found.told_at, len(found.baseline.signature)) == (
        yard.clock.now(), yard.clock.now(), 64,
    )  # fmt: skip
    made_at = found.baseline.made_at
    await yard.say()
    again = await yard.drifts.of(EVERYTHING, yard.ids[CODE])
    assert again.baseline == found.baseline and again.told_at == yard.clock.now() != made_at
    assert yard.facts[-1:] != [DriftChanged], "nothing is announced"


async def test_g24_a_drift_opens_goes_on_and_closes_by_itself(yard: Yard) -> None:
    await yard.say()
    await yard.say(basic__name="别的")
    opened = (await yard.open())[Kind.SETTINGS]
    assert dict(opened.drift.changes) == {"basic.name": ("北门", "别的")} and opened.code == CODE
    await yard.say(basic__name="", basic__heartbeat_interval_s="3600")
    later = (await yard.open())[Kind.SETTINGS].drift
    assert (later.id, later.opened_at) == (opened.drift.id, opened.drift.opened_at)
    assert later.seen_at == yard.clock.now()
    assert dict(later.changes) == {"basic.heartbeat_interval_s": ("60", "3600"), "basic.name": ("北门", "")}
    await yard.say(groups=("",))
    assert dict((await yard.open())[Kind.SETTINGS].drift.changes) == dict(later.changes), "it said nothing of it"
    await yard.say()
    assert await yard.open() == {}
    [closed] = (await yard.drifts.page(EVERYTHING, is_open=False)).items
    assert (closed.drift.closed_at, closed.drift.closed_by, closed.drift.reason) == (yard.clock.now(), "", "")
    told = [(fact.kind, fact.is_open) for fact in yard.facts if isinstance(fact, DriftChanged)]
    assert told == [("settings", True), ("settings", False)], "opened and closed once each"


async def test_g24_firmware_channels_and_clock_are_kinds_of_their_own(yard: Yard) -> None:
    await yard.say(off_s=1.0)
    await yard.say(firmware="V9", channels="3", off_s=40.0)
    found = await yard.open()
    assert {kind: dict(one.drift.changes) for kind, one in found.items()} == {
        Kind.FIRMWARE: {"firmware": ("V5.7", "V9")},
        Kind.CHANNELS: {"channels": ("4", "3")},
        Kind.CLOCK: {"clock.off_s": ("0.0", "40.0")},
    }
    await yard.say(off_s=41.0)
    assert set(await yard.open()) == {Kind.CLOCK}, "between the bounds it stays what it was"
    await yard.say(off_s=2.0)
    assert await yard.open() == {}
    await yard.say(off_s=-90.0)
    await yard.accept(Kind.CLOCK, reason="设备不联网，时间由人工校准")
    await yard.say(off_s=-91.0)
    assert await yard.open() == {}, "so far off is right, because somebody said so"
    await yard.say(off_s=1.0)
    assert dict((await yard.open())[Kind.CLOCK].drift.changes) == {"clock.off_s": ("-90.0", "1.0")}
    text = generate_latest(_metrics(yard)).decode()
    assert 'anwang_device_drifts_total{kind="clock"} 3.0' in text
    assert 'anwang_device_drifts_total{kind="firmware"} 1.0' in text
    assert "anwang_device_configurations_total 7.0" in text


def _metrics(yard: Yard) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(DriftMetrics(yard.drifts))
    return registry


async def test_g24_accepting_makes_a_new_signed_baseline_and_a_row_of_the_ledger(yard: Yard) -> None:
    await yard.say()
    await yard.say(firmware="V9", basic__name="别的")
    with pytest.raises(Invalid):
        await yard.accept(Kind.FIRMWARE, reason=" x ")
    with pytest.raises(NotFound):
        await yard.accept(Kind.FIRMWARE, seen=yard.scopes[OTHER])
    assert yard.ledger == [] and len(await yard.open()) == 2
    done = await yard.accept(Kind.FIRMWARE, reason="  按计划 升级固件 ")
    assert (done.drift.closed_by, done.drift.reason) == ("admin.one", "按计划 升级固件")
    assert yard.ledger == [(yard.ids[CODE], "drift accepted: firmware: firmware V5.7 → V9; 按计划 升级固件")]
    found = await yard.drifts.of(EVERYTHING, yard.ids[CODE])
    assert found.baseline is not None and found.is_intact
    assert (found.baseline.origin, found.baseline.made_by) == (Origin.ACCEPTED, "admin.one")
    assert dict(found.baseline.values) == {**VALUES, "firmware": "V9"}
    assert [one.drift.kind for one in found.open] == [Kind.SETTINGS], "the other one waits for its own yes"
    with pytest.raises(Conflict):
        await yard.drifts.accept(EVERYTHING, done.drift.id, by="x", reason="再来一次", write=_never)
    await yard.say(firmware="V9")
    assert await yard.open() == {}


async def _never(device: str, detail: str) -> None:
    raise AssertionError("nothing is to be written")


async def test_g24_without_a_ledger_nothing_is_accepted(yard: Yard) -> None:
    async def full(device: str, detail: str) -> None:
        raise Unavailable("the ledger cannot be written")

    await yard.say()
    await yard.say(firmware="V9")
    one = (await yard.open())[Kind.FIRMWARE]
    with pytest.raises(Unavailable):
        await yard.drifts.accept(EVERYTHING, one.drift.id, by="admin.one", reason="升级固件", write=full)
    assert set(await yard.open()) == {Kind.FIRMWARE}
    baseline = (await yard.drifts.of(EVERYTHING, yard.ids[CODE])).baseline
    assert baseline is not None and baseline.values["firmware"] == "V5.7"


@pytest.mark.parametrize(
    "changed",
    [
        {"settings": {**VALUES, "firmware": "V9"}},
        {"origin": "accepted", "made_by": "admin.one"},
        {"signature": "0" * 64},
    ],
)
async def test_g24_a_row_changed_in_the_database_is_found(yard: Yard, changed: dict[str, Any]) -> None:
    await yard.say()
    assert await yard.drifts.review() == 0
    await yard.change_row(**changed)
    assert not (await yard.drifts.of(EVERYTHING, yard.ids[CODE])).is_intact
    assert await yard.drifts.review() == 1
    assert await yard.drifts.review() == 1 and await yard.drifts.count_broken() == 1, "told once"
    assert [fact.kind for fact in yard.facts if isinstance(fact, DriftChanged)] == ["baseline"]
    await yard.say(firmware="V9")
    assert set(await yard.open()) == {Kind.BASELINE}, "nothing is compared with what is not to be believed"
    await yard.accept(Kind.BASELINE, reason="数据库被改，重新取基线")
    assert yard.asked == [(GATEWAY, CODE)], "the device is asked at once"
    assert (await yard.drifts.of(EVERYTHING, yard.ids[CODE])).baseline is None
    await yard.say()
    found = await yard.drifts.of(EVERYTHING, yard.ids[CODE])
    assert found.baseline is not None and found.is_intact and await yard.drifts.count_broken() == 0


async def test_g24_into_a_changed_baseline_nothing_is_accepted(yard: Yard) -> None:
    await yard.say()
    await yard.say(firmware="V9")
    await yard.change_row(made_by="somebody")
    with pytest.raises(Conflict, match="changed in the database"):
        await yard.accept(Kind.FIRMWARE)
    assert yard.ledger == []


async def test_g24_an_answer_finds_a_changed_row_too(yard: Yard) -> None:
    await yard.say()
    await yard.change_row(settings={**VALUES, "firmware": "V9"})
    await yard.say(firmware="V9")
    assert set(await yard.open()) == {Kind.BASELINE}


async def test_g24_after_a_rotation_baselines_are_signed_anew(yard: Yard) -> None:
    await yard.say()
    both, alone = Seal([b"n" * 32, b"k" * 32]), Seal([b"n" * 32])
    rotated = Drifts(
        state=yard.state, clock=yard.clock, seal=both, admission=yard.registry.admission, announce=yard.facts.append
    )
    assert await rotated.review() == 0
    found = await rotated.of(EVERYTHING, yard.ids[CODE])
    assert found.baseline is not None and alone.fits(found.baseline), "the old key may go"


async def test_g24_drifts_are_seen_by_who_sees_the_device(yard: Yard) -> None:
    for code in (CODE, OTHER):
        await yard.say(code=code)
        await yard.say(code=code, firmware="V9", channels="1")
    north = yard.scopes[CODE]
    assert {one.code for one in (await yard.drifts.page(north)).items} == {CODE}
    assert await yard.drifts.count_open(north) == 2 and await yard.drifts.count_open(EVERYTHING) == 4
    with pytest.raises(NotFound):
        await yard.drifts.of(north, yard.ids[OTHER])
    found, cursor = [], None
    while True:
        page = await yard.drifts.page(EVERYTHING, limit=3, cursor=cursor)
        found += [one.drift.id for one in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert len(found) == 4 and found == sorted(found, reverse=True), "newest first, each once"
    one = await yard.drifts.page(EVERYTHING, device=yard.ids[OTHER])
    assert {each.code for each in one.items} == {OTHER}


async def test_g24_of_a_device_that_nobody_let_in_nothing_is_kept(yard: Yard) -> None:
    await yard.registry.refuse(EVERYTHING, yard.ids[CODE])
    await yard.say()
    await yard.say(code="34020000001189999999")
    async with yard.state.read() as tx:
        assert (await tx.execute(sa.select(sa.func.count()).select_from(device_baselines))).scalar_one() == 0


async def test_g24_all_baselines_are_looked_at(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anwang.registry.drift.service.PAGE", 1)
    for code in (CODE, OTHER):
        await yard.say(code=code)
    async with yard.state.begin() as tx:
        await tx.execute(sa.update(device_baselines).values(made_by="x"))
    assert await yard.drifts.review() == 2 and PAGE > 1
