"""A platform as a process of its own, for tests: `python -m tests.flow.served settings.toml [furnished]`.

Everything is the real thing (`anwang.app.build.serve`); only the first account and organisation, which a person would
make, are made here; and, where it is said, all that `tests.furnished` has. When it serves,
it prints one line of JSON with its addresses. Beside it: the tests' side of it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

ADMIN, OPERATOR, SECURITY, AUDIT = "flow.admin", "flow.operator", "flow.security", "flow.audit"
PASSWORD = "four unrelated words 7"
PURPOSE = {"kind": "criminal_case", "case_no": "A9901010000002026110001", "unit": "北区分局", "minutes": 600}
DOOR_KEY = "a-key-for-devices"
SERVER = "99010000002000000001"
DOMAIN = SERVER[:10]
ROOT = Path(__file__).parents[2]
T = TypeVar("T")


async def main(config: Path, *, is_furnished: bool = False) -> None:
    from anwang.app.build import Platform, serve
    from anwang.governance import CITY, NewUser, Role
    from anwang.registry import OrgKind
    from anwang.runtime import settings

    async def opened(platform: Platform) -> None:
        if len(platform.registry.all_organisations) <= 1:  # the city itself is always there
            await platform.registry.add_organisation(name="安澜市", kind=next(iter(OrgKind)), parent="city")
            await platform.governance.seed(
                [
                    NewUser(username=name, display_name=name, role=role, org_id=CITY, password=PASSWORD)
                    for name, role in (
                        (ADMIN, Role.ADMINISTRATOR),
                        (OPERATOR, Role.OPERATOR),
                        (SECURITY, Role.SECURITY),
                        (AUDIT, Role.AUDIT),
                    )
                ]
            )
        told = {
            "url": platform.listener.url,
            "sip_port": platform.gateway.port if platform.gateway is not None else 0,
            "organisation": list(platform.registry.all_organisations)[-1],
            "children": [child.pid for child in platform.children],
        }
        if is_furnished:
            from tests.furnished import NORTH, SOUTH, furnished
            from tests.governed import cheap

            platform.governance._passwords = cheap()
            city = await furnished(platform)
            told |= {"north": city.ids[NORTH], "south": city.ids[SOUTH], "telling": city.telling(SOUTH)}
            await city.close()
        print(json.dumps(told), flush=True)

    await serve(settings.load(config), config=config, opened=opened)


class Served:
    """The process, and a session on it of an operator, who has stated a purpose, and of each administrator."""

    def __init__(self, process: subprocess.Popen[bytes], told: dict[str, Any], data: Path) -> None:
        self.process = process
        self.url: str = told["url"]
        self.sip_port: int = told["sip_port"]
        self.organisation: str = told["organisation"]
        self.children: list[int] = told["children"]
        self.told = told
        self.data = data
        self.admin = self.sign_in(ADMIN)
        self.operator = self.sign_in(OPERATOR)
        self.security, self.audit = self.sign_in(SECURITY), self.sign_in(AUDIT)
        self.post("/purposes", PURPOSE, by="operator")

    def sign_in(self, name: str = OPERATOR, password: str = PASSWORD) -> httpx.Client:
        """Another session."""
        client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        client.headers["authorization"] = f"Bearer {self._token(client, name, password)}"
        return client

    @staticmethod
    def _token(client: httpx.Client, name: str, password: str) -> str:
        answer = client.post("/api/v1/session", json={"username": name, "password": password})
        assert answer.status_code == 201, answer.text
        client.cookies.clear()
        return str(answer.json()["token"])

    @property
    def token(self) -> str:
        """The operator's."""
        return self.operator.headers["authorization"].removeprefix("Bearer ")

    def get(self, path: str, *, by: str = "operator", **query: Any) -> Any:
        """JSON of a GET."""
        client: httpx.Client = getattr(self, by)
        answer = client.get(f"/api/v1{path}", params=query)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: Any, *, by: str = "admin") -> Any:
        """JSON of a POST."""
        client: httpx.Client = getattr(self, by)
        answer = client.post(f"/api/v1{path}", json=body)
        assert answer.status_code < 300, f"{path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def device(self, code: str) -> dict[str, Any] | None:
        """The device with this code, with its evidence, or None."""
        found = [d for d in self.get("/devices", by="admin", q=code)["items"] if d["device_id"] == code]
        return self.get(f"/devices/{found[0]['id']}", by="admin") if found else None

    def point(self, code: str) -> dict[str, Any] | None:
        """The point with this code, or None."""
        found = [p for p in self.get("/points", q=code)["items"] if p["code"] == code]
        return found[0] if found else None

    def state(self, code: str) -> str:
        """Whether the point with this code is online, offline, unknown; '' where there is none."""
        found = self.point(code)
        return "" if found is None else str(found["state"])

    def refused(self, *, device: str = "", reason: str = "") -> list[dict[str, Any]]:
        """What /refusals lists, by device code and a part of the reason."""
        rows = self.get("/refusals", by="admin", limit=500)["items"]
        return [r for r in rows if device in r["device"] and reason in r["reason"]]

    def metric(self, name: str, **labels: str) -> float:
        """A number of /metrics; 0 where it has no such line."""
        answer = self.admin.get("/metrics")
        assert answer.status_code == 200, answer.text
        head = name + ("{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}" if labels else "")
        return next((float(line.split()[-1]) for line in answer.text.splitlines() if line.startswith(f"{head} ")), 0.0)

    def order(self, *, device: str, **policies: Any) -> None:
        """Set policies of the device with this code; others stay."""
        found = self.device(device)
        assert found is not None, device
        answer = self.admin.patch(f"/api/v1/devices/{found['id']}/policies", json=policies)
        assert answer.status_code == 200, answer.text
        assert {name: answer.json()[name] for name in policies} == policies

    def close(self) -> None:
        """Stop it politely."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        for client in (self.admin, self.operator, self.security, self.audit):
            client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        if self.process.stdout is not None:
            self.process.stdout.close()


def until(condition: Callable[[], T | None], what: str, seconds: float = 20.0) -> T:
    """The condition's first true value, or a failure that says what did not happen."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return found


