"""Number plates of the mainland (GA 36-2018, `domain.md` §4.3): reading, grammar, colours, confusion, patterns.

A plate is text in its normal form: half width, upper case, no separators. What a camera confuses (0, D and Q) is folded
into one key for matching; what a person does not know (`?`, `*`) is expanded on the plates that were ever seen, never
compared with every pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from anwang.kernel.codes.vehicles import COLOUR_WORDS_1400, PLATE_COLOUR_WORDS
from anwang.kernel.errors import Invalid

PROVINCES: Final = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
#: I and O are never used: they would be read as 1 and 0
LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"
#: GA/T 1400 PlateNo and every interface beside it
MAX_LENGTH: Final = 15

_DOTS_AND_BLANKS: Final = "·•・･‧∙⋅● \t\r\n\v\f_\u00a0\u1680\u2028\u2029\u200b\u200c\u200d\u2060\u3000\ufeff"
_DASHES: Final = "-‐‑‒–—―−－"


def _folding(dash: str) -> dict[int, str]:
    """Full width to half, lower case to upper, separators gone; every dash becomes `dash`."""
    wide = {ord(one) + 0xFEE0: one.upper() for one in map(chr, range(0x21, 0x7F))}
    small = {ord(one): one.upper() for one in "abcdefghijklmnopqrstuvwxyz"}
    dropped = dict.fromkeys((ord(one) for one in _DOTS_AND_BLANKS + "＿"), "")
    return {**wide, **small, **dropped, **dict.fromkeys(map(ord, _DASHES), dash)}


_NORMAL: Final = _folding("")
#: dashes say two things, a separator or a character that could not be read; `Reading` tells them apart
_WITH_DASHES: Final = _folding("-")


def normalise(text: str) -> str:
    """The normal form: half width, upper case, without blanks, dots and dashes. Doing it twice changes nothing."""
    return text.translate(_NORMAL)


class PlateState(StrEnum):
    """What came of reading a plate (plate_state)."""

    READ = "read"
    UNREAD = "unread"
    NONE = "none"
    COVERED = "covered"


_WORDS: Final[Mapping[str, PlateState]] = {
    **dict.fromkeys(("无牌", "无车牌", "无号牌", "无牌车", "未悬挂", "未悬挂号牌"), PlateState.NONE),
    **dict.fromkeys(("", "未识别", "未知", "无法识别", "识别失败", "UNKNOWN", "NULL", "NONE"), PlateState.UNREAD),
    **dict.fromkeys(("遮挡", "遮挡号牌", "号牌遮挡", "故意遮挡", "污损"), PlateState.COVERED),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device says of a plate. plate: its normal form, empty unless it was read.

    legible: of a plate read in part, the normal form with `?` for what was not; else empty.
    """

    state: PlateState
    plate: str = ""
    legible: str = ""

    @classmethod
    def of(cls, text: str | None, *, has_plate: bool | None = None, is_covered: bool | None = None) -> Self:
        """From hphm or PlateNo and, where the record has them, HasPlate and IsCovered. Raises nothing.

        A dash is a separator where the rest is a plate (`津A-12345`) and a character not read elsewhere (`津A1-345`).
        A text counts above HasPlate: a device that reads a plate and denies it has read one.
        """
        marked = (text or "").translate(_WITH_DASHES)
        plain = marked.replace("-", "")
        if plain in _WORDS or not plain.strip("?*"):
            state = _WORDS.get(plain, PlateState.UNREAD)
            if state is PlateState.UNREAD and is_covered:
                state = PlateState.COVERED
            elif state is PlateState.UNREAD and has_plate is False:
                state = PlateState.NONE
            return cls(state)
        if len(marked) > MAX_LENGTH:
            return cls(PlateState.UNREAD)
        if "?" in marked or "*" in marked or ("-" in marked and kind_of(plain) is None and 7 <= len(marked) <= 8):
            state = PlateState.COVERED if is_covered else PlateState.UNREAD
            return cls(state, legible=marked.replace("-", "?").replace("*", "?"))
        return cls(PlateState.READ, plain)


class PlateColour(StrEnum):
    """号牌颜色."""

    WHITE = "white"
    YELLOW = "yellow"
    BLUE = "blue"
    BLACK = "black"
    OTHER = "other"
    GREEN = "green"
    RED = "red"
    YELLOW_GREEN = "yellow_green"
    GRADIENT_GREEN = "gradient_green"


