"""DPO, IPO and SimPO in a training: as plain transformers computes them, whatever way a step is cut."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import logsigmoid

import limbeck
from limbeck.core.batch import Batch
from limbeck.core.forward_model import ForwardModel
from limbeck.core.masks import IGNORE
from limbeck.core.models import load_model, load_tokenizer
from limbeck.core.term import Term
from limbeck.objectives import dpo, ipo, simpo
from limbeck.objectives.criterion import Criterion
from limbeck.recipes import Recipe
from limbeck.recipes.check import check
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.progress import Silent
from tests.runs.world import make_world
from tests.tiny import random_ids, tiny_llama

TRAIN = {
    "out": "student", "rows": "rows.train", "task": "preference", "max_steps": 2, "learning_rate": 1e-3,
    "max_length": 64, "lr_scheduler_type": "constant", "objective": [{"name": "dpo", "beta": 0.1}],
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


def recipe(world, *before, **fields) -> Recipe:
    start = str(world / "student")
    steps = [
        {"load": {"out": "rows", "path": str(world / "pairs.jsonl"), "heldout": 0, "limit": 8}},
        *before,
        {"train": {**TRAIN, "student": start, "teacher": start, **fields}},
    ]
    return Recipe.from_data({"limbeck": 1, "name": "x", "steps": steps})


def trained(made: Recipe, folder):
    run = limbeck.run(made, folder, progress=Silent())
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines], load_file(str(run.student / "model.safetensors"))


def pairs_of(model, tokenizer, row) -> torch.Tensor:
    """[2] summed log-probabilities of both answers, written with transformers and torch alone."""
    sums = []
    for answer in (row["chosen"], row["rejected"]):
        prompt = tokenizer(row["prompt"] + "\n", add_special_tokens=False)["input_ids"]
        ids = tokenizer(answer, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        logits = model(input_ids=torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
        sums.append(logits.log_softmax(-1).gather(-1, torch.tensor(ids)[:, None]).sum())
    return torch.stack(sums)


def test_a_step_is_the_one_that_plain_transformers_takes(world, tmp_path):
    """All pairs in one step: log 2 at the reference; the second loss is that behind AdamW's first step."""
    whole = {"per_device_train_batch_size": 8, "max_grad_norm": 0.0}
    losses, weights = trained(recipe(world, **whole), tmp_path / "one")
    assert losses[0] == pytest.approx(math.log(2), abs=1e-6)
    student, reference = (load_model(str(world / "student"), "causal", dtype="auto") for _ in range(2))
    tokenizer = load_tokenizer(str(world / "student"))
    rows = [json.loads(line) for line in (world / "pairs.jsonl").read_text().splitlines()[:8]]
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.0)
    expected = []
    for _ in range(2):
        gained = torch.stack([pairs_of(student, tokenizer, row) for row in rows]) - torch.stack(
            [pairs_of(reference, tokenizer, row).detach() for row in rows]
        )
        loss = -logsigmoid(0.1 * (gained[:, 0] - gained[:, 1])).mean()
        expected.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses == pytest.approx(expected, abs=1e-6) and losses[1] < losses[0]
    # Weights whose gradient is rounding noise make full steps of Adam in either direction.
    apart = [(weights[name] - value).abs() for name, value in student.state_dict().items() if name in weights]
    assert torch.cat([one.flatten() for one in apart]).quantile(0.99) < 2e-5


def test_a_step_is_the_same_however_it_is_cut(world, tmp_path):
    cut = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    whole = {"per_device_train_batch_size": 8}
    first, _ = trained(recipe(world, **cut), tmp_path / "cut")
    second, _ = trained(recipe(world, **whole), tmp_path / "whole")
    assert first == pytest.approx(second, abs=1e-6)


