"""The order of events in one optimizer step, and what must not change it."""

import json
import os
import signal
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from limbeck.core.batch import Batch
from limbeck.core.errors import Interrupted, NotFiniteError, RowError
from limbeck.core.forward_model import ForwardModel
from limbeck.core.masks import IGNORE
from limbeck.core.outputs import Outputs
from limbeck.engine import Party, StepReport, train
from limbeck.students import add_lora
from tests.engine.world import Changed, Rows, nothing_learnt, student_party, teacher_answer


def trained(folder: Path, **settings: object) -> tuple[Party, list[StepReport]]:
    party, reports = student_party(**settings), []
    train([party], Rows(), folder=folder, on_step=reports.append)
    return party, reports


def weights(party: Party) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in party.model.parameters()])


@pytest.mark.parametrize(("size", "accumulation"), [(4, 2), (2, 4), (1, 8)])
def test_the_step_does_not_depend_on_micro_batching(tmp_path: Path, size: int, accumulation: int) -> None:
    whole, expected = trained(tmp_path / "whole", per_device_train_batch_size=8)
    parts, got = trained(
        tmp_path / "parts", per_device_train_batch_size=size, gradient_accumulation_steps=accumulation
    )
    for one, other in zip(expected, got, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-6)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-6)
        assert other.terms == pytest.approx(one.terms, rel=1e-6)
    torch.testing.assert_close(weights(parts), weights(whole), atol=1e-6, rtol=0)


def test_the_loss_is_the_mean_over_all_learnt_tokens_of_the_step(tmp_path: Path) -> None:
    # By hand, without engine, criterion or fused head: dense logits, one sum, one count.
    party = student_party(max_steps=1, per_device_train_batch_size=2, gradient_accumulation_steps=4)
    from limbeck.core.seeds import generator

    shuffled = generator(0, "order", 0).permutation(len(Rows()))[:8].tolist()
    batch = Rows().batch(shuffled)
    teacher = teacher_answer(batch)
    log_q = party.model(**batch.inputs).logits.log_softmax(-1)
    log_p = (teacher.hidden @ teacher.head.weight.T).log_softmax(-1)
    loss_mask = batch.targets != IGNORE
    kl = (log_p.exp() * (log_p - log_q)).sum(-1)[loss_mask].mean()
    nll = -log_q[loss_mask].gather(1, batch.targets[loss_mask][:, None]).mean()
    reports: list[StepReport] = []
    train([party], Rows(), folder=tmp_path, on_step=reports.append)
    assert reports[0].terms["forward_kl"] == pytest.approx(kl.item(), rel=1e-5)
    assert reports[0].terms["cross_entropy"] == pytest.approx(nll.item(), rel=1e-5)
    assert reports[0].loss == pytest.approx((0.7 * kl + 0.3 * nll).item(), rel=1e-5)


def test_units_are_counted_after_the_transforms(tmp_path: Path) -> None:
    # The transform leaves one learnt token a row; a count taken before it would divide by about seven.
    def keep_one(batch: Batch) -> Batch:
        return replace(batch, targets=first_only(batch.targets))

    def first_only(targets: torch.Tensor) -> torch.Tensor:
        loss_mask = targets != IGNORE
        return torch.where(loss_mask & (loss_mask.cumsum(1) == 1), targets, IGNORE)

    class Prepared(Rows):
        def batch(self, indices: list[int]) -> Batch:
            return keep_one(super().batch(indices))

    late, early = [], []
    train(
        [student_party()],
        Rows(),
        folder=tmp_path / "late",
        transforms=[Changed(keep_one)],
        on_step=late.append,
    )
    train([student_party()], Prepared(), folder=tmp_path / "early", on_step=early.append)
    assert [report.loss for report in late] == [report.loss for report in early]


