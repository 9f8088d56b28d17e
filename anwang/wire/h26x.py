"""H.264 and H.265 byte streams: NAL units, parameter sets, key frames, and the records MP4 keeps of them.

Sources: ITU-T H.264 (7.3, Annex B, Annex E), ITU-T H.265 (7.3, Annex B), ISO/IEC 14496-15 (avcC, hvcC), RFC 6381 and
ISO/IEC 14496-15 Annex E (codec strings).

A NAL unit never holds 00 00 01 inside (emulation prevention), and its first bit is 0; so a search for three bytes
finds all units, and 00 00 01 followed by a byte from 80 up can't be video.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from anwang.kernel.errors import WireError
from anwang.wire.units import Codec

START = b"\x00\x00\x01"
#: more NAL units than this in one access unit is an attack, not a picture (H.265 level 6.2 allows 600 slices)
MAX_NALS = 4096
MAX_SIDE = 16384

H264_SLICE, H264_IDR, H264_SEI, H264_SPS, H264_PPS, H264_AUD, H264_FILLER = 1, 5, 6, 7, 8, 9, 12
H265_VPS, H265_SPS, H265_PPS, H265_AUD, H265_FILLER = 32, 33, 34, 35, 38


def nal_spans(data: bytes) -> list[tuple[int, int]]:
    """(start, end) of every NAL unit of an Annex-B byte stream, without start codes and trailing zeros, in order.

    Raises WireError for more than MAX_NALS units.
    """
    spans: list[tuple[int, int]] = []
    find = data.find
    at = find(START)
    while at >= 0:
        start = at + 3
        at = find(START, start)
        end = at if at >= 0 else len(data)
        if end > start and data[end - 1] == 0:
            end -= 1
            if end > start and data[end - 1] == 0:
                end = start + len(data[start:end].rstrip(b"\x00"))
        if end > start:
            spans.append((start, end))
            if len(spans) > MAX_NALS:
                raise WireError(f"more than {MAX_NALS} NAL units in one access unit", data=data, offset=start)
    return spans


def nals(data: bytes) -> list[bytes]:
    """The NAL units of an Annex-B byte stream. Raises WireError for more than MAX_NALS."""
    return [data[start:end] for start, end in nal_spans(data)]


def to_annexb(data: bytes, length_size: int = 4) -> bytes:
    """Length-prefixed NAL units (as in MP4) as an Annex-B byte stream with start codes of four bytes.

    length_size: bytes of each length, 1, 2 or 4. Raises WireError where a length leads outside.
    """
    parts: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        size = int.from_bytes(data[at : at + length_size], "big")
        start = at + length_size
        at = start + size
        if at > end:
            raise WireError(f"a NAL unit of {size} bytes leads outside its sample", data=data, offset=start)
        parts += (b"\x00\x00\x00\x01", data[start:at])
    return b"".join(parts)


def to_lengths(data: bytes) -> bytes:
    """An Annex-B byte stream with four-byte lengths in place of start codes (ISO/IEC 14496-15 4.3.2). Raises
    WireError.
    """
    parts: list[bytes] = []
    for start, end in nal_spans(data):
        parts += ((end - start).to_bytes(4, "big"), data[start:end])
    return b"".join(parts)


def nal_type(codec: Codec, first: int) -> int:
    """The type of a NAL unit from the first byte of its header."""
    return first & 0x1F if codec is Codec.H264 else first >> 1 & 0x3F


def is_key(codec: Codec, data: bytes | bytearray) -> bool:
    """Whether a decoder can start at this access unit: IDR (H.264), IRAP (H.265 types 16..21).

    An H.264 picture of I slices that carries its own SPS counts too: GB/T 28181 wants the SPS before every I frame,
    and some encoders never send another IDR. Looks no further than the first slice.
    """
    find = data.find
    at = find(START)
    last = len(data) - 1
    has_sps = False
    looked = 0
    while 0 <= at < last - 2 and looked < 256:
        looked += 1
        head = data[at + 3]
        if codec is Codec.H264:
            kind = head & 0x1F
            if kind == H264_IDR:
                return True
            if 1 <= kind <= 4:
                return has_sps and slice_type(bytes(data[at + 3 : at + 32])) in (2, 7)
            has_sps = has_sps or kind == H264_SPS
        else:
            kind = head >> 1 & 0x3F
            if kind < 32:
                return 16 <= kind <= 21
        at = find(START, at + 3)
    return False


def slice_type(nal: bytes) -> int | None:
    """slice_type (0..9, H.264 table 7-6) of an H.264 slice from its first bytes, None where they don't hold it."""
    try:
        bits = Bits(unescape(nal[1:24]))
        bits.ue()
        found = bits.ue()
    except WireError:
        return None
    return found if found <= 9 else None


