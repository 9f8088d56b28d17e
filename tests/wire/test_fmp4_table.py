"""The table behind a file's fragments: it says what they say, or it is refused."""

from __future__ import annotations

import contextlib
import struct
import zlib
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anwang.kernel.errors import WireError
from anwang.wire import fmp4
from anwang.wire.aac import AacConfig
from anwang.wire.fmp4 import Fragmenter, Init, Run, Sample, Table, pack_table, read_table, scan, table_of, table_size
from tests.wire.scenes import scene

NAMES = tuple(Table.__slots__)


def columns(table: Table) -> dict[str, list[int]]:
    return {name: getattr(table, name).tolist() for name in NAMES}


@cache
def init() -> bytes:
    """The front of a file of video and sound."""
    fragmenter = Fragmenter(audio=AacConfig.lc(16000, 1))
    made = [one for unit in scene(sound=True).units for one in fragmenter.push(unit)]
    return next(one.data for one in made if isinstance(one, Init))


samples = st.builds(
    lambda size, duration, is_key, offset: Sample((b"\x65" * size,), size, duration, is_key, offset),
    st.integers(1, 300), st.integers(0, 2**32 - 1), st.booleans(), st.integers(-(2**31), 2**31 - 1),
)  # fmt: skip
sound = st.builds(
    lambda size, duration: Sample((b"\x21" * size,), size, duration), st.integers(1, 99), st.integers(0, 9000)
)
files = st.lists(
    st.tuples(st.integers(0, 2**40), st.lists(samples, min_size=1, max_size=4), st.lists(sound, max_size=4)),
    max_size=12,
)


def written(made: list[tuple[int, list[Sample], list[Sample]]]) -> bytes:
    data = init()
    for number, (time, pictures, heard) in enumerate(made, 1):
        runs = [Run(fmp4.VIDEO_TRACK, time, pictures)]
        if heard:
            runs.append(Run(fmp4.AUDIO_TRACK, time, heard))
        data += fmp4.fragment(number, runs)
    return data


@given(made=files, torn=st.integers(0, 400))
@settings(max_examples=150, deadline=None)
def test_the_table_says_what_the_fragments_say(made: list[tuple[int, list[Sample], list[Sample]]], torn: int) -> None:
    """Sound, pictures shown in another order, one frame, none, an end in the middle of a fragment."""
    data = written(made)
    found = scan(data[: max(len(init()), len(data) - torn)])
    whole = data[: found.complete_to]
    table = table_of(found.fragments)
    box = pack_table(table, offset=len(whole))
    assert table_size((whole + box)[-64:]) == table_size(whole + box) == len(box)
    again = read_table(box, found.movie, offset=len(whole))
    assert columns(again) == columns(table)
    assert again.at.tolist() == [one.offset for at in found.fragments for run in at.runs for one in run.samples]
    # whoever reads the fragments steps over it
    assert scan(whole + box).fragments == found.fragments
    assert not scan(whole + box).is_truncated
    first = len(found.fragments) // 2
    assert columns(table.part(first, len(found.fragments))) == columns(table_of(found.fragments[first:]))


def test_a_table_is_small() -> None:
    fragmenter = Fragmenter(audio=AacConfig.lc(16000, 1))
    made = [one for unit in scene(sound=True).units for one in fragmenter.push(unit)]
    found = scan(b"".join(one.data for one in made))
    count = sum(len(run.samples) for one in found.fragments for run in one.runs)
    assert len(pack_table(table_of(found.fragments), offset=0)) < 200 + 4 * count


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_table_is_refused(data: st.DataObject) -> None:
    picture = Sample((b"\x65" * 9,), 9, 3600, True)
    whole = written([(n * 3600, [picture], [picture] if n % 2 else []) for n in range(6)])
    found = scan(whole)
    box = pack_table(table_of(found.fragments), offset=len(whole))
    for other in (
        data.draw(st.binary(max_size=300)),
        box[: data.draw(st.integers(0, len(box) - 1))],
        box + b"\0",
        (at := data.draw(st.integers(0, len(box) - 1)))
        and box[:at] + bytes([box[at] ^ data.draw(st.integers(1, 255))]) + box[at + 1 :],
    ):
        if other:
            with pytest.raises(WireError):
                read_table(other, found.movie, offset=len(whole))
    with pytest.raises(WireError):
        read_table(box, found.movie, offset=len(whole) + 1)


@given(data=st.data(), end=st.integers(0, 5000))
@settings(max_examples=300, deadline=None)
def test_a_table_that_lies_leads_nowhere_outside_its_file(data: st.DataObject, end: int) -> None:
    """Whole by its checksum, with any numbers in it: refused, or all samples lie in their fragments, before it."""
    fragments, runs, count = (data.draw(st.integers(0, 3)) for _ in range(3))
    number = st.one_of(st.integers(0, 3), st.integers(-(2**63), 2**63 - 1), st.integers(-9, 600))
    raw = b""
    for rows in [fragments] * 3 + [runs] * 3 + [count] * 5:
        values = data.draw(st.lists(number, min_size=rows, max_size=rows))
        packed = struct.pack(f"<{rows}q", *values)
        raw += b"".join(packed[weight::8] for weight in range(8))
    body = zlib.compress(raw)
    counts = struct.pack(">QIII", end, fragments, runs, count)
    size = 48 + len(body) + 4
    crc = zlib.crc32(body, zlib.crc32(counts))
    box = struct.pack(">I4s16sI", size, b"uuid", fmp4.TABLE_TYPE, crc) + counts + body + struct.pack(">I", size)
    with contextlib.suppress(WireError):
        table = read_table(box, scan(init()).movie, offset=end)
        assert int(table.fragment_runs.sum()) == len(table.run_track)
        assert int(table.run_samples.sum()) == len(table.at)
        for at, length in zip(table.at.tolist(), table.size.tolist(), strict=True):
            assert 0 <= at <= at + length <= end


@given(tail=st.binary(max_size=200))
def test_any_end_of_a_file(tail: bytes) -> None:
    assert 0 <= table_size(tail) <= 64 << 20


def test_numbers_beyond_all_use_are_refused() -> None:
    data = written([(2**63, [Sample((b"\x65",), 1, 1, True)], [])])
    with pytest.raises(WireError, match="beyond"):
        table_of(scan(data).fragments)
