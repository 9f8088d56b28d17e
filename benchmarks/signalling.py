"""SIP signalling of `anwang serve`, beside Kamailio from Debian: one worker, contacts in memory only.

Ours is the whole product as a process of its own (SQLite, registry, media, web beside it); its devices are known and
adopted, every keep-alive is parsed, its device's state updated, its evidence handed to the registry. Kamailio answers
MESSAGE with a stateless 200 and REGISTER through its auth, registrar and usrloc modules, nothing more. Both get equal
bytes from `sipload.c` (loopback, 128 requests on their way at most) on the other core, in turns; what counts is the
processor time of the server's processes, with all that they do meanwhile. Media children and the series process of ours
have nothing to do and are not counted. A device that registers anew is asked for its catalogue and its name after the
storm, not within the time that is measured.

Gates: every request is answered with 200 and none is lost; the platform counts as many keep-alives as were answered;
after a storm in which every device registers anew, exactly as many devices are registered and believed online as there
are, and each one's next keep-alive is taken.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anwang.app.build import Platform
from anwang.governance import CITY
from anwang.kernel.ids import uuid7
from anwang.registry import store
from anwang.runtime import settings
from benchmarks.ratio import Row, available_bytes, cpu_seconds, in_turns, resident_bytes

SERVER = "99010000002000000001"
DOMAIN = SERVER[:10]
PASSWORD = "a-password-for-load"
WINDOW = 128
CITY_DEVICES = 520_000
KEEP_FREE = 8 << 30
#: generous, for the check before the run: session, registry row, the database's and the kernel's share
BYTES_PER_DEVICE = 6_000
#: what Kamailio takes for a contact, in whose record nothing else of the device stands: 204 MB for 174,000
CONTACT_BYTES = 1_170
ROOT = Path(__file__).parents[1]

KAMAILIO = """
debug=1
log_stderror=yes
fork=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:{port}
alias="{domain}"
maxbuffer=33554432
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "hash_size", 16)
modparam("registrar", "max_expires", 604800)
modparam("auth", "nonce_expire", 300)
request_route {{
  if (is_method("MESSAGE")) {{ sl_send_reply("200", "OK"); exit; }}
  if (is_method("REGISTER")) {{
    if (!pv_www_authenticate("{domain}", "{password}", "0")) {{ www_challenge("{domain}", "0"); exit; }}
    save("location");
    exit;
  }}
  sl_send_reply("405", "Method Not Allowed");
}}
"""


def device(number: int) -> str:
    """As sipload.c names them."""
    return f"9901000000132{number:07d}"


def free_port(kind: socket.SocketKind) -> int:
    """One that nobody uses, outside of those for media."""
    while True:
        with socket.socket(socket.AF_INET, kind) as one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
        if not 30_000 <= port <= 39_999:
            return port


def pin(core: int) -> Any:
    """For subprocess: run on one core, where there is more than one."""
    cores = sorted(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, {cores[core % len(cores)]})


@dataclass
class Load:
    """The compiled generator."""

    program: Path

    def __call__(
        self, port: int, mode: str, devices: int, seconds: float, *, own_port: int = 0, generation: int = 0
    ) -> dict[str, Any]:
        """One run; its counts."""
        command = [self.program, "127.0.0.1", port, mode, devices, seconds, WINDOW, PASSWORD, SERVER, DOMAIN]
        run = subprocess.run(
            [*map(str, command), str(own_port), str(generation)],
            check=True, capture_output=True, text=True, preexec_fn=pin(1),
        )  # fmt: skip
        found: dict[str, Any] = json.loads(run.stdout)
        return found


class Ours:
    """`anwang serve` with so many adopted devices."""

    def __init__(self, folder: Path, devices: int) -> None:
        self.folder, self.devices = folder, devices
        self.port = free_port(socket.SOCK_DGRAM)
        self.web = free_port(socket.SOCK_STREAM)
        self.device_port = free_port(socket.SOCK_DGRAM)
        self.generation = 0
        self.config = folder / "anwang.toml"
        self.config.write_text(
            f'data = "{folder}/data"\nkey_file = "{folder}/master.key"\n'
            f'[http]\nhost = "127.0.0.1"\nport = {self.web}\n[tls]\nenabled = false\n'
            f'[gb28181]\nport = {self.port}\nserver_id = "{SERVER}"\npassword_file = "{folder}/password"\n'
            '[logs]\nlevel = "WARNING"\n',
            "utf-8",
        )
        (folder / "password").write_text(PASSWORD)
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        """Write the devices into the database, as if they had been adopted yesterday."""
        platform = await Platform.open(settings.load(self.config), config=self.config)
        now = datetime.now(UTC)
        for start in range(0, self.devices, 5000):
            rows = [
                {
                    "id": uuid7(1_700_000_000_000 + number), "gateway": "gb28181", "device_id": device(number),
                    "name": device(number), "transport": "udp", "address": f"127.0.0.1:{self.device_port}",
                    "status": "adopted", "org_id": CITY, "org_path": platform.registry.all_organisations[CITY].org_path,
                    "policies": {}, "first_seen": now,
                }
                for number in range(start, min(start + 5000, self.devices))
            ]  # fmt: skip
            async with platform.stores.state.begin() as tx:
                await tx.execute(store.devices.insert(), rows)
        await platform.close()

    @contextmanager
    def running(self) -> Iterator[Ours]:
        """The process while the context lasts."""
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "anwang", "serve", "--config", str(self.config)],
                cwd=ROOT, stdout=log, stderr=log, preexec_fn=pin(0),
            )  # fmt: skip
        try:
            self._wait()
            yield self
        finally:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _wait(self) -> None:
        end = time.monotonic() + 300
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"anwang ended: {(self.folder / 'log').read_text()[-2000:]}")
            with suppress(OSError, KeyError):
                self.metrics()["anwang_sip_registered_devices"]
                return
            time.sleep(0.2)
        raise RuntimeError("anwang did not start in 300 s")

    def metrics(self) -> dict[str, float]:
        """What Prometheus would read."""
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{self.web}/metrics", timeout=60
        ) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, _, value in (x.rpartition(" ") for x in lines if not x.startswith("#"))}

    def cpu(self) -> float:
        """Processor seconds of the main process so far."""
        return cpu_seconds(self.process.pid)

    def resident(self) -> int:
        """Memory of the main process."""
        return resident_bytes(self.process.pid)

    def until_settled(self, online: int, seconds: float = 60) -> dict[str, float]:
        """The metrics once so many devices are believed online; state follows evidence within seconds."""
        end = time.monotonic() + seconds
        while True:
            found = self.metrics()
            if found['anwang_devices{state="online"}'] == online or time.monotonic() > end:
                return found
            time.sleep(0.5)

    def until_quiet(self, seconds: float = 90) -> None:
        """Until what registering left behind is written down, or that time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            before = self.cpu()
            time.sleep(3)
            if self.cpu() - before < 0.6:
                return


