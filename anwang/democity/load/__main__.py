"""`python -m anwang.democity.load --count N --host … --port …`, a JSON line a second; ANWANG_CITY_PASSWORD.

For benchmarks; people use `anwang sim devices`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from math import inf

import uvloop

from anwang.democity.load import LoadOptions, Report, load


def main(arguments: Sequence[str]) -> None:
    """Run, and print each report."""
    parser = argparse.ArgumentParser(description="Load a platform with registrations and keep-alives.")
    parser.add_argument("--count", type=int, default=1000, help="devices")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5060)
    parser.add_argument("--server-id", default="99010000002000000001")
    parser.add_argument("--domain", default="")
    parser.add_argument("--transport", choices=("udp", "tcp"), default="udp")
    parser.add_argument("--rate", type=float, default=500.0, help="registrations begun per second")
    parser.add_argument("--heartbeat", type=float, default=60.0, help="seconds between keep-alives of one device")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long in all; 0: until stopped")
    parser.add_argument("--sockets", type=int, default=0)
    found = parser.parse_args(arguments)
    options = LoadOptions(
        count=found.count, host=found.host, port=found.port, server_id=found.server_id, domain=found.domain,
        password=os.environ.get("ANWANG_CITY_PASSWORD", ""), transport=found.transport, rate=found.rate,
        heartbeat_s=found.heartbeat, seconds=found.seconds or inf, sockets=found.sockets, is_polite=False,
    )  # fmt: skip

    def tell(report: Report) -> None:
        print(json.dumps(report), flush=True)

    tell(uvloop.run(load(options, tell=tell)))


if __name__ == "__main__":
    main(sys.argv[1:])
