"""Make what is generated: `python scripts/gen.py`; with `--check` say what is not up to date, and exit 1.

docs/settings.md          from runtime.settings
docs/cli.md               from the command line's parser
docs/openapi.json         from the assembled platform, opened on an empty folder and not served
docs/architecture-map.md  from the imports, by grimp
ui/src/api/schema.ts      from the same description of the API, by openapi-typescript
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402

NOTE = "<!-- made by scripts/gen.py: run `make gen` instead of editing -->\n"
EVERYWHERE = {"kernel", "runtime"}
"""Rings that nearly all others import; their arrows would hide the rest."""


def settings_page() -> str:
    """Every setting: name, variable, default, sentence."""
    from anwang.app.annotate import toml
    from anwang.runtime import settings

    lines = [
        "# Settings",
        "",
        NOTE,
        "One TOML file (`--config`), then the environment; what is not set has its default. A key that does not exist",
        "is refused. `anwang settings` prints the settings as they are, as a file to start from. Lists in the",
        "environment are written as in TOML.",
    ]
    section = None
    for setting in settings.describe(None, {}):
        zones = setting.name == "zones"
        home = setting.name if zones else setting.name.rpartition(".")[0]
        if home != section:
            section = home
            sentence = type(getattr(settings.Settings(), home)).__doc__ if home and not zones else ""
            title = "[zones.NAME]" if zones else f"[{home}]" if home else "At the top"
            told = settings.Zone.__doc__ if zones else sentence
            lines += ["", f"## {title}", *(["", str(told).strip()] if told else []), ""]
            lines += ["| setting | variable | default | |", "| --- | --- | --- | --- |"]
        if zones:
            lines += [f"| `{n}` | (file only) | `{toml(d)}` | {s} |" for n, d, s in settings.zone_settings()]
            continue
        default = toml(msgspec.to_builtins(setting.default))
        leaf = setting.name.rpartition(".")[2]
        lines.append(f"| `{leaf}` | `{setting.variable}` | `{default}` | {setting.sentence} |")
    lines += [
        "",
        "## Secrets",
        "",
        "Never in the settings file; in the environment, or in a file that a `…_file` setting names.",
        "",
        "| variable | |",
        "| --- | --- |",
        "| `ANWANG_GB28181_PASSWORD` | the domain's password for GB/T 28181 devices |",
        "| `ANWANG_SERIES_PASSWORD` | the password of the series store |",
        "| `ANWANG_S3_ACCESS_KEY`, `ANWANG_S3_SECRET_KEY` | the keys of the object store |",
    ]
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    """Every command with its options. Written from the parser, not from its help, which differs between Pythons."""
    from anwang.cli import build_parser

    lines = ["# Commands", "", NOTE, "`python -m anwang COMMAND`, or `anwang COMMAND` where the package is installed."]
    lines += [" `anwang COMMAND --help` says the same.", ""]
    for name, parser in _commands(build_parser(), "anwang"):
        lines += ["", f"## `{name}`", "", _sentence_of(parser), ""]
        options = [action for action in parser._actions if action.dest != "help"]
        if options:
            lines += ["| option | |", "| --- | --- |"]
        for action in options:
            value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
            names = ", ".join(f"`{option}{value}`" for option in action.option_strings)
            lines.append(f"| {names} | {action.help or ''}{' (required)' if action.required else ''} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _sentence_of(parser: argparse.ArgumentParser) -> str:
    text = parser.description or ""
    return f"{text[:1].upper()}{text[1:]}."


def _commands(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield name, parser
    for action in below:
        for word, found in action.choices.items():
            yield from _commands(found, f"{name} {word}")


@functools.cache
def openapi() -> str:
    """The API's description, with keys in order."""
    with tempfile.TemporaryDirectory() as folder:
        told = asyncio.run(_describe_api(Path(folder)))
    return json.dumps(told, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


async def _describe_api(folder: Path) -> dict[str, Any]:
    from anwang.app.build import Platform
    from anwang.runtime import settings

    found = settings.Settings(data=str(folder / "data"), key_file=str(folder / "key"), tls=settings.Tls(enabled=False))
    platform = await Platform.open(found)
    try:
        return platform.api.openapi()
    finally:
        await platform.close()


def api_types() -> str:
    """The shapes of the API for the user interface."""
    program = ROOT / "ui/node_modules/openapi-typescript/bin/cli.js"
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "openapi.json", Path(folder) / "schema.ts"
        source.write_text(openapi(), "utf-8")
        command = ["node", str(program), str(source), "--output", str(made), "--default-non-nullable", "false"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT / "ui")
        return made.read_text("utf-8")


def architecture_map() -> str:
    """Rings from the outermost in, and which package imports which."""
    import grimp

    graph = grimp.build_graph("anwang", cache_dir=None, exclude_type_checking_imports=True)
    homes = {module: _home(module) for module in graph.modules}
    links = {
        (homes[module], homes[imported])
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
    }
    links = {(a, b) for a, b in links if a != b and a and b}
    lines = [
        "# Map of the code",
        "",
        NOTE,
        "An arrow is an import. A ring may import those below it, never those above; ",
    ]
    lines += [
        "`import-linter` holds that. Everything may import `kernel` and `runtime`; those arrows are left out.",
        "",
    ]
    lines += ["```mermaid", "flowchart TD"]
    for number, ring in enumerate(_rings()):
        present = sorted({home for home in homes.values() if home.split("/")[0] in ring})
        if present:
            lines.append(f'  subgraph r{number}[" "]')
            lines += [f'    {home.replace("/", "_")}["{home}"]' for home in present]
            lines.append("  end")
    lines += [f"  {a.replace('/', '_')} --> {b.replace('/', '_')}" for a, b in sorted(links) if b not in EVERYWHERE]
    lines += ["```", "", "| package | what it is |", "| --- | --- |"]
    for home in sorted({home for home in homes.values() if home}):
        lines.append(f"| `anwang/{home}` | {_sentence(home)} |")
    return "\n".join(lines) + "\n"


def _home(module: str) -> str:
    """The part of the map that a module belongs to: its ring's package; of gateways and stores each one."""
    parts = module.split(".")[1:]
    if not parts or parts[0] == "__main__":
        return ""
    if parts[0] in ("gateways", "stores"):
        return "/".join(parts[:2]) if len(parts) > 1 else ""
    return parts[0]


def _rings() -> list[set[str]]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["name"] == "Rings")
    return [{name.strip(" ()") for name in layer.split("|")} for layer in layers]


def _sentence(home: str) -> str:
    import ast

    folder = ROOT / "anwang" / home
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


PAGES: dict[str, Callable[[], str]] = {
    "docs/settings.md": settings_page,
    "docs/cli.md": cli_page,
    "docs/openapi.json": openapi,
    "docs/architecture-map.md": architecture_map,
    "ui/src/api/schema.ts": api_types,
}


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something differs")
    chosen = parser.parse_args()
    stale = []
    for name, make in PAGES.items():
        path, text = ROOT / name, make()
        if path.exists() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if not chosen.check:
            path.write_text(text, "utf-8")
            print(f"wrote {name}")
    if chosen.check and stale:
        print(f"not up to date: {', '.join(stale)}; run `make gen`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
