"""How soon an empty platform is healthy, and what it holds in memory at rest.

    python -m benchmarks startup

`anwang serve` on a fresh data folder, from the start of its process to a health answer that is not down. Memory is the
proportional set size of all its processes, five seconds later.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.ratio import Row
from benchmarks.signalling import free_port
from tests.browser.city import ROOT, until
from tests.flow.served import write_config

HEALTHY = ("ok", "degraded")


def ancestors(pid: int) -> set[int]:
    """A process and those that started it."""
    found = set()
    while pid > 1:
        found.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def processes(pid: int) -> dict[str, int]:
    """Proportional set size in bytes of a process and what it started, by what each is."""
    found: dict[str, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if pid not in ancestors(int(path.name)):
                continue
            command = path.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode()
            lines = path.joinpath("smaps_rollup").read_text().splitlines()
        except (OSError, IndexError, ValueError):
            continue
        kind = next((part for part in ("series", "media.child", "snapshot", "forkserver") if part in command), "main")
        size = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        found[kind] = found.get(kind, 0) + size
    return found


def healthy(folder: Path) -> tuple[float, dict[str, int]]:
    """Seconds from the start of `anwang serve`, data folder fresh, to a healthy answer; its memory after a rest."""
    port = free_port(socket.SOCK_STREAM)
    config = write_config(folder, http={"host": "127.0.0.1", "port": port})
    environment = {**os.environ, "ANWANG_GB28181_PASSWORD": "a-key-for-devices"}
    command = [sys.executable, "-m", "anwang", "serve", "--config", str(config)]
    began = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:

        def answered() -> bool:
            assert process.poll() is None, (folder / "log").read_text("utf-8")[-2000:]
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/health", trust_env=False, timeout=2)
            except httpx.TransportError:
                return False
            return answer.status_code == 200 and answer.json()["status"] in HEALTHY

        until(answered, "healthy", 60)
        taken = time.monotonic() - began
        time.sleep(5)
        return taken, processes(process.pid)
    finally:
        process.terminate()
        process.wait(40)


def serving(times: int) -> list[Row]:
    """An empty platform: how soon it is healthy, what it holds in memory."""
    took: list[float] = []
    memory: dict[str, int] = {}
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="bench-serve-") as folder:
            taken, memory = healthy(Path(folder))
            took.append(taken)
    parts = ", ".join(f"{kind} {size / 2**20:.0f}" for kind, size in sorted(memory.items()))
    return [
        Row(
            what="`anwang serve`, fresh data folder, to a healthy answer",
            ours=f"{statistics.median(took):.1f} s, worst {max(took):.1f} s, n {len(took)}",
            target="<= 5 s",
            holds=max(took) <= 5,
            gate="health answers ok or degraded, not down",
        ),
        Row(what="memory at idle, all processes (PSS)", ours=f"{sum(memory.values()) / 2**20:.0f} MiB: {parts}"),
    ]


def measure(quick: bool) -> list[Row]:
    """Start and memory."""
    return serving(1 if quick else 5)
