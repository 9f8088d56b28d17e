"""Real recordings for tests: video encoded once, cut into segments as the recorder writes them."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av

from anwang.kernel.ids import PointId, SegmentId, uuid7
from anwang.media.model import Growing, KeyFrame, Origin, Segment, origin_box, segment_key
from anwang.media.reindex import salvage
from anwang.wire.aac import AacConfig
from anwang.wire.fmp4 import Fragment, Fragmenter, Init, pack_table, rebase, scan, table_of
from anwang.wire.h26x import parse_avcc, to_annexb
from anwang.wire.units import Codec, Kind, Unit
from tests.conftest import missing

#: 2026-11-21 23:58:00 UTC, so that recordings cross a UTC midnight
START_US = 1_795_305_480_000_000
POINT = PointId("0198a0de-0000-7000-8000-000000000001")


def encode(
    path: Path, *, seconds: float, gop: int = 50, b_frames: int = 0, audio: bool = True, size: str = "320x180"
) -> Path:
    """A video of a moving test picture, 25 frames a second, with a tone."""
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25"]
    if audio:
        command += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=16000"]
    command += ["-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-threads", "1"]
    command += ["-g", str(gop), "-keyint_min", str(gop), "-sc_threshold", "0", "-bf", str(b_frames)]
    if audio:
        command += ["-c:a", "aac", "-b:a", "32k"]
    try:
        subprocess.run([*command, str(path)], check=True, timeout=100)
    except FileNotFoundError:
        missing("ffmpeg")
    return path


def cut(source: Path, *, every_gops: int) -> list[tuple[float, bytes]]:
    """(start in seconds, init and fragments) of each segment of so many key frames, its clock beginning with 0.

    Made as the media child makes them: access units into the fragmenter, fragments moved to the segment's start.
    """
    fragmenter = Fragmenter(hold=True)
    made: list[tuple[float, bytes]] = []
    init = b""
    keys = base = 0
    with av.open(str(source)) as container:
        for unit in _units(container):
            for item in [*fragmenter.push(unit)]:
                init, keys, base = _write(item, made, init, keys, base, every_gops)
        for item in fragmenter.flush():
            init, keys, base = _write(item, made, init, keys, base, every_gops)
    return made


def _write(
    item: Init | Fragment, made: list[tuple[float, bytes]], init: bytes, keys: int, base: int, every_gops: int
) -> tuple[bytes, int, int]:
    if isinstance(item, Init):
        return item.data, keys, base
    if item.is_key:
        if keys % every_gops == 0:
            base = item.decode_time_90k
            made.append((base / 90_000, init))
        keys += 1
    start, data = made[-1]
    made[-1] = start, data + b"".join(rebase(item.data, -base))
    return init, keys, base


def _units(container: Any) -> Iterator[Unit]:
    """Access units as demultiplexers yield them, in order of decoding; every key frame with its parameter sets."""
    video = container.streams.video[0]
    sets, length_size = parse_avcc(bytes(video.codec_context.extradata))
    head = b"".join(b"\0\0\0\1" + nal for nal in sets)
    for packet in container.demux():
        if packet.dts is None:
            continue
        pts, dts = (round(time * packet.time_base * 90_000) + 90_000 for time in (packet.pts, packet.dts))
        if packet.stream is video:
            data = to_annexb(bytes(packet), length_size)
            data = head + data if packet.is_keyframe else data
            yield Unit(
                kind=Kind.VIDEO, codec=Codec.H264, data=data, pts_90k=pts, dts_90k=dts, is_key=packet.is_keyframe
            )
        else:
            config = AacConfig.parse(bytes(packet.stream.codec_context.extradata))
            frame = config.adts(packet.size) + bytes(packet)
            yield Unit(kind=Kind.AUDIO, codec=Codec.AAC, data=frame, pts_90k=pts)


def with_origin(data: bytes, origin: Origin) -> bytes:
    """The segment with its origin box behind the moov."""
    at = data.index(b"moof") - 4
    return data[:at] + origin_box(origin) + data[at:]


def segment_of(
    data: bytes, *, start_us: int, point: PointId = POINT, stream: str = "main", continues: bool = False
) -> tuple[Segment, bytes]:
    """A segment as the recorder would seal it, and its object's bytes."""
    id = SegmentId(uuid7(start_us // 1000))
    whole = with_origin(data, Origin(point=point, stream=stream, segment=id, start_us=start_us, continues=continues))
    found = salvage(whole)
    assert found.segment is not None, found.fault
    assert found.keep == len(whole)
    whole += pack_table(table_of(scan(whole).fragments), offset=len(whole))
    return replace(found.segment, size_bytes=len(whole), sha256=hashlib.sha256(whole).hexdigest()), whole


def plain(start_us: int, end_us: int, *, point: PointId = POINT, stream: str = "main", **more: Any) -> Segment:
    """A row without bytes: key frames every two seconds."""
    id = SegmentId(uuid7(start_us // 1000))
    count = max(1, -(-(end_us - start_us) // 2_000_000))
    frames = [KeyFrame(number * 2_000_000, 800 + number * 500_000) for number in range(count)]
    values: dict[str, Any] = {
        "id": id,
        "point": point,
        "stream": stream,
        "key": segment_key(point, stream, start_us, id),
        "start_us": start_us,
        "end_us": end_us,
        "size_bytes": 800 + count * 500_000,
        "init_bytes": 800,
        "codec": "avc1.640028",
        "width": 1920,
        "height": 1080,
        "key_frames": frames,
    }
    return Segment(**(values | more))


class Live:
    """What the live side tells: the segments that grow now."""

    def __init__(self) -> None:
        self.growing: list[Growing] = []

    def __call__(self, point: PointId) -> list[Growing]:
        return [one for one in self.growing if one.segment.point == point]
