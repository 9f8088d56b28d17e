"""Pictures drawn by us: scenes, loops encoded once, clocks burnt in while someone looks."""

from anwang.democity.pictures import sound
from anwang.democity.pictures.library import Library
from anwang.democity.pictures.live import Picture, Source
from anwang.democity.pictures.turning import Head, HomePreset, Pose, Track

__all__ = ["Head", "HomePreset", "Library", "Picture", "Pose", "Source", "Track", "sound"]
