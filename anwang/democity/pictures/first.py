"""What each camera shows before its loop is drawn: a still of its own scene, which comes with the package.

The wide pictures that turning cameras look around in are there whole. `write` draws all of them anew; run it after a
change of the scenes (`python -m anwang.democity.pictures --stills`), a test compares the fingerprint.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import Image

from anwang.democity.pictures.clips import (
    FORMATS,
    MAIN,
    Clip,
    fingerprint,
    halved,
    make_hevc,
    path_of,
    pixels,
    rgb_frame,
    to_planes,
)
from anwang.democity.pictures.osd import Bytes
from anwang.democity.pictures.scenes import HEVC_SCENES, SCENES, WIDE

FOLDER = Path(__file__).parent / "stills"
MARK = "fingerprint"
QUALITY = 84


@cache
def planes(name: str, stream: str) -> Bytes:
    """The still of a scene in the size of a stream, YUV 4:2:0 as PyAV lays it out. Not to be written to."""
    whole = to_planes(rgb_frame(picture(name)), MAIN.width, MAIN.height)
    found = pixels(whole if FORMATS[stream] is MAIN else halved(whole))
    found.setflags(write=False)
    return found


@cache
def clip(name: str, stream: str) -> Clip:
    """The still of a scene as a short H.265 loop."""
    return Clip.load(path_of(FOLDER, name, stream, hevc=True))


@cache
def picture(name: str) -> Image.Image:
    """The picture itself; a wide one is what a turning camera looks around in."""
    with Image.open(FOLDER / f"{name}.webp") as file:
        return file.convert("RGB")


def write(folder: Path = FOLDER) -> None:
    """Draw all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in {**SCENES, **WIDE}.items():
        scene = make()
        drawn = scene.paint(factor=1) if name in WIDE else scene.frame(scene.paint(), 0.0)
        drawn.save(folder / f"{name}.webp", "WEBP", quality=QUALITY, method=6)
        if name in HEVC_SCENES:
            for stream, made in make_hevc(scene, is_still=True).items():
                made.save(path_of(folder, name, stream, hevc=True))
    (folder / MARK).write_text(fingerprint() + "\n", "ascii")
