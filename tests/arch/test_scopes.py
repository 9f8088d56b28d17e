"""The golden table of routes, roles and scopes: what somebody is answered about a thing of the north, who has the whole
city, the north, or the south (the issue's "golden table route × role × scope"). Beside it, tests/golden/routes.txt has
who may ask a route at all.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from anwang.app.build import Platform
from anwang.governance import Role, may
from anwang.runtime import settings
from tests.asking import Asking, action_of, asking
from tests.furnished import MAKERS, NORTH, SOUTH, City, furnished, without_media
from tests.routes import Route, status, walk

pytestmark = pytest.mark.timeout(300)
GOLDEN = Path(__file__).parents[1] / "golden" / "scopes.txt"
SCOPES = ("one", NORTH, SOUTH)
"""The whole city, one's own district, another one: the last part of the accounts' names."""


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    found = settings.Settings(data=str(tmp_path / "data"), key_file=str(tmp_path / "key"))
    platform = await Platform.open(found)
    try:
        opened = await furnished(await without_media(platform))
        yield opened
        await opened.close()
    finally:
        await platform.close()


async def told(city: City, client: httpx.AsyncClient, route: Route, filled: Asking) -> int:
    """The status."""
    if route.method == "WEBSOCKET" or route.path.endswith("/messages"):
        token = client.headers["authorization"].removeprefix("Bearer ")
        return await status(city.platform.api, route.method, filled.address, token)
    return (await client.request(route.method, filled.address, **filled.sent())).status_code


async def table(city: City) -> list[str]:
    """A line for each route that names an object: each role that may ask it, and its three answers."""
    lines = []
    for route in walk(city.platform.api):
        named, action = asking(route), action_of(route)
        if action is None or route.method == "HEAD" or not named.words() & {*MAKERS, "point", "device", "organisation"}:
            continue
        roles = [role for role in Role if may(role, action)]
        codes = []
        for role in roles:
            for scope in SCOPES:
                username = f"{role}.{scope}"
                ends = any(word in route.path for word in ("session", "purposes", "tokens"))
                client = await (city.client(username) if ends else city.one(username))
                words = await (city.words(NORTH) if scope == SOUTH else city.fresh(named, NORTH, ""))
                filled = named.filled(words)
                codes.append(str(await told(city, client, route, filled)))
        answers = [f"{role}={'/'.join(codes[n * 3 : n * 3 + 3])}" for n, role in enumerate(roles)]
        lines.append(f"{route.method} {route.path} | {' '.join(answers)}")
    return lines


async def test_the_table_of_routes_roles_and_scopes_is_golden(city: City) -> None:
    """One's own district, then another one: `administrator=200/200/404`."""
    lines = await table(city)
    assert len(lines) > 110
    for line in lines:
        where, answers = line.split(" | ")
        if "{" in where.replace("{point_id}/masks", ""):
            for answer in answers.split():
                whole, own, other = answer.rpartition("=")[2].split("/")
                is_refused_anyway = whole == own == other == "403"
                assert other == "404" or is_refused_anyway, f"another district's: {line}"
    text = "\n".join(lines) + "\n"
    if os.environ.get("BLESS") == "1":
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8"), "renew with BLESS=1 and read the difference"
