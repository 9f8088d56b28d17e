"""The cause tree of /api/v1/health: stores, SIP, media, disk, time source, kernel buffers, ledger.

Every store is asked something that it can only answer when it works. Answers are kept for some seconds, and a check
that hangs is not asked again beside itself, so that a stuck store costs health one task and nobody an answer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from anwang.app.engines import folders
from anwang.governance import Ledger, LedgerCopy
from anwang.kernel.errors import Unavailable
from anwang.registry import Drifts
from anwang.runtime import machine
from anwang.stores.bus import Bus
from anwang.stores.objects import Objects
from anwang.stores.series import Series
from anwang.stores.state import State
from anwang.web.health import Cause, Check, Probe, Status, worst

if TYPE_CHECKING:
    from anwang.app.build import Platform

STORE_SECONDS = 2.0
"""How long one store may take; below what a whole branch may."""
FRESH_SECONDS = 5.0
PROBE_KEY = "health/probe"
PROBE_SUBJECT = "health.probe"
LARGE_OFFSET_US = 100_000
LATE_ANCHOR_SECONDS = 2 * 3600.0
FULL_QUEUE = 0.5
"""Share of a receive buffer that may be waiting before signalling counts as late."""


def register(platform: Platform) -> None:
    """Add every branch to the platform's health."""
    health, clock = platform.health, platform.clock

    def probe(name: str, check: Check) -> Probe:
        return Probe(name, check, clock=clock, wait_s=STORE_SECONDS, fresh_s=FRESH_SECONDS)

    stores = platform.stores
    asked = [
        probe("state", lambda: state(stores.state, "state")),
        probe("media index", lambda: state(stores.media, "media index")),
        probe("series", lambda: series(stores.series)),
        probe("objects", lambda: objects(stores.objects)),
        probe("bus", BusCheck(stores.bus)),
    ]
    disks = probe("disk", lambda: disk(folders(platform.settings), platform.settings.media.free_bytes_floor))
    health.register("stores", lambda: _all("stores", asked))
    health.register("ledger", lambda: _ledger(platform))
    baselines = probe("baselines", lambda: _baselines(platform.drifts))
    health.register("baselines", baselines.cause, vital=False)
    health.register("media", lambda: _media(platform))
    health.register("disk", disks.cause, vital=False)
    health.register("time", _time, vital=False)
    health.register("kernel", lambda: _kernel(platform), vital=False)
    if platform.gateway is not None:
        sockets = platform.gateway.sockets
        host, port = platform.settings.gb28181.host, lambda: sockets.port
        signalling = SipCheck(host, port, buffer_bytes=lambda: sockets.receive_buffer_bytes)
        taken = probe("sip", lambda: _sip(platform, signalling))
        health.register("sip", taken.cause)


def _joined(name: str, parts: list[Cause]) -> Cause:
    status = worst(parts)
    if len(parts) == 1:
        return Cause(name=name, status=status, detail=parts[0].detail, causes=parts)
    detail = "; ".join(
        f"{p.name}: {p.detail}" for p in parts if p.status is status and p.detail and status is not Status.OK
    )
    return Cause(name=name, status=status, detail=detail, causes=parts)


async def _all(name: str, probes: list[Probe]) -> Cause:
    return _joined(name, list(await asyncio.gather(*(probe.cause() for probe in probes))))


async def state(store: State, name: str) -> Cause:
    """A SQL database answers a query."""
    async with store.read() as tx:
        await tx.execute(sa.text("SELECT 1"))
    return Cause(name=name, status=Status.OK, detail="SQLite" if store.is_sqlite else "PostgreSQL")


async def series(store: Series) -> Cause:
    """The series engine answers a query."""
    await store.query("SELECT 1")
    return Cause(name="series", status=Status.OK)


async def objects(store: Objects) -> Cause:
    """An object can be written, listed, read and deleted."""
    written = os.urandom(16)
    await store.put(PROBE_KEY, written)
    listed = await store.list(PROBE_KEY.partition("/")[0], limit=1)
    if not listed.entries or await store.get(PROBE_KEY) != written:
        raise Unavailable("the object store does not give back what it took")
    await store.delete([PROBE_KEY])
    return Cause(name="objects", status=Status.OK)


