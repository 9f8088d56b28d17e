"""Finding points by a part of their text: code, name, address, the letters of the name's pinyin.

All texts of a city lie one after the other in one array of bytes (some 150 a point), and a word is looked for with a
few passes of numpy over it: tens of milliseconds for 580,000 points on either database, for any part of a word, Chinese
words of one or two letters included, which a trigram index does not serve. A text has six fields, each behind its own
separator, so the separators before and after a hit say what was hit and whether it was its beginning or all of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anwang.kernel.errors import Internal

Rows = NDArray[np.int32]
Ranks = NDArray[np.uint8]
Octets = NDArray[np.uint8]

FIELDS = 6
SEPARATORS = "\x01\x02\x03\x04\x05\x06"
#: rank of a hit by field (code, name, common name, initials, pinyin, address) and by all, beginning, inside of it
RANKS = np.array([(0, 2, 8), (1, 3, 6), (1, 3, 6), (4, 4, 7), (5, 5, 7), (8, 8, 9)], np.uint8)
PIECE = 1 << 22
"""Bytes looked through in one go, so that a hit on every letter needs little memory."""
FEW = 4096
"""So many candidates are looked through one by one for the other words."""
BESIDE = 20_000
"""Texts that changed since the array was made lie beside it; above this many it is time for a new one."""
WORDS = 8

_HAN = re.compile("[\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
_PLAIN = re.compile("[^a-z0-9]+")
_CONTROL = dict.fromkeys(range(32), " ")


@lru_cache(maxsize=1 << 17)
def _sounds(han: str) -> tuple[str, str]:
    from pypinyin import Style, lazy_pinyin  # its dictionary: half a second and 40 MB that a start need not wait for

    parts = lazy_pinyin(han, style=Style.NORMAL, errors="ignore")
    return "".join(part[:1] for part in parts), "".join(parts)


@lru_cache(maxsize=1 << 14)
def pinyin(text: str) -> tuple[str, str]:
    """First letters and the whole pinyin of a text, in lower case; other letters and digits stay: 北门3 → bm3, beimen3.

    Read word by word, so that 重庆 is chongqing; runs of Chinese repeat much (road names), and each is read once.
    """
    letters: list[str] = []
    whole: list[str] = []
    last = 0
    text = text.lower()
    for run in _HAN.finditer(text):
        between = _PLAIN.sub("", text[last : run.start()])
        first, full = _sounds(run[0])
        letters += (between, first)
        whole += (between, full)
        last = run.end()
    rest = _PLAIN.sub("", text[last:])
    return "".join(letters) + rest, "".join(whole) + rest


def search_text(name: str, code: str, address: str | None, common_name: str | None) -> str:
    """What a search looks through, each field behind its separator."""
    letters, whole = pinyin(name)
    told = [code, name, common_name or "", letters, "" if whole == letters else whole, address or ""]
    if not all(map(str.isprintable, told)):
        told = [part.translate(_CONTROL) for part in told]
    one, two, three, four, five, six = told
    return f"\x01{one}\x02{two}\x03{three}\x04{four}\x05{five}\x06{six}".lower()


def words_of(q: str) -> list[bytes]:
    """The words of a query, the longest first; all of them must be there."""
    words = {word.encode() for word in q.lower().translate(_CONTROL).split()[:WORDS]}
    return sorted(words, key=lambda word: (-len(word), word))


@dataclass(frozen=True, slots=True)
class Base:
    """Texts in one array. Never changes; safe to read from any thread."""

    data: Octets = field(default_factory=lambda: np.zeros(1, np.uint8))
    """All texts, and a zero behind the last."""
    marks: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    """Where each separator stands: FIELDS of each text, in order."""
    ix: Rows = field(default_factory=lambda: np.zeros(0, np.int32))
    """By place of the text: the number of the point."""
    often: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))

    @classmethod
    def of(cls, ix: Rows, texts: bytes | bytearray) -> Base:
        """Texts of points, one after the other."""
        data = np.zeros(len(texts) + 1, np.uint8)
        data[:-1] = np.frombuffer(texts, np.uint8)
        often = np.zeros(256, np.int64)
        marks = []
        for start in range(0, len(texts), PIECE):
            piece = data[start : min(start + PIECE, len(texts))]
            often += np.bincount(piece, minlength=256)
            marks.append((np.flatnonzero(piece <= FIELDS) + start).astype(np.uint32))
        return cls(data, np.concatenate(marks) if marks else np.zeros(0, np.uint32), ix, often)

    def find(self, word: bytes) -> tuple[Rows, Ranks]:
        """Places of the texts that have a word, growing, and how well each fits."""
        needle = np.frombuffer(word, np.uint8)
        if not len(self.marks):
            return np.zeros(0, np.int32), np.zeros(0, np.uint8)
        if len(needle) == 1:
            return self._letter(needle[0])
        at = self._hits(needle)
        if not len(at):
            return np.zeros(0, np.int32), np.zeros(0, np.uint8)
        mark = np.searchsorted(self.marks, at, side="right") - 1
        begins = self.marks[mark] + 1 == at
        ends = self.data[at + len(needle)] <= FIELDS
        rank = RANKS[mark % FIELDS, np.where(begins, np.where(ends, 0, 1), 2)]
        place = (mark // FIELDS).astype(np.int32)
        first = np.flatnonzero(np.concatenate([[True], place[1:] != place[:-1]]))
        return place[first], np.minimum.reduceat(rank, first)

    def _letter(self, letter: np.uint8) -> tuple[Rows, Ranks]:
        """As `find`, of one letter or digit: half the city has it, so texts are counted instead of hits."""
        has = np.logical_or.reduceat(self.data[:-1] == letter, self.marks[::FIELDS])
        rank = np.full(len(has), RANKS.max(), np.uint8)
        begins = np.flatnonzero(self.data[self.marks + 1] == letter)
        ends = self.data[self.marks[begins] + 2] <= FIELDS if len(begins) else np.zeros(0, np.bool_)
        np.minimum.at(rank, begins // FIELDS, RANKS[begins % FIELDS, np.where(ends, 0, 1)])
        place = np.flatnonzero(has).astype(np.int32)
        return place, rank[place]

    def _hits(self, needle: Octets) -> NDArray[np.uint32]:
        """Where a word of two bytes or more stands. The rarest two neighbours are looked for first."""
        often = self.often[needle]
        anchor = int(np.argmin(often[:-1] * often[1:]))
        rest = [offset for offset in np.argsort(often).tolist() if offset not in (anchor, anchor + 1)]
        end = len(self.data) - len(needle)
        hits = [np.zeros(0, np.uint32)]
        for start in range(0, len(self.data) - 1, PIECE):
            piece = self.data[start : start + PIECE + 1]
            both = piece[:-1] == needle[anchor]
            both &= piece[1:] == needle[anchor + 1]
            found = np.flatnonzero(both) + (start - anchor)
            if found.size and (found[0] < 0 or found[-1] > end):
                found = found[(found >= 0) & (found <= end)]
            for offset in rest:
                if not found.size:
                    break
                found = found[self.data[found + offset] == needle[offset]]
            if found.size:
                hits.append(found.astype(np.uint32))
        return np.concatenate(hits)

    def text(self, place: int) -> bytes:
        """One text."""
        start = int(self.marks[place * FIELDS])
        last = place * FIELDS + FIELDS
        end = int(self.marks[last]) if last < len(self.marks) else len(self.data) - 1
        return self.data[start:end].tobytes()

    def search(self, words: Sequence[bytes]) -> tuple[Rows, Ranks]:
        """Numbers of the points that have all words, and how well each fits (the worst of its words)."""
        place, rank = self.find(words[0])
        for word in words[1:]:
            if len(place) <= FEW:
                each = [rank_of(self.text(number), word) for number in place.tolist()]
                other = np.array([255 if r is None else r for r in each], np.uint8)
                kept = other != 255
                place, rank = place[kept], np.maximum(rank[kept], other[kept])
            else:
                more, other = self.find(word)
                place, mine, theirs = np.intersect1d(place, more, assume_unique=True, return_indices=True)
                rank = np.maximum(rank[mine], other[theirs])
        return self.ix[place], rank


def rank_of(text: bytes, word: bytes) -> int | None:
    """How well a word fits one text, as `Base.find` has it; None where it is not in it. A single letter counts by
    where it begins something, and is the worst of hits elsewhere.
    """
    best: int | None = None
    at = text.find(word)
    while at >= 0:
        start = at
        while text[start - 1] > FIELDS:
            start -= 1
        after = at + len(word)
        whole = after == len(text) or text[after] <= FIELDS
        rank = int(RANKS[text[start - 1] - 1, 2 if start != at else 0 if whole else 1])
        if len(word) == 1 and start != at:
            rank = int(RANKS.max())
        best = rank if best is None else min(best, rank)
        at = text.find(word, at + 1)
    return best


class TextIndex:
    """The texts of all points, those that changed lately beside the array."""

    def __init__(self) -> None:
        self._base = Base()
        self._beside: dict[int, bytes] = {}

    @property
    def is_behind(self) -> bool:
        """Whether a new array is worth making."""
        return len(self._beside) > BESIDE // 10

    @property
    def size_bytes(self) -> int:
        """Memory of the array."""
        return self._base.data.nbytes + self._base.marks.nbytes + self._base.ix.nbytes

    def put(self, ix: int, text: str) -> None:
        """The text of one point, found from now on."""
        self._beside[ix] = text.encode(errors="replace")

    def add(self, ix: Rows, texts: bytes | bytearray) -> None:
        """Very many texts at once, one after the other; what was put beside stays newer. For a thread."""
        base = Base.of(ix, texts)
        if len(base.marks) != len(ix) * FIELDS:
            raise Internal(f"{len(ix)} texts for the search have {len(base.marks)} fields")
        if not len(self._base.ix):
            self._base = base
            return
        whole = bytearray(self._base.data[:-1])
        whole += texts
        self._base = Base.of(np.concatenate([self._base.ix, ix]), whole)

    def settle(self) -> None:
        """Take what lies beside the array into a new one. One at a time; for a thread."""
        beside = dict(self._beside)
        self._base = self._joined(self._base, beside)
        for ix, text in beside.items():
            if self._beside.get(ix) is text:
                self._beside.pop(ix, None)

    @staticmethod
    def _joined(base: Base, beside: dict[int, bytes]) -> Base:
        fresh = np.fromiter(beside, np.int32, len(beside))
        old = np.flatnonzero(np.isin(base.ix, fresh)).tolist()
        starts = base.marks[::FIELDS].astype(np.int64)
        ends = np.append(starts[1:], len(base.data) - 1)
        out = bytearray()
        last = 0
        for place in old:
            out += base.data[last : starts[place]].tobytes()
            last = int(ends[place])
        out += base.data[last:-1].tobytes()
        for text in beside.values():
            out += text
        return Base.of(np.concatenate([np.delete(base.ix, old), fresh]).astype(np.int32), out)

    def search(self, q: str) -> tuple[Rows, Ranks]:
        """Numbers of the points that have all words of a query, and how well each fits (0 is best). For a thread."""
        words = words_of(q)
        if not words:
            return np.zeros(0, np.int32), np.zeros(0, np.uint8)
        base, beside = self._base, dict(self._beside)
        ix, rank = base.search(words) if len(base.ix) else (np.zeros(0, np.int32), np.zeros(0, np.uint8))
        if not beside:
            return ix, rank
        kept = ~np.isin(ix, np.fromiter(beside, np.int32, len(beside)))
        more_ix, more_rank = [], []
        for number, text in beside.items():
            ranks = [rank_of(text, word) for word in words]
            known = [r for r in ranks if r is not None]
            if len(known) == len(ranks):
                more_ix.append(number)
                more_rank.append(max(known))
        return (
            np.concatenate([ix[kept], np.array(more_ix, np.int32)]),
            np.concatenate([rank[kept], np.array(more_rank, np.uint8)]),
        )
