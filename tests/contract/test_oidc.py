"""Signing in by OpenID Connect, against a provider that is not ours (oidc-provider-mock), and against liars."""

from __future__ import annotations

import base64
import dataclasses
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from oidc_provider_mock import User, run_server_in_thread

from anwang.governance import Governance, Role, UserChange
from anwang.governance.http import oidc as routes
from anwang.governance.oidc import SignOn, _Provider
from anwang.kernel.errors import Denied, Unavailable
from anwang.runtime.clock import FakeClock, SystemClock
from anwang.runtime.settings import Oidc
from anwang.stores.state import State
from tests.assembled import build_test_app, client_of
from tests.governed import account, actor_of, everyone, governed, sealer
from tests.scanned import ledger_text, said_of, saying_everything

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the provider's own libraries

PEOPLE = [
    User(sub="1", claims={"preferred_username": "operator.one"}),
    User(sub="2", claims={"preferred_username": "nobody.here"}),
    User(sub="3", claims={"preferred_username": "viewer.one", "amr": ["pwd", "otp"]}),
    User(sub="4", claims={"email": "no-name@example.org"}),
    User(sub="5", claims={"preferred_username": "bridge"}),
    User(sub="6", claims={"preferred_username": "operator.one"}),
]


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The address of a provider that runs."""
    with run_server_in_thread(user_claims=PEOPLE, require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
async def governance(state: State, tmp_path: Path, provider: str) -> AsyncIterator[Governance]:
    secret = tmp_path / "secret"
    secret.write_text("known to both\n", "utf-8")
    settings = Oidc(
        issuer=provider, client_id="anwang", client_secret_file=str(secret), title="市局统一认证", allow_http=True
    )
    async with governed(state, tmp_path, SystemClock(), oidc=settings) as opened:
        await everyone(opened)
        yield opened


@asynccontextmanager
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Keeps cookies, and goes to the provider for those addresses that are its own."""
    async with client_of(app) as ours:
        yield ours


