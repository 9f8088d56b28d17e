"""Objects in an S3-compatible store, through `obstore`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from anwang.kernel.errors import AnwangError, Invalid, NotFound, Unavailable
from anwang.runtime import machine
from anwang.stores.objects.entry import Entry

Answer = TypeVar("Answer")


class S3:
    """The engine for a city. All methods block; what the server refuses is Unavailable, with its reason."""

    def __init__(
        self,
        *,
        bucket: str,
        prefix: str,
        endpoint: str | None,
        region: str,
        access_key: str | None,
        secret_key: str | None,
        spool: Path,
    ) -> None:
        config: dict[str, str] = {"bucket": bucket, "region": region, "virtual_hosted_style_request": "false"}
        if endpoint:
            config["endpoint"] = endpoint
        if access_key and secret_key:
            config |= {"access_key_id": access_key, "secret_access_key": secret_key}
        self._spool = spool
        self._store = S3Store(
            prefix=prefix or None,
            config=config,  # type: ignore[arg-type]  # a TypedDict of the same keys
            client_options={
                "allow_http": bool(endpoint and endpoint.startswith("http://")),
                "connect_timeout": "10s",
                "timeout": "120s",
            },
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=60)},
        )

    def path(self, key: str) -> None:
        """No object lies on this machine."""
        return

    def put(self, key: str, data: bytes | memoryview) -> None:
        """All or nothing."""
        self._ask(key, lambda: obstore.put(self._store, key, bytes(data)))

    def adopt(self, key: str, path: Path) -> None:
        """Upload a file, in parts if it is large, then delete it."""
        self._ask(key, lambda: obstore.put(self._store, key, path, chunk_size=8 << 20, max_concurrency=4))
        path.unlink(missing_ok=True)

    def read(self, key: str, start: int, end: int | None) -> bytes:
        """Bytes [start, end), cut at the object's end. Raises NotFound, Invalid beyond the end."""
        if start == 0 and end is None:
            return self._ask(key, lambda: bytes(obstore.get(self._store, key).bytes()))
        size = self.size(key)
        if start > size or (start == size and size > 0):
            raise Invalid(f"object {key} has {size} bytes, not {start}")
        stop = size if end is None else min(end, size)
        if stop <= start:
            return b""
        return self._ask(key, lambda: bytes(obstore.get_range(self._store, key, start=start, end=stop)))

    def size(self, key: str) -> int:
        """Its bytes. Raises NotFound."""
        return int(self._ask(key, lambda: obstore.head(self._store, key))["size"])

    def delete(self, keys: Sequence[str]) -> None:
        """Those that exist."""
        if keys:
            self._ask(keys[0], lambda: obstore.delete(self._store, list(keys)))

    def list(self, prefix: str, limit: int, after: str) -> list[Entry]:
        """Entries below `prefix`, in order of their keys."""

        def ask() -> list[Entry]:
            stream = obstore.list(self._store, prefix or None, offset=after or None, chunk_size=limit)
            chunk = next(iter(stream), [])
            return [
                Entry(key=meta["path"], size=meta["size"], modified_at=meta["last_modified"].astimezone(UTC))
                for meta in chunk
            ]

        return self._ask(prefix, ask)

    def free_bytes(self) -> int:
        """Of the spool: the bucket has no bound that it tells."""
        return machine.free_bytes(self._spool)

    def _ask(self, key: str, call: Callable[[], Answer]) -> Answer:
        try:
            return call()
        except FileNotFoundError:
            raise NotFound(f"there is no object {key}") from None
        except (BaseError, OSError, ValueError) as err:
            if isinstance(err, AnwangError):
                raise
            raise Unavailable(f"the object store refused {key}: {' '.join(str(err).split())[:300]}") from None
