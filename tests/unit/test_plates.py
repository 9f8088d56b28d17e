"""Plates: the vectors of domain.md §4.3, what the grammar makes, confusion, and patterns against a plain comparison."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from anwang.kernel import plates
from anwang.kernel.codes import vehicles
from anwang.kernel.errors import Invalid
from anwang.kernel.plates import (
    CONFUSABLE,
    GRAMMAR,
    DistinctPlates,
    PlateColour,
    PlateKind,
    PlatePattern,
    PlateState,
    Reading,
    colour_agrees,
    colour_of_1400,
    colour_of_hpys,
    key_of,
    kind_of,
    normalise,
    one_off,
)

K = PlateKind
VECTORS = {
    "津A12345": K.NORMAL,
    "鲁B8K3M6": K.NORMAL,
    "川A0D123": K.NORMAL,
    "津AD12345": K.NEV_SMALL,
    "粤BDA1234": K.NEV_SMALL,
    "津A12345D": K.NEV_LARGE,
    "粤B12345F": K.NEV_LARGE,
    "津A1234警": K.POLICE,
    "津C1234挂": K.TRAILER,
    "津A1234学": K.LEARNER,
    "粤Z1234港": K.HK_MACAO,
    "粤ZAB12澳": K.HK_MACAO,
    "224001使": K.EMBASSY,
    "使014578": K.EMBASSY,
    "沪A0023领": K.CONSULATE,
    "WJ津12345": K.ARMED_POLICE,
    "WJ京1234X": K.ARMED_POLICE,
    "VA12345": K.MILITARY,
    "京X0001应急": K.RESCUE,
    "津A1234临": K.TEMPORARY,
    "民航A1234": K.CIVIL_AVIATION,
}
NO_PLATES = ["津AI2345", "津O12345", "津AABC12", "津A1234", "津A123456", "津AF0A123", "", "津A１2345", "津A12345\n"]


@pytest.mark.parametrize(("plate", "kind"), VECTORS.items())
def test_section_4_3_kinds(plate: str, kind: PlateKind) -> None:
    assert kind_of(plate) is kind
    assert normalise(plate) == plate
    assert Reading.of(plate) == Reading(PlateState.READ, plate)


@pytest.mark.parametrize("text", NO_PLATES)
def test_section_4_3_no_plates(text: str) -> None:
    assert kind_of(text) is None


def test_every_kind_has_a_vector_and_stands_in_its_order() -> None:
    assert set(VECTORS.values()) == set(K) == set(GRAMMAR)
    assert list(GRAMMAR) == list(K)
    assert len(K) == 14
    for rule in GRAMMAR.values():
        assert rule.classes
        assert all(code in vehicles.PLATE_CLASSES for code in rule.classes)


@given(st.data(), st.sampled_from(list(K)))
def test_what_the_grammar_makes_is_recognised(data: st.DataObject, kind: PlateKind) -> None:
    plate = data.draw(st.from_regex(re.compile(GRAMMAR[kind].pattern, re.ASCII), fullmatch=True))
    assume(not any(re.fullmatch(GRAMMAR[before].pattern, plate) for before in itertools.takewhile(kind.__ne__, K)))
    assert kind_of(plate) is kind
    spaced = f" {plate[:2].lower()}·{plate[2:]} "
    assert kind_of(normalise(spaced)) is kind


@pytest.mark.parametrize(
    "text",
    [
        "津A·12345",
        "津a-12345",
        "津A•12345",
        " 津 A 12345 ",
        "津Ａ１２３４５",
        "津ａ－１２３４５",
        "津A—12345",
        "津A　12345",
    ],
)
def test_spellings_of_one_plate(text: str) -> None:
    assert normalise(text) == "津A12345"
    assert Reading.of(text) == Reading(PlateState.READ, "津A12345")


@given(st.text(max_size=40))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@given(st.text(alphabet=st.characters() | st.sampled_from("津A0-?*·无牌未识别"), max_size=20), st.booleans())
def test_any_text_is_a_reading(text: str, is_covered: bool) -> None:
    reading = Reading.of(text, has_plate=not is_covered, is_covered=is_covered)
    assert (reading.state is PlateState.READ) == bool(reading.plate)
    assert normalise(reading.plate) == reading.plate
    if reading.plate:
        assert Reading.of(reading.plate) == Reading(PlateState.READ, reading.plate)
    kind_of(text)
    one_off(key_of(text))


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("无牌", Reading(PlateState.NONE)),
        ("无车牌", Reading(PlateState.NONE)),
        ("未识别", Reading(PlateState.UNREAD)),
        ("-", Reading(PlateState.UNREAD)),
        ("--------", Reading(PlateState.UNREAD)),
        ("", Reading(PlateState.UNREAD)),
        (None, Reading(PlateState.UNREAD)),
        ("遮挡", Reading(PlateState.COVERED)),
        ("津A1-345", Reading(PlateState.UNREAD, legible="津A1?345")),
        ("津A-1-345", Reading(PlateState.UNREAD, legible="津A?1?345")),
        ("津A?2345", Reading(PlateState.UNREAD, legible="津A?2345")),
        ("津" * 16, Reading(PlateState.UNREAD)),
        ("AB 123 CD", Reading(PlateState.READ, "AB123CD")),
    ],
)
def test_what_came_of_reading(text: str | None, reading: Reading) -> None:
    assert Reading.of(text) == reading


def test_what_the_record_says_beside_the_text() -> None:
    assert Reading.of("", has_plate=False).state is PlateState.NONE
    assert Reading.of("-", is_covered=True, has_plate=False).state is PlateState.COVERED
    assert Reading.of("津A1-345", is_covered=True) == Reading(PlateState.COVERED, legible="津A1?345")
    assert Reading.of("津A12345", has_plate=False).state is PlateState.READ


@pytest.mark.parametrize(
    ("plate", "colour", "agrees"),
    [
        ("津A12345", PlateColour.BLUE, True),
        ("津A12345", PlateColour.YELLOW, True),
        ("津A12345", PlateColour.GREEN, False),
        ("津AD12345", PlateColour.BLUE, False),
        ("津AD12345", PlateColour.GRADIENT_GREEN, True),
        ("津AD12345", PlateColour.YELLOW_GREEN, False),
        ("津A12345D", PlateColour.YELLOW_GREEN, True),
        ("津A12345D", PlateColour.GREEN, True),
        ("津A1234警", PlateColour.WHITE, True),
        ("津A1234警", PlateColour.BLUE, False),
        ("津A1234临", PlateColour.BLUE, True),
        ("津A12345", PlateColour.OTHER, True),
        ("津AD12345", None, True),
    ],
)
def test_kind_and_colour_agree(plate: str, colour: PlateColour | None, agrees: bool) -> None:
    kind = kind_of(plate)
    assert kind is not None
    assert colour_agrees(kind, colour) is agrees


def test_two_numberings_of_colours() -> None:
    """domain.md §4.2 against gat1400.md §13.3: the same digit is another colour."""
    assert [colour_of_hpys(str(code)) for code in range(9)] == list(PlateColour)
    assert colour_of_hpys("9") is None
    assert colour_of_1400("1") is PlateColour.BLACK
    assert colour_of_1400("05") is colour_of_1400("5") is PlateColour.BLUE
    assert colour_of_1400("9") is PlateColour.GREEN
    assert colour_of_1400("12") is colour_of_1400("99") is PlateColour.OTHER
    assert colour_of_1400("14") is colour_of_1400("") is colour_of_1400("x") is None
    for table, words in (
        (vehicles.PLATE_COLOURS, vehicles.PLATE_COLOUR_WORDS),
        (vehicles.COLOURS_1400, vehicles.COLOUR_WORDS_1400),
        (vehicles.BODY_COLOURS, vehicles.BODY_COLOUR_WORDS),
    ):
        assert table.entries.keys() == words.keys()


def test_confusable_characters_share_a_key() -> None:
    for group in ("0DQ", "8B", "2Z", "5S", "1T7", "6G", "4A", "川州"):
        assert len({key_of(f"津C9{one}33E") for one in group}) == 1
    assert key_of("津D8S2T1") == key_of("津0B5Z77") == "津085211"
    assert key_of("津A12345") != key_of("津A12346")
    assert not {a for a, b in itertools.combinations(map(set, CONFUSABLE), 2) if a & b}


@given(st.text(alphabet="津A1D0", min_size=2, max_size=8), st.integers(0, 7), st.sampled_from("CEF"))
def test_keys_one_character_apart_share_a_mask(key: str, at: int, other: str) -> None:
    assume(at < len(key))
    changed = key[:at] + other + key[at + 1 :]
    assert set(one_off(key)) & set(one_off(changed)) == {key[:at] + "?" + key[at + 1 :]}
    twice = changed[: at - 1] + "H" + changed[at:] if at else changed[:1] + "H" + changed[2:]
    assert not set(one_off(key)) & set(one_off(twice))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("津A1*", "3 known characters are too few to search by"),
        ("????????", "0 known characters are too few to search by"),
        ("津*1*2*3", "at most two"),
        ("津A1%45", "'%' is in no plate"),
        ("津A12345678901234", "too long"),
        ("津A12345" * 1000, "too long"),
    ],
)
def test_patterns_that_are_refused(text: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason) as caught:
        PlatePattern.parse(text)
    assert caught.value.hint


@given(st.text(max_size=20))
def test_any_pattern_is_read_or_refused(text: str) -> None:
    try:
        pattern = PlatePattern.parse(text)
    except Invalid:
        return
    DistinctPlates(["津A12345"]).expand(pattern)


def test_patterns_are_normalised() -> None:
    assert PlatePattern.parse("津a·1？3＊*5").text == "津A1?3*5"
    assert PlatePattern.parse("津A12?*?*").text == "津A12??*"


SEEN = [
    "津A12345",
    "津A12346",
    "津A1Z345",
    "津AD12345",
    "津B12345",
    "冀A12345",
    "VA12345",
    "电12345",
    "津A12345",
    "川A0D123",
    "",
]


@pytest.mark.parametrize(
    ("text", "is_tolerant", "wanted"),
    [
        ("津A1234?", False, ["津A12345", "津A12346"]),
        ("?A12345", False, ["VA12345", "冀A12345", "津A12345"]),
        ("*12345", False, ["VA12345", "冀A12345", "津A12345", "津AD12345", "津B12345", "电12345"]),
        ("津*12345", False, ["津A12345", "津AD12345", "津B12345"]),
        ("津A*2*345", False, ["津A12345", "津AD12345"]),
        ("津A12345", True, ["津A12345", "津A1Z345"]),
        ("津A??345", True, ["津A12345", "津A1Z345"]),
        ("州AQ0123", True, ["川A0D123"]),
        ("电1234?", False, ["电12345"]),
        ("机1234?", False, []),
        ("津A12345*", False, ["津A12345"]),
        ("津A123456789", False, []),
    ],
)
def test_patterns_on_the_plates_seen(text: str, is_tolerant: bool, wanted: list[str]) -> None:
    seen = DistinctPlates(SEEN)
    assert len(seen) == 9
    assert list(seen.expand(PlatePattern.parse(text, is_tolerant=is_tolerant)).plates) == wanted


def test_an_expansion_is_cut() -> None:
    seen = DistinctPlates(f"津A{number:05d}" for number in range(3000))
    cut = seen.expand(PlatePattern.parse("津A0??*0"), limit=20)
    assert cut.plates == tuple(f"津A{number:05d}" for number in range(0, 200, 10))
    assert cut.is_cut
    whole = seen.expand(PlatePattern.parse("津A012??"), limit=100)
    assert len(whole.plates) == 100
    assert not whole.is_cut


_CHARACTERS = st.sampled_from("津冀AD0123甲")


@given(
    st.lists(st.text(alphabet=_CHARACTERS, min_size=4, max_size=9), max_size=40),
    st.text(alphabet=_CHARACTERS | st.sampled_from("?*"), min_size=4, max_size=9),
    st.booleans(),
)
def test_columns_find_what_comparing_each_finds(seen: list[str], text: str, is_tolerant: bool) -> None:
    try:
        pattern = PlatePattern.parse(text, is_tolerant=is_tolerant)
    except Invalid:
        assume(False)
    expected = sorted({plate for plate in seen if pattern.matches(plate)})
    assert list(DistinctPlates(seen).expand(pattern).plates) == expected


def test_no_letter_that_no_plate_has() -> None:
    assert set("IO") & set(plates.LETTERS) == set()
    assert len(plates.LETTERS) == 24
    assert len(set(plates.PROVINCES)) == 31
