"""Hosts as text: addresses in one form, and beside a port."""

from __future__ import annotations

import ipaddress


def plain(host: str) -> str:
    """An address in its one form, an IPv4 address that came through an IPv6 socket as IPv4; a name as it is."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def bracketed(host: str) -> str:
    """An IPv6 address as it stands before a port, in a URI and in SIP's Via."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
