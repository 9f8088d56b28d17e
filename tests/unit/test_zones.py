"""Whose zone a peer is in."""

from __future__ import annotations

from anwang.runtime.settings import Zone
from anwang.runtime.zones import NOWHERE, Zones

CITY, POLICE, MAST = Zone(networks=("10.0.0.0/8", "fd00::/8")), Zone(networks=("10.9.0.0/16",)), Zone(media_host="::1")
ZONES = Zones({"city": CITY, "police": POLICE, "mast": MAST})


def test_the_narrowest_network_counts() -> None:
    assert ZONES.of("10.1.2.3") is CITY
    assert ZONES.of("10.9.2.3") is POLICE, "although the city's network stands before it"
    assert ZONES.of("fd00::7%eth0") is CITY
    assert ZONES.of("192.0.2.1") is ZONES.of("") is NOWHERE


def test_what_a_person_says_counts_before_the_address() -> None:
    assert ZONES.of("10.9.2.3", named="mast") is MAST
    assert ZONES.of("10.9.2.3", named="default") is POLICE
    assert ZONES.of("10.9.2.3", named="of another city") is POLICE, "a zone that the settings do not have says nothing"
