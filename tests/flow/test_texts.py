"""Each text that a request of the product can carry, taken by turns from a corpus of injections: SQL, paths, control
characters, templates. The request is one that would be answered (`tests.asking`), of somebody who may, with that one
text changed; so it is the text that is judged, and not the rest.

Nothing of that may be an error of ours, tell of another district, touch a file, or say anything about the inside.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa

from anwang.app.build import Platform
from anwang.runtime import settings
from anwang.stores.state import media_metadata, metadata
from tests.asking import BODIES, ELSE, Asking, asking, texts_in, with_text
from tests.flow.test_probe import INSIDE
from tests.furnished import NORTH, SOUTH, City, furnished, without_media
from tests.routes import Route, status, walk

pytestmark = pytest.mark.timeout(300)
DOCUMENT = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text("utf-8"))
ENDLESS = {"/api/v1/events", "/api/v1/devices/{device_id}/messages"}
SIGN_IN = {"POST /api/v1/session"}
"""Where a wrong text is answered 401, as to nobody."""
POLICY = 1008
"""How a socket is refused before it is open (RFC 6455 7.4.1)."""
TOUCHED = Path("/tmp/anwang-probe")
SQL = [
    "' OR '1'='1",
    "'; DROP TABLE users; --",
    "1) UNION SELECT password FROM users --",
    "\\'; SELECT pg_sleep(9) --",
    '" OR ""="',
    "%' ESCAPE '%",
]
PATHS = [
    "../../../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "/etc/passwd",
    "file:///etc/passwd",
    "..\\..\\windows\\win.ini",
    "a/../../key",
]
OTHERS = [
    "a\x00b",
    "a\r\nset-cookie: anwang=x",
    f"$(touch {TOUCHED})",
    f"`touch {TOUCHED}`",
    "{{7*7}} ${7*7} %{7*7} %s%s%n",
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "<script>alert(1)</script>",
    "\U0001f600\u202e\ufeff",
    "９９９",
    "x" * 5000,
    "-1",
    "NaN",
]
SOCKETS: Mapping[str, tuple[str, ...]] = {"live": ("stream", "as"), "device-playback": ("from", "to", "at", "stream")}
"""Parameters of what OpenAPI does not know."""


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    (tmp_path / "in").mkdir()
    found = settings.Settings(data=str(tmp_path / "in/data"), key_file=str(tmp_path / "in/key"))
    platform = await Platform.open(found)
    try:
        opened = await furnished(await without_media(platform))
        yield opened
        await opened.close()
    finally:
        await platform.close()


@dataclass
class Tried:
    """What came of the texts. wrong: what must not be. by_kind: how many of SQL and paths each field was given."""

    city: City
    wrong: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    given: Counter[tuple[str, str]] = field(default_factory=Counter)
    turns: Iterator[tuple[str, str, str]] = field(
        default_factory=lambda: zip(itertools.cycle(SQL), itertools.cycle(PATHS), itertools.cycle(OTHERS), strict=False)
    )

    def judge(self, what: str, text: str, code: int, told: str, headers: str = "") -> None:
        self.statuses[code] += 1
        allowed = ELSE.get(what.partition("  ")[0], (0, ""))[0]
        lowered = told.lower()
        if (
            (code >= 500 and code not in (allowed, POLICY))
            or (code in (401, 429) and what.partition("  ")[0] not in SIGN_IN)
            or any(word in lowered for word in INSIDE)
            or self.city.told_of(told, SOUTH)
            or "anwang=x" in headers
        ):
            self.wrong.append(f"{what}={text[:40]!r}: {code} {told[:200]}")


async def sent(city: City, client: httpx.AsyncClient, route: Route, filled: Asking) -> tuple[int, str, str]:
    """Status, text and headers of the answer."""
    if route.method == "WEBSOCKET" or route.path in ENDLESS:
        token = client.headers["authorization"].removeprefix("Bearer ")
        heard: list[str] = []
        return await status(city.platform.api, route.method, filled.address, token, heard), "".join(heard), ""
    got = await client.request(route.method, filled.address, **filled.sent())
    return got.status_code, got.text, str(got.headers)


def routes_of(city: City) -> list[Route]:
    return [route for route in walk(city.platform.api) if route.method != "HEAD"]


# --- bodies ----------------------------------------------------------------------------------------------------------


def texts_of(shape: dict[str, Any], at: str = "") -> Iterator[str]:
    """Where a schema has texts, as `a/*/b`."""
    if "$ref" in shape:
        yield from texts_of(DOCUMENT["components"]["schemas"][shape["$ref"].rpartition("/")[2]], at)
    for each in shape.get("anyOf", []) + shape.get("allOf", []):
        yield from texts_of(each, at)
    for name, inner in shape.get("properties", {}).items():
        yield from texts_of(inner, f"{at}/{name}")
    if isinstance(shape.get("items"), dict):
        yield from texts_of(shape["items"], f"{at}/*")
    if isinstance(shape.get("additionalProperties"), dict):
        yield from texts_of(shape["additionalProperties"], f"{at}/*")
    if shape.get("type") == "string":
        yield at


def place(at: tuple[str | int, ...], keys: bool) -> str:
    """As `texts_of` has it. keys: of an object with any keys, the last one counts as any."""
    return "".join("/*" if isinstance(step, int) or (keys and at[-1] == step) else f"/{step}" for step in at)


def test_every_text_of_every_body_is_known() -> None:
    """A new field must be in the body that its route is asked with, or it would not be tried."""
    missing = []
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            known = BODIES.get(f"{method.upper()} {path}", {})
            there = {place(at, keys) for at in texts_in(known) for keys in (False, True)}
            missing += [f"{method.upper()} {path} {at}" for at in texts_of(body) if at not in there]
    assert missing == ["POST /api/v1/recording-plans /point_class"], "which is instead of a point, and tried apart"


async def test_no_text_of_a_body_is_taken_for_anything_else(city: City) -> None:
    tried = Tried(city)
    fields = reached = 0
    before = await accounts(city)
    for route in routes_of(city):
        named = asking(route)
        if not (places := list(texts_in(named.body))):
            continue
        key = f"{route.method} {route.path}"
        for at in places:
            counted: Counter[int] = Counter()
            for text in next(tried.turns):
                username, client = await city.asker(route, NORTH)
                filled = named.filled(await city.fresh(named, NORTH, username))
                filled = replace(filled, body=with_text(filled.body, at, text))
                code, told, headers = await sent(city, client, route, filled)
                tried.judge(f"{key}  {'/'.join(map(str, at))}", text, code, told, headers)
                counted[code] += 1
                await after(city, route, client, code, told)
            fields += 1
            reached += key in SIGN_IN or (key not in ELSE and not counted.keys() & {401, 403, 405, 409, 429})
        username, client = await city.asker(route, NORTH)
        code, told, _ = await sent(city, client, route, named.filled(await city.fresh(named, NORTH, username)))
        await after(city, route, client, code, told)
        if key not in ELSE and not 200 <= code < 300:
            tried.wrong.append(f"{key} is not answered with nothing wrong about it: {code} {told[:200]}")
    for text in (*SQL, *PATHS, *OTHERS):
        body = {**BODIES["POST /api/v1/recording-plans"], "point": None, "point_class": text}
        got = await (await city.one("administrator.one")).post("/api/v1/recording-plans", json=body)
        tried.judge("POST /api/v1/recording-plans  point_class", text, got.status_code, got.text)
        assert got.status_code in (201, 400), got.text
    assert tried.wrong == [], "\n".join(tried.wrong)
    assert fields > 240
    assert reached / fields > 0.9, "the others are refused for something else than their text"
    assert await accounts(city) == before
    await unharmed(city)


async def after(city: City, route: Route, client: httpx.AsyncClient, code: int, told: str) -> None:
    """What would stand in the way of the next one."""
    if route.method == "POST" and route.path == "/api/v1/exports" and code == 202:
        await client.delete(f"/api/v1/exports/{json.loads(told)['id']}")


async def accounts(city: City) -> list[tuple[Any, ...]]:
    """Those of the other district and of the city."""
    listed = (await (await city.one("security_administrator.one")).get("/api/v1/users?limit=500")).json()["items"]
    return [
        (user["id"], user["role"], user["disabled"], user["display_name"])
        for user in listed
        if user["username"].endswith((".one", f".{SOUTH}"))
    ]


async def unharmed(city: City) -> None:
    """All tables are there, and no file is where none was."""
    for state, tables in ((city.platform.stores.state, metadata), (city.platform.stores.media, media_metadata)):
        async with state.read() as tx:
            for table in tables.tables.values():
                await tx.execute(sa.select(sa.func.count()).select_from(table))
    data = Path(city.platform.settings.data)
    assert {each.name for each in data.parent.iterdir()} <= {"data", "key"}
    assert [each.name for each in data.parent.parent.iterdir()] == ["in"]
    assert not TOUCHED.exists()


# --- addresses -------------------------------------------------------------------------------------------------------


def parameters_of(route: Route) -> list[tuple[str, str]]:
    """(where, name) of what stands in an address."""
    if route.method == "WEBSOCKET":
        return [("path", "point_id"), *(("query", name) for name in SOCKETS[route.path.rpartition("/")[2]])]
    told = DOCUMENT["paths"].get(route.path, {}).get(route.method.lower(), {})
    return [(each["in"], each["name"]) for each in told.get("parameters", []) if each["in"] in ("path", "query")]


async def test_no_text_of_an_address_is_taken_for_anything_else(city: City) -> None:
    tried = Tried(city)
    asked = reached = 0
    before = await accounts(city)
    for route in routes_of(city):
        named, key = asking(route), f"{route.method} {route.path}"
        for where, name in parameters_of(route):
            for text in next(tried.turns):
                _, client = await city.asker(route, NORTH)
                words = await city.words(NORTH)
                if where == "query":
                    filled = replace(named, query={**named.query, name: text}).filled(words)
                else:
                    told_as = {"changed": quote(text[:2000], safe="")}
                    filled = replace(named, names={**named.names, name: "{changed}"}).filled({**words, **told_as})
                code, told, headers = await sent(city, client, route, filled)
                tried.judge(f"{key}  {name}", text, code, told, headers)
                asked += 1
                reached += code not in (401, 403, 405, 409, 429)
    assert tried.wrong == [], "\n".join(tried.wrong)
    assert asked > 700
    assert reached / asked > 0.95, "the others are refused for something else than their text"
    assert await accounts(city) == before
    await unharmed(city)
    for path, query in (("points", "q"), ("users", "query"), ("devices", "q"), ("ledger", "actor")):
        route = Route("GET", f"/api/v1/{path}", "", "")
        who = {"users": "security_administrator", "devices": "administrator", "ledger": "audit_administrator"}
        client = await city.one(f"{who.get(path, 'viewer')}.one")
        found = await client.get(route.path, params={query: "' OR '1'='1"})
        assert found.json()["items"] == [], path
