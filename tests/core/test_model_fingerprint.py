"""Everything that loading a model reads is in its fingerprint, and nothing else."""

import json
import os
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from limbeck.core.errors import ModelError
from limbeck.core.files import hash_file
from limbeck.core.fingerprint import tokenizer_fingerprint
from limbeck.core.models import fingerprint as module
from limbeck.core.models import load_tokenizer, model_fingerprint, save_model
from tests.tiny import tiny_llama, tiny_tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_model(tiny_llama(), tiny_tokenizer(), tmp_path / "model")


def edit_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def swap_ids(folder: Path) -> None:
    """Two tokens of equal length change places: the file keeps its size."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    one, two = [token for token, index in vocabulary.items() if 100 <= index < 1000][:2]
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    size = path.stat().st_size
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False))
    assert path.stat().st_size == size


def shift_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({name: value * 1.001 for name, value in weights.items()}, folder / "model.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        shift_weights,
        swap_ids,
        lambda folder: edit_json(folder / "config.json", rms_norm_eps=0.5),
        lambda folder: edit_json(folder / "generation_config.json", eos_token_id=7),
        lambda folder: edit_json(folder / "tokenizer_config.json", eos_token="one"),
        lambda folder: (folder / "chat_template.jinja").write_text("{{ messages }}"),
        lambda folder: (folder / "special_tokens_map.json").write_text("{}"),
        lambda folder: (folder / "merges.txt").write_text("o n"),
        lambda folder: (folder / "spiece.model").write_bytes(b"1"),
        lambda folder: (folder / "modeling_own.py").write_text("1"),
        lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"1"),
    ],
)
def test_whatever_is_read_changes_the_fingerprint(folder, change):
    before = model_fingerprint(folder)
    assert model_fingerprint(folder) == before
    change(folder)
    assert model_fingerprint(folder) != before


def test_where_a_model_lies_and_what_is_written_about_it_do_not_count(folder, tmp_path):
    before = model_fingerprint(folder)
    (folder / "README.md").write_text("a model")
    (folder / "LICENSE.txt").write_text("free")
    (folder / "training_args.bin").write_bytes(b"1")
    (folder / "trainer_state.json").write_text("{}")
    (folder / ".cache.json").write_text("{}")
    shutil.copytree(folder, tmp_path / "copy")
    assert model_fingerprint(folder) == model_fingerprint(tmp_path / "copy") == before


def test_the_fingerprint_of_a_tokenizer_leaves_the_weights_out(folder):
    before = model_fingerprint(folder, weights=False)
    shift_weights(folder)
    assert model_fingerprint(folder, weights=False) == before
    swap_ids(folder)
    assert model_fingerprint(folder, weights=False) != before


def test_the_model_that_adapters_lie_on_counts(folder, tmp_path):
    other = save_model(tiny_llama(seed=1), None, tmp_path / "other")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(other)}))
    before = model_fingerprint(folder)
    shift_weights(other)
    assert model_fingerprint(folder) != before


def test_one_byte_of_a_large_file_is_seen_even_where_size_and_time_stay(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_REMEMBERED", 50_000)
    monkeypatch.setattr(module, "_SETTLED", -1.0)
    read: list[str] = []
    monkeypatch.setattr(module, "hash_file", lambda path: read.append(path.name) or hash_file(path))
    file = folder / "model.safetensors"
    before, stat = model_fingerprint(folder), file.stat()
    assert stat.st_size > 50_000
    assert model_fingerprint(folder) == before
    assert read.count("model.safetensors") == 1, "kept from before"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert model_fingerprint(folder) != before


def test_a_model_of_the_hub_is_known_by_its_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "hf_hub_download", lambda name, file, revision: str(tmp_path / commit / file))
    commit = "a1"
    first = model_fingerprint("someone/model")
    commit = "b2"
    assert model_fingerprint("someone/model") != first


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(ModelError, match="which does not exist"):
        model_fingerprint(tmp_path / "nowhere")


def test_a_tokenizer_in_python_is_known_by_its_vocabulary_and_not_by_its_place(tmp_path):
    from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

    def made(name: str, words: str) -> str:
        place = tmp_path / name
        place.mkdir()
        (place / "vocab.txt").write_text(words)
        return tokenizer_fingerprint(BertTokenizerLegacy(str(place / "vocab.txt"), name_or_path=name))

    special = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
    assert made("a", special + "one\ntwo") == made("b", special + "one\ntwo")
    assert made("c", special + "two\none") != made("d", special + "one\ntwo")


def test_what_a_tokenizer_does_beside_its_backend_counts(folder):
    one, two = load_tokenizer(folder), load_tokenizer(folder)
    assert tokenizer_fingerprint(one) == tokenizer_fingerprint(two)
    two.split_special_tokens = True
    assert tokenizer_fingerprint(one) != tokenizer_fingerprint(two)
