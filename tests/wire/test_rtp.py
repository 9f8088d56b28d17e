"""RTP: vectors of the GB/T 28181 sheet (§21), cut streams, reordering, loss, nonsense."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.kernel.errors import WireError
from anwang.wire import rtp
from anwang.wire.rtp import Packet, Packetiser, SsrcPolicy, TcpFraming, UdpReorder

SSRC = int("0200000001")


def packets(count: int, *, size: int = 100, start: int = 65530, ssrc: int = SSRC) -> list[bytes]:
    """Packets across the wrap of the sequence number."""
    return [
        rtp.build(bytes([n & 0xFF]) * size, payload_type=96, sequence=start + n, timestamp=n * 3600, ssrc=ssrc)
        for n in range(count)
    ]


def test_vectors_21() -> None:
    assert SSRC == 0x0BEBC201
    assert int("1200000001") == 0x47868C01
    made = Packetiser(ssrc=SSRC).framed(bytes(1400), 0)
    assert made[:2] == bytes.fromhex("0584")
    assert len(made) == 2 + 1412


@given(
    payload=st.binary(max_size=50), sequence=st.integers(0, 65535), timestamp=st.integers(0, 2**32 - 1),
    ssrc=st.integers(0, 2**32 - 1), marker=st.booleans(), payload_type=st.integers(0, 127),
    contributors=st.integers(0, 15), extension=st.none() | st.integers(0, 5), padding=st.integers(0, 255),
)  # fmt: skip
def test_every_header_is_read(
    payload: bytes, sequence: int, timestamp: int, ssrc: int, marker: bool, payload_type: int,
    contributors: int, extension: int | None, padding: int,
) -> None:  # fmt: skip
    first = 0x80 | contributors | (0x20 if padding else 0) | (0x10 if extension is not None else 0)
    head = struct.pack(">BBHII", first, marker << 7 | payload_type, sequence, timestamp, ssrc) + bytes(4 * contributors)
    if extension is not None:
        head += struct.pack(">HH", 0xABAC, extension) + b"\x01" * 4 * extension
    tail = bytes(padding - 1) + bytes([padding]) if padding else b""
    found = rtp.parse(head + payload + tail)
    assert found == Packet(payload, timestamp, sequence, marker, payload_type, ssrc)
    wanted = None if extension is None else (0xABAC, b"\x01" * 4 * extension)
    assert rtp.extension(head + payload + tail) == wanted


def test_the_plain_header_round_trips() -> None:
    made = rtp.build(b"abc", payload_type=8, sequence=7, timestamp=2**32 + 5, ssrc=9, marker=True)
    assert rtp.parse(made) == Packet(b"abc", 5, 7, True, 8, 9)


@given(st.binary(max_size=80))
def test_random_bytes_do_no_worse_than_a_wire_error(data: bytes) -> None:
    for head in (b"", b"\x80", b"\x9f", b"\xb0"):
        try:
            rtp.parse(head + data)
        except WireError:
            continue
    try:
        rtp.SenderReport.parse(b"\x80\xc8" + data)
    except WireError:
        return


@pytest.mark.parametrize("dollar", [False, True])
@given(cuts=st.lists(st.integers(0, 3000), max_size=20), odd=st.booleans())
def test_tcp_cut_anywhere(dollar: bool, cuts: list[int], odd: bool) -> None:
    sent = packets(20, size=113)
    if odd:
        sent[3:3] = [b"\x80\xc8" + bytes(26)]
    frame = (lambda one: b"$\x00" + rtp.frame_4571(one)) if dollar else rtp.frame_4571
    stream = b"".join(map(frame, sent))
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    framing = TcpFraming()
    found = [one for a, b in itertools.pairwise(edges) for one in framing.feed(stream[a:b])]
    assert [bytes(one.payload) for one in found] == [one[12:] for one in packets(20, size=113)]
    assert sum(one.lost for one in found) == 0
    assert framing.seen.packets == 20
    assert framing.seen.rtcp == odd
    assert framing.ssrc == SSRC


def test_tcp_byte_by_byte() -> None:
    framing, found = TcpFraming(ssrc=SSRC), []
    for byte in b"".join(map(rtp.frame_4571, packets(5))):
        found += framing.feed(bytes([byte]))
    assert [one.sequence for one in found] == [65530, 65531, 65532, 65533, 65534]


def test_the_fast_path_reads_as_the_slow_one() -> None:
    sent = packets(10)
    framing = TcpFraming()
    fast = framing.feed(b"".join(map(rtp.frame_4571, sent)))
    assert fast == [rtp.parse(one) for one in sent]


def test_a_gap_on_tcp_is_told() -> None:
    sent = packets(10)
    del sent[4:7]
    framing = TcpFraming()
    found = framing.feed(b"".join(map(rtp.frame_4571, sent)))
    assert [one.lost for one in found] == [0, 0, 0, 0, 3, 0, 0]
    assert framing.seen.lost == 3


def test_strict_takes_only_the_agreed_ssrc() -> None:
    mixed = [*packets(3), *packets(3, ssrc=0), *packets(3, start=65533)]
    stream = b"".join(map(rtp.frame_4571, mixed))
    strict = TcpFraming(ssrc=SSRC)
    assert len(strict.feed(stream)) == 6
    assert strict.seen.wrong_ssrc == 3
    latched = TcpFraming()
    assert len(latched.feed(stream)) == 6
    wide = TcpFraming(ssrc=SSRC, policy=SsrcPolicy.ANY)
    assert [one.lost for one in wide.feed(stream)] == [0, 0, 0, 1, 0, 0, 1, 0, 0]


def test_corrupt_framing_is_left_behind() -> None:
    first, second = packets(6, size=1000), packets(6, size=1000, start=65536)
    framing = TcpFraming(ssrc=SSRC)
    stream = b"".join(map(rtp.frame_4571, first)) + b"\x00\x05nonsense" * 300 + b"".join(map(rtp.frame_4571, second))
    found = []
    for at in range(0, len(stream), 700):
        found += framing.feed(stream[at : at + 700])
    assert [one.sequence for one in found] == [65530, 65531, 65532, 65533, 65534, 65535, 0, 1, 2, 3, 4, 5]
    assert framing.seen.resyncs
    assert framing.seen.skipped_bytes == 3000


def test_resync_without_a_known_ssrc_looks_for_a_ps_pack() -> None:
    framing = TcpFraming()
    packet = rtp.build(b"\x00\x00\x01\xba" + bytes(50), payload_type=96, sequence=1, timestamp=0, ssrc=5)
    found = framing.feed(b"\x00\x01junk that is no RTP at all" + rtp.frame_4571(packet) * 2)
    assert [one.ssrc for one in found] == [5, 5]


def test_a_peer_that_speaks_no_rtp_is_given_up() -> None:
    framing = TcpFraming(ssrc=SSRC)
    with pytest.raises(WireError, match="no RTP"):
        for _ in range(3000):
            framing.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
    assert framing.seen.skipped_bytes <= rtp.RESYNC_LIMIT + 100


def test_a_proprietary_header_of_256_bytes_is_skipped() -> None:
    framing = TcpFraming(ssrc=SSRC)
    stream = b"\x01\x00" + b"\x01" * 256 + b"".join(map(rtp.frame_4571, packets(3)))
    assert len(framing.feed(stream)) == 3


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_random_streams(chunks: list[bytes]) -> None:
    framing = TcpFraming()
    try:
        for chunk in chunks:
            framing.feed(chunk)
    except WireError:
        return


def udp(sent: list[bytes], **options: float) -> tuple[list[Packet], UdpReorder]:
    window = UdpReorder(size=int(options.get("size", 16)), wait_s=0.15)
    found: list[Packet] = []
    for n, one in enumerate(sent):
        found += window.receive(one, n * 0.001)
    return found + window.flush(), window


@given(st.permutations(range(12)))
def test_udp_restores_any_order_within_the_window(order: list[int]) -> None:
    sent = packets(13)
    found, window = udp([sent[0], *(sent[1 + n] for n in order)])
    assert found == [rtp.parse(one) for one in sent]
    assert window.seen.lost == 0
    assert window.timer() is None


def test_udp_loss_is_counted_and_told() -> None:
    sent = packets(40)
    found, window = udp(sent[:5] + sent[8:])
    assert [one.lost for one in found if one.lost] == [3]
    assert window.seen.lost == 3
    assert len(found) == 37


def test_udp_waits_no_longer_than_agreed() -> None:
    sent = packets(4)
    window = UdpReorder()
    assert len(window.receive(sent[0], 0.0)) == 1
    assert window.receive(sent[2], 0.01) == []
    assert window.timer() == pytest.approx(0.16)
    assert window.tick(0.1) == []
    assert [one.lost for one in window.tick(0.17)] == [1]
    assert window.receive(sent[1], 0.2) == []
    assert window.seen.late == 1
    assert [one.lost for one in window.receive(sent[3], 0.2)] == [0]


def test_udp_duplicates_and_strangers() -> None:
    sent = packets(4)
    found, window = udp([sent[0], sent[0], *packets(1, ssrc=1), sent[1], b"", b"\x80\xc9" + bytes(30), *sent[2:]])
    assert [one.sequence for one in found] == [65530, 65531, 65532, 65533]
    seen = window.seen
    assert (seen.late, seen.wrong_ssrc, seen.malformed, seen.rtcp) == (1, 1, 1, 1)


def test_udp_sender_that_starts_over_is_believed_after_two() -> None:
    found, window = udp([*packets(5), *packets(5, start=30000)])
    assert [one.sequence for one in found][5:] == [30001, 30002, 30003, 30004]
    assert found[5].lost == 1
    assert window.seen.late == 1


def test_udp_any_ssrc_breaks_the_stream() -> None:
    window = UdpReorder(ssrc=1, policy=SsrcPolicy.ANY)
    found = [one for sent in [*packets(2, ssrc=0), *packets(2, ssrc=7)] for one in window.receive(sent, 0.0)]
    assert [(one.ssrc, one.lost) for one in found] == [(0, 0), (0, 0), (7, 1), (7, 0)]


@given(st.lists(st.binary(max_size=60), max_size=30))
def test_udp_takes_random_datagrams(datagrams: list[bytes]) -> None:
    window = UdpReorder(policy=SsrcPolicy.ANY, size=4)
    for n, one in enumerate(datagrams):
        window.receive(b"\x80" + one, n * 0.01)
    window.flush()
    assert window.timer() is None


@given(
    order=st.lists(st.tuples(st.integers(0, 40), st.sampled_from("=====#rmx")), max_size=60),
    cuts=st.lists(st.integers(1, 9), max_size=30), known=st.booleans(),
)  # fmt: skip
def test_datagrams_read_together_read_as_each_alone(order: list[tuple[int, str]], cuts: list[int], known: bool) -> None:
    frames = [b"\x00\x00\x01\xba" + bytes([n]) * (n * 700 % 5000) for n in range(12)]
    cutter = Packetiser(ssrc=SSRC, sequence=65500)
    sent = [packet for n, frame in enumerate(frames) for packet in cutter.split(frame, 2**32 - 20_000 + n * 3600)]
    for at, what in order:
        at = min(at, len(sent) - 1)
        match what:
            case "#":  # lost
                sent.pop(at) if len(sent) > 1 else None
            case "r":  # overtaken
                sent.insert(max(0, at - 3), sent.pop(at))
            case "m":  # nonsense, and a stranger
                sent.insert(at, sent[at][:at])
                sent.insert(at, sent[at][:8] + bytes(4) + sent[at][12:])
            case "x":  # RTCP, and a header extension
                sent.insert(at, b"\x80\xc9" + bytes(30))
                sent[at + 1] = b"\x90" + sent[at + 1][1:12] + b"\x00\x00\x00\x00" + sent[at + 1][12:]
    alone, together = (UdpReorder(ssrc=SSRC if known else None) for _ in range(2))
    first = [packet for datagram in sent for packet in alone.receive(datagram, 0.0)] + alone.flush()
    second: list[Packet] = []
    at, sizes = 0, itertools.cycle(cuts or [64])
    while at < len(sent):
        some = sent[at : at + next(sizes)]
        memory = bytearray(2048 * len(some))
        for number, datagram in enumerate(some):
            memory[number * 2048 : number * 2048 + len(datagram)] = datagram
        second += together.receive_joined(memoryview(memory), 2048, [len(datagram) for datagram in some], 0.0)
        memory[:] = bytes(len(memory))
        at += len(some)
    second += together.flush()
    assert together.seen == alone.seen
    assert runs(first) == runs(second)
    assert len(second) <= len(first)


def runs(packets: list[Packet]) -> list[tuple[int, int, int, bytes]]:
    """(timestamp, lost, last sequence number, bytes) of packets up to each marker, loss or other timestamp."""
    found: list[tuple[int, int, int, bytes]] = []
    is_open = False
    for one in packets:
        payload = bytes(one.payload)
        if is_open and not one.lost and found[-1][0] == one.timestamp and not payload.startswith(b"\x00\x00\x01\xba"):
            found[-1] = (one.timestamp, found[-1][1], one.sequence, found[-1][3] + payload)
        else:
            found.append((one.timestamp, one.lost, one.sequence, payload))
        is_open = not one.marker
    return found


def test_receiver_report() -> None:
    sent = packets(20)
    _, window = udp(sent[:10] + sent[15:])
    report = window.report(own_ssrc=0x01020304)
    first, kind, words, own, source, loss, highest = struct.unpack_from(">BBHIIII", report)
    assert (first, kind, words, len(report)) == (0x81, 201, 7, 32)
    assert (own, source) == (0x01020304, SSRC)
    assert loss == (5 * 256 // 20) << 24 | 5
    assert highest == 65530 + 19
    assert UdpReorder().report(own_ssrc=1) == b""


def test_sender_report_round_trips() -> None:
    report = rtp.SenderReport(ssrc=5, ntp=0xE8000000_80000000, rtp=90000, packets=7, octets=9)
    assert rtp.SenderReport.parse(report.serialize()) == report
    assert (
        rtp.SenderReport.parse(
            rtp.receiver_report(own_ssrc=1, source_ssrc=2, fraction_lost=0, lost=0, highest=0, jitter=0)
        )
        is None
    )


@given(st.binary(min_size=1, max_size=5000), st.integers(1, 1400))
def test_a_frame_survives_packets(frame: bytes, size: int) -> None:
    cutter = Packetiser(ssrc=1, sequence=65534, max_payload=size)
    found = [rtp.parse(one) for one in cutter.split(frame, 2**32 + 9)]
    assert b"".join(bytes(one.payload) for one in found) == frame
    assert [one.marker for one in found] == [False] * (len(found) - 1) + [True]
    assert {one.timestamp for one in found} == {9}
    assert all(len(one.payload) <= size for one in found)
