"""What devices and browsers of each zone find of us: addresses, ports, routes; for `anwang doctor`.

Nothing is sent. Whether an address is ours is tried by binding to it, where packets leave is asked of the routing
table, and whose a port is stands in /proc.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from anwang.runtime import machine
from anwang.runtime.settings import Settings, Zone

SAMPLE = 97
"""Every so many-th RTP port is tried."""
NAT = "right behind NAT or a load balancer, wrong otherwise"


class Grade(StrEnum):
    """How a finding stands."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report. hint: what to do, empty where all is well."""

    grade: Grade
    subject: str
    detail: str
    hint: str = ""


def ports(settings: Settings, *, running: int | None) -> Iterator[Finding]:
    """Whether each port can be had. running: the platform's process, whose ports are taken as they should be."""
    wanted = [("HTTP", settings.http.host, settings.http.port, socket.SOCK_STREAM)]
    if settings.gb28181.enabled:
        wanted += [
            (name, settings.gb28181.host, settings.gb28181.port, kind)
            for name, kind in (("SIP over UDP", socket.SOCK_DGRAM), ("SIP over TCP", socket.SOCK_STREAM))
        ]
    for name, host, port, kind in wanted:
        yield _port(name, host, port, kind, running)
    yield from _rtp(settings, running)


def _port(name: str, host: str, port: int, kind: socket.SocketKind, running: int | None) -> Finding:
    if (problem := _bind_problem(host, 0, kind)) is not None:
        hint = "listen on an address of this machine, or on ::"
        return Finding(grade=Grade.BAD, subject=name, detail=f"{host} cannot be listened on: {problem}", hint=hint)
    if (problem := _bind_problem(host, port, kind)) is None:
        if running is not None and port:
            hint = "look into the platform's log, or restart it with these settings"
            detail = f"port {port} is free, although the platform runs (process {running})"
            return Finding(grade=Grade.BAD, subject=name, detail=detail, hint=hint)
        return Finding(grade=Grade.OK, subject=name, detail=f"port {port} of {host} is free")
    if running is not None and machine.holds_port(running, port, udp=kind is socket.SOCK_DGRAM) is not False:
        return Finding(grade=Grade.OK, subject=name, detail=f"port {port} of {host} is the running platform's")
    hint = "stop what uses it or set another port"
    return Finding(grade=Grade.BAD, subject=name, detail=f"port {port} of {host}: {problem}", hint=hint)


def _rtp(settings: Settings, running: int | None) -> Iterator[Finding]:
    first, last = settings.media.rtp_ports
    host, subject = settings.media.host, "RTP ports"
    if host == "::" and _bind_problem(host, 0, socket.SOCK_DGRAM) is not None:
        host = "0.0.0.0"  # noqa: S104 - what is left of `::` where the kernel has no IPv6
    if (problem := _bind_problem(host, 0, socket.SOCK_DGRAM)) is not None:
        yield Finding(
            grade=Grade.BAD,
            subject=subject,
            detail=f"media.host {host} cannot be received on: {problem}",
            hint="set an address of this machine, or ::",
        )
        return
    sample = range(first, last, SAMPLE + SAMPLE % 2)
    taken = sum(
        _bind_problem(host, port, kind) is not None
        for port in sample
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)
    )
    streams = (last - first + 1) // 2
    is_bad = bool(taken) and running is None
    yield Finding(
        grade=Grade.WARN if is_bad else Grade.OK,
        subject=subject,
        detail=f"{first}–{last}, {streams} streams at once; {taken} of {2 * len(sample)} that were tried are taken",
        hint="another program uses them" if is_bad else "open them in the firewall for UDP and TCP towards the devices",
    )
    outgoing = machine.outgoing_ports()
    if outgoing is not None and not set(range(first, last + 1)).isdisjoint(outgoing):
        yield Finding(
            grade=Grade.WARN,
            subject=subject,
            detail="the kernel takes some of them for outgoing connections of any program",
            hint=f"set net.ipv4.ip_local_reserved_ports = {first}-{last} (sysctl), or another range",
        )


