"""What the main process and a media child say to each other.

One Unix stream socket per child; a message is a 4-byte big-endian length and a msgpack array (tagged union). The main
process asks with a `ref` that the answer repeats. Viewers use the child's second socket (`Watch`, then raw frames).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from anwang.kernel.errors import WireError

LONGEST_MESSAGE = 1 << 20


class _Message(msgspec.Struct, array_like=True, gc=False):
    """Base: a tagged array."""


# --- main process to child -------------------------------------------------------------------------------------------


class Reserve(_Message, tag="reserve"):
    """Reserve a receiver for a pushed stream.

    transport: "udp", "tcp_passive" or "tcp_active". bind: our address. ssrc: expected; checking: "strict" or "any".
    first_us: receipt clock is the child's own; `stream` is our id of the feed. whole: a recording for one viewer, who
    gets all of it from its first key frame on, however slow: the sender waits where it can (TCP).
    """

    ref: int
    stream: str
    transport: str
    bind: str
    ssrc: int
    checking: str
    expect: str = "PS"
    whole: bool = False


class Amend(_Message, tag="amend"):
    """What the device's answer changed: its SSRC, payload, or where we must connect (TCP active).

    sources: the addresses that may connect to us (TCP passive), empty for any. sound: False leaves all sound out.
    """

    stream: str
    ssrc: int
    checking: str
    payload: str
    connect_host: str = ""
    connect_port: int = 0
    sources: list[str] = []
    sound: bool = True


class Fetch(_Message, tag="fetch"):
    """Fetch a stream by URL (RTSP). transport: "tcp" or "udp"."""

    ref: int
    stream: str
    url: str
    username: str
    password: str
    transport: str

    def __repr__(self) -> str:
        return f"Fetch(ref={self.ref}, stream={self.stream!r}, url=…)"


class Record(_Message, tag="record"):
    """Begin (on) or end (off) writing segments of a stream. point and name ("main" or "sub") make the object key."""

    stream: str
    on: bool
    point: str
    name: str
    segment_seconds: float = 60.0


class Arm(_Message, tag="arm"):
    """Keep the last seconds of a stream in memory, for a recording to begin with; 0: no more."""

    stream: str
    seconds: float


class Drop(_Message, tag="drop"):
    """Forget a stream: close its sockets, seal its segment."""

    stream: str
    why: str


class Quiet(_Message, tag="quiet"):
    """A recording stands still (on) or goes on (off): while it does, silence is no loss."""

    stream: str
    on: bool


class Cut(_Message, tag="cut"):
    """The device is asked to go elsewhere in the recording: from now on nothing goes to the viewer until Begin."""

    stream: str


class Begin(_Message, tag="begin"):
    """The device obeys: what it sends now goes out under another epoch, from a key frame and time zero on."""

    stream: str
    epoch: int


class Finish(_Message, tag="finish"):
    """The device has sent everything: `Done` follows when it is quiet and the viewer has it all."""

    stream: str


class Stop(_Message, tag="stop"):
    """Seal everything and leave."""


# --- child to main process -------------------------------------------------------------------------------------------


class Hello(_Message, tag="hello"):
    """The child is ready. viewers: path of its second socket."""

    pid: int
    viewers: str


class Alive(_Message, tag="alive"):
    """Once a second: the child's loop runs."""


class Reserved(_Message, tag="reserved"):
    """The answer to Reserve. port is 0 for TCP active."""

    ref: int
    stream: str
    port: int


class Refused(_Message, tag="refused"):
    """The child could not do what was asked (no port free, bad address)."""

    ref: int
    stream: str
    kind: str
    reason: str


class Connected(_Message, tag="connected"):
    """Media transport stands (TCP accepted or connected, RTSP playing)."""

    stream: str
    peer: str
    at_us: int


class FirstPacket(_Message, tag="first_packet"):
    """The first packet of media arrived."""

    stream: str
    peer: str
    ssrc: int
    at_us: int


class Ready(_Message, tag="ready"):
    """The first key frame is a fragment now (or parameters changed: again). mime as for MediaSource.addSourceBuffer."""

    stream: str
    mime: str
    codec: str
    width: int
    height: int
    at_us: int


