"""The reader against what transformers itself returns, and against projections written out by hand."""

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    CohereForCausalLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaForCausalLM,
    MptConfig,
    RecurrentGemmaConfig,
)

from limbeck.core.errors import ModelError
from limbeck.core.forward_model import ForwardModel, project
from limbeck.core.needs import DISTRIBUTION, NOTHING, at
from tests.tiny import (
    BOS,
    EOS,
    PAD,
    VOCABULARY,
    random_ids,
    seeded,
    tiny_bart,
    tiny_bert,
    tiny_classifier,
    tiny_gpt2,
    tiny_llama,
    tiny_masked_bert,
    tiny_t5,
)

SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.2,
    "pad_token_id": PAD,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
}


def tiny_gemma2():
    # A cap of 1 bends these logits strongly, so that a forgotten cap cannot pass.
    return seeded(Gemma2ForCausalLM, Gemma2Config(**SIZES, head_dim=8, final_logit_softcapping=1.0), 0)


def tiny_granite():
    return seeded(GraniteForCausalLM, GraniteConfig(**SIZES, logits_scaling=8.0), 0)


def tiny_cohere():
    return seeded(CohereForCausalLM, CohereConfig(**SIZES, logit_scale=0.0625), 0)


def inputs_for(model, ids):
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids.flip(1)
    return inputs


LINEAR_HEADS = [
    tiny_llama,
    tiny_gpt2,
    tiny_gemma2,
    tiny_granite,
    tiny_cohere,
    tiny_t5,
    lambda: tiny_t5(tie_word_embeddings=False),
    tiny_bart,
]
NAMES = ["llama", "gpt2", "gemma2", "granite", "cohere", "t5", "t5 untied", "bart"]


@torch.no_grad()
@pytest.mark.parametrize("build", LINEAR_HEADS, ids=NAMES)
def test_projected_hidden_states_are_the_models_own_logits(build):
    model = build()
    inputs = inputs_for(model, random_ids(2, 7))
    reader = ForwardModel(model).probe()
    answer = reader.read(inputs, DISTRIBUTION)
    assert reader.projects and answer.logits is None
    torch.testing.assert_close(
        project(answer.hidden, answer.head), model(**inputs).logits, atol=1e-5, rtol=1e-4
    )


