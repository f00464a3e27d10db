"""Masked language models: which tokens are hidden, and the loss on them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset

from limbeck.core.errors import ModelError
from limbeck.core.forward_model import ForwardModel
from limbeck.core.masks import IGNORE
from limbeck.core.needs import DISTRIBUTION
from limbeck.core.term import Term
from limbeck.kinds.masked_lm import KIND
from limbeck.objectives import cross_entropy
from limbeck.objectives.criterion import Criterion
from limbeck.rows.render import render
from limbeck.rows.rendering import Rendering
from limbeck.rows.source import PaddedSource
from tests import tiny

RENDERING = Rendering(model_kind="masked_lm", max_length=64)
STEP = SimpleNamespace(seed=7, mlm_probability=0.15)


@pytest.fixture(scope="module")
def tokenizer():
    return tiny.tiny_encoder_tokenizer()


def source(texts, tokenizer):
    rows = Dataset.from_list([{"text": text, "id": f"r{place}"} for place, text in enumerate(texts)])
    return PaddedSource(render(rows, tokenizer, RENDERING), RENDERING, tokenizer.pad_token_id)


def many(tokenizer, count=400):
    """Rows of 40 letters each, so 40 tokens between [CLS] and [SEP]."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghij"))
    texts = [" ".join(letters[random.integers(10, size=40)]) for _ in range(count)]
    return source(texts, tokenizer).batch(range(count))


def test_so_many_tokens_are_hidden_in_every_row_and_no_special_ones(tokenizer):
    clean = many(tokenizer)
    drawn = KIND.drawn(clean, tokenizer, STEP, at=0)
    hidden = drawn.targets != IGNORE
    assert (hidden.sum(1) == 6).all()  # 15 % of 40
    ids = clean.inputs["input_ids"]
    assert not hidden[torch.isin(ids, torch.tensor(tokenizer.all_special_ids))].any()
    assert torch.equal(drawn.targets[hidden], ids[hidden])
    assert torch.equal(drawn.inputs["input_ids"][~hidden], ids[~hidden])


def test_of_hidden_tokens_eight_in_ten_are_masks_one_is_any_token_and_one_stays(tokenizer):
    clean = many(tokenizer)
    drawn = KIND.drawn(clean, tokenizer, STEP, at=0)
    hidden = drawn.targets != IGNORE
    shown, wanted = drawn.inputs["input_ids"][hidden], drawn.targets[hidden]
    n = len(wanted)  # 2,400: a share of 0.8 has a standard error of 0.008, of 0.1 one of 0.006
    assert n == 2400
    assert (shown == tokenizer.mask_token_id).float().mean() == pytest.approx(0.8, abs=0.025)
    assert (shown == wanted).float().mean() == pytest.approx(0.1, abs=0.02)
    others = shown[(shown != wanted) & (shown != tokenizer.mask_token_id)]
    assert len(others.unique()) > 50 and others.max() < len(tokenizer)  # any of the tokenizer's


def test_a_short_row_has_one_hidden_token(tokenizer):
    drawn = KIND.drawn(source(["a b", ".", "a"], tokenizer).batch([0, 1, 2]), tokenizer, STEP, at=0)
    assert (drawn.targets != IGNORE).sum(1).tolist() == [1, 1, 1]


def test_a_row_is_hidden_by_seed_step_and_id_whatever_lies_beside_it(tokenizer):
    rows = source(list(tiny.TEXTS), tokenizer)
    alone = KIND.drawn(rows.batch([2]), tokenizer, STEP, at=5)
    beside = KIND.drawn(rows.batch([0, 2, 1]), tokenizer, STEP, at=5)
    length = alone.inputs["input_ids"].shape[1]
    assert torch.equal(beside.inputs["input_ids"][1, :length], alone.inputs["input_ids"][0])
    later = KIND.drawn(rows.batch([2]), tokenizer, STEP, at=6)
    assert not torch.equal(later.targets, alone.targets)
    other = SimpleNamespace(seed=8, mlm_probability=0.15)
    assert not torch.equal(KIND.drawn(rows.batch([2]), tokenizer, other, at=5).targets, alone.targets)


def test_the_loss_is_that_of_transformers_on_the_same_hidden_tokens(tokenizer):
    model = tiny.tiny_masked_bert(vocab=len(tokenizer))
    rows = source(list(tiny.TEXTS), tokenizer)
    batch = KIND.drawn(rows.batch(range(len(tiny.TEXTS))), tokenizer, STEP, at=3)
    expected = model(**batch.inputs, labels=batch.targets).loss
    reader = ForwardModel(model).probe()
    term = Term("cross_entropy", cross_entropy, ("student_logits", "labels"))
    criterion = Criterion([term])
    outputs = reader.read(batch.inputs, DISTRIBUTION)
    loss, _ = criterion(outputs, None, batch, counts=criterion.counts(batch), step=0, total_steps=1)
    torch.testing.assert_close(loss, expected)


def test_a_tokenizer_without_a_mask_token_is_refused():
    with pytest.raises(ModelError, match="must have a mask token"):
        source(["some text"], tiny.tiny_tokenizer())
