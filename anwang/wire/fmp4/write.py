"""Bytes of fragmented MP4 (ISO/IEC 14496-12 8.8, 14496-14, 14496-15): the one writer, for live, recordings and tests.

All tracks run on one clock of 90 kHz, video and sound alike: camera sound (8, 16, 32, 48 kHz) fits it exactly, other
rates are rounded per frame and never add up; and moving a fragment in time is one addition for all its tracks.

A fragment of one picture costs 104 bytes around it (108 on a key frame, 4 more with a composition offset).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from anwang.kernel.errors import WireError
from anwang.wire import h26x
from anwang.wire.aac import AacConfig
from anwang.wire.h26x import ParameterSets
from anwang.wire.rtp import Buffer
from anwang.wire.units import CLOCK_HZ, Codec

VIDEO_TRACK, AUDIO_TRACK = 1, 2

#: sample_depends_on = 2, sync (8.8.3.1)
KEY_FLAGS = 0x02000000
#: sample_depends_on = 1, non-sync
DELTA_FLAGS = 0x01010000

_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


class Sample(NamedTuple):
    """One picture or one frame of sound, as it goes into a file.

    parts: its bytes in pieces, for video with four-byte lengths; size: their sum. offset_90k: showing time less
    decoding time.
    """

    parts: Sequence[Buffer]
    size: int
    duration_90k: int
    is_key: bool = True
    offset_90k: int = 0


class Run(NamedTuple):
    """Samples of one track in a row. decode_time_90k: of the first."""

    track: int
    decode_time_90k: int
    samples: Sequence[Sample]


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box (4.2)."""
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)


