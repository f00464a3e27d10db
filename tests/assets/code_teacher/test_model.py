"""The shipped code teacher loads, fits its size, and its tokenizer loses nothing; a few seconds."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from limbeck.assets import asset_path
from limbeck.rows.standard_library import SourceFile, standard_library_files

EIGHT_MEGABYTES = 8_000_000
SAMPLE = 20


@pytest.fixture(scope="module")
def teacher():
    return AutoModelForCausalLM.from_pretrained(asset_path("code_teacher"))


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(asset_path("code_teacher"))


@pytest.fixture(scope="module")
def heldout() -> list[SourceFile]:
    return [file for file in standard_library_files() if file.heldout]


def test_everything_it_ships_stays_under_eight_megabytes():
    files = [path for path in asset_path("code_teacher").iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < EIGHT_MEGABYTES


def test_half_precision_weights_load_as_float32_without_being_asked(teacher):
    assert {weight.dtype for weight in teacher.parameters()} == {torch.float32}


def test_embedding_and_head_are_one_matrix_over_the_tokenizers_vocabulary(teacher, tokenizer):
    assert teacher.get_input_embeddings().weight is teacher.get_output_embeddings().weight
    assert teacher.get_input_embeddings().weight.shape[0] == len(tokenizer)


def test_the_card_states_the_number_of_parameters(teacher):
    assert (
        f"{teacher.num_parameters():,} parameters" in (asset_path("code_teacher") / "README.md").read_text()
    )


def test_config_tokenizer_and_generation_agree_on_the_special_tokens(teacher, tokenizer):
    ids = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    assert len({tokenizer.eos_token_id, tokenizer.pad_token_id}) == 2
    for config in (teacher.config, teacher.generation_config):
        assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == ids


def test_a_greedy_continuation_of_a_held_out_file_is_finite_and_new(teacher, tokenizer, heldout):
    prompt = tokenizer(heldout[0].text[:400], return_tensors="pt")
    output = teacher.generate(
        **prompt, max_new_tokens=16, do_sample=False, output_logits=True, return_dict_in_generate=True
    )
    assert all(torch.isfinite(logits).all() for logits in output.logits)
    assert output.sequences.shape[1] > prompt["input_ids"].shape[1]


def test_the_tokenizer_gives_every_held_out_file_back_byte_for_byte(tokenizer, heldout):
    for file in heldout[:SAMPLE]:
        ids = tokenizer(file.text, add_special_tokens=False, verbose=False)["input_ids"]
        assert tokenizer.decode(ids).encode() == file.text.encode(), file.name


def test_text_outside_the_training_alphabet_round_trips_too(tokenizer):
    text = " \ttabs,\r\n crlf, ünïcødé, 漢字, 🐍 , . ? ! n't"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


def test_the_shipped_config_names_no_folder_of_the_machine_it_was_made_on():
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        shipped = json.loads((asset_path("code_teacher") / name).read_text())
        assert "_name_or_path" not in shipped
        assert "name_or_path" not in shipped
