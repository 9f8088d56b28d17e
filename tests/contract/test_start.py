"""What a start begins side by side, and what a start that fails leaves behind: nothing."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from anwang.app import start
from anwang.app.claim import Claim
from anwang.kernel.errors import Invalid
from anwang.runtime.settings import Settings
from anwang.stores.series import spawn_embedded

HEAVY = (
    "sqlalchemy",
    "alembic",
    "fastapi",
    "clickhouse_connect",
    "numpy",
    "anwang.app.build",
    "anwang.governance",
    "nats",
)


def read_by(module: str) -> set[str]:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout))


def test_the_engine_is_started_before_the_program_is_read() -> None:
    assert not read_by("anwang.app.start") & set(HEAVY)


def test_the_client_of_a_bus_that_is_not_used_is_not_read() -> None:
    assert "nats" not in read_by("anwang.app.build")


def processes_of(data: Path) -> list[str]:
    """Command lines that name the folder."""
    lines: list[bytes] = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            lines.append(each.read_bytes())
    return [line.replace(b"\0", b" ").decode() for line in lines if str(data).encode() in line]


async def test_a_start_that_fails_leaves_no_process_and_no_claim(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with pytest.raises(Invalid, match="inside the data folder"):
        await start.serve(Settings(data=str(data), key_file=str(data / "key")))
    assert processes_of(data) == []
    with Claim.take(data):
        engine = await spawn_embedded(data / "series")  # one process at a time may open it
        await engine.stop()
