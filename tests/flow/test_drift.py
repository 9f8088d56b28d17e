"""Devices are asked how they are set, and one that is set otherwise is noticed (domain.md G24), over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from anwang.gateways.gb28181 import Gb28181Gateway, KeptCalls
from anwang.governance import CITY, EVERYTHING
from anwang.registry import DriftChanged, Drifts, Fact, Policies, Registry, Seal
from anwang.registry.drift import Kind, Listed
from anwang.runtime.clock import FakeClock
from anwang.runtime.settings import Gb28181
from anwang.stores.state import State as Database
from anwang.stores.state import metadata
from anwang.wire import gb28181 as gb
from anwang.wire import sip
from tests.flow.test_gateway import SECRET, SERVER
from tests.flow.test_gateway_notices import RECORDER, Recorder


@dataclass
class Settings:
    """How a device is set."""

    firmware: str = "V5.7"
    channels: int = 4
    heartbeat_s: int = 60
    off_s: float = 0.0
    types: frozenset[str] = frozenset({"BasicParam", "FrameMirror"})
    mute: set[str] = field(default_factory=set)


class Camera(Recorder):
    """Answers by its settings; knows the platform's clock, so that its own can be off."""

    clock: FakeClock
    settings: Settings

    def answer(self, asked: gb.Manscdp) -> None:
        now, sets = self.clock.now(), self.settings
        head = {"sn": asked.sn, "device_id": asked.device_id}
        match asked:
            case gb.DeviceInfoQuery() if "info" not in sets.mute:
                self.tell(
                    gb.DeviceInfoResponse(
                        **head, is_ok=True, name="北门", manufacturer="ACME", model="IPC", firmware=sets.firmware,
                        channels=sets.channels, extra=(("SerialNumber", "A1"),),
                    )  # type: ignore[arg-type]
                )  # fmt: skip
            case gb.DeviceStatusQuery():
                at = now + timedelta(seconds=sets.off_s)
                self.tell(gb.DeviceStatusResponse(**head, is_ok=True, is_online=True, is_healthy=True, device_time=at))  # type: ignore[arg-type]
            case gb.ConfigQuery(kinds=("BasicParam",)) if "config" not in sets.mute:
                basic = gb.BasicParam(
                    name="北门", heartbeat_interval_s=sets.heartbeat_s, heartbeat_count=3,
                    extra=(("SIPServerIP", "10.0.0.1"), ("Password", "hunter2")),
                )  # fmt: skip
                self.tell(gb.ConfigResponse(**head, is_ok=True, basic=basic))  # type: ignore[arg-type]
            case gb.ConfigQuery(kinds=(kind,)) if "config" not in sets.mute:
                if kind in sets.types:
                    self.tell(gb.ConfigResponse(**head, is_ok=True, others=(gb.Node(kind, "0"),)))  # type: ignore[arg-type]
                else:
                    self.tell(gb.Outcome(**head, cmd_type="ConfigDownload", is_ok=False))  # type: ignore[arg-type]
            case gb.DeviceInfoQuery() | gb.ConfigQuery():
                return
            case _:
                super().answer(asked)

    def questions(self, kind: type[gb.Manscdp]) -> list[gb.Manscdp]:
        bodies = [one.body for one in self.asked if isinstance(one, sip.Request) and one.method == "MESSAGE"]
        return [message for message in map(gb.parse, bodies) if isinstance(message, kind)]


@dataclass
class Yard:
    """A gateway with its registry and its drifts, and one camera."""

    gateway: Gb28181Gateway
    registry: Registry
    drifts: Drifts
    clock: FakeClock
    facts: list[Fact]
    camera: Camera
    device: str = ""

    async def until(self, condition: object) -> None:
        async with asyncio.timeout(20):
            while not condition():  # type: ignore[operator]
                await asyncio.sleep(0.005)

    async def register(self, call: str) -> None:
        """Register anew, as after a restart, and wait for what it says of itself."""
        before = self.drifts.answers
        assert (await self.camera.register(RECORDER, call_id=call)).startswith(b"SIP/2.0 200")
        await self.until(lambda: self.registry.admission("gb28181", RECORDER))
        known = self.registry.admission("gb28181", RECORDER)
        assert known is not None
        if not self.device:
            self.device = known.id
            await self.registry.adopt(EVERYTHING, known.id, CITY)
            self.gateway.configurations.want(RECORDER)
        await self.heard(before)

    async def heard(self, before: int) -> None:
        async with asyncio.timeout(20):
            while self.drifts.answers == before or len(self.gateway.configurations.turns):
                await self.clock.advance(0.1)
                await asyncio.sleep(0.005)

    async def open(self) -> dict[Kind, Listed]:
        page = await self.drifts.page(EVERYTHING, is_open=True)
        return {one.drift.kind: one for one in page.items}

    async def values(self) -> dict[str, str]:
        standing = await self.drifts.of(EVERYTHING, self.device)
        assert standing.baseline is not None and standing.is_intact
        return dict(standing.baseline.values)


