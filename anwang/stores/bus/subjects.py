"""Names of subjects: words between dots. A filter may have `*` for one word and end in `>` for all that follow."""

from __future__ import annotations

import re

from anwang.kernel.errors import Invalid

LONGEST = 255
WORD = r"[A-Za-z0-9_-]+"
SUBJECT = re.compile(rf"{WORD}(?:\.{WORD})*\Z")
FILTER = re.compile(rf"(?:(?:{WORD}|\*)\.)*(?:{WORD}|\*|>)\Z")


def check_subject(subject: str) -> str:
    """The subject itself. Raises Invalid."""
    if len(subject) > LONGEST or not SUBJECT.match(subject):
        raise Invalid(f"{subject[:64]!r} is no subject", "words of A-Z a-z 0-9 _ - between dots")
    return subject


def check_filter(text: str) -> str:
    """The filter itself. Raises Invalid."""
    if len(text) > LONGEST or not FILTER.match(text):
        raise Invalid(f"{text[:64]!r} is no subject filter", "like a subject, with * for a word or > at the end")
    return text


def matches(text: str, subject: str) -> bool:
    """Whether the filter lets the subject through."""
    wanted, words = text.split("."), subject.split(".")
    if wanted[-1] == ">":
        if len(words) < len(wanted):
            return False
        wanted = wanted[:-1]
    elif len(words) != len(wanted):
        return False
    return all(want in ("*", word) for want, word in zip(wanted, words, strict=False))
