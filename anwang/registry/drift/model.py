"""What a device says of its configuration, what it should say, and how the two differ (domain.md G24). Pure.

A configuration is flat: names in groups (`basic.heartbeat_interval_s`; names without a point belong to the device
itself) and texts. A device answers group by group, so only what it answered is compared. A clock is judged by two
bounds: within the smaller it is right, beyond the larger it is wrong, and between them it stays what it was.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NewType, TypeVar

import msgspec

from anwang.kernel.times import to_micros

DriftId = NewType("DriftId", str)
T = TypeVar("T")

MOST_KEYS = 64
MOST_NAME = 64
MOST_TEXT = 200
LEFT_OUT = "left_out"
"""How many values an answer had beyond MOST_KEYS."""
CLOCK = "clock.off_s"
JUMP_S = 10.0
"""Between two reports, beyond what the elapsed time explains."""
WRONG_S = 60.0
DRIFT_RATE = 100e-6
"""What a cheap clock gains or loses by itself, a share of the elapsed time."""
_SECRET = re.compile(
    r"pass(word|wd|phrase)?$|pwd|passw|secret|token|credential|private|session_?id|authorization", re.I
)
_NAME = re.compile(r"[^\w.]+")

Values = Mapping[str, str]
Changes = Mapping[str, tuple[str, str]]
"""Before and after by name; "" where there was, or is, nothing."""


class Kind(StrEnum):
    """What a drift is about."""

    SETTINGS = "settings"
    FIRMWARE = "firmware"
    CHANNELS = "channels"
    CLOCK = "clock"
    BASELINE = "baseline"
    """The row of the baseline was changed in the database; its signature does not fit."""


class Origin(StrEnum):
    """How a baseline came to be."""

    FIRST_SEEN = "first_seen"
    ACCEPTED = "accepted"


def values_of(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Values in bounds, in the order of their names, the device's own first. Secrets and empty texts are left out."""
    found: dict[str, str] = {}
    for name, text in sorted(pairs):  # of two names that become one, always the same counts
        key = _NAME.sub("_", name.lower())[:MOST_NAME]
        line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * MOST_TEXT]).split())[:MOST_TEXT]
        if key and line and _SECRET.search(name) is None:
            found.setdefault(key, line)
    names = sorted(found, key=_place)
    if len(names) <= MOST_KEYS:
        return {key: found[key] for key in names}
    return {key: found[key] for key in names[: MOST_KEYS - 1]} | {LEFT_OUT: str(len(names) - MOST_KEYS + 1)}


def group_of(key: str) -> str:
    """What is before the point; "" for the device itself."""
    return key.partition(".")[0] if "." in key else ""


def _place(key: str) -> tuple[bool, str]:
    return "." in key, key


def ordered(values: Mapping[str, T]) -> dict[str, T]:
    """By name, the device's own first; a database may keep them otherwise."""
    return {key: values[key] for key in sorted(values, key=_place)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a device said. groups: those that it answered, also where it said nothing in them. clock_off_s: its clock
    less ours at clock_at_us; None where it did not say.
    """

    values: Values
    groups: frozenset[str]
    clock_off_s: float | None = None
    clock_at_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """配置基线: what a device should say. made_by: a user name; "" where it was the first answer."""

    device: str
    values: Values
    origin: Origin
    made_at: datetime
    made_by: str = ""
    signature: str = ""

    @property
    def accepted_off_s(self) -> float:
        """How far its clock may be off, because somebody said so."""
        try:
            return float(self.values.get(CLOCK, "0"))
        except ValueError:
            return 0.0

    def patched(self, changes: Changes, *, at: datetime, by: str) -> Baseline:
        """With what somebody accepted."""
        values = {**self.values, **{key: after for key, (_, after) in changes.items()}}
        kept = {key: text for key, text in values.items() if text}
        return replace(self, values=kept, origin=Origin.ACCEPTED, made_at=at, made_by=by, signature="")

    def widened(self, answer: Answer) -> Baseline:
        """With the groups that it did not know, for which there is room: what was never told can't have changed."""
        known = {group_of(key) for key in self.values}
        values = dict(self.values)
        for group in sorted({group_of(key) for key in answer.values} - known):
            added = {key: text for key, text in answer.values.items() if group_of(key) == group}
            if len(values) + len(added) <= MOST_KEYS:
                values |= added
        return self if values == self.values else replace(self, values=values, signature="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """配置漂移: a device says something else than its baseline. seen_at: when it last said so. closed_at None: it still
    does. closed_by: who accepted it and why; "" where it ended by itself.
    """

    id: DriftId
    device: str
    kind: Kind
    changes: Changes
    opened_at: datetime
    seen_at: datetime
    closed_at: datetime | None = None
    closed_by: str = ""
    reason: str = ""


class Seal:
    """Signs baselines. keys: 32 bytes each, newest first, outside of the database."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def signed(self, baseline: Baseline) -> Baseline:
        """With the newest key."""
        return replace(baseline, signature=_mac(self._keys[0], baseline))

    def fits(self, baseline: Baseline) -> bool:
        """Whether one of our keys signed exactly this."""
        return any(hmac.compare_digest(_mac(key, baseline), _plain(baseline.signature)) for key in self._keys)

    def is_newest(self, baseline: Baseline) -> bool:
        """Whether the newest key did."""
        return hmac.compare_digest(_mac(self._keys[0], baseline), _plain(baseline.signature))


def _mac(key: bytes, baseline: Baseline) -> str:
    text = msgspec.json.encode(
        [
            "anwang device baseline 1", baseline.device, sorted(baseline.values.items()), baseline.origin.value,
            to_micros(baseline.made_at), baseline.made_by,
        ]
    )  # fmt: skip
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def _plain(signature: str) -> str:
    return signature if signature.isascii() else ""


def kind_of(key: str) -> Kind:
    """Under which kind a change of this value is told."""
    return {"firmware": Kind.FIRMWARE, "channels": Kind.CHANNELS}.get(key, Kind.SETTINGS)


def compared(baseline: Values, answer: Answer) -> dict[Kind, dict[str, tuple[str, str]]]:
    """What differs in the groups that both have."""
    groups = {group_of(key) for key in baseline} & answer.groups
    found: dict[Kind, dict[str, tuple[str, str]]] = {}
    for key in sorted({*baseline, *answer.values}):
        before, after = baseline.get(key, ""), answer.values.get(key, "")
        if group_of(key) in groups and before != after:
            found.setdefault(kind_of(key), {})[key] = (before, after)
    return found


def still(open_: Changes, groups: frozenset[str]) -> dict[str, tuple[str, str]]:
    """What of an open drift this answer says nothing about."""
    return {key: change for key, change in open_.items() if group_of(key) not in groups}


class ClockState(StrEnum):
    """What a report says of a device's clock."""

    RIGHT = "right"
    UNSURE = "unsure"
    WRONG = "wrong"


def judge_clock(off_s: float, *, accepted_s: float, before_s: float | None, elapsed_s: float) -> ClockState:
    """before_s: how far it was off in the report before, elapsed_s earlier."""
    away = abs(off_s - accepted_s)
    if away <= JUMP_S:
        return ClockState.RIGHT
    allowed = JUMP_S + max(0.0, elapsed_s) * DRIFT_RATE
    has_jumped = before_s is not None and abs(off_s - before_s) > allowed
    return ClockState.WRONG if away > WRONG_S or has_jumped else ClockState.UNSURE


def off_text(off_s: float) -> str:
    """As a value."""
    return f"{off_s:.1f}"
