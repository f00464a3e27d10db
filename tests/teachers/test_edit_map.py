"""The nearest spelling: by hand, ties, tokens without a spelling, and maps that are kept."""

from pathlib import Path

import pytest
import torch

from limbeck.core.errors import VocabularyError
from limbeck.teachers import edit_map as module
from limbeck.teachers.edit_map import edit_map

TEACHER = [b"", b" house", b"hose", b" the", b"mouse", b"a", b"b"]


def found(*tokens: bytes, teacher: list[bytes] = TEACHER) -> list[int]:
    return edit_map(list(tokens), teacher).tolist()


def test_the_nearest_spelling_by_hand():
    # "house" is one letter from " house", "hose" and "mouse"; of these only "mouse" is as long.
    assert found(b"house", b" then", b" he", b"horse") == [4, 3, 3, 2]


def test_an_identical_token_wins_and_the_lowest_of_equals():
    assert found(b" the", b"b", b"a", teacher=[b"x", b" the", b" the", b"a", b"b"]) == [1, 4, 3]
    assert found(b"q", teacher=[b"zz", b"y", b"x"]) == [1]


def test_shorter_stands_before_longer():
    assert found(b"ab", teacher=[b"abc", b"a"]) == [1]


def test_tokens_without_a_spelling_are_no_ones_neighbours():
    assert found(b"", b"z") == [-1, 5]


def test_bytes_that_are_no_text_are_compared():
    assert found(b"\xe2\x96\x82", b"\xff", teacher=[b"\xe2\x96\x81", b"\xfe\xfe\xfe", b"ab"]) == [0, 2]


def test_one_vocabulary_is_its_own_map():
    tokens = [bytes([a, b]) for a in range(20) for b in range(20)]
    assert torch.equal(edit_map(tokens, tokens), torch.arange(400))


def test_equals_a_search_through_everything():
    random = torch.Generator().manual_seed(0)

    def tokens(count: int) -> list[bytes]:
        lengths = torch.randint(1, 9, (count,), generator=random).tolist()
        return [bytes(torch.randint(97, 101, (n,), generator=random).tolist()) for n in lengths]

    def distance(a: bytes, b: bytes) -> int:
        row = list(range(len(b) + 1))
        for i, left in enumerate(a, 1):
            above, row[0] = row[0], i
            for j, right in enumerate(b, 1):
                above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (left != right))
        return row[-1]

    student, teacher = tokens(60), tokens(80)

    def rank(mine: bytes, place: int) -> tuple[int, int, int, int]:
        other = teacher[place]
        return distance(mine, other), abs(len(mine) - len(other)), len(other), place

    expected = [min(range(80), key=lambda place, mine=mine: rank(mine, place)) for mine in student]
    assert found(*student, teacher=teacher) == expected


def test_a_kept_map_is_read_and_another_vocabulary_has_another(tmp_path: Path, monkeypatch):
    first = edit_map([b"house"], TEACHER, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(module, "_map", lambda *_: pytest.fail("the map was made again"))
    assert torch.equal(edit_map([b"house"], TEACHER, cache=tmp_path), first)
    with pytest.raises(pytest.fail.Exception):
        edit_map([b"horse"], TEACHER, cache=tmp_path)


def test_a_teacher_without_spellings_is_refused():
    with pytest.raises(VocabularyError, match="must have a token with a spelling"):
        edit_map([b"a"], [b"", b""])
