"""Finding points by a part of their text: the array agrees with a plain search through every text."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anwang.registry.text import FIELDS, SEPARATORS, Base, TextIndex, pinyin, rank_of, search_text, words_of

LETTERS = st.text("人民东路ab1 \x01\x06重", max_size=8)


def index(*texts: str) -> TextIndex:
    made = TextIndex()
    made.add(np.arange(len(texts), dtype=np.int32), "".join(texts).encode())
    return made


def best(made: TextIndex, q: str) -> list[int]:
    ix, rank = made.search(q)
    return [n for _, n in sorted(zip(rank.tolist(), ix.tolist(), strict=True))]


def test_sounds_are_read_word_by_word() -> None:
    assert pinyin("重庆路3号") == ("cql3h", "chongqinglu3hao")
    assert pinyin("北门A") == ("bma", "beimena")
    assert pinyin("重要路口") == ("zylk", "zhongyaolukou")
    assert pinyin("") == ("", "")


def test_the_exact_code_comes_before_beginnings_and_these_before_initials() -> None:
    made = index(
        search_text("比亚迪路", "99010200001320000009", "1320号", None),  # 0: byd initials
        search_text("北岸", "byd", None, None),  # 1: that is its code
        search_text("地铁站", "byd2", None, None),  # 2: its code begins so
        search_text("BYD 充电站", "7", None, None),  # 3: its name begins so
        search_text("东门", "8", "比亚迪路 byd 号", None),  # 4: somewhere in its address
    )
    assert best(made, "BYD") == [1, 2, 3, 0, 4]
    assert best(made, "biyadi") == [0]
    assert best(made, "比亚迪") == [0, 4]
    assert best(made, "亚迪 0009") == [0]
    assert best(made, "b") == [1, 2, 3, 0, 4]
    assert best(made, "xyz") == best(made, "") == best(made, "\x01") == []


def test_what_changed_is_found_at_once_and_what_it_was_is_not() -> None:
    made = index(search_text("旧名", "1", None, None), search_text("别的", "2", None, None))
    made.put(0, search_text("新名", "1", None, None))
    made.put(5, search_text("新来", "5", None, None))
    for _ in range(2):
        assert best(made, "旧名") == []
        assert sorted(best(made, "新")) == [0, 5]
        assert best(made, "别的") == [1]
        made.settle()
    made.add(np.array([7], np.int32), search_text("后来", "7", None, None).encode())
    assert best(made, "后来") == [7]
    assert sorted(best(made, "x")) == [0, 5]


@given(st.lists(st.tuples(LETTERS, LETTERS, LETTERS), min_size=1, max_size=12), st.text("人民东路ab1 rmdl", max_size=6))
def test_it_finds_what_a_plain_search_finds(rows: list[tuple[str, str, str]], q: str) -> None:
    texts = [search_text(name, code, address, None) for name, code, address in rows]
    assert all(text.count(separator) == 1 for text in texts for separator in SEPARATORS)
    words = words_of(q)
    expected = []
    for number, text in enumerate(texts):
        ranks = [rank_of(text.encode(), word) for word in words]
        known = [rank for rank in ranks if rank is not None]
        if words and len(known) == len(ranks):
            expected.append((number, max(known)))
    ix, rank = index(*texts).search(q)
    assert sorted(zip(ix.tolist(), rank.tolist(), strict=True)) == expected
    # a word is found exactly where it is a part of the text
    base = Base.of(np.arange(len(texts), dtype=np.int32), "".join(texts).encode())
    for word in words:
        assert base.find(word)[0].tolist() == [number for number, text in enumerate(texts) if word in text.encode()]


def test_hits_across_the_seams_of_the_pieces_are_found() -> None:
    texts = [search_text(f"路{n}", str(n * 7919), None, None) for n in range(300)]
    whole = "".join(texts).encode()
    base = Base.of(np.arange(300, dtype=np.int32), whole)
    assert len(base.marks) == 300 * FIELDS
    import anwang.registry.text as module

    before = module.PIECE
    for piece in (7, 64, 1000):
        module.PIECE = piece
        try:
            small = Base.of(np.arange(300, dtype=np.int32), whole)
            assert small.marks.tolist() == base.marks.tolist()
            for n in range(0, 300, 7):
                word = str(n * 7919).encode()
                assert small.find(word)[0].tolist() == base.find(word)[0].tolist(), (piece, n)
        finally:
            module.PIECE = before
