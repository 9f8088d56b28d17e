"""Ids in the metadata of JPEG and MP4 files: others find them, nothing else changes, broken files are refused."""

from __future__ import annotations

import io
import json
import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anwang.kernel.errors import WireError
from anwang.wire import jpeg
from anwang.wire.fmp4 import Stored, flatten, read_comment, read_movie, scan, with_comment
from tests.conftest import missing
from tests.recordings import cut, encode

LOOK = "anwang look 0198a0de-0000-7000-8000-00000000ffff"


def picture(**more: object) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((64, 48), 40).convert("RGB").save(out, "JPEG", **more)
    return out.getvalue()


def test_a_comment_is_found_by_others_and_the_picture_is_the_same() -> None:
    plain = picture()
    made = jpeg.with_comment(plain, LOOK)
    opened = Image.open(io.BytesIO(made))
    assert opened.info["comment"] == LOOK.encode()
    assert opened.tobytes() == Image.open(io.BytesIO(plain)).tobytes()
    assert jpeg.comments(plain) == [] and jpeg.comments(made) == [LOOK]
    assert jpeg.comments(jpeg.with_comment(made, "another")) == ["another", LOOK]
    exif = Image.Exif()
    exif[0x0132] = "2026:11:21 10:00:00"
    dated = jpeg.with_comment(picture(exif=exif), LOOK)
    assert dated[2:4] in (b"\xff\xe0", b"\xff\xe1"), "application segments stay in front"
    assert Image.open(io.BytesIO(dated)).getexif()[0x0132] == "2026:11:21 10:00:00"
    with pytest.raises(WireError):
        jpeg.with_comment(plain, "x" * 70_000)


@given(st.binary(max_size=300), st.booleans())
def test_random_pictures_do_no_worse_than_a_wire_error(data: bytes, begins: bool) -> None:
    data = jpeg.START + data if begins else data
    try:
        texts = jpeg.comments(data)
        assert jpeg.comments(jpeg.with_comment(data, "a")) == ["a", *texts]
    except WireError:
        pass


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    source = encode(tmp_path_factory.mktemp("film") / "film.mp4", seconds=4)
    [(_, data)] = cut(source, every_gops=1000)
    return data


def tag(path: Path) -> str:
    command = ["ffprobe", "-v", "error", "-show_entries", "format_tags", "-of", "json", str(path)]
    try:
        out = subprocess.run(command, check=True, capture_output=True, timeout=60)
    except FileNotFoundError:
        missing("ffprobe")
    return str(json.loads(out.stdout)["format"].get("tags", {}).get("comment", ""))


def pictures(path: Path) -> bytes:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "framemd5", "-"]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def test_a_clip_of_either_kind_carries_it(segment: bytes, tmp_path: Path) -> None:
    movie = read_movie(segment)
    stored = [Stored(movie, scan(segment).fragments)]
    files = {}
    for comment in ("", LOOK):
        flat = flatten(stored, comment=comment)
        body = b"".join(segment[piece.offset : piece.offset + piece.size] for piece in flat.pieces)
        files[comment] = tmp_path / f"flat{len(comment)}.mp4"
        files[comment].write_bytes(flat.head + body)
        assert len(flat.head) + len(body) == flat.size
        assert read_comment(files[comment].read_bytes()) == comment == tag(files[comment])
    assert pictures(files[""]) == pictures(files[LOOK])
    live = tmp_path / "live.mp4"
    live.write_bytes(with_comment(segment[: movie.size], LOOK) + segment[movie.size :])
    assert read_comment(memoryview(live.read_bytes())) == LOOK == tag(live)
    assert read_movie(live.read_bytes()).tracks == movie.tracks


def test_a_file_that_ffmpeg_wrote_again_still_says_it(segment: bytes, tmp_path: Path) -> None:
    movie = read_movie(segment)
    first, again = tmp_path / "a.mp4", tmp_path / "b.mp4"
    first.write_bytes(with_comment(segment[: movie.size], LOOK) + segment[movie.size :])
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(first), "-c", "copy", str(again)], check=True, timeout=60)
    assert read_comment(again.read_bytes()) == LOOK


def test_broken_films_do_no_worse_than_a_wire_error(segment: bytes) -> None:
    whole = with_comment(segment[: read_movie(segment).size], LOOK)
    dice = random.Random(5)
    for _ in range(400):
        bad = bytearray(whole[: dice.randrange(len(whole))] if dice.random() < 0.3 else whole)
        for _ in range(dice.randrange(1, 6)):
            if bad:
                bad[dice.randrange(len(bad))] = dice.randrange(256)
        try:
            read_comment(bytes(bad))
            with_comment(bytes(bad), "x")
        except WireError:
            pass
    for nothing in (b"", b"x" * 50, jpeg.START + bytes(20)):
        with pytest.raises(WireError):
            read_comment(nothing)
