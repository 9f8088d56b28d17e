"""The settings as a TOML file that explains itself: every key with its sentence, defaults commented out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import msgspec

from anwang.runtime.settings import Setting
from anwang.web.system import mask


def annotate(settings: Sequence[Setting]) -> str:
    """Read back, it gives the same settings; but a value with a secret in it is masked and commented out."""
    sections: dict[str, list[Setting]] = {}
    for setting in settings:
        home = setting.name if isinstance(setting.value, dict) else setting.name.rpartition(".")[0]
        sections.setdefault(home, []).append(setting)
    lines = ["# Settings of Anwang. A line without # is set; the others show the default."]
    for section, found in sections.items():
        if section and not isinstance(found[0].value, dict):
            lines += ["", f"[{section}]"]
        for setting in found:
            lines += ["", *_entry(setting)]
    return "\n".join(lines) + "\n"


def _entry(setting: Setting) -> Iterator[str]:
    leaf = setting.name.rpartition(".")[2]
    yield f"# {setting.sentence} ({setting.variable}{', from the environment' * (setting.source == 'environment')})"
    value = msgspec.to_builtins(setting.value)
    if isinstance(value, dict):  # zones: tables of their own
        if not value:
            yield f"# [{setting.name}.NAME]"
        for name, table in value.items():
            yield f"[{setting.name}.{json.dumps(name, ensure_ascii=False)}]"
            yield from (f"{key} = {toml(each)}" for key, each in table.items())
        return
    shown, is_masked = mask(setting.name, setting.value)
    if is_masked:
        yield f"# {leaf} = {toml(shown)}"
    else:
        yield f"{'' if setting.source != 'default' else '# '}{leaf} = {toml(value)}"


def toml(value: object) -> str:
    """A string, number, boolean or list as TOML."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml(each) for each in value)}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
