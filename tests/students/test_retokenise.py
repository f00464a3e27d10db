"""A model carried over to another tokenizer, by hand on six tokens and by identities."""

import copy

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedTokenizerFast,
)

from limbeck.core.errors import ModelError
from limbeck.core.models import save_model
from limbeck.students.byte_tokenizer import BOS_ID, EOS_ID, PAD_ID, byte_tokenizer
from limbeck.students.retokenise import retokenise, token_sources
from tests.tiny import TEXTS, tiny_bert, tiny_gpt2, tiny_llama, tiny_t5, tiny_tokenizer


def byte_level(tokens, merges=(), **special):
    tokenizer = Tokenizer(
        models.BPE(vocab={token: place for place, token in enumerate(tokens)}, merges=list(merges))
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def pieces(tokens, **special):
    tokenizer = Tokenizer(models.Unigram([(token, -float(place)) for place, token in enumerate(tokens)]))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def longest_vocabulary(tokenizer):
    return 1 + max(tokenizer.get_vocab().values())


def model_of(tokenizer, kind=tiny_llama, **config):
    return kind(vocab=longest_vocabulary(tokenizer), **config)


def logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def test_six_tokens_worked_out_by_hand():
    # Old: 0 </s>, 1 a, 2 b, 3 " " (Ġ), 4 ab, 5 " a". New, in the spelling of SentencePiece.
    old = byte_level(["</s>", "a", "b", "Ġ", "ab", "Ġa"], [("a", "b"), ("Ġ", "a")], eos_token="</s>")
    new = pieces(["<end>", "▁a", "ab", "abb", "▁ba", "z"], eos_token="<end>", pad_token="<end>")
    assert token_sources(old, new) == [[0], [5], [4], [4, 2], [3, 2, 1], []]
    model = model_of(old, pad_token_id=None, bos_token_id=None, eos_token_id=0)
    made = retokenise(model, old, new, seed=0)
    for before, after in (
        (model.get_input_embeddings(), made.get_input_embeddings()),
        (model.get_output_embeddings(), made.get_output_embeddings()),
    ):
        rows, got = before.weight.detach(), after.weight.detach()
        expected = torch.stack(
            [rows[0], rows[5], rows[4], (rows[4] + rows[2]) / 2, (rows[3] + rows[2] + rows[1]) / 3]
        )
        torch.testing.assert_close(got[:5], expected, atol=1e-6, rtol=0)
    ids = (
        made.config.vocab_size,
        made.config.eos_token_id,
        made.config.pad_token_id,
        made.config.bos_token_id,
    )
    assert ids == (6, 0, 0, None)
    assert made.generation_config.eos_token_id == 0


def test_a_spelling_that_stands_for_other_bytes_is_not_copied():
    old = byte_level(["</s>", "a", "Ġ", "Ġa"], [("Ġ", "a")], eos_token="</s>")
    assert token_sources(old, pieces(["</s>", "Ġa", "▁a"], eos_token="</s>")) == [[0], [], [3]]


def test_what_nothing_stands_for_is_drawn_with_mean_and_deviation_of_the_old_embeddings():
    old = byte_level(["</s>", "a"], eos_token="</s>")
    letters = [chr(place) for place in range(0x4E00, 0x4E00 + 4000)]
    new = pieces(["</s>", *letters], eos_token="</s>", pad_token="</s>")
    model = model_of(old, width=16, pad_token_id=None, bos_token_id=None, eos_token_id=0)
    with torch.no_grad():
        model.get_input_embeddings().weight[0] += 3
    drawn = retokenise(model, old, new, seed=0).get_input_embeddings().weight[1:]
    rows = model.get_input_embeddings().weight
    torch.testing.assert_close(drawn.mean(0), rows.mean(0), atol=0.15, rtol=0)
    torch.testing.assert_close(drawn.std(0), rows.std(0, correction=0), atol=0.15, rtol=0)
    again = retokenise(model, old, new, seed=0).get_input_embeddings().weight[1:]
    other = retokenise(model, old, new, seed=1).get_input_embeddings().weight[1:]
    assert torch.equal(drawn, again) and not torch.equal(drawn, other)


@pytest.mark.parametrize("kind", [tiny_llama, tiny_gpt2])
def test_the_same_tokenizer_changes_no_weight_and_no_logit(kind):
    tokenizer = tiny_tokenizer()
    model = model_of(tokenizer, kind)
    made = retokenise(model, tokenizer, copy.deepcopy(tokenizer), seed=0)
    assert {**made.config.to_dict(), "dtype": None} == model.config.to_dict()
    for (name, before), after in zip(model.state_dict().items(), made.state_dict().values(), strict=True):
        assert torch.equal(before, after), name
    ids = tokenizer(TEXTS[0])["input_ids"]
    assert torch.equal(logits(model, ids), logits(made, ids))


@pytest.mark.parametrize("kind", [tiny_llama, tiny_gpt2])
def test_other_ids_of_the_same_tokens_permute_the_logits(kind):
    letters = ["</s>", "a", "b", "c", "Ġ"]
    old = byte_level(letters, eos_token="</s>", pad_token="</s>")
    new = byte_level(letters[::-1], eos_token="</s>", pad_token="</s>")
    model = model_of(old, kind)
    made = retokenise(model, old, new, seed=0)
    text = "abc cab"
    before, after = (logits(one, t(text)["input_ids"]) for one, t in ((model, old), (made, new)))
    torch.testing.assert_close(after, before.flip(-1))


def test_tied_stays_tied_and_untied_stays_apart():
    tokenizer = tiny_tokenizer()
    for kind, tied in ((tiny_gpt2, True), (tiny_llama, False)):
        made = retokenise(model_of(tokenizer, kind), tokenizer, byte_tokenizer(), seed=0)
        same = made.get_input_embeddings().weight is made.get_output_embeddings().weight
        assert (same, made.get_input_embeddings().weight.shape[0]) == (tied, 259)


def test_the_bias_of_a_head_moves_with_its_rows():
    old = byte_level(["</s>", "a", "b"], eos_token="</s>", pad_token="</s>")
    new = byte_level(["</s>", "b", "a"], eos_token="</s>", pad_token="</s>")
    config = PhiConfig(
        vocab_size=3,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = PhiForCausalLM(config).eval()
    with torch.no_grad():
        model.lm_head.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    assert retokenise(model, old, new, seed=0).lm_head.bias.tolist() == [1.0, 3.0, 2.0]


def test_a_byte_student_keeps_the_embeddings_of_bytes_and_special_tokens():
    tokenizer = tiny_tokenizer()
    model = model_of(tokenizer)
    made = retokenise(model, tokenizer, byte_tokenizer(), seed=0)
    before, after = (one.get_input_embeddings().weight for one in (model, made))
    ids = tokenizer.get_vocab()
    for byte, token in ((0x61, "a"), (0x20, "Ġ"), (0x0A, "Ċ"), (0xE2, "â")):
        assert torch.equal(after[byte], before[ids[token]])
    for new, token in ((PAD_ID, "<pad>"), (BOS_ID, "<s>"), (EOS_ID, "</s>")):
        assert torch.equal(after[new], before[ids[token]])


def test_the_student_saved_and_loaded_by_plain_transformers_gives_the_same_logits(tmp_path):
    tokenizer = tiny_tokenizer()
    for kind in (tiny_llama, tiny_gpt2):
        made = retokenise(model_of(tokenizer, kind), tokenizer, byte_tokenizer(), seed=0)
        folder = save_model(made, byte_tokenizer(), tmp_path / kind.__name__)
        loaded, there = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        ids = there("the cat — 🙂")["input_ids"]
        assert ids == byte_tokenizer()("the cat — 🙂")["input_ids"]
        assert torch.equal(logits(made, ids), logits(loaded.eval(), ids))
        assert loaded.generation_config.eos_token_id == EOS_ID


def test_ids_of_bytes_are_the_bytes():
    tokenizer = byte_tokenizer()
    text = "\x00\n\tAé漢🙂\x7f"
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == list(text.encode())
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (
        PAD_ID,
        BOS_ID,
        EOS_ID,
    )


def test_every_text_comes_back_from_its_bytes(tmp_path):
    byte_tokenizer().save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x11000)]))
    for text in (every, "", "  two  spaces ,and\r\n ends ", *TEXTS):
        for tokenizer in (byte_tokenizer(), loaded):
            assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_refuses_models_without_a_head_and_of_two_stacks():
    tokenizer = tiny_tokenizer()
    for model, name in ((tiny_bert(), "BertModel"), (tiny_t5(), "T5ForConditionalGeneration")):
        with pytest.raises(ModelError, match=f"must be a causal one .* got {name}"):
            retokenise(model, tokenizer, byte_tokenizer(), seed=0)


def test_refuses_a_tokenizer_without_an_end():
    with pytest.raises(ModelError, match="new tokenizer must have an end token"):
        retokenise(tiny_llama(), tiny_tokenizer(), byte_level(["a"]), seed=0)


def test_refuses_a_tokenizer_larger_than_the_embedding():
    with pytest.raises(ModelError, match="must have a row for each of its tokenizer's"):
        retokenise(tiny_llama(vocab=100), tiny_tokenizer(), byte_tokenizer(), seed=0)
