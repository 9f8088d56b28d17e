"""What every demuxer yields and every muxer takes: one access unit of one elementary stream, on a 90 kHz clock."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

CLOCK_HZ = 90_000


class Kind(StrEnum):
    """What a unit is to be shown on or played by."""

    VIDEO = "video"
    AUDIO = "audio"


class Codec(StrEnum):
    """Elementary streams that GB/T 28181-2016 C.2.4 and its devices name; only the first three reach a fragment."""

    H264 = "h264"
    H265 = "h265"
    AAC = "aac"
    G711A = "g711a"
    G711U = "g711u"
    MPEG4 = "mpeg4"
    SVAC = "svac"
    SVAC_AUDIO = "svac_audio"
    G722_1 = "g722_1"
    G723_1 = "g723_1"
    G729 = "g729"
    LATM = "latm"
    OPUS = "opus"
    UNKNOWN = "unknown"


class Unit(NamedTuple):
    """One access unit, complete.

    A named tuple, not a dataclass: made for every picture of every camera, and three times cheaper. Name its fields.

    data: for video an Annex-B byte stream (start codes of 3 or 4 bytes); for AAC one or more whole ADTS frames; else
    the raw samples. pts_90k, dts_90k: unwrapped, in ticks of 90 kHz, None where the sender gave none (dts None means
    equal to pts or unknown). is_key: a decoder can start here. follows_loss: something of this stream was lost or
    dropped since the unit before. is_jump: the sender's clock jumped back by more than a second before this unit.
    """

    kind: Kind
    codec: Codec
    data: bytes
    pts_90k: int | None
    dts_90k: int | None = None
    is_key: bool = False
    follows_loss: bool = False
    is_jump: bool = False


class Unwrap:
    """A counter that wraps at 2**bits, made endless: each value is taken as the nearest to the one before."""

    __slots__ = ("_full", "_half", "_mask", "last")

    def __init__(self, bits: int) -> None:
        self._full = 1 << bits
        self._half = self._full >> 1
        self._mask = self._full - 1
        self.last: int | None = None

    def near(self, value: int) -> int:
        """The endless value of `value`, without remembering it."""
        last = self.last
        if last is None:
            return value
        step = (value - last) & self._mask
        return last + (step if step < self._half else step - self._full)

    def next(self, value: int) -> int:
        """The endless value of `value`, which becomes the reference for the following one."""
        self.last = self.near(value)
        return self.last
