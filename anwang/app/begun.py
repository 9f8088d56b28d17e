"""The processes that are started while the rest of the program is still being read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from anwang.app.claim import Claim
from anwang.app.whereabouts import data_folder
from anwang.media import Children
from anwang.runtime.settings import Settings
from anwang.stores.series import EmbeddedSeries, spawn_embedded


def run_folder(data: Path) -> Path:
    """Where processes of ours find each other's sockets; made where it is missing."""
    run = data / "run"
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    return run


def media_children(settings: Settings, data: Path) -> Children:
    """The media children as the settings want them; not started."""
    wanted = settings.media
    arguments = ["--objects", settings.stores.objects_url or f"file://{data / 'objects'}"]
    if settings.stores.objects_url:
        arguments += ["--spool", str(data / "spool")]
    arguments += ["--rtp-ports", *(str(port) for port in wanted.rtp_ports)]
    arguments += ["--silence-seconds", str(wanted.silence_seconds), "--viewer-queue", str(wanted.viewer_queue)]
    arguments += [] if wanted.sound else ["--no-sound"]
    arguments += ["--log-level", settings.logs.level, "--log-form", settings.logs.form]
    return Children(wanted.children, arguments=arguments, run=run_folder(data), apart=wanted.apart)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What runs before the platform does. Whoever takes it over ends it."""

    claim: Claim
    engine: asyncio.Task[EmbeddedSeries] | None
    """The series engine, where it is the embedded one."""
    children: Children
    keeping: asyncio.Task[None]
    """Runs the children."""

    @classmethod
    def begin(cls, settings: Settings) -> Begun:
        """Claim the data folder and start them. Raises Unavailable."""
        data = data_folder(settings)
        claim = Claim.take(data)
        engine = None if settings.stores.series_url else asyncio.create_task(spawn_embedded(data / "series"))
        children = media_children(settings, data)
        return cls(claim=claim, engine=engine, children=children, keeping=asyncio.create_task(children.run()))

    async def discard(self) -> None:
        """End what nobody is going to use."""
        await self.children.stop()
        self.keeping.cancel()
        await asyncio.wait({self.keeping})
        if self.engine is not None:
            self.engine.cancel()
            await asyncio.wait({self.engine})
            if not self.engine.cancelled() and self.engine.exception() is None:
                await self.engine.result().stop()
        self.claim.release()
