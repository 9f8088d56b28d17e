"""The golden table, scopes and decisions."""

from __future__ import annotations

import dataclasses
import itertools
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine, select
from sqlalchemy.dialects import postgresql, sqlite

from anwang.governance import (
    ADMINISTRATORS,
    CONTENT,
    EVERYTHING,
    GRANTS,
    NOTHING,
    Action,
    Actor,
    Grant,
    Hours,
    Object,
    Role,
    Scope,
    Verdict,
    check_path,
    may,
)
from anwang.governance.http import AbilitiesDto
from anwang.governance.model import PLAYS, SIGHT, STEERS, decide, scope_of
from anwang.governance.scopes import Area, Columns, GrantId, Miss, live_until
from anwang.kernel.errors import Denied, Invalid, NotFound
from anwang.kernel.ids import OrgId, SessionId, UserId
from anwang.kernel.times import Span, to_micros

GOLDEN = """
own_account    administrator security audit operator viewer investigator officer contractor
read_points    administrator security audit operator viewer investigator officer contractor
read_timeline  administrator security audit operator viewer investigator officer contractor
read_trace     administrator -        -     operator -      investigator officer contractor
view_live      -             -        -     operator viewer investigator officer -
view_playback  -             -        -     operator viewer investigator officer -
snapshot       -             -        -     operator -      investigator officer -
export         -             -        -     operator -      investigator officer -
ptz            -             -        -     operator -      -            officer -
hold           -             -        -     operator -      investigator officer -
delete         -             -        -     -        -      -            officer -
unmask         -             -        -     operator -      investigator officer -
edit_masks     -             -        -     -        -      -            officer -
import_points  administrator -        -     -        -      -            -       -
edit_points    administrator -        -     -        -      -            -       -
adopt          administrator -        -     -        -      -            -       -
read_system    administrator -        -     operator -      -            officer contractor
manage_users   -             security -     -        -      -            -       -
read_ledger    -             -        audit -        -      -            -       -
administer     administrator -        -     -        -      -            -       -
open_purpose   -             -        -     operator viewer investigator officer -
ask_approval   -             -        -     operator viewer investigator officer -
approve        -             -        -     -        -      -            officer -
read_duties    administrator -        audit -        -      -            officer -
manage_duties  administrator -        -     -        -      -            -       -
settle_anomalies -           -        audit -        -      -            -       -
read_breaches  -             security audit -        -      -            officer -
manage_breaches -            security -     -        -      -            officer -
read_requests  -             -        audit -        -      -            officer -
handle_requests -            -        -     -        -      -            officer -
"""
NAMES = {"security": Role.SECURITY, "audit": Role.AUDIT}


NOW = datetime(2026, 11, 30, 4, 0, tzinfo=UTC)
"""Monday noon in Beijing."""
STATION = Object("p", "/city/north/station/", department="0101/0203", point_class=2, kind="camera", zone="video")


def granted(org_path: str = "/city/north/", **more: Any) -> Grant:
    area = Area(
        org_path, **{name: more.pop(name) for name in ("departments", "classes", "kinds", "zones") if name in more}
    )
    start = {"starts_at": NOW - timedelta(days=30), **more}
    return Grant(id=GrantId("g"), org_id=OrgId("north"), org_name="北区", area=area, **start)


def someone(role: Role, *grants: Grant) -> Actor:
    return Actor(
        user_id=UserId("u"), username="li", display_name="李", role=role, org_id=OrgId("north"), org_name="北区",
        org_path="/city/north/", session_id=SessionId("s"), service=False, grants=grants or (granted(),),
    )  # fmt: skip


def test_the_golden_table() -> None:
    rows = [line.split() for line in GOLDEN.strip().splitlines()]
    expected = {
        (NAMES.get(name) or Role(name), Action(action)) for action, *names in rows for name in names if name != "-"
    }
    assert [action for action, *_ in rows] == [action.value for action in Action]
    assert {(role, action) for role, granted in GRANTS.items() for action in granted} == expected


