"""H.265 for those who lack it, and sound for all: RTP from GStreamer at one end, FFmpeg at the other."""

from __future__ import annotations

import contextlib
import io
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import av
import httpx
import numpy as np
import pytest

from tests.flow.pictures import Viewed, decoded, ffmpeg, scene, view
from tests.flow.served import Served, serving, until
from tests.flow.test_footage import add_source, axis, camera, clip, moment, record, seconds_of


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A platform that converts one stream at a time."""
    with serving(tmp_path_factory.mktemp("bounded"), media={"transcodes": 1}) as made:
        yield made


@pytest.fixture(scope="module")
def h265(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scene(tmp_path_factory.mktemp("h265"), codec="libx265")


def lumas(data: bytes | Path) -> list[np.ndarray]:
    """The luma of each picture."""
    with av.open(io.BytesIO(data) if isinstance(data, bytes) else str(data)) as movie:
        assert isinstance(movie, av.container.InputContainer)
        return [frame.to_ndarray(format="gray") for frame in movie.decode(video=0)]


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """PSNR in dB."""
    error = float(np.mean((one.astype(float) - other.astype(float)) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def assert_is_converted_run(part: bytes, whole: Path) -> None:
    """The pictures are consecutive pictures of the film, encoded anew."""
    shown, source = lumas(part), lumas(whole)
    best = max(range(len(source)), key=lambda at: likeness(shown[5], source[at]))
    for number, picture in enumerate(shown):
        assert likeness(picture, source[(best - 5 + number) % len(source)]) > 28, number


def running(served: Served) -> float:
    return metric(served, "anwang_conversions ")


def metric(served: Served, name: str) -> float:
    text = served.admin.get("/metrics").text
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def conversions(served: Served) -> str:
    media = next(c for c in served.get("/health", by="admin")["causes"] if c["name"] == "media")
    return str(next(c for c in media["causes"] if c["name"] == "conversions")["detail"])


def test_live_h265_is_converted_once_for_all_and_bounded(bounded: Served, h265: Path) -> None:
    with camera(h265, "--codec", "h265") as port:
        first = add_source(bounded, "h265-1", port)["id"]
        second = add_source(bounded, "h265-2", port)["id"]
        plain = view(bounded, first, fragments=10)
        assert plain.hello["codec"].startswith("hvc1") and "converted_from" not in plain.hello
        assert running(bounded) == 0
        refused: list[Viewed] = []

        def another() -> None:
            refused.append(view(bounded, second, fragments=5, converted=True))

        with ThreadPoolExecutor(2) as threads:
            waiting = [
                threads.submit(view, bounded, first, fragments=60, converted=True, after=(20, another)),
                threads.submit(view, bounded, first, fragments=60, converted=True),
            ]
            seen = [one.result(60) for one in waiting]
        for one in seen:
            assert one.error == {}
            assert one.hello["codec"].startswith("avc1") and one.hello["converted_from"].startswith("hvc1")
            assert (one.hello["width"], one.hello["height"]) == (320, 180)
            assert_is_converted_run(one.data, h265)
        # both viewers were served by one conversion, and a second stream found no room
        assert [one.error["kind"] for one in refused] == ["exhausted"]
        assert "conversions to H.264 are in use" in refused[0].error["reason"] and refused[0].error["hint"]
        assert metric(bounded, "anwang_conversions_refused_total") == 1
        until(lambda: running(bounded) == 0, "it ends with its last viewer")
        assert metric(bounded, "anwang_conversion_cpu_seconds_total") > 0
        assert conversions(bounded).startswith("0 of 1 conversions")
        # and now there is room for the other
        assert view(bounded, second, fragments=5, converted=True).hello["codec"].startswith("avc1")
        until(lambda: running(bounded) == 0, "it ends with its last viewer")


def children(served: Served, module: str) -> list[int]:
    """The processes of the platform that run this module."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == served.process.pid and module in (entry / "cmdline").read_text().split("\0"):
                found.append(int(entry.name))
    return found


def test_a_killed_conversion_is_said_and_the_next_viewer_gets_another(bounded: Served, h265: Path) -> None:
    with camera(h265, "--codec", "h265") as port:
        point = add_source(bounded, "h265-4", port)["id"]

        def kill() -> None:
            [process] = children(bounded, "anwang.media.convert")
            os.kill(process, signal.SIGKILL)

        seen = view(bounded, point, fragments=10_000, seconds=20, converted=True, after=(10, kill))
        assert (seen.error["kind"], seen.error["reason"]) == ("unavailable", "the conversion to H.264 ended")
        until(lambda: running(bounded) == 0, "the only place is free again")
        seen = view(bounded, point, fragments=20, converted=True)
        assert seen.error == {}
        assert_is_converted_run(seen.data, h265)
        until(lambda: running(bounded) == 0, "it ends with its last viewer")