def test_a_captured_reference_is_the_live_one(world, tmp_path):
    capture = {
        "out": "reference", "teacher": str(world / "student"), "rows": "rows.train", "task": "preference",
        "max_length": 64, "payload": {"hidden": {"dtype": "float32"}},
    }  # fmt: skip
    made = recipe(world, {"capture": capture}, teacher="reference")
    live, _ = trained(recipe(world), tmp_path / "live")
    stored, _ = trained(made, tmp_path / "stored")
    assert stored == pytest.approx(live, abs=1e-6)


def test_a_reference_of_likeliest_ids_and_rows_that_are_no_pairs_are_refused(world, tmp_path):
    capture = {
        "out": "reference", "teacher": str(world / "student"), "rows": "rows.train", "task": "preference",
        "max_length": 64,
    }  # fmt: skip
    with pytest.raises(
        limbeck.core.errors.UserError, match="a reference must be a model, or a store of its hid"
    ):
        make_plan(recipe(world, {"capture": capture}, teacher="reference"), tmp_path)
    (problem,) = check(recipe(world, task="default"))
    assert str(problem).startswith("steps.1.train.objective.0: dpo compares two answers: give the step task")


def batch(rows: slice) -> Batch:
    """Three pairs of rows of different lengths, padded."""
    ids, lengths = random_ids(6, 9), torch.tensor([9, 5, 7, 8, 4, 6])
    mask = (torch.arange(9) < lengths[:, None]).long()
    targets = torch.cat([ids[:, 1:], torch.full((6, 1), IGNORE)], 1)
    targets[mask.roll(-1, 1) == 0] = IGNORE
    targets[:, -1], targets[:, :2] = IGNORE, IGNORE
    groups = torch.where(targets == IGNORE, IGNORE, (torch.arange(6) % 2)[:, None])
    inputs = {"input_ids": ids[rows], "attention_mask": mask[rows]}
    names = [[str(row)] for row in range(6)][rows]
    return Batch(inputs, targets[rows], names, groups=groups[rows], group_names=("chosen", "rejected"))


@pytest.mark.parametrize(
    ("objective", "signals", "options"),
    [
        (dpo, ("student_pairs", "teacher_pairs"), {"beta": 0.3}),
        (ipo, ("student_mean_pairs", "teacher_mean_pairs"), {"beta": 0.3}),
        (simpo, ("student_mean_pairs",), {"beta": 2.0, "gamma": 1.0}),
    ],
)
@pytest.mark.parametrize("fused", [True, False])
def test_micro_batches_of_padded_pairs_add_up_to_the_mean_over_pairs(objective, signals, options, fused):
    term = Term("t", objective, signals, hyperparameters=options)
    criterion = Criterion([term], fused=fused)
    student, teacher = tiny_llama(seed=1), tiny_llama(seed=2)
    parts = [slice(0, 6)], [slice(0, 2), slice(2, 6)]
    found = []
    for cuts in parts:
        student.zero_grad()
        batches = [batch(cut) for cut in cuts]
        counts = torch.stack([criterion.counts(one) for one in batches]).sum(0)
        total = 0.0
        for one in batches:
            with torch.no_grad():
                answer = ForwardModel(teacher).probe().read(one.inputs, criterion.teacher_needs)
            said = ForwardModel(student).probe().read(one.inputs, criterion.student_needs)
            loss, _ = criterion(said, answer, one, counts=counts, step=0, total_steps=1)
            loss.backward()
            total += loss.item()
        found.append((total, [one.grad.clone() for one in student.parameters() if one.grad is not None]))
    whole = batch(slice(0, 6))
    mask = whole.targets != IGNORE
    pairs = []
    for model in (student, teacher):
        logits = model(**whole.inputs).logits.log_softmax(-1)
        tokens = logits.gather(-1, whole.targets.clamp_min(0)[..., None]).squeeze(-1) * mask
        sums = tokens.sum(-1) / (1 if objective is dpo else mask.sum(-1))
        pairs.append(sums.view(3, 2).detach())
    expected = objective(*pairs[: len(signals)], **options).mean().item()
    assert [total for total, _ in found] == pytest.approx([expected] * 2, abs=1e-5)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)
