"""A small 安澜市 in a process of its own, for what drives its screens in Chromium: tests and measurements."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
from playwright.sync_api import BrowserContext

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
PATIENCE_MS = 90_000
"""How long anything may take to appear on two busy cores."""
TRUTH = "city/world/truth.json"
CHROMIUM = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]


def until(condition: Callable[[], T | None], what: str, seconds: float = PATIENCE_MS / 1000) -> T:
    """The condition's first true value, or a failure that says what did not happen."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)
    return found


@dataclass
class City:
    """The running demo. accounts: as in its accounts.json. pid: of its main process, which leads a process group.

    truth: what the simulated city says of its points and devices.
    """

    url: str
    pid: int
    accounts: dict[str, dict[str, Any]]
    truth: dict[str, Any]

    @contextmanager
    def client(self, who: str) -> Iterator[httpx.Client]:
        """The API for one of the demo's people."""
        with httpx.Client(base_url=f"{self.url}/api/v1", timeout=60, trust_env=False) as client:
            answer = client.post("/session", json={k: self.accounts[who][k] for k in ("username", "password")})
            assert answer.status_code == 201, answer.text
            client.cookies.clear()
            client.headers["authorization"] = f"Bearer {answer.json()['token']}"
            yield client

    def sign_in(self, context: BrowserContext, who: str) -> None:
        """Every page of the browser's context belongs to one of the demo's people from now on."""
        account = self.accounts[who]
        answer = context.request.post(
            f"{self.url}/api/v1/session",
            data={"username": account["username"], "password": account["password"]},
            headers={"origin": self.url},
        )
        assert answer.ok, answer.text()

    def cameras(self, amount: int) -> list[dict[str, Any]]:
        """So many cameras that are online, as soon as there are."""
        with self.client("operator") as api:

            def found() -> list[dict[str, Any]] | None:
                query = {"kind": "camera", "state": "online", "limit": amount}
                items: list[dict[str, Any]] = api.get("/points", params=query).json()["items"]
                return items if len(items) == amount else None

            return until(found, f"{amount} cameras online")

    def recorded(self, amount: int, seconds: float) -> list[dict[str, Any]]:
        """The longest recorded stretch of each of so many points: {id, start, end}, once they are so long."""
        with self.client("operator") as api:

            def found() -> list[dict[str, Any]] | None:
                plans = api.get("/recording-plans").json()["items"]
                points = [plan["point"] for plan in plans if plan["point"]]
                if not points:
                    return None
                now = datetime.now(UTC)
                query = {"points": ",".join(points), "from": (now - timedelta(hours=1)).isoformat()}
                rows = api.get("/timeline", params={**query, "to": now.isoformat()}).json()["points"]
                all_spans = [{"id": row["id"], **span} for row in rows for span in row["spans"]]
                best: dict[str, dict[str, Any]] = {}
                for span in sorted(all_spans, key=length):
                    best[span["id"]] = span
                fit = [span for span in best.values() if length(span) >= seconds]
                return fit[:amount] if len(fit) >= amount else None

            return until(found, f"{amount} recordings of {seconds:g} s", 180)


def moment(text: str) -> datetime:
    """A time of the API."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def length(span: dict[str, Any]) -> float:
    """Of a stretch, in seconds."""
    return (moment(span["end"]) - moment(span["start"])).total_seconds()


@contextmanager
def opened(folder: Path, *, points: int, video: Path | None = None) -> Iterator[City]:
    """`anwang demo`, small, on free ports, its data under a folder that exists.

    Raises AssertionError where it does not open.
    """
    data, said = folder / "data", folder / "demo.log"
    command = [sys.executable, "-m", "anwang", "demo", "--port", "0", "--sip-port", "0", "--no-browser"]
    command += ["--data", str(data), "--points", str(points)]
    command += ["--video", str(video)] if video is not None else []
    with said.open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def address() -> str | None:
        assert process.poll() is None, f"the demo ended: {said.read_text('utf-8')[-3000:]}"
        text = said.read_text("utf-8")
        if "registering" not in text:
            return None
        return next(word for word in text.split() if word.startswith("http"))

    try:
        url = until(address, "the demo opens", 150)
        accounts, truth = (json.loads((data / name).read_text("utf-8")) for name in ("accounts.json", TRUTH))
        yield City(url, process.pid, accounts, truth)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
