"""SDP as GB/T 28181 uses it (GB/T 28181-2016 annex F, -2022 annex G, RFC 4566).

One session with its media blocks, and after them the national lines `y=` (SSRC in ten digits) and `f=` (media format).
Parsing takes any order, odd lines and any `s=`; writing puts every line where the standard's samples have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self, TypeVar

from anwang.kernel.errors import Invalid, WireError

MAX_SIZE: Final = 64 * 1024
MAX_LINES: Final = 1024
MAX_MEDIA: Final = 32
#: seconds from 1900 to 1970: times above are NTP times
_NTP: Final = 2208988800


class SessionName(StrEnum):
    """What an offer asks for in `s=`. Never check it in an answer: devices write their own name there."""

    PLAY = "Play"
    PLAYBACK = "Playback"
    DOWNLOAD = "Download"
    TALK = "Talk"


class Direction(StrEnum):
    """Who sends media, said by the author of the SDP."""

    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    SENDRECV = "sendrecv"
    INACTIVE = "inactive"


class Setup(StrEnum):
    """TCP role of the author (RFC 4145)."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ACTPASS = "actpass"
    HOLDCONN = "holdconn"

    @property
    def complement(self) -> Setup:
        """The role left for the other side; passive for one that leaves the choice."""
        return Setup.ACTIVE if self is Setup.PASSIVE else Setup.PASSIVE


@dataclass(frozen=True, slots=True)
class RtpMap:
    """`a=rtpmap:96 PS/90000`. encoding: as written. clock_hz: RTP clock."""

    payload: int
    encoding: str
    clock_hz: int = 90000
    parameters: str = ""

    def __str__(self) -> str:
        tail = f"/{self.parameters}" if self.parameters else ""
        return f"{self.payload} {self.encoding}/{self.clock_hz}{tail}"


