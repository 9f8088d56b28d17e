"""One ordinary MP4 out of stored fragments, without touching a picture (ISO/IEC 14496-12 8.4 to 8.7).

The head (ftyp, moov, start of mdat) is made from the fragments' sample tables; behind it come ranges of the stored
files in the order of `pieces`. So an export of hours is streamed, and can be answered with its exact size before the
first byte.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from anwang.kernel.errors import Invalid
from anwang.wire.fmp4.read import FragmentAt, Movie, RunAt, Track
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
    fragments: Sequence[FragmentAt]


@dataclass(frozen=True, slots=True)
class Piece:
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
    times: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("Q"))
    cts: array[int] = field(default_factory=lambda: array("q"))
    keys: array[int] = field(default_factory=lambda: array("Q"))
    #: (offset behind the start of the data, samples, sample entry)
    chunks: list[tuple[int, int, int]] = field(default_factory=list)
    last_duration: int = 0
    ends_at: int = 0


def flatten(stored: Sequence[Stored], *, skip_90k: int = 0, length_90k: int | None = None) -> Flat:
    """The plan of one MP4 from fragments of one or more files, the first of which must begin with a key frame.

    Where times jump between fragments (a hole of more than a second, another file's clock) the parts are joined
    without a gap, all tracks by the same amount. Other parameters become further sample entries of the same track.
    skip_90k: how far behind the first picture the film begins, by an edit list, so that it can begin between key
    frames. length_90k: how long it is from there, to the end where not given. Raises Invalid without samples, or where
    it does not begin with a key frame.
    """
    columns, pieces, data_size = _collect(stored)
    lead = columns[0] if columns else None
    if lead is None or not lead.sizes:
        raise Invalid("nothing was recorded in this range")
    if lead.kind is Kind.VIDEO and (not lead.keys or lead.keys[0] != 1):
        raise Invalid("an export must begin with a key frame", "begin with the key frame before and skip to the moment")
    start_90k = (lead.times[0] + lead.cts[0]) * CLOCK_HZ // lead.timescale + skip_90k
    end_90k = max((column.ends_at + column.cts[0]) * CLOCK_HZ // column.timescale for column in columns)
    length = max(0, end_90k - start_90k)
    if length_90k is not None:
        length = min(length, length_90k)
    wide = data_size > 0xF000_0000
    movie_size = len(_moov(columns, start_90k, length, 0, wide=wide))
    ftyp = box(b"ftyp", b"isom\x00\x00\x02\x00isomiso2mp41")
    mdat = struct.pack(">I4sQ", 1, b"mdat", data_size + 16) if wide else struct.pack(">I4s", data_size + 8, b"mdat")
    data_at = len(ftyp) + movie_size + len(mdat)
    head = ftyp + _moov(columns, start_90k, length, data_at, wide=wide) + mdat
    return Flat(head=head, pieces=pieces, size=len(head) + data_size, duration_90k=length)


def _collect(stored: Sequence[Stored]) -> tuple[list[_Column], list[Piece], int]:
    columns: dict[Kind, _Column] = {}
    pieces: list[Piece] = []
    size = 0
    shift_90k = 0
    expected_90k: int | None = None
    for number, one in enumerate(stored):
        tracks = {kind: track for kind in (Kind.VIDEO, Kind.AUDIO) if (track := one.movie.track(kind))}
        for fragment in one.fragments:
            begins = fragment.decode_time_90k + shift_90k
            if expected_90k is not None and not -MAX_HOLE_90K // 4 <= begins - expected_90k <= MAX_HOLE_90K:
                shift_90k += expected_90k - begins
            if expected_90k is None:
                shift_90k = -fragment.decode_time_90k + MAX_HOLE_90K
            expected_90k = fragment.decode_time_90k + shift_90k + fragment.duration_90k
            for run in fragment.runs:
                for kind, track in tracks.items():
                    if run.track == track.id:
                        column = columns.get(kind) or _Column(kind, track.timescale, track.width, track.height)
                        columns[kind] = column
                        size += _append(column, track, run, shift_90k, number, pieces, size)
    ordered = [columns[kind] for kind in (Kind.VIDEO, Kind.AUDIO) if kind in columns]
    return ordered, pieces, size


def _append(
    column: _Column, track: Track, run: RunAt, shift_90k: int, source: int, pieces: list[Piece], at: int
) -> int:  # fmt: skip
    """Adds the samples of a run; returns their bytes."""
    scale = column.timescale
    entry = column.entries.setdefault(track.entry, len(column.entries) + 1)
    time = run.decode_time * scale // track.timescale + shift_90k * scale // CLOCK_HZ
    total = 0
    for sample in run.samples:
        # overlapping stretches are laid end to end, a decoder needs rising times
        time = max(time, column.times[-1] + 1 if column.times else time)
        column.times.append(time)
        column.sizes.append(sample.size)
        column.cts.append(sample.cts * scale // track.timescale)
        if sample.is_key:
            column.keys.append(len(column.sizes))
        last = pieces[-1] if pieces else None
        if last and last.source == source and last.offset + last.size == sample.offset:
            pieces[-1] = Piece(source, last.offset, last.size + sample.size)
        else:
            pieces.append(Piece(source, sample.offset, sample.size))
        total += sample.size
        column.last_duration = sample.duration * scale // track.timescale
        time += column.last_duration
    column.ends_at = time
    previous = column.chunks[-1] if column.chunks else None
    if previous and previous[2] == entry and previous[1] + len(run.samples) <= _CHUNK_SAMPLES:
        sizes = column.sizes[len(column.sizes) - len(run.samples) - previous[1] : len(column.sizes) - len(run.samples)]
        if previous[0] + sum(sizes) == at:
            column.chunks[-1] = (previous[0], previous[1] + len(run.samples), entry)
            return total
    column.chunks.append((at, len(run.samples), entry))
    return total


def _moov(columns: list[_Column], start_90k: int, length_90k: int, data_at: int, *, wide: bool) -> bytes:
    traks = [
        track_box(
            number, is_video=column.kind is Kind.VIDEO, width=column.width, height=column.height,
            duration_90k=length_90k, timescale=column.timescale,
            media_duration=column.times[-1] + max(column.last_duration, 1) - column.times[0],
            edits=_edits(column, start_90k, length_90k), table=_table(column, data_at, wide=wide),
        )
        for number, column in enumerate(columns, 1)
    ]  # fmt: skip
    return box(b"moov", movie_head(length_90k, len(columns)), *traks)


def _edits(column: _Column, start_90k: int, length_90k: int) -> bytes:
    """From when on, in the media's own time, a track is shown (8.6.6)."""
    first_90k = column.times[0] * CLOCK_HZ // column.timescale
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
    times = column.times
    steps = array("Q", (after - before for before, after in pairwise(times)))
    steps.append(max(column.last_duration, 1))
    parts = [
        full(b"stsd", 0, 0, struct.pack(">I", len(column.entries)), *column.entries),
        full(b"stts", 0, 0, *_runs(steps)),
    ]
    if any(column.cts):
        parts.append(full(b"ctts", 1, 0, *_runs(value & 0xFFFFFFFF for value in column.cts)))
    if column.kind is Kind.VIDEO:
        parts.append(full(b"stss", 0, 0, struct.pack(f">I{len(column.keys)}I", len(column.keys), *column.keys)))
    spans: list[int] = []
    shape: tuple[int, int] | None = None
    for number, (_, count, entry) in enumerate(column.chunks, 1):
        if (count, entry) != shape:
            shape = (count, entry)
            spans += (number, count, entry)
    parts.append(full(b"stsc", 0, 0, struct.pack(f">I{len(spans)}I", len(spans) // 3, *spans)))
    parts.append(full(b"stsz", 0, 0, struct.pack(f">II{len(column.sizes)}I", 0, len(column.sizes), *column.sizes)))
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


def _runs(values: Iterable[int]) -> tuple[bytes, bytes]:
    """Count, then (how many, value) each."""
    pairs = [(len(list(same)), value) for value, same in groupby(values)]
    flat = [number for pair in pairs for number in pair]
    return len(pairs).to_bytes(4, "big"), struct.pack(f">{len(flat)}I", *flat)
