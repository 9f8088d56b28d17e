"""Fragmented MP4: what we write FFmpeg reads picture for picture, what FFmpeg writes we read, damage costs only its
own.
"""

from __future__ import annotations

import io
import itertools
import struct
from fractions import Fraction

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anwang.kernel.errors import Invalid, WireError
from anwang.wire import fmp4, h26x
from anwang.wire.aac import AacConfig, parse_adts
from anwang.wire.fmp4 import Fragment, Fragmenter, Init, Run, Sample, Stored, scan
from anwang.wire.fmp4.write import _several
from anwang.wire.mpegps import Demuxer, Muxer
from anwang.wire.units import Codec, Kind, Unit
from tests.wire.scenes import STEP, Scene, decode_file, decode_sound, footage, scene, tone


def run(units: list[Unit], fragmenter: Fragmenter | None = None) -> list[Init | Fragment]:
    fragmenter = fragmenter or Fragmenter()
    return [one for unit in units for one in fragmenter.push(unit)] + fragmenter.flush()


def fragments(out: list[Init | Fragment]) -> list[Fragment]:
    return [one for one in out if isinstance(one, Fragment)]


def file(out: list[Init | Fragment]) -> bytes:
    return b"".join(one.data for one in out)


def pictures(found: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """From zero on."""
    return [(pts - found[0][0], md5) for pts, md5 in found]


def boxes(data: bytes) -> list[bytes]:
    return [one.kind for one in fmp4.boxes(data, 0, len(data))]


# -- FFmpeg reads what we write


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
@pytest.mark.parametrize("b", [0, 2])
@pytest.mark.parametrize("hold", [True, False])
def test_every_picture_at_its_time(codec: Codec, b: int, hold: bool) -> None:
    made = scene(codec, b=b, width=318, height=178)
    out = run(made.video, Fragmenter(hold=hold))
    first = out[0]
    assert isinstance(first, Init)
    assert (first.width, first.height) == (318, 178)
    assert first.mime == f'video/mp4; codecs="{first.codec}"'
    assert sum(isinstance(one, Init) for one in out) == 1
    assert pictures(decode_file(file(out))) == pictures(made.pictures)
    assert [one.is_key for one in fragments(out)] == [unit.is_key for unit in made.video]
    assert [one.decode_time_90k for one in fragments(out)] == [n * STEP for n in range(50)]
    assert {one.duration_90k for one in fragments(out)} == {STEP}


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_without_dts_the_decoding_order_is_found(codec: Codec) -> None:
    """Program streams of cameras give PTS only."""
    made = scene(codec, b=2)
    out = run([unit._replace(dts_90k=None) for unit in made.video])
    assert pictures(decode_file(file(out))) == pictures(made.pictures)
    times = [one.decode_time_90k for one in fragments(out)]
    assert times == sorted(set(times))


def test_b_frames_that_the_sps_kept_silent_about() -> None:
    made = scene(b=2)
    silent = []
    for unit in made.video:
        units = h26x.nals(unit.data)
        units = [_without_vui(nal) if nal[0] & 31 == 7 else nal for nal in units]
        data = b"".join(b"\x00\x00\x00\x01" + nal for nal in units)
        silent.append(unit._replace(data=data, dts_90k=None))
    shape = h26x.parameter_sets(Codec.H264, h26x.nals(silent[0].data)).format()
    assert shape.reorder is None
    out = run(silent)
    times = [one.decode_time_90k for one in fragments(out)]
    assert times == sorted(set(times))
    listed = scan(file(out))
    shown = sorted(one.decode_time_90k + one.runs[0].samples[0].cts for one in listed.fragments)
    assert [after - before for before, after in itertools.pairwise(shown)] == [STEP] * 49


def _without_vui(sps: bytes) -> bytes:
    """The SPS with vui_parameters_present_flag cleared: found by trying which bit ends it earlier."""
    shape = h26x.parse_h264_sps(sps)
    bits = int.from_bytes(h26x.unescape(sps), "big")
    total = 8 * len(h26x.unescape(sps))
    for at in range(60, total):
        if not bits >> (total - 1 - at) & 1:
            continue
        head = bits >> (total - 1 - at) & ~1
        text = f"{head:0{at + 1}b}1"
        text += "0" * (-len(text) % 8)
        short = int(text, 2).to_bytes(len(text) // 8, "big")
        try:
            found = h26x.parse_h264_sps(short)
        except WireError:
            continue
        if (found.width, found.height, found.reorder) == (shape.width, shape.height, None):
            return short
    raise AssertionError("no VUI flag found")


def test_sound_beside_the_picture() -> None:
    made = scene(sound=True)
    units = sorted(made.units, key=lambda unit: unit.pts_90k or 0)
    out = run(units, Fragmenter(audio=AacConfig.lc(16000, 1)))
    data = file(out)
    assert isinstance(out[0], Init)
    assert out[0].codec.endswith(",mp4a.40.2")
    assert pictures(decode_file(data)) == pictures(made.pictures)
    rate, samples, md5 = decode_sound(data)
    sound = b"".join(unit.data for unit in made.units if unit.kind is Kind.AUDIO)
    reference = decode_sound(sound)
    assert rate == 16000
    # the frame that came before the first picture was sent is not in the file
    frames = len([unit for unit in made.units if unit.kind is Kind.AUDIO])
    assert samples // 1024 in (frames, frames - 1)
    if samples == reference[1]:
        assert md5 == reference[2]
    listed = scan(data)
    times = [(one.decode_time, one.duration) for at in listed.fragments for one in at.runs if one.track == 2]
    assert all(start + length == following for (start, length), (following, _) in itertools.pairwise(times))


def test_real_footage() -> None:
    made = footage()
    sound = next(unit for unit in made.units if unit.kind is Kind.AUDIO)
    out = run(made.units, Fragmenter(audio=parse_adts(sound.data)[0]))
    assert [isinstance(one, Init) for one in out] == [True] + [False] * len(made.video)
    assert isinstance(out[0], Init)
    assert out[0].codec.startswith("avc1.")
    assert pictures(decode_file(file(out))) == pictures(made.pictures)


def test_sound_that_was_not_announced_begins_with_the_next_key_frame() -> None:
    made = scene(sound=True)
    out = run(made.units)
    inits = [n for n, one in enumerate(out) if isinstance(one, Init)]
    assert inits == [0, 26]
    assert pictures(decode_file(file(out[:26]))) == pictures(made.pictures[:25])
    assert pictures(decode_file(file(out[26:]))) == pictures(made.pictures[25:])
    assert decode_sound(file(out[26:]))[0] == 16000


def test_from_program_stream_to_file() -> None:
    made = scene(Codec.H265, sound=True)
    muxer, demuxer, fragmenter = Muxer(video=Codec.H265, audio=Codec.AAC), Demuxer(), Fragmenter()
    out: list[Init | Fragment] = []
    for unit in made.units:
        for found in demuxer.feed(muxer.unit(unit)):
            out += fragmenter.push(found)
    for found in demuxer.flush():
        out += fragmenter.push(found)
    out += fragmenter.flush()
    assert pictures(decode_file(file(out))) == pictures(made.pictures)


def test_a_picture_costs_at_most_110_bytes() -> None:
    made = scene()
    for one, unit in zip(fragments(run(made.video)), made.video, strict=True):
        nals = [nal for nal in h26x.nals(unit.data) if nal[0] & 31 not in (7, 8, 9)]
        assert len(one.data) - sum(4 + len(nal) for nal in nals) == (108 if unit.is_key else 104)


@given(
    sequence=st.integers(0, 2**32 - 1), time=st.integers(0, 2**60), duration=st.integers(0, 2**32 - 1),
    is_key=st.booleans(), data=st.binary(min_size=1, max_size=50), offset=st.integers(-(2**31), 2**31 - 1),
    shift=st.integers(-(2**60), 2**60),
)  # fmt: skip
def test_the_fast_way_writes_and_moves_as_the_general_one(
    sequence: int, time: int, duration: int, is_key: bool, data: bytes, offset: int, shift: int
) -> None:
    for track in (fmp4.VIDEO_TRACK, fmp4.AUDIO_TRACK):
        for each in (0, offset):
            runs = [Run(track, time, [Sample((data,), len(data), duration, is_key, each)])]
            made = fmp4.fragment(sequence, runs)
            assert made == _several(sequence, runs)
            if time + shift < 0:
                with pytest.raises(WireError):
                    fmp4.rebase(made, shift)
            else:
                head, rest = fmp4.rebase(made, shift)
                assert head + rest == fmp4.rebase_all(made, shift)


@given(
    sequence=st.integers(0, 2**32 - 1), time=st.integers(0, 2**60), duration=st.integers(0, 2**32 - 1),
    is_key=st.booleans(), data=st.binary(min_size=1, max_size=50),
)  # fmt: skip
def test_the_fast_way_reads_as_the_general_one(
    sequence: int, time: int, duration: int, is_key: bool, data: bytes
) -> None:
    made = fmp4.fragment(sequence, [Run(1, time, [Sample((data,), len(data), duration, is_key)])])
    movie = _movie()
    listed = scan(made, movie=movie)
    padded = fmp4.box(b"free") + made[:4] + made[4:]
    slow = scan(padded, movie=movie)
    assert len(listed.fragments) == len(slow.fragments) == 1
    at = listed.fragments[0]
    assert (at.decode_time_90k, at.duration_90k, at.is_key, at.size) == (time, duration, is_key, len(made))
    sample = at.runs[0].samples[0]
    assert made[sample.offset : sample.offset + sample.size] == data
    head = next(fmp4.boxes(made, 0, len(made)))
    from anwang.wire.fmp4 import read

    traf = list(fmp4.boxes(made, 8, head.end))[1]
    assert read._traf(made[: head.end], traf, 0, 0, movie)[0] == at.runs[0]


def _movie() -> fmp4.Movie:
    out = run(scene().video)
    return fmp4.read_movie(out[0].data)


# -- the clock


def stamps(*values: int | None, **options: bool) -> tuple[list[Fragment], Fragmenter]:
    """The fragments of pictures with these timestamps."""
    made = scene(frames=60, gop=5)
    fragmenter = Fragmenter(**options)
    units = [unit._replace(pts_90k=value, dts_90k=None) for unit, value in zip(made.video, values, strict=False)]
    return fragments(run(units, fragmenter)), fragmenter


def test_missing_timestamps_are_counted_on() -> None:
    found, _ = stamps(*[None] * 10)
    assert [one.decode_time_90k for one in found] == [n * STEP for n in range(10)]
    found, _ = stamps(0, 7200, None, None, 7200 * 4, 7200 * 5)
    assert [one.decode_time_90k for one in found] == [n * 7200 for n in range(6)]


def test_a_constant_timestamp_does_not_stop_the_clock() -> None:
    found, fragmenter = stamps(*[77] * 12)
    times = [one.decode_time_90k for one in found]
    assert all(after > before for before, after in itertools.pairwise(times))
    assert times[-1] >= 9 * STEP
    assert fragmenter.seen.splices


def test_a_single_duplicate_shifts_nothing() -> None:
    found, fragmenter = stamps(0, 3600, 3600, 7200, 10800)
    assert [one.decode_time_90k for one in found] == [0, 3600, 3601, 7200, 10800]
    assert not fragmenter.seen.splices


@pytest.mark.parametrize("jump", [-(10**9), -100_000, 50 * 90_000, 10**11])
def test_jumps_are_spliced_and_told(jump: int) -> None:
    start = 2 * 10**9
    found, fragmenter = stamps(*[start + n * STEP + (jump if n > 5 else 0) for n in range(12)])
    assert [one.decode_time_90k for one in found] == [n * STEP for n in range(12)]
    assert [one.is_discontinuity for one in found] == [n == 6 for n in range(12)]
    assert fragmenter.clock_offset_90k == -start - jump


def test_a_small_step_back_is_spliced_silently() -> None:
    found, _ = stamps(*[90_000 + n * STEP - (20_000 if n > 5 else 0) for n in range(12)])
    assert [one.decode_time_90k for one in found] == [n * STEP for n in range(12)]
    assert not any(one.is_discontinuity for one in found)


def test_a_pause_is_kept_as_it_was() -> None:
    found, _ = stamps(0, 3600, 3600 + 5 * 90_000, 7200 + 5 * 90_000)
    assert [one.duration_90k for one in found] == [3600, 450_000, 3600, 3600]


@settings(max_examples=80)
@given(st.lists(st.none() | st.integers(0, 2**33), min_size=1, max_size=40), st.booleans())
def test_the_clock_only_rises(values: list[int | None], hold: bool) -> None:
    found, _ = stamps(*values, hold=hold)
    times = [one.decode_time_90k for one in found]
    assert len(times) == len(values)
    assert times[0] == 0
    assert all(after > before for before, after in itertools.pairwise(times))
    assert all(0 < one.duration_90k <= 10 * 90_000 for one in found)
    if hold:
        assert all(
            one.decode_time_90k + one.duration_90k == after.decode_time_90k for one, after in itertools.pairwise(found)
        )


# -- key frames, parameter sets, loss


def test_nothing_before_a_key_frame() -> None:
    made = scene(gop=25)
    fragmenter = Fragmenter()
    out = run(made.video[3:], fragmenter)
    assert isinstance(out[0], Init)
    assert fragments(out)[0].is_key
    assert len(fragments(out)) == 25
    assert fragmenter.seen.waiting_for_key == 22


def test_a_key_frame_without_parameter_sets_is_no_beginning() -> None:
    made = scene(gop=25)
    bare = b"".join(h26x.START + nal for nal in h26x.nals(made.video[0].data) if nal[0] & 31 == 5)
    fragmenter = Fragmenter()
    out = run([made.video[0]._replace(data=bare), *made.video[1:]], fragmenter)
    assert fragments(out)[0].is_key
    assert len(fragments(out)) == 25


def test_other_parameters_begin_a_new_init() -> None:
    first, second = scene(frames=25), scene(frames=25, width=256, height=144)
    later = [u._replace(pts_90k=(u.pts_90k or 0) + 25 * STEP, dts_90k=None) for u in second.video]
    out = run([*first.video, *later])
    assert [type(one) for one in out] == [Init, *[Fragment] * 25, Init, *[Fragment] * 25]
    assert [(one.width, one.height) for one in out if isinstance(one, Init)] == [(320, 180), (256, 144)]
    assert [one.decode_time_90k for one in fragments(out)] == [n * STEP for n in range(50)]
    assert pictures(decode_file(file(out[26:]))) == pictures(second.pictures)


def test_another_codec_begins_a_new_init() -> None:
    first, second = scene(frames=25), scene(Codec.H265, frames=25)
    later = [u._replace(pts_90k=(u.pts_90k or 0) + 25 * STEP, dts_90k=None) for u in second.video]
    out = run([*first.video, *later])
    assert [one.codec[:4] for one in out if isinstance(one, Init)] == ["avc1", "hvc1"]
    assert pictures(decode_file(file(out[26:]))) == pictures(second.pictures)


def test_after_loss_it_waits_for_the_next_key_frame() -> None:
    made = scene(gop=10)
    units = [unit._replace(follows_loss=n == 4) for n, unit in enumerate(made.video) if n != 3]
    units = [unit._replace(follows_loss=unit is units[3]) for unit in units]
    damaged = [unit._replace(follows_loss=n == 3) for n, unit in enumerate([*made.video[:3], *made.video[4:]])]
    fragmenter = Fragmenter()
    found = fragments(run(damaged, fragmenter))
    assert [one.decode_time_90k // STEP for one in found] == [0, 1, 2, *range(10, 50)]
    assert found[2].duration_90k == 8 * STEP
    assert fragmenter.seen.skipped_after_loss == 6
    assert len(fragments(run(damaged, Fragmenter(skip_damaged=False)))) == 49


def test_what_is_no_video_is_counted() -> None:
    fragmenter = Fragmenter()
    assert fragmenter.push(Unit(kind=Kind.VIDEO, codec=Codec.SVAC, data=b"x", pts_90k=0)) == []
    assert fragmenter.push(Unit(kind=Kind.AUDIO, codec=Codec.G711A, data=b"x", pts_90k=0)) == []
    assert fragmenter.push(Unit(kind=Kind.AUDIO, codec=Codec.AAC, data=b"nonsense", pts_90k=0)) == []
    assert fragmenter.push(Unit(kind=Kind.VIDEO, codec=Codec.H264, data=b"", pts_90k=0, is_key=True)) == []
    assert (fragmenter.seen.unsupported, fragmenter.seen.malformed) == (2, 1)


@settings(max_examples=100)
@given(st.data())
def test_damaged_units_never_raise(data: st.DataObject) -> None:
    codec = data.draw(st.sampled_from([Codec.H264, Codec.H265]))
    made = scene(codec, gop=5, frames=12, sound=True)
    fragmenter = Fragmenter(skip_damaged=data.draw(st.booleans()))
    for unit in made.units:
        body = bytearray(unit.data)
        for _ in range(data.draw(st.integers(0, 2))):
            body[data.draw(st.integers(0, min(80, len(body) - 1)))] = data.draw(st.integers(0, 255))
        pts = data.draw(st.sampled_from([unit.pts_90k, None]))
        for one in fragmenter.push(unit._replace(data=bytes(body), pts_90k=pts, dts_90k=None)):
            if isinstance(one, Fragment):
                assert boxes(one.data) == [b"moof", b"mdat"]
    fragmenter.flush()


def test_sound_before_and_without_pictures_is_bounded() -> None:
    fragmenter = Fragmenter()
    for unit in tone(90_000 * 4):
        assert fragmenter.push(unit) == []
    assert fragmenter.seen.dropped_sound == len(tone(90_000 * 4))
    made = scene(frames=2)
    for unit in made.video:
        fragmenter.push(unit)
    for n in range(2000):
        fragmenter.push(tone(90_000)[0]._replace(pts_90k=n * 5760))
    assert fragmenter.seen.dropped_sound > 2000 - 600


def test_sound_that_stops_and_comes_back_keeps_its_place() -> None:
    made, sound = scene(frames=60, gop=10), tone(60 * STEP)
    gap = [unit for n, unit in enumerate(sound) if not 10 <= n < 20]
    units = sorted([*made.video, *gap], key=lambda unit: unit.pts_90k or 0)
    listed = scan(file(run(units, Fragmenter(audio=AacConfig.lc(16000, 1)))))
    starts = []
    for at in listed.fragments:
        for one in at.runs:
            if one.track == 2:
                time = one.decode_time
                for sample in one.samples:
                    starts.append(time)
                    time += sample.duration
    assert starts == [unit.pts_90k for unit in gap]


def test_a_track_that_fell_silent_is_left_out_at_the_next_key_frame_and_comes_back() -> None:
    """A player with a track that nothing comes for would wait for it, and show nothing."""
    made, sound = scene(frames=300, gop=25), tone(300 * STEP)
    spoken = [unit for unit in sound if (unit.pts_90k or 0) < 50 * STEP or (unit.pts_90k or 0) > 220 * STEP]
    out = run(sorted([*made.video, *spoken], key=lambda unit: unit.pts_90k or 0))
    found = [(len(fragments(out[:n])), one.codec.count("mp4a")) for n, one in enumerate(out) if isinstance(one, Init)]
    assert found == [(0, 0), (25, 1), (150, 0), (225, 1)]
    begins = [n for n, one in enumerate(out) if isinstance(one, Init)]
    for first, last in zip(begins, [*begins[1:], len(out)], strict=True):
        assert len(decode_file(file(out[first:last]))) == len(fragments(out[first:last]))
    last_run = next(run for at in scan(file(out[begins[-1] :])).fragments for run in at.runs if run.track == 2)
    assert abs(last_run.decode_time - 221 * STEP) < 10 * STEP


# -- we read what others write


def foreign(made: Scene, flags: str, **options: str) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4", options={"movflags": flags, **options}) as container:
        video = container.add_stream("libx264" if made.video[0].codec is Codec.H264 else "libx265", rate=25)
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        video.codec_context.extradata = _extradata(made)
        container.start_encoding()
        for unit in made.video:
            packet = av.Packet(unit.data)
            packet.pts, packet.dts, packet.time_base = unit.pts_90k, unit.dts_90k, Fraction(1, 90000)
            packet.is_keyframe, packet.stream, packet.duration = unit.is_key, video, STEP
            container.mux(packet)
    return out.getvalue()


def _extradata(made: Scene) -> bytes:
    sets = h26x.parameter_sets(made.video[0].codec, h26x.nals(made.video[0].data))
    return b"".join(b"\x00\x00\x00\x01" + nal for nal in sets)


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
@pytest.mark.parametrize(
    "flags",
    ["frag_keyframe+empty_moov+default_base_moof", "frag_keyframe+empty_moov", "frag_every_frame+empty_moov+dash"],
)
def test_files_of_ffmpeg(codec: Codec, flags: str) -> None:
    made = scene(codec, b=2)
    data = foreign(made, flags)
    listed = scan(data)
    track = listed.movie.track(Kind.VIDEO)
    assert track
    assert (track.width, track.height) == (320, 180)
    assert track.sets
    assert track.sets.is_complete
    assert track.codecs.startswith("avc1." if codec is Codec.H264 else "hev1.")
    assert not listed.is_truncated
    assert listed.complete_to == len(data)
    bodies = []
    for at in listed.fragments:
        assert boxes(data[at.offset : at.offset + at.size])[0] == b"moof"
        for one in at.runs:
            time = one.decode_time
            for sample in one.samples:
                body = h26x.to_annexb(data[sample.offset : sample.offset + sample.size], track.length_size)
                bodies.append((h26x.nals(body), track.to_90k(time + sample.cts), sample.is_key))
                time += sample.duration
    first = bodies[0][1] - (made.video[0].pts_90k or 0)
    assert [(pts - first, key) for _, pts, key in bodies] == [(unit.pts_90k, unit.is_key) for unit in made.video]
    assert [nals[-1] for nals, _, _ in bodies] == [h26x.nals(unit.data)[-1] for unit in made.video]


def test_our_own_files() -> None:
    made = scene(sound=True)
    fragmenter = Fragmenter(start_90k=2**33)
    out = run(made.units, fragmenter)
    listed = scan(file(out))
    found = fragments(out)
    assert [(at.decode_time_90k, at.duration_90k, at.is_key, at.size) for at in listed.fragments] == [
        (one.decode_time_90k, one.duration_90k, one.is_key, len(one.data)) for one in found
    ]
    track = listed.movie.track(Kind.VIDEO)
    assert track
    assert track.sets
    assert track.default_flags == 0x01010000


def test_boxes_between_are_passed_over() -> None:
    out = run(scene().video)
    mark = fmp4.box(b"uuid", b"x" * 16, b"point and time")
    data = out[0].data + mark + b"".join(one.data for one in out[1:])
    listed = scan(data)
    assert len(listed.fragments) == 50
    assert listed.fragments[0].offset == len(out[0].data) + len(mark)


@given(st.data())
def test_a_cut_file_is_good_up_to_its_last_whole_fragment(data: st.DataObject) -> None:
    """kill -9 in the middle of a write, with or without reserved space behind."""
    out = run(scene(frames=20, gop=10).video)
    whole = file(out)
    cut = data.draw(st.integers(len(out[0].data), len(whole)))
    rest = data.draw(st.sampled_from([b"", bytes(5), bytes(1 << 14)]))
    listed = scan(whole[:cut] + rest)
    edges = list(itertools.accumulate(len(one.data) for one in out))
    kept = [edge for edge in edges if edge <= cut]
    assert listed.complete_to == kept[-1]
    assert len(listed.fragments) == len(kept) - 1
    assert listed.is_truncated == (cut not in edges or bool(rest))
    if len(kept) > 1:
        assert len(decode_file(whole[: listed.complete_to])) == len(kept) - 1


def test_a_file_without_moov_is_refused() -> None:
    for data in (b"", b"\x00\x00\x00\x08ftyp", bytes(100), run(scene().video)[0].data[:-1]):
        with pytest.raises(WireError):
            scan(data)


@settings(max_examples=200)
@given(st.data())
def test_damaged_files_do_no_worse_than_a_wire_error(data: st.DataObject) -> None:
    out = run(scene(sound=True).units)
    whole = bytearray(file(out[:6]))
    near = len(out[0].data) + 200
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, near))] = data.draw(st.sampled_from([0, 1, 8, 127, 128, 255]))
    try:
        listed = scan(bytes(whole))
    except WireError:
        return
    assert listed.complete_to <= len(whole)
    for at in listed.fragments:
        assert at.offset + at.size <= len(whole)