class Kamailio:
    """The peer, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port(socket.SOCK_DGRAM)
        self.folder = folder
        self.generation = 0
        modules = next(Path("/usr/lib").glob("*/kamailio/modules"), None)
        if modules is None:
            raise RuntimeError("no Kamailio here: Debian's package kamailio has it")
        text = KAMAILIO.format(port=self.port, domain=DOMAIN, password=PASSWORD)
        (folder / "kamailio.cfg").write_text(f'mpath="{modules}/"\n{text}')

    @contextmanager
    def running(self) -> Iterator[Kamailio]:
        """The processes while the context lasts."""
        program = shutil.which("kamailio", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            raise RuntimeError("Kamailio is not installed (Debian: kamailio)")
        command = [
            program,
            "-f",
            self.folder / "kamailio.cfg",
            "-m",
            "1024",
            "-M",
            "16",
            "-DD",
            "-E",
            "-w",
            self.folder,
        ]
        with (self.folder / "kamailio.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*map(str, command), "-P", f"{self.folder}/kamailio.pid"], stdout=log, stderr=log, preexec_fn=pin(0)
            )
        try:
            time.sleep(2)
            if self.process.poll() is not None:
                raise RuntimeError(f"Kamailio ended: {(self.folder / 'kamailio.log').read_text()[-2000:]}")
            yield self
        finally:
            self.process.terminate()
            self.process.wait(30)

    def cpu(self) -> float:
        """Processor seconds of all its processes so far."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return cpu_seconds(self.process.pid) + sum(cpu_seconds(int(pid)) for pid in children)


