"""Fragmented MP4: the one writer (`Fragmenter`, `init_segment`, `fragment`), a reader, and exports as ordinary MP4."""

from anwang.wire.fmp4.flat import Flat, Piece, Stored, flatten
from anwang.wire.fmp4.fragmenter import Fragment, Fragmented, Fragmenter, Init
from anwang.wire.fmp4.read import (
    Box,
    FragmentAt,
    Movie,
    RunAt,
    SampleAt,
    Scan,
    Track,
    boxes,
    read_moof,
    read_movie,
    scan,
)
from anwang.wire.fmp4.write import (
    AUDIO_TRACK,
    VIDEO_TRACK,
    Run,
    Sample,
    box,
    fragment,
    init_segment,
    rebase,
    rebase_all,
)

__all__ = [
    "AUDIO_TRACK",
    "VIDEO_TRACK",
    "Box",
    "Flat",
    "Fragment",
    "FragmentAt",
    "Fragmented",
    "Fragmenter",
    "Init",
    "Movie",
    "Piece",
    "Run",
    "RunAt",
    "Sample",
    "SampleAt",
    "Scan",
    "Stored",
    "Track",
    "box",
    "boxes",
    "flatten",
    "fragment",
    "init_segment",
    "read_moof",
    "read_movie",
    "rebase",
    "rebase_all",
    "scan",
]