def zones(settings: Settings) -> Iterator[Finding]:
    """What each zone is told of us, and whether that can be true from here."""
    for name, zone in settings.zones.items():
        yield from _told(settings, name, zone)
        for network in zone.networks:
            yield from _route(name, zone, ipaddress.ip_network(network, strict=False))


def _told(settings: Settings, name: str, zone: Zone) -> Iterator[Finding]:
    for what, told, listens, setting in (
        ("SIP", zone.sip_host, settings.gb28181.host, "gb28181.host"),
        ("media", zone.media_host, settings.media.host, "media.host"),
    ):
        if told:
            yield _listened(name, what, told, listens, setting)
    if zone.http_host:
        host = urlsplit(f"//{zone.http_host}").hostname or zone.http_host
        try:
            found = sorted({str(info[4][0]) for info in socket.getaddrinfo(host, None)})
        except OSError as err:
            yield Finding(
                grade=Grade.WARN,
                subject=f"zone {name}",
                detail=f"{host}, which its browsers use, has no address here: {err.strerror}",
                hint="right if only that zone's name server knows it, wrong otherwise",
            )
            return
        for address in found:
            yield _listened(name, "HTTP", address, settings.http.host, "http.host", called=zone.http_host)


def _listened(name: str, what: str, told: str, listens: str, setting: str, *, called: str = "") -> Finding:
    """Whether an address that a zone is told is one of ours, and one on which we listen."""
    subject = f"zone {name}"
    shown = f"{called} ({told})" if called and called != told else told
    try:
        address = ipaddress.ip_address(told)
    except ValueError:
        hint = "devices are told it as it stands: write an address"
        return Finding(grade=Grade.BAD, subject=subject, detail=f"{told} for {what} is no address", hint=hint)
    if _bind_problem(told, 0, socket.SOCK_DGRAM) is not None:
        detail = f"{shown} for {what} is no address of this machine"
        return Finding(grade=Grade.WARN, subject=subject, detail=detail, hint=NAT)
    if not _covers(listens, address):
        detail = f"{shown} for {what} is ours, but {setting} = {listens} does not listen there"
        return Finding(grade=Grade.BAD, subject=subject, detail=detail, hint=f"set {setting} to {told} or to ::")
    return Finding(grade=Grade.OK, subject=subject, detail=f"{shown} for {what} is ours and listened on")


def _covers(listens: str, told: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        own = ipaddress.ip_address(listens)
    except ValueError:
        return False
    if own.is_unspecified:
        return own.version == 6 or told.version == 4
    return own == told


def _route(name: str, zone: Zone, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Iterator[Finding]:
    subject = f"zone {name}"
    try:
        ours = machine.own_address_towards(str(next(iter(network.hosts()), network.network_address)))
    except OSError as err:
        yield Finding(
            grade=Grade.BAD,
            subject=subject,
            detail=f"no route to {network}: {err.strerror}",
            hint="devices there cannot reach us",
        )
        return
    for what, told in (("SIP", zone.sip_host), ("media", zone.media_host)):
        if not told or told == ours:
            continue
        is_ours = _bind_problem(told, 0, socket.SOCK_DGRAM) is None
        hint = f"add a route to {network} by {told}; firewalls on the way drop such answers" if is_ours else NAT
        yield Finding(
            grade=Grade.WARN,
            subject=subject,
            detail=f"devices in {network} are told {told} for {what}; our packets leave from {ours}",
            hint=hint,
        )
    sip_host = zone.sip_host or ours
    yield Finding(
        grade=Grade.OK,
        subject=subject,
        detail=f"{network} sees us as {sip_host}, sends media to {zone.media_host or sip_host}",
    )


def _bind_problem(host: str, port: int, kind: socket.SocketKind) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, kind) as probe:
            if kind is socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, OverflowError) as err:
        return getattr(err, "strerror", None) or str(err)
    return None
