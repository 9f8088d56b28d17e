"""Routes about the platform itself: health, metrics, settings."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from anwang.governance import Action, Actor, Role, Shape, admit, allow, arrival_of, governance_of, public
from anwang.kernel.errors import Denied, Unauthenticated
from anwang.runtime import settings as runtime_settings
from anwang.runtime.settings import Setting
from anwang.web.health import Cause, Health, Status

MASK = "••••"


class HealthDto(Shape):
    """A part and how it is. Without a session only the status of the whole is told."""

    status: Status
    name: str
    detail: str | None
    causes: list[HealthDto]


class SettingDto(Shape):
    """One setting. source: default, file, environment or flag. secret: the value is masked."""

    key: str
    sentence: str
    default: str | int | float | bool | None
    value: str | int | float | bool | None
    source: str
    variable: str
    secret: bool


class SettingGroupDto(Shape):
    """The settings of one section."""

    name: str
    sentence: str
    settings: list[SettingDto]


class SettingsDto(Shape):
    """All settings."""

    groups: list[SettingGroupDto]


def build_router(*, health: Health, metrics: CollectorRegistry, describe: Callable[[], Sequence[Setting]]) -> APIRouter:
    """The routes. describe: all settings as they are now."""
    router = APIRouter(tags=["system"])

    @router.get("/api/v1/health", dependencies=[public("a monitor asks without a session, and learns one word")])
    async def read_health(request: Request) -> HealthDto:
        """How the platform is: one word for anybody, the tree of causes for who may read the system."""
        tree = await health.tree()
        actor = await _actor_or_none(request)
        if actor is None or not actor.may(Action.READ_SYSTEM):
            return HealthDto(status=tree.status, name=tree.name, detail=None, causes=[])
        return _health(tree)

    @router.get("/metrics", include_in_schema=False, dependencies=[Depends(_Monitor())])
    async def read_metrics() -> Response:
        """Prometheus's text format: from this machine, or with a token of someone who may read the system."""
        return Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)

    @router.get("/api/v1/settings")
    async def read_settings(actor: Annotated[Actor, allow(Action.ADMINISTER)]) -> SettingsDto:
        """All settings, their values and where these come from; secrets are masked."""
        return SettingsDto(groups=setting_groups(describe()))

    return router


async def _actor_or_none(request: Request) -> Actor | None:
    try:
        actor = await admit(governance_of(request), arrival_of(request))
        await _accompanied(request, actor)
    except (Unauthenticated, Denied):
        return None
    request.state.actor = actor
    return actor


async def _accompanied(request: Request, actor: Actor) -> None:
    """See Governance.accompany: these routes ask nobody's dependency."""
    if actor.role is Role.CONTRACTOR:
        await governance_of(request).accompany(actor, Action.READ_SYSTEM, f"{request.method} {request.url.path}")


class _Monitor:
    """Lets through who asks from this machine itself, not through a proxy on it, and else who may read the system."""

    governed_by = "allow read_system, or from this machine"

    async def __call__(self, request: Request) -> None:
        arrival = arrival_of(request)
        through_proxy = arrival.headers.keys() & {"forwarded", "x-forwarded-for", "x-real-ip", "via"}
        if _is_loopback(arrival.address) and not through_proxy:
            return
        actor = await admit(governance_of(request), arrival)
        governance_of(request).scope(actor, Action.READ_SYSTEM)
        await _accompanied(request, actor)
        request.state.actor = actor


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def _health(cause: Cause) -> HealthDto:
    return HealthDto(
        status=cause.status,
        name=cause.name,
        detail=cause.detail or None,
        causes=[_health(each) for each in cause.causes],
    )


def setting_groups(rows: Sequence[Setting]) -> list[SettingGroupDto]:
    """The settings by the section of their name."""
    groups: dict[str, list[SettingDto]] = {}
    for row in rows:
        group = row.name.partition(".")[0] if "." in row.name else "general"
        value, is_masked = mask(row.name, row.value)
        groups.setdefault(group, []).append(
            SettingDto(
                key=row.name,
                sentence=row.sentence,
                default=_plain(row.default),
                value=value,
                source=row.source,
                variable=row.variable,
                secret=is_masked,
            )
        )
    return [SettingGroupDto(name=name, sentence=_sentence(name), settings=found) for name, found in groups.items()]


def _sentence(group: str) -> str:
    section = getattr(runtime_settings.Settings(), group, runtime_settings.Settings())
    return (type(section).__doc__ or "").partition("\n")[0]


def mask(name: str, value: object) -> tuple[str | int | float | bool | None, bool]:
    """A setting's value as it may be shown, and whether something was hidden (secrets by name, or in URLs)."""
    shown = _plain(value)
    leaf = name.rpartition(".")[2]
    is_secret = any(word in leaf for word in ("password", "secret", "token")) and not leaf.endswith("_file")
    if is_secret and shown not in ("", None):
        return MASK, True
    if isinstance(shown, str) and "://" in shown:
        parts = urlsplit(shown)
        user, at, host = parts.netloc.rpartition("@")
        if at and ":" in user:
            return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{MASK}@{host}")), True
        if "secret" in parts.query or "password" in parts.query or "token" in parts.query:
            return urlunsplit(parts._replace(query=MASK)), True
    return shown, False


def _plain(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, tuple | list):
        return ", ".join(str(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(str(each) for each in value)
    return str(value)
