"""`anwang backup` and `anwang restore`, and the copy that an upgrade takes before it changes a database.

What is in it: both SQL databases, all series, the folders of the ledger and of its anchors and, if wanted, the master
key's file. Video is not.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from anwang.app.claim import BACKUP, Claim
from anwang.app.engines import FILES, data_folder, key_file, open_series, open_state
from anwang.app.ledger import ANCHORS, LEDGER, check_ledger
from anwang.governance import Verified
from anwang.governance.store import StateHeads
from anwang.kernel.errors import Conflict, Invalid
from anwang.runtime import logs
from anwang.runtime.secrets import open_keys
from anwang.runtime.settings import Settings
from anwang.stores.backup import Manifest
from anwang.stores.backup import backup as copy_out
from anwang.stores.backup import restore as copy_in
from anwang.stores.backup import verify as verify_copy
from anwang.stores.series import Series, find_embedded
from anwang.stores.state import MAIN, MEDIA, Schema, State, revision_of

log = logs.get(__name__)

KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came back. key: what became of the master key, in words. ledger: checked after it was brought back."""

    manifest: Manifest
    key: str
    ledger: Verified


async def make(settings: Settings, target: Path, *, with_key: bool = True) -> Manifest:
    """Write a backup into the new folder `target`, whether the platform runs or not.

    Beside a running platform: SQLite is copied by its online backup, PostgreSQL out of one snapshot, series through the
    engine that runs, the ledger's files as far as their last whole row; in this order, so that series and ledger know
    what the databases know and perhaps a little more. Raises Conflict (another backup is being made, the target
    exists), NotFound (no platform's data here), Unavailable (the platform is just starting), Unsupported.
    """
    data = data_folder(settings)
    states: list[tuple[State, Schema]] = []
    try:
        states.extend([(await open_state(settings, schema, create=False), schema) for schema in (MAIN, MEDIA)])
        with Claim.take(data, BACKUP):
            async with _series_of(settings) as series:
                files = _files(settings)
                if with_key:
                    files[KEY] = key_file(settings)
                return await copy_out(target, states=states, series=series, files=files, whole_lines=(ANCHORS, LEDGER))
    finally:
        for state, _ in states:
            await state.close()


@asynccontextmanager
async def _series_of(settings: Settings) -> AsyncIterator[Series]:
    """The series of a platform that runs, through its engine; of one that does not, through an engine of our own."""
    try:
        claim = Claim.take(data_folder(settings))
    except Conflict:
        if settings.stores.series_url:
            series, _ = await open_series(settings)
        else:
            series = await Series.open(*find_embedded(data_folder(settings) / "series"))
        try:
            yield series
        finally:
            await series.close()
        return
    with claim:
        async with _series(settings) as series:
            yield series


async def resume_merges(data: Path, series: Series) -> None:
    """Let merges go on that a backup held and did not release, because it was killed."""
    try:
        claim = Claim.take(data, BACKUP)
    except Conflict:
        return  # one is being made
    with claim:
        await series.execute("SYSTEM START MERGES")


