"""The city as a process: writes its files, draws its pictures, lets its devices register, and says how it goes."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random

from anwang.democity.control import Answer, Control
from anwang.democity.devices.calls import Platform
from anwang.democity.devices.device import Simulated
from anwang.democity.devices.faults import Fault, plan
from anwang.democity.devices.line import Line, by_line, outgoing_host
from anwang.democity.devices.rtsp import RtspCameras
from anwang.democity.devices.wheel import Wheel
from anwang.democity.pictures import Library
from anwang.democity.world import City, generate, write
from anwang.runtime import logs
from anwang.runtime.clock import Clock, SystemClock
from anwang.wire.gb28181 import domain_of

log = logs.get("democity")


@dataclass(frozen=True, slots=True, kw_only=True)
class CityOptions:
    """How to run it.

    data: folder for `world/` (files to import, truth), `pictures/` (cache) and the control socket. host, port: the
    platform's SIP address; host must be numeric. domain: empty means the first ten digits of server_id. rtsp_port: 0
    lets the system choose; None leaves the RTSP cameras out. scale: share of the points, 0..1. ramp_s: devices begin to
    register spread over so many seconds. misbehave: share of devices with a fault of their own from the start.
    alarm_every_s: the cameras of its showcase take turns in seeing something move; 0: none does by itself.
    profiles: what all of them do wrong. video: a file to show instead of drawn pictures.
    """

    data: Path
    seed: int = 1
    host: str = "127.0.0.1"
    port: int = 5060
    server_id: str = "99010000002000000001"
    domain: str = ""
    password: str = field(default="", repr=False)
    rtsp_host: str = "127.0.0.1"
    rtsp_port: int | None = 0
    rtsp_password: str = field(default="", repr=False)
    scale: float = 1.0
    ramp_s: float = 12.0
    heartbeat_s: float = 60.0
    misbehave: float = 0.0
    alarm_every_s: float = 0.0
    profiles: Sequence[tuple[Fault, float]] = ()
    video: Path | None = None
    control: Path | None = None


def world(options: CityOptions) -> City:
    """Generate the city and write its files, with the faults that some devices begin with."""
    city = generate(options.seed, options.scale)
    folder = options.data / "world"
    write(city, folder)
    faults = plan(options.seed, city.devices, options.misbehave)
    (folder / "faults.json").write_text(json.dumps(faults, indent=1), encoding="utf-8")
    return city


class Running:
    """A city that runs."""

    def __init__(self, options: CityOptions, city: City, clock: Clock) -> None:
        self.options, self.city, self.clock = options, city, clock
        self.wheel = Wheel()
        self.library = Library(options.data / "pictures", video=options.video)
        points = {point.code: point for point in city.points}

        def now() -> datetime:
            return clock.now()

        self.minds = {device.code: Simulated(device, points, city, now=now) for device in city.devices}
        self.platform = Platform(
            host=options.host,
            port=options.port,
            server_id=options.server_id,
            domain=options.domain or domain_of(options.server_id),
            password=options.password,
            local_host=outgoing_host(options.host, options.port),
            heartbeat_s=options.heartbeat_s,
        )
        wired = [mind for mind in self.minds.values() if mind.device.kind != "rtsp"]
        self.lines = [
            Line(self.platform, group, self.library, self.wheel, clock, seed=options.seed * 1000 + number)
            for number, group in enumerate(by_line(wired))
        ]
        cameras = [mind for mind in self.minds.values() if mind.device.kind == "rtsp"]
        self.rtsp = RtspCameras(cameras, self.library, self.wheel, clock, password=options.rtsp_password)
        self.rtsp_port = 0
        self.control = Control(self.lines, status=self.status, seed=options.seed)

    def status(self) -> Answer:
        """Where it stands, for a status line."""
        streams = [stream for line in self.lines for stream in line.streams]
        return {
            "event": "status",
            "devices": sum(len(line.members) for line in self.lines),
            "registered": sum(line.registered for line in self.lines),
            "streams": len(streams),
            "rtsp_clients": len(self.rtsp.connections),
            "frames": sum(stream.sent_frames for stream in streams),
            "late_frames": sum(stream.late_frames for stream in streams),
            "dropped": sum(stream.dropped for stream in streams),
            "refused_calls": sum(line.calls.refused_calls for line in self.lines),
            "misbehaving": sum(bool(mind.faults.active) for mind in self.minds.values()),
            "pictures": self.library.made,
            "cpu_s": round(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), 2),
        }

    async def open(self) -> None:
        """Open sockets; nothing registers yet."""
        for line in self.lines:
            await line.open()
        faults = plan(self.options.seed, self.city.devices, self.options.misbehave)
        for line in self.lines:
            for code in line.members:
                if fault := faults.get(code):
                    line.misbehave(code, fault, None)
                for profile, value in self.options.profiles:
                    line.misbehave(code, profile, value)
        if self.options.rtsp_port is not None:
            self.rtsp_port = await self.rtsp.open(self.options.rtsp_host, self.options.rtsp_port)

    async def register_all(self) -> None:
        """Let devices register, in an order by seed, spread over the ramp."""
        pairs = [(line, code) for line in self.lines for code in line.members]
        Random(f"ramp-{self.options.seed}").shuffle(pairs)
        pause = self.options.ramp_s / max(1, len(pairs))
        for number, (line, code) in enumerate(pairs):
            line.start(code)
            if number % 8 == 7:
                await asyncio.sleep(pause * 8)

    async def see_things_move(self) -> None:
        """The cameras of the showcase report motion, one after the other, for ever."""
        seeing = [
            (line, code, channel)
            for channel in self.city.showcase
            for line in self.lines
            for code, member in line.members.items()
            if channel in member.mind.cameras
        ]
        while seeing:
            for line, code, channel in seeing:
                await self.clock.sleep(self.options.alarm_every_s)
                if line.members[code].registration.is_registered:
                    line.alarm(code, channel=channel, method=5, alarm_type=2, priority=3, words="移动侦测")

    async def close(self) -> None:
        """Stop everything."""
        for line in self.lines:
            await line.close()
        await self.rtsp.close()
        self.wheel.close()


async def run_city(options: CityOptions, *, tell: Callable[[Answer], None] | None = None) -> None:
    """Run the city until cancelled, or until the process that started it is gone.

    Status lines, JSON objects, go to `tell` (standard output by default): `ready` once sockets are open and the files
    are written, then `status` whenever it changes.
    """
    say = tell or _print
    parent = os.getppid()
    city = world(options)
    running = Running(options, city, SystemClock())
    await running.open()
    say(
        {
            "event": "ready",
            "world": str(options.data / "world"),
            "devices": sum(len(line.members) for line in running.lines),
            "points": len(city.points),
            "rtsp_port": running.rtsp_port,
            "rtsp_cameras": [
                {"code": mind.code, "path": mind.device.path} for mind in running.minds.values() if mind.device.path
            ],
            "showcase": list(city.showcase),
        }
    )
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(running.library.make())
            group.create_task(running.register_all())
            if options.control:
                group.create_task(running.control.serve(options.control))
            group.create_task(_report(running, say))
            if options.alarm_every_s > 0:
                group.create_task(running.see_things_move())
            await _outlive(parent)
            raise _ParentGone
    except* _ParentGone:
        log.warning("the starting process is gone; the city ends")
    finally:
        await running.close()


class _ParentGone(Exception):
    """Whoever started us is no more."""


async def _outlive(parent: int) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 - no event tells that a parent has died
        await asyncio.sleep(1)


async def _report(running: Running, say: Callable[[Answer], None]) -> None:
    before: tuple[object, ...] = ()
    while True:
        status = running.status()
        key = tuple(status[name] for name in ("registered", "streams", "rtsp_clients", "pictures", "refused_calls"))
        if key != before:
            before = key
            say(status)
        await asyncio.sleep(1.0)


def _print(status: Answer) -> None:
    try:
        print(json.dumps(status, ensure_ascii=False), flush=True)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - nobody listens any more; the parent check ends us
