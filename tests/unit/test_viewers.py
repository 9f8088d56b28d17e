"""Viewers of a stream over a real Unix socket: the bound of a slow one, and what it sees when it reads again."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from anwang.media.child.hub import MOST_CACHED_BYTES, Outlet, Viewer
from anwang.media.control import FrameKind
from anwang.media.framing import frames

GOP = 10


def numbered(number: int, size: int) -> bytes:
    return number.to_bytes(4, "big") + bytes(size)


@pytest.mark.parametrize(("size", "most"), [(60_000, 5), (60_000, 20), (1_200_000, 250)])
async def test_a_slow_viewer_skips_to_a_key_frame_and_is_counted(tmp_path: Path, size: int, most: int) -> None:
    outlet = Outlet()
    outlet.begin(b"{}", b"init")
    path = str(tmp_path / "v.sock")
    viewers = partial(Viewer, {"s": outlet}.get, most_queued=most)
    server = await asyncio.get_running_loop().create_unix_server(viewers, path)
    stream = frames(path, "s")
    opening = [await anext(stream), await anext(stream)]
    assert [kind for kind, _ in opening] == [FrameKind.TEXT, FrameKind.INIT]
    count = 200
    for number in range(count):  # nobody reads meanwhile
        outlet.push(numbered(number, size), is_key=number % GOP == 0)
    (viewer,) = outlet.viewers
    assert viewer._transport is not None
    # what the process holds for it is bounded by both
    assert viewer._transport.get_write_buffer_size() <= min(most * (size + 9), (4 << 20) + size + 9)
    assert outlet.dropped >= count - most - (8 << 20) // size
    seen: list[tuple[FrameKind, int]] = []

    async def read() -> None:
        async for kind, data in stream:
            seen.append((kind, int.from_bytes(data[:4], "big")))

    reading = asyncio.create_task(read())
    async with asyncio.timeout(30):
        number = count
        while not seen or seen[-1][1] < count + 2 * GOP:  # it reads again, and the stream goes on
            outlet.push(numbered(number, size), is_key=number % GOP == 0)
            number += 1
            await asyncio.sleep(0.005)
    skips = [after for before, after in pairwise(seen) if after[1] != before[1] + 1]
    assert skips
    assert all(kind is FrameKind.KEY for kind, _ in skips)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    server.close()


async def test_a_sender_without_key_frames_does_not_fill_the_cache(tmp_path: Path) -> None:
    outlet = Outlet()
    outlet.begin(b"{}", b"init")
    size = 1 << 20
    for number in range(2 * MOST_CACHED_BYTES // size):
        outlet.push(numbered(number, size), is_key=number == 0)
        assert sum(map(len, outlet.cached()[1])) <= MOST_CACHED_BYTES + size
    assert outlet.cached()[1] == [], "a group without its beginning is of no use"
    path = str(tmp_path / "v.sock")
    server = await asyncio.get_running_loop().create_unix_server(partial(Viewer, {"s": outlet}.get), path)
    stream = frames(path, "s")
    assert [(await anext(stream))[0] for _ in range(2)] == [FrameKind.TEXT, FrameKind.INIT]
    outlet.push(numbered(1000, 9), is_key=False)
    outlet.push(numbered(1001, 9), is_key=True)
    outlet.push(numbered(1002, 9), is_key=False)
    seen = [await anext(stream) for _ in range(2)]
    assert [(kind, int.from_bytes(data[:4], "big")) for kind, data in seen] == [
        (FrameKind.KEY, 1001), (FrameKind.FRAGMENT, 1002),
    ]  # fmt: skip
    assert len(outlet.cached()[1]) == 2
    server.close()
