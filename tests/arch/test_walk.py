"""Every route of the product, tried by people with too little: nobody, the wrong role, the wrong subtree, a class that
is not theirs, a grant that has ended, no purpose, no second person (design laws 7 and 11, domain.md G01, G03, G12).

What is unseen must look exactly like what does not exist. A new route is tried by itself: every word of its path, and
of what `tests.asking` says that it is asked with, that names an object; one that shows content is refused without its
reasons, or fails here until somebody says why not.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio

from anwang.app.build import Platform
from anwang.governance import ADMINISTRATORS, EVERYTHING, Action, Entry, NewGrant, Role, may
from anwang.governance.reasons import AGED, FOUR_EYES, NEEDS_PURPOSE, NEEDS_PURPOSE_IF_OLD
from anwang.kernel.ids import OrgId, PointId
from anwang.kernel.times import rfc3339, to_micros
from anwang.runtime import settings
from tests.asking import BODIES, ELSE, KINDS, PLAIN, Asking, action_of, asker_of, asking
from tests.furnished import CASE, MAKERS, NORTH, OTHER_CAMERA, SOUTH, City, furnished, told, without_media
from tests.governed import account, token_of
from tests.recordings import plain
from tests.routes import AN_ID, NOBODY, Route, status, walk

pytestmark = pytest.mark.asyncio(loop_scope="module")
ENDLESS = {"/api/v1/events", "/api/v1/devices/{device_id}/messages"}
"""Answers that do not end; what is in them, tests/contract/test_web.py and tests/flow/test_gateway.py read."""
TESTS = Path(__file__).parents[1]
DOCUMENT = json.loads((TESTS.parent / "docs/openapi.json").read_text("utf-8"))
OWNED = ("organisation", "system_organisation", "device", "point")
LONG_AGO = 100.0
"""Days: beyond the duty window and the time after which a senior must agree."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def city(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[City]:
    folder: Path = tmp_path_factory.mktemp("city")
    platform = await Platform.open(settings.Settings(data=str(folder / "data"), key_file=str(folder / "key")))
    try:
        opened = await furnished(await without_media(platform))
        await _limited(opened)
        yield opened
        await opened.close()
    finally:
        await platform.close()


async def _limited(city: City) -> None:
    """`narrow`, an officer of one class of points of the north; and of each role one whose grant of it has ended."""
    governance, north = city.platform.governance, OrgId(city.ids[NORTH]["organisation"])
    now = city.platform.clock.now()
    over = NewGrant(org_id=north, starts_at=now - timedelta(days=2), ends_at=now - timedelta(days=1))
    limited = {"narrow": (Role.OFFICER, NewGrant(org_id=north, classes=frozenset({1})))}
    limited |= {f"{role}.ended": (role, over) for role in Role if role not in ADMINISTRATORS}
    ends = {Role.CONTRACTOR: now + timedelta(days=30)}
    admin = await governance.actor(await token_of(governance, "security_administrator.one"))
    for username, (role, grant) in limited.items():
        escort = city.known["operator.one"] if role is Role.CONTRACTOR else ""
        wanted = account(username, role, north, ends_at=ends.get(role), escort=escort)
        made = await governance.create_user(admin, wanted)
        await governance.rights.replace(admin, made.id, [grant])


def routes_of(city: City) -> list[Route]:
    """All but HEAD, which is asked like GET."""
    return [route for route in walk(city.platform.api) if route.method != "HEAD"]


def key_of(route: Route) -> str:
    return f"{route.method} {route.path}"


async def answer(client: httpx.AsyncClient, city: City, route: Route, filled: Asking) -> tuple[int, str]:
    """Status and text; of streams no text, of sockets what they say before they close."""
    if route.method == "WEBSOCKET" or route.path in ENDLESS:
        token = client.headers.get("authorization", "").removeprefix("Bearer ")
        heard: list[str] = []
        got = await status(city.platform.api, route.method, filled.address, token, heard)
        return got, "".join(heard)
    told_back = await client.request(route.method, filled.address, **filled.sent())
    return told_back.status_code, told_back.text


