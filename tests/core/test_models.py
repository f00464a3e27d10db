"""Loading, saving and counting models; what the user is told when there is none."""

import json
import logging

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    LlamaConfig,
    LlamaForSequenceClassification,
)

from limbeck.core.errors import ModelError
from limbeck.core.model_words import ModelWord, model_word
from limbeck.core.models import (
    check_config,
    check_weights,
    count_parameters,
    estimate_parameters,
    kind_of,
    load_model,
    load_tokenizer,
    read_config,
    save_model,
)
from tests.tiny import (
    EOS,
    PAD,
    random_ids,
    tiny_bert,
    tiny_classifier,
    tiny_encoder_tokenizer,
    tiny_gpt2,
    tiny_llama,
    tiny_t5,
    tiny_tokenizer,
)

KINDS = [
    ("causal", tiny_llama, AutoModelForCausalLM),
    ("causal", tiny_gpt2, AutoModelForCausalLM),
    ("seq2seq", tiny_t5, AutoModelForSeq2SeqLM),
    ("encoder", tiny_bert, AutoModel),
    ("classifier", tiny_classifier, AutoModelForSequenceClassification),
]


def answer(model):
    ids = random_ids(2, 6)
    decoder = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        return model(input_ids=ids, **decoder)[0]


def change_config(folder, **fields):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | fields))


@pytest.mark.parametrize(("kind", "build", "auto"), KINDS)
def test_a_saved_model_is_loaded_by_limbeck_and_by_plain_transformers(kind, build, auto, tmp_path):
    model = build()
    save_model(model, tiny_tokenizer(), tmp_path / "model")
    loaded = load_model(tmp_path / "model", kind)
    assert type(loaded) is type(model) and loaded.dtype == torch.float32 and not loaded.training
    assert torch.equal(answer(loaded), answer(model))
    assert torch.equal(answer(auto.from_pretrained(tmp_path / "model")), answer(model))
    assert AutoTokenizer.from_pretrained(tmp_path / "model").get_vocab() == tiny_tokenizer().get_vocab()
    assert kind_of(read_config(tmp_path / "model")) == kind
    assert list((tmp_path / "model").glob("*.safetensors"))


@pytest.mark.parametrize(("dtype", "expected"), [("auto", "bfloat16"), ("float32", "float32")])
def test_weights_take_the_dtype_asked_for(dtype, expected, tmp_path):
    save_model(tiny_llama().to(torch.bfloat16), None, tmp_path / "model")
    assert load_model(tmp_path / "model", "causal", dtype=dtype).dtype == getattr(torch, expected)


def test_a_new_classification_head_is_logged_and_nothing_is_printed(tmp_path, caplog, capfd):
    save_model(tiny_bert(), None, tmp_path / "encoder")
    capfd.readouterr()
    with caplog.at_level(logging.INFO, "limbeck"):
        model = load_model(tmp_path / "encoder", "classifier", label_names=["bad", "fair", "good"])
    assert "classifier.bias, classifier.weight" in caplog.text
    assert capfd.readouterr() == ("", "")
    assert model.config.id2label == {0: "bad", 1: "fair", 2: "good"}
    assert model.config.label2id["good"] == 2
    assert answer(model).shape == (2, 3)


def test_a_complete_model_logs_nothing(tmp_path, caplog):
    save_model(tiny_classifier(), None, tmp_path / "model")
    with caplog.at_level(logging.INFO, "limbeck"):
        load_model(tmp_path / "model", "classifier")
    assert caplog.text == ""


def test_a_classifier_keeps_the_classes_it_was_saved_with(tmp_path):
    save_model(tiny_classifier(classes=5), None, tmp_path / "model")
    assert load_model(tmp_path / "model", "classifier").config.num_labels == 5
    with pytest.raises(ModelError, match=r"classifier\..* of shape .*5.* where .*3.* is needed"):
        load_model(tmp_path / "model", "classifier", num_labels=3)


