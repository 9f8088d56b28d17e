"""A device's SIP messages as they pass: watched live, searched, exported as pcap, secrets redacted.

Keep-alives are most of all traffic and say nothing new, so they and their answers are kept only while somebody watches
the device. Secrets are taken out when somebody looks: most messages are never looked at.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import struct
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

PER_DEVICE = 200
DEVICES = 5_000
MOST_BYTES = 64 << 20
WATCH_QUEUE = 500
LONGEST = 64 * 1024

_SECRETS = (
    # a proof would let a password be guessed off-line, of whatever scheme: what names it may stay, the rest goes. Lines
    # may be folded (RFC 3261 7.3.1)
    (re.compile(rb"(?im)^((?:proxy-)?authorization[ \t]*:[ \t]*)(?!\s*digest\b)[^\r\n]*(?:\r?\n[ \t]+[^\r\n]*)*"),
     rb"\1[redacted]"),
    (re.compile(rb"(?i)((?<![\w-])(?:response|sign[12]?|cryptkey|rspauth)\s*=\s*)(?:\"[^\"\r\n]*\"?|[^\s,;\"]+)"),
     rb'\1"[redacted]"'),
    # SDP: k= (RFC 4566 5.12) and SRTP's keys (RFC 4568)
    (re.compile(rb"(?im)^(k[ \t]*=[ \t]*)[^\r\n]+"), rb"\1[redacted]"),
    (re.compile(rb"(?im)^(a[ \t]*=[ \t]*(?:crypto|key-mgmt)[ \t]*:[ \t]*)[^\r\n]+"), rb"\1[redacted]"),
    # BasicParam carries the password itself; whoever knows an upload's address could hand in a picture for the device
    (re.compile(rb"(?i)(<\s*(?:[\w-]+:)?(password|uploadurl)\b[^<>]*>)[^<]*"), rb"\1[redacted]"),
    (re.compile(rb"(?i)(\spassword\s*=\s*)(?:\"[^\"<>]*\"?|'[^'<>]*'?|[^\s<>\"']+)"), rb'\1"[redacted]"'),
    # a password in a SIP, RTSP or HTTP address
    (re.compile(rb"(?i)\b((?:sips?:|rtsp://|https?://)[^\s:@/<>\"]{1,64}:)[^\s@/<>\"]{1,128}@"), rb"\1[redacted]@"),
)  # fmt: skip


def redact(message: bytes) -> bytes:
    """The message without what could be used to sign in."""
    for pattern, instead in _SECRETS:
        message = pattern.sub(instead, message)
    return message


class Captured(NamedTuple):
    """One message. at_us: our clock. local, remote: (host, port). data: whole, with its secrets; show `safe()` only."""

    at_us: int
    outgoing: bool
    transport: str
    local: tuple[str, int]
    remote: tuple[str, int]
    data: bytes

    def safe(self) -> Captured:
        """The same, redacted."""
        return self._replace(data=redact(self.data))


class Capture:
    """The last messages of each device, and those who watch."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, deque[Captured]] = OrderedDict()
        self._watchers: dict[str, set[asyncio.Queue[Captured]]] = {}
        self._bytes = 0
        self.overrun = 0
        """Messages that a slow watcher missed."""

    def is_watched(self, device: str) -> bool:
        """Whether somebody watches this device now."""
        return device in self._watchers

    def note(self, device: str, message: Captured) -> None:
        """Keep one message and pass it to the watchers; the devices heard of first are forgotten first."""
        kept = self._kept.get(device)
        if kept is None:
            kept = self._kept[device] = deque()
        kept.append(message)
        self._bytes += len(message.data)
        if len(kept) > PER_DEVICE:
            self._bytes -= len(kept.popleft().data)
        while len(self._kept) > DEVICES or (self._bytes > MOST_BYTES and len(self._kept) > 1):
            _, forgotten = self._kept.popitem(last=False)
            self._bytes -= sum(len(one.data) for one in forgotten)
        watchers = self._watchers.get(device)
        if watchers:
            safe = message.safe()
            for queue in watchers:
                try:
                    queue.put_nowait(safe)
                except asyncio.QueueFull:
                    self.overrun += 1

    def messages(self, device: str, text: str = "") -> list[Captured]:
        """What is kept of a device, oldest first and redacted; text: only messages that contain it, in any case."""
        wanted = text.casefold().encode()
        safe = [one.safe() for one in self._kept.get(device, ())]
        return [one for one in safe if not wanted or wanted in one.data.lower()]

    @contextmanager
    def watch(self, device: str) -> Iterator[asyncio.Queue[Captured]]:
        """A queue that receives the device's messages while the context lasts."""
        queue: asyncio.Queue[Captured] = asyncio.Queue(WATCH_QUEUE)
        self._watchers.setdefault(device, set()).add(queue)
        try:
            yield queue
        finally:
            watching = self._watchers[device]
            watching.discard(queue)
            if not watching:
                del self._watchers[device]


def pcap(messages: Iterable[Captured]) -> bytes:
    """The messages as a capture file (libpcap 2.4, LINKTYPE_RAW), as IPv4 or IPv6 packets with UDP or TCP headers.

    TCP is shown with made-up sequence numbers, so that an analyser can follow the conversation; checksums are zero.
    """
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 101)]
    sequence: dict[tuple[object, ...], int] = {}
    for m in messages:
        source, target = (m.local, m.remote) if m.outgoing else (m.remote, m.local)
        data = m.data[:LONGEST]
        if m.transport == "tcp":
            flow, back = (source, target), (target, source)
            number = sequence.get(flow, 1)
            transport = struct.pack(
                ">HHIIBBHHH", source[1], target[1], number, sequence.get(back, 1), 5 << 4, 0x18, 65535, 0, 0
            )
            sequence[flow] = number + len(data)
            protocol = 6
        else:
            data = data[: 65535 - 8 - 40]
            transport = struct.pack(">HHHH", source[1], target[1], 8 + len(data), 0)
            protocol = 17
        packet = _ip(source[0], target[0], protocol, transport + data)
        out.append(struct.pack("<IIII", m.at_us // 1_000_000, m.at_us % 1_000_000, len(packet), len(packet)) + packet)
    return b"".join(out)


def _ip(source: str, target: str, protocol: int, payload: bytes) -> bytes:
    a, b = _address(source), _address(target)
    if a.version == b.version == 4:
        length = min(20 + len(payload), 65535)
        head = struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0, 64, protocol, 0) + a.packed + b.packed
        return head + payload[: 65535 - 20]
    six = [x.packed if x.version == 6 else b"\0" * 10 + b"\xff\xff" + x.packed for x in (a, b)]
    return struct.pack(">IHBB", 6 << 28, min(len(payload), 65535), protocol, 64) + six[0] + six[1] + payload[:65535]


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
