"""Tiny models, rows and sources for the tests of the evaluation."""

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel, LlamaConfig, LlamaForCausalLM

from limbeck.core.batch import Batch
from limbeck.core.forward_model import ForwardModel
from limbeck.core.masks import IGNORE
from limbeck.evaluation.settings import EvaluatedModel, EvaluationSettings

V = 30


class Letters:
    """A tokenizer of one letter a token, two bytes each (é and its neighbours); 0 pads, 1 ends."""

    eos_token_id, pad_token_id, chat_template = 1, 0, None

    def batch_decode(self, ids, skip_special_tokens=True, clean_up_tokenization_spaces=False):
        return ["".join(chr(0xC0 + token) for token in row if token > 1) for row in ids]


class Texts:
    """Rows of token ids; the first `prompt` tokens of each are not learnt."""

    def __init__(self, rows, prompt=0):
        self.rows, self.prompt = rows, prompt
        self.ids = [f"r{place}" for place in range(len(rows))]

    def __len__(self):
        return len(self.rows)

    def batch(self, indices):
        width = max(len(self.rows[index]) for index in indices)
        ids = np.zeros((len(indices), width), dtype=np.int64)
        mask, targets = np.zeros_like(ids), np.full_like(ids, IGNORE)
        for line, index in enumerate(indices):
            row = self.rows[index]
            ids[line, : len(row)], mask[line, : len(row)] = row, 1
            start = max(self.prompt - 1, 0)
            targets[line, start : len(row) - 1] = row[start + 1 :]
        inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        return Batch(inputs, torch.from_numpy(targets), [[self.ids[index]] for index in indices])


class Examples(Texts):
    """Rows of token ids with a class each."""

    def __init__(self, rows, labels):
        super().__init__(rows)
        self.labels = labels

    def batch(self, indices):
        batch = super().batch(indices)
        labels = None if self.labels is None else torch.tensor([self.labels[index] for index in indices])
        return Batch(batch.inputs, labels, batch.row_ids)


def texts(count=6, seed=0, low=5, high=20):
    random = np.random.default_rng(seed)
    return [random.integers(2, V, random.integers(low, high)).tolist() for _ in range(count)]


def rows_of(source, **columns):
    rows = [{"id": name} for name in source.ids]
    return [row | {name: values[place] for name, values in columns.items()} for place, row in enumerate(rows)]


def causal(seed, *, hidden=16, layers=2):
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=V, hidden_size=hidden, intermediate_size=32, num_hidden_layers=layers,
            num_attention_heads=2, max_position_embeddings=128, initializer_range=0.3, pad_token_id=0,
        )
    )  # fmt: skip


def bert(seed, *, classes=None, hidden=16):
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=V, hidden_size=hidden, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        initializer_range=0.5, num_labels=classes or 2,
    )  # fmt: skip
    return BertModel(config) if classes is None else BertForSequenceClassification(config)


def subject(name, model, role=None, vocabulary=V):
    return EvaluatedModel(
        name, role or name, model, Letters(), ForwardModel(model, vocabulary), f"{name} of the tests"
    )


def settings(kind, *metrics, **changes):
    return EvaluationSettings(
        **{"kind": kind, "metrics": metrics, "batch_size": 4, "resamples": 200, **changes}
    )