PS: Final = RtpMap(96, "PS")
MPEG4: Final = RtpMap(97, "MPEG4")
H264: Final = RtpMap(98, "H264")
H265: Final = RtpMap(100, "H265")
PCMA: Final = RtpMap(8, "PCMA", 8000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One `m=` block. payloads: RTP payload types offered, best first.

    attributes: the `a=` lines that have no field here, as (name, value or None), in order; they survive a round trip.
    file_bytes: size of a download. download_speed: times real time. stream_number: 0 main, 1 sub (2022).
    """

    kind: str
    port: int
    protocol: str = "RTP/AVP"
    payloads: tuple[int, ...] = ()
    address: str = ""
    direction: Direction | None = None
    rtpmaps: tuple[RtpMap, ...] = ()
    setup: Setup | None = None
    connection: str = ""
    download_speed: int | None = None
    stream_number: int | None = None
    file_bytes: int | None = None
    attributes: tuple[tuple[str, str | None], ...] = ()

    @property
    def is_tcp(self) -> bool:
        """Whether media runs over TCP, `TCP/RTP/AVP` or the raw `tcp` of the 2014 download."""
        return self.protocol.upper().startswith("TCP")

    def encoding(self, payload: int) -> str:
        """The encoding's name in upper case, empty where no rtpmap names that payload type."""
        for one in self.rtpmaps:
            if one.payload == payload:
                return one.encoding.upper()
        return ""

    def attribute(self, name: str) -> str | None:
        """The value of another attribute; empty for a bare flag, None where it is absent."""
        for key, value in self.attributes:
            if key.lower() == name.lower():
                return value or ""
        return None


@dataclass(frozen=True, slots=True)
class MediaFormat:
    """The `f=` line (GB/T 28181-2016 annex F): coded numbers as text, empty where open.

    codec: 1 MPEG-4, 2 H.264, 3 SVAC, 4 3GP, 5 H.265. resolution: 1..6 or WxH. rate_type: 1 constant, 2 variable.
    kbps: 0..100000. audio_codec: 1 G.711, 2 G.723.1, 3 G.729, 4 G.722.1, 5 SVAC, 6 AAC.
    """

    codec: str = ""
    resolution: str = ""
    fps: str = ""
    rate_type: str = ""
    kbps: str = ""
    audio_codec: str = ""
    audio_bitrate: str = ""
    audio_rate: str = ""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """From `v/2/6/25/1/4096a/1/8/1`; None for an empty line or one that follows no such form."""
        match = _FORMAT.fullmatch(text.strip())
        if match is None or not (match[1] or match[2]):
            return None
        video = [part.strip() for part in (match[1] or "").split("/")[1:6]]
        audio = [part.strip() for part in (match[2] or "").split("/")[1:4]]
        return cls(*(video + [""] * (5 - len(video))), *(audio + [""] * (3 - len(audio))))

    def __str__(self) -> str:
        video = "/".join(("v", self.codec, self.resolution, self.fps, self.rate_type, self.kbps))
        return video + "/".join(("a", self.audio_codec, self.audio_bitrate, self.audio_rate))


_FORMAT: Final = re.compile(r"(v(?:/[0-9xX*. ]{0,16}){0,8})?(a(?:/[0-9. ]{0,16}){0,8})?")


@dataclass(frozen=True, slots=True)
class RecordRef:
    """`u=` of a history session: whose recording and of which sort. sort: 0 all, 1 manual, 2 alarm, 3 time."""

    device_id: str
    sort: int = 0

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None where it is the long form, an address of a file."""
        device, _, sort = text.strip().partition(":")
        if not device.isascii() or not device.isdigit() or not (sort == "" or (sort.isascii() and sort.isdigit())):
            return None
        return cls(device, int(sort[:4] or 0))

    def __str__(self) -> str:
        return f"{self.device_id}:{self.sort}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdp:
    """A session description.

    owner: the author's 20-digit id in `o=`. address: where media goes or comes from. start, stop: Unix seconds UTC,
    both 0 for live. uri: `u=` as written. ssrc: the digits of `y=` as written, None where the line is absent; compare
    with `ssrc_number`, for leading zeros get lost. extra: lines of other letters before the first media block.
    """

    owner: str
    address: str
    name: str = SessionName.PLAY
    uri: str = ""
    start: int = 0
    stop: int = 0
    media: tuple[Media, ...] = ()
    ssrc: str | None = None
    format: MediaFormat | None = None
    session_id: int = 0
    session_version: int = 0
    extra: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises WireError for a size or count beyond bounds, or where no `v=` or `m=` block can be read."""
        return _read(cls, data)

    @property
    def ssrc_number(self) -> int | None:
        """`y=` as the 32-bit RTP SSRC; None where it is absent or no such number."""
        if not self.ssrc or not (self.ssrc.isascii() and self.ssrc.isdigit()) or len(self.ssrc) > 10:
            return None
        value = int(self.ssrc)
        return value if value < 1 << 32 else None

    @property
    def record(self) -> RecordRef | None:
        """Whose recording `u=` names."""
        return RecordRef.parse(self.uri)

    def block(self, kind: str = "video") -> Media | None:
        """The first media block of that kind which is not refused (port 0 means refused, except on active TCP)."""
        for one in self.media:
            if one.kind == kind and (one.port or (one.is_tcp and one.setup is Setup.ACTIVE)):
                return one
        return None

    def address_of(self, media: Media) -> str:
        """Where that block's media goes: its own `c=` before the session's."""
        return media.address or self.address

    def __bytes__(self) -> bytes:
        return "".join(f"{line}\r\n" for line in _lines(self)).encode()


_S = TypeVar("_S", bound=Sdp)


def _clean(text: str) -> str:
    if any(char in text for char in "\r\n\x00"):
        raise Invalid(f"{text[:40]!r} can't stand in a line of SDP")
    return text


def _address_line(address: str) -> str:
    return f"IN {'IP6' if ':' in address else 'IP4'} {_clean(address)}"


def _lines(sdp: Sdp) -> Iterable[str]:
    if sdp.ssrc is not None and not re.fullmatch(r"[0-9]{10}", sdp.ssrc):
        raise Invalid(f"y={sdp.ssrc[:20]!r} is not ten digits")
    yield "v=0"
    yield f"o={_clean(sdp.owner) or '-'} {sdp.session_id} {sdp.session_version} {_address_line(sdp.address)}"
    yield f"s={_clean(sdp.name)}"
    if sdp.uri:
        yield f"u={_clean(sdp.uri)}"
    yield f"c={_address_line(sdp.address)}"
    yield f"t={sdp.start} {sdp.stop}"
    for letter, value in sdp.extra:
        yield f"{_clean(letter)}={_clean(value)}"
    for one in sdp.media:
        yield f"m={_clean(one.kind)} {one.port} {_clean(one.protocol)} {' '.join(map(str, one.payloads))}".rstrip()
        if one.address:
            yield f"c={_address_line(one.address)}"
        if one.direction:
            yield f"a={one.direction.value}"
        for mapped in one.rtpmaps:
            yield f"a=rtpmap:{_clean(str(mapped))}"
        if one.setup:
            yield f"a=setup:{one.setup.value}"
        if one.connection:
            yield f"a=connection:{_clean(one.connection)}"
        if one.download_speed is not None:
            yield f"a=downloadspeed:{one.download_speed}"
        if one.stream_number is not None:
            yield f"a=streamnumber:{one.stream_number}"
        if one.file_bytes is not None:
            yield f"a=filesize:{one.file_bytes}"
        for name, other in one.attributes:
            yield _clean(f"a={name}" if other is None else f"a={name}:{other}")
    if sdp.ssrc is not None:
        yield f"y={sdp.ssrc}"
    if sdp.format is not None:
        yield f"f={_clean(str(sdp.format))}"


def _number(text: str, most: int = 2**63 - 1) -> int | None:
    text = text.strip()
    if not text:
        return None
    head = text.split(".")[0]
    if not (head.isascii() and head.isdigit()) or len(head) > 19:
        return None
    value = int(head)
    return value if value <= most else None


#: lines of which the last one counts
_SINGLE: Final = frozenset("osuctyf")


class _Block:
    """A media block while its lines come in."""

    def __init__(self, line: str) -> None:
        parts = line.split()
        port = _number(parts[1].partition("/")[0], 65535) if len(parts) > 1 else None
        if len(parts) < 3 or port is None:
            raise WireError(f"{line[:80]!r} is not a media line", data=line.encode())
        self.kind, self.port, self.protocol = parts[0].lower(), port, parts[2]
        found = (_number(part, 127) for part in parts[3:])
        self.payloads = tuple(value for value in found if value is not None)
        self.address = ""
        self.direction: Direction | None = None
        self.rtpmaps: list[RtpMap] = []
        self.setup: Setup | None = None
        self.connection = ""
        self.numbers: dict[str, int] = {}
        self.attributes: list[tuple[str, str | None]] = []

    def attribute(self, line: str) -> None:
        """One `a=` line; what has a field goes there, anything odd is kept as it is."""
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        key = name.lower()
        if not colon and key in _DIRECTIONS:
            self.direction = Direction(key)
        elif key == "rtpmap" and (mapped := _rtpmap(value)):
            self.rtpmaps.append(mapped)
        elif key == "setup" and value.lower() in _SETUPS:
            self.setup = Setup(value.lower())
        elif key == "connection" and value:
            self.connection = value
        elif key in _NUMBERS and (number := _number(value)) is not None:
            self.numbers[_NUMBERS[key]] = number
        elif name:
            self.attributes.append((name, value if colon else None))

    def done(self) -> Media:
        return Media(
            kind=self.kind,
            port=self.port,
            protocol=self.protocol,
            payloads=self.payloads,
            address=self.address,
            direction=self.direction,
            rtpmaps=tuple(self.rtpmaps),
            setup=self.setup,
            connection=self.connection,
            download_speed=self.numbers.get("downloadspeed"),
            stream_number=self.numbers.get("streamnumber"),
            file_bytes=self.numbers.get("filesize"),
            attributes=tuple(self.attributes),
        )


_DIRECTIONS: Final = frozenset(Direction)
_SETUPS: Final = frozenset(Setup)
#: attribute → field; the published sample of 2011 misspells filesize
_NUMBERS: Final = {
    "downloadspeed": "downloadspeed",
    "streamnumber": "streamnumber",
    "filesize": "filesize",
    "fileszie": "filesize",
}


def _rtpmap(value: str) -> RtpMap | None:
    payload_text, _, rest = value.partition(" ")
    encoding, _, tail = rest.strip().partition("/")
    clock_text, _, parameters = tail.partition("/")
    payload = _number(payload_text, 127)
    clock = _number(clock_text, 2**31) if clock_text else 90000
    if payload is None or clock is None or not encoding:
        return None
    return RtpMap(payload, encoding.strip(), clock, parameters.strip())


def _connection(value: str) -> str:
    parts = value.split()
    return parts[2].partition("/")[0] if len(parts) >= 3 else ""


def _unix(text: str) -> int:
    value = _number(text) or 0
    return value - _NTP if value > _NTP else value


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("gb18030", "replace")


def _read(cls: type[_S], data: bytes) -> _S:
    if len(data) > MAX_SIZE:
        raise WireError(f"an SDP of {len(data)} bytes is above {MAX_SIZE}", data=data)
    lines = [line.strip() for line in _text(data).replace("\x00", "").replace("\r", "\n").split("\n")]
    lines = [line for line in lines if line]
    if len(lines) > MAX_LINES:
        raise WireError(f"an SDP of {len(lines)} lines is above {MAX_LINES}", data=data)
    blocks: list[_Block] = []
    extra: list[tuple[str, str]] = []
    single: dict[str, str] = {}
    for line in lines:
        letter, equals, value = line[:1].lower(), line[1:2], line[2:].strip()
        if equals != "=" or letter == "v":
            continue
        if letter == "m":
            if len(blocks) >= MAX_MEDIA:
                raise WireError(f"more than {MAX_MEDIA} media blocks", data=data)
            blocks.append(_Block(value))
        elif letter == "c" and blocks:
            blocks[-1].address = _connection(value)
        elif letter == "a" and blocks:
            blocks[-1].attribute(value)
        elif letter in _SINGLE:
            single[letter] = value
        elif not blocks:
            extra.append((letter, value))
    if not blocks:
        raise WireError("an SDP without media", data=data)
    origin = single.get("o", "").split()
    address = _connection(single.get("c", "")) or next((one.address for one in blocks if one.address), "")
    start, _, stop = single.get("t", "").partition(" ")
    return cls(
        owner=origin[0] if origin and origin[0] != "-" else "",
        address=address or (origin[5] if len(origin) > 5 else ""),
        name=single.get("s", ""),
        uri=single.get("u", ""),
        start=_unix(start),
        stop=_unix(stop),
        media=tuple(one.done() for one in blocks),
        ssrc=single.get("y"),
        format=MediaFormat.parse(single.get("f", "")),
        session_id=(_number(origin[1]) if len(origin) > 1 else None) or 0,
        session_version=(_number(origin[2]) if len(origin) > 2 else None) or 0,
        extra=tuple(extra),
    )
