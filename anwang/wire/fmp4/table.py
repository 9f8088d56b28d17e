"""Where every sample of a file is, in columns: made from the fragments once, kept behind them in a box of its own.

A file of one picture a fragment has a `moof` every few kilobytes, and a clip of an hour would touch all of them before
its first byte. The same numbers in one compressed box are a few kilobytes together. The box is a `uuid` box (ISO/IEC
14496-12 11.1) that players step over; its last four bytes repeat its size, so that it is found from the file's end.
It is a copy: a file without it, or with one that doesn't fit, is read from its fragments.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anwang.kernel.errors import WireError
from anwang.wire.fmp4.read import FragmentAt, Movie

Column = NDArray[np.int64]

TABLE_TYPE = bytes.fromhex("616e77616e675461626c6590a1c3e5f7")
#: fragments, runs and samples that a table may have: a day of pictures and sound of one camera is 4 million
MAX_ROWS = 1 << 23
#: times, offsets and sizes stay below, so that sums of them fit
MAX_VALUE = 1 << 48
#: bytes of a box: three columns of a fragment, three of a run, five of a sample at their largest are more than this
MAX_TABLE = 64 << 20

_HEAD = struct.Struct(">I4s16sIQIII")  # size, uuid, type, CRC-32 of what follows it, its own offset, the three counts
_LEAST = _HEAD.size + 4


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Fragments, their runs, their samples, each in the file's order. Offsets are from the file's first byte, times in
    ticks of the track.

    fragment_at, fragment_size, fragment_runs: where moof and mdat are, and how many runs they have, at least one.
    run_track, run_time, run_samples: the track, the decode time of its first sample, how many it has, at least one.
    at, size, duration, cts, is_key: as `SampleAt`.
    """

    fragment_at: Column
    fragment_size: Column
    fragment_runs: Column
    run_track: Column
    run_time: Column
    run_samples: Column
    at: Column
    size: Column
    duration: Column
    cts: Column
    is_key: Column

    @property
    def first_run(self) -> Column:
        """Of each fragment, the place of its first run."""
        return before(self.fragment_runs)

    @property
    def first_sample(self) -> Column:
        """Of each run, the place of its first sample."""
        return before(self.run_samples)

    def part(self, first: int, last: int) -> Table:
        """The fragments first..last, half-open."""
        runs = bounds(self.fragment_runs, first, last)
        samples = bounds(self.run_samples, *runs)
        columns = [getattr(self, name) for name in _NAMES]
        cuts = [(first, last)] * 3 + [runs] * 3 + [samples] * 5
        return Table(*(column[start:end] for column, (start, end) in zip(columns, cuts, strict=True)))


_NAMES = (
    "fragment_at", "fragment_size", "fragment_runs", "run_track", "run_time", "run_samples",
    "at", "size", "duration", "cts", "is_key",
)  # fmt: skip


def before(counts: Column) -> Column:
    """Of each, the sum of those before it."""
    return np.cumsum(counts) - counts


def is_any(values: Column, wanted: Sequence[int]) -> NDArray[np.bool_]:
    """Of each value, whether it is one of a few."""
    found = np.zeros(len(values), dtype=np.bool_)
    for one in wanted:
        found |= values == one
    return found


def bounds(counts: Column, first: int, last: int) -> tuple[int, int]:
    """The range that rows first..last of counts cover."""
    start = int(counts[:first].sum())
    return start, start + int(counts[first:last].sum())


def table_of(fragments: Sequence[FragmentAt], *, at: int = 0) -> Table:
    """The table of fragments whose offsets count from `at`; those without samples are left out.

    Raises WireError where a number is beyond all use.
    """
    kept = [one for one in fragments if one.runs]
    runs = [run for one in kept for run in one.runs]
    samples = [sample for run in runs for sample in run.samples]
    try:
        table = Table(
            _column([one.offset + at for one in kept]),
            _column([one.size for one in kept]),
            _column([len(one.runs) for one in kept]),
            _column([run.track for run in runs]),
            _column([run.decode_time for run in runs]),
            _column([len(run.samples) for run in runs]),
            _column([sample.offset + at for sample in samples]),
            _column([sample.size for sample in samples]),
            _column([sample.duration for sample in samples]),
            _column([sample.cts for sample in samples]),
            _column([sample.is_key for sample in samples]),
        )
    except OverflowError:
        raise WireError("a fragment's numbers are beyond all use") from None
    if not _is_small(table):
        raise WireError("a fragment's numbers are beyond all use")
    return table


def _column(values: Sequence[int]) -> Column:
    return np.array(values, dtype=np.int64)


def _is_small(table: Table) -> bool:
    return all(
        not len(column) or (int(column.max()) < MAX_VALUE and int(column.min()) > -MAX_VALUE)
        for column in (getattr(table, name) for name in _NAMES)
    )


