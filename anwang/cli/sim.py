"""`anwang sim`: devices that are not there, for a platform to live with."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from anwang.kernel.errors import Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from anwang.democity.load import LoadOptions, Report

PROFILES = (
    "loss, reorder, wrong_ssrc, no_key, clock_jump, duplicate_code, silent, half_open, no_media, register_storm, "
    "catalogue_storm, config_changed"
)
TELL_EVERY = 10
ORDER_S = 10.0
Add = Callable[..., argparse.ArgumentParser]


def add_commands(add: Add) -> None:
    """The commands below `sim`. add: (name, help, run) -> parser."""
    devices = add("devices", "load a platform with many simulated devices, until Ctrl+C", run_devices)
    devices.add_argument("--count", type=int, required=True, help="how many devices")
    devices.add_argument("--accounts", type=Path, help="take host, port, code and password from a demo's accounts.json")
    devices.add_argument("--host", help="the platform's SIP address (default 127.0.0.1)")
    devices.add_argument("--port", type=int, help="its SIP port (default 5060)")
    devices.add_argument("--server-id", help="its 20-digit code (default 99010000002000000001)")
    devices.add_argument("--domain", help="its SIP domain (default: the first ten digits of its code)")
    devices.add_argument("--password", help="the devices' password (default: ANWANG_GB28181_PASSWORD)")
    devices.add_argument("--transport", choices=("udp", "tcp"), default="udp", help="udp (default) or tcp")
    devices.add_argument("--rate", type=float, default=200.0, help="registrations begun per second (default 200)")
    devices.add_argument("--keepalive", type=float, default=60.0, help="seconds between keep-alives (default 60)")
    devices.add_argument("--seconds", type=float, default=inf, help="end after so long (default: never)")
    devices.add_argument("--sockets", type=int, default=0, help="sockets that they share (default: one for 2,000)")
    devices.add_argument("--codes", help="the first 14 digits of their codes (default 99010100001327)")
    devices.add_argument(
        "--profile", action="append", default=[], metavar="NAME[=VALUE]", help=f"let them misbehave: {PROFILES}"
    )
    devices.add_argument("--share", type=float, default=1.0, help="share of them that misbehaves (default 1)")
    devices.add_argument("--stay", action="store_true", help="do not log out at the end, as after a power cut")
    devices.add_argument("--json", action="store_true", help="reports as lines of JSON")
    fault = add("fault", "let devices of the running demo misbehave, or behave again", run_fault)
    fault.add_argument("--profile", metavar="NAME[=VALUE]", help=f"one of {PROFILES}")
    fault.add_argument(
        "--data", type=Path, default=Path("demo-data"), help="the demo's data folder (default demo-data)"
    )
    fault.add_argument("--device", help="the 20-digit code of one device")
    fault.add_argument("--share", type=float, help="share of all devices, chosen by the city's seed")
    fault.add_argument("--clear", action="store_true", help="nothing is wrong any more")


def options_of(arguments: argparse.Namespace) -> LoadOptions:
    """What the command line asks for. Raises Invalid, NotFound."""
    from anwang.democity.devices.faults import profile_of
    from anwang.democity.load import STEM, LoadOptions

    door: dict[str, object] = {}
    if arguments.accounts is not None:
        try:
            door = json.loads(arguments.accounts.read_text("utf-8"))["gb28181"]
        except OSError as err:
            raise NotFound(f"{arguments.accounts} can't be read: {err.strerror}") from err
        except (ValueError, KeyError, TypeError) as err:
            raise Invalid(f"{arguments.accounts} holds no door key for devices", "name a demo's accounts.json") from err

    def chosen(name: str, default: object) -> str:
        given = getattr(arguments, name)
        return str(given if given is not None else door.get(name, default))

    return LoadOptions(
        count=arguments.count,
        host=chosen("host", "127.0.0.1"),
        port=int(chosen("port", 5060)),
        server_id=chosen("server_id", "99010000002000000001"),
        domain=chosen("domain", ""),
        password=chosen("password", os.environ.get("ANWANG_GB28181_PASSWORD", "")),
        transport=arguments.transport,
        rate=arguments.rate,
        heartbeat_s=arguments.keepalive,
        seconds=arguments.seconds,
        sockets=arguments.sockets,
        stem=arguments.codes or STEM,
        profiles=dict(profile_of(text) for text in arguments.profile),
        share=arguments.share,
        is_polite=not arguments.stay,
    )


def run_devices(arguments: argparse.Namespace) -> int:
    """Run until the time is over or somebody says stop."""
    import uvloop

    from anwang.runtime import logs

    logs.configure(level="WARNING", as_json=False)
    uvloop.run(_load(options_of(arguments), as_json=arguments.json))
    return 0


async def _load(options: LoadOptions, *, as_json: bool) -> None:
    from anwang.democity.load import Load
    from anwang.democity.load.tally import progress, summary

    running = Load(options)
    loop = asyncio.get_running_loop()
    is_live, told = sys.stdout.isatty(), 0

    def stop() -> None:
        if running.is_stopping:
            task.cancel()  # the second time it is meant at once
        running.stop()

    def tell(report: Report) -> None:
        nonlocal told
        if as_json:
            print(json.dumps(report), flush=True)
        elif is_live:
            print(f"\r\033[K{progress(report)}", end="", flush=True)
        elif told % TELL_EVERY == 0:
            print(progress(report), flush=True)
        told += 1

    task = asyncio.ensure_future(running.run(tell))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    with contextlib.suppress(asyncio.CancelledError):
        last = await task
        print(json.dumps(last) if as_json else ("\r\033[K" if is_live else "") + summary(last), flush=True)


def run_fault(arguments: argparse.Namespace) -> int:
    """Send one order to the city of a running demo."""
    from anwang.democity.devices.faults import profile_of

    order: dict[str, object] = {"do": "clear"} if arguments.clear else {"do": "fault"}
    if not arguments.clear:
        if arguments.profile is None:
            raise Invalid("no profile is named", f"one of {PROFILES}, or --clear")
        order["fault"], order["value"] = profile_of(arguments.profile)
    if arguments.device:
        order["device"] = arguments.device
    elif arguments.share is not None:
        order["share"] = arguments.share
    answer = asyncio.run(_order(arguments.data / "city" / "control.sock", order))
    if not answer.get("ok"):
        raise Invalid(str(answer.get("reason")))
    devices = answer.get("devices")
    count = len(devices) if isinstance(devices, list) else devices
    print(f"{count} devices {'behave again' if arguments.clear else 'misbehave'}: {', '.join(_some(devices))}")
    return 0


def _some(devices: object) -> list[str]:
    codes = [str(code) for code in devices] if isinstance(devices, list) else []
    return codes[:5] + (["…"] if len(codes) > 5 else []) or ["as asked"]


async def _order(path: Path, order: dict[str, object]) -> dict[str, object]:
    try:
        async with asyncio.timeout(ORDER_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(json.dumps(order).encode() + b"\n")
                found: dict[str, object] = json.loads(await reader.readline())
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError) as err:
        raise Unavailable(f"no city listens at {path}", "start `anwang demo`, and name its --data folder") from err
    return found
