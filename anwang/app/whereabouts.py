"""Where the platform's own folders and files are."""

from __future__ import annotations

from pathlib import Path

from anwang.runtime.settings import Settings


def data_folder(settings: Settings) -> Path:
    """The data folder, absolute."""
    return Path(settings.data).resolve()


def key_file(settings: Settings) -> Path:
    """The master key's file: as set, or beside the data folder."""
    data = data_folder(settings)
    return Path(settings.key_file) if settings.key_file else data.with_name(data.name + ".key")