def test_a_causal_model_that_classifies_can_pad(tmp_path):
    save_model(tiny_llama(pad_token_id=None), None, tmp_path / "model")
    model = load_model(tmp_path / "model", "classifier", num_labels=2)
    assert answer(model).shape == (2, 2)


def test_labels_that_contradict_their_number_or_the_kind_are_refused(tmp_path):
    save_model(tiny_bert(), None, tmp_path / "model")
    with pytest.raises(ModelError, match="num_labels must equal the number of label_names, 2, got 3"):
        load_model(tmp_path / "model", "classifier", num_labels=3, label_names=["no", "yes"])
    with pytest.raises(ModelError, match="must be classifier to have labels, got encoder"):
        load_model(tmp_path / "model", "encoder", num_labels=3)


def test_a_model_of_another_kind_is_refused_instead_of_half_random(tmp_path):
    save_model(tiny_bert(), None, tmp_path / "encoder")
    with pytest.raises(ModelError, match=r"without cls\.predictions"):
        load_model(tmp_path / "encoder", "causal")
    save_model(tiny_llama(), None, tmp_path / "causal")
    with pytest.raises(ModelError, match="as a seq2seq model"):
        load_model(tmp_path / "causal", "seq2seq")
    with pytest.raises(ModelError, match=r"kind must be one of causal, classifier, .*, got 'gpt'"):
        load_model(tmp_path / "causal", "gpt")


def test_a_folder_without_a_layer_is_refused_by_the_names_of_its_weights(tmp_path):
    save_model(tiny_llama(), None, tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    weights = {name: tensor for name, tensor in load_file(file).items() if ".layers.1." not in name}
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"without model\.layers\.1\.input_layernorm\.weight.* and 6 more"):
        load_model(tmp_path / "model", "causal")


def test_a_missing_folder_is_told_with_its_neighbours(tmp_path):
    save_model(tiny_llama(), None, tmp_path / "teacher-4l")
    with pytest.raises(ModelError, match=r"config\.json.*does not exist\. Did you mean .*teacher-4l\?"):
        read_config(tmp_path / "techer-4l")


def test_a_folder_of_models_points_to_the_models_in_it(tmp_path):
    save_model(tiny_llama(), None, tmp_path / "runs" / "student")
    with pytest.raises(ModelError, match=r"has none\. Did you mean .*student\?"):
        load_model(tmp_path / "runs", "causal")


def test_files_and_adapters_and_broken_configurations_are_told_apart(tmp_path):
    (tmp_path / "weights.bin").touch()
    with pytest.raises(ModelError, match=r"got the file .*weights\.bin"):
        read_config(tmp_path / "weights.bin")
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").touch()
    with pytest.raises(ModelError, match="holds LoRA adapters only"):
        read_config(tmp_path / "lora")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    with pytest.raises(ModelError, match="broken cannot be read"):
        read_config(tmp_path / "broken")


def test_an_id_that_the_hub_does_not_give_is_a_model_error(monkeypatch):
    def unreachable(*_args, **_kwargs):
        raise OSError("We couldn't connect to the hub\nand more")

    monkeypatch.setattr(AutoConfig, "from_pretrained", unreachable)
    with pytest.raises(
        ModelError, match=r"'nobody/nothing': there is no such folder, and the hub did not give"
    ):
        read_config("nobody/nothing")


def test_a_tokenizer_without_a_pad_token_pads_with_its_end_token(tmp_path, caplog):
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    with caplog.at_level(logging.DEBUG, "limbeck"):
        assert load_tokenizer(tmp_path).pad_token == "</s>"
    assert "has no pad token" in caplog.text


def test_a_tokenizer_that_cannot_pad_is_refused(tmp_path):
    tokenizer = tiny_encoder_tokenizer()
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="pad token or an end token, got neither"):
        load_tokenizer(tmp_path)


def test_a_folder_without_a_tokenizer_is_a_model_error(tmp_path):
    save_model(tiny_llama(), None, tmp_path / "model")
    with pytest.raises(ModelError, match="tokenizer"):
        load_tokenizer(tmp_path / "model")


