"""Signing in by another house's account: OpenID Connect, authorisation code flow with PKCE.

Accounts are made here and stay here: the provider only says who somebody is, by the claim that the settings name, and
an account of that name must exist. So rights, ends and suspensions hold as for everybody.

Sources: OpenID Connect Core 1.0 (3.1), Discovery 1.0 (4), RFC 7636 (S256), RFC 9700 (2.1).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from anwang.kernel.errors import Denied, Invalid, Unavailable
from anwang.runtime.clock import Clock
from anwang.runtime.secrets import Sealer
from anwang.runtime.settings import Oidc

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
"""Public-key ones only: a token that anybody who knows the client's secret could have signed is none."""
SCOPES = "openid profile"
BASIC = "client_secret_basic"
MINUTES = 10
"""So long may somebody stay at the provider."""
SECONDS = 10.0
"""The provider answers within this."""
LEEWAY_S = 60
"""What clocks of two houses may differ by."""
KEEP_S = 3600.0
"""What the provider says of itself is asked for again after this."""
LARGEST = 1 << 20
STRONG = frozenset({"mfa", "otp", "hwk", "sms", "swk"})
"""Values of `amr` (RFC 8176) that mean more than a password."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """Whom the provider vouches for. subject: who it is, for ever, with the provider's address before it; a name may be
    given to somebody else. is_strong: by more than a password, as it says.
    """

    name: str
    subject: str
    is_strong: bool


@dataclass(frozen=True, slots=True)
class Departure:
    """Where the browser is sent, and what it must bring back (a cookie's value) within so many seconds."""

    address: str
    kept: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Return:
    """Somebody who came back from the provider, and where they were going."""

    vouched: Vouched
    next: str


class _Kept(msgspec.Struct, array_like=True, frozen=True):
    state: str
    nonce: str
    verifier: str
    redirect: str
    next: str
    until: int


class _Provider(msgspec.Struct, frozen=True):
    """What discovery says, as far as it is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = (BASIC,)


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


class SignOn:
    """The flow. settings: its section. The client's secret comes from ANWANG_OIDC_SECRET or the settings' file."""

    def __init__(self, *, settings: Oidc, sealer: Sealer, clock: Clock) -> None:
        self._settings = settings
        file = settings.client_secret_file
        self._secret = os.environ.get("ANWANG_OIDC_SECRET") or (Path(file).read_text("utf-8").strip() if file else "")
        self._sealer = sealer
        self._clock = clock
        self._provider: _Provider | None = None
        self._keys: KeySet | None = None
        self._asked_at = 0.0

    async def depart(self, *, redirect: str, next: str) -> Departure:
        """Begin. redirect: our address to which the provider sends people back. Raises Unavailable."""
        provider, _ = await self._known()
        kept = _Kept(
            state=secrets.token_urlsafe(24),
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            redirect=redirect,
            next=next,
            until=self._clock.micros() + MINUTES * 60_000_000,
        )
        challenge = base64.urlsafe_b64encode(hashlib.sha256(kept.verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._settings.client_id,
                "redirect_uri": redirect,
                "scope": SCOPES,
                "state": kept.state,
                "nonce": kept.nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        between = "&" if urlsplit(provider.authorization_endpoint).query else "?"
        sealed = self._sealer.seal(msgspec.msgpack.encode(kept), context=CONTEXT)
        return Departure(
            f"{provider.authorization_endpoint}{between}{query}",
            base64.urlsafe_b64encode(sealed).decode(),
            MINUTES * 60,
        )

    async def arrive(self, *, kept: str, state: str, code: str) -> Return:
        """End: trade the code for a token, and check it. Raises Denied (not ours, too late, wrong), Unavailable."""
        begun = self._begun(kept)
        if not hmac.compare_digest(begun.state.encode(), state.encode()):
            raise _not_ours()
        if self._clock.micros() >= begun.until:
            raise Denied("signing in took too long", "sign in again")
        provider, keys = await self._known()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.redirect,
            "client_id": self._settings.client_id,
            "code_verifier": begun.verifier,
        }
        more: dict[str, Any] = {}
        if self._secret and BASIC in provider.token_endpoint_auth_methods_supported:
            more["auth"] = quote(self._settings.client_id), quote(self._secret)  # RFC 6749 2.3.1
        elif self._secret:
            form["client_secret"] = self._secret
        answer = await self._ask("POST", provider.token_endpoint, data=form, **more)
        if answer.status_code != 200:
            raise Denied("the sign-in service did not confirm who you are", "sign in again")
        token = _decoded(answer, _Tokens).id_token
        claims = self._claims(token, keys)
        if claims is None:  # its keys may have been renewed meanwhile
            self._provider = None
            provider, keys = await self._known()
            claims = self._claims(token, keys)
        if claims is None:
            raise _not_valid()
        return Return(self._vouched(claims, provider, begun.nonce), begun.next)

    def _begun(self, kept: str) -> _Kept:
        try:
            sealed = base64.urlsafe_b64decode(kept.encode("ascii"))
            return msgspec.msgpack.decode(self._sealer.open(sealed, context=CONTEXT), type=_Kept)
        except (ValueError, Invalid, Unavailable, msgspec.MsgspecError):
            raise _not_ours() from None

    @staticmethod
    def _claims(token: str, keys: KeySet) -> dict[str, Any] | None:
        try:
            return dict(jwt.decode(token, keys, algorithms=ALGORITHMS).claims)
        except (JoseError, ValueError, KeyError, TypeError):
            return None

    def _vouched(self, claims: dict[str, Any], provider: _Provider, nonce: str) -> Vouched:
        """OpenID Connect Core 1.0, 3.1.3.7. Raises Denied."""
        now = self._clock.micros() // 1_000_000
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        expires, issued, said = claims.get("exp"), claims.get("iat"), claims.get("nonce")
        is_valid = (
            claims.get("iss") == provider.issuer
            and self._settings.client_id in audiences
            and (len(audiences) == 1 or claims.get("azp") == self._settings.client_id)
            and isinstance(expires, int | float)
            and now < expires + LEEWAY_S
            and isinstance(issued, int | float)
            and issued <= now + LEEWAY_S
            and isinstance(said, str)
            and hmac.compare_digest(said.encode(), nonce.encode())
        )
        if not is_valid:
            raise _not_valid()
        name, subject = claims.get(self._settings.claim), claims.get("sub")
        if not isinstance(name, str) or not name or not isinstance(subject, str):
            raise Denied("the sign-in service does not say your user name", "its administrator can add it")
        methods = claims.get("amr")
        strong = isinstance(methods, list) and any(isinstance(one, str) and one in STRONG for one in methods)
        return Vouched(name, f"{provider.issuer} {subject}", strong)

    async def _known(self) -> tuple[_Provider, KeySet]:
        """What the provider says of itself, and its keys."""
        now = self._clock.monotonic()
        if self._provider is None or self._keys is None or now - self._asked_at > KEEP_S:
            issuer = self._settings.issuer.rstrip("/")
            found = _decoded(await self._ask("GET", f"{issuer}/.well-known/openid-configuration"), _Provider)
            if found.issuer.rstrip("/") != issuer:
                raise Unavailable("the sign-in service calls itself by another name", "correct oidc.issuer")
            answer = await self._ask("GET", found.jwks_uri)
            try:
                self._keys = KeySet.import_key_set(answer.json())
            except (JoseError, ValueError, KeyError, TypeError) as err:
                raise _unclear() from err
            self._provider, self._asked_at = found, now
        return self._provider, self._keys

    async def _ask(self, method: str, address: str, **more: Any) -> httpx.Response:
        if urlsplit(address).scheme != "https" and not self._settings.allow_http:
            raise Unavailable("the sign-in service is not asked over http", "use its https address")
        try:
            async with httpx.AsyncClient(timeout=SECONDS, follow_redirects=False) as client:
                answer = await client.request(method, address, **more)
        except (httpx.HTTPError, httpx.InvalidURL) as err:
            raise Unavailable("the sign-in service does not answer", "sign in with user name and password") from err
        if len(answer.content) > LARGEST or answer.status_code >= 500:
            raise _unclear()
        return answer


CONTEXT = "oidc sign-in"


def _decoded(answer: httpx.Response, shape: type[Any]) -> Any:
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except msgspec.MsgspecError as err:
        raise _unclear() from err


def _unclear() -> Unavailable:
    return Unavailable("the sign-in service's answer is not understood", "sign in with user name and password")


def _not_ours() -> Denied:
    return Denied("this sign-in was not begun here", "sign in again")


def _not_valid() -> Denied:
    return Denied("the sign-in service's word is not valid", "sign in again; check the clocks of both")