def test_g13_no_administrator_does_another_s_work() -> None:
    tasks = {
        Role.ADMINISTRATOR: {
            Action.MANAGE_DUTIES,
            Action.ADMINISTER,
            Action.ADOPT,
            Action.EDIT_POINTS,
            Action.IMPORT_POINTS,
        },
        Role.SECURITY: {Action.MANAGE_USERS},
        Role.AUDIT: {Action.READ_LEDGER, Action.SETTLE_ANOMALIES},
    }
    for role, own in tasks.items():
        assert own <= GRANTS[role]
        for other in Role:
            assert other is role or not own & GRANTS[other], "nobody else either"


def test_g13_administrators_have_no_right_to_content() -> None:
    for role, action in itertools.product(ADMINISTRATORS, CONTENT):
        decision = decide(someone(role), action, STATION, now=NOW)
        assert decision.verdict is Verdict.REFUSED
        with pytest.raises(Denied, match="no right to content") as refused:
            decision.enforce()
        assert "operators" in refused.value.hint


def test_unseen_looks_unknown_before_rights_are_looked_at() -> None:
    for role in Role:
        for action in Action:
            decision = decide(someone(role), action, Object("p", "/city/south/"), now=NOW)
            assert decision.verdict is Verdict.UNSEEN
            with pytest.raises(NotFound) as unseen:
                decision.enforce()
            assert unseen.value.reason == "there is no such object"


def test_seen_and_granted_is_allowed_and_scope_agrees() -> None:
    for role in Role:
        for action in Action:
            if may(role, action):
                assert decide(someone(role), action, STATION, now=NOW).enforce().verdict is Verdict.ALLOWED
                found = scope_of(someone(role), action)
                assert (found.areas, found.shared) == (Scope.below("/city/north/").areas, action in SIGHT)
            else:
                with pytest.raises(Denied):
                    scope_of(someone(role), action)


def test_who_may_see_a_point_looks_at_it_and_does_nothing_else() -> None:
    lent = Object("p", "/city/south/", point_class=1, may_see=("/city/north/yard/", "/city/west/"))
    for role, action in itertools.product(Role, Action):
        if not may(role, action):
            continue
        decision = decide(someone(role), action, lent, now=NOW)
        assert decision.verdict is (Verdict.ALLOWED if action in SIGHT else Verdict.REFUSED), (role, action)
        assert action in SIGHT or "look at this" in decision.reason
        assert scope_of(someone(role), action).covers(lent) is (action in SIGHT)
    for path, narrowed, is_seen in (
        ("/city/", {}, True),
        ("/city/north/yard/", {}, True),
        ("/city/north/yard/gate/", {}, False),  # the yard may see it, not each of its units
        ("/city/east/", {}, False),
        ("/city/north/", {"classes": frozenset({2})}, False),  # a narrowed grant stays narrow
    ):
        viewer = someone(Role.VIEWER, granted(path, **narrowed))
        assert (decide(viewer, Action.VIEW_LIVE, lent, now=NOW).verdict is Verdict.ALLOWED) is is_seen, path
    partner = dataclasses.replace(someone(Role.VIEWER), is_partner=True)
    assert decide(partner, Action.VIEW_LIVE, lent, now=NOW).verdict is Verdict.UNSEEN
    assert not scope_of(dataclasses.replace(someone(Role.OPERATOR), looks=True), Action.PTZ).shared


def test_the_session_answer_names_every_action() -> None:
    assert list(AbilitiesDto.model_fields) == [action.value for action in Action]


@pytest.mark.parametrize("path", ["", "city/", "/city", "//", "/a//b/", " /"])
def test_a_wrong_path_is_refused(path: str) -> None:
    with pytest.raises(Invalid):
        check_path(path)


step = st.text("abz09-ZÄ北", min_size=1, max_size=3)
paths = st.lists(step, max_size=4).map(lambda steps: "/" + "".join(f"{each}/" for each in steps))
rows_table = Table("rows", MetaData(), Column("org_path", Text))


@given(paths, st.lists(paths, min_size=1, max_size=8))
def test_the_sql_of_a_scope_says_what_covers_says(scope_path: str, rows: list[str]) -> None:
    for scope in (Scope.below(scope_path), EVERYTHING, NOTHING):
        statement = select(rows_table.c.org_path).where(scope.where(rows_table.c.org_path))
        sql = str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
        database = sqlite3.connect(":memory:")
        try:
            database.execute("CREATE TABLE rows (org_path TEXT)")
            database.executemany("INSERT INTO rows VALUES (?)", [(row,) for row in rows])
            found = sorted(row for (row,) in database.execute(sql))
        finally:
            database.close()
        assert found == sorted(row for row in rows if scope.covers_path(row))


