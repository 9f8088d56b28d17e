"""Every route of a running platform, asked by a machine that means no good: schemathesis over the OpenAPI document.
(Its data that does not fit made the interpreter's own compiler fail now and then, on Python 3.11; the corpus of
tests/flow/test_texts.py stands in for it.)

Nothing of that may be an error of ours (5xx but 503, which names what is not there), tell somebody of the north about
the south, or say anything about the inside.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.asking import KINDS
from tests.flow.served import Served, serving
from tests.governed import PASSWORD

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore::DeprecationWarning")]
TESTS = Path(__file__).parents[1]
DOCUMENT = json.loads((TESTS.parent / "docs/openapi.json").read_text("utf-8"))
ENDLESS = {"/api/v1/events", "/api/v1/devices/{device_id}/messages"}
"""Answers that do not end."""
INSIDE = (
    "root:x:0:",
    "traceback (most",
    "sqlite3.",
    "asyncpg",
    "sqlalchemy",
    "syntax error at",
    "no such column",
    "/anwang/",
)
"""What only the inside of the program would say, in lower case."""
AWAY = re.compile(r"device \d{20} is not (registered|connected)|no media process is running")
"""What a 503 may say: the devices of this city are nowhere."""
UNSUPPORTED = 501
"""What a device cannot do, and says so."""


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("probe"), "furnished") as served:
        yield served


def admitted() -> dict[str, list[str]]:
    """By method and path: the roles that the golden table lets in."""
    found = {}
    for line in (TESTS / "golden/routes.txt").read_text("utf-8").splitlines():
        where, _, answers = line.split(" | ")
        said = dict(answer.split("=") for answer in answers.split())
        found[where] = [role for role, code in said.items() if code not in ("401", "403")]
    return found


class People:
    """A session of each role of the north, renewed where a request has ended it."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._clients: dict[str, httpx.Client] = {}
        self._turns: dict[str, Iterator[str]] = {}
        self._admitted = admitted()

    def close(self) -> None:
        """All of them."""
        for client in self._clients.values():
            client.close()

    def next(self, operation: str) -> tuple[str, dict[str, str]]:
        """The role whose turn it is of those that may ask this, and its headers."""
        turns = self._turns.setdefault(operation, itertools.cycle(self._admitted[operation]))
        role = next(turns)
        if role == "anonymous":
            return role, {}
        if role not in self._clients:
            self._clients[role] = self._served.sign_in(f"{role}.north", PASSWORD)
        return role, {"authorization": self._clients[role].headers["authorization"]}

    def ended(self, role: str) -> None:
        """A request has ended its session."""
        if client := self._clients.pop(role, None):
            client.close()


@pytest.fixture
def people(probed: Served) -> Iterator[People]:
    opened = People(probed)
    yield opened
    opened.close()


def operations() -> list[Any]:
    """All but the endless."""
    document = schemathesis.openapi.from_dict(DOCUMENT)
    found = [each.ok() for each in document.get_all_operations()]
    return [each for each in found if each.path not in ENDLESS]


def test_no_request_makes_an_error_of_ours_or_tells_what_is_not_seen(probed: Served, people: People) -> None:
    wrong: list[str] = []
    answered: dict[str, set[str]] = {}
    asked = 0
    districts = itertools.cycle(("north", "south", ""))

    for operation in operations():

        @given(case=operation.as_strategy())
        @settings(
            max_examples=3, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            key = f"{case.method.upper()} {case.operation.path}"
            role, headers = people.next(key)
            known = probed.told.get(next(districts), {})
            for name in case.path_parameters or {}:  # made up, nothing would be found
                if KINDS.get(name) in known:
                    case.path_parameters[name] = known[KINDS[name]]
            answer = case.call(base_url=probed.url, headers=headers, timeout=30)
            told = answer.content.decode("utf-8", "replace")
            if answer.status_code == 401 or "/session" in case.operation.path:
                people.ended(role)
            if answer.status_code < 300:
                answered.setdefault(role, set()).add(key)
            is_said = (answer.status_code == 503 and AWAY.search(told)) or answer.status_code == UNSUPPORTED
            is_ours = answer.status_code >= 500 and not is_said
            shown = [word for word in probed.told["telling"] if word in told] if answer.status_code < 300 else []
            if is_ours or shown or any(word in told.lower() for word in INSIDE):
                wrong.append(f"{role}: {case.method} {case.formatted_path}: {answer.status_code} {shown} {told[:200]}")

        ask()
    assert wrong == [], "\n".join(wrong)
    assert asked > 300
    assert {"officer", "investigator", "operator", "administrator"} <= answered.keys()
    assert sum(map(len, answered.values())) > 120, "most of what is asked is refused before it is looked at"
    assert httpx.get(f"{probed.url}/api/v1/health", trust_env=False).json()["status"] != "down"