@given(st.binary(max_size=200))
def test_random_bytes_do_no_worse_than_a_wire_error(data: bytes) -> None:
    movie = _movie()
    for body in (data, fmp4.box(b"moof", data), fmp4.box(b"moof", fmp4.box(b"traf", data)) + fmp4.box(b"mdat")):
        scan(body, movie=movie)
        for change in (fmp4.rebase, fmp4.rebase_all):
            try:
                change(body, 5)
            except WireError:
                continue
    try:
        fmp4.read_movie(fmp4.box(b"moov", data))
    except WireError:
        return


def test_a_run_of_samples_without_bytes_is_refused() -> None:
    tfhd = fmp4.box(b"tfhd", struct.pack(">II", 0x020000, 1))
    trun = fmp4.box(b"trun", struct.pack(">II", 0, 2**32 - 1))
    listed = scan(fmp4.box(b"moof", fmp4.box(b"traf", tfhd, trun)) + fmp4.box(b"mdat"), movie=_movie())
    assert listed.fragments == []
    assert listed.is_truncated


# -- moved in time


@given(st.integers(-(2**40), 2**60))
def test_rebase_moves_all_tracks(shift: int) -> None:
    out = run(scene(sound=True).units, Fragmenter(start_90k=2**40, audio=AacConfig.lc(16000, 1)))
    one = next(one for one in fragments(out) if len(one.data) > 104 and one.data.count(b"traf") == 2)
    moved = b"".join(fmp4.rebase(one.data, shift))
    assert len(moved) == len(one.data)
    movie = fmp4.read_movie(out[0].data)
    before, after = (scan(data, movie=movie).fragments[0] for data in (one.data, moved))
    assert [run.decode_time + shift for run in before.runs] == [run.decode_time for run in after.runs]
    assert [run.samples for run in before.runs] == [run.samples for run in after.runs]


