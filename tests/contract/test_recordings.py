"""Recordings from end to end over real video: playlists, clips, pictures, recovery and retention."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import random
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import av
import pytest
from PIL import Image, ImageChops, ImageStat

from anwang.governance import Holds, Object, Retention, Rule, Rules, Short
from anwang.kernel.errors import Denied, Exhausted, Invalid, NotFound, Unavailable, Unsupported
from anwang.kernel.ids import PointId, SegmentId, uuid7
from anwang.kernel.times import Span, from_micros, to_micros
from anwang.media import footage
from anwang.media.export import Clip, file_name
from anwang.media.index import DAY_US, Gap
from anwang.media.keeper import RecordingKeeper
from anwang.media.masks.paint import NOTHING
from anwang.media.model import GapCause, Growing, Segment
from anwang.media.plans import Mode, Plan
from anwang.media.playback import pieces_of
from anwang.media.reindex import Reindex, salvage
from anwang.media.snapshot import DecodePool, Snapshots
from anwang.wire.fmp4 import read_table, scan, table_size
from tests.archive import SECOND, Archive, fill, owned
from tests.governed import actor_of
from tests.recordings import POINT, START_US, cut, encode, plain, segment_of


def frames(path: Path, *options: str, before: Sequence[str] = ()) -> list[str]:
    """A hash of every decoded picture that a player shows, in order."""
    command = ["ffmpeg", "-v", "error", *before, "-i", str(path), "-map", "0:v", *options, "-f", "framemd5", "-"]
    out = subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert not out.stderr, out.stderr.decode()
    return [line.split(",")[-1].strip() for line in out.stdout.decode().splitlines() if not line.startswith("#")]


async def save(archive: Archive, path: Path, span: Span) -> Clip:
    clip, look = await archive.export.clip(archive.actor, POINT, span)
    data = b"".join([block async for block in archive.export.read(clip, look, 0, clip.size)])
    assert len(data) == clip.size
    path.write_bytes(data)
    return clip


# --- playback --------------------------------------------------------------------------------------------------------


def uris(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


async def fetch(archive: Archive, uri: str) -> bytes:
    """What a player does with a URI of the playlist."""
    parts = urlsplit(uri)
    token = parse_qs(parts.query)["look"][0]
    *_, id, name = parts.path.split("/")
    if name == "init.mp4":
        return await archive.playback.init(archive.actor, token, SegmentId(id))
    first, last = name.removesuffix(".m4s").split("-")
    return await archive.playback.piece(archive.actor, token, SegmentId(id), int(first), int(last))


async def download(archive: Archive, text: str, folder: Path) -> Path:
    """The playlist and all it names, for a player on this machine."""
    lines = []
    for number, line in enumerate(text.splitlines()):
        if line.startswith("#EXT-X-MAP"):
            (folder / f"{number}.mp4").write_bytes(await fetch(archive, line.split('"')[1]))
            line = f'#EXT-X-MAP:URI="{number}.mp4"'
        elif line and not line.startswith("#"):
            (folder / f"{number}.m4s").write_bytes(await fetch(archive, line))
            line = f"{number}.m4s"
        lines.append(line)
    target = folder / "playlist.m3u8"
    target.write_text("\n".join(lines) + "\n")
    return target


async def test_a_playlist_plays_every_frame_in_ffmpeg(archive: Archive, source: Path, tmp_path: Path) -> None:
    await fill(archive, source)
    text = await archive.playback.playlist(archive.actor, POINT, Span(START_US, START_US + 24 * SECOND))
    assert text.count("#EXT-X-MAP") == 3
    assert "#EXT-X-DISCONTINUITY" not in text
    assert text.endswith("#EXT-X-ENDLIST\n")
    assert len(uris(text)) == 6
    target = await download(archive, text, tmp_path)
    assert frames(target, before=("-allowed_extensions", "ALL")) == frames(source)


async def test_pieces_lie_on_the_wall_clock_without_holes(archive: Archive, source: Path) -> None:
    await fill(archive, source)
    text = await archive.playback.playlist(archive.actor, POINT, Span(START_US, START_US + 24 * SECOND))
    expected = START_US
    for uri in uris(text):
        init = await fetch(archive, uri.replace(uri.split("/")[-1].split("?")[0], "init.mp4"))
        data = init + await fetch(archive, uri)
        with av.open(io.BytesIO(data)) as container:
            video = container.streams.video[0]
            times = [
                float(packet.pts * packet.time_base) for packet in container.demux(video) if packet.pts is not None
            ]
        assert abs(times[0] * SECOND - expected) < 1000
        assert len(times) == 100
        expected += 4 * SECOND


async def test_a_gap_is_skipped_and_told(archive: Archive, source: Path) -> None:
    await archive.plans.add(Plan(id="", version=0, point=None, point_class="I", mode=Mode.CONTINUOUS))
    await fill(archive, source, gap_after=0)
    await archive.index.open_gap(POINT, START_US + 8 * SECOND, GapCause.STREAM_LOST, "no packets")
    await archive.index.close_gap(POINT, START_US + 68 * SECOND)
    text = await archive.playback.playlist(archive.actor, POINT, Span(START_US, START_US + 84 * SECOND))
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    (told,) = [line for line in text.splitlines() if line.startswith("#EXT-X-DATERANGE")]
    # the plan began later than this recording, so outside it only "not planned" can be said
    assert 'X-CAUSE="not_planned"' in told
    assert "DURATION=60.000" in told
    assert "2026-11-21T23:58:08.000Z" in told


async def test_a_range_begins_at_the_moment_asked_for(archive: Archive, source: Path) -> None:
    await fill(archive, source)
    text = await archive.playback.playlist(archive.actor, POINT, Span(START_US + 9_500_000, START_US + 11 * SECOND))
    assert "#EXT-X-START:TIME-OFFSET=1.500,PRECISE=YES" in text
    assert len(uris(text)) == 1
    assert "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T23:58:08.000Z" in text


async def test_an_empty_range_names_the_cause(archive: Archive, source: Path) -> None:
    await fill(archive, source)
    with pytest.raises(NotFound, match="not_planned"):
        await archive.playback.playlist(archive.actor, POINT, Span(START_US - 60 * SECOND, START_US - 30 * SECOND))
    with pytest.raises(Invalid, match="milliseconds"):
        await archive.playback.playlist(archive.actor, POINT, Span(START_US // 1000, START_US // 1000 + 5))
    with pytest.raises(Invalid, match="hours"):
        await archive.playback.playlist(archive.actor, POINT, Span(START_US, START_US + 2 * DAY_US))


def grow(archive: Archive, segment: Segment, whole: bytes, path: Path, key_frames: int) -> None:
    """The live side reports a segment of which so many key frames' fragments are written."""
    size = segment.key_frames[key_frames].position if key_frames < len(segment.key_frames) else segment.size_bytes
    path.write_bytes(whole[:size])
    end = segment.start_us + key_frames * 2 * SECOND
    seen = replace(segment, size_bytes=size, end_us=end, key_frames=segment.key_frames[:key_frames])
    archive.live.growing = [Growing(segment=seen, path=str(path))]


