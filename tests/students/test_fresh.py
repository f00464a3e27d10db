"""Fresh students: the teacher's architecture, other sizes, weights from the seed alone."""

import pytest
import torch
from transformers import Gemma2Config

from limbeck.core.errors import ModelError
from limbeck.core.models import save_model
from limbeck.students import fresh
from tests.tiny import random_ids, tiny_bert, tiny_classifier, tiny_gpt2, tiny_llama, tiny_t5


def saved(model, tmp_path):
    return save_model(model, None, tmp_path / "teacher")


@pytest.mark.parametrize("build", [tiny_llama, tiny_gpt2, tiny_t5, tiny_bert, tiny_classifier])
def test_a_fresh_model_is_of_the_teachers_class_and_vocabulary(build, tmp_path):
    teacher = build(layers=3)
    student = fresh(saved(teacher, tmp_path), {"num_hidden_layers": 1}, seed=0)
    assert type(student) is type(teacher)
    assert student.config.num_hidden_layers == 1
    assert student.get_input_embeddings().weight.shape == teacher.get_input_embeddings().weight.shape
    assert not torch.equal(student.get_input_embeddings().weight, teacher.get_input_embeddings().weight)


def test_weights_depend_on_the_seed_and_on_nothing_else(tmp_path):
    folder = saved(tiny_llama(), tmp_path)
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    one = fresh(folder, {}, seed=0)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(6)
    two, three = fresh(folder, {}, seed=0), fresh(folder, {}, seed=1)
    assert torch.equal(one.lm_head.weight, two.lm_head.weight)
    assert not torch.equal(one.lm_head.weight, three.lm_head.weight)


def test_fields_that_followed_from_the_old_sizes_follow_from_the_new_ones(tmp_path):
    folder = saved(tiny_llama(head_dim=8), tmp_path)  # 32 wide, 4 heads
    student = fresh(folder, {"hidden_size": 64}, seed=0)
    assert student.config.head_dim == 16
    assert fresh(folder, {"hidden_size": 64, "head_dim": 8}, seed=0).config.head_dim == 8
    multi_head = saved(tiny_llama(num_key_value_heads=4), tmp_path)
    assert fresh(multi_head, {"num_attention_heads": 2}, seed=0).config.num_key_value_heads == 2
    config = Gemma2Config(num_hidden_layers=4, hidden_size=32, intermediate_size=64, vocab_size=50)
    shallow = fresh(config, {"num_hidden_layers": 2}, seed=0, kind="causal")
    assert shallow.config.layer_types == ["sliding_attention", "full_attention"]
    assert config.num_hidden_layers == 4


def test_an_unknown_field_is_refused_with_the_nearest_one(tmp_path):
    with pytest.raises(ModelError, match=r"unknown field 'num_layer' of LlamaConfig\. Did you mean 'num_"):
        fresh(saved(tiny_llama(), tmp_path), {"num_layer": 1}, seed=0)


def test_sizes_that_do_not_go_together_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"sizes must go together, got hidden_size=33; BertConfig says"):
        fresh(saved(tiny_bert(), tmp_path), {"hidden_size": 33}, seed=0)


def test_a_configuration_that_names_no_class_needs_a_kind():
    with pytest.raises(ModelError, match=r"got no class\. Name one of causal"):
        fresh(tiny_llama().config.__class__(vocab_size=10), {}, seed=0)


def test_a_fresh_model_reads_ids_of_the_teacher(tmp_path):
    student = fresh(saved(tiny_llama(), tmp_path), {"hidden_size": 16, "intermediate_size": 24}, seed=0)
    assert student(input_ids=random_ids(2, 5)).logits.shape == (2, 5, 320)