class BusCheck:
    """A question goes through the bus and comes back; nothing of it is kept there."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._serves = False

    async def __call__(self) -> Cause:
        if not self._serves:
            await self._bus.serve(PROBE_SUBJECT, _echo)
            self._serves = True
        asked = os.urandom(8)
        if await self._bus.request(PROBE_SUBJECT, asked, timeout_s=STORE_SECONDS) != asked:
            raise Unavailable("the bus answers something else than it was asked")
        return Cause(name="bus", status=Status.OK)


async def _echo(payload: bytes) -> bytes:
    return payload


async def _ledger(platform: Platform) -> Cause:
    ledger = platform.governance.ledger
    if ledger.failing:
        detail = f"the ledger cannot be written, so nobody looks: {ledger.failing}"
        return Cause(name="ledger", status=Status.DOWN, detail=detail)
    parts = [anchors(ledger, platform.clock.micros())]
    if platform.governance.copy is not None:
        parts.append(ledger_copy(platform.governance.copy))
    return _joined("ledger", parts)


async def _baselines(drifts: Drifts) -> Cause:
    """The signature of every device's baseline fits, as far as they were looked at."""
    broken = await drifts.count_broken()
    if broken:
        detail = f"{broken} baselines of devices were changed in the database: see Devices, Drift"
        return Cause(name="baselines", status=Status.DEGRADED, detail=detail)
    return Cause(name="baselines", status=Status.OK)


def ledger_copy(copy: LedgerCopy) -> Cause:
    """The searchable copy follows the ledger; without it searching is slow, and nothing is lost."""
    detail = f"{copy.behind} rows wait to be copied"
    if copy.failing:
        return Cause(name="searchable copy", status=Status.DEGRADED, detail=f"{detail}: {copy.failing}")
    return Cause(name="searchable copy", status=Status.OK, detail=detail)


def anchors(ledger: Ledger, now_us: int) -> Cause:
    """An anchor was made within two hours; the first one comes with the first row."""
    if ledger.anchors_failing:
        return Cause(name="anchors", status=Status.DEGRADED, detail=ledger.anchors_failing)
    last = ledger.last_anchor
    if last is None:
        return Cause(name="anchors", status=Status.OK, detail="none was made yet")
    age_s = (now_us - last.at) / 1_000_000
    status = Status.OK if age_s < LATE_ANCHOR_SECONDS else Status.DEGRADED
    return Cause(name="anchors", status=status, detail=f"the last one is {age_s / 60:.0f} min old")


async def _media(platform: Platform) -> Cause:
    parts = []
    for child in platform.children:
        ok = child.alive and bool(child.viewers)
        detail = f"process {child.pid}, {platform.streams.load(child)} streams" if ok else "it does not run"
        status = Status.OK if ok else Status.DOWN
        if child.is_apart:
            status, detail = Status.DEGRADED, f"{detail}; others ended while they handled these"
        parts.append(Cause(name=f"media process {child.number}", status=status, detail=detail))
    recorded, wanted = platform.recorder.counts()
    status = Status.OK if recorded == wanted else Status.DEGRADED
    detail = f"{recorded} of {wanted} planned streams are recorded"
    parts.append(Cause(name="recording", status=status, detail=detail))
    if failing := platform.recorder.failing:
        told = "; ".join(f"{task}: {reason}" for task, reason in failing.items())
        parts.append(Cause(name="recorder", status=Status.DEGRADED, detail=told))
    if platform.recorder.dropped:
        parts.append(
            Cause(name="index", status=Status.DEGRADED, detail=f"{platform.recorder.dropped} segments are not indexed")
        )
    conversions = platform.conversions
    full = conversions.used >= conversions.most
    late = sum(1 for one in conversions.live if one.stats.skipped)
    detail = f"{conversions.used} of {conversions.most} conversions to H.264 in use, {conversions.refused} refused"
    detail += f"; {late} skip pictures, the machine is too slow for them" if late else ""
    parts.append(Cause(name="conversions", status=Status.DEGRADED if full or late else Status.OK, detail=detail))
    if failing := platform.retention.last.failed:
        told = "; ".join(f"{keeper}: {reason}" for keeper, reason in failing.items())
        parts.append(Cause(name="retention", status=Status.DEGRADED, detail=told))
    elif behind := platform.retention.last.behind:
        parts.append(Cause(name="retention", status=Status.OK, detail=f"still deleting: {', '.join(behind)}"))
    if failing := platform.upkeep.failing:
        told = "; ".join(f"{task}: {reason}" for task, reason in failing.items())
        parts.append(Cause(name="upkeep", status=Status.DEGRADED, detail=told))
    return _joined("media", parts)


async def disk(used: dict[str, Path], floor: int) -> Cause:
    """Every file system that is written to has room. used: folders by what they are for. floor: bytes."""
    parts = await asyncio.to_thread(_disks, used, floor)
    return (
        _joined("disk", parts) if len(parts) > 1 else Cause(name="disk", status=parts[0].status, detail=parts[0].detail)
    )


