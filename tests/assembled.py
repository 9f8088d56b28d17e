"""The HTTP application for tests: what `web` and governance bring, plus the routers a test hands over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry

from anwang.governance import Governance
from anwang.governance.http import router as governance_router
from anwang.runtime import settings
from anwang.runtime.clock import SystemClock
from anwang.stores.bus import LocalBus
from anwang.web.api import build_api
from anwang.web.events import Events
from anwang.web.health import Health


@asynccontextmanager
async def build_test_app(
    governance: Governance, folder: Path, *, routers: Sequence[APIRouter] = (), **options: Any
) -> AsyncIterator[FastAPI]:
    """The application over a governance, with a local bus in `folder`. options: further ones of `build_api`."""
    bus = await LocalBus.open(folder / "bus")
    events = Events(bus=bus, governance=governance, keepalive_s=options.pop("keepalive_s", 15.0))
    app = build_api(
        governance=governance,
        routers=[governance_router, *routers],
        events=events,
        **{
            "health": Health(clock=SystemClock()),
            "metrics": CollectorRegistry(),
            "describe": lambda: settings.describe(None, {}),
            **options,
        },
    )
    app.state.events, app.state.bus = events, bus
    try:
        yield app
    finally:
        await events.close()
        await bus.close()


def client_of(app: Any, token: str = "", *, address: str = "192.0.2.7", **headers: str) -> httpx.AsyncClient:
    """A program that speaks to the application without a socket. token: sent as Bearer."""
    if token:
        headers["authorization"] = f"Bearer {token}"
    transport = httpx.ASGITransport(app, client=(address, 50000), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="https://anwang.test", headers=headers)