def test_late_sound_is_left_out_of_a_file_that_begins_after_it() -> None:
    video = Run(fmp4.VIDEO_TRACK, 90_000, (Sample((b"\0" * 50,), 50, STEP, True),))
    sound = Run(fmp4.AUDIO_TRACK, 88_000, (Sample((b"\1" * 20,), 20, 5760),))
    data = fmp4.fragment(1, (video, sound))
    movie = fmp4.read_movie(run(scene().video, Fragmenter(audio=AacConfig.lc(16000, 1)))[0].data)
    kept = b"".join(fmp4.rebase(data, -88_000))
    assert [one.decode_time for one in scan(kept, movie=movie).fragments[0].runs] == [2000, 0]
    cut = b"".join(fmp4.rebase(data, -90_000))
    assert len(cut) == len(data)
    [one] = scan(cut, movie=movie).fragments
    assert [(run.track, run.decode_time, run.samples[0].offset) for run in one.runs] == [
        (fmp4.VIDEO_TRACK, 0, scan(data, movie=movie).fragments[0].runs[0].samples[0].offset)
    ]
    with pytest.raises(WireError):
        fmp4.rebase(data, -90_001)  # a picture is never left out


def test_rebase_all_moves_every_fragment() -> None:
    out = run(scene().video)
    body = fmp4.box(b"free", b"abc") + file(out[1:])
    moved = fmp4.rebase_all(body, 90_000)
    movie = fmp4.read_movie(out[0].data)
    assert [at.decode_time_90k for at in scan(moved, movie=movie).fragments] == [90_000 + n * STEP for n in range(50)]
    with pytest.raises(WireError, match="moved"):
        fmp4.rebase_all(body, -1)
    with pytest.raises(WireError):
        fmp4.rebase(b"\x00\x00\x00\x10mdat12345678", 0)


