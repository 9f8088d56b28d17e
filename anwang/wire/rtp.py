"""RTP (RFC 3550) as safety video uses it: packets, framing on TCP (RFC 4571), reordering on UDP, the few RTCP it needs.

Hot path: at 2 Mb/s a camera sends 180 packets a second. `TcpFraming.feed` takes whatever a socket read (larger is
cheaper) and costs well under a microsecond a packet: one unpack, one slice of a memoryview, no copy. Payloads are
views into the bytes that were fed; they stay valid, and keep those bytes alive, as long as somebody holds them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, Self

from anwang.kernel.errors import WireError
from anwang.wire.units import Unwrap

Buffer = bytes | bytearray | memoryview

MAX_PAYLOAD_UDP = 1400
#: 65535 of the RFC 4571 length less 12 of the header
MAX_PAYLOAD_TCP = 65523
#: bytes of nonsense on TCP before the peer is given up (GB/T 28181 receivers in the field)
RESYNC_LIMIT = 64 * 1024

_HEAD = struct.Struct(">BBHII")
_FRAMED = struct.Struct(">HBBHII")
_DOLLAR = struct.Struct(">xxHBBHII")
_MARKER = 0x80 << 16
_PACK_START = b"\x00\x00\x01\xba"
_PACK_WORD = 0x000001BA


class Packet(NamedTuple):
    """One RTP packet.

    A named tuple, not a dataclass: made 180 times a second per camera, and five times cheaper. timestamp: 32 bits, as
    sent. sequence: 16 bits. lost: packets that are missing right before this one in its stream, at least 1 where the
    stream broke (other SSRC, sequence started over).
    """

    payload: Buffer
    timestamp: int
    sequence: int
    marker: bool
    payload_type: int
    ssrc: int
    lost: int = 0


class SsrcPolicy(StrEnum):
    """Whose packets a receiver takes. Chosen per device: some cameras send SSRC 0 whatever was agreed."""

    STRICT = "strict"
    """Only the agreed SSRC; where none was agreed, the first that comes."""
    ANY = "any"
    """Every packet that reaches the port; a change of SSRC counts as a break of the stream."""


@dataclass(slots=True)
class Reception:
    """What one receiver has seen, counted in packets unless named otherwise."""

    packets: int = 0
    payload_bytes: int = 0
    lost: int = 0
    late: int = 0
    reordered: int = 0
    wrong_ssrc: int = 0
    malformed: int = 0
    rtcp: int = 0
    resyncs: int = 0
    skipped_bytes: int = 0


def parse(data: Buffer) -> Packet:
    """A packet with its payload free of padding, contributors and extension (RFC 3550 5.1, 5.3.1).

    Raises WireError for a wrong version or lengths that lead outside.
    """
    size = len(data)
    if size < 12:
        raise WireError(f"an RTP packet of {size} bytes", data=bytes(data))
    first, second, sequence, timestamp, ssrc = _HEAD.unpack_from(data)
    if first >> 6 != 2:
        raise WireError(f"RTP version {first >> 6}", data=bytes(data[:64]))
    start, end = 12 + 4 * (first & 15), size
    if first & 0x10:
        if start + 4 > size:
            raise WireError("an RTP extension leads outside its packet", data=bytes(data[:256]), offset=start)
        start += 4 + 4 * (data[start + 2] << 8 | data[start + 3])
    if first & 0x20:
        padding = data[size - 1]
        if not padding:
            raise WireError("RTP padding of no length", data=bytes(data[:64]))
        end -= padding
    if start > end:
        raise WireError("an RTP header leads outside its packet", data=bytes(data[:256]), offset=min(start, size))
    payload = data[start:end]
    return Packet(payload, timestamp, sequence, second > 127, second & 127, ssrc)


def extension(data: Buffer) -> tuple[int, bytes] | None:
    """(profile, data) of a packet's header extension, None where it has none. Raises WireError as `parse` does."""
    parse(data)
    if not data[0] & 0x10:
        return None
    start = 12 + 4 * (data[0] & 15)
    words = data[start + 2] << 8 | data[start + 3]
    return data[start] << 8 | data[start + 1], bytes(data[start + 4 : start + 4 + 4 * words])


