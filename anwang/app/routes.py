"""All routers of all slices, built for one platform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter

from anwang.gateways.gb28181 import http as gb28181_http
from anwang.gateways.rtsp import http as rtsp_http
from anwang.governance import Action, Actor, Governance, Shared, allow
from anwang.governance import http as governance_http
from anwang.governance.http import assessments as assessments_http
from anwang.governance.http import breaches as breaches_http
from anwang.governance.http import cases as cases_http
from anwang.governance.http import duties as duties_http
from anwang.governance.http import oidc as oidc_http
from anwang.governance.http import oversight as oversight_http
from anwang.governance.http import requests as requests_http
from anwang.governance.http import retention as retention_http
from anwang.governance.http import rights as rights_http
from anwang.governance.http import sharing as sharing_http
from anwang.governance.http import signs as signs_http
from anwang.media.http import device as device_http
from anwang.media.http import exports as exports_http
from anwang.media.http import holds as holds_http
from anwang.media.http import live as live_http
from anwang.media.http import masks as masks_http
from anwang.media.http import recordings as recordings_http
from anwang.media.http import walls as walls_http
from anwang.registry import as_table
from anwang.registry import http as registry_http

if TYPE_CHECKING:
    from anwang.app.build import Platform


def _guard(governance: Governance) -> registry_http.Guard:
    """Governance, as the registry's routes ask for it."""

    async def deed(actor: Actor, action: str, objects: Sequence[str], detail: str) -> None:
        await governance.note_deed(actor, Action(action), objects, detail)

    async def exported(actor: Actor, what: str) -> None:
        await governance.note_export(actor, Action.READ_POINTS, what)

    return registry_http.Guard(
        allow=lambda action, use: allow(Action(action), use=use),
        shared=lambda action, use: allow(Action(action), shared=Shared.PULL, use=use),
        deed=deed,
        exported=exported,
    )


def build_routers(platform: Platform) -> list[APIRouter]:
    """In the order in which they are asked."""
    routers = [
        governance_http.router,
        cases_http.build_router(platform.registry.owned),
        rights_http.build_router(platform.registry.owned),
        oidc_http.router,
        duties_http.build_router(
            duties_http.Register(duties=platform.duties, as_table=as_table, exported=platform.governance.note_export)
        ),
        signs_http.build_router(platform.signs),
        sharing_http.build_router(
            sharing_http.Shares(sharing=platform.sharing, as_table=as_table, exported=platform.governance.note_export)
        ),
        assessments_http.build_router(
            assessments_http.Assessed(assessments=platform.assessments, exported=platform.governance.note_export)
        ),
        oversight_http.build_router(platform.anomalies),
        breaches_http.build_router(
            breaches_http.Kept(breaches=platform.breaches, exported=platform.governance.note_export)
        ),
        retention_http.build_router(
            retention_http.Engine(
                retention=platform.retention, reports=platform.retention_reports, owned=platform.registry.owned
            )
        ),
        requests_http.build_router(platform.requests),
        registry_http.router(
            platform.registry,
            platform.imports,
            platform.history,
            _guard(platform.governance),
            drifts=platform.drifts,
        ),
        recordings_http.build_router(
            recordings_http.Recordings(
                timeline=platform.timeline,
                playback=platform.playback,
                export=platform.export,
                snapshots=platform.snapshots,
                sight=platform.sight,
                looks=platform.media_looks,
                plans=platform.plans,
                plays=platform.plays,
                where=platform.registry.where_is,
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
                sight=platform.sight,
                clock=platform.clock,
                where=platform.registry.where_is,
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
                decoders=platform.decoders,
                sight=platform.sight,
                clock=platform.clock,
                where=platform.registry.where_is,
                address_of=platform.address_of,
                upload_url=platform.upload_url,
            )
        )
    )
    routers.append(
        holds_http.build_router(
            holds_http.Kept(holds=platform.holds, where=platform.registry.where_is, owned=platform.registry.owned)
        )
    )
    routers.append(
        masks_http.build_router(
            masks_http.Masking(masks=platform.masks, governance=platform.governance, where=platform.registry.where_is)
        )
    )
    routers.append(exports_http.build_router(exports_http.Taking(exports=platform.exports)))
    routers.append(walls_http.build_router(platform.walls))
    routers.append(rtsp_http.build_router(platform.rtsp, platform.registry, platform.governance))
    if platform.gateway is not None:
        routers.append(
            gb28181_http.build_router(platform.gateway, platform.registry, platform.governance, platform.device_secrets)
        )
    return routers
