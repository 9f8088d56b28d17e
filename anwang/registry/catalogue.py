"""What a catalogue changes, as a pure rule: the rows of a device's channels and the news make the rows to write.

Notices and answers to queries cross, repeat and come in parts. Three rules keep them harmless:
newer beats older, by the moment of receipt, for what an entry says and for ON and OFF apart;
only a complete answer misses a channel, and only one that was not heard of since the answer was asked for;
two such answers in a row, asked for at different moments, remove it. A notice that it is gone only says OFF.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anwang.kernel.times import from_micros, to_micros
from anwang.registry.model import CatalogueItem, Reconciled

ChannelRow = dict[str, Any]
"""A row of the table `channels`."""
MISSES = 2
"""Complete answers in a row without a channel until it is removed."""


@dataclass(slots=True)
class Outcome:
    """Rows to write, by channel id, and what they amount to."""

    written: dict[str, ChannelRow] = field(default_factory=dict)
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    missing: int = 0
    removed: int = 0

    def sums(self) -> Reconciled:
        """Without the rows."""
        return Reconciled(
            added=self.added,
            changed=self.changed,
            unchanged=self.unchanged,
            missing=self.missing,
            removed=self.removed,
        )


News = Mapping[str, Sequence[CatalogueItem]]
"""Items by channel, the oldest first, of equal moments as they came."""


def by_channel(items: Iterable[CatalogueItem]) -> News:
    """Several of one channel all count: one may bring its name, the next only that it is off."""
    news: dict[str, list[CatalogueItem]] = {}
    for item in items:
        news.setdefault(item.channel_id, []).append(item)
    for several in news.values():
        several.sort(key=lambda item: item.at_us)
    return news


def about_of(item: CatalogueItem) -> dict[str, Any]:
    """What a point made of the entry will know."""
    about: dict[str, Any] = {
        "kind": str(item.kind),
        "division": item.division,
        "longitude": item.longitude,
        "latitude": item.latitude,
        "vendor": item.vendor,
        "model": item.model,
        "address": item.address,
        "camera_type": item.camera_type,
        "point_class": None if item.point_class is None else int(item.point_class),
        "file": dict(item.file),
        "unread": [list(each) for each in item.unread],
    }
    return {key: value for key, value in about.items() if value not in (None, {}, [])}


def streams_of(row: ChannelRow | None) -> str:
    """Which streams the device says a channel has, as the file writes them; empty where it says nothing."""
    file: Mapping[str, object] = {} if row is None else row["about"].get("file", {})
    return str(file.get("streams") or "")


def take(device: str, row: ChannelRow | None, item: CatalogueItem) -> ChannelRow | None:
    """The row after one item; None where there is still no channel."""
    at = from_micros(item.at_us)
    if row is None:
        if item.gone or item.brief:  # a point made of a brief one would know neither name nor file, and for good
            return None
        return {
            "device": device,
            "channel_id": item.channel_id,
            "name": item.name[:200],
            "is_on": item.is_on,
            "on_at": at if item.is_on is not None else None,
            "leaf": item.leaf,
            "parents": list(item.parents),
            "about": about_of(item),
            "point_id": None,
            "seen_at": at,
            "missed": 0,
            "missed_at": None,
            "removed_at": None,
        }
    after = dict(row)
    is_on = False if item.gone else item.is_on
    if is_on is not None and (row["on_at"] is None or at >= row["on_at"]):
        after["is_on"], after["on_at"] = is_on, at
    if item.gone:
        return after
    if at >= row["seen_at"]:
        after["seen_at"] = at
        if not item.brief:
            after.update(name=item.name[:200], leaf=item.leaf, parents=list(item.parents), about=about_of(item))
    if row["missed_at"] is None or at >= row["missed_at"]:
        after.update(missed=0, removed_at=None)
    return after


def miss(row: ChannelRow, asked_us: int, now_us: int) -> ChannelRow:
    """The row after a complete answer without it."""
    asked = from_micros(asked_us)
    if row["removed_at"] is not None or row["seen_at"] >= asked:
        return row
    if row["missed_at"] is not None and row["missed_at"] >= asked:
        return row
    after = dict(row)
    after["missed"] = row["missed"] + 1
    after["missed_at"] = asked
    if after["missed"] >= MISSES:
        after["removed_at"] = from_micros(now_us)
    return after


def says_the_same(before: ChannelRow, after: ChannelRow) -> bool:
    """Whether only moments differ."""
    moments = ("seen_at", "on_at")
    return all(before[name] == value for name, value in after.items() if name not in moments)


def compare(
    device: str,
    rows: Mapping[str, ChannelRow],
    news: News,
    *,
    complete: bool,
    asked_us: int,
    now_us: int,
) -> Outcome:
    """See the module's text. rows: the device's channels by id, removed ones too; where the answer is not complete,
    those that it names are enough.
    """
    out = Outcome()
    for channel_id, several in news.items():
        before = after = rows.get(channel_id)
        for item in several:
            after = take(device, after, item)
        if after is None:
            continue
        if before is None:
            out.added += 1
        elif says_the_same(before, after):
            out.unchanged += 1
            # an hourly answer that says the same is not written; a notice is, for answers that it may cross
            if complete and to_micros(before["seen_at"]) <= asked_us:
                continue
        else:
            out.changed += 1
        out.written[channel_id] = after
    if complete:
        for channel_id, before in rows.items():
            if channel_id in news and not news[channel_id][-1].gone:
                continue
            start = out.written.get(channel_id, before)
            after = miss(start, asked_us, now_us)
            if after is not start:
                out.missing += 1
                out.removed += after["removed_at"] is not None
                out.written[channel_id] = after
    return out
