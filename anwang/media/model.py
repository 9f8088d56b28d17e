"""Values that the media slice, its children and its readers share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from anwang.kernel.errors import Invalid, WireError
from anwang.kernel.ids import PointId, SegmentId, parse_uuid
from anwang.kernel.times import from_micros, to_micros


class GapCause(StrEnum):
    """Why a stretch of the plan has no recording."""

    NOT_PLANNED = "not_planned"
    NO_EVENT = "no_event"
    """The plan waits for an event, and none came: no fault."""
    DEVICE_OFFLINE = "device_offline"
    STREAM_LOST = "stream_lost"
    NO_KEY_FRAME = "no_key_frame"
    OPEN_FAILED = "open_failed"
    CHILD_DIED = "child_died"
    PLATFORM_STOPPED = "platform_stopped"
    DISK_GUARD = "disk_guard"
    DELETED = "deleted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A place where decoding can begin.

    offset_us: from the segment's start. position: byte offset of its fragment in the object.
    """

    offset_us: int
    position: int


def pack_key_frames(frames: Iterable[KeyFrame]) -> bytes:
    """Key frames as delta varints: about four bytes each, for the index row."""
    out = bytearray()
    time = position = 0
    for frame in frames:
        for value in (frame.offset_us // 1000 - time, frame.position - position):
            if value < 0:
                raise Invalid("key frames must come in order")
            while value > 0x7F:
                out.append(value & 0x7F | 0x80)
                value >>= 7
            out.append(value)
        time, position = frame.offset_us // 1000, frame.position
    return bytes(out)


def unpack_key_frames(data: bytes) -> list[KeyFrame]:
    """The reverse of pack_key_frames; offsets come back in whole milliseconds. Raises Invalid."""
    values: list[int] = []
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
            if shift > 63:
                raise Invalid("a key frame entry is too long")
        else:
            values.append(value)
            value = shift = 0
    if shift or len(values) % 2:
        raise Invalid("the key frame list is cut off")
    frames = []
    time = position = 0
    for i in range(0, len(values), 2):
        time += values[i]
        position += values[i + 1]
        frames.append(KeyFrame(time * 1000, position))
    return frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stored piece of video (录像段): one object, init and fragments, beginning with a key frame.

    start_us, end_us: wall clock of our receipt, half-open. device_start_us: what the device's clock claimed, if known.
    init_bytes: length of the init part. size_bytes: of the whole object.
    """

    id: SegmentId
    point: PointId
    stream: str
    key: str
    start_us: int
    end_us: int
    size_bytes: int
    init_bytes: int
    codec: str
    width: int
    height: int
    key_frames: Sequence[KeyFrame]
    device_start_us: int | None = None
    continues: bool = False
    """Whether the first frame follows the previous segment's last one without a break."""
    sha256: str = ""
    """Of the whole object, as it was when it was sealed, in hexadecimal; empty where nobody computed it."""


def segment_key(point: PointId, stream: str, start_us: int, segment: SegmentId) -> str:
    """The object key of a segment; time in UTC so that a listing sorts by time."""
    moment = from_micros(start_us)
    return f"video/{point}/{stream}/{moment:%Y%m%d}/{moment:%H%M%S}{moment.microsecond // 1000:03d}-{segment}.mp4"


def parse_segment_key(key: str) -> tuple[PointId, str, int]:
    """(point, stream, start in µs, to the millisecond) that a segment's object key says. Raises Invalid."""
    found = _KEY.fullmatch(key)
    if found is None:
        raise Invalid(f"{key[:200]} is not the key of a segment")
    try:
        moment = datetime.strptime(found["day"] + found["time"] + "000", "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        raise Invalid(f"{key[:200]} names an impossible time") from None
    return PointId(found["point"]), found["stream"], to_micros(moment)


_KEY = re.compile(
    r"video/(?P<point>[0-9A-Za-z_-]{1,64})/(?P<stream>[0-9A-Za-z_-]{1,64})/(?P<day>[0-9]{8})/(?P<time>[0-9]{9})-[^/]+\.mp4"
)

#: recordings outside these years are a unit mistake (seconds or milliseconds taken for microseconds), never a recording
_FIRST_US = 946_684_800_000_000  # 2000-01-01
_LAST_US = 4_102_444_800_000_000  # 2100-01-01


def check_micros(value: int, what: str) -> int:
    """The value, if it can be microseconds since 1970 of a recording (2000 to 2100). Raises Invalid naming the unit
    that it looks like.
    """
    if _FIRST_US <= value < _LAST_US:
        return value
    for unit, factor in (("seconds", 1_000_000), ("milliseconds", 1_000)):
        if _FIRST_US <= value * factor < _LAST_US:
            raise Invalid(f"{what} {value} looks like {unit}", "times are microseconds since 1970 UTC")
    if _FIRST_US <= value // 1_000 < _LAST_US:
        raise Invalid(f"{what} {value} looks like nanoseconds", "times are microseconds since 1970 UTC")
    raise Invalid(f"{what} {value} is not a time between 2000 and 2100", "times are microseconds since 1970 UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """A segment that the index does not have yet, as far as it can be played.

    path: its spool file on this machine, "" where it is only an object. is_open: more of it will come.
    """

    segment: Segment
    path: str
    is_open: bool = True


ORIGIN_TYPE = bytes.fromhex("616e77616e674f72696790a1c3e5f701")
"""User type of the `uuid` box (ISO/IEC 14496-12 11.1) in a segment's init that says where the segment belongs."""


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a segment says about itself, so that the index can be rebuilt from the objects.

    start_us: wall clock of the first frame's receipt. device_start_us: what the device's clock said, if known.
    """

    point: str
    stream: str
    segment: str
    start_us: int
    continues: bool = False
    device_start_us: int | None = None


_origin_decoder = msgspec.json.Decoder(Origin)


def origin_box(origin: Origin) -> bytes:
    """The whole `uuid` box for the init part: size, "uuid", ORIGIN_TYPE, UTF-8 JSON of the Origin."""
    body = msgspec.json.encode(origin)
    return (24 + len(body)).to_bytes(4, "big") + b"uuid" + ORIGIN_TYPE + body


def read_origin(init: bytes) -> Origin:
    """The Origin in an init part, whose top-level boxes are looked through. Raises WireError if none is there."""
    at = 0
    while at + 8 <= len(init):
        size = int.from_bytes(init[at : at + 4], "big")
        if size < 8 or at + size > len(init):
            break
        if init[at + 4 : at + 8] == b"uuid" and size > 24 and init[at + 8 : at + 24] == ORIGIN_TYPE:
            return _decode_origin(init[at + 24 : at + size], at)
        at += size
    raise WireError("the init part does not say where the segment belongs", data=init, offset=at)


def _decode_origin(body: bytes, offset: int) -> Origin:
    try:
        origin = _origin_decoder.decode(body)
        check_micros(origin.start_us, "start_us")
        if origin.device_start_us is not None and not -(1 << 63) <= origin.device_start_us < 1 << 63:
            raise Invalid("device_start_us does not fit")
        parse_uuid(origin.segment)
    except (msgspec.MsgspecError, Invalid, UnicodeDecodeError) as err:
        raise WireError(f"the segment's origin cannot be read: {err}", data=body) from err
    if not _NAME.fullmatch(origin.point) or not _NAME.fullmatch(origin.stream):
        raise WireError("the segment's origin names an impossible point or stream", data=body, offset=offset)
    return origin


_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")
