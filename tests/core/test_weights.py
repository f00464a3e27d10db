"""Files of weights by their headers: what loading would refuse is refused without reading them."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from limbeck.core.errors import ModelError
from limbeck.core.models import check_weights, load_model, save_model
from tests.tiny import tiny_bert, tiny_classifier, tiny_llama


def saved(tmp_path, model=None):
    return save_model(model or tiny_llama(), None, tmp_path / "model")


def sharded(tmp_path):
    folder = tmp_path / "model"
    tiny_llama().save_pretrained(folder, max_shard_size="40KB")
    assert (folder / "model.safetensors.index.json").is_file()
    return folder


def pickled(tmp_path):
    folder = saved(tmp_path)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


@pytest.mark.parametrize("make", [saved, sharded, pickled])
def test_whole_files_of_every_kind_pass_and_load(make, tmp_path):
    folder = make(tmp_path)
    check_weights(folder, "causal")
    assert torch.equal(load_model(folder, "causal").lm_head.weight, tiny_llama().lm_head.weight)


@pytest.mark.parametrize("kept", [0, 4, 100, -100, -1])
def test_a_file_that_was_cut_off_is_named(kept, tmp_path):
    file = saved(tmp_path) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"model\.safetensors must be a whole safetensors file"):
        check_weights(file.parent, "causal")


def test_bytes_behind_the_end_and_a_changed_header_are_seen(tmp_path):
    file = saved(tmp_path) / "model.safetensors"
    whole = file.read_bytes()
    for broken in (whole + b"more", whole[:20] + b"\xff" + whole[21:], b"\xff" * 8 + whole[8:]):
        file.write_bytes(broken)
        with pytest.raises(ModelError, match=r"must be a whole safetensors file"):
            check_weights(file.parent, "causal")


def test_tensors_that_do_not_fit_the_configuration_are_named_with_both_shapes(tmp_path):
    folder = saved(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 317}))
    with pytest.raises(ModelError, match=r"lm_head\.weight of shape \(320, 32\) where \(317, 32\)"):
        check_weights(folder, "causal")


def test_a_missing_layer_is_named(tmp_path):
    file = saved(tmp_path) / "model.safetensors"
    weights = {name: tensor for name, tensor in load_file(file).items() if ".layers.1." not in name}
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"without model\.layers\.1\.input_layernorm\.weight.* and 6 more"):
        check_weights(file.parent, "causal")


def test_a_missing_shard_is_named(tmp_path):
    folder = sharded(tmp_path)
    shard = sorted(folder.glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(ModelError, match=f"got {shard.name}, which is missing"):
        check_weights(folder, "causal")


def test_an_index_that_is_wrong_is_named(tmp_path):
    folder = sharded(tmp_path)
    index = folder / "model.safetensors.index.json"
    whole = json.loads(index.read_text())
    files = sorted(set(whole["weight_map"].values()))
    name = next(name for name, file in whole["weight_map"].items() if file == files[0])
    index.write_text(json.dumps({"weight_map": whole["weight_map"] | {name: files[1]}}))
    with pytest.raises(ModelError, match=f"{files[1]} must hold what .* without {name}"):
        check_weights(folder, "causal")
    index.write_text("[]")
    with pytest.raises(ModelError, match="must be an index with a weight_map"):
        check_weights(folder, "causal")


class Opens:
    def __reduce__(self):
        return (open, ("/tmp/should-never-be-opened", "w"))


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    folder = pickled(tmp_path)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Opens()}, protocol=2))
    with pytest.raises(ModelError, match=r"pytorch_model\.bin must hold tensors alone"):
        check_weights(folder, "causal")


def test_a_torch_file_that_was_cut_off_or_holds_no_weights_is_refused(tmp_path):
    file = pickled(tmp_path) / "pytorch_model.bin"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"must be a whole torch\.save file"):
        check_weights(file.parent, "causal")
    torch.save([torch.zeros(2)], file)
    with pytest.raises(ModelError, match="must hold a state dict, got list"):
        check_weights(file.parent, "causal")


def test_weights_in_a_folder_below_are_pointed_to(tmp_path):
    folder = saved(tmp_path)
    (folder / "final").mkdir()
    (folder / "model.safetensors").rename(folder / "final" / "model.safetensors")
    with pytest.raises(ModelError, match=r"There is: final/model\.safetensors\. Name the folder"):
        check_weights(folder, "causal")


def test_safetensors_are_read_where_both_kinds_lie(tmp_path):
    folder = saved(tmp_path)
    (folder / "pytorch_model.bin").write_bytes(b"stale")
    check_weights(folder, "causal")
    assert load_model(folder, "causal").num_parameters()


def test_a_head_that_is_to_be_trained_may_lack_and_one_of_other_classes_may_not(tmp_path):
    check_weights(saved(tmp_path, tiny_bert()), "classifier", num_labels=3)
    folder = save_model(tiny_classifier(classes=5), None, tmp_path / "tuned")
    check_weights(folder, "classifier", num_labels=5)
    with pytest.raises(ModelError, match=r"classifier\..* of shape .*5.* where .*3.* is needed"):
        check_weights(folder, "classifier", num_labels=3)
