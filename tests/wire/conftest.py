"""What the wire tests share."""

from __future__ import annotations

from hypothesis import settings

# scenes are encoded on first use, so a first example may take a while; tests assert no wall time
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
