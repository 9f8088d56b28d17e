"""Governance learns from the registry what devices there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anwang.governance import Devices, Spot
from anwang.registry import Registry


class RegistryEquipment:
    """Implements governance.Equipment."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def counted(self) -> Mapping[str, Devices]:
        """All of them, by the path of the organisation that owns them."""
        found: dict[str, dict[str, int]] = {}
        for path, kind, count in await self._registry.installed():
            found.setdefault(path, {})[kind.value] = count
        return found

    async def spots(self, org_path: str, besides: Sequence[str], limit: int) -> Sequence[Spot]:
        """Where those below an organisation are, in the order of paths and addresses. besides: paths to leave out."""
        names = {one.org_path: one.name for one in self._registry.all_organisations.values()}
        found = await self._registry.installed_at(org_path, besides, limit=limit)
        return [Spot(names.get(path, ""), address, kind.value, count) for path, address, kind, count in found]
