"""Mapbox Vector Tiles 2.1, written whole arrays at a time.

A tile is protobuf, and nearly everything in a point feature is a varint: tags, lengths, ids, indices of keys and
values, commands, coordinates. Within a layer of points every column of varints is written as long as its longest value
(seven bits a byte, leading zeros are legal and every reader takes them), so that features are rows of one matrix of
bytes. It costs about two bytes a feature and saves nine tenths of the time. Lines and polygons are few and go through
lists, in the shortest form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anwang.kernel.errors import Invalid

EXTENT = 4096
MOVE_TO, LINE_TO, CLOSE_PATH = 1, 2, 7

Varints = NDArray[np.uint64]
Flags = NDArray[np.bool_]
Corners = NDArray[np.float64]
Part = bytes | NDArray[np.uint8]
"""Bytes that are the same in each row, or a column of bytes."""


def varint_lengths(values: Varints) -> NDArray[np.int64]:
    """Bytes that each value takes as a varint, 1..10."""
    lengths = np.ones(values.shape, np.int64)
    top = int(values.max()) if values.size else 0
    bits = 7
    while top >> bits:
        lengths += values >= np.uint64(1 << bits)
        bits += 7
    return lengths


def pack_varints(values: Varints, lengths: NDArray[np.int64] | None = None) -> bytes:
    """A flat array as varints one after the other."""
    if not values.size:
        return b""
    if lengths is None:
        lengths = varint_lengths(values)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    out = np.zeros(int(ends[-1]), np.uint8)
    chosen = np.arange(len(values))
    left = values
    step = 0
    while True:
        more = lengths[chosen] > step + 1
        out[starts[chosen] + step] = ((left & np.uint64(0x7F)) | np.where(more, np.uint64(0x80), np.uint64(0))).astype(
            np.uint8
        )
        if not more.any():
            return out.tobytes()
        chosen, left = chosen[more], left[more] >> np.uint64(7)
        step += 1


def zigzag(values: NDArray[np.int64]) -> Varints:
    """Signed numbers as unsigned ones, small for small."""
    return ((values << 1) ^ (values >> 63)).astype(np.uint64)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


@dataclass(frozen=True, slots=True)
class Attribute:
    """The values of one key over all features. values: encoded Value messages (with their tag), one after the other.

    count: how many they are. index: for each feature the place of its value among them. present: False where a feature
    has none; None: all have one.
    """

    values: bytes
    count: int
    index: NDArray[np.int64]
    present: Flags | None = None


def _wide(values: Varints) -> NDArray[np.uint8]:
    """A column of varints, all as long as the longest: shape (n, length)."""
    top = int(values.max()) if values.size else 0
    length = max(1, -(-top.bit_length() // 7))
    out = np.empty((len(values), length), np.uint8)
    for place in range(length):
        part = (values >> np.uint64(7 * place)).astype(np.uint8)
        out[:, place] = part | 0x80 if place < length - 1 else part & 0x7F
    return out


def _stack(parts: Sequence[Part], rows: int) -> NDArray[np.uint8]:
    """Bytes that are the same in each row, and columns, side by side."""
    width = _width(parts)
    out = np.empty((rows, width), np.uint8)
    at = 0
    for part in parts:
        if isinstance(part, bytes):
            out[:, at : at + len(part)] = np.frombuffer(part, np.uint8)
            at += len(part)
        else:
            out[:, at : at + part.shape[1]] = part
            at += part.shape[1]
    return out


def integers(values: NDArray[Any], present: Flags | None = None) -> Attribute:
    """Whole numbers; equal ones are stored once."""
    wide = values.astype(np.int64)
    low, high = (int(wide.min()), int(wide.max())) if wide.size else (0, 0)
    if low >= 0 and high < 1 << 16:
        seen = np.zeros(high + 1, np.int64)
        seen[wide] = 1
        distinct = np.flatnonzero(seen)
        seen[distinct] = np.arange(len(distinct))
        return Attribute(unique_integers(distinct).values, len(distinct), seen[wide], present)
    distinct, index = np.unique(wide, return_inverse=True)
    out = bytearray()
    for value in distinct.tolist():
        # uint_value is field 5, sint_value field 6
        body = b"\x28" + _varint(value) if value >= 0 else b"\x30" + _varint((value << 1) ^ (value >> 63))
        out += _field(4, body)
    return Attribute(bytes(out), len(distinct), index.astype(np.int64).reshape(-1), present)


def unique_integers(values: NDArray[Any]) -> Attribute:
    """Whole numbers, none negative, that are all different (ids): stored in one go."""
    column = _wide(values.astype(np.uint64))
    n, width = column.shape
    message = _stack([bytes((0x22, width + 1, 0x28)), column], n)
    return Attribute(message.tobytes(), n, np.arange(n))


def texts(words: Sequence[str], index: NDArray[Any], present: Flags | None = None) -> Attribute:
    """Texts of a small vocabulary: for each feature the place of its word. Words that nobody uses are left out."""
    used, place = np.unique(index, return_inverse=True)
    out = b"".join(_field(4, _field(1, words[number].encode())) for number in used.tolist())
    return Attribute(out, len(used), place.astype(np.int64).reshape(-1), present)


_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_UUID_PLACES = np.array([i for i in range(36) if i not in (8, 13, 18, 23)])


def uuids(hi: Varints, lo: Varints) -> Attribute:
    """UUIDs given as their upper and lower 64 bits, as texts in the usual form; each feature has its own."""
    n = len(hi)
    raw = np.empty((n, 2), ">u8")
    raw[:, 0], raw[:, 1] = hi, lo
    octets = raw.view(np.uint8).reshape(n, 16)
    digits = np.empty((n, 32), np.uint8)
    digits[:, 0::2], digits[:, 1::2] = _HEX[octets >> 4], _HEX[octets & 15]
    message = np.full((n, 40), ord("-"), np.uint8)
    message[:, :4] = (0x22, 38, 0x0A, 36)
    message[:, 4 + _UUID_PLACES] = digits
    return Attribute(message.tobytes(), n, np.arange(n))


def point_layer(
    name: str,
    x: NDArray[Any],
    y: NDArray[Any],
    *,
    ids: NDArray[Any] | None = None,
    attributes: Mapping[str, Attribute],
    extent: int = EXTENT,
) -> bytes:
    """A layer of single points as part of a tile; b"" for no points.

    x, y: tile coordinates, 0..extent inside of the tile. ids: feature ids, not negative. Features with the same
    attributes stand together; their order is not kept.
    """
    n = len(x)
    if n == 0:
        return b""
    base = 0
    dictionary = [_field(3, key.encode()) for key in attributes]
    always: list[Part] = []
    sometimes: list[tuple[Flags, bytes, NDArray[np.uint8]]] = []
    for number, attribute in enumerate(attributes.values()):
        if len(attribute.index) != n:
            raise Invalid("every attribute needs a value per feature")
        column = _wide((attribute.index + base).astype(np.uint64))
        if attribute.present is None:
            always += [_varint(number), column]
        else:
            sometimes.append((attribute.present, _varint(number), column))
        dictionary.append(attribute.values)
        base += attribute.count
    head: list[Part] = [] if ids is None else [b"\x08", _wide(ids.astype(np.uint64))]
    place = np.empty((2, n), np.int64)
    place[0], place[1] = x, y
    xs, ys = (_wide(row) for row in zigzag(place))
    geometry: list[Part] = [
        b"\x18\x01\x22" + _varint(1 + xs.shape[1] + ys.shape[1]) + bytes((1 << 3 | MOVE_TO,)),
        xs,
        ys,
    ]
    features = b"".join(
        _rows(head, always, [(key, column) for (_, key, column), has in zip(sometimes, chosen, strict=True) if has],
              geometry, which)
        for chosen, which in _groups([present for present, _, _ in sometimes], n)
    )  # fmt: skip
    return _layer(name, features, b"".join(dictionary), extent)


FEW = 100
"""Up to so many points, going through them one by one costs less than numpy's start."""
_SHORT = [_varint(value) for value in range(2 * EXTENT + 2)]
_ONE_PLACE = bytes((1 << 3 | MOVE_TO,))


