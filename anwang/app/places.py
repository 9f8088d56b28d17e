"""Governance learns of organisations from the registry."""

from __future__ import annotations

from anwang.governance import EVERYTHING, Organisation
from anwang.kernel.errors import NotFound
from anwang.kernel.ids import OrgId
from anwang.registry import Registry


class RegistryPlaces:
    """Implements governance.Places."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def organisation(self, org_id: OrgId) -> Organisation | None:
        """Name and path; None if unknown."""
        try:
            found = self._registry.organisation(EVERYTHING, org_id)
        except NotFound:
            return None
        return Organisation(id=found.id, name=found.name, path=found.org_path)
