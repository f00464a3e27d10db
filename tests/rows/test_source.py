"""Batches: targets aligned by hand, and packs that a real model reads like padded rows."""

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, BloomConfig, OPTConfig

from limbeck.core.errors import ConfigError
from limbeck.core.masks import IGNORE
from limbeck.rows.packable import reads_packs
from limbeck.rows.render import Rendering, render
from limbeck.rows.source import PackedSource, PaddedSource
from tests.rows.letters import letter_tokenizer
from tests.tiny import tiny_encoder_tokenizer, tiny_gpt2, tiny_llama

END, PAD = 2, 0
CAUSAL = Rendering("causal", max_length=16)
ATOL = 1e-5


def rows_of(*rows):
    return Dataset.from_list([{**row, "id": f"r{i}"} for i, row in enumerate(rows)])


@pytest.fixture(scope="module")
def texts(letters):
    """Rows of 4, 3 and 2 tokens, end included."""
    return render(rows_of({"text": "abc"}, {"text": "de"}, {"text": "f"}), letters, CAUSAL)


def test_padded_targets_are_the_next_token_and_nothing_at_padding(texts):
    batch = PaddedSource(texts, CAUSAL, PAD).batch([0, 2])
    assert batch.inputs["input_ids"].tolist() == [[7, 8, 9, END], [12, END, PAD, PAD]]
    assert batch.inputs["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch.targets.tolist() == [[8, 9, END, IGNORE], [END, IGNORE, IGNORE, IGNORE]]
    assert batch.row_ids == [["r0"], ["r2"]]
    assert batch.targets.dtype == torch.int64


def test_the_end_is_a_target_even_when_it_also_pads(texts):
    assert PaddedSource(texts, CAUSAL, pad_id=END).batch([0, 2]).targets.tolist() == [
        [8, 9, END, IGNORE],
        [END, IGNORE, IGNORE, IGNORE],
    ]


def test_a_prompt_is_no_target_and_the_first_answer_token_is(letters):
    rendered = render(rows_of({"prompt": "a ", "completion": "bc"}), letters, CAUSAL)
    assert PaddedSource(rendered, CAUSAL, PAD).batch([0]).targets.tolist() == [[IGNORE, 8, 9, END, IGNORE]]


def test_no_position_of_a_pack_predicts_the_next_row(texts):
    source = PackedSource(texts, CAUSAL, max_length=7, seed=0)
    source.packs = [[0, 1], [2]]
    source.lengths = [7, 2]
    batch = source.batch([0, 1])
    assert batch.inputs["input_ids"].tolist() == [[7, 8, 9, END, 10, 11, END], [12, END, 0, 0, 0, 0, 0]]
    assert batch.inputs["position_ids"].tolist() == [[0, 1, 2, 3, 0, 1, 2], [0, 1, 0, 0, 0, 0, 0]]
    assert batch.targets.tolist() == [
        [8, 9, END, IGNORE, 11, END, IGNORE],
        [END, IGNORE, IGNORE, IGNORE, IGNORE, IGNORE, IGNORE],
    ]
    assert "attention_mask" not in batch.inputs
    assert batch.row_ids == [["r0", "r1"], ["r2"]]


def test_packs_tell_padding_from_tokens_even_behind_rows_of_one_token():
    # Positions cannot: padding has position 0, as has the first token of each row.
    rows = [[5, 6, 7, 8, 9], [5, 6, 7], [8]]
    given = [{"row_id": str(n), "input_ids": ids, "is_target": [1] * len(ids)} for n, ids in enumerate(rows)]
    batch = PackedSource(Dataset.from_list(given), CAUSAL, max_length=5, seed=0).batch([0, 1])
    assert sorted(batch.attention_mask.sum(1).tolist()) == [4, 5]
    assert batch.tokens == 9
    read = batch.attention_mask.bool()
    assert (batch.inputs["input_ids"][read] > 0).all()
    assert batch.inputs["input_ids"][~read].tolist() == [0]


def test_packs_hold_every_row_once_within_the_length(texts):
    source = PackedSource(texts, CAUSAL, max_length=6, seed=0)
    assert sorted(row for pack in source.packs for row in pack) == [0, 1, 2]
    assert sorted(source.lengths) == [3, 6]
    assert len(source) == 2


@pytest.mark.parametrize("packed", [False, True])
def test_groups_are_those_of_the_predicted_tokens(letters, packed):
    rendering = Rendering("causal", 16, task="two_task", predict_prefix="p", explain_prefix="e")
    rendered = render(rows_of({"question": "q", "answer": "a", "rationale": "bc"}), letters, rendering)
    # Label row: p q \n a end (5 tokens); rationale row: e q \n b c end (6 tokens).
    if packed:
        source = PackedSource(rendered, rendering, max_length=11, seed=0)
        source.packs = [[0, 1]]
        batch = source.batch([0])
        expected = [[*[IGNORE] * 2, 0, 0, IGNORE, *[IGNORE] * 2, 1, 1, 1, IGNORE]]
    else:
        batch = PaddedSource(rendered, rendering, PAD).batch([0, 1])
        expected = [[IGNORE, IGNORE, 0, 0, IGNORE, IGNORE], [IGNORE, IGNORE, 1, 1, 1, IGNORE]]
    assert batch.groups.tolist() == expected
    assert torch.equal(batch.groups == IGNORE, batch.targets == IGNORE)
    assert batch.group_names == ("label", "rationale")


def test_seq2seq_decoders_read_the_targets_one_later():
    rendering = Rendering("seq2seq", 16)
    rows = rows_of({"prompt": "ab", "completion": "cd"}, {"prompt": "a", "completion": "c"})
    rendered = render(rows, letter_tokenizer(closing=True), rendering)
    batch = PaddedSource(rendered, rendering, PAD, decoder_start_id=PAD).batch([0, 1])
    assert batch.inputs["input_ids"].tolist() == [[7, 8, END], [7, END, PAD]]
    assert batch.targets.tolist() == [[9, 10, END], [9, END, IGNORE]]
    assert batch.inputs["decoder_input_ids"].tolist() == [[PAD, 9, 10], [PAD, 9, END]]
    assert batch.tokens == 5 + 5


def test_seq2seq_without_a_start_token_is_refused(letters):
    rendering = Rendering("seq2seq", 16)
    rendered = render(rows_of({"prompt": "a", "completion": "b"}), letters, rendering)
    with pytest.raises(ConfigError, match="decoder_start_id must be given"):
        PaddedSource(rendered, rendering, PAD)


def test_classifiers_have_one_target_a_row_and_token_types():
    rendering = Rendering("classifier", 16, label_names=("no", "yes"))
    pairs = ({"text_a": "a", "text_b": text, "label": label} for text, label in (("b c", "yes"), ("b", "no")))
    batch = PaddedSource(render(rows_of(*pairs), tiny_encoder_tokenizer(), rendering), rendering, PAD).batch(
        [0, 1]
    )
    assert batch.targets.tolist() == [1, 0]
    assert batch.inputs["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0]]
    assert batch.groups is None


def test_encoders_have_no_targets():
    rendering = Rendering("encoder", 16)
    rendered = render(rows_of({"text": "a b"}), tiny_encoder_tokenizer(), rendering)
    batch = PaddedSource(rendered, rendering, PAD).batch([0])
    assert batch.targets is None
    assert set(batch.inputs) == {"input_ids", "attention_mask"}


def test_packing_is_refused_for_other_models_than_causal():
    rendering = Rendering("encoder", 16)
    rendered = render(rows_of({"text": "a"}), tiny_encoder_tokenizer(), rendering)
    with pytest.raises(ConfigError, match="packing must be off for encoder models"):
        PackedSource(rendered, rendering, max_length=16, seed=0)


def test_sources_read_a_selection_in_its_order(texts):
    batch = PaddedSource(texts.select([2, 0]), CAUSAL, PAD).batch([0])
    assert batch.row_ids == [["r2"]]
    assert batch.inputs["input_ids"].tolist() == [[12, END]]


def test_sources_read_a_slice_from_its_own_start(texts):
    batch = PaddedSource(texts.select(range(1, 3)), CAUSAL, PAD).batch([0, 1])
    assert batch.inputs["input_ids"].tolist() == [[10, 11, END], [12, END, PAD]]


def test_no_rows_make_an_empty_source(texts):
    assert len(PaddedSource(texts.select([]), CAUSAL, PAD)) == 0
    assert len(PackedSource(texts.select([]), CAUSAL, 16, seed=0)) == 0


def test_fingerprints_change_with_tokens_choices_and_packs(texts, letters):
    other = render(rows_of({"text": "abd"}, {"text": "de"}, {"text": "f"}), letters, CAUSAL)
    prints = [
        PaddedSource(texts, CAUSAL, PAD).fingerprint(),
        PaddedSource(other, CAUSAL, PAD).fingerprint(),
        PaddedSource(texts, Rendering("causal", 17), PAD).fingerprint(),
        PaddedSource(texts, CAUSAL, END).fingerprint(),
        PackedSource(texts, CAUSAL, 6, seed=0).fingerprint(),
        PackedSource(texts, CAUSAL, 9, seed=0).fingerprint(),
    ]
    assert len(set(prints)) == len(prints)
    assert PaddedSource(texts, CAUSAL, PAD).fingerprint() == prints[0]


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2])
@pytest.mark.parametrize("training", [False, True])
def test_a_model_reads_packs_as_it_reads_padded_rows(letters, make, training):
    words = ["abcdefghij", "klm", "nopqrstu", "v", "wxyzabcdefgh", "ij", "klmnop"]
    rendered = render(rows_of(*({"text": word} for word in words)), letters, CAUSAL)
    padded, packed = (
        PaddedSource(rendered, CAUSAL, PAD),
        PackedSource(rendered, CAUSAL, 16, seed=1, pad_id=PAD),
    )
    assert any(len(pack) > 1 for pack in packed.packs)
    assert len(set(packed.lengths)) > 1  # so that some packs end in padding
    model = make()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.train(training)
    assert model.config._attn_implementation == "sdpa"
    with torch.no_grad():
        alone = model(**padded.batch(range(len(words))).inputs, use_cache=False).logits
        batch = packed.batch(range(len(packed)))
        together = model(**batch.inputs, use_cache=False).logits
    assert torch.isfinite(together).all()
    for line, pack in enumerate(packed.packs):
        start = 0
        for row in pack:
            size = padded.lengths[row]
            torch.testing.assert_close(
                together[line, start : start + size], alone[row, :size], atol=ATOL, rtol=0
            )
            start += size


def test_learnt_tokens_are_the_same_packed_and_padded(letters):
    rows = rows_of(
        *({"prompt": f"{letter} ", "completion": letter * n} for n, letter in enumerate("abcde", 1))
    )
    rendered = render(rows, letters, CAUSAL)
    padded = PaddedSource(rendered, CAUSAL, PAD).batch(range(5))
    source = PackedSource(rendered, CAUSAL, 16, seed=0)
    packed = source.batch(range(len(source)))
    assert sorted(packed.targets[packed.loss_mask].tolist()) == sorted(
        padded.targets[padded.loss_mask].tolist()
    )


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2])
def test_models_that_keep_rows_apart_are_recognised(make):
    assert reads_packs(make(), vocabulary=60)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_models_that_mix_rows_are_recognised_in_any_precision(dtype):
    opt = OPTConfig(
        vocab_size=60, hidden_size=32, ffn_dim=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64, word_embed_proj_dim=32,
    )  # fmt: skip
    for config in (opt, BloomConfig(vocab_size=60, hidden_size=32, n_layer=2, n_head=4)):
        torch.manual_seed(0)
        assert not reads_packs(AutoModelForCausalLM.from_config(config).to(dtype), vocabulary=60)
