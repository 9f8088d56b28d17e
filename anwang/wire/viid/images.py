"""Pictures inside JSON: base64, and what they really are."""

from __future__ import annotations

import binascii
import re
from typing import Final, NamedTuple

from anwang.kernel.errors import WireError

MAX_PICTURE: Final = 20 * 1024 * 1024
_SCHEME: Final = re.compile(r"data:[\w.+/-]{0,64}(?:;[\w=.-]{1,64}){0,4},", re.ASCII)
_BLANKS: Final = dict.fromkeys(map(ord, " \t\r\n"))
_STARTS: Final = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"BM", "bmp"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2"),
)


class Picture(NamedTuple):
    """format: jpeg, png, bmp, gif, tiff, jp2 or webp, told by its first bytes and never by FileFormat."""

    data: bytes
    format: str


def format_of(data: bytes) -> str | None:
    """What a picture is, None where it is none that we know."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return next((name for start, name in _STARTS if data.startswith(start)), None)


def picture(text: str, *, max_bytes: int = MAX_PICTURE) -> Picture:
    """The picture in a Data member; a `data:` prefix, line breaks and missing padding are put up with.

    Raises WireError: too large (before it is decoded), no base64, or no picture.
    """
    if len(text) > max_bytes * 3 // 2 + 256:
        raise WireError(f"a picture of about {len(text) * 3 // 4} bytes is above {max_bytes}")
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        data = _decoded(text)
    if len(data) > max_bytes:
        raise WireError(f"a picture of {len(data)} bytes is above {max_bytes}")
    found = format_of(data)
    if found is None:
        raise WireError("what should be a picture is none", data=data[:16])
    return Picture(data, found)


def _decoded(text: str) -> bytes:
    scheme = _SCHEME.match(text)
    clean = text[scheme.end() if scheme else 0 :].translate(_BLANKS).rstrip("=")
    try:
        return binascii.a2b_base64(clean + "=" * (-len(clean) % 4), strict_mode=True)
    except ValueError as err:
        raise WireError(f"a picture is no base64: {err}", data=text[:64].encode(errors="replace")) from None
