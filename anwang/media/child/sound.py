"""G.711 made into AAC-LC, so that live pictures and recordings carry sound in browsers. Costs a thousandth of a core.

The one thing that a media child encodes. It is FFmpeg's encoder on samples that we have unpacked ourselves: no byte of
a stranger reaches a decoder.
"""

from __future__ import annotations

import struct
from fractions import Fraction

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.error import FFmpegError

from anwang.wire.aac import SAMPLES_PER_FRAME, AacConfig
from anwang.wire.units import CLOCK_HZ, Codec, Kind, Unit

RATE_HZ = 8000
BITS_PER_SECOND = 32_000
#: the sender's clock may stray this far from its own count of samples before it is believed
MAX_SKEW_90K = CLOCK_HZ // 5
_CONFIG = AacConfig.lc(RATE_HZ, 1)
_FLOAT_BYTES = 4


def alaw(code: int) -> int:
    """The linear sample of an A-law code (ITU-T G.711 table 1a), 16 bits."""
    code ^= 0x55
    segment, value = code >> 4 & 7, (code & 15) << 4
    value = value + 8 if segment == 0 else value + 0x108 << segment - 1
    return value if code & 0x80 else -value


def ulaw(code: int) -> int:
    """The linear sample of a µ-law code (ITU-T G.711 table 2a), 16 bits."""
    code ^= 0xFF
    value = (((code & 15) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return -value if code & 0x80 else value


_TABLES = {
    codec: [struct.pack("=f", linear(code) / 32768) for code in range(256)]
    for codec, linear in ((Codec.G711A, alaw), (Codec.G711U, ulaw))
}


class Sound:
    """The sound of one stream: G.711 in, AAC in ADTS out."""

    def __init__(self) -> None:
        self.faults = 0
        self._encoder: AudioCodecContext | None = None
        self._pending = bytearray()
        self._sent = 0
        """Samples given to the encoder."""
        self._anchor = 0, 0
        """A sample's number and its time in 90 kHz, from which others are counted."""
        self._has_time = False

    def push(self, unit: Unit) -> list[Unit]:
        """What became ready. Never raises; what the encoder refuses is counted in `faults`."""
        table = _TABLES[unit.codec]
        have = self._sent + len(self._pending) // _FLOAT_BYTES
        if unit.pts_90k is not None:
            number, time = self._anchor
            expected = time + (have - number) * CLOCK_HZ // RATE_HZ
            if not self._has_time or abs(unit.pts_90k - expected) > MAX_SKEW_90K:
                self._anchor, self._has_time = (have, unit.pts_90k), True
        self._pending += b"".join(map(table.__getitem__, unit.data))
        ready: list[Unit] = []
        size = SAMPLES_PER_FRAME * _FLOAT_BYTES
        while len(self._pending) >= size:
            ready += self._encode(bytes(self._pending[:size]))
            del self._pending[:size]
        return ready

    def _encode(self, samples: bytes) -> list[Unit]:
        frame = AudioFrame("fltp", "mono", SAMPLES_PER_FRAME)
        frame.planes[0].update(samples)
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, self._sent, Fraction(1, RATE_HZ)
        self._sent += SAMPLES_PER_FRAME
        try:
            if self._encoder is None:
                self._encoder = _made()
            packets = self._encoder.encode(frame)
        except (FFmpegError, ValueError):
            self.faults += 1
            self._encoder = None
            return []
        return [self._unit(bytes(packet), packet.pts or 0) for packet in packets]

    def _unit(self, data: bytes, number: int) -> Unit:
        anchor, time = self._anchor
        pts = time + (number - anchor) * CLOCK_HZ // RATE_HZ if self._has_time else None
        return Unit(kind=Kind.AUDIO, codec=Codec.AAC, data=_CONFIG.adts(len(data)) + data, pts_90k=pts)


def _made() -> AudioCodecContext:
    made = av.CodecContext.create("aac", "w")
    if not isinstance(made, AudioCodecContext):
        raise ValueError("this FFmpeg encodes no AAC")
    made.sample_rate, made.layout, made.format = RATE_HZ, "mono", "fltp"
    made.bit_rate = BITS_PER_SECOND
    made.time_base = Fraction(1, RATE_HZ)
    return made