def test_a_loss_that_is_not_finite_stops_before_the_update_and_names_the_rows(tmp_path: Path) -> None:
    party = student_party(per_device_train_batch_size=1, gradient_accumulation_steps=8)
    before = weights(party).clone()

    def poisoned(batch: Batch) -> object:
        answer = teacher_answer(batch)
        return replace(answer, hidden=answer.hidden * (float("nan") if batch.row_ids[0][0] == "row-5" else 1))

    with pytest.raises(
        NotFiniteError, match=r"loss of student in step \d+ must be finite.*rows row-5\."
    ) as caught:
        train([replace(party, answer=poisoned)], Rows(), folder=tmp_path)
    assert caught.value.exit_code == 1
    finished = (tmp_path / "metrics.jsonl").read_text().count("\n")
    if finished == 0:
        assert torch.equal(weights(party), before)
    assert torch.isfinite(weights(party)).all()


def test_a_step_without_anything_to_learn_names_its_rows(tmp_path: Path) -> None:
    with pytest.raises(RowError, match=r"step 1 must have something to learn from.*row-"):
        train([student_party()], Rows(), folder=tmp_path, transforms=[Changed(nothing_learnt)])


def test_sigterm_saves_the_step_in_hand_and_the_same_call_continues(tmp_path: Path) -> None:
    whole, _ = trained(tmp_path / "whole", max_steps=6, dropout=0.1)

    def stop_at_three(report: StepReport) -> None:
        if report.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    party = student_party(max_steps=6, dropout=0.1)
    with pytest.raises(Interrupted, match="after step 3 of 6"):
        train([party], Rows(), folder=tmp_path / "cut", on_step=stop_at_three)
    continued, reports = trained(tmp_path / "cut", max_steps=6, dropout=0.1)
    assert [report.step for report in reports] == [4, 5, 6]
    assert torch.equal(weights(continued), weights(whole))


def test_metrics_hold_each_step_once_in_order(tmp_path: Path) -> None:
    trained(tmp_path, max_steps=5, save_steps=2)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[-1]["tokens"] > lines[0]["tokens"] > 0


@pytest.mark.parametrize(("balance", "most"), [(None, 1), ("gradient_magnitude", 4)])
def test_one_answer_of_the_teacher_is_alive_at_a_time_unless_terms_are_balanced(tmp_path, balance, most):
    alive: list[weakref.ref] = []
    counts = []

    def answer(batch: Batch) -> Outputs:
        found = teacher_answer(batch)
        alive.append(weakref.ref(found.hidden))
        counts.append(sum(one() is not None for one in alive))
        return found

    party = student_party(max_steps=2, per_device_train_batch_size=2, gradient_accumulation_steps=4)
    train([replace(party, balance=balance, answer=answer)], Rows(), folder=tmp_path)
    assert len(counts) == 8 and max(counts) == most


def adapted_party(**settings: object) -> Party:
    """Adapters on a frozen model: nothing below the first one takes a gradient."""
    party = student_party(max_steps=2, **settings)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = add_lora(party.model, r=2, alpha=4, dropout=0.0, target_modules="all-linear")
    return replace(party, model=model, reader=ForwardModel(model).probe())


def test_recomputed_activations_give_adapters_on_frozen_embeddings_the_same_gradients(tmp_path):
    parties = [adapted_party(gradient_checkpointing=recompute) for recompute in (False, True)]
    for place, party in enumerate(parties):
        train([party], Rows(), folder=tmp_path / str(place))
    plain, recomputed = (dict(party.model.named_parameters()) for party in parties)
    adapters = [name for name, weight in plain.items() if weight.requires_grad]
    assert any("layers.0" in name for name in adapters)
    for name in adapters:
        torch.testing.assert_close(recomputed[name], plain[name], atol=1e-6, rtol=1e-5, msg=name)
        assert "lora_B" not in name or plain[name].any(), name


def test_mixed_precision_leaves_the_weights_and_moments_in_float32(tmp_path):
    party, _ = trained(tmp_path / "mixed", bf16=True, max_steps=2)
    plain, _ = trained(tmp_path / "plain", max_steps=2)
    assert {weight.dtype for weight in party.model.parameters()} == {torch.float32}
    difference = (weights(party) - weights(plain)).abs().max()
    assert 0 < difference < 0.02  # two steps of at most 0.01
