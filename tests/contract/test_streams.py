"""A sub stream is known where there is one: of an RTSP source with its address, of a channel whose list names it."""

from __future__ import annotations

import asyncio
import os

import pytest

from anwang.gateways.rtsp import NAME, RtspGateway, Source
from anwang.governance import EVERYTHING
from anwang.registry import CatalogueItem, Organisation, OrgKind, Registry, device_key
from anwang.registry.store import channels, points
from anwang.runtime.clock import FakeClock
from anwang.runtime.secrets import MasterKey, Sealer
from anwang.stores.state import State as Database
from tests.contract.test_registry import CAMERAS, adopted, clock, item, registry

__all__ = ["clock", "registry"]


@pytest.fixture
async def city(registry: Registry) -> Organisation:
    return await registry.add_organisation(name="安澜市", kind=OrgKind.CITY)


async def test_an_rtsp_source_has_a_sub_stream_as_long_as_it_has_its_address(
    registry: Registry, city: Organisation, clock: FakeClock, state: Database
) -> None:
    sealer = Sealer([MasterKey(os.urandom(4), os.urandom(32))])
    gateway = RtspGateway(state=state, registry=registry, sealer=sealer, clock=clock)
    source = Source(code="gate", url_main="rtsp://10.0.0.1/main", url_sub="rtsp://10.0.0.1/sub")
    await gateway.put(source, name="大门", org=city.id)
    point = await registry.point_of_channel(NAME, "gate", "gate")
    assert point
    assert (await registry.address_of(point)).streams == ("main", "sub")
    await clock.advance(1)
    await gateway.change(Source(code="gate", url_main=source.url_main))
    assert (await registry.address_of(point)).streams == ("main",)
    view = await registry.point(EVERYTHING, point)
    assert (view.point.name, view.point.version) == ("大门", 2)


async def test_a_source_that_is_reached_again_no_longer_stands_as_refused(
    registry: Registry, city: Organisation, clock: FakeClock, state: Database
) -> None:
    """It was online by its answers, with a red mark beside it for the one that had failed before."""
    sealer = Sealer([MasterKey(os.urandom(4), os.urandom(32))])
    gateway = RtspGateway(state=state, registry=registry, sealer=sealer, clock=clock)
    await gateway.put(Source(code="gate", url_main="rtsp://10.0.0.1/main"), name="大门", org=city.id)
    told = []
    for ok, detail in [(False, "Connection refused"), (True, "it answers"), (True, "it answers"), (False, "no route")]:
        await clock.advance(1)
        gateway.note_reached("gate", ok, detail)
        live = registry.live.explain_device(device_key(NAME, "gate"), clock.micros())
        registration, keepalive, _ = live.evidence
        age_s = [None if one.at_us is None else (clock.micros() - one.at_us) // 1_000_000 for one in live.evidence]
        told.append((registration.ok, registration.detail, keepalive.ok, age_s[:2]))
    assert told == [
        (False, "Connection refused", False, [0, None]),
        (True, "it answers", True, [0, 0]),
        (True, "it answers", True, [1, 0]),
        (False, "no route", True, [0, 1]),
    ]


async def test_a_new_source_is_reached_at_once(
    registry: Registry, city: Organisation, clock: FakeClock, state: Database
) -> None:
    """The first probe once came before the registry knew the device, and nothing was heard of it for a minute."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sealer = Sealer([MasterKey(os.urandom(4), os.urandom(32))])
    gateway = RtspGateway(state=state, registry=registry, sealer=sealer, clock=clock, probe_seconds=3600)
    running = asyncio.create_task(gateway.run())
    try:
        await asyncio.sleep(0)  # it waits for what is new
        await gateway.put(Source(code="gate", url_main=f"rtsp://127.0.0.1:{port}/main"), name="大门", org=city.id)
        async with asyncio.timeout(20):
            while not registry.live.explain_device(device_key(NAME, "gate"), clock.micros()).evidence[1].ok:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        server.close()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_source_from_before_streams_were_told_is_listed_again_when_the_gateway_starts(
    registry: Registry, city: Organisation, clock: FakeClock, state: Database
) -> None:
    sealer = Sealer([MasterKey(os.urandom(4), os.urandom(32))])
    gateway = RtspGateway(state=state, registry=registry, sealer=sealer, clock=clock, watched=lambda: {"gate"})
    await gateway.put(
        Source(code="gate", url_main="rtsp://10.0.0.1/main", url_sub="rtsp://10.0.0.1/sub"), name="大门", org=city.id
    )
    point = await registry.point_of_channel(NAME, "gate", "gate")
    assert point
    async with state.begin() as tx:
        await tx.execute(points.update().values(streams="main"))
        await tx.execute(channels.update().values(about={}))
    running = asyncio.create_task(gateway.run())
    async with asyncio.timeout(20):
        while (await registry.address_of(point)).streams == ("main",):
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_a_catalogue_newly_says_of_streams_reaches_the_point_and_a_person_s_word_stays(
    registry: Registry, city: Organisation, clock: FakeClock
) -> None:
    device = await adopted(registry, city, CAMERAS[:1])
    point = await registry.point_of_channel("gb28181", "34020000001180000001", CAMERAS[0])
    assert point

    async def listed() -> tuple[str, ...]:
        await clock.advance(10)
        news = CatalogueItem(channel_id=CAMERAS[0], name="x", at_us=clock.micros(), file={"streams": "main,sub"})
        await registry.reconcile(device, [news], complete=True)
        return (await registry.address_of(point)).streams

    assert (await registry.address_of(point)).streams == ("main",)
    assert await listed() == ("main", "sub")
    [change] = (await registry.versions(EVERYTHING, point)).items
    assert (change.by, dict(change.changes)) == ("gb28181", {"streams": ("main", "main,sub")})
    await registry.edit_point(EVERYTHING, point, {"streams": "main"}, version=change.version, by="tester")
    assert await listed() == ("main",)


async def test_an_imported_point_that_is_connected_takes_the_streams_of_its_channel(
    registry: Registry, city: Organisation, clock: FakeClock, state: Database
) -> None:
    await adopted(registry, city, CAMERAS[:1])
    point = await registry.point_of_channel("gb28181", "34020000001180000001", CAMERAS[0])
    assert point
    async with state.begin() as tx:  # as an import leaves it
        await tx.execute(points.update().values(gateway=None, device_id=None, channel_id=None))
    other = await registry.meet("gb28181", "34020000001180000002", address="b:1", transport="udp")
    news = item(CAMERAS[0], clock.micros(), file={"streams": "main,sub"})
    await registry.reconcile(other.id, [news], complete=True)
    _, made = await registry.adopt(EVERYTHING, other.id, city.id)
    assert made.points == ()
    assert (await registry.address_of(point)).streams == ("main", "sub")
