"""What the media codecs cost: RTP on TCP, program streams, fragments; one process, one core, synthetic 2 Mb/s at 25
pictures/s.

Every row is the median of the rounds, in CPU time. The baseline of the same run is the least any receiver in Python
could do with the same bytes: one unpack and one slice a packet, one join a picture.
"""

from __future__ import annotations

import argparse
import random
import statistics
import struct
import time
from collections.abc import Callable

from anwang.wire.fmp4 import Fragmenter, scan
from anwang.wire.mpegps import Demuxer, Muxer
from anwang.wire.rtp import Packetiser, TcpFraming, UdpReorder, frame_4571
from anwang.wire.units import Codec, Kind, Unit
from benchmarks.ratio import Row, table

FPS, GOP, BITS_PER_SECOND = 25, 50, 2_000_000
SPS = bytes.fromhex("6764001facd9405005bb011000000300100000030320f1831960")
PPS = bytes.fromhex("68ebecb22c")


def pictures(seconds: int) -> list[Unit]:
    """Pictures like a camera's: a key frame of five times the size every two seconds."""
    noise = random.Random(7)
    small = BITS_PER_SECOND // 8 // FPS * GOP // (GOP + 4)
    units = []
    for number in range(seconds * FPS):
        is_key = number % GOP == 0
        body = noise.randbytes(5 * small if is_key else small).replace(b"\x00\x00", b"\x01\x01")
        head = b"".join(b"\x00\x00\x00\x01" + nal for nal in (SPS, PPS)) if is_key else b""
        data = head + b"\x00\x00\x00\x01" + (b"\x65\x88" if is_key else b"\x41\x9a") + body + b"\x80"
        units.append(Unit(kind=Kind.VIDEO, codec=Codec.H264, data=data, pts_90k=number * 3600, is_key=is_key))
    return units


def median(rounds: int, work: Callable[[], object]) -> float:
    """Seconds of CPU."""
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def measure(quick: bool) -> list[Row]:
    """Processor time of each step, beside the least that there is to do."""
    return run(seconds=4, rounds=3, read=65536) if quick else run(seconds=20, rounds=9, read=65536)


def run(*, seconds: int, rounds: int, read: int) -> list[Row]:
    """seconds: of stream per round. read: bytes that a socket read brings."""
    units = pictures(seconds)
    muxer, cutter = Muxer(video=Codec.H264), Packetiser(ssrc=7)
    packets = [packet for unit in units for packet in cutter.split(muxer.unit(unit), unit.pts_90k or 0)]
    stream = b"".join(map(frame_4571, packets))
    reads = [stream[at : at + read] for at in range(0, len(stream), read)]
    small_reads = [stream[at : at + 1460] for at in range(0, len(stream), 1460)]

    framed = list(map(frame_4571, packets))
    whole_packets = [b"".join(framed[at : at + 46]) for at in range(0, len(framed), 46)]

    def least() -> None:
        head = struct.Struct(">HBBHII")
        for read in whole_packets:
            view, at, end = memoryview(read), 0, len(read) - 14
            parts = []
            while at <= end:
                length, _, _, _, _, _ = head.unpack_from(read, at)
                parts.append(view[at + 14 : at + 2 + length])
                at += 2 + length
            b"".join(parts)

    def framing(cuts: list[bytes]) -> None:
        receiver = TcpFraming()
        for read in cuts:
            receiver.feed(read)

    def udp() -> None:
        receiver = UdpReorder()
        for number, packet in enumerate(packets):
            receiver.receive(packet, number * 0.005)

    together = []
    for at in range(0, len(packets), 8):
        some = packets[at : at + 8]
        together.append((memoryview(b"".join(one.ljust(2048) for one in some)), list(map(len, some))))

    def udp_together() -> None:
        receiver = UdpReorder()
        for number, (memory, sizes) in enumerate(together):
            receiver.receive_joined(memory, 2048, sizes, number * 0.04)

    parsed = [packet for receiver in [TcpFraming()] for read in reads for packet in receiver.feed(read)]

    def demux() -> list[Unit]:
        demuxer = Demuxer()
        return [
            unit for one in parsed for unit in demuxer.feed(one.payload, one.timestamp, one.marker, one.lost)
        ] + demuxer.flush()

    def fragments() -> None:
        fragmenter = Fragmenter()
        for unit in units:
            fragmenter.push(unit)

    def whole(cuts: list[bytes]) -> list[bytes]:
        receiver, demuxer, fragmenter = TcpFraming(), Demuxer(), Fragmenter()
        out = []
        for read in cuts:
            for one in receiver.feed(read):
                for unit in demuxer.feed(one.payload, one.timestamp, one.marker, one.lost):
                    out += [made.data for made in fragmenter.push(unit)]
        return out

    def send() -> None:
        sender, packetiser = Muxer(video=Codec.H264), Packetiser(ssrc=7)
        for unit in units:
            packetiser.framed(sender.unit(unit), unit.pts_90k or 0)

    # the gate: what is timed must be right
    assert [unit.data for unit in demux()] == [unit.data for unit in units]
    file = b"".join(whole(reads))
    assert len(scan(file).fragments) >= len(units) - 2

    bits = len(stream) * 8 / seconds / 1e6
    gate = f"units come out as they went in; {bits:.2f} Mb/s, {len(packets) / seconds:.0f} packets/s, {FPS} pictures/s"
    rows: list[Row] = []
    base = 0.0
    for name, work in (
        ("least: unpack, slice, join", least),
        (f"RTP on TCP, reads of {read // 1024} KiB", lambda: framing(reads)),
        ("RTP on TCP, reads of 1460 B", lambda: framing(small_reads)),
        ("RTP on UDP, in order", udp),
        ("RTP on UDP, in order, eight read together", udp_together),
        ("PS to pictures", demux),
        ("pictures to fragments", fragments),
        (f"TCP to fragments, reads of {read // 1024} KiB", lambda: whole(reads)),
        ("TCP to fragments, reads of 1460 B", lambda: whole(small_reads)),
        ("pictures to PS to RTP on TCP (a camera)", send),
        ("list the fragments of a file", lambda: scan(file)),
    ):
        took = median(rounds, work)
        base = base or took
        share = took / seconds * 100
        per_packet, per_picture = took / len(packets) * 1e6, took / len(units) * 1e6
        rows.append(
            Row(
                what=name,
                ours=f"{per_packet:.2f} us a packet, {per_picture:.1f} us a picture, {share:.3f} % of a core",
                ratio=f"{took / base:.1f} x the least",
                gate=gate,
            )
        )
    return rows


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=20, help="of stream per round")
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--read", type=int, default=65536, help="bytes a socket read brings")
    chosen = options.parse_args()
    print(table(run(seconds=chosen.seconds, rounds=chosen.rounds, read=chosen.read)))


if __name__ == "__main__":
    main()
