"""The bytes of tokens: the same word is the same bytes in every kind of vocabulary."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from limbeck.core.errors import ModelError
from limbeck.core.token_bytes import token_bytes
from tests.tiny import TEXTS, tiny_encoder_tokenizer, tiny_tokenizer

TEXT = "the cat — Ångström 🙂 sat\n\tdown"


def sentence_pieces(*, fallback=True):
    # As Llama's: spaces are written ▁, what no piece covers falls back to bytes.
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))] if fallback else ["<unk>"]
    words += ["▁", "▁the", "the", "cat"]
    scores = [(word, -float(place)) for place, word in enumerate(words)]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=0, byte_fallback=fallback))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def metaspace_pieces():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def joined(tokenizer, text):
    spelt = token_bytes(tokenizer)
    return b"".join(spelt[index] for index in tokenizer(text, add_special_tokens=False)["input_ids"])


def test_byte_level_tokens_joined_are_the_text():
    assert joined(tiny_tokenizer(), TEXT) == TEXT.encode()


def test_a_token_with_a_leading_space_holds_the_space():
    tokenizer = tiny_tokenizer()
    assert token_bytes(tokenizer)[tokenizer.convert_tokens_to_ids("Ġthe")] == b" the"


def test_pieces_that_fall_back_to_bytes_joined_are_the_text_after_a_space():
    assert joined(sentence_pieces(), TEXT) == b" " + TEXT.encode()


def test_a_piece_that_looks_like_a_byte_is_its_spelling_where_nothing_falls_back():
    tokenizer = sentence_pieces(fallback=False)
    tokenizer.add_tokens(["<0x41>"])
    assert token_bytes(tokenizer)[tokenizer.convert_tokens_to_ids("<0x41>")] == b"<0x41>"


def test_metaspace_pieces_joined_are_the_text_after_a_space():
    assert joined(metaspace_pieces(), TEXTS[0]) == b" " + TEXTS[0].encode()


def test_word_pieces_start_with_a_space_and_continue_without():
    tokenizer = tiny_encoder_tokenizer()
    spelt, ids = token_bytes(tokenizer), tokenizer.get_vocab()
    assert (spelt[ids["cat"]], spelt[ids["##s"]]) == (b" cat", b"s")


def test_a_plain_vocabulary_stands_for_its_spelling():
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "cat": 1, "Ġthe": 2}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    assert token_bytes(wrapped) == [b"", b"cat", "Ġthe".encode()]


def test_special_tokens_stand_for_no_bytes_and_added_words_for_their_text():
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<tool>"], special_tokens=True)
    tokenizer.add_tokens(["    "])
    spelt, ids = token_bytes(tokenizer), tokenizer.get_vocab()
    assert spelt[:4] == [b"", b"", b"", b""]
    assert (spelt[ids["<tool>"]], spelt[ids["    "]]) == (b"", b"    ")


def test_every_byte_has_a_letter_of_its_own():
    tokenizer = tiny_tokenizer()
    assert {spelt for spelt in token_bytes(tokenizer) if len(spelt) == 1} == {
        bytes([byte]) for byte in range(256)
    }


def test_refuses_a_tokenizer_without_parts():
    class Slow:
        is_fast = False

    with pytest.raises(ModelError, match="must be a fast one"):
        token_bytes(Slow())