# --- who may, and asks rightly ---------------------------------------------------------------------------------------


async def test_everything_is_answered_to_those_who_may_and_ask_rightly(city: City) -> None:
    """The test of the tests below: what they refuse is refused for the one thing that they change."""
    wrong = []
    for route in routes_of(city):
        named = asking(route)
        username, client = await city.asker(route, NORTH)
        filled = named.filled(await city.fresh(named, NORTH, username))
        got, text = await answer(client, city, route, filled)
        wanted = ELSE.get(key_of(route))
        if got != wanted[0] if wanted else not 200 <= got < 300:
            wrong.append(f"{key_of(route)} by {username}: {got} {text[:200]}")
    assert wrong == [], "tests/asking.py says what each route is asked with"


async def test_nothing_is_said_of_a_route_that_is_not_there(city: City) -> None:
    there = {key_of(route) for route in routes_of(city)}
    assert BODIES.keys() | ELSE.keys() <= there
    named = {name for route in routes_of(city) for name in re.findall(r"\{(\w+)\}", route.path)}
    assert named == KINDS.keys() | PLAIN.keys(), "every parameter is the id of something, or said to be none"


# --- nobody, and the wrong role --------------------------------------------------------------------------------------


async def test_nobody_and_no_other_role_gets_an_answer(city: City) -> None:
    """With a request that would be answered to somebody else, of things that there are."""
    wrong = []
    words = await city.words(NORTH)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(city.platform.api, client=("192.0.2.7", 50000)), base_url="https://anwang.test"
    ) as nobody:
        for route in routes_of(city):
            action = action_of(route)
            if action is None:
                continue
            filled = asking(route).filled(words)
            refused = [(NOBODY, nobody, 401)]
            refused += [(role, await city.one(f"{role}.one"), 403) for role in Role if not may(role, action)]
            for who, client, wanted in refused:
                got, text = await answer(client, city, route, filled)
                if got != wanted and not (route.method == "WEBSOCKET" and got == 1008):
                    wrong.append(f"{key_of(route)} by {who}: {got} {text[:100]}")
    assert wrong == []


# --- what is unseen --------------------------------------------------------------------------------------------------


def unknown_id(kind: str) -> str:
    return "没有这个" if kind == "source" else AN_ID


def likened(text: str, words: Mapping[str, str], kind: str) -> str:
    """An answer without the ids that were asked for."""
    return text.replace(words[kind], "").replace(unknown_id(kind), "")


async def test_g12_what_is_unseen_looks_like_what_does_not_exist(city: City) -> None:
    """In each place of a request that names an object: one of the south, asked for by somebody of the north."""
    wrong, tried = [], set()
    south = await city.words(SOUTH)
    for route in routes_of(city):
        named = asking(route)
        if action_of(route) is None:
            continue
        in_path = {text.strip("{}") for text in named.names.values()}
        for kind in sorted(named.words() & {*MAKERS, *OWNED}):
            username, client = await city.asker(route, NORTH)
            words = await (city.words(NORTH) if kind in in_path else city.fresh(named, NORTH, username))
            unseen = await answer(client, city, route, named.filled({**words, kind: south[kind]}))
            unknown = await answer(client, city, route, named.filled({**words, kind: unknown_id(kind)}))
            same = unseen[0] == unknown[0]
            if unseen[0] not in (200, 201):
                same = same and likened(unseen[1], south, kind) == likened(unknown[1], south, kind)
            told_of = city.told_of(likened(unseen[1], south, kind), SOUTH)
            tried.add(key_of(route))
            if not same or told_of or (kind in in_path and unseen[0] != (403 if "/media/" in route.path else 404)):
                wrong.append(f"{key_of(route)} by {username}, {kind} {told_of}:\n  {unseen}\n  {unknown}")
    assert wrong == [], "\n".join(wrong)
    assert len(tried) > 130