def has_picture(codec: Codec, data: bytes | bytearray) -> bool:
    """Whether any coded slice is in this byte stream."""
    find = data.find
    at = find(START)
    last = len(data) - 1
    while 0 <= at <= last - 3:
        head = data[at + 3]
        if (1 <= head & 0x1F <= 5) if codec is Codec.H264 else (head >> 1 & 0x3F) < 32:
            return True
        at = find(START, at + 3)
    return False


def starts_picture(codec: Codec, head: bytes) -> bool:
    """Whether these bytes (at least 8, or all there are) open a new picture: delimiter, parameter set, first slice.

    False for bytes that don't begin with a start code: they continue the unit before.
    """
    if head.startswith(b"\x00\x00\x01"):
        at = 3
    elif head.startswith(b"\x00\x00\x00\x01"):
        at = 4
    else:
        return False
    if len(head) < at + 3:
        return False
    if codec is Codec.H264:
        kind = head[at] & 0x1F
        # first_mb_in_slice is ue(v): its value 0 is the single bit 1
        return kind in (H264_SEI, H264_SPS, H264_PPS, H264_AUD) or (1 <= kind <= 5 and head[at + 1] >= 0x80)
    kind = head[at] >> 1 & 0x3F
    # 39 is a prefix SEI; first_slice_segment_in_pic_flag is the first bit behind the header of two bytes
    return 32 <= kind <= 35 or kind == 39 or (kind < 32 and head[at + 2] >= 0x80)


def guess_codec(data: bytes | bytearray) -> Codec | None:
    """H.264 or H.265 from the first telling NAL header, None where nothing tells."""
    find = data.find
    at = find(START)
    last = len(data) - 1
    looked = 0
    while 0 <= at <= last - 4 and looked < 64:
        looked += 1
        first, second = data[at + 3], data[at + 4]
        if first in (0x40, 0x42, 0x44, 0x26, 0x28, 0x2A) and second == 0x01:
            return Codec.H265
        if first & 0x80 == 0 and first & 0x60 and first & 0x1F in (H264_IDR, H264_SPS, H264_PPS):
            return Codec.H264
        at = find(START, at + 3)
    return None


def unescape(nal: bytes) -> bytes:
    """The raw payload of a NAL unit: 00 00 03 becomes 00 00 (H.264 7.4.1)."""
    return nal.replace(b"\x00\x00\x03", b"\x00\x00")


class Bits:
    """Reads bits from the front; Exp-Golomb codes as in H.264 9.1. Raises WireError at the end of the data."""

    __slots__ = ("_left", "_value")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def u(self, count: int) -> int:
        """An unsigned number of `count` bits."""
        if count > self._left:
            raise WireError("a parameter set ends too early")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def flag(self) -> bool:
        """One bit."""
        return self.u(1) == 1

    def ue(self) -> int:
        """An unsigned Exp-Golomb code, 0..2**32-2."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise WireError("an Exp-Golomb code of more than 32 zeros")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """A signed Exp-Golomb code."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFormat:
    """What an SPS says.

    width, height: pixels, after cropping. codecs: the RFC 6381 string. pixel_aspect: width and height of one pixel.
    tick_90k: duration of a frame in 90 kHz ticks where the stream states one. reorder: how many pictures may come
    before another in decoding and after it in showing; 0 means no B-frames, None means the SPS does not say.
    """

    codec: Codec
    width: int
    height: int
    codecs: str
    pixel_aspect: tuple[int, int] = (1, 1)
    tick_90k: int | None = None
    reorder: int | None = None
    chroma_format: int = 1
    depth_luma: int = 8
    depth_chroma: int = 8


_ASPECTS = (
    (1, 1), (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11),
    (80, 33), (18, 11), (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1),
)  # fmt: skip
_HIGH_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))


def _sides(width: int, height: int, nal: bytes) -> tuple[int, int]:
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise WireError(f"an SPS of {width}x{height} pixels", data=nal)
    return width, height


