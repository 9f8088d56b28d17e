"""What people type in, as it is kept."""

from __future__ import annotations

from anwang.kernel.errors import Invalid


def one_line(text: str, what: str, *, least: int = 1, most: int = 100) -> str:
    """Without spaces too many. what: "a case number". Raises Invalid."""
    line = " ".join(text.split())
    if not least <= len(line) <= most or not line.isprintable():
        raise Invalid(f"{what} has {least} to {most} printable characters")
    return line


def paragraphs(text: str, what: str, *, least: int = 1, most: int = 4000) -> str:
    """Lines without spaces too many, at most one empty one between two. what: "a cause". Raises Invalid."""
    lines = [" ".join(line.split()) for line in text.strip().splitlines()]
    kept = [line for number, line in enumerate(lines) if line or lines[number - 1]]
    if not all(line.isprintable() for line in kept) or not least <= len(told := "\n".join(kept)) <= most:
        raise Invalid(f"{what} has {least} to {most} printable characters")
    return told