_COLOURS: Final = frozenset(map(str, PlateColour))


def colour_of_hpys(code: str) -> PlateColour | None:
    """From the numbering of the 缉查布控 interface (0 is white); None for what it has not."""
    word = PLATE_COLOUR_WORDS.get(code.strip())
    return PlateColour(word) if word else None


def colour_of_1400(code: str) -> PlateColour | None:
    """From ColorType (1 is black), `05` as well as `5`; a colour that no plate has is OTHER, an unknown code None."""
    word = COLOUR_WORDS_1400.get(code.strip().lstrip("0"))
    if word is None:
        return None
    return PlateColour(word) if word in _COLOURS else PlateColour.OTHER


class PlateKind(StrEnum):
    """号牌 by their grammar, in the order in which they are tried."""

    RESCUE = "rescue"
    HK_MACAO = "hk_macao"
    POLICE = "police"
    TRAILER = "trailer"
    LEARNER = "learner"
    TEMPORARY = "temporary"
    EMBASSY = "embassy"
    CONSULATE = "consulate"
    ARMED_POLICE = "armed_police"
    MILITARY = "military"
    NEV_SMALL = "nev_small"
    NEV_LARGE = "nev_large"
    NORMAL = "normal"
    CIVIL_AVIATION = "civil_aviation"


@dataclass(frozen=True, slots=True)
class Grammar:
    """One kind. classes: 号牌种类 (GA/T 16.7). colours: those such plates have; empty where any may be.

    A device that knows one green only says GREEN of both new-energy plates, so that counts as agreeing.
    """

    pattern: str
    classes: tuple[str, ...]
    colours: frozenset[PlateColour]


def _grammar(pattern: str, classes: str, *colours: PlateColour) -> Grammar:
    spelled = pattern.replace("‹P›", f"[{PROVINCES}]").replace("‹L›", "[A-HJ-NP-Z]").replace("‹S›", "[0-9A-HJ-NP-Z]")
    return Grammar(spelled, tuple(classes.split()), frozenset(colours))


_WHITE, _YELLOW, _BLUE, _BLACK = PlateColour.WHITE, PlateColour.YELLOW, PlateColour.BLUE, PlateColour.BLACK
_GREEN = PlateColour.GREEN

GRAMMAR: Final[Mapping[PlateKind, Grammar]] = {
    PlateKind.RESCUE: _grammar("‹P›[XS]‹S›{4}应急", "99", _WHITE),
    PlateKind.HK_MACAO: _grammar("粤Z‹S›{4}[港澳]", "26 27", _BLACK),
    PlateKind.POLICE: _grammar("‹P›‹L›‹S›{4}警", "23 24", _WHITE),
    PlateKind.TRAILER: _grammar("‹P›‹L›‹S›{4}挂", "15", _YELLOW),
    PlateKind.LEARNER: _grammar("‹P›‹L›‹S›{4}学", "16 17", _YELLOW),
    PlateKind.TEMPORARY: _grammar("‹P›‹L›‹S›{4}[临试超]", "18 19 22"),
    PlateKind.EMBASSY: _grammar("使[0-9]{6}|[0-9]{6}使", "03 09", _BLACK),
    PlateKind.CONSULATE: _grammar("‹P›‹L›[0-9]{4}领|‹P›[0-9]{5}领|领[0-9]{6}", "04 10", _BLACK),
    PlateKind.ARMED_POLICE: _grammar("WJ‹P›?[0-9]{4}‹S›", "31", _WHITE),
    PlateKind.MILITARY: _grammar("‹L›{2}[0-9]{5}", "32", _WHITE),
    PlateKind.NEV_SMALL: _grammar("‹P›‹L›[A-HJK]‹S›[0-9]{4}", "52", PlateColour.GRADIENT_GREEN, _GREEN),
    PlateKind.NEV_LARGE: _grammar("‹P›‹L›[0-9]{5}[A-HJK]", "51", PlateColour.YELLOW_GREEN, _GREEN),
    PlateKind.NORMAL: _grammar("‹P›‹L›(?!(?:.*[A-Z]){3})‹S›{5}", "01 02 07 08", _BLUE, _YELLOW),
    PlateKind.CIVIL_AVIATION: _grammar("民航[0-9A-Z]{4,5}", "99", _GREEN),
}
_KINDS: Final = re.compile("|".join(f"(?P<{kind}>{rule.pattern})" for kind, rule in GRAMMAR.items()))