def build(
    payload: Buffer, *, payload_type: int, sequence: int, timestamp: int, ssrc: int, marker: bool = False
) -> bytes:
    """A packet with the plain header of 12 bytes."""
    second = (marker << 7) | payload_type & 0x7F
    return _HEAD.pack(0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def is_rtcp(second: int) -> bool:
    """Whether the second byte of a packet is that of RTCP (RFC 5761 4: types 200..204 here)."""
    return 200 <= second <= 204


@dataclass(slots=True)
class Packetiser:
    """Cuts frames into RTP packets, numbering them on.

    max_payload: bytes of payload a packet, 1400 on UDP, at most 65523 on TCP.
    """

    ssrc: int
    payload_type: int = 96
    sequence: int = 0
    max_payload: int = MAX_PAYLOAD_UDP

    def split(self, frame: Buffer, timestamp: int) -> Iterator[bytes]:
        """The packets of one frame: all with its timestamp (90 kHz, taken modulo 2**32), the marker on the last."""
        view, size, step = memoryview(frame), len(frame), self.max_payload
        timestamp &= 0xFFFFFFFF
        for start in range(0, size, step):
            stop = start + step
            second = self.payload_type if stop < size else self.payload_type | 0x80
            head = _HEAD.pack(0x80, second, self.sequence, timestamp, self.ssrc)
            self.sequence = self.sequence + 1 & 0xFFFF
            yield head + view[start:stop]

    def framed(self, frame: Buffer, timestamp: int) -> bytes:
        """The packets of one frame, each behind its length (RFC 4571 2), in one piece for one write."""
        return b"".join([frame_4571(packet) for packet in self.split(frame, timestamp)])


def frame_4571(packet: bytes) -> bytes:
    """A packet behind its length of two bytes. Raises WireError above 65535 bytes."""
    if len(packet) > 0xFFFF:
        raise WireError(f"a packet of {len(packet)} bytes can't be framed on TCP")
    return len(packet).to_bytes(2, "big") + packet


class TcpFraming:
    """RTP packets out of a TCP stream cut anywhere (RFC 4571; some senders use the `$` framing of RTSP instead).

    Which framing it is shows in the first bytes. RTCP is dropped. Where the framing is corrupt the stream is searched
    for the known SSRC or a PS pack start; after RESYNC_LIMIT bytes without a packet the peer is given up.
    """

    def __init__(self, *, ssrc: int | None = None, policy: SsrcPolicy = SsrcPolicy.STRICT) -> None:
        self.seen = Reception()
        self._policy = policy
        self._ssrc = -1 if ssrc is None else ssrc
        self._latched = ssrc is not None
        self._expected = -1
        self._tail = bytearray()
        #: bytes the tail must hold before parsing can bring anything
        self._need = 6
        self._struct: struct.Struct | None = None
        self._prefix = 2
        self._lost_sync = False
        self._skipped = 0

    @property
    def ssrc(self) -> int | None:
        """The SSRC that is being received, None before the first packet where none was agreed."""
        return self._ssrc if self._ssrc >= 0 else None

    def feed(self, data: Buffer) -> list[Packet]:
        """The packets that became complete. Raises WireError where the peer speaks no RTP; then drop the connection."""
        tail = self._tail
        if tail:
            tail += data
            if len(tail) < self._need:
                return []
            data = bytes(tail)
            tail.clear()
        elif len(data) < self._need:
            tail += data
            return []
        if self._struct is None:
            self._detect(data)
        head, prefix = self._struct or _FRAMED, self._prefix
        unpack, view = head.unpack_from, memoryview(data)
        found: list[Packet] = []
        add, new, seen = found.append, tuple.__new__, self.seen
        ssrc_wanted, expected = self._ssrc, self._expected
        at, end = 0, len(data)
        last_head, payload_bytes = end - prefix - 12, 0
        self._need = prefix + 12
        if self._lost_sync:
            at = self._resync(data, at)
        while at <= last_head and not self._lost_sync:
            length, first, second, sequence, timestamp, ssrc = unpack(data, at)
            start = at + prefix
            stop = start + length
            if first == 0x80 and length >= 12 and ssrc == ssrc_wanted and sequence == expected and stop <= end:
                if 200 <= second <= 204:
                    seen.rtcp += 1
                else:
                    payload = view[start + 12 : stop]
                    marker = second > 127
                    add(new(Packet, (payload, timestamp, sequence, marker, second & 127, ssrc, 0)))
                    payload_bytes += length - 12
                    expected = sequence + 1 & 0xFFFF
                at = stop
                continue
            if first >> 6 != 2 or length < 8:
                if at == 0 and length == 256 and not seen.packets and stop <= end:
                    at = stop  # a proprietary header of some senders: `01 00`, then 256 bytes
                    seen.skipped_bytes += stop
                    continue
                seen.resyncs += 1
                at = self._resync(data, at)
                continue
            if stop > end:
                self._need = stop - at
                break
            self._ssrc, self._expected = ssrc_wanted, expected
            packet = self._odd_one(view[start:stop])
            ssrc_wanted, expected = self._ssrc, self._expected
            if packet:
                add(packet)
                payload_bytes += len(packet.payload)
            at = stop
        self._expected = expected
        if at < end:
            tail += view[at:]
        seen.packets += len(found)
        seen.payload_bytes += payload_bytes
        if found:
            self._skipped = 0
        return found

    def _detect(self, data: Buffer) -> None:
        dollar = data[0] == 0x24 and data[4] >> 6 == 2 and data[2] >> 6 != 2
        self._struct, self._prefix = (_DOLLAR, 4) if dollar else (_FRAMED, 2)

    def _odd_one(self, data: memoryview) -> Packet | None:
        """All that the fast path left: RTCP, other SSRC, gaps, extensions, padding."""
        seen = self.seen
        if is_rtcp(data[1]):
            seen.rtcp += 1
            return None
        try:
            packet = parse(data)
        except WireError:
            seen.malformed += 1
            return None
        lost = 0
        if packet.ssrc != self._ssrc:
            if self._latched and self._policy is SsrcPolicy.STRICT:
                seen.wrong_ssrc += 1
                return None
            lost = 1 if self._expected >= 0 else 0
            self._ssrc, self._latched = packet.ssrc, True
        elif packet.sequence != self._expected and self._expected >= 0:
            ahead = packet.sequence - self._expected & 0xFFFF
            lost = ahead if ahead < 0x8000 else 1
            seen.lost += lost
        self._expected = packet.sequence + 1 & 0xFFFF
        return packet._replace(lost=lost) if lost else packet

    def _resync(self, data: Buffer, start: int) -> int:
        """Where the next packet seems to begin; leaves the state lost where none does yet."""
        whole = bytes(data) if not isinstance(data, bytes) else data
        prefix, end = self._prefix, len(whole)
        marks = [(_PACK_START, prefix + 12)]
        if self._latched:
            marks.append((self._ssrc.to_bytes(4, "big"), prefix + 8))
        best = -1
        for mark, behind in marks:
            at = whole.find(mark, start + behind)
            while at >= 0:
                if self._is_head(whole, at - behind):
                    best = at - behind if best < 0 else min(best, at - behind)
                    break
                at = whole.find(mark, at + 1)
        stay = best if best >= 0 else max(start, end - prefix - 16)
        self._skipped += stay - start
        self.seen.skipped_bytes += stay - start
        if self._skipped > RESYNC_LIMIT:
            raise WireError(f"no RTP in {self._skipped} bytes of TCP", data=whole, offset=start)
        self._lost_sync = best < 0
        if self._lost_sync:
            self._need = prefix + 20
        return stay

    def _is_head(self, data: bytes, at: int) -> bool:
        prefix = self._prefix
        length = int.from_bytes(data[at + prefix - 2 : at + prefix], "big")
        if length < 12 or data[at + prefix] >> 6 != 2 or (prefix == 4 and data[at] != 0x24):
            return False
        following = at + prefix + length
        return following + prefix >= len(data) or data[following + prefix] >> 6 == 2


@lru_cache
def _head_and_word(step: int) -> struct.Struct:
    """A packet's first sixteen bytes in words, and what is between them and the next packet `step` bytes on."""
    return struct.Struct(f">IIII{step - 16}x")


def _heads(memory: memoryview, step: int, count: int) -> Iterator[tuple[int, ...]]:
    return _head_and_word(step).iter_unpack(memory[: count * step])


class UdpReorder:
    """RTP packets out of datagrams, in order; what is missing is waited for, then counted as lost.

    size: packets that may wait. wait_s: how long one may wait for those before it. Both bound memory and delay.
    """

    def __init__(
        self,
        *,
        ssrc: int | None = None,
        policy: SsrcPolicy = SsrcPolicy.STRICT,
        size: int = 128,
        wait_s: float = 0.15,
        clock_hz: int = 90_000,
    ) -> None:
        self.seen = Reception()
        self.jitter = 0.0
        self._policy = policy
        self._ssrc = ssrc
        self._size = size
        self._wait_s = wait_s
        self._clock_hz = clock_hz
        self._unwrap = Unwrap(16)
        self._next: int | None = None
        self._first = 0
        self._payload_type = 0
        self._waiting: dict[int, tuple[Packet, float]] = {}
        self._strange = -1
        self._transit: float | None = None
        self._broken = False
        self._reported = (0, 0)

    @property
    def ssrc(self) -> int | None:
        """The SSRC that is being received."""
        return self._ssrc

    def receive(self, datagram: Buffer, now: float) -> list[Packet]:
        """The packets that are in order now. now: seconds on the caller's monotonic clock. Never raises."""
        seen = self.seen
        try:
            packet = parse(datagram)
        except WireError:
            seen.malformed += 1
            return []
        if is_rtcp(datagram[1]):
            seen.rtcp += 1
            return []
        if packet.ssrc != self._ssrc:
            if self._ssrc is not None and self._policy is SsrcPolicy.STRICT:
                seen.wrong_ssrc += 1
                return []
            self._broken = self._ssrc is not None and self._next is not None
            self._ssrc = packet.ssrc
            self._restart()
        self._payload_type = packet.payload_type
        self._count_jitter(packet.timestamp, now)
        number = self._unwrap.near(packet.sequence)
        if self._next is None:
            self._next = self._first = self._unwrap.next(packet.sequence)
            number = self._next
        if number == self._next and not self._waiting:
            self._next = number + 1
            self._unwrap.last = number
            seen.packets += 1
            seen.payload_bytes += len(packet.payload)
            if self._broken:
                self._broken = False
                return [packet._replace(lost=1)]
            return [packet]
        return self._out_of_order(packet, number, now)

    def receive_joined(self, memory: memoryview, step: int, sizes: Sequence[int], now: float) -> list[Packet]:
        """As `receive` for many datagrams, for payloads that are one stream of bytes however it is cut (PS).

        memory: datagram n begins at n * step; it may be overwritten afterwards. sizes: in bytes, of each. Packets in
        order that belong to one frame come out as one packet: its payload is all of theirs, its sequence and marker
        are the last one's. A frame costs one object then, not one a packet.
        """
        found: list[Packet] = []
        parts: list[memoryview] = []
        wanted, expected = self._straight()
        stamp = at = 0
        for (head, timestamp, ssrc, word), size in zip(_heads(memory, step, len(sizes)), sizes, strict=True):
            if (head == expected or head == expected | _MARKER) and ssrc == wanted and size >= 16:
                if parts and (timestamp != stamp or word == _PACK_WORD):
                    found.append(self._joined(parts, stamp, False, now))
                    parts = []
                parts.append(memory[at + 12 : at + size])
                stamp = timestamp
                expected = expected + 1 if expected & 0xFFFF != 0xFFFF else expected - 0xFFFF
                if head & _MARKER:
                    found.append(self._joined(parts, stamp, True, now))
                    parts = []
            else:
                if parts:
                    found.append(self._joined(parts, stamp, False, now))
                    parts = []
                found += self.receive(bytes(memory[at : at + size]), now)
                wanted, expected = self._straight()
            at += step
        if parts:
            found.append(self._joined(parts, stamp, False, now))
        return found

    def _straight(self) -> tuple[int, int]:
        """SSRC and first four bytes of a packet that needs no thought; impossible ones where each does."""
        if self._next is None or self._waiting or self._broken or self._ssrc is None:
            return -1, 0
        return self._ssrc, 0x80 << 24 | self._payload_type << 16 | self._next & 0xFFFF

    def _joined(self, parts: list[memoryview], timestamp: int, is_marked: bool, now: float) -> Packet:
        """Packets that came straight, as one."""
        payload, seen = b"".join(parts), self.seen
        last = (self._next or 0) + len(parts) - 1
        self._next, self._unwrap.last = last + 1, last
        seen.packets += len(parts)
        seen.payload_bytes += len(payload)
        self._count_jitter(timestamp, now)
        return Packet(payload, timestamp, last & 0xFFFF, is_marked, self._payload_type, self._ssrc or 0)

    def _out_of_order(self, packet: Packet, number: int, now: float) -> list[Packet]:
        expected = self._next or 0
        if abs(number - expected) > 3000:
            # RFC 3550 A.1: a sender that starts over is believed after two packets in a row
            if packet.sequence != self._strange:
                self._strange = packet.sequence + 1 & 0xFFFF
                self.seen.late += 1
                return []
            flushed = self.flush()
            self._restart()
            self._next = self._first = self._unwrap.next(packet.sequence)
            self._next += 1
            self.seen.packets += 1
            self.seen.payload_bytes += len(packet.payload)
            return [*flushed, packet._replace(lost=1)]
        if number < expected or number in self._waiting:
            self.seen.late += 1
            return []
        if self._waiting and number < max(self._waiting):
            self.seen.reordered += 1
        self._waiting[number] = (packet, now)
        return self._release(now)

    def _restart(self) -> None:
        self._waiting.clear()
        self._unwrap.last = None
        self._next = None
        self._strange = -1
        self._transit = None

    def _release(self, now: float) -> list[Packet]:
        waiting, ready = self._waiting, list[Packet]()
        while waiting and self._next is not None:
            entry = waiting.pop(self._next, None)
            lost = 0
            if entry is None:
                oldest = min(waiting)
                if len(waiting) <= self._size and now - min(at for _, at in waiting.values()) < self._wait_s:
                    break
                lost = oldest - self._next
                self.seen.lost += lost
                self._next = oldest
                entry = waiting.pop(oldest)
            packet = entry[0]
            self._unwrap.last = self._next
            self._next += 1
            self.seen.packets += 1
            self.seen.payload_bytes += len(packet.payload)
            if self._broken:
                lost, self._broken = max(1, lost), False
            ready.append(packet._replace(lost=lost) if lost else packet)
        return ready

    def tick(self, now: float) -> list[Packet]:
        """What has waited long enough."""
        return self._release(now) if self._waiting else []

    def timer(self) -> float | None:
        """When to call `tick` next, None while nothing waits."""
        return min(at for _, at in self._waiting.values()) + self._wait_s if self._waiting else None

    def flush(self) -> list[Packet]:
        """All that waits, at the end of the stream."""
        return self._release(float("inf"))

    def _count_jitter(self, timestamp: int, now: float) -> None:
        transit = now * self._clock_hz - timestamp
        if self._transit is not None:
            step = abs(transit - self._transit)
            if step < self._clock_hz * 10:
                self.jitter += (step - self.jitter) / 16
        self._transit = transit

    def report(self, *, own_ssrc: int) -> bytes:
        """An RTCP receiver report on what came since the one before (RFC 3550 6.4.2). Empty before the first packet."""
        if self._ssrc is None or self._next is None:
            return b""
        packets, lost = self.seen.packets - self._reported[0], self.seen.lost - self._reported[1]
        self._reported = (self.seen.packets, self.seen.lost)
        fraction = min(255, lost * 256 // (packets + lost)) if lost else 0
        return receiver_report(
            own_ssrc=own_ssrc, source_ssrc=self._ssrc, fraction_lost=fraction, lost=self.seen.lost,
            highest=self._next - 1, jitter=int(self.jitter),
        )  # fmt: skip


def receiver_report(
    *, own_ssrc: int, source_ssrc: int, fraction_lost: int, lost: int, highest: int, jitter: int,
    last_sr: int = 0, delay_since_sr: int = 0,
) -> bytes:  # fmt: skip
    """An RTCP receiver report with one block (RFC 3550 6.4.2).

    fraction_lost: of 256. lost: since the start, in packets. highest: extended sequence number. jitter: in ticks.
    last_sr, delay_since_sr: middle 32 bits of the sender report's NTP time, and 1/65536 s since it came.
    """
    words = (source_ssrc, min(fraction_lost, 255) << 24 | min(lost, 0x7FFFFF), highest & 0xFFFFFFFF)
    return struct.pack(">BBHIIIIIII", 0x81, 201, 7, own_ssrc, *words, min(jitter, 0xFFFFFFFF), last_sr, delay_since_sr)


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """What ties a sender's RTP clock to wall-clock time (RFC 3550 6.4.1).

    ntp: 32.32 fixed point seconds since 1900 as the sender claims; cameras' may be decades off. rtp: the same moment
    in ticks.
    """

    ssrc: int
    ntp: int
    rtp: int
    packets: int = 0
    octets: int = 0

    @classmethod
    def parse(cls, data: Buffer) -> Self | None:
        """The sender report that a compound RTCP packet begins with, or None. Raises WireError."""
        if len(data) < 4 or data[0] >> 6 != 2:
            raise WireError("not RTCP", data=bytes(data[:64]))
        if data[1] != 200:
            return None
        if len(data) < 28:
            raise WireError("a sender report of less than 28 bytes", data=bytes(data))
        ssrc, ntp, rtp, packets, octets = struct.unpack_from(">IQIII", data, 4)
        return cls(ssrc=ssrc, ntp=ntp, rtp=rtp, packets=packets, octets=octets)

    def serialize(self) -> bytes:
        """The report without blocks."""
        return struct.pack(
            ">BBHIQIII", 0x80, 200, 6, self.ssrc, self.ntp, self.rtp & 0xFFFFFFFF,
            self.packets & 0xFFFFFFFF, self.octets & 0xFFFFFFFF,
        )  # fmt: skip
