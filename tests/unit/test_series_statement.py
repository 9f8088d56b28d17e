"""Telling an INSERT with data from everything else, whatever bytes come."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anwang.kernel.errors import Invalid
from anwang.stores.series.engine import Engine, EngineError
from anwang.stores.series.protocol import Bounds, Connection
from anwang.stores.series.statement import parse

DATA = b"\x03\x01\x02id\x06UInt64\x00 FORMAT x; '\xff"


@pytest.mark.parametrize(
    "head",
    [
        b"INSERT INTO t (a, b) FORMAT Native\n",
        b"insert into db.`FORMAT` (`a b`, \"c\") settings x = 'FORMAT CSV' format Native\n",
        b"  -- a comment; FORMAT CSV\nINSERT INTO t FORMAT Native \r\n",
        b"/* FORMAT CSV */INSERT INTO FUNCTION file('x', 'FORMAT') FORMAT Native\n",
    ],
)
def test_an_insert_with_data_is_cut_after_its_format(head: bytes) -> None:
    whole = parse(b"", head + DATA)
    assert (whole.verb, whole.format, whole.writes, whole.has_result) == ("INSERT", "Native", True, False)
    assert whole.data is not None
    assert bytes(whole.data) == DATA
    assert "Native" not in whole.text
    split = parse(head.rstrip(b" \r\n"), DATA)
    assert split.data is not None
    assert bytes(split.data) == DATA


@pytest.mark.parametrize(
    ("text", "verb", "named", "has_result"),
    [
        (b"SELECT 1\n FORMAT Native", "SELECT", "Native", True),
        (b"with x as (select 'a' format) select * from x format JSON;", "WITH", "JSON", True),
        (b"SELECT ';', `;`, \"FORMAT CSV\" -- ; no\n", "SELECT", None, True),
        (b"INSERT INTO t VALUES (1, ';'), (2, 'FORMAT')", "INSERT", None, False),
        (b"INSERT INTO t FORMAT Values (1)", "INSERT", "Values", False),
        (b"INSERT INTO t SELECT * FROM u SETTINGS max_threads = 1", "INSERT", None, False),
        (b"CREATE TABLE t (a UInt8) ENGINE = Memory", "CREATE", None, False),
        (b"DESCRIBE TABLE t", "DESCRIBE", None, True),
    ],
)
def test_other_statements_stay_whole(text: bytes, verb: str, named: str | None, has_result: bool) -> None:
    statement = parse(b"", text)
    assert (statement.verb, statement.format, statement.has_result) == (verb, named, has_result)
    assert statement.data is None
    assert statement.writes == (verb == "DESCRIBE")
    assert parse(text, b"").text == statement.text == text.decode().rstrip(";")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" \n-- nothing\n",
        b";",
        b"SELECT 1; SELECT 2",
        b"SET max_threads = 1",
        b"use other",
        b"CREATE TEMPORARY TABLE t (a UInt8)",
        b"SELECT '\xff'",
        b"SELECT " + b"1," * (1 << 20),
    ],
)
def test_what_cannot_be_run_is_refused(text: bytes) -> None:
    with pytest.raises(Invalid):
        parse(b"", text)


@given(st.binary(max_size=400), st.binary(max_size=100))
def test_random_bytes_are_never_worse_than_invalid(query: bytes, body: bytes) -> None:
    for head in (b"", b"INSERT INTO t (a) ", b"SELECT "):
        with suppress(Invalid):
            parse(head + query, body)


@given(st.text(alphabet="INSERTOFMAVLU tx'`\"();-/*\n", max_size=80), st.binary(max_size=40))
def test_statement_like_text_is_never_worse_than_invalid(text: str, body: bytes) -> None:
    try:
        found = parse(text.encode(), body)
    except Invalid:
        return
    if found.data is not None:
        assert bytes(found.data).endswith(body)


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def writelines(self, list_of_data: object) -> None:
        for data in list_of_data:  # type: ignore[attr-defined]
            self.write(data)

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        return None

    def resume_reading(self) -> None:
        return None


async def talk(*pieces: bytes, largest_body: int = 1000) -> Wire:
    """What a connection without an engine answers to bytes."""

    class NoEngine(Engine):
        def __init__(self) -> None:
            self.done = 0

        async def run(self, statement: object, **_rest: object) -> object:  # type: ignore[override]
            raise EngineError(60, f"Code: 60. DB::Exception: {statement}")

    bounds = Bounds(token="a-secret-of-letters", largest_body=largest_body, most_connections=2, idle_s=5)
    connection = Connection(NoEngine(), bounds)
    wire = Wire()
    connection.connection_made(wire)
    for piece in pieces:
        connection.data_received(piece)
        while connection.is_busy:
            await asyncio.sleep(0)
        if wire.is_closed:
            break
    connection.connection_lost(None)
    assert not bounds.open
    return wire


AUTH = b"Authorization: Bearer a-secret-of-letters\r\n"


def request(body: bytes, *headers: bytes, url: bytes = b"/") -> bytes:
    lines = [b"POST " + url + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (request(b"SELECT 1"), 401, b"516"),
        (request(b"SELECT 1", b"Authorization: Bearer wrong"), 401, b"516"),
        (request(b"SELECT 1", b"Authorization: Basic !!"), 401, b"516"),
        (request(b"SELECT 1", b"X-ClickHouse-Key: a-secret-of-letters"), 404, b"60"),
        (request(b"SELECT 1", b"Authorization: Basic ZGVmYXVsdDphLXNlY3JldC1vZi1sZXR0ZXJz"), 404, b"60"),
        (request(b"x" * 2000, AUTH.strip()), 413, b"36"),
        (request(b"SELECT 1", AUTH.strip(), b"Content-Encoding: br"), 501, b"48"),
        (request(b"SELECT 1", AUTH.strip(), b"Content-Encoding: gzip"), 400, b"36"),
        (request(b"SELECT 1", AUTH.strip(), b"Content-Encoding: lz4"), 400, b"36"),
        (request(b"SELECT 1", AUTH.strip(), url=b"/?compress=1"), 501, b"48"),
        (request(b"SELECT 1", AUTH.strip(), url=b"/elsewhere"), 404, b"36"),
        (request(b"", AUTH.strip()), 400, b"36"),
        (request(b"", AUTH.strip(), b"Content-Type: multipart/form-data; boundary=x"), 400, b"36"),
        (b"\x16\x03\x01 this is TLS\r\n\r\n", 400, b"36"),
        (b"GET / HTTP/1.1\r\n" + b"A: " + b"x" * 70_000 * 16 + b"\r\n\r\n", 413, b"36"),
    ],
)
async def test_refusals_have_the_engines_shape(sent: bytes, status: int, code: bytes) -> None:
    wire = await talk(sent)
    assert wire.sent.startswith(b"HTTP/1.1 %d " % status)
    assert b"X-ClickHouse-Exception-Code: " + code + b"\r\n" in wire.sent
    assert b"a-secret-of-letters" not in wire.sent


async def test_a_small_body_that_expands_without_end_is_refused() -> None:
    wire = await talk(request(gzip.compress(b"x" * 5_000), AUTH.strip(), b"Content-Encoding: gzip"))
    assert wire.sent.startswith(b"HTTP/1.1 413 ")


async def test_ping_needs_no_token_and_a_connection_serves_many_requests() -> None:
    ping = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    wire = await talk(*([ping] * 3), request(b"SELECT 1", AUTH.strip()), ping)
    assert wire.sent.count(b"\r\n\r\nOk.\n") == 4
    assert wire.sent.count(b"HTTP/1.1 404 ") == 1
    assert not wire.is_closed


@given(st.lists(st.binary(min_size=1, max_size=120), max_size=6))
async def test_random_bytes_never_break_a_connection(pieces: list[bytes]) -> None:
    wire = await talk(*pieces)
    assert not wire.sent or wire.sent.startswith(b"HTTP/1.1 ")
    await talk(b"POST /?query=", *pieces)
    await talk(b"POST / HTTP/1.1\r\n" + AUTH + b"Content-Length: 60\r\n\r\n", *pieces)
    await talk(
        b"POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\n" + AUTH + b"Content-Length: 60\r\n\r\n",
        *pieces,
    )
