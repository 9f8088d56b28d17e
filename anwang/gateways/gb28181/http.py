"""Routes of the gateway: a device's messages live and as pcap, what was refused, catalogue on demand."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field, SecretStr

from anwang.gateways.gb28181.capture import Captured, pcap
from anwang.gateways.gb28181.policies import NAME
from anwang.gateways.gb28181.secrets import LONGEST, DeviceSecrets
from anwang.gateways.gb28181.service import Gb28181Gateway
from anwang.governance import Action, Actor, Governance, Shape, allow
from anwang.kernel.errors import Conflict, Exhausted, Unsupported
from anwang.kernel.ids import OrgId, SessionId
from anwang.kernel.times import from_micros, rfc3339
from anwang.registry import Device, Registry

KEEPALIVE_SECONDS = 15.0
MOST_WATCHED = 30
"""Devices whose messages one session may watch at once."""
Manager = Annotated[Actor, allow(Action.ADOPT)]
Taker = Annotated[Actor, allow(Action.ADOPT, use=None)]


class RefusalDto(Shape):
    """One kind of refusal of one peer."""

    peer: str
    device: str
    reason: str
    count: int
    first: datetime
    last: datetime
    sample: str


class RefusalsDto(Shape):
    """Newest first. total counts all, also those forgotten."""

    items: list[RefusalDto]
    next: str | None
    total: int


class DeviceToComeDto(Shape):
    """A device that is to register. password: its own; without one the domain's serves."""

    device_id: str = Field(pattern="^[0-9]{20}$")
    name: str = Field(min_length=1, max_length=100)
    organisation: str
    password: SecretStr | None = None


class AddedDto(Shape):
    """Our id of the device."""

    device: str


class PasswordDto(Shape):
    """The password that one device must know; it is never shown again."""

    password: SecretStr = Field(min_length=1, max_length=LONGEST)


class OwnPasswordDto(Shape):
    """Whether a device has a password of its own."""

    own: bool


