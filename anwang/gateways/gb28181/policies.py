"""The named deviations that only this gateway knows, from a device's `extra` policies: each with a default.

What can't be read counts as not said: a policy that somebody mistyped must not cost a device its registration.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

ALARMS = "alarm_subscription"
POSITION = "position_interval_s"
LEAST_INTERVAL_S, MOST_INTERVAL_S = 1, 3600


class AlarmPolicy(StrEnum):
    """Whether a device is asked to tell of its alarms. Without a subscription it may still send them as messages."""

    AUTO = "auto"
    """Recorders, alarm hosts and platforms are asked, cameras are not: theirs come as messages."""
    YES = "yes"
    NO = "no"


def alarm_policy(extra: Mapping[str, str]) -> AlarmPolicy:
    """What is said of alarms; `auto` by default."""
    try:
        return AlarmPolicy(extra.get(ALARMS, ""))
    except ValueError:
        return AlarmPolicy.AUTO


def position_interval_s(extra: Mapping[str, str]) -> int:
    """How often a moving device tells where it is; 0, the default: it is not asked."""
    text = extra.get(POSITION, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        return 0
    return min(max(int(text), LEAST_INTERVAL_S), MOST_INTERVAL_S) if int(text) else 0
