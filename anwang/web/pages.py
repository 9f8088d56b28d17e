"""The UI's files: read once into a table, so that no path a browser asks for ever reaches the file system."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from anwang.kernel.errors import Kind
from anwang.web.errors import answer

INDEX = "/index.html"
_HASHED = re.compile(r"/assets/.*-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$")
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
_OURS = ("/api/", "/metrics", "/VIID")
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".json": "application/json",
          ".svg": "image/svg+xml", ".woff2": "font/woff2",
          ".wasm": "application/wasm", ".pbf": "application/x-protobuf",
          ".pmtiles": "application/octet-stream", ".webmanifest": "application/manifest+json"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Page:
    """One file: its type, tag, and the compressed forms beside it."""

    file: Path
    media_type: str
    etag: str
    packed: dict[str, Path]
    is_immutable: bool


class Pages:
    """The table. folder: the built UI; where it is missing, a person is told how to build it."""

    def __init__(self, folder: Path | None) -> None:
        self._pages: dict[str, _Page] = {}
        if folder is not None and folder.is_dir():
            for file in sorted(folder.rglob("*")):
                if file.is_file() and file.suffix not in (".br", ".gz"):
                    self._add(folder, file)

    def _add(self, folder: Path, file: Path) -> None:
        path = "/" + file.relative_to(folder).as_posix()
        guessed = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        packed = {
            name: beside for name, suffix in _ENCODINGS if (beside := file.with_name(file.name + suffix)).is_file()
        }
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:32]
        self._pages[path] = _Page(file, guessed, f'"{digest}"', packed, _HASHED.search(path) is not None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: what no route took. Unknown addresses without an extension are the UI's own places: index.html."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "there is nothing here"})
            return
        response = self.respond(scope["method"], scope["path"], Headers(scope=scope))
        await response(scope, receive, send)

    def respond(self, method: str, path: str, headers: Headers) -> Response:
        """The file of a path, index.html, 304, or a refusal in the usual shape."""
        nothing = answer(Kind.NOT_FOUND, f"there is nothing at {method} {path[:120]}", "check the address")
        if path.startswith(_OURS):
            return nothing
        page = self._pages.get(path)
        if page is None and "." not in path.rpartition("/")[2]:
            page = self._pages.get(INDEX)
            if page is None:
                return answer(Kind.NOT_FOUND, "the user interface is not built", "run make install")
        if page is None:
            return nothing
        if method not in ("GET", "HEAD"):
            allowed = {"Allow": "GET, HEAD"}
            return answer(Kind.UNSUPPORTED, f"{method} {path[:120]} is not offered", status=405, headers=allowed)
        return _file(page, headers)


def _file(page: _Page, headers: Headers) -> Response:
    sent = {
        "etag": page.etag,
        "vary": "accept-encoding",
        "cache-control": "public, max-age=31536000, immutable" if page.is_immutable else "no-cache",
    }
    if page.etag in headers.get("if-none-match", "").replace("W/", ""):
        return Response(status_code=304, headers=sent)
    file = page.file
    if "range" not in headers:
        accepted = {each.partition(";")[0].strip() for each in headers.get("accept-encoding", "").split(",")}
        for name, beside in page.packed.items():
            if name in accepted:
                file = beside
                sent["content-encoding"] = name
                break
    return FileResponse(file, media_type=page.media_type, headers=sent)
