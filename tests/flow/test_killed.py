"""A platform that is killed in the middle of its calls and started again: nothing that was open before lives on.

The platform is a process of its own; the devices, of the simulated city, live in the test and outlive it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from anwang.democity.city import CityOptions, Running, world
from anwang.democity.devices.device import Simulated
from anwang.democity.devices.faults import Fault
from anwang.democity.devices.line import Line, Member
from anwang.runtime.clock import SystemClock
from anwang.wire import gb28181 as gb
from tests.flow.served import DOOR_KEY, Served, start, write_config

T = TypeVar("T")
PATIENCE_S = 120.0


def free_port() -> int:
    """A port that neither UDP nor TCP uses now."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            port = int(udp.getsockname()[1])
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
                return port


class Viewer:
    """Watches a point's live pictures until the platform is gone or the test is over."""

    def __init__(self, served: Served, point: str) -> None:
        self.url = served.url.replace("http", "ws", 1) + f"/api/v1/points/{point}/live?stream=main"
        self.headers = {"Authorization": f"Bearer {served.token}"}
        self.fragments = 0
        self.error = ""
        self.is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        with (
            contextlib.suppress(ConnectionClosed, OSError),
            connect(self.url, additional_headers=self.headers, max_size=None, close_timeout=1, proxy=None) as socket,
        ):
            while not self.is_over.is_set():
                with contextlib.suppress(TimeoutError):
                    message = socket.recv(0.2)
                    if isinstance(message, str):
                        self.error = message if "error" in message else ""
                    else:
                        self.fragments += b"moof" in message[:64]
        self.is_over.set()

    def close(self) -> None:
        """Watch no longer."""
        self.is_over.set()
        self._thread.join()


class Scene:
    """A platform that can be killed and started again on the same folder and ports, and a city."""

    def __init__(self, folder: Path, city: Running, served: Served) -> None:
        self.folder, self.city, self.served = folder, city, served
        self.viewers: list[Viewer] = []

    def member(self, code: str) -> tuple[Line, Member]:
        """A device on its line."""
        return next((line, line.members[code]) for line in self.city.lines if code in line.members)

    def devices(self, wanted: Callable[[Simulated], bool], count: int) -> list[str]:
        """Codes of the first devices of a kind."""
        found = [mind.device.code for mind in self.city.minds.values() if mind.device.kind != "rtsp" and wanted(mind)]
        return found[:count]

    async def until(self, condition: Callable[[], T | None], what: str) -> T:
        """What is asked of the platform blocks, so it is asked in a thread: the devices go on meanwhile."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (found := await asyncio.to_thread(condition)):
                    await asyncio.sleep(0.05)
                return found
        except TimeoutError:
            raise AssertionError(f"not within {PATIENCE_S:.0f} s: {what}") from None

    def streams(self, code: str) -> int:
        """Calls that stand at a device."""
        line, member = self.member(code)
        return sum(session.device is member.mind for session in line.calls._sessions.values())

    async def play(self, channel: str) -> Viewer:
        """Open a point's live pictures and wait for some."""
        point = await self.until(lambda: self.served.point(channel), f"{channel} is a point")
        viewer = Viewer(self.served, point["id"])
        self.viewers.append(viewer)
        await self.until(lambda: viewer.fragments >= 5 or viewer.error, f"pictures of {channel}")
        assert not viewer.error
        return viewer

    def kept(self) -> int:
        """Calls that are written down for the next run."""
        with contextlib.closing(sqlite3.connect(f"file:{self.served.data}/state.db?mode=ro", uri=True)) as plain:
            return int(plain.execute("SELECT count(*) FROM gb28181_call").fetchone()[0])

    async def kill(self) -> None:
        """kill -9, and nothing told to anybody."""
        await asyncio.to_thread(self.served.process.kill)
        assert await asyncio.to_thread(self.served.process.wait, 20) == -9
        self.served.close()

    async def start(self) -> None:
        """Start it as it was started first."""
        self.served = await asyncio.to_thread(start, self.folder, self.folder / "settings.toml")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    port = free_port()
    rtp = 31_200 + os.getpid() % 48 * 32  # of its own: the flow tests' other platform may run beside it
    config = write_config(
        tmp_path, gb28181={"port": port, "adopt": True, "keepalive_seconds": 1.5}, media={"rtp_ports": [rtp, rtp + 31]}
    )
    options = CityOptions(
        data=tmp_path / "city", port=port, password=DOOR_KEY, scale=0.1, heartbeat_s=1.0, rtsp_port=None
    )
    city = Running(options, await asyncio.to_thread(world, options), SystemClock())
    await city.open()
    made = Scene(tmp_path, city, await asyncio.to_thread(start, tmp_path, config))
    try:
        yield made
    finally:
        for viewer in made.viewers:
            await asyncio.to_thread(viewer.close)
        await city.close()
        await asyncio.to_thread(made.served.close)


