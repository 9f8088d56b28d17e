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
from anwang.kernel.errors import AnwangError, NotFound
from anwang.kernel.times import from_micros, rfc3339

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
    verify = add(
        "verify",
        "check the ledger's hash chains against the state database and the anchors",
        _verify_ledger,
        under=ledger,
    )
    verify.add_argument("--data", type=Path, help="the data folder, where it is not the settings' one")
    verify.add_argument("--anchors", type=Path, help="a copy of the anchors, taken elsewhere: a file or a folder")
    anchors = add("anchors", "copy the ledger's signed anchors into a file", _copy_anchors, under=ledger)
    anchors.add_argument(
        "--to", type=Path, required=True, help="the file, off this host; one that is there gets what it lacks"
    )
    traced = add("trace", "say whose look a picture or clip was taken in", _trace, under=ledger)
    traced.add_argument("what", help="a JPEG or MP4 file, a look's id, or the letters of it that a visible mark shows")
    export = within("export", "export packages")
    checked = add(
        "verify", "check that a package is as it was sealed; works offline", _verify_export, config=False, under=export
    )
    checked.add_argument("file", type=Path, help="the package, a ZIP file")
    checked.add_argument("--key", help="the platform's published key: 64 hex digits, or a PEM file")
    add("key", "print the public keys that packages and the ledger's anchors are signed with", _keys, under=export)
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
        links = await platform.governance.setup_links()
        print(f"Anwang serves at {platform.listener.url}")
        if platform.listener.certificate is not None and platform.listener.certificate.self_signed:
            print(f"  self-signed certificate, SHA-256 {platform.listener.certificate.fingerprint}")
        for role, link in links.items():
            who = role.value.replace("_", " ")
            print(f"  first {who}: {platform.listener.url}/setup/{link} (once, within 24 hours)")
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
    from msgspec.structs import replace

    from anwang.app import ledger

    settings = _load(arguments)
    if arguments.data is not None:
        settings = replace(settings, data=str(arguments.data))
    return _tell_ledger(asyncio.run(ledger.verify_ledger(settings, copy=arguments.anchors)))


def _copy_anchors(arguments: argparse.Namespace) -> int:
    from anwang.app import ledger

    done = ledger.copy_ledger_anchors(_load(arguments), arguments.to)
    print(f"{done.added} anchors copied to {arguments.to}, which has {done.held}")
    for name, key in done.keys.items():
        print(f"  {name}: the next one is signed with the key {key}")
    return 0


def _tell_ledger(verified: Verified) -> int:
    for chain, head in verified.heads.items():
        print(f"  ledger {chain}: {head.seq} rows, ends with {head.hash}")
    for name, anchor in verified.anchors.items():
        made = rfc3339(from_micros(anchor.at).replace(microsecond=0))
        print(f"  anchors {name}: {anchor.number}, the last of {made}, signed with the key {anchor.key}")
    if verified.copied:
        print(f"  copy of anchors: {verified.copied}")
    for fault in verified.faults:
        print(f"  ✗ {fault.chain} {fault.place}: {fault.what}")
    print(f"ledger: {verified.rows} rows, " + (f"{len(verified.faults)} faults" if verified.faults else "sound"))
    return 1 if verified.faults else 0


def _trace(arguments: argparse.Namespace) -> int:
    from anwang.app.trace import trace
    from anwang.kernel.times import BEIJING, from_micros

    for row in trace(_load(arguments), arguments.what):
        at = from_micros(row.at).astimezone(BEIJING)
        print(f"{at:%Y-%m-%d %H:%M:%S} {row.kind} {row.action}, look {row.look}")
        print(f"  who: {row.name}, {row.unit} ({row.role}), from {row.terminal}")
        print(f"  what: {', '.join(row.objects)} {row.detail}".rstrip())
        if row.reason:
            print(f"  why: {row.reason}, case {row.case}" + (f", approval {row.approval}" if row.approval else ""))
        if row.kind == "closed":
            print(f"  got: {row.bytes} bytes in {row.seconds:g} s, {row.outcome}")
    return 0


def _verify_export(arguments: argparse.Namespace) -> int:
    from anwang.media import Broken, key_of, verify_package

    told: str | None = arguments.key
    if told is not None:
        path = Path(told)
        told = key_of(path.read_text("utf-8", "replace") if path.is_file() else told)
    try:
        with arguments.file.open("rb") as file:
            found = verify_package(file, told)
    except OSError as err:
        raise NotFound(f"{arguments.file} cannot be read: {err.strerror}", "name a package") from err
    except Broken as err:
        print(f"✗ {err.name or arguments.file.name}: {err.why}")
        return 1
    manifest = found.manifest
    print(f"export {manifest.export}, {manifest.form}, sealed {manifest.sealed_at} by {manifest.city}")
    print(f"  asked for by {manifest.asked_by.name} ({manifest.asked_by.username}), {manifest.asked_by.unit}")
    for one in manifest.files:
        print(f"  ✓ {one.name}: {one.size} bytes, SHA-256 {one.sha256}")
        for source in one.sources:
            if source.as_sealed is False:
                print(f"    ! segment {source.segment} was not any more what it had been when it was recorded")
    print(f"intact, signed with the key {manifest.key}")
    if not found.is_known:
        print("  the key comes from the package itself: compare it with the one that the platform publishes")
    return 0


def _keys(arguments: argparse.Namespace) -> int:
    from anwang.app import ledger

    for key in ledger.public_keys(_load(arguments)):
        print(key)
    return 0


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
