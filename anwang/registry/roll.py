"""All devices as columns in memory: who was let in, under which organisation, with which policies.

Answers a gateway's question "may this one register?" without a database, at some 60 bytes a device beside its key.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import msgspec

from anwang.registry.columns import Words
from anwang.registry.model import DeviceStatus, Policies

_STATUSES = tuple(DeviceStatus)
_NUMBER = {status: number for number, status in enumerate(_STATUSES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What a gateway must know of a device. id: ours."""

    id: str
    status: DeviceStatus
    org_path: str
    policies: Policies


class Known(NamedTuple):
    """A device that was met before. slot: its number for `note_alive`. key: its name in evidence."""

    slot: int
    key: str
    status: DeviceStatus
    policies: Policies


class Roll:
    """Devices by the number that `Live` gave them; a number without a row is a device that was never met."""

    def __init__(self) -> None:
        self._ids = bytearray()
        self._status = array("b")
        self._org = array("i")
        self._policies = array("i")
        self._address = array("q")
        self._orgs = Words()
        self._by_text: dict[str, int] = {}
        self._kept: list[Policies] = []
        self.waiting = 0

    def put(self, slot: int, device: str, status: DeviceStatus, org_path: str, policies: Policies) -> None:
        """Add or change a device."""
        while len(self._status) <= slot:
            self._ids += bytes(16)
            self._status.append(-1)
            self._org.append(0)
            self._policies.append(0)
            self._address.append(0)
        before = self._status[slot]
        self.waiting += (status is DeviceStatus.WAITING) - (before == _NUMBER[DeviceStatus.WAITING])
        self._ids[slot * 16 : slot * 16 + 16] = UUID(device).bytes
        self._status[slot] = _NUMBER[status]
        self._org[slot] = self._orgs.number(org_path)
        text = msgspec.json.encode(policies).decode()
        number = self._by_text.get(text)
        if number is None:
            number = self._by_text[text] = len(self._kept)
            self._kept.append(policies)
        self._policies[slot] = number

    def get(self, slot: int) -> Admission | None:
        """A device, None if it was never met."""
        if not 0 <= slot < len(self._status) or self._status[slot] < 0:
            return None
        return Admission(
            id=self.id(slot),
            status=_STATUSES[self._status[slot]],
            org_path=self._orgs.texts[self._org[slot]],
            policies=self._kept[self._policies[slot]],
        )

    def standing(self, slot: int) -> tuple[DeviceStatus, Policies] | None:
        """Status and policies of a device, None if it was never met: all that a registration needs to know."""
        if not 0 <= slot < len(self._status) or self._status[slot] < 0:
            return None
        return _STATUSES[self._status[slot]], self._kept[self._policies[slot]]

    def policies(self, slot: int) -> Policies | None:
        """How a device is treated, None if it was never met."""
        if not 0 <= slot < len(self._status) or self._status[slot] < 0:
            return None
        return self._kept[self._policies[slot]]

    def id(self, slot: int) -> str:
        """Our id of a device."""
        text = self._ids[slot * 16 : slot * 16 + 16].hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def find(self, device: str) -> int | None:
        """The number of a device by our id; looks through all, for the few that are asked about at a start."""
        wanted, at = UUID(device).bytes, 0
        while (at := self._ids.find(wanted, at)) >= 0:
            if at % 16 == 0:
                return at // 16
            at += 1
        return None

    def moved(self, slot: int, address: str, transport: str) -> bool:
        """Whether the device was heard from another place than last time; remembers the new one."""
        mark = hash((address, transport))
        if self._address[slot] == mark:
            return False
        self._address[slot] = mark
        return True
