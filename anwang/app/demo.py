"""`anwang demo`: the platform with 安澜市 beside it, from nothing to a living city.

What people would type in is imported through the public API; devices come over real protocols from a process of their
own. Accounts and keys are made here, kept in the demo's data folder, and said.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import secrets
import signal
import sys
import webbrowser
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anwang.app.build import Platform, serve
from anwang.app.cityfiles import CityFiles
from anwang.gateways.gb28181.policies import NAME as GB28181
from anwang.gateways.gb28181.policies import POSITION
from anwang.governance import CITY, EVERYTHING, NewUser, Role
from anwang.kernel.errors import AnwangError, Unavailable
from anwang.kernel.ids import PointId
from anwang.media import Mode, Plan
from anwang.runtime import logs, machine
from anwang.runtime.settings import Gb28181, Governance, Http, Logs, Media, Retention, Settings, Tls

log = logs.get(__name__)

WRITE_SECONDS = 120.0
RECORDED = 4
"""Cameras recorded from the start, so that playback has something to show within a minute."""
ON_EVENT = 2
"""Cameras after those that are recorded only while something moves in their picture."""
POSITION_SECONDS = 3
"""Between two words of where a patrol is."""
ALARM_SECONDS = 15.0
"""Between two alarms of the showcase's cameras, which take turns."""
PEOPLE = {
    "administrator": ("admin", "系统管理员", Role.ADMINISTRATOR),
    "security_administrator": ("security", "安全管理员", Role.SECURITY),
    "audit_administrator": ("audit", "审计管理员", Role.AUDIT),
    "operator": ("operator", "值班员", Role.OPERATOR),
    "viewer": ("viewer", "观看员", Role.VIEWER),
    "investigator": ("investigator", "办案民警", Role.INVESTIGATOR),
    "officer_a": ("officer_a", "值班领导甲", Role.OFFICER),
    "officer_b": ("officer_b", "值班领导乙", Role.OFFICER),
}
"""Who is let in: user name, name and role, by what `accounts.json` calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What can be chosen. points: about how many, 0: the whole city. misbehave: share of its devices, 0..1."""

    port: int
    sip_port: int
    data: Path
    host: str = "127.0.0.1"
    browser: bool = True
    adopt: bool = False
    points: int = 0
    seed: int = 1
    video: Path | None = None
    misbehave: float = 0.0


def settings_of(options: DemoOptions) -> Settings:
    """The demo's settings: loopback, plain HTTP, its key in its own folder."""
    data = options.data.resolve()
    return Settings(
        city="安澜市",
        data=str(data),
        key_file=str(data.with_name(data.name + ".key")),
        http=Http(host=options.host, port=options.port),
        tls=Tls(enabled=False),
        gb28181=Gb28181(host=options.host, port=options.sip_port, adopt=options.adopt),
        media=Media(host=options.host, rtp_ports=(32000, 37999), free_bytes_floor=512 * 1024**2),
        retention=Retention(minimum_days=1, class_1_days=7, class_2_days=7, class_3_days=7),
        governance=Governance(short_clip=True),
        logs=Logs(level="WARNING", form="console"),
    )


