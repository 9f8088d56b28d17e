"""Where the settings say that the stores are, and how each is opened."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from anwang.app.whereabouts import data_folder, key_file
from anwang.kernel.errors import NotFound
from anwang.runtime.settings import Settings
from anwang.stores.objects import Objects
from anwang.stores.series import EmbeddedSeries, Series, spawn_embedded
from anwang.stores.state import MAIN, MEDIA, Schema, State

__all__ = ["FILES", "data_folder", "folders", "key_file", "open_objects", "open_series", "open_state"]

FILES = {MAIN.name: "state.db", MEDIA.name: "media.db"}
"""The embedded databases in the data folder, by schema."""


def folders(settings: Settings) -> dict[str, Path]:
    """Every folder of this machine that the platform writes to, by what it is for; stores elsewhere have none."""
    data, stores = data_folder(settings), settings.stores
    found = {"data": data, "master key": key_file(settings).resolve().parent}
    for name, url in (("state", stores.state_url), ("media index", stores.media_url)):
        if url.startswith("sqlite:///"):
            found[name] = Path(url.removeprefix("sqlite:///")).resolve().parent
    objects = urlsplit(stores.objects_url)
    if objects.scheme == "file":
        found["objects"] = Path(unquote(objects.path))
    elif stores.objects_url:
        found["spool"] = data / "spool"
    return found


async def open_state(settings: Settings, schema: Schema, *, create: bool = True) -> State:
    """One SQL database. Raises Unavailable; NotFound where it must exist (create=False) and does not."""
    url = settings.stores.state_url if schema is MAIN else settings.stores.media_url
    path = data_folder(settings) / FILES[schema.name]
    if not create and not url and not path.exists():
        raise NotFound(f"there is no {path}", "name the platform's settings file with --config")
    return await State.open(url or f"sqlite:///{path}")


async def open_series(
    settings: Settings, engine: asyncio.Task[EmbeddedSeries] | None = None
) -> tuple[Series, EmbeddedSeries | None]:
    """The series store, and its process where it is ours. engine: that process, begun before. Raises Unavailable."""
    if settings.stores.series_url:
        return await Series.open(settings.stores.series_url, _series_password(settings)), None
    embedded = await (engine or spawn_embedded(data_folder(settings) / "series"))
    try:
        return await Series.open(embedded.url, embedded.token), embedded
    except BaseException:
        await embedded.stop()
        raise


def open_objects(settings: Settings) -> Objects:
    """The object store. Raises Unavailable, Invalid."""
    data, url = data_folder(settings), settings.stores.objects_url
    return Objects.open(
        url or f"file://{data / 'objects'}",
        spool=data / "spool" if url else None,
        access_key=os.environ.get("ANWANG_S3_ACCESS_KEY"),
        secret_key=os.environ.get("ANWANG_S3_SECRET_KEY"),
    )


def _series_password(settings: Settings) -> str | None:
    path = settings.stores.series_password_file
    return Path(path).read_text("utf-8").strip() if path else os.environ.get("ANWANG_SERIES_PASSWORD")
