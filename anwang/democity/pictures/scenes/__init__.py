"""What the cameras of 安澜市 see: each scene a still picture and things that move in it. Nobody is in the streets."""

from __future__ import annotations

from collections.abc import Callable

from anwang.democity.pictures.scenes.industry import petrol, plant, site, tanks
from anwang.democity.pictures.scenes.places import control, gate, parking, village
from anwang.democity.pictures.scenes.scene import STILL_ROWS, Scene
from anwang.democity.pictures.scenes.streets import avenue, crossing, night
from anwang.democity.pictures.scenes.wide import panorama, river

__all__ = ["HEVC_SCENES", "SCENES", "STILL_ROWS", "WIDE", "Scene"]

SCENES: dict[str, Callable[[], Scene]] = {
    "crossing": crossing,
    "tanks": tanks,
    "night": night,
    "site": site,
    "village": village,
    "parking": parking,
    "gate": gate,
    "avenue": avenue,
    "petrol": petrol,
    "control": control,
}
# wide pictures that a camera turns in
WIDE: dict[str, Callable[[], Scene]] = {"panorama": panorama, "river": river, "plant": plant}
# those with H.265 loops beside: an H.265 encoder costs too much to run while someone looks
HEVC_SCENES = frozenset({"crossing", "avenue", "gate"})
