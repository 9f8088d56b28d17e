"""What surrounds every request: its id, its line in the log, the size of its body, headers that protect browsers.

Nothing unexpected gets past it: the person sees a sentence and the request's id, the log has the traceback.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anwang.kernel.errors import Kind
from anwang.kernel.ids import uuid7
from anwang.runtime import logs
from anwang.web.errors import answer

log = logs.get(__name__)
_SECRET = re.compile(r"anw_[a-z]_[A-Za-z0-9_-]+|[^/]{65,}")
SMALL_BODY = 1024 * 1024


def security_headers(*, elsewhere: Sequence[str] = (), strict_transport: bool = False) -> list[tuple[bytes, bytes]]:
    """Headers of every response.

    The content security policy lets through what the UI needs and no more: MapLibre's workers from blobs, Media Source
    Extensions (blob), the inline styles of antd, and tiles of the base map from `elsewhere` (origins).
    strict_transport: only with a certificate that browsers trust; a self-signed one could not be clicked away any more.
    """
    others = "".join(f" {origin}" for origin in elsewhere)
    policy = {
        "default-src": "'self'",
        "script-src": "'self'",
        "worker-src": "'self' blob:",
        "child-src": "'self' blob:",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": f"'self' data: blob:{others}",
        "media-src": "'self' blob:",
        "font-src": f"'self' data:{others}",
        "connect-src": f"'self' blob:{others}",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    headers = {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(self), microphone=(self), payment=()",
    }
    if strict_transport:
        headers["strict-transport-security"] = "max-age=31536000"
    return [(name.encode(), value.encode()) for name, value in headers.items()]


class Edge:
    """ASGI middleware around the whole application.

    largest: bytes of body by path prefix; every other path may send SMALL_BODY. Beyond that a large body is read only
    for somebody: a route that takes one reads `Request.stream()`, which comes after its `allow(...)`, whereas a body
    declared as a parameter would be read before anybody asked who sends it.
    """

    def __init__(self, app: ASGIApp, *, headers: Sequence[tuple[bytes, bytes]], largest: Mapping[str, int]) -> None:
        self._app = app
        self._headers = list(headers)
        self._largest = sorted(largest.items(), key=lambda item: -len(item[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, _upgraded(send, scope))
            return
        began = time.perf_counter()
        request_id = uuid7(time.time_ns() // 1_000_000)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request_id)
        reply = _Reply(send, [*self._headers, (b"x-request-id", request_id.encode())], scope)
        scope.setdefault("state", {})["request_id"] = request_id
        body = _Body(receive, self._bound(scope["path"]), scope)
        try:
            try:
                body.check_length()
                await self._app(scope, body.receive, reply.send)
            except HTTPException as err:  # the body was too large before anybody looked at the request
                await answer(Kind.INVALID, str(err.detail), status=err.status_code)(scope, receive, reply.send)
        except Exception as err:
            log.error("a request failed", exc_info=err)
            if reply.status:
                raise  # half an answer is out: the connection is closed, so that nobody takes it for the whole
            failed = answer(Kind.INTERNAL, "something went wrong on our side", f"name request {request_id} in a report")
            await failed(scope, receive, reply.send)
        finally:
            self._log(scope, reply, time.perf_counter() - began)
            structlog.contextvars.clear_contextvars()

    def _bound(self, path: str) -> int:
        return next((size for prefix, size in self._largest if path.startswith(prefix)), SMALL_BODY)

    @staticmethod
    def _log(scope: Scope, reply: _Reply, seconds: float) -> None:
        actor = scope.get("state", {}).get("actor")
        client = scope.get("client")
        log.info(
            "request",
            method=scope["method"],
            # the query is left out and long or token-like parts are hidden: links carry secrets there
            path=_SECRET.sub("[redacted]", scope["path"][:500]),
            status=reply.status,
            bytes=reply.bytes,
            ms=round(seconds * 1000, 1),
            client=client[0] if client else "",
            user=getattr(actor, "username", ""),
        )


class _Body:
    """Counts a request's body."""

    def __init__(self, receive: Receive, bound: int, scope: Scope) -> None:
        self._receive = receive
        self._bound = bound
        self._scope = scope
        self._seen = 0

    def check_length(self) -> None:
        for name, value in self._scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._bound:
                raise _too_large(self._bound)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            bound = self._bound if "actor" in self._scope["state"] else min(self._bound, SMALL_BODY)
            if self._seen > bound:
                raise _too_large(bound)
        return message


def _too_large(bound: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {bound} bytes")


class _Reply:
    """Adds the headers and counts."""

    def __init__(self, send: Send, headers: list[tuple[bytes, bytes]], scope: Scope) -> None:
        self._send = send
        self._headers = headers
        self._scope = scope
        self._is_api = scope["path"].startswith("/api/")
        self.status = 0
        self.bytes = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [(name.lower(), value) for name, value in message.get("headers", [])]
            names = {name for name, _ in own}
            added = [pair for pair in (*self._headers, *_told(self._scope)) if pair[0] not in names]
            if self._is_api and b"cache-control" not in names:
                added.append((b"cache-control", b"no-store"))
            message = {**message, "headers": own + added}
        elif message["type"] == "http.response.body":
            self.bytes += len(message.get("body", b""))
        await self._send(message)


def _told(scope: Scope) -> Sequence[tuple[bytes, bytes]]:
    """Headers that whoever let the request in wants on its answer, whatever answers it."""
    headers: Sequence[tuple[bytes, bytes]] = scope.get("state", {}).get("answer_headers", ())
    return headers


def _upgraded(send: Send, scope: Scope) -> Send:
    """The same for a WebSocket."""

    async def sent(message: Message) -> None:
        if message["type"] == "websocket.accept":
            message = {**message, "headers": [*message.get("headers", []), *_told(scope)]}
        await send(message)

    return sent
