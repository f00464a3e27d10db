"""A real OpenAI-compatible server in the process of the tests: llama.cpp on a GGUF of a tiny Llama.

`gguf_of` writes any small Llama with a byte-level BPE as GGUF in float32; `serving` starts a server on it
at a free port of the loopback and stops it; `served` does both; the fixture `llama_server` is one on
`tiny_llama`, shared by the session's tests. Its log-probabilities are those of the model in transformers, so
expected values come from there.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFWriter, TokenType
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from tests.tiny import tiny_llama, tiny_tokenizer

LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)\.weight")

WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
"""Names of the weights outside of layers, in transformers and in GGUF."""

IN_LAYER = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""The same for those of a layer."""


@dataclass(frozen=True)
class LlamaServer:
    """A server and what it serves.

    Attributes:
        url: of its API, ending in /v1.
        name: of the model there.
        folder: the same model for transformers, with its tokenizer.
        model: the same in float32.
        tokenizer: of it.
    """

    url: str
    name: str
    folder: Path
    model: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerFast


def gguf_of(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, path: Path) -> Path:
    """Writes a Llama and its byte-level BPE as one GGUF file in float32."""
    config = model.config
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer, tokenizer, config.vocab_size)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    tied = config.tie_word_embeddings
    for name, weight in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        match = LAYER.fullmatch(name)
        part = IN_LAYER[match[2]] if match else ""
        there = f"blk.{match[1]}.{part}.weight" if match else WHOLE[name]
        weight = weight.float()
        writer.add_tensor(there, (_interleaved(weight, heads[part]) if part in heads else weight).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of a query or key projection in llama.cpp's order.

    Rotary embedding turns pairs of rows: (i, i + D/2) in transformers, (2 i, 2 i + 1) in llama.cpp.
    """
    rows, width = weight.shape
    return weight.view(heads, 2, rows // heads // 2, width).transpose(1, 2).reshape(rows, width).contiguous()


def _add_tokenizer(writer: GGUFWriter, tokenizer: PreTrainedTokenizerFast, size: int) -> None:
    parts = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    spelt = {index: token for token, index in tokenizer.get_vocab().items()}
    special = set(tokenizer.all_special_ids)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([spelt.get(index, f"<unused{index}>") for index in range(size)])
    kinds = {index: TokenType.CONTROL if index in special else TokenType.NORMAL for index in spelt}
    writer.add_token_types([kinds.get(index, TokenType.UNUSED) for index in range(size)])
    writer.add_token_merges([" ".join(pair) for pair in parts["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(False)
    template = tokenizer.chat_template or "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    writer.add_chat_template(re.sub(r"{%-? *(end)?generation *-?%}", "", template))


@contextmanager
def serving(path: Path, *, slots: int = 4, context: int = 256, **settings: Any) -> Iterator[str]:
    """A server on a GGUF, at the address that is given; `settings` are fields of llama.cpp's `CommonParams`.

    Args:
        slots: how many requests it works on at once; as many choices `n` may ask of it.
        context: tokens of each slot.
    """
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.port, params.hostnames = 0, ["127.0.0.1"]
    params.n_parallel, params.n_ctx = slots, slots * context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_threads_http = slots + 2
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.warmup = params.fit_params = params.ui = False
    params.cache_ram_mib = 0
    params.verbosity = 0
    for name, value in settings.items():
        setattr(params, name, value)
    server = xllamacpp.Server(params)
    try:
        yield f"{server.listening_address}/v1"
    finally:
        del server


@contextmanager
def served(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path, **settings: Any
) -> Iterator[LlamaServer]:
    """A model of ours behind a server; `folder` takes its GGUF and its form for transformers."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    path = gguf_of(model, tokenizer, folder / "model.gguf")
    with serving(path, **settings) as url:
        yield LlamaServer(url=url, name="tiny", folder=folder, model=model, tokenizer=tokenizer)


@pytest.fixture(scope="session")
def llama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """llama.cpp on `tiny_llama` with `tiny_tokenizer`."""
    pytest.importorskip("xllamacpp")
    with served(tiny_llama(), tiny_tokenizer(), tmp_path_factory.mktemp("llama")) as server:
        yield server


def next_log_probs(server: LlamaServer, token_ids: list[int]) -> torch.Tensor:
    """log p of every token after `token_ids`, [V], by transformers in float32."""
    with torch.no_grad():
        return server.model(torch.tensor([token_ids])).logits[0, -1].float().log_softmax(-1)