async def test_g12_a_point_of_another_class_is_unseen(city: City) -> None:
    """In the same unit, to an officer whose grant is for one class of points."""
    client, tried = await city.one("narrow", purpose=False), 0
    await told(client, "POST", "/purposes", CASE)
    other = {"point": (await city.platform.registry.by_code(EVERYTHING, OTHER_CAMERA))[0].point.id}
    for route in routes_of(city):
        named, action = asking(route), action_of(route)
        if action is None or not may(Role.OFFICER, action) or "point" not in named.words() or "/layouts" in route.path:
            continue
        words = await city.words(NORTH)
        unseen = await answer(client, city, route, named.filled({**words, **other}))
        unknown = await answer(client, city, route, named.filled({**words, "point": AN_ID}))
        assert unseen[0] in (200, 404), (route, unseen)
        assert unseen[0] == unknown[0], (route, unseen, unknown)
        assert likened(unseen[1], other, "point") == likened(unknown[1], other, "point"), (route, unseen, unknown)
        tried += 1
    assert tried > 25


async def test_g12_a_grant_that_has_ended_opens_nothing(city: City) -> None:
    """Sockets, too: of the north's things nothing is seen by somebody whose grant of the north is over."""
    wrong, tried = [], set()
    words = await city.words(NORTH)
    for route in routes_of(city):
        named, action = asking(route), action_of(route)
        kinds = sorted(
            {text.strip("{}") for text in named.names.values()} & (MAKERS.keys() | words.keys()) - PLAIN.keys()
        )
        if action is None or not kinds:
            continue
        for role in Role:
            if role in ADMINISTRATORS or not may(role, action):
                continue
            client = await city.one(f"{role}.ended")
            got = await answer(client, city, route, named.filled(words))
            unknown = await answer(client, city, route, named.filled({**words, kinds[0]: unknown_id(kinds[0])}))
            tried.add(key_of(route))
            if got[0] != (403 if "/media/" in route.path else 404) or likened(got[1], words, kinds[0]) != likened(
                unknown[1], words, kinds[0]
            ):
                wrong.append(f"{key_of(route)} by {role}.ended:\n  {got}\n  {unknown}")
    assert wrong == [], "\n".join(wrong)
    sockets = {key_of(route) for route in routes_of(city) if route.method == "WEBSOCKET"}
    assert sockets <= tried
    assert len(sockets) == 2
    async with await city.client("officer.ended") as client:
        assert (await client.get("/api/v1/points")).json()["items"] == []


def unfiltered(named: Asking) -> Asking:
    """Without what would narrow a list to one object."""
    if named.path == "/api/v1/sessions":
        return replace(named, query={"user": "all"})
    needed = {
        each["name"]
        for each in DOCUMENT["paths"].get(named.path, {}).get(named.method.lower(), {}).get("parameters", [])
        if each["in"] == "query" and each["required"]
    }
    kept = {
        name: text for name, text in named.query.items() if name in needed or text.strip("{}") not in {*MAKERS, *OWNED}
    }
    return replace(named, query=kept)


