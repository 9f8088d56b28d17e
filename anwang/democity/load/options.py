"""What a load is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from anwang.democity.devices.faults import Fault
from anwang.kernel.errors import Invalid
from anwang.wire import gb28181 as gb

MAX_COUNT = 900_000
PER_SOCKET = 2000
#: codes of cameras (132) in the network class of the internet (7), which the city's own cameras do not use
STEM = "99010100001327"
_STEM = re.compile(r"[0-9]{14}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """count devices, each a code under `stem` (14 digits). rate: registrations begun per second. seconds: in all.

    transport: udp, or tcp (many devices share each connection). host: an address or a name. sockets: 0 is one for 2,000
    devices. domain: empty means the first ten digits of server_id. profiles: what is wrong with the first `share` of
    the devices, and how much. is_polite: devices log out at the end. Raises Invalid.
    """

    count: int
    host: str
    port: int
    server_id: str
    password: str = field(repr=False)
    domain: str = ""
    transport: str = "udp"
    rate: float = 500.0
    heartbeat_s: float = 60.0
    seconds: float = inf
    sockets: int = 0
    stem: str = STEM
    profiles: Mapping[Fault, float] = field(default_factory=dict)
    share: float = 1.0
    is_polite: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_COUNT:
            raise Invalid(f"{self.count} devices", f"1 to {MAX_COUNT}")
        if not _STEM.fullmatch(self.stem) or not gb.is_code(self.server_id):
            raise Invalid("the stem has 14 digits, the server's code 20")
        if self.transport not in ("udp", "tcp"):
            raise Invalid(f"no transport {self.transport!r}", "udp or tcp")
        if not (self.rate > 0 and self.heartbeat_s > 0 and self.seconds > 0):
            raise Invalid("rate, keep-alive and seconds are above 0")
        if not 0 < self.share <= 1:
            raise Invalid(f"a share of {self.share}", "above 0, at most 1")

    @property
    def ways(self) -> int:
        """How many sockets."""
        return self.sockets or -(-self.count // PER_SOCKET)

    @property
    def faulty(self) -> int:
        """How many devices misbehave, beginning with the first."""
        return max(1, round(self.count * self.share)) if self.profiles else 0
