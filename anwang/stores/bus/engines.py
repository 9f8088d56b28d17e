"""Which engine a setting names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from anwang.kernel.errors import Invalid
from anwang.stores.bus.local import LocalBus
from anwang.stores.bus.port import Bus


async def open_bus(url: str, *, folder: Path) -> Bus:
    """The bus named by a setting: `local:` keeps its window in `folder`; `nats://host:4222/stream` is between machines.

    Raises Invalid for another URL, Unavailable.
    """
    parts = urlsplit(url)
    if url == "local:":
        return await LocalBus.open(folder)
    if parts.scheme in ("nats", "tls") and parts.hostname:
        from anwang.stores.bus.nats import NatsBus  # only a city of several machines waits for its client

        return await NatsBus.open(f"{parts.scheme}://{parts.netloc}", stream=parts.path.strip("/") or "anwang")
    raise Invalid("the bus URL cannot be read", "local: or nats://host:4222/stream")
