"""Every sentence the server may show a person stands in both languages (docs/decisions/sentences.md).

A wall in Chinese once told its operators in English why a camera did not play. What is raised, judged, refused or found
in a file is collected from the source here, placeholders numbered; the user interface has the other language of each.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from anwang.registry.model import VERDICTS
from anwang.registry.quality import RULES
from anwang.registry.vocabulary import ENTRIES
from anwang.runtime import settings
from anwang.web.system import setting_groups

ROOT = Path(__file__).parents[2]
SAID = ROOT / "ui/src/said"
SLICES = ("kernel", "governance", "registry", "media", "access", "gateways", "web", "app")
COMMANDS = {
    "annotate", "archive", "cityfiles", "claim", "demo", "doctor", "engines", "ledger", "reach", "trace", "upkeep",
}  # fmt: skip
"""Modules of `app` that speak on the command line only."""
ERRORS = {
    "ApprovalNeeded", "Conflict", "Denied", "Exhausted", "Internal", "Invalid", "NotFound", "PurposeNeeded",
    "SecondFactorNeeded", "Unauthenticated", "Unavailable", "Unsupported",
}  # fmt: skip
OTHERS = {
    "Fault",
    "NotInDomain",
    "Unreadable",
    "Verdict",
    "_end",
    "_fault",
    "_refuse",
    "_turn_away",
    "lose",
    "note_reached",
    "odd",
}
OTHERS |= {"answer", "step", "verdict"}
NAMED = {"detail", "hint", "reason", "sentence", "next_step", "message"}
CHINESE = re.compile(r"[一-鿿]")
NO_SENTENCE = re.compile(r"sipHash64\(.*|[a-z0-9_./%:-]*|[A-Z0-9_]+|[A-Z][a-z]+(-[A-Z][a-z]+)+|\W*")
"""What such calls are given besides: names, codes, headers, punctuation."""


def template(node: ast.expr) -> str | None:
    """The text of a literal, what it puts in as {0}, {1} …; None for what is computed."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        number, parts = 0, []
        for value in node.values:
            if isinstance(value, ast.Constant):
                parts.append(str(value.value))
            else:
                parts.append(f"{{{number}}}")
                number += 1
        return "".join(parts)
    return None


def texts(node: ast.expr) -> Iterator[str]:
    """The templates an expression may become."""
    if isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for each in node.values:
            yield from texts(each)
    elif isinstance(node, ast.Tuple):
        for each in node.elts:
            yield from texts(each)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "strip":
        yield from texts(node.func.value)
    elif (found := template(node)) is not None:
        yield found


def sentences(source: str) -> set[str]:
    """What a module may tell a person."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            given: list[ast.expr] = [k.value for k in node.keywords if k.arg in NAMED] if name != "Cause" else []
            if name == "Cause":
                given = [k.value for k in node.keywords if k.arg == "detail"]
            if name in ERRORS:
                given += node.args[:2]
            elif name == "wrong":
                given += node.args[-1:]
            elif name in OTHERS:
                given += node.args
            elif name == "append":
                given += [a for a in node.args if isinstance(a, ast.Tuple)]
            for each in given:
                found |= set(texts(each))
        elif isinstance(node, ast.Return | ast.Yield) and node.value is not None:
            found |= {text for text in texts(node.value) if CHINESE.search(text) or is_reason(node)}
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            name = getattr(node.targets[0], "id", "")
            if name in ("message", "hint", "reason", "sentence", "why", "detail", "where"):
                found |= set(texts(node.value))
    return {text for text in found if NO_SENTENCE.fullmatch(re.sub(r"\{\d+\}", "", text)) is None}


def is_reason(node: ast.Return | ast.Yield) -> bool:
    """`return reason, hint`."""
    return isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2


def collected() -> dict[str, str]:
    """All sentences, with a module that says each."""
    found: dict[str, str] = {}
    for name in SLICES:
        for path in sorted((ROOT / "anwang" / name).rglob("*.py")):
            if name != "app" or path.stem not in COMMANDS:
                for text in sentences(path.read_text("utf-8")):
                    found.setdefault(text, str(path.relative_to(ROOT)))
    for group in setting_groups(settings.describe(None, {})):
        for text in (group.sentence, *(one.sentence for one in group.settings)):
            found.setdefault(text, "anwang/runtime/settings.py")
    return found


def catalogue() -> dict[str, dict[str, dict[str, str]]]:
    """By the language it leads to: `said`, sentences as in the source; `also`, what is put together elsewhere."""
    return {name: json.loads((SAID / f"{name}.json").read_text("utf-8")) for name in ("zh-CN", "en")}


def test_every_reason_of_a_state_is_told_in_the_history() -> None:
    for language in ("zh-CN", "en"):
        texts = json.loads((ROOT / f"ui/src/registry/locales/{language}.json").read_text("utf-8"))
        assert texts["why"].keys() == {*VERDICTS, "restart", "unwatched", "unwritten"}, language


def test_the_camera_file_is_told_in_both_languages() -> None:
    """Fields, tables and rules by their keys; the Chinese terms are those of the standard."""
    for language in ("zh-CN", "en"):
        texts = json.loads((ROOT / f"ui/src/registry/locales/{language}.json").read_text("utf-8"))
        told = {
            "field": {entry.field.key: entry.field.label for entry in ENTRIES},
            "rule": {rule.id: rule.title for rule in RULES},
            **{
                f"choice.{entry.field.key}": {choice.value: choice.label for choice in entry.choices}
                for entry in ENTRIES
                # full stops lead the texts one level down, and these are written alike in every language
                if entry.choices and not any("." in choice.value for choice in entry.choices)
            },
        }
        for path, labels in told.items():
            found = texts
            for step in path.split("."):
                found = found[step]
            assert found.keys() == labels.keys(), (language, path)
            assert language == "en" or found == labels, path


def test_every_sentence_has_its_other_language() -> None:
    known = catalogue()
    found = collected()
    assert len(found) > 400, "the collecting itself works"
    untranslated = {
        text: where
        for text, where in found.items()
        if text not in known["en" if CHINESE.search(text) else "zh-CN"]["said"]
    }
    assert untranslated == {}, "add them to ui/src/said/"


def test_nothing_is_kept_that_nobody_says() -> None:
    found = collected()
    assert [text for each in catalogue().values() for text in each["said"] if text not in found] == []


def test_translations_put_in_what_the_sentence_puts_in() -> None:
    for language, parts in catalogue().items():
        for text, other in {**parts["said"], **parts["also"]}.items():
            assert sorted(re.findall(r"\{\d+\}", text)) == sorted(re.findall(r"\{\d+\}", other)), (text, other)
            assert other.strip(), text
            if language == "zh-CN":
                assert CHINESE.search(other) or text == other, (text, other)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ('raise NotFound(f"there is no {a} here", "look " "again")', {"there is no {0} here", "look again"}),
        ('raise Denied("no" if x else f"never {y!r}", hint="ask them")', {"never {0}", "ask them"}),
        ('def f():\n    return "nothing is there", f"since {x}"', {"nothing is there", "since {0}"}),
        ('yield "code", f"编码 {x} 无效", True', {"编码 {0} 无效"}),
        ('Cause(name="disk", detail=f"{x} GiB free")', {"{0} GiB free"}),
        ('log.info("a log line", reason=x); query("SELECT 1")', set()),
        ('self._refuse(403, device, "wrong password")', {"wrong password"}),
    ],
)
def test_sentences_are_found_where_they_are_said(source: str, wanted: set[str]) -> None:
    assert sentences(source) == wanted
