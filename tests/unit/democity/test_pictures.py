"""Pictures: clocks that machines read, loops that splice without a trace, cameras that turn."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.democity.pictures import Head, Library, Pose, clips, drawing, first, osd, sound
from anwang.democity.pictures import library as clips_library
from anwang.democity.pictures.clips import FORMATS, MAIN, SUB, Clip
from anwang.democity.pictures.live import Looped, Spliced, Still
from anwang.democity.pictures.scenes import HEVC_SCENES, SCENES, STILL_ROWS, WIDE
from anwang.democity.pictures.turning import HOME, Turning
from anwang.kernel.errors import Invalid
from anwang.wire import h26x
from anwang.wire.aac import parse_adts
from anwang.wire.units import Codec

NOW_US = 1_795_000_000_123_000
Luma = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with one cheap scene."""
    library = Library(tmp_path_factory.mktemp("pictures"))
    drawing.make(library.folder, "control")
    return library.folder.parent


def decode(units: Sequence[bytes], name: str = "h264") -> list[Luma]:
    context = av.CodecContext.create(name, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    frames = [frame for unit in units for frame in context.decode(av.Packet(unit))]
    frames += context.decode(None)
    return [np.asarray(frame.to_ndarray(), np.uint8) for frame in frames]


@given(st.integers(0, (1 << 44) - 1), st.sampled_from([640, 1280]))
def test_the_machine_clock_reads_back(unix_ms: int, width: int) -> None:
    picture = np.full((width * 9 // 16, width), 128, np.uint8)
    osd.draw_clock(picture, unix_ms, width)
    assert osd.read_clock(picture) == unix_ms


@given(st.integers(0, 2**32 - 1))
def test_noise_is_no_clock(seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (8, 640), np.uint8)
    unix_ms = osd.read_clock(picture)
    if unix_ms is not None:  # one in 256 by chance: then the cells must say just that
        again = np.full((8, 640), 128, np.uint8)
        osd.draw_clock(again, unix_ms, 640)
        assert osd.read_clock(again) == unix_ms


def test_time_is_told_in_beijing() -> None:
    assert osd.time_text(1_795_000_000_000_000) == "2026-11-18 星期三 19:06:40"


def test_crc8_has_its_check_value() -> None:
    assert osd.crc8(b"123456789") == 0xF4  # CRC-8, polynomial 0x07


def assert_splices(clip: Clip) -> None:
    source = Spliced(clip, "滨河路与建安街口 南枪")
    count = 2 * len(clip.frames)
    pictures = [source.next(NOW_US + number * 40_000) for number in range(count)]
    spliced = decode([picture.data for picture in pictures])
    plain = decode([frame.head + frame.first + frame.rest for frame in clip.frames] * 2)
    rows = osd.rows_of(clip.width)
    assert len(spliced) == len(plain) == count
    for number, (one, other) in enumerate(zip(spliced, plain, strict=True)):
        assert np.array_equal(one[rows : clip.height], other[rows : clip.height]), (
            f"frame {number} differs below the strip"
        )
        assert osd.read_clock(one[: clip.height]) == (NOW_US + number * 40_000) // 1000
    assert [picture.is_key for picture in pictures] == [frame.is_key for frame in clip.frames] * 2


@pytest.mark.parametrize("stream", list(FORMATS))
def test_a_spliced_loop_decodes_like_the_loop_with_a_clock(folder: Path, stream: str) -> None:
    assert_splices(Clip.load(Library(folder).folder / f"control-{stream}.clip"))


@pytest.mark.slow
@pytest.mark.parametrize("scene", sorted({*SCENES, *WIDE} - {"control"}))
def test_every_scene_splices(scene: str) -> None:
    """Its first two groups of pictures, the shortest loop there is: what differs is the scene, not the length."""
    pictures = drawing.at_rest(scene) if scene in WIDE else clips.drawn(SCENES[scene]())
    for clip in clips.make_clips(islice(pictures, 2 * clips.GROUP_S * clips.FPS)).values():
        assert_splices(clip)


def test_loops_have_the_promised_shape(folder: Path) -> None:
    for form in (MAIN, SUB):
        clip = Clip.load(Library(folder).folder / f"control-{form.name}.clip")
        assert (clip.width, clip.height, clip.duration_90k) == (form.width, form.height, 90_000 * form.step // 25)
        keys = [number for number, frame in enumerate(clip.frames) if frame.is_key]
        assert keys == list(range(0, len(clip.frames), form.group))
        assert len(keys) % 2 == 0
        head = h26x.parse_h264_sps(h26x.nals(clip.frames[0].head)[0])
        assert (head.width, head.height) == (form.width, form.height)
        assert not any(frame.head for frame in clip.frames if not frame.is_key)


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_scenes_keep_still_where_the_clock_lies(scene: str) -> None:
    one = SCENES[scene]()
    still = one.paint(factor=1)
    assert still.size == (1280, 720)
    early, late = (np.asarray(one.frame(still, share * one.period_s)) for share in (0.1, 0.6))
    assert np.array_equal(early[:STILL_ROWS], late[:STILL_ROWS])
    assert not np.array_equal(early, late), "nothing moves"
    assert np.array_equal(np.asarray(one.frame(still, 0.0)), np.asarray(one.frame(still, one.period_s))), (
        "the loop has a seam"
    )
    assert np.asarray(still.convert("L")).max() > 120, "too dark to see"


def test_a_source_begins_with_a_key_frame_and_restarts_with_one(folder: Path) -> None:
    source = Library(folder).source("control", "sub", Codec.H264, "试", Head(), offset=60)
    first = source.next(NOW_US)
    assert first.is_key
    assert not source.next(NOW_US + 80_000).is_key
    source.restart()
    assert source.next(NOW_US + 160_000).is_key


def test_the_stills_of_the_package_are_of_these_drawings() -> None:
    """Where this fails: `python -m anwang.democity.pictures --stills`."""
    assert (first.FOLDER / first.MARK).read_text("ascii").strip() == clips.fingerprint()


def likeness(luma: Luma, scene: str, form: clips.Format) -> float:
    """Mean difference in brightness of a picture and a scene's still, below the strip."""
    rows = slice(form.strip, form.height)
    return float(np.abs(luma[rows].astype(int) - first.planes(scene, form.name)[rows]).mean())


@pytest.mark.parametrize("stream", list(FORMATS))
@pytest.mark.parametrize("scene", sorted(SCENES))
def test_every_camera_shows_its_own_scene_from_its_first_picture(scene: str, stream: str, tmp_path: Path) -> None:
    source = Library(tmp_path).source(scene, stream, Codec.H264, "滨河路与建安街口 南枪", Head())
    pictures = [source.next(NOW_US + number * 400_000) for number in range(3)]
    assert [picture.is_key for picture in pictures] == [True, False, False]
    form = FORMATS[stream]
    for number, luma in enumerate(decode([picture.data for picture in pictures])):
        assert luma.shape == (form.height * 3 // 2, form.width)
        assert osd.read_clock(luma[: form.height]) == (NOW_US + number * 400_000) // 1000
        distances = {one: likeness(luma, one, form) for one in SCENES}
        assert min(distances, key=lambda one: distances[one]) == scene


@pytest.mark.parametrize("stream", list(FORMATS))
@pytest.mark.parametrize("scene", sorted(HEVC_SCENES))
def test_h265_cameras_too(scene: str, stream: str, tmp_path: Path) -> None:
    source = Library(tmp_path).source(scene, stream, Codec.H265, "", Head())
    [luma, *_] = decode([source.next(NOW_US).data for _ in range(5)], "hevc")
    distances = {one: likeness(luma, one, FORMATS[stream]) for one in SCENES}
    assert min(distances, key=lambda one: distances[one]) == scene


def test_a_still_becomes_its_loop_without_a_break(folder: Path) -> None:
    loop = Clip.load(Library(folder).folder / "control-sub.clip")
    drawn: list[Clip] = []
    source = Still(first.planes("control", "sub"), SUB, "试", newer=lambda: Spliced(drawn[0], "试") if drawn else None)
    pictures = [source.next(NOW_US + number * 80_000) for number in range(5)]
    drawn.append(loop)
    pictures += [source.next(NOW_US + number * 80_000) for number in range(5, SUB.group + 40)]
    assert [number for number, one in enumerate(pictures) if one.is_key] == [0, SUB.group, 2 * SUB.group]
    shown = decode([picture.data for picture in pictures])
    assert len(shown) == len(pictures)
    clocks = [osd.read_clock(luma[: SUB.height]) for luma in shown]
    assert clocks == [(NOW_US + number * 80_000) // 1000 for number in range(len(shown))]
    rows = slice(SUB.strip, SUB.height)
    moved = [np.abs(luma[rows].astype(int) - shown[SUB.group][rows]).max() for luma in shown[SUB.group :]]
    assert max(moved) > 30, "its lamps blink"


def test_a_loop_of_a_still_gives_way_to_the_loop(folder: Path) -> None:
    still = clips.make_clips(drawing.still("control"))["sub"]
    loop = Clip.load(Library(folder).folder / "control-sub.clip")
    assert_splices(still)
    drawn: list[Clip] = []
    source = Spliced(still, "试", newer=lambda: drawn[0] if drawn else None)
    pictures = [source.next(NOW_US + number * 80_000) for number in range(SUB.group + 5)]
    drawn.append(loop)
    pictures += [source.next(NOW_US + (SUB.group + 5 + number) * 80_000) for number in range(2 * SUB.group)]
    assert [number for number, one in enumerate(pictures) if one.is_key] == [0, SUB.group, 2 * SUB.group, 3 * SUB.group]
    shown = decode([picture.data for picture in pictures])
    assert [osd.read_clock(luma[: SUB.height]) for luma in shown] == [
        (NOW_US + number * 80_000) // 1000 for number in range(len(pictures))
    ]
    rows = slice(SUB.strip, SUB.height)
    begun = 2 * SUB.group
    assert max(np.abs(luma[rows].astype(int) - shown[0][rows]).mean() for luma in shown[:begun]) < 3
    moved = [np.abs(luma[rows].astype(int) - shown[begun][rows]).max() for luma in shown[begun:]]
    assert max(moved) > 30, "its lamps blink"


def test_a_camera_that_rests_sends_its_loop_and_turns_with_a_key_frame() -> None:
    scene, still, head = WIDE["plant"](), first.picture("plant"), Head()
    loop = clips.make_clips(drawing.still("plant"))["sub"]
    source = Turning(scene, still, SUB, "罐区 球机", head, at_rest=lambda: Spliced(loop, "罐区 球机"))
    moments = [NOW_US + number * 80_000 for number in range(12)]
    pictures = [source.next(moment) for moment in moments[:4]]
    head.drive(1.0, 0.0, 0.0)
    pictures += [source.next(moment) for moment in moments[4:8]]
    head.drive(0.0, 0.0, 0.0)
    head.pose = HOME
    source.restart()
    pictures += [source.next(moment) for moment in moments[8:]]
    shown = decode([picture.data for picture in pictures])
    assert [osd.read_clock(luma[: SUB.height]) for luma in shown] == [moment // 1000 for moment in moments]
    keys = [number for number, one in enumerate(pictures) if one.is_key]
    assert keys[0] == 0 and len(keys) == 3 and keys[2] == 8
    rows = slice(SUB.strip, SUB.height)
    assert np.abs(shown[7][rows].astype(int) - shown[0][rows]).mean() > 3
    assert np.abs(shown[9][rows].astype(int) - shown[1][rows]).mean() < 2


async def test_only_what_is_looked_at_is_drawn(tmp_path: Path) -> None:
    library = Library(tmp_path)
    making = asyncio.ensure_future(library.make())
    try:
        assert not library.wanted
        source = library.source("control", "sub", Codec.H264, "试", Head())
        assert list(library.wanted) == [("", False), ("control", False)]
        async with asyncio.timeout(300):
            while library.wanted:
                await asyncio.sleep(0.1)
        assert library.made == 1
        assert isinstance(library.source("control", "main", Codec.H264, "试", Head()), Spliced)
        for number in range(SUB.group + 1):
            source.next(NOW_US + number * 80_000)
        loops = {path.name for path in library.folder.iterdir() if "-still" not in path.name}
        assert loops == {"control-main.clip", "control-sub.clip"}
        for one in (*SCENES, *WIDE):
            still = library.source(one, "sub", Codec.H264, "试", Head())
            assert decode([still.next(NOW_US).data])
    finally:
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)


async def test_a_drawing_that_fails_is_tried_again_and_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(clips_library, "PAUSE_S", 0.01)
    library = Library(tmp_path / "a file")
    (tmp_path / "a file").write_bytes(b"")
    making = asyncio.ensure_future(library.make())
    try:
        source = library.source("control", "sub", Codec.H264, "试", Head())
        async with asyncio.timeout(300):
            while library.wanted:
                await asyncio.sleep(0.1)
    finally:
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
    assert source.next(NOW_US).is_key, "the still goes on"
    library.source("control", "sub", Codec.H264, "试", Head())
    assert not library.wanted, "nobody draws what can't be drawn"
    said = caplog.text + capsys.readouterr().out
    assert said.count("a picture could not be drawn") == 2 * clips_library.TRIES, "of stills and of the scene"
    assert "NotADirectoryError" in said


def test_the_drawing_process_ends_while_its_parent_lives() -> None:
    """It aborted: a thread that waited in sys.stdin held a lock that the interpreter wants at its end."""
    program = (
        "import sys, runpy, anwang.democity.pictures.drawing as drawing;"
        "drawing.make = lambda *a, **k: [];"
        "sys.argv = ['pictures', 'nowhere', 'control', '--with-parent'];"
        "runpy.run_module('anwang.democity.pictures', run_name='__main__')"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.wait(60) == 0, child.stderr.read() if child.stderr else ""


def test_a_broken_clip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.clip").write_bytes(b"\x93\x01")
    with pytest.raises(Invalid):
        Clip.load(tmp_path / "x.clip")


def test_a_camera_turns_and_remembers() -> None:
    head = Head()
    assert head.at(0) == HOME
    head.drive(1.0, 0.0, 0.0)
    head.at(1_000_000)
    assert 0.5 < head.at(1_500_000).pan <= 1.0
    head.store(7)
    stored = head.pose
    head.drive(0.0, 0.0, 0.0)
    assert head.at(2_000_000) == stored
    assert head.call(1)
    for number in range(30):
        head.at(2_000_000 + number * 200_000)
    assert head.pose == HOME
    assert head.call(7)
    assert not head.call(200)
    head.drive(0.0, 0.0, 1.0)
    assert head.at(20_000_000).zoom <= 4.0


def test_a_turned_camera_shows_something_else() -> None:
    scene = WIDE["plant"]()
    still = scene.paint(factor=1)
    head = Head()
    source = Turning(scene, still, SUB, "罐区 球机", head)
    at_home = decode([source.next(NOW_US).data])[0]
    head.aim(pan_deg=20, zoom=2.5)
    for number in range(1, 20):
        head.at(NOW_US + number * 200_000)
    source.restart()
    later = NOW_US + 5_000_000
    picture = source.next(later)
    turned = decode([picture.data])[0]
    assert picture.is_key
    rows = osd.rows_of(SUB.width)
    assert np.abs(at_home[rows:360].astype(int) - turned[rows:360]).mean() > 12
    assert osd.read_clock(turned[:360]) == later // 1000
    assert Pose(pan=0.5).moved(1, 0, 0, 10).pan == 1.0


def test_any_video_can_be_shown(tmp_path: Path) -> None:
    path = tmp_path / "own.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"preset": "ultrafast", "g": "5", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number in range(15):
            frame = av.VideoFrame.from_ndarray(np.full((270, 320), 16 * number, np.uint8), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    source = Library(tmp_path, video=path).source("crossing", "main", Codec.H264, "", Head())
    assert isinstance(source, Looped)
    pictures = [source.next(0) for _ in range(32)]
    assert [number for number, one in enumerate(pictures[:15]) if one.is_key] == [0, 5, 10]
    assert {one.duration_90k for one in pictures} == {9000}
    assert pictures[15].data == pictures[0].data
    assert len(decode([one.data for one in pictures])) == 32


def test_a_law_agrees_with_ffmpeg() -> None:
    samples = np.arange(-32768, 32768, 37, dtype=np.int16)
    context = av.CodecContext.create("pcm_alaw", "r")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout = 8000, "mono"
    [frame] = context.decode(av.Packet(sound.alaw(samples)))
    back = np.asarray(frame.to_ndarray()).ravel()
    error = np.abs(back.astype(int) - samples)
    assert (error <= np.maximum(16, np.abs(samples.astype(int)) // 16)).all()


def test_sound_loops_have_their_length() -> None:
    assert sum(map(len, sound.g711a())) == 8000 * 8
    config, frames, used = parse_adts(b"".join(sound.aac()))
    assert config is not None
    assert config.rate_hz == 16_000
    assert abs(len(frames) * 1024 / 16_000 - 8) < 0.2
    assert used