def parse_h264_sps(nal: bytes) -> VideoFormat:
    """An H.264 sequence parameter set with its NAL header (H.264 7.3.2.1.1). Raises WireError."""
    if len(nal) < 5 or nal[0] & 0x1F != H264_SPS:
        raise WireError("not an H.264 SPS", data=nal)
    bits = Bits(unescape(nal[4:1024]))
    profile = nal[1]
    if bits.ue() > 31:
        raise WireError("an SPS number above 31", data=nal, offset=4)
    chroma, luma_depth, chroma_depth, separate = 1, 8, 8, False
    if profile in _HIGH_PROFILES:
        chroma = bits.ue()
        if chroma > 3:
            raise WireError(f"chroma format {chroma}", data=nal, offset=4)
        separate = chroma == 3 and bits.flag()
        luma_depth, chroma_depth = 8 + bits.ue(), 8 + bits.ue()
        if luma_depth > 14 or chroma_depth > 14:
            raise WireError("a sample depth above 14", data=nal, offset=4)
        bits.flag()
        if bits.flag():
            for index in range(12 if chroma == 3 else 8):
                if bits.flag():
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    bits.ue()
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.flag()
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 256)):
            bits.se()
    bits.ue()
    bits.flag()
    columns, rows = bits.ue() + 1, bits.ue() + 1
    frames_only = bits.flag()
    if not frames_only:
        bits.flag()
        rows *= 2
    bits.flag()
    width, height = columns * 16, rows * 16
    if bits.flag():
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        planes = 0 if separate else chroma
        unit_x = 2 if planes in (1, 2) else 1
        unit_y = (2 if planes == 1 else 1) * (1 if frames_only else 2)
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    width, height = _sides(width, height, nal)
    # order type 2 means output order is decoding order; Baseline has no B slices
    reorder: int | None = 0 if order == 2 or profile == 66 else None
    aspect, tick = (1, 1), None
    if bits.flag():
        try:
            aspect, tick, stated = _h264_vui(bits)
            reorder = reorder if stated is None else stated
        except WireError:
            pass  # cameras send broken VUI; the picture is described already
    return VideoFormat(
        codec=Codec.H264, width=width, height=height, codecs=f"avc1.{nal[1]:02x}{nal[2]:02x}{nal[3]:02x}",
        pixel_aspect=aspect, tick_90k=tick, reorder=reorder,
        chroma_format=chroma, depth_luma=luma_depth, depth_chroma=chroma_depth,
    )  # fmt: skip


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _h264_vui(bits: Bits) -> tuple[tuple[int, int], int | None, int | None]:
    """(pixel aspect, ticks per frame, reorder) of H.264 E.1.1."""
    aspect = (1, 1)
    if bits.flag():
        number = bits.u(8)
        if number == 255:
            wide, high = bits.u(16), bits.u(16)
            aspect = (wide, high) if wide and high else (1, 1)
        elif number < len(_ASPECTS):
            aspect = _ASPECTS[number]
    if bits.flag():
        bits.flag()
    if bits.flag():
        bits.u(4)
        if bits.flag():
            bits.u(24)
    if bits.flag():
        bits.ue()
        bits.ue()
    tick: int | None = None
    if bits.flag():
        units, scale = bits.u(32), bits.u(32)
        bits.flag()
        if units and scale:
            per_frame = 90_000 * 2 * units // scale
            tick = per_frame if 90 <= per_frame <= 900_000 else None
    has_hrd = False
    for _ in range(2):
        if bits.flag():
            has_hrd = True
            count = bits.ue() + 1
            bits.u(8)
            for _ in range(min(count, 32)):
                bits.ue()
                bits.ue()
                bits.flag()
            bits.u(20)
    if has_hrd:
        bits.flag()
    bits.flag()
    reorder: int | None = None
    if bits.flag():
        bits.flag()
        for _ in range(4):
            bits.ue()
        reorder = min(bits.ue(), 16)
    return aspect, tick, reorder


@dataclass(frozen=True, slots=True)
class _Level:
    """general_profile_tier_level of H.265 7.3.3, as hvcC repeats it."""

    space: int
    tier: int
    profile: int
    compatible: int
    constraints: bytes
    level: int
    layers: int
    is_nested: bool


def _h265_level(bits: Bits) -> _Level:
    bits.u(4)
    layers, nested = bits.u(3) + 1, bits.flag()
    if layers > 7:
        raise WireError("more than 7 temporal layers")
    level = _Level(
        bits.u(2), bits.u(1), bits.u(5), bits.u(32), bits.u(48).to_bytes(6, "big"), bits.u(8), layers, nested
    )
    flags = [(bits.flag(), bits.flag()) for _ in range(layers - 1)]
    if layers > 1:
        bits.u(2 * (8 - (layers - 1)))
    for has_profile, has_level in flags:
        bits.u(88 if has_profile else 0)
        bits.u(8 if has_level else 0)
    return level