def kind_of(plate: str) -> PlateKind | None:
    """The kind of a plate in normal form; None where it is none of the mainland's."""
    match = _KINDS.fullmatch(plate)
    return PlateKind(match.lastgroup) if match and match.lastgroup else None


def colour_agrees(kind: PlateKind, colour: PlateColour | None) -> bool:
    """Whether such a plate may have this colour; where it is not known or `other`, nothing speaks against it.

    Blue and eight characters, or green and seven, is a reading of low confidence (or a false plate).
    """
    allowed = GRAMMAR[kind].colours
    return not allowed or colour is None or colour is PlateColour.OTHER or colour in allowed


#: what cameras and eyes confuse; O and I are in no plate, but in what people type
CONFUSABLE: Final = ("0DQO", "8B", "2Z", "5S", "1T7I", "6G", "4A", "川州")
_CONFUSED: Final[Mapping[str, str]] = {one: group for group in CONFUSABLE for one in group}
_KEY: Final = str.maketrans({one: group[0] for one, group in _CONFUSED.items()})


def key_of(plate: str) -> str:
    """The one key of all plates that may be confused with this one (in normal form): `津D8S2T`, `津0B5Z7`."""
    return plate.translate(_KEY)


def one_off(key: str) -> tuple[str, ...]:
    """The key with each position in turn unknown (`?`): two keys that differ in one character share one of these."""
    return tuple(f"{key[:at]}?{key[at + 1 :]}" for at in range(len(key)))


FEWEST_KNOWN: Final = 4
MOST_GAPS: Final = 2
"""Each `*` more multiplies the ways in which a plate may match."""
_MANY: Final = re.compile(r"[*?]*\*[*?]*")


@dataclass(frozen=True, slots=True)
class PlatePattern:
    """A plate known in part. text: normal form with `?` (one character) and `*` (any number, also none).

    is_tolerant: each known character also stands for those it is confused with.
    """

    text: str
    is_tolerant: bool = False

    @classmethod
    def parse(cls, text: str, *, is_tolerant: bool = False) -> Self:
        """Raises Invalid: fewer than 4 known characters, more than two `*`, too long, characters that no plate has."""
        clean = _MANY.sub(lambda run: "?" * run[0].count("?") + "*", normalise(text[:256]))
        if len(text) > 256 or len(clean) > MAX_LENGTH:
            raise Invalid(f"{text[:32]!r} is too long for a plate", "at most 15 characters")
        strange = next((one for one in clean if not (one in "?*" or one.isalnum())), None)
        if strange is not None:
            raise Invalid(f"{strange!r} is in no plate", "letters, digits, ? for one character, * for several")
        if clean.count("*") > MOST_GAPS:
            raise Invalid("a pattern has at most two *", "use ? where the number of characters is known")
        known = sum(one not in "?*" for one in clean)
        if known < FEWEST_KNOWN:
            raise Invalid(
                f"{known} known characters are too few to search by", "at least 4 besides ? and *, such as ?A123*"
            )
        return cls(clean, is_tolerant)

    def alternatives(self, length: int) -> Iterator[str]:
        """The patterns of exactly this length that it stands for, with `?` only."""
        parts = self.text.split("*")
        spare = length - sum(map(len, parts))
        if spare < 0 or (len(parts) == 1 and spare):
            return
        for gaps in _shared_out(spare, len(parts) - 1):
            yield parts[0] + "".join("?" * gap + part for gap, part in zip(gaps, parts[1:], strict=True))

    def matches(self, plate: str) -> bool:
        """Whether it stands for a plate in normal form."""
        return re.fullmatch("".join(map(self._spelled, self.text)), plate, re.DOTALL) is not None

    def _spelled(self, one: str) -> str:
        if one in "?*":
            return "." if one == "?" else ".*"
        return f"[{_CONFUSED[one]}]" if self.is_tolerant and one in _CONFUSED else re.escape(one)


def _shared_out(amount: int, places: int) -> Iterator[tuple[int, ...]]:
    if places <= 1:
        yield (amount,) * places
        return
    for first in range(amount + 1):
        for rest in _shared_out(amount - first, places - 1):
            yield (first, *rest)


