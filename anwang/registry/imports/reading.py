"""Reading a file of points, in a process of its own so that nobody waits: text to checked rows.

`python -m anwang.registry.imports.reading` takes one `Brief` on its standard input and writes `Chunk`s and at last an
`End` to its standard output, each as four bytes of length and MessagePack. It opens nothing but the file and touches no
database. A slow reader of its output makes it wait; ending it cancels everything.
"""

from __future__ import annotations

import codecs
import csv
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from anwang.kernel.errors import Invalid
from anwang.kernel.geo import Datum, convert
from anwang.kernel.ids import uuid7
from anwang.registry import sheets
from anwang.registry.export import from_text
from anwang.registry.fields import (
    BY_KEY,
    FIELDS,
    HEADERS,
    PLACEHOLDER_IS_VALUE,
    PLACEHOLDER_LENGTH,
    PLACEHOLDERS,
    Field,
    Generation,
    NotInDomain,
    fold,
)
from anwang.registry.files import columns_of, row_hash
from anwang.registry.imports.model import ImportOptions
from anwang.registry.model import FileValue, Severity
from anwang.registry.outlines import Outline
from anwang.registry.quality import Census, Fault, Outlines, Setting, check, shift_suspected
from anwang.registry.siting import Restricted

CHUNK = 1000
"""Rows per message, and per transaction: so few that taking one holds the event loop for some milliseconds only."""
HEADER_LINES = 20
"""The header is looked for in so many first lines."""
CELL = 2000
FRAME = 64 * 1024 * 1024
MEMORY = 3 << 30
"""A file that needs more than this to be read is refused; nobody else's memory is at stake."""
FAULTS = 100_000
"""Faults that are listed; all are counted."""


class Org(msgspec.Struct, frozen=True, array_like=True):
    """An organisation as rows may name it."""

    id: str
    org_path: str
    name: str
    names: str
    """Names from the root, joined by a slash."""
    police_code: str | None
    gb_id: str | None


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """What the process must know. scope: rows of organisations outside it are faults. now_ms: for ids of new points."""

    path: str
    options: ImportOptions
    scope: str
    today: str
    now_ms: int
    organisations: list[Org]
    divisions: dict[str, str]
    retired: dict[str, str] = msgspec.field(default_factory=dict)
    outlines: list[tuple[str, str, list[list[list[float]]]]]
    roads: list[list[float]]
    restricted: list[tuple[str, float, list[list[list[float]]]]] = msgspec.field(default_factory=list)


class Chunk(msgspec.Struct, frozen=True, kw_only=True, tag="chunk"):
    """Rows that can be kept: line, occurrence of the code before it in the file, parsed record, columns of the store.

    done: lines looked at. errors: rows that cannot be kept so far. faults: row, column, value, rule, severity, message.
    """

    done: int
    errors: int
    fault_count: int
    rows: list[tuple[int, int, dict[str, Any], dict[str, Any]]]
    faults: list[tuple[int, str, str, str, str, str]]


class End(msgspec.Struct, frozen=True, kw_only=True, tag="end"):
    """Everything was looked at, or reason says why not."""

    rows: int
    reason: str = ""


Message = Chunk | End


class Unreadable(Invalid):
    """The file as a whole cannot be read."""


# --- the file --------------------------------------------------------------------------------------------------------


