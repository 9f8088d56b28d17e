"""Program streams: vectors of the GB/T 28181 sheet (§21), its parser rules (§14.3), FFmpeg both ways, damage."""

from __future__ import annotations

import io
import itertools
import random
from fractions import Fraction

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anwang.wire import mpegps
from anwang.wire.mpegps import Demuxer, Muxer, Payload, pes, sniff
from anwang.wire.rtp import Packetiser, TcpFraming
from anwang.wire.units import Codec, Kind, Unit
from tests.wire.scenes import STEP, Scene, decode_file, decode_units, footage, scene, tone

PACK = b"\x00\x00\x01\xba"


def mux(made: Scene, audio: Codec | None = None) -> list[bytes]:
    """One pack per unit."""
    muxer = Muxer(video=made.video[0].codec, audio=audio)
    return [muxer.unit(unit) for unit in made.units]


def read(stream: bytes, cut: int | None = None) -> tuple[list[Unit], Demuxer]:
    demuxer = Demuxer()
    step = cut or max(1, len(stream))
    found = [unit for at in range(0, len(stream), step) for unit in demuxer.feed(stream[at : at + step])]
    return found + demuxer.flush(), demuxer


def essence(units: list[Unit], kind: Kind = Kind.VIDEO) -> list[tuple[bytes, int | None, bool]]:
    return [(unit.data, unit.pts_90k, unit.is_key) for unit in units if unit.kind is kind]


# -- §21


def test_vectors_21() -> None:
    assert mpegps.pack_header(90000) == bytes.fromhex("000001ba44001 6fc8401005f6bf8".replace(" ", ""))
    assert mpegps.system_header() == bytes.fromhex("000001bb000c802fb504e1ffe0e080c0c020")
    assert mpegps.stream_map(Codec.H264, Codec.G711A) == bytes.fromhex(
        "000001bc0012e0ff00000008 1be00000 90c00000 fedfb1d7"
    )
    assert mpegps.stream_map(Codec.H265, Codec.AAC) == bytes.fromhex(
        "000001bc0012e0ff00000008 24e00000 0fc00000 eac5e41d"
    )
    assert pes(0xE0, bytes(100), 90000).startswith(bytes.fromhex("000001e0006c8080052100 05bf21"))


# -- with FFmpeg


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
@pytest.mark.parametrize("b", [0, 2])
def test_what_we_mux_comes_back(codec: Codec, b: int) -> None:
    made = scene(codec, b=b, sound=True)
    units, demuxer = read(b"".join(mux(made, Codec.AAC)))
    assert essence(units) == essence(made.units)
    assert [
        unit.dts_90k if unit.dts_90k is not None else unit.pts_90k for unit in units if unit.kind is Kind.VIDEO
    ] == [unit.dts_90k for unit in made.video]
    assert essence(units, Kind.AUDIO) == essence(made.units, Kind.AUDIO)
    assert {unit.codec for unit in units} == {codec, Codec.AAC}
    assert demuxer.seen.skipped_bytes == demuxer.seen.dropped_units == 0


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_ffmpeg_reads_what_we_mux(codec: Codec) -> None:
    made = scene(codec, b=2)
    found = decode_file(b"".join(mux(made)), "mpeg")
    first = found[0][0] - made.pictures[0][0]
    assert [(pts - first, md5) for pts, md5 in found] == made.pictures


@pytest.mark.parametrize("format", ["vob", "mpeg", "svcd"])
@pytest.mark.parametrize("b", [0, 2])
@pytest.mark.parametrize("cut", [None, 700])
def test_we_read_what_ffmpeg_muxes(format: str, b: int, cut: int | None) -> None:
    """Frames that begin and end anywhere in packs of 2 KiB, MPEG-2 and MPEG-1 headers, no PSM."""
    made = scene(b=b, frames=40)
    out = io.BytesIO()
    with av.open(out, "w", format=format) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        container.start_encoding()
        for unit in made.video:
            packet = av.Packet(unit.data)
            packet.pts, packet.dts, packet.time_base = unit.pts_90k, unit.dts_90k, Fraction(1, 90000)
            packet.is_keyframe, packet.stream = unit.is_key, stream
            container.mux(packet)
    units, demuxer = read(out.getvalue(), cut)
    assert decode_units(units)
    assert [md5 for _, md5 in decode_units(units)] == [md5 for _, md5 in made.pictures]
    assert [unit.is_key for unit in units] == [unit.is_key for unit in made.video]
    stamps = [(unit.pts_90k, wanted.pts_90k) for unit, wanted in zip(units, made.video, strict=True)]
    offset = (stamps[0][0] or 0) - (stamps[0][1] or 0)
    told = [(found or 0) - offset == wanted for found, wanted in stamps if found is not None]
    # small frames share a PES, and only the first of them has a timestamp
    assert len(told) >= 10
    assert all(told)
    assert demuxer.seen.dropped_units == 0


