"""One ordinary MP4 out of stored fragments, without touching a picture (ISO/IEC 14496-12 8.4 to 8.7).

The head (ftyp, moov, start of mdat) is made from the fragments' sample tables; behind it come ranges of the stored
files in the order of `pieces`. So an export of hours is streamed, and can be answered with its exact size before the
first byte.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple

import numpy as np

from anwang.kernel.errors import Invalid
from anwang.wire.fmp4.comment import comment_box
from anwang.wire.fmp4.read import FragmentAt, Movie
from anwang.wire.fmp4.table import Column, Table, before, is_any, table_of
from anwang.wire.fmp4.write import box, full, movie_head, track_box
from anwang.wire.units import CLOCK_HZ, Kind

#: a stretch without samples longer than this is closed, for all tracks alike
MAX_HOLE_90K = CLOCK_HZ
#: samples a chunk may hold where they follow each other in the file
_CHUNK_SAMPLES = 64


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored file, or the part of it that is wanted: its init segment and some of its fragments, in order."""

    movie: Movie
    fragments: Sequence[FragmentAt] | Table


class Piece(NamedTuple):
    """A range of bytes of one stored file. source: its place in the list that was given."""

    source: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """An MP4 to be sent: `head`, then all `pieces`. size: of the whole, in bytes. duration_90k: as a player will show
    it.
    """

    head: bytes
    pieces: list[Piece]
    size: int
    duration_90k: int


@dataclass(slots=True)
class _Column:
    """One track of the result. Times in ticks of its own timescale."""

    kind: Kind
    timescale: int
    width: int
    height: int
    entries: dict[bytes, int] = field(default_factory=dict)
    parts: list[_Part] = field(default_factory=list)
    times: Column = field(default_factory=lambda: _EMPTY)
    sizes: Column = field(default_factory=lambda: _EMPTY)
    cts: Column = field(default_factory=lambda: _EMPTY)
    keys: Column = field(default_factory=lambda: _EMPTY)
    #: (offset behind the start of the data, samples, sample entry)
    chunks: list[tuple[int, int, int]] = field(default_factory=list)
    last_duration: int = 0
    ends_at: int = 0


class _Part(NamedTuple):
    """What a track takes of one file. times: of each sample, where nothing overlaps. at, counts: of each run, where its
    bytes stand in the data and how many samples it has."""

    times: Column
    durations: Column
    sizes: Column
    cts: Column
    keys: Column
    at: Column
    counts: Column
    entry: int


_EMPTY: Column = np.zeros(0, dtype=np.int64)


