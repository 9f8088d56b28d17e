"""Who moves a head: one at a time, a higher rank first, free again after a while, every movement ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from anwang.access import Access, Address, Gateway, Heads, Holder, Ptz, PtzOrder
from anwang.access import heads as access_heads
from anwang.kernel.errors import Conflict, Unavailable
from anwang.kernel.ids import PointId

HERE = PointId("here")
MOVE = PtzOrder(act=Ptz.MOVE, pan=0.5)


class Dome:
    """A gateway that only notes what it is told."""

    name = "dome"

    def __init__(self) -> None:
        self.told: list[Ptz] = []
        self.unanswered: set[Ptz] = set()
        self.never = asyncio.Event()
        """Until it is set, stops are not answered at all where they are unanswered."""

    async def ptz(self, address: Address, order: PtzOrder) -> None:
        """See Gateway."""
        self.told.append(order.act)
        if order.act in self.unanswered:
            if order.act is Ptz.STOP:
                await self.never.wait()
            raise Unavailable("the device does not answer")


class Room:
    """Heads over a dome, and what was announced."""

    def __init__(self, hold_seconds: float) -> None:
        self.dome, access = Dome(), Access()
        access.register(cast(Gateway, self.dome))
        self.said: list[str | None] = []
        self.more = asyncio.Event()
        self.heads = Heads(access, on_change=self._changed, hold_seconds=hold_seconds)

    def _changed(self, point: PointId, holder: Holder | None) -> None:
        assert point == HERE
        self.said.append(None if holder is None else holder.name)
        self.more.set()

    async def order(self, who: str, rank: int, order: PtzOrder = MOVE, ms: int = 5000) -> None:
        address = Address(point=HERE, gateway="dome", device="d", channel="c")
        await self.heads.order(address, order, actor=who, name=who, rank=rank, ms=ms)

    async def hears(self, act: Ptz, times: int) -> None:
        async with asyncio.timeout(20):
            while self.dome.told.count(act) < times:
                await asyncio.sleep(0.01)

    async def until(self, said: Sequence[str | None]) -> None:
        async with asyncio.timeout(20):
            while self.said != list(said):
                self.more.clear()
                await self.more.wait()


async def test_a_holder_is_announced_once_and_keeps_others_of_the_same_rank_away() -> None:
    room = Room(hold_seconds=60)
    for _ in range(3):
        await room.order("wang", 99)
    assert room.said == ["wang"]
    with pytest.raises(Conflict, match="wang moves this camera"):
        await room.order("li", 99)
    with pytest.raises(Conflict):
        await room.order("zhao", 98)
    assert room.said == ["wang"] and room.dome.told == [Ptz.MOVE] * 3
    held = room.heads.holder(HERE)
    assert held is not None and held.name == "wang"
    await room.heads.close()


async def test_a_higher_rank_takes_it_over_and_all_are_told() -> None:
    room = Room(hold_seconds=60)
    await room.order("li", 98)
    await room.order("wang", 99)
    with pytest.raises(Conflict):
        await room.order("li", 98)
    assert room.said == ["li", "wang"]
    await room.heads.close()


async def test_it_is_free_again_when_nobody_gives_orders_and_the_movement_has_ended() -> None:
    room = Room(hold_seconds=0.2)
    await room.order("wang", 99, ms=100)
    await room.until(["wang", None])
    assert room.heads.holder(HERE) is None
    await room.hears(Ptz.STOP, 2)
    assert room.dome.told == [Ptz.MOVE, Ptz.STOP, Ptz.STOP]
    await room.order("li", 98)
    assert room.said == ["wang", None, "li"]
    await room.heads.close()


async def test_a_movement_whose_answer_is_lost_ends_all_the_same() -> None:
    """The device may have obeyed; it turned until somebody looked."""
    room = Room(hold_seconds=60)
    room.dome.unanswered = {Ptz.MOVE}
    with pytest.raises(Unavailable):
        await room.order("wang", 99, ms=100)
    await room.hears(Ptz.STOP, 2)
    assert room.dome.told == [Ptz.MOVE, Ptz.STOP, Ptz.STOP]
    await room.heads.close()


async def test_a_head_and_its_lens_end_each_for_itself() -> None:
    room = Room(hold_seconds=60)
    await room.order("wang", 99, ms=100)
    await room.order("wang", 99, PtzOrder(act=Ptz.FOCUS_NEAR), ms=100)
    await room.order("wang", 99, PtzOrder(act=Ptz.SWITCH_ON, value=1))
    await room.hears(Ptz.STOP, 2)
    await room.hears(Ptz.LENS_STOP, 2)
    room.dome.told.clear()
    await room.order("wang", 99, ms=5000)
    await room.order("wang", 99, PtzOrder(act=Ptz.PRESET_GO, preset=1))
    await room.heads.close()
    assert room.dome.told == [Ptz.MOVE, Ptz.PRESET_GO], "who goes to a preset is not stopped on the way"


async def test_what_moves_when_the_platform_ends_is_stopped_and_nothing_moves_after() -> None:
    room = Room(hold_seconds=60)
    await room.order("wang", 99, ms=5000)
    await room.order("wang", 99, PtzOrder(act=Ptz.IRIS_OPEN), ms=5000)
    await room.heads.close()
    assert sorted(room.dome.told[2:]) == [Ptz.LENS_STOP] * 2 + [Ptz.STOP] * 2
    with pytest.raises(Unavailable):
        await room.order("li", 99)
    assert len(room.dome.told) == 6


async def test_a_device_that_does_not_answer_does_not_keep_the_platform_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access_heads, "STOP_SECONDS", 0.05)
    room = Room(hold_seconds=60)
    room.dome.unanswered = {Ptz.STOP}
    await room.order("wang", 99, ms=5000)
    async with asyncio.timeout(20):
        await room.heads.close()
    assert room.dome.told == [Ptz.MOVE, Ptz.STOP]


def test_a_city_goes_before_a_district_and_an_operator_before_a_viewer() -> None:
    from anwang.governance import Action, Role, may
    from anwang.media.http.live import ROLE_RANKS, rank_of

    def actor(role: Role, path: str) -> Any:
        return type("Someone", (), {"role": role, "org_path": path})

    assert rank_of(actor(Role.OFFICER, "/a/b/")) > rank_of(actor(Role.OPERATOR, "/"))
    assert {role for role in Role if may(role, Action.PTZ)} == set(ROLE_RANKS)
    assert (
        rank_of(actor(Role.OPERATOR, "/"))
        > rank_of(actor(Role.OPERATOR, "/a/"))
        > rank_of(actor(Role.OPERATOR, "/a/b/"))
    )
    assert rank_of(actor(Role.OPERATOR, "/a/b/c/d/e/")) > rank_of(actor(Role.VIEWER, "/"))
