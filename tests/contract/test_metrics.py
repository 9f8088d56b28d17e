"""What is counted is exported, and what is exported stands in the guide."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import generate_latest

from anwang.access import Address, Stream
from anwang.app.build import Platform
from anwang.governance import Terminal
from anwang.kernel.errors import Unauthenticated
from anwang.kernel.ids import PlayId
from anwang.media.child.recorder import WAITING_BYTES, Recording, Writer
from anwang.media.control import FromChild, Lost, Ready, Sealed
from anwang.media.live import Feed
from anwang.media.model import GapCause
from anwang.media.trace import PlayTrace
from anwang.runtime.settings import Settings
from anwang.stores.objects import Objects, Segment
from anwang.wire.fmp4 import Fragment, Fragmenter, Init
from anwang.wire.units import Codec, Kind, Unit
from tests.flow.test_media_child import clip
from tests.recordings import POINT, START_US

GUIDE = Path(__file__).parents[2] / "docs/guides/metrics.md"
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (?:`([\w,]+)`)? ?\|$", re.MULTILINE)


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    opened = await Platform.open(Settings(data=str(tmp_path / "data"), key_file=str(tmp_path / "key")))
    try:
        yield opened
    finally:
        await opened.close()


def exported(platform: Platform) -> Iterator[tuple[str, str, str]]:
    for metric in platform.metrics.collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        labels = sorted({label for sample in metric.samples for label in sample.labels})
        yield name, metric.documentation, ",".join(labels)


async def test_the_guide_names_every_metric(platform: Platform) -> None:
    text = GUIDE.read_text("utf-8")
    rows = list(exported(platform))
    if os.environ.get("BLESS") == "1":
        head = text[: text.index("| `")]
        lines = [f"| `{name}` | {what} | {f'`{label}` ' if label else ''}|" for name, what, label in rows]
        GUIDE.write_text(head + "\n".join(lines) + "\n", "utf-8")
        text = GUIDE.read_text("utf-8")
    assert ROW.findall(text) == rows


async def test_every_counter_of_the_guide_is_scraped_and_counts(platform: Platform) -> None:
    gateway = platform.gateway
    assert gateway is not None
    platform.events.refused = platform.events.lagged = platform.notices.dropped = 3
    gateway.refusals.forgotten = gateway.capture.overrun = gateway.arrivals.strangers.refused = 3
    platform.stores.objects.refused = platform.governance.ledger.refused = 3
    for password in ("wrong password", "another wrong one", "a third wrong one"):
        with pytest.raises(Unauthenticated):
            await platform.governance.sign_in("nobody", password, terminal=Terminal("192.0.2.7", "test"))
    scraped = generate_latest(platform.metrics).decode()
    missing = [name for name, _, _ in ROW.findall(GUIDE.read_text("utf-8")) if f"\n{name}" not in scraped]
    assert missing == []
    for line in (
        "anwang_event_streams_refused_total",
        "anwang_event_streams_lagged_total",
        "anwang_events_dropped_total",
        "anwang_sip_refusals_forgotten_total",
        "anwang_sip_capture_overruns_total",
        'anwang_sip_turns_refused_total{work="admission"}',
        'anwang_store_calls_refused_total{store="objects"}',
        'anwang_store_calls_refused_total{store="ledger"}',
        'anwang_sign_ins_refused_total{why="wrong"}',
    ):
        assert f"\n{line} 3.0\n" in scraped, line


class Stuck:
    """Objects on a disk that hangs until it is let go."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.go = threading.Event()

    def open_segment(self, key: str) -> Segment:
        self.go.wait()
        return self._objects.open_segment(key)


def large(seconds: float) -> Iterator[Init | Fragment]:
    """Fragments of real pictures, each with 4 MB of something beside it."""
    fragmenter = Fragmenter()
    beside = b"\0\0\0\1\x06\xee" + b"\xee" * (4 << 20)
    for number, data in enumerate(clip(seconds)):
        unit = Unit(
            kind=Kind.VIDEO, codec=Codec.H264, data=data + beside, pts_90k=number * 3600, is_key=number % 25 == 0
        )
        yield from fragmenter.push(unit)


async def test_a_disk_that_hangs_is_counted_for_each_recording_that_it_costs(
    platform: Platform, tmp_path: Path
) -> None:
    told: list[FromChild] = []
    objects = Objects.open(f"file://{tmp_path}/disk")
    disk = Stuck(objects)
    writer = Writer(cast(Any, disk), told.append)
    recording = Recording(writer, stream="feed", point=POINT, name="main", seconds=60)
    now_us = START_US
    for item in large(2):
        if isinstance(item, Init):
            recording.begin(item)
            continue
        recording.push(item, now_us)
        now_us += 40_000
        if told:
            break
    [lost] = told
    assert isinstance(lost, Lost) and lost.cause == GapCause.DISK_GUARD and not recording.is_begun
    assert writer.waiting_bytes > WAITING_BYTES and writer.overruns == 1

    child: Any = SimpleNamespace(alive=True, send=lambda message: None, number=0, is_apart=False)
    feed = Feed(
        id="feed",
        address=Address(point=POINT, gateway="none", device="d", channel="c"),
        stream=Stream.MAIN,
        child=child,
        trace=PlayTrace(id=PlayId("p"), point=POINT, stream="main", why="record", clock=platform.clock),
        started=asyncio.get_running_loop().create_future(),
        ready=Ready(stream="feed", mime="", codec="avc1", width=1, height=1, at_us=1),
    )
    platform.streams._by_id[feed.id] = feed
    assert "\nanwang_recording_overruns_total 0.0\n" in generate_latest(platform.metrics).decode()
    platform.streams.handle(child, lost)
    assert feed.cause is GapCause.DISK_GUARD, "the gap will say so"
    assert "\nanwang_recording_overruns_total 1.0\n" in generate_latest(platform.metrics).decode()

    disk.go.set()
    await asyncio.to_thread(writer.stop)
    [sealed] = [one for one in told if isinstance(one, Sealed)]
    assert sealed.size_bytes > WAITING_BYTES, "what was taken before is written once the disk goes on"
    objects.close()
