"""Camera files of both generations, their rules, and files that are no files."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anwang.kernel.geo import wgs84_to_gcj02
from anwang.registry.fields import BY_KEY, FIELDS, HEADERS, Generation, NotInDomain, fold
from anwang.registry.files import columns_of, row_hash
from anwang.registry.imports.model import ImportOptions
from anwang.registry.imports.reading import Brief, Chunk, End, Org, find_header, read
from anwang.registry.quality import RULES, Census, Outline, Outlines, Setting, check, shift_suspected, told

GOOD = {
    "code": "99010200001320000001", "name": "人民路路口", "division": "990102", "point_class": 1, "maker": "1",
    "model": "X", "ipv4": "10.0.0.1", "camera_type": "bullet", "function_type": "ordinary", "fill_light": "1",
    "codec": "H.265", "address": "人民路1号", "longitude": 117.2, "latitude": 39.1, "place_type": "10", "facing": "1",
    "networking": "networked", "police_unit": "990102000000", "install_time": "2020-01-01", "manager": "科信",
    "manager_phone": "02212345678", "retention_days": 90, "department": "1",
    "lifecycle": "in_use", "grassroots_code": "000000",
}  # fmt: skip
SETTING = Setting(today=date(2026, 11, 22), divisions={"990102": "东区"})


def test_the_same_digit_means_another_camera_in_the_other_generation() -> None:
    camera = BY_KEY["camera_type"]
    assert camera.parse("5", Generation.A) == "checkpoint_bullet"
    assert camera.parse("5", Generation.B) == "ptz_hemisphere"
    assert camera.parse("球机", Generation.A) == "dome"
    assert camera.write("checkpoint_bullet", Generation.B) == "3"
    assert camera.write("ptz_hemisphere", Generation.A) == "2"
    assert BY_KEY["point_class"].write(4, Generation.B) == "9"
    assert BY_KEY["function_type"].parse("01/3", Generation.B) == "face/vehicle"
    assert BY_KEY["codec"].parse("5", Generation.B) == BY_KEY["codec"].parse("4", Generation.A) == "H.265"


@given(st.sampled_from(FIELDS), st.sampled_from(Generation), st.text(max_size=40))
def test_reading_any_text_gives_a_value_or_says_why_not(field: object, generation: Generation, text: str) -> None:
    assert field in FIELDS
    column = BY_KEY[field.key]  # type: ignore[attr-defined]
    try:
        value = column.parse(text, generation)
    except NotInDomain as err:
        assert err.reason
        return
    assert isinstance(column.write(value, generation), str)


@pytest.mark.parametrize("generation", list(Generation))
def test_what_is_written_is_read_again(generation: Generation) -> None:
    for key, value in GOOD.items():
        field = BY_KEY[key]
        if not (field.a if generation is Generation.A else field.b):
            continue
        text = field.write(value, generation)
        if key in ("place_type", "function_type", "maker") and generation is Generation.B:
            continue  # generation B has other words for these
        assert field.parse(text, generation) == value, key


def test_headers_are_known_however_they_are_decorated() -> None:
    assert HEADERS[fold("* 设备编码（必填）")][0].key == "code"
    assert HEADERS[fold("ipv4地址")][0].key == "ipv4"
    header = find_header([["点位表"], ["", ""], ["设备编码", "设备名称*", "设备名称", "没有这列"]])
    assert (header.row, [f.key if f else None for f in header.fields]) == (3, ["code", "name", None, None])


def test_a_good_file_has_no_faults() -> None:
    assert check(GOOD, SETTING) == []


@pytest.mark.parametrize(
    ("change", "rule", "column", "blocks"),
    [
        ({"code": "1"}, "DQ01", "code", True), ({"code": "99010299001320000001"}, "DQ02", None, None),
        ({"code": "99010200009990000001"}, "DQ01", "code", False),
        ({"code": "99990200001320000001"}, "DQ01", "code", False),
        ({"code": "99010200002000000001"}, "DQ02", "code", False), ({"model": None}, "DQ04", "model", False),
        ({"lifecycle": None}, "DQ04", "lifecycle", False),
        ({"grassroots_code": None}, "DQ04", "grassroots_code", False),
        ({"code": "99010200001380000001"}, "DQ04", "mobile_type", False),
        ({"facing": None}, "DQ04", "facing", False), ({"name": ""}, "DQ12", "name", True),
        ({"longitude": 0.0, "latitude": 0.0}, "DQ06", "longitude", True),
        ({"latitude": None}, "DQ06", "latitude", True),
        ({"longitude": 39.1, "latitude": 117.2}, "DQ06", "longitude", True),
        ({"mac": "00-00-00-00-00-00"}, "DQ10", "mac", False),
        ({"police_unit": "120000000000"}, "DQ11", "police_unit", False), ({"name": "a\u200bb"}, "DQ12", "name", True),
        ({"division": "990199"}, "DQ01", "division", False),
    ],
)  # fmt: skip
def test_each_rule_finds_its_fault(
    change: dict[str, object], rule: str, column: str | None, blocks: bool | None
) -> None:
    faults = check({**GOOD, **change}, SETTING)  # type: ignore[dict-item]
    if column is None:
        assert rule not in {fault.rule for fault in faults}
        return
    assert (rule, column, blocks) in {(f.rule, f.column, f.blocks) for f in faults}


def test_rules_have_ids_hints_and_severities() -> None:
    assert [rule.id for rule in RULES] == [*(f"DQ{n:02d}" for n in range(1, 13)), "DQ23"]
    assert all(rule.hint and rule.title and rule.severity for rule in RULES)


def test_a_census_finds_what_files_share() -> None:
    census = Census()
    for n in range(12):
        found = census.check(
            {**GOOD, "code": f"9901020000132000000{n % 9}", "ipv4": f"10.0.0.{n}", "name": f"n{n}"}, n + 2, "o"
        )
        assert ("DQ03" in {f.rule for f in found}) == (n >= 9)
        assert ("DQ09" in {f.rule for f in found}) == (n == 8)
    again = census.check({**GOOD, "code": "x", "ipv4": "10.0.0.3", "name": "n3"}, 20, "o")
    assert {f.rule for f in again} == {"DQ10", "DQ12"}
    assert {f.rule for f in census.check({**GOOD, "code": "y", "ipv4": None, "name": "n3"}, 21, "p")} == set()


def test_lenses_of_one_device_may_stand_together_and_a_mac_address_is_its_own() -> None:
    census = Census()
    for n in range(12):
        file = {**GOOD, "code": f"990102000013200000{n:02d}", "ipv4": None, "name": f"n{n}", "camera_type": "split"}
        assert census.check(file, n + 2, "o") == []
    one = {**GOOD, "code": "x", "ipv4": None, "longitude": None, "mac": "AA-BB-CC-00-11-22"}
    assert census.check({**one, "name": "a"}, 20, "o") == []
    [fault] = census.check({**one, "code": "y", "name": "b"}, 21, "o")
    assert (fault.rule, fault.column) == ("DQ10", "mac")


def test_a_retired_division_is_reported_and_not_refused() -> None:
    setting = replace(SETTING, retired={"990102": "2025-01-01"})
    faults = check(GOOD, setting)
    assert {(f.rule, f.column, f.blocks) for f in faults} == {("DQ01", "code", False), ("DQ01", "division", False)}
    assert all("2025-01-01" in fault.message for fault in faults)


def test_every_fault_of_a_rule_is_told_or_counted() -> None:
    assert told(["a", "b", "a"]) == "a；b"
    long = told(f"缺少必填项 {n:03d}" for n in range(200))
    assert len(long) <= 500
    assert long.endswith(f"另有 {200 - long.count('缺少')} 项")


def test_points_outside_their_division_are_found_with_where_they_are() -> None:
    east = [[(117.2, 39.0), (117.4, 39.0), (117.4, 39.2), (117.2, 39.2)]]
    west = [[(117.0, 39.0), (117.2, 39.0), (117.2, 39.2), (117.0, 39.2)]]
    outlines = Outlines([Outline("990102", "东区", east), Outline("990103", "西区", west)])
    records = [{**GOOD, "longitude": x} for x in (117.3, 117.1, 117.199, 118.0)]
    faults = outlines.check([*records, {**GOOD, "longitude": None}, {**GOOD, "division": "x"}])
    assert sorted(faults) == [1, 3]
    assert "西区" in faults[1].message


def test_a_file_in_gcj02_is_suspected_and_one_in_wgs84_is_not() -> None:
    rng = np.random.default_rng(3)
    streets = np.arange(39.0, 39.3, 0.01)
    roads = np.array([[117.0, y, 117.4, y] for y in streets])
    real = np.column_stack([rng.uniform(117.0, 117.4, 300), rng.choice(streets, 300) + rng.normal(0, 2e-5, 300)])
    shifted = np.array([wgs84_to_gcj02(*p) for p in real])
    assert shift_suspected(real, roads) is None
    found = shift_suspected(shifted, roads)
    assert found is not None
    assert found > 50
    assert shift_suspected(real[:5], roads) is None


def test_the_hash_changes_with_what_the_file_says_only() -> None:
    one = columns_of(GOOD) | {"org_id": "o", "paid": None, "owns": None, "maintains": None, "may_see": ["b", "a"]}
    same = dict(one, may_see=["a", "b"], search="other", id="other", org_path="/x/")
    assert row_hash(one) == row_hash(same)
    assert row_hash(one) != row_hash(dict(one, name="x"))


def brief(path: Path) -> Brief:
    return Brief(
        path=str(path), options=ImportOptions(organisation="o"), scope="/", today="2026-11-22", now_ms=1,
        organisations=[Org("o", "/o/", "市", "市", None, None)], divisions={}, outlines=[], roads=[],
    )  # fmt: skip


cells = st.text(st.characters(codec="utf-8"), max_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=2000),
        st.lists(st.lists(cells, max_size=6), max_size=12).map(
            lambda rows: (
                "设备编码,设备名称,经度,纬度,监控点位类型\n" + "\n".join(",".join(row) for row in rows)
            ).encode()
        ),
    )
)
def test_any_bytes_are_read_to_an_end(tmp_path: Path, data: bytes) -> None:  # fmt: skip
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    messages = list(read(brief(path)))
    assert isinstance(messages[-1], End)
    kept = sum(len(m.rows) for m in messages if isinstance(m, Chunk))
    errors = max((m.errors for m in messages if isinstance(m, Chunk)), default=0)
    assert kept + errors == messages[-1].rows or messages[-1].reason