class Demo:
    """What the demo adds to a running platform."""

    def __init__(self, options: DemoOptions) -> None:
        self.options = options
        self.data = options.data.resolve()
        self.city = CityFiles(self.data / "city")
        self.accounts: dict[str, dict[str, Any]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    async def open(self, platform: Platform) -> None:
        """Accounts, files, devices, recordings; returns when the demo is stopped."""
        await self._make_accounts(platform)
        print(f"\n  安澜市 opens at  {platform.listener.url}\n", flush=True)
        for key in PEOPLE:
            account = self.accounts[key]
            print(f"    {key:23} {account['username']:14} {account['password']}")
        print(f"\n  accounts and the door key for devices: {self.data / 'accounts.json'}")
        print(f"  the demo's master key (keep a real one elsewhere): {platform.settings.key_file}\n", flush=True)
        await self.city.ready(self._write_files)
        await self._import(platform)
        print("  the city's devices are registering; Ctrl+C ends the demo", flush=True)
        if self.options.browser:
            await asyncio.to_thread(webbrowser.open, platform.listener.url)
        others = [asyncio.create_task(self._record_some(platform)), asyncio.create_task(self._follow_moving(platform))]
        try:
            await self._keep_city(platform)
        finally:
            for task in others:
                task.cancel()

    async def stop(self) -> None:
        """End the city's process."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(5):
                    await process.wait()
            except TimeoutError:
                process.kill()

    async def _make_accounts(self, platform: Platform) -> None:
        path = self.data / "accounts.json"
        self.accounts = accounts_of(path)
        gateway = platform.gateway
        if gateway is None:
            raise Unavailable("the demo needs its GB/T 28181 gateway")
        self.accounts["gb28181"] = {
            "host": reachable(self.options.host),
            "port": gateway.port,
            "server_id": gateway.server_id,
            "domain": gateway.domain,
            "password": os.environ["ANWANG_GB28181_PASSWORD"],
        }
        _write_private(path, json.dumps(self.accounts, ensure_ascii=False, indent=1))
        await platform.governance.seed(
            [
                NewUser(
                    username=self.accounts[key]["username"],
                    display_name=name,
                    password=self.accounts[key]["password"],
                    role=role,
                    org_id=CITY,
                )
                for key, (_, name, role) in PEOPLE.items()
            ]
        )

    # --- the city's files -----------------------------------------------------------------------------------------

    def _arguments(self) -> list[str]:
        arguments = ["--data", str(self.data / "city"), "--seed", str(self.options.seed)]
        if self.options.points:
            arguments += ["--scale", str(min(1.0, self.options.points / 1200))]
        return arguments

    async def _write_files(self) -> None:
        command = [sys.executable, "-m", "anwang.democity", *self._arguments(), "--write-only"]
        process = await asyncio.create_subprocess_exec(*command)
        async with asyncio.timeout(WRITE_SECONDS):
            if await process.wait() != 0:
                raise Unavailable("the simulated city could not be made", "see the messages above")

    async def _import(self, platform: Platform) -> None:
        if platform.registry.columns.count:
            return
        account = self.accounts["administrator"]
        await self.city.import_through_api(platform.listener.url, account["username"], account["password"])

    # --- the city's devices ---------------------------------------------------------------------------------------

    async def _keep_city(self, platform: Platform) -> None:
        gateway = platform.gateway
        if gateway is None:
            return
        known = self.city.devices()
        before = gateway.arrivals.adopt_under
        gateway.arrivals.adopt_under = lambda device: CITY if device in known else before(device)
        environment = {
            **os.environ,
            "ANWANG_CITY_PASSWORD": os.environ["ANWANG_GB28181_PASSWORD"],
            "ANWANG_CITY_RTSP_PASSWORD": self.accounts["operator"]["password"],
        }
        command = [sys.executable, "-m", "anwang.democity", *self._arguments()]
        command += ["--host", beside(self.options.host), "--port", str(gateway.port), "--server-id", gateway.server_id]
        command += ["--domain", gateway.domain, "--control", str(self.data / "city" / "control.sock")]
        command += ["--alarms", str(ALARM_SECONDS)]
        if self.options.misbehave:
            command += ["--misbehave", str(self.options.misbehave)]
        if self.options.video is not None:
            command += ["--video", str(self.options.video.resolve())]
        while not self._stopping:
            self._process = await asyncio.create_subprocess_exec(
                *command, env=environment, stdout=asyncio.subprocess.PIPE, start_new_session=True
            )
            await self._follow(platform, self._process)
            if not self._stopping:
                log.error("the simulated city died and is started again", exit_code=await self._process.wait())
                await asyncio.sleep(2.0)

    async def _follow(self, platform: Platform, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        while line := await process.stdout.readline():
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if told.get("event") == "ready" and told.get("rtsp_port"):
                await self._add_rtsp(platform, told)

    async def _add_rtsp(self, platform: Platform, told: dict[str, Any]) -> None:
        try:
            await self.city.add_rtsp(
                platform.listener.url,
                self.accounts["administrator"],
                CITY,
                port=int(told["rtsp_port"]),
                password=self.accounts["operator"]["password"],
            )
        except AnwangError as err:
            log.error("the RTSP cameras could not be added", reason=err.reason)

    async def _follow_moving(self, platform: Platform) -> None:
        """Have what moves tell where it is, once it is there; an interval that somebody has set stays."""
        awaited = set(self.city.moving())
        while awaited:
            for code in sorted(awaited):
                found = platform.registry.admission(GB28181, code)
                if found is None:
                    continue
                awaited.discard(code)
                if POSITION not in found.policies.extra:
                    extra = {**found.policies.extra, POSITION: str(POSITION_SECONDS)}
                    await platform.registry.set_policies(EVERYTHING, found.id, replace(found.policies, extra=extra))
            await asyncio.sleep(1.0)

    async def _record_some(self, platform: Platform) -> None:
        """Plans for the first few of the showcase, once; the recorder waits until they can be had."""
        if await platform.plans.current(limit=1):
            return
        chosen: list[tuple[PointId, Mode]] = []
        for number, code in enumerate(self.city.showcase()[: RECORDED + ON_EVENT]):
            mode = Mode.CONTINUOUS if number < RECORDED else Mode.ON_EVENT
            chosen += [(view.point.id, mode) for view in await platform.registry.by_code(EVERYTHING, code)]
        for point, mode in chosen:
            await platform.plans.add(
                Plan(
                    id="",
                    version=0,
                    point=point,
                    point_class=None,
                    mode=mode,
                    stream="main",
                    priority=5,
                    weekly=(),
                    since_us=0,
                    until_us=None,
                )
            )
        platform.recorder.plans_changed()


def accounts_of(path: Path) -> dict[str, dict[str, Any]]:
    """The demo's people by their keys, as an earlier start left them in accounts.json; who is missing is made."""
    kept: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    found = {}
    for key, (username, _, _) in PEOPLE.items():
        account = kept.get(key) or kept.get(username) or {}  # files of earlier versions name the user
        found[key] = {
            "username": account.get("username") or username,
            "password": account.get("password") or secrets.token_urlsafe(12),
        }
    return found


def reachable(host: str) -> str:
    """What a device types in to reach a listener on `host`: an address of this machine where it listens on all."""
    version = ipaddress.ip_address(host).version if _is_any(host) else 0
    return machine.outward_address(version) if version else host


def beside(host: str) -> str:
    """Where a process on this machine reaches a listener on `host`."""
    if not _is_any(host):
        return host
    return "::1" if ":" in host else "127.0.0.1"


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False  # a name


async def run_demo(options: DemoOptions) -> None:
    """Run until interrupted."""
    settings = settings_of(options)
    logs.configure(level=settings.logs.level, as_json=False)
    data = Path(settings.data)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = data / "gb28181.password"
    if not key.exists():
        _write_private(key, secrets.token_urlsafe(12))
    os.environ["ANWANG_GB28181_PASSWORD"] = key.read_text("utf-8").strip()
    demo = Demo(options)
    try:
        await serve(settings, opened=demo.open)
    finally:
        await demo.stop()


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
