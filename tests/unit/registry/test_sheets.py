"""Workbooks: openpyxl reads what we write, we read what openpyxl writes, and what is no honest workbook is refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anwang.registry import sheets
from anwang.registry.export import as_text, from_text
from anwang.registry.imports.reading import Chunk, End, read
from anwang.registry.sheets import Book, NoSheet, SheetWriter, inspect, is_workbook
from tests.unit.registry.test_files import brief

#: what XML carries; a carriage return comes back as a line feed, as XML has it
CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=30)
HEADER = ["设备编码", "设备名称", "经度", "纬度", "监控点位类型"]


def written(path: Path, table: list[list[sheets.Cell]], **bounds: int) -> Path:
    writer = SheetWriter("点位", HEADER, **bounds)
    path.write_bytes(writer.rows(table[:2]) + writer.rows(table[2:]) + writer.close())
    return path


def read_back(path: Path) -> tuple[list[list[str]], list[str]]:
    book = Book(path)
    try:
        return list(book.rows()), book.ignored
    finally:
        book.close()


def made(path: Path, fill: Callable[[openpyxl.Workbook], None]) -> Path:
    """A workbook by openpyxl."""
    book = openpyxl.Workbook()
    fill(book)
    book.save(path)
    return path


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(CELLS, min_size=5, max_size=5), max_size=6))
def test_another_program_reads_what_we_write(tmp_path: Path, rows: list[list[str]]) -> None:
    while rows and not any(rows[-1]):
        rows.pop()  # an empty row at the end is no row
    path = written(tmp_path / "x.xlsx", [list(row) for row in rows])
    book = openpyxl.load_workbook(path)
    sheet = book["点位"]
    told = [[cell.value or "" for cell in line] for line in sheet.iter_rows(max_col=5)]
    assert told[0] == HEADER
    escaped = [[cell.replace("_x005F", "") if "_x" in cell else cell for cell in line] for line in told[1:]]
    assert escaped == rows or any("_x" in cell for row in rows for cell in row)
    assert all(cell.data_type in ("s", "n", "inlineStr") for line in sheet.iter_rows() for cell in line)  # no formula
    lines, ignored = read_back(path)
    assert [line + [""] * (5 - len(line)) for line in lines[1:]] == rows
    assert ignored == []


def test_what_looks_like_a_formula_is_text_and_comes_back(tmp_path: Path) -> None:
    nasty = ["=1+1", "+8613800000000", "-2+3", "@SUM(A1)", "'=x", "_x0041_", "a\tb", 'a<b>&"c"', "34020000001320000001"]
    path = written(tmp_path / "x.xlsx", [[text, 117.123456, 3, "", ""] for text in nasty])
    sheet = openpyxl.load_workbook(path)["点位"]
    assert {cell.data_type for cell in sheet["A"]} <= {"s", "inlineStr"}
    assert sheet["B2"].value == 117.123456
    lines, _ = read_back(path)
    assert [line[0] for line in lines[1:]] == nasty
    assert lines[1][1:] == ["117.123456", "3"]
    for text in nasty:
        assert from_text(as_text(text)) == text
        assert as_text(text)[0] not in "=+@\t"
    assert as_text("-12.5") == "-12.5"


def test_cells_of_all_sorts_are_read_as_people_see_them(tmp_path: Path) -> None:
    def fill(book: openpyxl.Workbook) -> None:
        sheet = book.active
        assert sheet is not None
        sheet.append(["设备编码", "设备名称"])
        sheet.append([34020000001320000001, 12, 12.0, 117.1234567, True, datetime(2020, 5, 1), datetime(2020, 5, 1, 8)])  # noqa: DTZ001 - as a sheet has it
        sheet["A4"] = "=1+1"
        sheet["C5"] = "后面"
        book.create_sheet("说明").append(["这张表", "是说明"])

    lines, ignored = read_back(made(tmp_path / "x.xlsx", fill))
    assert lines[1] == ["3.4020000001320e+19".replace("0e", "e"), "12", "12", "117.1234567", "TRUE", "2020-05-01",
                        "2020-05-01 08:00:00"]  # fmt: skip
    assert lines[2] == []
    assert lines[3] == []  # a formula that no program has computed yet
    assert lines[4] == ["", "", "后面"]
    assert ignored == ["说明"]


def test_a_table_over_several_sheets_is_read_as_one(tmp_path: Path) -> None:
    rows: list[list[sheets.Cell]] = [[f"{n}", f"第{n}个", 1.5, 2, "x"] for n in range(2500)]
    path = written(tmp_path / "x.xlsx", rows, rows=1200)
    assert len(openpyxl.load_workbook(path).sheetnames) == 3
    lines, ignored = read_back(path)
    assert [line[0] for line in lines] == [HEADER[0], *(str(n) for n in range(2500))]
    assert ignored == []
    assert inspect(path).rows == 2503


def test_a_code_that_a_spreadsheet_took_for_a_number_is_told(tmp_path: Path) -> None:
    def fill(book: openpyxl.Workbook) -> None:
        sheet = book.active
        assert sheet is not None
        sheet.append(HEADER)
        sheet.append([3.4020000001320002e19, "甲", 117.1, 39.1, 1])

    messages = list(read(brief(made(tmp_path / "x.xlsx", fill))))
    faults = [fault for m in messages if isinstance(m, Chunk) for fault in m.faults]
    assert any(fault[1] == "设备编码" and "数字" in fault[5] for fault in faults), faults
    assert isinstance(messages[-1], End)
    assert messages[-1].rows == 1


def packed(path: Path, **parts: bytes | str) -> Path:
    """A workbook with one sheet, some parts of which are as told."""
    writer = SheetWriter("点位", HEADER)
    whole = writer.rows([["1", "2", "3", "4", "5"]]) + writer.close()
    with zipfile.ZipFile(io.BytesIO(whole)) as good, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name in good.namelist():
            out.writestr(name, parts.pop(name.rpartition("/")[2].partition(".")[0], good.read(name)))
        for name, data in parts.items():
            out.writestr(f"xl/{name}.xml", data)
    return path


SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'
)
ROW = '<row r="1"><c r="A1" t="inlineStr"><is><t>{}</t></is></c></row>'


@pytest.mark.parametrize(
    ("sheet", "why"),
    [
        ('<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]>' + SHEET.format(ROW.format("&a;")), "DTD"),
        ('<?xml version="1.0"?>' + " " * (sheets.TEXT - 5) + "<!DOCTYPE x>" + SHEET.format(""), "DTD"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd">' + SHEET.format(ROW.format("x")), "DTD"),
        (SHEET.format(ROW.format("x" * 400_000)), "过长"),
        ("\ufeff".encode("utf-16-be") + SHEET.format("").encode("utf-16-be"), "编码"),
        (SHEET.format("").encode("utf-16-le"), "编码"),
        ('<?xml version="1.0" encoding="cp037"?>', "编码"),
    ],
)
def test_what_is_no_honest_workbook_is_refused(tmp_path: Path, sheet: bytes | str, why: str) -> None:
    path = packed(tmp_path / "x.xlsx", sheet1=sheet)
    with pytest.raises(NoSheet, match=why):
        Book(path)
    end = list(read(brief(path)))[-1]
    assert isinstance(end, End)
    assert why in end.reason


def test_a_workbook_that_unpacks_to_too_much_is_refused_before_it_does(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.xlsx", theme="<a/>" + "<b></b>" * 20_000_000)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(NoSheet, match="过大"):
        inspect(path)
    with pytest.raises(NoSheet, match="过大"):
        inspect(packed(tmp_path / "y.xlsx"), largest=100)


def test_old_and_locked_and_other_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "x.xls"
    path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600))
    with pytest.raises(NoSheet, match="xls"):
        is_workbook(path)
    assert "xlsx" in list(read(brief(path)))[-1].reason  # type: ignore[union-attr]
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a.txt", "b")
    with pytest.raises(NoSheet, match="不是"):
        inspect(path)
    locked = bytearray(packed(tmp_path / "z.xlsx").read_bytes())
    at = locked.rindex(b"PK\x01\x02")
    locked[at + 8] |= 1
    path.write_bytes(locked)
    with pytest.raises(NoSheet, match="密码"):
        inspect(path)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damaged_workbook_is_read_to_an_end(tmp_path: Path, data: st.DataObject) -> None:
    path = written(tmp_path / "x.xlsx", [["1", "甲", 1.5, 2, "x"]] * 3)
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.integers(5, len(whole)))] if data.draw(st.booleans()) else whole)
    assert isinstance(list(read(brief(path)))[-1], End)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("<>/ rcvtisw=\"'&;abA1!-[]", max_size=300))
def test_any_sheet_is_read_to_an_end(tmp_path: Path, inside: str) -> None:
    path = packed(tmp_path / "x.xlsx", sheet1=SHEET.format(inside))
    assert isinstance(list(read(brief(path)))[-1], End)