async def test_a_growing_playlist_only_grows_and_ends(archive: Archive, source: Path, tmp_path: Path) -> None:
    (_start, data), *_ = cut(source, every_gops=12)
    begins = archive.clock.micros() - 10 * SECOND
    segment, whole = segment_of(data, start_us=begins)
    span = Span(begins, begins + 24 * SECOND)
    spool = tmp_path / "spool"
    before: list[str] = []
    for key_frames in (3, 4, 7, 11):
        grow(archive, segment, whole, spool, key_frames)
        text = await archive.playback.playlist(archive.actor, POINT, span)
        assert "#EXT-X-ENDLIST" not in text
        assert "PLAYLIST-TYPE:EVENT" in text
        assert uris(text)[: len(before)] == before
        before = uris(text)
        for uri in before:
            assert await fetch(archive, uri)
    # sealed: the same pieces, and the rest
    archive.live.growing = []
    spool.unlink()
    await archive.objects.put(segment.key, whole)
    await archive.index.add([segment])
    await archive.clock.advance(60)
    text = await archive.playback.playlist(archive.actor, POINT, span)
    assert uris(text)[: len(before)] == before
    assert text.endswith("#EXT-X-ENDLIST\n")
    assert len(await archive.ledger("opened")) == 1  # one player, one look
    target = await download(archive, text, tmp_path)
    assert frames(target, before=("-allowed_extensions", "ALL")) == frames(source)