@torch.no_grad()
def test_a_bias_on_the_logits_outside_the_head_is_not_lost():
    model = tiny_bart()
    model.final_logits_bias.copy_(torch.linspace(-1, 1, VOCABULARY)[None])
    inputs = inputs_for(model, random_ids(2, 7))
    reader = ForwardModel(model).probe()
    answer = reader.read(inputs, DISTRIBUTION)
    logits = answer.logits if answer.logits is not None else project(answer.hidden, answer.head)
    torch.testing.assert_close(logits, model(**inputs).logits, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_bias_in_a_column_of_the_head_alone_is_not_lost():
    # BART's final_logits_bias often is -inf or 0; one column differs.
    model = tiny_bart()
    model.final_logits_bias[0, 17] = 3.0
    inputs = inputs_for(model, random_ids(2, 7))
    answer = ForwardModel(model).probe().read(inputs, DISTRIBUTION)
    logits = answer.logits if answer.logits is not None else project(answer.hidden, answer.head)
    torch.testing.assert_close(logits, model(**inputs).logits, atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("build", [tiny_masked_bert, tiny_classifier])
def test_heads_that_are_more_than_linear_give_logits_instead(build):
    model = build()
    inputs = inputs_for(model, random_ids(2, 7))
    reader = ForwardModel(model).probe()
    answer = reader.read(inputs, DISTRIBUTION)
    assert not reader.projects and answer.hidden is None and answer.head is None
    torch.testing.assert_close(answer.logits, model(**inputs).logits)


@torch.no_grad()
def test_probing_leaves_mode_and_random_state_as_they_were():
    model = tiny_llama(attention_dropout=0.5).train()
    before = torch.random.get_rng_state()
    assert ForwardModel(model).probe().projects
    assert model.training
    assert torch.equal(before, torch.random.get_rng_state())


@torch.no_grad()
@pytest.mark.parametrize("build", [tiny_llama, tiny_masked_bert], ids=["projected", "dense"])
def test_columns_of_a_padded_vocabulary_are_cut(build):
    model, shared = build(), VOCABULARY - 20
    inputs = inputs_for(model, random_ids(2, 7, vocab=shared))
    answer = ForwardModel(model, shared).probe().read(inputs, DISTRIBUTION)
    logits = answer.logits if answer.logits is not None else project(answer.hidden, answer.head)
    expected = model(**inputs).logits[..., :shared]
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_class_scores_are_never_cut():
    model = tiny_classifier(classes=5)
    assert ForwardModel(model, 3).probe().read(
        inputs_for(model, random_ids(2, 7)), DISTRIBUTION
    ).logits.shape == (
        2,
        5,
    )


@torch.no_grad()
@pytest.mark.parametrize("build", [tiny_llama, tiny_gpt2, tiny_bert, tiny_t5, tiny_bart, tiny_classifier])
@pytest.mark.parametrize("distribution", [False, True])
def test_states_are_counted_from_the_first_layer_and_from_the_last(build, distribution):
    model = build(layers=3)
    # A bare encoder has no distribution.
    scores = DISTRIBUTION if distribution and build is not tiny_bert else NOTHING
    inputs = inputs_for(model, random_ids(2, 7))
    answer = ForwardModel(model).probe().read(inputs, scores | at("states", 0, 1, -1))
    direct = model(**inputs, output_hidden_states=True)
    states = direct.decoder_hidden_states if model.config.is_encoder_decoder else direct.hidden_states
    assert len(states) == 4  # the embeddings and three layers
    torch.testing.assert_close(answer.taps["states", 0], states[1])
    torch.testing.assert_close(answer.taps["states", 1], states[2])
    torch.testing.assert_close(answer.taps["states", -1], states[-1])


def test_a_layer_the_model_does_not_have_is_named():
    model = tiny_llama()
    with pytest.raises(ModelError, match="between -2 and 1, got 2"):
        ForwardModel(model).read(inputs_for(model, random_ids(1, 4)), at("states", 2))
    with pytest.raises(ModelError, match="between -2 and 1, got -3"):
        ForwardModel(model).read(inputs_for(model, random_ids(1, 4)), at("qkv", -3))


@torch.no_grad()
@pytest.mark.parametrize("layer", [0, 1, -1])
def test_attention_inputs_of_llama_are_its_projections_of_the_normed_state(layer):
    model = tiny_llama()
    inputs = inputs_for(model, random_ids(2, 7))
    qkv = ForwardModel(model).probe().read(inputs, DISTRIBUTION | at("qkv", layer)).taps["qkv", layer]
    block = model.model.layers[layer]
    entering = model(**inputs, output_hidden_states=True).hidden_states[range(2)[layer]]
    normed = entering * (entering.pow(2).mean(-1, keepdim=True) + model.config.rms_norm_eps).rsqrt()
    normed = normed * block.input_layernorm.weight
    for got, projection in zip(
        qkv, (block.self_attn.q_proj, block.self_attn.k_proj, block.self_attn.v_proj), strict=True
    ):
        torch.testing.assert_close(got, normed @ projection.weight.T, atol=1e-5, rtol=1e-4)
    assert qkv.queries.shape == (2, 7, 32) and qkv.keys.shape == qkv.values.shape == (2, 7, 16)


@torch.no_grad()
@pytest.mark.parametrize("build", [tiny_bert, tiny_masked_bert, tiny_classifier])
def test_attention_inputs_of_bert_are_its_projections_of_the_state(build):
    model = build()
    inputs = inputs_for(model, random_ids(2, 7))
    needs = (DISTRIBUTION if build is not tiny_bert else NOTHING) | at("qkv", 1)
    qkv = ForwardModel(model).probe().read(inputs, needs).taps["qkv", 1]
    attention = model.base_model.encoder.layer[1].attention.self
    entering = model(**inputs, output_hidden_states=True).hidden_states[1]
    for got, linear in zip(qkv, (attention.query, attention.key, attention.value), strict=True):
        torch.testing.assert_close(got, entering @ linear.weight.T + linear.bias, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_reading_attention_inputs_leaves_no_hooks_behind():
    model = tiny_bert()
    ForwardModel(model).read(inputs_for(model, random_ids(1, 4)), at("qkv", 0, 1))
    assert not any(module._forward_hooks for module in model.modules())


@torch.no_grad()
@pytest.mark.parametrize("build", [tiny_llama, tiny_gpt2])
def test_packed_rows_read_as_they_do_alone(build):
    model = build()
    rows = [random_ids(1, length, seed=length) for length in (5, 3, 6)]
    packed = {
        "input_ids": torch.cat(rows, 1),
        "position_ids": torch.cat([torch.arange(row.shape[1]) for row in rows])[None],
    }
    reader = ForwardModel(model).probe()
    needs = DISTRIBUTION | at("states", 0, -1)
    together = reader.read(packed, needs)
    alone = [reader.read({"input_ids": row}, needs) for row in rows]
    hidden = torch.cat([answer.hidden for answer in alone], 1)
    torch.testing.assert_close(together.hidden, hidden, atol=1e-5, rtol=1e-4)
    for layer in (0, -1):
        states = torch.cat([answer.taps["states", layer] for answer in alone], 1)
        torch.testing.assert_close(together.taps["states", layer], states, atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("build", [tiny_llama, tiny_bert, tiny_t5])
def test_padding_on_the_right_changes_nothing(build):
    model = build()
    ids = random_ids(1, 5)
    padded = torch.cat([ids, torch.full((1, 3), PAD)], 1)
    alone = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    beside = {"input_ids": padded, "attention_mask": (torch.arange(8) < 5).long()[None]}
    if model.config.is_encoder_decoder:
        alone["decoder_input_ids"] = beside["decoder_input_ids"] = random_ids(1, 4, seed=1)
    length = 4 if model.config.is_encoder_decoder else 5
    one, two = (ForwardModel(model).probe().read(inputs, at("states", -1)) for inputs in (alone, beside))
    torch.testing.assert_close(
        one.taps["states", -1], two.taps["states", -1][:, :length], atol=1e-5, rtol=1e-4
    )


def test_gradients_through_hidden_and_head_are_those_of_the_models_logits():
    inputs, gradients = {"input_ids": random_ids(2, 6)}, []
    for projected in (False, True):
        model = tiny_llama(tie_word_embeddings=True)
        answer = ForwardModel(model).probe().read(inputs, DISTRIBUTION)
        logits = project(answer.hidden, answer.head) if projected else model(**inputs).logits
        logits.log_softmax(-1)[..., 7].sum().backward()
        gradients.append(model.model.embed_tokens.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_adapters_are_read_with_their_model():
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(
        r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
    )
    plain = tiny_llama()
    inputs = inputs_for(plain, random_ids(2, 7))
    without = plain(**inputs).logits
    model = peft.get_peft_model(plain, config).eval()
    reader = ForwardModel(model).probe()
    answer = reader.read(inputs, DISTRIBUTION | at("qkv", 0))
    logits = project(answer.hidden, answer.head)
    assert reader.projects and not torch.allclose(logits, without, atol=1e-2)
    torch.testing.assert_close(logits, model(**inputs).logits, atol=1e-5, rtol=1e-4)
    assert answer.taps["qkv", 0].queries.shape == (2, 7, 32)


@torch.no_grad()
@pytest.mark.parametrize("layer", [0, 1])
def test_attention_inputs_include_the_adapters_correction(layer):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    adapted = peft.get_peft_model(tiny_llama(), config).eval()
    inputs = {"input_ids": random_ids(2, 7)}
    read = ForwardModel(adapted).read(inputs, at("qkv", layer)).taps["qkv", layer]
    merged = adapted.merge_and_unload()
    expected = ForwardModel(merged).read(inputs, at("qkv", layer)).taps["qkv", layer]
    torch.testing.assert_close(read.queries, expected.queries, atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("build", [tiny_llama, tiny_gemma2, tiny_t5], ids=["llama", "gemma2", "t5"])
def test_a_bfloat16_model_still_projects(build):
    model = build().to(torch.bfloat16)
    assert ForwardModel(model).probe().projects


@torch.no_grad()
def test_a_student_without_token_types_reads_a_batch_that_has_them():
    # DistilBERT shares BERT's tokenizer, whose batches carry token types.
    sizes = {"vocab_size": VOCABULARY, "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4}
    model = seeded(DistilBertForMaskedLM, DistilBertConfig(**sizes, dropout=0.0, attention_dropout=0.0), 0)
    ids = random_ids(2, 7)
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": torch.zeros_like(ids),
    }
    answer = ForwardModel(model).probe().read(inputs, DISTRIBUTION | at("states", -1) | at("qkv", 0))
    torch.testing.assert_close(answer.logits, model(ids, torch.ones_like(ids)).logits)


def test_a_head_with_a_bias_is_projected_with_it():
    model = tiny_llama()
    model.lm_head = nn.Linear(32, VOCABULARY, bias=True)
    nn.init.normal_(model.lm_head.bias)
    inputs = {"input_ids": random_ids(2, 6)}
    reader = ForwardModel(model, VOCABULARY - 5).probe()
    answer = reader.read(inputs, DISTRIBUTION)
    assert reader.projects
    expected = model(**inputs).logits[..., : VOCABULARY - 5]
    torch.testing.assert_close(project(answer.hidden, answer.head), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("build", [tiny_t5, tiny_bart])
def test_attention_of_a_seq2seq_model_is_that_of_the_decoder_on_itself(build):
    model = build()
    inputs = inputs_for(model, random_ids(1, 4))
    reader = ForwardModel(model)
    first = reader.read(inputs, at("qkv", 0)).taps["qkv", 0]
    assert torch.equal(reader.read(inputs, at("qkv", -2)).taps["qkv", -2].queries, first.queries)
    # Cross-attention reads keys from the encoder: they would have its length, here made different.
    shorter = {**inputs, "decoder_input_ids": inputs["decoder_input_ids"][:, :3]}
    assert reader.read(shorter, at("qkv", -1)).taps["qkv", -1].keys.shape[1] == 3
    with pytest.raises(ModelError, match="must lie between -2 and 1, got 2"):
        reader.read(inputs, at("qkv", 2))


def test_says_plainly_what_a_model_cannot_give():
    ids = {"input_ids": random_ids(1, 4)}
    with pytest.raises(ModelError, match="must have separate q, k and v projections, got GPT2LMHeadModel"):
        ForwardModel(tiny_gpt2()).read(ids, at("qkv", 0))
    with pytest.raises(ModelError, match="must have a head to give a distribution, got BertModel"):
        ForwardModel(tiny_bert()).read(ids, DISTRIBUTION)


class Bent(LlamaForCausalLM):
    """Caps its logits under a name that nobody knows; at logits of a few tenths that hardly shows."""

    cap = 1000.0

    def forward(self, *args, **kwargs):
        answer = super().forward(*args, **kwargs)
        answer.logits = self.cap * torch.tanh(answer.logits / self.cap)
        return answer


@pytest.mark.parametrize("cap", [8.0, 30.0, 1000.0])
def test_a_head_that_bends_at_large_logits_alone_is_seen(cap):
    model = seeded(Bent, tiny_llama(initializer_range=0.002).config, seed=0)
    model.cap = cap
    assert model(random_ids(1, 6)).logits.abs().max() < 0.1  # straight to within 1e-5
    assert not ForwardModel(model).probe().projects
    model.cap = 1e9
    assert ForwardModel(model).probe().projects


def test_a_soft_cap_by_another_name_is_known():
    config = RecurrentGemmaConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=3, intermediate_size=48, lru_width=32,
        num_attention_heads=2, num_key_value_heads=1, attention_window_size=32, logits_soft_cap=8.0,
    )  # fmt: skip
    reader = ForwardModel(seeded(AutoModelForCausalLM.from_config, config, seed=0)).probe()
    assert reader.projects and reader.head().softcap == 8.0


def test_a_scale_that_is_a_word_is_no_scale():
    config = MptConfig(
        vocab_size=VOCABULARY, d_model=32, n_layers=1, n_heads=4, logit_scale="inv_sqrt_d_model"
    )
    reader = ForwardModel(seeded(AutoModelForCausalLM.from_config, config, seed=0)).probe()
    assert reader.projects and reader.head().scale == 1.0


@pytest.mark.parametrize("build", [tiny_llama, tiny_gpt2, tiny_t5, tiny_bart])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_linear_heads_are_told_in_half_precision_too(build, dtype):
    # BART's bias on the logits is zero until it is trained.
    assert ForwardModel(build().to(dtype)).probe().projects
