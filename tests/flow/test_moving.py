"""Patrols of the simulated city at a platform: where they are reaches evidence, map and browsers as they told it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from anwang.democity.city import CityOptions, Running, world
from anwang.democity.world import Round
from anwang.runtime.clock import SystemClock
from tests.flow.served import DOOR_KEY, Served

T = TypeVar("T")


@pytest.fixture
async def city(served: Served, tmp_path: Path) -> AsyncIterator[Running]:
    options = CityOptions(data=tmp_path, port=served.sip_port, password=DOOR_KEY, scale=0.5, heartbeat_s=1.0,
                          rtsp_port=None)  # fmt: skip
    made = Running(options, await asyncio.to_thread(world, options), SystemClock())
    await made.open()
    yield made
    await made.close()


async def until(condition: Callable[[], T | None], what: str) -> T:
    """What is asked of the platform blocks, so it is asked in a thread: the city goes on meanwhile."""
    try:
        async with asyncio.timeout(100):
            while not (found := await asyncio.to_thread(condition)):
                await asyncio.sleep(0.05)
            return found
    except TimeoutError:
        raise AssertionError(f"not within 100 s: {what}") from None


def events(served: Served, wanted: Callable[[Any], bool]) -> Any:
    """The first `position` event that is wanted."""
    with served.operator.stream("GET", "/api/v1/events") as answer:
        kind = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind == "position" and wanted(data := json.loads(line[6:])):
                return data
    raise AssertionError("the stream ended")


@pytest.mark.parametrize(("kind", "version"), [("nvr", "2.0"), ("nvr", "3.0"), ("camera", "3.0")])
async def test_what_a_patrol_tells_is_shown(served: Served, city: Running, kind: str, version: str) -> None:
    mind = next(
        one for one in city.minds.values() if one.moves and (one.device.kind, one.device.version) == (kind, version)
    )
    beat = mind.device.beat
    assert beat is not None
    line = next(line for line in city.lines if mind.code in line.members)
    line.start(mind.code)
    found = await until(lambda: served.device(mind.code), "it registers")
    await asyncio.to_thread(served.post, f"/devices/{found['id']}/adopt", {"organisation": served.organisation})
    points = [
        await until(lambda code=code: served.point(code), f"{code} is a point")  # type: ignore[misc]
        for code in mind.device.channels
    ]
    assert len(points) == (2 if kind == "nvr" else 1)
    for point in points:
        evidence = await asyncio.to_thread(served.get, f"/points/{point['id']}/evidence")
        assert evidence["position"] is None, "nobody has asked it"

    await asyncio.to_thread(lambda: served.order(device=mind.code, extra={"position_interval_s": "1"}))

    def told(point: dict[str, Any]) -> Any:
        return served.get(f"/points/{point['id']}/evidence")["position"]

    for point in points:
        position = await until(lambda point=point: told(point), "it has told")  # type: ignore[misc]
        at = datetime.fromisoformat(position["at"]).timestamp()
        place, direction_deg = Round(beat).at(at)
        assert (position["longitude"], position["latitude"]) == place
        assert (position["direction_deg"], position["speed_kmh"]) == (direction_deg, beat.speed_kmh)
        assert position["age_s"] >= 0
        later = await until(lambda p=point, at=position["at"]: (n := told(p))["at"] > at and n, "it tells again")  # type: ignore[misc]
        assert Round(beat).at(datetime.fromisoformat(later["at"]).timestamp()).at == (
            later["longitude"], later["latitude"])  # fmt: skip

    listed = await asyncio.to_thread(served.get, "/positions")
    own = {one["point"]: one for one in listed["items"]}
    ids = {point["id"] for point in points}
    assert ids <= set(own)
    event = await asyncio.to_thread(events, served, lambda data: ids <= {change[0] for change in data["changes"]})
    for point, longitude, latitude, _, received_at in event["changes"]:
        if point in ids:
            heard = round(datetime.fromisoformat(received_at).timestamp())
            assert (longitude, latitude) in {Round(beat).at(second).at for second in range(heard - 30, heard + 3)}
            assert received_at >= own[point]["received_at"]
