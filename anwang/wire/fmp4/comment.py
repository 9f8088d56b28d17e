"""A comment in an MP4's metadata, where players and FFmpeg look for it: moov/udta/meta/ilst/©cmt (QuickTime File
Format, "User data"; the form that iTunes made common).
"""

from __future__ import annotations

import struct

from anwang.kernel.errors import WireError
from anwang.wire.fmp4.read import MAX_MOOV, Box, Source, boxes
from anwang.wire.fmp4.write import box, full

LONGEST_COMMENT = 4096
_TEXT = 1


def comment_box(text: str) -> bytes:
    """The udta box that holds it. Raises WireError."""
    encoded = text.encode()
    if len(encoded) > LONGEST_COMMENT:
        raise WireError(f"a comment of {len(encoded)} bytes")
    value = box(b"data", struct.pack(">II", _TEXT, 0), encoded)
    handler = full(b"hdlr", 0, 0, bytes(4), b"mdirappl", bytes(9))
    return box(b"udta", full(b"meta", 0, 0, handler, box(b"ilst", box(b"\xa9cmt", value))))


def with_comment(init: bytes, text: str) -> bytes:
    """An init segment with it. Only for one that is followed by fragments: offsets into the file do not move along.

    Raises WireError.
    """
    moov = next((one for one in boxes(init, 0, len(init)) if one.kind == b"moov"), None)
    if moov is None or moov.body - moov.start != 8:
        raise WireError("no init segment", data=init[:64])
    more = comment_box(text)
    grown = (moov.end - moov.start + len(more)).to_bytes(4, "big")
    return init[: moov.start] + grown + init[moov.start + 4 : moov.end] + more + init[moov.end :]


def read_comment(data: Source) -> str:
    """The comment of a file, "" where it has none. Raises WireError where the file is no MP4 or is broken there."""
    moov = _within(data, Box(b"", 0, 0, len(data)), b"moov")
    if moov is None:
        raise WireError("no MP4 file, or one that is not whole", data=bytes(data[:16]))
    if moov.end - moov.start > MAX_MOOV * 4:
        raise WireError("an MP4 file with a head too large to read")
    found = _within(data, moov, b"udta")
    found = found and _within(data, found, b"meta")
    if found is not None:  # a full box, except in files of QuickTime's own
        head = 4 if bytes(data[found.body : found.body + 4]) == bytes(4) else 0
        found = _within(data, Box(b"meta", found.start, found.body + head, found.end), b"ilst")
    for kind in (b"\xa9cmt", b"data"):
        found = found and _within(data, found, kind)
    if found is None or found.end - found.body < 8:
        return ""
    return bytes(data[found.body + 8 : min(found.end, found.body + 8 + LONGEST_COMMENT)]).decode("utf-8", "replace")


def _within(data: Source, outer: Box, kind: bytes) -> Box | None:
    return next((one for one in boxes(data, outer.body, outer.end) if one.kind == kind), None)