async def test_g12_no_list_tells_of_what_is_unseen(city: City) -> None:
    """To nobody of the north, and to an officer of one class of points nothing of the others."""
    told_of: set[str] = set()
    lists = [route for route in routes_of(city) if route.method == "GET" and route.governed_by.startswith("allow ")]
    lists = [route for route in lists if asking(route).names.keys() <= PLAIN.keys() and route.path not in ENDLESS]
    assert len(lists) > 45
    other = (await city.platform.registry.by_code(EVERYTHING, OTHER_CAMERA))[0].point
    for route in lists:
        filled = unfiltered(asking(route)).filled(await city.words(NORTH))
        for role in Role:
            action = action_of(route)
            if action is None or not may(role, action):
                continue
            _, theirs = await answer(await city.one(f"{role}.north"), city, route, filled)
            if route.path == "/api/v1/ledger":  # it says what the north's own people asked for and did not see
                rows = json.loads(theirs)["items"]
                theirs = json.dumps([row for row in rows if row["outcome"] != "unseen"], ensure_ascii=False)
            assert city.told_of(theirs, SOUTH) == [], (key_of(route), role)
            if city.told_of(theirs, NORTH):
                told_of.add(route.path)
        if may(Role.OFFICER, action_of(route) or Action.OWN_ACCOUNT):
            _, theirs = await answer(await city.one("narrow", purpose=False), city, route, filled)
            for word in (other.id, OTHER_CAMERA, other.name, *city.told_of(theirs, SOUTH)):
                assert word not in theirs, (key_of(route), word)
    expected = {"points", "search", "states", "devices", "users", "requests", "breaches", "exports", "holds", "signs"}
    assert {f"/api/v1/{word}" for word in expected} <= told_of, "the test would see it"
    async with await city.client("narrow") as narrow, await city.client("viewer.one") as everybody:
        counts = [(await client.get("/api/v1/counts")).json()["total"] for client in (narrow, everybody)]
    assert counts[0] < counts[1]


# --- no purpose, and no second person --------------------------------------------------------------------------------

NO_LOOK: Mapping[str, str] = {
    "DELETE /api/v1/exports/{export_id}": "gives one up",
    "GET /api/v1/exports": "lists them",
    "GET /api/v1/exports/{export_id}": "says how far it is",
    "GET /api/v1/media/{segment_id}/init.mp4": "goes with the token of a look",
    "GET /api/v1/media/{segment_id}/{first}-{last}.m4s": "goes with the token of a look",
    "GET /api/v1/points/{point_id}/snapshot": "the picture of this moment belongs to daily duty",
    "POST /api/v1/points/{point_id}/device-snapshot": "the picture of this moment belongs to daily duty",
}
"""Routes that are governed by an action on content, and need no reason."""
UNVEILS = {"PUT /api/v1/points/{point_id}/masks": Action.UNMASK}
"""Those that need more reason than their own action says."""


def needed_for(route: Route) -> Action | None:
    """The action whose reasons the route must ask for; None: it shows no content."""
    key, action = key_of(route), action_of(route)
    if key in NO_LOOK:
        return None
    reasons = NEEDS_PURPOSE | NEEDS_PURPOSE_IF_OLD | FOUR_EYES | AGED
    return UNVEILS.get(key, action if action in reasons else None)


async def test_g01_g03_g05_content_is_refused_without_a_purpose_and_without_a_second_person(city: City) -> None:
    """As `governance.reasons` says of the action that each route declares; a new route is tried by itself."""
    if not city.platform.masks.of(PointId(city.ids[NORTH]["point"])):
        masks = asking(Route("PUT", "/api/v1/points/{point_id}/masks", "", "")).filled(await city.words(NORTH))
        drawn = await (await city.one(f"officer.{NORTH}")).put(masks.address, json=masks.body)
        assert drawn.status_code == 200, drawn.text

    async def kinds(client: httpx.AsyncClient, route: Route, days: float) -> str:
        """Of the refusal; "" where it is none."""
        named = asking(route)
        if key_of(route) in UNVEILS:
            named = replace(named, body={**named.body, "items": []})
        got, text = await answer(client, city, route, named.filled(await city.words(NORTH, days=days)))
        found = re.search(r'"kind":\s*"(\w+)"', text)
        return found[1] if got == 403 and found else ""

    tried = set()
    for route in routes_of(city):
        action = needed_for(route)
        if action is None:
            continue
        async with await city.client("officer.one") as client:
            assert await kinds(client, route, 3) == "purpose_needed", key_of(route)
            if action in NEEDS_PURPOSE:
                assert await kinds(client, route, 0.01) == "purpose_needed", key_of(route)
            await told(client, "POST", "/purposes", {**CASE, "kind": "maintenance"})
            assert await kinds(client, route, 3) == "purpose_needed", f"{key_of(route)}, for maintenance"
            await told(client, "POST", "/purposes", CASE)
            wanted = "approval_needed" if action in FOUR_EYES else ""
            assert await kinds(client, route, 3) == wanted, f"{key_of(route)}, with a purpose"
            if action in AGED and "start" in asking(route).words():
                assert await kinds(client, route, LONG_AGO) == "approval_needed", f"{key_of(route)}, of long ago"
        tried.add(route.path.rpartition("/")[2])
    assert tried == {
        "clip.mp4", "deletions", "device-clip.mp4", "device-playback", "exports", "masks", "package.zip",
        "playback.m3u8", "snapshot.jpg", "unmasked",
    }, "whoever adds a route to content reads here what it was tried for"  # fmt: skip
    assert NO_LOOK.keys() <= {key_of(route) for route in routes_of(city)}


