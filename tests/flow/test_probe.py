"""Every route of a running platform, asked by a machine that means no good: schemathesis over the OpenAPI document, and
a corpus of injections through every text field. (Schemathesis' data that does not fit made the interpreter's own
compiler fail now and then, on Python 3.11; the corpus stands in for it.)

Nothing of that may be an error of ours (5xx but 503, which says what is not available), show another's data, or say
anything about the inside.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.flow.served import ADMIN, AUDIT, OPERATOR, SECURITY, Served, serving

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore::DeprecationWarning")]
DOCUMENT = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text("utf-8"))
ENDLESS = {"/api/v1/events"}
"""Answers that do not end."""
CORPUS = [
    "' OR '1'='1",
    "'; DROP TABLE users; --",
    "1) UNION SELECT password FROM users --",
    "\\'; SELECT pg_sleep(9) --",
    "../../../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "/etc/passwd",
    "file:///etc/passwd",
    "a\x00b",
    "a\r\nset-cookie: anwang=x",
    "$(touch /tmp/anwang-probe)",
    "`touch /tmp/anwang-probe`",
    "{{7*7}} ${7*7} %{7*7} %s%s%n",
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "<script>alert(1)</script>",
    "\U0001f600\u202e\ufeff",
    "９９９",
    "x" * 5000,
    "-1",
    "NaN",
]
AT_ONCE = 9
"""Of the corpus, for one field; the next field gets the following ones. It has no divisor in common with the whole."""
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


@pytest.fixture
def people(probed: Served) -> Iterator[People]:
    opened = People(probed)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("probe")) as served:
        yield served


class People:
    """A session of each, renewed where a request has ended it."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._clients = {name: served.sign_in(name) for name in (ADMIN, OPERATOR, SECURITY, AUDIT)}
        self._turns = itertools.cycle(self._clients)

    def close(self) -> None:
        """All of them."""
        for client in self._clients.values():
            client.close()

    def headers(self) -> dict[str, str]:
        """Of the next one."""
        name = next(self._turns)
        client = self._clients[name]
        if client.get("/api/v1/session").status_code == 401:
            client.close()
            client = self._clients[name] = self._served.sign_in(name)
        return {"authorization": client.headers["authorization"]}


def operations() -> list[Any]:
    """All but the endless."""
    document = schemathesis.openapi.from_dict(DOCUMENT)
    found = [each.ok() for each in document.get_all_operations()]
    return [each for each in found if each.path not in ENDLESS]


def is_ours(status: int) -> bool:
    """Whether it is an error of ours."""
    return status >= 500 and status != 503


def test_no_request_makes_an_error_of_ours(probed: Served, people: People) -> None:
    asked = 0
    wrong: list[str] = []
    for operation in operations():

        @given(case=operation.as_strategy())
        @settings(
            max_examples=2, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            answer = case.call(base_url=probed.url, headers=people.headers(), timeout=30)
            told = answer.content.decode("utf-8", "replace")
            if is_ours(answer.status_code) or any(word in told.lower() for word in INSIDE):
                wrong.append(f"{case.method} {case.formatted_path}: {answer.status_code} {told[:200]}")

        ask()
    assert wrong == []
    assert asked > 150
    assert probed.get("/health", by="admin")["status"] != "down"


def texts_of(operation: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(where, name) of every text that a request of this operation carries."""
    for parameter in operation.get("parameters", []):
        if "string" in json.dumps(parameter["schema"]):
            yield parameter["in"], parameter["name"]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    reference = body.get("$ref", "")
    shape = DOCUMENT["components"]["schemas"].get(reference.rpartition("/")[2], {})
    for name, field in shape.get("properties", {}).items():
        if "string" in json.dumps(field):
            yield "body", name


def test_no_text_is_taken_for_anything_else(probed: Served, people: People) -> None:
    accounts = [(user["id"], user["role"], user["disabled"]) for user in probed.get("/users", by="security")["items"]]
    wrong: list[str] = []
    asked = 0
    corpus = itertools.cycle(CORPUS)
    with httpx.Client(base_url=probed.url, timeout=30, trust_env=False) as client:
        for path, methods in DOCUMENT["paths"].items():
            if path in ENDLESS:
                continue
            for method, operation in methods.items():
                for where, name in texts_of(operation):
                    headers = people.headers()
                    for text in itertools.islice(corpus, AT_ONCE):
                        address = path
                        query = {name: text} if where == "query" else {}
                        body = {"json": {name: text}} if where == "body" else {}
                        if where == "path":
                            address = path.replace("{" + name + "}", quote(text[:2000], safe=""))
                        while "{" in address:
                            start, end = address.index("{"), address.index("}")
                            address = address[:start] + "1" + address[end + 1 :]
                        answer = client.request(method, address, params=query, headers=headers, **body)
                        asked += 1
                        told = answer.text.lower()
                        if is_ours(answer.status_code) or any(word in told for word in INSIDE):
                            wrong.append(f"{method} {address[:80]} {where} {name}={text[:40]!r}: {answer.status_code}")
                        assert "anwang=x" not in str(answer.headers), "no header comes of a text"
    assert wrong == []
    assert asked > 900
    assert not Path("/tmp/anwang-probe").exists()
    after = [(user["id"], user["role"], user["disabled"]) for user in probed.get("/users", by="security")["items"]]
    assert after == accounts
    for address, key in (("/points", "q"), ("/users", "query"), ("/devices", "q"), ("/ledger", "actor")):
        by = {"/users": "security", "/devices": "admin", "/ledger": "audit"}.get(address, "operator")
        assert probed.get(address, by=by, **{key: "' OR '1'='1"})["items"] == [], address