def few_points(
    name: str,
    x: Sequence[int],
    y: Sequence[int],
    *,
    ids: Sequence[int],
    attributes: Mapping[str, Sequence[str | int | None]],
    extent: int = EXTENT,
) -> bytes:
    """As `point_layer`, for some dozens of points given as plain numbers and texts; None where a feature has no value.
    Whole numbers must not be negative. The order is kept.
    """
    if not ids:
        return b""
    short, top = _SHORT, len(_SHORT)
    long: dict[int, bytes] = {}  # a feature's id is often one of its values, too

    def number(value: int) -> bytes:
        if value < top:
            return short[value]
        found = long.get(value)
        if found is None:
            found = long[value] = _varint(value)
        return found

    places: dict[str | int, bytes] = {}
    dictionary: list[bytes] = [_field(3, key.encode()) for key in attributes]
    columns = [(short[place], column) for place, column in enumerate(attributes.values())]
    out: list[bytes] = []
    for i, feature in enumerate(ids):
        tags: list[bytes] = []
        for key, column in columns:
            value = column[i]
            if value is None:
                continue
            place = places.get(value)
            if place is None:
                place = places[value] = number(len(places))
                told = _field(1, value.encode()) if isinstance(value, str) else b"\x28" + number(value)
                dictionary.append(b"\x22" + number(len(told)) + told)
            tags += (key, place)
        packed = b"".join(tags)
        at = number(x[i] << 1 ^ x[i] >> 63) + number(y[i] << 1 ^ y[i] >> 63)
        body = b"".join(
            (
                b"\x08", number(feature), b"\x12" + short[len(packed)] + packed if packed else b"", b"\x18\x01\x22",
                short[1 + len(at)], _ONE_PLACE, at,
            )
        )  # fmt: skip
        out += (b"\x12", number(len(body)), body)
    return _layer(name, b"".join(out), b"".join(dictionary), extent)


