"""All tables of the slice, which stand with the nouns they belong to: importing this declares them."""

from anwang.media.exports.store import exports
from anwang.media.index import coding, day, feed, gap, garbage, segment
from anwang.media.masks.store import masks
from anwang.media.plans import recording_plan
from anwang.media.plays import play
from anwang.media.signals import mark
from anwang.media.walls import saved_wall

__all__ = [
    "coding",
    "day",
    "exports",
    "feed",
    "gap",
    "garbage",
    "mark",
    "masks",
    "play",
    "recording_plan",
    "saved_wall",
    "segment",
]
