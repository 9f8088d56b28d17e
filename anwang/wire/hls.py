"""HLS media playlists over fragmented MP4 (RFC 8216, and draft-pantos-hls-rfc8216bis for EXT-X-GAP)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from anwang.kernel.errors import Invalid
from anwang.wire.units import CLOCK_HZ


class PlaylistKind(StrEnum):
    """EXT-X-PLAYLIST-TYPE (4.3.3.5). LIVE is none: segments leave at the front."""

    LIVE = ""
    EVENT = "EVENT"
    VOD = "VOD"


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A part of a resource, in bytes."""

    size: int
    offset: int

    def __post_init__(self) -> None:
        if self.size <= 0 or self.offset < 0:
            raise Invalid(f"a range of {self.size} bytes at {self.offset}")

    def __str__(self) -> str:
        return f"{self.size}@{self.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InitSection:
    """EXT-X-MAP (4.3.2.5): where the init segment is."""

    uri: str
    byte_range: ByteRange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One media segment.

    duration_90k: in ticks of 90 kHz. starts_at: wall-clock time of its first picture. is_discontinuity: clock or
    parameters change before it. is_gap: there is nothing to fetch, players pass over it. init: needed to decode it.
    """

    uri: str
    duration_90k: int
    byte_range: ByteRange | None = None
    starts_at: datetime | None = None
    is_discontinuity: bool = False
    is_gap: bool = False
    init: InitSection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPlaylist:
    """A media playlist.

    first_number: of the first segment here, since the playlist began. first_discontinuity: discontinuities that have
    left at the front. target_90k: the longest segment there will ever be, found from the segments where not given; it
    must not change in a playlist that is fetched again.
    """

    segments: Sequence[Segment]
    kind: PlaylistKind = PlaylistKind.LIVE
    first_number: int = 0
    first_discontinuity: int = 0
    target_90k: int | None = None
    is_ended: bool = False

    def serialize(self) -> str:
        """The text of the playlist. Raises Invalid for a URI that would break its line, and for a segment over the
        target.
        """
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        target = self.target_90k or max((one.duration_90k for one in self.segments), default=CLOCK_HZ)
        # 4.3.3.1: durations, rounded to whole seconds, must not exceed the target
        whole = max(1, math.ceil(target / CLOCK_HZ))
        yield "#EXTM3U"
        yield f"#EXT-X-VERSION:{8 if any(one.is_gap for one in self.segments) else 7}"
        yield f"#EXT-X-TARGETDURATION:{whole}"
        yield f"#EXT-X-MEDIA-SEQUENCE:{self.first_number}"
        if self.first_discontinuity:
            yield f"#EXT-X-DISCONTINUITY-SEQUENCE:{self.first_discontinuity}"
        if self.kind:
            yield f"#EXT-X-PLAYLIST-TYPE:{self.kind}"
        yield "#EXT-X-INDEPENDENT-SEGMENTS"
        init: InitSection | None = None
        for one in self.segments:
            if not 0 < one.duration_90k <= whole * CLOCK_HZ:
                raise Invalid(f"a segment of {one.duration_90k / CLOCK_HZ:.3f} s in a playlist of at most {whole} s")
            if one.is_discontinuity:
                yield "#EXT-X-DISCONTINUITY"
            if one.init and one.init != init:
                init = one.init
                part = f',BYTERANGE="{init.byte_range}"' if init.byte_range else ""
                yield f'#EXT-X-MAP:URI="{_uri(init.uri)}"{part}'
            if one.starts_at:
                yield f"#EXT-X-PROGRAM-DATE-TIME:{_moment(one.starts_at)}"
            if one.is_gap:
                yield "#EXT-X-GAP"
            yield f"#EXTINF:{one.duration_90k / CLOCK_HZ:.5f},"
            if one.byte_range:
                yield f"#EXT-X-BYTERANGE:{one.byte_range}"
            yield _uri(one.uri)
        if self.is_ended:
            yield "#EXT-X-ENDLIST"


def _moment(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise Invalid("a moment needs a time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _uri(uri: str) -> str:
    if not uri or uri.startswith("#") or any(sign in uri for sign in '\r\n"') or not uri.isprintable():
        raise Invalid(f"{uri[:64]!r} can't stand in a playlist", "percent-encode it")
    return uri
