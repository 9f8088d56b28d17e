"""One stream inside a child: from its receiver through the fragmenter to viewers and the recorder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from anwang.kernel.times import from_micros, rfc3339
from anwang.media.child.before import Before
from anwang.media.child.hub import Outlet, WholeOutlet
from anwang.media.child.receive import Hooks
from anwang.media.child.recorder import Recording
from anwang.media.child.sound import Sound
from anwang.media.control import Connected, Done, FirstPacket, Flow, FromChild, Lost, Odd, Ready
from anwang.media.model import GapCause
from anwang.runtime.clock import Clock
from anwang.wire.fmp4 import Fragment, Fragmenter, Init
from anwang.wire.mpegps import Demuxed
from anwang.wire.rtp import Reception, SsrcPolicy
from anwang.wire.units import CLOCK_HZ, Codec, Kind, Unit

DOUBTED_PACKETS = 100
"""So many packets of a stream say something about its way; loss or disorder of this share, and this count, is told."""
DOUBTED_SHARE = 0.005
DOUBTED_LEAST = 3
DOUBTED_BYTES = 4096
#: a recording that was sent to its end is over after so much silence
DRAIN_SECONDS = 1.5
MOST_CUT_BYTES = 16 << 20


class Source(Protocol):
    """A receiver or a puller."""

    port: int

    def seen(self) -> Reception:
        """Counters."""

    def demuxed(self) -> Demuxed:
        """Those of the program stream in it."""

    def pace(self, is_patient: bool) -> None:
        """Whether what comes may wait a moment."""

    def close(self) -> None:
        """Give everything back."""


class Amendable(Source, Protocol):
    """A receiver, which waits for the device's answer."""

    def amend(
        self, ssrc: int, policy: SsrcPolicy, connect: tuple[str, int] | None, sources: Sequence[str] = ()
    ) -> None:
        """The device has answered. sources: who may connect to us, empty for anyone."""

    def hold(self, on: bool) -> None:
        """Let the sender wait, or go on, where the transport can."""


