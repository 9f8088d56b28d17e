"""Names of objects. A key never reaches a file system or a server unchecked."""

from __future__ import annotations

import re

from anwang.kernel.errors import Invalid

LONGEST_KEY = 200  # letters; a key with its spool ending fits into one file name
PART = r"(?!\.)[A-Za-z0-9._=-]+"
KEY = re.compile(rf"{PART}(?:/{PART})*\Z")


def check_key(key: str) -> str:
    """The key itself: parts of letters, digits and `._=-` between slashes, no dot in front. Raises Invalid."""
    if len(key) > LONGEST_KEY or not KEY.match(key):
        raise Invalid(f"{key[:80]!r} is no object key", f"parts of A-Z a-z 0-9 . _ = -, at most {LONGEST_KEY} letters")
    return key


def check_prefix(prefix: str) -> str:
    """A folder of keys: empty for all, else like a key; one slash at the end is dropped. Raises Invalid."""
    bare = prefix.removesuffix("/")
    return check_key(bare) if bare else ""


def spool_name(key: str) -> str:
    """The file name of a segment on its way to `key`."""
    return check_key(key).replace("/", ",") + ".seg"


def key_of(name: str) -> str | None:
    """The key a spool file belongs to; None for a file that is no segment."""
    bare = name.removesuffix(".seg")
    key = bare.replace(",", "/")
    if bare == name or len(key) > LONGEST_KEY or not KEY.match(key):
        return None
    return key
