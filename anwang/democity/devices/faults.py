"""Misbehaviour on request: what may be wrong with a device, for a platform to live with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, isfinite
from random import Random

from anwang.democity.world import Device
from anwang.kernel.errors import Invalid


class Fault(StrEnum):
    """Kinds of misbehaviour. `value` of a fault means what stands behind the dash."""

    LOSS = "loss"  # share of RTP packets that never leave, 0..1
    REORDER = "reorder"  # share of RTP packets that leave after their successor, 0..1
    WRONG_SSRC = "wrong_ssrc"  # the SSRC used instead of y=, 0 by default
    NO_KEY = "no_key"  # streams begin and go on without key frames
    CLOCK_JUMP = "clock_jump"  # seconds that its clock jumps, forwards or back, in the midst of its streams
    DUPLICATE_CODE = "duplicate_code"  # its catalogue lists its first channel twice, under two names
    SILENT = "silent"  # answers nothing and sends no keep-alive, as after a power cut
    HALF_OPEN = "half_open"  # its TCP connections, of signalling and of media, stay open, but nothing flows any more
    NO_MEDIA = "no_media"  # accepts calls and sends nothing
    REGISTER_STORM = "register_storm"  # seconds after which it registers anew, again and again
    CATALOGUE_STORM = "catalogue_storm"  # notices of catalogue changes a second
    CONFIG_CHANGED = "config_changed"  # seconds until somebody has changed its name, heartbeat and firmware


#: what a value means where none is given
DEFAULTS = {
    Fault.LOSS: 0.05,
    Fault.REORDER: 0.05,
    Fault.WRONG_SSRC: 0.0,
    Fault.CLOCK_JUMP: 3600.0,
    Fault.REGISTER_STORM: 5.0,
    Fault.CATALOGUE_STORM: 20.0,
    Fault.CONFIG_CHANGED: 60.0,
}
#: the shortest pause between two registrations, and the most notices a second, of one device
LEAST_PAUSE_S, MOST_NOTICES = 0.2, 1000.0


@dataclass(slots=True)
class Faults:
    """What is wrong with one device now."""

    active: dict[Fault, float]

    def has(self, fault: Fault) -> bool:
        """Whether it misbehaves so."""
        return fault in self.active

    def value(self, fault: Fault) -> float:
        """How much, 0 where it does not."""
        return self.active.get(fault, 0.0)

    def set(self, fault: Fault, value: float | None) -> None:
        """Let it misbehave so."""
        self.active[fault] = DEFAULTS.get(fault, 1.0) if value is None else value


def plan(seed: int, devices: Sequence[Device], share: float) -> dict[str, Fault]:
    """Which devices misbehave, and how: that share of them, chosen by seed; never a lower platform."""
    rng = Random(f"faults-{seed}")
    able = [device for device in devices if device.kind in ("camera", "nvr")]
    chosen = rng.sample(able, min(len(able), round(len(able) * share)))
    kinds = list(Fault)
    found: dict[str, Fault] = {}
    for number, device in enumerate(chosen):
        fault = kinds[number % len(kinds)]
        if (fault is Fault.DUPLICATE_CODE and device.kind != "nvr") or (
            fault is Fault.HALF_OPEN and device.transport != "TCP"
        ):
            fault = Fault.WRONG_SSRC
        found[device.code] = fault
    return found


def profile_of(text: str) -> tuple[Fault, float]:
    """A profile as people write it: `loss`, or `loss=0.1`. Raises Invalid."""
    name, _, number = text.partition("=")
    try:
        fault = Fault(name.strip().replace("-", "_"))
    except ValueError:
        raise Invalid(f"no profile is called {name!r}", "one of " + ", ".join(Fault)) from None
    if not number:
        return fault, DEFAULTS.get(fault, 1.0)
    try:
        value = float(number)
    except ValueError:
        value = inf
    if not isfinite(value):
        raise Invalid(f"{number!r} is no number", f"for example {fault}={DEFAULTS.get(fault, 1.0):g}")
    return fault, value
