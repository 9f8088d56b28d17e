"""Starting and stopping the process of the embedded engine. Keeping it alive is the caller's trade."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from anwang.kernel.errors import Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSeries:
    """A running engine. url and token: for `Series.open`. process: watch it with `process.wait()`."""

    url: str
    token: str
    process: asyncio.subprocess.Process

    async def stop(self, *, within_s: float = 15.0) -> None:
        """Ask it to end after its running statements; kill it when it does not."""
        if self.process.returncode is not None:
            return
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.terminate()
        try:
            async with asyncio.timeout(within_s):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def spawn_embedded(
    path: Path, *, port: int = 0, token: str | None = None, ready_s: float = 60.0, options: tuple[str, ...] = ()
) -> EmbeddedSeries:
    """Start the engine on the folder `path` and wait until it serves.

    token: what clients must present; None makes a new one. options: more of the process's command line. Raises
    Unavailable if it does not come up, for instance because another process has the database open.
    """
    token = token or secrets.token_urlsafe(32)
    path, token_file = await asyncio.to_thread(_prepare, path, token)
    command = [sys.executable, "-m", "anwang.stores.series.embedded", "--with-parent"]
    command += ["--path", str(path), "--port", str(port), "--token-file", str(token_file), *options]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TZ": "UTC"},
    )
    try:
        async with asyncio.timeout(ready_s):
            line = await process.stdout.readline() if process.stdout is not None else b""
        chosen = int(json.loads(line)["port"])
    except (TimeoutError, ValueError, KeyError):
        if process.returncode is None:
            process.kill()
        status = await process.wait()
        raise Unavailable(f"the series engine on {path} did not start (exit status {status})") from None
    except BaseException:
        process.kill()
        await process.wait()
        raise
    await asyncio.to_thread(_write_secret, _port_file(path), str(chosen))
    return EmbeddedSeries(url=_url(chosen), token=token, process=process)


def find_embedded(path: Path) -> tuple[str, str]:
    """URL and token of the engine that another process runs on the folder `path`. Raises Unavailable."""
    path = path.resolve()
    try:
        return _url(int(_port_file(path).read_text())), _token_file(path).read_text().strip()
    except (OSError, ValueError) as err:
        raise Unavailable(f"no series engine runs on {path}", "wait until the platform has started") from err


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}/?database=default"


def _port_file(path: Path) -> Path:
    return path.with_name(path.name + ".port")


def _token_file(path: Path) -> Path:
    return path.with_name(path.name + ".token")


def _prepare(path: Path, secret: str) -> tuple[Path, Path]:
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    token_file = _token_file(path)
    _write_secret(token_file, secret)
    return path, token_file


def _write_secret(path: Path, secret: str) -> None:
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)
    part.replace(path)
