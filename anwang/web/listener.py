"""The one HTTP(S) port: uvicorn for the ASGI application, live video included.

Slow or endless request heads are cut off: uvicorn bounds neither their size nor their time.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import httptools
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from anwang.kernel.errors import Invalid, Unavailable
from anwang.runtime import logs
from anwang.runtime.settings import Http, Tls

log = logs.get(__name__)

LARGEST_HEAD = 64 * 1024
HEAD_SECONDS = 15.0
KEEP_ALIVE_SECONDS = 75
MOST_CONNECTIONS = 20_000
CERT_DAYS = 825


class _Front(HttpToolsProtocol):
    """uvicorn's HTTP protocol with bounded heads. A listener makes its own subclass."""

    head_seconds: ClassVar[float]

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_timer is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_came()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is None:
            self._head_bytes = 0
        elif self._head_bytes > LARGEST_HEAD and not self.transport.is_closing():
            log.warning("a request's head is too large", client=self.client)
            self.send_400_response("The request's head is too large.")

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_seconds, self._too_slow)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def handle_websocket_upgrade(self) -> None:
        self._head_came()
        try:
            httptools.parse_url(self.url).path.decode("ascii")
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError, AttributeError):
            self.send_400_response("The address cannot be read.")
            return
        super().handle_websocket_upgrade()


def _called(host: str) -> str:
    """What a browser on this machine calls a listener on `host`: by its address where it has only that one."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified or address.is_loopback:
        return "localhost"
    return f"[{host}]" if address.version == 6 else host


class _Server(uvicorn.Server):
    """uvicorn without its hands on the process's signals; says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class Listener:
    """Binds, serves, ends in order. `bind` first, then `run` in a task; cancelling it shuts down within `grace_s`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        http: Http,
        tls: Tls,
        data: Path,
        names: Sequence[str] = (),
        grace_s: int = 10,
        head_seconds: float = HEAD_SECONDS,
    ) -> None:
        self._app = app
        self._http = http
        self._tls = tls
        self._data = data
        self._names = names
        self._grace_s = grace_s
        self._front: type[HttpToolsProtocol] = type("Front", (_Front,), {"head_seconds": head_seconds})
        self._socket: socket.socket | None = None
        self._server: _Server | None = None
        self._ready = asyncio.Event()
        self.port = 0
        self.certificate: Certificate | None = None

    def bind(self) -> None:
        """Take the port and read or make the certificate. Raises Unavailable (port), Invalid (certificate)."""
        if self._tls.enabled:
            self.certificate = certificate(self._tls, self._data / "tls", names=self._names)
        self._socket = bind(self._http.host, self._http.port)
        self.port = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        """How a browser on this machine reaches it."""
        return f"{'https' if self._tls.enabled else 'http'}://{_called(self._http.host)}:{self.port}"

    async def ready(self) -> None:
        """Wait until connections are accepted."""
        await self._ready.wait()

    async def run(self) -> None:
        """Serve until cancelled; then let requests end, and cut off what is left after grace_s."""
        if self._socket is None:
            self.bind()
        if self._socket is None:
            raise Unavailable("the port was not taken")
        server = _Server(self._config())
        self._server = server
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        waiting = asyncio.create_task(server.listening.wait())
        try:
            await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            self._ready.set()
            await asyncio.shield(serving)
        finally:
            waiting.cancel()
            await self._shut_down(server, serving)

    async def _shut_down(self, server: _Server, serving: asyncio.Task[None]) -> None:
        server.should_exit = True
        await asyncio.wait({serving}, timeout=self._grace_s + 2)
        if not serving.done():
            server.force_exit = True
            serving.cancel()
            await asyncio.wait({serving}, timeout=2)
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _config(self) -> uvicorn.Config:
        tls: dict[str, Any] = {}
        if self.certificate is not None:
            tls = {"ssl_certfile": self.certificate.cert, "ssl_keyfile": self.certificate.key}
        return uvicorn.Config(
            self._app,
            loop="none",
            http=self._front,
            ws="websockets-sansio",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=self._grace_s,
            **tls,
        )


def bind(host: str, port: int) -> socket.socket:
    """A listening address; `::` is IPv6 and IPv4, and IPv4 alone where the machine has no IPv6. Raises Unavailable."""
    try:
        if host == "::":
            try:
                return _bind(socket.AF_INET6, host, port)
            except OSError as err:
                if err.errno not in (97, 99):  # EAFNOSUPPORT, EADDRNOTAVAIL: no IPv6 here
                    raise
                return _bind(socket.AF_INET, "", port)
        return _bind(socket.AF_INET6 if ":" in host else socket.AF_INET, host, port)
    except OSError as err:
        raise Unavailable(
            f"port {port} on {host} cannot be taken: {err.strerror or err}",
            "is another program using it? set http.port",
        ) from err


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        made.bind((host, port))
        made.listen(2048)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The files of a certificate, and its fingerprint (SHA-256, as browsers show it). self_signed: made by us."""

    cert: Path
    key: Path
    fingerprint: str
    self_signed: bool


