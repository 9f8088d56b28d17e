"""Routes of RTSP sources: connect a camera by its address, see and change how it is reached, let it go."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field, SecretStr

from anwang.gateways.rtsp.service import NAME, RtspGateway, Source
from anwang.governance import Action, Actor, Governance, Shape, allow
from anwang.kernel.errors import NotFound
from anwang.kernel.ids import OrgId
from anwang.registry import Registry

Manager = Annotated[Actor, allow(Action.ADOPT)]


class RtspSourceDto(Shape):
    """A camera by address. code: its 20-digit code, or a name of its own. The password is never shown again."""

    code: str = Field(min_length=1, max_length=64, pattern=r"^[^/\\\x00-\x1f]+$")
    name: str = Field(min_length=1, max_length=100)
    organisation: str
    url_main: str = Field(max_length=1000)
    url_sub: str = Field("", max_length=1000)
    username: str = Field("", max_length=200)
    password: SecretStr = SecretStr("")
    transport: str = Field("tcp", pattern="^(tcp|udp)$")


class RtspAddedDto(Shape):
    """Its device."""

    device: str


class RtspShownDto(Shape):
    """How a camera is reached. has_password: one is kept, sealed."""

    code: str
    device: str
    url_main: str
    url_sub: str
    username: str
    has_password: bool
    transport: str


class RtspListDto(Shape):
    """Sources by code, and the cursor of the next ones."""

    items: list[RtspShownDto]
    next: str | None


class RtspChangeDto(Shape):
    """What is not given stays."""

    url_main: str | None = Field(None, max_length=1000)
    url_sub: str | None = Field(None, max_length=1000)
    username: str | None = Field(None, max_length=200)
    password: SecretStr | None = None
    transport: str | None = Field(None, pattern="^(tcp|udp)$")


def build_router(gateway: RtspGateway, registry: Registry, governance: Governance) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["rtsp"])

    def shown(device: str, source: Source) -> RtspShownDto:
        return RtspShownDto(
            code=source.code,
            device=device,
            url_main=source.url_main,
            url_sub=source.url_sub,
            username=source.username,
            has_password=bool(source.password),
            transport=source.transport,
        )

    def device_of(actor: Actor, code: str) -> str:
        admission = registry.admission(NAME, code)
        if admission is None or not actor.scope.covers_path(admission.org_path):
            raise NotFound(f"there is no RTSP source {code[:64]}", "add its address under Devices")
        return admission.id

    def find(actor: Actor, code: str) -> tuple[str, Source]:
        return device_of(actor, code), gateway.source(code)

    @router.post("/rtsp-sources", status_code=201)
    async def add_source(actor: Manager, wanted: RtspSourceDto) -> RtspAddedDto:
        """Connect a camera by its address, or change how it is reached."""
        under = registry.organisation(actor.scope, wanted.organisation)
        if registry.admission(NAME, wanted.code) is not None:
            device_of(actor, wanted.code)  # who may not see it may not take it over
        await governance.note_deed(actor, Action.ADOPT, [wanted.code], f"RTSP source under {under.id}")
        made = await gateway.put(
            Source(
                code=wanted.code,
                url_main=wanted.url_main,
                url_sub=wanted.url_sub,
                username=wanted.username,
                password=wanted.password.get_secret_value(),
                transport=wanted.transport,
            ),
            name=wanted.name,
            org=OrgId(under.id),
        )
        return RtspAddedDto(device=made)

    @router.get("/rtsp-sources")
    async def list_sources(
        actor: Manager,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[str, Query(max_length=64)] = "",
    ) -> RtspListDto:
        """How cameras by address are reached, by code."""
        found = gateway.sources(actor.scope, after=cursor, limit=limit + 1)
        following = found[limit - 1][1].code if len(found) > limit else None
        return RtspListDto(items=[shown(*each) for each in found[:limit]], next=following)

    @router.get("/rtsp-sources/{code}")
    async def one_source(actor: Manager, code: str) -> RtspShownDto:
        """How one camera is reached."""
        return shown(*find(actor, code))

    @router.patch("/rtsp-sources/{code}")
    async def change_source(actor: Manager, code: str, wanted: RtspChangeDto) -> RtspShownDto:
        """Reach it otherwise, from the next stream on."""
        device, source = find(actor, code)
        given = {name: value for name, value in wanted.model_dump(exclude={"password"}).items() if value is not None}
        if wanted.password is not None:
            given["password"] = wanted.password.get_secret_value()
        await governance.note_deed(actor, Action.ADOPT, [device], f"RTSP source: {', '.join(sorted(given))}")
        changed = replace(source, **given)
        await gateway.change(changed)
        return shown(device, changed)

    @router.delete("/rtsp-sources/{code}", status_code=204)
    async def remove_source(actor: Manager, code: str) -> None:
        """Forget its address; the point stays, with its history."""
        device, _ = find(actor, code)
        await governance.note_deed(actor, Action.ADOPT, [device], "RTSP source removed")
        await gateway.remove(code)

    return router
