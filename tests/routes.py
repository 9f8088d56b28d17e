"""Every route of an application: what governs it, and what each role is answered. The golden table is made of this."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts

from anwang.governance import Action, Role, may

NOBODY = "anonymous"
ASKERS = (NOBODY, *(role.value for role in Role))
NUMBERS = {"z", "x", "y", "first", "last"}
AN_ID = "00000000-0000-7000-8000-000000000000"

SignIn = Callable[[str], Awaitable[str]]
"""A fresh session's token for a role: a route may end the session it is asked with."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. governed_by: what `allow` or `public` left on it; empty where neither did."""

    method: str
    path: str
    governed_by: str
    endpoint: str


def walk(app: FastAPI) -> list[Route]:
    """All routes, those of included routers too, and whatever else was hung into the application."""
    found = []
    for each in iter_route_contexts(app.router.routes):
        kind = each.original_route
        if isinstance(kind, APIRoute | APIWebSocketRoute):
            governed_by = ", ".join(sorted(set(_marks(each.dependant))))
        else:
            governed_by = ""
        methods = sorted(each.methods or {"WEBSOCKET"}) if hasattr(kind, "methods") else ["WEBSOCKET"]
        for method in methods:
            name = getattr(each.endpoint, "__qualname__", type(kind).__name__)
            found.append(Route(method, each.path or "?", governed_by, name))
    return sorted(found, key=lambda route: (route.path, route.method))


def _marks(dependant: Any) -> list[str]:
    own = getattr(dependant.call, "governed_by", None)
    return ([own] if isinstance(own, str) else []) + [
        mark for inner in dependant.dependencies for mark in _marks(inner)
    ]


def ungoverned(app: FastAPI) -> list[str]:
    """Routes that say neither `allow` nor `public`."""
    return [f"{route.method} {route.path} ({route.endpoint})" for route in walk(app) if not route.governed_by]


async def table(app: FastAPI, sign_in: SignIn) -> list[str]:
    """One line per route: method, path, what governs it, and the status each role is answered.

    Ids in the path are well-formed and unknown; bodies are `{}`. So 2xx, 400 and 404 mean that the role was let in. A
    WebSocket that is closed with a private code counts as that code less 4000.
    """
    lines = []
    kept: dict[str, str] = {}
    for route in walk(app):
        if route.method == "HEAD":
            continue
        answers = []
        for asker in ASKERS:
            if asker == NOBODY:
                token = ""
            elif asker in kept and "session" not in route.path:
                token = kept[asker]
            else:
                token = kept[asker] = await sign_in(asker)
            answers.append(f"{asker}={await status(app, route.method, route.path, token)}")
        lines.append(f"{route.method} {route.path} | {route.governed_by} | {' '.join(answers)}")
    return lines


def contradictions(lines: Sequence[str]) -> list[str]:
    """Lines of the table that do not fit the golden table of roles and actions."""
    wrong = []
    for line in lines:
        where, governed_by, answers = line.split(" | ")
        said = dict(answer.split("=") for answer in answers.split())
        if where.startswith("WEBSOCKET "):  # before it is accepted, a socket has one way to say no
            said = {who: code.replace("1008", "401" if who == NOBODY else "403") for who, code in said.items()}
        if governed_by.startswith("public"):
            # 404: a link that is not known; 401: a password that is not
            fine = len(set(said.values())) == 1 and said[NOBODY] not in ("403", "500", "503")
        else:
            action = Action(governed_by.removeprefix("allow ").partition(",")[0])
            fine = said[NOBODY] == "401" and all(
                (said[role.value] == "403") != may(role, action) and said[role.value] not in ("401", "500", "503")
                for role in Role
            )
        if not fine:
            wrong.append(f"{where}: {answers} does not fit {governed_by!r}")
    return wrong


async def status(app: FastAPI, method: str, path: str, token: str, heard: list[str] | None = None) -> int:
    """The status of one request; the connection is dropped as soon as the answer begins (streams never end).

    heard: filled with the texts that a socket says before it closes.
    """
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    concrete = re.sub(r"\{(\w+)\}", lambda found: "0" if found[1] in NUMBERS else AN_ID, path)
    concrete, _, query = concrete.partition("?")
    body = json.dumps({}).encode() if method in ("POST", "PUT", "PATCH") else b""
    headers = [(b"host", b"anwang.test"), (b"content-type", b"application/json"), (b"accept", b"*/*")]
    if token:
        headers.append((b"authorization", b"Bearer " + token.encode()))
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            if is_socket:
                return {"type": "websocket.connect"}
            return {"type": "http.request", "body": body, "more_body": False}
        await asyncio.shield(asyncio.wait_for(_settled(started), timeout=60))
        return {"type": "websocket.disconnect", "code": 1001} if is_socket else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        if started.done():
            return
        if heard is not None and message["type"] == "websocket.send" and message.get("text"):
            heard.append(message["text"])
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            started.set_result(message["status"])
        elif message["type"] == "websocket.close":
            started.set_result(message["code"] - 4000 if message["code"] > 4000 else message["code"])

    is_socket = method == "WEBSOCKET"
    scope: dict[str, Any] = {
        "type": "websocket" if is_socket else "http", "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1", "method": method, "scheme": "wss" if is_socket else "https", "subprotocols": [],
        "path": concrete, "raw_path": concrete.encode(), "query_string": query.encode(),
        "root_path": "", "headers": headers,
        "client": ("192.0.2.7", 50000), "server": ("anwang.test", 443),
        "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    asked = asyncio.create_task(app(scope, receive, send))
    async with asyncio.timeout(30):
        await asyncio.wait({asked, asyncio.ensure_future(_settled(started))}, return_when=asyncio.FIRST_COMPLETED)
        answered = await started if started.done() or not asked.done() else 0  # 0: it ended without an answer
    asked.cancel()
    await asyncio.wait([asked])
    return answered


async def _settled(started: asyncio.Future[int]) -> None:
    await asyncio.shield(started)