async def test_a_look_is_opened_first_shared_and_closed_with_its_bytes(archive: Archive, source: Path) -> None:
    await fill(archive, source)
    span = Span(START_US, START_US + 24 * SECOND)
    with pytest.raises(Denied):  # an administrator never looks
        await archive.playback.playlist(await actor_of(archive.governance, "administrator.one"), POINT, span)
    with pytest.raises(NotFound):
        await archive.playback.playlist(archive.actor, PointId("unknown"), span)
    text, again = await asyncio.gather(*(archive.playback.playlist(archive.actor, POINT, span) for _ in range(2)))
    assert text == again
    (opened,) = await archive.ledger("opened")
    assert (opened.action, opened.objects) == ("view_playback", (POINT,))
    assert opened.detail == "2026-11-21T23:58:00Z/2026-11-21T23:58:24Z"
    sent = sum([len(await fetch(archive, uri)) for uri in uris(text)])
    life = asyncio.create_task(archive.governance.run())
    await archive.clock.advance(300)
    sent += len(await fetch(archive, uris(text)[0]))
    async with asyncio.timeout(30):
        while not await archive.ledger("closed"):  # governance closes what is idle on its own rounds
            await archive.clock.advance(60)
            await asyncio.sleep(0.01)
    with pytest.raises(Denied):
        await fetch(archive, uris(text)[0])
    life.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await life
    (closed,) = await archive.ledger("closed")
    assert (closed.look, closed.bytes, closed.outcome) == (opened.look, sent, "idle")
    # a new playlist opens a new look
    assert await archive.playback.playlist(archive.actor, POINT, span) != text
    assert len(await archive.ledger("opened")) == 2


async def test_a_token_opens_nothing_else(archive: Archive, source: Path) -> None:
    segments = await fill(archive, source)
    text = await archive.playback.playlist(archive.actor, POINT, Span(START_US, START_US + 4 * SECOND))
    (uri,) = uris(text)
    token = parse_qs(urlsplit(uri).query)["look"][0]
    later, first = segments[1], segments[0]
    with pytest.raises(NotFound):  # another time
        await archive.playback.piece(
            archive.actor, token, later.id, later.key_frames[0].position, later.key_frames[2].position
        )
    with pytest.raises(NotFound):  # the same segment, outside the range
        await archive.playback.piece(archive.actor, token, first.id, first.key_frames[2].position, first.size_bytes)
    with pytest.raises(NotFound):  # not a piece
        await archive.playback.piece(archive.actor, token, first.id, first.key_frames[0].position + 1, first.size_bytes)
    with pytest.raises(Invalid):  # cut inside a fragment
        await archive.playback.piece(archive.actor, token, first.id, first.key_frames[0].position, first.size_bytes - 1)
    with pytest.raises(NotFound):
        await archive.playback.init(archive.actor, token, SegmentId("0198a0de-0000-7000-8000-00000000ffff"))
    with pytest.raises(Denied):  # another session
        await archive.playback.init(await actor_of(archive.governance, "operator.one"), token, first.id)
    for forged in ("", "~", token[:-2], token.replace(POINT, POINT[:-1] + "9"), token.replace(str(START_US), "0")):
        with pytest.raises(Denied):
            await archive.playback.init(archive.actor, forged, first.id)


def test_pieces_are_four_seconds_or_a_whole_group() -> None:
    one = plain(START_US, START_US + 61 * SECOND)
    pieces = pieces_of(one)
    assert [piece.end_us - piece.start_us for piece in pieces] == [4 * SECOND] * 15 + [SECOND]
    assert pieces[-1].last == one.size_bytes
    assert all(a.last == b.first and a.end_us == b.start_us for a, b in pairwise(pieces))
    assert pieces_of(one, is_open=True) == pieces[:-1]