def _h265_sps(nal: bytes) -> tuple[VideoFormat, _Level]:
    if len(nal) < 4 or nal[0] >> 1 & 0x3F != H265_SPS:
        raise WireError("not an H.265 SPS", data=nal)
    bits = Bits(unescape(nal[2:1024]))
    level = _h265_level(bits)
    if bits.ue() > 15:
        raise WireError("an SPS number above 15", data=nal)
    chroma = bits.ue()
    if chroma > 3:
        raise WireError(f"chroma format {chroma}", data=nal)
    separate = chroma == 3 and bits.flag()
    width, height = bits.ue(), bits.ue()
    if bits.flag():
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        planes = 0 if separate else chroma
        width -= (2 if planes in (1, 2) else 1) * (left + right)
        height -= (2 if planes == 1 else 1) * (top + bottom)
    width, height = _sides(width, height, nal)
    luma, chroma_depth = 8 + bits.ue(), 8 + bits.ue()
    if luma > 16 or chroma_depth > 16:
        raise WireError("a sample depth above 16", data=nal)
    bits.ue()
    reorder = 0
    for _ in range(level.layers if bits.flag() else 1):
        bits.ue()
        reorder = min(bits.ue(), 16)
        bits.ue()
    return VideoFormat(
        codec=Codec.H265, width=width, height=height, codecs=_h265_codecs(level), reorder=reorder,
        chroma_format=chroma, depth_luma=luma, depth_chroma=chroma_depth,
    ), level  # fmt: skip


def _h265_codecs(level: _Level) -> str:
    """ISO/IEC 14496-15 E.3: hvc1.<profile>.<compatibility, bits reversed>.<tier and level>.<constraints>."""
    reverse = int(f"{level.compatible:032b}"[::-1], 2)
    space = ("", "A", "B", "C")[level.space]
    tail = level.constraints.rstrip(b"\x00")
    parts = ["hvc1", f"{space}{level.profile}", f"{reverse:X}", f"{'LH'[level.tier]}{level.level}"]
    return ".".join(parts + [f"{byte:X}" for byte in tail])


def parse_h265_sps(nal: bytes) -> VideoFormat:
    """An H.265 sequence parameter set with its NAL header (H.265 7.3.2.2), as far as the picture order. Raises
    WireError.

    The VUI behind it (pixel aspect, timing) is left to decoders.
    """
    return _h265_sps(nal)[0]


