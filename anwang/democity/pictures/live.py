"""Sources of access units: what a camera encodes, one frame after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import av
import numpy as np

from anwang.democity.pictures import osd
from anwang.democity.pictures.clips import FPS, Clip, Format, Frame, encoder, poison, put_strip, split, strip_of
from anwang.democity.pictures.osd import Bytes
from anwang.kernel.errors import Internal
from anwang.wire.units import Codec

# rows of noise under the live strip, in its encoder only
MARGIN = 16


@dataclass(frozen=True, slots=True)
class Picture:
    """One access unit, Annex B. duration_90k: ticks until the next one."""

    data: bytes
    is_key: bool
    duration_90k: int


class Source(Protocol):
    """Makes a stream's frames one by one."""

    codec: Codec

    def next(self, micros: int) -> Picture:
        """The next frame, showing this wall clock (microseconds since 1970 UTC)."""

    def restart(self) -> None:
        """Let the next frame be a key frame."""


class Spliced:
    """An H.264 loop whose top strip is encoded live: time, name and clock of one camera."""

    codec = Codec.H264

    def __init__(
        self, clip: Clip, name: str, *, offset: int = 0, newer: Callable[[], Clip | None] | None = None
    ) -> None:
        """offset: where in the loop to begin, in frames; rounded to a pair of groups of pictures.

        newer: asked now and then for the loop that takes its place, until there is one.
        """
        self._name, self._newer = name, newer
        self._rows = osd.rows_of(clip.width)
        self._step = clip.duration_90k * FPS // 90_000
        self._encoder: av.VideoCodecContext | None = None
        self._count = 0
        self._show(clip)
        self._at = offset // (2 * self._group) * 2 * self._group % len(clip.frames)

    def _show(self, clip: Clip) -> None:
        """Take a loop up from its beginning."""
        self._clip = clip
        still = np.frombuffer(clip.strip, np.uint8).reshape(self._rows * 3 // 2, clip.width)
        self._still = _with_margin(still, self._rows)
        osd.burn_osd(self._still, self._rows + MARGIN, name=self._name)
        self._group = next(i for i in range(1, len(clip.frames)) if clip.frames[i].is_key)
        self._at = 0
        self._second = -1
        self._timed = self._still

    def restart(self) -> None:
        """See Source. Jumps to the next pair of groups of pictures."""
        pair = 2 * self._group
        self._at = (self._at + pair - 1) // pair * pair % len(self._clip.frames)
        self._encoder = None

    def next(self, micros: int) -> Picture:
        """See Source."""
        if self._newer and self._at % (2 * self._group) == 0 and (loop := self._newer()):
            self._newer = None
            self._show(loop)
        frame = self._clip.frames[self._at]
        self._at = (self._at + 1) % len(self._clip.frames)
        if self._encoder is None:
            self._encoder = encoder(
                self._clip.width, self._rows + MARGIN, self._step, crf=25, preset="ultrafast", rows=self._rows
            )
            self._count = 0
        strip = self._strip(micros)
        strip.pts = self._count
        self._count += 1
        own = one_unit(self._encoder, strip)
        if own.is_key != frame.is_key:
            raise Internal("the strip and the loop have lost each other's key frames")
        return Picture(frame.head + own.first + frame.rest, frame.is_key, self._clip.duration_90k)

    def _strip(self, micros: int) -> av.VideoFrame:
        second = micros // 1_000_000
        if second != self._second:
            self._second = second
            self._timed = self._still.copy()
            osd.burn_osd(self._timed, self._rows + MARGIN, time=osd.time_text(micros))
        osd.draw_clock(self._timed[: self._rows], micros // 1000, self._clip.width)
        return av.VideoFrame.from_ndarray(self._timed, format="yuv420p")


def _with_margin(strip: Bytes, rows: int) -> Bytes:
    """The strip's planes with noise below, where the encoder must not look (see clips)."""
    width = strip.shape[1]
    u = strip[rows : rows + rows // 4].reshape(rows // 2, width // 2)
    v = strip[rows + rows // 4 :].reshape(rows // 2, width // 2)
    grey = np.full((MARGIN // 2, width // 2), 128, np.uint8)
    total = rows + MARGIN
    parts = [strip[:rows], poison(MARGIN, width)]
    parts += [np.concatenate([plane, grey]).reshape(total // 4, width) for plane in (u, v)]
    return np.concatenate(parts)


class Looped:
    """A loop as it is: H.265, or a file of someone's own. Its clock does not show the time.

    newer: asked at each key frame for the loop that takes its place, until there is one.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        codec: Codec,
        durations_90k: Sequence[int],
        *,
        newer: Callable[[], Clip | None] | None = None,
    ) -> None:
        self.codec = codec
        self._frames, self._durations = frames, durations_90k
        self._newer = newer
        self._at = 0

    def restart(self) -> None:
        """See Source. Jumps to the next key frame."""
        for step in range(len(self._frames)):
            at = (self._at + step) % len(self._frames)
            if self._frames[at].is_key:
                self._at = at
                return

    def next(self, micros: int) -> Picture:
        """See Source."""
        if self._newer and self._frames[self._at].is_key and (loop := self._newer()):
            self._frames, self._durations = loop.frames, [loop.duration_90k] * len(loop.frames)
            self._at, self._newer = 0, None
        at = self._at
        self._at = (at + 1) % len(self._frames)
        frame = self._frames[at]
        return Picture(frame.head + frame.first + frame.rest, frame.is_key, self._durations[at])


class Still:
    """A picture in which only the clock moves, encoded whole while someone looks; until its loop is there.

    planes: the picture, YUV 4:2:0. newer: asked at each key frame for a source that takes its place.
    """

    codec = Codec.H264

    def __init__(self, planes: Bytes, form: Format, name: str, *, newer: Callable[[], Spliced | None]) -> None:
        self._form, self._newer = form, newer
        self._planes = planes.copy()
        osd.burn_osd(self._planes, form.height, name=name)
        self._clean = strip_of(self._planes, form.strip)
        self._second = -1
        self._encoder: av.VideoCodecContext | None = None
        self._count = 0
        self._loop: Spliced | None = None

    def restart(self) -> None:
        """See Source."""
        self._encoder = None
        if self._loop:
            self._loop.restart()

    def next(self, micros: int) -> Picture:
        """See Source."""
        if self._loop is None and self._count % self._form.group == 0 and (found := self._newer()):
            self._loop, self._encoder = found, None
        if self._loop:
            return self._loop.next(micros)
        form = self._form
        if self._encoder is None:
            self._encoder = encoder(form.width, form.height, form.step, crf=form.crf, preset="ultrafast")
            self._count = 0
        self._show(micros)
        picture = av.VideoFrame.from_ndarray(self._planes, format="yuv420p")
        picture.pts = self._count
        self._count += 1
        own = one_unit(self._encoder, picture)
        return Picture(own.head + own.first + own.rest, own.is_key, form.duration_90k)

    def _show(self, micros: int) -> None:
        """Burn the moment in; the day's seconds only when they change."""
        form, second = self._form, micros // 1_000_000
        if second != self._second:
            self._second = second
            put_strip(self._planes, self._clean, form.strip)
            osd.burn_osd(self._planes, form.height, time=osd.time_text(micros))
        osd.draw_clock(self._planes[: form.strip], micros // 1000, form.width)


def one_unit(context: av.VideoCodecContext, picture: av.VideoFrame) -> Frame:
    """The access unit of a picture, from an encoder that answers each one at once."""
    packets = context.encode(picture)
    if len(packets) != 1:
        raise Internal("the encoder must answer each frame at once")
    return split(Codec.H264, bytes(packets[0]))


def whole_frame(planes: Bytes, form: Format, micros: int, name: str) -> None:
    """Burn time, name and clock into a whole YUV 4:2:0 picture, in place."""
    osd.burn_osd(planes, form.height, name=name, time=osd.time_text(micros))
    osd.draw_clock(planes[: form.strip], micros // 1000, form.width)
