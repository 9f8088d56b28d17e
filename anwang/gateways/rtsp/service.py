"""RTSP sources by URL: kept with sealed passwords, fetched by media children; the last try is their evidence."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from anwang.access import Address, Preset, PtzOrder, Pull, Receiver, Stream, Trace, Transport
from anwang.gateways.rtsp import store
from anwang.governance import EVERYTHING, Scope
from anwang.kernel.errors import Invalid, NotFound, Unsupported
from anwang.kernel.ids import OrgId
from anwang.registry import CatalogueItem, DeviceStatus, Evidence, EvidenceKind, Registry, device_key
from anwang.runtime.clock import Clock
from anwang.runtime.secrets import Sealer
from anwang.stores.state import State, sealed

NAME = "rtsp"
PROBES_AT_ONCE = 64
PROBE_SECONDS = 5.0
LONGEST_LINE = 4096
DISTRUST_US = 300_000_000
"""After a stream failed, so long an answered probe proves nothing: a server may answer and yet have no such stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One camera by URL. code: 20 digits where it has a national code, else any name of its own."""

    code: str
    url_main: str
    url_sub: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    transport: str = "tcp"


def check_url(url: str) -> str:
    """The URL. Raises Invalid for another scheme, credentials inside, or no host."""
    parts = urlsplit(url)
    if parts.scheme not in ("rtsp", "rtsps") or not parts.hostname:
        raise Invalid(f"{url[:200]!r} is no RTSP address", "rtsp://host:554/path")
    if parts.username or parts.password:
        raise Invalid("the address holds credentials", "give user name and password apart: addresses end up in logs")
    if any(c.isspace() or ord(c) < 32 for c in url) or len(url) > 1000:
        raise Invalid("the address holds characters that no address has")
    return url


class RtspGateway:
    """Implements access.Gateway."""

    name = NAME

    def __init__(
        self,
        *,
        state: State,
        registry: Registry,
        sealer: Sealer,
        clock: Clock,
        probe_seconds: float = 60.0,
        watched: Callable[[], set[str]] = set,
    ) -> None:
        """probe_seconds: how often a source that nobody watches is asked whether it is there.

        watched: codes of the sources whose stream runs now.
        """
        self._state = state
        self._registry = registry
        self._sealer = sealer
        self._clock = clock
        self._sources: dict[str, Source] = {}
        self._dialogs = itertools.count(1)
        self._probe_seconds = probe_seconds
        self._watched = watched
        self._failed_us: dict[str, int] = {}
        self._reached: set[str] = set()
        self._new = asyncio.Event()
        self.probes = 0

    async def run(self) -> None:
        """Keep the evidence of all sources fresh; until cancelled."""
        await self._tell_streams()
        while True:
            watched = self._watched()
            for code in watched:
                self.note_reached(code, True, "its stream runs")
            await self._probe_all([s for code, s in list(self._sources.items()) if code not in watched])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._probe_seconds):
                    await self._new.wait()
            self._new.clear()

    async def _tell_streams(self) -> None:
        """List the sources with a sub stream again whose points do not know it: they were made before it was told."""
        for source in list(self._sources.values()):
            if not source.url_sub:
                continue
            point = await self._registry.point_of_channel(NAME, source.code, source.code)
            if point is not None and "sub" not in (await self._registry.address_of(point)).streams:
                await self._relist(source)

    async def _probe_all(self, sources: Sequence[Source]) -> None:
        """A bounded number at a time."""
        left = iter(sources)

        async def work() -> None:
            for source in left:
                await self._probe(source)

        await asyncio.gather(*(work() for _ in range(min(PROBES_AT_ONCE, len(sources)))))

    async def _probe(self, source: Source) -> None:
        """Connect and ask OPTIONS (RFC 2326 10.1) without credentials: any RTSP answer, 401 as well, shows a server."""
        self.probes += 1
        parts = urlsplit(source.url_main)
        port = parts.port or (322 if parts.scheme == "rtsps" else 554)
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                reader, writer = await asyncio.open_connection(parts.hostname, port, limit=LONGEST_LINE)
                try:
                    if parts.scheme == "rtsp":
                        writer.write(f"OPTIONS {source.url_main} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
                        line = await reader.readline()
                        if not line.startswith(b"RTSP/1."):
                            raise ValueError("what answers there is no RTSP server")
                finally:
                    writer.close()
        except TimeoutError:
            self.note_reached(source.code, False, f"no answer within {PROBE_SECONDS:.0f} s")
        except (OSError, ValueError) as err:
            self.note_reached(source.code, False, getattr(err, "strerror", None) or str(err))
        else:
            if self._clock.micros() - self._failed_us.get(source.code, 0) > DISTRUST_US:
                self.note_reached(source.code, True, "it answers")

    def note_stream(self, code: str, ok: bool, detail: str) -> None:
        """A stream of the source stands, or could not be had."""
        if ok:
            self._failed_us.pop(code, None)
        else:
            self._failed_us[code] = self._clock.micros()
        self.note_reached(code, ok, detail)

    async def load(self) -> None:
        """Read all sources into memory."""
        async with self._state.read() as tx:
            rows = await store.all_sources(tx)
        for row in rows:
            code = str(row.code)
            self._sources[code] = Source(
                code=code,
                url_main=row.url_main,
                url_sub=row.url_sub,
                username=row.username,
                password=self._sealer.open(row.sealed_password, context=_context(code)).decode(),
                transport=row.transport,
            )

    async def put(self, source: Source, *, name: str, org: OrgId) -> str:
        """Add or change a source; its device and point are made where they are not there yet. Answers the device's id.

        Raises Invalid, NotFound (organisation), Exhausted.
        """
        await self._keep(source)
        host = urlsplit(source.url_main)
        admission = await self._registry.meet(
            NAME,
            source.code,
            address=f"{host.hostname}:{host.port or 554}",
            transport=source.transport,
            name=name,
            adopt_under=org,
        )
        if admission.status is not DeviceStatus.ADOPTED:  # it was refused or removed before
            await self._registry.adopt(EVERYTHING, admission.id, org)
        await self._list(admission.id, source, name)
        self._new.set()  # not before: what is heard of a device that the registry does not know yet is dropped
        return admission.id

    async def _list(self, device: str, source: Source, name: str) -> None:
        """Tell the registry of the only channel, and whether it has a sub stream."""
        item = CatalogueItem(
            channel_id=source.code,
            name=name,
            at_us=self._clock.micros(),
            is_on=True,
            file={"streams": "main,sub" if source.url_sub else "main"},
        )
        await self._registry.reconcile(device, [item], complete=True)

    async def _keep(self, source: Source) -> None:
        check_url(source.url_main)
        if source.url_sub:
            check_url(source.url_sub)
        if source.transport not in ("tcp", "udp"):
            raise Invalid(f"transport {source.transport!r}", "tcp or udp")
        if not 1 <= len(source.code) <= 64:
            raise Invalid("a source needs a code of 1 to 64 characters", "its 20-digit code, or a name of its own")
        row: dict[str, object] = {
            "code": source.code,
            "url_main": source.url_main,
            "url_sub": source.url_sub,
            "username": source.username,
            "sealed_password": self._sealer.seal(source.password.encode(), context=_context(source.code)),
            "transport": source.transport,
            "changed_at": self._clock.now(),
        }
        async with self._state.begin() as tx:
            await store.put_source(tx, row)
        self._sources[source.code] = source
        self._failed_us.pop(source.code, None)

    async def change(self, source: Source) -> None:
        """Reach a camera otherwise. Raises Invalid, NotFound."""
        self.source(source.code)
        await self._keep(source)
        await self._relist(source)
        self._new.set()

    async def _relist(self, source: Source) -> None:
        """Tell the registry of the channel again, under the name it has."""
        admission = self._registry.admission(NAME, source.code)
        if admission is not None:
            listed = (await self._registry.channels(EVERYTHING, admission.id, limit=1)).items
            await self._list(admission.id, source, listed[0].name if listed else source.code)

    async def remove(self, code: str) -> None:
        """Forget how a camera is reached; its point stays, with its history. Raises NotFound."""
        self.source(code)
        async with self._state.begin() as tx:
            await store.remove_source(tx, code)
        self._sources.pop(code, None)
        self._failed_us.pop(code, None)
        admission = self._registry.admission(NAME, code)
        if admission is not None:
            await self._registry.refuse(EVERYTHING, admission.id)
        self.note_reached(code, False, "its address was removed")

    def sources(self, seen: Scope, *, after: str, limit: int) -> list[tuple[str, Source]]:
        """Device id and source of those in a scope, by code."""
        found: list[tuple[str, Source]] = []
        for code in sorted(self._sources):
            if code <= after:
                continue
            admission = self._registry.admission(NAME, code)
            if admission is not None and seen.covers_path(admission.org_path):
                found.append((admission.id, self._sources[code]))
                if len(found) == limit:
                    break
        return found

    def source(self, code: str) -> Source:
        """One source. Raises NotFound."""
        try:
            return self._sources[code]
        except KeyError:
            raise NotFound(f"there is no RTSP source {code[:64]}", "add its address under Devices") from None

    def note_reached(self, code: str, ok: bool, detail: str) -> None:
        """The source was reached, or could not be. Reached for the first time, or again, it counts as registered."""
        key, at_us = device_key(NAME, code), self._clock.micros()
        kinds = [EvidenceKind.KEEPALIVE] if ok else []
        if not ok or code not in self._reached:
            kinds.append(EvidenceKind.REGISTRATION)
        (self._reached.add if ok else self._reached.discard)(code)
        self._registry.note([Evidence(key, kind, at_us, ok, "", detail) for kind in kinds])

    # --- access.Gateway -------------------------------------------------------------------------------------------

    def transports(self, address: Address) -> Sequence[Transport]:
        """None: the media child pulls."""
        return ()

    async def open_stream(self, address: Address, stream: Stream, receiver: Receiver, trace: Trace) -> Pull:
        """Where to fetch. Raises NotFound."""
        found = self.source(address.device)
        return Pull(
            dialog=f"rtsp-{next(self._dialogs)}",
            url=(found.url_sub or found.url_main) if stream is Stream.SUB else found.url_main,
            username=found.username,
            password=found.password,
            transport=found.transport,
        )

    async def close_stream(self, dialog: str) -> None:
        """The child has closed its connection already."""

    async def ptz(self, address: Address, order: PtzOrder) -> None:
        """Raises Unsupported: RTSP has no heads."""
        raise Unsupported("a camera by RTSP address cannot be turned", "connect it by GB/T 28181 or ONVIF")

    async def presets(self, address: Address) -> Sequence[Preset]:
        """Raises Unsupported."""
        raise Unsupported("a camera by RTSP address has no presets", "connect it by GB/T 28181 or ONVIF")

    async def request_key_frame(self, address: Address) -> None:
        """RTSP has no such request; the camera's own interval decides."""


def _context(code: str) -> str:
    return f"rtsp:{code}"


async def reseal(state: State, sealer: Sealer) -> int:
    """Every password with the newest key: see `stores.state.reseal`."""
    return await sealed.reseal(state, sealer, store.source, key="code", context=_context)