def _groups(present: Sequence[Flags], n: int) -> list[tuple[tuple[bool, ...], NDArray[np.intp] | None]]:
    """Features that have the same attributes, as which ones they have and where they are (None: all)."""
    if not present:
        return [((), None)]
    pattern = np.zeros(n, np.int64)
    for number, flags in enumerate(present):
        pattern |= flags.astype(np.int64) << number
    return [
        (tuple(bool(value >> number & 1) for number in range(len(present))), np.flatnonzero(pattern == value))
        for value in np.unique(pattern).tolist()
    ]


def _rows(
    head: Sequence[Part],
    always: Sequence[Part],
    extra: Sequence[tuple[bytes, NDArray[np.uint8]]],
    geometry: Sequence[Part],
    which: NDArray[np.intp] | None,
) -> bytes:
    """Features of one group, with their tags and lengths."""
    tags = [*always, *(part for pair in extra for part in pair)]
    body = [*head, *([b"\x12" + _varint(_width(tags)), *tags] if tags else []), *geometry]
    parts: list[Part] = [b"\x12" + _varint(_width(body)), *body]
    if which is not None:
        parts = [part if isinstance(part, bytes) else part[which] for part in parts]
    rows = next(len(part) for part in parts if not isinstance(part, bytes))
    return _stack(parts, rows).tobytes()


def _width(parts: Iterable[Part]) -> int:
    return sum(len(part) if isinstance(part, bytes) else part.shape[1] for part in parts)


