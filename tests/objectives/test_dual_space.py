"""DSKD: where it is plain distillation, what its gradients reach, and what must not matter."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError, ModelError, ObjectiveError
from limbeck.core.forward_model import ForwardModel
from limbeck.core.masks import IGNORE
from limbeck.core.needs import at
from limbeck.core.outputs import Outputs
from limbeck.core.signals import Head
from limbeck.core.signals.space import HeadSpace, head_space_of
from limbeck.core.term import Term, Trainable
from limbeck.core.training import TrainingSettings
from limbeck.engine import Party, train
from limbeck.objectives import cross_entropy, dual_space
from limbeck.objectives.criterion import Criterion
from limbeck.objectives.dual_space import Affine
from limbeck.objectives.trainable import projectors
from tests import tiny
from tests.engine.world import VOCABULARY, Rows
from tests.objectives.worked import logits

SIGNALS = ("student_space", "teacher_space")


def space(*shape: int, vocabulary: int, seed: int, dtype: torch.dtype = torch.float32) -> HeadSpace:
    """[B, T, D], every position learnt, weights of the head included."""
    rows, tokens, _ = shape
    labels = torch.randint(0, vocabulary, (rows, tokens), generator=torch.Generator().manual_seed(seed))
    parts = [logits(*shape, seed=seed + place).to(dtype) for place in range(3)]
    return HeadSpace(*parts, labels, Head(logits(vocabulary, shape[-1], seed=seed + 3).to(dtype)))


def maps(student: int, teacher: int, dtype: torch.dtype = torch.float32) -> dict[str, Affine]:
    sizes = {
        "query": (2 * teacher, 2 * student),
        "to_student": (student, teacher),
        "to_teacher": (teacher, student),
    }
    return {
        name: Affine(logits(*size, seed=9 + place).to(dtype), logits(size[0], seed=20 + place).to(dtype))
        for place, (name, size) in enumerate(sizes.items())
    }


def on(one: HeadSpace, **leaves: Tensor) -> HeadSpace:
    return one._replace(**leaves)


def test_equal_models_with_a_diagonal_attention_are_plain_distillation():
    # Tokens told apart by their embeddings; identity maps; states of standard deviation 1; nothing added.
    tokens, width = 4, 8
    eye = torch.eye(tokens, width)[None]
    hidden = logits(2, 1, tokens, width, seed=0)
    hidden[1] = hidden[1] / hidden[1].std()
    head = Head(3 * logits(6, width, seed=1))
    scores = [part[0] @ head.weight.T for part in hidden]
    labels = scores[1].argmax(-1)[None]  # the teacher is right everywhere
    labels[0, 2] = scores[1][2].argmin()  # but at one position
    sides = [HeadSpace(part, eye, torch.zeros_like(eye), labels, head) for part in hidden]
    same = Affine(torch.eye(width), torch.zeros(width))
    query = Affine(1e4 * torch.eye(2 * width), torch.zeros(2 * width))
    found = dual_space(*sides, query=query, to_student=same, to_teacher=same, temperature=2.0)
    log_q, log_p = ((one / 2).log_softmax(-1) for one in scores)
    kl = (log_p.exp() * (log_p - log_q)).sum(-1)
    nll = -scores[1].log_softmax(-1)[range(tokens), labels[0]]
    right = torch.tensor([1.0, 1.0, 0.0, 1.0])
    # The teacher's part is spread over its row: every position has the mean.
    torch.testing.assert_close(found[0], nll + right * kl + kl.mean(), rtol=1e-5, atol=1e-6)


def test_no_gradient_reaches_a_head_through_the_other_side():
    student, teacher = space(2, 3, 4, vocabulary=7, seed=0), space(2, 5, 6, vocabulary=9, seed=5)
    given = maps(4, 6)
    heads = [replace(one.head, weight=one.head.weight.requires_grad_()) for one in (student, teacher)]
    leaves = [part.requires_grad_() for part in (teacher.hidden, teacher.inputs, teacher.outputs)]
    leaves += [student.inputs.requires_grad_(), student.outputs.requires_grad_()]
    wrong = labels_nobody_says(student, teacher, given)
    hidden = student.hidden.requires_grad_()
    ours = on(student, head=heads[0], labels=wrong, hidden=hidden)
    dual_space(ours, on(teacher, head=heads[1]), **given).sum().backward()
    assert hidden.grad.abs().max() > 0  # through s2t
    assert heads[0].weight.grad is None or not heads[0].weight.grad.any()
    assert heads[1].weight.grad is None and all(leaf.grad is None for leaf in leaves)


def labels_nobody_says(student: HeadSpace, teacher: HeadSpace, given: dict[str, Affine]) -> Tensor:
    """Labels at which t2s is wrong everywhere: D is empty, and so the head is read by t2s and s2t alone."""
    for label in range(len(student.head.weight)):
        labels = torch.full_like(student.labels, label)
        apart = [
            dual_space(on(student, labels=labels), teacher, **given, divergence=name)
            for name in ("forward_kl", "reverse_kl")
        ]
        if torch.equal(*apart):
            return labels
    raise AssertionError("t2s says every label")


def test_the_students_head_learns_where_t2s_is_right():
    student, teacher = space(1, 6, 4, vocabulary=3, seed=0), space(1, 5, 6, vocabulary=9, seed=5)
    head = replace(student.head, weight=student.head.weight.requires_grad_())
    dual_space(on(student, head=head), teacher, **maps(4, 6)).sum().backward()
    assert head.weight.grad.abs().max() > 0


def test_the_gradient_is_the_slope_of_the_value():
    # Labels that t2s never says: D, which holds t2s constant, would otherwise count in the slope alone.
    double = torch.float64
    student, teacher = (
        space(2, 3, 3, vocabulary=5, seed=0, dtype=double),
        space(2, 4, 2, vocabulary=6, seed=5, dtype=double),
    )
    given = maps(3, 2, double)
    student = on(student, labels=labels_nobody_says(student, teacher, given))
    student.labels[1, 0] = IGNORE
    teacher.labels[0, 3] = IGNORE
    leaves = [student.hidden, *(part for one in given.values() for part in one)]

    def value(hidden: Tensor, *parts: Tensor) -> Tensor:
        affine = {name: Affine(*parts[2 * i : 2 * i + 2]) for i, name in enumerate(given)}
        return dual_space(on(student, hidden=hidden), teacher, **affine)

    assert torch.autograd.gradcheck(value, [leaf.requires_grad_() for leaf in leaves], atol=1e-6)


def test_the_students_gradient_is_the_slope_of_the_value_in_every_divergence():
    double = torch.float64
    student, teacher = (
        space(1, 6, 3, vocabulary=3, seed=0, dtype=double),
        space(1, 4, 2, vocabulary=6, seed=5, dtype=double),
    )
    given = maps(3, 2, double)
    hidden = student.hidden.requires_grad_()
    for name in ("forward_kl", "reverse_kl", "jsd", "skew_forward_kl", "skew_reverse_kl"):
        assert torch.autograd.gradcheck(
            lambda h, name=name: dual_space(on(student, hidden=h), teacher, **given, divergence=name),
            [hidden],
        )


def padded(one: HeadSpace, *, left: int, right: int) -> HeadSpace:
    def fill(part: Tensor, value: float) -> Tensor:
        sides = [part.new_full((part.shape[0], n, *part.shape[2:]), value) for n in (left, right)]
        return torch.cat([sides[0], part, sides[1]], 1)

    return HeadSpace(*(fill(part, 1e3) for part in one[:3]), fill(one.labels, IGNORE), one.head)


def test_prompts_padding_and_neighbours_do_not_change_a_row():
    student, teacher = space(2, 5, 4, vocabulary=7, seed=0), space(2, 6, 3, vocabulary=9, seed=5)
    given = maps(4, 3)
    plain = dual_space(student, teacher, **given)
    wide = dual_space(padded(student, left=2, right=3), padded(teacher, left=1, right=4), **given)
    torch.testing.assert_close(wide[:, 2:-3], plain, rtol=1e-5, atol=1e-5)
    assert not wide[:, :2].any() and not wide[:, -3:].any()
    alone = dual_space(
        *(HeadSpace(*(part[:1] for part in one[:4]), one.head) for one in (student, teacher)), **given
    )
    torch.testing.assert_close(alone, plain[:1], rtol=1e-5, atol=1e-5)


def test_rows_of_unequal_length_are_aligned_apart():
    student, teacher = space(2, 5, 4, vocabulary=7, seed=0), space(2, 6, 3, vocabulary=9, seed=5)
    student.labels[1, 2:], teacher.labels[1, :3] = IGNORE, IGNORE
    found = dual_space(student, teacher, **maps(4, 3))
    short = [
        HeadSpace(*(part[1:, :2] for part in student[:4]), student.head),
        HeadSpace(*(part[1:, 3:] for part in teacher[:4]), teacher.head),
    ]
    torch.testing.assert_close(found[1:, :2], dual_space(*short, **maps(4, 3)), rtol=1e-5, atol=1e-5)
    assert not found[1, 2:].any()


def test_a_row_that_one_side_lacks_adds_nothing_and_still_has_a_graph():
    student, teacher = space(2, 5, 4, vocabulary=7, seed=0), space(2, 6, 3, vocabulary=9, seed=5)
    teacher.labels[1] = IGNORE
    hidden = student.hidden.requires_grad_()
    found = dual_space(student, teacher, **maps(4, 3))
    assert found[0].all() and not found[1].any()
    teacher.labels[0] = IGNORE
    found = dual_space(on(student, hidden=hidden), teacher, **maps(4, 3))
    found.sum().backward()
    assert not found.any() and not hidden.grad.any()


def test_scale_and_soft_cap_of_heads_are_applied():
    student, teacher = space(1, 5, 4, vocabulary=7, seed=0), space(1, 6, 3, vocabulary=9, seed=5)
    halved = [on(one, head=replace(one.head, scale=0.5)) for one in (student, teacher)]
    by_hand = [on(one, head=replace(one.head, weight=one.head.weight / 2)) for one in (student, teacher)]
    torch.testing.assert_close(dual_space(*halved, **maps(4, 3)), dual_space(*by_hand, **maps(4, 3)))


def test_refusals_name_what_does_not_fit():
    student, teacher = space(2, 5, 4, vocabulary=7, seed=0), space(2, 6, 3, vocabulary=9, seed=5)
    with pytest.raises(ObjectiveError, match="must hold the same rows, got 2 and 1"):
        dual_space(student, space(1, 6, 3, vocabulary=9, seed=5), **maps(4, 3))
    with pytest.raises(ObjectiveError, match=r"weights must be query \(6, 8\), .* got \(8, 8\)"):
        dual_space(student, teacher, **maps(4, 4))
    with pytest.raises(ObjectiveError, match="as wide as its embeddings, got 3 and 2"):
        dual_space(student, on(teacher, outputs=teacher.outputs[..., :2]), **maps(4, 3))
    with pytest.raises(ObjectiveError, match="divergence must be"):
        dual_space(student, teacher, **maps(4, 3), divergence="kl")
    with pytest.raises(ObjectiveError, match=r"skew must lie in \[0, 1\]"):
        dual_space(student, teacher, **maps(4, 3), skew=2.0)
    with pytest.raises(ObjectiveError, match="teacher_width must be at least 1, got 0"):
        projectors(student_width=3, teacher_width=0)


def test_projectors_start_the_same_and_leave_the_random_state_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, same, other = (projectors(student_width=3, teacher_width=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one.query.weight, same.query.weight)
    assert not torch.equal(one.query.weight, other.query.weight)
    assert {name: tuple(part.weight.shape) for name, part in one().items()} == {
        "query": (4, 6), "to_student": (3, 2), "to_teacher": (2, 3)
    }  # fmt: skip


def test_a_space_is_what_the_model_reads_and_writes():
    model, batch = tiny.tiny_llama(vocab=VOCABULARY, seed=1), Rows().batch([3, 5])
    reader = ForwardModel(model).probe()
    found = head_space_of(reader.read(batch.inputs, at("space")), batch)
    table, loss_mask = model.model.embed_tokens.weight, batch.targets != IGNORE
    torch.testing.assert_close(found.inputs, table[batch.inputs["input_ids"]])
    torch.testing.assert_close(found.outputs[loss_mask], table[batch.targets[loss_mask]])
    assert not found.outputs[~loss_mask].any() and not found.inputs.requires_grad
    torch.testing.assert_close(found.hidden @ found.head.weight.T, model(**batch.inputs).logits)
    assert head_space_of(Outputs(taps={("space", None): found}), batch) is found


def test_a_space_is_refused_where_there_is_none():
    batch = Rows().batch([3, 5])
    with pytest.raises(ConfigError, match="hidden states, a head and embeddings"):
        head_space_of(Outputs(logits=torch.zeros(2, 3, 4)), batch)
    masked = tiny.tiny_masked_bert()
    with pytest.raises(ModelError, match="linear head to give its space, got BertForMaskedLM"):
        ForwardModel(masked).probe().read({"input_ids": torch.ones(1, 3, dtype=torch.long)}, at("space"))


def party(**settings: object) -> Party:
    model = tiny.tiny_llama(vocab=VOCABULARY, seed=1)
    trainable = Trainable(projectors(student_width=32, teacher_width=48), 1e-3)
    terms = [
        Term("dual_space", dual_space, SIGNALS, weight=0.5, trainable=trainable),
        Term("cross_entropy", cross_entropy, ("student_logits", "labels"), weight=0.5),
    ]
    defaults = {"learning_rate": 0.01, "max_steps": 2, "max_grad_norm": 0.0, "adam_epsilon": 0.01}
    chosen = TrainingSettings(**{**defaults, **settings})
    return Party("student", model, ForwardModel(model).probe(), Criterion(terms), chosen, other_tokens)


def other_tokens(batch: Batch) -> Outputs:
    """A teacher that reads every row backwards, one token less, over another vocabulary."""
    model = tiny.tiny_llama(vocab=VOCABULARY + 9, width=48, seed=2)
    inputs = {name: part[:, 1:] for name, part in batch.inputs.items()}
    inputs["input_ids"] = inputs["input_ids"] + 5
    targets = batch.targets[:, 1:]
    own = Batch(inputs, torch.where(targets == IGNORE, IGNORE, targets + 5), batch.row_ids)
    with torch.no_grad():
        answer = ForwardModel(model).probe().read(own.inputs, at("space"))
    return Outputs(taps={("space", None): head_space_of(answer, own)})


@pytest.mark.parametrize("fused", [True, False])
def test_the_mean_is_over_the_students_learnt_tokens(fused: bool):
    one, batch = party(), Rows().batch([3, 5, 6])
    criterion = Criterion(one.criterion.terms, fused=fused)
    answer, teacher = one.reader.read(batch.inputs, criterion.student_needs), other_tokens(batch)
    _, means = criterion(answer, teacher, batch, counts=criterion.counts(batch), step=0, total_steps=1)
    module = one.criterion.terms[0].trainable.module
    values = dual_space(head_space_of(answer, batch), teacher.taps["space", None], **module())
    assert float(means[0]) == pytest.approx(
        float(values.detach().sum()) / int(batch.loss_mask.sum()), rel=1e-6
    )


def test_training_moves_the_projectors_whatever_the_micro_batches(tmp_path: Path):
    found = []
    for size, accumulation in ((8, 1), (2, 4)):
        one = party(per_device_train_batch_size=size, gradient_accumulation_steps=accumulation)
        before = one.criterion.terms[0].trainable.module.to_teacher.weight.detach().clone()
        train([one], Rows(), folder=tmp_path / str(size))
        module = one.criterion.terms[0].trainable.module
        assert not torch.equal(module.to_teacher.weight, before)
        found.append(
            torch.cat([p.detach().flatten() for p in [*one.model.parameters(), *module.parameters()]])
        )
    torch.testing.assert_close(found[1], found[0], atol=2e-6, rtol=0)


def test_it_trains_in_bf16(tmp_path: Path):
    reports = []
    train([party(bf16=True)], Rows(), folder=tmp_path, on_step=reports.append)
    whole = []
    train([party()], Rows(), folder=tmp_path / "whole", on_step=whole.append)
    assert reports[0].loss == pytest.approx(whole[0].loss, rel=0.03)
