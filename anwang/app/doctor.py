"""`anwang doctor`: what a device and a browser will find, seen from our side, and what to do about it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from anwang.app import claim
from anwang.app.engines import data_folder, folders, key_file
from anwang.app.reach import Finding, Grade, ports, zones
from anwang.kernel.errors import AnwangError
from anwang.runtime import machine
from anwang.runtime.secrets import is_within, open_keys
from anwang.runtime.settings import Settings

__all__ = ["Finding", "Grade", "examine"]

LARGE_OFFSET_US = 100_000
LAWFUL_DAYS = 30
"""Regulation 799, article 17."""


def examine(settings: Settings, *, running: bool = False) -> list[Finding]:
    """All findings. running: the platform runs here now, so its ports are expected to be taken; seen by itself where
    it holds the data folder.
    """
    holder = machine.lock_holder(data_folder(settings) / claim.NAME)
    if holder is None and running:
        holder = 0  # it runs, and this user cannot see which process it is
    return [
        *_time(),
        *_kernel(settings),
        *_disk(settings),
        *_key(settings),
        *_retention(settings),
        *ports(settings, running=holder),
        *zones(settings),
    ]


def _time() -> Iterator[Finding]:
    found = machine.time_source()
    if found is None:
        yield Finding(grade=Grade.WARN, subject="time source", detail="the kernel's clock cannot be asked")
    elif not found.synchronised:
        yield Finding(
            grade=Grade.WARN,
            subject="time source",
            detail="no daemon synchronises this clock",
            hint="run chrony or another NTP client; devices take their time from us when they register",
        )
    else:
        is_far = abs(found.offset_us) > LARGE_OFFSET_US
        yield Finding(
            grade=Grade.WARN if is_far else Grade.OK,
            subject="time source",
            detail=f"synchronised, offset {found.offset_us} µs, estimated error {found.error_us} µs",
            hint="the clock is still being moved; devices take their time from us" if is_far else "",
        )


def _kernel(settings: Settings) -> Iterator[Finding]:
    wanted = settings.gb28181.receive_buffer_bytes
    limit = machine.kernel_number("net.core.rmem_max")
    if limit is not None and limit < wanted:
        yield Finding(
            grade=Grade.WARN,
            subject="kernel receive buffer",
            detail=f"net.core.rmem_max is {limit}, gb28181.receive_buffer_bytes asks for {wanted}",
            hint="copy deploy/99-anwang.conf to /etc/sysctl.d and run sysctl --system; a storm would lose messages",
        )
    elif limit is not None:
        yield Finding(grade=Grade.OK, subject="kernel receive buffer", detail=f"{limit} bytes")
    files = machine.open_files_limit()
    yield Finding(
        grade=Grade.OK if files >= 65536 else Grade.WARN,
        subject="open files",
        detail=f"{files}",
        hint="" if files >= 65536 else "raise the limit (LimitNOFILE in deploy/anwang.service)",
    )


def _disk(settings: Settings) -> Iterator[Finding]:
    used: dict[int, tuple[list[str], Path]] = {}
    for name, folder in folders(settings).items():
        found, device = machine.mount_of(folder)
        used.setdefault(device, ([], found))[0].append(name)
    for names, folder in used.values():
        free, told = machine.free_bytes(folder), ", ".join(names)
        is_bad = free < settings.media.free_bytes_floor
        yield Finding(
            grade=Grade.BAD if is_bad else Grade.OK,
            subject="disk",
            detail=f"{free / 2**30:.1f} GiB free at {folder} ({told})",
            hint="recording stops below media.free_bytes_floor" if is_bad else "",
        )
        if not os.access(folder, os.W_OK):
            yield Finding(
                grade=Grade.BAD,
                subject="disk",
                detail=f"{folder} ({told}) cannot be written by this user",
                hint="run doctor as the user that the platform runs as, or give that user the folder",
            )


def _retention(settings: Settings) -> Iterator[Finding]:
    days = settings.retention.minimum_days
    if days < LAWFUL_DAYS:
        yield Finding(
            grade=Grade.WARN,
            subject="retention",
            detail=f"recordings may be deleted after {days} days",
            hint=f"Regulation 799 art. 17 wants {LAWFUL_DAYS}: raise retention.minimum_days",
        )


def _key(settings: Settings) -> Iterator[Finding]:
    path, data = key_file(settings), data_folder(settings)
    if is_within(path, data):
        yield Finding(
            grade=Grade.BAD,
            subject="master key",
            detail=f"{path} lies inside the data folder {data}: who copies the data gets the key with it",
            hint="move it outside and set key_file (ANWANG_KEY_FILE); the platform does not start with it there",
        )
    elif not settings.key_file:
        yield Finding(
            grade=Grade.WARN,
            subject="master key",
            detail=f"no key_file is set, so {path} is used",
            hint="set key_file to a path outside the data folder (ANWANG_KEY_FILE)",
        )
    elif not path.exists():
        yield Finding(grade=Grade.OK, subject="master key", detail=f"{path} is made at the first start")
    else:
        yield _key_opens(path)


def _key_opens(path: Path) -> Finding:
    try:
        sealer = open_keys(path, create=False)
    except AnwangError as err:
        return Finding(grade=Grade.BAD, subject="master key", detail=err.reason, hint=err.hint)
    return Finding(grade=Grade.OK, subject="master key", detail=f"{path}, key {sealer.key_id}")
