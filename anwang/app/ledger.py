"""The ledger by command: checked, its anchors copied off the host, their key handed over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from anwang.app.engines import data_folder, key_file, open_state
from anwang.governance import Copied, Head, Signer, Verified, copy_anchors, hand_over, verify
from anwang.governance.store import StateHeads
from anwang.kernel.errors import NotFound
from anwang.runtime import secrets
from anwang.runtime.clock import SystemClock
from anwang.runtime.settings import Settings
from anwang.stores.state import MAIN, State

LEDGER, ANCHORS = "ledger", "anchors"
"""Folders in the data folder."""


async def verify_ledger(settings: Settings, *, copy: Path | None = None) -> Verified:
    """Check every chain against the heads in the state database and the anchors; the platform may run.

    copy: of the anchors, taken elsewhere. Raises NotFound, Invalid, Unavailable.
    """
    state = await open_state(settings, MAIN, create=False)
    try:
        heads = await StateHeads(state).load()
    finally:
        await state.close()
    return await asyncio.to_thread(check_ledger, settings, heads, copy)


def check_ledger(settings: Settings, heads: Mapping[str, Head], copy: Path | None = None) -> Verified:
    """The same with heads at hand. Where there is no key file, any key is believed that the anchors agree on."""
    data, key = data_folder(settings), key_file(settings)
    keys = Signer.of(secrets.open_keys(key, create=False)).keys if key.exists() else frozenset[str]()
    return verify(data / LEDGER, heads, anchors=data / ANCHORS, keys=keys, copy=copy)


def public_keys(settings: Settings) -> list[str]:
    """The public keys that anchors and packages are signed with, hex, the newest first. Raises Invalid, Unavailable."""
    return Signer.of(secrets.open_keys(key_file(settings), create=False)).public


def copy_ledger_anchors(settings: Settings, to: Path) -> Copied:
    """Add to a file what it lacks of the anchors; the platform may run. Raises NotFound, Conflict, Unavailable."""
    folder = data_folder(settings) / ANCHORS
    if not folder.is_dir():
        raise NotFound(f"there is no {folder}", "name the platform's settings file with --config")
    return copy_anchors(folder, to)


async def hand_anchors_over(settings: Settings, state: State, sealer: secrets.Sealer) -> None:
    """Let the newest master key sign the anchors from now on; the platform is stopped. Raises Unavailable."""
    heads = StateHeads(state)
    folder, known, now = data_folder(settings) / ANCHORS, await heads.load(), SystemClock().micros()
    for head in await asyncio.to_thread(hand_over, folder, known, Signer.of(sealer), now):
        await heads.save(head)