def flatten(stored: Sequence[Stored], *, skip_90k: int = 0, length_90k: int | None = None, comment: str = "") -> Flat:
    """The plan of one MP4 from fragments of one or more files, the first of which must begin with a key frame.

    Where times jump between fragments (a hole of more than a second, another file's clock) the parts are joined
    without a gap, all tracks by the same amount. Other parameters become further sample entries of the same track.
    skip_90k: how far behind the first picture the film begins, by an edit list, so that it can begin between key
    frames. length_90k: how long it is from there, to the end where not given. comment: for the file's metadata.
    Raises Invalid without samples, or where it does not begin with a key frame.
    """
    columns, pieces, data_size = _collect(stored)
    lead = columns[0] if columns else None
    if lead is None or not len(lead.sizes):
        raise Invalid("nothing was recorded in this range")
    if lead.kind is Kind.VIDEO and (not len(lead.keys) or lead.keys[0] != 1):
        raise Invalid("an export must begin with a key frame", "begin with the key frame before and skip to the moment")
    start_90k = int(lead.times[0] + lead.cts[0]) * CLOCK_HZ // lead.timescale + skip_90k
    end_90k = max(int(column.ends_at + column.cts[0]) * CLOCK_HZ // column.timescale for column in columns)
    length = max(0, end_90k - start_90k)
    if length_90k is not None:
        length = min(length, length_90k)
    wide = data_size > 0xF000_0000
    more = comment_box(comment) if comment else b""
    movie_size = len(_moov(columns, start_90k, length, 0, more, wide=wide))
    ftyp = box(b"ftyp", b"isom\x00\x00\x02\x00isomiso2mp41")
    mdat = struct.pack(">I4sQ", 1, b"mdat", data_size + 16) if wide else struct.pack(">I4s", data_size + 8, b"mdat")
    data_at = len(ftyp) + movie_size + len(mdat)
    head = ftyp + _moov(columns, start_90k, length, data_at, more, wide=wide) + mdat
    return Flat(head=head, pieces=pieces, size=len(head) + data_size, duration_90k=length)


def _collect(stored: Sequence[Stored]) -> tuple[list[_Column], list[Piece], int]:
    columns: dict[Kind, _Column] = {}
    pieces: list[Piece] = []
    size = 0
    shift_90k: int | None = None
    expected_90k = 0
    for number, one in enumerate(stored):
        table = one.fragments if isinstance(one.fragments, Table) else table_of(one.fragments)
        if not len(table.fragment_at):
            continue
        begins, lasts = times_90k(table, one.movie)
        # where the fragment before ended, on this file's own clock
        due = np.append(begins[:1], (begins + lasts)[:-1])
        if shift_90k is None:
            shift_90k = MAX_HOLE_90K - int(begins[0])
        else:
            due[0] = expected_90k - shift_90k
        step = begins - due
        jumps = np.where((step < -MAX_HOLE_90K // 4) | (step > MAX_HOLE_90K), -step, 0)
        shifts = shift_90k + np.cumsum(jumps)
        shift_90k = int(shifts[-1])
        expected_90k = int(begins[-1] + lasts[-1]) + shift_90k
        size += _append(columns, pieces, one.movie, table, np.repeat(shifts, table.fragment_runs), number, size)
    ordered = [columns[kind] for kind in (Kind.VIDEO, Kind.AUDIO) if kind in columns]
    for column in ordered:
        _join(column)
    return ordered, pieces, size


def times_90k(table: Table, movie: Movie) -> tuple[Column, Column]:
    """Of each fragment, when its picture is decoded and how long it lasts; of its first run where it has no picture."""
    lead = _leads(table, movie)
    ends = np.append(0, np.cumsum(table.duration))
    first = table.first_sample
    lasting = ends[first + table.run_samples] - ends[first]
    begins, lasts = table.run_time[lead], lasting[lead]
    for track in movie.tracks:
        if track.timescale != CLOCK_HZ:
            own = table.run_track[lead] == track.id
            begins[own] = _scaled(begins[own], CLOCK_HZ, track.timescale)
            lasts[own] = _scaled(lasts[own], CLOCK_HZ, track.timescale)
    return begins, lasts


def delays_90k(table: Table, movie: Movie) -> Column:
    """Of each fragment, showing time less decoding time of its first picture; 0 where it has no picture."""
    lead = _leads(table, movie)
    delays = table.cts[table.first_sample[lead]]
    for track in movie.tracks:
        own = table.run_track[lead] == track.id
        delays[own] = _scaled(delays[own], CLOCK_HZ, track.timescale) if track.kind is Kind.VIDEO else 0
    return delays


def _leads(table: Table, movie: Movie) -> Column:
    """Of each fragment, the place of its first run of video, or of its first."""
    first = table.first_run
    is_video = is_any(table.run_track, [track.id for track in movie.tracks if track.kind is Kind.VIDEO])
    none = len(is_video)
    found = np.minimum.reduceat(np.where(is_video, np.arange(none), none), first) if len(first) else first
    return np.where(found < none, found, first)


def _scaled(values: Column, to: int, of: int) -> Column:
    """Ticks of `of` a second in ticks of `to` a second, rounded down."""
    if to == of or not len(values):
        return values
    if int(np.abs(values).max()) > (1 << 62) // to:
        return np.array([value * to // of for value in values.tolist()], dtype=np.int64)
    return values * to // of


def _append(
    columns: dict[Kind, _Column], pieces: list[Piece], movie: Movie, table: Table, shifts: Column, number: int, at: int
) -> int:
    """Adds the samples of a file; returns their bytes. shifts: of each run, in 90 kHz."""
    tracks = [track for kind in (Kind.VIDEO, Kind.AUDIO) if (track := movie.track(kind))]
    taken = is_any(np.repeat(table.run_track, table.run_samples), [track.id for track in tracks])
    sizes = np.where(taken, table.size, 0)
    data_at = at + before(sizes)
    first = table.first_sample
    for track in tracks:
        runs = table.run_track == track.id
        if not runs.any():
            continue
        column = columns.setdefault(track.kind, _Column(track.kind, track.timescale, track.width, track.height))
        scale, counts = column.timescale, table.run_samples[runs]
        own = np.repeat(runs, table.run_samples)
        begins = _scaled(table.run_time[runs], scale, track.timescale) + _scaled(shifts[runs], scale, CLOCK_HZ)
        durations = _scaled(table.duration[own], scale, track.timescale)
        since = before(durations)
        times = np.repeat(begins - since[before(counts)], counts) + since
        entry = column.entries.setdefault(track.entry, len(column.entries) + 1)
        cts = _scaled(table.cts[own], scale, track.timescale)
        keys = table.is_key[own]
        column.parts.append(
            _Part(times, durations, table.size[own], cts, keys, data_at[first[runs]], counts, entry)
        )  # fmt: skip
    offsets, lengths = table.at[taken], table.size[taken]
    if len(offsets):
        begins = np.flatnonzero(np.append(True, offsets[1:] != (offsets + lengths)[:-1]))
        joined = np.add.reduceat(lengths, begins)
        pieces += map(Piece._make, zip(repeat(number), offsets[begins].tolist(), joined.tolist(), strict=False))
    return int(sizes.sum())


def _join(column: _Column) -> None:
    """The parts of a track one behind the other."""
    parts, column.parts = column.parts, []
    column.times = np.concatenate([part.times for part in parts])
    durations = np.concatenate([part.durations for part in parts])
    counts = np.concatenate([part.counts for part in parts])
    if (column.times[1:] <= column.times[:-1]).any():
        _lay_out(column.times, durations, counts)
    column.sizes = np.concatenate([part.sizes for part in parts])
    column.cts = np.concatenate([part.cts for part in parts])
    column.keys = np.flatnonzero(np.concatenate([part.keys for part in parts])) + 1
    column.last_duration = int(durations[-1])
    column.ends_at = int(column.times[-1]) + column.last_duration
    ends = np.append(0, np.cumsum(column.sizes))
    first = before(counts)
    starts = np.concatenate([part.at for part in parts])
    entries = np.concatenate([np.full(len(part.counts), part.entry) for part in parts])
    until = starts + ends[first + counts] - ends[first]
    follows = np.append(False, (starts[1:] == until[:-1]) & (entries[1:] == entries[:-1]))
    at = held = entry = 0
    for start, count, owner, is_next in zip(
        starts.tolist(), counts.tolist(), entries.tolist(), follows.tolist(), strict=True
    ):
        if is_next and held + count <= _CHUNK_SAMPLES:
            held += count
            continue
        if held:
            column.chunks.append((at, held, entry))
        at, held, entry = start, count, owner
    column.chunks.append((at, held, entry))


def _lay_out(times: Column, durations: Column, counts: Column) -> None:
    """Overlapping stretches end to end: a decoder needs rising times."""
    wanted, lasting = times.tolist(), durations.tolist()
    place = 0
    last: int | None = None
    for count in counts.tolist():
        time = wanted[place]
        for _ in range(count):
            last = time = time if last is None else max(time, last + 1)
            wanted[place] = time
            time += lasting[place]
            place += 1
    times[:] = wanted


def _moov(columns: list[_Column], start_90k: int, length_90k: int, data_at: int, more: bytes, *, wide: bool) -> bytes:
    traks = [
        track_box(
            number, is_video=column.kind is Kind.VIDEO, width=column.width, height=column.height,
            duration_90k=length_90k, timescale=column.timescale,
            media_duration=int(column.times[-1] - column.times[0]) + max(column.last_duration, 1),
            edits=_edits(column, start_90k, length_90k), table=_table(column, data_at, wide=wide),
        )
        for number, column in enumerate(columns, 1)
    ]  # fmt: skip
    return box(b"moov", movie_head(length_90k, len(columns)), *traks, more)


def _edits(column: _Column, start_90k: int, length_90k: int) -> bytes:
    """From when on, in the media's own time, a track is shown (8.6.6)."""
    first_90k = int(column.times[0]) * CLOCK_HZ // column.timescale
    edits: list[tuple[int, int]] = []
    wait = min(first_90k - start_90k, length_90k)
    if wait > 0:
        edits.append((wait, -1))
    inner = max(0, start_90k - first_90k) * column.timescale // CLOCK_HZ
    if length_90k - max(wait, 0) > 0:
        edits.append((length_90k - max(wait, 0), inner))
    body = b"".join(struct.pack(">QqI", duration, time, 0x10000) for duration, time in edits)
    return box(b"edts", full(b"elst", 1, 0, struct.pack(">I", len(edits)), body))


def _table(column: _Column, data_at: int, *, wide: bool) -> bytes:
    steps = np.append(np.diff(column.times), max(column.last_duration, 1))
    parts = [
        full(b"stsd", 0, 0, struct.pack(">I", len(column.entries)), *column.entries),
        full(b"stts", 0, 0, *_runs(steps)),
    ]
    if column.cts.any():
        parts.append(full(b"ctts", 1, 0, *_runs(column.cts & 0xFFFFFFFF)))
    if column.kind is Kind.VIDEO:
        parts.append(full(b"stss", 0, 0, _words(len(column.keys)), _words(column.keys)))
    spans: list[int] = []
    shape: tuple[int, int] | None = None
    for number, (_, count, entry) in enumerate(column.chunks, 1):
        if (count, entry) != shape:
            shape = (count, entry)
            spans += (number, count, entry)
    parts.append(full(b"stsc", 0, 0, struct.pack(f">I{len(spans)}I", len(spans) // 3, *spans)))
    parts.append(full(b"stsz", 0, 0, _words([0, len(column.sizes)]), _words(column.sizes)))
    offsets = [data_at + at for at, _, _ in column.chunks]
    parts.append(
        full(
            b"co64" if wide else b"stco",
            0,
            0,
            struct.pack(f">I{len(offsets)}{'Q' if wide else 'I'}", len(offsets), *offsets),
        )
    )
    return box(b"stbl", *parts)


def _runs(values: Column) -> tuple[bytes, bytes]:
    """Count, then (how many, value) each."""
    begins = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    counts = np.diff(np.append(begins, len(values)))
    return _words(len(begins)), _words(np.column_stack((counts, values[begins])))


def _words(values: Column | Sequence[int] | int) -> bytes:
    """Numbers of 32 bits, big end first. Raises Invalid where one needs more."""
    numbers = np.asarray(values, dtype=np.int64)
    if numbers.size and (numbers.min() < 0 or numbers.max() > 0xFFFFFFFF):
        raise Invalid("a stretch of this recording is too long for one clip", "ask for a shorter one")
    return numbers.astype(">u4").tobytes()
