"""`python -m anwang.democity --data DIR --host … --port …` runs the simulated city; see `--help`.

Passwords come from the environment: `ANWANG_CITY_PASSWORD` (SIP digest), `ANWANG_CITY_RTSP_PASSWORD`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from anwang.democity.city import CityOptions, run_city, world
from anwang.democity.devices.faults import profile_of
from anwang.runtime import logs


def options_of(arguments: Sequence[str]) -> tuple[CityOptions, bool]:
    """What the command line asks for, and whether only the files are to be written."""
    parser = argparse.ArgumentParser(prog="python -m anwang.democity", description="The simulated city 安澜市.")
    parser.add_argument("--data", type=Path, required=True, help="folder for its files, pictures and control socket")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--host", default="127.0.0.1", help="the platform's SIP address, numeric")
    parser.add_argument("--port", type=int, default=5060, help="the platform's SIP port")
    parser.add_argument("--server-id", default="99010000002000000001", help="the platform's 20-digit code")
    parser.add_argument("--domain", default="", help="its SIP domain; default: first ten digits of its code")
    parser.add_argument("--rtsp-host", default="127.0.0.1", help="where the RTSP cameras listen")
    parser.add_argument("--rtsp-port", type=int, default=0, help="0: any free port; -1: no RTSP cameras")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the points, 0..1")
    parser.add_argument("--ramp", type=float, default=12.0, help="seconds over which devices begin to register")
    parser.add_argument("--heartbeat", type=float, default=60.0, help="seconds between keep-alives")
    parser.add_argument("--misbehave", type=float, default=0.0, help="share of devices that begin with a fault")
    parser.add_argument("--alarms", type=float, default=0.0, help="seconds between alarms of its showcase; 0: none")
    parser.add_argument("--profile", action="append", default=[], help="NAME[=VALUE]: what all of them do wrong")
    parser.add_argument("--video", type=Path, help="show this file (H.264 or H.265) instead of drawn pictures")
    parser.add_argument("--control", type=Path, help="Unix socket for orders")
    parser.add_argument("--write-only", action="store_true", help="write the files and end")
    found = parser.parse_args(arguments)
    options = CityOptions(
        data=found.data,
        seed=found.seed,
        host=found.host,
        port=found.port,
        server_id=found.server_id,
        domain=found.domain,
        password=os.environ.get("ANWANG_CITY_PASSWORD", ""),
        rtsp_host=found.rtsp_host,
        rtsp_port=None if found.rtsp_port < 0 else found.rtsp_port,
        rtsp_password=os.environ.get("ANWANG_CITY_RTSP_PASSWORD", ""),
        scale=found.scale,
        ramp_s=found.ramp,
        heartbeat_s=found.heartbeat,
        misbehave=found.misbehave,
        alarm_every_s=found.alarms,
        profiles=[profile_of(text) for text in found.profile],
        video=found.video,
        control=found.control,
    )
    return options, found.write_only


def main() -> None:
    """Run until told to stop."""
    options, write_only = options_of(sys.argv[1:])
    logs.configure(level=os.environ.get("ANWANG_CITY_LOG", "WARNING"))
    if write_only:
        world(options)
        return

    async def run() -> None:
        task = asyncio.ensure_future(run_city(options))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    uvloop.run(run())


if __name__ == "__main__":
    main()
