"""RTP payloads of H.264, H.265 and AAC: vectors of the ONVIF and RTSP sheet (§15), round trips, loss, nonsense."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anwang.kernel.errors import WireError
from anwang.wire import h26x
from anwang.wire.aac import AacConfig, parse_adts
from anwang.wire.mpegps import MARKER_TRUST
from anwang.wire.payloads import AacUnpacker, SoundUnpacker, VideoUnpacker, pack_aac, pack_video
from anwang.wire.rtp import Packet
from anwang.wire.units import Codec, Unit
from tests.wire.scenes import STEP, decode_units, scene, tone


def packets(units: list[Unit], size: int = 1400, start: int = 0) -> list[list[Packet]]:
    """Per unit."""
    number, out = itertools.count(), []
    for unit in units:
        stamp = (start + (unit.pts_90k or 0)) % 2**32
        out.append(
            [
                Packet(payload, stamp, next(number) & 0xFFFF, last, 96, 1)
                for payload, last in pack_video(unit.codec, unit.data, size)
            ]
        )
    return out


def feed(unpacker: VideoUnpacker, groups: list[list[Packet]]) -> list[Unit]:
    return [unit for group in groups for packet in group for unit in unpacker.feed(packet)] + unpacker.flush()


def body(unit: Unit) -> list[bytes]:
    delimiter = 9 if unit.codec is Codec.H264 else 35
    return [nal for nal in h26x.nals(unit.data) if h26x.nal_type(unit.codec, nal[0]) != delimiter]


def test_vectors_15() -> None:
    first, *_, last = [payload for payload, _ in pack_video(Codec.H264, b"\x00\x00\x01\x65" + b"\x88" * 3000)]
    assert first[:2] == bytes.fromhex("7c85")
    assert last[:2] == bytes.fromhex("7c45")
    first, *_ = [payload for payload, _ in pack_video(Codec.H265, b"\x00\x00\x01\x26\x01" + b"\x88" * 3000)]
    assert first[:3] == bytes.fromhex("620193")
    unpacker = VideoUnpacker(Codec.H265)
    unpacker.feed(Packet(bytes.fromhex("620193aabb"), 0, 0, False, 96, 1))
    unpacker.feed(Packet(bytes.fromhex("620153cc"), 0, 1, True, 96, 1))
    assert unpacker.flush()[0].data == bytes.fromhex("000000012601aabbcc")


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
@pytest.mark.parametrize("size", [1400, 50])
def test_what_is_packed_comes_back(codec: Codec, size: int) -> None:
    made = scene(codec, b=2)
    unpacker = VideoUnpacker(codec)
    groups = packets(made.video, size, start=2**32 - 90_000)
    assert all(len(packet.payload) <= size for group in groups for packet in group)
    units = feed(unpacker, groups)
    assert [body(unit) for unit in units] == [body(unit) for unit in made.video]
    offset = (units[0].pts_90k or 0) - (made.video[0].pts_90k or 0)
    assert [(unit.pts_90k or 0) - offset for unit in units] == [unit.pts_90k for unit in made.video]
    assert [md5 for _, md5 in decode_units(units)] == [md5 for _, md5 in made.pictures]
    assert unpacker.seen.malformed == unpacker.seen.dropped_units == 0


def test_aggregation_packets() -> None:
    made = scene().video[:2]
    sets, *rest = body(made[0]), body(made[1])
    stap = b"\x78" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in sets if len(nal) < 1000)
    unpacker = VideoUnpacker(Codec.H264)
    unpacker.feed(Packet(stap, 0, 0, True, 96, 1))
    assert body(unpacker.flush()[0]) == [nal for nal in sets if len(nal) < 1000]
    assert rest
    made = scene(Codec.H265).video[:1]
    small = [nal for nal in body(made[0]) if len(nal) < 100]
    ap = b"\x60\x01" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in small)
    unpacker = VideoUnpacker(Codec.H265)
    unpacker.feed(Packet(ap, 0, 0, True, 98, 1))
    assert body(unpacker.flush()[0]) == small


@pytest.mark.parametrize("habit", ["right", "never", "always"])
def test_markers_as_cameras_set_them(habit: str) -> None:
    made = scene()
    groups = packets(made.video, 200)
    if habit != "right":
        groups = [[packet._replace(marker=habit == "always") for packet in group] for group in groups]
    unpacker = VideoUnpacker(Codec.H264)
    units = feed(unpacker, groups)
    assert [body(unit) for unit in units] == [body(unit) for unit in made.video]
    at_once = VideoUnpacker(Codec.H264)
    delays = [len([unit for packet in group for unit in at_once.feed(packet)]) for group in groups]
    assert delays[0] == 0
    assert (2 in delays) == (habit == "right")
    if habit == "right":
        assert delays.index(2) == MARKER_TRUST


def test_a_marker_that_begins_to_lie() -> None:
    """On every slice, where it stood on the last before."""
    made = scene(slices=4)
    groups = packets(made.video)
    lying = [[packet._replace(marker=True) if n > 20 else packet for packet in group] for n, group in enumerate(groups)]
    unpacker = VideoUnpacker(Codec.H264)
    units = feed(unpacker, lying)
    assert unpacker.seen.late
    assert [body(unit) for unit in units][-20:] == [body(unit) for unit in made.video][-20:]


def test_loss_costs_the_unit_it_hit() -> None:
    made = scene()
    groups = packets(made.video, 200)
    assert len(groups[0]) > 3
    hit = 25
    assert len(groups[hit]) > 3
    del groups[hit][2]
    groups[hit][2] = groups[hit][2]._replace(lost=1)
    unpacker = VideoUnpacker(Codec.H264)
    units = feed(unpacker, groups)
    assert [body(unit) for unit in units] == [body(unit) for n, unit in enumerate(made.video) if n != hit]
    assert [n for n, unit in enumerate(units) if unit.follows_loss] == [hit]
    assert unpacker.seen.dropped_units == 1


def test_parameter_sets_of_the_description_stand_in() -> None:
    made = scene()
    sets = h26x.parameter_sets(Codec.H264, h26x.nals(made.video[0].data))
    groups = packets(made.video)
    groups[0] = [packet for packet in groups[0] if packet.payload[0] & 31 not in (7, 8)]
    units = feed(VideoUnpacker(Codec.H264, list(sets)), groups)
    assert [md5 for _, md5 in decode_units(units)] == [md5 for _, md5 in made.pictures]
    assert units[25].data.count(sets.sps[0]) == 1


@settings(max_examples=200)
@given(st.data())
def test_random_packets(data: st.DataObject) -> None:
    codec = data.draw(st.sampled_from([Codec.H264, Codec.H265]))
    unpacker = VideoUnpacker(codec)
    heads = st.sampled_from(
        [b"", b"\x7c\x85", b"\x7c\x45", b"\x78", b"\x62\x01\x93", b"\x62\x01\x53", b"\x60\x01", b"\x65"]
    )
    for n in range(data.draw(st.integers(1, 20))):
        payload = data.draw(heads) + data.draw(st.binary(max_size=20))
        stamp = data.draw(st.integers(0, 3)) * STEP
        unpacker.feed(Packet(payload, stamp, n, data.draw(st.booleans()), 96, 1, data.draw(st.integers(0, 1))))
        AacUnpacker(AacConfig.lc(8000, 1), 8000).feed(Packet(payload, stamp, n, True, 97, 1))
    unpacker.flush()


def test_aac() -> None:
    made = tone(90_000)
    raw = [parse_adts(unit.data)[1][0] for unit in made]
    config = parse_adts(made[0].data)[0]
    assert config
    unpacker = AacUnpacker(config, 16000)
    units = []
    for n in range(0, len(raw), 3):
        units += unpacker.feed(Packet(pack_aac(raw[n : n + 3]), 2**32 - 1024 + n * 1024 & 0xFFFFFFFF, n, True, 97, 1))
    assert b"".join(unit.data for unit in units) == b"".join(unit.data for unit in made)
    assert [after.pts_90k - before.pts_90k for before, after in itertools.pairwise(units)] == [3 * 5760] * (
        len(units) - 1
    )
    with pytest.raises(WireError):
        pack_aac([bytes(9000)])


def test_an_aac_frame_over_several_packets() -> None:
    unpacker = AacUnpacker(AacConfig.lc(16000, 1), 16000)
    frame = bytes(range(200))
    head = b"\x00\x10" + (200 << 3).to_bytes(2, "big")
    assert unpacker.feed(Packet(head + frame[:90], 5, 0, False, 97, 1)) == []
    (unit,) = unpacker.feed(Packet(head + frame[90:], 5, 1, True, 97, 1))
    assert unit.data[7:] == frame


def test_g711() -> None:
    unpacker = SoundUnpacker(Codec.G711A)
    units = [unit for n in range(3) for unit in unpacker.feed(Packet(bytes(160), n * 160, n, False, 8, 1))]
    assert [unit.pts_90k for unit in units] == [0, 1800, 3600]
    assert unpacker.feed(Packet(b"", 0, 0, False, 8, 1)) == []