_ALPHABET: Final = "0123456789IO" + LETTERS + PROVINCES + "州警挂学临试超使领港澳应急民航"
#: character → its byte in the columns, in the order of text; 0 stands for all others, which are compared as text
_BYTES: Final[Mapping[str, int]] = {one: number for number, one in enumerate(sorted(_ALPHABET), 1)}
_BYTE_OF: Final = np.zeros(0x110000, np.uint8)
for _one, _number in _BYTES.items():
    _BYTE_OF[ord(_one)] = _number


@dataclass(frozen=True, slots=True)
class _OfLength:
    """All plates of one length, sorted as their bytes. columns: [position, plate]; counts: [position, byte]."""

    plates: Sequence[str]
    columns: NDArray[np.uint8]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, plates: Sequence[str], length: int) -> Self:
        points = np.frombuffer("".join(plates).encode("utf-32-le", "surrogatepass"), np.uint32)
        columns = np.ascontiguousarray(_BYTE_OF[points].reshape(-1, length).T)
        order = np.lexsort(columns[::-1])
        columns = np.ascontiguousarray(columns[:, order])
        counts = np.stack([np.bincount(column, minlength=256) for column in columns])
        return cls([plates[at] for at in order], columns, counts)

    def matching(self, pattern: str, is_tolerant: bool) -> NDArray[np.intp]:
        """Where plates stand that may match: the characters of byte 0 are still to be compared."""
        start, end, at = 0, len(self.plates), 0
        wanted = [self._bytes(one, is_tolerant) if one != "?" else [] for one in pattern]
        while at < len(wanted) and len(wanted[at]) == 1 and end > start:
            column, byte = self.columns[at][start:end], np.uint8(wanted[at][0])
            start, end = start + int(column.searchsorted(byte)), start + int(column.searchsorted(byte, "right"))
            at += 1
        rest = [place for place in range(at, len(wanted)) if wanted[place]]
        rest.sort(key=lambda place: int(self.counts[place][wanted[place]].sum()))
        if not rest or start >= end:
            return np.arange(start, end)
        mask = _any_of(self.columns[rest[0]][start:end], wanted[rest[0]])
        if len(rest) > 1:
            mask &= _any_of(self.columns[rest[1]][start:end], wanted[rest[1]])
        found = np.flatnonzero(mask) + start
        for place in rest[2:]:
            found = found[_any_of(self.columns[place][found], wanted[place])]
        return found

    @staticmethod
    def _bytes(one: str, is_tolerant: bool) -> list[int]:
        return sorted({_BYTES.get(each, 0) for each in (_CONFUSED.get(one, one) if is_tolerant else one)})


def _any_of(column: NDArray[np.uint8], wanted: list[int]) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = column == np.uint8(wanted[0])
    for byte in wanted[1:]:
        mask |= column == np.uint8(byte)
    return mask


@dataclass(frozen=True, slots=True)
class Expansion:
    """The plates a pattern stands for, sorted. is_cut: there are more than were asked for."""

    plates: tuple[str, ...]
    is_cut: bool


class DistinctPlates:
    """The plates ever seen, in columns of bytes, for patterns: a million are searched in a fraction of a millisecond.

    It does not change: who sees new plates keeps them beside it and makes a new one from time to time.
    """

    def __init__(self, plates: Iterable[str]) -> None:
        """plates: in normal form, in any order; doubles and empty ones are left out."""
        by_length: dict[int, list[str]] = {}
        for plate in set(plates):
            if plate:
                by_length.setdefault(len(plate), []).append(plate)
        self._parts = {length: _OfLength.of(some, length) for length, some in sorted(by_length.items())}

    def __len__(self) -> int:
        return sum(len(part.plates) for part in self._parts.values())

    def expand(self, pattern: PlatePattern, limit: int = 1000) -> Expansion:
        """The plates that match, sorted, at most `limit` of them."""
        has_others = any(one not in _BYTES and one not in "?*" for one in pattern.text)
        found: list[str] = []
        for length, part in self._parts.items():
            places = [part.matching(one, pattern.is_tolerant) for one in pattern.alternatives(length)]
            if not places:
                continue
            merged = places[0] if len(places) == 1 else np.unique(np.concatenate(places))
            if has_others:
                some = [plate for plate in map(part.plates.__getitem__, merged.tolist()) if pattern.matches(plate)]
            else:
                some = [part.plates[at] for at in merged[: limit + 1].tolist()]
            found += some
        found.sort()
        return Expansion(tuple(found[:limit]), len(found) > limit)