def test_on_postgresql_paths_are_compared_byte_by_byte() -> None:
    sql = str(Scope.below("/city/").where(rows_table.c.org_path).compile(dialect=postgresql.dialect()))
    assert sql.count('rows.org_path COLLATE "C"') == 2


areas = st.builds(
    Area,
    paths,
    departments=st.frozensets(st.sampled_from(["01", "0101", "02_", "%"]), max_size=2),
    classes=st.frozensets(st.sampled_from([1, 2, 3]), max_size=2),
    kinds=st.frozensets(st.sampled_from(["camera", "sensor"]), max_size=2),
    zones=st.frozensets(st.sampled_from(["video", "internet"]), max_size=2),
)
objects = st.builds(
    Object,
    st.just("p"),
    paths,
    department=st.sampled_from(["", "01", "0101", "01/02_", "021", "x%y"]),
    point_class=st.sampled_from([1, 2, 3]),
    kind=st.sampled_from(["camera", "sensor"]),
    zone=st.sampled_from(["video", "internet"]),
)
points_table = Table(
    "points",
    MetaData(),
    Column("org_path", Text),
    Column("department", Text),
    Column("point_class", Integer),
    Column("kind", Text),
    Column("zone", Text),
)


@given(st.lists(areas, max_size=4), st.lists(objects, min_size=1, max_size=8))
def test_g12_the_sql_of_areas_says_what_covers_says(chosen: list[Area], seen: list[Object]) -> None:
    scope = Scope(tuple(chosen))
    columns = points_table.c
    where = scope.where_point(
        Columns(
            org_path=columns.org_path,
            department=columns.department,
            point_class=columns.point_class,
            kind=columns.kind,
            zone=columns.zone,
        )
    )
    engine = create_engine("sqlite://")
    with engine.begin() as database:
        points_table.create(database)
        rows = [
            {
                "org_path": one.org_path,
                "department": one.department or None,
                "point_class": one.point_class,
                "kind": one.kind,
                "zone": one.zone,
            }
            for one in seen
        ]
        database.execute(points_table.insert(), rows)
        found = list(database.scalars(select(columns.org_path).where(where)))
    engine.dispose()
    assert sorted(found) == sorted(one.org_path for one in seen if scope.covers(one))
    for one in seen:
        assert scope.reaches(one.org_path) or not scope.covers(one)
        assert not scope.covers_path(one.org_path) or scope.covers(one)


def test_g12_the_first_thing_that_does_not_fit_is_told() -> None:
    for narrow, miss in (
        ({"org_path": "/city/south/"}, Miss.ORGANISATION),
        ({"departments": frozenset({"0102"})}, Miss.DEPARTMENT),
        ({"classes": frozenset({1, 3})}, Miss.CLASS),
        ({"kinds": frozenset({"sensor"})}, Miss.KIND),
        ({"zones": frozenset({"internet"})}, Miss.ZONE),
    ):
        grant = granted(**narrow)
        assert grant.area.miss(STATION) is miss
        assert decide(someone(Role.OPERATOR, grant), Action.VIEW_LIVE, STATION, now=NOW).verdict is Verdict.UNSEEN
    fits = granted(
        departments=frozenset({"0203"}), classes=frozenset({2}), kinds=frozenset({"camera"}), zones=frozenset({"video"})
    )
    assert fits.area.miss(STATION) is None
    assert decide(someone(Role.OPERATOR, fits), Action.VIEW_LIVE, STATION, now=NOW).verdict is Verdict.ALLOWED
    assert not Scope((fits.area,)).covers_path(STATION.org_path), "what is no point has no class and no kind"


