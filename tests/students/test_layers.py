"""Cutting depth: the layers chosen, and the cut model against a forward pass that skips the others."""

import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    ModernBertConfig,
    ModernBertModel,
)

from limbeck.core.errors import ModelError
from limbeck.core.models import save_model
from limbeck.students import add_lora, evenly_spaced, keep_layers
from tests.tiny import (
    PAD,
    random_ids,
    seeded,
    tiny_bart,
    tiny_bert,
    tiny_classifier,
    tiny_gpt2,
    tiny_llama,
    tiny_t5,
)

LAYERS = 4
SIZES = {"vocab_size": 320, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}


def tiny_gemma2(*, layers):
    config = Gemma2Config(
        **SIZES, num_hidden_layers=layers, num_key_value_heads=2, head_dim=8, sliding_window=3
    )
    return seeded(Gemma2ForCausalLM, config, 0)


def tiny_gpt_neo(*, layers):
    kinds = [[["global", "local"], layers // 2]]
    config = GPTNeoConfig(
        vocab_size=320, hidden_size=32, num_layers=layers, attention_types=kinds, num_heads=4, window_size=3
    )
    return seeded(GPTNeoForCausalLM, config, 0)


MODELS = [tiny_llama, tiny_gpt2, tiny_gemma2, tiny_gpt_neo, tiny_bert, tiny_classifier, tiny_t5, tiny_bart]


@torch.no_grad()
def answer(model):
    ids = random_ids(2, 9)
    decoder = {"decoder_input_ids": ids.flip(1)} if model.config.is_encoder_decoder else {}
    return model(input_ids=ids, attention_mask=torch.ones_like(ids), **decoder)[0]


@pytest.mark.parametrize(
    ("teacher", "student", "expected"),
    [
        (12, 6, (0, 2, 4, 7, 9, 11)),  # DistilBERT's extract_distilbert.py
        (6, 3, (0, 2, 5)),
        (5, 3, (0, 2, 4)),
        (12, 4, (0, 4, 7, 11)),
        (24, 2, (0, 23)),
        (3, 3, (0, 1, 2)),
        (6, 1, (0,)),
    ],
)
def test_layers_are_spread_evenly_with_both_ends(teacher, student, expected):
    assert evenly_spaced(teacher, student) == expected


@pytest.mark.parametrize("student", [0, -1, 7])
def test_a_student_deeper_than_its_teacher_or_empty_is_refused(student):
    with pytest.raises(ModelError, match=f"between 1 and the teacher's 6, got {student}"):
        evenly_spaced(6, student)


@pytest.mark.parametrize("build", MODELS)
def test_keeping_all_layers_gives_the_same_outputs_bit_for_bit(build):
    model = build(layers=LAYERS)
    kept = keep_layers(model, range(LAYERS))
    assert kept is not model and torch.equal(answer(kept), answer(model))


@pytest.mark.parametrize("build", MODELS)
@pytest.mark.parametrize("keep", [(0, 2, 3), (1, 3)])
def test_a_cut_model_is_the_same_after_saving_and_loading(build, keep, tmp_path):
    student = keep_layers(build(layers=LAYERS), keep)
    save_model(student, None, tmp_path / "student")
    loaded = type(student).from_pretrained(tmp_path / "student")
    assert loaded.config.num_hidden_layers == len(keep)
    assert torch.equal(answer(loaded), answer(student))


@pytest.mark.parametrize(
    ("build", "layers_of"),
    [
        (tiny_llama, lambda model: model.model.layers),
        (tiny_gpt2, lambda model: model.transformer.h),
        (tiny_gemma2, lambda model: model.model.layers),
        (tiny_gpt_neo, lambda model: model.transformer.h),
        (tiny_bert, lambda model: model.encoder.layer),
        (tiny_classifier, lambda model: model.bert.encoder.layer),
    ],
)
@torch.no_grad()
def test_the_cut_model_is_the_teacher_with_the_other_layers_skipped(build, layers_of):
    teacher, keep = build(layers=LAYERS), (0, 3)
    student = answer(keep_layers(teacher, keep))
    for index, block in enumerate(layers_of(teacher)):
        if index not in keep:
            # A layer that hands on what it was given.
            block.register_forward_hook(
                lambda _module, args, output: (args[0], *output[1:]) if isinstance(output, tuple) else args[0]
            )
    torch.testing.assert_close(student, answer(teacher), atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("keep", [(0, 3), (1, 2)])
def test_a_cut_t5_keeps_the_position_bias_of_its_first_layer(keep):
    teacher = tiny_t5(layers=LAYERS)
    student = keep_layers(teacher, keep)
    for stack in ("encoder", "decoder"):
        old, new = getattr(teacher, stack).block, getattr(student, stack).block
        bias = old[0].layer[0].SelfAttention.relative_attention_bias.weight
        assert torch.equal(new[0].layer[0].SelfAttention.relative_attention_bias.weight, bias)
        for place, layer in enumerate(keep):
            kept, source = new[place].layer[-1].DenseReluDense, old[layer].layer[-1].DenseReluDense
            assert torch.equal(kept.wo.weight, source.wo.weight)
    # Zero what every skipped layer adds to the residual stream: the teacher is then the student.
    for stack in (teacher.encoder, teacher.decoder):
        for index, block in enumerate(stack.block):
            if index not in keep:
                for name, weight in block.named_parameters():
                    if name.endswith((".o.weight", ".wo.weight")):
                        weight.zero_()
    torch.testing.assert_close(answer(student), answer(teacher), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("build", [tiny_t5, tiny_bart])
def test_encoder_and_decoder_may_keep_different_layers(build, tmp_path):
    student = keep_layers(build(layers=LAYERS), (0, 1, 3), decoder_keep=(0,))
    save_model(student, None, tmp_path / "student")
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "student")
    assert torch.equal(answer(loaded), answer(student))
    block = ("T5Block", "BartEncoderLayer", "BartDecoderLayer")
    stacks = (loaded.get_encoder(), loaded.get_decoder())
    assert [sum(type(part).__name__ in block for part in stack.modules()) for stack in stacks] == [3, 1]


@pytest.mark.parametrize("build", MODELS)
def test_the_teacher_stays_as_it_was(build):
    teacher = build(layers=LAYERS)
    before, config = answer(teacher), teacher.config.to_dict()
    student = keep_layers(teacher, (0, 3))
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1.0)
    assert teacher.config.to_dict() == config
    assert torch.equal(answer(teacher), before)


def test_what_belongs_to_a_layer_in_the_configuration_goes_with_it():
    student = keep_layers(tiny_gemma2(layers=LAYERS), (0, 1, 3))
    assert student.config.layer_types == ["sliding_attention", "full_attention", "full_attention"]
    assert [layer.self_attn.layer_idx for layer in student.model.layers] == [0, 1, 2]
    neo = keep_layers(tiny_gpt_neo(layers=LAYERS), (1, 2, 3))
    assert neo.config.attention_layers == ["local", "global", "local"]


def test_a_cut_model_generates_with_and_without_its_cache_alike():
    student = keep_layers(tiny_llama(layers=LAYERS), (1, 3))
    options = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": PAD}
    cached = student.generate(random_ids(1, 4), **options)
    assert torch.equal(cached, student.generate(random_ids(1, 4), use_cache=False, **options))


def test_tied_weights_stay_tied_and_mode_and_dtype_stay():
    teacher = tiny_llama(layers=LAYERS, tie_word_embeddings=True).to(torch.bfloat16).train()
    student = keep_layers(teacher, (0, 3))
    assert student.lm_head.weight is student.model.embed_tokens.weight
    assert student.training and student.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ((0, 4, 9), r"keep must name layers between 0 and 3, got 4, 9\."),
        ((-1,), r"keep must name layers between 0 and 3, got -1\."),
        ((2, 1), r"keep must be ascending layers, each once, at least one, got \[2, 1\]"),
        ((1, 1), r"got \[1, 1\]"),
        ((), r"got \[\]"),
    ],
)
def test_impossible_layers_are_named(keep, message):
    with pytest.raises(ModelError, match=message):
        keep_layers(tiny_llama(layers=LAYERS), keep)


