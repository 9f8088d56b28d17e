"""The one port, over real sockets: TLS, both address families, bad heads, an orderly end."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from anwang.governance import Arrival, Governance, admit
from anwang.kernel.errors import AnwangError, Invalid, Unavailable
from anwang.runtime.clock import FakeClock
from anwang.runtime.settings import Http, Tls
from anwang.stores.state import State
from anwang.web.events import Notice
from anwang.web.listener import LARGEST_HEAD, Listener, bind, certificate
from tests.assembled import build_test_app
from tests.governed import everyone, governed


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """The smallest application: it reads the body and greets; `/hang` never answers, a WebSocket says it back."""
    if scope["type"] == "websocket":
        await echo(receive, send)
        return
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/hang":
        await asyncio.Event().wait()
    body = b"hello " + scope["path"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def echo(receive: Receive, send: Send) -> None:
    """A WebSocket that says everything back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"]})


@asynccontextmanager
async def listening(
    folder: Path,
    app: Any = hello,
    *,
    host: str = "127.0.0.1",
    tls: bool = False,
    **more: Any,
) -> AsyncIterator[Listener]:
    """A listener that serves while the block runs."""
    listener = Listener(app, http=Http(host=host, port=0), tls=Tls(enabled=tls), data=folder, grace_s=1, **more)
    listener.bind()
    running = asyncio.create_task(listener.run())
    try:
        async with asyncio.timeout(10):
            await listener.ready()
        yield listener
    finally:
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()


async def test_plain_http(tmp_path: Path) -> None:
    async with listening(tmp_path) as listener, httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{listener.port}/x%20y?q=1")
        assert (answer.status_code, answer.text) == (200, "hello /x y")
        assert "server" not in answer.headers


async def test_both_families_on_one_port(tmp_path: Path) -> None:
    async with listening(tmp_path, host="::") as listener, httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{listener.port}/4")).text == "hello /4"
        if socket.has_ipv6 and _has_ipv6_loopback():
            assert (await client.get(f"http://[::1]:{listener.port}/6")).text == "hello /6"


def _has_ipv6_loopback() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


def test_a_taken_port_is_named() -> None:
    first = bind("127.0.0.1", 0)
    try:
        with pytest.raises(Unavailable, match=str(first.getsockname()[1])):
            bind("127.0.0.1", first.getsockname()[1])
    finally:
        first.close()
    with pytest.raises(Unavailable):
        bind("203.0.113.77", 0)


async def test_tls_with_a_certificate_of_our_own(tmp_path: Path) -> None:
    async with listening(tmp_path, tls=True) as listener:
        made = listener.certificate
        assert made is not None
        assert made.self_signed
        assert made.key.stat().st_mode & 0o077 == 0
        trusting = ssl.create_default_context(cafile=str(made.cert))
        async with httpx.AsyncClient(verify=trusting) as client:
            for host in ("localhost", "127.0.0.1"):
                assert (await client.get(f"https://{host}:{listener.port}/tls")).text == "hello /tls"
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"hello" not in await reader.read(100)
        writer.close()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        old.set_ciphers("ALL:@SECLEVEL=0")
        der = ssl.PEM_cert_to_DER_cert(made.cert.read_text())
        _, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=old)
        assert writer.get_extra_info("ssl_object").getpeercert(binary_form=True) == der
        writer.close()


