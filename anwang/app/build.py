"""The composition root: opens the stores, builds the slices, joins them, and runs it all until told to stop.

Order matters and is the rings' order: stores, governance, registry, access, media, gateways, web. Nothing below imports
this module; nothing here decides anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from anwang.access import Access, Address, Heads, Stream
from anwang.app import healthchecks, metrics
from anwang.app.accounts import AccountsFollow
from anwang.app.archive import before_upgrade, resume_merges
from anwang.app.begun import Begun, media_children, run_folder
from anwang.app.claim import Claim
from anwang.app.engines import data_folder, key_file, open_objects, open_series, open_state
from anwang.app.equipment import RegistryEquipment
from anwang.app.heard import Heard
from anwang.app.ledger import ANCHORS
from anwang.app.marks import AxisMarks
from anwang.app.notices import Notices
from anwang.app.places import RegistryPlaces
from anwang.app.routes import build_routers
from anwang.app.upkeep import Upkeep
from anwang.gateways.gb28181 import DeviceSecrets, Gb28181Gateway, KeptCalls
from anwang.gateways.rtsp import RtspGateway
from anwang.governance import (
    CITY,
    LEDGER_STEPS,
    Anomalies,
    Assessments,
    Breaches,
    Duties,
    Governance,
    Holds,
    Requests,
    Retention,
    RetentionReports,
    Rules,
    Sharing,
    Signs,
    Watch,
    WorkingDays,
)
from anwang.governance.http import signs as signs_http
from anwang.kernel.errors import AnwangError, NotFound, Unavailable
from anwang.kernel.ids import PlayId, PointId
from anwang.media import (
    Child,
    Conversions,
    DecodePool,
    Export,
    ExportKeeper,
    Exports,
    Footage,
    Making,
    Masks,
    Packer,
    Plans,
    Play,
    Playback,
    Plays,
    PlayStep,
    PlayTrace,
    Recorder,
    RecordingKeeper,
    RecordingLooks,
    Reindex,
    SegmentIndex,
    Sight,
    Signals,
    Snapshots,
    Streams,
    Timeline,
    UploadDoor,
    Walls,
    judge,
)
from anwang.media.http import device as device_http
from anwang.registry import (
    HISTORY_STEPS,
    SHAREABLE,
    DeviceAdopted,
    DriftMetrics,
    Drifts,
    Evidence,
    EvidenceKind,
    Fact,
    Imports,
    PointClass,
    PointForbidden,
    PointsChanged,
    PoliciesChanged,
    Registry,
    RegistryMetrics,
    Seal,
    StateHistory,
)
from anwang.registry import Rules as LiveRules
from anwang.registry import State as Believed
from anwang.runtime import logs, machine
from anwang.runtime.clock import Clock, SystemClock
from anwang.runtime.secrets import Sealer, open_keys
from anwang.runtime.settings import Settings, describe
from anwang.runtime.zones import Zones
from anwang.stores.bus import Bus, open_bus
from anwang.stores.objects import Objects
from anwang.stores.series import EmbeddedSeries, Series, spawn_embedded
from anwang.stores.state import MAIN, MEDIA, State, migrate
from anwang.web.api import build_api
from anwang.web.events import Events
from anwang.web.health import Health
from anwang.web.listener import Listener
from anwang.wire.gb28181 import AlarmNotify, Ssrc, StreamKind

log = logs.get(__name__)

SALVAGE_SECONDS = 300.0
SERIES_STEPS = (*LEDGER_STEPS, *HISTORY_STEPS)
"""Of all slices, in order."""
STATIC = Path(__file__).parents[1] / "web" / "static"


@dataclass(slots=True, kw_only=True)
class Stores:
    """The four stores, opened."""

    state: State
    media: State
    series: Series
    embedded: EmbeddedSeries | None
    objects: Objects
    bus: Bus


async def open_stores(
    settings: Settings,
    *,
    backup: Callable[[State, State, Series], Awaitable[object]] | None = None,
    engine: asyncio.Task[EmbeddedSeries] | None = None,
) -> Stores:
    """Open all stores and bring their schemas up to date. Raises Unavailable, Unsupported.

    backup: called with the state database, the media index and the series before one that holds something is changed.
    engine: the series engine's process, begun before.
    """
    data = data_folder(settings)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    (series, embedded), state, media = await asyncio.gather(
        open_series(settings, engine), open_state(settings, MAIN), open_state(settings, MEDIA)
    )
    copy = None if backup is None else partial(backup, state, media, series)
    await migrate(state, schema=MAIN, backup=copy)
    await migrate(media, schema=MEDIA, backup=copy)
    await series.migrate(SERIES_STEPS)
    objects = open_objects(settings)
    bus = await open_bus(settings.stores.bus_url or "local:", folder=data / "bus")
    return Stores(state=state, media=media, series=series, embedded=embedded, objects=objects, bus=bus)


async def close_stores(stores: Stores) -> None:
    """Close them, the engine last."""
    await stores.bus.close()
    stores.objects.close()
    await stores.series.close()
    await stores.media.close()
    await stores.state.close()
    if stores.embedded is not None:
        await stores.embedded.stop()


class Platform:
    """Everything of one machine."""

    def __init__(self, settings: Settings, stores: Stores, sealer: Sealer, clock: Clock) -> None:
        self.settings = settings
        self.stores = stores
        self.sealer = sealer
        self.clock = clock
        self.metrics = CollectorRegistry()
        self.health = Health(clock=clock)
        self.claim: Claim | None = None
        self.begun: Begun | None = None
        self.governance: Governance
        self.registry: Registry
        self.gateway: Gb28181Gateway | None = None
        self.listener: Listener
        self.events: Events
        self.ready = asyncio.Event()
        self._salvage_due = asyncio.Event()
        self._numbers = itertools.count()
        self.zones = Zones(settings.zones)
        self._evidence: list[Evidence] = []
        self._traces: dict[str, PlayTrace] = {}
        self._traces_due = asyncio.Event()

    @classmethod
    async def open(
        cls,
        settings: Settings,
        *,
        config: Path | None = None,
        clock: Clock | None = None,
        begun: Begun | None = None,
    ) -> Platform:
        """Open the stores and build the slices; serve with run(). Raises Unavailable, Invalid, Unsupported.

        begun: what was started before; it ends with the platform, or with the failure to open it.
        """
        data = data_folder(settings)
        claim = begun.claim if begun else Claim.take(data)
        try:
            # where something was signed, a missing key is not replaced by a new one
            sealer = open_keys(key_file(settings), data=data, create=not (data / ANCHORS).exists())
            stores = await open_stores(
                settings, backup=before_upgrade(settings), engine=begun.engine if begun else None
            )
            platform = cls(settings, stores, sealer, clock or SystemClock())
            platform.claim, platform.begun = claim, begun
            try:
                await platform._build(data, config)
            except BaseException:
                await close_stores(stores)
                raise
        except BaseException:
            if begun is not None:
                await begun.discard()
            claim.release()
            raise
        return platform

    async def _build(self, data: Path, config: Path | None) -> None:
        settings, stores, clock = self.settings, self.stores, self.clock
        self._files_changed = asyncio.Event()
        self.notices = Notices(clock)
        self.registry = Registry(
            state=stores.state,
            clock=clock,
            folder=data / "registry",
            city=settings.city,
            rules=LiveRules(
                keepalive_s=settings.gb28181.keepalive_seconds, keepalive_misses=settings.gb28181.keepalive_misses
            ),
            waiting_bound=settings.gb28181.waiting_bound,
            announce=self._registry_fact,
        )
        self.governance = await Governance.open(
            state=stores.state,
            settings=settings,
            clock=clock,
            sealer=self.sealer,
            places=RegistryPlaces(self.registry),
            series=stores.series,
        )
        await self.registry.load()
        self.drifts = Drifts(
            state=stores.state,
            clock=clock,
            seal=Seal(self.sealer.derive_each("device baselines")),
            admission=self.registry.admission,
            announce=self._registry_fact,
        )
        self.drifts.ask = self._ask_configuration
        self.duties = Duties(
            state=stores.state,
            clock=clock,
            write=self.governance.note_deed,
            place=RegistryPlaces(self.registry).organisation,
            equipment=RegistryEquipment(self.registry),
        )
        self.signs = Signs(state=stores.state, clock=clock, write=self.governance.note_deed, photos=stores.objects)
        self.sharing = Sharing(
            state=stores.state,
            clock=clock,
            write=self.governance.note_deed,
            place=RegistryPlaces(self.registry).organisation,
            fields=SHAREABLE,
            changed=self.governance.agreement_changed,
            ledger=self.governance.read_ledger,
        )
        self.assessments = Assessments(
            state=stores.state,
            clock=clock,
            write=self.governance.note_deed,
            place=RegistryPlaces(self.registry).organisation,
        )
        self._build_oversight()
        self.history = StateHistory(
            series=stores.series, live=self.registry.live, clock=clock, device_of=self.registry.device_of
        )
        self.history.follow()
        if self.registry.live.blind:
            await self.history.resume(*self.registry.live.blind[-1], self.registry.believed)
        self.imports = Imports(
            registry=self.registry,
            state=stores.state,
            clock=clock,
            folder=data / "imports",
            announce=self._import_moved,
            largest_bytes=settings.http.body_bytes,
        )
        self.events = Events(bus=stores.bus, governance=self.governance, shape=self.notices.shape(self.registry))
        self.notices.attach(self.events, self.registry)
        self.access = Access()
        self.masks = Masks(state=stores.state, clock=clock, governs=self.governance)
        await self.masks.load()
        self.heads = Heads(self.access, on_change=self.notices.head, before=self.masks.aims.ordered)
        self._build_media(data)
        self.rtsp = RtspGateway(
            state=stores.state,
            registry=self.registry,
            sealer=self.sealer,
            clock=clock,
            probe_seconds=settings.gb28181.keepalive_seconds,
            watched=self._watched_sources,
        )
        await self.rtsp.load()
        self.access.register(self.rtsp)
        if settings.gb28181.enabled:
            await self._build_gb28181()
        self.media_looks = RecordingLooks(governs=self.governance, clock=clock, where=self.registry.where_is)
        self.playback = Playback(
            footage=self.footage,
            causes=self.timeline,
            looks=self.media_looks,
            clock=clock,
            sight=self.sight,
        )
        self.export = Export(
            footage=self.footage, causes=self.timeline, looks=self.media_looks, clock=clock, sight=self.sight
        )
        self.holds = Holds(state=stores.state, ledger=self.governance.ledger, clock=clock)
        self.retention = Retention(
            state=stores.state,
            ledger=self.governance.ledger,
            clock=clock,
            rules=Rules.of(settings.retention, self.registry.known),
            owned=self.registry.owned,
        )
        self.retention_reports = RetentionReports(
            state=stores.state,
            ledger=self.governance.ledger,
            clock=clock,
            retention=self.retention,
            owned=self.registry.owned,
        )
        keeper = RecordingKeeper(
            index=self.index,
            objects=stores.objects,
            clock=clock,
            rules=self.retention.rules,
            class_of=lambda point: int(self.registry.class_of(point) or 3),
            plans=self.plans,
        )
        self.retention.register(keeper)
        self.retention.register(ExportKeeper(state=stores.state, objects=stores.objects), keeps_copies=True)
        self.making = Making(
            state=stores.state,
            clock=clock,
            objects=stores.objects,
            governs=self.governance,
            packer=Packer(
                clips=self.export, looks=self.media_looks, governs=self.governance, clock=clock, city=settings.city
            ),
            most=settings.media.exports,
            kept=timedelta(days=settings.media.export_days),
        )
        self.exports = Exports(
            state=stores.state,
            clock=clock,
            objects=stores.objects,
            governs=self.governance,
            looks=self.media_looks,
            making=self.making,
            codes=self.registry.codes,
            may_write=self._may_write,
        )
        wanted = settings.governance
        self.requests = Requests(
            state=stores.state,
            clock=clock,
            sealer=self.sealer,
            write=self.governance.note_deed,
            place=RegistryPlaces(self.registry).organisation,
            owned=self.registry.owned,
            packages=self.exports,
            calendar=WorkingDays.of(wanted.holidays, wanted.worked),
            days=wanted.request_days,
            kept=timedelta(days=wanted.asker_days),
        )
        self.accounts = AccountsFollow(
            [
                self.governance.organisations_changed,
                self.duties.organisations_changed,
                self.breaches.organisations_changed,
                self.requests.organisations_changed,
                self.sharing.organisations_changed,
                self.assessments.organisations_changed,
            ],
            clock,
        )
        self.upkeep = Upkeep.of(
            settings,
            clock=clock,
            plays=self.plays,
            index=self.index,
            signals=self.signals,
            keeper=keeper,
            watch=self.watch,
            resume_merges=None if stores.embedded is None else partial(resume_merges, data, stores.series),
        )
        healthchecks.register(self)
        metrics.register(self)
        self.metrics.register(RegistryMetrics(self.registry))
        self.metrics.register(DriftMetrics(self.drifts))
        routers: Sequence[APIRouter] = build_routers(self)
        api = build_api(
            governance=self.governance,
            routers=routers,
            health=self.health,
            metrics=self.metrics,
            describe=lambda: describe(config, running=settings),
            events=self.events,
            static=STATIC if (STATIC / "index.html").exists() else None,
            large_bodies={
                "/api/v1/imports": settings.http.body_bytes,
                device_http.UPLOADS: device_http.UPLOAD_BYTES,
                signs_http.UPLOADS: signs_http.UPLOAD_BYTES,
            },
        )
        self.api = api
        hosts = [urlsplit(f"//{zone.http_host}").hostname for zone in settings.zones.values()]
        self.listener = Listener(
            api, http=settings.http, tls=settings.tls, data=data, names=[host for host in hosts if host]
        )

    def _build_oversight(self) -> None:
        stores, clock, governance = self.stores, self.clock, self.governance
        self.watch = Watch(state=stores.state, series=stores.series, clock=clock, bounds=self.settings.oversight)
        self.anomalies = Anomalies(
            state=stores.state,
            series=stores.series,
            clock=clock,
            write=governance.note_deed,
            use=governance.count_use,
            settled=self.watch.count,
        )
        self.breaches = Breaches(
            state=stores.state,
            series=stores.series,
            clock=clock,
            write=governance.note_deed,
            place=RegistryPlaces(self.registry).organisation,
            waiting=lambda: governance.copy.behind if governance.copy else 0,
        )

    def _build_media(self, data: Path) -> None:
        settings, stores, clock = self.settings, self.stores, self.clock
        wanted = settings.media
        self.index = SegmentIndex(stores.media)
        self.plays = Plays(stores.media, kept_days=wanted.trace_days)
        self.plans = Plans(stores.media, clock, self._class_of)
        self.walls = Walls(stores.state, clock)
        self.recorder = Recorder(
            index=self.index,
            plans=self.plans,
            clock=clock,
            segment_seconds=wanted.segment_seconds,
            points_of=self._points_of_class,
            may_write=self._may_write,
            on_recording=self._on_recording,
            is_offline=self._is_offline,
        )
        self.children = self.begun.children if self.begun else media_children(settings, data)
        self.children.attach(
            on_event=lambda child, message: self.streams.handle(child, message), on_death=self._child_died
        )
        self.streams = Streams(
            access=self.access,
            children=self.children,
            clock=clock,
            settings=wanted,
            address_of=self.address_of,
            media_host=self._media_host,
            next_ssrc=self._next_ssrc,
            seals=self.recorder,
            on_evidence=self._on_evidence,
            on_play=self._on_play,
            on_outcome=self._on_outcome,
            on_refused=self._on_media_refused,
        )
        self.recorder.attach(self.streams)
        self.signals = Signals(stores.media, clock, wake=self.recorder.called)
        self.heard = Heard(self.registry, self.signals, clock)
        self.footage = Footage(index=self.index, objects=stores.objects, growing=self.recorder.growing)
        self.timeline = Timeline(
            index=self.index,
            plans=self.plans,
            clock=clock,
            growing=self.recorder.growing,
            marks=AxisMarks(self.signals, lambda points, span: self.holds.within(points, span)),
        )
        self.decoders = DecodePool()
        self.conversions = Conversions(run=run_folder(data), most=wanted.transcodes, most_queued=wanted.viewer_queue)
        self.sight = Sight(masks=self.masks, conversions=self.conversions, clock=clock)
        self.door = UploadDoor()
        self.snapshots = Snapshots(
            index=self.index, footage=self.footage, pool=self.decoders, growing=self.recorder.growing
        )

    async def _build_gb28181(self) -> None:
        settings = self.settings.gb28181
        secret = os.environ.get("ANWANG_GB28181_PASSWORD") or (
            Path(settings.password_file).read_text("utf-8").strip() if settings.password_file else None
        )
        self.device_secrets = DeviceSecrets(
            state=self.stores.state, sealer=self.sealer, clock=self.clock, domain=secret
        )
        await self.device_secrets.load()
        kept = KeptCalls(state=self.stores.state, clock=self.clock)
        await kept.load()
        self.gateway = Gb28181Gateway(
            settings=settings,
            registry=self.registry,
            clock=self.clock,
            password_of=self.device_secrets.of,
            sip_host=self._sip_host,
            adopt_under=lambda device: CITY if settings.adopt else None,
            on_signal=self._on_signal,
            on_media_end=self._on_media_end,
            kept=kept,
            on_configuration=partial(self.drifts.take, Gb28181Gateway.name),
        )
        self.gateway.calls.on_sent = self.streams.sent_by_device
        self.gateway.past.on_snapped = self.door.finished
        self.access.register(self.gateway, self.gateway.past, self.gateway)

    # --- what the slices ask of each other ------------------------------------------------------------------------

    async def address_of(self, point: PointId) -> Address:
        """How a point is reached. Raises NotFound, Conflict."""
        reach = await self.registry.address_of(point)
        streams = tuple(Stream(s) for s in reach.streams if s in ("main", "sub")) or (Stream.MAIN,)
        return Address(
            point=reach.point,
            gateway=reach.gateway,
            device=reach.device_id,
            channel=reach.channel_id,
            zone=reach.zone,
            streams=streams,
        )

    def upload_url(self, host: str) -> str:
        """Where devices reach our HTTP. host: ours, as the device reaches it."""
        if self.settings.gb28181.upload_url:
            return self.settings.gb28181.upload_url.rstrip("/")
        parts = urlsplit(self.listener.url)
        return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port}"

    def _class_of(self, point: PointId) -> str | None:
        found = self.registry.class_of(point)
        return None if found is None else str(int(found))

    async def _points_of_class(self, name: str) -> Sequence[PointId]:
        return self.registry.points_of_class(PointClass(int(name)))

    def _media_host(self, address: Address) -> str:
        """Our address as a point's device must send media to it; '' where the device is not there to be told."""
        if self.gateway is None or address.gateway != self.gateway.name:
            return ""
        peer = self.gateway.peer_of(address.device)
        if peer is None:
            return ""
        return self.zones.of(peer[1], named=address.zone).media_host or self.gateway.line.local(peer)[0]

    def _sip_host(self, peer: str) -> str:
        """Our address for SIP as the peer's zone must see it; '' where no zone says."""
        return self.zones.of(peer).sip_host

    def _next_ssrc(self, past: bool) -> int:
        kind = StreamKind.HISTORY if past else StreamKind.LIVE
        return Ssrc.make(kind, self.settings.gb28181.server_id, next(self._numbers) % 10_000).value

    def _may_write(self) -> bool:
        free = min(machine.free_bytes(Path(self.settings.data)), self.stores.objects.free_bytes())
        return free >= self.settings.media.free_bytes_floor

    def _registry_fact(self, fact: Fact) -> None:
        self.notices.registry_fact(fact)
        if isinstance(fact, PoliciesChanged) and self.gateway is not None and fact.gateway == self.gateway.name:
            self.gateway.arrivals.renew(fact.device_id)
        if isinstance(fact, DeviceAdopted):
            self._ask_configuration(fact.gateway, fact.device_id)
        if isinstance(fact, PointForbidden):
            self.streams.darken(fact.point)
        if isinstance(fact, PointsChanged):
            self._files_changed.set()

    async def _recheck_looks(self) -> None:
        """Who looks at a point that has another owner now, or is no longer shared with them, looks no longer."""
        while True:
            await self._files_changed.wait()
            self._files_changed.clear()
            try:
                await self.governance.recheck(lambda one: self.registry.known(PointId(one)))
            except Exception as err:  # the next change tries again
                log.error("looks could not be checked again", error=str(err))

    def _ask_configuration(self, gateway: str, device: str) -> None:
        if self.gateway is not None and gateway == self.gateway.name:
            self.gateway.configurations.want(device)

    def _import_moved(self, fact: Fact) -> None:
        self.notices.registry_fact(fact)
        self.accounts.registry_fact(fact)

    def _on_evidence(self, point: PointId, packet_us: int, picture_us: int) -> None:
        if packet_us:
            self._evidence.append(Evidence(point, EvidenceKind.PACKET, packet_us))
        if picture_us:
            self._evidence.append(Evidence(point, EvidenceKind.PICTURE, picture_us))

    def _is_offline(self, point: PointId) -> bool:
        try:
            return self.registry.state_of(point).state is Believed.OFFLINE
        except NotFound:
            return False

    def _on_recording(self, point: PointId, on: bool) -> None:
        self._evidence.append(Evidence(point, EvidenceKind.RECORDING, self.clock.micros(), on))

    def _on_play(self, trace: PlayTrace) -> None:
        self._traces[trace.id] = trace
        self._traces_due.set()

    def _on_outcome(self, address: Address, ok: bool, detail: str) -> None:
        if address.gateway == self.rtsp.name:
            self.rtsp.note_stream(address.device, ok, detail)

    def _on_media_refused(self, address: Address, reason: str) -> None:
        if self.gateway is not None and address.gateway == self.gateway.name:
            self.gateway.refuse_media(address.device, reason)

    def _on_signal(self, device: str, alarm: AlarmNotify) -> None:
        self.notices.signal(device, alarm)
        self.heard.alarm(device, alarm)

    def _watched_sources(self) -> set[str]:
        """RTSP sources whose stream runs now: they need no probe."""
        return {
            f.address.device
            for f in self.streams.feeds()
            if f.address.gateway == self.rtsp.name and f.ready is not None
        }

    async def _child_died(self, child: Child) -> None:
        await self.streams.child_died(child)
        self._salvage_due.set()

    def _on_media_end(self, dialog: str) -> None:
        for feed in self.streams.feeds():
            if feed.dialog == dialog:
                self.streams.ended_by_device(feed)

    # --- life -----------------------------------------------------------------------------------------------------

    async def run(self, *, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; then end in order, within a bounded time."""
        try:
            self.listener.bind()
            if self.gateway is not None:
                await self.gateway.open()
            await self._recover()
            await self.making.recover()
        except BaseException:
            # a port that is taken must not leave the series engine and open databases behind
            await self.close()
            raise
        tasks = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("governance", self.governance.run()),
                ("registry", self.registry.run()),
                ("history", self.history.run()),
                ("drifts", self.drifts.run()),
                ("imports", self.imports.run()),
                ("accounts", self.accounts.run()),
                ("evidence", self._note_evidence()),
                ("traces", self._store_traces()),
                ("notices", self.notices.run()),
                ("heard", self.heard.run()),
                ("signals", self.signals.run()),
                ("retention", self.retention.run()),
                ("retention reports", self.retention_reports.run()),
                ("exports", self.making.run()),
                ("requests", self.requests.run()),
                ("assessments", self.assessments.run()),
                ("looks", self._recheck_looks()),
                ("filings", self.duties.run()),
                ("upkeep", self.upkeep.run()),
                ("salvage", self._salvage()),
                ("rtsp", self.rtsp.run()),
                ("listener", self.listener.run()),
                ("series", self._watch_series()),
            )
        ]
        tasks.append(self.begun.keeping if self.begun else asyncio.create_task(self.children.run(), name="children"))
        if self.gateway is not None:
            tasks.append(asyncio.create_task(self.gateway.run(), name="gb28181"))
        recording = asyncio.create_task(self._record(), name="recorder")
        stopping = asyncio.create_task(stop.wait())
        try:
            await self.listener.ready()
            await self.children.ready()
            self.ready.set()
            log.info("serving", url=self.listener.url)
            done, _ = await asyncio.wait({*tasks, recording, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                if (error := task.exception()) is not None:
                    log.error("a part of the platform failed", part=task.get_name(), error=repr(error))
                    raise Unavailable(f"{task.get_name()} failed: {error}") from error
        finally:
            await self._end(tasks, recording, stopping)

    async def _end(
        self, tasks: list[asyncio.Task[None]], recording: asyncio.Task[None], stopping: asyncio.Task[Any]
    ) -> None:
        log.info("stopping")
        await self.heads.close()  # while devices can still be told
        await self.events.close()  # streams of events never end by themselves
        for task in (recording, stopping):
            task.cancel()
        await asyncio.wait({recording, stopping}, timeout=12.0)
        await self.streams.stop()
        await self.children.stop()
        try:
            await self.recorder.flush()
            await self.signals.flush()
        except Exception as err:
            log.error("the last segments are not indexed: run `anwang media reindex`", error=str(err))
        for task in tasks:
            task.cancel()
        await asyncio.wait(set(tasks), timeout=15.0)
        await self.close()

    async def close(self) -> None:
        """Close what open() opened: the end of run(), or of a platform that was never run."""
        await self.events.close()
        if self.begun is not None:
            await self.begun.children.stop()
        if self.gateway is not None:
            self.gateway.close()
            with contextlib.suppress(AnwangError, TimeoutError):  # a call too many is ended twice by the next run
                async with asyncio.timeout(5.0):
                    await self.gateway.calls.kept.flush()
        self.masks.close()
        await self.decoders.close()
        await self.conversions.close()
        await self._flush_traces()
        await self.registry.close()
        try:
            async with asyncio.timeout(10.0):
                await self.history.flush()
        except (AnwangError, TimeoutError) as err:
            log.warning("the last state changes were not written", error=str(err), waiting=self.history.waiting)
        await self.governance.close()
        await close_stores(self.stores)
        if self.claim is not None:
            self.claim.release()

    async def _recover(self) -> None:
        """Seal and index what a crash left behind; what a living process writes is not touched."""
        reindex = Reindex(index=self.index, objects=self.stores.objects)
        abandoned = self.recorder.abandoned()
        found = await reindex.recover()
        self.recorder.settled(await reindex.settle(abandoned))
        if found.sealed or found.dropped:
            log.warning(
                "segments of a process that died were sealed",
                sealed=found.sealed,
                indexed=found.indexed,
                dropped=found.dropped,
            )

    async def _salvage(self) -> None:
        """Recovery while we run: when a media child died, and now and then for segments that could not be sealed."""
        while True:
            try:
                async with asyncio.timeout(SALVAGE_SECONDS):
                    await self._salvage_due.wait()
            except TimeoutError:
                pass
            self._salvage_due.clear()
            try:
                await self._recover()
            except Exception as err:
                log.error("segments that were left could not be saved yet", error=str(err))

    async def _record(self) -> None:
        await self.children.ready()
        await self.recorder.run()

    async def _note_evidence(self) -> None:
        while True:
            await self.clock.sleep(1.0)
            batch, self._evidence = self._evidence, []
            try:
                self.registry.note(batch)
            except Exception:  # one bad piece of evidence must not end the platform
                log.exception("evidence could not be noted", pieces=len(batch))

    async def _store_traces(self) -> None:
        while True:
            await self._traces_due.wait()
            self._traces_due.clear()
            await self._flush_traces()
            await asyncio.sleep(0.2)

    async def _flush_traces(self) -> None:
        due, self._traces = self._traces, {}
        for trace in due.values():
            try:
                has_ended = trace.ended_us is not None
                await self.plays.put(play_of(trace), is_late=trace.is_kept)
                trace.is_kept = has_ended
            except Exception as err:
                log.error("a play's trace could not be stored", play=trace.id, error=str(err))

    async def _watch_series(self) -> None:
        """Restart the series engine when it dies; a client that asks meanwhile gets Unavailable."""
        embedded = self.stores.embedded
        if embedded is None:
            await asyncio.Event().wait()
            return
        port = int(embedded.url.rsplit(":", 1)[1].split("/")[0])
        while True:
            code = await embedded.process.wait()
            log.error("the series engine died and is started again", exit_code=code)
            await asyncio.sleep(0.5)
            try:
                embedded = await spawn_embedded(data_folder(self.settings) / "series", port=port, token=embedded.token)
            except Unavailable as err:
                log.error("the series engine did not start", reason=err.reason)
                await asyncio.sleep(5.0)
                continue
            self.stores.embedded = embedded


def play_of(trace: PlayTrace) -> Play:
    """A trace as it is stored."""
    verdict = judge(trace)
    picture = next((trace.micros_to(s.step) for s in trace.steps if s.step.value == "first_picture"), None)
    outcome = "playing" if verdict.ok and trace.ended_us is None else ("stopped" if verdict.ok else "failed")
    return Play(
        id=PlayId(trace.id),
        point=trace.point,
        kind=trace.why,
        started_us=trace.started_us,
        finished_us=trace.ended_us,
        outcome=outcome,
        verdict=f"{verdict.sentence} {verdict.next_step}".strip(),
        first_picture_ms=None if picture is None else picture // 1000,
        steps=tuple(PlayStep(at_us=s.at_us, step=s.step.value, detail=s.detail) for s in trace.steps),
        messages=tuple(trace.messages),
    )


async def serve(
    settings: Settings,
    *,
    config: Path | None = None,
    opened: Callable[[Platform], Coroutine[Any, Any, None]] | None = None,
    begun: Begun | None = None,
) -> None:
    """Run the platform until SIGINT or SIGTERM. opened: called once it is ready. begun: as of Platform.open."""
    platform = await Platform.open(settings, config=config, begun=begun)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    running = asyncio.create_task(platform.run(stop=stop))
    ready = asyncio.create_task(platform.ready.wait())
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if opened is not None and not running.done():
        task = asyncio.create_task(opened(platform))
        await asyncio.wait({task, running}, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and (error := task.exception()) is not None:
            stop.set()
            await running
            raise error
    await running