def write_config(folder: Path, **changes: dict[str, object]) -> Path:
    """A settings file for tests; changes: keys by section."""
    ports = 20000 + os.getpid() % 70 * 160  # below what the kernel hands out for ports of 0
    sections: dict[str, dict[str, object]] = {
        "http": {"host": "127.0.0.1", "port": 0},
        "tls": {"enabled": False},
        "gb28181": {"host": "127.0.0.1", "port": 0, "server_id": SERVER, "receive_buffer_bytes": 1 << 20},
        "media": {
            "host": "127.0.0.1", "rtp_ports": [ports, ports + 159], "free_bytes_floor": 1, "segment_seconds": 4.0,
            "first_packet_seconds": 3.0, "linger_seconds": 1.0,
        },
        "governance": {"short_clip": True, "duty_hours": 100_000.0},  # what a device keeps may be of any day
        "logs": {"level": "INFO", "form": "json"},
    }  # fmt: skip
    lines = [f"data = {json.dumps(str(folder / 'data'))}", f"key_file = {json.dumps(str(folder / 'master.key'))}"]
    for name in {**sections, **changes}:
        lines.append(f"[{name}]")
        held = {**sections.get(name, {}), **changes.get(name, {})}
        lines += [f"{key} = {json.dumps(value)}" for key, value in held.items()]
    path = folder / "settings.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def start(folder: Path, config: Path, *more: str) -> Served:
    """Start the process and wait until it serves; its log is in folder/log. more: see above."""
    environment = {**os.environ, "ANWANG_GB28181_PASSWORD": DOOR_KEY}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.flow.served", str(config), *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, env=environment,
        )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(b'{"url"'):
            return Served(process, json.loads(line), folder / "data")
    raise AssertionError(f"the platform did not start: {(folder / 'log').read_text('utf-8')[-3000:]}")


@contextmanager
def serving(folder: Path, *more: str, **changes: dict[str, object]) -> Iterator[Served]:
    """A platform while the context lasts."""
    served = start(folder, write_config(folder, **changes), *more)
    try:
        yield served
    finally:
        served.close()


if __name__ == "__main__":
    import uvloop

    from anwang.runtime import logs

    logs.configure(level="INFO", as_json=True)
    uvloop.run(main(Path(sys.argv[1]), is_furnished="furnished" in sys.argv[2:]))