def parse_h265_vps_tick(nal: bytes) -> int | None:
    """Ticks of 90 kHz per picture that an H.265 VPS states (7.3.2.1), None where it states none. Raises WireError."""
    if len(nal) < 4 or nal[0] >> 1 & 0x3F != H265_VPS:
        raise WireError("not an H.265 VPS", data=nal)
    raw = unescape(nal[2:512])
    layers = (raw[1] >> 1 & 7) + 1
    # vps header 16 bits + reserved 16 bits, where the SPS has 8: the profile begins behind them
    bits = Bits(raw)
    bits.u(32)
    bits.u(88)
    bits.u(8)
    flags = [(bits.flag(), bits.flag()) for _ in range(layers - 1)]
    if layers > 1:
        bits.u(2 * (8 - (layers - 1)))
    for has_profile, has_level in flags:
        bits.u(88 if has_profile else 0)
        bits.u(8 if has_level else 0)
    for _ in range(layers if bits.flag() else 1):
        for _ in range(3):
            bits.ue()
    top_layer = bits.u(6)
    for _ in range(min(bits.ue(), 1023)):
        bits.u(top_layer + 1)
    if not bits.flag():
        return None
    units, scale = bits.u(32), bits.u(32)
    tick = 90_000 * units // scale if scale else 0
    return tick if 90 <= tick <= 900_000 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSets:
    """The parameter sets a decoder needs, whole NAL units. vps is empty for H.264."""

    codec: Codec
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]
    vps: tuple[bytes, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether a decoder could start."""
        return bool(self.sps and self.pps and (self.vps or self.codec is Codec.H264))

    def __iter__(self) -> Iterator[bytes]:
        """In the order in which a byte stream carries them."""
        yield from (*self.vps, *self.sps, *self.pps)

    def format(self) -> VideoFormat:
        """What the first SPS says. Raises WireError, also where there is none."""
        if not self.sps:
            raise WireError("no SPS")
        return parse_h264_sps(self.sps[0]) if self.codec is Codec.H264 else parse_h265_sps(self.sps[0])


def parameter_sets(codec: Codec, units: Sequence[bytes]) -> ParameterSets:
    """The parameter sets among NAL units, each once, in their order."""
    wanted = {H264_SPS: "s", H264_PPS: "p"} if codec is Codec.H264 else {H265_VPS: "v", H265_SPS: "s", H265_PPS: "p"}
    found: dict[str, dict[bytes, None]] = {"v": {}, "s": {}, "p": {}}
    for nal in units:
        place = wanted.get(nal_type(codec, nal[0])) if nal else None
        if place:
            found[place][nal] = None
    return ParameterSets(codec=codec, vps=tuple(found["v"]), sps=tuple(found["s"]), pps=tuple(found["p"]))


def _counted(units: Sequence[bytes]) -> bytes:
    if any(len(nal) > 0xFFFF for nal in units):
        raise WireError("a parameter set of more than 65535 bytes")
    return b"".join(len(nal).to_bytes(2, "big") + nal for nal in units)


def avcc(sets: ParameterSets) -> bytes:
    """AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1), lengths of four bytes. Raises WireError."""
    shape = sets.format()
    sps = sets.sps[0]
    if not sets.pps or len(sets.sps) > 31 or len(sets.pps) > 255:
        raise WireError(f"{len(sets.sps)} SPS and {len(sets.pps)} PPS don't make an avcC")
    record = bytes((1, sps[1], sps[2], sps[3], 0xFF, 0xE0 | len(sets.sps))) + _counted(sets.sps)
    record += bytes((len(sets.pps),)) + _counted(sets.pps)
    if sps[1] in (100, 110, 122, 144):
        depths = 0xF8 | shape.depth_luma - 8, 0xF8 | shape.depth_chroma - 8
        record += bytes((0xFC | shape.chroma_format, *depths, 0))
    return record


def hvcc(sets: ParameterSets) -> bytes:
    """HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1), lengths of four bytes. Raises WireError."""
    if not sets.is_complete:
        raise WireError("an hvcC needs VPS, SPS and PPS")
    shape, level = _h265_sps(sets.sps[0])
    record = bytes((1, level.space << 6 | level.tier << 5 | level.profile)) + level.compatible.to_bytes(4, "big")
    record += level.constraints + bytes((level.level, 0xF0, 0, 0xFC, 0xFC | shape.chroma_format))
    record += bytes((0xF8 | shape.depth_luma - 8, 0xF8 | shape.depth_chroma - 8, 0, 0))
    record += bytes((level.layers << 3 | level.is_nested << 2 | 3, 3))
    for kind, units in ((H265_VPS, sets.vps), (H265_SPS, sets.sps), (H265_PPS, sets.pps)):
        record += bytes((0x80 | kind,)) + len(units).to_bytes(2, "big") + _counted(units)
    return record


def parse_avcc(record: bytes) -> tuple[ParameterSets, int]:
    """(parameter sets, bytes of each length) of an avcC. Raises WireError."""
    if len(record) < 7 or record[0] != 1:
        raise WireError("not an avcC", data=record)
    size = (record[4] & 3) + 1
    sps, at = _read_counted(record, 6, record[5] & 31)
    if at >= len(record):
        raise WireError("an avcC without PPS", data=record, offset=at)
    pps, _ = _read_counted(record, at + 1, record[at])
    return ParameterSets(codec=Codec.H264, sps=sps, pps=pps), size


def parse_hvcc(record: bytes) -> tuple[ParameterSets, int]:
    """(parameter sets, bytes of each length) of an hvcC. Raises WireError."""
    if len(record) < 23 or record[0] != 1:
        raise WireError("not an hvcC", data=record)
    size, at = (record[21] & 3) + 1, 23
    found: dict[int, tuple[bytes, ...]] = {}
    for _ in range(record[22]):
        if at + 3 > len(record):
            raise WireError("an hvcC ends too early", data=record, offset=at)
        kind = record[at] & 0x3F
        units, at = _read_counted(record, at + 3, int.from_bytes(record[at + 1 : at + 3], "big"))
        found[kind] = found.get(kind, ()) + units
    sets = ParameterSets(
        codec=Codec.H265, vps=found.get(H265_VPS, ()), sps=found.get(H265_SPS, ()), pps=found.get(H265_PPS, ())
    )
    return sets, size


def _read_counted(record: bytes, at: int, count: int) -> tuple[tuple[bytes, ...], int]:
    units: list[bytes] = []
    for _ in range(count):
        size = int.from_bytes(record[at : at + 2], "big")
        at += 2 + size
        if at > len(record):
            raise WireError("a parameter set leads outside its record", data=record, offset=at - size)
        units.append(record[at - size : at])
    return tuple(units), at
