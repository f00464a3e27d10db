"""Where tokens end and which chunks two tokenizers share: by hand, and invariants over families."""

from itertools import pairwise, permutations

import numpy as np
import pytest

from limbeck.rows.aligned import chunk_numbers, token_ends
from limbeck.rows.aligned.coverage import coverage
from tests.rows.families import (
    FAMILIES,
    byte_level,
    library_text,
    sentencepiece,
    unigram,
    wordpiece,
    words_of,
)

TEXTS = [
    "", " ", "  \t\n ", "a", "Hello  World", "def f(x):\r\n\treturn x\n", "a\x00b", "你好，世界。",
    "naïve café", "e\u0301 a\u0308o\u0302\u0323 n", "🙂👩\u200d👩\u200d👧 🇷🇴x", "ﬁne ﬀ ½ １２３ ＡＢ",
    "İstanbul ẞ ΑΣ", "<s>a </s> b</s>", " ▁x▁ ", "\u200b\u00ad\ufeffx", "trailing \n\n", "x" * 300,
]  # fmt: skip


def parts(tokenizer, text):
    """The bytes that each token ends up with."""
    [(_, ends)] = token_ends(tokenizer, [text])
    return [text.encode()[start:end].decode() for start, end in pairwise([0, *ends.tolist()])]


def borders(*ends):
    return set.intersection(*(set(one.tolist()) for one in ends))


def test_chunks_of_two_words_by_hand():
    student, teacher = words_of("ab", "cd", " e"), words_of("abc", "e")
    # Student: ab|cd| e|f. Teacher: abc|d| |e|f. Both end at 4, 6 and 7.
    [(_, ours)], [(_, theirs)] = (token_ends(one, ["abcd ef"]) for one in (student, teacher))
    assert ours.tolist() == [2, 4, 6, 7]
    assert theirs.tolist() == [3, 4, 5, 6, 7]
    numbers, others = chunk_numbers(ours, theirs)
    assert numbers.tolist() == [0, 0, 1, 2]
    assert others.tolist() == [0, 0, 1, 1, 2]


def test_a_token_of_no_bytes_belongs_to_the_chunk_that_ends_where_it_does():
    student, teacher = chunk_numbers(np.array([0, 3, 3, 5]), np.array([3, 5]))
    assert (student.tolist(), teacher.tolist()) == ([0, 0, 0, 1], [0, 1])


def test_tokens_behind_the_last_common_border_are_in_no_chunk():
    student, teacher = chunk_numbers(np.array([2, 4]), np.array([2, 3]))
    assert (student.tolist(), teacher.tolist()) == ([0, -1], [0, -1])


def test_no_tokens_make_no_chunks():
    nothing = np.zeros(0, dtype=np.int64)
    assert [one.tolist() for one in chunk_numbers(nothing, np.array([3]))] == [[], [-1]]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_byte_belongs_to_a_token(family):
    for text, (ids, ends) in zip(TEXTS, token_ends(FAMILIES[family](), TEXTS), strict=True):
        assert len(ids) == len(ends)
        assert (np.diff(ends) >= 0).all()
        assert not len(ends) or (ends[0] >= 0 and ends[-1] == len(text.encode())), text


@pytest.mark.parametrize("family", FAMILIES)
def test_ends_of_a_text_do_not_depend_on_its_neighbours(family):
    tokenizer = FAMILIES[family]()
    together = token_ends(tokenizer, TEXTS)
    for text, (_, ends) in zip(TEXTS, together, strict=True):
        assert token_ends(tokenizer, [text])[0][1].tolist() == ends.tolist()


@pytest.mark.parametrize("names", list(permutations(FAMILIES, 2)))
def test_chunks_have_equal_bytes_on_both_sides_and_none_is_finer(names):
    sides = [token_ends(FAMILIES[name](), TEXTS) for name in names]
    for text, (_, ours), (_, theirs) in zip(TEXTS, *sides, strict=True):
        numbers, others = chunk_numbers(ours, theirs)
        last = [
            dict(zip(one.tolist(), ends.tolist(), strict=True))
            for one, ends in ((numbers, ours), (others, theirs))
        ]
        if len(ours) and len(theirs):
            assert last[0] == last[1]
            assert set(last[0].values()) == borders(ours, theirs)
            assert max(last[0].values()) == len(text.encode())
            assert (numbers >= 0).all() and (others >= 0).all()