def pack_table(table: Table, *, offset: int) -> bytes:
    """The box, to stand at `offset` of the file. Raises WireError where it would be larger than MAX_TABLE."""
    ends, at = table.fragment_at + table.fragment_size, table.at
    # what follows from the row before is zero
    columns = [table.fragment_at - np.append(0, ends[:-1]) if len(ends) else ends]
    columns.append(ends - (at + table.size)[_last_samples(table)])
    columns += [table.fragment_runs, table.run_track, _from_before(table.run_time), table.run_samples]
    columns += [at - np.append(0, (at + table.size)[:-1]) if len(at) else at]
    columns += [table.size, table.duration, table.cts, table.is_key]
    # bytes of one weight side by side: most of them are zeros, and the box is a third of what it would be
    raw = b"".join(column.astype("<i8").view(np.uint8).reshape(-1, 8).T.tobytes() for column in columns)
    body = zlib.compress(raw, 6)
    size = _HEAD.size + len(body) + 4
    if size > MAX_TABLE or max(len(table.fragment_at), len(table.run_track), len(at)) > MAX_ROWS:
        raise WireError(f"a table of {len(at)} samples")
    counts = struct.pack(">QIII", offset, len(table.fragment_at), len(table.run_track), len(at))
    crc = zlib.crc32(body, zlib.crc32(counts))
    head = struct.pack(">I4s16sI", size, b"uuid", TABLE_TYPE, crc) + counts
    return head + body + size.to_bytes(4, "big")


def _last_samples(table: Table) -> Column:
    """Of each fragment, the place of its last sample."""
    ends = np.cumsum(table.run_samples)
    return ends[np.cumsum(table.fragment_runs) - 1] - 1


def _from_before(values: Column) -> Column:
    return np.diff(values, prepend=np.int64(0))


def table_size(tail: bytes) -> int:
    """How long the box is that a file with these last bytes ends in; 0 where it doesn't look like ending in one."""
    size = int.from_bytes(tail[-4:], "big")
    if len(tail) < 4 or not _LEAST <= size <= MAX_TABLE:
        return 0
    head = tail[-size:][:24] if size <= len(tail) else b""
    return size if not head or head == struct.pack(">I4s16s", size, b"uuid", TABLE_TYPE) else 0


def read_table(box: bytes, movie: Movie, *, offset: int) -> Table:
    """The table in a box that stands at `offset` of its file.

    Raises WireError for one that is damaged, is of another file, or names what lies outside the fragments.
    """
    if len(box) < _LEAST or len(box) > MAX_TABLE:
        raise WireError("no table", data=box[:64])
    size, kind, user, crc, own, *counts = _HEAD.unpack_from(box)
    body = box[_HEAD.size : -4]
    if (size, kind, user, own) != (len(box), b"uuid", TABLE_TYPE, offset) or box[-4:] != box[:4]:
        raise WireError("no table of this file", data=box[:64])
    if crc != zlib.crc32(body, zlib.crc32(box[28 : _HEAD.size])) or max(counts) > MAX_ROWS:
        raise WireError("a damaged table", data=box[:64])
    rows = [counts[0]] * 3 + [counts[1]] * 3 + [counts[2]] * 5
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(body, sum(rows) * 8 + 1)
    except zlib.error:
        raise WireError("a damaged table", data=box[:64]) from None
    if len(raw) != sum(rows) * 8 or not inflate.eof:
        raise WireError("a table with other rows than it says", data=box[:64])
    columns: list[Column] = []
    at = 0
    for count in rows:
        shuffled = np.frombuffer(raw, dtype=np.uint8, count=count * 8, offset=at).reshape(8, count)
        columns.append(np.ascontiguousarray(shuffled.T).view("<i8").reshape(count).astype(np.int64))
        at += count * 8
    return _restored(columns, movie, offset)


def _restored(columns: list[Column], movie: Movie, end: int) -> Table:
    """The table from the columns as they were packed, if it holds together. Raises WireError."""
    holes, rest, runs, track, times, samples, gaps, size, duration, cts, is_key = columns
    limit = np.int64(MAX_VALUE)
    if any(len(one) and (one.max() >= limit or one.min() <= -limit) for one in columns):
        raise WireError("a table with impossible numbers")
    if (len(runs) and int(runs.max()) > len(track)) or (len(samples) and int(samples.max()) > len(size)):
        raise WireError("a table that does not add up")
    if (
        any(len(one) and one.min() < 1 for one in (runs, samples))
        or int(runs.sum()) != len(track) or int(samples.sum()) != len(size)
        or any(len(one) and one.min() < 0 for one in (holes, rest, size, duration))
        or (len(size) and int(size.max()) > end) or (len(gaps) and int(np.abs(gaps).max()) > end)
    ):  # fmt: skip
        raise WireError("a table that does not add up")
    if not len(runs):
        return Table(*(np.zeros(0, dtype=np.int64) for _ in columns))
    # summed as real numbers first: what overflows there is not in the file
    if any(float(np.abs(one).sum(dtype=np.float64)) > 1 << 61 for one in (size, gaps, times)):
        raise WireError("a table that does not add up")
    at = np.cumsum(gaps + np.append(0, size[:-1]))
    sample_ends = at + size
    last = np.cumsum(samples)[np.cumsum(runs) - 1] - 1
    ends = sample_ends[last] + rest
    begins = holes + np.append(0, ends[:-1])
    owner = np.repeat(np.repeat(np.arange(len(runs)), runs), samples)
    if (
        (ends > end).any() or (begins >= ends).any()
        or (at < begins[owner]).any() or (sample_ends > ends[owner]).any()
        or not is_any(track, [one.id for one in movie.tracks]).all() or not is_any(is_key, (0, 1)).all()
    ):  # fmt: skip
        raise WireError("a table that leads outside its file")
    start = np.cumsum(times)
    if np.abs(start.astype(np.float64)).max() >= MAX_VALUE or start.min() < 0:
        raise WireError("a table with impossible times")
    return Table(begins, ends - begins, runs, track, start, samples, at, size, duration, cts, is_key)