@contextmanager
def tools() -> Iterator[tuple[Load, Path]]:
    """The generator, compiled, and a folder; both go away."""
    folder = Path(tempfile.mkdtemp(prefix="signalling-"))
    try:
        program = folder / "sipload"
        subprocess.run(["cc", "-O2", "-o", str(program), str(Path(__file__).with_name("sipload.c"))], check=True)
        yield Load(program), folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def registered(load: Load, side: Ours | Kamailio, devices: int, own_port: int) -> tuple[float, dict[str, Any]]:
    """Every device registers anew. Processor seconds, and the generator's counts. Raises AssertionError."""
    side.generation += 1
    before = side.cpu()
    told = load(side.port, "register", devices, 240, own_port=own_port, generation=side.generation)
    spent = side.cpu() - before
    assert (told["ok"] - told["repeated"], told["refused"]) == (devices, 0), told
    return spent, told


def beaten(load: Load, side: Ours | Kamailio, devices: int, seconds: float, own_port: int) -> tuple[float, int]:
    """Keep-alives as fast as they are answered. Processor seconds, and how many. Raises AssertionError."""
    before = side.cpu()
    told = load(side.port, "keepalive", devices, seconds, own_port=own_port)
    spent = side.cpu() - before
    assert (told["ok"], told["refused"]) == (told["sent"], 0), told
    return spent, told["ok"]


def measure(quick: bool) -> list[Row]:
    """All rows."""
    with tools() as (load, folder):
        return [*beside_kamailio(load, folder, quick), *city(load, folder, quick)]


def beside_kamailio(load: Load, folder: Path, quick: bool) -> list[Row]:
    """Keep-alives and registrations per processor second."""
    devices, seconds, pairs = (2_000, 1.0, 2) if quick else (20_000, 3.0, 8)
    (folder / "ratio").mkdir()
    (folder / "kamailio").mkdir()
    ours, peer = Ours(folder / "ratio", devices), Kamailio(folder / "kamailio")
    with ours.running(), peer.running():
        registered(load, ours, devices, ours.device_port)
        ours.until_settled(devices)
        counted = 0

        def ours_beats() -> float:
            nonlocal counted
            spent, answered = beaten(load, ours, devices, seconds, ours.device_port)
            counted += answered
            return answered / spent

        def peer_beats() -> float:
            spent, answered = beaten(load, peer, devices, seconds, 0)
            return answered / spent

        before = ours.metrics()["anwang_sip_keepalives_total"]
        beats = in_turns(ours_beats, peer_beats, pairs)
        taken = ours.metrics()["anwang_sip_keepalives_total"] - before
        assert taken == counted, f"{counted} keep-alives answered, {taken:.0f} taken"

        def ours_registers() -> float:
            return devices / registered(load, ours, devices, ours.device_port)[0]

        def peer_registers() -> float:
            return devices / registered(load, peer, devices, 0)[0]

        logins = in_turns(ours_registers, peer_registers, pairs)
    return [
        Row(
            what="keep-alives answered per CPU-second",
            ours=f"{beats.ours:,.0f}", peer=f"{beats.peer:,.0f}", ratio=str(beats),
            target=">= 1.0, and >= 20,000/s", holds=beats.low >= 1.0 and beats.ours >= 20_000,
            gate=f"{counted:,} answered, as many taken, none lost",
        ),
        Row(
            what="registrations with digest (two requests each) per CPU-second",
            ours=f"{logins.ours:,.0f}", peer=f"{logins.peer:,.0f}", ratio=str(logins),
            target=">= 1.0", holds=logins.low >= 1.0, gate=f"{devices:,} devices, each granted once a turn",
        ),
    ]  # fmt: skip