def encoding_of(path: Path) -> str:
    """utf-8-sig or gb18030. Raises Unreadable where the file is neither."""
    for encoding in ("utf-8-sig", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with path.open("rb") as raw:
                while piece := raw.read(1 << 20):
                    decoder.decode(piece)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise Unreadable("文件既不是 UTF-8 也不是 GB18030 编码")


def count_lines(path: Path) -> int:
    """About how many rows there are: line ends, or rows of a workbook. Raises Invalid for one not to be opened."""
    if sheets.is_workbook(path):
        return sheets.inspect(path).rows
    lines = 0
    with path.open("rb") as raw:
        while piece := raw.read(1 << 22):
            lines += piece.count(b"\n")
    return lines


def delimiter_of(head: str) -> str:
    """What separates the cells: comma, tab or semicolon, by what the first lines have most of."""
    return max((",", "\t", ";", "，"), key=head.count)


@dataclass(frozen=True, slots=True)
class Header:
    """Which column of the file is which field. row: its line."""

    row: int
    fields: tuple[Field | None, ...]
    names: tuple[str, ...]
    generation: Generation


def find_header(rows: Sequence[Sequence[str]]) -> Header:
    """The line that names the columns. Raises Unreadable if none names a device code and a name."""
    best: Header | None = None
    for number, row in enumerate(rows, 1):
        found = [HEADERS.get(fold(cell)) for cell in row]
        taken: set[str] = set()
        fields: list[Field | None] = []
        for hit in found:
            fresh = hit is not None and hit[0].key not in taken
            fields.append(hit[0] if hit is not None and fresh else None)
            if hit is not None:
                taken.add(hit[0].key)
        in_b = sum(hit is not None and hit[1] is Generation.B for hit in found)
        generation = Generation.B if in_b * 2 > sum(hit is not None for hit in found) else Generation.A
        if {"code", "name"} <= taken and (best is None or len(taken) > sum(f is not None for f in best.fields)):
            best = Header(number, tuple(fields), tuple(cell.strip() for cell in row), generation)
    if best is None:
        raise Unreadable("没有找到表头：前 20 行中应有一行包含 设备编码 和 设备名称（或 DeviceID 和 Name）")
    return best


def open_rows(
    path: Path, *, largest: int = sheets.EXPANDED
) -> tuple[AbstractContextManager[object], Iterator[list[str]]]:
    """The file (CSV or XLSX), and its rows as cells. largest: bytes that a workbook may unpack to. The caller closes
    the file. Raises Invalid.
    """
    if sheets.is_workbook(path):
        book = sheets.Book(path, largest=largest)
        return closing(book), book.rows()
    text = path.open(encoding=encoding_of(path), newline="")
    head = text.read(65536)
    text.seek(0)
    csv.field_size_limit(1 << 16)
    return text, csv.reader(text, delimiter=delimiter_of(head[:8192]))


# --- one row ---------------------------------------------------------------------------------------------------------


class Organisations:
    """Organisations by anything that a file may call them."""

    def __init__(self, rows: Sequence[Org]) -> None:
        self._by: dict[str, Org] = {}
        self.by_id = {org.id: org for org in rows}
        names: dict[str, list[Org]] = {}
        for org in rows:
            names.setdefault(org.name, []).append(org)
        for name, twins in names.items():
            if len(twins) == 1:
                self._by[name] = twins[0]
        for org in rows:
            # the path of names may be written with or without the city in front
            for key in (org.names, org.names.partition("/")[2], org.police_code, org.gb_id, org.id):
                if key:
                    self._by[key] = org
        self.ambiguous = {name for name, twins in names.items() if len(twins) > 1}

    def find(self, text: str) -> Org | None:
        """By id, code, path of names, or a name that only one has."""
        return self._by.get(text.strip().strip("/"))


#: fields whose values repeat so much that parsing each once pays
_REPEATS = frozenset(
    {
        "maker", "division", "point_class", "model", "camera_type", "function_type", "fill_light", "codec",
        "place_type", "facing", "networking", "police_unit", "install_time", "manager", "retention_days", "lifecycle",
        "department", "room_type", "imaging", "kind", "streams", "zone",
    }
)  # fmt: skip


REPEATS = 65536
"""Different cells of a column whose meaning is kept."""


class Reader:
    """Turns rows into records, and finds faults."""

    def __init__(self, brief: Brief) -> None:
        self._options = brief.options
        self._scope = brief.scope
        self._orgs = Organisations(brief.organisations)
        self._setting = Setting(
            today=date.fromisoformat(brief.today),
            divisions=brief.divisions,
            retired=brief.retired,
            restricted=[Restricted.of(name, rings, metres) for name, metres, rings in brief.restricted],
        )
        self._census = Census()
        self._seen: dict[str, int] = {}
        self._header: Header | None = None
        self._columns: list[tuple[Field, dict[str, FileValue | Fault] | None] | None] = []
        self._outlines = Outlines(Outline(code, name, rings) for code, name, rings in brief.outlines)
        self._now_ms = brief.now_ms
        self._present: frozenset[str] = frozenset()

    def use(self, header: Header) -> None:
        """Rows that follow have these columns."""
        self._present = frozenset(field.key for field in header.fields if field)

    def parse(self, header: Header, row: Sequence[str]) -> tuple[dict[str, FileValue], list[Fault]]:
        """The values of a row by field key, without what says nothing, and what could not be read."""
        if header is not self._header:
            self._header = header
            self._columns = [
                (field, {} if field.key in _REPEATS else None) if field else None for field in header.fields
            ]
        record: dict[str, FileValue] = {}
        faults: list[Fault] = []
        for column, cell in zip(self._columns, row, strict=False):
            if column is None or not cell:
                continue
            field, known = column
            if known is None:
                value = self._value(field, header.generation, cell)
            else:
                try:
                    value = known[cell]
                except KeyError:
                    value = self._value(field, header.generation, cell)
                    if len(known) < REPEATS:
                        known[cell] = value
            if value is None:
                continue
            if isinstance(value, Fault):
                faults.append(value)
            else:
                record[field.key] = value
        return record, faults

    def _value(self, field: Field, generation: Generation, cell: str) -> FileValue | Fault:
        """What a cell says: nothing (None), a value, or what is wrong with it."""
        text = cell.strip()
        if text[:1] == "'":
            text = from_text(text)  # our export told the spreadsheet that it is no formula
        if not text:
            return None
        if len(text) <= PLACEHOLDER_LENGTH and text.lower() in PLACEHOLDERS and field.key not in PLACEHOLDER_IS_VALUE:
            if field.needed == "M":
                return Fault("DQ04", _WARNING, field.key, text, f"{field.label} 填写的是占位内容")
            return None
        if len(text) > CELL:
            return Fault("DQ05", _ERROR, field.key, text[:100], f"{field.label} 过长", True)
        try:
            return field.parse(text, generation)
        except NotInDomain as err:
            rule = "DQ10" if field.key in ("ipv4", "ipv6", "mac") else "DQ05"
            return Fault(rule, _ERROR, field.key, text[:100], f"{field.label} {err.reason}", True)

    def take(self, record: dict[str, FileValue], line: int) -> tuple[dict[str, Any], list[Fault]]:
        """The columns of a point from a record, which is completed on the way, and what is wrong with it."""
        faults: list[Fault] = []
        self._networking(record, faults)
        if self._options.datum is not Datum.WGS84:
            lon, lat = record.get("longitude"), record.get("latitude")
            if isinstance(lon, float) and isinstance(lat, float):
                lon, lat = convert(lon, lat, source=self._options.datum, target=Datum.WGS84)
                record["longitude"], record["latitude"] = round(lon, 7), round(lat, 7)
        record.setdefault("zone", self._options.zone)
        org = self._organisation(record, faults)
        owners = self._owners(record, faults)
        # a column that the whole file lacks is told once, not for every row
        faults += [f for f in check(record, self._setting) if f.rule != "DQ04" or f.column in self._present]
        faults += self._census.check(record, line, org.id if org else "")
        columns = columns_of(record)
        columns.update(owners, org_id=org.id if org else "", org_path=org.org_path if org else "")
        columns["id"] = uuid7(self._now_ms)
        columns["row_hash"] = row_hash(columns)
        return columns, faults

    def occurrence(self, code: str) -> int:
        """How often the code was there before."""
        times = self._seen.get(code, 0)
        self._seen[code] = times + 1
        return times

    def outside(self, records: Sequence[Mapping[str, FileValue]]) -> dict[int, Fault]:
        """DQ07 for many records, by their place."""
        return self._outlines.check(records)

    def _networking(self, record: dict[str, FileValue], faults: list[Fault]) -> None:
        value = record.get("networking")
        if value not in ("0", "1", "9"):
            return
        zero = self._options.networking_zero
        words = {"0": zero, "1": "not_networked" if zero == "networked" else "networked", "9": "other"}
        if value == "9" or zero:
            record["networking"] = words[str(value)]
        else:
            del record["networking"]
            message = "联网属性 的数字在各地含义不同，请在导入选项中说明 0 的含义，或填写 已联网/未联网"
            faults.append(Fault("DQ05", _ERROR, "networking", str(value), message, True))

    def _organisation(self, record: dict[str, FileValue], faults: list[Fault]) -> Org | None:
        named = record.get("organisation")
        org: Org | None = None
        if named is not None:
            org = self._orgs.find(str(named))
            if org is None:
                faults.append(Fault("ORG", _ERROR, "organisation", str(named)[:100], self._unknown(str(named)), True))
                return None
        elif record.get("police_unit"):
            org = self._orgs.find(str(record["police_unit"]))
        if org is None:
            org = self._orgs.by_id.get(self._options.organisation or "")
        if org is None:
            message = "没有所属组织，且导入选项未指定默认组织"
            faults.append(Fault("ORG", _ERROR, "organisation", "", message, True))
            return None
        if not org.org_path.startswith(self._scope):
            message = f"没有权限向 {org.name} 导入点位"
            faults.append(Fault("ORG", _ERROR, "organisation", org.name, message, True))
            return None
        record["organisation"] = org.id
        return org

    def _unknown(self, name: str) -> str:
        if name.strip() in self._orgs.ambiguous:
            return f"有多个组织名为 {name}，请填写完整路径或编码"
        return f"没有名为 {name[:50]} 的组织"

    def _owners(self, record: dict[str, FileValue], faults: list[Fault]) -> dict[str, Any]:
        out: dict[str, Any] = {"paid": None, "owns": None, "maintains": None, "may_see": []}
        for key in out:
            named = record.get(key)
            if named is None:
                continue
            found = []
            for part in str(named).split("/") if key == "may_see" else [str(named)]:
                org = self._orgs.find(part)
                if org is None:
                    faults.append(Fault("ORG", _ERROR, key, part[:100], self._unknown(part), True))
                else:
                    found.append(org.id)
            record[key] = "/".join(found) or None
            out[key] = found if key == "may_see" else (found[0] if found else None)
        return out


_ERROR, _WARNING = Severity.ERROR, Severity.WARNING


# --- the whole -------------------------------------------------------------------------------------------------------


class _Faults:
    """Counts faults and keeps the first ones."""

    def __init__(self) -> None:
        self.count = 0
        self._kept = 0

    def take(
        self, line: int, names: Mapping[str, str], faults: Sequence[Fault]
    ) -> list[tuple[int, str, str, str, str, str]]:
        self.count += len(faults)
        room = max(0, FAULTS - self._kept)
        out: list[tuple[int, str, str, str, str, str]] = []
        for fault in faults[:room]:
            column = names.get(fault.column) or (BY_KEY[fault.column].label if fault.column in BY_KEY else "")
            severity = _ERROR if fault.blocks else _WARNING
            out.append((line, column, fault.value, fault.rule, severity, fault.message))
        self._kept += len(out)
        return out


def read(brief: Brief) -> Iterator[Message]:
    """All messages about a file."""
    try:
        yield from _read(brief)
    except (Unreadable, sheets.NoSheet) as err:
        yield End(rows=0, reason=err.reason if not err.hint else f"{err.reason}，{err.hint}")
    except MemoryError:
        yield End(rows=0, reason="文件过大，请分成几个文件导入")
    except (OSError, csv.Error) as err:
        yield End(rows=0, reason=f"文件无法读取：{err}"[:300])


def _read(brief: Brief) -> Iterator[Message]:
    text, rows = open_rows(Path(brief.path))
    with text:
        first: list[list[str]] = []
        for row in rows:
            first.append(row)
            if len(first) >= HEADER_LINES:
                break
        header = find_header(first)
        reader = Reader(brief)
        reader.use(header)
        names = {field.key: name for field, name in zip(header.fields, header.names, strict=True) if field}
        faults = _Faults()
        strange = [name for field, name in zip(header.fields, header.names, strict=True) if field is None and name]
        told = [Fault("COLUMN", _WARNING, "", name[:100], f"不认识的列 {name[:50]}，已忽略") for name in strange[:50]]
        if len(strange) > 50:
            told.append(Fault("COLUMN", _WARNING, "", "", f"另有 {len(strange) - 50} 个不认识的列，已忽略"))
        told += [
            Fault("DQ04", _WARNING, field.key, field.label, f"文件没有必填列 {field.label}")
            for field in FIELDS
            if field.needed == "M" and field.key not in names and field.key != "organisation"
        ]
        listed = [(header.row, f.value, f.value, f.rule, "warning", f.message) for f in told]
        faults.count += len(listed)
        yield Chunk(done=0, errors=0, fault_count=faults.count, rows=[], faults=listed)
        total = errors = 0
        sample: list[tuple[float, float]] = []
        for chunk in _chunks(first[header.row :], rows, header.row):
            message = _chunk(reader, header, names, chunk, faults)
            total += len(chunk)
            errors += len(chunk) - len(message.rows)
            for _, _, record, _ in message.rows[:: max(1, len(message.rows) // 3)]:
                lon, lat = record.get("longitude"), record.get("latitude")
                if lon is not None and lat is not None and len(sample) < 50_000:
                    sample.append((lon, lat))
            yield msgspec.structs.replace(message, done=chunk[-1][0] - header.row, errors=errors)
        yield from _shift(brief, sample, faults, total, errors)
        if total == 0:
            raise Unreadable("表头之后没有数据行")
        yield End(rows=total)


def _chunks(head: Sequence[list[str]], rest: Iterator[list[str]], start: int) -> Iterator[list[tuple[int, list[str]]]]:
    """Rows with their lines, without empty ones."""
    chunk: list[tuple[int, list[str]]] = []
    line = start
    for source in (iter(head), rest):
        for row in source:
            line += 1
            if not (row and row[0].strip()) and not any(cell.strip() for cell in row):
                continue
            chunk.append((line, row))
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
    if chunk:
        yield chunk


def _chunk(
    reader: Reader, header: Header, names: Mapping[str, str], chunk: Sequence[tuple[int, list[str]]], faults: _Faults
) -> Chunk:
    taken = []
    for line, row in chunk:
        record, found = reader.parse(header, row)
        columns, more = reader.take(record, line)
        taken.append((line, record, columns, found + more))
    outside = reader.outside([record for _, record, _, _ in taken])
    rows, listed = [], []
    for place, (line, record, columns, found) in enumerate(taken):
        if place in outside:
            found.append(outside[place])
        listed += faults.take(line, names, found)
        if any(fault.blocks for fault in found):
            continue
        rows.append((line, reader.occurrence(columns["code"]), record, columns))
    return Chunk(done=0, errors=0, fault_count=faults.count, rows=rows, faults=listed)


def _shift(
    brief: Brief, sample: Sequence[tuple[float, float]], faults: _Faults, total: int, errors: int
) -> Iterator[Chunk]:
    roads = np.array(brief.roads, np.float64).reshape(-1, 4)
    metres = shift_suspected(np.array(sample, np.float64).reshape(-1, 2), roads)
    if metres is not None:
        message = f"坐标疑似为 GCJ-02：按 GCJ-02 换算后距道路的中位距离减少 {metres:.0f} 米，请在导入选项中选择坐标系"
        faults.count += 1
        listed = [(0, "", "", "DQ08", "warning", message)]
        yield Chunk(done=total, errors=errors, fault_count=faults.count, rows=[], faults=listed)


def write_frame(out: BinaryIO, message: object) -> None:
    """Four bytes of length, then MessagePack."""
    data = msgspec.msgpack.encode(message)
    out.write(len(data).to_bytes(4, "big") + data)
    out.flush()


def main() -> int:
    """See the module's text."""
    size = int.from_bytes(sys.stdin.buffer.read(4), "big")
    if size > FRAME:
        return 2
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    brief = msgspec.msgpack.decode(sys.stdin.buffer.read(size), type=Brief)
    for message in read(brief):
        write_frame(sys.stdout.buffer, message)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
