"""ClickHouse's HTTP protocol over one TCP connection: request in, statement to the engine, result out.

Understood: POST and GET /, /ping, Basic and Bearer credentials and X-ClickHouse-Key, parameters in the URL or in a
multipart form, `param_x`, `database`, `default_format`, settings, bodies both ways in lz4, zstd or gzip, requests in
deflate as well.
Refused with the engine's own error shape: other compression, external tables, ClickHouse's block compression
(`decompress=1`), and statements that need a session; a `session_id` is accepted and has nothing to remember.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import uuid
import zlib
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from email.parser import BytesParser
from email.policy import HTTP
from importlib import import_module
from types import ModuleType
from typing import cast
from urllib.parse import parse_qsl

import httptools

from anwang.kernel.errors import AnwangError, Exhausted, Invalid, Unsupported
from anwang.stores.series.engine import Engine, EngineError, Outcome
from anwang.stores.series.statement import Statement, parse


def _found(*names: str) -> ModuleType | None:
    for name in names:
        with suppress(ImportError):
            return import_module(name)
    return None


LZ4 = _found("lz4.frame")  # which of the two the stock client brings along depends on the Python version
ZSTD = _found("compression.zstd", "backports.zstd")
LARGEST_HEAD = 64 << 10
RESERVED = {
    "query",
    "database",
    "default_format",
    "session_id",
    "session_timeout",
    "session_check",
    "query_id",
    "quota_key",
    "compress",
    "decompress",
    "wait_end_of_query",
    "buffer_size",
    "client_protocol_version",
    "role",
    "user",
    "password",
    "send_progress_in_http_headers",
    "http_headers_progress_interval_ms",
    "enable_http_compression",
    "cancel_http_readonly_queries_on_client_close",
}
STATUS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    413: "Payload Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}
# ClickHouse error code -> HTTP status; all others 500
STATUS_OF = {62: 400, 36: 400, 48: 501, 60: 404, 81: 404, 202: 503, 516: 401}


class Refusal(Exception):
    """An answer that is an error. code: ClickHouse's."""

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text


