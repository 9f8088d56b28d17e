"""Receivers, fragments, live, recordings, their index, the time axis, playback and export.

The names are loaded when they are first asked for: a media child imports this package, too, and must stay small.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anwang.media.children import Child, Children
    from anwang.media.conversions import Conversions
    from anwang.media.door import UploadDoor
    from anwang.media.export import Export
    from anwang.media.footage import Footage
    from anwang.media.index import SegmentIndex
    from anwang.media.keeper import RecordingKeeper
    from anwang.media.live import Feed, Lease, Streams
    from anwang.media.looks import Look, Placed, RecordingLooks
    from anwang.media.model import GapCause, Growing, Segment
    from anwang.media.plans import Mode, Plan, Plans
    from anwang.media.playback import Playback
    from anwang.media.plays import Play, PlayMessage, Plays, PlayStep
    from anwang.media.recorder import Recorder
    from anwang.media.reindex import Rebuilt, Reindex
    from anwang.media.signals import Signals
    from anwang.media.snapshot import DecodePool, Snapshots
    from anwang.media.timeline import Event, Hold, Timeline
    from anwang.media.trace import PlayTrace, judge
    from anwang.media.walls import Walls

_HOMES = {
    "Child": "children",
    "Children": "children",
    "Conversions": "conversions",
    "DecodePool": "snapshot",
    "Event": "timeline",
    "Export": "export",
    "Feed": "live",
    "Footage": "footage",
    "GapCause": "model",
    "Lease": "live",
    "Growing": "model",
    "Hold": "timeline",
    "Look": "looks",
    "Mode": "plans",
    "Placed": "looks",
    "Plan": "plans",
    "Plans": "plans",
    "Play": "plays",
    "PlayMessage": "plays",
    "PlayStep": "plays",
    "PlayTrace": "trace",
    "Playback": "playback",
    "Plays": "plays",
    "RecordingKeeper": "keeper",
    "RecordingLooks": "looks",
    "Recorder": "recorder",
    "Rebuilt": "reindex",
    "Reindex": "reindex",
    "Segment": "model",
    "SegmentIndex": "index",
    "Signals": "signals",
    "Snapshots": "snapshot",
    "Streams": "live",
    "Timeline": "timeline",
    "UploadDoor": "door",
    "Walls": "walls",
    "judge": "trace",
}
__all__ = [
    "Child",
    "Children",
    "Conversions",
    "DecodePool",
    "Event",
    "Export",
    "Feed",
    "Footage",
    "GapCause",
    "Growing",
    "Hold",
    "Lease",
    "Look",
    "Mode",
    "Placed",
    "Plan",
    "Plans",
    "Play",
    "PlayMessage",
    "PlayStep",
    "PlayTrace",
    "Playback",
    "Plays",
    "Rebuilt",
    "Recorder",
    "RecordingKeeper",
    "RecordingLooks",
    "Reindex",
    "Segment",
    "SegmentIndex",
    "Signals",
    "Snapshots",
    "Streams",
    "Timeline",
    "UploadDoor",
    "Walls",
    "judge",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
