"""What a playlist asks for: a conversion only where there is something to convert."""

from __future__ import annotations

from anwang.kernel.times import Span
from anwang.media.playback import pieces_of, playlist
from tests.recordings import START_US, plain

MINUTE = 60_000_000


def uris(*, as_h264: bool) -> list[str]:
    old = plain(START_US, START_US + MINUTE, codec="hvc1.1.6.L120.90,mp4a.40.2")
    new = plain(START_US + MINUTE, START_US + 2 * MINUTE)
    pieces = [piece for one in (old, new) for piece in pieces_of(one, is_open=False)]
    span = Span(START_US, START_US + 2 * MINUTE)
    text = playlist(pieces, span=span, token="t", is_final=True, as_h264=as_h264)
    return [line for line in text.splitlines() if "/media/" in line]


def test_only_h265_is_asked_for_as_h264() -> None:
    found = uris(as_h264=True)
    converted = [uri for uri in found if "as=h264" in uri]
    assert converted and len(converted) == len(found) // 2
    assert converted == found[: len(converted)], "the H.265 segment, init part and pieces"
    assert not any("as=h264" in uri for uri in uris(as_h264=False))
