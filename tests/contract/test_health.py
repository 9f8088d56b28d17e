"""Health asks: a store that died or hangs is down in the tree, and costs nobody their answer."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import boto3
import pytest
from moto.server import ThreadedMotoServer

from anwang.app.engines import folders
from anwang.app.healthchecks import BusCheck, SipCheck, anchors, disk, objects, receiving
from anwang.governance import Entry
from anwang.runtime import machine
from anwang.runtime.clock import FakeClock, SystemClock
from anwang.runtime.settings import Settings, Stores
from anwang.stores.bus import LocalBus
from anwang.stores.bus.nats import NatsBus
from anwang.stores.objects import Objects
from anwang.web.health import Cause, Health, Probe, Status
from tests.conftest import listening, missing
from tests.ledgers import MemoryHeads, list_of, signed

SECRETS = {"access_key": "test-access", "secret_key": "test-secret"}


async def status_of(probe: Probe) -> Status:
    return (await probe.cause()).status


async def test_a_dead_object_store_is_down(tmp_path: Path) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=SECRETS["access_key"],
        aws_secret_access_key=SECRETS["secret_key"],
    )
    client.create_bucket(Bucket="city")
    client.close()
    store = Objects.open(
        f"s3://city?endpoint={quote(endpoint, safe='')}&region=us-east-1", spool=tmp_path / "spool", **SECRETS
    )
    probe = Probe("objects", lambda: objects(store), clock=SystemClock(), wait_s=20.0)
    assert await status_of(probe) is Status.OK
    assert (await store.list()).entries == ()  # it leaves nothing behind
    server.stop()
    assert await status_of(probe) is Status.DOWN
    store.close()


async def test_a_folder_that_cannot_be_written_is_down(tmp_path: Path) -> None:
    store = Objects.open(f"file://{tmp_path}/objects")
    probe = Probe("objects", lambda: objects(store), clock=SystemClock(), wait_s=20.0)
    assert await status_of(probe) is Status.OK
    shutil.rmtree(tmp_path / "objects")
    (tmp_path / "objects").write_text("a file where the folder was")
    assert await status_of(probe) is Status.DOWN
    store.close()


@contextmanager
def nats_server(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    program = shutil.which("nats-server")
    if program is None:
        missing("nats-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [program, "-js", "-a", "127.0.0.1", "-p", str(port), "-sd", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not listening(port):
            assert process.poll() is None
        yield f"nats://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


async def test_a_dead_bus_is_down(tmp_path: Path) -> None:
    with nats_server(tmp_path) as (url, process):
        bus = await NatsBus.open(url, stream="health")
        probe = Probe("bus", BusCheck(bus), clock=SystemClock(), wait_s=20.0)
        assert [await status_of(probe), await status_of(probe)] == [Status.OK, Status.OK]
        process.kill()
        process.wait()
        assert await status_of(probe) is Status.DOWN
        await bus.close()


async def test_the_bus_of_one_process_is_asked_and_keeps_nothing(tmp_path: Path) -> None:
    bus = await LocalBus.open(tmp_path)
    probe = Probe("bus", BusCheck(bus), clock=SystemClock())
    before = await bus.publish("events.note", b"1")
    assert [await status_of(probe), await status_of(probe)] == [Status.OK, Status.OK]
    assert await bus.publish("events.note", b"2") == before + 1
    await bus.close()
    assert await status_of(probe) is Status.DOWN


async def test_a_check_that_hangs_is_asked_once_and_holds_nobody_up() -> None:
    clock, asked, ends = FakeClock(), 0, asyncio.Event()

    async def stuck() -> Cause:
        nonlocal asked
        asked += 1
        await ends.wait()
        return Cause(name="store", status=Status.OK)

    health = Health(clock=clock, check_seconds=0.01)
    health.register("store", stuck)
    for _ in range(5):
        assert (await health.tree()).status is Status.DOWN
        await clock.advance(2.0)
    assert asked == 1
    ends.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await clock.advance(2.0)
    assert ((await health.tree()).status, asked) == (Status.OK, 2)


async def test_a_fresh_answer_is_given_again() -> None:
    clock, asked = FakeClock(), 0

    async def check() -> Cause:
        nonlocal asked
        asked += 1
        return Cause(name="x", status=Status.OK)

    probe = Probe("x", check, clock=clock, fresh_s=5.0)
    for _ in range(3):
        await probe.cause()
        await clock.advance(2.0)
    assert asked == 1
    await probe.cause()
    assert asked == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
async def test_the_sip_port_is_looked_at(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), host, 0)
    port = server.sockets[0].getsockname()[1]
    check = SipCheck(host, lambda: port, buffer_bytes=lambda: 1000)
    udp, tcp = await check()
    assert (udp.status, tcp.status) == (Status.DOWN, Status.OK)
    with socket.socket(family, socket.SOCK_DGRAM) as bound, socket.socket(family, socket.SOCK_DGRAM) as sender:
        bound.bind((host, port))
        udp, _ = await check()
        assert udp.status is Status.OK
        sender.sendto(b"x" * 900, ("::1" if ":" in host else host, port))  # and nobody reads it
        udp, _ = await check()
        assert (udp.status, udp.detail.split()[0] != "0") == (Status.DEGRADED, True)
    server.close()
    await server.wait_closed()
    assert [cause.status for cause in await check()] == [Status.DOWN, Status.DOWN]


async def test_every_file_system_in_use_is_looked_at(tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm") / tmp_path.name
    settings = Settings(
        data=str(tmp_path / "data"),
        stores=Stores(objects_url=f"file://{elsewhere}", media_url=f"sqlite:///{tmp_path}/index/media.db"),
    )
    used = folders(settings)
    assert used["objects"] == elsewhere
    assert used["media index"] == tmp_path / "index"
    found = await disk(used, 1)
    assert found.status is Status.OK
    looked_at = {machine.mount_of(Path(part.name))[1] for part in found.causes}
    assert looked_at == {machine.mount_of(folder)[1] for folder in used.values()}
    found = await disk(used, 1 << 60)
    assert found.status is Status.DEGRADED
    assert {part.status for part in found.causes} == {Status.DEGRADED}


def test_the_last_fault_of_receiving_stands_in_the_tree() -> None:
    assert receiving(None, 0) == []
    (cause,) = receiving(("Connection refused", 12.4), 3)
    assert (cause.name, cause.status) == ("receiving", Status.OK)
    assert cause.detail == "the last fault of 3: Connection refused, 12 s ago"


async def test_an_anchor_that_is_late_or_cannot_be_made_degrades(tmp_path: Path) -> None:
    clock = FakeClock()
    ledger = await signed(tmp_path, MemoryHeads(), clock=clock)
    assert anchors(ledger, clock.micros()) == Cause(name="anchors", status=Status.OK, detail="none was made yet")
    await ledger.append(Entry(kind="opened"))
    await ledger._anchor()
    await clock.advance(1800)
    fresh = anchors(ledger, clock.micros())
    assert (fresh.status, fresh.detail) == (Status.OK, "the last one is 30 min old")
    await clock.advance(3 * 3600)
    assert anchors(ledger, clock.micros()).status is Status.DEGRADED
    list_of(tmp_path).unlink()
    list_of(tmp_path).mkdir()
    await ledger._anchor()
    failed = anchors(ledger, clock.micros())
    assert (failed.status, "cannot be written" in failed.detail) == (Status.DEGRADED, True)
    await ledger.close()
