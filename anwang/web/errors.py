"""One shape for everything that goes wrong: `{kind, reason, hint}`; kinds become statuses here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from anwang.kernel.errors import AnwangError, Kind

STATUS: Mapping[Kind, int] = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.SECOND_FACTOR_NEEDED: 401,
    Kind.DENIED: 403,
    Kind.PURPOSE_NEEDED: 403,
    Kind.APPROVAL_NEEDED: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.EXHAUSTED: 429,
    Kind.INTERNAL: 500,
    Kind.UNSUPPORTED: 501,
    Kind.UNAVAILABLE: 503,
}
_KIND_OF = {400: Kind.INVALID, 401: Kind.UNAUTHENTICATED, 403: Kind.DENIED, 404: Kind.NOT_FOUND, 405: Kind.UNSUPPORTED,
            409: Kind.CONFLICT, 413: Kind.INVALID, 429: Kind.EXHAUSTED, 503: Kind.UNAVAILABLE}  # fmt: skip
MOST_FAULTS = 20


class ErrorDto(BaseModel):
    """What every refusal looks like. reason: what was refused, naming the object. hint: what would be right."""

    kind: Kind
    reason: str
    hint: str | None


def answer(
    kind: Kind, reason: str, hint: str = "", *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The response to a refusal. status: where it differs from the kind's."""
    sent = dict(headers or {})
    if kind is Kind.UNAUTHENTICATED:
        sent["www-authenticate"] = "Bearer"
    body = ErrorDto(kind=kind, reason=reason, hint=hint or None)
    return JSONResponse(body.model_dump(mode="json"), status_code=status or STATUS[kind], headers=sent)


def install(app: FastAPI) -> None:
    """Give the application's errors their shape. What is unexpected is caught around it, by `Edge`."""

    async def ours(connection: Request | WebSocket, err: Exception) -> Response | None:
        refusal = err if isinstance(err, AnwangError) else AnwangError("something went wrong")
        if isinstance(connection, WebSocket):
            await connection.close(1008, reason=refusal.reason[:120])
            return None
        return answer(refusal.kind, refusal.reason, refusal.hint)

    async def invalid(connection: Request | WebSocket, err: Exception) -> Response | None:
        faults = err.errors() if isinstance(err, RequestValidationError | WebSocketRequestValidationError) else []
        reason = _faults(faults)
        if isinstance(connection, WebSocket):
            await connection.close(1008, reason=reason[:120])
            return None
        return answer(Kind.INVALID, reason, "see the API's description for the fields and their ranges")

    async def routing(connection: Request | WebSocket, err: Exception) -> Response | None:
        status = err.status_code if isinstance(err, HTTPException) else 500
        headers = (err.headers if isinstance(err, HTTPException) else None) or {}
        where = f"{connection.scope.get('method', 'WEBSOCKET')} {connection.scope['path'][:120]}"
        if isinstance(connection, WebSocket):
            await connection.close(1008, reason=where[:120])
            return None
        if status == 404:
            return answer(Kind.NOT_FOUND, f"there is nothing at {where}", "check the address")
        if status == 405:
            hint = f"allowed: {headers['Allow']}" if "Allow" in headers else ""
            return answer(Kind.UNSUPPORTED, f"{where} is not offered", hint, status=405, headers=headers)
        detail = str(err.detail) if isinstance(err, HTTPException) else ""
        return answer(_KIND_OF.get(status, Kind.INTERNAL), detail or f"HTTP {status}", status=status, headers=headers)

    app.add_exception_handler(AnwangError, ours)  # type: ignore[arg-type]  # its stubs forget WebSocket
    app.add_exception_handler(RequestValidationError, invalid)  # type: ignore[arg-type]
    app.add_exception_handler(WebSocketRequestValidationError, invalid)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, routing)  # type: ignore[arg-type]


def _faults(faults: Sequence[Any]) -> str:
    """All faults of a request, each with its place; never with the value, which may be a secret."""
    said = []
    for fault in faults[:MOST_FAULTS]:
        place = ".".join(str(part)[:60] for part in fault.get("loc", ()))
        said.append(f"{place}: {fault.get('msg', 'is wrong')}")
    if len(faults) > MOST_FAULTS:
        said.append(f"and {len(faults) - MOST_FAULTS} more")
    return "; ".join(said) or "the request is wrong"