def certificate(tls: Tls, folder: Path, *, names: Sequence[str] = (), now: datetime | None = None) -> Certificate:
    """The certificate of the settings, else a self-signed one in `folder`, renewed a month before it ends.

    names: hosts that browsers use besides this machine's own; a self-signed certificate that lacks one is made again.

    Raises Invalid where the files don't fit together.
    """
    if bool(tls.cert) != bool(tls.key):
        raise Invalid("tls.cert and tls.key belong together", "set both, or neither for a self-signed certificate")
    if tls.cert:
        found = _read(Path(tls.cert), Path(tls.key), self_signed=False)
        if found is None:
            raise Invalid(f"{tls.cert} and {tls.key} are not a certificate and its key (PEM)", "check both files")
        return found[0]
    moment = now or datetime.now(UTC)
    cert, key = folder / "cert.pem", folder / "key.pem"
    made = _read(cert, key, self_signed=True)
    if made is None or made[1] < moment + timedelta(days=30) or not _covers(cert, names):
        _self_sign(cert, key, moment, names)
        made = _read(cert, key, self_signed=True)
    if made is None:
        raise Invalid(f"the certificate in {folder} cannot be read back", "check the folder's rights")
    return made[0]


def _read(cert: Path, key: Path, *, self_signed: bool) -> tuple[Certificate, datetime] | None:
    try:
        parsed = x509.load_pem_x509_certificate(cert.read_bytes())
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except (OSError, ValueError):
        return None
    digest = hashlib.sha256(parsed.public_bytes(serialization.Encoding.DER)).hexdigest().upper()
    fingerprint = ":".join(digest[at : at + 2] for at in range(0, 64, 2))
    found = Certificate(cert=cert, key=key, fingerprint=fingerprint, self_signed=self_signed)
    return found, parsed.not_valid_after_utc


def _covers(cert: Path, names: Sequence[str]) -> bool:
    found = x509.load_pem_x509_certificate(cert.read_bytes()).extensions
    stated = found.get_extension_for_class(x509.SubjectAlternativeName).value
    return all(_general(name) in stated for name in names)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(_ascii(name))


def _self_sign(cert: Path, key: Path, now: datetime, further: Sequence[str]) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    hostname = socket.gethostname()[:64] or "localhost"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname)])
    names: list[x509.GeneralName] = [x509.DNSName(each) for each in dict.fromkeys(["localhost", _ascii(hostname)])]
    names += [x509.IPAddress(each) for each in _addresses(hostname)]
    names += [each for each in map(_general, further) if each not in names]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=CERT_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    cert.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _private_file(key, pem)
    _private_file(cert, signed.public_bytes(serialization.Encoding.PEM))


def _ascii(hostname: str) -> str:
    try:
        return hostname.encode("idna").decode()
    except UnicodeError:
        return "localhost"


def _addresses(hostname: str) -> Sequence[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    found = ["127.0.0.1", "::1"]
    with contextlib.suppress(OSError):
        found += [str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(hostname, None)]
    return [ipaddress.ip_address(each) for each in dict.fromkeys(found)]


def _private_file(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
    part.replace(path)