@asynccontextmanager
async def yard_in(tmp_path: Path) -> AsyncIterator[Yard]:
    database = await Database.open(f"sqlite:///{tmp_path}/state.db")
    async with database.begin() as tx:
        await tx.run_sync(metadata.create_all)
    clock, facts = FakeClock(), list[Fact]()
    registry = Registry(state=database, clock=clock, folder=tmp_path / "registry")
    await registry.load()
    seal = Seal([bytes(32)])
    drifts = Drifts(state=database, clock=clock, seal=seal, admission=registry.admission, announce=facts.append)
    gateway = Gb28181Gateway(
        settings=Gb28181(host="127.0.0.1", port=0, server_id=SERVER, receive_buffer_bytes=1 << 20),
        registry=registry,
        clock=clock,
        password_of=lambda device: SECRET,
        sip_host=lambda peer: "",
        adopt_under=lambda device: None,
        on_signal=lambda device, alarm: None,
        on_media_end=lambda dialog: None,
        kept=KeptCalls(state=database, clock=clock),
        on_configuration=lambda device, answer: drifts.take("gb28181", device, answer),
    )
    await gateway.open()
    running = asyncio.create_task(gateway.run())
    await asyncio.sleep(0)
    _, camera = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Camera(("127.0.0.1", gateway.port), RECORDER), local_addr=("127.0.0.1", 0)
    )
    camera.clock, camera.settings, camera.version = clock, Settings(), "3.0"
    try:
        yield Yard(gateway, registry, drifts, clock, facts, camera)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        camera.transport.close()
        gateway.close()
        await registry.close()
        await database.close()


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with yard_in(tmp_path) as made:
        yield made


async def test_g24_the_first_answer_is_the_baseline_and_another_one_a_drift(yard: Yard) -> None:
    await yard.register("one")
    assert await yard.values() == {
        "channels": "4", "firmware": "V5.7", "manufacturer": "ACME", "model": "IPC", "name": "北门",
        "serial_number": "A1", "basic.heartbeat_count": "3", "basic.heartbeat_interval_s": "60",
        "basic.name": "北门", "basic.sip_server_ip": "10.0.0.1", "mirror.value": "0",
    }  # fmt: skip
    assert await yard.open() == {}
    yard.camera.settings = Settings(firmware="V9", heartbeat_s=3600)
    await yard.register("two")
    found = await yard.open()
    assert {kind: dict(one.drift.changes) for kind, one in found.items()} == {
        Kind.FIRMWARE: {"firmware": ("V5.7", "V9")},
        Kind.SETTINGS: {"basic.heartbeat_interval_s": ("60", "3600")},
    }
    assert found[Kind.FIRMWARE].code == RECORDER
    told = [(fact.kind, fact.is_open) for fact in yard.facts if isinstance(fact, DriftChanged)]
    assert sorted(told) == [("firmware", True), ("settings", True)]
    yard.camera.settings = Settings()
    await yard.register("three")
    assert await yard.open() == {}, "it says again what it should"
    closed = (await yard.drifts.page(EVERYTHING, is_open=False)).items
    assert {(one.drift.kind, one.drift.closed_by) for one in closed} == {(Kind.FIRMWARE, ""), (Kind.SETTINGS, "")}


async def test_g24_a_clock_that_jumps_is_a_drift(yard: Yard) -> None:
    await yard.register("one")
    yard.camera.settings = Settings(off_s=35.0)
    await yard.register("two")
    before, after = (await yard.open())[Kind.CLOCK].drift.changes["clock.off_s"]
    assert before == "0.0" and float(after) == pytest.approx(35.0, abs=2.0), "its answer takes a moment"
    yard.camera.settings = Settings()
    await yard.register("three")
    assert await yard.open() == {}


async def test_g24_what_a_device_leaves_without_an_answer_is_not_asked_again(yard: Yard) -> None:
    yard.camera.settings = Settings(mute={"config"})
    await yard.register("one")
    assert len(yard.camera.questions(gb.ConfigQuery)) == 1, "what was not answered is not asked in eight more types"
    await yard.register("two")
    assert len(yard.camera.questions(gb.ConfigQuery)) == 1
    assert "firmware" in await yard.values(), "what it does answer counts"


async def test_g24_only_what_the_edition_has_is_asked_and_nobody_who_must_not(yard: Yard) -> None:
    yard.camera.version = "2.0"
    await yard.register("one")
    asked = [one.kinds for one in yard.camera.questions(gb.ConfigQuery) if isinstance(one, gb.ConfigQuery)]
    assert asked == [("BasicParam",), ("VideoParamOpt",)]
    await yard.registry.set_policies(EVERYTHING, yard.device, Policies(extra={"configuration": "no"}))
    infos = len(yard.camera.questions(gb.ConfigQuery))
    yard.gateway.configurations.want(RECORDER)
    await yard.until(lambda: not len(yard.gateway.configurations.turns))
    await asyncio.sleep(0.05)
    assert len(yard.camera.questions(gb.ConfigQuery)) == infos
