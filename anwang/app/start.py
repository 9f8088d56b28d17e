"""Starting fast: processes of their own come up while the rest of the program is still being read.

Reading the program, starting the series engine and starting a media child each take a processor for about a second;
side by side they cost little more than one.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anwang.app.begun import Begun
from anwang.runtime.settings import Settings

if TYPE_CHECKING:
    from anwang.app.build import Platform


async def serve(
    settings: Settings,
    *,
    config: Path | None = None,
    opened: Callable[[Platform], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Run the platform until SIGINT or SIGTERM. opened: called once it is ready. Raises as Platform.open."""
    begun = Begun.begin(settings)
    try:
        build = await asyncio.to_thread(importlib.import_module, "anwang.app.build")
    except BaseException:
        await begun.discard()
        raise
    await build.serve(settings, config=config, opened=opened, begun=begun)