def city(load: Load, folder: Path, quick: bool) -> list[Row]:
    """So many devices online in one process, and all of them at once after a power cut."""
    fits = max(0, available_bytes() - KEEP_FREE) // BYTES_PER_DEVICE
    devices = 5_000 if quick else min(CITY_DEVICES, int(fits))
    size = (
        "" if devices == CITY_DEVICES else f" (the city has {CITY_DEVICES:,}{'' if quick else ': not enough memory'})"
    )
    (folder / "none").mkdir()
    with Ours(folder / "none", 0).running() as empty:
        time.sleep(2)
        bare = empty.resident()
    (folder / "city").mkdir()
    ours = Ours(folder / "city", devices)
    with ours.running():
        known = ours.resident()
        _, first = registered(load, ours, devices, ours.device_port)
        found = ours.until_settled(devices)
        assert online(found) == (devices, devices), found
        ours.until_quiet()
        seconds, rate = (5, 500) if quick else (30, round(devices / 60))
        before = ours.cpu()
        steady = load(ours.port, f"paced:{rate}", devices, seconds, own_port=ours.device_port)
        share = (ours.cpu() - before) / seconds
        assert steady["ok"] == steady["sent"], steady
        held = ours.resident()
        spent, storm = registered(load, ours, devices, ours.device_port)
        found = ours.until_settled(devices)
        assert online(found) == (devices, devices), found
        beats = load(ours.port, "round", devices, 240, own_port=ours.device_port)
        assert (beats["ok"] - beats["repeated"], beats["refused"]) == (devices, 0), beats
        found = ours.until_settled(devices)
        assert online(found) == (devices, devices), found
    per_device = (held - bare) / devices
    gate = f"{devices:,} registered and online, none twice"
    return [
        Row(
            what=f"devices held online by one process{size}", ours=f"{devices:,}", target=f"{CITY_DEVICES:,}",
            holds=None if quick else devices >= CITY_DEVICES, gate=gate,
        ),
        Row(
            what="memory per device, all that the process has for it (of which for its registration)",
            ours=f"{per_device:,.0f} B ({(held - known) / devices:,.0f} B)", target=f"<= {CONTACT_BYTES:,} B",
            holds=None if quick else per_device <= CONTACT_BYTES, gate=gate,
        ),
        Row(
            what=f"share of a core for their keep-alives, one each 60 s ({rate:,}/s)",
            ours=f"{share:.1%}", target="below one core", holds=share < 1.0,
            gate=f"{steady['ok']:,} of {steady['sent']:,} answered, p99 {steady['p99_ms']:.1f} ms",
        ),
        Row(
            what="first registration of all",
            ours=f"{first['seconds']:.0f} s ({2 * devices / first['seconds']:,.0f} requests/s)", gate=gate,
        ),
        Row(
            what="storm: all register anew at once, until the last one is online",
            ours=f"{storm['seconds']:.0f} s ({2 * devices / storm['seconds']:,.0f} requests/s, {spent:.0f} CPU-s)",
            target=">= 20,000 requests/s", holds=2 * devices / storm["seconds"] >= 20_000,
            gate=f"{gate}; the next keep-alive of each is taken; {storm['again']:,} requests sent again",
        ),
    ]  # fmt: skip


def online(found: dict[str, float]) -> tuple[int, int]:
    """Devices registered, and devices believed online."""
    return int(found["anwang_sip_registered_devices"]), int(found['anwang_devices{state="online"}'])
