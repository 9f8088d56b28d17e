"""Camera files as tables that an import takes back: CSV and XLSX in the field's column names."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from anwang.registry.fields import FIELDS, Field, Generation
from anwang.registry.files import record_of
from anwang.registry.model import FileValue, Organisation, Point
from anwang.registry.sheets import Cell, SheetWriter

#: what makes a spreadsheet take a text for a formula
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ORGANISATIONS = frozenset({"organisation", "paid", "owns", "maintains", "may_see"})


def as_text(cell: str) -> str:
    """A cell of a CSV as spreadsheets leave it alone: a mark before what they would run as a formula."""
    if cell[:1] == "'" or (cell[:1] in FORMULA and not _is_number(cell)):
        return "'" + cell
    return cell


def from_text(cell: str) -> str:
    """What `as_text` was given."""
    return cell[1:] if cell[:1] == "'" and (cell[1:2] in FORMULA or cell[1:2] == "'") else cell


def _is_number(text: str) -> bool:
    return text[:1] == "-" and text[1:].replace(".", "", 1).isdigit() and text.isascii()


class Columns:
    """The columns of a generation, and points as rows of them."""

    def __init__(self, generation: Generation, organisations: Mapping[str, Organisation]) -> None:
        self._generation = generation
        self._organisations = organisations
        names = [(field, field.a if generation is Generation.A else field.b) for field in FIELDS]
        self.fields: list[Field] = [field for field, own in names if own]
        self.header = [own[0] for _, own in names if own]
        self._unique = _once([org.gb_id for org in organisations.values() if org.gb_id])

    def rows(self, points: Sequence[Point]) -> Iterator[list[Cell]]:
        """Each as its cells; numbers as numbers."""
        for point in points:
            record = record_of(point)
            yield [self._cell(field, record.get(field.key)) for field in self.fields]

    def _cell(self, field: Field, value: FileValue) -> Cell:
        if value is None:
            return ""
        if field.key in _ORGANISATIONS:
            return self._organisation(str(value))
        text = field.write(value, self._generation)
        if isinstance(value, float) and text:
            return float(text)
        return text

    def _organisation(self, ids: str) -> str:
        """By code where it has one of its own, else by our id."""
        found = [self._organisations[part] for part in ids.split("/") if part in self._organisations]
        return "/".join(org.gb_id if org.gb_id in self._unique and org.gb_id else org.id for org in found)


def _once(codes: Sequence[str]) -> set[str]:
    seen: set[str] = set()
    twice: set[str] = set()
    for code in codes:
        (twice if code in seen else seen).add(code)
    return seen - twice


async def as_csv(columns: Columns, pages: AsyncIterator[Sequence[Point]]) -> AsyncIterator[bytes]:
    """UTF-8 with a mark, so that spreadsheets know it."""

    def lines(points: Sequence[Point]) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerows(
            [as_text(cell) if isinstance(cell, str) else repr(cell) for cell in row] for row in columns.rows(points)
        )
        return out.getvalue().encode()

    head = io.StringIO()
    csv.writer(head).writerow(columns.header)
    yield ("\ufeff" + head.getvalue()).encode()
    async for page in pages:
        yield await asyncio.to_thread(lines, page)


async def as_xlsx(columns: Columns, pages: AsyncIterator[Sequence[Point]]) -> AsyncIterator[bytes]:
    """A workbook; it can be opened once its last byte is there."""
    writer = SheetWriter("点位", columns.header)
    async for page in pages:
        yield await asyncio.to_thread(lambda part: writer.rows(list(columns.rows(part))), page)
    yield writer.close()


def as_table(form: str, title: str, header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> bytes:
    """Any short table as a file. form: csv or xlsx."""
    if form == "xlsx":
        writer = SheetWriter(title, header)
        return writer.rows(rows) + writer.close()
    out = io.StringIO()
    csv.writer(out).writerows(
        [as_text(cell) if isinstance(cell, str) else repr(cell) for cell in row] for row in (header, *rows)
    )
    return ("\ufeff" + out.getvalue()).encode()