def _layer(name: str, features: bytes, dictionary: bytes, extent: int) -> bytes:
    body = b"\x78\x02" + _field(1, name.encode()) + features + dictionary + b"\x28" + _varint(extent)
    return _field(3, body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A line or polygon in tile coordinates. lines: its parts; or its rings, each outer one before its holes."""

    id: int
    lines: Sequence[NDArray[np.int64]]
    is_polygon: bool
    attributes: Mapping[str, str | int]


def shape_layer(name: str, features: Iterable[Feature], *, extent: int = EXTENT) -> bytes:
    """A layer of lines or polygons as part of a tile; b"" if nothing is left to draw.

    Rings need at least three different corners, lines two; others are left out. The first ring of a polygon is turned
    clockwise on the screen, and rings inside the other way round stay holes (MVT 2.1, 4.3.3.3).
    """
    keys: dict[str, int] = {}
    values: dict[str | int, int] = {}
    out = bytearray()
    for feature in features:
        commands = _commands(feature)
        if not commands:
            continue
        tags: list[int] = []
        for key, value in feature.attributes.items():
            tags += [keys.setdefault(key, len(keys)), values.setdefault(value, len(values))]
        body = b"\x08" + _varint(feature.id) + _field(2, b"".join(map(_varint, tags)))
        body += b"\x18" + (b"\x03" if feature.is_polygon else b"\x02")
        out += _field(2, body + _field(4, pack_varints(np.array(commands, np.uint64))))
    if not out:
        return b""
    dictionary = b"".join(_field(3, key.encode()) for key in keys)
    for value in values:
        dictionary += _field(4, b"\x28" + _varint(value) if isinstance(value, int) else _field(1, value.encode()))
    return _layer(name, bytes(out), dictionary, extent)


def _commands(feature: Feature) -> list[int]:
    out: list[int] = []
    cursor = np.zeros(2, np.int64)
    for line in feature.lines:
        corners = np.asarray(line, np.int64)
        if feature.is_polygon and len(corners) and (corners[0] == corners[-1]).all():
            corners = corners[:-1]
        if len(corners) > 1:
            corners = corners[np.concatenate([[True], (np.diff(corners, axis=0) != 0).any(axis=1)])]
        if len(corners) < (3 if feature.is_polygon else 2):
            continue
        whole = np.vstack([cursor[None, :], corners])
        steps = zigzag(whole[1:] - whole[:-1]).reshape(-1).tolist()
        out += [1 << 3 | MOVE_TO, *steps[:2], (len(corners) - 1) << 3 | LINE_TO, *steps[2:]]
        cursor = corners[-1]
        if feature.is_polygon:
            out.append(1 << 3 | CLOSE_PATH)
    return out


def ring_area(ring: NDArray[Any]) -> float:
    """Twice the signed area by the surveyor's formula; positive runs clockwise on the screen (y down)."""
    corners = np.asarray(ring, np.float64)
    after = np.roll(corners, -1, axis=0)
    return float((corners[:, 0] * after[:, 1] - after[:, 0] * corners[:, 1]).sum())


def wind(rings: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """A polygon's rings as a tile wants them: the outer one positive, holes negative."""
    return [
        ring if (ring_area(ring) > 0) == (number == 0) else np.asarray(ring)[::-1] for number, ring in enumerate(rings)
    ]


def clip_ring(ring: Corners, low: float, high: float) -> Corners:
    """A ring cut to the square [low, high]² (Sutherland and Hodgman); empty where nothing is left.

    A concave ring may keep edges on the border that join its parts; they are drawn as nothing.
    """
    for axis in (0, 1):
        for bound, sign in ((low, 1.0), (high, -1.0)):
            if len(ring) == 0:
                return ring
            inside = (ring[:, axis] - bound) * sign >= 0
            if inside.all():
                continue
            after = np.roll(ring, -1, axis=0)
            after_inside = np.roll(inside, -1)
            with np.errstate(divide="ignore", invalid="ignore"):
                t = (bound - ring[:, axis]) / (after[:, axis] - ring[:, axis])
            cuts = ring + (after - ring) * np.where(np.isfinite(t), t, 0.0)[:, None]
            cuts[:, axis] = bound
            # each corner gives itself if inside, and the crossing of the edge that starts there, in this order
            both = np.stack([ring, cuts], axis=1).reshape(-1, 2)
            ring = both[np.stack([inside, inside != after_inside], axis=1).reshape(-1)]
    return ring


def clip_line(line: Corners, low: float, high: float) -> list[Corners]:
    """A line cut to the square [low, high]² (Liang and Barsky per segment): the parts that are left."""
    if len(line) < 2:
        return []
    a, b = line[:-1], line[1:]
    d = b - a
    enter = np.zeros(len(a))
    leave = np.ones(len(a))
    outside = np.zeros(len(a), np.bool_)
    with np.errstate(divide="ignore", invalid="ignore"):
        for axis in (0, 1):
            one, two = (low - a[:, axis]) / d[:, axis], (high - a[:, axis]) / d[:, axis]
            still = d[:, axis] == 0
            outside |= still & ((a[:, axis] < low) | (a[:, axis] > high))
            enter = np.where(still, enter, np.maximum(enter, np.minimum(one, two)))
            leave = np.where(still, leave, np.minimum(leave, np.maximum(one, two)))
    kept = ~outside & (enter < leave)
    parts: list[Corners] = []
    run: list[NDArray[np.float64]] = []
    for i in np.flatnonzero(kept).tolist():
        start, end = a[i] + d[i] * enter[i], a[i] + d[i] * leave[i]
        if not run:
            run = [start]
        elif (run[-1] != start).any():
            parts.append(np.array(run))
            run = [start]
        run.append(end)
    if run:
        parts.append(np.array(run))
    return parts
