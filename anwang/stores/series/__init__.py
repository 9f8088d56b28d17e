"""Series: facts appended in bulk (passes, readings, changes of state), kept by the ClickHouse engine.

One machine runs the engine in a process of its own (`spawn_embedded`), a city runs a cluster; both speak ClickHouse's
HTTP protocol, so `Series` is the same client, SQL and code path for both. Values are always bound: `{name:Type}` in the
text, `parameters` beside it. A table behind a write-ahead log ends its CREATE TABLE with `DURABLE`.

The client's library takes its time to be read, so that starting the engine does not wait for it: what comes from
`client` is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anwang.stores.series.spawn import EmbeddedSeries, find_embedded, spawn_embedded

if TYPE_CHECKING:
    from anwang.stores.series.client import DURABLE, Rows, Series, Step

__all__ = ["DURABLE", "EmbeddedSeries", "Rows", "Series", "Step", "find_embedded", "spawn_embedded"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(name)
    from anwang.stores.series import client

    return getattr(client, name)