# --- clips -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("local", [True, False])
async def test_a_whole_clip_has_every_frame_of_its_source(
    archive: Archive, source: Path, tmp_path: Path, local: bool
) -> None:
    archive.objects.is_local = local
    await fill(archive, source)
    clip = await save(archive, tmp_path / "clip.mp4", Span(START_US, START_US + 24 * SECOND))
    assert frames(tmp_path / "clip.mp4") == frames(source)
    assert not clip.gaps
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert container.duration is not None
        assert abs(container.duration - 24 * SECOND) <= 40_000
        sound = [float(packet.pts * packet.time_base) for packet in container.demux(audio=0) if packet.pts is not None]
    # 16 kHz: a frame of AAC lasts 64 ms, and nothing is lost where segments meet
    assert max(b - a for a, b in pairwise(sound)) < 0.13
    assert abs(len(sound) - 375) <= 3


async def test_the_tables_stand_before_the_media(archive: Archive, source: Path, tmp_path: Path) -> None:
    await fill(archive, source)
    await save(archive, tmp_path / "clip.mp4", Span(START_US, START_US + 24 * SECOND))
    data = (tmp_path / "clip.mp4").read_bytes()
    assert data[4:8] == b"ftyp"
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(("first", "last"), [(0, 50), (13, 87), (50, 51), (149, 251), (199, 201), (310, 600)])
async def test_a_clip_shows_exactly_the_range(
    archive: Archive, source: Path, tmp_path: Path, first: int, last: int
) -> None:
    await fill(archive, source)
    span = Span(START_US + first * 40_000, START_US + last * 40_000)
    clip = await save(archive, tmp_path / "clip.mp4", span)
    assert frames(tmp_path / "clip.mp4") == frames(source)[first:last]
    assert clip.span == span


@pytest.mark.parametrize(("first", "last"), [(0, 300), (13, 87), (60, 61), (99, 202)])
async def test_a_clip_with_reordered_pictures(
    archive: Archive, reordered: Path, tmp_path: Path, first: int, last: int
) -> None:
    await fill(archive, reordered)
    await save(archive, tmp_path / "clip.mp4", Span(START_US + first * 40_000, START_US + last * 40_000))
    assert frames(tmp_path / "clip.mp4") == frames(reordered)[first:last]


async def test_a_clip_over_a_gap_joins_and_tells(archive: Archive, source: Path, tmp_path: Path) -> None:
    await fill(archive, source, gap_after=0)
    clip = await save(archive, tmp_path / "clip.mp4", Span(START_US, START_US + 84 * SECOND))
    assert frames(tmp_path / "clip.mp4") == frames(source)
    assert [(gap.start_us - START_US, gap.end_us - START_US) for gap in clip.gaps] == [(8 * SECOND, 68 * SECOND)]
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.duration is not None
        assert abs(container.duration - 24 * SECOND) <= 100_000


async def test_any_byte_range_is_the_same_file(archive: Archive, source: Path, tmp_path: Path) -> None:
    await fill(archive, source)
    span = Span(START_US + SECOND, START_US + 20 * SECOND)
    await save(archive, tmp_path / "clip.mp4", span)
    whole = (tmp_path / "clip.mp4").read_bytes()
    clip, look = await archive.export.clip(archive.actor, POINT, span)
    dice = random.Random(1)
    for _ in range(50):
        start, end = sorted((dice.randrange(clip.size), dice.randrange(clip.size + 1)))
        got = b"".join([block async for block in archive.export.read(clip, look, start, end)])
        assert got == whole[start:end]
    assert [row.action for row in await archive.ledger("opened")] == ["export"]


async def test_parameters_may_change_inside_a_clip(archive: Archive, source: Path, tmp_path: Path) -> None:
    other = encode(tmp_path / "other.mp4", seconds=4, size="640x360", audio=False)
    await fill(archive, source)
    second = await archive.store(cut(other, every_gops=2)[0][1], START_US + 24 * SECOND)
    await archive.index.add([second])
    await save(archive, tmp_path / "clip.mp4", Span(START_US + 22 * SECOND, START_US + 28 * SECOND))
    with av.open(str(tmp_path / "clip.mp4")) as container:
        sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert sizes == [(320, 180)] * 50 + [(640, 360)] * 100