# --- what is written of those who only read --------------------------------------------------------------------------

UNWRITTEN: Mapping[str, str] = {
    "GET /api/v1/file-fields": "an empty form",
    "GET /api/v1/media/{segment_id}/init.mp4": "part of a look, which has its rows",
    "GET /api/v1/media/{segment_id}/{first}-{last}.m4s": "part of a look, which has its rows",
    "GET /api/v1/session": "of one's own account",
    "GET /api/v1/tiles/base/{z}/{x}/{y}.mvt": "rivers and roads, of nobody's points",
    "GET /api/v1/tokens": "of one's own account",
    "GET /metrics": "numbers of the program for its monitor",
}
"""GET routes that leave no row."""
TWO_ROWS = {"GET /api/v1/sharing/{agreement_id}/pulls.csv"}
"""A file, of what was read in the ledger."""


async def test_law7_whatever_is_read_leaves_a_row_of_its_own(city: City) -> None:
    """Each GET in a session of its own, ended afterwards: one count, or the row of a look or of a file taken away."""
    words = (TESTS.parent / "ui/src/governance/locales/en.json", TESTS.parent / "ui/src/governance/locales/zh-CN.json")
    names = [json.loads(path.read_text("utf-8"))["action"] for path in words]
    sessions: dict[str, str] = {}
    counted: dict[str, list[tuple[str, str, int]]] = {}
    for route in routes_of(city):
        if route.method != "GET" or not route.governed_by.startswith("allow "):
            continue
        username = f"{asker_of(route)}.{NORTH}"
        named = asking(route)
        filled = named.filled(await city.fresh(named, NORTH, username))
        async with await city.client(username) as client:
            if may(Role(asker_of(route)), Action.OPEN_PURPOSE):
                await told(client, "POST", "/purposes", CASE)
            [session] = [each for each in (await told(client, "GET", "/sessions"))["items"] if each["current"]]
            sessions[session["id"]] = key_of(route)
            await city.platform.governance._looks.end_session(session["id"])  # of what this has counted
            await answer(client, city, route, filled)
            await client.delete("/api/v1/session")
    governance = city.platform.governance
    await governance.ledger.append(Entry(kind="fence"))
    async for _, rows in governance.ledger.rows({}):
        for row in rows:
            if row.session in sessions:
                counted.setdefault(sessions[row.session], []).append((row.kind, row.action, row.count))
    wrong = []
    for key in sessions.values():
        aside = [("changed", "own_account", 0), ("signed_in", "own_account", 0), ("purpose", "open_purpose", 0)]
        rows = [row for row in counted[key] if row not in aside and row[0] != "closed"]
        rows.remove(("used", "sessions", 1))  # by which the test knows the session
        if key in UNWRITTEN:
            wrong += [f"{key}: {rows}"] if rows else []
        elif len(rows) != 1 + (key in TWO_ROWS) or (rows[0][0] == "used" and rows[0][2] != 1):
            wrong.append(f"{key}: {counted[key]}")
        elif rows[0][0] == "used" and any(rows[0][1] not in each for each in names):
            wrong.append(f"{key}: the pages have no words for {rows[0][1]}")
    assert wrong == [], "\n".join(wrong)
    assert UNWRITTEN.keys() <= set(sessions.values())


