"""Every transform of batches: repeatable, as it declares, and the same after a kill."""

import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from limbeck.core.batch import Batch
from limbeck.core.errors import Interrupted
from limbeck.core.masks import IGNORE
from limbeck.core.outputs import Outputs
from limbeck.core.rollouts import Replay
from limbeck.core.seeds import generator
from limbeck.core.signals import ANSWERED
from limbeck.core.transform import Transform
from limbeck.engine import StepReport, train
from limbeck.objectives.criterion import Criterion
from limbeck.recipes.batches import Domains, NamedTransform, Selection, WordDropout
from limbeck.rows.text_kind import TextKind
from limbeck.runs.assembly import transforms
from limbeck.runs.assembly.transforms.alignment import AnsweredMarker
from limbeck.runs.assembly.transforms.corpus import Corpus
from limbeck.runs.assembly.transforms.domains import DomainRows
from limbeck.runs.assembly.transforms.drawn import Drawn
from limbeck.runs.assembly.transforms.selection import Selector
from limbeck.runs.assembly.transforms.spans import SpanMarker
from limbeck.runs.assembly.transforms.word_dropout import TokenNoise
from tests.engine.world import ROWS, VOCABULARY, Rows, student_party
from tests.rollouts.world import make_rollouts, tiny_student

SEED, TOTAL, STEPS = 3, 9, 4


class Spelling:
    """Two words and a full stop."""

    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]:
        return [("the", "Ġcat", ".")[index % 3] for index in ids]


def unsure(batch: Batch) -> Outputs:
    """Two scores a row, by its name."""
    scores = [float(names[0].removeprefix("row-")) for names in batch.row_ids]
    return Outputs(logits=torch.tensor(scores)[:, None] * torch.tensor([[0.1, 0.0]]))


def half_answered(batch: Batch) -> Batch:
    groups = (batch.inputs["input_ids"] % 2).where(batch.loss_mask, torch.tensor(IGNORE))
    return replace(batch, groups=groups, group_names=ANSWERED)


def rollouts(folder: Path, seed: int) -> Transform:
    # Half of the steps are the data's, the others write and fill a buffer, then take from it.
    settings = {"draw": "step", "student": 0.6, "replay": Replay(capacity=10), "shares": {"fresh": 0.5}}
    return make_rollouts(folder, model=tiny_student(), seed=seed, **settings)


class Flips(TextKind):
    """Sets the first token of a row anew in each step."""

    def drawn(self, batch: Batch, tokenizer: Any, step: Any, *, at: int | str) -> Batch:
        ids = batch.inputs["input_ids"].clone()
        for line, names in enumerate(batch.row_ids):
            ids[line, 0] = int(generator(step.seed, at, *names).integers(4, VOCABULARY))
        return replace(batch, inputs={**batch.inputs, "input_ids": ids})


MADE: dict[str, Callable[[Path, int], Transform]] = {
    "alignment": lambda folder, seed: AnsweredMarker(half_answered),
    "corpus": lambda folder, seed: Corpus(Rows(), [4, 4], seed),
    "domains": lambda folder, seed: DomainRows(["a", "b", "c"] * (ROWS // 3), Domains(), seed),
    "drawn": lambda folder, seed: Drawn(Flips(), None, SimpleNamespace(seed=seed)),
    "rollouts": rollouts,
    "selection": lambda folder, seed: Selector(Selection(by="random"), unsure, None, seed),
    "spans": lambda folder, seed: SpanMarker(Spelling()),
    "word_dropout": lambda folder, seed: TokenNoise(
        WordDropout(share=0.3), torch.arange(4, VOCABULARY), [0, 1, 2, 3], seed
    ),
}
NAMES = sorted(MADE)
METRICS = {"loss": 1.0, "gap_a": 1.5, "gap_b": 1.1, "gap_c": 3.0}


def test_the_battery_knows_every_transform():
    files = {path.stem for path in Path(transforms.__file__).parent.glob("*.py")}
    assert files - {"__init__", "training"} == MADE.keys()
    assert NamedTransform.model_fields.keys() <= MADE.keys()


def drawn(transform: Transform, step: int) -> list[Batch]:
    """The step's two micro-batches, from the entries that the transform takes or the next ones."""
    entries = transform.take(8 * step, 8)
    if entries is None:
        entries = [(8 * step + place) % ROWS for place in range(8)]
    window = [Rows().batch(entries[:4]), Rows().batch(entries[4:])]
    return transform(window, step, TOTAL)


def assert_equal(got: Sequence[Batch], expected: Sequence[Batch]) -> None:
    for one, other in zip(got, expected, strict=True):
        assert one.row_ids == other.row_ids and one.group_names == other.group_names
        for mine, theirs in ((one.inputs, other.inputs), (one.signals, other.signals)):
            assert mine.keys() == theirs.keys()
            assert all(torch.equal(mine[name], theirs[name]) for name in mine)
        assert torch.equal(one.targets, other.targets)
        assert (one.groups is None and other.groups is None) or torch.equal(one.groups, other.groups)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_a_function_of_seed_and_step(name, tmp_path):
    first, again = MADE[name](tmp_path / "a", SEED), MADE[name](tmp_path / "b", SEED)
    for step in range(STEPS):
        torch.manual_seed(step)  # what others draw does not matter
        expected = drawn(first, step)
        torch.manual_seed(99)
        assert_equal(drawn(again, step), expected)


@pytest.mark.parametrize("name", NAMES)
def test_it_adds_what_it_declares_and_leaves_its_input_as_it_was(name, tmp_path):
    transform = MADE[name](tmp_path, SEED)
    for step in range(STEPS):
        window, untouched = [Rows().batch([step, 9])], [Rows().batch([step, 9])]
        made = transform(window, step, TOTAL)
        assert_equal(window, untouched)
        assert {signal for batch in made for signal in batch.signals} <= transform.signals
        assert {batch.group_names for batch in made} <= {(), transform.groups}


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_state_goes_on_as_if_nothing_had_happened(name, tmp_path):
    whole, cut = MADE[name](tmp_path / "a", SEED), MADE[name](tmp_path / "b", SEED)
    for step in range(2):
        for one in (whole, cut):
            drawn(one, step)
            one.observe(step, TOTAL, METRICS)
    resumed = MADE[name](tmp_path / "b", SEED)
    resumed.load_state_dict(json.loads(json.dumps(cut.state_dict())))
    for step in range(2, STEPS):
        assert_equal(drawn(resumed, step), drawn(whole, step))
        for one in (whole, resumed):
            one.observe(step, TOTAL, METRICS)
    assert resumed.state_dict() == whole.state_dict()


@pytest.mark.parametrize("name", NAMES)
def test_a_training_killed_after_two_steps_ends_in_the_same_weights(name, tmp_path):
    def stop(report: StepReport) -> None:
        if report.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    def trained(folder: str, on_step: Callable[[StepReport], None] | None = None) -> torch.Tensor:
        settings = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
        taught = student_party(max_steps=STEPS, dropout=0.1, **settings)
        party = replace(taught, answer=None, criterion=Criterion(taught.criterion.terms[1:]))
        transform = MADE[name](tmp_path / folder / "own", SEED)
        train([party], Rows(), folder=tmp_path / folder, transforms=[transform], on_step=on_step)
        return torch.cat([parameter.detach().flatten() for parameter in party.model.parameters()])

    whole = trained("whole")
    with pytest.raises(Interrupted):
        trained("cut", stop)
    assert torch.equal(trained("cut"), whole)
