"""NAL units, parameter sets, key frames; FFmpeg's encoders make the streams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.kernel.errors import WireError
from anwang.wire import h26x
from anwang.wire.aac import AacConfig, is_adts, parse_adts
from anwang.wire.units import Codec, Unwrap
from tests.wire.scenes import footage, scene, tone


@pytest.mark.parametrize(
    ("codec", "b", "slices"),
    [(Codec.H264, 0, 1), (Codec.H264, 2, 1), (Codec.H264, 0, 4), (Codec.H265, 0, 1), (Codec.H265, 2, 1)],
)
def test_what_an_encoder_says_is_what_we_read(codec: Codec, b: int, slices: int) -> None:
    made = scene(codec, width=318, height=178, b=b, slices=slices)
    assert [h26x.is_key(codec, unit.data) for unit in made.video] == [unit.is_key for unit in made.video]
    first = made.video[0].data
    sets = h26x.parameter_sets(codec, h26x.nals(first))
    assert sets.is_complete
    assert len(list(sets)) == (2 if codec is Codec.H264 else 3)
    shape = sets.format()
    assert (shape.width, shape.height, shape.chroma_format, shape.depth_luma) == (318, 178, 1, 8)
    assert shape.reorder == (2 if b else 0)
    assert h26x.guess_codec(first) is codec
    assert h26x.starts_picture(codec, first[:8])
    assert h26x.has_picture(codec, first)
    assert shape.tick_90k == (3600 if codec is Codec.H264 else None)


def test_codec_strings() -> None:
    """RFC 6381, and ISO/IEC 14496-15 E.3 with its own example's shape."""
    high = h26x.parameter_sets(Codec.H264, h26x.nals(scene().video[0].data))
    assert high.format().codecs == "avc1." + high.sps[0][1:4].hex()
    main = h26x.parameter_sets(Codec.H265, h26x.nals(scene(Codec.H265).video[0].data))
    assert main.format().codecs == "hvc1.1.6.L60.90"


def test_real_footage_has_its_size() -> None:
    made = footage()
    shape = h26x.parameter_sets(Codec.H264, h26x.nals(made.video[0].data)).format()
    assert shape.width >= 320
    assert made.video[0].is_key
    assert [h26x.is_key(Codec.H264, unit.data) for unit in made.video] == [unit.is_key for unit in made.video]


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_configuration_records_round_trip(codec: Codec) -> None:
    sets = h26x.parameter_sets(codec, h26x.nals(scene(codec).video[0].data))
    if codec is Codec.H264:
        record = h26x.avcc(sets)
        assert h26x.parse_avcc(record) == (sets, 4)
        assert record[:4] == b"\x01" + sets.sps[0][1:4]
    else:
        record = h26x.hvcc(sets)
        assert h26x.parse_hvcc(record) == (sets, 4)


def test_an_hvcc_needs_all_three_sets() -> None:
    sets = h26x.ParameterSets(codec=Codec.H265, sps=(b"\x42\x01",), pps=(b"\x44\x01",))
    with pytest.raises(WireError):
        h26x.hvcc(sets)


_NAL = st.binary(min_size=1, max_size=60).map(
    # what an encoder may write: no start code inside, no zero at the end
    lambda raw: raw.replace(b"\x00", b"\x10")
)


@given(st.lists(st.tuples(st.booleans(), _NAL), max_size=12), st.integers(0, 5))
def test_byte_streams_and_lengths_agree(units: list[tuple[bool, bytes]], zeros: int) -> None:
    stream = b"".join((b"\x00" if long else b"") + h26x.START + nal for long, nal in units) + bytes(zeros)
    assert h26x.nals(stream) == [nal for _, nal in units]
    assert h26x.nals(h26x.to_annexb(h26x.to_lengths(stream))) == [nal for _, nal in units]


def test_lengths_that_lead_outside_are_refused() -> None:
    with pytest.raises(WireError, match="outside"):
        h26x.to_annexb(b"\x00\x00\x00\x05abc")


def test_too_many_units_are_refused() -> None:
    with pytest.raises(WireError, match="more than"):
        h26x.nal_spans((h26x.START + b"\x65") * (h26x.MAX_NALS + 1))


@given(st.binary(max_size=300))
def test_random_bytes_do_no_worse_than_a_wire_error(data: bytes) -> None:
    for codec in (Codec.H264, Codec.H265):
        h26x.is_key(codec, data)
        h26x.has_picture(codec, data)
        h26x.starts_picture(codec, data)
        h26x.guess_codec(data)
        for head in (b"", b"\x67\x64", b"\x67\x42", b"\x42\x01", b"\x40\x01"):
            for parse in (h26x.parse_h264_sps, h26x.parse_h265_sps, h26x.parse_h265_vps_tick):
                try:
                    parse(head + data)
                except WireError:
                    continue
    for parse_record in (h26x.parse_avcc, h26x.parse_hvcc):
        try:
            parse_record(b"\x01" + data)
        except WireError:
            continue


@given(st.data())
def test_damaged_parameter_sets_do_no_worse_than_a_wire_error(data: st.DataObject) -> None:
    codec = data.draw(st.sampled_from([Codec.H264, Codec.H265]))
    sets = h26x.parameter_sets(codec, h26x.nals(scene(codec).video[0].data))
    damaged = bytearray(sets.sps[0])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(1, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        shape = h26x.ParameterSets(codec=codec, sps=(bytes(damaged),), pps=sets.pps, vps=sets.vps).format()
    except WireError:
        return
    assert 0 < shape.width <= h26x.MAX_SIDE
    assert 0 < shape.height <= h26x.MAX_SIDE


@given(st.integers(0, 2**40), st.lists(st.integers(-(2**30), 2**30), max_size=30))
def test_unwrapping_follows_steps_of_less_than_half(start: int, steps: list[int]) -> None:
    unwrap, value = Unwrap(32), start & 0xFFFFFFFF
    assert unwrap.next(value) == value
    for step in steps:
        value += step
        assert unwrap.near(value & 0xFFFFFFFF) == value
        assert unwrap.next(value & 0xFFFFFFFF) == value


def test_adts_frames_and_their_configuration() -> None:
    stream = b"".join(unit.data for unit in tone(90000))
    config, frames, used = parse_adts(stream)
    assert config == AacConfig.lc(16000, 1)
    assert config.codecs == "mp4a.40.2"
    assert AacConfig.parse(config.asc) == config
    assert used == len(stream)
    assert b"".join(config.adts(len(frame)) + frame for frame in frames) == stream
    assert is_adts(stream)
    _, fewer, used = parse_adts(stream[:-1])
    assert len(fewer) == len(frames) - 1
    assert parse_adts(stream[used : used + 6]) == (None, [], 0)


def test_silence_in_g711_is_not_aac() -> None:
    assert not is_adts(b"\xff" * 320)
    assert not is_adts(b"\xff\xf1" * 160)


@given(st.binary(max_size=100))
def test_random_bytes_as_aac(data: bytes) -> None:
    is_adts(data)
    for head in (b"", b"\xff\xf1", b"\xff\xf9\x50"):
        try:
            _, _, used = parse_adts(head + data)
        except WireError:
            continue
        assert used <= len(head + data)
    try:
        AacConfig.parse(data)
    except WireError:
        return
