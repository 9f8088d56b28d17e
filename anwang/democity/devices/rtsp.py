"""RTSP cameras: a dozen behind one port, each at a path of its own; digest, media in the same connection."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from anwang.democity.devices.device import Simulated
from anwang.democity.devices.faults import Fault
from anwang.democity.devices.media import MAX_UNSENT_BYTES, Microphone
from anwang.democity.devices.wheel import Wheel
from anwang.democity.pictures import Library, Source, sound
from anwang.kernel.errors import AnwangError, WireError
from anwang.runtime import logs
from anwang.runtime.clock import Clock
from anwang.wire import h26x, payloads, rtp, rtsp
from anwang.wire.aac import AacConfig, parse_adts
from anwang.wire.units import CLOCK_HZ, Codec, Kind

log = logs.get("democity.rtsp")
USER = "admin"
MAX_CONNECTIONS = 64
VIDEO, AUDIO = 0, 1


class RtspCameras:
    """The server. Main streams stand at `/cam/01`, sub streams at `/cam/01/sub`; password: of the user `admin`."""

    def __init__(
        self, minds: Sequence[Simulated], library: Library, wheel: Wheel, clock: Clock, *, password: str
    ) -> None:
        self.library, self.wheel, self.clock, self.password = library, wheel, clock, password
        self.by_path: Mapping[str, tuple[Simulated, str]] = {
            mind.device.path + suffix: (mind, stream)
            for mind in minds
            for suffix, stream in (("", "main"), ("/sub", "sub"))
        }
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen; returns the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Hang up on everybody."""
        if self._server:
            self._server.close()
        for connection in list(self.connections):
            connection.abort()

    def source(self, path: str) -> Source | None:
        """The pictures behind a path, None where there is none."""
        found = self.by_path.get(path)
        if found is None:
            return None
        mind, stream = found
        camera = next(iter(mind.cameras.values()))
        codec = Codec.H265 if camera.point.codec == "h265" else Codec.H264
        return self.library.source(camera.point.scene, stream, codec, camera.point.name, camera.head)

    def tracks(self, path: str) -> Sequence[rtsp.MediaTrack] | None:
        """What DESCRIBE says of a path."""
        try:
            source = self.source(path)
        except AnwangError:
            return None
        if source is None:
            return None
        first = source.next(self.clock.micros())
        sets = h26x.parameter_sets(source.codec, h26x.nals(first.data))
        payload_type = 96 if source.codec is Codec.H264 else 98
        found = [
            rtsp.MediaTrack(
                kind=Kind.VIDEO, codec=source.codec, payload_type=payload_type, clock_hz=CLOCK_HZ, control="trackID=0",
                sets=sets,
            )
        ]  # fmt: skip
        if self.by_path[path][0].device.audio == "aac":
            found.append(
                rtsp.MediaTrack(
                    kind=Kind.AUDIO, codec=Codec.AAC, payload_type=104, clock_hz=sound.AAC_RATE_HZ, control="trackID=1",
                    aac=AacConfig.lc(sound.AAC_RATE_HZ, 1),
                )
            )  # fmt: skip
        return found


class _Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, cameras: RtspCameras) -> None:
        self._cameras = cameras
        self._machine = rtsp.Server(
            cameras.tracks, nonce=os.urandom(16).hex(), session=os.urandom(4).hex(), realm="anlan",
            credentials={USER: cameras.password},
        )  # fmt: skip
        self._transport: asyncio.Transport | None = None
        self._source: Source | None = None
        self._mind: Simulated | None = None
        self._senders: dict[int, Callable[[bytes], None]] = {}
        self._packets: dict[int, rtp.Packetiser] = {}
        self._microphone: Microphone | None = None
        self._ticks = 0
        self._due = 0.0
        self._run = 0
        self._waits_for_key = False
        self.dropped = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        # uvloop's transports are no subclass of asyncio.Transport
        self._transport = cast(asyncio.Transport, transport)
        if len(self._cameras.connections) >= MAX_CONNECTIONS:
            log.warning("too many RTSP clients", bound=MAX_CONNECTIONS)
            self._transport.abort()
            return
        self._cameras.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        try:
            events = self._machine.receive(data, self._cameras.wheel.now())
        except WireError:
            self.abort()
            return
        for event in events:
            match event:
                case rtsp.Playing():
                    self._write(self._machine.to_send())
                    self._play(event)
                case rtsp.Paused() | rtsp.Closed():
                    self._run += 1
                case _:
                    pass
        self._write(self._machine.to_send())

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._run += 1
        self._cameras.connections.discard(self)

    def abort(self) -> None:
        """Close at once."""
        self._run += 1
        if self._transport:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if data and self._transport and not self._transport.is_closing():
            self._transport.write(data)

    def _play(self, playing: rtsp.Playing) -> None:
        if self._source is None:
            self._source = self._cameras.source(playing.path)
            self._mind = self._cameras.by_path[playing.path][0]
            if AUDIO in playing.transports:
                self._microphone = Microphone(Codec.AAC)
        if self._source is None or self._transport is None:
            return
        for track, transport in playing.transports.items():
            self._packets.setdefault(track, rtp.Packetiser(int.from_bytes(os.urandom(4), "big")))
            if transport.channels:
                self._senders[track] = self._interleaver(transport.channels[0])
        self._run += 1
        run, self._due = self._run, self._cameras.wheel.now()
        self._source.restart()
        self._cameras.wheel.at(self._due, lambda now: self._beat(run, now))

    def _interleaver(self, channel: int) -> Callable[[bytes], None]:
        return lambda packet: self._write(rtsp.interleaved(channel, packet))

    def _beat(self, run: int, now: float) -> None:
        if run != self._run or self._source is None or self._transport is None or self._mind is None:
            return
        picture = self._source.next(self._cameras.clock.micros())
        slow = self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES
        self._waits_for_key = slow or (self._waits_for_key and not picture.is_key)
        faults = self._mind.faults
        if self._waits_for_key:
            self.dropped += 1
        elif not (faults.has(Fault.NO_MEDIA) or (picture.is_key and faults.has(Fault.NO_KEY))):
            video = 96 if self._source.codec is Codec.H264 else 98
            for payload, marker in payloads.pack_video(self._source.codec, picture.data):
                self._put(VIDEO, payload, video, self._ticks, marker=marker)
            if self._microphone and AUDIO in self._senders:
                for piece, at in self._microphone.until(self._ticks + picture.duration_90k):
                    _, frames, _ = parse_adts(piece)
                    stamp = at * sound.AAC_RATE_HZ // CLOCK_HZ
                    self._put(AUDIO, payloads.pack_aac(frames), 104, stamp, marker=True)
        self._ticks += picture.duration_90k
        self._due = max(self._due + picture.duration_90k / CLOCK_HZ, now - 1.0)
        self._cameras.wheel.at(self._due, lambda later: self._beat(run, later))

    def _put(self, track: int, payload: bytes, payload_type: int, timestamp: int, *, marker: bool) -> None:
        packets = self._packets[track]
        packet = rtp.build(
            payload, payload_type=payload_type, sequence=packets.sequence, timestamp=timestamp & 0xFFFFFFFF,
            ssrc=packets.ssrc, marker=marker,
        )  # fmt: skip
        packets.sequence = packets.sequence + 1 & 0xFFFF
        self._senders[track](packet)
