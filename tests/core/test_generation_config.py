"""Generation settings of folders that plain transformers refuses to load or to save."""

import json

import pytest
from transformers import AutoModelForCausalLM, GenerationConfig

from limbeck.core.generation_config import exported_generation_config
from limbeck.core.models import load_model, save_model
from tests.tiny import EOS, PAD, tiny_llama, tiny_tokenizer


def folder(path, settings):
    tiny_llama(layers=1).save_pretrained(path)
    (path / "generation_config.json").write_text(json.dumps(settings))
    return path


@pytest.mark.parametrize(
    ("odd", "kept"),
    [
        ({"max_new_tokens": 0}, {}),
        ({"num_return_sequences": 3, "do_sample": False}, {"do_sample": False}),
        ({"max_length": 4, "max_new_tokens": -1}, {"max_length": 4}),
        ({"forced_bos_token_id": 7, "suppress_tokens": [7]}, {"forced_bos_token_id": 7}),
        ({"cache_implementation": "nonsense"}, {}),
    ],
)
def test_settings_that_transformers_refuses_do_not_keep_a_model_from_being_loaded(tmp_path, odd, kept):
    model = load_model(folder(tmp_path, {"eos_token_id": [EOS, 9], "pad_token_id": PAD} | odd), "causal")
    found = model.generation_config
    assert found.eos_token_id == [EOS, 9]
    for name in odd:
        assert getattr(found, name) == kept.get(name)


@pytest.mark.parametrize(
    ("odd", "kept"),
    [
        ({"do_sample": False, "temperature": 0.6, "top_p": 0.9}, {"do_sample": False}),
        ({"top_k": 20, "min_p": 0.1}, {}),
        ({"num_beams": 1, "early_stopping": True, "length_penalty": 0.5}, {"num_beams": 1}),
        ({"output_scores": True}, {}),
        ({"do_sample": True, "temperature": 0.6}, {"do_sample": True, "temperature": 0.6}),
        ({"num_beams": 4, "early_stopping": True}, {"num_beams": 4, "early_stopping": True}),
    ],
)
def test_a_student_is_saved_whatever_its_folder_had_and_keeps_what_has_an_effect(tmp_path, odd, kept):
    model = load_model(folder(tmp_path / "a", {"eos_token_id": 9} | odd), "causal")
    model.generation_config.eos_token_id = [9, 11]  # changed: transformers checks what it writes
    save_model(model, tiny_tokenizer(), tmp_path / "b")
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "b").generation_config
    assert found.eos_token_id == [EOS, 9, 11] and found.pad_token_id == PAD
    for name in odd:
        assert getattr(found, name) == kept.get(name)


def test_a_student_ends_where_its_chat_template_ends_a_turn():
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<end_of_turn>"]})
    tokenizer.chat_template = tokenizer.chat_template.replace("{{ eos_token }}", "<end_of_turn>")
    model = tiny_llama(layers=1)
    model.generation_config = given = GenerationConfig(eos_token_id=EOS, temperature=0.7, do_sample=True)
    found = exported_generation_config(model, tokenizer)
    assert found.eos_token_id == [EOS, tokenizer.convert_tokens_to_ids("<end_of_turn>")]
    assert (found.temperature, found.do_sample) == (0.7, True)
    assert given.eos_token_id == EOS


def test_one_end_is_saved_as_a_number():
    model = tiny_llama(layers=1)
    model.generation_config = GenerationConfig()
    assert exported_generation_config(model, tiny_tokenizer()).eos_token_id == EOS
