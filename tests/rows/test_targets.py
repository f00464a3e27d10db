"""What encoder-decoder models are taught, against transformers' own tokenizers and collator."""

import pytest
import torch
from datasets import Dataset
from tokenizers import processors
from transformers import AutoModelForSeq2SeqLM as Auto
from transformers import (
    BartConfig,
    DataCollatorForSeq2Seq,
    M2M100Config,
    MarianConfig,
    MBartConfig,
    MBartTokenizer,
    NllbTokenizer,
    T5Config,
)

from limbeck.core.decoder_start import decoder_start
from limbeck.core.targets import target_language
from limbeck.inference.request import TokenIds
from limbeck.rows.render import render
from limbeck.rows.rendering import Rendering
from limbeck.rows.source import PaddedSource
from tests.tiny import BOS, EOS, PAD, tiny_seq2seq_tokenizer, tiny_tokenizer

LETTERS = list("abcdefghijklmnopqrstuvwxyz")
SIZES = {
    "vocab_size": 400, "d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8,
}  # fmt: skip
ROWS = [
    {"id": "a", "prompt": "the cat", "completion": "a dog"},
    {"id": "b", "prompt": "one", "completion": "seven and two"},
]


def bart_tokenizer():
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", BOS), ("</s>", EOS)]
    )
    return tokenizer


def mbart_tokenizer():
    marks = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = [(mark, 0.0) for mark in marks] + [("▁", -2.0)] + [(letter, -3.0) for letter in LETTERS]
    return MBartTokenizer(vocab=vocabulary, src_lang="en_XX", tgt_lang="ro_RO")


def nllb_tokenizer():
    names = ["<s>", "<pad>", "</s>", "<unk>", "▁", *LETTERS]
    vocabulary = {name: place for place, name in enumerate(names)}
    return NllbTokenizer(vocab=vocabulary, merges=[], src_lang="eng_Latn", tgt_lang="fra_Latn")


OWN = {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS}
FAIRSEQ = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
T5 = {"vocab_size": 400, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
CASES = {
    "bart": (bart_tokenizer, BartConfig(**SIZES, **OWN, decoder_start_token_id=EOS)),
    "marian": (tiny_seq2seq_tokenizer, MarianConfig(**SIZES, **OWN, decoder_start_token_id=PAD)),
    "t5": (tiny_seq2seq_tokenizer, T5Config(**T5, **OWN, decoder_start_token_id=PAD)),
    "mbart": (mbart_tokenizer, MBartConfig(**SIZES, **FAIRSEQ)),
    "nllb": (nllb_tokenizer, M2M100Config(**SIZES, **FAIRSEQ, decoder_start_token_id=2)),
}


def batch_of(rows, tokenizer, config, **choices):
    rendering = Rendering("seq2seq", 64, **choices)
    rendered = render(Dataset.from_list(rows), tokenizer, rendering)
    source = PaddedSource(rendered, rendering, tokenizer.pad_token_id, decoder_start(config, tokenizer))
    return source.batch(range(len(rows)))


@pytest.mark.parametrize("name", CASES)
def test_inputs_and_targets_are_those_of_transformers(name):
    make, config = CASES[name]
    tokenizer = make()
    read = tokenizer([row["prompt"] for row in ROWS], text_target=[row["completion"] for row in ROWS])
    rows = [
        {key: values[k] for key, values in read.items() if key != "token_type_ids"} for k in range(len(ROWS))
    ]
    expected = DataCollatorForSeq2Seq(tokenizer, model=Auto.from_config(config))(rows)
    if name == "nllb":  # its class makes decoder inputs in the forward pass, as BART's does
        labels = expected["labels"]
        expected["decoder_input_ids"] = torch.cat([torch.full((2, 1), 2), labels[:, :-1]], dim=1)
    found = batch_of(ROWS, tokenizer, config)
    assert torch.equal(found.targets, expected["labels"])
    for key in ("input_ids", "attention_mask", "decoder_input_ids"):
        # Decoder inputs under padding of the targets are read by nobody.
        seen = found.targets != -100 if key == "decoder_input_ids" else expected[key] == expected[key]
        assert torch.equal(found.inputs[key][seen], expected[key][seen]), key


def test_a_completion_begins_with_the_target_language():
    tokenizer, config = nllb_tokenizer(), CASES["nllb"][1]
    model = Auto.from_config(config)
    french = tokenizer.convert_tokens_to_ids("fra_Latn")
    assert target_language(tokenizer) == french
    assert target_language(bart_tokenizer()) is None
    ids = TokenIds.of(tokenizer, model)
    assert (ids.start, ids.first) == (2, french)
    model.generation_config.forced_bos_token_id = 9
    assert TokenIds.of(tokenizer, model).first == 9


def test_a_decoder_starts_from_the_language_where_its_class_takes_it_from_the_target():
    tokenizer = mbart_tokenizer()
    romanian = tokenizer.convert_tokens_to_ids("ro_RO")
    config = CASES["mbart"][1]
    assert TokenIds.of(tokenizer, Auto.from_config(config)).start == romanian
    # Also of a target that was cut, which does not end with its language any more.
    batch = batch_of(ROWS, tokenizer, config, max_target_length=3)
    assert batch.inputs["decoder_input_ids"][:, 0].tolist() == [romanian, romanian]


@pytest.mark.parametrize("name", CASES)
def test_an_answer_that_was_cut_is_not_taught_to_end(name):
    make, config = CASES[name]
    tokenizer = make()
    whole, cut = ({**ROWS[0], "finished": finished} for finished in (True, False))
    ends = [batch_of([row], tokenizer, config).targets[0].tolist() for row in (whole, cut)]
    assert tokenizer.eos_token_id in ends[0] and tokenizer.eos_token_id not in ends[1]
    assert ends[0][: len(ends[1])] == ends[1]


def test_rows_whose_rationales_nobody_wrote_are_labelled_alone_with_the_same_prompt():
    tokenizer = tiny_seq2seq_tokenizer()
    rows = Dataset.from_list([{"id": "a", "question": "2 and 2", "answer": "4", "rationale": "two times 2"}])
    both, alone = (
        render(rows, tokenizer, Rendering(model_kind="seq2seq", max_length=64, task=task))
        for task in ("two_task", "label")
    )
    assert alone["input_ids"][0] == both["input_ids"][0] and alone["target_ids"][0] == both["target_ids"][0]
    assert len(both) == 2 and len(alone) == 1
