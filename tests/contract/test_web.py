"""The assembled HTTP application: routes of governance, errors, headers, pages, health, settings, events."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Body, FastAPI, Request
from prometheus_client import CollectorRegistry, Counter

from anwang.governance import Action, Actor, Governance, Role, Shape, allow, public
from anwang.kernel import errors
from anwang.kernel.errors import AnwangError, Kind, WireError
from anwang.runtime import logs
from anwang.runtime.clock import FakeClock, SystemClock
from anwang.runtime.settings import Setting
from anwang.stores.state import State
from anwang.web.edge import SMALL_BODY
from anwang.web.errors import STATUS
from anwang.web.events import Notice, as_it_is
from anwang.web.health import Cause, Health, Status
from anwang.web.system import MASK, mask
from tests.assembled import build_test_app, client_of
from tests.governed import PASSWORD, account, everyone, governed, token_of

ORIGIN = {"origin": "https://anwang.test"}


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[State]:
    """What runs on both engines is tested in test_governance; here SQLite is enough."""
    opened = await State.open(f"sqlite:///{tmp_path}/state.db")
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def governance(state: State, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Governance]:
    async with governed(state, tmp_path / "data", clock, origins=("https://wall.test",)) as opened:
        yield opened


@pytest.fixture
async def app(governance: Governance, tmp_path: Path) -> AsyncIterator[FastAPI]:
    async with build_test_app(governance, tmp_path) as built:
        yield built


async def tokens_of(governance: Governance) -> dict[str, str]:
    return await everyone(governance)


# --- sessions over HTTP -------------------------------------------------------------------------------------------


async def test_a_browser_signs_in_reads_and_signs_out(app: FastAPI, governance: Governance) -> None:
    await tokens_of(governance)
    async with client_of(app) as browser:
        body = {"username": "operator.one", "password": PASSWORD}
        answer = await browser.post("/api/v1/session", json=body, headers=ORIGIN)
        assert answer.status_code == 201
        assert set(answer.json()) == {"token", "expires_at"}
        cookie = answer.headers["set-cookie"].lower()
        assert cookie.startswith("anwang=anw_s_")
        for word in ("httponly", "samesite=lax", "secure", "path=/"):
            assert word in cookie
        session = (await browser.get("/api/v1/session")).json()
        told = {"user", "can", "second_factor", "must_enrol", "purpose", "customs", "expires_at", "city"}
        assert set(session) == told
        assert session["user"]["organisation"] == {"id": "city", "name": "安澜市"}
        assert (session["user"]["role"], session["city"]) == ("operator", "安澜市")
        assert session["can"] == {action.value: action.value in _operator() for action in Action}
        assert (await browser.delete("/api/v1/session", headers=ORIGIN)).status_code == 204
        assert (await browser.get("/api/v1/session")).status_code == 401


def _operator() -> set[str]:
    from anwang.governance import GRANTS

    return {action.value for action in GRANTS[Role.OPERATOR]}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"origin": "https://anwang.test"}, 204),
        ({"origin": "https://anwang.test:443"}, 204),
        ({"origin": "http://anwang.test"}, 403),
        ({"origin": "https://anwang.test.evil.example"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://wall.test"}, 204),
        ({"sec-fetch-site": "same-origin"}, 204),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
async def test_a_cookie_is_taken_only_from_our_own_pages(
    app: FastAPI, governance: Governance, headers: dict[str, str], status: int
) -> None:
    token = (await tokens_of(governance))["viewer"]
    async with client_of(app, cookie=f"anwang={token}") as browser:
        assert (await browser.get("/api/v1/session", headers=headers)).status_code == 200
        assert (await browser.delete("/api/v1/session", headers=headers)).status_code == status


async def test_a_foreign_page_cannot_sign_somebody_in(app: FastAPI, governance: Governance) -> None:
    await tokens_of(governance)
    async with client_of(app) as browser:
        body = {"username": "operator.one", "password": PASSWORD}
        foreign = await browser.post("/api/v1/session", json=body, headers={"origin": "https://evil.example"})
        assert foreign.status_code == 403
        assert "set-cookie" not in foreign.headers
        plain = await browser.post("/api/v1/session", content=json.dumps(body), headers={"content-type": "text/plain"})
        assert plain.status_code == 400


@pytest.mark.parametrize("header", ["Basic Zm9vOmJhcg==", "Bearer", "Bearer  ", "Bearer anw_s_x", "Bearer é"])
async def test_other_credentials_are_nobody(app: FastAPI, header: str) -> None:
    async with client_of(app) as program:
        answer = await program.get("/api/v1/session", headers={"authorization": header.encode("latin-1")})
        assert (answer.status_code, answer.json()["kind"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_bearer_wins_over_a_cookie(app: FastAPI, governance: Governance) -> None:
    tokens = await tokens_of(governance)
    async with client_of(app, tokens["viewer"], cookie=f"anwang={tokens['operator']}") as program:
        assert (await program.get("/api/v1/session")).json()["user"]["role"] == "viewer"


async def test_users_tokens_sessions_and_ledger(app: FastAPI, governance: Governance) -> None:
    tokens = await tokens_of(governance)
    async with client_of(app, tokens["security_administrator"]) as admin:
        wanted = {"username": "li.wei", "display_name": "李伟", "role": "operator", "organisation": "north",
                  "password": PASSWORD}  # fmt: skip
        made = await admin.post("/api/v1/users", json=wanted)
        assert made.status_code == 201
        user = made.json()
        assert user["organisation"] == {"id": "north", "name": "北区"}
        assert (user["disabled"], user["last_seen"]) == (False, None)
        assert (await admin.post("/api/v1/users", json=wanted)).status_code == 409
        assert (await admin.post("/api/v1/users", json={**wanted, "is_root": True})).status_code == 400
        changed = await admin.patch(
            f"/api/v1/users/{user['id']}", json={"role": "viewer", "password": "a better one yet"}
        )
        assert changed.json()["role"] == "viewer"
        same = {"username": "li.wei", "role": "viewer", "organisation": "north", "disabled": False}
        assert (await admin.patch(f"/api/v1/users/{user['id']}", json=same)).status_code == 200
        renamed = await admin.patch(f"/api/v1/users/{user['id']}", json={**same, "username": "li.na"})
        assert renamed.status_code == 409
        asleep = await admin.post("/api/v1/users", json={**wanted, "username": "asleep", "disabled": True})
        assert (asleep.status_code, asleep.json()["disabled"]) == (201, True)
        await governance.sign_in("li.wei", "a better one yet", terminal=_here())
        page = (await admin.get("/api/v1/users", params={"limit": 3})).json()
        assert len(page["items"]) == 3
        rest = (await admin.get("/api/v1/users", params={"limit": 500, "cursor": page["next"]})).json()
        assert rest["next"] is None
        sessions = (await admin.get("/api/v1/sessions", params={"user": "all"})).json()["items"]
        assert len(sessions) == len(Role) + 1
        assert [each["current"] for each in sessions].count(True) == 1
        assert (await admin.delete(f"/api/v1/users/{user['id']}")).status_code == 204
        assert (await admin.get(f"/api/v1/users/{user['id']}")).status_code == 404
        assert (await admin.get("/api/v1/ledger")).status_code == 403
    async with client_of(app, tokens["audit_administrator"]) as audit:
        assert (await audit.get("/api/v1/users")).status_code == 403
        ledger = (await audit.get("/api/v1/ledger", params={"limit": 3})).json()
        assert [row["kind"] for row in ledger["items"]] == ["changed", "signed_in", "changed"]
        assert "removed li.wei" in ledger["items"][0]["detail"]
        one = ledger["items"][0]
        for narrowed in ({"actor": one["user"]["name"]}, {"actor": one["user"]["id"]}, {"object": user["id"]},
                         {"action": "manage_users"}, {"from": one["at"]}, {"kind": "changed"}):  # fmt: skip
            found = (await audit.get("/api/v1/ledger", params=narrowed)).json()["items"]
            assert one in found, narrowed
        for other in ({"actor": "nobody"}, {"object": "nothing"}, {"action": "ptz"}, {"to": "2020-01-01T00:00:00Z"},
                      {"from": "2999-01-01T00:00:00Z"}, {"case": "none"}):  # fmt: skip
            assert (await audit.get("/api/v1/ledger", params=other)).json()["items"] == [], other
        assert (await audit.get("/api/v1/ledger", params={"from": "2026-11-30T00:00:00"})).status_code == 400
        more = (await audit.get("/api/v1/ledger", params={"cursor": ledger["next"], "limit": 500})).json()
        assert more["items"][0]["seq"] == ledger["items"][-1]["seq"] - 1
        assert (await audit.get("/api/v1/ledger", params={"cursor": "nonsense"})).status_code == 400
    async with client_of(app, tokens["operator"]) as operator:
        token = (await operator.post("/api/v1/tokens", json={"name": "wall", "days": 3})).json()["token"]
        (listed,) = (await operator.get("/api/v1/tokens")).json()["items"]
        assert (listed["name"], listed["kind"]) == ("wall", "api_token")
        assert (await operator.get("/api/v1/sessions", params={"user": "all"})).status_code == 403
        async with client_of(app, token) as program:
            assert (await program.get("/api/v1/session")).status_code == 200
            assert (await operator.delete(f"/api/v1/tokens/{listed['id']}")).status_code == 204
            assert (await program.get("/api/v1/session")).status_code == 401
        body = {"old": PASSWORD, "new": "a better one yet"}
        assert (await operator.put("/api/v1/session/password", json=body)).status_code == 204
        await governance.sign_in("operator.one", "a better one yet", terminal=_here())


def _here() -> Any:
    from tests.governed import HERE

    return HERE


async def test_the_first_start_over_http(app: FastAPI, governance: Governance) -> None:
    link = (await governance.setup_links())[Role.SECURITY]
    async with client_of(app) as browser:
        assert (await browser.get("/api/v1/setup/wrong")).status_code == 404
        state = (await browser.get(f"/api/v1/setup/{link}")).json()
        assert (state["valid"], state["city"]) == (True, "安澜市")
        assert state["role"] == "security_administrator"
        body = {"username": "chen", "password": PASSWORD}
        weak = await browser.post(f"/api/v1/setup/{link}", json={**body, "password": "weak"})
        assert (weak.status_code, weak.json()["kind"]) == (400, "invalid")
        made = await browser.post(f"/api/v1/setup/{link}", json=body)
        assert (made.status_code, made.json()["role"], made.json()["display_name"]) == (201, state["role"], "chen")
        assert (await browser.post(f"/api/v1/setup/{link}", json=body)).status_code == 404


# --- errors -------------------------------------------------------------------------------------------------------


class _Body(Shape):
    count: int
    secret: str = ""


def _failing() -> APIRouter:
    router = APIRouter(prefix="/api/v1/failing")
    kinds = {each.kind.value: each for each in vars(errors).values() if _is_error(each)}

    @router.get("/kind/{name}", dependencies=[public("test")])
    async def kind(name: str) -> None:
        raise kinds[name]("the reason", "the hint")

    @router.get("/wire", dependencies=[public("test")])
    async def wire() -> None:
        raise WireError("bad bytes", data=b"secret bytes", offset=3)

    @router.get("/bug", dependencies=[public("test")])
    async def bug() -> None:
        raise RuntimeError("password=hunter2 in /etc/anwang")

    @router.post("/body", dependencies=[public("test")])
    async def body(body: _Body) -> int:
        return body.count

    @router.post("/raw")
    async def raw(request: Request, actor: Annotated[Actor, allow(Action.OWN_ACCOUNT)]) -> int:
        return sum([len(chunk) async for chunk in request.stream()])

    @router.post("/raw/read_too_early")
    async def read_too_early(
        actor: Annotated[Actor, allow(Action.OWN_ACCOUNT)], body: Annotated[bytes, Body(media_type="x/y")]
    ) -> int:
        return len(body)

    @router.get("/guarded")
    async def guarded(actor: Annotated[Actor, allow(Action.EXPORT)]) -> str:
        return actor.username

    return router


def _is_error(each: object) -> bool:
    return isinstance(each, type) and issubclass(each, AnwangError) and each not in (AnwangError, WireError)


@pytest.fixture
async def failing(governance: Governance, tmp_path: Path) -> AsyncIterator[FastAPI]:
    options = {"large_bodies": {"/api/v1/failing/raw": 3 * SMALL_BODY}}
    async with build_test_app(governance, tmp_path / "failing", routers=[_failing()], **options) as built:
        yield built


def assert_shape(answer: httpx.Response, status: int, kind: Kind) -> dict[str, Any]:
    """The one shape, whatever went wrong."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    assert list(body) == ["kind", "reason", "hint"]
    assert body["kind"] == kind.value
    assert body["reason"]
    assert body["hint"] is None or body["hint"]
    assert "x-request-id" in answer.headers
    assert "content-security-policy" in answer.headers
    return body


