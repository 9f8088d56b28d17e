"""Comments in JPEG files (ITU-T T.81 B.2.4.5): text that travels with a picture and that nobody sees."""

from __future__ import annotations

from collections.abc import Iterator

from anwang.kernel.errors import WireError

START = b"\xff\xd8"
LONGEST_COMMENT = 0xFFFF - 2
_COMMENT, _SCAN, _END = 0xFE, 0xDA, 0xD9
_ALONE = frozenset({0x01, *range(0xD0, 0xDA)})
"""Markers without a length."""


def with_comment(data: bytes, text: str) -> bytes:
    """The picture with one more comment, before its tables; application segments stay first. Raises WireError."""
    encoded = text.encode()
    if len(encoded) > LONGEST_COMMENT:
        raise WireError(f"a comment of {len(encoded)} bytes")
    at = len(START)
    for marker, start, end in _segments(data):
        if not 0xE0 <= marker <= 0xEF:
            at = start
            break
        at = end
    return data[:at] + bytes((0xFF, _COMMENT)) + (len(encoded) + 2).to_bytes(2, "big") + encoded + data[at:]


def comments(data: bytes) -> list[str]:
    """All comments before the picture itself. Raises WireError where it is no JPEG, or one that breaks off."""
    return [
        data[start + 4 : end].decode("utf-8", "replace") for marker, start, end in _segments(data) if marker == _COMMENT
    ]


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, where it begins, where it ends) of all before the first scan."""
    if not data.startswith(START):
        raise WireError("not a JPEG picture", data=data[:16])
    at = len(START)
    while True:
        if at + 4 > len(data) or data[at] != 0xFF:
            raise WireError("a JPEG picture breaks off", data=data[at : at + 16], offset=at)
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker in (_SCAN, _END):
            return
        end = at + 2 if marker in _ALONE else at + 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
        if end > len(data):
            raise WireError("a JPEG picture breaks off", data=data[at : at + 16], offset=at)
        yield marker, at, end
        at = end
