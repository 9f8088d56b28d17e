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
    from anwang.media.exports.jobs import ExportKeeper, Making
    from anwang.media.exports.package import Broken, Intact, key_of, verify_package
    from anwang.media.exports.packing import Packer
    from anwang.media.exports.service import Exports
    from anwang.media.footage import Footage
    from anwang.media.index import SegmentIndex
    from anwang.media.keeper import RecordingKeeper
    from anwang.media.live import Feed, Lease, Streams
    from anwang.media.looks import Look, RecordingLooks
    from anwang.media.masks.service import Masks
    from anwang.media.model import GapCause, Growing, Segment
    from anwang.media.plans import Mode, Plan, Plans
    from anwang.media.playback import Playback
    from anwang.media.plays import Play, PlayMessage, Plays, PlayStep
    from anwang.media.recorder import Recorder
    from anwang.media.reindex import Rebuilt, Reindex
    from anwang.media.sight import Sight
    from anwang.media.signals import Signals
    from anwang.media.snapshot import DecodePool, Snapshots
    from anwang.media.timeline import Event, Hold, Timeline
    from anwang.media.trace import PlayTrace, judge
    from anwang.media.walls import Walls

_HOMES = {
    "Broken": "exports.package",
    "Child": "children",
    "Children": "children",
    "Conversions": "conversions",
    "DecodePool": "snapshot",
    "Event": "timeline",
    "Export": "export",
    "ExportKeeper": "exports.jobs",
    "Exports": "exports.service",
    "Feed": "live",
    "Footage": "footage",
    "GapCause": "model",
    "Growing": "model",
    "Hold": "timeline",
    "Intact": "exports.package",
    "Lease": "live",
    "Look": "looks",
    "Making": "exports.jobs",
    "Masks": "masks.service",
    "Mode": "plans",
    "Packer": "exports.packing",
    "Plan": "plans",
    "Plans": "plans",
    "Play": "plays",
    "PlayMessage": "plays",
    "PlayStep": "plays",
    "PlayTrace": "trace",
    "Playback": "playback",
    "Plays": "plays",
    "Rebuilt": "reindex",
    "Recorder": "recorder",
    "RecordingKeeper": "keeper",
    "RecordingLooks": "looks",
    "Reindex": "reindex",
    "Segment": "model",
    "SegmentIndex": "index",
    "Sight": "sight",
    "Signals": "signals",
    "Snapshots": "snapshot",
    "Streams": "live",
    "Timeline": "timeline",
    "UploadDoor": "door",
    "Walls": "walls",
    "judge": "trace",
    "key_of": "exports.package",
    "verify_package": "exports.package",
}
__all__ = [
    "Broken",
    "Child",
    "Children",
    "Conversions",
    "DecodePool",
    "Event",
    "Export",
    "ExportKeeper",
    "Exports",
    "Feed",
    "Footage",
    "GapCause",
    "Growing",
    "Hold",
    "Intact",
    "Lease",
    "Look",
    "Making",
    "Masks",
    "Mode",
    "Packer",
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
    "Sight",
    "Signals",
    "Snapshots",
    "Streams",
    "Timeline",
    "UploadDoor",
    "Walls",
    "judge",
    "key_of",
    "verify_package",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
