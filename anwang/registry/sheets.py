"""XLSX, the workbook that people keep their point tables in: read with bounds, written as a stream.

Reading is openpyxl's, row by row. It trusts a file more than we do, so `inspect` looks through every part beforehand:
what it unpacks to, how long a single text is, and that there is no DTD. Formulas are never evaluated; a cell with one
gives the value that the program which saved it had computed.

Writing needs no more than some rows in memory and begins with the first byte (openpyxl gathers a whole sheet first).
Texts are written as inline strings, which no program takes for a formula.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from xml.sax.saxutils import escape

from anwang.kernel.errors import Invalid

MAGIC = b"PK\x03\x04"
OLD = b"\xd0\xcf\x11\xe0"
"""How the binary workbooks before 2007 begin; they are not read."""
PARTS = 2000
EXPANDED = 4 << 30
SHARED = 512 << 20
"""The texts that all sheets share are held in memory by the reader."""
RATIO = 200
SMALL = 64 << 20
TEXT = 128 << 10
COLUMNS = 512
HEAD = 20

_BAD_HEAD = re.compile(rb"\xfe\xff|\xff\xfe|.{0,3}\x00", re.DOTALL)
_ENCODING = re.compile(rb"<\?xml[^>]*encoding\s*=\s*[\"']([^\"']*)[\"']")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
#: what XML 1.0 cannot carry
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")

Cell = str | int | float


class NoSheet(Invalid):
    """A file that is no workbook, or one that is not to be opened."""


def is_workbook(path: Path) -> bool:
    """Whether a file begins as a workbook does. Raises NoSheet for the binary ones of old."""
    with path.open("rb") as raw:
        head = raw.read(4)
    if head == OLD:
        raise NoSheet("这是旧版 .xls 文件", "请用表格软件另存为 .xlsx 或 CSV")
    return head == MAGIC


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a workbook holds. rows: of all sheets, empty ones that are written down too."""

    rows: int
    expanded_bytes: int


def inspect(path: Path, *, largest: int = EXPANDED) -> Inspected:
    """Look through a workbook without believing what it says of itself. largest: bytes that it may unpack to. Raises
    NoSheet.
    """
    try:
        with zipfile.ZipFile(path) as book:
            return _inspect(book, min(largest, SMALL + RATIO * path.stat().st_size))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, UnicodeDecodeError) as err:
        raise NoSheet(f"文件不是完好的 .xlsx：{err}"[:200]) from None


def _inspect(book: zipfile.ZipFile, most: int) -> Inspected:
    parts = book.infolist()
    names = {part.filename for part in parts}
    if len(parts) > PARTS or len(names) != len(parts) or "[Content_Types].xml" not in names:
        raise NoSheet("文件不是 .xlsx 工作簿")
    rows = expanded = 0
    for part in parts:
        if part.flag_bits & 1:
            raise NoSheet("工作簿有密码", "请去掉密码后再导入")
        if not part.filename.lower().endswith((".xml", ".rels")):
            continue
        is_sheet = part.filename.startswith("xl/worksheets/")
        own = 0
        before = b""
        with book.open(part) as raw:
            while block := raw.read(TEXT):
                if not own:
                    _check_head(block)
                own += len(block)
                expanded += len(block)
                if expanded > most or (own > SHARED and "sharedstrings" in part.filename.lower()):
                    raise NoSheet("工作簿解压后过大", "请分成几个文件导入，或另存为 CSV")
                if len(block) == TEXT and b"<" not in block:
                    raise NoSheet("工作簿中有过长的单元格")
                seam = before + block
                if b"<!DOCTYPE" in seam or b"<!ENTITY" in seam:
                    raise NoSheet("工作簿含有 DTD，不予打开")
                if is_sheet:
                    rows += seam.count(b"<row") - before.count(b"<row")
                before = block[-9:]
    return Inspected(rows, expanded)


def _check_head(block: bytes) -> None:
    """Only UTF-8, so that nothing hides behind another encoding."""
    named = _ENCODING.search(block[:200])
    if _BAD_HEAD.match(block[:4]) or (named and named[1].lower() not in (b"utf-8", b"utf8", b"us-ascii")):
        raise NoSheet("工作簿的文字编码不是 UTF-8")


class Book:
    """A workbook that was inspected, open for reading. ignored: names of sheets that were left out, once it is read."""

    def __init__(self, path: Path, *, largest: int = EXPANDED) -> None:
        """largest: bytes that it may unpack to. Raises NoSheet."""
        inspect(path, largest=largest)
        from openpyxl import load_workbook  # a fifth of a second: only who reads a workbook waits for it

        self._raw = path.open("rb")
        try:
            self._book = load_workbook(self._raw, read_only=True, data_only=True, keep_links=False)
        except Exception as err:  # its many ways to say that a part is missing or wrong
            self._raw.close()
            raise NoSheet(f"工作簿打不开：{type(err).__name__}"[:200]) from err
        self.ignored: list[str] = []

    def rows(self) -> Iterator[list[str]]:
        """The cells of the first sheet as text. A further sheet that begins with one of the first rows, its header,
        goes on with it; others are ignored. Raises NoSheet.
        """
        heads: set[tuple[str, ...]] = set()
        begun = False
        for sheet in self._book.worksheets:
            sheet.reset_dimensions()  # what it says of its size may be wrong
            fresh = True
            try:
                for number, cells in enumerate(sheet.iter_rows(max_col=COLUMNS, values_only=True)):
                    row = [_text(cell) for cell in cells]
                    while row and not row[-1]:
                        row.pop()
                    if begun and fresh:
                        if tuple(row) not in heads:
                            if row:
                                self.ignored.append(str(sheet.title)[:50])
                            break
                        fresh = False
                        continue
                    if not begun and number < HEAD and len(row) > 1:
                        heads.add(tuple(row))
                    fresh = False
                    yield row
            except GeneratorExit:
                raise
            except Exception as err:  # a broken part may surprise the reader anywhere
                raise NoSheet(f"工作表 {str(sheet.title)[:30]} 读不下去：{type(err).__name__}") from err
            begun = begun or bool(heads)

    def close(self) -> None:
        """Let the file go."""
        self._book.close()
        self._raw.close()