def test_a_file_name_is_safe_everywhere() -> None:
    name = file_name('东门/1号 "卡口"\n', Span(START_US, START_US + 90 * SECOND))
    assert name == "东门_1号 _卡口___20261122-075800_075930.mp4"


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def pool() -> AsyncIterator[DecodePool]:
    made = DecodePool(children=1, waiting=4, timeout_s=20)
    yield made
    await made.close()


async def test_a_picture_is_the_frame_of_that_moment(archive: Archive, source: Path, pool: DecodePool) -> None:
    await fill(archive, source)
    snapshots = Snapshots(index=archive.index, footage=archive.footage, pool=pool, growing=archive.live)
    picture = await snapshots.at(POINT, START_US + 13_130_000, paint=NOTHING)
    assert (picture.width, picture.height) == (320, 180)
    assert picture.at_us == START_US + 13_120_000
    with av.open(str(source)) as container:
        wanted = [frame.to_image() for frame in container.decode(video=0)][327:330]
    image = Image.open(io.BytesIO(picture.jpeg))
    assert image.getexif().get_ifd(0x8769)[0x9003] == "2026:11:22 07:58:13"
    differences = [sum(ImageStat.Stat(ImageChops.difference(image, other)).mean) for other in wanted]
    assert differences.index(min(differences)) == 1
    small = await snapshots.at(POINT, START_US + 13_130_000, paint=NOTHING, width=160, exact=False)
    assert (small.width, small.height) == (160, 90)
    assert small.at_us == START_US + 12 * SECOND
    with pytest.raises(NotFound, match="nothing is recorded"):
        await snapshots.at(POINT, START_US - SECOND, paint=NOTHING)


async def test_a_broken_stream_costs_only_itself(archive: Archive, source: Path, pool: DecodePool) -> None:
    segments = await fill(archive, source)
    good = (archive.folder / segments[0].key).read_bytes()
    dice = random.Random(2)
    for _ in range(10):
        bad = bytearray(good[: dice.randrange(100, len(good))])
        for _ in range(200):
            bad[dice.randrange(len(bad))] = dice.randrange(256)
        with contextlib.suppress(Unsupported, Unavailable):
            assert (await pool.picture(bytes(bad), paint=NOTHING)).jpeg
    with pytest.raises(Unsupported):
        await pool.picture(b"no video at all", paint=NOTHING)
    assert (await pool.picture(good, paint=NOTHING)).jpeg.startswith(b"\xff\xd8")


async def test_a_decoder_that_is_late_is_killed(source: Path) -> None:
    pool = DecodePool(children=1, waiting=1, timeout_s=0.001)
    data = source.read_bytes()
    with pytest.raises(Unavailable, match="took longer"):
        await pool.picture(data, paint=NOTHING)
    assert pool.killed == 1
    results = await asyncio.gather(*(pool.picture(data, paint=NOTHING) for _ in range(6)), return_exceptions=True)
    assert any(isinstance(result, Exhausted) for result in results)
    assert pool.refused
    await pool.close()


# --- reindex and recovery --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("local", [True, False])
async def test_the_index_is_made_again_from_the_objects(archive: Archive, source: Path, local: bool) -> None:
    archive.objects.is_local = local
    segments = await fill(archive, source)
    await archive.objects.put("video/junk.mp4", b"this is no video")
    await archive.index.remove([one.id for one in segments[1:]], at_us=START_US, cause=None)
    trash = await archive.index.trash()
    await archive.index.forget_trash(trash[1:])
    done = await Reindex(index=archive.index, objects=archive.objects).rebuild()
    assert (done.seen, done.known, done.added, done.trash, done.faulty) == (4, 1, 1, 1, 1)
    assert done.faults[0][0] == "video/junk.mp4"
    await archive.index.forget_trash(trash)
    done = await Reindex(index=archive.index, objects=archive.objects).rebuild()
    assert (done.known, done.added) == (2, 1)
    # nobody reads whole objects for their checksums here
    again = [segments[0], *(replace(one, sha256="") for one in segments[1:])]
    assert await archive.index.segments(POINT, Span(START_US, START_US + 60 * SECOND)) == again


