"""Turns the access units of one stream into an init segment and fragments, each of one picture and the sound beside it.

Time. The fragments' clock begins at `start_90k` and only ever rises. It follows the sender's clock as long as that
makes sense; where it stands still, jumps or is missing, the picture before is given the usual step and the sender's
clock is taken up again from there. So a player never stalls, and the caller, who knows when bytes were received, sees
every jump as `is_discontinuity`.

Parameter sets stand in the init segment only (avc1, hvc1); other sets begin a new init segment at the next key frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

from anwang.kernel.errors import WireError
from anwang.wire import h26x
from anwang.wire.aac import SAMPLES_PER_FRAME, AacConfig, parse_adts
from anwang.wire.fmp4 import write
from anwang.wire.fmp4.write import AUDIO_TRACK, VIDEO_TRACK, Run, Sample
from anwang.wire.h26x import ParameterSets
from anwang.wire.rtp import Buffer
from anwang.wire.units import CLOCK_HZ, Codec, Kind, Unit

#: 25 pictures a second, until the stream shows its own step
DEFAULT_STEP_90K = 3600
#: longer pauses are a jump of the sender's clock
MAX_PAUSE_90K = 10 * CLOCK_HZ
#: sound may stray this far from its own count of samples before it is set anew
MAX_SKEW_90K = CLOCK_HZ // 10
#: a track without a frame for so long is left out of the next init segment: a player would wait for it
MAX_SILENCE_90K = 3 * CLOCK_HZ
#: frames of sound that may wait for a picture
MAX_WAITING_SOUND = 512

_H264_DROPPED = frozenset((h26x.H264_AUD, 10, 11, h26x.H264_FILLER))
_H265_DROPPED = frozenset((h26x.H265_AUD, 36, 37, h26x.H265_FILLER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Init:
    """An init segment. mime: as for MediaSource.addSourceBuffer. codec: the RFC 6381 list. width, height: pixels."""

    mime: str
    codec: str
    width: int
    height: int
    data: bytes


class Fragment(NamedTuple):
    """moof and mdat: one picture and the sound that came with it.

    A named tuple for the same reason as `Unit`.
    decode_time_90k, duration_90k: of the picture, on the fragmenter's own clock. is_discontinuity: the sender's clock
    jumped before this picture.
    """

    data: bytes
    is_key: bool
    decode_time_90k: int
    duration_90k: int
    is_discontinuity: bool = False


@dataclass(slots=True)
class Fragmented:
    """What became of the units, counted."""

    fragments: int = 0
    inits: int = 0
    waiting_for_key: int = 0
    skipped_after_loss: int = 0
    unsupported: int = 0
    malformed: int = 0
    splices: int = 0
    dropped_sound: int = 0


@dataclass(slots=True)
class _Held:
    """A picture whose duration is not known yet."""

    parts: list[Buffer]
    size: int
    is_key: bool
    time: int
    offset: int
    is_jump: bool
    init: Init | None


class Fragmenter:
    """Units in decoding order in, `Init` and `Fragment` out; never a fragment before a key frame.

    hold: wait for the next picture to know how long this one lasts (one frame of delay, exact durations); else the
    duration is estimated and nothing waits. skip_damaged: after loss show nothing until the next key frame; else show
    what comes. start_90k: the clock's first value. sound: False leaves sound out. audio: its configuration where it is
    known before the first frame of it (transcoded sound), so that the first init segment has its track already.
    """

    def __init__(
        self, *, hold: bool = True, skip_damaged: bool = True, start_90k: int = 0, sound: bool = True,
        audio: AacConfig | None = None,
    ) -> None:  # fmt: skip
        self.seen = Fragmented()
        self._hold = hold
        self._skip_damaged = skip_damaged
        self._start = start_90k
        self._sound = sound
        self._given_audio = audio
        self._sequence = 0
        # video
        self._codec: Codec | None = None
        self._waits_for_key = True
        self._latest: dict[str, tuple[bytes, ...]] = {"vps": (), "sps": (), "pps": ()}
        self._sets: ParameterSets | None = None
        self._known: frozenset[bytes] = frozenset()
        self._has_news = False
        self._held: _Held | None = None
        # time
        self._offset = 0
        self._last: int | None = None
        self._last_source: int | None = None
        self._step = DEFAULT_STEP_90K
        self._still = 0
        self._reorder: int | None = 0
        self._heap: list[int] = []
        self._counted = 0
        # sound
        self._audio: AacConfig | None = audio
        self._init_audio: AacConfig | None = None
        self._frames: list[tuple[int, bytes]] = []
        self._heard: int | None = None
        self._sound_base: int | None = None
        self._sound_count = 0
        self._sound_skew = 0
        self._sound_until = 0

    @property
    def clock_offset_90k(self) -> int:
        """Fragment time less the sender's time, as of the last picture."""
        return self._offset

    def push(self, unit: Unit) -> list[Init | Fragment]:
        """What became ready. Never raises; units that can't be used are counted in `seen`."""
        if unit.kind is Kind.AUDIO:
            self._push_sound(unit)
            return []
        if unit.codec is not Codec.H264 and unit.codec is not Codec.H265:
            self.seen.unsupported += 1
            return []
        return self._push_video(unit)

    def flush(self) -> list[Init | Fragment]:
        """The picture that is held back, at the end or in a pause of the stream."""
        held, self._held = self._held, None
        return self._emit(held, self._step) if held else []

    # -- video

    def _push_video(self, unit: Unit) -> list[Init | Fragment]:
        ready: list[Init | Fragment] = []
        if unit.codec is not self._codec:
            ready += self.flush()
            self._change_codec(unit.codec)
        if unit.follows_loss and self._skip_damaged and self._last is not None:
            self._wait_for_key()
        try:
            parts, size = self._convert(unit.data, strip_all=unit.is_key or self._waits_for_key)
        except WireError:
            self.seen.malformed += 1
            if self._skip_damaged:
                self._wait_for_key()
            return ready
        init: Init | None = None
        if unit.is_key:
            init = self._new_init()
            if init is None and self._sets is None:
                self.seen.waiting_for_key += 1
                return ready
            self._waits_for_key = False
        elif self._waits_for_key:
            if self._last is None:
                self.seen.waiting_for_key += 1
            else:
                self.seen.skipped_after_loss += 1
            return ready
        if not size:
            self.seen.malformed += 1
            return ready
        time, offset, is_jump = self._time(unit)
        held = self._held
        if held:
            ready += self._emit(held, time - held.time)
        following = _Held(parts, size, unit.is_key, time, offset, is_jump, init)
        if self._hold:
            self._held = following
        else:
            ready += self._emit(following, self._step)
        return ready

    def _wait_for_key(self) -> None:
        self._waits_for_key = True
        self._heap.clear()
        self._counted = 0

    def _change_codec(self, codec: Codec) -> None:
        self._codec = codec
        self._latest = {"vps": (), "sps": (), "pps": ()}
        self._sets, self._known = None, frozenset()
        self._reorder = 0
        self._wait_for_key()

    def _convert(self, data: bytes, *, strip_all: bool) -> tuple[list[Buffer], int]:
        """(parts with lengths, their bytes). Raises WireError.

        Parameter sets are noted and left out: those of the init segment, on key frames all.
        """
        spans = h26x.nal_spans(data)
        is_h264 = self._codec is Codec.H264
        dropped = _H264_DROPPED if is_h264 else _H265_DROPPED
        view = memoryview(data)
        parts: list[Buffer] = []
        size = 0
        sets: dict[str, list[bytes]] | None = None
        for start, end in spans:
            kind = data[start] & 0x1F if is_h264 else data[start] >> 1 & 0x3F
            if (kind == 7 or kind == 8) if is_h264 else 32 <= kind <= 34:
                nal = data[start:end]
                if sets is None:
                    sets = {"vps": [], "sps": [], "pps": []}
                name = ("sps" if kind == 7 else "pps") if is_h264 else ("vps", "sps", "pps")[kind - 32]
                if nal not in sets[name]:
                    sets[name].append(nal)
                if strip_all or nal in self._known:
                    continue
            elif kind in dropped:
                continue
            length = end - start
            parts.append(length.to_bytes(4, "big"))
            parts.append(view[start:end])
            size += 4 + length
        if sets:
            for name, found in sets.items():
                if found and tuple(found) != self._latest[name]:
                    self._latest[name] = tuple(found)
                    self._has_news = True
        return parts, size

    def _new_init(self) -> Init | None:
        """A new init segment where this key frame needs one."""
        audio = self._audio if self._sound and self._is_heard() else None
        if self._sets is not None and not self._has_news and audio == self._init_audio:
            return None
        self._has_news = False
        latest = self._latest
        sets = ParameterSets(codec=self._codec or Codec.H264, vps=latest["vps"], sps=latest["sps"], pps=latest["pps"])
        if not sets.is_complete or (sets == self._sets and audio == self._init_audio):
            return None
        try:
            shape = sets.format()
            data = write.init_segment(sets, audio)
        except WireError:
            self.seen.malformed += 1
            return None
        if audio != self._init_audio and not self._hold:
            # what waits was meant for the track before; with `hold` it goes out with the picture before
            self.seen.dropped_sound += len(self._frames)
            self._frames.clear()
        if audio != self._init_audio:
            self._sound_base = None
        self._sets, self._init_audio = sets, audio
        self._known = frozenset(sets)
        self._reorder = shape.reorder
        if self._last is None and shape.tick_90k:
            self._step = shape.tick_90k
        codec = f"{shape.codecs},{audio.codecs}" if audio else shape.codecs
        mime = f'video/mp4; codecs="{codec}"'
        self.seen.inits += 1
        return Init(mime=mime, codec=codec, width=shape.width, height=shape.height, data=data)

    # -- time

    def _time(self, unit: Unit) -> tuple[int, int, bool]:
        """(decode time, composition offset, clock jumped) on our clock."""
        pts = unit.pts_90k
        last = self._last
        if pts is None:
            out = self._start if last is None else last + self._step
            self._last, self._last_source = out, None
            return out, 0, False
        source = unit.dts_90k if unit.dts_90k is not None else self._decoding_time(pts)
        if last is None:
            self._offset = self._start - source
            self._last, self._last_source = self._start, source
            return self._start, pts - source, False
        out = source + self._offset
        step = out - last
        is_jump = False
        if unit.is_jump or step > MAX_PAUSE_90K or step < -CLOCK_HZ:
            is_jump = True
            source = pts if unit.dts_90k is None else source
            self._heap.clear()
            self._counted = 0
            out = self._splice(source, last)
        elif step > 0:
            self._still = 0
            if step <= CLOCK_HZ:
                self._step = step
        elif unit.dts_90k is None and self._has_reordering(unit, pts):
            out = last + 1  # until the times found for decoding have fallen back behind those for showing
        elif source == self._last_source and self._still < 1:
            self._still += 1
            out = last + 1
        else:
            out = self._splice(source, last)
        self._last, self._last_source = out, source
        return out, pts + self._offset - out, is_jump

    def _splice(self, source: int, last: int) -> int:
        """Take up the sender's clock where ours stands."""
        self.seen.splices += 1
        out = last + self._step
        self._offset = out - source
        return out

    def _decoding_time(self, pts: int) -> int:
        """When a picture is decoded, from when it is shown: the smallest of the last few (H.264 C.4.5.3 in reverse)."""
        depth = self._reorder or 0
        if not depth:
            return pts
        heappush(self._heap, pts)
        self._counted += 1
        if len(self._heap) > depth:
            return heappop(self._heap)
        return self._heap[0] - (depth + 1 - self._counted) * self._step

    def _has_reordering(self, unit: Unit, pts: int) -> bool:
        """Whether pictures come in another order than they are shown; learnt from the first B slice where the SPS is
        silent.
        """
        if self._reorder is None:
            for start, end in h26x.nal_spans(unit.data):
                if 1 <= unit.data[start] & 0x1F <= 5:
                    if h26x.slice_type(unit.data[start:end][:32]) in (1, 6):
                        self._reorder, self._counted = 1, 2
                        heappush(self._heap, pts)
                    break
        return bool(self._reorder)

    # -- sound

    def _push_sound(self, unit: Unit) -> None:
        if unit.codec is not Codec.AAC or not self._sound:
            self.seen.unsupported += 1
            return
        try:
            config, frames, _ = parse_adts(unit.data)
        except WireError:
            self.seen.malformed += 1
            return
        if not config:
            self.seen.malformed += 1
            return
        config = self._given_audio or config
        self._heard = self._start if self._last is None else self._last
        if config != self._audio:
            self._audio = config
            self._sound_base = None
        if self._last is None or self._init_audio != config:
            # no picture yet, or a track that only the next init segment will have
            self.seen.dropped_sound += len(frames)
            return
        self._place(unit.pts_90k, frames, config.rate_hz)

    def _is_heard(self) -> bool:
        """Whether the track has sound these days, or is given and has had no time to."""
        if self._heard is None:
            return self._given_audio is not None and self._last is None
        return self._last is None or self._last - self._heard <= MAX_SILENCE_90K

    def _place(self, pts: int | None, frames: Sequence[bytes], rate: int) -> None:
        """Frames of sound on our clock: counted on from the first, as long as the sender's clock agrees."""
        claimed = None if pts is None else pts + self._offset + self._sound_skew
        if self._sound_base is None:
            base = claimed if claimed is not None else (self._last or 0)
            if base < self._start:
                self.seen.dropped_sound += len(frames)
                return
            self._sound_base, self._sound_count = max(base, self._sound_until), 0
        expected = self._sound_base + self._sound_count * SAMPLES_PER_FRAME * CLOCK_HZ // rate
        if claimed is not None:
            ahead = claimed - expected
            if MAX_SKEW_90K < ahead <= MAX_PAUSE_90K:
                self._sound_base, self._sound_count = claimed, 0
            elif ahead > MAX_PAUSE_90K or ahead < -CLOCK_HZ:
                self._sound_skew -= ahead
            elif ahead < -MAX_SKEW_90K:
                self.seen.dropped_sound += len(frames)
                return
        for frame in frames:
            start = self._sound_base + self._sound_count * SAMPLES_PER_FRAME * CLOCK_HZ // rate
            self._sound_count += 1
            self._frames.append((start, frame))
        self._sound_until = self._sound_base + self._sound_count * SAMPLES_PER_FRAME * CLOCK_HZ // rate
        if len(self._frames) > MAX_WAITING_SOUND:
            excess = len(self._frames) - MAX_WAITING_SOUND
            del self._frames[:excess]
            self.seen.dropped_sound += excess

    def _sound_run(self) -> Run:
        frames, self._frames = self._frames, []
        ends = [start for start, _ in frames[1:]] + [self._sound_until]
        samples = [
            Sample((data,), len(data), end - start) for (start, data), end in zip(frames, ends, strict=True)
        ]  # fmt: skip
        return Run(AUDIO_TRACK, frames[0][0], samples)

    def _emit(self, held: _Held, duration: int) -> list[Init | Fragment]:
        self._sequence += 1
        picture = Sample(held.parts, held.size, duration, held.is_key, held.offset)
        runs = [Run(VIDEO_TRACK, held.time, (picture,))]
        if self._frames:
            runs.append(self._sound_run())
        fragment = Fragment(
            data=write.fragment(self._sequence, runs), is_key=held.is_key, decode_time_90k=held.time,
            duration_90k=duration, is_discontinuity=held.is_jump,
        )  # fmt: skip
        self.seen.fragments += 1
        return [held.init, fragment] if held.init else [fragment]
