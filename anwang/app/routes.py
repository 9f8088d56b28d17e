"""All routers of all slices, built for one platform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter

from anwang.gateways.gb28181 import http as gb28181_http
from anwang.gateways.rtsp import http as rtsp_http
from anwang.governance import Action, Actor, Governance, Scope, allow
from anwang.governance import http as governance_http
from anwang.media.http import device as device_http
from anwang.media.http import holds as holds_http
from anwang.media.http import live as live_http
from anwang.media.http import recordings as recordings_http
from anwang.media.http import walls as walls_http
from anwang.registry import http as registry_http

if TYPE_CHECKING:
    from anwang.app.build import Platform


def _guard(governance: Governance) -> registry_http.Guard:
    """Governance, as the registry's routes ask for it."""

    async def deed(actor: Actor, action: str, objects: Sequence[str], detail: str) -> None:
        await governance.note_deed(actor, Action(action), objects, detail)

    def use(actor: Actor, kind: str, count: int) -> None:
        governance.count_use(actor, kind, Scope(actor.org_path), count)

    async def exported(actor: Actor, what: str) -> None:
        await governance.note_export(actor, Action.READ_POINTS, what)

    return registry_http.Guard(allow=lambda action: allow(Action(action)), use=use, deed=deed, exported=exported)


def build_routers(platform: Platform) -> list[APIRouter]:
    """In the order in which they are asked."""
    routers = [
        governance_http.router,
        registry_http.router(platform.registry, platform.imports, platform.history, _guard(platform.governance)),
        recordings_http.build_router(
            recordings_http.Recordings(
                timeline=platform.timeline,
                playback=platform.playback,
                export=platform.export,
                snapshots=platform.snapshots,
                looks=platform.media_looks,
                plans=platform.plans,
                plays=platform.plays,
                where=platform.where_is,
                plans_changed=platform.recorder.plans_changed,
            )
        ),
        live_http.build_router(
            live_http.Live(
                streams=platform.streams,
                access=platform.access,
                heads=platform.heads,
                governance=platform.governance,
                decoders=platform.decoders,
                conversions=platform.conversions,
                clock=platform.clock,
                where=platform.where_is,
                address_of=platform.address_of,
            )
        ),
    ]
    routers.append(
        device_http.build_router(
            device_http.DeviceSide(
                streams=platform.streams,
                access=platform.access,
                heads=platform.heads,
                governance=platform.governance,
                door=platform.door,
                clock=platform.clock,
                where=platform.where_is,
                address_of=platform.address_of,
                upload_url=platform.upload_url,
            )
        )
    )
    routers.append(holds_http.build_router(holds_http.Kept(retention=platform.retention, where=platform.where_is)))
    routers.append(walls_http.build_router(platform.walls))
    routers.append(rtsp_http.build_router(platform.rtsp, platform.registry, platform.governance))
    if platform.gateway is not None:
        routers.append(
            gb28181_http.build_router(platform.gateway, platform.registry, platform.governance, platform.device_secrets)
        )
    return routers
