"""Catalogues that cross, repeat and come in parts change nothing they should not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from anwang.kernel.times import to_micros
from anwang.registry.catalogue import ChannelRow, by_channel, compare
from anwang.registry.model import CatalogueItem

T0 = 1_800_000_000_000_000
SECOND = 1_000_000


def item(name: str, at: int, **more: object) -> CatalogueItem:
    return CatalogueItem(channel_id=name, name=name, at_us=at, **more)  # type: ignore[arg-type]


def apply(rows: dict[str, ChannelRow], items: list[CatalogueItem], *, complete: bool, asked: int, now: int) -> int:
    found = compare("d", rows, by_channel(items), complete=complete, asked_us=asked, now_us=now)
    rows.update(found.written)
    return found.removed


def test_nothing_is_removed_by_a_notice_that_it_is_gone() -> None:
    rows: dict[str, ChannelRow] = {}
    apply(rows, [item("a", T0, is_on=True)], complete=True, asked=T0, now=T0)
    apply(rows, [item("a", T0 + 1, gone=True)], complete=False, asked=T0 + 1, now=T0 + 1)
    assert rows["a"]["is_on"] is False
    assert rows["a"]["removed_at"] is None
    apply(rows, [item("b", T0 + 1, gone=True)], complete=False, asked=T0 + 1, now=T0 + 1)
    assert "b" not in rows


def test_a_notice_that_only_says_off_makes_no_channel_and_empties_none() -> None:
    rows: dict[str, ChannelRow] = {}
    brief = CatalogueItem(channel_id="a", name="", at_us=T0 + 1, is_on=False, brief=True)
    apply(rows, [brief], complete=False, asked=T0 + 1, now=T0 + 1)
    assert rows == {}
    apply(rows, [item("a", T0, is_on=True), brief], complete=False, asked=T0, now=T0)
    assert (rows["a"]["name"], rows["a"]["is_on"]) == ("a", False)


def test_an_answer_that_says_the_same_writes_nothing() -> None:
    rows: dict[str, ChannelRow] = {}
    apply(rows, [item("a", T0, is_on=True)], complete=True, asked=T0, now=T0)
    found = compare(
        "d", rows, by_channel([item("a", T0 + 9, is_on=True)]), complete=True, asked_us=T0 + 8, now_us=T0 + 9
    )
    assert (found.unchanged, found.written) == (1, {})


names = st.sampled_from(["a", "b", "c"])
#: what a device does, as its platform would see it: it has channels, which come, go, and turn on and off
event = st.one_of(
    st.tuples(st.just("add"), names),
    st.tuples(st.just("take"), names),
    st.tuples(st.just("on"), names),
    st.tuples(st.just("off"), names),
    st.tuples(st.just("ask"), st.just("")),
    st.tuples(st.just("answer"), st.just("")),
    st.tuples(st.just("part"), st.just("")),
    st.tuples(st.just("again"), st.just("")),
)


@settings(max_examples=400)
@given(st.lists(event, max_size=60), st.randoms())
def test_however_notices_and_answers_interleave_truth_wins(events: list[tuple[str, str]], random: object) -> None:
    """The device is the truth. Answers carry what was true when they were asked for, and arrive any time later."""
    truth: dict[str, bool] = {}
    rows: dict[str, ChannelRow] = {}
    under_way: list[tuple[int, dict[str, bool]]] = []
    delivered: list[tuple[list[CatalogueItem], bool, int]] = []
    now = T0
    absent_asks: dict[str, int] = {}

    def deliver(items: list[CatalogueItem], complete: bool, asked: int) -> None:
        before = {name: row["removed_at"] for name, row in rows.items()}
        apply(rows, items, complete=complete, asked=asked, now=now)
        for name, row in rows.items():
            if row["removed_at"] is not None and before.get(name) is None:
                assert complete, "only a complete answer removes"
                assert absent_asks.get(name, 0) >= 2, "and only the second one that lacked it"

    for what, name in events:
        now += SECOND
        if what == "add" and name not in truth:
            truth[name] = True
            deliver([item(name, now, is_on=True)], False, now)
        elif what == "take" and name in truth:
            del truth[name]
            deliver([item(name, now, gone=True)], False, now)
        elif what in ("on", "off") and name in truth:
            truth[name] = what == "on"
            deliver([item(name, now, is_on=truth[name])], False, now)
        elif what == "ask":
            under_way.append((now, dict(truth)))
            for known in rows:
                if known not in truth:
                    absent_asks[known] = absent_asks.get(known, 0) + 1
        elif what in ("answer", "part") and under_way:
            asked, said = under_way.pop(0)
            items = [item(n, asked, is_on=on) for n, on in said.items()]
            if what == "part":
                items = items[:1]
            delivered.append((items, what == "answer", asked))
            deliver(*delivered[-1])
        elif what == "again" and delivered:
            deliver(*delivered[-1])
    assert set(truth) <= set(rows)
    # now the device is left in peace: two answers settle everything
    for _ in range(2):
        now += SECOND
        apply(rows, [item(n, now, is_on=on) for n, on in truth.items()], complete=True, asked=now, now=now)
    there = {name for name, row in rows.items() if row["removed_at"] is None}
    assert there == set(truth)
    assert {name: rows[name]["is_on"] for name in truth} == truth
    assert all(to_micros(row["seen_at"]) <= now for row in rows.values())