def full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A full box (4.2)."""
    return box(kind, (version << 24 | flags).to_bytes(4, "big"), *parts)


# -- init


def video_entry(sets: ParameterSets) -> bytes:
    """The sample entry of a video track: avc1 or hvc1 with its configuration (14496-15 5.4.2, 8.4.1). Raises
    WireError.
    """
    shape = sets.format()
    kind, record = (
        (b"avc1", box(b"avcC", h26x.avcc(sets)))
        if sets.codec is Codec.H264
        else (b"hvc1", box(b"hvcC", h26x.hvcc(sets)))
    )
    aspect = (
        b"" if shape.pixel_aspect[0] == shape.pixel_aspect[1] else box(b"pasp", struct.pack(">II", *shape.pixel_aspect))
    )
    fixed = struct.pack(
        ">6xH16xHHIIIH32sHh", 1, shape.width, shape.height, 0x480000, 0x480000, 0, 1, b"", 0x18, -1
    )  # fmt: skip
    return box(kind, fixed, record, aspect)


def audio_entry(config: AacConfig) -> bytes:
    """The sample entry of an AAC track: mp4a with its esds (14496-14 5.6)."""

    def described(tag: int, body: bytes) -> bytes:
        return bytes((tag, len(body))) + body

    decoder = described(4, bytes((0x40, 0x15)) + bytes(11) + described(5, config.asc))
    esds = full(b"esds", 0, 0, described(3, b"\x00\x02\x00" + decoder + described(6, b"\x02")))
    rate = config.rate_hz << 16 if config.rate_hz < 0x10000 else 0
    return box(b"mp4a", struct.pack(">6xH8xHH4xI", 1, config.channels or 2, 16, rate), esds)


def track_box(
    track: int, *, is_video: bool, width: int, height: int, duration_90k: int, timescale: int, media_duration: int,
    edits: bytes, table: bytes,
) -> bytes:  # fmt: skip
    """A trak (8.3) around its sample table. width, height: as shown. durations: of the movie and of the media, 0
    unknown.
    """
    head = full(
        b"tkhd", 1, 3, struct.pack(">QQI4xQ8xHHH2x", 0, 0, track, duration_90k, 0, 0, 0 if is_video else 0x0100),
        _MATRIX, struct.pack(">II", width << 16, height << 16),
    )  # fmt: skip
    kind, name, media = (
        (b"vide", b"video\x00", full(b"vmhd", 0, 1, bytes(8)))
        if is_video
        else (b"soun", b"sound\x00", full(b"smhd", 0, 0, bytes(4)))
    )
    # 0x55C4 is the language "und"
    return box(
        b"trak", head, edits,
        box(
            b"mdia",
            full(b"mdhd", 1, 0, struct.pack(">QQIQHH", 0, 0, timescale, media_duration, 0x55C4, 0)),
            full(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, kind), name),
            box(b"minf", media, box(b"dinf", full(b"dref", 0, 0, b"\x00\x00\x00\x01", full(b"url ", 0, 1))), table),
        ),
    )  # fmt: skip


def movie_head(duration_90k: int, tracks: int) -> bytes:
    """A movie header (8.2.2). tracks: how many there are."""
    return full(
        b"mvhd", 1, 0, struct.pack(">QQIQIH10x", 0, 0, CLOCK_HZ, duration_90k, 0x10000, 0x100), _MATRIX, bytes(24),
        struct.pack(">I", tracks + 1),
    )  # fmt: skip


def shown_size(shape: h26x.VideoFormat) -> tuple[int, int]:
    """Width and height on a screen of square pixels."""
    across, down = shape.pixel_aspect
    return min(shape.width * across // down, 0xFFFF), shape.height


def init_segment(video: ParameterSets | None, audio: AacConfig | None = None) -> bytes:
    """ftyp and moov that fragments of these parameters follow. Raises WireError where the parameter sets are broken."""
    empty = (full(b"stts", 0, 0, bytes(4)), full(b"stsc", 0, 0, bytes(4)), full(b"stsz", 0, 0, bytes(8)))
    tail = (*empty, full(b"stco", 0, 0, bytes(4)))
    one = b"\x00\x00\x00\x01"
    traks, trexes = b"", b""
    if video:
        width, height = shown_size(video.format())
        traks += track_box(
            VIDEO_TRACK, is_video=True, width=width, height=height, duration_90k=0, timescale=CLOCK_HZ,
            media_duration=0, edits=b"", table=box(b"stbl", full(b"stsd", 0, 0, one, video_entry(video)), *tail),
        )  # fmt: skip
        trexes += full(b"trex", 0, 0, struct.pack(">5I", VIDEO_TRACK, 1, 0, 0, DELTA_FLAGS))
    if audio:
        traks += track_box(
            AUDIO_TRACK, is_video=False, width=0, height=0, duration_90k=0, timescale=CLOCK_HZ,
            media_duration=0, edits=b"", table=box(b"stbl", full(b"stsd", 0, 0, one, audio_entry(audio)), *tail),
        )  # fmt: skip
        trexes += full(b"trex", 0, 0, struct.pack(">5I", AUDIO_TRACK, 1, 0, 0, KEY_FLAGS))
    head = movie_head(0, AUDIO_TRACK if audio else VIDEO_TRACK)
    return box(b"ftyp", b"iso6\x00\x00\x00\x01iso6mp41") + box(b"moov", head, traks, box(b"mvex", trexes))


# -- fragments

_BEFORE_TRUN = ">I4sI4sIII4sI4sIII4sIQI4sIII"
#: by (is key, has a composition offset)
_SINGLE = {
    (False, False): struct.Struct(_BEFORE_TRUN + "III4s"),
    (True, False): struct.Struct(_BEFORE_TRUN + "IIII4s"),
    (False, True): struct.Struct(_BEFORE_TRUN + "IIII4s"),
    (True, True): struct.Struct(_BEFORE_TRUN + "IIIII4s"),
}
#: where the decode time of such a fragment stands, and what precedes it
_SINGLE_TIME = 60
_SINGLE_TFDT = b"\x00\x00\x00\x14tfdt\x01\x00\x00\x00"
_TIME = struct.Struct(">Q")


def fragment(sequence: int, runs: Sequence[Run]) -> bytes:
    """moof and mdat (8.8.4). sequence: from 1, taken modulo 2**32. runs: one a track, none empty."""
    if len(runs) == 1 and len(runs[0].samples) == 1:
        return _single(sequence, runs[0], runs[0].samples[0])
    return _several(sequence, runs)


def _single(sequence: int, run: Run, sample: Sample) -> bytes:
    """The common case in one pack; equal to what `_several` makes."""
    parts, size, duration, is_key, offset = sample
    is_key = is_key and run.track != AUDIO_TRACK
    fields = (KEY_FLAGS, duration, size) if is_key else (duration, size)
    flags, version = (0x305, 0) if is_key else (0x301, 0)
    if offset:
        fields, flags, version = (*fields, offset & 0xFFFFFFFF), flags | 0x800, 0x01000000
    trun = 20 + 4 * len(fields)
    head = _SINGLE[is_key, bool(offset)].pack(
        68 + trun, b"moof", 16, b"mfhd", 0, sequence & 0xFFFFFFFF, 44 + trun, b"traf", 16, b"tfhd", 0x020000,
        run.track, 20, b"tfdt", 0x01000000, run.decode_time_90k, trun, b"trun", version | flags, 1, 76 + trun,
        *fields, size + 8, b"mdat",
    )  # fmt: skip
    return b"".join((head, *parts))


def _several(sequence: int, runs: Sequence[Run]) -> bytes:
    heads = [_traf(run, 0) for run in runs]
    at = 8 + 16 + sum(map(len, heads)) + 8
    whole = at - 8
    trafs, parts = [], list[Buffer]()
    for run in runs:
        trafs.append(_traf(run, at))
        for sample in run.samples:
            at += sample.size
            parts.extend(sample.parts)
    head = struct.pack(">I4sI4sII", whole, b"moof", 16, b"mfhd", 0, sequence & 0xFFFFFFFF)
    return b"".join((head, *trafs, struct.pack(">I4s", at - whole, b"mdat"), *parts))


def _traf(run: Run, data_offset: int) -> bytes:
    samples = run.samples
    keys = [sample.is_key for sample in samples]
    is_sound = run.track == AUDIO_TRACK
    same = len(samples) > 1 and len({sample.duration_90k for sample in samples}) == 1
    each_flags = not is_sound and any(keys[1:])
    first_flags = not is_sound and keys[0] and not each_flags
    offsets = any(sample.offset_90k for sample in samples)
    flags = 0x201 | (0 if same else 0x100) | (4 if first_flags else 0) | (0x400 if each_flags else 0)
    flags |= 0x800 if offsets else 0
    fields: list[int] = []
    for sample in samples:
        if not same:
            fields.append(sample.duration_90k)
        fields.append(sample.size)
        if each_flags:
            fields.append(KEY_FLAGS if sample.is_key else DELTA_FLAGS)
        if offsets:
            fields.append(sample.offset_90k & 0xFFFFFFFF)
    start = struct.pack(">II", len(samples), data_offset) + (KEY_FLAGS.to_bytes(4, "big") if first_flags else b"")
    tfhd = struct.pack(">I", run.track) + (samples[0].duration_90k.to_bytes(4, "big") if same else b"")
    return box(
        b"traf",
        full(b"tfhd", 0, 0x020000 | (8 if same else 0), tfhd),
        full(b"tfdt", 1, 0, struct.pack(">Q", run.decode_time_90k)),
        full(b"trun", 1 if offsets else 0, flags, start, struct.pack(f">{len(fields)}I", *fields)),
    )


def rebase(data: bytes, shift_90k: int) -> list[bytes]:
    """A fragment of ours moved in time, in two pieces: the changed head, the untouched rest. Raises WireError.

    shift_90k: added to the decode time of every track. Sound that would lie before zero is left out: late sound that
    comes with the first pictures of a new file belongs to the end of the one before.
    """
    size = int.from_bytes(data[:4], "big")
    if data[4:8] != b"moof" or not 8 <= size <= len(data):
        raise WireError("not a fragment", data=data)
    if data.startswith(_SINGLE_TFDT, _SINGLE_TIME - 12) and int.from_bytes(data[24:28], "big") == size - 24:
        # one track only, as `fragment` has it
        time = _TIME.unpack_from(data, _SINGLE_TIME)[0] + shift_90k
        if time >= 0:
            return [data[:_SINGLE_TIME] + _TIME.pack(time) + data[_SINGLE_TIME + 8 : size], data[size:]]
    head = bytearray(data[:size])
    _shift(head, 0, size, shift_90k)
    return [bytes(head), data[size:]]


def rebase_all(data: Buffer, shift_90k: int) -> bytes:
    """Any number of whole fragments (and other boxes between) moved in time. Raises WireError."""
    moved = bytearray(data)
    at, end = 0, len(moved)
    while at + 8 <= end:
        size = int.from_bytes(moved[at : at + 4], "big")
        if size < 8 or at + size > end:
            raise WireError("a box leads outside", data=bytes(moved[at : at + 64]))
        if moved[at + 4 : at + 8] == b"moof":
            _shift(moved, at, at + size, shift_90k)
        at += size
    return bytes(moved)


def _shift(head: bytearray, start: int, end: int, shift: int) -> None:
    """Adds to every tfdt of the moof at start..end."""
    at = start + 8
    trafs: list[tuple[int, int]] = []
    while at + 8 <= end:
        size = int.from_bytes(head[at : at + 4], "big")
        kind = head[at + 4 : at + 8]
        if size < 8 or at + size > end:
            raise WireError(
                "a box leads outside its fragment", data=bytes(head[start : start + 256]), offset=at - start
            )
        if kind == b"traf":
            trafs.append((at, at + size))
            at += 8
            continue
        if kind == b"tfdt":
            width = 8 if head[at + 8] else 4
            if size < 12 + width:
                raise WireError("a tfdt of too few bytes", data=bytes(head[start : start + 256]), offset=at - start)
            time = int.from_bytes(head[at + 12 : at + 12 + width], "big") + shift
            if time < 0 and len(trafs) > 1:
                # a free box keeps every offset as it is; the samples' bytes stay behind, unused
                traf, at = trafs[-1]
                head[traf + 4 : traf + 8] = b"free"
                continue
            if not 0 <= time < 1 << 8 * width:
                raise WireError(f"a fragment can't be moved to {time}", data=bytes(head[start : start + 256]))
            head[at + 12 : at + 12 + width] = time.to_bytes(width, "big")
        at += size