async def test_recovery_after_a_crash_anywhere(archive: Archive, source: Path, tmp_path: Path) -> None:
    """Wherever the file broke off: what is kept plays to its last frame, and the index says no more than there is."""
    (_, data), *_ = cut(source, every_gops=4)
    segment, whole = segment_of(data, start_us=START_US)
    dice = random.Random(3)
    reindex = Reindex(index=archive.index, objects=archive.objects)
    sizes = [0, 1, 100, segment.init_bytes, segment.init_bytes + 1, len(whole) - 1, len(whole)]
    sizes += [dice.randrange(len(whole)) for _ in range(40)]
    for number, size in enumerate(sizes):
        spool = archive.objects.open_segment(segment.key)
        if number % 2:  # power failed: blocks behind the last written one are zeros
            size = size // 4096 * 4096
            spool.write(whole[:size] + bytes(20_000))
        else:
            spool.write(whole[:size])
        spool.leave()
        done = await reindex.recover()
        assert not done.faults
        assert not spool.path.exists()
        found = await archive.index.segments(POINT, Span(START_US, START_US + 60 * SECOND))
        if done.dropped:
            assert not found
            assert size < segment.init_bytes + 30_000  # not one key frame was whole
            continue
        (one,) = found
        stored = archive.folder / segment.key
        kept = stored.read_bytes()
        media = len(kept) - table_size(kept)
        assert kept[:media] == whole[:media]
        assert one.size_bytes == len(kept)
        assert one.sha256 == hashlib.sha256(kept).hexdigest()
        assert size - media < 30_000  # at most one fragment, that is one picture, is lost
        # it is sealed with the table of what was saved, not of what was lost
        listed = scan(kept[:media])
        table = read_table(kept[media:], listed.movie, offset=media)
        assert table.at.tolist() == [s.offset for f in listed.fragments for run in f.runs for s in run.samples]
        assert one.end_us <= segment.end_us
        assert len(frames(stored)) == round((one.end_us - one.start_us) / 40_000)
        await archive.index.remove([one.id], at_us=START_US, cause=None)
        await archive.index.forget_trash(await archive.index.trash())
        await archive.objects.delete([segment.key])


