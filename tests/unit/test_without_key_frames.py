"""A camera that gives no key frame: no segment without an end, and the device is asked for one first."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from anwang.media.child.recorder import ASKS_AFTER, ENDS_AFTER, Recording, Writer
from anwang.media.control import NO_KEY, FromChild, Lost, Odd, Sealed
from anwang.media.model import GapCause
from anwang.stores.objects import Objects
from anwang.wire.fmp4 import Fragment, Fragmenter, Init
from anwang.wire.units import Codec, Kind, Unit
from tests.flow.test_media_child import clip

START_US = 1_790_000_000_000_000
POINT = "0198a0de-0000-7000-8000-000000000001"
SECONDS = 2


def without_key_frames() -> list[Init | Fragment]:
    """A key frame at the beginning, and never again: one second of pictures, over and over."""
    fragmenter = Fragmenter()
    pictures = clip(1)
    made: list[Init | Fragment] = []
    for number in range(SECONDS * (ENDS_AFTER + 1) * 25):
        data = pictures[0] if number == 0 else pictures[1 + number % (len(pictures) - 1)]
        made += fragmenter.push(
            Unit(kind=Kind.VIDEO, codec=Codec.H264, data=data, pts_90k=number * 3600, is_key=number == 0)
        )
    return made


def test_a_segment_ends_although_no_key_frame_comes(tmp_path: Path) -> None:
    told: list[FromChild] = []
    objects = Objects.open(f"file://{tmp_path}/disk")
    writer = Writer(objects, told.append)
    recording = Recording(writer, stream="feed", point=POINT, name="main", seconds=SECONDS)
    now_us, asked_us, ended_us = START_US, 0, 0
    for item in without_key_frames():
        if isinstance(item, Init):
            recording.begin(item)
            continue
        recording.push(item, now_us)
        now_us += 40_000
        asked_us = asked_us or (now_us if any(isinstance(one, Odd) for one in told) else 0)
        ended_us = ended_us or (now_us if any(isinstance(one, Lost) for one in told) else 0)
    writer.stop()
    asked = [one for one in told if isinstance(one, Odd)]
    assert [one.kind for one in asked] == [NO_KEY], "once a segment"
    assert asked_us - START_US == (ASKS_AFTER * SECONDS) * 1_000_000 + 40_000
    (lost,) = [one for one in told if isinstance(one, Lost)]
    assert (lost.cause, lost.detail) == (GapCause.NO_KEY_FRAME, f"no key frame for {ENDS_AFTER * SECONDS} s")
    assert not recording.is_begun and ended_us - START_US <= (ENDS_AFTER * SECONDS + 1) * 1_000_000
    (sealed,) = [one for one in told if isinstance(one, Sealed)]
    assert round((sealed.end_us - sealed.start_us) / 1e6, 1) == ENDS_AFTER * SECONDS
    assert (tmp_path / "disk" / sealed.key).stat().st_size == sealed.size_bytes
    assert cast(Any, recording)._segment is None
