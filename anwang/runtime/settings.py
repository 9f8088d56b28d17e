"""One typed tree of settings: default, range, sentence. Unknown keys are refused.

Read from a TOML file, then from the environment: `ANWANG_HTTP__PORT=8080` sets `http.port`. A secret is named by a file
(`…_file`) or given in the environment, never written in the TOML file.
"""

from __future__ import annotations

import ipaddress
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from anwang.kernel.errors import Invalid

PREFIX = "ANWANG_"
Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class Section(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A group of settings."""


class Zone(Section, frozen=True):
    """A network zone: which peers belong to it, and which of our addresses they must use."""

    networks: Annotated[
        tuple[str, ...], Meta(description="CIDR blocks whose devices and browsers belong to the zone")
    ] = ()
    sip_host: Annotated[
        str, Meta(description="our address that the zone's devices use for SIP; empty: as they reached us")
    ] = ""
    media_host: Annotated[
        str, Meta(description="our address that the zone's devices send media to; empty: as they reached us")
    ] = ""
    http_host: Annotated[
        str,
        Meta(description="our name or address that the zone's browsers use, name:port where a proxy has another port"),
    ] = ""


class Http(Section, frozen=True):
    """The one HTTP port: API, UI, live, playback."""

    host: Annotated[str, Meta(description="address to listen on; :: is IPv6 and IPv4")] = "::"
    port: Annotated[Port, Meta(description="port; 0 lets the system choose")] = 8443
    origins: Annotated[
        tuple[str, ...], Meta(description="further origins that browsers may come from, as https://name:port")
    ] = ()
    session_hours: Annotated[Positive, Meta(description="a session ends after so many hours")] = 12.0
    idle_minutes: Annotated[Positive, Meta(description="a session ends after so many minutes without a request")] = (
        120.0
    )
    body_bytes: Annotated[Count, Meta(description="largest request body, imports included")] = 512 * 1024 * 1024


class Tls(Section, frozen=True):
    """Transport security."""

    enabled: Annotated[bool, Meta(description="serve HTTPS; without certificate and key a self-signed one is made")] = (
        True
    )
    cert: Annotated[str, Meta(description="file of the certificate chain (PEM)")] = ""
    key: Annotated[str, Meta(description="file of the private key (PEM)")] = ""


class Stores(Section, frozen=True):
    """Where the four stores are. Empty: the embedded engine in the data folder."""

    state_url: Annotated[
        str, Meta(description="state: postgresql://user@host/database; empty: SQLite in the data folder")
    ] = ""
    media_url: Annotated[
        str, Meta(description="media index, a database of its own; empty: SQLite in the data folder")
    ] = ""
    series_url: Annotated[
        str, Meta(description="series: http://user@host:8123/?database=anwang; empty: the embedded engine")
    ] = ""
    series_password_file: Annotated[str, Meta(description="file with the series store's password")] = ""
    objects_url: Annotated[
        str, Meta(description="objects: s3://bucket?endpoint=…; empty: a folder in the data folder")
    ] = ""
    bus_url: Annotated[str, Meta(description="bus: nats://host:4222; empty: inside the process tree")] = ""


class Gb28181(Section, frozen=True):
    """Our side of GB/T 28181."""

    enabled: Annotated[bool, Meta(description="listen for GB/T 28181 devices")] = True
    server_id: Annotated[str, Meta(description="our own 20-digit code, type 200", pattern=r"^\d{20}$")] = (
        "99010000002000000001"
    )
    domain: Annotated[str, Meta(description="SIP domain; empty: the first ten digits of server_id")] = ""
    realm: Annotated[str, Meta(description="digest realm; empty: the domain")] = ""
    host: Annotated[str, Meta(description="address to listen on; :: is IPv6 and IPv4")] = "::"
    port: Annotated[Port, Meta(description="SIP port, UDP and TCP")] = 5060
    password_file: Annotated[
        str, Meta(description="file with the domain's password, for devices without one of their own")
    ] = ""
    adopt: Annotated[
        bool, Meta(description="adopt new devices at once instead of putting them on the waiting list")
    ] = False
    keepalive_seconds: Annotated[Positive, Meta(description="expected keep-alive interval")] = 60.0
    keepalive_misses: Annotated[Count, Meta(description="missed keep-alives until a device counts as offline")] = 3
    requests_per_second: Annotated[
        Positive, Meta(description="requests heard in a second of an address; of a registered device ten times as many")
    ] = 200.0
    requests_burst: Annotated[
        Count,
        Meta(description="and so many more at once, for storms of devices; of a registered device ten times as many"),
    ] = 10_000
    receive_buffer_bytes: Annotated[Count, Meta(description="kernel receive buffer of the UDP socket")] = (
        32 * 1024 * 1024
    )
    invite_seconds: Annotated[Positive, Meta(description="wait for the answer to an INVITE")] = 10.0
    record_search_seconds: Annotated[
        Positive, Meta(description="wait for a device's first word about its recordings")
    ] = 10.0
    configurations_per_second: Annotated[
        Positive, Meta(description="devices asked for their configuration in a second, at most")
    ] = 20.0
    upload_url: Annotated[
        str,
        Meta(
            description="http:// or https:// address, with port, at which devices upload their snapshots; empty: our "
            "own, as the device reaches us"
        ),
    ] = ""
    waiting_bound: Annotated[
        Count, Meta(description="devices kept on the waiting list; beyond it they are refused and counted")
    ] = 10_000


class Media(Section, frozen=True):
    """Receivers, live and recording."""

    children: Annotated[Count, Meta(description="remux child processes")] = 1
    apart: Annotated[
        Count,
        Meta(description="the most further ones, for streams that were being handled when remux children died"),
    ] = 4
    rtp_ports: Annotated[
        tuple[Port, Port], Meta(description="first and last port for RTP: pairs, so from an even one to an odd one")
    ] = (30000, 39999)
    host: Annotated[str, Meta(description="address to receive media on; :: is IPv6 and IPv4")] = "::"
    first_packet_seconds: Annotated[Positive, Meta(description="wait for the first packet after the answer")] = 10.0
    silence_seconds: Annotated[Positive, Meta(description="a stream without packets for so long is lost")] = 10.0
    device_plays: Annotated[
        Count, Meta(description="recordings played or downloaded from devices at once, by all viewers together")
    ] = 64
    linger_seconds: Annotated[Positive, Meta(description="keep a live stream after its last viewer")] = 30.0
    segment_seconds: Annotated[
        Positive, Meta(description="length of a recorded segment; cut at the next key frame")
    ] = 60.0
    viewer_queue: Annotated[
        Count, Meta(description="fragments queued for a slow viewer before it skips to a key frame")
    ] = 250
    sound: Annotated[bool, Meta(description="carry the cameras' sound, live and recorded; G.711 becomes AAC")] = True
    transcodes: Annotated[
        Count, Meta(description="conversions to H.264 at once: of H.265, and of pictures with masks or marks on them")
    ] = 4
    exports: Annotated[Count, Meta(description="export packages made at once")] = 2
    export_days: Annotated[Count, Meta(description="an export package can be fetched for so many days")] = 7
    free_bytes_floor: Annotated[
        Count, Meta(description="recording stops below this much free disk, signalling goes on")
    ] = 2 * 1024**3
    trace_days: Annotated[Count, Meta(description="play traces are kept for so many days")] = 30


class Retention(Section, frozen=True):
    """How long recordings are kept, by point class, in days."""

    minimum_days: Annotated[
        Count, Meta(description="nothing is deleted earlier, except by the disk guard where allowed")
    ] = 30
    class_1_days: Annotated[Count, Meta(description="class I points")] = 90
    class_2_days: Annotated[Count, Meta(description="class II points")] = 30
    class_3_days: Annotated[Count, Meta(description="class III and other points")] = 30
    kind_days: Annotated[
        dict[str, Count], Meta(description="points of a kind, whatever their class: camera, checkpoint, watchtower, …")
    ] = {}
    gap_days: Annotated[
        Count,
        Meta(
            description="causes of missing recordings are kept for so many days, and never shorter than the recordings "
            "beside them"
        ),
    ] = 180


class Governance(Section, frozen=True):
    """What may be looked at with which reasons."""

    duty_hours: Annotated[
        Positive,
        Meta(description="footage of the last so many hours belongs to daily duty and needs no purpose to be played"),
    ] = 24.0
    short_clip: Annotated[
        bool, Meta(description="clips of at most ten minutes, out of the duty hours, need no second person")
    ] = False
    senior_days: Annotated[
        Count, Meta(description="content older than so many days is looked at only with the yes of a unit above")
    ] = 90
    purpose_minutes: Annotated[Count, Meta(description="the longest a purpose may last")] = 720
    approval_hours: Annotated[
        Positive, Meta(description="a request waits so long for its decision, and may be used so long after it")
    ] = 24.0
    second_factor: Annotated[
        Literal["nobody", "administrators", "everybody"],
        Meta(description="who may do nothing before a second factor is set up; anyone may have one"),
    ] = "nobody"
    request_days: Annotated[
        Count,
        Meta(description="a request to see recordings, or a complaint, is due so many working days after its day"),
    ] = 15
    asker_days: Annotated[
        Count, Meta(description="it is deleted who asked so many days after a request or complaint was closed")
    ] = 180
    holidays: Annotated[
        tuple[str, ...], Meta(description="days from Monday to Friday that are not worked, as 2026-10-01")
    ] = ()
    worked: Annotated[tuple[str, ...], Meta(description="Saturdays and Sundays that are worked, as 2026-10-10")] = ()
    urgent_hours: Annotated[
        Positive,
        Meta(
            description="an urgent look must be made good by a second person within so many hours, or the account is "
            "suspended"
        ),
    ] = 24.0


class Oversight(Section, frozen=True):
    """What of the ledger is unusual enough to be put before the auditors. It is a question, never a verdict."""

    looks_an_hour: Annotated[
        Count, Meta(description="more looks of one account in an hour are a finding, whatever is usual for it")
    ] = 120
    usual_looks: Annotated[
        Count,
        Meta(description="up to so many looks in an hour are never a finding, however few an account usually has"),
    ] = 30
    usual_times: Annotated[
        Positive,
        Meta(
            description="between the two: so many times the looks of the account's own usual hour (of the last 28 days)"
        ),
    ] = 4.0
    searches_an_hour: Annotated[
        Count, Meta(description="more searches and lists of one account in an hour are a finding")
    ] = 300
    refusals_an_hour: Annotated[
        Count, Meta(description="more refused looks of one account in an hour are a finding")
    ] = 10
    duty_from: Annotated[
        int,
        Meta(
            ge=0,
            le=23,
            description="hour of the day (Asia/Shanghai) at which duty begins for accounts whose rights name no hours",
        ),
    ] = 7
    duty_to: Annotated[
        int, Meta(ge=1, le=24, description="hour of the day at which it ends; the same as duty_from: around the clock")
    ] = 21
    off_hours_looks: Annotated[
        Count, Meta(description="so many looks at content off duty on one day are a finding")
    ] = 3
    repeat_days: Annotated[
        int, Meta(ge=2, le=92, description="looks at the same point are put together over so many days")
    ] = 14
    repeats: Annotated[
        int,
        Meta(ge=2, le=92, description="looks on so many of these days, without one case number for all, are a finding"),
    ] = 4
    repeat_live: Annotated[
        bool,
        Meta(
            description="count live looks there, too; a wall that shows the same points every day makes many findings"
        ),
    ] = False


class Oidc(Section, frozen=True):
    """Signing in by another house's account (OpenID Connect). Accounts must exist here, too."""

    issuer: Annotated[str, Meta(description="address of the provider, as it calls itself; empty: not used")] = ""
    client_id: Annotated[str, Meta(description="name under which the provider knows this platform")] = ""
    client_secret_file: Annotated[str, Meta(description="file with the client's secret; empty: a public client")] = ""
    claim: Annotated[str, Meta(description="claim of the provider that is the user name here")] = "preferred_username"
    title: Annotated[str, Meta(description="what the button on the sign-in page says; empty: a plain word")] = ""
    url: Annotated[
        str,
        Meta(description="address at which browsers reach this platform, as told to the provider; empty: as asked"),
    ] = ""
    allow_http: Annotated[bool, Meta(description="ask the provider without TLS, for a test")] = False


class Logs(Section, frozen=True):
    """Logs of the process."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="least severe level written")] = (
        "INFO"
    )
    form: Annotated[Literal["json", "console"], Meta(description="JSON lines or lines for people")] = "json"


class Settings(Section, frozen=True):
    """Everything that can be set."""

    city: Annotated[str, Meta(description="name of the city, shown in the top bar")] = "安网"
    data: Annotated[str, Meta(description="data folder")] = "data"
    key_file: Annotated[str, Meta(description="file of the master key, outside the data folder")] = ""
    http: Http = Http()
    tls: Tls = Tls()
    stores: Stores = Stores()
    gb28181: Gb28181 = Gb28181()
    media: Media = Media()
    retention: Retention = Retention()
    governance: Governance = Governance()
    oversight: Oversight = Oversight()
    oidc: Oidc = Oidc()
    logs: Logs = Logs()
    zones: Annotated[dict[str, Zone], Meta(description="network zones by name")] = {}

    def origins(self) -> frozenset[str]:
        """The pages that may ask, besides those of the very host that was asked: as listed, and the zones' names."""
        names = [zone.http_host for zone in self.zones.values() if zone.http_host]
        bare = names + [f"{name}:{self.http.port}" for name in names if urlsplit(f"//{name}").port is None]
        scheme = "https" if self.tls.enabled else "http"
        usual = ":443" if self.tls.enabled else ":80"  # which a browser leaves out
        return frozenset((*self.http.origins, *(f"{scheme}://{name.removesuffix(usual)}" for name in bare)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One leaf of the tree, for the reference page and the System page."""

    name: str
    sentence: str
    default: object
    value: object
    source: Literal["default", "file", "environment", "flag"]
    variable: str


def load(path: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a file (or none) and the environment. Raises Invalid, naming the key."""
    return _convert(_tree(path, os.environ if environ is None else environ)[0])


def describe(
    path: Path | None, environ: Mapping[str, str] | None = None, *, running: Settings | None = None
) -> list[Setting]:
    """Every setting with its sentence, default, value and where the value came from.

    running: what a program runs with; where that is not what file and environment say, a flag of its command said it.
    """
    tree, sources = _tree(path, os.environ if environ is None else environ)
    told, plain = _convert(tree), Settings()
    held = told if running is None else running
    return [
        Setting(
            name=name,
            sentence=sentence,
            default=_reach(plain, name),
            value=_reach(held, name),
            source=sources.get(name, "default") if _reach(held, name) == _reach(told, name) else "flag",
            variable=PREFIX + name.upper().replace(".", "__"),
        )
        for name, sentence in _leaves(Settings, "")
    ]


def zone_settings() -> list[tuple[str, object, str]]:
    """Name, default and sentence of what a zone holds; for the reference page."""
    return [(name, _reach(Zone(), name), sentence) for name, sentence in _leaves(Zone, "")]


def _tree(path: Path | None, environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    tree: dict[str, Any] = {}
    sources: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(path.read_text("utf-8"))
        except OSError as err:
            raise Invalid(f"cannot read the settings file {path}: {err.strerror}") from err
        except tomllib.TOMLDecodeError as err:
            raise Invalid(f"{path} is not TOML: {err}") from err
        for name, _ in _leaves(Settings, ""):
            if _has(tree, name):
                sources[name] = "file"
    known = {name.upper().replace(".", "__"): name for name, _ in _leaves(Settings, "")}
    kinds = dict(_kinds(Settings, ""))
    for variable, text in environ.items():
        key = variable.removeprefix(PREFIX)
        if not variable.startswith(PREFIX) or key in _OUTSIDE:
            continue
        if key not in known:
            raise Invalid(f"{variable} sets nothing", "see docs/settings.md for the names")
        name = known[key]
        node = tree
        *sections, leaf = name.split(".")
        for section in sections:
            node = node.setdefault(section, {})
        node[leaf] = _from_text(text, kinds[name])
        sources[name] = "environment"
    return tree, sources


#: variables that are not settings of the tree: the master key's file, secrets, test switches
_OUTSIDE = frozenset(
    {
        "KEY_FILE_PATH",
        "GB28181_PASSWORD",
        "SERIES_PASSWORD",
        "S3_ACCESS_KEY",
        "S3_SECRET_KEY",
        "OIDC_SECRET",
        "TEST_CLICKHOUSE_URL",
    }
)


def _from_text(text: str, kind: object) -> object:
    """Text of the environment for a setting of that kind: a string stands as it is, the rest is a TOML value.

    A code of 20 digits or a city called 2024 is a string because its setting is one, not because of how it looks; a
    string may be quoted as in the file.
    """
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    is_text = kind is str or get_origin(kind) is Literal
    return text if is_text and not isinstance(value, str) else value


def _convert(tree: Mapping[str, Any]) -> Settings:
    try:
        found = msgspec.convert(tree, Settings)
    except msgspec.ValidationError as err:
        raise Invalid(f"settings: {err}", "see docs/settings.md for names and ranges") from err
    fault = next(_faults(found), None)
    if fault is not None:
        raise Invalid(f"settings: {fault[0]}", fault[1])
    return found


def _faults(settings: Settings) -> Iterator[tuple[str, str]]:
    """What no single field can tell, with what would be right."""
    for name, _ in _leaves(Settings, ""):
        value = _reach(settings, name)
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{name} is {value}, no number to count with", "set a number"
    first, last = settings.media.rtp_ports
    told, children = f"media.rtp_ports {first} to {last}", settings.media.children + settings.media.apart
    if first > last:
        yield f"{told}: the first is above the last", "set [first, last], for instance [30000, 39999]"
    elif first < 2 or first % 2 or not last % 2:
        yield (
            f"{told}: RTP takes an even port and leaves the odd one above it to RTCP",
            "begin with an even port and end with an odd one, for instance [30000, 39999]",
        )
    elif (last - first + 1) // 2 < children:
        yield f"{told} are fewer pairs than media.children and media.apart together, {children}", "widen the range"
    for section, port in (("http", settings.http.port), ("gb28181", settings.gb28181.port)):
        if first <= port <= last:
            yield f"{told} hold {section}.port {port}", "set another port, or another range"
    watch = settings.oversight
    if watch.repeats > watch.repeat_days:
        yield (
            f"oversight.repeats {watch.repeats} are more than oversight.repeat_days {watch.repeat_days}",
            "set fewer repeats, or more days",
        )
    if settings.oidc.issuer and not settings.oidc.client_id:
        yield "oidc.issuer is set without oidc.client_id", "set both"
    yield from _zone_faults(settings.zones)


def _zone_faults(zones: Mapping[str, Zone]) -> Iterator[tuple[str, str]]:
    seen: list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str]] = []
    for name, zone in zones.items():
        for text in zone.networks:
            try:
                network = ipaddress.ip_network(text, strict=False)
            except ValueError:
                yield f"zones.{name}.networks: {text!r} is no network", "write it as 10.1.0.0/16"
                continue
            for other, owner in seen:
                if other == network and owner != name:
                    yield f"{text} belongs to the zones {owner} and {name}", "name it in one of them"
            seen.append((network, name))


def _kinds(section: type[Section], prefix: str) -> Iterator[tuple[str, object]]:
    """Name and kind of every leaf, what is said about the kind taken away."""
    hints = get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        kind: Any = hints[field.name]
        while get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _kinds(kind, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, kind


def _leaves(section: type[Section], prefix: str) -> Iterator[tuple[str, str]]:
    hints = get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        hint = hints[field.name]
        kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _leaves(kind, f"{prefix}{field.name}.")
        else:
            sentence = next((m.description for m in get_args(hint)[1:] if isinstance(m, Meta) and m.description), "")
            yield prefix + field.name, sentence


def _reach(settings: Section, name: str) -> object:
    value: object = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _has(tree: Mapping[str, Any], name: str) -> bool:
    node: Any = tree
    for part in name.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return True