@pytest.mark.parametrize("spoil", ["none", "one byte", "of another file"])
async def test_a_clip_is_the_same_without_a_table_that_can_be_used(
    archive: Archive, source: Path, spoil: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments from before there were tables, and damaged ones, are read from their fragments."""
    (_, data), *_ = cut(source, every_gops=4)
    segment, whole = segment_of(data, start_us=START_US)
    media = len(whole) - table_size(whole)
    span = Span(START_US + 1_500_000, START_US + 5 * SECOND)
    clips: list[bytes] = []
    spoilt = {
        "none": whole[:media],
        "one byte": whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:],
        "of another file": whole[:media] + segment_of(data, start_us=START_US, stream="substitute")[1][media + 6 :],
    }[spoil]
    asked: list[int] = []
    monkeypatch.setattr(footage, "_scan_file", lambda *all, scan=footage._scan_file: asked.append(1) or scan(*all))
    for stored in (whole, spoilt):
        await archive.objects.put(segment.key, stored)
        await archive.index.add([replace(segment, size_bytes=len(stored))])
        clip, look = await archive.export.clip(archive.actor, POINT, span)
        clips.append(b"".join([block async for block in archive.export.read(clip, look, 0, clip.size)]))
        archive.export._kept.clear()
        await archive.index.remove([segment.id], at_us=START_US, cause=None)
        await archive.index.forget_trash(await archive.index.trash())
        await archive.objects.delete([segment.key])
    assert clips[0] == clips[1]
    assert asked == [1]


async def test_reindex_knows_the_table(archive: Archive, source: Path) -> None:
    (_, data), *_ = cut(source, every_gops=4)
    segment, whole = segment_of(data, start_us=START_US)
    await archive.objects.put(segment.key, whole)
    await Reindex(index=archive.index, objects=archive.objects).rebuild()
    (one,) = await archive.index.segments(POINT, Span(START_US, START_US + 60 * SECOND))
    assert one.size_bytes == len(whole) == segment.size_bytes


def test_salvage_never_raises(source: Path) -> None:
    (_, data), *_ = cut(source, every_gops=4)
    _, whole = segment_of(data, start_us=START_US)
    dice = random.Random(4)
    for _ in range(300):
        bad = bytearray(whole)
        for _ in range(dice.randrange(1, 30)):
            at = dice.randrange(min(len(bad), dice.choice([1500, 4000, len(bad)])))
            bad[at] = dice.randrange(256)
        found = salvage(bytes(bad))
        if found.segment is not None:
            assert found.keep <= len(bad)
            assert found.segment.key_frames
    for _ in range(200):
        junk = dice.randbytes(dice.randrange(600))
        assert salvage(junk).segment is None


# --- retention -------------------------------------------------------------------------------------------------------


def keeper_of(archive: Archive, rules: Rules) -> RecordingKeeper:
    return RecordingKeeper(
        index=archive.index, objects=archive.objects, clock=archive.clock, rules=rules, class_of=lambda _: 3,
        plans=archive.plans,
    )  # fmt: skip


async def test_retention_deletes_what_is_old_in_an_order_that_survives(archive: Archive, source: Path) -> None:
    segments = await fill(archive, source)
    month = timedelta(days=30)
    rules = Rules({1: Rule(minimum=month, maximum=3 * month), 3: Rule(minimum=month, maximum=month)})
    keeper = keeper_of(archive, rules)
    ended = from_micros(START_US + 8 * SECOND)
    assert await keeper.expired(ended + month - timedelta(seconds=1), 10, None) == []
    assert [one.id for one in await keeper.expired(ended + month, 10, None)] == [segments[0].id]
    late = ended + month + timedelta(hours=1)
    assert [one.id for one in await keeper.expired(late, 2, None)] == [one.id for one in segments[:2]]
    first, _, last = await keeper.expired(late, 10, None)
    assert (first.point_class, first.span, first.bytes) == (3, Span(START_US, ended_us(ended)), segments[0].size_bytes)
    archive.objects.broken = {segments[2].key}
    done = await keeper.delete([first, last])
    assert (done.count, set(done.ids)) == (2, {segments[0].id, segments[2].id})
    assert not (archive.folder / segments[0].key).exists()
    # the row is gone although its object is still there, and the garbage table knows the object
    assert await archive.index.get(segments[2].id) is None
    assert await archive.index.trash() == [segments[2].key]
    assert await keeper.sweep() == 1
    archive.objects.broken = set()
    assert await keeper.sweep() == 0
    assert not (archive.folder / segments[2].key).exists()
    assert (archive.folder / segments[1].key).exists()
    assert (await keeper.delete([first])).count == 1  # already gone counts as deleted
    axes = await archive.timeline.of([POINT], Span(START_US, START_US + 24 * SECOND))
    assert [(gap.start_us - START_US, gap.end_us - START_US, gap.cause) for gap in axes.points[0].gaps] == [
        (0, 8 * SECOND, GapCause.DELETED),
        (16 * SECOND, 24 * SECOND, GapCause.DELETED),
    ]
    text = await archive.playback.playlist(archive.actor, POINT, Span(START_US, START_US + 24 * SECOND))
    assert text.count('X-CAUSE="deleted"') == 2


def ended_us(moment: datetime) -> int:
    return to_micros(moment)


async def test_the_retention_engine_holds_what_is_held(archive: Archive, source: Path, tmp_path: Path) -> None:
    segments = await fill(archive, source)
    day = timedelta(days=1)
    rules = Rules({3: Rule(minimum=day, maximum=day)})
    keeper = keeper_of(archive, rules)
    engine = Retention(
        state=archive.main, ledger=archive.governance.ledger, clock=archive.clock, rules=rules, owned=owned
    )
    engine.register(keeper)
    await Holds(state=archive.main, ledger=archive.governance.ledger, clock=archive.clock).place(
        archive.actor,
        Object(POINT, "/city/north/"),
        start_at=from_micros(START_US + 9 * SECOND),
        end_at=from_micros(START_US + 10 * SECOND),
        reason="case 17",
        review_at=archive.clock.now() + 30 * day,
    )
    await archive.clock.advance(3 * 86_400)
    run = await engine.run_once()
    assert run.deleted == {"recordings": 2}
    assert run.held == {"recordings": 1}
    assert not run.failed
    assert [await archive.index.get(one.id) is not None for one in segments] == [False, True, False]
    (proof,) = (await engine.proofs(await actor_of(archive.governance, "officer.one"), by_hand=False,
                                    span=(None, None), cursor="", limit=10)).items  # fmt: skip
    whole = await engine.proof(await actor_of(archive.governance, "officer.one"), proof.id)
    assert {(one.id, one.bytes, one.sha256) for one in whole.objects} == {
        (one.id, one.size_bytes, one.sha256) for one in (segments[0], segments[2])
    }
    assert all(len(one.sha256 or "") == 64 for one in whole.objects)


async def test_g10_what_reaches_back_too_short_is_told_with_its_cause(archive: Archive) -> None:
    month = timedelta(days=30)
    keeper = keeper_of(archive, Rules({3: Rule(minimum=month, maximum=month)}))
    others = [PointId(f"0198a0de-0000-7000-8000-00000000010{number}") for number in range(4)]
    whole, offline, unplanned, late = others  # late: by half a day, which is no finding
    new = PointId(uuid7((START_US + 38 * DAY_US) // 1000))  # the registry knows it for two days
    await archive.clock.advance((START_US - archive.clock.micros()) / 1e6)
    for point in (whole, offline, late, new):
        await archive.plans.add(Plan(id="", version=0, point=point, point_class=None, mode=Mode.CONTINUOUS))
    now_us = START_US + 40 * DAY_US
    begins = {whole: 9, offline: 20, unplanned: 30, late: 10.5, new: 38}
    await archive.index.add([
        plain(START_US + round(days * DAY_US), START_US + round(days * DAY_US) + 60 * SECOND, point=point)
        for point, days in begins.items()
    ])  # fmt: skip
    gaps = [
        Gap(point=offline, start_us=START_US, end_us=START_US + 19 * DAY_US, cause=GapCause.DEVICE_OFFLINE),
        Gap(point=offline, start_us=START_US + 19 * DAY_US, end_us=START_US + 20 * DAY_US, cause=GapCause.DISK_GUARD),
    ]
    never = PointId("0198a0de-0000-7000-8000-000000000109")
    await archive.plans.add(Plan(id="", version=0, point=never, point_class=None, mode=Mode.CONTINUOUS))
    gaps.append(Gap(point=never, start_us=START_US, end_us=None, cause=GapCause.OPEN_FAILED))
    await archive.index.add_gaps(gaps)
    found, after, rounds = list[Short](), None, 0
    while rounds == 0 or after is not None:
        some, after = await keeper.short(from_micros(now_us), 2, after)
        found += some
        rounds += 1
    assert rounds >= 3
    assert [(one.point, one.since_us - START_US, one.wanted_us, one.why) for one in found] == [
        (offline, 20 * DAY_US, now_us - month // timedelta(microseconds=1), "device_offline"),
        (never, 40 * DAY_US, now_us - month // timedelta(microseconds=1), "open_failed"),
    ]
    assert from_micros(found[0].wanted_us) + month == from_micros(now_us)


async def test_g11_what_lies_within_is_found_of_every_stream(archive: Archive) -> None:
    month = timedelta(days=30)
    keeper = keeper_of(archive, Rules({3: Rule(minimum=month, maximum=month)}))
    minute = 60 * SECOND
    rows = [
        plain(START_US + number * minute, START_US + (number + 1) * minute, stream=stream)
        for number in range(10) for stream in ("main", "sub")
    ]  # fmt: skip
    await archive.index.add([*rows, plain(START_US, START_US + minute, point=PointId(uuid7(START_US // 1000)))])
    span = Span(START_US + minute, START_US + 5 * minute + 1)
    seen: list[str] = []
    after = None
    while some := await keeper.within(POINT, span, 3, after):
        seen += [one.id for one in some]
        after = some[-1]
    assert sorted(seen) == sorted(one.id for one in rows if one.start_us < span.end and one.end_us > span.start)
