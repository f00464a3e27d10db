"""Log-probabilities of sampled tokens, importance weights, and advantages as terms see them."""

from pathlib import Path

import pytest
import torch

from limbeck.core.batch import Batch
from limbeck.core.forward_model import ForwardModel
from limbeck.core.masks import IGNORE
from limbeck.core.outputs import Outputs
from limbeck.core.rollouts import SOURCES, Advantages, RolloutSettings
from limbeck.core.term import Term
from limbeck.core.training import TrainingSettings
from limbeck.engine import Party, train
from limbeck.objectives import policy_gradient
from limbeck.objectives.criterion import Criterion
from limbeck.rollouts.score import scores
from tests.engine.world import VOCABULARY, Changed, Rows
from tests.rollouts.world import make_rollouts, tiny_student, tiny_teacher, window
from tests.tiny import tiny_llama

JUDGED = {"needs_scores": True, "advantages": Advantages()}


def dense(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """[B, T] log-probability of every target under a plain forward pass, 0 where there is none."""
    with torch.no_grad():
        log_q = model(**batch.inputs).logits.log_softmax(-1)
    loss_mask = batch.targets != IGNORE
    found = log_q.gather(-1, batch.targets.clamp_min(0)[..., None]).squeeze(-1)
    return torch.where(loss_mask, found, 0.0)


def test_log_probabilities_are_those_of_a_plain_forward_pass(tmp_path: Path):
    student, teacher = tiny_student(), tiny_teacher()
    for batch in make_rollouts(tmp_path, model=student, **JUDGED)(window(range(6), range(6, 9)), 0, 9):
        q, p = dense(student, batch), dense(teacher, batch)
        torch.testing.assert_close(batch.signals["sampled_log_probs"], q, atol=1e-5, rtol=0)
        torch.testing.assert_close(batch.signals["advantages"], p - q, atol=1e-5, rtol=0)
        importance = batch.signals["importance"]
        torch.testing.assert_close(importance, (batch.targets != IGNORE).float())


def test_rows_of_the_data_are_not_judged(tmp_path: Path):
    (batch,) = make_rollouts(tmp_path, student=0.5, **JUDGED)(window(range(24)), 0, 9)
    is_student = batch.groups == batch.group_names.index("student")
    assert is_student.any(1).tolist() != [True] * 24
    for values in batch.signals.values():
        assert (values[~is_student] == 0).all()


def test_a_judged_student_is_the_one_without_dropout(tmp_path: Path):
    model = tiny_llama(vocab=VOCABULARY, seed=1, attention_dropout=0.5).train()
    batches = make_rollouts(tmp_path, model=model, **JUDGED)(window(range(4)), 0, 9)
    assert all(module.training for module in model.modules())
    model.eval()
    torch.testing.assert_close(
        batches[0].signals["sampled_log_probs"], dense(model, batches[0]), atol=1e-5, rtol=0
    )


def test_the_sampling_temperature_is_part_of_the_policy_and_not_of_the_student(tmp_path: Path):
    student = tiny_student()
    (batch,) = make_rollouts(tmp_path, model=student, sampling_temperature=0.5, **JUDGED)(
        window(range(6)), 0, 9
    )
    loss_mask = batch.targets != IGNORE
    with torch.no_grad():
        logits = student(**batch.inputs).logits[loss_mask]
    labels = batch.targets[loss_mask][:, None]
    colder = (logits / 0.5).log_softmax(-1).gather(-1, labels).squeeze(-1)
    own = logits.log_softmax(-1).gather(-1, labels).squeeze(-1)
    torch.testing.assert_close(batch.signals["sampled_log_probs"][loss_mask], colder, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        batch.signals["importance"][loss_mask], (own - colder).exp(), atol=1e-4, rtol=1e-4
    )


def test_importance_weights_average_to_one_under_the_mixture(tmp_path: Path):
    # One token for each of many equal prompts; sum_y m(y) * q(y) / m(y) = 1.
    student = tiny_llama(vocab=VOCABULARY, seed=1, initializer_range=0.3)
    weights = []
    for step in range(40):
        made = make_rollouts(
            tmp_path / str(step), model=student, seed=step, guide_share=0.4, max_new_tokens=1, **JUDGED
        )(window([8] * 48), 0, 9)
        weights.append(made[0].signals["importance"][made[0].targets != IGNORE])
    drawn = torch.cat(weights)
    assert drawn.std() > 0.1  # a weight that is always 1 would be no test
    assert drawn.max() <= 1 / 0.6 + 1e-4  # q / (0.6 q + 0.4 p)
    assert abs(drawn.mean() - 1) < 4 * drawn.std() / len(drawn) ** 0.5


def test_whitening_is_over_the_step_and_not_over_a_micro_batch(tmp_path: Path):
    settings = {"needs_scores": True, "advantages": Advantages(whiten=True)}
    whole = make_rollouts(tmp_path / "a", **settings)(window(range(12)), 0, 9)
    parts = make_rollouts(tmp_path / "b", **settings)(window(range(3), range(3, 12)), 0, 9)
    one, several = (
        torch.cat([batch.signals["advantages"][batch.targets != IGNORE] for batch in made])
        for made in (whole, parts)
    )
    torch.testing.assert_close(one, several, atol=1e-5, rtol=0)
    torch.testing.assert_close(one.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(one.std(correction=0), torch.tensor(1.0))


@pytest.mark.parametrize("bf16", [False, True])
def test_at_the_first_pass_the_ratio_of_the_engine_is_one(tmp_path: Path, bf16: bool):
    # The policy gradient's value is then minus the mean advantage, whatever the precision.
    student = tiny_student()
    rollouts = make_rollouts(tmp_path, model=student, **JUDGED)
    seen: list[Batch] = []

    def note(batch: Batch) -> Batch:
        seen.append(batch)
        return batch

    signals = ("student_logits", "labels", "advantages", "sampled_log_probs")
    term = Term("policy_gradient", policy_gradient, signals, on="student")
    settings = TrainingSettings(max_steps=1, per_device_train_batch_size=8, bf16=bf16)
    party = Party("student", student, ForwardModel(student).probe(), Criterion([term]), settings)
    reports = []
    train([party], Rows(), folder=tmp_path, transforms=[rollouts, Changed(note)], on_step=reports.append)
    loss_mask = seen[0].targets != IGNORE
    expected = -seen[0].signals["advantages"][loss_mask].mean()
    assert reports[0].loss == pytest.approx(float(expected), rel=1e-4)


def judged(student, teacher, **settings):
    """Numbers of one sampled token, 1, with these probabilities of the models."""
    inputs = {name: torch.ones(1, 2, dtype=torch.long) for name in ("input_ids", "attention_mask")}
    targets = torch.tensor([[1, IGNORE]])
    batch = Batch(
        inputs, targets, [["a"]], groups=torch.where(targets == IGNORE, IGNORE, 1), group_names=SOURCES
    )
    models = [Outputs(logits=torch.tensor(p).log().expand(1, 2, -1)) for p in (student, teacher)]
    chosen = RolloutSettings(advantages=Advantages(), **settings)
    found = scores(batch, chosen, student=lambda _: models[0], teacher=lambda _: models[1])
    return found["sampled_log_probs"][0, 0].exp().item(), found["importance"][0, 0].item()


def test_with_top_p_the_policy_is_that_of_the_tokens_it_could_draw():
    # Of (0.5, 0.3, 0.15, 0.05) the first two reach 0.6: token 1 was drawn with 0.3 / 0.8.
    found = judged([0.5, 0.3, 0.15, 0.05], [0.25] * 4, top_p=0.6)
    assert found == pytest.approx((0.375, 0.3 / 0.375))
    # Squared and normalised at temperature 1/2: (25, 9, 2.25, 0.25) / 36.5; again two reach 0.9.
    found = judged([0.5, 0.3, 0.15, 0.05], [0.25] * 4, top_p=0.9, sampling_temperature=0.5)
    assert found == pytest.approx((9 / 34, 0.3 / (9 / 34)))


def test_with_a_guide_the_tokens_that_could_be_drawn_are_those_of_the_mixture():
    # (0.6, 0.3, 0.1) and (0.1, 0.5, 0.4) make (0.35, 0.4, 0.25): token 1 and 0 reach 0.7.
    found = judged([0.6, 0.3, 0.1], [0.1, 0.5, 0.4], top_p=0.7, guide_share=0.5)
    assert found == pytest.approx((0.4 / 0.75, 0.3 / (0.4 / 0.75)))
