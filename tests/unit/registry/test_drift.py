"""Configurations, baselines and their signatures (domain.md G24)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.registry.drift import MOST_KEYS, Answer, Baseline, Kind, Origin, Seal, values_of
from anwang.registry.drift.model import (
    CLOCK,
    LEFT_OUT,
    MOST_TEXT,
    ClockState,
    compared,
    group_of,
    judge_clock,
    ordered,
    still,
)

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
VALUES = {"firmware": "V5.7", "channels": "4", "basic.name": "北门", "basic.heartbeat_interval_s": "60"}
GROUPS = frozenset({"", "basic"})
SEAL = Seal([b"a" * 32, b"b" * 32])


def baseline(**other: object) -> Baseline:
    made = Baseline(device="d1", values=VALUES, origin=Origin.FIRST_SEEN, made_at=NOW)
    return replace(made, **other)  # type: ignore[arg-type]


def answer(groups: frozenset[str] = GROUPS, **changed: str) -> Answer:
    values = {**VALUES, **{key.replace("__", "."): text for key, text in changed.items()}}
    return Answer(values={key: text for key, text in values.items() if text and group_of(key) in groups}, groups=groups)


@given(st.lists(st.tuples(st.text(max_size=90), st.text(max_size=300)), max_size=200))
def test_g24_values_stay_in_bounds_whatever_a_device_says(pairs: list[tuple[str, str]]) -> None:
    values = values_of(pairs)
    assert len(values) <= MOST_KEYS
    assert all(0 < len(key) <= 64 and key.isprintable() and 0 < len(text) <= MOST_TEXT for key, text in values.items())
    assert all(text.isprintable() and text == text.strip() for text in values.values())
    assert values_of(values.items()) == values, "what was bounded stays as it is"
    assert values_of(reversed(dict(pairs).items())) == values_of(dict(pairs).items()), "in whatever order they came"


def test_g24_what_found_no_room_is_counted() -> None:
    values = values_of([(f"video.v{number:03}", "1") for number in range(100)] + [("firmware", "V1")])
    assert len(values) == MOST_KEYS and values["firmware"] == "V1"
    assert int(values[LEFT_OUT]) == 101 - (MOST_KEYS - 1)


@pytest.mark.parametrize(
    "name", ["Password", "basic.password", "basic.sip_password", "UserPwd", "token", "basic.secret_key", "SessionID"]
)
def test_g24_secrets_are_never_kept(name: str) -> None:
    assert values_of([(name, "hunter2"), ("firmware", "V1")]) == {"firmware": "V1"}


def test_g24_each_change_is_told_under_its_kind() -> None:
    assert compared(VALUES, answer()) == {}
    found = compared(VALUES, answer(firmware="V9", channels="3", basic__name="", basic__new="x"))
    assert found == {
        Kind.FIRMWARE: {"firmware": ("V5.7", "V9")},
        Kind.CHANNELS: {"channels": ("4", "3")},
        Kind.SETTINGS: {"basic.name": ("北门", ""), "basic.new": ("", "x")},
    }


def test_g24_what_was_not_answered_is_not_judged() -> None:
    silent = frozenset({""})
    assert compared(VALUES, answer(silent)) == {}
    assert compared({"firmware": "V5.7", "channels": "4"}, answer(basic__name="别的")) == {}, (
        "a group that the baseline never knew"
    )
    open_ = {"basic.name": ("北门", "别的"), "device_type": ("IPC", "NVR")}
    assert still(open_, silent) == {"basic.name": ("北门", "别的")}


def test_g24_a_group_is_added_once_it_is_told() -> None:
    small = baseline(values={"firmware": "V5.7"})
    wider = small.widened(answer(firmware="V9"))
    assert wider.values["firmware"] == "V5.7", "a known group stays as it was"
    assert wider.values["basic.name"] == "北门" and "channels" not in wider.values
    assert wider.widened(answer()) is wider
    full = baseline(values={f"video.v{number}": "1" for number in range(MOST_KEYS)})
    assert full.widened(answer()) is full


def test_g24_accepting_takes_over_only_what_drifted() -> None:
    patched = baseline().patched({"basic.name": ("北门", ""), "firmware": ("V5.7", "V9")}, at=NOW, by="admin.one")
    assert patched.values == {"firmware": "V9", "channels": "4", "basic.heartbeat_interval_s": "60"}
    assert (patched.origin, patched.made_by, patched.signature) == (Origin.ACCEPTED, "admin.one", "")


def test_g24_a_signature_fits_only_what_was_signed() -> None:
    signed = SEAL.signed(baseline())
    assert SEAL.fits(signed) and SEAL.is_newest(signed)
    assert SEAL.fits(replace(signed, values=dict(reversed(VALUES.items())))), "the order says nothing"
    for other in (
        {"device": "d2"}, {"values": {**VALUES, "firmware": "V9"}}, {"values": {**VALUES, "more": "1"}},
        {"origin": Origin.ACCEPTED}, {"made_at": NOW + timedelta(microseconds=1)}, {"made_by": "x"},
        {"signature": ""}, {"signature": "0" * 64}, {"signature": "é"},
    ):  # fmt: skip
        assert not SEAL.fits(replace(signed, **other)), other
    assert not Seal([b"c" * 32]).fits(signed)


def test_g24_after_a_rotation_older_signatures_still_fit() -> None:
    older = Seal([b"b" * 32]).signed(baseline())
    assert SEAL.fits(older) and not SEAL.is_newest(older)


@pytest.mark.parametrize(
    ("off_s", "accepted_s", "before_s", "elapsed_s", "wanted"),
    [
        (3.0, 0.0, None, 0.0, ClockState.RIGHT),
        (-61.0, 0.0, None, 0.0, ClockState.WRONG),
        (30.0, 0.0, None, 0.0, ClockState.UNSURE),
        (30.0, 0.0, 1.0, 60.0, ClockState.WRONG),
        (30.0, 0.0, 24.0, 60.0, ClockState.UNSURE),
        (3.0, 0.0, 3600.0, 60.0, ClockState.RIGHT),
        (3600.0, 3600.0, 3599.0, 60.0, ClockState.RIGHT),
        (0.0, 3600.0, 3600.0, 60.0, ClockState.WRONG),
        # a cheap clock may lose 100 ppm: 86 s in ten days without being set, beyond the ten that reports may differ
        (20.0, 0.0, 1.0, 864_000.0, ClockState.UNSURE),
        (20.0, 0.0, 1.0, 3_600.0, ClockState.WRONG),
    ],
)
def test_g24_a_clock_that_jumps_is_told_from_one_that_runs_away(
    off_s: float, accepted_s: float, before_s: float | None, elapsed_s: float, wanted: ClockState
) -> None:
    assert judge_clock(off_s, accepted_s=accepted_s, before_s=before_s, elapsed_s=elapsed_s) is wanted


def test_g24_an_accepted_clock_is_read_from_the_baseline() -> None:
    assert baseline(values={CLOCK: "3600.5"}).accepted_off_s == 3600.5
    assert baseline(values={CLOCK: "x"}).accepted_off_s == 0.0


def test_g24_values_come_in_one_order() -> None:
    assert list(ordered({"basic.name": 1, "firmware": 2, "channels": 3})) == ["channels", "firmware", "basic.name"]