def test_decoder_layers_of_a_model_without_a_decoder_are_refused():
    with pytest.raises(ModelError, match="decoder_keep must be None for LlamaForCausalLM"):
        keep_layers(tiny_llama(), (0,), decoder_keep=(0,))
    with pytest.raises(ModelError, match=r"decoder_keep must name layers between 0 and 1, got 5\."):
        keep_layers(tiny_t5(), (0,), decoder_keep=(5,))


def test_architectures_whose_layers_cannot_be_cut_are_refused():
    shared = seeded(AlbertModel, AlbertConfig(**SIZES, embedding_size=16, num_hidden_layers=3), 0)
    with pytest.raises(ModelError, match="one list of 3 layers to cut, got 0 in AlbertModel"):
        keep_layers(shared, (0, 1))
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    first_is_special = seeded(ModernBertModel, ModernBertConfig(**SIZES, num_hidden_layers=3, **special), 0)
    assert keep_layers(first_is_special, (0, 2)).config.num_hidden_layers == 2
    with pytest.raises(ModelError, match=r"got weights without a place: layers\.0\.attn_norm\.weight"):
        keep_layers(first_is_special, (1, 2))


def test_adapters_must_be_merged_first():
    pytest.importorskip("peft")
    adapted = add_lora(tiny_llama(), r=2, alpha=4, dropout=0.0, target_modules=["q_proj"])
    with pytest.raises(ModelError, match=r"plain transformers model, got Peft.*Merge"):
        keep_layers(adapted, (0,))


@pytest.mark.parametrize(
    ("build", "auto"),
    [(tiny_llama, AutoModelForCausalLM), (tiny_classifier, AutoModelForSequenceClassification)],
)
def test_plain_auto_classes_load_the_student(build, auto, tmp_path):
    student = keep_layers(build(layers=LAYERS), evenly_spaced(LAYERS, 2))
    save_model(student, None, tmp_path / "student")
    assert torch.equal(answer(auto.from_pretrained(tmp_path / "student")), answer(student))
