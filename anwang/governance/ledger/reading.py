"""Reading rows back: a page, latest first, of all chains; a chain on from a row, oldest first."""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from anwang.governance.ledger.chain import HEX, chains_in, files_of, row_decoder
from anwang.governance.ledger.rows import END, Found, LedgerPage, Place, Row

BLOCK = 64 * 1024


def start_of(folder: Path) -> Place:
    """Where the first page begins; a chain begun after it has nothing to add to the following ones."""
    return Place(at=END, before=dict.fromkeys(chains_in(folder), END))


def page_of(
    folder: Path,
    *,
    limit: int,
    place: Place,
    wanted: Callable[[Row], bool],
    since: int,
    scan: int,
    copied: Mapping[str, int],
    found: Sequence[Found],
) -> LedgerPage:
    """Rows before a place: of the files what is after `copied`, and what was found in a copy, as if they were one.

    copied: by chain, the last row that the copy has. found: out of the copy, in the order of a page; one more than
    `limit` where there are more. For the rest see Ledger.page.
    """

    def tagged(rows: Iterable[Found]) -> Iterable[tuple[tuple[int, str, int], str, Row]]:
        return (((-row.at, chain, -row.seq), chain, row) for chain, row in rows)

    before, at = dict(place.before), place.at
    files = [
        tagged((chain, row) for row in backwards(folder / chain, seq, copied.get(chain, 0)))
        for chain, seq in before.items()
    ]
    merged = heapq.merge(*files, tagged(found), key=lambda item: item[0])
    beyond = (found[limit][0], found[limit][1].seq) if len(found) > limit else None
    rows: list[Found] = []
    scanned = 0
    for _, chain, row in merged:
        if row.seq >= before[chain]:
            continue  # it was copied while the copy was asked
        if len(rows) >= limit or scanned >= scan or (chain, row.seq) == beyond:
            return LedgerPage(rows, Place(at=at, before=before), scanned)
        scanned += 1
        if row.at < since:
            break
        before[chain], at = row.seq, row.at
        if wanted(row):
            rows.append((chain, row))
    return LedgerPage(rows, None, scanned)


def backwards(chain: Path, before: int, until: int = 0) -> Iterator[Row]:
    """The rows of a chain below one number and above another, latest first.

    Lines that can't be read are left out: verify names them.
    """
    for first, path in reversed(files_of(chain)):
        if first >= before:
            continue
        for line in _lines_backwards(path):
            row = _row_of(line[HEX + 1 :])
            if row is None or row.seq >= before:
                continue
            if row.seq <= until:
                return
            yield row


def _lines_backwards(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        rest = b""
        while end > 0:
            start = max(0, end - BLOCK)
            file.seek(start)
            rest, *lines = (file.read(end - start) + rest).split(b"\n")
            yield from reversed(lines)
            end = start
        yield rest


def _row_of(text: bytes) -> Row | None:
    try:
        return row_decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class Reader:
    """Reads a chain on from a row as its files grow. seq: the last row that was read."""

    def __init__(self, chain: Path, after: int) -> None:
        self.seq = after
        self._chain = chain
        self._path: Path | None = None
        self._offset = 0

    def read(self, limit: int, until: int = END) -> list[tuple[Row, bytes]]:
        """At most `limit` rows more, oldest first and none after `until`, each with its text; empty at the end."""
        found: list[tuple[Row, bytes]] = []
        while self._path is not None or self._go_on():
            if self._path is None or not self._read_file(self._path, found, limit, until) or not self._go_on():
                break
        return found

    def _read_file(self, path: Path, found: list[tuple[Row, bytes]], limit: int, until: int) -> bool:
        """Whether it came to the file's end."""
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < self._offset:
                self._offset = 0  # a torn line was cut off
            file.seek(self._offset)
            for line in file:
                if len(found) >= limit or line[-1:] != b"\n":
                    return False
                text = line[HEX + 1 : -1]
                row = _row_of(text)
                if row is not None and row.seq > until:
                    return False
                self._offset += len(line)
                if row is not None and row.seq > self.seq:
                    self.seq = row.seq
                    found.append((row, text))
        return True

    def _go_on(self) -> bool:
        """Turn to the next file; False where there is none yet."""
        files = files_of(self._chain)
        if self._path is None:
            begun = [path for first, path in files if first <= self.seq + 1]
            following = begun[-1:] or [path for _, path in files]
        else:
            following = [path for first, path in files if first > int(self._path.stem)]
        if following:
            self._path, self._offset = following[0], 0
        return bool(following)