def test_real_footage() -> None:
    made = footage()
    units, _ = read(b"".join(mux(made, Codec.AAC)), 1400)
    assert essence(units) == essence(made.units)
    assert essence(units, Kind.AUDIO) == essence(made.units, Kind.AUDIO)


# -- §14.3


def plain(count: int = 10, size: int = 300) -> list[Unit]:
    """Frames that need no encoder."""
    noise = random.Random(1)
    units = []
    for n in range(count):
        body = bytes(noise.randrange(1, 256) for _ in range(size))
        head = b"\x00\x00\x00\x01\x67\x64\x00\x0c\x00\x00\x00\x01\x68\xee\x3c\x00\x00\x01\x65\x88" if n % 5 == 0 else (
            b"\x00\x00\x00\x01\x41\x9a"
        )  # fmt: skip
        units.append(
            Unit(kind=Kind.VIDEO, codec=Codec.H264, data=head + body, pts_90k=90000 + n * STEP, is_key=n % 5 == 0)
        )
    return units


def wrap(unit: Unit, *, pts: int | None = -1, parts: int = 1, prelude: bytes = b"", length: bool = True) -> bytes:
    """A pack of one frame, in several PES where wanted."""
    stamp = unit.pts_90k if pts == -1 else pts
    size = -(-len(unit.data) // parts)
    out = mpegps.pack_header(unit.pts_90k or 0) + prelude
    for n in range(parts):
        one = pes(0xE0, unit.data[n * size : (n + 1) * size], stamp if n == 0 else None)
        out += one if length else one[:4] + b"\x00\x00" + one[6:]
    return out


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 13, 188, 1400])
def test_rule_10_split_at_every_boundary(cut: int) -> None:
    made = plain()
    units, demuxer = read(b"".join(map(wrap, made)), cut)
    assert essence(units) == essence(made)
    assert demuxer.seen.skipped_bytes == 0


def test_rule_1_start_codes_inside_the_payload_are_not_followed() -> None:
    """Private data with a pack start inside is skipped by its length."""
    made = plain(3)
    trap = b"\x00\x00\x01\xbd\x00\x20" + PACK * 8
    units, _ = read(b"".join(trap.join([wrap(unit), b""]) for unit in made))
    assert essence(units) == essence(made)


@pytest.mark.parametrize("cut", [None, 5, 100])
def test_rule_2_pes_without_length(cut: int | None) -> None:
    made = plain()
    units, _ = read(b"".join(wrap(unit, length=False) for unit in made), cut)
    assert essence(units) == essence(made)


def test_rule_3_frames_of_more_than_one_pes() -> None:
    made = [unit._replace(data=unit.data + b"\x55" * 150_000) for unit in plain(3)]
    packs = [wrap(unit) for unit in made]
    assert all(pack.count(b"\x00\x00\x01\xe0") == 3 for pack in packs)
    units, _ = read(b"".join(packs), 1400)
    assert essence(units) == essence(made)


def test_rule_4_a_pes_longer_than_its_data() -> None:
    """Told by nobody: the bytes are simply missing, at a packet's edge and inside."""
    made = plain(12)
    packs = [wrap(unit) for unit in made]
    packs[3] = packs[3][:-50]
    for together in (False, True):
        demuxer = Demuxer()
        units = demuxer.feed(b"".join(packs)) if together else [u for pack in packs for u in demuxer.feed(pack)]
        units += demuxer.flush()
        assert essence(units) == essence(made[:3] + made[4:])
        assert [unit.follows_loss for unit in units] == [False] * 3 + [True] + [False] * 7
        assert demuxer.seen.dropped_units == 1
        assert demuxer.seen.resyncs == 1


def test_rule_4_reset_after_16_failures() -> None:
    demuxer = Demuxer()
    for _ in range(40):
        demuxer.feed(mpegps.pack_header(0) + b"garbage")
    assert demuxer.seen.resets == 2
    made = plain()
    units = [unit for pack in map(wrap, made) for unit in demuxer.feed(pack)] + demuxer.flush()
    assert essence(units) == essence(made)