async def go(app: FastAPI, ours: httpx.AsyncClient, sub: str, *, action: str = "", next: str = "/wall") -> str:
    """Through the provider's page and back; where that leads."""
    left = await ours.get("/api/v1/session/oidc", params={"next": next})
    assert left.status_code == 303
    asked = parse_qs(urlsplit(left.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == ["https://anwang.test/api/v1/session/oidc/callback"]
    async with httpx.AsyncClient(trust_env=False) as theirs:
        answer = await theirs.post(left.headers["location"], data={"sub": sub, "action": action})
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["location"])
    came = await ours.get(f"{back.path}?{back.query}")
    assert came.status_code == 303, came.text
    return came.headers["location"]


async def test_who_the_provider_knows_signs_in_and_comes_to_their_page(governance: Governance, tmp_path: Path) -> None:
    async with build_test_app(governance, tmp_path, routers=[routes.router]) as app, browser(app) as ours:
        assert (await ours.get("/api/v1/sign-in")).json() == {"oidc": "市局统一认证"}
        assert await go(app, ours, "1") == "/wall"
        session = (await ours.get("/api/v1/session")).json()
        assert (session["user"]["username"], session["user"]["role"]) == ("operator.one", "operator")
        assert "anwang_oidc" not in ours.cookies, "what was needed for the way is gone"


async def test_neither_the_clients_secret_nor_what_the_provider_sent_is_said(
    governance: Governance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log scanner over signing in by a provider, and over one whose word is refused."""
    came: list[str] = []
    with saying_everything():
        async with build_test_app(governance, tmp_path, routers=[routes.router]) as app, browser(app) as ours:
            ours.event_hooks = {"request": [note(came)]}
            assert await go(app, ours, "1") == "/wall"
            assert (await ours.get(came[-1].replace("code=", "code=forged"))).status_code == 303
    query = parse_qs(urlsplit(next(each for each in came if "callback" in each)).query)
    written = capsys.readouterr()
    ours_alone = [line for line in written.err.splitlines() if '"logger": "werkzeug"' not in line]  # the provider's
    said = written.out + "\n".join(ours_alone) + ledger_text(tmp_path)
    assert "/api/v1/session/oidc/callback" in said
    token = next(cookie.value for cookie in ours.cookies.jar if cookie.name == "anwang")
    assert token is not None
    assert said_of(["known to both", *query["code"], *query["state"], token], said) == []


def note(came: list[str]) -> Callable[[httpx.Request], Awaitable[None]]:
    """Keeps the addresses that are asked for."""

    async def heard(request: httpx.Request) -> None:
        came.append(str(request.url))

    return heard


@pytest.mark.parametrize(
    ("sub", "action", "failed"),
    [("2", "", "not_found"), ("4", "", "denied"), ("1", "deny", "denied"), ("5", "", "not_found")],
)
async def test_who_has_no_account_here_does_not(
    governance: Governance, tmp_path: Path, sub: str, action: str, failed: str
) -> None:
    admin = await actor_of(governance, "security_administrator.one")
    await governance.create_user(
        admin, dataclasses.replace(account("bridge", Role.VIEWER, is_service=True), password="")
    )
    async with build_test_app(governance, tmp_path, routers=[routes.router]) as app, browser(app) as ours:
        assert await go(app, ours, sub, action=action) == f"/login?failed={failed}"
        assert (await ours.get("/api/v1/session")).status_code == 401


async def test_an_account_that_may_not_be_used_may_not_be_used_so_either(
    governance: Governance, tmp_path: Path
) -> None:
    admin = await actor_of(governance, "security_administrator.one")
    who = (await actor_of(governance, "operator.one")).user_id
    await governance.change_user(admin, who, UserChange(disabled=True))
    async with build_test_app(governance, tmp_path, routers=[routes.router]) as app, browser(app) as ours:
        assert await go(app, ours, "1") == "/login?failed=not_found"


async def test_a_second_factor_is_not_gone_round(governance: Governance, tmp_path: Path) -> None:
    from anwang.governance.factors.totp import STEP_SECONDS, code_of

    for username in ("operator.one", "viewer.one"):
        actor = await actor_of(governance, username)
        made = await governance.begin_factor(actor)
        await governance.confirm_factor(actor, code_of(made.secret, int(time.time() // STEP_SECONDS)))
    async with build_test_app(governance, tmp_path, routers=[routes.router]) as app, browser(app) as ours:
        assert await go(app, ours, "1") == "/login?failed=second_factor_needed"
        assert await go(app, ours, "3") == "/wall", "the provider asked for more than a password"


async def test_a_name_that_is_given_to_somebody_else_opens_nothing(governance: Governance, tmp_path: Path) -> None:
    admin = await actor_of(governance, "security_administrator.one")
    who = (await actor_of(governance, "operator.one")).user_id
    async with build_test_app(governance, tmp_path, routers=[routes.router]) as app:
        async with browser(app) as ours:
            assert await go(app, ours, "1") == "/wall"
        assert (await governance.user(admin, who)).sign_on.endswith(" 1")
        async with browser(app) as theirs:
            assert await go(app, theirs, "6") == "/login?failed=not_found"
            assert await go(app, theirs, "1") == "/wall", "whose it is can go on"
        await governance.change_user(admin, who, UserChange(unlink=True))
        assert not (await governance.user(admin, who)).sign_on
        async with browser(app) as theirs:
            assert await go(app, theirs, "6") == "/wall"
            assert await go(app, theirs, "1") == "/login?failed=not_found"


@pytest.mark.parametrize("next", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\nb"])
async def test_one_is_not_led_to_another_site(governance: Governance, tmp_path: Path, next: str) -> None:
    async with build_test_app(governance, tmp_path, routers=[routes.router]) as app, browser(app) as ours:
        assert await go(app, ours, "1", next=next) == "/"


async def test_a_way_back_that_was_not_begun_here_leads_nowhere(governance: Governance, tmp_path: Path) -> None:
    async with build_test_app(governance, tmp_path, routers=[routes.router]) as app, browser(app) as ours:
        path = "/api/v1/session/oidc/callback"
        assert (await ours.get(f"{path}?code=x&state=y")).headers["location"] == "/login?failed=denied"
        left = await ours.get("/api/v1/session/oidc")
        state = parse_qs(urlsplit(left.headers["location"]).query)["state"][0]
        wrong = await ours.get(f"{path}?code=x&state=not{state}")
        assert wrong.headers["location"] == "/login?failed=denied"
        await ours.get("/api/v1/session/oidc")
        made_up = await ours.get(f"{path}?code=made-up&state={state}")
        assert made_up.headers["location"] == "/login?failed=denied"
        ours.cookies.set("anwang_oidc", "AAAA", path="/api/v1/session/oidc")
        forged = await ours.get(f"{path}?code=x&state={state}")
        assert forged.headers["location"] == "/login?failed=denied"


async def test_a_provider_that_is_not_there_is_said(state: State, tmp_path: Path) -> None:
    settings = Oidc(issuer="http://127.0.0.1:9", client_id="anwang", allow_http=True)
    async with (
        governed(state, tmp_path, SystemClock(), oidc=settings) as opened,
        build_test_app(opened, tmp_path, routers=[routes.router]) as app,
        browser(app) as ours,
    ):
        assert (await ours.get("/api/v1/session/oidc")).headers["location"] == "/login?failed=unavailable"
    sign_on = SignOn(settings=Oidc(issuer="http://127.0.0.1:9", client_id="a"), sealer=sealer(), clock=SystemClock())
    with pytest.raises(Unavailable, match="http"):
        await sign_on.depart(redirect="https://x/", next="/")


async def test_without_a_provider_there_is_no_such_way(state: State, tmp_path: Path) -> None:
    async with (
        governed(state, tmp_path, SystemClock()) as opened,
        build_test_app(opened, tmp_path, routers=[routes.router]) as app,
        browser(app) as ours,
    ):
        assert (await ours.get("/api/v1/sign-in")).json() == {"oidc": None}
        assert (await ours.get("/api/v1/session/oidc")).status_code == 404


# --- liars -----------------------------------------------------------------------------------------------------------


@dataclass
class Liar:
    """A provider of which only the words count: what it signs is what the test says."""

    sign_on: SignOn
    clock: FakeClock
    key: RSAKey

    async def says(self, *, key: Any = None, alg: str = "RS256", **changes: Any) -> str:
        """What comes of an ID token with these claims changed (None: left out): the user name, or the refusal."""
        departure = await self.sign_on.depart(redirect="https://anwang.test/back", next="/")
        asked = parse_qs(urlsplit(departure.address).query)
        now = self.clock.micros() // 1_000_000
        claims = {
            "iss": "https://id.example", "aud": "anwang", "sub": "1", "preferred_username": "li", "iat": now,
            "exp": now + 60, "nonce": asked["nonce"][0], **changes,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        if isinstance(key, bytes):
            token = forged(alg, claims, key)
        else:
            token = jwt.encode({"alg": alg, "kid": "k"}, claims, key or self.key, algorithms=[alg])

        async def answer(method: str, address: str, **more: Any) -> httpx.Response:
            return httpx.Response(200, json={"id_token": token})

        self.sign_on._ask = answer  # type: ignore[method-assign]
        try:
            came = await self.sign_on.arrive(kept=departure.kept, state=asked["state"][0], code="c")
        except Denied as err:
            return err.reason
        return came.vouched.name


def forged(alg: str, claims: dict[str, Any], key: bytes) -> str:
    """A token that no library makes: signed with a key that is no secret, or not at all."""

    def packed(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    head = json.dumps({"alg": alg, "kid": "k"}).encode()
    body = f"{packed(head)}.{packed(json.dumps(claims).encode())}"
    return f"{body}.{packed(hmac.digest(key, body.encode(), 'sha256')) if alg != 'none' else ''}"


@pytest.fixture
def liar() -> Liar:
    clock = FakeClock()
    made = SignOn(settings=Oidc(issuer="https://id.example", client_id="anwang"), sealer=sealer(), clock=clock)
    key = RSAKey.generate_key(2048, {"kid": "k"})
    known = _Provider(
        issuer="https://id.example",
        authorization_endpoint="https://id.example/auth?tenant=1",
        token_endpoint="https://id.example/token",
        jwks_uri="https://id.example/keys",
    )

    async def knows() -> Any:
        return known, KeySet([key])

    made._known = knows  # type: ignore[method-assign]
    return Liar(made, clock, key)


async def test_an_honest_word_is_taken(liar: Liar) -> None:
    assert await liar.says() == "li"
    assert await liar.says(aud=["anwang", "other"], azp="anwang") == "li"
    now = liar.clock.micros() // 1_000_000
    assert await liar.says(iat=now + 59, exp=now - 59) == "li", "clocks differ"


@pytest.mark.parametrize(
    "lie",
    [
        {"iss": "https://other.example"},
        {"aud": "other"},
        {"aud": None},
        {"aud": ["anwang", "other"]},
        {"aud": ["anwang", "other"], "azp": "other"},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"iat": 1 << 40},
        {"iat": None},
    ],
)
async def test_a_lie_is_not(liar: Liar, lie: dict[str, Any]) -> None:
    assert await liar.says(**lie) == "the sign-in service's word is not valid"


@pytest.mark.parametrize("name", [None, "", 7, ["li"]])
async def test_a_name_that_is_none_is_not_taken(liar: Liar, name: Any) -> None:
    assert await liar.says(preferred_username=name) == "the sign-in service does not say your user name"


async def test_a_strange_or_a_guessable_signature_is_not_taken(liar: Liar) -> None:
    wrong = "the sign-in service's word is not valid"
    assert await liar.says(key=RSAKey.generate_key(2048, {"kid": "k"})) == wrong
    public = liar.key.as_pem(private=False)
    assert await liar.says(key=public, alg="HS256") == wrong, "the public key is no secret"
    assert await liar.says(key=b"", alg="none") == wrong


async def test_who_stays_away_too_long_begins_anew(liar: Liar) -> None:
    departure = await liar.sign_on.depart(redirect="https://anwang.test/back", next="/")
    state = parse_qs(urlsplit(departure.address).query)["state"][0]
    assert re.search(r"/auth\?tenant=1&response_type=code&", departure.address)
    await liar.clock.advance(600)
    with pytest.raises(Denied, match="too long"):
        await liar.sign_on.arrive(kept=departure.kept, state=state, code="c")
