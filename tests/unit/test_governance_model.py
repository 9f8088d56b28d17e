"""The golden table, scopes and decisions."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, Table, Text, select
from sqlalchemy.dialects import postgresql, sqlite

from anwang.governance import CONTENT, EVERYTHING, GRANTS, NOTHING, Action, Actor, Role, Scope, Verdict
from anwang.governance.http import AbilitiesDto
from anwang.governance.model import check_path, decide, may, scope_of
from anwang.kernel.errors import Denied, Invalid, NotFound
from anwang.kernel.ids import OrgId, SessionId, UserId

GOLDEN = """
own_account       administrator operator viewer
read_points       administrator operator viewer
read_timeline     administrator operator viewer
read_trace        administrator operator -
view_live         -             operator viewer
view_playback     -             operator viewer
snapshot          -             operator -
export            -             operator -
ptz               -             operator -
hold              -             operator -
import_points     administrator -        -
edit_points       administrator -        -
adopt             administrator -        -
read_system       administrator operator -
manage_users      administrator -        -
read_ledger       administrator -        -
administer        administrator -        -
"""


def someone(role: Role, org_path: str = "/city/north/") -> Actor:
    return Actor(
        user_id=UserId("u"), username="li", display_name="李", role=role, org_id=OrgId("north"), org_name="北区",
        org_path=org_path, session_id=SessionId("s"), service=False,
    )  # fmt: skip


def test_the_golden_table() -> None:
    rows = [line.split() for line in GOLDEN.strip().splitlines()]
    expected = {(Role(name), Action(action)) for action, *names in rows for name in names if name != "-"}
    assert [action for action, *_ in rows] == [action.value for action in Action]
    assert {(role, action) for role, granted in GRANTS.items() for action in granted} == expected


def test_administrators_have_no_right_to_content() -> None:
    assert not GRANTS[Role.ADMINISTRATOR] & CONTENT
    for action in CONTENT:
        decision = decide(someone(Role.ADMINISTRATOR), action, org_path="/city/north/station/")
        assert decision.verdict is Verdict.REFUSED
        with pytest.raises(Denied, match="no right to content") as refused:
            decision.enforce()
        assert "operators" in refused.value.hint


def test_unseen_looks_unknown_before_rights_are_looked_at() -> None:
    for role in Role:
        for action in Action:
            decision = decide(someone(role), action, org_path="/city/south/")
            assert decision.verdict is Verdict.UNSEEN
            with pytest.raises(NotFound) as unseen:
                decision.enforce()
            assert unseen.value.reason == "there is no such object"


def test_seen_and_granted_is_allowed_and_scope_agrees() -> None:
    for role in Role:
        for action in Action:
            if may(role, action):
                assert decide(someone(role), action, org_path="/city/north/x/").enforce().verdict is Verdict.ALLOWED
                assert scope_of(someone(role), action) == Scope("/city/north/")
            else:
                with pytest.raises(Denied):
                    scope_of(someone(role), action)


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
    for scope in (Scope(scope_path), EVERYTHING, NOTHING):
        statement = select(rows_table.c.org_path).where(scope.where(rows_table.c.org_path))
        sql = str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
        database = sqlite3.connect(":memory:")
        try:
            database.execute("CREATE TABLE rows (org_path TEXT)")
            database.executemany("INSERT INTO rows VALUES (?)", [(row,) for row in rows])
            found = sorted(row for (row,) in database.execute(sql))
        finally:
            database.close()
        assert found == sorted(row for row in rows if scope.covers(row))


def test_on_postgresql_paths_are_compared_byte_by_byte() -> None:
    sql = str(Scope("/city/").where(rows_table.c.org_path).compile(dialect=postgresql.dialect()))
    assert sql.count('rows.org_path COLLATE "C"') == 2
