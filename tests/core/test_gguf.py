"""Models in GGUF: read as transformers reads them, and saved as plain folders."""

import json
import sys

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from limbeck.core.errors import ModelError
from limbeck.core.models import check_weights, kind_of, load_model, load_tokenizer, read_config, save_model
from tests.runs.test_runs import run
from tests.runs.world import write_rows
from tests.tiny import BOS, EOS, PAD, TEXTS, VOCABULARY, random_ids, tiny_llama, tiny_tokenizer

HEADS, GROUPS = 4, 2
NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """`tiny_llama` and its tokenizer in one GGUF file, rotary halves in llama.cpp's order."""
    gguf = pytest.importorskip("gguf")
    model, tokenizer = tiny_llama(), tiny_tokenizer()
    writer = gguf.GGUFWriter(str(tmp_path / "tiny.gguf"), "llama")
    config = model.config
    for set_number, value in (
        (writer.add_context_length, config.max_position_embeddings),
        (writer.add_embedding_length, config.hidden_size),
        (writer.add_block_count, config.num_hidden_layers),
        (writer.add_feed_forward_length, config.intermediate_size),
        (writer.add_head_count, HEADS),
        (writer.add_head_count_kv, GROUPS),
        (writer.add_layer_norm_rms_eps, config.rms_norm_eps),
        (writer.add_rope_freq_base, 10000.0),
        (writer.add_rope_dimension_count, config.head_dim),
        (writer.add_vocab_size, VOCABULARY),
        (writer.add_bos_token_id, BOS),
        (writer.add_eos_token_id, EOS),
        (writer.add_pad_token_id, PAD),
    ):
        set_number(value)
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<") and token.endswith(">") else 1 for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in merges])
    for name, tensor in model.state_dict().items():
        writer.add_tensor(*_in_gguf(name, tensor.numpy()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path


def _in_gguf(name, array):
    stem = name.removesuffix(".weight")
    if stem in NAMES:
        return f"{NAMES[stem]}.weight", array
    layer, part = stem.removeprefix("model.layers.").split(".", 1)
    heads = {"self_attn.q_proj": HEADS, "self_attn.k_proj": GROUPS}.get(part)
    if heads:
        halves = array.reshape(heads, 2, -1, array.shape[1])
        array = np.ascontiguousarray(halves.swapaxes(1, 2).reshape(array.shape))
    return f"blk.{layer}.{NAMES[part]}.weight", array


def test_a_gguf_file_gives_the_model_that_was_written_and_a_plain_folder(folder):
    word = f"{folder}?gguf_file=tiny.gguf"
    assert kind_of(read_config(word)) == "causal"
    check_weights(word, "causal")
    model, tokenizer = load_model(word, "causal"), load_tokenizer(word)
    ids = random_ids(2, 7)
    with torch.no_grad():
        expected = tiny_llama()(ids).logits
        torch.testing.assert_close(model(ids).logits, expected, atol=1e-5, rtol=1e-5)
        save_model(model, tokenizer, folder / "plain")
        plain = AutoModelForCausalLM.from_pretrained(folder / "plain")
        torch.testing.assert_close(plain(ids).logits, expected, atol=1e-5, rtol=1e-5)
    texts = list(TEXTS)
    written = AutoTokenizer.from_pretrained(folder / "plain")(texts)["input_ids"]
    assert written == tiny_tokenizer()(texts)["input_ids"]


def test_a_student_in_gguf_is_trained_and_saved_plain(folder):
    write_rows(folder / "rows.jsonl", [{"text": text * 2} for text in TEXTS])
    done = run(
        "sft", folder / "run", student={"model": str(folder), "gguf_file": "tiny.gguf"}, heldout=1,
        data=str(folder / "rows.jsonl"), max_steps=1, **{"steps.2.evaluate.metrics": ["perplexity"]},
    )  # fmt: skip
    assert (
        AutoModelForCausalLM.from_pretrained(done.student).num_parameters() == tiny_llama().num_parameters()
    )


def test_what_is_wrong_with_a_gguf_word_is_said_with_the_right_one(folder, monkeypatch):
    with pytest.raises(ModelError, match=r"holds GGUF\. Write \{model: .*, gguf_file: tiny\.gguf\}"):
        read_config(folder)
    with pytest.raises(ModelError, match=r"got other\.gguf\. There is: tiny\.gguf"):
        read_config(f"{folder}?gguf_file=other.gguf")
    with pytest.raises(ModelError, match=r"got the file .*Write \{model: .*, gguf_file: tiny\.gguf\}"):
        read_config(folder / "tiny.gguf")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install limbeck\[gguf\]"):
        read_config(f"{folder}?gguf_file=tiny.gguf")
    assert "gguf" in sys.modules  # it is installed here: the message alone is tried
