"""Where no camera may stand (domain.md DQ23, G25)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.registry.siting import MOST_BUFFER_M, Restricted, buffer_of, is_forbidden, misplaced, room_named

SQUARE = [[[117.0, 39.0], [117.01, 39.0], [117.01, 39.01], [117.0, 39.01], [117.0, 39.0]]]
YARD = Restricted.of("某部营区", SQUARE, 300.0)


@pytest.mark.parametrize(
    ("name", "room"),
    [
        ("女更衣室", "更衣室"),
        ("体育馆男更衣室内 1 号", "更衣室"),
        ("二楼卫生间", "卫生间"),
        ("3 层洗手间", "卫生间"),
        ("职工休息室", "休息室"),
        ("学生宿舍 302", "宿舍"),
        ("贵宾包厢 2", "包间"),
        ("308 客房", "客房"),
        ("母婴室", "哺乳室"),
        ("二楼卫生间门口", ""),
        ("卫生间外通道", ""),
        ("宿舍楼东侧", ""),
        ("客房部前厅", ""),
        ("更衣室走廊尽头", ""),
        ("职工宿舍区大门", ""),
        ("服务区休息室对面", ""),
        ("东门", ""),
        ("卫生间门口及女更衣室", "更衣室"),
        ("女浴室内部", "浴室"),
        ("男更衣室内侧", "更衣室"),
        ("女更衣室二区", "更衣室"),
        ("浴室淋浴区", "浴室"),
        ("卫生间内全部隔间", "卫生间"),
        ("宿舍 3 号楼北侧", ""),
        ("宿舍大门", ""),
        ("男宿舍内门后", "宿舍"),
        ("", ""),
    ],
)
def test_a_name_means_a_room_or_what_lies_beside_it(name: str, room: str) -> None:
    assert room_named(name) == room


@given(st.text(max_size=200))
def test_any_text_is_a_name(text: str) -> None:
    assert isinstance(room_named(text), str)


def reasons(**record: Any) -> list[str]:
    return [key for key, _ in misplaced({"kind": "camera", **record}, [YARD])]


def test_g25_what_an_inspection_says_counts_more_than_a_name() -> None:
    assert reasons(name="女更衣室") == ["name"]
    assert reasons(name="一号", address="体育馆女更衣室") == ["address"]
    assert reasons(name="女更衣室", siting="lawful") == []
    assert reasons(name="一号", siting="prohibited") == ["siting"]
    assert reasons(name="女更衣室烟感", kind="sensor") == [], "what sees nothing may stand there"
    assert is_forbidden({"siting": "prohibited"}) and not is_forbidden({"siting": "lawful"}) and not is_forbidden({})


def test_g25_near_an_area_with_secrets_consent_is_needed() -> None:
    inside, near, far = (117.005, 39.005), (117.013, 39.005), (117.015, 39.005)  # 0, 259 and 432 m from it
    for (longitude, latitude), wanted in ((inside, ["consent"]), (near, ["consent"]), (far, [])):
        assert reasons(name="一号", longitude=longitude, latitude=latitude) == wanted
        assert reasons(name="一号", longitude=longitude, latitude=latitude, consent="津军字 2026-1") == []
    assert reasons(name="一号") == [], "where nobody knows where it stands"
    assert reasons(name="一号", siting="lawful", longitude=117.005, latitude=39.005) == ["consent"]


@given(st.floats(116.9, 117.1), st.floats(38.9, 39.1))
def test_the_bounds_leave_out_nothing(longitude: float, latitude: float) -> None:
    west, south, east, north = YARD.bounds
    if not (west <= longitude <= east and south <= latitude <= north):
        assert YARD.outline.distance_m(longitude, latitude) > YARD.buffer_m


@pytest.mark.parametrize(
    ("text", "metres"), [("300", 300.0), ("0", 0.0), ("", 0.0), ("x", 0.0), ("-5", 0.0), ("nan", 0.0), ("1e9", 0.0)]
)
def test_a_distance_is_read_or_nothing(text: str, metres: float) -> None:
    assert buffer_of(text) == metres
    assert buffer_of(str(MOST_BUFFER_M)) == MOST_BUFFER_M
