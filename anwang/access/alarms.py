"""What a platform may tell devices about their alarms: arm and disarm (布防/撤防), and reset (报警复位)."""

from __future__ import annotations

from typing import Protocol

from anwang.access.model import Address


class DeviceAlarms(Protocol):
    """The part of a gateway that speaks of alarms of devices."""

    async def reset_alarm(self, address: Address, *, method: int | None = None, alarm_type: int | None = None) -> None:
        """An alarm is dealt with: many devices raise no other one before. method, alarm_type: which; None for all.

        Raises Unavailable, Unsupported (the device refuses).
        """

    async def set_guard(self, address: Address, is_armed: bool) -> None:
        """Let the device raise alarms, or not. Raises Unavailable, Unsupported."""