class Flow(_Message, tag="flow"):
    """Once a second for each stream: counters since its start, evidence of packets and pictures (0 = never)."""

    stream: str
    packets: int
    lost: int
    bytes: int
    frames: int
    viewers: int
    packet_us: int
    picture_us: int
    fps: float
    bits_per_second: int
    dropped: int
    reordered: int = 0
    malformed: int = 0
    """Packets that could not be read."""
    skipped_bytes: int = 0
    """Of a connection or a program stream in which nothing could be made out."""
    dropped_units: int = 0
    """Pictures of which parts were missing or senseless."""
    at_us: int = 0
    media_90k: int = 0
    """How much picture time has gone out in this epoch."""


class Done(_Message, tag="done"):
    """All of a recording went to its viewer; the feed is over."""

    stream: str


class Sealed(_Message, tag="sealed"):
    """A segment was sealed as an object. key_frames: see model.pack_key_frames."""

    stream: str
    point: str
    name: str
    segment: str
    key: str
    start_us: int
    end_us: int
    size_bytes: int
    init_bytes: int
    codec: str
    width: int
    height: int
    key_frames: bytes
    continues: bool
    sha256: bytes = b""
    """Of the whole object."""


class Progress(_Message, tag="progress"):
    """The open segment has grown: what can be played of it already. path: spool file, on this machine."""

    stream: str
    point: str
    name: str
    segment: str
    path: str
    start_us: int
    end_us: int
    size_bytes: int
    init_bytes: int
    codec: str
    width: int
    height: int
    key_frames: bytes
    continues: bool


class Lost(_Message, tag="lost"):
    """A stream ended by itself. cause: a GapCause; detail: for people."""

    stream: str
    cause: str
    detail: str
    at_us: int


NO_KEY = "no_key"
"""The kind of an `Odd` at which the device is asked for a key frame."""


class Odd(_Message, tag="odd"):
    """Something a person should know about a stream, said once per kind: packets with another SSRC, no PS in them …

    kind: for programs, such as `ssrc`, `payload`, `malformed`, `loss`, `reorder`, `clock`.
    """

    stream: str
    detail: str
    at_us: int
    kind: str = ""


class FrameKind(IntEnum):
    """What a raw frame on the viewers' socket holds."""

    TEXT = 0
    """JSON for the viewer: {mime, codec, width, height, started_at, epoch}, before each init."""
    INIT = 1
    FRAGMENT = 2
    KEY = 3
    """A fragment that begins with a key frame."""
    ERROR = 4
    """UTF-8: why there is no such stream; nothing follows."""


class Watch(_Message, tag="watch"):
    """First message on the viewers' socket: which stream. The child answers with raw frames.

    A raw frame is a 4-byte big-endian length of what follows, one byte (FrameKind), and the bytes.
    """

    stream: str


ToChild = Reserve | Amend | Fetch | Record | Arm | Drop | Quiet | Cut | Begin | Finish | Stop | Watch
FromChild = (
    Hello | Alive | Reserved | Refused | Connected | FirstPacket | Ready | Flow | Done | Sealed | Progress | Lost | Odd
)


M = TypeVar("M")


class Codec(Generic[M]):
    """Length-prefixed messages over a byte stream, both ways. kind: the union that may arrive (ToChild, FromChild)."""

    _encoder: ClassVar[msgspec.msgpack.Encoder] = msgspec.msgpack.Encoder()

    def __init__(self, kind: Any) -> None:  # a union is a typing form, not a type
        self._decoder: msgspec.msgpack.Decoder[M] = msgspec.msgpack.Decoder(kind)
        self._buffer = bytearray()

    @classmethod
    def encode(cls, message: ToChild | FromChild) -> bytes:
        """One message, ready to send."""
        body = cls._encoder.encode(message)
        return len(body).to_bytes(4, "big") + body

    def feed(self, data: bytes) -> list[M]:
        """Whole messages that `data` completes. Raises WireError for one that is too long or not ours."""
        self._buffer += data
        found: list[M] = []
        start = 0
        while len(self._buffer) - start >= 4:
            size = int.from_bytes(self._buffer[start : start + 4], "big")
            if size > LONGEST_MESSAGE:
                raise WireError(f"a control message of {size} bytes", data=bytes(self._buffer), offset=start)
            if len(self._buffer) - start - 4 < size:
                break
            try:
                found.append(self._decoder.decode(self._buffer[start + 4 : start + 4 + size]))
            except msgspec.MsgspecError as err:
                raise WireError(f"not a control message: {err}", data=bytes(self._buffer), offset=start) from err
            start += 4 + size
        del self._buffer[:start]
        return found
