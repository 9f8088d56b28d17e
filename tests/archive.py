"""Everything of the media slice that works on recordings, over real stores and a real governance."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from anwang.governance import Actor, Governance, Object, Row
from anwang.kernel.errors import NotFound, Unavailable
from anwang.kernel.ids import PointId
from anwang.kernel.times import from_micros
from anwang.media.conversions import Conversions
from anwang.media.export import Export
from anwang.media.footage import Footage
from anwang.media.index import SegmentIndex
from anwang.media.looks import RecordingLooks
from anwang.media.masks.service import Masks
from anwang.media.model import Segment
from anwang.media.plans import Plans
from anwang.media.playback import Playback
from anwang.media.sight import Sight
from anwang.media.timeline import Timeline
from anwang.runtime.clock import FakeClock
from anwang.runtime.settings import Governance as GovernanceSettings
from anwang.stores.objects import Objects
from anwang.stores.state import MEDIA, State, migrate
from tests.governed import actor_of, everyone, governed, with_purpose
from tests.recordings import POINT, START_US, Live, cut, encode, segment_of

SECOND = 1_000_000


class Away(Objects):
    """Objects that are not on this machine, and some of which cannot be deleted."""

    is_local = False
    broken: set[str] = set()  # noqa: RUF012 - set by a test for its own instance

    def local_path(self, key: str) -> Path | None:
        return super().local_path(key) if self.is_local else None

    async def delete(self, keys: Sequence[str]) -> None:
        if self.broken & set(keys):
            raise Unavailable("the disk is away")
        await super().delete(keys)


@dataclass
class Archive:
    """Everything of the slice that works on recordings."""

    index: SegmentIndex
    main: State
    media: State
    objects: Away
    folder: Path
    live: Live
    clock: FakeClock
    governance: Governance
    actor: Actor
    looks: RecordingLooks
    footage: Footage
    timeline: Timeline
    playback: Playback
    export: Export
    plans: Plans
    conversions: Conversions
    masks: Masks
    sight: Sight

    async def store(self, data: bytes, start_us: int, **more: Any) -> Segment:
        one, whole = segment_of(data, start_us=start_us, **more)
        await self.objects.put(one.key, whole)
        return one

    async def ledger(self, kind: str) -> list[Row]:
        """The rows of a kind, oldest first."""
        reader = await actor_of(self.governance, "audit_administrator.one")
        page = await self.governance.read_ledger(reader, cursor=None, limit=100, kind=kind)
        return [row for _, row in page.rows][::-1]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("video") / "plain.mp4", seconds=24)


@pytest.fixture(scope="session")
def reordered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("video") / "b.mp4", seconds=12, b_frames=2)


async def where(point: PointId) -> Object:
    if point != POINT:
        raise NotFound("there is no such object")
    return Object(point, "/city/north/", name="北门/1号")


async def owned(points: Sequence[PointId]) -> dict[PointId, Object]:
    return {point: await where(point) for point in points if point == POINT}


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    clock = FakeClock(from_micros(START_US) + timedelta(hours=2))
    main = await State.open(f"sqlite:///{tmp_path}/state.db", durable=False)
    state = await State.open(f"sqlite:///{tmp_path}/media.db", durable=False)
    await migrate(state, schema=MEDIA)
    objects = Away.open(f"file://{tmp_path}/objects")
    assert isinstance(objects, Away)
    objects.is_local = True
    index, live = SegmentIndex(state), Live()
    plans = Plans(state, clock, lambda _: "I")
    footage = Footage(index=index, objects=objects, growing=live)
    timeline = Timeline(index=index, plans=plans, clock=clock, growing=live)
    async with governed(main, tmp_path, clock, rules=GovernanceSettings(short_clip=True)) as governance:
        await everyone(governance)
        looks = RecordingLooks(governs=governance, clock=clock, where=where)
        conversions = Conversions(run=tmp_path, most=1)
        masks = Masks(state=main, clock=clock, governs=governance)
        sight = Sight(masks=masks, conversions=conversions, clock=clock)
        yield Archive(
            index=index,
            main=main,
            media=state,
            objects=objects,
            folder=tmp_path / "objects",
            live=live,
            clock=clock,
            governance=governance,
            actor=await with_purpose(governance, await actor_of(governance, "operator.one")),
            looks=looks,
            footage=footage,
            timeline=timeline,
            playback=Playback(footage=footage, causes=timeline, looks=looks, clock=clock, sight=sight),
            export=Export(footage=footage, causes=timeline, looks=looks, clock=clock, sight=sight),
            plans=plans,
            conversions=conversions,
            masks=masks,
            sight=sight,
        )
        await conversions.close()
    objects.close()
    await state.close()
    await main.close()


async def fill(archive: Archive, source: Path, *, gap_after: int | None = None, gap_s: int = 60) -> list[Segment]:
    """The source as segments of eight seconds; after one of them a gap."""
    segments = []
    late = 0
    for number, (start, data) in enumerate(cut(source, every_gops=4)):
        broken = gap_after is not None and number == gap_after + 1
        late += gap_s * SECOND if broken else 0
        begins = START_US + round(start * SECOND) + late
        segments.append(await archive.store(data, begins, continues=number > 0 and not broken))
    await archive.index.add(segments)
    return segments
