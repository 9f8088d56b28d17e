"""Starting fast: the series engine's process comes up while the rest of the program is still being read.

Reading the program and starting the engine each take a processor for about a second; side by side they cost one.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anwang.app.claim import Claim
from anwang.app.whereabouts import data_folder
from anwang.runtime.settings import Settings
from anwang.stores.series import EmbeddedSeries, spawn_embedded

if TYPE_CHECKING:
    from anwang.app.build import Platform


async def serve(
    settings: Settings,
    *,
    config: Path | None = None,
    opened: Callable[[Platform], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Run the platform until SIGINT or SIGTERM. opened: called once it is ready. Raises as Platform.open."""
    data = data_folder(settings)
    claim = Claim.take(data)
    engine = None if settings.stores.series_url else asyncio.create_task(spawn_embedded(data / "series"))
    try:
        build = await asyncio.to_thread(importlib.import_module, "anwang.app.build")
    except BaseException:
        await discard(engine)
        claim.release()
        raise
    await build.serve(settings, config=config, opened=opened, claim=claim, engine=engine)


async def discard(engine: asyncio.Task[EmbeddedSeries] | None) -> None:
    """Stop an engine that nobody is going to use."""
    if engine is None:
        return
    engine.cancel()
    await asyncio.wait({engine})
    if not engine.cancelled() and engine.exception() is None:
        await engine.result().stop()
