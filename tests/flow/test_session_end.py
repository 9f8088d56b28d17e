"""What a session has open ends with it: live video, a device's recording, a device's messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.flow.served import ADMIN, Served, until
from tests.flow.test_device import adopted
from tests.flow.test_device_past import both_rows, iso

Ps = tuple[bytes, list[str]]


@contextmanager
def opened(served: Served, session: httpx.Client, path: str) -> Iterator[ClientConnection]:
    """A socket of that session."""
    url = served.url.replace("http", "ws", 1) + path
    headers = {"Authorization": session.headers["authorization"]}
    with connect(url, additional_headers=headers, max_size=None, open_timeout=20, proxy=None) as socket:
        yield socket


def read(socket: ClientConnection, fragments: int) -> int:
    """So many fragments; how many bytes came."""
    size = found = 0
    while found < fragments:
        message = socket.recv(20)
        if isinstance(message, bytes):
            size += len(message)
            found += b"moof" in message[:64]
    return size


def drain(socket: ClientConnection) -> tuple[int, dict[str, Any]]:
    """What is still on its way: bytes, and the last text."""
    size, said = 0, {}
    try:
        while True:
            message = socket.recv(20)
            if isinstance(message, bytes):
                size += len(message)
            else:
                said = json.loads(message)
    except ConnectionClosed:
        return size, said


@pytest.mark.parametrize("what", ["live", "device-playback"])
def test_pictures_stop_when_the_session_ends(served: Served, ps: Ps, what: str) -> None:
    number = 90 if what == "live" else 91
    query = "" if what == "live" else f"?from={iso(0)}&to={iso(20)}"
    session = served.sign_in()
    with closing(session), adopted(served, number, ps=ps[0]) as (device, point):
        with opened(served, session, f"/api/v1/points/{point['id']}/{what}{query}") as socket:
            size = read(socket, 10)
            assert session.delete("/api/v1/session").status_code == 204
            more, said = drain(socket)
            assert said["error"]["kind"] == "unauthenticated" and socket.protocol.close_code == 4401
        assert device.calls[-1].bye.wait(15), "nobody watches any more"
        rows = both_rows(served, point["id"], "view_live" if what == "live" else "view_playback")
        [closed] = [row for row in rows if row["kind"] == "closed"]
        assert closed["outcome"] == "session ended"
        # what was under way in the moment of the end is counted, though it may have been cut off
        assert size + more <= closed["bytes"] <= size + more + 200_000


def test_the_messages_of_a_device_stop_when_the_session_ends(served: Served, ps: Ps) -> None:
    session = served.sign_in(ADMIN)
    own = own_id(session)
    with closing(session), adopted(served, 92, ps=ps[0]) as (device, _):
        found = served.device(device.code)
        assert found is not None
        with session.stream("GET", f"/api/v1/devices/{found['id']}/messages") as answer:
            lines = answer.iter_lines()
            assert next(lines) == "event: message"
            assert served.security.delete(f"/api/v1/sessions/{own}").status_code == 204
            rest = list(lines)  # it ends
        before = len(rest)
        assert device.keepalive() == 200 and len(rest) == before


def own_id(session: httpx.Client) -> str:
    """The session's own id: the newest of the account's."""
    found = session.get("/api/v1/sessions").json()["items"]
    return str(max(found, key=lambda one: one["created_at"])["id"])


def test_so_many_message_streams_and_no_more(served: Served, ps: Ps) -> None:
    with closing(served.sign_in(ADMIN)) as session, adopted(served, 93, ps=ps[0]) as (device, _):
        found = served.device(device.code)
        assert found is not None
        streams = [session.stream("GET", f"/api/v1/devices/{found['id']}/messages") for _ in range(31)]
        answers = [stream.__enter__() for stream in streams]
        try:
            assert [answer.status_code for answer in answers] == [200] * 30 + [429]
        finally:
            for stream in streams:
                stream.__exit__(None, None, None)

        def free() -> bool:
            with session.stream("GET", f"/api/v1/devices/{found['id']}/messages") as answer:
                return answer.status_code == 200

        until(free, "what is closed leaves room")
