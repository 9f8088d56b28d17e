"""What gateways fulfil and slices use, without a word of any protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from anwang.kernel.ids import PointId


class Stream(StrEnum):
    """Which of a camera's streams (主码流 / 子码流)."""

    MAIN = "main"
    SUB = "sub"


class Transport(StrEnum):
    """How media reaches us, seen from the device's side of the offer."""

    UDP = "udp"
    TCP_PASSIVE = "tcp_passive"
    """We listen, the device connects."""
    TCP_ACTIVE = "tcp_active"
    """The device listens, we connect after its answer."""


class Checking(StrEnum):
    """What the receiver demands of the synchronisation source."""

    STRICT = "strict"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a point is reached: the gateway, its device and the channel under it.

    For GB/T 28181, device and channel are 20-digit codes; for RTSP, device is the id of the source, whose URLs and
    secrets the gateway keeps.
    """

    point: PointId
    gateway: str
    device: str
    channel: str
    zone: str = "default"
    streams: tuple[Stream, ...] = (Stream.MAIN,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A place reserved in a media child for one stream.

    host: the address the device must use (its network zone's). port: RTP port, or 0 for TCP active.
    ssrc: what the platform asks for, 0..2**32-1.
    """

    id: str
    host: str
    port: int
    transport: Transport
    ssrc: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """The device was asked and sends to our receiver.

    ssrc: what the device announced, None where it announced nothing. connect: host and port that we must connect to
    (TCP active). sources: the addresses from which the device may connect to us (TCP passive), empty for any.
    """

    dialog: str
    ssrc: int | None = None
    sources: tuple[str, ...] = ()
    connect: tuple[str, int] | None = None
    checking: Checking = Checking.STRICT
    file_bytes: int | None = None
    """Size of a download, where the device tells it."""
    payload: str = "PS"
    """The rtpmap encoding name of the answer: PS, H264, H265 …"""
    with_sound: bool = True
    """False: whatever sound the device sends is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """The media child must fetch the stream itself. `url` has no credentials: they travel beside it, never logged."""

    dialog: str
    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    transport: str = "tcp"


class Step(StrEnum):
    """The steps of a play, in the order in which they are expected."""

    ASKED = "asked"
    RESERVED = "reserved"
    INVITED = "invited"
    TRYING = "trying"
    ANSWERED = "answered"
    REFUSED = "refused"
    ACKNOWLEDGED = "acknowledged"
    CONNECTED = "connected"
    FIRST_PACKET = "first_packet"
    FIRST_KEY_FRAME = "first_key_frame"
    FIRST_PICTURE = "first_picture"
    STOPPED = "stopped"
    FAILED = "failed"


class Trace(Protocol):
    """The record of one play; written by everyone on its way."""

    def step(self, step: Step, detail: str = "") -> None:
        """Note a step."""

    def message(self, data: bytes, *, outgoing: bool) -> None:
        """Keep a wire message of the play, secrets already redacted."""


class Ptz(StrEnum):
    """What a pan-tilt head, lens or preset may be told."""

    MOVE = "move"
    STOP = "stop"
    FOCUS_NEAR = "focus_near"
    FOCUS_FAR = "focus_far"
    IRIS_OPEN = "iris_open"
    IRIS_CLOSE = "iris_close"
    LENS_STOP = "lens_stop"
    PRESET_SET = "preset_set"
    PRESET_GO = "preset_go"
    PRESET_DELETE = "preset_delete"
    CRUISE_START = "cruise_start"
    CRUISE_STOP = "cruise_stop"
    CRUISE_ADD = "cruise_add"
    CRUISE_REMOVE = "cruise_remove"
    CRUISE_CLEAR = "cruise_clear"
    CRUISE_SPEED = "cruise_speed"
    CRUISE_DWELL = "cruise_dwell"
    HOME_ON = "home_on"
    HOME_OFF = "home_off"
    SWITCH_ON = "switch_on"
    SWITCH_OFF = "switch_off"


@dataclass(frozen=True, slots=True, kw_only=True)
class PtzOrder:
    """One order to a head. pan (+ right), tilt (+ up), zoom (+ in): speed -1.0..1.0; preset 1..255.

    track: of a cruise, 0..255. value: 0..4095: a cruise's speed, its seconds at each stop, idle seconds until home, or
    the number of a switch, of which 1 is the wiper.
    """

    act: Ptz
    pan: float = 0.0
    tilt: float = 0.0
    zoom: float = 0.0
    preset: int = 0
    name: str = ""
    track: int = 0
    value: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A stored view (预置位) of a head."""

    number: int
    name: str


class SignalKind(StrEnum):
    """What sort of thing a device reports."""

    ALARM = "alarm"
    MOTION = "motion"
    ANALYSIS = "analysis"
    """Its own video analysis: a line crossed, an object left."""
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A raw report (信号) about a point: what may become an alarm, and what a recording plan on event waits for.

    at_us: when it happened by the device's clock; received_us: when we heard of it. text: the device's words.
    """

    point: PointId
    kind: SignalKind
    at_us: int
    received_us: int
    text: str = ""


class Gateway(Protocol):
    """A family of devices behind one protocol."""

    name: str

    async def open_stream(self, address: Address, stream: Stream, receiver: Receiver, trace: Trace) -> Pushed | Pull:
        """Ask the device to send.

        Raises Unavailable (offline, no answer), Unsupported, Exhausted (device full), Conflict.
        """

    async def close_stream(self, dialog: str) -> None:
        """End what open_stream began. Never raises for a dialog that is already over."""

    async def ptz(self, address: Address, order: PtzOrder) -> None:
        """Send one order. Raises Unavailable, Unsupported."""

    async def presets(self, address: Address) -> Sequence[Preset]:
        """The stored views. Raises Unavailable, Unsupported."""

    async def request_key_frame(self, address: Address) -> None:
        """Ask for a key frame now, where the device can."""

    def transports(self, address: Address) -> Sequence[Transport]:
        """How this device may send, best first; empty where the child pulls."""
