"""The command `anwang`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from anwang import __version__
from anwang.cli import sim
from anwang.kernel.errors import AnwangError

if TYPE_CHECKING:
    from anwang.app.build import Platform
    from anwang.governance import Verified
    from anwang.runtime.settings import Settings

Command = Callable[[argparse.Namespace], int]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; errors a person can act on go to standard error, exit status 1."""
    arguments = build_parser().parse_args(argv)
    run: Command = arguments.run
    try:
        status = run(arguments)
    except AnwangError as err:
        print(f"anwang: {err.reason}" + (f"\n  {err.hint}" if err.hint else ""), file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        status = 130
    raise SystemExit(status)


def build_parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    parser = argparse.ArgumentParser(prog="anwang", description="Anwang 安网: a city's safety-video network")
    parser.add_argument("--version", action="version", version=f"anwang {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, help_: str, run: Command, *, config: bool = True, under: Commands = commands
    ) -> argparse.ArgumentParser:
        found = under.add_parser(name, help=help_, description=help_)
        found.set_defaults(run=run)
        if config:
            found.add_argument("--config", type=Path, help="settings file (TOML); see docs/settings.md")
        return found

    def within(name: str, help_: str) -> Commands:
        found = commands.add_parser(name, help=help_, description=help_)
        return found.add_subparsers(required=True, metavar="COMMAND")

    add("serve", "run the platform on this machine", _serve)
    demo = add("demo", "open 安澜市, the simulated city", _demo, config=False)
    demo.add_argument("--port", type=int, default=8080, help="HTTP port (default 8080; 0: any)")
    demo.add_argument("--sip-port", type=int, default=15060, help="SIP port, UDP and TCP (default 15060; 0: any)")
    demo.add_argument("--data", type=Path, default=Path("demo-data"), help="data folder (default demo-data)")
    demo.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1: this machine only)")
    demo.add_argument("--no-browser", action="store_true", help="do not open a browser")
    demo.add_argument("--adopt", action="store_true", help="adopt foreign devices at once")
    demo.add_argument("--points", type=int, default=0, help="about how many points (default: the whole city)")
    demo.add_argument("--seed", type=int, default=1, help="another city (default 1)")
    demo.add_argument("--video", type=Path, help="a video file that every camera shows instead of the drawn scenes")
    demo.add_argument(
        "--misbehave", type=float, default=0.0, help="share of the city's devices that misbehave, 0 to 1 (default 0)"
    )
    simulated = within("sim", "simulated devices")
    sim.add_commands(partial(add, config=False, under=simulated))
    doctor = add("doctor", "say what devices and browsers will find on this machine", _doctor)
    doctor.add_argument("--running", action="store_true", help="the platform runs now, so its ports are in use")

    backup = add(
        "backup", "copy databases, series, ledger and key into a new folder, while the platform runs or not", _backup
    )
    backup.add_argument("--to", type=Path, required=True, help="the new folder")
    backup.add_argument("--without-key", action="store_true", help="leave the master key out")
    restore = add("restore", "bring a backup back into an empty data folder; the platform must be stopped", _restore)
    restore.add_argument("--from", dest="source", type=Path, required=True, help="the backup's folder")
    add("settings", "print all settings as an annotated TOML file", _settings)
    ledger = within("ledger", "the record of who looked at what")
    add("verify", "check the ledger's hash chains against the state database", _verify_ledger, under=ledger)
    media = within("media", "recordings")
    add(
        "reindex",
        "index stored segments that the media index lacks; the platform must be stopped",
        _reindex,
        under=media,
    )
    key = within("key", "the master key")
    add(
        "rotate", "make a new master key and seal all secrets with it; the platform must be stopped", _rotate, under=key
    )
    return parser