class Bounds:
    """What all connections share: the token, the largest body, how many are open."""

    def __init__(self, *, token: str, largest_body: int, most_connections: int, idle_s: float) -> None:
        self.token = token.encode()
        self.largest_body = largest_body
        self.most_connections = most_connections
        self.idle_s = idle_s
        self.open: set[Connection] = set()
        self.refused = 0

    def trusts(self, secret: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(secret, self.token)


class Connection(asyncio.Protocol):
    """One client. Requests are answered one after the other; reading stops while one runs."""

    def __init__(self, engine: Engine, bounds: Bounds) -> None:
        self._engine = engine
        self._bounds = bounds
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._task: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._closing = False
        self._url = b""
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._body = bytearray()
        self._refusal: Refusal | None = None

    # the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is here; one too many is turned away."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._bounds.open) >= self._bounds.most_connections:
            self._bounds.refused += 1
            self._closing = True
            self._answer_error(Refusal(503, 202, "too many connections"))
            return
        self._bounds.open.add(self)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone; a running statement ends by itself."""
        self._bounds.open.discard(self)
        self._transport = None
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; bytes that are no HTTP close the connection."""
        self._wait()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.close()
        except httptools.HttpParserError:
            self._closing = True
            self._answer_error(Refusal(400, 36, "this is no HTTP request"))

    def eof_received(self) -> bool:
        """Half-closed clients are of no use."""
        return False

    @property
    def is_busy(self) -> bool:
        """Whether a statement of this client runs."""
        return self._task is not None and not self._task.done()

    def close(self) -> None:
        """Close now, or after the answer that is being made."""
        self._closing = True
        if self._transport is not None and not self.is_busy:
            self._transport.close()

    def _wait(self) -> None:
        self._stop_waiting()
        self._idle = asyncio.get_running_loop().call_later(self._bounds.idle_s, self._tired)

    def _stop_waiting(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _tired(self) -> None:
        if not self.is_busy:
            self.close()

    # the parser's side

    def on_message_begin(self) -> None:
        """A request starts."""
        self._url = b""
        self._headers = {}
        self._head_bytes = 0
        self._body = bytearray()
        self._refusal = None

    def on_url(self, url: bytes) -> None:
        """May come in pieces."""
        self._url += url
        self._count(len(url), of_url=True)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._count(len(name) + len(value))
        if self._refusal is None:
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def _count(self, size: int, *, of_url: bool = False) -> None:
        self._head_bytes += size
        bound = 16 * LARGEST_HEAD if of_url else 17 * LARGEST_HEAD  # statements and values may travel in the URL
        if self._head_bytes > bound:
            self._refuse(Refusal(413, 36, "the head of the request is too long"))
            self._url = self._url[:LARGEST_HEAD]

    def on_headers_complete(self) -> None:
        """Who asks is settled before the body is kept."""
        if self._refusal is None and not self._path().startswith("/ping") and not self._trusted():
            self._refuse(
                Refusal(401, 516, "Authentication failed: the token is missing or wrong. (AUTHENTICATION_FAILED)")
            )

    def on_body(self, body: bytes) -> None:
        """A piece of the body, bounded."""
        if self._refusal is not None:
            return
        if len(self._body) + len(body) > self._bounds.largest_body:
            self._refuse(Refusal(413, 36, f"the body is larger than {self._bounds.largest_body} bytes"))
            return
        self._body += body

    def on_message_complete(self) -> None:
        """A request is whole: answer it."""
        keep = self._parser.should_keep_alive() and not self._closing
        if self._task is not None and not self._task.done():  # a second request before the first was answered
            self._closing = True
            return
        if self._transport is not None:
            self._transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(
            self._serve(self._url, self._headers, bytes(self._body), self._refusal, keep=keep)
        )
        self._body = bytearray()

    def _refuse(self, refusal: Refusal) -> None:
        self._refusal = refusal
        self._closing = True  # what follows is not worth reading
        self._body = bytearray()

    def _path(self) -> str:
        return self._url.partition(b"?")[0].decode("latin-1")

    def _trusted(self) -> bool:
        key = self._headers.get("x-clickhouse-key")
        if key is not None:
            return self._bounds.trusts(key.encode("latin-1"))
        scheme, _, rest = self._headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._bounds.trusts(rest.strip().encode("latin-1"))
        if scheme.lower() == "basic":
            try:
                return self._bounds.trusts(b64decode(rest, validate=True).partition(b":")[2])
            except ValueError:
                return False
        return False

    # the answer

    async def _serve(
        self, url: bytes, headers: dict[str, str], body: bytes, refusal: Refusal | None, *, keep: bool
    ) -> None:
        try:
            if refusal is not None:
                raise refusal
            await self._respond(url, headers, body)
        except Refusal as err:
            self._answer_error(err)
        except EngineError as err:
            self._answer_error(Refusal(STATUS_OF.get(err.code, 500), err.code, err.text))
        except Exhausted as err:
            self._answer_error(Refusal(503, 202, f"{err.reason} (TOO_MANY_SIMULTANEOUS_QUERIES)"))
        except Unsupported as err:
            self._answer_error(Refusal(501, 48, f"{err.reason} (NOT_IMPLEMENTED)"))
        except AnwangError as err:
            self._answer_error(Refusal(400, 36, f"{err.reason}. {err.hint} (BAD_ARGUMENTS)"))
        except Exception as err:  # a request ends here; the client learns of it, the process goes on
            self._answer_error(Refusal(500, 1002, f"{type(err).__name__}: {err}"))
        finally:
            transport = self._transport
            if transport is not None:
                if keep and not self._closing:
                    transport.resume_reading()
                    self._wait()
                else:
                    transport.close()

    async def _respond(self, url: bytes, headers: dict[str, str], body: bytes) -> None:
        path, _, raw = url.partition(b"?")
        if path == b"/ping":
            self._answer(200, b"Ok.\n", {"Content-Type": "text/html; charset=UTF-8"})
            return
        if path == b"/counters":
            self._answer(200, json.dumps(self._engine.counters()).encode(), {"Content-Type": "application/json"})
            return
        if path != b"/":
            raise Refusal(404, 36, f"there is no {path.decode('latin-1')[:64]!r} here")
        asked = dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="strict"))
        body = _expanded(body, headers.get("content-encoding", ""), self._bounds.largest_body)
        if headers.get("content-type", "").lower().startswith("multipart/form-data"):
            asked.update(_form(headers["content-type"], body))
            body = b""
        if asked.get("decompress") == "1" or asked.get("compress") == "1":
            raise Unsupported("ClickHouse's own block compression is not served; use Content-Encoding")
        statement = parse(asked.get("query", "").encode(), body)
        await self._run(statement, asked, headers)

    async def _run(self, statement: Statement, asked: dict[str, str], headers: dict[str, str]) -> None:
        result_format = asked.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated"
        if not result_format.isalnum():
            raise Invalid(f"{result_format[:32]!r} is no format")
        outcome = await self._engine.run(
            statement,
            params={name[6:]: value for name, value in asked.items() if name.startswith("param_")},
            settings={
                name: value for name, value in asked.items() if name not in RESERVED and not name.startswith("param_")
            },
            database=asked.get("database") or headers.get("x-clickhouse-database") or "default",
            result_format=result_format,
        )
        extra = {
            "X-ClickHouse-Query-Id": _plain(asked.get("query_id", "")) or str(uuid.uuid4()),
            "X-ClickHouse-Summary": _summary(outcome),
            "X-ClickHouse-Timezone": "UTC",
        }
        if statement.has_result:
            extra["X-ClickHouse-Format"] = statement.format or result_format
            extra["Content-Type"] = "application/octet-stream"
        body = outcome.body
        if asked.get("enable_http_compression") == "1":
            encoding, body = _packed(body, headers.get("accept-encoding", ""))
            if encoding:
                extra["Content-Encoding"] = encoding
        self._answer(200, body, extra)

    def _answer_error(self, refusal: Refusal) -> None:
        text = (
            refusal.text
            if refusal.text.startswith("Code: ")
            else f"Code: {refusal.code}. DB::Exception: {refusal.text}"
        )
        self._answer(
            refusal.status,
            text.encode() + b"\n",
            {"X-ClickHouse-Exception-Code": str(refusal.code), "Content-Type": "text/plain; charset=UTF-8"},
        )

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        if self._transport is None:
            return
        lines = [f"HTTP/1.1 {status} {STATUS[status]}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines.append("Connection: " + ("close" if self._closing else "keep-alive"))
        self._transport.writelines([("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), body])
        if self._closing and not self.is_busy:
            self._transport.close()


def _plain(text: str) -> str:
    """What may stand in a header."""
    return "".join(letter for letter in text[:128] if letter.isalnum() or letter in "-_.")


def _summary(outcome: Outcome) -> str:
    return json.dumps(
        {
            "read_rows": str(outcome.read_rows),
            "read_bytes": str(outcome.read_bytes),
            "written_rows": str(outcome.written_rows),
            "written_bytes": str(outcome.written_bytes),
            "result_bytes": str(len(outcome.body)),
        }
    )


def _expanded(body: bytes, encoding: str, largest: int) -> bytes:
    """Undo Content-Encoding, never beyond `largest` bytes."""
    encoding = encoding.strip().lower()
    if not body or encoding in ("", "identity"):
        return body
    expand: Callable[[bytes, int], bytes]
    if encoding in ("gzip", "deflate"):
        expand = zlib.decompressobj(wbits=47).decompress
    elif encoding == "lz4" and LZ4 is not None:
        expand = LZ4.LZ4FrameDecompressor().decompress
    elif encoding == "zstd" and ZSTD is not None:
        expand = ZSTD.ZstdDecompressor().decompress
    else:
        raise Unsupported(f"a body in {encoding[:16]!r} is not understood; use gzip or deflate")
    try:
        out = expand(body, largest + 1)
    except Exception as err:  # each library has errors of its own, and all of them mean the same
        raise Invalid(f"the body is not {encoding}: {err}") from None
    if len(out) > largest:
        raise Refusal(413, 36, f"the body is larger than {largest} bytes")
    return out


def _packed(body: bytes, accepted: str) -> tuple[str, bytes]:
    names = [part.partition(";")[0].strip().lower() for part in accepted.split(",")]
    if "lz4" in names and LZ4 is not None:
        return "lz4", LZ4.compress(body)
    if "zstd" in names and ZSTD is not None:
        return "zstd", ZSTD.compress(body, 1)
    if "gzip" in names:
        packer = zlib.compressobj(1, wbits=31)
        return "gzip", packer.compress(body) + packer.flush()
    return "", body


def _form(content_type: str, body: bytes) -> dict[str, str]:
    """The plain fields of a multipart form; a file in it would be an external table, which is refused."""
    head = b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n"
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    fields: dict[str, str] = {}
    for part in message.iter_parts() if message.is_multipart() else []:
        name = part.get_param("name", header="content-disposition")
        if part.get_filename() is not None:
            raise Unsupported("external tables are not served")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = content.decode("utf-8", "strict")
    if not fields:
        raise Invalid("the form has no fields")
    return fields