class Feed:
    """The state of one stream. Everything runs in the child's loop."""

    def __init__(
        self,
        stream: str,
        *,
        tell: Callable[[FromChild], None],
        clock: Clock,
        over: Callable[[Feed], None],
        has_sound: bool = True,
        whole: bool = False,
        handling: AbstractContextManager[None] | None = None,
    ) -> None:
        """has_sound: False leaves all sound out. whole: a recording of a device, for one viewer.

        handling: see Hooks.
        """
        self.stream = stream
        self.outlet = WholeOutlet(hold=self._hold, overrun=self._overrun) if whole else Outlet(self.pace)
        self.recording: Recording | None = None
        self.source: Source | None = None
        self._tell = tell
        self._clock = clock
        self._over = over
        self._handling = handling or nullcontext()
        self._has_sound = has_sound
        self._fragmenter = Fragmenter(sound=has_sound)
        self._sound = Sound()
        self._init: Init | None = None
        self._before: Before | None = None
        self._said: set[str] = set()
        self._peer = ""
        self._frames = 0
        self._bytes = 0
        self._packet_us = 0
        self._picture_us = 0
        self._last = (0.0, 0, 0)
        self._opened_s = clock.monotonic()
        # of recordings only
        self._epoch = 0
        self._media_90k = 0
        self._cut: list[Unit] | None = None
        self._cut_bytes = 0
        self._is_quiet = self._is_held = self._is_finishing = self._is_over = False
        self._woken_s = 0.0
        self._ended_why = ""

    def hooks(self) -> Hooks:
        """Where this feed's receiver reports."""
        return Hooks(
            connected=self._connected,
            first=self._first,
            odd=self._odd,
            units=self._units,
            ended=self.lose,
            handling=self._handling,
        )

    def mute(self) -> None:
        """Leave all sound out from now on: told before the sender has been answered."""
        self._has_sound = False
        if self._init is None:
            self._fragmenter = Fragmenter(sound=False)

    def record(self, recording: Recording | None) -> None:
        """Begin or end recording; a new recording starts at the next key frame, or with what `arm` has kept."""
        if self.recording is not None:
            self.recording.end()
        self.recording = recording
        if recording is not None and self._init is not None:
            recording.begin(self._init)
            if self._before is not None:
                for fragment, at_us in self._before.taken():
                    recording.push(fragment, at_us)
        self.pace()

    def arm(self, seconds: float) -> None:
        """See control.Arm."""
        self._before = Before(seconds) if seconds > 0 else None

    def pace(self) -> None:
        """Read at leisure while nobody watches and a recording, where there is one, is under way."""
        if self.source is not None:
            is_begun = self._init is not None and (self.recording is None or self.recording.is_begun)
            self.source.pace(is_begun and not self.outlet.viewers and not isinstance(self.outlet, WholeOutlet))

    def flow(self) -> Flow:
        """The counters of the last second."""
        seen = self.source.seen() if self.source is not None else Reception()
        demuxed = self.source.demuxed() if self.source is not None else Demuxed()
        self._doubt(seen, demuxed)
        now = self._clock.monotonic()
        since, frames, size = self._last
        seconds = max(now - since, 1e-3) if since else 1.0
        self._last = (now, self._frames, self._bytes)
        return Flow(
            stream=self.stream,
            packets=seen.packets,
            lost=seen.lost,
            reordered=seen.reordered,
            malformed=seen.malformed,
            skipped_bytes=seen.skipped_bytes + demuxed.skipped_bytes,
            dropped_units=demuxed.dropped_units + self._fragmenter.seen.malformed,
            bytes=self._bytes,
            frames=self._frames,
            viewers=len(self.outlet.viewers),
            packet_us=self._packet_us,
            picture_us=self._picture_us,
            fps=round((self._frames - frames) / seconds, 2),
            bits_per_second=round((self._bytes - size) * 8 / seconds),
            dropped=self.outlet.dropped,
            at_us=self._clock.micros(),
            media_90k=self._media_90k,
        )

    def silent_seconds(self) -> float:
        """Seconds since the last packet, or since the beginning; 0 while silence is wanted."""
        if self._is_quiet or self._is_held:
            return 0.0
        awake_s = self._clock.monotonic() - self._woken_s if self._woken_s else float("inf")
        return min(awake_s, self._unheard_seconds())

    def _unheard_seconds(self) -> float:
        if not self._packet_us:
            return self._clock.monotonic() - self._opened_s
        return (self._clock.micros() - self._packet_us) / 1e6

    @property
    def has_packets(self) -> bool:
        """Whether any packet came."""
        return bool(self._packet_us)

    @property
    def has_refused(self) -> bool:
        """Whether anything came that was no packet of the stream."""
        return self.source is not None and self.source.seen().malformed > 0

    def lose(self, why: str, cause: GapCause = GapCause.STREAM_LOST) -> None:
        """The stream has ended by itself; a recording only when its viewer has come for it."""
        if not isinstance(self.outlet, WholeOutlet):
            self._tell(Lost(stream=self.stream, cause=cause, detail=why, at_us=self._clock.micros()))
            self._over(self)
        elif self.outlet.is_taken:
            self._end_whole(why)
        else:
            self._ended_why = why

    def _end_whole(self, why: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._flush()
        self._tell(self.flow())
        if self._is_finishing:
            self._tell(Done(stream=self.stream))
        else:
            cause = GapCause.STREAM_LOST
            self._tell(Lost(stream=self.stream, cause=cause, detail=why, at_us=self._clock.micros()))
        self._over(self)

    # --- recordings of devices

    def quiet(self, on: bool) -> None:
        """See control.Quiet."""
        self._is_quiet = on
        self._woken_s = self._clock.monotonic()

    def cut(self) -> None:
        """See control.Cut. The picture that is held back belongs to what was before."""
        self._flush()
        self._cut, self._cut_bytes = [], 0

    def begin(self, epoch: int) -> None:
        """See control.Begin. What came since the cut is old up to where the sender's clock jumped, if it did; else all
        that comes from the last key frame on is taken for new.
        """
        kept, self._cut = self._cut or [], None
        self._epoch = epoch
        self._media_90k = 0
        self._fragmenter, self._init = Fragmenter(sound=self._has_sound), None
        self._sound = Sound()
        self._woken_s = self._clock.monotonic()
        self._push(kept[_new_from(kept) :])

    def finish(self) -> None:
        """See control.Finish."""
        self._is_finishing = True
        self._woken_s = 0.0

    def settle(self) -> None:
        """Once a second: end what has come to its end."""
        if self._ended_why:
            self.lose(self._ended_why)
        elif self._is_finishing and self.silent_seconds() > DRAIN_SECONDS and not self._is_held:
            self.lose("the recording was sent to its end")

    def _hold(self, on: bool) -> None:
        self._is_held = on
        self._woken_s = self._clock.monotonic()
        hold = getattr(self.source, "hold", None)
        if hold is not None:
            hold(on)

    def _overrun(self) -> None:
        self._is_finishing = False  # it is not whole
        self._end_whole("the viewer is too slow for this device, which does not wait; try TCP")

    def _flush(self) -> None:
        for fragment in self._fragmenter.flush():
            self._emit(fragment)

    def close(self, *, leave: bool = False) -> None:
        """Seal, close, tell viewers. leave: the main process is gone; the segment is kept unsealed for recovery."""
        self._flush()
        if self.recording is not None:
            if leave:
                self.recording.leave()
            else:
                self.recording.end()
            self.recording = None
        if self.source is not None:
            self.source.close()
        self.outlet.end()

    def _connected(self, peer: str) -> None:
        self._tell(Connected(stream=self.stream, peer=peer, at_us=self._clock.micros()))

    def _first(self, peer: str, ssrc: int) -> None:
        self._peer = peer
        self._packet_us = self._clock.micros()
        self._tell(FirstPacket(stream=self.stream, peer=peer, ssrc=ssrc, at_us=self._packet_us))

    def _odd(self, kind: str, sentence: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self._tell(Odd(stream=self.stream, detail=sentence, at_us=self._clock.micros(), kind=kind))

    def _doubt(self, seen: Reception, demuxed: Demuxed) -> None:
        """What the counters say about the way here, once it is more than chance."""
        total = seen.packets + seen.lost
        if total < DOUBTED_PACKETS:
            return
        for kind, count, what in (
            ("loss", seen.lost, "did not arrive"),
            ("reorder", seen.reordered, "overtook others"),
        ):
            if count >= max(DOUBTED_LEAST, total * DOUBTED_SHARE):
                self._odd(kind, f"{count} of {total} packets {what}")
        if seen.lost:
            return  # what is missing in them follows from that
        if demuxed.skipped_bytes >= max(DOUBTED_BYTES, seen.payload_bytes * DOUBTED_SHARE):
            self._odd("skipped", f"{demuxed.skipped_bytes} bytes from {self._peer} are no program stream: skipped")
        if demuxed.dropped_units >= max(DOUBTED_LEAST, demuxed.video_units * DOUBTED_SHARE):
            self._odd("units", f"{demuxed.dropped_units} pictures from {self._peer} were incomplete: dropped")

    def _units(self, units: list[Unit]) -> None:
        self._packet_us = self._clock.micros()
        if self._cut is None:
            self._push(units)
            return
        self._cut += units
        self._cut_bytes += sum(len(unit.data) for unit in units)
        if self._cut_bytes > MOST_CUT_BYTES:
            # a device that takes so long sends what is old; the newest key frame may be the one
            start = max((n for n, unit in enumerate(self._cut) if unit.is_key), default=len(self._cut))
            del self._cut[:start]
            self._cut_bytes = sum(len(unit.data) for unit in self._cut)
            if self._cut_bytes > MOST_CUT_BYTES:
                self._cut.clear()
                self._cut_bytes = 0

    def _push(self, units: list[Unit]) -> None:
        for unit in units:
            if unit.codec is Codec.G711A or unit.codec is Codec.G711U:
                if self._has_sound:
                    for heard in self._sound.push(unit):
                        self._fragmenter.push(heard)  # it goes out with the next picture
                continue
            for made in self._fragmenter.push(unit):
                self._emit(made)

    def _emit(self, made: Init | Fragment) -> None:
        now_us = self._packet_us
        if isinstance(made, Init):
            self._init = made
            hello = {
                "mime": made.mime,
                "codec": made.codec,
                "width": made.width,
                "height": made.height,
                "started_at": rfc3339(from_micros(now_us)),
                "epoch": self._epoch,
            }
            self.outlet.begin(json.dumps(hello).encode(), made.data)
            if self._before is not None:
                self._before.clear()  # one segment has one init
            if self.recording is not None:
                self.recording.begin(made)
            self._tell(
                Ready(
                    stream=self.stream,
                    mime=made.mime,
                    codec=made.codec,
                    width=made.width,
                    height=made.height,
                    at_us=now_us,
                )
            )
            return
        if made.is_discontinuity:
            self._odd("clock", "the sender's clock jumped in the midst of the stream")
        self._frames += 1
        self._bytes += len(made.data)
        self._picture_us = now_us
        self._media_90k = made.decode_time_90k + made.duration_90k
        self.outlet.push(made.data, is_key=made.is_key)
        if self.recording is not None:
            self.recording.push(made, now_us)
        elif self._before is not None:  # what is recorded need not be kept: the next recording must not begin with it
            self._before.push(made, now_us)


def _new_from(units: list[Unit]) -> int:
    """Where the new place in the recording begins among what came since the device was asked to go there."""
    keys = [n for n, unit in enumerate(units) if unit.is_key]
    before: int | None = None
    jump = 0
    for number, unit in enumerate(units):
        if unit.kind is not Kind.VIDEO or unit.pts_90k is None:
            continue
        if unit.is_jump or (before is not None and abs(unit.pts_90k - before) > CLOCK_HZ):
            jump = number
        before = unit.pts_90k
    if jump:
        return next((n for n in keys if n >= jump), len(units))
    return keys[-1] if keys else len(units)
