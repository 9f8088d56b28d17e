"""What is counted is exported, and what is exported stands in the guide."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from anwang.app.build import Platform
from anwang.governance import Terminal
from anwang.kernel.errors import Unauthenticated
from anwang.runtime.settings import Settings

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
    gateway.refusals.forgotten = gateway.capture.overrun = gateway.strangers.refused = 3
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