def build_router(
    gateway: Gb28181Gateway, registry: Registry, governance: Governance, passwords: DeviceSecrets
) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["gb28181"])

    watched = Counter[SessionId]()

    async def device_of(actor: Actor, device_id: str) -> Device:
        found = await registry.device(actor.scope, device_id)
        if found.gateway != NAME:
            raise Unsupported(f"device {found.device_id} speaks {found.gateway}, which has no SIP messages")
        return found

    @router.get("/devices/{device_id}/messages", response_class=StreamingResponse)
    async def watch_messages(
        actor: Manager, device_id: str, q: Annotated[str, Query(max_length=200)] = ""
    ) -> StreamingResponse:
        """Server-sent events: the kept messages that contain `q`, then each as it passes; secrets are redacted."""
        found = await device_of(actor, device_id)
        if watched[actor.session_id] >= MOST_WATCHED:
            raise Exhausted("too many message streams are open", "close some windows")
        messages = _messages(gateway, found.device_id, q)
        return StreamingResponse(
            _while_open(governance, actor, messages, watched),
            media_type="text/event-stream",
            headers={"cache-control": "no-store"},
        )

    @router.get("/devices/{device_id}/messages.pcap", response_class=Response)
    async def export_messages(actor: Taker, device_id: str, q: Annotated[str, Query(max_length=200)] = "") -> Response:
        """The kept messages as a capture file."""
        found = await device_of(actor, device_id)
        await governance.note_export(actor, Action.ADOPT, f"messages of device {found.device_id}")
        data = pcap(gateway.capture.messages(found.device_id, q))
        name = f'attachment; filename="{found.device_id}.pcap"'
        return Response(data, media_type="application/vnd.tcpdump.pcap", headers={"content-disposition": name})

    @router.post("/devices/{device_id}/sync", status_code=202)
    async def sync_catalogue(actor: Manager, device_id: str) -> None:
        """Ask the device for its catalogue now."""
        found = await device_of(actor, device_id)
        gateway.sync(found.device_id)

    @router.post("/devices/{device_id}/status", status_code=204)
    async def ask_status(actor: Manager, device_id: str) -> None:
        """Ask the device how it is; its answer stands in the device's evidence then."""
        found = await device_of(actor, device_id)
        await gateway.arrivals.ask_status(found.device_id)

    @router.post("/devices", status_code=201)
    async def expect_device(actor: Manager, wanted: DeviceToComeDto) -> AddedDto:
        """Announce a device before it registers: it is let in at once, under the organisation."""
        under = registry.organisation(actor.scope, wanted.organisation)
        if registry.admission(NAME, wanted.device_id) is not None:
            raise Conflict(f"device {wanted.device_id} is known already", "search for it under Devices")
        await governance.note_deed(actor, Action.ADOPT, [wanted.device_id], f"announced under {under.id}")
        if wanted.password is not None:
            await passwords.put(wanted.device_id, wanted.password.get_secret_value())
        made = await registry.meet(
            NAME, wanted.device_id, address="", transport="", name=wanted.name,
            adopt_under=OrgId(under.id), is_there=False,
        )  # fmt: skip
        return AddedDto(device=made.id)

    @router.get("/devices/{device_id}/password")
    async def own_password(actor: Manager, device_id: str) -> OwnPasswordDto:
        """Whether the device has a password of its own, or uses the domain's."""
        return OwnPasswordDto(own=passwords.has_own((await device_of(actor, device_id)).device_id))

    @router.put("/devices/{device_id}/password")
    async def set_password(actor: Manager, device_id: str, wanted: PasswordDto) -> OwnPasswordDto:
        """Give the device a password of its own, from its next registration on."""
        found = await device_of(actor, device_id)
        await governance.note_deed(actor, Action.ADOPT, [found.id], "a password of its own")
        await passwords.put(found.device_id, wanted.password.get_secret_value())
        return OwnPasswordDto(own=True)

    @router.delete("/devices/{device_id}/password")
    async def drop_password(actor: Manager, device_id: str) -> OwnPasswordDto:
        """Back to the domain's password."""
        found = await device_of(actor, device_id)
        await governance.note_deed(actor, Action.ADOPT, [found.id], "the domain's password again")
        await passwords.drop(found.device_id)
        return OwnPasswordDto(own=False)

    @router.get("/refusals")
    async def list_refusals(
        actor: Manager,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[int, Query(ge=0)] = 0,
    ) -> RefusalsDto:
        """What was refused, with the peer's name."""
        rows, following = gateway.refusals.rows(limit=limit, after=cursor)
        return RefusalsDto(
            items=[
                RefusalDto(
                    peer=r.peer,
                    device=r.device,
                    reason=r.reason,
                    count=r.count,
                    first=from_micros(r.first_us),
                    last=from_micros(r.last_us),
                    sample=r.sample,
                )
                for r in rows
            ],
            next=None if following is None else str(following),
            total=gateway.refusals.total,
        )

    return router


async def _while_open(
    governance: Governance, actor: Actor, parts: AsyncGenerator[bytes, None], watched: Counter[SessionId]
) -> AsyncIterator[bytes]:
    """The parts, until the actor's session ends. watched: how many streams each session has open."""
    ended = asyncio.Event()
    over = asyncio.ensure_future(ended.wait())
    watched[actor.session_id] += 1
    try:
        async with governance.while_open(actor, ended.set), aclosing(parts):
            while True:
                coming = asyncio.ensure_future(anext(parts, None))
                try:
                    await asyncio.wait({coming, over}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    coming.cancel()  # changes nothing where it is done
                    await asyncio.wait({coming})
                if over.done() or coming.cancelled() or (part := coming.result()) is None:
                    return
                yield part
    finally:
        over.cancel()
        watched[actor.session_id] -= 1
        if not watched[actor.session_id]:
            del watched[actor.session_id]


async def _messages(gateway: Gb28181Gateway, device: str, text: str) -> AsyncGenerator[bytes, None]:
    wanted = text.casefold().encode()
    with gateway.capture.watch(device) as queue:
        for message in gateway.capture.messages(device, text):
            yield _event(message)
        while True:
            try:
                async with asyncio.timeout(KEEPALIVE_SECONDS):
                    message = await queue.get()
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if not wanted or wanted in message.data.lower():
                yield _event(message)


def _event(message: Captured) -> bytes:
    told = {
        "at": rfc3339(from_micros(message.at_us)),
        "outgoing": message.outgoing,
        "transport": message.transport,
        "local": f"{message.local[0]}:{message.local[1]}",
        "remote": f"{message.remote[0]}:{message.remote[1]}",
        "text": message.data.decode("utf-8", "replace"),
    }
    return b"event: message\ndata: " + json.dumps(told, ensure_ascii=False).encode() + b"\n\n"
