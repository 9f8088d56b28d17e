"""Routes of signing in by another house's account."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query
from fastapi.requests import HTTPConnection
from fastapi.responses import RedirectResponse

from anwang.governance.http import Arrival, Service, Shape, arrival_of, keep_session, public, terminal_of
from anwang.governance.service import Governance
from anwang.kernel.errors import AnwangError, Denied, NotFound
from anwang.runtime import logs

if TYPE_CHECKING:
    from anwang.governance.oidc import SignOn

log = logs.get(__name__)

PATH = "/api/v1/session/oidc"
COOKIE = "anwang_oidc"

router = APIRouter(prefix="/api/v1", tags=["governance"])


class WaysDto(Shape):
    """How one can sign in besides user name and password. oidc: what the button says; null: not at all."""

    oidc: str | None


@router.get("/sign-in", dependencies=[public("the sign-in page asks before anybody is signed in")])
async def read_ways(governance: Service) -> WaysDto:
    """How one can sign in here."""
    return WaysDto(oidc=None if governance.sign_on is None else governance.settings.oidc.title)


@router.get("/session/oidc", dependencies=[public("signing in is how a session comes about")])
async def leave(
    connection: HTTPConnection,
    governance: Service,
    next: Annotated[str, Query(max_length=2000, description="path of a page to come back to")] = "/",
) -> RedirectResponse:
    """To the provider's sign-in page."""
    sign_on = _of(governance)
    arrival = arrival_of(connection)
    try:
        departure = await sign_on.depart(redirect=_home(governance, arrival) + f"{PATH}/callback", next=_page(next))
    except AnwangError as err:
        return _back(err)
    answer = RedirectResponse(departure.address, 303)
    answer.set_cookie(
        COOKIE,
        departure.kept,
        max_age=departure.seconds,
        path=PATH,
        secure=arrival.is_tls,
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get("/session/oidc/callback", dependencies=[public("signing in is how a session comes about")])
async def come_back(
    connection: HTTPConnection,
    governance: Service,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
) -> RedirectResponse:
    """From the provider: signs in, sets the cookie, and leads to where one was going."""
    sign_on = _of(governance)
    arrival = arrival_of(connection)
    try:
        if error or not code:
            raise Denied("the sign-in service did not sign you in", "sign in again")
        came = await sign_on.arrive(kept=_kept(arrival), state=state, code=code)
        opened = await governance.sign_in_as(came.vouched, terminal=terminal_of(arrival))
    except AnwangError as err:
        answer = _back(err)
    else:
        answer = RedirectResponse(came.next, 303)
        keep_session(answer, governance, arrival, opened)
    answer.delete_cookie(COOKIE, path=PATH)
    return answer


def _of(governance: Governance) -> SignOn:
    if governance.sign_on is None:
        raise NotFound("there is no other way to sign in here", "sign in with user name and password")
    return governance.sign_on


def _home(governance: Governance, arrival: Arrival) -> str:
    """Our own address, as browsers have it."""
    told = governance.settings.oidc.url.rstrip("/")
    return told or f"{'https' if arrival.is_tls else 'http'}://{arrival.headers.get('host', '')}"


def _page(text: str) -> str:
    """A path of this site and nothing else, or the first page."""
    is_path = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if is_path else "/"


def _kept(arrival: Arrival) -> str:
    try:
        morsel = SimpleCookie(arrival.headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def _back(err: AnwangError) -> RedirectResponse:
    """The sign-in page says why in its own words: a browser on its way shows no JSON, and an address no sentences."""
    log.info("no sign-in by the provider", reason=err.reason)
    return RedirectResponse(f"/login?failed={err.kind.value}", 303)
