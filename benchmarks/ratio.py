"""How everything here is measured and told: pairs in turns, medians of their ratios, and an interval that is honest.

Two noisy cores say little about a time and much about a ratio: A and B take turns (A B B A A B …), each pair gives one
ratio, the first pair is dropped, and the median stands with its bootstrap 95 % interval. A claim of "at least r" holds
only where the interval's lower end is at least r.
"""

from __future__ import annotations

import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

RESAMPLES = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table. holds: whether the target is met, None where there is none. gate: what had to be right."""

    what: str
    ours: str
    peer: str = ""
    ratio: str = ""
    target: str = ""
    holds: bool | None = None
    gate: str = ""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A median with its interval, and the medians of both sides."""

    median: float
    low: float
    high: float
    ours: float
    peer: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f}, {self.pairs} pairs)"


def interval(values: Sequence[float], *, seed: int = 1) -> tuple[float, float, float]:
    """The median and its bootstrap 95 % interval."""
    dice = random.Random(seed)
    times = RESAMPLES if len(values) < 100 else RESAMPLES // 10
    medians = sorted(statistics.median(dice.choices(values, k=len(values))) for _ in range(times))
    return statistics.median(values), medians[int(times * 0.025)], medians[int(times * 0.975)]


def of_pairs(ours: Sequence[float], peer: Sequence[float]) -> Ratio:
    """Ratios of what was measured in turns; the first pair is warming up where there are more."""
    first = 1 if len(ours) > 2 else 0
    ours, peer = ours[first:], peer[first:]
    median, low, high = interval([a / b for a, b in zip(ours, peer, strict=True)])
    return Ratio(median, low, high, statistics.median(ours), statistics.median(peer), len(ours))


def in_turns(ours: Callable[[], float], peer: Callable[[], float], pairs: int) -> Ratio:
    """Call both in turns, A B B A …, and take the ratios of what they return."""
    mine: list[float] = []
    theirs: list[float] = []
    for number in range(pairs + 1):
        order = ((mine, ours), (theirs, peer))
        for kept, measure in order if number % 2 == 0 else order[::-1]:
            kept.append(measure())
    return of_pairs(mine, theirs)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process with all its threads, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def available_bytes() -> int:
    """What the machine can still give."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def machine() -> str:
    """The machine in a line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def today() -> str:
    """The date, and how busy the machine was with other things."""
    return f"{time.strftime('%Y-%m-%d')}, load {os.getloadavg()[0]:.1f} at the start"


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = ["| what | ours | peer | ratio (95 % interval) | target | holds | gate |", "| --- " * 7 + "|"]
    for row in rows:
        holds = "" if row.holds is None else ("yes" if row.holds else "**no**")
        cells = (row.what, row.ours, row.peer, row.ratio, row.target, holds, row.gate)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)
