"""What the drawing process makes: loops of scenes, of what a turning camera sees at rest, and of stills at first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import av

from anwang.democity.pictures import first
from anwang.democity.pictures.clips import (
    FORMATS,
    FPS,
    GROUP_S,
    MAIN,
    drawn,
    make_clips,
    make_hevc,
    path_of,
    rgb_frame,
)
from anwang.democity.pictures.scenes import SCENES, STILL_ROWS, WIDE, Scene
from anwang.democity.pictures.turning import HOME, window
from anwang.kernel.errors import Invalid


def at_rest(name: str) -> Iterator[av.VideoFrame]:
    """The loop of a wide scene as a camera sees it that has not been turned."""
    scene = WIDE[name]()
    base, view = window(scene, first.picture(name), MAIN, HOME)
    top = base.crop((0, 0, base.width, STILL_ROWS))
    for number in range(round(scene.period_s * FPS)):
        frame = base.copy()
        scene.draw(frame, scene.movers, view, number / FPS)
        frame.paste(top, (0, 0))
        yield rgb_frame(frame)


def still(name: str) -> Iterator[av.VideoFrame]:
    """The first picture of a scene for two groups of pictures."""
    if name in WIDE:
        picture, _ = window(WIDE[name](), first.picture(name), MAIN, HOME)
    else:
        picture = first.picture(name)
    return repeat(rgb_frame(picture), 2 * GROUP_S * FPS)


def make(folder: Path, name: str, *, hevc: bool = False) -> list[Path]:
    """Make both loops of a scene, unless the folder has them. Returns the files. See `path_of` for their names."""
    paths = {one: path_of(folder, name, one, hevc=hevc) for one in FORMATS}
    if not all(path.exists() for path in paths.values()):
        if name in WIDE:
            made = make_clips(at_rest(name))
        else:
            scene: Scene = SCENES[name]()
            made = make_hevc(scene) if hevc else make_clips(drawn(scene))
        for one, clip in made.items():
            clip.save(paths[one])
    return list(paths.values())


def make_stills(folder: Path) -> None:
    """Make loops of all stills that the folder lacks. They cost little, and sending them costs least.

    Raises Invalid where one has not the length of a loop.
    """
    for name in (*SCENES, *WIDE):
        paths = {one: path_of(folder, name, one, is_still=True) for one in FORMATS}
        if all(path.exists() for path in paths.values()):
            continue
        for one, clip in make_clips(still(name)).items():
            if len(clip.frames) != 2 * FORMATS[one].group:
                raise Invalid(f"the still of {name} has {len(clip.frames)} frames")
            clip.save(paths[one])
