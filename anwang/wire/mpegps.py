"""MPEG-2 program streams as GB/T 28181 devices send them (GB/T 28181-2016 C.1, C.2; ISO/IEC 13818-1 2.5).

One video frame is one pack: pack header, on key frames system header and program stream map (PSM), then PES packets.
What devices really send differs; the rules the demuxer follows are those of the protocol sheet's §14.3, quoted as
(rule n).

Two facts carry the design. PES lengths lead from header to header, so payload is never searched; it is appended to the
access unit as it comes, at about a tenth of a microsecond a packet. And no valid H.264 or H.265 payload holds
00 00 01 followed by a byte from 80 up, so a pack start found inside a frame proves that something was lost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from anwang.wire import h26x
from anwang.wire.aac import adts_size, is_adts
from anwang.wire.rtp import Buffer
from anwang.wire.units import Codec, Kind, Unit, Unwrap

#: bytes of one access unit before it is dropped (rule 12)
MAX_UNIT_BYTES = 8 << 20
#: failures in a row after which everything learnt about the stream is forgotten (rule 4)
MAX_FAILURES = 16
#: access units in a row whose RTP marker stood exactly at their end, before a marker is believed
MARKER_TRUST = 8

_PACK = b"\x00\x00\x01\xba"
_START = b"\x00\x00\x01"
_AFTER_UNBOUNDED = re.compile(rb"\x00\x00\x01[\xb9-\xbd\xc0-\xef]")
_CODECS = {
    0x10: Codec.MPEG4, 0x1B: Codec.H264, 0x24: Codec.H265, 0x80: Codec.SVAC,
    0x0F: Codec.AAC, 0x11: Codec.LATM, 0x90: Codec.G711A, 0x91: Codec.G711U, 0x92: Codec.G722_1, 0x93: Codec.G723_1,
    0x99: Codec.G729, 0x9B: Codec.SVAC_AUDIO, 0x9C: Codec.OPUS,
}  # fmt: skip
_TYPES = {codec: number for number, codec in _CODECS.items()}
_SECOND = 90_000
_VIDEO, _AUDIO, _SKIP, _STREAM = 0, 1, 2, 3


class Payload(StrEnum):
    """What an RTP stream carries (rule 11)."""

    PS = "ps"
    TS = "ts"
    H264 = "h264"
    H265 = "h265"
    G711A = "g711a"
    G711U = "g711u"
    UNKNOWN = "unknown"


def sniff(payload: Buffer, payload_type: int) -> Payload:
    """What a packet carries, from its first bytes and its payload type; call it until it is not UNKNOWN (rule 11).

    A packet from the middle of a PS frame looks like nothing, so UNKNOWN only means: look at the next.
    """
    head = bytes(payload[:8])
    if head.startswith(_PACK):
        return Payload.PS
    if payload_type in (0, 8):
        return Payload.G711U if payload_type == 0 else Payload.G711A
    size = len(payload)
    if size >= 376 and all(payload[at] == 0x47 for at in range(0, size - 187, 188)):
        return Payload.TS
    if head.startswith(_START) and len(head) > 3 and (head[3] in (0xBB, 0xBC) or 0xC0 <= head[3] <= 0xEF):
        return Payload.PS
    if payload_type >= 97 and len(head) > 2:
        if head[0] in (0x40, 0x42, 0x44, 0x26, 0x60, 0x62) and head[1] == 1:
            return Payload.H265
        if head[0] & 0x9F in (5, 7, 8, 24) or (head[0] & 0x9F == 28 and head[1] & 0x9F in (0x85, 5)):
            return Payload.H264
    return Payload.UNKNOWN


class _Stamp(NamedTuple):
    """The timestamps of a PES whose payload began at `offset` of the video being collected."""

    offset: int
    pts: int | None
    dts: int | None
    rtp: int | None


@dataclass(slots=True)
class Demuxed:
    """What a demuxer has seen and what it dropped, counted since its start."""

    video_units: int = 0
    audio_units: int = 0
    dropped_units: int = 0
    oversize_units: int = 0
    resyncs: int = 0
    resets: int = 0
    skipped_bytes: int = 0
    private_bytes: int = 0
    late_pes: int = 0
    jumps: int = 0


class Demuxer:
    """A program stream cut anywhere, fed as it comes, turned into access units.

    Never raises: what can't be understood is dropped and counted in `seen`. The delay is one frame, as a frame is
    known to be whole when the next begins; where the sender's RTP markers have proved right, none.
    """

    def __init__(self) -> None:
        self.seen = Demuxed()
        self._units: list[Unit] = []
        self._failures = 0
        self._restart()
        self._clock = Unwrap(33)
        self._is_after_loss = False
        self._forget()

    def _restart(self) -> None:
        """Away with all that is half done; what was learnt about the stream stays."""
        self._rest = bytearray()
        self._need = 0
        self._sink = _SKIP
        self._is_open = False
        self._is_synced = False
        self._video = bytearray()
        self._pes_start = 0
        self._pts: int | None = None
        self._dts: int | None = None
        self._rtp: int | None = None
        self._pack_seen = False
        self._awaits_pts = False
        self._marks = 0
        self._mark_at = 0
        self._audio = bytearray()
        self._audio_pts: int | None = None
        self._scanned = 0
        self._has_slice = False
        self._stamps: list[_Stamp] = []

    def _forget(self) -> None:
        """Away with what was learnt about the stream."""
        self._video_id = self._audio_id = -1
        self._video_codec = self._audio_codec = Codec.UNKNOWN
        self._stated = Codec.UNKNOWN
        self._is_codec_seen = self._audio_is_sniffed = False
        self._adts = bytearray()
        self._is_aligned = True
        self._trust = 0
        self._flushed_pts: int | None = None
        self._is_flushed_early = False
        self._has_pts = False
        self._clock.last = None
        self._last_raw: int | None = None
        self._last_rtp: int | None = None
        self._last_out: int | None = None
        self._now_rtp: int | None = None

    def reset(self) -> None:
        """Start as new, as after a seek (§13)."""
        self._restart()
        self._forget()
        self._is_after_loss = False

    @property
    def video_codec(self) -> Codec:
        """What the video is, as stated by the PSM or seen in the stream."""
        return self._video_codec

    @property
    def audio_codec(self) -> Codec:
        """What the audio is."""
        return self._audio_codec

    def feed(
        self, data: Buffer, timestamp_90k: int | None = None, is_marked: bool = False, lost: int = 0
    ) -> list[Unit]:
        """The access units that became complete.

        data: the payload of one RTP packet, or a piece of a file. timestamp_90k, is_marked: from the RTP header, None
        and False where there is none. lost: packets missing before this one.
        """
        if lost:
            self._gap()
        need, size = self._need, len(data)
        self._now_rtp = timestamp_90k
        if need >= size > 0 and not (size > 3 and data[3] == 0xBA and data[:4] == _PACK):
            # the common case: a packet inside a PES
            sink = self._sink
            if sink == _VIDEO:
                self._video += data
            elif sink == _AUDIO:
                self._audio += data
            elif sink == _STREAM:
                self._video += data
            self._need = need = need - size
            if need or (sink == _VIDEO and not is_marked):
                return []
            self._end_pes(sink)
        else:
            if need and size > 3 and data[3] == 0xBA and data[:4] == _PACK:
                self._fail()  # rule 4: the PES is longer than what came before the next pack
                self._drop_video()
                self._need = 0
                self._rest.clear()
            self._walk(data)
        if is_marked:
            self._mark()
        if not self._units:
            return []
        units, self._units = self._units, []
        return units

    def flush(self) -> list[Unit]:
        """The last access unit, at the end of the stream."""
        if self._need and self._sink in (_VIDEO, _STREAM):
            self._drop_video()
        if self._is_open:
            self._video += self._rest
            self._rest.clear()
        self._finish_video()
        self._need, self._is_open = 0, False
        units, self._units = self._units, []
        return units

    # -- structure

    def _walk(self, data: Buffer) -> None:
        """From header to header. What is left without being a whole header waits in `_rest`."""
        rest = self._rest
        if rest:
            rest += data
            buffer = bytes(rest)
            rest.clear()
        else:
            buffer = bytes(data)
        at, end = 0, len(buffer)
        while at < end:
            if self._need:
                at = self._take(buffer, at)
                continue
            if self._is_open:
                stop = self._take_open(buffer, at)
                if stop < 0:
                    return
                at = stop
                continue
            if not self._is_synced:
                found = buffer.find(_PACK, at)
                if found < 0:
                    keep = max(at, end - 3)
                    self.seen.skipped_bytes += keep - at
                    rest += buffer[keep:]
                    return
                self.seen.skipped_bytes += found - at
                self._is_synced, at = True, found
            if end - at < 4:
                break
            if buffer[at : at + 3] != _START or buffer[at + 3] < 0xB9:
                buffer, at = self._misled(buffer, at)
                end = len(buffer)
                continue
            step = self._header(buffer, at)
            if step == 0:
                break
            if step < 0:
                self._fail()
                self._is_synced = False
                at += 4
                continue
            at += step
        rest += buffer[at:]

    def _take(self, buffer: bytes, at: int) -> int:
        """The payload of a PES of known length."""
        stop = min(at + self._need, len(buffer))
        sink = self._sink
        if sink in (_VIDEO, _STREAM):
            self._video += buffer[at:stop]
        elif sink == _AUDIO:
            self._audio += buffer[at:stop]
        self._need -= stop - at
        if not self._need:
            self._end_pes(sink)
        return stop

    def _end_pes(self, sink: int) -> None:
        if sink == _AUDIO:
            self._finish_audio()
        elif sink == _STREAM:
            self._split()

    def _take_open(self, buffer: bytes, at: int) -> int:
        """The payload of a PES without length: until the next pack or PES (rule 2). -1 where none is here yet."""
        found = _AFTER_UNBOUNDED.search(buffer, at)
        stop = found.start() if found else max(at, len(buffer) - 3)
        self._video += buffer[at:stop]
        if len(self._video) > MAX_UNIT_BYTES:
            self._oversize()
            self._is_open = self._is_synced = False
        if not found:
            self._rest += buffer[stop:]
            return -1
        self._is_open = False
        return stop

    def _header(self, buffer: bytes, at: int) -> int:
        """Bytes of the header at `at`; 0 where more is needed, -1 where it makes no sense."""
        code = buffer[at + 3]
        left = len(buffer) - at
        if code == 0xBA:
            return self._pack(buffer, at, left)
        if code == 0xB9:
            self._finish_video()
            return 4
        if left < 6:
            return 0
        length = buffer[at + 4] << 8 | buffer[at + 5]
        if code == 0xBC:
            if length > 1018:
                return -1
            if left < 6 + length:
                return 0
            self._read_map(buffer[at + 6 : at + 6 + length])
            return 6 + length
        if 0xC0 <= code <= 0xEF:
            return self._pes(buffer, at, left, length)
        # system header, private and padding streams, and whatever else has a length
        self._sink, self._need = _SKIP, length
        self.seen.private_bytes += length if code != 0xBB else 0
        return 6

    def _pack(self, buffer: bytes, at: int, left: int) -> int:
        if left < 5:
            return 0
        if buffer[at + 4] >> 4 == 2:
            size = 12  # MPEG-1
        else:
            if left < 14:
                return 0
            size = 14 + (buffer[at + 13] & 7)
        if left < size:
            return 0
        self._pack_seen = True
        return size

    def _read_map(self, body: bytes) -> None:
        """A program stream map (ISO/IEC 13818-1 2.5.4); the CRC is not looked at, devices get it wrong."""
        if len(body) < 10:
            return
        at = 4 + (body[2] << 8 | body[3])
        if at + 2 > len(body):
            return
        end = min(len(body), at + 2 + (body[at] << 8 | body[at + 1]))
        at += 2
        video, audio = Codec.UNKNOWN, Codec.UNKNOWN
        while at + 4 <= end:
            codec = _CODECS.get(body[at], Codec.UNKNOWN)
            stream = body[at + 1]
            if 0xE0 <= stream <= 0xEF and video is Codec.UNKNOWN:
                video = codec
            elif 0xC0 <= stream <= 0xDF and audio is Codec.UNKNOWN:
                audio = codec
            at += 4 + (body[at + 2] << 8 | body[at + 3])
        # rule 7: a change shows as another codec on the next units, which restart decoder and muxer
        if video is not Codec.UNKNOWN and video is not self._stated:
            if self._video:
                self._finish_video()
            self._video_codec = self._stated = video
            self._is_codec_seen = False
        if audio is not Codec.UNKNOWN and not self._audio_is_sniffed:
            self._audio_codec = audio

    def _pes(self, buffer: bytes, at: int, left: int, length: int) -> int:
        """A PES header, of MPEG-2 (2.4.3.6) or MPEG-1 (ISO/IEC 11172-1 2.4.3.3)."""
        if left < 9:
            return 0 if not length or length > left - 6 else -1
        pts: int | None = None
        dts: int | None = None
        if buffer[at + 6] >> 6 == 2:
            size = 9 + buffer[at + 8]
            flags = buffer[at + 7] >> 6
            if left < size:
                return 0
            if flags & 2 and size >= 14:
                pts = _timestamp(buffer, at + 9)
                if flags == 3 and size >= 19:
                    dts = _timestamp(buffer, at + 14)
        else:
            size, pts, dts = _mpeg1_header(buffer, at, min(left, 6 + length if length else left))
            if size <= 0:
                return size
        payload = 6 + length - size if length else -1
        if payload < 0 and length:
            return -1
        code = buffer[at + 3]
        if code >= 0xE0:
            if self._video_id < 0:
                self._video_id = code
            if code == self._video_id:
                # enough of the payload to see whether a picture begins here
                if left < size + (min(payload, 8) if length else 8):
                    return 0
                return self._begin_video(pts, dts, buffer[at + size : at + size + 8], payload, size)
        else:
            if self._audio_id < 0:
                self._audio_id = code
            if code == self._audio_id and payload > 0:
                self._audio.clear()
                self._audio_pts = pts
                self._sink, self._need = _AUDIO, payload
                return size
        if payload < 0:
            return -1
        self._sink, self._need = _SKIP, payload
        self.seen.private_bytes += payload
        return size

    # -- video

    def _begin_video(self, pts: int | None, dts: int | None, head: bytes, payload: int, size: int) -> int:
        """A video PES begins: a new access unit, or more of the one before (rules 3 and 5)."""
        if pts is not None:
            self._has_pts = True
            self._awaits_pts = False
        elif self._awaits_pts:
            self._sink, self._need = _SKIP, max(payload, 0)
            self.seen.skipped_bytes += max(payload, 0)
            self._is_synced = payload >= 0
            return size
        if self._is_flushed_early:
            if (pts is None or pts == self._flushed_pts) and not self._is_new_picture(head):
                # the marker lied: this belongs to a unit that is gone already
                self.seen.late_pes += 1
                self._trust = -(1 << 30)
                self._is_after_loss = True
                self._sink, self._need = _SKIP, max(payload, 0)
                self._is_synced = payload >= 0
                return size
            self._is_flushed_early = False
        if (
            self._video
            and self._is_aligned
            and pts is not None
            and pts != self._pts
            and not head.startswith(b"\x00\x00")
        ):
            # not as the standard has it, but as FFmpeg's and DVD muxers do: frames end and begin anywhere in a PES
            if self._video_codec is Codec.UNKNOWN:
                self._codec_of(bytes(self._video))
            if self._video_codec in (Codec.H264, Codec.H265) and payload >= 0:
                self._is_aligned = False
                self._has_picture(self._video_codec)
                self._scanned = len(self._video)
        if not self._is_aligned and payload >= 0:
            return self._continue_stream(pts, dts, payload, size)
        if self._video:
            if self._is_new_unit(pts, head):
                self._finish_video()
            elif len(self._video) + max(payload, 0) > MAX_UNIT_BYTES:
                self._oversize()
                self._is_synced = False
                return size
        if not self._video:
            self._pts, self._dts, self._rtp = pts, dts, self._now_rtp
            self._marks = 0
        elif self._pts is None:
            self._pts, self._dts = pts, dts
        self._pes_start = len(self._video)
        self._pack_seen = False
        self._sink = _VIDEO
        if payload >= 0:
            self._need = payload
        else:
            self._is_open = True
        return size

    def _continue_stream(self, pts: int | None, dts: int | None, payload: int, size: int) -> int:
        """A PES of a stream whose frames are not aligned to PES."""
        if len(self._video) + payload > MAX_UNIT_BYTES:
            self._oversize()
        if not self._video:
            self._pts, self._dts, self._rtp = pts, dts, self._now_rtp
            self._stamps.clear()
        elif pts is not None:
            self._stamps.append(_Stamp(len(self._video), pts, dts, self._now_rtp))
        self._pes_start = len(self._video)
        self._sink, self._need = _STREAM, payload
        return size

    def _split(self) -> None:
        """Find where pictures begin. A timestamp belongs to the first one that begins in its PES (2.4.3.7)."""
        body, codec = self._video, self._video_codec
        at = body.find(_START, self._scanned)
        while 0 <= at <= len(body) - 7:
            head = bytes(body[at : at + 8])
            if self._has_slice and h26x.starts_picture(codec, head):
                cut = at - 1 if body[at - 1] == 0 else at
                self._emit(bytes(body[:cut]))
                del body[:cut]
                at -= cut
                self._has_slice = False
                self._pts, self._dts, self._rtp = None, None, self._now_rtp
                while self._stamps and self._stamps[0].offset <= cut + at:
                    stamp = self._stamps.pop(0)
                    self._pts, self._dts, self._rtp = stamp.pts, stamp.dts, stamp.rtp
                self._stamps = [_Stamp(one.offset - cut, one.pts, one.dts, one.rtp) for one in self._stamps]
            self._has_slice = self._has_slice or h26x.has_picture(codec, head)
            self._scanned = at + 3
            at = body.find(_START, self._scanned)
        self._scanned = at if at >= 0 else max(self._scanned, len(body) - 2)

    def _is_new_picture(self, head: bytes) -> bool:
        codec = self._video_codec
        return self._pack_seen and (codec not in (Codec.H264, Codec.H265) or h26x.starts_picture(codec, head))

    def _is_new_unit(self, pts: int | None, head: bytes) -> bool:
        if pts is not None and self._pts is not None and pts != self._pts:
            return True
        if not self._pack_seen:
            return False
        codec = self._video_codec
        if codec is Codec.UNKNOWN:
            codec = h26x.guess_codec(self._video[:4096]) or codec
        if codec in (Codec.H264, Codec.H265):
            # rule 8: a clock that stands still would glue all frames together
            return h26x.starts_picture(codec, head) and self._has_picture(codec)
        if pts is not None:
            return self._pts is None
        return self._pts is None and (self._now_rtp is None or self._now_rtp != self._rtp)

    def _has_picture(self, codec: Codec) -> bool:
        """Whether the unit has a slice already; each byte is looked at once, however often this is asked."""
        if not self._has_slice:
            body = self._video
            self._has_slice = h26x.has_picture(codec, body[self._scanned :])
            self._scanned = max(0, len(body) - 3)
        return self._has_slice

    def _finish_video(self) -> None:
        """The access unit is whole: out with it."""
        body = self._video
        if not body:
            return
        if self._marks == 1 and self._mark_at == len(body):
            self._trust += 1
        elif self._marks and not self._is_flushed_early:
            self._trust = min(self._trust, 0)
        data = bytes(body)
        body.clear()
        self._pes_start = self._scanned = 0
        self._has_slice = False
        self._emit(data)

    def _emit(self, data: bytes) -> None:
        codec = self._codec_of(data)
        pts, dts, is_jump = self._stamp()
        is_key = codec in (Codec.H264, Codec.H265) and h26x.is_key(codec, data)
        self._failures = 0
        self.seen.video_units += 1
        self._units.append(
            Unit(
                kind=Kind.VIDEO, codec=codec, data=data, pts_90k=pts, dts_90k=dts, is_key=is_key,
                follows_loss=self._is_after_loss, is_jump=is_jump,
            )
        )  # fmt: skip
        self._is_after_loss = False

    def _codec_of(self, data: bytes) -> Codec:
        """What the stream itself shows, before that what the PSM said (rule 6)."""
        if not self._is_codec_seen and self._video_codec in (Codec.UNKNOWN, Codec.H264, Codec.H265):
            guess = h26x.guess_codec(data)
            if guess:
                self._video_codec, self._is_codec_seen = guess, True
        return self._video_codec

    def _stamp(self) -> tuple[int | None, int | None, bool]:
        """(pts, dts, clock jumped back) of the unit: its own, else by its RTP timestamps (rule 8)."""
        raw, rtp, before = self._pts, self._rtp, self._last_out
        is_jump = False
        if raw is None or raw == self._last_raw:
            out: int | None = None
            if rtp is not None:
                if before is None:
                    out = rtp
                elif self._last_rtp is not None:
                    step = rtp - self._last_rtp & 0xFFFFFFFF
                    out = before + step if 0 < step <= 10 * _SECOND else None
            dts = None
        else:
            out = self._clock.near(raw)
            if before is not None:
                if -(1 << 32) <= out - before <= 60 * _SECOND - (1 << 32):
                    out += 1 << 32  # some senders wrap at 32 bits
                is_jump = out < before - _SECOND
            self._clock.last = out
            self._last_raw = raw
            dts = self._clock.near(self._dts) if self._dts is not None else None
        if is_jump:
            self.seen.jumps += 1
        if rtp is not None:
            self._last_rtp = rtp
        if out is not None:
            self._last_out = out
        return out, dts, is_jump

    def _mark(self) -> None:
        """The RTP marker, the end of a frame where the sender keeps to it."""
        if self._need or (self._rest and not self._is_open) or not self._video:
            return
        self._marks += 1
        self._mark_at = len(self._video) + (len(self._rest) if self._is_open else 0)
        if self._trust < MARKER_TRUST:
            return
        if self._is_open:
            self._video += self._rest
            self._rest.clear()
            self._is_open = False
        self._flushed_pts = self._pts
        self._finish_video()
        self._is_flushed_early = True

    def _drop_video(self) -> None:
        if self._video or self._need:
            self.seen.dropped_units += 1
            self._is_after_loss = True
        self._video.clear()
        self._pes_start = self._scanned = 0
        self._stamps.clear()
        self._has_slice = False
        self._is_flushed_early = False

    def _oversize(self) -> None:
        self.seen.oversize_units += 1
        self._drop_video()

    # -- audio

    def _finish_audio(self) -> None:
        """One audio PES is whole."""
        data = bytes(self._audio)
        self._audio.clear()
        if self._audio_codec is not Codec.AAC and data[0] == 0xFF and is_adts(data):
            # rule 6: labelled as G.711, or not at all
            self._audio_codec, self._audio_is_sniffed = Codec.AAC, True
        if self._audio_codec is Codec.AAC:
            data = self._whole_adts(data)
            if not data:
                return
        pts = self._clock.near(self._audio_pts) if self._audio_pts is not None else None
        self.seen.audio_units += 1
        self._units.append(Unit(kind=Kind.AUDIO, codec=self._audio_codec, data=data, pts_90k=pts))

    def _whole_adts(self, data: bytes) -> bytes:
        """The whole frames; an unfinished one is kept for the next PES, what is no frame is dropped."""
        if self._adts:
            data = bytes(self._adts) + data
            self._adts.clear()
        at, end = 0, len(data)
        while end - at >= 7:
            size = adts_size(data, at)
            if not size:
                self.seen.skipped_bytes += end - at
                return data[:at]
            if at + size > end:
                break
            at += size
        self._adts += data[at:]
        return data[:at]

    # -- faults

    def _fail(self) -> None:
        self.seen.resyncs += 1
        self._failures += 1
        if self._failures % MAX_FAILURES == 0:
            self.seen.resets += 1
            after_loss = bool(self._video) or self._is_after_loss
            self._restart()
            self._forget()
            self._is_after_loss = after_loss

    def _misled(self, buffer: bytes, at: int) -> tuple[bytes, int]:
        """A length led to no header. Returns what to read on with, and where."""
        found = self._video.find(_PACK, self._pes_start) if self._sink == _VIDEO else -1
        self._is_synced = False
        if found < 0:
            self._fail()
            return buffer, at
        # packets were lost and the PES swallowed the beginning of the next pack; reading that again is work a peer
        # could make us do without end, so only the first failures after a good unit earn it
        again = bytes(self._video[found:]) + buffer[at:] if self._failures < 4 else buffer[at:]
        self._fail()
        self._drop_video()
        return again, 0

    def _gap(self) -> None:
        """Packets are missing: what was being built is damaged, unless its end was marked."""
        is_whole = self._video and not self._need and not self._is_open and self._marks
        if is_whole and self._mark_at == len(self._video):
            self._finish_video()
        else:
            self._drop_video()
        self._need = 0
        self._is_open = self._is_synced = False
        self._rest.clear()
        self._audio.clear()
        self._adts.clear()
        self._awaits_pts = self._has_pts
        self._is_flushed_early = False
        self._is_after_loss = True


def _timestamp(data: bytes, at: int) -> int:
    """33 bits among marker bits (ISO/IEC 13818-1 2.4.3.7)."""
    return (
        (data[at] & 0x0E) << 29
        | data[at + 1] << 22
        | (data[at + 2] & 0xFE) << 14
        | data[at + 3] << 7
        | data[at + 4] >> 1
    )


def _mpeg1_header(buffer: bytes, at: int, left: int) -> tuple[int, int | None, int | None]:
    """(bytes, pts, dts) of an MPEG-1 packet header; bytes 0 where more is needed, -1 where it makes no sense."""
    size = 6
    while size < left and buffer[at + size] == 0xFF:
        size += 1
        if size > 6 + 16:
            return -1, None, None
    if size + 2 > left:
        return 0, None, None
    if buffer[at + size] >> 6 == 1:
        size += 2
    if size + 10 > left:
        return 0, None, None
    kind = buffer[at + size] >> 4
    if kind == 2:
        return size + 5, _timestamp(buffer, at + size), None
    if kind == 3:
        return size + 10, _timestamp(buffer, at + size), _timestamp(buffer, at + size + 5)
    return (size + 1, None, None) if buffer[at + size] == 0x0F else (-1, None, None)


# -- the other way


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def crc32_mpeg(data: bytes) -> int:
    """The CRC of ISO/IEC 13818-1 Annex A."""
    value = 0xFFFFFFFF
    for byte in data:
        value = (value << 8 ^ _CRC[value >> 24 ^ byte]) & 0xFFFFFFFF
    return value


def pack_header(scr_90k: int, mux_rate: int = 6106) -> bytes:
    """A pack header (ISO/IEC 13818-1 2.5.3.3). scr_90k: taken modulo 2**33. mux_rate: in 50 bytes/s."""
    scr = scr_90k & (1 << 33) - 1
    bits = 0b01 << 46 | scr >> 30 << 43 | 1 << 42 | (scr >> 15 & 0x7FFF) << 27 | 1 << 26 | (scr & 0x7FFF) << 11
    clock = bits | 1 << 10 | 1
    return _PACK + clock.to_bytes(6, "big") + (mux_rate << 2 | 3).to_bytes(3, "big") + b"\xf8"


def system_header(*, has_video: bool = True, has_audio: bool = True, rate_bound: int = 6106) -> bytes:
    """A system header (2.5.3.5) for streams E0 (buffer 128 KiB) and C0 (4 KiB)."""
    audio_bound, video_bound = int(has_audio), int(has_video)
    body = (1 << 23 | rate_bound << 1 | 1).to_bytes(3, "big")
    body += bytes((audio_bound << 2, 0b11100000 | video_bound, 0xFF))
    if has_video:
        body += bytes((0xE0, 0xE0, 0x80))
    if has_audio:
        body += bytes((0xC0, 0xC0, 0x20))
    return b"\x00\x00\x01\xbb" + len(body).to_bytes(2, "big") + body


def stream_map(video: Codec | None, audio: Codec | None) -> bytes:
    """A program stream map (2.5.4.1) for streams E0 and C0."""
    entries = b""
    if video:
        entries += bytes((_TYPES[video], 0xE0, 0, 0))
    if audio:
        entries += bytes((_TYPES[audio], 0xC0, 0, 0))
    body = b"\xe0\xff\x00\x00" + len(entries).to_bytes(2, "big") + entries
    whole = b"\x00\x00\x01\xbc" + (len(body) + 4).to_bytes(2, "big") + body
    return whole + crc32_mpeg(whole).to_bytes(4, "big")


def _stamp_bytes(prefix: int, value: int) -> bytes:
    value &= (1 << 33) - 1
    bits = prefix << 36 | value >> 30 << 33 | 1 << 32 | (value >> 15 & 0x7FFF) << 17 | 1 << 16 | (value & 0x7FFF) << 1
    return (bits | 1).to_bytes(5, "big")


def pes(stream: int, payload: Buffer, pts_90k: int | None, dts_90k: int | None = None) -> bytes:
    """A frame as PES packets, split at 65535 bytes; only the first has timestamps.

    stream: 0xE0 video, 0xC0 audio. The timestamps are taken modulo 2**33.
    """
    if pts_90k is None:
        flags, stamps = 0x00, b""
    elif dts_90k is None or dts_90k == pts_90k:
        flags, stamps = 0x80, _stamp_bytes(2, pts_90k)
    else:
        flags, stamps = 0xC0, _stamp_bytes(3, pts_90k) + _stamp_bytes(1, dts_90k)
    parts: list[Buffer] = []
    at, size = 0, len(payload)
    view = memoryview(payload)
    while at < size or not parts:
        step = min(size - at, 0xFFFF - 3 - len(stamps))
        parts.append(
            b"\x00\x00\x01"
            + bytes((stream,))
            + (3 + len(stamps) + step).to_bytes(2, "big")
            + bytes((0x80, flags, len(stamps)))
            + stamps
        )
        parts.append(view[at : at + step])
        at += step
        flags, stamps = 0x00, b""
    return b"".join(parts)


class Muxer:
    """Frames into packs, one each, as GB/T 28181-2016 C.1 has them."""

    def __init__(self, *, video: Codec = Codec.H264, audio: Codec | None = None, mux_rate: int = 6106) -> None:
        self._mux_rate = mux_rate
        self._prelude = system_header(has_audio=audio is not None, rate_bound=mux_rate) + stream_map(video, audio)

    def video(self, data: Buffer, *, pts_90k: int, dts_90k: int | None = None, is_key: bool = False) -> bytes:
        """The pack of one frame (Annex-B). Key frames get system header and PSM; their parameter sets must be in
        `data`.
        """
        head = pack_header(pts_90k if dts_90k is None else dts_90k, self._mux_rate)
        return head + (self._prelude if is_key else b"") + pes(0xE0, data, pts_90k, dts_90k)

    def audio(self, data: Buffer, *, pts_90k: int) -> bytes:
        """The pack of some audio: whole codec frames, 20 to 180 ms of them."""
        return pack_header(pts_90k, self._mux_rate) + pes(0xC0, data, pts_90k)

    def unit(self, unit: Unit) -> bytes:
        """The pack of an access unit."""
        pts = unit.pts_90k or 0
        if unit.kind is Kind.VIDEO:
            return self.video(unit.data, pts_90k=pts, dts_90k=unit.dts_90k, is_key=unit.is_key)
        return self.audio(unit.data, pts_90k=pts)