def test_rule_5_parameter_sets_in_pes_of_their_own() -> None:
    unit = plain(1)[0]
    sps, pps, idr = unit.data[:8], unit.data[8:15], unit.data[15:]
    stream = mpegps.pack_header(0) + pes(0xE0, sps, 90000) + pes(0xE0, pps, 90000) + pes(0xE0, idr, 90000)
    apart = b"".join(mpegps.pack_header(0) + pes(0xE0, part, 90000) for part in (sps, pps, idr))
    unstamped = mpegps.pack_header(0) + pes(0xE0, sps, None) + pes(0xE0, pps, None) + pes(0xE0, idr, 90000)
    for one in (stream, apart, unstamped):
        units, _ = read(one + wrap(plain(2)[1]))
        assert essence(units) == [(unit.data, 90000, True), *essence(plain(2)[1:])]


@pytest.mark.parametrize("same_pack", [False, True])
def test_rule_5_slices_in_pes_of_their_own(same_pack: bool) -> None:
    """Huawei: never one unit per PES."""
    made = scene(slices=4, frames=30)
    stream = b""
    for unit in made.video:
        slices = unit.data.split(b"\x00\x00\x01")
        stream += mpegps.pack_header(unit.pts_90k or 0)
        first = True
        for part in slices[1:]:
            if not first and not same_pack:
                stream += mpegps.pack_header(unit.pts_90k or 0)
            stream += pes(0xE0, b"\x00\x00\x01" + part, unit.pts_90k)
            first = False
    units, _ = read(stream, 1400)
    assert [unit.pts_90k for unit in units] == [unit.pts_90k for unit in made.video]
    assert decode_units(units) == made.pictures


def test_rule_6_without_a_psm_the_codec_is_guessed() -> None:
    for codec in (Codec.H264, Codec.H265):
        made = scene(codec, frames=30)
        units, demuxer = read(b"".join(wrap(unit) for unit in made.video))
        assert {unit.codec for unit in units} == {codec}
        assert demuxer.video_codec is codec
        wrong = mpegps.stream_map(Codec.H265 if codec is Codec.H264 else Codec.H264, None)
        units, _ = read(b"".join(wrap(unit, prelude=wrong if unit.is_key else b"") for unit in made.video))
        assert essence(units) == essence(made.video)


def test_rule_6_aac_labelled_as_g711() -> None:
    """Dahua."""
    muxer = Muxer(audio=Codec.G711A)
    made = plain(5)
    sound = tone(90000)
    stream = muxer.video(made[0].data, pts_90k=0, is_key=True)
    stream += b"".join(muxer.audio(unit.data, pts_90k=unit.pts_90k or 0) for unit in sound)
    units, demuxer = read(stream)
    assert essence(units, Kind.AUDIO) == essence(sound, Kind.AUDIO)
    assert demuxer.audio_codec is Codec.AAC
    silence = b"".join(muxer.audio(b"\xff\xf1" * 160, pts_90k=n * 1800) for n in range(5))
    units, demuxer = read(muxer.video(made[0].data, pts_90k=0, is_key=True) + silence)
    assert {unit.codec for unit in units if unit.kind is Kind.AUDIO} == {Codec.G711A}


def test_aac_frames_split_over_pes_are_put_together() -> None:
    sound = tone(90000)
    data = b"".join(unit.data for unit in sound)
    muxer = Muxer(audio=Codec.AAC)
    stream = muxer.video(plain(1)[0].data, pts_90k=0, is_key=True)
    stream += b"".join(muxer.audio(data[at : at + 333], pts_90k=at) for at in range(0, len(data), 333))
    units, demuxer = read(stream)
    assert b"".join(unit.data for unit in units if unit.kind is Kind.AUDIO) == data
    assert demuxer.seen.skipped_bytes == 0


def test_rule_7_a_new_psm_changes_the_codec() -> None:
    first, second = scene(frames=10), scene(Codec.H265, frames=10)
    later = [unit._replace(pts_90k=(unit.pts_90k or 0) + 10 * STEP, dts_90k=None) for unit in second.video]
    stream = b"".join(map(Muxer(video=Codec.H264).unit, first.video))
    stream += b"".join(map(Muxer(video=Codec.H265).unit, later))
    units, _ = read(stream)
    assert [unit.codec for unit in units] == [Codec.H264] * 10 + [Codec.H265] * 10


@pytest.mark.parametrize("pts", [None, 12345])
def test_rule_8_a_missing_or_constant_pts_is_replaced_by_rtp_time(pts: int | None) -> None:
    made, demuxer = plain(), Demuxer()
    units = []
    for n, unit in enumerate(made):
        units += demuxer.feed(wrap(unit, pts=pts, parts=2), (2**32 - 5 * STEP + n * STEP) % 2**32)
    units += demuxer.flush()
    assert [unit.data for unit in units] == [unit.data for unit in made]
    stamps = [unit.pts_90k or 0 for unit in units]
    assert [b - a for a, b in itertools.pairwise(stamps)] == [STEP] * 9


