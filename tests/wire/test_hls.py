"""Media playlists: as RFC 8216 has them, and as FFmpeg plays them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import pytest

from anwang.kernel.errors import Invalid
from anwang.kernel.times import BEIJING
from anwang.wire.fmp4 import Fragment, Fragmenter, Init
from anwang.wire.hls import ByteRange, InitSection, MediaPlaylist, PlaylistKind, Segment
from tests.wire.scenes import scene

START = datetime(2026, 11, 22, 16, 0, 0, 123456, tzinfo=BEIJING)


def test_every_tag() -> None:
    init = InitSection(uri="a.mp4", byte_range=ByteRange(700, 0))
    playlist = MediaPlaylist(
        kind=PlaylistKind.EVENT, first_number=7, first_discontinuity=2, is_ended=True,
        segments=[
            Segment(uri="a.mp4", duration_90k=180_000, byte_range=ByteRange(5000, 700), starts_at=START, init=init),
            Segment(uri="a.mp4", duration_90k=183_600, byte_range=ByteRange(5000, 5700), init=init),
            Segment(uri="gap", duration_90k=90_000, is_gap=True),
            Segment(uri="b.mp4?t=1", duration_90k=90_000, is_discontinuity=True, init=InitSection(uri="b.mp4")),
        ],
    )  # fmt: skip
    assert playlist.serialize().splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:8",
        "#EXT-X-TARGETDURATION:3",
        "#EXT-X-MEDIA-SEQUENCE:7",
        "#EXT-X-DISCONTINUITY-SEQUENCE:2",
        "#EXT-X-PLAYLIST-TYPE:EVENT",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="a.mp4",BYTERANGE="700@0"',
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-22T08:00:00.123Z",
        "#EXTINF:2.00000,",
        "#EXT-X-BYTERANGE:5000@700",
        "a.mp4",
        "#EXTINF:2.04000,",
        "#EXT-X-BYTERANGE:5000@5700",
        "a.mp4",
        "#EXT-X-GAP",
        "#EXTINF:1.00000,",
        "gap",
        "#EXT-X-DISCONTINUITY",
        '#EXT-X-MAP:URI="b.mp4"',
        "#EXTINF:1.00000,",
        "b.mp4?t=1",
        "#EXT-X-ENDLIST",
    ]


def test_a_live_playlist_has_no_type_and_no_end() -> None:
    text = MediaPlaylist(segments=[], target_90k=180_000).serialize()
    assert "TYPE" not in text
    assert "ENDLIST" not in text
    assert "#EXT-X-TARGETDURATION:2\n" in text
    assert "#EXT-X-VERSION:7\n" in text


@pytest.mark.parametrize("uri", ["", "a\nb", 'a"b', "#EXT-X-KEY", "a\x00b"])
def test_a_uri_can_not_break_its_line(uri: str) -> None:
    good = Segment(uri="a", duration_90k=1)
    with pytest.raises(Invalid):
        MediaPlaylist(segments=[replace(good, uri=uri)]).serialize()
    with pytest.raises(Invalid):
        MediaPlaylist(segments=[replace(good, init=InitSection(uri=uri))]).serialize()


def test_what_can_not_be_said_is_refused() -> None:
    with pytest.raises(Invalid):
        ByteRange(0, 5)
    naive = START.replace(tzinfo=None)
    with pytest.raises(Invalid, match="time zone"):
        MediaPlaylist(segments=[Segment(uri="a", duration_90k=1, starts_at=naive)]).serialize()
    for duration in (0, 180_001):
        with pytest.raises(Invalid, match="segment of"):
            MediaPlaylist(segments=[Segment(uri="a", duration_90k=duration)], target_90k=180_000).serialize()


def test_ffmpeg_plays_it(tmp_path: Path) -> None:
    """One stored file, played by byte ranges from key frame to key frame."""
    made = scene(gop=25, frames=75)
    fragmenter = Fragmenter()
    out = [one for unit in made.video for one in fragmenter.push(unit)] + fragmenter.flush()
    data, segments, begun = b"", list[Segment](), datetime(2026, 1, 1, tzinfo=UTC)
    for one in out:
        if isinstance(one, Init):
            init = InitSection(uri="x.mp4", byte_range=ByteRange(len(one.data), 0))
        elif isinstance(one, Fragment):
            if one.is_key:
                moment = begun + timedelta(seconds=one.decode_time_90k / 90_000)
                place = ByteRange(1, len(data))
                segments.append(Segment(uri="x.mp4", duration_90k=0, byte_range=place, starts_at=moment, init=init))
            last = segments[-1]
            assert last.byte_range
            place = ByteRange(len(data) + len(one.data) - last.byte_range.offset, last.byte_range.offset)
            segments[-1] = replace(last, duration_90k=last.duration_90k + one.duration_90k, byte_range=place)
        data += one.data
    (tmp_path / "x.mp4").write_bytes(data)
    playlist = MediaPlaylist(segments=segments, kind=PlaylistKind.VOD, is_ended=True)
    (tmp_path / "x.m3u8").write_text(playlist.serialize())
    assert len(segments) == 3
    with av.open(str(tmp_path / "x.m3u8")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 75
        assert container.duration == 3_000_000
