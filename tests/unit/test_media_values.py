"""Shared values of the media slice: times that cannot be, origins, and the packing of key frames."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.kernel.errors import Invalid, WireError
from anwang.media.model import (
    KeyFrame,
    Origin,
    check_micros,
    origin_box,
    pack_key_frames,
    read_origin,
    unpack_key_frames,
)

ID = "0198a0de-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (1_795_305_480, "seconds"),
        (1_795_305_480_000, "milliseconds"),
        (1_795_305_480_000_000_000, "nanoseconds"),
        (0, "not a time"),
        (-5, "not a time"),
        (17_953_054_800_000_000, "not a time"),
    ],
)
def test_a_time_in_another_unit_is_named(value: int, unit: str) -> None:
    with pytest.raises(Invalid, match=unit):
        check_micros(value, "from")
    assert check_micros(1_795_305_480_000_000, "from") == 1_795_305_480_000_000


@given(st.lists(st.tuples(st.integers(0, 3_600_000), st.integers(0, 1 << 40)), max_size=50))
def test_key_frames_survive_packing(pairs: list[tuple[int, int]]) -> None:
    times, places = sorted(time for time, _ in pairs), sorted(place for _, place in pairs)
    frames = [KeyFrame(time * 1000, place) for time, place in zip(times, places, strict=True)]
    assert unpack_key_frames(pack_key_frames(frames)) == frames


@given(st.binary(max_size=64))
def test_random_key_frames(data: bytes) -> None:
    with contextlib.suppress(Invalid):
        unpack_key_frames(data)


def test_an_origin_survives_behind_other_boxes() -> None:
    origin = Origin(point=ID, stream="main", segment=ID, start_us=1_795_305_480_123_456, continues=True)
    init = b"\x00\x00\x00\x0cftypisom" + b"\x00\x00\x00\x08moov" + origin_box(origin)
    assert read_origin(init) == origin
    assert read_origin(init + b"\x00\x00\x00\x10moof trailing") == origin


@pytest.mark.parametrize(
    "origin",
    [
        Origin(point=ID, stream="main", segment=ID, start_us=1_795_305_480_123),
        Origin(point="../../etc", stream="main", segment=ID, start_us=1_795_305_480_123_456),
        Origin(point=ID, stream="a/b", segment=ID, start_us=1_795_305_480_123_456),
        Origin(point=ID, stream="main", segment="x", start_us=1_795_305_480_123_456),
        Origin(point=ID, stream="", segment=ID, start_us=1_795_305_480_123_456),
    ],
)
def test_an_impossible_origin(origin: Origin) -> None:
    with pytest.raises(WireError):
        read_origin(origin_box(origin))


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_random_origins(data: bytes, body: bytes) -> None:
    whole = origin_box(Origin(point=ID, stream="main", segment=ID, start_us=1_795_305_480_123_456))
    for bad in (data, whole[:24] + body, len(body).to_bytes(4, "big") + whole[4:24] + body, whole[: len(data)] + data):
        with contextlib.suppress(WireError):
            read_origin(bad)
