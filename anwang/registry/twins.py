"""What points have in common: codes, addresses, names, places; as columns of hashes in memory, 40 bytes a point.

Rules about many files (DQ03, DQ09, DQ10, DQ12) ask "how many share this?". No index of the database serves that for
fields that live in the JSON of a file, and a million hashes are compared in a millisecond.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anwang.registry.columns import NOWHERE, PointColumns, Rows
from anwang.registry.model import Point
from anwang.registry.quality import SAME_PLACE, Around, has_many_eyes

KEYS = ("code", "address", "mac", "name")
Marks = NDArray[np.int64]


class Said(NamedTuple):
    """What one point is compared by."""

    ix: int
    code: str
    zone: str
    ipv4: str | None
    mac: str | None
    org_id: str
    name: str
    camera_type: str | None


def _mark(*parts: str | None) -> int:
    """A hash of texts that is never 0; 0 where the last is empty."""
    return hash(parts) | 1 if parts[-1] else 0


def marks_of(said: Said) -> tuple[int, int, int, int]:
    """In the order of KEYS."""
    return (
        _mark("code", said.code),
        _mark("ip", said.zone, said.ipv4),
        _mark("mac", said.mac),
        _mark("name", said.org_id, said.name),
    )


def said_by(point: Point) -> Said:
    """What a point is compared by."""
    ipv4, mac = point.file.get("ipv4"), point.file.get("mac")
    return Said(
        point.ix,
        point.code,
        point.zone,
        None if ipv4 is None else str(ipv4),
        None if mac is None else str(mac),
        point.org_id,
        point.name,
        point.camera_type,
    )


class Twins:
    """Not for several threads; `counts` makes a copy to be worked on in one."""

    def __init__(self, columns: PointColumns) -> None:
        self._columns = columns
        self._marks: Marks = np.zeros((len(KEYS), 0), np.int64)
        self._one_eye = np.zeros(0, np.bool_)

    def _room(self, size: int) -> None:
        have = self._marks.shape[1]
        if size > have:
            marks = np.zeros((len(KEYS), max(size, have * 3 // 2)), np.int64)
            marks[:, :have] = self._marks
            eyes = np.zeros(marks.shape[1], np.bool_)
            eyes[:have] = self._one_eye
            self._marks, self._one_eye = marks, eyes

    def put(self, rows: Iterable[Said]) -> None:
        """Add points, or replace those whose number is known."""
        told = list(rows)
        if told:
            ix = np.array([said.ix for said in told], np.int32)
            self._room(max(self._columns.size, int(ix.max()) + 1))
            self._marks[:, ix] = np.array([marks_of(said) for said in told], np.int64).T
            self._one_eye[ix] = [not has_many_eyes(said.code, said.camera_type) for said in told]

    def _places(self) -> Marks:
        """By number of the point: its place as one integer, 0 where it has none or stands with others on purpose."""
        n = self._columns.size
        self._room(n)
        x, y = self._columns.x[:n], self._columns.y[:n]
        places: Marks = np.where((x == NOWHERE) | ~self._one_eye[:n], 0, x.astype(np.int64) << 32 | y)
        return places

    def around(self, ix: int, outside: str = "") -> Around:
        """How many points share what one has."""
        n = self._columns.size
        alive = self._columns.alive[:n]
        codes, addresses, macs, names, places = (
            int(np.count_nonzero((marks == marks[ix]) & alive)) if marks[ix] else 0
            for marks in (*self._marks[:, :n], self._places())
        )
        return Around(codes, addresses, macs, names, places, outside)

    def counts(self) -> tuple[Marks, NDArray[np.bool_]]:
        """Everything that `count_all` needs, copied."""
        n = self._columns.size
        return np.vstack([self._marks[:, :n], self._places()]), self._columns.alive[:n].copy()

    def touched(self, before: Sequence[int], ix: int) -> Rows:
        """Numbers of other points whose findings may change because a point did. before: its marks and place then.

        A twin that is alone now or no longer alone, and points at a place that became crowded or no longer is.
        """
        n = self._columns.size
        alive = self._columns.alive[:n].copy()
        alive[ix] = False
        found: list[Rows] = []
        bounds = (*[1] * len(KEYS), SAME_PLACE)
        for row, then, bound in zip((*self._marks[:, :n], self._places()), before, bounds, strict=True):
            for mark in {then, int(row[ix])} if then != row[ix] else ():
                others = np.flatnonzero((row == mark) & alive).astype(np.int32) if mark else ()
                if len(others) == bound:
                    found.append(np.asarray(others, np.int32))
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int32)

    def of(self, ix: int) -> list[int]:
        """The marks and the place of one point, for `touched`."""
        self._room(self._columns.size)
        return [*self._marks[:, ix].tolist(), int(self._places()[ix])]


def count_all(marks: Marks, alive: NDArray[np.bool_]) -> NDArray[np.int32]:
    """By key (and place) and number of the point: how many share it. For a thread."""
    out = np.zeros(marks.shape, np.int32)
    for row, into in zip(marks, out, strict=True):
        valid = np.flatnonzero((row != 0) & alive)
        _, inverse, counts = np.unique(row[valid], return_inverse=True, return_counts=True)
        into[valid] = counts[inverse]
    return out