def test_saving_replaces_a_model_but_never_other_files(tmp_path):
    save_model(tiny_llama(), None, tmp_path / "model")
    save_model(tiny_llama(layers=1), None, tmp_path / "model")
    assert load_model(tmp_path / "model", "causal").config.num_hidden_layers == 1
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").touch()
    with pytest.raises(ModelError, match="which holds other files"):
        save_model(tiny_llama(), None, tmp_path / "notes")
    assert (tmp_path / "notes" / "diary.txt").exists()


def test_parameters_are_counted_with_tied_weights_once():
    first, second = nn.Linear(3, 5), nn.Linear(3, 5)
    second.weight = first.weight
    assert count_parameters(nn.ModuleList([first, second])) == 3 * 5 + 5 + 5


@pytest.mark.parametrize(("kind", "build", "auto"), KINDS)
def test_parameters_are_estimated_without_building_the_model(kind, build, auto):
    model = build()
    assert estimate_parameters(model.config, kind) == sum(p.numel() for p in set(model.parameters()))


def test_estimating_a_large_model_takes_no_memory():
    # The 7B Llama: 32 layers of 4 * 4096^2 + 3 * 4096 * 11008 + 2 * 4096, two embeddings of 32,000, one norm.
    config = AutoConfig.for_model("llama")
    expected = 32 * (4 * 4096**2 + 3 * 4096 * 11008 + 2 * 4096) + 2 * 32000 * 4096 + 4096
    assert estimate_parameters(config, "causal") == expected == 6_738_415_616


def test_a_word_carries_how_a_model_is_read():
    word = ModelWord("a b/c", "bfloat16", "v1/x", "q 4&k.gguf", True)
    assert model_word(word.joined) == word
    assert word.said == "a b/c (q 4&k.gguf, revision v1/x, bfloat16)"
    assert model_word("x?y=1") == ModelWord("x?y=1")  # a folder may be called so


def test_the_word_says_the_dtype_before_the_caller_does(tmp_path):
    save_model(tiny_llama(), None, tmp_path / "model")
    word = f"{tmp_path / 'model'}?dtype=bfloat16"
    assert load_model(word, "causal", dtype="float32").dtype == torch.bfloat16


def test_a_float32_student_is_saved_in_the_dtype_asked_for_and_left_as_it_is(tmp_path):
    model = tiny_llama()
    save_model(model, None, tmp_path / "model", dtype=torch.bfloat16)
    saved = load_file(tmp_path / "model" / "model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "model" / "config.json").read_text())["dtype"] == "bfloat16"
    assert model.dtype == torch.float32
    assert torch.equal(saved["lm_head.weight"], model.lm_head.weight.to(torch.bfloat16))


def test_code_beside_a_model_is_refused_with_the_way_to_allow_it_and_nothing_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on the terminal"))
    folder = save_model(tiny_llama(), tiny_tokenizer(), tmp_path / "own")
    (folder / "configuration_own.py").write_text(
        "from transformers import LlamaConfig\nclass OwnConfig(LlamaConfig):\n    model_type = 'own'\n"
    )
    (folder / "modeling_own.py").write_text(
        "from transformers import LlamaForCausalLM\nfrom .configuration_own import OwnConfig\n"
        "class OwnForCausalLM(LlamaForCausalLM):\n    config_class = OwnConfig\n"
    )
    change_config(
        folder,
        model_type="own",
        architectures=["OwnForCausalLM"],
        auto_map={
            "AutoConfig": "configuration_own.OwnConfig",
            "AutoModelForCausalLM": "modeling_own.OwnForCausalLM",
        },
    )
    with pytest.raises(ModelError, match=r"write \{model: .*own, trust_remote_code: true\}"):
        read_config(folder)
    trusted = f"{folder}?trust_remote_code=true"
    check_weights(trusted, "causal")
    model = load_model(trusted, "causal")
    assert type(model).__name__ == "OwnForCausalLM"
    assert torch.equal(answer(model), answer(tiny_llama()))
    assert estimate_parameters(read_config(trusted), "causal") == count_parameters(tiny_llama())
    save_model(model, None, tmp_path / "saved")
    assert load_model(f"{tmp_path / 'saved'}?trust_remote_code=true", "causal").num_parameters()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": -32}, "hidden_size must be at least 1, got -32"),
        ({"vocab_size": 0}, "vocab_size must be at least 1, got 0"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers must be from 1 to 2,000, got 1,000,000"),
        ({"num_attention_heads": 5}, "cannot be read|must describe a causal model"),
        ({"hidden_size": "wide"}, "cannot be read|must describe a causal model"),
        ({"hidden_act": "sofa"}, "cannot be read|must describe a causal model"),
    ],
)
def test_sizes_that_no_model_has_are_refused_before_anything_is_built(change, message, tmp_path):
    folder = save_model(tiny_llama(), None, tmp_path / "model")
    change_config(folder, **change)
    with pytest.raises(ModelError, match=message):
        estimate_parameters(read_config(folder), "causal")


