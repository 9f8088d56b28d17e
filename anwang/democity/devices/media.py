"""Media on its way out: pictures and sound into program streams, RTP, and a socket; at the pace of the clock."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from random import Random
from typing import Protocol, cast

from anwang.democity.devices.faults import Fault, Faults
from anwang.democity.devices.wheel import Wheel
from anwang.democity.pictures import sound
from anwang.democity.pictures.live import Picture, Source
from anwang.runtime import logs
from anwang.wire import mpegps, rtp
from anwang.wire.aac import SAMPLES_PER_FRAME
from anwang.wire.units import CLOCK_HZ, Codec

# what a slow TCP receiver may leave unread before frames are dropped up to the next key frame
MAX_UNSENT_BYTES = 4 << 20
# how far into a stream a clock jumps that does so, in ticks of 90 kHz
JUMP_AFTER_90K = 2 * CLOCK_HZ
log = logs.get("democity.media")


class Outlet(Protocol):
    """Where RTP goes."""

    dropped: int
    sent_bytes: int

    @property
    def is_full(self) -> bool:
        """Whether the receiver is behind: a recording waits then, a live picture does not."""

    def send(self, frame: bytes, timestamp: int, *, is_key: bool) -> None:
        """Send one frame, cut into packets."""

    def close(self) -> None:
        """No more."""


class UdpOutlet:
    """RTP datagrams from a port of its own, with the faults of its device."""

    def __init__(self, host: str, port: int, ssrc: int, faults: Faults, *, seed: int, payload_type: int = 96) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self._socket.connect((host, port))
        self._packets = rtp.Packetiser(ssrc, payload_type, seed & 0xFFFF)
        self._faults, self._rng = faults, Random(seed)
        self._held: bytes | None = None
        self.dropped = 0
        self.sent_bytes = 0

    @property
    def port(self) -> int:
        """Our own."""
        return int(self._socket.getsockname()[1])

    @property
    def is_full(self) -> bool:
        """See Outlet: datagrams go out whether they are received or not."""
        return False

    def send(self, frame: bytes, timestamp: int, *, is_key: bool) -> None:
        """See Outlet."""
        for packet in self._packets.split(frame, timestamp):
            self.send_packet(packet)

    def send_packet(self, packet: bytes) -> None:
        """One packet, which a fault may lose or hold back."""
        faults = self._faults
        if faults.active:
            if self._rng.random() < faults.value(Fault.LOSS):
                return
            if self._held is None and self._rng.random() < faults.value(Fault.REORDER):
                self._held = packet
                return
        self._put(packet)
        if self._held is not None:
            held, self._held = self._held, None
            self._put(held)

    def _put(self, packet: bytes) -> None:
        try:
            self.sent_bytes += self._socket.send(packet)
        except OSError:  # full buffer, or nobody listens there: a camera would not care either
            self.dropped += 1

    def close(self) -> None:
        """See Outlet."""
        self._socket.close()


class TcpOutlet:
    """RTP over a connection (RFC 4571). Drops frames, up to a key frame, for a receiver that does not read."""

    def __init__(self, transport: asyncio.Transport, ssrc: int, faults: Faults, *, seed: int) -> None:
        self._transport, self._faults = transport, faults
        self._packets = rtp.Packetiser(ssrc, 96, seed & 0xFFFF, max_payload=8192)
        self._waits_for_key = False
        self.dropped = 0
        self.sent_bytes = 0

    @property
    def is_full(self) -> bool:
        """See Outlet."""
        return self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES // 2

    def send(self, frame: bytes, timestamp: int, *, is_key: bool) -> None:
        """See Outlet."""
        if self._faults.has(Fault.HALF_OPEN) or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._waits_for_key = True
        elif is_key:
            self._waits_for_key = False
        if self._waits_for_key:
            self.dropped += 1
            return
        data = self._packets.framed(frame, timestamp)
        self.sent_bytes += len(data)
        self._transport.write(data)

    def close(self) -> None:
        """See Outlet."""
        self._transport.close()


class Microphone:
    """Sound in step with the picture: pieces whose time has come."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        if codec is Codec.AAC:
            self._pieces, self.duration_90k = sound.aac(), SAMPLES_PER_FRAME * CLOCK_HZ // sound.AAC_RATE_HZ
        else:
            self._pieces, self.duration_90k = sound.g711a(), sound.G711_CHUNK * CLOCK_HZ // sound.G711_RATE_HZ
        self._count = 0

    def until(self, ticks: int) -> Iterator[tuple[bytes, int]]:
        """The pieces that begin before a time, each with its own (ticks of 90 kHz since the stream began)."""
        while self._count * self.duration_90k < ticks:
            yield self._pieces[self._count % len(self._pieces)], self._count * self.duration_90k
            self._count += 1

    def skip(self, ticks: int) -> None:
        """Leave out the pieces before a time."""
        self._count = max(self._count, ticks // self.duration_90k)


class Sending:
    """One stream on its way to one receiver, live or from the past.

    micros: the wall clock that the pictures show, in microseconds. ended: called once, when a recording is over.
    until_micros: where a recording ends, None for live. speed: times real time, 0 stands still.
    """

    def __init__(
        self,
        source: Source,
        outlet: Outlet,
        wheel: Wheel,
        faults: Faults,
        *,
        micros: Callable[[], int],
        sound: Codec | None = None,
        start_micros: int | None = None,
        until_micros: int | None = None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.source, self._outlet, self._wheel, self._faults = source, outlet, wheel, faults
        self._micros, self._ended = micros, ended
        self._shown, self.until_micros = start_micros, until_micros
        self._microphone = Microphone(sound) if sound else None
        self._muxer = mpegps.Muxer(video=source.codec, audio=sound)
        self._ticks = 0
        self._due = 0.0
        self._is_running = self._is_over = False
        self.speed = 1.0
        self.sent_frames = 0
        self.late_frames = 0
        self.begun_micros = start_micros

    def start(self) -> None:
        """Send the first frame now."""
        if not self._is_running:
            self._is_running = True
            self._due = self._wheel.now()
            self._wheel.at(self._due, self._beat)

    def stop(self) -> None:
        """Send no more, and free what it has."""
        self._is_running = False
        self._outlet.close()

    @property
    def is_running(self) -> bool:
        """Whether it sends."""
        return self._is_running

    @property
    def dropped(self) -> int:
        """Packets or frames that could not be sent."""
        return self._outlet.dropped

    @property
    def sent_bytes(self) -> int:
        """Bytes of RTP that left."""
        return self._outlet.sent_bytes

    @property
    def _jump_s(self) -> float:
        """How far its clock is off by now."""
        return self._faults.value(Fault.CLOCK_JUMP) if self._ticks >= JUMP_AFTER_90K else 0.0

    def seek(self, micros: int) -> None:
        """Go on from another moment of a recording, with a key frame."""
        self._shown = micros
        self.source.restart()
        if self._is_over:
            self._is_over = False
            self.start()

    def _beat(self, now: float) -> None:
        if not self._is_running:
            return
        if self.speed == 0 or (self._shown is not None and self._outlet.is_full):
            self._due = now + (0.2 if self.speed == 0 else 0.02)
            self._wheel.at(self._due, self._beat)
            return
        if now - self._due > 1.0:  # we were held up: go on from here instead of catching up
            self.late_frames += round((now - self._due) * 25)
            self._due = now
        shown = self._micros() if self._shown is None else self._shown
        shown += round(self._jump_s * 1e6)
        picture = self.source.next(shown)
        self._send(picture)
        self._ticks += picture.duration_90k
        seconds = picture.duration_90k / CLOCK_HZ
        if self._shown is not None:
            self._shown += round(seconds * 1e6)
            if self.until_micros is not None and self._shown >= self.until_micros:
                self._is_running, self._is_over = False, True
                self._ended()
                return
        self._due += seconds / self.speed
        self._wheel.at(self._due, self._beat)

    def _send(self, picture: Picture) -> None:
        if self._faults.has(Fault.NO_MEDIA) or self._faults.has(Fault.SILENT):
            return
        if picture.is_key and self._faults.has(Fault.NO_KEY):
            return
        ticks = self._ticks + round(self._jump_s * CLOCK_HZ)
        frame = self._muxer.video(picture.data, pts_90k=ticks & (1 << 33) - 1, is_key=picture.is_key)
        if self._microphone and self.speed == 1.0:
            for piece, at in self._microphone.until(self._ticks + picture.duration_90k):
                frame += self._muxer.audio(piece, pts_90k=(at + ticks - self._ticks) & (1 << 33) - 1)
        elif self._microphone:
            self._microphone.skip(self._ticks + picture.duration_90k)
        self._outlet.send(frame, ticks, is_key=picture.is_key)
        self.sent_frames += 1


class _MediaProtocol(asyncio.Protocol):
    """A media connection: whatever comes back is thrown away."""

    def __init__(self, lost: Callable[[], None], made: Callable[[asyncio.Transport], None] | None = None) -> None:
        self._lost, self._made = lost, made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio.Transport
        stream = cast(asyncio.Transport, transport)
        stream.set_write_buffer_limits(high=MAX_UNSENT_BYTES)
        if self._made:
            self._made(stream)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()


async def connect(host: str, port: int, lost: Callable[[], None], *, attempts: int = 4) -> asyncio.Transport:
    """A media connection to a receiver; tried again each second (GB/T 28181-2022 annex D: at least three times).

    Raises OSError.
    """
    loop = asyncio.get_running_loop()
    for attempt in range(attempts):
        try:
            async with asyncio.timeout(5):
                transport, _ = await loop.create_connection(lambda: _MediaProtocol(lost), host, port)
                return transport
        except (OSError, TimeoutError) as err:
            if attempt == attempts - 1:
                raise OSError(f"no media connection to {host}:{port}") from err
            await asyncio.sleep(1)
    raise OSError(f"no media connection to {host}:{port}")


async def listen(
    host: str, made: Callable[[asyncio.Transport], None], lost: Callable[[], None]
) -> tuple[asyncio.Server, int]:
    """Wait for a receiver's connection; returns the server (close it after the first) and its port."""
    server = await asyncio.get_running_loop().create_server(lambda: _MediaProtocol(lost, made), host, 0)
    return server, int(server.sockets[0].getsockname()[1])