@pytest.mark.parametrize("bits", [32, 33])
def test_rule_8_wraps_are_followed(bits: int) -> None:
    made = [unit._replace(pts_90k=(2**bits - 4 * STEP + n * STEP) % 2**bits) for n, unit in enumerate(plain())]
    units, demuxer = read(b"".join(map(wrap, made)))
    stamps = [unit.pts_90k or 0 for unit in units]
    assert [b - a for a, b in itertools.pairwise(stamps)] == [STEP] * 9
    assert demuxer.seen.jumps == 0


def test_rule_8_a_jump_back_is_told() -> None:
    made = [unit._replace(pts_90k=900_000 + n * STEP - (800_000 if n > 4 else 0)) for n, unit in enumerate(plain())]
    units, demuxer = read(b"".join(map(wrap, made)))
    assert [unit.is_jump for unit in units] == [False] * 5 + [True] + [False] * 4
    assert demuxer.seen.jumps == 1


def test_rule_9_key_frames_without_system_header() -> None:
    made = scene(Codec.H265, frames=30)
    units, _ = read(b"".join(wrap(unit) for unit in made.video))
    assert essence(units) == essence(made.video)


def test_rule_11_what_is_no_program_stream() -> None:
    assert sniff(PACK + bytes(20), 96) is Payload.PS
    assert sniff(pes(0xE0, b"abc", 1), 96) is Payload.PS
    assert sniff((b"\x47" + bytes(187)) * 7, 33) is Payload.TS
    assert sniff(bytes(160), 8) is Payload.G711A
    assert sniff(bytes(160), 0) is Payload.G711U
    assert sniff(b"\x67\x64\x00\x0c", 98) is Payload.H264
    assert sniff(b"\x7c\x85\x88", 98) is Payload.H264
    assert sniff(b"\x40\x01\x0c", 100) is Payload.H265
    assert sniff(b"\x62\x01\x93", 100) is Payload.H265
    assert sniff(b"\x12\x34", 96) is Payload.UNKNOWN
    assert sniff(b"", 96) is Payload.UNKNOWN


def test_rule_12_a_frame_without_end_is_dropped() -> None:
    demuxer = Demuxer()
    made = plain()
    demuxer.feed(wrap(made[0]))
    for _ in range(200):
        demuxer.feed(pes(0xE0, b"\x55" * 65000, None))
    assert demuxer.seen.oversize_units >= 1
    units = [unit for pack in map(wrap, made[1:]) for unit in demuxer.feed(pack)] + demuxer.flush()
    assert essence(units)[-8:] == essence(made[2:])
    endless = Demuxer()
    endless.feed(wrap(made[0], length=False))
    for _ in range(200):
        assert endless.feed(b"\x55" * 65000) == []
    assert endless.seen.oversize_units == 1


# -- markers


def over_rtp(
    packs: list[bytes], stamps: list[int], *, drop: frozenset[int] = frozenset()
) -> tuple[list[list[Unit]], Demuxer]:
    """Units per frame fed, through RTP on TCP."""
    cutter, framing, demuxer = Packetiser(ssrc=1), TcpFraming(), Demuxer()
    count, out = 0, []
    for pack, stamp in zip(packs, stamps, strict=True):
        got: list[Unit] = []
        for packet in cutter.split(pack, stamp):
            count += 1
            if count in drop:
                continue
            for one in framing.feed(len(packet).to_bytes(2, "big") + packet):
                got += demuxer.feed(one.payload, one.timestamp, one.marker, one.lost)
        out.append(got)
    return out, demuxer


def test_markers_are_believed_once_they_proved_right() -> None:
    made = plain(30, 4000)
    out, demuxer = over_rtp([wrap(unit) for unit in made], [n * STEP for n in range(30)])
    assert [len(got) for got in out] == [0] + [1] * (mpegps.MARKER_TRUST - 1) + [2] + [1] * (29 - mpegps.MARKER_TRUST)
    assert essence([unit for got in out for unit in got] + demuxer.flush()) == essence(made)


