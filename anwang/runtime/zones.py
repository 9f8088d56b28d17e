"""Which network zone a peer belongs to, and so which of our addresses it must use."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from anwang.runtime.settings import Zone

NOWHERE = Zone()
UNNAMED = "default"
"""The zone of those of whom nobody has said one."""


class Zones:
    """The zones of the settings. Of networks that overlap the narrowest counts."""

    def __init__(self, zones: Mapping[str, Zone]) -> None:
        self._zones = zones
        networks = [
            (ipaddress.ip_network(network, strict=False), zone) for zone in zones.values() for network in zone.networks
        ]
        self._networks = sorted(networks, key=lambda one: -one[0].prefixlen)

    def of(self, peer: str, *, named: str = UNNAMED) -> Zone:
        """The zone of a peer's address, NOWHERE where there is none. named: the zone that a person says it is in, which
        counts before the address if the settings have it.
        """
        if named != UNNAMED and (told := self._zones.get(named)) is not None:
            return told
        if not self._networks or not peer:
            return NOWHERE
        address = ipaddress.ip_address(peer.partition("%")[0])
        return next((zone for network, zone in self._networks if address in network), NOWHERE)