def _text(value: object) -> str:
    """A cell as a person reads it. A number that lost digits stays in its short form, so that nobody takes it for all
    of them.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return _ESCAPED.sub(_letter, value) if "_x" in value else value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**15 else f"{value:.15g}"
    if isinstance(value, datetime):
        text = value.isoformat(" ", "seconds")
        return text.removesuffix(" 00:00:00")
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value)


def _letter(found: re.Match[str]) -> str:
    letter = chr(int(found[1], 16))
    return "" if _UNFIT.match(letter) else letter


# --- writing ---------------------------------------------------------------------------------------------------------

_TYPES = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
    '<Override PartName="/xl/workbook.xml"'
    ' ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/styles.xml"'
    ' ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/></Types>'
)
_RELS = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"'
    ' Target="xl/workbook.xml"/></Relationships>'
)
#: formats of cells: 0 as it comes, 1 text (so that a code keeps its digits when it is edited), 2 the header
_STYLES = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    '<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
_SHEET = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetViews>'
    '<sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
    '</sheetView></sheetViews><sheetFormatPr defaultRowHeight="15"/>'
)
ROWS = 1_000_000
SHEET_BYTES = 1 << 30
"""Of a sheet's XML: below what an archive without 64-bit fields can hold, which not every program reads."""


class _Pieces:
    """What the archive writes, to be taken away piece by piece; it cannot go back."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        """Everything since the last time."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data


class SheetWriter:
    """A workbook with one table, over as many sheets as it needs. Join what the methods give, in order."""

    def __init__(self, name: str, header: Sequence[str], *, rows: int = ROWS, sheet_bytes: int = SHEET_BYTES) -> None:
        self._name = name
        self._header = header
        self._most_rows, self._most_bytes = rows, sheet_bytes
        self._columns = [_column(n) for n in range(len(header))]
        self._pieces = _Pieces()
        self._zip = zipfile.ZipFile(self._pieces, "w", zipfile.ZIP_DEFLATED, compresslevel=1)  # type: ignore[call-overload]  # a stream
        self._zip.writestr("[Content_Types].xml", _TYPES)
        self._zip.writestr("_rels/.rels", _RELS)
        self._zip.writestr("xl/styles.xml", _STYLES)
        self._sheets = 0
        self._begin()

    def _begin(self) -> None:
        self._sheets += 1
        self._row = self._bytes = 0
        self._sheet = self._zip.open(f"xl/worksheets/sheet{self._sheets}.xml", "w")
        widths = "".join(f'<col min="{n}" max="{n}" width="18" customWidth="1"/>' for n in (1, 2))
        self._sheet.write((f"{_SHEET}<cols>{widths}</cols><sheetData>" + self._line(self._header, "2")).encode())

    def _end(self) -> None:
        self._sheet.write(b"</sheetData></worksheet>")
        self._sheet.close()

    def rows(self, rows: Sequence[Sequence[Cell]]) -> bytes:
        """More rows; the bytes that are ready."""
        for start in range(0, len(rows), 1000):
            part = rows[start : start + 1000]
            if self._row + len(part) > self._most_rows or self._bytes > self._most_bytes:
                self._end()
                self._begin()
            data = "".join([self._line(row, "1") for row in part]).encode()
            self._bytes += len(data)
            self._sheet.write(data)
        return self._pieces.take()

    def close(self) -> bytes:
        """No more rows; the last bytes."""
        self._end()
        main = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        numbers = range(1, self._sheets + 1)
        name = escape(self._name, {'"': "&quot;"})
        sheets = "".join(
            f'<sheet name="{name}{"" if n == 1 else f" {n}"}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers
        )
        links = "".join(
            f'<Relationship Id="rId{n}" Type="{main}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
        )
        styles = f'<Relationship Id="rId{self._sheets + 1}" Type="{main}/styles" Target="styles.xml"/>'
        head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
        self._zip.writestr(
            "xl/workbook.xml",
            f'{head}<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="{main}">'
            f"<sheets>{sheets}</sheets></workbook>",
        )
        self._zip.writestr(
            "xl/_rels/workbook.xml.rels",
            f'{head}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f"{links}{styles}</Relationships>",
        )
        self._zip.close()
        return self._pieces.take()

    def _line(self, cells: Sequence[Cell], style: str) -> str:
        self._row += 1
        out = [f'<row r="{self._row}">']
        for column, cell in zip(self._columns, cells, strict=True):
            if isinstance(cell, str):
                if cell:
                    text = escape(_plain(cell))
                    out.append(
                        f'<c r="{column}{self._row}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{text}</t>'
                        "</is></c>"
                    )
            else:
                out.append(f'<c r="{column}{self._row}"><v>{cell!r}</v></c>')
        out.append("</row>")
        return "".join(out)


def _plain(text: str) -> str:
    """Without what XML cannot carry; what looks like an escaped letter is escaped itself (ECMA-376, 22.9.2.19)."""
    if "_x" in text:
        text = _ESCAPED.sub(lambda found: f"_x005F{found[0]}", text)
    return _UNFIT.sub("", text)


def _column(number: int) -> str:
    """0 → A, 26 → AA."""
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord("A") + rest) + name
    return name
