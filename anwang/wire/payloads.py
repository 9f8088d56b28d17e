"""What RTP carries without a program stream: H.264 (RFC 6184), H.265 (RFC 7798), AAC (RFC 3640), G.711 (RFC 3551).

Both ways: a simulated camera packs, a receiver unpacks into the same `Unit`s that program streams give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from anwang.kernel.errors import WireError
from anwang.wire import h26x
from anwang.wire.aac import AacConfig
from anwang.wire.mpegps import MARKER_TRUST, MAX_UNIT_BYTES
from anwang.wire.rtp import MAX_PAYLOAD_UDP, Packet
from anwang.wire.units import CLOCK_HZ, Codec, Kind, Unit, Unwrap

_START = b"\x00\x00\x00\x01"


# -- packing


def pack_video(codec: Codec, data: bytes, max_payload: int = MAX_PAYLOAD_UDP) -> Iterator[tuple[bytes, bool]]:
    """(payload, is last) for each packet of an Annex-B access unit; the marker goes on the last.

    One NAL unit a packet where it fits, else fragmentation units (RFC 6184 5.8, RFC 7798 4.4.3). Delimiters are left
    out.
    """
    is_h264 = codec is Codec.H264
    delimiter = h26x.H264_AUD if is_h264 else h26x.H265_AUD
    payloads: list[bytes] = []
    for nal in h26x.nals(data):
        if h26x.nal_type(codec, nal[0]) == delimiter:
            continue
        if len(nal) <= max_payload:
            payloads.append(nal)
        elif is_h264:
            payloads += _fragments(bytes((nal[0] & 0xE0 | 28,)), nal[0] & 0x1F, nal[1:], max_payload)
        else:
            head = bytes((nal[0] & 0x81 | 49 << 1, nal[1]))
            payloads += _fragments(head, nal[0] >> 1 & 0x3F, nal[2:], max_payload)
    for number, payload in enumerate(payloads, 1):
        yield payload, number == len(payloads)


def _fragments(head: bytes, kind: int, body: bytes, max_payload: int) -> Iterator[bytes]:
    step = max_payload - len(head) - 1
    for at in range(0, len(body), step):
        edge = (0x80 if at == 0 else 0) | (0x40 if at + step >= len(body) else 0)
        yield head + bytes((edge | kind,)) + body[at : at + step]


def pack_aac(frames: Sequence[bytes]) -> bytes:
    """Raw AAC frames as one payload in mode AAC-hbr (RFC 3640 3.3.6). Raises WireError for a frame over 8191 bytes."""
    if any(len(frame) > 0x1FFF for frame in frames):
        raise WireError("an AAC frame of more than 8191 bytes")
    heads = b"".join((len(frame) << 3).to_bytes(2, "big") for frame in frames)
    return (len(heads) * 8).to_bytes(2, "big") + heads + b"".join(frames)


# -- unpacking


@dataclass(slots=True)
class Unpacked:
    """What an unpacker has seen and dropped."""

    units: int = 0
    dropped_units: int = 0
    malformed: int = 0
    unsupported: int = 0
    late: int = 0
    jumps: int = 0


class VideoUnpacker:
    """Packets of H.264 or H.265 into access units.

    A unit ends where the timestamp changes; the marker is believed once it has stood exactly there often enough, since
    some cameras set it on every packet or on none. Loss costs the unit it hit. Never raises. sets: parameter sets from
    the session description, put before key frames that carry none.
    """

    def __init__(self, codec: Codec, sets: Sequence[bytes] = ()) -> None:
        self.seen = Unpacked()
        self._codec = codec
        self._is_h264 = codec is Codec.H264
        self._sets = b"".join(_START + nal for nal in sets)
        self._body = bytearray()
        self._timestamp: int | None = None
        self._clock = Unwrap(32)
        self._is_broken = False
        self._follows_loss = False
        self._in_fragment = False
        self._marks = 0
        self._mark_at = -1
        self._trust = 0
        self._sent: int | None = None

    def feed(self, packet: Packet) -> list[Unit]:
        """The units that became complete, at most two."""
        ready: list[Unit] = []
        if packet.lost:
            self._lose()
        if packet.timestamp != self._timestamp:
            ready += self._finish()
            self._timestamp = packet.timestamp
        elif self._sent == packet.timestamp and not self._body:
            # the marker lied: the unit is gone already
            self.seen.late += 1
            self._trust = -(1 << 30)
            self._follows_loss = True
            return ready
        if not self._is_broken:
            self._add(bytes(packet.payload))
        if packet.marker:
            self._marks += 1
            self._mark_at = len(self._body)
            if self._trust >= MARKER_TRUST and not self._in_fragment:
                ready += self._finish()
                self._sent = packet.timestamp
        return ready

    def flush(self) -> list[Unit]:
        """The last unit."""
        return self._finish()

    def _lose(self) -> None:
        if self._body and self._marks and self._mark_at == len(self._body):
            return  # it was whole; what is missing comes after
        self._is_broken = True
        self._follows_loss = True
        self._in_fragment = False

    def _add(self, payload: bytes) -> None:
        head = 1 if self._is_h264 else 2
        if len(payload) <= head or len(self._body) + len(payload) > MAX_UNIT_BYTES:
            self.seen.malformed += 1
            self._is_broken = self._is_broken or len(payload) > head
            return
        kind = h26x.nal_type(self._codec, payload[0])
        if kind == (28 if self._is_h264 else 49):
            self._fragment(payload, head)
        elif kind == (24 if self._is_h264 else 48):
            self._aggregate(payload, head)
        elif kind < (24 if self._is_h264 else 48):
            self._body += _START + payload
        else:
            self.seen.unsupported += 1

    def _fragment(self, payload: bytes, head: int) -> None:
        if len(payload) < head + 2:
            self.seen.malformed += 1
            return
        edge = payload[head]
        if edge & 0x80:
            if self._is_h264:
                first = bytes((payload[0] & 0xE0 | edge & 0x1F,))
            else:
                first = bytes((payload[0] & 0x81 | (edge & 0x3F) << 1, payload[1]))
            self._body += _START + first
            self._in_fragment = True
        elif not self._in_fragment:
            self.seen.malformed += 1
            self._is_broken = self._follows_loss = True
            return
        self._body += payload[head + 1 :]
        if edge & 0x40:
            self._in_fragment = False

    def _aggregate(self, payload: bytes, at: int) -> None:
        end = len(payload)
        while at + 2 <= end:
            size = payload[at] << 8 | payload[at + 1]
            at += 2
            if not size or at + size > end:
                self.seen.malformed += 1
                return
            self._body += _START + payload[at : at + size]
            at += size

    def _finish(self) -> list[Unit]:
        body, stamp = self._body, self._timestamp
        self._sent = None
        if self._marks == 1 and self._mark_at == len(body):
            self._trust += 1
        elif self._marks:
            self._trust = min(self._trust, 0)
        self._marks, self._mark_at = 0, -1
        broken, self._is_broken = self._is_broken or self._in_fragment, False
        self._in_fragment = False
        if not body or stamp is None:
            self.seen.dropped_units += broken
            return []
        if broken:
            self.seen.dropped_units += 1
            self._follows_loss = True
            body.clear()
            return []
        data = bytes(body)
        body.clear()
        is_key = h26x.is_key(self._codec, data)
        if is_key and self._sets and not self._has_sps(data):
            data = self._sets + data
        before = self._clock.last
        pts = self._clock.next(stamp)
        is_jump = before is not None and pts < before - CLOCK_HZ
        self.seen.jumps += is_jump
        self.seen.units += 1
        unit = Unit(
            kind=Kind.VIDEO, codec=self._codec, data=data, pts_90k=pts, is_key=is_key,
            follows_loss=self._follows_loss, is_jump=is_jump,
        )  # fmt: skip
        self._follows_loss = False
        return [unit]

    def _has_sps(self, data: bytes) -> bool:
        wanted = h26x.H264_SPS if self._is_h264 else h26x.H265_SPS
        return any(h26x.nal_type(self._codec, data[start]) == wanted for start, _ in h26x.nal_spans(data)[:16])


class AacUnpacker:
    """Packets of AAC in mode AAC-hbr into ADTS frames (RFC 3640 3.3.6: sizes of 13 bits, indexes of 3). Never raises.

    clock_hz: of the RTP timestamps, as the session description states it.
    """

    def __init__(self, config: AacConfig, clock_hz: int) -> None:
        self.seen = Unpacked()
        self._config = config
        self._clock_hz = clock_hz
        self._clock = Unwrap(32)
        self._partial = bytearray()
        self._wanted = 0

    def feed(self, packet: Packet) -> list[Unit]:
        """The frames of a packet as one unit; of a frame cut over packets, the unit with the last."""
        data = bytes(packet.payload)
        if packet.lost:
            self._partial.clear()
        heads_end = 2 + (int.from_bytes(data[:2], "big") + 7) // 8
        if len(data) < 4 or heads_end < 4 or heads_end > len(data):
            self.seen.malformed += 1
            return []
        sizes = [(data[at] << 8 | data[at + 1]) >> 3 for at in range(2, heads_end - 1, 2)]
        if sizes[0] > len(data) - heads_end:
            return self._part(sizes[0], data[heads_end:], packet.timestamp)
        self._partial.clear()
        at = heads_end
        frames: list[bytes] = []
        for size in sizes:
            if not size or at + size > len(data):
                self.seen.malformed += 1
                break
            frames.append(data[at : at + size])
            at += size
        return self._unit(frames, packet.timestamp)

    def _part(self, size: int, part: bytes, timestamp: int) -> list[Unit]:
        if size != self._wanted:
            self._partial.clear()
        self._wanted = size
        self._partial += part
        if len(self._partial) < size:
            return []
        frame = bytes(self._partial[:size])
        self._partial.clear()
        return self._unit([frame], timestamp)

    def _unit(self, frames: list[bytes], timestamp: int) -> list[Unit]:
        try:
            data = b"".join(self._config.adts(len(frame)) + frame for frame in frames)
        except WireError:
            self.seen.malformed += 1
            return []
        if not data:
            return []
        self.seen.units += 1
        pts = self._clock.next(timestamp) * CLOCK_HZ // self._clock_hz
        return [Unit(kind=Kind.AUDIO, codec=Codec.AAC, data=data, pts_90k=pts)]


class SoundUnpacker:
    """Packets whose payload is the sound itself, as G.711's is. clock_hz: of the RTP timestamps."""

    def __init__(self, codec: Codec, clock_hz: int = 8000) -> None:
        self.seen = Unpacked()
        self._codec = codec
        self._clock_hz = clock_hz
        self._clock = Unwrap(32)

    def feed(self, packet: Packet) -> list[Unit]:
        """One unit a packet."""
        if not packet.payload:
            return []
        self.seen.units += 1
        pts = self._clock.next(packet.timestamp) * CLOCK_HZ // self._clock_hz
        return [Unit(kind=Kind.AUDIO, codec=self._codec, data=bytes(packet.payload), pts_90k=pts)]
