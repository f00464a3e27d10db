"""Sequences laid end to end for learning: nothing is lost, and the step stays what it is padded."""

from dataclasses import replace

import pytest
import torch

from limbeck.core.forward_model import ForwardModel
from limbeck.core.needs import DISTRIBUTION
from limbeck.core.rollouts import Advantages, RolloutSettings
from limbeck.core.term import Term
from limbeck.objectives import reverse_kl
from limbeck.objectives.criterion import Criterion
from limbeck.rollouts.returns import rewards_to_go
from limbeck.rollouts.rollout import Rollout, collate_rollouts
from limbeck.rollouts.score import scores
from tests.tiny import PAD, tiny_llama

CPU = torch.device("cpu")


def written(name, prompt, answer, source="student"):
    is_target = (False,) * len(prompt) + (True,) * len(answer)
    return Rollout(name, (*prompt, *answer), is_target, source)


SEQUENCES = [
    written("a", (5, 6, 7), (8, 9, 10, 11, 12)),
    written("b", (20, 21), (22,)),
    written("c", (30,), (31, 32, 33), source="data"),
    written("d", (40, 41), (42, 43)),
]


def test_sequences_share_lines_of_about_one_length():
    batch = collate_rollouts(SEQUENCES, PAD, CPU, packed=True)
    # Lengths 8, 3, 4, 4 make two lines of at most 16 on average: longest first, each to the shorter line.
    assert batch.inputs["input_ids"].tolist() == [
        [5, 6, 7, 8, 9, 10, 11, 12, 20, 21, 22],
        [30, 31, 32, 33, 40, 41, 42, 43, PAD, PAD, PAD],
    ]
    assert batch.inputs["position_ids"][1].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 0, 0]
    assert batch.row_ids == [["a", "b"], ["c", "d"]]
    assert batch.tokens == 19
    # Position t predicts token t + 1, and never the first token of the sequence behind it.
    assert batch.targets[1].tolist() == [31, 32, 33, -100, -100, 42, 43, -100, -100, -100, -100]
    assert batch.groups[1].tolist() == [0, 0, 0, -100, -100, 1, 1, -100, -100, -100, -100]


def test_long_sequences_stay_alone():
    long = [written(str(number), tuple(range(5, 105)), (9,) * 500) for number in range(2)]
    assert collate_rollouts(long, PAD, CPU, packed=True).inputs["input_ids"].shape == (2, 600)


@pytest.mark.parametrize("mean", ["token", "sequence"])
def test_loss_and_gradients_are_those_of_padded_rows(mean):
    student, teacher = tiny_llama(seed=1), tiny_llama(seed=2, width=64)
    criterion = Criterion([Term("kl", reverse_kl, ("student_logits", "teacher_logits"), mean=mean)])
    found = []
    for packed in (False, True):
        batch = collate_rollouts(SEQUENCES, PAD, CPU, packed=packed)
        with torch.no_grad():
            answer = ForwardModel(teacher).probe().read(batch.inputs, DISTRIBUTION)
        own = ForwardModel(student).probe().read(batch.inputs, DISTRIBUTION)
        counts = criterion.counts(batch)
        loss, _ = criterion(own, answer, batch, counts=counts, step=0, total_steps=1)
        student.zero_grad()
        loss.backward()
        found.append((counts[:, :2], loss.detach(), [parameter.grad for parameter in student.parameters()]))
    torch.testing.assert_close(found[1], found[0], atol=1e-6, rtol=1e-4)


def test_numbers_of_tokens_stay_with_their_tokens():
    numbered = [
        replace(one, numbers={"advantages": torch.tensor(one.ids, dtype=torch.float32)}) for one in SEQUENCES
    ]
    batch = collate_rollouts(numbered, PAD, CPU, packed=True)
    read = batch.inputs["input_ids"] != PAD
    assert torch.equal(batch.signals["advantages"][read], batch.inputs["input_ids"][read].float())


def test_rewards_are_not_summed_over_the_seam_of_two_sequences():
    rewards, loss_mask = torch.tensor([[1.0, 2.0, 4.0, 8.0]]), torch.ones(1, 4, dtype=torch.bool)
    found = rewards_to_go(rewards, loss_mask, 0.5, sequences=torch.tensor([[0, 0, 1, 1]]))
    assert found.tolist() == [[2.0, 2.0, 8.0, 8.0]]


@pytest.mark.parametrize(
    "judged",
    [
        Advantages(),
        Advantages(discount=1.0),
        Advantages(discount=0.9, return_from="t+1", length_normalised=True),
    ],
)
def test_sampled_tokens_are_judged_as_in_padded_rows(judged):
    models = [ForwardModel(tiny_llama(seed=seed)).probe() for seed in (1, 2)]
    student, teacher = ((lambda batch, one=one: one.read(batch.inputs, DISTRIBUTION)) for one in models)
    settings = RolloutSettings(advantages=judged)
    by_token = []
    for packed in (False, True):
        batch = collate_rollouts(SEQUENCES, PAD, CPU, packed=packed)
        numbers = scores(batch, settings, student=student, teacher=teacher)
        sampled = batch.groups == 1
        # No two sampled tokens here are equal.
        by_token.append(
            {
                name: dict(zip(batch.targets[sampled].tolist(), values[sampled].tolist(), strict=True))
                for name, values in numbers.items()
            }
        )
    padded, packed = by_token
    assert padded.keys() == packed.keys()
    for name, values in padded.items():
        assert packed[name] == pytest.approx(values, abs=1e-5), name