def _serve(arguments: argparse.Namespace) -> int:
    import uvloop

    from anwang.app.start import serve
    from anwang.runtime import logs, settings

    found = settings.load(arguments.config)
    logs.configure(level=found.logs.level, as_json=found.logs.form == "json")

    async def opened(platform: Platform) -> None:
        link = await platform.governance.setup_link()
        print(f"Anwang serves at {platform.listener.url}")
        if platform.listener.certificate is not None and platform.listener.certificate.self_signed:
            print(f"  self-signed certificate, SHA-256 {platform.listener.certificate.fingerprint}")
        if link is not None:
            print(f"  first administrator: {platform.listener.url}/setup/{link} (once, within 24 hours)")
        sys.stdout.flush()

    uvloop.run(serve(found, config=arguments.config, opened=opened))
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    import uvloop

    from anwang.app.demo import DemoOptions, run_demo

    uvloop.run(
        run_demo(
            DemoOptions(
                port=arguments.port,
                sip_port=arguments.sip_port,
                data=arguments.data,
                host=arguments.host,
                browser=not arguments.no_browser,
                adopt=arguments.adopt,
                points=arguments.points,
                seed=arguments.seed,
                video=arguments.video,
                misbehave=arguments.misbehave,
            )
        )
    )
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from anwang.app.doctor import Grade, examine
    from anwang.runtime import settings

    findings = examine(settings.load(arguments.config), running=arguments.running)
    for finding in findings:
        mark = {Grade.OK: "✓", Grade.WARN: "!", Grade.BAD: "✗"}[finding.grade]
        print(f"{mark} {finding.subject}: {finding.detail}" + (f"\n    {finding.hint}" if finding.hint else ""))
    return 1 if any(f.grade is Grade.BAD for f in findings) else 0


def _backup(arguments: argparse.Namespace) -> int:
    from anwang.app import archive

    made = asyncio.run(archive.make(_load(arguments), arguments.to, with_key=not arguments.without_key))
    print(f"backup written to {arguments.to}")
    for line in archive.describe(made):
        print(f"  {line}")
    print("  recordings are not in it" + ("" if arguments.without_key else "; it holds the master key: guard it"))
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    from anwang.app import archive

    done = asyncio.run(archive.bring_back(_load(arguments), arguments.source))
    print(f"restored the backup of {done.manifest.made_at}")
    for line in archive.describe(done.manifest):
        print(f"  {line}")
    print(f"  master key: {done.key}")
    print("  recordings: run `anwang media reindex` if some were stored after the backup")
    return _tell_ledger(done.ledger)


def _settings(arguments: argparse.Namespace) -> int:
    from anwang.app.annotate import annotate
    from anwang.runtime import settings

    print(annotate(settings.describe(arguments.config)), end="")
    return 0


def _verify_ledger(arguments: argparse.Namespace) -> int:
    from anwang.app import upkeep

    return _tell_ledger(asyncio.run(upkeep.verify_ledger(_load(arguments))))


def _tell_ledger(verified: Verified) -> int:
    for chain, head in verified.heads.items():
        print(f"  ledger {chain}: {head.seq} rows, ends with {head.hash}")
    for fault in verified.faults:
        print(f"  ✗ {fault}")
    print(f"ledger: {verified.rows} rows, " + (f"{len(verified.faults)} faults" if verified.faults else "sound"))
    return 1 if verified.faults else 0


def _reindex(arguments: argparse.Namespace) -> int:
    from anwang.app import upkeep

    done = asyncio.run(upkeep.rebuild_media_index(_load(arguments)))
    print(f"{done.seen} objects: {done.added} added, {done.known} known, {done.trash} deleted, {done.faulty} faulty")
    for key, why in done.faults:
        print(f"  ✗ {key}: {why}")
    if done.faulty > len(done.faults):
        print(f"  … and {done.faulty - len(done.faults)} more")
    return 1 if done.faulty else 0


def _rotate(arguments: argparse.Namespace) -> int:
    from anwang.app import upkeep

    key_id, count = asyncio.run(upkeep.rotate_key(_load(arguments)))
    print(f"key {key_id} seals now; {count} secrets were sealed anew; older keys stay in the file for older backups")
    return 0


def _load(arguments: argparse.Namespace) -> Settings:
    from anwang.runtime import logs, settings

    logs.configure(level="WARNING", as_json=False)
    return settings.load(arguments.config)