# --- a purpose that a request names itself ---------------------------------------------------------------------------


async def test_g01_a_request_may_name_its_purpose_in_its_address(city: City) -> None:
    """`?purpose=id`, for players and sockets that can't send headers; the header goes first where both are there."""
    async with await city.client(f"officer.{NORTH}") as stating:
        mine, other, over = [(await told(stating, "POST", "/purposes", CASE))["id"] for _ in range(3)]
        await told(stating, "DELETE", f"/purposes/{over}")
    async with await city.client(f"operator.{NORTH}") as somebody:
        theirs = (await told(somebody, "POST", "/purposes", CASE))["id"]
    point, start = PointId(city.ids[NORTH]["point"]), city.began - timedelta(days=3)
    segment = plain(to_micros(start), to_micros(start + timedelta(minutes=1)), point=point)
    await city.platform.index.add([segment])
    span = {"from": rfc3339(start), "to": rfc3339(start + timedelta(minutes=1))}
    playlist = f"/api/v1/points/{point}/playback.m3u8"
    async with await city.client(f"officer.{NORTH}") as client:
        token = client.headers["authorization"].removeprefix("Bearer ")

        async def got(purpose: str, header: str = "") -> tuple[int, str]:
            headers = {"x-purpose": header} if header else {}
            query = span | ({"purpose": purpose} if purpose else {})
            answer = await client.get(playlist, params=query, headers=headers)
            return answer.status_code, "" if answer.is_success else answer.json()["kind"]

        assert (await client.get("/api/v1/session", params={"purpose": mine})).json()["purpose"]["id"] == mine
        both = await client.get("/api/v1/session", params={"purpose": mine}, headers={"x-purpose": other})
        assert both.json()["purpose"]["id"] == other, "the header goes first"
        assert (await client.get("/api/v1/session")).json()["purpose"] is None, "and the session remembers neither"
        assert await got("") == (403, "purpose_needed")
        assert await got(mine) == (200, "")
        assert await got(mine, header=over) == (403, "purpose_needed"), "the header goes first"
        assert await got(over, header=other) == (200, "")
        assert await got(theirs) == (404, "not_found")
        assert await got(AN_ID) == (404, "not_found")
        text = (await client.get(playlist, params={**span, "purpose": mine})).text
        [init] = re.findall(r'#EXT-X-MAP:URI="([^"]+)"', text)
        piece = await client.get(str(httpx.URL(f"https://anwang.test{playlist}").join(init)))
        assert piece.status_code == 404, "the look's token is enough for a piece; here its bytes are nowhere"
        # sockets
        live = f"/api/v1/points/{point}/live"
        past = f"/api/v1/points/{point}/device-playback?{urlencode(span)}"
        assert await status(city.platform.api, "WEBSOCKET", past, token) == 403
        assert await status(city.platform.api, "WEBSOCKET", f"{live}?purpose={theirs}", token) == 1008
        waiting = [f"{live}?purpose={mine}", f"{past}&purpose={other}"]
        opened = [await status(city.platform.api, "WEBSOCKET", address, token) for address in waiting]
        assert opened == [503, 503], "no media process runs"
        [session] = [each for each in (await told(client, "GET", "/sessions"))["items"] if each["current"]]
    governance = city.platform.governance
    await governance.ledger.append(Entry(kind="fence"))
    rows = [row async for _, page in governance.ledger.rows({}) for row in page if row.session == session["id"]]
    looks = {(row.action, row.purpose, row.case) for row in rows if row.kind == "opened"}
    actions = [("view_playback", mine), ("view_playback", other), ("view_live", mine)]
    assert looks == {(action, purpose, CASE["case_no"]) for action, purpose in actions}
