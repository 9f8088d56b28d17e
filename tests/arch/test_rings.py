"""A slice is used only through its face, and the rings hold (import-linter checks the order itself)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
SLICES = {"governance", "registry", "access", "media"}
#: parts of a slice that `app` alone may take besides the face
OPEN_TO_APP = {"store", "http", "jobs"}


def test_a_slice_is_used_only_through_its_face() -> None:
    """Two well-known products with tidy slice folders and no such test have most packages in one import cycle."""
    graph = grimp.build_graph("anwang", cache_dir=None)
    broken = []
    for module in sorted(graph.modules):
        home = module.split(".")[1] if "." in module else ""
        for imported in graph.find_modules_directly_imported_by(module):
            parts = imported.split(".")
            if len(parts) < 3 or parts[1] not in SLICES or parts[1] == home:
                continue
            if home == "app" and parts[2] in OPEN_TO_APP:
                continue
            broken.append(f"{module} takes {imported}")
    assert not broken


def test_import_contracts_are_kept() -> None:
    """The contracts of pyproject.toml, so that `make fast` finds a broken ring too."""
    found = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
