"""The files that the simulated city writes, and their way in: through the public API, as an operator's would go."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anwang.kernel.errors import Unavailable

IMPORTS = (
    ("divisions", "divisions.geojson", "application/geo+json"),
    ("organisations", "organisations.csv", "text/csv"),
    ("grounds", "grounds.geojson", "application/geo+json"),
    ("roads", "roads.geojson", "application/geo+json"),
    ("water", "water.geojson", "application/geo+json"),
    ("places", "places.geojson", "application/geo+json"),
    ("points", "points.csv", "text/csv"),
)
IMPORT_SECONDS = 180.0
ASK_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RtspCamera:
    """An RTSP camera of the city: the code of its point and the path of its streams."""

    code: str
    name: str
    path: str


class CityFiles:
    """A folder that `python -m anwang.democity` fills."""

    def __init__(self, folder: Path) -> None:
        self._world = folder / "world"

    async def ready(self, write: Callable[[], Awaitable[None]]) -> None:
        """Have the files written where they are not there yet."""
        if not (self._world / "truth.json").exists():
            await write()

    def _truth(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self._world / "truth.json").read_text("utf-8"))
        return found

    def devices(self) -> frozenset[str]:
        """Codes of all devices that are to be adopted at once."""
        return frozenset(self._truth()["devices"])

    def showcase(self) -> list[str]:
        """Codes of the cameras that are shown first: their pictures are drawn first."""
        return list(self._truth()["showcase"])

    def moving(self) -> frozenset[str]:
        """Codes of the devices that move."""
        return frozenset(code for code, device in self._truth()["devices"].items() if "beat" in device)

    def rtsp_cameras(self) -> list[RtspCamera]:
        """The cameras that are fetched by URL."""
        return [
            RtspCamera(code=code, name=device["name"], path=device["path"])
            for code, device in self._truth()["devices"].items()
            if device["kind"] == "rtsp"
        ]

    async def add_rtsp(
        self, base: str, account: dict[str, Any], organisation: str, *, port: int, password: str
    ) -> None:
        """Connect the RTSP cameras through the public API. Raises Unavailable."""
        await asyncio.to_thread(self._add_rtsp, base, account, organisation, port, password)

    def _add_rtsp(self, base: str, account: dict[str, Any], organisation: str, port: int, password: str) -> None:
        api = _Api(base)
        signed_in = api.ask("POST", "/api/v1/session", {k: account[k] for k in ("username", "password")})
        api.token = signed_in["token"]
        for camera in self.rtsp_cameras():
            main = f"rtsp://127.0.0.1:{port}/{camera.path.lstrip('/')}"
            wanted = {
                "code": camera.code,
                "name": camera.name,
                "organisation": organisation,
                "url_main": main,
                "url_sub": f"{main}/sub" if camera.path else "",
                "username": "admin",
                "password": password,
            }
            api.ask("POST", "/api/v1/rtsp-sources", wanted)
        api.ask("DELETE", "/api/v1/session", None)

    async def import_through_api(self, base: str, username: str, password: str) -> None:
        """Stage, validate and publish every file, in the order in which they need each other. Raises Unavailable."""
        await asyncio.to_thread(self._import, base, username, password)

    def _import(self, base: str, username: str, password: str) -> None:
        api = _Api(base)
        api.token = api.ask("POST", "/api/v1/session", {"username": username, "password": password})["token"]
        for kind, name, media_type in IMPORTS:
            data = (self._world / name).read_bytes()
            made = api.ask("POST", f"/api/v1/imports?kind={kind}", data, media_type=media_type)
            found = self._wait(api, made["id"], until=("ready", "failed"))
            if found["status"] == "failed":
                raise Unavailable(f"importing {name} failed: {found['faults'][:3]}")
            api.ask("POST", f"/api/v1/imports/{made['id']}/publish", {})
            found = self._wait(api, made["id"], until=("published", "failed"))
            if found["status"] != "published":
                raise Unavailable(f"publishing {name} failed: {found['faults'][:3]}")
        api.ask("DELETE", "/api/v1/session", None)

    def _wait(self, api: _Api, number: str, *, until: tuple[str, ...]) -> dict[str, Any]:
        deadline = time.monotonic() + IMPORT_SECONDS
        while True:
            found = api.ask("GET", f"/api/v1/imports/{number}", None)
            if found["status"] in until:
                return found
            if time.monotonic() > deadline:
                raise Unavailable(f"import {number} is still {found['status']}")
            time.sleep(0.1)


class _Api:
    """The public API, as a program uses it."""

    def __init__(self, base: str) -> None:
        self._base = base
        self.token = ""

    def ask(self, method: str, path: str, body: object, *, media_type: str = "application/json") -> dict[str, Any]:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {"content-type": media_type} if data is not None else {}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self._base + path, data=data, method=method, headers=headers)  # noqa: S310 - our own address
        try:
            with urllib.request.urlopen(request, timeout=ASK_SECONDS) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as err:
            raise Unavailable(
                f"{method} {path} answered {err.code}: {err.read()[:300].decode('utf-8', 'replace')}"
            ) from err
        return json.loads(text) if text else {}
