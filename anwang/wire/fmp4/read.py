"""Reads fragmented MP4, ours and others' (ISO/IEC 14496-12 8.8): what it is, where its fragments are, where it ends
whole.

Works on a view of a memory-mapped file too (`memoryview(map)`), and touches only boxes, never the pictures. A file
whose writer was killed ends in the middle of a fragment, or in zeros where space was reserved; `scan` says up to where
it is good.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from anwang.kernel.errors import WireError
from anwang.wire import h26x
from anwang.wire.aac import AacConfig
from anwang.wire.fmp4.write import DELTA_FLAGS, KEY_FLAGS
from anwang.wire.h26x import ParameterSets
from anwang.wire.units import CLOCK_HZ, Kind

Source = bytes | bytearray | memoryview

#: samples in one run; a peer could claim 2**32 that take no bytes
MAX_SAMPLES = 1 << 17
MAX_MOOV = 16 << 20

_BOX = struct.Struct(">I4s")
_ALONE = struct.Struct(">I4sI4sIII4sI4sIII4sIQI4sIII")


class Box(NamedTuple):
    """A box: where it begins, where its content begins, where it ends."""

    kind: bytes
    start: int
    body: int
    end: int


def boxes(data: Source, start: int, end: int) -> Iterator[Box]:
    """The boxes in start..end. Raises WireError where one leads outside."""
    at = start
    while at + 8 <= end:
        found = _box_at(data, at, end)
        if found is None or found.end > end:
            raise WireError("a box leads outside", data=bytes(data[start : start + 256]), offset=min(at - start, 255))
        yield found
        at = found.end


def _box_at(data: Source, at: int, end: int) -> Box | None:
    size, kind = _BOX.unpack_from(data, at)
    body = at + 8
    if size == 1 and at + 16 <= end:
        size = int.from_bytes(data[at + 8 : at + 16], "big")
        body = at + 16
    return Box(kind, at, body, at + size) if size >= body - at else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One track as its moov describes it.

    codecs: the RFC 6381 string, or the four letters of an entry we don't know. entry: the whole sample entry. sets,
    aac: what it says, where it is H.264, H.265 or AAC. length_size: bytes of each NAL length. The defaults are those
    of its trex.
    """

    id: int
    kind: Kind
    timescale: int
    codecs: str
    entry: bytes
    width: int = 0
    height: int = 0
    sets: ParameterSets | None = None
    aac: AacConfig | None = None
    length_size: int = 4
    default_duration: int = 0
    default_size: int = 0
    default_flags: int = 0

    def to_90k(self, ticks: int) -> int:
        """Ticks of this track in 90 kHz."""
        return ticks if self.timescale == CLOCK_HZ else ticks * CLOCK_HZ // self.timescale


@dataclass(frozen=True, slots=True, kw_only=True)
class Movie:
    """What an init segment says. size: bytes up to the end of its moov."""

    tracks: tuple[Track, ...]
    size: int

    def track(self, kind: Kind) -> Track | None:
        """The first track of a kind."""
        return next((track for track in self.tracks if track.kind is kind), None)

    def by_id(self, number: int) -> Track | None:
        """The track of a number."""
        return next((track for track in self.tracks if track.id == number), None)

    @property
    def codecs(self) -> str:
        """All codecs, as in a MIME type."""
        return ",".join(track.codecs for track in self.tracks)


class SampleAt(NamedTuple):
    """One sample: where its bytes are, its times in ticks of its track."""

    offset: int
    size: int
    duration: int
    cts: int
    is_key: bool


class RunAt(NamedTuple):
    """The samples of one track in a fragment. decode_time: of the first, in ticks of the track."""

    track: int
    decode_time: int
    samples: tuple[SampleAt, ...]

    @property
    def duration(self) -> int:
        """Of all samples, in ticks."""
        return sum(sample.duration for sample in self.samples)