async def test_every_source_of_errors_has_the_one_shape(failing: FastAPI, governance: Governance) -> None:
    viewer = (await tokens_of(governance))["viewer"]
    async with client_of(failing) as program:
        for kind, status in STATUS.items():
            body = assert_shape(await program.get(f"/api/v1/failing/kind/{kind.value}"), status, kind)
            assert (body["reason"], body["hint"]) == ("the reason", "the hint")
        assert set(STATUS) == set(Kind)
        assert_shape(await program.get("/api/v1/failing/wire"), 400, Kind.INVALID)
        assert_shape(await program.get("/api/v1/nothing"), 404, Kind.NOT_FOUND)
        assert_shape(await program.post("/api/v1/nothing"), 404, Kind.NOT_FOUND)
        assert_shape(await program.get("/nothing.png"), 404, Kind.NOT_FOUND)
        body = assert_shape(await program.delete("/api/v1/failing/body"), 405, Kind.UNSUPPORTED)
        assert "POST" in body["hint"]
        assert_shape(await program.get("/api/v1/failing/guarded"), 401, Kind.UNAUTHENTICATED)
        for content in (b"", b"{", b"[]", b"{}", b'{"count": "x"}', b'{"count": 1, "more": 2}', b"\xff\xfe", b"null"):
            answer = await program.post(
                "/api/v1/failing/body", content=content, headers={"content-type": "application/json"}
            )
            assert_shape(answer, 400, Kind.INVALID)
        assert_shape(await program.post("/api/v1/failing/body", content=b"x" * (SMALL_BODY + 1)), 413, Kind.INVALID)
    async with client_of(failing, viewer) as program:
        body = assert_shape(await program.get("/api/v1/failing/guarded"), 403, Kind.DENIED)
        assert body["hint"] == "operators, investigators, officers may; ask your security administrator"


