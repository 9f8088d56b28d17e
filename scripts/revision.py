"""Write the next migration: `python scripts/revision.py "what changes" [--media] [--empty]`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def import_stores() -> list[str]:
    """Import every slice's `store`, so that all tables are declared; their names."""
    import anwang

    found = []
    for module in pkgutil.walk_packages(anwang.__path__, "anwang."):
        if module.name.rpartition(".")[2] == "store":
            importlib.import_module(module.name)
            found.append(module.name)
    return found


def main() -> int:
    """Import the slices, then let the state store compare and write."""
    sys.path.insert(0, str(ROOT))
    from anwang.stores.state import MAIN, MEDIA, make_revision

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("message")
    parser.add_argument("--media", action="store_true", help="the media index instead of the main database")
    parser.add_argument("--empty", action="store_true", help="no steps; for a migration of data")
    chosen = parser.parse_args()
    import_stores()
    print(make_revision(chosen.message, schema=MEDIA if chosen.media else MAIN, empty=chosen.empty))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