@dataclass(frozen=True, slots=True)
class FragmentAt:
    """A fragment in a file: moof and mdat at offset..offset+size.

    decode_time_90k, duration_90k, is_key: of its video track, or of its first where there is no video.
    """

    offset: int
    size: int
    decode_time_90k: int
    duration_90k: int
    is_key: bool
    runs: tuple[RunAt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A whole file. complete_to: bytes up to the end of the last whole fragment (or of the moov). is_truncated: whether
    something follows that is no whole box."""

    movie: Movie
    fragments: list[FragmentAt]
    complete_to: int
    is_truncated: bool


def read_movie(data: Source) -> Movie:
    """The init segment at the front of `data`. Raises WireError where none is, or is not whole."""
    at, end = 0, len(data)
    while at + 8 <= end:
        found = _box_at(data, at, end)
        if found is None or found.end > end:
            break
        if found.kind == b"moov":
            if found.end - found.start > MAX_MOOV:
                break
            return _moov(bytes(data[found.body : found.end]), found.end)
        at = found.end
    raise WireError("no moov, or not all of it", data=bytes(data[:256]))


def _moov(data: bytes, end: int) -> Movie:
    tracks: list[Track] = []
    defaults: dict[int, tuple[int, int, int]] = {}
    for found in boxes(data, 0, len(data)):
        if found.kind == b"trak":
            track = _trak(data, found)
            if track:
                tracks.append(track)
        elif found.kind == b"mvex":
            for extends in boxes(data, found.body, found.end):
                if extends.kind == b"trex" and extends.end - extends.body >= 24:
                    number, _, *rest = struct.unpack_from(">5I", data, extends.body + 4)
                    defaults[number] = (rest[0], rest[1], rest[2])
    done = []
    for track in tracks:
        duration, size, flags = defaults.get(track.id, (0, 0, 0))
        values = {name: getattr(track, name) for name in Track.__dataclass_fields__}
        done.append(Track(**values | {"default_duration": duration, "default_size": size, "default_flags": flags}))
    return Movie(tracks=tuple(done), size=end)


def _find(data: bytes, parent: Box, *path: bytes) -> Box | None:
    for kind in path:
        inner = next((one for one in boxes(data, parent.body, parent.end) if one.kind == kind), None)
        if inner is None:
            return None
        parent = inner
    return parent


def _trak(data: bytes, trak: Box) -> Track | None:
    """A track of video or sound, None for any other. Raises WireError."""
    tkhd, mdhd = _find(data, trak, b"tkhd"), _find(data, trak, b"mdia", b"mdhd")
    hdlr, stsd = _find(data, trak, b"mdia", b"hdlr"), _find(data, trak, b"mdia", b"minf", b"stbl", b"stsd")
    if not (tkhd and mdhd and hdlr and stsd):
        raise WireError(
            "a track without header, handler or sample description", data=data[trak.start : trak.start + 256]
        )
    try:
        (number,) = struct.unpack_from(">I", data, tkhd.body + (20 if data[tkhd.body] else 12))
        (timescale,) = struct.unpack_from(">I", data, mdhd.body + (20 if data[mdhd.body] else 12))
        handler = data[hdlr.body + 8 : hdlr.body + 12]
    except (struct.error, IndexError):
        raise WireError("a track header ends too early", data=data[trak.start : trak.start + 256]) from None
    if handler not in (b"vide", b"soun") or not timescale:
        return None
    entry = next(boxes(data, stsd.body + 8, stsd.end), None)
    if entry is None:
        raise WireError("a track without sample entry", data=data[stsd.start : stsd.end])
    raw = data[entry.start : entry.end]
    if handler == b"vide":
        return _video(number, timescale, entry, raw)
    return _sound(number, timescale, entry, raw)


def _video(number: int, timescale: int, entry: Box, raw: bytes) -> Track:
    if len(raw) < 86:
        raise WireError("a video sample entry of too few bytes", data=raw)
    width, height = struct.unpack_from(">HH", raw, 32)
    codecs, sets, size = entry.kind.decode("latin-1"), None, 4
    for one in boxes(raw, 86, len(raw)):
        if one.kind == b"avcC":
            sets, size = h26x.parse_avcc(raw[one.body : one.end])
        elif one.kind == b"hvcC":
            sets, size = h26x.parse_hvcc(raw[one.body : one.end])
    if sets and sets.sps:
        shape = sets.format()
        codecs = entry.kind.decode("latin-1") + shape.codecs[4:]
        width, height = shape.width, shape.height
    return Track(
        id=number, kind=Kind.VIDEO, timescale=timescale, codecs=codecs, entry=raw, width=width, height=height,
        sets=sets, length_size=size,
    )  # fmt: skip


def _sound(number: int, timescale: int, entry: Box, raw: bytes) -> Track:
    if len(raw) < 36:
        raise WireError("an audio sample entry of too few bytes", data=raw)
    codecs, aac = entry.kind.decode("latin-1"), None
    for one in boxes(raw, 36, len(raw)) if raw[17] == 0 else ():
        if one.kind == b"esds":
            asc = _asc(raw[one.body + 4 : one.end])
            if asc:
                aac = AacConfig.parse(asc)
                codecs = aac.codecs
    return Track(id=number, kind=Kind.AUDIO, timescale=timescale, codecs=codecs, entry=raw, aac=aac)


def _asc(data: bytes) -> bytes:
    """The DecoderSpecificInfo of an ES descriptor (14496-1 7.2.6), empty where there is none."""
    at = 0
    while at + 2 <= len(data):
        tag, size = data[at], 0
        at += 1
        for _ in range(4):
            if at >= len(data):
                return b""
            size = size << 7 | data[at] & 0x7F
            at += 1
            if not data[at - 1] & 0x80:
                break
        if tag == 5:
            return data[at : at + size]
        at += {3: 3, 4: 13}.get(tag, size)
    return b""


# -- fragments


def scan(data: Source, *, start: int = 0, movie: Movie | None = None) -> Scan:
    """All whole fragments of a file, or of a part of it that begins with a box.

    movie: the init segment, where `data` doesn't begin with it. Damage ends the list, it never raises after the moov.
    Raises WireError where there is no init segment.
    """
    at, end, good = start, len(data), start
    if movie is None:
        movie = read_movie(data)
        good = movie.size
    found: list[FragmentAt] = []
    moof: tuple[int, list[RunAt]] | None = None
    while at + 8 <= end:
        one = _box_at(data, at, end)
        # reserved space and torn heads show as boxes whose four letters are none
        if one is None or one.end > end or not one.kind.decode("latin-1").isprintable():
            break
        if one.kind == b"moof":
            try:
                moof = (at, read_moof(data, one, movie))
            except WireError:
                break
        elif one.kind == b"mdat" and moof:
            first, runs = moof
            if any(sample.offset + sample.size > one.end for run in runs for sample in run.samples):
                break
            found.append(_fragment(movie, first, one.end - first, runs))
            moof, good = None, one.end
        elif moof is None:
            good = max(good, one.end)
        at = one.end
    if good < end and found and found[-1].offset + found[-1].size == good and _is_torn(data, found[-1], movie):
        good = found.pop().offset
    return Scan(movie=movie, fragments=found, complete_to=good, is_truncated=good < end)


def _is_torn(data: Source, last: FragmentAt, movie: Movie) -> bool:
    """Whether zeros of reserved space stand where the end of the last sample should: no NAL unit ends in a zero."""
    ends = [(sample.offset + sample.size, run.track) for run in last.runs for sample in run.samples if sample.size > 1]
    if not ends:
        return False
    end, number = max(ends)
    track = movie.by_id(number)
    is_video = track is not None and track.sets is not None
    return data[end - 1] == 0 and (is_video or data[end - 2] == 0)


def _fragment(movie: Movie, offset: int, size: int, runs: list[RunAt]) -> FragmentAt:
    lead, track = None, None
    for run in runs:
        owner = movie.by_id(run.track)
        if lead is None or (owner and owner.kind is Kind.VIDEO and (not track or track.kind is not Kind.VIDEO)):
            lead, track = run, owner
    if lead is None or track is None or not lead.samples:
        return FragmentAt(offset, size, 0, 0, False, tuple(runs))
    time, length = track.to_90k(lead.decode_time), track.to_90k(lead.duration)
    return FragmentAt(offset, size, time, length, lead.samples[0].is_key, tuple(runs))


def read_moof(data: Source, moof: Box, movie: Movie) -> list[RunAt]:
    """The runs of a moof (8.8.4 to 8.8.12), tracks unknown to the movie left out. Raises WireError."""
    if moof.end - moof.start in (96, 100):
        run = _alone(data, moof, movie)
        if run:
            return [run]
    runs: list[RunAt] = []
    head = bytes(data[moof.start : moof.end])
    base = moof.start
    for traf in boxes(head, moof.body - moof.start, len(head)):
        if traf.kind == b"traf":
            run, base = _traf(head, traf, moof.start, base, movie)
            if run:
                runs.append(run)
    return runs


def _alone(data: Source, moof: Box, movie: Movie) -> RunAt | None:
    """The one-sample fragment that `write` makes, in one unpack; None for any other. Equal to the general way."""
    field = _ALONE.unpack_from(data, moof.start)
    # moof, mfhd, traf, tfhd, tfdt, trun: kinds and flags as written
    if field[2:5] != (16, b"mfhd", 0) or field[7] != b"traf" or field[8:11] != (16, b"tfhd", 0x020000):
        return None
    if field[12:15] != (20, b"tfdt", 0x01000000) or field[17] != b"trun" or field[19] != 1:
        return None
    at = moof.start + 88
    if field[18] == 0x305:
        flags, duration, size = struct.unpack_from(">III", data, at)
    elif field[18] == 0x301 and moof.end - moof.start == 96:
        (duration, size), flags = struct.unpack_from(">II", data, at), DELTA_FLAGS
    else:
        return None
    track = movie.by_id(field[11])
    if track is None or track.default_flags != DELTA_FLAGS or flags not in (KEY_FLAGS, DELTA_FLAGS):
        return None
    sample = SampleAt(moof.start + field[20], size, duration, 0, flags == KEY_FLAGS)
    return RunAt(field[11], field[15], (sample,))


def _traf(head: bytes, traf: Box, moof_at: int, base: int, movie: Movie) -> tuple[RunAt | None, int]:
    """(run, where data of the next traf begins unless it says so itself)."""
    track: Track | None = None
    duration = size = flags = 0
    time = 0
    at = base
    samples: list[SampleAt] = []
    try:
        for one in boxes(head, traf.body, traf.end):
            if one.kind == b"tfhd":
                bits, number = struct.unpack_from(">II", head, one.body)
                track = movie.by_id(number)
                if track is None:
                    return None, base
                duration, size, flags = track.default_duration, track.default_size, track.default_flags
                where = one.body + 8
                if bits & 0x000001:
                    (base,) = struct.unpack_from(">Q", head, where)
                    where += 8
                elif bits & 0x020000:
                    base = moof_at
                where += 4 if bits & 0x000002 else 0
                if bits & 0x000008:
                    (duration,) = struct.unpack_from(">I", head, where)
                    where += 4
                if bits & 0x000010:
                    (size,) = struct.unpack_from(">I", head, where)
                    where += 4
                if bits & 0x000020:
                    (flags,) = struct.unpack_from(">I", head, where)
                at = base
            elif one.kind == b"tfdt":
                (time,) = struct.unpack_from(">Q" if head[one.body] else ">I", head, one.body + 4)
            elif one.kind == b"trun" and track:
                at = _trun(head, one, base, at, (duration, size, flags), samples)
    except (struct.error, IndexError):
        raise WireError("a fragment header ends too early", data=head[traf.start : traf.start + 256]) from None
    if track is None or not samples:
        return None, at
    return RunAt(track.id, time, tuple(samples)), at


def _trun(head: bytes, one: Box, base: int, at: int, defaults: tuple[int, int, int], samples: list[SampleAt]) -> int:
    bits, count = struct.unpack_from(">II", head, one.body)
    signed = bits >> 24 > 0
    where = one.body + 8
    if bits & 0x000001:
        (offset,) = struct.unpack_from(">i", head, where)
        at = base + offset
        where += 4
    first_flags: int | None = None
    if bits & 0x000004:
        (first_flags,) = struct.unpack_from(">I", head, where)
        where += 4
    fields = [bit for bit in (0x100, 0x200, 0x400, 0x800) if bits & bit]
    if count > MAX_SAMPLES - len(samples) or where + 4 * len(fields) * count > one.end or at < 0:
        raise WireError(f"a run of {count} samples", data=head[one.start : one.start + 256])
    values = iter(struct.unpack_from(f">{len(fields) * count}I", head, where))
    for number in range(count):
        duration, size, flags = defaults
        cts = 0
        if bits & 0x100:
            duration = next(values)
        if bits & 0x200:
            size = next(values)
        if bits & 0x400:
            flags = next(values)
        if bits & 0x800:
            cts = next(values)
            cts = cts - (1 << 32) if signed and cts >> 31 else cts
        if number == 0 and first_flags is not None:
            flags = first_flags
        samples.append(SampleAt(at, size, duration, cts, not flags & 0x10000))
        at += size
    return at