async def test_large_bodies_are_for_those_who_are_known(failing: FastAPI, governance: Governance) -> None:
    viewer = (await tokens_of(governance))["viewer"]
    raw, early = "/api/v1/failing/raw", "/api/v1/failing/raw/read_too_early"

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    async with client_of(failing, viewer) as known, client_of(failing) as unknown:
        assert (await known.post(raw, content=b"x" * 3 * SMALL_BODY)).json() == 3 * SMALL_BODY
        assert_shape(await known.post(raw, content=b"x" * (3 * SMALL_BODY + 1)), 413, Kind.INVALID)
        assert_shape(await known.post(raw, content=endless()), 413, Kind.INVALID)
        assert_shape(await unknown.post(raw, content=b"x" * 3 * SMALL_BODY), 401, Kind.UNAUTHENTICATED)
        assert_shape(await unknown.post(raw, content=endless()), 401, Kind.UNAUTHENTICATED)
        for program in (known, unknown):
            assert_shape(await program.post(early, content=b"x" * 2 * SMALL_BODY), 413, Kind.INVALID)


async def test_a_bug_tells_the_log_and_not_the_caller(failing: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure()
    try:
        async with client_of(failing) as program:
            answer = await program.get("/api/v1/failing/bug")
            body = assert_shape(answer, 500, Kind.INTERNAL)
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    assert "hunter2" not in answer.text
    assert answer.headers["x-request-id"] in body["hint"]
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    (told,) = [line for line in lines if line["event"] == "a request failed"]
    assert "RuntimeError" in told["exception"]
    assert told["request"] == answer.headers["x-request-id"]


async def test_a_validation_error_does_not_repeat_the_value(failing: FastAPI) -> None:
    async with client_of(failing) as program:
        answer = await program.post("/api/v1/failing/body", json={"count": "hunter2", "secret": {"a": "hunter3"}})
        body = assert_shape(answer, 400, Kind.INVALID)
    assert "body.count" in body["reason"]
    assert "body.secret" in body["reason"]
    assert "hunter" not in answer.text


async def test_the_access_log_has_no_secret(
    app: FastAPI, governance: Governance, capsys: pytest.CaptureFixture[str]
) -> None:
    link = (await governance.setup_links())[Role.ADMINISTRATOR]
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure()
    try:
        async with client_of(app) as browser:
            await browser.get(f"/api/v1/setup/{link}", params={"t": "query-secret"})
            await browser.get("/api/v1/pieces/" + "x" * 70)
            body = {"username": "chen", "password": PASSWORD}
            await browser.post(f"/api/v1/setup/{link}", json=body)
            token = (await browser.post("/api/v1/session", json=body)).json()["token"]
            await browser.get("/api/v1/session")
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    # the test's own client logs addresses, too
    text = "".join(line for line in capsys.readouterr().err.splitlines(True) if '"logger": "httpx"' not in line)
    lines = [json.loads(line) for line in text.splitlines() if '"event": "request"' in line]
    assert [line["path"] for line in lines] == [
        "/api/v1/setup/[redacted]", "/api/v1/pieces/[redacted]", "/api/v1/setup/[redacted]", "/api/v1/session",
        "/api/v1/session",
    ]  # fmt: skip
    assert [line["user"] for line in lines] == ["", "", "", "", "chen"]
    assert [line["status"] for line in lines] == [200, 404, 201, 201, 200]
    for secret in (str(link), token, PASSWORD, "query-secret"):
        assert secret not in text


async def test_headers_protect_browsers(app: FastAPI) -> None:
    async with client_of(app) as browser:
        headers = (await browser.get("/api/v1/health")).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert "blob:" in policy["worker-src"]
    assert "blob:" in policy["media-src"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
    assert "strict-transport-security" not in headers


# --- pages --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def paged(governance: Governance, tmp_path: Path) -> AsyncIterator[FastAPI]:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html>index")
    (static / "favicon.svg").write_text("<svg/>")
    script = static / "assets" / "index-Ab3dE_9x.js"
    script.write_text("console.log(1)")
    script.with_name(script.name + ".gz").write_bytes(gzip.compress(b"console.log(1)"))
    (tmp_path / "secret.txt").write_text("outside")
    async with build_test_app(governance, tmp_path / "paged", static=static) as built:
        yield built


async def test_pages(paged: FastAPI) -> None:
    async with client_of(paged) as browser:
        for path in ("/", "/index.html", "/points/123", "/setup/anw_l_x"):
            answer = await browser.get(path)
            assert (answer.status_code, answer.text) == (200, "<!doctype html>index")
            assert answer.headers["cache-control"] == "no-cache"
        script = await browser.get("/assets/index-Ab3dE_9x.js", headers={"accept-encoding": "gzip"})
        assert (script.text, script.headers["content-encoding"]) == ("console.log(1)", "gzip")
        assert script.headers["content-type"].startswith("text/javascript")
        assert "immutable" in script.headers["cache-control"]
        plain = await browser.get("/assets/index-Ab3dE_9x.js", headers={"accept-encoding": "identity"})
        assert (plain.text, "content-encoding" in plain.headers) == ("console.log(1)", False)
        again = await browser.get(
            "/favicon.svg", headers={"if-none-match": (await browser.get("/favicon.svg")).headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
        assert (await browser.head("/")).status_code == 200
        assert_shape(await browser.post("/"), 405, Kind.UNSUPPORTED)
        for missing in (
            "/assets/gone-12345678.js",
            "/api/v2/x",
            "/api/v1/",
            "/index.html.gz",
            "/assets/index-Ab3dE_9x.js.gz",
        ):
            assert_shape(await browser.get(missing), 404, Kind.NOT_FOUND)


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "//etc/passwd.txt",
             "/assets/%00.txt", "/..\\secret.txt", "/%c0%ae%c0%ae/secret.txt", "/./secret.txt"]
)  # fmt: skip
async def test_no_path_leaves_the_folder(paged: FastAPI, path: str) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    for raw in (path, httpx.URL("https://x" + path).path):
        sent.clear()
        scope = {"type": "http", "method": "GET", "path": raw, "raw_path": raw.encode(), "query_string": b"",
                 "headers": [], "scheme": "https", "client": ("192.0.2.1", 1), "server": ("x", 443),
                 "http_version": "1.1", "asgi": {"version": "3.0"}, "root_path": ""}  # fmt: skip
        await paged(scope, receive, send)
        assert sent[0]["status"] == 404
        assert b"outside" not in b"".join(message.get("body", b"") for message in sent)


async def test_an_unbuilt_ui_says_so(app: FastAPI) -> None:
    async with client_of(app) as browser:
        assert assert_shape(await browser.get("/"), 404, Kind.NOT_FOUND)["hint"] == "run make install"


# --- health, metrics, settings ------------------------------------------------------------------------------------


async def test_health_is_a_tree_for_those_who_may_see_it(governance: Governance, tmp_path: Path) -> None:
    tokens = await tokens_of(governance)
    health = Health(clock=SystemClock(), check_seconds=0.05)

    async def fine() -> Cause:
        return Cause(name="state", status=Status.OK)

    async def stuck() -> Cause:
        await asyncio.Event().wait()
        raise AssertionError

    async def broken() -> Cause:
        raise OSError("disk on fire")

    health.register("state", fine)
    health.register("series", stuck, vital=False)
    async with build_test_app(governance, tmp_path, health=health) as app:
        async with client_of(app) as anybody, client_of(app, tokens["operator"]) as operator:
            expected = {"status": "degraded", "name": "anwang", "detail": None, "causes": []}
            assert (await anybody.get("/api/v1/health")).json() == expected
            tree = (await operator.get("/api/v1/health")).json()
            assert tree["detail"] == "look at series"
            assert [(each["name"], each["status"]) for each in tree["causes"]] == [("state", "ok"), ("series", "down")]
            assert "no answer within" in tree["causes"][1]["detail"]
        async with client_of(app, tokens["viewer"]) as viewer:
            assert (await viewer.get("/api/v1/health")).json()["causes"] == []
    broken_health = Health(clock=SystemClock())
    broken_health.register("disk", broken)
    tree = await broken_health.tree()
    assert (tree.status, tree.causes[0].detail) == (Status.DOWN, "disk on fire")
    with pytest.raises(errors.Invalid):
        broken_health.register("disk", broken)


async def test_health_is_asked_once_a_second_however_many_ask() -> None:
    clock = FakeClock()
    health = Health(clock=clock)
    asked = 0

    async def check() -> Cause:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return Cause(name="x", status=Status.OK)

    health.register("x", check)
    await asyncio.gather(*(health.tree() for _ in range(50)))
    await health.tree()
    assert asked == 1
    await clock.advance(1)
    await health.tree()
    assert asked == 2


async def test_metrics_are_for_this_machine_or_a_token(governance: Governance, tmp_path: Path) -> None:
    tokens = await tokens_of(governance)
    registry = CollectorRegistry()
    Counter("anwang_tests", "tests", registry=registry).inc()
    async with build_test_app(governance, tmp_path, metrics=registry) as app:
        for address, token, headers, status in [
            ("127.0.0.1", "", {}, 200),
            ("::1", "", {}, 200),
            ("::ffff:127.0.0.1", "", {}, 200),
            ("127.0.0.1", "", {"x-forwarded-for": "198.51.100.1"}, 401),
            ("192.0.2.1", "", {}, 401),
            ("", "", {}, 401),
            ("192.0.2.1", tokens["operator"], {}, 200),
            ("192.0.2.1", tokens["viewer"], {}, 403),
        ]:
            async with client_of(app, token, address=address, **headers) as monitor:
                answer = await monitor.get("/metrics")
            assert answer.status_code == status, (address, headers)
            assert ("anwang_tests_total 1.0" in answer.text) == (status == 200)


async def test_settings_are_shown_masked(governance: Governance, tmp_path: Path) -> None:
    tokens = await tokens_of(governance)
    url = Setting(name="stores.state_url", sentence="state", default="", value="postgresql://anwang:hunter2@db/city",
                  source="file", variable="ANWANG_STORES__STATE_URL")  # fmt: skip
    async with build_test_app(governance, tmp_path, describe=lambda: [url]) as app:
        async with client_of(app, tokens["administrator"]) as admin:
            answer = await admin.get("/api/v1/settings")
        async with client_of(app, tokens["operator"]) as operator:
            assert (await operator.get("/api/v1/settings")).status_code == 403
    assert "hunter2" not in answer.text
    (group,) = answer.json()["groups"]
    assert group["sentence"].startswith("Where the four stores are")
    (shown,) = group["settings"]
    assert (shown["value"], shown["secret"]) == (f"postgresql://anwang:{MASK}@db/city", True)


def test_masks() -> None:
    assert mask("gb28181.password_file", "/etc/anwang/gb") == ("/etc/anwang/gb", False)
    assert mask("x.password", "hunter2") == (MASK, True)
    assert mask("x.password", "") == ("", False)
    assert mask("stores.objects_url", "s3://b?secret=hunter2")[0] == f"s3://b?{MASK}"
    assert mask("http.port", 8443) == (8443, False)
    assert mask("media.rtp_ports", (1, 2)) == ("1, 2", False)


# --- events -------------------------------------------------------------------------------------------------------


def parsed(text: bytes) -> dict[str, str]:
    """One server-sent event."""
    fields = {}
    for line in text.decode().strip().split("\n"):
        name, _, value = line.partition(":")
        fields[name] = value.strip()
    return fields


async def take(texts: Any, count: int) -> list[dict[str, str]]:
    """The next events, without retry and keep-alive."""
    found: list[dict[str, str]] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            event = parsed(await anext(texts))
            if "event" in event:
                found.append(event)
    return found


async def test_each_sees_events_of_their_scope(app: FastAPI, governance: Governance) -> None:
    await tokens_of(governance)
    admin = await governance.actor(await token_of(governance, "security_administrator.one"))
    await governance.create_user(admin, account("north.viewer", Role.VIEWER, "north"))
    north = await governance.actor(await token_of(governance, "north.viewer"))
    events = app.state.events
    async with aclosing(events.stream(admin, None)) as all_texts, aclosing(events.stream(north, None)) as north_texts:
        for texts in (all_texts, north_texts):
            assert await anext(texts) == b"retry: 2000\n\n"
        waiting = asyncio.gather(take(all_texts, 4), take(north_texts, 2))
        await asyncio.sleep(0)
        await events.publish(Notice("state", "/city/north/station/", {"changes": [["p", "online", "…"]]}))
        await events.publish(Notice("state", "/city/south/", {"changes": []}))
        await events.publish(Notice("counts", "/", {"total": 5}))
        await events.publish(Notice("note", None, {"text": "for\neverybody"}))
        seen_by_admin, seen_by_north = await waiting
    assert [event["event"] for event in seen_by_admin] == ["state", "state", "counts", "note"]
    assert [json.loads(event["data"]) for event in seen_by_north] == [
        {"changes": [["p", "online", "…"]]}, {"text": "for\neverybody"},
    ]  # fmt: skip
    assert seen_by_north[1]["id"] == seen_by_admin[3]["id"]
    assert events.open_now == 0


async def test_the_cursor_survives_a_restart(governance: Governance, tmp_path: Path) -> None:
    await tokens_of(governance)
    actor = await governance.actor(await token_of(governance, "operator.one"))
    async with build_test_app(governance, tmp_path / "e") as app:
        first = await app.state.events.publish(Notice("note", None, 1))
        await app.state.events.publish(Notice("note", None, 2))
    async with build_test_app(governance, tmp_path / "e") as app:
        events = app.state.events
        async with aclosing(events.stream(actor, first)) as texts:
            (missed,) = await take(texts, 1)
            assert missed["data"] == "2"
            await events.publish(Notice("note", None, 3))
            (new,) = await take(texts, 1)
            assert (new["data"], int(new["id"]) > int(missed["id"])) == ("3", True)
        async with aclosing(events.stream(actor, 10**9)) as texts:
            (lagged,) = await take(texts, 1)
            assert lagged["event"] == "lagged"
            assert json.loads(lagged["data"])["count"] > 0
            assert "id" not in lagged


async def test_a_quiet_stream_keeps_alive_and_moves_its_cursor(governance: Governance, tmp_path: Path) -> None:
    await tokens_of(governance)
    admin = await governance.actor(await token_of(governance, "security_administrator.one"))
    await governance.create_user(admin, account("north.viewer", Role.VIEWER, "north"))
    north = await governance.actor(await token_of(governance, "north.viewer"))
    async with build_test_app(governance, tmp_path / "e", keepalive_s=0.01) as app:
        events = app.state.events
        async with aclosing(events.stream(north, None)) as texts:
            assert [await anext(texts), await anext(texts)] == [b"retry: 2000\n\n", b": keep-alive\n\n"]
            seq = await events.publish(Notice("state", "/city/south/", {}))
            async with asyncio.timeout(10):
                while (text := await anext(texts)) != f": keep-alive\nid: {seq}\n\n".encode():
                    assert text.startswith(b": keep-alive")


async def test_a_stream_ends_with_its_session(app: FastAPI, governance: Governance) -> None:
    await tokens_of(governance)
    actor = await governance.actor(await token_of(governance, "operator.one"))
    async with aclosing(app.state.events.stream(actor, None)) as texts:
        await anext(texts)
        coming = asyncio.ensure_future(take(texts, 1))
        await asyncio.sleep(0)
        await governance.sign_out(actor)
        with pytest.raises(StopAsyncIteration):
            async with asyncio.timeout(10):
                await coming


async def test_streams_are_bounded(app: FastAPI, governance: Governance) -> None:
    token = (await tokens_of(governance))["operator"]
    actor = await governance.actor(token)
    events = app.state.events
    events._most_per_session = 2
    streams = [events.stream(actor, None) for _ in range(2)]
    for stream in streams:
        await anext(stream)
    async with client_of(app, token) as program:
        assert_shape(await program.get("/api/v1/events"), 429, Kind.EXHAUSTED)
        assert_shape(await program.get("/api/v1/events", params={"after": "x"}), 400, Kind.INVALID)
    assert events.refused == 1
    for stream in streams:
        await stream.aclose()


async def test_a_stranger_on_the_bus_is_passed_over(app: FastAPI, governance: Governance) -> None:
    await tokens_of(governance)
    actor = await governance.actor(await token_of(governance, "operator.one"))
    events = app.state.events
    async with aclosing(events.stream(actor, None)) as texts:
        await anext(texts)
        coming = asyncio.ensure_future(take(texts, 1))
        await asyncio.sleep(0)
        await app.state.bus.publish("events.note", b"\xff not json")
        await app.state.bus.publish("other.thing", b"{}")
        await events.publish(Notice("note", None, "ours"))
        assert [event["data"] for event in await coming] == ['"ours"']
    with pytest.raises(errors.Invalid):
        await events.publish(Notice("not a type", None, 1))
    assert as_it_is(actor, Notice("x", "/", 1)) == 1
