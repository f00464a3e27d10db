"""Who teaches which row: ranked by uncertainty, asked as often as it should be, and without a gradient."""

import json

import pytest
import torch

import limbeck
from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.needs import DISTRIBUTION, Needs
from limbeck.core.outputs import Outputs
from limbeck.recipes.batches import Selection
from limbeck.recipes.steps import Train
from limbeck.runs.assembly.transforms.selection import Selector
from limbeck.runs.record.progress import Silent
from limbeck.teachers.routing import only_rows

# Entropy over log 2 of softmax(10, 0), (0, 0), (1, 0) and (3, 0).
SCORES = torch.tensor([[10.0, 0.0], [0.0, 0.0], [1.0, 0.0], [3.0, 0.0]])


def batch() -> Batch:
    ids = torch.arange(8).view(4, 2)
    return Batch(
        inputs={"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        targets=torch.tensor([0, 1, 0, 1]),
        row_ids=[["a"], ["b"], ["c"], ["d"]],
    )


def selector(settings: Selection | None, other=None) -> Selector:
    scores = SCORES.clone().requires_grad_()
    return Selector(settings, lambda batch: Outputs(logits=scores), other, seed=0)


def answer(value: float):
    def says(part: Batch, needs: Needs) -> Outputs:
        return Outputs(logits=part.inputs["input_ids"].float() * value + value)

    return says


def test_the_most_uncertain_share_is_asked_about_and_nobody_else():
    chosen = selector(Selection(share=0.5))
    (marked,) = chosen([batch()], 0, 9)
    assert marked.group_names == ("uncertain", "certain")
    assert marked.groups.tolist() == [1, 0, 0, 1]
    answered = chosen.asking(answer(1.0))(marked, DISTRIBUTION).logits
    assert chosen.asked == 2
    # Rows b and c hold ids 2, 3 and 4, 5; the others get zeros.
    assert answered.tolist() == [[0, 0], [3, 4], [5, 6], [0, 0]]


def test_the_share_is_of_the_whole_step_however_it_is_cut():
    rows = [only_rows(batch(), torch.tensor([row])) for row in range(4)]
    scores = iter(SCORES)
    chosen = Selector(Selection(share=0.5), lambda one: Outputs(logits=next(scores)[None]), None, seed=0)
    marked = chosen(rows, 0, 9)
    assert [one.groups.tolist() for one in marked] == [[1], [0], [0], [1]]
    answered = [chosen.asking(answer(1.0))(one, DISTRIBUTION).logits for one in marked]
    assert chosen.asked == 2
    assert answered[0] is None and answered[1].tolist() == [[3, 4]]


def test_a_share_of_no_row_and_terms_that_nobody_answers_are_refused():
    step = Train(
        out="student", student="S", teacher="T", rows="rows.train", selection=Selection(share=0.1),
        objective=[{"name": "logit_mse"}], per_device_train_batch_size=4,
    )  # fmt: skip
    share, on = step.inner_problems()
    assert "at least one of the 4 rows of a step, got 0.1" in share.message
    assert "must be uncertain: nobody answers the other rows" in on.message


def test_the_share_is_rounded_down():
    chosen = selector(Selection(share=0.3))
    (marked,) = chosen([batch()], 0, 9)
    chosen.asking(answer(1.0))(marked, DISTRIBUTION)
    assert chosen.asked == 1


def test_another_teacher_answers_the_other_rows():
    chosen = selector(Selection(share=0.5), other=answer(-1.0))
    (marked,) = chosen([batch()], 0, 9)
    assert chosen.asking(answer(1.0))(marked, DISTRIBUTION).logits.tolist() == [
        [-1, -2],
        [3, 4],
        [5, 6],
        [-7, -8],
    ]
    assert chosen.asked == 4


@pytest.mark.parametrize("by", ["entropy", "margin", "least_confidence"])
def test_every_rule_finds_the_undecided_row_first(by):
    (marked,) = selector(Selection(by=by, share=0.25))([batch()], 0, 9)
    assert marked.groups.tolist() == [1, 0, 1, 1]


def test_a_random_choice_is_one_of_seed_and_step():
    chosen = selector(Selection(by="random", share=0.5))
    first, again, later = (chosen([batch()], step, 9)[0].groups.tolist() for step in (0, 0, 5))
    assert first == again and sorted(first) == sorted(later) == [0, 0, 1, 1]


def test_uncertainty_is_the_entropy_over_its_maximum_and_a_constant():
    (marked,) = selector(None)([batch()], 0, 9)
    unsure = marked.signals["uncertainty"]
    # H(sigmoid(10)) / log 2 = 0.00072 (the notes' number), and 1 for equal scores.
    torch.testing.assert_close(unsure[:2], torch.tensor([0.00072, 1.0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(marked.signals["certainty"], 1 - unsure)
    assert not unsure.requires_grad and marked.groups is None


@pytest.mark.parametrize(("dynamic", "asked"), [("data", 6), ("teacher", 12), ("objective", 12)])
def test_dynamic_kd_runs_and_says_how_often_it_asked(world, tmp_path, dynamic, asked):
    more = {"small_teacher": str(world / "bert")} if dynamic == "teacher" else {}
    done = limbeck.run(
        "dynamic_kd", tmp_path / "run", teacher=str(world / "bert"), data=str(world / "labels.jsonl"),
        dynamic=dynamic, layers=2, teacher_layers=4, max_steps=3, per_device_train_batch_size=4,
        max_length=32, heldout=4, baseline=False, progress=Silent(), **more,
    )  # fmt: skip
    (folder,) = (done.folder / "steps").glob("*-train-student")
    notes = json.loads((folder / "done.json").read_text())["notes"]
    assert f"Teachers read {asked} rows." in notes


def test_two_teachers_belong_to_their_use_alone():
    with pytest.raises(ConfigError, match="small_teacher: goes with dynamic: teacher"):
        limbeck.recipes.dynamic_kd(teacher="T", data="d", small_teacher="U")
