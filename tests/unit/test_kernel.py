"""Ids, times, errors."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.kernel.errors import Invalid, WireError
from anwang.kernel.ids import parse_uuid, uuid7
from anwang.kernel.times import Span, from_micros, parse_rfc3339, rfc3339, to_micros


@given(st.integers(0, 2**48 - 2))
def test_later_ids_sort_later(ms: int) -> None:
    early, late = uuid7(ms), uuid7(ms + 1)
    assert early < late
    assert early[14] == "7"
    assert early[19] in "89ab"
    assert parse_uuid(early.upper()) == early


@given(st.integers(-(2**50), 2**51))
def test_micros_round_trip(micros: int) -> None:
    assert to_micros(from_micros(micros)) == micros
    assert to_micros(parse_rfc3339(rfc3339(from_micros(micros)))) == micros


def test_a_time_without_offset_is_refused() -> None:
    with pytest.raises(Invalid, match="offset"):
        parse_rfc3339("2026-11-22T08:00:00")
    assert parse_rfc3339("2026-11-22T16:00:00+08:00") == datetime(2026, 11, 22, 8, tzinfo=UTC)


def test_spans_are_half_open() -> None:
    assert Span(0, 10).overlap(Span(10, 20)) is None
    assert Span(0, 10).overlap(Span(5, 20)) == Span(5, 10)


def test_a_wire_error_keeps_the_bytes_around_the_fault() -> None:
    error = WireError("bad", data=bytes(1000), offset=500)
    assert error.offset == 500
    assert len(error.data) == 256
