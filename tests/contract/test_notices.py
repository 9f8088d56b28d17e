"""Notices of catalogue changes cost what they name, not what their device has; a flood of them is one turn a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from anwang.governance import EVERYTHING
from anwang.kernel.errors import Exhausted
from anwang.registry import CatalogueItem, Organisation, OrgKind, PointFilter, Registry
from anwang.runtime.clock import FakeClock
from anwang.stores.state import State as Database
from tests.contract.test_registry import CAMERAS, adopted, clock, item, registry

__all__ = ["clock", "registry"]


def codes(count: int) -> list[str]:
    return [f"340200000013200{n:05d}" for n in range(count)]


@contextmanager
def statements(state: Database) -> Iterator[list[str]]:
    """What the writer is told, without its values."""
    told: list[str] = []

    def hear(connection: object, cursor: object, statement: str, *_: object) -> None:
        told.append(statement)

    engine = state._writer.sync_engine
    event.listen(engine, "before_cursor_execute", hear)
    yield told
    event.remove(engine, "before_cursor_execute", hear)


@pytest.fixture
async def city(registry: Registry) -> Organisation:
    return await registry.add_organisation(name="安澜市", kind=OrgKind.CITY)


async def test_a_notice_costs_the_same_however_much_its_device_has(
    registry: Registry, city: Organisation, clock: FakeClock, state: Database
) -> None:
    small = await adopted(registry, city, codes(1))
    await clock.advance(2)
    with statements(state) as of_small:
        await registry.reconcile(small, [item(codes(1)[0], clock.micros(), is_on=False)], complete=False)
    await registry.reconcile(small, [item(code, clock.micros()) for code in codes(1500)], complete=True)
    await clock.advance(2)
    with statements(state) as of_large:
        await registry.reconcile(small, [item(codes(1)[0], clock.micros(), is_on=False)], complete=False)
    assert len(of_large) == len(of_small)
    reads = [text for text in of_large if "FROM channels" in text]
    assert reads
    assert all("channel_id IN" in text for text in reads)


async def test_a_flood_of_notices_is_one_turn_a_second_and_loses_nothing(
    registry: Registry, city: Organisation, clock: FakeClock, state: Database
) -> None:
    device = await adopted(registry, city, codes(1))
    await clock.advance(2)
    with statements(state) as told:
        first = await registry.reconcile(device, [item(codes(1)[0], clock.micros())], complete=False)
        later = [
            await registry.reconcile(device, [item(code, clock.micros(), is_on=True)], complete=False)
            for code in codes(900)
        ]
        assert (first.waiting, {found.waiting for found in later}) == (0, {1})
        assert await registry.take_notices() == 0
        await clock.advance(1)
        assert await registry.take_notices() == 1
    assert sum("FROM devices" in text for text in told) == 2
    assert registry.notices.size == 0
    assert registry.columns.count == 900


async def test_what_waits_is_written_before_a_complete_answer_is_compared(
    registry: Registry, city: Organisation, clock: FakeClock
) -> None:
    device = await adopted(registry, city, CAMERAS[:1])
    await clock.advance(2)
    asked = clock.micros()
    await registry.reconcile(device, [item(CAMERAS[0], clock.micros())], complete=False)
    await registry.reconcile(device, [item(CAMERAS[1], clock.micros(), is_on=True)], complete=False)
    for _ in range(2):
        found = await registry.reconcile(device, [item(CAMERAS[0], clock.micros())], complete=True, asked_at_us=asked)
        assert found.missing == 0
    assert registry.notices.size == 0
    assert len((await registry.channels(EVERYTHING, device)).items) == 2


async def test_several_notices_of_one_channel_all_count(
    registry: Registry, city: Organisation, clock: FakeClock
) -> None:
    device = await adopted(registry, city, CAMERAS[:1])
    await clock.advance(2)
    await registry.reconcile(device, [item(CAMERAS[0], clock.micros())], complete=False)
    now = clock.micros()
    news = [
        CatalogueItem(channel_id=CAMERAS[1], name="南门", at_us=now),
        CatalogueItem(channel_id=CAMERAS[1], name="", at_us=now + 1, is_on=False, brief=True),
    ]
    for each in news:
        await registry.reconcile(device, [each], complete=False)
    await registry.close()
    kept = (await registry.channels(EVERYTHING, device)).items[1]
    assert (kept.name, kept.is_on) == ("南门", False)
    points = (await registry.points(EVERYTHING, PointFilter())).items
    assert [view.point.name for view in points] == ["相机1", "南门"]


async def test_a_device_that_floods_is_refused_and_counted_and_others_are_not(
    registry: Registry, city: Organisation, clock: FakeClock
) -> None:
    device = await adopted(registry, city, CAMERAS[:1])
    other = await registry.meet("gb28181", "34020000001180000009", address="c:1", transport="udp")
    await clock.advance(2)
    await registry.reconcile(device, [item(CAMERAS[0], clock.micros())], complete=False)
    much = [item(code, clock.micros()) for code in codes(12_000)]
    await registry.reconcile(device, much, complete=False)
    with pytest.raises(Exhausted):
        await registry.reconcile(device, much, complete=False)
    assert (registry.notices.refused, registry.notices.size) == (12_000, 12_000)
    found = await registry.reconcile(other.id, [item(CAMERAS[2], clock.micros())], complete=False)
    assert (found.added, found.waiting) == (1, 0)
