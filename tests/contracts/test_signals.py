"""What every signal and every tap promises, whoever wrote it: one battery over the tables."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.errors import ModelError
from limbeck.core.forward_model import ForwardModel
from limbeck.core.masks import IGNORE
from limbeck.core.needs import DISTRIBUTION, NOTHING, at
from limbeck.core.outputs import Outputs
from limbeck.core.signals import SIGNALS, Moment, Signal, TopK, Trial
from limbeck.core.signals.entry import SIDES
from limbeck.core.taps import TAPS
from limbeck.core.term import LayerMap
from limbeck.teachers import LocalTeacher
from tests.teachers.test_cross_tokenizer import STUDENT, STUDENT_CHUNKS, foreign, padded
from tests.tiny import (
    random_ids,
    tiny_bert,
    tiny_gpt2,
    tiny_llama,
    tiny_mixtral,
    tiny_t5,
)

OF_TEACHERS = ("chunks",)  # taps that no model has by itself
FORMS = {"teacher_topk": (True,), "teacher_pairs": (False,), "teacher_mean_pairs": (False,)}
"""Signals that a teacher gives live alone, or as a top-k store alone."""
LAYERS = LayerMap((0, -1), (0, 1))
TRIALS = [
    Trial(layers=2, stored=stored, whole_rows=whole) for stored in (False, True) for whole in (False, True)
]
EVERY = pytest.mark.parametrize("entry", SIGNALS.values(), ids=SIGNALS)


def tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from tensors(part)


def check_shape(value: Any, entry: Signal, **sizes: int) -> None:
    """The value is what `about` says: a class by its name, tensors by the shape in brackets."""
    named = re.match(r"(\w+): ", entry.about)
    if named:
        assert type(value).__name__ == named[1], entry.name
    bracket = re.search(r"\[([^\]]+)\]", entry.about)
    if bracket is None:
        return
    letters = bracket[1].split(", ")
    for tensor in value if named else (value,):
        shape, bound = tensor.shape, dict(sizes)  # keys and values may be narrower than queries
        if letters[0] == "...":
            shape, wanted = shape[len(shape) - len(letters) + 1 :], letters[1:]
        else:
            wanted = letters
        assert len(shape) == len(wanted), (entry.name, tensor.shape)
        for letter, size in zip(wanted, shape, strict=True):
            assert bound.setdefault(letter, size) == size, (entry.name, letter, tensor.shape)


@EVERY
def test_says_what_it_is_and_asks_for_taps_that_exist(entry):
    assert re.match(r"\[|\w+: ", entry.about) and not entry.about.endswith(".")
    assert entry.side is None or entry.name.startswith(f"{entry.side}_")
    for side, tap, _ in entry.asks:
        assert side in SIDES and tap in ("distribution", *OF_TEACHERS, *TAPS)
    assert not entry.pointwise or entry.in_packs  # what stands at one position has no neighbours
    assert not (entry.pointwise and entry.reads_layers)


@EVERY
def test_what_objectives_are_tried_on_has_the_shape_that_is_documented(entry):
    tried = 0
    for trial in TRIALS:
        if trial.stored not in FORMS.get(entry.name, (False, True)):
            continue
        value = entry.trial(trial)
        if not isinstance(value, TopK):  # of any signal on scores, where the teacher is a store
            sizes = {"B": trial.rows, "T": trial.tokens, "M": trial.layers}
            check_shape(value, entry, **sizes)
        tried += 1
    assert tried


def world(entry: Signal) -> tuple[ForwardModel, Callable[..., Outputs], Batch]:
    """A student, a teacher that gives what the signal asks, and a batch that suits both."""
    build = tiny_mixtral if "routing" in {tap for _, tap, _ in entry.asks} else tiny_llama
    student = ForwardModel(build(), 320).probe()
    if any(ask[:2] == ("teacher", "chunks") for ask in entry.asks):
        return student, foreign().answer, padded(STUDENT, STUDENT_CHUNKS)
    ids = random_ids(2, 5)
    targets = torch.cat([ids[:, 1:], torch.full((2, 1), IGNORE)], 1)
    numbers = {name: torch.ones(2, 5) for name in ("advantages", "sampled_log_probs", "spans")}
    mask = torch.ones_like(ids)
    batch = Batch({"input_ids": ids, "attention_mask": mask}, targets, [("a",), ("b",)], signals=numbers)
    teacher = LocalTeacher(tiny_llama(seed=1), 320)

    def answer(batch: Batch, needs: Any) -> Outputs:
        answer = teacher.answer(batch, needs)
        if entry.name != "teacher_topk":
            return answer
        log_probs, ids = (answer.hidden @ answer.head.weight.T).log_softmax(-1).topk(3)
        return Outputs(topk=TopK(ids, log_probs, (-log_probs.exp().sum(-1)).log1p()))

    return student, answer, batch


@EVERY
def test_is_taken_from_models_in_the_shape_that_is_documented_with_gradients_of_the_student_alone(entry):
    student, ask, batch = world(entry)
    asked = entry.needs("teacher", LAYERS)
    # No model is asked for more than the signal says.
    answer = student.read(batch.inputs, entry.needs("student", LAYERS))
    sums = {} if entry.summed is None else {entry.name: entry.summed(answer, batch)}
    teacher = ask(batch, asked) if asked else None
    moment = Moment(answer, teacher, batch, LAYERS, tokens=torch.tensor(8.0), sums=sums)
    value = entry.take(moment)
    rows, tokens = batch.inputs["input_ids"].shape
    check_shape(value, entry, B=rows, T=tokens, M=2)
    flows = any(one.requires_grad for one in tensors(value))
    assert flows == (entry.side == "student")
    if entry.pointwise:
        chosen = batch.loss_mask
        at_chosen = entry.take(replace(moment, chosen=chosen))
        for one, whole in zip(tensors(at_chosen), tensors(value), strict=True):
            torch.testing.assert_close(one, whole[chosen], atol=1e-5, rtol=1e-5)


MODELS = {"llama": tiny_llama, "gpt2": tiny_gpt2, "bert": tiny_bert, "t5": tiny_t5, "mixtral": tiny_mixtral}
DECODERS = ("llama", "gpt2", "t5", "mixtral")
# Which models have a tap, and sites of it; the embedding output is a site of the states.
TAPPED: dict[str, tuple[tuple[str, ...], tuple[Any, ...]]] = {
    "states": (tuple(MODELS), (0, -1, "embedding")),
    "qkv": (("llama", "bert", "t5", "mixtral"), (0, -1)),
    "scores": (tuple(MODELS), (0, -1)),
    "space": (DECODERS, (None,)),
    "routing": (("mixtral",), (None,)),
}


def read(model: Any, needs: Any) -> Outputs:
    ids = random_ids(2, 6)
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2])
    inputs = {"input_ids": ids, "attention_mask": mask}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids[:, :5]
    return ForwardModel(model).probe().read(inputs, needs)


def test_every_tap_is_in_the_battery():
    assert set(TAPPED) == set(TAPS)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("tap", TAPS)
def test_a_tap_gives_the_same_in_every_attention_with_gradients_or_says_that_there_is_none(tap, name):
    models, sites = TAPPED[tap]
    values = []
    for attention in ("sdpa", "eager"):
        model = MODELS[name]()
        model.set_attn_implementation(attention)
        if name not in models:
            with pytest.raises(ModelError, match="model must"):
                read(model, at(tap, *sites))
            return
        hooks = []
        for needs in (NOTHING, NOTHING if name == "bert" else DISTRIBUTION):
            answer = read(model, at(tap, *sites) | needs)
            assert set(answer.taps) == at(tap, *sites)
            values.append([list(tensors(answer.taps[tap, site])) for site in sites])
            hooks.append([len(one._forward_hooks | one._forward_pre_hooks) for one in model.modules()])
        assert hooks[0] == hooks[1]  # transformers leaves some of its own, once
    for one in values:
        for site, expected in zip(one, values[0], strict=True):
            assert site and site[0].requires_grad
            torch.testing.assert_close(site, expected, atol=1e-5, rtol=1e-4)
