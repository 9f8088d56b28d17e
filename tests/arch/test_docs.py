"""No file says what only one workplace knows, and what documents name is there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from anwang.runtime import settings

ROOT = Path(__file__).parents[2]

#: hosts of package registries and their mirrors: a lock file that names one works only where that one is reached
REGISTRY = re.compile(
    r"[\w.-]*(?:p[y]pi|n[p]mjs|python[h]osted|npm[m]irror|artifac[t]ory)[\w-]*\.(?:org|com|net|cn|io)"
)
#: absolute paths of one machine. /root is home of nobody but root; systems' own folders (/etc, /var, /usr) are for all
MACHINE = re.compile(r"(?<![\w.:/{}$-])/(?:home|Users|root|work|workspace|mnt)/\w[\w./-]*")
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|X[X]X|NotImplemented[E]rror)\b")


def tracked() -> Iterator[tuple[str, str]]:
    """Path and text of every file git knows; binary ones left out."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    ).stdout
    for name in names.split("\0"):
        path = ROOT / name
        if name and path.is_file():
            try:
                yield name, path.read_text("utf-8")
            except UnicodeDecodeError:
                continue


def test_every_setting_says_what_it_is() -> None:
    silent = [setting.name for setting in settings.describe(None, {}) if not setting.sentence]
    assert not silent
    assert all(sentence for _, _, sentence in settings.zone_settings())


@pytest.mark.parametrize("pattern", [REGISTRY, MACHINE], ids=["registry", "machine"])
def test_no_file_names_a_workplace(pattern: re.Pattern[str]) -> None:
    found = [
        f"{name}:{number}: {match[0]}"
        for name, text in tracked()
        for number, line in enumerate(text.splitlines(), 1)
        if (match := pattern.search(line))
    ]
    assert not found


def test_the_patterns_find_what_they_should() -> None:
    assert REGISTRY.search("https://registry." + "npm" + "js.org/react")
    assert REGISTRY.search("--index-url https://" + "py" + "pi.org/simple")
    assert MACHINE.search("see /" + "home/somebody/notes.md")
    assert not REGISTRY.search("pypinyin==0.55.0")
    assert not MACHINE.search("GET https://city.test/work/orders")
    assert not MACHINE.search("/var/lib/anwang")
    assert UNFINISHED.search("# TO" + "DO: later")


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in tracked()
        if name.startswith("anwang/")
        for number, line in enumerate(text.splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not found


LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
#: pictures that are taken from the running demo; the pages refer to them before they are there
TAKEN = {"docs/images/map.png", "docs/images/playback.png"}


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for name, text in tracked():
        if not name.endswith(".md"):
            continue
        for target in LINK.findall(text):
            if "://" in target or target.startswith("mailto:"):
                continue
            path = ((ROOT / name).parent / target).resolve()
            if not path.exists() and path.relative_to(ROOT).as_posix() not in TAKEN:
                broken.append(f"{name}: {target}")
    assert not broken


def test_both_readmes_tell_the_same() -> None:
    """Sections, code blocks, links and pictures agree, in order."""

    def shape(text: str) -> tuple[list[int], list[str], list[str]]:
        levels = [len(found) for found in re.findall(r"^(#+) ", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.M)]
        blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
        code = [re.sub(r"#.*", "", line).rstrip() for block in blocks for line in block.splitlines()]
        return levels, code, LINK.findall(text.replace("README.zh-CN.md", "README.md"))

    assert shape((ROOT / "README.md").read_text("utf-8")) == shape((ROOT / "README.zh-CN.md").read_text("utf-8"))
