"""Which tokenizers share ids: small ones that differ in one thing each."""

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from limbeck.core.errors import VocabularyError
from limbeck.teachers import shared_vocabulary
from limbeck.teachers.vocabulary import moved_tokens, same_ids
from tests.tiny import VOCABULARY, tiny_encoder_tokenizer, tiny_tokenizer

WORDS = ["<unk>", "the", "cat", "dog", "sat", "The", "fox", "quick"]


def words(tokens=WORDS, *, normalizer=None, pre_tokenizer=None):
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizer or pre_tokenizers.Whitespace()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def with_added(*tokens):
    tokenizer = words()
    tokenizer.add_tokens(list(tokens), special_tokens=True)
    return tokenizer


def test_differently_padded_heads_of_one_tokenizer_share_its_ids():
    shared = shared_vocabulary(tiny_tokenizer(), tiny_tokenizer(), VOCABULARY + 16, VOCABULARY + 64)
    assert (shared.size, shared.overlap) == (VOCABULARY, 1.0)
    assert shared.note == "same tokenizer, 320 ids; padding of the heads is cut off (336 and 384 columns)"


def test_heads_without_padding_have_nothing_to_cut():
    assert shared_vocabulary(words(), words(), 8, 8).note == "same tokenizer, 8 ids"


def test_every_id_that_either_tokenizer_can_emit_is_inside():
    plain, chat = words(), with_added("<|user|>", "<|end|>")
    for student, teacher in ((plain, chat), (chat, plain), (chat, chat)):
        assert shared_vocabulary(student, teacher, 16, 12).size == 10
    note = shared_vocabulary(plain, chat, 16, 12).note
    assert "2 added tokens are known to one side only ('<|end|>', '<|user|>')" in note
    assert shared_vocabulary(plain, chat, 16, 12).overlap == 8 / 10


def test_a_head_without_a_column_for_an_id_is_refused():
    with pytest.raises(
        VocabularyError, match=r"the student's head .* up to 9 \('<\|end\|>'\), got 8 columns"
    ):
        shared_vocabulary(words(), with_added("<|user|>", "<|end|>"), 8, 16)
    with pytest.raises(VocabularyError, match=r"the teacher's head .* got 7 columns"):
        shared_vocabulary(words(), words(), 8, 7)


def test_equal_sizes_with_other_ids_are_refused_with_the_first_three_tokens():
    swapped = ["<unk>", "cat", "the", "sat", "dog", "The", "fox", "quick"]
    with pytest.raises(VocabularyError) as error:
        shared_vocabulary(words(), words(swapped), 8, 8)
    assert "'the' (1 and 2), 'cat' (2 and 1), 'dog' (3 and 4); both have 8 tokens" in str(error.value)
    assert "100.0% of the student's tokens exist at the teacher, 50.0% of all have the same id" in str(
        error.value
    )


def test_a_permutation_is_told_from_another_vocabulary():
    swapped = ["<unk>", "cat", "the", "sat", "dog", "The", "fox", "quick"]
    assert moved_tokens(words(), words(swapped)) == 0.5
    assert moved_tokens(words(), words()) is None
    assert moved_tokens(words(), words([*WORDS[:7], "slow"])) is None
    assert same_ids(words(), with_added("<|user|>"))
    assert not same_ids(words(), words(swapped))


def test_a_token_under_the_id_of_another_is_refused():
    with pytest.raises(VocabularyError, match=r"'quick' \(7 and none\)"):
        shared_vocabulary(words(), words([*WORDS[:7], "slow"]), 8, 8)


def test_two_different_added_tokens_under_one_id_are_refused():
    with pytest.raises(VocabularyError, match=r"'<\|user\|>' \(8 and none\)"):
        shared_vocabulary(with_added("<|user|>"), with_added("<|system|>"), 16, 16)


def test_more_ordinary_tokens_are_another_tokenizer_even_where_the_ids_agree():
    with pytest.raises(VocabularyError, match="got 8 and 9 tokens of different tokenizers"):
        shared_vocabulary(words(), words([*WORDS, "jumps"]), 16, 16)


def test_different_tokenizers_are_refused_with_their_overlap():
    with pytest.raises(
        VocabularyError, match=r"% of the student's tokens exist.*limbeck run alm; limbeck doctor"
    ):
        shared_vocabulary(tiny_tokenizer(), tiny_encoder_tokenizer(), 320, 320)


def test_the_same_tokens_behind_another_normalizer_are_refused_by_its_name():
    with pytest.raises(VocabularyError, match=r"for plain words .* but they differ in normalizer\."):
        shared_vocabulary(words(), words(normalizer=normalizers.Lowercase()), 8, 8)


def test_the_same_tokens_behind_another_pre_tokenizer_are_refused_by_its_name():
    by_spaces = words(pre_tokenizer=pre_tokenizers.WhitespaceSplit())
    with pytest.raises(VocabularyError, match=r"but they differ in pre_tokenizer\."):
        shared_vocabulary(words(), by_spaces, 8, 8)


def test_digits_cut_one_by_one_are_another_tokenizer():
    digits = tiny_tokenizer()
    backend = digits.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(" ", "merged_with_previous"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    with pytest.raises(VocabularyError, match="they differ in pre_tokenizer"):
        shared_vocabulary(tiny_tokenizer(), digits, 320, 320)