def sends(mind: Simulated) -> bool:
    """A camera by itself, over UDP, with H.264."""
    [point] = [camera.point for camera in mind.cameras.values()] if len(mind.cameras) == 1 else [None]
    device = mind.device
    return (
        device.kind == "camera"
        and device.transport == "UDP"
        and point is not None
        and (point.codec, point.lifecycle) == ("h264", 1)
    )


@pytest.mark.timeout(600)
async def test_old_calls_end_and_new_ones_stand_after_a_kill(scene: Scene) -> None:
    early, late = scene.devices(sends, 2)
    channels = {code: scene.city.minds[code].device.channels[0] for code in (early, late)}
    for code in (early, late):
        scene.member(code)[0].start(code)
        await scene.until(lambda code=code: scene.served.device(code), f"{code} is there")  # type: ignore[misc]
        # what is sent over UDP goes on whether anybody listens or not
        await asyncio.to_thread(lambda code=code: scene.served.order(device=code, transport="udp"))  # type: ignore[misc]
        await scene.play(channels[code])
    await scene.until(lambda: scene.kept() == 2, "what stands is written down")
    old = {code: scene.member(code)[0].calls._sessions.copy() for code in (early, late)}

    scene.member(late)[1].mind.faults.set(Fault.SILENT, None)  # it hears of nothing until the first one is back
    await scene.kill()
    sending = next(s for s in scene.member(early)[0].streams if s in [one.sending for one in old[early].values()])
    before = sending.sent_frames
    await scene.until(lambda: sending.sent_frames > before + 25, "the device goes on sending to nobody")
    assert (scene.streams(early), scene.streams(late)) == (1, 1)

    await scene.start()
    await scene.until(lambda: scene.streams(early) == 0, "the old call of the first one gets its BYE")
    assert not sending.is_running
    assert scene.streams(late) == 1, "the other one has not come back yet"
    fresh = await scene.play(channels[early])
    assert scene.streams(early) == 1

    scene.member(late)[1].mind.faults.active.clear()
    await scene.until(lambda: scene.streams(late) == 0, "the old call of the second one gets its BYE")
    assert scene.served.metric("anwang_sip_calls_left_total") == 2
    seen = fresh.fragments
    await scene.until(lambda: fresh.fragments > seen + 20, "pictures go on to come")
    assert scene.streams(early) == 1, "the new call is another one, and stands"
    await scene.play(channels[late])
    assert (scene.streams(early), scene.streams(late)) == (1, 1)
    await scene.until(lambda: scene.kept() == 2, "only what stands now is kept")


@pytest.mark.timeout(600)
async def test_a_subscription_of_the_killed_run_dies_and_its_successor_is_heard(scene: Scene) -> None:
    """Subscriptions are not kept: with the device's next notice the old one is refused, which ends it there."""
    [recorder] = scene.devices(lambda mind: mind.device.kind == "nvr" and mind.device.transport == "UDP", 1)
    line, member = scene.member(recorder)
    line.start(recorder)
    await scene.until(lambda: sorted(member.subscriptions.values()) == ["alarm", "catalog"], "it is subscribed to")
    old = set(member.subscriptions)
    await scene.kill()
    await scene.start()
    await scene.until(lambda: len(set(member.subscriptions) - old) == 2, "the new run subscribes anew")
    assert old <= set(member.subscriptions), "the device does not know yet that the old ones are nobody's"
    taken = await asyncio.to_thread(scene.served.metric, "anwang_sip_catalogue_notices_total")
    line.notify(
        recorder,
        "catalog",
        member.mind.notice([gb.CatalogItem(device_id=next(iter(member.mind.cameras)), event=gb.ItemEvent.OFF)]),
    )
    await scene.until(
        lambda: scene.served.metric("anwang_sip_catalogue_notices_total") == taken + 1, "the notice is taken, and once"
    )
    await scene.until(
        lambda: [kind for number, kind in member.subscriptions.items() if number in old] == ["alarm"],
        "the old subscription that was heard of is over",
    )
    assert scene.served.refused(device=recorder, reason="is over or never was")
    assert sorted(kind for number, kind in member.subscriptions.items() if number not in old) == ["alarm", "catalog"]
