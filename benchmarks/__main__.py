"""Run the measurements one after another and write them down.

    python -m benchmarks [names] [--quick] [--out docs/benchmarks.md]

Without names, all of them. Each replaces its own section of the page and leaves the others as they are. --quick makes
every measurement small, to see that it works: its figures are marked as such and prove nothing.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ratio import Row, machine, table, today

#: modules whose `measure(quick)` returns rows, in the order in which they run
NAMES = (
    "signalling",
    "recording",
    "media_wire",
    "media_index",
    "media_clip",
    "masks",
    "map",
    "imports",
    "ledger",
    "startup",
    "screens",
    "rights",
)
HEAD = """# Measurements

Every measurement compares the product with a baseline or a peer in the same run, on the same data, taking turns, and
has a gate that must hold before any figure counts. Ratios carry over to another machine; times do not. A figure stands
here only with the machine, the date and the command that made it: `make bench` makes all of them, `python -m benchmarks
NAME` one. `benchmarks/ratio.py` says how ratios and their intervals are made.
"""


def section(name: str, *, quick: bool) -> tuple[str, bool]:
    """The Markdown of one measurement, and whether it came to its end."""
    module = importlib.import_module(f"benchmarks.{name}")
    measure: Callable[[bool], Sequence[Row | dict[str, Any]]] = module.measure
    told = inspect.cleandoc(module.__doc__ or "")
    when, started = today(), time.monotonic()
    lines = [f"## {name}", "", told, ""]
    try:
        lines += [table([one if isinstance(one, Row) else Row(**one) for one in measure(quick)]), ""]
        is_whole = True
    except Exception as err:
        traceback.print_exc()
        lines += [f"**It did not come to its end:** {type(err).__name__}: {err}", ""]
        is_whole = False
    command = f"python -m benchmarks {name}{' --quick' if quick else ''}"
    lines.append(f"`{command}`, {machine()}, {when}, commit {commit()}, {time.monotonic() - started:.0f} s.")
    if quick:
        lines.append("**Quick run: the figures show that it works, and prove nothing.**")
    return "\n".join(lines) + "\n", is_whole


def commit() -> str:
    """What was measured."""
    try:
        found = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def replaced(page: str, name: str, text: str) -> str:
    """The page with one section put in the place of its older one, in the order of NAMES."""
    _, *parts = page.split("\n## ")
    sections = {part.partition("\n")[0].strip(): f"## {part.rstrip()}\n" for part in parts}
    sections = {known: sections[known] for known in NAMES if known in sections}
    sections[name] = text
    return "\n".join([HEAD, *(sections[known] for known in NAMES if known in sections)])


def main() -> int:
    """0 where all came to their end."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}")
    options.add_argument("--quick", action="store_true")
    options.add_argument("--out", type=Path, help="the page to renew; without it the tables are only printed")
    chosen = options.parse_args()
    if unknown := set(chosen.names) - set(NAMES):
        options.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    failed = []
    for name in chosen.names or NAMES:
        print(f"--- {name}", file=sys.stderr, flush=True)
        text, is_whole = section(name, quick=chosen.quick)
        print(text, flush=True)
        if not is_whole:
            failed.append(name)
        if chosen.out is not None:
            page = chosen.out.read_text("utf-8") if chosen.out.exists() else HEAD
            chosen.out.write_text(replaced(page, name, text), "utf-8")
    if failed:
        print(f"did not come to their end: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
