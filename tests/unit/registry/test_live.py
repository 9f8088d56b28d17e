"""Live state from evidence: the rules, their time, and what a restart believes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anwang.kernel.errors import Invalid
from anwang.kernel.ids import uuid7
from anwang.registry.columns import PointColumns, Row
from anwang.registry.facts import STATES, DeviceStateChanged, StateChanges
from anwang.registry.live import DAY, SECOND, Live, Rules
from anwang.registry.model import REASONS, Evidence, EvidenceKind, State

T0 = 1_800_000_000 * SECOND
RULES = Rules()
NVR = "gb28181/34020000001180000001"


def city(points: int = 3, *, bound: bool = True, rules: Rules = RULES) -> tuple[Live, PointColumns, list[str]]:
    columns = PointColumns(4)
    ids = [f"018bcfe5-6800-7000-8000-{i:012x}" for i in range(points)]
    columns.put(
        [
            Row(ix=i, id=p, longitude=None, latitude=None, kind="camera", point_class=1, lifecycle="in_use",
                org_path="/", owns=None, division=None, department=None, zone="",
                heading_deg=None, fov_deg=None)
            for i, p in enumerate(ids)
        ]
    )  # fmt: skip
    live = Live(columns, rules)
    live.add_device(NVR)
    if bound:
        live.bind(np.arange(points, dtype=np.int32), np.zeros(points, np.int32))
    return live, columns, ids


def heard(live: Live, subject: str, kind: str, at: int, ok: bool = True) -> None:
    live.note([Evidence(subject, EvidenceKind(kind), at, ok)])


def settle(live: Live, at: int) -> None:
    """Long enough after `at` for every debounce, and no longer."""
    for seconds in (0, 5, 10):
        live.tick(at + seconds * SECOND)


def online_city() -> tuple[Live, list[str]]:
    live, _, ids = city()
    for point in ids:
        heard(live, point, "catalogue", T0)
    heard(live, NVR, "registration", T0)
    live.tick(T0)
    assert {live.state(i)[0] for i in range(3)} == {State.ONLINE}
    return live, ids


def test_nothing_heard_is_unknown() -> None:
    live, _, ids = city()
    settle(live, T0)
    assert live.state(0)[0] is State.UNKNOWN
    assert live.explain(0, T0).verdict.key == "device_never_heard"
    assert live.device_state(NVR)[0] is State.UNKNOWN
    assert len(ids) == 3


def test_keepalives_keep_a_device_online_and_silence_takes_it_and_its_channels_away() -> None:
    live, _ = online_city()
    for minute in range(1, 60):
        heard(live, NVR, "keepalive", T0 + minute * 60 * SECOND)
        live.tick(T0 + minute * 60 * SECOND)
    last = T0 + 59 * 60 * SECOND
    live.tick(last + 179 * SECOND)
    assert live.device_state(NVR)[0] is State.ONLINE
    settle(live, last + 181 * SECOND)
    assert live.device_state(NVR)[0] is State.OFFLINE
    assert {live.state(i)[0] for i in range(3)} == {State.OFFLINE}
    assert live.explain(0, last + 300 * SECOND).verdict.numbers == {"silent_s": 300, "allowed_s": 180}


def test_a_keepalive_with_a_bad_status_still_proves_life() -> None:
    """A platform marked devices offline for an invalid parameter in a keep-alive."""
    live, _ = online_city()
    for minute in range(1, 10):
        heard(live, NVR, "keepalive", T0 + minute * 60 * SECOND, ok=False)
        live.tick(T0 + minute * 60 * SECOND)
    assert live.device_state(NVR)[0] is State.ONLINE


def test_a_log_out_takes_the_channels_along_and_a_return_brings_them_back() -> None:
    live, _ = online_city()
    heard(live, NVR, "registration", T0 + SECOND, ok=False)
    settle(live, T0 + SECOND)
    assert {live.state(i)[0] for i in range(3)} == {State.OFFLINE}
    assert live.explain(0, T0).verdict.key == "device_left"
    heard(live, NVR, "registration", T0 + 60 * SECOND)
    live.tick(T0 + 60 * SECOND)
    assert {live.state(i)[0] for i in range(3)} == {State.ONLINE}


def test_a_blip_is_not_announced() -> None:
    live, _ = online_city()
    told: list[StateChanges] = []
    live.subscribe(told.append)
    heard(live, NVR, "registration", T0 + SECOND, ok=False)
    live.tick(T0 + SECOND)
    heard(live, NVR, "registration", T0 + 3 * SECOND)
    settle(live, T0 + 3 * SECOND)
    assert told == []


def test_a_channel_that_the_catalogue_calls_off_is_offline_alone() -> None:
    live, ids = online_city()
    heard(live, ids[1], "catalogue", T0 + SECOND, ok=False)
    settle(live, T0 + SECOND)
    assert [live.state(i)[0] for i in range(3)] == [State.ONLINE, State.OFFLINE, State.ONLINE]
    assert live.explain(1, T0).verdict.key == "listed_off"


def test_packets_prove_a_point_whatever_else_is_said_and_only_while_they_come() -> None:
    live, _, ids = city()
    heard(live, ids[0], "packet", T0)
    live.tick(T0)
    assert live.state(0)[0] is State.ONLINE
    settle(live, T0 + 16 * SECOND)
    assert live.state(0)[0] is State.UNKNOWN


def test_a_stale_picture_proves_nothing() -> None:
    live, _, ids = city(bound=False)
    heard(live, ids[0], "picture", T0 - DAY)
    settle(live, T0)
    assert live.state(0)[0] is State.UNKNOWN
    heard(live, ids[0], "picture", T0)
    live.tick(T0)
    assert live.state(0)[0] is State.ONLINE


def test_a_play_without_media_is_told_and_changes_no_state() -> None:
    live, ids = online_city()
    heard(live, ids[0], "packet", T0 + SECOND, ok=False)
    settle(live, T0 + SECOND)
    seen = live.explain(0, T0 + 31 * SECOND)
    assert (seen.state, seen.verdict.key, seen.verdict.numbers) == (State.ONLINE, "no_media", {"ago_s": 30})
    assert "30" in seen.verdict.sentence()
    assert "30" in seen.verdict.sentence(chinese=False)


def test_evidence_about_strangers_is_dropped_and_counted() -> None:
    live, _, ids = city()
    live.note(
        [
            Evidence("gb28181/nobody", EvidenceKind.KEEPALIVE, T0),
            Evidence("not an id", EvidenceKind.PACKET, T0),
            Evidence("f" * 40, EvidenceKind.PACKET, T0),
            Evidence(ids[0], EvidenceKind.KEEPALIVE, T0),
            Evidence(NVR, EvidenceKind.PICTURE, T0),
        ]
    )
    live.note([])
    assert (live.strange, live.noted) == (5, 5)
    settle(live, T0)
    assert live.state(0)[0] is State.UNKNOWN


def test_older_news_never_overwrite_newer_ones_in_any_order() -> None:
    live, _, ids = city()
    heard(live, NVR, "keepalive", T0 + 10 * SECOND)
    live.note(
        [
            Evidence(ids[0], EvidenceKind.CATALOGUE, T0 + 5 * SECOND, False),
            Evidence(ids[0], EvidenceKind.CATALOGUE, T0 + 9 * SECOND, True),
            Evidence(ids[0], EvidenceKind.CATALOGUE, T0 + 7 * SECOND, False),
        ]
    )
    heard(live, ids[0], "catalogue", T0 + 8 * SECOND, ok=False)
    settle(live, T0 + 10 * SECOND)
    assert live.state(0)[0] is State.ONLINE


def test_changes_are_announced_in_one_batch_with_their_cause() -> None:
    live, ids = online_city()
    told: list[StateChanges] = []
    lost: list[DeviceStateChanged] = []
    end = live.subscribe(told.append)
    live.subscribe_devices(lost.append)
    settle(live, T0 + 181 * SECOND)
    assert len(told) == 1
    assert sorted(told[0].ix.tolist()) == [0, 1, 2]
    assert set(told[0].cause.tolist()) == {0}
    assert {point for point, _, _ in told[0].rows()} == set(ids)
    assert len(told[0].rows(2)) == 2
    assert [(f.device_id, f.state, f.points) for f in lost] == [("34020000001180000001", State.OFFLINE, 3)]
    end()
    heard(live, NVR, "keepalive", T0 + 300 * SECOND)
    live.tick(T0 + 300 * SECOND)
    assert len(told) == 1


def test_a_cursor_gives_what_changed_since_then_once() -> None:
    live, _ = online_city()
    before = live.cursor
    assert live.changes_since(before) is not None
    settle(live, T0 + 181 * SECOND)
    heard(live, NVR, "keepalive", T0 + 300 * SECOND)
    live.tick(T0 + 300 * SECOND)
    found = live.changes_since(before)
    assert found is not None
    ix, new, _, after = found
    assert sorted(ix.tolist()) == [0, 1, 2]
    assert {STATES[n] for n in new} == {State.ONLINE}
    again = live.changes_since(after)
    assert again is not None
    assert len(again[0]) == 0
    for cursor in ("x-1", "", f"{before}9", "deadbeef-0", before.split("-")[0] + "--1", "é"):
        assert live.changes_since(cursor) is None


def test_the_ring_forgets_the_oldest_and_says_so() -> None:
    live, _, ids = city(rules=Rules(ring=1024))
    first = live.cursor
    for n in range(2000):
        heard(live, NVR, "registration", T0 + n * 20 * SECOND, ok=n % 2 == 0)
        heard(live, ids[0], "catalogue", T0 + n * 20 * SECOND)
        settle(live, T0 + n * 20 * SECOND)
    assert live.changes_since(first) is None


def test_history_is_the_stretches_between_changes() -> None:
    live, _ = online_city()
    settle(live, T0 + 181 * SECOND)
    heard(live, NVR, "keepalive", T0 + 400 * SECOND)
    live.tick(T0 + 400 * SECOND)
    spans = live.history(0, T0 - 100 * SECOND, T0 + 500 * SECOND)
    assert [s.state for s in spans] == [State.UNKNOWN, State.ONLINE, State.OFFLINE, State.ONLINE]
    assert spans[0].start_us == T0 - 100 * SECOND
    assert spans[-1].end_us is None
    assert all(a.end_us == b.start_us for a, b in pairwise(spans))
    assert [s.state for s in live.history(0, T0 + 450 * SECOND, T0 + 500 * SECOND)] == [State.ONLINE]


def test_a_restart_believes_for_one_silence_and_its_absence_is_unknown_in_history() -> None:
    live, ids = online_city()
    data = live.snapshot(T0 + 10 * SECOND).pack()
    later = T0 + 3600 * SECOND
    second, _, _ = city()
    second.restore(data, later)
    settle(second, later)
    assert {second.state(i)[0] for i in range(3)} == {State.ONLINE}
    assert second.explain(0, later).verdict.key == "listed_on"
    assert second.explain_device(NVR, later).verdict.key == "device_held"
    states = [s.state for s in second.history(0, T0 - SECOND, later + 10 * SECOND)]
    assert states == [State.UNKNOWN, State.ONLINE, State.UNKNOWN, State.ONLINE]
    settle(second, later + 181 * SECOND)
    assert {second.state(i)[0] for i in range(3)} == {State.OFFLINE}
    assert second.changes_since(live.cursor) is None
    assert ids


def test_a_checkpoint_of_other_points_or_none_at_all_is_no_harm() -> None:
    live, _ = online_city()
    data = live.snapshot(T0).pack()
    columns = PointColumns()
    columns.put([Row(ix=0, id=uuid7(5), longitude=None, latitude=None, kind="camera", point_class=1, lifecycle="in_use",
                     org_path="/", owns=None, division=None, department=None, zone="",
                heading_deg=None, fov_deg=None)])  # fmt: skip
    other = Live(columns)
    other.restore(data, T0 + SECOND)
    other.tick(T0 + SECOND)
    assert other.state(0)[0] is State.UNKNOWN
    for junk in (b"", b"PK\x03\x04 junk", data[: len(data) // 2], bytes(100)):
        with pytest.raises(Invalid):
            other.restore(junk, T0)


@given(st.binary(max_size=300))
def test_a_checkpoint_of_random_bytes_is_refused(data: bytes) -> None:
    live, _, _ = city()
    with pytest.raises(Invalid):
        live.restore(data, T0)


step = st.tuples(
    st.integers(0, 90),
    st.sampled_from(["registration", "keepalive", "catalogue", "packet", "picture", "recording", "nothing"]),
    st.booleans(),
)


def oracle(log: list[tuple[int, str, bool]], now: int) -> State:
    """The rules, one piece of evidence after the other, without arrays, debounce or due moments."""
    last = {kind: max((e for e in log if e[1] == kind), default=None) for kind in EvidenceKind}
    fresh = (("packet", 15), ("picture", 120), ("recording", 90))
    for kind, seconds in fresh:
        newest = last[EvidenceKind(kind)]
        if newest and newest[2] and now < newest[0] + seconds * SECOND:
            return State.ONLINE
    registration, keepalive = last[EvidenceKind.REGISTRATION], last[EvidenceKind.KEEPALIVE]
    moments = [registration[0]] if registration and registration[2] else []
    moments += [keepalive[0]] if keepalive else []
    ended = registration[0] if registration and not registration[2] else 0
    if not moments and not ended:
        return State.UNKNOWN
    at = max(moments, default=0)
    if not moments or at < ended or now >= at + 180 * SECOND:
        return State.OFFLINE
    listed = last[EvidenceKind.CATALOGUE]
    if listed is None:
        return State.UNKNOWN
    return State.ONLINE if listed[2] else State.OFFLINE


@settings(max_examples=200, deadline=None)
@given(st.lists(step, max_size=40))
def test_states_are_what_the_rules_say_at_every_moment(steps: list[tuple[int, str, bool]]) -> None:
    instant = Rules(online_debounce_s=0, offline_debounce_s=0, unknown_debounce_s=0)
    live, _, ids = city(1, rules=instant)
    now = T0
    log: list[tuple[int, str, bool]] = []
    for seconds, kind, ok in steps:
        for _ in range(seconds):
            now += SECOND
            live.tick(now)
        if kind != "nothing":
            now += 1
            log.append((now, kind, ok))
            heard(live, NVR if kind in ("registration", "keepalive") else ids[0], kind, now, ok)
        live.tick(now)
        assert live.state(0)[0] is oracle(log, now), log


@settings(max_examples=100, deadline=None)
@given(st.lists(step, max_size=30))
def test_noting_one_by_one_or_in_batches_is_the_same(steps: list[tuple[int, str, bool]]) -> None:
    one, _, ids = city(2)
    many, _, _ = city(2)
    now, batch = T0, []
    for i, (seconds, kind, ok) in enumerate(steps):
        now += seconds * SECOND + 1
        if kind == "nothing":
            continue
        subject = NVR if kind in ("registration", "keepalive") else ids[i % 2]
        batch.append(Evidence(subject, EvidenceKind(kind), now, ok))
        one.note(batch[-1:])
    many.note(batch[::-1])
    settle(one, now)
    settle(many, now)
    assert [one.state(i)[0] for i in range(2)] == [many.state(i)[0] for i in range(2)]
    assert one.explain(0, now).evidence == many.explain(0, now).evidence


def test_fast_keepalives_are_the_same_as_noted_ones() -> None:
    one, _ = online_city()
    two, _ = online_city()
    for minute in range(1, 5):
        heard(one, NVR, "keepalive", T0 + minute * 60 * SECOND)
        two.note_alive(np.array([0], np.int32), np.array([T0 + minute * 60 * SECOND]))
    for live in (one, two):
        live.tick(T0 + 300 * SECOND)
    assert one.explain_device(NVR, T0) == two.explain_device(NVR, T0)
    assert one.last_heard(NVR) == two.last_heard(NVR) == T0 + 240 * SECOND


@given(st.lists(st.tuples(st.sampled_from(range(9)), st.integers(0, 400), st.booleans()), max_size=12))
def test_the_reasons_of_many_are_the_verdicts_of_each(heard: list[tuple[int, int, bool]]) -> None:
    columns = PointColumns()
    ids = [f"018bcfe5-6800-7000-8000-{i:012x}" for i in range(3)]
    columns.put(
        [
            Row(ix=i, id=p, longitude=None, latitude=None, kind="camera", point_class=1, lifecycle="in_use",
                org_path="/", owns=None, division=None, department=None, zone="",
                heading_deg=None, fov_deg=None)
            for i, p in enumerate(ids)
        ]
    )  # fmt: skip
    live = Live(columns)
    live.add_device("g/d")
    live.bind(np.array([0, 1], np.int32), np.zeros(2, np.int32))
    of_points = (EvidenceKind.CATALOGUE, EvidenceKind.PACKET, EvidenceKind.PICTURE, EvidenceKind.RECORDING)
    subjects = [
        ("g/d", EvidenceKind.REGISTRATION),
        ("g/d", EvidenceKind.KEEPALIVE),
        *((ids[0], kind) for kind in of_points),
    ]
    subjects += [(ids[1], EvidenceKind.CATALOGUE), (ids[2], EvidenceKind.PACKET), (ids[1], EvidenceKind.PACKET)]
    start = 1_800_000_000 * SECOND
    for number, second, ok in sorted(heard, key=lambda item: item[1]):
        subject, kind = subjects[number]
        live.note([Evidence(subject, kind, start + second * SECOND, ok)])
        live.tick(start + second * SECOND)
    now = start + 401 * SECOND
    for _ in range(12):
        live.tick(now)
        now += SECOND
    reasons = live._reasons(np.arange(3, dtype=np.int32), now)
    assert [REASONS[number] for number in reasons] == [
        verdict if (verdict := live.explain(ix, now).verdict.key) not in ("device_heard", "device_held") else "?"
        for ix in range(3)
    ]