def test_the_certificate_is_kept_and_renewed_in_time(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    first = certificate(Tls(), tmp_path, now=now)
    assert certificate(Tls(), tmp_path, now=now + timedelta(days=700)) == first
    renewed = certificate(Tls(), tmp_path, now=now + timedelta(days=800))
    assert renewed.fingerprint != first.fingerprint
    assert len(first.fingerprint) == 95
    named = certificate(Tls(), tmp_path, names=["video.city.example", "192.0.2.9"])
    assert named.fingerprint != renewed.fingerprint
    assert certificate(Tls(), tmp_path, names=["192.0.2.9"]) == named
    stated = x509.load_pem_x509_certificate(named.cert.read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert "video.city.example" in stated.value.get_values_for_type(x509.DNSName)
    assert ipaddress.ip_address("192.0.2.9") in stated.value.get_values_for_type(x509.IPAddress)
    renewed = named
    given_one = certificate(Tls(cert=str(renewed.cert), key=str(renewed.key)), tmp_path / "other")
    assert (given_one.fingerprint, given_one.self_signed) == (renewed.fingerprint, False)
    with pytest.raises(Invalid, match="together"):
        certificate(Tls(cert=str(renewed.cert)), tmp_path)
    with pytest.raises(Invalid, match="not a certificate"):
        certificate(Tls(cert=str(renewed.key), key=str(renewed.key)), tmp_path)


@pytest.mark.parametrize("tls", [False, True])
async def test_a_websocket_beside_it_all(tmp_path: Path, tls: bool) -> None:
    async with listening(tmp_path, tls=tls) as listener:
        context = None
        if listener.certificate is not None:
            context = ssl.create_default_context(cafile=str(listener.certificate.cert))
        url = f"{'wss' if tls else 'ws'}://localhost:{listener.port}/live?stream=sub"
        async with websockets.connect(url, ssl=context, compression=None) as socket_:
            for size in (0, 5, 100_000):
                await socket_.send(b"x" * size)
                assert await socket_.recv() == b"x" * size


async def test_a_websocket_needs_our_origin_or_a_token(tmp_path: Path) -> None:
    """The browser sends the cookie with any page's WebSocket: only the Origin tells whose it is."""
    outcomes: list[str] = []
    state = await State.open(f"sqlite:///{tmp_path}/state.db")
    async with governed(state, tmp_path, FakeClock()) as governance:
        token = (await everyone(governance))["viewer"]

        async def asking(scope: Scope, receive: Receive, send: Send) -> None:
            address = (scope.get("client") or ("", 0))[0]
            arrival = Arrival.of(method="WEBSOCKET", is_tls=False, address=address, headers=scope["headers"])
            try:
                outcomes.append((await admit(governance, arrival)).username)
            except AnwangError as err:
                outcomes.append(type(err).__name__)
            await echo(receive, send)

        async with listening(tmp_path, asking) as listener:
            url = f"ws://127.0.0.1:{listener.port}/api/v1/points/p/live"
            ours, foreign = f"http://127.0.0.1:{listener.port}", "https://evil.example"
            for headers, origin in [
                ({"Authorization": f"Bearer {token}"}, None),
                ({"Cookie": f"anwang={token}"}, ours),
                ({"Cookie": f"anwang={token}"}, foreign),
                ({"Cookie": f"anwang={token}"}, None),
                ({}, ours),
            ]:
                async with websockets.connect(url, additional_headers=headers, origin=origin):  # type: ignore[arg-type]
                    pass
    await state.close()
    assert outcomes == ["viewer.one", "viewer.one", "Denied", "Denied", "Unauthenticated"]


# --- bad peers ----------------------------------------------------------------------------------------------------


async def raw(port: int, data: bytes, *, eof: bool = False) -> bytes:
    """What the server says to these bytes until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        if eof:
            writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read(-1)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_an_endless_head_is_cut_off(tmp_path: Path) -> None:
    async with listening(tmp_path) as listener:
        said = await raw(listener.port, b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * (2 * LARGEST_HEAD))
        assert said.startswith(b"HTTP/1.1 400") or said == b""
        body = b"x" * (3 * LARGEST_HEAD)
        head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        assert b"hello /" in await raw(listener.port, head + body)


async def test_a_slow_head_is_cut_off_and_a_slow_answer_is_not(tmp_path: Path) -> None:
    async with listening(tmp_path, head_seconds=0.05) as listener:
        assert await raw(listener.port, b"GET / HTT") == b""
        assert await raw(listener.port, b"") == b""
        first = b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n"
        said = await raw(listener.port, first + b"GET /second HTT")
        assert (b"/first" in said, b"/second" in said) == (True, False)


@pytest.mark.parametrize(
    "data",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\x00" * 100, b"GET / HTTP/9.9\r\n\r\n",
     b"GET http://[::1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
     b"GET \xff HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
     b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
     b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
)  # fmt: skip
async def test_a_bad_request_costs_only_itself(tmp_path: Path, data: bytes) -> None:
    async with listening(tmp_path, head_seconds=1) as listener:
        assert b"200 OK" not in await raw(listener.port, data, eof=True)
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{listener.port}/ok")).text == "hello /ok"


PIECES = st.sampled_from(
    [b"GET / HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n", b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
     b"Content-Length: 5\r\n"]
)  # fmt: skip
REQUESTS = st.lists(st.lists(st.one_of(st.binary(max_size=80), PIECES), max_size=8), max_size=20)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REQUESTS)
def test_random_requests_do_not_stop_the_listener(tmp_path: Path, requests: list[list[bytes]]) -> None:
    async def serve() -> None:
        async with listening(tmp_path, head_seconds=0.05) as listener, httpx.AsyncClient() as client:
            await asyncio.gather(*(raw(listener.port, b"".join(each), eof=True) for each in requests))
            assert (await client.get(f"http://127.0.0.1:{listener.port}/ok")).text == "hello /ok"

    asyncio.run(serve())


async def test_the_end_is_orderly_and_bounded(tmp_path: Path) -> None:
    async with listening(tmp_path) as listener:
        live = await websockets.connect(f"ws://127.0.0.1:{listener.port}/live", compression=None)
        hanging = asyncio.create_task(raw(listener.port, b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n"))
        idle = await asyncio.open_connection("127.0.0.1", listener.port)
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await live.wait_closed()
        assert b"200" not in await hanging
        assert await idle[0].read() == b""
    idle[1].close()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", listener.port)


async def test_events_over_a_real_connection(tmp_path: Path) -> None:
    state = await State.open(f"sqlite:///{tmp_path}/state.db")
    async with governed(state, tmp_path, FakeClock()) as governance:
        await over_a_real_connection(governance, tmp_path)
    await state.close()


async def over_a_real_connection(governance: Governance, folder: Path) -> None:
    token = (await everyone(governance))["operator"]
    async with build_test_app(governance, folder) as app, listening(folder, app) as listener:
        events = app.state.events
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.port}", headers=headers) as client:
            async with client.stream("GET", "/api/v1/events") as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                lines = answer.aiter_lines()
                assert await anext(lines) == "retry: 2000"
                seq = await events.publish(Notice("note", None, {"text": "你好"}))
                got = [await anext(lines) for _ in range(5)]
                assert got == ["", f"id: {seq}", "event: note", 'data: {"text":"你好"}', ""]
                assert events.open_now == 1
            async with asyncio.timeout(10):
                while events.open_now:
                    await asyncio.sleep(0)
            later = await events.publish(Notice("note", None, 2))
            async with client.stream("GET", "/api/v1/events", headers={"last-event-id": str(seq)}) as answer:
                got = [line async for line in _first(answer.aiter_lines(), 5)]
                assert got[2:] == [f"id: {later}", "event: note", "data: 2"]


async def _first(lines: AsyncIterator[str], count: int) -> AsyncIterator[str]:
    for _ in range(count):
        yield await anext(lines)