async def bring_back(settings: Settings, source: Path) -> Restored:
    """Restore a backup into empty stores; a failure leaves the data folder as it was.

    Recordings that are still there may stay: they hold nothing that a backup has. Raises Invalid (the backup is not
    whole), Conflict (the platform runs; a store holds something; another master key).
    """
    manifest = await asyncio.to_thread(verify_copy, source)
    if MAIN.name not in manifest.states:
        raise Invalid(f"{source} holds no {MAIN.name} database, so it is no backup of a platform")
    data = data_folder(settings)
    ours = [data / FILES[MAIN.name], data / FILES[MEDIA.name], data / "series", data / LEDGER, data / ANCHORS]
    with Claim.take(data):
        for path in ours:
            if path.exists():
                raise Conflict(f"{path} exists already", "restore into an empty data folder")
        key, files = _plan_key(settings, manifest, source)
        files |= {name: data / name for name in (ANCHORS, LEDGER) if name in manifest.files}
        states: list[tuple[State, Schema]] = []
        try:
            states.extend([(await open_state(settings, s), s) for s in (MAIN, MEDIA) if s.name in manifest.states])
            if manifest.series_database is None:
                await copy_in(source, states=states, files=files)
            else:
                async with _series(settings) as series:
                    await copy_in(source, states=states, series=series, files=files)
            heads = await StateHeads(states[0][0]).load()
            checked = await asyncio.to_thread(check_ledger, settings, heads)
        except BaseException:
            for state, _ in states:
                await state.close()
            await asyncio.to_thread(_remove, [*ours, *(path.with_name(path.name + "-wal") for path in ours[:2])])
            await asyncio.to_thread(_remove, [path.with_name(path.name + "-shm") for path in ours[:2]])
            raise
        for state, _ in states:
            await state.close()
    return Restored(manifest=manifest, key=key, ledger=checked)


def before_upgrade(
    settings: Settings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Callable[[State, State, Series], Awaitable[None]]:
    """A function that copies everything into `backups/` of the data folder, once, before a migration changes it.

    The master key is left out: an upgrade does not touch it, and it does not belong into the data folder.
    """
    made: list[Path] = []

    async def copy(state: State, media: State, series: Series) -> None:
        if made:
            return
        target = data_folder(settings) / "backups" / f"before-upgrade-{now():%Y%m%dT%H%M%SZ}"
        states = [(s, m) for s, m in ((state, MAIN), (media, MEDIA)) if await revision_of(s, m) is not None]
        await copy_out(target, states=states, series=series, files=_files(settings), whole_lines=(ANCHORS, LEDGER))
        made.append(target)
        log.warning("a backup was made before the databases are upgraded", folder=str(target))

    return copy


def describe(manifest: Manifest) -> Sequence[str]:
    """What a backup holds, in lines for people."""
    lines = [
        f"{name} database: {sum(copy.rows.values())} rows in {len(copy.rows)} tables, revision {copy.revision}"
        for name, copy in manifest.states.items()
    ]
    if manifest.series_database is not None:
        rows = sum(table.rows for table in manifest.series.values())
        lines.append(f"series: {rows} rows in {len(manifest.series)} tables")
    for name, file in manifest.files.items():
        lines.append(f"{name}: {len(file.paths)} files" if file.is_folder else f"{name}: its file")
    return lines


def _files(settings: Settings) -> dict[str, Path]:
    """Anchors first: no copied one may speak of a row that is not copied."""
    data = data_folder(settings)
    return {name: data / name for name in (ANCHORS, LEDGER) if (data / name).is_dir()}


def _plan_key(settings: Settings, manifest: Manifest, source: Path) -> tuple[str, dict[str, Path]]:
    """What becomes of the master key, and what to restore of it. Raises Conflict for a file that lacks its keys."""
    path = key_file(settings)
    if KEY not in manifest.files:
        if path.exists():
            return f"{path} was there and is kept; the backup holds no key", {}
        return f"the backup holds no key: put the old one at {path}, or the platform does not start", {}
    if not path.exists():
        return f"restored to {path}", {KEY: path}
    wanted = set((source / manifest.files[KEY].paths[0]).read_text("ascii").split("\n"))
    if not wanted <= {*path.read_text("ascii").split("\n"), ""}:
        raise Conflict(f"{path} holds other keys than the backup", "move it away, or set key_file to another path")
    open_keys(path, create=False)  # raises what would keep the platform from starting
    return f"{path} was there, has the backup's keys and is kept", {}


@asynccontextmanager
async def _series(settings: Settings) -> AsyncIterator[Series]:
    series, embedded = await open_series(settings)
    try:
        yield series
    finally:
        await series.close()
        if embedded is not None:
            await embedded.stop()


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
