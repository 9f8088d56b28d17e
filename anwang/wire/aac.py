"""AAC as cameras send it: ADTS frames and AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1 and 1.A.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from anwang.kernel.errors import WireError
from anwang.wire.h26x import Bits

RATES_HZ = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
SAMPLES_PER_FRAME = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AacConfig:
    """What a decoder must know before the first frame.

    object_type: 2 is AAC-LC, 5 HE-AAC, 29 HE-AAC v2. rate_hz: of the core, samples per second. channels: 0..7, the
    channel configuration (0: stated in the stream). asc: the AudioSpecificConfig as it stands in an esds; made where
    it isn't given.
    """

    object_type: int
    rate_hz: int
    channels: int
    asc: bytes

    @classmethod
    def lc(cls, rate_hz: int, channels: int) -> Self:
        """AAC-LC. rate_hz: one of RATES_HZ. Raises WireError."""
        if rate_hz not in RATES_HZ or not 0 <= channels <= 7:
            raise WireError(f"no AAC-LC of {rate_hz} Hz and {channels} channels")
        asc = 2 << 11 | RATES_HZ.index(rate_hz) << 7 | channels << 3
        return cls(object_type=2, rate_hz=rate_hz, channels=channels, asc=asc.to_bytes(2, "big"))

    @classmethod
    def parse(cls, asc: bytes) -> Self:
        """An AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1), as far as the channels. Raises WireError."""
        bits = Bits(asc[:64])
        kind = bits.u(5)
        if kind == 31:
            kind = 32 + bits.u(6)
        index = bits.u(4)
        rate = bits.u(24) if index == 15 else RATES_HZ[index] if index < len(RATES_HZ) else 0
        channels = bits.u(4)
        if not rate or channels > 7:
            raise WireError("an AudioSpecificConfig without rate or channels", data=asc)
        return cls(object_type=kind, rate_hz=rate, channels=channels, asc=bytes(asc[:64]))

    @property
    def codecs(self) -> str:
        """The RFC 6381 string, such as mp4a.40.2."""
        return f"mp4a.40.{self.object_type}"

    def adts(self, size: int) -> bytes:
        """The ADTS header of seven bytes for a raw frame of `size` bytes (1.A.3.2). Raises WireError.

        HE-AAC is written as its core, as ADTS has no other way.
        """
        if not 0 < size <= 0x1FFF - 7 or self.rate_hz not in RATES_HZ:
            raise WireError(f"an AAC frame of {size} bytes at {self.rate_hz} Hz has no ADTS header")
        profile = (self.object_type if self.object_type in (1, 2, 3, 4) else 2) - 1
        length = size + 7
        head = 0xFFF1 << 40 | profile << 38 | RATES_HZ.index(self.rate_hz) << 34 | self.channels << 30
        return (head | length << 13 | 0x7FF << 2).to_bytes(7, "big")


def is_adts(data: bytes) -> bool:
    """Whether these bytes are ADTS frames to the last byte; the first frame or two must be whole.

    The sync word alone proves nothing: silence in G.711 µ-law is FF too.
    """
    at, end, frames = 0, len(data), 0
    while at < end:
        if end - at < 7:
            return frames > 1
        size = adts_size(data, at)
        if not size:
            return False
        at += size
        frames += 1
    return frames > 0 and (at == end or frames > 2)


def adts_size(data: bytes, at: int = 0) -> int:
    """Bytes of the ADTS frame whose header of seven bytes is at `at`, 0 where none is."""
    if data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0 or data[at + 2] >> 2 & 15 >= len(RATES_HZ):
        return 0
    size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    return size if size > (7 if data[at + 1] & 1 else 9) else 0


def parse_adts(data: bytes) -> tuple[AacConfig | None, list[bytes], int]:
    """(configuration, raw frames, bytes used) of the whole ADTS frames at the front of `data`.

    What follows the bytes used is an unfinished frame, to be kept and continued, or less than a header. Configuration
    is None without a whole frame. Frames of several raw blocks are refused: no camera sends them. Raises WireError
    where no frame begins.
    """
    frames: list[bytes] = []
    config: AacConfig | None = None
    at, end = 0, len(data)
    while end - at >= 7:
        size = adts_size(data, at)
        if not size or data[at + 6] & 3:
            raise WireError("no ADTS frame of one block begins here", data=data, offset=at)
        if at + size > end:
            break
        if config is None:
            kind = (data[at + 2] >> 6) + 1
            index, channels = data[at + 2] >> 2 & 15, (data[at + 2] & 1) << 2 | data[at + 3] >> 6
            asc = kind << 11 | index << 7 | channels << 3
            config = AacConfig(object_type=kind, rate_hz=RATES_HZ[index], channels=channels, asc=asc.to_bytes(2, "big"))
        frames.append(bytes(data[at + (7 if data[at + 1] & 1 else 9) : at + size]))
        at += size
    return config, frames, at
