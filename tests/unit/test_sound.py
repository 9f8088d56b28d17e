"""G.711 against FFmpeg's own tables, and the AAC made of it decoded by FFmpeg."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from typing import Literal

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.media.child.sound import RATE_HZ, Sound, alaw, ulaw
from anwang.wire.aac import SAMPLES_PER_FRAME, parse_adts
from anwang.wire.units import Codec, Kind, Unit

LAWS = {Codec.G711A: ("pcm_alaw", alaw), Codec.G711U: ("pcm_mulaw", ulaw)}


def context(name: str, mode: Literal["r", "w"]) -> av.AudioCodecContext:
    made = av.CodecContext.create(name, mode)
    assert isinstance(made, av.AudioCodecContext)
    made.sample_rate, made.layout = RATE_HZ, "mono"
    return made


@pytest.mark.parametrize("codec", LAWS)
def test_every_code_means_what_ffmpeg_says(codec: Codec) -> None:
    name, linear = LAWS[codec]
    [frame] = context(name, "r").decode(av.Packet(bytes(range(256))))
    assert frame.to_ndarray()[0].tolist() == [linear(code) for code in range(256)]


def spoken(codec: Codec, seconds: float) -> bytes:
    """A tone of 440 Hz, encoded by FFmpeg."""
    encoder = context(LAWS[codec][0], "w")
    encoder.format, encoder.time_base = "s16", Fraction(1, RATE_HZ)
    wave = np.sin(np.arange(round(seconds * RATE_HZ)) * 2 * np.pi * 440 / RATE_HZ) * 12_000
    frame = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None, :], format="s16", layout="mono")
    frame.sample_rate = RATE_HZ
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def heard(units: list[Unit]) -> tuple[np.ndarray, int]:
    """The samples that FFmpeg decodes, and the number of frames."""
    decoder = context("aac", "r")
    count, samples = 0, []
    for unit in units:
        config, frames, used = parse_adts(unit.data)
        assert config is not None and (config.rate_hz, config.channels, used) == (RATE_HZ, 1, len(unit.data))
        decoder.extradata = config.asc
        for data in frames:
            count += 1
            samples += [frame.to_ndarray()[0] for frame in decoder.decode(av.Packet(data))]
    return np.concatenate(samples), count


@pytest.mark.parametrize("codec", LAWS)
def test_a_tone_is_still_that_tone(codec: Codec) -> None:
    sound, data = Sound(), spoken(codec, 4.0)
    made: list[Unit] = []
    for at in range(0, len(data), 320):  # 40 ms a packet, as cameras send it
        unit = Unit(kind=Kind.AUDIO, codec=codec, data=data[at : at + 320], pts_90k=900_000 + at * 90 // 8)
        made += sound.push(unit)
    samples, count = heard(made)
    assert count == len(data) // SAMPLES_PER_FRAME - 1  # it holds one back
    spectrum = np.abs(np.fft.rfft(samples[4096 : 4096 + RATE_HZ]))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    assert 0.3 < np.abs(samples[4096:-4096]).max() < 0.45  # as loud as before: 12000 of 32768
    times = [unit.pts_90k for unit in made]
    # the encoder's first frame is its run-up, which stands before the first sample
    assert times == [900_000 + (number - 1) * SAMPLES_PER_FRAME * 90 // 8 for number in range(count)]


def test_a_jump_of_the_senders_clock_is_followed() -> None:
    sound, made = Sound(), list[Unit]()
    for number in range(40):
        late = 3 * 90_000 if number >= 20 else 0
        unit = Unit(kind=Kind.AUDIO, codec=Codec.G711A, data=bytes(1024), pts_90k=number * 11_520 + late)
        made += sound.push(unit)
    steps = [(after.pts_90k or 0) - (before.pts_90k or 0) for before, after in pairwise(made)]
    assert sorted(steps)[:-1] == [11_520] * (len(steps) - 1)
    assert sorted(steps)[-1] == 11_520 + 3 * 90_000


@given(st.lists(st.tuples(st.binary(max_size=4000), st.none() | st.integers(-(1 << 40), 1 << 40)), max_size=8))
def test_any_bytes_and_times_cost_nothing_but_themselves(parts: list[tuple[bytes, int | None]]) -> None:
    sound, total = Sound(), 0
    for data, pts in parts:
        total += len(data)
        for unit in sound.push(Unit(kind=Kind.AUDIO, codec=Codec.G711U, data=data, pts_90k=pts)):
            assert parse_adts(unit.data)[0] is not None
    assert sound.faults == 0
    assert len(sound._pending) // 4 == total % SAMPLES_PER_FRAME


def test_random_noise_is_encoded_too() -> None:
    sound, dice = Sound(), random.Random(5)
    made = [
        unit
        for _ in range(50)
        for unit in sound.push(Unit(kind=Kind.AUDIO, codec=Codec.G711A, data=dice.randbytes(320), pts_90k=None))
    ]
    assert heard(made)[1] == 14
