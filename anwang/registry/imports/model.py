"""An import and its life."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from anwang.kernel.geo import Datum
from anwang.registry.model import Severity
from anwang.registry.siting import RESTRICTED as RESTRICTED_LAYER


class ImportStatus(StrEnum):
    """Where an import stands."""

    STAGED = "staged"
    VALIDATING = "validating"
    READY = "ready"
    FAILED = "failed"
    """It has rows that cannot be kept; the others can still be published, if a person says so."""
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    CANCELLED = "cancelled"


#: what the worker does on its own; after a restart it goes on with these
AT_WORK = (ImportStatus.STAGED, ImportStatus.VALIDATING, ImportStatus.PUBLISHING)


class ImportKind(StrEnum):
    """What a file holds."""

    POINTS = "points"
    ORGANISATIONS = "organisations"
    DIVISIONS = "divisions"
    ROADS = "roads"
    GROUNDS = "grounds"
    """What the land is used for."""
    WATER = "water"
    PLACES = "places"
    RESTRICTED = RESTRICTED_LAYER
    """Areas with secrets, which are never drawn."""


GEOJSON = frozenset(ImportKind) - {ImportKind.POINTS, ImportKind.ORGANISATIONS}


class ImportOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the file does not say. organisation: id for rows that name none. networking_zero: what the digit 0 of
    联网属性 means in this file (cities differ); empty: digits are a fault.
    """

    organisation: str | None = None
    datum: Datum = Datum.WGS84
    zone: str = "default"
    networking_zero: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFault:
    """A fault by row (1 is the first line of the file, 0 the file as a whole) and column (as the file names it)."""

    row: int
    column: str
    value: str
    rule: str
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRow:
    """What publishing would do to one row. fields: that change."""

    row: int
    change: str
    code: str
    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What publishing would do. rows: the first ones that change something."""

    added: int
    changed: int
    unchanged: int
    rows: Sequence[PreviewRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A file on its way in. rows: all there are, as far as known. done: looked at, or while publishing: made.

    fault_count: all faults; faults_kept: how many of them are listed. skipped: rows left out when it was published.
    """

    id: str
    kind: ImportKind
    status: ImportStatus
    filename: str
    by: str
    org_path: str
    options: ImportOptions
    created_at: datetime
    finished_at: datetime | None
    rows: int
    done: int
    error_rows: int
    fault_count: int
    faults_kept: int
    added: int
    changed: int
    unchanged: int
    skipped: int
    reason: str
    """Why it failed as a whole; empty where single rows are at fault, or nothing."""