# -- exports


def build(plan: fmp4.Flat, files: list[bytes]) -> bytes:
    data = plan.head + b"".join(files[p.source][p.offset : p.offset + p.size] for p in plan.pieces)
    assert len(data) == plan.size
    return data


def shown(data: bytes) -> list[tuple[int, str]]:
    """What a player shows: pictures before the edit list's beginning have times below zero."""
    return [(pts, md5) for pts, md5 in decode_file(data) if pts >= 0]


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
@pytest.mark.parametrize("b", [0, 2])
def test_an_export_shows_every_picture(codec: Codec, b: int) -> None:
    made = scene(codec, b=b, sound=True)
    data = file(run(made.units, Fragmenter(audio=AacConfig.lc(16000, 1))))
    listed = scan(data)
    plan = fmp4.flatten([Stored(listed.movie, listed.fragments)])
    flat = build(plan, [data])
    assert boxes(flat) == [b"ftyp", b"moov", b"mdat"]
    assert pictures(decode_file(flat)) == pictures(made.pictures)
    assert shown(flat)[0][0] == 0
    with av.open(io.BytesIO(flat)) as container:
        assert abs((container.duration or 0) - plan.duration_90k * 1_000_000 // 90_000) < 1000
        frames = sum(len(one.runs[1].samples) for one in listed.fragments if len(one.runs) > 1)
        assert sum(1 for packet in container.demux(audio=0) if packet.size) == frames


def test_an_export_begins_between_key_frames() -> None:
    made = scene(gop=25)
    data = file(run(made.video))
    listed = scan(data)
    plan = fmp4.flatten([Stored(listed.movie, listed.fragments)], skip_90k=10 * STEP, length_90k=20 * STEP)
    assert plan.duration_90k == 20 * STEP
    found = decode_file(build(plan, [data]))
    assert [md5 for pts, md5 in found if 0 <= pts < 20 * STEP] == [md5 for _, md5 in made.pictures[10:30]]


def test_an_export_of_several_files_closes_the_holes() -> None:
    """Second file with a clock of its own and other parameters, a hole of an hour between them."""
    first, second = scene(gop=25, sound=True), scene(gop=25, width=256, height=144)
    config = AacConfig.lc(16000, 1)
    files = [
        file(run(first.units, Fragmenter(start_90k=10**9, audio=config))),
        file(run(second.video, Fragmenter(start_90k=5 * 10**9))),
    ]
    listed = [scan(data) for data in files]
    plan = fmp4.flatten([Stored(one.movie, one.fragments) for one in listed])
    flat = build(plan, files)
    found = decode_file(flat)
    assert [md5 for _, md5 in found] == [md5 for _, md5 in [*first.pictures, *second.pictures]]
    assert [pts for pts, _ in pictures(found)] == [n * STEP for n in range(100)]
    assert plan.duration_90k == 100 * STEP


def test_an_export_keeps_short_pauses_and_closes_long_ones() -> None:
    found, _ = stamps(0, 3600, 3600 + 60_000, 67_200, 67_200 + 5 * 90_000)
    out = run(scene(frames=60, gop=5).video)
    data = out[0].data + b"".join(one.data for one in found)
    listed = scan(data)
    plan = fmp4.flatten([Stored(listed.movie, listed.fragments)])
    times = [pts for pts, _ in decode_file(build(plan, [data]))]
    assert times == [0, 3600, 63_600, 67_200, 67_200 + 5 * 90_000]
    apart = [at for n, at in enumerate(listed.fragments) if n != 3]
    plan = fmp4.flatten([Stored(listed.movie, apart)])
    assert plan.duration_90k < 90_000


def test_an_export_needs_a_key_frame_and_something_at_all() -> None:
    data = file(run(scene().video))
    listed = scan(data)
    with pytest.raises(Invalid, match="key frame"):
        fmp4.flatten([Stored(listed.movie, listed.fragments[1:])])
    with pytest.raises(Invalid, match="nothing"):
        fmp4.flatten([Stored(listed.movie, [])])
    with pytest.raises(Invalid, match="nothing"):
        fmp4.flatten([])


def test_an_export_of_foreign_fragments() -> None:
    made = scene(b=2)
    data = foreign(made, "frag_keyframe+empty_moov+default_base_moof")
    listed = scan(data)
    flat = build(fmp4.flatten([Stored(listed.movie, listed.fragments)]), [data])
    assert pictures(decode_file(flat)) == pictures(made.pictures)
