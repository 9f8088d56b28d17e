"""One platform for all flow tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flow.pictures import decoded, program_stream, scene
from tests.flow.served import Served, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A platform in a process of its own, which expects a keep-alive each second and misses three."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, gb28181={"keepalive_seconds": 1.5}) as made:
        yield made


@pytest.fixture(scope="session")
def ps(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[str]]:
    """A program stream that FFmpeg made, and digests of its pictures."""
    movie = scene(tmp_path_factory.mktemp("scene"))
    return program_stream(movie), decoded(movie)