def test_a_marker_that_lies_is_never_believed_again() -> None:
    made = plain(40, 3000)
    packs = [wrap(unit) for unit in made]
    demuxer, units, cutter = Demuxer(), [], Packetiser(ssrc=1)
    from anwang.wire import rtp

    for n, unit in enumerate(made):
        half = len(unit.data) // 2
        pieces = [packs[n]]
        if n >= 20:  # from here on two PES a frame, each with a marker
            pieces = [
                mpegps.pack_header(0) + pes(0xE0, unit.data[:half], unit.pts_90k), pes(0xE0, unit.data[half:], None),
            ]  # fmt: skip
        for piece in pieces:
            for packet in map(rtp.parse, cutter.split(piece, n * STEP)):
                units += demuxer.feed(packet.payload, packet.timestamp, packet.marker)
    units += demuxer.flush()
    assert demuxer.seen.late_pes == 1
    assert essence(units)[21:] == essence(made)[21:]
    assert units[21].follows_loss


def test_loss_costs_the_frames_it_hit() -> None:
    made = plain(30, 4000)
    out, demuxer = over_rtp([wrap(unit) for unit in made], [n * STEP for n in range(30)], drop=frozenset({20, 21}))
    units = [unit for got in out for unit in got] + demuxer.flush()
    hit = {(20 - 1) // 3, (21 - 1) // 3}
    assert essence(units) == essence([unit for n, unit in enumerate(made) if n not in hit])
    assert [unit.follows_loss for unit in units].count(True) == 1


@settings(max_examples=60)
@given(st.data())
def test_any_loss_never_makes_a_wrong_frame(data: st.DataObject) -> None:
    """What comes out after loss that RTP tells of is a subsequence of what went in."""
    made = plain(20, data.draw(st.integers(50, 4000)))
    drop = frozenset(data.draw(st.sets(st.integers(1, 60), max_size=15)))
    parts = data.draw(st.integers(1, 3))
    out, demuxer = over_rtp([wrap(unit, parts=parts) for unit in made], [n * STEP for n in range(20)], drop=drop)
    found = [unit.data for got in out for unit in got] + [unit.data for unit in demuxer.flush()]
    sent = iter([unit.data for unit in made])
    assert all(one in sent for one in found)
    assert len(found) >= 20 - 2 * len(drop)


# -- damage


@settings(max_examples=150)
@given(st.data())
def test_damage_is_survived_and_left_behind(data: st.DataObject) -> None:
    made = plain(6)
    stream = bytearray(b"".join(map(wrap, made)))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(stream) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                stream[at] = data.draw(st.integers(0, 255))
            case 1:
                del stream[at : at + data.draw(st.integers(1, 200))]
            case _:
                stream[at:at] = data.draw(st.binary(max_size=50))
        if not stream:
            return
    demuxer = Demuxer()
    cut = data.draw(st.integers(1, 2000))
    for at in range(0, len(stream), cut):
        demuxer.feed(bytes(stream[at : at + cut]))
    healthy = plain(40)[6:]
    units = [unit for pack in map(wrap, healthy) for unit in demuxer.feed(pack)] + demuxer.flush()
    assert [unit.data for unit in units[-3:]] == [unit.data for unit in healthy[-3:]]
    # a damaged timestamp may have been taken for a wrap of the clock
    assert [(unit.pts_90k or 0) % 2**32 for unit in units[-3:]] == [unit.pts_90k for unit in healthy[-3:]]


_PIECES = st.sampled_from(
    [PACK, b"\x00\x00\x01\xe0", b"\x00\x00\x01\xc0", b"\x00\x00\x01\xbc", b"\x00\x00\x01\xbb", b"\x00\x00\x01\xb9",
     b"\x00\x00\x01\xbd", b"\x00\x00\x01\x65\x88", b"\x00\x00\x00\x01\x41\x9a", b"\x80\x80\x05", b"\x00\x00",
     b"\xff\xf1", mpegps.pack_header(5), mpegps.stream_map(Codec.H264, Codec.AAC)]
)  # fmt: skip


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.lists(_PIECES | st.binary(max_size=30), max_size=12), st.booleans(), st.booleans()), max_size=12
    )
)
def test_random_bytes(feeds: list[tuple[list[bytes], bool, bool]]) -> None:
    demuxer = Demuxer()
    size = 0
    for n, (pieces, marked, lost) in enumerate(feeds):
        data = b"".join(pieces)
        size += len(data)
        for unit in demuxer.feed(memoryview(data), n * STEP, marked, int(lost)):
            assert len(unit.data) <= size
    demuxer.flush()


def test_a_reset_forgets() -> None:
    made, demuxer = plain(), Demuxer()
    demuxer.feed(b"".join(map(wrap, made)))
    demuxer.reset()
    assert demuxer.flush() == []
    units = demuxer.feed(b"".join(map(wrap, made))) + demuxer.flush()
    assert essence(units) == essence(made)
    assert not any(unit.is_jump or unit.follows_loss for unit in units)
