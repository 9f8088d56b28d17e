"""What a national code table is: entries with their source and the days on which they are valid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One entry. label: the Chinese term of the standard. note: an English gloss or a remark, often empty."""

    code: str
    label: str
    note: str = ""
    valid_from: date | None = None
    valid_to: date | None = None

    def valid_on(self, day: date) -> bool:
        """Whether the entry was in force that day; valid_to is the first day on which it no longer was."""
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeTable:
    """A table of a standard or of practice.

    source: standard and clause. sure: V seen in the text or in several independent implementations, K common knowledge
    of the field not checked against the text, U unknown. valid_to: the first day on which it no longer was in force.
    """

    name: str
    title: str
    source: str
    valid_from: date
    valid_to: date | None
    sure: Literal["V", "K", "U"]
    entries: Mapping[str, Code]

    def __contains__(self, code: object) -> bool:
        return code in self.entries

    def __iter__(self) -> Iterator[Code]:
        return iter(self.entries.values())

    def __len__(self) -> int:
        return len(self.entries)

    def label(self, code: str) -> str:
        """The term, or the code itself where the table has none."""
        entry = self.entries.get(code)
        return entry.label if entry else code

    def code_of(self, label: str) -> str | None:
        """The code of a term, as people type it; None where there is none."""
        return next((entry.code for entry in self.entries.values() if entry.label == label), None)


def table(
    name: str,
    title: str,
    source: str,
    valid_from: date,
    rows: Iterable[tuple[str, str] | tuple[str, str, str]],
    *,
    valid_to: date | None = None,
    sure: Literal["V", "K", "U"] = "V",
) -> CodeTable:
    """A table from rows of code, label and (optionally) note."""
    entries = {row[0]: Code(code=row[0], label=row[1], note=row[2] if len(row) == 3 else "") for row in rows}
    return CodeTable(
        name=name, title=title, source=source, valid_from=valid_from, valid_to=valid_to, sure=sure, entries=entries
    )
