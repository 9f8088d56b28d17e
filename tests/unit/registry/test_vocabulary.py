"""How fields are filled in: every choice is a value that the field reads and writes, and none is missing."""

from __future__ import annotations

import pytest

from anwang.registry.fields import BY_KEY, FIELDS, Generation
from anwang.registry.model import PointClass
from anwang.registry.vocabulary import ENTRIES, Entry, Form

CHOSEN = [entry for entry in ENTRIES if entry.choices]


def test_every_field_has_a_form_in_the_order_of_the_table() -> None:
    assert [entry.field for entry in ENTRIES] == list(FIELDS)
    by_key = {entry.field.key: entry for entry in ENTRIES}
    assert by_key["install_time"].classes == (PointClass.I,)
    assert by_key["longitude"].classes == (PointClass.I, PointClass.II)
    assert by_key["code"].classes == tuple(PointClass)
    assert (by_key["may_see"].form, by_key["division"].form) == (Form.ORGANISATIONS, Form.DIVISION)
    assert by_key["fill_light"].of_seeing
    assert not by_key["address"].of_seeing


@pytest.mark.parametrize("entry", CHOSEN, ids=lambda entry: entry.field.key)
def test_what_can_be_chosen_is_what_is_kept(entry: Entry) -> None:
    for choice in entry.choices:
        assert str(entry.field.parse(choice.value, Generation.B)) == choice.value
        for generation, code in ((Generation.A, choice.a), (Generation.B, choice.b)):
            kept = entry.field.parse(code, generation) if code else None
            nearest = str(kept) != choice.value  # one generation may have only something near to it
            assert not kept or not nearest or entry.field.write(kept, generation) == code


def test_the_generations_number_the_same_camera_otherwise() -> None:
    [entry] = [entry for entry in ENTRIES if entry.field is BY_KEY["camera_type"]]
    codes = {choice.value: (choice.a, choice.b) for choice in entry.choices}
    assert codes["checkpoint_bullet"] == ("5", "3")
    assert codes["ptz_hemisphere"] == ("2", "5")
