"""Every route asks governance, and the table of who is answered what is a golden file (design law 7).

A public camera platform checked scopes in the list of cameras and forgot the alarms, the timeline and the plates
(pains.md 31). Here a route that names neither `allow` nor `public` fails, and a new one shows up in review.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.routing import Route as PlainRoute

from anwang.app.build import Platform
from anwang.governance import Action, Actor, Governance, allow, current_actor, public
from anwang.runtime import settings
from anwang.runtime.clock import FakeClock
from anwang.stores.state import State
from tests.assembled import build_test_app
from tests.governed import everyone, governed, token_of
from tests.routes import SignIn, contradictions, status, table, ungoverned, walk

GOLDEN = Path(__file__).parents[1] / "golden" / "routes.txt"


@pytest.fixture
async def governance(tmp_path: Path) -> AsyncIterator[Governance]:
    state = await State.open(f"sqlite:///{tmp_path}/state.db")
    async with governed(state, tmp_path / "data", FakeClock()) as opened:
        await everyone(opened)
        yield opened
    await state.close()


@pytest.fixture
async def app(governance: Governance, tmp_path: Path) -> AsyncIterator[FastAPI]:
    async with build_test_app(governance, tmp_path) as built:
        yield built


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    """The whole product, opened as it is opened for a city, and not served."""
    found = settings.Settings(data=str(tmp_path / "data"), key_file=str(tmp_path / "key"))
    opened = await Platform.open(found)
    try:
        await everyone(opened.governance)
        yield opened
    finally:
        await opened.close()


def _sign_in(governance: Governance) -> SignIn:
    return lambda role: token_of(governance, f"{role}.one")


async def test_the_table_of_routes_and_roles_is_golden(platform: Platform) -> None:
    """Every route of the product: governed, and each role answered as its grants say."""
    app = platform.api
    assert {"/api/v1/points", "/api/v1/timeline", "/api/v1/devices", "/api/v1/rtsp-sources"} <= {
        route.path for route in walk(app)
    }
    assert ungoverned(app) == []
    lines = await table(app, _sign_in(platform.governance))
    wrong = contradictions(lines)
    assert wrong == [], "\n".join(wrong)
    text = "\n".join(lines) + "\n"
    if os.environ.get("BLESS") == "1":
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8"), "renew with BLESS=1 and read the difference"


async def test_what_is_forgotten_is_found(governance: Governance, tmp_path: Path) -> None:
    """The test of the test: each way to hang something into the application without governance."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/forgotten")
    async def forgotten() -> str:
        return "open to everybody"

    @router.get("/lying", dependencies=[public("it says")])
    async def lying(actor: Annotated[Actor, Depends(current_actor)]) -> str:
        return actor.username

    @router.get("/broken")
    async def broken(actor: Annotated[Actor, allow(Action.READ_POINTS)]) -> str:
        raise RuntimeError(actor.username)

    @router.websocket("/socket")
    async def socket() -> None:
        """Never reached."""

    inner = APIRouter(prefix="/api/v1/deep")

    @inner.post("/forgotten")
    async def deep() -> None:
        """Never reached."""

    outer = APIRouter()
    outer.include_router(inner, prefix="/very")
    async with build_test_app(governance, tmp_path / "x", routers=[router, outer]) as app:
        app.router.routes.append(PlainRoute("/plain", lambda request: PlainTextResponse("x")))
        app.router.routes.append(Mount("/mounted", app=FastAPI()))
        found = ungoverned(app)
        assert [line.partition(" (")[0] for line in found] == [
            "GET /api/v1/forgotten", "WEBSOCKET /api/v1/socket", "WEBSOCKET /mounted", "GET /plain", "HEAD /plain",
            "POST /very/api/v1/deep/forgotten",
        ]  # fmt: skip
        assert await status(app, "GET", "/api/v1/forgotten", "") == 200
        lines = [line for line in await table(app, _sign_in(governance)) if "lying" in line or "broken" in line]
        assert len(contradictions(lines)) == 2