@pytest.mark.parametrize("build", [tiny_llama, tiny_t5, tiny_bert, tiny_gpt2])
@pytest.mark.parametrize("settings", [False, True])
def test_a_folder_without_a_vocabulary_has_no_tokenizer(build, settings, tmp_path):
    # transformers makes an empty one of T5's class, and one of WordPiece from the settings alone.
    folder = save_model(build(), tiny_tokenizer(), tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    if not settings:
        (folder / "tokenizer_config.json").unlink()
    with pytest.raises(ModelError, match=r"got no tokenizer\.json in .*model"):
        load_tokenizer(folder)


def test_a_broken_tokenizer_is_a_model_error(tmp_path):
    folder = save_model(tiny_llama(), tiny_tokenizer(), tmp_path / "model")
    (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text()[:200])
    with pytest.raises(ModelError, match="cannot be read as a tokenizer"):
        load_tokenizer(folder)


def test_a_pad_token_beyond_the_embedding_is_not_used(tmp_path):
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"pad_token": "<beyond>"})
    assert tokenizer.pad_token_id == len(tokenizer) - 1
    folder = save_model(tiny_llama(vocab=len(tokenizer) - 1), tokenizer, tmp_path / "model")
    assert load_tokenizer(folder).pad_token == "</s>"


@pytest.mark.parametrize("pad_in_config", [None, 9])
def test_a_classifier_pads_as_its_tokenizer_does(pad_in_config, tmp_path):
    config = LlamaConfig(**(tiny_llama().config.to_dict() | {"pad_token_id": pad_in_config, "num_labels": 3}))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_model(LlamaForSequenceClassification(config), tiny_tokenizer(), tmp_path / "model")
    model = load_model(tmp_path / "model", "classifier")
    rows = random_ids(4, 6, seed=1)
    rows[0, -1] = EOS
    filled = torch.cat([rows, torch.full((4, 3), PAD)], dim=1)
    mask = (torch.arange(9) < 6).long().expand(4, 9)
    with torch.no_grad():
        last = model.score(model.model(rows).last_hidden_state[:, -1])
        torch.testing.assert_close(model(filled, attention_mask=mask).logits, last, atol=1e-4, rtol=1e-4)
    assert model.config.pad_token_id == PAD
    assert save_model(model, None, tmp_path / "again") and read_config(tmp_path / "again").pad_token_id == PAD


def test_an_encoder_that_finds_its_class_without_padding_keeps_its_configuration(tmp_path):
    save_model(tiny_classifier(pad_token_id=7), tiny_encoder_tokenizer(), tmp_path / "model")
    assert load_model(tmp_path / "model", "classifier").config.pad_token_id == 7


def test_a_model_without_experts_or_attention_and_with_endless_positions_is_no_mistake():
    check_config(LlamaConfig(num_experts=0, max_position_embeddings=-1), "model")
    with pytest.raises(ModelError, match="num_experts must be at least 0, got -1"):
        check_config(LlamaConfig(num_experts=-1), "model")
