"""Assembly of the one HTTP application: routers that `app` hands over, and everything that surrounds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry

from anwang import __version__
from anwang.governance import Governance
from anwang.runtime.settings import Setting
from anwang.web import errors, system
from anwang.web.edge import Edge, security_headers
from anwang.web.events import Events
from anwang.web.health import Health
from anwang.web.pages import Pages


def build_api(
    *,
    governance: Governance,
    routers: Sequence[APIRouter],
    health: Health,
    metrics: CollectorRegistry,
    describe: Callable[[], Sequence[Setting]],
    events: Events | None = None,
    static: Path | None = None,
    large_bodies: Mapping[str, int] | None = None,
    elsewhere: Sequence[str] = (),
    strict_transport: bool = False,
) -> FastAPI:
    """The ASGI application.

    routers: of the slices, governance's among them; each route says `allow(action)` or `public(reason)`. describe: the
    settings to show. events: the event stream. static: the built UI. large_bodies: bytes by path prefix where a request
    may be larger than 1 MiB. elsewhere: origins of the base map. strict_transport: see `security_headers`.
    """
    app = FastAPI(
        title="Anwang",
        version=__version__,
        description="Anwang 安网: the open platform for a city's safety-video network",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={"default": {"model": errors.ErrorDto, "description": "what was refused, and what would be right"}},
    )
    app.state.governance = governance
    errors.install(app)
    app.include_router(system.build_router(health=health, metrics=metrics, describe=describe))
    if events is not None:
        app.include_router(events.router)
    for router in routers:
        app.include_router(router)
    # what no route takes is the UI's, or nothing
    app.router.default = Pages(static)
    app.add_middleware(
        Edge,
        headers=security_headers(elsewhere=elsewhere, strict_transport=strict_transport),
        largest=dict(large_bodies or {}),
    )
    return app
