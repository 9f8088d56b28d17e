"""What the registry turns away is counted where an operator can see it."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from anwang.kernel.errors import Exhausted
from anwang.registry import CatalogueItem, Evidence, EvidenceKind, Registry, RegistryMetrics
from anwang.runtime.clock import FakeClock
from anwang.stores.state import State, metadata


async def test_what_is_turned_away_is_counted(tmp_path: Path) -> None:
    state = await State.open(f"sqlite:///{tmp_path}/state.db")
    async with state.begin() as tx:
        await tx.run_sync(metadata.create_all)
    registry = Registry(state=state, clock=FakeClock(), folder=tmp_path, waiting_bound=1)
    await registry.load()
    told = CollectorRegistry()
    told.register(RegistryMetrics(registry))
    first = await registry.meet("gb28181", "34020000001180000001", address="a:1", transport="udp")
    with pytest.raises(Exhausted):
        await registry.meet("gb28181", "34020000001180000002", address="b:1", transport="udp")
    registry.note([Evidence("nobody", EvidenceKind.KEEPALIVE, 1)])
    for _ in range(2):
        await registry.reconcile(first.id, [CatalogueItem(channel_id="x", name="x", at_us=1)], complete=False)
    assert told.get_sample_value("anwang_waiting_devices") == 1
    assert told.get_sample_value("anwang_waiting_refused_total") == 1
    assert told.get_sample_value("anwang_evidence_strange_total") == 1
    assert told.get_sample_value("anwang_catalogue_notices_waiting") == 1
    await state.close()
