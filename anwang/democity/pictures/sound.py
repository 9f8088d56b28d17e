"""What the cameras' microphones hear: wind and a distant road, eight seconds of it, made from a seed."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import av
import numpy as np
from numpy.typing import NDArray

from anwang.kernel.errors import Internal
from anwang.wire.aac import SAMPLES_PER_FRAME, AacConfig

SECONDS = 8
AAC_RATE_HZ = 16_000
G711_RATE_HZ = 8_000
G711_CHUNK = 320  # 40 ms


def ambience(rate_hz: int) -> NDArray[np.int16]:
    """One loop without a seam: noise shaped in frequency, swelling twice, and a far two-note bell."""
    count = rate_hz * SECONDS
    rng = np.random.default_rng(17)
    spectrum = np.fft.rfft(rng.normal(0, 1, count))
    hertz = np.fft.rfftfreq(count, 1 / rate_hz)
    spectrum *= 1 / (1 + (hertz / 180) ** 1.6) * (hertz > 30)
    hum = np.fft.irfft(spectrum, count)
    hum /= np.abs(hum).max()
    t = np.arange(count) / rate_hz
    hum *= 0.6 + 0.25 * np.sin(2 * np.pi * t / SECONDS * 2)
    bell = np.zeros(count)
    for start, note in ((3.0, 880.0), (3.4, 698.5)):
        since = np.clip(t - start, 0, None)
        bell += (t >= start) * np.exp(-since * 5) * np.sin(2 * np.pi * note * since)
    return ((hum * 0.32 + bell * 0.05) * 20_000).clip(-32768, 32767).astype(np.int16)


@cache
def g711a() -> tuple[bytes, ...]:
    """The loop in G.711 A-law (ITU-T G.711), 40 ms a piece."""
    whole = alaw(ambience(G711_RATE_HZ))
    return tuple(whole[at : at + G711_CHUNK] for at in range(0, len(whole), G711_CHUNK))


def alaw(samples: NDArray[np.int16]) -> bytes:
    """Samples as A-law bytes, 13 bits to 8, even bits inverted."""
    value = samples.astype(np.int32) >> 3
    positive = value >= 0
    size = np.where(positive, value, -value - 1)
    segment = np.zeros_like(size)
    for top in (0x1F, 0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF):
        segment += size > top
    segment = np.minimum(segment, 7)
    mantissa = np.where(segment < 2, size >> 1, size >> segment) & 0x0F
    code = (segment << 4 | mantissa) ^ np.where(positive, 0xD5, 0x55)
    return code.astype(np.uint8).tobytes()


@cache
def aac() -> tuple[bytes, ...]:
    """The loop in AAC-LC, one ADTS frame (64 ms) a piece."""
    context = av.CodecContext.create("aac", "w")
    if not isinstance(context, av.AudioCodecContext):
        raise Internal("aac is no audio encoder")
    context.sample_rate, context.layout, context.format = AAC_RATE_HZ, "mono", "fltp"
    context.bit_rate, context.time_base = 32_000, Fraction(1, AAC_RATE_HZ)
    samples = (ambience(AAC_RATE_HZ) / 32768).astype(np.float32)
    config = AacConfig.lc(AAC_RATE_HZ, 1)
    frames: list[bytes] = []
    for at in range(0, len(samples) - SAMPLES_PER_FRAME + 1, SAMPLES_PER_FRAME):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + SAMPLES_PER_FRAME], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = AAC_RATE_HZ, at, Fraction(1, AAC_RATE_HZ)
        frames += [bytes(packet) for packet in context.encode(frame)]
    return tuple(config.adts(len(raw)) + raw for raw in frames)