def _disks(used: dict[str, Path], floor: int) -> list[Cause]:
    mounts = {device: folder for folder, device in map(machine.mount_of, used.values())}
    parts = []
    for folder in sorted(mounts.values()):
        free = machine.free_bytes(folder)
        detail = f"{free / 2**30:.1f} GiB free"
        if free < floor:
            detail = f"{free / 2**30:.1f} GiB free: recording has stopped, signalling goes on"
        parts.append(Cause(name=str(folder), status=Status.DEGRADED if free < floor else Status.OK, detail=detail))
    return parts


async def _time() -> Cause:
    found = machine.time_source()
    if found is None:
        return Cause(name="time", status=Status.DEGRADED, detail="the kernel's clock cannot be asked")
    if not found.synchronised:
        return Cause(name="time", status=Status.DEGRADED, detail="no daemon synchronises this clock")
    far = abs(found.offset_us) > LARGE_OFFSET_US
    detail = f"offset {found.offset_us} µs, estimated error {found.error_us} µs"
    return Cause(name="time", status=Status.DEGRADED if far else Status.OK, detail=detail)


async def _kernel(platform: Platform) -> Cause:
    parts = []
    gateway = platform.gateway
    if gateway is not None:
        got, wanted = gateway.sockets.receive_buffer_bytes, platform.settings.gb28181.receive_buffer_bytes
        short = got < wanted
        parts.append(
            Cause(
                name="SIP receive buffer",
                status=Status.DEGRADED if short else Status.OK,
                detail=f"{got} of {wanted} bytes" + ("; see deploy/99-anwang.conf" if short else ""),
            )
        )
    drops = machine.udp_drops()
    if drops is not None:
        parts.append(Cause(name="UDP drops since boot", status=Status.OK, detail=str(drops)))
    return _joined("kernel", parts)


class SipCheck:
    """The SIP port as the kernel sees it: bound, not full, losing nothing; and connections are taken."""

    def __init__(self, host: str, port: Callable[[], int], *, buffer_bytes: Callable[[], int]) -> None:
        self._host = host
        self._port = port
        self._buffer_bytes = buffer_bytes
        self._drops = 0

    async def __call__(self) -> list[Cause]:
        port = self._port()
        return [await asyncio.to_thread(self._udp, port), await self._tcp(port)]

    def _udp(self, port: int) -> Cause:
        found = machine.udp_sockets(port) if port else []
        if found is None:
            return Cause(name="UDP", status=Status.OK, detail="this kernel does not tell of its sockets")
        if not found:
            return Cause(name="UDP", status=Status.DOWN, detail=f"port {port} is not open")
        queued, drops = max(one.queued_bytes for one in found), sum(one.drops for one in found)
        lost, self._drops = drops - self._drops, drops
        detail = f"{queued} bytes wait to be read, {drops} messages were dropped"
        if lost > 0:
            detail = (
                f"{queued} bytes wait to be read, {drops} messages were dropped, {lost} of them since the last look"
            )
        late = queued > FULL_QUEUE * self._buffer_bytes()
        return Cause(name="UDP", status=Status.DEGRADED if late or lost > 0 else Status.OK, detail=detail)

    async def _tcp(self, port: int) -> Cause:
        host = {"::": "::1", "0.0.0.0": "127.0.0.1"}.get(self._host, self._host)  # noqa: S104 - what they mean
        try:
            async with asyncio.timeout(STORE_SECONDS / 2):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as err:
            return Cause(name="TCP", status=Status.DOWN, detail=f"port {port} takes no connection: {err}")
        writer.close()
        return Cause(name="TCP", status=Status.OK)


def receiving(fault: tuple[str, float] | None, count: int) -> list[Cause]:
    """The last fault of receiving: its reason and how many seconds ago. It costs one answer, so it is no alarm."""
    if fault is None:
        return []
    reason, ago_s = fault
    detail = f"the last fault of {count}: {reason}, {ago_s:.0f} s ago"
    return [Cause(name="receiving", status=Status.OK, detail=detail)]


async def _sip(platform: Platform, check: SipCheck) -> Cause:
    gateway = platform.gateway
    if gateway is None:
        return Cause(name="sip", status=Status.DOWN, detail="no gateway")
    parts = await check()
    parts += receiving(gateway.sockets.last_fault(platform.clock.monotonic()), gateway.sockets.faults)
    joined = _joined("sip", parts)
    detail = (
        f"port {gateway.port}, {len(gateway.sessions)} devices registered, {gateway.sockets.dropped} messages unsent"
    )
    return Cause(name="sip", status=joined.status, detail=joined.detail or detail, causes=parts)