def test_killed_workers_for_pictures_and_pieces_are_replaced(bounded: Served, h265: Path) -> None:
    """One that waited for work was asked all the same, and its asker told that the video was broken."""
    with camera(h265, "--codec", "h265") as port:
        point = add_source(bounded, "h265-5", port)["id"]
        record(bounded, point)
        until(lambda: seconds_of(axis(bounded, point)) >= 5, "five seconds are on the axis", 60)
        begin = axis(bounded, point)["spans"][0]["start"]
        end = (moment(begin) + timedelta(seconds=4)).isoformat()
        listed = f"/api/v1/points/{point}/playback.m3u8"
        text = bounded.operator.get(listed, params={"from": begin, "to": end, "as": "h264"}).text
        piece = next(line for line in text.splitlines() if line and not line.startswith("#"))

        def works() -> None:
            picture = bounded.operator.get(f"/api/v1/points/{point}/snapshot")
            assert picture.status_code == 200 and picture.content.startswith(b"\xff\xd8"), picture.text
            made = bounded.operator.get(str(httpx.URL(f"{bounded.url}{listed}").join(piece)))
            assert made.status_code == 200 and b"moof" in made.content, made.text

        works()
        for module in ("anwang.media.decode", "anwang.media.convert"):
            waiting = children(bounded, module)
            assert waiting, module
            for process in waiting:
                os.kill(process, signal.SIGKILL)
            until(lambda: not set(waiting) & set(children(bounded, module)), "they are gone")  # noqa: B023
            works()


def test_h264_is_left_as_it_is(bounded: Served, tmp_path: Path) -> None:
    movie = scene(tmp_path)
    with camera(movie) as port:
        point = add_source(bounded, "h264-1", port)["id"]
        seen = view(bounded, point, fragments=10, converted=True)
        assert seen.hello["codec"].startswith("avc1") and "converted_from" not in seen.hello
        assert running(bounded) == 0


def test_recorded_h265_plays_back_as_h264(bounded: Served, h265: Path, tmp_path: Path) -> None:
    with camera(h265, "--codec", "h265", "--sound", "mulaw") as port:
        point = add_source(bounded, "h265-3", port)["id"]
        record(bounded, point)
        until(lambda: seconds_of(axis(bounded, point)) >= 9, "nine seconds are on the axis", 60)
        found = axis(bounded, point)["spans"]
        begin = found[0]["start"]
        end = (moment(begin) + timedelta(seconds=8)).isoformat()
        url = f"{bounded.url}/api/v1/points/{point}/playback.m3u8"
        asked = bounded.operator.build_request("GET", url, params={"from": begin, "to": end, "as": "h264"}).url
        header = f"Authorization: Bearer {bounded.token}\r\n"
        path = tmp_path / "played.mp4"
        ffmpeg("-headers", header, "-allowed_extensions", "ALL", "-i", str(asked), "-c", "copy", str(path))
        with av.open(str(path)) as movie:
            assert isinstance(movie, av.container.InputContainer)
            assert movie.streams.video[0].codec_context.name == "h264"
            times = [float(packet.dts * packet.time_base) for packet in movie.demux(video=0) if packet.dts is not None]
        steps = [after - before for before, after in pairwise(times)]
        assert len(times) >= 150 and max(steps) < 0.2, "the pieces lie without a gap on one time line"
        assert_is_converted_run(path.read_bytes(), h265)
        assert len(decoded(clip(bounded, point, begin, end))) >= 150
        with av.open(io.BytesIO(clip(bounded, point, begin, end))) as movie:
            assert movie.streams.video[0].codec_context.name == "hevc", "a download is what was recorded"
            assert [s.codec_context.name for s in movie.streams.audio] == ["aac"], "with the sound made of G.711"


def tone(data: bytes) -> int:
    """The loudest frequency of the sound, Hz."""
    with av.open(io.BytesIO(data)) as movie:
        assert isinstance(movie, av.container.InputContainer)
        samples = np.concatenate([frame.to_ndarray()[0] for frame in movie.decode(audio=0)])
    assert len(samples) >= 8000
    return int(np.abs(np.fft.rfft(samples[-8000:])).argmax())


@pytest.mark.parametrize("law", ["alaw", "mulaw"])
def test_g711_is_heard(bounded: Served, law: str, tmp_path: Path) -> None:
    movie = scene(tmp_path)
    with camera(movie, "--sound", law) as port:
        point = add_source(bounded, f"sound-{law}", port)["id"]

        def hears() -> Viewed | None:
            seen = view(bounded, point, fragments=75)
            return seen if "mp4a" in seen.hello.get("mime", "") and b"mp4a" in seen.data[:2000] else None

        seen = until(hears, "the stream has sound", 30)
        assert abs(tone(seen.data) - 440) <= 2
