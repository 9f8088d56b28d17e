"""Photos that people hand in: JPEG or PNG, told by their first bytes and not by what the sender calls them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from anwang.kernel.errors import Invalid

MOST_BYTES = 5 << 20
MOST_PIXELS = 12_000
"""Along one side."""
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG that say how large the picture is (SOF0 to SOF15; ITU-T T.81 table B.1)."""
ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length."""


@dataclass(frozen=True, slots=True)
class Photo:
    """What a file is. suffix: jpg or png."""

    suffix: str
    width: int
    height: int

    @property
    def media_type(self) -> str:
        """For HTTP."""
        return "image/png" if self.suffix == "png" else "image/jpeg"


def photo_of(data: bytes) -> Photo:
    """Raises Invalid for what is neither, too large, or has no size."""
    if len(data) > MOST_BYTES:
        raise Invalid("the photo is larger than 5 MiB", "make it smaller and send it again")
    if data.startswith(PNG):
        found = _png(data)
    elif data.startswith(JPEG):
        found = _jpeg(data)
    else:
        raise Invalid("this is neither a JPEG nor a PNG", "send a photo in one of the two formats")
    if found is None or not (0 < found.width <= MOST_PIXELS and 0 < found.height <= MOST_PIXELS):
        raise Invalid("the photo is damaged or its sides are too long", f"up to {MOST_PIXELS} pixels along a side")
    return found


def _png(data: bytes) -> Photo | None:
    if data[12:16] != b"IHDR" or len(data) < 33:
        return None
    return Photo("png", int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))


def _jpeg(data: bytes) -> Photo | None:
    """By the first frame header; segments before it are skipped by their lengths."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in FRAMES and at + 9 <= len(data):
            height, width = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            return Photo("jpg", width, height)
        if marker in (0xD9, 0xDA) or length < 2:
            return None
        at += 2 + length
    return None