def test_g12_live_pictures_have_their_hours_and_recordings_theirs() -> None:
    working = Hours(frozenset(range(5)), 8 * 60, 18 * 60)
    actor = someone(Role.OPERATOR, granted(live=working, history_from=NOW - timedelta(hours=1)))
    evening = NOW + timedelta(hours=7)
    for action in STEERS:
        assert decide(actor, action, STATION, now=NOW).verdict is Verdict.ALLOWED
        late = decide(actor, action, STATION, now=evening)
        assert (late.verdict, late.lack) == (Verdict.REFUSED, None)
        assert "hour" in late.reason
    assert decide(actor, Action.READ_POINTS, STATION, now=evening).verdict is Verdict.ALLOWED, "it is seen all day"
    end = to_micros(NOW)
    since, before = Span(end - 3_600_000_000, end), Span(end - 3_600_000_001, end)
    for action in PLAYS:
        assert decide(actor, action, STATION, now=evening, span=since).verdict is Verdict.ALLOWED
        early = decide(actor, action, STATION, now=NOW, span=before)
        assert early.reason == "your rights reach recordings since 2026-11-30T03:00:00Z only"
    none = someone(Role.OPERATOR, granted(has_history=False))
    assert decide(none, Action.VIEW_PLAYBACK, STATION, now=NOW, span=since).verdict is Verdict.REFUSED
    two = someone(Role.OPERATOR, granted(has_history=False), granted(live=working))
    assert decide(two, Action.VIEW_PLAYBACK, STATION, now=NOW, span=before).verdict is Verdict.ALLOWED
    assert decide(two, Action.VIEW_LIVE, STATION, now=evening).verdict is Verdict.ALLOWED


@pytest.mark.parametrize(
    ("days", "start", "end", "hour", "until"),
    [
        ({0}, 480, 1080, 12, 18),  # within the day
        ({0}, 480, 1080, 18, None),  # its end is not in it
        ({0}, 1320, 360, 23, 30),  # Monday night runs into Tuesday
        ({0}, 1320, 360, 29, 30),
        ({0}, 1320, 360, 3, None),  # the night before Monday is Sunday's
        ({6}, 1320, 360, 3, 6),
        ({0}, 0, 1440, 23, 24),
        ({0}, 480, 480, 20, 32),  # from eight to eight
        ({1}, 480, 1080, 12, None),
    ],
)
def test_hours_of_the_week(days: set[int], start: int, end: int, hour: int, until: int | None) -> None:
    monday = datetime(2026, 11, 29, 16, tzinfo=UTC)  # midnight in Beijing
    found = Hours(frozenset(days), start, end).ends_at(monday + timedelta(hours=hour))
    assert found == (None if until is None else monday + timedelta(hours=until))


@pytest.mark.parametrize(
    ("days", "start", "end"), [((), 0, 1), ((7,), 0, 1), ((0,), -1, 5), ((0,), 1440, 5), ((0,), 0, 0)]
)
def test_hours_that_are_none_are_refused(days: tuple[int, ...], start: int, end: int) -> None:
    with pytest.raises(Invalid):
        Hours(frozenset(days), start, end)


def test_the_last_of_several_hours_ends_a_live_picture() -> None:
    short, long = Hours(frozenset({0}), 0, 13 * 60), Hours(frozenset({0}), 0, 15 * 60)
    assert live_until([granted(live=short), granted(live=long)], NOW) == NOW + timedelta(hours=3)
    assert live_until([granted(live=short), granted()], NOW) is None


def test_a_grant_holds_from_its_start_to_before_its_end() -> None:
    grant = granted(starts_at=NOW, ends_at=NOW + timedelta(hours=1))
    at = [grant.in_force(NOW + timedelta(hours=hours)) for hours in (-0.1, 0, 0.9, 1)]
    assert at == [False, True, True, False]


def test_organisations_of_a_scope() -> None:
    narrow = Area("/b/", kinds=frozenset({"camera"}))
    assert Scope((Area("/a/b/"), Area("/a/"), narrow)).paths == ("/a/", "/b/")
    assert Scope((Area("/a/b/"), Area("/a/"))).root == "/a/"
    assert Scope((Area("/a/"), narrow)).root is None
    assert Scope((Area("/a/"), Area("/a/", kinds=frozenset({"camera"})))).root == "/a/"
    assert (EVERYTHING.root, NOTHING.root, NOTHING.paths) == ("/", None, ())
    assert EVERYTHING.sees_all
    assert not Scope((Area("/", kinds=frozenset({"camera"})),)).sees_all
    assert Scope((narrow, Area("/", classes=frozenset({2, 1})))).told() == "/b/ kind=camera; / class=1,2"