def test_every_token_is_a_chunk_where_both_sides_use_one_tokenizer():
    [(ids, ends)] = token_ends(byte_level(600), [library_text()[:5_000]])
    numbers, others = chunk_numbers(ends, ends)
    assert numbers.tolist() == others.tolist() == list(range(len(ids)))


def test_the_mark_of_a_prefix_space_has_no_bytes():
    [(_, ours)], [(_, theirs)] = (
        token_ends(one, ["你 self.x = 1"]) for one in (sentencepiece(500), byte_level(600))
    )
    assert ours[0] == 0
    assert chunk_numbers(ours, theirs)[0][0] == 0
    assert borders(ours, theirs) >= {1, 2, 3}  # each byte of the first character


def test_bytes_of_one_character_are_told_apart():
    [(_, ours)], [(_, theirs)] = (token_ends(one, ["x🙂y"]) for one in (sentencepiece(500), byte_level(600)))
    assert ours.tolist()[-6:] == [1, 2, 3, 4, 5, 6]
    assert theirs.tolist() == [1, 2, 3, 4, 5, 6]


def test_bytes_are_told_apart_where_the_rest_of_the_text_is_changed():
    # Composing e and its accent changes the text, so characters are asked, and one of them has four tokens.
    assert token_ends(byte_level(2_000, composes=True), ["🙂 e\u0301"])[0][1].tolist()[:4] == [1, 2, 3, 4]


def test_a_composed_accent_belongs_to_the_letter_before_it():
    assert parts(wordpiece(500), "e\u0301 a") == ["e\u0301", " a"]
    assert 1 not in token_ends(unigram(400), ["e\u0301 a"])[0][1]


def test_case_and_dropped_white_space_are_found_in_the_original():
    assert parts(wordpiece(500), "RETURN \n\n(x)  ") == ["RETURN", " \n\n(", "x", ")  "]


def test_tokens_whose_share_of_a_character_is_unknown_end_behind_it():
    tokenizer = unigram(400)
    [(ids, ends)] = token_ends(tokenizer, ["x ﬀ"])
    tokens = tokenizer.convert_ids_to_tokens(ids.tolist())
    assert "".join(tokens).endswith("ff")
    assert set(ends.tolist()) <= {0, 1, 2, 5}  # never inside the ligature


def test_one_sided_begin_token_and_prefix_space_keep_the_chunks():
    text = library_text()[:20_000]
    with_begin, without = sentencepiece(500, begin=True), byte_level(600)
    [(_, ours)], [(_, theirs)] = (token_ends(one, [text]) for one in (with_begin, without))
    spelt = [len(piece) for piece in text.split(" ")]
    numbers, _ = chunk_numbers(ours, theirs)
    assert numbers[-1] + 1 == len(borders(ours, theirs)) > len(spelt)


def test_a_megabyte_of_source_loses_no_byte():
    whole = library_text(1_000_000)
    texts = [whole[start : start + 10_000] for start in range(0, len(whole), 10_000)]
    sides = [token_ends(one, texts) for one in (byte_level(2_000), sentencepiece(500))]
    for text, (_, ours), (_, theirs) in zip(texts, *sides, strict=True):
        numbers, others = chunk_numbers(ours, theirs)
        assert ours[-1] == theirs[-1] == len(text.encode())
        last = [one[np.append(np.diff(n) > 0, True)] for one, n in ((ours, numbers), (theirs, others))]
        assert last[0].tolist() == last[1].tolist()
        assert np.diff(last[0], prepend=0).sum() == len(text.encode())


def test_coverage_counts_what_was_aligned():
    # Student: ab|cd| e|f. Teacher: abc|d| |e|f. Chunks abcd, " e" and f of 4, 2 and 1 bytes.
    found = coverage(words_of("ab", "cd", " e"), words_of("abc", "e"), ["abcd ef", "f"])
    assert (found.texts, found.size, found.tokens, found.chunks) == (2, 8, (5, 6), 4)
    assert found.one_to_one == 2 / 5
    assert (found.longest, found.in_long, found.dropped) == (4, 0.0, 0)
    assert found.altered == (0.0, 0.0)


def test_coverage_says_how_much_a_tokenizer_alters_and_what_lies_in_long_chunks():
    found = coverage(wordpiece(500), words_of("x" * 40), ["Case\nmoves", "x" * 40])
    assert found.altered[0] == 1 / 3
    assert (found.longest, found.in_long, found.dropped) == (40, 40 / 50, 0)
