"""The process of the embedded engine: `python -m anwang.stores.series.embedded --path DIR --port P --token-file F`.

Serves ClickHouse's HTTP protocol on loopback over chDB. When ready it prints one line of JSON with its port. With
`--with-parent` it ends when its standard input does, so that it never outlives the program that started it. SIGTERM and
SIGINT let running statements end first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import uvloop

from anwang.stores.series.engine import Engine, Limits
from anwang.stores.series.protocol import Bounds, Connection


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and serve until told to stop; the exit status."""
    usual = Limits()
    parser = argparse.ArgumentParser(prog="anwang.stores.series.embedded", description=__doc__)
    parser.add_argument("--path", type=Path, required=True, help="folder of the database")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--token-file", type=Path, required=True, help="file whose content clients must present")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input does")
    parser.add_argument("--readers", type=int, default=usual.readers, help="queries that run at once")
    parser.add_argument("--queue", type=int, default=usual.queue, help="statements that may wait, per lane")
    parser.add_argument("--statement-s", type=int, default=usual.statement_s, help="longest run of a statement")
    parser.add_argument("--memory", type=int, default=usual.memory_bytes, help="bytes one statement may use")
    parser.add_argument("--largest-body", type=int, default=256 << 20, help="bytes of a request")
    chosen = parser.parse_args(arguments)
    token = chosen.token_file.read_text().strip()
    if len(token) < 16:
        print("the token file holds fewer than 16 letters", file=sys.stderr)
        return 2
    chosen.path.mkdir(parents=True, exist_ok=True)
    limits = Limits(
        readers=chosen.readers, queue=chosen.queue, statement_s=chosen.statement_s, memory_bytes=chosen.memory
    )
    bounds = Bounds(token=token, largest_body=chosen.largest_body, most_connections=256, idle_s=120.0)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(chosen.path.resolve(), chosen.port, limits, bounds, with_parent=chosen.with_parent))


async def serve(path: Path, port: int, limits: Limits, bounds: Bounds, *, with_parent: bool) -> int:
    """Open the engine, listen, wait for the end, close in order."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if with_parent:
        loop.add_reader(sys.stdin.fileno(), partial(_parent_said, stop))
    engine = Engine(path, limits)
    try:
        await engine.open()
    except RuntimeError as err:
        print(f"the series database in {path} does not open: {err}", file=sys.stderr)
        return 1
    server = await loop.create_server(partial(Connection, engine, bounds), "127.0.0.1", port, backlog=256)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await stop.wait()
    if with_parent:
        loop.remove_reader(sys.stdin.fileno())
    server.close()
    for connection in list(bounds.open):
        connection.close()
    await engine.close()  # waits for the statements that run
    for _ in range(100):  # and their answers leave
        if not any(connection.is_busy for connection in bounds.open):
            break
        await asyncio.sleep(0.01)
    return 0


def _parent_said(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        stop.set()


if __name__ == "__main__":
    raise SystemExit(main())
