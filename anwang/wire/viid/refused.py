"""What is never taken: objects of people and pictures of them (`domain.md` §9.7).

They are known by name only, counted, and thrown away unread: no type is made for them, no field of one looked at.
"""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = frozenset({"face", "faces", "person", "persons", "people", "pedestrian", "pedestrians"})
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_BEGINNINGS: Final = ("face", "person", "pedestrian")
#: Type of a sub-image: crops of driver and co-driver, people
IMAGE_TYPES: Final = frozenset({"04", "05", "10", "11", "4", "5"})
#: DispositionCategory: controls of people
CATEGORIES: Final = frozenset({"1", "2", "01", "02"})
#: vectors computed from pictures: of people they would be a recognition, of vehicles nobody needs them
_DROPPED: Final = frozenset({"featurelist", "featureinfoobject", "featureobject"})
_DEEPEST: Final = 16


def is_refused(name: str) -> bool:
    """Whether a member carries objects of people, by its name in any spelling."""
    if name[:1].islower() and name.startswith(_BEGINNINGS):
        return True
    return any(word.lower() in _WORDS for word in _WORD.findall(name[:128]))


def count(value: object) -> int:
    """How many objects such a member has: those of its lists, at least one."""
    if isinstance(value, list):
        return max(1, len(value))
    if isinstance(value, dict):
        return max(1, sum(len(each) for each in value.values() if isinstance(each, list)))
    return 1


def without(value: object, depth: int = 0) -> tuple[object, int]:
    """A decoded JSON value without such members, and how many objects were in them; what lies too deep is None."""
    if isinstance(value, list):
        if depth > _DEEPEST:
            return None, 0
        parts = [without(each, depth + 1) for each in value]
        return [part for part, _ in parts], sum(number for _, number in parts)
    if isinstance(value, dict):
        if depth > _DEEPEST:
            return None, 0
        kept: dict[str, object] = {}
        refused = 0
        for name, each in value.items():
            if is_refused(name):
                refused += count(each)
            elif name.lower() not in _DROPPED:
                kept[name], number = without(each, depth + 1)
                refused += number
        return kept, refused
    return value, 0


def is_dropped(name: str) -> bool:
    """Whether a member is left out without a word."""
    return name.lower() in _DROPPED
